"""pcap files: a header of 24 octets, then records of 16 octets and a frame each.

In: a `Window` on the file. Out: `Records`. The format is draft-ietf-opsawg-pcap; read its sections 4 and 5 first.
Both byte orders, microseconds and nanoseconds, and Kuznetzov's longer record header.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.source import LONGEST_RECORD_OCTETS, RecordReader, Window
from handshake_inspect.capture.walk import PLAUSIBLE_RECORDS, Chain, Offsets, walk

FILE_HEADER_OCTETS = 24
#: Smallest limit for the captured length of a record, whatever the snaplen says (libpcap: MAXIMUM_SNAPLEN).
MAXIMUM_SNAPLEN = 262144


@dataclass(frozen=True)
class Variant:
    """What the first four octets of a file say."""

    byte_order: str
    #: Nanoseconds in one unit of a record's fraction of a second.
    unit_ns: int
    record_header_octets: int = 16


MAGIC = {
    b"\xd4\xc3\xb2\xa1": Variant("<", 1000),
    b"\xa1\xb2\xc3\xd4": Variant(">", 1000),
    b"\x4d\x3c\xb2\xa1": Variant("<", 1),
    b"\xa1\xb2\x3c\x4d": Variant(">", 1),
    b"\x34\xcd\xb2\xa1": Variant("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": Variant(">", 1000, 24),
}


class PcapReader(RecordReader):
    """The records of a pcap file."""

    format = "pcap"

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name, window)
        if not window.need(FILE_HEADER_OCTETS):
            have = window.end - window.start
            raise CaptureError(f"{name}: cut after {have} octets, inside the pcap header of 24; nothing can be read")
        header = window.peek(FILE_HEADER_OCTETS)
        self.variant = MAGIC[header[:4]]
        _, _, _, _, snaplen, link = struct.unpack(self.variant.byte_order + "HHIIII", header[4:])
        #: LINKTYPE_ value; the upper half of the field has flags about the frame check sequence.
        self.link_type = link & 0xFFFF
        longest = min(max(snaplen, MAXIMUM_SNAPLEN), LONGEST_RECORD_OCTETS)
        self.chain = PcapChain(
            self.variant.byte_order, self.variant.record_header_octets, 8,
            longest=longest, header_octets=self.variant.record_header_octets,
        )  # fmt: skip
        window.start += FILE_HEADER_OCTETS

    def _blocks(self) -> Iterator[Records]:
        window, chain = self._window, self.chain
        while True:
            offsets = walk(window.buffer, window.start, window.end, chain)
            if len(offsets):
                window.start = chain.record_end(window.buffer, int(offsets[-1])) or window.end
                first = self._frames + 1
                self._frames += len(offsets)
                yield self._records(offsets, first)
            left = window.end - window.start
            if left >= chain.header_octets and chain.record_end(window.buffer, window.start) is None:
                claimed = chain.words.unpack_from(window.buffer, window.start)[1]
                self._damaged(window.start, f"a record claims {claimed} captured octets, more than {chain.longest}")
                return
            if not window.fill():
                self._cut(window.start, "a record" if left >= chain.header_octets else "a record header")
                return

    def _records(self, offsets: Offsets, first_frame: int) -> Records:
        """Read the headers of the records at `offsets`: seconds, fraction, captured and original length."""
        octets, count = self._window.octets, len(offsets)
        every = np.ndarray((len(octets) - 15, 16), np.uint8, octets, 0, (1, 1))
        headers = every[offsets].view(f"{self.variant.byte_order}u4")
        seconds, fraction, captured, original = (headers[:, column].astype(np.int64) for column in range(4))
        return Records(
            buffer=octets,
            offset=offsets + self.variant.record_header_octets,
            captured=captured,
            original=original,
            time_ns=seconds * 1_000_000_000 + fraction * self.variant.unit_ns,
            frame=np.arange(first_frame, first_frame + count, dtype=np.int64),
            link_type=np.full(count, self.link_type, np.uint16),
        )


class PcapChain(Chain):
    """Record headers: seconds, fraction of a second, captured octets, original octets."""

    def guess(self, buffer: bytearray, start: int, low: int, high: int, end: int) -> int:
        """Look for the upper half of the seconds, as in the block's first record, then for records in a row."""
        upper = slice(2, 4) if self.byte_order == "<" else slice(0, 2)
        pattern = bytes(buffer[start : start + 4][upper])
        found = buffer.find(pattern, low + upper.start, high)
        for _ in range(64):
            if found < 0:
                return -1
            if self._plausible(buffer, found - upper.start, end):
                return found - upper.start
            found = buffer.find(pattern, found + 1, high)
        return -1

    def _plausible(self, buffer: bytearray, offset: int, end: int) -> bool:
        """Tell whether several records in a row from `offset` have fields that can be."""
        for _ in range(PLAUSIBLE_RECORDS):
            if offset + self.header_octets > end:
                return False
            _, fraction, captured, original = struct.unpack_from(self.byte_order + "4I", buffer, offset)
            if captured > self.longest or captured > original or fraction >= 1_000_000_000:
                return False
            offset += self.added + captured
        return True
