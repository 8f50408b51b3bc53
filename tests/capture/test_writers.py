"""What the writers write: other tools and our own readers find in it what was given, at any moment."""

from __future__ import annotations

import io
import os
import resource
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import CaptureError, RawFrame, Records, records_of
from handshake_inspect.capture.writing.output import CaptureWriter
from handshake_inspect.capture.writing.pcap import PcapWriter
from handshake_inspect.capture.writing.pcapng import PcapngWriter
from handshake_inspect.capture.writing.rotation import Rotation, open_writer, write_frames
from handshake_inspect.lab.world import in_child
from tests.capture.builders import rows
from tests.cli.running import PCAPS

NANOSECOND = 1_700_000_000_123_456_789
INTERFACES = [("lo", 1), ("tun0", 101)]
Row = tuple[bytes, int, int, int, int]


def frame(octets: int, number: int = 0, interface: int = 0, packet_type: int = 0) -> RawFrame:
    content = bytes(number + place & 0xFF for place in range(octets))
    return RawFrame(content, octets + 3, NANOSECOND + number, INTERFACES[interface][1], packet_type, interface)


FRAMES = [frame(octets, octets, octets % 2, octets % 7) for octets in (0, 1, 2, 3, 4, 60, 65549)]


def read_back(source: Path | io.BytesIO) -> list[Row]:
    reader = open_capture(io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source)
    with reader:
        found = rows(reader)
    assert not reader.damage
    return found


def tool(name: str) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def fields_of(path: Path, *names: str) -> list[list[str]]:
    asked = [word for name in names for word in ("-e", name)]
    ran = subprocess.run(
        [tool("tshark"), "-r", str(path), "-T", "fields", "-E", "separator=|", *asked],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line.split("|") for line in ran.stdout.splitlines()]


def test_our_own_reader_finds_all_of_it() -> None:
    target = io.BytesIO()
    with PcapngWriter(target, INTERFACES) as writer:
        writer.write(records_of(FRAMES[:3]))
        writer.write(records_of(FRAMES[3:], first_frame=4))
    assert writer.count == len(FRAMES)
    assert read_back(target) == rows([records_of(FRAMES)])
    with open_capture(io.BytesIO(target.getvalue())) as reader:
        found = [block.raw(row) for block in reader for row in range(len(block))]
    assert found == [replace(one, packet_type=one.packet_type if one.packet_type < 5 else 255) for one in FRAMES]
    assert [one.name for one in reader.about.interfaces] == ["lo", "tun0"]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2**62), st.integers(0, 255), st.booleans())))
def test_any_frames_come_back_as_they_were(many: list[tuple[int, int, int, bool]]) -> None:
    given_frames = [RawFrame(bytes(octets), octets + 1, time_ns, 1, kind, 0) for octets, time_ns, kind, _ in many]
    mask = np.array([kept for *_, kept in many], np.bool_)
    kept = records_of([one for one, keep in zip(given_frames, mask, strict=True) if keep])
    targets = io.BytesIO(), io.BytesIO()
    for target, writer in zip(targets, (PcapngWriter(targets[0], [("lo", 1)]), PcapWriter(targets[1], 1)), strict=True):
        small = [one if target is targets[0] else RawFrame(one.octets, one.original, one.time_ns % 2**60, 1)
                 for one in given_frames]  # fmt: skip
        with writer:
            writer.write(records_of(small), mask)
        assert [row[:2] for row in read_back(target)] == [row[:2] for row in rows([kept])]
    assert [row[2] for row in read_back(targets[0])] == kept.time_ns.tolist()


def test_tshark_reads_times_interfaces_and_directions(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    chosen = [frame(60, kind, kind % 2, kind) for kind in (0, 1, 2, 3, 4, 255)]
    with PcapngWriter(path, INTERFACES) as writer:
        writer.write(records_of(chosen))
    names = "frame.time_epoch", "frame.interface_name", "frame.cap_len", "frame.len", "frame.packet_flags"
    assert fields_of(path, *names) == [
        [f"1700000000.{123_456_789 + kind}", INTERFACES[kind % 2][0], "60", "63", flags]
        for kind, flags in [(0, "0x00000005"), (1, "0x0000000d"), (2, "0x00000009"), (3, "0x00000011"),
                            (4, "0x00000002"), (255, "0x00000000")]
    ]  # fmt: skip


def test_capinfos_reads_who_wrote_it_and_the_link_types(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with PcapngWriter(path, INTERFACES, dropped=lambda: 7) as writer:
        writer.write(records_of(FRAMES))
    said = subprocess.run([tool("capinfos"), path], capture_output=True, text=True, check=True).stdout
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "File encapsulation: Per packet" in lines
    assert "Number of packets: 7" in lines
    assert any(line.startswith("Capture application: handshake-inspect ") for line in lines)
    assert any(line.startswith("Capture oper-sys: Linux ") for line in lines)
    assert lines.count("Number of stat entries = 1") == 2
    assert lines.count("Time precision = nanoseconds (9)") == 2


def test_scapy_reads_it(tmp_path: Path) -> None:
    from scapy.utils import RawPcapNgReader

    path = tmp_path / "x.pcapng"
    with PcapngWriter(path, INTERFACES) as writer:
        writer.write(records_of(FRAMES[:-1]))  # Scapy cuts the last one to 65535 octets
    with RawPcapNgReader(str(path)) as reader:
        found = [(octets, about.tshigh << 32 | about.tslow, about.ifname) for octets, about in reader]
    expected = [(one.octets, one.time_ns, INTERFACES[one.interface][0].encode()) for one in FRAMES[:-1]]
    assert found == expected


def test_the_end_counts_what_was_captured_saved_and_dropped() -> None:
    target = io.BytesIO()
    mask = np.array([True, False, True, False, False, True, True])
    with PcapngWriter(target, INTERFACES, dropped=lambda: 7) as writer:
        writer.write(records_of(FRAMES), mask)
    with open_capture(io.BytesIO(target.getvalue())) as reader:
        assert sum(map(len, reader)) == 4
    assert reader.dropped == 7
    assert "the frames dropped are those of all interfaces" in str(reader.about)


def statistics_of(octets: bytes) -> list[dict[int, int]]:
    """The counts of each interface statistics block, by the code of their option."""
    found, at = [], 0
    while at < len(octets):
        kind, length = struct.unpack_from("<II", octets, at)
        if kind == 5:
            counts, option = {}, at + 20
            while (code := struct.unpack_from("<H", octets, option)[0]) != 0:
                size = struct.unpack_from("<H", octets, option + 2)[0]
                if size == 8:
                    counts[code] = struct.unpack_from("<Q", octets, option + 4)[0]
                option += 4 + (size + 3 & ~3)
            found.append(counts)
        at += length
    return found


def test_each_interface_tells_what_it_received_lost_and_saved() -> None:
    target = io.BytesIO()
    with PcapngWriter(target, INTERFACES, dropped=lambda: 7) as writer:
        writer.write(records_of([frame(60, number, number > 3) for number in range(6)]), np.arange(6) % 2 == 0)
    received, dropped, saved = 4, 5, 8
    assert statistics_of(target.getvalue()) == [{received: 4 + 7, dropped: 7, saved: 2}, {received: 2, saved: 1}]


def test_interfaces_that_come_later_are_described_before_their_first_frame() -> None:
    interfaces, target = [INTERFACES[0]], io.BytesIO()
    with PcapngWriter(target, interfaces) as writer:
        writer.write(records_of([frame(10, 1)]))
        interfaces.append(INTERFACES[1])
        writer.write(records_of([frame(10, 2, 1), frame(10, 3)]))
    assert [row[4] for row in read_back(target)] == [1, 101, 1]


def test_a_file_is_whole_after_every_write_and_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    child = os.fork()
    if child == 0:
        writer = open_writer(path, INTERFACES)
        for number in range(1000):
            writer.write(records_of([frame(100, number)]))
        (tmp_path / "ready").touch()
        time.sleep(60)
        os._exit(0)
    deadline = time.monotonic() + 20
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        if path.exists() and path.stat().st_size:
            with open_capture(path) as reader:
                sum(map(len, reader))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(read_back(path)) == 1000


# --- rotation ---------------------------------------------------------------------------------------------------------


def each_file(writer: CaptureWriter) -> list[list[int]]:
    """The times in every file that is kept, from the first of all on."""
    return [[row[2] - NANOSECOND for row in read_back(path)] for path in writer.paths]  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", ["pcapng", "pcap"])
def test_a_new_file_begins_before_the_frame_that_would_make_it_too_large(tmp_path: Path, suffix: str) -> None:
    writer = open_writer(tmp_path / f"x.{suffix}", INTERFACES[:1], rotation=Rotation(octets_max=3000))
    with writer:
        for first in range(0, 100, 20):
            writer.write(records_of([frame(100, number) for number in range(first, first + 20)]))
        writer.write(records_of([frame(9000, 100), frame(100, 101)]))
    assert writer.count == 102
    files = each_file(writer)
    assert [time_ns for times in files for time_ns in times] == list(range(102))
    assert [100] in files  # one that is larger than a whole file has a file for itself
    sizes = [path.stat().st_size for path in writer.paths]  # type: ignore[attr-defined]
    assert all(size <= 3000 for size, times in zip(sizes, files, strict=True) if times != [100])
    assert len(files) <= 8  # 100 frames of at most 147 octets, 19 or more to a file; the large one; the last


@pytest.mark.parametrize("later", [0, 30])
def test_the_end_of_a_file_counts_for_its_size(tmp_path: Path, later: int) -> None:
    """The statistics of 31 interfaces, and the descriptions of those that come while it is written."""
    interfaces = [(f"veth{number}", 1) for number in range(31 - later)]
    writer = open_writer(tmp_path / "x.pcapng", interfaces, rotation=Rotation(octets_max=10_000), dropped=lambda: 5)
    with writer:
        for first in range(0, 400, 20):
            writer.write(records_of([frame(97, number) for number in range(first, first + 20)]))
            interfaces += [(f"veth{len(interfaces)}", 1)] * (first < 20 * later)
    sizes = [path.stat().st_size for path in writer.paths]  # type: ignore[attr-defined]
    assert max(sizes) <= 10_000
    assert min(sizes[:-1]) > 9_000  # what is left free is no more than a frame and what might have been said


@pytest.mark.parametrize("step_s", [-86_400, -12, -5])
def test_a_clock_that_is_set_back_does_not_stop_the_rotation(tmp_path: Path, step_s: int) -> None:
    """An hour by the minute; after five minutes and a half the clock is set back."""
    rotation, second = Rotation(seconds=60), 10**9
    seconds = [one + (step_s if one >= 330 else 0) for one in range(3600)]
    with open_writer(tmp_path / "x.pcapng", INTERFACES[:1], rotation=rotation) as writer:
        for first in range(0, 3600, 7):
            some = [RawFrame(b"x", 1, NANOSECOND + one * second, 1, 0, 0) for one in seconds[first : first + 7]]
            writer.write(records_of(some))
    files = [[one // second for one in times] for times in each_file(writer)]
    assert [one for times in files for one in times] == seconds
    assert len(files) == (60 if step_s == -5 else 61)
    assert max(map(len, files)) <= 60 - (step_s if step_s == -5 else 0)


def test_a_new_file_begins_after_some_time_and_the_oldest_goes(tmp_path: Path) -> None:
    rotation = Rotation(seconds=1.0, files_max=2)
    with open_writer(tmp_path / "x.pcapng", INTERFACES[:1], rotation=rotation, dropped=iter([1, 3, 3, 8]).__next__) as (
        writer
    ):
        tenths = [RawFrame(b"x", 1, NANOSECOND + tenth * 10**8, 1, 0, 0) for tenth in range(35)]
        writer.write(records_of(tenths[:7]))
        writer.write(records_of(tenths[7:]))
    assert each_file(writer) == [[n * 10**8 for n in range(20, 30)], [n * 10**8 for n in range(30, 35)]]
    names = sorted(path.name for path in tmp_path.iterdir())
    local = time.strftime("%Y%m%d%H%M%S", time.localtime(NANOSECOND // 10**9 + 2))
    assert names[0] == f"x_00003_{local}.pcapng"
    assert names[1].startswith("x_00004_")
    drops = []
    for name in names:
        with open_capture(tmp_path / name) as reader:
            assert sum(map(len, reader))
        drops.append(reader.dropped)
    assert drops == [0, 5]  # those since the file before


def test_the_statistics_of_a_rotation_count_every_frame_once(tmp_path: Path) -> None:
    with open_writer(tmp_path / "x.pcapng", INTERFACES, rotation=Rotation(octets_max=500)) as writer:
        block = records_of([frame(100, number, number % 2) for number in range(20)])
        writer.write(block, np.arange(20) % 3 == 0)
    counts = [one for path in writer.paths for one in statistics_of(path.read_bytes())]  # type: ignore[attr-defined]
    received, saved = 4, 8
    assert len(writer.paths) > 3  # type: ignore[attr-defined]
    assert (sum(one[received] for one in counts), sum(one[saved] for one in counts)) == (20, 7)


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_a_pcap_name_with_several_link_types_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"one link type, and lo has 1, tun0 has 101; call it \S+/x\.pcapng$"):
        open_writer(tmp_path / "x.pcap", INTERFACES)
    assert not (tmp_path / "x.pcap").exists()


def written_until_full(path: Path, make: Callable[[Path], CaptureWriter]) -> tuple[str, int]:
    """Write blocks while the file may be 20,000 octets long."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    blocks = 0
    with pytest.raises(CaptureError) as caught, make(path) as writer:
        while True:
            writer.write(records_of([frame(100, number) for number in range(10)]))
            blocks += 1
    return str(caught.value), blocks


@pytest.mark.parametrize(
    "make", [lambda path: open_writer(path, INTERFACES[:1]), lambda path: PcapWriter(path, 1)], ids=["pcapng", "pcap"]
)
def test_a_full_disk_is_one_line_and_what_was_written_can_be_read(
    tmp_path: Path, make: Callable[[Path], CaptureWriter]
) -> None:
    path = tmp_path / "x.capture"
    said, blocks = in_child(lambda: written_until_full(path, make))
    assert said == f"{path}: cannot be written: File too large; what was saved before can be read"
    assert blocks > 10
    assert len(read_back(path)) == 10 * blocks


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_full_is_one_line() -> None:
    with pytest.raises(CaptureError, match=r"^/dev/full: cannot be written: No space left on device$"):
        open_writer("/dev/full", INTERFACES)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for rotation in (None, Rotation(seconds=1)):
        with pytest.raises(CaptureError, match=r"cannot be written: No such file or directory$"):
            open_writer(tmp_path / "none" / "x.pcapng", INTERFACES, rotation=rotation)


@pytest.mark.parametrize("suffix", ["pcapng", "pcap"])
def test_a_rotation_that_cannot_go_on_is_one_line_and_its_files_can_be_read(tmp_path: Path, suffix: str) -> None:
    folder, moved = tmp_path / "before", tmp_path / "after"
    folder.mkdir()
    writer = open_writer(folder / f"x.{suffix}", INTERFACES[:1], rotation=Rotation(octets_max=3000))
    with (
        pytest.raises(CaptureError, match=r"/x_00002_\d{14}\.\w+: cannot be written: No such file or directory$"),
        writer,
    ):
        folder.rename(moved)
        writer.write(records_of([frame(100, number) for number in range(40)]))
    (kept,) = moved.iterdir()
    assert len(read_back(kept)) > 10


def test_a_file_that_cannot_be_removed_is_one_line(tmp_path: Path) -> None:
    rotation = Rotation(octets_max=3000, files_max=1)
    with open_writer(tmp_path / "x.pcapng", INTERFACES[:1], rotation=rotation) as writer:
        (oldest,) = tmp_path.iterdir()
        oldest.unlink()
        oldest.mkdir()
        with pytest.raises(CaptureError, match=r"/x_00001_\d{14}\.pcapng: cannot be removed: Is a directory$"):
            writer.write(records_of([frame(100, number) for number in range(40)]))


def test_fifty_thousand_frames_cost_little() -> None:
    one = records_of([frame(70, number) for number in range(50_000)])
    began = time.process_time()
    with Path(os.devnull).open("wb") as nowhere, PcapngWriter(nowhere, INTERFACES) as writer:
        writer.write(one)
    assert writer.count == len(one)
    assert time.process_time() - began < 0.5


def test_a_block_may_have_no_frame_at_all() -> None:
    empty: Records = records_of([])
    for writer in (PcapngWriter(io.BytesIO(), INTERFACES), PcapWriter(io.BytesIO(), 1)):
        with writer:
            writer.write(empty)
        assert writer.count == 0


@pytest.mark.parametrize(("name", "magic"), [("x.pcapng", "0a0d0d0a"), ("x.pcap", "4d3cb2a1"), ("x", "4d3cb2a1")])
def test_a_session_is_saved_in_the_format_that_its_name_says(name: str, magic: str, tmp_path: Path) -> None:
    """`demo -w x.pcapng` wrote a pcap file of that name."""
    with open_capture(PCAPS / "four-way.pcap") as reader:
        frames = [block.raw(row) for block in reader for row in range(len(block))]
    assert write_frames(str(tmp_path / name), frames, ("lo", 1)) == len(frames) == 11
    assert (tmp_path / name).read_bytes()[:4].hex() == magic
    with open_capture(tmp_path / name) as reader:
        assert [block.raw(row).octets for block in reader for row in range(len(block))] == [
            one.octets for one in frames
        ]


def test_frames_of_several_link_types_are_saved_in_pcapng(tmp_path: Path) -> None:
    """Each has the interface of its link type, whatever its number was in the capture that it comes from."""
    frames = [replace(frame(70, number), link_type=1 + 100 * number, interface=7) for number in (1, 0, 1)]
    target = tmp_path / "x.pcapng"
    assert write_frames(str(target), frames, ("", frames[0].link_type)) == 3
    with open_capture(target) as reader:
        found = [block.raw(row) for block in reader for row in range(len(block))]
    assert [(one.octets, one.link_type, one.interface) for one in found] == [
        (one.octets, one.link_type, interface) for one, interface in zip(frames, (0, 1, 0), strict=True)
    ]
