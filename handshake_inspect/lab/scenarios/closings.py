"""How connections close otherwise than by four segments in a row (RFC 9293 §3.6, Figures 5, 12 and 13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handshake_inspect.lab.bench import DELAYED_ACK_S, Bench, failing
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
from handshake_inspect.lab.wire import InEffect

#: How long a server takes to close that has read b''.
HELD_S = 12

CROSSED = ("FIN-WAIT-1", "CLOSING", "TIME-WAIT")
BOTH_AT_ONCE = Verdict(
    "three-way",
    "simultaneous-close",
    "both",
    OPENED_ACTIVELY + CROSSED,
    OPENED_PASSIVELY + CROSSED,
    {"time_wait.1.outcome": "not-captured"},
)
SERVER_FIRST = Verdict(
    "three-way", "four-way", "responder", OPENED_ACTIVELY + CLOSED_SECOND, OPENED_PASSIVELY + CLOSED_FIRST
)
HALF_CLOSED = Verdict(
    "three-way",
    "half-closed",
    "originator",
    (*OPENED_ACTIVELY, "FIN-WAIT-1", "FIN-WAIT-2"),
    (*OPENED_PASSIVELY, "CLOSE-WAIT"),
    {"teardown.complete": False},
)
ORPHANED = Verdict(
    "three-way",
    "reset-after-fin",
    "originator",
    (*OPENED_ACTIVELY, "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"),
    (*OPENED_PASSIVELY, "CLOSE-WAIT", "CLOSED"),
    {"teardown.reset_by": "originator"},
)

CHAPTER = Chapter("Closing in other ways")


@CHAPTER.script(
    "half-close-server",
    SERVER_FIRST,
    look_for=(
        "The mirror image of half-close: the server goes through FIN-WAIT-1 and FIN-WAIT-2 and still receives; "
        "TIME-WAIT will be its own."
    ),
)
def half_close_server(bench: Bench) -> None:
    """The server shuts down its sending direction; the client still sends, and closes later."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    server.shutdown()
    client.recv()
    bench.pause(DELAYED_ACK_S)
    client.send(b"more")
    server.recv()
    bench.pause(DELAYED_ACK_S)
    last = bench.wire.rule("pass first ACK from server")
    client.close()
    server.recv()
    last.wait()
    bench.pause()


@CHAPTER.script(
    "half-closed",
    HALF_CLOSED,
    look_for=(
        "FIN-WAIT-2 and CLOSE-WAIT may last for ever: no timer of RFC 9293 ends them. A program that forgets close() "
        "after reading b'' leaves this behind."
    ),
)
def half_closed(bench: Bench) -> None:
    """The client shuts down its sending direction; the server reads b'', and never closes."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    client.shutdown()
    server.recv()
    bench.pause(DELAYED_ACK_S)


@CHAPTER.script(
    "close-wait-held",
    FOUR_WAY,
    look_for=(
        f"{HELD_S} s in CLOSE-WAIT, and not an octet in them: the server's program has read b'' and gone on with "
        "something else before it called close(). Each such connection holds a descriptor; a program that piles them "
        "up runs out."
    ),
)
def close_wait_held(bench: Bench) -> None:
    """The client has closed, the server reads b'', and closes only 12 s later."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    acknowledged = bench.wire.rule("pass first ACK from server")
    client.close()
    server.recv()
    acknowledged.wait()
    bench.pause(HELD_S)
    bench.close_last(server)


@CHAPTER.script(
    "simultaneous-close",
    BOTH_AT_ONCE,
    look_for=(
        "The FINs cross on the wire: neither acknowledges the other, so both ends go through CLOSING, and both owe "
        "TIME-WAIT (RFC 9293 Figure 13)."
    ),
)
def simultaneous_close(bench: Bench) -> None:
    """Both ends close before the FIN of the other has arrived: the wire holds both FINs until they are there."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    fins = [bench.wire.rule("hold every FIN from client"), bench.wire.rule("hold every FIN from server")]
    client.close()
    server.close()
    cross(bench, fins)


@CHAPTER.script(
    "simultaneous-close-data",
    BOTH_AT_ONCE,
    look_for=(
        "The client's FIN carries four octets: it is acknowledged by seq + 4 + 1, and the server, which has only shut "
        "down its own direction, still receives them."
    ),
)
def simultaneous_close_data(bench: Bench) -> None:
    """The FINs cross, and the client's carries its last data."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    fins = [bench.wire.rule("hold every FIN from client"), bench.wire.rule("hold every FIN from server")]
    client.cork()
    client.send(b"last")
    client.shutdown()
    server.shutdown()
    cross(bench, fins)
    server.recv()
    server.recv()
    client.recv()


def cross(bench: Bench, fins: Sequence[InEffect]) -> None:
    """Hold the FINs of both ends until both are there, let them go at one moment, and wait for their ACKs."""
    for fin in fins:
        fin.wait()
    acks = [bench.wire.rule("pass first ACK from client"), bench.wire.rule("pass first ACK from server")]
    bench.wire.release(*fins)
    for ack in acks:
        ack.wait()
    bench.pause()


@CHAPTER.script(
    "fin-with-data",
    FOUR_WAY,
    look_for=(
        "The client's data and its FIN are one segment: the FIN stands behind the four octets, so u = x+1+4 although "
        "the segment's own number is x+1. One ACK of u+1 acknowledges both."
    ),
)
def fin_with_data(bench: Bench) -> None:
    """The client's FIN carries its data; the server still answers, and closes."""
    _, client, server = bench.session()
    client.cork()
    client.send(b"bith")
    client.shutdown()
    question = server.recv()
    server.recv()
    bench.pause(DELAYED_ACK_S)
    server.send(question.upper())
    client.recv()
    bench.pause(DELAYED_ACK_S)
    bench.close_last(server)
    client.recv()


@CHAPTER.script(
    "close-in-flight",
    replace(FOUR_WAY, also={"sent_octets.originator": 12, "missing_octets.originator": 0}),
    look_for=(
        "close() returns at once, with 8 octets and the FIN still under way: FIN-WAIT-1 lasts until one ACK tells "
        "that all of it has arrived."
    ),
)
def close_in_flight(bench: Bench) -> None:
    """The client closes while its data are still on the wire; data and FIN arrive together."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    flight = [bench.wire.rule("hold every data from client"), bench.wire.rule("hold every FIN from client")]
    for octets in (b"more", b"last"):
        client.send(octets)
    client.close()
    for rule in flight:
        rule.wait()
    bench.wire.release(*flight)
    while server.recv():
        pass
    bench.pause(DELAYED_ACK_S)
    bench.close_last(server)


@CHAPTER.script(
    "orphan-fin-wait-2",
    ORPHANED,
    look_for=(
        "After close() nobody would read any more, so Linux gives FIN-WAIT-2 up after tcp_fin_timeout (60 s, here 1), "
        "without a segment. What comes later meets no connection: an RST answers it; the first send() succeeds, the "
        "second fails with EPIPE."
    ),
)
def orphan_fin_wait_2(bench: Bench) -> None:
    """The client closes, the server does not; FIN-WAIT-2 runs out, and the server's later data are answered by RST."""
    server = half_closed_too_long(bench)
    reset = bench.wire.rule("pass first RST from client")
    server.send(b"more")
    reset.wait()
    bench.pause()
    with failing("EPIPE"):
        server.send(b"more")
    bench.pause()


@CHAPTER.script(
    "fin-wait-2-ended",
    replace(ORPHANED, responder=(*OPENED_PASSIVELY, *CLOSED_SECOND)),
    look_for=(
        "The server closes too late: its FIN finds no connection any more, since the client's FIN-WAIT-2 has run out "
        "(tcp_fin_timeout, 60 s, here 1). An RST answers it, and nobody owes TIME-WAIT."
    ),
)
def fin_wait_2_ended(bench: Bench) -> None:
    """The server closes only when the client's FIN-WAIT-2 has run out: an RST answers its FIN."""
    server = half_closed_too_long(bench)
    reset = bench.wire.rule("pass first RST from client")
    server.close()
    reset.wait()
    bench.pause()


def half_closed_too_long(bench: Bench) -> RecordedSocket:
    """Let the client close and its kernel give FIN-WAIT-2 up; return the server, which is in CLOSE-WAIT."""
    bench.client.set("tcp_fin_timeout", 1)
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    _, port = client.address
    client.close()
    server.recv()
    bench.until(lambda: bench.client.holds("FIN-WAIT-2", port) == 1, "the client is in FIN-WAIT-2")
    bench.until(lambda: bench.client.holds("FIN-WAIT-2", port) == 0, "the client's FIN-WAIT-2 has run out")
    return server
