"""The screen: a list of connections, and what is to be read of the one that is chosen.

In: a `Source`. Out: what the person at the terminal asks for. The screen looks at the latest `ListSnapshot` some times
a second, has it arranged by a thread of its own, and asks for ladders at the source's desk: it never waits.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.timer import Timer

from handshake_inspect.conditions.parser import WhereError
from handshake_inspect.screen.arranging import ORDERS, Order, OutdatedError, Query, arranged, places, understood
from handshake_inspect.screen.asking import Prompt
from handshake_inspect.screen.captions import commands, heading, hints, losses
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import Piece, columns_for
from handshake_inspect.screen.lines import Line
from handshake_inspect.screen.listing import Listing
from handshake_inspect.screen.rates import Rates
from handshake_inspect.screen.reading import TextPane
from handshake_inspect.screen.sight import FAILURES, ListSnapshot, Source, Streams, in_one_line
from handshake_inspect.screen.telling import ShownText
from handshake_inspect.views.escape import printable

#: How often the screen looks for something new, and how often what the clock changes is drawn again.
LOOK_S, DRAW_S = 0.1, 0.25
#: How long something that was said stands in the last line.
SAID_S = 6.0
#: Nothing was said: a text, its role, and until when it stands.
UNSAID = ("", "", 0.0)
#: A filter that is typed holds when no key has come for so long.
PAUSE_S = 0.2
#: The room of a list that is short.
SHORTEST = 3
#: A terminal of so many columns has list and text side by side.
SIDE_BY_SIDE = 170


class ConnectionsApp(App[None]):
    """The screen."""

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
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help"),
        # With priority: keys that come at once behind them are typed, and no commands.
        Binding("slash", "ask('filter')", "filter", priority=True),
        Binding("f", "ask('find')", "find", priority=True),
        Binding("w", "ask('save')", "write", priority=True),
        Binding("W", "ask('save-all')", "write all", priority=True),
        Binding("n", "find(1)", "next"),
        Binding("N", "find(-1)", "before"),
        Binding("s", "sort(1)", "sort"),
        Binding("S", "sort(-1)", "sort"),
        Binding("r", "reverse", "reverse"),
        Binding("l", "read('ladder')", "ladder"),
        Binding("e", "read('findings')", "findings"),
        Binding("i", "read('remarks')", "remarks"),
        Binding("o", "read('output')", "output"),
        Binding("enter", "alone(True)", "alone"),
        Binding("escape", "leave", "back"),
        Binding("tab", "other", "other", priority=True),
        Binding("p,space", "pause", "pause"),
        Binding("c", "copy", "copy"),
        Binding("t", "dark_or_light", "dark or light"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "interrupt", "end", priority=True),
    ]

    def __init__(self, source: Source, colours: Colours, **more: Any) -> None:
        self.colours = colours
        super().__init__(ansi_color=not colours.has_colour, **more)
        self.source = source
        #: What is shown, and of it what is listed.
        self.sight: ListSnapshot = source.sight
        self.query_ = Query()
        self.order = Order()
        self.paused_ns: int | None = None
        #: What was listed before a filter was typed, and the pause after its last key.
        self._unfiltered = Query()
        self._pause: Timer | None = None
        self._sought = Query()
        self._said = UNSAID
        self._arranging = False
        self._rates = Rates()
        for is_dark in (True, False):
            self.register_theme(Colours(is_dark).theme())
        self._wear(colours)
        worn = self.worn
        self.head, self.foot, self.asking = Line(worn, id="head"), Line(worn, id="foot"), Prompt(worn)
        self.list, self.text = Listing(worn, self.now_ns, id="list"), TextPane(worn, id="text")
        self.telling = ShownText(source, self.list, self.text, worn)

    def worn(self) -> Colours:
        """Return the colours that are worn now."""
        return self.colours

    def compose(self) -> ComposeResult:
        """Make the widgets."""
        yield self.head
        with Container(id="body"):
            yield self.list
            yield self.text
        yield self.asking
        yield self.foot

    def on_mount(self) -> None:
        """Begin."""
        self.list.follows_last = self.list.follows = self.source.is_live
        self.list.focus()
        self._list(self.sight, self.sight.streams)
        self.set_interval(LOOK_S, self._look)
        self.set_interval(DRAW_S, self._draw)
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Place list and text, and draw the ladder for its new width."""
        self._place(event.size.width)
        self.call_after_refresh(self._draw)
        self.call_after_refresh(self._tell)

    def now_ns(self) -> int:
        """Return the moment that is shown."""
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
        """Draw what the clock changes."""
        if self.source.is_live and self.paused_ns is None:
            self.list.refresh_changed()
        paused: list[Piece] = [("PAUSED", "warn")] if self.paused_ns is not None else []
        self.head.show(heading(self.source, self.sight, len(self.list.streams), self.query_.text), paused)
        self.foot.show(*self._footing())

    def _again(self) -> None:
        """Have arranged what is to be seen now, unless that is being done: then it is seen to afterwards."""
        if not self._arranging:
            self._arranging = True
            self._arrange(self.sight if self.paused_ns is not None else self.source.sight)

    def _tell(self) -> None:
        self.telling.tell()

    @work(group="arrange")
    async def _arrange(self, sight: ListSnapshot) -> None:
        """Have a sight arranged, and list it; again where something else was asked for meanwhile."""
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

    @on(Listing.Opened)
    def _opened(self) -> None:
        self.action_alone(True)

    # The lines above and below.

    def _footing(self) -> tuple[list[Piece], list[Piece]]:
        text, role, until_s = self._said
        right = losses(self.sight.traffic, self._rates.segments)
        if time.monotonic() < until_s:
            return [(text, role)], right
        if self.asking.what:
            return hints(self.asking.what), right
        return commands(self.foot.room, right, is_live=self.source.is_live), right

    def say(self, text: str, role: str = "") -> None:
        """Say something in the last line, for some seconds, or until a key is pressed."""
        self._said = (printable(text), role, time.monotonic() + SAID_S)
        self._draw()

    async def on_event(self, event: events.Event) -> None:
        """Take what comes from the terminal: a key is pressed by somebody who has read what was said."""
        if isinstance(event, events.Key) and self._said != UNSAID:
            self._said = UNSAID
            self.foot.show(*self._footing())
        await super().on_event(event)

    # What is typed.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key means an action: while something is typed it is a letter of that."""
        return action != "ask" or not self.asking.what

    def action_ask(self, what: str) -> None:
        """Ask for something to be typed."""
        stream = self.list.stream
        if what == "save-all" and not self.source.is_live:
            self.say("all of it stands in the files themselves; w writes this connection", "warn")
            return
        if what == "save" and stream is None:
            return
        self._unfiltered = self.query_
        files = {"save": f"stream-{stream}.pcapng", "save-all": "seen.pcapng"}
        self.asking.ask(what, files.get(what) or (self.query_ if what == "filter" else self._sought).text)
        self._draw()

    @on(Prompt.Typed)
    def _typing(self, event: Prompt.Typed) -> None:
        self._wait_no_longer()
        if event.what == self.asking.what == "filter":
            self._pause = self.set_timer(PAUSE_S, partial(self._filter_by_half, event.text))

    def _filter_by_half(self, text: str) -> None:
        """Filter by what was typed so far. Half a condition waits for the rest: Enter says what is wrong with it."""
        with suppress(WhereError):
            self._filter_by(understood(text))

    def _filter_by(self, query: Query) -> None:
        if query.text != self.query_.text:
            self.query_ = query
            self._again()

    def _wait_no_longer(self) -> None:
        if self._pause is not None:
            self._pause.stop()

    @on(Prompt.Answered)
    def _answered(self, event: Prompt.Answered) -> None:
        try:
            query = understood(event.text) if event.what in ("filter", "find") else Query()
        except WhereError as error:
            self.say(str(error), "error")
            return
        self._end_asking()
        if event.what == "filter":
            self._filter_by(query)
        elif event.what == "find":
            self._sought = query
            self.action_find(1)
        elif event.text:
            self._save(event.text, self.list.stream if event.what == "save" else None)

    def _end_asking(self) -> None:
        self._wait_no_longer()
        self.asking.close()
        self.screen.set_focus(self.list)
        self._draw()

    @work(group="save")
    async def _save(self, target: str, stream: int | None) -> None:
        try:
            if Path(target).exists():
                self.say(f"{target} is there already: choose another name", "error")
                return
            said = await asyncio.wrap_future(self.source.desk.ask(lambda: self.source.save(stream, target)))
        except FAILURES as error:
            self.say(in_one_line(error), "error")
        else:
            self.say(said, "open")

    @work(group="find", exclusive=True)
    async def action_find(self, way: int) -> None:
        """Choose the next connection of which what was sought holds, or the one before."""
        if not self._sought.text:
            self.action_ask("find")
            return
        streams = self.list.streams
        found = await asyncio.to_thread(places, self._sought, self.sight, streams)
        if not len(found):
            self.say(f"nothing listed has {self._sought.text}", "warn")
            return
        here = np.flatnonzero(streams == self.list.stream)
        at = int(here[0]) if len(here) else -1
        place = np.searchsorted(found, at + 1) if way > 0 else np.searchsorted(found, at) - 1
        self.list.choose(int(streams[found[place % len(found)]]))

    # Keys.

    def action_sort(self, way: int) -> None:
        """Sort by the next column, or by the one before."""
        names = [one.title for one in columns_for(is_live=self.source.is_live, captures=1) if one.title in ORDERS]
        names = ["#", *names]
        at = names.index(self.order.column or "#")
        self._sort_by(names[(at + way) % len(names)])

    @on(Listing.Sorted)
    def _sorted(self, event: Listing.Sorted) -> None:
        if event.column == (self.order.column or "#"):
            self.action_reverse()
        else:
            self._sort_by(event.column)

    def _sort_by(self, column: str) -> None:
        self.order = Order("" if column == "#" else column)
        self._again()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self.order = Order(self.order.column, not self.order.descending)
        self._again()

    def action_read(self, what: str) -> None:
        """Show something else of the connection that is chosen."""
        if what == "output" and self.source.printed() is None:
            self.say("no command is watched: sniff -- COMMAND", "warn")
            return
        if what == "remarks" and not self.source.remarks:
            self.say("nothing was damaged, lost, or left unread", "muted")
            return
        self.telling.shows = what
        self.telling.forget()
        self._tell()

    def action_help(self) -> None:
        """Show the keys, or what was there before."""
        if self.telling.shows == "help":
            self.action_leave()
        else:
            self.action_read("help")
            self._alone(True)

    def action_leave(self) -> None:
        """Go back: from what is typed, from help, from the text alone, from a filter."""
        if self.asking.what:
            self._filter_by(self._unfiltered)
            self._end_asking()
        elif self.telling.shows == "help":
            self._alone(False)
            self.action_read("ladder")
        elif self.telling.shows == "remarks":
            self.action_read("ladder")
        elif self.query_one("#body").has_class("alone"):
            self._alone(False)
        else:
            self._filter_by(Query())

    def action_alone(self, alone: bool) -> None:
        """Show the text alone, or list and text."""
        if not self.asking.what:
            self._alone(alone and not self.query_one("#body").has_class("alone"))

    def _alone(self, alone: bool) -> None:
        self.query_one("#body").set_class(alone, "alone")
        self.screen.set_focus(self.text if alone else self.list)
        self.call_after_refresh(self._tell)

    def action_other(self) -> None:
        """Go from the list to the text, and back."""
        if not self.asking.what:
            self.screen.set_focus(self.text if self.list.has_focus else self.list)
            self.list.refresh()

    def action_pause(self) -> None:
        """Let the screen stand still, or go on."""
        if self.source.is_live:
            self.paused_ns = None if self.paused_ns is not None else time.time_ns()
            self._draw()

    def action_copy(self) -> None:
        """Copy the command that shows this connection."""
        if self.list.stream is None:
            return
        command = self.source.command(self.list.stream)
        if command is None:
            what = "a live capture" if self.source.is_live else "a pipe"
            self.say(f"nobody else can see {what}: w writes the connection to a file", "warn")
            return
        self.copy_to_clipboard(command)
        self.say(f"copied: {command}", "open")

    def action_dark_or_light(self) -> None:
        """Change from dark to light, or back."""
        self._wear(Colours(not self.colours.is_dark, self.colours.has_colour))
        self.refresh(layout=True)
        self._tell()

    def action_interrupt(self) -> None:
        """End, or hand Ctrl-C on to the command that is watched."""
        if not self.source.interrupt():
            self.exit()

    def _wear(self, colours: Colours) -> None:
        self.colours = colours
        self.ansi_theme_dark = self.ansi_theme_light = colours.ansi()
        self.theme = colours.name

    def _place(self, width: int) -> None:
        is_beside = width >= SIDE_BY_SIDE
        self.query_one("#body").set_class(is_beside, "beside")
        # A short list leaves its room to the text; one that goes on would push the text about.
        is_short = not is_beside and not self.source.is_live
        self.list.styles.max_height = max(len(self.list.streams), SHORTEST) + 1 if is_short else None
