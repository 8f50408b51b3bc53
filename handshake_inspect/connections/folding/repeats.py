"""Which segments bring nothing new: every number that they occupy was captured before, from the same end.

In: the rows of connections, or the numbers of the segments of one end, in capture order. Out: a mask. A segment below
the highest number captured so far is no repeat if it fills a gap: it was overtaken on its way, or its first copy was
lost before the capture.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.covers import earliest_cover
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN, ConnectionRows, lifted, running_maximum_of
from handshake_inspect.connections.splitting.split import first_of
from handshake_inspect.sets import first_of_runs, set_of


def repeated(rows: ConnectionRows) -> Mask:
    """Tell which rows bring nothing new; False for segments without length, and for RSTs.

    In simultaneous open the SYN of a SYN-ACK was there before, and its ACK is new (RFC 9293 Figure 7).
    """
    begin, found = rows.seq - rows.folded_octets, np.zeros(len(rows), np.bool_)
    at = np.flatnonzero((rows.seq_end > begin) & ((rows.flags & RST) == 0))
    at = at[np.argsort(rows.end[at], kind="stable")]
    end, low, high = rows.end[at], begin[at], rows.seq_end[at]
    highest = running_maximum_of(end, high, np.ones(len(end), np.bool_))
    behind = np.flatnonzero(end[1:] == end[:-1]) + 1  # those that are not the first of their end
    before = highest[behind - 1]
    found[at[behind]] = high[behind] <= before
    first = first_of_runs(end)
    lowest = low[first][np.searchsorted(end[first], end[behind])]
    # Where something is missing, piece by piece; nearly nowhere.
    gaps = np.zeros(2 * rows.connections, np.bool_)
    gaps[end[behind[(low[behind] > before) | (low[behind] < lowest)]]] = True
    own = np.flatnonzero(gaps[end])
    found[at[own]] = repeats(end[own], low[own], high[own])
    answers = (rows.flags & (SYN | ACK)) == SYN | ACK
    earliest = first_of(rows.end, answers, 2 * rows.connections)
    found &= ~(answers & (np.arange(len(rows)) == earliest[rows.end]))
    return found


def repeats(end: Rows, seq: Rows, seq_end: Rows) -> Mask:
    """Tell which of the segments [seq, seq_end) of some ends, none of them empty, lie in what those before them occupy.

    Their edges cut the numbers into pieces. A segment that is the first over no piece brings nothing new: a million
    segments, however they are shuffled, cost some sorts.
    """
    begin, stop = (lifted(edge, end, int(end.max(initial=0)) + 1) for edge in (seq, seq_end))
    edges = set_of(begin, stop)
    first, behind = np.searchsorted(edges, begin), np.searchsorted(edges, stop)
    earliest = earliest_cover(first, behind, np.arange(len(seq)), len(edges))
    found = np.ones(len(seq), np.bool_)
    found[earliest[earliest != NEVER]] = False
    return found
