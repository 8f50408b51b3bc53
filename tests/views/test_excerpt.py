"""Part of a ladder: the same rows as in the whole, after the states that the ends were in before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.text import Text

from handshake_inspect import inspect
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.views.ladder import LadderOptions, SocketCall, excerpt, ladder_parts
from tests.views.sessions import calls, four_way

PCAPS = Path(__file__).parents[2] / "pcaps"
OPTIONS = LadderOptions(width=110)


def rows(lines: Sequence[Text]) -> list[str]:
    """Return the rows between the heading and the legend."""
    plain = [line.plain for line in lines]
    begin = next(place for place, line in enumerate(plain) if " ms " in line or " s " in line) + 1
    return plain[begin : plain.index("", begin)]


def words(row: str) -> list[str]:
    """Return what a row says; an excerpt needs less room for its arrows."""
    return row.translate(str.maketrans("─◀▶", "   ")).split()


def drawn(connection: Connection, part: Sequence[Step], *, beside: Sequence[SocketCall] = ()) -> list[Text]:
    steps = connection.steps or ()
    return excerpt(connection, steps, part, title=[Text("part")], calls=beside, options=OPTIONS)


def test_an_excerpt_of_everything_has_the_rows_of_the_ladder() -> None:
    session = four_way()
    steps = session.steps or ()
    whole = ladder_parts(session, steps, title="echo", calls=calls(), options=OPTIONS).lines
    assert rows(drawn(session, steps, beside=calls())) == rows(whole)


@pytest.mark.parametrize("first", range(1, 11))
def test_the_first_row_has_the_states_of_both_ends_before_it(first: int) -> None:
    session = four_way()
    steps = session.steps or ()
    before = rows(drawn(session, steps[first:]))[0].replace("?", " ")
    states = steps[first - 1].states
    assert before.split() == [states.originator.state, states.responder.state]


def test_times_and_numbers_are_those_of_the_whole() -> None:
    session = four_way()
    steps = session.steps or ()
    whole = rows(ladder_parts(session, steps, title="echo", options=OPTIONS).lines)
    last = rows(drawn(session, steps[-1:]))[-1]
    assert words(last) in map(words, whole)
    assert "ack=w+1" in last


def test_with_the_segments_come_the_calls_next_to_them() -> None:
    session = four_way()
    steps = session.steps or ()
    syn = [line for line in rows(drawn(session, steps[:1], beside=calls())) if "(" in line]
    assert "connect(" in "".join(syn)
    assert "send(" not in "".join(syn)
    last = [line for line in rows(drawn(session, steps[-1:], beside=calls())) if "(" in line]
    assert "connect(" not in "".join(last)
    assert "close()" in "".join(last)


def test_the_letters_that_are_used_are_explained() -> None:
    session = four_way()
    steps = session.steps or ()
    opening = "\n".join(line.plain for line in drawn(session, steps[:3]))
    assert "x: number of the client's SYN · y: number of the server's SYN" in opening
    assert "u:" not in opening
    assert "u: number of the first FIN" in "\n".join(line.plain for line in drawn(session, steps[-3:]))


def test_an_icmp_error_comes_with_the_segment_it_is_next_to() -> None:
    found = inspect(PCAPS / "path-mtu.pcap")
    connection, steps = found.connections[0], found.steps(0)
    (error,) = connection.icmp_errors
    at = next(place for place, step in enumerate(steps) if step.time_ns > error.time_ns)

    def text(part: Sequence[Step]) -> str:
        return "\n".join(line.plain for line in excerpt(connection, steps, part, title=[Text("part")], options=OPTIONS))

    assert "fragmentation needed" in text(steps[at - 1 : at])
    assert "fragmentation needed" not in text(steps[: at - 1])
