"""Keeps the rows of a run until it is known what they mean, and hands them out by conversation.

In: `SegmentTable` blocks as they are decoded. Out: partitions, the sorted rows of a range of whole conversations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import NO_ROWS, Column
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.copies.copies import by_capture
from handshake_inspect.connections.copies.packets import CopyEvidence, capture_of, shown_in
from handshake_inspect.connections.folding.compact import compact
from handshake_inspect.connections.folding.duplicates import CollapsedRows, collapse
from handshake_inspect.connections.folding.judged import misjudged
from handshake_inspect.connections.folding.pool import Pool, Range
from handshake_inspect.connections.folding.steady import SteadyTransfers
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.pairs import keys_of
from handshake_inspect.sets import set_of
from handshake_inspect.table import OptionLists, SegmentTable, grown

#: Rows of long conversations that are worth a pass of `compact`, and how many rows make a conversation long. With twice
#: as many 20 M packets of long transfers take 10 MB more, and no less time.
FOLD_ROWS, LONG_ROWS = 1 << 14, 1 << 8
#: How many times the rows that could not be folded must come before they are looked at again. A million FINs at random
#: numbers take 3.2 us each, and with 1 they would 4.9.
STAYED_TIMES = 3


class GatheredRows:
    """The rows of all conversations seen so far."""

    def __init__(self, *, fold: bool = True, fold_rows: int = FOLD_ROWS, long_rows: int = LONG_ROWS) -> None:
        self.conversations = Conversations()
        self._pool = Pool()
        self._steady = SteadyTransfers()
        self._fold, self._fold_rows, self._long_rows = fold, fold_rows, long_rows
        #: Had the last partitions conversations too short to tell? And which captures tell for them?
        self._undecided = False
        self.trusted: frozenset[int] = frozenset()
        #: Captures that tell for a run of which these are a part.
        self._told: frozenset[int] = frozenset()
        #: What the last partitions showed.
        self.evidence = CopyEvidence()
        #: How long after a segment its copy may come; more than 0 if the run has several captures.
        self.copies_within_ns = 0
        #: But not after one of this time, or before: no other capture shows it.
        self.single_until_ns = EARLIEST_NS
        #: A number for each capture, equal for those that follow each other, once all are read.
        self.lanes: NDArray[np.int64] | None = None
        #: Rows of each conversation that have not been offered to `compact` yet, and how many those of long ones are.
        self._fresh = np.zeros(0, np.int32)
        self._fresh_long = 0
        #: Rows of each conversation that `compact` has left, if these were most.
        self._stayed = np.zeros(0, np.int32)
        #: Scenes of rows that were taken out as another capture has them too, and how many: they count as shown.
        self._elsewhere: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        #: What the rows showed that were let go.
        self._shown_before = CopyEvidence()
        #: Segments that each capture has shown, by its number.
        self._given: Counter[int] = Counter()

    def add(self, segments: SegmentTable) -> NDArray[np.int64]:
        """Add a block of segments. Returns the conversation of each."""
        keys, from_higher = keys_of(segments)
        numbers = self.conversations.number(keys)
        self._given += by_capture(segments["capture"], np.ones(len(segments), np.int64))
        columns: Mapping[str, Column] = segments.columns | {"conversation": numbers, "from_higher": from_higher}
        if self._fold:
            columns = self._steady.fold(columns, self.copies_within_ns, self.single_until_ns)
        self._pool.append(columns)
        self._count_fresh(columns["conversation"])
        if self._fold:
            self.fold_long()
        return numbers

    def _count_fresh(self, numbers: NDArray[np.int64]) -> None:
        if len(self._fresh) < len(self.conversations):
            self._fresh = grown(self._fresh, len(self.conversations))
            self._stayed = grown(self._stayed, len(self.conversations))
        distinct, count = distinct_numbers(numbers, len(self.conversations))
        before = self._fresh[distinct]
        after = before + count
        self._fresh[distinct] = after
        enough = self._enough(distinct)
        long = np.flatnonzero(after >= enough)
        self._fresh_long += int(np.where(before[long] >= enough[long], count[long], after[long]).sum())

    def _enough(self, numbers: NDArray[np.int64] | slice) -> NDArray[np.int32]:
        """Return how many rows make it worth while to try to fold each of these conversations.

        Where most could not be folded, the next try comes when several times as many rows are there: 1.3 tries in all.
        """
        enough: NDArray[np.int32] = np.maximum(STAYED_TIMES * self._stayed[numbers], self._long_rows)
        return enough

    def fold_long(self) -> None:
        """Fold the long conversations once they have brought enough rows."""
        if self._fresh_long < max(self._fold_rows, len(self._pool) // 16):
            return
        long = self._fresh[: len(self.conversations)] >= self._enough(slice(len(self.conversations)))
        self._stayed[: len(long)][long] = 0
        is_self = self.conversations.is_self
        for _, rows in self._pool.remove(long).by_conversation():
            collapsed = self.collapse(rows, go_on=True)
            if len(collapsed.elsewhere):
                self._elsewhere.append(np.unique(collapsed.elsewhere, return_counts=True))
            compacted = compact(
                collapsed,
                is_self,
                copies_within_ns=self.copies_within_ns,
                single_until_ns=self.single_until_ns,
            )
            self._pool.append(compacted.rows.columns)
            numbers, offered = distinct_numbers(rows["conversation"], len(long))
            left = np.bincount(compacted.rows["conversation"], minlength=len(long))[numbers]
            self._stayed[numbers] = np.where(left > offered // 2, left, 0)
            if self._fold:
                self._steady.learn(compacted)
        self._fresh[: len(long)][long] = 0
        self._fresh_long = 0

    def __len__(self) -> int:
        """How many rows are kept."""
        return len(self._pool)

    def adopt(
        self,
        rows: StoredRows,
        conversations: Conversations,
        trusted: frozenset[int] = frozenset(),
        lanes: NDArray[np.int64] | None = None,
    ) -> None:
        """Take the rows of conversations that were gathered elsewhere, in order; here are none yet.

        `trusted`: captures that are known, by all of the run, to show most segments more than once; `lanes`: a number
        for each, equal for those that follow each other.
        """
        self.conversations, self._told, self.lanes = conversations, trusted, lanes
        self._pool.append(rows.columns)

    def everything(self) -> StoredRows:
        """Return all rows as they are kept, copies among them, by conversation and capture order."""
        return self._pool.rows_of(np.ones(len(self.conversations), np.bool_))

    def rows_of(self, numbers: NDArray[np.int64]) -> StoredRows:
        """Return the rows of some conversations, sorted by conversation and capture order."""
        return self.collapse(self._pool.rows_of(self._marked(numbers))).rows

    def looks(self, numbers: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], StoredRows, CollapsedRows]]:
        """Yield some conversations, a range at a time: the places of their rows, the rows, and these without copies.

        The places hold until rows are added or discarded.
        """
        for places, rows in self._pool.by_conversation(self._marked(numbers)):
            yield places, rows, self.collapse(rows)

    def trust(self, shown: CopyEvidence) -> bool:
        """Say which captures show most segments twice, by what was let go and what some conversations have `shown`.

        Returns whether these conversations are to be looked at once more, now that this is known.
        """
        before = self.trusted
        self.trusted = (self._shown_before + shown).trusted()
        return bool(shown.undecided) and self.trusted != before

    def renumber_options(self, options: OptionLists, waiting: Sequence[SegmentTable]) -> OptionLists:
        """Give the option lists that stand in rows new numbers, also in rows that wait to be added.

        Returns them without the others.
        """
        names = ("options", "options_elsewhere")
        used = [*map(self._pool.distinct, names), *(table["options"] for table in waiting)]
        less, moved = options.only(set_of(np.concatenate(used)))
        for name in names:
            self._pool.renumber(name, moved)
        for table in waiting:
            table.columns["options"] = moved[table["options"]].astype(table["options"].dtype)
        return less

    def _marked(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        marked = np.zeros(len(self.conversations), np.bool_)
        marked[numbers] = True
        return marked

    def misjudged(self) -> NDArray[np.int64]:
        """Return the conversations that were folded in a belief about copies which all of their rows do not confirm."""
        said = [np.flatnonzero(self._pool.total(name)) for name in ("shown_each", "copies_elsewhere")]
        marked, found = self._marked(np.concatenate(said)), [NO_ROWS]
        for _, rows in self._pool.by_conversation(marked) if marked.any() else ():
            found.append(self.misjudged_in(rows))
        return np.concatenate(found)

    def misjudged_in(self, rows: StoredRows) -> NDArray[np.int64]:
        """Return those of the conversations of these rows, which are sorted by conversation and capture order."""
        return misjudged(rows, self.conversations.loopback, self.conversations.is_self, self.trusted, self.lanes)

    def replace(self, numbers: NDArray[np.int64], rows: StoredRows) -> None:
        """Take other rows of some conversations instead, in order."""
        marked = self._marked(numbers)
        self._pool.remove(marked)
        self._pool.append(rows.columns)
        self._elsewhere = [
            (scene[stays], count[stays]) for scene, count in self._elsewhere for stays in [~marked[shown_in(scene)]]
        ]

    def discard(
        self, places: NDArray[np.int64], kept: StoredRows, gone: NDArray[np.int64], evidence: CopyEvidence
    ) -> None:
        """Let rows go, by their places, and conversations, by their numbers; `kept` are rows without copies instead.

        All rows of the conversations of `kept` go. `evidence` is what the rows showed that are gone.
        """
        if len(places):
            self._pool.discard(places)
        self._pool.append(kept.columns)
        self._shown_before += evidence
        self._fresh[gone] = 0
        self._stayed[gone] = 0
        self.conversations.forget(gone)

    def ranges(self) -> list[Range]:
        """Return the partitions: ranges of whole conversations, of about as many rows each."""
        return self._pool.ranges()

    def begin(self) -> None:
        """Forget what the last partitions showed of copies: each is to be looked at by itself."""
        self.trusted = self._told

    def is_final(self, shown: CopyEvidence) -> bool:
        """Is it certain, by what some partitions have `shown`, that none has to be looked at again?"""
        return (self._shown_before + shown).rules_out(self._given)

    def let_go_before(self, conversation: int) -> None:
        """Let rows of earlier conversations go, those of whole blocks: nobody will ask for any of them again."""
        self._pool.let_go_before(conversation)

    def partition(self, which: Range) -> tuple[StoredRows, CopyEvidence]:
        """Return the rows of a range, sorted by conversation and capture order, and what these show of copies."""
        collapsed = self.collapse(self._pool.rows_in(which))
        return collapsed.rows, collapsed.evidence

    def conclude(self, shown: CopyEvidence) -> None:
        """Take what all partitions showed, once all of them were looked at."""
        self.evidence = self._shown_before + shown
        for scene, count in self._elsewhere:
            self.evidence.shown += by_capture(capture_of(scene), count)
        self.trusted, self._undecided = self.evidence.trusted(), bool(self.evidence.undecided)

    @property
    def look_different_together(self) -> bool:
        """Do all partitions together tell of copies what one of them was too short to tell?"""
        return self._undecided and bool(self.trusted)

    def reconsidered(self) -> Iterator[StoredRows]:
        """Return the partitions once more, without the copies that all of them together tell of."""
        return (self.partition(which)[0] for which in self.ranges())

    def collapse(self, rows: StoredRows, *, go_on: bool = False) -> CollapsedRows:
        """Collapse copies among these rows, by what is known of their captures. `go_on`: more of them may come."""
        lanes = None if go_on else self.lanes  # of what was folded before they were known `judged` tells
        return collapse(rows, self.conversations.loopback, self.trusted, go_on=go_on, lanes=lanes)


def distinct_numbers(numbers: NDArray[np.int64], known: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct ones among numbers below `known`, and how often each is there."""
    least, most = int(numbers.min(initial=known)), int(numbers.max(initial=0))
    if most - least > 8 * len(numbers):  # a small block of a long run
        distinct, count = np.unique(numbers, return_counts=True)
        return distinct, count
    count = np.bincount(numbers - least)
    distinct = np.flatnonzero(count)
    return distinct + least, count[distinct]
