"""Puts the rows of one capture in order of time, as far as its clock can be trusted.

In: the blocks of one capture as they are decoded, with the times of all their records. Out: `Piece`s, the same rows in
order. Several queues of a network card, or several interfaces, deliver their frames in turns, so times step back a
little in a sound capture. They also step back when the clock is set, and then only the order of the file is known.

Each record has a *key*: its time if that lies within a tolerance behind the latest time before it, else that latest
time. Rows are sorted by key; rows of equal keys stay in the order of the file. Keys depend on the records before, never
on the division into blocks. No key lies further back than the tolerance, so a block is held back until one that much
later has come; a capture whose times never step back costs one pass over them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.pieces import EARLIEST_NS, Piece, PieceQueue, Ranks, piece_of, sorted_piece, tables_of
from handshake_inspect.capture.records import Frames
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_runs
from handshake_inspect.table import Block, SegmentTable, Table

Times = NDArray[np.int64]
Spans = NDArray[np.uint64]

#: How far a record may lie behind the latest one of its own interface because of queues. ntpd sets a clock that is
#: more than 128 ms off (ntp.conf(5), `tinker step`); it slews a smaller error, and then no time steps back.
QUEUE_NS = 100_000_000
#: The same behind the latest one of another interface: readers take turns, and wait up to a second for a full buffer.
INTERFACES_NS = 2_000_000_000
#: Most records by which a record may stand after its place in time: this bounds what is held back.
QUEUE_RECORDS = 1 << 17
#: Greatest value of the column `clock` of a segment.
MOST_JUMPS = (1 << 16) - 1


@mutable
class Disorder:
    """What was found about times that step back."""

    #: Count of records that follow a later one and were put in order, and the most they lay behind it.
    frames: int = 0
    largest_ns: int = 0
    #: Count of records that keep their position in the file although their times are earlier.
    out_of_time: int = 0
    #: Count of steps back too large for queues: the clock was set, or interfaces have different clocks. The largest
    #: one, and the number of the frame after the first one.
    jumps: int = 0
    largest_jump_ns: int = 0
    first_jump_frame: int | None = None


class Ordering:
    """Takes the blocks of one capture, and yields their rows in order as soon as nothing can come before them.

    Records in `disorder` what it finds about times that step back.
    """

    def __init__(self, capture: int, disorder: Disorder, ranks: Ranks = None) -> None:
        self._ranks = ranks
        self._rank = capture if ranks is None else int(ranks[capture])
        self._clock = Clock(disorder)
        self._shelf = PieceQueue(ranks)

    @property
    def settled(self) -> int:
        """The smallest key that a row not yielded yet can have."""
        first = self._shelf.first
        return self._clock.settled if first is None else min(first[0], self._clock.settled)

    @property
    def waiting(self) -> list[SegmentTable]:
        """The segments not yielded yet."""
        return self._shelf.segments

    def add(self, records: Frames, block: Block) -> Iterator[Piece]:
        """Add the next block. Yields the pieces whose order is now final."""
        if len(records):
            self._shelf.put(self._piece(records, block))
            yield from self._shelf.take((self._clock.settled, self._rank))

    def finish(self) -> Iterator[Piece]:
        """Yield all remaining pieces."""
        return self._shelf.take(None)

    def _piece(self, records: Frames, block: Block) -> Piece | None:
        """Sort the rows of a block, and note how often the clock had jumped before each segment."""
        jumped = self._clock.disorder.jumps
        keys = self._clock.keys(records)
        if keys is None:
            if jumped:
                _note_jumps(block, np.full(len(block.segments), jumped))
            return piece_of(((table, table["time_ns"]) for table in tables_of(block)), self._ranks)
        row = {id(table): _rows_of(table, records) for table in tables_of(block)}
        if self._clock.disorder.jumps:
            _note_jumps(block, keys.jumps[row[id(block.segments)]])
        return sorted_piece([tuple((table, keys.key[row[id(table)]]) for table in tables_of(block))], self._ranks)


def _rows_of(table: Table, records: Frames) -> NDArray[np.int64]:
    """Return the index in its block of the record of each row of a table; frames are numbered without gaps."""
    row = table["frame"].astype(np.int64) - int(records.frame[0])
    return np.clip(row, 0, len(records) - 1, out=row)


def _note_jumps(block: Block, jumps: NDArray[np.int64]) -> None:
    block.segments.columns["clock"] = np.minimum(jumps, MOST_JUMPS).astype(np.uint16)


@mutable
class Keys:
    """The sort keys of the records of a block. Shape (n,), one entry per record."""

    key: Times
    #: How often the clock had jumped back before each record, itself included.
    jumps: NDArray[np.int64]


class Clock:
    """The state of the times of one capture so far."""

    def __init__(self, disorder: Disorder) -> None:
        self.disorder = disorder
        self._latest = self._last = EARLIEST_NS
        #: Latest time up to each of the last records: QUEUE_RECORDS of them, and more where a block has more.
        self._history: deque[Times] = deque()
        self._remembered = 0
        self._interfaces = _Interfaces()

    @property
    def settled(self) -> int:
        """The smallest key that a further record can have."""
        over = self._remembered - QUEUE_RECORDS
        by_count = int(self._history[0][over]) if over >= 0 else EARLIEST_NS
        by_time = max(self._latest - self._interfaces.tolerance_ns, EARLIEST_NS)
        return max(by_count, by_time, self._interfaces.settled_before)

    def keys(self, records: Frames) -> Keys | None:
        """Return the keys of the records of the next block; None if they are in order already."""
        time_ns = records.time_ns
        second = self._interfaces.second(records, self._latest, self._last)
        if time_ns[0] >= self._latest and bool((time_ns[1:] >= time_ns[:-1]).all()):
            self._interfaces.note(records)
            self._remember(time_ns, int(time_ns[-1]))
            return None
        latest = np.maximum.accumulate(np.append(self._latest, time_ns))
        behind = _span(latest[:-1], time_ns)
        back = _span(np.append(self._last, time_ns[:-1]), time_ns)
        own_behind, own_back = self._interfaces.behind(records) if self._interfaces.several else (behind, back)
        late = (own_behind > QUEUE_NS) | (behind > INTERFACES_NS)
        jump = (own_back > QUEUE_NS) | (back > INTERFACES_NS)
        key = np.maximum(np.where(late, latest[:-1], time_ns), self._earliest(latest[1:], second))
        jumps = self.disorder.jumps + np.cumsum(jump)
        self.disorder.out_of_time += int(np.count_nonzero(key != time_ns))
        self._count(records, behind[~late], np.where(jump, np.maximum(own_back, back), 0))
        self._remember(latest[1:], int(time_ns[-1]))
        return Keys(key, jumps)

    def _earliest(self, latest: Times, second: int | None) -> Times:
        """Return the smallest key that each record of a block can have: that settled before it."""
        known = np.concatenate([*self._history, latest])
        over = self._remembered - QUEUE_RECORDS + np.arange(len(latest))
        earliest = np.where(over >= 0, known[np.maximum(over, 0)], EARLIEST_NS)
        if second is not None:
            earliest[second:] = np.maximum(earliest[second:], self._interfaces.settled_before)
        return earliest

    def _remember(self, latest: Times, last: int) -> None:
        """Store the latest time up to each record of a block, and the time of its last record."""
        self._history.append(latest)
        self._remembered += len(latest)
        while self._remembered - len(self._history[0]) >= QUEUE_RECORDS:
            self._remembered -= len(self._history.popleft())
        self._latest, self._last = int(latest[-1]), last

    def _count(self, records: Frames, behind: Spans, jumps: Spans) -> None:
        """Count the records put in order, given how far each lies `behind`, and the `jumps`, given their lengths."""
        found = self.disorder
        found.frames += int((behind > 0).sum())
        found.largest_ns = max(found.largest_ns, int(behind.max(initial=0)))
        at = np.flatnonzero(jumps)
        if len(at):
            found.jumps += len(at)
            found.largest_jump_ns = max(found.largest_jump_ns, int(jumps.max()))
            if found.first_jump_frame is None:
                found.first_jump_frame = int(records.frame[at[0]])


class _Interfaces:
    """The latest and the last time of each interface, once a capture turns out to have several."""

    def __init__(self) -> None:
        self.several = False
        #: The settled key when the second interface appeared, by the tolerance for a single one.
        self.settled_before = EARLIEST_NS
        self._times: dict[int, tuple[int, int]] = {}

    @property
    def tolerance_ns(self) -> int:
        """How far a record may lie behind the latest one of all."""
        return INTERFACES_NS if self.several else QUEUE_NS

    def second(self, records: Frames, latest: int, last: int) -> int | None:
        """Return the row of a block from which on there are several interfaces; None while there is one.

        `latest` and `last` are the latest and the last time before the block.
        """
        if self.several:
            return 0
        numbered = np.zeros(0, np.int64) if records.interface is None else np.flatnonzero(records.interface >= 0)
        if not len(numbered):
            return None
        row = int(numbered[0])
        self.several = True
        if latest > EARLIEST_NS:
            self._times[0] = (latest, last)
        latest = max(latest, int(records.time_ns[:row].max(initial=EARLIEST_NS)))
        self.settled_before = max(latest - QUEUE_NS, EARLIEST_NS)
        return row

    def note(self, records: Frames) -> None:
        """Update the times of interfaces by a block whose times do not step back."""
        if self.several:
            order, first, number = _by_interface(records)
            last = records.time_ns[order[_ends(first, order)]].tolist()
            self._times.update(zip(number, zip(last, last, strict=True), strict=True))

    def behind(self, records: Frames) -> tuple[Spans, Spans]:
        """Return how far each record lies behind the latest one, and behind the last one, of its interface."""
        time_ns = records.time_ns
        order, first, number = _by_interface(records)
        ends = _ends(first, order)
        before = np.array([self._times.get(one, (EARLIEST_NS, EARLIEST_NS)) for one in number], np.int64)
        before_latest, before_last = before[:, 0], before[:, 1]
        which = np.repeat(np.arange(len(first)), ends + 1 - first)
        own = time_ns[order]
        running = np.maximum(_latest_so_far(own, which), before_latest[which])
        self._times.update(zip(number, zip(running[ends].tolist(), own[ends].tolist(), strict=True), strict=True))
        latest, last = np.empty_like(time_ns), np.empty_like(time_ns)
        latest[order[1:]], last[order[1:]] = running[:-1], own[:-1]
        latest[order[first]], last[order[first]] = before_latest, before_last
        return _span(latest, time_ns), _span(last, time_ns)


def _by_interface(records: Frames) -> tuple[Rows, Rows, list[int]]:
    """Return the rows of a block ordered by interface, the first index of each interface in them, and its number."""
    interface = np.zeros(len(records), np.int64) if records.interface is None else np.maximum(records.interface, 0)
    order = np.argsort(interface, kind="stable")
    ordered = interface[order]
    first = first_of_runs(ordered)
    return order, first, ordered[first].tolist()


def _ends(first: Rows, order: Rows) -> Rows:
    """Return the last index of each interface in `order`."""
    return np.append(first[1:], len(order)) - 1


def _latest_so_far(time_ns: Times, which: Rows) -> Times:
    """Return the running maximum of times within each group; `which`: the group of each, from 0, rising.

    A capture may have as many interfaces as frames, so there is no loop over groups: the times of each group are
    lifted above all of the group before.
    """
    lowest = int(time_ns.min())
    span = int(time_ns.max()) - lowest + 1
    if span * (int(which[-1]) + 1) > np.iinfo(np.int64).max:  # ranks span less than times
        times, rank = np.unique(time_ns, return_inverse=True)
        by_rank: Times = times[_latest_so_far(rank, which)]
        return by_rank
    lift = which * span
    latest: Times = np.maximum.accumulate(time_ns - lowest + lift) - lift + lowest
    return latest


def _span(later: Times, earlier: Times) -> Spans:
    """Return how far `earlier` lies before `later`, 0 where it does not; exact for all 64-bit times."""
    return np.where(later > earlier, later.view(np.uint64) - earlier.view(np.uint64), np.uint64(0))
