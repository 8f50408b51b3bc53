"""Single frames: read again from their file, cut down to their payload, written to a file of their own.

In: a path and frame numbers. Out: `RawFrame`s. The tables keep no octets; whoever needs some (the ladder's payload,
`show --dissect`, `show -w`) reads the file a second time for these frames alone.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Self, cast

import numpy as np

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.headers.link_types import RAW_IPV4, RAW_IPV6
from handshake_inspect.capture.records import CaptureError, RawFrame, records_of
from handshake_inspect.table import Names

#: A frame by its number, or by the name of another capture and its number there.
Frame = int | tuple[str, int]
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


def fetch_whole(
    source: str | os.PathLike[str] | BinaryIO, numbers: Collection[int]
) -> tuple[dict[int, RawFrame], dict[int, RawFrame]]:
    """Return the same, and for frames that complete an IP packet in fragments: the frames of all fragments, the packet.

    The packets, by the number of the frame that completes each, are frames of link type raw IP. Fragments are rare:
    only where there are some among the frames asked for is the capture decoded from its beginning.
    """
    frames = fetch(source, numbers)
    decoder = Decoder(Names())
    for number, frame in frames.items():
        decoder.decode(records_of([frame], first_frame=number), 0)
    if not decoder.reassembler.unread():
        return frames, {}
    decoder = Decoder(Names())
    decoder.reassembler.wanted = frames.keys()
    with open_capture(source) as reader:
        for records in reader:
            decoder.decode(records, 0)
            if len(records) and records.frame[-1] >= max(frames):
                break
    wholes = decoder.reassembler.completed
    frames |= fetch(source, {number for whole in wholes.values() for number in whole.frames})
    packets = {
        number: RawFrame(
            whole.octets, whole.original, frames[number].time_ns, RAW_IPV4 if whole.version == 4 else RAW_IPV6
        )
        for number, whole in wholes.items()
    }
    return frames, packets


def fetch_parts(
    paths: Mapping[str, str], home: str, parts: Collection[Frame]
) -> tuple[dict[Frame, RawFrame], dict[Frame, RawFrame]]:
    """Return the same of several captures, whose `paths` stand by their names; frames are named as a connection does.

    `home` is the capture of the connection. What stands in a capture without a path is left out.
    """
    by_capture: dict[str, set[int]] = {}
    for part in parts:
        name, number = (home, part) if isinstance(part, int) else part
        by_capture.setdefault(name, set()).add(number)
    frames: dict[Frame, RawFrame] = {}
    packets: dict[Frame, RawFrame] = {}
    for name, numbers in by_capture.items():
        if name not in paths:
            continue
        for found, into in zip(fetch_whole(paths[name], numbers), (frames, packets), strict=True):
            into |= {number if name == home else (name, number): found[number] for number in sorted(found)}
    return frames, packets


def payload(raw: RawFrame, seq: int | None = None) -> bytes:
    """Return the octets of the TCP or UDP payload of a frame, as far as they were captured; b"" if it has none.

    `seq`: SEG.SEQ of the segment meant, where a frame may hold several (IEEE 802.11 A-MSDU).
    """
    begin, length = Decoder(Names()).payload_place(records_of([raw]), seq)
    return raw.octets[begin : begin + length]


class PcapWriter:
    """Writes frames to a pcap file with nanoseconds, one by one: what is written is a whole capture at any time.

    Raises CaptureError, one line, if the file cannot be written, if a frame has another link type, or if its time is
    outside what pcap can hold.
    """

    def __init__(self, target: str | os.PathLike[str] | BinaryIO, link_type: int) -> None:
        self.count = 0
        self._link_type = link_type
        self._owned = isinstance(target, str | os.PathLike)
        self._name = str(getattr(target, "name", "(file object)")) if not self._owned else os.fspath(cast(str, target))
        with self._refusals():
            self._file = Path(cast(str, target)).open("wb") if self._owned else cast(BinaryIO, target)  # noqa: SIM115
            self._file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, link_type))
            self._file.flush()  # a whole capture from the beginning, whatever comes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, frame: RawFrame) -> None:
        """Add a frame."""
        number = self.count + 1
        if frame.link_type != self._link_type:
            both = f"{self._link_type}, and frame {number} has {frame.link_type}"
            raise CaptureError(f"{self._name}: a pcap file has one link type, {both}")
        seconds, fraction = divmod(frame.time_ns, 1_000_000_000)
        if not 0 <= seconds <= MOST_SECONDS:
            raise CaptureError(f"{self._name}: the time of frame {number} is outside 1970 to 2106, which pcap can hold")
        with self._refusals():
            self._file.write(struct.pack("<IIII", seconds, fraction, len(frame.octets), frame.original))
            self._file.write(frame.octets)
        self.count = number

    def flush(self) -> None:
        """Put what was written onto the disk."""
        with self._refusals():
            self._file.flush()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            with self._refusals():
                self._file.close()

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CaptureError(f"{self._name}: cannot be written: {error.strerror or error}") from None


def write_pcap(target: str | os.PathLike[str] | BinaryIO, frames: Iterable[RawFrame], link_type: int) -> int:
    """Write frames as a pcap file with nanoseconds, and return how many. All must be of `link_type`."""
    with PcapWriter(target, link_type) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.count
