"""What stands on a ladder, as data: states after each row, what is written there, and when a wait is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect.connections.connection import ENDS
from handshake_inspect.inspector import inspect
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.rungs import CallRung, FoldRung, Rung, Spelling, Standing
from tests.views.sessions import PAYLOAD, calls, four_way, long_transfer

PCAPS = Path(__file__).parents[2] / "pcaps"
CAPTURES = ["four-way", "lost-third-ack", "simultaneous-open", "self-connect", "refused", "cut-in-mid-session", "reset"]


@pytest.mark.parametrize("name", CAPTURES)
def test_a_lane_changes_only_where_a_state_is_written(name: str) -> None:
    ladder = ladder_of(*inspect(PCAPS / f"{name}.pcap").described(0))
    for before, row in zip(ladder.rows, ladder.rows[1:], strict=False):
        written = row.written if isinstance(row, Rung | Standing) else None
        for end in ENDS:
            said = None if written is None else written[end]
            assert row.states[end] == (said or before.states[end])


@pytest.mark.parametrize("name", CAPTURES)
def test_what_is_written_are_the_states_of_the_connection(name: str) -> None:
    connection, steps = inspect(PCAPS / f"{name}.pcap").described(0)
    ladder = ladder_of(connection, steps)
    for end in ENDS:
        written = [row.written[end] for row in ladder.rows if isinstance(row, Rung | Standing)]
        proven = [at.state for at in written if at is not None and at.state is not None and not at.disproved]
        assert tuple(dict.fromkeys(proven)) == tuple(dict.fromkeys(connection.states[end] or ()))


def test_what_an_end_passes_when_it_acts_at_once_was_received() -> None:
    """FIN and ACK in one segment: CLOSE-WAIT is by the peer's FIN, which the ACK proves, LAST-ACK by its own."""
    rows = ladder_of(*inspect(PCAPS / "three-segment.pcap").described(0)).rows
    written = [row.written.responder for row in rows if isinstance(row, Rung | Standing)]
    closing = [(at.state, at.basis) for at in written if at is not None and at.state in ("CLOSE-WAIT", "LAST-ACK")]
    assert closing == [("CLOSE-WAIT", "acknowledged"), ("LAST-ACK", "sent")]


def test_calls_stand_between_the_segments_and_only_the_shown_octets_are_spelled() -> None:
    connection = four_way()
    assert connection.steps is not None
    ladder = ladder_of(
        connection, connection.steps, calls=calls(), payload=PAYLOAD, spelling=Spelling(payload_octets=2)
    )
    assert {row.payload for row in ladder.rows if isinstance(row, Rung)} == {"", '"bi"…', '"BI"…'}
    called = [row for row in ladder.rows if isinstance(row, CallRung)]
    assert {row.is_right for row in called} == {False, True}
    times = [float(row.time) for row in ladder.rows if row.time]
    assert times == sorted(times) and times[0] < 0


def test_a_long_transfer_is_folded_unless_all_is_wanted() -> None:
    connection = long_transfer()
    steps = connection.steps
    assert steps is not None
    (folded,) = [row for row in ladder_of(connection, steps).rows if isinstance(row, FoldRung)]
    shown = [row for row in ladder_of(connection, steps).rows if isinstance(row, Rung)]
    assert len(shown) + len(folded.folded.steps) == len(steps)
    assert "all acknowledged" in folded.text
    whole = ladder_of(connection, steps, spelling=Spelling(fold=False)).rows
    assert [row.step for row in whole if isinstance(row, Rung)] == list(steps)


def test_whoever_waits_is_over_it_one_after_the_other() -> None:
    connection, steps = inspect(PCAPS / "simultaneous-close.pcap").described(0)
    first, second = ladder_of(connection, steps).deadlines
    assert first.wait.earliest_end_ns <= second.wait.earliest_end_ns
    assert [first.states[end].state for end in ENDS].count("TIME-WAIT") == 1
    assert [(second.states[end].state, second.states[end].basis) for end in ENDS] == [("CLOSED", "timer")] * 2


def test_nobody_waits_where_the_last_state_is_another() -> None:
    for name in ("refused", "reset", "time-wait-killed"):
        assert ladder_of(*inspect(PCAPS / f"{name}.pcap").described(0)).deadlines == []


def test_a_socket_that_is_connected_to_itself_leaves_time_wait_at_both_ends() -> None:
    (deadline,) = ladder_of(*inspect(PCAPS / "self-connect.pcap").described(0)).deadlines
    assert [(deadline.states[end].state, deadline.states[end].basis) for end in ENDS] == [("CLOSED", "timer")] * 2
    assert deadline.written == deadline.states


def test_of_whose_sockets_were_taken_in_time_wait_nothing_is_known_after() -> None:
    (deadline,) = ladder_of(*inspect(PCAPS / "time-wait-reused.pcap").described(0)).deadlines
    assert (deadline.states.originator.state, deadline.states.responder.state) == (None, "CLOSED")
