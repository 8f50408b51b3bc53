"""Rows found slice by slice -> the tables of a block.

In: `FoundRows` of a slice, separate for each kind of header. Out: a `Block`, its rows in order of capture. Columns
are allocated once for a block, and each field is written to its final row: nothing is sorted or merged afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Column
from handshake_inspect.capture.headers.transports import FoundRows
from handshake_inspect.capture.records import Records
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, SegmentTable, Table

T = TypeVar("T", bound=Table)
Places = slice | NDArray[np.int64]


class BlockBuilder:
    """The tables of a block that is being decoded."""

    def __init__(self, frames: int) -> None:
        self._segments = _TableBuilder(SegmentTable, frames)
        self._datagrams = _TableBuilder(DatagramTable, frames)
        self._icmp_errors = _TableBuilder(IcmpErrorTable, frames)
        self._unread: Counter[str] = Counter()

    def put(
        self, found: Sequence[FoundRows], records: Records, part: slice, capture: int, unread: Counter[str]
    ) -> None:
        """Add the rows found in a slice of the records, and the counts of its frames that were not read."""
        for columns in (self._segments, self._datagrams, self._icmp_errors):
            some = [one for one in found if one.table is columns.kind]
            if some:
                columns.put(some, records, part, capture)
        self._unread += unread

    def append(self, block: Block) -> None:
        """Append the rows of another block."""
        self._segments.append(block.segments)
        self._datagrams.append(block.datagrams)
        self._icmp_errors.append(block.icmp_errors)
        self._unread += block.unread

    def block(self) -> Block:
        """Return what was put in."""
        return Block(self._segments.table(), self._datagrams.table(), self._icmp_errors.table(), +self._unread)


class _TableBuilder(Generic[T]):
    """The columns of one table, with room for more rows; a column of only zeros is not allocated yet."""

    def __init__(self, kind: type[T], room: int) -> None:
        self.kind = kind
        self._room, self._count = room, 0
        self._columns: dict[str, Column] = {}

    def put(self, found: Sequence[FoundRows], records: Records, part: slice, capture: int) -> None:
        """Add rows of a slice, in the order of their frames."""
        time_ns, frame = records.time_ns[part], records.frame[part]
        at = self._make_room(sum(len(one.rows) for one in found))
        places, frames = _in_order(found, len(frame), at)
        for name, values in (("time_ns", time_ns[frames]), ("frame", frame[frames]), ("capture", capture)):
            self._fill(name, at, [at], [values])
        for name in self.kind.DTYPES:
            if name not in ("time_ns", "frame", "capture"):
                self._fill(name, at, places, [one.columns.get(name, 0) for one in found])

    def _fill(self, name: str, at: slice, places: Sequence[Places], values: Sequence[Any]) -> None:
        """Write values, one for all or one per row, to their places within the rows `at`."""
        same = next((value for value in values if isinstance(value, int)), None)
        others = [pair for pair in zip(places, values, strict=True) if not isinstance(pair[1], int) or pair[1] != same]
        if same == 0 and not others and name not in self._columns:
            return
        column = self._column(name, at.start)
        if same is not None:
            column[at] = same
        for place, value in others:
            if not isinstance(place, slice):
                value = np.asarray(value).astype(column.dtype, copy=False)  # cast and write in one step: a third longer
            column[place] = value

    def _column(self, name: str, zeros: int) -> Column:
        if name not in self._columns:
            self._columns[name] = np.empty(self._room, self.kind.DTYPES[name])
            self._columns[name][:zeros] = 0
        return self._columns[name]

    def append(self, table: Table) -> None:
        """Add the rows of a table as they are."""
        if len(table):
            at = self._make_room(len(table))
            for name, column in table.columns.items():
                self._column(name, at.start)[at] = column

    def _make_room(self, count: int) -> slice:
        """Return the slice for `count` more rows."""
        at = slice(self._count, self._count + count)
        if at.stop > self._room:
            self._room = max(at.stop, 2 * self._room)
            self._columns = {name: np.resize(column, self._room) for name, column in self._columns.items()}
        self._count = at.stop
        return at

    def table(self) -> T:
        """Return what was put in."""
        count = self._count
        return self.kind(
            {
                name: self._columns[name][:count] if name in self._columns else np.zeros(count, dtype)
                for name, dtype in self.kind.DTYPES.items()
            }
        )


def _in_order(found: Sequence[FoundRows], frames: int, at: slice) -> tuple[list[Places], Places]:
    """Return the places of the rows of each, which together fill the rows `at` of a table in order of capture.

    Also returns which of the `frames` of the slice they come from, in that order.
    """
    rows = found[0].rows if len(found) == 1 else np.concatenate([one.rows for one in found])
    if len(found) == 1 and (rows[1:] > rows[:-1]).all():
        return [at], slice(None) if len(rows) == frames else rows
    order = np.argsort(rows, kind="stable")  # a frame may hold several segments (IEEE 802.11 A-MSDU)
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(at.start, at.stop)
    ends = np.cumsum([len(one.rows) for one in found]).tolist()
    return [place[end - len(one.rows) : end] for end, one in zip(ends, found, strict=True)], rows[order]
