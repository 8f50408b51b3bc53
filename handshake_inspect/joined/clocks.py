"""Which end each place is near, and how far the clocks of the two places are apart.

In: a `Matching`. Out: `Clocks`. Nothing arrives before it was sent. So in one direction what the second clock shows
less the first one is at least the difference of the clocks, and at most that in the other: the difference lies between
the greatest of the one and the least of the other (the bounds of RFC 5905 §8, and of V. Paxson, "On Calibrating
Measurements of Packet Transit Times", 1998). How wide that interval is, is how long a segment was at least under way
there and back: for this no two clocks are compared. Which way round it is not empty tells which end each place is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handshake_inspect.joined.matching import Matching
from handshake_inspect.joined.pairing import Pairing
from handshake_inspect.joined.vantage import Mask, Rows, Vantage

#: How it is known which end a place is near: by the times; by the TTL, which routers lower on the way; by the times or
#: TTL of other connections of the same hosts, or of most; by the order in which the captures were named.
TIMES, TTL, OTHERS, NAMED = range(4)
#: No bound.
NEVER, EVER = np.iinfo(np.int64).min // 4, np.iinfo(np.int64).max // 4


@dataclass(frozen=True)
class Offset:
    """The second clock less the first: it lies between two bounds. Nanoseconds."""

    lower_ns: int
    upper_ns: int

    @property
    def middle_ns(self) -> int:
        """The best guess."""
        return (self.lower_ns + self.upper_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """How far it may be off, either way."""
        return (self.upper_ns - self.lower_ns + 1) // 2


@dataclass
class Clocks:
    """Arrays of shape (c,) are about connections, by their number in the `Pairing`."""

    #: Which end the first place is near: ORIGINATOR or RESPONDER. Shape (c,).
    near_first: Rows
    #: How that is known: TIMES ... NAMED. Shape (c,).
    known_by: Rows
    #: Bounds of the second clock less the first, by each connection alone; NEVER and EVER if there is none. Shape (c,).
    lower_ns: Rows
    upper_ns: Rows
    #: The same by all connections together.
    bounds_ns: tuple[int, int]
    #: The same as one; None if one of the bounds is missing, or no value is within all of them.
    overall: Offset | None
    #: Somebody said that it is one clock.
    is_same: bool = False

    @property
    def contradiction_ns(self) -> int:
        """How far the bounds of all together exclude each other: the clocks drifted, or one was set. 0: they do not."""
        lower, upper = self.bounds_ns
        return max(lower - upper, 0) if lower > NEVER and upper < EVER else 0

    def of_connection(self, number: int) -> Offset | None:
        """Return what a connection alone tells, if it does."""
        lower, upper = int(self.lower_ns[number]), int(self.upper_ns[number])
        return Offset(lower, upper) if NEVER < lower <= upper < EVER else None

    @property
    def is_known(self) -> Mask:
        """Is anything known of the clocks during each connection? Shape (c,)."""
        if self.overall is not None:
            return np.ones(len(self.lower_ns), np.bool_)
        known: Mask = (self.lower_ns > NEVER) & (self.upper_ns < EVER) & (self.lower_ns <= self.upper_ns)
        return known

    def offset(self, number: int) -> Offset | None:
        """Return what is known of the clocks during a connection."""
        return self.of_connection(number) if self.overall is None else self.overall

    def middle_ns(self) -> Rows:
        """Return the best guess of the second clock less the first for each connection, 0 where there is none. (c,)."""
        if self.overall is not None:
            return np.full(len(self.lower_ns), self.overall.middle_ns)
        return np.where(self.is_known, (self.lower_ns + self.upper_ns) // 2, 0)


def compare_clocks(first: Vantage, second: Vantage, pairing: Pairing, matching: Matching) -> Clocks:
    """Compare the clocks by what both places saw."""
    usable = ~matching.is_astray
    # A clock that was set in between says nothing of the time before.
    usable &= (first.seen["clock"][matching.first] == 0) & (second.seen["clock"][matching.second] == 0)
    a, b = matching.first[usable], matching.second[usable]
    apart = second.seen["time_ns"][b] - first.seen["time_ns"][a]
    direction = matching.left.direction[a]
    least, greatest = np.full((len(pairing), 2), EVER), np.full((len(pairing), 2), NEVER)
    np.minimum.at(least, (direction >> 1, direction & 1), apart)
    np.maximum.at(greatest, (direction >> 1, direction & 1), apart)
    ttl = np.sign(first.seen["ttl"][a].astype(np.int64) - second.seen["ttl"][b])
    lowered = np.bincount(direction, ttl, 2 * len(pairing)).reshape(-1, 2)
    near, known_by = _near(least, greatest, lowered[:, 0] - lowered[:, 1], _hosts(first, second, pairing))
    every = np.arange(len(pairing))
    lower, upper = greatest[every, 1 - near], least[every, near]
    bounds = int(lower.max(initial=NEVER)), int(upper.min(initial=EVER))
    return Clocks(
        near_first=near,
        known_by=known_by,
        lower_ns=lower,
        upper_ns=upper,
        bounds_ns=bounds,
        overall=Offset(*bounds) if NEVER < bounds[0] <= bounds[1] < EVER else None,
    )


def _near(least: Rows, greatest: Rows, ttl: Rows, hosts: Sequence[Rows]) -> tuple[Rows, Rows]:
    """Decide which end the first place is near, and say how that is known.

    `least`, `greatest`: how far the times of the segments of each end lie apart at the two places. Shape (c, 2).
    `ttl`: above 0 if those of the originator have the higher TTL at the first place. `hosts`: a number for the host of
    each end.
    """
    has_both = (least < EVER).all(axis=1)
    by_times = np.where(has_both, np.sign(least[:, 0] - greatest[:, 1]) - np.sign(least[:, 1] - greatest[:, 0]), 0)
    evidence = np.where(by_times != 0, by_times, ttl)
    votes = np.zeros(int(max((one.max(initial=-1) for one in hosts), default=-1)) + 1)
    for host, sign in zip(hosts, (1, -1), strict=True):
        np.add.at(votes, host, sign * np.sign(evidence))
    voted = votes[hosts[0]] - votes[hosts[1]]
    voted = np.where(voted != 0, voted, np.sign(evidence).sum())
    known_by = np.select([by_times != 0, ttl != 0, voted != 0], [TIMES, TTL, OTHERS], NAMED)
    decided = np.where(evidence != 0, evidence, voted)
    return (decided < 0).astype(np.int64), known_by


def _hosts(first: Vantage, second: Vantage, pairing: Pairing) -> list[Rows]:
    """Number the host of each end of each connection, by its address at the first place, else at the second."""
    here = pairing.first >= 0
    columns = []
    for end in "or":
        for part in ("hi", "lo"):
            column = np.zeros(len(pairing), np.uint64)
            column[here] = first.sockets[f"{end}_{part}"][pairing.first[here]]
            column[~here] = second.sockets[f"{end}_{part}"][pairing.second[~here]]
            columns.append(column)
    pairs = [np.concatenate([columns[0], columns[2]]), np.concatenate([columns[1], columns[3]])]
    _, number = np.unique(np.stack(pairs), axis=1, return_inverse=True)
    return list(number.reshape(2, -1))


def is_near_first(clocks: Clocks, direction: Rows) -> Mask:
    """Say of each of these directions whether its sender is near the first place."""
    near: Mask = (direction & 1) == clocks.near_first[direction >> 1]
    return near
