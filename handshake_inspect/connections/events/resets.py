"""Decides the effect of each RST (RFC 9293 §3.5.2, §3.5.3, §3.10.7; RFC 5961 §3).

Let A be the highest number that its receiver has acknowledged. At exactly A, or with A unknown, an RST takes effect.
Below A it is old. Above A it waits until A equals it, if its sender sends nothing after it; if the receiver is silent
from then on, the RST is assumed to have worked (data followed by an RST is never acknowledged). If its sender continues
and is acknowledged, nothing was reset; likewise if it continues, A is unknown, and the RST is not at the number that
its sender had reached. SYN-SENT drops an RST that does not acknowledge its SYN: such an RST after a SYN-ACK also waits,
until that SYN-ACK is proven to have arrived first.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.numbers import Numbers, next_of_end, previous_of_end
from handshake_inspect.connections.moments import ARRIVED, NEVER, UNBLOCKED_RST, moment
from handshake_inspect.connections.splitting.rows import (
    ACK,
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    lifted,
    of_side,
)
from handshake_inspect.connections.splitting.split import first_of, last_of
from handshake_inspect.plain import mutable
from handshake_inspect.sets import places_in


@mutable
class Resets:
    """All RST rows, one entry each."""

    #: Its row.
    row: Rows
    #: Moment of its effect, NEVER if it has none.
    moment: Rows
    #: The highest number that its receiver had acknowledged when it was sent, which the RST must have: the number of
    #: the SYN if it waits behind a SYN-ACK, UNKNOWN if the receiver had acknowledged nothing.
    expected: Rows
    #: It acknowledges the receiver's SYN.
    of_syn: Mask
    #: Its effect is assumed: it is beyond that number, but the receiver was silent afterwards.
    assumed: Mask
    #: Its sender continued, and the receiver acknowledged that: it had no effect.
    belied: Mask
    #: A is unknown, and its sender continued from another number than that of the RST.
    elsewhere: Mask
    #: It answers a SYN-ACK with another initial number than the acknowledged one (RFC 9293 §3.5.2): that belongs to
    #: another connection of the same sockets, whose numbers differ from these.
    of_another: Mask
    #: Its sender ended its own connection with it.
    ends_sender: Mask


def find_resets(rows: ConnectionRows, numbers: Numbers) -> Resets:
    """Decide the effect of each RST."""
    at = np.flatnonzero((rows.flags & RST) != 0)
    sender, receiver, seq = rows.end[at], rows.peer[at], rows.seq[at]
    acknowledged = np.where(
        receiver & 1, numbers.acknowledged_by[RESPONDER][at], numbers.acknowledged_by[ORIGINATOR][at]
    )
    last_word = last_of(rows.end, (rows.flags & RST) == 0, 2 * rows.connections)[sender] < at
    refuses = _refuses_only(rows, numbers, at)
    sent = _sent_before(rows, at)
    # A SYN-ACK with a wrong number still names the number it expects. An RST whose sender continues refused only that.
    wrong = numbers.wrong_syn_ack_row[receiver]
    named = (acknowledged == UNKNOWN) & (wrong >= 0) & (wrong < at)
    refuses |= named & (seq == rows.ack[wrong]) & ~last_word
    answers = _answers_unsent(rows, numbers, at) & (acknowledged < 1)
    refuses |= answers
    belied = _belied(rows, numbers, at, sent) & ~last_word & ~refuses
    # For an end that has only sent its SYN, RCV.NXT of the receiver is known: an RST at another number refuses another
    # SYN.
    unknown = (acknowledged == UNKNOWN) & (named & ~answers | ~refuses)
    elsewhere = unknown & ~last_word & ~(named & refuses) & (sent != UNKNOWN) & (sent != seq)
    # §3.5.3: in SYN-SENT an RST is valid if it acknowledges the SYN (or data on it).
    of_syn = ((rows.flags[at] & ACK) != 0) & (numbers.bare_syn_row[receiver] >= 0)
    of_syn &= (rows.ack[at] >= 1) & (rows.ack[at] <= numbers.syn_end[receiver])
    behind = unknown & ~named & ~of_syn & last_word & _behind_syn_ack(rows, numbers, at)
    exact = (unknown & ~elsewhere & ~behind) | (acknowledged == seq)
    when = np.where(exact & ~belied, moment(at, ARRIVED, at), NEVER)
    ahead = np.flatnonzero((behind | (acknowledged != UNKNOWN)) & (seq > acknowledged) & last_word & ~answers)
    assumed = _catch_up(rows, numbers, at, ahead, when)
    return Resets(
        row=at,
        moment=when,
        expected=np.where(named, rows.ack[wrong], np.where(behind, 0, acknowledged)),
        of_syn=of_syn,
        assumed=assumed,
        belied=belied,
        elsewhere=elsewhere,
        of_another=_answers_another(rows, at),
        ends_sender=(last_word | (when != NEVER)) & ~refuses,
    )


def _refuses_only(rows: ConnectionRows, numbers: Numbers, at: Rows) -> Mask:
    """Mark the RSTs that only refuse a wrong SYN-ACK: an end that only sent its SYN continues (Figure 8, line 5)."""
    sender, seq = rows.end[at], rows.seq[at]
    spoke = first_of(rows.end, (rows.flags & (SYN | RST)) == 0, 2 * rows.connections)[sender]
    only_syn = (numbers.bare_syn_row[sender] >= 0) & ~((spoke >= 0) & (spoke < at))
    return only_syn & ((seq < 1) | (seq > numbers.syn_end[sender]))


def _behind_syn_ack(rows: ConnectionRows, numbers: Numbers, at: Rows) -> Mask:
    """Mark the RSTs that follow the SYN-ACK of their sender, to an end that sent a SYN without ACK."""
    opening = numbers.syn_ack_row[rows.end[at]]
    behind: Mask = (opening >= 0) & (opening < at) & (numbers.bare_syn_row[rows.peer[at]] >= 0)
    return behind


def _answers_unsent(rows: ConnectionRows, numbers: Numbers, at: Rows) -> Mask:
    """Mark the RSTs without ACK that have the number which their peer's last segment acknowledged, though never sent.

    This is the answer of an end whose SYN-ACK is not acknowledged yet, and which stays in SYN-RECEIVED (RFC 9293
    §3.5.2, group 2).
    """
    opening = numbers.syn_ack_row[rows.end[at]]
    answers = (rows.flags[at] & ACK == 0) & (opening >= 0) & (opening < at)
    asked = previous_of_end(rows, np.ones(len(rows), np.bool_), rows.peer[at], at)
    answers &= (asked >= 0) & ((rows.flags[asked] & (RST | ACK)) == ACK) & ~numbers.ack_counts[asked]
    answered: Mask = answers & (rows.ack[asked] == rows.seq[at])
    return answered


def _answers_another(rows: ConnectionRows, at: Rows) -> Mask:
    """Mark the RSTs without ACK that have the number acknowledged by a SYN-ACK that is not of this connection."""
    other = ((rows.flags & (SYN | RST | ACK)) == (SYN | ACK)) & (rows.seq != 0)
    if not other.any():
        return np.zeros(len(at), np.bool_)
    last = previous_of_end(rows, other, rows.peer[at], at)
    answers: Mask = (last >= 0) & (rows.ack[last] == rows.seq[at]) & ((rows.flags[at] & ACK) == 0)
    return answers


def _catch_up(rows: ConnectionRows, numbers: Numbers, at: Rows, ahead: Rows, when: Rows) -> Mask:
    """Fill in the moments of RSTs beyond A (`ahead`: their indices in `at`). Returns which effects are assumed."""
    sender, receiver, seq, conn = rows.end[at], rows.peer[at], rows.seq[at], rows.conn[at]
    assumed = np.zeros(len(at), np.bool_)
    if not len(ahead):
        return assumed
    peer_silent = last_of(rows.end, np.ones(len(rows), np.bool_), 2 * rows.connections)[receiver] < at
    for s in (ORIGINATOR, RESPONDER):
        mine = ahead[receiver[ahead] & 1 == s]
        reached = lifted(numbers.acknowledged_by[s], rows.conn, rows.connections)
        wanted = lifted(seq[mine], conn[mine], rows.connections)
        proof = places_in(reached, wanted)
        inside = proof < rows.start[conn[mine] + 1]
        exact = inside & (reached[np.where(inside, proof, 0)] == wanted)
        when[mine[exact]] = moment(proof[exact], UNBLOCKED_RST, at[mine[exact]])
        quiet = mine[~inside & peer_silent[mine] & (seq[mine] == rows.highest[sender[mine]])]
        when[quiet] = moment(at[quiet], ARRIVED, at[quiet])
        assumed[quiet] = True
    return assumed


def _sent_before(rows: ConnectionRows, at: Rows) -> Rows:
    """Return the number that the sender of each RST had reached, UNKNOWN if nothing of it was captured before."""
    return np.maximum(of_side(rows.side[at], [sent[at] for sent in rows.sent_by]), UNKNOWN)


def _belied(rows: ConnectionRows, numbers: Numbers, at: Rows, sent: Rows) -> Mask:
    """Mark the RSTs after which their sender continued, and the peer acknowledged that: then nothing was reset.

    Such an RST was injected, lost after the capture point, or ignored in TIME-WAIT.
    """
    return (numbers.finally_acknowledged[rows.peer[at]] > sent) | _outlived(rows, numbers, at)


def _outlived(rows: ConnectionRows, numbers: Numbers, at: Rows) -> Mask:
    """Mark the RSTs after which TIME-WAIT still acknowledged further segments: it had ignored the RST (RFC 1337)."""
    sender, receiver = rows.end[at], rows.peer[at]
    by_originator, by_responder = (acknowledged[at] for acknowledged in numbers.acknowledged_by)
    over = np.where(receiver & 1, by_responder, by_originator) >= numbers.fin_end[sender]
    over &= np.where(sender & 1, by_responder, by_originator) >= numbers.fin_end[receiver]
    outlived = np.zeros(len(at), np.bool_)
    which = np.flatnonzero(over)
    if len(which):
        occupies = (rows.seq_end > rows.seq) & ((rows.flags & RST) == 0)
        came = next_of_end(rows, occupies, sender[which], at[which])
        answer = next_of_end(rows, np.ones(len(rows), np.bool_), receiver[which], came)
        is_ack = (rows.flags[answer] & (SYN | RST | ACK)) == ACK
        outlived[which] = (came >= 0) & (answer >= 0) & is_ack
    return outlived
