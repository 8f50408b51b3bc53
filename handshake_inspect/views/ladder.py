"""The ladder of one connection as text: every segment, both states after it, and why its numbers are right.

In: a connection with its steps; the socket calls of both programs and the payload, where they are known. Out: lines
of `rich` text, complete without colour, laid out from a ladder as data (`rungs`). The originator stands on the left.
Read from top to bottom it shows what happened when; across, how a segment changed both ends. Below it stands the
account: times, books, TIME-WAIT, verdict. An excerpt has some of the rows, drawn as they are in the whole, between the
states before them and the meaning of the letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TypeGuard

from rich.cells import cell_len
from rich.text import Text

from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.views.account import paragraphs_as_lines
from handshake_inspect.views.escape import printable
from handshake_inspect.views.finding_lines import finding_text
from handshake_inspect.views.icmp_lines import details, label, short_label
from handshake_inspect.views.ladder_calls import SocketCall
from handshake_inspect.views.ladder_cells import Cells, LadderOptions
from handshake_inspect.views.ladder_layout import ARROW, Layout, arrow, flow, flow_together, wrap
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.ladder_states import LEGEND, state_text
from handshake_inspect.views.rungs import (
    CallRung,
    ErrorRung,
    FoldRung,
    Ladder,
    Marks,
    Payload,
    Row,
    Rung,
    Standing,
    Written,
)
from handshake_inspect.views.segment_words import Numbers
from handshake_inspect.views.words import frame_text

__all__ = [
    "LadderOptions",
    "LadderParts",
    "Marks",
    "Numbers",
    "Payload",
    "SocketCall",
    "excerpt",
    "ladder_parts",
]


@dataclass(frozen=True)
class LadderParts:
    """The lines of a ladder, row by row, for lessons that stop between them."""

    #: Title, addresses, numbers; and the names of the columns.
    head: list[Text]
    #: Each row with its lines, in the order in which they stand.
    rows: list[tuple[Row, list[Text]]]
    #: The legend, and the account.
    foot: list[Text]
    #: Column at which the states of the left end begin.
    indent: int

    @property
    def lines(self) -> list[Text]:
        """All lines."""
        return [*self.head, *(line for _, lines in self.rows for line in lines), *self.foot]


def ladder_parts(
    connection: Connection,
    steps: Sequence[Step],
    *,
    title: str,
    facts: Sequence[str] = (),
    calls: Sequence[SocketCall] = (),
    payload: Payload | None = None,
    marks: Marks | None = None,
    options: LadderOptions | None = None,
) -> LadderParts:
    """Return the lines of the ladder of `connection`, with header and account, by row.

    `marks`: what to say of some rows, which stand out.
    """
    options = options or LadderOptions()
    found = ladder_of(connection, steps, calls=calls, payload=payload, marks=marks, spelling=options)
    drawing = _Drawing(found, options)
    account = paragraphs_as_lines(found.account(drawing.place), options.width)
    return LadderParts(
        head=[*drawing.header(title, facts), Text(), *drawing.heading()],
        rows=[(row, list(drawing.row_lines(row))) for row in found.rows],
        foot=[*drawing.legend(), Text(), *account],
        indent=drawing.layout.time + 2,
    )


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
    options = options or LadderOptions()
    found = ladder_of(connection, steps, calls=calls, payload=payload, spelling=options, part=part)
    drawing = _Drawing(found, options)
    letters = [Text(f"{letter}: {meaning}", "dim") for letter, meaning in found.letters]
    return [
        *flow(title, options.width),
        Text(),
        *drawing.heading(),
        *(line for row in found.rows for line in drawing.row_lines(row)),
        *drawing.legend(letters),
    ]


class _Drawing:
    """Draws the lines of one ladder, with its columns."""

    def __init__(self, ladder: Ladder, options: LadderOptions) -> None:
        self.ladder, self.options = ladder, options
        self.cells = Cells(options, {})
        rungs = [row for row in ladder.rows if isinstance(row, Rung)]
        errors = [label(error).cell_len for error in ladder.connection.icmp_errors]
        labels = [self.cells.label(rung.step).cell_len for rung in rungs]
        payloads = [len(f" {rung.payload}") if rung.payload else 0 for rung in rungs]
        frames = [len(self.frame(row)) for row in ladder.rows if isinstance(row, Rung | ErrorRung)]
        self.layout = Layout.fitting(
            options.width,
            frame=max([5, *frames]),
            time=max([7, *(len(row.time) for row in ladder.rows)]),
            label=max([0, *labels]),
            with_payload=max([0, *map(sum, zip(labels, payloads, strict=True)), *errors]),
            calls=[cell_len(row.mark.text) for row in ladder.rows if _is_right_call(row)],
        )

    # The header: whose connection, and what the letters stand for.

    def header(self, title: str, facts: Sequence[str]) -> list[Text]:
        """Return the title, the addresses, the two initial sequence numbers, and the facts about the connection."""
        addresses = [Text(self.ladder.addresses.originator), Text(self.ladder.addresses.responder)]
        initial = [
            Text(f"{letter} = {'not captured' if number is None else number}", "cyan")
            for letter, number in self.ladder.initial_numbers
        ]
        more = [Text(printable(fact)) for fact in facts]
        if self.ladder.beginning:
            more.append(Text(self.ladder.beginning))
        return flow_together([[Text(printable(title), "bold")], addresses, initial, more], self.options.width)

    def heading(self) -> list[Text]:
        """Return the names of the columns."""
        unit, names = self.ladder.unit, self.ladder.names
        proof = Text("why the number is right", "dim") if self.layout.proof else None
        if self.layout.frame:
            unit = "frame".rjust(self.layout.frame) + unit.rjust(self.layout.time - self.layout.frame)
        return [self.layout.row(unit, Text(names.originator, "bold"), Text(), Text(names.responder, "bold"), proof)]

    def legend(self, more: Sequence[Text] = ()) -> list[Text]:
        """Return the legend of the signs that were used."""
        signs = [Text(f"{sign} {LEGEND[sign]}", "dim") for sign in self.ladder.signs]
        if not signs and not more:
            return []
        lines = flow_together([signs, more], self.options.width - self.layout.time - 2)
        return [Text(), *(Text(" " * (self.layout.time + 2)).append_text(line) for line in lines)]

    # The rows.

    def row_lines(self, row: Row) -> Iterator[Text]:
        """Yield the lines of a row, with the states that changed."""
        if isinstance(row, Rung):
            yield from self.segment_lines(row)
        elif isinstance(row, Standing):
            yield self.layout.row(row.time, *self.beside_lane(row.written, Text()))
        elif isinstance(row, CallRung):
            text, short = printable(row.mark.text), printable(row.mark.short)
            yield from self.layout.call(row.time, text, short, is_right=row.is_right)
        elif isinstance(row, FoldRung):
            yield from self.fold_lines(row)
        else:
            yield from self.error_lines(row)

    def beside_lane(self, written: Written, lane: Text) -> tuple[Text, Text, Text]:
        """Return a line with the changed states on both sides of the lane."""
        return state_text(written.originator), lane, state_text(written.responder)

    def fold_lines(self, row: FoldRung) -> Iterator[Text]:
        """Yield the line that stands for folded segments."""
        start = self.layout.time + 2
        first, *others = wrap(Text(f"… {row.text} …", "dim"), self.options.width - start)
        yield self.layout.from_left(row.time, first)
        yield from (Text(" " * start).append_text(line) for line in others)

    def segment_lines(self, row: Rung) -> Iterator[Text]:
        """Yield the line of a segment, and those below it: options, payload, proof, why it is ignored."""
        layout, step = self.layout, row.step
        label, rest = self.label_and_rest(row)
        on_arrow, *below_it = wrap(label, layout.lane - ARROW, indent=0)
        to_right = step.sender == "originator"
        drawn = arrow(
            on_arrow,
            layout.lane,
            to_right=to_right,
            arrives=step.ignored is None,
            style="red" if step.ignored or "RST" in step.flags.split(",") else "bright_black",
        )
        proofs = [self.cells.proof(line) for line in step.arithmetic]
        beside = flow(proofs, layout.proof) if layout.proof else []
        line = layout.row(self.when(row), *self.beside_lane(row.written, drawn), beside[0] if beside else None)
        yield self.stand_out(row, line)
        words = (layout.under_arrow(text, to_right=to_right) for text in (*below_it, *self.options_said(step)))
        below = chain(words, self.payload_lines(step, rest))
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
        yield from self.said_below(row)

    def error_lines(self, row: ErrorRung) -> Iterator[Text]:
        """Yield the line of an ICMP error, which comes from the other end or from the path, and what it quotes."""
        layout, error = self.layout, row.error
        said, more = label(error), details(error, self.options.numbers, self.ladder.spellings)
        if said.cell_len > layout.lane - ARROW:
            said, more = short_label(error), [Text(error.message, said.style), *more]
        to_right, arrives = error.quotes == "responder", error.was_sent is not False
        drawn = arrow(said, layout.lane, to_right=to_right, arrives=arrives, style="red", whole=row.from_end)
        beside = flow(more, layout.proof) if layout.proof else []
        drawn_row = layout.row(self.when(row), Text(), drawn, Text(), beside[0] if beside else None)
        yield self.stand_out(row, drawn_row)
        yield from (layout.row("", Text(), Text(), Text(), line) for line in beside[1:])
        if not layout.proof:
            yield from (layout.under_lane(line) for line in flow(more, layout.below))
        yield from self.said_below(row)

    def said_below(self, row: Rung | ErrorRung) -> Iterator[Text]:
        """Yield the remarks and findings of a row: a finding stands at the last segment that shows it."""
        said = [Text(printable(text), "bold red") for text in row.marks or ()]
        said += [finding_text(finding) for finding in row.findings]
        for text in said:
            yield from (self.layout.under_lane(line) for line in wrap(text, self.layout.below))

    def stand_out(self, row: Rung | ErrorRung, line: Text) -> Text:
        """Put a sign between time and left state of a row that has remarks."""
        if row.marks is None:
            return line
        sign = Text("» ", "bold red")
        return line[: self.layout.time].append_text(sign).append_text(line[self.layout.time + sign.cell_len :])

    def frame(self, row: Rung | ErrorRung) -> str:
        """Return the number of the frame of a row."""
        return frame_text(row.step.frame if isinstance(row, Rung) else row.error.frame)

    def when(self, row: Rung | ErrorRung) -> str:
        """Return the text of the time column, with the number of the frame if that is shown."""
        layout = self.layout
        if not layout.frame:
            return row.time
        return self.frame(row).rjust(layout.frame) + row.time.rjust(layout.time - layout.frame)

    def place(self, step: Step) -> str:
        """Return the place of a segment as its row shows it: "at 402.474 ms", "in frame 13 at 402.474 ms"."""
        frame = f"in frame {frame_text(step.frame)} " if self.layout.frame else ""
        return frame + self.ladder.place(step)

    def label_and_rest(self, row: Rung) -> tuple[Text, str]:
        """Return the text on the arrow, and the payload if it must go below."""
        label, text = self.cells.label(row.step), row.payload
        room = self.layout.lane - ARROW - label.cell_len - 1
        if not text or len(text) > room:
            return label, text
        return label.append(" ").append(text, "green"), ""

    def options_said(self, step: Step) -> Sequence[Text]:
        """Return what options say, in as many lines as necessary."""
        options = self.cells.options_said(step)
        return wrap(options, self.layout.lane - 4, indent=0) if options else ()

    def payload_lines(self, step: Step, text: str) -> Iterator[Text]:
        """Yield the payload in as many lines of the lane as it needs, on its sender's side."""
        room = self.layout.lane - 4
        for start in range(0, len(text), room):
            part = text[start : start + room]
            indent = room - len(part) + 2 if step.sender == "responder" and len(text) <= room else 2
            yield Text(" " * indent).append(part, "green")


def _is_right_call(row: object) -> TypeGuard[CallRung]:
    return isinstance(row, CallRung) and row.is_right
