"""Which end each place is near, and how far the clocks of the two places are apart.

In: a `Matching`. Out: `Clocks`. No segment arrives before it was sent. So the time by the second clock minus the time
by the first is at least the difference of the clocks in one direction, and at most that in the other: the difference
lies between the greatest of the one and the least of the other (the bounds of RFC 5905 §8, and of V. Paxson, "On
Calibrating Measurements of Packet Transit Times", 1998). The width of that interval is the least round trip between the
places, whatever the clocks show. The assignment of ends to places for which the interval is not empty tells which end
each place is near. Clocks drift: `drift` carries a bound over to other times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.joined.drift import LowerBounds, drifted_ns
from handshake_inspect.joined.matching import Matching
from handshake_inspect.joined.pairing import Pairing
from handshake_inspect.joined.vantage import Vantage
from handshake_inspect.sets import without

#: How it is known which end a place is near: by the times; by the TTL, which routers lower on the way; by the times or
#: TTL of other connections of the same hosts, or of most; by the order in which the captures were named.
TIMES, TTL, OTHERS, NAMED = range(4)
#: No bound.
EVER = np.iinfo(np.int64).max // 4
NEVER = -EVER


@dataclass(frozen=True)
class Offset:
    """The second clock less the first: it lies between two bounds. Nanoseconds."""

    lower_ns: int
    upper_ns: int

    @classmethod
    def between(cls, lower_ns: int, upper_ns: int) -> Offset | None:
        """Return the offset between these bounds; None if one is missing, or they contradict each other."""
        return cls(lower_ns, upper_ns) if NEVER < lower_ns <= upper_ns < EVER else None

    @property
    def middle_ns(self) -> int:
        """The best guess."""
        return (self.lower_ns + self.upper_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """Half the width of the interval: how far the guess may be off."""
        return (self.upper_ns - self.lower_ns + 1) // 2


@dataclass
class Clocks:
    """Arrays of shape (c,) are about connections, by their number in the `Pairing`."""

    #: Which end the first place is near: ORIGINATOR or RESPONDER. Shape (c,).
    near_first: Rows
    #: How that is known: TIMES ... NAMED. Shape (c,).
    known_by: Rows
    #: Bounds of the second clock less the first for as long as each connection lasts; NEVER and EVER if there is none.
    #: By all connections together or, if no drift explains all of these, by each alone. Shape (c,).
    lower_ns: Rows
    upper_ns: Rows
    #: The least time there and back, by each connection alone; -1 if that is not known. Shape (c,).
    round_trip_ns: Rows
    #: The greatest of all lower bounds and the least of all upper ones, at whatever time.
    bounds_ns: tuple[int, int]
    #: Bounds for as long as anything was captured; None if one of them is missing, or no drift explains all.
    overall: Offset | None
    #: All lower bounds, and all upper ones with the other sign, for any time; None if `overall` is.
    bounds: tuple[LowerBounds, LowerBounds] | None
    #: Somebody said that it is one clock.
    is_same: bool = False

    @property
    def contradiction_ns(self) -> int:
        """How far the clocks drifted apart at least, or one was set, if `DRIFT_PPM` does not explain it; else 0."""
        lower, upper = self.bounds_ns
        return max(lower - upper, 0) if self.overall is None and lower > NEVER and upper < EVER else 0

    @property
    def is_known(self) -> Mask:
        """For which connections is the offset of the clocks known? Shape (c,)."""
        return _is_interval(self.lower_ns, self.upper_ns)

    def offset(self, number: int) -> Offset | None:
        """Return the offset of the clocks during a connection; None if it is not known."""
        return Offset.between(int(self.lower_ns[number]), int(self.upper_ns[number]))

    def ahead_ns(self, connection: Rows, time_ns: Rows) -> Rows:
        """Return the best guess of the second clock less the first in these connections at these times by the first.

        It is off by no more than `offset` says of the connection; 0 where nothing is known. Shape (k,), as both.
        """
        if self.bounds is not None:
            lower, upper = self.bounds
            return (lower.at(time_ns) - upper.at(time_ns)) // 2
        return np.where(self.is_known, (self.lower_ns + self.upper_ns) // 2, 0)[connection]


@dataclass
class _Apart:
    """The time differences of segments that both places saw. Arrays of shape (k,)."""

    direction: Rows
    #: By the first clock.
    time_ns: Rows
    #: The second clock less the first.
    apart_ns: Rows
    #: 1 if the TTL is higher at the first place, -1 if it is lower.
    lowered: Rows


def compare_clocks(first: Vantage, second: Vantage, pairing: Pairing, matching: Matching) -> Clocks:
    """Compare the clocks by the segments that both places saw."""
    seen, many = _apart(first, second, matching), len(pairing)
    least = _least(seen.direction, seen.apart_ns, 2 * many).reshape(-1, 2)
    greatest = -_least(seen.direction, -seen.apart_ns, 2 * many).reshape(-1, 2)
    lowered = np.bincount(seen.direction, seen.lowered, 2 * many).reshape(-1, 2)
    near, known_by = _near(least, greatest, lowered[:, 0] - lowered[:, 1], _hosts(first, second, pairing))
    every = np.arange(many)
    lower, upper = greatest[every, 1 - near], least[every, near]
    connection = seen.direction >> 1
    when = _when(first, second, pairing, seen)
    # Of pairs that may be strangers nothing is taken if there are others.
    believed = pairing.is_sure if pairing.is_sure.any() else pairing.at_both
    is_upper = (seen.direction & 1) == near[connection]
    bounds = _bounds(seen, believed[connection] & is_upper, believed[connection] & ~is_upper)
    together = _together(bounds, when, many) if bounds else None
    lasts_ns = np.maximum(-_least(connection, -seen.time_ns, many) - _least(connection, seen.time_ns, many), 0)
    alone = lower - drifted_ns(lasts_ns), upper + drifted_ns(lasts_ns)
    lower_ns, upper_ns = together or alone
    return Clocks(
        near_first=near,
        known_by=known_by,
        lower_ns=lower_ns,
        upper_ns=upper_ns,
        round_trip_ns=np.where(_is_interval(lower, upper), upper - lower, -1),
        bounds_ns=(int(lower[believed].max(initial=NEVER)), int(upper[believed].min(initial=EVER))),
        overall=Offset(int(lower_ns.min()), int(upper_ns.max())) if together else None,
        bounds=bounds if together else None,
    )


def _apart(first: Vantage, second: Vantage, matching: Matching) -> _Apart:
    usable = ~matching.is_astray
    # A clock that was set in between says nothing of the time before.
    usable &= (first.seen["clock"][matching.first] == 0) & (second.seen["clock"][matching.second] == 0)
    a, b = matching.first[usable], matching.second[usable]
    time_ns = first.seen["time_ns"][a]
    lowered = np.sign(first.seen["ttl"][a].astype(np.int64) - second.seen["ttl"][b])
    return _Apart(matching.left.direction[a], time_ns, second.seen["time_ns"][b] - time_ns, lowered)


def _when(first: Vantage, second: Vantage, pairing: Pairing, seen: _Apart) -> tuple[Rows, Rows]:
    """Return at which times bounds are wanted, by the first clock, and for which connections.

    Where both places saw a segment; of connections of which they saw none, from the begin to the end.
    """
    alone = without(np.arange(len(pairing)), seen.direction >> 1)
    here, there = alone[pairing.first[alone] >= 0], alone[pairing.first[alone] < 0]
    usual_ns = int(np.median(seen.apart_ns)) if len(seen.apart_ns) else 0
    connections, times = [seen.direction >> 1], [seen.time_ns]
    for numbers, place, rows, ahead_ns in (
        (here, first, pairing.first, 0),
        (there, second, pairing.second, usual_ns),
    ):
        for column in ("first_ns", "last_ns"):
            connections.append(numbers)
            times.append(place.table[column][rows[numbers]] - ahead_ns)
    return np.concatenate(connections), np.concatenate(times)


def _bounds(seen: _Apart, above: Mask, below: Mask) -> tuple[LowerBounds, LowerBounds] | None:
    """Return all lower bounds, and all upper ones with the other sign. None if either are missing.

    `above`, `below`: what bounds the difference from above, and from below.
    """
    if not above.any() or not below.any():
        return None
    return (
        LowerBounds(seen.time_ns[below], seen.apart_ns[below]),
        LowerBounds(seen.time_ns[above], -seen.apart_ns[above]),
    )


def _together(
    bounds: tuple[LowerBounds, LowerBounds], when: tuple[Rows, Rows], connections: int
) -> tuple[Rows, Rows] | None:
    """Return bounds for each connection from all connections together; None if no drift explains them."""
    connection, when_ns = when
    lower, minus_upper = (one.at(when_ns) for one in bounds)
    if (lower > -minus_upper).any():
        return None
    return _least(connection, lower, connections), -_least(connection, minus_upper, connections)


def _least(group: Rows, values: Rows, groups: int) -> Rows:
    """Return the least value of each group, EVER where there is none. Shape (groups,)."""
    found = np.full(groups, EVER)
    np.minimum.at(found, group, values)
    return found


def _is_interval(lower_ns: Rows, upper_ns: Rows) -> Mask:
    """Are both bounds known, and is the lower one not above the upper one?"""
    found: Mask = (lower_ns > NEVER) & (upper_ns < EVER) & (lower_ns <= upper_ns)
    return found


def _near(least: Rows, greatest: Rows, ttl: Rows, hosts: Sequence[Rows]) -> tuple[Rows, Rows]:
    """Return which end the first place is near, and how that is known.

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
    """Mark the directions whose sender is near the first place."""
    near: Mask = (direction & 1) == clocks.near_first[direction >> 1]
    return near
