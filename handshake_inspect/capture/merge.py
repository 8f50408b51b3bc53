"""Several captures -> one run, in order of time: two files of one link, or a long capture in files of an hour each.

In: `Feed`s, one for each capture, and when each begins. Out: blocks whose rows are in order of time over all of them. A
capture is opened when the run has come to its beginning, and closed at its end, so that few are open at a time, and
captures that do not overlap are read one after the other, whatever the order in which they were named.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.order import INTERFACES_NS, Disorder, Ordering
from handshake_inspect.capture.pieces import EARLIEST_NS, Piece, PieceQueue, Place
from handshake_inspect.capture.records import Frames
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.table import Block, SegmentTable

#: Captures that are read at the same time, at most: more than these that overlap wait for one to end.
MOST_OPEN = 64

#: Above all times that are read.
LATEST_NS = (1 << 63) - 1

Blocks = Iterator[tuple[Frames, Block]]


@dataclass
class Feed:
    """One capture, not opened yet."""

    #: Its number in the run.
    capture: int
    #: Opens it, and yields its records with what they were decoded to.
    blocks: Callable[[], Blocks]
    #: Where to note what is found of times that step back.
    disorder: Disorder
    #: Time of its first record; None if that is not known: it is opened at once.
    first_ns: int | None = None

    @property
    def begins(self) -> Place:
        """No row of it belongs before this."""
        return (EARLIEST_NS if self.first_ns is None else max(self.first_ns - INTERFACES_NS, EARLIEST_NS), self.capture)


class Merge:
    """Iterated once: the blocks of all captures. `rest` gives what was read, should the iteration be broken off."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._waiting = deque(sorted(feeds, key=lambda feed: feed.begins))
        self._open: list[_Open] = []
        self._shelf = PieceQueue()
        #: Captures that ended, and that one which has not ended yet overlaps, or may.
        self._ended: list[_Open] = []

    def __iter__(self) -> Iterator[Block]:
        while self._waiting or self._open:
            if self._is_time_to_open():
                self._open.append(_Open(self._waiting.popleft()))
            one = min(self._open, key=lambda each: each.settled)
            for piece in one.read():
                self._shelf.put(piece)
            if one.ended:
                self._open.remove(one)
                self._ended.append(one)
            yield from self._take(self._settled())

    @property
    def single_until_ns(self) -> int:
        """No capture that is still to be read shows again what was given up to this time.

        A copy comes within INTERFACES_NS. Captures that follow each other, as the files of a rotation do, show nothing
        twice; of one that is being read it is not known yet whether the next one begins before it ends.
        """
        first = self._shelf.first
        to_come = [*self._open, *(one for one in self._ended if first is not None and one.latest_ns >= first[0])]
        latest_ns = max((one.latest_ns for one in to_come), default=EARLIEST_NS)
        spans = [one.span for one in to_come]
        if self._waiting and self._waiting[0].begins[0] <= latest_ns:
            spans.append((self._waiting[0].begins[0] + INTERFACES_NS, LATEST_NS))
        # Of those that ended only what reaches into others matters any more.
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
        """The segments that were read and not given yet."""
        return [*self._shelf.segments, *(table for one in self._open for table in one.ordering.waiting)]

    def rest(self) -> Iterator[Block]:
        """Yield what was read and not given yet."""
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
        """Return the place that nothing passes which is still to come; None if nothing is."""
        places = [one.settled for one in self._open]
        if self._waiting and len(self._open) < MOST_OPEN:
            places.append(self._waiting[0].begins)
        return min(places, default=None)

    def _take(self, settled: Place | None) -> Iterator[Block]:
        return (piece.block for piece in self._shelf.take(settled))


class _Open:
    """A capture that is being read."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._blocks = feed.blocks()
        self.ordering = Ordering(feed.capture, feed.disorder)
        self.ended = False
        #: Time of the latest record read so far.
        self.latest_ns = EARLIEST_NS
        #: No row that is still to come from it has a place before this one.
        self.settled = feed.begins

    @property
    def span(self) -> tuple[int, int]:
        """From when to when it shows something, as far as that is known."""
        begins_ns = EARLIEST_NS if self._feed.first_ns is None else self._feed.first_ns
        return begins_ns, self.latest_ns if self.ended else LATEST_NS

    def read(self) -> list[Piece]:
        """Read one block. Returns what is settled with it."""
        following = next(self._blocks, None)
        if following is None:
            self.ended = True
            return list(self.ordering.finish())
        self.latest_ns = max(self.latest_ns, int(following[0].time_ns.max(initial=EARLIEST_NS)))
        pieces = list(self.ordering.add(*following))
        self.settled = max((self.ordering.settled, self._feed.capture), self._feed.begins)
        return pieces


def lanes_of(captures: Sequence[CaptureSummary], still_read: Container[int] = ()) -> NDArray[np.int64]:
    """Return a number for each capture, equal for those that follow each other in time, as the files of a rotation do.

    One follows that which ended last when it begins; but both of one instant may be one file that was named twice.
    `still_read` have not ended yet, whatever their last times are.
    """
    spans = [
        (one.first_ns, LATEST_NS if number in still_read else one.last_ns, number)
        for number, one in enumerate(captures)
        if one.first_ns is not None and one.last_ns is not None
    ]
    lanes = np.zeros(len(captures), np.int64)
    ended: list[tuple[int, int, int]] = []  # of each lane when its last capture ends and begins, and the lane
    for first_ns, last_ns, number in sorted(spans):
        place = bisect_right(ended, (first_ns, LATEST_NS, len(lanes))) - 1
        follows = place >= 0 and ended[place][:2] != (last_ns, first_ns)
        lane = ended.pop(place)[2] if follows else len(ended)
        insort(ended, (last_ns, first_ns, lane))
        lanes[number] = lane
    return lanes
