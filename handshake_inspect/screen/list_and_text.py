"""The screen without its keys: the list of connections, the text about the chosen one, and the lines above and below.

In: a `Source`. Some times a second the screen looks for a new `ListSnapshot`. A thread of its own filters and sorts it;
ladders are asked for at the source's desk. So the screen never waits.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import Any

from textual import events, on, work
from textual.app import App, ComposeResult
from textual.containers import Container

from handshake_inspect.screen.arranging import Order, OutdatedError, Query, arranged
from handshake_inspect.screen.asking import Prompt
from handshake_inspect.screen.captions import commands, heading, hints, losses, width_of
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import Piece
from handshake_inspect.screen.lines import Line
from handshake_inspect.screen.listing import Listing
from handshake_inspect.screen.rates import Rates
from handshake_inspect.screen.reading import TextPane
from handshake_inspect.screen.sight import ListSnapshot, Source, Streams
from handshake_inspect.screen.telling import ShownText
from handshake_inspect.screen.terminal import GroundTold
from handshake_inspect.views.escape import printable
from handshake_inspect.views.table import cell_width

#: How often the screen looks for something new, and how often it redraws what changes with the clock.
LOOK_S, DRAW_S = 0.1, 0.25
#: How long a message stands in the last line.
SAID_S = 6.0
#: No message: a text, its role, and until when it stands.
UNSAID = ("", "", 0.0)
#: The least height of a list, in lines.
SHORTEST = 3
#: From this width on, in columns, list and text stand side by side.
SIDE_BY_SIDE = 170


class ListAndText(App[None]):
    """The list of connections, and the text about the chosen one."""

    CSS = """
    Screen { layout: vertical; background: $background; color: $foreground; }
    #head, #foot { height: 1; }
    #body { height: 1fr; layout: vertical; }
    #body.beside { layout: horizontal; }
    #list { height: 2fr; min-height: 4; }
    #text { height: 3fr; }
    .beside #list { width: 4fr; height: 1fr; }
    .beside #text { width: 5fr; height: 1fr; margin-left: 1; }
    .alone #list { display: none; }
    ScrollView { scrollbar-size: 1 1; overflow-x: hidden; overflow-y: scroll; background: $background; }
    #text { overflow-x: auto; }
    """
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source, colours: Colours, **more: Any) -> None:
        self.colours = colours
        super().__init__(ansi_color=not colours.has_colour, **more)
        self.source = source
        #: What is shown, and which of its connections are listed, in which order.
        self.sight: ListSnapshot = source.sight
        self.query_ = Query()
        self.order = Order()
        self.paused_ns: int | None = None
        self._said = UNSAID
        self._arranging = False
        self._rates = Rates()
        for is_dark in (True, False):
            self.register_theme(Colours(is_dark).theme())
        self._wear(colours)
        worn = self.worn
        self.head, self.foot, self.asking = Line(worn, id="head"), Line(worn, id="foot"), Prompt(worn)
        self.list, self.text = Listing(worn, self.now_ns, id="list"), TextPane(worn, id="text")
        self.body = Container(self.list, self.text, id="body")
        self.telling = ShownText(source, self.list, self.text, worn)

    def worn(self) -> Colours:
        """Return the colours that are in use now."""
        return self.colours

    def compose(self) -> ComposeResult:
        """Make the widgets."""
        yield self.head
        yield self.body
        yield self.asking
        yield self.foot

    def on_mount(self) -> None:
        """List what there is, and begin to look for more."""
        self.list.follows_last = self.list.follows = self.source.is_live
        self.list.focus()
        self._list(self.sight, self.sight.streams)
        self.set_interval(LOOK_S, self._look)
        self.set_interval(DRAW_S, self._draw)
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Place list and text, and draw the ladder again at its new width."""
        self._place(event.size.width)
        self.call_after_refresh(self._draw)
        self.call_after_refresh(self._tell)

    def now_ns(self) -> int:
        """Return the moment that the screen shows."""
        return self.paused_ns or self.sight.at_ns or time.time_ns()

    # What is new, and what the clock changes.

    def _look(self) -> None:
        """Take what is new from the source."""
        if self.source.is_over:
            self.exit()
        elif self.paused_ns is None and self.source.sight is not self.sight:
            self._again()
        elif self.paused_ns is None:
            self._tell()

    def _draw(self) -> None:
        """Redraw what changes with the clock."""
        if self.source.is_live and self.paused_ns is None:
            self.list.refresh_changed()
        paused: list[Piece] = [("PAUSED", "warn")] if self.paused_ns is not None else []
        room = self.head.room - width_of(paused) - len(paused)
        self.head.show(heading(self.source, self.sight, len(self.list.streams), self.query_.text, room), paused)
        self.foot.show(*self._footing())

    def _again(self) -> None:
        """Begin to filter and sort what there is now. If that is under way, `_arrange` begins again when it ends."""
        if not self._arranging:
            self._arranging = True
            self._arrange(self.sight if self.paused_ns is not None else self.source.sight)

    def _tell(self) -> None:
        self.telling.tell()

    @work(group="arrange")
    async def _arrange(self, sight: ListSnapshot) -> None:
        """Filter and sort in a thread, and list the result; again if the query or the order has changed meanwhile."""
        try:
            wanted = None
            while wanted != (wanted := (self.query_, self.order)):
                is_wanted = partial(self._is_wanted, *wanted)
                with suppress(OutdatedError):
                    self._list(sight, await asyncio.to_thread(arranged, sight, *wanted, is_wanted))
        finally:
            self._arranging = False
        self._draw()

    def _is_wanted(self, query: Query, order: Order) -> bool:
        return (query, order) == (self.query_, self.order)

    def _list(self, sight: ListSnapshot, streams: Streams) -> None:
        self.sight = sight
        if sight.traffic is not None:
            self._rates.note(sight.traffic)
        self.list.show(sight, streams, self.order, is_live=self.source.is_live)
        self._place(self.size.width)
        self._tell()

    @on(Listing.Chosen)
    def _chosen(self) -> None:
        self.telling.forget()
        self._tell()

    # The lines above and below.

    def _footing(self) -> tuple[list[Piece], list[Piece]]:
        text, role, until_s = self._said
        right = losses(self.sight.traffic, self._rates.segments)
        if time.monotonic() < until_s:
            has_room = cell_width(text) + width_of(right) < self.foot.room
            return [(text, role)], right if has_room else []
        if self.asking.what:
            return hints(self.asking.what), right
        return commands(self.foot.room, right, is_live=self.source.is_live), right

    def say(self, text: str, role: str = "") -> None:
        """Show a message in the last line, for SAID_S or until a key is pressed."""
        self._said = (printable(text), role, time.monotonic() + SAID_S)
        self._draw()

    async def on_event(self, event: events.Event) -> None:
        """Remove the message at the next key: who presses one has read it."""
        if isinstance(event, events.Key) and self._said != UNSAID:
            self._said = UNSAID
            self.foot.show(*self._footing())
        await super().on_event(event)

    # Colours and places.

    def _wear(self, colours: Colours) -> None:
        self.colours = colours
        self.ansi_theme_dark = self.ansi_theme_light = colours.ansi()
        self.theme = colours.name

    @on(GroundTold)
    def _take_ground(self, event: GroundTold) -> None:
        """Wear the colours for the ground of a terminal that answered late."""
        if event.is_light == self.colours.is_dark:
            self._wear_at_once(Colours(not event.is_light, self.colours.has_colour))

    def _wear_at_once(self, colours: Colours) -> None:
        self._wear(colours)
        self.refresh(layout=True)
        self._tell()

    def _place(self, width: int) -> None:
        is_beside = width >= SIDE_BY_SIDE
        self.body.set_class(is_beside, "beside")
        # A short list leaves its room to the text; one that goes on would push the text about.
        is_short = not is_beside and not self.source.is_live
        self.list.styles.max_height = max(len(self.list.streams), SHORTEST) + 1 if is_short else None
