"""Where both ends are at a moment that no segment shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.steps.present import present
from handshake_inspect.inspector import inspect
from tests.cli.running import PCAPS

SECOND_NS = 1_000_000_000


def only(name: str) -> Connection:
    (connection,) = inspect(PCAPS / name).connections
    return connection


def test_time_wait_runs_out_by_the_clock_alone() -> None:
    """RFC 9293 §3.6.1: 2MSL after the last ACK its owner is CLOSED."""
    connection = only("four-way.pcap")
    (wait,) = connection.time_wait
    runs = present(connection, wait.earliest_end_ns - 15 * SECOND_NS, None)
    assert (runs.states.originator, runs.states.responder, runs.phase) == ("TIME-WAIT", "CLOSED", "waiting")
    assert runs.waiting == wait
    assert (runs.left_ns, runs.whole_ns) == (15 * SECOND_NS, 60 * SECOND_NS)
    over = present(connection, wait.earliest_end_ns, None)
    assert (over.states.originator, over.states.responder, over.phase) == ("CLOSED", "CLOSED", "over")
    assert over.waiting is None
    assert (over.left_ns, over.whole_ns) == (0, 0)


def test_a_socket_that_is_connected_to_itself_waits_at_both_ends() -> None:
    connection = only("self-connect.pcap")
    (wait,) = connection.time_wait
    for now_ns, state in ((wait.earliest_end_ns - 1, "TIME-WAIT"), (wait.earliest_end_ns, "CLOSED")):
        now = present(connection, now_ns, None).states
        assert (now.originator, now.responder) == (state, state)


def test_of_whose_sockets_were_taken_nothing_is_known() -> None:
    """As its ladder says (`TimeWait.state_after`): the next connection has them."""
    connection = inspect(PCAPS / "time-wait-reused.pcap").connections[0]
    now = present(connection, connection.time_wait[0].left_ns, None)
    assert (now.states.originator, now.phase) == (None, "over")


def test_a_time_wait_that_segments_ended_does_not_run() -> None:
    connection = only("four-way.pcap")
    (wait,) = connection.time_wait
    killed = replace(connection, time_wait=(replace(wait, outcome="killed"),))
    assert present(killed, connection.last_ns, None).phase == "over"


@pytest.mark.parametrize(
    ("name", "states", "phase"),
    [
        ("refused.pcap", ("CLOSED", "CLOSED"), "over"),
        ("half-close.pcap", ("TIME-WAIT", "CLOSED"), "waiting"),
        ("half-closed.pcap", ("FIN-WAIT-2", "CLOSE-WAIT"), "closing"),
        ("unanswered.pcap", ("SYN-SENT", None), "opening"),
    ],
)
def test_the_phase_of_a_connection_at_its_last_segment(name: str, states: tuple[str, str | None], phase: str) -> None:
    connection = only(name)
    at = present(connection, connection.last_ns, None)
    assert (at.states.originator, at.states.responder) == states
    assert at.phase == phase
    assert at.quiet_ns == 0
    assert at.age_ns == connection.last_ns - connection.first_ns
