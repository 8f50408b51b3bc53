"""Valid files of every format, changed at random: readers raise nothing but CaptureError, end soon, and say the same
whatever the size of their blocks.

`FUZZ_EXAMPLES=100000 pytest tests/capture/test_fuzz_readers.py` looks longer.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handshake_inspect.capture.about import About
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import CaptureError, Damage
from tests.capture.builders import (
    Frame,
    enhanced,
    interface,
    names,
    obsolete,
    option,
    pcap,
    rows,
    section,
    snoop,
    statistics,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
SOON_S = 10.0
FRAMES: list[Frame] = [(bytes([number]) * (7 * number), 60, 10**18 + 1000 * number) for number in range(9)]


def old(version: tuple[int, int], magic: int, link_type: int, header_octets: int = 16) -> bytes:
    """A pcap file of another version or variant."""
    parts = [struct.pack(">IHHIIII", magic, *version, 0, 0, 96, link_type)]
    for number in range(6):
        parts += struct.pack(">4I", 7, number, 60 + number, 60).ljust(header_octets, b"\0"), bytes(60)
    return b"".join(parts)


def ng(order: str) -> bytes:
    """A pcapng file with every kind of block."""
    comment = option(1, b"a comment", order)
    blocks = [
        section(order, comment + option(3, b"an OS", order)),
        interface(1, option(9, b"\x09", order) + comment, order, snaplen=96),
        interface(101, option(14, bytes(8), order), order),
        names([(1, b"\x7f\0\0\1a\0b\0"), (2, bytes(16) + b"c\0")], comment, order),
        *(enhanced(octets, n, t, k % 2, order, comment * (k % 3)) for k, (octets, n, t) in enumerate(FRAMES)),
        obsolete(b"obsolete", 77, 1, 3, order, comment),
        statistics(0, option(5, bytes(8), order) + comment, order),
    ]
    return b"".join(blocks)


FILES: dict[str, bytes] = {
    "pcap": pcap(FRAMES),
    "pcap, big-endian": pcap(FRAMES, order=">", nano=False, link_type=0x2400_0001),
    "pcap 2.2": old((2, 2), 0xA1B2C3D4, 1),
    "pcap 2.3": old((2, 3), 0xA1B2C3D4, 1),
    "pcap of AIX": old((2, 2), 0xA1B2C3D4, 15),
    "pcap of Kuznetzov": old((2, 4), 0xA1B2CD34, 1, 28),
    "pcap of Ixia": b"\x1c\0\1\xac" + pcap(FRAMES, order=">")[4:24] + bytes(4) + pcap(FRAMES, order=">")[24:],
    "snoop": snoop(FRAMES),
    "snoop of Surveyor": snoop(FRAMES, data_link=12, version=4, pad=31),
    "pcapng": ng("<"),
    "pcapng, big-endian": ng(">"),
    "pcapng, two sections": ng(">") + ng("<"),
}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "lzma": lambda octets: lzma.compress(octets, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
}


@st.composite
def changed(draw: st.DrawFn, octets: bytes) -> bytes:
    """Change octets in a few places: overwrite, flip, cut out, repeat, put in, cut off."""
    result = bytearray(octets)
    for _ in range(draw(st.integers(1, 4))):
        if not result:
            break
        at = draw(st.integers(0, len(result) - 1))
        length = draw(st.integers(1, 64))
        match draw(st.sampled_from("wflrix")):
            case "w":  # a number of 16 or 32 bits that often matters, on a boundary
                value = draw(st.sampled_from([0, 1, 3, 12, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF]))
                at &= ~3
                packed = struct.pack(draw(st.sampled_from("<>")) + "I", value)[: draw(st.sampled_from([2, 4]))]
                result[at : at + len(packed)] = packed
            case "f":
                result[at] ^= 1 << draw(st.integers(0, 7))
            case "l":
                del result[at : at + length]
            case "r":
                result[at:at] = result[at : at + length]
            case "i":
                result[at:at] = draw(st.binary(min_size=1, max_size=64))
            case "x":
                del result[at:]
    return bytes(result)


def read(octets: bytes, block_octets: int) -> Result | str:
    """Read all of it. Returns what came out, for comparison."""
    started = time.monotonic()
    try:
        reader = open_capture(io.BytesIO(octets), name="x", block_octets=block_octets)
        found = rows(reader)
    except CaptureError as error:
        assert "\n" not in str(error)
        return str(error)
    finally:
        assert time.monotonic() - started < SOON_S
    for damage in reader.damage:
        assert "\n" not in damage.message
        assert damage.frames_before == len(found)
    return found, reader.damage, reader.dropped, reader.about


Result = tuple[list[tuple[bytes, int, int, int, int]], list[Damage], int | None, About]
SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize("name", FILES)
@SETTINGS
@given(st.data())
def test_changed_files_are_read_the_same_in_blocks_of_any_size(name: str, data: st.DataObject) -> None:
    octets = data.draw(changed(FILES[name]))
    whole = read(octets, 1 << 20)
    for block_octets in (64, 333):
        assert read(octets, block_octets) == whole


@pytest.mark.parametrize("compression", COMPRESS)
@SETTINGS
@given(st.data(), st.sampled_from(sorted(FILES)))
def test_changed_compressed_files_give_one_result_or_the_beginning_of_it(
    compression: str, data: st.DataObject, name: str
) -> None:
    """How much comes out of a stream before it breaks depends on how much was asked for at once."""
    octets = data.draw(changed(COMPRESS[compression](FILES[name])))
    results = [read(octets, block_octets) for block_octets in (1 << 20, 64, 333)]
    found = [result[0] for result in results if isinstance(result, tuple)]
    longest = max(found, key=len, default=[])
    assert all(one == longest[: len(one)] for one in found)
    whole = [result for result in results if isinstance(result, tuple) and not result[1]]
    assert not whole or whole == results


@pytest.mark.parametrize("compression", COMPRESS)
@SETTINGS
@given(st.data(), st.sampled_from(sorted(FILES)))
def test_changed_files_in_compressed_ones_too(compression: str, data: st.DataObject, name: str) -> None:
    octets = data.draw(changed(FILES[name]))
    through = read(COMPRESS[compression](octets), 333)
    if isinstance(through, str):
        through = through.replace(f" inside {compression}", "")
    assert through == read(octets, 333)


@SETTINGS
@given(st.binary(max_size=400), st.sampled_from([b"", *(octets[:24] for octets in FILES.values())]))
def test_anything_behind_any_beginning_is_read_the_same(rest: bytes, beginning: bytes) -> None:
    whole = read(beginning + rest, 1 << 20)
    assert read(beginning + rest, 64) == whole
