"""Openings that look complete to the client, or in a table of flags, and are not (RFC 9293 §3.10.7.4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST
from handshake_inspect.findings.evidence import RETRANSMISSION_NS, Evidence
from handshake_inspect.findings.rule import ERROR, WARN, rule
from handshake_inspect.tcp.states import Event

#: A capture is taken near the server if the client takes so many times longer to answer than the server.
NEARER = 4


@rule("handshake-invalid", ERROR, example="third-segment-wrong-seq.server.pcap")
def handshake_invalid(e: Evidence) -> Iterator[FindingRows]:
    """The opening looks complete and is not: a number in one of its three segments is wrong.

    What it means. SYN, SYN-ACK and ACK were seen, and one of them does not follow from the others: the SYN-ACK must
    acknowledge the SYN's number plus one, the third segment must have that number and acknowledge the SYN-ACK's number
    plus one. Somebody forges segments without knowing the numbers, or a middlebox changes them.

    Why it matters. The ends do not agree, and no data can pass, though flags alone read SYN, SYN-ACK, ACK. Monitors
    that count those three call it established.

    Reported when. All three were captured, none with all the right numbers took the place of the wrong one, and the
    handshake came to nothing.

    Not reported when. A right segment follows and opens the connection.

    Source. RFC 9293 §3.5, §3.10.7.3, §3.10.7.4. Suricata stream.3whs_wrong_seq_wrong_ack and
    3whs_right_seq_wrong_ack_evasion (also where a right segment follows); Arkime ackSynchronized.
    """
    at = np.flatnonzero(e.handshake("invalid"))
    if not len(at):
        return
    rows, numbers = e.rows, e.numbers
    third = e.first_among(np.flatnonzero(e.plain(ORIGINATOR)))
    at = at[third[at] >= 0]
    own, peer = e.originator[at], e.responder[at]
    seen = third[at]
    answer = np.where(numbers.syn_ack_row[peer] >= 0, numbers.syn_ack_row[peer], numbers.wrong_syn_ack_row[peer])
    said = rows.ack[answer]
    wrong_answer = (numbers.syn_ack_row[peer] < 0) & (answer >= 0) & ((said < 1) | (said > numbers.syn_end[own]))
    wrong_third = (rows.seq[seen] != numbers.syn_end[own]) | (rows.ack[seen] != 1)
    yield from e.found_each(
        (
            (
                ~wrong_answer & wrong_third,
                "the third segment has sequence number {seq:d} and acknowledges {ack:d}, where {want_seq:d} and "
                "{want_ack:d} are right: it opens nothing",
            ),
            (
                wrong_answer,
                "the SYN-ACK acknowledges {answer:d} where {want_seq:d} is right; the client sends an ACK all the same",
            ),
        ),
        at,
        numbers.bare_syn_row[own],
        answer,
        seen,
        seq=e.absolute(at, ORIGINATOR, rows.seq[seen]),
        ack=e.absolute(at, RESPONDER, rows.ack[seen]),
        want_seq=e.absolute(at, ORIGINATOR, numbers.syn_end[own]),
        want_ack=e.absolute(at, RESPONDER, 1),
        answer=e.absolute(at, ORIGINATOR, rows.ack[answer]),
    )


@rule("third-ack-ignored", WARN, example="accept-queue-overflow.pcap")
def third_ack_ignored(e: Evidence) -> Iterator[FindingRows]:
    """The server repeats its SYN-ACK although the third segment was sent.

    What it means. The client is ESTABLISHED, the server still in SYN-RECEIVED. Either the third segment was lost, or
    the listener's accept queue was full: Linux then ignores it and sends the SYN-ACK again. Or the listener has
    TCP_DEFER_ACCEPT: it ignores a third segment without data on purpose, and asks again when it has waited for data
    long enough. Near the server, where a segment has hardly a way to go, it was hardly lost; once the client had sent
    data, the listener did not wait for them.

    Why it matters. What the client sends meanwhile is dropped, and the connection is late by a second or more; with
    TCP_DEFER_ACCEPT nothing is wrong, except that a client which waits for the server to speak waits so long. If it
    happens to many connections of a listener, its program calls accept() too rarely, or its backlog is too small
    (`ss -ltn` shows both, `nstat -az TcpExtListenOverflows` counts).

    Reported when. A SYN-ACK follows the third segment, at least 200 ms after the one before it (a timer sent it), and
    later than one that crossed the third segment on the way can come.

    Not reported when. The SYN-ACK answers a repeated SYN, is a copy made on the way, or crossed the third segment.

    Source. RFC 9293 §3.10.7.4 (fourth: check the SYN bit, SYN-RECEIVED); Linux net/ipv4/tcp_ipv4.c, accept queue full;
    tcp(7), TCP_DEFER_ACCEPT, and Linux tcp_check_req().
    """
    disproved = e.events.disproved
    mine = np.flatnonzero((disproved[:, 3] == Event.RECEIVE_ACK_OF_SYN) & (disproved[:, 2] & 1 == RESPONDER))
    if not len(mine):
        return
    answers = e.syn_ack_rows[e.rows.side[e.syn_ack_rows] == RESPONDER]
    mine = mine[np.isin(disproved[mine, 1], answers)]  # a SYN without ACK disproves it too, if both ends sent one
    if not len(mine):
        return
    first = np.unique(disproved[mine, 2] >> 1, return_index=True)[1]
    third, again, end, _ = disproved[mine][first].T
    at = end >> 1
    # The SYN-ACK before the one that shows it, and how long one of them can have been on its way.
    before = answers[np.maximum(np.searchsorted(answers, again) - 1, 0)]
    waited, later = e.between_ns(before, again), e.between_ns(third, again)
    keep = (waited >= RETRANSMISSION_NS) & (later > e.table["syn_to_syn_ack_ns"][at])
    keep &= e.rows.conn[before] == at  # it may not have been captured
    at, third, again, later = at[keep], third[keep], again[keep], later[keep]
    near = e.table["syn_to_syn_ack_ns"][at] >= 0
    near &= e.table["syn_ack_to_ack_ns"][at] > NEARER * e.table["syn_to_syn_ack_ns"][at]
    data = e.first_among(np.flatnonzero(e.plain(ORIGINATOR) & (e.rows.payload > 0)))[at]
    asked = (data >= 0) & (data < again)
    text = "the SYN-ACK comes again {later:duration} after the third segment, sent {tries:count time} in all: "
    seen = "seen near the server: most likely its accept queue is full"
    yield from e.found_each(
        (
            (near & asked, text + seen),
            (near & ~asked, text + seen + ", or it waits for data (TCP_DEFER_ACCEPT)"),
            (~near & asked, text + "it was lost, or the accept queue is full"),
            (
                ~near & ~asked,
                text + "it was lost, the accept queue is full, or the server waits for data (TCP_DEFER_ACCEPT)",
            ),
        ),
        at,
        third,
        again,
        later=later,
        tries=e.table["syn_ack_retransmissions"][at].astype(np.int64) + 1,
    )


@rule("third-ack-reset", WARN, example="accept-queue-overflow-reset.pcap", needs=RST)
def third_ack_reset(e: Evidence) -> Iterator[FindingRows]:
    """The server answered the third segment with an RST.

    What it means. The server had answered the SYN, and has no place for the connection: its accept queue is full and
    `net.ipv4.tcp_abort_on_overflow` is 1, the SYN cookie in the acknowledgment is not valid (any more), or it had given
    the attempt up.

    Why it matters. connect() has succeeded by then; the program learns of it with its first recv() or send():
    ECONNRESET.

    Reported when. A third segment with the right numbers is answered by an RST without ACK, at the number that it
    acknowledges, and the server sends nothing else.

    Not reported when. The RST has the ACK bit: then the server's program aborts a connection that was open.

    Source. RFC 9293 §3.5.2, §3.10.7.1; RFC 4987 §3.6 (SYN cookies).
    """
    at = np.flatnonzero(e.handshake("abandoned"))
    at = at[e.numbers.ack_row[2 * at] >= 0]
    if not len(at):
        return
    resets = e.events.resets.row
    reset = e.first_among(resets[e.rows.side[resets] == RESPONDER])
    third = e.numbers.ack_row[2 * at]
    at, third = at[reset[at] > third], third[reset[at] > third]
    yield e.found(
        "port {port:d} answers the third segment {after:duration} later with an RST: its accept queue is full, or it "
        "does not know the handshake any more",
        at,
        third,
        reset[at],
        port=e.responder_port(at),
        after=np.maximum(e.between_ns(third, reset[at]), 0),
    )


@rule("opened-only-by-client", WARN, example="syn-cookie-vanished.pcap")
def opened_only_by_client(e: Evidence) -> Iterator[FindingRows]:
    """The client is ESTABLISHED, and nothing shows that the server is: it sent nothing after its SYN-ACK.

    What it means. The third segment came to nothing: it was lost or dropped, and no SYN-ACK followed to show it. With
    SYN cookies the server keeps nothing of an attempt, so it cannot repeat its SYN-ACK; if its accept queue is full
    when the third segment comes, the connection exists at the client alone. Or all segments of the client are lost
    from then on: a firewall lost its state, or a path that only passes small segments.

    Why it matters. A client that waits for the server to speak first waits for ever; one that sends gets a timeout
    after many retries, or an RST.

    Reported when. All three segments were captured, the client goes on after the third for 200 ms (data sent again), or
    is answered with an RST without ACK at the very first number, and the server sent nothing else.

    Not reported when. The server repeats its SYN-ACK (`third-ack-ignored`), or the third segment itself is answered by
    the RST (`third-ack-reset`).

    Source. RFC 9293 §3.5.1 (half-open connections), §3.10.7.1; RFC 4987 §3.6.
    """
    rows, silent = e.rows, _said_only_syn_ack(e)
    if not silent.any():
        return
    third = e.numbers.ack_row[e.originator]
    resets = e.rows_of(silent, e.events.resets.row)
    reset = e.first_among(resets[rows.side[resets] == RESPONDER])
    bare = (reset >= 0) & ((rows.flags[reset] & ACK) == 0) & (rows.seq[reset] == 1)
    data = e.rows_of(silent, np.flatnonzero(e.plain(ORIGINATOR) & (rows.payload > 0)))
    first, last, sent = e.first_among(data), e.last_among(data), e.counted(data)
    again = (sent >= 2) & (last >= 0) & (e.between_ns(first, last) >= RETRANSMISSION_NS) & (reset < 0)
    one = np.flatnonzero(bare)
    yield e.found(
        "the server answers the client with an RST {after:duration} after the third segment, and sent nothing since "
        "its SYN-ACK: it has no such connection",
        one,
        third[one],
        reset[one],
        after=np.maximum(e.between_ns(third[one], reset[one]), 0),
    )
    one = np.flatnonzero(again)
    yield e.found(
        "the client sends {sent:count segment} of data in {during:duration}, and the server nothing since its SYN-ACK: "
        "whether it has the connection is not shown",
        one,
        third[one],
        first[one],
        last[one],
        sent=sent[one],
        during=e.between_ns(first[one], last[one]),
    )


def _said_only_syn_ack(e: Evidence) -> Mask:
    """Say of each connection that looks open whether its server sent nothing but its SYN-ACK. Shape (m,)."""
    rows, numbers, silent = e.rows, e.numbers, e.handshake("three-way")
    if silent.any():
        silent &= rows.of_responders(numbers.ack_row) < 0
    if silent.any():
        silent &= (rows.of_responders(numbers.fin_row) < 0) & (numbers.ack_row[ORIGINATOR::2] >= 0)
    return silent
