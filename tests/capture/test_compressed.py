"""Compression around captures: every kind, several members, several layers, broken anywhere, bombs, from a pipe."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect import inspect
from handshake_inspect.capture import compressed
from handshake_inspect.capture.files import open_capture, open_decompressed
from handshake_inspect.capture.records import CaptureError
from tests.capture.builders import Frame, enhanced, interface, pcap, rows, rows_from_pipe, section, snoop

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAMES: list[Frame] = [(b"abc", 60, 10**18), (b"", 60, 10**18 + 1000), (b"d" * 700, 700, 10**18 + 2000)]
#: The zstd program adds one by default.
CHECKSUM = int(zstd.CompressionParameter.checksum_flag)
Compress = Callable[[bytes], bytes]
COMPRESS: dict[str, Compress] = {
    "gzip": lambda octets: gzip.compress(octets, 1),
    "zstd": lambda octets: zstd.compress(octets, options={CHECKSUM: 1}),
    "xz": lambda octets: lzma.compress(octets, preset=0),
    "lzma": lambda octets: lzma.compress(octets, lzma.FORMAT_ALONE, preset=0),
    "bzip2": lambda octets: bz2.compress(octets, 1),
}
#: `.lzma` files have one stream only.
OF_MEMBERS = [name for name in COMPRESS if name != "lzma"]
CAPTURES = {
    "pcap": pcap(FRAMES * 40),
    "pcapng": section() + interface() + b"".join(enhanced(o, n, t // 1000) for o, n, t in FRAMES * 40),
    "snoop": snoop(FRAMES * 40),
}
everything_compressed = pytest.mark.parametrize("name", COMPRESS)


def expected(frames: list[Frame]) -> list[tuple[bytes, int, int, int, int]]:
    return [(octets, original, time, number, 1) for number, (octets, original, time) in enumerate(frames, 1)]


@everything_compressed
@pytest.mark.parametrize("format_", CAPTURES)
@pytest.mark.parametrize("block_octets", [64, 1000, 1 << 20])
def test_any_format_is_read_through_any_compression(name: str, format_: str, block_octets: int) -> None:
    octets = COMPRESS[name](CAPTURES[format_])
    reader = open_capture(io.BytesIO(octets), block_octets=block_octets)
    assert reader.format == format_
    assert rows(reader) == expected(FRAMES * 40)
    assert reader.damage == []


@pytest.mark.parametrize("name", OF_MEMBERS)
@given(st.integers(1, 40), st.sampled_from([64, 1 << 16]))
def test_members_follow_each_other(name: str, step: int, block_octets: int) -> None:
    """Also empty ones, and cut inside records."""
    whole, compress = pcap(FRAMES), COMPRESS[name]
    pieces = [whole[at : at + 20 * step] for at in range(0, len(whole), 20 * step)]
    octets = compress(b"") + b"".join(map(compress, pieces)) + compress(b"")
    reader = open_capture(io.BytesIO(octets), block_octets=block_octets)
    assert rows(reader) == expected(FRAMES)
    assert reader.damage == []


@pytest.mark.parametrize("name", ["gzip", "xz"])
def test_zeros_between_and_after_members_are_padding(name: str) -> None:
    whole, compress = pcap(FRAMES), COMPRESS[name]
    octets = compress(whole[:50]) + bytes(8) + compress(whole[50:]) + bytes(100_000)
    reader = open_capture(io.BytesIO(octets))
    assert rows(reader) == expected(FRAMES)
    assert reader.damage == []


def test_skippable_frames_of_zstd_are_skipped() -> None:
    """RFC 8878 §3.1.2; pzstd begins its files with one."""
    skipped = struct.pack("<II", 0x184D2A5E, 5) + b"hello"
    octets = skipped + zstd.compress(pcap(FRAMES)[:99]) + skipped + zstd.compress(pcap(FRAMES)[99:]) + skipped
    reader = open_capture(io.BytesIO(octets))
    assert rows(reader) == expected(FRAMES)
    assert reader.damage == []


@everything_compressed
@pytest.mark.parametrize("outer", COMPRESS)
def test_a_compressed_file_compressed_again_is_read(name: str, outer: str) -> None:
    octets = COMPRESS[outer](COMPRESS[name](pcap(FRAMES)))
    for block_octets in (64, 1 << 20):
        assert rows(open_capture(io.BytesIO(octets), block_octets=block_octets)) == expected(FRAMES)


def test_layers_have_an_end() -> None:
    octets = pcap(FRAMES)
    for _ in range(compressed.MOST_LAYERS):
        octets = gzip.compress(octets)
    assert rows(open_capture(io.BytesIO(octets))) == expected(FRAMES)
    with pytest.raises(CaptureError, match=r"^deep\.gz: compressed more than 3 times over"):
        open_capture(io.BytesIO(gzip.compress(octets)), name="deep.gz")


@everything_compressed
def test_a_stream_cut_anywhere_gives_what_came_before(name: str) -> None:
    """No packing: a stream of random octets gives them up as they come (but bzip2, by blocks)."""
    made: list[Frame] = [(os.urandom(2000), 2000, 10**18 + number) for number in range(100)]
    octets = COMPRESS[name](pcap(made))
    seen = set()
    for length in [*range(0, 40), *range(40, len(octets), 9973), len(octets) - 1]:
        try:
            reader = open_capture(io.BytesIO(octets[:length]), name="cut")
        except CaptureError as error:
            assert str(error).startswith("cut: ")
            continue
        found = rows(reader)
        assert found == expected(made)[: len(found)]
        (damage,) = reader.damage
        assert f"the {name} stream ends early" in damage.message
        seen.add(len(found))
    assert max(seen) >= 99
    assert len(seen) > (1 if name in ("bzip2", "zstd") else 10)


@everything_compressed
def test_octets_that_changed_in_the_middle_are_damage_and_no_exception(name: str) -> None:
    chosen = random.Random(9293)
    made: list[Frame] = [(bytes(chosen.choices(range(64), k=500)), 500, 10**18 + number) for number in range(200)]
    octets = bytearray(COMPRESS[name](pcap(made)))
    middle = len(octets) // 2
    octets[middle : middle + 40] = bytes(40)
    with open_decompressed(io.BytesIO(octets)) as raw, pytest.raises(OSError, match=f"the {name} stream"):
        raw.read()
    try:
        reader = open_capture(io.BytesIO(octets))
    except CaptureError as error:  # all of it is one block, which comes out changed, or not at all
        assert name in ("bzip2", "zstd")
        assert f"not a capture inside {name}" in str(error) or f"the {name} stream is broken" in str(error)
        return
    found = rows(reader)
    # What comes before the change is as it was. What comes out of changed octets may be anything, until it is noticed.
    before = rows(open_capture(io.BytesIO(octets[:middle])))
    assert len(before) > 50 or name in ("bzip2", "zstd")
    assert found[: len(before) - 1] == expected(made)[: len(before) - 1]
    assert reader.damage


@everything_compressed
def test_what_follows_a_stream_and_is_none_is_told(name: str) -> None:
    reader = open_capture(io.BytesIO(COMPRESS[name](pcap(FRAMES)) + b"no such stream"))
    assert rows(reader) == expected(FRAMES)
    assert [f"the {name} stream" in one.message for one in reader.damage] in ([True], [])


@pytest.mark.parametrize("name", OF_MEMBERS)
def test_a_live_pipe_delivers_what_has_come(name: str) -> None:
    """Members are written one after the other; each is seen before the next is written."""
    parts = [pcap(FRAMES[:1]), pcap(FRAMES[1:2])[24:], pcap(FRAMES[2:])[24:]]
    assert rows_from_pipe([COMPRESS[name](part) for part in parts]) == expected(FRAMES)


@everything_compressed
def test_scapy_reads_the_same_through_it(tmp_path: Path, name: str) -> None:
    original = Path(__file__).parent.parent.parent / "pcaps" / "four-way.pcap"
    path = tmp_path / "no-suffix"
    octets = COMPRESS[name](original.read_bytes())
    path.write_bytes(octets)
    ours, theirs = inspect(path), inspect(path, reader="scapy")
    assert list(ours.connections) == list(theirs.connections)
    assert ours.connections[0].handshake.kind == "three-way"
    path.write_bytes(octets[:-2])
    cut = inspect(path, reader="scapy")
    assert f"the {name} stream ends early" in cut.damage[0].message


def test_without_zstd_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> compressed.Decompressor:
        raise ImportError("No module named 'backports'")

    monkeypatch.setattr(compressed, "ZSTD", compressed.Compression("zstd", "zstd -dc", absent))
    with pytest.raises(CaptureError) as refused:
        open_capture(io.BytesIO(COMPRESS["zstd"](pcap(FRAMES))), name="x.zst")
    said = str(refused.value)
    assert said.startswith("x.zst: compressed with zstd; install ")
    assert "handshake-inspect[zstd]" in said
    assert said.endswith("zstd -dc x.zst")


def test_windows_larger_than_the_bound_are_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29, "preset": 0}]
    wide = bytearray(lzma.compress(pcap(FRAMES), filters=filters))
    with pytest.raises(CaptureError, match=r"^x: .*the xz stream needs a window of more than 128 MiB.*xz -dc"):
        open_capture(io.BytesIO(wide), name="x")
    frame = zstd.ZstdCompressor(options={int(zstd.CompressionParameter.window_log): 28})
    long = frame.compress(pcap(FRAMES)) + frame.flush()
    with pytest.raises(CaptureError, match=r"^x: .*the zstd stream needs a window of more than 128 MiB.*zstd -dc"):
        open_capture(io.BytesIO(long), name="x")


# --- bombs -----------------------------------------------------------------------------------------------------------

MEASURED = """
import re, sys
from handshake_inspect.capture.files import open_capture
try:
    frames = sum(len(records) for records in open_capture(sys.argv[1]))
except Exception as error:
    frames = type(error).__name__
print(frames, *re.findall(r"VmHWM:\\s*([0-9]+) kB", open("/proc/self/status").read()))
"""
RESIDENT_OCTETS = 80 << 20
#: Twice of what may be resident, so that whoever keeps it all is found out.
BOMB_OCTETS = 160 << 20


def bomb(name: str, beginning: bytes, repeated: bytes) -> bytes:
    """Compress about BOMB_OCTETS, never all in memory."""
    compressors: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.compressobj(1, wbits=31),
        "zstd": lambda: zstd.ZstdCompressor(level=1),
        "xz": lambda: lzma.LZMACompressor(preset=0),
        "bzip2": lambda: bz2.BZ2Compressor(1),
    }
    one = compressors[name]()
    parts = [one.compress(beginning), *(one.compress(repeated) for _ in range(BOMB_OCTETS // len(repeated)))]
    return b"".join([*parts, one.flush()])


@pytest.mark.parametrize("name", ["gzip", "zstd", "xz", "bzip2"])
@pytest.mark.parametrize("what", ["a capture", "zeros"])
def test_a_bomb_is_read_in_constant_memory(tmp_path: Path, name: str, what: str) -> None:
    frame = (bytes(60_000), 60_000, 10**18)
    beginning, repeated = (pcap([]), pcap([frame] * 200)[24:]) if what == "a capture" else (b"", bytes(1 << 24))
    path = tmp_path / "bomb"
    path.write_bytes(bomb(name, beginning, repeated))
    assert path.stat().st_size < BOMB_OCTETS / 100
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, timeout=300, check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    frames, peak = done.stdout.split()
    assert frames == (str(BOMB_OCTETS // len(repeated) * 200) if what == "a capture" else "NotACapture")
    assert int(peak) * 1024 < RESIDENT_OCTETS
