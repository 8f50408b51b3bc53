"""Counts of simultaneous intervals of time: by group, over time, and at the peak.

In: intervals, each of a group. Out: `Staircases`, a step function for each group. Intervals are half-open, so one that
begins where another ends does not overlap it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.pairs import GOLDEN
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_runs

#: Rows mixed at once: they stay in the cache from column to column, which takes two thirds of the time.
MIXED_ROWS = 1 << 14


@mutable
class Staircases:
    """The step functions of `g` groups, concatenated: `k` steps by group and time."""

    #: First step of each group. Shape (g + 1,).
    start: Rows
    #: Time at which a step begins, and the count from then on. Shape (k,).
    time_ns: Rows
    count: Rows
    #: Greatest count, and when it was first reached; 0 for a group without intervals. Shape (g,).
    peak: Rows
    peak_ns: Rows

    def over_time(self, group: int, begin_ns: int, end_ns: int, bins: int) -> Rows:
        """Return the greatest count in each of `bins` equal parts of a span of time. Shape (bins,)."""
        mine = slice(int(self.start[group]), int(self.start[group + 1]))
        time_ns, count = self.time_ns[mine], np.append(self.count[mine], 0)
        # By Python's integers: a TIME-WAIT of 30 years, times 60, is beyond 64 bits.
        edges = np.array([begin_ns + i * (end_ns - begin_ns) // bins for i in range(bins)], np.int64)
        most = count[np.searchsorted(time_ns, edges, "right") - 1]  # the count at each edge; before all steps: 0
        inside = (time_ns >= begin_ns) & (time_ns < end_ns)
        np.maximum.at(most, np.searchsorted(edges, time_ns[inside], "right") - 1, self.count[mine][inside])
        return most


def at_once(group: Rows, begin_ns: Rows, end_ns: Rows, groups: int) -> Staircases:
    """Count the simultaneous intervals [begin, end) of each group. Empty ones do not count."""
    lasts = end_ns > begin_ns
    group, begin_ns, end_ns = group[lasts], begin_ns[lasts], end_ns[lasts]
    owner = np.concatenate([group, group])
    time_ns = np.concatenate([begin_ns, end_ns])
    change = np.repeat([1, -1], len(group))
    order = np.lexsort((time_ns, owner))
    owner, time_ns = owner[order], time_ns[order]
    count = np.cumsum(change[order])  # each group comes back to 0 before the next one begins
    # All begins and ends at one time are one step.
    steps = np.ones(len(order), np.bool_)
    steps[:-1] = (owner[1:] != owner[:-1]) | (time_ns[1:] != time_ns[:-1])
    owner, time_ns, count = owner[steps], time_ns[steps], count[steps]
    start = np.searchsorted(owner, np.arange(groups + 1))
    peak, peak_ns = np.zeros((2, groups), np.int64)
    np.maximum.at(peak, owner, count)
    first = np.flatnonzero(count == peak[owner])[::-1]
    peak_ns[owner[first]] = time_ns[first]  # the last assignment wins: the first time
    return Staircases(start, time_ns, count, peak, peak_ns)


def number_groups(columns: list[NDArray[Any]]) -> tuple[Rows, Rows]:
    """Number the distinct rows of some columns, by first appearance.

    Returns the number of each row, and the first row of each number. Sorts once, by a hash with the row in its lower
    bits: a million rows take 60 ms, where sorting each column takes 500. Collisions of hashes are detected, and then
    each column is sorted. Columns with a single value are skipped.
    """
    rows = len(columns[0])
    columns = [column for column in columns if not _is_one(column)] or columns[:1]
    bits = np.uint64(max(rows - 1, 1).bit_length())
    keyed = mixed(columns) >> bits << bits
    keyed |= np.arange(rows, dtype=np.uint64)
    keyed.sort()
    order = (keyed & ((np.uint64(1) << bits) - np.uint64(1))).view(np.int64)
    keyed >>= bits
    begins = first_of_runs(keyed)
    is_first = np.zeros(rows, np.bool_)
    is_first[order[begins]] = True
    number = np.empty(rows, np.int64)
    number[order] = np.repeat((np.cumsum(is_first) - 1)[order[begins]], np.diff(begins, append=rows))
    first = np.flatnonzero(is_first)
    if any((column[first][number] != column).any() for column in columns):
        return _numbered_by_sorting(columns)
    return number, first


def _is_one(column: NDArray[Any]) -> bool:
    """Are all values equal? In most other columns the first and the last value differ."""
    return not len(column) or bool(column[0] == column[-1] and (column == column[0]).all())


def _numbered_by_sorting(columns: list[NDArray[Any]]) -> tuple[Rows, Rows]:
    number = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        distinct, inverse = np.unique(column, return_inverse=True)
        number = np.unique(number * len(distinct) + inverse, return_inverse=True)[1]
    return _by_appearance(number, np.unique(number, return_index=True)[1])


def _by_appearance(number: Rows, first: Rows) -> tuple[Rows, Rows]:
    is_first = np.zeros(len(number), np.bool_)
    is_first[first] = True
    place = np.cumsum(is_first) - 1
    return place[first][number], np.flatnonzero(is_first)


def mixed(columns: list[NDArray[Any]]) -> NDArray[np.uint64]:
    """Mix each row of some columns into a hash; its upper bits are the best."""
    found = np.zeros(len(columns[0]), np.uint64)
    for a in range(0, len(found), MIXED_ROWS):
        some = found[a : a + MIXED_ROWS]
        for column in columns:
            some ^= column[a : a + MIXED_ROWS].astype(np.uint64, copy=False)
            some *= GOLDEN
            some ^= some >> np.uint64(32)
        some *= GOLDEN
    return found
