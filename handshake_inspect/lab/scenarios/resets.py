"""Connections that an RST ends, and RSTs that end nothing (RFC 9293 §3.5.2, §3.5.3 and §3.10.7, RFC 5961 §3)."""

from __future__ import annotations

from dataclasses import replace

from handshake_inspect.lab.altering import forged
from handshake_inspect.lab.bench import DELAYED_ACK_S, Bench, failing
from handshake_inspect.lab.scenarios.scenario import (
    FOUR_WAY,
    OPENED_ACTIVELY,
    OPENED_PASSIVELY,
    Chapter,
    Verdict,
)

ABORTED = Verdict("three-way", "aborted", None, (*OPENED_ACTIVELY, "CLOSED"), (*OPENED_PASSIVELY, "CLOSED"))
ABORTED_BY_SERVER = replace(ABORTED, also={"teardown.reset_by": "responder"})
RESET_AFTER_FIN = Verdict(
    "three-way",
    "reset-after-fin",
    "originator",
    (*OPENED_ACTIVELY, "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"),
    (*OPENED_PASSIVELY, "CLOSE-WAIT", "CLOSED"),
)
ABANDONED = Verdict(
    "abandoned",
    "none",
    None,
    ("CLOSED", "SYN-SENT", "CLOSED"),
    ("LISTEN", "SYN-RECEIVED", "LISTEN"),
    {"teardown.reset_by": "originator"},
)
REFUSED = Verdict(
    "refused", "none", None, ("CLOSED", "SYN-SENT", "CLOSED"), ("CLOSED",), {"teardown.reset_by": "responder"}
)

CHAPTER = Chapter("Resets")


@CHAPTER.script(
    "refused-wire",
    REFUSED,
    look_for=(
        "The SYN carries no ACK, so the RST has seq=0 and ack=x+1 (RFC 9293 §3.5.2, group 1): that it acknowledges the "
        "SYN is all that SYN-SENT believes."
    ),
)
def refused_wire(bench: Bench) -> None:
    """Nobody listens at the port of the other host: its RST comes back over the wire."""
    closed = bench.server.bound()
    bench.server.stage.ready(closed.address)
    with failing("ECONNREFUSED"):
        bench.client.connect(closed)


@CHAPTER.script(
    "reset-unread",
    ABORTED_BY_SERVER,
    look_for=(
        "The server closes with octets that its program has not read: a FIN would say that all was well, so it sends "
        "an RST (RFC 9293 §3.6.1). On the wire it is the same RST,ACK as that of SO_LINGER 0."
    ),
)
def reset_unread(bench: Bench) -> None:
    """The server closes without having read what came: an RST instead of a FIN."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    reset = bench.wire.rule("pass first RST from server")
    client.send(b"unread")
    server.peek()
    bench.pause()
    server.close()
    reset.wait()
    with failing("ECONNRESET"):
        client.recv()


@CHAPTER.script(
    "data-after-close",
    replace(RESET_AFTER_FIN, also={"teardown.reset_by": "originator"}),
    look_for=(
        "close() has closed both directions, though only the own one shows on the wire: no program is left to read "
        "the data, and an RST tells so. The server's first send() succeeds, the second fails with EPIPE."
    ),
)
def data_after_close(bench: Bench) -> None:
    """The client closes, and the server still sends: its data are answered by an RST."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    reset = bench.wire.rule("pass first RST from client")
    client.close()
    server.recv()
    bench.pause(DELAYED_ACK_S)
    server.send(b"more")
    reset.wait()
    bench.pause()
    with failing("EPIPE"):
        server.send(b"more")


@CHAPTER.script(
    "reset-half-closed",
    replace(RESET_AFTER_FIN, also={"teardown.reset_by": "responder"}),
    look_for=(
        "An RST needs no FIN before it and no answer after it: FIN-WAIT-2 and CLOSE-WAIT end in CLOSED at once, and "
        "nobody owes TIME-WAIT."
    ),
)
def reset_half_closed(bench: Bench) -> None:
    """The client has closed its direction, and the server aborts instead of closing its own."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause()
    reset = bench.wire.rule("pass first RST from server")
    client.shutdown()
    server.recv()
    bench.pause(DELAYED_ACK_S)
    server.reset()
    reset.wait()
    with failing("ECONNRESET"):
        client.recv()


@CHAPTER.script(
    "reset-syn-received",
    ABANDONED,
    look_for=(
        "close() in SYN-SENT sends nothing. The SYN-ACK meets no socket, so its host answers with an RST of seq=x+1, "
        "and the server, which opened passively, returns to LISTEN (RFC 9293 §3.10.7.4, second)."
    ),
)
def reset_syn_received(bench: Bench) -> None:
    """The client gives up while the SYN-ACK is on the wire; an RST answers it, and the server listens again."""
    listener = bench.server.listen()
    answer = bench.wire.rule("hold every SYN-ACK from server")
    client = bench.client.socket()
    client.connect_start(listener.address)
    answer.wait()
    bench.look()
    client.close()
    reset = bench.wire.rule("pass first RST from client")
    answer.release()
    reset.wait()
    _, port = listener.address
    bench.until(lambda: bench.server.holds("SYN-RECEIVED", port) == 0, "the server has left SYN-RECEIVED")


@CHAPTER.script(
    "blind-reset",
    FOUR_WAY,
    server_outcomes=(replace(FOUR_WAY, also={"resets.0.valid": False, "resets.1.valid": False}),),
    seen_at="server",
    look_for=(
        "Seen at the server: an RST outside the window is dropped; one inside it, but not at RCV.NXT, gets a challenge "
        "ACK (RFC 5961 §3). A client that had sent it would answer that with an RST of the right number; this one "
        "knows nothing of it, and both go on."
    ),
)
def blind_reset(bench: Bench) -> None:
    """Somebody who does not know the numbers forges two RSTs of the client (injected with Scapy): nothing changes."""
    _, client, server = bench.session()
    question = bench.wire.rule("pass first data from client")
    bench.echo(client, server)
    (model,) = question.wait()
    bench.pause(DELAYED_ACK_S)
    bench.wire.send(forged(model, "R", seq=model.end + (1 << 30)), to="server")
    bench.pause()
    challenge = bench.wire.rule("pass first ACK from server")
    bench.wire.send(forged(model, "R", seq=model.end + 1000), to="server")
    challenge.wait()
    bench.echo(client, server)
    bench.close_in_turn(client, server)


@CHAPTER.script(
    "forged-reset",
    ABORTED_BY_SERVER,
    server_outcomes=(ABORTED,),
    seen_at="server",
    look_for=(
        "An RST at exactly RCV.NXT is believed, whoever sent it. The client counts as ESTABLISHED until its next "
        "data are answered by an RST: compare both ends of the wire."
    ),
)
def forged_reset(bench: Bench) -> None:
    """Somebody who has seen the numbers forges an RST of the client (injected with Scapy): the server believes it."""
    _, client, server = bench.session()
    question = bench.wire.rule("pass first data from client")
    bench.echo(client, server)
    (model,) = question.wait()
    bench.pause(DELAYED_ACK_S)
    bench.wire.send(forged(model, "R", seq=model.end), to="server")
    with failing("ECONNRESET"):
        server.recv()
    reset = bench.wire.rule("pass first RST from server")
    client.send(b"more")
    reset.wait()
    with failing("ECONNRESET"):
        client.recv()


@CHAPTER.script(
    "fin-after-reset",
    replace(
        RESET_AFTER_FIN,
        originator=(*OPENED_ACTIVELY, "FIN-WAIT-1", "CLOSED"),
        responder=(*OPENED_PASSIVELY, "CLOSED"),
    ),
    server_outcomes=(replace(ABORTED_BY_SERVER, closed_first="originator"),),
    seen_at="server",
    look_for=(
        "The FIN and the RST cross on the wire: at the client's end the FIN is first, at the server's the RST. There "
        "the FIN meets no connection any more, and a second RST answers it (RFC 9293 §3.10.7.1)."
    ),
)
def fin_after_reset(bench: Bench) -> None:
    """The server aborts while the client's FIN is on its way: the FIN comes after the RST."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    fin = bench.wire.rule("hold first FIN from client")
    resets = bench.wire.rule("pass first 2 RST from server")
    _, port = client.address
    client.close()
    fin.wait()
    server.reset()
    resets.wait()
    bench.until(lambda: bench.client.holds("FIN-WAIT-1", port) == 0, "the RST had ended the client's connection")
    bench.pause()
    fin.release()
    resets.wait(2)
    bench.pause()
