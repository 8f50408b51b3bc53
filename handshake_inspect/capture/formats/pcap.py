"""pcap files: a header of 24 octets, then records of 16 octets and a frame each; and the variants of it.

In: a `Window` on the file. Out: `Records`. The format is draft-ietf-opsawg-pcap; read its sections 4 and 5 first.
The variants are those of libpcap's sf-pcap.c and Wireshark's wiretap/libpcap.c: both byte orders, microseconds and
nanoseconds, Ixia's longer file header, AIX, longer record headers of Kuznetzov and Nokia, and lengths in the order of
old times.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.formats.chained import ChainedReader
from handshake_inspect.capture.formats.walk import Chain, Offsets, Words
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.source import LONGEST_RECORD_OCTETS, Window
from handshake_inspect.plain import plain

FILE_HEADER_OCTETS = 24
#: Smallest limit for the captured length of a record, whatever the snaplen says (libpcap: MAXIMUM_SNAPLEN).
MAXIMUM_SNAPLEN = 262144
#: Where the captured length and the length on the wire stand in a record header; before version 2.3 the other way.
CAPTURED_AT, ORIGINAL_AT = 8, 12
#: DG/UX's tcpdump says that it writes this version, and writes lengths in the old order.
DG_UX_VERSION = (543, 0)
#: AIX writes version 2.2, nanoseconds, and for a link type an ifType of RFC 1573 -> the LINKTYPE_ that it is.
AIX_VERSION = (2, 2)
AIX_LINK_TYPES = {6: 1, 9: 6, 15: 10, 24: 0}
FDDI = 10
#: Octets that AIX puts before each FDDI frame.
AIX_FDDI_PADDING = 3
#: Octets of a record header, the usual first. Kuznetzov's patches of 1999-10-29 and 1999-09-15 (SuSE 6.3) have a magic
#: number of their own; that of 1999-04-17 (Red Hat 6.1) and Nokia's firewalls have that of everybody.
PATCHED_HEADER_OCTETS, USUAL_HEADER_OCTETS = (24, 28), (16, 24, 20)
ANOTHER_FILE = "another pcap file begins here, and its header is cut or of an unknown version"
#: Records that tell them apart.
RECORDS_TRIED = 3
#: The upper half of the link type: is there a length of the frame check sequence, and which, in units of 16 bits.
FCS_PRESENT, FCS_SHIFT = 0x0400_0000, 28


@plain
class Variant:
    """What the first four octets of a file say."""

    byte_order: str
    #: Nanoseconds in one unit of a record's fraction of a second.
    unit_ns: int
    file_header_octets: int = FILE_HEADER_OCTETS
    #: Has a record header more than 16 octets?
    patched: bool = False


#: Ixia's two (hardware and software) have the length of all records at the end of the file header.
MAGIC = {
    struct.pack(order + "I", magic): Variant(order, *about)
    for order in "<>"
    for magic, about in (
        (0xA1B2C3D4, (1000,)),
        (0xA1B23C4D, (1,)),
        (0xA1B2CD34, (1000, FILE_HEADER_OCTETS, True)),
        (0x1C0001AC, (1000, FILE_HEADER_OCTETS + 4)),
        (0x1C0001AB, (1000, FILE_HEADER_OCTETS + 4)),
    )
}


class PcapReader(ChainedReader):
    """The records of a pcap file."""

    format = "pcap"

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name, window)
        self._read_header()

    def _read_header(self) -> None:
        """Read the header at `window.start`. Raises CaptureError if it is cut or of an unknown version."""
        window, name = self._window, self.name
        window.need(FILE_HEADER_OCTETS)
        self.magic = window.peek(4)
        self.variant = variant = MAGIC[self.magic]
        if not window.need(variant.file_header_octets):
            have, whole = window.end - window.start, variant.file_header_octets
            raise CaptureError(
                f"{name}: cut after {have} octets, inside the pcap header of {whole}; nothing can be read"
            )
        header = window.peek(FILE_HEADER_OCTETS)
        major, minor, _, _, snaplen, link = struct.unpack(variant.byte_order + "HHIIII", header[4:])
        if major < 2:
            raise CaptureError(f"{name}: a pcap file of version {major}.{minor}; only 2.0 and later are known")
        #: Nanoseconds in one unit of a record's fraction of a second.
        self.unit_ns = variant.unit_ns
        #: LINKTYPE_ value.
        self.link_type = link & 0xFFFF
        #: Octets of frame check sequence at the end of each frame on the wire.
        self.fcs_octets = 2 * (link >> FCS_SHIFT) if link & FCS_PRESENT else 0
        #: Octets between record header and frame.
        self.padding = 0
        if (major, minor) == AIX_VERSION and link in AIX_LINK_TYPES and not variant.patched:
            self.unit_ns, self.link_type = 1, AIX_LINK_TYPES[link]
            self.padding = AIX_FDDI_PADDING if self.link_type == FDDI else 0
        self._note_header(window.start, variant.file_header_octets)
        window.start += variant.file_header_octets
        longest = min(max(snaplen, MAXIMUM_SNAPLEN), LONGEST_RECORD_OCTETS)
        self.chain = self._chain((major, minor), longest)

    def _chain(self, version: tuple[int, int], longest: int) -> PcapChain:
        """Return how the records follow each other."""
        swapped = version < (2, 3) or version == DG_UX_VERSION
        order, at = self.variant.byte_order, ORIGINAL_AT if swapped else CAPTURED_AT
        kind = EitherOrderChain if version == (2, 3) else PcapChain
        lengths = PATCHED_HEADER_OCTETS if self.variant.patched else USUAL_HEADER_OCTETS
        usual, *others = (kind(order, length, at, longest=longest, header_octets=length) for length in lengths)
        # A pipe may be live: who waits for its second record before the first is shown waits too long.
        can_tell = self.variant.patched or (version == (2, 4) and self.unit_ns == 1000 and self._window.source.is_whole)
        if can_tell and not self._fits(usual, least=1):
            least = 1 if self.variant.patched else 2  # what is cut in the usual way may look like one record of another
            return next((chain for chain in others if self._fits(chain, least=least)), usual)
        return usual

    def _fits(self, chain: PcapChain, *, least: int) -> bool:
        """Tell whether the first records, at least so many, look right so: the file does not say how they are."""
        window, at = self._window, 0
        for number in range(RECORDS_TRIED):
            if not window.need(at + chain.header_octets):
                return window.end - window.start == at and number >= least
            begin = window.start + at
            _, fraction, one, other = struct.unpack_from(chain.byte_order + "4I", window.buffer, begin)
            captured, original = (one, other) if chain.length_at == CAPTURED_AT else (other, one)
            if fraction >= 1_000_000 or not captured <= original <= LONGEST_RECORD_OCTETS or captured > chain.longest:
                return False
            at += chain.added + captured
        return True

    def _records(self, offsets: Offsets, first_frame: int) -> tuple[Records, str | None]:
        """Read the headers of the records at `offsets`: seconds, fraction, captured and original length."""
        headers = self._headers(offsets, 4, self.variant.byte_order)
        wrong = None
        if (strange := self._strange(headers)) is not None:
            row, wrong = strange
            offsets, headers = offsets[:row], headers[:row]
        count = len(offsets)
        seconds, fraction, captured, original = (headers[:, column].astype(np.int64) for column in range(4))
        if self.chain.length_at == ORIGINAL_AT:
            captured, original = original, captured
        elif isinstance(self.chain, EitherOrderChain):
            captured, original = np.minimum(captured, original), np.maximum(captured, original)
        seconds *= 1_000_000_000
        fraction *= self.unit_ns
        seconds += fraction
        begin = offsets + self.chain.added
        if self.padding:
            padding = np.minimum(captured, self.padding)
            begin, captured, original = begin + padding, captured - padding, np.maximum(original - self.padding, 0)
        if self.fcs_octets:
            original = np.maximum(original - self.fcs_octets, 0)
            captured = np.minimum(captured, original)
        return Records(
            buffer=self._window.octets,
            offset=begin,
            captured=captured,
            original=original,
            time_ns=seconds,
            frame=np.arange(first_frame, first_frame + count, dtype=np.int64),
            link_type=np.full(count, self.link_type, np.uint16),
        ), wrong

    def _strange(self, headers: NDArray[np.uint32]) -> tuple[int, str] | None:
        """Return the first record that is none, and what it is: the header of another file, or nothing but zeros.

        Both read as a record of no octets.
        """
        empty = np.flatnonzero((headers[:, 2] | headers[:, 3]) == 0)
        if not len(empty):
            return None
        first, second = headers[empty, 0], headers[empty, 1]
        number = int.from_bytes(self.magic, "little" if self.variant.byte_order == "<" else "big")
        strange = np.flatnonzero((first == number) | ((first == 0) & (second == 0)))
        if not len(strange):
            return None
        at = int(strange[0])
        message = (
            "a record of nothing but zeros; the file was not written to its end" if first[at] == 0 else ANOTHER_FILE
        )
        return int(empty[at]), message

    def _begins_anew(self) -> bool:
        if self._window.peek(4) != self.magic:
            return False
        try:
            self._read_header()
        except CaptureError:
            return False
        return True


class PcapChain(Chain):
    """Record headers: seconds, fraction of a second, captured octets, original octets (or these two swapped)."""

    def telling(self, record: bytes) -> tuple[bytes, int]:
        """Return the upper half of the seconds."""
        place = 2 if self.byte_order == "<" else 0
        return record[place : place + 2], place

    def can_be(self, words: Words, at: Offsets, end: int) -> Mask:
        """Tell where a fraction of a second and two lengths stand."""
        captured, original = words[at + self.length_at], words[at + (CAPTURED_AT + ORIGINAL_AT - self.length_at)]
        right: Mask = (captured <= self.longest) & (captured <= original) & (words[at + 4] < 1_000_000_000)
        return right


class EitherOrderChain(PcapChain):
    """Version 2.3: some programs wrote it with the lengths still in the old order; the captured one is not longer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.in_step = False

    def record_end(self, buffer: bytearray, offset: int) -> int | None:
        """Return where the record at `offset` ends, or None if its lengths cannot be."""
        length = min(struct.unpack_from(self.byte_order + "II", buffer, offset + CAPTURED_AT))
        return offset + self.added + length if length <= self.longest else None
