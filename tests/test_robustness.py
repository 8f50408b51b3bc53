"""Damaged, hostile and absurd input: one clear line, never a traceback, a hang or unbounded memory.

What a file should give is told by parsers of a few lines here, which share nothing with the readers under test.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from handshake_inspect import inspect
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.inputs import Hooks, Input
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.source import Reader
from handshake_inspect.cli import cli
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.lab.scenarios import CHAPTERS, echoes
from handshake_inspect.lab.scenarios.scenario import Chapter
from tests.capture.builders import block, enhanced, interface, names, option, pcap, section
from tests.oracles.everything import everything

PCAPS = Path(__file__).parent.parent / "pcaps"
#: What is tried here needs time: of most chapters one capture, and a small one.
SMALL_OCTETS = 2500


def captures_of(chapter: Chapter) -> list[Path]:
    paths = [PCAPS / f"{scenario.name}.pcap" for scenario in chapter.scenarios]
    if chapter is echoes.CHAPTER:
        return paths
    return [path for path in paths if path.stat().st_size <= SMALL_OCTETS][:1]


FIXTURES = [path for chapter in CHAPTERS for path in captures_of(chapter)]
#: Small blocks cost less to make than the usual 32 MiB.
BLOCK_OCTETS = 4096
#: Every inspection here ends within this many seconds, on a slow and busy machine too.
SOON_S = 20.0


# --- what is in a file, told independently ---------------------------------------------------------------------------


def record_ends(octets: bytes) -> list[int]:
    """Return where the header and each record (pcap), or each block (pcapng), of a sound file ends."""
    if octets[:4] == b"\x0a\x0d\x0d\x0a":
        return list(block_ends(octets))
    order = "<" if octets[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    ends = [24]
    while ends[-1] < len(octets):
        ends.append(ends[-1] + 16 + struct.unpack_from(order + "I", octets, ends[-1] + 8)[0])
    return ends


def block_ends(octets: bytes) -> Iterator[int]:
    order, at = "<", 0
    while at < len(octets):
        if octets[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if octets[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        at += struct.unpack_from(order + "I", octets, at + 4)[0] + 3 & ~3
        yield at


def frames_in(octets: bytes, end: int) -> int:
    """Count the frames of a sound file up to `end`, where a record or block ends."""
    ends = record_ends(octets)
    if octets[:4] != b"\x0a\x0d\x0d\x0a":
        return ends.index(end)
    order = "<" if octets[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
    starts = [at for at in [0, *ends] if at < end]
    return sum(struct.unpack_from(order + "I", octets, at)[0] in (2, 3, 6) for at in starts)


def look(octets: bytes) -> Inspection:
    """Inspect octets as a file and ask for everything."""
    inspection = inspect(io.BytesIO(octets), block_octets=BLOCK_OCTETS)
    everything(inspection, steps=True)
    return inspection


def of_first_frames(path: Path, count: int) -> list[dict[str, Any]]:
    """Inspect the first frames of a file without the rest ever being there."""

    def first(reader: Reader[Any]) -> Iterator[Records]:
        left = count
        for records in reader:
            for name in ("offset", "captured", "original", "time_ns", "frame", "link_type", "interface"):
                column = getattr(records, name)
                setattr(records, name, None if column is None else column[:left])
            left -= len(records)
            if len(records):
                yield records
            if not left:
                break

    inspector = Inspector()
    inspector.read([Input(path, block_octets=BLOCK_OCTETS)], Hooks(watch=first))
    return everything(inspector.result())


def as_pcapng(path: Path) -> bytes:
    (records,) = open_capture(path)
    packets = [
        enhanced(records.octets(row), int(records.original[row]), int(records.time_ns[row]))
        for row in range(len(records))
    ]
    return b"".join([section(), interface(int(records.link_type[0]), option(9, b"\x09")), *packets])


# --- truncation ------------------------------------------------------------------------------------------------------


def check_truncations(octets: bytes, lengths: Iterable[int], expected: Callable[[int], Any]) -> None:
    """Cut a sound file to each of these lengths: what came before the cut is found, and the place is told.

    `expected` gives the words for a number of whole frames. They are asked for at each boundary, behind it and now and
    then between: the analysis never learns how far into a record a file goes.
    """
    is_pcapng = octets[:4] == b"\x0a\x0d\x0d\x0a"
    needed, ends = (28, [0, *record_ends(octets)]) if is_pcapng else (24, record_ends(octets))
    for length in lengths:
        inspector, cut = Inspector(), io.BytesIO(octets[:length])
        if length < needed:
            with pytest.raises(CaptureError) as refused:
                inspector.read([Input(cut, block_octets=BLOCK_OCTETS)])
            assert "\n" not in str(refused.value)
            continue
        inspector.read([Input(cut, block_octets=BLOCK_OCTETS)])
        whole = max(end for end in ends if end <= length)
        frames = frames_in(octets, whole)
        assert inspector.captures[0].frames == frames
        told = [(one.offset, one.frames_before) for one in inspector.damage]
        assert told == ([(whole, frames)] if whole < length else [])
        if length - whole < 2 or length % 40 == 0:
            assert everything(inspector.result()) == expected(frames), length


#: Of captures of TCP over IPv4 the headers are alike: one is cut at every octet, the others around every record.
CUT_EVERYWHERE = "four-way"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_cut_fixture_shows_the_frames_before_the_cut(path: Path) -> None:
    """At every octet one of them, the others around every record and every 31 octets."""
    octets, expected = path.read_bytes(), cache(partial(of_first_frames, path))
    around = {end + step for end in record_ends(octets) for step in (-1, 0, 1, 17)} & set(range(len(octets) + 1))
    between = range(0, len(octets) + 1, 1 if path.stem == CUT_EVERYWHERE else 31)
    check_truncations(octets, sorted(around | {*between}), expected)
    assert expected.cache_info().currsize == len(record_ends(octets)), "not every number of frames was met"


def test_a_pcapng_file_cut_at_every_octet() -> None:
    path = PCAPS / "refused.pcap"
    octets = as_pcapng(path)
    check_truncations(octets, range(len(octets) + 1), cache(partial(of_first_frames, path)))


@pytest.mark.parametrize("part", range(3))
def test_public_captures_cut_around_record_boundaries(captures_dir: Path, part: int) -> None:
    chance = random.Random(part)
    cut = 0
    for path in sorted(captures_dir.glob("*.pcap*"))[part::3]:
        octets = path.read_bytes()
        if path.suffix == ".gz" or inspect(path, block_octets=BLOCK_OCTETS).damage:
            continue  # compressed, or not sound in the first place
        ends, expected = record_ends(octets), cache(partial(of_first_frames, path))
        for end in chance.sample(ends[:-1], min(1, len(ends) - 1)):
            lengths = [length for length in (end - 1, end, end + 1, end + 17) if length < len(octets)]
            check_truncations(octets, lengths, expected)
            cut += 1
    assert cut > 25


def test_a_gzip_file_cut_anywhere_gives_what_came_before() -> None:
    octets = (PCAPS / "four-way.pcap").read_bytes()
    compressed, before = gzip.compress(octets, 0, mtime=0), 15  # not packed: a header of 10 octets, one of 5, the file
    assert compressed[before:].startswith(octets)
    for length in range(before + 24, len(compressed), 7):
        found = inspect(io.BytesIO(compressed[:length]), block_octets=BLOCK_OCTETS)
        whole = max(end for end in record_ends(octets) if end <= length - before)
        (damage,) = found.damage
        assert (damage.offset, found.captures[0].frames) == (whole, frames_in(octets, whole))
        assert "gzip" in damage.message


# --- noise -----------------------------------------------------------------------------------------------------------


def look_at_anything(octets: bytes) -> Inspection | None:
    """Inspect what may be no capture at all; the only exception allowed is ours, of one line."""
    started = time.monotonic()
    try:
        found = look(octets)
    except CaptureError as error:
        assert str(error).count("\n") == 0
        return None
    finally:
        assert time.monotonic() - started < SOON_S
    for damage in found.damage:
        assert 0 <= damage.offset <= len(octets)
        assert damage.message
        assert "\n" not in damage.message
    return found


@pytest.mark.parametrize("seed", range(4))
def test_random_octets_behind_every_beginning(seed: int) -> None:
    chance = random.Random(seed)
    beginnings = [
        b"", pcap([]), pcap([], order=">"), pcap([], nano=False, link_type=113), b"\x34\xcd\xb2\xa1" + pcap([])[4:],
        section(), section(">"), section() + interface(), section(">") + interface(order=">"), b"\x1f\x8b\x08",
        pcap([], link_type=0), pcap([], link_type=12), pcap([], link_type=276),
    ]  # fmt: skip
    looked = 0
    for beginning in beginnings:
        for _ in range(6):
            octets = beginning + chance.randbytes(chance.choice([0, 1, 7, 100, 3000]))
            looked += look_at_anything(octets) is not None
    assert looked > 30


@pytest.mark.parametrize("link_type", [0, 1, 12, 101, 108, 113, 228, 229, 276])
def test_frames_of_random_octets_are_no_damage(link_type: int) -> None:
    chance = random.Random(link_type)
    frames = []
    for number in range(300):
        length = chance.choice([0, 1, 13, 14, 20, 33, 54, 60, 100])
        frames.append((chance.randbytes(length), length + chance.choice([0, 0, 1400]), 10**18 + number))
    found = look_at_anything(pcap(frames, link_type=link_type))
    assert found is not None
    assert found.captures[0].frames == 300
    assert not found.damage


def flipped(octets: bytes, chance: random.Random, flips: int, first: int) -> bytes:
    changed = bytearray(octets)
    for _ in range(flips):
        changed[chance.randrange(min(first, len(octets) - 1), len(octets))] ^= 1 << chance.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_flipped_bits_in_fixtures(path: Path) -> None:
    chance, octets = random.Random(path.stem), path.read_bytes()
    sound = 0
    for _ in range(12):
        found = look_at_anything(flipped(octets, chance, chance.choice([1, 1, 3, 20]), 24))
        assert found is not None  # the header is whole
        sound += not found.damage
    assert sound  # most flips hit frames, not the chain of records


def test_flipped_bits_in_public_captures(captures_dir: Path) -> None:
    chance = random.Random(2)
    looked = 0
    for path in sorted(captures_dir.glob("*__*")):
        octets = path.read_bytes()
        if len(octets) > 20_000:
            continue
        looked += look_at_anything(flipped(octets, chance, max(3, len(octets) // 200), 0)) is not None
    assert looked > 40


def test_lies_in_one_field_of_a_record_header() -> None:
    """Lengths that cannot be, times that nobody can hold: each in the middle of a sound file."""
    octets = (PCAPS / "four-way.pcap").read_bytes()
    ends = record_ends(octets)
    for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        for column in range(4):
            changed = bytearray(octets)
            struct.pack_into("<I", changed, ends[4] + 4 * column, value)
            found = look_at_anything(bytes(changed))
            assert found is not None
            assert found.captures[0].frames >= 4
            if column == 2 and value > 1 << 27:
                assert [(one.offset, one.frames_before) for one in found.damage] == [(ends[4], 4)]


# --- the command line ------------------------------------------------------------------------------------------------


def command(*arguments: str | Path, stdin: bytes = b"") -> Result:
    """Run a command in this process. Whatever is wrong with its input, it ends by itself and prints no control code."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert "Traceback" not in done.stderr
    assert_harmless(done.stdout + done.stderr)
    return done


def assert_harmless(text: str) -> None:
    """Nothing in it that a terminal obeys (the commands print without colour here)."""
    assert {char for char in text if not char.isprintable()} <= {"\n"}, text


@pytest.fixture
def junk(tmp_path: Path) -> dict[str, Path]:
    """Make files that are no captures, by what they are."""
    octets = {
        "empty": b"",
        "text": b"frame 1: SYN\nframe 2: SYN-ACK\n" * 20,
        "compressed text": gzip.compress(b"frame 1: SYN\n" * 20),
        "compressed nothing": gzip.compress(b""),
        "half a magic": b"\xd4\xc3",
        "half a header": pcap([])[:20],
        "half a section": section()[:20],
        "section of no byte order": b"\x0a\x0d\x0d\x0a" + bytes(40),
        "zeros": bytes(4096),
    }
    paths = {name: tmp_path / name for name in (*octets, "missing", "directory")}
    for name, content in octets.items():
        paths[name].write_bytes(content)
    paths["directory"].mkdir()
    return paths


@pytest.mark.parametrize("reader", ["auto", "scapy"])
def test_what_is_no_capture_is_refused_in_one_line(junk: dict[str, Path], reader: str) -> None:
    for name, path in junk.items():
        for arguments in (["read"], ["show"], ["check", "--handshake", "three-way"]):
            done = command(*arguments, path, "--reader", reader)
            assert done.exit_code == 2, (name, arguments)
            assert done.stdout == ""
            (line,) = done.stderr.splitlines()
            assert line.startswith("Error: "), line
            assert name in line


def test_standard_input_that_is_no_capture_is_refused_in_one_line() -> None:
    for octets in (b"", b"no capture at all", pcap([])[:20], gzip.compress(b"text")):
        done = command("read", "-", stdin=octets)
        assert done.exit_code == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("Error: -: "), line


def test_the_others_are_still_printed(junk: dict[str, Path]) -> None:
    done = command("read", *junk.values(), PCAPS / "refused.pcap")
    assert done.exit_code == 2
    assert "refused" in done.stdout
    assert sum(line.startswith("Error: ") for line in done.stderr.splitlines()) == len(junk)


@pytest.mark.parametrize("cut", [60, 500, 900])
def test_damage_in_the_middle_is_told_and_is_no_failure(tmp_path: Path, cut: int) -> None:
    octets = (PCAPS / "four-way.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(octets[:cut])
    offset = max(end for end in record_ends(octets) if end <= cut)
    frames = frames_in(octets, offset)
    for arguments in (["read"], ["read", "--format", "csv"], ["show", "--stream", "0"]):
        done = command(*arguments, path)
        assert done.exit_code == (0 if frames or arguments[0] == "read" else 2)
        assert f"damaged at octet {offset:,}, after {frames} frame" in done.stderr
    done = command("read", "--format", "json", path)
    assert done.exit_code == 0
    (damage,) = json.loads(done.stdout)["damage"]
    assert (damage["offset"], damage["frames_before"]) == (offset, frames)


@pytest.mark.parametrize("part", range(3))
def test_every_public_capture_through_read_and_show(captures_dir: Path, part: int) -> None:
    shown = 0
    for path in sorted(captures_dir.glob("*__*"))[part::3]:
        done = command("read", "--format", "json", path)
        assert done.exit_code == 0, path.name
        connections = json.loads(done.stdout)["connections"]
        assert command("read", "--udp", path).exit_code == 0
        if connections and len(connections) < 20:
            shown += 1
            assert command("show", path, "-s", str(len(connections) - 1)).exit_code == 0
    assert shown > 20


# --- control codes ---------------------------------------------------------------------------------------------------

EVIL = "a\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\r\nb.pcap"


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Make a capture whose name and payload are made of what terminals obey."""
    octets = (PCAPS / "four-way.pcap").read_bytes()
    changed = octets.replace(b"bith", b"\x1b[2J").replace(b"BITH", b"\x9b\x07\x08\x7f")
    assert changed != octets
    path = tmp_path / EVIL
    path.write_bytes(changed[:-3])
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["read"], ["read", "--format", "json", "--steps"], ["read", "--format", "ndjson"],
        ["read", "--format", "csv"], ["read", "--format", "markdown"], ["show"], ["show", "--format", "json"],
        ["show", "--payload", "100", "--all"], ["show", "--dissect", "4"], ["check", "--handshake", "refused"],
        ["read", "--reader", "scapy"],
    ],
)  # fmt: skip
def test_names_and_payload_reach_the_terminal_as_text(evil: Path, arguments: list[str]) -> None:
    done = command(*arguments, evil)  # which looks for control codes
    assert done.exit_code == (1 if arguments[0] == "check" else 0)
    assert done.stdout


@pytest.mark.parametrize("arguments", [["read"], ["show"], ["check", "--handshake", "refused"]])
@pytest.mark.parametrize("reader", ["auto", "scapy"])
def test_names_in_errors_reach_the_terminal_as_text(tmp_path: Path, arguments: list[str], reader: str) -> None:
    missing, text = tmp_path / f"missing-{EVIL}", tmp_path / f"text-{EVIL}"
    text.write_bytes(b"\x1b[31mno capture")
    for path in (missing, text):
        done = command(*arguments, path, "--reader", reader)
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1


def test_names_in_other_errors_reach_the_terminal_as_text(evil: Path, tmp_path: Path) -> None:
    assert command("show", evil, "--stream", "9").exit_code == 2
    assert command("show", evil, "--dissect", "99").exit_code == 2
    assert command("show", evil, "-w", tmp_path / "\x1b[31m" / "x.pcap").exit_code == 2


# --- memory and time -------------------------------------------------------------------------------------------------

#: Address space of a process that inspects something absurd; without a limit of our own it would ask for more.
ADDRESS_SPACE_OCTETS = 2 << 30
RESIDENT_OCTETS = 300 << 20
MEASURED = f"""
import re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE_OCTETS}, {ADDRESS_SPACE_OCTETS}))
from handshake_inspect.cli import main
try:
    main()
finally:
    # Not ru_maxrss, which remembers the process that started this one.
    print("peak", *re.findall(r"VmHWM:\\s*([0-9]+) kB", open("/proc/self/status").read()), file=sys.stderr)
"""


def many_clocks(count: int) -> bytes:
    described = [interface(1, option(9, bytes([number % 128]))) for number in range(count)]
    packets = [enhanced(bytes(60), 60, 10**6, number) for number in range(0, count, 5)]
    return b"".join([section(), *described, *packets])


SOUND = pcap([(bytes(60), 60, 10**18)] * 5)
PROMISE = struct.pack("<4I", 1, 1, 0xFFFFFFFF, 0xFFFFFFFF)
LONGEST = struct.pack("<4I", 1, 1, (1 << 27) - 1, (1 << 27) - 1)
OPTION = struct.pack("<HH", 77, 0)
HUGE_SECTION = struct.pack("<III", 0x0A0D0D0A, 0xFFFFFFFC, 0x1A2B3C4D)
#: Captures whose lengths promise far more than there is, or which are much longer unpacked.
ABSURDITIES: dict[str, Callable[[], bytes]] = {
    "a record of 4 GiB": lambda: SOUND + PROMISE + bytes(1000),
    "a record of 128 MiB that is not there": lambda: pcap([], snaplen=0xFFFFFFFF) + LONGEST + bytes(1000),
    "a block of 4 GiB": lambda: section() + interface() + struct.pack("<II", 6, 0xFFFFFFFC) + bytes(1000),
    "a block of no octets": lambda: section() + interface() + struct.pack("<II", 6, 0) + bytes(1000),
    "a section header of 4 GiB": lambda: section() + interface() + HUGE_SECTION + bytes(1000),
    "an option longer than its block": lambda: section() + block(1, struct.pack("<HHIHH", 1, 0, 0, 9, 0xFFFF)),
    "20,000 sections": lambda: section() * 20_000,
    "20,000 interfaces, each with its clock": lambda: many_clocks(20_000),
    "a section header of 16 million options": lambda: gzip.compress(section(options=OPTION * (16 << 20)), 1),
    "a packet of 16 million options": lambda: gzip.compress(
        section() + interface() + enhanced(b"", 0, 1, options=OPTION * (16 << 20)), 1
    ),
    "20,000 frames with long comments": lambda: gzip.compress(
        section() + interface() + enhanced(b"", 0, 1, options=option(1, "comment 😀".encode() * 400) * 3) * 20_000, 1
    ),
    "a million names": lambda: gzip.compress(
        section() + b"".join(names([(1, struct.pack("<I", n) + b"name\0" * 50)]) for n in range(1_000_000 // 50)), 1
    ),
    "zeros for records, 64 MiB unpacked": lambda: gzip.compress(pcap([]) + bytes(64 << 20), 1),
    "text, 64 MiB unpacked": lambda: gzip.compress(b"x" * (64 << 20), 1),
}


@pytest.mark.parametrize("name", ABSURDITIES)
def test_absurd_lengths_need_neither_memory_nor_patience(tmp_path: Path, name: str) -> None:
    path = tmp_path / "absurd"
    path.write_bytes(ABSURDITIES[name]())
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "read", str(path)],
        capture_output=True,
        text=True,
        timeout=SOON_S,
        env={"OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    *lines, peak = done.stderr.splitlines()
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 2), done.stderr
    assert lines, "nothing was said"
    assert int(peak.split()[1]) * 1024 < RESIDENT_OCTETS


def test_a_record_as_long_as_the_format_allows_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """Frames of 200 KiB, longer than the blocks they are read in."""
    frame = bytes(200_000)
    octets = pcap([(frame, len(frame), 10**18 + number) for number in range(20)], snaplen=262_144)
    found = inspect(io.BytesIO(octets), block_octets=64)
    assert found.captures[0].frames == 20
    assert not found.damage


# --- one thing after another -----------------------------------------------------------------------------------------


def test_record_ends_of_this_page_are_those_of_the_reader() -> None:
    """Else the expectations above would prove nothing."""
    octets = (PCAPS / "four-way.pcap").read_bytes()
    (records,) = open_capture(io.BytesIO(octets))
    ends = record_ends(octets)
    assert [later - earlier - 16 for earlier, later in pairwise(ends)] == records.captured.tolist()


@pytest.mark.parametrize("wrong", [3, None, b"\xd4\xc3\xb2\xa1", memoryview(b"\xd4\xc3\xb2\xa1")])
def test_what_is_no_source_is_named_in_a_list_too(wrong: object) -> None:
    for source in (wrong, [wrong], ["reset.pcap", wrong]):
        with pytest.raises(TypeError, match=f"takes a path, .* no {type(wrong).__name__}$"):
            inspect(source)


def test_packets_and_captures_are_not_mixed_in_one_list() -> None:
    from scapy.utils import rdpcap

    import handshake_inspect.capture.scapy_side.layers  # noqa: F401 (a list knows only the link types that are loaded)

    packets = rdpcap(str(PCAPS / "reset.pcap"))
    for mixed in ([packets[0], "reset.pcap"], [["reset.pcap"]]):
        with pytest.raises(TypeError, match=r"^inspect\(\) takes a list of packets, and in this one is a str$"):
            inspect(mixed)
    with pytest.raises(TypeError, match=r"^inspect\(\) takes packets in a list of their own, not among captures$"):
        inspect([PCAPS / "reset.pcap", packets[0]])
    assert len(inspect([PCAPS / "four-way.pcap", packets]).connections) == 2


def test_several_captures_need_not_be_a_list() -> None:
    names = {"first": PCAPS / "four-way.pcap", "second": PCAPS / "reset.pcap"}
    for several in (names.values(), {*names.values()}, iter(names.values())):
        assert len(inspect(several).connections) == 2


@pytest.mark.parametrize("reader", ["auto", "scapy"])
def test_an_open_file_that_cannot_be_read_is_told_why(tmp_path: Path, reader: str) -> None:
    path, in_memory = tmp_path / "echo.pcap", io.BytesIO()
    says = r"echo\.pcap: opened for writing alone; open it for reading, or give its name$"
    with path.open("wb") as file, pytest.raises(CaptureError, match=says):
        inspect(file, reader=reader)
    in_memory.close()
    for closed in (file, [file], in_memory):
        with pytest.raises(CaptureError, match=r": this file is closed; open it again, or give its name$"):
            inspect(closed, reader=reader)
