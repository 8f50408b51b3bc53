"""The engine for a capture that does not end: connections that are over are released, in rounds worth their cost.

In: the same blocks. Out: the same answers about the connections held, each with a permanent number, and `LetGo`, the
counts of those released; a callback may receive these. `retention` says which ones may be released.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from handshake_inspect.arrays import NO_ROWS, Mask, Rows
from handshake_inspect.connections.analysis import Analysis
from handshake_inspect.connections.copies.packets import CopyEvidence
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.deciding.answers import Verdicts, VerdictTable
from handshake_inspect.connections.endless.attendance import Attendance
from handshake_inspect.connections.endless.looks import MOST_ROWS, LookTable, looks_of, who_leaves
from handshake_inspect.connections.endless.parts import GoneParts, LookedAtPart, groups_of
from handshake_inspect.connections.endless.retention import LetGo, Retention, count_leaving
from handshake_inspect.connections.endless.run_clock import RunClock
from handshake_inspect.connections.endless.streams import Streams
from handshake_inspect.connections.folding.duplicates import CollapsedRows
from handshake_inspect.connections.folding.gather import GatheredRows, distinct_numbers
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.offered import OfferedOptions
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.splitting.split import StoredRows, first_of, split
from handshake_inspect.pairs import KeyTable
from handshake_inspect.sets import begins_run, without
from handshake_inspect.table import IcmpErrorTable, Names, SegmentTable, frame_numbers, grown
from handshake_inspect.tcp.time_wait import Profile

#: Called with released connections: the decided part of whole conversations, and the rows of its verdicts.
Tell = Callable[[DecidedPart, Rows], None]

#: Rows of long connections that start folding: followed ones are described with every block.
FOLLOWED_ROWS = 1 << 13
#: Rows per connection to keep from which on the connections are counted.
ROWS_OF_ONE = 16
#: Most distinct option lists kept without a search for unused ones: keys of MPTCP and cookies of Fast Open all differ.
MOST_OPTIONS = 1 << 12


class EndlessAnalysis(Analysis):
    """An `Analysis` that releases connections.

    `tell` is called with those released: the decided part, and their rows of the verdicts. Without it the segments are
    followed as they arrive, and each connection gets its number with its first segment.
    """

    def __init__(self, names: Names, leaving: Retention, clock: RunClock, tell: Tell | None = None) -> None:
        # When segments are followed, none are folded on arrival: they are described first.
        super().__init__(names, gathering=GatheredRows() if tell else GatheredRows(fold=False, fold_rows=FOLLOWED_ROWS))
        self.leaving = leaving
        self.let_go = LetGo(told=tell is not None)
        self._tell = tell
        self._attendance = Attendance(clock)
        self._streams = Streams()
        #: Mask of conversations with rows not examined yet for new connections, and the count of these rows.
        self._touched = np.zeros(0, np.bool_)
        self._touching_rows = 0
        #: Frame of the first segment held of each conversation; 0 for a free number.
        self._begins = np.zeros(0, np.int64)
        self._rows_since_round = 0
        #: Count of option lists at which unused ones are searched for; and the segments decoded but not added yet,
        #: which use some.
        self._many_options = MOST_OPTIONS
        self.waiting: Callable[[], Sequence[SegmentTable]] = tuple
        #: Can the captures be read again? Then connections that must be read again because of folding are not released.
        self.can_be_read_again = False
        #: Returns the lanes of captures, as far as known (`capture.merge.lanes_of`).
        self.lanes: Callable[[], Rows | None] = lambda: None

    def add(self, segments: SegmentTable, icmp_errors: IcmpErrorTable) -> tuple[Rows, Rows]:
        """Add a block. Returns the conversation of each segment, and of each ICMP error about TCP."""
        found = self.gathering.add(segments), self.quotes.add(icmp_errors, self.gathering.conversations)
        for numbers in found:
            self._attendance.hear(*distinct_numbers(numbers, len(self.gathering.conversations)))
        if len(segments):
            self._note_beginnings(found[0], segments)
            self._touched = grown(self._touched, len(self.gathering.conversations))
            self._touched[found[0]] = True
            self._touching_rows += len(segments)
        self._rows_since_round += len(segments) + len(icmp_errors)
        return found

    def connections(self, verdicts: Verdicts, captures: list[str], profile: Profile) -> Connections:
        """Make connections from verdicts, with their permanent numbers."""
        self._number_touched()
        numbers = self.numbers_of(verdicts.table)
        # A copy, as numbers of conversations may be reused later.
        keys = KeyTable({name: column.copy() for name, column in self.keys.columns.items()})
        return Connections(verdicts, keys, self.names, captures, profile, numbers)

    def numbers_of(self, table: VerdictTable) -> Rows:
        """Return the permanent number of each of these connections."""
        frames = frame_numbers(table["first_capture"], table["first_frame"])
        return self._streams.number(frames, table["first_ns"], table["conversation"])

    @property
    def has_more_than_kept(self) -> bool:
        """Are there more connections than are kept? Then those that are over are released in the next round."""
        return self._attendance.held + self.let_go.connections > self.leaving.keep

    def _number_touched(self) -> None:
        """Number the connections that began since the last call."""
        touched = np.flatnonzero(self._touched)
        if not len(touched):
            return
        self._touched[:], self._touching_rows = False, 0
        frames, times, conversations = [NO_ROWS], [NO_ROWS], [NO_ROWS]
        for _, _, collapsed in self.gathering.looks(touched):
            stored = collapsed.rows
            begins = split(stored, self.gathering.conversations.is_self).rows.start[:-1]
            frames.append(frame_numbers(stored["capture"][begins], stored["frame"][begins]))
            times.append(stored["time_ns"][begins])
            conversations.append(stored["conversation"][begins])
        self._streams.number(*map(np.concatenate, (frames, times, conversations)))

    def replace(self, conversations: Rows, rows: StoredRows) -> None:
        """Replace the rows of some conversations; rows before the first one held belong to released connections."""
        rows = rows.take(np.argsort(rows["conversation"], kind="stable"))
        begins = begins_run(rows["conversation"]) & ~self._is_first(rows)
        has_left = np.isin(rows["conversation"], rows["conversation"][begins])
        # Copies of released segments may come after rows that are held.
        held = self.gathering.collapse(rows.take(has_left)).rows
        first = first_of(held["conversation"], self._is_first(held), len(self._begins))
        held = held.take(np.arange(len(held)) >= first[held["conversation"]])
        super().replace(conversations, StoredRows.concatenate([rows.take(~has_left), held]))

    def _is_first(self, rows: StoredRows) -> Mask:
        """Mark the first segments of conversations, unless these were released."""
        first: Mask = frame_numbers(rows["capture"], rows["frame"]) == self._begins[rows["conversation"]]
        return first

    def _note_beginnings(self, numbers: Rows, segments: SegmentTable) -> None:
        """Store the first segment of new conversations; `numbers`: the conversation of each segment."""
        if len(self._begins) < len(self.gathering.conversations):
            self._begins = grown(self._begins, len(self.gathering.conversations))
        new = np.flatnonzero(self._begins[numbers] == 0)[::-1]  # the last assignment wins
        self._begins[numbers[new]] = frame_numbers(segments["capture"][new], segments["frame"][new])

    def go_on(self) -> None:
        """Release connections and fold rows where possible; call it after each described block. Seldom costs time."""
        self.gathering.fold_long()
        if self._tell is None and self._touching_rows >= self.leaving.round_rows:
            self._number_touched()
        rows = len(self.gathering)
        if self._rows_since_round < max(self.leaving.round_rows, rows // self.leaving.round_share):
            return
        self._rows_since_round = 0
        if self._attendance.held > self.leaving.keep or rows > ROWS_OF_ONE * self.leaving.keep:
            self._round()
        if len(self.names.options) > self._many_options:
            self.names.options = self.gathering.renumber_options(self.names.options, self.waiting())
            self.offered = OfferedOptions()
            self._many_options = max(MOST_OPTIONS, 2 * len(self.names.options))

    def _round(self) -> None:
        """Check the conversations that are due, and release the connections that may be."""
        self._number_touched()
        self.follow(self.lanes())
        attendance, leaving = self._attendance, self.leaving
        most_rows = max(leaving.look_rows, len(self.gathering) // (2 * leaving.round_share))
        is_full = leaving.most is not None and attendance.held > leaving.most
        quiet_ns = None if is_full else leaving.least_quiet_ns
        due, more = attendance.due(quiet_ns, attendance.held - leaving.keep, most_rows)
        parts = self._looks(due)
        looks = LookTable.concatenate(part.looks for part in parts)
        attendance.looked(looks)
        if is_full:
            looks.columns["quiet_ns"] = np.zeros(len(looks), np.int64)
        leaves = who_leaves(looks, attendance.heard(looks), attendance.now_ns, attendance.held - self.leaving.keep)
        gone = GoneParts()
        # The others have only ICMP errors.
        gone.conversations.append(without(due, looks["conversation"]))
        at = 0
        for part in parts:
            mine, at = leaves[at : at + len(part.looks)], at + len(part.looks)
            if mine.any():
                gone.add(part, mine)
                count_leaving(self.let_go, part.verdicts, part.rows_of(mine), mine)
                if self._tell is not None:
                    self._tell(part.decided, np.flatnonzero(mine))
        attendance.left(looks.take(leaves))
        self._discard(gone)
        if more:
            self._rows_since_round = len(self.gathering)  # go on with the next block

    def _looks(self, due: Rows) -> list[LookedAtPart]:
        """Decide these conversations; again, if all together decide about copies where one was too short."""
        parts, shown = [self._look(*one) for one in self.gathering.looks(due)], CopyEvidence()
        for part in parts:
            shown += part.collapsed.evidence
        return [self._look(*one) for one in self.gathering.looks(due)] if self.gathering.trust(shown) else parts

    def _look(self, places: Rows, rows: StoredRows, collapsed: CollapsedRows) -> LookedAtPart:
        stored = collapsed.rows
        decided = self.decide(stored)
        size = np.bincount(groups_of(rows["conversation"]))
        changed = size != np.bincount(groups_of(stored["conversation"]))
        looks = looks_of(decided.verdicts, decided.part, stored, self.leaving)
        if self.can_be_read_again:
            looks.hold(self.gathering.misjudged_in(_folded(rows)))
        return LookedAtPart(places, size, changed, collapsed, decided, looks)

    def _discard(self, gone: GoneParts) -> None:
        conversations = np.concatenate(gone.conversations)
        if self.quotes:
            is_gone = np.zeros(len(self.gathering.conversations), np.bool_)
            is_gone[conversations] = True
            errors = QuoteTable.concatenate(gone.errors)
            let_go = self.quotes.let_go(is_gone, errors, self.gathering.conversations)
            self.let_go.icmp_errors += len(errors)
            self.let_go.unmatched_errors += let_go - len(errors)
        self._attendance.forget(conversations)
        self._begins[conversations] = 0
        frames, of = map(np.concatenate, zip((NO_ROWS, NO_ROWS), *gone.frames_left, strict=True))
        self._begins[of[::-1]] = frames[::-1]  # the last assignment wins
        self._streams.keep(np.concatenate([NO_ROWS, *gone.fewer]), frames)
        places, kept = np.concatenate([NO_ROWS, *gone.places]), StoredRows.concatenate(gone.kept)
        self.gathering.discard(places, kept, conversations, gone.shown)


def _folded(rows: StoredRows) -> StoredRows:
    """Return the rows of conversations with folded rows, which take little memory."""
    conversation = rows["conversation"]
    size = np.bincount(groups_of(conversation))
    few = np.repeat(size <= MOST_ROWS, size)
    return rows.take(few & np.isin(conversation, conversation[rows["folded_segments"] > 0]))
