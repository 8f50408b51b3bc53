"""Several captures -> one run, in order of time: two files of one link, or a long capture in files of an hour each.

In: `Feed`s, one for each capture, and when each begins. Out: blocks whose rows are in order of time over all of them. A
capture is opened when the run has come to its beginning, and closed at its end, so that few are open at a time, and
captures that do not overlap are read one after the other, whatever the order in which they were named.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from handshake_inspect.capture.order import INTERFACES_NS, Disorder, Ordering
from handshake_inspect.capture.pieces import EARLIEST_NS, Piece, Place, Shelf
from handshake_inspect.capture.records import Records
from handshake_inspect.table import Block

#: Captures that are read at the same time, at most: more than these that overlap wait for one to end.
MOST_OPEN = 64

Blocks = Iterator[tuple[Records, Block]]


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
        self._shelf = Shelf()

    def __iter__(self) -> Iterator[Block]:
        while self._waiting or self._open:
            if self._is_time_to_open():
                self._open.append(_Open(self._waiting.popleft()))
            one = min(self._open, key=lambda each: each.settled)
            for piece in one.read():
                self._shelf.put(piece)
            if one.ended:
                self._open.remove(one)
            yield from self._take(self._settled())

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

    @property
    def settled(self) -> Place:
        """No row that is still to come from it has a place before this one."""
        first_ns = self._feed.begins[0]  # before its first block
        return (max(self.ordering.settled, first_ns), self._feed.capture)

    def read(self) -> Iterable[Piece]:
        """Read one block. Returns what is settled with it."""
        following = next(self._blocks, None)
        if following is None:
            self.ended = True
            return self.ordering.finish()
        return self.ordering.add(*following)
