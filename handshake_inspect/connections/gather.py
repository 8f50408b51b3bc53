"""Keeps the rows of a run until it is known what they mean, and hands them out by conversation.

In: `SegmentTable` blocks as they are decoded. Out: partitions, the sorted rows of a range of whole conversations.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.conversations import Conversations, keys_of
from handshake_inspect.connections.split import StoredRows
from handshake_inspect.table import SegmentTable

#: Rows that a partition aims at: its columns fit into the second-level cache.
PARTITION_ROWS = 1 << 17


class Gathering:
    """The rows of all conversations seen so far."""

    def __init__(self) -> None:
        self.conversations = Conversations()
        self._chunks: list[StoredRows] = []

    def add(self, segments: SegmentTable) -> NDArray[np.int64]:
        """Add a block of segments. Returns the conversation of each."""
        keys, from_higher = keys_of(segments)
        numbers = self.conversations.number(keys)
        columns = {name: segments[name] for name in StoredRows.DTYPES if name in SegmentTable.DTYPES}
        self._chunks.append(StoredRows({**columns, "conversation": numbers, "from_higher": from_higher}))
        return numbers

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
        return StoredRows.concatenate([chunk.take(chunk["conversation"] == number) for chunk in self._chunks])

    def partitions(self) -> Iterator[StoredRows]:
        """Yield all rows, sorted by conversation and capture order, a range of whole conversations at a time."""
        rows = StoredRows.gather(self._chunks)
        self._chunks = [rows]
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
