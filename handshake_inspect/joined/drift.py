"""Bounds of the difference of two clocks, carried over to other times.

In: bounds, and the time of each. Out: `LowerBounds`, which answers for any time. Two clocks do not run equally fast, so
a bound weakens with its age. No capture tells by how much: the drift of ordinary quartz clocks is assumed.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows

#: By how much one clock runs faster than the other at the most, in parts per million: crystals for computers are sold
#: within 50 of their frequency, and may stray either way. (The poll intervals of RFC 5905 §7.3 rest on 15 for one clock
#: that NTP disciplines, PHI; it gives up beyond 500.)
DRIFT_PPM = 100


def drifted_ns(time_ns: Rows) -> Rows:
    """Return the most by which two clocks drift apart in these times."""
    return time_ns // (1_000_000 // DRIFT_PPM)


class LowerBounds:
    """The greatest of some lower bounds at any time: each falls by the drift with the distance from its own time.

    There is one at least. Of upper bounds `-LowerBounds(time_ns, -upper_ns).at(...)` is the least.
    """

    def __init__(self, time_ns: Rows, lower_ns: Rows) -> None:
        order = np.argsort(time_ns, kind="stable")
        self._time_ns, lower_ns = time_ns[order], lower_ns[order]
        self._begin_ns, self._last = int(self._time_ns[0]), len(order) - 1
        drift_ns = drifted_ns(self._time_ns - self._begin_ns)
        #: The greatest of each bound and those before it, or after it, on a scale that moves with the drift.
        self._until = np.maximum.accumulate(lower_ns + drift_ns)
        self._since = np.maximum.accumulate((lower_ns - drift_ns)[::-1])[::-1]

    def at(self, time_ns: Rows) -> Rows:
        """Return the greatest lower bound at each of these times."""
        drift_ns = drifted_ns(time_ns - self._begin_ns)
        at = np.searchsorted(self._time_ns, time_ns, "right")
        before, after = (
            self._until[np.maximum(at, 1) - 1] - drift_ns,
            self._since[np.minimum(at, self._last)] + drift_ns,
        )
        return np.where(at == 0, after, np.where(at > self._last, before, np.maximum(before, after)))
