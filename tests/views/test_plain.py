"""What is made of columns, a block at a time, is what the plain way makes of one connection after the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect.connections import conn_log as conn_log_columns
from handshake_inspect.connections import flat, model
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.views import export, json_lines, json_lists
from handshake_inspect.views.fields import FIELDS
from handshake_inspect.views.zeek_log import conn_log, rows
from tests.views import plain

PCAPS = Path(__file__).parents[2] / "pcaps"


@pytest.fixture(params=[7, flat.BLOCK_ROWS])
def block_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (flat, conn_log_columns):
        monkeypatch.setattr(module, "BLOCK_ROWS", request.param)


@pytest.mark.usefixtures("block_rows")
def test_csv_is_what_plain_python_writes(runs: list[Inspection]) -> None:
    for found in runs:
        text = b"".join(export.csv_lines(found.connections, found.connections.streams))
        assert text.decode() == plain.csv_text(found.connections)


@pytest.mark.usefixtures("block_rows")
def test_conn_log_is_what_plain_python_writes(runs: list[Inspection]) -> None:
    for found in runs:
        text = b"".join(conn_log(found.captures, rows(found.connections, found.connections.streams))).decode()
        cut = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
        assert ["\t".join([ts, *cells]) for ts, _, *cells in cut] == [*plain.conn_log_lines(found.connections)]


@pytest.mark.parametrize("block_connections", [5, model.BLOCK_CONNECTIONS])
@pytest.mark.parametrize("most_items", [1, json_lists.MOST_ITEMS])
def test_json_lines_are_what_plain_python_writes(
    runs: list[Inspection], block_connections: int, most_items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "BLOCK_CONNECTIONS", block_connections)
    monkeypatch.setattr(json_lists, "MOST_ITEMS", most_items)
    for found in runs:
        blocks = [*json_lines.connection_lines(found.connections, found.connections.streams)]
        lines = [*plain.json_lines(found.connections)]
        assert b"".join(blocks).decode().splitlines() == lines
        document = b"".join(export.json_document(found.captures, blocks, [], found.damage, found.findings))
        assert json.loads(document)["connections"] == [json.loads(line) for line in lines]


def test_every_field_is_spelled_from_a_column_or_is_equal_wherever_the_judgement_is() -> None:
    found = inspect(PCAPS / "four-way.pcap").connections
    from_columns = {*json_lines.cells_of(found, np.array([0]))} | {"icmp_errors", "resets", "time_wait", "findings"}
    assert not from_columns & json_lines.OF_JUDGEMENT
    for path in FIELDS:
        above = {path[: at.start()] for at in re.finditer(r"\.", path)} | {path}
        assert len(above & (from_columns | json_lines.OF_JUDGEMENT)) == 1, path


def test_any_order_of_streams_is_kept(runs: list[Inspection]) -> None:
    found = runs[-1].connections
    backwards = b"".join(export.csv_lines(found, found.streams[::-1])).splitlines()
    header, *forwards = b"".join(export.csv_lines(found, found.streams)).splitlines()
    assert backwards == [header, *reversed(forwards)]
    assert b"".join(export.csv_lines(found, np.zeros(0, np.int64))) == header + b"\n"
