"""Which socket was which connection, where two addresses were used more than once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.kernel.association import owners
from handshake_inspect.lab.kernel.translation import Life
from tests.lab.kernel.accounts import MS, chain

(RECORDED,) = inspect(Path(__file__).parents[3] / "pcaps" / "four-way.pcap").connections


def connections(*begins_ms: int) -> list[Connection]:
    """Connections of one pair that begin at these times, and end 1 ms later."""
    return [
        replace(RECORDED, stream=number, first_ns=at_ms * MS, last_ns=(at_ms + 1) * MS)
        for number, at_ms in enumerate(begins_ms)
    ]


#: When sockets began, and connections; which connection each socket was, and whether it began it.
ACTIVE: dict[str, tuple[list[int], list[int], list[tuple[int, bool]]]] = {
    "one each": ([0, 100], [1, 101], [(0, True), (1, True)]),
    "both SYNs come after both sockets opened": ([0, 100], [200, 201], [(0, True), (1, True)]),
    "the first SYN was lost": ([0, 100], [101], [(0, False), (0, True)]),
    "the second attempt sent nothing": ([0, 100], [1], [(0, True), (0, False)]),
    "the network made a second from a copy": ([0], [1, 300], [(0, True)]),
    "the network made the first of three from a copy": ([50, 100], [1, 51, 101], [(1, True), (2, True)]),
    "both ends opened at once, this one after the peer's SYN was on its way": ([5], [4], [(0, True)]),
    "as many, but the second socket came after all of them": ([0, 900], [1, 300], [(0, True), (1, False)]),
}


@pytest.mark.parametrize("case", ACTIVE)
def test_a_socket_that_opens_actively_begins_a_connection(case: str) -> None:
    sockets, begins, expected = ACTIVE[case]
    found = [Life(at_ms * MS, active=True) for at_ms in sockets]
    streams = [one.stream for one in owners(found, connections(*begins), begins=True)]
    assert [(stream, life.began) for stream, life in zip(streams, found, strict=True)] == expected


def test_any_other_socket_is_of_the_latest_connection_before_it() -> None:
    found = [Life(at_ms * MS, active=False) for at_ms in (0, 12, 19, 21, 400)]
    assert [one.stream for one in owners(found, connections(10, 20), begins=False)] == [0, 0, 1, 1, 1]
    assert not any(life.began for life in found)


def test_a_look_that_began_before_the_syn_and_took_long_found_the_socket_of_that_syn() -> None:
    late = Life(17 * MS, active=False, traced=[*chain(0, "a", "LISTEN", "SYN-RECEIVED", server=True)])
    late.traced[0] = replace(late.traced[0], time_ns=21 * MS)
    assert [one.stream for one in owners([Life(10 * MS, active=False), late], connections(10, 20), begins=False)] == [
        0,
        1,
    ]


@pytest.mark.parametrize(("begins", "expected"), [(True, [0, 1]), (False, [1, 1])])
def test_samples_may_show_a_socket_first_when_it_is_open(begins: bool, expected: list[int]) -> None:
    found = [Life(16 * MS, active=True), Life(25 * MS, active=False)]
    assert [one.stream for one in owners(found, connections(10, 20), begins=begins, unseen_ns=4 * MS)] == expected


@pytest.mark.parametrize(("unseen_ms", "expected"), [(0, 1), (10, 0)])
def test_a_sampled_socket_may_have_been_there_since_the_look_before(unseen_ms: int, expected: int) -> None:
    found = [Life(15 * MS, active=True)]
    (one,) = owners(found, connections(10, 20), begins=True, unseen_ns=unseen_ms * MS)
    assert (one.stream, found[0].began) == (expected, True)


@pytest.mark.parametrize(("unseen_ms", "expected"), [(0, 0), (4, 1)])
def test_a_sampled_socket_may_have_come_while_the_look_was_taken(unseen_ms: int, expected: int) -> None:
    found = [Life(16 * MS, active=False)]
    (one,) = owners(found, connections(10, 20), begins=False, unseen_ns=unseen_ms * MS)
    assert one.stream == expected
