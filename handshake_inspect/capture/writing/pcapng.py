"""pcapng files: interfaces with their own names and link types, exact times, the direction of frames, drops.

In: `Records`, and the interfaces that their numbers refer to. Out: one section of draft-ietf-opsawg-pcapng,
little-endian; read its sections 4.1 to 4.3 and 4.6 first. Times are nanoseconds. An interface is described before its
first frame, so the list may grow. The last blocks have the numbers of captured and saved frames of each interface.
"""

from __future__ import annotations

import platform
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect import __version__
from handshake_inspect.capture.formats.pcapng.blocks import ENHANCED_PACKET, INTERFACE, SECTION_HEADER, STATISTICS
from handshake_inspect.capture.formats.pcapng.options import (
    EPB_FLAGS,
    IF_NAME,
    IF_TSRESOL,
    ISB_IFDROP,
    OPT_COMMENT,
    OPT_END,
    SHB_OS,
    SHB_USERAPPL,
)
from handshake_inspect.capture.formats.pcapng.packets import FLAGS_OF_PACKET_TYPE
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.writing.output import SNAPLEN, FileWriter, Rows, Target, laid_out, numbers_of

BYTE_ORDER_MAGIC = 0x1A2B3C4D
UNKNOWN_LENGTH = -1
#: Times in units of 10**-9 s.
NANOSECONDS = bytes([9])
ISB_IFRECV, ISB_USRDELIV = 4, 8
#: epb_flags by Linux packet type; 0: unknown.
FLAGS = np.zeros(256, np.uint32)
FLAGS[: len(FLAGS_OF_PACKET_TYPE)] = FLAGS_OF_PACKET_TYPE
#: Name and link type.
Interface = tuple[str, int]


class PcapngWriter(FileWriter):
    """Writes a pcapng file of the frames of `interfaces`; the list may grow meanwhile.

    `snaplen`: octets captured of each frame at most. `dropped` is called at the end and returns how many frames were
    lost. They are written for the first interface: the kernel counts those of all interfaces together.
    """

    OTHER_OCTETS = 28 + 3 + 16

    def __init__(
        self,
        target: Target,
        interfaces: Sequence[Interface],
        *,
        dropped: Callable[[], int] = lambda: 0,
        snaplen: int = SNAPLEN,
    ) -> None:
        super().__init__(target)
        self._interfaces = interfaces
        self._snaplen = snaplen
        self._dropped = dropped
        #: For each described interface: frames captured, frames saved.
        self._captured: list[int] = []
        self._saved: list[int] = []
        self._output.put(section_header())
        self._describe()

    def write(self, records: Records, rows: Rows | None = None) -> None:
        """Add the frames of a block, or those in `rows`; all frames of the block count as captured."""
        self._describe()
        every = np.zeros(len(records), np.int64) if records.interface is None else np.maximum(records.interface, 0)
        chosen = numbers_of(records, rows)
        if len(chosen):
            self._output.put(packets(records, chosen, every[chosen]))
        self._count(every, self._captured)
        self._count(every[chosen], self._saved)
        self.count += len(chosen)

    def close(self) -> None:
        """Write the statistics of all interfaces, and close the file if it was opened here."""
        try:
            if not self._output.is_over:
                self._output.put(b"".join(map(self._statistics, range(len(self._captured)))))
        finally:
            self._output.close()

    def _describe(self) -> None:
        """Describe the interfaces added since the last call."""
        new = self._interfaces[len(self._captured) :]
        if new:
            self._output.put(b"".join(interface_description(*one, self._snaplen) for one in new))
            self._captured += [0] * len(new)
            self._saved += [0] * len(new)

    @staticmethod
    def _count(interface: NDArray[np.int64], counts: list[int]) -> None:
        for number, count in enumerate(np.bincount(interface, minlength=len(counts)).tolist()):
            counts[number] += count

    def _statistics(self, number: int) -> bytes:
        """Return the statistics block of an interface."""
        captured, saved = self._captured[number], self._saved[number]
        if number:
            return interface_statistics(number, captured, saved)
        dropped = self._dropped()
        of_all = dropped > 0 and len(self._captured) > 1
        return interface_statistics(number, captured + dropped, saved, dropped, of_all=of_all)

    @property
    def closing_octets(self) -> int:
        """Most octets, other than frames, written before it is closed: new interfaces, and statistics of all."""
        new = sum(len(interface_description(*one)) for one in self._interfaces[len(self._captured) :])
        return new + LONGEST_STATISTICS_OCTETS + STATISTICS_OCTETS * (len(self._interfaces) - 1)


def section_header() -> bytes:
    """Return the block that begins a file."""
    options = option(SHB_OS, f"{platform.system()} {platform.release()}".encode())
    options += option(SHB_USERAPPL, f"handshake-inspect {__version__}".encode()) + option(OPT_END, b"")
    return block(SECTION_HEADER, struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, UNKNOWN_LENGTH) + options)


def interface_description(name: str, link_type: int, snaplen: int = SNAPLEN) -> bytes:
    """Return the block that describes an interface, without a name option if the name is empty."""
    options = (option(IF_NAME, name.encode()) if name else b"") + option(IF_TSRESOL, NANOSECONDS) + option(OPT_END, b"")
    return block(INTERFACE, struct.pack("<HHI", link_type, 0, snaplen) + options)


def interface_statistics(
    number: int, received: int, saved: int, dropped: int | None = None, *, of_all: bool = False
) -> bytes:
    """Return the block with the counts of an interface. Drops are in isb_ifdrop, as dumpcap writes the kernel's."""
    options = option(ISB_IFRECV, struct.pack("<Q", received))
    if dropped is not None:
        options += option(ISB_IFDROP, struct.pack("<Q", dropped))
    options += option(ISB_USRDELIV, struct.pack("<Q", saved))
    if of_all:
        options += option(OPT_COMMENT, b"the frames dropped are those of all interfaces")
    now_ns = time.time_ns()
    fields = struct.pack("<III", number, now_ns >> 32, now_ns & 0xFFFFFFFF)
    return block(STATISTICS, fields + options + option(OPT_END, b""))


def packets(records: Records, rows: NDArray[np.intp], interface: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return enhanced packet blocks of the frames in `rows`, of these interfaces."""
    captured, units = records.captured[rows], records.time_ns[rows].view(np.uint64)
    behind: list[NDArray[Any]] = [np.zeros(len(rows), np.int64)]  # replaced by the length, which is repeated
    if records.packet_type is not None:
        flags = FLAGS[records.packet_type[rows]]
        behind = [np.full(len(rows), 4 << 16 | EPB_FLAGS), flags, np.zeros(len(rows), np.int64), *behind]
    total = 28 + (captured + 3 & ~3) + 4 * len(behind)
    behind[-1] = total
    before = [np.full(len(rows), ENHANCED_PACKET), total, interface, units >> np.uint64(32)]
    before += [units & np.uint64(0xFFFFFFFF), captured, records.original[rows]]
    columns = ([column.astype(np.uint32) for column in side] for side in (before, behind))
    head, tail = (np.stack(side, axis=1) for side in columns)
    return laid_out(records, rows, head, tail, padding=3)


def block(kind: int, body: bytes) -> bytes:
    """Return a block: its kind, its length, its body, its length again."""
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def option(code: int, value: bytes) -> bytes:
    """Return an option: its code, its length, its value, padded to four octets."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


#: Size for an interface; largest size for the first one.
STATISTICS_OCTETS = len(interface_statistics(1, 0, 0))
LONGEST_STATISTICS_OCTETS = len(interface_statistics(0, 0, 0, 0, of_all=True))
