"""The ladder of one connection: every segment, both states after it, and why its numbers are right.

In: a connection with its steps; the socket calls of both programs and the payload, where they are known. Out: lines
of `rich` text, complete without colour. The originator stands on the left. Read from top to bottom it tells what
happened when; across, what a segment did to both ends. Below it stand the account: times, books, TIME-WAIT, verdict.
An excerpt has some of the rows, drawn as they are in the whole, between the states before them and what the letters
mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from math import inf
from typing import TypeGuard

from rich.cells import cell_len
from rich.text import Text

from handshake_inspect.connections.connection import (
    ENDS,
    Connection,
    Finding,
    Frame,
    IcmpError,
    Pair,
    StateAt,
    Step,
    end_names,
)
from handshake_inspect.quantities import counted, milliseconds, seconds
from handshake_inspect.views.account import account
from handshake_inspect.views.escape import printable
from handshake_inspect.views.finding_lines import finding_text
from handshake_inspect.views.folding import Fold, fold
from handshake_inspect.views.icmp_lines import details, label, short_label, spelling_of, with_errors
from handshake_inspect.views.ladder_calls import CallMark, SocketCall, call_marks, fold_calls
from handshake_inspect.views.ladder_cells import LETTERS, Cells, LadderOptions, Numbers, Payload
from handshake_inspect.views.ladder_layout import ARROW, Layout, arrow, flow, flow_together, wrap
from handshake_inspect.views.ladder_states import LEGEND, StateWalk, sign_of, state_text
from handshake_inspect.views.words import moment, octets, time_of_day

__all__ = ["LadderOptions", "Marks", "Numbers", "Payload", "SocketCall", "excerpt", "ladder"]

#: Above this many nanoseconds the time column counts seconds instead of milliseconds.
LONG_NS = 100_000_000_000


Row = Step | Fold | CallMark | IcmpError
#: What is to be said of rows from outside, by their frames: what was expected there.
Marks = Mapping[Frame, Sequence[str]]


def ladder(
    connection: Connection,
    steps: Sequence[Step],
    *,
    title: str,
    facts: Sequence[str] = (),
    calls: Sequence[SocketCall] = (),
    payload: Payload | None = None,
    marks: Marks | None = None,
    options: LadderOptions | None = None,
) -> list[Text]:
    """Return the lines of the ladder of `connection`, header and account included.

    `marks`: what to say of some rows, which stand out.
    """
    drawing = _Drawing(connection, steps, calls, payload or {}, options or LadderOptions(), marks=marks)
    return [
        *drawing.header(title, facts),
        Text(),
        *drawing.heading(),
        *drawing.rows(),
        *drawing.legend(),
        Text(),
        *account(
            connection,
            steps,
            names=drawing.names,
            width=drawing.options.width,
            clock=drawing.options.clock,
            zero_ns=drawing.zero_ns,
            place=drawing.place,
        ),
    ]


def excerpt(
    connection: Connection,
    steps: Sequence[Step],
    part: Sequence[Step],
    *,
    title: Sequence[Text],
    calls: Sequence[SocketCall] = (),
    payload: Payload | None = None,
    options: LadderOptions | None = None,
) -> list[Text]:
    """Return the rows of `part`, some of the `steps` in a row, under a title; first the states before them.

    Times, numbers and letters are those of the whole ladder. With the segments come the calls next to them.
    """
    drawing = _Drawing(connection, steps, calls, payload or {}, options or LadderOptions(), part)
    return [
        *flow(title, drawing.options.width),
        Text(),
        *drawing.heading(),
        *drawing.rows(),
        *drawing.legend(drawing.letters()),
    ]


class _Drawing:
    """What all lines of one ladder share."""

    def __init__(
        self,
        connection: Connection,
        steps: Sequence[Step],
        calls: Sequence[SocketCall],
        payload: Payload,
        options: LadderOptions,
        part: Sequence[Step] | None = None,
        marks: Marks | None = None,
    ) -> None:
        self.connection = connection
        self.options = options
        #: By the frame below which it is said.
        self.marked = marks or {}
        self.names = end_names(connection.handshake.kind)
        part = steps if part is None else part
        self.earlier = steps[: steps.index(part[0])] if part else ()
        rows = fold(part, unfolded=self.marked) if options.fold else iter(part)
        segments_and_errors = with_errors(rows, connection.icmp_errors)
        shown = beside(merge(segments_and_errors, call_marks(calls, steps)), steps, part)
        self.shown: Sequence[Row] = fold_calls(shown) if options.fold else shown
        self.zero_ns = start_ns(calls, steps)
        last: list[Row] = [*steps[-1:], *connection.icmp_errors[-1:]]
        self.in_seconds = max(map(row_time, last), default=0) - self.zero_ns >= LONG_NS
        self.spelling = spelling_of(steps) if connection.icmp_errors else {}
        self.cells = Cells(options, payload)
        segments = [row for row in self.shown if isinstance(row, Step)]
        frames = [row.frame for row in self.shown if isinstance(row, Step | IcmpError)]
        labels = [self.cells.label(step).cell_len for step in segments]
        payloads = [len(f" {text}") if (text := self.cells.payload(step)) else 0 for step in segments]
        errors = [label(error).cell_len for error in connection.icmp_errors]
        self.layout = Layout.fitting(
            options.width,
            frame=max([5, *(len(frame_text(frame)) for frame in frames)]),
            time=max([7, *(len(self.time(row_time(row))) for row in self.shown)]),
            label=max([0, *labels]),
            with_payload=max([0, *map(sum, zip(labels, payloads, strict=True)), *errors]),
            call=max([0, *(cell_len(row.text) for row in self.shown if is_right_call(row))]),
        )
        self.marks: set[str] = set()
        #: By the frame below which they stand.
        self.findings = findings_by_frame(connection, frames)

    # The header: whose connection, and what the letters stand for.

    def header(self, title: str, facts: Sequence[str]) -> list[Text]:
        """Return the title, the addresses, the two initial sequence numbers, and what else is known."""
        connection, names = self.connection, self.names
        addresses = [Text(f"{names[end]} {connection.originator if end == 'originator' else connection.responder}")
                     for end in ENDS]  # fmt: skip
        initial = []
        # A self-connect is one socket, with one initial number.
        ends = ENDS[:1] if connection.originator == connection.responder else ENDS
        for letter, end in zip("xy", ends, strict=False):
            number = connection.initial_seq[end]
            initial.append(Text(f"{letter} = {'not captured' if number is None else number}", "cyan"))
        more = [Text(printable(fact)) for fact in facts]
        if self.options.clock != "relative":
            more.append(Text("begins " + moment(self.zero_ns, self.options.clock)))
        return flow_together([[Text(printable(title), "bold")], addresses, initial, more], self.options.width)

    def heading(self) -> list[Text]:
        """Return the names of the columns."""
        unit = "time" if self.options.clock != "relative" else "s" if self.in_seconds else "ms"
        proof = Text("why the number is right", "dim") if self.layout.proof else None
        left, right = (Text(self.names[end], "bold") for end in ENDS)
        if self.layout.frame:
            unit = "frame".rjust(self.layout.frame) + unit.rjust(self.layout.time - self.layout.frame)
        return [self.layout.row(unit, left, Text(), right, proof)]

    def letters(self) -> list[Text]:
        """Say what the letters mean that stand for numbers in the rows, if letters do."""
        if self.options.numbers != "symbolic":
            return []
        segments = [row for row in self.shown if isinstance(row, Step)]
        used = {*"".join(f"{step.symbolic_seq}{step.symbolic_ack}" for step in segments)}
        used |= {*"".join(line.symbolic for step in segments for line in step.arithmetic)}
        ends = {"o": self.names.originator, "r": self.names.responder}
        return [Text(f"{letter}: {LETTERS[letter].format(**ends)}", "dim") for letter in LETTERS if letter in used]

    def legend(self, more: Sequence[Text] = ()) -> list[Text]:
        """Explain the signs behind states, those that were used."""
        signs = [Text(f"{sign} {LEGEND[sign]}", "dim") for sign in LEGEND if sign in self.marks]
        if not signs and not more:
            return []
        lines = flow_together([signs, more], self.options.width - self.layout.time - 2)
        return [Text(), *(Text(" " * (self.layout.time + 2)).append_text(line) for line in lines)]

    # The rows.

    def rows(self) -> Iterator[Text]:
        """Yield the lines of every row, with the states that changed."""
        walk = StateWalk(self.connection)
        opened = False
        for row in self.shown:
            if not opened and row_time(row) >= self.zero_ns:
                opened = True
                before = walk.before_first()
                if self.earlier:
                    before = walk.past(self.earlier)
                if before is not None:
                    yield self.layout.row("", self.state(before.originator), Text(), self.state(before.responder))
            if isinstance(row, CallMark):
                yield self.call_line(row)
            elif isinstance(row, Fold):
                yield from self.fold_lines(row)
            elif isinstance(row, IcmpError):
                yield from self.error_lines(row)
            else:
                passed, now = walk.after(row)
                for left, right in passed:
                    yield self.layout.row(self.time(row.time_ns), self.state(left), Text(), self.state(right))
                yield from self.segment_lines(row, now)

    def call_line(self, mark: CallMark) -> Text:
        """Return the line of a socket call, in the lane of its program."""
        right = is_right_call(mark)
        room = self.layout.right_call_room if right else self.layout.left_call_room
        said = printable(mark.text)
        text = Text(printable(mark.short) if mark.short and cell_len(said) > room else said, "italic blue")
        place = self.layout.right_call if right else self.layout.left_call
        return place(self.time(mark.time_ns), text)

    def fold_lines(self, folded: Fold) -> Iterator[Text]:
        """Say in one line what was folded."""
        sizes = [f"{octets(folded.octets(end))} from the {self.names[end]}" for end in ENDS if folded.octets(end)]
        bare = len(folded.steps) - folded.data_segments
        said = [
            *([counted(folded.data_segments, "data segment")] if folded.data_segments else []),
            *sizes,
            *({True: ["all acknowledged"], False: ["not all acknowledged"], None: []}[folded.acknowledged]),
            *([counted(bare, "bare ACK")] if bare else []),
        ]
        text = Text(f"… {', '.join(said)} …", "dim")
        start = self.layout.time + 2
        first, *others = wrap(text, self.options.width - start)
        yield self.layout.left_call(self.time(folded.steps[0].time_ns), first)
        yield from (Text(" " * start).append_text(line) for line in others)

    def segment_lines(self, step: Step, now: Pair[StateAt | None]) -> Iterator[Text]:
        """Yield the line of a segment, and those below it: options, payload, proof, why it is ignored."""
        layout = self.layout
        label, rest = self.label_and_rest(step)
        drawn = arrow(
            label,
            layout.lane,
            to_right=step.sender == "originator",
            arrives=step.ignored is None,
            style="red" if step.ignored or "RST" in step.flags.split(",") else "bright_black",
        )
        proofs = [self.cells.proof(line) for line in step.arithmetic]
        beside = flow(proofs, layout.proof) if layout.proof else []
        left, right = self.state(now.originator), self.state(now.responder)
        yield self.stand_out(step, layout.row(self.when(step), left, drawn, right, beside[0] if beside else None))
        below = chain(self.option_lines(step), self.payload_lines(step, rest))
        for lane, proof in zip_longest(below, beside[1:]):
            yield layout.row("", Text(), lane or Text(), Text(), proof)
        if not layout.proof:
            yield from (layout.under_lane(line) for line in flow(proofs, layout.below))
        if step.ignored is not None:
            said = Text(f"ignored: {printable(step.ignored)}", "red")
            yield from (layout.under_lane(line) for line in wrap(said, layout.below))
        for comment in step.comments:
            said = Text(f"comment: {printable(comment)}", "italic")
            yield from (layout.under_lane(line) for line in wrap(said, layout.below))
        yield from self.said_below(step)

    def error_lines(self, error: IcmpError) -> Iterator[Text]:
        """Yield the line of an ICMP error, which comes from the other end or from the way, and what it quotes."""
        layout, connection = self.layout, self.connection
        said, more = label(error), details(error, self.options.numbers, self.spelling)
        if said.cell_len > layout.lane - ARROW:
            said, more = short_label(error), [Text(error.message, said.style), *more]
        to_right = error.quotes == "responder"
        sender = connection.originator if to_right else connection.responder
        arrives, whole = error.was_sent is not False, error.source == sender.ip
        drawn = arrow(said, layout.lane, to_right=to_right, arrives=arrives, style="red", whole=whole)
        beside = flow(more, layout.proof) if layout.proof else []
        drawn_row = layout.row(self.when(error), Text(), drawn, Text(), beside[0] if beside else None)
        yield self.stand_out(error, drawn_row)
        yield from (layout.row("", Text(), Text(), Text(), line) for line in beside[1:])
        if not layout.proof:
            yield from (layout.under_lane(line) for line in flow(more, layout.below))
        yield from self.said_below(error)

    def said_below(self, row: Step | IcmpError) -> Iterator[Text]:
        """Yield what was expected here, and what was noticed: a finding stands at the last segment that shows it."""
        said = [Text(printable(text), "bold red") for text in self.marked.get(row.frame, ())]
        said += [finding_text(finding) for finding in self.findings.get(row.frame, ())]
        for text in said:
            yield from (self.layout.under_lane(line) for line in wrap(text, self.layout.below))

    def stand_out(self, row: Step | IcmpError, line: Text) -> Text:
        """Put a sign between time and left state of a row of which something is to be said."""
        if row.frame not in self.marked:
            return line
        sign = Text("» ", "bold red")
        return line[: self.layout.time].append_text(sign).append_text(line[self.layout.time + sign.cell_len :])

    def when(self, row: Step | IcmpError) -> str:
        """Return the text of the time column, with the number of the frame if that is shown."""
        time, layout = self.time(row.time_ns), self.layout
        if not layout.frame:
            return time
        return frame_text(row.frame).rjust(layout.frame) + time.rjust(layout.time - layout.frame)

    def place(self, step: Step) -> str:
        """Say where a segment stands, as its row does: "at 402.474 ms", "in frame 13 at 402.474 ms"."""
        frame = f"in frame {frame_text(step.frame)} at " if self.layout.frame else "at "
        if self.options.clock != "relative":
            return frame + moment(step.time_ns, self.options.clock)
        return f"{frame}{self.time(step.time_ns)} {'s' if self.in_seconds else 'ms'}"

    def label_and_rest(self, step: Step) -> tuple[Text, str]:
        """Return what stands on the arrow, and the payload if that must go below it."""
        label, text = self.cells.label(step), self.cells.payload(step)
        room = self.layout.lane - ARROW - label.cell_len - 1
        if not text or len(text) > room:
            return label, text
        return label.append(" ").append(text, "green"), ""

    def option_lines(self, step: Step) -> Iterator[Text]:
        """Yield what a SYN offers, on its sender's side."""
        offer, room = self.cells.options_offered(step), self.layout.lane - 4
        for line in wrap(offer, room, indent=0) if offer else []:
            indent = room - line.cell_len + 2 if step.sender == "responder" else 2
            yield Text(" " * indent).append_text(line)

    def payload_lines(self, step: Step, text: str) -> Iterator[Text]:
        """Yield the payload in as many lines of the lane as it needs, on its sender's side."""
        room = self.layout.lane - 4
        for start in range(0, len(text), room):
            part = text[start : start + room]
            indent = room - len(part) + 2 if step.sender == "responder" and len(text) <= room else 2
            yield Text(" " * indent).append(part, "green")

    def state(self, at: StateAt | None) -> Text:
        """Return a state, and remember its sign for the legend."""
        if at is not None and sign_of(at):
            self.marks.add(sign_of(at))
        return state_text(at)

    def time(self, time_ns: int) -> str:
        """Return the time column's text."""
        if self.options.clock != "relative":
            return time_of_day(time_ns, self.options.clock)
        return seconds(time_ns - self.zero_ns) if self.in_seconds else milliseconds(time_ns - self.zero_ns)


def findings_by_frame(connection: Connection, shown: Iterable[Frame]) -> dict[Frame, list[Finding]]:
    """Place each finding at the last of its frames that is shown."""
    order = {frame: place for place, frame in enumerate(shown)}
    placed: dict[Frame, list[Finding]] = {}
    for finding in connection.findings:
        last = max((frame for frame in finding.frames if frame in order), key=order.__getitem__, default=None)
        if last is not None:
            placed.setdefault(last, []).append(finding)
    return placed


def merge(rows: Iterable[Step | Fold | IcmpError], marks: Sequence[CallMark]) -> list[Row]:
    """Put socket calls between the segments by time; segments keep the order in which they were captured."""
    merged: list[Row] = []
    waiting = list(marks)
    for row in rows:
        while waiting and waiting[0].time_ns <= row_time(row):
            merged.append(waiting.pop(0))
        merged.append(row)
    return merged + waiting


def beside(rows: Sequence[Row], steps: Sequence[Step], part: Sequence[Step]) -> list[Row]:
    """Leave out the calls and errors that are not next to a segment of `part`: others of the `steps` lie between."""
    if len(part) in (0, len(steps)):
        return list(rows)
    first, after = steps.index(part[0]), steps.index(part[-1]) + 1
    begin_ns = steps[first - 1].time_ns if first else -inf
    end_ns = steps[after].time_ns if after < len(steps) else inf
    return [row for row in rows if isinstance(row, Step | Fold) or begin_ns < row_time(row) <= end_ns]


def row_time(row: Row) -> int:
    """Return when a row happened; for folded segments, when they began."""
    return row.steps[0].time_ns if isinstance(row, Fold) else row.time_ns


def frame_text(frame: Frame) -> str:
    """Return the number of a frame, with its capture where that is another one."""
    return str(frame) if isinstance(frame, int) else f"{printable(frame[0])}:{frame[1]}"


def is_right_call(row: Row) -> TypeGuard[CallMark]:
    """Is it a call of the program on the right?"""
    return isinstance(row, CallMark) and row.end != "client"


def start_ns(calls: Sequence[SocketCall], steps: Sequence[Step]) -> int:
    """Return the time that is 0.000: the client's connect(), else the first segment."""
    connects = [call.entered_ns for call in calls if call.end == "client" and call.name == "connect"]
    return min([*connects, *(step.time_ns for step in steps[:1])], default=0)
