"""What no segment shows: each rule applies where its segment is absent, or present, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect.connections.connection import End, Step
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.kernel.account import KernelAccount, KernelChange
from handshake_inspect.lab.kernel.translation import NO_SOCKET, Life, lives
from handshake_inspect.lab.kernel.uncaptured import hidden_of, states_of
from tests.lab.kernel.accounts import CLIENT, MS, SERVER, account, chain, sampled

OPENED = ("CLOSED", "SYN-SENT", "ESTABLISHED")
ATTEMPT = ("CLOSED", "SYN-SENT", "CLOSED")
SEGMENT = inspect(Path(__file__).parents[3] / "pcaps" / "four-way.pcap").steps(0)[0]
SYN = [replace(SEGMENT, time_ns=0, sender="originator", flags="SYN")]

Told = list[tuple[str, str | None, bool]]


def at(ms: int, flags: str, sender: End = "originator") -> Step:
    return replace(SEGMENT, time_ns=ms * MS, flags=flags, sender=sender)


def told(
    changes: Sequence[KernelChange], steps: Sequence[Step], *, began: Sequence[bool] = (), server: bool = False
) -> Told:
    """The states of all sockets of one end; `began`: which of them began a connection that was captured."""
    one: KernelAccount = account(*changes)
    found = lives(one, *((SERVER, CLIENT) if server else (CLIENT, SERVER)))
    for life, has_begun in zip(found, began, strict=False):
        life.began = has_begun
    states = states_of(found, "responder" if server else "originator", steps, one)
    return [(state.state, state.note, state.optional) for state in states]


FIRST: Told = [(state, None, False) for state in OPENED]
TRIED: Told = [(state, "no-syn", True) for state in ATTEMPT]


def test_an_attempt_without_a_syn_is_no_state_of_the_connection_before() -> None:
    changes = [*chain(0, "a", *OPENED), *chain(100, "b", *ATTEMPT)]
    assert told(changes, SYN, began=[True, False]) == FIRST + TRIED


@pytest.mark.parametrize(
    ("states", "steps", "began"),
    [
        (ATTEMPT, [*SYN, at(100, "SYN")], False),  # a SYN was captured just then
        (ATTEMPT, SYN, True),  # a connection began with it, later
        ((*OPENED, "FIN-WAIT-1", "CLOSED"), [*SYN, at(100, "SYN")], False),
    ],
)
def test_whatever_else_a_second_socket_was_must_be_captured(
    states: tuple[str, ...], steps: list[Step], began: bool
) -> None:
    rows = told([*chain(0, "a", *OPENED), *chain(100, "b", *states)], steps, began=[True, began])
    assert ("SYN-SENT", None, False) in rows[len(FIRST) :]


def test_a_socket_put_back_by_repair_is_established_without_a_syn() -> None:
    changes = [*chain(0, "a", *OPENED, "CLOSED"), *chain(100, "b", *OPENED, "FIN-WAIT-1")]
    assert told(changes, [*SYN, at(103, "FIN,ACK")], began=[True, False]) == [
        *FIRST,
        ("CLOSED", "silent", True),
        ("SYN-SENT", "repair", True),
        ("ESTABLISHED", "repair", True),
        ("FIN-WAIT-1", None, False),
    ]


@pytest.mark.parametrize(
    ("steps", "note"),
    [
        ([*SYN], "no-fin"),
        ([*SYN, at(3, "FIN,ACK", "responder")], "no-fin"),
        ([*SYN, at(3, "FIN,ACK")], None),
        ([*SYN, at(500, "FIN,ACK")], "no-fin"),  # it came when the socket was gone
    ],
)
def test_a_fin_that_never_came_to_where_we_captured_shows_no_state(steps: list[Step], note: str | None) -> None:
    rows = told(chain(0, "a", *OPENED, "FIN-WAIT-1", "CLOSED"), steps, began=[True])
    assert ("FIN-WAIT-1", note, note is not None) in rows


def test_so_it_is_with_a_first_socket_that_is_older_than_the_capture() -> None:
    changes = chain(100, "a", *OPENED, "CLOSED")
    assert told(changes, [at(102, "RST,ACK")], began=[True]) == [
        *((state, "repair", True) for state in OPENED),
        ("CLOSED", None, False),
    ]


def test_so_it_is_if_it_was_only_sampled() -> None:
    seen = [
        sampled(1, "7", "socket", None, "ESTABLISHED"),
        sampled(100, "7", "socket", "ESTABLISHED", None),
        sampled(101, "8", "socket", None, "ESTABLISHED"),
    ]
    assert told(seen, SYN)[-2:] == [("CLOSED", "silent", True), ("ESTABLISHED", "repair", True)]
    assert told(seen, [*SYN, at(100, "SYN")])[-1] == ("ESTABLISHED", None, False)
    assert told(seen[2:], SYN) == [("ESTABLISHED", None, False)], "the first may have been there before the capture"
    assert told(seen[2:], [at(102, "RST,ACK")])[0] == ("ESTABLISHED", "repair", True), "it was: no SYN is there"


FIN_IS_ANSWERED = [*SYN, at(3, "FIN,ACK"), at(6, "FIN,ACK", "responder")]


@pytest.mark.parametrize(("at_ms", "passing"), [(6, True), (5, True), (4, False), (3, False)])
def test_a_state_within_one_segment_is_not_there_before_that_segment(at_ms: int, passing: bool) -> None:
    """A trace has its time to the millisecond in which a segment moves a socket."""
    changes = chain(0, "a", *OPENED, "FIN-WAIT-1")
    changes += [replace(one, time_ns=at_ms * MS) for one in chain(9, "a", "FIN-WAIT-1", "FIN-WAIT-2")]
    changes += chain(7, "a", "FIN-WAIT-2", "CLOSED")
    rows = told(changes, FIN_IS_ANSWERED, began=[True])
    assert ("FIN-WAIT-2", "one-segment" if passing else None, passing) in rows


def test_the_third_segment_may_have_a_fin() -> None:
    changes = chain(0, "b", "LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", server=True)
    with_fin = [*SYN, at(0, "SYN,ACK", "responder"), at(1, "FIN,ACK")]
    assert ("ESTABLISHED", "one-segment", True) in told(changes, with_fin, server=True)
    assert ("ESTABLISHED", None, False) in told(changes, [*with_fin[:2], at(1, "ACK"), at(9, "FIN,ACK")], server=True)


def test_a_look_that_began_before_a_segment_and_took_long_shows_what_that_segment_did() -> None:
    """The longest look takes 2 ms here, and a segment moves a socket within one more."""
    seen = [
        sampled(0, "7", "socket", None, "ESTABLISHED"),
        sampled(10, "7", "socket", "ESTABLISHED", "LAST-ACK"),
        sampled(11, "7", "socket", "LAST-ACK", None),
    ]
    assert ("LAST-ACK", None, False) in told(seen, [*SYN, at(14, "FIN,ACK")])
    assert ("LAST-ACK", "no-fin", True) in told(seen, [*SYN, at(15, "FIN,ACK")])
    assert told(seen, [*SYN, at(14, "RST", "responder")])[-1] == ("CLOSED", None, False)
    assert told(seen, [*SYN, at(15, "RST", "responder")])[-1] == ("CLOSED", "silent", True)


REQUEST = [
    sampled(0, "9", "request", None, "SYN-RECEIVED", server=True),
    sampled(50, "9", "request", "SYN-RECEIVED", None, server=True),
]


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        ([at(50, "RST", "responder")], ("CLOSED", "request-reset", True)),
        ([at(50, "RST", "originator")], ("LISTEN", "request-gone", True)),
        ([at(10, "RST", "responder")], ("LISTEN", "request-gone", True)),  # it answered something else
        ([], ("LISTEN", "request-gone", True)),
    ],
)
def test_a_request_that_goes_with_an_rst_of_its_own_was_aborted(steps: list[Step], last: tuple[str, str, bool]) -> None:
    assert told(REQUEST, steps, server=True)[-1] == last


def test_an_rst_ends_a_socket_not_in_silence() -> None:
    changes = chain(0, "a", *OPENED, "CLOSED")
    assert told(changes, [*SYN, at(3, "RST,ACK", "responder")])[-1] == ("CLOSED", None, False)
    assert told(changes, SYN)[-1] == ("CLOSED", "silent", True)


def test_a_syn_that_repeats_an_earlier_connections_is_of_no_socket() -> None:
    late = [at(300, "SYN")]
    assert hidden_of([], "originator", late, SYN) == NO_SOCKET | {"SYN-SENT": "old-copy"}
    assert hidden_of([], "responder", late, SYN) == NO_SOCKET


@pytest.mark.parametrize("other", [{"seq": SEGMENT.seq + 1}, {"sender": "responder"}, {"flags": "SYN,ACK"}])
def test_another_syn_is_no_copy(other: dict[str, object]) -> None:
    late = [replace(SYN[0], time_ns=300 * MS, **other)]  # type: ignore[arg-type]
    assert hidden_of([], "originator", late, SYN) == NO_SOCKET
    assert hidden_of([], "originator", SYN, []) == NO_SOCKET


def test_an_end_with_a_socket_hides_only_what_that_may_hide() -> None:
    life = Life(0, active=True, hidden={"TIME-WAIT": "mini-unseen"})
    assert hidden_of([life], "originator", SYN, SYN) == {"TIME-WAIT": "mini-unseen"}


def test_an_originator_without_a_syn_in_the_capture_began_before_it() -> None:
    """As TCP_REPAIR puts a socket back, whether or not its opening was told as an active one."""
    repaired: Told = [(state, "repair", True) for state in OPENED]
    changes = chain(0, "a", *OPENED)
    one = account(*changes)
    for active in (True, False):
        (life,) = lives(one, CLIENT, SERVER)
        life.active = active
        found = states_of([life], "originator", [at(5, "RST")], one)
        assert [(state.state, state.note, state.optional) for state in found] == repaired
        found = states_of([life], "originator", SYN, one)
        assert [state.note for state in found] == [None] * len(OPENED)
