"""Which segments bring nothing new: every number that they occupy was captured before, from the same end.

In: the numbers of the segments of one end, in capture order. Out: a mask. A segment below the highest number captured
so far is no repeat if it fills a gap: it was overtaken on its way, or its first copy was lost before the capture.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from handshake_inspect.connections.moments import Mask, Rows

#: Below the first number captured everything is missing.
LOWEST = -(1 << 62)


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
