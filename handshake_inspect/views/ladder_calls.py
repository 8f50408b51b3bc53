"""Socket calls of both programs as lines of the ladder, at the moments when they were entered and returned.

In: calls as the lab records them, and what was captured. Out: `CallMark`s, by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class SocketCall(Protocol):
    """A call of one of the two programs, as `lab` records it."""

    @property
    def end(self) -> str:
        """Whose: "client" or "server"."""

    @property
    def name(self) -> str:
        """Of the function: "connect"."""

    @property
    def text(self) -> str:
        """The call with its arguments: "connect(127.0.0.1:8000)"."""

    @property
    def result(self) -> str:
        """What it returned: "0", "b''"; "" of what never returns: "exit(0)"."""

    @property
    def entered_ns(self) -> int:
        """When it was entered, on the clock of the capture."""

    @property
    def returned_ns(self) -> int:
        """When it returned."""


@dataclass(frozen=True)
class CallMark:
    """One line of a socket call: it was entered, it returned, or both with nothing between."""

    time_ns: int
    end: str
    text: str
    #: The same without the arguments, for where there is no room; "" if it has none to leave out.
    short: str = ""


class Timed(Protocol):
    """What was captured at a moment: a segment, a datagram, an ICMP error."""

    @property
    def time_ns(self) -> int:
        """When, on the clock of the calls."""


def call_marks(calls: Sequence[SocketCall], steps: Sequence[Timed]) -> list[CallMark]:
    """Return the lines of the socket calls: one where nothing happened while it ran, else two."""
    times = sorted(
        [step.time_ns for step in steps] + [at for call in calls for at in (call.entered_ns, call.returned_ns)]
    )
    marks: list[CallMark] = []
    for call in calls:
        between = sum(call.entered_ns < at < call.returned_ns for at in times)
        if between:
            marks.append(CallMark(call.entered_ns, call.end, f"{call.text} ▸"))
        returned = f" = {call.result}" if call.result else ""
        short = f"{call.name}(…){returned}" if call.text != f"{call.name}()" else ""
        at = call.returned_ns if between else call.entered_ns
        marks.append(CallMark(at, call.end, call.text + returned, short))
    return sorted(marks, key=lambda mark: mark.time_ns)
