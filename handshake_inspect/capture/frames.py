"""Single frames: read again from their file, cut down to their payload, written to a file of their own.

In: a path and frame numbers. Out: `RawFrame`s. The tables keep no octets; whoever needs some (the ladder's payload,
`show --dissect`, `show -w`) reads the file a second time for these frames alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import CaptureError, RawFrame, records_of
from handshake_inspect.table import Names

#: Largest time that the 32-bit seconds of a pcap record can hold.
MOST_SECONDS = 0xFFFF_FFFF
SNAPLEN = 262144


def fetch(source: str | os.PathLike[str] | BinaryIO, numbers: Collection[int]) -> dict[int, RawFrame]:
    """Return the frames with these numbers (from 1) by number; those that the file does not have are left out.

    Reads only as far as the last of them. Raises CaptureError if the file cannot be used.
    """
    wanted = np.unique(np.fromiter(numbers, np.int64, len(numbers)))
    frames: dict[int, RawFrame] = {}
    if not len(wanted):
        return frames
    reader = open_capture(source)
    with reader:
        for records in reader:
            for row in np.flatnonzero(np.isin(records.frame, wanted)).tolist():
                frames[int(records.frame[row])] = records.raw(row)
            if len(records) and records.frame[-1] >= wanted[-1]:
                break
    return frames


def payload(raw: RawFrame) -> bytes:
    """Return the octets of the TCP or UDP payload of a frame, as far as they were captured; b"" if it has none."""
    begin, length = Decoder(Names()).payload_place(records_of([raw]))
    return raw.octets[begin : begin + length]


def write_pcap(target: str | os.PathLike[str] | BinaryIO, frames: Iterable[RawFrame], link_type: int) -> int:
    """Write frames as a pcap file with nanoseconds, and return how many. All must be of `link_type`.

    Raises CaptureError, one line, if one is not, if its time cannot be written, or if the file cannot be.
    """
    if not isinstance(target, str | os.PathLike):
        return _write(target, frames, link_type, str(getattr(target, "name", "(file object)")))
    try:
        with Path(target).open("wb") as file:
            return _write(file, frames, link_type, os.fspath(target))
    except OSError as error:
        raise CaptureError(f"{os.fspath(target)}: cannot be written: {error.strerror or error}") from None


def _write(file: BinaryIO, frames: Iterable[RawFrame], link_type: int, name: str) -> int:
    file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, link_type))
    count = 0
    for frame in frames:
        if frame.link_type != link_type:
            raise CaptureError(
                f"{name}: a pcap file has one link type, {link_type}, and frame {count + 1} has {frame.link_type}"
            )
        seconds, fraction = divmod(frame.time_ns, 1_000_000_000)
        if not 0 <= seconds <= MOST_SECONDS:
            raise CaptureError(f"{name}: the time of frame {count + 1} is outside 1970 to 2106, which pcap can hold")
        file.write(struct.pack("<IIII", seconds, fraction, len(frame.octets), frame.original))
        file.write(frame.octets)
        count += 1
    return count
