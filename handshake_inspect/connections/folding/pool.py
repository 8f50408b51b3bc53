"""The rows of a run in little memory: blocks of rows, sorted by conversation, with columns as narrow as possible.

In: the rows of blocks as they arrive. Out: the rows of some conversations, by conversation and capture order.

Within a block a column's values lie close together, so each column is kept `Narrow`. A range of conversations is one
piece of each block, found by bisection, and copied without reading the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.conversations import conversation_order
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.narrow import Narrow
from handshake_inspect.sets import first_of_runs, set_of

#: Rows of a block: a slice, or their indices.
Which = slice | Rows
#: Conversations [first, stop).
Range = tuple[int, int]

#: Intended rows of a partition. Twice as many take 20 MB more for each decided at once, and 3 % less time for short
#: connections: the fixed cost of a partition, some thousand calls, is 4 ms.
PARTITION_ROWS = 1 << 16
#: Rows that a conversation counts as besides its own, for the columns of the ends of connections, which for a million
#: SYNs are twice as long as their rows. Two threads decide them in 408 MiB, where they would take 565.
CONVERSATION_ROWS = 2
#: A block with fewer rows is merged with the next one.
BLOCK_ROWS = 1 << 15


class _Block:
    """Some rows, sorted by conversation and order of arrival."""

    def __init__(self, columns: Mapping[str, Narrow], count: int) -> None:
        self._columns, self._count = columns, count

    @classmethod
    def of(cls, columns: Mapping[str, Column]) -> _Block:
        """Make a block of rows in order of arrival; a column that is not given is 0."""
        numbers = columns["conversation"]
        order = slice(None) if (numbers[1:] >= numbers[:-1]).all() else conversation_order(numbers)
        narrow = {
            name: Narrow(columns[name].astype(dtype, copy=False), order)
            for name, dtype in StoredRows.DTYPES.items()
            if name in columns
        }
        return cls({name: column for name, column in narrow.items() if not column.is_nothing}, len(numbers))

    def __len__(self) -> int:
        return self._count

    @property
    def octets(self) -> int:
        return sum(column.octets for column in self._columns.values())

    def column(self, name: str, which: Which = slice(None), count: int | None = None) -> Column:
        """Return a column of some rows, `count` in all, or of all."""
        count = self._count if count is None else count
        if name not in self._columns:
            return np.zeros(count, StoredRows.DTYPES[name])
        return self._columns[name].take(which, count)

    @cached_property
    def first_conversation(self) -> int:
        """The lowest conversation number."""
        return int(self.column("conversation", slice(0, 1), 1)[0])

    @cached_property
    def last_conversation(self) -> int:
        """The highest conversation number."""
        return int(self.column("conversation", slice(self._count - 1, None), 1)[0])

    def only_value(self, name: str) -> int | None:
        """Return the value of a column if it is equal in all rows; None if they differ."""
        return self._columns[name].only_value if name in self._columns else 0

    def range_of(self, first: int, stop: int) -> slice:
        """Return the slice of the rows of the conversations [first, stop)."""
        if stop <= self.first_conversation or self.last_conversation < first:  # like most blocks of a long run
            return slice(0, 0)
        if "conversation" not in self._columns:  # all are of conversation 0
            return slice(0, self._count)
        numbers = self._columns["conversation"]
        return slice(numbers.place(first, self._count), numbers.place(stop, self._count))

    def only(self, which: Rows) -> _Block:
        """Return a block of some of the rows."""
        return _Block({name: column.only(which) for name, column in self._columns.items()}, len(which))

    def let_go(self) -> None:
        """Free the memory of the rows, which are lost."""
        for column in self._columns.values():
            column.let_go()

    def with_column(self, name: str, values: Column) -> _Block:
        """Return the rows with other values in one column."""
        return _Block({**self._columns, name: Narrow(values.astype(StoredRows.DTYPES[name]))}, self._count)


#: Rows of a block, and their count.
_Piece = tuple[_Block, Which, int]


class Pool:
    """Rows of any number of conversations. The *place* of a row is valid until rows are added or removed."""

    def __init__(self) -> None:
        self._sorted: list[_Block] = []
        #: Rows that wait until there are enough for a block, in order of arrival, and their count.
        self._fresh: list[Mapping[str, Column]] = []
        self._fresh_rows = 0
        #: Blocks whose pages were returned. They keep their addresses: new data there would leave other pages unused.
        self._gone: list[_Block] = []

    def __len__(self) -> int:
        return sum(map(len, self._sorted)) + self._fresh_rows

    @property
    def _blocks(self) -> list[_Block]:
        """All blocks, after adding the rows that wait."""
        self._sort_fresh()
        return self._sorted

    @property
    def octets(self) -> int:
        """Memory of the rows in octets."""
        return sum(block.octets for block in self._blocks)

    def append(self, columns: Mapping[str, Column]) -> None:
        """Add rows in order of arrival; a column that is not given is 0.

        Few rows wait for more: most rows in a block of a long transfer are folded.
        """
        count = len(columns["conversation"])
        if count < BLOCK_ROWS:  # they may be views of larger columns, which should be freed
            dtypes = StoredRows.DTYPES.items()
            columns = {name: columns[name].astype(dtype) for name, dtype in dtypes if name in columns}
        self._fresh += [columns] if count else []
        self._fresh_rows += count
        if self._fresh_rows >= BLOCK_ROWS:
            self._sort_fresh()

    def _sort_fresh(self) -> None:
        fresh, self._fresh, self._fresh_rows = self._fresh, [], 0
        if fresh:
            self._add(_Block.of(behind_each_other(fresh)))

    def _add(self, block: _Block) -> None:
        """Add a block. Small blocks are merged as in a binary counter, so that a row is moved only a few times."""
        self._sorted.append(block)
        while len(self._sorted) > 1 and len(self._sorted[-2]) <= min(len(self._sorted[-1]), BLOCK_ROWS):
            self._sorted[-2:] = [_together(self._sorted[-2:])]

    def by_conversation(self, marked: Mask | None = None) -> Iterator[tuple[Rows, StoredRows]]:
        """Yield all rows, or those of the conversations marked, a range of whole conversations at a time.

        Each item is the places of some rows and the rows, sorted by conversation and order of arrival.
        """
        for which in self.ranges(marked):
            yield self._range(which, marked)

    def ranges(self, marked: Mask | None = None) -> list[Range]:
        """Return ranges of conversations, or of those marked, with about PARTITION_ROWS rows each."""
        sizes = self._sizes(marked)
        until = np.cumsum(sizes + CONVERSATION_ROWS * (sizes > 0))
        ranges: list[Range] = []
        first = done = 0
        while len(until) and done < until[-1]:
            last = int(np.searchsorted(until, min(done + PARTITION_ROWS, int(until[-1]))))
            ranges.append((first, last + 1))
            first, done = last + 1, int(until[last])
        return ranges

    def rows_in(self, which: Range) -> StoredRows:
        """Return the rows of a range of conversations, by conversation and order of arrival."""
        return self._range(which, None)[1]

    def total(self, name: str) -> Rows:
        """Add up a column by conversation; those after the last one with a value other than 0 are left out."""
        total = np.zeros(0, np.int64)
        for block in self._blocks:
            values = block.column(name)
            at = np.flatnonzero(values)
            if len(at):
                own = np.bincount(block.column("conversation", at, len(at)), values[at]).astype(np.int64)
                longer, shorter = (own, total) if len(own) > len(total) else (total, own)
                longer[: len(shorter)] += shorter
                total = longer
        return total

    def rows_of(self, marked: Mask) -> StoredRows:
        """Return the rows of the conversations marked, by conversation and order of arrival."""
        return self._range((0, len(marked)), marked)[1]

    def _sizes(self, marked: Mask | None) -> Rows:
        """Count the rows of each conversation, or of those marked."""
        sizes = np.zeros(1 + max((block.last_conversation for block in self._blocks), default=-1), np.int64)
        for block in self._blocks:
            numbers = block.column("conversation")
            begins = first_of_runs(numbers)
            sizes[numbers[begins]] += np.diff(begins, append=len(numbers))
        return sizes if marked is None else sizes * marked[: len(sizes)]

    def _range(self, which: Range, marked: Mask | None) -> tuple[Rows, StoredRows]:
        pieces: list[_Piece] = []
        places = [np.zeros(0, np.int64)]
        begin = 0
        for block in self._blocks:
            piece = block.range_of(*which)
            rows: Rows = np.arange(piece.start, piece.stop)
            if marked is not None:
                rows = rows[marked[block.column("conversation", piece, len(rows))]]
            if len(rows):
                pieces.append((block, piece if marked is None else rows, len(rows)))
                places.append(begin + rows)
            begin += len(block)
        order = conversation_order(_column(pieces, "conversation")) if len(pieces) > 1 else None
        columns = {name: _column(pieces, name, order) for name in StoredRows.DTYPES}
        place = np.concatenate(places)
        return place if order is None else place.take(order), StoredRows(columns)

    def remove(self, marked: Mask) -> Pool:
        """Remove and return the rows of the conversations marked."""
        taken = Pool()
        stay: list[_Block] = []
        for block in self._blocks:
            goes = marked[block.column("conversation")]
            if goes.any():
                taken._sorted.append(block.only(np.flatnonzero(goes)))
                block = block.only(np.flatnonzero(~goes))
            stay.append(block)
        self._keep(stay)
        return taken

    def discard(self, places: Rows) -> None:
        """Remove rows."""
        stays = np.ones(len(self), np.bool_)
        stays[places] = False
        blocks: list[_Block] = []
        begin = 0
        for block in self._blocks:
            mine = stays[begin : begin + len(block)]
            begin += len(block)
            blocks.append(block if mine.all() else block.only(np.flatnonzero(mine)))
        self._keep(blocks)

    def _keep(self, blocks: list[_Block]) -> None:
        """Continue with the remaining blocks, after merging adjacent small ones."""
        self._sorted = []
        small: list[_Block] = []
        for block in blocks:
            if not len(block):
                continue
            if small and sum(map(len, small)) + len(block) > BLOCK_ROWS:
                self._sorted.append(_together(small))
                small = []
            small.append(block)
        if small:
            self._sorted.append(_together(small))

    def let_go_before(self, conversation: int) -> None:
        """Free the blocks that have only rows of earlier conversations."""
        stay: list[_Block] = []
        for block in self._blocks:
            goes = block.last_conversation < conversation
            (self._gone if goes else stay).append(block)
            if goes:
                block.let_go()
        self._sorted = stay

    def distinct(self, name: str) -> Column:
        """Return the distinct values of a column."""
        return set_of(np.concatenate([set_of(block.column(name)) for block in self._blocks] or [np.zeros(0, np.int64)]))

    def renumber(self, name: str, moved: Column) -> None:
        """Replace each value `v` of a column by `moved[v]`."""
        self._sorted = [block.with_column(name, moved[block.column(name)]) for block in self._blocks]


def _column(pieces: list[_Piece], name: str, order: Rows | None = None) -> Column:
    """Return a column of pieces of blocks, concatenated, or in the given order."""
    values = {block.only_value(name) for block, _, _ in pieces} or {0}
    if len(values) == 1 and None not in values:  # nothing to copy, and nothing to order: half of the columns
        return np.full(sum(count for _, _, count in pieces), values.pop(), StoredRows.DTYPES[name])
    column = np.concatenate([block.column(name, which, count) for block, which, count in pieces])
    return column if order is None else column.take(order)


def _together(blocks: list[_Block]) -> _Block:
    """Merge blocks."""
    if len(blocks) == 1:
        return blocks[0]
    pieces: list[_Piece] = [(block, slice(None), len(block)) for block in blocks]
    return _Block.of({name: _column(pieces, name) for name in StoredRows.DTYPES})


def behind_each_other(parts: list[Mapping[str, Column]]) -> Mapping[str, Column]:
    """Concatenate the columns that any of the parts has; where a part lacks one, it is 0."""
    if len(parts) == 1:
        return parts[0]
    counts = [len(part["conversation"]) for part in parts]
    return {
        name: np.concatenate(
            [part[name] if name in part else np.zeros(count, dtype) for part, count in zip(parts, counts, strict=True)]
        )
        for name, dtype in StoredRows.DTYPES.items()
        if any(name in part for part in parts)
    }
