"""The captures of `make bench` are what the section on speed says of them."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from tests.bench import hostile
from tests.bench.measure import EMPTY, read_options
from tests.bench.multiplied import multiply
from tests.bench.peers import HOSTILE
from tests.bench.workload import WORKLOADS, going_on, scripts, write

PCAPS = Path(__file__).parents[2] / "pcaps"


def part(tmp_path: Path, name: str, *, times: int = 1, of: int = 100) -> Inspection:
    path = tmp_path / f"{name}.pcap"
    write(going_on(name, times, of), path)
    return inspect(path)


def shares(found: Inspection) -> tuple[float, float]:
    """Of connections: IPv6, and in a VLAN."""
    connections = found.connections
    of_vlan = sum(one.encapsulation == ("vlan:42",) for one in connections)
    return sum(one.ip_version == 6 for one in connections) / len(connections), of_vlan / len(connections)


def test_short_has_15_kinds(tmp_path: Path) -> None:
    found = part(tmp_path, "short")
    assert len(found.connections) == 2120
    assert shares(found) == (0.1, 0.1)
    assert len(scripts()) == 15
    assert {one.handshake.kind for one in found.connections} >= {"three-way", "refused", "unanswered", "half-open"}
    assert {one.teardown.kind for one in found.connections} >= {"four-way", "three-segment", "simultaneous-close"}


def test_bulk_is_data_in_40_connections_cut_to_128_octets(tmp_path: Path) -> None:
    found = part(tmp_path, "bulk")
    assert len(found.connections) == 40
    assert shares(found) == (0.1, 0.1)
    assert {one.handshake.kind for one in found.connections} == {"three-way"}
    total = sum(sum((one.segments.originator, one.segments.responder)) for one in found.connections)
    assert total == WORKLOADS["bulk"][1] / 100
    data = sum(-(-one.octets.responder // 1448) for one in found.connections)
    assert 0.93 < data / total < 0.96
    octets = (tmp_path / "bulk.pcap").stat().st_size
    assert octets < total * (16 + 128) + len(EMPTY)


def test_flood_is_syns_that_nobody_answers(tmp_path: Path) -> None:
    found = part(tmp_path, "flood", of=1000)
    assert len(found.connections) == 1000
    assert shares(found) == (0.1, 0.1)
    assert {(one.handshake.kind, one.segments.originator) for one in found.connections} == {("unanswered", 1)}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_seed_makes_the_same_file_and_it_goes_on_with_other_connections(tmp_path: Path, name: str) -> None:
    once, again, thrice = (tmp_path / f"{n}.pcap" for n in range(3))
    write(going_on(name, 1, 500), once)
    write(going_on(name, 1, 500), again)
    assert once.read_bytes() == again.read_bytes()
    write(going_on(name, 3, 500), thrice)
    assert thrice.read_bytes().startswith(once.read_bytes())
    assert len(inspect(thrice).connections) == 3 * len(inspect(once).connections)
    times = np.concatenate([packets.time_ns for packets in going_on(name, 3, 500)])
    assert (np.diff(times) >= 0).all()


@pytest.mark.parametrize("name", ["four-way", "ipv6", "fast-open-accepted", "udp-unreachable", "self-connect"])
def test_a_capture_multiplied_has_each_of_its_connections_as_often(tmp_path: Path, name: str) -> None:
    source, target = PCAPS / f"{name}.pcap", tmp_path / "many.pcap"
    copies = multiply(source, target, 300)
    assert copies >= 10
    before, after = inspect(source), inspect(target)
    kinds = Counter((one.handshake.kind, one.teardown.kind, one.history) for one in before.connections)
    many = Counter((one.handshake.kind, one.teardown.kind, one.history) for one in after.connections)
    assert many == Counter({kind: count * copies for kind, count in kinds.items()})
    streams = [replace(one, stream=0) for one in after.connections]
    assert len({(one.originator, one.responder) for one in streams}) == len(streams)


#: Of each capture made to be slow, of 2,000 packets: connections, and in how many ways they opened.
MADE_TO_BE_SLOW = {
    "syns": (2000, {"unanswered"}),
    "rsts": (1, {"three-way"}),
    "fins": (1, {"three-way"}),
    "shuffled": (1, {"three-way"}),
    "overlapping": (1, {"three-way"}),
    "behaviours": (250, {"three-way", "abandoned"}),  # the third segment answered by an RST
    "collisions": (2000, {"unanswered"}),
    "captures-in-captures": (1, {"not-captured"}),
    "empty-records": (0, set()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_captures_made_to_be_slow_are_read_right(tmp_path: Path, name: str) -> None:
    path, packets = tmp_path / f"{name}.pcap", 2000
    hostile.write(name, path, packets)
    found = inspect(path)
    connections = found.connections
    assert (len(connections), {one.handshake.kind for one in connections}) == MADE_TO_BE_SLOW[name]
    segments = sum(one.segments.originator + one.segments.responder for one in connections)
    assert segments + found.duplicates == (packets if connections else 0)
    assert found.captures[0].frames == packets
    if name == "behaviours":
        assert len({(one.history, one.states.originator, one.states.responder) for one in connections}) > 200


def test_every_capture_made_to_be_slow_has_words() -> None:
    assert list(hostile.CAPTURES) == list(HOSTILE)


def test_options_of_make_bench() -> None:
    assert read_options([]) == argparse.Namespace(
        rounds=3, only=None, growth=False, long=False, hostile=False, readme=False, folder=None
    )
    assert read_options(["--only", "bulk", "--only", "real", "--rounds", "1"]).only == ["bulk", "real"]


def test_the_capture_without_packets_is_one(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(EMPTY)
    assert len(inspect(path).connections) == 0
