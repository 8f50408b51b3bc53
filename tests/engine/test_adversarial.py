"""Conversations made to be slow: the cost grows with the number of rows, not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from handshake_inspect.inspection import Inspector
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
    "SYN-ACKs after both FINs": lambda: (np.where(np.arange(ROWS) < 2, FIN | ACK, SYN | ACK), alternating()),
    "a storm of RSTs": lambda: (np.full(ROWS, RST | ACK), alternating()),
    "a storm of FINs": lambda: (np.full(ROWS, FIN | ACK), alternating()),
    "any control bits": lambda: (RANDOM.integers(0, 64, ROWS), RANDOM.integers(0, 2, ROWS)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_conversations_cost_what_their_rows_cost(name: str) -> None:
    flags, side = HOSTILE[name]()
    table = SegmentTable.empty(ROWS)
    columns = {
        "time_ns": np.arange(ROWS) * 1000, "frame": np.arange(ROWS) + 1, "ip_version": 4, "flags": flags,
        "src_lo": 1 + side, "dst_lo": 2 - side, "src_port": np.where(side, 80, 4000),
        "dst_port": np.where(side, 4000, 80), "seq": anything(), "ack": anything(), "window": 100, "packet_type": 255,
    }  # fmt: skip
    for column, values in columns.items():
        table.columns[column][:] = values
    inspector = Inspector()
    capture = inspector.begin_capture("hostile", "pcap")
    begin = time.process_time()
    inspector.add_block(Block(table), capture, ROWS, table["time_ns"])
    found = inspector.result().connections
    assert sum(one.segments.originator + one.segments.responder for one in found[:2000]) > 0
    assert time.process_time() - begin < MOST_CPU_SECONDS
