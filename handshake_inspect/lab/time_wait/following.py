"""One TIME-WAIT entry of the kernel, followed from look to look until it is gone.

In: what sock_diag says of one pair of sockets, and between which moments it was asked. Out: a `Following`: the kernel's
timer as it was first seen, each restart, when it reached 0, when the entry was gone, and what has its place now. All
times are of CLOCK_MONOTONIC, by which the kernel's timers run. RFC 9293 §3.6.1 says what TIME-WAIT is for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.sock_diag import KernelSocket
from handshake_inspect.lab.time_wait.wheel import TIME_WAIT_NS, Span, Wheel

MILLISECOND_NS = 1_000_000
#: Longer than jiffies may stand still before another processor counts it on: MAX_STALLED_JIFFIES (5) of
#: kernel/time/tick-sched.c.
HELD_UP_TICKS = 8


@dataclass(frozen=True, slots=True)
class KernelLook:
    """One question to the kernel: it was answered between these moments."""

    before_ns: int
    after_ns: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The timer was set to 60 s again, by a segment that TIME-WAIT had to answer."""

    #: When that was, as the new time on the timer says.
    time_ns: int
    #: What was left on the timer before; 0 if it had run out and was late.
    left_ns: int


@dataclass(slots=True)
class Following:
    """One entry, as far as it was followed."""

    local: Endpoint
    remote: Endpoint
    #: Which network namespace it is in, by its place among those that are asked.
    host: int
    cookie: int
    wheel: Wheel
    first: KernelLook
    #: What the timer showed at the first look.
    first_left_ns: int
    #: When the timer runs out, as narrowly as the looks so far tell.
    expiry: Span
    last: KernelLook
    #: What it showed at the last look that found the entry.
    left_ns: int
    restarts: list[Restart] = field(default_factory=list)
    #: The first look at which the timer showed 0 since it was last set; None: it has not yet.
    zero: KernelLook | None = None
    #: The first look that did not find the entry.
    gone: KernelLook | None = None
    #: What that look found in its place: a socket with the same two ends.
    instead: KernelSocket | None = None

    @classmethod
    def begun(cls, one: KernelSocket, host: int, look: KernelLook, wheel: Wheel) -> Following:
        """Begin with the first look that found the entry."""
        left_ns = one.expires_ms * MILLISECOND_NS
        expiry, zero = expiry_of(left_ns, look, wheel), None if left_ns else look
        return cls(
            one.local, one.remote, host, one.cookie, wheel, look, left_ns, expiry, look, left_ns, zero=zero
        )  # fmt: skip

    def note(self, look: KernelLook, found: KernelSocket | None) -> None:
        """Note what one more look found between these two ends."""
        if found is None or found.cookie != self.cookie:
            self.gone, self.instead = look, found
            return
        left_ns = found.expires_ms * MILLISECOND_NS
        expiry = expiry_of(left_ns, look, self.wheel)
        if self._was_set_again(left_ns, expiry, look):
            self.restarts.append(Restart(expiry.latest_ns - TIME_WAIT_NS, self.left_ns))
            self.expiry, self.zero = expiry, None
        elif left_ns:
            self.expiry = self._narrowed(expiry)
        elif self.zero is None:
            self.zero = look
        self.last, self.left_ns = look, left_ns

    def _was_set_again(self, left_ns: int, expiry: Span, look: KernelLook) -> bool:
        """Has the timer been set to 60 s since the last look?

        It never shows more than before otherwise. Where it was set just before, it may show no more: then it must show
        almost 60 s, and run out clearly later than it was to.
        """
        held_up_ns = HELD_UP_TICKS * self.wheel.tick_ns
        could_be = left_ns >= TIME_WAIT_NS - (look.after_ns - self.last.before_ns) - held_up_ns
        is_later = expiry.earliest_ns > self.expiry.latest_ns + held_up_ns
        return left_ns > self.left_ns or (left_ns > 0 and could_be and is_later)

    def _narrowed(self, expiry: Span) -> Span:
        """Return when it runs out, after one more look.

        A processor that is held up counts its ticks late: then the timer shows too much. So the latest time always
        holds, and where they exclude each other, it is the earliest that is wrong.
        """
        latest_ns = min(self.expiry.latest_ns, expiry.latest_ns)
        earliest_ns = max(self.expiry.earliest_ns, expiry.earliest_ns)
        return Span(earliest_ns if earliest_ns <= latest_ns else latest_ns - self.wheel.tick_ns, latest_ns)

    @property
    def expiry_ns(self) -> int:
        """When the timer runs out, or ran out."""
        return (self.expiry.earliest_ns + self.expiry.latest_ns) // 2

    @property
    def fires(self) -> Span:
        """When the timer wheel lets the timer fire."""
        early, late = (self.wheel.fires(side) for side in (self.expiry.earliest_ns, self.expiry.latest_ns))
        return Span(early.earliest_ns, late.latest_ns)

    def is_due(self, now_ns: int, near_ns: int) -> bool:
        """Will its timer run out or fire within so much of now?"""
        fires = self.fires
        return any(
            early - near_ns < now_ns < late + near_ns
            for early, late in ((self.expiry_ns, self.expiry_ns), (fires.earliest_ns, fires.latest_ns))
        )

    @property
    def late_ns(self) -> int | None:
        """How long the entry was there after its timer had run out; None while it is."""
        return None if self.gone is None else self.gone.before_ns - self.expiry_ns


def expiry_of(left_ns: int, look: KernelLook, wheel: Wheel) -> Span:
    """Return when a timer runs out that showed so much at a look: the kernel counts whole ticks."""
    return Span(look.before_ns + left_ns - wheel.tick_ns, look.after_ns + left_ns)
