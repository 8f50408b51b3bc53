"""The state diagram, drawn from the table of states.

In: the table (`tcp.states.TRANSITIONS`). Out: lines of `rich` text. Read RFC 9293 §3.3.2 with its Figure 5: the boxes
are placed as there, in two columns, with the end that closes first on the left. Only the places of boxes are fixed
here; every arrow and its words come from the table. CLOSED appears twice, at the top and at the bottom. Transitions
into it by an RST are possible from nearly every state: they are listed below the drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.text import Text

from handshake_inspect.explain.arrows import BOX_HEIGHT, BOX_WIDTH, Arrow, Box, Point, route
from handshake_inspect.explain.moves import TIMERS, Move, Table, moves_of, row_of, said, styled
from handshake_inspect.quantities import listed
from handshake_inspect.tcp.states import TRANSITIONS, Event, State
from handshake_inspect.views.ladder_layout import wrap
from handshake_inspect.views.ladder_states import CLOSING_STYLE, STATE_STYLES

#: Place of each box: layer from the top, middle column.
PLACES = {
    "CLOSED": (0, 40),
    "LISTEN": (1, 35),
    "SYN-SENT": (2, 62),
    "SYN-RECEIVED": (3, 35),
    "ESTABLISHED": (4, 40),
    "FIN-WAIT-1": (5, 28),
    "CLOSE-WAIT": (5, 62),
    "FIN-WAIT-2": (6, 22),
    "CLOSING": (6, 41),
    "LAST-ACK": (6, 68),
    "TIME-WAIT": (7, 30),
}
#: The second box of CLOSED.
END = (8, 40)
RESETS = (Event.SEND_RST, Event.RECEIVE_RST, Event.RECEIVE_RST_OF_SYN)
#: Heights in lines to try for the channels between layers, until all words fit.
GAPS = range(3, 9)
WIDTH = 80
#: Columns between the words of an arrow and the next arrow.
CLEAR = 3
LABEL_STYLE = "italic"
DASHED, DASHED_LEVEL = "╎", "╌"
CORNERS = {frozenset("NE"): "└", frozenset("NW"): "┘", frozenset("SE"): "┌", frozenset("SW"): "┐"}


def diagram_lines(width: int, table: Table = TRANSITIONS) -> list[Text]:
    """Return the diagram, WIDTH columns wide, and below it the moves that are not drawn, in `width` columns."""
    moves = moves_of(table)
    drawn = [move for move in moves if is_drawn(move)]
    for gap in GAPS:
        canvas = _Canvas(*arrows_of(drawn), gap)
        if not canvas.unlabelled:
            break
    without_words = [move for move in drawn if (move.before.label, move.after.label) in canvas.unlabelled]
    in_words = [move for move in moves if not is_drawn(move)] + without_words
    return [*canvas.lines(), Text(), *move_lines(in_words, width)]


def is_drawn(move: Move) -> bool:
    """Is a move drawn? Listed instead are those by RST to CLOSED, and those between boxes side by side."""
    by_reset = move.event in RESETS and move.after is State.CLOSED
    end = END if move.after is State.CLOSED else PLACES[move.after.label]
    return not by_reset and PLACES[move.before.label][0] != end[0]


def arrows_of(moves: Sequence[Move]) -> tuple[list[Box], list[Arrow]]:
    """Return the boxes, and an arrow for each pair of states with moves between them, labelled with the events."""
    boxes = {label: Box(label, *place) for label, place in PLACES.items()}
    end = Box("CLOSED", *END)
    events: dict[tuple[str, str], list[Move]] = {}
    for move in moves:
        events.setdefault((move.before.label, move.after.label), []).append(move)
    arrows = [
        Arrow(
            boxes[before],
            end if after == end.name else boxes[after],
            listed(list(dict.fromkeys(words_of(move, moves) for move in some)), "or"),
            is_dashed=all(move.event in TIMERS for move in some),
        )
        for (before, after), some in events.items()
    ]
    return [*boxes.values(), end], arrows


def words_of(move: Move, moves: Sequence[Move]) -> str:
    """Return the event of a move in words; with the row, where only one row of the state has it."""
    rows = {state for state in State if state.label == move.before.label}
    alike = {
        one.before
        for one in moves
        if one.event is move.event and one.before in rows and one.after.label == move.after.label
    }
    return said(move.event) if alike == rows else f"{said(move.event)} {row_of(move.before)}".rstrip()


def move_lines(moves: Sequence[Move], width: int) -> list[Text]:
    """Return moves in words, those of one event to one state together."""
    lines: list[Text] = []
    for event, after in dict.fromkeys((move.event, move.after) for move in moves):
        before = [
            styled(move.before, row_of(move.before)) for move in moves if (move.event, move.after) == (event, after)
        ]
        line = Text.assemble(f"{said(event)}: to ", styled(after, row_of(after)), ", from ")
        lines += wrap(line.append_text(Text(", ").join(before)), width)
    return lines


class _Canvas:
    """A grid of characters, which knows its free cells."""

    def __init__(self, boxes: Sequence[Box], arrows: Sequence[Arrow], gap: int) -> None:
        tops = route(boxes, arrows, gap)
        self.cells: dict[Point, tuple[str, str]] = {}
        self.height = tops[-1] + BOX_HEIGHT
        for box in boxes:
            self.draw_box(box, tops[box.layer])
        for arrow in arrows:
            self.draw_arrow(arrow)
        #: Pairs of boxes whose arrow's words found no place; the longest are placed first.
        self.unlabelled = {
            (arrow.tail.name, arrow.head.name)
            for arrow in sorted(arrows, key=lambda one: -len(one.label))
            if not self.draw_label(arrow)
        }

    def write(self, column: int, line: int, text: str, style: str = "") -> None:
        """Write text from this column on."""
        for place, char in enumerate(text, start=column):
            self.cells[place, line] = char, style

    def draw_box(self, box: Box, top: int) -> None:
        """Draw a box with its name."""
        inside = BOX_WIDTH - 2
        self.write(box.left, top, f"┌{'─' * inside}┐")
        self.write(box.left, top + 1, f"│{box.name:^{inside}}│")
        self.write(box.left + 1, top + 1, f"{box.name:^{inside}}", STATE_STYLES.get(box.name, CLOSING_STYLE))
        self.write(box.left, top + 2, f"└{'─' * inside}┘")

    def draw_arrow(self, arrow: Arrow) -> None:
        """Draw the line of an arrow and its head; at a crossing the vertical line is continuous."""
        for (column, line), (to_column, to_line) in pairwise(arrow.points):
            if column == to_column:
                for place in range(line, to_line + 1):
                    self.write(column, place, DASHED if arrow.is_dashed else "│")
            else:
                for place in range(min(column, to_column) + 1, max(column, to_column)):
                    if (place, line) not in self.cells:
                        self.write(place, line, DASHED_LEVEL if arrow.is_dashed else "─")
        for before, at, after in zip(arrow.points, arrow.points[1:], arrow.points[2:], strict=False):
            comes_from, goes_to = ("N", "W" if after[0] < at[0] else "E") if before[0] == at[0] else (
                "W" if before[0] < at[0] else "E", "S")  # fmt: skip
            self.write(*at, CORNERS[frozenset((comes_from, goes_to))])
        tip = arrow.points[-1 if arrow.head is arrow.lower else 0]
        self.write(*tip, "▼" if arrow.head is arrow.lower else "▲")

    def draw_label(self, arrow: Arrow) -> bool:
        """Write the words of an arrow beside it, at the lowest place with room. Returns False without room."""
        room = len(arrow.label)
        for (line_at, begin), (to_column, end) in reversed([*pairwise(arrow.points)]):
            for line in range(begin, end + 1) if line_at == to_column else ():
                right, left = line_at + 2, line_at - 1 - room
                if self.is_free(right - 1, right + room + CLEAR, line) and right + room <= WIDTH:
                    self.write(right, line, arrow.label, LABEL_STYLE)
                    return True
                if self.is_free(left - CLEAR, line_at, line) and left >= 0:
                    self.write(left, line, arrow.label, LABEL_STYLE)
                    return True
        return False

    def is_free(self, begin: int, end: int, line: int) -> bool:
        """Are these columns of a line empty?"""
        return all((column, line) not in self.cells for column in range(begin, end))

    def lines(self) -> Iterator[Text]:
        """Yield the lines."""
        for line in range(self.height):
            text = Text()
            for column in range(WIDTH):
                char, style = self.cells.get((column, line), (" ", ""))
                text.append(char, style)
            text.rstrip()
            yield text
