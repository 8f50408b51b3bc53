"""Which segments bring nothing new: every number that they occupy was captured before, from the same end.

In: the rows of connections, or the numbers of the segments of one end, in capture order. Out: a mask. A segment below
the highest number captured so far is no repeat if it fills a gap: it was overtaken on its way, or its first copy was
lost before the capture.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from handshake_inspect.connections.moments import Mask, Rows
from handshake_inspect.connections.rows import ACK, RST, SYN, ConnectionRows
from handshake_inspect.connections.split import first_of

#: Below the first number captured everything is missing.
LOWEST = -(1 << 62)
#: Higher than any relative number: it keeps the ends apart in one running maximum.
LIFT = 1 << 44


def repeated(rows: ConnectionRows) -> Mask:
    """Tell which rows bring nothing new; False for segments without length, and for RSTs.

    In simultaneous open the SYN of a SYN-ACK was there before, and its ACK is new (RFC 9293 Figure 7).
    """
    begin, found = rows.seq - rows.folded_octets, np.zeros(len(rows), np.bool_)
    at = np.flatnonzero((rows.seq_end > begin) & ((rows.flags & RST) == 0))
    at = at[np.argsort(rows.end[at], kind="stable")]
    end, low, high = rows.end[at], begin[at], rows.seq_end[at]
    highest = np.maximum.accumulate(end * LIFT + high)
    behind = np.flatnonzero(end[1:] == end[:-1]) + 1  # those that are not the first of their end
    before = highest[behind - 1] - end[behind] * LIFT
    found[at[behind]] = high[behind] <= before
    first = np.flatnonzero(np.append(True, end[1:] != end[:-1])) if len(end) else behind
    lowest = low[first][np.searchsorted(end[first], end[behind])]
    # Where something is missing, gap by gap; nearly nowhere.
    for one in np.unique(end[behind[(low[behind] > before) | (low[behind] < lowest)]]).tolist():
        own = at[slice(*np.searchsorted(end, [one, one + 1]))]
        found[own] = repeats(begin[own], rows.seq_end[own])
    answers = (rows.flags & (SYN | ACK)) == SYN | ACK
    earliest = first_of(rows.end, answers, 2 * rows.connections)
    found &= ~(answers & (np.arange(len(rows)) == earliest[rows.end]))
    return found


def repeats(seq: Rows, seq_end: Rows) -> Mask:
    """Tell which of the segments [seq, seq_end), none of them empty, lie in what those before them occupy."""
    found = np.zeros(len(seq), np.bool_)
    if not len(seq):
        return found
    highest = np.maximum.accumulate(seq_end)
    begins, ends = [LOWEST], [int(seq[0])]  # of the gaps, in ascending order
    for i in np.flatnonzero(seq[1:] != highest[:-1]) + 1:
        low, high, top = int(seq[i]), int(seq_end[i]), int(highest[i - 1])
        if low > top:
            begins.append(top)
            ends.append(low)
            continue
        first = last = bisect_right(ends, low)
        while last < len(ends) and begins[last] < high:
            last += 1
        found[i] = first == last and high <= top
        if first < last:  # what it leaves of the gaps that it fills
            left = [(begins[first], low)] * (begins[first] < low) + [(high, ends[last - 1])] * (high < ends[last - 1])
            begins[first:last], ends[first:last] = [gap[0] for gap in left], [gap[1] for gap in left]
    return found
