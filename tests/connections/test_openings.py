"""How long handshakes took, against sorting the times of single connections."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect import Endpoint, inspect
from handshake_inspect.connections.over_time.openings import QUANTILES, HandshakeTimes, Measure
from handshake_inspect.inspection import Inspection
from tests.connections.test_ledger import connection
from tests.engine.scenario import Ends, Segment, inspect_many

PCAPS = Path(__file__).parents[2] / "pcaps"
SERVERS = ((0x0A000063, 80), (0x0A000063, 443), (0x0A000064, 80))
MEASURES: tuple[Measure, ...] = ("syn_to_syn_ack_ns", "initial_rtt_ns")


def times(found: Inspection, measure: Measure) -> HandshakeTimes:
    return HandshakeTimes(found.connections, found.connections.order, measure)


def handshake(rng: random.Random, port: int) -> tuple[list[Segment], Ends]:
    answer, ack = (10 ** rng.uniform(-9, 1) for _ in range(2))
    lines = ["0 A > S x", f"{answer:.9f} B > SA y ack x+1", f"{answer + ack:.9f} A > A x+1 ack y+1"]
    if rng.random() < 0.2:
        lines.insert(1, "0 A > S x")
    return connection("\n".join(lines[: rng.choice([1, 2, 3, 4, 4, 4])]), 0, port, server=rng.choice(SERVERS))


@given(st.integers(0, 1 << 40), st.integers(0, 40))
def test_each_server_has_the_times_of_its_connections(seed: int, count: int) -> None:
    rng = random.Random(f"times {seed}")
    found = inspect_many([handshake(rng, 40000 + i) for i in range(count)] or [connection("A > R x", 0, 1)])
    for measure in MEASURES:
        clear: dict[Endpoint, list[int]] = {}
        ambiguous = 0
        for one in found.connections:
            taken = getattr(one.handshake, measure)
            if taken is not None and one.handshake.rtt_ambiguous:
                ambiguous += 1
            elif taken is not None:
                clear.setdefault(one.responder, []).append(taken)
        answer = times(found, measure)
        assert (answer.measured, answer.ambiguous) == (sum(map(len, clear.values())), ambiguous)
        servers = answer.servers()
        assert [one.measured for one in servers] == sorted((len(one) for one in clear.values()), reverse=True)
        for server in servers:
            mine = sorted(clear[server.server])
            nearest = [mine[max(math.ceil(len(mine) * share / 100), 1) - 1] for share in QUANTILES]
            assert list(server.quantiles_ns) == nearest
            assert server.median_ns == mine[(len(mine) - 1) // 2]
            parts = [sum(low <= max(one, 1) < high for one in mine) for low, high in pairwise(answer.edges_ns)]
            assert list(server.histogram) == parts
            assert sum(parts) == server.measured


def test_edges_are_a_tenth_of_a_factor_of_ten_apart() -> None:
    edges = times(inspect(PCAPS / "four-way.pcap"), "syn_to_syn_ack_ns").edges_ns
    assert (edges[0], edges[-1], len(edges)) == (10_000, 100_000, 11)


def test_a_repeated_syn_leaves_no_time() -> None:
    answer = times(inspect(PCAPS / "lost-syn.pcap"), "initial_rtt_ns")
    assert (len(answer), answer.measured, answer.ambiguous) == (0, 0, 1)
    assert answer.servers() == ()


@pytest.mark.parametrize("measure", MEASURES)
def test_a_clock_that_did_not_move_measures_nothing(measure: Measure) -> None:
    found = inspect_many([connection("0 A > S x\n 0 B > SA y ack x+1\n 0 A > A x+1 ack y+1", 0, 1)])
    assert times(found, measure).servers() == ()


def test_both_measures_number_servers_alike() -> None:
    """A server may be measured by one of the two alone."""
    found = inspect_many([connection("A > S x\n B > SA y ack x+1", 0, 1), connection("open", 0, 2, server=SERVERS[1])])
    answer, whole = (times(found, measure) for measure in MEASURES)
    (number,) = whole.numbers().tolist()
    one, other = answer.server(number), whole.server(number)
    assert one and other and one.server == other.server == Endpoint("10.0.0.99", 443)
    assert sorted(answer.numbers().tolist()) == [0, 1]
    assert whole.server(1 - number) is None


def test_no_connection_has_no_times() -> None:
    answer = HandshakeTimes(inspect_many([connection("A > S x", 0, 1)]).connections, np.zeros(0, np.int64), MEASURES[0])
    assert (len(answer), answer.servers(), answer.measured) == (0, (), 0)
