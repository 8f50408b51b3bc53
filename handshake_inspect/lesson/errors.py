"""ICMP errors in a lesson: how TCP must react to each.

In: the ICMP errors of a connection. Out: an `ErrorStop` for each, in order. An error changes no state by itself, and
systems react differently, so the question is what RFC 9293 requires, once for each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handshake_inspect.connections.connection import IcmpError
from handshake_inspect.lesson.question import Question
from handshake_inspect.tcp.sections import ICMP_NEVER_SENT, ICMP_RULES, Rule

NOTHING = "nothing"
#: Kind of an error -> reaction of TCP.
CONSEQUENCES = {
    "hard": "give up",
    "soft": "keep trying",
    "path-mtu": "send smaller segments",
    "advice": NOTHING,
}


@dataclass(frozen=True)
class ErrorStop:
    """One ICMP error of a lesson."""

    error: IcmpError
    #: None: this kind was asked before.
    question: Question | None
    rule: Rule


def error_stops(errors: Sequence[IcmpError]) -> list[ErrorStop]:
    """Return the question and the explanation of each error."""
    asked: set[tuple[str, bool]] = set()
    stops = []
    for error in errors:
        forged = error.was_sent is False
        right = NOTHING if forged else CONSEQUENCES[error.kind]
        topic = "icmp-never-sent" if forged else "path-mtu" if error.kind == "path-mtu" else "unreachable"
        question = Question("error", tuple(CONSEQUENCES.values()), right, topic)
        kind = (error.kind, forged)
        rule = ICMP_NEVER_SENT if forged else ICMP_RULES[error.kind]
        stops.append(ErrorStop(error, None if kind in asked else question, rule))
        asked.add(kind)
    return stops
