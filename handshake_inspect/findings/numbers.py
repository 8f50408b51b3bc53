"""SYN-ACKs and acknowledgments with numbers that do not belong to the connection (RFC 9293 §3.10.7, RFC 5961 §4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.events.numbers import next_of_end
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, running_maximum
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.retries import syn_acks_again
from handshake_inspect.findings.rule import NOTE, WARN, rule


def _wrong_syn_acks(e: Evidence) -> Rows:
    """Return the rows of all SYN-ACKs of ends that sent one with a wrong number, its own or the acknowledged one."""
    if not (e.numbers.wrong_syn_ack_row >= 0).any():
        return e.syn_ack_rows[:0]
    return e.syn_ack_rows[e.numbers.wrong_syn_ack_row[e.rows.end[e.syn_ack_rows]] >= 0]


def _found_refused_or_not(
    e: Evidence, text: str, who: str, refused: Rows, connection: Rows, *rows: Rows, **values: Rows
) -> Iterator[FindingRows]:
    """Make findings whose text goes on with who refused it with an RST, by row `refused`, or that nobody did (-1)."""
    told = ((refused >= 0, f"{text}the {who} refuses it with an RST"), (refused < 0, f"{text}no RST refuses it"))
    yield from e.found_each(told, connection, *rows, refused, **values)


@rule("syn-ack-wrong-ack", WARN, example="old-duplicate-syn.pcap", needs=ACK)
def syn_ack_wrong_ack(e: Evidence) -> Iterator[FindingRows]:
    """A SYN-ACK acknowledges another number than that of the SYN plus one.

    What it means. It answers some other SYN: an old duplicate of an earlier connection of the same sockets, or one that
    was not captured. Or it is forged by somebody who does not know the number, or a middlebox changes numbers in one
    direction only.

    Why it matters. The client refuses it with an RST of just that number and goes on waiting: this is what the third
    segment of the handshake is for. If no right one follows, the connection does not open.

    Reported when. The SYN was captured, and a SYN-ACK acknowledges neither it nor a part of the data on it.

    Not reported when. The SYN was not captured: then nothing says what is right.

    Source. RFC 9293 §3.5 Figure 8, §3.10.7.3 (first). Suricata stream.3whs_synack_with_wrong_ack and
    4whs_synack_with_wrong_ack; Zeek bad_SYN_ack; Arkime synValidated.
    """
    rows, numbers = e.rows, e.numbers
    at = e.shared(_wrong_syn_acks)
    wrong = (rows.ack[at] < 1) | (rows.ack[at] > numbers.syn_end[rows.peer[at]])
    at = at[wrong & (rows.side[at] == RESPONDER) & (numbers.bare_syn_row[rows.peer[at]] >= 0)]
    if not len(at):
        return
    connection, first, _ = e.first_of_each(at)
    refused = e.answered(first, RST, seq=rows.ack[first])
    yield from _found_refused_or_not(
        e,
        "a SYN-ACK acknowledges {ack:d} where {want:d} is right, and ",
        "client",
        refused,
        connection,
        numbers.bare_syn_row[e.originator[connection]],
        first,
        ack=e.absolute(connection, ORIGINATOR, rows.ack[first]),
        want=e.absolute(connection, ORIGINATOR, numbers.syn_end[e.originator[connection]]),
    )


@rule("syn-ack-changed", WARN, example="syn-ack-other-number.pcap", needs=ACK)
def syn_ack_changed(e: Evidence) -> Iterator[FindingRows]:
    """A second SYN-ACK answers the same SYN with another initial number.

    What it means. Two answered one SYN: the SYN was delivered twice and the server had forgotten the first in between
    (an old duplicate, a restart, SYN cookies), two servers share an address, or somebody forges an answer.

    Why it matters. The client believes the one that comes first. It answers the other with a challenge ACK, or, if its
    own connection is over, with an RST. If the forged one comes first, the true server is refused.

    Reported when. A SYN-ACK acknowledges the SYN, and its sequence number is not the one of this connection.

    Not reported when. It acknowledges something else (`syn-ack-wrong-ack`).

    Source. RFC 9293 §3.10.7.3, §3.10.7.4 (fourth); RFC 5961 §4. Suricata stream.3whs_synack_resend_with_diff_seq and
    est_synack_resend_with_diff_seq.
    """
    rows = e.rows
    at = e.shared(_wrong_syn_acks)
    at = at[(rows.side[at] == RESPONDER) & (rows.seq[at] != 0)]
    at = at[(rows.ack[at] >= 1) & (rows.ack[at] <= e.numbers.syn_end[rows.peer[at]])]
    if not len(at):
        return
    connection, first, _ = e.first_of_each(at)
    reset, acked = e.answered(first, RST), e.answered(first, ACK)
    text = "a SYN-ACK for the same SYN has sequence number {seq:d} where the other has {own:d}: "
    yield from e.found_each(
        (
            (reset >= 0, text + "the {who:end} answers with an RST"),
            (acked >= 0, text + "the {who:end} answers with a challenge ACK"),
            ((reset < 0) & (acked < 0), text + "nothing answers it"),
        ),
        connection,
        e.numbers.syn_ack_row[e.responder[connection]],
        first,
        np.maximum(reset, acked),
        seq=e.absolute(connection, RESPONDER, rows.seq[first]),
        own=e.absolute(connection, RESPONDER, 0),
        who=np.full(len(connection), ORIGINATOR),
    )


@rule("syn-ack-in-connection", NOTE, example="late-duplicate-syn-ack.pcap", needs=ACK)
def syn_ack_in_connection(e: Evidence) -> Iterator[FindingRows]:
    """A SYN-ACK came again long after the opening, when data had been acknowledged.

    What it means. The server is ESTABLISHED and has no reason to repeat it: a copy was late on its way, or somebody
    plays it again.

    Why it matters. The client answers it with an ACK, and nothing changes. If it happens often, the network delivers
    copies.

    Reported when. A SYN-ACK with the right numbers follows an acknowledgment of data by its own sender.

    Not reported when. Nothing yet shows that the server had received the third segment: then it is a retransmission
    (`third-ack-ignored`, `syn-ack-retransmitted`).

    Source. RFC 9293 §3.10.7.4 (fourth); RFC 5961 §4. Suricata stream.est_synack_resend.
    """
    rows, numbers = e.rows, e.numbers
    at = e.shared(syn_acks_again)
    at = at[at > numbers.syn_ack_row[rows.end[at]]]
    if not len(at):
        return
    told = e.before(at, numbers.acknowledged_by[RESPONDER])
    connection, late, _ = e.first_of_each(at[told > numbers.syn_end[rows.peer[at]]])
    first = numbers.syn_ack_row[e.responder[connection]]
    copy = (rows.ip_id[late] != 0) & (rows.ip_id[late] == rows.ip_id[first])
    text = "the SYN-ACK comes again {after:duration} after the first: "
    yield from e.found_each(
        ((copy, text + "the same IP packet, delivered late"), (~copy, text + "the opening was over")),
        connection,
        first,
        late,
        after=np.maximum(e.between_ns(first, late), 0),
    )


@rule("syn-ack-from-client", WARN, example="syn-ack-from-client.server.pcap", needs=ACK)
def syn_ack_from_client(e: Evidence) -> Iterator[FindingRows]:
    """The end that had asked for the connection sends a SYN-ACK, though no SYN of the other end asks for one.

    What it means. An end sends SYN-ACK only in answer to a SYN without ACK. A scanner, a forger or an evasion tool
    does this to make observers mistake who is the client.

    Why it matters. The server refuses it with an RST or a challenge ACK and goes on; an observer that goes by the last
    SYN-ACK has client and server the wrong way round.

    Reported when. The sender of the first SYN sends a SYN-ACK, and its peer has sent no SYN without ACK.

    Not reported when. Both ends have sent a SYN (simultaneous open, self-connect).

    Source. RFC 9293 §3.10.7.2, §3.10.7.4 (fourth, fifth). Suricata stream.3whs_synack_toserver_on_syn_recv and
    est_synack_toserver; Zeek connection_originator_SYN_ack.
    """
    rows, numbers = e.rows, e.numbers
    at = e.syn_ack_rows
    at = at[rows.side[at] == ORIGINATOR]
    at = at[~rows.self_connect[rows.conn[at]]]
    at = at[(numbers.bare_syn_row[rows.peer[at]] < 0) & ~numbers.crossing_syn[rows.peer[at]]]
    if not len(at):
        return
    connection, first, count = e.first_of_each(at)
    refused = e.answered(first, RST)
    yield from _found_refused_or_not(
        e,
        "the client, which had asked with a SYN, sends {count:count SYN-ACK}, and ",
        "server",
        refused,
        connection,
        numbers.bare_syn_row[e.originator[connection]],
        first,
        count=count,
    )


@rule("ack-of-unsent", WARN, example="third-segment-wrong-ack.server.pcap", needs=ACK)
def ack_of_unsent(e: Evidence) -> Iterator[FindingRows]:
    """A segment acknowledges what its receiver never sent.

    What it means. Its sender has no such number from its peer: it is forged without knowledge of the numbers, belongs
    to an older connection of the same sockets, or a middlebox changes numbers.

    Why it matters. The receiver drops it, data included: an ESTABLISHED one answers with an ACK of its own numbers, one
    in SYN-RECEIVED with an RST. Data in such a segment are there to be read by observers only.

    Reported when. An acknowledgment lies above all that was captured of its receiver until its sender's next segment,
    and that one takes it back, or nothing but a SYN-ACK of its receiver was captured.

    Not reported when. The sender stays at that number: then the capture has missed what it acknowledges. Nor if what it
    acknowledges is captured a little later: then the segments changed places.

    Source. RFC 9293 §3.10.7.4 (fifth); RFC 5961 §5. Suricata stream.est_invalid_ack, pkt_invalid_ack,
    fin*_invalid_ack, 3whs_right_seq_wrong_ack_evasion; Zeek TCP_ack_underflow_or_misorder; Wireshark
    tcp.analysis.ack_lost_segment (also where the capture only missed something).
    """
    rows = e.rows
    at = np.flatnonzero(((rows.flags & (SYN | RST | ACK)) == ACK) & ~e.numbers.ack_counts)
    if not len(at):
        return
    sent = _sent_until_taken_back(e, at)
    at, above = at[rows.ack[at] > sent], (rows.ack[at] - sent)[rows.ack[at] > sent]
    connection, first, count = e.first_of_each(at)
    off = above[np.searchsorted(at, first)]
    refused = e.answered(first, RST)
    text = (
        "{count:count segment} of the {who:end} with an acknowledgment of what was never sent: {off:octets} above the "
        "next number"
    )
    yield from e.found_each(
        ((refused >= 0, text + ", and an RST answers"), (refused < 0, text)),
        connection,
        first,
        refused,
        count=count,
        who=rows.side[first],
        off=off,
    )


def _sent_until_taken_back(e: Evidence, at: Rows) -> Rows:
    """Return the highest number that the receiver of each row had sent when the row's sender sent its next segment."""
    rows = e.rows
    following = next_of_end(rows, (rows.flags & (SYN | RST | ACK)) == ACK, rows.end[at], at)
    until = np.where(following >= 0, following, rows.start[rows.conn[at] + 1] - 1)
    speech = (rows.flags & RST) == 0
    sent = [running_maximum(rows, rows.seq_end, speech & (rows.side == side))[until] for side in (0, 1)]
    return np.where(rows.peer[at] & 1, sent[RESPONDER], sent[ORIGINATOR])
