"""Records: the frames of a capture as offsets into one buffer, before anything in them is understood.

Readers (`pcap`, `pcapng`, `live`) yield blocks of records; `decode` turns each into rows. Nothing is copied per
frame: a block is one buffer and one row of numbers per frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Records:
    """A block of frames in capture order. All arrays have one entry per frame."""

    #: The octets that hold the frames. Valid only until the next block is asked for: readers reuse it.
    buffer: NDArray[np.uint8]
    #: Where each frame begins in `buffer`.
    offset: NDArray[np.int64]
    #: Octets of each frame that were captured and stand in `buffer`.
    captured: NDArray[np.int64]
    #: Octets that each frame had on the wire.
    original: NDArray[np.int64]
    #: Time of capture, nanoseconds since the Unix epoch.
    time_ns: NDArray[np.int64]
    #: Number of each frame in its file, from 1.
    frame: NDArray[np.int64]
    #: Link type (LINKTYPE_ value) of each frame's interface.
    link_type: NDArray[np.uint16]
    #: Linux packet type per frame where the source knows it (a live socket); 255 = not said.
    packet_type: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.offset)

    def octets(self, row: int) -> bytes:
        """Return the captured octets of the frame in `row`."""
        start = int(self.offset[row])
        return self.buffer[start : start + int(self.captured[row])].tobytes()


@dataclass(frozen=True)
class Damage:
    """One place where a capture could not be read as its format says. What came before it is kept."""

    #: Name of the capture as the user gave it.
    capture: str
    #: Offset in octets of the record that is broken, from the start of the (uncompressed) file.
    offset: int
    #: Number of frames read before it.
    frames_before: int
    #: What is wrong, in one line without the name and the offset.
    message: str


class CaptureError(Exception):
    """A capture that cannot be used at all. The message is one line: what is wrong, where, and what to do."""
