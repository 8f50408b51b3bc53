"""Half-open connections by listener and host, against counting them one by one."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.over_time.attempts import HELD_NS
from handshake_inspect.connections.over_time.half_open import HalfOpenTally
from handshake_inspect.connections.over_time.phases import PHASES
from handshake_inspect.inspection import Inspection
from tests.connections.test_ledger import connection, peak
from tests.engine.scenario import inspect_lines, inspect_many

PCAPS = Path(__file__).parents[2] / "pcaps"
SERVERS = ((0x0A000063, 80), (0x0A000063, 443), (0x0A000064, 80))
HALF_OPEN = "A > S x\n B > SA y ack x+1"
SIMULTANEOUS = "A > S x\n B > S y\n 7 A > SA x ack y+1\n B > SA y ack x+1"
KINDS = [
    "open",
    HALF_OPEN,
    f"{HALF_OPEN}\n 7 B > SA y ack x+1",
    f"{HALF_OPEN}\n 7 A > R x+1",
    f"{HALF_OPEN}\n 7 B > R y+1",
    f"{HALF_OPEN}\n 7 B > RA y+1 ack x+1",
    SIMULTANEOUS,
    "A > S x",
]
BINS = 9


def tally(found: Inspection, streams: list[int] | None = None) -> HalfOpenTally:
    rows = found.connections.rows_of(np.array(range(len(found.connections)) if streams is None else streams, np.int64))
    return HalfOpenTally(found.connections, found.phases, rows)


def random_run(rng: random.Random) -> Inspection:
    many = [connection(rng.choice(KINDS), rng.uniform(0, 90), 40000 + i, server=rng.choice(SERVERS)) for i in range(25)]
    return inspect_many(many)


def place_held(found: Inspection, stream: int) -> tuple[int, int] | None:
    """Return from when to when the responder is in SYN-RECEIVED after LISTEN, segment by segment; None: never."""
    connection, steps = found.described(stream)
    if (connection.states.responder or ())[:2] != ("LISTEN", "SYN-RECEIVED"):
        return None
    states = [(step.time_ns, step.states.responder.state) for step in steps]
    begin = next(time for time, state in states if state == "SYN-RECEIVED")
    end = next((time for time, state in states if time > begin and state != "SYN-RECEIVED"), None)
    return begin, min(found.captured_ns[1], begin + HELD_NS) if end is None else end


@pytest.mark.parametrize("seed", range(10))
def test_they_are_counted_as_one_by_one(seed: int) -> None:
    rng = random.Random(f"half open {seed}")
    found = random_run(rng)
    streams = sorted(rng.sample(range(25), 20))
    held: dict[tuple[str, int], list[tuple[int, int]]] = {}
    left, abandoned, unanswered = Counter[Any](), Counter[Any](), Counter[Any]()
    for stream in streams:
        of = found.connections[stream]
        key = (of.responder.ip, of.responder.port)
        unanswered[key] += of.handshake.kind == "unanswered"
        if interval := place_held(found, stream):
            held.setdefault(key, []).append(interval)
            assert of.states.responder
            left[key] += of.states.responder[-1:] == ("SYN-RECEIVED",)
            abandoned[key] += bool(of.resets)
    counted = tally(found, streams)
    holders = counted.holders()
    assert {(one.ip, one.port) for one in holders} == held.keys()
    assert [one.peak for one in holders] == sorted((one.peak for one in holders), reverse=True)
    begin_ns, end_ns = found.captured_ns
    for place, one in enumerate(holders):
        intervals = held[one.ip, one.port]
        assert (one.connections, (one.peak, one.peak_ns)) == (len(intervals), peak(intervals))
        key = (one.ip, one.port)
        assert (one.left, one.abandoned, one.unanswered) == (left[key], abandoned[key], unanswered[key])
        over_time = counted.over_time(place, begin_ns, end_ns + 1, BINS)
        edges = [begin_ns + i * (end_ns + 1 - begin_ns) // BINS for i in range(BINS + 1)]
        for most, (first, last) in zip(over_time, pairwise(edges), strict=True):
            moments = [first, *(moment for interval in intervals for moment in interval if first <= moment < last)]
            assert most == max(sum(b <= moment < e for b, e in intervals) for moment in moments)
    assert len(counted) == len(holders) == len(counted.holders(most=100))


def test_a_flood_is_seen_at_its_listener() -> None:
    found = inspect(PCAPS / "syn-flood.pcap")
    (listener,) = tally(found).holders()
    kinds = [one.handshake.kind for one in found.connections]
    assert (listener.peak, listener.left) == (kinds.count("half-open"), kinds.count("half-open")) == (9, 9)
    assert listener.unanswered == kinds.count("unanswered") == 16
    assert f"{listener.ip}:{listener.port}" == str(found.connections[0].responder)


def test_an_ordinary_handshake_is_half_open_until_its_third_segment() -> None:
    (listener,) = tally(inspect(PCAPS / "four-way.pcap")).holders()
    assert (listener.connections, listener.left, listener.peak) == (1, 0, 1)


def test_whoever_opens_at_the_same_time_or_to_itself_holds_no_place() -> None:
    """Both are in SYN-RECEIVED after an active open (RFC 9293 §3.5 Figure 7): nobody listens."""
    found = inspect_lines(SIMULTANEOUS)
    assert "half-open" in {PHASES[one] for one in found.phases.table["phase"].tolist()}
    for one in (found, inspect(PCAPS / "simultaneous-open.pcap"), inspect(PCAPS / "self-connect.pcap")):
        assert tally(one).holders() == ()


def test_one_that_is_refused_by_mistake_and_comes_again_is_one_connection() -> None:
    """RFC 9293 §3.5 Figure 8: an old duplicate SYN is answered, and reset; then the listener hears the right one."""
    lines = "A > S x\n B > SA y ack x-100\n A > R x-100\n B > SA y+500 ack x+1\n A > A x+1 ack y+501"
    (listener,) = tally(inspect_lines(lines)).holders()
    assert (listener.connections, listener.left, listener.abandoned, listener.peak) == (1, 0, 0, 1)


def test_nobody_holds_any_where_nobody_answers() -> None:
    assert tally(inspect(PCAPS / "unanswered.pcap")).holders() == ()
    assert tally(inspect_many([connection("A > S x", 0, 1)]), []).holders() == ()
