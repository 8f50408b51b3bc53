"""Sequence arithmetic: which events of RFC 9293 the segments of a connection are, and when each happened.

In: `ConnectionRows`. Out: `Events`, for every connection what happened to its two ends, in order. Nothing here knows
states; `machine` walks them. Read RFC 9293 §3.4, §3.5 and §3.10.7 first.

**Seen is not delivered.** Let A of an end be the running maximum of its acknowledgments. A segment has *arrived* when
the receiver's A reaches its end (SEG.SEQ + SEG.LEN): that is proof. A segment without length has nothing to be
acknowledged; it is *assumed* to arrive, once A has reached its number, that is, when nothing before it is unproven.
So a bare ACK that answers a simultaneous FIN does not overtake the FIN that its sender has in flight (Figure 13).

**When.** An event is placed at a row: the one that proves or unblocks it, or the segment's own row if it was
acknowledged already. Within one row: what it proves of segments that were not captured, what its ACK proves, its
sender's own act, assumed arrivals that it unblocks, an RST that it unblocks, the segment's own arrival. The events of
one arrived segment form one group: RST, SYN, ACK, FIN.

**What counts once.** Being acknowledged, sending a FIN and receiving one happen once; repetitions change nothing. An
assumed arrival is *disproved* when the receiver repeats what it would have acknowledged (its SYN, its FIN): then only
later segments can have brought the news.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.rows import ACK, FIN, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows
from handshake_inspect.connections.split import first_of, last_of
from handshake_inspect.tcp.states import Event

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: No number yet: below every relative number (0 is a number, the SYN's).
UNKNOWN = -(1 << 40)
#: Distance between the number ranges of neighbouring connections where one array holds all of them.
RANGE = 1 << 44
#: Moment of what never happened.
NEVER = np.iinfo(np.int64).max

# Order within one row.
INFERRED, PROVEN, OWN_ACT, UNBLOCKED, UNBLOCKED_RST, ARRIVED = range(6)
#: Bits of a row number in a moment: a partition holds at most 2**28 rows.
ROW_BITS = 28
#: Source of an inferred FIN: after all segments that the same row proves.
AFTER_ALL = (1 << ROW_BITS) - 8

# Bits of an event's code; the lower four are the `Event`.
RESPONDER_BIT, ASSUMED_BIT, JOINED_BIT = 1 << 4, 1 << 5, 1 << 6


@dataclass
class Events:
    """`k` events of `m` connections, sorted by connection and moment."""

    #: Where the events of each connection begin. Shape (m + 1,).
    start: Rows
    #: `Event` | RESPONDER_BIT if it happened to the responder | ASSUMED_BIT | JOINED_BIT if it belongs to the group
    #: of the event before it. Shape (k,), as all below.
    code: NDArray[np.uint8]
    #: The row at which it is known.
    row: Rows
    #: The row of the segment that it is (its own row for an act).
    source: Rows
    #: What each RST is worth. One entry for each row with the RST bit.
    resets: Resets
    #: Assumed arrivals that were disproved: (row, row that disproves it, end, `Event`). Shape (j, 4).
    disproved: Rows
    numbers: Numbers


@dataclass
class Numbers:
    """What the acknowledgments and sequence numbers of each end amount to."""

    #: A of each side at each row, this row included; UNKNOWN before the first. Two arrays of shape (n,).
    acknowledged_by: list[Rows]
    #: Acknowledgments that count towards A. Shape (n,).
    ack_counts: Mask
    #: Number after the SYN of each end and the data on it (1 without data). Shape (2m,).
    syn_end: Rows
    #: FINs of this connection. Shape (n,).
    is_fin: Mask
    #: First FIN of each end, -1 if none, and its end. Shape (2m,).
    fin_row: Rows
    fin_end: Rows
    #: A FIN was not captured, but its acknowledgment proves it: the row that does, -1 else. Shape (2m,).
    inferred_fin_row: Rows
    #: First and last valid SYN of each end, -1 if none. Shape (2m,).
    syn_row: Rows
    last_syn_row: Rows
    #: First SYN without ACK, first valid SYN-ACK, first SYN-ACK with a wrong number of each end. Shape (2m,).
    bare_syn_row: Rows
    syn_ack_row: Rows
    wrong_syn_ack_row: Rows
    #: First segment with ACK, without SYN and RST, of each end; and the first that counts. Shape (2m,).
    ack_row: Rows
    #: Moment at which each end has received its peer's SYN, NEVER if that is not proven. Shape (2m,).
    syn_received: Rows
    #: Row that proves a handshake segment which was not captured, -1 else: the originator's first ACK for the
    #: SYN-ACK, the responder's acknowledgment of data for both. Shape (m,).
    inferred_syn_ack_row: Rows
    inferred_ack_row: Rows


@dataclass
class Resets:
    """All RST rows."""

    #: Row of each.
    row: Rows
    #: Moment of its effect, NEVER if it has none.
    moment: Rows
    #: A of the receiver when it was sent, UNKNOWN if the receiver had acknowledged nothing.
    expected: Rows
    #: It acknowledges the receiver's SYN.
    of_syn: Mask
    #: It was its sender's last word.
    last_word: Mask
    #: Its effect is assumed: it is beyond A, but nothing was heard of the receiver again.
    assumed: Mask
    #: Its sender went on, and the receiver acknowledged it: it had no effect.
    belied: Mask


def find_events(rows: ConnectionRows) -> Events:
    """Find what happened to both ends of every connection."""
    numbers = _numbers(rows)
    arrival = _arrivals(rows, numbers)
    slots = _Slots(rows)
    _handshake_events(slots, rows, numbers, arrival)
    disproved = _acknowledgment_events(slots, rows, numbers, arrival)
    _fin_events(slots, rows, numbers, arrival)
    resets = _reset_events(slots, rows, numbers)
    start, code, row, source = slots.sorted_events()
    return Events(start, code, row, source, resets, disproved, numbers)


def moment(row: Rows | int, rank: int, source: Rows | int) -> Rows:
    """Put (row, rank within the row, source row) into one number that sorts."""
    base = np.asarray(row, np.int64) << 3 | rank
    return (base << ROW_BITS | np.asarray(source, np.int64)) << 3


def row_of(when: Rows) -> Rows:
    """Return the row of a moment."""
    return when >> (ROW_BITS + 6)


# --- numbers ---------------------------------------------------------------------------------------------------------


def running_maximum(rows: ConnectionRows, values: Rows, mask: Mask) -> Rows:
    """Return at each row the largest of `values` where `mask`, from its connection's first row to this one."""
    lifted = np.where(mask, values, UNKNOWN) + rows.conn * RANGE
    return np.maximum.accumulate(lifted) - rows.conn * RANGE


def row_before(rows: ConnectionRows, running: Rows) -> Rows:
    """Return the value of a running column at the row before each row; UNKNOWN at a connection's first row."""
    before = np.full(len(rows), UNKNOWN, np.int64)
    same = rows.conn[1:] == rows.conn[:-1]
    before[1:][same] = running[:-1][same]
    return before


def _numbers(rows: ConnectionRows) -> Numbers:
    flags, end, peer, ends = rows.flags, rows.end, rows.peer, 2 * rows.connections
    syn, ack, fin, rst = (((flags & bit) != 0) for bit in (SYN, ACK, FIN, RST))
    known = rows.iss_known.reshape(-1)
    valid_syn = syn & ~rst & ~rows.ignored_syn & (rows.seq == 0) & known[end]
    syn_end = np.ones(ends, np.int64)
    np.maximum.at(syn_end, end[valid_syn], rows.payload[valid_syn] + 1)
    # RFC 9293 §3.10.7.3, first: a SYN-ACK counts if it acknowledges the SYN, or a part of the data on it.
    right = valid_syn & ack & (rows.ack >= 1) & (rows.ack <= syn_end[peer])
    wrong = syn & ack & ~rst & ~right
    ordinary = ack & ~syn & ~rst
    counts = right | ordinary & _believable(rows, ordinary, valid_syn)
    acknowledged_by = [running_maximum(rows, rows.ack, counts & (rows.side == s)) for s in (ORIGINATOR, RESPONDER)]
    # A FIN whose number lies before its sender's SYN is no FIN of this connection.
    is_fin = fin & ~rst & (~known[end] | (rows.seq_end >= 2))
    fin_row = first_of(end, is_fin, ends)
    numbers = Numbers(
        acknowledged_by=acknowledged_by,
        ack_counts=counts,
        syn_end=syn_end,
        is_fin=is_fin,
        fin_row=fin_row,
        fin_end=np.where(fin_row >= 0, rows.seq_end[fin_row], NEVER),
        inferred_fin_row=np.full(ends, -1, np.int64),
        syn_row=first_of(end, valid_syn & (right | ~ack), ends),
        last_syn_row=last_of(end, valid_syn, ends),
        bare_syn_row=first_of(end, valid_syn & ~ack, ends),
        syn_ack_row=first_of(end, right, ends),
        wrong_syn_ack_row=first_of(end, wrong, ends),
        ack_row=first_of(end, ordinary & counts, ends),
        syn_received=np.full(ends, NEVER, np.int64),
        inferred_syn_ack_row=np.full(rows.connections, -1, np.int64),
        inferred_ack_row=np.full(rows.connections, -1, np.int64),
    )
    _infer_handshake(rows, numbers)
    _infer_fins(rows, numbers)
    return numbers


def _believable(rows: ConnectionRows, ordinary: Mask, valid_syn: Mask) -> Mask:
    """Sort out acknowledgments of what was never sent: they must not count as proof of anything.

    A capture may have missed what they acknowledge, so one that lies beyond everything captured of the peer is
    believed unless its sender's next acknowledgment takes it back, or the peer was captured to send its SYN-ACK and
    never anything after it (RFC 9293 §3.10.7.4, fifth: SEG.ACK > SND.NXT).
    """
    sent = [running_maximum(rows, rows.seq_end, (rows.flags & RST == 0) & (rows.side == s)) for s in (0, 1)]
    peer_sent = np.where(rows.peer & 1, sent[RESPONDER], sent[ORIGINATOR])
    beyond = ordinary & (rows.ack > peer_sent) & (peer_sent > UNKNOWN)
    if not beyond.any():
        return np.ones(len(rows), np.bool_)
    at = np.flatnonzero(ordinary)
    by_end = at[np.argsort(rows.end[at], kind="stable")]
    following = np.full(len(rows), NEVER, np.int64)
    same = rows.end[by_end[1:]] == rows.end[by_end[:-1]]
    following[by_end[:-1][same]] = rows.ack[by_end[1:][same]]
    ends = 2 * rows.connections
    spoke = np.bincount(rows.end[(rows.flags & (SYN | RST)) == 0], minlength=ends) > 0
    answered = np.bincount(rows.end[valid_syn & ((rows.flags & ACK) != 0)], minlength=ends) > 0
    asked = np.bincount(rows.end[valid_syn & ((rows.flags & ACK) == 0)], minlength=ends) > 0
    only_syn = ~spoke & answered & ~asked
    believable: Mask = ~(beyond & ((following < rows.ack) | only_syn[rows.peer]))
    return believable


def _infer_handshake(rows: ConnectionRows, numbers: Numbers) -> None:
    """Find what proves a SYN-ACK or a third segment that was not captured."""
    originator = np.arange(rows.connections) * 2
    responder = np.where(rows.self_connect, originator, originator + 1)
    opened = rows.iss_known[:, ORIGINATOR] & ~rows.self_connect
    no_answer = opened & (numbers.syn_row[responder] < 0) & (numbers.wrong_syn_ack_row[responder] < 0)
    # The originator acknowledges: it has received a SYN-ACK.
    numbers.inferred_syn_ack_row[:] = np.where(no_answer, numbers.ack_row[originator], -1)
    # The responder acknowledges data: the originator had sent its ACK with it, or before it.
    data_acknowledged = numbers.acknowledged_by[RESPONDER] > numbers.syn_end[originator][rows.conn]
    first = first_of(rows.conn, data_acknowledged & (rows.side == RESPONDER), rows.connections)
    numbers.inferred_ack_row[:] = np.where(opened & (numbers.ack_row[originator] < 0), first, -1)


def _infer_fins(rows: ConnectionRows, numbers: Numbers) -> None:
    """Find what proves a FIN that was not captured.

    The peer has closed too and is acknowledged, all data captured of this end lies below some number E, and the peer
    acknowledges E + 1: one more than there was. A lost single octet of data would look the same; but its sender would
    not have been silent after it.
    """
    ends = 2 * rows.connections
    fin_row = numbers.fin_row
    if not (fin_row >= 0).any():
        return
    peer_end = np.arange(ends) ^ 1
    highest = np.ones(ends, np.int64)
    captured = ((rows.flags & RST) == 0) & (rows.seq_end > rows.seq)
    np.maximum.at(highest, rows.end[captured], rows.seq_end[captured])
    last_row = rows.start[1:] - 1
    last_a = np.stack([numbers.acknowledged_by[s][last_row] for s in (0, 1)], axis=1).reshape(-1)
    candidate = (
        (fin_row < 0)
        & (fin_row[peer_end] >= 0)
        & (last_a >= numbers.fin_end[peer_end])
        & (last_a[peer_end] == highest + 1)
        & np.repeat(~rows.self_connect, 2)
    )
    for one in map(int, np.flatnonzero(candidate)):
        a, b = int(rows.start[one // 2]), int(rows.start[one // 2 + 1])
        proof = a + int(np.searchsorted(numbers.acknowledged_by[1 - one % 2][a:b], highest[one] + 1))
        numbers.inferred_fin_row[one] = proof
        numbers.fin_end[one] = highest[one] + 1


def _arrivals(rows: ConnectionRows, numbers: Numbers) -> Rows:
    """Return the moment at which each row is known, or assumed, to have reached its receiver; NEVER if not."""
    n = len(rows)
    index = np.arange(n)
    proof = np.full(n, n, np.int64)
    # Before the capture begins everything is taken to have arrived; so is a SYN whose answer was not captured.
    delivered = np.where(rows.iss_known, UNKNOWN, 1)
    delivered[numbers.inferred_syn_ack_row >= 0, ORIGINATOR] = 1
    # A SYN has arrived when it is acknowledged, whatever becomes of data on it (RFC 7413 §4.2).
    needed = np.where((rows.flags & SYN) != 0, rows.seq + 1, rows.seq_end)
    for s in (ORIGINATOR, RESPONDER):
        receiver_side = rows.peer & 1
        sender = np.flatnonzero(receiver_side == s)
        reached = np.maximum(numbers.acknowledged_by[s], _delivered_to(rows, delivered, s)) + rows.conn * RANGE
        proof[sender] = np.searchsorted(reached, needed[sender] + rows.conn[sender] * RANGE)
    occupies = rows.seq_end > rows.seq
    arrives = proof < rows.start[rows.conn + 1]
    when = np.where(
        proof <= index,
        moment(index, ARRIVED, index),
        np.where(occupies, moment(proof, PROVEN, index), moment(proof, UNBLOCKED, index)),
    )
    return np.where(arrives & ((rows.flags & RST) == 0), when, NEVER)


def _delivered_to(rows: ConnectionRows, delivered: NDArray[np.int64], receiver_side: int) -> Rows:
    """What is taken to have been received before any acknowledgment, per row, in the number space of the sender."""
    sender_side = np.where(rows.self_connect, receiver_side, 1 - receiver_side)
    return np.take_along_axis(delivered, sender_side[:, None], axis=1)[:, 0][rows.conn]


# --- events ----------------------------------------------------------------------------------------------------------


class _Slots:
    """Collects events, then sorts them."""

    def __init__(self, rows: ConnectionRows) -> None:
        self._rows = rows
        self._parts: list[tuple[Rows, Rows, Rows]] = []

    def add(self, event: Event, end: Rows, when: Rows, assumed: Mask | bool = False) -> None:
        """Add `event` of each `end` at its moment; moments NEVER are left out."""
        happened = when != NEVER
        # §3.10.7.4: within a group RST, SYN, ACK, FIN.
        order = _GROUP_ORDER.get(event, 0)
        code = np.full(len(end), int(event), np.int64) | np.where(end & 1, RESPONDER_BIT, 0)
        code |= np.where(np.broadcast_to(assumed, len(end)), ASSUMED_BIT, 0)
        self._parts.append((when[happened] | order, code[happened], end[happened] >> 1))

    def sorted_events(self) -> tuple[Rows, NDArray[np.uint8], Rows, Rows]:
        """Return `start`, `code`, `row` and `source` of `Events`."""
        when, code, conn = (np.concatenate(columns) for columns in zip(*self._parts, strict=True))
        order = np.argsort(when, kind="stable")
        when, code, conn = when[order], code[order], conn[order]
        keep = _distinct_resets(code, conn)
        when, code, conn = when[keep], code[keep], conn[keep]
        joined = np.zeros(len(when), np.bool_)
        same_end = (code[1:] & RESPONDER_BIT) == (code[:-1] & RESPONDER_BIT)
        joined[1:] = (when[1:] >> 3 == when[:-1] >> 3) & same_end & (conn[1:] == conn[:-1])
        code |= np.where(joined, JOINED_BIT, 0)
        start = np.searchsorted(conn, np.arange(self._rows.connections + 1))
        source = (when >> 3) & ((1 << ROW_BITS) - 1)
        return start, code.astype(np.uint8), row_of(when), source


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


def _distinct_resets(code: Rows, conn: Rows) -> Mask:
    """Keep one of equal RST events with nothing but RST events between them: a storm of RSTs says one thing."""
    event = code & 0xF
    is_reset = (event == Event.SEND_RST) | (event == Event.RECEIVE_RST) | (event == Event.RECEIVE_RST_OF_SYN)
    keep = np.ones(len(code), np.bool_)
    at = np.flatnonzero(is_reset)
    if len(at) < 2:
        return keep
    run = np.cumsum(~is_reset)[at]
    key = (conn[at] * (len(code) + 1) + run) << 8 | code[at]
    _, first = np.unique(key, return_index=True)
    keep[at] = False
    keep[at[first]] = True
    return keep


def _handshake_events(slots: _Slots, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> None:
    ends = np.arange(2 * rows.connections)
    bare = numbers.bare_syn_row
    originator, responder = ends[0::2], ends[1::2]
    # A SYN that was not captured, or only after its SYN-ACK, was sent before it.
    answer = numbers.syn_ack_row[responder]
    asks = bare >= 0
    asks[originator] |= rows.iss_known[:, ORIGINATOR]
    own, others = numbers.syn_ack_row, numbers.syn_ack_row[_peer_of(rows)]
    shown = np.minimum(_at(asks & (own >= 0), own, 0), _at(asks & (others >= 0), others, 0))
    sends = np.where(bare >= 0, moment(bare, OWN_ACT, np.maximum(bare, 0)), NEVER)
    slots.add(Event.SEND_SYN, ends, np.minimum(sends, np.where(row_of(shown) < row_of(sends), shown, NEVER)))
    syn_missing = (answer >= 0) & rows.iss_known[:, ORIGINATOR]
    syn_missing &= (bare[originator] < 0) | (bare[originator] > answer)

    valid = ((rows.flags & SYN) != 0) & (arrival != NEVER) & (rows.seq == 0) & ~rows.ignored_syn
    valid &= rows.iss_known.reshape(-1)[rows.end]
    received = _earliest(rows.peer[valid], arrival[valid], len(ends))
    inferred = numbers.inferred_syn_ack_row
    received[responder] = np.minimum(received[responder], _at(syn_missing, answer, 1))
    received[responder] = np.minimum(received[responder], _at(inferred >= 0, inferred, 1))
    inferred_both = np.where(numbers.inferred_ack_row >= 0, numbers.inferred_ack_row, -1)
    by_data = (inferred_both >= 0) & (inferred < 0)
    received[responder] = np.minimum(received[responder], _at(by_data, inferred_both, 1))
    received[originator] = np.minimum(received[originator], _at(inferred >= 0, inferred, 2))
    received[originator] = np.minimum(received[originator], _at(by_data, inferred_both, 2))
    numbers.syn_received[:] = received
    slots.add(Event.RECEIVE_SYN, ends, received)

    # A SYN-ACK with a wrong number answers some other SYN, an old duplicate (Figure 8): it was received all the same.
    wrong = numbers.wrong_syn_ack_row
    other = (wrong >= 0) & ((numbers.syn_ack_row < 0) | (wrong < numbers.syn_ack_row)) & (bare < 0)
    slots.add(Event.RECEIVE_SYN, ends, np.where(other, moment(wrong, INFERRED, 0), NEVER))


def _at(condition: Mask, row: Rows, source: int) -> Rows:
    """Moment of what `row` proves though its segment was not captured; `source` only orders such events."""
    return np.where(condition, moment(np.maximum(row, 0), INFERRED, source), NEVER)


def _earliest(group: Rows, when: Rows, groups: int) -> Rows:
    """Return the smallest moment of each group, NEVER if it has none. Shape (groups,)."""
    out = np.full(groups, NEVER, np.int64)
    np.minimum.at(out, group, when)
    return out


def _acknowledgment_events(slots: _Slots, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> Rows:
    """ACK of SYN and ACK of FIN. Returns the disproved assumptions."""
    ends = np.arange(2 * rows.connections)
    receiver = rows.peer
    index = np.arange(len(rows))
    carries = numbers.ack_counts
    assumed_row = rows.seq_end == rows.seq
    disproved = []

    # Whose SYN could be acknowledged: one that was captured, or whose acknowledgment was.
    opened = rows.iss_known.reshape(-1).copy()
    opened[1::2] |= numbers.inferred_syn_ack_row >= 0
    candidate = carries & opened[receiver] & (rows.ack >= 1)
    # §3.10.7.4, first: a segment before the window is not acceptable, its ACK is not looked at.
    candidate &= ((rows.flags & SYN) != 0) | (rows.seq >= 1)
    # An end that sent a SYN-ACK had not been acknowledged then (simultaneous open: the SYN-ACKs cross).
    crossing = np.where((numbers.bare_syn_row >= 0) & (numbers.syn_ack_row >= 0), numbers.syn_ack_row, -1)
    is_syn = (rows.flags & SYN) != 0
    held = is_syn & (crossing[receiver] > index)
    when = np.where(held, moment(np.maximum(crossing[receiver], 0), UNBLOCKED, index), arrival)
    soft = assumed_row | (is_syn & (crossing[receiver] >= 0))
    repeated = last_of(rows.end, is_syn & (rows.seq == 0) & ~rows.ignored_syn, len(ends))
    syn_count = np.bincount(rows.end[is_syn & (rows.seq == 0)], minlength=len(ends))
    again = np.where(held, np.where(syn_count[receiver] > 2, repeated[receiver], -1), repeated[receiver])
    own_syn = is_syn & (rows.seq == 0) & ~rows.ignored_syn
    chosen, is_assumed, refuted = _first_credible(rows, candidate, when, soft, again, own_syn)
    disproved.append(np.insert(refuted, 3, Event.RECEIVE_ACK_OF_SYN, axis=1))
    inferred, by_data = numbers.inferred_syn_ack_row, numbers.inferred_ack_row
    proven = np.full(len(ends), NEVER, np.int64)
    proven[0::2] = np.minimum(_at(inferred >= 0, inferred, 2), _at((by_data >= 0) & (inferred < 0), by_data, 2))
    proven[1::2] = _at(by_data >= 0, by_data, 3)
    is_assumed &= chosen < proven
    slots.add(Event.RECEIVE_ACK_OF_SYN, ends, np.minimum(chosen, proven), is_assumed)

    fin_row = np.where(numbers.fin_row >= 0, numbers.fin_row, numbers.inferred_fin_row)
    candidate = carries & (fin_row[receiver] >= 0) & (rows.ack >= numbers.fin_end[receiver])
    own_fin = np.maximum(fin_row[receiver], 0)
    late = candidate & (row_of(arrival) < own_fin) & (arrival != NEVER)
    when = np.where(late, moment(own_fin, UNBLOCKED, index), arrival)
    is_fin = numbers.is_fin
    repeated = last_of(rows.end, is_fin, len(ends))
    chosen, is_assumed, refuted = _first_credible(rows, candidate, when, assumed_row, repeated[receiver], is_fin)
    disproved.append(np.insert(refuted, 3, Event.RECEIVE_ACK_OF_FIN, axis=1))
    slots.add(Event.RECEIVE_ACK_OF_FIN, ends, chosen, is_assumed)
    return np.concatenate(disproved)


def _first_credible(
    rows: ConnectionRows, candidate: Mask, when: Rows, soft: Mask, repeated: Rows, repeats: Mask
) -> tuple[Rows, Mask, Rows]:
    """Choose for each end the first arrival among candidates that is not disproved by a later repetition.

    `soft` marks arrivals that are only assumed; `repeats` marks SYNs or FINs, and `repeated` is per row the receiver's
    last one of them. Returns the moment of each end, whether it is assumed, and the disproved ones as (row, disproving
    row, end).
    """
    ends = 2 * rows.connections
    candidate = candidate & (when != NEVER)
    refuted = candidate & soft & (repeated > row_of(when))
    use = candidate & ~refuted
    chosen = _earliest(rows.peer[use], when[use], ends)
    source = (chosen >> 3) & ((1 << ROW_BITS) - 1)
    is_assumed = (chosen != NEVER) & soft[np.where(chosen != NEVER, source, 0)]
    at = np.flatnonzero(refuted)
    at = at[when[at] < chosen[rows.peer[at]]]
    # The first repetition after it disproves it; of those that one repetition disproves the first tells it all.
    sent = np.sort(rows.end[repeats] << ROW_BITS | np.flatnonzero(repeats))
    disproving = sent[np.searchsorted(sent, rows.peer[at] << ROW_BITS | row_of(when[at]), "right")]
    order = np.lexsort((when[at], disproving))
    at, disproving = at[order], disproving[order]
    first = np.ones(len(at), np.bool_)
    first[1:] = disproving[1:] != disproving[:-1]
    at, disproving = at[first], disproving[first] & ((1 << ROW_BITS) - 1)
    return chosen, is_assumed, np.stack([row_of(when[at]), disproving, rows.peer[at]], axis=1)


def _peer_of(rows: ConnectionRows) -> Rows:
    """Return the other end of each end. Shape (2m,)."""
    ends = np.arange(2 * rows.connections)
    return np.where(np.repeat(rows.self_connect, 2), ends, ends ^ 1)


def _fin_events(slots: _Slots, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> None:
    ends = np.arange(2 * rows.connections)
    row, proof = numbers.fin_row, numbers.inferred_fin_row
    slots.add(Event.SEND_FIN, ends, np.where(row >= 0, moment(row, OWN_ACT, np.maximum(row, 0)), NEVER))
    missed = np.where(proof >= 0, moment(np.maximum(proof, 0), PROVEN, AFTER_ALL), NEVER)
    slots.add(Event.SEND_FIN, ends, missed)
    fins = numbers.is_fin & (arrival != NEVER)
    received = _earliest(rows.peer[fins], arrival[fins], len(ends))
    received = np.minimum(received, np.where(missed == NEVER, NEVER, missed + (1 << 3))[_peer_of(rows)])
    slots.add(Event.RECEIVE_FIN, ends, received)


def _reset_events(slots: _Slots, rows: ConnectionRows, numbers: Numbers) -> Resets:
    """Decide what each RST is worth.

    At exactly A of its receiver, or with A unknown, it takes effect. Below A it is old. Above, it waits until A equals
    it, if it is its sender's last word; if the receiver is silent from then on, it is assumed to have worked (data
    that is followed by an RST is never acknowledged).
    """
    at = np.flatnonzero((rows.flags & RST) != 0)
    receiver_side, seq = rows.peer[at] & 1, rows.seq[at]
    conn = rows.conn[at]
    a_at = np.where(receiver_side, numbers.acknowledged_by[RESPONDER][at], numbers.acknowledged_by[ORIGINATOR][at])
    # A SYN-ACK with a wrong number names what it expects all the same.
    wrong = numbers.wrong_syn_ack_row[rows.peer[at]]
    named = (a_at == UNKNOWN) & (wrong >= 0) & (wrong < at)
    expected = np.where(named, rows.ack[wrong], a_at)
    speech = (rows.flags & RST) == 0
    last_spoken = last_of(rows.end, speech, 2 * rows.connections)
    last_any = last_of(rows.end, np.ones(len(rows), np.bool_), 2 * rows.connections)
    last_word = last_spoken[rows.end[at]] < at
    peer_silent = last_any[rows.peer[at]] < at
    highest = np.full(2 * rows.connections, UNKNOWN, np.int64)
    np.maximum.at(highest, rows.end[speech], rows.seq_end[speech])

    # An end that has only sent its SYN resets nothing of its own when it refuses a wrong SYN-ACK (Figure 8, line 5).
    spoken_before = first_of(rows.end, speech & ((rows.flags & SYN) == 0), 2 * rows.connections)
    only_syn = (numbers.bare_syn_row[rows.end[at]] >= 0) & ~(
        (spoken_before[rows.end[at]] >= 0) & (spoken_before[rows.end[at]] < at)
    )
    reply = only_syn & ((seq < 1) | (seq > numbers.syn_end[rows.end[at]]))
    belied = _belied(rows, numbers, at) & ~last_word & ~reply

    when = np.where(((a_at == UNKNOWN) | (a_at == seq)) & ~belied, moment(at, ARRIVED, at), NEVER)
    ahead = np.flatnonzero((a_at != UNKNOWN) & (seq > a_at) & last_word)
    assumed = np.zeros(len(at), np.bool_)
    for s in (ORIGINATOR, RESPONDER):
        mine = ahead[receiver_side[ahead] == s]
        reached = numbers.acknowledged_by[s] + rows.conn * RANGE
        proof = np.searchsorted(reached, seq[mine] + conn[mine] * RANGE)
        inside = proof < rows.start[conn[mine] + 1]
        exact = inside & (reached[np.where(inside, proof, 0)] == seq[mine] + conn[mine] * RANGE)
        when[mine[exact]] = moment(proof[exact], UNBLOCKED_RST, at[mine[exact]])
        quiet = mine[~inside & peer_silent[mine] & (seq[mine] == highest[rows.end[at[mine]]])]
        when[quiet] = moment(at[quiet], ARRIVED, at[quiet])
        assumed[quiet] = True

    # §3.5.3: in SYN-SENT an RST is valid if it acknowledges the SYN (or data on it).
    ack = (rows.flags[at] & ACK) != 0
    receiver = rows.peer[at]
    of_syn = ack & (numbers.bare_syn_row[receiver] >= 0)
    of_syn &= (rows.ack[at] >= 1) & (rows.ack[at] <= numbers.syn_end[receiver])
    slots.add(Event.RECEIVE_RST_OF_SYN, receiver, np.where(of_syn & ~belied, moment(at, ARRIVED, at), NEVER), assumed)
    slots.add(Event.RECEIVE_RST, receiver, when, assumed)
    acts = (last_word | (when != NEVER)) & ~reply
    slots.add(Event.SEND_RST, rows.end[at], np.where(acts, moment(at, OWN_ACT, at), NEVER))
    return Resets(at, when, expected, of_syn, last_word, assumed, belied)


def _belied(rows: ConnectionRows, numbers: Numbers, at: Rows) -> Mask:
    """Did the peer acknowledge something that the sender of an RST sent only afterwards? Then nothing was reset.

    An injected RST looks so, or one that was lost behind the capture.
    """
    speech = (rows.flags & RST) == 0
    last_row = rows.start[1:] - 1
    belied = np.zeros(len(at), np.bool_)
    for s in (ORIGINATOR, RESPONDER):
        sent = running_maximum(rows, rows.seq_end, speech & (rows.side == s))[at]
        peer_side = np.where(rows.self_connect[rows.conn[at]], s, 1 - s)
        finally_acknowledged = np.stack([a[last_row] for a in numbers.acknowledged_by])[peer_side, rows.conn[at]]
        belied |= (rows.side[at] == s) & (finally_acknowledged > np.maximum(sent, UNKNOWN))
    return belied
