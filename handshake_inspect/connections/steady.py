"""Folds the ordinary middle of a transfer as its segments come: most of a large capture is never kept at all.

In: the segments of a block, with their conversations; and what `compact` has found of conversations so far. Out: the
segments of the block that stay. Those that do not are counted into the next one of their sender, as in `compact`.

Why it is exact. A conversation is *steady* when `compact` has settled the opening of its last connection, the last row
of each end is ordinary, no FIN or RST is there, and nothing that the next row could still answer. What is ordinary then
needs no look at what came before, only four numbers: SEG.SEQ of what comes next of each end, and its highest SEG.ACK.
A row is *regular* if it continues both: then these maxima are those of its own last row again. The first row that is
not regular ends the steadiness: it and all behind it are kept, until `compact` has looked at them. Of the regular rows
those are ordinary that `compact` calls so. Here that is a little stricter, never laxer: an acknowledgment that repeats
the one before it may be a copy, and stays until all of its conversation tells.

What may go is chosen as in `compact` too, but that the beginning of a block is a barrier as well. More barriers are
never wrong: each keeps both maxima as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.connections.compact import STEP_BITS, Compacted, folded_into, is_plain, witnesses
from handshake_inspect.connections.conversations import conversation_order
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.rows import FIN, RST, SYN
from handshake_inspect.connections.split import StoredRows, first_of, last_of
from handshake_inspect.connections.unwrapping import SAFE_SPAN
from handshake_inspect.sets import set_of
from handshake_inspect.table import Column, Table, grown

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Ends(Table):
    """What the ends of steady conversations came to: of each the lower socket, then the higher one."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "next_seq": np.uint32,  # SEG.SEQ of what comes next
        "ack": np.uint32,  # the highest SEG.ACK
        "ordinary": np.bool_,  # is its last row, but for the one before that
        "has_acknowledged": np.bool_,  # has sent segments without data, and with data
        "has_data": np.bool_,
    }


class Steady:
    """The conversations of a run that are in the middle of a transfer."""

    def __init__(self) -> None:
        #: The place of each conversation, 0 if it has none: only long ones do.
        self._place = np.zeros(0, np.int32)
        #: Is the conversation of each place steady?
        self._is_steady = np.zeros(1, np.bool_)
        self._ends = Ends.empty(2)

    def learn(self, compacted: Compacted) -> None:
        """Note what `compact` has found."""
        steady, ends = _steady_ends(compacted)
        looked_at = set_of(compacted.part.conversation)
        self._make_room(looked_at)
        new = looked_at[self._place[looked_at] == 0]
        self._place[new] = len(self._is_steady) + np.arange(len(new))
        self._is_steady = np.append(self._is_steady, np.zeros(len(new), np.bool_))
        self._ends = Ends.concatenate([self._ends, Ends.empty(2 * len(new))])
        self._is_steady[self._place[looked_at]] = False
        self._is_steady[self._place[steady]] = True
        for name, column in self._ends.columns.items():
            column.reshape(-1, 2)[self._place[steady]] = ends[name].reshape(-1, 2)

    def _make_room(self, conversation: Column) -> None:
        count = int(conversation.max(initial=-1)) + 1
        if len(self._place) < count:
            self._place = grown(self._place, count)

    def fold(
        self, columns: Mapping[str, Column], copies_within_ns: int, single_until_ns: int = EARLIEST_NS
    ) -> Mapping[str, Column]:
        """Return the rows of a block that stay. `columns`: those of `StoredRows` that the block has.

        Copies of what is not older than `copies_within_ns` may still come, as for `compact`: it stays.
        """
        if not self._is_steady.any():
            return columns
        self._make_room(columns["conversation"])
        place = self._place[columns["conversation"]]
        at = np.flatnonzero(self._is_steady[place])
        if not len(at):
            return columns
        course = _Course(columns, at, place[at], self._ends)
        regular = self._regular(course)
        alone, ordinary = self._ordinary(course, regular)
        last = last_of(course.end, regular, len(self._ends))
        foldable = _foldable(course, ordinary, last, copies_within_ns, single_until_ns)
        foldable &= ~witnesses(course.side, foldable)
        ends = np.flatnonzero(last >= 0)
        for name, values in (("next_seq", course.seq_end), ("ack", course.ack), ("ordinary", alone)):
            self._ends[name][ends] = values[last[ends]]
        return _kept(columns, course, ordinary, foldable)

    def _regular(self, course: _Course) -> Mask:
        """Mark the rows up to the first of each conversation that does not continue it; that one is steady no more."""
        regular = course.regular()
        irregular = first_of(course.place, ~regular, len(self._is_steady))
        left = irregular >= 0
        if not left.any():
            return regular
        self._is_steady[left] = False
        before: Mask = np.arange(len(regular)) < np.where(left, irregular, len(regular))[course.place]
        return before

    def _ordinary(self, course: _Course, regular: Mask) -> tuple[Mask, Mask]:
        """Mark the ordinary rows: each for itself, and such that follow one of their end."""
        alone = course.is_before & course.was_ordinary
        alone |= regular & ~course.is_before & (course.window != 0) & ~course.repeats()
        # Firsts: of data, of pure acknowledgments.
        for name, mask in (("has_data", course.payload > 0), ("has_acknowledged", course.payload == 0)):
            seen = self._ends[name]
            new = alone & mask & ~course.is_before & ~seen[course.end]
            first = first_of(course.end, new, len(seen))
            alone[first[first >= 0]] = False
            seen |= first >= 0
        return alone, alone & alone[course.own] & ~course.steps_over() & ~course.is_before


class _Course:
    """The rows of steady conversations in a block, by conversation and capture order.

    Ahead of those of a conversation stand two rows that say what its ends had come to before.
    """

    def __init__(self, columns: Mapping[str, Column], at: Rows, place: Column, ends: Ends) -> None:
        places = np.flatnonzero(np.bincount(place))
        before = 2 * len(places)
        own: Rows = np.repeat(2 * places, 2) + np.tile([0, 1], len(places))
        order = conversation_order(np.append(np.repeat(places, 2), place))

        def lined_up(name: str, value_before: Column) -> Column:
            return np.concatenate([value_before.astype(columns[name].dtype, copy=False), columns[name][at]])[order]

        self.is_before = order < before
        #: Row of the block, -1 for those before.
        self.row = np.append(np.full(before, -1), at)[order]
        self.side = lined_up("from_higher", own & 1)
        self.place = np.append(np.repeat(places, 2), place)[order]
        self.end = 2 * self.place + self.side
        self.seq = lined_up("seq", ends["next_seq"][own])
        self.ack = lined_up("ack", ends["ack"][own])
        nothing = np.zeros(before, np.int64)
        self.flags = lined_up("flags", nothing)
        self.window = lined_up("window", nothing)
        self.payload = lined_up("payload_octets", nothing)
        self.time_ns = lined_up("time_ns", nothing)
        self.was_ordinary = np.append(ends["ordinary"][own], np.zeros(len(at), np.bool_))[order]
        #: Modulo 2**32, as SEG.SEQ.
        self.seq_end = self.seq + self.payload
        self.own, self.peer = self._latest()

    def _latest(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the row of the same end ahead of each row, and the latest one of the other end."""
        index = np.arange(len(self.side), dtype=np.int32)
        lower, higher = (np.maximum.accumulate(index * (self.side == s)) for s in (0, 1))
        own = np.zeros(len(index), np.int32)
        own[1:] = np.where(self.side[1:] == 0, lower[:-1], higher[:-1])
        return own, np.where(self.side == 0, higher, lower)

    def regular(self) -> Mask:
        """Mark the rows that continue both directions, each by what was exactly there before.

        Numbers are compared modulo 2**32, and no two that are compared lie as far as 2**30 apart.
        """
        regular = is_plain(self.flags) & (self.seq == self.seq_end[self.own])
        peer_ack, peer_sent = self.ack[self.peer], self.seq_end[self.peer]
        for later, earlier in ((self.ack, self.ack[self.own]), (peer_sent, self.ack), (self.seq_end, peer_ack)):
            regular &= later - earlier < SAFE_SPAN
        regular |= self.is_before
        found: Mask = regular
        return found

    def repeats(self) -> Mask:
        """Mark acknowledgments that say what the row before them of their end had said: copies look so too."""
        repeats: Mask = (self.payload == 0) & (self.payload[self.own] == 0) & (self.ack == self.ack[self.own])
        return repeats

    def steps_over(self) -> Mask:
        """Mark the rows in which a number goes over to the next range of 2**STEP_BITS."""
        over: Mask = (self.seq ^ self.seq_end) >> STEP_BITS != 0
        over |= (self.ack ^ self.ack[self.own]) >> STEP_BITS != 0
        return over


def _foldable(course: _Course, ordinary: Mask, last: Rows, copies_within_ns: int, single_until_ns: int) -> Mask:
    """Mark the ordinary rows whose end the peer has acknowledged; `last`: the last regular row of each end."""
    acknowledged = course.ack[last[course.end ^ 1]]
    foldable: Mask = ordinary & (acknowledged - course.seq_end < SAFE_SPAN)
    if copies_within_ns:
        latest = np.zeros(len(last) // 2, np.int64)
        np.maximum.at(latest, course.place, course.time_ns)
        foldable &= np.maximum(latest[course.place] - copies_within_ns, single_until_ns) >= course.time_ns
    return foldable


def _kept(columns: Mapping[str, Column], course: _Course, ordinary: Mask, folded: Mask) -> Mapping[str, Column]:
    """Return the rows of a block without those that are folded, these counted in others."""
    rows = len(columns["seq"])
    stays = np.ones(rows, np.bool_)
    stays[course.row[folded]] = False
    own = ~folded & ~course.is_before
    more: dict[str, Column] = {}
    for name, values in (
        ("ordinary", ordinary),
        ("folded_segments", folded_into(course.side, ~folded, np.ones(len(folded), np.int64))),
        ("folded_octets", folded_into(course.side, ~folded, course.payload.astype(np.int64))),
    ):
        more[name] = np.zeros(rows, StoredRows.DTYPES[name])
        more[name][course.row[own]] = values[own]
    more["shown_each"] = (more["folded_segments"] > 0).view(np.uint8)
    return {name: column[stays] for name, column in {**columns, **more}.items()}


def _steady_ends(compacted: Compacted) -> tuple[Rows, Ends]:
    """Return the conversations that are steady, and what their ends came to."""
    part, stored, rows = compacted.part, compacted.stored, compacted.part.rows
    conversation = part.conversation
    everything = np.ones(len(rows), np.bool_)
    last = last_of(rows.end, everything, 2 * rows.connections).reshape(-1, 2)
    # The last connection of each conversation, if both of its ends are there.
    conn = np.flatnonzero(np.append(conversation[1:] != conversation[:-1], True)[: len(conversation)])
    conn = conn[(last[conn] >= 0).all(axis=1) & ~rows.self_connect[conn]]
    odd = np.bincount(rows.conn, ((rows.flags & (FIN | RST)) != 0) | compacted.doubled, rows.connections)
    conn = conn[(odd[conn] == 0) & compacted.ordinary[last[conn]].all(axis=1)]
    # A SYN, or what answers it, may still be told from what comes next.
    syn = last_of(rows.conn, (rows.flags & SYN) != 0, rows.connections)
    conn = conn[last[conn].min(axis=1, initial=len(rows)) > syn[conn]]
    conn = conn[_in_step(compacted, conn, last[conn])]
    own = last[conn[:, None], [[0, 1]] ^ part.originator_is_higher[conn, None]].reshape(-1)
    acknowledged, data = (
        np.bincount(rows.end[mask], minlength=2 * rows.connections)[rows.end[own]] > 0
        for mask in (compacted.plain & (rows.payload == 0), rows.payload > 0)
    )
    return conversation[conn], Ends(
        {
            "next_seq": stored["seq"][own] + stored["payload_octets"][own],
            "ack": stored["ack"][own],
            "ordinary": compacted.ordinary[own],
            "has_acknowledged": acknowledged,
            "has_data": data,
        }
    )


def _in_step(compacted: Compacted, conn: Rows, last: Rows) -> Mask:
    """Do the last rows of the ends of these connections, which are ordinary, have all of their highest numbers?

    `last`: of the originator and the responder. Shape (k, 2).
    """
    rows, progress = compacted.part.rows, compacted.progress
    at = rows.start[conn + 1] - 1
    in_step = np.ones(len(conn), np.bool_)
    for side in (0, 1):
        own, sent_by_peer = last[:, side], progress.sent[1 - side][at]
        in_step &= (rows.seq_end[own] == progress.sent[side][at]) & (rows.ack[own] == progress.acknowledged[side][at])
        in_step &= progress.counted[side][at] == rows.ack[own]
        in_step &= (progress.skipped_to[1 - side][at] <= rows.ack[own]) & (rows.ack[own] <= sent_by_peer)
        in_step &= sent_by_peer - rows.ack[own] < SAFE_SPAN
    return in_step
