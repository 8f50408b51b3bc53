"""The upper-casing echo server and its client, over real sockets, with every socket call noted.

In: an `EchoPlan`, and the `Stage` on which a program runs (who it reports to). Out: its socket calls (`calls`). Each
function `serve_...` or `ask_...` is one whole program: `programs` runs two of them as two processes.

How the shape of the closing comes about (RFC 9293 §3.6; Linux measured): the end that closes second either waits
`pause_s` after `recv() = b''`, long enough for the kernel to send the late ACK of the FIN by itself (40 to 200 ms),
which makes four segments; or it closes at once, and its own FIN carries that ACK: three segments.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from handshake_inspect.lab.calls import Address, End, Notes, RecordedSocket
from handshake_inspect.lab.world import LabError

#: Largest message: what loopback's socket buffers hold without the two ends waiting for each other.
MESSAGE_OCTETS_MAX = 32768
#: Pause of the closing end after the last echo, so that the ACK of the data is on the wire before the FIN.
SETTLE_S = 0.05


@dataclass(frozen=True)
class EchoPlan:
    """What the two programs are to do."""

    message: bytes = b"bith"
    #: The end that closes first.
    close_first: End = "client"
    #: The first end shuts down its sending direction only, and reads on until the other has closed too.
    half_close: bool = False
    ipv6: bool = False
    #: Port of the server; 0 lets the kernel choose.
    port: int = 0
    #: Address of the server; None: loopback.
    address: str | None = None
    #: How long the other end waits after `recv() = b''` before it closes: 0 makes a three-segment closing.
    pause_s: float = 0.3
    #: How long any single call may take.
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.message) <= MESSAGE_OCTETS_MAX:
            raise LabError(f"the message must have 1 to {MESSAGE_OCTETS_MAX:,} octets, not {len(self.message):,}")
        if not 0 <= self.port <= 65535:
            raise LabError(f"the port must be 0 to 65535, not {self.port}")

    @property
    def host(self) -> str:
        """The server's address: loopback of the chosen IP version, unless the plan has another."""
        return self.address or ("::1" if self.ipv6 else "127.0.0.1")

    @property
    def farewell(self) -> bytes:
        """What the other end still has to say after a half-close: it can only know this at the end."""
        return octets_in_all(len(self.message))


def octets_in_all(octets: int) -> bytes:
    """Return the last word of the end that closes second."""
    return b"%d %s IN ALL" % (octets, b"OCTET" if octets == 1 else b"OCTETS")


class Closing(Protocol):
    """How an end closes, for `close_first` and `close_second`: an `EchoPlan`, or a plan of `echo_plans`."""

    @property
    def half_close(self) -> bool:
        """The first end shuts down its sending direction only."""

    @property
    def pause_s(self) -> float:
        """How long the second end waits after `recv() = b''`."""

    @property
    def farewell(self) -> bytes:
        """What the second end still sends after a half-close."""


class Stage(Notes, Protocol):
    """Where a program runs: what it reports to, and how it learns of the other."""

    def ready(self, address: Address) -> None:
        """Server only: the client may start, and this is where it finds the server."""

    def until_client_ended(self) -> None:
        """Server only: wait until the client's process has ended."""


def open_socket(end: End, plan: EchoPlan, stage: Stage, kind: int = socket.SOCK_STREAM) -> RecordedSocket:
    """Open a socket of the planned IP version and patience."""
    return RecordedSocket(end, stage, ipv6=plan.ipv6, kind=kind, timeout_s=plan.timeout_s)


def serve_tcp(plan: EchoPlan, stage: Stage) -> None:
    """Serve one connection: send every octet back in upper case, then close as planned."""
    with open_socket("server", plan, stage) as listener:
        listen(listener, plan)
        stage.ready(listener.address)
        with listener.accept() as connection:
            if plan.close_first == "server":
                echo(connection, len(plan.message))
                close_first(connection, plan)
            else:
                echo(connection, None)
                close_second(connection, plan)


def ask_tcp(plan: EchoPlan, stage: Stage, server: Address) -> None:
    """Connect, send the message, read the echo, then close as planned."""
    with open_socket("client", plan, stage) as connection:
        connection.connect(server)
        say_and_hear(connection, plan)
        if plan.close_first == "client":
            close_first(connection, plan)
        elif read_to_end(connection):
            close_second(connection, plan)


def listen(listener: RecordedSocket, plan: EchoPlan) -> None:
    """Bind and listen. A port asked for by number may still be in TIME-WAIT, so SO_REUSEADDR is set for it."""
    if plan.port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1, "SO_REUSEADDR, 1")
    listener.bind((plan.host, plan.port))
    listener.listen(5)


def echo(connection: RecordedSocket, octets: int | None, answer: Callable[[bytes], bytes] = bytes.upper) -> None:
    """Send received octets back in upper case, up to a number of them, or until the peer has closed (None)."""
    echoed = 0
    while octets is None or echoed < octets:
        received = connection.recv()
        if not received:
            return
        connection.send(answer(received))
        echoed += len(received)


def say_and_hear(connection: RecordedSocket, plan: EchoPlan) -> None:
    """Send the message and read until all of it has come back."""
    connection.send(plan.message)
    heard = 0
    while heard < len(plan.message):
        received = connection.recv()
        if not received:
            return
        heard += len(received)


def read_to_end(connection: RecordedSocket) -> bool:
    """Read until recv() = b'': the peer has sent its FIN."""
    while connection.recv():
        pass
    return True


def close_first(connection: RecordedSocket, plan: Closing) -> None:
    """Close as the end whose FIN comes first."""
    time.sleep(SETTLE_S)
    if plan.half_close:
        connection.shutdown()
        read_to_end(connection)
    connection.close()


def close_second(connection: RecordedSocket, plan: Closing) -> None:
    """Close as the end that has read recv() = b''."""
    if plan.pause_s:
        time.sleep(plan.pause_s)
    if plan.half_close:
        connection.send(plan.farewell)
        time.sleep(SETTLE_S)
    connection.close()


def serve_udp(plan: EchoPlan, stage: Stage) -> None:
    """Answer one datagram in upper case."""
    with open_socket("server", plan, stage, socket.SOCK_DGRAM) as server:
        server.bind((plan.host, plan.port))
        stage.ready(server.address)
        octets, client = server.recvfrom()
        server.sendto(octets.upper(), client)


def ask_udp(plan: EchoPlan, stage: Stage, server: Address) -> None:
    """Send one datagram and wait for the answer."""
    with open_socket("client", plan, stage, socket.SOCK_DGRAM) as client:
        client.sendto(plan.message, server)
        client.recvfrom()


def ask_connected_udp(plan: EchoPlan, stage: Stage, server: Address) -> None:
    """The same on a connected socket, which alone is told of an ICMP error: recv() = ECONNREFUSED."""
    with open_socket("client", plan, stage, socket.SOCK_DGRAM) as client:
        client.connect(server)
        client.send(plan.message)
        client.recv()


def serve_nothing_udp(plan: EchoPlan, stage: Stage) -> None:
    """Bind a UDP port and close it again: a port without a socket."""
    with open_socket("server", plan, stage, socket.SOCK_DGRAM) as server:
        server.bind((plan.host, plan.port))
        address = server.address
    stage.ready(address)


def bind_without_listen(plan: EchoPlan, stage: Stage) -> None:
    """Hold a TCP port without a passive OPEN: the kernel answers a SYN with RST."""
    with open_socket("server", plan, stage) as holder:
        holder.bind((plan.host, plan.port))
        stage.ready(holder.address)
        stage.until_client_ended()


def listen_deaf(plan: EchoPlan, stage: Stage) -> None:
    """Listen behind a filter that drops every segment: a SYN gets no answer at all."""
    with open_socket("server", plan, stage) as listener:
        listener.deafen()
        listen(listener, plan)
        stage.ready(listener.address)
        stage.until_client_ended()


def serve_nowhere(plan: EchoPlan, stage: Stage) -> None:
    """Serve nothing, at an address without a host."""
    stage.ready((plan.host, plan.port))
    stage.until_client_ended()


def ask_and_reset(plan: EchoPlan, stage: Stage, server: Address) -> None:
    """Have an echo, then close with SO_LINGER 0: an RST instead of a FIN."""
    with open_socket("client", plan, stage) as connection:
        connection.connect(server)
        say_and_hear(connection, plan)
        time.sleep(SETTLE_S)
        connection.reset()


#: What of a plan the programs heed that have no use for all of it.
_HEEDED: Mapping[Callable[..., None], frozenset[str]] = {
    serve_udp: frozenset({"message", "ipv6", "port"}),
    serve_nothing_udp: frozenset({"message", "ipv6", "port"}),
    ask_and_reset: frozenset({"message", "ipv6", "port"}),
    bind_without_listen: frozenset({"ipv6", "port"}),
    listen_deaf: frozenset({"ipv6", "port"}),
    serve_nowhere: frozenset({"ipv6", "port"}),
}


def unheeded(changes: Iterable[str], *programs: Callable[..., None]) -> list[str]:
    """Return the changes of a plan that have no effect on two programs, as options: "half-close"."""
    sets = [_HEEDED[program] for program in programs if program in _HEEDED]
    return [option(name) for name in changes if not all(name in heeded for heeded in sets)]


def option(name: str) -> str:
    """Return the name of the option for a field of a plan."""
    return name.removesuffix("_s").replace("_", "-")
