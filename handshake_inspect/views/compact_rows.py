"""The ladder without times and proofs, row by row: for golden text, and for two ladders beside each other.

In: a connection and its normal rows (`compared.normal`). Out: the lines of each row, all within a given width. If it is
wide enough, the states stand beside the arrow; else the arrow takes the whole width, and the states stand below.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from handshake_inspect.compared.normal import Row
from handshake_inspect.connections.connection import Connection, IcmpError, Step, end_names
from handshake_inspect.views.icmp_lines import label as error_label
from handshake_inspect.views.ladder_cells import Cells, LadderOptions
from handshake_inspect.views.ladder_layout import ARROW, STATE, arrow, pad, wrap
from handshake_inspect.views.ladder_states import StateWalk, state_text

#: Narrower than this the states stand below the arrow.
WIDTH_FOR_STATES_BESIDE = 70


class CompactRows:
    """Draws the rows of one connection, in their order."""

    def __init__(self, connection: Connection, width: int) -> None:
        self._connection = connection
        self._walk = StateWalk(connection)
        self._cells = Cells(LadderOptions(), {})
        self._beside = width >= WIDTH_FOR_STATES_BESIDE
        self._width = width
        #: Width of the arrow, and where it begins.
        self._lane = width - 2 * (STATE + 1) if self._beside else width
        self._start = STATE + 1 if self._beside else 0

    def heading(self) -> list[Text]:
        """Return the names of the ends, and their states before the first segment where these are known."""
        names = end_names(self._connection.handshake.kind)
        lines = [self._line(Text(names.originator, "bold"), Text(), Text(names.responder, "bold"))]
        before = self._walk.before_first()
        if before is not None:
            lines.append(self._line(state_text(before.originator), Text(), state_text(before.responder)))
        return lines

    def pass_over(self, rows: Sequence[Row]) -> None:
        """Skip rows that are not drawn."""
        self._walk.past([row for row in rows if isinstance(row, Step)])

    def lines(self, row: Row) -> list[Text]:
        """Return the lines of the next row."""
        above, arrow_and_below = self.parts(row)
        return above + arrow_and_below

    def parts(self, row: Row) -> tuple[list[Text], list[Text]]:
        """Return the lines in two parts: the states passed within the row, and its arrow with the lines below."""
        if isinstance(row, IcmpError):
            return [], self._error_lines(row)
        passed, now = self._walk.after(row)
        above = [self._line(state_text(left), Text(), state_text(right)) for left, right in passed]
        return above, self._segment_lines(row, state_text(now.originator), state_text(now.responder))

    def _segment_lines(self, step: Step, left: Text, right: Text) -> list[Text]:
        style = "red" if step.ignored or "RST" in step.flags.split(",") else "bright_black"
        to_right, arrives = step.sender == "originator", step.ignored is None
        label, *more = wrap(self._cells.label(step), self._lane - ARROW, indent=0)
        drawn = arrow(label, self._lane, to_right=to_right, arrives=arrives, style=style)
        options = self._cells.options_said(step)
        below = [*more, *(wrap(options, self._lane - 4, indent=0) if options else [])]
        lines = [self._under_lane(text, to_right) for text in below]
        if step.ignored is not None:
            said = wrap(Text(f"ignored: {step.ignored}", "red"), self._lane - 4)
            lines += [self._under_lane(text, to_right=True) for text in said]
        if self._beside:
            return [self._line(left, drawn, right), *lines]
        return [drawn, *lines, *([self._line(left, Text(), right)] if left or right else [])]

    def _error_lines(self, error: IcmpError) -> list[Text]:
        label, *more = wrap(error_label(error), self._lane - ARROW, indent=0)
        to_right = error.quotes == "responder"
        drawn = arrow(label, self._lane, to_right=to_right, arrives=error.was_sent is not False, style="red")
        first = self._line(Text(), drawn, Text()) if self._beside else drawn
        return [first, *(self._under_lane(text, to_right) for text in more)]

    def _line(self, left: Text, lane: Text, right: Text) -> Text:
        """Put the cells of one line side by side; without a lane they stand at both edges."""
        line = Text().append_text(pad(left, STATE if self._beside else self._width - right.cell_len))
        if self._beside:
            line.append(" ").append_text(pad(lane, self._lane)).append(" ")
        line.append_text(right)
        line.rstrip()
        return line

    def _under_lane(self, text: Text, to_right: bool) -> Text:
        """Place a line below an arrow, on the side of its sender."""
        indent = 2 if to_right else self._lane - 2 - text.cell_len
        return Text(" " * (self._start + indent)).append_text(text)
