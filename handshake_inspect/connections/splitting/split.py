"""Pairs of sockets -> connections: a reused port is a new connection, a retransmitted SYN is not.

In: rows of whole conversations (`StoredRows`), sorted by conversation and capture order. Out: `ConnectionRows` with
roles, initial sequence numbers and unwrapped relative numbers. `boundaries` decides where a connection begins;
`unwrapping` makes its numbers relative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.copies.packets import KINDS
from handshake_inspect.connections.splitting.boundaries import begin_rows
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows
from handshake_inspect.connections.splitting.unwrapping import unwrap
from handshake_inspect.plain import mutable
from handshake_inspect.table import Table

#: Columns of the counts of collapsed copies, by kind.
COPY_COLUMNS = tuple(f"copies_{kind}" for kind in KINDS)


class StoredRows(Table):
    """Segments of known conversations: the columns kept of `SegmentTable`, with a number instead of the key."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "conversation": np.int32,
        "from_higher": np.uint8,  # 1 if the numerically higher socket of the key sent it
        "time_ns": np.int64,
        "frame": np.int64,
        "capture": np.uint16,
        "encapsulation": np.uint32,
        "seq": np.uint32,
        "ack": np.uint32,
        "flags": np.uint16,
        "window": np.uint16,
        "payload_octets": np.uint32,
        "ip_id": np.uint16,
        "packet_type": np.uint8,
        "ttl": np.uint8,
        "options": np.uint32,
        "timestamp_value": np.uint32,
        "timestamp_echo": np.uint32,
        "has_timestamps": np.uint8,
        "folded_segments": np.uint32,  # by `compact`: segments of the same sender right before, and their octets
        "folded_octets": np.uint32,
        "ordinary": np.uint8,  # by `compact`: found to be the middle of a transfer
        "echoes": np.uint32,  # of them, and of the row itself if there are any: without data, and with nothing new
        "folded_copies": np.uint32,  # copies of the folded segments, which are counted below; and of those with data
        "folded_repeats": np.uint32,
        "shown_each": np.uint8,  # how often its capture shows each packet, as far as this row rests on it: see `judged`
        "clock": np.uint16,
        "copies_loopback": np.uint32,  # copies that were collapsed, by kind: see `copies`
        "copies_mirror": np.uint32,
        "copies_router": np.uint32,
        "copies_elsewhere": np.uint32,
        "options_elsewhere": np.uint32,  # option list of a copy of a SYN that differs from its own; 0 for none
    }

    def copies(self, names: Sequence[str] = COPY_COLUMNS) -> NDArray[np.int64]:
        """Return the count of collapsed copies of each row, of these kinds."""
        total = np.zeros(len(self), np.int64)
        for name in names:
            if self[name].any():
                total += self[name]
        return total


@mutable
class Split:
    """Connections, and their conversations."""

    rows: ConnectionRows
    #: Conversation of each connection. Shape (m,).
    conversation: NDArray[np.int64]
    #: 1 where the originator is the numerically higher socket of the conversation's key. Shape (m,).
    originator_is_higher: NDArray[np.int64]

    def only(self, first: int, stop: int) -> Split:
        """Return the connections [first, stop)."""
        some = slice(first, stop)
        return Split(self.rows.only(first, stop), self.conversation[some], self.originator_is_higher[some])


def split(stored: StoredRows, self_conversation: NDArray[np.bool_]) -> Split:
    """Split sorted rows into connections. `self_conversation`: mask of conversations with two equal sockets."""
    begins, ignored = begin_rows(stored)
    start = np.append(np.flatnonzero(begins), len(stored)).astype(np.int64)
    count = len(start) - 1
    conn = np.repeat(np.arange(count), np.diff(start))
    conversation = stored["conversation"][start[:-1]].astype(np.int64)
    self_connect = self_conversation[conversation]
    originator_is_higher = _originator_is_higher(stored, start, conn, ignored)
    originator_is_higher[self_connect] = 0
    side = (stored["from_higher"] != originator_is_higher.take(conn)).astype(np.uint8)
    if self_connect.any():
        side[self_connect[conn]] = ORIGINATOR
    rows = ConnectionRows(
        start=start,
        conn=conn,
        side=side,
        flags=stored["flags"],
        seq=stored["seq"].astype(np.int64),
        ack=stored["ack"].astype(np.int64),
        payload=stored["payload_octets"].astype(np.int64),
        window=stored["window"],
        time_ns=stored["time_ns"],
        frame=stored["frame"],
        capture=stored["capture"],
        options=stored["options"],
        timestamp_value=stored["timestamp_value"],
        timestamp_echo=stored["timestamp_echo"],
        has_timestamps=stored["has_timestamps"],
        ip_id=stored["ip_id"],
        ttl=stored["ttl"],
        clock=stored["clock"],
        folded_segments=stored["folded_segments"].astype(np.int64),
        folded_octets=stored["folded_octets"].astype(np.int64),
        duplicates=stored.copies(),
        folded_copies=stored["folded_copies"].astype(np.int64),
        folded_repeats=stored["folded_repeats"].astype(np.int64),
        ignored_syn=ignored,
        iss=np.full((count, 2), -1, np.int64),
        iss_known=np.zeros((count, 2), np.bool_),
        self_connect=self_connect,
    )
    _find_initial_numbers(rows)
    unwrap(rows)
    return Split(rows, conversation, originator_is_higher.astype(np.int64))


def _originator_is_higher(stored: StoredRows, start: Rows, conn: Rows, ignored: Mask) -> Column:
    """Mark connections opened by the higher socket: it sent the SYN, got the SYN-ACK, or was first. Shape (m,)."""
    flags, from_higher, count = stored["flags"], stored["from_higher"], len(start) - 1
    syn, ack, rst = (flags & SYN) != 0, (flags & ACK) != 0, (flags & RST) != 0
    bare = first_of(conn, syn & ~ack & ~rst & ~ignored, count)
    answer = first_of(conn, syn & ack & ~rst, count)
    answered = np.where(answer >= 0, 1 - from_higher[answer], from_higher[start[:-1]])
    return np.where(bare >= 0, from_higher[bare], answered)


def first_of(group: NDArray[np.int64], mask: NDArray[np.bool_], groups: int) -> NDArray[np.int64]:
    """Return the first row of each group for which `mask` holds, -1 if there is none. Shape (groups,)."""
    return first_among(group, np.flatnonzero(mask), groups)


def first_among(group: NDArray[np.int64], rows: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Return the first of some rows (rising) in each group, -1 if there is none. Shape (groups,)."""
    first = np.full(groups, -1, np.int64)
    first[group.take(rows[::-1])] = rows[::-1]  # the last assignment wins: the first row
    return first


def last_of(group: NDArray[np.int64], mask: NDArray[np.bool_], groups: int) -> NDArray[np.int64]:
    """Return the last row of each group for which `mask` holds, -1 if there is none. Shape (groups,)."""
    return last_among(group, np.flatnonzero(mask), groups)


def last_among(group: NDArray[np.int64], rows: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Return the last of some rows (rising) in each group, -1 if there is none. Shape (groups,)."""
    last = np.full(groups, -1, np.int64)
    last[group.take(rows)] = rows
    return last


def any_of(group: NDArray[np.int64], mask: NDArray[np.bool_], groups: int) -> NDArray[np.bool_]:
    """Mark the groups with a row for which `mask` holds. Shape (groups,)."""
    return any_among(group, np.flatnonzero(mask), groups)


def any_among(group: NDArray[np.int64], rows: NDArray[np.int64], groups: int) -> NDArray[np.bool_]:
    """Mark the groups that contain one of some rows. Shape (groups,)."""
    found = np.zeros(groups, np.bool_)
    found[group.take(rows)] = True
    return found


def _find_initial_numbers(rows: ConnectionRows) -> None:
    """Fill `iss` and `iss_known`: from a SYN, from the SYN-ACK's acknowledgment, or from the first captured number."""
    iss, known, count = rows.iss, rows.iss_known, rows.connections
    syns = np.flatnonzero(((rows.flags & (SYN | RST)) == SYN) & ~rows.ignored_syn)
    is_answer, side = (rows.flags.take(syns) & ACK) != 0, rows.side.take(syns)
    for s in (ORIGINATOR, RESPONDER):
        first = first_among(rows.conn, syns[~is_answer & (side == s)], count)
        has = np.flatnonzero(first >= 0)
        iss[has, s], known[has, s] = rows.seq[first[has]], True

    # The responder's SYN-ACK that acknowledges the SYN, or else its first one.
    answers = syns[is_answer & (side == RESPONDER)]
    right = answers[_acknowledges_syn(rows, answers)]
    first, chosen = (first_among(rows.conn, some, count) for some in (answers, right))
    chosen = np.where(chosen >= 0, chosen, first)
    _prefer_acknowledged(rows, right, chosen)
    has = np.flatnonzero((chosen >= 0) & ~known[:, RESPONDER])
    iss[has, RESPONDER], known[has, RESPONDER] = rows.seq[chosen[has]], True
    has = np.flatnonzero((first >= 0) & ~known[:, ORIGINATOR])
    iss[has, ORIGINATOR], known[has, ORIGINATOR] = (rows.ack[first[has]] - 1) & 0xFFFFFFFF, True
    for s in (ORIGINATOR, RESPONDER):
        tells = (rows.side == s) | ((rows.flags & ACK) != 0)
        _take_first_numbers(rows, s, np.flatnonzero(tells & ~known[:, s].take(rows.conn)))


def _acknowledges_syn(rows: ConnectionRows, answers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the SYN-ACKs that acknowledge the originator's first SYN without ACK, or part of the data on it."""
    conn = rows.conn.take(answers)
    asked = (rows.flags & (SYN | ACK | RST)) == SYN
    syn = first_of(rows.conn, asked & ~rows.ignored_syn & (rows.side == ORIGINATOR), rows.connections).take(conn)
    beyond = (rows.ack.take(answers) - rows.iss[conn, ORIGINATOR] - 1) & 0xFFFFFFFF
    right: NDArray[np.bool_] = (syn >= 0) & (beyond <= rows.payload[syn])
    return right


def _take_first_numbers(rows: ConnectionRows, s: int, at: NDArray[np.int64]) -> None:
    """Without a SYN, count the first captured number of an end, its own or one that its peer acknowledges, as 1.

    Numbers of RSTs are used if there is no other, the end's own first. `at`: rows of connections without a SYN of side
    `s`, at least those that may have a number of it.
    """
    conn, flags, own = rows.conn.take(at), rows.flags.take(at), rows.side.take(at) == s
    rst, named = (flags & RST) != 0, ((flags & ACK) != 0) & (~own | rows.self_connect.take(conn))
    number = (np.where(own, rows.seq.take(at), rows.ack.take(at)) - 1) & 0xFFFFFFFF
    for which in (rst & named & ~own, rst & own, ~rst & (own | named)):  # the last one counts
        first = np.flatnonzero(which)[::-1]
        rows.iss[conn.take(first), s] = number.take(first)


def _prefer_acknowledged(rows: ConnectionRows, right: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
    """Choose among SYN-ACKs with different numbers the one whose number the originator acknowledges.

    SYN cookies and restarted servers answer the same SYN with another initial number. `right`: rows of SYN-ACKs that
    acknowledge the SYN.
    """
    several = np.zeros(rows.connections, np.bool_)
    several[rows.conn[right[rows.seq[right] != rows.seq[chosen[rows.conn[right]]]]]] = True
    if not several.any():
        return
    right = right[several[rows.conn[right]]]
    third = np.flatnonzero(((rows.flags & (SYN | RST | ACK)) == ACK) & (rows.side == ORIGINATOR) & several[rows.conn])
    named = rows.conn[third] << 32 | (rows.ack[third] - 1) & 0xFFFFFFFF
    acknowledged = first_among(rows.conn, right[np.isin(rows.conn[right] << 32 | rows.seq[right], named)], len(chosen))
    np.copyto(chosen, acknowledged, where=acknowledged >= 0)
