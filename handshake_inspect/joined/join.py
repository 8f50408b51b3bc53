"""`join()`: two captures of the same connections, and what happened to them on the path between.

In: two sources. Out: `Joined`, whose connections and their segments are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.inputs import Source
from handshake_inspect.connections.splitting.rows import RESPONDER
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.joined.changes import BIT
from handshake_inspect.joined.clocks import NAMED, Offset
from handshake_inspect.joined.comparison import Comparison, compare
from handshake_inspect.joined.crossing import cross
from handshake_inspect.joined.described import describe
from handshake_inspect.joined.model import JoinedConnection, Moment


class Joined(Sequence[JoinedConnection]):
    """Every connection of two captures, numbered as the streams of the first; then what only the second has."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def __len__(self) -> int:
        return len(self.comparison.pairing)

    @overload
    def __getitem__(self, index: int) -> JoinedConnection: ...
    @overload
    def __getitem__(self, index: slice) -> list[JoinedConnection]: ...
    def __getitem__(self, index: int | slice) -> JoinedConnection | list[JoinedConnection]:
        numbers = np.arange(len(self))
        return list(self.of(numbers[index])) if isinstance(index, slice) else next(self.of(numbers[[index]]))

    def __iter__(self) -> Iterator[JoinedConnection]:
        return self.of(np.arange(len(self)))

    def of(self, numbers: Rows) -> Iterator[JoinedConnection]:
        """Make the connections with these numbers, one after the other."""
        return describe(self.comparison, numbers)

    def numbers(self, first: Rows, second: Rows) -> Rows:
        """Return the connections that are among these streams of the first capture, or among those of the second."""
        pairing, found = self.comparison.pairing, np.zeros(len(self), np.bool_)
        for rows, place, streams in ((pairing.first, self.comparison.first, first),
                                     (pairing.second, self.comparison.second, second)):  # fmt: skip
            seen = np.flatnonzero(rows >= 0)
            found[seen] |= np.isin(place.inspection.connections.stream_of[rows[seen]], streams)
        return np.flatnonzero(found)

    def moments(self, number: int) -> Sequence[Moment]:
        """Return what both places saw of a connection, segment by segment, in one order."""
        return cross(self.comparison, number)

    def changed(self, numbers: Rows) -> dict[str, int]:
        """Return what was changed on the way of these connections, and of how many."""
        bits = np.bitwise_or.reduce(self.comparison.changes.of_end[numbers], axis=1)
        counts = {what: int(((bits & bit) != 0).sum()) for what, bit in BIT.items()}
        return {what: count for what, count in counts.items() if count}

    @property
    def inspections(self) -> tuple[Inspection, Inspection]:
        """The two captures, each by itself."""
        return self.comparison.first.inspection, self.comparison.second.inspection

    @property
    def pairs(self) -> int:
        """How many connections were seen at both places."""
        return int(self.comparison.pairing.at_both.sum())

    @property
    def swapped(self) -> tuple[int, int]:
        """Of how many connections the first capture is the one near the responder, and of how many that is known.

        It is if a place saw a SYN, and the times or the TTL tell which end each place is near.
        """
        clocks, pairing = self.comparison.clocks, self.comparison.pairing
        both = np.flatnonzero(pairing.at_both)
        known = np.zeros(len(self), np.bool_)
        for place, rows in ((self.comparison.first, pairing.first), (self.comparison.second, pairing.second)):
            known[both] |= place.iss_known[rows[both]].any(axis=1)
        known &= clocks.known_by != NAMED
        return int((known & (clocks.near_first == RESPONDER)).sum()), int(known.sum())

    @property
    def offset(self) -> Offset | None:
        """The second clock less the first, by all connections together; None if they do not tell, or contradict."""
        return self.comparison.clocks.overall

    @property
    def contradiction_ns(self) -> int:
        """How far the clocks drifted apart, or were set, at least; 0 if nothing shows that they did."""
        return self.comparison.clocks.contradiction_ns


def join(first: Source, second: Source, *, reader: str = "auto", same_clock: bool = False) -> Joined:
    """Join two captures of the same connections, one from each end of a way. Which end each is near is found out.

    Every segment is kept in memory, about 340 octets each, and 400 while they are compared. `same_clock`: one clock
    stamped both (the same host, or hosts that PTP keeps together); raises `NotOneClockError` if that cannot be by what
    they show. Raises `CaptureError` if a source cannot be used.
    """
    one, other = (inspect(source, reader=reader, fold=False) for source in (first, second))
    return Joined(compare(one, other, same_clock=same_clock))
