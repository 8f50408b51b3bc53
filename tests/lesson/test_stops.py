"""Every recorded capture as a lesson: fair questions, each with one right answer, which is that of the steps."""

from __future__ import annotations

from functools import cache

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.lesson.choices import CHOICES, choices_of
from handshake_inspect.lesson.ending import ending_questions
from handshake_inspect.lesson.question import STATE_NAMES, Question
from handshake_inspect.lesson.stops import REPEATING, Stop, stops_of
from handshake_inspect.tcp.sections import RULES, SYN_ACK_IN_SYN_SENT
from handshake_inspect.tcp.states import TRANSITIONS, State
from tests.cli.running import PCAPS

CAPTURES = sorted(path.name for path in PCAPS.glob("*.pcap"))
#: Of captures with very many connections that went alike, so many are looked at.
CONNECTIONS_MAX = 8


@cache
def connections_of(name: str) -> list[tuple[Connection, tuple[Step, ...]]]:
    inspection = inspect(PCAPS / name)
    return [(one, inspection.steps(one.stream)) for one in list(inspection.connections)[:CONNECTIONS_MAX]]


def lesson_of(name: str, stream: int = 0) -> list[Stop]:
    connection, steps = connections_of(f"{name}.pcap")[stream]
    return stops_of(connection, steps)


def asked(name: str, stream: int = 0) -> list[str]:
    """What a lesson asks, short: frame within the connection, whose state, the right answer."""
    return [
        f"{number} {question.end} {question.right}"
        for number, stop in enumerate(lesson_of(name, stream), start=1)
        for question in stop.questions
    ]


@pytest.mark.parametrize("name", CAPTURES)
def test_every_question_has_one_right_answer_which_is_that_of_the_steps(name: str) -> None:
    for connection, steps in connections_of(name):
        stops = stops_of(connection, steps)
        assert [stop.step for stop in stops] == [*steps]
        for stop in stops:
            for question in stop.questions:
                assert question.end is not None
                assert question.right == stop.step.states[question.end].state
                assert question.choices.count(question.right) == 1
        for question in (*ending_questions(connection), *(one for stop in stops for one in stop.questions)):
            assert len({*question.choices}) == len(question.choices) >= CHOICES
            assert question.right in question.choices


@pytest.mark.parametrize("name", CAPTURES)
def test_every_move_is_explained_by_cells_of_the_table_that_lead_there(name: str) -> None:
    for connection, steps in connections_of(name):
        for stop in stops_of(connection, steps):
            for change in stop.changes:
                fired = [one for one in stop.fired if one.end == change.end]
                if change.is_proof or change.disproves or None in (change.before.state, change.after.state):
                    continue
                assert fired[0].before.label == change.before.state
                assert fired[-1].after.label == change.after.state
            for one in stop.fired:
                if one.rule is SYN_ACK_IN_SYN_SENT:
                    continue
                assert TRANSITIONS[one.before][one.events[0]] is one.after
                assert RULES[one.before][one.events[0]] is one.rule


@pytest.mark.parametrize("name", CAPTURES)
def test_who_and_how_long_are_those_of_the_ledger(name: str) -> None:
    for connection, _ in connections_of(name):
        questions = {question.kind: question for question in ending_questions(connection)}
        assert ("timer" in questions) == bool(connection.time_wait)
        if "timer" in questions:
            assert questions["timer"].right == "60 s"
        if "owner" in questions:
            owners = {one.owner for one in connection.time_wait}
            assert (questions["owner"].right == "nobody") == (not owners)
            assert (questions["owner"].right == "both") == (len(owners) == 2)


def test_a_four_way_lesson_asks_for_each_state_once() -> None:
    assert asked("four-way") == [
        "1 originator SYN-SENT",
        "2 responder SYN-RECEIVED",
        "3 originator ESTABLISHED",
        "3 responder ESTABLISHED",
        "8 originator FIN-WAIT-1",
        "9 responder CLOSE-WAIT",
        "9 originator FIN-WAIT-2",
        "10 responder LAST-ACK",
        "11 originator TIME-WAIT",
        "11 responder CLOSED",
    ]


def test_a_syn_that_comes_again_is_asked_about_once() -> None:
    assert asked("unanswered") == ["1 originator SYN-SENT", "2 originator SYN-SENT"]


def test_an_ack_that_is_lost_is_asked_for_under_the_condition_that_it_arrives() -> None:
    stops = lesson_of("lost-third-ack")
    server = [question for stop in stops for question in stop.questions if question.end == "responder"][1:4]
    assert [question.right for question in server] == ["ESTABLISHED", "SYN-RECEIVED", "ESTABLISHED"]
    assert [question.known.basis for question in server if question.known] == ["assumed", "acknowledged", "assumed"]
    assert stops[3].changes[0].disproves


def test_a_simultaneous_open_goes_through_syn_received_and_a_three_way_handshake_past_it() -> None:
    crossing = [one for stop in lesson_of("simultaneous-open") for one in stop.fired if one.end == "originator"]
    assert [one.after for one in crossing[:3]] == [State.SYN_SENT, State.SYN_RECEIVED_ACTIVE, State.ESTABLISHED]
    ordinary = [one for stop in lesson_of("four-way") for one in stop.fired if one.end == "originator"]
    assert [one.after for one in ordinary[:2]] == [State.SYN_SENT, State.ESTABLISHED]
    assert ordinary[1].rule.section == "RFC 9293 §3.10.7.3, fourth"


def test_data_for_an_end_that_has_closed_is_asked_about_and_other_data_is_not() -> None:
    stays = [question for stop in lesson_of("half-close") for question in stop.questions if stop.step.payload_octets]
    assert [(question.end, question.right) for question in stays] == [("originator", "FIN-WAIT-2")]
    assert not [stop for stop in lesson_of("four-way") if stop.step.payload_octets and stop.questions]


def test_a_fin_that_reaches_time_wait_again_is_asked_about() -> None:
    assert "12 originator TIME-WAIT" in asked("time-wait-restarted")


def test_a_fin_that_the_network_copied_says_nothing_of_its_sender() -> None:
    assert [one for one in asked("time-wait-killed") if one.startswith("12 ")] == ["12 originator TIME-WAIT"]


@pytest.mark.parametrize("name", CAPTURES)
def test_who_repeats_waits_for_an_acknowledgment(name: str) -> None:
    for connection, steps in connections_of(name):
        for stop in stops_of(connection, steps):
            for question in stop.questions:
                moves = {change.end for change in stop.changes}
                if question.end == stop.step.sender and question.end not in moves and not stop.step.ignored:
                    assert question.right in REPEATING or connection.originator == connection.responder


def test_one_socket_that_is_both_ends_is_asked_once() -> None:
    assert {one.split()[1] for one in asked("self-connect")} == {"originator"}


def test_no_state_is_asked_for_that_the_capture_does_not_show() -> None:
    assert asked("cut-in-mid-session")[:1] != ["1 originator ESTABLISHED"]
    for stop in lesson_of("cut-in-mid-session"):
        for change in stop.changes:
            if change.before.state is None:
                assert change.end not in {question.end for question in stop.questions}


def test_choices_stand_in_the_order_of_a_connection_with_staying_among_them() -> None:
    for before, row in TRANSITIONS.items():
        for event, after in row.items():
            choices = choices_of(before, after, event)
            assert len(choices) == CHOICES
            assert {before.label, after.label} <= {*choices}
            assert [*choices] == sorted(choices, key=STATE_NAMES.index)


def test_a_reset_is_not_time_wait_and_time_wait_is_a_plausible_error() -> None:
    questions: list[Question] = [question for stop in lesson_of("reset") for question in stop.questions]
    assert [(question.right, "TIME-WAIT" in question.choices) for question in questions[-2:]] == [("CLOSED", True)] * 2
