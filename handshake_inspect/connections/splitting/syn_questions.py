"""Facts about each SYN of some conversations from the rows around it, to decide whether it begins a connection.

In: the columns of rows sorted by conversation and capture order. Out: the SYNs whose role is certain, and a `Question`
for each of the others, whose role depends on where the connection before it begins.

**What a storm of SYNs costs.** All facts from the rows around a SYN are computed in columns, for all conversations at
once (`Syns`). A loop decides only the SYNs that may begin a connection and whose role depends on where the connection
before them begins, by some comparisons each: 4,000 of the 125,000 in a million segments of arbitrary control bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.around import Around
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.sets import set_of
from handshake_inspect.table import Table
from handshake_inspect.tcp.seqnum import MODULUS

#: How far beyond a SYN a number may be and still count as acknowledging it: data may have followed.
ACKNOWLEDGES_WITHIN_OCTETS = 1 << 24
#: The bit above a sequence number holds the side of its sender.
SIDE_BIT = 32
#: SYNs converted to Python's numbers at once: for a million SYNs these would take 400 MB.
SYNS_AT_ONCE = 1 << 14
#: The columns of rows that are used here.
ASKED_OF = ("conversation", "from_higher", "flags", "seq", "ack", "payload_octets")


class Question(NamedTuple):
    """The facts about a SYN that may begin a connection. Rows are -1 where there is none.

    Of the rows before it only those of its own connection count: the rows from `begin` on.
    """

    row: int
    #: The last row before it at which a connection certainly begins, at least the first of its conversation.
    since: int
    name: int
    octets: int
    #: Is it a retransmitted SYN without ACK? It is not decided then, but its octets may matter to others.
    repeats: bool
    #: The SYN that a SYN-ACK answers; -1 for a SYN without ACK.
    answers: int
    #: For a SYN-ACK acknowledged by the other side's next segment: the row from which on both sides have sent a FIN.
    #: For one that answers the other side's next SYN, which was captured late: that side's SYN before.
    reuses: int
    #: The last SYN before it, with ACK or without, that has its name, or that it answers.
    known: int
    #: Of a SYN-ACK whose other side was not captured: the one before it; and the last one of its name, or that answers
    #: the same.
    answered: int
    told: int
    #: The SYN-ACK before a SYN that answers it already; the SYN before it of its side; and of the other side, the one
    #: that it crosses.
    late_after: int
    before: int
    crosses: int
    #: Does the other side answer it with a mere ACK of something else?
    refused: bool


class Syns:
    """The SYNs of some conversations, and the facts about each. Arrays have shape (k,)."""

    def __init__(self, stored: Table) -> None:
        look = self._look = Around(stored)
        flags, seq = look.flags, look.seq
        self._at = at = np.flatnonzero((flags & (SYN | RST)) == SYN)
        self._side = side = look.side[at]
        self._is_answer = (flags[at] & ACK) != 0
        self._name = side << SIDE_BIT | seq[at]
        self._answers = np.where(self._is_answer, (1 - side) << SIDE_BIT | (look.ack[at] - 1) % MODULUS, -1)
        self._before = look.last(at, side, (flags & (SYN | ACK | RST)) == SYN)
        repeats = (self._before >= 0) & (seq[self._before] == seq[at])
        self._repeats = repeats & ~look.ended_between(self._before, at, side) & ~self._is_answer

    def with_repetitions(self, not_taken: Rows) -> Rows:
        """Add to ignored SYNs those that repeat them."""
        found = [not_taken]
        for side in (0, 1):
            mine = np.flatnonzero(~self._is_answer & (self._side == side))
            repeated = np.maximum.accumulate(np.where(self._repeats[mine], -1, mine))
            found.append(self._at[mine[_are_among(self._at[repeated], not_taken)]])
        return set_of(np.concatenate(found))

    def questions(self) -> tuple[Rows, Rows, Iterator[Question]]:
        """Return the SYNs that certainly begin a connection, those that are certainly ignored, and questions, in order.

        The questions are about all other SYNs that may be either, and about those whose octets matter to others.
        """
        look, at, is_answer = self._look, self._at, self._is_answer
        following = look.next(at, 1 - self._side)
        agreed = (following >= 0) & (look.ack[following] == (look.seq[at] + 1) % MODULUS)
        closed = np.minimum(
            *(look.last(at, np.full(len(at), one), (look.flags & (FIN | RST)) == FIN) for one in (0, 1))
        )
        reuses = np.maximum(np.where(is_answer & agreed, closed, -1), self._replaced())
        answered = np.where(is_answer & look.is_alone(at), self._last_answer(), -1)
        asks = np.where(is_answer, (reuses >= 0) | (answered >= 0), ~self._repeats & (at != look.first[at]))
        holds_octets = np.isin(look.first[at], look.first[at[reuses >= 0]]) & (look.octets[at] > 0)
        chosen = np.flatnonzero(asks | holds_octets)
        row, other, name, answers = at[chosen], 1 - self._side[chosen], self._name[chosen], self._answers[chosen]
        crossed = look.last(row, other, (look.flags & (SYN | ACK | RST)) == SYN)
        silent = look.last(row, self._side[chosen]) < crossed
        crosses = np.where((crossed >= 0) & silent & (look.closing[row] == look.closing[crossed]), crossed, -1)
        late_after, before = self._last(self._answers, chosen, name), self._before[chosen]
        refused = _ignores(look, row, following[chosen])
        # No late or crossing SYN, wherever the connection before it begins.
        sure = ~(is_answer | holds_octets)[chosen] & (crosses < 0) & (late_after <= before)
        begins = np.where(sure & ~refused, row, -1)
        since = np.maximum(look.first[row], np.append(-1, np.maximum.accumulate(begins)[:-1])[: len(row)])
        same = self._last(self._name, chosen, name)
        columns: tuple[NDArray[np.generic], ...] = (
            row,
            since,
            name,
            look.octets[row],
            self._repeats[chosen],
            answers,
            reuses[chosen],
            np.maximum(same, self._last(self._name, chosen, answers)),
            answered[chosen],
            np.maximum(same, self._last(self._answers, chosen, answers)),
            late_after,
            before,
            crosses,
            refused,
        )
        return begins[begins >= 0], row[sure & refused], _in_turn([column[~sure] for column in columns])

    def _replaced(self) -> Rows:
        """Return, of each SYN-ACK that answers the other side's next SYN, that side's SYN before; -1 of all others."""
        look, asks = self._look, (self._look.flags & (SYN | ACK | RST)) == SYN
        found, which = np.full(len(self._at), -1), np.flatnonzero(self._is_answer)
        at, other = self._at[which], 1 - self._side[which]
        late = look.next(at, other, asks)
        answers = (late >= 0) & (look.seq[late] == (look.ack[at] - 1) % MODULUS)
        found[which[answers]] = look.last(at[answers], other[answers], asks)
        return found

    def _last_answer(self) -> Rows:
        """Return the last SYN-ACK before each SYN in its conversation; -1 if there is none."""
        running = np.append(-1, np.maximum.accumulate(np.where(self._is_answer, self._at, -1))[:-1])[: len(self._at)]
        return np.where(running >= self._look.first[self._at], running, -1)

    def _last(self, names: Rows, chosen: Rows, wanted: Rows) -> Rows:
        """Return the last SYN before each of the `chosen`, in its conversation, of whose `names` it is the one wanted.

        -1 if there is none.
        """
        first = self._look.first[self._at] << (SIDE_BIT + 1)
        asked, known = first[chosen] | wanted, np.flatnonzero(names >= 0)
        known = known[_are_among(first[known] | names[known], asked[wanted >= 0])]
        if not len(known):
            return np.full(len(chosen), -1)
        place, key = np.append(chosen, known), np.append(asked, first[known] | names[known])
        is_known = np.arange(len(place)) >= len(chosen)
        order = np.lexsort((is_known, place, key))
        latest = np.maximum.accumulate(np.where(is_known[order], np.arange(len(order)), -1))
        asking = np.flatnonzero(~is_known[order])
        last = latest[asking]
        asking, last = asking[last >= 0], last[last >= 0]
        there = key[order[last]] == key[order[asking]]
        found = np.full(len(chosen), -1)
        found[order[asking[there]]] = self._at[place[order[last[there]]]]
        return np.where(wanted >= 0, found, -1)


def _are_among(values: Rows, wanted: Rows) -> Mask:
    """Mark the values that are among those wanted. `np.isin` takes three times as long."""
    ordered = np.append(np.sort(wanted), -1)
    among: Mask = ordered[np.searchsorted(ordered[:-1], values)] == values
    return among


def _in_turn(columns: list[NDArray[np.generic]]) -> Iterator[Question]:
    for begin in range(0, len(columns[0]), SYNS_AT_ONCE):
        some = (column[begin : begin + SYNS_AT_ONCE].tolist() for column in columns)
        yield from map(Question._make, zip(*some, strict=True))


def _ignores(look: Around, at: Rows, following: Rows) -> Mask:
    """Mark the SYNs in rows `at` after which the peer's next segment is an ACK that does not acknowledge them.

    An ACK that repeats the peer's last acknowledgment does not refer to the SYN, whatever its number is.
    """
    answer = look.ack[following]
    spoken = look.last(at, 1 - look.side[at], (look.flags & (ACK | RST)) == ACK)
    old = (spoken >= 0) & (look.ack[spoken] == answer)
    news = (answer - look.seq[at] - 1) % MODULUS < ACKNOWLEDGES_WITHIN_OCTETS
    ignores: Mask = (following >= 0) & ((look.flags[following] & (SYN | RST | ACK)) == ACK) & (old | ~news)
    return ignores
