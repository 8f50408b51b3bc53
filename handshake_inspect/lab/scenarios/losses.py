"""Segments that are lost on the wire, and what the two ends do about it (RFC 9293 §3.8, RFC 6298)."""

from __future__ import annotations

from dataclasses import replace

from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.scenarios.scenario import (
    FOUR_WAY,
    OPENED_ACTIVELY,
    OPENED_PASSIVELY,
    Chapter,
    Verdict,
)

#: Too many for a packet of 1280 octets, though the MSS of both ends allows as many.
LARGE_OCTETS = 1400

CHAPTER = Chapter("Segments that are lost")

OPEN = Verdict("three-way", "open", None, OPENED_ACTIVELY, OPENED_PASSIVELY)


@CHAPTER.script(
    "lost-syn",
    replace(FOUR_WAY, also={"handshake.syn_retransmissions": 1, "handshake.rtt_ambiguous": True}),
    server_outcomes=(replace(FOUR_WAY, also={"handshake.syn_retransmissions": 0}),),
    look_for=(
        "The same SYN with the same number again after 1 s, the first timeout of RFC 6298. The server never saw the "
        "first one: at its end the opening is an ordinary one."
    ),
)
def lost_syn(bench: Bench) -> None:
    """The first SYN is lost on the wire; the client sends it again after a second."""
    bench.wire.rule("drop first SYN from client")
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.close_in_turn(client, server)


def opened_again(syns: int, syn_acks: int) -> Verdict:
    """Return the verdict of an ordinary session, in whose opening so many segments were seen once more."""
    counts = {"handshake.syn_retransmissions": syns, "handshake.syn_ack_retransmissions": syn_acks}
    return replace(FOUR_WAY, also=counts)


@CHAPTER.script(
    "lost-syn-ack",
    opened_again(0, 0),
    opened_again(1, 0),
    opened_again(1, 1),
    server_outcomes=(opened_again(0, 1), opened_again(1, 1), opened_again(1, 2)),
    look_for=(
        "Nobody can tell what was lost, so after 1 s each end repeats its own segment, whichever timer comes first. "
        "A repeated SYN is answered by a repeated SYN,ACK, and that by a repeated ACK."
    ),
)
def lost_syn_ack(bench: Bench) -> None:
    """The first SYN-ACK is lost on the wire; after a second both ends send their segments again."""
    bench.wire.rule("drop first SYN-ACK from server")
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "lost-third-ack",
    replace(FOUR_WAY, also={"handshake.syn_ack_retransmissions": 1}),
    look_for=(
        "connect() has returned, but the server is still in SYN-RECEIVED and accept() waits, until after 1 s its "
        "SYN,ACK is repeated and acknowledged again. A client that waits for a greeting waits as long."
    ),
)
def lost_third_ack(bench: Bench) -> None:
    """The third segment is lost, and the client has nothing to send: the server repeats its SYN-ACK after a second."""
    bench.wire.rule("drop first ACK from client")
    _, client, server = bench.session()
    server.send(b"hello")
    client.recv()
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "lost-third-ack-then-data",
    replace(FOUR_WAY, also={"handshake.syn_ack_retransmissions": 0}),
    seen_at="server",
    look_for=(
        "Nothing is repeated: every segment after the SYN carries an ACK, so the data that follow open the server as "
        "well. At the server's end the third segment is the one with data."
    ),
)
def lost_third_ack_then_data(bench: Bench) -> None:
    """The third segment is lost, and the client's data, which carry the same ACK, follow it at once."""
    third = bench.wire.rule("drop first ACK from client")
    listener = bench.server.listen()
    client = bench.client.connect(listener)
    third.wait()
    client.send(b"bith")
    server = listener.accept()
    server.send(server.recv().upper())
    client.recv()
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "lost-data",
    replace(FOUR_WAY, also={"octets.originator": 8, "sent_octets.originator": 4, "missing_octets.originator": 0}),
    server_outcomes=(
        replace(FOUR_WAY, also={"octets.originator": 4, "sent_octets.originator": 4, "missing_octets.originator": 0}),
    ),
    look_for=(
        "The same numbers again after some 0.2 s: sequence numbers count octets, not segments, so the books are "
        "closed with 4 octets sent, though 8 were on the wire."
    ),
)
def lost_data(bench: Bench) -> None:
    """A segment with data is lost; the client sends the same octets again."""
    _, client, server = bench.session()
    bench.wire.rule("drop first data from client")
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "lost-fin",
    replace(FOUR_WAY, also={"teardown.fin_retransmissions": 1}),
    server_outcomes=(replace(FOUR_WAY, also={"teardown.fin_retransmissions": 0}),),
    look_for=(
        "close() returned long ago; the kernel stays in FIN-WAIT-1 and repeats the FIN until it is acknowledged. A "
        "FIN counts one number, so it is repeated like an octet."
    ),
)
def lost_fin(bench: Bench) -> None:
    """The client's FIN is lost; its kernel sends it again."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.wire.rule("drop first FIN from client")
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "lost-last-ack",
    replace(FOUR_WAY, also={"teardown.fin_retransmissions": 2}),
    look_for=(
        "This is what TIME-WAIT is for: the server stays in LAST-ACK and repeats its FIN, and somebody must still be "
        "there to acknowledge it again. Each time the client's 2MSL begin anew (RFC 9293 §3.10.7.4, eighth)."
    ),
)
def lost_last_ack(bench: Bench) -> None:
    """The last ACK is lost twice; the server repeats its FIN, and the client in TIME-WAIT answers each."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    acknowledged = bench.wire.rule("pass first ACK from server")
    client.close()
    server.recv()
    acknowledged.wait()
    bench.wire.rule("drop first 2 ACK from client")
    acks = bench.wire.rule("pass first 3 ACK from client")
    server.close()
    acks.wait(3)
    bench.pause()


RESET_LATE = Verdict(
    "three-way",
    "aborted",
    None,
    (*OPENED_ACTIVELY, "CLOSED"),
    (*OPENED_PASSIVELY, "CLOSED"),
    also={"teardown.reset_by": "originator"},
)


@CHAPTER.script(
    "lost-rst",
    RESET_LATE,
    look_for=(
        "An RST is never repeated: for half a second only one end knows that there is no connection any more. The "
        "server learns it when it sends, and an RST with the number of its own ACK comes back (RFC 9293 §3.5.1)."
    ),
)
def lost_rst(bench: Bench) -> None:
    """The client's RST is lost: the server stays ESTABLISHED, half-open, until it sends something."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    lost = bench.wire.rule("drop first RST from client")
    client.reset()
    lost.wait()
    bench.pause(0.5)
    told = bench.wire.rule("pass first RST from client")
    server.send(b"still there?")
    told.wait()
    bench.pause()


@CHAPTER.script(
    "cut-in-mid-session",
    OPEN,
    look_for=(
        "Both ends repeat what they have sent, at intervals that double, and stay ESTABLISHED: silence is no state "
        "of TCP. Each end sees only its own segments."
    ),
)
def cut_in_mid_session(bench: Bench) -> None:
    """The wire is cut in both directions while both ends have data to send."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    directions = bench.wire.cut()
    client.send(b"bith")
    server.send(b"htib")
    for direction in directions:
        direction.wait(3)
    bench.pause()


FIN_LOST = Verdict(
    "three-way",
    "incomplete",
    "originator",
    (*OPENED_ACTIVELY, "FIN-WAIT-1"),
    OPENED_PASSIVELY,
    {"teardown.complete": False},
)


@CHAPTER.script(
    "fin-unacknowledged",
    FIN_LOST,
    server_outcomes=(OPEN,),
    look_for=(
        "The client has closed, and its kernel repeats the FIN in FIN-WAIT-1, each time after twice as long (RFC 6298 "
        "§5.5), until it gives up without a word. The server knows nothing of it (--at server): its end stays open."
    ),
)
def fin_unacknowledged(bench: Bench) -> None:
    """Every FIN of the client is lost on the wire: nothing acknowledges it, and the server stays ESTABLISHED."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    fins = bench.wire.rule("drop every FIN from client")
    client.close()
    fins.wait(3)
    bench.pause()


@CHAPTER.script(
    "mtu-black-hole",
    OPEN,
    look_for=(
        "The handshake and small segments pass, the first large one never: again and again the same octets, while the "
        "server goes on speaking. The router's ICMP error, which would tell what fits, is filtered (RFC 2923 §2.1)."
    ),
    snap_octets=96,
)
def mtu_black_hole(bench: Bench) -> None:
    """A link on the way loses every packet of more than 1280 octets, and no ICMP error says so."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    lost = bench.wire.rule("drop every segment over 1280 octets from client")
    client.send(b"bith" * (LARGE_OCTETS // 4))
    lost.wait(3)
    server.send(b"still there?")
    client.recv()
    lost.wait(5)
    bench.pause()


@CHAPTER.script(
    "mtu-black-hole-probed",
    replace(FOUR_WAY, also={"sent_octets.originator": LARGE_OCTETS, "missing_octets.originator": 0}),
    server_outcomes=(replace(FOUR_WAY, also={"octets.originator": LARGE_OCTETS}),),
    look_for=(
        "No ICMP error says that the segment is too large, but the client's kernel looks for it (tcp_mtu_probing): "
        "after some timeouts it sends the same octets in smaller segments, and they pass (RFC 4821 §7.7)."
    ),
    snap_octets=96,
)
def mtu_black_hole_probed(bench: Bench) -> None:
    """A link on the way loses every packet of more than 1280 octets, and the client's kernel finds that out."""
    bench.client.set("tcp_mtu_probing", 1)
    bench.client.set("tcp_retries1", 1)
    _, client, server = bench.session()
    bench.wire.rule("drop every segment over 1280 octets from client")
    client.send(b"bith" * (LARGE_OCTETS // 4))
    received = 0
    while received < LARGE_OCTETS:
        received += len(server.recv())
    bench.close_in_turn(client, server)
