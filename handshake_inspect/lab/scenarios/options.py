"""What the two SYNs offer, what is declined, and what is agreed on: options and control bits of the handshake.

RFC 9293 §3.7.1 (MSS), RFC 7323 (window scale, timestamps), RFC 2018 (selective acknowledgment), RFC 3168 §6.1.1 (ECN),
RFC 8684 §3.1 (Multipath TCP). Apart from the MSS, an option that the SYN,ACK does not repeat is not in use.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.scenarios.scenario import FOUR_WAY, OPENED_ACTIVELY, OPENED_PASSIVELY, Chapter, Verdict

#: The smallest MSS that Linux lets a program ask for (TCP_MIN_MSS), and a question for which it takes three segments.
SMALL_MSS, LONG_QUESTION = 88, b"bith" * 50
# net.ipv4.tcp_ecn: never; ask for it in every SYN, and agree if asked
ECN_OFF, ECN_ON = 0, 1

OPENED = Verdict("three-way", "open", None, OPENED_ACTIVELY, OPENED_PASSIVELY)

CHAPTER = Chapter("Options of the handshake")


def session_with(option: str, originator: Any, responder: Any) -> Verdict:
    """Return an ordinary session in whose handshake the two ends had these values of an option."""
    ends = {"originator": originator, "responder": responder}
    return replace(FOUR_WAY, also={f"handshake.options.{end}.{option}": value for end, value in ends.items()})


def declined_by_server(bench: Bench, setting: str) -> None:
    """Have an ordinary session with a server that does without an option."""
    bench.server.set(setting, 0)
    talk(bench)


def talk(bench: Bench) -> None:
    """Have an ordinary session."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "window-scale-declined",
    replace(FOUR_WAY, also={"handshake.options.responder.window_scale": None}),
    look_for=(
        "The SYN offers a shift, the SYN,ACK has none: then neither end shifts (RFC 7323 §2.2), and no window of this "
        "connection can be larger than 65535 octets, however fast and long the path is."
    ),
)
def window_scale_declined(bench: Bench) -> None:
    """The server does without window scaling, so the client does too."""
    declined_by_server(bench, "tcp_window_scaling")


@CHAPTER.script(
    "sack-declined",
    session_with("sack_permitted", True, False),
    look_for=(
        "SACK-permitted is on the SYN only. Without it an ACK can name but one hole, and what was lost beyond that is "
        "found out round trip by round trip (RFC 2018)."
    ),
)
def sack_declined(bench: Bench) -> None:
    """The server does without selective acknowledgments."""
    declined_by_server(bench, "tcp_sack")


@CHAPTER.script(
    "timestamps-declined",
    session_with("timestamps", True, False),
    look_for=(
        "The SYN has a timestamp, the SYN,ACK has none, and no later segment has: each header is 12 octets shorter. "
        "What is lost is protection against old numbers (PAWS) and the exact round trip (RFC 7323 §3, §5)."
    ),
)
def timestamps_declined(bench: Bench) -> None:
    """The server does without timestamps, so no segment after the SYN has one."""
    declined_by_server(bench, "tcp_timestamps")


@CHAPTER.script(
    "small-mss",
    session_with("mss", SMALL_MSS, 1460),
    look_for=(
        f"The MSS of a SYN is what its sender wants to receive, so the {len(LONG_QUESTION)} octets of the answer come "
        "in three segments. TCP_MAXSEG binds the client's own segments too; timestamps take 12 of the 88 octets of "
        "each (RFC 9293 §3.7.1)."
    ),
)
def small_mss(bench: Bench) -> None:
    """The client's program asks for segments of 88 octets at most (TCP_MAXSEG)."""
    listener = bench.server.listen()
    client = bench.client.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_MSS, f"TCP_MAXSEG, {SMALL_MSS}")
    client.connect(listener.address)
    server = listener.accept()
    for sender, receiver, octets in ((client, server, LONG_QUESTION), (server, client, LONG_QUESTION.upper())):
        sender.send(octets)
        bench.pause()
        receiver.recv()
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "ecn",
    FOUR_WAY,
    look_for=(
        "ECE and CWR on a SYN do not mean congestion: they ask whether the other end knows the bits (RFC 3168 §6.1.1). "
        "ECE alone on the SYN,ACK says yes. From then on the segments with data are marked ECT(0) in the IP header."
    ),
)
def ecn(bench: Bench) -> None:
    """Both ends agree on explicit congestion notification."""
    for host in (bench.client, bench.server):
        host.set("tcp_ecn", ECN_ON)
    talk(bench)


@CHAPTER.script(
    "ecn-declined",
    FOUR_WAY,
    look_for=(
        "The SYN asks with ECE and CWR, the SYN,ACK has neither bit: no (RFC 3168 §6.1.1). No segment of this "
        "connection may be marked, and a router that is congested can only drop."
    ),
)
def ecn_declined(bench: Bench) -> None:
    """The client offers explicit congestion notification, and the server declines."""
    bench.client.set("tcp_ecn", ECN_ON)
    bench.server.set("tcp_ecn", ECN_OFF)
    talk(bench)


@CHAPTER.script(
    "mptcp",
    OPENED,
    look_for=(
        "MP_CAPABLE on all three segments: the SYN asks without a key, the SYN,ACK brings the server's key, the third "
        "segment repeats both (RFC 8684 §3.1). The data that follow say their place among the octets of all paths."
    ),
)
def mptcp(bench: Bench) -> None:
    """Both programs open a Multipath TCP socket: the handshake of its first path."""
    listener = bench.server.socket(multipath=True)
    open_over(bench, listener)


@CHAPTER.script(
    "mptcp-declined",
    OPENED,
    look_for=(
        "The SYN,ACK has no MP_CAPABLE: the server's socket is one of plain TCP. So the client's becomes one too, and "
        "its program does not notice (RFC 8684 §3.7)."
    ),
)
def mptcp_declined(bench: Bench) -> None:
    """The client's program opens a Multipath TCP socket, and meets a server with plain TCP."""
    open_over(bench, bench.server.socket())


def open_over(bench: Bench, listener: RecordedSocket) -> None:
    """Listen, connect to it with Multipath TCP, and echo."""
    listener.bind((bench.server.ip, 0))
    listener.listen(5)
    bench.server.stage.ready(listener.address)
    client = bench.client.socket(multipath=True)
    client.connect(listener.address)
    bench.echo(client, listener.accept())
    bench.pause()


@CHAPTER.script(
    "syn-options-dropped",
    replace(FOUR_WAY, also={"handshake.syn_retransmissions": 1}),
    server_outcomes=(replace(FOUR_WAY, also={"handshake.syn_retransmissions": 0}),),
    look_for=(
        "The first SYN asks with ECE and CWR, the second does not: its sender takes the silence for a box on the way "
        "that drops SYNs with bits it does not know (RFC 3168 §6.1.1.1; Linux: tcp_ecn_fallback). So the connection "
        "does without ECN, though both ends know it."
    ),
)
def syn_options_dropped(bench: Bench) -> None:
    """The SYN that asks for explicit congestion notification is lost; the client tries again without it."""
    for host in (bench.client, bench.server):
        host.set("tcp_ecn", ECN_ON)
    bench.wire.rule("drop first SYN from client")
    talk(bench)
