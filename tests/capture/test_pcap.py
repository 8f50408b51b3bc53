"""pcap files and how their octets arrive."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.formats import walk
from handshake_inspect.capture.formats.pcap import PcapChain
from handshake_inspect.capture.records import CaptureError
from tests.capture.builders import Frame, pcap, rows, rows_from_pipe

FRAMES: list[Frame] = [
    (b"", 60, 1_700_000_000_123_456_000),
    (b"a" * 60, 60, 1_700_000_000_123_457_000),
    (b"b" * 300, 65549, 1_700_000_001_000_000_000),
]

#: A record of nothing but zeros is none.
frames = st.lists(
    st.tuples(st.binary(max_size=200), st.integers(0, 2**32 - 1), st.integers(0, 2**32 * 10**9 - 1)).filter(any),
    max_size=20,
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


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("header_octets", [24, 28])
def test_both_of_kuznetzovs_record_headers_are_told_apart(order: str, header_octets: int) -> None:
    """His patches of 1999-10-29 and 1999-09-15 share a magic number; the second has two CPU numbers more."""
    header = struct.pack(order + "IHHIIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    for count in range(5):
        data = header
        for number in range(count):
            octets = bytes([number]) * (60 + number)
            fields = struct.pack(order + "4IIHBB", 940_000_000 + number, 7, len(octets), 99, 3, 0x0800, 4, 0)
            data += fields.ljust(header_octets, b"\0") + octets
        for block_octets in (64, 1 << 20):
            reader = open_capture(io.BytesIO(data), block_octets=block_octets)
            wanted: list[Frame] = [
                (bytes([number]) * (60 + number), 99, (940_000_000 + number) * 10**9 + 7000) for number in range(count)
            ]
            assert rows(reader) == expected(wanted)
            assert reader.damage == []


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("header_octets", [16, 20, 24])
@pytest.mark.parametrize("count", range(2, 6))
def test_longer_record_headers_behind_the_usual_magic_number_are_told_by_the_records(
    tmp_path: Path, order: str, header_octets: int, count: int
) -> None:
    """Nokia's firewalls have 4 octets more, Red Hat 6.1 (Kuznetzov's patch of 1999-04-17) 8."""
    made: list[Frame] = [(bytes([n]) * (60 + 7 * n), 99, (940_000_000 + n) * 10**9 + 7000) for n in range(count)]
    data = struct.pack(order + "IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for octets, original, time_ns in made:
        header = struct.pack(order + "4I", time_ns // 10**9, 7, len(octets), original)
        data += header.ljust(header_octets, b"\3") + octets
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    for source in (path, io.BytesIO(data), io.BytesIO(gzip.compress(data))):
        for block_octets in (64, 1 << 20):
            reader = open_capture(source, block_octets=block_octets)
            assert rows(reader) == expected(made)
            assert reader.damage == []
            if isinstance(source, io.BytesIO):
                source.seek(0)
    if header_octets == 16:
        second = 24 + 16 + 60
        for length in range(24, len(data)):  # a cut file is not taken for one of those
            cut = rows(open_capture(io.BytesIO(data[:length])))
            assert cut == expected(made)[: len(cut)]
            assert bool(cut) == (length >= second)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("magic", [0x1C0001AC, 0x1C0001AB])
def test_the_longer_file_header_of_ixia_is_stepped_over(order: str, magic: int) -> None:
    data = (
        struct.pack(order + "IHHIIIII", magic, 2, 4, 0, 0, 65535, 1, 4711) + pcap(FRAMES, order=order, nano=False)[24:]
    )
    assert rows(open_capture(io.BytesIO(data))) == expected(FRAMES)
    for length in (24, 27):
        with pytest.raises(CaptureError, match=f"cut after {length} octets, inside the pcap header of 28"):
            open_capture(io.BytesIO(data[:length]))


def old_pcap(version: tuple[int, int], records: list[tuple[int, int, bytes]], link_type: int = 1) -> bytes:
    """A file of another version; `records`: the two lengths as they stand in the header, and the frame."""
    parts = [struct.pack("<IHHIIII", 0xA1B2C3D4, *version, 0, 0, 96, link_type)]
    parts += [struct.pack("<4I", 7, 5, one, other) + octets for one, other, octets in records]
    return b"".join(parts)


@pytest.mark.parametrize("version", [(2, 0), (2, 1), (2, 2), (543, 0)])
def test_before_version_2_3_the_two_lengths_stand_the_other_way(version: tuple[int, int]) -> None:
    data = old_pcap(version, [(1500, 3, b"abc"), (5, 5, b"fghij"), (60, 0, b"")])
    wanted: list[Frame] = [(b"abc", 1500, 7_000_005_000), (b"fghij", 5, 7_000_005_000), (b"", 60, 7_000_005_000)]
    assert rows(open_capture(io.BytesIO(data))) == expected(wanted)


def test_in_version_2_3_they_may_stand_either_way() -> None:
    data = old_pcap((2, 3), [(1500, 3, b"abc"), (5, 90, b"fghij"), (4, 4, b"mnop")])
    wanted: list[Frame] = [(b"abc", 1500, 7_000_005_000), (b"fghij", 90, 7_000_005_000), (b"mnop", 4, 7_000_005_000)]
    for block_octets in (64, 1 << 20):
        assert rows(open_capture(io.BytesIO(data), block_octets=block_octets)) == expected(wanted)
    broken = open_capture(io.BytesIO(data + struct.pack("<4I", 1, 1, 1 << 28, 1 << 29) + bytes(99)))
    assert len(rows(broken)) == 3
    assert broken.damage[0].offset == len(data)
    cut = open_capture(io.BytesIO(data[:-1]))
    assert len(rows(cut)) == 2
    assert len(cut.damage) == 1


@pytest.mark.parametrize(("if_type", "link_type"), [(6, 1), (9, 6), (24, 0)])
def test_aix_writes_nanoseconds_and_an_iftype(if_type: int, link_type: int) -> None:
    data = old_pcap((2, 2), [(60, 3, b"abc")], if_type)
    assert rows(open_capture(io.BytesIO(data))) == [(b"abc", 60, 7_000_000_005, 1, link_type)]


def test_aix_puts_three_octets_before_fddi_frames() -> None:
    data = old_pcap((2, 2), [(60, 6, b"...abc"), (60, 2, b"..")], 15)
    assert rows(open_capture(io.BytesIO(data))) == [
        (b"abc", 57, 7_000_000_005, 1, 10), (b"", 57, 7_000_000_005, 2, 10)
    ]  # fmt: skip


def test_a_frame_check_sequence_that_the_header_tells_of_is_no_part_of_the_frame() -> None:
    """4 bits of length in units of 16 bits, and one bit that says that they mean something."""
    frames: list[Frame] = [(b"abcd" + b"FCS!", 8, 10**18), (b"abc", 8, 10**18), (b"abcdF", 8, 10**18)]
    found = rows(open_capture(io.BytesIO(pcap(frames, link_type=0x2400_0001))))
    assert [(row[0], row[1], row[4]) for row in found] == [(b"abcd", 4, 1), (b"abc", 4, 1), (b"abcd", 4, 1)]
    unsaid = rows(open_capture(io.BytesIO(pcap(frames, link_type=0x2000_0001))))
    assert unsaid == expected(frames)


def test_a_version_before_2_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"^x: a pcap file of version 1\.0; only 2\.0 and later are known"):
        open_capture(io.BytesIO(old_pcap((1, 0), [])), name="x")


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
    assert rows_from_pipe(parts) == expected(FRAMES)


@pytest.mark.parametrize("error", [OSError("not a socket"), ValueError("filedescriptor out of range in select()")])
def test_where_nobody_can_ask_whether_more_is_ready_reading_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """select() takes sockets only on Windows, and low descriptors only elsewhere."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("select.select", refuse)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(FRAMES * 50))
    assert rows(open_capture(path, block_octets=64)) == expected(FRAMES * 50)
    with path.open("rb") as file:
        assert rows(open_capture(file)) == expected(FRAMES * 50)


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
        patch.setattr(walk, "WINDOW_OCTETS", 100)
        patch.setattr(walk, "PLAIN_OCTETS", 0)
        patch.setattr(walk, "SAMPLED_OCTETS", 0)
        found = walk.walk(data, 24, end, chain)
    assert found.tolist() == walk.walk_plainly(data, 24, end, end, chain)


@given(st.binary(min_size=600, max_size=3000))
def test_the_walk_in_step_agrees_on_random_octets(data: bytes) -> None:
    chain = PcapChain("<", 16, 8, longest=3000)
    buffer = bytearray(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "SPAN_OCTETS", 64)
        patch.setattr(walk, "WINDOW_OCTETS", 20)
        patch.setattr(walk, "PLAIN_OCTETS", 0)
        patch.setattr(walk, "SAMPLED_OCTETS", 0)
        patch.setattr(PcapChain, "can_be", lambda _, words, at, end: np.ones(len(at), np.bool_))
        found = walk.walk(buffer, 0, len(buffer), chain)
    assert found.tolist() == walk.walk_plainly(buffer, 0, len(buffer), len(buffer), chain)


def test_payload_that_looks_like_records_everywhere_has_few_walks_of_its_own() -> None:
    """A start that is missed at every span is not asked for at every span."""
    decoy = pcap([(bytes(40), 40, 5 * 10**9)] * 25)[24:]
    data = bytearray(pcap([(decoy, len(decoy), 5 * 10**9)] * 3000))
    chain, walks = PcapChain("<", 16, 8, longest=262144), 0
    plainly = walk.walk_plainly

    def counted(*arguments: Any) -> list[int]:
        nonlocal walks
        walks += 1
        return plainly(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "walk_plainly", counted)
        patch.setattr(walk, "SAMPLED_OCTETS", 0)
        found = walk.walk(data, 24, len(data), chain)
    assert found.tolist() == plainly(data, 24, len(data), len(data), chain)
    assert len(data) / walk.SPAN_OCTETS > 500
    assert walks < 30


@pytest.mark.parametrize("octets", [300, 1460])
def test_long_records_are_followed_one_by_one(octets: int) -> None:
    data = bytearray(pcap([(bytes(octets), octets, 5 * 10**9)] * 3000))
    chain, guessed = PcapChain("<", 16, 8, longest=262144), False
    guesses = walk.guesses

    def noted(*arguments: Any) -> walk.Offsets:
        nonlocal guessed
        guessed = True
        return guesses(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "guesses", noted)
        offsets = walk.walk(data, 24, len(data), chain)
    assert len(offsets) == 3000
    assert guessed == (octets < walk.LONG_OCTETS)


def test_a_big_file_is_walked_in_step_with_the_same_result() -> None:
    random = np.random.default_rng(1)
    sizes = random.integers(40, 1500, 4000).tolist()
    inner = pcap([(bytes(60), 60, 10**18)] * 20)
    made: list[Frame] = [((inner * 2)[:size], size, 10**18 + number) for number, size in enumerate(sizes)]
    reader = open_capture(io.BytesIO(pcap(made)))
    assert rows(reader) == expected(made)


def test_zeros_behind_the_records_are_damage_and_no_frames() -> None:
    """A disk that was full, or a machine that went down: the file is longer than what was written."""
    octets = pcap(FRAMES) + bytes(4096)
    for block_octets in (64, 1 << 16):
        reader = open_capture(io.BytesIO(octets), block_octets=block_octets)
        assert rows(reader) == expected(FRAMES)
        (place,) = reader.damage
        assert place.offset == len(pcap(FRAMES))
        assert "nothing but zeros" in place.message


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("block_octets", [64, 1 << 16])
def test_files_one_behind_the_other_are_read_as_one(order: str, block_octets: int) -> None:
    """`cat a.pcap b.pcap`; each has a header of its own, and perhaps another link type."""
    octets = pcap(FRAMES, order=order) + pcap(FRAMES, order=order, link_type=101) + pcap([], order=order)
    reader = open_capture(io.BytesIO(octets), block_octets=block_octets)
    found = rows(reader)
    assert [one[4] for one in found] == [1] * len(FRAMES) + [101] * len(FRAMES)
    assert [one[:3] for one in found] == [(*one,) for one in FRAMES * 2]
    assert [one[3] for one in found] == list(range(1, 2 * len(FRAMES) + 1))
    assert reader.about.files == 3
    assert not reader.damage


def test_a_cut_header_behind_the_records_is_damage() -> None:
    reader = open_capture(io.BytesIO(pcap(FRAMES) + pcap([])[:20]))
    assert rows(reader) == expected(FRAMES)
    assert len(reader.damage) == 1
