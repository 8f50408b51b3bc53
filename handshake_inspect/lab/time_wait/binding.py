"""Who may bind() and connect() beside TIME-WAIT, and who is refused: tried with real sockets, each time anew.

In: nothing. Out: a `Result` of each of `ATTEMPTS`: the call that decided, and what it returned. Each is made in a
private network of its own; what was expected is what Linux 6.18 did. RFC 9293 §3.6.1 (MAY-2) lets an end in TIME-WAIT
answer a SYN with a number above all of its own; RFC 6191 §2 says which SYN: its timestamp, or without timestamps its
number, is above the last one. Who may bind() is no matter of an RFC but of the kernel
(net/ipv4/inet_connection_sock.c, inet_csk_bind_conflict).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from handshake_inspect.lab.bench import Bench, Host
from handshake_inspect.lab.calls import Address, CallError, RecordedSocket, SocketCall
from handshake_inspect.lab.links import add_address
from handshake_inspect.lab.world import LabError, enter_private_network, in_children

#: The ports of the server and of the client, and a second server's.
SERVER, CLIENT, OTHER = 8000, 40000, 8001
#: An address of this host that is not loopback's.
ELSEWHERE = "198.18.0.1"
#: Longer, and shorter, than a kernel lets pass before it chooses a port again that is in TIME-WAIT
#: (tcp_tw_reuse_delay, 1 s).
LATER_S, AT_ONCE_S = 1.15, 0.8
#: How many attempts are made at once: they wait more than they work.
JOBS = 8


@dataclass(frozen=True)
class Attempt:
    """Something that is tried beside a TIME-WAIT: its description, and the function that does it."""

    #: What it belongs to.
    chapter: str
    #: What is tried.
    tried: str
    #: "0", or the name of an error.
    expected: str
    #: The rule by which it is so.
    why: str
    perform: Callable[[Bench], object]


@dataclass(frozen=True)
class Result:
    """The result of an attempt."""

    attempt: Attempt
    #: The call that decided: "bind(127.0.0.1:8000)"; "" if it did not come to that.
    call: str = ""
    result: str = ""
    #: Why it could not be tried here.
    impossible: str = ""

    @property
    def is_as_expected(self) -> bool:
        """Did this kernel do what Linux 6.18 did?"""
        return self.result == self.attempt.expected


@dataclass
class Notebook:
    """Keeps the calls of one attempt."""

    calls: list[SocketCall] = field(default_factory=list)

    def note(self, call: SocketCall) -> None:
        """Keep one finished call."""
        self.calls.append(call)

    def ready(self, _: Address) -> None:
        """Do nothing: no other program waits for the server."""

    def until_client_ended(self) -> None:
        """Both ends are one process here."""


def attempts() -> list[Result]:
    """Make every attempt; the results in their order. Raises WorldError where no private network is allowed."""
    work = [partial(numbered, number) for number in range(len(ATTEMPTS))]
    return [result for _, result in sorted(in_children(work, JOBS), key=lambda pair: pair[0])]


def numbered(number: int) -> tuple[int, Result]:
    """Make one attempt in a private network; its number tells which it was."""
    enter_private_network()
    return number, made(ATTEMPTS[number])


def made(attempt: Attempt) -> Result:
    """Make one attempt in the network that this process is in."""
    notes = Notebook()
    bench = Bench(Host("client", "127.0.0.1", notes), Host("server", "127.0.0.1", notes))
    try:
        attempt.perform(bench)
    except CallError:
        pass  # noted
    except (LabError, OSError) as error:
        return Result(attempt, impossible=str(error))
    last = notes.calls[-1]
    return Result(attempt, last.text, last.result)


# --- deeds -----------------------------------------------------------------------------------------------------------


def leave_in_time_wait(bench: Bench, first: RecordedSocket, second: RecordedSocket) -> None:
    """Close one end, then the other, and wait until the first is in TIME-WAIT."""
    port = first.address[1]
    first.close()
    second.recv()
    second.close()
    bench.until(lambda: bench.client.holds("TIME-WAIT", port) == 1, "the first end was in TIME-WAIT")


def restart(
    bench: Bench, *, old: bool = False, new: bool = False, closes_first: str = "server", at: str = "127.0.0.1"
) -> None:
    """Serve one connection at port 8000, end, and bind that port again; `old`, `new`: with SO_REUSEADDR."""
    listener = bench.server.listen(port=SERVER, reuse=old)
    client = bench.client.connect(listener)
    accepted = listener.accept()
    leave_in_time_wait(bench, *((accepted, client) if closes_first == "server" else (client, accepted)))
    listener.close()
    replace(bench.server, ip=at).bound(SERVER, reuse=new)


def reconnect(
    bench: Bench,
    *,
    new: bool = True,
    timestamps: int = 1,
    to: int = SERVER,
    closes_first: str = "client",
) -> None:
    """Connect from port 40000, close, and connect from it again; `new`: with SO_REUSEADDR."""
    bench.client.set("tcp_timestamps", timestamps)
    listener = bench.server.listen(port=SERVER)
    other = bench.server.listen(port=OTHER)
    client = bench.client.bound(CLIENT, reuse=True)
    client.connect(listener.address)
    accepted = listener.accept()
    leave_in_time_wait(bench, *((accepted, client) if closes_first == "server" else (client, accepted)))
    bench.client.bound(CLIENT, reuse=new).connect((listener if to == SERVER else other).address)


def choose(
    bench: Bench, *, reuse: int, later: bool = True, timestamps: int = 1, ip: str = "127.0.0.1", to: int = SERVER
) -> None:
    """Let the kernel choose the client's port from a range of one, which is in TIME-WAIT, and connect."""
    if ip != "127.0.0.1":
        add_address("lo:1", ip)
    bench.client.set("ip_local_port_range", f"{CLIENT} {CLIENT}")
    bench.client.set("tcp_timestamps", timestamps)
    bench.client.set("tcp_tw_reuse", reuse)
    server = replace(bench.server, ip=ip)
    listener, other = server.listen(port=SERVER), server.listen(port=OTHER)
    client, began_s = bench.client.connect(listener), time.monotonic()
    leave_in_time_wait(bench, client, listener.accept())
    if later:
        time.sleep(LATER_S)
    elif (passed_s := time.monotonic() - began_s) > AT_ONCE_S:
        raise LabError(f"this machine is too busy to try it at once: {passed_s:.1f} s had passed")
    bench.client.connect(listener if to == SERVER else other)


# --- what is tried ---------------------------------------------------------------------------------------------------

RESTART = "A server ends, and starts again at its port: bind()"
RECONNECT = "A client binds its old port and connects again: connect()"
CHOOSE = "The kernel chooses the client's port, and the only one left is in TIME-WAIT: connect()"

ATTEMPTS: Sequence[Attempt] = (
    Attempt(
        RESTART,
        "the server closed first; neither listener set SO_REUSEADDR",
        "EADDRINUSE",
        "The server owes TIME-WAIT, and that holds the port for 60 s.",
        partial(restart),
    ),
    Attempt(
        RESTART,
        "the server closed first; only the new listener sets SO_REUSEADDR",
        "EADDRINUSE",
        "Both must allow it: the entry keeps what its listener had set, and that was nothing.",
        partial(restart, new=True),
    ),
    Attempt(
        RESTART,
        "the server closed first; only the old listener had set SO_REUSEADDR",
        "EADDRINUSE",
        "Both must allow it, and the new one does not.",
        partial(restart, old=True),
    ),
    Attempt(
        RESTART,
        "the server closed first; both listeners set SO_REUSEADDR",
        "0",
        "Both allow it. So a server sets it before its first bind(), not when it is in trouble.",
        partial(restart, old=True, new=True),
    ),
    Attempt(
        RESTART,
        "the client closed first; neither listener set SO_REUSEADDR",
        "0",
        "TIME-WAIT is the client's: nothing holds the server's port.",
        partial(restart, closes_first="client"),
    ),
    Attempt(
        RESTART,
        "the server closed first; the new one binds another address, 127.0.0.2",
        "0",
        "TIME-WAIT holds the port at its own address only.",
        partial(restart, at="127.0.0.2"),
    ),
    Attempt(
        RESTART,
        "the server closed first; the new one binds every address, 0.0.0.0",
        "EADDRINUSE",
        "Every address is that one too.",
        partial(restart, at="0.0.0.0"),
    ),
    Attempt(
        RECONNECT,
        "the client closed first; its new socket does not set SO_REUSEADDR",
        "EADDRINUSE",
        "bind() refuses already: the client's own TIME-WAIT holds the port.",
        partial(reconnect, new=False),
    ),
    Attempt(
        RECONNECT,
        "the client closed first; both sockets set SO_REUSEADDR; timestamps are on",
        "0",
        "New timestamps tell new segments from old ones (RFC 6191): no need to wait.",
        partial(reconnect),
    ),
    Attempt(
        RECONNECT,
        "the same without timestamps (tcp_timestamps=0)",
        "EADDRNOTAVAIL",
        "Nothing tells new segments from old ones: bind() allows it, connect() does not.",
        partial(reconnect, timestamps=0),
    ),
    Attempt(
        RECONNECT,
        "the same without timestamps, to another port of the server",
        "0",
        "TIME-WAIT is of a pair of sockets, and this is another pair.",
        partial(reconnect, timestamps=0, to=OTHER),
    ),
    Attempt(
        RECONNECT,
        "the server closed first; the client connects from the same port; timestamps are on",
        "0",
        "The SYN comes into the server's TIME-WAIT, and its newer timestamp opens it again (RFC 6191).",
        partial(reconnect, closes_first="server"),
    ),
    Attempt(
        RECONNECT,
        "the same without timestamps",
        "0",
        "The SYN's number is above the last one that the client used: that makes it new (RFC 6191 §2).",
        partial(reconnect, closes_first="server", timestamps=0),
    ),
    Attempt(
        CHOOSE,
        "tcp_tw_reuse=0, after a second",
        "EADDRNOTAVAIL",
        "No port is chosen before its 60 s are over: so a client runs out of ports.",
        partial(choose, reuse=0),
    ),
    Attempt(
        CHOOSE,
        "tcp_tw_reuse=1, at once",
        "EADDRNOTAVAIL",
        "The new timestamp must be newer, and that is said of it only after a second (tcp_tw_reuse_delay).",
        partial(choose, reuse=1, later=False),
    ),
    Attempt(
        CHOOSE,
        "tcp_tw_reuse=1, after a second",
        "0",
        "The timestamp is newer now (RFC 6191).",
        partial(choose, reuse=1),
    ),
    Attempt(
        CHOOSE,
        "tcp_tw_reuse=1, after a second, without timestamps",
        "EADDRNOTAVAIL",
        "Without timestamps it never is.",
        partial(choose, reuse=1, timestamps=0),
    ),
    Attempt(
        CHOOSE,
        "tcp_tw_reuse=2, after a second, on loopback",
        "0",
        "2 is the default: like 1, but only for addresses of loopback.",
        partial(choose, reuse=2),
    ),
    Attempt(
        CHOOSE,
        f"tcp_tw_reuse=2, after a second, to {ELSEWHERE}",
        "EADDRNOTAVAIL",
        "That address is not of loopback.",
        partial(choose, reuse=2, ip=ELSEWHERE),
    ),
    Attempt(
        CHOOSE,
        "tcp_tw_reuse=0, to another port of the server",
        "0",
        "TIME-WAIT is of a pair of sockets: towards another one the same port is free.",
        partial(choose, reuse=0, later=False, to=OTHER),
    ),
)


def chapters(results: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    """Yield the results by what they belong to."""
    for title in dict.fromkeys(one.attempt.chapter for one in results):
        yield title, [one for one in results if one.attempt.chapter == title]
