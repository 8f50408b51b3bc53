"""Handshakes with a segment that no kernel sends: forged, or changed between the ends (RFC 9293 §3.5, §3.10.7).

Both ends are real kernels; what is forged is seen only at the end to which it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from handshake_inspect.lab.altering import altered, load, options_of
from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.scenarios.scenario import OPENED_ACTIVELY, OPENED_PASSIVELY, Chapter, Verdict
from handshake_inspect.lab.segments import Segment
from handshake_inspect.lab.wire import InEffect

#: So far is a wrong number from the right one.
FAR = 1000
#: What is in the acknowledgment field of a SYN that acknowledges nothing, and what a SYN brings that asked for nothing.
MEANINGLESS, EARLY = 123456789, b"early"
#: Larger than the 14 that RFC 7323 §2.3 allows.
LARGE_SHIFT = 15
#: MSS 1460; then an option, window scale, whose length is 1 where 2 is the least that can be.
MALFORMED = bytes([2, 4, 5, 180, 3, 1, 10, 0])

UNANSWERED = Verdict("unanswered", "none", None, ("CLOSED", "SYN-SENT"), None)
OPENED = Verdict("three-way", "open", None, OPENED_ACTIVELY, OPENED_PASSIVELY)

CHAPTER = Chapter("Forged openings", has_forgeries=True)


@CHAPTER.script(
    "syn-ack-other-number",
    OPENED,
    look_for=(
        "A SYN,ACK as the first one, but of another y: somebody else would like to be the server. The client is "
        "ESTABLISHED already and answers any SYN with a challenge ACK (RFC 5961 §4) of the numbers that hold."
    ),
)
def syn_ack_other_number(bench: Bench) -> None:
    """A second SYN-ACK, with another sequence number, comes after the handshake."""
    load()
    answer = bench.wire.rule("pass first SYN-ACK from server")
    _, client, server = bench.session()
    (true,) = answer.wait()
    bench.echo(client, server)
    bench.pause()
    challenge = bench.wire.rule("pass first ACK from client")
    bench.wire.send(altered(true.frame, seq=true.seq + FAR), to="client")
    challenge.wait()
    bench.echo(client, server)
    bench.pause()


@CHAPTER.script(
    "third-segment-wrong-seq",
    OPENED,
    server_outcomes=(Verdict("invalid", "none", None, OPENED_ACTIVELY, ("LISTEN", "SYN-RECEIVED")),),
    seen_at="server",
    look_for=(
        f"Three segments, and no connection: the sequence number of the third is {FAR} too low. It lies before the "
        "window, so the server answers with an ACK of the right numbers and stays in SYN-RECEIVED (RFC 9293 "
        "§3.10.7.4, first)."
    ),
)
def third_segment_wrong_seq(bench: Bench) -> None:
    """The third segment comes with a wrong sequence number: the handshake only looks complete."""
    third, _, _ = with_third_segment_held(bench)
    (segment,) = third.wait()
    answer = bench.wire.rule("pass first ACK from server")
    bench.wire.send(altered(segment.frame, seq=segment.seq - FAR), to="server")
    answer.wait()
    bench.pause()


@CHAPTER.script(
    "third-segment-wrong-ack",
    UNANSWERED,
    server_outcomes=(
        Verdict(
            "invalid",
            "none",
            None,
            ("CLOSED", "SYN-SENT"),
            ("LISTEN", "SYN-RECEIVED"),
            {"handshake.syn_ack_retransmissions": 1, "resets.0.valid": False},
        ),
    ),
    seen_at="server",
    look_for=(
        f"The third segment acknowledges {FAR} too many, a guess of somebody who has not seen y. SYN-RECEIVED answers "
        "with an RST of just that number and stays (RFC 9293 §3.10.7.4, fifth): after 1 s the SYN,ACK comes again."
    ),
)
def third_segment_wrong_ack(bench: Bench) -> None:
    """The third segment is forged by somebody who guesses what to acknowledge: an RST answers, and nothing opens."""
    load()
    listener = bench.server.listen()
    syn = bench.wire.rule("pass first SYN from client")
    answer = bench.wire.rule("drop first SYN-ACK from server")
    reset = bench.wire.rule("drop first RST from server")
    bench.client.bound().connect_start(listener.address)
    (asked,), (answered,) = syn.wait(), answer.wait()
    bench.wire.rule("drop every SYN from client")
    again = bench.wire.rule("drop first SYN-ACK from server")
    third = altered(asked.frame, flags="A", options=[], seq=answered.ack, ack=answered.end + FAR)
    bench.wire.send(third, to="server")
    reset.wait()
    again.wait()
    bench.pause()


@CHAPTER.script(
    "syn-ack-from-client",
    OPENED,
    server_outcomes=(replace(OPENED, also={"resets.0.valid": False}),),
    seen_at="server",
    look_for=(
        "After the SYN and its SYN,ACK the client seems to send a SYN,ACK too, in the wrong direction. It acknowledges "
        "what the server has not sent, so an RST of that number answers; the true third segment then opens."
    ),
)
def syn_ack_from_client(bench: Bench) -> None:
    """A SYN-ACK comes from the end that sent the SYN."""
    third, listener, client = with_third_segment_held(bench)
    (segment,) = third.wait()
    reset = bench.wire.rule("drop first RST from server")
    bench.wire.send(altered(segment.frame, flags="SA", seq=segment.seq - 1, ack=segment.ack + FAR), to="server")
    reset.wait()
    bench.pause()
    third.release()
    bench.echo(client, listener.accept())
    bench.pause()


def with_third_segment_held(bench: Bench) -> tuple[InEffect, RecordedSocket, RecordedSocket]:
    """Open a connection whose third segment is on its way; return what holds it, the listener and the client."""
    load()
    listener = bench.server.listen()
    third = bench.wire.rule("hold first ACK from client")
    client = bench.client.connect(listener)
    return third, listener, client


def open_with(bench: Bench, change: Callable[[Segment], bytes]) -> None:
    """Open a connection whose SYN is changed on its way, and echo."""
    load()
    listener = bench.server.listen()
    syn = bench.wire.rule("hold first SYN from client")
    client = bench.client.socket()
    client.connect_start(listener.address)
    (true,) = syn.wait()
    syn.lift()
    bench.wire.send(change(true), to="server")
    client.connect_finish()
    bench.echo(client, listener.accept())
    bench.pause()


@CHAPTER.script(
    "ack-field-without-ack",
    OPENED,
    seen_at="server",
    look_for=(
        "The acknowledgment field of the SYN is not 0, and the ACK bit is clear: the field means nothing then "
        "(RFC 9293 §3.1), and the server opens as ever. Old stacks and scanners leave such numbers there."
    ),
)
def ack_field_without_ack(bench: Bench) -> None:
    """A SYN with a number in its acknowledgment field, though its ACK bit is clear."""
    open_with(bench, lambda syn: altered(syn.frame, ack=MEANINGLESS))


@CHAPTER.script(
    "syn-without-mss",
    replace(OPENED, also={"handshake.options.originator.mss": 1460}),
    server_outcomes=(replace(OPENED, also={"handshake.options.originator.mss": None}),),
    seen_at="server",
    look_for="No MSS in the SYN: the server may send segments of 536 octets at most (RFC 9293 §3.7.1, MUST-15).",
)
def syn_without_mss(bench: Bench) -> None:
    """A SYN that does not say its maximum segment size."""
    open_with(bench, lambda syn: altered(syn.frame, options=without(syn, "MSS")))


@CHAPTER.script(
    "window-scale-15",
    OPENED,
    server_outcomes=(replace(OPENED, also={"handshake.options.originator.window_scale": LARGE_SHIFT}),),
    seen_at="server",
    look_for=(
        "A shift of 15 would allow windows of half the sequence space, where old and new cannot be told apart. The "
        "receiver must use 14 instead, and should log it (RFC 7323 §2.3)."
    ),
)
def window_scale_15(bench: Bench) -> None:
    """A SYN that offers to shift its windows by 15, one more than is allowed."""
    shift = ("WScale", LARGE_SHIFT)
    open_with(bench, lambda syn: altered(syn.frame, options=[*without(syn, "WScale"), shift]))


@CHAPTER.script(
    "malformed-option",
    OPENED,
    server_outcomes=(
        replace(
            OPENED, also={"handshake.options.originator.mss": 1460, "handshake.options.originator.timestamps": False}
        ),
    ),
    seen_at="server",
    look_for=(
        "An option of length 1, which is less than its own two octets: nobody can tell where the next one begins. The "
        "server keeps what came before, the MSS, and opens without the rest (RFC 9293 §3.1, MUST-7)."
    ),
)
def malformed_option(bench: Bench) -> None:
    """A SYN with an option whose length cannot be."""
    header_words = 5 + len(MALFORMED) // 4
    open_with(bench, lambda syn: altered(syn.frame, options=[], payload=MALFORMED, dataofs=header_words))


def without(syn: Segment, name: str) -> list[tuple[str, Any]]:
    """Return the options of a SYN without one of them."""
    return [option for option in options_of(syn.frame) if option[0] != name]


@CHAPTER.script(
    "syn-with-data",
    OPENED,
    seen_at="server",
    look_for=(
        "Octets on a SYN are legal without Fast Open (RFC 9293 §3.4), but must not reach the program before the "
        "handshake is over. Linux does not keep them: its SYN,ACK acknowledges x+1, the SYN alone."
    ),
)
def syn_with_data(bench: Bench) -> None:
    """A SYN with data, and without the Fast Open option: the server acknowledges the SYN only."""
    open_with(bench, lambda syn: altered(syn.frame, payload=EARLY))


@CHAPTER.script(
    "accurate-ecn-offered",
    OPENED,
    seen_at="server",
    look_for=(
        "AE, CWR and ECE on the SYN offer Accurate ECN (RFC 9768 §3.1.1); a server that does not know it sees an offer "
        "of plain ECN and answers with ECE alone, which its client understands (§3.1.2)."
    ),
)
def accurate_ecn_offered(bench: Bench) -> None:
    """A SYN that offers Accurate ECN, to a server that knows plain ECN only."""
    bench.client.set("tcp_ecn", 1)
    bench.server.set("tcp_ecn", 1)
    open_with(bench, lambda syn: altered(syn.frame, flags="SECN"))  # N: as Scapy calls bit 7, once NS
