"""Whose a socket call is: the calls that belong beside the ladder of one connection.

In: all calls of a session, and its connections. Out: those of one connection: the calls of the two sockets that were
its ends, and of the listener from which one came. Where a pair of addresses was used several times, a socket that
connected belongs to the connection that began next, one that was accepted to the connection that had begun last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from handshake_inspect.connections.connection import Connection
from handshake_inspect.lab.calls import SocketCall

OPENING = ("connect", "sendto")


def calls_of(
    connection: Connection, calls: Sequence[SocketCall], connections: Sequence[Connection]
) -> list[SocketCall]:
    """Return the calls that belong to one of `connections`, in their order."""
    sockets: dict[tuple[str, int], list[SocketCall]] = defaultdict(list)
    for call in calls:
        sockets[call.end, call.socket].append(call)
    ours: list[SocketCall] = []
    for of_socket in sockets.values():
        opener = next((call for call in of_socket if call.name in OPENING), None)
        if opener is not None:
            ours += of_socket if connection == connected_by(opener, of_socket, connections) else []
        elif of_socket[0].name != "accept" and of_socket[0].peer:
            ours += (
                of_socket if connection == accepted_before(of_socket[0].entered_ns, of_socket[0], connections) else []
            )
        else:
            ours += [call for call in of_socket if concerns(call, of_socket, connection, connections)]
    return sorted(on_their_sides(ours, connection), key=lambda call: call.entered_ns)


def on_their_sides(calls: Sequence[SocketCall], connection: Connection) -> Sequence[SocketCall]:
    """Return the calls with those of the originator as the client's, which stand on the left of a ladder.

    It is the server where the server connected, and was seen first: in a simultaneous open.
    """
    originator = str(connection.originator)
    if connection.originator == connection.responder or {call.end for call in calls if call.local == originator} != {
        "server"
    }:
        return calls
    return [replace(call, end="client" if call.end == "server" else "server") for call in calls]


def connected_by(
    opener: SocketCall, of_socket: Sequence[SocketCall], connections: Sequence[Connection]
) -> Connection | None:
    """Return the connection that a connecting socket began: the first of its addresses that came after the call.

    The second of two that open simultaneously joins the one that the other's SYN had begun.
    """
    local = of_socket[-1].local
    for connection in connections:
        ends = ends_of(connection)
        fits = {local, opener.peer} == ends if local else opener.peer in ends
        joins = connection.handshake.kind == "simultaneous-open" and connection.last_ns >= opener.entered_ns
        if fits and (connection.first_ns >= opener.entered_ns or joins):
            return connection
    return None


def accepted_before(time_ns: int, call: SocketCall, connections: Sequence[Connection]) -> Connection | None:
    """Return the connection of an accepted socket: the last one of its addresses that had begun."""
    begun = [one for one in connections if call.peer in ends_of(one) and one.first_ns <= time_ns]
    return max(begun, key=lambda one: one.first_ns, default=None)


def concerns(
    call: SocketCall, of_socket: Sequence[SocketCall], connection: Connection, connections: Sequence[Connection]
) -> bool:
    """Tell whether a call of a listener, or of a socket that never had a peer, belongs to a connection."""
    if call.peer:  # accept()
        return connection == accepted_before(call.returned_ns, call, connections)
    port = next((one.local.rpartition(":")[2] for one in reversed(of_socket) if one.local), None)
    return port is None or port in {end.rpartition(":")[2] for end in ends_of(connection)}


def ends_of(connection: Connection) -> set[str]:
    """Return both sockets of a connection as the calls spell them."""
    return {str(connection.originator), str(connection.responder)}
