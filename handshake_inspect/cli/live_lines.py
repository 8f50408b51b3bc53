"""Prints segments, errors and ends of TIME-WAIT as they happen.

In: segments and ICMP errors of numbered connections, in order of time, and lines about datagrams. Out: a line for each
on standard output, with changed states highlighted; and a line for each TIME-WAIT when its time is over, which no
segment shows (RFC 9293 §3.6.1). For the last STREAMS_KEPT streams, what their next line needs is kept.
"""

from __future__ import annotations

import heapq
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from handshake_inspect.cli.output import terminal_width, write, write_lines
from handshake_inspect.connections.analysis import Seen
from handshake_inspect.connections.connection import Connection, Endpoint, IcmpError, Pair, StateAt, Step, TimeWait
from handshake_inspect.views.datagram_line import Timed
from handshake_inspect.views.segment_line import Happening, fitted_lines, segment_line, time_of

if TYPE_CHECKING:
    from rich.text import Text

#: More TIME-WAITs than these that are over at once are told in one line.
OVER_ALONE = 6
#: Of how many streams the next line is prepared for: nobody follows more, and each takes some thousand octets.
STREAMS_KEPT = 1000


@dataclass(frozen=True)
class _Stream:
    """What the next line of a stream needs."""

    connection: Connection
    #: After its last segment that was printed.
    states: Pair[StateAt] | None


class LiveLines:
    """Prints the lines. `where` names the interface of a segment or error; "" if there is but one."""

    def __init__(self, where: Callable[[Step | IcmpError], str] = lambda _: "") -> None:
        self._where = where
        self._streams: OrderedDict[int, _Stream] = OrderedDict()
        #: The latest stream of each pair of sockets: whatever an earlier one owed is over with it.
        self._latest: dict[frozenset[Endpoint], int] = {}
        #: The longest name of an interface so far: the lines of all stand below each other.
        self._widest = 0
        #: When a TIME-WAIT may be over, and of which stream: the earliest first.
        self._deadlines: list[tuple[int, int]] = []

    def show(self, seen: Iterable[Seen], others: Iterable[Timed] = ()) -> None:
        """Print segments and errors, and `others` between them by their times."""
        ours = ((time_of(one), line) for connection, one in seen for line in self._lines(connection, one))
        write_lines(line for _, line in heapq.merge(ours, others, key=itemgetter(0)))
        sys.stdout.flush()  # whoever reads a pipe wants them as they come

    def pass_time(self, now_ns: int) -> None:
        """Print the TIME-WAITs that are over at `now_ns`, if no segment was seen that ended or restarted them.

        The first segment of another connection between the same sockets ends one, too.
        """
        over: list[tuple[Connection, TimeWait]] = []
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            end_ns, stream = heapq.heappop(self._deadlines)
            if (known := self._streams.get(stream)) is not None:
                over += [(known.connection, wait) for wait in owed(known.connection) if wait.earliest_end_ns == end_ns]
        if len(over) > OVER_ALONE:
            write([f"… {len(over):,} TIME-WAITs are over\n"])
        else:
            write_lines(line for connection, wait in over for line in self._line(connection, wait))
        if over:
            sys.stdout.flush()

    def _lines(self, connection: Connection, happening: Step | IcmpError) -> Iterator[Text]:
        """Yield the lines of one segment or error, and note the TIME-WAITs that follow from it."""
        yield from self._line(connection, happening)
        known = self._streams.get(connection.stream)
        new = {*owed(connection)} - {*owed(known.connection if known else None)}
        for wait in new:
            heapq.heappush(self._deadlines, (wait.earliest_end_ns, connection.stream))
        states = happening.states if isinstance(happening, Step) else known.states if known else None
        self._streams[connection.stream] = _Stream(connection, states)
        self._streams.move_to_end(connection.stream)
        sockets = sockets_of(connection)
        if self._latest.setdefault(sockets, connection.stream) < connection.stream:
            self._streams.pop(self._latest[sockets], None)
            self._latest[sockets] = connection.stream
        if len(self._streams) > STREAMS_KEPT:
            stream, oldest = self._streams.popitem(last=False)
            if self._latest.get(sockets_of(oldest.connection)) == stream:
                del self._latest[sockets_of(oldest.connection)]

    def _line(self, connection: Connection, happening: Happening) -> Iterator[Text]:
        """Yield the line of one segment or error, wrapped to the terminal."""
        known, width = self._streams.get(connection.stream), terminal_width()
        before = None if known is None else known.states
        where = "" if isinstance(happening, TimeWait) else self._where(happening)
        self._widest = max(self._widest, len(where))
        where = f"{where:{self._widest}}"
        if width is None:
            yield segment_line(connection, happening, before=before, where=where)
        else:
            yield from fitted_lines(connection, happening, width, before=before, first=known is None, where=where)


def sockets_of(connection: Connection) -> frozenset[Endpoint]:
    """Return the pair of sockets, in an order that does not depend on who opened."""
    return frozenset((connection.originator, connection.responder))


def owed(connection: Connection | None) -> list[TimeWait]:
    """Return the TIME-WAITs of a connection whose end no segment shows."""
    return [] if connection is None else [wait for wait in connection.time_wait if wait.outcome == "not-captured"]
