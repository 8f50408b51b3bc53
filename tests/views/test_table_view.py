"""The table of connections: complete where nobody asks for a width, honest where there is too little."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.views import table
from handshake_inspect.views.words import duration, milliseconds, octets, seconds
from tests.views.sessions import aborted, four_way


def lines(width: int | None) -> tuple[list[str], list[str]]:
    laid_out = table.layout([four_way(), aborted()], table.connection_columns(1), width)
    return [table.GAP.join(cell.text for cell in line).rstrip() for line in laid_out.lines], laid_out.dropped


def test_without_a_terminal_every_column_is_there() -> None:
    text, dropped = lines(None)
    assert dropped == []
    assert len(text) == 3
    for word in ("127.0.0.1:54668 → 127.0.0.1:8000", "three-way", "four-way", "originator", "4 / 4", "0.020 ms", "SF"):
        assert word in text[1]
    assert "RST by responder" in text[2]


def test_narrow_terminal_drops_columns_and_names_them() -> None:
    text, dropped = lines(80)
    assert dropped
    assert all(cell_len(line) <= 80 for line in text)
    assert "three-way" in text[1]
    assert "four-way" in text[1]


def test_rows_after_those_measured_are_written_too() -> None:
    many = (replace(four_way(), stream=n, originator=Endpoint("10.0.0.1", n)) for n in range(2000))
    laid_out = table.layout(many, table.connection_columns(1), None)
    assert sum(1 for _ in laid_out.lines) == 2001


def test_numbers_in_words() -> None:
    assert [milliseconds(ns) for ns in (0, 499, 500, 38_000, -31_402_000, 1_234_567_890)] == [
        "0.000", "0.000", "0.001", "0.038", "-31.402", "1234.568",
    ]  # fmt: skip
    assert seconds(60_161_362_000) == "60.161"
    assert duration(1_250_000_000) == "1.250 s"
    assert [octets(n) for n in (0, 999, 1000, 1_600_000, 873_080)] == ["0 B", "999 B", "1.0 kB", "1.6 MB", "873 kB"]
