"""A connection taken down at one moment and put up again at a later one: TCP_REPAIR, as CRIU restores a process.

In: an established socket. Out: a `Checkpoint`, from which the same connection is opened again without a segment, with
the numbers that it had: so a host goes on that was set back to an old snapshot. TCP options beyond the MSS are not
kept: switch them off before the connection is opened.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from handshake_inspect.lab.bench import Host
from handshake_inspect.lab.calls import TCP_REPAIR, Address, RecordedSocket

# <linux/tcp.h>
TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_REPAIR_WINDOW = 20, 21, 29
RECEIVE_QUEUE, SEND_QUEUE = 1, 2
REPAIR_ON, REPAIR_OFF_IN_SILENCE = 1, -1  # 0 would send a window probe
WINDOW_OCTETS = struct.calcsize("5I")  # struct tcp_repair_window
#: What a checkpoint does not keep; settings of /proc/sys/net/ipv4.
OPTIONS = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling")


@dataclass(frozen=True)
class Checkpoint:
    """The state of one end of a connection: numbers and windows."""

    local: Address
    remote: Address
    #: SND.NXT and RCV.NXT.
    send_next: int
    receive_next: int
    #: Send and receive windows, as the kernel keeps them.
    window: bytes


def checkpoint(opened: RecordedSocket) -> Checkpoint:
    """Return the state of an established socket, without changing it."""
    real = opened.real
    with repairing(opened):
        return Checkpoint(
            local=real.getsockname(),
            remote=real.getpeername(),
            send_next=queue_number(real, SEND_QUEUE),
            receive_next=queue_number(real, RECEIVE_QUEUE),
            window=real.getsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, WINDOW_OCTETS),
        )


def from_before(local: Address, remote: Address) -> Checkpoint:
    """Return what an end would know of a connection that was opened before anybody looked: numbers and windows."""
    send_next, receive_next, window_octets = 1_000_000, 2_000_000, 65_535
    window = struct.pack("5I", receive_next, window_octets, window_octets, window_octets, receive_next)
    return Checkpoint(local, remote, send_next, receive_next, window)


def restored(host: Host, saved: Checkpoint) -> RecordedSocket:
    """Open the connection of a checkpoint on its host: ESTABLISHED at once, and no segment tells the peer."""
    opened = host.socket()
    real = opened.real
    with repairing(opened):
        opened.bind(saved.local)
        for queue, number in ((SEND_QUEUE, saved.send_next), (RECEIVE_QUEUE, saved.receive_next)):
            real.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
            real.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("=I", number))
        opened.connect(saved.remote)
        real.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, saved.window)
    return opened


@contextlib.contextmanager
def repairing(opened: RecordedSocket) -> Iterator[None]:
    """Put the socket in repair mode meanwhile: calls change its state, and send nothing."""
    opened.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON, f"TCP_REPAIR, {REPAIR_ON}")
    yield
    opened.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_IN_SILENCE, f"TCP_REPAIR, {REPAIR_OFF_IN_SILENCE}")


def queue_number(real: socket.socket, queue: int) -> int:
    """Return the next number of a queue of a socket in repair mode."""
    real.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    (number,) = struct.unpack("=I", real.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, 4))
    return int(number)
