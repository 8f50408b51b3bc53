"""Connections on which nothing seems to happen: keep-alive, a closed window, and giving up (RFC 9293 §3.8)."""

from __future__ import annotations

import socket
from dataclasses import replace

from handshake_inspect.lab.bench import Bench, failing
from handshake_inspect.lab.scenarios.scenario import FOUR_WAY, OPENED_ACTIVELY, OPENED_PASSIVELY, Chapter, Verdict

#: What the client sends to a server that does not read, and the receive buffer that this is too much for.
MESSAGE_OCTETS, BUFFER_OCTETS = 4000, 2304
#: How long the client waits for an acknowledgment of its data before it gives up.
USER_TIMEOUT_MS = 1000

OPENED = Verdict("three-way", "open", None, OPENED_ACTIVELY, OPENED_PASSIVELY)

CHAPTER = Chapter("Idle connections")


@CHAPTER.script(
    "keep-alive",
    OPENED,
    look_for=(
        "After 1 s of silence an ACK whose number is one below the next: it is out of the window, so the other end "
        "must answer it (RFC 9293 §3.8.4, §3.10.7.4). No state changes."
    ),
)
def keep_alive(bench: Bench) -> None:
    """Nothing is said for a second; the client asks whether the server is still there, and it is."""
    _, client, server = bench.session()
    bench.echo(client, server)
    client.keep_alive(idle_s=1, interval_s=1, count=2)
    bench.pause()
    bench.wire.rule("pass first ACK from client").wait()
    bench.pause()
    bench.echo(client, server)
    bench.pause()


@CHAPTER.script(
    "keep-alive-dead",
    replace(
        OPENED, teardown="aborted", originator=(*OPENED_ACTIVELY, "CLOSED"), responder=(*OPENED_PASSIVELY, "CLOSED")
    ),
    server_outcomes=(OPENED,),
    look_for=(
        "Two probes without an answer, then the client gives up: an RST, and recv() fails with ETIMEDOUT. At the "
        "server's end of the wire nothing of that is seen (--at server): there the connection is open, and stays so."
    ),
)
def keep_alive_dead(bench: Bench) -> None:
    """The wire is cut: two keep-alive probes are not answered, and the client gives up with an RST."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    bench.wire.cut()
    client.keep_alive(idle_s=1, interval_s=1, count=2)
    with failing("ETIMEDOUT"):
        client.recv()
    bench.pause()


@CHAPTER.script(
    "zero-window",
    replace(FOUR_WAY, also={"sent_octets.originator": MESSAGE_OCTETS, "missing_octets.originator": 0}),
    look_for=(
        "The server's window shrinks to 0 with what its program does not read. The client then asks with an ACK one "
        "below the next number (a probe, RFC 9293 §3.8.6.1) until the window opens again, and sends the rest."
    ),
    snap_octets=96,
)
def zero_window(bench: Bench) -> None:
    """The server does not read: its window closes, is probed, and opens when it reads."""
    listener = bench.server.listen(buffer_octets=BUFFER_OCTETS)
    client = bench.client.connect(listener)
    server = listener.accept()
    bench.pause()
    probe = bench.wire.rule("pass first ACK from client")
    client.send(b"bith" * (MESSAGE_OCTETS // 4))
    probe.wait()
    bench.pause()
    received = 0
    while received < MESSAGE_OCTETS:
        received += len(server.recv())
    bench.pause()
    acknowledged = bench.wire.rule("pass first ACK from server")
    client.close()
    acknowledged.wait()
    server.recv()
    bench.close_last(server)


@CHAPTER.script(
    "user-timeout",
    OPENED,
    look_for=(
        "The same octets again and again, first as a tail loss probe (RFC 8985 §7), then at twice the distance each "
        "time (RFC 6298 §5.5). Then nothing: the client has given up (RFC 5482), and no segment says so."
    ),
)
def user_timeout(bench: Bench) -> None:
    """The wire is cut: data are sent again until TCP_USER_TIMEOUT has passed, and then the client gives up."""
    _, client, server = bench.session()
    bench.echo(client, server)
    client.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS, f"TCP_USER_TIMEOUT, {USER_TIMEOUT_MS} ms"
    )
    bench.pause()
    bench.wire.cut()
    client.send(b"bith")
    with failing("ETIMEDOUT"):
        client.recv()
    bench.pause()
