"""Packet blocks of the three kinds as columns (sections 4.3 and 4.4 of draft-ietf-opsawg-pcapng, and appendix A).

In: `Blocks` that are packets, and which interfaces are described at each. Out: one column per field, up to the first
packet that cannot be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.formats.pcapng.blocks import (
    ENHANCED_PACKET,
    OBSOLETE_PACKET,
    SIMPLE_PACKET,
    Blocks,
    Chosen,
)
from handshake_inspect.capture.formats.pcapng.interfaces import DescribedInterfaces, Interfaces
from handshake_inspect.capture.formats.pcapng.options import EPB_FLAGS, Options
from handshake_inspect.capture.formats.walk import Offsets
from handshake_inspect.plain import frozen
from handshake_inspect.table import PACKET_OUTGOING, PACKET_TYPE_UNKNOWN

#: Octets of a packet block before the frame, and of all that is not frame.
HEADER_OCTETS, OTHER_OCTETS = 28, 32
SIMPLE_HEADER_OCTETS, SIMPLE_OTHER_OCTETS = 12, 16
#: Drops of an obsolete packet block that are not known.
DROPS_UNKNOWN = 0xFFFF
#: epb_flags by Linux packet type: to us, broadcast, multicast, to somebody else (seen by promiscuous mode), sent by us.
#: Bits 0-1: 1 came in, 2 went out; bits 2-4: 1 unicast, 2 multicast, 3 broadcast, 4 promiscuous (section 4.3.1).
FLAGS_OF_PACKET_TYPE = (1 | 1 << 2, 1 | 3 << 2, 1 | 2 << 2, 1 | 4 << 2, 2)
#: And back, by those five bits; what came in need not say how it was addressed.
PACKET_TYPE_OF_FLAGS = np.full(1 << 5, PACKET_TYPE_UNKNOWN, np.uint8)
PACKET_TYPE_OF_FLAGS[1::4] = 0
PACKET_TYPE_OF_FLAGS[2::4] = PACKET_OUTGOING
PACKET_TYPE_OF_FLAGS[list(FLAGS_OF_PACKET_TYPE)] = range(5)


def is_packet(blocks: Blocks) -> Mask:
    """Tell which blocks are packets."""
    kind = blocks.kind
    found: Mask = (kind == ENHANCED_PACKET) | (kind == SIMPLE_PACKET) | (kind == OBSOLETE_PACKET)
    return found


@frozen
class Packets:
    """Packet blocks; columns with an entry each."""

    blocks: Blocks
    described: DescribedInterfaces
    #: Number of its interface over all sections, whether that is described or not.
    interface: Offsets
    #: Its time, in units of the clock of its interface; of simple packets 0.
    units: Offsets
    #: Where its frame begins, how long it is, and how long it was on the wire.
    frame: Offsets
    captured: Offsets
    original: Offsets

    @classmethod
    def read(cls, blocks: Blocks, described: DescribedInterfaces) -> Packets:
        """Read the fields of packet blocks; of simple ones the snaplen is still to be looked at."""
        interface, upper, lower, captured, original = (blocks.head[:, word].astype(np.int64) for word in range(2, 7))
        obsolete, simple = blocks.kind == OBSOLETE_PACKET, blocks.kind == SIMPLE_PACKET
        if obsolete.any():  # two octets of interface and two of drops stand there
            own = interface[obsolete]
            interface[obsolete] = own >> 16 if blocks.byte_order == ">" else own & 0xFFFF
        units, frame = upper << 32 | lower, blocks.at + HEADER_OCTETS
        if simple.any():
            original[simple], interface[simple], units[simple] = interface[simple], 0, 0
            room = blocks.length[simple] - SIMPLE_OTHER_OCTETS
            captured[simple] = np.minimum(original[simple], np.maximum(room, -1))
            frame[simple] = blocks.at[simple] + SIMPLE_HEADER_OCTETS
        return cls(blocks, described, described.first + interface, units, frame, captured, original)

    def __len__(self) -> int:
        return len(self.captured)

    def __getitem__(self, rows: Chosen) -> Packets:
        return Packets(
            self.blocks[rows], self.described[rows], self.interface[rows], self.units[rows], self.frame[rows],
            self.captured[rows], self.original[rows],
        )  # fmt: skip

    @property
    def is_simple(self) -> Mask:
        """Which of them are simple packet blocks."""
        simple: Mask = self.blocks.kind == SIMPLE_PACKET
        return simple

    def first_wrong(self) -> tuple[int, str] | None:
        """Return the first packet that cannot be, and what is wrong with it."""
        undescribed = self.interface >= self.described.known
        room = self.blocks.length - (OTHER_OCTETS - HEADER_OCTETS) - (self.frame - self.blocks.at)
        wrong = undescribed | (self.captured > room) | (self.captured < 0)
        if not wrong.any():
            return None
        row = int(np.argmax(wrong))
        if undescribed[row]:
            number = self.interface[row] - self.described.first[row]
            return row, f"a packet refers to interface {number}, which is not described before it"
        return row, f"a packet claims {self.captured[row]} captured octets in a block of {self.blocks.length[row]}"

    def cut_to_snaplen(self, interfaces: Interfaces) -> None:
        """Cut the frames of simple packets to the snaplen of the first interface of their section."""
        rows = np.flatnonzero(self.is_simple)
        if not len(rows):
            return
        snaplen = interfaces.snaplens(self.described.first[rows])
        self.captured[rows] = np.where(snaplen > 0, np.minimum(self.captured[rows], snaplen), self.captured[rows])

    def options(self) -> tuple[Offsets, Offsets, Offsets]:
        """Return which packets can have options, and where those begin and end: behind the frame, which is padded."""
        begin = self.frame + (self.captured + 3 & ~3)
        end = self.blocks.at + self.blocks.length - 4
        rows = np.flatnonzero((end > begin) & ~self.is_simple)
        return rows, begin[rows], end[rows]

    def drops_in_headers(self) -> tuple[Offsets, NDArray[np.int64]]:
        """Return which packets tell in their headers of drops before them, and of how many: obsolete ones."""
        rows = np.flatnonzero(self.blocks.kind == OBSOLETE_PACKET)
        drops = self.blocks.numbers(self.blocks.at[rows] + 10, 2).astype(np.int64)
        tell = (drops != DROPS_UNKNOWN) & (drops != 0)
        return rows[tell], drops[tell]


def note_packet_types(options: Options, packet_type: NDArray[np.uint8]) -> None:
    """Note the Linux packet types that options of packets tell (epb_flags); the first one of each counts."""
    flags = options.of(EPB_FLAGS, 4)[::-1]  # numpy assigns in order
    packet_type[flags.block] = PACKET_TYPE_OF_FLAGS[flags.numbers("u4") & 31]
