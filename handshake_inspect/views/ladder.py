"""The ladder of one connection: every segment, both states after it, and why its numbers are right.

In: a connection with its steps; the socket calls of both programs and the payload, where they are known. Out: lines
of `rich` text, complete without colour. The originator stands on the left. Read from top to bottom it tells what
happened when; across, what a segment did to both ends. Below it stand the account: times, books, TIME-WAIT, verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeGuard

from rich.cells import cell_len
from rich.text import Text

from handshake_inspect.connections.connection import Arithmetic, Connection, End, Frame, Pair, StateAt, Step
from handshake_inspect.views.account import account
from handshake_inspect.views.escape import octets_text, printable
from handshake_inspect.views.folding import Fold, fold
from handshake_inspect.views.ladder_layout import ARROW, Layout, arrow, flow, wrap
from handshake_inspect.views.words import Clock, counted, milliseconds, moment, octets, seconds, time_of_day

Numbers = Literal["symbolic", "relative", "absolute"]

ENDS: tuple[End, End] = ("originator", "responder")
STATE_STYLES = {
    "CLOSED": "bright_black",
    "LISTEN": "blue",
    "SYN-SENT": "cyan",
    "SYN-RECEIVED": "cyan",
    "ESTABLISHED": "bold green",
    "TIME-WAIT": "bold yellow",
}
CLOSING_STYLE = "magenta"
#: Signs behind a state, and what the legend says about each.
ASSUMED, DISPROVED, BY_TIMER = "?", "✗", "~"
LEGEND = {
    ASSUMED: "assumed: the segment was seen, its arrival is not proven by any later number",
    DISPROVED: "assumed at that moment, and disproved by a later segment",
    BY_TIMER: "by a timer, which no segment shows",
}
#: Above this many nanoseconds the time column counts seconds instead of milliseconds.
LONG_NS = 100_000_000_000


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
        """What it returned: "0", "b''"."""

    @property
    def entered_ns(self) -> int:
        """When it was entered, on the clock of the capture."""

    @property
    def returned_ns(self) -> int:
        """When it returned."""


@dataclass(frozen=True)
class LadderOptions:
    """How the ladder is to look."""

    width: int = 100
    numbers: Numbers = "symbolic"
    clock: Clock = "relative"
    #: Octets of payload shown per segment; 0 shows none.
    payload_octets: int = 16
    #: Fold long transfers into one line.
    fold: bool = True


@dataclass(frozen=True)
class CallMark:
    """One line of a socket call: it was entered, it returned, or both with nothing between."""

    time_ns: int
    end: str
    text: str


Row = Step | Fold | CallMark
Payload = Mapping[Frame, bytes]


def ladder(
    connection: Connection,
    steps: Sequence[Step],
    *,
    title: str,
    facts: Sequence[str] = (),
    calls: Sequence[SocketCall] = (),
    payload: Payload | None = None,
    options: LadderOptions | None = None,
) -> list[Text]:
    """Return the lines of the ladder of `connection`, header and account included."""
    drawing = _Drawing(connection, steps, calls, payload or {}, options or LadderOptions())
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
        ),
    ]


def end_names(connection: Connection) -> Pair[str]:
    """Return what to call the ends: client and server, where the capture shows which is which."""
    if connection.handshake.kind in ("simultaneous-open", "self-connect", "not-captured"):
        return Pair("originator", "responder")
    return Pair("client", "server")


class _Drawing:
    """What all lines of one ladder share."""

    def __init__(
        self,
        connection: Connection,
        steps: Sequence[Step],
        calls: Sequence[SocketCall],
        payload: Payload,
        options: LadderOptions,
    ) -> None:
        self.connection = connection
        self.payload = payload
        self.options = options
        self.names = end_names(connection)
        self.shown: list[Row] = merge(fold(steps) if options.fold else iter(steps), call_marks(calls, steps))
        self.zero_ns = _zero(calls, steps)
        self.in_seconds = bool(steps) and steps[-1].time_ns - self.zero_ns >= LONG_NS
        labels = [self.label(row, payload_room=0) for row in self.shown if isinstance(row, Step)]
        full = [self.label(row, payload_room=None) for row in self.shown if isinstance(row, Step)]
        self.layout = Layout.fitting(
            options.width,
            frame=max([5, *(len(frame_text(row.frame)) for row in self.shown if isinstance(row, Step))]),
            time=max([7, *(len(self.time(row_time(row))) for row in self.shown)]),
            label=max([0, *(label.cell_len for label in labels)]),
            with_payload=max([0, *(label.cell_len for label in full)]),
            call=max([0, *(cell_len(row.text) for row in self.shown if is_right_call(row))]),
        )
        self.marks: set[str] = set()

    # The header: whose connection, and what the letters stand for.

    def header(self, title: str, facts: Sequence[str]) -> list[Text]:
        """Return the title, the addresses, and the two initial sequence numbers."""
        connection, names = self.connection, self.names
        items = [Text(printable(title), "bold")]
        items += [Text(f"{names[end]} {connection.originator if end == 'originator' else connection.responder}")
                  for end in ENDS]  # fmt: skip
        for letter, end in zip("xy", ENDS, strict=True):
            number = connection.initial_seq[end]
            items.append(Text(f"{letter} = {'not captured' if number is None else number}", "cyan"))
        items += [Text(printable(fact)) for fact in facts]
        if self.options.clock != "relative":
            items.append(Text("begins " + moment(self.zero_ns, self.options.clock)))
        return flow(items, self.options.width)

    def heading(self) -> list[Text]:
        """Return the names of the columns."""
        unit = "time" if self.options.clock != "relative" else "s" if self.in_seconds else "ms"
        proof = Text("why the numbers are right", "dim") if self.layout.proof else None
        left, right = (Text(self.names[end], "bold") for end in ENDS)
        if self.layout.frame:
            unit = "frame".rjust(self.layout.frame) + unit.rjust(self.layout.time - self.layout.frame)
        return [self.layout.row(unit, left, Text(), right, proof)]

    def legend(self) -> list[Text]:
        """Explain the signs behind states, those that were used."""
        items = [Text(f"{sign} {LEGEND[sign]}", "dim") for sign in LEGEND if sign in self.marks]
        if not items:
            return []
        lines = flow(items, self.options.width - self.layout.time - 2)
        return [Text(), *(Text(" " * (self.layout.time + 2)).append_text(line) for line in lines)]

    # The rows.

    def rows(self) -> Iterator[Text]:
        """Yield the lines of every row, with the states that changed."""
        walk = _StateWalk(self.connection)
        opened = False
        for row in self.shown:
            if not opened and row_time(row) >= self.zero_ns:
                opened = True
                before = walk.before_first()
                if before is not None:
                    yield self.layout.row("", self.state(before.originator), Text(), self.state(before.responder))
            if isinstance(row, CallMark):
                yield self.call_line(row)
            elif isinstance(row, Fold):
                yield from self.fold_lines(row)
            else:
                passed, now = walk.after(row)
                for left, right in passed:
                    yield self.layout.row("", self.state(left), Text(), self.state(right))
                yield from self.segment_lines(row, now)

    def call_line(self, mark: CallMark) -> Text:
        """Return the line of a socket call, in the lane of its program."""
        text = Text(printable(mark.text), "italic blue")
        time = self.time(mark.time_ns)
        place = self.layout.right_call if is_right_call(mark) else self.layout.left_call
        return place(time, text)

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
        """Yield the line of a segment, and those below it: payload, proof, why it is ignored."""
        layout = self.layout
        room = layout.lane - ARROW
        label = self.label(step, payload_room=room)
        drawn = arrow(
            label,
            layout.lane,
            to_right=step.sender == "originator",
            arrives=step.ignored is None,
            style="red" if step.ignored or "RST" in step.flags.split(",") else "bright_black",
        )
        proofs = [self.proof(line) for line in step.arithmetic]
        beside = flow(proofs, layout.proof) if layout.proof else []
        time = self.time(step.time_ns)
        if layout.frame:
            time = frame_text(step.frame).rjust(layout.frame) + time.rjust(layout.time - layout.frame)
        yield layout.row(
            time,
            self.state(now.originator),
            drawn,
            self.state(now.responder),
            beside[0] if beside else None,
        )
        yield from self.lines_below(step, beside[1:], shown=label.plain)
        if not layout.proof:
            yield from (layout.under_lane(line) for line in flow(proofs, layout.below))
        if step.ignored is not None:
            said = Text(f"ignored: {printable(step.ignored)}", "red")
            yield from (layout.under_lane(line) for line in wrap(said, layout.below))

    def lines_below(self, step: Step, proofs: Sequence[Text], *, shown: str) -> Iterator[Text]:
        """Yield what did not fit on the line of the segment: its payload, the rest of its proof."""
        layout = self.layout
        text = self.payload_text(step, None)
        unseen = bool(text) and layout.proof > 0 and text not in shown
        for index in range(max(len(proofs), int(unseen))):
            lane = Text()
            if unseen and index == 0:
                room = " " * (layout.lane - 2 - len(text)) if step.sender == "responder" else "  "
                lane.append(room).append(text, "green")
            proof = proofs[index] if index < len(proofs) else None
            yield layout.row("", Text(), lane, Text(), proof)

    # The cells.

    def label(self, step: Step, *, payload_room: int | None) -> Text:
        """Return the segment in words: control bits, seq, ack, len, and its payload as far as there is room.

        `payload_room`: how wide the whole label may be with its payload; None: any width, 0: no payload.
        """
        seq, ack = self.numbers(step)
        label = Text()
        label.append(step.flags or "no control bits", _flags_style(step.flags))
        label.append(f" seq={seq}")
        if ack is not None:
            label.append(f" ack={ack}")
        if step.payload_octets:
            label.append(f" len={step.payload_octets}")
        if step.retransmission:
            label.append(" again", "yellow")
        text = self.payload_text(step, None if payload_room is None else payload_room - label.cell_len - 1)
        if text and payload_room != 0:
            label.append(" ").append(text, "green")
        return label

    def payload_text(self, step: Step, room: int | None) -> str:
        """Return the first octets in quotes, "" if unknown or if not even some of them fit `room`."""
        data = self.payload.get(step.frame, b"")
        limit = self.options.payload_octets
        if not data or limit == 0:
            return ""
        text = octets_text(data, limit)
        cut = len(data) > limit
        if room is not None and self.layout_is_narrow:
            while text and len(text) + 2 + cut > room:
                limit, cut = min(limit, len(data)) - 1, True
                text = octets_text(data, limit)
            if len(text) < 4 and cut:
                return ""
        quoted = f'"{text}"' + ("…" if cut else "")
        return quoted if room is None or len(quoted) <= room else ""

    @property
    def layout_is_narrow(self) -> bool:
        """Is there no line below the segment that could take the payload?"""
        return hasattr(self, "layout") and self.layout.proof == 0

    def numbers(self, step: Step) -> tuple[str, str | None]:
        """Return seq and ack as the options spell them."""
        if self.options.numbers == "symbolic":
            return step.symbolic_seq, step.symbolic_ack
        seq, ack = step.seq, step.ack
        if self.options.numbers == "relative":
            seq, ack = step.relative_seq, step.relative_ack
        return str(seq), None if ack is None else str(ack)

    def proof(self, line: Arithmetic) -> Text:
        """Return one line of arithmetic with its verdict."""
        spelled = {"symbolic": line.symbolic, "relative": str(line.relative), "absolute": str(line.expected)}
        mark, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("?", "yellow")}[line.holds]
        text = Text(f"{line.name}={spelled[self.options.numbers]} ")
        text.append(mark, style)
        if line.reason:
            text.append(f" {printable(line.reason)}", "red" if line.holds is False else "dim")
        return text

    def state(self, at: StateAt | None) -> Text:
        """Return a state with the sign of its basis; empty if it did not change or nothing is known."""
        if at is None or at.state is None:
            return Text()
        sign = DISPROVED if at.disproved else {"assumed": ASSUMED, "timer": BY_TIMER}.get(at.basis or "", "")
        style = STATE_STYLES.get(at.state, CLOSING_STYLE)
        if not sign:
            return Text(at.state, style)
        self.marks.add(sign)
        return Text(at.state, "dim " + style.removeprefix("bold ")).append(sign, "red" if at.disproved else "dim")

    def time(self, time_ns: int) -> str:
        """Return the time column's text."""
        if self.options.clock != "relative":
            return time_of_day(time_ns, self.options.clock)
        return seconds(time_ns - self.zero_ns) if self.in_seconds else milliseconds(time_ns - self.zero_ns)


class _StateWalk:
    """Which states to print beside a segment: those that changed, and those passed on the way within it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.last: dict[End, StateAt | None] = {"originator": None, "responder": None}
        #: How far each end has come in the list of its proven states.
        self.reached: dict[End, int] = {"originator": 0, "responder": 0}

    def before_first(self) -> Pair[StateAt] | None:
        """Return the states before the first segment, where the list begins there (CLOSED or LISTEN)."""
        unknown = StateAt(None, None)
        for end in ENDS:
            states = self.connection.states[end]
            if states and states[0] in ("CLOSED", "LISTEN"):
                self.last[end] = StateAt(states[0], "sent")
        if not any(self.last.values()):
            return None
        return Pair(self.last["originator"] or unknown, self.last["responder"] or unknown)

    def after(self, step: Step) -> tuple[list[tuple[StateAt | None, StateAt | None]], Pair[StateAt | None]]:
        """Return the states passed within `step`, a pair per line, and those it ends in where they changed."""
        passed = {end: self._passed(end, step.states[end]) for end in ENDS}
        lines = max(len(passed[end]) for end in ENDS)
        above = [
            (_item(passed["originator"], index - lines), _item(passed["responder"], index - lines))
            for index in range(lines)
        ]
        changed = {end: self._changed(end, step.states[end]) for end in ENDS}
        return above, Pair(changed["originator"], changed["responder"])

    def _passed(self, end: End, now: StateAt) -> list[StateAt]:
        """Return the states between the last one shown and `now`, as the connection lists them."""
        last, states = self.last[end], self.connection.states[end] or ()
        if now.disproved or (last is not None and last.state == now.state):
            return []
        start = self.reached[end] + (last is not None)
        try:
            found = states.index(now.state or "", start)
        except ValueError:
            return []
        between = states[start:found] if last is not None else ()
        self.reached[end] = found
        return [StateAt(state, now.basis) for state in between]

    def _changed(self, end: End, now: StateAt) -> StateAt | None:
        last = self.last[end]
        self.last[end] = now
        if last is None:
            return now
        same = now.state == last.state and now.disproved == last.disproved
        proven = last.basis == "assumed" and now.basis in ("sent", "acknowledged")
        return None if same and not proven else now


def call_marks(calls: Sequence[SocketCall], steps: Sequence[Step]) -> list[CallMark]:
    """Return the lines of the socket calls: one where nothing happened while it ran, else two."""
    times = sorted(
        [step.time_ns for step in steps] + [at for call in calls for at in (call.entered_ns, call.returned_ns)]
    )
    marks: list[CallMark] = []
    for call in calls:
        between = sum(call.entered_ns < at < call.returned_ns for at in times)
        if between:
            marks.append(CallMark(call.entered_ns, call.end, f"{call.text} ▸"))
            marks.append(CallMark(call.returned_ns, call.end, f"{call.name}() = {call.result}"))
        else:
            marks.append(CallMark(call.entered_ns, call.end, f"{call.text} = {call.result}"))
    return sorted(marks, key=lambda mark: mark.time_ns)


def merge(rows: Iterable[Step | Fold], marks: Sequence[CallMark]) -> list[Row]:
    """Put socket calls between the segments by time; segments keep the order in which they were captured."""
    merged: list[Row] = []
    waiting = list(marks)
    for row in rows:
        while waiting and waiting[0].time_ns <= row_time(row):
            merged.append(waiting.pop(0))
        merged.append(row)
    return merged + waiting


def row_time(row: Row) -> int:
    """Return when a row happened; for folded segments, when they began."""
    return row.steps[0].time_ns if isinstance(row, Fold) else row.time_ns


def frame_text(frame: Frame) -> str:
    """Return the number of a frame, with its capture where that is another one."""
    return str(frame) if isinstance(frame, int) else f"{printable(frame[0])}:{frame[1]}"


def is_right_call(row: Row) -> TypeGuard[CallMark]:
    """Is it a call of the program on the right?"""
    return isinstance(row, CallMark) and row.end != "client"


def _zero(calls: Sequence[SocketCall], steps: Sequence[Step]) -> int:
    """Return the time that is 0.000: the client's connect(), else the first segment."""
    connects = [call.entered_ns for call in calls if call.end == "client" and call.name == "connect"]
    return min([*connects, *(step.time_ns for step in steps[:1])], default=0)


def _item(states: Sequence[StateAt], index: int) -> StateAt | None:
    return states[index] if -len(states) <= index < 0 else None


def _flags_style(flags: str) -> str:
    bits = flags.split(",")
    if "RST" in bits:
        return "bold red"
    if "SYN" in bits:
        return "bold cyan"
    return "bold magenta" if "FIN" in bits else "bold"
