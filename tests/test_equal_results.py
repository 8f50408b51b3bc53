"""What a capture says depends on the capture alone: not on blocks, jobs, partitions, folding, container or reader.

The plain path is what everything else is held against: all rows kept, one thread, blocks as large as they come. That
its machine says what one that walks every connection segment by segment says is held by `tests/engine/test_oracle.py`.
"""

from __future__ import annotations

import contextlib
import gzip
import random
import re
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handshake_inspect.capture import inputs
from handshake_inspect.capture.files import BLOCK_OCTETS
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.deciding import twins
from handshake_inspect.connections.folding import pool
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.views.contract import Json
from tests.bench.workload import going_on, write
from tests.capture.builders import Frame, enhanced, interface, option, pcap, section
from tests.engine.fuzz import conversation
from tests.engine.scenario import Ends, Segment
from tests.oracles.everything import everything

PCAPS = Path(__file__).parent.parent / "pcaps"
#: Of connections with more segments the verdicts are compared, and no steps.
LONGEST = 500


@dataclass(frozen=True)
class Way:
    """One way to read a capture."""

    block_octets: int = BLOCK_OCTETS
    jobs: int = 1
    #: Rows of a partition: each is decided by itself, by one of the threads.
    partition_rows: int = pool.PARTITION_ROWS
    #: None: as ever. Else conversations are folded as soon as so many rows are there, those that have so many: of very
    #: few, a SYN and a SYN-ACK that were sent again would be taken for a capture that shows everything twice.
    fold_rows: int | None = None
    long_rows: int = 8
    fold: bool = True
    reader: str = "auto"
    #: Do copies of this process read it and decide it, small as it is?
    processes: bool = False
    #: Of so many connections or more those that are equal are looked at once.
    fewest_twins: int = 2


#: Every row is kept, and every connection looked at by itself.
PLAIN = Way(fold=False, fewest_twins=sys.maxsize)


def inspected(path: Path, way: Way) -> Inspection:
    inspector = Inspector(fold=way.fold, jobs=way.jobs, processes=way.processes)
    if way.fold_rows is not None:
        inspector.analysis.gathering = GatheredRows(fold_rows=way.fold_rows, long_rows=way.long_rows)
    inspector.read([Input(path, way.reader, block_octets=way.block_octets)])
    return inspector.result()


def said(path: Path, way: Way) -> list[Json]:
    """Everything of a capture; steps too, if it is not long: those of what was folded are read again."""
    with (
        patch.object(pool, "PARTITION_ROWS", way.partition_rows),
        patch.object(inputs, "APART_OCTETS", 1),
        patch.object(twins, "FEWEST", way.fewest_twins),
        patch.object(twins, "MOST_APART", 1),
    ):
        found = inspected(path, way)
        segments = sum(one.segments.originator + one.segments.responder for one in found.connections)
        return [{"unread": dict(found.unread), "damage": found.damage}, *everything(found, steps=segments <= LONGEST)]


# --- invented captures, every way -------------------------------------------------------------------------------------


def frame_of(number: int, segment: Segment, ends: Ends) -> Frame:
    """Spell a segment out as Ethernet and IPv4 around TCP, cut off behind the headers."""
    (_, source, source_port), (_, destination, destination_port) = (
        (ends.a, ends.b) if segment.sender == "A" else (ends.b, ends.a)
    )
    options = segment.options if segment.flags & 2 else b""
    if segment.timestamps and not options:
        options = struct.pack("!BBBBII", 1, 1, 8, 10, *segment.timestamps)
    options += bytes(-len(options) % 4)
    length = 40 + len(options) + segment.octets
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, min(length, 0xFFFF), number & 0xFFFF, 0, 64, 6, 0, source, destination)
    tcp = struct.pack(
        "!HHIIHHHH", source_port, destination_port, segment.seq, segment.ack,
        (5 + len(options) // 4) << 12 | segment.flags, segment.window, 0, 0,
    )  # fmt: skip
    return bytes(12) + b"\x08\0" + ip + tcp + options, 14 + length, segment.time_ns


def invented(seed: int, conversations: int) -> list[Frame]:
    """Return conversations of all kinds, whole, damaged and forged, at once, on sockets of their own."""
    rng = random.Random(f"equal {seed}")
    found = []
    for number in range(conversations):
        segments, ends = conversation(rng)
        ends = Ends(*((version, address, port + number) for version, address, port in (ends.a, ends.b)))
        start_ns = rng.randrange(10**9)
        found += [(replace(one, time_ns=one.time_ns + start_ns), ends) for one in segments]
    found.sort(key=lambda one: one[0].time_ns)
    return [frame_of(number, segment, ends) for number, (segment, ends) in enumerate(found)]


def as_pcapng(frames: list[Frame]) -> bytes:
    """Two interfaces take turns."""
    blocks = [section(), *[interface(1, option(9, b"\x09"))] * 2]
    return b"".join(blocks + [enhanced(*frame, number % 2) for number, frame in enumerate(frames)])


CONTAINERS: dict[str, Callable[[list[Frame]], bytes]] = {
    "pcap": pcap,
    "big-endian": lambda frames: pcap(frames, order=">"),
    "pcapng": as_pcapng,
    "gzip": lambda frames: gzip.compress(pcap(frames), 1),
    "gzip of pcapng": lambda frames: gzip.compress(as_pcapng(frames), 1),
}
WAYS = st.builds(
    Way,
    block_octets=st.sampled_from([64, 100, 333, 1000, 4096, BLOCK_OCTETS]),
    jobs=st.integers(1, 4),
    partition_rows=st.sampled_from([1, 7, 50, pool.PARTITION_ROWS]),
    fold_rows=st.sampled_from([None, 1, 2, 16]),
    long_rows=st.sampled_from([8, 16]),
    reader=st.sampled_from(["auto", "auto", "auto", "scapy"]),
    processes=st.booleans(),
)


@settings(max_examples=25)
@given(st.integers(0, 999), st.sampled_from(sorted(CONTAINERS)), WAYS)
@example(0, "pcapng", Way(64, 4, 1, 1, 8))
@example(0, "gzip", Way(BLOCK_OCTETS, 3, 7, 16, 8, processes=True))
def test_whatever_the_way_an_invented_capture_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, container: str, way: Way
) -> None:
    folder = tmp_path_factory.getbasetemp()
    frames = invented(seed, 6)
    (folder / "plain.pcap").write_bytes(pcap(frames))
    (folder / "other").write_bytes(CONTAINERS[container](frames))
    assert said(folder / "other", way) == said(folder / "plain.pcap", PLAIN)


# --- recorded and public captures -------------------------------------------------------------------------------------

#: Each capture goes some of these ways, by its place in the list.
TURNS = (
    Way(block_octets=64, jobs=3, partition_rows=1, processes=True),
    Way(block_octets=4096, jobs=2, partition_rows=50, fold_rows=16, long_rows=8),
    Way(block_octets=500, fold_rows=1, long_rows=8),
    Way(block_octets=1 << 16, jobs=4, partition_rows=7, fold_rows=2, long_rows=16, processes=True),
)


def assert_the_same(path: Path, *ways: Way) -> int:
    """Return how much was compared; nothing of a file that cannot be read, which must be refused alike."""
    try:
        plain = said(path, PLAIN)
    except CaptureError as error:
        with pytest.raises(CaptureError, match=f"^{re.escape(str(error))}$"):
            said(path, ways[0])
        return 0
    for way in ways:
        assert said(path, way) == plain, path.name
    return len(plain) - 1


@pytest.mark.parametrize("part", range(4))
def test_recorded_captures_say_the_same(part: int) -> None:
    paths = sorted(PCAPS.glob("*.pcap"))[part::4]
    assert sum(assert_the_same(path, TURNS[(part + n) % len(TURNS)]) for n, path in enumerate(paths)) > 30


@pytest.mark.parametrize("part", range(4))
def test_public_captures_say_the_same(captures_dir: Path, part: int) -> None:
    paths = sorted(captures_dir.glob("*.*cap*"))[part::4]
    turns = TURNS[part:] + TURNS[:part]
    assert sum(assert_the_same(path, *turns[n % 2 :: 2]) for n, path in enumerate(paths)) > 30


# --- larger ones: what folds and what has many partitions as it is ----------------------------------------------------


@pytest.fixture(
    scope="module", params=[("bulk", 500), ("lossy", 50), ("short", 500), ("flood", 500)], ids=lambda given: given[0]
)
def workload(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, part = request.param
    path: Path = tmp_path_factory.mktemp("workload") / f"{name}.pcap"
    write(going_on(name, 1, part), path)
    return path


@pytest.mark.parametrize("way", [
    Way(jobs=2, partition_rows=500),
    Way(jobs=2, partition_rows=500, processes=True),
    Way(block_octets=1 << 14, jobs=3, partition_rows=77, processes=True),
    Way(block_octets=10_000, fold_rows=256, long_rows=16),
])  # fmt: skip
def test_workloads_say_the_same(workload: Path, way: Way) -> None:
    assert said(workload, way) == said(workload, PLAIN)


# --- answers alone: segments go as they are decided -------------------------------------------------------------------


def answers(path: Path, *, with_segments: bool, **workers: Any) -> list[Json]:
    """Everything of a capture but steps, in partitions and blocks of few rows."""
    small = patch.multiple(pool, PARTITION_ROWS=100, BLOCK_ROWS=30)
    with small, patch.object(inputs, "APART_OCTETS", 1):
        inspector = Inspector(**workers)
        inspector.read([Input(path)])
        return everything(inspector.result(with_segments=with_segments), steps=False)


@pytest.mark.parametrize("workers", [{"jobs": 1}, {"jobs": 2}, {"jobs": 2, "processes": True}])
def test_answers_are_the_same_when_segments_go(workload: Path, workers: dict[str, Any]) -> None:
    assert answers(workload, with_segments=False, **workers) == answers(workload, with_segments=True)


def test_answers_of_captures_that_show_much_twice_are_the_same_when_segments_go(captures_dir: Path) -> None:
    """Some of their partitions are decided again, when all of them have told."""
    decided = 0
    for path in [*PCAPS.glob("*.pcap"), *captures_dir.glob("*.*cap")]:
        with contextlib.suppress(CaptureError):
            expected = answers(path, with_segments=True)
            assert answers(path, with_segments=False) == expected, path.name
            decided += 1
    assert decided > 100
