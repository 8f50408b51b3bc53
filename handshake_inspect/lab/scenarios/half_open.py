"""One end has lost its memory, or a SYN comes from the past: why three segments, and why RST (RFC 9293 §3.5)."""

from __future__ import annotations

from dataclasses import replace

from handshake_inspect.lab.bench import DELAYED_ACK_S, Bench, failing
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.checkpoint import OPTIONS, checkpoint, from_before, restored
from handshake_inspect.lab.scenarios.scenario import OPENED_ACTIVELY, OPENED_PASSIVELY, Chapter, Verdict

OPEN = Verdict("three-way", "open", None, OPENED_ACTIVELY, OPENED_PASSIVELY)
ABORTED = Verdict("three-way", "aborted", None, (*OPENED_ACTIVELY, "CLOSED"), (*OPENED_PASSIVELY, "CLOSED"))
ABORTED_BY_CLIENT = replace(ABORTED, also={"teardown.reset_by": "originator"})
ABORTED_BY_SERVER = replace(ABORTED, also={"teardown.reset_by": "responder"})
UNANSWERED = Verdict("unanswered", "none", None, ("CLOSED", "SYN-SENT"), None)
ABANDONED = Verdict("abandoned", "none", None, ("CLOSED", "SYN-SENT", "CLOSED"), ("LISTEN", "SYN-RECEIVED", "LISTEN"))
OPEN_AFTER_OLD_DUPLICATE = replace(
    OPEN,
    responder=("LISTEN", "SYN-RECEIVED", *OPENED_PASSIVELY),
    also={"handshake.syn_retransmissions": 1, "teardown.reset_by": None},
)

#: Of a connection that is older than the capture.
OLD_PORT = 50000

CHAPTER = Chapter("Half-open connections and old duplicates")


@CHAPTER.script(
    "half-open-silent",
    OPEN,
    look_for=(
        "Nothing: that is the point. The server is ESTABLISHED for ever; only data or a keep-alive would find out. A "
        "capture cannot tell a client that is silent from one that is gone."
    ),
)
def half_open_silent(bench: Bench) -> None:
    """The client crashes without a segment (TCP_REPAIR), and the server has nothing to send."""
    listener, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    client.vanish()
    bench.pause(DELAYED_ACK_S)
    _, port = listener.address
    bench.until(lambda: bench.server.holds("ESTABLISHED", port) == 1, "the server is ESTABLISHED alone")


@CHAPTER.script(
    "half-open-data",
    ABORTED_BY_CLIENT,
    look_for=(
        "RFC 9293 Figure 10: the segment meets no connection, so it is answered by an RST of its own ack number, which "
        "is just what the server expects next."
    ),
)
def half_open_data(bench: Bench) -> None:
    """The client crashes (TCP_REPAIR), and the server, which knows nothing of it, sends data: an RST answers."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    client.vanish()
    reset = bench.wire.rule("pass first RST from client")
    server.send(b"more")
    reset.wait()
    with failing("ECONNRESET"):
        server.recv()


@CHAPTER.script(
    "server-crash",
    ABORTED_BY_SERVER,
    look_for=(
        "The port listens again, but a segment with ACK belongs to no LISTEN: RST (RFC 9293 §3.10.7.2, second). The "
        "client's first send() succeeds; it learns of the crash by recv()."
    ),
)
def server_crash(bench: Bench) -> None:
    """The server crashes (TCP_REPAIR) and listens anew; the client's next data are answered by an RST."""
    _, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    server.vanish()
    reset = bench.wire.rule("pass first RST from server")
    client.send(b"more")
    reset.wait()
    with failing("ECONNRESET"):
        client.recv()


@CHAPTER.script(
    "half-open-syn",
    (ABORTED_BY_CLIENT, OPEN),
    look_for=(
        "RFC 9293 Figure 9: the server is ESTABLISHED, so an ACK of the old numbers answers the new SYN (a challenge "
        "ACK). SYN-SENT refuses it by an RST of those numbers, which ends the old connection; the same SYN, sent "
        "again, opens the new one: in the second ladder, of which it is the first segment."
    ),
)
def half_open_syn(bench: Bench) -> None:
    """The client crashes (TCP_REPAIR) and connects anew from the same port, while the server is still ESTABLISHED."""
    listener = bench.server.listen()
    client = bench.client.bound()
    client.connect(listener.address)
    server = listener.accept()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    _, port = client.address
    client.vanish()
    anew = bench.client.bound(port)
    anew.connect(listener.address)
    with failing("ECONNRESET"):
        server.recv()
    bench.echo(anew, listener.accept())
    bench.pause()


@CHAPTER.script(
    "old-duplicate-syn",
    (UNANSWERED, OPEN_AFTER_OLD_DUPLICATE),
    server_outcomes=((ABANDONED, replace(OPEN, also={"handshake.syn_retransmissions": 0})),),
    look_for=(
        "RFC 9293 Figure 8, and why two segments are not enough: the server takes the old SYN for a new one. Its "
        "SYN-ACK acknowledges a number that the client has not sent, an RST sends it back to LISTEN, and only then the "
        "true SYN opens. Linux also sends that SYN again at once; here it is lost."
    ),
)
def old_duplicate_syn(bench: Bench) -> None:
    """A SYN of an attempt that was given up arrives late, before the SYN of the next one from the same port."""
    listener = bench.server.listen()
    old = bench.wire.rule("hold first SYN from client")
    first = bench.client.bound()
    _, port = first.address
    first.connect_start(listener.address)
    old.wait()
    bench.look()
    first.close()
    new = bench.wire.rule("hold first SYN from client")
    client = bench.client.bound(port)
    client.connect_start(listener.address)
    new.wait()
    again = bench.wire.rule("drop every SYN from client")
    reset = bench.wire.rule("hold first RST from client")
    old.release()
    again.wait()
    reset.wait()
    bench.look()
    reset.release()
    until_listening(bench, listener)
    bench.look()
    new.release()
    client.connect_finish()
    bench.echo(client, listener.accept())
    bench.pause()


@CHAPTER.script(
    "old-duplicate-syn-passive",
    ABORTED_BY_CLIENT,
    server_outcomes=((ABORTED_BY_CLIENT, ABANDONED),),
    seen_at="server",
    look_for=(
        "RFC 9293 Figure 11, seen at the server: nothing in the SYN says that it is old. Its SYN-ACK reaches a port "
        "that listens, which answers with an RST as any port without that connection would; both listen as before."
    ),
)
def old_duplicate_syn_passive(bench: Bench) -> None:
    """A duplicate of the SYN of an ended connection arrives when both ends listen at their ports."""
    listener = bench.server.listen()
    old = bench.wire.rule("keep first SYN from client")
    client = bench.client.bound()
    _, port = client.address
    client.connect(listener.address)
    server = listener.accept()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    client.reset()
    with failing("ECONNRESET"):
        server.recv()
    server.close()
    bench.client.listen(port=port)
    reset = bench.wire.rule("pass first RST from client")
    old.release()
    reset.wait()
    until_listening(bench, listener)


def until_listening(bench: Bench, listener: RecordedSocket) -> None:
    """Wait until an RST has sent the server back to LISTEN."""
    _, port = listener.address
    bench.until(lambda: bench.server.holds("SYN-RECEIVED", port) == 0, "the server has left SYN-RECEIVED")


@CHAPTER.script(
    "desynchronized",
    OPEN,
    look_for=(
        "Both ends are ESTABLISHED and agree on no number: the server takes the new octets for old ones, and "
        "acknowledges some that the client, as it is now, has never sent. Each answers what it cannot use with an ACK "
        "(RFC 9293 §3.10.7.4; Linux at most every 0.5 s, or they would never stop); nobody sends an RST."
    ),
)
def desynchronized(bench: Bench) -> None:
    """The client's host is set back to a snapshot (TCP_REPAIR): its numbers lie behind what the server has received."""
    for host in (bench.client, bench.server):
        for option in OPTIONS:
            host.set(option, 0)
    listener, client, server = bench.session()
    bench.echo(client, server)
    bench.pause(DELAYED_ACK_S)
    snapshot = checkpoint(client)
    bench.echo(client, server, b"after the snapshot")
    bench.pause(DELAYED_ACK_S)
    client.vanish()
    sent = bench.wire.rule("pass every data from client")
    restored(bench.client, snapshot).send(b"again")
    sent.wait(2)
    bench.pause()
    ends = ((bench.client, snapshot.local), (bench.server, listener.address))
    bench.until(lambda: all(host.holds("ESTABLISHED", port) == 1 for host, (_, port) in ends), "both are ESTABLISHED")


@CHAPTER.script(
    "reset-alone",
    Verdict("not-captured", "aborted", None, ("CLOSED",), ("CLOSED",), {"teardown.reset_by": "originator"}),
    look_for=(
        "One RST, and nothing before or after it: what it ended lies before the capture. An RST is never answered "
        "(RFC 9293 §3.10.7.1), so nothing tells whether there was a connection at its other end."
    ),
)
def reset_alone(bench: Bench) -> None:
    """The client aborts a connection from before the capture (TCP_REPAIR): an RST, and nothing else."""
    closed = bench.server.bound()
    bench.server.stage.ready(closed.address)
    client = restored(bench.client, from_before((bench.client.ip, OLD_PORT), closed.address))
    reset = bench.wire.rule("pass first RST from client")
    client.reset()
    reset.wait()
    bench.pause()
