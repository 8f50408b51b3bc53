"""The time of a run that does not end: it advances evenly even when the clock of the frames is set.

In: blocks of frames as they arrive. Out: nanoseconds since the first one, which measure how long sockets were quiet. A
live capture uses CLOCK_MONOTONIC, which is never set, and stands still while the host sleeps, like the kernel's own
timers of TCP. Without it the times of the frames are used: a step back counts as no time, a step forward in full.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.tcp.time_wait import SECOND_NS

#: Blocks of several interfaces may be out of order by less; a clock that steps back by more was set.
SET_BACK_NS = 10 * SECOND_NS


class RunClock:
    """Time of the run: it never steps back. `steady_ns` reads a clock that is never set."""

    def __init__(self, steady_ns: Callable[[], int] | None = None) -> None:
        self.now_ns = 0
        self._steady_ns = steady_ns
        self._latest_ns: int | None = None

    def advance(self, times_ns: NDArray[np.int64]) -> None:
        """Advance by a block of frames captured at these times."""
        if not len(times_ns):
            return
        time_ns = int(times_ns[-1]) if self._steady_ns is None else self._steady_ns()
        if self._latest_ns is None or time_ns < self._latest_ns - SET_BACK_NS:
            self._latest_ns = time_ns
        self.now_ns += max(time_ns - self._latest_ns, 0)
        self._latest_ns = max(time_ns, self._latest_ns)
