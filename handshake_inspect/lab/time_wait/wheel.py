"""The timer wheel: when Linux lets a timer of 60 s fire, which is never early and mostly late.

In: the length of a tick, which anybody may ask for. Out: a `Wheel`: the step in which a timer of some length is kept,
and the moments at which one may fire. Read the comment at the top of Linux's kernel/time/timer.c first; the rules here
are its rules, and the figures were measured (Linux 6.18).

Timers are kept in levels of 64 slots, each level in steps 8 times as long as the one before. A timer goes to the level
that its length reaches, and to the first slot there after its time: so it is late by one step at most, and TIME-WAIT,
which is 15000 ticks where HZ is 250, by 512 ticks = 2.048 s. The slots lie at whole multiples of the step, counted in
jiffies since 300 s before the start of the machine: all entries of a machine end on one and the same grid.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from handshake_inspect.tcp.time_wait import PROFILES

#: <linux/time.h>: the clock that moves on with each tick. Its resolution is the length of a tick.
CLOCK_MONOTONIC_COARSE = 6
#: kernel/time/timer.c: LVL_CLK_SHIFT, LVL_SIZE, and the number of levels at HZ > 100.
LEVEL_SHIFT, SLOTS, LEVELS = 3, 64, 9
#: How long this kernel's TIME-WAIT lasts.
TIME_WAIT_NS = PROFILES["linux"].length_ns


@dataclass(frozen=True, slots=True)
class Span:
    """Between when and when something happens, both on CLOCK_MONOTONIC."""

    earliest_ns: int
    latest_ns: int


@dataclass(frozen=True, slots=True)
class Wheel:
    """The timer wheel of this machine."""

    #: 1/HZ.
    tick_ns: int
    #: CLOCK_MONOTONIC when jiffies was a multiple of the step; None: only the step is known, not where the grid lies.
    origin_ns: int | None = None
    #: How far the grid may lie from there, to either side.
    error_ns: int = 0

    def placed_by(self, end: Span) -> Wheel:
        """Return the same wheel with its grid, where a timer of 60 s was seen to fire."""
        return replace(
            self,
            origin_ns=(end.earliest_ns + end.latest_ns) // 2,
            error_ns=(end.latest_ns - end.earliest_ns + 1) // 2,
        )

    @property
    def hz(self) -> int:
        """Ticks in a second, CONFIG_HZ."""
        return round(1e9 / self.tick_ns)

    def ticks(self, timeout_ns: int) -> int:
        """Return the length of a timer in ticks (jiffies)."""
        return round(timeout_ns * self.hz / 1e9)

    def step_ticks(self, timeout_ns: int = TIME_WAIT_NS) -> int:
        """Return the step in which a timer of that length is kept, in ticks."""
        length, level = self.ticks(timeout_ns), 0
        while level < LEVELS - 1 and length >= (SLOTS - 1) << (LEVEL_SHIFT * level):  # LVL_START(level + 1)
            level += 1
        return int(1 << (LEVEL_SHIFT * level))

    def step_ns(self, timeout_ns: int = TIME_WAIT_NS) -> int:
        """Return the same as a time."""
        return self.step_ticks(timeout_ns) * self.tick_ns

    def fires(self, expiry_ns: int, timeout_ns: int = TIME_WAIT_NS) -> Span:
        """Return when a timer fires that runs out at `expiry_ns` (CLOCK_MONOTONIC), as narrowly as is known.

        At the first multiple of the step after that; one step later if it is not known on which side it lies.
        """
        step_ns = self.step_ns(timeout_ns)
        if self.origin_ns is None:
            return Span(expiry_ns, expiry_ns + step_ns)
        early, late = (
            (side - self.origin_ns) // step_ns * step_ns + step_ns + self.origin_ns
            for side in (expiry_ns - self.error_ns, expiry_ns + self.error_ns)
        )
        return Span(early - self.error_ns, late + self.error_ns)


def this_wheel() -> Wheel:
    """Return the wheel of this machine, as far as anybody can know it: how long its ticks are."""
    return Wheel(round(time.clock_getres(CLOCK_MONOTONIC_COARSE) * 1e9))
