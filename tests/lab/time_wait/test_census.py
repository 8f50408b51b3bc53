"""Who holds how many: entries put together by hand, and those of real connections."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.entry_table import ROW, Rows
from handshake_inspect.lab.time_wait.census import Role, holdings, spelled_out, take_census
from handshake_inspect.lab.time_wait.wheel import this_wheel
from handshake_inspect.lab.world import in_private_world
from handshake_inspect.tcp.time_wait import PortRange
from tests.lab.kernel.runs import listener_at, settle
from tests.lab.privileges import as_ordinary_user, needs_private_world

PORTS = range(32768, 61000)


def entries(*ends: tuple[str, int, str, int, int]) -> Rows:
    rows = np.zeros(len(ends), ROW)
    for row, (local, sport, remote, dport, left_ms) in zip(rows, ends, strict=True):
        row["family"], row["sport"], row["dport"], row["expires_ms"] = socket.AF_INET, sport, dport, left_ms
        row["src"], row["dst"] = (np.void(socket.inet_aton(ip).ljust(16, b"\0")) for ip in (local, remote))
    return rows


A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def test_a_clients_entries_are_counted_by_the_socket_that_they_go_to() -> None:
    rows = entries((A, 40000, B, 443, 5000), (A, 40001, B, 443, 60000), (A, 40002, C, 443, 100))
    found = [(one.role, one.local, one.remote, one.count) for one in holdings(rows, frozenset(), PORTS)]
    here = Endpoint(A, 0)
    assert found == [("client", here, Endpoint(B, 443), 2), ("client", here, Endpoint(C, 443), 1)]


def test_a_port_with_several_peers_is_a_servers() -> None:
    rows = entries((A, 40000, B, 50000, 5000), (A, 40000, B, 50001, 60000), (A, 40000, C, 50000, 100))
    found = [(one.role, one.local, one.remote, one.count) for one in holdings(rows, frozenset(), PORTS)]
    here = Endpoint(A, 40000)
    assert found == [("server", here, Endpoint(B, 0), 2), ("server", here, Endpoint(C, 0), 1)]


def test_a_clients_port_may_go_to_several_servers() -> None:
    """Towards each remote socket the kernel chooses from all ports; some meet."""
    rng = random.Random(5)
    ends = [(A, port, server, 443, 1) for server in (B, C) for port in rng.sample(PORTS, 5000)]
    assert len({port for _, port, *_ in ends}) < len(ends)
    found = [(one.role, one.local, one.remote, one.count) for one in holdings(entries(*ends), frozenset(), PORTS)]
    here = Endpoint(A, 0)
    assert found == [("client", here, Endpoint(B, 443), 5000), ("client", here, Endpoint(C, 443), 5000)]


def test_a_clients_port_may_go_to_as_many_servers_as_there_are_connections() -> None:
    rows = entries((A, 40000, B, 443, 1), (A, 40000, C, 443, 1))
    assert {one.role for one in holdings(rows, frozenset(), PORTS)} == {"client"}
    assert {one.role for one in holdings(rows, frozenset({40000}), PORTS)} == {"server"}


@pytest.mark.parametrize(
    ("listeners", "local_port", "remote_port", "role"),
    [
        (frozenset({8000}), 8000, 50000, "server"),
        (frozenset({40000}), 40000, 443, "server"),
        (frozenset(), 40000, 443, "client"),
        (frozenset(), 80, 50000, "server"),
        (frozenset(), 40000, 50000, "client"),
        (frozenset(), 5555, 443, "client"),
        (frozenset(), 443, 5555, "server"),
        (frozenset({443}), 5555, 443, "client"),
    ],
)
def test_who_is_a_server_follows_from_its_port(
    listeners: frozenset[int], local_port: int, remote_port: int, role: str
) -> None:
    (one,) = holdings(entries((A, local_port, B, remote_port, 1)), listeners, PORTS)
    assert one.role == role


def test_a_client_that_has_bound_its_port_is_told_by_the_listener_on_the_same_host() -> None:
    """`echo connect 8000 --source-port 5555`: a port that is not ephemeral is no sign of a server then."""
    (one,) = holdings(entries((A, 5555, A, 8000, 1), (A, 40001, A, 8000, 1)), frozenset({8000}), PORTS)
    assert (one.role, one.count, one.ephemeral) == ("client", 2, {40001})
    (one,) = holdings(entries((A, 5555, A, 40000, 1)), frozenset({40000}), PORTS)
    assert (one.role, one.ephemeral) == ("client", set())


def test_the_most_come_first_with_their_nearest_and_farthest_end() -> None:
    rows = entries((A, 80, C, 1025, 7), (A, 40000, B, 443, 5000), (A, 40001, B, 443, 60000), (A, 40002, B, 443, 100))
    first, second = holdings(rows, frozenset(), PORTS)
    assert (first.role, first.count, first.nearest_ms, first.farthest_ms) == ("client", 3, 100, 60000)
    assert first.ephemeral == {40000, 40001, 40002}
    assert (second.role, second.local, second.remote) == ("server", Endpoint(A, 80), Endpoint(C, 0))


def test_ranges_of_ports_are_spelled_out() -> None:
    assert list(spelled_out("1001,1005-1006,5000")) == [1001, 1005, 1006, 5000]
    assert list(spelled_out("")) == []


def take_it() -> tuple[int, list[tuple[Role, int, int]], tuple[PortRange, int], int]:
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40099")
    Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text("40001-40010")
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("7777")
    with listener_at("127.0.0.1", 8000, backlog=50) as listener:
        for number in range(12):
            client = socket.create_connection(("127.0.0.1", 8000))
            server, _ = listener.accept()
            first, second = (client, server) if number < 8 else (server, client)
            first.close()
            settle()
            second.close()
        settle()
        census = take_census(this_wheel())
    found = [(one.role, one.count, len(one.ephemeral)) for one in census.holdings]
    return census.count, found, (census.ports, len(census.ephemeral)), census.limit


def test_real_connections_are_counted_by_anybody() -> None:
    needs_private_world()
    expected = (12, [("client", 8, 8), ("server", 4, 0)], (PortRange(40000, 40099), 90), 7777)
    assert as_ordinary_user(lambda: in_private_world(take_it)) == expected
