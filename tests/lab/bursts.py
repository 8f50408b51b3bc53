"""20,000 connections in one burst, by several processes: `python -m tests.lab.bursts`."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from functools import partial

from handshake_inspect.lab.world import Child, in_children

CONNECTIONS, CLIENTS = 20_000, 2
#: Each connection from an address and a port of its own: ports alone do not suffice while TIME-WAIT holds them.
ADDRESSES = 100
IP_BIND_ADDRESS_NO_PORT = 24


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


if __name__ == "__main__":
    burst()
