"""What the rules over a run look at: all connections in columns, and the captures.

It has what no single connection shows: what happened at one listener, from one host, in one capture.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import field
from functools import cached_property

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.connection import Frame
from handshake_inspect.connections.conversations import conversation_order
from handshake_inspect.connections.deciding.answers import VerdictTable
from handshake_inspect.connections.endless.retention import Retention
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.ledger.at_once import number_groups
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.plain import mutable, plain
from handshake_inspect.tcp.time_wait import SECOND_NS

#: Listeners, or hosts, that one rule tells of: those that it concerns most.
MOST_TOLD = 1000
#: A capture that begins within this time of the end of another one goes on from there.
GOES_ON_NS = SECOND_NS


@plain
class About:
    """A finding about a listener, a host or a capture."""

    #: What it is about: "10.0.0.2:80", "192.0.2.7", the name of a capture.
    about: str
    message: str
    #: How many connections show it; 0 if it is not about connections.
    connections: int = 0
    frames: tuple[Frame, ...] = field(default=())


def covered_until_ns(captures: Sequence[CaptureSummary]) -> list[int]:
    """Return the time until which each capture shows what happens: its end, or that of captures that continue it.

    A capture that was rotated into several files goes on in the next one. One of another day does not, nor does one
    that begins while it lasts, or one of another kind of link; and of one whose clock was set nobody knows.
    """
    until = [one.last_ns or 0 for one in captures]
    steady = [place for place, one in enumerate(captures) if one.first_ns is not None and not one.disorder.jumps]
    steady.sort(key=lambda place: captures[place].first_ns or 0)
    begins = [captures[place].first_ns or 0 for place in steady]
    for number, place in reversed([*enumerate(steady)]):
        ends_ns = until[place]
        first, stop = bisect_left(begins, ends_ns - GOES_ON_NS), bisect_right(begins, ends_ns + GOES_ON_NS)
        for later in steady[max(first, number + 1) : stop]:
            if captures[later].link_types == captures[place].link_types:
                until[place] = max(until[place], until[later])
    return until


@mutable
class Groups:
    """Groups of connections that have something in common, numbered by first appearance."""

    #: The group of each connection. Shape (m,).
    number: Rows
    #: A connection of each group.
    example: Rows

    @cached_property
    def sizes(self) -> Rows:
        """The number of connections in each group."""
        return np.bincount(self.number, minlength=len(self.example))

    def count(self, which: Mask) -> Rows:
        """Count the connections that `which` marks in each group; all or none are found out at once."""
        if which.all():
            return self.sizes
        return np.bincount(self.number[which], minlength=len(self.example)) if which.any() else 0 * self.sizes


@mutable
class Run:
    """All verdicts about a run."""

    connections: Connections
    captures: Sequence[CaptureSummary]
    #: The lane of each capture, as in `Evidence`; None: each has its own.
    lanes: Rows | None = None
    #: By what rule connections leave before the end; None: all are there.
    leaving: Retention | None = None

    @property
    def table(self) -> VerdictTable:
        """One row per connection."""
        return self.connections.verdicts.table

    def judged(self, claim: Callable[[Judgement], bool]) -> Mask:
        """Mark the connections whose judgement meets the claim, called once per distinct judgement. Shape (m,)."""
        return self.connections.verdicts.judged(claim)

    def at_one_place(self, one: Rows, other: Rows) -> Mask:
        """Mark the pairs of connections that begin in one capture, or in files that follow each other."""
        first = self.table["first_capture"]
        place = first if self.lanes is None else self.lanes[first]
        same: Mask = place[one] == place[other]
        return same

    @cached_property
    def until_ns(self) -> Rows:
        """The time until which the captures, or the following of each connection, went on. Shape (m,)."""
        ends = np.array(covered_until_ns(self.captures) or [0], np.int64)
        until: Rows = np.broadcast_to(ends[0], len(self.table))
        if len(ends) > 1:  # a file may end, and the next one of a rotation begin, in a long pause of a connection
            until = np.maximum(ends[self.table["first_capture"]], ends[self.table["last_capture"]])
        return until if self.leaving is None else np.minimum(until, self.leaving.until_ns(self.connections.verdicts))

    @cached_property
    def one_sided(self) -> Mask:
        """Marks the connections with segments of one end only, although the other end sent some. Shape (m,)."""
        found: Mask = self.table["one_sided"] != 0
        return found

    @cached_property
    def sockets_used_again(self) -> bool:
        """Is there a conversation of more than one connection?"""
        conversation = self.table["conversation"]
        return bool((conversation[1:] == conversation[:-1]).any())

    @property
    def clients(self) -> Sockets:
        """The originator's socket of each connection."""
        return self._sockets[0]

    @property
    def servers(self) -> Sockets:
        """The responder's socket of each connection."""
        return self._sockets[1]

    @cached_property
    def _sockets(self) -> tuple[Sockets, Sockets]:
        return Sockets.of_both(self.connections)

    @cached_property
    def paths(self) -> Groups:
        """The connections of each client's host and server's socket.

        Many connections have few of these: what asks who tried what looks at them.
        """
        return Groups(*number_groups([*self.clients.host, *self.servers.host[:2], self.servers.port]))

    @cached_property
    def listeners(self) -> Groups:
        """The connections of each server's socket."""
        servers = self.servers.take(self.paths.example)
        number, first = number_groups([*servers.host, servers.port])
        return Groups(number[self.paths.number], self.paths.example[first])

    def clients_at_listeners(self, which: Mask) -> Rows:
        """Count the client hosts of the connections at each listener that `which` marks."""
        seen = self.paths.example[self.paths.count(which) > 0]
        return np.bincount(self.listeners.number[seen], minlength=len(self.listeners.example))

    def at_listener(self, number: int) -> Rows:
        """Return the connections of one listener, in order of time."""
        order, begins = self._by_listener
        return self.by_time(order[begins[number] : begins[number + 1]])

    @cached_property
    def _by_listener(self) -> tuple[Rows, Rows]:
        return conversation_order(self.listeners.number), np.append(0, np.cumsum(self.listeners.sizes))

    def by_time(self, rows: Rows) -> Rows:
        """Sort connections, given in the order of the table, by time."""
        return rows if self._is_by_time else rows[np.argsort(self.table["first_ns"][rows], kind="stable")]

    @cached_property
    def _is_by_time(self) -> bool:
        """Are connections in the table in order of time? If no sockets are used again, they mostly are."""
        first_ns = self.table["first_ns"]
        return bool((first_ns[1:] >= first_ns[:-1]).all())

    def first_frame(self, row: int) -> Frame:
        """Return the first frame of a connection; in a run of several captures with its capture."""
        return self.frame(int(self.table["first_capture"][row]), int(self.table["first_frame"][row]))

    def frame(self, capture: int, frame: int) -> Frame:
        """Return a frame of a capture; in a run of several captures with its capture."""
        return frame if len(self.captures) == 1 else (self.captures[capture].name, frame)

    def kinds(self, rows: Rows) -> str:
        """Return how these connections opened, the most common first: "24 refused, 5 unanswered"."""
        judgements = self.connections.verdicts.judgements
        counts: Counter[str] = Counter()
        for number, count in enumerate(np.bincount(self.table["judgement"][rows], minlength=len(judgements)).tolist()):
            counts[judgements[number].handshake_kind] += count
        commonest = sorted((+counts).items(), key=lambda one: (-one[1], one[0]))
        return ", ".join(f"{count:,} {kind}" for kind, count in commonest)


def worst(count: Rows, which: Mask) -> Rows:
    """Return the places that `which` marks, the highest `count` first; at most MOST_TOLD."""
    places = np.flatnonzero(which)
    found: Rows = places[np.argsort(-count[places], kind="stable")[:MOST_TOLD]]
    return found
