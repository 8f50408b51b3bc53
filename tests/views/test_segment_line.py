"""The lines of `sniff`: complete in themselves, or as wide as the terminal with the addresses once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from handshake_inspect.connections.connection import Connection, Endpoint, Pair, SackBlock, StateAt, Step
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


def test_the_blocks_of_sack_are_told() -> None:
    connection = four_way()
    step = replace((connection.steps or ())[4], sack=(SackBlock(1, 1001, is_duplicate=True), SackBlock(2001, 3001)))
    assert segment_line(connection, step).plain.endswith(" dsack=x+1+(0-1000) sack=x+1+(2000-3000)")


def test_what_does_not_fit_stands_below_the_segment() -> None:
    connection = aborted()
    ignored = next(step for step in connection.steps or () if step.ignored is not None)
    first, *others = (line.plain for line in fitted_lines(connection, ignored, 80, first=False))
    assert others
    assert all(line.startswith(" " * first.index("RST seq=")) for line in others)


def test_no_line_ends_with_spaces_however_narrow_the_terminal() -> None:
    connection = four_way()
    for width in (40, 60, 80):
        lines = [line for step in connection.steps or () for line in fitted_lines(connection, step, width, first=False)]
        assert [line.plain for line in lines] == [line.plain.rstrip() for line in lines]


def test_what_changed_stands_out_and_what_did_not_is_faint() -> None:
    connection = four_way()
    before: Pair[StateAt] | None = None
    for step in connection.steps or ():
        changed = {"reverse": 0, "underline": 0, "dim": 0}
        line = segment_line(connection, step, before=before)
        for span in line.spans:
            changed = {style: count + (style in str(span.style).split()) for style, count in changed.items()}
        if before is not None:
            moved = sum(before[end].state != step.states[end].state for end in ("originator", "responder"))
            assert changed["reverse"] + changed["underline"] == moved, line.plain
            alike = sum(before[end] == step.states[end] for end in ("originator", "responder"))
            assert changed["dim"] >= alike, line.plain
        before = step.states


def test_the_end_of_time_wait_is_told_with_its_assumption() -> None:
    connection = four_way()
    (wait,) = connection.time_wait
    line = segment_line(connection, wait).plain
    assert "CLOSED~" in line.split(str(connection.responder))[0]
    assert line.endswith("2MSL over (Linux: 60 s after the last ACK)")
    assert all(len(one.plain) <= 80 for one in fitted_lines(connection, wait, 80, first=False))


@pytest.mark.parametrize("width", [None, 100])
def test_the_interface_stands_there_if_there_are_several(width: int | None) -> None:
    connection, step = four_way(), (four_way().steps or ())[0]
    assert said(connection, step, width, "eth0").count("eth0") == 1
    assert "eth0" not in said(connection, step, width, "")


def said(connection: Connection, step: Step, width: int | None, where: str) -> str:
    if width is None:
        return segment_line(connection, step, where=where).plain
    return " ".join(line.plain for line in fitted_lines(connection, step, width, first=True, where=where))
