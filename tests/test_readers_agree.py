"""One capture, one answer: whichever reader, block size, source, format or command it comes through."""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from click.testing import CliRunner

from handshake_inspect import inspect
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.cli import cli
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.contract import connection_object, exchange_object
from tests.capture.builders import Frame, enhanced, interface, option, pcap, section, snoop
from tests.oracles.everything import everything

PCAPS = Path(__file__).parent.parent / "pcaps"
FIXTURES = sorted(PCAPS.glob("*.pcap"))
#: The recorded captures in a few runs: a run of many costs little more than one of a single small capture. What was
#: recorded at both ends of one conversation stands side by side in FIXTURES, and so in two runs.
RUNS = [FIXTURES[n::16] for n in range(16)]

#: Captures that Scapy does not open, and why.
SCAPY_REFUSES = {
    "libpcap__shb-option-too-long.pcapng": "an option longer than its section header",
    "pcapplusplus__solaris.snoop": "Scapy reads no snoop files",
}
#: Captures of which a list of Scapy's packets says less than the file, and why.
LISTS_SAY_LESS = {
    "arkime__nflog.pcap": "Scapy has no class for NFLOG, and its packets do not know their link type otherwise",
    "tcpdump__ipoib.pcap": "nor for IP over Infiniband",
    "tcpdump__heapoverflow-tcp_print.pcap": "Scapy takes flags above the link type for a link type of its own",
    "pcapplusplus__pcapng-example.pcapng": "times beyond 64 bits of nanoseconds; a list has lost their unit",
}
#: A capture of each kind of file, and one of each way to link types.
SEVERAL = [
    "pcapplusplus__nanosecs_big_endian.pcap", "pcapplusplus__pcapng-example.pcapng", "zeek__iso-download.pcap.gz",
    "tcpdump__timestamp_invalid_nano.pcap", "zeek__tls_pop3-starttls.pcap", "zeek__openjdk-25.0.2-zeek.org.pcap",
    "zeek__rotation.pcap", "arkime__pppoe.pcap", "icsnpp-opcua-binary__open62541_browse_has_server_idx.pcap",
]  # fmt: skip
PARTS = pytest.mark.parametrize("part", range(3))


@cache
def inspected(path: Path) -> Inspection:
    """Inspect a file in the ordinary way, once for all tests that compare with it."""
    return inspect(path)


def readable(captures: Path, part: int = 0, parts: int = 1) -> Iterator[tuple[Path, Inspection]]:
    """Yield every public capture, or every third, with what is found in it."""
    for path in sorted(captures.glob("*__*"))[part::parts]:
        yield path, inspected(path)


def totals(inspection: Inspection) -> list[tuple[object, ...]]:
    return [
        (one.link_types, one.frames, one.segments, one.datagrams, one.first_ns, one.last_ns)
        for one in inspection.captures
    ]


def assert_same(one: Inspection, other: Inspection, name: str, *, steps: bool = False) -> None:
    assert totals(one) == totals(other), name
    assert everything(one, steps=steps) == everything(other, steps=steps), name


# --- Scapy -----------------------------------------------------------------------------------------------------------


@PARTS
def test_scapy_from_end_to_end_gives_the_identical_answers(captures_dir: Path, part: int) -> None:
    compared, refused = 0, set()
    for path, ours in readable(captures_dir, part, 3):
        try:
            theirs = inspect(path, reader="scapy")
        except CaptureError:
            refused.add(path.name)
            continue
        assert_same(ours, theirs, path.name, steps=True)
        compared += len(ours.connections)
    assert refused <= set(SCAPY_REFUSES)
    assert compared > 70


@PARTS
def test_a_list_of_packets_gives_the_identical_answers(captures_dir: Path, part: int) -> None:
    from scapy.utils import rdpcap

    import handshake_inspect.capture.scapy_side.layers  # noqa: F401 (the list knows only the link types that are loaded)

    compared = 0
    for path, ours in readable(captures_dir, part, 3):
        if path.name not in SCAPY_REFUSES | LISTS_SAY_LESS:
            theirs = inspect(rdpcap(str(path)))
            for one, other in zip(theirs.captures, ours.captures, strict=True):
                one.link_types = other.link_types  # packets know their layers, not their number in a file
            assert_same(ours, theirs, path.name)
            compared += len(ours.connections)
    assert compared > 60


@pytest.mark.parametrize("paths", RUNS, ids=lambda paths: paths[0].stem)
def test_lists_with_floats_for_times_differ_by_what_floats_cannot_hold(paths: list[Path]) -> None:
    """As Scapy's sniffers make them: a float of today's seconds has steps of 238 ns."""
    from scapy.utils import rdpcap

    import handshake_inspect.capture.scapy_side.layers  # noqa: F401 (a list knows only link types whose layers are loaded)

    lists = [rdpcap(str(path)) for path in paths]
    for packet in (packet for packets in lists for packet in packets):
        packet.time = float(packet.time)
    ours, theirs = everything(inspect(list(paths)), steps=True), everything(inspect(lists), steps=True)
    assert len(ours) >= len(paths)
    assert timeless(ours) == timeless(theirs)
    for one, other in zip(times(ours), times(theirs), strict=True):
        assert abs(one - other) <= 500  # of two times, in a difference


def timeless(found: Any) -> Any:
    """Return the same without times and their differences, which findings and reasons say in words."""
    if isinstance(found, str):
        return re.sub(r"[\d.,]+ \w+ later", "later", found)
    if isinstance(found, dict):
        said = ("message",) if "severity" in found else ()
        return {name: timeless(value) for name, value in found.items() if not name.endswith("_ns") and name not in said}
    return [timeless(one) for one in found] if isinstance(found, list) else found


def times(found: Any) -> Iterator[int]:
    """Yield every time and difference of times, in order."""
    if isinstance(found, list):
        for one in found:
            yield from times(one)
    elif isinstance(found, dict):
        for name, value in found.items():
            if isinstance(value, int) and name.endswith("_ns"):
                yield value
            else:
                yield from times(value)


def test_a_list_with_a_time_that_64_bits_cannot_hold_is_read_too() -> None:
    from scapy.layers.inet import IP, TCP

    packet = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="S")
    packet.time = 2**64 / 1e6
    assert inspect([packet]).connections[0].handshake.kind == "unanswered"


# --- blocks and sources ----------------------------------------------------------------------------------------------


class OnlyRead:
    """A file object with nothing but `read`, which gives less than it is asked for."""

    def __init__(self, octets: bytes) -> None:
        self._file = io.BytesIO(octets)

    def read(self, count: int = -1) -> bytes:
        return self._file.read(min(count, 333))


@contextmanager
def pipe(octets: bytes, at_once: int) -> Iterator[BinaryIO]:
    """Open a pipe into which a thread writes, some octets at once."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor has no path)
            for start in range(0, len(octets), at_once):
                file.write(octets[start : start + at_once])

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb", buffering=0) as file:  # noqa: PTH123
        yield cast(BinaryIO, file)
    thread.join()


@pytest.mark.parametrize("name", SEVERAL)
def test_a_file_object_and_a_pipe_give_what_the_file_gives(captures_dir: Path, name: str) -> None:
    path = captures_dir / name
    octets, ours = path.read_bytes(), inspected(path)
    assert len(ours.connections)
    with path.open("rb") as buffered, path.open("rb", buffering=0) as raw:
        sources: list[Any] = [buffered, raw, io.BytesIO(octets), OnlyRead(octets)]
        for source in sources:
            assert_same(ours, inspect(source), name)
    for at_once in (7, 4096):
        with pipe(octets, at_once) as file:
            assert_same(ours, inspect(file, block_octets=1 << 16), name)


def test_several_sources_are_one_run_in_order(captures_dir: Path) -> None:
    paths = [captures_dir / name for name in SEVERAL]
    together = inspect(list(paths))
    assert [one.stream for one in together.connections] == list(range(len(together.connections)))
    assert [one.name for one in together.captures] == [str(path) for path in paths]
    for scapy in (False, True):
        again = inspect([str(path) for path in paths], reader="scapy" if scapy else "auto")
        assert_same(together, again, "all")


# --- file formats ----------------------------------------------------------------------------------------------------


def frames_of(path: Path) -> tuple[list[Frame], set[int]]:
    """Return the frames of a capture and its link types."""
    frames, link_types = list[Frame](), set[int]()
    for records in open_capture(path, block_octets=1 << 16):
        link_types |= set(records.link_type.tolist())
        for row in range(len(records)):
            frames.append((records.octets(row), int(records.original[row]), int(records.time_ns[row])))
    return frames, link_types


def as_pcapng(frames: list[Frame], link_type: int, order: str) -> bytes:
    """Write frames as pcapng, in turn from two interfaces: one that counts in ns, one in ns after an hour."""
    hour = 3600
    interfaces = (
        option(9, b"\x09", order),
        option(9, b"\x09", order) + option(14, hour.to_bytes(8, ENDIAN[order]), order),
    )
    blocks = [section(order), *(interface(link_type, options, order) for options in interfaces)]
    for number, (octets, original, time_ns) in enumerate(frames):
        units = time_ns - number % 2 * hour * 10**9
        blocks.append(enhanced(octets, original, units, number % 2, order))
    return b"".join(blocks)


ENDIAN: dict[str, Any] = {"<": "little", ">": "big"}
Writer = Callable[[list[Frame], int], bytes]
WRITERS: dict[str, Writer] = {
    "pcap of ns": lambda frames, link_type: pcap(frames, link_type=link_type),
    "pcap of ns, big-endian": lambda frames, link_type: pcap(frames, link_type=link_type, order=">"),
    "pcap of µs, big-endian": lambda frames, link_type: pcap(frames, link_type=link_type, order=">", nano=False),
    "pcapng": lambda frames, link_type: as_pcapng(frames, link_type, "<"),
    "pcapng, big-endian": lambda frames, link_type: as_pcapng(frames, link_type, ">"),
    "pcap in xz": lambda frames, link_type: lzma.compress(pcap(frames, link_type=link_type), preset=0),
    "snoop of µs, Ethernet only": lambda frames, _: snoop(frames),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_frames_in_another_file_format_give_the_identical_answers(captures_dir: Path, kind: str) -> None:
    compared = 0
    for path, ours in readable(captures_dir):
        frames, link_types = frames_of(path)
        too_fine = "µs" in kind and any(time_ns % 1000 for _, _, time_ns in frames)
        other_link = "Ethernet only" in kind and link_types != {1}
        too_late = any(not 0 <= time_ns < 10**9 << 32 for _, _, time_ns in frames)
        if too_fine or too_late or other_link or len(link_types) != 1:
            continue  # the format has no place for that
        again = inspect(io.BytesIO(WRITERS[kind](frames, link_types.pop())))
        assert not again.damage
        if again.captures[0].disorder == ours.captures[0].disorder:
            assert_same(ours, again, path.name)
            compared += 1
        else:  # pcapng may have several interfaces: where a clock was set, other frames are seen to step back
            assert ours.captures[0].disorder.jumps and path.name == "bro-simple-scan__445_scan.pcap"
    assert compared > (70 if "only" in kind else 80)


# --- commands --------------------------------------------------------------------------------------------------------


def printed(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("paths", [*RUNS, *([Path(name)] for name in SEVERAL)], ids=lambda paths: paths[0].stem)
@pytest.mark.parametrize("steps", [False, True])
def test_json_ndjson_and_the_library_say_the_same(captures_dir: Path, paths: list[Path], steps: bool) -> None:
    paths = [captures_dir / path for path in paths]  # which leaves the recorded ones as they are
    found = inspect(list(paths))
    connections = [
        connection_object(one, steps=found.steps(one.stream) if steps else None) for one in found.connections
    ]
    exchanges = [exchange_object(one) for one in found.exchanges]
    asked: list[str | Path] = ["read", *paths, *(["--steps"] if steps else [])]
    document = json.loads(printed(*asked, "--format", "json"))
    assert document["schema"] == 1
    assert document["connections"] == connections
    assert document["exchanges"] == exchanges
    lines = printed(*asked, "--udp", "--format", "ndjson").splitlines()
    assert [json.loads(line) for line in lines] == connections + exchanges
    by_scapy = json.loads(printed(*asked, "--reader", "scapy", "--format", "json"))
    assert by_scapy["connections"] == connections
    assert by_scapy["exchanges"] == exchanges


def test_show_says_of_one_connection_what_read_says_of_all(captures_dir: Path) -> None:
    path = captures_dir / "pcapplusplus__pcapng-example.pcapng"
    lines = printed("read", path, "--steps", "--format", "ndjson").splitlines()
    assert len(lines) > 10
    for stream, line in enumerate(lines):
        assert json.loads(printed("show", path, "-s", str(stream), "--format", "json")) == json.loads(line)


@pytest.mark.parametrize("name", ["zeek__iso-download.pcap.gz", "pcapplusplus__pcapng-example.pcapng"])
def test_a_pipe_into_the_command_gives_what_the_file_gives(captures_dir: Path, name: str) -> None:
    """As a shell makes it: `cat FILE | handshake-inspect read -`."""
    path = captures_dir / name
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
        command = [sys.executable, "-m", "handshake_inspect", "read", "-", "--format", "ndjson"]
        done = subprocess.run(command, stdin=cat.stdout, capture_output=True, text=True, check=True)
    piped = [json.loads(line) for line in done.stdout.splitlines()]
    assert piped == [
        {**json.loads(line), "capture": "-"} for line in printed("read", path, "--format", "ndjson").splitlines()
    ]
