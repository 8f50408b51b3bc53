"""A capture that does not end, in miniature or in full: short connections for many simulated minutes.

    python -m tests.bench.soak [MINUTES] [CONNECTIONS_PER_SECOND] [loopback|wide|flood]

Blocks of records, as a live capture brings them every 0.1 s, go through `Inspector`; each minute is a line: seconds of
processor time for each simulated second, memory, and what is held. `loopback` takes the 28,232 ports of Linux in turn,
so that sockets are used again after some seconds; `wide` never uses sockets again; `flood` is SYNs that nobody answers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from handshake_inspect.capture.records import Records
from handshake_inspect.connections.endless.endless_analysis import EndlessAnalysis
from handshake_inspect.connections.endless.retention import Retention
from handshake_inspect.inspector import Inspector
from tests.bench.workload import ACK, FIN, PSH, SYN, Column, Script

BEGIN_NS = 1_700_000_000 * 10**9
BLOCK_NS = 100_000_000
#: Linux' range of ephemeral ports.
PORTS = np.arange(32768, 61000)
ECHO: Script = [
    (True, SYN, 0, 0, 0), (False, SYN | ACK, 0, 1, 0), (True, ACK, 1, 1, 0),
    (True, PSH | ACK, 1, 1, 40), (False, ACK, 1, 41, 0), (False, PSH | ACK, 1, 41, 40), (True, ACK, 41, 41, 0),
    (True, FIN | ACK, 41, 41, 0), (False, FIN | ACK, 41, 42, 0), (True, ACK, 42, 42, 0),
]  # fmt: skip
#: Octets of a frame: Ethernet, IPv4, TCP with a timestamps option, payload not captured.
FRAME = 14 + 20 + 20 + 12


def blocks(seconds: int, rate: int, kind: str = "loopback") -> Iterator[Records]:
    """Yield what a live capture brings of `rate` new connections each second, each of which lasts up to 0.2 s."""
    script = np.array(ECHO[:1] if kind == "flood" else ECHO, np.int64)
    rng = np.random.default_rng(9293)
    each = rate * BLOCK_NS // 10**9
    waiting, frame = np.zeros((0, 2), np.int64), 1
    for tick in range(seconds * 10**9 // BLOCK_NS):
        connection = np.repeat(tick * each + np.arange(each), len(script))
        gaps = rng.integers(100_000, 20_000_000, (each, len(script)))
        begin = BEGIN_NS + tick * BLOCK_NS + np.sort(rng.integers(0, BLOCK_NS, each))
        times = (begin[:, None] + np.cumsum(gaps, axis=1)).reshape(-1)
        rows = np.column_stack([times, connection * len(script) + np.tile(np.arange(len(script)), each)])
        rows = np.concatenate([waiting, rows])
        now = rows[:, 0] < BEGIN_NS + (tick + 1) * BLOCK_NS
        waiting, rows = rows[~now], rows[now]
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        yield _records(rows[:, 0], rows[:, 1] // len(script), script[rows[:, 1] % len(script)], frame, kind)
        frame += len(rows)


def _records(time_ns: Column, connection: Column, segment: Column, first_frame: int, kind: str) -> Records:
    count = len(time_ns)
    octets = np.zeros((count, FRAME), np.uint8)

    def put(at: int, form: str, values: Column | int) -> None:
        column = np.broadcast_to(np.asarray(values), count).astype(form)
        octets[:, at : at + column.itemsize] = column.view(np.uint8).reshape(count, column.itemsize)

    client = segment[:, 0] == 1
    wide = kind != "loopback"
    host = 0x0A000000 + connection // len(PORTS) if wide else np.full(count, 0x7F000001)
    server = np.full(count, 0xC0A80001 if wide else 0x7F000001)
    port = PORTS[connection % len(PORTS)]
    # An ISN that grows, as that of the next user of the sockets must (RFC 6191 §2).
    isn = connection * 104_729 + np.where(client, 0, 1 << 31)
    other = connection * 104_729 + np.where(client, 1 << 31, 0)
    put(12, ">u2", 0x0800)
    put(14, ">u2", 0x4500)
    put(16, ">u2", FRAME - 14 + segment[:, 4])
    put(18, ">u2", time_ns >> 10 & 0xFFFF)
    put(22, ">u2", 64 << 8 | 6)
    put(26, ">u4", np.where(client, host, server))
    put(30, ">u4", np.where(client, server, host))
    put(34, ">u2", np.where(client, port, 8000))
    put(36, ">u2", np.where(client, 8000, port))
    put(38, ">u4", isn + segment[:, 2] & 0xFFFFFFFF)
    put(42, ">u4", np.where(segment[:, 1] & ACK, other + segment[:, 3] & 0xFFFFFFFF, 0))
    put(46, ">u2", 8 << 12 | segment[:, 1])
    put(48, ">u2", 502)
    put(54, ">u4", 0x0101080A)
    put(58, ">u4", time_ns // 10**6 & 0xFFFFFFFF)
    return Records(
        buffer=octets.reshape(-1),
        offset=np.arange(count) * FRAME,
        captured=np.full(count, FRAME),
        original=FRAME + segment[:, 4],
        time_ns=time_ns,
        frame=first_frame + np.arange(count),
        link_type=np.ones(count, np.uint16),
    )


def resident_octets() -> int:
    """Return how much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Run, and print a line for each simulated minute."""
    words = [*sys.argv[1:], *("10", "5000", "loopback")[len(sys.argv) - 1 :]]
    minutes, rate, kind = int(words[0]), int(words[1]), words[2]
    inspector = Inspector(leaving=Retention())
    capture = inspector.begin_capture("simulated", "live")
    assert isinstance(inspector.analysis, EndlessAnalysis)
    spent, longest, at = 0.0, 0.0, 0
    for tick, block in enumerate(blocks(60 * minutes, rate, kind), 1):
        began = time.process_time()
        inspector.add_records(block, capture)
        inspector.go_on()
        took = time.process_time() - began
        spent, longest = spent + took, max(longest, took)
        if tick % (60 * 10**9 // BLOCK_NS) == 0:
            analysis = inspector.analysis
            conversations = analysis.gathering.conversations
            print(
                f"{tick * BLOCK_NS // (60 * 10**9):3} min: {spent / 60:.3f} CPU seconds a second,"
                f" longest block {longest:.2f} s, {resident_octets() >> 20:,} MB, {len(analysis.gathering):,} rows,"
                f" {conversations.held:,} of {len(conversations):,} conversations,"
                f" {analysis.let_go.connections:,} connections let go",
                flush=True,
            )
            spent = longest = 0.0
        at += len(block)
    began = time.process_time()
    found = inspector.result()
    print(
        f"at the end {len(found.connections):,} connections of {at:,} segments are listed, in"
        f" {time.process_time() - began:.1f} s"
    )


if __name__ == "__main__":
    main()
