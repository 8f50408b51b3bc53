"""A connection as a lesson: the questions before each segment, and after it what has changed and why.

In: a connection, its steps, and the socket calls of both programs where they are known. Out: a `Stop` for each step.

The question is the state of an end that moves at this segment, according to the steps; a state that is not proven yet
is asked for on condition that the segment arrives. While a FIN or SYN is in flight and not acknowledged, the state of
its receiver is not asked for. Unchanged states are asked for where a learner may be in doubt: an ignored segment, a
retransmitted SYN or FIN, data for an end that has closed; once for each such case. Other data and ACKs are shown
without a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from handshake_inspect.connections.connection import Connection, End, StateAt, Step
from handshake_inspect.lesson.choices import choices_of
from handshake_inspect.lesson.fired import FiredCell, fired_by, state_named
from handshake_inspect.lesson.question import Question
from handshake_inspect.tcp.states import Event, State
from handshake_inspect.views.ladder_calls import SocketCall

#: Event of an end -> the socket calls of its program that cause it.
ASKED_BY = {
    Event.SEND_SYN: ("connect", "sendto"),
    Event.SEND_FIN: ("close", "shutdown", "exit"),
    Event.SEND_RST: ("close", "exit"),
}


#: States in which an end retransmits its SYN or FIN until it is acknowledged; in others the network duplicated it.
REPEATING = ("SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "CLOSING", "LAST-ACK")


class Change(NamedTuple):
    """The state of one end changed, or an assumed state is proven now."""

    end: End
    before: StateAt
    after: StateAt

    @property
    def is_proof(self) -> bool:
        """Is it the same state, now proven?"""
        return self.before.state == self.after.state

    @property
    def disproves(self) -> bool:
        """Does it show that the assumed state before was wrong?"""
        return self.before.disproved and not self.after.disproved


@dataclass(frozen=True)
class Stop:
    """One segment of a lesson."""

    step: Step
    questions: tuple[Question, ...]
    changes: tuple[Change, ...]
    fired: tuple[FiredCell, ...]
    #: The socket calls that caused what the segment's sender does here.
    calls: tuple[SocketCall, ...]


def stops_of(connection: Connection, steps: Sequence[Step], calls: Sequence[SocketCall] = ()) -> list[Stop]:
    """Return the stops of a connection, one for each of its steps."""
    ends = connection.own_ends
    asked = _Asked(connection, ends)
    last = {end: first_state(connection, end) for end in ends}
    stops = []
    for step, fired in zip(steps, fired_by(connection, steps), strict=True):
        changes = tuple(
            Change(end, last[end], step.states[end])
            for end in order_of(step, ends)
            if differs(last[end], step.states[end])
        )
        questions = tuple(asked.about(step, changes, fired))
        stops.append(Stop(step, questions, changes, tuple(fired), tuple(calls_for(step, fired, calls))))
        last = {end: step.states[end] for end in ends}
    return stops


def first_state(connection: Connection, end: End) -> StateAt:
    """Return the state of an end before the first segment, where the capture begins there."""
    labels = connection.states[end]
    if labels and labels[0] in ("CLOSED", "LISTEN"):
        return StateAt(labels[0], "sent")
    return StateAt(None, None)


def order_of(step: Step, ends: tuple[End, ...]) -> tuple[End, ...]:
    """Return the ends with the sender of the segment first."""
    return tuple(sorted(ends, key=lambda end: end != step.sender))


def differs(before: StateAt, after: StateAt) -> bool:
    """Is it another state, or now proven, or disproved?"""
    proven = before.basis == "assumed" and after.basis in ("sent", "acknowledged")
    return before.state != after.state or before.disproved != after.disproved or (proven and before.state is not None)


@dataclass
class _Asked:
    """Chooses questions, and remembers them, so that nothing is asked twice."""

    connection: Connection
    ends: tuple[End, ...]
    doubts: set[tuple[End, str, str]] = field(default_factory=set)

    def about(self, step: Step, changes: Sequence[Change], fired: Sequence[FiredCell]) -> Iterator[Question]:
        """Yield the questions of one step."""
        for change in changes:
            if not change.is_proof and None not in (change.before.state, change.after.state):
                own = [one for one in fired if one.end == change.end]
                yield self._question(change.end, change.before, change.after, own)
        still = {end for end in self.ends if end not in {one.end for one in changes}}
        for end in order_of(step, self.ends):
            known = step.states[end]
            doubt = (end, known.state or "", step.flags)
            if end in still and known.state and doubt not in self.doubts and is_doubtful(step, end, self.ends):
                self.doubts.add(doubt)
                yield self._question(end, known, known, [])

    def _question(self, end: End, before: StateAt, after: StateAt, fired: Sequence[FiredCell]) -> Question:
        actively = "SYN-SENT" in (self.connection.states[end] or ())
        row = fired[0].before if fired else state_named(before.state or "", actively=actively)
        right = state_named(after.state or "", actively=actively)
        event = fired[-1].events[-1] if fired else None
        return Question("state", choices_of(row, right, event), right.label, right.label, end, row, after)


def is_doubtful(step: Step, end: End, ends: tuple[End, ...]) -> bool:
    """Might a learner think that this segment changes the state of an end, though it does not?"""
    bits = step.flags.split(",")
    receives = end != step.sender or len(ends) == 1
    if step.ignored is not None:
        return receives
    state = step.states[end].state
    if receives and step.payload_octets and not step.retransmission:
        return state == State.FIN_WAIT_2.label
    if step.retransmission and "FIN" in bits and receives:
        return state == State.TIME_WAIT.label
    return step.retransmission and not receives and ("SYN" in bits or "FIN" in bits) and state in REPEATING


def calls_for(step: Step, fired: Sequence[FiredCell], calls: Sequence[SocketCall]) -> Iterator[SocketCall]:
    """Yield the socket call that caused what the sender does: the latest possible one.

    An RST may be the kernel's own answer: only a call that was in progress then can have caused it.
    """
    side = "client" if step.sender == "originator" else "server"
    for event in dict.fromkeys(event for one in fired if one.end == step.sender for event in one.events):
        names = ASKED_BY.get(event, ())
        entered = [one for one in calls if one.end == side and one.name in names and one.entered_ns <= step.time_ns]
        if event is Event.SEND_RST:
            entered = [one for one in entered if step.time_ns <= one.returned_ns]
        yield from entered[-1:]
