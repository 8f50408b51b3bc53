"""The table of connections: complete where nobody asks for a width, honest where there is too little."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.quantities import duration, milliseconds, seconds
from handshake_inspect.views import table
from handshake_inspect.views.words import octets
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


def test_a_time_across_a_repeated_syn_is_no_round_trip_time() -> None:
    handshake = four_way().handshake
    (column,) = (one for one in table.connection_columns(1) if one.title == "RTT")
    for time_ns, ambiguous, said in (
        (2_040_000_000, False, "2.040 s"), (2_040_000_000, True, "≤ 2.040 s"), (None, True, "-"),
    ):  # fmt: skip
        changed = replace(handshake, initial_rtt_ns=time_ns, rtt_ambiguous=ambiguous)
        assert column.cell(replace(four_way(), handshake=changed)) == said


def test_narrow_terminal_drops_columns_and_names_them() -> None:
    text, dropped = lines(80)
    assert dropped
    assert all(cell_len(line) <= 80 for line in text)
    assert "three-way" in text[1]
    assert "four-way" in text[1]


def of_several_files(width: int) -> list[str]:
    files = ("a/long/way/down/four-way.pcap", "reset.pcap")
    connections = [replace(one, capture=name) for one, name in zip((four_way(), aborted()), files, strict=True)]
    laid_out = table.layout(connections, table.connection_columns(2), width)
    return [table.GAP.join(cell.text for cell in line).rstrip() for line in laid_out.lines]


def test_with_several_files_their_names_stay_longest() -> None:
    for width in range(87, 160):
        text = of_several_files(width)
        assert all(cell_len(line) <= width for line in text), width
        assert "/four-way.pcap " in text[1], width
    assert "…/four-way.pcap " in of_several_files(95)[1]
    assert "a/long/way/down/four-way.pcap " in of_several_files(170)[1]


def test_notes_are_cut_before_columns_are_dropped() -> None:
    noted = replace(aborted(), duplicates=1000)
    laid_out = table.layout([noted], table.connection_columns(1), 100)
    said = table.GAP.join(cell.text for cell in list(laid_out.lines)[1])
    assert "octets → / ←" not in laid_out.dropped
    assert "RST by responder" in said
    assert said.rstrip().endswith("…")


def test_a_path_loses_its_folders_first() -> None:
    assert table.cut_path("four-way.pcap", 13) == "four-way.pcap"
    assert table.cut_path("some/pcaps/four-way.pcap", 22) == "…/pcaps/four-way.pcap"
    assert table.cut_path("some/pcaps/four-way.pcap", 20) == "…/four-way.pcap"
    assert table.cut_path("some/pcaps/four-way.pcap", 10) == "…-way.pcap"
    assert cell_len(table.cut_path("記録" * 20, 21)) <= 21


def test_a_table_without_rows_says_so() -> None:
    assert table.layout([], table.connection_columns(1), None).empty
    assert not table.layout([four_way()], table.connection_columns(1), None).empty


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
