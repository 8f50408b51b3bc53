"""Columns -> objects: makes a `JoinedConnection` of a `Comparison`, when somebody asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from handshake_inspect.connections.connection import Connection, End, Endpoint, IcmpError, Pair
from handshake_inspect.connections.kinds import SIDES
from handshake_inspect.joined.changes import BIT
from handshake_inspect.joined.comparison import Comparison
from handshake_inspect.joined.differences import differences
from handshake_inspect.joined.errors import join_errors
from handshake_inspect.joined.fates import ARRIVED, FATES
from handshake_inspect.joined.model import Both, Change, Clock, Delays, JoinedConnection, Way
from handshake_inspect.joined.vantage import Rows, Vantage

#: How it is known which end a place is near, by the numbers of `clocks`.
KNOWN_BY = ("times", "ttl", "other connections", "order of the files")
#: What can become of a segment besides that it arrives, once and in order.
ROUGH = ("lost", "unseen", "copied", "late", "made", "unsent", "recut", "partly", "missed")
#: Changes that each segment has for itself.
OF_SEGMENTS = sum(BIT.values()) & ~(BIT["address"] | BIT["port"] | BIT["initial number"])
Ends = tuple[Endpoint | None, Endpoint | None]


def describe(comparison: Comparison, numbers: Rows) -> Iterator[JoinedConnection]:
    """Make the connections with these numbers, one after the other."""
    for number in numbers.tolist():
        yield _make(comparison, number)


def _make(comparison: Comparison, number: int) -> JoinedConnection:
    clocks, exchanged = comparison.clocks, comparison.exchanged(number)
    places = comparison.places
    rows = int(comparison.pairing.first[number]), int(comparison.pairing.second[number])
    here, there = (_ends(*one) for one in zip(places, rows, exchanged, strict=True))
    round_trip_ns = int(clocks.round_trip_ns[number])

    def look() -> Both[Connection | None]:
        return Both(*(_connection(*one) for one in zip(places, rows, strict=True)))

    return JoinedConnection(
        number=number,
        captures=Both(*(place.name for place in places)),
        streams=Both(*(_stream(*one) for one in zip(places, rows, strict=True))),
        look=look,
        sockets=Pair(Both(here[0], there[0]), Both(here[1], there[1])),
        exchanged=Both(*exchanged),
        second_tells=bool(comparison.pairing.second_tells[number]),
        initial_seq=Pair(*(_initial(comparison, number, side) for side in (0, 1))),
        near_first=cast(End, SIDES[int(clocks.near_first[number])]),
        near_known_by=KNOWN_BY[int(clocks.known_by[number])],
        ways=Pair(_way(comparison, number, 0), _way(comparison, number, 1)),
        changes=tuple(_changes(comparison, number, (here, there))),
        icmp_errors=tuple(join_errors(_errors(places[0], rows[0]), _errors(places[1], rows[1]), exchanged)),
        cuts_options=Both(*(place.cuts_options for place in places)),
        clock=_clock(comparison, number),
        round_trip_ns=None if round_trip_ns < 0 else round_trip_ns,
    )


def _connection(place: Vantage, row: int) -> Connection | None:
    """Make the connection in this row of a place, None for -1."""
    return next(place.inspection.connections.of_rows(np.array([row]))) if row >= 0 else None


def _stream(place: Vantage, row: int) -> int | None:
    return int(place.inspection.connections.stream_of[row]) if row >= 0 else None


def _errors(place: Vantage, row: int) -> Sequence[IcmpError]:
    connection = _connection(place, row) if row >= 0 and place.has_icmp_errors[row] else None
    return () if connection is None else connection.icmp_errors


def _initial(comparison: Comparison, number: int, side: int) -> int | None:
    origins, at = comparison.matching.origins, (number, side)
    return int(origins.number[at]) if origins.is_initial[at] else None


def _ends(place: Vantage, row: int, is_exchanged: bool) -> Ends:
    """Return the sockets of both ends as a place has them, by the ends of the first."""
    if row < 0:
        return None, None
    ends = place.inspection.connections.endpoints(
        int(place.table["conversation"][row]), int(place.table["originator_is_higher"][row])
    )
    return ends[::-1] if is_exchanged else ends


def _way(comparison: Comparison, number: int, side: int) -> Way:
    ways, at = comparison.ways, (number, side)
    delays = Delays(int(ways.least_ns[at]), int(ways.median_ns[at]), int(ways.greatest_ns[at]))
    routers = int(comparison.changes.routers[at])
    rough = _rough(comparison, number, side) if ways.is_rough[at] else {}
    return Way(
        sent=int(ways.sent[at]),
        arrived=int(ways.arrived[at]),
        **{fate: rough.get(fate, ()) for fate in ROUGH},
        routers=None if routers < 0 else routers,
        delays=delays if ways.has_delays[at] else None,
    )


def _rough(comparison: Comparison, number: int, side: int) -> dict[str, tuple[int, ...]]:
    """Return the frames of the segments of an end that did not just arrive, by what became of them."""
    found: dict[str, list[int]] = {}
    fates, matching = comparison.fates, comparison.matching
    for place, aligned, fate, late in (
        (0, matching.left, fates.first, fates.late_first),
        (1, matching.right, fates.second, fates.late_second),
    ):
        rows = comparison.rows(place, number)
        rows = rows[(aligned.direction[rows] & 1) == side]
        is_far = (side == int(comparison.clocks.near_first[number])) == bool(place)
        for row in rows[(fate[rows] != ARRIVED) | late[rows]].tolist():
            name = "late" if late[row] else FATES[int(fate[row])]
            if not (name == "recut" and is_far):
                found.setdefault(name, []).append(int(comparison.places[place].seen["frame"][row]))
    return {name: tuple(frames) for name, frames in found.items()}


def _clock(comparison: Comparison, number: int) -> Clock | None:
    clocks = comparison.clocks
    offset = clocks.offset(number)
    if offset is None:
        return None
    known_by = "same" if clocks.is_same else "all" if clocks.overall is not None else "connection"
    return Clock(offset.middle_ns, offset.uncertainty_ns, known_by)


def _changes(comparison: Comparison, number: int, ends: tuple[Ends, Ends]) -> Iterator[Change]:
    """Yield what changed on the way of a connection, by end: for all of its segments, then for some."""
    near = int(comparison.clocks.near_first[number])
    for side in (0, 1):
        arrived = int(comparison.ways.arrived[number, side])
        for what, *values in _of_all(comparison, number, side, ends):
            before, after = values if side == near else values[::-1]
            yield Change(what, cast(End, SIDES[side]), before, after, arrived, arrived)
        if int(comparison.changes.of_end[number, side]) & OF_SEGMENTS:
            yield from _of_segments(comparison, number, side, arrived)


def _of_all(comparison: Comparison, number: int, side: int, ends: tuple[Ends, Ends]) -> Iterator[tuple[str, str, str]]:
    """Yield what is another for all segments of an end, as the first place has it and as the second."""
    bits = int(comparison.changes.of_end[number, side])
    here, there = (sockets[side] for sockets in ends)
    if here is not None and there is not None:
        if bits & BIT["address"]:
            yield "address", here.ip, there.ip
        if bits & BIT["port"]:
            yield "port", str(here.port), str(there.port)
    if bits & BIT["initial number"]:
        origins = comparison.matching.origins
        initial = int(origins.number[number, side])
        yield "initial number", str(initial), str((initial + int(origins.shift[number, side])) % (1 << 32))


def _of_segments(comparison: Comparison, number: int, side: int, arrived: int) -> Iterator[Change]:
    """Yield what changed in some segments of an end, each kind once: how it was first, and in how many."""
    to_second = side == int(comparison.clocks.near_first[number])
    first: dict[str, tuple[str, str]] = {}
    count: Counter[str] = Counter()
    for place in _changed(comparison, number, side):
        for what, before, after in differences(comparison, place, to_second=to_second):
            first.setdefault(what, (before, after))
            count[what] += 1
    for what, (before, after) in first.items():
        yield Change(what, cast(End, SIDES[side]), before, after, count[what], arrived)


def _changed(comparison: Comparison, number: int, side: int) -> Sequence[int]:
    """Return the matched segments of an end that changed on the way."""
    rows = comparison.rows(0, number)
    matched = comparison.matching.of_first[rows]
    own = (matched >= 0) & (comparison.matching.left.direction[rows] == 2 * number + side)
    places = matched[own]
    found: list[int] = places[comparison.changes.of_segment[places] != 0].tolist()
    return found
