"""A capture on standard input that does not end: what `read -` holds of it, minute by minute.

    python -m tests.bench.endless [MINUTES] [CONNECTIONS_PER_SECOND] [loopback|wide|flood] [-- OPTION...]

A pipe is fed with what `soak` invents, as fast as it is taken, for so many minutes of real time; each of them is a
line: packets, simulated time, memory. At the end it says by how much the last minute is above the third. The options
are those of `read`; it writes csv.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import numpy as np

from handshake_inspect.capture.records import Records
from tests.bench.soak import FRAME, blocks

#: A classic pcap header: nanoseconds, Ethernet.
HEADER = bytes.fromhex("4d3cb2a1 02000400 00000000 00000000 00000400 01000000")


def as_pcap(block: Records) -> bytes:
    """Return the records of a block as they stand in a capture; all frames have one length."""
    header = np.empty((len(block), 4), "<u4")
    header[:, 0], header[:, 1] = block.time_ns // 10**9, block.time_ns % 10**9
    header[:, 2], header[:, 3] = block.captured, block.original
    octets = np.frombuffer(block.buffer, np.uint8).reshape(len(block), FRAME)
    return np.hstack([header.view(np.uint8).reshape(len(block), 16), octets]).tobytes()


def feed(pipe: IO[bytes], process: int, minutes: int, rate: int, kind: str) -> list[int]:
    """Feed the pipe. Returns the most memory in each minute of the process that reads it, in octets."""
    pipe.write(HEADER)
    began, packets, most, held = time.monotonic(), 0, 0, list[int]()
    for tick, block in enumerate(blocks(1 << 40, rate, kind), 1):
        pipe.write(as_pcap(block))
        packets += len(block)
        most = max(most, int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096)
        if time.monotonic() - began < 60 * (len(held) + 1):
            continue
        held.append(most)
        minute, most = f"{packets:,} packets, {tick / 600:.1f} simulated minutes, {most >> 20:,} MiB", 0
        print(f"{len(held):3} min: {minute}", flush=True)
        if len(held) == minutes:
            break
    return held


def main() -> None:
    """Run, and print a line for each minute."""
    own, _, options = " ".join(sys.argv[1:]).partition("-- ")
    words = [*own.split(), *("10", "20000", "wide")[len(own.split()) :]]
    command = [sys.executable, "-m", "handshake_inspect", "read", "-", "--format", "csv", *options.split()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        held = feed(reader.stdin, reader.pid, int(words[0]), int(words[1]), words[2])
        reader.stdin.close()
        reader.wait()
    if len(held) >= 3:
        print(f"the last minute has {held[-1] / held[2]:.3f} times the memory of the third")


if __name__ == "__main__":
    main()
