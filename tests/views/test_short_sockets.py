"""Addresses in little room: they fit, and their ports stay."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.views import table
from handshake_inspect.views.short_sockets import ARROW, NARROW_SOCKETS, SHORTEST_SOCKETS, cut_socket, cut_sockets
from tests.views.sessions import aborted, four_way

LONG = Endpoint("2001:470:1f05:17a6:d69a:20ff:fefd:6b88", 24316)
ENDS = st.builds(Endpoint, st.ip_addresses().map(str), st.integers(0, 65535))


@pytest.mark.parametrize(
    ("socket", "width", "cut"),
    [
        (LONG, 46, "[2001:470:1f05:17a6:d69a:20ff:fefd:6b88]:24316"),
        (LONG, 30, "[2001:470:1…f:fefd:6b88]:24316"),
        (LONG, 11, "…b88]:24316"),
        (Endpoint("192.168.100.200", 443), 14, "…8.100.200:443"),
        (Endpoint("192.168.100.200", 443), 9, "…200:443"),
    ],
)
def test_the_middle_goes(socket: Endpoint, width: int, cut: str) -> None:
    assert cut_socket(str(socket), width) == cut


@given(ENDS, ENDS, st.integers(SHORTEST_SOCKETS, 110))
def test_both_fit_and_ports_stay(left: Endpoint, right: Endpoint, width: int) -> None:
    whole = f"{left}{ARROW}{right}"
    cut = cut_sockets(whole, width)
    assert len(cut) <= width
    assert cut == whole or "…" in cut
    for part, end in zip(cut.split(ARROW), (left, right), strict=True):
        assert part.endswith(f":{end.port}")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_a_table_with_long_addresses_fits_the_terminal(width: int) -> None:
    """At 80 columns the row of one IPv6 connection was 106 columns long, under a heading of 99."""
    connections = [replace(four_way(), originator=LONG, responder=LONG), aborted()]
    laid_out = table.layout(connections, table.connection_columns(1), width)
    lines = [table.GAP.join(cell.text for cell in line).rstrip() for line in laid_out.lines]
    assert max(map(len, lines)) <= width
    assert lines[1].count(":24316") == 2
    assert table.layout(connections, table.connection_columns(1), None).dropped == []


def test_without_a_width_addresses_are_whole() -> None:
    laid_out = table.layout([replace(four_way(), originator=LONG)], table.connection_columns(1), None)
    assert any(str(LONG) in cell.text for line in laid_out.lines for cell in line)


def test_addresses_of_ipv4_are_not_cut_for_other_columns() -> None:
    ends = Endpoint("198.100.100.200", 50000), Endpoint("198.100.100.201", 50001)
    longest = replace(four_way(), originator=ends[0], responder=ends[1])
    for width in range(80, 200):
        (line,) = list(table.layout([longest], table.connection_columns(1), width).lines)[1:]
        assert any(cell.text.rstrip() == f"{ends[0]} → {ends[1]}" for cell in line), width


def test_longer_addresses_below_those_measured_have_what_is_left() -> None:
    ends = Endpoint("198.100.100.200", 50000), Endpoint("198.100.100.201", 50001)
    longest = replace(four_way(), originator=ends[0], responder=ends[1])
    rows = [*[four_way()] * table.ROWS_MEASURED, longest]
    for width, is_whole in ((80, False), (160, True)):
        *_, last = table.layout(rows, table.connection_columns(1), width).lines
        text = table.GAP.join(cell.text for cell in last).rstrip()
        assert len(text) <= width
        assert (f"{ends[0]} → {ends[1]}" in text) == is_whole
    assert len(f"{ends[0]} → {ends[1]}") <= NARROW_SOCKETS
