"""The two queues of a listening socket, what happens when they are full, and SYN cookies (RFC 4987 §3).

A SYN that was answered waits as a small *request socket* in SYN-RECEIVED; with the third segment it becomes a socket
in the accept queue, until the program calls accept(). `listen(n)` limits both: n + 1 connections fit into each
(measured on Linux 6.18). None of this is in RFC 9293: its SYN-RECEIVED has no limit.
"""

from __future__ import annotations

from dataclasses import replace

from handshake_inspect.lab.bench import Bench, failing
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.scenarios.scenario import OPENED_ACTIVELY, OPENED_PASSIVELY, Chapter, Verdict

#: Connections of the flood, and the backlog against which they come.
FLOOD, BACKLOG = 24, 8
#: The backlog of a program that does not accept, and how many clients come too late for it.
SLOW_BACKLOG, TURNED_AWAY = 2, 4

OPENED = Verdict("three-way", "open", None, OPENED_ACTIVELY, OPENED_PASSIVELY)
UNANSWERED = Verdict("unanswered", "none", None, ("CLOSED", "SYN-SENT"), None)
HALF_OPEN = Verdict("half-open", "none", None, ("CLOSED", "SYN-SENT"), ("LISTEN", "SYN-RECEIVED"))

CHAPTER = Chapter("Queues of a listening socket")


@CHAPTER.script(
    "accept-queue-full",
    (OPENED, replace(OPENED, also={"handshake.syn_retransmissions": 1, "handshake.syn_ack_retransmissions": 0})),
    look_for=(
        "listen(0) has room for one. The second client's SYN gets no answer at all, as if it were lost; it is sent "
        "again after 1 s, and accept() has made room meanwhile: connect() took a second, and nobody was told why."
    ),
)
def accept_queue_full(bench: Bench) -> None:
    """The accept queue is full: the SYN of the next client is dropped silently, and its repetition is answered."""
    listener = bench.server.listen(0)
    first = bench.client.connect(listener)
    bench.until(lambda: bench.server.holds("ESTABLISHED", listener.address[1]) == 1, "the queue was full")
    syn = bench.wire.rule("pass first SYN from client")
    second = bench.client.socket()
    second.connect_start(listener.address)
    syn.wait()
    bench.pause()
    bench.echo(first, listener.accept())
    second.connect_finish()
    bench.echo(second, listener.accept())
    bench.pause()


@CHAPTER.script(
    "accept-queue-stays-full",
    (*[OPENED] * (SLOW_BACKLOG + 1), *[replace(UNANSWERED, also={"handshake.syn_retransmissions": 1})] * TURNED_AWAY),
    look_for=(
        f"listen({SLOW_BACKLOG}) has room for {SLOW_BACKLOG + 1}, and the program calls accept() for none. Every later "
        "SYN is dropped, and so are those that are sent again after 1 s: to these clients the port looks filtered, "
        "though the same port has just answered others."
    ),
)
def accept_queue_stays_full(bench: Bench) -> None:
    """The program does not accept: once the queue is full, the SYNs of all further clients are dropped."""
    listener = bench.server.listen(SLOW_BACKLOG)
    for _ in range(SLOW_BACKLOG + 1):
        bench.client.connect(listener)
    _, port = listener.address
    bench.until(lambda: bench.server.holds("ESTABLISHED", port) == SLOW_BACKLOG + 1, "the queue was full")
    syns = bench.wire.rule(f"pass first {2 * TURNED_AWAY} SYN from client")
    for _ in range(TURNED_AWAY):
        bench.client.bound().connect_start(listener.address)
    syns.wait(2 * TURNED_AWAY)
    bench.pause()


def third_segment_too_late(bench: Bench) -> tuple[RecordedSocket, RecordedSocket]:
    """Let two clients fill the queue of listen(1) while the third segment of one that came before is on its way.

    Returns the listener and the client that was first.
    """
    listener = bench.server.listen(1)
    third = bench.wire.rule("hold first ACK from client")
    late = bench.client.connect(listener)
    third.wait()
    for _ in range(2):
        bench.client.connect(listener)
    bench.until(lambda: bench.server.holds("ESTABLISHED", listener.address[1]) == 2, "the queue was full")
    bench.look()  # while the first client is half-open: a busy machine's samples are far between
    third.release()
    return listener, late


@CHAPTER.script(
    "accept-queue-overflow",
    (replace(OPENED, also={"handshake.rtt_ambiguous": True}), OPENED, OPENED),
    look_for=(
        "connect() has returned, so the client is ESTABLISHED, and the server goes on in SYN-RECEIVED: it had no room "
        "for the connection when the third segment came, ignored it, and sends its SYN-ACK again after 1 s. The answer "
        "to that finds room."
    ),
)
def accept_queue_overflow(bench: Bench) -> None:
    """The accept queue is full when a third segment comes: it is ignored, and the SYN-ACK sent again."""
    bench.server.set("tcp_syncookies", 0)
    listener, late = third_segment_too_late(bench)
    bench.pause()
    bench.server.half_open(listener.address[1])
    for _ in range(2):
        listener.accept()
    bench.echo(late, listener.accept())
    bench.pause()


@CHAPTER.script(
    "accept-queue-overflow-reset",
    (
        Verdict("abandoned", "none", None, (*OPENED_ACTIVELY, "CLOSED"), ("LISTEN", "SYN-RECEIVED", "CLOSED")),
        OPENED,
        OPENED,
    ),
    look_for=(
        "The RST has no ACK bit: it is the answer to a segment for which there is no connection (RFC 9293 §3.5.2), not "
        "an ABORT. connect() had returned 0, and the first recv() fails with ECONNRESET."
    ),
)
def accept_queue_overflow_reset(bench: Bench) -> None:
    """The accept queue is full when a third segment comes, and tcp_abort_on_overflow is set: an RST answers it."""
    bench.server.set("tcp_syncookies", 0)
    bench.server.set("tcp_abort_on_overflow", 1)
    reset = bench.wire.rule("pass first RST from server")
    _, late = third_segment_too_late(bench)
    reset.wait()
    bench.look()
    with failing("ECONNRESET"):
        late.recv()


@CHAPTER.script(
    "syn-cookie",
    OPENED,
    look_for=(
        "No segment looks different. But between the SYN-ACK and the third segment the server holds nothing, 0 request "
        "sockets: what it must know of the client is in its own number y, which the third segment brings back."
    ),
)
def syn_cookie(bench: Bench) -> None:
    """A connection opened with a SYN cookie: the server keeps no state until the third segment."""
    bench.server.set("tcp_syncookies", 2)
    listener = bench.server.listen()
    third = bench.wire.rule("hold first ACK from client")
    client = bench.client.connect(listener)
    third.wait()
    bench.server.half_open(listener.address[1])
    third.release()
    bench.echo(client, listener.accept())
    bench.pause()


@CHAPTER.script(
    "syn-cookie-rescued",
    (OPENED, OPENED),
    look_for=(
        "The third segment finds the queue full and vanishes: there is no request socket that would send the SYN-ACK "
        "again. The client's data repeat the acknowledgment, so they are as good as the third segment: they are sent "
        "again and again, and when accept() has made room they open the connection."
    ),
)
def syn_cookie_rescued(bench: Bench) -> None:
    """With a SYN cookie the third segment that finds the queue full vanishes; the client's data open it later."""
    listener, client = third_segment_without_trace(bench)
    data = bench.wire.rule("pass first 3 data from client")
    client.send(b"bith")
    data.wait(3)
    bench.server.half_open(listener.address[1])
    listener.accept()
    server = listener.accept()
    server.send(server.recv().upper())
    client.recv()
    bench.pause()


@CHAPTER.script(
    "syn-cookie-vanished",
    (
        replace(
            OPENED, teardown="aborted", originator=(*OPENED_ACTIVELY, "CLOSED"), responder=(*OPENED_PASSIVELY, "CLOSED")
        ),
        OPENED,
    ),
    look_for=(
        "For the client the connection is open, and without keep-alive it would wait for ever; the server has never "
        "had it. Its ESTABLISHED? is an assumption that no segment contradicts: a server that lost an open connection "
        "in a crash would answer just so (RFC 9293 Figure 10)."
    ),
)
def syn_cookie_vanished(bench: Bench) -> None:
    """With a SYN cookie the third segment vanished; the client waits for the server until a keep-alive is reset."""
    _, client = third_segment_without_trace(bench)
    client.keep_alive(idle_s=1, interval_s=1, count=2)
    with failing("ECONNRESET"):
        client.recv()


def third_segment_without_trace(bench: Bench) -> tuple[RecordedSocket, RecordedSocket]:
    """Fill the queue of listen(0) while the third segment of a client with a cookie is on its way."""
    bench.server.set("tcp_syncookies", 2)
    listener = bench.server.listen(0)
    third = bench.wire.rule("hold first ACK from client")
    client = bench.client.connect(listener)
    third.wait()
    bench.client.connect(listener)
    bench.until(lambda: bench.server.holds("ESTABLISHED", listener.address[1]) == 1, "the queue was full")
    third.release()
    bench.pause()
    return listener, client


def flood(bench: Bench) -> RecordedSocket:
    """Begin `FLOOD` connections whose clients hear no answer; return the listener when the server's queue is full."""
    listener = bench.server.listen(BACKLOG)
    syns = bench.wire.rule(f"pass first {FLOOD} SYN from client")
    for _ in range(FLOOD):
        attacker = bench.client.bound()  # so that the kernel's account, too, knows the port from the first
        attacker.deafen()
        attacker.connect_start(listener.address)
    syns.wait(FLOOD)
    bench.pause()
    bench.server.half_open(listener.address[1])
    return listener


@CHAPTER.script(
    "syn-flood",
    (*[HALF_OPEN] * (BACKLOG + 1), *[UNANSWERED] * (FLOOD - BACKLOG - 1), UNANSWERED),
    look_for=(
        f"The first {BACKLOG + 1} SYNs are answered and held in SYN-RECEIVED, one more than listen({BACKLOG}) says; "
        "the others get no answer, and neither does the honest client: it cannot be told from them."
    ),
)
def syn_flood(bench: Bench) -> None:
    """24 clients that never send the third segment, against a backlog of 8, without SYN cookies."""
    bench.server.set("tcp_syncookies", 0)
    listener = flood(bench)
    syn = bench.wire.rule("pass first SYN from client")
    bench.client.bound().connect_start(listener.address)
    syn.wait()
    bench.pause()


@CHAPTER.script(
    "syn-flood-cookies",
    (*[HALF_OPEN] * FLOOD, OPENED),
    look_for=(
        f"Every SYN is answered, though the server holds no more than {BACKLOG + 1} of them in SYN-RECEIVED: for the "
        "others it keeps nothing. The honest client is served."
    ),
)
def syn_flood_cookies(bench: Bench) -> None:
    """24 clients that never send the third segment, against SYN cookies: an honest client gets through."""
    bench.server.set("tcp_syncookies", 1)
    listener = flood(bench)
    bench.echo(bench.client.connect(listener), listener.accept())
    bench.pause()
