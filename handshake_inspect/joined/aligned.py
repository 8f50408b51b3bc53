"""The segments of both places, in the same terms.

In: two `Vantage`s and their `Pairing`. Out: an `AlignedSegments` for each place, with the directions and numbers of the
first: an end's initial number may have been changed on the way, and all its later ones with it. If only the second
place has seen the initial number of an end, it is converted to a number of the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.joined.pairing import Pairing
from handshake_inspect.joined.vantage import Vantage

#: Control bits that no box on the way changes without making another segment of it.
CORE = SYN | FIN | RST | ACK


@dataclass
class AlignedSegments:
    """The segments of one place, in the rows of its `SeenTable`. Arrays of shape (n,)."""

    #: `2 * connection + side`: the connection by its number in the `Pairing`, the side as the first place has it.
    direction: Rows
    time_ns: Rows
    #: Numbers from the `Origins`, whatever was added to them on the way.
    seq: Rows
    ack: Rows
    payload: Rows
    flags: Rows
    #: These two as narrow as they are in the header: there may be millions.
    window: NDArray[Any]
    ip_id: NDArray[Any]
    #: TSval, -1 without the option.
    timestamp: Rows

    def base(self) -> list[Rows]:
        """The columns by which segments are matched: direction, numbers, length and control bits."""
        return [self.direction, self.seq, self.ack, self.payload, self.flags & CORE]

    def told(self) -> list[NDArray[Any]]:
        """All columns of a segment but its time."""
        return [self.seq, self.ack, self.payload, self.flags, self.window, self.ip_id, self.timestamp]


@dataclass
class Origins:
    """The number from which each end counts. Arrays of shape (c, 2)."""

    #: Its initial number, as the first place has it, or would have it; else the first of its numbers there.
    number: Rows
    #: Is it the initial number?
    is_initial: Mask
    #: What was added on the path to all numbers of an end, modulo 2**32.
    shift: Rows


def align(first: Vantage, second: Vantage, pairing: Pairing) -> tuple[AlignedSegments, AlignedSegments, Origins]:
    """Return the segments of both places, and the numbers from which they count."""
    shift = _shifts(first, second, pairing)
    here, known_here = _initial(first, pairing.first, np.zeros(len(pairing), np.bool_))
    there, known_there = _initial(second, pairing.second, pairing.is_flipped)
    there = (there - shift) % (1 << 32)
    by_second = ((pairing.first < 0)[:, None]) | (known_there & ~known_here)
    number = np.where(by_second, there, here)
    left = _aligned(first, pairing.first, np.zeros(len(pairing), np.bool_), _signed(here - number))
    right = _aligned(second, pairing.second, pairing.is_flipped, _signed(there - number))
    return left, right, Origins(number, known_here | known_there, shift)


def _signed(numbers: Rows) -> Rows:
    """Return differences of sequence numbers modulo 2**32 as signed numbers."""
    return (numbers + (1 << 31)) % (1 << 32) - (1 << 31)


def _initial(place: Vantage, rows: Rows, is_flipped: Mask) -> tuple[Rows, Mask]:
    """Return the initial numbers that a place has, and whether they are proven, by the sides of the first."""
    iss, known = np.zeros((len(rows), 2), np.int64), np.zeros((len(rows), 2), np.bool_)
    seen = rows >= 0
    iss[seen], known[seen] = place.iss[rows[seen]], place.iss_known[rows[seen]]
    iss[is_flipped], known[is_flipped] = iss[is_flipped, ::-1], known[is_flipped, ::-1]
    return iss, known


def _shifts(first: Vantage, second: Vantage, pairing: Pairing) -> Rows:
    """Return what was added to the numbers of each end: the difference of its initial numbers, where both are known.

    An end may have had several (a listener that was started again, SYN cookies): then nothing was added if one place
    has seen the number that the other one counts from. Shape (c, 2).
    """
    there, known = _initial(second, pairing.second, pairing.is_flipped)
    shift = np.zeros_like(there)
    both = pairing.at_both
    here = first.iss[pairing.first[both]]
    shift[both] = np.where(known[both] & first.iss_known[pairing.first[both]], (there[both] - here) % (1 << 32), 0)
    for number, side in np.argwhere(shift).tolist():
        one, other = int(pairing.first[number]), int(pairing.second[number])
        side_there = 1 - side if pairing.is_flipped[number] else side
        if int(there[number, side]) in _syn_numbers(first, one, side) or int(first.iss[one, side]) in _syn_numbers(
            second, other, side_there
        ):
            shift[number, side] = 0
    return shift


def _syn_numbers(place: Vantage, connection: int, side: int) -> set[int]:
    """Return the numbers of all SYNs of one end."""
    at = slice(int(place.start[connection]), int(place.start[connection + 1]))
    syns = ((place.seen["flags"][at] & SYN) != 0) & (place.seen["side"][at] == side)
    numbers: list[int] = ((place.seen["seq"][at][syns] + place.iss[connection, side]) % (1 << 32)).tolist()
    return set(numbers)


def _aligned(place: Vantage, connections: Rows, is_flipped: Mask, offset: Rows) -> AlignedSegments:
    """Return the segments of a place, of which these are the connections; `offset` is added to each end's numbers."""
    number_of = np.empty(len(place), np.int64)
    here = np.flatnonzero(connections >= 0)
    number_of[connections[here]] = here
    seen = place.seen
    number = number_of[seen["connection"]]
    side = seen["side"].astype(np.int64) ^ is_flipped[number]
    flags = seen["flags"].astype(np.int64)
    stamped = seen["has_timestamps"] != 0
    return AlignedSegments(
        direction=2 * number + side,
        time_ns=seen["time_ns"],
        seq=seen["seq"] + offset[number, side],
        ack=np.where(flags & ACK, seen["ack"] + offset[number, 1 - side], 0),
        payload=seen["payload"],
        flags=flags,
        window=seen["window"],
        ip_id=seen["ip_id"],
        timestamp=np.where(stamped, seen["timestamp_value"].astype(np.int64), -1),
    )
