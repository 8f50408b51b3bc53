"""The upper-casing echo server and its client, over real sockets, with every socket call noted.

In: an `EchoPlan`, and the `Stage` on which a program runs (who it reports to). Out: one `SocketCall` per call, with the
moments in which it was entered and returned, on the clock of the capture (CLOCK_REALTIME). Each function `serve_...`
or `ask_...` is one whole program: `programs` runs two of them as two processes.

How the shape of the closing comes about (RFC 9293 §3.6; Linux measured): the end that closes second either waits
`pause_s` after `recv() = b''`, long enough for the kernel to send the late ACK of the FIN by itself (40 to 200 ms),
which makes four segments; or it closes at once, and its own FIN carries that ACK: three segments.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from handshake_inspect.lab.world import LabError

End = Literal["client", "server"]
Address = tuple[str, int]

#: Octets asked for by each recv().
RECV_OCTETS = 1024
#: Octets of a payload that are spelled out in the text of a call.
SHOWN_OCTETS = 16
#: Largest message: what loopback's socket buffers hold without the two ends waiting for each other.
MESSAGE_OCTETS_MAX = 32768
#: Pause of the closing end after the last echo, so that the ACK of the data is on the wire before the FIN.
SETTLE_S = 0.05
SO_ATTACH_FILTER = 26


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

    def __str__(self) -> str:
        return f"{self.text} = {self.result}"


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
            raise LabError(f"the message must have 1 to {MESSAGE_OCTETS_MAX} octets, not {len(self.message)}")
        if not 0 <= self.port <= 65535:
            raise LabError(f"the port must be 0 to 65535, not {self.port}")

    @property
    def host(self) -> str:
        """The server's address: loopback of the chosen IP version, unless the plan has another."""
        return self.address or ("::1" if self.ipv6 else "127.0.0.1")

    @property
    def farewell(self) -> bytes:
        """What the other end still has to say after a half-close: it can only know this at the end."""
        return b"%d OCTETS IN ALL" % len(self.message)


class Stage(Protocol):
    """Where a program runs: what it reports to, and how it learns of the other."""

    def note(self, call: SocketCall) -> None:
        """Take one finished call."""

    def ready(self, address: Address) -> None:
        """Server only: the client may start, and this is where it finds the server."""

    def until_client_ended(self) -> None:
        """Server only: wait until the client's process has ended."""


class CallError(Exception):
    """A socket call returned an error. It has been noted, and ends the program: that is part of the show."""


class RecordedSocket:
    """A socket whose calls are noted one by one, as the program made them."""

    def __init__(
        self, end: End, plan: EchoPlan, stage: Stage, kind: int = socket.SOCK_STREAM, *, real: Any = None
    ) -> None:
        self.end, self.plan, self.stage = end, plan, stage
        #: What close() says in brackets: a server has two sockets to close.
        self.role = ""
        self.real: socket.socket = real or socket.socket(socket.AF_INET6 if plan.ipv6 else socket.AF_INET, kind)
        self.real.settimeout(plan.timeout_s)

    def __enter__(self) -> RecordedSocket:
        return self

    def __exit__(self, *_: object) -> None:
        if self.real.fileno() != -1:
            self.close()

    @property
    def address(self) -> Address:
        """The socket's own address."""
        host, port, *_ = self.real.getsockname()
        return host, port

    def call(self, name: str, arguments: str, function: Callable[[], Any], spell: Callable[[Any], str]) -> Any:
        """Call `function`, note it with the moments before and after, and return what it returned."""
        entered_ns = time.time_ns()
        try:
            value = function()
            result = spell(value)
            return value
        except OSError as error:
            result = spell_error(error, self.plan.timeout_s)
            raise CallError(f"{name}({arguments}) = {result}") from error
        finally:
            returned_ns = time.time_ns()
            text = f"{name}({arguments})"
            self.stage.note(SocketCall(self.end, name, text, result, entered_ns, returned_ns))

    def bind(self, address: Address) -> None:
        """Take a local address."""
        self.call("bind", spell_address(address), lambda: self.real.bind(address), spell_none)

    def listen(self, backlog: int) -> None:
        """Passive OPEN."""
        self.role = "listener"
        self.call("listen", str(backlog), lambda: self.real.listen(backlog), spell_none)

    def connect(self, address: Address) -> None:
        """Active OPEN; for UDP only the choice of the peer."""
        self.call("connect", spell_address(address), lambda: self.real.connect(address), spell_none)

    def accept(self) -> RecordedSocket:
        """Wait for a connection and return its socket."""
        real, _ = self.call("accept", "", self.real.accept, lambda pair: spell_address(pair[1]))
        return RecordedSocket(self.end, self.plan, self.stage, real=real)

    def send(self, octets: bytes) -> None:
        """Send all of `octets`: one call for each part that the kernel took."""
        while octets:
            sent = self._send_part(octets)
            octets = octets[sent:]

    def _send_part(self, octets: bytes) -> int:
        sent: int = self.call("send", spell_octets(octets), lambda: self.real.send(octets), str)
        return sent

    def recv(self) -> bytes:
        """Receive what is there; b'' after the peer's FIN."""
        received: bytes = self.call("recv", str(RECV_OCTETS), lambda: self.real.recv(RECV_OCTETS), spell_octets)
        return received

    def sendto(self, octets: bytes, address: Address) -> None:
        """Send one datagram."""
        arguments = f"{spell_octets(octets)}, {spell_address(address)}"
        self.call("sendto", arguments, lambda: self.real.sendto(octets, address), str)

    def recvfrom(self) -> tuple[bytes, Address]:
        """Receive one datagram and its sender's address."""
        octets, address = self.call(
            "recvfrom",
            "65535",
            lambda: self.real.recvfrom(65535),
            lambda pair: f"{spell_octets(pair[0])}, {spell_address(pair[1])}",
        )
        return octets, address[:2]

    def setsockopt(self, level: int, option: int, value: Any, text: str) -> None:
        """Set an option; `text` spells it."""
        self.call("setsockopt", text, lambda: self.real.setsockopt(level, option, value), spell_none)

    def shutdown(self) -> None:
        """Close the sending direction only."""
        self.call("shutdown", "SHUT_WR", lambda: self.real.shutdown(socket.SHUT_WR), spell_none)

    def close(self) -> None:
        """Close the socket."""
        self.call("close", self.role, self.real.close, spell_none)


def serve_tcp(plan: EchoPlan, stage: Stage) -> None:
    """Serve one connection: send every octet back in upper case, then close as planned."""
    with RecordedSocket("server", plan, stage) as listener:
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
    with RecordedSocket("client", plan, stage) as connection:
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


def echo(connection: RecordedSocket, octets: int | None) -> None:
    """Send back in upper case what comes, up to so many octets, or until the peer has closed (None)."""
    echoed = 0
    while octets is None or echoed < octets:
        received = connection.recv()
        if not received:
            return
        connection.send(received.upper())
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


def close_first(connection: RecordedSocket, plan: EchoPlan) -> None:
    """Be the end whose FIN comes first."""
    time.sleep(SETTLE_S)
    if plan.half_close:
        connection.shutdown()
        read_to_end(connection)
    connection.close()


def close_second(connection: RecordedSocket, plan: EchoPlan) -> None:
    """Be the end that has read recv() = b'' and closes in its turn."""
    if plan.pause_s:
        time.sleep(plan.pause_s)
    if plan.half_close:
        connection.send(plan.farewell)
        time.sleep(SETTLE_S)
    connection.close()


def serve_udp(plan: EchoPlan, stage: Stage) -> None:
    """Answer one datagram in upper case."""
    with RecordedSocket("server", plan, stage, socket.SOCK_DGRAM) as server:
        server.bind((plan.host, plan.port))
        stage.ready(server.address)
        octets, client = server.recvfrom()
        server.sendto(octets.upper(), client)


def ask_udp(plan: EchoPlan, stage: Stage, server: Address) -> None:
    """Send one datagram and wait for the answer."""
    with RecordedSocket("client", plan, stage, socket.SOCK_DGRAM) as client:
        client.sendto(plan.message, server)
        client.recvfrom()


def ask_connected_udp(plan: EchoPlan, stage: Stage, server: Address) -> None:
    """The same on a connected socket, which alone is told of an ICMP error: recv() = ECONNREFUSED."""
    with RecordedSocket("client", plan, stage, socket.SOCK_DGRAM) as client:
        client.connect(server)
        client.send(plan.message)
        client.recv()


def serve_nothing_udp(plan: EchoPlan, stage: Stage) -> None:
    """Take a UDP port and give it up again: a port at which nobody is."""
    with RecordedSocket("server", plan, stage, socket.SOCK_DGRAM) as server:
        server.bind((plan.host, plan.port))
        address = server.address
    stage.ready(address)


def bind_without_listen(plan: EchoPlan, stage: Stage) -> None:
    """Hold a TCP port without a passive OPEN: the kernel answers a SYN with RST."""
    with RecordedSocket("server", plan, stage) as holder:
        holder.bind((plan.host, plan.port))
        stage.ready(holder.address)
        stage.until_client_ended()


def listen_deaf(plan: EchoPlan, stage: Stage) -> None:
    """Listen behind a filter that drops every segment: a SYN gets no answer at all."""
    with RecordedSocket("server", plan, stage) as listener:
        drop_all = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))  # BPF: RET 0
        program = struct.pack("@HP", 1, ctypes.addressof(drop_all))
        text = "SO_ATTACH_FILTER, drop all"
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program, text)
        listen(listener, plan)
        stage.ready(listener.address)
        stage.until_client_ended()


def serve_nowhere(plan: EchoPlan, stage: Stage) -> None:
    """Be nobody: the address is where there is no host."""
    stage.ready((plan.host, plan.port))
    stage.until_client_ended()


def ask_and_reset(plan: EchoPlan, stage: Stage, server: Address) -> None:
    """Have an echo, then close with SO_LINGER 0: an RST instead of a FIN."""
    with RecordedSocket("client", plan, stage) as connection:
        connection.connect(server)
        say_and_hear(connection, plan)
        time.sleep(SETTLE_S)
        linger = struct.pack("@ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger, "SO_LINGER, on, 0 s")
        connection.close()


def spell_address(address: Any) -> str:
    """Spell a socket address: 127.0.0.1:8000, [::1]:8000."""
    host, port, *_ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def spell_octets(octets: bytes) -> str:
    """Spell a payload: all of it if short, else its beginning and its size."""
    if len(octets) <= SHOWN_OCTETS:
        return repr(octets)
    return f"{octets[:SHOWN_OCTETS]!r}… {len(octets)} octets"


def spell_none(_: object) -> str:
    """Spell the result of a call that returns nothing: as the system call does."""
    return "0"


def spell_error(error: OSError, timeout_s: float) -> str:
    """Spell an error by its name in <errno.h>."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return f"timed out after {timeout_s:g} s"
    return errno.errorcode.get(error.errno or 0, str(error))


def call_as_json(call: SocketCall) -> dict[str, Any]:
    """Return the call as a JSON object; `SocketCall(**object)` is the way back."""
    return asdict(call)
