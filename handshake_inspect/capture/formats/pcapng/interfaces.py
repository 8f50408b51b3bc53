"""Interfaces of a pcapng file as columns: link type, snaplen and clock; the times of their packets.

In: interface description blocks (section 4.2 of draft-ietf-opsawg-pcapng). Out: link types, snaplens and nanoseconds
since the epoch. What a description says in words is read by `notes`. One that is too short has no link type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.formats.pcapng.blocks import INTERFACE, INTERFACE_OCTETS, SECTION_HEADER, Blocks, Chosen
from handshake_inspect.capture.formats.pcapng.options import IF_TSOFFSET, IF_TSRESOL, options_of_many
from handshake_inspect.capture.formats.walk import Offsets
from handshake_inspect.plain import frozen

#: Link type of an interface that is not described as it must be.
NO_LINK_TYPE = 0xFFFF
#: Resolution of an interface that names none: units of 10**-6 s.
MICROSECONDS = 6
#: Seconds since the epoch that nanoseconds in 64 bits can hold.
MOST_SECONDS = 9_223_372_035
#: What is kept of an interface. A snaplen of 0: no limit. `resolution`: if_tsresol; `offset_seconds`: to add to times.
DESCRIPTION = np.dtype([("link_type", "u2"), ("resolution", "u1"), ("snaplen", "i8"), ("offset_seconds", "i8")])
Descriptions = NDArray[Any]


def read_interfaces(blocks: Blocks) -> Descriptions:
    """Read interface descriptions, all together."""
    found = np.zeros(len(blocks), DESCRIPTION)
    is_whole = blocks.length >= INTERFACE_OCTETS
    found["link_type"] = np.where(is_whole, blocks.numbers(blocks.at + 8, 2), NO_LINK_TYPE)
    found["snaplen"] = np.where(is_whole, blocks.numbers(blocks.at + 12, 4), 0)
    found["resolution"] = MICROSECONDS
    for options in options_of_many(
        blocks.octets, blocks.byte_order, *where_options_are(blocks), (IF_TSRESOL, IF_TSOFFSET)
    ):
        # Of several the last one counts: numpy assigns in order.
        resolution, offset = options[options.code == IF_TSRESOL], options[options.code == IF_TSOFFSET]
        found["resolution"][resolution.block] = np.where(resolution.length == 1, resolution.numbers("u1"), MICROSECONDS)
        seconds = np.clip(offset.numbers("i8"), -MOST_SECONDS, MOST_SECONDS)
        found["offset_seconds"][offset.block] = np.where(offset.length == 8, seconds, 0)
    return found


def where_options_are(blocks: Blocks) -> tuple[Offsets, Offsets, Offsets]:
    """Return the rows of interface descriptions, and where the options of each begin and end."""
    return np.arange(len(blocks)), blocks.at + INTERFACE_OCTETS - 4, blocks.at + blocks.length - 4


class Interfaces:
    """The interfaces of the section that goes on, by their number over all sections."""

    def __init__(self) -> None:
        #: The number of the first that is kept, and of the next one.
        self.begin = self.end = 0
        self._room = np.zeros(4, DESCRIPTION)

    @property
    def _kept(self) -> Descriptions:
        return self._room[: self.end - self.begin]

    def add(self, more: Descriptions) -> None:
        """Add those that are described next; the room doubles, so that it is seldom made anew."""
        kept = self._kept
        if len(kept) + len(more) > len(self._room):
            self._room = np.zeros(2 * (len(kept) + len(more)), DESCRIPTION)
            self._room[: len(kept)] = kept
        self._room[len(kept) : len(kept) + len(more)] = more
        self.end += len(more)

    def forget_before(self, number: int) -> None:
        """Forget those of sections that have ended."""
        self._room = self._room[number - self.begin :].copy()
        self.begin = number

    def snaplens(self, number: Offsets) -> Offsets:
        """Return the snaplens of these interfaces; 0: no limit."""
        snaplens: Offsets = self._kept["snaplen"][number - self.begin]
        return snaplens

    def times_and_links(self, number: Offsets, units: Offsets) -> tuple[Offsets, NDArray[np.uint16]]:
        """Return the times of packets in nanoseconds, given in units of their interfaces, and their link types."""
        if len(number) and (number == number[0]).all():  # mostly there is one interface
            (one,) = self._kept[number[:1] - self.begin]
            return times_ns(units, one["resolution"], one["offset_seconds"]), np.full(len(units), one["link_type"])
        each = self._kept[number - self.begin]
        resolution, offset_seconds = each["resolution"].copy(), each["offset_seconds"]
        found = np.zeros(len(units), np.int64)
        for value in np.flatnonzero(np.bincount(resolution)).tolist():
            rows = np.flatnonzero(resolution == value)
            found[rows] = times_ns(units[rows], value, offset_seconds[rows])
        return found, each["link_type"].copy()


def times_ns(units: Offsets, resolution: int, offset_seconds: Offsets) -> Offsets:
    """Convert times of one resolution (if_tsresol) to nanoseconds since the epoch, cut to what 64 bits can hold.

    The specification's times are unsigned, but one above 2**63 units is taken for negative: it is centuries
    away otherwise, there are captures with such times, and so at least their differences are right.
    """
    exponent = int(resolution) & 0x7F
    per_second = 2**exponent if resolution & 0x80 else 10**exponent
    if per_second > 1 << 33:  # the product below could overflow
        offsets = np.broadcast_to(offset_seconds, units.shape).tolist()
        exact = [nanoseconds(unit, per_second, offset) for unit, offset in zip(units.tolist(), offsets, strict=True)]
        return np.array(exact, np.int64)
    latest = (MOST_SECONDS - int(np.abs(offset_seconds).max(initial=0))) * per_second
    if 1_000_000_000 % per_second == 0 and -latest <= units.min(initial=0) and units.max(initial=0) <= latest:
        exact_ns: Offsets = units * (1_000_000_000 // per_second) + offset_seconds * 1_000_000_000
        return exact_ns
    seconds, rest = np.divmod(units, per_second)
    whole = np.clip(seconds, -MOST_SECONDS, MOST_SECONDS) + offset_seconds
    fraction: Offsets = rest * 1_000_000_000 // per_second
    fraction += np.clip(whole, -MOST_SECONDS, MOST_SECONDS) * 1_000_000_000
    return fraction


def nanoseconds(units: int, per_second: int, offset_seconds: int = 0) -> int:
    """Convert one time likewise: `units` of which `per_second` make a second."""
    seconds, rest = divmod(units - (units >> 63 << 64 if units > 0 else 0), per_second)
    seconds = max(-MOST_SECONDS, min(max(-MOST_SECONDS, min(seconds, MOST_SECONDS)) + offset_seconds, MOST_SECONDS))
    return seconds * 1_000_000_000 + rest * 1_000_000_000 // per_second


@frozen
class DescribedInterfaces:
    """Which interfaces are described at blocks; columns with an entry per block."""

    #: Number of its section.
    section: Offsets
    #: Over all sections, the number of the first interface of its section, and of the one to be described next.
    first: Offsets
    known: Offsets

    @classmethod
    def at(cls, blocks: Blocks, section: int, first: int, known: int) -> DescribedInterfaces:
        """Go through blocks; `section`, `first` and `known` say what holds before them."""
        known_at = known + np.cumsum(blocks.kind == INTERFACE)
        is_header = blocks.kind == SECTION_HEADER
        if not is_header.any():
            same = np.broadcast_to(np.array([[section], [first]]), (2, len(blocks)))
            return cls(same[0], same[1], known_at)
        first_at = np.maximum.accumulate(np.where(is_header, known_at, first))
        return cls(section + np.cumsum(is_header), first_at, known_at)

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, rows: Chosen) -> DescribedInterfaces:
        return DescribedInterfaces(self.section[rows], self.first[rows], self.known[rows])
