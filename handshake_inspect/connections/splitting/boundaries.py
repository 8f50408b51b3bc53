"""Where the connections of a pair of sockets begin: what each of its SYNs is.

In: the columns of rows sorted by conversation and capture order. Out: the rows that begin a connection, and the SYNs
that their receiver ignores.

A SYN without ACK can begin another connection. So can a SYN-ACK that answers none of the SYNs so far, if both ends have
sent a FIN, or if only its sender was captured. RFC 9293 §3.10.7.4 (fourth), RFC 5961 §4 and Figures 7 to 9 say what
else a SYN may be. The function `boundaries` has the rules, one SYN after the other; the module `reuse` decides the
ordinary cases in columns.

**What a storm of SYNs costs.** All that a SYN asks of the rows around it is prepared in columns, for all conversations
at once (`_Syns`). A loop decides only the SYNs that may begin a connection and whose answer depends on where the
connection before them begins, by some comparisons each: 4,000 of the 125,000 in a million segments of any control bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.splitting.reuse import ordinary_reuse
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.sets import begins_run, consecutive, count_to, first_of_runs, set_of, without
from handshake_inspect.table import Table
from handshake_inspect.tcp.seqnum import MODULUS

#: How far beyond a SYN an acknowledgment may lie and still be taken for one of it: data may have followed.
ACKNOWLEDGES_WITHIN_OCTETS = 1 << 24
#: The bit above a sequence number says whose it is.
SIDE_BIT = 32
#: So many SYNs are made Python's numbers at once: of a million SYNs these take 400 MB.
SYNS_AT_ONCE = 1 << 14


def begin_rows(stored: Table) -> tuple[Mask, Mask]:
    """Mark the rows that begin a connection, and the SYNs that their receiver ignores."""
    conversation, flags = stored["conversation"], stored["flags"]
    begins = begins_run(conversation)
    ignored = np.zeros(len(stored), np.bool_)
    bare = np.flatnonzero((flags & (SYN | ACK | RST)) == SYN)
    first_row = np.flatnonzero(begins)
    open_question = bare[~begins[bare] & ~_repeats(stored, bare)]
    answers = np.flatnonzero((flags & (SYN | ACK | RST)) == SYN | ACK)
    closing = np.append(0, np.cumsum((flags & (FIN | RST)) != 0))
    late = answers[closing[answers] > closing[first_row][np.searchsorted(first_row, answers, "right") - 1]]
    undecided = set_of(conversation[np.concatenate([open_question, late, answers[1:][_differ(stored, answers)]])])
    if len(undecided):
        again, decided = ordinary_reuse(stored, undecided)
        begins[again] = True
        undecided = without(undecided, decided)
    if len(undecided):
        rows = _rows_of(conversation, undecided)
        new, not_taken = boundaries(Table.holding({name: stored[name][rows] for name in ASKED_OF}))
        begins[rows[new]] = True
        ignored[rows[not_taken]] = True
    return begins, ignored


def _repeats(stored: Table, bare: Rows) -> Mask:
    """Which of the SYNs in rows `bare` repeat the SYN before them, with no FIN or RST between?

    A conversation of which only the first row and its repetitions are SYNs is one connection: nothing to decide.
    """
    repeats = np.zeros(len(bare), np.bool_)
    closing = np.cumsum((stored["flags"] & (FIN | RST)) != 0)[bare]
    same = np.ones(max(len(bare) - 1, 0), np.bool_)
    for column in (stored["conversation"][bare], stored["from_higher"][bare], stored["seq"][bare], closing):
        same &= column[1:] == column[:-1]
    repeats[1:] = same
    return repeats


def _differ(stored: Table, answers: Rows) -> Mask:
    """Has each SYN-ACK but the first another initial number than the one before it in its conversation?"""
    same, seq = stored["conversation"][answers], stored["seq"][answers]
    differ: Mask = (same[1:] == same[:-1]) & (seq[1:] != seq[:-1])
    return differ


def _rows_of(conversation: Column, chosen: Column) -> Rows:
    """Return the rows of some conversations; both are sorted."""
    first, behind = (np.searchsorted(conversation, chosen, side) for side in ("left", "right"))
    return consecutive(first, behind - first)


# --- what each SYN is ------------------------------------------------------------------------------------------------


def boundaries(stored: Table) -> tuple[Rows, Rows]:
    """Decide for each SYN of some conversations what it is.

    Returns the rows that begin a connection besides the first rows, and the rows of SYNs that their receiver ignores.
    A SYN is named by its number and its side (`SIDE_BIT`); a SYN-ACK `answers` the SYN that it acknowledges.
    """
    syns = _Syns(stored)
    begin, octets = -1, OctetsOnSyns()
    surely_new, surely_not_taken, questions = syns.questions()
    new: list[int] = []
    not_taken: list[int] = []
    for one in questions:
        if one.since > begin:
            begin, octets = one.since, OctetsOnSyns()
        if one.answers >= 0:
            again = one.reuses >= begin > one.known and not octets.holds(one.answers)
            begins = again or one.answered >= begin > one.told
        elif one.repeats or one.row == begin or one.late_after >= begin > one.before or one.crosses >= begin:
            begins = False  # captured after its answer, or a simultaneous open: Figure 7
        elif one.refused:
            begins = False
            not_taken.append(one.row)  # RFC 5961 §4: a challenge ACK is all it gets
        else:
            begins = True
        if begins:
            new.append(one.row)
            begin, octets = one.row, OctetsOnSyns()
        if one.octets:
            octets.add(one.name, one.octets)
    all_not_taken = np.append(surely_not_taken, np.array(not_taken, np.int64))
    return set_of(surely_new, np.array(new, np.int64)), syns.with_repetitions(all_not_taken)


class OctetsOnSyns:
    """Octets on SYNs: a SYN-ACK may acknowledge a part of them (RFC 7413).

    A SYN's octets reach from its number n to n + k. Those with k from h to 2h - 1 (h a power of two) are kept by
    stretches of h numbers: they cover their own from n to its end, and those behind it up to n + k. So the lowest n and
    the highest n + k in each stretch tell all, and however many SYNs there were, 3 stretches of each h are looked at.
    """

    def __init__(self) -> None:
        #: By h and begin of a stretch: the lowest n and the highest n + k, counted from there.
        self._stretches: dict[int, dict[int, tuple[int, int]]] = {}

    def add(self, syn: int, octets: int) -> None:
        """Add the octets (one at least) on a SYN."""
        h = 1 << (octets.bit_length() - 1)
        inside = syn & (h - 1)
        stretches = self._stretches.setdefault(h, {})
        low, high = stretches.get(syn - inside, (inside, inside + octets))
        stretches[syn - inside] = min(low, inside), max(high, inside + octets)

    def holds(self, syn: int) -> bool:
        """Does this name a SYN with octets, or one of its octets?"""
        side, number = syn >> SIDE_BIT << SIDE_BIT, syn % MODULUS
        for h, stretches in self._stretches.items():
            inside = number & (h - 1)
            for back in (0, h, 2 * h):
                low, high = stretches.get(side | (number - inside - back) % MODULUS, (3 * h, -1))
                if (low <= inside) if back == 0 else (high >= inside + back):
                    return True
        return False


# --- what each SYN asks ----------------------------------------------------------------------------------------------

#: The columns of the rows that SYNs ask about.
ASKED_OF = ("conversation", "from_higher", "flags", "seq", "ack", "payload_octets")


class _Question(NamedTuple):
    """A SYN of which it must be asked whether it begins a connection. Rows are -1 where there is none.

    Of others, that came before it, only those of its own connection count: the rows from `begin` on.
    """

    row: int
    #: The last row before it at which a connection begins for sure, be it the first of its conversation.
    since: int
    name: int
    octets: int
    #: Is it a SYN without ACK that is sent again? Nothing is asked then, but others may ask about its octets.
    repeats: bool
    #: What a SYN-ACK answers; -1 of a SYN without ACK.
    answers: int
    #: Of a SYN-ACK that the other side's next segment acknowledges: since when both sides have sent a FIN.
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


class _Syns:
    """The SYNs of some conversations, and what each asks of the rows around it. Arrays of shape (k,)."""

    def __init__(self, stored: Table) -> None:
        look = self._look = _Around(stored)
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
        """Add to SYNs that are not taken those that repeat them."""
        found = [not_taken]
        for side in (0, 1):
            mine = np.flatnonzero(~self._is_answer & (self._side == side))
            repeated = np.maximum.accumulate(np.where(self._repeats[mine], -1, mine))
            found.append(self._at[mine[np.isin(self._at[repeated], not_taken)]])
        return set_of(np.concatenate(found))

    def questions(self) -> tuple[Rows, Rows, Iterator[_Question]]:
        """Return the SYNs that surely begin a connection, those that surely are not taken, and questions, in order.

        These are about all other SYNs that may do either, and about those whose octets others ask about.
        """
        look, at, is_answer = self._look, self._at, self._is_answer
        following = look.next(at, 1 - self._side)
        agreed = (following >= 0) & (look.ack[following] == (look.seq[at] + 1) % MODULUS)
        closed = np.minimum(
            *(look.last(at, np.full(len(at), one), (look.flags & (FIN | RST)) == FIN) for one in (0, 1))
        )
        reuses = np.where(is_answer & agreed, closed, -1)
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

    def _last_answer(self) -> Rows:
        """Return the last SYN-ACK of its conversation before each SYN; -1 if there is none."""
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
    """Which of these values are among those wanted? `np.isin` takes three times as long."""
    ordered = np.append(np.sort(wanted), -1)
    among: Mask = ordered[np.searchsorted(ordered[:-1], values)] == values
    return among


def _in_turn(columns: list[NDArray[np.generic]]) -> Iterator[_Question]:
    for begin in range(0, len(columns[0]), SYNS_AT_ONCE):
        some = (column[begin : begin + SYNS_AT_ONCE].tolist() for column in columns)
        yield from map(_Question._make, zip(*some, strict=True))


def _ignores(look: _Around, at: Rows, following: Rows) -> Mask:
    """Is the peer's next segment an ACK that does not acknowledge the SYN in each row `at`?

    One that repeats the peer's last acknowledgment is no news of the SYN, wherever the SYN lies.
    """
    answer = look.ack[following]
    spoken = look.last(at, 1 - look.side[at], (look.flags & (ACK | RST)) == ACK)
    old = (spoken >= 0) & (look.ack[spoken] == answer)
    news = (answer - look.seq[at] - 1) % MODULUS < ACKNOWLEDGES_WITHIN_OCTETS
    ignores: Mask = (following >= 0) & ((look.flags[following] & (SYN | RST | ACK)) == ACK) & (old | ~news)
    return ignores


class _Around:
    """The rows around the SYNs of some conversations."""

    def __init__(self, stored: Table) -> None:
        conversation, self.flags = stored["conversation"], stored["flags"]
        self.side, self.octets, self.seq, self.ack = (
            stored[name].astype(np.int64) for name in ("from_higher", "payload_octets", "seq", "ack")
        )
        begins = first_of_runs(conversation)
        size = np.diff(begins, append=len(conversation))
        #: First row of the conversation of each row, and the row behind its last one.
        self.first, self._behind = np.repeat(begins, size), np.repeat(begins + size, size)
        #: How many FINs and RSTs there were before each row.
        self.closing = _before((self.flags & (FIN | RST)) != 0)
        refuses = self._refuses_only()
        self._refusals = [_before(refuses & (self.side == side)) for side in (0, 1)]

    def last(self, at: Rows, side: Rows, mask: Mask | bool = True) -> Rows:
        """Return the last row of a side before each row `at`, in its conversation, for which `mask` holds; else -1."""
        found = np.full(len(at), -1, np.int64)
        for one in (0, 1):
            mine = np.flatnonzero(side == one)
            rows = np.flatnonzero(mask & (self.side == one))
            found[mine] = np.append(-1, rows)[count_to(rows, at[mine] - 1, len(self.side))]
        return np.where(found >= self.first[at], found, -1)

    def next(self, at: Rows, side: Rows) -> Rows:
        """Return the first row of a side from each row `at` on, in its conversation; -1 if there is none."""
        found = np.full(len(at), -1, np.int64)
        for one in (0, 1):
            mine = np.flatnonzero(side == one)
            rows = np.flatnonzero(self.side == one)
            found[mine] = np.append(rows, len(self.side))[count_to(rows, at[mine] - 1, len(self.side))]
        return np.where(found < self._behind[at], found, -1)

    def is_alone(self, at: Rows) -> Mask:
        """Was nothing of the other side captured?"""
        from_higher = _before(self.side == 1)
        from_higher = from_higher[self._behind[at]] - from_higher[self.first[at]]
        rows = self._behind[at] - self.first[at]
        alone: Mask = from_higher == np.where(self.side[at] == 1, rows, 0)
        return alone

    def ended_between(self, a: Rows, b: Rows, side: Rows) -> Mask:
        """Is there a FIN or RST from each row `a` to before row `b`, besides RSTs of a side that ended nothing?"""
        refusals = [count[b] - count[a] for count in self._refusals]
        ended: Mask = self.closing[b] - self.closing[a] != np.where(side == 1, refusals[1], refusals[0])
        return ended

    def _refuses_only(self) -> Mask:
        """Mark the RSTs with which their sender only refuses a SYN-ACK of some other SYN (Figure 8, line 5).

        Its own SYN is all it has sent, and SYN-SENT goes on (§3.10.7.3, first). An RST that answers an ACK without SYN
        ends a connection of its peer's (Figure 9, line 5): what follows is another one.
        """
        flags, refuses = self.flags, np.zeros(len(self.flags), np.bool_)
        resets = np.flatnonzero((flags & (RST | ACK)) == RST)
        said = self.last(resets, self.side[resets], (flags & RST) == 0)
        heard = self.last(resets, 1 - self.side[resets])
        beyond = (self.seq[resets] - self.seq[said] - 1) % MODULUS
        only_syn = (said >= 0) & ((flags[said] & (SYN | ACK)) == SYN)
        of_other = (heard < said) | ((flags[heard] & (SYN | ACK | RST)) == SYN | ACK)
        refuses[resets] = only_syn & of_other & (beyond > self.octets[said])
        return refuses


def _before(mask: Mask) -> Rows:
    """Count the rows before each row, and before the end, for which `mask` holds. Shape (n + 1,)."""
    return np.append(0, np.cumsum(mask))
