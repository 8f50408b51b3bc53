"""Waits for TIME-WAIT with a countdown on standard error, until the last entry is gone or Ctrl-C.

In: the glances of `staying`. Out: a `Waiting` that has collected them. On a terminal the countdown is rewritten in
place, elsewhere it is a line every ten seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from handshake_inspect.cli.output import StatusLine
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.lab.time_wait.following import Following
from handshake_inspect.lab.time_wait.reckoning import Waiting
from handshake_inspect.lab.time_wait.staying import Glance, Told
from handshake_inspect.views.table import cell_width

#: Without a terminal the countdown is a line each time that so much has passed.
LINE_EVERY_NS = 10_000_000_000


def wait_out(waiting: Waiting, told: Told) -> None:
    """Collect glances until the last, with a countdown. Ctrl-C ends it; what is known so far is kept."""
    countdown, was_interrupted = Countdown(), False
    try:
        for glance in told:
            assert isinstance(glance, Glance)
            waiting.take(glance)
            countdown.show(glance)
    except KeyboardInterrupt:
        was_interrupted = True
    finally:
        told.close()
        countdown.clear()
    if was_interrupted:
        remark("the wait was interrupted")


class Countdown:
    """The countdown on standard error."""

    def __init__(self) -> None:
        self._line = StatusLine()
        self._said = -1
        self._restarts = 0

    def show(self, glance: Glance) -> None:
        """Show the next glance."""
        there = [entry for entry in glance.entries if entry.gone is None]
        restarts = sum(len(entry.restarts) for entry in glance.entries)
        if restarts > self._restarts:
            self.clear()
            remark("TIME-WAIT was restarted: the kernel's timer stands at 60 s again")
        self._restarts = restarts
        if there and self._line.is_shown:
            self._line.show(countdown_line(there, glance.now_ns, self._line.room))
        elif there and (part := -(-last_of(there).left_ns // LINE_EVERY_NS)) != self._said:
            self._said = part
            remark(countdown_line(there, glance.now_ns))

    def clear(self) -> None:
        """Clear the line."""
        self._line.clear()


def last_of(there: Sequence[Following]) -> Following:
    """Return the entry whose timer runs out last."""
    return max(there, key=lambda entry: entry.expiry.latest_ns)


def countdown_line(there: Sequence[Following], now_ns: int, room: int | None = None) -> str:
    """Return how long the last of some entries will stay; without its sockets if there is too little room."""
    last = last_of(there)
    which = f"{last.local} → {last.remote}" if len(there) == 1 else f"{len(there)} entries, the last"
    left_ns = max(0, last.expiry_ns - now_ns)
    said = f"{left_ns / 1e9:.1f} s of TIME-WAIT left" if last.left_ns else "timer at 0, still there"
    whole, short = (f"{begin}{said}; Ctrl-C ends" for begin in (f"{which}: ", ""))
    return whole if room is None or cell_width(whole) <= room else short
