"""Puts the rows of one capture in order of time, as far as its clock can be believed.

In: the blocks of one capture as they are decoded, with the times of all their records. Out: `Piece`s, the same rows in
order. Several queues of a network card, or several interfaces, hand their frames over in turns, so a capture's times
step back a little where nothing is wrong. A clock that is set steps back as well, and then the order of the file is
the only one there is.

Each record has a *key*: its time if it lies within a tolerance behind the latest time before it, and that latest time
otherwise. Rows are sorted by key, those of equal keys stay in the order of the file. Keys depend on the records before,
never on how these were cut into blocks. As no key lies further back than the tolerance, a block is held back until one
that is so much later has come; a capture whose times never step back costs one look at them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.pieces import EARLIEST_NS, Piece, PieceQueue, piece_of, sorted_piece, tables_of
from handshake_inspect.capture.records import Frames
from handshake_inspect.sets import first_of_runs
from handshake_inspect.table import Block, SegmentTable, Table

Times = NDArray[np.int64]
Spans = NDArray[np.uint64]

#: How far a record may lie behind the latest of its own interface and still be a matter of queues. ntpd sets a clock
#: that is more than 128 ms off (ntp.conf(5), `tinker step`); a smaller error is slewed away, and no time steps back.
QUEUE_NS = 100_000_000
#: How far behind the latest of another interface: readers take turns, and wait up to a second for a full buffer.
INTERFACES_NS = 2_000_000_000
#: How many records after its place in time a record may stand: this bounds what is held back.
QUEUE_RECORDS = 1 << 17
#: Column `clock` of a segment counts to here.
MOST_JUMPS = (1 << 16) - 1


@dataclass
class Disorder:
    """What was found of times that step back."""

    #: Records that stand after a later one and were put in order, and how far behind it they lay at most.
    frames: int = 0
    largest_ns: int = 0
    #: Records that stand where the file has them, though their times are earlier.
    out_of_time: int = 0
    #: Steps back that are not those of a queue: the clock was set, or interfaces have different clocks. The largest
    #: one, and the number of the frame after the first one.
    jumps: int = 0
    largest_jump_ns: int = 0
    first_jump_frame: int | None = None


class Ordering:
    """Takes the blocks of one capture, and gives their rows in order as soon as nothing can come before them.

    What it finds of times that step back it notes in `disorder`.
    """

    def __init__(self, capture: int, disorder: Disorder) -> None:
        self._capture = capture
        self._clock = Clock(disorder)
        self._shelf = PieceQueue()

    @property
    def settled(self) -> int:
        """No row that is still to be given has a smaller key."""
        first = self._shelf.first
        return self._clock.settled if first is None else min(first[0], self._clock.settled)

    @property
    def waiting(self) -> list[SegmentTable]:
        """The segments that are not given yet."""
        return self._shelf.segments

    def add(self, records: Frames, block: Block) -> Iterator[Piece]:
        """Take the next block. Yields what is settled with it."""
        if len(records):
            self._shelf.put(self._piece(records, block))
            yield from self._shelf.take((self._clock.settled, self._capture))

    def finish(self) -> Iterator[Piece]:
        """Yield the rest."""
        return self._shelf.take(None)

    def _piece(self, records: Frames, block: Block) -> Piece | None:
        """Sort the rows of a block, and note how often the clock had jumped before each segment."""
        jumped = self._clock.disorder.jumps
        keys = self._clock.keys(records)
        if keys is None:
            if jumped:
                _note_jumps(block, np.full(len(block.segments), jumped))
            return piece_of((table, table["time_ns"]) for table in tables_of(block))
        row = {id(table): _rows_of(table, records) for table in tables_of(block)}
        if self._clock.disorder.jumps:
            _note_jumps(block, keys.jumps[row[id(block.segments)]])
        return sorted_piece([tuple((table, keys.key[row[id(table)]]) for table in tables_of(block))])


def _rows_of(table: Table, records: Frames) -> NDArray[np.int64]:
    """Return which record of its block each row of a table was read from; frames are numbered without gaps."""
    row = table["frame"].astype(np.int64) - int(records.frame[0])
    return np.clip(row, 0, len(records) - 1, out=row)


def _note_jumps(block: Block, jumps: NDArray[np.int64]) -> None:
    block.segments.columns["clock"] = np.minimum(jumps, MOST_JUMPS).astype(np.uint16)


@dataclass
class Keys:
    """Where the records of a block belong. Shape (n,), one entry per record."""

    key: Times
    #: How often the clock had jumped back before each record, itself included.
    jumps: NDArray[np.int64]


class Clock:
    """What the times of one capture have said so far."""

    def __init__(self, disorder: Disorder) -> None:
        self.disorder = disorder
        self._latest = self._last = EARLIEST_NS
        #: Latest time at each of the last records: QUEUE_RECORDS of them, and what came in the same block.
        self._history: deque[Times] = deque()
        self._remembered = 0
        self._interfaces = _Interfaces()

    @property
    def settled(self) -> int:
        """No record that is still to come has a smaller key."""
        over = self._remembered - QUEUE_RECORDS
        by_count = int(self._history[0][over]) if over >= 0 else EARLIEST_NS
        by_time = max(self._latest - self._interfaces.tolerance_ns, EARLIEST_NS)
        return max(by_count, by_time, self._interfaces.settled_before)

    def keys(self, records: Frames) -> Keys | None:
        """Return where the records of the next block belong; None if each belongs where it stands."""
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
        """Return the smallest key that each record of a block can have: what was settled before it."""
        known = np.concatenate([*self._history, latest])
        over = self._remembered - QUEUE_RECORDS + np.arange(len(latest))
        earliest = np.where(over >= 0, known[np.maximum(over, 0)], EARLIEST_NS)
        if second is not None:
            earliest[second:] = np.maximum(earliest[second:], self._interfaces.settled_before)
        return earliest

    def _remember(self, latest: Times, last: int) -> None:
        """Note the latest time at each record of a block, and the time of its last one."""
        self._history.append(latest)
        self._remembered += len(latest)
        while self._remembered - len(self._history[0]) >= QUEUE_RECORDS:
            self._remembered -= len(self._history.popleft())
        self._latest, self._last = int(latest[-1]), last

    def _count(self, records: Frames, behind: Spans, jumps: Spans) -> None:
        """Count the records that are put in order by how far they lie `behind`, and the jumps by how far they go."""
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
        #: What was settled when the second one appeared: by the tolerance for one.
        self.settled_before = EARLIEST_NS
        self._times: dict[int, tuple[int, int]] = {}

    @property
    def tolerance_ns(self) -> int:
        """How far a record may lie behind the latest of all."""
        return INTERFACES_NS if self.several else QUEUE_NS

    def second(self, records: Frames, latest: int, last: int) -> int | None:
        """Return the row of a block from which on there are several interfaces; None if there is one.

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
        """Note a block whose times do not step back."""
        if self.several:
            order, first, number = _by_interface(records)
            last = records.time_ns[order[_ends(first, order)]].tolist()
            self._times.update(zip(number, zip(last, last, strict=True), strict=True))

    def behind(self, records: Frames) -> tuple[Spans, Spans]:
        """Return how far each record lies behind the latest, and how far behind the last, of its interface."""
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
    """Return the rows of a block ordered by interface, where each interface begins among them, and its number."""
    interface = np.zeros(len(records), np.int64) if records.interface is None else np.maximum(records.interface, 0)
    order = np.argsort(interface, kind="stable")
    ordered = interface[order]
    first = first_of_runs(ordered)
    return order, first, ordered[first].tolist()


def _ends(first: Rows, order: Rows) -> Rows:
    """Return the last place of each interface, by the first ones."""
    return np.append(first[1:], len(order)) - 1


def _latest_so_far(time_ns: Times, which: Rows) -> Times:
    """Return the latest of all times up to each, of those that belong to the same; `which`: to what, from 0, rising.

    A capture may have as many interfaces as frames, so this takes no step for each: what belongs to the next one is
    lifted above all that comes before.
    """
    lowest = int(time_ns.min())
    span = int(time_ns.max()) - lowest + 1
    if span * (int(which[-1]) + 1) > np.iinfo(np.int64).max:  # their ranks lie nearer to each other
        times, rank = np.unique(time_ns, return_inverse=True)
        by_rank: Times = times[_latest_so_far(rank, which)]
        return by_rank
    lift = which * span
    latest: Times = np.maximum.accumulate(time_ns - lowest + lift) - lift + lowest
    return latest


def _span(later: Times, earlier: Times) -> Spans:
    """Return how far `earlier` lies before `later`, 0 where it does not; exact for all that 64 bits hold."""
    return np.where(later > earlier, later.view(np.uint64) - earlier.view(np.uint64), np.uint64(0))
