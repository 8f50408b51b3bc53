"""Keeps the rows of a run until it is known what they mean, and hands them out by conversation.

In: `SegmentTable` blocks as they are decoded. Out: partitions, the sorted rows of a range of whole conversations.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.compact import compact
from handshake_inspect.connections.conversations import Conversations, keys_of
from handshake_inspect.connections.duplicates import collapse, is_loopback
from handshake_inspect.connections.split import StoredRows
from handshake_inspect.table import SegmentTable

#: Rows that a partition aims at: its columns fit into the second-level cache.
PARTITION_ROWS = 1 << 17
#: Rows of long conversations that are worth a pass of `compact`, and how many rows make a conversation long.
FOLD_ROWS, LONG_ROWS = 1 << 17, 1 << 8


class Gathering:
    """The rows of all conversations seen so far."""

    def __init__(self, *, fold: bool = True, fold_rows: int = FOLD_ROWS, long_rows: int = LONG_ROWS) -> None:
        self.conversations = Conversations()
        self.chunks: list[StoredRows] = []
        self._fold, self._fold_rows, self._long_rows = fold, fold_rows, long_rows
        #: Rows of each conversation that have not been offered to `compact` yet.
        self._fresh = np.zeros(0, np.int64)
        #: Were any rows folded away?
        self.folded = False

    def add(self, segments: SegmentTable) -> NDArray[np.int64]:
        """Add a block of segments. Returns the conversation of each."""
        keys, from_higher = keys_of(segments)
        numbers = self.conversations.number(keys)
        rows = StoredRows.empty(len(segments))
        rows.columns |= {name: segments[name] for name in StoredRows.DTYPES if name in SegmentTable.DTYPES}
        rows.columns |= {"conversation": numbers.astype(np.int32), "from_higher": from_higher}
        self.chunks.append(rows)
        if self._fold:
            self._fold_long(numbers)
        return numbers

    def _fold_long(self, numbers: NDArray[np.int64]) -> None:
        """Fold the long conversations once they have brought enough rows."""
        fresh = np.bincount(numbers, minlength=len(self.conversations))
        fresh[: len(self._fresh)] += self._fresh
        self._fresh = fresh
        long = fresh >= self._long_rows
        if int(fresh[long].sum()) < self._fold_rows:
            return
        taken = StoredRows.concatenate([chunk.take(long[chunk["conversation"]]) for chunk in self.chunks])
        self.chunks = [chunk.take(~long[chunk["conversation"]]) for chunk in self.chunks]
        is_self = self.is_self()
        compacted = [compact(part, is_self) for part in self._sorted(taken)]
        self.chunks = [*compacted, *(chunk for chunk in self.chunks if len(chunk))]
        self._fresh[long] = 0
        self.folded = True

    def is_self(self) -> NDArray[np.bool_]:
        """Say of each conversation whether both of its sockets are equal."""
        keys = self.conversations.keys
        equal: NDArray[np.bool_] = (
            (keys["lower_hi"] == keys["higher_hi"])
            & (keys["lower_lo"] == keys["higher_lo"])
            & (keys["lower_port"] == keys["higher_port"])
        )
        return equal

    def conversation(self, number: int) -> StoredRows:
        """Return the rows of one conversation, in capture order."""
        rows = StoredRows.concatenate([chunk.take(chunk["conversation"] == number) for chunk in self.chunks])
        return next(self._sorted(rows))

    def partitions(self) -> Iterator[StoredRows]:
        """Return all rows, sorted by conversation and capture order, a range of whole conversations at a time."""
        rows = StoredRows.gather(self.chunks)
        self.chunks = [rows]
        return self._sorted(rows)

    def _sorted(self, rows: StoredRows) -> Iterator[StoredRows]:
        loopback = is_loopback(self.conversations.keys)
        return (collapse(part, loopback) for part in _partitions(rows))


def _partitions(rows: StoredRows) -> Iterator[StoredRows]:
    order = _by_conversation(rows["conversation"])
    sorted_numbers = rows["conversation"][order]
    a = 0
    while a < len(order):
        b = min(a + PARTITION_ROWS, len(order))
        b = int(np.searchsorted(sorted_numbers, sorted_numbers[b - 1], "right"))
        yield rows.take(order[a:b])
        a = b


def _by_conversation(numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    """Sort rows by conversation, keeping their order within it: one sort of 64-bit words, 10 times an argsort."""
    row_bits = max(len(numbers) - 1, 1).bit_length()
    keyed = numbers.astype(np.int64) << row_bits | np.arange(len(numbers))
    keyed.sort()
    return keyed & ((1 << row_bits) - 1)
