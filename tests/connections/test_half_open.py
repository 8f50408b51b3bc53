"""Half-open connections by listener and host, against counting them one by one."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.half_open import HalfOpenTally
from handshake_inspect.connections.phases import HALF_OPEN
from handshake_inspect.inspection import Inspection
from tests.connections.test_ledger import connection, peak
from tests.engine.scenario import inspect_many

PCAPS = Path(__file__).parents[2] / "pcaps"
SERVERS = ((0x0A000063, 80), (0x0A000063, 443), (0x0A000064, 80))
KINDS = ["open", "A > S x\n B > SA y ack x+1", "A > S x", "A > S x\n B > SA y ack x+1\n 7 B > SA y ack x+1"]
BINS = 9


def tally(found: Inspection, streams: list[int] | None = None, *, by_socket: bool) -> HalfOpenTally:
    rows = found.connections.rows_of(np.array(range(len(found.connections)) if streams is None else streams, np.int64))
    return HalfOpenTally(found.connections, found.phases, rows, by_socket=by_socket)


def random_run(rng: random.Random) -> Inspection:
    many = [connection(rng.choice(KINDS), rng.uniform(0, 90), 40000 + i, server=rng.choice(SERVERS)) for i in range(25)]
    return inspect_many(many)


@pytest.mark.parametrize("by_socket", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_they_are_counted_as_one_by_one(seed: int, by_socket: bool) -> None:
    rng = random.Random(f"half open {seed}")
    found = random_run(rng)
    streams = sorted(rng.sample(range(25), 20))
    table = found.phases.table
    held: dict[tuple[str, int | None], list[tuple[int, int]]] = {}
    for row, phase, begin, end in zip(
        *(table[name].tolist() for name in ("connection", "phase", "begin_ns", "end_ns")), strict=True
    ):
        of = found.connections[int(found.connections.stream_of[row])]
        if phase == HALF_OPEN and of.stream in streams:
            key = (of.responder.ip, of.responder.port if by_socket else None)
            held.setdefault(key, []).append((begin, end))
    silent = (found.connections[one] for one in streams if found.connections[one].handshake.kind == "unanswered")
    unanswered = Counter((one.responder.ip, one.responder.port if by_socket else None) for one in silent)
    counted = tally(found, streams, by_socket=by_socket)
    holders = counted.holders()
    assert {(one.ip, one.port) for one in holders} == held.keys()
    assert [one.peak for one in holders] == sorted((one.peak for one in holders), reverse=True)
    begin_ns, end_ns = found.captured_ns
    for place, one in enumerate(holders):
        intervals = held[one.ip, one.port]
        assert (one.connections, (one.peak, one.peak_ns)) == (len(intervals), peak(intervals))
        assert one.unanswered == unanswered[one.ip, one.port]
        over_time = counted.over_time(place, begin_ns, end_ns + 1, BINS)
        edges = [begin_ns + i * (end_ns + 1 - begin_ns) // BINS for i in range(BINS + 1)]
        for most, (first, last) in zip(over_time, pairwise(edges), strict=True):
            moments = [first, *(moment for interval in intervals for moment in interval if first <= moment < last)]
            assert most == max(sum(b <= moment < e for b, e in intervals) for moment in moments)
    assert len(counted) == len(holders) == len(counted.holders(most=100))


def test_a_flood_is_seen_at_its_listener() -> None:
    found = inspect(PCAPS / "syn-flood.pcap")
    (listener,) = tally(found, by_socket=True).holders()
    kinds = [one.handshake.kind for one in found.connections]
    assert (listener.peak, listener.left) == (kinds.count("half-open"), kinds.count("half-open")) == (9, 9)
    assert listener.unanswered == kinds.count("unanswered") == 16
    assert f"{listener.ip}:{listener.port}" == str(found.connections[0].responder)


def test_an_ordinary_handshake_is_half_open_until_its_third_segment() -> None:
    (listener,) = tally(inspect(PCAPS / "four-way.pcap"), by_socket=True).holders()
    assert (listener.connections, listener.left, listener.peak) == (1, 0, 1)


def test_nobody_holds_any_where_nobody_answers() -> None:
    assert tally(inspect(PCAPS / "unanswered.pcap"), by_socket=True).holders() == ()
    assert tally(inspect_many([connection("A > S x", 0, 1)]), [], by_socket=False).holders() == ()
