"""Which sockets were which connection: two addresses may be used again, by a socket and a connection each.

In: the connections of a capture, and a `KernelAccount`. Out: for one end of one connection the `Life` of each socket
that was it, in order of time.

A socket that opens actively sends a SYN, and with it a connection begins: where there are as many of the one as of the
other, the k-th socket is the k-th connection, also if its SYN came so late that the next socket was there already
(RFC 9293 §3.5, Figure 8). Where there are more sockets, some sent no SYN that was captured here; where there are more
connections, the network made one from a copy of a SYN. Then time decides: a connection is of the latest socket that
was there before it. Any other socket, of a listener or first seen later, is of the latest connection before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handshake_inspect.connections.connection import Connection, End, Endpoint
from handshake_inspect.lab.kernel.account import KernelAccount
from handshake_inspect.lab.kernel.translation import Life, lives

#: A segment moves a socket within this time of its capture. What moves without one moved by itself.
AT_ONCE_NS = 1_000_000


def lives_of(connection: Connection, end: End, same: Sequence[Connection], account: KernelAccount) -> list[Life]:
    """Return the sockets that were this end of a connection; `same` are all with these addresses, in order."""
    local, remote = addresses(connection, end)
    found = lives(account, local, remote)
    begins = all(one.originator == local for one in same)
    whose = owners(found, same, begins=begins, unseen_ns=0 if account.traced else account.longest_gap_ns)
    return [life for life, owner in zip(found, whose, strict=True) if owner is connection]


def addresses(connection: Connection, end: End) -> tuple[Endpoint, Endpoint]:
    """Return this end's address and the other's."""
    own, peer = connection.originator, connection.responder
    return (own, peer) if end == "originator" else (peer, own)


def between_the_same(connection: Connection, connections: Sequence[Connection]) -> list[Connection]:
    """Return those connections that have the same two addresses, whoever began them."""
    both = {connection.originator, connection.responder}
    return [other for other in connections if {other.originator, other.responder} == both]


def owners(
    found: Sequence[Life], same: Sequence[Connection], *, begins: bool, unseen_ns: int = 0
) -> Iterator[Connection]:
    """Yield the connection of each socket of one end, and note of each whether it began it.

    `begins`: this end began all of them. `unseen_ns`: a socket may have been there so long before anything was told,
    and have come so long after the look began that told it.
    """
    active = [life for life in found if life.active]
    if begins and len(found) == len(same):
        active = list(found)  # also those that are open in the first sample of them
    begun = iter(begun_by(active, same, unseen_ns))
    for life in found:
        one = next(begun) if life.active or len(active) == len(found) else None
        life.began = one is not None
        yield one or latest_before(life, same, unseen_ns)


def begun_by(active: Sequence[Life], same: Sequence[Connection], unseen_ns: int) -> list[Connection | None]:
    """Return the connection that each of these sockets began; None if it began none that was captured."""
    if len(active) == len(same) and all(
        life.begin_ns - unseen_ns <= one.last_ns + AT_ONCE_NS for life, one in zip(active, same, strict=True)
    ):
        return list(same)
    found: list[Connection | None] = [None] * len(active)
    at = 0
    for one in same:
        latest_ns = one.first_ns + AT_ONCE_NS + unseen_ns
        before = [number for number in range(at, len(active)) if active[number].begin_ns <= latest_ns]
        if before:
            found[before[-1]], at = one, before[-1] + 1
    return found


def latest_before(life: Life, same: Sequence[Connection], unseen_ns: int) -> Connection:
    """Return the latest connection that began before this socket; the first if none did."""
    latest_ns = life.told_ns + AT_ONCE_NS + (0 if life.traced else unseen_ns)
    before = [one for one in same if one.first_ns <= latest_ns]
    return before[-1] if before else same[0]
