"""TCP Fast Open (RFC 7413): data on the SYN, for a client that the server has seen before."""

from __future__ import annotations

import socket
from dataclasses import replace

from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.scenarios.scenario import FOUR_WAY, Chapter

CHAPTER = Chapter("TCP Fast Open")

# net.ipv4.tcp_fastopen
AS_CLIENT, AS_SERVER = 1, 2
#: Fast Open requests that may wait for their third segment.
PENDING = 5
ANOTHER_KEY = "01234567-89abcdef-01234567-89abcdef"

REQUESTED = replace(FOUR_WAY, also={"handshake.fast_open": "requested", "sent_octets.originator": 4})
ACCEPTED = replace(
    FOUR_WAY,
    handshake="fast-open",
    also={"handshake.fast_open": "accepted", "octets.originator": 4, "sent_octets.originator": 4},
)
DECLINED = replace(
    FOUR_WAY, also={"handshake.fast_open": "declined", "octets.originator": 8, "sent_octets.originator": 4}
)


def willing_listener(bench: Bench) -> RecordedSocket:
    """Return a listener that gives cookies, and takes data on a SYN that has one."""
    bench.client.set("tcp_fastopen", AS_CLIENT)
    bench.server.set("tcp_fastopen", AS_SERVER)
    listener = bench.server.listen()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, PENDING, f"TCP_FASTOPEN, {PENDING}")
    return listener


def ask(bench: Bench, listener: RecordedSocket) -> None:
    """Have one session whose client does not wait for the handshake: sendto() with MSG_FASTOPEN."""
    client = bench.client.socket()
    client.connect_with(b"bith", listener.address)
    server = listener.accept()
    server.send(server.recv().upper())
    client.recv()
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "fast-open-requested",
    REQUESTED,
    look_for=(
        "An empty Fast Open option on the SYN asks for a cookie, the SYN,ACK brings one. The data wait for the "
        "handshake this time; the kernel keeps the cookie for the next connection to that address."
    ),
)
def fast_open_requested(bench: Bench) -> None:
    """The client has no cookie yet: its SYN asks for one, and the data follow the handshake as ever."""
    ask(bench, willing_listener(bench))


@CHAPTER.script(
    "fast-open-accepted",
    (REQUESTED, ACCEPTED),
    look_for=(
        "In the second connection the SYN carries the cookie and the data, and the SYN,ACK acknowledges both: x+1+4. "
        "The server's program reads them, and may answer, while its kernel is still in SYN-RECEIVED."
    ),
)
def fast_open_accepted(bench: Bench) -> None:
    """With the cookie of an earlier connection the client sends its data on the SYN, and the server takes them."""
    listener = willing_listener(bench)
    ask(bench, listener)
    ask(bench, listener)


@CHAPTER.script(
    "fast-open-declined",
    (REQUESTED, DECLINED),
    look_for=(
        "In the second connection the SYN,ACK acknowledges x+1, the SYN alone, and brings a new cookie; the same "
        "octets come again after the handshake. Nothing is lost but the time that was to be saved."
    ),
)
def fast_open_declined(bench: Bench) -> None:
    """The server has changed its key since it gave the cookie: it declines the data on the SYN, and they come again."""
    listener = willing_listener(bench)
    ask(bench, listener)
    bench.server.set("tcp_fastopen_key", ANOTHER_KEY)
    ask(bench, listener)


@CHAPTER.script(
    "fast-open-unknown",
    REQUESTED,
    look_for=(
        "The SYN,ACK has no Fast Open option: a server that does not know it ignores the request, as RFC 9293 §3.1 "
        "demands of every unknown option, and the handshake is an ordinary one."
    ),
)
def fast_open_unknown(bench: Bench) -> None:
    """The client asks for a Fast Open cookie, and the server does not know what that is."""
    bench.client.set("tcp_fastopen", AS_CLIENT)
    bench.server.set("tcp_fastopen", 0)
    ask(bench, bench.server.listen())
