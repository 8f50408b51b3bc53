"""pcapng files of every shape say the same read in columns and read block by block, whatever the size of the blocks."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture import about as bounds
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.formats import walk
from handshake_inspect.capture.formats.pcapng import notes, options, reader
from tests.capture.builders import block, enhanced, interface, names, obsolete, option, section, statistics
from tests.capture.plain_pcapng import Plain, PlainReader

#: Link types, texts of comments and names, resolutions of clocks, offsets in seconds, drops.
LINKS, TEXTS = st.sampled_from([1, 101, 113]), st.sampled_from([b"", b"\0", b"a", b"bb\0", b"caf\xe9"])
RESOLUTIONS = st.one_of(st.sampled_from([0, 6, 9, 0x8A, 12, 0xFF]), st.integers(0, 255))
SECONDS = st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1))
DROPS = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))
FRAMES = st.binary(max_size=9)


@st.composite
def some_options(draw: st.DrawFn, order: str) -> bytes:
    """Options of any block, seldom many of them; each may have a length that it must not have, or be broken."""
    found = b""
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 5, 40]))):
        code = draw(st.sampled_from([1, 1, 1, 2, 4, 5, 7, 9, 14, 0, 77]))
        value = draw(TEXTS)
        if draw(st.booleans()):
            number = {2: "I", 4: "Q", 5: "Q", 7: "Q", 9: "B", 14: "q"}.get(code)
            numbers = {2: st.integers(0, 63), 9: RESOLUTIONS, 14: SECONDS}.get(code, DROPS)
            value = struct.pack(order + number, draw(numbers)) if number else value
        found += option(code, value, order)
    return found + draw(st.sampled_from([b"", b"", struct.pack(order + "HH", 1, 500)]))


@st.composite
def some_names(draw: st.DrawFn, order: str) -> bytes:
    """A name resolution block of a few addresses, some of which come again."""
    records = []
    for _ in range(draw(st.integers(0, 4))):
        kind, address = draw(st.sampled_from([(1, b"\x0a\0\0"), (2, bytes(15)), (3, b"mac")]))
        last = bytes([draw(st.integers(0, 3))])
        records.append((kind, address + last + b"\0".join(draw(st.lists(TEXTS, max_size=3)))))
    return names(records, draw(some_options(order)), order)


@st.composite
def some_packet(draw: st.DrawFn, order: str, described: int) -> bytes:
    """A packet of one of the three kinds; seldom of an interface that is not described."""
    number = draw(st.integers(0, max(described - 1, 0)))
    units, frame = draw(st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1))), draw(FRAMES)
    kind, said = draw(st.sampled_from("eeeso")), draw(some_options(order))
    if kind == "s":
        return block(3, struct.pack(order + "I", draw(st.integers(0, 12))) + frame, order)
    if kind == "o":
        return obsolete(frame, units, number, draw(st.sampled_from([0, 3, 0xFFFF])), order, said)
    return enhanced(frame, len(frame) + 1, units, number, order, said)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file of a few sections; each may have another byte order and may repeat its lengths or not."""
    order, described, data = "<", 0, section()
    kinds = st.one_of(st.sampled_from("ppppii"), st.sampled_from("ppiiSs=nn?tx"))
    for kind in draw(st.lists(kinds, max_size=30)):
        if kind == "p" and described:
            data += draw(some_packet(order, described))
        elif kind == "i":
            described += 1
            data += interface(draw(LINKS), draw(some_options(order)), order, draw(st.sampled_from([0, 3])))
        elif kind in "Ss=":
            order, described = "><"[draw(st.booleans())] if kind == "S" else order, 0
            data += section(order, draw(some_options(order)))
            data = data[:-4] + bytes(4) if kind == "=" else data
        elif kind == "n":
            data += draw(some_names(order))
        elif kind == "t":
            data += statistics(draw(st.integers(0, described + 1)), draw(some_options(order)), order)
        elif kind == "?":
            kind_of_block = draw(st.sampled_from([1, 4, 5, 77]))
            described += kind_of_block == 1
            data += block(kind_of_block, draw(FRAMES), order)
        elif kind == "x" and draw(st.integers(0, 5)) == 0:
            data += draw(st.sampled_from([enhanced(b"abc", 3, 0, 9, order), block(6, b"", order), bytes(12)]))
    return data[: max(len(data) - draw(st.sampled_from([0, 0, 0, 5])), len(section()))]


def in_columns(data: bytes, block_octets: int) -> Plain:
    """Read a file, and say what the plain reader says of it."""
    opened = open_capture(io.BytesIO(data), block_octets=block_octets)
    raw = [(one.raw(row), int(one.frame[row])) for one in opened for row in range(len(one))]
    frames = [
        (one.octets, one.original, one.time_ns, frame, one.link_type, one.interface, one.packet_type)
        for one, frame in raw
    ]
    about, damage = opened.about, [(one.offset, one.frames_before) for one in opened.damage]
    return Plain(
        frames, opened.headers, damage, about.comments, about.frame_comments, about.interfaces, about.names,
        about.left_out, opened.dropped,
    )  # fmt: skip


@given(files(), st.sampled_from([64, 200, 1 << 16]), st.sampled_from([1, 3, 100]), st.sampled_from([4, 60, 1 << 20]))
def test_in_columns_and_block_by_block(data: bytes, block_octets: int, few_blocks: int, together: int) -> None:
    """Bounds are low, so that each is met; options are looked at one by one, together, and a few octets at a time."""
    with pytest.MonkeyPatch.context() as patch:
        for name, most in (("COMMENTS", 5), ("INTERFACES", 3), ("NAMED", 3), ("FRAMES", 4), ("OF_ONE", 2)):
            patch.setattr(bounds, f"MOST_{name}", most)
        patch.setattr(notes, "MOST_INTERFACES", 3)
        patch.setattr(options, "FEW_BLOCKS", few_blocks)
        patch.setattr(options, "OCTETS_TOGETHER", together)
        patch.setattr(walk, "SPAN_OCTETS", 128)
        patch.setattr(walk, "WINDOW_OCTETS", 50)
        patch.setattr(walk, "PLAIN_OCTETS", 0)
        patch.setattr(walk, "SAMPLED_OCTETS", 0)
        patch.setattr(reader, "PLAIN_OCTETS", 300)
        patch.setattr(reader, "REACH_AFTER_CHANGE", 60)
        assert in_columns(data, block_octets) == PlainReader(data).read()
