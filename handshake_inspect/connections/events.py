"""Sequence arithmetic: which events of RFC 9293 the segments of a connection are, and when each happened.

In: `ConnectionRows`. Out: `Events`, for every connection what happened to its two ends, in order. Nothing here knows
states; `machine` walks them. Read RFC 9293 §3.4, §3.5 and §3.10.7 first.

**Seen is not delivered.** Let A of an end be the running maximum of its acknowledgments. A segment has *arrived* when
the receiver's A reaches its end (SEG.SEQ + SEG.LEN): that is proof. A segment without length has nothing to be
acknowledged; it is *assumed* to arrive, once A has reached its number, that is, when nothing before it is unproven.
So a bare ACK that answers a simultaneous FIN does not overtake the FIN that its sender has in flight (Figure 13). Only
the third segment may lie ahead, inside the window: whatever is missing before it, its ACK opens.

**When.** An event is placed at a row: the one that proves or unblocks it, or the segment's own row if it was
acknowledged already. Within one row: what it proves of segments that were not captured, what its ACK proves, its
sender's own act, assumed arrivals that it unblocks, an RST that it unblocks, the segment's own arrival. The events of
one arrived segment form one group: RST, SYN, ACK, FIN.

**What counts once.** Being acknowledged, sending a FIN and receiving one happen once; repetitions change nothing. An
assumed arrival is *disproved* when the receiver repeats what it would have acknowledged (its SYN, its FIN): then only
later segments can have brought the news. It is *confirmed* when a later segment that brings the same news is proven;
what the receiver seems to repeat after that is an old copy.

**What cannot be told.** A FIN is its sender's first move or the answer to its peer's FIN, and leads elsewhere. Where
its sender has acknowledged numbers that were not captured, the last of them may be that FIN: such a FIN is *unplaced*,
and of the states after it only those are known to which an RST leads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.moments import (
    AFTER_ALL,
    ARRIVED,
    INFERRED,
    NEVER,
    ORDER_BITS,
    OWN_ACT,
    PROVEN,
    ROW_BITS,
    UNBLOCKED,
    moment,
    rank_of,
    row_of,
    source_of,
)
from handshake_inspect.connections.numbers import Numbers, find_numbers, next_of_end
from handshake_inspect.connections.resets import Resets, find_resets
from handshake_inspect.connections.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, UNKNOWN, ConnectionRows, lifted
from handshake_inspect.connections.split import last_of
from handshake_inspect.sets import begins_run, first_of_equal, set_of
from handshake_inspect.tcp.states import Event

# Bits of an event's code; the lower four are the `Event`.
RESPONDER_BIT, ASSUMED_BIT, JOINED_BIT, UNPLACED_BIT = 1 << 4, 1 << 5, 1 << 6, 1 << 7


@dataclass
class Events:
    """`k` events of `m` connections, sorted by connection and moment."""

    #: Where the events of each connection begin. Shape (m + 1,).
    start: Rows
    #: `Event` | RESPONDER_BIT if it happened to the responder | ASSUMED_BIT | JOINED_BIT if it belongs to the group
    #: of the event before it | UNPLACED_BIT of a FIN if it cannot be told whether it is the first or the second. Shape
    #: (k,), as all below.
    code: NDArray[np.uint8]
    #: The row at which it is known.
    row: Rows
    #: The row of the segment that it is (its own row for an act); of one that was not captured, the row that shows it.
    source: Rows
    #: What each RST is worth. One entry for each row with the RST bit.
    resets: Resets
    #: Assumed arrivals that were disproved: (row, row that disproves it, end, `Event`). Shape (j, 4).
    disproved: Rows
    #: Assumed arrivals of which a later segment is proof: (row of the proof, end, `Event`). Shape (i, 3).
    confirmed: Rows
    numbers: Numbers
    #: The row at which each end has received its peer's SYN, NEVER if that is not proven. Shape (2m,).
    syn_received: Rows


def find_events(rows: ConnectionRows) -> Events:
    """Find what happened to both ends of every connection."""
    numbers = find_numbers(rows)
    arrival = _arrivals(rows, numbers)
    slots = _Slots(rows)
    syn_received = _handshake_events(slots, rows, numbers, arrival)
    disproved, confirmed = _acknowledgment_events(slots, rows, numbers, arrival)
    _fin_events(slots, rows, numbers, arrival)
    resets = find_resets(rows, numbers)
    _reset_events(slots, rows, resets)
    start, code, row, source = slots.sorted_events()
    return Events(start, code, row, source, resets, disproved, confirmed, numbers, syn_received)


def _arrivals(rows: ConnectionRows, numbers: Numbers) -> Rows:
    """Return the moment at which each row is known, or assumed, to have reached its receiver; NEVER if not."""
    # Before the capture begins everything is taken to have arrived; so is a SYN whose answer was not captured.
    delivered = np.where(rows.iss_known, UNKNOWN, 1)
    delivered[numbers.inferred_syn_ack_row >= 0, ORIGINATOR] = 1
    # A SYN has arrived when it is acknowledged, whatever becomes of data on it (RFC 7413 §4.2).
    needed, syns = rows.seq_end.copy(), np.flatnonzero(rows.flags & SYN)
    needed[syns] = rows.seq[syns] + 1
    # Most are acknowledged already when they are captured, having no length.
    index = np.arange(len(rows))
    when = moment(index, ARRIVED, index)
    for s in (ORIGINATOR, RESPONDER):
        reached = _with_delivered(rows, delivered, s, numbers.acknowledged_by[s])
        later = np.flatnonzero((reached < needed) & (rows.peer_side == s))
        when[later] = NEVER
        last = rows.start.take(rows.conn.take(later) + 1) - 1
        later = later[reached.take(last) >= needed.take(later)]
        proof = _first_reaching(rows, reached, needed.take(later), later)
        when[later] = moment(proof, np.where(rows.has_length.take(later), PROVEN, UNBLOCKED), later)
    when[np.flatnonzero(rows.flags & RST)] = NEVER
    return when


def _with_delivered(
    rows: ConnectionRows, delivered: NDArray[np.int64], receiver_side: int, acknowledged: Rows
) -> NDArray[np.int64]:
    """Raise what a side has acknowledged at each row to what it is taken to have received before that."""
    sender_side = np.where(rows.self_connect, receiver_side, 1 - receiver_side)
    before = delivered[np.arange(rows.connections), sender_side]
    return np.maximum(acknowledged, before.take(rows.conn)) if (before > UNKNOWN).any() else acknowledged


def _first_reaching(rows: ConnectionRows, reached: Rows, wanted: Rows, after: Rows) -> Rows:
    """Return the first row behind each row `after` of its connection at which a rising column has come to a number.

    There is one. What one row asks the next one answers, most often; for the others it is looked for.
    """
    found = after + 1
    at = np.flatnonzero(reached.take(found) < wanted)
    if len(at):
        axis = lifted(reached, rows.conn, rows.connections)
        found[at] = np.searchsorted(axis, lifted(wanted.take(at), rows.conn.take(after.take(at)), rows.connections))
    return found


# --- events ----------------------------------------------------------------------------------------------------------


class _Slots:
    """Collects events, then sorts them."""

    def __init__(self, rows: ConnectionRows) -> None:
        self._rows = rows
        self._parts: list[tuple[Rows, NDArray[np.uint8]]] = []

    def add(
        self, event: Event, end: Rows, when: Rows, assumed: Mask | None = None, unplaced: Mask | None = None
    ) -> None:
        """Add `event` of each `end` at its moment; moments NEVER are left out."""
        happened = np.flatnonzero(when != NEVER)
        code = ((end.take(happened) & 1) * RESPONDER_BIT | int(event)).astype(np.uint8)
        for claim, bit in ((assumed, ASSUMED_BIT), (unplaced, UNPLACED_BIT)):
            if claim is not None:
                code |= claim.take(happened) * np.uint8(bit)
        # §3.10.7.4: within a group RST, SYN, ACK, FIN.
        self._parts.append((when.take(happened) | _GROUP_ORDER.get(event, 0), code))

    def sorted_events(self) -> tuple[Rows, NDArray[np.uint8], Rows, Rows]:
        """Return `start`, `code`, `row` and `source` of `Events`."""
        when, code = (np.concatenate(columns) for columns in zip(*self._parts, strict=True))
        order = np.argsort(when, kind="stable")
        when, code = when.take(order), code.take(order)
        keep = _distinct_resets(code, self._rows.conn, row_of(when))
        if not keep.all():
            when, code = when[keep], code[keep]
        row = row_of(when)
        same_segment = when[1:] >> ORDER_BITS == when[:-1] >> ORDER_BITS
        joined = same_segment & ((code[1:] & RESPONDER_BIT) == (code[:-1] & RESPONDER_BIT))
        code[1:] |= joined * np.uint8(JOINED_BIT)
        count = np.bincount(self._rows.conn.take(row), minlength=self._rows.connections)
        source = source_of(when)
        missed = np.flatnonzero((rank_of(when) == INFERRED) | (source >= AFTER_ALL))
        source[missed] = row[missed]
        return np.append(0, np.cumsum(count)), code, row, source


_GROUP_ORDER = {
    Event.RECEIVE_RST_OF_SYN: 0,
    Event.RECEIVE_RST: 1,
    Event.SEND_SYN: 2,
    Event.RECEIVE_SYN: 3,
    Event.RECEIVE_ACK_OF_SYN: 4,
    Event.RECEIVE_ACK_OF_FIN: 5,
    Event.SEND_FIN: 6,
    Event.RECEIVE_FIN: 7,
}


def _distinct_resets(code: NDArray[np.uint8], conn: Rows, row: Rows) -> Mask:
    """Keep one of equal RST events with nothing but RST events between them: a storm of RSTs says one thing.

    `conn` is the connection of each segment, `row` the segment of each event.
    """
    is_reset, keep = IS_RESET.take(code & 0xF), np.ones(len(code), np.bool_)
    at = np.flatnonzero(is_reset)
    if len(at) < 2:
        return keep
    run = np.cumsum(~is_reset)[at]
    key = (conn[row[at]] * (len(code) + 1) + run) << 8 | code[at]
    keep[at] = False
    keep[at[first_of_equal(key)]] = True
    return keep


#: Is an event the sending or the arrival of an RST? By the lower four bits of its code.
IS_RESET = np.isin(np.arange(16), (Event.SEND_RST, Event.RECEIVE_RST, Event.RECEIVE_RST_OF_SYN))


def _handshake_events(slots: _Slots, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> Rows:
    """SYN sent and received. Returns the row at which each end has received one."""
    ends, bare, own = np.arange(2 * rows.connections), numbers.bare_syn_row, numbers.syn_ack_row
    # A SYN that was not captured, or only after its SYN-ACK, was sent before it.
    asks = (bare >= 0) | numbers.crossing_syn
    asks[ORIGINATOR::2] |= rows.iss_known[:, ORIGINATOR]
    others, shown = own.take(rows.other_end), np.full(len(ends), NEVER, np.int64)
    _show(shown, asks & (own >= 0), own, 0)
    _show(shown, asks & (others >= 0), others, 0)
    _show(shown, numbers.crossing_syn & (numbers.ack_row >= 0), numbers.ack_row, 0)
    sends, before = _of_own(bare), np.flatnonzero(shown != NEVER)
    before = before[row_of(shown.take(before)) < row_of(sends.take(before))]
    sends[before] = shown[before]
    slots.add(Event.SEND_SYN, ends, sends)

    arrived = np.flatnonzero(numbers.is_syn)
    received = _earliest(rows.peer.take(arrived), arrival.take(arrived), len(ends))
    by_originator, by_responder = received[ORIGINATOR::2], received[RESPONDER::2]
    _show(received, numbers.crossing_syn.take(rows.other_end), own, 1)
    bare, answer = bare[ORIGINATOR::2], own[RESPONDER::2]
    _show(by_responder, (answer >= 0) & rows.iss_known[:, ORIGINATOR] & ((bare < 0) | (bare > answer)), answer, 1)
    inferred, by_data = numbers.inferred_syn_ack_row, numbers.inferred_ack_row
    for proof, shows in ((inferred, inferred >= 0), (by_data, (by_data >= 0) & (inferred < 0))):
        _show(by_responder, shows, proof, 1)
        _show(by_originator, shows, proof, 2)
    # A SYN that crosses another arrives after that one was sent.
    late = np.flatnonzero(numbers.crossing_syn[RESPONDER::2] & (inferred >= 0))
    by_responder[late] = moment(inferred[late], INFERRED, 1)
    slots.add(Event.RECEIVE_SYN, ends, received)
    # A SYN-ACK with a wrong number answers some other SYN, an old duplicate (Figure 8): it was received all the same.
    wrong, others = numbers.wrong_syn_ack_row, np.full(len(ends), NEVER, np.int64)
    _show(others, (wrong >= 0) & ((own < 0) | (wrong < own)) & (numbers.bare_syn_row < 0), wrong, 0)
    slots.add(Event.RECEIVE_SYN, ends, others)
    return np.where(received == NEVER, NEVER, row_of(received))


def _show(when: Rows, condition: Mask, row: Rows, source: int) -> None:
    """Take the moment of what `row` proves, though its segment was not captured, where that is the earlier one.

    `source` only orders such events.
    """
    at = np.flatnonzero(condition)
    if len(at):
        when[at] = np.minimum(when[at], moment(row[at], INFERRED, source))


def _of_own(row: Rows) -> Rows:
    """Moment of an end's own act in each row, NEVER for row -1."""
    when, at = np.full(len(row), NEVER, np.int64), np.flatnonzero(row >= 0)
    acts = row.take(at)
    when[at] = moment(acts, OWN_ACT, acts)
    return when


def _earliest(group: Rows, when: Rows, groups: int) -> Rows:
    """Return the smallest moment of each group, NEVER if it has none. Shape (groups,)."""
    out = np.full(groups, NEVER, np.int64)
    np.minimum.at(out, group, when)
    return out


@dataclass
class _News:
    """When each end learnt that its SYN (or its FIN) was acknowledged."""

    #: Moment of the first credible arrival of the news, NEVER if there is none. Shape (2m,).
    moment: Rows
    #: Is that arrival only assumed? Shape (2m,).
    assumed: Mask
    #: Moment of the first proven arrival. Shape (2m,).
    proven: Rows
    #: Disproved assumptions: (row, disproving row, end). Shape (j, 3).
    disproved: Rows


def _acknowledgment_events(slots: _Slots, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> tuple[Rows, Rows]:
    """ACK of SYN and ACK of FIN. Returns the disproved and the confirmed assumptions."""
    ends = np.arange(2 * rows.connections)
    disproved, confirmed = [], []
    for event, news in (
        (Event.RECEIVE_ACK_OF_SYN, _syn_acknowledged(rows, numbers, arrival)),
        (Event.RECEIVE_ACK_OF_FIN, _fin_acknowledged(rows, numbers, arrival)),
    ):
        slots.add(event, ends, news.moment, news.assumed)
        disproved.append(np.insert(news.disproved, 3, event, axis=1))
        later = np.flatnonzero(news.assumed & (news.proven != NEVER))
        confirmed.append(np.stack([row_of(news.proven[later]), later, np.full(len(later), event)], axis=1))
    return np.concatenate(disproved), np.concatenate(confirmed)


def _syn_acknowledged(rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> _News:
    receiver, is_syn = rows.peer, (rows.flags & SYN) != 0
    # Whose SYN could be acknowledged: one that was captured, or whose acknowledgment was.
    opened = rows.iss_known.reshape(-1).copy()
    opened[1::2] |= numbers.inferred_syn_ack_row >= 0
    candidate = numbers.ack_counts & opened.take(receiver) & (rows.ack >= 1)
    # §3.10.7.4, first: a segment before the window is not acceptable, its ACK is not looked at.
    candidate &= is_syn | (rows.seq >= 1)
    candidate &= ~_refused(rows, numbers)
    # An end that sent a SYN-ACK had not been acknowledged then (simultaneous open: the SYN-ACKs cross).
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
    # What proves it though the segment that brought it was not captured.
    inferred, by_data = numbers.inferred_syn_ack_row, numbers.inferred_ack_row
    shown = np.full(2 * rows.connections, NEVER, np.int64)
    _show(shown[ORIGINATOR::2], inferred >= 0, inferred, 2)
    _show(shown[ORIGINATOR::2], (by_data >= 0) & (inferred < 0), by_data, 2)
    _show(shown[RESPONDER::2], by_data >= 0, by_data, 3)
    news.assumed &= news.moment < shown
    news.moment, news.proven = np.minimum(news.moment, shown), np.minimum(news.proven, shown)
    return news


def _third_ahead(rows: ConnectionRows, numbers: Numbers) -> Rows:
    """Return the rows of third segments whose number lies ahead, but in the window: SYN-RECEIVED takes their ACK.

    What lies before may not be captured, or may never have been sent: such a segment is acceptable (RFC 9293 §3.10.7.4,
    first), and its ACK is not held back. A SYN-ACK that comes again says that it was not heard.
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
    """Return the row that shows the SYN-ACK of each end that sent a SYN without ACK too, -1 else. Shape (2m,)."""
    asks = (numbers.bare_syn_row >= 0) | numbers.crossing_syn
    captured = np.where(asks, numbers.syn_ack_row, -1)
    proof = np.repeat(numbers.inferred_syn_ack_row, 2)
    return np.where(numbers.crossing_syn & (proof >= 0), proof, captured)


def _refused(rows: ConnectionRows, numbers: Numbers) -> Mask:
    """Mark third segments that opened nothing: an RST without ACK, at the number they acknowledge, is the answer.

    So an end answers that has no connection for a segment (RFC 9293 §3.5.2), as a listener whose queue is full. Of an
    ABORT §3.10.5 would allow the same, but the kernels of today set ACK in it.
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


def _fin_acknowledged(rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> _News:
    candidate = numbers.of_fins
    fin_row = np.where(numbers.fin_row >= 0, numbers.fin_row, numbers.inferred_fin_row).take(rows.peer.take(candidate))
    # A FIN that was captured after its acknowledgment had been sent before it.
    arrives = arrival.take(candidate)
    late = (row_of(arrives) < fin_row) & (arrives != NEVER)
    when = arrival.copy()
    when[candidate[late]] = moment(fin_row[late], UNBLOCKED, candidate[late])
    sent = numbers.is_fin & ~_copies(rows, numbers.is_fin)
    return _first_credible(rows, candidate, when, ~rows.has_length, sent, np.zeros(len(rows), np.bool_))


def _copies(rows: ConnectionRows, mask: Mask) -> Mask:
    """Mark the rows among `mask` that the network doubled: the same number and IP ID as an earlier one of its end.

    Their sender did not send again, so they tell nothing of what it has heard. An IP ID of 0 tells nothing (RFC 6864).
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


def _first_credible(
    rows: ConnectionRows, candidate: Rows, when: Rows, soft: Mask, repeats: Mask, spared: Mask
) -> _News:
    """Choose for each end the first arrival among candidates that is not disproved by a later repetition.

    `candidate`: rows. `soft` marks arrivals that are only assumed, `repeats` SYNs or FINs, `spared` arrivals that none
    of them disproves.
    """
    ends = 2 * rows.connections
    arrives, peer, is_soft = when.take(candidate), rows.peer.take(candidate), soft.take(candidate)

    def only(some: Rows) -> tuple[Rows, Rows, Rows, Mask]:
        return candidate.take(some), arrives.take(some), peer.take(some), is_soft.take(some)

    # What comes behind a proof is no news, and a first proof is nearly always the first: most are left out by it.
    hard = np.flatnonzero(~is_soft & (arrives != NEVER))[::-1]
    proof = np.full(ends, NEVER - 1, np.int64)
    proof[peer.take(hard)] = arrives.take(hard)
    candidate, arrives, peer, is_soft = only(np.flatnonzero(arrives <= proof.take(peer)))
    hard = np.flatnonzero(~is_soft)
    proof = _earliest(peer.take(hard), arrives.take(hard), ends)
    # An end repeats nothing of which it has proven to know that it arrived: what comes then is an old copy.
    again = np.flatnonzero(repeats)
    again = again[again < row_of(proof.take(rows.end.take(again)))]
    last = np.full(ends, -1, np.int64)
    last[rows.end.take(again)] = again
    candidate, arrives, peer, is_soft = only(np.flatnonzero(arrives <= proof.take(peer)))
    refuted = is_soft & ~spared.take(candidate) & (last.take(peer) > row_of(arrives))
    use = np.flatnonzero(~refuted)
    chosen = _earliest(peer.take(use), arrives.take(use), ends)
    is_assumed, at = np.zeros(ends, np.bool_), np.flatnonzero(chosen != NEVER)
    is_assumed[at] = soft.take(source_of(chosen.take(at)))
    at = candidate[refuted]
    at = at[when[at] < chosen[rows.peer[at]]]
    # The first repetition after it disproves it; of those that one repetition disproves the first tells it all.
    sent = np.sort(rows.end.take(again) << ROW_BITS | again)
    disproving = sent[np.searchsorted(sent, rows.peer[at] << ROW_BITS | row_of(when[at]), "right")]
    order = np.lexsort((when[at], disproving))
    at, disproving = at[order], disproving[order]
    first = begins_run(disproving)
    at, disproving = at[first], disproving[first] & ((1 << ROW_BITS) - 1)
    disproved = np.stack([row_of(when[at]), disproving, rows.peer[at]], axis=1)
    return _News(chosen, is_assumed, proof, disproved)


def _fin_events(slots: _Slots, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> None:
    ends = np.arange(2 * rows.connections)
    row, proof, unplaced = numbers.fin_row, numbers.inferred_fin_row, numbers.unplaced_fin
    if (row < 0).all():
        return
    slots.add(Event.SEND_FIN, ends, _of_own(row), unplaced=unplaced)
    missed = np.where(proof >= 0, moment(np.maximum(proof, 0), PROVEN, AFTER_ALL), NEVER)
    slots.add(Event.SEND_FIN, ends, missed)
    fins = np.flatnonzero(numbers.is_fin)
    received = _earliest(rows.peer.take(fins), arrival.take(fins), len(ends))
    received = np.minimum(received, np.where(missed == NEVER, NEVER, missed + (1 << ORDER_BITS))[rows.other_end])
    slots.add(Event.RECEIVE_FIN, ends, received, unplaced=unplaced[rows.other_end])


def _reset_events(slots: _Slots, rows: ConnectionRows, resets: Resets) -> None:
    at, receiver = resets.row, rows.peer[resets.row]
    of_syn = np.where(resets.of_syn & ~resets.belied, moment(at, ARRIVED, at), NEVER)
    slots.add(Event.RECEIVE_RST_OF_SYN, receiver, of_syn, resets.assumed)
    slots.add(Event.RECEIVE_RST, receiver, resets.moment, resets.assumed)
    slots.add(Event.SEND_RST, rows.end[at], np.where(resets.ends_sender, moment(at, OWN_ACT, at), NEVER))
