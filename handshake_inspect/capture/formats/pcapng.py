"""pcapng files: a chain of blocks; section headers, interface descriptions, packets, names, statistics.

In: a `Window` on the file. Out: `Records`, and `About`. The format is draft-ietf-opsawg-pcapng; read its sections 3.1
and 4 first. Packets are blocks of type 6 (enhanced), 3 (simple) and 2 (obsolete). A packet belongs to an interface of
its section, which gives its link type, the resolution of its time and an offset to it. `pcapng_blocks` reads the
rarer blocks and the options; secrets, journals, custom and unknown blocks are skipped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.formats.pcapng_blocks import (
    MOST_BODY_OCTETS,
    Described,
    Section,
    nanoseconds,
    packet_types,
    read_interface,
    read_names,
    read_section,
)
from handshake_inspect.capture.formats.walk import PLAIN_OCTETS, Chain, Mask, Offsets, Words, walk, words_of
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.source import RecordReader, Window, gathered
from handshake_inspect.table import PACKET_TYPE_UNKNOWN

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION_HEADER, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, NAMES, STATISTICS, ENHANCED_PACKET = (
    0x0A0D0D0A, 1, 2, 3, 4, 5, 6,
)  # fmt: skip
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
#: What `BYTE_ORDER` looks for, read in the right order.
BYTE_ORDER_MAGIC = 0x1A2B3C4D
SECTION_HEADER_OCTETS = 28
#: What the first walk covers of a section that is read otherwise than the one before it: the rest may be as short.
REACH_AFTER_CHANGE = 1 << 12
#: Octets of a packet block that are not frame: before the frame and in all, for each of the three kinds.
PACKET_HEADER_OCTETS, PACKET_OTHER_OCTETS = 28, 32
SIMPLE_HEADER_OCTETS, SIMPLE_OTHER_OCTETS = 12, 16
#: Where an obsolete packet block has its drops, seen from the frame.
DROPS_BEFORE_FRAME = np.array([10, 11]) - PACKET_HEADER_OCTETS


@dataclass
class Packets:
    """Columns of the packets of one walk; `Records` without the buffer."""

    offset: Offsets
    captured: Offsets
    original: Offsets
    time_ns: Offsets
    link_type: NDArray[np.uint16]
    #: Number of its interface, counted over all sections; -1 while only one is described.
    interface: Offsets
    #: Linux packet type, where its options tell it.
    packet_type: NDArray[np.uint8]
    #: Where its block begins and ends in the file.
    begin: Offsets
    end: Offsets


class PcapngReader(RecordReader):
    """The records of a pcapng file."""

    format = "pcapng"

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name, window)
        #: Octets that one walk covers: doubled while sections are read alike, so that others cost no second walk.
        self._reach = PLAIN_OCTETS - 1
        #: Packets that were read of the window, in all sections.
        self._in_window = 0
        #: Where in the window the first damage is.
        self._broken_at: int | None = None
        if not window.need(SECTION_HEADER_OCTETS):
            have = window.end - window.start
            raise CaptureError(
                f"{name}: cut after {have} octets, inside the pcapng section header; nothing can be read"
            )
        if window.peek(12)[8:] not in BYTE_ORDER:
            raise CaptureError(f"{name}: not a capture: its pcapng section header has no byte-order magic")
        self._begin_section(0)

    def _begin_section(self, interfaces_before: int) -> None:
        byte_order = BYTE_ORDER[self._window.peek(12)[8:]]
        self.section = Section(byte_order, self.about, interfaces_before)
        self.chain = PcapngChain(byte_order, 0, 4, smallest=12, padding=3, header_octets=12)

    @property
    def _interfaces(self) -> int:
        """How many interfaces all sections so far have described."""
        return self.section.interfaces_before + len(self.section.interfaces)

    def _blocks(self) -> Iterator[Records]:
        window, going_on = self._window, True
        while going_on:
            parts: list[Packets] = []
            self._in_window = 0
            going_on = self._read_window(parts)
            if count := self._in_window:
                first = self._frames + 1
                self._frames += count
                yield self._records(parts, first, count)
            if going_on and not window.fill():
                self._cut(window.start, "a block")
                going_on = False
        self._count_dropped(self.section.lost)

    def _read_window(self, parts: list[Packets]) -> bool:
        """Read all whole blocks in the window; False where the capture is damaged."""
        window = self._window
        while window.end - window.start >= 12:
            is_header = window.peek(4) == SECTION_MAGIC
            state = self._section_header() if is_header else self._read_blocks(parts)
            if state is not None:
                return state
        return True

    def _section_header(self) -> bool | None:
        """Begin a section. None: go on; True: more octets are needed; False: damaged."""
        window = self._window
        magic = window.peek(12)[8:]
        if magic not in BYTE_ORDER:
            return self._broken(window.start, "a section header has no byte-order magic")
        length = struct.unpack(BYTE_ORDER[magic] + "I", window.peek(8)[4:])[0]
        if not SECTION_HEADER_OCTETS <= length <= self.chain.longest:
            return self._broken(window.start, f"a section header claims {length} octets")
        after = window.start + (length + 3 & ~3)
        if window.end < after:
            return True
        version = struct.unpack(BYTE_ORDER[magic] + "H", window.peek(14)[12:])[0]
        if version != 1:
            return self._broken(window.start, f"a section of version {version}; only version 1 is known")
        self._count_dropped(self.section.lost)
        last = self.section
        self._begin_section(self._interfaces)
        end = window.start + length
        self.section.repeats_lengths = window.buffer[end - 4 : end] == window.peek(8)[4:]
        if not self.section.is_read_like(last):
            self._reach = REACH_AFTER_CHANGE
        read_section(self._body(window.start), self.section.byte_order, self.about)
        self._note_header(window.start, after - window.start)
        window.start = after
        return None

    def _read_blocks(self, parts: list[Packets]) -> bool | None:
        """Read whole blocks up to a section read otherwise. None: go on; True: more is needed; False: damaged."""
        window, chain = self._window, self.chain
        end = min(window.end, window.start + self._reach)
        offsets = walk(window.buffer, window.start, end, chain)
        if len(offsets):
            offsets = offsets[: self._read_alike(offsets)]
            after = chain.record_end(window.buffer, int(offsets[-1])) or end
            state = self._take(offsets, parts)
            window.start = after if state is None else window.start
            self._reach *= 2
            return state
        if chain.record_end(window.buffer, window.start) is None:
            claimed = chain.words.unpack_from(window.buffer, window.start)[1]
            return self._broken(window.start, f"a block claims {claimed} octets")
        if end < window.end:
            self._reach *= 2
            return None
        return True

    def _read_alike(self, offsets: Offsets) -> int:
        """Return how many blocks come before the first section header that says to read otherwise, or is broken.

        So the many short sections of files that were put one behind the other are read together.
        """
        words = words_of(self._window.buffer, len(self._window.buffer), self.section.byte_order)
        rows = np.flatnonzero(words[offsets] == SECTION_HEADER)
        at = offsets[rows]
        length = words[at + 4].astype(np.int64)
        version = words[at + 12] >> 16 if self.section.byte_order == ">" else words[at + 12] & 0xFFFF
        alike = (words[at + 8] == BYTE_ORDER_MAGIC) & (version == 1) & (length >= SECTION_HEADER_OCTETS)
        alike &= (words[at + length - 4] == length) == self.section.repeats_lengths
        return len(offsets) if alike.all() else int(rows[np.argmin(alike)])

    def _take(self, offsets: Offsets, parts: list[Packets]) -> bool | None:
        """Read the blocks at `offsets`: the rare ones one by one, the packets all together."""
        order = self.section.byte_order
        header = gathered(self._window.octets, offsets, PACKET_HEADER_OCTETS).view(f"{order}u4")
        header = header.astype(np.uint32, copy=False)
        odd, wrong = self._lengths_that_differ(offsets, header[:, 1].astype(np.int64))
        offsets, header, kind = offsets[:odd], header[:odd], header[:odd, 0].copy()
        is_packet = (kind == ENHANCED_PACKET) | (kind == SIMPLE_PACKET) | (kind == OBSOLETE_PACKET)
        described = self._described(offsets, header, kind)
        rows = slice(None) if is_packet.all() else np.flatnonzero(is_packet)
        state = self._packets(offsets[rows], header[rows], described[rows], parts) if is_packet.any() else None
        until = np.inf if self._broken_at is None else self._broken_at
        self._read_rare(offsets[offsets < until], kind, described)
        if len(offsets):
            self._count_dropped(self.section.go_on_with(*described.at(-1)))
        return self._broken(*wrong) if wrong and state is None else state

    def _described(self, offsets: Offsets, header: NDArray[np.uint32], kind: NDArray[np.uint32]) -> Described:
        """Read the interface descriptions; return which ones hold at each block."""
        interfaces = self.section.interfaces
        before, is_interface, is_header = len(interfaces), kind == INTERFACE, kind == SECTION_HEADER
        for row in np.flatnonzero(is_interface | is_header).tolist():
            if is_interface[row]:
                interfaces.append(read_interface(self._body(int(offsets[row])), self.section.byte_order))
            self._note_header(int(offsets[row]), int(header[row, 1]) + 3 & ~3)
        known = before + np.cumsum(is_interface)
        first = np.maximum.accumulate(np.where(is_header, known, 0))
        return Described(self.section.number + np.cumsum(is_header), first, known)

    def _read_rare(self, offsets: Offsets, kind: NDArray[np.uint32], described: Described) -> None:
        """Read what is neither packet nor skipped, in order."""
        section, kind = self.section, kind[: len(offsets)]
        is_rare = (kind == INTERFACE) | (kind == STATISTICS) | (kind == NAMES) | (kind == SECTION_HEADER)
        for row in np.flatnonzero(is_rare).tolist():
            if kind[row] == INTERFACE:
                self.about.add_interface(section.interfaces[described.known[row] - 1].about)
                continue
            body = self._body(int(offsets[row]))
            if kind[row] == NAMES:
                read_names(body, section.byte_order, self.about)
            elif kind[row] == STATISTICS:
                section.read_statistics(body, *described.at(row), int(described.known[row]))
            else:
                read_section(body, section.byte_order, self.about)

    def _lengths_that_differ(self, offsets: Offsets, length: Offsets) -> tuple[int, tuple[int, str] | None]:
        """Return how many blocks repeat their length at their end as they must, and what is wrong with the next."""
        if not self.section.repeats_lengths:
            return len(offsets), None
        octets = self._window.octets
        words = np.ndarray((len(octets) - 3,), f"{self.section.byte_order}u4", octets, 0, (1,))
        differ = words[offsets + length - 4] != length
        if differ.any():
            differ &= length & 3 == 0
        if not differ.any():
            return len(offsets), None
        row = int(np.argmax(differ))
        end = words[offsets[row] + length[row] - 4]
        return row, (int(offsets[row]), f"a block claims {length[row]} octets, and {end} at its end")

    def _packets(
        self, block: Offsets, header: NDArray[np.uint32], described: Described, parts: list[Packets]
    ) -> bool | None:
        """Read packet blocks, one column per field.

        `header`: their first words, a row each; `described`: the interfaces that each can belong to.
        """
        kind = header[:, 0].copy()
        total, interface, upper, lower, captured, original = (
            header[:, column].astype(np.int64) for column in range(1, PACKET_HEADER_OCTETS // 4)
        )
        simple, obsolete = kind == SIMPLE_PACKET, kind == OBSOLETE_PACKET
        # The obsolete block has two octets of interface and two of drops there.
        interface[obsolete] = (
            interface[obsolete] >> 16 if self.section.byte_order == ">" else interface[obsolete] & 0xFFFF
        )
        units = upper << 32 | lower
        other = np.where(simple, SIMPLE_OTHER_OCTETS, PACKET_OTHER_OCTETS)
        if simple.any():
            original[simple] = interface[simple]
            interface[simple], units[simple] = 0, 0
            captured[simple] = self._simple_captured(original[simple], total[simple], described[simple])
        undescribed = interface >= described.known - described.first
        wrong = (captured > total - other) | (captured < 0) | undescribed
        good = int(np.argmax(wrong)) if wrong.any() else len(block)
        chosen = slice(0, good)
        place = described.first[chosen] + interface[chosen]
        time_ns, link_type = self._by_interface(place, units[chosen])
        time_ns[simple[chosen]] = 0
        begin = block + np.where(simple, SIMPLE_HEADER_OCTETS, PACKET_HEADER_OCTETS)
        before = self.section.interfaces_before
        number = np.where(before + described.known[chosen] > 1, before + place, -1)
        packet_type = np.full(good, PACKET_TYPE_UNKNOWN, np.uint8)
        self._in_window += good
        block_begin = block[chosen] + self._window.file_offset(0)
        block_end = block_begin + (total[chosen] + 3 & ~3)
        parts.append(
            Packets(
                begin[chosen], captured[chosen], original[chosen], time_ns, link_type, number, packet_type,
                block_begin, block_end,
            )
        )  # fmt: skip
        self._note_options(
            begin[chosen], block[chosen] + total[chosen], interface[chosen], kind[chosen], described, parts
        )
        if good == len(block):
            return None
        reason = (
            f"a packet refers to interface {interface[good]}, which is not described before it"
            if undescribed[good]
            else f"a packet claims {captured[good]} captured octets in a block of {total[good]}"
        )
        return self._broken(int(block[good]), reason)

    def _simple_captured(self, original: Offsets, total: Offsets, described: Described) -> Offsets:
        """Return the captured lengths of simple packet blocks, which the snaplen of the first interface tells."""
        captured = np.minimum(original, np.maximum(total - SIMPLE_OTHER_OCTETS, -1))
        interfaces = self.section.interfaces
        first, row = np.unique(described.first, return_inverse=True)
        snaplen = np.array([interfaces[one].snaplen if one < len(interfaces) else 0 for one in first.tolist()])[row]
        return np.where(snaplen > 0, np.minimum(captured, snaplen), captured)

    def _by_interface(self, interface: Offsets, units: Offsets) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        interfaces = self.section.interfaces
        if len(interface) and (interface == interface[0]).all():
            one = interfaces[int(interface[0])]
            return one.time_ns(units), np.full(len(units), one.link_type, np.uint16)
        used = np.flatnonzero(np.bincount(interface)).tolist()
        link_types = np.zeros(len(interfaces), np.uint16)
        link_types[used] = [interfaces[number].link_type for number in used]
        link_type = link_types[interface]
        time_ns = np.zeros(len(units), np.int64)
        by_clock: dict[tuple[int, int], list[int]] = {}
        for number in used:
            one = interfaces[number]
            by_clock.setdefault((one.units_per_second, one.offset_seconds), []).append(number)
        if len(by_clock) > 64:  # one pass per clock would not be linear
            for row, number in enumerate(interface.tolist()):
                one = interfaces[number]
                time_ns[row] = nanoseconds(int(units[row]), one.units_per_second, one.offset_seconds)
            return time_ns, link_type
        for numbers in by_clock.values():
            chosen = np.isin(interface, numbers)
            time_ns[chosen] = interfaces[numbers[0]].time_ns(units[chosen])
        return time_ns, link_type

    def _body(self, block: int) -> bytes:
        """Return what stands between the lengths of a block, as far as anybody looks at it."""
        length = struct.unpack_from(self.section.byte_order + "I", self._window.buffer, block + 4)[0]
        return bytes(self._window.buffer[block + 8 : block + min(length - 4, MOST_BODY_OCTETS)])

    def _note_options(
        self,
        frame: Offsets,
        end: Offsets,
        interface: Offsets,
        kind: NDArray[np.uint32],
        described: Described,
        parts: list[Packets],
    ) -> None:
        """Note what the options, and the headers, of the packets say that are the last of `parts`.

        Options stand between the frame, which is padded, and the length at the `end` of the block.
        """
        begin = frame + (parts[-1].captured + 3 & ~3)
        has_options = (end - 4 - begin >= 4) & (kind != SIMPLE_PACKET)
        if has_options.any():
            rows = np.flatnonzero(has_options)
            first = self._frames + 1 + self._in_window - len(parts[-1].offset)
            octets = self._window.octets
            self.section.note_options(
                octets, first + rows, interface[rows], described[rows], begin[rows], end[rows] - 4
            )
            parts[-1].packet_type[rows] = packet_types(octets, self.chain.byte_order, begin[rows], end[rows] - 4)
        if len(rows := np.flatnonzero(kind == OBSOLETE_PACKET)):
            drops = (
                self._window.octets[frame[rows, None] + DROPS_BEFORE_FRAME].copy().view(f"{self.chain.byte_order}u2")
            )
            self.section.note_obsolete_drops(interface[rows], described[rows], drops[:, 0])

    def _broken(self, index: int, message: str) -> bool:
        self._broken_at = index
        frames = self._frames
        self._frames += self._in_window
        self._damaged(index, message)
        self._frames = frames
        return False

    def _count_dropped(self, lost: int | None) -> None:
        """Add the drops of sections that have ended."""
        if lost is not None:
            self.dropped = (self.dropped or 0) + lost

    def _records(self, parts: list[Packets], first_frame: int, count: int) -> Records:
        packet_type = np.concatenate([part.packet_type for part in parts])
        return Records(
            buffer=self._window.octets,
            offset=np.concatenate([part.offset for part in parts]),
            captured=np.concatenate([part.captured for part in parts]),
            original=np.concatenate([part.original for part in parts]),
            time_ns=np.concatenate([part.time_ns for part in parts]),
            frame=np.arange(first_frame, first_frame + count, dtype=np.int64),
            link_type=np.concatenate([part.link_type for part in parts]),
            interface=np.concatenate([part.interface for part in parts]) if self._interfaces > 1 else None,
            packet_type=packet_type if (packet_type != PACKET_TYPE_UNKNOWN).any() else None,
            begin=np.concatenate([part.begin for part in parts]),
            end=np.concatenate([part.end for part in parts]),
        )


class PcapngChain(Chain):
    """Block headers: type, total length; the total length again at the end."""

    def telling(self, record: bytes) -> tuple[bytes, int]:
        """Return the type of enhanced packet blocks, whatever `record` is."""
        return struct.pack(self.byte_order + "I", ENHANCED_PACKET), 0

    def can_be(self, words: Words, at: Offsets, end: int) -> Mask:
        """Tell where a length stands that is repeated at the end of the block."""
        length = words[at + 4].astype(np.int64)
        after = self.ends(words, at)
        right = (length >= self.smallest) & (length <= self.longest) & (after <= end)
        right &= words[np.where(right, after, at + 8) - 4] == length
        return right
