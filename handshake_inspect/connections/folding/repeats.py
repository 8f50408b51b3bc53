"""Marks segments without new octets: every number that they occupy was captured before, from the same end.

In: the rows of connections, or the numbers of the segments of one end, in capture order. Out: a mask. A segment below
the highest number captured so far is no repeat if it fills a gap: it was reordered on the path, or its first
transmission was lost before the point of capture.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.covers import earliest_cover
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN, ConnectionRows, lifted, running_maximum_of
from handshake_inspect.connections.splitting.split import first_of
from handshake_inspect.sets import first_of_runs, ranked


def repeated(rows: ConnectionRows) -> Mask:
    """Mark the rows without new octets; False for segments without length, and for RSTs.

    In simultaneous open the SYN of a SYN-ACK was captured before, but its ACK is new (RFC 9293 Figure 7).
    """
    begin, found = rows.seq - rows.folded_octets, np.zeros(len(rows), np.bool_)
    at = np.flatnonzero((rows.seq_end > begin) & ((rows.flags & RST) == 0))
    at = at[np.argsort(rows.end[at], kind="stable")]
    end, low, high = rows.end[at], begin[at], rows.seq_end[at]
    highest = running_maximum_of(end, high, np.ones(len(end), np.bool_))
    behind = np.flatnonzero(end[1:] == end[:-1]) + 1  # all but the first of each end
    before = highest[behind - 1]
    found[at[behind]] = high[behind] <= before
    first = first_of_runs(end)
    lowest = low[first][np.searchsorted(end[first], end[behind])]
    # Ends with gaps, which are rare, are checked piece by piece.
    gaps = np.zeros(2 * rows.connections, np.bool_)
    gaps[end[behind[(low[behind] > before) | (low[behind] < lowest)]]] = True
    own = np.flatnonzero(gaps[end])
    found[at[own]] = repeats(end[own], low[own], high[own])
    answers = (rows.flags & (SYN | ACK)) == SYN | ACK
    earliest = first_of(rows.end, answers, 2 * rows.connections)
    found &= ~(answers & (np.arange(len(rows)) == earliest[rows.end]))
    return found


def repeats(end: Rows, seq: Rows, seq_end: Rows) -> Mask:
    """Mark the segments [seq, seq_end) of some ends, none of them empty, that lie within the union of those before.

    Their edges divide the numbers into pieces. A segment that is not the first over any piece has no new octets: a
    million segments in any order take some sorts.
    """
    begin, stop = (lifted(edge, end, int(end.max(initial=0)) + 1) for edge in (seq, seq_end))
    (first, behind), edges = ranked(begin, stop)
    earliest = earliest_cover(first, behind, np.arange(len(seq)), edges)
    found = np.ones(len(seq), np.bool_)
    found[earliest[earliest != NEVER]] = False
    return found
