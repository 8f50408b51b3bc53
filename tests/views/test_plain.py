"""What is made of columns, a block at a time, is what the plain way makes of one connection after the other."""

from __future__ import annotations

import numpy as np
import pytest

from handshake_inspect.connections import conn_log as conn_log_columns
from handshake_inspect.connections import flat
from handshake_inspect.inspection import Inspection
from handshake_inspect.views import export
from handshake_inspect.views.zeek_log import conn_log
from tests.views import plain


@pytest.fixture(params=[7, flat.BLOCK_ROWS])
def block_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (flat, conn_log_columns):
        monkeypatch.setattr(module, "BLOCK_ROWS", request.param)


@pytest.mark.usefixtures("block_rows")
def test_csv(runs: list[Inspection]) -> None:
    for found in runs:
        text = b"".join(export.csv_lines(found.connections, found.connections.streams))
        assert text.decode() == plain.csv_text(found.connections)


@pytest.mark.usefixtures("block_rows")
def test_conn_log(runs: list[Inspection]) -> None:
    for found in runs:
        text = b"".join(conn_log(found.captures, found.connections, found.connections.streams)).decode()
        rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
        assert ["\t".join([ts, *cells]) for ts, _, *cells in rows] == [*plain.conn_log_lines(found.connections)]


def test_any_order_of_streams_is_kept(runs: list[Inspection]) -> None:
    found = runs[-1].connections
    backwards = b"".join(export.csv_lines(found, found.streams[::-1])).splitlines()
    header, *forwards = b"".join(export.csv_lines(found, found.streams)).splitlines()
    assert backwards == [header, *reversed(forwards)]
    assert b"".join(export.csv_lines(found, np.zeros(0, np.int64))) == header + b"\n"
