"""Runs of real sockets in a private network, captured and watched: what the tests of this folder judge."""

from __future__ import annotations

import ctypes
import secrets  # noqa: F401  # an ordinary user may not be able to read root's Python: what is imported late is here
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import RawFrame, records_of
from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspector import Inspector
from handshake_inspect.lab.kernel.account import KernelAccount, SocketFilter, address_of_its_own
from handshake_inspect.lab.kernel.agreement import Agreement, Row, compare
from handshake_inspect.lab.kernel.watch import Watch, watching
from handshake_inspect.lab.vantage import raw_frames
from handshake_inspect.lab.world import in_private_world

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
TCP_REPAIR = 19
#: Long enough for the kernel to carry a segment over loopback.
SETTLE_S = 0.02
DROP_ALL = ((0x06, 0, 0, 0),)
#: Of the TCP header, octet 13 holds the control bits; a bare ACK has 0x10.
DROP_BARE_ACK = ((0x30, 0, 0, 13), (0x15, 0, 1, 0x10), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


@dataclass(frozen=True)
class Place:
    """Where sockets talk, and who watches them."""

    #: The server's address, which no other run has.
    address: str
    watch: Watch

    def look(self) -> None:
        """Let the kernel finish what it is doing, and the watcher look."""
        settle()
        self.watch.look()


Talk = Callable[[Place], None]


@dataclass(frozen=True)
class Seen:
    """What came of one run."""

    connections: list[Connection]
    account: KernelAccount
    agreement: Agreement
    #: The captured frames, to be inspected again in part.
    frames: list[RawFrame]

    def rows(self, end: str, connection: int = 0) -> list[tuple[str | None, str | None, str, str | None]]:
        """Return the rows of one end: our state, the kernel's, how it fits, the note."""
        return [
            (row.own.state if row.own else None, row.kernel.state if row.kernel else None, row.fit, row.note)
            for row in self.rows_of(end, connection)
        ]

    def rows_of(self, end: str, connection: int = 0) -> tuple[Row, ...]:
        return self.agreement.connections[connection].ends[end].rows  # type: ignore[index]

    def kernel(self, end: str, connection: int = 0) -> list[str]:
        return [row.kernel.state for row in self.rows_of(end, connection) if row.kernel]


def inspect_frames(frames: list[RawFrame]) -> Inspector:
    inspector = Inspector()
    capture = inspector.begin_capture("lo", "live")
    inspector.add_records(records_of(frames), capture)
    return inspector


def observe(talk: Talk, *, trace: bool = True, settings: Mapping[str, int] | None = None) -> Seen:
    """Let sockets talk in this network, captured and watched; `talk` is told where."""
    for name, value in (settings or {}).items():
        Path("/proc/sys/net/ipv4", name).write_text(str(value))
    address = address_of_its_own()
    frames: list[RawFrame] = []
    with watching(SocketFilter(addresses={address}), trace=trace) as watch, LiveCapture("lo") as capture:
        place = Place(address, watch)
        talk(place)
        place.look()
        for block in capture.drain():
            frames += raw_frames(block)
        account = watch.end()
    inspection = inspect_frames(frames).result()
    return Seen(list(inspection.connections), account, compare(inspection, account), frames)


def observed(talk: Talk, *, trace: bool = True, settings: Mapping[str, int] | None = None) -> Seen:
    """The same in a private network of its own."""
    return in_private_world(observe, talk, trace=trace, settings=settings)


# --- sockets ---------------------------------------------------------------------------------------------------------


def listener_at(address: str, port: int = 0, backlog: int = 5) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(backlog)
    return listener


def connected(listener: socket.socket, source: int = 0) -> tuple[socket.socket, socket.socket]:
    """Return a client and the server's socket of its connection."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("127.0.0.1", source))
    client.connect(listener.getsockname())
    return client, listener.accept()[0]


def connecting(to: tuple[str, int]) -> socket.socket:
    """Return a client that is deaf: its SYN is answered, and it does not hear that."""
    client = socket.socket()
    deafen(client)
    client.setblocking(False)
    client.connect_ex(to)
    return client


def deafen(one: socket.socket, rules: tuple[tuple[int, int, int, int], ...] = DROP_ALL) -> None:
    """Drop segments before the socket sees them: classic BPF, as in the facts page."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(rules), ctypes.addressof(code)))


def hear(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def vanish(one: socket.socket) -> None:
    """Close a socket without a segment, as a crash of its host would."""
    one.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    one.close()


def settle() -> None:
    time.sleep(SETTLE_S)
