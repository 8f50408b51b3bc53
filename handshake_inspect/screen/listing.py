"""The widget with a line for each connection; only the lines in view are made.

In: a `ListSnapshot` and which of its streams to show. Out: messages about the user's choice. The heading does not
scroll; the chosen connection stays chosen when others come or go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.steps.present import present
from handshake_inspect.screen.arranging import Order
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import Column, Piece, Placed, cell_of, columns_for, fitted, placed
from handshake_inspect.screen.sight import ListSnapshot, Streams
from handshake_inspect.views.escape import printable

#: How many connections are measured for the widths of the columns.
SAMPLE = 200
#: A connection, and how long it lasted, where the clock tells.
Seen = tuple[Connection, int | None]
#: Blank columns at the left; at the right is room for the scrollbar.
MARGIN = 1


class Listing(ScrollView, can_focus=True):
    """The list of connections."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "first", "first", show=False),
        Binding("end,G", "last", "last", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Another connection was chosen; None: there is none."""

        stream: int | None

    @dataclass
    class Opened(Message):
        """The chosen connection is to be shown alone."""

    @dataclass
    class Sorted(Message):
        """The heading of a column was clicked."""

        column: str

    def __init__(self, colours: Callable[[], Colours], now_ns: Callable[[], int], **more: Any) -> None:
        super().__init__(**more)
        self._colours = colours
        self._now_ns = now_ns
        #: What the streams are of; not before something is shown.
        self.sight: ListSnapshot
        self._streams: Streams = np.zeros(0, np.int64)
        self._columns: list[Column] = []
        self._order = Order()
        #: The line that is chosen, and its stream.
        self._cursor = 0
        self.stream: int | None = None
        #: The last line stays chosen when more come.
        self.follows = False
        #: The pieces and background that each line was drawn with.
        self._drawn: dict[int, tuple[list[Piece], str]] = {}
        #: Connections in view, and of which sight and lines they are.
        self._made: tuple[ListSnapshot | None, tuple[int, ...], dict[int, Seen]] = (None, (), {})

    @property
    def streams(self) -> Streams:
        """The streams that are listed."""
        return self._streams

    def show(self, sight: ListSnapshot, streams: Streams, order: Order, *, is_live: bool) -> None:
        """List these streams; scroll to the chosen line only if it was in view before."""
        is_in_view = 0 <= self._cursor - self.scroll_offset.y < self._lines
        sample = sight.connections.of_streams(np.concatenate([streams[:SAMPLE], streams[-SAMPLE:]]))
        judged, captures = sight.connections.verdicts.judgements, len(sight.connections.captures)
        self._columns = columns_for(is_live=is_live, captures=captures, sample=sample, judged=judged)
        self.sight, self._streams, self._order = sight, streams, order
        self.virtual_size = Size(self.scrollable_content_region.width, len(streams) + 1)
        self._choose(self._place_of(self.stream), keep_in_view=is_in_view)

    def choose(self, stream: int) -> None:
        """Choose the line of a stream, if it is listed."""
        places = np.flatnonzero(self._streams == stream)
        if len(places):
            self.follows = False
            self._choose(int(places[0]))

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._streams) + 1)
        self._keep_in_view()

    # What keys and the mouse do.

    def action_move(self, lines: int) -> None:
        """Choose a line further up or down."""
        self._step_to(self._cursor + lines)

    def action_page(self, pages: int) -> None:
        """Choose a line a page further up or down."""
        self._step_to(self._cursor + pages * max(self._lines - 1, 1))

    def action_first(self) -> None:
        """Choose the first line."""
        self._step_to(0)

    def action_last(self) -> None:
        """Choose the last line, and go on choosing the last one when more come."""
        self._step_to(len(self._streams) - 1)

    async def on_click(self, event: events.Click) -> None:
        """Choose a line, or sort by a column."""
        if event.y == 0:
            column = self._column_at(event.x - MARGIN)
            if column is not None:
                self.post_message(self.Sorted(column))
            return
        line = self.scroll_offset.y + event.y - 1
        if 0 <= line < len(self._streams):
            self._step_to(line)
            if event.chain > 1:
                self.post_message(self.Opened())

    def _column_at(self, x: int) -> str | None:
        for one in self._placed():
            if x < one.width + one.column.gap:
                return one.column.title
            x -= one.width + one.column.gap
        return None

    # The line that is chosen.

    @property
    def _lines(self) -> int:
        """How many lines are in view below the heading."""
        return max(self.scrollable_content_region.height - 1, 1)

    def _place_of(self, stream: int | None) -> int:
        """Return the line of the chosen stream after others came or went."""
        if self.follows or stream is None:
            return len(self._streams) - 1 if self.follows else 0
        if self._cursor < len(self._streams) and self._streams[self._cursor] == stream:
            return self._cursor
        places = np.flatnonzero(self._streams == stream)
        if len(places):
            return int(places[0])
        return self._cursor if self.follows_last else 0  # it was let go; or a filter leaves it out

    def _step_to(self, line: int) -> None:
        self.follows = self.follows_last and line >= len(self._streams) - 1
        self._choose(line)

    #: Set for what goes on: the last line is followed once it is chosen.
    follows_last = False

    def _choose(self, line: int, *, keep_in_view: bool = True) -> None:
        self._cursor = max(min(line, len(self._streams) - 1), 0)
        stream = int(self._streams[self._cursor]) if len(self._streams) else None
        if keep_in_view:
            self._keep_in_view()
        self.refresh_changed()
        if stream != self.stream:
            self.stream = stream
            self.post_message(self.Chosen(stream))

    def _keep_in_view(self) -> None:
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, immediate=True)
        elif self._cursor >= top + self._lines:
            self.scroll_to(y=self._cursor - self._lines + 1, animate=False, immediate=True)

    # The lines.

    def _placed(self) -> list[Placed]:
        return placed(self._columns, self.scrollable_content_region.width - MARGIN)

    def _connections(self) -> dict[int, Seen]:
        """Return the connections in view, by stream."""
        top = self.scroll_offset.y
        lines = range(top, min(top + self._lines, len(self._streams)))
        streams = self._streams[lines.start : lines.stop]
        wanted = tuple(streams.tolist())
        if self._made[0] is not self.sight or self._made[1] != wanted:
            made = seen(self.sight.connections, streams)
            self._made = (self.sight, wanted, dict(zip(wanted, made, strict=True)))
        return self._made[2]

    def refresh_changed(self) -> None:
        """Redraw only the lines that have changed: a remote terminal may be slow."""
        for y in range(self._lines + 1):
            if self._line_at(y) != self._drawn.get(y):
                self.refresh(Region(0, y, self.scrollable_content_region.width, 1))

    def render_line(self, y: int) -> Strip:
        """Render line `y` of the view."""
        self._drawn[y] = pieces, ground = self._line_at(y)
        colours = self._colours()
        style = colours.on(ground) if ground else self.rich_style
        return strip(pieces, self.scrollable_content_region.width, colours, style)

    def _line_at(self, y: int) -> tuple[list[Piece], str]:
        """Return the pieces of line `y`, and its background; "" for the ordinary one."""
        if y == 0:
            return self._heading(), "raised"
        line = self.scroll_offset.y + y - 1
        if line >= len(self._streams):
            return [], ""
        connection, lasted_ns = self._connections()[int(self._streams[line])]
        at = present(connection, self._now_ns(), lasted_ns)
        pieces: list[Piece] = []
        for one in self._placed():
            pieces += cell_of(one, connection, at)
            pieces.append((" " * one.column.gap, ""))
        is_chosen = line == self._cursor
        return pieces, ("selected" if self.has_focus else "raised") if is_chosen else ""

    def _heading(self) -> list[Piece]:
        pieces: list[Piece] = []
        for one in self._placed():
            is_sorted = one.column.title == self._order.column
            arrow = (" ▼" if self._order.descending else " ▲") if is_sorted else ""
            cell = [(one.column.title + arrow, "accent" if is_sorted else "muted")]
            pieces += fitted(cell, one.width, right=one.column.right)
            pieces.append((" " * one.column.gap, ""))
        return pieces


def seen(connections: Connections, streams: Streams) -> Iterator[Seen]:
    """Make these connections."""
    lasted_ns = connections.lasted_ns(connections.rows_of(streams))
    known = [None if one == NONE else one for one in lasted_ns.tolist()]
    return zip(connections.of_streams(streams), known, strict=True)


def strip(pieces: Sequence[Piece], width: int, colours: Colours, ground: Any) -> Strip:
    """Render styled pieces on a background, without control characters."""
    segments = [Segment(" " * MARGIN, ground)]
    segments += [Segment(printable(text), ground + colours.style(role)) for text, role in pieces if text]
    return Strip(segments).adjust_cell_length(width, ground)
