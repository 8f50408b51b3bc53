"""A question of a lesson, its choices, and the interpretation of a learner's answer.

In: the text typed. Out: the choice it names, by number or by name, or an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from handshake_inspect.connections.connection import End, StateAt
from handshake_inspect.tcp.states import State

#: "state": in which state is `end` now? "error": how must TCP react to an ICMP error? "owner": which end holds
#: TIME-WAIT? "timer": how long?
Kind = Literal["state", "error", "owner", "timer"]
STATE_NAMES = tuple(dict.fromkeys(state.label for state in State))
#: Names of states in ss, netstat and Windows, without punctuation -> those in RFC 9293.
SPELLED_ELSEWHERE = {"synrecv": "synreceived", "synrcvd": "synreceived", "listening": "listen"}


class AnswerError(ValueError):
    """An answer that cannot be interpreted. The message is one line."""


@dataclass(frozen=True)
class Question:
    """One question; exactly one of the choices is right."""

    kind: Kind
    choices: tuple[str, ...]
    right: str
    #: Topic of `explain` about it: the name of a state or of a page.
    topic: str
    #: End that it is about; None: both, or neither.
    end: End | None = None
    #: For a state: the row in which the end was, and how the right answer is known.
    before: State | None = None
    known: StateAt | None = None


def understood(typed: str, question: Question) -> str:
    """Return the answer meant: one of the choices, or another state. Raises AnswerError."""
    text = typed.strip()
    numbers = {str(number): choice for number, choice in enumerate(question.choices, start=1)}
    if text in numbers:
        return numbers[text]
    names = dict.fromkeys((*question.choices, *(STATE_NAMES if question.kind == "state" else ())))
    meant = _plain(text)
    begun = [name for name in names if meant and _plain(name).startswith(meant)]
    whole = [name for name in begun if meant in (_plain(name), _plain(name).removesuffix("s"))]  # "60" is 60 s
    if len(begun) > 1 and not whole:
        raise AnswerError(f"{text}: which one? {', '.join(begun)}")
    if not whole and (not begun or meant.isdecimal()):
        raise AnswerError(f"{text}: type a number from 1 to {len(numbers)}, or a name from the list")
    return (whole or begun)[0]


def _plain(name: str) -> str:
    """Return a name without differences of spelling: "time wait", "TIME_WAIT", "SYN-RECV", "the client"."""
    plain = re.sub(r"[^a-z0-9]", "", name.casefold().removeprefix("the "))
    return SPELLED_ELSEWHERE.get(plain, plain)
