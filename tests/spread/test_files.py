"""Files that are read apart from each other are told as those that are read as one run, octet for octet."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect import Inspection, datagrams, inspect
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.spread.part import part_of
from handshake_inspect.spread.run import inspect_spread
from handshake_inspect.views import export, zeek_log
from handshake_inspect.views.json_lines import connection_lines
from tests.capture.builders import pcap
from tests.engine.scenario import BEGIN_NS, Ends, Segment
from tests.expect.altered import NAMES, PCAPS, frames_of
from tests.spread.engines import Here, refuse
from tests.test_equal_results import frame_of

#: Larger public captures would take long.
MOST_OCTETS = 1 << 14


def documents(found: Inspection) -> list[bytes]:
    """Write all that is found in every format."""
    every = found.connections.streams
    lines = connection_lines(found.connections, every)
    document = export.json_document(found.captures, lines, found.exchanges, found.damage, found.findings)
    csv = export.csv_lines(found.connections, every)
    zeek = zeek_log.conn_log(found.captures, zeek_log.rows(found.connections, every), found.exchanges)
    said = (found.unread, found.copies, found.unmatched_icmp_errors, found.icmp_error_copies)
    return [b"".join(lines) for lines in (document, csv, zeek)] + [str(said).encode()]


def spread(files: list[Path], pieces: int = 3) -> Inspection:
    """Inspect files apart from each other."""
    return inspect_spread([Input(str(file)) for file in files], Here(), failed=refuse, pieces=pieces)


def cut_by_time(path: Path, folder: Path, files: int) -> list[Path]:
    """Put the frames of a capture into files, each those of a part of its time, in their order."""
    with open_capture(path) as reader:
        frames = [records.raw(row) for records in reader for row in range(len(records))]
    begin = min(one.time_ns for one in frames)
    length = max(one.time_ns for one in frames) + 1 - begin
    parts: list[list[RawFrame]] = [[] for _ in range(files)]
    for one in frames:
        parts[(one.time_ns - begin) * files // length].append(replace(one, packet_type=255, interface=-1))
    for number, part in enumerate(parts):
        write_pcap(folder / f"{number}.pcap", part, frames[0].link_type)
    return [folder / f"{number}.pcap" for number in range(files)]


def test_all_recorded_captures_as_one_run() -> None:
    files = [PCAPS / name for name in NAMES]
    assert documents(spread(files)) == documents(inspect(files))


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_the_number_of_pieces_changes_nothing(pieces: int) -> None:
    files = [PCAPS / name for name in ("port-scan.pcap", "nat.pcap", "nat.server.pcap", "loopback-twice.pcap")]
    assert documents(spread(files, pieces)) == documents(inspect(files))


def test_public_captures_in_files_by_time(captures_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is folded at every opportunity, without the others; the run as a whole not at all."""
    tried = 0
    for path in sorted(one for one in captures_dir.iterdir() if one.is_file() and ".pcap" in one.name):
        one = inspect(path).captures[0]
        in_pcap = len(one.link_types) == 1 and 0 <= (one.first_ns or 0) <= (one.last_ns or 0) < 10**9 << 32
        if not in_pcap or path.stat().st_size > MOST_OCTETS:
            continue
        files = cut_by_time(path, tmp_path, 3)
        whole = documents(inspect(files, fold=False))
        with monkeypatch.context() as folding:
            folding.setattr(GatheredRows.__init__, "__kwdefaults__", {"fold": True, "fold_rows": 1, "long_rows": 1})
            assert documents(spread(files)) == whole, path.name
        tried += 1
    assert tried >= 10


@pytest.mark.parametrize("seed", range(12))
def test_times_may_step_back_where_a_file_ends(seed: int, tmp_path: Path) -> None:
    """By less than a clock that was set, each time; but what lies far behind the latest stays where the file has it."""
    rng = random.Random(f"back {seed}")
    frames = [
        one for name in ("keep-alive.pcap", "nat.pcap", "close-in-flight.pcap", "udp.pcap") for one in frames_of(name)
    ]
    rng.shuffle(frames)
    files, begin_ns, size = [], BEGIN_NS, len(frames) // 3
    for number in range(3):
        now_ns, part = begin_ns, list[RawFrame]()
        for one in frames[number * size :][:size]:
            part.append(replace(one, time_ns=now_ns, packet_type=255, interface=-1))
            now_ns += rng.choice((30, 90, -40, -80)) * 1_000_000
        begin_ns = max(one.time_ns for one in part) + rng.choice((-150, -60, -20)) * 1_000_000
        files.append(tmp_path / f"{number}.pcap")
        write_pcap(files[-1], part, frames[0].link_type)
    assert documents(spread(files)) == documents(inspect(files))


def another_time(frame: RawFrame, n: int, k: int) -> RawFrame:
    """Return a frame (Ethernet, then IPv4) n seconds later, with an identification of its own."""
    octets = frame.octets[:18] + bytes([n, k]) + frame.octets[20:]
    return RawFrame(octets, frame.original, frame.time_ns + n * 10**9, frame.link_type)


def test_exchanges_that_were_folded_in_each_file_are_told_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = frames_of("udp.pcap")
    many = [another_time(one, n, k) for n in range(40) for k, one in enumerate(frames)]
    files = [tmp_path / f"{n}.pcap" for n in range(2)]
    for file, part in zip(files, (many[: len(many) // 2], many[len(many) // 2 :]), strict=True):
        write_pcap(file, part, frames[0].link_type)
    whole = inspect(files)
    for name, few in (("FOLD_ROWS", 4), ("LONG_ROWS", 4), ("LATEST_ROWS", 2), ("IDS_REPEAT", 4)):
        monkeypatch.setattr(datagrams, name, few)
    found = inspect_spread([Input(str(file), block_octets=256) for file in files], Here(), failed=refuse)
    assert list(found.exchanges) == list(whole.exchanges)
    kept = part_of([Input(str(files[0]), block_octets=256)]).beside.datagrams
    assert len(kept) < len(many) // 2


def test_what_is_read_again_may_change_when_captures_are_known_to_show_everything_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file shows of one connection alone is too short to tell, and was folded; it is told once all the same."""
    ms = 1_000_000
    first = Ends((4, 0x0A000001, 40000), (4, 0x0A000002, 80))
    second = Ends((4, 0x0A000001, 40002), (4, 0x0A000002, 80))
    files = [
        [
            (second, Segment(0, "B", 16, 11059, 10, 10025, timestamps=(644, 7))),
            (first, Segment(16 * ms, "A", 16, 1001, 10, 1001)),
            (second, Segment(20 * ms, "B", 16, 11069, 1000, 10025, timestamps=(664, 7))),
            (second, Segment(21 * ms, "B", 16, 12069, 1000, 10025, timestamps=(665, 7))),
        ],
        [(first, Segment((20_000 + 800 * n) * ms, "B", 16, 3011 + 1000 * n, 1000, 45309)) for n in range(3)],
    ]
    paths = [tmp_path / f"{number}.pcap" for number in range(2)]
    for number, (path, said) in enumerate(zip(paths, files, strict=True)):
        shown = [(ends, replace(one, time_ns=one.time_ns + late)) for ends, one in said for late in (0, 5000)]
        path.write_bytes(pcap([frame_of(number * (17542 + one.seq // 1000), one, ends) for ends, one in shown]))
    whole = documents(inspect(paths, fold=False))
    monkeypatch.setattr(GatheredRows.__init__, "__kwdefaults__", {"fold": True, "fold_rows": 1, "long_rows": 1})
    assert (
        documents(inspect_spread([Input(str(path), block_octets=1000) for path in paths], Here(), failed=refuse))
        == whole
    )
