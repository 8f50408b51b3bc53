"""Many files as one run: those of a rotation, in whatever order they are named, whatever became of some of them."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.merge import LATEST_NS, Feed, Merge
from handshake_inspect.capture.order import INTERFACES_NS, Disorder
from handshake_inspect.capture.records import RawFrame, Records, records_of
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.table import Block, DatagramTable, SegmentTable
from tests.expect.altered import frames_of

FILES = 100
SECOND_NS = 10**9


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a capture, as one file and as many."""
    folder = tmp_path_factory.mktemp("day")
    frames = frames_of("syn-flood.pcap") + frames_of("four-way.pcap") + frames_of("port-scan.pcap")
    frames = [
        replace(one, time_ns=frames[0].time_ns + n * SECOND_NS // 100, packet_type=255, interface=-1)
        for n, one in enumerate(frames)
        if one.link_type == frames[0].link_type
    ]
    assert len(frames) > FILES
    write_pcap(folder / "whole.pcap", frames, frames[0].link_type)
    for n in range(FILES):
        part = frames[n * len(frames) // FILES : (n + 1) * len(frames) // FILES]
        write_pcap(folder / f"{n:03}.pcap", part, part[0].link_type)
    return folder


def parts(day: Path) -> list[Path]:
    """Return the files of a part each, in another order."""
    files = sorted(day.glob("[0-9]*.pcap"))
    random.Random("order").shuffle(files)
    return files


def told(files: list[Path]) -> list[tuple[object, ...]]:
    """Return what is told of each connection, but for the names and numbers of frames, in order of time."""
    connections = sorted(inspect(files).connections, key=lambda one: one.first_ns)
    names = ("originator", "responder", "handshake", "teardown", "states", "segments", "octets", "first_ns", "last_ns")
    return [tuple(getattr(one, name) for name in names) for one in connections]


def test_many_files_are_one_run(day: Path) -> None:
    assert told(parts(day)) == told([day / "whole.pcap"])


def test_few_are_open_at_a_time(day: Path) -> None:
    """More files than this process may open; one is missing, one is empty, one is cut: all others are read."""
    files = parts(day)
    (day / "empty").touch()
    cut = day / "cut"
    cut.write_bytes(files[7].read_bytes()[:-5])
    names = [str(one) for one in (*files[:7], cut, *files[8:], day / "empty", day / "gone")]
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (85, 85));"
        "from handshake_inspect.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "read", *names, "--format", "csv"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert [error.split(": ")[1] for error in errors] == [str(day / "empty"), str(day / "gone")]
    assert f"{cut}: " in done.stderr
    assert "the capture ends inside" in done.stderr
    assert abs(len(done.stdout.splitlines()) - 1 - len(told([day / "whole.pcap"]))) <= 1


def of_seconds(number: int, *seconds: float) -> Feed:
    """Make a capture of which each block is one frame, at these seconds."""

    def blocks() -> Iterator[tuple[Records, Block]]:
        for frame, one in enumerate(seconds, 1):
            records = records_of([RawFrame(b"", 0, int(one * SECOND_NS), 1)], first_frame=frame)
            datagrams = DatagramTable.empty(1)
            datagrams.columns |= {"time_ns": records.time_ns, "frame": records.frame}
            datagrams.columns["capture"] = np.array([number], np.uint16)
            yield records, Block(SegmentTable.empty(), datagrams)

    return Feed(number, blocks, Disorder(), int(seconds[0] * SECOND_NS))


def single(*feeds: Feed) -> list[tuple[float, float | None]]:
    """Return of each block when it was, and until when nothing is shown again; None if nothing at all is."""
    merge = Merge(feeds)
    found = []
    for block in merge:
        until_ns = merge.single_until_ns
        at = block.datagrams["time_ns"].tolist()
        found += [(one / SECOND_NS, None if until_ns == LATEST_NS else until_ns / SECOND_NS) for one in at]
    return found


def test_one_capture_shows_nothing_that_another_one_shows() -> None:
    assert {until for _, until in single(of_seconds(0, 1, 2, 3))} == {None}


def test_captures_that_follow_each_other_show_nothing_twice() -> None:
    """Only where the next one is near it is not known yet that it will not begin before this one ends."""
    found = single(of_seconds(0, 10, 20, 30), of_seconds(1, 40, 50, 60), of_seconds(2, 70, 80, 90))
    assert [at for at, _ in found] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert {until for _, until in found} <= {None, 10, 40, 70}
    assert found[1] == (20, None)
    assert found[-1] == (90, None)
    assert INTERFACES_NS == 2 * SECOND_NS


def test_captures_side_by_side_may_show_everything_twice() -> None:
    found = single(of_seconds(0, 10, 20, 30, 40), of_seconds(1, 25, 35, 45), of_seconds(2, 60, 70))
    assert found[0] == (10, None)
    assert [until for at, until in found if 25 <= at < 45] == [10] * 4
    assert found[-1] == (70, None)
