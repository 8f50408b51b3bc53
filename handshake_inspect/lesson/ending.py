"""The questions after the last segment: which end holds TIME-WAIT, and for how long.

In: a connection. Out: questions with one right answer each; none where the capture does not show the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.connections.connection import Connection, end_names
from handshake_inspect.lesson.question import Question
from handshake_inspect.tcp.states import State
from handshake_inspect.tcp.time_wait import PROFILES, SECOND_NS, profile_of

BOTH, NOBODY = "both", "nobody"


def ending_questions(connection: Connection) -> Iterator[Question]:
    """Yield the questions after the last segment."""
    if connection.originator != connection.responder and is_told(connection):
        names = end_names(connection.handshake.kind)
        ends = (f"the {names.originator}", f"the {names.responder}")
        yield Question("owner", (*ends, BOTH, NOBODY), owner(connection), "who-waits")
    if connection.time_wait:
        lengths = {profile.length_ns for profile in (*PROFILES.values(), profile_of(connection.time_wait[0].profile))}
        choices = tuple(map(length_words, sorted(lengths)))
        right = length_words(profile_of(connection.time_wait[0].profile).length_ns)
        owners = {one.owner for one in connection.time_wait}
        whose = connection.time_wait[0].owner if len(owners) == 1 else None
        yield Question("timer", choices, right, "why-2msl", whose, State.TIME_WAIT)


def is_told(connection: Connection) -> bool:
    """Does the capture show whether an end holds TIME-WAIT?"""
    return connection.teardown.complete is not None or connection.handshake.complete is False


def owner(connection: Connection) -> str:
    """Return the end that holds TIME-WAIT, as a choice of the question."""
    names = end_names(connection.handshake.kind)
    owners = sorted({one.owner for one in connection.time_wait})
    return BOTH if len(owners) == 2 else f"the {names[owners[0]]}" if owners else NOBODY


def length_words(length_ns: int) -> str:
    """Return the length of a TIME-WAIT as text: "60 s"."""
    return f"{length_ns / SECOND_NS:g} s"
