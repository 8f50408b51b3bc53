"""How `sniff` bears days: short connections at a steady rate over real sockets, and what it takes and loses.

    python -m tests.bench.live_soak --rate 5000 --minutes 10

Runs in a private network, as root or as an ordinary user. Prints for every minute the memory of `sniff`, its processor
time, and how many connections were made; at the end what it said itself. Exits with 1 if it lost a frame, if its memory
grew after the third minute by more than a twentieth, or if it took more than one core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from handshake_inspect.lab.world import fork, in_private_world

#: Pairs of a client and a server process.
PAIRS = 2
FIRST_PORT, LAST_PORT = 1024, 65000
ANSWER = b"x" * 64
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def serve(listener: socket.socket) -> None:
    """Echo for one client after the other, for ever."""
    while True:
        session, _ = listener.accept()
        with session:
            while octets := session.recv(1024):
                session.send(octets)


def call(pair: int, address: tuple[str, int], rate: float, seconds: float, report: int) -> None:
    """Make connections at a steady rate, each from a socket address of its own for as long as TIME-WAIT lasts."""
    began, made = time.monotonic(), 0
    sources = ((f"127.{16 + pair}.{n // 250}.{1 + n % 250}", port) for n in range(62_500) for port in ports())
    while (elapsed := time.monotonic() - began) < seconds:
        if made > elapsed * rate:
            time.sleep(0.002)
            continue
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(next(sources))
            client.connect(address)
            client.send(ANSWER)
            client.recv(1024)
        made += 1
        if not made % 1000:
            os.write(report, b".")
    os.write(report, b"." * (made % 1000 > 0))


def ports() -> Iterator[int]:
    """Yield the ports that a client may bind."""
    return iter(range(FIRST_PORT, LAST_PORT))


def resident_octets(pid: int) -> int:
    """Return the memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def soak(rate: float, minutes: float, options: list[str]) -> bool:
    """Run it in the network this process is in. Returns whether all held."""
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("2000000")
    sniff = subprocess.Popen(
        [sys.executable, "-m", "handshake_inspect", "sniff", *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert sniff.stderr is not None
    print(sniff.stderr.readline(), end="")
    reader, writer = os.pipe()
    children = []
    for pair in range(PAIRS):
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        address = listener.getsockname()
        children.append(fork(lambda one=listener: serve(one)))  # type: ignore[misc]
        children.append(fork(lambda n=pair, a=address: call(n, a, rate / PAIRS, minutes * 60, writer)))  # type: ignore[misc]
    try:
        memory, share = measure(sniff.pid, minutes, reader)
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
    time.sleep(1)
    sniff.send_signal(signal.SIGINT)
    said = sniff.communicate(timeout=120)[1]
    print(said, end="")
    grown = memory[-1] / memory[min(3, len(memory) - 1)]
    print(f"memory after the third minute × {grown:.3f}; {share:.2f} of a core at most in a minute")
    return grown <= 1.05 and share <= 1 and " 0 frames dropped" in said


def measure(pid: int, minutes: float, reader: int) -> tuple[list[int], float]:
    """Print a line a minute; return the memory at each, and the largest share of a core."""
    os.set_blocking(reader, False)
    memory, largest, taken, began = [resident_octets(pid)], 0.0, cpu_seconds(pid), time.monotonic()
    for minute in range(1, round(minutes) + 1):
        time.sleep(max(began + 60 * minute - time.monotonic(), 0))
        made = 0
        with contextlib.suppress(BlockingIOError):
            made = 1000 * len(os.read(reader, 1 << 20))
        now = cpu_seconds(pid)
        share, taken = (now - taken) / 60, now
        memory.append(resident_octets(pid))
        largest = max(largest, share)
        print(f"minute {minute:2}: {memory[-1] >> 20:5} MiB  {share:5.2f} of a core  {made:7,} connections", flush=True)
    return memory, largest


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=5000, help="connections per second")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("options", nargs="*", help="for sniff, after --")
    given = parser.parse_args()
    return 0 if in_private_world(soak, given.rate, given.minutes, given.options) else 1


if __name__ == "__main__":
    raise SystemExit(main())
