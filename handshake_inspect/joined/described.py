"""Columns -> objects: makes a `JoinedConnection` from a `Comparison` when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import ENDS, Connection, Endpoint, Pair
from handshake_inspect.connections.model import BLOCK_CONNECTIONS
from handshake_inspect.connections.splitting.rows import ORIGINATOR, RESPONDER
from handshake_inspect.joined.changes import BIT
from handshake_inspect.joined.clocks import Clocks, Offset
from handshake_inspect.joined.comparison import Comparison
from handshake_inspect.joined.differences import differences
from handshake_inspect.joined.errors import join_errors
from handshake_inspect.joined.fates import ARRIVED, FATES
from handshake_inspect.joined.model import (
    Change,
    Clock,
    Delays,
    DirectionFate,
    JoinedConnection,
    JoinedError,
    PlacePair,
)
from handshake_inspect.joined.vantage import Vantage
from handshake_inspect.pairs import address

#: How it is known which end a place is near, by the numbers of `clocks`.
KNOWN_BY = ("times", "ttl", "other connections", "order of the files")
#: What can become of a segment besides that it arrives, once and in order.
ROUGH = ("lost", "unseen", "copied", "late", "made", "unsent", "recut", "partly", "missed")
#: No such segments.
SMOOTH: dict[str, tuple[int, ...]] = dict.fromkeys(ROUGH, ())
#: Changes that each segment has for itself.
OF_SEGMENTS = sum(BIT.values()) & ~(BIT["address"] | BIT["port"] | BIT["initial number"])
Ends = tuple[Endpoint | None, Endpoint | None]


def describe(comparison: Comparison, numbers: Rows) -> Iterator[JoinedConnection]:
    """Make the connections with these numbers, one after the other."""
    for a in range(0, len(numbers), BLOCK_CONNECTIONS):
        yield from _made(comparison, numbers[a : a + BLOCK_CONNECTIONS])


def _made(comparison: Comparison, numbers: Rows) -> Iterator[JoinedConnection]:
    """Make some connections, field by field.

    To take what is about one connection out of its arrays costs as much as all that is made of it, so that is done for
    all of them together.
    """
    places, pairing, clocks = comparison.places, comparison.pairing, comparison.clocks
    rows = pairing.first[numbers], pairing.second[numbers]
    exchanged = _are_exchanged(comparison.first, rows[0]), pairing.is_flipped[numbers].tolist()
    flipped = [False] * len(numbers), exchanged[1]  # the sockets of the first place have been exchanged already
    ends = [[*_ends(*one)] for one in zip(places, rows, flipped, strict=True)]
    ways = [_ways(comparison, numbers, side) for side in (ORIGINATOR, RESPONDER)]
    columns: dict[str, Iterable[Any]] = {
        "number": numbers.tolist(),
        "streams": map(PlacePair, *map(_streams, places, rows)),
        "look": (partial(_look, places, at) for at in zip(*(one.tolist() for one in rows), strict=True)),
        "sockets": (
            Pair(PlacePair(o, o_there), PlacePair(r, r_there)) for (o, r), (o_there, r_there) in zip(*ends, strict=True)
        ),
        "exchanged": map(PlacePair, *exchanged),
        "second_tells": pairing.second_tells[numbers].tolist(),
        "initial_seq": _initial_numbers(comparison, numbers),
        "near_first": (ENDS[side] for side in clocks.near_first[numbers].tolist()),
        "near_known_by": (KNOWN_BY[one] for one in clocks.known_by[numbers].tolist()),
        "ways": map(Pair, *ways),
        "changes": _changes(comparison, numbers, ends),
        "icmp_errors": _errors(places, rows, exchanged),
        "clock": _clock_of_each(clocks, numbers),
        "round_trip_ns": (None if one < 0 else one for one in clocks.round_trip_ns[numbers].tolist()),
    }
    captures, cuts = PlacePair(*(place.name for place in places)), PlacePair(*(place.cuts_options for place in places))
    for values in zip(*columns.values(), strict=True):
        yield JoinedConnection(captures=captures, cuts_options=cuts, **dict(zip(columns, values, strict=True)))


def _look(places: Sequence[Vantage], rows: Sequence[int]) -> PlacePair[Connection | None]:
    return PlacePair(*(_connection(*one) for one in zip(places, rows, strict=True)))


def _are_exchanged(place: Vantage, rows: Rows) -> list[bool]:
    """Mark the connections whose ends the inspection of a place has exchanged."""
    return [row >= 0 and bool(one) for row, one in _with(rows, place.is_exchanged)]


def _connection(place: Vantage, row: int) -> Connection | None:
    """Make the connection in this row of a place, None for -1."""
    return next(place.inspection.connections.of_rows(np.array([row]))) if row >= 0 else None


def _streams(place: Vantage, rows: Rows) -> list[int | None]:
    stream_of = place.inspection.connections.stream_of
    return [None if row < 0 else stream for row, stream in _with(rows, stream_of)]


def _with(rows: Rows, *columns: NDArray[Any]) -> Iterator[tuple[int, ...]]:
    """Return these rows, each with its values in the columns; those of row -1 mean nothing."""
    if not all(map(len, columns)):
        return iter([(-1, *[-1] * len(columns))] * len(rows))
    return zip(rows.tolist(), *(column[rows].tolist() for column in columns), strict=True)


def _ends(place: Vantage, rows: Rows, flipped: Sequence[bool]) -> Iterator[Ends]:
    """Yield the sockets of both ends as a place has them, by the ends of the first."""
    names = ("ip_version", *(f"{end}_{part}" for end in "or" for part in ("hi", "lo", "port")))
    told = _with(rows, *(place.sockets[name] for name in names))
    for (row, version, *parts), is_flipped in zip(told, flipped, strict=True):
        ends = (None, None) if row < 0 else (_endpoint(version, *parts[:3]), _endpoint(version, *parts[3:]))
        yield ends[::-1] if is_flipped else ends


@lru_cache(maxsize=4 * BLOCK_CONNECTIONS)
def _endpoint(ip_version: int, upper: int, lower: int, port: int) -> Endpoint:
    """Return a socket address; cached, because mostly both places have the same."""
    return Endpoint(address(ip_version, upper, lower), port)


def _errors(
    places: Sequence[Vantage], rows: Sequence[Rows], exchanged: tuple[Sequence[bool], Sequence[bool]]
) -> Iterator[tuple[JoinedError, ...]]:
    """Yield the ICMP errors about each connection."""
    has = [
        [row >= 0 and bool(one) for row, one in _with(some, place.has_icmp_errors)]
        for place, some in zip(places, rows, strict=True)
    ]
    for at, (here, there) in enumerate(zip(*has, strict=True)):
        if not (here or there):
            yield ()
            continue
        one, other = (_connection(place, int(some[at])) for place, some in zip(places, rows, strict=True))
        quoted = one.icmp_errors if one else (), other.icmp_errors if other else ()
        yield tuple(join_errors(*quoted, [there[at] for there in exchanged]))


def _initial_numbers(comparison: Comparison, numbers: Rows) -> Iterator[Pair[int | None]]:
    origins = comparison.matching.origins
    for number, is_initial in zip(origins.number[numbers].tolist(), origins.is_initial[numbers].tolist(), strict=True):
        yield Pair(*(one if known else None for one, known in zip(number, is_initial, strict=True)))


def _ways(comparison: Comparison, numbers: Rows, side: int) -> Iterator[DirectionFate]:
    """Yield the fate of the segments of one side, for each connection."""
    ways = comparison.ways
    columns = (
        ways.sent, ways.arrived, ways.is_rough, comparison.changes.routers, ways.has_delays, ways.least_ns,
        ways.median_ns, ways.greatest_ns,
    )  # fmt: skip
    told = zip(numbers.tolist(), *(column[numbers, side].tolist() for column in columns), strict=True)
    for number, sent, arrived, is_rough, routers, has_delays, *delays in told:
        fates = _rough(comparison, number, side) if is_rough else {}
        yield DirectionFate(
            sent=sent,
            arrived=arrived,
            **({name: fates.get(name, ()) for name in ROUGH} if fates else SMOOTH),
            routers=None if routers < 0 else routers,
            delays=Delays(*delays) if has_delays else None,
        )


def _rough(comparison: Comparison, number: int, side: int) -> dict[str, tuple[int, ...]]:
    """Return the frames of the segments of an end that did not simply arrive, by their fate."""
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


def _clock_of_each(clocks: Clocks, numbers: Rows) -> Iterator[Clock | None]:
    known_by = "same" if clocks.is_same else "all" if clocks.overall is not None else "connection"
    for lower_ns, upper_ns in zip(clocks.lower_ns[numbers].tolist(), clocks.upper_ns[numbers].tolist(), strict=True):
        offset = Offset.between(lower_ns, upper_ns)
        yield None if offset is None else Clock(offset.middle_ns, offset.uncertainty_ns, known_by)


def _changes(comparison: Comparison, numbers: Rows, ends: Sequence[Sequence[Ends]]) -> Iterator[tuple[Change, ...]]:
    """Yield what was changed on the path, for each connection."""
    has_changed = np.any(comparison.changes.of_end[numbers], axis=1)
    for number, is_changed, *sockets in zip(numbers.tolist(), has_changed.tolist(), *ends, strict=True):
        yield tuple(_changes_of(comparison, number, sockets)) if is_changed else ()


def _changes_of(comparison: Comparison, number: int, ends: Sequence[Ends]) -> Iterator[Change]:
    """Yield the changes of one connection by end: those of all segments, then those of some."""
    near = int(comparison.clocks.near_first[number])
    for side, sender in enumerate(ENDS):
        arrived = int(comparison.ways.arrived[number, side])
        for what, *values in _of_all(comparison, number, side, ends):
            before, after = values if side == near else values[::-1]
            yield Change(what, sender, before, after, arrived, arrived)
        if int(comparison.changes.of_end[number, side]) & OF_SEGMENTS:
            yield from _of_segments(comparison, number, side, arrived)


def _of_all(comparison: Comparison, number: int, side: int, ends: Sequence[Ends]) -> Iterator[tuple[str, str, str]]:
    """Yield what differs in all segments of an end: the value at the first place, and at the second."""
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
    """Yield what changed in some segments of an end, each kind once: its first occurrence, and the count."""
    to_second = side == int(comparison.clocks.near_first[number])
    first: dict[str, tuple[str, str]] = {}
    count: Counter[str] = Counter()
    for place in _changed(comparison, number, side):
        for what, before, after in differences(comparison, place, to_second=to_second):
            first.setdefault(what, (before, after))
            count[what] += 1
    for what, (before, after) in first.items():
        yield Change(what, ENDS[side], before, after, count[what], arrived)


def _changed(comparison: Comparison, number: int, side: int) -> Sequence[int]:
    """Return the matched segments of an end that were changed."""
    rows = comparison.rows(0, number)
    matched = comparison.matching.of_first[rows]
    own = (matched >= 0) & (comparison.matching.left.direction[rows] == 2 * number + side)
    places = matched[own]
    found: list[int] = places[comparison.changes.of_segment[places] != 0].tolist()
    return found
