"""Conversations made to be slow: the cost grows with the number of rows, not with its square."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

import numpy as np
import pytest
from numpy.typing import NDArray

from handshake_inspect.connections.events.kinds import judge
from handshake_inspect.connections.events.machine import walk
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.connections.zeek.rules import watch
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block, SegmentTable
from tests.oracles.everything import everything

ROWS = 40_000
#: A quadratic pass over this many rows took 15 s and more; a linear one takes well below 1 s.
MOST_CPU_SECONDS = 5.0
FIN, SYN, RST, ACK = 1, 2, 4, 16
RANDOM = np.random.default_rng(5961)

Column = NDArray[np.int64]


def anything() -> Column:
    return RANDOM.integers(0, 1 << 32, ROWS)


def alternating() -> Column:
    return np.arange(ROWS) % 2


#: Control bits and sending side of each row; numbers are random.
HOSTILE: dict[str, Callable[[], tuple[Column, Column]]] = {
    "SYNs with ever new numbers": lambda: (np.full(ROWS, SYN), np.zeros(ROWS, np.int64)),
    "each SYN answered by an ACK": lambda: (np.where(alternating(), ACK, SYN), alternating()),
    "SYN-ACKs of one end alone": lambda: (np.full(ROWS, SYN | ACK), np.zeros(ROWS, np.int64)),
    "SYN-ACKs after both FINs": lambda: (np.where(np.arange(ROWS) < 2, FIN | ACK, SYN | ACK), alternating()),
    "a storm of RSTs": lambda: (np.full(ROWS, RST | ACK), alternating()),
    "a storm of FINs": lambda: (np.full(ROWS, FIN | ACK), alternating()),
    "any control bits": lambda: (RANDOM.integers(0, 64, ROWS), RANDOM.integers(0, 2, ROWS)),
}

#: Octets in each segment of transfers that went wrong.
OCTETS = 100
#: SEG.SEQ and SEG.ACK of the segments that an end sends once the connection is open, which has sent nothing before.
HOSTILE_TRANSFERS: dict[str, Callable[[], tuple[Column, Column]]] = {
    "two and two out of order": lambda: (1 + OCTETS * (np.arange(ROWS) ^ 1), np.ones(ROWS, np.int64)),
    "shuffled": lambda: (1 + OCTETS * RANDOM.permutation(ROWS), np.ones(ROWS, np.int64)),
    "the last one first": lambda: (1 + OCTETS * np.arange(ROWS)[::-1], np.ones(ROWS, np.int64)),
    "a hole before each": lambda: (1 + 2 * OCTETS * np.arange(ROWS), np.ones(ROWS, np.int64)),
    "each overlaps the one before": lambda: (1 + OCTETS // 2 * np.arange(ROWS), np.ones(ROWS, np.int64)),
    "overlapping anyhow": lambda: (1 + RANDOM.integers(0, ROWS * 10, ROWS), np.ones(ROWS, np.int64)),
    "one segment again and again": lambda: (np.ones(ROWS, np.int64), np.ones(ROWS, np.int64)),
    "acknowledgments of what was never sent": lambda: (1 + OCTETS * np.arange(ROWS), RANDOM.integers(1, 1 << 30, ROWS)),
}


def storm_of(*, both_closed: bool) -> tuple[Column, Column, Column, Column]:
    """Return SYNs with octets, each answered by a mere ACK, then SYN-ACKs, each of which is acknowledged."""
    index, half = np.arange(ROWS), ROWS // 2
    asks = np.where(alternating(), ACK, SYN), alternating()
    answers = np.where(alternating(), ACK, SYN | ACK), 1 - alternating()
    flags, side = (np.where(index < half, one, other) for one, other in zip(asks, answers, strict=True))
    flags[:2], side[:2] = FIN | ACK if both_closed else ACK, [0, 1]
    seq, ack = anything(), anything()
    acknowledges = np.flatnonzero((index > half) & (flags == ACK))
    ack[acknowledges] = (seq[acknowledges - 1] + 1) % (1 << 32)
    return flags, side, seq, ack


def rows(flags: Column, side: Column, seq: Column, ack: Column, octets: Column | int = 0) -> SegmentTable:
    table = SegmentTable.empty(len(flags))
    columns = {
        "time_ns": np.arange(len(flags)) * 1000, "frame": np.arange(len(flags)) + 1, "ip_version": 4, "flags": flags,
        "src_lo": 1 + side, "dst_lo": 2 - side, "src_port": np.where(side, 80, 4000),
        "dst_port": np.where(side, 4000, 80), "seq": seq, "ack": ack, "window": 100, "packet_type": 255,
        "payload_octets": octets,
    }  # fmt: skip
    for column, values in columns.items():
        table.columns[column][:] = values
    return table


def inspected(table: SegmentTable) -> Inspection:
    """Inspect a conversation, and see that this costs what its rows cost."""
    inspector = Inspector()
    # As often as of a million rows.
    inspector.analysis.gathering = GatheredRows(fold_rows=ROWS // 8)
    capture = inspector.begin_capture("hostile", "pcap")
    begin = time.process_time()
    for a in range(0, len(table), ROWS // 16):
        part = table.take(slice(a, a + ROWS // 16))
        inspector.add_block(Block(part), capture, len(part), part["time_ns"])
    result = inspector.result()
    assert time.process_time() - begin < MOST_CPU_SECONDS
    return result


def segments(inspection: Inspection) -> int:
    table = inspection.connections.verdicts.table
    return int(table["segments_o"].sum() + table["segments_r"].sum()) + inspection.duplicates


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_conversations_cost_what_their_rows_cost(name: str) -> None:
    flags, side = HOSTILE[name]()
    assert segments(inspected(rows(flags, side, anything(), anything()))) == ROWS


@pytest.mark.parametrize("name", ["a FIN at each number", "an RST at each number"])
def test_ends_that_end_again_and_again(name: str) -> None:
    flags = np.append([SYN, SYN | ACK, ACK], np.full(ROWS, FIN | ACK if "FIN" in name else RST))
    side = np.append([0, 1, 0], alternating())
    numbers = np.append([0, 0, 1], 1 + np.arange(ROWS))
    found = inspected(rows(flags, side, numbers, np.append([0, 1, 1], 1 + np.arange(ROWS))))
    assert segments(found) == ROWS + 3
    (one,) = found.connections
    assert one.handshake.kind == "three-way"


@pytest.mark.parametrize("name", HOSTILE_TRANSFERS)
def test_hostile_transfers_cost_what_their_rows_cost(name: str) -> None:
    seq, ack = HOSTILE_TRANSFERS[name]()
    flags = np.append([SYN, SYN | ACK, ACK], np.full(ROWS, ACK))
    side = np.append([0, 1, 0], np.zeros(ROWS, np.int64))
    octets = np.append([0, 0, 0], np.full(ROWS, OCTETS))
    found = inspected(rows(flags, side, np.append([0, 0, 1], seq), np.append([0, 1, 1], ack), octets))
    (one,) = found.connections
    assert (one.segments.originator, one.segments.responder) == (ROWS + 2, 1)
    assert one.octets.originator == ROWS * OCTETS


@pytest.mark.parametrize("both_closed", [True, False])
def test_syns_with_octets_are_not_compared_with_every_answer(both_closed: bool) -> None:
    assert segments(inspected(rows(*storm_of(both_closed=both_closed), octets=20))) == ROWS


#: Control bits, sides, SEG.SEQ and SEG.ACK of short connections that are all alike, and what each has in common.
SCRIPTS: dict[str, tuple[list[int], list[int], list[int], list[int], int]] = {
    "two FINs": ([SYN, SYN | ACK, ACK, FIN | ACK, FIN | ACK], [0, 1, 0, 0, 0], [0, 0, 1, 1, 5], [0, 1, 1, 1, 1], 0),
    "a FIN that is lost": ([SYN, SYN | ACK, FIN | ACK, ACK, ACK], [0, 1, 0, 1, 0], [0, 0, 1, 1, 2], [0, 1, 1, 2, 2], 0),
    "two SYN-ACKs": ([SYN, SYN | ACK, SYN | ACK, ACK], [0, 1, 1, 0], [0, 0, 50, 1], [0, 1, 1, 51], 0),
    "a gap that is filled": ([SYN, SYN | ACK, ACK, ACK, ACK], [0, 1, 0, 0, 0], [0, 0, 11, 1, 21], [0, 1, 1, 1, 1], 10),
    "absurd numbers": ([SYN, SYN | ACK, ACK, ACK], [0, 1, 0, 1], [0, 0, 3 << 30, 5], [0, 1, 1, 3 << 30], 0),
    "a port used again": ([SYN, SYN | ACK, RST, SYN, ACK], [0, 1, 0, 0, 1], [0, 0, 1, 9, 1], [0, 1, 0, 0, 77], 0),
}


def many(
    flags: Sequence[int], side: Sequence[int], seq: Sequence[int], ack: Sequence[int], octets: int
) -> SegmentTable:
    """Return connections with these segments, each from another port."""
    count = 2000
    bits, sides, seqs, acks = (np.tile(np.array(column, np.int64), count) for column in (flags, side, seq, ack))
    table = rows(bits, sides, seqs, acks, np.where(bits & (SYN | FIN | RST), 0, octets))
    client = np.repeat(4000 + np.arange(count), len(flags))
    for name in ("src_port", "dst_port"):
        ports = table.columns[name]
        ports[:] = np.where(ports == 80, 80, client)
    return table


def columns_called(table: SegmentTable) -> tuple[Inspection, int]:
    """Inspect, and count the calls that this takes, of functions in Python and of numpy."""
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    inspector = Inspector()
    capture = inspector.begin_capture("hostile", "pcap")
    sys.setprofile(count)
    try:
        inspector.add_block(Block(table), capture, len(table), table["time_ns"])
        result = inspector.result()
    finally:
        sys.setprofile(None)
    return result, calls


@pytest.mark.parametrize("name", SCRIPTS)
def test_many_short_connections_are_decided_together(name: str) -> None:
    script = SCRIPTS[name]
    table = many(*script)
    found, calls = columns_called(table)
    few, calls_of_few = columns_called(table.take(slice(0, len(script[0]) * 20)))
    assert segments(found) == len(table)
    # One call of numpy for each connection and question would be dozens.
    assert (calls - calls_of_few) / len(table) < 3
    kinds = {(one.handshake.kind, one.teardown.kind, one.history) for one in found.connections}
    assert kinds == {(one.handshake.kind, one.teardown.kind, one.history) for one in few.connections}


def behaviours() -> SegmentTable:
    """Return connections of 8 segments that go on anyhow after their opening: no two need be alike."""
    count, length = 1500, 8
    place = np.tile(np.arange(length), count)
    flags = RANDOM.choice(np.array([ACK, ACK, FIN | ACK, RST, RST | ACK, SYN, SYN | ACK, FIN | SYN]), count * length)
    side, seq, ack = (RANDOM.integers(low, high, count * length) for low, high in ((0, 2), (0, 4), (0, 4)))
    opening = place < 3
    flags[opening], side[opening] = (np.array(one)[place[opening]] for one in ([SYN, SYN | ACK, ACK], [0, 1, 0]))
    seq[opening], ack[opening] = (np.array(one)[place[opening]] for one in ([0, 0, 1], [0, 1, 1]))
    table = rows(flags, side, seq, ack)
    client = np.repeat(4000 + np.arange(count), length)
    for name in ("src_port", "dst_port"):
        ports = table.columns[name]
        ports[:] = np.where(ports == 80, 80, client)
    return table


def test_distinct_behaviours_cost_little_each_and_are_not_kept() -> None:
    table = behaviours()
    found, calls = columns_called(table)
    assert segments(found) == len(table)
    distinct = {(one.states.originator, one.states.responder, one.history) for one in found.connections}
    assert len(distinct) > 1000
    assert calls / len(table) < 12
    for remembered in (judge, walk, watch):
        most = remembered.cache_info().maxsize
        assert most is not None
        assert most <= 1 << 14  # the 250,000 pairs of sockets with 8 segments of any bits have 9,053 shapes


def test_a_transfer_beside_what_cannot_be_folded_is_folded() -> None:
    """What hardly goes on where it was is left alone; that costs a transfer at the same time nothing."""
    hostile = rows(RANDOM.integers(0, 64, ROWS), RANDOM.integers(0, 2, ROWS), anything(), anything())
    flags, side = np.full(ROWS, ACK), alternating()
    flags[:2] = SYN, SYN | ACK
    sent = 1 + OCTETS * np.maximum(np.arange(ROWS) // 2 - 1, 0)
    seq, ack = np.where(side, 1, sent), np.where(side, sent + OCTETS, 1)
    seq[:2], ack[:2] = 0, (0, 1)
    octets = np.where((side == 0) & (np.arange(ROWS) > 2), OCTETS, 0)
    ack[3] = 1 + OCTETS
    transfer = rows(flags, side, seq, ack, octets)
    transfer.columns["src_port"][:], transfer.columns["dst_port"][:] = (
        np.where(side, 80, 5000), np.where(side, 5000, 80),
    )  # fmt: skip
    answers = []
    for fold in (True, False):
        inspector = Inspector(fold=fold, jobs=1)
        inspector.analysis.gathering = GatheredRows(fold=fold, fold_rows=ROWS // 8)
        capture = inspector.begin_capture("hostile", "pcap")
        for a in range(0, ROWS, ROWS // 16):
            for table in (hostile, transfer):
                part = table.take(slice(a, a + ROWS // 16))
                inspector.add_block(Block(part), capture, len(part), part["time_ns"])
        kept = len(inspector.analysis.gathering)
        assert kept < 1.2 * ROWS if fold else kept == 2 * ROWS
        answers.append(everything(inspector.result()))
    assert answers[0] == answers[1]
