"""Where the connections of a pair of sockets begin, decided by the role of each SYN.

In: the columns of rows sorted by conversation and capture order. Out: the rows that begin a connection, and the SYNs
that their receiver ignores.

A SYN without ACK can begin another connection. So can a SYN-ACK that answers none of the SYNs so far, if both ends have
sent a FIN, if only its sender was captured, or if its SYN was captured after it. RFC 9293 §3.10.7.4 (fourth), RFC 5961
§4 and Figures 7 to 9 have the other roles of a SYN. The function `boundaries` has the rules, one SYN after the other;
the module `reuse` decides the ordinary cases in columns, and `syn_questions` prepares the facts about the others from
the rows around them.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.splitting.reuse import ordinary_reuse
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.connections.splitting.syn_questions import ASKED_OF, SIDE_BIT, Syns
from handshake_inspect.sets import begins_run, consecutive, set_of, without
from handshake_inspect.table import Table
from handshake_inspect.tcp.seqnum import MODULUS


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
    """Mark the SYNs in rows `bare` that repeat the SYN before them, with no FIN or RST in between.

    A conversation whose only SYNs are the first row and its retransmissions is one connection: nothing to decide.
    """
    repeats = np.zeros(len(bare), np.bool_)
    closing = np.cumsum((stored["flags"] & (FIN | RST)) != 0)[bare]
    same = np.ones(max(len(bare) - 1, 0), np.bool_)
    for column in (stored["conversation"][bare], stored["from_higher"][bare], stored["seq"][bare], closing):
        same &= column[1:] == column[:-1]
    repeats[1:] = same
    return repeats


def _differ(stored: Table, answers: Rows) -> Mask:
    """Mark, of all SYN-ACKs but the first, those with another number than the one before in their conversation."""
    same, seq = stored["conversation"][answers], stored["seq"][answers]
    differ: Mask = (same[1:] == same[:-1]) & (seq[1:] != seq[:-1])
    return differ


def _rows_of(conversation: Column, chosen: Column) -> Rows:
    """Return the rows of some conversations; both are sorted."""
    first, behind = (np.searchsorted(conversation, chosen, side) for side in ("left", "right"))
    return consecutive(first, behind - first)


def boundaries(stored: Table) -> tuple[Rows, Rows]:
    """Decide the role of each SYN of some conversations.

    Returns the rows that begin a connection besides the first rows, and the rows of SYNs that their receiver ignores.
    A SYN is identified by its number and its side (`SIDE_BIT`); a SYN-ACK `answers` the SYN that it acknowledges.
    """
    syns = Syns(stored)
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
            not_taken.append(one.row)  # RFC 5961 §4: it is answered only with a challenge ACK
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
    """Octets on SYNs: a SYN-ACK may acknowledge part of them (RFC 7413).

    The octets of a SYN range from its number n to n + k. Those with k from h to 2h - 1 (h a power of two) are stored by
    stretches of h numbers: each covers its own stretch from n to the end, and the following ones up to n + k. So the
    lowest n and the highest n + k of each stretch suffice, and for any number of SYNs 3 stretches of each h are read.
    """

    def __init__(self) -> None:
        #: By h and begin of a stretch: the lowest n and the highest n + k, relative to that begin.
        self._stretches: dict[int, dict[int, tuple[int, int]]] = {}

    def add(self, syn: int, octets: int) -> None:
        """Add the octets (at least one) on a SYN."""
        h = 1 << (octets.bit_length() - 1)
        inside = syn & (h - 1)
        stretches = self._stretches.setdefault(h, {})
        low, high = stretches.get(syn - inside, (inside, inside + octets))
        stretches[syn - inside] = min(low, inside), max(high, inside + octets)

    def holds(self, syn: int) -> bool:
        """Does this number identify a SYN with octets, or one of its octets?"""
        side, number = syn >> SIDE_BIT << SIDE_BIT, syn % MODULUS
        for h, stretches in self._stretches.items():
            inside = number & (h - 1)
            for back in (0, h, 2 * h):
                low, high = stretches.get(side | (number - inside - back) % MODULUS, (3 * h, -1))
                if (low <= inside) if back == 0 else (high >= inside + back):
                    return True
        return False
