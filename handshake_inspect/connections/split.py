"""Pairs of sockets -> connections: a reused port is a new connection, a repeated SYN is not.

In: rows of whole conversations (`StoredRows`), sorted by conversation and capture order. Out: `ConnectionRows` with
roles, initial sequence numbers and unwrapped relative numbers.

A SYN without ACK can begin another connection; so can a SYN-ACK that answers none of the SYNs so far, after both FINs
or where its sender alone was captured. RFC 9293 §3.10.7.4 (fourth), RFC 5961 §4 and Figures 7 to 9 say what else a SYN
may be; `boundaries` has the rules, and `reuse` decides the ordinary in columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.connections.packets import KINDS
from handshake_inspect.connections.reuse import ordinary_reuse
from handshake_inspect.connections.rows import ACK, FIN, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows
from handshake_inspect.table import Table
from handshake_inspect.tcp.seqnum import MODULUS, distance

#: How far beyond a SYN an acknowledgment may lie and still be taken for one of it: data may have followed.
ACKNOWLEDGES_WITHIN_OCTETS = 1 << 24
#: Relative numbers within this distance of the initial one need no unwrapping.
SAFE_SPAN = 1 << 30


#: Where copies that were collapsed are counted, by their kind.
COPY_COLUMNS = tuple(f"copies_{kind}" for kind in KINDS)


class StoredRows(Table):
    """Segments of known conversations: what is kept of `SegmentTable` once the key has become a number."""

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
        "has_timestamps": np.uint8,
        "folded_segments": np.uint32,  # by `compact`: segments of the same sender right before, and their octets
        "folded_octets": np.uint32,
        "ordinary": np.uint8,  # by `compact`: found to be the middle of a transfer
        "clock": np.uint16,
        "copies_loopback": np.uint32,  # copies that were collapsed, by kind: see `copies`
        "copies_mirror": np.uint32,
        "copies_router": np.uint32,
        "copies_elsewhere": np.uint32,
        "options_elsewhere": np.uint32,  # option list of a copy of a SYN that differs from its own; 0 for none
    }

    def copies(self, names: Sequence[str] = COPY_COLUMNS) -> NDArray[np.int64]:
        """Return how many copies of each row were collapsed, of these kinds."""
        total = np.zeros(len(self), np.int64)
        for name in names:
            if self[name].any():
                total += self[name]
        return total


@dataclass
class Split:
    """Connections, and where they come from."""

    rows: ConnectionRows
    #: Conversation of each connection. Shape (m,).
    conversation: NDArray[np.int64]
    #: 1 where the originator is the numerically higher socket of the conversation's key. Shape (m,).
    originator_is_higher: NDArray[np.int64]


def split(stored: StoredRows, self_conversation: NDArray[np.bool_]) -> Split:
    """Cut sorted rows into connections. `self_conversation`: are both sockets of a conversation equal?"""
    flags = stored["flags"]
    begins, ignored = _begin_rows(stored)
    start = np.append(np.flatnonzero(begins), len(stored)).astype(np.int64)
    conn = np.cumsum(begins) - 1
    count = len(start) - 1
    conversation = stored["conversation"][start[:-1]].astype(np.int64)
    syn, ack, rst = (flags & SYN) != 0, (flags & ACK) != 0, (flags & RST) != 0
    from_higher = stored["from_higher"].astype(np.int64)

    bare = first_of(conn, syn & ~ack & ~rst & ~ignored, count)
    answer = first_of(conn, syn & ack & ~rst, count)
    originator_is_higher = np.where(
        bare >= 0, from_higher[bare], np.where(answer >= 0, 1 - from_higher[answer], from_higher[start[:-1]])
    )
    self_connect = self_conversation[conversation]
    originator_is_higher[self_connect] = 0
    side = np.where(from_higher == originator_is_higher[conn], ORIGINATOR, RESPONDER)
    side[self_connect[conn]] = ORIGINATOR
    rows = ConnectionRows(
        start=start,
        conn=conn,
        side=side,
        flags=flags,
        seq=stored["seq"].astype(np.int64),
        ack=stored["ack"].astype(np.int64),
        payload=stored["payload_octets"].astype(np.int64),
        window=stored["window"],
        time_ns=stored["time_ns"],
        frame=stored["frame"],
        capture=stored["capture"],
        options=stored["options"],
        timestamp_value=stored["timestamp_value"],
        has_timestamps=stored["has_timestamps"],
        ip_id=stored["ip_id"],
        ttl=stored["ttl"],
        clock=stored["clock"],
        folded_segments=stored["folded_segments"].astype(np.int64),
        folded_octets=stored["folded_octets"].astype(np.int64),
        duplicates=stored.copies(),
        ignored_syn=ignored,
        iss=np.full((count, 2), -1, np.int64),
        iss_known=np.zeros((count, 2), np.bool_),
        self_connect=self_connect,
    )
    _find_initial_numbers(rows)
    _unwrap(rows)
    return Split(rows, conversation, originator_is_higher)


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
    rows = np.flatnonzero(mask)
    last = np.full(groups, -1, np.int64)
    last[group.take(rows)] = rows
    return last


def any_of(group: NDArray[np.int64], mask: NDArray[np.bool_], groups: int) -> NDArray[np.bool_]:
    """Say of each group whether `mask` holds for one of its rows. Shape (groups,)."""
    found = np.zeros(groups, np.bool_)
    found[group.take(np.flatnonzero(mask))] = True
    return found


def _begin_rows(stored: StoredRows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the rows that begin a connection, and the SYNs that their receiver ignores."""
    conversation, flags = stored["conversation"], stored["flags"]
    begins = np.ones(len(stored), np.bool_)
    begins[1:] = conversation[1:] != conversation[:-1]
    ignored = np.zeros(len(stored), np.bool_)
    bare = np.flatnonzero((flags & (SYN | ACK | RST)) == SYN)
    first_row = np.flatnonzero(begins)
    open_question = bare[~begins[bare] & ~_repeats(stored, bare)]
    answers = np.flatnonzero((flags & (SYN | ACK | RST)) == SYN | ACK)
    closing = np.append(0, np.cumsum((flags & (FIN | RST)) != 0))
    late = answers[closing[answers] > closing[first_row][np.searchsorted(first_row, answers, "right") - 1]]
    undecided = np.unique(conversation[np.concatenate([open_question, late, answers[1:][_differ(stored, answers)]])])
    if len(undecided):
        again, decided = ordinary_reuse(stored, undecided)
        begins[again] = True
        undecided = np.setdiff1d(undecided, decided)
    for one in undecided:
        at = np.searchsorted(conversation[first_row], one)
        a = int(first_row[at])
        b = int(first_row[at + 1]) if at + 1 < len(first_row) else len(stored)
        new, not_taken = boundaries(stored.take(slice(a, b)))
        begins[a + np.array(new, np.int64)] = True
        ignored[a + np.array(not_taken, np.int64)] = True
    return begins, ignored


def _repeats(stored: StoredRows, bare: NDArray[np.int64]) -> NDArray[np.bool_]:
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


def _differ(stored: StoredRows, answers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Has each SYN-ACK but the first another initial number than the one before it in its conversation?"""
    same, seq = stored["conversation"][answers], stored["seq"][answers]
    differ: NDArray[np.bool_] = (same[1:] == same[:-1]) & (seq[1:] != seq[:-1])
    return differ


def boundaries(stored: StoredRows) -> tuple[list[int], list[int]]:
    """Decide for each SYN of one conversation what it is.

    Returns the rows that begin a connection, and the rows of SYNs that their receiver ignores. The cost is that of the
    SYNs, however many there are: each asks only what was prepared.
    """
    look = _Lookup(stored)
    begin, opening = 0, _Opening()
    new: list[int] = []
    not_taken: dict[int, None] = {}
    last_syn: list[int | None] = [None, None]
    for i, s, is_answer, seq, ack, octets in look.syns():
        if is_answer:
            again = look.both_closed(begin, i) and not opening.knows(s, seq, ack) and look.next_acknowledges(i, s, seq)
            if again or (look.is_alone(s) and opening.is_another_answer(s, seq, ack)):
                new.append(i)  # the sockets are used again, and the SYN was not captured
                begin, opening = i, _Opening()
            opening.add(s, seq, octets, ack)
            continue
        before, peer_syn = last_syn[s], last_syn[1 - s]
        last_syn[s] = i
        if before is not None and look.seq(before) == seq and not look.closing_between(before, i, besides=s):
            if before in not_taken:
                not_taken[i] = None
        elif i == begin:
            pass
        elif (before is None or before < begin) and opening.is_answered(1 - s, seq):
            pass  # captured after its answer
        elif peer_syn is not None and peer_syn >= begin and look.is_crossing(s, peer_syn, i):
            pass  # simultaneous open: Figure 7
        elif look.peer_ignores(i, s, seq):
            not_taken[i] = None  # RFC 5961 §4: a challenge ACK is all it gets
        else:
            new.append(i)
            begin, opening = i, _Opening()
        opening.add(s, seq, octets)
    return new, list(not_taken)


class _Opening:
    """The numbers that the SYNs of one connection have brought so far."""

    def __init__(self) -> None:
        self._numbers: tuple[set[int], set[int]] = (set(), set())
        #: Octets on the SYNs that had any: a SYN-ACK may acknowledge a part of them (RFC 7413).
        self._octets: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._acknowledged: tuple[set[int], set[int]] = (set(), set())

    def add(self, side: int, seq: int, octets: int, ack: int | None = None) -> None:
        """Add a SYN, or a SYN-ACK with its acknowledgment."""
        self._numbers[side].add(seq)
        if octets:
            self._octets[side][seq] = max(octets, self._octets[side].get(seq, 0))
        if ack is not None:
            self._acknowledged[side].add(ack)

    def is_answered(self, by: int, seq: int) -> bool:
        """Has a SYN-ACK of side `by` acknowledged the SYN with this number?"""
        return (seq + 1) % MODULUS in self._acknowledged[by]

    def is_another_answer(self, side: int, seq: int, ack: int) -> bool:
        """Has this side sent SYN-ACKs, but none with this number nor for this SYN?"""
        return bool(self._acknowledged[side]) and seq not in self._numbers[side] and ack not in self._acknowledged[side]

    def knows(self, side: int, seq: int, ack: int) -> bool:
        """Does a SYN-ACK belong to these SYNs, by its number or by its acknowledgment?"""
        if seq in self._numbers[side] or (ack - 1) % MODULUS in self._numbers[1 - side]:
            return True
        return any((ack - number - 1) % MODULUS <= octets for number, octets in self._octets[1 - side].items())


class _Lookup:
    """What the SYNs of one conversation ask about the rows around them."""

    def __init__(self, stored: StoredRows) -> None:
        flags, side = stored["flags"], stored["from_higher"]
        self._flags, self._seq, self._ack = flags, stored["seq"], stored["ack"]
        self._side, self._octets = side, stored["payload_octets"]
        self._closing = np.append(0, np.cumsum((flags & (FIN | RST)) != 0))
        fin = (flags & (FIN | RST)) == FIN
        self._fins = [np.append(0, np.cumsum(fin & (side == s))) for s in (0, 1)]
        self._rows = [np.flatnonzero(side == s) for s in (0, 1)]
        acks = (flags & (ACK | RST)) == ACK
        self._acks = [np.flatnonzero(acks & (side == s)) for s in (0, 1)]
        self._refusals = [np.append(0, np.cumsum(self._refuses_only(s))) for s in (0, 1)]

    def _refuses_only(self, side: int) -> NDArray[np.bool_]:
        """Mark the RSTs with which this side only refuses a SYN-ACK of some other SYN (Figure 8, line 5).

        Its own SYN is all it has sent, and SYN-SENT goes on (§3.10.7.3, first). An RST that answers an ACK without SYN
        ends a connection of its peer's (Figure 9, line 5): what follows is another one.
        """
        refuses = np.zeros(len(self._flags), np.bool_)
        resets = np.flatnonzero((self._side == side) & ((self._flags & (RST | ACK)) == RST))
        said = _last_before(np.flatnonzero((self._side == side) & ((self._flags & RST) == 0)), resets)
        heard = _last_before(self._rows[1 - side], resets)
        beyond = (self._seq[resets].astype(np.int64) - self._seq[said] - 1) % MODULUS
        only_syn = (said >= 0) & ((self._flags[said] & (SYN | ACK)) == SYN)
        of_other = (heard < said) | ((self._flags[heard] & (SYN | ACK | RST)) == SYN | ACK)
        refuses[resets] = only_syn & of_other & (beyond > self._octets[said])
        return refuses

    def syns(self) -> Iterator[tuple[int, int, bool, int, int, int]]:
        """Yield row, side, "is it a SYN-ACK", number, acknowledgment and octets of each SYN."""
        at = np.flatnonzero((self._flags & (SYN | RST)) == SYN)
        columns = (self._side[at], (self._flags[at] & ACK) != 0, self._seq[at], self._ack[at], self._octets[at])
        return zip(at.tolist(), *(column.tolist() for column in columns), strict=True)

    def is_alone(self, side: int) -> bool:
        """Was nothing of the other side captured?"""
        return len(self._rows[1 - side]) == 0

    def seq(self, row: int) -> int:
        """Return SEG.SEQ of a row."""
        return int(self._seq[row])

    def closing_between(self, a: int, b: int, *, besides: int | None = None) -> bool:
        """Is there a FIN or RST from row `a` to before row `b`, besides RSTs of a side that ended nothing?"""
        refusals = 0 if besides is None else self._refusals[besides][b] - self._refusals[besides][a]
        return bool(self._closing[b] - self._closing[a] != refusals)

    def both_closed(self, a: int, b: int) -> bool:
        """Have both sides sent a FIN from row `a` to before row `b`?"""
        return all(bool(fins[a] != fins[b]) for fins in self._fins)

    def is_crossing(self, side: int, peer_syn: int, row: int) -> bool:
        """Is the peer's SYN still open, and has this side been silent since?"""
        silent = np.searchsorted(self._rows[side], peer_syn) == np.searchsorted(self._rows[side], row)
        return bool(silent) and not self.closing_between(peer_syn, row)

    def _next_of_peer(self, row: int, side: int) -> int | None:
        rows = self._rows[1 - side]
        at = int(np.searchsorted(rows, row))
        return int(rows[at]) if at < len(rows) else None

    def next_acknowledges(self, row: int, side: int, seq: int) -> bool:
        """Does the other side's next segment acknowledge exactly the SYN-ACK in this row?"""
        following = self._next_of_peer(row, side)
        return following is not None and int(self._ack[following]) == (seq + 1) % MODULUS

    def peer_ignores(self, row: int, side: int, seq: int) -> bool:
        """Is the peer's next segment an ACK that does not acknowledge the SYN in this row?

        One that repeats the peer's last acknowledgment is no news of the SYN, wherever the SYN lies.
        """
        following = self._next_of_peer(row, side)
        if following is None or int(self._flags[following]) & (SYN | RST | ACK) != ACK:
            return False
        acks = self._acks[1 - side]
        spoken = int(np.searchsorted(acks, row))
        if spoken and self._ack[acks[spoken - 1]] == self._ack[following]:
            return True
        return not 0 < distance(seq, int(self._ack[following])) <= ACKNOWLEDGES_WITHIN_OCTETS


def _last_before(rows: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the last of `rows` before each of `at`, -1 if there is none."""
    return np.append(-1, rows)[np.searchsorted(rows, at)]


def _find_initial_numbers(rows: ConnectionRows) -> None:
    """Fill `iss` and `iss_known`: from a SYN, from the SYN-ACK's acknowledgment, or the first number seen."""
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
        _take_first_numbers(rows, s, np.flatnonzero(~known[:, s].take(rows.conn)))


def _acknowledges_syn(rows: ConnectionRows, answers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Do these SYN-ACKs acknowledge the originator's first SYN without ACK, or a part of the data on it?"""
    conn = rows.conn.take(answers)
    asked = (rows.flags & (SYN | ACK | RST)) == SYN
    syn = first_of(rows.conn, asked & ~rows.ignored_syn & (rows.side == ORIGINATOR), rows.connections).take(conn)
    beyond = (rows.ack.take(answers) - rows.iss[conn, ORIGINATOR] - 1) & 0xFFFFFFFF
    right: NDArray[np.bool_] = (syn >= 0) & (beyond <= rows.payload[syn])
    return right


def _take_first_numbers(rows: ConnectionRows, s: int, at: NDArray[np.int64]) -> None:
    """Without a SYN the first number seen of an end, its own or one that its peer acknowledges, counts as 1.

    Those of RSTs count if there is no other, its own first. `at`: the rows of connections without a SYN of side `s`.
    """
    conn, flags, own = rows.conn.take(at), rows.flags.take(at), rows.side.take(at) == s
    rst, named = (flags & RST) != 0, ((flags & ACK) != 0) & (~own | rows.self_connect.take(conn))
    number = (np.where(own, rows.seq.take(at), rows.ack.take(at)) - 1) & 0xFFFFFFFF
    for which in (rst & named & ~own, rst & own, ~rst & (own | named)):  # the last one counts
        first = np.flatnonzero(which)[::-1]
        rows.iss[conn.take(first), s] = number.take(first)


def _prefer_acknowledged(rows: ConnectionRows, right: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
    """Of several SYN-ACKs with different numbers choose the one whose number the originator acknowledges.

    SYN cookies and restarted servers answer the same SYN with another initial number. `right`: rows of those that
    acknowledge the SYN.
    """
    several = np.unique(rows.conn[right[rows.seq[right] != rows.seq[chosen[rows.conn[right]]]]])
    for one in map(int, several):
        part = slice(int(rows.start[one]), int(rows.start[one + 1]))
        third = ((rows.flags[part] & (SYN | RST | ACK)) == ACK) & (rows.side[part] == ORIGINATOR)
        named = set(((rows.ack[part][third] - 1) & 0xFFFFFFFF).tolist())
        answers = right[(right >= part.start) & (right < part.stop)]
        chosen[one] = next((i for i in answers.tolist() if int(rows.seq[i]) in named), int(chosen[one]))


def _unwrap(rows: ConnectionRows) -> None:
    """Replace `seq` and `ack` by signed 64-bit distances from the initial numbers."""
    iss = rows.iss.reshape(-1)
    for numbers, whose in ((rows.seq, rows.end), (rows.ack, rows.peer)):
        numbers -= iss.take(whose)
        numbers += 1 << 31
        numbers &= 0xFFFFFFFF
        numbers -= 1 << 31
    trusted = (rows.flags & RST) == 0
    with_ack = trusted & ((rows.flags & ACK) != 0)
    far = (trusted & (np.abs(rows.seq) >= SAFE_SPAN)) | (with_ack & (np.abs(rows.ack) >= SAFE_SPAN))
    long = np.unique(rows.conn[far])
    if int(rows.payload.sum()) >= SAFE_SPAN:  # else no end can have sent so much
        octets = np.bincount(rows.end, rows.payload, 2 * rows.connections)
        long = np.union1d(long, np.flatnonzero(octets >= SAFE_SPAN) // 2)
    for one in map(int, long):
        _unwrap_long(rows, slice(int(rows.start[one]), int(rows.start[one + 1])), bool(rows.self_connect[one]))


def _unwrap_long(rows: ConnectionRows, at: slice, self_connect: bool) -> None:
    """Unwrap one connection that may have passed 2**31 octets: each number relative to the last believable one."""
    side, seq, ack, flags = rows.side[at], rows.seq[at], rows.ack[at], rows.flags[at]
    trusted = (flags & RST) == 0
    for s in (ORIGINATOR, RESPONDER):
        own = side == s
        naming = (own if self_connect else ~own) & ((flags & ACK) != 0)
        # One series per number space: the owner's SEG.SEQ and the peer's SEG.ACK, in capture order.
        row = np.concatenate([np.flatnonzero(own), np.flatnonzero(naming)])
        is_ack = np.repeat([False, True], [int(own.sum()), int(naming.sum())])
        order = np.argsort(row, kind="stable")
        row, is_ack = row[order], is_ack[order]
        series = np.where(is_ack, ack[row], seq[row])
        unwrapped = unwrap(series, trusted[row] & ((flags[row] & SYN) == 0))
        seq[row[~is_ack]] = unwrapped[~is_ack]
        ack[row[is_ack]] = unwrapped[is_ack]


def unwrap(numbers: NDArray[np.int64], trusted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Extend 32-bit relative numbers to 64 bits along a series that begins near 0.

    Each is placed nearest to the reference: the last trusted number that lay within `SAFE_SPAN` of the reference
    before it. So one absurd number changes nothing but itself.
    """
    reference, out = 0, np.empty(len(numbers), np.int64)
    for i, (number, is_trusted) in enumerate(zip(numbers.tolist(), trusted.tolist(), strict=True)):
        step = (number - reference + (1 << 31)) % (1 << 32) - (1 << 31)
        out[i] = reference + step
        if is_trusted and -SAFE_SPAN < step < SAFE_SPAN:
            reference += step
    return out
