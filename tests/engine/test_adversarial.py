"""Conversations made to be slow: the cost grows with the number of rows, not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from handshake_inspect.connections.gather import Gathering
from handshake_inspect.inspection import Inspection, Inspector
from handshake_inspect.table import Block, SegmentTable

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
    inspector.analysis.gathering = Gathering(fold_rows=ROWS // 8)
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
