"""Where the time goes: to losses, for which a transfer waits or slows down, and to answers that take long."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.events.numbers import previous_of_end
from handshake_inspect.connections.folding.repeats import repeated
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, SYN, UNKNOWN, of_side
from handshake_inspect.connections.steps.sent_again import FAST_RETRANSMIT
from handshake_inspect.findings.evidence import RETRANSMISSION_NS, Evidence
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.findings.silence import MANY, below_many
from handshake_inspect.tcp.time_wait import SECOND_NS

#: A wait that people notice.
LONG_NS = SECOND_NS


def _sent_by_timer(e: Evidence) -> tuple[Rows, Rows]:
    """Find octets that came again after a silence of both ends, and arrived at last; and how long that was.

    What had been acknowledged before is no loss, and what the peer has no room for is a probe of its window.
    """
    rows, at = e.rows, e.data_rows
    at = at[rows.time_ns.take(at) - rows.time_ns.take(at - 1) >= RETRANSMISSION_NS]
    at = at[(rows.seq[at] < e.sent_before(at)) & ((rows.flags[at] & SYN) == 0)]
    if not len(at):
        return at, at
    silent_ns = e.between_ns(at - 1, at)
    told = of_side(rows.peer_side[at], [e.before(at, one) for one in e.numbers.acknowledged_by])
    waited = (silent_ns >= RETRANSMISSION_NS) & (told < rows.seq_end[at]) & ~e.is_probe[at]
    waited &= e.finally_acknowledged[rows.peer[at]] >= rows.seq_end[at]
    at, silent_ns = at[waited], silent_ns[waited]
    heard = previous_of_end(rows, ~e.is_rst, rows.peer[at], at)
    takes = (heard >= 0) & (rows.window[np.maximum(heard, 0)] != 0)
    return at[takes], silent_ns[takes]


@rule("retransmission-stall", NOTE, example="mtu-black-hole-probed.pcap", needs=ACK)
def retransmission_stall(e: Evidence) -> Iterator[FindingRows]:
    """A connection stood still until an end's timer ran out, and it sent octets again.

    What it means. A segment was lost, and nothing behind it told the sender so: it was the last one of a message, or
    the later ones were lost too, or its repetition. Then only the timer helps, and each time in vain it waits twice as
    long.

    Why it matters. This is the time that users notice: some losses cost nothing, as duplicate ACKs repair them within
    a round trip, and one at the end of a request costs a second. Look for what loses segments; the servers are not
    slow.

    Reported when. Octets that were sent before, or that fill a gap, came after 200 ms or more in which neither end
    sent anything, were acknowledged only later, and all these silences together last 1 s or more.

    Not reported when. They were never acknowledged (`peer-silent`, `gave-up`), had been before, are SYN or FIN alone
    (`syn-retransmitted`, `fin-retransmitted`), or the peer's window was closed (`zero-window`).

    Source. RFC 6298 §5; RFC 5681 §3.2; Wireshark tcp.analysis.rto.
    """
    at, silent_ns = e.shared(_sent_by_timer)
    if not len(at):
        return
    end = e.rows.end[at]
    total_ns, longest_ns = np.zeros(2 * len(e), np.int64), np.zeros(2 * len(e), np.int64)
    np.add.at(total_ns, end, silent_ns)
    np.maximum.at(longest_ns, end, silent_ns)
    times = np.bincount(end, minlength=2 * len(e))
    first, last = e.first_of_end(at), e.last_of_end(at)
    concerned = np.flatnonzero(total_ns >= LONG_NS)
    times, total_ns, longest_ns = times[concerned], total_ns[concerned], longest_ns[concerned]
    first, last = first[concerned], last[concerned]
    once = times == 1
    yield from e.found_each(
        (
            (
                once,
                "nothing was sent for {total:duration}, until the {who:end} sent {n:octets} again: its timer had run "
                "out",
            ),
            (
                ~once,
                "nothing was sent {times:count time} for {total:duration} in all, up to {longest:duration}, until the "
                "{who:end} sent octets again: its timer had run out",
            ),
        ),
        concerned >> 1,
        first,
        np.where(once, -1, last),
        who=concerned & 1,
        n=e.rows.payload[first],
        times=times,
        total=total_ns,
        longest=longest_ns,
    )


@rule("hole-not-filled", WARN, needs=ACK)
def hole_not_filled(e: Evidence) -> Iterator[FindingRows]:
    """Octets of an end never came, later ones did, and to the end the receiver waits for the missing ones.

    What it means. Seen near the receiver: something on the way loses just these octets each time that they are sent,
    while others pass. They are too large for a link (RFC 2923), or a filter or a faulty box does not like what they
    hold. It is no fault of the capture: the receiver would have acknowledged what had come.

    Why it matters. The receiving program gets nothing, though later octets are there: TCP hands them over in order.
    Near the sender the same looks like `peer-silent`, of an end that speaks.

    Reported when. Octets behind a hole were captured, none of the first one that the receiver lacks, and it said that
    it lacks that for 1 s, or three times within 200 ms or more, since the first octets behind it came.

    Not reported when. The missing octets were captured, be it often (`peer-silent`, `mtu-black-hole`), or they came in
    the end.

    Source. RFC 9293 §3.4, §3.10.7.4; RFC 5681 §3.2; RFC 2923; Wireshark tcp.analysis.lost_segment.
    """
    rows, ends = e.rows, 2 * len(e)
    at = rows.rows_of(e.unacknowledged)
    at = at[~e.is_rst[at]]
    lacks = e.finally_acknowledged[rows.peer[at]]
    beyond = at[(lacks > UNKNOWN) & (rows.seq[at] > lacks) & (rows.payload[at] > 0)]
    if not len(beyond):
        return
    came = np.zeros(ends, np.bool_)
    came[rows.end[at[(rows.seq[at] <= lacks) & (rows.seq_end[at] > lacks)]]] = True
    first, lowest = e.first_of_end(beyond), np.full(ends, 1 << 40)
    np.minimum.at(lowest, rows.end[beyond], rows.seq[beyond])
    asks = at[e.numbers.ack_counts[at] & (rows.ack[at] == e.finally_acknowledged[rows.end[at]])]
    asks = asks[(first[rows.peer[asks]] >= 0) & (asks > first[rows.peer[asks]])]
    concerned = np.flatnonzero((first >= 0) & ~came & (e.first_of_end(asks)[e.peer_of(np.arange(ends))] >= 0))
    peer = e.peer_of(concerned)
    times = np.bincount(rows.end[asks], minlength=ends)[peer]
    waited_ns = e.between_ns(e.first_of_end(asks)[peer], e.last_of_end(asks)[peer])
    waits = (waited_ns >= LONG_NS) | ((waited_ns >= RETRANSMISSION_NS) & (times >= FAST_RETRANSMIT))
    concerned, peer = concerned[waits], peer[waits]
    yield e.found(
        "{n:octets} of the {who:end} never came, but later ones, {k:count segment} in all: the {peer:end} said "
        "{times:d} times within {during:duration} that it waits for them, to the end",
        concerned >> 1,
        first[concerned],
        e.last_of_end(asks)[peer],
        who=concerned & 1,
        peer=peer & 1,
        n=lowest[concerned] - e.finally_acknowledged[peer],
        k=np.bincount(rows.end[beyond], minlength=ends)[concerned],
        times=times[waits],
        during=waited_ns[waits],
    )


@rule("lost-before-capture", NOTE, needs=ACK)
def lost_before_capture(e: Evidence) -> Iterator[FindingRows]:
    """Many segments of an end came late, after several that follow them: they were lost, and sent again.

    What it means. They are lost on the way from their sender to the place of the capture: the first copy of each is
    only a gap here, and the second one fills it. Captured near the sender the same is `many-retransmissions`.

    Why it matters. Each loss slows the sender down. It says where to look: not between the capture and the receiver.

    Reported when. Ten or more segments of an end fill a gap, when three times as many octets behind them had come: so
    many tell a sender that a segment is lost, not only overtaken.

    Not reported when. They come sooner: then segments may have overtaken each other. Paths that mix segments up so much
    are rare.

    Source. RFC 5681 §3.2; RFC 4737 §5; Wireshark tcp.analysis.lost_segment, out_of_order; Suricata "excessive
    retransmissions", which counts these too.
    """
    rows, at, ends = e.rows, e.shared(below_many), 2 * len(e)
    late_by = e.sent_before(at) - rows.seq_end[at]
    at = at[late_by >= FAST_RETRANSMIT * rows.payload[at]]
    if len(at) < MANY:
        return
    at = at[~repeated(rows)[at]]
    count = np.bincount(rows.end[at], minlength=ends)
    concerned = np.flatnonzero(count >= MANY)
    sent = np.where(concerned & 1, e.table["segments_r"][concerned >> 1], e.table["segments_o"][concerned >> 1])
    yield e.found(
        "{n:d} of the {sent:d} segments of the {who:end} fill gaps, after three or more that follow them: lost on "
        "their way to this capture, and sent again",
        concerned >> 1,
        e.first_of_end(at)[concerned],
        who=concerned & 1,
        n=count[concerned],
        sent=sent.astype(np.int64),
    )


@rule("slow-answer", CHAT, needs=ACK, by_times=True)
def slow_answer(e: Evidence) -> Iterator[FindingRows]:
    """The server's first octets came late, though all that the client had sent was acknowledged.

    What it means. The server's kernel has the request, and its program takes its time: it computes, waits for a
    database, or has not accepted the connection yet, which the kernel does not wait for. A server that speaks first
    often looks up the client's name before it does (DNS).

    Why it matters. It tells a slow server from a slow network: the acknowledgment shows what the way there and back
    takes, the rest is the program's. It is the server's log that goes on from here.

    Reported when. Neither end sent anything for 1 s or more before the server's first octets, the client's window was
    open, and the server had acknowledged all octets of the client. If there were none: 1 s more than the handshake
    took.

    Not reported when. Later answers are slow: only the first one of a connection is looked at. The first copy of an
    answer may also have been lost where it was not captured: near the server that can be told.

    Source. RFC 9293 §3.8.6.3; RFC 1122 §4.2.3.2.
    """
    rows, client, server = e.rows, e.originator, e.responder
    answer = e.data_row[server]
    silent_ns = rows.time_ns.take(answer) - rows.time_ns.take(np.maximum(answer, 1) - 1)
    late = (answer > 0) & (silent_ns >= LONG_NS) & ~rows.self_connect
    if not late.any():
        return
    late &= e.handshake("three-way", "fast-open", "partial")
    client, answer = client[late], answer[late]
    silent_ns = e.between_ns(answer - 1, answer)
    sent, told = (e.before(answer, one) for one in (e.sent[ORIGINATOR], e.numbers.acknowledged_by[RESPONDER]))
    heard = previous_of_end(rows, ~e.is_rst, client, answer)
    late = (silent_ns >= LONG_NS) & (told >= sent) & (sent > UNKNOWN) & (heard >= 0)
    late &= (rows.window[np.maximum(heard, 0)] != 0) & (rows.seq[answer] <= 1)
    asked = (e.data_row[client] >= 0) & (e.data_row[client] < answer)
    # Seen from the client the octets come a round trip after its third segment, however fast the server is.
    opening_ns = e.between_ns(rows.start[client >> 1], answer - 1)
    unasked = late & ~asked & (opening_ns >= 0) & (silent_ns - opening_ns >= LONG_NS)
    late &= asked & (rows.side[answer - 1] == RESPONDER)
    text, behind = "the server's first octets came {silent:duration} after ", ": its program took so long"
    yield from e.found_each(
        (
            (late, f"{text}it had acknowledged the client's request{behind}"),
            (unasked, f"{text}the opening, before the client said anything{behind}"),
        ),
        client >> 1,
        answer - 1,
        answer,
        silent=silent_ns,
    )
