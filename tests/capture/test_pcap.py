"""pcap files and how their octets arrive."""

from __future__ import annotations

import gzip
import io
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture import walk
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.pcap import PcapChain
from handshake_inspect.capture.records import CaptureError
from tests.capture.builders import Frame, pcap, rows

FRAMES: list[Frame] = [
    (b"", 60, 1_700_000_000_123_456_000),
    (b"a" * 60, 60, 1_700_000_000_123_457_000),
    (b"b" * 300, 65549, 1_700_000_001_000_000_000),
]

frames = st.lists(
    st.tuples(st.binary(max_size=200), st.integers(0, 2**32 - 1), st.integers(0, 2**32 * 10**9 - 1)), max_size=20
)


def expected(given_frames: list[Frame], link_type: int = 1) -> list[tuple[bytes, int, int, int, int]]:
    return [
        (octets, original, time, number, link_type) for number, (octets, original, time) in enumerate(given_frames, 1)
    ]


@given(frames, st.sampled_from("<>"), st.sampled_from([64, 65, 100, 1 << 20]))
def test_nanosecond_files_are_read_exactly_in_any_byte_order_and_block_size(
    given_frames: list[Frame], order: str, block_octets: int
) -> None:
    reader = open_capture(io.BytesIO(pcap(given_frames, order=order)), block_octets=block_octets)
    assert rows(reader) == expected(given_frames)
    assert reader.damage == []
    assert reader.dropped is None


@pytest.mark.parametrize("order", "<>")
def test_microseconds_become_nanoseconds(order: str) -> None:
    assert rows(open_capture(io.BytesIO(pcap(FRAMES, order=order, nano=False)))) == expected(FRAMES)


def test_the_longer_record_header_of_kuznetzov_is_stepped_over() -> None:
    header = struct.pack("<IHHIIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<4IIHBB", 1, 2, 3, 60, 7, 0x0800, 4, 0) + b"abc"
    assert rows(open_capture(io.BytesIO(header + record * 2))) == [
        (b"abc", 60, 1_000_002_000, 1, 1), (b"abc", 60, 1_000_002_000, 2, 1)
    ]  # fmt: skip


def test_flags_in_the_upper_half_of_the_link_type_are_not_part_of_it() -> None:
    reader = open_capture(io.BytesIO(pcap(FRAMES, link_type=0x2400_0001)))
    assert {row[4] for row in rows(reader)} == {1}


def test_every_truncation_keeps_the_whole_records_and_says_where_the_cut_one_begins() -> None:
    whole = pcap(FRAMES)
    begins = [24, 40, 116, len(whole)]
    for length in range(24, len(whole)):
        reader = open_capture(io.BytesIO(whole[:length]), name="cut.pcap")
        kept = sum(begin <= length for begin in begins[1:])
        assert rows(reader) == expected(FRAMES[:kept])
        if length == begins[kept]:
            assert reader.damage == []
        else:
            (damage,) = reader.damage
            assert (damage.capture, damage.offset, damage.frames_before) == ("cut.pcap", begins[kept], kept)
            assert f"({length - begins[kept]} octets" in damage.message


@pytest.mark.parametrize("length", range(24))
def test_a_file_cut_inside_its_header_is_one_clear_error(length: int) -> None:
    with pytest.raises(CaptureError, match=r"^x\.pcap: .*(empty|not a capture|cut after)") as caught:
        open_capture(io.BytesIO(pcap([])[:length]), name="x.pcap")
    assert "\n" not in str(caught.value)


def test_an_insane_length_ends_the_reading_there() -> None:
    whole = bytearray(pcap(FRAMES))
    struct.pack_into("<I", whole, 40 + 8, 0x7FFFFFFF)
    reader = open_capture(io.BytesIO(whole + bytes(1000)))
    assert rows(reader) == expected(FRAMES[:1])
    assert [(damage.offset, damage.frames_before) for damage in reader.damage] == [(40, 1)]
    assert "2147483647" in reader.damage[0].message


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "empty"),
        (b"hello world", 'begins with "hello wo"'),
        (b"\0\1\2\3\4\5\6\7\x08", "00 01 02 03"),
        (b"snoop\0\0\0\0\0\0\2", "snoop"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
    ],
)
def test_what_is_not_a_capture_is_named(octets: bytes, says: str) -> None:
    with pytest.raises(CaptureError, match=says) as caught:
        open_capture(io.BytesIO(octets), name="some.txt")
    assert str(caught.value).startswith("some.txt: ")


def test_a_missing_file_and_a_folder_are_errors_with_their_name(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pcap", tmp_path):
        with pytest.raises(CaptureError, match=rf"^{path}: cannot be opened"):
            open_capture(path)


@pytest.mark.parametrize("members", [1, 3])
def test_gzip_is_undone(tmp_path: Path, members: int) -> None:
    whole = pcap(FRAMES * 50)
    third = len(whole) // members + 1
    path = tmp_path / "no-suffix"
    path.write_bytes(b"".join(gzip.compress(whole[at : at + third]) for at in range(0, len(whole), third)))
    for block_octets in (64, 1 << 20):
        reader = open_capture(path, block_octets=block_octets)
        assert rows(reader) == expected(FRAMES * 50)
        assert reader.damage == []


def test_a_cut_gzip_file_is_read_up_to_the_cut() -> None:
    reader = open_capture(io.BytesIO(gzip.compress(pcap(FRAMES), 0)[:-20]))
    assert rows(reader) == expected(FRAMES[:2])
    assert "gzip stream ends early" in reader.damage[0].message


def test_a_live_pipe_delivers_each_record_when_it_comes() -> None:
    parts = [pcap(FRAMES[:1]), pcap(FRAMES[1:2])[24:], pcap(FRAMES[2:])[24:]]
    reading, writing = os.pipe()
    seen = threading.Semaphore(0)

    def write() -> None:
        with open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123 (a descriptor)
            for part in parts:
                pipe.write(part)
                assert seen.acquire(timeout=20)

    writer = threading.Thread(target=write)
    writer.start()
    got = []
    with open(reading, "rb") as pipe:  # noqa: PTH123 (a descriptor)
        for records in open_capture(pipe):
            got += rows([records])
            seen.release()
    writer.join()
    assert got == expected(FRAMES)


def chains() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 300), min_size=1, max_size=200)


@given(chains(), st.randoms(use_true_random=False), st.sampled_from("<>"), st.integers(0, 400))
def test_the_walk_in_step_finds_what_the_plain_loop_finds(
    lengths: list[int], random: object, order: str, cut: int
) -> None:
    """Spans are made tiny, and payloads hold captures themselves, so that guesses are often wrong."""
    decoy = pcap([(b"", 0, 5 * 10**9)] * 9, order=order)[24:]
    data = bytearray(pcap([((decoy * 3)[:length], length, 5 * 10**9) for length in lengths], order=order))
    end = max(len(data) - cut, 24)
    chain = PcapChain(order, 16, 8, longest=262144)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "SPAN_OCTETS", 256)
        patch.setattr(walk, "PLAIN_OCTETS", 0)
        found = walk.walk(data, 24, end, chain)
    assert found.tolist() == walk.walk_plainly(data, 24, end, end, chain)


@given(st.binary(min_size=600, max_size=3000))
def test_the_walk_in_step_agrees_on_random_octets(data: bytes) -> None:
    chain = PcapChain("<", 16, 8, longest=3000)
    buffer = bytearray(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "SPAN_OCTETS", 64)
        patch.setattr(walk, "PLAIN_OCTETS", 0)
        patch.setattr(PcapChain, "_plausible", lambda *_: True)
        found = walk.walk(buffer, 0, len(buffer), chain)
    assert found.tolist() == walk.walk_plainly(buffer, 0, len(buffer), len(buffer), chain)


def test_a_big_file_is_walked_in_step_with_the_same_result() -> None:
    random = np.random.default_rng(1)
    sizes = random.integers(40, 1500, 4000).tolist()
    inner = pcap([(bytes(60), 60, 10**18)] * 20)
    made: list[Frame] = [((inner * 2)[:size], size, 10**18 + number) for number, size in enumerate(sizes)]
    reader = open_capture(io.BytesIO(pcap(made)))
    assert rows(reader) == expected(made)
