"""Connections with equal segments except for their initial numbers: results from their numbers are computed once.

In: `ConnectionRows`. Out: `Twins`: one of the connections with equal rows represents all, and its results are spread
over the others. A health check, a scan, a flood, a load test make the same connection a thousand times, at other
times, from other sockets, with other initial numbers; results from relative numbers alone are the same for each.

**Equal rows** have the same sender, control bits, relative numbers, payload and folded segments, in the same order
within their connection, and agree in the few other values that `behaviour` uses: is the window 0, and how large was
it on a SYN; is the Fast Open option there, and which of several SYNs a SYN-ACK echoes then; which FINs of an end have
the same IP ID. `behaviour` must not use a value that has no column here: tests/connections/test_twins.py compares the
two.

Rows are distinguished by sums of products, and those with equal sums are then compared: a collision costs time, but
changes nothing.
"""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.events.echoed_syns import echoed_syns
from handshake_inspect.connections.moments import NEVER, later_by
from handshake_inspect.connections.splitting.rows import ACK, FIN, ORIGINATOR, RESPONDER, SYN, ConnectionRows
from handshake_inspect.pairs import GOLDEN
from handshake_inspect.plain import frozen, mutable
from handshake_inspect.sets import consecutive, numbered, set_of

T = TypeVar("T", bound=np.generic)

#: Fewest connections to search for twins; share of distinct ones above which it is given up; size of a first sample.
FEWEST, MOST_APART, SAMPLE = 64, 0.5, 256

#: Columns that are nearly always 0.
COUNTED = ("folded_segments", "folded_octets", "folded_copies", "folded_repeats", "duplicates")

#: Factors without a pattern: that of SplitMix64's finaliser, and for the columns the digits of pi.
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_COLUMN = np.array(
    [
        0x243F6A8885A308D3,
        0x13198A2E03707345,
        0xA4093822299F31D1,
        0x082EFA98EC4E6C89,
        0x452821E638D01377,
        0xBE5466CF34E90C6D,
        0xC0AC29B7C97C50DD,
        0x3F84D5B5B5470917,
        0x9216D5D98979FB1B,
        0xD1310BA698DFB5AD,
    ],
    np.uint64,
)


@frozen
class Representatives:
    """`k` connections that represent all. Those of two partitions are equal if their compared contents are."""

    #: The compared values of rows and connections, and the first row of each connection.
    content: bytes
    rows: ConnectionRows = field(compare=False)
    #: The marks that were given, and the Fast Open options. Shape (k,), and as in `shapes`.
    marks: Mask = field(compare=False)
    fast_open_option: Mask = field(compare=False)


@mutable
class Twins:
    """`m` connections, each equal to one of `k` representatives."""

    #: All rows.
    rows: ConnectionRows
    #: The representative of each connection. Shape (m,).
    of: Rows
    few: Representatives

    @cached_property
    def shift(self) -> Rows:
        """The distance of the rows of each connection from those of its representative. Shape (m,)."""
        return self.rows.start[:-1] - self.few.rows.start.take(self.of)

    @cached_property
    def end(self) -> Rows:
        """The end of `few` that represents each end. Shape (2m,)."""
        end: Rows = np.repeat(2 * self.of, 2)
        end[RESPONDER::2] += 1
        return end

    @cached_property
    def row(self) -> Rows:
        """The row of `few` that represents each row. Shape (n,)."""
        return np.arange(len(self.rows)) - self.shift.take(self.rows.conn)

    # Results of the representatives, spread over all.

    def connections(self, column: NDArray[T]) -> NDArray[T]:
        """Spread a column of connections. Shape (k,) -> (m,)."""
        return _taken(column, self.of)

    def ends(self, column: NDArray[T]) -> NDArray[T]:
        """Spread a column of ends. Shape (2k,) -> (2m,)."""
        return _taken(column, self.end)

    def segments(self, column: NDArray[T]) -> NDArray[T]:
        """Spread a column of rows."""
        return _taken(column, self.row)

    def row_of_connections(self, row: Rows) -> Rows:
        """Spread a row number of each connection; -1 and NEVER stay. Shape (k,) -> (m,)."""
        return _moved(row, self.of, self.shift)

    def row_of_ends(self, row: Rows) -> Rows:
        """Spread a row number of each end; -1 and NEVER stay. Shape (2k,) -> (2m,)."""
        return _moved(row, self.end, np.repeat(self.shift, 2))

    def among(self, row: Rows) -> tuple[Rows, Rows]:
        """Spread some rows (rising). Returns all rows represented by one of them, and the index of that one."""
        if not len(row):
            return row, row
        place = np.full(len(self.few.rows), -1, np.int64)
        place[row] = np.arange(len(row))
        which = self.segments(place)
        found = np.flatnonzero(which >= 0)
        return found, which.take(found)

    def parts(self, start: Rows) -> tuple[Rows, Rows, Rows]:
        """Spread a list with a part for each connection. Returns `start`, the representing item of each, and its shift.

        `start`: where each part begins, and the end. Shape (k + 1,) -> (m + 1,).
        """
        count = np.diff(start).take(self.of)
        item = consecutive(start.take(self.of), count)
        return np.append(0, np.cumsum(count)), item, np.repeat(self.shift, count)


def moved_moments(when: Rows, shift: Rows) -> Rows:
    """Spread moments whose source is a row; NEVER stays."""
    moved: Rows = np.where(when == NEVER, when, when + later_by(shift))
    return moved


def _taken(column: NDArray[T], which: Rows) -> NDArray[T]:
    """Return these values of a column. Many columns of a few connections have a single value."""
    if len(column) and (column == column[0]).all():
        return np.full(len(which), column[0])
    return column.take(which)


def _moved(row: Rows, which: Rows, shift: Rows) -> Rows:
    there = (row >= 0) & (row != NEVER)
    if not there.any():
        return _taken(row, which)
    moved = row.take(which)
    moved += shift if there.all() else shift * there.take(which)
    return moved


def find_twins(rows: ConnectionRows, marks: Mask, fast_open_option: Mask) -> Twins | None:
    """Find the connections with equal rows; None if there are not many.

    `marks`: another value of connections that must be equal. Shape (m,). `fast_open_option`: as in `shapes`.
    """
    if rows.connections < FEWEST:
        return None
    if rows.connections > 2 * SAMPLE:
        sample = rows.only(0, SAMPLE)
        if len(set_of(_signatures(sample, marks[:SAMPLE], _columns(sample, fast_open_option)))) > MOST_APART * SAMPLE:
            return None
    columns = _columns(rows, fast_open_option)
    signatures = _signatures(rows, marks, columns)
    leader = _compared(rows, marks, columns, _leaders(signatures))
    first = set_of(leader)
    if len(first) > MOST_APART * rows.connections:
        return None
    # In an order independent of which came first, so that partitions with the same representatives are equal.
    first = first[np.argsort(signatures[first])]
    number = np.empty(rows.connections, np.int64)
    number[first] = np.arange(len(first))
    few, at = rows.of(first), rows.rows_of(first)
    own = [few.start, few.iss_known, few.self_connect, marks[first], *(column[at] for column in columns.values())]
    content = "".join(columns).encode() + b"".join(one.tobytes() for one in own)
    return Twins(rows, number.take(leader), Representatives(content, few, marks[first], fast_open_option))


def _columns(rows: ConnectionRows, fast_open_option: Mask) -> dict[str, NDArray[Any]]:
    """Return the columns in which rows must be equal, by name. Shapes (n,)."""
    flags = rows.flags
    said = flags.astype(np.int64)
    said |= rows.side.astype(np.int64) << 16
    for claim, bit in ((rows.ignored_syn, 17), (rows.window == 0, 18)):
        said[np.flatnonzero(claim)] |= 1 << bit
    syns = np.flatnonzero(flags & SYN)
    said[syns] |= fast_open_option.take(rows.options.take(syns)) * np.int64(1 << 19)
    said[syns] |= rows.window.take(syns).astype(np.int64) << 20
    if fast_open_option.any():
        said[syns] |= echoed_syns(rows).take(syns).astype(np.int64) << 36
    ack = rows.ack.copy()  # without the ACK bit it means nothing, and depends on the ISS
    ack[np.flatnonzero((flags & ACK) == 0)] = 0
    counted = {name: getattr(rows, name) for name in COUNTED}
    columns = {"seq": rows.seq, "ack": ack, "payload": rows.payload, "said": said}
    return columns | {name: one for name, one in ({"again": _fins_again(rows)} | counted).items() if one.any()}


def _fins_again(rows: ConnectionRows) -> Rows:
    """Return for each FIN of an end with several the first of these with its IP ID.

    Counted from the first row of the connection, + 1; 0 for all others, and for those without an IP ID. Shape (n,).
    """
    at = np.flatnonzero(rows.flags & FIN)
    several = np.bincount(rows.end[at], minlength=2 * rows.connections) > 1
    at = at[several[rows.end[at]] & (rows.ip_id[at] != 0)]
    again = np.zeros(len(rows), np.int64)
    if not len(at):
        return again
    _, which = numbered(rows.end[at] << 16 | rows.ip_id[at])
    first = np.empty(len(at), np.int64)
    first[which[::-1]] = at[::-1]
    again[at] = first[which] - rows.start[rows.conn[at]] + 1
    return again


def _signatures(rows: ConnectionRows, marks: Mask, columns: dict[str, NDArray[Any]]) -> NDArray[np.uint64]:
    """Return a number for each connection, equal for those with equal rows. Shape (m,)."""
    place = (np.arange(len(rows)) - rows.start.take(rows.conn)).astype(np.uint64)
    mixed = place * GOLDEN
    for column, factor in zip(columns.values(), _COLUMN, strict=False):
        mixed += column.astype(np.int64, copy=False).view(np.uint64) * factor
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX
    mixed ^= mixed >> np.uint64(29)
    total: NDArray[np.uint64] = np.add.reduceat(mixed, rows.start[:-1])
    own = marks * np.int64(8) | rows.self_connect * np.int64(4) | rows.iss_known[:, ORIGINATOR] * np.int64(2)
    own |= rows.iss_known[:, RESPONDER]
    return total + own.view(np.uint64) * GOLDEN


def _leaders(signatures: NDArray[np.uint64]) -> Rows:
    """Return for each connection the first one with its signature. Shape (m,)."""
    distinct, which = numbered(signatures)
    first = np.empty(len(distinct), np.int64)
    first[which[::-1]] = np.arange(len(which))[::-1]
    return first.take(which)


def _compared(rows: ConnectionRows, marks: Mask, columns: dict[str, NDArray[Any]], leader: Rows) -> Rows:
    """Compare each connection with its assumed representative. Where they differ, it represents itself."""
    count = np.diff(rows.start)
    differs = count != count.take(leader)
    for own in (marks, rows.self_connect, rows.iss_known[:, ORIGINATOR], rows.iss_known[:, RESPONDER]):
        differs |= own != own.take(leader)
    leader = np.where(differs, np.arange(len(leader)), leader)
    like = np.arange(len(rows)) - (rows.start[:-1] - rows.start.take(leader)).take(rows.conn)
    other = np.zeros(len(rows), np.bool_)
    for column in columns.values():
        other |= column != column.take(like)
    wrong = rows.conn.take(np.flatnonzero(other))
    leader[wrong] = wrong
    return leader
