"""A socket whose calls are noted one by one: what the program asked, what it got, and when.

In: the calls of a program. Out: one `SocketCall` per call, with the moments in which it was entered and returned, on
the clock of the capture (CLOCK_REALTIME), told to a `Notes`: the pipe of a demo, or the screen of `echo`.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

End = Literal["client", "server"]
Address = tuple[str, int]
#: What a socket call takes: IPv4; IPv6 with flow label and scope; the path of a Unix socket.
SocketAddress = Address | tuple[str, int, int, int] | str

#: Families whose addresses are a host and a port.
INTERNET = (socket.AF_INET, socket.AF_INET6)

#: Octets asked for by each recv().
RECV_OCTETS = 1024
#: Octets asked for where a datagram comes: what is not asked for would be lost.
DATAGRAM_OCTETS_MAX = 65535
#: Octets of a payload that are spelled out in the text of a call.
SHOWN_OCTETS = 16
TCP_REPAIR = 19  # <linux/tcp.h>
SO_ATTACH_FILTER = 26  # <asm-generic/socket.h>
#: A classic BPF program of one instruction, RET 0: the socket gets nothing of what arrives.
DROP_ALL = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))


@dataclass(frozen=True)
class SocketCall:
    """One call of a socket function by one of the two programs."""

    end: End
    #: "connect", "recv", "close" ...
    name: str
    #: The call with its arguments, short: "recv(1024)".
    text: str
    #: What it returned, "b'BITH'", "127.0.0.1:54668", "0", or the name of its error: "ECONNREFUSED".
    result: str
    #: When it was entered and when it returned, nanoseconds since the Unix epoch.
    entered_ns: int
    returned_ns: int
    #: Which socket of its process, from 0; the socket's own address then, and whom it had for a peer: accept() whom it
    #: accepted. "" if there was none.
    socket: int = 0
    local: str = ""
    peer: str = ""
    #: What of `text` or `result` spells octets of the conversation, "b'BITH'", and how many these are.
    shown: str = ""
    shown_octets: int = 0

    def __str__(self) -> str:
        return f"{self.text} = {self.result}"


class Notes(Protocol):
    """Receives the calls."""

    def note(self, call: SocketCall) -> None:
        """Receive one finished call."""


class CallError(Exception):
    """A socket call returned an error. It has been noted, and ends the program: that is part of the show."""

    def __init__(self, call: str, result: str) -> None:
        super().__init__(f"{call} = {result}")
        #: Of the function: "connect".
        self.name = call.partition("(")[0]
        #: The name of the error in <errno.h>, "ECONNREFUSED", or that it timed out.
        self.result = result


class RecordedSocket:
    """A socket whose calls are noted one by one, as the program made them."""

    _numbers = itertools.count()

    def __init__(
        self,
        end: End,
        notes: Notes,
        *,
        ipv6: bool = False,
        kind: int = socket.SOCK_STREAM,
        timeout_s: float | None = 5.0,
        real: socket.socket | None = None,
        peer: str = "",
        kept: list[RecordedSocket] | None = None,
    ) -> None:
        #: Where this socket and those that it accepts are kept, so that none is closed because a script forgot it.
        self.kept = kept
        if kept is not None:
            kept.append(self)
        self.end, self.notes, self.timeout_s = end, notes, timeout_s
        self._number, self._local, self._peer = next(self._numbers), "", peer
        #: What close() says in brackets: a server has two sockets to close.
        self.role = ""
        self.real = real or socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, kind)
        self.real.settimeout(timeout_s)

    def __enter__(self) -> RecordedSocket:
        return self

    def __exit__(self, *_: object) -> None:
        if self.real.fileno() != -1:
            self.close()

    def wait_at_most(self, timeout_s: float | None) -> None:
        """Set how long a call may wait from now on; None: for ever."""
        self.timeout_s = timeout_s
        self.real.settimeout(timeout_s)

    @property
    def address(self) -> Address:
        """The socket's own address."""
        host, port, *_ = self.real.getsockname()
        return host, port

    def call(
        self,
        name: str,
        arguments: str,
        function: Callable[[], Any],
        spell: Callable[[Any], str],
        *,
        sends: bytes = b"",
        received: Callable[[Any], bytes] = lambda _: b"",
    ) -> Any:
        """Call `function`, note it with the moments before and after, and return what it returned.

        `sends`: the octets that `arguments` spell; `received` returns those that `spell` spells.
        """
        entered_ns, octets = time.time_ns(), sends
        try:
            value = function()
            result, octets = spell(value), octets or received(value)
            return value
        except OSError as error:
            result = spell_error(error, self.timeout_s)
            raise CallError(f"{name}({arguments})", result) from error
        except KeyboardInterrupt:
            result = "EINTR"
            raise
        finally:
            returned_ns = time.time_ns()
            if self.real.fileno() != -1 and self.real.family in INTERNET and self.address[1]:
                self._local = spell_address(self.address)
            peer = result if name == "accept" and ":" in result else self._peer
            text, whose = f"{name}({arguments})", (self._number, self._local, peer)
            shown = (spell_octets(octets), len(octets)) if octets else ()
            self.notes.note(SocketCall(self.end, name, text, result, entered_ns, returned_ns, *whose, *shown))

    def bind(self, address: SocketAddress) -> None:
        """Take a local address."""
        self.call("bind", spell_address(address), lambda: self.real.bind(address), spell_none)

    def listen(self, backlog: int) -> None:
        """Passive OPEN."""
        self.role = "listener"
        self.call("listen", str(backlog), lambda: self.real.listen(backlog), spell_none)

    def connect(self, address: SocketAddress) -> None:
        """Active OPEN; for UDP only the choice of the peer."""
        self._peer = spell_address(address)
        self.call("connect", spell_address(address), lambda: self.real.connect(address), spell_none)

    def connect_start(self, address: Address) -> None:
        """Begin an active OPEN without waiting for its end: connect() on a socket that does not block."""
        self._peer = spell_address(address)

        def start() -> int:
            self.real.setblocking(False)
            return self.real.connect_ex(address)

        self.call("connect", spell_address(address), start, lambda number: errno.errorcode.get(number, "0"))

    def connect_finish(self) -> None:
        """Wait for the end of an active OPEN that was begun."""

        def finish() -> None:
            self.real.settimeout(self.timeout_s)
            if not select.select([], [self.real], [], self.timeout_s)[1]:
                raise TimeoutError
            number = self.real.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number))

        self.call("getsockopt", "SO_ERROR", finish, spell_none)

    def connect_with(self, octets: bytes, address: Address) -> None:
        """Active OPEN with data on the SYN (RFC 7413): sendto() with MSG_FASTOPEN.

        Without a cookie the data wait for the handshake, which only a socket that blocks does (else EINPROGRESS).
        """
        self._peer = spell_address(address)

        def open_fast() -> int:
            self.real.setblocking(True)
            try:
                return self.real.sendto(octets, socket.MSG_FASTOPEN, address)
            finally:
                self.real.settimeout(self.timeout_s)

        arguments = f"{spell_octets(octets)}, MSG_FASTOPEN, {spell_address(address)}"
        self.call("sendto", arguments, open_fast, str, sends=octets)

    def accept(self) -> RecordedSocket:
        """Wait for a connection and return its socket."""
        real, peer = self.call("accept", "", self.real.accept, lambda pair: spell_address(pair[1]))
        return RecordedSocket(
            self.end, self.notes, timeout_s=self.timeout_s, real=real, peer=spell_address(peer), kept=self.kept
        )

    def send(self, octets: bytes) -> None:
        """Send all of `octets`: one call for each part that the kernel took."""
        while octets:
            sent = self._send_part(octets)
            octets = octets[sent:]

    def _send_part(self, octets: bytes) -> int:
        sent: int = self.call("send", spell_octets(octets), lambda: self.real.send(octets), str, sends=octets)
        return sent

    def send_datagram(self, octets: bytes) -> None:
        """Send one datagram on a connected socket: one call, also where there is no octet in it."""
        self._send_part(octets)

    def recv(self, octets: int = RECV_OCTETS) -> bytes:
        """Receive what is there, so many octets at most; b'' after the peer's FIN."""
        return self._receive(str(octets), lambda: self.real.recv(octets))

    def peek(self) -> bytes:
        """Look at what is there, and leave it unread."""
        return self._receive(f"{RECV_OCTETS}, MSG_PEEK", lambda: self.real.recv(RECV_OCTETS, socket.MSG_PEEK))

    def _receive(self, arguments: str, function: Callable[[], bytes]) -> bytes:
        received: bytes = self.call("recv", arguments, function, spell_octets, received=lambda octets: octets)
        return received

    def sendto(self, octets: bytes, address: SocketAddress) -> None:
        """Send one datagram."""
        arguments = f"{spell_octets(octets)}, {spell_address(address)}"
        self.call("sendto", arguments, lambda: self.real.sendto(octets, address), str, sends=octets)

    def recvfrom(self) -> tuple[bytes, Address]:
        """Receive one datagram and its sender's address."""
        octets, address = self.call(
            "recvfrom",
            str(DATAGRAM_OCTETS_MAX),
            lambda: self.real.recvfrom(DATAGRAM_OCTETS_MAX),
            lambda pair: f"{spell_octets(pair[0])}, {spell_address(pair[1])}",
            received=lambda pair: pair[0],
        )
        return octets, address[:2]

    def setsockopt(self, level: int, option: int, value: Any, text: str) -> None:
        """Set an option; `text` spells it."""
        self.call("setsockopt", text, lambda: self.real.setsockopt(level, option, value), spell_none)

    def deafen(self) -> None:
        """Drop every segment that arrives at this socket from now on (socket(7)): nothing is answered."""
        program = struct.pack("@HP", 1, ctypes.addressof(DROP_ALL))
        self.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program, "SO_ATTACH_FILTER, drop all")

    def keep_alive(self, *, idle_s: int, interval_s: int, count: int) -> None:
        """Ask after the peer when nothing was heard of it for `idle_s` (RFC 9293 §3.8.4, tcp(7))."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1, "SO_KEEPALIVE, 1")
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s, f"TCP_KEEPIDLE, {idle_s} s")
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s, f"TCP_KEEPINTVL, {interval_s} s")
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count, f"TCP_KEEPCNT, {count}")

    def cork(self) -> None:
        """Send no segment that is not full until the direction is closed (tcp(7)): the FIN then carries the rest."""
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1, "TCP_CORK, 1")

    def shutdown(self) -> None:
        """Close the sending direction only."""
        self.call("shutdown", "SHUT_WR", lambda: self.real.shutdown(socket.SHUT_WR), spell_none)

    def close(self) -> None:
        """Close the socket."""
        self.call("close", self.role, self.real.close, spell_none)

    def reset(self) -> None:
        """Close with SO_LINGER 0: an RST instead of a FIN."""
        linger = struct.pack("@ii", 1, 0)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger, "SO_LINGER, on, 0 s")
        self.close()

    def vanish(self) -> None:
        """Close without sending a segment, as after a crash of the whole host: close() in repair mode (tcp(7))."""
        self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1, "TCP_REPAIR, 1")
        self.close()


def spell_address(address: Any) -> str:
    """Spell a socket address: 127.0.0.1:8000, [::1]:8000, the path of a Unix socket."""
    if not isinstance(address, tuple):
        return address if isinstance(address, str) and address else "a socket without a name"
    host, port, *_ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def spell_octets(octets: bytes) -> str:
    """Spell a payload: all of it if short, else its beginning and its size."""
    if len(octets) <= SHOWN_OCTETS:
        return repr(octets)
    return f"{octets[:SHOWN_OCTETS]!r}… {len(octets)} octets"


def spell_none(_: object) -> str:
    """Return the result of a call that returns nothing, as the system call does: 0."""
    return "0"


def spell_error(error: OSError, timeout_s: float | None) -> str:
    """Spell an error by its name in <errno.h>."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return f"timed out after {timeout_s:g} s"
    return errno.errorcode.get(error.errno or 0, str(error))


def call_as_json(call: SocketCall) -> dict[str, Any]:
    """Return the call as a JSON object; `SocketCall(**object)` is the way back."""
    return asdict(call)
