"""Two captures compared: golden pictures at fixed widths, and what must hold at every width."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect.compared.comparison import AlikePairs, compare
from handshake_inspect.compared.difference import ComparedConnection, Difference, Level, difference
from handshake_inspect.compared.normal import normal_rows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.views.compared_ladders import two_ladders
from handshake_inspect.views.compared_lines import difference_lines, notes, only_lines, summary

PCAPS = Path(__file__).parents[2] / "pcaps"
GOLDEN = Path(__file__).parent / "golden"
PAIRS = {
    "close": ("four-way", "three-segment"),
    "long": ("blind-reset", "blind-reset.server"),
    "other": ("refused", "unreachable"),
}
#: Every border of a layout.
WIDTHS = (60, 80, 94, 95, 100, 139, 160, 300)


def captured(name: str) -> Inspection:
    return inspect(PCAPS / f"{name}.pcap")


def differ(a: str, b: str, level: Level = "segments") -> Difference:
    told = []
    for name, letter in ((a, "before"), (b, "after")):
        inspection = captured(name)
        connection = replace(inspection.connections[0], capture=f"{letter}.pcap")
        told.append(ComparedConnection(connection, normal_rows(connection, inspection.steps(0))))
    found = difference(told[0], told[1], level)
    assert found is not None
    return found


def picture(found: Difference, width: int) -> str:
    lines = [*difference_lines(AlikePairs(found, [(0, 0)]), width), *two_ladders(found, width)]
    return "".join(line.plain.rstrip() + "\n" for line in lines)


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("name", PAIRS)
def test_two_ladders_are_drawn_as_before(name: str, width: int) -> None:
    drawn = picture(differ(*PAIRS[name]), width)
    expected = GOLDEN / f"compared-{name}-{width}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(drawn, encoding="utf-8")
    assert drawn == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAIRS)
def test_nothing_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert max(map(len, picture(differ(*PAIRS[name]), width).splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_where_they_part_is_marked_once_in_each_drawing(width: int) -> None:
    drawn = picture(differ("four-way", "reset"), width)
    assert drawn.count("they part here") == (2 if width < 95 else 1)


def test_what_is_equal_long_before_and_what_comes_long_after_is_folded() -> None:
    lines = picture(differ("large-transfer", "four-way"), 100).splitlines()
    assert lines[-1].split(" │ ")[0].strip() == "… 32 more segments …"
    close = picture(differ("four-way", "half-close"), 100)
    assert close.count("… 3 segments …") == 2


def test_states_behind_what_was_folded_are_those_of_the_whole() -> None:
    """The FIN-WAIT-1 of a folded row is not said again, and what follows is right."""
    drawn = picture(differ("four-way", "half-close"), 160)
    states = re.findall(r"(FIN-WAIT-\d|LAST-ACK|TIME-WAIT|CLOSE-WAIT)\S? ", drawn.partition("they part")[0])
    assert states == ["FIN-WAIT-1", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "FIN-WAIT-2"]


def test_turns_are_said_in_words() -> None:
    said = picture(differ("large-transfer", "four-way", "conversation"), 100).splitlines()
    assert said[1:3] == ["  A  524,288 octets from the client", "  B  4 octets from the client"]
    over = picture(differ("half-closed", "four-way", "conversation"), 100).splitlines()
    assert over[1:3] == ["  A  nothing more", "  B  FIN from the server"]


def test_many_that_differ_alike_are_one_paragraph() -> None:
    alike = AlikePairs(differ("four-way", "reset"), [(n, n + 1) for n in range(1234)])
    first = next(difference_lines(alike, 100)).plain
    assert first == "1,234 connections part at segment 8: streams 0, 1, 2, 3, … of A, 1, 2, 3, 4, … of B"


def test_the_last_line_counts() -> None:
    a, b = captured("accept-queue-full"), captured("accept-queue-overflow")
    assert summary(compare(a, b)).plain == "2 different, 1 only in B, 0 the same"
    assert summary(compare(b, a)).plain == "2 different, 1 only in A, 0 the same"
    same = compare(a, a)
    assert summary(same).plain == "the same: 2 connections"
    assert list(notes(same)) == []
    same.same_elsewhere, same.same_by_sums = 2, 1
    assert [line.plain for line in notes(same)] == [
        "the same but for the address or port of the server: 2 connections",
        "the same in mid-transfer by the number of segments and octets, which alone were compared: 1 connection",
    ]


def test_of_many_that_only_one_has_some_are_named() -> None:
    many = captured("port-scan")
    lines = [line.plain for line in only_lines("B", many, list(range(len(many.connections))), 300)]
    assert len(lines) == 21
    assert lines[0].startswith("only in B: stream 0, ")
    assert lines[-1] == f"only in B: {len(many.connections) - 20} more; --format json lists them"
