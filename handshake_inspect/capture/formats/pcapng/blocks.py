"""Blocks of pcapng: their kinds, how they follow each other, and the first words of many of them as columns.

In: a buffer, and the offsets of whole blocks in it. Out: `Blocks`. Read section 3.1 of draft-ietf-opsawg-pcapng first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.formats.walk import Chain, Offsets, Words
from handshake_inspect.capture.source import gathered
from handshake_inspect.plain import frozen

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION_HEADER, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, NAMES, STATISTICS, ENHANCED_PACKET = (
    0x0A0D0D0A, 1, 2, 3, 4, 5, 6,
)  # fmt: skip
#: By the byte-order magic of a section header, which reads as `BYTE_ORDER_MAGIC` in the right one.
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
BYTE_ORDER_MAGIC = 0x1A2B3C4D
#: The only version of sections that is known.
MAJOR_VERSION = 1
#: Octets of blocks without options: a section header, an interface description, interface statistics.
SECTION_HEADER_OCTETS, INTERFACE_OCTETS, STATISTICS_OCTETS = 28, 20, 24
#: Octets that are looked at of every block: what stands before the frame in two of three kinds of packets.
HEAD_OCTETS = 28

#: Which entries of columns, said as numpy takes it.
Chosen = slice | Offsets | Mask


@frozen
class Blocks:
    """Whole blocks in one byte order, as they follow each other; columns with an entry each."""

    #: The buffer, which goes on behind them.
    octets: NDArray[np.uint8]
    byte_order: str
    #: Where each begins in it.
    at: Offsets
    kind: Words
    #: Octets of each, as its length field says.
    length: Offsets
    #: The first seven words of each.
    head: NDArray[np.uint32]

    @classmethod
    def found(cls, octets: NDArray[np.uint8], byte_order: str, at: Offsets) -> Self:
        """Look at the blocks at these places."""
        head = gathered(octets, at, HEAD_OCTETS).view(f"{byte_order}u4").astype(np.uint32, copy=False)
        return cls(octets, byte_order, at, head[:, 0].copy(), head[:, 1].astype(np.int64), head)

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, rows: Chosen) -> Blocks:
        return Blocks(
            self.octets, self.byte_order, self.at[rows], self.kind[rows], self.length[rows], self.head[rows]
        )  # fmt: skip

    def numbers(self, at: Offsets, octets: int, kind: str = "u") -> NDArray[np.int64 | np.uint64]:
        """Return the numbers of 2, 4 or 8 octets at these places of the buffer."""
        every: NDArray[np.int64 | np.uint64] = np.ndarray(
            (len(self.octets) - octets + 1,), f"{self.byte_order}{kind}{octets}", self.octets, 0, (1,)
        )
        return every[at]

    def after(self) -> Offsets:
        """Return where each block ends, with its padding."""
        after: Offsets = self.at + (self.length + 3 & ~3)
        return after

    def last_word(self) -> NDArray[np.int64 | np.uint64]:
        """Return the last word of each, which should be its length."""
        return self.numbers(self.at + self.length - 4, 4)

    def bodies(self, most: int) -> Iterator[bytes]:
        """Yield what stands between the lengths of each, at most so many octets of it."""
        begin, octets = self.at + 8, self.octets.data
        end = np.minimum(self.at + self.length - 4, begin + most)
        for first, last in zip(begin.tolist(), end.tolist(), strict=True):
            yield bytes(octets[first:last])


class PcapngChain(Chain):
    """Block headers: type, total length; the total length again at the end."""

    @classmethod
    def of(cls, byte_order: str) -> Self:
        """Return the chain of the blocks of a section."""
        return cls(byte_order, 0, 4, smallest=12, padding=3, header_octets=12)

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
