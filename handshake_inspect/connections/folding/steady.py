"""Folds the ordinary middle of a transfer as its segments arrive: most of a large capture is never stored.

In: the segments of a block, with their conversations; and the results of `compact` for conversations so far. Out: the
segments of the block that stay. The others are counted into the next one of their sender, as in `compact`.

Why it is exact. A conversation is *steady* when `compact` has settled the opening of its last connection, and there is
no FIN or RST. Whether a row is ordinary then depends on eight numbers: for each end the one after the highest sent, the
highest SEG.ACK, the highest that counts, and the last one sent after a hole. A row is *regular* if it is of the middle
of a connection and its numbers are near these. A regular row *goes on* if it continues both directions, no hole is
open, and nothing was acknowledged that was not captured; then it is ordinary by the criteria of `compact`, here a
little stricter: an acknowledgment equal to the one before it may be a copy, and stays until all of its conversation
decides. (Only the peer's answer to an end's first data need not stay here: without an RST or a SYN before, it tells
nothing.) A segment that was lost, sent again or overtaken does not go on. It stays, and only counts for these numbers.
The first row that is not regular ends the steady state: it and all rows after it are kept until `compact` has examined
them.

If several captures may have a segment, all rows that do not go on end the steady state: they may be copies.

Rows to fold are also chosen as in `compact`, except that the beginning of a block is another barrier. More barriers are
never wrong: each keeps both maxima unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.folding.compact import (
    FoldedRows,
    Progress,
    may_copy_another_connection,
    witnesses,
)
from handshake_inspect.connections.folding.course import Course, Ends
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.splitting.rows import FIN, RST, SYN, UNKNOWN, ConnectionRows
from handshake_inspect.connections.splitting.split import StoredRows, first_of, last_of
from handshake_inspect.connections.splitting.unwrapping import SAFE_SPAN
from handshake_inspect.sets import set_of
from handshake_inspect.table import grown


class SteadyTransfers:
    """The conversations of a run that are in the middle of a transfer."""

    def __init__(self) -> None:
        #: The place of each conversation, 0 if it has none: only long ones do.
        self._place = np.zeros(0, np.int32)
        #: Is the conversation of each place steady?
        self._is_steady = np.zeros(1, np.bool_)
        self._ends = Ends.empty(2)
        #: Of the rows last folded, the share that stayed only because their acknowledgment has not come yet.
        self.share_under_way = 0.0

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
        self.share_under_way = 0.0
        if not self._is_steady.any():
            return columns
        self._make_room(columns["conversation"])
        place = self._place.take(columns["conversation"])
        steady = self._is_steady.take(place)
        at = np.flatnonzero(steady)
        if not len(at):
            return columns
        course = Course(columns, at, place.take(at), self._ends)
        # Where copies may come, what does not go on may be one, which all of its conversation decides.
        regular = course.regular & course.goes_on if copies_within_ns else course.regular
        regular, last = self._until_irregular(course, regular)
        alone, ordinary = self._ordinary(course, regular)
        foldable = ordinary & course.acknowledged(last)
        self.share_under_way = (np.count_nonzero(ordinary) - np.count_nonzero(foldable)) / len(ordinary)
        if copies_within_ns:
            foldable &= course.is_single(columns["time_ns"], copies_within_ns, single_until_ns)
            foldable[course.last_of_capture(columns["capture"])] = False
        foldable &= ~witnesses(course.peer, foldable)
        for name, values in (course.reached(last) | {"ordinary": alone[last]}).items():
            self._ends[name][course.ends] = values
        return _kept(columns, np.flatnonzero(~steady), course, ordinary, foldable)

    def _until_irregular(self, course: Course, regular: Mask) -> tuple[Mask, Rows]:
        """Mark the rows before the first one of each conversation that is not regular, which ends its steady state.

        Also returns the last marked row of each end.
        """
        irregular = first_of(course.group, ~regular, len(course.places))
        left = irregular >= 0
        until = np.where(left, irregular, course.stop)
        self._is_steady[course.places[left]] = False
        before = np.arange(len(regular)) < until.take(course.group) if left.any() else regular
        return before, course.last_before(until)

    def _ordinary(self, course: Course, regular: Mask) -> tuple[Mask, Mask]:
        """Mark the ordinary rows: those ordinary by themselves, and those that also follow one of their end."""
        alone = regular & course.goes_on & ~course.is_before & (course.window != 0) & ~course.repeats()
        # The first data, and the first pure acknowledgment.
        for name, mask in (("has_data", course.payload > 0), ("has_acknowledged", course.payload == 0)):
            seen = self._ends[name][course.ends]
            first = first_of(course.end, alone & mask & ~seen.take(course.end), len(seen))
            alone[first[first >= 0]] = False
            self._ends[name][course.ends] = seen | (first >= 0)
        alone |= course.was_ordinary
        return alone, alone & alone.take(course.own) & ~course.steps_over() & ~course.is_before


def _kept(
    columns: Mapping[str, Column], others: Rows, course: Course, ordinary: Mask, folded: Mask
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
    part, rows, progress = compacted.part, compacted.part.rows, compacted.progress
    conversation = part.conversation
    # The last connection of each conversation, if both of its ends have ordinary rows: then its opening is settled.
    conn = np.flatnonzero(np.append(conversation[1:] != conversation[:-1], True)[: len(conversation)])
    # What comes first after a SYN, though it changed nothing, tells what came of it.
    syn = last_of(rows.conn, (rows.flags & SYN) != 0, rows.connections)
    since = np.arange(len(rows)) > syn[rows.conn]
    ordinary, acknowledged, data = (
        np.bincount(rows.end[mask], minlength=2 * rows.connections).reshape(-1, 2) > 0
        for mask in (
            compacted.ordinary,
            since & compacted.plain & (rows.payload == 0),
            since & compacted.ordinary & (rows.payload > 0),
        )
    )
    conn = conn[ordinary[conn].all(axis=1) & ~rows.self_connect[conn]]
    conn = conn[~may_copy_another_connection(part)[rows.start[conn + 1] - 1]]
    odd = ((rows.flags & (FIN | RST)) != 0) | compacted.doubled
    odd[_leaps(rows, np.flatnonzero(compacted.plain))] = True
    conn = conn[np.bincount(rows.conn, odd, rows.connections)[conn] == 0]
    # The role of a SYN, or of its answer, may still depend on the next rows.
    last = last_of(rows.end, np.ones(len(rows), np.bool_), 2 * rows.connections).reshape(-1, 2)
    conn = conn[last[conn].min(axis=1, initial=len(rows)) > syn[conn]]
    conn = conn[_acknowledges_what_was_captured(progress, rows.start[conn + 1] - 1)]
    # Numbers of the wire, by lower and higher socket.
    conn, side = np.repeat(conn, 2), (np.arange(2 * len(conn)) + np.repeat(part.originator_is_higher[conn], 2)) % 2
    own, at = last[conn, side], rows.start[conn + 1] - 1

    def of_wire(name: str, numbers: Rows) -> Column:
        ahead: Rows = numbers - getattr(rows, name)[own]
        return compacted.stored[name][own] + ahead.astype(np.uint32)

    sent, highest_ack, skipped_to, by_peer = (
        np.stack(both)[of, at]
        for both, of in (
            (progress.sent, side),
            (progress.acknowledged, side),
            (progress.skipped_to, side),
            (progress.acknowledged, 1 - side),
        )
    )
    return conversation[conn[::2]], Ends(
        {
            "next_seq": of_wire("seq", sent),
            "ack": of_wire("ack", highest_ack),
            "counted": of_wire("ack", highest_ack),
            "skipped_to": of_wire("seq", np.maximum(skipped_to, by_peer)),
            "ordinary": compacted.ordinary[own],
            "has_acknowledged": acknowledged[conn, side],
            "has_data": data[conn, side],
        }
    )


def _leaps(rows: ConnectionRows, plain: Rows) -> Rows:
    """Return the plain rows with a number so far from that of the row before of their end that it may be absurd.

    `unwrapping` decides that by all numbers of the connection; here they are only compared with their neighbours.
    """
    behind = plain[np.argsort(rows.end[plain], kind="stable")]
    before, behind = behind[:-1], behind[1:]
    leaps = np.zeros(len(behind), np.bool_)
    for numbers in (rows.seq, rows.ack):
        leaps |= np.abs(numbers[behind] - numbers[before]) >= SAFE_SPAN
    found: Rows = behind[leaps & (rows.end[behind] == rows.end[before])]
    return found


def _acknowledges_what_was_captured(progress: Progress, at: Rows) -> Mask:
    """Mark the connections whose ends have acknowledged nothing but what was captured. `at`: the last row of each."""
    found = np.ones(len(at), np.bool_)
    for side in (0, 1):
        sent_by_peer, highest = progress.sent[1 - side][at], progress.acknowledged[side][at]
        found &= (progress.counted[side][at] == highest) & (highest > UNKNOWN)
        found &= (highest <= sent_by_peer) & (sent_by_peer - highest < SAFE_SPAN)
    return found
