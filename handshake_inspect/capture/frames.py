"""Reads single frames again from their file, and extracts their payload.

In: a capture and frame numbers. Out: `RawFrame`s. The tables keep no octets; features that need some (the ladder's
payload, `show --dissect`, `show -w`) read the file a second time for these frames alone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import BinaryIO

import numpy as np

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.headers.link_types import RAW_IPV4, RAW_IPV6
from handshake_inspect.capture.positions import LocatedCapture
from handshake_inspect.capture.records import RawFrame, records_of
from handshake_inspect.sets import set_of
from handshake_inspect.table import Names

#: A frame by its number, or by the name of another capture and its number there.
Frame = int | tuple[str, int]
#: A capture from which frames are read again: what `open_capture` takes, or one whose record offsets are known.
CaptureFile = str | os.PathLike[str] | BinaryIO | LocatedCapture


def fetch(source: CaptureFile, numbers: Collection[int]) -> dict[int, RawFrame]:
    """Return the frames with these numbers (from 1) by number; numbers that the file does not have are left out.

    Reads only these where their offsets are known, else everything up to the last one. Raises CaptureError if the file
    cannot be used.
    """
    wanted = set_of(np.fromiter(numbers, np.int64, len(numbers)))
    frames: dict[int, RawFrame] = {}
    if not len(wanted):
        return frames
    with source.open(wanted) if isinstance(source, LocatedCapture) else open_capture(source) as reader:
        for records in reader:
            for row in np.flatnonzero(np.isin(records.frame, wanted)).tolist():
                frames[int(records.frame[row])] = records.raw(row)
            if len(records) and records.frame[-1] >= wanted[-1]:
                break
    return frames


def fetch_whole(source: CaptureFile, numbers: Collection[int]) -> tuple[dict[int, RawFrame], dict[int, RawFrame]]:
    """Return these frames and the other fragments of the packets they complete; and these packets, reassembled.

    The packets are frames of link type raw IP, by the number of the frame that completes each. Fragments are rare: only
    if there are some among the frames is the capture decoded from its beginning.
    """
    frames = fetch(source, numbers)
    decoder = Decoder(Names())
    decoder.decode(records_of(frames.values()), 0)
    if not decoder.reassembler.unread():
        return frames, {}
    decoder = Decoder(Names())
    decoder.reassembler.wanted = frames.keys()
    with open_capture(source.path if isinstance(source, LocatedCapture) else source) as reader:
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
    paths: Mapping[str, CaptureFile], home: str, parts: Collection[Frame]
) -> tuple[dict[Frame, RawFrame], dict[Frame, RawFrame]]:
    """Return the same from several captures, given by name; frames are identified as in a connection.

    `home` is the capture of the connection. Frames of a capture that has no path are left out.
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
    """Return the captured octets of the TCP or UDP payload of a frame; b"" if it has none.

    `seq`: SEG.SEQ of the segment meant, where a frame may hold several (IEEE 802.11 A-MSDU).
    """
    begin, length = Decoder(Names()).payload_place(records_of([raw]), seq)
    return raw.octets[begin : begin + length]
