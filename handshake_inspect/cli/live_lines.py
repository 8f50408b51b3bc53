"""Prints what happens to connections as it happens, and what the clock does to them.

In: segments and ICMP errors of numbered connections, in order of time. Out: a line each on standard output, in which a
state that has changed stands out; and a line for each TIME-WAIT when its time is over, which no segment shows (RFC 9293
§3.6.1). Of each stream is kept what its next line needs, of the last STREAMS_KEPT ones.
"""

from __future__ import annotations

import heapq
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handshake_inspect.cli.output import terminal_width, write_lines
from handshake_inspect.connections.connection import Connection, IcmpError, Pair, StateAt, Step, TimeWait
from handshake_inspect.views.segment_line import Happening, fitted_lines, segment_line

if TYPE_CHECKING:
    from rich.text import Text

#: What is printed: a segment of a connection, or an ICMP error about it.
Seen = tuple[Connection, Step | IcmpError]
#: Of how many streams the next line is prepared for: nobody follows more, and each takes some thousand octets.
STREAMS_KEPT = 1000


@dataclass(frozen=True)
class _Stream:
    """What is known of a stream of which a line was printed."""

    connection: Connection
    #: After its last segment that was printed.
    states: Pair[StateAt] | None


class LiveLines:
    """Prints the lines. `where` names the interface of a segment or error; "" if there is but one."""

    def __init__(self, where: Callable[[Step | IcmpError], str] = lambda _: "") -> None:
        self._where = where
        self._streams: OrderedDict[int, _Stream] = OrderedDict()
        #: When a TIME-WAIT may be over, and of which stream: the earliest first.
        self._deadlines: list[tuple[int, int]] = []

    def show(self, seen: Iterable[Seen]) -> None:
        """Print segments and errors."""
        write_lines(line for connection, happening in seen for line in self._lines(connection, happening))
        sys.stdout.flush()  # whoever reads a pipe wants them as they come

    def pass_time(self, now_ns: int) -> None:
        """Print the TIME-WAITs that are over at `now_ns`, if no segment was seen that ended or restarted them."""
        over: list[tuple[Connection, TimeWait]] = []
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            end_ns, stream = heapq.heappop(self._deadlines)
            if (known := self._streams.get(stream)) is not None:
                over += [(known.connection, wait) for wait in owed(known.connection) if wait.earliest_end_ns == end_ns]
        write_lines(line for connection, wait in over for line in self._line(connection, wait))
        if over:
            sys.stdout.flush()

    def _lines(self, connection: Connection, happening: Step | IcmpError) -> Iterator[Text]:
        """Yield the lines of one segment or error, and remember what follows from it."""
        yield from self._line(connection, happening)
        known = self._streams.get(connection.stream)
        new = {*owed(connection)} - {*owed(known.connection if known else None)}
        for wait in new:
            heapq.heappush(self._deadlines, (wait.earliest_end_ns, connection.stream))
        states = happening.states if isinstance(happening, Step) else known.states if known else None
        self._streams[connection.stream] = _Stream(connection, states)
        self._streams.move_to_end(connection.stream)
        if len(self._streams) > STREAMS_KEPT:
            self._streams.popitem(last=False)

    def _line(self, connection: Connection, happening: Happening) -> Iterator[Text]:
        """Yield what is printed for one: a line, or as many as the terminal needs."""
        known, width = self._streams.get(connection.stream), terminal_width()
        before = None if known is None else known.states
        where = "" if isinstance(happening, TimeWait) else self._where(happening)
        if width is None:
            yield segment_line(connection, happening, before=before, where=where)
        else:
            yield from fitted_lines(connection, happening, width, before=before, first=known is None, where=where)


def owed(connection: Connection | None) -> list[TimeWait]:
    """Return the TIME-WAITs of a connection of which no segment tells how they ended."""
    return [] if connection is None else [wait for wait in connection.time_wait if wait.outcome == "not-captured"]
