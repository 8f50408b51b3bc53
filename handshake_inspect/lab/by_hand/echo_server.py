"""The echo server by hand: it loops over clients, several at once, and goes on when one leaves or resets.

In: a `ServerPlan`, and the `Screen` that is told of every call. Out: a `Tally`. What happens on one connection is the
code of the demo's server (`echo`, and `closing`). A thread serves each client, so that the calls stand
in the order in which a tutorial writes them. Read RFC 9293 §3.6 for who closes first; listen(2) for the backlog.
"""

from __future__ import annotations

import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from handshake_inspect.lab.by_hand.closing import close
from handshake_inspect.lab.by_hand.echo_plans import EchoAddress, Screen, ServerPlan
from handshake_inspect.lab.by_hand.meanings import end_of_stream, explained, meaning
from handshake_inspect.lab.calls import CallError, RecordedSocket, spell_address
from handshake_inspect.lab.echo import echo
from handshake_inspect.lab.world import LabError


@dataclass
class Tally:
    """What a server has done so far."""

    clients: int = 0
    #: Echoed.
    octets: int = 0
    #: Connections that are open.
    connected: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client_came(self) -> None:
        """Count a client."""
        with self._lock:
            self.clients += 1
            self.connected += 1

    def client_left(self) -> None:
        """Count one that is no longer there."""
        with self._lock:
            self.connected -= 1

    def echoed(self, octets: int) -> None:
        """Count what was sent back."""
        with self._lock:
            self.octets += octets


def serve(plan: ServerPlan, screen: Screen, tally: Tally) -> None:
    """Serve until `plan.clients` have come, for ever without. Raises LabError if it cannot begin."""
    with open_server(plan.where, screen, plan.backlog) as server:
        if plan.where.transport == "udp":
            answer_datagrams(server, plan, screen, tally)
        else:
            accept_clients(server, plan, screen, tally)


@contextmanager
def open_server(where: EchoAddress, screen: Screen, backlog: int = 5) -> Iterator[RecordedSocket]:
    """Open the server's socket and say where it is; remove the file of a Unix socket in the end."""
    with where.open("server", screen, None) as server:
        try:
            if where.transport == "unix":
                remove_if_left_over(str(where.address))
            elif where.transport == "tcp" and sys.platform != "win32":  # there it would let two servers have one port
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1, "SO_REUSEADDR, 1")
            server.bind(where.address)
            if where.transport != "udp":
                server.listen(backlog)
        except CallError as error:
            raise LabError(explained(error, where.transport)) from error
        try:
            screen.ready(server.real.getsockname())
            yield server
        except KeyboardInterrupt:
            screen.say("a signal, as Ctrl-C sends it: the call was interrupted, and the server ends")
            raise
        finally:
            if where.transport == "unix":
                Path(str(where.address)).unlink(missing_ok=True)


def remove_if_left_over(path: str) -> None:
    """Remove the file of a Unix socket that nobody has: bind() would take it for a server.

    A datagram socket asks, which no stream socket lets connect (EPROTOTYPE): it is never taken for a client.
    """
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        Path(path).unlink(missing_ok=True)
    except OSError:  # no file, or one that bind() will speak about
        return


def accept_clients(listener: RecordedSocket, plan: ServerPlan, screen: Screen, tally: Tally) -> None:
    """Accept one client after the other; each is served by a thread, or before the next is accepted."""
    threads = []
    while plan.clients is None or tally.clients < plan.clients:
        try:
            connection = listener.accept()
        except CallError as error:
            if error.result not in ("ECONNABORTED", "EMFILE", "ENFILE"):
                raise LabError(explained(error, plan.where.transport)) from error
            screen.say(meaning(error, plan.where.transport))
            time.sleep(0.1)  # too many open files: until somebody leaves
            continue
        tally.client_came()
        connection.wait_at_most(plan.timeout_s)
        connection.notes = own = screen.beside(name_of_client(connection, tally.clients))
        if plan.one_at_a_time:
            serve_client(connection, plan, own, tally)
        else:
            thread = threading.Thread(target=serve_client, args=(connection, plan, own, tally), daemon=True)
            thread.start()
            threads.append(thread)
    for thread in threads:
        thread.join()


def name_of_client(connection: RecordedSocket, number: int) -> str:
    """Return its address; the client of a Unix socket has none, and gets a number."""
    try:
        address = connection.real.getpeername()
    except OSError:  # it has reset already
        address = ""
    return spell_address(address) if address else f"client {number}"


def serve_client(connection: RecordedSocket, plan: ServerPlan, screen: Screen, tally: Tally) -> None:
    """Serve one client until one end closes. An error of a call ends this client's service, and no more."""
    echoed = 0

    def answer(octets: bytes) -> bytes:
        nonlocal echoed
        time.sleep(plan.delay_s)
        echoed += len(octets)
        tally.echoed(len(octets))
        return plan.answer(octets)

    with connection:
        try:
            echo(connection, 1 if plan.close_first else None, answer)
            is_first = plan.close_first and echoed > 0
            if not is_first:
                screen.say(f"the client has closed its sending direction: {end_of_stream(plan.where.transport)}")
            close(connection, plan, echoed, is_first=is_first)
        except CallError as error:
            screen.say(meaning(error, plan.where.transport, "server") or "this client is given up")
    tally.client_left()


def answer_datagrams(server: RecordedSocket, plan: ServerPlan, screen: Screen, tally: Tally) -> None:
    """Answer every datagram. Nobody connects and nobody leaves: a client is an address that has sent something."""
    known = set()
    answered = 0
    while plan.clients is None or answered < plan.clients:
        try:
            octets, client = server.recvfrom()
            time.sleep(plan.delay_s)
            server.sendto(plan.answer(octets), client)
        except CallError as error:
            screen.say(meaning(error, "udp") or "this answer was not sent")
            continue
        answered += 1
        tally.echoed(len(octets))
        if client not in known:
            known.add(client)
            tally.clients += 1
