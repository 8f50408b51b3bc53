"""How openings failed, or took another form than SYN, SYN-ACK, ACK (RFC 9293 §3.5).

The rules `unanswered` and `half-open` are in the module `unanswered`, because they look at other connections too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ORIGINATOR, RESPONDER, RST
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import NOTE, WARN, rule
from handshake_inspect.table import frame_numbers
from handshake_inspect.tcp.icmp import words


@rule("refused", NOTE, example="refused.pcap", needs=RST)
def refused(e: Evidence) -> Iterator[FindingRows]:
    """An RST answered the SYN: nobody listens at the port.

    What it means. The host is there, and no socket listens at that address and port; or a firewall answers in its name.
    A closed port sends RST,ACK with sequence number 0 and, on every common system, a window of 0.

    Why it matters. connect() fails at once with ECONNREFUSED. The program does not run, listens at another address or
    port, or its listener was closed.

    Reported when. An RST that acknowledges the SYN is the only answer to it. Numbers other than 0 are named: they
    speak for something else than the kernel of that host.

    Not reported when. A SYN-ACK came first (`abandoned`), or the RST does not acknowledge the SYN.

    Source. RFC 9293 §3.5.2, §3.10.7.1, §3.10.7.3. Zeek conn_state REJ.
    """
    at = np.flatnonzero(e.handshake("refused"))
    if not len(at):
        return
    rows = e.rows
    syn = e.numbers.bare_syn_row[ORIGINATOR::2]
    resets = e.events.resets.row
    reset = e.first_among(resets[rows.side[resets] == RESPONDER])
    at = at[(syn[at] >= 0) & (reset[at] >= 0)]
    first, answer = syn[at], reset[at]
    number = (rows.seq[answer] + rows.iss[at, RESPONDER]) & 0xFFFFFFFF
    window = rows.window[answer].astype(np.int64)
    text = "port {port:d} refused the connection {after:duration} after the SYN"
    with_both = ", with sequence number {number:d} and window {window:d} in its RST where a closed port sends 0 and 0"
    with_number = ", with sequence number {number:d} in its RST where a closed port sends 0"
    with_window = ", with window {window:d} in its RST where a closed port sends 0"
    yield from e.found_each(
        (
            ((number == 0) & (window == 0), text + ": RST,ACK, as a closed port does"),
            ((number != 0) & (window == 0), text + with_number),
            ((number == 0) & (window != 0), text + with_window),
            ((number != 0) & (window != 0), text + with_both),
        ),
        at,
        first,
        answer,
        port=e.responder_port(at),
        after=np.maximum(e.between_ns(first, answer), 0),
        number=number,
        window=window,
    )


@rule("unreachable", NOTE, example="unreachable.pcap")
def unreachable(e: Evidence) -> Iterator[FindingRows]:
    """An ICMP error answered the SYN: it did not reach a socket.

    What it means. A router has no route, or the last one got no answer to its ARP or neighbour solicitation (host
    unreachable); or a filter rejects the connection (administratively prohibited, port unreachable from the host).

    Why it matters. connect() fails with EHOSTUNREACH or ENETUNREACH, on Linux at once; other systems go on trying,
    as TCP must for errors that may pass.

    Reported when. Such an error quotes the SYN, and nothing else answers it.

    Not reported when. The host answers as well; or the error is about the size of packets, or a redirect.

    Source. RFC 9293 §3.9.2.2; RFC 5461 §2, §4; RFC 792; RFC 4443 §3.
    """
    at = np.flatnonzero(e.handshake("unreachable"))
    if not len(at):
        return
    errors = e.verdicts.icmp_errors
    answers = np.flatnonzero((errors["answers_syn"] != 0) & np.isin(errors["connection"], at))
    connection, first = np.unique(errors["connection"][answers], return_index=True)
    answer, syn = answers[first], e.numbers.bare_syn_row[e.originator[connection]]
    after = np.where(syn >= 0, errors["time_ns"][answer] - e.rows.time_ns[syn], 0)
    itself = errors["from_hi"][answer] == e.of_responder("hi", connection)
    itself &= errors["from_lo"][answer] == e.of_responder("lo", connection)
    messages, which = errors.messages(answer)
    for number, message in enumerate(messages):
        for sender, who in ((itself, "the server itself"), (~itself, "a router on the way")):
            one = np.flatnonzero((which == number) & sender)
            yield FindingRows(
                f"ICMP {words(*message)} from {who}, {{after:duration}} after the SYN to port {{port:d}}",
                connection[one],
                (e.frames(syn[one]), frame_numbers(errors["capture"][answer[one]], errors["frame"][answer[one]])),
                {"after": np.maximum(after[one], 0), "port": e.responder_port(connection[one])},
            )


@rule("syn-answered-by-syn", WARN, example="syn-answered-by-syn.pcap")
def syn_answered_by_syn(e: Evidence) -> Iterator[FindingRows]:
    """A SYN without ACK answered the SYN, and the opening went no further.

    What it means. Both ends have sent a SYN that acknowledges nothing, as in a simultaneous open; but then each sends
    SYN-ACK, and here one does not. The answer comes of a broken stack or generator, or a middlebox cleared its ACK bit.

    Why it matters. Neither end becomes ESTABLISHED: SYN-RECEIVED waits for an acknowledgment of its own SYN.

    Reported when. A SYN without ACK of each end was captured, neither repeats an older connection's, and the handshake
    is not complete.

    Not reported when. The handshake is complete (`simultaneous-open`).

    Source. RFC 9293 §3.5 Figure 7, §3.10.7.3 (fourth). Zeek repeated_SYN_reply_wo_ack.
    """
    at, bare = np.flatnonzero(e.handshake("half-open", "invalid")), e.numbers.bare_syn_row
    at = at[(bare[2 * at] >= 0) & (bare[2 * at + 1] >= 0)]
    if not len(at):
        return
    asked, answered = bare[2 * at], bare[2 * at + 1]
    yield e.found(
        "the server answers the SYN {after:duration} later with a SYN without ACK, and no SYN-ACK follows",
        at,
        asked,
        answered,
        after=np.maximum(e.between_ns(asked, answered), 0),
    )


@rule("simultaneous-open", NOTE, example="simultaneous-open.pcap")
def simultaneous_open(e: Evidence) -> Iterator[FindingRows]:
    """Both ends asked for the connection at the same time, and both SYNs made one connection.

    What it means. Each program called connect() from the port to which the other one connected, so the SYNs crossed.
    Programs that pass a NAT by hole punching do that on purpose (RFC 5128 §3.4).

    Why it matters. It is legal and rare. There is no client and no listener; firewalls that know only SYN, SYN-ACK, ACK
    block it.

    Reported when. Both ends sent a SYN without ACK, and the connection opened.

    Not reported when. Both sockets are the same (`self-connect`).

    Source. RFC 9293 §3.5 Figure 7. Zeek simultaneous_open; Suricata stream.4whs_* (only where its numbers are wrong).
    """
    at = np.flatnonzero(e.handshake("simultaneous-open"))
    if not len(at):
        return
    one, other = e.numbers.bare_syn_row[e.originator][at], e.numbers.bare_syn_row[e.originator + 1][at]
    yield e.found(
        "the SYNs of both ends crossed, {after:duration} apart: one connection, opened by both",
        at,
        one,
        other,
        after=np.maximum(e.between_ns(one, other), 0),
    )


@rule("self-connect", WARN, example="self-connect.pcap")
def self_connect(e: Evidence) -> Iterator[FindingRows]:
    """A socket connected to itself: both ends have the same address and port.

    What it means. A program called connect() to a port of its own host in the range of ephemeral ports, at which nobody
    listened, and its kernel happened to choose that very port for the socket: its SYN met itself, as in a simultaneous
    open. This happens sooner or later to a client that retries in a loop.

    Why it matters. The program takes the connection for one to the server, and reads back what it writes. The server
    cannot listen at its port while this lasts: EADDRINUSE.

    Reported when. Both sockets are equal, and the connection opened.

    Not reported when. The SYN got no answer.

    Source. RFC 9293 §3.5 Figure 7, §3.9.1.1.
    """
    at = np.flatnonzero(e.handshake("self-connect"))
    if not len(at):
        return
    yield e.found(
        "port {port:d} is connected to itself: nobody listened there, and the client was given that port as its own",
        at,
        e.numbers.bare_syn_row[e.originator][at],
        port=e.responder_port(at),
    )
