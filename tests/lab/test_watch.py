"""`sniff` keeps up with a burst: what is too fast to print is counted, saved and summed up."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.writing.pcap import PcapWriter
from handshake_inspect.cli.captures import Interruption
from handshake_inspect.cli.watch import Watch, WatchRequest, blocks_of
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from tests.lab.privileges import needs_root

FEW, CONNECTIONS = 100, 3000
pytestmark = pytest.mark.usefixtures("loopback_alone")


def burst(connections: int) -> None:
    """Open and close connections on loopback as fast as the machine does."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:

        def serve() -> None:
            for _ in range(connections):
                server.accept()[0].close()

        thread = threading.Thread(target=serve)
        thread.start()
        for _ in range(connections):
            socket.create_connection(server.getsockname(), timeout=5).close()
        thread.join(10)


def watched_burst(connections: int, target: Path) -> tuple[Watch, Inspection]:
    with LiveCapture("lo") as capture, PcapWriter(target, capture.link_type) as writer:
        watch = Watch(capture, WatchRequest(), writer)
        burst(connections)
        with Interruption() as interruption:
            watch.follow(blocks_of(capture, interruption, 0.5))
    return watch, watch.finish()


def test_a_burst_is_passed_over_and_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_root("capturing on lo")
    target = tmp_path / "burst.pcap"
    watch, found = watched_burst(CONNECTIONS, target)
    assert found.connections.kinds().total() + found.let_go.connections >= CONNECTIONS
    assert watch.passed_over > 0
    assert "too fast to be shown one by one" in capsys.readouterr().out
    assert len(inspect(target).connections) == len(found.connections)


def test_no_line_is_printed_that_would_let_the_ring_run_full() -> None:
    """The largest frames of loopback fill 64 MiB in a second; as many small ones do not in a minute."""
    needs_root("capturing on lo")
    with LiveCapture("lo") as capture:
        watch = Watch(capture, WatchRequest())
        assert capture.waiting == 0
        for octets, prints in ((100, True), (60_000, False)):
            lengths = np.full(1000, octets)
            watch._block = block_of(lengths, span_ns=50_000_000)
            assert watch._can_print(1000) == prints


def block_of(lengths: NDArray[np.int64], span_ns: int) -> Records:
    """Return frames of these lengths that came within so long."""
    times = np.linspace(0, span_ns, len(lengths)).astype(np.int64)
    ones = np.ones(len(lengths), np.int64)
    return Records(
        buffer=np.zeros(0, np.uint8),
        offset=0 * ones,
        captured=lengths,
        original=lengths,
        time_ns=times,
        frame=np.cumsum(ones),
        link_type=ones.astype(np.uint16),
    )


def test_the_part_of_the_ring_that_waits_is_known() -> None:
    needs_root("capturing on lo")
    with LiveCapture("lo", ring_octets=8 << 20) as capture:
        burst(2000)  # some megabytes
        time.sleep(0.1)
        before = capture.waiting
        assert 0 < before <= 1
        blocks = list(capture.drain())
        assert blocks
        assert capture.waiting < before


def test_datagrams_that_are_passed_over_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_root("capturing on lo")
    monkeypatch.setattr(Watch, "_can_print", lambda self, lines: False)
    with LiveCapture("lo") as capture, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            # Other tests have connections on lo at the same time.
            watch = Watch(capture, WatchRequest(udp=True, port=receiver.getsockname()[1]))
            sender.sendto(b"bith", receiver.getsockname())
            sender.sendto(b"bith", receiver.getsockname())
        with Interruption() as interruption:
            watch.follow(blocks_of(capture, interruption, 0.3))
    assert capsys.readouterr().out == "… 2 datagrams too fast to be shown one by one\n"


def test_a_small_burst_is_printed_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_root("capturing on lo")
    watch, _ = watched_burst(FEW, tmp_path / "burst.pcap")
    segments = [line for line in capsys.readouterr().out.splitlines() if "seq=" in line]
    assert watch.passed_over == 0
    assert len(segments) == watch.seen >= 6 * FEW
