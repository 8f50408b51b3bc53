"""The kernel stamps frames as they arrive: it is seen to do so before a capture opens.

It begins to stamp only when a work queue has run after the first socket asked for it. Until then a frame has the time
at which it came to the packet socket, behind the queues of a busy machine, and may look younger than one after it.
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
#: How long to wait for the kernel to begin stamping frames on arrival.
TIMESTAMPS_LIMIT_S = 0.5


@contextlib.contextmanager
def timestamps_switched_on() -> Iterator[None]:
    """Keep the kernel stamping frames as they arrive: it does so before the body begins, and goes on in it.

    Found out with empty datagrams of a socket to itself on loopback: a real stamp is older than the moment at which
    its datagram was already waiting. Where loopback is down, a short wait has to do.
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
    """Send an empty datagram from a socket to itself and tell whether its time is that of its arrival."""
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
