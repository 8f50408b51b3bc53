"""Openings other than the ordinary one: both ends active, a SYN without an answer, a third segment with data.

RFC 9293 §3.5 (Figures 6 and 7), RFC 6298 §5 for the schedule of the retries.
"""

from __future__ import annotations

import socket
from dataclasses import replace

from handshake_inspect.lab.bench import Bench, failing
from handshake_inspect.lab.scenarios.scenario import (
    CLOSED_FIRST,
    CLOSED_SECOND,
    FOUR_WAY,
    Chapter,
    Verdict,
)

CHAPTER = Chapter("Openings")

OPENED_SIMULTANEOUSLY = ("CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED")
#: Either end may be the originator: it is the one whose SYN a vantage point sees first.
BOTH_OPENED = Verdict(
    "simultaneous-open",
    "four-way",
    "originator",
    OPENED_SIMULTANEOUSLY + CLOSED_FIRST,
    OPENED_SIMULTANEOUSLY + CLOSED_SECOND,
)
BOTH_OPENED_SEEN_FROM_THE_OTHER = replace(
    BOTH_OPENED, closed_first="responder", originator=BOTH_OPENED.responder, responder=BOTH_OPENED.originator
)


@CHAPTER.script(
    "simultaneous-open",
    BOTH_OPENED,
    server_outcomes=(BOTH_OPENED_SEEN_FROM_THE_OTHER,),
    look_for=(
        "Nobody listens. Each end is in SYN-SENT when the other's bare SYN comes, goes to SYN-RECEIVED and answers "
        "with SYN,ACK: four segments, one connection (RFC 9293 Figure 7). Linux answers each SYN,ACK with an ACK, too."
    ),
)
def simultaneous_open(bench: Bench) -> None:
    """Both ends connect to each other at the same moment: the SYNs cross on the wire, and so do the SYN-ACKs."""
    client, server = bench.client.bound(), bench.server.bound()
    bench.server.stage.ready(server.address)
    syns = [bench.wire.rule(f"hold first SYN from {end}") for end in ("client", "server")]
    syn_acks = [bench.wire.rule(f"hold first SYN-ACK from {end}") for end in ("client", "server")]
    client.connect_start(server.address)
    syns[0].wait()
    server.connect_start(client.address)
    syns[1].wait()
    for rules in (syns, syn_acks):
        for rule in rules:
            rule.wait()
        bench.wire.release(*rules)
    client.connect_finish()
    server.connect_finish()
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "syn-answered-by-syn",
    Verdict("half-open", "none", None, ("CLOSED", "SYN-SENT", "SYN-RECEIVED"), ("CLOSED", "SYN-SENT")),
    server_outcomes=(Verdict("unanswered", "none", None, ("CLOSED", "SYN-SENT"), None),),
    look_for=(
        "A simultaneous open that fails: the server's SYN brings the client to SYN-RECEIVED, and there it stays. "
        "Whatever it sends is lost, so the server knows of no SYN but its own (--at server), and sends no SYN,ACK."
    ),
)
def syn_answered_by_syn(bench: Bench) -> None:
    """Both ends connect to each other, and all that the client sends is lost: no SYN-ACK comes."""
    client, server = bench.client.bound(), bench.server.bound()
    bench.server.stage.ready(server.address)
    lost = bench.wire.rule("drop every segment from client")
    client.connect_start(server.address)
    lost.wait()
    server.connect_start(client.address)
    lost.wait(2)
    bench.pause()


SELF_CONNECTED = (*OPENED_SIMULTANEOUSLY, "FIN-WAIT-1", "CLOSING", "TIME-WAIT")


@CHAPTER.script(
    "self-connect",
    Verdict("self-connect", "simultaneous-close", "both", SELF_CONNECTED, SELF_CONNECTED),
    network="loopback",
    look_for=(
        "One socket is both ends: it meets its own SYN in SYN-SENT, which is a simultaneous open, and its own FIN in "
        "FIN-WAIT-1. It happens to programs that connect again and again to an unused port of their own host."
    ),
)
def self_connect(bench: Bench) -> None:
    """A socket connects to its own port, and talks to itself."""
    client = bench.client.bound()
    bench.client.stage.ready(client.address)
    client.connect(client.address)
    client.send(b"bith")
    client.recv()
    bench.pause()
    client.close()
    bench.pause()


UNANSWERED = Verdict(
    "unanswered", "none", None, ("CLOSED", "SYN-SENT"), None, also={"handshake.syn_retransmissions": 2}
)


@CHAPTER.script(
    "unanswered-exponential",
    UNANSWERED,
    server_outcomes=((),),
    look_for=(
        "The waits double: 1, 2, 4 s, so the SYNs are at 0, 1 and 3 s, and connect() fails with ETIMEDOUT at 7 s. "
        "`unanswered` has the newer schedule, whose first retries are a second apart."
    ),
)
def unanswered_exponential(bench: Bench) -> None:
    """The wire loses every SYN; the client's kernel tries again after 1 and 3 s, as before Linux 6.5, and gives up."""
    bench.client.set("tcp_syn_linear_timeouts", 0)
    bench.wire.rule("drop every SYN from client")
    listener = bench.server.listen()
    client = bench.client.socket(timeout_s=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 2, "TCP_SYNCNT, 2")
    with failing("ETIMEDOUT"):
        client.connect(listener.address)
    bench.pause()


@CHAPTER.script(
    "third-ack-with-data",
    FOUR_WAY,
    look_for=(
        "No bare ACK after the SYN,ACK: the third segment is the first one with data, and its ACK opens the server. "
        "The handshake is as complete with it (RFC 9293 §3.10.7.4: the ACK is processed before the text)."
    ),
)
def third_ack_with_data(bench: Bench) -> None:
    """The client's kernel delays its ACK of the SYN-ACK, so that the first data carry it."""
    listener = bench.server.listen()
    client = bench.client.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0, "TCP_QUICKACK, 0")
    client.connect(listener.address)
    client.send(b"bith")
    server = listener.accept()
    server.send(server.recv().upper())
    client.recv()
    bench.close_in_turn(client, server)
