"""snoop files, as Solaris writes them: a header of 16 octets, then records of 24 octets and a frame each.

In: a `Window` on the file. Out: `Records`. The format is RFC 1761; read its "File Format" first. All numbers are
big-endian. The types of data links beyond the RFC's are those of IANA's registry and of Solaris' <sys/dlpi.h>;
Shomiti's Surveyor wrote the same format with types of its own, and more than 16 octets of its own behind each frame.
"""

from __future__ import annotations

import struct

import numpy as np

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.formats.chained import ChainedReader
from handshake_inspect.capture.formats.walk import Chain, Offsets, Words
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.source import LONGEST_RECORD_OCTETS, Window

MAGIC = b"snoop\0\0\0"
FILE_HEADER_OCTETS = 16
RECORD_HEADER_OCTETS = 24
#: 2 is RFC 1761's; Surveyor's hardware wrote 3 to 5.
VERSIONS = range(2, 6)
#: Octets that Surveyor puts behind each frame.
SHOMITI_TRAILER_OCTETS = 16

ETHERNET, NULL, TOKEN_RING, FDDI = 1, 0, 6, 10
#: Type of data link -> LINKTYPE_.
LINK_TYPES = {
    0: ETHERNET,  # IEEE 802.3
    2: TOKEN_RING,
    4: ETHERNET,
    8: FDDI,
    9: NULL,  # other: loopback
    14: NULL,  # software loopback
    16: 122,  # Fibre Channel: LINKTYPE_IP_OVER_FC
    18: 123,  # classical IP over ATM: LINKTYPE_SUNATM
    25: ETHERNET,  # 100BASE-T
    0x8000_0005: 226,  # Solaris ipnet(7D): LINKTYPE_IPNET
}
#: Surveyor's own: Fast, Gigabit and 10 Gigabit Ethernet, and 4 Mb Token Ring.
SHOMITI_LINK_TYPES = {10: ETHERNET, 12: ETHERNET, 19: ETHERNET, 11: TOKEN_RING}


class SnoopReader(ChainedReader):
    """The records of a snoop file."""

    format = "snoop"

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name, window)
        if not window.need(FILE_HEADER_OCTETS):
            have = window.end - window.start
            raise CaptureError(f"{name}: cut after {have} octets, inside the snoop header of 16; nothing can be read")
        version, data_link = struct.unpack(">II", window.peek(FILE_HEADER_OCTETS)[8:])
        if version not in VERSIONS:
            raise CaptureError(f"{name}: a snoop file of version {version}; versions 2 to 5 are known")
        self._note_header(window.start, FILE_HEADER_OCTETS)
        window.start += FILE_HEADER_OCTETS
        self.chain = SnoopChain(
            ">", 0, 8, smallest=RECORD_HEADER_OCTETS, longest=LONGEST_RECORD_OCTETS, header_octets=RECORD_HEADER_OCTETS
        )
        #: LINKTYPE_ value.
        self.link_type = self._link_type(data_link)

    def _link_type(self, data_link: int) -> int:
        if data_link in LINK_TYPES:
            return LINK_TYPES[data_link]
        if data_link in SHOMITI_LINK_TYPES and self._window.need(RECORD_HEADER_OCTETS):
            _, captured, length = struct.unpack(">III", self._window.peek(12))
            if length - RECORD_HEADER_OCTETS - captured >= SHOMITI_TRAILER_OCTETS:
                return SHOMITI_LINK_TYPES[data_link]
        raise CaptureError(
            f"{self.name}: a snoop file of data link type {data_link:#x}, whose frames are not read; "
            f"try `editcap -F pcapng {self.name} capture.pcapng`"
        )

    def _records(self, offsets: Offsets, first_frame: int) -> tuple[Records, str | None]:
        headers = self._headers(offsets, 6, ">")
        original, captured, length, dropped, seconds, fraction = (
            headers[:, column].astype(np.int64) for column in range(6)
        )
        wrong = captured > length - RECORD_HEADER_OCTETS
        good = int(np.argmax(wrong)) if wrong.any() else len(offsets)
        if good:
            # Cumulative: those lost since the first record.
            self.dropped = int(dropped[good - 1])
        records = Records(
            buffer=self._window.octets,
            offset=offsets[:good] + RECORD_HEADER_OCTETS,
            captured=captured[:good],
            original=original[:good],
            time_ns=seconds[:good] * 1_000_000_000 + fraction[:good] * 1000,
            frame=np.arange(first_frame, first_frame + good, dtype=np.int64),
            link_type=np.full(good, self.link_type, np.uint16),
        )
        if good == len(offsets):
            return records, None
        return records, f"a record of {length[good]} octets claims {captured[good]} captured octets"


class SnoopChain(Chain):
    """Record headers: original, included and record length, cumulative drops, seconds, microseconds."""

    def telling(self, record: bytes) -> tuple[bytes, int]:
        """Return the upper half of the seconds."""
        return record[16:18], 16

    def can_be(self, words: Words, at: Offsets, end: int) -> Mask:
        """Tell where three lengths stand that fit each other, and a fraction of a second."""
        original, captured, length, _, _, fraction = (words[at + 4 * word].astype(np.int64) for word in range(6))
        fits = (self.smallest + captured <= length) & (length <= self.longest)
        right: Mask = fits & (captured <= original) & (fraction < 1_000_000)
        return right
