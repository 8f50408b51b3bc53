"""Segments that no kernel sends, forged into an open connection: what its ends make of them.

RFC 9293 §3.10.7.4, RFC 5961 §3 and §4. Each is seen at the server, to which it goes; both programs notice nothing,
but for the one RST that has the right number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from handshake_inspect.lab.altering import altered, load, port_unreachable
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
from handshake_inspect.lab.segments import Segment

#: Inside the server's window, and not the next number; and so far before it that the window is elsewhere.
AHEAD, LONG_AGO = 500, 1_000_000
STORM = 20
#: Of a box between the ends that forges resets: nothing that the client would send.
FOREIGN_TTL, FOREIGN_ID = 37, 54321

SERVER_FIRST = Verdict(
    "three-way", "four-way", "responder", OPENED_ACTIVELY + CLOSED_SECOND, OPENED_PASSIVELY + CLOSED_FIRST
)
SURVIVED = replace(FOUR_WAY, also={"teardown.reset_by": None})
ABORTED = Verdict("three-way", "aborted", None, (*OPENED_ACTIVELY, "CLOSED"), (*OPENED_PASSIVELY, "CLOSED"))
IGNORED_RESET = replace(FOUR_WAY, also={"resets.0.valid": False, "teardown.reset_by": None})

CHAPTER = Chapter("Forged segments", has_forgeries=True)

#: Makes frames for the server from the client's latest segment.
Forge = Callable[[Segment], Iterable[bytes]]


def like_next(model: Segment, flags: str, *, ahead: int = 0, payload: bytes = b"", ip_id: int = 1) -> bytes:
    """Return a segment that looks like the next one of an end, without ACK unless `flags` has it."""
    ack = model.ack if "A" in flags else 0
    return altered(model.frame, flags=flags, seq=model.end + ahead, ack=ack, payload=payload, ip_id=ip_id)


def talk_with_intruder(bench: Bench, forge: Forge) -> tuple[RecordedSocket, RecordedSocket]:
    """Open a connection, echo, and let the server get what somebody forges; return the client and the server."""
    load()
    question = bench.wire.rule("pass first data from client")
    _, client, server = bench.session()
    bench.echo(client, server)
    (model,) = question.wait()
    bench.pause(DELAYED_ACK_S)
    for frame in forge(model):
        bench.wire.send(frame, to="server")
    bench.pause()
    return client, server


def survive(bench: Bench, forge: Forge) -> None:
    """Have a session in which forged segments change nothing."""
    client, server = talk_with_intruder(bench, forge)
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "syn-inside",
    SURVIVED,
    seen_at="server",
    look_for=(
        "A SYN in ESTABLISHED is not obeyed, whatever its number: a challenge ACK answers it (RFC 5961 §4). A client "
        "that had lost its connection would answer that with an RST; this one has sent no SYN, and both go on."
    ),
)
def syn_inside(bench: Bench) -> None:
    """A forged SYN comes inside an open connection: a challenge ACK answers it, and nothing changes."""
    survive(bench, lambda model: [like_next(model, "S", ahead=LONG_AGO)])


@CHAPTER.script(
    "syn-fin",
    SURVIVED,
    seen_at="server",
    look_for=(
        "Begin and end in one segment: no stack sends it, scanners do, to pass filters that look for a bare SYN. The "
        "SYN is answered by a challenge ACK, and the FIN is not looked at (RFC 9293 §3.10.7.4, fourth)."
    ),
)
def syn_fin(bench: Bench) -> None:
    """A segment with SYN and FIN comes inside an open connection."""
    survive(bench, lambda model: [like_next(model, "SF")])


@CHAPTER.script(
    "christmas-tree",
    SURVIVED,
    seen_at="server",
    look_for=(
        "FIN, PSH and URG are lit, ACK is not: since every segment after the SYN has ACK, it is dropped without a word "
        "(RFC 9293 §3.10.7.4, fifth), though its number is the next one. Its FIN closes nothing."
    ),
)
def christmas_tree(bench: Bench) -> None:
    """A segment with FIN, PSH and URG, without ACK, comes inside an open connection: a scanner's christmas tree."""
    survive(bench, lambda model: [like_next(model, "FPU")])


@CHAPTER.script(
    "no-control-bit",
    SURVIVED,
    seen_at="server",
    look_for="A segment without any control bit has no ACK either, and is dropped without a word.",
)
def no_control_bit(bench: Bench) -> None:
    """A segment without any control bit comes inside an open connection."""
    survive(bench, lambda model: [like_next(model, "")])


@CHAPTER.script(
    "syn-reset",
    SURVIVED,
    server_outcomes=(IGNORED_RESET,),
    seen_at="server",
    look_for=(
        "SYN and RST together: RST is looked at first, and its number is not the next one, so a challenge ACK answers "
        "(RFC 5961 §3); the SYN is never looked at."
    ),
)
def syn_reset(bench: Bench) -> None:
    """A segment with SYN and RST comes inside an open connection."""
    survive(bench, lambda model: [like_next(model, "SR", ahead=AHEAD)])


@CHAPTER.script(
    "reset-with-data",
    replace(ABORTED, also={"teardown.reset_by": "responder"}),
    server_outcomes=(replace(ABORTED, also={"teardown.reset_by": "originator"}),),
    seen_at="server",
    look_for=(
        "An RST may carry octets that say why (RFC 9293 §3.5.3, SHLD-2), and boxes that cut connections put a text "
        "there. No kernel sends them and none delivers them; this one has the right number, so it is obeyed."
    ),
)
def reset_with_data(bench: Bench) -> None:
    """An RST that carries a text is forged with the right number: the server believes it, and nobody reads the text."""
    client, server = talk_with_intruder(bench, lambda model: [like_next(model, "R", payload=b"blocked")])
    with failing("ECONNRESET"):
        server.recv()
    reset = bench.wire.rule("pass first RST from server")
    client.send(b"more")
    reset.wait()
    with failing("ECONNRESET"):
        client.recv()


@CHAPTER.script(
    "injected-reset",
    SURVIVED,
    server_outcomes=(IGNORED_RESET,),
    seen_at="server",
    look_for=(
        "Signs that somebody else sent this RST: its TTL and IP ID are not the client's (`show --dissect`), it has no "
        "options, and the client goes on as if nothing were. Its number is only near, so a challenge ACK answers."
    ),
)
def injected_reset(bench: Bench) -> None:
    """A box on the way forges an RST of the client, with a TTL and an IP ID of its own; the connection survives."""
    survive(
        bench,
        lambda model: [
            altered(like_next(model, "R", ahead=AHEAD), ttl=FOREIGN_TTL, ip_id=FOREIGN_ID, window=0, options=[])
        ],
    )


@CHAPTER.script(
    "reset-storm",
    SURVIVED,
    server_outcomes=(replace(FOUR_WAY, also={f"resets.{n}.valid": False for n in (0, STORM - 1)}),),
    seen_at="server",
    look_for=(
        f"{STORM} RSTs, {AHEAD} octets apart: somebody who does not know the number combs the window. None hits it, "
        "and only the first gets a challenge ACK: Linux sends at most one in 0.5 s (RFC 5961 §7)."
    ),
)
def reset_storm(bench: Bench) -> None:
    """Somebody combs the window with 20 forged RSTs: none has the exact number, and the connection survives."""
    survive(
        bench,
        lambda model: [like_next(model, "R", ahead=AHEAD * n, ip_id=n) for n in range(1, STORM + 1)],
    )


@CHAPTER.script(
    "forged-icmp-error",
    FOUR_WAY,
    server_outcomes=(replace(FOUR_WAY, also={"icmp_errors.0.was_sent": False}),),
    seen_at="server",
    look_for=(
        "A port that is unreachable ends a connection only if the error quotes a number that was sent and is not "
        "acknowledged (RFC 5927 §4.1): this one quotes another, and nothing happens."
    ),
)
def forged_icmp_error(bench: Bench) -> None:
    """An ICMP error is forged that quotes a number which the server never sent."""
    survive(bench, lambda model: [port_unreachable(model, seq=model.ack + LONG_AGO)])


@CHAPTER.script(
    "fin-out-of-window",
    SURVIVED,
    seen_at="server",
    look_for=(
        "The FIN's number was used up long ago: it is outside of the window, so an ACK of the right numbers answers, "
        "and the FIN closes nothing (RFC 9293 §3.10.7.4, first). The true one comes later."
    ),
)
def fin_out_of_window(bench: Bench) -> None:
    """A FIN with a number outside of the window is forged: it closes nothing."""
    survive(bench, lambda model: [like_next(model, "FA", ahead=-LONG_AGO)])


def close_with_intruder(bench: Bench, forge: Forge) -> None:
    """Let the client close, the server get what somebody forges after that FIN, and then close too."""
    load()
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    fin = bench.wire.rule("pass first FIN from client")
    acknowledged = bench.wire.rule("pass first ACK from server")
    client.close()
    (model,) = fin.wait()
    acknowledged.wait()
    server.recv()
    bench.pause()
    for frame in forge(model):
        bench.wire.send(frame, to="server")
    bench.pause()
    bench.close_last(server)


@CHAPTER.script(
    "data-after-fin",
    FOUR_WAY,
    server_outcomes=(replace(FOUR_WAY, also={"octets.originator": 8}),),
    seen_at="server",
    look_for=(
        "A FIN says that nothing comes after it, and these octets lie beyond it: in CLOSE-WAIT they are ignored "
        "(RFC 9293 §3.10.7.4, seventh). No kernel sends them; somebody hopes that a filter takes them for the end."
    ),
)
def data_after_fin(bench: Bench) -> None:
    """Data are forged beyond the client's FIN: they are ignored."""
    close_with_intruder(bench, lambda fin: [like_next(fin, "PA", payload=b"more")])


@CHAPTER.script(
    "fin-other-number",
    FOUR_WAY,
    seen_at="server",
    look_for=(
        "A FIN that is sent again has the same number. This one has a lower one, as if the end had been earlier: it "
        "lies before the window, is answered by an ACK, and changes nothing."
    ),
)
def fin_other_number(bench: Bench) -> None:
    """A second FIN of the client, with another number, is forged."""
    close_with_intruder(bench, lambda fin: [altered(fin.frame, seq=fin.seq - 2, ip_id=1)])


@CHAPTER.script(
    "fin-storm",
    FOUR_WAY,
    server_outcomes=(replace(FOUR_WAY, also={"teardown.fin_retransmissions": STORM}),),
    seen_at="server",
    look_for=(
        f"The same FIN {STORM} times more, within milliseconds: no retransmission is so fast. Each is answered by an "
        "ACK, which makes a storm in both directions."
    ),
)
def fin_storm(bench: Bench) -> None:
    """The client's FIN comes 20 times more, one right after another."""
    close_with_intruder(bench, lambda fin: [altered(fin.frame, ip_id=n) for n in range(1, STORM + 1)])


@CHAPTER.script(
    "ack-beyond-fin",
    SERVER_FIRST,
    seen_at="server",
    look_for=(
        f"Both FINs are acknowledged, and the server is in TIME-WAIT. Then an ACK comes for {AHEAD} octets beyond its "
        "FIN, where nothing can be. RFC 9293 §3.10.7.4, fifth, answers such a number with an ACK; Linux drops it."
    ),
)
def ack_beyond_fin(bench: Bench) -> None:
    """An ACK is forged into the server's TIME-WAIT that acknowledges octets beyond the server's FIN."""
    load()
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    acknowledged = bench.wire.rule("pass first ACK from client")
    last = bench.wire.rule("pass first ACK from server")
    server.close()
    (model,) = acknowledged.wait()
    client.recv()
    client.close()
    (answer,) = last.wait()
    bench.pause()
    forged = altered(model.frame, seq=answer.ack, ack=answer.seq + AHEAD, options=[], ip_id=1)
    bench.wire.send(forged, to="server")
    bench.pause()
