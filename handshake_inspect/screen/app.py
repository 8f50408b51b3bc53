"""The screen of `sniff` and `browse`: what its keys do, and what is typed.

In: a `Source`. Out: what the person at the terminal asks for: files that are saved, text that is copied.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from textual import on, work
from textual.binding import Binding, BindingType
from textual.timer import Timer

from handshake_inspect.conditions.parser import WhereError
from handshake_inspect.screen.arranging import ORDERS, Order, Query, places, understood
from handshake_inspect.screen.asking import Prompt
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import columns_for
from handshake_inspect.screen.list_and_text import ListAndText
from handshake_inspect.screen.listing import Listing
from handshake_inspect.screen.sight import FAILURES, Source, in_one_line

#: A filter that is being typed is applied when no key has come for so long.
PAUSE_S = 0.2


class ConnectionsApp(ListAndText):
    """The screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help"),
        # With priority, so that the keys that follow at once are typed, and not taken for commands.
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
        super().__init__(source, colours, **more)
        #: What was listed before a filter was typed.
        self._unfiltered = Query()
        #: Runs since the last key of a filter.
        self._pause: Timer | None = None
        self._sought = Query()

    # What is typed.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key means an action; while something is typed, the keys of "ask" are letters of it."""
        return action != "ask" or not self.asking.what

    def action_ask(self, what: str) -> None:
        """Open the line in which something is typed."""
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
        """Filter by what was typed so far, if it can be understood; Enter tells what is wrong with it."""
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
        """Choose the next connection for which the sought condition holds, or the one before."""
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
        """Show something else about the chosen connection."""
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
        """Leave the line that is typed, else help, else the text alone, else the filter."""
        if self.asking.what:
            self._filter_by(self._unfiltered)
            self._end_asking()
        elif self.telling.shows == "help":
            self._alone(False)
            self.action_read("ladder")
        elif self.telling.shows == "remarks":
            self.action_read("ladder")
        elif self.body.has_class("alone"):
            self._alone(False)
        else:
            self._filter_by(Query())

    def action_alone(self, alone: bool) -> None:
        """Show the text alone, or list and text."""
        if not self.asking.what:
            self._alone(alone and not self.body.has_class("alone"))

    def _alone(self, alone: bool) -> None:
        self.body.set_class(alone, "alone")
        self.screen.set_focus(self.text if alone else self.list)
        self.call_after_refresh(self._tell)

    def action_other(self) -> None:
        """Move the focus from the list to the text, and back."""
        if not self.asking.what:
            self.screen.set_focus(self.text if self.list.has_focus else self.list)
            self.list.refresh()

    def action_pause(self) -> None:
        """Freeze the screen, or let it go on."""
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
        self._wear_at_once(Colours(not self.colours.is_dark, self.colours.has_colour))

    def action_interrupt(self) -> None:
        """Hand Ctrl-C on to the command that is watched; end the screen if there is none."""
        if not self.source.interrupt():
            self.exit()

    @on(Listing.Opened)
    def _opened(self) -> None:
        self.action_alone(True)
