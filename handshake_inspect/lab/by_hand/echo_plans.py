"""What a person asks of the echo programs: where they meet, and how each of them behaves.

In: what was typed: "127.0.0.1:8000", "[::1]:8000", "localhost:8000", "8000", the path of a Unix socket. Out: a
`EchoAddress`, which a socket takes; `ServerPlan` and `ClientPlan`; and the lines that a client is to say.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from handshake_inspect.lab.calls import Address, End, Notes, RecordedSocket, SocketAddress, spell_address
from handshake_inspect.lab.world import LabError

Transport = Literal["tcp", "udp", "unix"]

#: What `sun_path` holds beside its final zero (unix(7)).
PATH_OCTETS_MAX = 107
#: Octets read at once from the terminal or the pipe.
READ_OCTETS = 4096


class Screen(Notes, Protocol):
    """The output of a program for a person: its calls, and what they mean."""

    def say(self, text: str) -> None:
        """Show a short line that explains the call before it."""

    def beside(self, peer: str) -> Screen:
        """Return the same screen for what concerns one of several peers."""

    def ready(self, address: SocketAddress) -> None:
        """Server only: from now on a client may come, and this is where it finds the server."""


@dataclass(frozen=True)
class EchoAddress:
    """An address that a socket can bind or connect to."""

    transport: Transport
    family: int
    address: SocketAddress

    def __str__(self) -> str:
        return spell_address(self.address)

    def open(self, end: End, screen: Screen, timeout_s: float | None) -> RecordedSocket:
        """Open a socket for this address."""
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        try:
            real = socket.socket(self.family, kind)
        except OSError as error:
            raise LabError(f"no socket for {self}: {error.strerror}") from error
        return RecordedSocket(end, screen, timeout_s=timeout_s, real=real)


@dataclass(frozen=True)
class ServerPlan:
    """How the server behaves."""

    where: EchoAddress
    #: What it makes of the octets that came.
    answer: Callable[[bytes], bytes] = bytes.upper
    backlog: int = 5
    #: The next client waits in the accept queue until this one has left.
    one_at_a_time: bool = False
    #: End after so many clients (TCP, Unix) or datagrams (UDP); None: never.
    clients: int | None = None
    #: Close each connection after the first answer.
    close_first: bool = False
    half_close: bool = False
    #: Close with SO_LINGER 0.
    reset: bool = False
    #: Before each answer, and before a close.
    delay_s: float = 0.0
    #: How long a client may be silent.
    timeout_s: float | None = None


@dataclass(frozen=True)
class ClientPlan:
    """How the client behaves."""

    where: EchoAddress
    #: 0: the kernel chooses one.
    source_port: int = 0
    #: Wait until the server has closed.
    close_second: bool = False
    half_close: bool = False
    #: Close with SO_LINGER 0.
    reset: bool = False
    #: Before each message, and before a close.
    delay_s: float = 0.0
    timeout_s: float | None = 5.0


def split_place(text: str) -> Address:
    """Take HOST:PORT apart; [HOST]:PORT for IPv6. A port alone is one of this host. Raises LabError."""
    if text.startswith("[") and text.endswith("]"):
        raise LabError(f"{text}: the port is missing: {text}:8000")
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        meant = [f"[{one}]:{its}" for one, its in ((text, "PORT"), (host, port)) if is_ipv6(one)]
        raise LabError(
            f"{text}: an IPv6 address needs brackets before its port: {' or '.join(meant or ['[::1]:8000'])}"
        )
    if not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        expected = "expected HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:8000 or [::1]:8000"
        raise LabError(f"{text or repr(text)}: {expected}")
    return host, int(port)


def is_ipv6(text: str) -> bool:
    """Tell whether it is an IPv6 address."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def internet_place(host: str, port: int, *, udp: bool, ipv6: bool = False) -> EchoAddress:
    """Find the address of a host: loopback if `host` is "". Raises LabError."""
    name = host or ("::1" if ipv6 else "127.0.0.1")
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(name, port, socket.AF_INET6 if ipv6 else socket.AF_UNSPEC, kind)
    except (OSError, UnicodeError) as error:
        why = "it is no IPv6 address" if ipv6 else getattr(error, "strerror", None) or "it is no name of a host"
        raise LabError(f"{name}: {why[:1].lower()}{why[1:]}") from error
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)  # as the tutorials: IPv4 if it can
    return EchoAddress("udp" if udp else "tcp", family, address)  # type: ignore[arg-type]


def unix_place(path: str) -> EchoAddress:
    """Take the path of a Unix socket. Raises LabError."""
    if not hasattr(socket, "AF_UNIX"):
        raise LabError("this Python has no Unix sockets: leave out --unix")
    if not 1 <= len(os.fsencode(path)) <= PATH_OCTETS_MAX:
        raise LabError(f"{path}: the path of a Unix socket has 1 to {PATH_OCTETS_MAX} octets: take a shorter one")
    return EchoAddress("unix", socket.AF_UNIX, path)


class Lines:
    """Lines from a terminal, a pipe or the command line; a socket is watched meanwhile."""

    def __init__(
        self, descriptor: int | None, given: Iterable[bytes] = (), prompt: Callable[[], None] = lambda: None
    ) -> None:
        self._descriptor = descriptor
        self._prompt = prompt
        self._waiting = list(given)
        self._begun = b""

    def wait(self, watched: RecordedSocket, timeout_s: float | None = None) -> Literal["line", "end", "socket", ""]:
        """Wait for a line, for the end of the lines, or for the socket to have something; "": none came in time."""
        if not self._waiting and self._descriptor is not None:
            self._prompt()
        while True:
            at_once = bool(self._waiting) or self._descriptor is None
            typed = [] if at_once or self._descriptor is None else [self._descriptor]
            spoke = watched.real.fileno()
            ready, _, _ = select.select([spoke, *typed], [], [], 0 if at_once else timeout_s)
            if spoke in ready:
                return "socket"
            if at_once:
                return "line" if self._waiting else "end"
            if not ready:
                return ""
            self._read()

    def take(self) -> bytes:
        """Return the next line, without its end."""
        return self._waiting.pop(0)

    def _read(self) -> None:
        assert self._descriptor is not None
        octets = os.read(self._descriptor, READ_OCTETS)
        *whole, self._begun = (self._begun + octets).split(b"\n")
        self._waiting += [line.removesuffix(b"\r") for line in whole]
        if not octets:
            self._descriptor = None
            self._waiting += [self._begun] if self._begun else []
