"""When something happened: a row, a rank within the row and the row of its segment, as one number that sorts."""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Mask, Rows

#: Moment of an event that never happened.
NEVER = np.iinfo(np.int64).max
#: Earlier than any time.
EARLIEST_NS = int(np.iinfo(np.int64).min)

# Ranks: the order of events at one row.
INFERRED, PROVEN, OWN_ACT, UNBLOCKED, UNBLOCKED_RST, ARRIVED = range(6)

# A moment has row, rank, source row and order, from the highest bits down: 62 bits.
#: A partition holds at most 2**28 rows.
ROW_BITS = 28
RANK_BITS = 3
#: The lowest bits order the events of one segment.
ORDER_BITS = 3

#: Source of an inferred FIN: sorts after all segments that the same row proves.
AFTER_ALL = (1 << ROW_BITS) - 8


def moment(row: Rows | int, rank: Rows | int, source: Rows | int) -> Rows:
    """Combine row, rank within the row and source row into one number that sorts."""
    base = np.asarray(row, np.int64) << RANK_BITS | rank
    when: Rows = (base << ROW_BITS | np.asarray(source, np.int64)) << ORDER_BITS
    return when


def row_of(when: Rows) -> Rows:
    """Return the row of a moment."""
    return when >> (RANK_BITS + ROW_BITS + ORDER_BITS)


def rank_of(when: Rows) -> Rows:
    """Return the rank of a moment within its row."""
    return (when >> (ROW_BITS + ORDER_BITS)) & ((1 << RANK_BITS) - 1)


def source_of(when: Rows) -> Rows:
    """Return the source row of a moment."""
    return (when >> ORDER_BITS) & ((1 << ROW_BITS) - 1)


def later_by(rows: Rows) -> Rows:
    """Return the amount that moves a moment so many rows on, its row and its source."""
    return rows * ((1 << (RANK_BITS + ROW_BITS + ORDER_BITS)) + (1 << ORDER_BITS))


def earliest(group: Rows, when: Rows, groups: int) -> Rows:
    """Return the earliest moment of each group, NEVER if it has none. Shape (groups,)."""
    out = np.full(groups, NEVER, np.int64)
    np.minimum.at(out, group, when)
    return out


def infer(when: Rows, condition: Mask, row: Rows, place: int) -> None:
    """Lower `when`, where `condition` holds, to the moment at which `row` proves an event that was not captured.

    `place`: its position among all events that one row proves.
    """
    at = np.flatnonzero(condition)
    if len(at):
        when[at] = np.minimum(when[at], moment(row[at], INFERRED, place))
