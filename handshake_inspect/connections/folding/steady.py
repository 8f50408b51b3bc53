"""Folds the ordinary middle of a transfer as its segments arrive: most of a large capture is never stored.

In: the segments of a block, with their conversations; and the results of `compact` for conversations so far. Out: the
segments of the block that stay. The others are counted into the next one of their sender, as in `compact`.

Why it is exact. A conversation is *steady* when `compact` has settled the opening of its last connection, the last row
of each end is ordinary, and there is no FIN or RST, and nothing that the next row could still answer. Whether a row is
ordinary then depends on only four numbers: the next SEG.SEQ of each end, and its highest SEG.ACK. A row is *regular* if
it continues both: then these maxima are again those of the end's last row. The first row that is not regular ends the
steady state: it and all rows after it are kept until `compact` has examined them. A regular row is ordinary by the
criteria of `compact`, here a little stricter, never laxer: an acknowledgment equal to the one before it may be a copy,
and stays until all of its conversation decides.

Rows to fold are also chosen as in `compact`, except that the beginning of a block is another barrier. More barriers are
never wrong: each keeps both maxima unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.conversations import conversation_order
from handshake_inspect.connections.folding.compact import (
    STEP_BITS,
    FoldedRows,
    is_plain,
    latest_of_each_side,
    may_copy_another_connection,
    witnesses,
)
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.splitting.rows import FIN, RST, SYN
from handshake_inspect.connections.splitting.split import StoredRows, first_of, last_of
from handshake_inspect.connections.splitting.unwrapping import SAFE_SPAN
from handshake_inspect.sets import first_of_runs, set_of
from handshake_inspect.table import Table, grown


class Ends(Table):
    """The state of the ends of steady conversations: for each the lower socket, then the higher one."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "next_seq": np.uint32,  # SEG.SEQ of the next segment in order
        "ack": np.uint32,  # the highest SEG.ACK
        "ordinary": np.bool_,  # is its last row, but for the one before that
        "has_acknowledged": np.bool_,  # has sent segments without data, and with data
        "has_data": np.bool_,
    }


class SteadyTransfers:
    """The conversations of a run that are in the middle of a transfer."""

    def __init__(self) -> None:
        #: The place of each conversation, 0 if it has none: only long ones do.
        self._place = np.zeros(0, np.int32)
        #: Is the conversation of each place steady?
        self._is_steady = np.zeros(1, np.bool_)
        self._ends = Ends.empty(2)

    def learn(self, compacted: FoldedRows) -> None:
        """Update the steady conversations by the results of `compact`."""
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

        Rows not older than `copies_within_ns` stay, as for `compact`: copies of them may still come.
        """
        if not self._is_steady.any():
            return columns
        self._make_room(columns["conversation"])
        place = self._place.take(columns["conversation"])
        steady = self._is_steady.take(place)
        at = np.flatnonzero(steady)
        if not len(at):
            return columns
        course = _Course(columns, at, place.take(at), self._ends)
        regular, last = self._regular(course)
        alone, ordinary = self._ordinary(course, regular)
        foldable = ordinary & course.acknowledged(last)
        if copies_within_ns:
            foldable &= course.is_single(columns["time_ns"], copies_within_ns, single_until_ns)
            foldable[course.last_of_capture(columns["capture"])] = False
        foldable &= ~witnesses(course.peer, foldable)
        for name, values in (("next_seq", course.seq_end), ("ack", course.ack), ("ordinary", alone)):
            self._ends[name][course.ends] = values[last]
        return _kept(columns, np.flatnonzero(~steady), course, ordinary, foldable)

    def _regular(self, course: _Course) -> tuple[Mask, Rows]:
        """Mark the rows before the first one of each conversation that is not regular, which ends its steady state.

        Also returns the last marked row of each end.
        """
        regular = course.regular()
        irregular = first_of(course.group, ~regular, len(course.places))
        left = irregular >= 0
        until = np.where(left, irregular, course.stop)
        if left.any():
            self._is_steady[course.places[left]] = False
            regular = np.arange(len(regular)) < until.take(course.group)
        return regular, course.last_before(until)

    def _ordinary(self, course: _Course, regular: Mask) -> tuple[Mask, Mask]:
        """Mark the ordinary rows: those ordinary by themselves, and those that also follow one of their end."""
        alone = regular & ~course.is_before & (course.window != 0) & ~course.repeats()
        # The first data, and the first pure acknowledgment.
        for name, mask in (("has_data", course.payload > 0), ("has_acknowledged", course.payload == 0)):
            seen = self._ends[name][course.ends]
            first = first_of(course.end, alone & mask & ~seen.take(course.end), len(seen))
            alone[first[first >= 0]] = False
            self._ends[name][course.ends] = seen | (first >= 0)
        alone |= course.was_ordinary
        return alone, alone & alone.take(course.own) & ~course.steps_over() & ~course.is_before


class _Course:
    """The rows of steady conversations in a block, by conversation and capture order.

    Two rows before those of a conversation hold the earlier state of its ends.
    """

    def __init__(self, columns: Mapping[str, Column], at: Rows, place: Column, ends: Ends) -> None:
        order = conversation_order(place)
        place, at = place.take(order), at.take(order)
        begins = first_of_runs(place)
        rows, groups = np.diff(begins, append=len(at)) + 2, np.arange(len(begins))
        before = _each_and_next(begins + 2 * groups)
        #: The place of each conversation, those of its ends, and the end of its rows here.
        self.places = place[begins]
        self.ends = _each_and_next(2 * self.places.astype(np.int64))
        self.stop = np.cumsum(rows)
        self.is_before, self.was_ordinary = np.zeros((2, len(at) + len(before)), np.bool_)
        self.is_before[before], self.was_ordinary[before] = True, ends["ordinary"][self.ends]
        #: Row of the block; for the two state rows, the row that they precede.
        self.row = np.empty(len(self.is_before), np.int64)
        self.row[~self.is_before], self.row[before] = at, np.repeat(at[begins], 2)

        def lined_up(name: str, value_before: Column | int) -> Column:
            column = columns[name].take(self.row)
            column[before] = value_before
            return column

        self.side = lined_up("from_higher", self.ends & 1)
        #: Index of the conversation, and of its end.
        self.group = np.repeat(groups, rows)
        self.end = 2 * self.group + self.side
        self.seq = lined_up("seq", ends["next_seq"][self.ends])
        self.ack = lined_up("ack", ends["ack"][self.ends])
        self.flags, self.window, self.payload = (lined_up(name, 0) for name in ("flags", "window", "payload_octets"))
        #: Modulo 2**32, as SEG.SEQ.
        self.seq_end = self.seq + self.payload
        #: The latest row of the other end, and of the same end, before each row.
        self.peer, self.own = latest_of_each_side(self.side)
        self.own_ack = self.ack.take(self.own)

    def last_before(self, until: Rows) -> Rows:
        """Return the last row of each end before one row of each conversation."""
        last = np.empty((len(until), 2), np.int64)
        groups, row = np.arange(len(until)), until - 1
        last[groups, self.side[row]], last[groups, 1 - self.side[row]] = row, self.peer[row]
        return last.reshape(-1)

    def regular(self) -> Mask:
        """Mark the rows that continue both directions exactly.

        Numbers are compared modulo 2**32, and no two that are compared lie as far as 2**30 apart.
        """
        regular = is_plain(self.flags) & (self.seq == self.seq_end.take(self.own))
        peer_ack, peer_sent = self.ack.take(self.peer), self.seq_end.take(self.peer)
        for later, earlier in ((self.ack, self.own_ack), (peer_sent, self.ack), (self.seq_end, peer_ack)):
            regular &= later - earlier < SAFE_SPAN
        regular |= self.is_before
        found: Mask = regular
        return found

    def repeats(self) -> Mask:
        """Mark acknowledgments equal to the row before of their end, as copies are."""
        repeats: Mask = (self.payload == 0) & (self.payload.take(self.own) == 0) & (self.ack == self.own_ack)
        return repeats

    def steps_over(self) -> Mask:
        """Mark the rows in which a number enters the next range of 2**STEP_BITS."""
        over: Mask = (self.seq ^ self.seq_end) >> STEP_BITS != 0
        over |= (self.ack ^ self.own_ack) >> STEP_BITS != 0
        return over

    def acknowledged(self, last: Rows) -> Mask:
        """Mark the rows whose end the peer has acknowledged; `last`: the last regular row of each end."""
        by_peer = self.ack[last][np.arange(len(last)) ^ 1]
        acknowledged: Mask = by_peer.take(self.end) - self.seq_end < SAFE_SPAN
        return acknowledged

    def folded_into(self, folded: Mask) -> tuple[Rows, Rows, Rows]:
        """Return the rows of the block that are not folded, and the rows and octets folded into each.

        These are the rows of its end right before it: after each folded row there is one of its end that is not folded.
        """
        by_side = np.concatenate([np.flatnonzero(self.side == side) for side in (0, 1)])
        stay = np.flatnonzero(~folded.take(by_side))
        own = by_side.take(stay)
        segments = np.diff(stay, prepend=-1) - 1
        until = np.cumsum(self.payload.take(by_side), dtype=np.int64).take(stay)
        octets = np.diff(until, prepend=0) - self.payload.take(own)
        of_block = np.flatnonzero(~self.is_before.take(own))
        return own[of_block], segments[of_block], octets[of_block]

    def last_of_capture(self, capture: Column) -> Rows:
        """Return the rows after which the end continues in another capture: each capture's last row is needed.

        `capture` is that of each row of the block.
        """
        capture = capture.take(self.row)
        last: Rows = self.own.take(np.flatnonzero(capture != capture.take(self.own)))
        return last

    def is_single(self, time_ns: Column, copies_within_ns: int, single_until_ns: int) -> Mask:
        """Mark the rows of which no copy can come any more; `time_ns` is that of each row of the block."""
        time_ns = time_ns.take(self.row)
        latest_ns = np.maximum.reduceat(time_ns, np.append(0, self.stop[:-1]))
        single: Mask = np.maximum(latest_ns - copies_within_ns, single_until_ns).take(self.group) >= time_ns
        return single


def _each_and_next(numbers: Rows) -> Rows:
    return np.stack([numbers, numbers + 1], axis=1).reshape(-1)


def _kept(
    columns: Mapping[str, Column], others: Rows, course: _Course, ordinary: Mask, folded: Mask
) -> Mapping[str, Column]:
    """Return the rows of a block without the folded ones, which are counted in others.

    `others`: the rows of conversations that are not steady.
    """
    own, segments, octets = course.folded_into(folded)
    rows = np.sort(np.append(others, course.row[own]))
    place = np.searchsorted(rows, course.row[own])
    kept = {name: column.take(rows) for name, column in columns.items()}
    for name, values in (("ordinary", ordinary.take(own)), ("folded_segments", segments), ("folded_octets", octets)):
        kept[name] = np.zeros(len(rows), StoredRows.DTYPES[name])
        kept[name][place] = values
    kept["shown_each"] = (kept["folded_segments"] > 0).view(np.uint8)
    return kept


def _steady_ends(compacted: FoldedRows) -> tuple[Rows, Ends]:
    """Return the steady conversations, and the state of their ends."""
    part, stored, rows = compacted.part, compacted.stored, compacted.part.rows
    conversation = part.conversation
    everything = np.ones(len(rows), np.bool_)
    last = last_of(rows.end, everything, 2 * rows.connections).reshape(-1, 2)
    # The last connection of each conversation, if both of its ends have rows.
    conn = np.flatnonzero(np.append(conversation[1:] != conversation[:-1], True)[: len(conversation)])
    conn = conn[(last[conn] >= 0).all(axis=1) & ~rows.self_connect[conn]]
    conn = conn[~may_copy_another_connection(part)[rows.start[conn + 1] - 1]]
    odd = np.bincount(rows.conn, ((rows.flags & (FIN | RST)) != 0) | compacted.doubled, rows.connections)
    conn = conn[(odd[conn] == 0) & compacted.ordinary[last[conn]].all(axis=1)]
    # The role of a SYN, or of its answer, may still depend on the next rows.
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


def _in_step(compacted: FoldedRows, conn: Rows, last: Rows) -> Mask:
    """Mark the connections whose last rows of the ends, which are ordinary, have the highest numbers of these.

    `last`: those rows of the originator and the responder. Shape (k, 2).
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
