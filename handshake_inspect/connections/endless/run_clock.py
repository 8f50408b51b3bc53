"""The time of a run that does not end: it goes on evenly when the clock that stamps the frames is set.

In: blocks of frames as they come. Out: nanoseconds since the first one, by which it is reckoned how long sockets were
quiet. A live capture has a clock that nobody sets: CLOCK_MONOTONIC, which stands still while the host sleeps, as the
kernel's own timers of TCP do. Without one the times of the frames must do: of them a step back is no time at all, and
a step forward is the time it says.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.tcp.time_wait import SECOND_NS

#: The blocks of several interfaces may come out of order; a clock that steps back by more was set.
SET_BACK_NS = 10 * SECOND_NS


class RunClock:
    """Time of the run: it never steps back. `steady_ns` reads a clock that is never set."""

    def __init__(self, steady_ns: Callable[[], int] | None = None) -> None:
        self.now_ns = 0
        self._steady_ns = steady_ns
        self._latest_ns: int | None = None

    def advance(self, times_ns: NDArray[np.int64]) -> None:
        """Let time pass: a block came, of frames captured at these times."""
        if not len(times_ns):
            return
        time_ns = int(times_ns[-1]) if self._steady_ns is None else self._steady_ns()
        if self._latest_ns is None or time_ns < self._latest_ns - SET_BACK_NS:
            self._latest_ns = time_ns
        self.now_ns += max(time_ns - self._latest_ns, 0)
        self._latest_ns = max(time_ns, self._latest_ns)
