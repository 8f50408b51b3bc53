"""Ladders of a page: by one process or several, read again where they were folded, left out where they are too long."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect import inspect, processes
from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.views.page import ladders
from handshake_inspect.views.page.ladders import Ladders
from handshake_inspect.views.rungs import Spelling
from tests.engine.long import CONNECTIONS, LINES, write_long
from tests.views.page.making import PCAPS


def all_of(inspection: Inspection) -> list[str]:
    streams = inspection.connections.streams
    return list(Ladders(inspection, streams).of(streams))


def folded(capture: Path) -> Inspection:
    inspector = Inspector()
    inspector.analysis.gathering = GatheredRows(fold_rows=4, long_rows=4)
    inspector.read([Input(str(capture), block_octets=512)])
    return inspector.result()


@pytest.fixture
def long(tmp_path: Path) -> Path:
    path = tmp_path / "long.pcap"
    write_long(path)
    return path


def test_several_processes_draw_the_same_ladders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladders, "CHUNK", 10)
    run = inspect(sorted(PCAPS.glob("s*.pcap")))
    assert len(run.connections) > 50
    drawn = Ladders(run, run.connections.streams)
    assert list(drawn.packed(jobs=2)) == list(drawn.packed(jobs=1))


def test_ladders_of_folded_connections_are_read_again(long: Path) -> None:
    plain, run = inspect(long, fold=False), folded(long)
    assert run.is_folded.tolist() == [True] * CONNECTIONS
    assert plain.is_folded.tolist() == [False] * CONNECTIONS
    assert all_of(run) == all_of(plain)
    drawn = [Ladders(one, one.connections.streams).packed(jobs=2) for one in (run, plain)]
    assert list(drawn[0]) == list(drawn[1])


def test_a_folded_connection_leaves_its_neighbours_to_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    here, draw = os.getpid(), Ladders._drawn
    drawn_here: list[int] = []

    def drawn(self: Ladders, connection: Connection, steps: Sequence[Step]) -> str:
        if os.getpid() == here:
            drawn_here.append(connection.stream)
        return draw(self, connection, steps)

    monkeypatch.setattr(ladders, "CHUNK", 10)
    monkeypatch.setattr(processes, "can_fork", lambda: sys.platform == "linux")  # threads of other tests look on
    run = inspect(sorted(PCAPS.glob("s*.pcap")))
    streams = run.connections.streams
    packed = list(Ladders(run, streams).packed(jobs=1))
    folded_streams = [*range(10, 20), 33, 41, 45]
    monkeypatch.setattr(run, "is_folded", np.isin(run.connections.stream_of, folded_streams))
    monkeypatch.setattr(Ladders, "_drawn", drawn)
    assert list(Ladders(run, streams).packed(jobs=2)) == packed
    if sys.platform == "linux":
        assert drawn_here == folded_streams


def test_what_cannot_be_read_again_is_said(long: Path) -> None:
    run = folded(long)
    long.unlink()
    found = all_of(run)
    assert len(found) == CONNECTIONS
    assert all("its segments could not be read again" in one for one in found)


def test_the_longest_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    run = inspect(sorted(PCAPS.glob("s*.pcap")))
    sizes = [one.segments.originator + one.segments.responder for one in run.connections]
    monkeypatch.setattr(ladders, "DRAWN_SEGMENTS", sum(sizes) - max(sizes))
    found = all_of(run)
    left_out = [stream for stream, one in enumerate(found) if "is not drawn here" in one]
    assert left_out == [max(range(len(sizes)), key=lambda stream: sizes[stream])]
    assert f"<code>handshake-inspect show … -s {left_out[0]}</code>" in found[left_out[0]]


def test_a_ladder_of_many_rows_is_cut(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladders, "MOST_ROWS", 5)
    monkeypatch.setattr(ladders, "SPELLING", Spelling(payload_octets=0, fold=False))
    for markup in all_of(inspect(long)):
        assert markup.count('class="rung"') < 3 + 2 * LINES
        assert "more rows that are not drawn here" in markup
