"""pcapng files: a chain of blocks; section headers, interface descriptions, packets, statistics.

In: a `Window` on the file. Out: `Records`. The format is draft-ietf-opsawg-pcapng; read its sections 3.1 and 4 first.
Packets are blocks of type 6 (enhanced), 3 (simple) and 2 (obsolete). Unknown blocks are skipped. A packet belongs to
an interface of its section, which gives its link type, the resolution of its time and an offset to it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.source import RecordReader, Window
from handshake_inspect.capture.walk import PLAIN_OCTETS, PLAUSIBLE_RECORDS, Chain, Offsets, walk

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION_HEADER, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, STATISTICS, ENHANCED_PACKET = (
    0x0A0D0D0A, 1, 2, 3, 5, 6,
)  # fmt: skip
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
#: Options of interface descriptions and of interface statistics (sections 4.2 and 4.6).
IF_TSRESOL, IF_TSOFFSET, ISB_IFDROP, ISB_OSDROP = 9, 14, 5, 7
#: Octets of a packet block that are not frame: before the frame and in all, for each of the three kinds.
PACKET_HEADER_OCTETS, PACKET_OTHER_OCTETS = 28, 32
SIMPLE_HEADER_OCTETS, SIMPLE_OTHER_OCTETS = 12, 16
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

    def time_ns(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Convert times of this interface to nanoseconds since the epoch, cut to what 64 bits can hold.

        The specification's times are unsigned, but one above 2**63 units is taken for negative: it is centuries
        away otherwise, there are captures with such times, and so at least their differences are right.
        """
        per_second = self.units_per_second
        if per_second > 1 << 33:  # the product below could overflow
            exact = [nanoseconds(unit, per_second, self.offset_seconds) for unit in units.tolist()]
            return np.array(exact, np.int64)
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


@dataclass
class Section:
    """What holds from one section header to the next."""

    byte_order: str
    #: How many interfaces the sections before it have described.
    interfaces_before: int = 0
    interfaces: list[Interface] = field(default_factory=list)
    #: Per interface, the frames it lost up to its last statistics block.
    dropped: dict[int, int] = field(default_factory=dict)


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


class PcapngReader(RecordReader):
    """The records of a pcapng file."""

    format = "pcapng"

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name, window)
        #: Octets that one walk covers: doubled while no new section begins, so that sections cost no second walk.
        self._reach = PLAIN_OCTETS - 1
        if not window.need(28):
            have = window.end - window.start
            raise CaptureError(
                f"{name}: cut after {have} octets, inside the pcapng section header; nothing can be read"
            )
        if window.peek(12)[8:] not in BYTE_ORDER:
            raise CaptureError(f"{name}: not a capture: its pcapng section header has no byte-order magic")
        self._begin_section(0)

    def _begin_section(self, interfaces_before: int) -> None:
        byte_order = BYTE_ORDER[self._window.peek(12)[8:]]
        self.section = Section(byte_order, interfaces_before)
        self.chain = PcapngChain(
            byte_order, 0, 4, smallest=12, padding=3, stop_word=SECTION_HEADER, header_octets=12
        )  # fmt: skip

    @property
    def _interfaces(self) -> int:
        """How many interfaces all sections so far have described."""
        return self.section.interfaces_before + len(self.section.interfaces)

    def _blocks(self) -> Iterator[Records]:
        window, going_on = self._window, True
        while going_on:
            parts: list[Packets] = []
            going_on = self._read_window(parts)
            if count := sum(len(part.offset) for part in parts):
                first = self._frames + 1
                self._frames += count
                yield self._records(parts, first, count)
            if going_on and not window.fill():
                self._cut(window.start, "a block")
                going_on = False
        self._count_dropped()

    def _read_window(self, parts: list[Packets]) -> bool:
        """Read all whole blocks in the window; False where the capture is damaged."""
        window = self._window
        while window.end - window.start >= 12:
            is_header = window.peek(4) == SECTION_MAGIC
            state = self._section_header(parts) if is_header else self._read_blocks(parts)
            if state is not None:
                return state
        return True

    def _section_header(self, parts: list[Packets]) -> bool | None:
        """Begin a section. None: go on; True: more octets are needed; False: damaged."""
        window = self._window
        magic = window.peek(12)[8:]
        if magic not in BYTE_ORDER:
            return self._broken(window.start, "a section header has no byte-order magic", parts)
        length = struct.unpack(BYTE_ORDER[magic] + "I", window.peek(8)[4:])[0]
        if not 28 <= length <= self.chain.longest:
            return self._broken(window.start, f"a section header claims {length} octets", parts)
        if window.end - window.start < length:
            return True
        version = struct.unpack(BYTE_ORDER[magic] + "H", window.peek(14)[12:])[0]
        if version != 1:
            return self._broken(window.start, f"a section of version {version}; only version 1 is known", parts)
        self._count_dropped()
        self._begin_section(self._interfaces)
        self._reach = PLAIN_OCTETS - 1
        window.start += length + 3 & ~3
        return None

    def _read_blocks(self, parts: list[Packets]) -> bool | None:
        """Read whole blocks up to the next section header. None: go on; True: more is needed; False: damaged."""
        window, chain = self._window, self.chain
        end = min(window.end, window.start + self._reach)
        offsets = walk(window.buffer, window.start, end, chain)
        if len(offsets):
            after = chain.record_end(window.buffer, int(offsets[-1])) or end
            state = self._take(offsets, parts)
            window.start = after if state is None else window.start
            self._reach *= 2
            return state
        if chain.record_end(window.buffer, window.start) is None:
            claimed = chain.words.unpack_from(window.buffer, window.start)[1]
            return self._broken(window.start, f"a block claims {claimed} octets", parts)
        if end < window.end:
            self._reach *= 2
            return None
        return True

    def _take(self, offsets: Offsets, parts: list[Packets]) -> bool | None:
        """Read the blocks at `offsets`: the rare ones one by one, the packets all together."""
        octets, order = self._window.octets, self.section.byte_order
        words = np.ndarray((len(octets) - 3,), f"{order}u4", octets, 0, (1,))
        kind = words[offsets]
        is_packet = (kind == ENHANCED_PACKET) | (kind == SIMPLE_PACKET) | (kind == OBSOLETE_PACKET)
        known = len(self.section.interfaces) + np.cumsum(kind == INTERFACE)
        for row in np.flatnonzero((kind == INTERFACE) | (kind == STATISTICS)).tolist():
            self._read_rare(int(offsets[row]), int(kind[row]))
        rows = np.flatnonzero(is_packet)
        if not len(rows):
            return None
        return self._packets(words, offsets[rows], kind[rows], known[rows], parts)

    def _packets(
        self, words: NDArray[np.uint32], block: Offsets, kind: NDArray[np.uint32], known: Offsets, parts: list[Packets]
    ) -> bool | None:
        """Read packet blocks, one column per field; `known`: how many interfaces were described before each."""
        total = words[block + 4].astype(np.int64)
        simple, obsolete = kind == SIMPLE_PACKET, kind == OBSOLETE_PACKET
        interface = words[block + 8].astype(np.int64)
        # The obsolete block has two octets of interface and two of drops there.
        interface[obsolete] = (
            interface[obsolete] >> 16 if self.section.byte_order == ">" else interface[obsolete] & 0xFFFF
        )
        units = ((words[block + 12].astype(np.uint64) << np.uint64(32)) | words[block + 16]).view(np.int64)
        captured = words[np.minimum(block + 20, len(words) - 1)].astype(np.int64)
        original = words[np.minimum(block + 24, len(words) - 1)].astype(np.int64)
        other = np.where(simple, SIMPLE_OTHER_OCTETS, PACKET_OTHER_OCTETS)
        if simple.any():
            interface[simple], units[simple] = 0, 0
            original[simple] = words[block[simple] + 8]
            captured[simple] = self._simple_captured(original[simple], total[simple])
        wrong = (captured > total - other) | (captured < 0) | (interface >= known)
        good = int(np.argmax(wrong)) if wrong.any() else len(block)
        chosen = slice(0, good)
        time_ns, link_type = self._by_interface(interface[chosen], units[chosen])
        time_ns[simple[chosen]] = 0
        begin = block + np.where(simple, SIMPLE_HEADER_OCTETS, PACKET_HEADER_OCTETS)
        before = self.section.interfaces_before
        number = np.where(before + known[chosen] > 1, before + interface[chosen], -1)
        parts.append(Packets(begin[chosen], captured[chosen], original[chosen], time_ns, link_type, number))
        if good == len(block):
            return None
        reason = (
            f"a packet refers to interface {interface[good]}, which is not described before it"
            if interface[good] >= known[good]
            else f"a packet claims {captured[good]} captured octets in a block of {total[good]}"
        )
        return self._broken(int(block[good]), reason, parts)

    def _simple_captured(self, original: Offsets, total: Offsets) -> Offsets:
        """Return the captured lengths of simple packet blocks, which the snaplen of the first interface tells."""
        snaplen = self.section.interfaces[0].snaplen if self.section.interfaces else 0
        captured = np.minimum(original, np.maximum(total - SIMPLE_OTHER_OCTETS, -1))
        return np.minimum(captured, snaplen) if snaplen else captured

    def _by_interface(self, interface: Offsets, units: Offsets) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        interfaces = self.section.interfaces
        used = np.flatnonzero(np.bincount(interface)).tolist() if len(interface) else []
        if len(used) == 1:
            one = interfaces[used[0]]
            return one.time_ns(units), np.full(len(units), one.link_type, np.uint16)
        link_type = np.array([each.link_type for each in interfaces], np.uint16)[interface]
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

    def _read_rare(self, block: int, kind: int) -> None:
        """Read an interface description or an interface statistics block; one that is too short says nothing."""
        order, buffer = self.section.byte_order, self._window.buffer
        total = struct.unpack_from(order + "I", buffer, block + 4)[0]
        body = bytes(buffer[block + 8 : block + max(total, 12) - 4])
        if kind == INTERFACE:
            self.section.interfaces.append(_interface(body, order))
        elif len(body) >= 12:
            options = _options(body[12:], order)
            drops = [
                struct.unpack(order + "Q", options[code])[0]
                for code in (ISB_IFDROP, ISB_OSDROP)
                if len(options.get(code, b"")) == 8
            ]
            if drops:
                self.section.dropped[struct.unpack_from(order + "I", body)[0]] = sum(drops)

    def _broken(self, index: int, message: str, parts: list[Packets]) -> bool:
        frames = self._frames
        self._frames += sum(len(part.offset) for part in parts)
        self._damaged(index, message)
        self._frames = frames
        return False

    def _count_dropped(self) -> None:
        if self.section.dropped:
            self.dropped = (self.dropped or 0) + sum(self.section.dropped.values())
            self.section.dropped = {}

    def _records(self, parts: list[Packets], first_frame: int, count: int) -> Records:
        return Records(
            buffer=self._window.octets,
            offset=np.concatenate([part.offset for part in parts]),
            captured=np.concatenate([part.captured for part in parts]),
            original=np.concatenate([part.original for part in parts]),
            time_ns=np.concatenate([part.time_ns for part in parts]),
            frame=np.arange(first_frame, first_frame + count, dtype=np.int64),
            link_type=np.concatenate([part.link_type for part in parts]),
            interface=np.concatenate([part.interface for part in parts]) if self._interfaces > 1 else None,
        )


def _interface(body: bytes, order: str) -> Interface:
    if len(body) < 8:
        return Interface(link_type=0xFFFF, snaplen=0)
    link_type, _, snaplen = struct.unpack_from(order + "HHI", body)
    options = _options(body[8:], order)
    units_per_second = 1_000_000
    if len(resolution := options.get(IF_TSRESOL, b"")) == 1:
        exponent = resolution[0] & 0x7F
        units_per_second = 2**exponent if resolution[0] & 0x80 else 10**exponent
    offset_seconds = 0
    if len(value := options.get(IF_TSOFFSET, b"")) == 8:
        offset_seconds = max(-MOST_SECONDS, min(struct.unpack(order + "q", value)[0], MOST_SECONDS))
    return Interface(link_type, snaplen, units_per_second, offset_seconds)


def _options(octets: bytes, order: str) -> dict[int, bytes]:
    """Return the options of a block by code; what follows a broken one is left out."""
    options: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(octets):
        code, length = struct.unpack_from(order + "HH", octets, at)
        if code == 0 or at + 4 + length > len(octets):
            break
        options[code] = octets[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)
    return options


class PcapngChain(Chain):
    """Block headers: type, total length; the total length again at the end."""

    def guess(self, buffer: bytearray, start: int, low: int, high: int, end: int) -> int:
        """Look for the type of enhanced packet blocks on a boundary of four octets, then for blocks in a row."""
        pattern = struct.pack(self.byte_order + "I", ENHANCED_PACKET)
        found = buffer.find(pattern, low, high)
        for _ in range(64):
            if found < 0:
                return -1
            if (found - start) % 4 == 0 and self._plausible(buffer, found, end):
                return found
            found = buffer.find(pattern, found + 1, high)
        return -1

    def _plausible(self, buffer: bytearray, offset: int, end: int) -> bool:
        """Tell whether several blocks in a row from `offset` repeat their length at their end."""
        for _ in range(PLAUSIBLE_RECORDS):
            if offset + 12 > end:
                return False
            after = self.record_end(buffer, offset)
            if after is None or after > end or buffer[offset + 4 : offset + 8] != buffer[after - 4 : after]:
                return False
            offset = after
        return True
