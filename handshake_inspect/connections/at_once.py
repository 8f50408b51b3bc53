"""How many intervals of time hold at once: by group, over time, and at the most.

In: intervals, each of a group. Out: `AtOnce`, a staircase for each group. An interval holds from its begin until just
before its end, so one that begins where another ends does not meet it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass
class AtOnce:
    """The staircases of `g` groups, one below the other: `k` steps by group and time."""

    #: Where the steps of each group begin. Shape (g + 1,).
    start: Rows
    #: When a step begins, and how many hold from then on. Shape (k,).
    time_ns: Rows
    count: Rows
    #: The most that held at once, and when that was first so; 0 for a group without intervals. Shape (g,).
    peak: Rows
    peak_ns: Rows

    def over_time(self, group: int, begin_ns: int, end_ns: int, bins: int) -> Rows:
        """Return the most that held at once in each of `bins` equal parts of a stretch of time. Shape (bins,)."""
        mine = slice(int(self.start[group]), int(self.start[group + 1]))
        time_ns, count = self.time_ns[mine], np.append(self.count[mine], 0)
        # By Python's integers: a TIME-WAIT of 30 years, times 60, is beyond 64 bits.
        edges = np.array([begin_ns + i * (end_ns - begin_ns) // bins for i in range(bins)], np.int64)
        most = count[np.searchsorted(time_ns, edges, "right") - 1]  # what holds at an edge already; before all: 0
        inside = (time_ns >= begin_ns) & (time_ns < end_ns)
        np.maximum.at(most, np.searchsorted(edges, time_ns[inside], "right") - 1, self.count[mine][inside])
        return most


def at_once(group: Rows, begin_ns: Rows, end_ns: Rows, groups: int) -> AtOnce:
    """Count the intervals [begin, end) of each group that hold at once. Those that are empty count nowhere."""
    lasts = end_ns > begin_ns
    group, begin_ns, end_ns = group[lasts], begin_ns[lasts], end_ns[lasts]
    owner = np.concatenate([group, group])
    time_ns = np.concatenate([begin_ns, end_ns])
    change = np.repeat([1, -1], len(group))
    order = np.lexsort((time_ns, owner))
    owner, time_ns = owner[order], time_ns[order]
    count = np.cumsum(change[order])  # each group comes back to 0 before the next one begins
    # What begins and ends at the same time is one step.
    steps = np.ones(len(order), np.bool_)
    steps[:-1] = (owner[1:] != owner[:-1]) | (time_ns[1:] != time_ns[:-1])
    owner, time_ns, count = owner[steps], time_ns[steps], count[steps]
    start = np.searchsorted(owner, np.arange(groups + 1))
    peak, peak_ns = np.zeros((2, groups), np.int64)
    np.maximum.at(peak, owner, count)
    first = np.flatnonzero(count == peak[owner])[::-1]
    peak_ns[owner[first]] = time_ns[first]  # the last assignment wins: the first time
    return AtOnce(start, time_ns, count, peak, peak_ns)


def number_groups(columns: list[NDArray[np.generic]]) -> tuple[Rows, Rows]:
    """Number the distinct rows of some columns. Returns the number of each row, and a row of each number."""
    number = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        distinct, inverse = np.unique(column, return_inverse=True)
        number = np.unique(number * len(distinct) + inverse, return_inverse=True)[1]
    return number, np.unique(number, return_index=True)[1]
