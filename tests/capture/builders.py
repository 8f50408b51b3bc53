"""Captures built octet by octet for the tests, independent of the code that reads them."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterable

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import Records

#: One frame of a capture: its octets, its length on the wire, nanoseconds since the epoch.
Frame = tuple[bytes, int, int]


def pcap(
    frames: Iterable[Frame], *, order: str = "<", nano: bool = True, link_type: int = 1, snaplen: int = 65535
) -> bytes:
    """Return a pcap file."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for octets, original, time_ns in frames:
        fraction = time_ns % 10**9 // (1 if nano else 1000)
        parts += struct.pack(order + "4I", time_ns // 10**9, fraction, len(octets), original), octets
    return b"".join(parts)


def snoop(frames: Iterable[Frame], *, data_link: int = 4, version: int = 2, drops: int = 0, pad: int = 3) -> bytes:
    """Return a snoop file; `pad`: 3 pads records to multiples of four octets, as RFC 1761 says."""
    parts = [b"snoop\0\0\0", struct.pack(">II", version, data_link)]
    for octets, original, time_ns in frames:
        length = 24 + len(octets) + pad & ~pad
        fields = (original, len(octets), length, drops, time_ns // 10**9, time_ns % 10**9 // 1000)
        parts.append((struct.pack(">6I", *fields) + octets).ljust(length, b"\0"))
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a pcapng block."""
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """Return a pcapng option."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", options: bytes = b"") -> bytes:
    """Return a pcapng section header."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(link_type: int = 1, options: bytes = b"", order: str = "<", snaplen: int = 0) -> bytes:
    """Return a pcapng interface description."""
    return block(1, struct.pack(order + "HHI", link_type, 0, snaplen) + options, order)


def enhanced(
    octets: bytes, original: int, units: int, number: int = 0, order: str = "<", options: bytes = b""
) -> bytes:
    """Return an enhanced packet block."""
    head = struct.pack(order + "5I", number, units >> 32 & 0xFFFFFFFF, units & 0xFFFFFFFF, len(octets), original)
    return block(6, head + octets + bytes(-len(octets) % 4) + options, order)


def obsolete(octets: bytes, units: int, number: int, drops: int, order: str = "<", options: bytes = b"") -> bytes:
    """Return an obsolete packet block, which has its drops in its header."""
    head = struct.pack(order + "HHIIII", number, drops, units >> 32, units & 0xFFFFFFFF, len(octets), len(octets))
    return block(2, head + octets + bytes(-len(octets) % 4) + options, order)


def statistics(number: int, options: bytes = b"", order: str = "<") -> bytes:
    """Return an interface statistics block."""
    return block(5, struct.pack(order + "III", number, 0, 0) + options, order)


def names(records: Iterable[tuple[int, bytes]], options: bytes = b"", order: str = "<") -> bytes:
    """Return a name resolution block of records: kind and value."""
    return block(4, b"".join(option(kind, value, order) for kind, value in records) + bytes(4) + options, order)


def rows(records: Iterable[Records]) -> list[tuple[bytes, int, int, int, int]]:
    """Return every record as (octets, original, time, frame, link type)."""
    return [
        (
            one.octets(row), int(one.original[row]), int(one.time_ns[row]), int(one.frame[row]),
            int(one.link_type[row]),
        )
        for one in records
        for row in range(len(one))
    ]  # fmt: skip


def rows_from_pipe(parts: list[bytes]) -> list[tuple[bytes, int, int, int, int]]:
    """Return the rows of a capture written to a pipe part by part, each only when the one before it has been read.

    A reader that waits for more than what has come finds the writer gone after 20 seconds, and the capture cut.
    """
    reading, writing = os.pipe()
    seen = threading.Semaphore(0)

    def write() -> None:
        with open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123 (a descriptor)
            for part in parts:
                pipe.write(part)
                if not seen.acquire(timeout=20):
                    return

    writer = threading.Thread(target=write)
    writer.start()
    got = []
    with open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123 (a descriptor)
        for records in open_capture(pipe):
            got += rows([records])
            seen.release()
    writer.join()
    return got
