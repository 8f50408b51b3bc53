"""What stands on a ladder as data, row by row, without widths, terminals or markup.

`ladder_rows` makes a `Ladder`; the text ladder (`ladder`) and the pictures (`pictures`) are laid out from it. Every row
knows the states of both ends after it, and which of them to write there: those that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import NamedTuple

from handshake_inspect.connections.connection import (
    ENDS,
    Connection,
    End,
    Finding,
    Frame,
    IcmpError,
    Pair,
    StateAt,
    Step,
    TimeWait,
)
from handshake_inspect.quantities import milliseconds, seconds
from handshake_inspect.views.account import Paragraph, paragraphs
from handshake_inspect.views.folding import Fold
from handshake_inspect.views.icmp_lines import Spellings
from handshake_inspect.views.ladder_calls import CallMark
from handshake_inspect.views.ladder_states import LEGEND, sign_of
from handshake_inspect.views.segment_words import Numbers
from handshake_inspect.views.time_wait_lines import ended
from handshake_inspect.views.words import Clock, moment, time_of_day

#: Above this many nanoseconds the time column counts seconds instead of milliseconds.
LONG_NS = 100_000_000_000
#: The letters that stand for numbers (`connections.events.numbers`), and what each is. {o}, {r}: the two ends.
LETTERS = {
    "x": "number of the {o}'s SYN",
    "y": "number of the {r}'s SYN",
    "u": "number of the first FIN",
    "v": "the next number of the other end when it acknowledges that FIN",
    "w": "number of the other end's FIN",
}

#: Octets of segments, by frame and number.
Payload = Mapping[tuple[Frame, int], bytes]
#: Remarks of the caller on rows, by frame: what was expected there.
Marks = Mapping[Frame, Sequence[str]]
#: The states to write beside a row; None: none for that end.
Written = Pair[StateAt | None]

#: Of an end of which nothing is known yet.
UNKNOWN = StateAt(None, None)


@dataclass(frozen=True)
class Spelling:
    """How numbers, times and octets are spelled, and how much is shown."""

    numbers: Numbers = "symbolic"
    clock: Clock = "relative"
    #: Octets of payload shown per segment; 0 shows none.
    payload_octets: int = 16
    #: Fold long transfers into one line.
    fold: bool = True


class Standing(NamedTuple):
    """A row of states alone: those before the first segment, or those passed within one segment."""

    #: Text of the time column; "" before the first segment.
    time: str
    states: Pair[StateAt]
    written: Written


class Rung(NamedTuple):
    """A segment."""

    step: Step
    time: str
    #: Of both ends after it, with the basis that each had when it was last written.
    states: Pair[StateAt]
    written: Written
    #: Its first octets in quotes; "" if there are none to show.
    payload: str
    #: Remarks of the caller on it; None: there are none, and it is not highlighted.
    marks: Sequence[str] | None
    #: The findings of whose frames it is the last.
    findings: Sequence[Finding]


class ErrorRung(NamedTuple):
    """An ICMP error about a segment."""

    error: IcmpError
    time: str
    states: Pair[StateAt]
    marks: Sequence[str] | None
    findings: Sequence[Finding]
    #: It comes from the other end's address, not from a router on the way.
    from_end: bool


class CallRung(NamedTuple):
    """A socket call of one of the two programs."""

    mark: CallMark
    time: str
    states: Pair[StateAt]

    @property
    def is_right(self) -> bool:
        """Is it a call of the program on the right?"""
        return self.mark.end != "client"


class FoldRung(NamedTuple):
    """Segments that are not shown one by one."""

    folded: Fold
    time: str
    states: Pair[StateAt]
    #: "940 data segments, 1.4 MB from the client, all acknowledged, 470 bare ACKs".
    text: str


Row = Standing | Rung | ErrorRung | CallRung | FoldRung


class Deadline(NamedTuple):
    """When an end that was last seen in TIME-WAIT leaves it: at the earliest possible time, or when it was seen to."""

    wait: TimeWait
    time: str
    #: The same time in full, with its unit or date.
    until: str
    #: Both ends then.
    states: Pair[StateAt]
    written: Written
    #: How it ended, in a sentence; "" if no segment shows that.
    ended: str


@dataclass
class Ladder:
    """One ladder, from top to bottom."""

    connection: Connection
    #: All steps of the connection, shown or not.
    steps: Sequence[Step]
    spelling: Spelling
    #: How the ends are called: client and server, or originator and responder.
    names: Pair[str]
    #: The time that is 0.000.
    zero_ns: int
    #: The time column counts seconds instead of milliseconds.
    in_seconds: bool
    #: How segments spell their numbers, for the ICMP errors that quote them; empty if there are none.
    spellings: Spellings
    rows: Sequence[Row] = field(default_factory=list)

    # Above the rows.

    @property
    def addresses(self) -> Pair[str]:
        """Return the address of each end: "client 127.0.0.1:54668"."""
        one, names = self.connection, self.names
        return Pair(f"{names.originator} {one.originator}", f"{names.responder} {one.responder}")

    @property
    def initial_numbers(self) -> list[tuple[str, int | None]]:
        """Return the values of x and y, None if not captured. A self-connect is one socket, with one initial number."""
        one = self.connection
        return [(letter, one.initial_seq[end]) for letter, end in zip("xy", one.own_ends, strict=False)]

    @property
    def beginning(self) -> str:
        """Return the date on which it begins, if the time column shows the time of day; else ""."""
        clock = self.spelling.clock
        return "" if clock == "relative" else f"begins {moment(self.zero_ns, clock)}"

    @property
    def unit(self) -> str:
        """Return the heading of the time column."""
        return "time" if self.spelling.clock != "relative" else "s" if self.in_seconds else "ms"

    # Below the rows.

    @cached_property
    def signs(self) -> list[str]:
        """Return the signs that stand behind states in the rows, in the order of the legend."""
        written = [at for row in self.rows if isinstance(row, Rung | Standing) for at in row.written]
        used = {sign_of(at) for at in written if at is not None}
        return [sign for sign in LEGEND if sign in used]

    @property
    def letters(self) -> list[tuple[str, str]]:
        """Return the letters that occur in the rows, and what each means."""
        if self.spelling.numbers != "symbolic":
            return []
        steps = [row.step for row in self.rows if isinstance(row, Rung)]
        said = [f"{step.symbolic_seq}{step.symbolic_ack or ''}" for step in steps]
        said += [line.symbolic for step in steps for line in step.arithmetic]
        used = "".join(said)
        return [(letter, meaning) for letter, meaning in _meanings(self.names) if letter in used]

    @cached_property
    def deadlines(self) -> list[Deadline]:
        """Return when the ends that were last seen in TIME-WAIT leave it, by time."""
        now = next((row.states for row in reversed(self.rows)), Pair(UNKNOWN, UNKNOWN))
        waits = [one for one in self.connection.time_wait if now[one.owner].state == "TIME-WAIT"]
        found = []
        for wait in sorted(waits, key=lambda one: one.left_ns):
            left = [wait.state_after if self.connection.time_wait_of(end) is wait else None for end in ENDS]
            written: Written = Pair(*left)
            now = Pair(written.originator or now.originator, written.responder or now.responder)
            until = self.since(wait.left_ns)
            time = until if self.spelling.clock == "relative" else self.time(wait.left_ns)
            found.append(Deadline(wait, time, until, now, written, ended(wait, self.names, self.since)))
        return found

    def account(self, place: Callable[[Step], str] | None = None) -> list[Paragraph]:
        """Return the paragraphs below the rows. `place` says where a segment is drawn."""
        return paragraphs(
            self.connection,
            self.steps,
            names=self.names,
            clock=self.spelling.clock,
            zero_ns=self.zero_ns,
            place=place or self.place,
        )

    # Times.

    def time(self, time_ns: int) -> str:
        """Return a time as the time column shows it."""
        if self.spelling.clock != "relative":
            return time_of_day(time_ns, self.spelling.clock)
        return seconds(time_ns - self.zero_ns) if self.in_seconds else milliseconds(time_ns - self.zero_ns)

    def since(self, time_ns: int) -> str:
        """Return a time that may lie far below the last row, with its unit or date."""
        clock = self.spelling.clock
        return f"{seconds(time_ns - self.zero_ns)} s" if clock == "relative" else moment(time_ns, clock)

    def place(self, step: Step) -> str:
        """Say where a segment stands: "at 402.474 ms"."""
        if self.spelling.clock != "relative":
            return f"at {moment(step.time_ns, self.spelling.clock)}"
        return f"at {self.time(step.time_ns)} {self.unit}"


@cache
def _meanings(names: Pair[str]) -> list[tuple[str, str]]:
    """Return the meaning of each letter, with these names of the ends."""
    return [(letter, said.format(o=names.originator, r=names.responder)) for letter, said in LETTERS.items()]


def sender_of(error: IcmpError) -> End:
    """Return the end from whose side an ICMP error comes: it is sent to the end whose segment it quotes."""
    return "originator" if error.quotes == "responder" else "responder"
