"""20,000 connections in one burst, made by other processes: a capture with its defaults loses no segment."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.lab.world import Child, in_children, in_private_world
from handshake_inspect.table import Names
from tests.lab.privileges import as_ordinary_user, needs_private_world, needs_root

CONNECTIONS, CLIENTS = 20_000, 2
#: Each connection from an address and a port of its own: ports alone do not suffice while TIME-WAIT holds them.
ADDRESSES = 100
IP_BIND_ADDRESS_NO_PORT = 24
SYN, ACK = 0x02, 0x10


def echo(listener: socket.socket) -> None:
    """Echo one message per connection, for ever."""
    listener.setblocking(False)
    ready = select.epoll()
    ready.register(listener, select.EPOLLIN)
    served: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ in ready.poll():
            if descriptor in served:
                if octets := served[descriptor].recv(64):
                    served[descriptor].send(octets)
                else:
                    served.pop(descriptor).close()
                continue
            with contextlib.suppress(BlockingIOError):
                while True:
                    connection, _ = listener.accept()
                    served[connection.fileno()] = connection
                    ready.register(connection, select.EPOLLIN)


def connect(client: int, server: tuple[str, int]) -> None:
    for number in range(CONNECTIONS // CLIENTS):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            one.bind((f"127.1.{client}.{1 + number % ADDRESSES}", 0))
            one.connect(server)
            one.send(b"bith")
            assert one.recv(64) == b"bith"


def burst() -> float:
    """Make all connections; return how long it took, in seconds."""
    listeners = [socket.create_server((f"127.2.0.{1 + each}", 0), backlog=4096) for each in range(CLIENTS)]
    servers = [Child(partial(echo, listener)) for listener in listeners]
    began = time.monotonic()
    try:
        clients = [partial(connect, each, listener.getsockname()) for each, listener in enumerate(listeners)]
        for _ in in_children(clients, CLIENTS):
            pass
        return time.monotonic() - began
    finally:
        for server in servers:
            server.end()


def captured_burst() -> tuple[int, int, int, int, float]:
    """Read and decode while another process makes the burst: what is left to see of it."""
    decoder, syns = Decoder(Names()), []
    with LiveCapture("lo") as capture:
        maker = Child(burst)
        poll = select.poll()
        poll.register(maker, select.POLLIN)

        def look(timeout_s: float) -> bool:
            block = capture.read(timeout_s)
            if block is not None:
                segments = decoder.decode(block, 0).segments
                rows = segments["flags"] & (SYN | ACK) == SYN
                syns.append(np.stack([segments["src_lo"][rows], segments["src_port"][rows]], axis=1))
            return block is not None

        while not poll.poll(0) or maker.listen():
            look(0.05)
        while look(0.2):
            pass
        openings = len(np.unique(np.concatenate(syns), axis=0))
        return openings, capture.packets, capture.received, capture.dropped, maker.result()


def as_root() -> tuple[int, int, int, int, float]:
    needs_root("a network namespace without a user namespace around it")
    return in_private_world(captured_burst)


def as_user() -> tuple[int, int, int, int, float]:
    needs_private_world()
    return as_ordinary_user(partial(in_private_world, captured_burst))


@pytest.mark.parametrize("run", [as_root, as_user])
def test_a_burst_of_20_000_connections_is_captured_whole(run: Callable[[], tuple[int, int, int, int, float]]) -> None:
    openings, packets, received, dropped, seconds = run()
    assert openings == CONNECTIONS
    assert dropped == 0
    assert packets == received >= 10 * CONNECTIONS
    print(f"{packets:,} segments in {seconds:.2f} s")
