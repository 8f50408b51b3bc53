"""Whether two connections that are similar in a few bits are the same one, or strangers.

In: pairs that may be the same connection, by an address or an IP identification of 16 bits. Out: the pairs for which
that is proven. Two captures of one busy server have thousands of clients each, of which any two can agree in 16 bits.
So a pair must agree in 32: in a sequence number or a timestamp of either end, or in the IP identifications of the first
segments of both ends. And nothing may contradict it: the options of the SYNs, the TTL, the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.splitting.rows import ACK
from handshake_inspect.joined.vantage import Vantage, numbered
from handshake_inspect.sets import set_of
from handshake_inspect.tcp.options import parse

#: Bits that prove a pair.
ENOUGH = 32
#: How many segments of an end are compared by IP identification: with more, strangers share one by chance.
FIRST_SEGMENTS = 4
#: Initial TTLs that hosts use; routers lower them, and seldom so far as to the next one.
INITIAL_TTLS = (32, 64, 128, 255)
#: Connections are apart by the clocks, and by so much more: what is under way longer is no proof of anything.
LATE_NS = 1_000_000_000


@dataclass
class Pairs:
    """Rows of the `VerdictTable`s of both places, beside each other."""

    first: Rows
    second: Rows
    #: The originator at one place is the responder at the other.
    flipped: bool = False


def proven(first: Vantage, second: Vantage, pairs: Pairs, sure: Pairs) -> Mask:
    """Mark the pairs that are one connection. `sure`: pairs for which that is known already."""
    if not len(pairs.first):
        return np.zeros(0, np.bool_)
    here, there = _rows(first, pairs.first, flipped=False), _rows(second, pairs.second, flipped=pairs.flipped)
    found: Mask = _shared_bits(here, there, len(pairs.first)) >= ENOUGH
    found &= _offer_the_same(first, second, pairs) & _have_like_ttls(here, there, len(pairs.first))
    return found & _meet(first, second, pairs, sure)


@dataclass
class _Rows:
    """The segments of some pairs at one place. Arrays of shape (n,)."""

    #: `2 * pair + side`, the side as the first place has it; in order of that, then of time.
    direction: Rows
    #: As the capture has them.
    seq: Rows
    ack: Rows
    flags: Rows
    ip_id: Rows
    ttl: Rows
    #: TSval, -1 without the option.
    timestamp: Rows

    @property
    def rank(self) -> Rows:
        """The number of earlier segments of the same direction, for each segment."""
        return np.arange(len(self.direction)) - np.searchsorted(self.direction, self.direction)


def _rows(place: Vantage, connections: Rows, *, flipped: bool) -> _Rows:
    pair_of = np.full(len(place), -1, np.int64)
    pair_of[connections] = np.arange(len(connections))
    seen = place.seen
    rows = np.flatnonzero(pair_of[seen["connection"]] >= 0)
    side = seen["side"][rows].astype(np.int64)
    direction = 2 * pair_of[seen["connection"][rows]] + (side ^ flipped)
    order = np.argsort(direction, kind="stable")
    rows, side, direction = rows[order], side[order], direction[order]
    iss = place.iss[seen["connection"][rows]]
    every = np.arange(len(rows))
    return _Rows(
        direction=direction,
        seq=(seen["seq"][rows] + iss[every, side]) % (1 << 32),
        ack=(seen["ack"][rows] + iss[every, 1 - side]) % (1 << 32),
        flags=seen["flags"][rows].astype(np.int64),
        ip_id=seen["ip_id"][rows].astype(np.int64),
        ttl=seen["ttl"][rows].astype(np.int64),
        timestamp=np.where(seen["has_timestamps"][rows] != 0, seen["timestamp_value"][rows].astype(np.int64), NONE),
    )


def _shared_bits(here: _Rows, there: _Rows, pairs: int) -> Rows:
    """Return in how many bits the numbers and IP identifications of each pair agree."""
    bits = np.zeros(2 * pairs, np.int64)
    for width, marks in ((32, _numbers), (32, _timestamps), (16, _identifications)):
        (one, mark), (other, mark_there) = marks(here), marks(there)
        group = numbered([np.concatenate([one, other]), np.concatenate([mark, mark_there])])
        bits[set_of(one[np.isin(group[: len(one)], group[len(one) :])])] += width
    both: Rows = bits.reshape(-1, 2).sum(axis=1)
    return both


def _numbers(rows: _Rows) -> tuple[Rows, Rows]:
    """Return the numbers of each direction: what its end sends, and what the other one acknowledges."""
    acks = np.flatnonzero(rows.flags & ACK)
    return np.append(rows.direction, rows.direction[acks] ^ 1), np.append(rows.seq, rows.ack[acks])


def _timestamps(rows: _Rows) -> tuple[Rows, Rows]:
    marked = rows.timestamp > 0
    return rows.direction[marked], rows.timestamp[marked]


def _identifications(rows: _Rows) -> tuple[Rows, Rows]:
    marked = (rows.ip_id != 0) & (rows.rank < FIRST_SEGMENTS)
    return rows.direction[marked], rows.ip_id[marked]


def _offer_the_same(first: Vantage, second: Vantage, pairs: Pairs) -> Mask:
    """Do the SYNs of each end, where both places have them whole, offer the same? (The MSS aside.)"""
    offers: dict[tuple[Any, ...], int] = {}

    def of(place: Vantage, connections: Rows, end: str) -> Rows:
        lists = place.table[f"options_{end}"][connections]
        distinct, which = np.unique(lists, return_inverse=True)
        found = [
            NONE if one == NONE or place.is_cut_list[one] else offers.setdefault(_offer(place, one), len(offers))
            for one in distinct.tolist()
        ]
        numbers: Rows = np.array(found, np.int64)[which]
        return numbers

    same = np.ones(len(pairs.first), np.bool_)
    for end, end_there in zip("or", "ro" if pairs.flipped else "or", strict=True):
        here, there = of(first, pairs.first, end), of(second, pairs.second, end_there)
        same &= (here == NONE) | (there == NONE) | (here == there)
    return same


def _offer(place: Vantage, number: int) -> tuple[Any, ...]:
    options = parse(place.inspection.connections.names.options[number])
    return options.window_scale, options.sack_permitted, options.timestamps is not None, options.mptcp is not None


def _have_like_ttls(here: _Rows, there: _Rows, pairs: int) -> Mask:
    """Can the TTLs of each end, where both places have some, come from the same initial one?"""
    initial = np.full((2, 2 * pairs), NONE)
    for place, rows in enumerate((here, there)):
        first = np.flatnonzero(rows.rank == 0)
        initial[place, rows.direction[first]] = np.searchsorted(INITIAL_TTLS, rows.ttl[first])
    alike = (initial[0] == initial[1]) | (initial == NONE).any(axis=0)
    found: Mask = alike.reshape(-1, 2).all(axis=1)
    return found


def _meet(first: Vantage, second: Vantage, pairs: Pairs, sure: Pairs) -> Mask:
    """Did each pair exist at one time, by how far the sure pairs lie apart?"""
    if not len(sure.first):
        return np.ones(len(pairs.first), np.bool_)
    apart = second.table["first_ns"][sure.second] - first.table["first_ns"][sure.first]
    begin, end = (first.table[column][pairs.first] for column in ("first_ns", "last_ns"))
    begin_there, end_there = (second.table[column][pairs.second] for column in ("first_ns", "last_ns"))
    found: Mask = begin + int(apart.min()) - LATE_NS <= end_there
    return found & (end + int(apart.max()) + LATE_NS >= begin_there)
