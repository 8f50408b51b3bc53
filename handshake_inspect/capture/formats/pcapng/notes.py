"""What a pcapng file says of itself: texts, names, comments, and how many frames its interfaces lost.

In: `Blocks`, packets and their options. Out: `About`, and the count of drops. Read sections 4.1, 4.2, 4.5 and 4.6 of
draft-ietf-opsawg-pcapng first. A block that is too short says nothing; what follows a broken option or record is left
out; neither ends the reading. What `About` has no room for is counted, and not decoded.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.about import MOST_INTERFACES, About, InterfaceAbout, text_of
from handshake_inspect.capture.formats.pcapng.blocks import (
    INTERFACE,
    INTERFACE_OCTETS,
    NAMES,
    SECTION_HEADER,
    SECTION_HEADER_OCTETS,
    STATISTICS,
    STATISTICS_OCTETS,
    Blocks,
)
from handshake_inspect.capture.formats.pcapng.interfaces import NO_LINK_TYPE, DescribedInterfaces, where_options_are
from handshake_inspect.capture.formats.pcapng.options import (
    CODE_AND_LENGTH,
    EPB_DROPCOUNT,
    IF_DESCRIPTION,
    IF_FILTER,
    IF_HARDWARE,
    IF_NAME,
    IF_OS,
    ISB_IFDROP,
    ISB_OSDROP,
    MOST_LISTED_OCTETS,
    OPT_COMMENT,
    SHB_HARDWARE,
    SHB_OS,
    SHB_USERAPPL,
    Options,
    options_of,
    options_of_many,
)
from handshake_inspect.capture.formats.pcapng.packets import Packets
from handshake_inspect.capture.formats.walk import Offsets

#: Records of name resolution blocks, and octets of the address in each.
NRB_END, NRB_IPV4, NRB_IPV6 = 0, 1, 2
ADDRESS_OCTETS = {NRB_IPV4: 4, NRB_IPV6: 16}
#: Octets of the rarer blocks that say nothing here.
SILENT_OCTETS = {SECTION_HEADER: SECTION_HEADER_OCTETS, STATISTICS: STATISTICS_OCTETS, NAMES: 12}
#: Of one block no more octets than these are looked at: what stands before its options, and those.
MOST_BODY_OCTETS = MOST_LISTED_OCTETS + 64


class Notes:
    """Notes down what blocks say that are not packets, and packets besides their frames."""

    def __init__(self, about: About) -> None:
        self.drops = Drops()
        self._about = about
        #: What is said of the first interfaces, by their number over all sections.
        self._interfaces: list[InterfaceAbout] = []

    def _interface(self, number: int) -> InterfaceAbout | None:
        return self._interfaces[number] if number < len(self._interfaces) else None

    def note_packets(self, packets: Packets, options: Options, first_frame: int) -> None:
        """Note comments and drops in options of packets (section 4.3), the first of which is `first_frame`."""
        texts = options.texts()
        if len(texts):
            self._about.add_frame_comments(first_frame + texts.block, texts.value)
        drops = options.of(EPB_DROPCOUNT, 8)
        self.note_drops(packets, drops.block, drops.numbers("u8"))

    def note_drops(self, packets: Packets, row: Offsets, drops: NDArray[np.int64 | np.uint64]) -> None:
        """Note how many frames were lost before these packets."""
        section, number = packets.described.section[row].tolist(), packets.interface[row].tolist()
        for its_section, its_number, count in zip(section, number, drops.tolist(), strict=True):
            self.drops.add(its_section, its_number, count, self._interface(its_number))

    def note_others(self, blocks: Blocks, described: DescribedInterfaces) -> None:
        """Note what the rarer blocks say, in order."""
        is_told = np.zeros(len(blocks), np.bool_)
        for kind, silent in SILENT_OCTETS.items():
            is_told |= (blocks.kind == kind) & (blocks.length > silent)
        is_interface = blocks.kind == INTERFACE
        has_room = described.known <= MOST_INTERFACES
        rows = np.flatnonzero(is_told | (is_interface & has_room))
        telling = blocks[rows]
        bodies = telling.bodies(MOST_BODY_OCTETS)
        for row, kind, body in zip(rows.tolist(), telling.kind.tolist(), bodies, strict=True):
            if kind == INTERFACE:
                self._note_interface(body, blocks.byte_order)
            elif kind == NAMES:
                read_names(body, blocks.byte_order, self._about)
            elif kind == STATISTICS:
                self._note_statistics(body, blocks.byte_order, described, row)
            else:
                read_section(body, blocks.byte_order, self._about)
        if (is_left_out := is_interface & ~has_room).any():
            self._leave_out(blocks[is_left_out])

    def _note_interface(self, body: bytes, order: str) -> None:
        interface, comments = read_interface(body, order)
        self._interfaces.append(interface)
        self._about.add_interface(interface, comments)

    def _leave_out(self, blocks: Blocks) -> None:
        """Count interfaces that there is no room for, and the comments on them."""
        self._about.leave_out("interfaces", len(blocks))
        for options in options_of_many(blocks.octets, blocks.byte_order, *where_options_are(blocks), (OPT_COMMENT,)):
            self._about.leave_out("comments", len(options.texts()))

    def _note_statistics(self, body: bytes, order: str, described: DescribedInterfaces, row: int) -> None:
        """Note drops of an interface, and comments on it (section 4.6)."""
        number = int(described.first[row]) + struct.unpack_from(order + "I", body)[0]
        # An interface is described before any block that refers to it (section 4.2); else this is a comment on nothing.
        is_described = number < described.known[row]
        interface = self._interface(number) if is_described else None
        drops = []
        for code, value in options_of(body[STATISTICS_OCTETS - 12 :], order):
            if code == OPT_COMMENT and is_described:
                self._about.add_interface_comment(interface, value)
            elif code in (ISB_IFDROP, ISB_OSDROP) and len(value) == 8:
                drops.append(struct.unpack(order + "Q", value)[0])
        if drops:
            self.drops.replace(int(described.section[row]), number, sum(drops), interface)


def read_section(body: bytes, order: str, about: About) -> None:
    """Note what a section header says: comments, hardware, operating system, application (section 4.1)."""
    for code, value in options_of(body[SECTION_HEADER_OCTETS - 12 :], order):
        if code == OPT_COMMENT:
            about.add_comment(value)
        elif code == SHB_HARDWARE:
            about.hardware = about.hardware or text_of(value)
        elif code == SHB_OS:
            about.os = about.os or text_of(value)
        elif code == SHB_USERAPPL:
            about.application = about.application or text_of(value)


def read_interface(body: bytes, order: str) -> tuple[InterfaceAbout, list[bytes]]:
    """Read what an interface description says (section 4.2), and the comments in it."""
    if len(body) < INTERFACE_OCTETS - 12:
        return InterfaceAbout(NO_LINK_TYPE), []
    link_type, _, snaplen = struct.unpack_from(order + "HHI", body)
    options = list(options_of(body[INTERFACE_OCTETS - 12 :], order))
    said, interface = dict(options), InterfaceAbout(link_type, snaplen or None)
    interface.name, interface.description, interface.hardware, interface.os = (
        text_of(said[code]) if code in said else None for code in (IF_NAME, IF_DESCRIPTION, IF_HARDWARE, IF_OS)
    )
    if said.get(IF_FILTER, b"")[:1] == b"\0":  # what follows is text, as tcpdump takes it; 1 is BPF code
        interface.filter = text_of(said[IF_FILTER][1:])
    return interface, [value for code, value in options if code == OPT_COMMENT]


def read_names(body: bytes, order: str, about: About) -> None:
    """Note the names of a name resolution block, and comments on it (section 4.5)."""
    at, octets, unpack = 0, body[:MOST_LISTED_OCTETS], CODE_AND_LENGTH[order].unpack_from
    while at + 4 <= len(octets):
        kind, length = unpack(octets, at)
        at += 4
        if kind == NRB_END or at + length > len(octets):
            break
        names_at, end = at + ADDRESS_OCTETS.get(kind, length), at + length
        if names_at < end:
            about.add_names(octets[at:names_at], octets[names_at:end].split(b"\0"))
        at += length + 3 & ~3
    for code, value in options_of(octets[at:], order):
        if code == OPT_COMMENT:
            about.add_comment(value)


class Drops:
    """Frames that were lost, by interface: those of its last statistics, or else those that its packets tell of."""

    def __init__(self) -> None:
        #: By section and interface, of the sections that have not ended.
        self._by_statistics: dict[tuple[int, int], int] = {}
        self._by_packets: dict[tuple[int, int], int] = {}
        #: Of the sections that have ended; None if they do not say.
        self._ended: int | None = None

    def add(self, section: int, interface: int, count: int, about: InterfaceAbout | None) -> None:
        """Note that so many more were lost before a packet."""
        key = (section, interface)
        self._by_packets[key] = self._by_packets.get(key, 0) + count
        if about is not None and key not in self._by_statistics:
            about.dropped = self._by_packets[key]

    def replace(self, section: int, interface: int, count: int, about: InterfaceAbout | None) -> None:
        """Note that statistics count so many in all."""
        self._by_statistics[section, interface] = count
        if about is not None:
            about.dropped = count

    def end_before(self, section: int) -> None:
        """Sum up the sections before this one."""
        lost = self._by_packets | self._by_statistics
        if ended := [count for key, count in lost.items() if key[0] < section]:
            self._ended = (self._ended or 0) + sum(ended)
            self._by_statistics, self._by_packets = (
                {key: count for key, count in by.items() if key[0] >= section}
                for by in (self._by_statistics, self._by_packets)
            )

    @property
    def in_all(self) -> int | None:
        """How many frames were lost in all sections; None if they do not say."""
        lost = self._by_packets | self._by_statistics
        return (self._ended or 0) + sum(lost.values()) if lost else self._ended
