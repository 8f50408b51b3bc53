"""What the capture predicts of TIME-WAIT laid beside what the kernel did, entry by entry.

In: a session, and the glances at its TIME-WAIT (`staying`). Out: a `Reckoning` for each TIME-WAIT that the capture
shows, by its owner: entered and restarted when, to end when; the kernel's entry as it was followed; what ended it. All
times are on the clock of the capture, as it ran at the first glance: if it is set meanwhile, the frames that come then
are put back by as much. RFC 9293 §3.6.1: 2 MSL after the last segment that it had to answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from handshake_inspect.connections.connection import Connection, End, Endpoint, TimeWait
from handshake_inspect.lab.segments import segment_of
from handshake_inspect.lab.session import Session
from handshake_inspect.lab.time_wait.endings import Captured, Ending, ending_of, ending_of_missing
from handshake_inspect.lab.time_wait.following import Following
from handshake_inspect.lab.time_wait.staying import Glance
from handshake_inspect.lab.time_wait.wheel import TIME_WAIT_NS, Span, Wheel
from handshake_inspect.lab.vantage import Vantage


@dataclass(frozen=True)
class Reckoning:
    """One TIME-WAIT, by the capture and by the kernel."""

    connection: Connection
    owner: End
    #: From the capture: when it was entered, and restarted.
    entered_ns: int
    restarts_ns: tuple[int, ...]
    #: The kernel's entry; None: it was not there when the session was over.
    entry: Following | None
    #: What must be added to the times of the entry for the clock of the capture.
    offset_ns: int
    wheel: Wheel
    ending: Ending
    #: The segments between its two sockets, both directions.
    captured: tuple[Captured, ...]

    @property
    def local(self) -> Endpoint:
        """The owner's socket."""
        return ends_of(self.connection, self.owner)[0]

    @property
    def remote(self) -> Endpoint:
        """Its peer's."""
        return ends_of(self.connection, self.owner)[1]

    @property
    def predicted_ns(self) -> int:
        """When its 60 s are over, by the capture alone."""
        return max(self.entered_ns, *self.restarts_ns, 0) + TIME_WAIT_NS

    @property
    def predicted_gone(self) -> Span:
        """When the timer wheel lets it end, by the capture and the wheel."""
        span = self.wheel.fires(self.predicted_ns - self.offset_ns)
        return Span(span.earliest_ns + self.offset_ns, span.latest_ns + self.offset_ns)

    @property
    def kernel_expiry_ns(self) -> int | None:
        """When the kernel's timer reaches 0."""
        return None if self.entry is None else self.entry.expiry_ns + self.offset_ns

    @property
    def gone_ns(self) -> int | None:
        """When the entry was gone."""
        return None if self.entry is None or self.entry.gone is None else self.entry.gone.before_ns + self.offset_ns

    def segment_at(self, time_ns: int) -> Captured | None:
        """Return the segment that was captured at a moment, on the clock of the capture."""
        return next((one for one in self.captured if one.time_ns + self.offset_ns == time_ns), None)

    def segment_near(self, time_ns: int, within_ns: int) -> Captured | None:
        """Return the last segment that came to the owner at most so long before or after a moment."""
        came = (one for one in reversed(self.captured) if not self.is_owners(one))
        return next((one for one in came if abs(one.time_ns + self.offset_ns - time_ns) <= within_ns), None)

    def is_owners(self, one: Captured) -> bool:
        """Did the owner of TIME-WAIT send that segment?"""
        return one.segment.source == (self.local.ip, self.local.port)


class Waiting:
    """A session and all that was seen of its TIME-WAIT so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.glance: Glance | None = None
        self._vantages = list(session.vantages)
        self._first: Glance | None = None

    def take(self, glance: Glance) -> None:
        """Take over one more glance."""
        self._first, self.glance = self._first or glance, glance
        set_ns = glance.offset_ns - self._first.offset_ns
        self._vantages = [
            replace(
                fresh, frames=one.frames + [replace(frame, time_ns=frame.time_ns - set_ns) for frame in fresh.frames]
            )
            for one, fresh in zip(self._vantages, glance.fresh, strict=True)
        ]

    def reckonings(self) -> list[Reckoning]:
        """Lay what is known beside each other, in the order of entering."""
        found: list[Reckoning] = []
        for host, vantage in enumerate(self._vantages):
            connections = list(vantage.inspected().connections)
            for connection in connections:
                until_ns = next((one.first_ns for one in connections if is_next_of(one, connection)), None)
                waits = (wait for wait in waits_of(connection) if self._is_seen_from(host, connection, wait))
                found += [self._reckoning(connection, wait, host, until_ns) for wait in waits]
        return sorted(found, key=lambda one: one.entered_ns)

    def _is_seen_from(self, host: int, connection: Connection, wait: TimeWait) -> bool:
        """Is the owner at this vantage point: the only one, or that at its own host?"""
        return len(self._vantages) == 1 or ends_of(connection, wait.owner)[0].ip == self._address_at(host)

    def _address_at(self, host: int) -> str:
        """Return the address of the host at whose interface a vantage point is."""
        server = self.session.server[0]
        first = self.session.vantages[0].inspected().connections[0]
        return server if host else next(ip for ip in (first.originator.ip, first.responder.ip) if ip != server)

    def _entry_between(self, local: Endpoint, remote: Endpoint, until_ns: int | None) -> Following | None:
        """Return the kernel's entry of a pair of sockets, which was there before their next connection began."""
        assert self.glance is not None and self._first is not None
        for one in self.glance.entries:
            was_there = until_ns is None or one.first.before_ns + self._first.offset_ns < until_ns
            if (one.local, one.remote) == (local, remote) and was_there:
                return one
        return None

    def _reckoning(self, connection: Connection, wait: TimeWait, host: int, until_ns: int | None) -> Reckoning:
        """Lay together what is known of one TIME-WAIT, whose host is at a vantage point.

        `until_ns`: when the next connection of the same two sockets began; None: there was none.
        """
        assert self.glance is not None and self._first is not None
        local, remote = ends_of(connection, wait.owner)
        captured = tuple(captured_between(self._vantages[host], local, remote, self._first.offset_ns))
        entry = self._entry_between(local, remote, until_ns)
        return Reckoning(
            connection=connection,
            owner=wait.owner,
            entered_ns=wait.entered_ns,
            restarts_ns=wait.restarts_ns,
            entry=entry,
            offset_ns=self._first.offset_ns,
            wheel=self.glance.wheel,
            ending=self._ending(wait, local, host, entry, captured),
            captured=captured,
        )

    def _ending(
        self, wait: TimeWait, local: Endpoint, host: int, entry: Following | None, captured: Sequence[Captured]
    ) -> Ending:
        """Say what ended a TIME-WAIT, by the segments at the vantage point of its host."""
        assert self.glance is not None and self._first is not None
        if entry is not None:
            return ending_of(entry, captured, is_complete=not self._vantages[host].dropped)
        overflowed = self.glance.counters[host].overflowed > 0
        entered_ns, asked_ns = wait.entered_ns - self._first.offset_ns, self._first.now_ns
        return ending_of_missing(captured, local.port, entered_ns, asked_ns, overflowed=overflowed)


def waits_of(connection: Connection) -> tuple[TimeWait, ...]:
    """Return who owes TIME-WAIT; a socket that is connected to itself is one, and owes it once."""
    return connection.time_wait[:1] if connection.originator == connection.responder else connection.time_wait


def ends_of(connection: Connection, owner: End) -> tuple[Endpoint, Endpoint]:
    """Return the owner's socket and its peer's."""
    ends = (connection.originator, connection.responder)
    return ends if owner == "originator" else ends[::-1]


def is_next_of(one: Connection, other: Connection) -> bool:
    """Have two connections the same two sockets, and is `one` the later?"""
    return one.stream > other.stream and {one.originator, one.responder} == {other.originator, other.responder}


def captured_between(vantage: Vantage, local: Endpoint, remote: Endpoint, offset_ns: int) -> Iterator[Captured]:
    """Yield the captured segments of a pair of sockets, both directions."""
    pair = {(local.ip, local.port), (remote.ip, remote.port)}
    for number, frame in enumerate(vantage.frames, 1):
        segment = segment_of(frame.octets)
        if segment is not None and {segment.source, segment.destination} == pair:
            yield Captured(frame.time_ns - offset_ns, number, segment)
