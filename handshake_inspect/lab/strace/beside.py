"""Whose the sockets of a log are: each beside the connection of a capture that it was an end of.

In: the sockets of a log, and the connections of a capture of the same time. Out: for each connection its `SocketCall`s,
as the ladder takes them, and which sockets belong to none. A call returns not before the segment that it waited for
(`causes`), however early the log puts it.

A socket whose addresses the log tells belongs to the connection between them: one that connected to the first that
began after its connect() was entered, any other to the last that had begun. Of a client that never asked for its port
the log does not tell it: its SYN left while it was in connect(), so of the connections to that server it is the one
that began then. Where several programs connected to one server at once, it is the one whose segments fit all that the
client did. Where several fit, the call that returned first takes the connection that began first; that is a guess, and
counted. A server that did not ask whom it accepted gets connections in the order in which they began, as its queue
does.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.lab.calls import End, SocketCall
from handshake_inspect.lab.strace.causes import CUT_NS, Placed, Segments, along
from handshake_inspect.lab.strace.lines import SystemCall
from handshake_inspect.lab.strace.sockets import TracedSocket, is_wildcard
from handshake_inspect.lab.strace.spelling import ACCEPTING, WAITING, spelled

#: Calls on a listener that concern all connections that come to it later.
LISTENING = ("bind", "listen", "setsockopt")
#: Gives the segments of a connection.
StepsOf = Callable[[Connection], Sequence[Step]]


@dataclass
class Attribution:
    """Which sockets of a log are ends of which connections."""

    #: By the number of the connection.
    sockets: dict[int, list[TracedSocket]] = field(default_factory=lambda: defaultdict(list))
    #: Listening sockets by their ports.
    listeners: dict[str, list[TracedSocket]] = field(default_factory=lambda: defaultdict(list))
    #: Those that belong to no connection; listeners at whose port there was none among them.
    strangers: list[TracedSocket] = field(default_factory=list)
    #: How many clients could have been another connection's as well.
    guesses: int = 0

    def calls_of(self, connection: Connection, steps: Sequence[Step] = ()) -> list[SocketCall]:
        """Return the calls of one connection, in the order in which they were entered. `steps`: its segments."""
        ends = self.sockets.get(connection.stream, [])
        calls = [call for socket in ends for call in calls_of_end(socket, connection, steps)]
        listeners = [socket.listener for socket in ends if socket.listener is not None]
        for listener in listeners or self._listeners_for(connection):
            calls += calls_of_listener(listener, connection, steps, [socket.accepted_by for socket in ends])
        return sorted(calls, key=lambda call: call.entered_ns)

    def _listeners_for(self, connection: Connection) -> list[TracedSocket]:
        """Return the listener of a connection that was never accepted."""
        end = connection.responder
        found = self.listeners.get(str(end.port), [])
        return [one for one in found if one.local == str(end) or is_wildcard(one.local)][-1:]


def attribute(
    sockets: Iterable[TracedSocket], connections: Iterable[Connection], steps_of: StepsOf = lambda _: ()
) -> Attribution:
    """Find the connection of each socket. Addresses that the log did not tell are taken over from it.

    `steps_of` is asked only for connections that began while several clients connected to one server.
    """
    among = _Among(connections, steps_of)
    found = Attribution()
    nameless: list[TracedSocket] = []
    unasked: list[TracedSocket] = []
    for socket in sockets:
        if socket.is_listener:
            found.listeners[port_of(socket.local)].append(socket)
        elif socket.opener is not None and not socket.local:
            nameless.append(socket)
        elif socket.accepted_by is not None and not socket.peer:
            unasked.append(socket)
        else:
            among.give(socket, among.known(socket), found)
    nameless.sort(key=lambda one: one.opener.returned_ns if one.opener else 0)
    among.give_clients(nameless, found)
    for socket in unasked:
        among.give(socket, among.accepted(socket), found)
    ports = {str(end.port) for connection in among.all for end in (connection.originator, connection.responder)}
    found.strangers += [one for port, some in found.listeners.items() if port not in ports for one in some]
    return found


class _Among:
    """The connections of a capture, indexed by what calls may show about them."""

    def __init__(self, connections: Iterable[Connection], steps_of: StepsOf) -> None:
        self.all = sorted(connections, key=lambda one: one.first_ns)
        self._steps_of = steps_of
        #: By the number of the connection, as its client sees them.
        self._segments: dict[int, Segments] = {}
        self._by_ends: dict[frozenset[str], list[Connection]] = defaultdict(list)
        self._by_end: dict[str, list[Connection]] = defaultdict(list)
        self._by_port: dict[str, list[Connection]] = defaultdict(list)
        #: By port those that nobody may have accepted yet.
        self._queues: dict[str, deque[Connection]] = {}
        #: Numbers of those of which a client, or a server, is known.
        self._taken: dict[End, set[int]] = {"client": set(), "server": set()}
        for one in self.all:
            ends = {str(one.originator), str(one.responder)}
            self._by_ends[frozenset(ends)].append(one)
            for end in ends:
                self._by_end[end].append(one)
                self._by_port[port_of(end)].append(one)

    def known(self, socket: TracedSocket) -> Connection | None:
        """Return the connection of a socket of which the peer is known, and mostly its own address."""
        if is_wildcard(socket.local) or not socket.peer:
            some = [
                one
                for one in self._by_end.get(socket.peer or socket.local, [])
                if not socket.local or port_of(socket.local) in map(port_of, ends_of(one))
            ]
        else:
            some = self._by_ends.get(frozenset({socket.local, socket.peer}), [])
        opener = socket.opener
        if opener is not None:
            return next((one for one in some if may_have_begun(opener, one)), None)
        accepted = socket.accepted_by
        since_ns = accepted.returned_ns if accepted is not None else socket.calls[0].entered_ns
        until_ns = accepted.latest_ns + CUT_NS if accepted is not None else since_ns
        begun = next((one for one in reversed(some) if one.first_ns <= since_ns), None)
        return begun or next((one for one in some if one.first_ns <= until_ns), None)

    def give_clients(self, sockets: Sequence[TracedSocket], found: Attribution) -> None:
        """Give connections to clients whose ports are not told: first where only one fits, then by guesses."""
        waiting = list(sockets)
        while waiting:
            unsure = []
            for socket in waiting:
                some = self.connected(socket)
                if len(some) > 1:
                    unsure.append(socket)
                else:
                    self.give(socket, next(iter(some), None), found)
            if len(unsure) == len(waiting):
                found.guesses += 1
                self.give(unsure[0], self.connected(unsure[0])[0], found)
                del unsure[0]
            waiting = unsure

    def connected(self, socket: TracedSocket) -> list[Connection]:
        """Return the connections that a client may have begun whose port is not told, the best ones if some are."""
        opener = socket.opener
        if opener is None:
            return []
        some = self._by_end.get(socket.peer, [])
        begin = bisect_left(some, opener.entered_ns, key=began)
        # With TCP_FASTOPEN_CONNECT the SYN waits for the first octets.
        until_ns = max(call.returned_ns for call in socket.calls)
        free = [
            one
            for one in some[begin : bisect_right(some, until_ns, key=began)]
            if one.stream not in self._taken["client"] and str(one.originator) != socket.peer
        ]
        meanwhile = [one for one in free if one.first_ns <= opener.latest_ns + CUT_NS]
        if len(meanwhile) < 2:
            return meanwhile or free[:1]
        return [one for one in meanwhile if self._fits(socket, one)] or meanwhile

    def _fits(self, socket: TracedSocket, connection: Connection) -> bool:
        if connection.stream not in self._segments:
            self._segments[connection.stream] = Segments(connection, self._steps_of(connection), "originator")
        return self._segments[connection.stream].fit(socket)

    def accepted(self, socket: TracedSocket) -> Connection | None:
        """Return the connection that a server accepted without asking for the client's address."""
        call, local = socket.accepted_by, socket.local or (socket.listener.local if socket.listener else "")
        if call is None:
            return None
        queue = self._queues.setdefault(port_of(local), deque(self._by_port.get(port_of(local), [])))
        while queue and (queue[0].stream in self._taken["server"] or not queue[0].handshake.complete):
            queue.popleft()
        return queue[0] if queue and queue[0].first_ns <= call.latest_ns + CUT_NS else None

    def give(self, socket: TracedSocket, connection: Connection | None, found: Attribution) -> None:
        """Note the connection of a socket."""
        if connection is None:
            found.strangers.append(socket)
            return
        found.sockets[connection.stream].append(socket)
        originator, responder = str(connection.originator), str(connection.responder)
        if socket.peer in (originator, responder):
            socket.local = responder if socket.peer == originator else originator
        elif socket.accepted_by is not None:
            socket.local, socket.peer = responder, originator
        self._taken[end_of(socket, connection)].add(connection.stream)


def began(connection: Connection) -> int:
    """Return when the first segment of a connection was captured."""
    return connection.first_ns


def may_have_begun(opener: SystemCall, connection: Connection) -> bool:
    """May this call have begun this connection, or joined it: the second SYN of a simultaneous open?"""
    joins = connection.handshake.kind == "simultaneous-open" and connection.last_ns >= opener.entered_ns
    return connection.first_ns >= opener.entered_ns or joins


def end_of(socket: TracedSocket, connection: Connection) -> End:
    """Return the lane of a socket in the ladder: that of the originator is the left one, the client's."""
    return "client" if socket.local == str(connection.originator) else "server"


def ends_of(connection: Connection) -> tuple[str, str]:
    """Return both sockets of a connection as calls spell them."""
    return str(connection.originator), str(connection.responder)


def port_of(end: str) -> str:
    """Return the port of an address as calls spell it."""
    return end.rpartition(":")[2]


def segments_for(socket: TracedSocket, connection: Connection, steps: Sequence[Step]) -> Segments:
    """Return the segments of a connection as a socket at one of its ends sees them."""
    return Segments(connection, steps, "originator" if end_of(socket, connection) == "client" else "responder")


def calls_of_end(socket: TracedSocket, connection: Connection, steps: Sequence[Step]) -> Iterator[SocketCall]:
    """Yield the calls of an end of a connection; with several processes on one socket, with the process of each."""
    end, segments = end_of(socket, connection), segments_for(socket, connection, steps)
    pids = {call.pid for call in socket.calls} | {one.pid for one in socket.exits}
    for placed in along(socket):
        call = placed.call
        if call.name != "getsockopt" or "SO_ERROR" in call.arguments:
            said = shown(call, socket, end, segments.cause_ns(placed))
            yield by(said, call.pid if len(pids) > 1 else None)
    for one in socket.exits:
        said = SocketCall(end, "exit", one.text, "", one.time_ns, one.time_ns, socket.number, socket.local, socket.peer)
        yield by(said, one.pid if len(pids) > 1 else None)


def calls_of_listener(
    listener: TracedSocket, connection: Connection, steps: Sequence[Step], accepting: Sequence[SystemCall | None]
) -> Iterator[SocketCall]:
    """Yield the calls on a listener that concern one connection: before it, during it, and for it.

    A child that closes the copy which it got says that it was not the server.
    """
    segments = Segments(connection, steps, "responder")
    owner = next((call.pid for call in listener.calls), None)
    for call in listener.calls:
        is_its_own = call in accepting
        if call.name in ACCEPTING and not is_its_own and call.number is not None and call.number >= 0:
            continue
        lives = connection.first_ns <= call.returned_ns and call.entered_ns <= connection.last_ns
        if is_its_own or (call.entered_ns <= connection.last_ns if call.name in LISTENING else lives):
            said = shown(call, listener, "server", segments.cause_ns(Placed(call, 0, 0)) if is_its_own else None)
            if is_its_own:
                peer = str(connection.originator)
                said = replace(said, peer=peer, result=peer)
            yield by(said, call.pid if call.name == "close" and call.pid != owner else None)


def shown(call: SystemCall, socket: TracedSocket, end: End, cause_ns: int | None) -> SocketCall:
    """Return a call as the ladders show it: it returned after its cause, as far as its thread leaves room for that."""
    name, text, result, said = spelled(call, role="listener" if socket.is_listener else "")
    waits = call.name in WAITING and call.error not in ("EAGAIN", "EINPROGRESS")
    returned_ns = call.entered_ns if call.is_untimed and not waits else call.returned_ns
    if cause_ns is not None:
        returned_ns = max(returned_ns, min(cause_ns, call.latest_ns + CUT_NS))
    return SocketCall(
        end, name, text, result, call.entered_ns, max(returned_ns, call.entered_ns), socket.number, socket.local,
        socket.peer, said.text, said.size,
    )  # fmt: skip


def by(call: SocketCall, pid: int | None) -> SocketCall:
    """Return the call with the process that made it, if it is one of several."""
    return call if pid is None else replace(call, text=f"[pid {pid}] {call.text}")
