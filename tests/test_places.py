"""Conversations are read again from their own frames alone, and nothing is other than by reading all."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect import Inspection
from handshake_inspect.archive import Archive, ArchiveError
from handshake_inspect.arrays import Rows
from handshake_inspect.capture import source
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.frames import fetch
from handshake_inspect.capture.headers.link_types import RAW_IPV4
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.positions import LocatedCapture, Positions
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.connections.folding.whereabouts import Whereabouts
from handshake_inspect.inspector import Inspector
from handshake_inspect.pairs import KeyTable
from handshake_inspect.places import Places
from handshake_inspect.table import Names, SegmentTable
from tests.engine.long import CONNECTIONS, write_long
from tests.findings.captures import PUBLIC, path_of

PCAPS = Path(__file__).parents[1] / "pcaps"
#: Ours, some of them; and of the public ones all that are no plain pcap, and some that are.
CAPTURES = sorted(PCAPS.glob("*.pcap"))[::6] + [
    path
    for number, path in enumerate(sorted(PUBLIC.iterdir()) if PUBLIC else [])
    if "." in path.name
    and not path.name.endswith((".tsv", ".md", ".jsonl"))
    and (path.suffix != ".pcap" or number % 5 == 0)
]


@pytest.fixture
def archive() -> Iterator[Archive]:
    """Give an archive in memory."""
    with Archive() as opened:
        yield opened


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_every_frame_is_found_again(path: Path, archive: Archive) -> None:
    positions = Positions(archive, "records")
    frames: dict[int, RawFrame] = {}
    with open_capture(path, block_octets=4096) as reader:
        for records in reader:
            positions.add(records)
            frames |= {int(number): records.raw(row) for row, number in enumerate(records.frame)}
    positions.headers = reader.headers
    positions.keep()
    again = LocatedCapture(str(path), path.name, Positions.kept(archive, "records"))
    for some in ([*frames][::3], [*frames][-1:], [*frames]):
        assert fetch(again, some) == {number: frames[number] for number in some}
    assert fetch(again, [len(frames) + 1]) == {}


def test_what_lies_between_is_not_read(tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = next(iter(fetch(PCAPS / "four-way.pcap", [1]).values()))
    path = tmp_path / "long.pcap"
    write_pcap(path, [frame] * 20_000, frame.link_type)
    positions = Positions(archive, "records")
    with open_capture(path) as reader:
        for records in reader:
            positions.add(records)
    positions.headers = reader.headers
    read: list[int] = []
    once = source.FileSource._read_once

    def counted(self: source.FileSource, view: memoryview) -> int:
        read.append(once(self, view))
        return read[-1]

    monkeypatch.setattr(source.FileSource, "_read_once", counted)
    assert [*fetch(LocatedCapture(str(path), "long.pcap", positions), [20_000])] == [20_000]
    assert sum(read) < path.stat().st_size / 4


def test_a_capture_that_changed_is_named(tmp_path: Path, archive: Archive) -> None:
    positions = Positions(archive, "records")
    path = tmp_path / "one.pcap"
    path.write_bytes((PCAPS / "four-way.pcap").read_bytes())
    with open_capture(path) as reader:
        for records in reader:
            positions.add(records)
    positions.headers = reader.headers
    path.write_bytes(path.read_bytes()[:300])
    assert 9 not in fetch(LocatedCapture(str(path), "one.pcap", positions), [9])


def test_frames_of_conversations_over_many_chunks(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handshake_inspect.connections.folding.whereabouts.CHUNK_ROWS", 50)
    random = np.random.default_rng(7)
    conversation = random.integers(0, 9, 1000)
    frame = np.cumsum(random.integers(-3, 9, 1000)) + (5 << 47)
    clock = (np.arange(1000) > 700).astype(np.uint16)
    noted = Whereabouts(archive, "segments")
    for a in range(0, 1000, 17):
        noted.add(conversation[a : a + 17], frame[a : a + 17], clock[a : a + 17])
    noted.keep()
    for found in (noted, Whereabouts.kept(archive, "segments")):
        for one in range(10):
            frames, clocks = found.of(np.array([one]))
            assert frames.tolist() == frame[conversation == one].tolist()
            assert clocks.tolist() == clock[conversation == one].tolist()


class Counted(Places):
    """The same, and how often conversations were found by their own frames, and how often not."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive)
        self.found = self.in_vain = 0

    def read(self, conversations: Rows, keys: KeyTable, names: Names) -> SegmentTable | None:
        rows = super().read(conversations, keys, names)
        self.found += rows is not None
        self.in_vain += rows is None
        return rows


def folded(paths: list[Path], places: Places) -> Inspection:
    """Inspect captures with their conversations folded, and note where they stand."""
    inspector = Inspector(places=places)
    inspector.analysis.gathering = GatheredRows(fold_rows=4, long_rows=4)
    inspector.read([Input(str(path), block_octets=4096) for path in paths])
    return inspector.result()


def whole(paths: list[Path]) -> Inspection:
    """Inspect captures with every segment kept."""
    inspector = Inspector(fold=False)
    inspector.read([Input(str(path)) for path in paths])
    return inspector.result()


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_steps_are_those_of_a_whole_reading(path: Path, archive: Archive) -> None:
    expected, places = whole([path]), Counted(archive)
    inspection = folded([path], places)
    for stream in range(0, len(expected.connections), max(len(expected.connections) // 5, 1)):
        assert inspection.steps(stream) == expected.steps(stream)
    assert not places.in_vain


def test_every_conversation_is_found_by_its_frames(archive: Archive) -> None:
    paths, names = [PCAPS / "four-way.pcap", PCAPS / "reset.pcap"], Names()
    inspector = Inspector(places=(places := Places(archive)), names=names)
    inspector.read([Input(str(path), block_octets=200) for path in paths])
    gathering = inspector.analysis.gathering
    for conversation in range(len(gathering.conversations)):
        number = np.array([conversation])
        keys = inspector.analysis.keys.take(number)
        rows = places.read(number, keys, names)
        assert rows is not None
        expected = gathering.rows_of(number)
        for column in ("time_ns", "frame", "capture", "seq", "ack", "flags", "options", "clock"):
            assert rows[column].tolist() == expected[column].tolist()


def test_segments_in_fragments_are_not_told_by_their_frames(tmp_path: Path, archive: Archive) -> None:
    fragments = [*fetch(path_of("suricata-verify__frag-ip-tcp-syn.pcap"), range(1, 10)).values()]
    link_type = fragments[0].link_type
    assert link_type == RAW_IPV4
    others = [
        RawFrame(one.octets[14:], one.original - 14, fragments[0].time_ns, link_type)
        for one in fetch(PCAPS / "four-way.pcap", range(1, 5)).values()
    ]
    path = tmp_path / "behind.pcap"
    write_pcap(path, others + fragments, link_type)
    inspector = Inspector(places=(places := Places(archive)))
    inspector.read([Input(str(path))])
    found = [
        places.read(np.array([one]), inspector.analysis.keys.take(np.array([one])), inspector.names) for one in (0, 1)
    ]
    assert found[0] is not None
    assert found[1] is None


@pytest.mark.parametrize("compressed", [False, True])
def test_long_connections_cost_no_second_reading(compressed: bool, tmp_path: Path, archive: Archive) -> None:
    path = tmp_path / "long.pcap"
    write_long(path)
    if compressed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    places, expected = Counted(archive), whole([path])
    inspection = folded([path], places)
    for stream in range(CONNECTIONS):
        assert inspection.steps(stream) == expected.steps(stream)
    assert (places.found, places.in_vain) == (2, 0)  # one by one, then all that come


@pytest.mark.parametrize("values", [[], [0], [255], [-1], [1 << 40], [-5, 70_000], [0, (1 << 63) - 1]])
def test_numbers_are_kept(values: list[int], archive: Archive) -> None:
    archive.write("some", np.array(values, np.int64))
    assert archive.read("some").tolist() == values
    with pytest.raises(ArchiveError):
        archive.read("others")
