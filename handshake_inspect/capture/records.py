"""Records: the frames of a capture as offsets into one buffer, before any decoding.

Readers (`pcap`, `pcapng`, `live`) yield blocks of records; `decode` turns each into rows. Nothing is copied per
frame: a block is one buffer and one row of numbers per frame. A single frame with its own octets is a `RawFrame`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.plain import plain

#: Octets of padding after the data of a buffer, so that fixed-size rows can be gathered from any frame in it.
SLACK_OCTETS = 256


@dataclass(kw_only=True)
class Frames:
    """A block of frames, in capture order, without their octets. Arrays have one entry per frame."""

    #: Time of capture, nanoseconds since the Unix epoch.
    time_ns: NDArray[np.int64]
    #: Number of each frame in its file, from 1.
    frame: NDArray[np.int64]
    #: Link type (LINKTYPE_ value) of each frame's interface.
    link_type: NDArray[np.uint16]
    #: Which interface captured each frame: its number over all sections of a file, from 0 as they are described; -1
    #: while only one is. None: all -1.
    interface: NDArray[np.int64] | None = None
    #: Offsets of the begin and end of each record in its (uncompressed) file; None if unknown.
    begin: NDArray[np.int64] | None = None
    end: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(kw_only=True)
class Records(Frames):
    """A block of frames in capture order."""

    #: The octets of the frames. Valid only until the next block is read: readers reuse the buffer.
    buffer: NDArray[np.uint8]
    #: Offset of each frame in `buffer`.
    offset: NDArray[np.int64]
    #: Captured octets of each frame, which are in `buffer`.
    captured: NDArray[np.int64]
    #: Length of each frame on the wire, in octets.
    original: NDArray[np.int64]
    #: Linux packet type per frame where the source knows it (a live socket, pcapng); 255 = unknown.
    packet_type: NDArray[np.uint8] | None = None

    def octets(self, row: int) -> bytes:
        """Return the captured octets of the frame in `row`."""
        start = int(self.offset[row])
        return self.buffer[start : start + int(self.captured[row])].tobytes()

    def raw(self, row: int) -> RawFrame:
        """Return the frame in `row` with its own octets."""
        return RawFrame(
            self.octets(row),
            int(self.original[row]),
            int(self.time_ns[row]),
            int(self.link_type[row]),
            255 if self.packet_type is None else int(self.packet_type[row]),
            -1 if self.interface is None else int(self.interface[row]),
        )


@plain
class RawFrame:
    """One frame as it was captured."""

    octets: bytes
    #: Length on the wire, in octets.
    original: int
    #: Time of capture, nanoseconds since the Unix epoch.
    time_ns: int
    #: LINKTYPE_ value.
    link_type: int
    #: Linux packet type (4: sent by this host); 255: unknown.
    packet_type: int = 255
    #: Which interface of its file captured it; -1 if only one had been described.
    interface: int = -1


def records_of(frames: Iterable[RawFrame], *, first_frame: int = 1) -> Records:
    """Make a block of records of frames in memory, numbered from `first_frame`."""
    chosen = list(frames)
    captured = np.array([len(frame.octets) for frame in chosen], np.int64)
    return Records(
        buffer=np.frombuffer(b"".join([*(frame.octets for frame in chosen), bytes(SLACK_OCTETS)]), np.uint8),
        offset=np.cumsum(captured) - captured,
        captured=captured,
        original=np.array([frame.original for frame in chosen], np.int64),
        time_ns=np.array([frame.time_ns for frame in chosen], np.int64),
        frame=np.arange(first_frame, first_frame + len(chosen), dtype=np.int64),
        link_type=np.array([frame.link_type for frame in chosen], np.uint16),
        packet_type=np.array([frame.packet_type for frame in chosen], np.uint8),
        interface=np.array([frame.interface for frame in chosen], np.int64),
    )


@plain
class Damage:
    """One place where a capture violates its format. Records before it are kept."""

    #: Name of the capture as the user gave it.
    capture: str
    #: Offset in octets of the broken record from the start of the (uncompressed) file.
    offset: int
    #: Number of frames read before it.
    frames_before: int
    #: What is wrong, in one line, without name and offset.
    message: str


class CaptureError(Exception):
    """A capture cannot be used at all. The message is one line: what is wrong, where, and what to do."""


class NotACapture(CaptureError):  # noqa: N818 - it says what the file is, to whoever looks for captures among others
    """A file has another format, or is empty."""
