"""What a learner types, and what it means."""

from __future__ import annotations

import pytest

from handshake_inspect.lesson.question import AnswerError, Question, understood
from handshake_inspect.tcp.states import State

STATE = Question(
    "state", ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"), "FIN-WAIT-1", "FIN-WAIT-1", "originator",
    State.ESTABLISHED,
)  # fmt: skip
OWNER = Question("owner", ("the client", "the server", "both", "nobody"), "the client", "who-waits")
TIMER = Question("timer", ("30 s", "60 s", "120 s", "240 s"), "60 s", "why-2msl", "originator", State.TIME_WAIT)


@pytest.mark.parametrize(
    ("typed", "question", "means"),
    [
        ("2", STATE, "FIN-WAIT-1"),
        (" 4 ", STATE, "TIME-WAIT"),
        ("FIN-WAIT-1", STATE, "FIN-WAIT-1"),
        ("fin_wait_2", STATE, "FIN-WAIT-2"),
        ("time wait", STATE, "TIME-WAIT"),
        ("SYN_RECV", STATE, "SYN-RECEIVED"),  # ss
        ("syn-rcvd", STATE, "SYN-RECEIVED"),  # BSD
        ("Listening", STATE, "LISTEN"),  # Windows
        ("est", STATE, "ESTABLISHED"),
        ("closing", STATE, "CLOSING"),  # a state, though not in the list: wrong, but an answer
        ("client", OWNER, "the client"),
        ("The Server", OWNER, "the server"),
        ("nobody", OWNER, "nobody"),
        ("2", TIMER, "60 s"),
        ("60 s", TIMER, "60 s"),
        ("60", TIMER, "60 s"),
        ("240s", TIMER, "240 s"),
    ],
)
def test_an_answer_may_be_typed_in_several_ways(typed: str, question: Question, means: str) -> None:
    assert understood(typed, question) == means


@pytest.mark.parametrize(
    ("typed", "question", "says"),
    [
        ("0", STATE, "0: type a number from 1 to 4"),
        ("5", STATE, "5: type a number from 1 to 4"),
        ("99999999999999999999999", STATE, "type a number from 1 to 4"),
        ("12", TIMER, "12: type a number from 1 to 4"),
        ("٣", STATE, "type a number from 1 to 4"),
        ("fin", STATE, "fin: which one? FIN-WAIT-1, FIN-WAIT-2"),
        ("clos", STATE, "clos: which one? CLOSED, CLOSE-WAIT, CLOSING"),
        ("what", STATE, "what: type a number from 1 to 4, or a name from the list"),
        ("-", STATE, "type a number from 1 to 4"),
        ("closing", OWNER, "closing: type a number"),
        ("", TIMER, "type a number"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_a_hint(typed: str, question: Question, says: str) -> None:
    with pytest.raises(AnswerError) as refused:
        understood(typed, question)
    assert says in str(refused.value)
