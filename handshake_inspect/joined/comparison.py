"""Two inspections compared: everything that is known of the path between, in columns.

In: two `Inspection`s in which no segment was folded. Out: `Comparison`. This is the only wiring of the modules above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.inspection import Inspection
from handshake_inspect.joined.changes import Changes, find_changes
from handshake_inspect.joined.clocks import Clocks, Offset, compare_clocks
from handshake_inspect.joined.fates import Fates, find_fates
from handshake_inspect.joined.matching import Matching, match
from handshake_inspect.joined.pairing import Pairing, pair
from handshake_inspect.joined.vantage import Vantage, vantage
from handshake_inspect.joined.ways import DirectionFates, find_ways
from handshake_inspect.quantities import duration


class NotOneClockError(ValueError):
    """The caller says that one clock stamped both captures, and the captures prove that it did not."""


@dataclass
class Comparison:
    """Connections are meant by their number in the `Pairing`, segments by their row in the `SeenTable` of a place."""

    first: Vantage
    second: Vantage
    pairing: Pairing
    matching: Matching
    clocks: Clocks
    fates: Fates
    changes: Changes
    ways: DirectionFates

    @property
    def places(self) -> tuple[Vantage, Vantage]:
        """The two places."""
        return self.first, self.second

    def rows(self, place: int, number: int) -> Rows:
        """Return the segments of a connection that a place saw."""
        connection = int((self.pairing.first, self.pairing.second)[place][number])
        start = self.places[place].start
        return np.arange(start[connection], start[connection + 1]) if connection >= 0 else np.zeros(0, np.int64)

    def exchanged(self, number: int) -> tuple[bool, bool]:
        """For each place: does its own inspection have the ends of a connection exchanged?"""
        first = int(self.pairing.first[number])
        return bool(first >= 0 and self.first.is_exchanged[first]), bool(self.pairing.is_flipped[number])


def compare(first: Inspection, second: Inspection, *, same_clock: bool = False) -> Comparison:
    """Compare two inspections. Raises `NotOneClockError`."""
    one, other = vantage(first), vantage(second)
    one, pairing = pair(one, other).as_told(one)
    matching = match(one, other, pairing)
    clocks = compare_clocks(one, other, pairing, matching)
    if same_clock:
        clocks = _as_one(clocks)
    fates = find_fates(one, other, matching, clocks)
    return Comparison(
        first=one,
        second=other,
        pairing=pairing,
        matching=matching,
        clocks=clocks,
        fates=fates,
        changes=find_changes(one, other, pairing, matching, clocks),
        ways=find_ways(one, other, matching, clocks, fates),
    )


def _as_one(clocks: Clocks) -> Clocks:
    """Return the clocks of two captures that one clock stamped."""
    lower, upper = clocks.bounds_ns
    if lower > 0 or upper < 0:
        apart = f"ahead by {duration(lower)}" if lower > 0 else f"behind by {duration(-upper)}"
        raise NotOneClockError(f"the second capture's clock is {apart} or more: one clock cannot have stamped both")
    nothing = np.zeros(len(clocks.near_first), np.int64)
    return replace(clocks, lower_ns=nothing, upper_ns=nothing, overall=Offset(0, 0), bounds=None, is_same=True)
