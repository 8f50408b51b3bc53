"""Two ladders beside each other, with their first difference; below each other if there is too little room.

In: a `Difference`. Out: lines of `rich` text within a width. Equal rows stand on the same line. Equal rows far before
the first difference are folded, and so are rows far behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from rich.text import Text

from handshake_inspect.compared.alignment import Line, aligned, parting
from handshake_inspect.compared.difference import ComparedConnection, Difference
from handshake_inspect.quantities import counted
from handshake_inspect.views.compact_rows import CompactRows
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_layout import clip, pad

#: Narrower than this the ladders stand below each other.
WIDTH_FOR_TWO = 95
#: Columns of one ladder: more make arrows longer, and nothing clearer.
LADDER_MAX = 78
#: Between two rows: the same, not the same, only in A, only in B.
SAME, OTHER, ONLY_A, ONLY_B = " │ ", " ≠ ", " < ", " > "
#: Rows that are drawn of the beginning, right before they part, and from there on.
FIRST, BEFORE, AFTER = 3, 3, 12
#: Fewer rows than these are not folded.
FOLDED = 3
PART = " they part here "


def two_ladders(found: Difference, width: int) -> Iterator[Text]:
    """Yield the ladders of both connections, up to some rows behind their first difference."""
    lines = aligned(found)
    at = parting(found, lines)
    beside = width >= WIDTH_FOR_TWO
    column = min(LADDER_MAX, (width - len(SAME)) // 2 if beside else width)
    a, b = _Column(found.a, "A", column), _Column(found.b, "B", column)
    if beside:
        yield from _beside(a, b, lines, at, column)
    else:
        yield from _below(a, [line.a for line in lines], at)
        yield Text()
        yield from _below(b, [line.b for line in lines], at)


class _Column:
    """Draws chosen rows of one connection, in order."""

    def __init__(self, told: ComparedConnection, letter: str, width: int) -> None:
        connection = told.connection
        title = f"{letter}  stream {connection.stream} of {printable(connection.capture)}"
        self._rows, self._drawing = told.rows, CompactRows(connection, width)
        self._drawn = 0
        self.width = width
        self.above = [clip(Text(title, "bold"), width), *self._drawing.heading()]

    def parts(self, place: int | None) -> tuple[list[Text], list[Text]]:
        """Return the lines of a row, above its arrow and from there on; earlier rows are skipped."""
        if place is None:
            return [], []
        self._drawing.pass_over(self._rows[self._drawn : place])
        self._drawn = place + 1
        return self._drawing.parts(self._rows[place])

    def rest(self) -> str:
        """Return how many rows behind the last one were not drawn."""
        return f"… {counted(len(self._rows) - self._drawn, 'more segment')} …" if self._drawn < len(self._rows) else ""


def _beside(a: _Column, b: _Column, lines: Sequence[Line], parting: int, width: int) -> Iterator[Text]:
    def both(left: Text, right: Text, between: str) -> Text:
        line = Text().append_text(pad(left, width))
        line.append(between, "dim" if between == SAME else "bold red").append_text(right)
        line.rstrip()
        return line

    for left, right in zip_longest(a.above, b.above, fillvalue=Text()):
        yield both(left, right, SAME)
    for place in _shown(len(lines), parting):
        if isinstance(place, str):
            yield both(Text(place, "dim"), Text(place, "dim"), SAME)
            continue
        if place == parting:
            yield _rule(2 * width + len(SAME))
        line = lines[place]
        yield from _row_beside(a.parts(line.a), b.parts(line.b), sign(line), both)
    if a.rest() or b.rest():
        yield both(Text(a.rest(), "dim"), Text(b.rest(), "dim"), SAME)


def sign(line: Line) -> str:
    """Return the sign between two rows."""
    if line.is_same:
        return SAME
    return ONLY_A if line.b is None else ONLY_B if line.a is None else OTHER


def _row_beside(
    a: tuple[list[Text], list[Text]],
    b: tuple[list[Text], list[Text]],
    between: str,
    both: Callable[[Text, Text, str], Text],
) -> Iterator[Text]:
    """Put the lines of two rows side by side, so that their arrows stand on one line."""
    above = max(len(a[0]), len(b[0]))
    left, right = ([Text()] * (above - len(one[0])) + one[0] + one[1] for one in (a, b))
    for number, cells in enumerate(zip_longest(left, right, fillvalue=Text())):
        yield both(*cells, between if number == above else SAME)


def _below(column: _Column, places: Sequence[int | None], parting: int) -> Iterator[Text]:
    yield from column.above
    for place in _shown(len(places), parting):
        if isinstance(place, str):
            yield Text(place, "dim")
            continue
        if place == parting:
            yield _rule(column.width)
        above, arrow_and_below = column.parts(places[place])
        yield from above + arrow_and_below
    if column.rest():
        yield Text(column.rest(), "dim")


def _rule(width: int) -> Text:
    return Text(PART.center(width, "─"), "bold red")


def _shown(count: int, parting: int) -> Iterator[int | str]:
    """Yield the lines that are drawn, and the texts in place of those that are folded."""
    begin = parting - BEFORE
    if begin >= FIRST + FOLDED:
        yield from range(FIRST)
        yield f"… {counted(begin - FIRST, 'segment')} …"
    else:
        begin = 0
    yield from range(begin, min(parting + AFTER, count))
