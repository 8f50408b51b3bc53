"""Finds when each end learns that its SYN, and its FIN, was acknowledged, and whether that is proven or assumed.

In: `ConnectionRows`, their `Numbers`, and the moment at which each row arrived, or is assumed to. Out: `News`. Read RFC
9293 §3.5, §3.10.7.3 and §3.10.7.4 first.

The first arrival brings the news; later ones change nothing. An arrival that is only assumed is *disproved* when its
receiver repeats what it would have acknowledged (its SYN, its FIN): then only a later segment can have brought the
news. It is *confirmed* when a later segment that brings the same news is proven to have arrived; a repetition captured
after that is an old copy.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.numbers import Numbers, next_of_end
from handshake_inspect.connections.moments import (
    ARRIVED,
    NEVER,
    ROW_BITS,
    UNBLOCKED,
    earliest,
    infer,
    moment,
    row_of,
    source_of,
)
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows
from handshake_inspect.connections.splitting.split import last_of
from handshake_inspect.plain import mutable
from handshake_inspect.sets import begins_run, set_of


@mutable
class News:
    """When each end learnt that its SYN (or its FIN) was acknowledged."""

    #: Moment of the first credible arrival of the news, NEVER if there is none. Shape (2m,).
    moment: Rows
    #: Whether that arrival is only assumed. Shape (2m,).
    assumed: Mask
    #: Moment of the first proven arrival. Shape (2m,).
    proven: Rows
    #: Disproved assumptions: (row, disproving row, end). Shape (j, 3).
    disproved: Rows


def syn_acknowledged(rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> News:
    """Return when each end learns that its SYN was acknowledged. `arrival`: the moment of each row's, NEVER if none."""
    receiver, is_syn = rows.peer, (rows.flags & SYN) != 0
    # The ends whose SYN could be acknowledged: the SYN was captured, or its acknowledgment was.
    opened = rows.iss_known.reshape(-1).copy()
    opened[1::2] |= numbers.inferred_syn_ack_row >= 0
    candidate = numbers.ack_counts & opened.take(receiver) & (rows.ack >= 1)
    # §3.10.7.4, first: a segment before the window is not acceptable, and its ACK is not processed.
    candidate &= is_syn | (rows.seq >= 1)
    candidate &= ~_refused(rows, numbers)
    # When an end sent a SYN-ACK, its own SYN had not been acknowledged yet (simultaneous open: the SYN-ACKs cross).
    crossing = _crossing_answers(numbers)
    held, when = np.zeros(len(rows), np.bool_), arrival.copy()
    soft = ~rows.has_length
    if (crossing >= 0).any():
        index = np.arange(len(rows))
        held = is_syn & (crossing[receiver] > index)
        when = np.where(held, moment(np.maximum(crossing[receiver], 0), UNBLOCKED, index), arrival)
        soft |= is_syn & (crossing[receiver] >= 0)
        syn_count = np.bincount(rows.end[numbers.is_syn], minlength=2 * rows.connections) + numbers.crossing_syn
        held &= syn_count[receiver] <= 2
    ahead = _third_ahead(rows, numbers)
    when[ahead] = moment(ahead, ARRIVED, ahead)
    news = _first_credible(rows, np.flatnonzero(candidate), when, soft, numbers.is_syn, held)
    # Rows that prove it although the segment that brought the news was not captured.
    inferred, by_data = numbers.inferred_syn_ack_row, numbers.inferred_ack_row
    shown = np.full(2 * rows.connections, NEVER, np.int64)
    infer(shown[ORIGINATOR::2], inferred >= 0, inferred, 2)
    infer(shown[ORIGINATOR::2], (by_data >= 0) & (inferred < 0), by_data, 2)
    infer(shown[RESPONDER::2], by_data >= 0, by_data, 3)
    news.assumed &= news.moment < shown
    news.moment, news.proven = np.minimum(news.moment, shown), np.minimum(news.proven, shown)
    return news


def _third_ahead(rows: ConnectionRows, numbers: Numbers) -> Rows:
    """Return the rows of third segments whose number is ahead, but in the window: SYN-RECEIVED processes their ACK.

    The numbers before it may not be captured, or may never have been sent: such a segment is acceptable (RFC 9293
    §3.10.7.4, first), and its ACK is not held back. If the SYN-ACK is sent again afterwards, the third segment was
    lost.
    """
    originator = np.arange(rows.connections) * 2
    third, answer = numbers.ack_row[originator], numbers.syn_ack_row[originator + 1]
    passive = (numbers.bare_syn_row[originator + 1] < 0) & ~numbers.crossing_syn[originator + 1] & ~rows.self_connect
    unheard = last_of(rows.end, numbers.is_syn, 2 * rows.connections)[originator + 1] > third
    found = passive & (answer >= 0) & (third > answer) & ~unheard
    third, answer = third[found], answer[found]
    seq, edge = rows.seq[third], rows.ack[answer] + rows.window[answer].astype(np.int64)
    inside = (seq > numbers.acknowledged_by[RESPONDER][third]) & (seq < edge) & (rows.seq_end[third] == seq)
    ahead: Rows = third[inside & (rows.ack[third] >= 1)]
    return ahead


def _crossing_answers(numbers: Numbers) -> Rows:
    """Return the row that shows the SYN-ACK of each end that also sent a SYN without ACK, else -1. Shape (2m,)."""
    asks = (numbers.bare_syn_row >= 0) | numbers.crossing_syn
    captured = np.where(asks, numbers.syn_ack_row, -1)
    proof = np.repeat(numbers.inferred_syn_ack_row, 2)
    return np.where(numbers.crossing_syn & (proof >= 0), proof, captured)


def _refused(rows: ConnectionRows, numbers: Numbers) -> Mask:
    """Mark third segments that opened nothing: the answer is an RST without ACK, at the number they acknowledge.

    This is the answer of an end that has no connection for a segment (RFC 9293 §3.5.2), such as a listener whose queue
    is full. §3.10.5 would allow the same RST for an ABORT, but current kernels set ACK in that.
    """
    refused = np.zeros(len(rows), np.bool_)
    bare = ((rows.flags & (RST | ACK)) == RST) & (rows.side == RESPONDER)
    at = np.flatnonzero(bare)
    if not len(at):
        return refused
    at = rows.rows_of(set_of(rows.conn[at]))
    at = at[numbers.ack_counts[at] & (rows.side[at] == ORIGINATOR) & ((rows.flags[at] & (SYN | RST)) == 0)]
    at = at[~rows.has_length[at] & (rows.seq[at] == numbers.syn_end[rows.end[at]])]
    every = np.ones(len(rows), np.bool_)
    answer = next_of_end(rows, every, rows.peer[at], at)
    goes_on = next_of_end(rows, every, rows.end[at], at)
    spoke = numbers.ack_row[rows.peer[at]]
    is_answer = (answer >= 0) & bare[answer] & (rows.seq[answer] == rows.ack[at])
    is_all = ((goes_on < 0) | (goes_on > answer)) & ((spoke < 0) | (spoke > answer))
    refused[at[is_answer & is_all]] = True
    return refused


def fin_acknowledged(rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> News:
    """Return when each end learns that its FIN was acknowledged; `arrival` as in `syn_acknowledged`."""
    candidate = numbers.of_fins
    sent_at = np.where(numbers.fin_row >= 0, numbers.fin_row, numbers.inferred_fin_row)
    late_ends = np.flatnonzero(numbers.late_fin_row >= 0)
    sent_at[late_ends] = numbers.late_fin_row[late_ends]
    fin_row = sent_at.take(rows.peer.take(candidate))
    # A FIN that was captured after its acknowledgment had been sent before that.
    arrives = arrival.take(candidate)
    late = (row_of(arrives) < fin_row) & (arrives != NEVER)
    when = arrival.copy()
    when[candidate[late]] = moment(fin_row[late], UNBLOCKED, candidate[late])
    sent = numbers.is_fin & ~_copies(rows, numbers.is_fin)
    sent[numbers.fin_row[late_ends]] = False  # it was captured late, and not sent again
    return _first_credible(rows, candidate, when, ~rows.has_length, sent, np.zeros(len(rows), np.bool_))


def _copies(rows: ConnectionRows, mask: Mask) -> Mask:
    """Mark the rows among `mask` that the network duplicated: number and IP ID equal an earlier one of the same end.

    Their sender did not send again, so they show nothing of what it has received. An IP ID of 0 proves nothing (RFC
    6864).
    """
    at = np.flatnonzero(mask & (rows.ip_id != 0))
    at = at[np.bincount(rows.end[at], minlength=2 * rows.connections)[rows.end[at]] > 1]
    columns = (rows.end[at], rows.ip_id[at], rows.seq[at])
    order = np.lexsort(columns)
    copies = np.zeros(len(rows), np.bool_)
    if len(at):
        same = np.logical_and.reduce([column[order[1:]] == column[order[:-1]] for column in columns])
        copies[at[order[1:][same]]] = True
    return copies


def _first_credible(rows: ConnectionRows, candidate: Rows, when: Rows, soft: Mask, repeats: Mask, spared: Mask) -> News:
    """Choose for each end the first arrival among candidates that is not disproved by a later repetition.

    `candidate`: rows. `soft` marks arrivals that are only assumed, `repeats` SYNs or FINs, `spared` arrivals that no
    repetition disproves.
    """
    ends = 2 * rows.connections
    arrives, peer, is_soft = when.take(candidate), rows.peer.take(candidate), soft.take(candidate)

    def only(some: Rows) -> tuple[Rows, Rows, Rows, Mask]:
        return candidate.take(some), arrives.take(some), peer.take(some), is_soft.take(some)

    # Arrivals after the first proof are no news, and the proof first in order of rows is nearly always the first in
    # time: it rules out most candidates.
    hard = np.flatnonzero(~is_soft & (arrives != NEVER))[::-1]
    proof = np.full(ends, NEVER - 1, np.int64)
    proof[peer.take(hard)] = arrives.take(hard)
    candidate, arrives, peer, is_soft = only(np.flatnonzero(arrives <= proof.take(peer)))
    hard = np.flatnonzero(~is_soft)
    proof = earliest(peer.take(hard), arrives.take(hard), ends)
    # An end that is proven to know of the arrival repeats nothing: a repetition captured after that is an old copy.
    again = np.flatnonzero(repeats)
    again = again[again < row_of(proof.take(rows.end.take(again)))]
    last = np.full(ends, -1, np.int64)
    last[rows.end.take(again)] = again
    candidate, arrives, peer, is_soft = only(np.flatnonzero(arrives <= proof.take(peer)))
    refuted = is_soft & ~spared.take(candidate) & (last.take(peer) > row_of(arrives))
    use = np.flatnonzero(~refuted)
    chosen = earliest(peer.take(use), arrives.take(use), ends)
    is_assumed, at = np.zeros(ends, np.bool_), np.flatnonzero(chosen != NEVER)
    is_assumed[at] = soft.take(source_of(chosen.take(at)))
    disproved = candidate[refuted]
    disproved = disproved[when[disproved] < chosen[rows.peer[disproved]]]
    return News(chosen, is_assumed, proof, _disproofs(rows, disproved, when, again))


def _disproofs(rows: ConnectionRows, arrived: Rows, when: Rows, again: Rows) -> Rows:
    """Return the repetition that disproves each of these assumed arrivals: the first that its receiver sends after it.

    `again`: the repetitions. If one repetition disproves several arrivals, only the first is kept. Returns the rows of
    `News.disproved`.
    """
    sent = np.sort(rows.end.take(again) << ROW_BITS | again)
    disproving = sent[np.searchsorted(sent, rows.peer[arrived] << ROW_BITS | row_of(when[arrived]), "right")]
    order = np.lexsort((when[arrived], disproving))
    arrived, disproving = arrived[order], disproving[order]
    first = begins_run(disproving)
    arrived, disproving = arrived[first], disproving[first] & ((1 << ROW_BITS) - 1)
    return np.stack([row_of(when[arrived]), disproving, rows.peer[arrived]], axis=1)
