"""Programs that are traced, and what must stand in the lanes of their ladders, whatever strace was asked to write.

Each is one Python program of both ends. They are run with -I -S, so that a log has few calls that are not on sockets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.command.run import run_command
from handshake_inspect.lab.command.running import Running
from handshake_inspect.lab.strace.beside import Attribution, attribute
from handshake_inspect.lab.strace.log import read_log
from handshake_inspect.lab.vantage import raw_frames

PYTHON = ("/usr/bin/python3", "-I", "-S")


@dataclass(frozen=True)
class Program:
    """A program and the calls that its connections have, in the order in which they were entered."""

    shows: str
    source: str
    #: Per connection: calls of the client and of the server, each in order. {client} is its address, {pid} any process.
    client: tuple[str, ...]
    server: tuple[str, ...]
    connections: int = 1


ECHO = Program(
    "An echo over IPv4, each end a process.",
    """
import _socket, os
listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 8000))
listener.listen(5)
if os.fork() == 0:
    listener.close()
    client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    client.connect(("127.0.0.1", 8000))
    client.send(b"BITH")
    client.recv(1024)
    client.close()
    os._exit(0)
number, _ = listener._accept()
server = _socket.socket(fileno=number)
server.send(server.recv(1024))
server.recv(1024)
server.close()
listener.close()
os.wait()
""",
    client=("connect(127.0.0.1:8000) = 0", "send(b'BITH') = 4", "recv(1024) = b'BITH'", "close() = 0"),
    server=(
        "setsockopt(SO_REUSEADDR, 1) = 0",
        "bind(127.0.0.1:8000) = 0",
        "listen(5) = 0",
        "accept() = {client}",
        "recv(1024) = b'BITH'",
        "send(b'BITH') = 4",
        "recv(1024) = b''",
        "close() = 0",
    ),
)

FORKING = Program(
    "A server that forks for each of two connections over IPv6: it closes what it accepted, and its child goes on.",
    """
import _socket, os
listener = _socket.socket(_socket.AF_INET6, _socket.SOCK_STREAM)
listener.bind(("::1", 8000))
listener.listen(5)
if os.fork() == 0:
    for _ in range(2):
        client = _socket.socket(_socket.AF_INET6, _socket.SOCK_STREAM)
        client.connect(("::1", 8000))
        client.send(b"0123456789abcdefghij")
        client.recv(1024)
        client.close()
    os._exit(0)
reader, writer = os.pipe()
for _ in range(2):
    number, _ = listener._accept()
    if os.fork() == 0:
        os.read(reader, 1)
        server = _socket.socket(fileno=number)
        server.send(server.recv(1024))
        server.close()
        os._exit(0)
    os.close(number)
    os.write(writer, b"!")
    os.wait()
os.wait()
""",
    client=(
        "connect([::1]:8000) = 0",
        "send(b'0123456789abcdef'… 20 octets) = 20",
        "recv(1024) = b'0123456789abcdef'… 20 octets",
        "close() = 0",
    ),
    server=(
        "bind([::1]:8000) = 0",
        "listen(5) = 0",
        "accept() = {client}",
        "[pid] close() = 0",
        "[pid] recv(1024) = b'0123456789abcdef'… 20 octets",
        "[pid] send(b'0123456789abcdef'… 20 octets) = 20",
        "[pid] close() = 0",
    ),
    connections=2,
)

#: All threads have one table of descriptors: what one accepts another reads, and a number is used again.
THREADS = Program(
    "A server with a thread for each of two connections, and a client that is another thread of the same process.",
    """
import _socket, _thread
listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 8000))
listener.listen(5)
ended, done = _thread.allocate_lock(), _thread.allocate_lock()
done.acquire()
def connect():
    for _ in range(2):
        client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        client.connect(("127.0.0.1", 8000))
        client.send(b"BITH")
        client.recv(1024)
        client.recv(1024)
        client.close()
    done.release()
def serve(number):
    server = _socket.socket(fileno=number)
    server.send(server.recv(1024))
    server.close()
    ended.release()
_thread.start_new_thread(connect, ())
for _ in range(2):
    ended.acquire()
    _thread.start_new_thread(serve, (listener._accept()[0],))
done.acquire()
ended.acquire()
""",
    client=(
        "connect(127.0.0.1:8000) = 0",
        "send(b'BITH') = 4",
        "recv(1024) = b'BITH'",
        "recv(1024) = b''",
        "close() = 0",
    ),
    server=(
        "bind(127.0.0.1:8000) = 0",
        "listen(5) = 0",
        "accept() = {client}",
        "recv(1024) = b'BITH'",
        "send(b'BITH') = 4",
        "close() = 0",
    ),
    connections=2,
)

UNBLOCKED = Program(
    "A client whose socket does not block; a server whose accept() a signal interrupts, and whose end closes for it.",
    """
import _socket, os, select, signal
signal.signal(signal.SIGALRM, lambda *_: None)
listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 8000))
listener.listen(5)
if os.fork() == 0:
    listener.close()
    select.select([], [], [], 0.2)
    client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", 8000))
    select.select([], [client], [])
    client.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    try:
        client.recv(9)
    except BlockingIOError:
        client.sendmsg([b"one", b"two"])
    client.shutdown(_socket.SHUT_WR)
    select.select([client], [], [])
    client.recvmsg(9)
    client.close()
    os._exit(0)
signal.setitimer(signal.ITIMER_REAL, 0.1)
number, _ = listener._accept()
os.write(number, os.read(number, 9))
os.read(number, 9)
os._exit(3)
""",
    client=(
        "connect(127.0.0.1:8000) = EINPROGRESS",
        "getsockopt(SO_ERROR) = 0",
        "recv(9) = EAGAIN",
        "sendmsg(b'onetwo') = 6",
        "shutdown(SHUT_WR) = 0",
        "recvmsg(9) = b'onetwo'",
        "close() = 0",
    ),
    server=(
        "bind(127.0.0.1:8000) = 0",
        "listen(5) = 0",
        "accept() = {client}",
        "read(9) = b'onetwo'",
        "write(b'onetwo') = 6",
        "read(9) = b''",
        "exited with 3",
    ),
)

#: The second connection has the same two ends as the first: who looks for sockets by those finds both.
REUSED = Program(
    "Two connections between the same two ends: the client's port is free again when the server closed first.",
    """
import _socket
try:
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
        ports.write("40000 40000")
except OSError:
    pass  # only root of the network may: then each has its own port
listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 8000))
listener.listen(5)
for _ in range(2):
    client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    client.connect(("127.0.0.1", 8000))
    number, _ = listener._accept()
    server = _socket.socket(fileno=number)
    client.send(b"BITH")
    server.recv(9)
    server.close()
    client.recv(9)
    client.close()
""",
    client=("connect(127.0.0.1:8000) = 0", "send(b'BITH') = 4", "recv(9) = b''", "close() = 0"),
    server=(
        "bind(127.0.0.1:8000) = 0",
        "listen(5) = 0",
        "accept() = {client}",
        "recv(9) = b'BITH'",
        "close() = 0",
    ),
    connections=2,
)

PROGRAMS = {"echo": ECHO, "forking": FORKING, "threads": THREADS, "unblocked": UNBLOCKED, "reused": REUSED}
#: What strace may be asked to write, from the least that is of use.
FLAGS = {
    "plain": ("-ttt",),
    "durations": ("-ttt", "-T"),
    "inodes": ("-ttt", "-y", "-x"),
    "addresses": ("-ttt", "-T", "-yy"),
    "nanoseconds": ("--timestamps=unix,ns", "-s", "16", "-xx"),
}
CALLS = "trace=network,close,read,write"


def command_of(flags: str) -> list[str]:
    """Return the command line of strace, without the name of the log and the program."""
    return ["strace", "-f", *FLAGS[flags], "-e", CALLS]


def record(program: str, flags: str, folder: Path) -> tuple[Path, Path]:
    """Run a program under strace, in a private world that is captured; return the capture and the log."""
    capture, log = folder / f"{program}-{flags}.pcap", folder / f"{program}-{flags}.log"

    def watch(running: Running) -> None:
        frames = [frame for block in running.blocks() for frame in raw_frames(block)]
        write_pcap(capture, frames, running.capture.link_type)

    run_command([*command_of(flags), "-o", str(log), *PYTHON, "-c", PROGRAMS[program].source], watch)
    return capture, log


def lanes(capture: Path, log: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return per connection the client's calls and the server's, in the order in which they were entered."""
    connections = inspect(capture).connections
    return lanes_of(attribute(read_log(str(log)).sockets, connections), connections)


def lanes_of(found: Attribution, connections: Sequence[Connection]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the lanes of sockets whose connections were found without a guess."""
    assert (found.strangers, found.guesses) == ([], 0)
    return [(of_end(found, one, "client"), of_end(found, one, "server")) for one in connections]


def of_end(found: Attribution, connection: Connection, end: str) -> tuple[str, ...]:
    """Return the calls of one end, with {client} for the client's address, and without the numbers of processes."""
    calls = [call for call in found.calls_of(connection) if call.end == end]
    texts = [f"{call.text} = {call.result}" if call.result else call.text for call in calls]
    return tuple(re.sub(r"pid \d+", "pid", text.replace(str(connection.originator), "{client}")) for text in texts)
