"""How long segments seem to be under way, by two clocks that differ; and which of several alike is which, by that.

In: matched segments. Out: `Times`. What the second clock shows less the first one is the journey plus the difference of
the clocks in one direction, and that difference less the journey in the other: for this it does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handshake_inspect.joined.aligned import Aligned
from handshake_inspect.joined.vantage import Mask, Rows

#: Alike segments that are weighed against each other by their times; of more, the order alone tells.
MOST_WEIGHED = 256
#: Anything later than this is equally unlikely (13 days): sums of it fit 64 bits.
MOST_NS = 1 << 50


@dataclass
class Times:
    """What is usual between the two places."""

    _left: Aligned
    _right: Aligned
    #: The middle one of what the segments of a direction lie apart, and whether there is any. Shape (directions,).
    _usual_ns: Rows
    _is_known: Mask
    #: That of all.
    _overall_ns: int | None

    @classmethod
    def of(cls, left: Aligned, right: Aligned, rows: Rows, others: Rows) -> Times:
        """Look at what was matched: rows of the left side beside rows of the right."""
        directions = int(max(left.direction.max(initial=-1), right.direction.max(initial=-1))) + 1
        direction, apart = left.direction[rows], right.time_ns[others] - left.time_ns[rows]
        usual, known = np.zeros(directions, np.int64), np.zeros(directions, np.bool_)
        order = np.lexsort((apart, direction))
        found, begin, count = np.unique(direction[order], return_index=True, return_counts=True)
        usual[found], known[found] = apart[order][begin + count // 2], True
        return cls(left, right, usual, known, int(np.median(apart)) if len(apart) else None)

    def choose(self, rows: Rows, others: Rows) -> tuple[Rows, Rows]:
        """Match segments that are alike, in order. On the side where they are more some are left out."""
        fewer, more = sorted((len(rows), len(others)))
        usual = self._usual(int(self._left.direction[rows[0]]))
        if usual is None or more > MOST_WEIGHED:
            # What was repeated until it arrived: the last ones came through.
            return rows[-fewer:], others[-fewer:]
        apart = np.abs(self._right.time_ns[others][None, :] - self._left.time_ns[rows][:, None] - usual)
        apart = np.minimum(apart, MOST_NS)
        if len(rows) > len(others):
            return rows[best_in_order(apart.T)], others
        return rows, others[best_in_order(apart)]

    def _usual(self, direction: int) -> int | None:
        return int(self._usual_ns[direction]) if self._is_known[direction] else self._overall_ns


def best_in_order(cost: Rows) -> Rows:
    """Give each row a column, in rising order, so that the sum of the costs is least. Shape (few, many) -> (few,)."""
    few, many = cost.shape
    best = np.zeros(many + 1, np.int64)
    taken = np.zeros((few, many), np.bool_)
    for row in range(few):
        # best[j]: the least sum for the rows so far with the first j columns.
        with_row = best[:-1] + cost[row]
        now = np.full(many + 1, np.iinfo(np.int64).max // 2)
        now[1:] = np.minimum.accumulate(with_row)
        taken[row] = with_row <= now[1:]
        best = now
    chosen, column = np.empty(few, np.int64), many
    for row in reversed(range(few)):
        column = int(np.flatnonzero(taken[row][:column])[-1])
        chosen[row] = column
    return chosen
