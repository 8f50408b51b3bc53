"""Makes sure that the kernel stamps frames as they arrive, before a capture opens.

The kernel begins to stamp only when a work queue has run after the first socket requested it. Until then a frame has
the time at which it reached the packet socket, after the queues of a busy machine, and may look younger than a later
one.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterator

# <asm-generic/socket.h>: a number, because Python's socket module lacks the name.
SO_TIMESTAMPNS = 35
#: struct timespec of SO_TIMESTAMPNS.
TIMESPEC = struct.Struct("@ll")
#: Longest wait for the kernel to begin stamping frames on arrival.
TIMESTAMPS_LIMIT_S = 0.5


@contextlib.contextmanager
def timestamps_switched_on() -> Iterator[None]:
    """Keep the kernel stamping frames as they arrive: from before the body begins, until it ends.

    Tested with empty datagrams that a socket sends to itself on loopback: a real stamp is older than the moment at
    which its datagram was already waiting. If loopback is down, it only waits for a short time.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            probe.bind(("127.0.0.1", 0))
            probe.connect(probe.getsockname())
            probe.settimeout(TIMESTAMPS_LIMIT_S)
            deadline = time.monotonic() + TIMESTAMPS_LIMIT_S
            while not is_stamped_on_arrival(probe) and time.monotonic() < deadline:
                time.sleep(0.001)
        except OSError:
            time.sleep(TIMESTAMPS_LIMIT_S / 10)
        yield


def is_stamped_on_arrival(probe: socket.socket) -> bool:
    """Send an empty datagram from a socket to itself, and return whether its time is that of its arrival."""
    probe.send(b"")
    poll = select.poll()
    poll.register(probe, select.POLLIN)
    poll.poll(TIMESTAMPS_LIMIT_S * 1000)
    waiting_ns = time.time_ns()
    _, notes, _, _ = probe.recvmsg(1, 256)
    for level, kind, data in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack_from(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds) <= waiting_ns
    return False
