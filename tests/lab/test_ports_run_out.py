"""Ephemeral ports run out in a real kernel when the ledger of the capture says that none is left, and not otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handshake_inspect import PortRange, TimeWaitLedger, inspect
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.lab.bench import Bench, failing
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.session import run_demo
from tests.lab.privileges import needs_private_world

PORTS = PortRange(40000, 40007)


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def ledger_of(script: Callable[[Bench], None], folder: Path) -> TimeWaitLedger:
    session = run_demo(Scenario("test", "A test.", script, network="wire", outcomes=None))
    write_pcap(folder / "ports.pcap", session.frames, session.link_type)
    return inspect(folder / "ports.pcap").time_wait_ledger(ports=PORTS)


def few_ports(bench: Bench) -> None:
    bench.client.set("ip_local_port_range", f"{PORTS.first} {PORTS.last}")
    bench.client.set("tcp_tw_reuse", 0)


def closed_by(first: str, bench: Bench, listener: RecordedSocket) -> None:
    client = bench.client.connect(listener)
    server = listener.accept()
    one, other = (client, server) if first == "client" else (server, client)
    one.close()
    other.recv()
    other.close()
    bench.pause(0.01)


def test_connect_fails_when_the_ledger_says_that_no_port_is_left(tmp_path: Path) -> None:
    def script(bench: Bench) -> None:
        few_ports(bench)
        listener, another = bench.server.listen(), bench.server.listen()
        for _ in range(PORTS.count):
            closed_by("client", bench, listener)
        with failing("EADDRNOTAVAIL"):
            bench.client.connect(listener)
        closed_by("client", bench, another)  # the pair of sockets is another one
        bench.pause()

    ledger = ledger_of(script, tmp_path)
    full, other = ledger.port_use()
    assert (full.peak, full.peak_time_waits + full.peak_open, full.share, full.outside) == (PORTS.count,) * 2 + (1.0, 0)
    assert (other.peak, other.share) == (1, 1 / PORTS.count)
    assert (full.remote.ip, full.ip) == (other.remote.ip, other.ip)
    (host,) = ledger.hosts()
    assert (host.peak, host.connecting, host.accepting) == (PORTS.count + 1, PORTS.count + 1, 0)


def test_no_port_is_lost_where_the_server_closes_first(tmp_path: Path) -> None:
    connections = 2 * PORTS.count

    def script(bench: Bench) -> None:
        few_ports(bench)
        listener = bench.server.listen()
        for _ in range(connections):
            closed_by("server", bench, listener)
        bench.pause()

    ledger = ledger_of(script, tmp_path)
    assert ledger.port_use() == ()
    (host,) = ledger.hosts()
    assert (host.time_waits, host.accepting) == (connections, connections)
    # A port that comes again ends the TIME-WAIT of its pair of sockets: no more than one for each port is ever owed.
    assert host.peak <= PORTS.count
    assert ledger.outcomes["reused"] == connections - host.peak
