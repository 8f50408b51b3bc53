"""A reader of pcapng that takes one block after the other, each field by itself: the oracle of the one in columns.

It follows draft-ietf-opsawg-pcapng, and what the project says of blocks that break its rules.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address

from handshake_inspect.capture import about as bounds
from handshake_inspect.capture.about import InterfaceAbout
from handshake_inspect.capture.formats.pcapng.interfaces import nanoseconds


def options_of(octets: bytes, order: str) -> list[tuple[int, bytes]]:
    """Return code and value of the options up to the first that is broken."""
    found = []
    while len(octets) >= 4:
        code, length = struct.unpack_from(order + "HH", octets)
        if code == 0 or 4 + length > len(octets):
            break
        found.append((code, octets[4 : 4 + length]))
        octets = octets[4 + (length + 3 & ~3) :]
    return found


def text_of(octets: bytes) -> str:
    return octets.partition(b"\0")[0].decode("utf-8", "replace")


@dataclass
class PlainInterface:
    link_type: int
    snaplen: int
    per_second: int
    offset_seconds: int
    #: None: there was no room for it.
    about: InterfaceAbout | None


@dataclass
class Plain:
    """What is read of a file."""

    #: Octets, original, time, number of frame, link type, interface, packet type.
    frames: list[tuple[bytes, int, int, int, int, int, int]] = field(default_factory=list)
    headers: list[tuple[int, int]] = field(default_factory=list)
    #: Offset, frames before it.
    damage: list[tuple[int, int]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    frame_comments: dict[int, list[str]] = field(default_factory=dict)
    interfaces: list[InterfaceAbout] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    dropped: int | None = None


class Broken(Exception):  # noqa: N818 - a block, not an error of the reader
    """A block that is damaged or cut."""


class PlainReader:
    """Reads a file that is in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.order, self.said = data, "<", Plain()
        self.repeats = True
        self.described = 0
        self.of_section: list[PlainInterface] = []
        self.by_statistics: dict[int, int] = {}
        self.by_packets: dict[int, int] = {}

    def read(self) -> Plain:
        at = 0
        while at < len(self.data):
            try:
                at = self.read_block(at)
            except Broken:
                self.said.damage.append((at, len(self.said.frames)))
                break
        self.end_section()
        return self.said

    def end_section(self) -> None:
        if lost := self.by_packets | self.by_statistics:
            self.said.dropped = (self.said.dropped or 0) + sum(lost.values())
        self.by_packets, self.by_statistics, self.of_section = {}, {}, []

    def read_block(self, at: int) -> int:
        """Read the block there; return where it ends."""
        if len(self.data) - at < 12:
            raise Broken
        is_header = self.data[at : at + 4] == b"\x0a\x0d\x0d\x0a"
        if is_header:
            magic = self.data[at + 8 : at + 12]
            if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
                raise Broken
            self.order = "<" if magic == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = self.word(self.data, at), self.word(self.data, at + 4)
        if not (28 if is_header else 12) <= length <= 1 << 27:
            raise Broken
        after: int = at + (length + 3 & ~3)
        if after > len(self.data):
            raise Broken
        last_word = struct.unpack_from(self.order + "I", self.data, at + length - 4)[0]
        if is_header:
            if struct.unpack_from(self.order + "H", self.data, at + 12)[0] != 1:
                raise Broken
            self.repeats = last_word == length
        if self.repeats and length % 4 == 0 and last_word != length:
            raise Broken
        body = self.data[at + 8 : at + length - 4]
        if kind in (2, 3, 6):
            if not self.read_packet(kind, body, length):
                raise Broken
        elif is_header:
            self.end_section()
            self.said.headers.append((at, after))
            self.keep_comments(self.said.comments, bounds.MOST_COMMENTS, options_of(body[16:], self.order))
        elif kind == 1:
            self.said.headers.append((at, after))
            self.read_interface(body)
        elif kind == 4:
            self.read_names(body)
        elif kind == 5 and len(body) >= 12:
            self.read_statistics(body)
        return after

    def keep_comments(self, kept: list[str], most: int, options: list[tuple[int, bytes]]) -> None:
        for code, value in options:
            if code == 1 and (text := text_of(value)):
                if len(kept) < most:
                    kept.append(text)
                else:
                    self.said.left_out["comments"] += 1

    def read_interface(self, body: bytes) -> None:
        link_type, _, snaplen = struct.unpack_from(self.order + "HHI", body) if len(body) >= 8 else (0xFFFF, 0, 0)
        options = options_of(body[8:], self.order)
        said = dict(options)
        resolution = said[9][0] if len(said.get(9, b"")) == 1 else 6
        per_second = (2 if resolution & 128 else 10) ** (resolution & 127)
        offset = struct.unpack(self.order + "q", said[14])[0] if len(said.get(14, b"")) == 8 else 0
        offset = max(-9_223_372_035, min(offset, 9_223_372_035))
        about = None
        if self.described < bounds.MOST_INTERFACES:
            about = InterfaceAbout(link_type, snaplen or None, text_of(said[2]) if 2 in said else None)
            self.said.interfaces.append(about)
            self.keep_comments(about.comments, bounds.MOST_OF_ONE, options)
        else:
            self.said.left_out["interfaces"] += 1
            self.keep_comments([], 0, options)
        self.described += 1
        self.of_section.append(PlainInterface(link_type, snaplen, per_second, offset, about))

    def read_statistics(self, body: bytes) -> None:
        number = struct.unpack_from(self.order + "I", body)[0]
        options = options_of(body[12:], self.order)
        drops = [struct.unpack(self.order + "Q", v)[0] for code, v in options if code in (5, 7) and len(v) == 8]
        if drops:
            self.by_statistics[number] = sum(drops)
        if number < len(self.of_section):
            about = self.of_section[number].about
            if about and drops:
                about.dropped = sum(drops)
            self.keep_comments(about.comments if about else [], bounds.MOST_OF_ONE if about else 0, options)

    def read_names(self, body: bytes) -> None:
        while len(body) >= 4:
            kind, length = struct.unpack_from(self.order + "HH", body)
            value, size = body[4 : 4 + length], {1: 4, 2: 16}.get(kind)
            body = body[4:]
            if kind == 0 or len(value) < length:
                break
            if size is not None:
                for name in value[size:].split(b"\0"):
                    self.keep_name(value[:size], text_of(name))
            body = body[length + 3 & ~3 :]
        self.keep_comments(self.said.comments, bounds.MOST_COMMENTS, options_of(body, self.order))

    def keep_name(self, address: bytes, name: str) -> None:
        names = self.said.names.get(str(ip_address(address))) if name else []
        if not name or name in (names or []):
            return
        if len(self.said.names) >= bounds.MOST_NAMED if names is None else len(names) >= bounds.MOST_OF_ONE:
            self.said.left_out["names"] += 1
        else:
            self.said.names.setdefault(str(ip_address(address)), []).append(name)

    def read_packet(self, kind: int, body: bytes, length: int) -> bool:
        if kind == 3:
            original = self.word(body, 0)
            number, units, captured, drops = 0, 0, min(original, length - 16), 0
            begin, other = 4, 16
        else:
            head = body.ljust(20, b"\0")
            number, upper, lower, captured, original = (self.word(head, 4 * word) for word in range(5))
            drops, units, begin, other = 0, upper << 32 | lower, 20, 32
            if kind == 2:
                number, drops = struct.unpack_from(self.order + "HH", head)
        if number >= len(self.of_section) or length < other or captured > length - other:
            return False
        interface = self.of_section[number]
        if kind == 3 and interface.snaplen:
            captured = min(captured, interface.snaplen)
        time_ns = 0 if kind == 3 else nanoseconds(units, interface.per_second, interface.offset_seconds)
        over_all = self.described - len(self.of_section) + number if self.described > 1 else -1
        options = [] if kind == 3 else options_of(body[begin + (captured + 3 & ~3) :], self.order)
        flags = [self.word(value, 0) for code, value in options if code == 2 and len(value) == 4]
        frame = len(self.said.frames) + 1
        self.said.frames.append(
            (
                body[begin : begin + captured], original, time_ns, frame, interface.link_type, over_all,
                packet_type_of(flags[0]) if flags else 255,
            )
        )  # fmt: skip
        self.note(frame, number, options, 0 if drops == 0xFFFF else drops)
        return True

    def note(self, frame: int, number: int, options: list[tuple[int, bytes]], drops: int) -> None:
        if comments := [one for one in options if one[0] == 1 and text_of(one[1])]:
            kept = list[str]()
            has_room = len(self.said.frame_comments) < bounds.MOST_FRAMES
            self.keep_comments(kept, bounds.MOST_OF_ONE if has_room else 0, comments)
            if has_room:
                self.said.frame_comments[frame] = kept
        told = [struct.unpack(self.order + "Q", v)[0] for code, v in options if code == 4 and len(v) == 8]
        if told or drops:
            self.by_packets[number] = self.by_packets.get(number, 0) + sum(told) + drops
            about = self.of_section[number].about
            if about and number not in self.by_statistics:
                about.dropped = self.by_packets[number]

    def word(self, octets: bytes, at: int) -> int:
        word: int = struct.unpack_from(self.order + "I", octets.ljust(at + 4, b"\0"), at)[0]
        return word


def packet_type_of(flags: int) -> int:
    """Return the Linux packet type that epb_flags tell; 255: none."""
    if flags & 3 == 2:
        return 4
    return {1: 0, 2: 2, 3: 1, 4: 3}.get(flags >> 2 & 7, 0) if flags & 3 == 1 else 255
