"""What a script of the lab works with: two hosts, whose sockets it opens, and the wire between them if there is one.

In: a `Stage`, to which every socket call is reported. Out: a `Bench`. A script makes the calls of both ends in the
order in which they are to happen, in one process: a socket belongs to the network namespace in which it was opened.
The kernel does the rest, as it does for two programs: `connect()` returns before anybody has called `accept()`.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from handshake_inspect.lab.calls import Address, CallError, End, RecordedSocket, SocketCall
from handshake_inspect.lab.echo import Stage
from handshake_inspect.lab.hosts import inside
from handshake_inspect.lab.kernel.sock_diag import tcp_sockets
from handshake_inspect.lab.wire import Wire
from handshake_inspect.lab.world import KernelLacksError, LabError

#: Long enough for what was sent to have arrived and been answered, also on a busy machine.
SETTLE_S = 0.05
#: How long a script waits for something that the kernel does.
STATE_LIMIT_S = 10.0
IPPROTO_MPTCP = 262  # <linux/in.h>; larger than a protocol of IP can be
#: In a note that is no call of a socket.
NO_SOCKET = -1
#: Longer than any delayed acknowledgment of Linux (40 to 200 ms).
DELAYED_ACK_S = 0.3


@dataclass
class Host:
    """One end: an address, and the sockets that a script opens there."""

    end: End
    ip: str
    stage: Stage
    #: Id of the process that keeps this host's network namespace; None: this process is in it.
    keeper: int | None = None
    #: May settings of its network be changed? Not where they are the real host's.
    is_private: bool = True
    #: Kept, so that no socket is closed because a script forgot it.
    opened: list[RecordedSocket] = field(default_factory=list)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Be in the network of this host for a while."""
        if self.keeper is None:
            yield
        else:
            with inside(self.keeper):
                yield

    def socket(self, *, timeout_s: float = 5.0, multipath: bool = False) -> RecordedSocket:
        """Open a TCP socket here; one of Multipath TCP (RFC 8684), if that is wanted."""
        with self.inside():
            return RecordedSocket(
                self.end,
                self.stage,
                ipv6=":" in self.ip,
                timeout_s=timeout_s,
                real=multipath_socket() if multipath else None,
                kept=self.opened,
            )

    def bound(self, port: int = 0, *, reuse: bool = False) -> RecordedSocket:
        """Open a socket that has a local port of its own before it connects or listens."""
        opened = self.socket()
        if reuse:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1, "SO_REUSEADDR, 1")
        opened.bind((self.ip, port))
        return opened

    def listen(
        self, backlog: int = 5, *, port: int = 0, reuse: bool = False, buffer_octets: int | None = None
    ) -> RecordedSocket:
        """Open a listening socket (passive OPEN), whose connections may have a small receive buffer."""
        listener = self.bound(port, reuse=reuse)
        if buffer_octets is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets, f"SO_RCVBUF, {buffer_octets}")
        listener.listen(backlog)
        self.stage.ready(listener.address)
        return listener

    def connect(self, to: RecordedSocket | Address) -> RecordedSocket:
        """Open a socket and connect it (active OPEN)."""
        opened = self.socket()
        opened.connect(to if isinstance(to, tuple) else to.address)
        return opened

    def holds(self, state: str, port: int) -> int:
        """Count the sockets of a local port that this host's kernel holds in a state, as RFC 9293 spells it."""
        with self.inside():
            return sum(one.state == state and one.local.port == port for one in tcp_sockets())

    def half_open(self, port: int) -> int:
        """Count the half-open connections of a port, request sockets in SYN-RECEIVED, and note it beside the calls."""
        entered_ns = time.time_ns()
        count = self.holds("SYN-RECEIVED", port)
        text, listener = "sock_diag: SYN-RECEIVED", f"{self.ip}:{port}"
        times_ns = (entered_ns, time.time_ns())
        self.stage.note(SocketCall(self.end, "sock_diag", text, str(count), *times_ns, NO_SOCKET, listener))
        return count

    def set(self, name: str, value: int | str) -> None:
        """Change a setting of this host's TCP: /proc/sys/net/ipv4/`name`."""
        if not self.is_private:
            raise LabError(f"this scenario changes net.ipv4.{name}: it runs in a private network only, not with --host")
        entered_ns = time.time_ns()
        with self.inside():
            setting = Path("/proc/sys/net/ipv4", name)
            if not setting.exists():
                raise KernelLacksError(f"this kernel has no setting net.ipv4.{name}: the scenario needs a newer one")
            setting.write_text(str(value))
        text, times_ns = f"sysctl net.ipv4.{name}", (entered_ns, time.time_ns())
        self.stage.note(SocketCall(self.end, "sysctl", text, str(value), *times_ns, NO_SOCKET))


@dataclass
class Bench:
    """Both hosts and their wire."""

    client: Host
    server: Host
    #: None where both hosts are one: on loopback.
    between: Wire | None = None
    #: Has the kernel asked now, if it is asked at all.
    look: Callable[[], object] = lambda: None

    @property
    def wire(self) -> Wire:
        """The wire between the two hosts."""
        assert self.between is not None, "this scenario is on loopback"
        return self.between

    def session(self, backlog: int = 5) -> tuple[RecordedSocket, RecordedSocket, RecordedSocket]:
        """Open a connection: return the listener, the client's socket and the server's."""
        listener = self.server.listen(backlog)
        client = self.client.connect(listener)
        return listener, client, listener.accept()

    def echo(self, client: RecordedSocket, server: RecordedSocket, octets: bytes = b"bith") -> None:
        """Send some octets, and get them back in upper case."""
        client.send(octets)
        server.send(server.recv().upper())
        client.recv()

    def close_in_turn(self, client: RecordedSocket, server: RecordedSocket) -> None:
        """Close the client, and when its FIN has been acknowledged the server: four segments on the wire."""
        self.pause()
        acknowledged = self.wire.rule("pass first ACK from server")
        client.close()
        server.recv()
        acknowledged.wait()
        self.close_last(server)

    def close_last(self, server: RecordedSocket) -> None:
        """Close the server when the client has closed, and wait for the last ACK."""
        last = self.wire.rule("pass first ACK from client")
        server.close()
        last.wait()
        self.pause()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until a condition about the kernel holds. LabError with its description if it never does."""
        deadline = time.monotonic() + STATE_LIMIT_S
        while not holds():
            if time.monotonic() > deadline:
                raise LabError(f"the script waited in vain until {what}")
            time.sleep(0.002)

    def pause(self, seconds: float = SETTLE_S) -> None:
        """Wait until what was sent has arrived, or as long as said; then the kernel is asked what there is."""
        time.sleep(seconds)
        self.look()


def multipath_socket() -> socket.socket:
    """Open a socket of Multipath TCP over IPv4. KernelLacksError if this kernel has none."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    except OSError as error:
        raise KernelLacksError(f"this kernel has no Multipath TCP ({error.strerror}): it needs CONFIG_MPTCP") from error


@contextlib.contextmanager
def failing(result: str) -> Iterator[None]:
    """Expect the call in the body to fail with the error of that name; LabError if it does not."""
    try:
        yield
    except CallError as error:
        if error.result != result:
            raise LabError(f"{error}, where {result} was expected") from error
    else:
        raise LabError(f"a call succeeded where {result} was expected")
