"""The ladder as one SVG file: for a document, for a forge's README, for a slide.

In: a `Ladder`. Out: the text of the file. It needs nothing but itself: text stays text, in a stack of fonts that some
system has; no script, no foreign markup, nothing fetched. Plain rules and attributes alone tell what is seen, so that
renderers which are no browsers show the same; only dark colours are left to a media query. Widths of text are
estimated, with room to spare.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from handshake_inspect.connections.connection import ENDS, End, Pair, StateAt
from handshake_inspect.views import palette
from handshake_inspect.views.finding_lines import finding_text
from handshake_inspect.views.icmp_lines import details, label
from handshake_inspect.views.pictures.markup import text
from handshake_inspect.views.pictures.measured import (
    BOLD_WIDTH,
    MONO_WIDTH,
    SANS_WIDTH,
    clipped,
    flowed,
    wrapped,
)
from handshake_inspect.views.pictures.svg_layout import BAR, LANE_LEAST, MARGIN, WHY_WIDTH, Columns, Lane, piece
from handshake_inspect.views.pictures.svg_styles import patterns, style_sheet
from handshake_inspect.views.pictures.words import (
    basis_words,
    deadline_words,
    kind_of,
    legend_of,
    role_of,
    verdict_words,
)
from handshake_inspect.views.rungs import (
    CallRung,
    Deadline,
    ErrorRung,
    FoldRung,
    Ladder,
    Row,
    Rung,
    Standing,
    Written,
    sender_of,
)
from handshake_inspect.views.segment_words import (
    VERDICT_SIGNS,
    flags_words,
    numbers_words,
    option_words,
    sum_words,
    window_words,
)
from handshake_inspect.views.words import frame_text

#: Of a row: from its top to its arrow, and the least that it takes.
ARROW, ROW = 27, 42
LINE = 15
#: Height of a sample of a lane in the legend: two whole dashes of a timer.
SWATCH = 11.5
CLOSED = StateAt("CLOSED", "timer")


def picture(ladder: Ladder, *, title: str, facts: Sequence[str] = ()) -> str:
    """Return the text of the SVG file."""
    drawing = _Drawing(ladder)
    drawing.header(title, facts)
    drawing.rows([*ladder.rows, *ladder.deadlines])
    drawing.legend()
    drawing.remarks()
    return drawing.file(title)


class _Drawing:
    """One picture, drawn from top to bottom."""

    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        self._numbers = ladder.spelling.numbers
        labels = [cell_len(self._label(row)) for row in ladder.rows if isinstance(row, Rung)]
        labels += [cell_len(label(row.error).plain) for row in ladder.rows if isinstance(row, ErrorRung)]
        self._columns = Columns(max(LANE_LEAST, round(max(labels, default=0) * 12 * MONO_WIDTH) + 44))
        self._lanes: dict[End, Lane] = {
            "originator": Lane(self._columns.left - BAR),
            "responder": Lane(self._columns.right),
        }
        self._y = float(MARGIN)
        self._out: list[str] = []

    # Above and below the rungs.

    def header(self, title: str, facts: Sequence[str]) -> None:
        """Write the title, the ends, and how the connection opened and closed."""
        ladder, columns = self._ladder, self._columns
        self._y += 18
        for line in wrapped(title, columns.width - 2 * MARGIN, 19 * BOLD_WIDTH):
            self._write(MARGIN, self._y, line, "title")
            self._y += 24
        initial = [f"{letter} = {'not captured' if one is None else one}" for letter, one in ladder.initial_numbers]
        said = [ladder.addresses.originator, ladder.addresses.responder, *initial, *facts]
        said += [ladder.beginning] if ladder.beginning else []
        for line in flowed([*said, verdict_words(ladder.connection)], columns.width - 2 * MARGIN, 13 * SANS_WIDTH):
            self._write(MARGIN, self._y, line, "fact")
            self._y += 19
        self._y += 22
        names = ladder.names
        self._write(columns.time, self._y, ladder.unit, "small end")
        self._write(columns.left - BAR - 12, self._y, names.originator, "name end")
        self._write(columns.right + BAR + 12, self._y, names.responder, "name")
        self._write(columns.why, self._y, "why the number is right", "small")
        self._y += 12

    def legend(self) -> None:
        """Write the meaning of the letters, and of the patterns of the lanes that are used."""
        self._y += 26
        for pattern, said in legend_of(self._ladder):
            place = f'width="26" height="{SWATCH}" transform="translate({MARGIN} {self._y - SWATCH + 1.5:g})"'
            # What a timer tells is always that an end is CLOSED.
            self._out.append(piece(place, role_of(CLOSED) if pattern == "timer" else "open", pattern))
            self._write(MARGIN + 36, self._y, said, "small")
            self._y += 18
        letters = [f"{letter}: {meaning}" for letter, meaning in self._ladder.letters]
        for line in flowed(letters, self._columns.width - 2 * MARGIN, 12 * SANS_WIDTH):
            self._write(MARGIN, self._y, line, "small")
            self._y += 17

    def remarks(self) -> None:
        """Write the findings that no segment shows."""
        drawn = {id(one) for row in self._ladder.rows if isinstance(row, Rung | ErrorRung) for one in row.findings}
        for finding in self._ladder.connection.findings:
            if id(finding) not in drawn:
                room = self._columns.width - 2 * MARGIN
                for line in wrapped(finding_text(finding).plain, room, 12 * SANS_WIDTH):
                    self._write(MARGIN, self._y, line, f"small t-{finding.severity}")
                    self._y += LINE

    # The rungs.

    def rows(self, rows: Sequence[Row | Deadline]) -> None:
        """Draw every row, then the lanes beside them."""
        top = self._y
        for row in rows:
            if isinstance(row, Rung):
                self._segment(row)
            elif isinstance(row, ErrorRung):
                self._error(row)
            elif isinstance(row, Standing):
                self._standing(row)
            elif isinstance(row, CallRung):
                self._call(row)
            elif isinstance(row, FoldRung):
                self._fold(row)
            else:
                self._deadline(row)
        self._y += 8
        for end in ENDS:
            lane = self._lanes[end]
            if lane.pieces:
                lane.pieces[0] = (top, lane.pieces[0][1])
                self._out += lane.drawn(self._y)

    def _beside(self, y: float, time: str, states: Pair[StateAt], written: Written) -> None:
        """Write the time and the states that begin at `y`, and let the lanes change there."""
        columns = self._columns
        self._write(columns.time, y + 4, time, "time end")
        places: dict[End, tuple[int, str]] = {
            "originator": (columns.left - BAR - 12, " end"),
            "responder": (columns.right + BAR + 12, ""),
        }
        for end, (x, anchor) in places.items():
            self._lanes[end].becomes(y, states[end])
            at = written[end]
            if at is not None and at.state is not None:
                basis = basis_words(at)
                self._write(x, y - 2 if basis else y + 4, at.state, f"state t-{role_of(at)}{anchor}")
                self._write(x, y + 11, basis, f"basis{anchor}")

    def _standing(self, row: Standing) -> None:
        self._beside(self._y + 14, row.time, row.states, row.written)
        self._y += 30

    def _segment(self, row: Rung) -> None:
        step, top = row.step, self._y
        lane, y = self._columns, top + ARROW
        self._out.append(f"<g><title>{text(_hover(row))}</title>")
        to_right = step.sender == "originator"
        kind = "rst" if step.ignored is not None else kind_of(step.flags)
        self._beside(y, row.time, row.states, row.written)
        self._arrow(lane.left, lane.right, y, kind, to_right=to_right, arrives=step.ignored is None)
        x, anchor = (lane.left + 14, "") if to_right else (lane.right - 14, " end")
        flags = flags_words(step)
        rest = text(self._label(row).removeprefix(flags))
        self._out.append(
            f'<text x="{x}" y="{y - 8:g}" class="label{anchor}">'
            f'<tspan class="b t-{kind}">{text(flags)}</tspan>{rest}</text>'
        )
        below = y + 17
        for said, style in ((option_words(step, self._numbers), "offer"), (row.payload, "payload")):
            for line in wrapped(said, lane.room - 28, 11 * MONO_WIDTH) if said else []:
                self._write(x, below, line, style + anchor)
                below += 14
        remarks = [(f"ignored: {step.ignored}", "t-error")] if step.ignored is not None else []
        remarks += [(f"comment: {comment}", "t-muted") for comment in step.comments]
        apart = below + 5 if below > y + 17 else below  # from what the segment says itself
        end = self._remarks_below(row, remarks, apart)
        below = end if end > apart else below
        beside = self._sums(y - 8, row)
        self._out.append("</g>")
        self._y = max(top + ROW, below - 6, beside + 2)

    def _error(self, row: ErrorRung) -> None:
        error, lane, y = row.error, self._columns, self._y + ARROW
        to_right = sender_of(error) == "originator"
        arrives = error.was_sent is not False
        begin, end = lane.left, lane.right
        if not row.from_end:
            begin, end = (begin + lane.room // 3, end) if to_right else (begin, end - lane.room // 3)
        self._beside(y, row.time, row.states, Pair(None, None))
        self._arrow(begin, end, y, "rst", to_right=to_right, arrives=arrives)
        x, anchor = (begin + 14, "") if to_right else (end - 14, " end")
        self._write(x, y - 8, label(error).plain, f"label b t-rst{anchor}")
        below = self._remarks_below(row, [], y + 17)
        beside = y - 8
        for one in details(error, self._numbers, self._ladder.spellings):
            beside = self._why(beside, one.plain, "small")
        self._y = max(self._y + ROW, below - 6, beside + 2)

    def _remarks_below(self, row: Rung | ErrorRung, remarks: list[tuple[str, str]], y: float) -> float:
        """Write the remarks of a row below its arrow; return where they end."""
        remarks = [*remarks, *((one, "t-error") for one in row.marks or ())]
        remarks += [(finding_text(one).plain, f"t-{one.severity}") for one in row.findings]
        for said, style in remarks:
            for line in wrapped(said, self._columns.room - 28, 11.5 * SANS_WIDTH):
                self._write(self._columns.left + 14, y, line, f"remark {style}")
                y += 14.5
        return y

    def _sums(self, y: float, row: Rung) -> float:
        """Write the arithmetic beside a segment: what a number must be, whether it is, why; return where it ends."""
        for line in row.step.arithmetic:
            said, sign = f"{sum_words(line, self._numbers)} ", VERDICT_SIGNS[line.holds]
            whole = f"{said}{sign} {line.reason}"
            if line.holds is False or len(wrapped(whole, WHY_WIDTH, 12 * SANS_WIDTH)) > 1:
                y = self._why(y, whole, {True: "", False: "t-error", None: "t-warn"}[line.holds])
                continue
            verdict = f'<tspan class="b {"t-open" if line.holds else "t-warn"}">{sign}</tspan>'
            reason = f'<tspan class="t-muted"> {text(line.reason)}</tspan>'
            self._out.append(f'<text x="{self._columns.why}" y="{y:g}">{text(said)}{verdict}{reason}</text>')
            y += LINE
        return y

    def _why(self, y: float, said: str, style: str) -> float:
        """Write text beside a row in as many lines as it needs; return where it ends."""
        for number, line in enumerate(wrapped(said, WHY_WIDTH, 12 * SANS_WIDTH)):
            self._write(self._columns.why + (10 if number else 0), y, line, style)
            y += LINE
        return y

    def _call(self, row: CallRung) -> None:
        x, anchor = (self._columns.right - 14, " end") if row.is_right else (self._columns.left + 14, "")
        self._beside(self._y + 10, row.time, row.states, Pair(None, None))
        self._write(x, self._y + 14, clipped(row.mark.text, self._columns.room - 28, 11 * MONO_WIDTH), f"call{anchor}")
        self._y += 20

    def _fold(self, row: FoldRung) -> None:
        middle = self._columns.left + self._columns.room / 2
        self._beside(self._y + 20, row.time, row.states, Pair(None, None))
        y = self._y + 24
        for line in wrapped(f"⋯ {row.text} ⋯", self._columns.room - 60, 12 * SANS_WIDTH):
            self._write(middle, y, line, "small middle")
            y += LINE
        self._y = y + 14

    def _deadline(self, row: Deadline) -> None:
        columns = self._columns
        middle = columns.left + columns.room / 2
        lines = [line for one in deadline_words(row) for line in wrapped(one, columns.room - 40, 12 * SANS_WIDTH)]
        y = self._y + max(62, LINE * len(lines) + 16)
        self._write(columns.time, y - 28, "⋮", "time end")
        self._beside(y, row.time, row.states, row.written)
        for number, line in enumerate(lines):
            self._write(middle, y + 4 - LINE * (len(lines) - 1 - number), line, "small middle t-waiting")
        self._y = y + 18

    def _arrow(self, begin: float, end: float, y: float, kind: str, *, to_right: bool, arrives: bool) -> None:
        """Draw an arrow; a cross in place of its head if it is not accepted."""
        tip, back = (end - 2, -1) if to_right else (begin + 2, 1)
        dashes = "" if arrives else ' stroke-dasharray="6 4"'
        stop = tip + 8 * back
        start = begin if to_right else end
        self._out.append(f'<path d="M{start:g} {y:g}H{stop:g}" class="shaft s-{kind}"{dashes}/>')
        if arrives:
            head = f"M{tip:g} {y:g}l{10 * back} -5.5v11z"
            self._out.append(f'<path d="{head}" class="f-{kind}"/>')
        else:
            cross = f"M{tip + 10 * back:g} {y - 5:g}l{-10 * back} 10m0 -10l{10 * back} 10"
            self._out.append(f'<path d="{cross}" class="shaft s-{kind}"/>')

    # Words.

    def _label(self, row: Rung) -> str:
        step = row.step
        window = " ".join(filter(None, window_words(step)))
        return " ".join(
            filter(None, [flags_words(step), numbers_words(step, self._numbers), window, "again" * step.retransmission])
        )

    def _write(self, x: float, y: float, said: str, style: str) -> None:
        if said:
            classes = f' class="{style}"' if style else ""
            self._out.append(f'<text x="{x:g}" y="{y:g}"{classes}>{text(said)}</text>')

    def _roles(self) -> list[str]:
        """Return the roles of all states that were drawn, and that of the legend."""
        used = {role_of(at) for lane in self._lanes.values() for _, at in lane.pieces} | {"open"}
        return [role for role in palette.STATES if role in used]

    def file(self, title: str) -> str:
        """Return the whole file."""
        width, height = self._columns.width, round(self._y + MARGIN - 10)
        told = " ".join(sentence.plain for _, said in self._ladder.account() for sentence in said)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="title desc">\n'
            f'<title id="title">{text(title)}</title>\n<desc id="desc">{text(told)}</desc>\n'
            f"<style>\n{style_sheet()}</style>\n<defs>\n{patterns(self._roles())}</defs>\n"
            '<g class="ladder">\n'
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" class="ground"/>\n'
            + "\n".join(self._out)
            + "\n</g>\n</svg>\n"
        )


def _hover(row: Rung) -> str:
    """Return the tooltip of a segment: its numbers in all spellings."""
    step = row.step
    seq = f"seq {step.symbolic_seq} = {step.relative_seq} = {step.seq}"
    ack = "" if step.ack is None else f", ack {step.symbolic_ack} = {step.relative_ack} = {step.ack}"
    return f"frame {frame_text(step.frame)}: {flags_words(step)}, {seq}{ack}"
