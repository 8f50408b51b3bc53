"""The rarer blocks of pcapng, one by one, and the options at the end of all blocks.

In: the octets of a block between its lengths, and the byte order of its section. Out: interfaces and their clocks, and
what goes into `About`. Read sections 3.5 (options), 4.1, 4.2, 4.5 and 4.6 of draft-ietf-opsawg-pcapng first. A block
that is too short says nothing; what follows a broken option or record is left out; neither ends the reading.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.about import About, InterfaceAbout, text_of
from handshake_inspect.capture.formats.walk import Mask, Offsets
from handshake_inspect.table import PACKET_OUTGOING, PACKET_TYPE_UNKNOWN

#: Rows of columns, chosen as numpy takes them.
Rows = slice | Offsets | Mask

#: Option codes of all blocks, of section headers, interface descriptions, interface statistics and packets.
OPT_END, OPT_COMMENT = 0, 1
SHB_HARDWARE, SHB_OS, SHB_USERAPPL = 2, 3, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_FILTER, IF_OS, IF_TSOFFSET, IF_HARDWARE = 2, 3, 9, 11, 12, 14, 15
ISB_IFDROP, ISB_OSDROP = 5, 7
EPB_FLAGS, EPB_DROPCOUNT = 2, 4
#: epb_flags by Linux packet type: to us, broadcast, multicast, to somebody else (seen by promiscuous mode), sent by us.
#: Bits 0-1: 1 came in, 2 went out; bits 2-4: 1 unicast, 2 multicast, 3 broadcast, 4 promiscuous (section 4.3.1).
FLAGS_OF_PACKET_TYPE = (1 | 1 << 2, 1 | 3 << 2, 1 | 2 << 2, 1 | 4 << 2, 2)
#: And back, by those five bits; what came in need not say how it was addressed.
PACKET_TYPE_OF_FLAGS = np.full(1 << 5, PACKET_TYPE_UNKNOWN, np.uint8)
PACKET_TYPE_OF_FLAGS[1::4] = 0
PACKET_TYPE_OF_FLAGS[2::4] = PACKET_OUTGOING
PACKET_TYPE_OF_FLAGS[list(FLAGS_OF_PACKET_TYPE)] = range(5)
#: Drops of an obsolete packet block that are not known.
DROPS_UNKNOWN = 0xFFFF
#: Records of name resolution blocks.
NRB_END, NRB_IPV4, NRB_IPV6 = 0, 1, 2
#: Of one block no more octets than these are looked at for options and names: a longer list is no list.
MOST_LISTED_OCTETS = 1 << 20
MOST_BODY_OCTETS = MOST_LISTED_OCTETS + 64
#: Options of one packet that are looked at together with those of all others.
OPTIONS_TOGETHER = 16
#: Seconds since the epoch that nanoseconds in 64 bits can hold.
MOST_SECONDS = 9_223_372_035


@dataclass(frozen=True)
class Interface:
    """What an interface description block says."""

    link_type: int
    #: Longest frame that was captured; 0: no limit.
    snaplen: int
    #: Units of time in a second.
    units_per_second: int = 1_000_000
    #: Seconds to add to every time.
    offset_seconds: int = 0
    about: InterfaceAbout = field(default_factory=lambda: InterfaceAbout(0xFFFF), compare=False)

    def time_ns(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Convert times of this interface to nanoseconds since the epoch, cut to what 64 bits can hold.

        The specification's times are unsigned, but one above 2**63 units is taken for negative: it is centuries
        away otherwise, there are captures with such times, and so at least their differences are right.
        """
        per_second = self.units_per_second
        if per_second > 1 << 33:  # the product below could overflow
            exact = [nanoseconds(unit, per_second, self.offset_seconds) for unit in units.tolist()]
            return np.array(exact, np.int64)
        latest = (MOST_SECONDS - abs(self.offset_seconds)) * per_second
        if 1_000_000_000 % per_second == 0 and -latest <= units.min(initial=0) and units.max(initial=0) <= latest:
            return units * (1_000_000_000 // per_second) + self.offset_seconds * 1_000_000_000
        seconds, rest = np.divmod(units, per_second)
        whole = np.clip(seconds, -MOST_SECONDS, MOST_SECONDS) + self.offset_seconds
        fraction: NDArray[np.int64] = rest * 1_000_000_000 // per_second
        fraction += np.clip(whole, -MOST_SECONDS, MOST_SECONDS) * 1_000_000_000
        return fraction


def nanoseconds(units: int, per_second: int, offset_seconds: int = 0) -> int:
    """Convert one time likewise: `units` of which `per_second` make a second."""
    seconds, rest = divmod(units - (units >> 63 << 64 if units > 0 else 0), per_second)
    seconds = max(-MOST_SECONDS, min(max(-MOST_SECONDS, min(seconds, MOST_SECONDS)) + offset_seconds, MOST_SECONDS))
    return seconds * 1_000_000_000 + rest * 1_000_000_000 // per_second


def read_section(body: bytes, order: str, about: About) -> None:
    """Note what a section header says: comments, hardware, operating system, application (section 4.1)."""
    for code, value in options_of(body[16:], order):
        if code == OPT_COMMENT:
            about.add_comment(text_of(value))
        elif code == SHB_HARDWARE:
            about.hardware = about.hardware or text_of(value)
        elif code == SHB_OS:
            about.os = about.os or text_of(value)
        elif code == SHB_USERAPPL:
            about.application = about.application or text_of(value)


def read_interface(body: bytes, order: str) -> Interface:
    """Read an interface description (section 4.2)."""
    if len(body) < 8:
        return Interface(link_type=0xFFFF, snaplen=0)
    link_type, _, snaplen = struct.unpack_from(order + "HHI", body)
    options = list(options_of(body[8:], order))
    said = dict(options)
    units_per_second = 1_000_000
    if len(resolution := said.get(IF_TSRESOL, b"")) == 1:
        exponent = resolution[0] & 0x7F
        units_per_second = 2**exponent if resolution[0] & 0x80 else 10**exponent
    offset_seconds = 0
    if len(value := said.get(IF_TSOFFSET, b"")) == 8:
        offset_seconds = max(-MOST_SECONDS, min(struct.unpack(order + "q", value)[0], MOST_SECONDS))
    about = _described(InterfaceAbout(link_type, snaplen or None), said)
    about.comments = [text_of(value) for code, value in options if code == OPT_COMMENT]
    return Interface(link_type, snaplen, units_per_second, offset_seconds, about)


def _described(interface: InterfaceAbout, said: dict[int, bytes]) -> InterfaceAbout:
    """Fill in the texts of an interface description."""
    interface.name, interface.description, interface.hardware, interface.os = (
        text_of(said[code]) if code in said else None for code in (IF_NAME, IF_DESCRIPTION, IF_HARDWARE, IF_OS)
    )
    if said.get(IF_FILTER, b"")[:1] == b"\0":  # what follows is text, as tcpdump takes it; 1 is BPF code
        interface.filter = text_of(said[IF_FILTER][1:])
    return interface


def read_names(body: bytes, order: str, about: About) -> None:
    """Note the names of a name resolution block, and comments on it (section 4.5)."""
    at, octets = 0, body[:MOST_LISTED_OCTETS]
    while at + 4 <= len(octets):
        kind, length = struct.unpack_from(order + "HH", octets, at)
        at += 4
        if kind == NRB_END or at + length > len(octets):
            break
        address_octets = {NRB_IPV4: 4, NRB_IPV6: 16}.get(kind, length)
        if length > address_octets:
            address = str(ipaddress.ip_address(octets[at : at + address_octets]))
            for name in octets[at + address_octets : at + length].split(b"\0"):
                about.add_name(address, text_of(name))
        at += length + 3 & ~3
    for code, value in options_of(octets[at:], order):
        if code == OPT_COMMENT:
            about.add_comment(text_of(value))


def options_of(octets: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the options of a block, code and value (section 3.5); what follows a broken one is left out."""
    at, end = 0, min(len(octets), MOST_LISTED_OCTETS)
    while at + 4 <= end:
        code, length = struct.unpack_from(order + "HH", octets, at)
        if code == OPT_END or at + 4 + length > end:
            return
        yield code, octets[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)


def options_of_packets(
    octets: NDArray[np.uint8], order: str, begin: Offsets, end: Offsets, wanted: Collection[int]
) -> list[tuple[int, int, bytes]]:
    """Return row, code and value of the wanted options of many packets, whose options stand in [begin, end).

    The first options of all packets are looked at together, then the second ones, and so on: captures of some systems
    have options on every packet, but seldom wanted ones, and a loop over packets would cost more than all else.
    """
    halves = np.ndarray((len(octets) - 1,), f"{order}u2", octets, 0, (1,))
    rows = np.flatnonzero(end - begin >= 4)
    at, found = begin[rows], list[tuple[int, int, bytes]]()
    for _ in range(OPTIONS_TOGETHER):
        code, length = halves[at], halves[at + 2].astype(np.int64)
        whole = (code != OPT_END) & (at + 4 + length <= end[rows])
        rows, at, code, length = rows[whole], at[whole], code[whole], length[whole]
        for one in np.flatnonzero(np.isin(code, list(wanted))).tolist():
            value = octets[at[one] + 4 : at[one] + 4 + length[one]].tobytes()
            found.append((int(rows[one]), int(code[one]), value))
        at = at + 4 + (length + 3 & ~3)
        more = at + 4 <= end[rows]
        rows, at = rows[more], at[more]
        if not len(rows):
            break
    for row, start in zip(rows.tolist(), at.tolist(), strict=True):
        rest = options_of(octets[start : end[row]].tobytes(), order)
        found += [(row, code, value) for code, value in rest if code in wanted]
    found.sort(key=lambda one: one[0])
    return found


def packet_types(octets: NDArray[np.uint8], order: str, begin: Offsets, end: Offsets) -> NDArray[np.uint8]:
    """Return the Linux packet types that the options of packets in [begin, end) tell (epb_flags).

    Mostly these are the first option, if there are any.
    """
    found = np.full(len(begin), PACKET_TYPE_UNKNOWN, np.uint8)
    halves = np.ndarray((len(octets) - 1,), f"{order}u2", octets, 0, (1,))
    words = np.ndarray((len(octets) - 3,), f"{order}u4", octets, 0, (1,))
    rows = np.flatnonzero(end - begin >= 8)
    first = (halves[begin[rows]] == EPB_FLAGS) & (halves[begin[rows] + 2] == 4)
    rows, others = rows[first], rows[~first]
    found[rows] = PACKET_TYPE_OF_FLAGS[words[begin[rows] + 4] & 31]
    for row, _, value in options_of_packets(octets, order, begin[others], end[others], (EPB_FLAGS,)):
        if len(value) == 4:
            found[others[row]] = PACKET_TYPE_OF_FLAGS[struct.unpack(order + "I", value)[0] & 31]
    return found


@dataclass(frozen=True)
class Described:
    """Which interfaces hold at blocks that were read together; columns, an entry per block."""

    #: Number of its section, counted over those that are read together.
    section: Offsets
    #: Where in the list of interfaces those of its section begin, and where those end that stand before it.
    first: Offsets
    known: Offsets

    def __getitem__(self, rows: Rows) -> Described:
        return Described(self.section[rows], self.first[rows], self.known[rows])

    def at(self, row: int) -> tuple[int, int]:
        """Return the section of one block, and where the interfaces of that begin."""
        return int(self.section[row]), int(self.first[row])


#: An interface, by the number of its section and its own number in that.
Numbered = tuple[int, int]


@dataclass
class Section:
    """What holds from one section header to the next, or to the next one that is read otherwise."""

    byte_order: str
    #: Of the whole file.
    about: About
    #: How many interfaces the sections before it have described.
    interfaces_before: int = 0
    interfaces: list[Interface] = field(default_factory=list)
    #: Sections before it that are read together with it.
    number: int = 0
    #: Per interface, the frames it lost up to its last statistics block, and those that its packets tell of.
    dropped: dict[Numbered, int] = field(default_factory=dict)
    dropped_before_packets: dict[Numbered, int] = field(default_factory=dict)
    #: Does every block repeat its length at its end? Not where the section header does not.
    repeats_lengths: bool = True

    def is_read_like(self, other: Section) -> bool:
        """Tell whether blocks of both can be read together."""
        return (self.byte_order, self.repeats_lengths) == (other.byte_order, other.repeats_lengths)

    @property
    def lost(self) -> int | None:
        """Frames that its interfaces lost; None if it does not say. Statistics count more than packets."""
        dropped = self.dropped_before_packets | self.dropped
        return sum(dropped.values()) if dropped else None

    def go_on_with(self, number: int, first: int) -> int | None:
        """Forget the sections before this one, whose interfaces begin at `first`; return what they have lost."""
        if number == self.number:
            return None
        ended = Section(self.byte_order, self.about)
        for kept, left in (
            (self.dropped, ended.dropped),
            (self.dropped_before_packets, ended.dropped_before_packets),
        ):
            left |= {one: kept.pop(one) for one in list(kept) if one[0] < number}
        del self.interfaces[:first]
        self.interfaces_before += first
        self.number = number
        return ended.lost

    def read_statistics(self, body: bytes, section: int, first: int, known: int) -> None:
        """Note drops of an interface, and comments on it (section 4.6).

        `section`: the number of the section it stands in; `first`, `known`: where the interfaces of that begin and end.
        """
        if len(body) < 12:
            return
        number = struct.unpack_from(self.byte_order + "I", body)[0]
        place = first + number
        interface = self.interfaces[place].about if place < known else InterfaceAbout(0xFFFF)
        drops = []
        for code, value in options_of(body[12:], self.byte_order):
            if code == OPT_COMMENT:
                self.about.add_interface_comment(interface, text_of(value))
            elif code in (ISB_IFDROP, ISB_OSDROP) and len(value) == 8:
                drops.append(struct.unpack(self.byte_order + "Q", value)[0])
        if drops:
            self.dropped[section, number] = interface.dropped = sum(drops)

    def note_options(
        self,
        octets: NDArray[np.uint8],
        frame: Offsets,
        interface: Offsets,
        described: Described,
        begin: Offsets,
        end: Offsets,
    ) -> None:
        """Note comments and drops in the options of packets (section 4.3), which stand in [begin, end)."""
        wanted = (OPT_COMMENT, EPB_DROPCOUNT)
        for row, code, value in options_of_packets(octets, self.byte_order, begin, end, wanted):
            if code == OPT_COMMENT:
                self.about.add_frame_comment(int(frame[row]), text_of(value))
            elif len(value) == 8:
                drops = struct.unpack(self.byte_order + "Q", value)[0]
                self._note_drops(int(interface[row]), drops, *described.at(row))

    def note_obsolete_drops(self, interface: Offsets, described: Described, drops: NDArray[np.uint16]) -> None:
        """Note the drops that stand in the headers of obsolete packet blocks (appendix A)."""
        for row in np.flatnonzero((drops != DROPS_UNKNOWN) & (drops != 0)).tolist():
            self._note_drops(int(interface[row]), int(drops[row]), *described.at(row))

    def _note_drops(self, interface: int, count: int, section: int, first: int) -> None:
        """Count frames that were lost before a packet of an interface."""
        before, one = self.dropped_before_packets, (section, interface)
        before[one] = before.get(one, 0) + count
        if one not in self.dropped:
            self.interfaces[first + interface].about.dropped = before[one]
