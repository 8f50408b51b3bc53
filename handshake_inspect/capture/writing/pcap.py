"""pcap files with nanoseconds: one header, one link type, 16 octets before each frame.

In: `Records`. Out: the classic format (draft-ietf-opsawg-pcap), little-endian, magic 0xA1B23C4D.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from handshake_inspect.capture.records import CaptureError, RawFrame, Records, records_of
from handshake_inspect.capture.writing.output import SNAPLEN, FileWriter, Rows, Target, laid_out, numbers_of

#: Largest time that the 32-bit seconds of a record can hold.
MOST_SECONDS = 0xFFFF_FFFF


class PcapWriter(FileWriter):
    """Writes a pcap file. A frame with another link type, or a time that pcap cannot hold, also raises CaptureError."""

    OTHER_OCTETS = 16

    def __init__(self, target: Target, link_type: int, snaplen: int = SNAPLEN) -> None:
        super().__init__(target)
        self._link_type = link_type
        self._output.put(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, snaplen, link_type))

    def write(self, records: Records, rows: Rows | None = None) -> None:
        """Add the frames of a block, or those in `rows`."""
        chosen = numbers_of(records, rows)
        if not len(chosen):
            return
        seconds, fraction = np.divmod(records.time_ns[chosen], 1_000_000_000)
        differs = records.link_type[chosen] != self._link_type
        outside = (seconds < 0) | (seconds > MOST_SECONDS)
        if (differs | outside).any():
            self._refuse(int(np.argmax(differs | outside)), records.link_type[chosen][differs].tolist())
        before = np.stack([seconds, fraction, records.captured[chosen], records.original[chosen]], axis=1)
        self._output.put(laid_out(records, chosen, before, before[:, :0], padding=0))
        self.count += len(chosen)

    def _refuse(self, place: int, other_link_types: list[int]) -> None:
        name, number = self._output.name, self.count + place + 1
        if other_link_types:
            both = f"{self._link_type}, and frame {number} has {other_link_types[0]}"
            raise CaptureError(f"{name}: a pcap file has one link type, {both}; a pcapng file may have several")
        raise CaptureError(f"{name}: the time of frame {number} is outside 1970 to 2106, which pcap can hold")

    def close(self) -> None:
        """Close the file, if it was opened here."""
        self._output.close()


def write_pcap(target: Target, frames: Iterable[RawFrame], link_type: int) -> int:
    """Write frames as a pcap file with nanoseconds, and return how many. All must be of `link_type`."""
    with PcapWriter(target, link_type) as writer:
        writer.write(records_of(frames))
    return writer.count
