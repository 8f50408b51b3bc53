"""snoop files (RFC 1761), built octet by octet."""

from __future__ import annotations

import io
import struct
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.formats import walk
from handshake_inspect.capture.formats.snoop import SnoopChain
from handshake_inspect.capture.records import CaptureError
from tests.capture.builders import Frame, rows, snoop

FRAMES: list[Frame] = [(b"", 60, 10**18), (b"a" * 61, 61, 10**18 + 1000), (b"b" * 300, 65549, 10**18 + 10**9)]


def expected(frames: list[Frame], link_type: int = 1) -> list[tuple[bytes, int, int, int, int]]:
    return [(octets, original, time, number, link_type) for number, (octets, original, time) in enumerate(frames, 1)]


@given(
    st.lists(st.tuples(st.binary(max_size=99), st.integers(0, 2**32 - 1), st.integers(0, 2**32 * 10**6 - 1))),
    st.sampled_from([64, 100, 1 << 20]),
    st.sampled_from([0, 1, 3, 7]),
)
def test_records_are_read_exactly_whatever_their_padding(
    given_frames: list[tuple[bytes, int, int]], block_octets: int, pad: int
) -> None:
    frames = [(octets, original, micros * 1000) for octets, original, micros in given_frames]
    reader = open_capture(io.BytesIO(snoop(frames, pad=pad)), block_octets=block_octets)
    assert rows(reader) == expected(frames)
    assert reader.damage == []


def test_drops_are_those_that_the_last_record_says() -> None:
    data = snoop(FRAMES[:1]) + snoop(FRAMES[1:2], drops=7)[16:]
    reader = open_capture(io.BytesIO(data))
    assert len(rows(reader)) == 2
    assert reader.dropped == 7
    empty = open_capture(io.BytesIO(snoop([])))
    assert rows(empty) == []
    assert empty.dropped is None


@pytest.mark.parametrize(
    ("data_link", "link_type"), [(0, 1), (4, 1), (2, 6), (8, 10), (9, 0), (14, 0), (18, 123), (0x80000005, 226)]
)
def test_data_links_have_their_link_type(data_link: int, link_type: int) -> None:
    data = snoop(FRAMES, data_link=data_link)
    assert rows(open_capture(io.BytesIO(data))) == expected(FRAMES, link_type)


def test_types_of_surveyor_are_known_by_its_trailer() -> None:
    """Shomiti took 12, in other files an asynchronous line, for Gigabit Ethernet."""
    surveyor = snoop([], data_link=12, version=4) + struct.pack(">6I", 4, 4, 24 + 4 + 16, 0, 1, 0) + b"abcd" + bytes(16)
    assert rows(open_capture(io.BytesIO(surveyor))) == [(b"abcd", 4, 10**9, 1, 1)]
    with pytest.raises(CaptureError, match=r"^x: .*data link type 0xc.*editcap"):
        open_capture(io.BytesIO(snoop(FRAMES, data_link=12)), name="x")


@pytest.mark.parametrize("version", [0, 1, 6, 2**32 - 1])
def test_other_versions_are_refused(version: int) -> None:
    with pytest.raises(CaptureError, match=f"version {version};"):
        open_capture(io.BytesIO(snoop([], version=version)))


def test_every_truncation_keeps_the_whole_records_and_says_where_the_cut_one_begins() -> None:
    whole = snoop(FRAMES)
    begins = [16, *(16 + end for end in accumulate(24 + len(octets) + 3 & ~3 for octets, _, _ in FRAMES))]
    for length in range(8, 16):
        with pytest.raises(CaptureError, match=f"cut after {length} octets, inside the snoop header"):
            open_capture(io.BytesIO(whole[:length]))
    for length in range(16, len(whole) + 1):
        reader = open_capture(io.BytesIO(whole[:length]))
        kept = sum(begin <= length for begin in begins[1:])
        assert rows(reader) == expected(FRAMES[:kept])
        assert [one.offset for one in reader.damage] == ([] if length in begins else [begins[kept]])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((60, 60, 24, 0, 1, 0), "a record of 24 octets claims 60 captured octets"),
        ((60, 60, 23, 0, 1, 0), "less than its header of 24"),
        ((60, 60, 0, 0, 1, 0), "less than its header of 24"),
        ((60, 60, 2**32 - 4, 0, 1, 0), "a record claims 4294967292 octets"),
    ],
)
def test_lengths_that_cannot_be_end_the_reading_there(fields: tuple[int, ...], says: str) -> None:
    good = snoop(FRAMES[:2])
    reader = open_capture(io.BytesIO(good + struct.pack(">6I", *fields) + bytes(100) + snoop(FRAMES)[16:]))
    assert rows(reader) == expected(FRAMES[:2])
    (damage,) = reader.damage
    assert (damage.offset, damage.frames_before) == (len(good), 2)
    assert says in damage.message


@given(st.lists(st.integers(0, 300), min_size=1, max_size=200), st.integers(0, 400))
def test_the_walk_in_step_finds_what_the_plain_loop_finds(lengths: list[int], cut: int) -> None:
    """Payloads hold captures themselves, so that guesses are often wrong."""
    decoy = snoop([(b"", 0, 5 * 10**9)] * 9)[16:]
    data = bytearray(snoop([((decoy * 3)[:length], length, 5 * 10**9) for length in lengths]))
    end = max(len(data) - cut, 16)
    chain = SnoopChain(">", 0, 8, smallest=24, header_octets=24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "SPAN_OCTETS", 256)
        patch.setattr(walk, "WINDOW_OCTETS", 100)
        patch.setattr(walk, "PLAIN_OCTETS", 0)
        patch.setattr(walk, "SAMPLED_OCTETS", 0)
        found = walk.walk(data, 16, end, chain)
    assert found.tolist() == walk.walk_plainly(data, 16, end, end, chain)
