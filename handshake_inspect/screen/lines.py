"""The widget of the first line and of the last one.

In: styled pieces for the left and for the right. Out: one line; the left part is cut where the right one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.strip import Strip
from textual.widget import Widget

from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import Piece, fitted
from handshake_inspect.screen.listing import MARGIN, strip
from handshake_inspect.views.table import cell_width

#: Between parts of a line.
SEPARATOR: Piece = ("  ·  ", "muted")


class Line(Widget):
    """One line."""

    def __init__(self, colours: Callable[[], Colours], **more: Any) -> None:
        super().__init__(**more)
        self._colours = colours
        self._left: Sequence[Piece] = ()
        self._right: Sequence[Piece] = ()

    def show(self, left: Sequence[Piece], right: Sequence[Piece] = ()) -> None:
        """Show these pieces."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    @property
    def room(self) -> int:
        """How many terminal columns there are."""
        return self.size.width - 2 * MARGIN

    @property
    def plain(self) -> str:
        """The text without its colours."""
        return "".join(text for text, _ in [*self._left, (" ", ""), *self._right])

    def render_line(self, y: int) -> Strip:
        """Make the line."""
        colours, width, room = self._colours(), self.size.width, self.room
        right = sum(cell_width(text) for text, _ in self._right)
        if not self._right or right > room:
            pieces = fitted(self._left, room)
        else:
            pieces = [*fitted(self._left, max(room - right - 1, 0)), (" " * min(room - right, 1), ""), *self._right]
        return strip(pieces, width, colours, colours.on("raised"))


def keys(pairs: Sequence[tuple[str, str]], room: int) -> list[Piece]:
    """Return keys and what they do, as many as there is room for, from the first."""
    pieces: list[Piece] = []
    for key, what in pairs:
        room -= cell_width(f"{key} {what}   ")
        if room < 0:
            break
        pieces += [(key, "accent"), (f" {what}   ", "muted")]
    return pieces


def parted(parts: Sequence[Sequence[Piece]]) -> list[Piece]:
    """Return the parts that are not empty, with a separator between them."""
    pieces: list[Piece] = []
    for part in filter(None, parts):
        pieces += [SEPARATOR, *part] if pieces else part
    return pieces
