"""Sequence arithmetic: which events of RFC 9293 the segments of a connection are, and when each happened.

In: `ConnectionRows`. Out: `Events`, the events at both ends of every connection, in order. This module has no states;
`machine` derives them. Read RFC 9293 §3.4, §3.5 and §3.10.7 first.

**Captured is not delivered.** Let A of an end be the running maximum of its acknowledgments. A segment has *arrived*
when the receiver's A reaches its end (SEG.SEQ + SEG.LEN): that is proof. A segment without length is never
acknowledged; it is *assumed* to arrive once A has reached its number, that is, when everything before it is proven. So
a bare ACK that answers a simultaneous FIN does not overtake the FIN that its sender has in flight (Figure 13). Only the
third segment may lie ahead, inside the window: its ACK opens the connection, whatever is missing before it.

**When.** An event is placed at a row: the one that proves or unblocks it, or the segment's own row if it was
acknowledged already. The order within one row: what the row proves about segments that were not captured, what its ACK
proves, its sender's own act, assumed arrivals that it unblocks, an RST that it unblocks, the segment's own arrival. The
events of one arrived segment form one group: RST, SYN, ACK, FIN.

An act is placed at the row of its segment; a FIN that was captured after later segments of its sender, or after the
peer's FIN that answers it, at the row that shows that it had been sent; in the latter case it has arrived there, too.

**What counts once.** Being acknowledged, sending a FIN and receiving one happen once; repetitions change nothing.
`news` finds which arrival brought an acknowledgment, and whether that is proven.

**What is unknown.** A FIN is either the first of its connection or the answer to the peer's FIN, and these lead to
different states. If its sender has acknowledged numbers that were not captured, the last of them may be the peer's FIN:
such a FIN is *unplaced*, and after it only the states to which an RST leads are known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.news import fin_acknowledged, syn_acknowledged
from handshake_inspect.connections.events.numbers import Numbers, find_numbers
from handshake_inspect.connections.events.resets import Resets, find_resets
from handshake_inspect.connections.moments import (
    AFTER_ALL,
    ARRIVED,
    INFERRED,
    NEVER,
    ORDER_BITS,
    OWN_ACT,
    PROVEN,
    UNBLOCKED,
    earliest,
    infer,
    moment,
    rank_of,
    row_of,
    source_of,
)
from handshake_inspect.connections.splitting.rows import (
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    lifted,
)
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_equal, places_in
from handshake_inspect.tcp.states import Event

# Bits of an event's code; the lower four are the `Event`.
RESPONDER_BIT, ASSUMED_BIT, JOINED_BIT, UNPLACED_BIT = 1 << 4, 1 << 5, 1 << 6, 1 << 7
#: Whether the lower four bits of an event's code are the sending or the arrival of an RST. Shape (16,).
IS_RESET = np.isin(np.arange(16), (Event.SEND_RST, Event.RECEIVE_RST, Event.RECEIVE_RST_OF_SYN))

#: Order of the events of one group (RFC 9293 §3.10.7.4): RST, SYN, ACK, FIN.
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


@mutable
class Events:
    """`k` events of `m` connections, sorted by connection and moment."""

    #: The index of the first event of each connection. Shape (m + 1,).
    start: Rows
    #: `Event` | RESPONDER_BIT if it happened at the responder | ASSUMED_BIT | JOINED_BIT if it belongs to the group of
    #: the event before it | UNPLACED_BIT of a FIN if it is unknown whether it is the first or the second. Shape (k,),
    #: as all below.
    code: NDArray[np.uint8]
    #: The row at which the event becomes known.
    row: Rows
    #: The row of the segment that caused the event (an act's own row); if that was not captured, the row that proves
    #: it.
    source: Rows
    #: The effect of each RST. One entry for each row with the RST bit.
    resets: Resets
    #: Assumed arrivals that were disproved: (row, disproving row, end, `Event`). Shape (j, 4).
    disproved: Rows
    #: Assumed arrivals that a later segment proves: (row of the proof, end, `Event`). Shape (i, 3).
    confirmed: Rows
    numbers: Numbers
    #: The row at which each end has received its peer's SYN, NEVER if that is not proven. Shape (2m,).
    syn_received: Rows


def find_events(rows: ConnectionRows) -> Events:
    """Find the events at both ends of every connection."""
    numbers = find_numbers(rows)
    arrival = _arrivals(rows, numbers)
    found = _EventList(rows)
    syn_received = _handshake_events(found, rows, numbers, arrival)
    disproved, confirmed = _acknowledgment_events(found, rows, numbers, arrival)
    _fin_events(found, rows, numbers, arrival)
    resets = find_resets(rows, numbers)
    _reset_events(found, rows, resets)
    start, code, row, source = found.in_order()
    return Events(
        start=start,
        code=code,
        row=row,
        source=source,
        resets=resets,
        disproved=disproved,
        confirmed=confirmed,
        numbers=numbers,
        syn_received=syn_received,
    )


def _arrivals(rows: ConnectionRows, numbers: Numbers) -> Rows:
    """Return the moment at which each row is proven or assumed to have reached its receiver; NEVER if it is neither."""
    # Everything before the capture begins is taken as arrived; so is a SYN whose answer was not captured.
    delivered = np.where(rows.iss_known, UNKNOWN, 1)
    delivered[numbers.inferred_syn_ack_row >= 0, ORIGINATOR] = 1
    # A SYN has arrived when it is acknowledged, even if data on it is not (RFC 7413 §4.2).
    needed, syns = rows.seq_end.copy(), np.flatnonzero(rows.flags & SYN)
    needed[syns] = rows.seq[syns] + 1
    # Most rows have no length, and their number is acknowledged already when they are captured.
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
    """Return the larger of what a side has acknowledged at each row, and what it is taken to have received at first."""
    sender_side = np.where(rows.self_connect, receiver_side, 1 - receiver_side)
    before = delivered[np.arange(rows.connections), sender_side]
    return np.maximum(acknowledged, before.take(rows.conn)) if (before > UNKNOWN).any() else acknowledged


def _first_reaching(rows: ConnectionRows, reached: Rows, wanted: Rows, after: Rows) -> Rows:
    """Return the first row after each row `after`, in its connection, at which a rising column has reached a number.

    Such a row must exist. It is usually the next one; for the others it is searched.
    """
    found = after + 1
    at = np.flatnonzero(reached.take(found) < wanted)
    if len(at):
        axis = lifted(reached, rows.conn, rows.connections)
        found[at] = places_in(axis, lifted(wanted.take(at), rows.conn.take(after.take(at)), rows.connections))
    return found


# --- events ----------------------------------------------------------------------------------------------------------


class _EventList:
    """Collects events in any order, and returns them sorted."""

    def __init__(self, rows: ConnectionRows) -> None:
        self._rows = rows
        self._parts: list[tuple[Rows, NDArray[np.uint8]]] = []

    def add(
        self, event: Event, end: Rows, when: Rows, assumed: Mask | None = None, unplaced: Mask | None = None
    ) -> None:
        """Add `event` of each `end` at its moment; those with moment NEVER are left out."""
        happened = np.flatnonzero(when != NEVER)
        code = ((end.take(happened) & 1) * RESPONDER_BIT | int(event)).astype(np.uint8)
        for claim, bit in ((assumed, ASSUMED_BIT), (unplaced, UNPLACED_BIT)):
            if claim is not None:
                code |= claim.take(happened) * np.uint8(bit)
        self._parts.append((when.take(happened) | _GROUP_ORDER.get(event, 0), code))

    def in_order(self) -> tuple[Rows, NDArray[np.uint8], Rows, Rows]:
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


def _distinct_resets(code: NDArray[np.uint8], conn: Rows, row: Rows) -> Mask:
    """Mark the events to keep: of equal RST events with only RST events between them, the first.

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


def _handshake_events(found: _EventList, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> Rows:
    """Add SYN sent and received. Returns the row at which each end has received one."""
    ends, bare, own = np.arange(2 * rows.connections), numbers.bare_syn_row, numbers.syn_ack_row
    # A SYN that was not captured, or only after its SYN-ACK, was sent before that.
    asks = (bare >= 0) | numbers.crossing_syn
    asks[ORIGINATOR::2] |= rows.iss_known[:, ORIGINATOR]
    others, shown = own.take(rows.other_end), np.full(len(ends), NEVER, np.int64)
    infer(shown, asks & (own >= 0), own, 0)
    infer(shown, asks & (others >= 0), others, 0)
    infer(shown, numbers.crossing_syn & (numbers.ack_row >= 0), numbers.ack_row, 0)
    sends, before = _of_own(bare), np.flatnonzero(shown != NEVER)
    before = before[row_of(shown.take(before)) < row_of(sends.take(before))]
    sends[before] = shown[before]
    found.add(Event.SEND_SYN, ends, sends)

    arrived = np.flatnonzero(numbers.is_syn)
    received = earliest(rows.peer.take(arrived), arrival.take(arrived), len(ends))
    by_originator, by_responder = received[ORIGINATOR::2], received[RESPONDER::2]
    infer(received, numbers.crossing_syn.take(rows.other_end), own, 1)
    bare, answer = bare[ORIGINATOR::2], own[RESPONDER::2]
    infer(by_responder, (answer >= 0) & rows.iss_known[:, ORIGINATOR] & ((bare < 0) | (bare > answer)), answer, 1)
    inferred, by_data = numbers.inferred_syn_ack_row, numbers.inferred_ack_row
    for proof, shows in ((inferred, inferred >= 0), (by_data, (by_data >= 0) & (inferred < 0))):
        infer(by_responder, shows, proof, 1)
        infer(by_originator, shows, proof, 2)
    # A SYN that crosses another arrives after that one was sent.
    late = np.flatnonzero(numbers.crossing_syn[RESPONDER::2] & (inferred >= 0))
    by_responder[late] = moment(inferred[late], INFERRED, 1)
    found.add(Event.RECEIVE_SYN, ends, received)
    # A SYN-ACK with a wrong number answers some other SYN, an old duplicate (Figure 8), which was received nonetheless.
    wrong, others = numbers.wrong_syn_ack_row, np.full(len(ends), NEVER, np.int64)
    infer(others, (wrong >= 0) & ((own < 0) | (wrong < own)) & (numbers.bare_syn_row < 0), wrong, 0)
    found.add(Event.RECEIVE_SYN, ends, others)
    return np.where(received == NEVER, NEVER, row_of(received))


def _of_own(row: Rows) -> Rows:
    """Return the moment of an end's own act in each row, NEVER for row -1."""
    when, at = np.full(len(row), NEVER, np.int64), np.flatnonzero(row >= 0)
    acts = row.take(at)
    when[at] = moment(acts, OWN_ACT, acts)
    return when


def _acknowledgment_events(
    found: _EventList, rows: ConnectionRows, numbers: Numbers, arrival: Rows
) -> tuple[Rows, Rows]:
    """Add ACK of SYN and ACK of FIN. Returns the disproved and the confirmed assumptions."""
    ends = np.arange(2 * rows.connections)
    disproved, confirmed = [], []
    for event, news in (
        (Event.RECEIVE_ACK_OF_SYN, syn_acknowledged(rows, numbers, arrival)),
        (Event.RECEIVE_ACK_OF_FIN, fin_acknowledged(rows, numbers, arrival)),
    ):
        found.add(event, ends, news.moment, news.assumed)
        disproved.append(np.insert(news.disproved, 3, event, axis=1))
        later = np.flatnonzero(news.assumed & (news.proven != NEVER))
        confirmed.append(np.stack([row_of(news.proven[later]), later, np.full(len(later), event)], axis=1))
    return np.concatenate(disproved), np.concatenate(confirmed)


def _fin_events(found: _EventList, rows: ConnectionRows, numbers: Numbers, arrival: Rows) -> None:
    ends = np.arange(2 * rows.connections)
    row, unplaced = numbers.fin_row, numbers.unplaced_fin
    proof = np.maximum(numbers.inferred_fin_row, numbers.late_fin_row)
    if (row < 0).all():
        return
    sends, crossed, shown = _of_own(row), *_crossed_fins(rows, numbers)
    sends[crossed] = moment(shown, INFERRED, AFTER_ALL)
    missed = np.where(proof >= 0, moment(np.maximum(proof, 0), PROVEN, AFTER_ALL), NEVER)
    found.add(Event.SEND_FIN, ends, np.minimum(sends, missed), unplaced=unplaced)
    fins = np.flatnonzero(numbers.is_fin)
    received = earliest(rows.peer.take(fins), arrival.take(fins), len(ends))
    received = np.minimum(received, np.where(missed == NEVER, NEVER, missed + (1 << ORDER_BITS))[rows.other_end])
    found.add(Event.RECEIVE_FIN, ends, received, unplaced=unplaced[rows.other_end])


def _crossed_fins(rows: ConnectionRows, numbers: Numbers) -> tuple[Rows, Rows]:
    """Return the ends whose FIN was captured after, or in, their ACK of the peer's FIN, but was sent before it.

    One of the captured FINs of such an end does not acknowledge the peer's FIN, so that had not been received (RFC 9293
    §3.6, Figure 13), and the segment that does acknowledge it has a number after the FIN. Also returns the rows of
    these segments.
    """
    of_fins, fins = numbers.of_fins[::-1], np.flatnonzero(numbers.is_fin)
    acknowledges, crosses = np.full(2 * rows.connections, -1), np.zeros(2 * rows.connections, np.bool_)
    acknowledges[rows.end[of_fins]] = of_fins  # the last assignment wins
    crosses[rows.end[fins[rows.ack[fins] < numbers.fin_end[rows.peer[fins]]]]] = True
    ends = np.flatnonzero(crosses & (acknowledges >= 0) & (acknowledges <= numbers.fin_row))
    shown = acknowledges[ends]
    behind = (rows.seq_end[shown] >= numbers.fin_end[ends]) & ~rows.self_connect[ends >> 1]
    return ends[behind], shown[behind]


def _reset_events(found: _EventList, rows: ConnectionRows, resets: Resets) -> None:
    at, receiver = resets.row, rows.peer[resets.row]
    of_syn = np.where(resets.of_syn & ~resets.belied, moment(at, ARRIVED, at), NEVER)
    found.add(Event.RECEIVE_RST_OF_SYN, receiver, of_syn, resets.assumed)
    found.add(Event.RECEIVE_RST, receiver, resets.moment, resets.assumed)
    found.add(Event.SEND_RST, rows.end[at], np.where(resets.ends_sender, moment(at, OWN_ACT, at), NEVER))
