"""Several captures -> one run, in order of time: two files of one link, or a long capture in files of an hour each.

In: `Feed`s, one for each capture, with the time of its first record. Out: blocks whose rows are in order of time over
all captures; of rows of one time those of the capture that begins first come first, for a rotation may cut between two
segments of one time. A capture is opened when the run reaches its first time, and closed at its end, so that few are
open at once, and captures that do not overlap are read one after the other, in whatever order they were named.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.order import INTERFACES_NS, Disorder, Ordering
from handshake_inspect.capture.pieces import EARLIEST_NS, Piece, PieceQueue, Place, Ranks
from handshake_inspect.capture.records import Frames
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.plain import mutable
from handshake_inspect.table import Block, SegmentTable

#: Most captures read at the same time: of more that overlap, the others wait until one ends.
MOST_OPEN = 64

#: Records of one time among which is looked for the end of a capture, or another time.
INSTANT_RECORDS = 1 << 12

#: Later than any time in a capture.
LATEST_NS = (1 << 63) - 1

Blocks = Iterator[tuple[Frames, Block]]


@mutable
class Feed:
    """One capture, not opened yet."""

    #: Its number in the run.
    capture: int
    #: Opens it, and yields its records with their decoded blocks.
    blocks: Callable[[], Blocks]
    #: Collects what is found about times that step back.
    disorder: Disorder
    #: Time of its first record; None if unknown, and then it is opened at once.
    first_ns: int | None = None

    #: Have all of its records that time (`is_instant`)?
    is_instant: bool = False
    #: Its rank among the captures of the run, set by `Merge`.
    rank: int = 0

    @property
    def begins(self) -> Place:
        """The place before which it has no row."""
        return (EARLIEST_NS if self.first_ns is None else max(self.first_ns - INTERFACES_NS, EARLIEST_NS), self.rank)


class Merge:
    """The blocks of all captures, iterated once. `rest` yields what was read if the iteration is broken off."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        feeds = list(feeds)
        begins = {feed.capture: (feed.first_ns, feed.is_instant) for feed in feeds}
        ranks = ranks_of([begins.get(capture, (None, False)) for capture in range(max(begins, default=-1) + 1)])
        for feed in feeds:
            feed.rank = int(ranks[feed.capture])
        self._ranks = ranks if (ranks[1:] < ranks[:-1]).any() else None
        self._waiting = deque(sorted(feeds, key=lambda feed: feed.begins))
        self._open: list[_Open] = []
        self._shelf = PieceQueue(self._ranks)
        #: Ended captures that a capture which has not ended yet overlaps, or may overlap.
        self._ended: list[_Open] = []

    def __iter__(self) -> Iterator[Block]:
        while self._waiting or self._open:
            if self._is_time_to_open():
                self._open.append(_Open(self._waiting.popleft(), self._ranks))
            one = min(self._open, key=lambda each: each.settled)
            for piece in one.read():
                self._shelf.put(piece)
            if one.ended:
                self._open.remove(one)
                self._ended.append(one)
            yield from self._take(self._settled())

    @property
    def single_until_ns(self) -> int:
        """The time up to which no unread part of a capture can hold a copy of what was yielded.

        A copy comes within INTERFACES_NS. Captures that follow each other, like the files of a rotation, hold no copies
        of each other; while a capture is being read, it is unknown whether the next one begins before its end.
        """
        first = self._shelf.first
        to_come = [*self._open, *(one for one in self._ended if first is not None and one.latest_ns >= first[0])]
        latest_ns = max((one.latest_ns for one in to_come), default=EARLIEST_NS)
        spans = [one.span for one in to_come]
        if self._waiting and self._waiting[0].begins[0] <= latest_ns:
            spans.append((self._waiting[0].begins[0] + INTERFACES_NS, LATEST_NS))
        # Of the ended captures only those that overlap others still matter.
        coming_ns = [self._waiting[0].begins[0] + INTERFACES_NS] if self._waiting else []
        begins_ns = min([*coming_ns, *(begin for begin, _ in spans)], default=LATEST_NS)
        self._ended = [one for one in self._ended if one in to_come or one.latest_ns >= begins_ns]
        gone = [one.span for one in self._ended if one not in to_come]
        for number, (begin, end) in sorted(enumerate([*spans, *gone]), key=lambda one: one[1]):
            if any(a <= end and begin <= b for other, (a, b) in enumerate(spans) if other != number):
                return begin
        return LATEST_NS

    @property
    def waiting(self) -> list[SegmentTable]:
        """The segments that were read but not yielded yet."""
        return [*self._shelf.segments, *(table for one in self._open for table in one.ordering.waiting)]

    def rest(self) -> Iterator[Block]:
        """Yield the blocks that were read but not yielded yet."""
        for one in self._open:
            for piece in one.ordering.finish():
                self._shelf.put(piece)
        self._open.clear()
        yield from self._take(None)

    def _is_time_to_open(self) -> bool:
        if not self._waiting or len(self._open) >= MOST_OPEN:
            return False
        return not self._open or self._waiting[0].begins <= min(one.settled for one in self._open)

    def _settled(self) -> Place | None:
        """Return the place before which no further row can come; None if no more rows come."""
        places = [one.settled for one in self._open]
        if self._waiting and len(self._open) < MOST_OPEN:
            places.append(self._waiting[0].begins)
        return min(places, default=None)

    def _take(self, settled: Place | None) -> Iterator[Block]:
        return (piece.block for piece in self._shelf.take(settled))


class _Open:
    """A capture that is being read."""

    def __init__(self, feed: Feed, ranks: Ranks) -> None:
        self._feed = feed
        self._blocks = feed.blocks()
        self.ordering = Ordering(feed.capture, feed.disorder, ranks)
        self.ended = False
        #: Time of the latest record read so far.
        self.latest_ns = EARLIEST_NS
        #: The place before which no further row of it can come.
        self.settled = feed.begins

    @property
    def span(self) -> tuple[int, int]:
        """Its first and last time, as far as known; else the earliest and latest possible."""
        begins_ns = EARLIEST_NS if self._feed.first_ns is None else self._feed.first_ns
        return begins_ns, self.latest_ns if self.ended else LATEST_NS

    def read(self) -> list[Piece]:
        """Read one block. Returns the pieces whose order is now final."""
        following = next(self._blocks, None)
        if following is None:
            self.ended = True
            return list(self.ordering.finish())
        self.latest_ns = max(self.latest_ns, int(following[0].time_ns.max(initial=EARLIEST_NS)))
        pieces = list(self.ordering.add(*following))
        self.settled = max((self.ordering.settled, self._feed.rank), self._feed.begins)
        return pieces


def ranks_of(begins: Sequence[tuple[int | None, bool]]) -> NDArray[np.int64]:
    """Return the rank of each capture, by the time of its first record, and whether it is of that instant only.

    Those without records come first; of several that begin at one time those that are over then, in order of number.
    """
    order = [
        (first_ns is not None, first_ns or 0, not is_instant, number)
        for number, (first_ns, is_instant) in enumerate(begins)
    ]
    ranks = np.empty(len(order), np.int64)
    ranks[[number for *_, number in sorted(order)]] = np.arange(len(order))
    return ranks


def is_instant(capture: CaptureSummary) -> bool:
    """Are all records of a capture, at most INSTANT_RECORDS, of one time?"""
    return capture.first_ns == capture.last_ns and capture.frames <= INSTANT_RECORDS


def lanes_of(captures: Sequence[CaptureSummary], still_read: Container[int] = ()) -> NDArray[np.int64]:
    """Return the lane of each capture: captures that follow each other in time, like files of a rotation, share one.

    A capture follows the one that ended last before it begins; but two captures of the same single instant may be one
    file named twice. Those in `still_read` have not ended yet, whatever their last times are.
    """
    spans = [
        (one.first_ns, LATEST_NS if number in still_read else one.last_ns, number)
        for number, one in enumerate(captures)
        if one.first_ns is not None and one.last_ns is not None
    ]
    lanes = np.zeros(len(captures), np.int64)
    ended: list[tuple[int, int, int]] = []  # for each lane: end and begin of its last capture, and the lane
    for first_ns, last_ns, number in sorted(spans):
        place = bisect_right(ended, (first_ns, LATEST_NS, len(lanes))) - 1
        follows = place >= 0 and ended[place][:2] != (last_ns, first_ns)
        lane = ended.pop(place)[2] if follows else len(ended)
        insort(ended, (last_ns, first_ns, lane))
        lanes[number] = lane
    return lanes
