"""Segments that come twice, late, or before their turn (RFC 9293 §3.10.7.4: the sequence number is checked first)."""

from __future__ import annotations

import socket
from dataclasses import replace

from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.scenarios.scenario import FOUR_WAY, Chapter, Verdict

CHAPTER = Chapter("Copies, and segments out of order")


def counting(**counts: int) -> Verdict:
    """Return the verdict of an ordinary session with so many segments of the opening or closing seen again."""
    places = {"syn": "handshake", "syn_ack": "handshake", "fin": "teardown"}
    return replace(FOUR_WAY, also={f"{places[name]}.{name}_retransmissions": count for name, count in counts.items()})


@CHAPTER.script(
    "duplicate-syn",
    counting(syn=0, syn_ack=1),
    server_outcomes=(counting(syn=1, syn_ack=1),),
    seen_at="server",
    look_for=(
        "The server in SYN-RECEIVED answers the copy with the same SYN,ACK, the same y: it is the same connection. "
        "The client, ESTABLISHED by then, answers the second SYN,ACK with an ACK, and nothing more happens."
    ),
)
def duplicate_syn(bench: Bench) -> None:
    """The wire delivers the SYN twice."""
    bench.wire.rule("duplicate first SYN from client")
    acks = bench.wire.rule("pass first 2 ACK from client")
    _, client, server = bench.session()
    acks.wait(2)
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "late-duplicate-syn-ack",
    counting(syn=0, syn_ack=1),
    server_outcomes=(counting(syn=0, syn_ack=0),),
    look_for=(
        "The client is ESTABLISHED: a SYN there is no request, but may be an attack, so it answers with a challenge "
        "ACK that says where it is (RFC 5961 §4), and goes on. The server ignores that ACK: it has heard it before."
    ),
)
def late_duplicate_syn_ack(bench: Bench) -> None:
    """A copy of the SYN-ACK comes late, when the connection has long been used."""
    old = bench.wire.rule("keep first SYN-ACK from server")
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(0.3)
    answer = bench.wire.rule("pass first ACK from client")
    old.release()
    answer.wait()
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "duplicate-data",
    replace(FOUR_WAY, also={"octets.originator": 4, "sent_octets.originator": 4}),
    server_outcomes=(replace(FOUR_WAY, also={"octets.originator": 8, "sent_octets.originator": 4}),),
    seen_at="server",
    look_for=(
        "recv() returns the octets once: their numbers lie below RCV.NXT. The copy is only acknowledged again, with "
        "a SACK option that names it (RFC 2883)."
    ),
)
def duplicate_data(bench: Bench) -> None:
    """The wire delivers a segment with data twice."""
    _, client, server = bench.session()
    copy = bench.wire.rule("keep first data from client")
    bench.echo(client, server)
    bench.pause()
    answer = bench.wire.rule("pass first ACK from server")
    copy.release()
    answer.wait()
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "duplicate-fin",
    counting(fin=0),
    server_outcomes=(counting(fin=1),),
    seen_at="server",
    look_for=(
        "The server in CLOSE-WAIT acknowledges the copy again and stays there: a FIN is an event only once. recv() "
        "returned b'' for the first one."
    ),
)
def duplicate_fin(bench: Bench) -> None:
    """The wire delivers the client's FIN twice."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    copy = bench.wire.rule("keep first FIN from client")
    acks = bench.wire.rule("pass first 2 ACK from server")
    client.close()
    server.recv()
    acks.wait()
    bench.pause()
    copy.release()
    acks.wait(2)
    bench.close_last(server)


#: A client whose two calls were far apart (a busy machine) takes what is late for lost, and sends it again.
IN_TIME, AGAIN, ALL_AGAIN = ({"octets.originator": octets, "sent_octets.originator": 4, "missing_octets.originator": 0}
                  for octets in (4, 6, 8))  # fmt: skip


def be_far_apart(bench: Bench) -> None:
    """Make the round trip 20 ms long: segments that are out of order for less than a quarter of it are not yet lost.

    So RACK has it (RFC 8985 §6.2); on a shorter wire the kernel repeats at once what a SACK option leaves out.
    """
    bench.wire.rule("delay every segment from server by 20 ms")


@CHAPTER.script(
    "swapped-data",
    replace(FOUR_WAY, also=IN_TIME),
    replace(FOUR_WAY, also=AGAIN),
    replace(FOUR_WAY, also=ALL_AGAIN),
    seen_at="server",
    look_for=(
        "At the server's end the second half comes first. Its ACK still asks for x+1, and names in a SACK option what "
        "is there already; recv() returns nothing until the gap is filled, then both halves in order."
    ),
)
def swapped_data(bench: Bench) -> None:
    """Two segments with data change places on the wire."""
    be_far_apart(bench)
    _, client, server = bench.session()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1, "TCP_NODELAY, 1")
    bench.wire.rule("swap first data from client")
    client.send(b"bi")
    client.send(b"th")
    server.send(server.recv().upper())
    client.recv()
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "fin-before-data",
    replace(FOUR_WAY, also=IN_TIME),
    replace(FOUR_WAY, also={**AGAIN, "octets.originator": 8}),
    seen_at="server",
    look_for=(
        "At the server's end the FIN comes first, and is no event yet: its number is beyond RCV.NXT. The server stays "
        "ESTABLISHED until the data before it have come, and one ACK answers both."
    ),
)
def fin_before_data(bench: Bench) -> None:
    """The client sends its last data and closes; on the wire the FIN overtakes the data."""
    be_far_apart(bench)
    _, client, server = bench.session()
    bench.wire.rule("swap first data from client")
    acks = bench.wire.rule("pass first 2 ACK from server")
    client.send(b"bith")
    client.close()
    server.recv()
    server.recv()
    acks.wait(2)
    bench.close_last(server)
