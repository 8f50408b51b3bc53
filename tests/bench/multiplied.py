"""Multiplies a real capture: its connections again and again, between other addresses, all of them going on at once.

    python -m tests.bench.multiplied http.pcap many.pcap --packets 100000

What is synthetic is regular; a real capture has the option lists, gaps and lengths of real hosts. The copies begin one
after another within the time that the capture lasts, so that as many are open at once as are in a busy network. Copies
have other addresses where a TCP header tells whose they are; every other frame is copied as it is. Checksums are not
made right again: nobody who reads a capture here looks at them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.table import Names, SegmentTable

#: A copy is told by this part of an IPv4 address, and of the last 32 bits of an IPv6 address.
COPY_BITS, COPY_SHIFT = 16, 8


def addresses_of(segments: SegmentTable) -> dict[int, tuple[bytes, bytes]]:
    """Return the two addresses of each frame that is a segment outside any tunnel, as they stand in its IP header."""
    found = {}
    for row in np.flatnonzero(segments["tunnel"] == 0):
        width = 4 if segments["ip_version"][row] == 4 else 16
        both = (int(segments[f"{end}_hi"][row]) << 64 | int(segments[f"{end}_lo"][row]) for end in ("src", "dst"))
        source, destination = (address.to_bytes(width) for address in both)
        found[int(segments["frame"][row])] = source, destination
    return found


def moved(address: bytes, copy: int) -> bytes:
    """Return the address that a host has in a copy: another one for every host and copy, its own in copy 0."""
    return (int.from_bytes(address) ^ copy << COPY_SHIFT).to_bytes(len(address))


def read_frames(path: Path) -> list[tuple[RawFrame, tuple[bytes, bytes] | None]]:
    """Return the frames of a capture, each with the addresses that make it one of a connection."""
    found, decoder = [], Decoder(Names())
    with open_capture(path) as reader:
        for records in reader:
            addresses = addresses_of(decoder.decode(records, 0).segments)
            for row, frame in enumerate(records.frame.tolist()):
                found.append((records.raw(row), addresses.get(frame)))
    return found


def multiplied(frames: list[tuple[RawFrame, tuple[bytes, bytes] | None]], copies: int) -> Iterator[RawFrame]:
    """Yield the frames of all copies in order of time."""
    order = np.maximum.accumulate([frame.time_ns for frame, _ in frames])
    step_ns = max(int(order[-1] - order[0]) // copies, 1)
    times = order[None, :] + step_ns * np.arange(copies)[:, None]
    for place in np.argsort(times, axis=None, kind="stable").tolist():
        copy, number = divmod(place, len(frames))
        frame, addresses = frames[number]
        octets = frame.octets
        if addresses is not None:
            octets = octets.replace(b"".join(addresses), b"".join(moved(one, copy) for one in addresses), 1)
        yield replace(frame, octets=octets, time_ns=int(times[copy, number]))


def multiply(source: Path, target: Path, packets: int) -> int:
    """Write as many copies of a capture as have so many packets, and return how many those are."""
    frames = read_frames(source)
    copies = min(-(-packets // len(frames)), 1 << COPY_BITS)
    write_pcap(target, multiplied(frames, copies), frames[0][0].link_type)
    return copies


def main() -> None:
    """Multiply one capture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--packets", type=int, default=100_000)
    given = parser.parse_args()
    print(multiply(given.source, given.target, given.packets), "copies", file=sys.stderr)


if __name__ == "__main__":
    main()
