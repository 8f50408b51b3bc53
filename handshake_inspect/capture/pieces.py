"""Sorted pieces of a run that may overlap: merged, and yielded when nothing can come before them.

In: `Piece`s, in any order. Out: the same rows, by key and then by the rank of their capture. Pieces that do not overlap
stay as they are; of two that do, only the rows from the overlap on are sorted together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.plain import mutable
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, SegmentTable, Table

Times = NDArray[np.int64]
#: Sort key of a row: its key, then the rank of its capture.
Place = tuple[int, int]
#: Segments, datagrams and ICMP errors, each with the key of every row.
Parts = tuple[tuple[Table, Times], ...]

#: The rank of each capture of a run (`capture.merge.ranks_of`); None if that is its number.
Ranks = NDArray[np.int64] | None

#: Earlier than any time in a capture.
EARLIEST_NS = -(1 << 63)


def tables_of(block: Block) -> tuple[Table, Table, Table]:
    """Return the three tables of a block."""
    return block.segments, block.datagrams, block.icmp_errors


@mutable
class Piece:
    """Rows of the three tables of a block, each in order of keys, and of captures where keys are equal."""

    parts: Parts
    ranks: Ranks
    #: Places of its first and its last row.
    first: Place
    last: Place

    @property
    def block(self) -> Block:
        """The rows, without the keys."""
        segments, datagrams, icmp_errors = (table for table, _ in self.parts)
        return Block(cast(SegmentTable, segments), cast(DatagramTable, datagrams), cast(IcmpErrorTable, icmp_errors))

    def cut(self, place: Place) -> tuple[Piece | None, Piece | None]:
        """Return the rows up to a place, and those after it."""
        at = [_rows_up_to(table, key, place, self.ranks) for table, key in self.parts]
        halves = (
            [(table.take(slice(a, b)), key[a:b]) for (table, key), a, b in zip(self.parts, begins, ends, strict=True)]
            for begins, ends in (([0] * len(at), at), (at, [None] * len(at)))
        )
        before, after = (piece_of(half, self.ranks) for half in halves)
        return before, after


def piece_of(parts: Iterable[tuple[Table, Times]], ranks: Ranks = None) -> Piece | None:
    """Make a piece of sorted tables, each with its keys; None if there are no rows."""
    kept = tuple(parts)
    ends = [
        (int(key[at]), int(_ranks(table["capture"][at], ranks))) for table, key in kept if len(table) for at in (0, -1)
    ]
    return Piece(kept, ranks, min(ends), max(ends)) if ends else None


def _ranks(capture: Any, ranks: Ranks) -> Any:
    """Return the ranks of these captures."""
    return capture if ranks is None else ranks[capture]


def _rows_up_to(table: Table, key: Times, place: Place, ranks: Ranks) -> int:
    low, high = np.searchsorted(key, place[0], "left"), np.searchsorted(key, place[0], "right")
    return int(low + np.searchsorted(_ranks(table["capture"][low:high], ranks), place[1], "right"))


def sorted_piece(parts: Sequence[Parts], ranks: Ranks = None) -> Piece | None:
    """Sort rows by place; rows of one capture and of equal keys stay in the order given."""
    merged = []
    for tables in zip(*parts, strict=True):
        kind = type(tables[0][0])
        table = kind.concatenate([table for table, _ in tables])
        key = np.concatenate([key for _, key in tables])
        order = np.lexsort((_ranks(table["capture"], ranks), key))
        merged.append((table.take(order), key[order]))
    return piece_of(merged, ranks)


class PieceQueue:
    """Pieces in order, none of which overlaps the next."""

    def __init__(self, ranks: Ranks = None) -> None:
        self._ranks = ranks
        self._pieces: deque[Piece] = deque()

    @property
    def first(self) -> Place | None:
        """Place of the first row; None if there are none."""
        return self._pieces[0].first if self._pieces else None

    @property
    def segments(self) -> list[SegmentTable]:
        """The tables of their segments."""
        return [piece.block.segments for piece in self._pieces]

    def put(self, piece: Piece | None) -> None:
        """Add a piece."""
        if piece is None:
            return
        overlapping = [piece]
        while self._pieces and self._pieces[-1].last > piece.first:
            before, after = self._pieces.pop().cut(piece.first)
            overlapping += [after] if after else []
            self._pieces.extend([before] if before else [])
        if len(overlapping) > 1:
            piece = sorted_piece([one.parts for one in reversed(overlapping)], self._ranks)
        self._pieces.extend([piece] if piece else [])

    def take(self, settled: Place | None) -> Iterator[Piece]:
        """Yield the pieces up to `settled`, the place before which no further row can come; all of them if it is None.

        A piece waits as a whole until its last rows are settled: twice as many pieces of half the size make a fifth
        more work for the consumer.
        """
        while self._pieces and (settled is None or self._pieces[0].last <= settled):
            yield self._pieces.popleft()
