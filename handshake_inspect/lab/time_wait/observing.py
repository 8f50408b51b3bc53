"""All TIME-WAIT entries of a host, from look to look: which began, were set again, ran out, and are gone, and why.

In: the kernel's entries as rows (`entry_table`) of this network namespace; no privilege is needed. Out: the `Change`s
between two looks. Entries are told apart by their cookies. A host with 10,000 entries takes 10 ms a look, so the pause
between two is so many times as long as the look took; and since all entries of a machine end on the grid of its timer
wheel, there is always a look just after each step of it. Where the grid lies is known beforehand (`jiffies`), or from
the first end that is seen.

What nobody can see without a capture: the kernel counts neither an RST that ends TIME-WAIT nor SOCK_DESTROY (measured,
see `counters`). A reuse is seen by what is there instead, and it counts those by the owner's own connect().
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.entry_table import ROW, Rows, local_of, read_rows, remote_of
from handshake_inspect.lab.kernel.sock_diag import KernelSocket, bit_of, open_diagnosis, socket_between
from handshake_inspect.lab.time_wait.counters import ignores_resets, read_counters
from handshake_inspect.lab.time_wait.following import HELD_UP_TICKS, MILLISECOND_NS, KernelLook
from handshake_inspect.lab.time_wait.wheel import TIME_WAIT_NS, Span, Wheel

#: What happened to an entry. "there": it was before the first look.
Kind = Literal["there", "began", "restarted", "at-0", "gone"]
#: Why one is gone. "reset-or-destroyed": only a capture could tell which.
Cause = Literal["ran-out", "reused", "reset-or-destroyed", "destroyed"]

#: The pause after a look is so many times the processor's time that it took: a seventh of one processor at most.
REST = 6
PAUSE_MIN_S, PAUSE_MAX_S = 0.02, 1.0
#: How long after a step of the wheel the next look is: the timers of 10,000 entries take some milliseconds to fire.
AFTER_STEP_NS = 8_000_000
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EntryEnd:
    """The end of an entry."""

    cause: Cause
    #: How long it was there, at most: from when it was entered, or last restarted, to the look that did not find it.
    lived_ns: int
    #: How long before that look the one was that still found it.
    seen_within_ns: int
    #: When the timer wheel was to let its timer fire (CLOCK_MONOTONIC).
    fires: Span
    #: A socket with the same two ends that is there now.
    instead: KernelSocket | None = None
    #: For "reused": did its owner connect again (True), or did the other end's SYN open it (False)? None: the kernel
    #: counted more, or fewer, of the first kind in the same interval than were reused, or one while it was asked.
    by_owner: bool | None = None

    @property
    def late_ns(self) -> int:
        """How long it was there beyond its 60 s; negative: it ended early."""
        return self.lived_ns - TIME_WAIT_NS


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one entry between two looks."""

    kind: Kind
    #: When the look was that shows it (CLOCK_MONOTONIC).
    time_ns: int
    local: Endpoint
    remote: Endpoint
    #: What the kernel's timer showed; of one that is gone: at the look before.
    left_ns: int
    gone: EntryEnd | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted: those with an end at one of these ports, and one at one of these addresses.

    Empty: any.
    """

    ports: tuple[int, ...] = ()
    ips: tuple[str, ...] = ()

    def of(self, rows: Rows) -> Rows:
        """Return the rows that are wanted."""
        if self.ports:
            rows = rows[np.isin(rows["sport"], self.ports) | np.isin(rows["dport"], self.ports)]
        if wanted := set(self.ips):
            rows = rows[np.array([bool(wanted & {local_of(row).ip, remote_of(row).ip}) for row in rows], bool)]
        return rows


@dataclass(frozen=True, slots=True)
class Table:
    """The current entries, by cookie."""

    rows: Rows
    #: What each timer showed at the last look.
    left_ns: Numbers
    #: The latest moment at which each runs out; one tick before that is the earliest.
    expiry_ns: Numbers

    @classmethod
    def empty(cls) -> Table:
        """Return the table of no entry."""
        return cls(np.empty(0, ROW), np.empty(0, np.int64), np.empty(0, np.int64))

    def with_rows_of(self, other: Table, numbers: list[int]) -> Table:
        """Return the same with some rows of another, in order of their cookies."""
        if not numbers:
            return self
        rows, left_ns, expiry_ns = (
            np.concatenate([ours, theirs[numbers]])
            for ours, theirs in (
                (self.rows, other.rows), (self.left_ns, other.left_ns), (self.expiry_ns, other.expiry_ns),
            )
        )  # fmt: skip
        order = np.argsort(rows["cookie"])
        return Table(rows[order], left_ns[order], expiry_ns[order])


class Observer:
    """Looks at the TIME-WAIT entries of this network."""

    def __init__(self, wheel: Wheel, wanted: Filter) -> None:
        self.wheel = wheel
        self._wanted = wanted
        self._netlink = open_diagnosis()
        self._table = Table.empty()
        #: As they were before the last look, and when all was counted that it shows.
        self._counters = (read_counters(),) * 2
        #: When the last look began; 0: there was none.
        self._looked_ns = 0
        #: Connections that found no room, since the first look.
        self.overflowed = 0
        self._used_s = time.process_time()

    @property
    def count(self) -> int:
        """The number of entries."""
        return len(self._table.rows)

    @property
    def next_end_ns(self) -> int | None:
        """When the first of them ends, at the latest (CLOCK_MONOTONIC); None: none is there."""
        if not self.count:
            return None
        return self.wheel.fires(int(self._table.expiry_ns.min()) - self.wheel.tick_ns // 2).latest_ns

    def look(self) -> list[Change]:
        """Ask the kernel once, and return what is different from the look before."""
        before, before_ns = read_counters(), time.monotonic_ns()
        rows = self._wanted.of(read_rows(self._netlink, bit_of("TIME-WAIT")))
        look = KernelLook(before_ns, time.monotonic_ns())
        changes = self._changes(rows[np.argsort(rows["cookie"])], look)
        after, (last_before, last_after) = read_counters(), self._counters
        self.overflowed += before.overflowed - last_before.overflowed
        self._counters, self._looked_ns = (before, after if any(map(is_reused, changes)) else before), before_ns
        least, most = before.recycled - last_after.recycled, after.recycled - last_before.recycled
        return told_by_whom(changes, least, most)

    def close(self) -> None:
        """Ask no more."""
        self._netlink.close()

    def next_look_s(self) -> float:
        """Return how long to wait before the next look: no longer than until just after the next step of the wheel.

        Counted is the processor's time since this was last asked: for the look, and for what was done with it.
        """
        used_s = time.process_time()
        pause_s = min(max(PAUSE_MIN_S, REST * (used_s - self._used_s)), PAUSE_MAX_S)
        self._used_s = used_s
        now_ns, origin_ns = time.monotonic_ns(), self.wheel.origin_ns
        if origin_ns is None:
            return pause_s
        step_ns = self.wheel.step_ns()
        due_ns = now_ns + step_ns - (now_ns - origin_ns - AFTER_STEP_NS) % step_ns
        return min(pause_s, (due_ns - now_ns) / 1e9)

    def _changes(self, rows: Rows, look: KernelLook) -> list[Change]:
        """Compare the rows, which are by cookie, with those of the look before: what is gone comes before what began.

        The two may be of the same sockets: an entry whose connection was reused, and ended too, between two looks.
        """
        old = self._table
        known, was = found_in(old.rows["cookie"], rows["cookie"])
        table, again, ran_out = self._brought_forward(rows, known, was, look)
        first: Kind = "began" if self._looked_ns else "there"
        numbers: list[tuple[Kind, Numbers]] = [
            (first, np.flatnonzero(~known)), ("restarted", again), ("at-0", ran_out),
        ]  # fmt: skip
        changes: list[Change] = []
        missed: list[int] = []
        for number in np.setdiff1d(np.arange(len(old.rows)), was):
            change = self._gone(old, int(number), look.after_ns)
            if change is None:
                missed.append(int(number))
            else:
                changes.append(change)
        self._table = table.with_rows_of(old, missed)
        changes += [
            Change(kind, look.after_ns, local_of(rows[one]), remote_of(rows[one]), int(table.left_ns[one]))
            for kind, ones in numbers
            for one in ones
        ]
        return changes

    def _brought_forward(
        self, rows: Rows, known: npt.NDArray[np.bool_], was: Numbers, look: KernelLook
    ) -> tuple[Table, Numbers, Numbers]:
        """Return what is known now, and the numbers of the rows that were set again, and that have run out.

        `known`: which rows were there before; `was`: their places there.
        """
        old, left_ns = self._table, rows["expires_ms"].astype(np.int64) * MILLISECOND_NS
        expiry_ns = look.after_ns + left_ns
        again = self._set_again(left_ns[known], old.left_ns[was], look, old.expiry_ns[was])
        kept = np.where(left_ns[known] > 0, np.minimum(expiry_ns[known], old.expiry_ns[was]), old.expiry_ns[was])
        expiry_ns[known] = np.where(again, expiry_ns[known], kept)
        ran_out = (left_ns[known] == 0) & (old.left_ns[was] > 0)
        places = np.flatnonzero(known)
        return Table(rows, left_ns, expiry_ns), places[again], places[ran_out]

    def _set_again(
        self, left_ns: Numbers, old_left_ns: Numbers, look: KernelLook, old_expiry_ns: Numbers
    ) -> npt.NDArray[np.bool_]:
        """Tell which timers were set to 60 s again since the last look (`Following` has the reasons)."""
        held_up_ns = HELD_UP_TICKS * self.wheel.tick_ns
        could_be = (left_ns > 0) & (left_ns >= TIME_WAIT_NS - (look.after_ns - self._looked_ns) - held_up_ns)
        is_later = look.before_ns + left_ns - self.wheel.tick_ns > old_expiry_ns + held_up_ns
        return (left_ns > old_left_ns) | (could_be & is_later)

    def _gone(self, old: Table, number: int, time_ns: int) -> Change | None:
        """Say why an entry is gone; None if it is there: a dump can miss one while others come and go."""
        row, left_ns, latest_ns = old.rows[number], int(old.left_ns[number]), int(old.expiry_ns[number])
        local, remote = local_of(row), remote_of(row)
        instead = socket_between(self._netlink, local, remote)
        if instead is not None and instead.cookie == row["cookie"]:
            return None
        expiry_ns = latest_ns - self.wheel.tick_ns // 2
        fires, lived_ns = self.wheel.fires(expiry_ns), time_ns - expiry_ns + TIME_WAIT_NS
        cause: Cause = "ran-out"
        if time_ns < fires.earliest_ns - self.wheel.tick_ns:
            cause = "reused" if instead else "destroyed" if ignores_resets() else "reset-or-destroyed"
        elif self.wheel.origin_ns is None and not left_ns:
            self.wheel = self.wheel.placed_by(Span(self._looked_ns, time_ns))
        seen_within_ns = time_ns - self._looked_ns
        gone = EntryEnd(cause, lived_ns, seen_within_ns, fires, instead if cause == "reused" else None)
        return Change("gone", time_ns, local, remote, left_ns, gone)


def told_by_whom(changes: list[Change], least: int, most: int) -> list[Change]:
    """Return changes with who reused what was reused, where the kernel's count of owners that connected again tells.

    A look takes a while. What is counted meanwhile is of this look or of the next: of the next if this one shows none.
    `least` leaves out what may be of the look before or of the next, `most` does not.
    """
    reused = sum(map(is_reused, changes))
    by_owner = False if most == 0 else True if least == most == reused else None
    return [
        replace(change, gone=replace(change.gone, by_owner=by_owner))
        if change.gone is not None and is_reused(change)
        else change
        for change in changes
    ]


def is_reused(change: Change) -> bool:
    """Is an entry gone because its two ends have a new connection?"""
    return change.gone is not None and change.gone.cause == "reused"


def found_in(old: npt.NDArray[np.uint64], new: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.bool_], Numbers]:
    """Return which of the new cookies are among the old ones, and where; both are sorted."""
    places = np.searchsorted(old, new)
    known = places < len(old)
    known[known] = old[places[known]] == new[known]
    return known, places[known]


class Tally:
    """How entries ended, in memory that does not grow with their number."""

    def __init__(self) -> None:
        self.causes: Counter[Cause] = Counter()
        #: Of those that ran out: how many were there so many milliseconds beyond their 60 s.
        self.late_ms: Counter[int] = Counter()
        #: The longest time between the look that still saw one of these and the one that did not.
        self.seen_within_ns = 0

    def count(self, gone: EntryEnd) -> None:
        """Take in one more."""
        self.causes[gone.cause] += 1
        if gone.cause == "ran-out":
            self.late_ms[round(gone.late_ns / 1e6)] += 1
            self.seen_within_ns = max(self.seen_within_ns, gone.seen_within_ns)

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.causes.total()

    @property
    def late(self) -> tuple[int, int, int]:
        """The least, the median and the most of `late_ms`."""
        in_order, half = sorted(self.late_ms), (self.late_ms.total() + 1) // 2
        up_to = accumulate(self.late_ms[ms] for ms in in_order)
        median = next(ms for ms, seen in zip(in_order, up_to, strict=True) if seen >= half)
        return in_order[0], median, in_order[-1]
