"""Events -> states of both ends. Runs once per distinct event string, in plain Python; the result is broadcast.

In: the states in which the two ends start, and the codes of the `events`. Out: `Walk`, the moves by the table of
`tcp.states`. This is the only code that applies the table; the ladder of one connection and the verdicts on a million
both use its result.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from handshake_inspect.connections.connection import Basis
from handshake_inspect.connections.events.events import ASSUMED_BIT, JOINED_BIT, RESPONDER_BIT, UNPLACED_BIT
from handshake_inspect.connections.splitting.rows import ORIGINATOR, RESPONDER
from handshake_inspect.plain import plain
from handshake_inspect.tcp.states import EVENTS, Event, State, StateName, step

#: How an end starts, as a code in a shape. `NOTHING`: nothing is proven about it, and no event moves it. `UNHEARD`: the
#: capture begins with an RST; an end on which that takes effect is CLOSED afterwards.
NOTHING, AS_CLOSED, AS_LISTEN, AS_ESTABLISHED, UNHEARD = range(5)

_START = {AS_CLOSED: State.CLOSED, AS_LISTEN: State.LISTEN, AS_ESTABLISHED: State.ESTABLISHED}
_ACTS = {Event.SEND_SYN, Event.SEND_FIN, Event.SEND_RST}
#: Arrivals of an RST.
RESETS = {Event.RECEIVE_RST, Event.RECEIVE_RST_OF_SYN}
#: Event and end (`ORIGINATOR`, `RESPONDER`) of each code.
MEANING = {
    code: (EVENTS[code & 0xF], RESPONDER if code & RESPONDER_BIT else ORIGINATOR)
    for code in range(1 << 8)
    if code & 0xF < len(EVENTS)
}
#: The basis of a move if nothing proves that the segment which caused it arrived.
ASSUMED: Basis = "assumed"


class Move(NamedTuple):
    """One change of state of one end."""

    #: Index in the event string of the event that caused it, from 0 (the last one of its group).
    ordinal: int
    end: int
    before: State | None
    #: None: a closing state, but unknown which.
    after: State | None
    #: "sent", "acknowledged" or "assumed".
    basis: Basis
    event: Event


@plain
class Walk:
    """The moves that the table makes of one event string."""

    #: Every change of state, in order; self-loops are left out.
    moves: tuple[Move, ...]
    #: State of each end at the start, None if nothing is proven about it.
    start: tuple[State | None, State | None]
    #: State of each end after the last event.
    final: tuple[State | None, State | None]
    #: Ordinals of the RSTs that moved their receiver.
    effective_resets: tuple[int, ...]
    #: Every state that each end was in; None is among them if one of them is unknown.
    visited: tuple[frozenset[State | None], frozenset[State | None]]

    def states(self, end: int) -> tuple[StateName, ...] | None:
        """Return the states of one end as RFC 9293 spells them, without repeats; None if nothing is proven."""
        first = self.start[end]
        labels = [first.label] if first else []
        for move in self.moves:
            if move.end == end and move.after and labels[-1:] != [move.after.label]:
                labels.append(move.after.label)
        return tuple(labels) or None


@lru_cache(maxsize=1 << 13)
def walk(start: tuple[int, int], self_connect: bool, codes: bytes) -> Walk:
    """Apply the table along an event string. `start`: how each end starts (`AS_CLOSED` ...)."""
    state: list[State | None] = [_START.get(code) for code in start]
    begin = (state[ORIGINATOR], state[ORIGINATOR] if self_connect else state[RESPONDER])
    moves: list[Move] = []
    effective: list[int] = []
    group_began, group_first = [state[ORIGINATOR], state[RESPONDER]], 0
    #: Ends whose state only an RST makes known.
    lost = [code == UNHEARD for code in start]
    for ordinal, code in enumerate(codes):
        event, end = MEANING[code]
        old = state[end]
        if not code & JOINED_BIT:
            group_began[end], group_first = old, ordinal
        new = step(old, event) if old is not None else _known_again(event, lost[end])
        if new is None or new is old:
            continue
        if event in RESETS:
            effective.append(ordinal)
        if code & UNPLACED_BIT:
            new, lost[end] = None, True  # the second FIN leads to another state than the first
        elif moves and moves[-1].ordinal >= group_first:
            moves.pop()  # one segment is one move, however many events it causes
        state[end] = new
        moves.append(Move(ordinal, end, group_began[end], new, _basis(event, code), event))
    if self_connect:
        moves += [Move(m.ordinal, RESPONDER, m.before, m.after, m.basis, m.event) for m in moves]
        state[RESPONDER] = state[ORIGINATOR]
    return Walk(
        moves=tuple(moves),
        start=begin,
        final=(state[ORIGINATOR], state[RESPONDER]),
        effective_resets=tuple(effective),
        visited=(_visited(moves, ORIGINATOR, begin[ORIGINATOR]), _visited(moves, RESPONDER, begin[RESPONDER])),
    )


def _known_again(event: Event, lost: bool) -> State | None:
    """Return the state in which an event leaves an end whose state is unknown; None if that remains unknown."""
    return State.CLOSED if event is Event.SEND_RST or (lost and event in RESETS) else None


def _visited(moves: list[Move], end: int, first: State | None) -> frozenset[State | None]:
    found = {move.after for move in moves if move.end == end}
    if first:
        found.add(first)
    return frozenset(found)


def _basis(event: Event, code: int) -> Basis:
    if event in _ACTS:
        return "sent"
    return ASSUMED if code & ASSUMED_BIT or event in RESETS else "acknowledged"
