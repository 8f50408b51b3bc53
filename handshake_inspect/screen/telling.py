"""The text about the chosen connection: asked for at the source's desk, and again when the connection has grown.

In: a `ListSnapshot`, and which connection is chosen. Out: its ladder, its findings, or the output of a command, in a
`TextPane`. Only one question is under way at a time, so that scrolling through the list asks for few ladders.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import numpy as np
from rich.text import Text

from handshake_inspect.screen.captions import title
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.columns import Piece
from handshake_inspect.screen.listing import Listing
from handshake_inspect.screen.reading import TextPane
from handshake_inspect.screen.sight import FAILURES, ListSnapshot, Source, in_one_line
from handshake_inspect.screen.topics import finding_lines, help_lines, text_lines
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_layout import wrap

#: How long an old text stays at most until there is a new ladder.
SOON_S = 0.2
#: Of the time, at most one part in so many is spent on drawing the ladder of a busy connection again.
LADDER_SHARE = 4
#: The text when the filter leaves no connection.
NOTHING = ("nothing",)
#: The text when only datagrams have come.
UDP_ONLY = "Datagrams of UDP have come, which make no connection: sniff --udp prints a line for each."
#: The last characters of an output tell whether there is more.
TAIL = 200


class ShownText:
    """The text that is shown, and whether it is up to date."""

    def __init__(self, source: Source, listing: Listing, text: TextPane, colours: Callable[[], Colours]) -> None:
        self._source = source
        self._listing = listing
        self._text = text
        self._colours = colours
        #: What is shown: "ladder", "findings", "output", "remarks" or "help".
        self.shows = "ladder"
        #: What the text was made of, and when it may be made again.
        self._drawn: tuple[object, ...] = ()
        self._draw_at_s = 0.0
        self._is_asking = False

    def forget(self) -> None:
        """Mark the text as out of date, to be made again at once."""
        self._drawn, self._draw_at_s = (), 0.0

    def tell(self) -> None:
        """Make the text again if it is out of date."""
        stream = self._listing.stream
        if not self._text.size.width:
            return
        if self.shows == "help":
            self._show_help()
        elif self.shows == "output":
            self._show_output()
        elif self.shows == "remarks":
            self._show_remarks([("of the captures", "accent"), ("   Esc: back", "muted")], self._source.remarks)
        elif stream is None:
            self._show_nothing()
        elif not self._is_asking and time.monotonic() >= self._draw_at_s:
            self._ask_for(self._listing.sight, stream)

    def _ask_for(self, sight: ListSnapshot, stream: int) -> None:
        connection = next(sight.connections.of_streams(np.array([stream])))
        wanted = (self.shows, stream, connection.last_frame, connection.segments, *self._surroundings)
        if wanted != self._drawn:
            self._is_asking = True
            self._text.run_worker(self._describe(stream, wanted), group="describe")

    @property
    def _surroundings(self) -> tuple[object, ...]:
        return self._text.room, self._colours().name

    async def _describe(self, stream: int, wanted: tuple[object, ...]) -> None:
        began_s, room, shows = time.monotonic(), self._text.room, self.shows
        again = self._drawn[:2] == wanted[:2]
        answer = asyncio.wrap_future(self._source.desk.ask(lambda: self._source.told(stream, room)))
        grown = None
        try:
            if not (await asyncio.wait([answer], timeout=None if again else SOON_S))[0]:
                self._text.show([(f"stream {stream}", "bold")], [Text("its segments are being read …", "dim")])
            told = await answer
            lines = told.ladder
            if shows == "findings":
                lines = await asyncio.to_thread(finding_lines, told.connection, room)
            elif self._source.is_live:
                grown = told.rows_end
            said = title(told.connection, shows, room, with_output=self._source.printed() is not None)
        except FAILURES as error:
            lines, said = wrap(Text(printable(in_one_line(error))), room), [(f"stream {stream}", "bold")]
        finally:
            self._is_asking = False
        now_s = time.monotonic()
        self._draw_at_s = now_s + (LADDER_SHARE * (now_s - began_s) if again else 0)
        if (self._listing.stream, self.shows) == (stream, shows):
            self._drawn = wanted
            self._text.show(said, lines, grown=grown, again=again)
        else:
            self.tell()

    def _show_output(self) -> None:
        printed = self._source.printed() or ""
        wanted = ("output", len(printed), printed[-TAIL:], *self._surroundings)
        if wanted != self._drawn:
            again = self._drawn[:1] == ("output",)
            self._drawn = wanted
            lines = text_lines(printed, self._text.room)
            self._text.show([("output of the command", "accent")], lines, grown=len(lines), again=again)

    def _show_nothing(self) -> None:
        """Show why no connection is listed: there is none, or none matches the filter."""
        nothing: Piece = ("no connection is listed", "muted")
        sight = self._listing.sight
        if not len(sight.streams):
            is_udp = sight.traffic is not None and sight.traffic.datagrams
            self._show_remarks([nothing], [UDP_ONLY] if is_udp else self._source.remarks)
        elif self._drawn != NOTHING:
            self._drawn = NOTHING
            self._text.show([nothing, ("   Esc", "accent"), (": without the filter", "muted")], [])

    def _show_remarks(self, title: list[Piece], remarks: Sequence[str]) -> None:
        wanted = ("remarks", title, *remarks, *self._surroundings)
        if wanted != self._drawn:
            self._drawn = wanted
            lines = [line for one in remarks for line in wrap(Text(one), self._text.room, indent=2)]
            self._text.show(title, lines)

    def _show_help(self) -> None:
        wanted = ("help", *self._surroundings)
        if wanted != self._drawn:
            self._drawn = wanted
            self._text.show([("help", "accent"), ("   Esc: back", "muted")], [*help_lines(self._text.room)])
