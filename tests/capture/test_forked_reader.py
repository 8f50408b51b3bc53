"""A capture that a copy of the process reads and decodes says what it says here; also if the copy dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handshake_inspect import processes
from handshake_inspect.capture import inputs
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.forked_reader import DecodingFork, ForkedReader
from handshake_inspect.capture.inputs import Hooks, Input
from handshake_inspect.capture.records import CaptureError, Frames
from handshake_inspect.capture.source import Reader, RecordReader
from handshake_inspect.inspector import Inspector
from handshake_inspect.processes import Workers
from handshake_inspect.table import Block, Names
from tests.children import children
from tests.oracles.everything import everything

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
PCAPS = Path(__file__).parent.parent.parent / "pcaps"
#: A capture of many segments.
LONG = "port-scan.pcap"


@pytest.fixture(autouse=True)
def _no_threads_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "can_fork", lambda: True)
    monkeypatch.setattr(inputs, "APART_OCTETS", 1)


def apart(path: Path, names: Names, block_octets: int = 4096) -> ForkedReader:
    one = Input(path, block_octets=block_octets)
    again = partial(one.reader_of_records, ahead=False, positions=True)
    return ForkedReader(again(), again, Decoder(names), 3)


def here(path: Path, names: Names, block_octets: int = 4096) -> tuple[RecordReader, Decoder, list[Block], list[Frames]]:
    """Read and decode a capture in this process."""
    reader, decoder = (
        Input(path, block_octets=block_octets).reader_of_records(ahead=False, positions=True),
        Decoder(names),
    )
    blocks: list[Block] = []
    frames: list[Frames] = []
    for records in filter(len, reader):
        blocks.append(decoder.decode(records, 3))
        frames.append(records)
    return reader, decoder, blocks, frames


def assert_same_blocks(found: list[tuple[Frames, Block]], blocks: list[Block], frames: list[Frames]) -> None:
    assert len(found) == len(blocks)
    for (own, block), plain, records in zip(found, blocks, frames, strict=True):
        assert block.unread == plain.unread
        for name in ("time_ns", "frame", "link_type", "interface", "begin", "end"):
            np.testing.assert_array_equal(getattr(own, name), getattr(records, name))
        for table in ("segments", "datagrams", "icmp_errors"):
            for name, column in getattr(plain, table).columns.items():
                np.testing.assert_array_equal(getattr(block, table)[name], column)
                assert getattr(block, table)[name].dtype == column.dtype


def test_a_copy_reads_what_is_read_here(captures_dir: Path) -> None:
    """All that is said of a capture, of its frames and of what they hold; names are numbered alike."""
    seen = 0
    for path in sorted(captures_dir.glob("*.*cap*"))[::5]:
        try:
            reader, decoder, blocks, frames = here(path, plain := Names())
        except CaptureError:
            continue
        found = apart(path, own := Names())
        assert_same_blocks(list(found), blocks, frames)
        for name in ("damage", "dropped", "about", "headers", "octets_read", "name", "format"):
            assert getattr(found, name) == getattr(reader, name), (path.name, name)
        assert found.unread() == decoder.unread()
        for kind in ("encapsulation", "tunnel", "options"):
            assert getattr(own, kind).values == getattr(plain, kind).values
        seen += len(blocks)
    assert seen > 30


@pytest.mark.parametrize("name", ["arkime__twovlan.pcap", "pcapplusplus__pcapng-example.pcapng"])
@pytest.mark.parametrize("positions", [True, False])
def test_where_records_stand_is_told_if_it_is_needed(captures_dir: Path, name: str, positions: bool) -> None:
    """By a reader here, and by a copy."""
    again = Input(captures_dir / name, block_octets=4096).reopened(positions=positions)
    found = [*again(), *(frames for frames, _ in ForkedReader(again(), again, Decoder(Names()), 0))]
    assert len(found) >= 2
    assert {(one.begin is None, one.end is None) for one in found} == {(not positions, not positions)}


def test_names_that_another_capture_has_numbered_meanwhile_keep_their_numbers(captures_dir: Path) -> None:
    """Two captures are read side by side: each copy counts by itself."""
    paths = [captures_dir / name for name in ("zeek__mixed-vlan-mpls.pcap", "arkime__twovlan.pcap")]
    names = Names()
    reading = [iter(apart(path, names, 256)) for path in paths]
    found: list[list[Block]] = [[], []]
    while reading:
        for blocks, one in zip(found, reading, strict=True):
            following = next(one, None)
            if following is None:
                reading = []
                break
            blocks.append(following[1])
    for path, blocks in zip(paths, found, strict=True):
        _, _, plain, _ = here(path, own := Names(), 256)
        for block, other in zip(blocks, plain, strict=False):
            for table in ("segments", "datagrams"):
                numbers, alone = getattr(block, table)["encapsulation"], getattr(other, table)["encapsulation"]
                assert [names.encapsulation[n] for n in numbers] == [own.encapsulation[n] for n in alone]


@pytest.mark.parametrize("after", [0, 2])
def test_if_the_copy_dies_the_rest_is_read_here(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path, decode, us = PCAPS / LONG, Decoder.decode, os.getpid()
    _, _, blocks, frames = here(path, Names(), 200)
    assert len(blocks) > after + 1
    done = 0

    def die(decoder: Decoder, *arguments: object) -> Block:
        nonlocal done
        if os.getpid() != us and done == after:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        return decode(decoder, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "decode", die)
    assert_same_blocks(list(apart(path, Names(), 200)), blocks, frames)


def test_nothing_is_decoded_here_while_a_copy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done twice would be right too, and slow."""
    decode, us = Decoder.decode, os.getpid()

    def elsewhere(decoder: Decoder, *arguments: object) -> Block:
        assert os.getpid() != us
        return decode(decoder, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "decode", elsewhere)
    inspector = Inspector(jobs=2, processes=True)
    inspector.read([Input(PCAPS / LONG, block_octets=200)])
    assert len(inspector.result().connections) > 0


def test_a_copy_that_has_begun_is_the_one_that_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    began, begin = [], DecodingFork.__init__

    def noted(self: DecodingFork, *given: Any) -> None:
        began.append(self)
        begin(self, *given)

    monkeypatch.setattr(DecodingFork, "__init__", noted)
    one, names = Input(PCAPS / LONG, block_octets=200), Names()
    with inputs.begun([one], names, Workers(2, may_fork=True), positions=False) as copy:
        inspector = Inspector(names=names, jobs=2, processes=True)
        inspector.read([one], begun=copy)
    assert began == [copy]
    plain = Inspector(jobs=1)
    plain.read([one])
    assert everything(inspector.result(), steps=True) == everything(plain.result(), steps=True)


def test_a_copy_that_has_begun_is_ended_if_nobody_reads() -> None:
    before = children()
    with inputs.begun([Input(PCAPS / LONG)], Names(), Workers(2, may_fork=True), positions=False) as copy:
        assert copy is not None
        assert children() > before
    assert children() == before


@pytest.mark.parametrize(("files", "jobs"), [(1, 1), (2, 2), (0, 2)])
def test_where_no_copy_reads_or_several_might_none_begins(files: int, jobs: int) -> None:
    with inputs.begun([Input(PCAPS / LONG)] * files, Names(), Workers(jobs, may_fork=True), positions=False) as copy:
        assert copy is None


#: What is slow to import, and what reads needs none of.
SLOW = ("multiprocessing", "decimal", "handshake_inspect.cli.output", "handshake_inspect.connections.analysis")


@pytest.mark.parametrize("arguments", [["read", "--format", "csv"], ["findings"], ["show", "--stream", "0"]])
def test_a_command_has_a_large_capture_read_before_it_imports_the_rest(arguments: list[str]) -> None:
    """What the copy can say of the modules of the process is that of the moment when it began."""
    program = f"""if True:
        import sys
        from handshake_inspect.capture import inputs
        from handshake_inspect.capture.decode import Decoder
        from handshake_inspect.cli import cli
        decode = Decoder.decode
        def told(*given):
            print(sorted(sys.modules.keys() & {SLOW}), file=sys.stderr)
            return decode(*given)
        inputs.APART_OCTETS, Decoder.decode = 1, told
        cli.main([*{arguments}, {str(PCAPS / LONG)!r}, "--jobs", "2"])
        """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.count("\n") > 1
    assert ran.stderr.splitlines()[0] == "[]"


@pytest.mark.parametrize("jobs", [2, 3])
def test_captures_that_overlap_say_the_same(jobs: int) -> None:
    """As many as there are jobs besides this one are read apart, the others here."""
    paths = sorted(PCAPS.glob("*.pcap"))[:12]
    found = []
    for number in (1, jobs):
        inspector = Inspector(jobs=number, processes=True)
        inspector.read([Input(path, block_octets=300) for path in paths])
        found.append(everything(inspector.result(), steps=True))
    assert found[0] == found[1]


def test_who_stops_reading_ends_the_copy() -> None:
    def first(reader: Reader[tuple[Frames, Block]]) -> Iterator[tuple[Frames, Block]]:
        for number, one in enumerate(reader):
            if number == 2:
                return
            yield one

    inspector = Inspector(jobs=2, processes=True)
    inspector.read([Input(PCAPS / LONG, block_octets=200)], Hooks(watch=first))
    _, _, _, frames = here(PCAPS / LONG, Names(), 200)
    assert inspector.result().captures[0].frames == sum(map(len, frames[:2]))
