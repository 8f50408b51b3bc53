"""The screen: a list of connections, and what is to be read of the one that is chosen.

In: a `Source`. Out: what the person at the terminal asks for. The screen looks at the latest `Sight` some times a
second, has it arranged by a thread of its own, and asks for ladders at the source's desk: it never waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Input

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.conditions.parser import WhereError
from handshake_inspect.connections.connection import Connection
from handshake_inspect.quantities import counted
from handshake_inspect.screen.arranging import ORDERS, Order, Query, arranged, having, understood
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import Piece, columns_for, text_of
from handshake_inspect.screen.lines import Line, keys, parted
from handshake_inspect.screen.listing import Listing
from handshake_inspect.screen.reading import Reading
from handshake_inspect.screen.sight import Sight, Source, Streams, Traffic
from handshake_inspect.screen.topics import finding_lines, help_lines, text_lines
from handshake_inspect.views.escape import printable
from handshake_inspect.views.table import cell_width

#: How often the screen looks for something new, and how often what the clock changes is drawn again.
LOOK_S, DRAW_S = 0.1, 0.25
#: How long something that was said stands in the last line.
SAID_S = 6.0
#: A terminal of so many columns has list and text side by side.
SIDE_BY_SIDE = 170
#: What was there stays until there is a new ladder, but no longer than so long.
SOON_S = 0.2
#: Of the time, at most one part in so many is spent on drawing the ladder of a busy connection again.
LADDER_SHARE = 4
#: What there is to be read of no connection.
NOTHING = ("nothing",)
#: What is typed into the line for it, and what it is called there.
ASKED = {"filter": "filter", "find": "find", "save": "write to", "save-all": "write all to"}
HINTS = {"filter": "words (443 half-open), or a condition (octets.originator > 1k)", "find": "words, or a condition"}


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
    .empty #text { display: none; }
    ScrollView { scrollbar-size: 1 1; overflow-x: hidden; overflow-y: scroll; background: $background; }
    #text { overflow-x: auto; }
    #asking { height: 1; layout: horizontal; background: $panel; }
    #asked { width: 14; height: 1; }
    #typed { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
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
        self.sight: Sight = source.sight
        self.query_ = Query()
        self.order = Order()
        self.paused_ns: int | None = None
        self._shows = "ladder"
        self._sought = Query()
        self._said: tuple[str, str, float] = ("", "", 0.0)
        self._asks = ""
        #: What the ladder was drawn of, and when it may be drawn again.
        self._drawn: tuple[object, ...] = ()
        self._draw_at_s = 0.0
        self._drawing = self._arranging = False
        self._rates = Rates()
        for is_dark in (True, False):
            self.register_theme(Colours(is_dark).theme())
        self._wear(colours)

    def compose(self) -> ComposeResult:
        """Make the widgets."""
        yield Line(lambda: self.colours, id="head")
        with Container(id="body"):
            yield Listing(lambda: self.colours, self.now_ns, id="list")
            yield Reading(lambda: self.colours, id="text")
        with Container(id="asking"):
            yield Line(lambda: self.colours, id="asked")
            yield Input(id="typed", compact=True, select_on_focus=False)
        yield Line(lambda: self.colours, id="foot")

    def on_mount(self) -> None:
        """Begin."""
        self.list = self.query_one("#list", Listing)
        self.text = self.query_one("#text", Reading)
        self.head, self.foot = self.query_one("#head", Line), self.query_one("#foot", Line)
        self.query_one("#asking").display = False
        self.list.follows_last = self.list.follows = self.source.is_live
        self.list.focus()
        self._place(self.size.width)
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
        self.head.show(*self._heading())
        self.foot.show(*self._footing())

    def _again(self) -> None:
        """Have arranged what is to be seen now, unless that is being done: then it is seen to afterwards."""
        if not self._arranging:
            self._arranging = True
            self._arrange(self.sight if self.paused_ns is not None else self.source.sight)

    @work(group="arrange")
    async def _arrange(self, sight: Sight) -> None:
        """Have a sight arranged, and list it; again where something else was asked for meanwhile."""
        try:
            wanted = None
            while wanted != (wanted := (self.query_, self.order)):
                streams = await asyncio.to_thread(arranged, sight, *wanted)
                self._list(sight, streams)
        finally:
            self._arranging = False
        self._draw()

    def _list(self, sight: Sight, streams: Streams) -> None:
        self.sight = sight
        if sight.traffic is not None:
            self._rates.note(sight.traffic)
        self.list.show(sight, streams, self.order, is_live=self.source.is_live)
        self._tell()

    # What is read of the connection that is chosen.

    @on(Listing.Chosen)
    def _chosen(self) -> None:
        self._draw_at_s = 0.0
        self._tell()

    @on(Listing.Opened)
    def _opened(self) -> None:
        self.action_alone(True)

    def _tell(self) -> None:
        """Have the ladder drawn if it is not that of what is shown."""
        stream = self.list.stream
        if self._shows in ("help", "output") or not self.text.size.width:
            if self._shows == "output":
                self._show_output()
            return
        if stream is None:
            if self._drawn != NOTHING:
                self._drawn = NOTHING
                self.text.show([("no connection is listed", "muted")], [])
            return
        if self._drawing or time.monotonic() < self._draw_at_s:
            return
        connection = next(self.sight.connections.of_streams(np.array([stream])))
        wanted = (self._shows, stream, connection.last_frame, connection.segments, self.text.room, self.colours.name)
        if wanted != self._drawn:
            self._drawing = True
            self._describe(stream, wanted)

    @work(group="describe")
    async def _describe(self, stream: int, wanted: tuple[object, ...]) -> None:
        began_s = time.monotonic()
        room, shows = self.text.room, self._shows
        again = self._drawn[:2] == wanted[:2]
        answer = asyncio.wrap_future(self.source.desk.ask(lambda: self.source.told(stream, room)))
        try:
            if not (await asyncio.wait([answer], timeout=None if again else SOON_S))[0]:
                self.text.show([(f"stream {stream}", "bold")], [Text("its segments are being read …", "dim")])
            told = await answer
            lines, connection = told.ladder, told.connection
            grown = told.rows_end if self.source.is_live and shows == "ladder" else None
            if shows == "findings":
                lines = await asyncio.to_thread(finding_lines, connection, room)
            title = self._title(connection, shows)
        except (CaptureError, LookupError) as error:
            lines, title, grown = [Text(printable(str(error)))], [(f"stream {stream}", "bold")], None
        finally:
            self._drawing = False
        took_s = time.monotonic() - began_s
        self._draw_at_s = time.monotonic() + (took_s * LADDER_SHARE if again else 0)
        if self.list.stream == stream and self._shows == shows:
            self._drawn = wanted
            self.text.show(title, lines, grown=grown, again=again)
        else:
            self._tell()

    def _title(self, connection: Connection, shows: str) -> list[Piece]:
        names: list[Piece] = [("ladder", "ladder"), ("findings", f"findings {len(connection.findings)}")]
        if self.source.printed() is not None:
            names.append(("output", "output"))
        tabs = parted([[(what, "accent" if name == shows else "muted")] for name, what in names])
        ends = f"{text_of(connection.originator)} → {text_of(connection.responder)}"
        return [*tabs, ("      ", ""), (f"{connection.stream}  ", "muted"), (ends, "bold")]

    def _show_output(self) -> None:
        printed = self.source.printed() or ""
        wanted = ("output", len(printed), self.text.room)
        if wanted != self._drawn:
            again = self._drawn[:1] == ("output",)
            self._drawn = wanted
            lines = text_lines(printed, self.text.room)
            self.text.show([("output of the command", "accent")], lines, grown=len(lines), again=again)

    # The lines above and below.

    def _heading(self) -> tuple[list[Piece], list[Piece]]:
        shown, held = len(self.list.streams), len(self.sight.connections)
        connections = counted(held, "connection") if shown == held else f"{shown:,} of {counted(held, 'connection')}"
        traffic = self.sight.traffic
        left = parted([
            [(printable(self.source.title), "bold")],
            [(connections, "")],
            [(f"{traffic.let_go:,} over and let go", "muted")] if traffic is not None and traffic.let_go else [],
            [("filter ", "muted"), (self.query_.text, "accent")] if self.query_.text else [],
            [(self.source.ended, "closing")] if self.source.ended else [],
        ])  # fmt: skip
        return left, [("PAUSED", "warn")] if self.paused_ns is not None else []

    def _footing(self) -> tuple[list[Piece], list[Piece]]:
        text, role, until_s = self._said
        traffic = self.sight.traffic
        right: list[Piece] = []
        if traffic is not None:
            dropped = (f"{traffic.dropped:,} dropped", "error" if traffic.dropped else "muted")
            right = [(f"{self._rates.segments:,.0f} segments/s  ·  ", "muted"), dropped]
        if time.monotonic() < until_s:
            return [(text, role)], right
        if self._asks:
            return [("Enter", "accent"), (" does it   ", "muted"), ("Esc", "accent"), (" leaves it   ", "muted"),
                    (HINTS.get(self._asks, ""), "muted")], right  # fmt: skip
        pairs = [("?", "help"), ("q", "quit"), ("/", "filter"), ("s", "sort"), ("e", "findings"), ("w", "write")]
        if self.source.is_live:
            pairs[3:4] = [("p", "pause")]
        return keys(pairs, self.foot.room - sum(cell_width(one) for one, _ in right)), right

    def say(self, text: str, role: str = "") -> None:
        """Say something in the last line, for some seconds."""
        self._said = (printable(text), role, time.monotonic() + SAID_S)
        self._draw()

    # What is typed.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key means an action: while something is typed it is a letter of that."""
        return action != "ask" or not self._asks

    def action_ask(self, what: str) -> None:
        """Ask for something to be typed."""
        stream = self.list.stream
        if what == "save-all" and not self.source.is_live:
            self.say("all of it stands in the files themselves; w writes this connection", "warn")
            return
        if what == "save" and stream is None:
            return
        self._asks = what
        typed = self.query_one("#typed", Input)
        typed.value = {"filter": self.query_.text, "find": self._sought.text, "save": f"stream-{stream}.pcapng"}.get(
            what, "seen.pcapng"
        )
        self.query_one("#asked", Line).show([(ASKED[what], "accent")])
        self.query_one("#asking").display = True  # by no class, which counts later
        self.screen.set_focus(typed)  # at once: more keys may be on their way

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        try:
            if self._asks == "filter":
                self.query_ = understood(text)
                self._again()
            elif self._asks == "find":
                self._sought = understood(text)
        except WhereError as error:
            self.say(str(error), "error")
            return
        what = self._asks
        self._end_asking()
        if what == "find":
            self.action_find(1)
        elif what.startswith("save") and text:
            self._save(text, self.list.stream if what == "save" else None)

    def _end_asking(self) -> None:
        self._asks = ""
        self.query_one("#asking").display = False
        self.screen.set_focus(self.list)

    @work(group="save")
    async def _save(self, target: str, stream: int | None) -> None:
        if Path(target).exists():
            self.say(f"{target} is there already: choose another name", "error")
            return
        try:
            said = await asyncio.wrap_future(self.source.desk.ask(lambda: self.source.save(stream, target)))
        except (CaptureError, LookupError) as error:
            self.say(str(error), "error")
        else:
            self.say(said, "open")

    @work(group="find", exclusive=True)
    async def action_find(self, way: int) -> None:
        """Choose the next connection of which what was sought holds, or the one before."""
        if not self._sought.text:
            self.action_ask("find")
            return
        streams = self.list.streams
        found = await asyncio.to_thread(self._places_of_sought, streams)
        if not len(found):
            self.say(f"nothing listed has {self._sought.text}", "warn")
            return
        here = np.flatnonzero(streams == self.list.stream)
        at = int(here[0]) if len(here) else -1
        place = np.searchsorted(found, at + 1) if way > 0 else np.searchsorted(found, at) - 1
        self.list.choose(int(streams[found[place % len(found)]]))

    def _places_of_sought(self, streams: Streams) -> Streams:
        connections = self.sight.connections
        if self._sought.condition is not None:
            chosen = arranged(Sight(connections, streams, None), self._sought, Order())
            return np.flatnonzero(np.isin(streams, chosen))
        return np.flatnonzero(having(self._sought.words, connections, streams))

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
        self._shows, self._drawn, self._draw_at_s = what, (), 0.0
        self._tell()

    def action_help(self) -> None:
        """Show the keys, or what was there before."""
        if self._shows == "help":
            self.action_leave()
            return
        self._shows, self._drawn = "help", ()
        self._alone(True)
        self.call_after_refresh(
            lambda: self.text.show([("help", "accent"), ("   Esc: back", "muted")], [*help_lines(self.text.room)])
        )

    def action_leave(self) -> None:
        """Go back: from what is typed, from help, from the text alone, from a filter."""
        if self._asks:
            self._end_asking()
        elif self._shows == "help":
            self._alone(False)
            self.action_read("ladder")
        elif self.query_one("#body").has_class("alone"):
            self._alone(False)
        elif self.query_.text:
            self.query_ = Query()
            self._again()

    def action_alone(self, alone: bool) -> None:
        """Show the text alone, or list and text."""
        if not self._asks:
            self._alone(alone and not self.query_one("#body").has_class("alone"))

    def _alone(self, alone: bool) -> None:
        self.query_one("#body").set_class(alone, "alone")
        self.screen.set_focus(self.text if alone else self.list)
        self.call_after_refresh(self._tell)

    def action_other(self) -> None:
        """Go from the list to the text, and back."""
        if not self._asks:
            self.screen.set_focus(self.text if self.list.has_focus else self.list)
            self.list.refresh()

    def action_pause(self) -> None:
        """Let the screen stand still, or go on."""
        if self.source.is_live:
            self.paused_ns = None if self.paused_ns is not None else time.time_ns()
            self._draw()

    def action_copy(self) -> None:
        """Copy the command that shows this connection."""
        command = None if self.list.stream is None else self.source.command(self.list.stream)
        if command is None:
            self.say("nobody else can see a live capture: w writes the connection to a file", "warn")
            return
        self.copy_to_clipboard(command)
        self.say(f"copied: {command}", "open")

    def action_dark_or_light(self) -> None:
        """Change from dark to light, or back."""
        self._wear(Colours(not self.colours.is_dark, self.colours.has_colour))
        self._drawn = ()
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
        self.query_one("#body").set_class(width >= SIDE_BY_SIDE, "beside")


class Rates:
    """How much comes in a second, of late."""

    #: Over how long it is counted.
    SPAN_S = 2.0

    def __init__(self) -> None:
        self._noted: list[tuple[float, int]] = []

    def note(self, traffic: Traffic) -> None:
        """Take how many there were so far."""
        now_s = time.monotonic()
        self._noted.append((now_s, traffic.segments))
        self._noted = [*self._since(now_s - self.SPAN_S, self._noted)]

    @property
    def segments(self) -> float:
        """Segments in a second; none if nothing was noted for long."""
        now_s = time.monotonic()
        if len(self._noted) < 2 or self._noted[-1][0] < now_s - self.SPAN_S:
            return 0.0
        (first_s, first), (_, last) = self._noted[0], self._noted[-1]
        return (last - first) / max(now_s - first_s, 0.1)

    @staticmethod
    def _since(moment_s: float, noted: Sequence[tuple[float, int]]) -> Iterable[tuple[float, int]]:
        """Return what was noted since then, and the last one before."""
        begin = max((place for place, (at_s, _) in enumerate(noted) if at_s < moment_s), default=0)
        return noted[begin:]
