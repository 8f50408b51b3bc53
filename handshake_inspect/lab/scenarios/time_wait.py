"""TIME-WAIT: who meets it, what may end it early, and what does not (RFC 9293 §3.6.1, RFC 6191, RFC 1337).

Every segment here is one that a kernel has sent. The late ones are copies that the wire kept for a while, as a network
may (RFC 9293 §3.4.3: old duplicates): that is what TIME-WAIT is for.
"""

from __future__ import annotations

from dataclasses import replace

from handshake_inspect.lab.bench import Bench, Host, failing
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.scenarios.scenario import (
    CLOSED_FIRST,
    CLOSED_SECOND,
    FOUR_WAY,
    OPENED_ACTIVELY,
    OPENED_PASSIVELY,
    Chapter,
    Verdict,
)

OPENED = Verdict("three-way", "open", None, OPENED_ACTIVELY, OPENED_PASSIVELY)
SERVER_FIRST = Verdict(
    "three-way", "four-way", "responder", OPENED_ACTIVELY + CLOSED_SECOND, OPENED_PASSIVELY + CLOSED_FIRST
)
#: The same with a TIME-WAIT that a segment ends.
CLIENT_LOST_IT = replace(FOUR_WAY, originator=(*OPENED_ACTIVELY, *CLOSED_FIRST, "CLOSED"))
SERVER_LOST_IT = replace(SERVER_FIRST, responder=(*OPENED_PASSIVELY, *CLOSED_FIRST, "CLOSED"))

#: More than Linux adds to the number of the same sockets in the time of a scenario (64 ns each: RFC 9293 §3.4.1).
OLDER = 500_000_000

CHAPTER = Chapter("TIME-WAIT")


def owed(verdict: Verdict, outcome: str) -> Verdict:
    """Return a verdict with what must stand in the ledger: TIME-WAIT of the end that closed first, and its outcome."""
    ledger = {"time_wait.0.owner": verdict.closed_first, "time_wait.0.outcome": outcome}
    return replace(verdict, also={**verdict.also, **ledger})


def host_of(bench: Bench, opened: RecordedSocket) -> Host:
    """Return the host of a socket."""
    return bench.client if opened.end == "client" else bench.server


def close_in_order(bench: Bench, first: RecordedSocket, second: RecordedSocket) -> int:
    """Close one end, then the other: FIN, ACK, FIN, ACK. Return the port that is in TIME-WAIT then."""
    port = first.address[1]
    acknowledged = bench.wire.rule(f"pass first ACK from {second.end}")
    first.close()
    acknowledged.wait()
    second.recv()
    second.close()
    bench.until(lambda: host_of(bench, first).holds("TIME-WAIT", port) == 1, "the first end was in TIME-WAIT")
    return port


def session_of_bound(bench: Bench) -> tuple[RecordedSocket, RecordedSocket, RecordedSocket]:
    """Open a connection from a port that the client has bound, so that it can be taken again."""
    listener = bench.server.listen()
    client = bench.client.bound(reuse=True)
    client.connect(listener.address)
    server = listener.accept()
    bench.echo(client, server)
    bench.pause()
    return listener, client, server


def connect_again(bench: Bench, port: int, listener: RecordedSocket) -> None:
    """Open a connection between the same two sockets once more."""
    client = bench.client.bound(port, reuse=True)
    client.connect(listener.address)
    bench.echo(client, listener.accept())
    bench.pause()


@CHAPTER.script(
    "time-wait-reused",
    (owed(FOUR_WAY, "reused"), OPENED),
    look_for=(
        "The client that owes TIME-WAIT takes its port again at once: its timestamps tell old segments from new ones "
        "(RFC 6191). Linux lets the new numbers begin 65537 above the old ones."
    ),
)
def time_wait_reused(bench: Bench) -> None:
    """The client closes first, and connects from the same port again while it owes TIME-WAIT."""
    listener, client, server = session_of_bound(bench)
    port = close_in_order(bench, client, server)
    connect_again(bench, port, listener)


@CHAPTER.script(
    "time-wait-not-reused",
    owed(FOUR_WAY, "not-captured"),
    look_for=(
        "Without timestamps (RFC 7323) nothing tells old segments from new ones: connect() fails with EADDRNOTAVAIL "
        "for 60 s, and no segment is sent. Only the socket calls show it."
    ),
)
def time_wait_not_reused(bench: Bench) -> None:
    """Without timestamps the client cannot connect from the port for which it owes TIME-WAIT: connect() fails."""
    bench.client.set("tcp_timestamps", 0)
    listener, client, server = session_of_bound(bench)
    port = close_in_order(bench, client, server)
    again = bench.client.bound(port, reuse=True)
    with failing("EADDRNOTAVAIL"):
        again.connect(listener.address)


@CHAPTER.script(
    "time-wait-reopened",
    (owed(SERVER_FIRST, "reused"), OPENED),
    look_for=(
        "The server owes TIME-WAIT, and a SYN from the same port comes: its timestamp is newer than the last one, so "
        "it is answered with a SYN-ACK (RFC 6191), whose number is 65537 above the server's last."
    ),
)
def time_wait_reopened(bench: Bench) -> None:
    """The server closes first; the client connects from the same port again, into the server's TIME-WAIT."""
    listener, client, server = session_of_bound(bench)
    port = client.address[1]
    close_in_order(bench, server, client)
    connect_again(bench, port, listener)


@CHAPTER.script(
    "time-wait-reopened-by-number",
    (owed(SERVER_FIRST, "reused"), OPENED),
    look_for=(
        "Without timestamps the number decides: the new SYN's is higher than any that the old connection used "
        "(RFC 6191 §2), so the server may answer it out of TIME-WAIT (RFC 9293 §3.6.1, MAY-2)."
    ),
)
def time_wait_reopened_by_number(bench: Bench) -> None:
    """Without timestamps a SYN reopens the server's TIME-WAIT: its number is higher than any of the old ones."""
    bench.client.set("tcp_timestamps", 0)
    listener, client, server = session_of_bound(bench)
    port = client.address[1]
    close_in_order(bench, server, client)
    connect_again(bench, port, listener)


@CHAPTER.script(
    "time-wait-reused-early",
    (owed(SERVER_FIRST, "reused"), OPENED),
    server_outcomes=((owed(SERVER_FIRST, "reused-early"), OPENED),),
    seen_at="server",
    look_for=(
        f"A firewall has made the new number {OLDER:,} lower than the client chose it, and there are no timestamps: "
        "nothing tells the new SYN from an old one. TIME-WAIT would not take it; this server has no room for TIME-WAIT "
        "(tcp_max_tw_buckets), and opens."
    ),
)
def time_wait_reused_early(bench: Bench) -> None:
    """A SYN whose number a box has lowered opens a connection within the TIME-WAIT that the server should have kept."""
    bench.client.set("tcp_timestamps", 0)
    bench.server.set("tcp_max_tw_buckets", 0)
    listener, client, server = session_of_bound(bench)
    port = client.address[1]
    acknowledged = bench.wire.rule("pass first ACK from client")
    server.shutdown()  # after close() the kernel would keep FIN-WAIT-2 in the table of TIME-WAIT, which has no room
    acknowledged.wait()
    client.recv()
    client.close()
    server.recv()
    server.close()
    bench.pause()
    bench.wire.rule(f"shift seq by {-OLDER} on every segment from client")
    bench.wire.rule(f"shift ack by {OLDER} on every segment from server")
    connect_again(bench, port, listener)


@CHAPTER.script(
    "time-wait-bind",
    (owed(SERVER_FIRST, "not-captured"), OPENED),
    look_for=(
        "bind() fails with EADDRINUSE though nobody listens: the port is the server's that closed first. With "
        "SO_REUSEADDR, which the old listener had too, the restarted server has it back at once."
    ),
)
def time_wait_bind(bench: Bench) -> None:
    """The server closes first and is restarted: bind() is refused, and works if both listeners set SO_REUSEADDR."""
    listener = bench.server.listen(reuse=True)
    client = bench.client.connect(listener)
    server = listener.accept()
    bench.echo(client, server)
    bench.pause()
    port = close_in_order(bench, server, client)
    listener.close()
    with failing("EADDRINUSE"):
        bench.server.bound(port)
    restarted = bench.server.listen(port=port, reuse=True)
    bench.echo(bench.client.connect(restarted), restarted.accept())
    bench.pause()


@CHAPTER.script(
    "time-wait-restarted",
    owed(replace(FOUR_WAY, also={"teardown.fin_retransmissions": 1}), "not-captured"),
    look_for=(
        "The last ACK is lost, so the server waits in LAST-ACK and sends its FIN again. That is why the client waits: "
        "it acknowledges it again, and its 60 s begin anew."
    ),
)
def time_wait_restarted(bench: Bench) -> None:
    """The last ACK is lost: the FIN comes again, is acknowledged again, and TIME-WAIT starts anew."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    bench.wire.rule("drop first ACK from client")
    last = bench.wire.rule("pass second ACK from client")
    close_in_order(bench, client, server)
    last.wait()
    bench.pause()


def late_fin(bench: Bench) -> int:
    """Close the client first, and let a copy of the server's FIN come when the server's socket is gone.

    Returns the client's port when its kernel has got the RST that answers its ACK of that FIN.
    """
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    copy = bench.wire.rule("keep first FIN from server")
    port = close_in_order(bench, client, server)
    bench.pause()
    reset = bench.wire.rule("pass first RST from server")
    copy.release()
    reset.wait()
    bench.pause()
    return port


@CHAPTER.script(
    "time-wait-killed",
    owed(CLIENT_LOST_IT, "killed"),
    look_for=(
        "An old copy of the server's FIN comes late. TIME-WAIT acknowledges it, as it must; but the server's socket is "
        "gone, so its kernel answers the ACK with an RST, and that ends TIME-WAIT (RFC 1337, hazard 1)."
    ),
)
def time_wait_killed(bench: Bench) -> None:
    """A late copy of the last FIN: the ACK that answers it is reset, and the RST ends TIME-WAIT."""
    port = late_fin(bench)
    bench.until(lambda: bench.client.holds("TIME-WAIT", port) == 0, "the RST had ended TIME-WAIT")


@CHAPTER.script(
    "time-wait-protected",
    owed(FOUR_WAY, "not-captured"),
    server_outcomes=(owed(CLIENT_LOST_IT, "killed"),),
    look_for=(
        "With tcp_rfc1337 the client ignores the RST. A late copy of data proves it: TIME-WAIT still acknowledges what "
        "comes. At the server's end only the RST is seen (--at server), and nothing there contradicts it."
    ),
)
def time_wait_protected(bench: Bench) -> None:
    """An RST reaches TIME-WAIT where tcp_rfc1337 is set: it is ignored, and TIME-WAIT lives on."""
    bench.client.set("tcp_rfc1337", 1)
    data = bench.wire.rule("keep first data from server")
    port = late_fin(bench)
    reset = bench.wire.rule("drop first RST from server")
    data.release()
    reset.wait()
    bench.pause()
    bench.until(lambda: bench.client.holds("TIME-WAIT", port) == 1, "TIME-WAIT was seen to live on")


@CHAPTER.script(
    "time-wait-old-syn",
    owed(SERVER_LOST_IT, "killed"),
    look_for=(
        "The old SYN's number and timestamp are both too low to open a new connection, so TIME-WAIT answers with a "
        "plain ACK. The client's kernel has no socket for that, and its RST ends TIME-WAIT."
    ),
)
def time_wait_old_syn(bench: Bench) -> None:
    """A late copy of the first SYN comes into the server's TIME-WAIT: an ACK answers it, and an RST answers that."""
    copy = bench.wire.rule("keep first SYN from client")
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    port = close_in_order(bench, server, client)
    bench.pause()
    reset = bench.wire.rule("pass first RST from client")
    copy.release()
    reset.wait()
    bench.until(lambda: bench.server.holds("TIME-WAIT", port) == 0, "the RST had ended TIME-WAIT")


@CHAPTER.script(
    "time-wait-overflow",
    owed(CLIENT_LOST_IT, "forgotten"),
    look_for=(
        "Four segments close it, as always. But the client's kernel has no room for TIME-WAIT (tcp_max_tw_buckets): it "
        "forgets the connection at once, and answers the late FIN with an RST instead of an ACK."
    ),
)
def time_wait_overflow(bench: Bench) -> None:
    """The kernel has no room for TIME-WAIT: the closing looks ordinary, but a late copy of the FIN is reset."""
    bench.client.set("tcp_max_tw_buckets", 0)
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    copy = bench.wire.rule("keep first FIN from server")
    acknowledged = bench.wire.rule("pass first ACK from server")
    last = bench.wire.rule("pass first ACK from client")
    client.shutdown()  # after close() the kernel would keep FIN-WAIT-2 in the table of TIME-WAIT, which has no room
    acknowledged.wait()
    server.recv()
    server.close()
    client.recv()
    client.close()
    last.wait()
    bench.pause()
    reset = bench.wire.rule("pass first RST from client")
    copy.release()
    reset.wait()
    bench.pause()
