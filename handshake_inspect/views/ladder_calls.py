"""Socket calls of both programs as lines of the ladder, at the moments when they were entered and returned.

In: calls as the lab records them, and what was captured. Out: `CallMark`s, by time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol, TypeVar

from handshake_inspect.plain import plain
from handshake_inspect.quantities import counted

#: Up to so many calls of one function in a row are shown one by one.
CALLS_MAX = 4


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
    def shown(self) -> str:
        """The part of `text` or `result` that shows octets of the conversation: "b'BITH'"; "" if none does."""

    @property
    def shown_octets(self) -> int:
        """How many octets these are."""

    @property
    def entered_ns(self) -> int:
        """When it was entered, on the clock of the capture."""

    @property
    def returned_ns(self) -> int:
        """When it returned."""


@plain
class CallMark:
    """One line of a socket call: it was entered, it returned, or both with nothing between."""

    time_ns: int
    end: str
    text: str
    #: The same without the arguments, for where there is no room; "" if it has none to leave out.
    short: str = ""
    #: Of the function: "recv"; "" of what stands for many calls.
    name: str = ""
    #: It returned here; else it was entered.
    returns: bool = True


class Timed(Protocol):
    """What was captured at a moment: a segment, a datagram, an ICMP error."""

    @property
    def time_ns(self) -> int:
        """When, on the clock of the calls."""


Row = TypeVar("Row")


def fold_calls(rows: Sequence[Row]) -> list[Row | CallMark]:
    """Fold many calls of one function by one end into one line, if only calls stand between them.

    As a long transfer of segments is folded: the first stays.
    """
    folded: list[Row | CallMark] = []
    for are_calls, stretch in groupby(rows, lambda row: isinstance(row, CallMark)):
        some = list(stretch)
        folded += fold_stretch([row for row in some if isinstance(row, CallMark)]) if are_calls else some
    return folded


def fold_stretch(marks: Sequence[CallMark]) -> list[CallMark]:
    """Fold adjacent lines of calls."""
    counts = Counter((mark.end, mark.name) for mark in marks if mark.returns)
    last = {(mark.end, mark.name): mark for mark in marks}
    returned: Counter[tuple[str, str]] = Counter()
    folded: list[CallMark] = []
    for mark in marks:
        whose = mark.end, mark.name
        if counts[whose] <= CALLS_MAX or not returned[whose] or (mark is last[whose] and not mark.returns):
            folded.append(mark)
        elif returned[whose] == 1 and mark.returns:
            text = f"… {mark.name}() {counts[whose] - 1} times more …"
            folded.append(CallMark(mark.time_ns, mark.end, text))
        returned[whose] += mark.returns
    return folded


def call_marks(calls: Sequence[SocketCall], steps: Sequence[Timed], *, payload: bool = True) -> list[CallMark]:
    """Return the lines of the socket calls: one, at the return, if nothing happened during the call, else two.

    Without `payload` octets that they sent or received are counted, not shown.
    """
    times = sorted(
        [step.time_ns for step in steps] + [at for call in calls for at in (call.entered_ns, call.returned_ns)]
    )
    marks: list[CallMark] = []
    for call in calls:
        between = bisect_left(times, call.returned_ns) > bisect_right(times, call.entered_ns)
        text, result = texts_of(call, payload=payload)
        if between:
            marks.append(CallMark(call.entered_ns, call.end, f"{text} ▸", name=call.name, returns=False))
        returned = f" = {result}" if result else ""
        short = f"{call.name}(…){returned}" if call.text != f"{call.name}()" else ""
        marks.append(CallMark(call.returned_ns, call.end, text + returned, short, call.name))
    return sorted(marks, key=lambda mark: mark.time_ns)


def texts_of(call: SocketCall, *, payload: bool) -> tuple[str, str]:
    """Return the text of a call and its result; without `payload`, octets are counted, not shown."""
    if payload or not call.shown:
        return call.text, call.result
    count = counted(call.shown_octets, "octet")
    return call.text.replace(call.shown, count, 1), call.result.replace(call.shown, count, 1)
