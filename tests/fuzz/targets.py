"""What must hold for any octets at all: the functions that the fuzzer calls, and the tests with what it found.

Each takes octets and raises only if the project is wrong. None may hang or use memory without bound: the fuzzer ends a
run that takes seconds or gigabytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import chain

from handshake_inspect import inspect
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.headers.link_types import LINK_TYPES
from handshake_inspect.capture.records import CaptureError, RawFrame, records_of
from handshake_inspect.table import Names
from handshake_inspect.views.contract import connection_object

KNOWN_LINK_TYPES = sorted(LINK_TYPES)


def frames_of(octets: bytes) -> list[RawFrame]:
    """Cut octets into frames: link type, length, frame; over and over."""
    frames, at = list[RawFrame](), 0
    while at + 2 < len(octets):
        link_type, length = KNOWN_LINK_TYPES[octets[at] % len(KNOWN_LINK_TYPES)], octets[at + 1]
        frame = octets[at + 2 : at + 2 + length]
        frames.append(RawFrame(frame, len(frame) + octets[at] // 128, len(frames), link_type))
        at += 2 + length
    return frames


def decode(octets: bytes) -> None:
    """Every frame becomes at least one row, a part of one, or a count; its rows say where they come from."""
    frames = frames_of(octets)
    decoder = Decoder(Names())
    decoder.reassembler.wanted, completed = range(1, len(frames) + 1), decoder.reassembler.completed
    block = decoder.decode(records_of(frames), 0)
    tables = (block.segments, block.datagrams, block.icmp_errors)
    numbers = set(chain.from_iterable(table["frame"].tolist() for table in tables))
    assert numbers <= set(range(1, len(frames) + 1))
    rows = sum(len(table) for table in tables)
    pieces = sum(len(whole.frames) for whole in completed.values())
    counts = block.unread.total() + decoder.reassembler.unread().total()
    assert rows + pieces + counts >= len(frames)
    for table in tables:
        assert table["frame"].tolist() == sorted(table["frame"].tolist())


def read(octets: bytes) -> None:
    """A file of any octets is a capture, damaged perhaps, or one clear line; in blocks of any size alike."""
    found = []
    for block_octets in (64, 1 << 16):
        try:
            reader = open_capture(io.BytesIO(octets), block_octets=block_octets)
            records = [(one.octets(row), int(one.time_ns[row])) for one in reader for row in range(len(one))]
            found.append((records, [(place.offset, place.message) for place in reader.damage]))
        except CaptureError as error:
            assert "\n" not in str(error)
            found.append(([], [(0, str(error))]))
    assert found[0] == found[1]


def whole(octets: bytes) -> None:
    """An inspection of any file ends, and what it says can be written."""
    try:
        inspection = inspect(io.BytesIO(octets))
    except CaptureError:
        return
    for connection in inspection.connections:
        connection_object(connection, steps=inspection.steps(connection.stream))
    list(inspection.exchanges)


TARGETS: dict[str, Callable[[bytes], None]] = {"decode": decode, "read": read, "whole": whole}
