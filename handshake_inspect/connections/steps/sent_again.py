"""Finds why octets were sent again, by what was captured of them before, and by what the peer had acknowledged.

In: the `ConnectionRows` of some whole connections, and what each end had acknowledged at each row. Out: which bare ACKs
are duplicates (RFC 5681 §2), and a phrase about one repeated segment: a copy, or sent again, after which cause, and
whether the receiver reports that it was needless. `sacked` has the contents of SACK options.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.numbers import Numbers
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    RST,
    SYN,
    ConnectionRows,
    of_side,
    own_before,
    row_before,
)
from handshake_inspect.connections.steps.sacked import Sacked, within
from handshake_inspect.quantities import duration

#: After this many duplicate ACKs a sender takes a segment for lost (RFC 5681 §3.2).
FAST_RETRANSMIT = 3
#: A packet that the network duplicated arrives sooner than this; a retransmission by a timer without better
#: measurements comes later.
DOUBLED_WITHIN_NS = 100_000_000
#: The phrase for a segment that a D-SACK reports (RFC 2883 §4).
NEEDLESS = "needless: the receiver had it, says its D-SACK"
#: Number of earlier rows that are searched for the cause of a segment: more than are in flight at once, and limited so
#: that each of a hundred thousand repetitions costs no more than each of a thousand.
LOOK_BACK = 1 << 12


def duplicate_acks(rows: ConnectionRows, numbers: Numbers, sent: list[Rows]) -> Rows:
    """Number the duplicate ACKs of each acknowledgment: 1, 2, 3 ...; 0 for other rows. Shape (n,).

    A duplicate ACK acknowledges what its end had acknowledged before, and has nothing else: no octets, no control bit
    but ACK, and an unchanged window, while octets of the peer are in flight (RFC 5681 §2). `sent`: the number after the
    highest that each side has sent.
    """
    at = np.argsort(rows.end, kind="stable")
    acknowledged = own_before(rows, numbers.acknowledged_by)
    under_way = of_side(rows.peer_side, [row_before(rows, one) for one in sent]) > rows.ack
    bare = ((rows.flags & (SYN | FIN | RST | ACK)) == ACK) & (rows.payload == 0)
    says_nothing: Mask = (bare & under_way & numbers.ack_counts & (rows.ack == acknowledged))[at]
    end, window = rows.end[at], rows.window[at]
    says_nothing[1:] &= (end[1:] == end[:-1]) & (window[1:] == window[:-1])
    says_nothing[:1] = False
    goes_on = (rows.ack == acknowledged)[at] & ((rows.flags & (SYN | RST | ACK)) == ACK)[at]
    count = np.cumsum(says_nothing)
    begins = np.append(True, end[1:] != end[:-1])[: len(at)] | ~goes_on
    before = np.maximum.accumulate(np.where(begins, count, 0))
    ordinal = np.zeros(len(rows), np.int64)
    ordinal[at] = np.where(says_nothing, count - before, 0)
    return ordinal


def why_again(rows: ConnectionRows, numbers: Numbers, duplicates: Rows, sacked: Sacked, row: int) -> str:
    """Return what a segment that brings nothing new is, and its cause, as far as LOOK_BACK rows before it show.

    `duplicates`: see `duplicate_acks`.
    """
    begin = max(int(rows.start[rows.conn[row]]), row - LOOK_BACK)
    earlier = np.arange(begin, row)
    same = earlier[(rows.side[earlier] == rows.side[row]) & (rows.seq[earlier] <= rows.seq[row])]
    same = same[rows.seq_end[same] > rows.seq[row]]
    if _is_packet(rows, same, row).any():
        return "the same IP packet again: a copy"
    beyond = within(sacked.beyond, rows, int(rows.peer_side[row]), begin, row)
    why = _cause(rows, numbers, duplicates, beyond, row, earlier)
    if why is None:
        where = " into a gap that SACK shows" if _is_in_gap(rows, beyond, row) else ""
        why = f"sent before: a retransmission{where}{_later(rows, same, row)}"
    return f"{why}; {NEEDLESS}" if _was_needless(rows, sacked.twice, row) else why


def _cause(
    rows: ConnectionRows, numbers: Numbers, duplicates: Rows, beyond: Rows, row: int, earlier: Rows
) -> str | None:
    """Return which answer of the peer caused a repetition, or makes it needless; None if there is none.

    `beyond`: the blocks of octets beyond a gap that the peer had sent.
    """
    peer_side, seq, seq_end = rows.peer_side[row], rows.seq[row], rows.seq_end[row]
    acknowledged = int(numbers.acknowledged_by[peer_side][row - 1])
    if acknowledged >= seq_end:
        return "sent before, and acknowledged: that ACK was lost or came too late"
    if ((beyond[:, 1] <= seq) & (beyond[:, 2] >= seq_end)).any():
        return "sent before, and named in a SACK option: the receiver had it"
    told = earlier[(rows.side[earlier] == peer_side) & (duplicates[earlier] >= FAST_RETRANSMIT)]
    told = told[rows.ack[told] == acknowledged][-1:]
    if len(told) and (seq <= acknowledged or not len(beyond)):
        return f"sent before: a retransmission, after {duplicates[told[0]]} duplicate ACKs"
    return None


def _is_in_gap(rows: ConnectionRows, beyond: Rows, row: int) -> bool:
    """Return whether a segment lies below a block of the last SACK option before it, and in none of its blocks."""
    last = beyond[beyond[:, 0] == beyond[-1:, 0]]
    above, below = last[:, 1] >= rows.seq_end[row], last[:, 2] <= rows.seq[row]
    return bool(above.any() and (above | below).all())


def _later(rows: ConnectionRows, same: Rows, row: int) -> str:
    """Return how long after the last segment with its first octet a segment was sent; "" if unknown."""
    if not len(same):  # sent piece by piece
        return ""
    passed_ns = int(rows.time_ns[row] - rows.time_ns[same[-1]])
    if passed_ns <= 0 or rows.clock[row] != rows.clock[same[-1]]:
        return ""
    return f", {duration(passed_ns)} later"


def _was_needless(rows: ConnectionRows, twice: Rows, row: int) -> bool:
    """Return whether the receiver reports that it already had the octets of `row` when that arrived.

    Each report tells of one needless arrival (RFC 2883 §4). So if there are as many reports as segments that repeat
    these octets, from `row` on, the receiver had the octets when the last of these segments arrived, and when `row`
    did.
    """
    seq, seq_end = int(rows.seq[row]), int(rows.seq_end[row])
    end = min(int(rows.start[rows.conn[row] + 1]), row + LOOK_BACK)
    own = within(twice, rows, int(rows.peer_side[row]), row + 1, end)
    own = own[(own[:, 1] < seq_end) & (own[:, 2] > seq)]
    if not len(own):
        return False
    later = np.arange(row, int(own[-1, 0]))
    later = later[(rows.side[later] == rows.side[row]) & (rows.seq[later] < seq_end) & (rows.seq_end[later] > seq)]
    repeats = np.searchsorted(later, own[:, 0])
    return bool((np.arange(1, len(own) + 1) >= repeats).any())


def _is_packet(rows: ConnectionRows, earlier: Rows, row: int) -> Mask:
    """Mark the rows that are the same IP packet as `row`, so that the network duplicated it.

    Some stacks send a segment again with the identification that it had (zeek__pppoe-over-qinq.pcap, 0.3 s, 0.6 s and
    1.2 s later). So it is the same packet only if the rest of the header is equal, timestamp included; without a
    timestamp, only if no timer had the time to send it again.
    """
    if not rows.ip_id[row]:
        return np.zeros(len(earlier), np.bool_)
    same = np.ones(len(earlier), np.bool_)
    for column in (rows.ip_id, rows.seq, rows.payload, rows.flags, rows.ack, rows.has_timestamps, rows.timestamp_value):
        same &= column[earlier] == column[row]
    passed_ns = rows.time_ns[row] - rows.time_ns[earlier]
    soon = (passed_ns < DOUBLED_WITHIN_NS) & (rows.clock[earlier] == rows.clock[row])
    found: Mask = same & (soon | (rows.has_timestamps[row] != 0))
    return found
