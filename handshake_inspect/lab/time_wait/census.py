"""Who on this host holds how many TIME-WAIT entries, towards whom, until when, and how near that is to running out.

In: the kernel's entries (`entry_table`) and settings of this network namespace; no privilege is needed. Out: a
`Census`. A server's entries are those of its listening port, by client address; a client's those towards one remote
socket, for which each takes a port of the ephemeral range (RFC 6056) away: when all are taken, connect() fails.

The kernel does not keep who connected. A listener tells, at either end where both are on this host; else the range of
ephemeral ports does, and then the port that more entries share: a server has one port for many clients. A client's port
may be shared too, towards other remote sockets, but fewer entries share it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.entry_table import Rows, local_of, read_rows, remote_of
from handshake_inspect.lab.kernel.sock_diag import bit_of, open_diagnosis
from handshake_inspect.lab.time_wait.wheel import Wheel
from handshake_inspect.tcp.time_wait import PortRange

Role = Literal["client", "server"]


@dataclass(slots=True)
class Holding:
    """The entries that one local end holds towards one remote."""

    role: Role
    #: A server's own socket; of a client its address, with port 0.
    local: Endpoint
    #: A client's server; of a server its client's address, with port 0.
    remote: Endpoint
    count: int = 0
    #: How much the kernel's timers still show, the least and the most, in ms.
    nearest_ms: int = 1 << 62
    farthest_ms: int = 0
    #: Of a client: different ports of the ephemeral range that it may not take for this remote socket.
    ephemeral: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Census:
    """All TIME-WAIT entries of a network namespace at one moment."""

    time_ns: int
    #: The most entries first.
    holdings: tuple[Holding, ...]
    #: How many there are, and may be: net.ipv4.tcp_max_tw_buckets.
    count: int
    limit: int
    #: net.ipv4.ip_local_port_range, and the ports of it that the kernel takes for a client: not the reserved ones.
    ports: PortRange
    ephemeral: frozenset[int]
    #: net.ipv4.tcp_tw_reuse: 1, or 2 on loopback, lets connect() take a port again after a second.
    reuse: int
    wheel: Wheel


def take_census(wheel: Wheel) -> Census:
    """Count what there is now. Raises LabError."""
    with open_diagnosis() as netlink:
        listeners = {local_of(row).port for row in read_rows(netlink, bit_of("LISTEN"))}
        time_ns = time.time_ns()
        rows = read_rows(netlink, bit_of("TIME-WAIT"))
    ports = port_range()
    ephemeral = frozenset(range(ports.first, ports.last + 1)) - reserved_ports()
    held = holdings(rows, frozenset(listeners), ephemeral)
    limit, reuse = int(setting("tcp_max_tw_buckets")), int(setting("tcp_tw_reuse") or 0)
    return Census(time_ns, tuple(held), len(rows), limit, ports, ephemeral, reuse, wheel)


def holdings(rows: Rows, listeners: Container[int], ephemeral: Container[int]) -> list[Holding]:
    """Group the entries by who holds them towards whom; the most first."""
    ends = [(local_of(row), remote_of(row), int(row["expires_ms"])) for row in rows]
    here, there = (Counter(end.port for end in side) for side in ([one[0] for one in ends], [one[1] for one in ends]))
    found: dict[tuple[Endpoint, Endpoint], Holding] = {}
    for local, remote, left_ms in ends:
        is_server = accepted(local, remote, listeners, ephemeral, here[local.port] - there[remote.port])
        local_key = local if is_server else Endpoint(local.ip, 0)
        remote_key = Endpoint(remote.ip, 0) if is_server else remote
        role: Role = "server" if is_server else "client"
        one = found.setdefault((local_key, remote_key), Holding(role, local_key, remote_key))
        one.count += 1
        one.nearest_ms, one.farthest_ms = min(one.nearest_ms, left_ms), max(one.farthest_ms, left_ms)
        if not is_server and local.port in ephemeral:
            one.ephemeral.add(local.port)
    return sorted(found.values(), key=lambda one: (-one.count, str(one.local), str(one.remote)))


def accepted(
    local: Endpoint, remote: Endpoint, listeners: Container[int], ephemeral: Container[int], shared_more: int
) -> bool:
    """Is the local end the one that accepted the connection?

    `shared_more`: by how many entries more its port is shared than the remote one. A client may have bound a port that
    is not ephemeral; of two such the lower one is mostly a service's.
    """
    if local.port in listeners:
        return True
    if remote.port in listeners and is_on_this_host(local, remote):
        return False
    if local.port in ephemeral or remote.port in ephemeral:
        return local.port not in ephemeral or shared_more > 0
    return shared_more > 0 or (shared_more == 0 and local.port < remote.port)


def is_on_this_host(local: Endpoint, remote: Endpoint) -> bool:
    """Are both ends of an entry on this host, as far as their addresses show it?"""
    return remote.ip == local.ip or ip_address(remote.ip).is_loopback


def port_range() -> PortRange:
    """Return the range of ephemeral ports of this network."""
    first, last = map(int, setting("ip_local_port_range").split())
    return PortRange(first, last)


def reserved_ports() -> frozenset[int]:
    """Return the ports that the kernel takes for no client of this network."""
    return frozenset(spelled_out(setting("ip_local_reserved_ports")))


def spelled_out(ranges: str) -> Iterator[int]:
    """Yield the ports of "8080,9000-9010"."""
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def setting(name: str) -> str:
    """Return a setting of this network's TCP, "" where the kernel has none."""
    path = Path("/proc/sys/net/ipv4", name)
    return path.read_text().strip() if path.exists() else ""


def entries_of(holdings: Iterable[Holding], role: Role) -> int:
    """Count the entries of clients, or of servers."""
    return sum(one.count for one in holdings if one.role == role)
