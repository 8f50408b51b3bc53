"""The phases of each connection, from when to when, to draw many connections on one axis of time.

In: the rows, events and verdicts of some whole conversations; then the `Connections` and the end of the capture. Out:
`Phases`, one row per phase. A phase is derived from the states of both ends; the event that begins it depends on the
shape, so Python code runs once for each distinct behaviour.

    opening      a SYN without an answer: the client is in SYN-SENT until it gives up
    half-open    an end is in SYN-RECEIVED: after a passive open it takes a place in the backlog (RFC 4987 §2)
    open         an end is ESTABLISHED, and none has closed
    closing      a FIN is not acknowledged yet, or both ends have sent one; an RST did not arrive
    half-closed  one direction is closed and acknowledged, the other is still open (RFC 9293 §3.6)
    time-wait    an end is in TIME-WAIT

A phase that no segment ends lasts as long as its owner keeps it: TIME-WAIT by the profile, opening and half-open ones
by `attempts`, others until the capture ends or the sockets are reused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.deciding.answers import NONE, Verdicts
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.events.machine import Walk
from handshake_inspect.connections.ledger.at_once import Staircases, at_once
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.over_time.attempts import held_until_ns
from handshake_inspect.connections.splitting.rows import ConnectionRows
from handshake_inspect.plain import mutable
from handshake_inspect.sets import consecutive
from handshake_inspect.table import Table
from handshake_inspect.tcp.states import State

PHASES = ("opening", "half-open", "open", "closing", "half-closed", "time-wait")
OPENING, HALF_OPEN, OPEN, CLOSING, HALF_CLOSED, TIME_WAIT = range(len(PHASES))
#: Neither end has a connection (any more): not a phase, but the end of one.
OVER = len(PHASES)

_RECEIVED = {State.SYN_RECEIVED_PASSIVE, State.SYN_RECEIVED_ACTIVE}
_CLOSING = {State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK}
#: An end that is closing, in an unknown state; None is an end of which nothing is proven.
_UNTOLD = "untold"
#: An end that had begun to open, and has no connection any more, as it sent or received an RST.
_GONE = "gone"


class PhaseTable(Table):
    """One row per phase, ordered by connection and time."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,  # row of the `VerdictTable`
        "phase": np.uint8,  # index of `PHASES`
        "begin_ns": np.int64,
        "end_ns": np.int64,  # not before `begin_ns`; for TIME-WAIT it may be after the end of the capture
        "goes_on": np.uint8,  # 1 if no segment ended it, and it continued when the capture ended
        "given_up": np.uint8,  # 1 if no segment ended it, and its length is that of `attempts`
    }


@mutable
class Phases:
    """The phases of all connections."""

    table: PhaseTable
    #: Times of the first and the last frame.
    captured_ns: tuple[int, int]

    def rows_of(self, phase: int) -> Rows:
        """Return the rows of the table with this phase."""
        return np.flatnonzero(self.table["phase"] == phase)

    def unfinished(self, rows: Rows, end_ns: int) -> tuple[int, int]:
        """Return the count of attempts to connect that no segment ended, and the most at once, on such an axis."""
        rows = rows[self.table["phase"][rows] <= HALF_OPEN]
        connection = self.table["connection"][rows]
        open_ended = (self.table["goes_on"][rows] != 0) | (self.table["given_up"][rows] != 0)
        rows = rows[np.isin(connection, connection[open_ended])]
        held = at_once(np.zeros(len(rows), np.int64), self.table["begin_ns"][rows], self.until_ns(rows, end_ns), 1)
        return int(np.count_nonzero(open_ended)), int(held.peak[0])

    def reach_the_end(self, rows: Rows) -> Mask:
        """Mark those that continued at the last frame. Of several captures one may have ended before."""
        there: Mask = (self.table["goes_on"][rows] != 0) & (self.table["end_ns"][rows] >= self.captured_ns[1])
        return there

    def until_ns(self, rows: Rows, end_ns: int) -> Rows:
        """Return until when these last on an axis that ends after the last frame; those that reach it go on there."""
        until: Rows = np.where(self.reach_the_end(rows), end_ns, np.minimum(self.table["end_ns"][rows], end_ns))
        return until

    def at_once(self, rows: Rows, end_ns: int) -> Staircases:
        """Count those in each phase at once, by the indices of `PHASES`, on such an axis."""
        group = self.table["phase"][rows].astype(np.int64)
        return at_once(group, self.table["begin_ns"][rows], self.until_ns(rows, end_ns), len(PHASES))


def find_phases(
    decided: Iterable[DecidedPart], connections: Connections, until_ns: Rows, captured_ns: tuple[int, int]
) -> Phases:
    """Return the phases of all connections.

    `decided`: all decided parts, in the order of the `VerdictTable`. `until_ns`: until when later segments of each
    connection would have been captured. Shape (m,).
    """
    parts, count = [], 0
    for one in decided:
        changes = _changes(one.part.rows, one.events, one.verdicts)
        changes.columns["connection"] += count
        count += one.part.rows.connections
        parts.append(changes)
    return _with_ends(PhaseTable.concatenate(parts), connections, until_ns, captured_ns)


def _changes(rows: ConnectionRows, events: Events, verdicts: Verdicts) -> PhaseTable:
    """Return when each connection changed its phase, also to `OVER`. Ends are not set yet."""
    of_shape = [changes_of(one.walk) for one in verdicts.judgements]
    count = np.array([len(one) for one in of_shape], np.int64)
    ordinal, phase = np.array([change for one in of_shape for change in one], np.int64).reshape(-1, 2).T
    shape = verdicts.table["judgement"]
    mine = count[shape]
    conn = np.repeat(np.arange(rows.connections), mine)
    place = consecutive((np.cumsum(count) - count)[shape], mine)
    ordinal = ordinal[place]
    row = rows.start[:-1][conn]
    by_event = np.flatnonzero(ordinal != NONE)
    row[by_event] = events.row[events.start[conn[by_event]] + ordinal[by_event]]
    nothing = np.zeros(len(conn), np.int64)
    columns = {"connection": conn, "phase": phase[place], "begin_ns": rows.time_ns[row], "end_ns": nothing}
    # Of several changes at one segment only the last remains.
    return _going_on(PhaseTable(columns | {"goes_on": nothing, "given_up": nothing}).take(~_as_next(conn, row)))


def _going_on(changes: PhaseTable) -> PhaseTable:
    """Move the begin of a phase after `OVER` to that: the connection went on, as the RST of one end did not arrive."""
    begin = changes["begin_ns"]
    over = (changes["phase"] == OVER) & _as_next(changes["connection"])
    at = np.flatnonzero(over)
    begin[at + 1] = begin[at]
    return changes.take(~over)


def _with_ends(changes: PhaseTable, connections: Connections, until_ns: Rows, captured_ns: tuple[int, int]) -> Phases:
    """Set the end of each phase. Phases without length are left out, unless they are the last of a connection."""
    changes = changes.take(_has_length(changes, len(connections)))
    conn, phase, begin = (changes[name] for name in ("connection", "phase", "begin_ns"))
    last = ~_as_next(conn)
    end, (goes_on, given_up) = np.roll(begin, -1), np.zeros((2, len(conn)), np.bool_)
    end[last], goes_on[last], given_up[last] = _lasting(changes.take(last), connections, until_ns)
    waits = phase == TIME_WAIT
    end[waits] = _waited_until(connections)[conn[waits]]
    changes.columns |= {"end_ns": np.maximum(end, begin)}
    changes.columns |= {"goes_on": goes_on.astype(np.uint8), "given_up": given_up.astype(np.uint8)}
    return Phases(changes.take(phase != OVER), captured_ns)


def _has_length(changes: PhaseTable, connections: int) -> Mask:
    """Mark the changes that begin a new phase with a length; at least one of each connection that has any."""
    conn, phase, begin = (changes[name] for name in ("connection", "phase", "begin_ns"))
    while (back := np.flatnonzero(_as_next(conn)[:-1] & (begin[1:] < begin[:-1])) + 1).size:
        begin[back] = begin[back - 1]  # a clock that was set back
    keep = ~_as_next(conn, begin)
    named = np.flatnonzero(phase != OVER)
    final = np.full(connections, NONE, np.int64)
    final[conn[named]] = named  # the last assignment wins
    final[conn[named[keep[named]]]] = NONE
    keep[final[final != NONE]] = True
    kept = np.flatnonzero(keep)
    keep[kept[1:][_as_next(conn[kept], phase[kept])[:-1]]] = False
    return keep


def _as_next(*columns: Rows) -> Mask:
    """Mark the rows with the same values as the next row."""
    same = np.ones(len(columns[0]), np.bool_)
    same[-1:] = False
    for column in columns:
        same[:-1] &= column[1:] == column[:-1]
    return same


def _lasting(last: PhaseTable, connections: Connections, until_ns: Rows) -> tuple[Rows, Mask, Mask]:
    """Return until when the last phases of connections last.

    Also returns whether that is only the end of the capture, and whether it is only the assumed end of an attempt.
    """
    conn, phase = last["connection"], last["phase"]
    table = connections.verdicts.table
    last_ns = table["last_ns"][conn]
    following = connections.time_waits.next_users[conn]
    known = np.where(following == NONE, until_ns[conn], connections.time_waits.users["first_ns"][following])
    since_ns = np.where(phase == HALF_OPEN, last["begin_ns"], last_ns)
    attempted = np.isin(phase, [OPENING, HALF_OPEN])
    ends = np.where(attempted, np.minimum(known, held_until_ns(connections, conn, since_ns)), known)
    # An ICMP error has told the client that there will be no answer.
    unreachable = connections.verdicts.judged(lambda one: one.handshake_kind == "unreachable")[conn]
    kept = (phase != TIME_WAIT) & (phase != OVER) & ~(unreachable & (phase == OPENING))
    held: Rows = np.where(kept, np.maximum(ends, last_ns), last_ns)
    return held, kept & (following == NONE) & (held >= until_ns[conn]), kept & attempted & (held < known)


def _waited_until(connections: Connections) -> Rows:
    """Return until when each connection's TIME-WAIT lasted, of two the later one. Shape (m,)."""
    until = np.zeros(len(connections), np.int64)
    np.maximum.at(until, connections.time_waits.table["connection"], connections.time_waits.until_ns)
    return until


@lru_cache(maxsize=4096)
def changes_of(walk: Walk) -> tuple[tuple[int, int], ...]:
    """Return the phases of one behaviour: the event that begins each (NONE: the first segment), and the phase."""
    states: list[State | str | None] = [*walk.start]
    found: list[tuple[int, int]] = []
    begun = phase_of(*states)
    if begun is not None and begun != OVER:
        found.append((NONE, begun))
    by_event: dict[int, list[tuple[int, State | None]]] = {}
    for move in walk.moves:
        by_event.setdefault(move.ordinal, []).append((move.end, move.after))
    for ordinal in sorted(by_event):
        for end, after in by_event[ordinal]:
            states[end] = _UNTOLD if after is None else _GONE if after is State.CLOSED else after
        phase = phase_of(*states)
        if phase is not None and (phase != OVER or found) and phase not in [one for _, one in found[-1:]]:
            found.append((ordinal, phase))
    return tuple(found)


def phase_of(originator: State | str | None, responder: State | str | None) -> int | None:
    """Return the phase for a pair of states; None if they determine none."""
    both = {originator, responder}
    if State.TIME_WAIT in both:
        return TIME_WAIT
    if both & _RECEIVED:
        return HALF_OPEN
    if State.SYN_SENT in both:
        # An end that has refused does not answer any more, even if its RST is not shown to have arrived.
        return OVER if _GONE in both else OPENING
    if State.FIN_WAIT_2 in both and both <= {State.FIN_WAIT_2, State.CLOSE_WAIT, State.ESTABLISHED, None}:
        return HALF_CLOSED
    if both & _CLOSING or _UNTOLD in both:
        return CLOSING
    if State.ESTABLISHED in both:
        return OPEN if both <= {State.ESTABLISHED, None} else CLOSING
    return OVER if both & {State.CLOSED, _GONE} else None
