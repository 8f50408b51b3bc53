"""The cells of the table of states that each segment fired, with the text of RFC 9293 for them.

In: a connection and its steps. Out: for each step the `FiredCell`s of both ends, in order. The table is walked again
along the events of the steps, because a step gives the state of an end, but not which of two rows it is in
(SYN-RECEIVED after a passive or an active OPEN). Where the capture shows an end in another state than the walk,
segments in between were not captured, and the walk continues from the captured state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handshake_inspect.connections.connection import Connection, End, StateAt, Step
from handshake_inspect.tcp.sections import RULES, SYN_ACK_IN_SYN_SENT, Rule
from handshake_inspect.tcp.states import Event, State, step


@dataclass(frozen=True)
class FiredCell:
    """One cell of the table, and the end whose state it changed or kept."""

    end: End
    #: Usually one; two for a SYN-ACK, which the RFC treats as one.
    events: tuple[Event, ...]
    before: State
    after: State
    rule: Rule

    @property
    def words(self) -> str:
        """The events in words: "receive SYN"."""
        return ", ".join(event.words for event in self.events)


def state_named(label: str, *, actively: bool) -> State:
    """Return the row of a state; for SYN-RECEIVED that after an active or a passive OPEN, as `actively` says."""
    rows = [state for state in State if state.label == label]
    return rows[-1] if actively else rows[0]


def fired_by(connection: Connection, steps: Sequence[Step]) -> list[list[FiredCell]]:
    """Return the cells that each step fired; for a socket connected to itself only those of the originator."""
    walks = [_Walk(connection, end) for end in connection.own_ends]
    return [[one for walk in walks for one in walk.after(step)] for step in steps]


class _Walk:
    """Walks the table for one end."""

    def __init__(self, connection: Connection, end: End) -> None:
        self.end = end
        labels = connection.states[end] or ()
        self.actively = "SYN-SENT" in labels
        #: Did a SYN-ACK lead past SYN-RECEIVED? The state is among `labels` only if the SYN came first.
        self.goes_past = "SYN-RECEIVED" not in labels
        self.state = state_named(labels[0], actively=self.actively) if labels else None

    def after(self, now: Step) -> list[FiredCell]:
        """Return the cells that one step fired at this end."""
        found = list(self._fired(now))
        if self.goes_past and [one.after for one in found[:2]] == [State.SYN_RECEIVED_ACTIVE, State.ESTABLISHED]:
            events = (*found[0].events, *found[1].events)
            found[:2] = [FiredCell(self.end, events, found[0].before, State.ESTABLISHED, SYN_ACK_IN_SYN_SENT)]
        moved = [one for one in found if one.after is not one.before]
        shown = now.states[self.end]
        self._follow(shown)
        return [*moved, *self._taken_back(shown)] or found

    def _fired(self, now: Step) -> Iterator[FiredCell]:
        for end, event in now.events:
            if end != self.end or self.state is None or event not in RULES[self.state]:
                continue
            before, self.state = self.state, step(self.state, event)
            yield FiredCell(self.end, (event,), before, self.state, RULES[before][event])

    def _taken_back(self, shown: StateAt) -> Iterator[FiredCell]:
        """Yield the cell that fires when an ACK arrives that, as later segments show, did not arrive."""
        if not shown.disproved or self.state is None or self.state.label == shown.state:
            return
        for event in (Event.RECEIVE_ACK_OF_SYN, Event.RECEIVE_ACK_OF_FIN):
            after = step(self.state, event)
            if after.label == shown.state:
                yield FiredCell(self.end, (event,), self.state, after, RULES[self.state][event])

    def _follow(self, shown: StateAt) -> None:
        """Continue from the captured state; an assumption that is disproved later is no move."""
        if shown.state is None:
            self.state = None
        elif not shown.disproved and (self.state is None or self.state.label != shown.state):
            self.state = state_named(shown.state, actively=self.actively)
