"""Keeps the rows of a run until they can be decided, and returns them by conversation.

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
from handshake_inspect.connections.folding.pool import Pool, Range, behind_each_other
from handshake_inspect.connections.folding.steady import SteadyTransfers
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.pairs import keys_of
from handshake_inspect.sets import set_of
from handshake_inspect.table import OptionLists, SegmentTable, grown

#: Rows of long conversations that start a pass of `compact`, and the rows that make a conversation long. With twice as
#: many, 20 M packets of long transfers take 10 MB more, and no less time.
FOLD_ROWS, LONG_ROWS = 1 << 14, 1 << 8
#: Rows that could not be folded are tried again after this many times as many new rows. A million FINs with random
#: numbers take 3.2 us each, and would take 4.9 with 1.
STAYED_TIMES = 3
#: Blocks are folded together, up to so many rows, as long as of more than this share of the rows of a transfer the
#: acknowledgment comes in a later block: where a thousand transfers are captured at once, it always does.
TOGETHER_ROWS, UNDER_WAY_SHARE = 1 << 17, 0.25


class GatheredRows:
    """The rows of all conversations seen so far."""

    def __init__(self, *, fold: bool = True, fold_rows: int = FOLD_ROWS, long_rows: int = LONG_ROWS) -> None:
        self.conversations = Conversations()
        self._kept = Pool()
        #: Blocks that wait to be folded together, their rows, and how many rows are to wait.
        self._waiting: list[Mapping[str, Column]] = []
        self._waiting_rows = self._together_rows = 0
        self._steady = SteadyTransfers()
        self._fold, self._fold_rows, self._long_rows = fold, fold_rows, long_rows
        #: Did the last partitions have conversations too short to decide? And the captures that decide for them.
        self._undecided = False
        self.trusted: frozenset[int] = frozenset()
        #: Trusted captures, as known from the whole run of which these rows are a part.
        self._told: frozenset[int] = frozenset()
        #: Evidence of copies in the last partitions.
        self.evidence = CopyEvidence()
        #: Latest time of a copy after its segment; more than 0 if the run has several captures.
        self.copies_within_ns = 0
        #: No copies come of segments up to this time: no other capture has them.
        self.single_until_ns = EARLIEST_NS
        #: Lane of each capture, shared by captures that follow each other; None until all are read.
        self.lanes: NDArray[np.int64] | None = None
        #: Count of rows of each conversation not offered to `compact` yet, and their sum over long ones.
        self._fresh = np.zeros(0, np.int32)
        self._fresh_long = 0
        #: Count of rows of each conversation that `compact` left, if it left most.
        self._stayed = np.zeros(0, np.int32)
        #: Scenes of rows removed because another capture also has them, and their counts: they still count as captured.
        self._elsewhere: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        #: Evidence of copies in rows that were released.
        self._shown_before = CopyEvidence()
        #: Count of segments of each capture, by its number.
        self._given: Counter[int] = Counter()

    def add(self, segments: SegmentTable) -> NDArray[np.int64]:
        """Add a block of segments. Returns the conversation of each."""
        keys, from_higher = keys_of(segments)
        numbers = self.conversations.number(keys)
        self._given += by_capture(segments["capture"], np.ones(len(segments), np.int64))
        self._waiting.append(segments.columns | {"conversation": numbers, "from_higher": from_higher})
        self._waiting_rows += len(segments)
        if self._waiting_rows > self._together_rows:
            self._take_in()
        return numbers

    @property
    def _pool(self) -> Pool:
        """All rows kept."""
        self._take_in()
        return self._kept

    def _take_in(self) -> None:
        """Fold the blocks that wait, and store what stays."""
        waiting, rows, self._waiting, self._waiting_rows = self._waiting, self._waiting_rows, [], 0
        if not waiting:
            return
        columns = behind_each_other(waiting)
        if self._fold:
            columns = self._steady.fold(columns, self.copies_within_ns, self.single_until_ns)
            self._wait_as(self._steady.share_under_way, rows)
        self._kept.append(columns)
        self._count_fresh(columns["conversation"])
        if self._fold:
            self._fold_long()

    def _wait_as(self, share_under_way: float, rows: int) -> None:
        """Let more blocks wait, or fewer, by how it went with so many rows; none where copies may come."""
        if share_under_way > UNDER_WAY_SHARE and not self.copies_within_ns:
            self._together_rows = min(2 * rows, TOGETHER_ROWS)
        elif share_under_way < UNDER_WAY_SHARE / 8:
            self._together_rows //= 2

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
        """Return the number of rows at which folding each of these conversations is tried.

        Where most rows could not be folded, the next try waits for several times as many: 1.3 tries in all.
        """
        enough: NDArray[np.int32] = np.maximum(STAYED_TIMES * self._stayed[numbers], self._long_rows)
        return enough

    def fold_long(self) -> None:
        """Fold the long conversations if they have enough new rows."""
        self._take_in()
        self._fold_long()

    def _fold_long(self) -> None:
        if self._fresh_long < max(self._fold_rows, len(self._kept) // 16):
            return
        long = self._fresh[: len(self.conversations)] >= self._enough(slice(len(self.conversations)))
        self._stayed[: len(long)][long] = 0
        is_self = self.conversations.is_self
        for _, rows in self._kept.remove(long).by_conversation():
            collapsed = self.collapse(rows, go_on=True)
            if len(collapsed.elsewhere):
                self._elsewhere.append(np.unique(collapsed.elsewhere, return_counts=True))
            compacted = compact(
                collapsed,
                is_self,
                copies_within_ns=self.copies_within_ns,
                single_until_ns=self.single_until_ns,
            )
            self._kept.append(compacted.rows.columns)
            numbers, offered = distinct_numbers(rows["conversation"], len(long))
            left = np.bincount(compacted.rows["conversation"], minlength=len(long))[numbers]
            self._stayed[numbers] = np.where(left > offered // 2, left, 0)
            if self._fold:
                self._steady.learn(compacted)
        self._fresh[: len(long)][long] = 0
        self._fresh_long = 0

    def __len__(self) -> int:
        """Count of rows kept."""
        return len(self._pool)

    def adopt(
        self,
        rows: StoredRows,
        conversations: Conversations,
        trusted: frozenset[int] = frozenset(),
        lanes: NDArray[np.int64] | None = None,
    ) -> None:
        """Take the first rows: those of conversations gathered elsewhere, in order.

        `trusted`: captures known from the whole run to have most segments more than once; `lanes`: a number for each
        capture, equal for those that follow each other.
        """
        self.conversations, self._told, self.lanes = conversations, trusted, lanes
        self._pool.append(rows.columns)

    def everything(self) -> StoredRows:
        """Return all rows kept, copies included, by conversation and capture order."""
        return self._pool.rows_of(np.ones(len(self.conversations), np.bool_))

    def rows_of(self, numbers: NDArray[np.int64]) -> StoredRows:
        """Return the rows of some conversations, sorted by conversation and capture order."""
        return self.collapse(self._pool.rows_of(self._marked(numbers))).rows

    def looks(self, numbers: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], StoredRows, CollapsedRows]]:
        """Yield some conversations, a range at a time: the places of their rows, the rows, and these without copies.

        The places are valid until rows are added or discarded.
        """
        for places, rows in self._pool.by_conversation(self._marked(numbers)):
            yield places, rows, self.collapse(rows)

    def trust(self, shown: CopyEvidence) -> bool:
        """Decide which captures have most segments twice, by released rows and the evidence `shown` by conversations.

        Returns whether these conversations must be judged again with this result.
        """
        before = self.trusted
        self.trusted = (self._shown_before + shown).trusted()
        return bool(shown.undecided) and self.trusted != before

    def renumber_options(self, options: OptionLists, waiting: Sequence[SegmentTable]) -> OptionLists:
        """Renumber the option lists in use by rows, including rows that wait to be added.

        Returns only these lists.
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
        """Return the conversations folded with a judgement of copies that all of their rows do not confirm."""
        said = [np.flatnonzero(self._pool.total(name)) for name in ("shown_each", "copies_elsewhere")]
        marked, found = self._marked(np.concatenate(said)), [NO_ROWS]
        for _, rows in self._pool.by_conversation(marked) if marked.any() else ():
            found.append(self.misjudged_in(rows))
        return np.concatenate(found)

    def misjudged_in(self, rows: StoredRows) -> NDArray[np.int64]:
        """Return such conversations among these rows, which are sorted by conversation and capture order."""
        return misjudged(rows, self.conversations.loopback, self.conversations.is_self, self.trusted, self.lanes)

    def replace(self, numbers: NDArray[np.int64], rows: StoredRows) -> None:
        """Replace the rows of some conversations by these, which are in order."""
        marked = self._marked(numbers)
        self._pool.remove(marked)
        self._pool.append(rows.columns)
        self._elsewhere = [
            (scene[stays], count[stays]) for scene, count in self._elsewhere for stays in [~marked[shown_in(scene)]]
        ]

    def discard(
        self, places: NDArray[np.int64], kept: StoredRows, gone: NDArray[np.int64], evidence: CopyEvidence
    ) -> None:
        """Release rows, by place, and conversations, by number; `kept`: rows without copies to store instead.

        All rows of the conversations of `kept` are replaced. `evidence`: the evidence of copies in the released rows.
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
        """Forget the evidence of the last partitions: each is judged by itself again."""
        self.trusted = self._told

    def is_final(self, shown: CopyEvidence) -> bool:
        """Is it certain, by the evidence `shown` by some partitions, that none must be judged again?"""
        return (self._shown_before + shown).rules_out(self._given)

    def let_go_before(self, conversation: int) -> None:
        """Release the blocks with only rows of earlier conversations, which are not needed again."""
        self._pool.let_go_before(conversation)

    def partition(self, which: Range) -> tuple[StoredRows, CopyEvidence]:
        """Return the rows of a range, sorted by conversation and capture order, and their evidence of copies."""
        collapsed = self.collapse(self._pool.rows_in(which))
        return collapsed.rows, collapsed.evidence

    def conclude(self, shown: CopyEvidence) -> None:
        """Store the evidence of all partitions, after the last one."""
        self.evidence = self._shown_before + shown
        for scene, count in self._elsewhere:
            self.evidence.shown += by_capture(capture_of(scene), count)
        self.trusted, self._undecided = self.evidence.trusted(), bool(self.evidence.undecided)

    @property
    def look_different_together(self) -> bool:
        """Do all partitions together decide about copies where one of them was too short?"""
        return self._undecided and bool(self.trusted)

    def reconsidered(self) -> Iterator[StoredRows]:
        """Return the partitions again, without the copies found by all of them together."""
        return (self.partition(which)[0] for which in self.ranges())

    def collapse(self, rows: StoredRows, *, go_on: bool = False) -> CollapsedRows:
        """Collapse copies among these rows, by the trusted captures and lanes. `go_on`: more rows may come."""
        lanes = None if go_on else self.lanes  # `judged` checks rows folded before these were known
        return collapse(rows, self.conversations.loopback, self.trusted, go_on=go_on, lanes=lanes)


def distinct_numbers(numbers: NDArray[np.int64], known: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct numbers, all below `known`, and the count of each."""
    least, most = int(numbers.min(initial=known)), int(numbers.max(initial=0))
    if most - least > 8 * len(numbers):  # a small block of a long run
        distinct, count = np.unique(numbers, return_counts=True)
        return distinct, count
    count = np.bincount(numbers - least)
    distinct = np.flatnonzero(count)
    return distinct + least, count[distinct]
