"""Half-open connections by listening socket: the content of its backlog (RFC 4987 §2).

In: `Connections`, their `Phases`, and a selection of them. Out: `HalfOpenTally`, which makes a `HoldsHalfOpen` for each
listening socket. Every handshake counts from its SYN-ACK until its third segment, or the RST that ends it; an
unfinished one counts as long as its phase lasts. Only a passive open takes a place: in a simultaneous open (RFC 9293
§3.5 Figure 7) and a self-connect an end is also in SYN-RECEIVED, but has no backlog.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.events.kinds import SYNCHRONIZED, Judgement
from handshake_inspect.connections.ledger.at_once import at_once, number_groups
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.over_time.phases import HALF_OPEN, Phases
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.connections.splitting.rows import RESPONDER
from handshake_inspect.tcp.states import State


@dataclass(frozen=True, slots=True)
class HoldsHalfOpen:
    """The half-open connections of a listening socket."""

    ip: str
    port: int
    #: Tunnel that distinguishes it from another socket with the same address ("vxlan:7"); "" for none.
    tunnel: str
    #: Count of connections that were ever half-open there; of those that still were at their last segment; and of those
    #: that an RST of either end removed.
    connections: int
    left: int
    abandoned: int
    #: Count of further connections without any answer to their SYN, which is how a full backlog shows.
    unanswered: int
    #: Greatest count at once, and when it was first reached.
    peak: int
    peak_ns: int

    @property
    def unfinished(self) -> int:
        """Count of connections that were half-open there and did not open."""
        return self.left + self.abandoned


class HalfOpenTally:
    """Half-open connections by the socket that answered with the SYN-ACK."""

    def __init__(self, connections: Connections, phases: Phases, rows: Rows) -> None:
        wanted = np.zeros(len(connections), np.bool_)
        wanted[rows] = True
        table = phases.table
        judged = connections.verdicts.judged
        wanted &= judged(_held_a_place)
        at = phases.rows_of(HALF_OPEN)
        at = at[wanted[table["connection"][at]]]
        unanswered = rows[judged(lambda one: one.handshake_kind == "unanswered")[rows]]
        conn = np.concatenate([table["connection"][at], unanswered])
        self._names = connections.names
        self._holder = Sockets.of(connections, conn, np.full(len(conn), RESPONDER))
        group, self._example = number_groups([*self._holder.host, self._holder.port])
        count = len(self._example)
        self._unanswered = np.bincount(group[len(at) :], minlength=count)
        group = group[: len(at)]
        self._at_once = at_once(group, table["begin_ns"][at], table["end_ns"][at], count)
        # A connection that was reset by mistake and tried again (Figure 8) took a place twice.
        mine, first = np.unique(table["connection"][at], return_index=True)
        group = group[first]
        self._total = np.bincount(group, minlength=count)
        self._left, self._abandoned = (
            np.bincount(group[judged(claim)[mine]], minlength=count) for claim in (_holds_one_still, _was_abandoned)
        )
        #: Groups, the highest peak first; of equal ones those with more connections, then those that began sooner.
        by_peak = np.lexsort((self._at_once.peak_ns, -self._total, -self._at_once.peak))
        self._by_peak = by_peak[: np.count_nonzero(self._at_once.peak)]

    def __len__(self) -> int:
        return len(self._by_peak)

    def holders(self, most: int | None = None) -> tuple[HoldsHalfOpen, ...]:
        """Return the half-open connections of each socket, the highest peak first; at most `most` sockets."""
        return tuple(self._holder_of(group) for group in self._by_peak[:most].tolist())

    def over_time(self, place: int, begin_ns: int, end_ns: int, bins: int) -> tuple[int, ...]:
        """Return the greatest count at once for this index of `holders()`, in equal parts of a span of time."""
        group = int(self._by_peak[place])
        return tuple(self._at_once.over_time(group, begin_ns, end_ns, bins).tolist())

    def _holder_of(self, group: int) -> HoldsHalfOpen:
        example = int(self._example[group])
        return HoldsHalfOpen(
            ip=self._holder.ip(example),
            port=int(self._holder.port[example]),
            tunnel=self._names.tunnel[int(self._holder.tunnel[example])],
            connections=int(self._total[group]),
            left=int(self._left[group]),
            abandoned=int(self._abandoned[group]),
            unanswered=int(self._unanswered[group]),
            peak=int(self._at_once.peak[group]),
            peak_ns=int(self._at_once.peak_ns[group]),
        )


def _held_a_place(one: Judgement) -> bool:
    return State.SYN_RECEIVED_PASSIVE in one.walk.visited[RESPONDER]


def _holds_one_still(one: Judgement) -> bool:
    return one.walk.final[RESPONDER] is State.SYN_RECEIVED_PASSIVE


def _was_abandoned(one: Judgement) -> bool:
    return not (_holds_one_still(one) or one.walk.visited[RESPONDER] & SYNCHRONIZED)
