"""Which columns of the list are shown at a width, and how the room is dealt out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.connections.connection import Connection, Endpoint
from handshake_inspect.connections.steps.present import present
from handshake_inspect.inspector import inspect
from handshake_inspect.screen.columns import cell_of, columns_for, placed
from handshake_inspect.views.table import cell_width
from tests.cli.running import PCAPS
from tests.views.sessions import aborted, four_way

LONG = Endpoint("2001:470:1f05:17a6:d69a:20ff:fefd:6b88", 24316)


def closed_by(kind: str, count: int) -> list[Connection]:
    return [replace(four_way(), teardown=replace(four_way().teardown, kind=kind)) for _ in range(count)]  # type: ignore[arg-type]


#: Words as long as there are, but few of the longest, and one long address.
MIXED = [
    replace(four_way(), originator=LONG),
    *closed_by("four-way", 80), *closed_by("three-segment", 30), *closed_by("reset-after-fin", 10),
    *closed_by("simultaneous-close", 1), aborted(),
]  # fmt: skip


def cells(connection: Connection, width: int) -> dict[str, str]:
    columns = columns_for(is_live=False, captures=1, sample=MIXED)
    at = present(connection, 0, None)
    return {
        one.column.title: "".join(text for text, _ in cell_of(one, connection, at)) for one in placed(columns, width)
    }


@pytest.mark.parametrize("width", [76, 78, 98, 118, 158])
def test_words_are_whole_before_one_long_address(width: int) -> None:
    """`three-seg…` stood between blanks where one IPv6 address was among the connections."""
    for connection in MIXED[1:]:
        shown = cells(connection, width)
        is_rare = connection.teardown.kind == "simultaneous-close"
        if not (is_rare and width < 98):
            assert shown["closed"].strip() == connection.teardown.kind
        assert shown["opened"].strip() == connection.handshake.kind
        assert shown["originator"].rstrip().endswith(f":{connection.originator.port}")
    for title, gap in ("originator", 1), ("responder", 2):
        assert cell_width(cells(MIXED[0], width)[title]) + gap < width // 2
    assert cells(MIXED[0], width)["originator"].endswith("88]:24316")


def test_optional_columns_cut_no_words() -> None:
    for width in range(68, 200):
        shown = cells(MIXED[-2], width)
        assert "findings" in shown
        if {"octets", "RTT", "lasted", "states"} & {*shown}:
            assert shown["closed"].strip() == "simultaneous-close"
    assert {"octets", "RTT", "lasted"} <= {*shown}


def test_of_long_addresses_the_responder_is_whole_first() -> None:
    columns = columns_for(is_live=False, captures=1, sample=[replace(four_way(), originator=LONG, responder=LONG)])
    widths = {one.column.title: one.width for one in placed(columns, 118)}
    assert widths["responder"] == cell_width(str(LONG)) + 2
    assert widths["originator"] < cell_width(str(LONG))


def test_a_word_that_stands_further_down_has_its_room() -> None:
    """The widths come from a sample; the words of all connections are known."""
    judged = inspect(str(PCAPS / "simultaneous-close.pcap")).connections.verdicts.judgements
    columns = columns_for(is_live=False, captures=1, sample=[four_way()], judged=judged)
    widths = {one.column.title: one.width for one in placed(columns, 118)}
    assert widths["closed"] == len("simultaneous-close")
