"""Which of many runs of sequence numbers is the first to cover each number: what fills gaps, and what came before.

In: runs, as indices into the sorted edges of all of them. Out: the first run over each piece between two edges.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.moments import NEVER


def earliest_cover(begin: Rows, stop: Rows, row: Rows, pieces: int) -> Rows:
    """Return for each piece the lowest `row` of the spans [begin, stop) that cover it; NEVER if there is none.

    Each span is covered by two overlapping blocks of 2**k pieces; blocks are split in halves, longest first: n log n
    steps, however long the spans are.
    """
    lowest = np.full(pieces, NEVER, np.int64)
    if not len(row):
        return lowest
    level = np.frexp(stop - begin)[1] - 1
    for k in range(int(level.max()), -1, -1):
        here = level == k
        np.minimum.at(lowest, begin[here], row[here])
        np.minimum.at(lowest, stop[here] - (1 << k), row[here])
        if k:
            half = 1 << (k - 1)
            handed_down = lowest.copy()
            np.minimum(handed_down[half:], lowest[:-half], out=handed_down[half:])
            lowest = handed_down
    return lowest
