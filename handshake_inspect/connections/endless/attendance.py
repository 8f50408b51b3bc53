"""When each conversation last had a segment, and when to check whether its connections can be released."""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.endless.looks import LookTable
from handshake_inspect.connections.endless.run_clock import RunClock
from handshake_inspect.sets import without
from handshake_inspect.table import grown

#: Conversations are checked before they are quiet if they have this many rows more than at the last check.
GROWN_ROWS = 32


class Attendance:
    """When each conversation last had a segment, and when it is due for a check. One entry for each number."""

    def __init__(self, clock: RunClock) -> None:
        self._clock = clock
        #: Count of connections held, as far as known.
        self.held = 0
        self._heard_ns = np.zeros(0, np.int64)
        #: Time of the next check, unless new segments come.
        self._look_ns = np.zeros(0, np.int64)
        #: Rows since the last check, and at the last check.
        self._fresh = np.zeros(0, np.int64)
        self._known = np.zeros(0, np.int64)
        #: Count of connections, as far as known; 0 for a free number.
        self._connections = np.zeros(0, np.int64)

    @property
    def now_ns(self) -> int:
        """Time of the run."""
        return self._clock.now_ns

    def hear(self, numbers: Rows, rows: Rows) -> None:
        """Record new rows: `rows` for each of these conversations, which are distinct."""
        if not len(numbers):
            return
        count = int(numbers.max()) + 1
        if count > len(self._heard_ns):
            self._heard_ns, self._look_ns = grown(self._heard_ns, count), grown(self._look_ns, count)
            self._fresh, self._known = grown(self._fresh, count), grown(self._known, count)
            self._connections = grown(self._connections, count)
        new = numbers[self._connections[numbers] == 0]
        self._connections[new] = 1
        self.held += len(new)
        self._heard_ns[numbers] = self.now_ns
        self._look_ns[numbers] = 0
        self._fresh[numbers] += rows

    def due(self, quiet_ns: int | None, most: int, rows: int) -> tuple[Rows, bool]:
        """Return the conversations due for a check: the quietest, `most` of them, and those that grew much.

        `quiet_ns`: the least quiet time; None: any. `rows`: about so many rows in all. Also returns whether others are
        left for a later round.
        """
        there = self._connections > 0
        looked_for = there
        if quiet_ns is not None:
            looked_for = there & (self.now_ns - self._heard_ns >= quiet_ns) & (self._look_ns <= self.now_ns)
        quiet = np.flatnonzero(looked_for)
        if len(quiet) > most:
            quiet = quiet[np.argpartition(self._heard_ns[quiet], max(most, 1) - 1)[: max(most, 0)]]
        grew = np.flatnonzero(there & (self._fresh > self._known + GROWN_ROWS))
        due = np.concatenate([quiet, without(grew, quiet)])
        first = np.searchsorted(np.cumsum(self._known[due] + self._fresh[due]), rows) + 1
        return np.sort(due[:first]), bool(first < len(due))

    def heard(self, looks: LookTable) -> Rows:
        """Return when the conversation of each connection last had a segment. Shape (m,)."""
        return self._heard_ns[looks["conversation"]]

    def looked(self, looks: LookTable) -> None:
        """Record a check: the next one is due when the last connection of each has been quiet for long enough."""
        numbers, first, connections = np.unique(looks["conversation"], return_index=True, return_counts=True)
        if not len(numbers):
            return
        self.held += int((connections - self._connections[numbers]).sum())
        self._connections[numbers] = connections
        self._fresh[numbers] = 0
        self._known[numbers] = np.add.reduceat(looks["rows"], first)
        self._look_ns[numbers] = self._heard_ns[numbers] + looks["quiet_ns"][first + connections - 1]

    def left(self, looks: LookTable) -> None:
        """Record that these connections were released."""
        self.held -= len(looks)
        np.subtract.at(self._connections, looks["conversation"], 1)
        np.subtract.at(self._known, looks["conversation"], looks["rows"])

    def forget(self, numbers: Rows) -> None:
        """Release whole conversations; those with only ICMP errors counted as one connection."""
        self.held -= int(self._connections[numbers].sum())
        for column in (self._connections, self._fresh, self._known):
            column[numbers] = 0
