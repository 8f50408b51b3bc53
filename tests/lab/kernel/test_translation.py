"""The table of differences line by line, from accounts put together by hand (`test_real_kernel` has the real ones)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.account import KernelAccount, KernelChange
from handshake_inspect.lab.kernel.differences import DIFFERENCES, Difference
from handshake_inspect.lab.kernel.translation import KernelState, lives, with_ports
from tests.lab.kernel.accounts import CLIENT, MS, SERVER, account, chain, sampled, traced

OPENED = ("CLOSED", "SYN-SENT", "ESTABLISHED")
ACCEPTED = ("LISTEN", "SYN-RECEIVED", "ESTABLISHED")
CLOSED_FIRST = (*OPENED, "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED")


def told(states: list[KernelState]) -> list[tuple[str, str | None, bool]]:
    return [(state.state, state.note, state.optional) for state in states]


def ending(*changes: KernelChange, server: bool = False, sampled_only: bool = False) -> list[KernelState]:
    ends = (SERVER, CLIENT) if server else (CLIENT, SERVER)
    (life,) = lives(account(*changes, sampled_only=sampled_only), *ends)
    return life.states


def test_an_open_and_close_that_is_told_as_the_rfc_has_it_is_left_alone() -> None:
    states = ending(*chain(0, "a", *ACCEPTED, "CLOSE-WAIT", "LAST-ACK", "CLOSED", server=True), server=True)
    assert [state.state for state in states] == [*ACCEPTED, "CLOSE-WAIT", "LAST-ACK", "CLOSED"]
    assert {state.note for state in states} == {None, "request"}


def test_time_wait_is_a_mini_socket() -> None:
    states = ending(*chain(0, "a", *CLOSED_FIRST), sampled(6, "7", "mini", None, "TIME-WAIT"))
    assert told(states)[-2:] == [("FIN-WAIT-2", None, False), ("TIME-WAIT", "mini", False)]
    assert states[-1].time_ns == 4 * MS, "the tracepoint has the time, not the sample"


def test_so_it_is_after_closing() -> None:
    closing = (*OPENED, "FIN-WAIT-1", "CLOSING", "CLOSED")
    states = ending(*chain(0, "a", *closing), sampled(6, "7", "mini", None, "TIME-WAIT"))
    assert told(states)[-2:] == [("CLOSING", None, False), ("TIME-WAIT", "mini", False)]


def test_an_orphan_is_a_mini_socket_in_fin_wait_2_already() -> None:
    minis = [sampled(5, "7", "mini", None, "FIN-WAIT-2"), sampled(300, "7", "mini", "FIN-WAIT-2", "TIME-WAIT")]
    states = ending(*chain(0, "a", *CLOSED_FIRST), *minis)
    assert told(states)[-2:] == [("FIN-WAIT-2", "orphan", False), ("TIME-WAIT", "mini", False)]
    assert states[-1].time_ns == 300 * MS


def test_an_orphan_may_be_given_up() -> None:
    minis = [sampled(5, "7", "mini", None, "FIN-WAIT-2"), sampled(900, "7", "mini", "FIN-WAIT-2", None)]
    assert told(ending(*chain(0, "a", *CLOSED_FIRST), *minis))[-1] == ("CLOSED", "silent", True)


def test_a_mini_socket_that_was_not_seen_may_have_been_there() -> None:
    (life,) = lives(account(*chain(0, "a", *CLOSED_FIRST)), CLIENT, SERVER)
    assert told(life.states)[-1] == ("CLOSED", "mini-unseen", True)
    assert life.hidden == {"TIME-WAIT": "mini-unseen"}


def test_a_reset_in_another_state_is_no_time_wait() -> None:
    (life,) = lives(account(*chain(0, "a", *OPENED, "FIN-WAIT-1", "CLOSED")), CLIENT, SERVER)
    assert told(life.states)[-1] == ("CLOSED", None, False)
    assert not life.hidden


def test_a_mini_socket_that_is_gone_ends_time_wait() -> None:
    minis = [sampled(6, "7", "mini", None, "TIME-WAIT"), sampled(800, "7", "mini", "TIME-WAIT", None)]
    assert told(ending(*chain(0, "a", *CLOSED_FIRST), *minis))[-1] == ("CLOSED", "time-wait-over", True)


def test_a_half_open_connection_is_a_request_socket() -> None:
    seen = [
        sampled(0, "9", "request", None, "SYN-RECEIVED", server=True),
        sampled(1000.5, "9", "socket", "SYN-RECEIVED", "ESTABLISHED", server=True),
    ]
    states = ending(*seen, *chain(1000, "b", *ACCEPTED, server=True), server=True)
    assert told(states) == [("LISTEN", None, False), ("SYN-RECEIVED", "request", False), ("ESTABLISHED", None, False)]
    assert [state.time_ns for state in states] == [None, 0, 1001 * MS]


def test_a_request_that_goes_leaves_the_listener() -> None:
    seen = [
        sampled(0, "9", "request", None, "SYN-RECEIVED", server=True),
        sampled(1000, "9", "request", "SYN-RECEIVED", None, server=True),
    ]
    assert told(ending(*seen, server=True)) == [
        ("LISTEN", None, False),
        ("SYN-RECEIVED", "request", False),
        ("LISTEN", "request-gone", True),
    ]


def test_an_address_without_a_socket_has_no_life() -> None:
    assert lives(account(*chain(0, "a", *OPENED)), SERVER, CLIENT) == []


def test_the_first_change_of_an_active_open_gets_its_port_from_the_next() -> None:
    both = account(*chain(0, "a", *OPENED, "CLOSED"), *chain(10, "a", "CLOSED", "SYN-SENT", "CLOSED"))
    assert [[state.state for state in life.states] for life in lives(both, CLIENT, SERVER)] == [
        [*OPENED, "CLOSED"],
        ["CLOSED", "SYN-SENT", "CLOSED"],
    ]


def test_or_from_the_samples_if_there_is_no_next() -> None:
    states = ending(*chain(0, "a", "CLOSED", "SYN-SENT"), sampled(0.5, "7", "socket", None, "SYN-SENT"))
    assert told(states) == [("CLOSED", None, False), ("SYN-SENT", None, False)]


def test_one_that_nobody_knows_is_nobodys() -> None:
    assert lives(account(*chain(0, "a", "CLOSED", "SYN-SENT")), CLIENT, SERVER) == []


def test_many_that_stay_in_syn_sent_get_the_sampled_ports_in_order() -> None:
    ends = [Endpoint(CLIENT.ip, port) for port in (40001, 40002, 40003)]
    opens = [traced(n / 10, name, "CLOSED", "SYN-SENT", port=False) for n, name in enumerate("abc")]
    seen = [replace(sampled(5, end.ip, "socket", None, "SYN-SENT"), socket=str(end), local=end) for end in ends]
    told = account(*opens, *seen)
    assert [change.local for change in with_ports(told.changes)[:3]] == ends
    for end, opened in zip(ends, opens, strict=True):
        (life,) = lives(told, end, SERVER)
        assert [state.state for state in life.states] == ["CLOSED", "SYN-SENT"]
        assert life.begin_ns == opened.time_ns


def test_a_port_that_another_socket_was_told_of_is_not_given_again() -> None:
    known, unknown = chain(0, "a", *OPENED), chain(5, "b", "CLOSED", "SYN-SENT")
    told = account(*known, sampled(0.5, "7", "socket", None, "SYN-SENT"), *unknown)
    assert [change.local.port for change in with_ports(told.changes) if change.socket == "skaddr b"] == [0]
    assert len(lives(told, CLIENT, SERVER)) == 1


def test_at_a_listener_another_request_may_have_come_and_gone() -> None:
    unseen = {"LISTEN": "request-unseen", "SYN-RECEIVED": "request-unseen"}
    (life,) = lives(account(*chain(0, "b", *ACCEPTED, server=True)), SERVER, CLIENT)
    assert life.hidden == unseen
    (life,) = lives(account(*chain(0, "a", *OPENED)), CLIENT, SERVER)
    assert life.hidden == {}


def test_a_sample_that_began_before_the_socket_was_born_belongs_to_it() -> None:
    early = sampled(-0.1, "7", "socket", None, "SYN-SENT")
    assert told(ending(early, *chain(0, "a", *OPENED))) == [(state, None, False) for state in OPENED]


def test_a_pair_that_is_used_again_has_two_lives_each_with_its_mini_socket() -> None:
    again: KernelAccount = account(
        *chain(0, "a", *CLOSED_FIRST),
        sampled(6, "7", "mini", None, "TIME-WAIT"),
        sampled(1000, "7", "mini", "TIME-WAIT", None),
        *chain(1000.5, "c", *CLOSED_FIRST),
        sampled(1006, "8", "mini", None, "TIME-WAIT"),
    )
    first, second = lives(again, CLIENT, SERVER)
    assert told(first.states)[-1] == ("CLOSED", "time-wait-over", True)
    assert told(second.states)[-1] == ("TIME-WAIT", "mini", False)


def test_samples_alone_are_one_life_for_each_cookie() -> None:
    seen = [
        sampled(0, "7", "socket", None, "ESTABLISHED"),
        sampled(50, "7", "mini", "ESTABLISHED", "FIN-WAIT-2"),
        sampled(300, "7", "mini", "FIN-WAIT-2", "TIME-WAIT"),
        sampled(900, "7", "mini", "TIME-WAIT", None),
        sampled(901, "8", "socket", None, "SYN-SENT"),
    ]
    first, second = lives(account(*seen, sampled_only=True), CLIENT, SERVER)
    assert [state.state for state in first.states] == ["ESTABLISHED", "FIN-WAIT-2", "TIME-WAIT", "CLOSED"]
    assert (first.active, second.active) == (False, True)


@pytest.mark.parametrize("one", DIFFERENCES, ids=lambda one: one.code)
def test_a_line_of_the_table_is_short_and_has_its_reason(one: Difference) -> None:
    assert len(one.kernel) <= 47
    assert len(one.reason) <= 94
    assert one.reason.endswith(".")


def test_a_look_may_reach_a_socket_just_as_its_mini_socket_takes_over() -> None:
    seen = [
        sampled(0, "7", "socket", None, "FIN-WAIT-1"),
        sampled(1, "7", "socket", "FIN-WAIT-1", "CLOSED"),
        sampled(2, "7", "mini", "CLOSED", "TIME-WAIT"),
        sampled(900, "7", "mini", "TIME-WAIT", None),
    ]
    assert [state.state for state in ending(*seen)] == ["FIN-WAIT-1", "TIME-WAIT", "CLOSED"]
    assert [state.state for state in ending(*seen[:2])] == ["FIN-WAIT-1", "CLOSED"], "nothing took over"
