"""Evaluates the numbers of each end: what each acknowledged, and which segments must have been sent.

In: `ConnectionRows`. Out: `Numbers`. RFC 9293 §3.4 and §3.10.7.4 (fifth: check the ACK field).
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.fins import acknowledged_at, choose_fins
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    of_side,
    running_maximum,
)
from handshake_inspect.connections.splitting.split import first_of
from handshake_inspect.plain import mutable
from handshake_inspect.sets import count_to, set_of


@mutable
class Numbers:
    """SYNs, FINs and acknowledgments of `m` connections, `n` rows: those that count, and those inferred from others."""

    #: The highest number that each side has acknowledged at each row, this row included; UNKNOWN before its first
    #: acknowledgment. Two arrays of shape (n,).
    acknowledged_by: list[Rows]
    #: The highest number that each end has acknowledged in all, UNKNOWN if none. Shape (2m,).
    finally_acknowledged: Rows
    #: Acknowledgments that count for these: credible ones, not of RSTs. Shape (n,).
    ack_counts: Mask
    #: SYNs of this connection that their receiver accepts: without ACK, or with the right one. Shape (n,).
    is_syn: Mask
    #: Number after the SYN of each end and the data on it (1 without data). Shape (2m,).
    syn_end: Rows
    #: FINs of this connection: the one that counts of each end, and its repetitions. Shape (n,).
    is_fin: Mask
    #: All FINs, including those with another number: forged, or of another connection. Shape (n,).
    claims_fin: Mask
    #: The FIN of each end, -1 if none was captured, and the number after it, NEVER if there is none. Shape (2m,).
    fin_row: Rows
    fin_end: Rows
    #: Acknowledgments of the peer's FIN, captured or not: rows, rising.
    of_fins: Rows
    #: The row whose acknowledgment proves a FIN of each end that was not captured, -1 if none. Shape (2m,).
    inferred_fin_row: Rows
    #: For an end whose FIN was captured only after the FIN with which its peer answers it, the row that first
    #: acknowledges it; else -1. Shape (2m,).
    late_fin_row: Rows
    #: Whether it is unknown if the peer's FIN had arrived before this end sent its own. Shape (2m,).
    unplaced_fin: Mask
    #: First valid SYN of each end, -1 if none. Shape (2m,).
    syn_row: Rows
    #: Whether the end sent a SYN without ACK that was not captured, but that the peer, which sent one too, answers.
    #: Shape (2m,).
    crossing_syn: Mask
    #: First SYN without ACK, first valid SYN-ACK, first SYN-ACK with a wrong number of each end. Shape (2m,).
    bare_syn_row: Rows
    syn_ack_row: Rows
    wrong_syn_ack_row: Rows
    #: First segment with ACK, without SYN and RST, of each end that counts. Shape (2m,).
    ack_row: Rows
    #: Segments of originators with ACK, without SYN and RST, with right numbers: the third ones of a handshake, and
    #: those after them. Rows, rising.
    third_rows: Rows
    #: Row that proves a handshake segment which was not captured, -1 if none: the originator's first ACK for the
    #: SYN-ACK; the responder's acknowledgment of data for both, or its own first data for the third. Shape (m,).
    inferred_syn_ack_row: Rows
    inferred_ack_row: Rows


def next_of_end(rows: ConnectionRows, mask: Mask, end: Rows, after: Rows) -> Rows:
    """Return the first row of each `end` after each row `after` for which `mask` holds, -1 if there is none.

    Shape (k,), as `end` and `after`.
    """
    return _beside(rows, mask, end, after, 0)


def previous_of_end(rows: ConnectionRows, mask: Mask, end: Rows, before: Rows) -> Rows:
    """Return the last row of each `end` before each row `before` for which `mask` holds, -1 if there is none.

    Shape (k,), as `end` and `before`.
    """
    return _beside(rows, mask, end, before - 1, -1)


def _beside(rows: ConnectionRows, mask: Mask, end: Rows, at: Rows, step: int) -> Rows:
    """Return the first masked row of each `end` after each row `at`; with step -1 the last one up to it. -1 if none."""
    found, conn = np.full(len(end), -1, np.int64), end >> 1
    at = np.clip(at, rows.start.take(conn) - 1, rows.start.take(conn + 1) - 1)
    among, asks = _marked(rows, mask, conn), end & 1
    sent = rows.side.take(among)
    for side in (ORIGINATOR, RESPONDER):
        asked, own = np.flatnonzero(asks == side), among[np.flatnonzero(sent == side)]
        if len(own) and len(asked):
            # Among the rows of one side, neighbours in a connection are also neighbours in the whole list.
            place = count_to(own, at.take(asked), len(rows)) + step
            row = own.take(place, mode="clip")
            inside = (place >= 0) & (place < len(own)) & (rows.conn.take(row) == conn.take(asked))
            found[asked] = np.where(inside, row, -1)
    return found


def _marked(rows: ConnectionRows, mask: Mask, conn: Rows) -> Rows:
    """Return the masked rows of these connections; if these are many, those of the others too."""
    if len(conn) * 8 >= len(rows):
        return np.flatnonzero(mask)
    among = rows.rows_of(set_of(conn))
    return among[mask.take(among)]


def find_numbers(rows: ConnectionRows) -> Numbers:
    """Evaluate every SYN, FIN and acknowledgment of every connection."""
    flags, end, peer, ends = rows.flags, rows.end, rows.peer, 2 * rows.connections
    syn, ack, fin, rst = (((flags & bit) != 0) for bit in (SYN, ACK, FIN, RST))
    known = rows.iss_known.reshape(-1)
    valid_syn = syn & ~rst & ~rows.ignored_syn & (rows.seq == 0) & known.take(end) & ~_stray_answers(rows)
    syn_end = np.ones(ends, np.int64)
    with_data = np.flatnonzero(valid_syn & (rows.payload > 0))
    np.maximum.at(syn_end, end.take(with_data), rows.payload.take(with_data) + 1)
    # RFC 9293 §3.10.7.3, first: a SYN-ACK counts if it acknowledges the SYN, or a part of the data on it.
    right = valid_syn & ack & (rows.ack >= 1) & (rows.ack <= syn_end.take(peer))
    wrong = syn & ack & ~rst & ~right
    ordinary = ack & ~syn & ~rst
    counts = right | ordinary & _believable(rows, ordinary, valid_syn)
    acknowledged_by = [running_maximum(rows, rows.ack, counts & (rows.side == s)) for s in (ORIGINATOR, RESPONDER)]
    # A FIN whose number lies before its sender's SYN is no FIN of this connection. §3.10.7.4: in a state where a FIN
    # could count, a segment without ACK is dropped (fifth), and one with SYN only causes a challenge ACK (fourth).
    claims_fin = fin & ack & ~rst & (~syn | valid_syn) & (~known.take(end) | (rows.seq_end >= 2))
    fin_row = choose_fins(rows, claims_fin, acknowledged_by)
    fin_end = np.where(fin_row >= 0, rows.seq_end[fin_row], NEVER)
    numbers = Numbers(
        acknowledged_by=acknowledged_by,
        finally_acknowledged=rows.finally_of(acknowledged_by),
        ack_counts=counts,
        is_syn=valid_syn & (right | ~ack),
        syn_end=syn_end,
        is_fin=claims_fin & (rows.seq_end == fin_end.take(end)),
        claims_fin=claims_fin,
        fin_row=fin_row,
        fin_end=fin_end,
        of_fins=np.zeros(0, np.int64),
        inferred_fin_row=np.full(ends, -1, np.int64),
        late_fin_row=np.full(ends, -1, np.int64),
        unplaced_fin=np.zeros(ends, np.bool_),
        syn_row=first_of(end, valid_syn & (right | ~ack), ends),
        bare_syn_row=first_of(end, valid_syn & ~ack, ends),
        syn_ack_row=first_of(end, right, ends),
        wrong_syn_ack_row=first_of(end, wrong, ends),
        ack_row=first_of(end, ordinary & counts, ends),
        third_rows=np.flatnonzero(ordinary & counts & (rows.side == ORIGINATOR) & (rows.ack >= 1) & (rows.seq >= 1)),
        inferred_syn_ack_row=np.full(rows.connections, -1, np.int64),
        inferred_ack_row=np.full(rows.connections, -1, np.int64),
        crossing_syn=np.zeros(ends, np.bool_),
    )
    _infer_handshake(rows, numbers)
    if (fin_row >= 0).any():
        _look_for_fins(rows, numbers, ~syn | valid_syn)
        _find_late_fins(rows, numbers)
        # Without a FIN, no acknowledgment reaches its end (NEVER).
        numbers.of_fins = np.flatnonzero(counts & (rows.ack >= numbers.fin_end.take(peer)))
    return numbers


def _stray_answers(rows: ConnectionRows) -> Mask:
    """Mark the SYN-ACKs of an originator whose peer has already answered its SYN, and has sent no SYN without ACK.

    An end that has sent a SYN sends a SYN-ACK only in answer to a SYN without ACK (RFC 9293 §3.10.7.3, Figure 7). That
    SYN may be missing in the capture; but then the peer has not answered before.
    """
    syn_ack = (rows.flags & (SYN | ACK | RST)) == SYN | ACK
    stray = np.zeros(len(rows), np.bool_)
    at = np.flatnonzero(syn_ack & (rows.side == ORIGINATOR) & ~rows.self_connect[rows.conn])
    if not len(at):
        return stray
    peer, ends = rows.peer[at], 2 * rows.connections
    answer = first_of(rows.end, syn_ack, ends)[peer]
    asks = first_of(rows.end, ((rows.flags & (SYN | ACK | RST)) == SYN) & ~rows.ignored_syn, ends)[peer]
    stray[at[(asks < 0) & (answer >= 0) & (answer < at)]] = True
    return stray


def _believable(rows: ConnectionRows, ordinary: Mask, valid_syn: Mask) -> Mask:
    """Mark all rows but the acknowledgments of numbers that were never sent: these must not count as proof of anything.

    The capture may have missed what they acknowledge, so one that lies beyond everything captured of the peer is
    accepted unless its sender's next acknowledgment is lower, or the peer was captured sending its SYN-ACK and never
    anything after it (RFC 9293 §3.10.7.4, fifth: SEG.ACK > SND.NXT).
    """
    peer_sent = of_side(rows.peer_side, rows.sent_by)
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
    """Find the rows that prove a SYN, a SYN-ACK or a third segment that was not captured."""
    opened = rows.iss_known[:, ORIGINATOR] & ~rows.self_connect
    # An end that has sent a SYN without ACK sends a SYN-ACK only in answer to another such SYN (§3.10.7.3, Figure 7).
    asks, answers = numbers.bare_syn_row >= 0, numbers.syn_ack_row >= 0
    numbers.crossing_syn[1::2] = opened & asks[0::2] & answers[0::2] & ~asks[1::2]
    no_answer = opened & (numbers.syn_row[1::2] < 0) & (numbers.wrong_syn_ack_row[1::2] < 0)
    # If the originator acknowledges, it has received a SYN-ACK.
    acknowledges = numbers.ack_row[0::2]
    proven = np.flatnonzero(no_answer & (acknowledges >= 0))
    numbers.inferred_syn_ack_row[proven] = acknowledges[proven]
    # If the responder acknowledges data, the originator had sent its ACK with it, or before it. If it sends its first
    # data, it had received that ACK: in SYN-RECEIVED they wait (§3.10.2), unless the SYN had data (RFC 7413 §4.2).
    speaks = numbers.ack_row[1::2]
    unheard = opened & (speaks >= 0) & ((acknowledges < 0) | (acknowledges > speaks))
    waits = unheard & (numbers.syn_ack_row[1::2] >= 0) & ~asks[1::2] & (numbers.syn_end[0::2] == 1)
    some = rows.rows_of(np.flatnonzero(unheard))
    some = some[rows.side.take(some) == RESPONDER]
    conn = rows.conn.take(some)
    heard = numbers.acknowledged_by[RESPONDER].take(some) > numbers.syn_end[0::2].take(conn)
    heard &= (acknowledges < 0).take(conn)
    sends = waits.take(conn) & (rows.seq.take(some) == 1) & (rows.payload.take(some) > 0)
    sends &= ((rows.flags.take(some) & (SYN | RST)) == 0) & numbers.ack_counts.take(some)
    before = np.where(acknowledges < 0, NEVER, acknowledges).take(conn)
    proof = np.flatnonzero((heard | sends) & (some < before))[::-1]
    numbers.inferred_ack_row[conn.take(proof)] = some.take(proof)  # the first one is assigned last


def _look_for_fins(rows: ConnectionRows, numbers: Numbers, valid: Mask) -> None:
    """Infer or doubt the FINs that were not captured, of ends whose peer's FIN was.

    `valid`: segments of this connection, without stray SYNs.
    """
    ends = np.arange(2 * rows.connections)
    missing = (numbers.fin_row < 0) & (numbers.fin_row[ends ^ 1] >= 0) & np.repeat(~rows.self_connect, 2)
    if not missing.any():
        return
    # The octets of folded segments lie before the segment that stays.
    at = rows.rows_of(np.flatnonzero(missing[0::2] | missing[1::2]))
    at = at[missing[rows.end[at]] & valid[at] & ((rows.flags[at] & RST) == 0)]
    at = at[rows.has_length[at] | (rows.folded_octets[at] > 0)]
    occupied = np.full(len(ends), UNKNOWN, np.int64)
    np.maximum.at(occupied, rows.end[at], rows.seq_end[at])
    _infer_fins(rows, numbers, missing, np.maximum(occupied, 1))
    _doubt_fins(rows, numbers, np.flatnonzero(missing & (numbers.inferred_fin_row < 0)), occupied)


def _find_late_fins(rows: ConnectionRows, numbers: Numbers) -> None:
    """Find the FINs that were captured after the peer's FIN, which acknowledges them: they were sent before that.

    What a number acknowledges has arrived (RFC 9293 §3.4), whenever it was captured: the peer had received the FIN when
    it sent its own, so these do not cross (§3.6, Figure 13). The sender must be known to have been connected by then,
    and the peer not to have sent its FIN before: then the captured FIN may be a later one, which answers that.
    """
    answer = numbers.fin_row.take(rows.other_end)
    end = np.flatnonzero((answer >= 0) & (answer < numbers.fin_row))
    answer = answer[end]
    of_fin = numbers.ack_counts.take(answer) & (rows.ack.take(answer) >= numbers.fin_end.take(end))
    end = end[of_fin]
    if not len(end):
        return
    proof, conn = acknowledged_at(rows, numbers.acknowledged_by, end, numbers.fin_end[end]), end >> 1
    connected = of_side(end & 1, [by.take(proof) for by in numbers.acknowledged_by]) != UNKNOWN
    connected |= ~rows.iss_known[conn, ORIGINATOR]
    sent = of_side(end & 1 ^ 1, [by.take(proof - 1) for by in rows.sent_by])
    sent = np.where(proof > rows.start[conn], sent, UNKNOWN)
    opens = np.maximum(sent, rows.seq[proof]) < numbers.fin_end[end ^ 1]
    numbers.late_fin_row[end] = np.where(connected & opens, proof, -1)


def _infer_fins(rows: ConnectionRows, numbers: Numbers, missing: Mask, occupied: Rows) -> None:
    """Find the rows that prove a FIN which was not captured.

    The peer has closed too and its FIN is acknowledged, all captured data of this end lies below some number E
    (`occupied`), and the peer acknowledges E + 1: one more than was captured. A lost single octet of data would look
    the same; but its sender would not have been silent after it.
    """
    peer_end, last_a = np.arange(2 * rows.connections) ^ 1, numbers.finally_acknowledged
    candidate = missing & (last_a >= numbers.fin_end[peer_end]) & (last_a[peer_end] == occupied + 1)
    end = np.flatnonzero(candidate)
    if len(end):
        numbers.inferred_fin_row[end] = acknowledged_at(rows, numbers.acknowledged_by, end, occupied[end] + 1)
        numbers.fin_end[end] = occupied[end] + 1


def _doubt_fins(rows: ConnectionRows, numbers: Numbers, missing: Rows, occupied: Rows) -> None:
    """Find the FINs whose sender may or may not have received one before. `missing`: the ends without a FIN.

    Such a FIN acknowledges numbers that no captured segment occupies, and the last of them may be the peer's FIN. It is
    not if the peer has occupied it, or is acknowledged beyond it later: nothing comes after a FIN (RFC 9293 §3.6).
    """
    sender = missing ^ 1
    row = numbers.fin_row[sender]
    acknowledged = of_side(sender & 1, [by.take(row) for by in numbers.acknowledged_by])
    # The first acknowledgment of an end that opened is that of the SYN; before the capture begins, anything may have
    # been sent.
    opened = rows.iss_known[missing // 2, missing & 1]
    first = numbers.ack_row[sender]
    opened |= rows.iss_known[missing // 2, ORIGINATOR] & (first >= 0) & (first < row)
    occupied = np.maximum(occupied[missing], np.where(opened, 1, UNKNOWN))
    goes_on = numbers.finally_acknowledged[sender] > acknowledged
    numbers.unplaced_fin[sender] = (acknowledged > occupied) & ~goes_on
