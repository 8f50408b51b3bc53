"""Where a rotation cuts a capture into two files changes no finding: files that follow each other are of one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect import Inspection, inspect
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.spread.run import inspect_spread
from tests.expect.altered import PCAPS, frames_of
from tests.spread.engines import Here, refuse

MOST_FRAMES = 60
#: Cuts behind these frames leave so little of the connection in one file that it cannot be told from a retransmission
#: or a packet delivered twice whether the same capture shows each segment twice.
TOO_LITTLE = {("loopback-twice.pcap", 3), ("loopback-twice.pcap", 19)}


def short_captures() -> Iterator[str]:
    """Return the captures of pcaps/ at one place, of few frames."""
    for path in sorted(PCAPS.glob("*.pcap")):
        if ".server." not in path.name and 1 < len(frames_of(path.name)) <= MOST_FRAMES:
            yield path.name


def said(found: Inspection) -> list[Any]:
    """Return what is said of each connection, and of the run, but for the files and frames that show it."""
    return [*connections_of(found), sorted((one.code, one.connections) for one in found.findings)]


def connections_of(found: Inspection) -> list[Any]:
    """Return what is said of each connection."""
    return [
        (
            one.originator, one.responder, one.first_ns, one.last_ns, one.segments, one.octets, one.duplicates,
            one.handshake, one.teardown, one.states, one.history,
            [(each.code, each.severity, each.message) for each in one.findings],
        )
        for one in found.connections
    ]  # fmt: skip


def cut(folder: Path, frames: list[RawFrame], *at: int) -> list[Path]:
    """Save frames in files that end at these places."""
    files = []
    for number, (begin, end) in enumerate(pairwise([0, *at, len(frames)])):
        files.append(folder / f"{number}.pcap")
        write_pcap(files[-1], frames[begin:end], frames[0].link_type)
    return files


@pytest.mark.parametrize("name", list(short_captures()))
def test_two_files_tell_what_one_tells(name: str, tmp_path: Path) -> None:
    frames = frames_of(name)
    whole = said(inspect(cut(tmp_path, frames)))
    for at in range(1, len(frames)):
        if frames[at].time_ns >= frames[at - 1].time_ns and (name, at) not in TOO_LITTLE:
            assert said(inspect(cut(tmp_path, frames, at))) == whole, at


@pytest.mark.parametrize("name", ["four-way.pcap", "close-in-flight.pcap", "udp.pcap"])
def test_segments_of_one_time_stay_in_order_in_whatever_order_their_files_are_named(name: str, tmp_path: Path) -> None:
    """Of a clock of 1 ms many have one. If all of both files have one time, nothing tells which was first."""
    frames = [replace(one, time_ns=one.time_ns // 10**6 * 10**6) for one in frames_of(name)]
    whole = connections_of(inspect(cut(tmp_path, frames)))
    tied = 0
    for at in range(1, len(frames)):
        tied += frames[at].time_ns == frames[at - 1].time_ns
        files = cut(tmp_path, frames, at)
        orders = [files, files[::-1]] if frames[-1].time_ns != frames[0].time_ns else [files]
        for order in orders:
            found = inspect(order)
            assert connections_of(found) == whole
            apart = inspect_spread([Input(str(file)) for file in order], Here(), failed=refuse)
            assert said(apart) == said(found)
            assert list(apart.exchanges) == list(found.exchanges)
    assert tied


def test_a_second_syn_in_the_next_file_was_not_rewritten_on_the_way(tmp_path: Path) -> None:
    """A client begins anew with another number half a millisecond later, with the same timestamp."""
    first = frames_of("four-way.pcap")[0]
    octets = bytearray(first.octets)
    number = int.from_bytes(octets[38:42], "big")
    reset = bytes(octets[:16]) + b"\0\x28" + bytes(octets[18:38]) + (number + 1).to_bytes(4, "big")
    reset += bytes(octets[42:46]) + b"\x50\x04" + bytes(octets[48:54])
    octets[18] ^= 1
    octets[38:42] = (number + 777_777).to_bytes(4, "big")
    frames = [
        first,
        replace(first, octets=reset, original=len(reset), time_ns=first.time_ns + 10_000),
        replace(first, octets=bytes(octets), time_ns=first.time_ns + 500_000),
    ]
    whole = inspect(cut(tmp_path, frames))
    assert len(whole.connections) == 2
    assert said(inspect(cut(tmp_path, frames, 2))) == said(whole)


@pytest.mark.parametrize(
    ("name", "at", "code"),
    [
        ("syn-options-dropped.pcap", 1, "syn-options-dropped"),
        ("path-changed.pcap", 2, "path-changed"),
        ("syn-ack-other-ttl.pcap", 3, "syn-ack-ttl"),
        ("desynchronized.pcap", 10, "desynchronized"),
    ],
)
def test_parts_read_apart_know_that_the_files_follow_each_other(name: str, at: int, code: str, tmp_path: Path) -> None:
    files = cut(tmp_path, frames_of(name), at)
    found = inspect_spread([Input(str(file)) for file in files], Here(), failed=refuse)
    assert said(found) == said(inspect(files))
    assert code in [one.code for connection in found.connections for one in connection.findings]
