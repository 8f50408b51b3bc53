"""Long connections, whose segments were folded, are described segment by segment without a reading for each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect import Inspection, inspect
from handshake_inspect.arrays import Rows
from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections import prepared
from handshake_inspect.connections.analysis import Analysis
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspector import Inspector
from tests.engine.long import CONNECTIONS, LINES, write_long


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a capture of several long connections, one after the other."""
    path = tmp_path_factory.mktemp("again") / "long.pcap"
    write_long(path)
    return path


def folded(capture: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Inspection, list[int]]:
    """Inspect it with its connections folded; how many conversations each later reading keeps."""
    inspector = Inspector()
    inspector.analysis.gathering = GatheredRows(fold_rows=4, long_rows=4)
    readings: list[int] = []
    read_again = inspector._read_for_steps

    def counted(some: Rows) -> Analysis:
        readings.append(len(some))
        return read_again(some)

    monkeypatch.setattr(inspector._again, "_read", counted)
    inspector.read([Input(str(capture), block_octets=512)])
    return inspector.result(), readings


def test_all_are_described_with_two_more_readings(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = inspect(capture, fold=False)
    inspection, readings = folded(capture, monkeypatch)
    for stream in (*range(CONNECTIONS), 1, 2):
        assert inspection.steps(stream) == plain.steps(stream)
    assert readings == [1, CONNECTIONS - 1]


def test_no_more_are_kept_at_once_than_there_is_room_for(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "AGAIN_SEGMENTS", 2 * (3 + 2 * LINES))
    inspection, readings = folded(capture, monkeypatch)
    assert [len(inspection.steps(stream)) for stream in range(CONNECTIONS)] == CONNECTIONS * [3 + 2 * LINES]
    assert readings == [1, 2, 1]
