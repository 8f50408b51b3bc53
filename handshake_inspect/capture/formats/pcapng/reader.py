"""The reader of pcapng files: window by window, all blocks that are read alike at once, up to the first damage.

In: a `Window` on the file. Out: `Records`, `About`, damage. The chain of blocks is followed from section to section
while the byte order stays the same, so that many short sections cost little more than one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.formats.pcapng.blocks import (
    BYTE_ORDER,
    BYTE_ORDER_MAGIC,
    INTERFACE,
    MAJOR_VERSION,
    SECTION_HEADER,
    SECTION_HEADER_OCTETS,
    SECTION_MAGIC,
    Blocks,
    PcapngChain,
)
from handshake_inspect.capture.formats.pcapng.interfaces import DescribedInterfaces, Interfaces, read_interfaces
from handshake_inspect.capture.formats.pcapng.notes import Notes
from handshake_inspect.capture.formats.pcapng.options import EPB_DROPCOUNT, EPB_FLAGS, OPT_COMMENT, options_of_many
from handshake_inspect.capture.formats.pcapng.packets import Packets, is_packet, note_packet_types
from handshake_inspect.capture.formats.walk import PLAIN_OCTETS, Offsets, walk
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.source import RecordReader, Window
from handshake_inspect.plain import frozen
from handshake_inspect.table import PACKET_TYPE_UNKNOWN

#: What the first walk covers behind a change of byte order: the rest of that section may be as short.
REACH_AFTER_CHANGE = 1 << 12


@frozen
class Part:
    """The packets of one walk, and what is known of them only with their interfaces and options."""

    packets: Packets
    #: Where the buffer stands in the file.
    file_offset: int
    time_ns: Offsets
    link_type: NDArray[np.uint16]
    #: Number of its interface; -1 while only one is described.
    interface: Offsets
    #: Linux packet type, where its options tell it.
    packet_type: NDArray[np.uint8]


class PcapngReader(RecordReader):
    """The records of a pcapng file."""

    format = "pcapng"

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name, window)
        #: Octets that one walk covers: doubled while the byte order stays, so that no octets are walked over often.
        self._reach = PLAIN_OCTETS - 1
        self._interfaces = Interfaces()
        self._notes = Notes(self.about)
        #: Of the section that goes on: its number, and over all sections that of its first interface.
        self._section = self._first = 0
        #: Does every block of it repeat its length at its end? Not where the section header does not.
        self._repeats_lengths = True
        if not window.need(SECTION_HEADER_OCTETS):
            have = window.end - window.start
            raise CaptureError(
                f"{name}: cut after {have} octets, inside the pcapng section header; nothing can be read"
            )
        if window.peek(12)[8:] not in BYTE_ORDER:
            raise CaptureError(f"{name}: not a capture: its pcapng section header has no byte-order magic")
        self._chain = PcapngChain.of(BYTE_ORDER[window.peek(12)[8:]])

    def _blocks(self) -> Iterator[Records]:
        window, going_on = self._window, True
        while going_on:
            parts: list[Part] = []
            going_on = self._read_window(parts)
            if parts:
                yield self._records(parts)
            if going_on and not window.fill():
                self._cut(window.start, "a block")
                going_on = False
        self.dropped = self._notes.drops.in_all

    def _read_window(self, parts: list[Part]) -> bool:
        """Read all whole blocks in the window; False where the capture is damaged."""
        window = self._window
        while window.end - window.start >= 12:
            if window.peek(4) == SECTION_MAGIC and (wrong := self._turn_to_section()):
                return self._broken(window.start, wrong)
            state = self._read_blocks(parts)
            if state is not None:
                return state
        return True

    def _turn_to_section(self) -> str | None:
        """Go on in the byte order of the section header that comes next; return what is wrong with that."""
        window = self._window
        magic = window.peek(12)[8:]
        if magic not in BYTE_ORDER:
            return "a section header has no byte-order magic"
        order = BYTE_ORDER[magic]
        if order != self._chain.byte_order:
            self._chain, self._reach = PcapngChain.of(order), REACH_AFTER_CHANGE
        length = struct.unpack(order + "I", window.peek(8)[4:])[0]
        if not SECTION_HEADER_OCTETS <= length <= self._chain.longest:
            return f"a section header claims {length} octets"
        if window.end < window.start + (length + 3 & ~3):
            return None
        version = struct.unpack(order + "H", window.peek(14)[12:])[0]
        return None if version == MAJOR_VERSION else f"a section of version {version}; only version 1 is known"

    def _read_blocks(self, parts: list[Part]) -> bool | None:
        """Read whole blocks up to a section read otherwise. None: go on; True: more is needed; False: damaged."""
        window, chain = self._window, self._chain
        end = min(window.end, window.start + self._reach)
        offsets = walk(window.buffer, window.start, end, chain)
        if len(offsets):
            blocks = Blocks.found(window.octets, chain.byte_order, offsets)
            blocks = blocks[: read_alike(blocks)]
            self._reach *= 2
            if wrong := self._take(blocks, parts):
                return self._broken(*wrong)
            window.start = int(blocks[-1:].after()[0])
            return None
        if chain.record_end(window.buffer, window.start) is None:
            claimed = chain.words.unpack_from(window.buffer, window.start)[1]
            return self._broken(window.start, f"a block claims {claimed} octets")
        if end < window.end:
            self._reach *= 2
            return None
        return True

    def _take(self, blocks: Blocks, parts: list[Part]) -> tuple[int, str] | None:
        """Read blocks, up to the first that is damaged; return where that stands, and what is wrong with it."""
        blocks, wrong = self._with_right_lengths(blocks)
        described = DescribedInterfaces.at(blocks, self._section, self._first, self._interfaces.end)
        packet = is_packet(blocks)
        rows = slice(None) if packet.all() else np.flatnonzero(packet)
        packets = Packets.read(blocks[rows], described[rows])
        if found := packets.first_wrong():
            row, message = found
            wrong = (int(packets.blocks.at[row]), message)
            before = slice(int(np.searchsorted(blocks.at, wrong[0])))
            blocks, described, packets = blocks[before], described[before], packets[:row]
        other = np.flatnonzero(~packet[: len(blocks)])
        if len(other):
            self._read_others(blocks[other], described[other])
        if len(packets):
            parts.append(self._part(packets))
        self._go_on_behind(described)
        return wrong

    def _read_others(self, blocks: Blocks, described: DescribedInterfaces) -> None:
        """Read blocks that are not packets."""
        is_interface = blocks.kind == INTERFACE
        self._interfaces.add(read_interfaces(blocks[is_interface]))
        self._notes.note_others(blocks, described)
        headers = blocks[is_interface | (blocks.kind == SECTION_HEADER)]
        before = self._window.file_offset(0)
        self.headers += zip((before + headers.at).tolist(), (before + headers.after()).tolist(), strict=True)

    def _with_right_lengths(self, blocks: Blocks) -> tuple[Blocks, tuple[int, str] | None]:
        """Return the blocks before the first that does not repeat its length as it must; where that is, and how."""
        last_word = blocks.last_word()
        differs = last_word != blocks.length
        if self._repeats_lengths and not differs.any():
            return blocks, None
        is_header = blocks.kind == SECTION_HEADER
        repeats = np.append(self._repeats_lengths, ~differs[is_header])
        self._repeats_lengths = bool(repeats[-1])
        wrong = differs & repeats[np.cumsum(is_header)] & (blocks.length & 3 == 0)
        if not wrong.any():
            return blocks, None
        row = int(np.argmax(wrong))
        message = f"a block claims {blocks.length[row]} octets, and {last_word[row]} at its end"
        return blocks[:row], (int(blocks.at[row]), message)

    def _part(self, packets: Packets) -> Part:
        """Read what the interfaces of packets and their options say of them, and count them."""
        packets.cut_to_snaplen(self._interfaces)
        time_ns, link_type = self._interfaces.times_and_links(packets.interface, packets.units)
        time_ns[packets.is_simple] = 0
        packet_type = np.full(len(packets), PACKET_TYPE_UNKNOWN, np.uint8)
        self._read_options(packets, packet_type)
        self._notes.note_drops(packets, *packets.drops_in_headers())
        self._frames += len(packets)
        number = np.where(packets.described.known > 1, packets.interface, -1)
        return Part(packets, self._window.file_offset(0), time_ns, link_type, number, packet_type)

    def _read_options(self, packets: Packets, packet_type: NDArray[np.uint8]) -> None:
        octets, order, wanted = (
            packets.blocks.octets,
            packets.blocks.byte_order,
            (OPT_COMMENT, EPB_FLAGS, EPB_DROPCOUNT),
        )
        for options in options_of_many(octets, order, *packets.options(), wanted):
            note_packet_types(options, packet_type)
            self._notes.note_packets(packets, options, self._frames + 1)

    def _go_on_behind(self, described: DescribedInterfaces) -> None:
        """Go on with the last section of these blocks."""
        section = int(described.section[-1]) if len(described) else self._section
        if section != self._section:
            self._section, self._first = section, int(described.first[-1])
            self._notes.drops.end_before(section)
            self._interfaces.forget_before(self._first)

    def _broken(self, index: int, message: str) -> bool:
        self._damaged(index, message)
        return False

    def _records(self, parts: list[Part]) -> Records:
        """Return the packets of the window, which are the last of those that were counted."""
        packets = [part.packets for part in parts]
        offset = np.concatenate([one.frame for one in packets])
        packet_type = np.concatenate([part.packet_type for part in parts])
        records = Records(
            buffer=self._window.octets,
            offset=offset,
            captured=np.concatenate([one.captured for one in packets]),
            original=np.concatenate([one.original for one in packets]),
            time_ns=np.concatenate([part.time_ns for part in parts]),
            frame=np.arange(self._frames + 1 - len(offset), self._frames + 1),
            link_type=np.concatenate([part.link_type for part in parts]),
            interface=np.concatenate([part.interface for part in parts]) if self._interfaces.end > 1 else None,
            packet_type=packet_type if (packet_type != PACKET_TYPE_UNKNOWN).any() else None,
        )
        if self.tells_positions:
            records.begin = np.concatenate([part.file_offset + part.packets.blocks.at for part in parts])
            records.end = np.concatenate([part.file_offset + part.packets.blocks.after() for part in parts])
        return records


def read_alike(blocks: Blocks) -> int:
    """Return how many blocks come before the first section header that says to read otherwise, or is broken.

    So the many short sections of files that were put one behind the other are read together.
    """
    rows = np.flatnonzero(blocks.kind == SECTION_HEADER)
    headers = blocks[rows]
    alike = (headers.head[:, 2] == BYTE_ORDER_MAGIC) & (headers.numbers(headers.at + 12, 2) == MAJOR_VERSION)
    alike &= headers.length >= SECTION_HEADER_OCTETS
    return len(blocks) if alike.all() else int(rows[np.argmin(alike)])
