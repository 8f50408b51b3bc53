"""pcapng files: sections, interfaces, blocks of every kind, damage."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.formats import walk
from handshake_inspect.capture.formats.pcapng import reader as pcapng
from handshake_inspect.capture.formats.pcapng.blocks import Blocks
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.scapy_side.reader import read_records
from tests.capture.builders import block, enhanced, interface, option, rows, section

EPOCH = 1_700_000_000


@pytest.mark.parametrize("order", "<>")
def test_interfaces_have_their_own_link_type_resolution_and_offset(order: str) -> None:
    data = section(order)
    data += interface(1, order=order)
    data += interface(113, option(9, b"\x09", order) + option(14, struct.pack(order + "q", 3600), order), order)
    data += interface(101, option(9, b"\x8a", order), order)
    data += enhanced(b"one", 3, EPOCH * 10**6 + 1, 0, order)
    data += enhanced(b"two", 9, EPOCH * 10**9 + 7, 1, order)
    data += enhanced(b"three", 5, (EPOCH << 10) + 1, 2, order)
    assert rows(open_capture(io.BytesIO(data))) == [
        (b"one", 3, EPOCH * 10**9 + 1000, 1, 1),
        (b"two", 9, (EPOCH + 3600) * 10**9 + 7, 2, 113),
        (b"three", 5, EPOCH * 10**9 + 976562, 3, 101),
    ]


@given(
    st.integers(0, 255), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5), st.integers(-(2**63), 2**63 - 1)
)
def test_times_are_exact_at_every_resolution(resolution: int, units: list[int], offset: int) -> None:
    """Times beyond 64 bits of nanoseconds are cut to the last second that fits; none overflows."""
    data = section() + interface(1, option(9, bytes([resolution])) + option(14, struct.pack("<q", offset)))
    data += b"".join(enhanced(b"", 0, unit) for unit in units)
    per_second = 2 ** (resolution & 127) if resolution & 128 else 10 ** (resolution & 127)
    for unit, row in zip(units, rows(open_capture(io.BytesIO(data))), strict=True):
        signed = unit - 2**64 if unit >= 2**63 else unit
        exact = Fraction(signed, per_second) + offset
        if abs(exact) < 9 * 10**9 and abs(offset) < 9 * 10**9 and abs(exact - offset) < 9 * 10**9:
            assert row[2] == exact * 10**9 // 1
        assert abs(row[2]) < 2**63


def test_sections_start_afresh_and_may_change_the_byte_order() -> None:
    data = b""
    for order, link in (("<", 1), (">", 101), ("<", 0)):
        data += section(order) + interface(link, order=order) + enhanced(b"x" * link, link, 10**6, 0, order)
    assert [(row[3], row[4], row[2]) for row in rows(open_capture(io.BytesIO(data)))] == [
        (1, 1, 10**9), (2, 101, 10**9), (3, 0, 10**9)
    ]  # fmt: skip


def test_interfaces_are_numbered_over_all_sections_once_there_are_several() -> None:
    """A frame before the second description has none: its interface was the only one. Scapy's reader says the same."""
    data = section() + interface() + enhanced(b"one", 3, 1) + interface() + enhanced(b"two", 3, 2, 0)
    data += enhanced(b"three", 5, 3, 1) + section(">") + interface(order=">") + enhanced(b"four", 4, 4, 0, ">")
    for blocks in (open_capture(io.BytesIO(data), block_octets=64), open_capture(io.BytesIO(data))):
        numbers = [-1 if one.interface is None else one.interface[row] for one in blocks for row in range(len(one))]
        assert numbers == [-1, 0, 1, 2]
    (records,) = read_records(io.BytesIO(data))
    assert records.interface is not None
    assert records.interface.tolist() == [-1, 0, 1, 2]
    only = open_capture(io.BytesIO(section() + interface() + enhanced(b"one", 3, 1)))
    assert [records.interface for records in only] == [None]


def test_simple_and_obsolete_packets_are_read_and_unknown_blocks_skipped() -> None:
    data = section() + interface(1, snaplen=6) + block(0x0BAD, b"what is this")
    data += block(3, struct.pack("<I", 100) + b"simple\0\0")
    data += block(2, struct.pack("<HHIIII", 0, 9, 0, 2 * 10**6, 3, 60) + b"old\0")
    data += block(4, b"") + block(0x80000001, b"secret")
    assert rows(open_capture(io.BytesIO(data))) == [(b"simple", 100, 0, 1, 1), (b"old", 60, 2 * 10**9, 2, 1)]


def test_drops_are_the_last_statistics_of_each_interface() -> None:
    def statistics(number: int, *options: bytes) -> bytes:
        return block(5, struct.pack("<III", number, 0, 0) + b"".join(options))

    data = section() + interface() + interface()
    data += statistics(0, option(5, struct.pack("<Q", 3)))
    data += statistics(0, option(5, struct.pack("<Q", 5)), option(7, struct.pack("<Q", 2)))
    data += statistics(1, option(7, struct.pack("<Q", 10)))
    data += section() + interface() + statistics(0, option(5, struct.pack("<Q", 100)))
    reader = open_capture(io.BytesIO(data))
    assert rows(reader) == []
    assert reader.dropped == 117


def test_a_statistics_block_speaks_of_an_interface_of_its_own_section() -> None:
    """One that its section has not described counts, and is not the next section's interface of that number."""
    drops = option(5, struct.pack("<Q", 3))
    data = (section() + block(5, struct.pack("<III", 0, 0, 0) + drops)) * 2 + section() + interface()
    for block_octets in (64, 1 << 16):
        reader = open_capture(io.BytesIO(data), block_octets=block_octets)
        assert rows(reader) == []
        assert reader.dropped == 6
        assert [one.dropped for one in reader.about.interfaces] == [None]


def test_a_simple_packet_is_as_long_as_the_first_interface_of_its_section_allows() -> None:
    simple = block(3, struct.pack("<I", 8) + b"12345678")
    data = b"".join(section() + interface(snaplen=most) + interface(snaplen=1) + simple for most in (3, 0, 6))
    assert [row[0] for row in rows(open_capture(io.BytesIO(data)))] == [b"123", b"12345678", b"123456"]


def without_repeated_length(order: str = "<") -> bytes:
    """Return a section header whose last word is not its length."""
    return section(order)[:-4] + bytes(4)


@given(
    st.lists(
        st.sampled_from([section("<"), section(">"), without_repeated_length(), b"i", b"p", b"d", b"n"]), max_size=40
    ),
    st.sampled_from([64, 200]),
)
def test_sections_read_together_say_what_they_say_one_by_one(parts: list[bytes], block_octets: int) -> None:
    """Whatever changes between them: byte order, repeated lengths, interfaces, drops told by packets and statistics."""
    order, described, data = "<", 0, section()
    for number, part in enumerate(parts):
        if part == b"i":
            described += 1
            data += interface(number, order=order)
        elif part == b"n":
            drops = option(5, struct.pack(order + "Q", number), order)
            data += block(5, struct.pack(order + "III", number % 3, 0, 0) + drops, order)
        elif len(part) > 1:
            order, described = ">" if part == section(">") else "<", 0
            data += part
        elif described:
            drops = option(4, struct.pack(order + "Q", number), order) if part == b"d" else b""
            data += packet(number, number % described, drops, order)

    def read(octets: int) -> tuple[object, ...]:
        reader = open_capture(io.BytesIO(data), block_octets=octets)
        return rows(reader), reader.dropped, reader.damage, reader.about, reader.headers

    assert read(block_octets) == read(1 << 20)


def packet(units: int, number: int, options: bytes, order: str) -> bytes:
    """Return an enhanced packet block of one interface of its section, with options."""
    return block(6, struct.pack(order + "IIIII", number, 0, units, 4, 4) + b"same" + options, order)


def test_sections_of_one_packet_each_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alike, all at once; where each changes the byte order, one by one, and no octet is walked over often."""
    taken, walked = list[int](), list[int]()
    take, walk_plainly = pcapng.PcapngReader._take, walk.walk_plainly

    def count_taken(reader: pcapng.PcapngReader, blocks: Blocks, parts: list[pcapng.Part]) -> tuple[int, str] | None:
        taken.append(len(blocks))
        return take(reader, blocks, parts)

    def count_walked(buffer: bytearray, start: int, until: int, end: int, chain: walk.Chain) -> list[int]:
        offsets = walk_plainly(buffer, start, until, end, chain)
        walked.append(len(offsets))
        return offsets

    monkeypatch.setattr(pcapng.PcapngReader, "_take", count_taken)
    monkeypatch.setattr(walk, "walk_plainly", count_walked)
    alike = (section() + interface() + enhanced(b"one", 3, 1)) * 1000
    assert len(rows(open_capture(io.BytesIO(alike)))) == 1000
    assert len(taken) < 10
    walked.clear()
    other = without_repeated_length() + interface() + enhanced(b"two", 3, 2)
    assert len(rows(open_capture(io.BytesIO((alike[: len(alike) // 1000] + other) * 500)))) == 1000
    assert sum(walked) < 100 * 3000


def test_without_drop_counters_nothing_is_said_of_drops() -> None:
    reader = open_capture(io.BytesIO(section() + interface() + block(5, struct.pack("<III", 0, 0, 0))))
    assert rows(reader) == []
    assert reader.dropped is None


def test_broken_options_cost_nothing_but_themselves() -> None:
    data = section() + interface(1, struct.pack("<HH", 9, 60000) + b"\x09")
    data += enhanced(b"abc", 3, 10**6)
    reader = open_capture(io.BytesIO(data))
    assert rows(reader) == [(b"abc", 3, 10**9, 1, 1)]
    assert reader.damage == []


@pytest.mark.parametrize("order", "<>")
def test_options_tell_which_way_a_frame_went(order: str) -> None:
    """epb_flags (section 4.3.1) as Linux packet types: 0 to us, 1 broadcast, 2 multicast, 3 to others, 4 sent."""
    expected = {0b00101: 0, 0b00001: 0, 0b01101: 1, 0b01001: 2, 0b10001: 3, 0b00010: 4, 0b00110: 4, 0b00100: 255}
    data, comment = section(order) + interface(order=order), option(1, b"a comment", order)
    for flags in expected:
        said = option(2, struct.pack(order + "I", flags | 0xABCD00E0), order)
        data += enhanced(b"abc", 3, 0, 0, order, said + option(0, b"", order))
        data += enhanced(b"abc", 3, 0, 0, order, comment + said)
        data += enhanced(b"abc", 3, 0, 0, order, comment) + enhanced(b"abc", 3, 0, 0, order)
        data += enhanced(b"abc", 3, 0, 0, order, option(2, b"xx", order))  # too short to be flags
    (block_,) = open_capture(io.BytesIO(data))
    assert block_.packet_type is not None
    assert block_.packet_type.tolist() == [kind for each in expected.values() for kind in (each, each, 255, 255, 255)]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (struct.pack("<II", 6, 8), "8 octets"),
        (struct.pack("<II", 6, 0xFFFFFFF0), "4294967280 octets"),
        (enhanced(b"abc", 3, 0, 7), "interface 7"),
        (block(6, struct.pack("<5I", 0, 0, 0, 5000, 5000)), "5000 captured octets"),
        (block(0x0A0D0D0A, b"\xff" * 16), "byte-order magic"),
    ],
)
def test_damage_ends_the_reading_at_its_offset(bad: bytes, says: str) -> None:
    good = section() + interface() + enhanced(b"abc", 3, 10**6)
    reader = open_capture(io.BytesIO(good + bad + bytes(16) + enhanced(b"later", 5, 0)))
    assert rows(reader) == [(b"abc", 3, 10**9, 1, 1)]
    (damage,) = reader.damage
    assert (damage.offset, damage.frames_before) == (len(good), 1)
    assert says in damage.message


def test_every_truncation_keeps_what_is_whole() -> None:
    blocks = [section(), interface(), enhanced(b"abc", 3, 1), enhanced(b"defgh", 5, 2), section(">"),
              interface(0, order=">"), enhanced(b"i", 1, 3, order=">")]  # fmt: skip
    whole = b"".join(blocks)
    for length in range(28, len(whole)):
        reader = open_capture(io.BytesIO(whole[:length]))
        ends = [sum(map(len, blocks[: count + 1])) for count in range(len(blocks))]
        kept = [number for number, end in enumerate(ends) if end <= length]
        assert len(rows(reader)) == len({2, 3, 6} & set(kept))
        assert [damage.offset for damage in reader.damage] == (
            [] if length in ends else [ends[kept[-1]] if kept else 0]
        )


@pytest.mark.parametrize("length", range(4, 28))
def test_a_cut_section_header_is_an_error(length: int) -> None:
    with pytest.raises(CaptureError, match="pcapng section header"):
        open_capture(io.BytesIO(section()[:length]), name="x.pcapng")


@given(
    st.lists(st.tuples(st.sampled_from("ei?s"), st.integers(0, 90)), max_size=60), st.sampled_from([64, 200, 1 << 16])
)
def test_block_size_and_walk_do_not_change_what_is_read(parts: list[tuple[str, int]], block_octets: int) -> None:
    """Decoys look like blocks inside packets; sections may change the byte order."""
    order, data, link = "<", section() + interface(), 1
    wanted: list[tuple[bytes, int, int, int, int]] = []
    for number, (kind, size) in enumerate(parts):
        octets = (enhanced(b"", 0, 0, order=order) * 3)[:size]
        if kind == "e":
            data += enhanced(octets, size, number, 0, order)
            wanted.append((octets, size, number * 1000, len(wanted) + 1, link))
        elif kind == "i":
            data += interface(9, order=order)
        elif kind == "?":
            data += block(77, octets, order)
        else:
            order, link = "<>"[number % 2], number
            data += section(order) + interface(link, order=order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "SPAN_OCTETS", 128)
        patch.setattr(walk, "WINDOW_OCTETS", 50)
        patch.setattr(walk, "PLAIN_OCTETS", 0)
        patch.setattr(walk, "SAMPLED_OCTETS", 0)
        patch.setattr(pcapng, "PLAIN_OCTETS", 300)
        reader = open_capture(io.BytesIO(data), block_octets=block_octets)
        assert rows(reader) == wanted
    assert reader.damage == []


@pytest.mark.parametrize("block_octets", [64, 1 << 16])
def test_a_section_header_whose_padding_is_not_there_is_cut(block_octets: int) -> None:
    """Blocks are padded to four octets (section 3.1); found by exploring."""
    octets = section()[:4] + struct.pack("<I", 29) + section()[8:] + b"x"
    reader = open_capture(io.BytesIO(octets), block_octets=block_octets)
    assert list(reader) == []
    assert [place.message for place in reader.damage] == ["the capture ends inside a block (29 octets of it are there)"]
