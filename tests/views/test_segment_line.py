"""The lines of `sniff`: complete in themselves, or as wide as the terminal with the addresses once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.views.segment_line import fitted_lines, segment_line
from tests.views.sessions import aborted, four_way


def test_without_a_terminal_every_line_has_both_addresses() -> None:
    for connection in (four_way(), aborted()):
        for step in connection.steps or ():
            line = segment_line(connection, step).plain
            assert str(connection.originator) in line
            assert str(connection.responder) in line
            assert f"{step.flags} seq={step.symbolic_seq}" in line


@pytest.mark.parametrize("width", [66, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    far = replace(aborted(), originator=Endpoint("2001:db8:0:1111:2222:3333:4444:5555", 50000))
    for connection in (four_way(), far):
        lines = [
            line.plain
            for number, step in enumerate(connection.steps or ())
            for line in fitted_lines(connection, step, width, first=number == 0)
        ]
        assert all(cell_len(line) <= width for line in lines)
        said = " ".join(" ".join(lines).split())
        assert said.count(str(connection.originator)) == 1
        for step in connection.steps or ():
            assert f"{step.flags} seq={step.symbolic_seq}" in said


def test_a_window_that_is_closed_is_told() -> None:
    connection = four_way()
    step = replace((connection.steps or ())[4], at_closed_window=True, window_octets=0)
    assert segment_line(connection, step).plain.endswith(" win=0")


def test_what_does_not_fit_stands_below_the_segment() -> None:
    connection = aborted()
    ignored = next(step for step in connection.steps or () if step.ignored is not None)
    first, *others = (line.plain for line in fitted_lines(connection, ignored, 80, first=False))
    assert others
    assert all(line.startswith(" " * first.index("RST seq=")) for line in others)
