"""Keeps the rows of a run until it is known what they mean, and hands them out by conversation.

In: `SegmentTable` blocks as they are decoded. Out: partitions, the sorted rows of a range of whole conversations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.compact import compact
from handshake_inspect.connections.conversations import Conversations, keys_of
from handshake_inspect.connections.duplicates import collapse, is_loopback
from handshake_inspect.connections.packets import Evidence
from handshake_inspect.connections.split import StoredRows
from handshake_inspect.table import Growing, SegmentTable

#: Rows that a partition aims at.
PARTITION_ROWS = 1 << 16
#: Rows of long conversations that are worth a pass of `compact`, and how many rows make a conversation long.
FOLD_ROWS, LONG_ROWS = 1 << 17, 1 << 8


class Gathering:
    """The rows of all conversations seen so far."""

    def __init__(self, *, fold: bool = True, fold_rows: int = FOLD_ROWS, long_rows: int = LONG_ROWS) -> None:
        self.conversations = Conversations()
        self._pool = _Pool()
        self._fold, self._fold_rows, self._long_rows = fold, fold_rows, long_rows
        #: Had the last partitions conversations too short to tell? And which captures tell for them?
        self._undecided = False
        self._trusted: frozenset[int] = frozenset()
        #: How long after a segment its copy may come; more than 0 if the run has several captures.
        self.copies_within_ns = 0
        self._is_loopback = np.zeros(0, np.bool_)
        #: Rows of each conversation that have not been offered to `compact` yet.
        self._fresh = np.zeros(0, np.int64)

    def add(self, segments: SegmentTable) -> NDArray[np.int64]:
        """Add a block of segments. Returns the conversation of each."""
        keys, from_higher = keys_of(segments)
        numbers = self.conversations.number(keys)
        self._pool.append(segments.columns | {"conversation": numbers, "from_higher": from_higher}, len(segments))
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
        taken = _Pool()
        removed = self._pool.remove(long[self._pool.column("conversation")])
        taken.append(removed.columns, len(removed))
        is_self = self.is_self()
        for part in taken.partitions():
            compacted = compact(self._collapse(part)[0], is_self, copies_within_ns=self.copies_within_ns)
            self._pool.append(compacted.columns, len(compacted))
        self._fresh[long] = 0

    def __len__(self) -> int:
        """How many rows are kept."""
        return len(self._pool)

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
        rows = self._pool.take(self._pool.column("conversation") == number)
        return self._collapse(rows)[0]

    def partitions(self) -> Iterator[StoredRows]:
        """Return all rows, sorted by conversation and capture order, a range of whole conversations at a time."""
        evidence, self._trusted = Evidence(), frozenset()
        for part in self._pool.partitions():
            collapsed, found = self._collapse(part)
            evidence.add(found)
            yield collapsed
        self._trusted, self._undecided = evidence.trusted(), bool(evidence.undecided)

    @property
    def look_different_together(self) -> bool:
        """Do the last partitions, all together, tell what one of them was too short to tell?"""
        return self._undecided and bool(self._trusted)

    def reconsidered(self) -> Iterator[StoredRows]:
        """Return the partitions anew, with what all of them told."""
        for part in self._pool.partitions():
            yield self._collapse(part)[0]

    def _collapse(self, rows: StoredRows) -> tuple[StoredRows, Evidence]:
        return collapse(rows, self._loopback(), self._trusted)

    def _loopback(self) -> NDArray[np.bool_]:
        """Say of each conversation whether it can only have been captured on loopback."""
        known = len(self._is_loopback)
        if known < len(self.conversations):
            new = self.conversations.keys.take(slice(known, None))
            self._is_loopback = np.append(self._is_loopback, is_loopback(new))
        return self._is_loopback


class _Pool(Growing):
    """Rows in the order of their arrival."""

    def __init__(self) -> None:
        super().__init__(StoredRows)

    def take(self, chosen: NDArray[Any]) -> StoredRows:
        """Return copies of rows: row numbers, or a mask."""
        count = int(chosen.sum()) if chosen.dtype == np.bool_ else len(chosen)
        return StoredRows(
            {
                name: self._columns[name][: self._count][chosen] if name in self._columns else np.zeros(count, dtype)
                for name, dtype in StoredRows.DTYPES.items()
            }
        )

    def remove(self, mask: NDArray[np.bool_]) -> StoredRows:
        """Take rows out, and close the gaps."""
        taken = self.take(mask)
        left = self._count - len(taken)
        for column in self._columns.values():
            column[:left] = column[: self._count][~mask]
        self._count = left
        return taken

    def partitions(self) -> Iterator[StoredRows]:
        """Yield copies of all rows by conversation and capture order, a range of whole conversations at a time."""
        numbers = self.column("conversation")
        order = _by_conversation(numbers)
        sorted_numbers = numbers[order]
        a = 0
        while a < len(order):
            b = min(a + PARTITION_ROWS, len(order))
            b = int(np.searchsorted(sorted_numbers, sorted_numbers[b - 1], "right"))
            yield self.take(order[a:b])
            a = b


def _by_conversation(numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    """Sort rows by conversation, keeping their order within it: one sort of 64-bit words, 10 times an argsort."""
    row_bits = max(len(numbers) - 1, 1).bit_length()
    keyed = numbers.astype(np.int64) << row_bits | np.arange(len(numbers))
    keyed.sort()
    return keyed & ((1 << row_bits) - 1)
