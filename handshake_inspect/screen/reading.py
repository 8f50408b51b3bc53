"""The widget in which a ladder or an explanation is read.

In: styled lines, made elsewhere. Out: those in view. Text that grows is scrolled to its end, unless the reader has
scrolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import Piece
from handshake_inspect.screen.listing import MARGIN, strip


class TextPane(ScrollView, can_focus=True):
    """Some text with a title."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "up", show=False),
        Binding("down,j", "scroll_down", "down", show=False),
        Binding("pageup", "page_up", "page up", show=False),
        Binding("pagedown", "page_down", "page down", show=False),
        Binding("home,g", "scroll_home", "begin", show=False),
        Binding("end,G", "scroll_end", "end", show=False),
    ]

    def __init__(self, colours: Callable[[], Colours], **more: Any) -> None:
        super().__init__(**more)
        self._colours = colours
        self._title: Sequence[Piece] = ()
        self._lines: Sequence[Text] = ()
        #: Where it was scrolled to, to follow what grows.
        self._followed_at: int | None = None

    @property
    def room(self) -> int:
        """The terminal columns that a line may take."""
        return max(self.scrollable_content_region.width - 2 * MARGIN, 20)

    @property
    def plain(self) -> str:
        """The text without its colours."""
        return "\n".join(line.plain for line in self._lines)

    def show(
        self, title: Sequence[Piece], lines: Sequence[Text], *, grown: int | None = None, again: bool = False
    ) -> None:
        """Show these lines; `again`: a later version of the same text.

        `grown`: as far as that many lines it grows; the last of these is followed unless the reader has scrolled.
        """
        was_followed = self._followed_at in (None, round(self.scroll_offset.y))
        self._title, self._lines = title, lines
        widest = max((line.cell_len for line in lines), default=0) + 2 * MARGIN
        self.virtual_size = Size(widest, len(lines) + 1)
        if grown is not None and (was_followed or not again):
            top = max(grown + 1 - self.scrollable_content_region.height, 0)
            self.scroll_to(y=top, animate=False, immediate=True)
            self._followed_at = round(self.scroll_offset.y)
        elif not again:
            self.scroll_home(animate=False, immediate=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Render line `y` of the view."""
        colours, width = self._colours(), self.scrollable_content_region.width
        if y == 0:
            return strip(self._title, width, colours, colours.on("raised"))
        line = self.scroll_offset.y + y - 1
        if line >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        margin = Strip.blank(MARGIN, self.rich_style)
        text = self._lines[line]
        ground = self.rich_style + self.app.console.get_style(text.style)
        drawn = Strip(text.render(self.app.console)).apply_style(ground)
        whole = Strip.join([margin, drawn]).adjust_cell_length(max(self.virtual_size.width, width), self.rich_style)
        return whole.crop(self.scroll_offset.x, self.scroll_offset.x + width)
