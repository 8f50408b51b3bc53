"""Parquet, read back by pyarrow, is the csv of the same connections, with types."""

from __future__ import annotations

import csv
import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from handshake_inspect.cli import cli, read
from handshake_inspect.connections.flat import FLAT_COLUMNS
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.views import export, parquet
from tests.cli.running import run

PCAPS = Path(__file__).parents[2] / "pcaps"
SEPARATORS = {"states_originator": ">", "states_responder": ">", "findings": " "}


def written(found: Inspection) -> pq.ParquetFile:
    buffer = io.BytesIO()
    parquet.write_parquet(buffer.write, found.connections, found.connections.streams)
    return pq.ParquetFile(pa.BufferReader(buffer.getvalue()))


def spelled(name: str, value: Any) -> str:
    """Spell a value as csv does."""
    if value is None:
        return ""
    return SEPARATORS[name].join(value) if name in SEPARATORS else str(value)


def test_every_cell_is_that_of_csv(runs: list[Inspection], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 50)
    for found in runs:
        table = written(found).read()
        text = b"".join(export.csv_lines(found.connections, found.connections.streams)).decode()
        rows = [*csv.DictReader(io.StringIO(text))]
        assert table.column_names == [*FLAT_COLUMNS]
        for name in FLAT_COLUMNS:
            column = table[name].cast(pa.int64()) if pa.types.is_timestamp(table[name].type) else table[name]
            assert [spelled(name, value) for value in column.to_pylist()] == [row[name] for row in rows], name


def test_what_the_capture_cannot_tell_is_null() -> None:
    found = inspect(PCAPS / "syn-lost.pcap" if (PCAPS / "syn-lost.pcap").exists() else PCAPS / "refused.pcap")
    (row,) = written(found).read(["missing_octets_responder", "closed_first", "initial_rtt_ns"]).to_pylist()
    assert row == {"missing_octets_responder": None, "closed_first": None, "initial_rtt_ns": None}


def test_types_and_the_version_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    file = written(inspect([PCAPS / "four-way.pcap", PCAPS / "reset.pcap", PCAPS / "refused.pcap"]))
    assert file.num_row_groups == 2
    schema = file.schema_arrow
    assert schema.metadata[b"handshake_inspect.schema"] == b"1"
    assert schema.field("first_ns").type == pa.timestamp("ns", "UTC")
    assert schema.field("originator_port").type == pa.uint16()
    assert schema.field("handshake").type == pa.dictionary(pa.int32(), pa.string())
    assert schema.field("findings").type == pa.list_(pa.string())


def test_a_capture_without_connections_is_a_file_without_rows() -> None:
    file = written(inspect([]))
    assert (file.metadata.num_rows, file.schema_arrow.names) == (0, [*FLAT_COLUMNS])


def test_it_goes_through_a_pipe() -> None:
    command = [sys.executable, "-m", "handshake_inspect", "read", str(PCAPS / "four-way.pcap"), "--format", "parquet"]
    octets = subprocess.run(command, capture_output=True, check=True, cwd=PCAPS.parent).stdout
    assert pq.read_table(pa.BufferReader(octets))["teardown"].to_pylist() == ["four-way"]


def test_a_terminal_is_refused() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "handshake_inspect", "read", str(PCAPS / "four-way.pcap"), "--format", "parquet"]
    ran = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False, cwd=PCAPS.parent)
    os.close(theirs)
    os.close(ours)
    assert ran.returncode == 2
    assert ran.stderr == (
        "Error: --format parquet is nothing for a terminal: add > connections.parquet."
        " See handshake-inspect read --help.\n"
    )


def test_without_pyarrow_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "find_spec", lambda name: None)
    ran = CliRunner().invoke(cli, ["read", str(PCAPS / "four-way.pcap"), "--format", "parquet"])
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert "--format parquet needs pyarrow: pip install 'handshake-inspect[parquet]'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("option", ["--udp", "--time-wait", "--steps"])
def test_what_it_cannot_hold_is_refused(option: str) -> None:
    ran = run("read", str(PCAPS / "four-way.pcap"), "--format", "parquet", option)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
