"""What stands on a ladder, rung by rung, as data: free of widths, of terminals and of markup.

In: a connection with its steps; the socket calls of both programs and the payload, where they are known. Out: a
`Ladder`, from which the text ladder (`ladder`) and the pictures (`pictures`) are laid out. Every row knows the states
of both ends after it, and which of them are to be written there: those that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    end_names,
)
from handshake_inspect.quantities import counted, milliseconds, seconds
from handshake_inspect.views.account import Paragraph, paragraphs
from handshake_inspect.views.escape import printable
from handshake_inspect.views.folding import Fold
from handshake_inspect.views.icmp_lines import Spellings, spelling_of
from handshake_inspect.views.ladder_calls import CallMark, SocketCall
from handshake_inspect.views.ladder_order import Shown, findings_by_frame, row_time, shown_rows, start_ns
from handshake_inspect.views.ladder_states import LEGEND, StateWalk, sign_of
from handshake_inspect.views.segment_words import Numbers, payload_words
from handshake_inspect.views.time_wait_lines import ended
from handshake_inspect.views.words import Clock, moment, octets, time_of_day

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
#: What is to be said of rows from outside, by their frames: what was expected there.
Marks = Mapping[Frame, Sequence[str]]
#: States to be written beside a row; None: not there.
Written = Pair[StateAt | None]

_UNKNOWN = StateAt(None, None)


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
    """A row of states alone: those before the first segment, or those passed on the way within one."""

    #: Text of the time column; "" before the first segment.
    time: str
    states: Pair[StateAt]
    written: Written


class Rung(NamedTuple):
    """A segment."""

    step: Step
    time: str
    #: Of both ends after it, known as well as they were when they were last written.
    states: Pair[StateAt]
    written: Written
    #: Its first octets in quotes; "" if none are known or wanted.
    payload: str
    #: What is to be said of it from outside; None: nothing is, and it does not stand out.
    marks: Sequence[str] | None
    #: Those of which it is the last segment that shows them.
    findings: Sequence[Finding]


class ErrorRung(NamedTuple):
    """An ICMP error about a segment."""

    error: IcmpError
    time: str
    states: Pair[StateAt]
    marks: Sequence[str] | None
    findings: Sequence[Finding]
    #: It comes from the other end's address, not from somebody on the way.
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
    """When an end that was last seen in TIME-WAIT may leave it at the earliest, or was seen to have left it earlier."""

    wait: TimeWait
    time: str
    #: The same in full, with its unit or date.
    until: str
    #: Both ends then.
    states: Pair[StateAt]
    written: Written
    #: How it ended, in a sentence; "" if no segment shows that.
    ended: str


@dataclass
class Ladder:
    """All of one ladder, in the order in which it is read."""

    connection: Connection
    #: All of them, shown or not.
    steps: Sequence[Step]
    spelling: Spelling
    #: What the ends are called.
    names: Pair[str]
    #: The time that is 0.000.
    zero_ns: int
    #: The time column counts seconds.
    in_seconds: bool
    #: How segments spell their numbers, where ICMP errors quote some.
    spellings: Spellings
    rows: Sequence[Row] = field(default_factory=list)

    # Above the rows.

    @property
    def addresses(self) -> Pair[str]:
        """Who they are: "client 127.0.0.1:54668"."""
        one, names = self.connection, self.names
        return Pair(f"{names.originator} {one.originator}", f"{names.responder} {one.responder}")

    @property
    def initial_numbers(self) -> list[tuple[str, int | None]]:
        """What x and y stand for; None: not captured. A self-connect is one socket, with one initial number."""
        one = self.connection
        return [(letter, one.initial_seq[end]) for letter, end in zip("xy", one.own_ends, strict=False)]

    @property
    def beginning(self) -> str:
        """Say on which day, where the time column has the time of day; else ""."""
        clock = self.spelling.clock
        return "" if clock == "relative" else f"begins {moment(self.zero_ns, clock)}"

    @property
    def unit(self) -> str:
        """Name the time column."""
        return "time" if self.spelling.clock != "relative" else "s" if self.in_seconds else "ms"

    # Below the rows.

    @cached_property
    def signs(self) -> list[str]:
        """Return the signs behind states that are used in the rows, in the order of the legend."""
        written = [at for row in self.rows if isinstance(row, Rung | Standing) for at in row.written]
        used = {sign_of(at) for at in written if at is not None}
        return [sign for sign in LEGEND if sign in used]

    @property
    def letters(self) -> list[tuple[str, str]]:
        """Return the letters that stand for numbers in the rows, and what each means."""
        if self.spelling.numbers != "symbolic":
            return []
        steps = [row.step for row in self.rows if isinstance(row, Rung)]
        said = [f"{step.symbolic_seq}{step.symbolic_ack or ''}" for step in steps]
        said += [line.symbolic for step in steps for line in step.arithmetic]
        used = "".join(said)
        return [(letter, meaning) for letter, meaning in _meanings(self.names) if letter in used]

    @cached_property
    def deadlines(self) -> list[Deadline]:
        """Return when those who were last seen in TIME-WAIT leave it, by time."""
        now = next((row.states for row in reversed(self.rows)), Pair(_UNKNOWN, _UNKNOWN))
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
        """Return what there is to say below: headings, and sentences. `place` says where a segment is drawn."""
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
        """Return the time column's text."""
        if self.spelling.clock != "relative":
            return time_of_day(time_ns, self.spelling.clock)
        return seconds(time_ns - self.zero_ns) if self.in_seconds else milliseconds(time_ns - self.zero_ns)

    def since(self, time_ns: int) -> str:
        """Return a time far below the last row, with its unit."""
        clock = self.spelling.clock
        return f"{seconds(time_ns - self.zero_ns)} s" if clock == "relative" else moment(time_ns, clock)

    def place(self, step: Step) -> str:
        """Say where a segment stands: "at 402.474 ms"."""
        if self.spelling.clock != "relative":
            return f"at {moment(step.time_ns, self.spelling.clock)}"
        return f"at {self.time(step.time_ns)} {self.unit}"


@cache
def _meanings(names: Pair[str]) -> list[tuple[str, str]]:
    """Return what the letters mean, for these names of the ends."""
    return [(letter, said.format(o=names.originator, r=names.responder)) for letter, said in LETTERS.items()]


def ladder_of(
    connection: Connection,
    steps: Sequence[Step],
    *,
    calls: Sequence[SocketCall] = (),
    payload: Payload | None = None,
    marks: Marks | None = None,
    spelling: Spelling | None = None,
    part: Sequence[Step] | None = None,
) -> Ladder:
    """Return the ladder of `connection`; with `part`, some of its `steps` in a row, only their rungs.

    `marks`: what to say of some rows; they are not folded.
    """
    spelling = spelling or Spelling()
    part_shown = steps if part is None else part
    has_payload = spelling.payload_octets > 0
    shown = shown_rows(
        connection, steps, calls, part_shown, folds=spelling.fold, payload=has_payload, unfolded=marks or ()
    )
    last: list[Step | IcmpError] = [*steps[-1:], *connection.icmp_errors[-1:]]
    zero_ns = start_ns(calls, steps)
    found = Ladder(
        connection,
        steps,
        spelling,
        end_names(connection.handshake.kind),
        zero_ns,
        in_seconds=max([one.time_ns for one in last], default=0) - zero_ns >= LONG_NS,
        spellings=spelling_of(steps) if connection.icmp_errors else {},
    )
    earlier = steps[: steps.index(part[0])] if part else ()
    found.rows = list(_Climb(found, payload or {}, marks or {}, shown, earlier).rows())
    return found


# --- the rungs -------------------------------------------------------------------------------------------------------


class _Climb:
    """Goes up a ladder, and keeps the states of both ends."""

    def __init__(
        self, ladder: Ladder, payload: Payload, marks: Marks, shown: Sequence[Shown], earlier: Sequence[Step]
    ) -> None:
        self._ladder, self._payload, self._marks, self._shown, self._earlier = ladder, payload, marks, shown, earlier
        self._walk = StateWalk(ladder.connection)
        self._states: Pair[StateAt] = Pair(_UNKNOWN, _UNKNOWN)
        frames = [row.frame for row in shown if isinstance(row, Step | IcmpError)]
        #: By the frame below which they stand.
        self._findings = findings_by_frame(ladder.connection, frames)

    def rows(self) -> Iterator[Row]:
        """Yield the rungs; before the first segment the states before it."""
        opened = False
        for row in self._shown:
            if not opened and row_time(row) >= self._ladder.zero_ns:
                opened = True
                yield from self._before()
            if isinstance(row, Step):
                yield from self._segment(row)
            elif isinstance(row, CallMark):
                yield CallRung(row, self._ladder.time(row.time_ns), self._states)
            elif isinstance(row, Fold):
                time = self._ladder.time(row.steps[0].time_ns)
                yield FoldRung(row, time, self._states, fold_words(row, self._ladder.names))
            else:
                yield self._error(row)

    def _before(self) -> Iterator[Standing]:
        before = self._walk.before_first()
        if self._earlier:
            before = self._walk.past(self._earlier)
        if before is not None:
            self._states = before
            yield Standing("", before, Pair(before.originator, before.responder))

    def _segment(self, step: Step) -> Iterator[Standing | Rung]:
        time = self._ladder.time(step.time_ns)
        passed, written = self._walk.after(step)
        for left, right in passed:
            now = Pair(left or self._states.originator, right or self._states.responder)
            yield Standing(time, now, Pair(left, right))
        if written.originator is not None or written.responder is not None:
            left, right = written.originator, written.responder
            self._states = Pair(left or self._states.originator, right or self._states.responder)
        data = self._payload.get((step.frame, step.seq)) if self._payload else None
        payload = payload_words(data, self._ladder.spelling.payload_octets, step.payload_octets) if data else ""
        marks, findings = self._marks.get(step.frame), self._findings.get(step.frame, ())
        yield Rung(step, time, self._states, written, payload, marks, findings)

    def _error(self, error: IcmpError) -> ErrorRung:
        one = self._ladder.connection
        sender = one.originator if error.quotes == "responder" else one.responder
        marks, findings = self._marks.get(error.frame), self._findings.get(error.frame, ())
        time = self._ladder.time(error.time_ns)
        return ErrorRung(error, time, self._states, marks, findings, from_end=error.source == sender.ip)


def fold_words(folded: Fold, names: Pair[str]) -> str:
    """Say in one line what was folded."""
    sizes = [f"{octets(folded.octets(end))} from the {names[end]}" for end in ENDS if folded.octets(end)]
    bare = len(folded.steps) - folded.data_segments
    said = [
        *([counted(folded.data_segments, "data segment")] if folded.data_segments else []),
        *sizes,
        *({True: ["all acknowledged"], False: ["not all acknowledged"], None: []}[folded.acknowledged]),
        *([counted(bare, "bare ACK")] if bare else []),
    ]
    return ", ".join(said)


def frame_text(frame: Frame) -> str:
    """Return the number of a frame, with its capture where that is another one."""
    return str(frame) if isinstance(frame, int) else f"{printable(frame[0])}:{frame[1]}"


def sender_of(error: IcmpError) -> End:
    """Return from whose side an ICMP error comes: it goes to the end whose segment it quotes."""
    return "originator" if error.quotes == "responder" else "responder"
