"""What went unanswered in the life of a connection, and windows that were closed (RFC 9293 §3.8)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.events.numbers import previous_of_end
from handshake_inspect.connections.folding.repeats import repeats
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.connections.splitting.split import first_among
from handshake_inspect.findings.black_holes import repeated_in_vain, swallowed
from handshake_inspect.findings.closed_windows import closed_windows
from handshake_inspect.findings.evidence import RETRANSMISSION_NS, Evidence
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.plain import mutable

#: From so many retransmissions on they are reported (Suricata's number).
MANY = 10


def _keep_alives(e: Evidence) -> Rows:
    """Find keep-alives: probes of an end of which everything is acknowledged, and whose peer's window is open."""
    rows, at = e.rows, e.probes
    if not len(at):
        return at
    told = np.where(rows.peer[at] & 1, e.numbers.acknowledged_by[1][at], e.numbers.acknowledged_by[0][at])
    at = at[told >= e.sent_before(at)]
    heard = previous_of_end(rows, ~e.is_rst, rows.peer[at], at)
    keep_alives: Rows = at[(heard >= 0) & (rows.window[heard] != 0)]
    return keep_alives


@rule("keep-alive", CHAT, example="keep-alive.pcap", needs=ACK)
def keep_alive(e: Evidence) -> Iterator[FindingRows]:
    """An end asked by keep-alives whether its peer is still there.

    What it means. Nothing had been said for some time, and SO_KEEPALIVE is on: a segment with a number one below the
    next, which the peer must answer with an ACK.

    Why it matters. The program cares for dead peers, or for middleboxes that forget silent connections. The time
    between them says how it is set: Linux asks after two hours unless told otherwise (TCP_KEEPIDLE).

    Reported when. A segment with ACK and at most one octet has the number below the next, all that its end had sent is
    acknowledged, and the peer's window is open.

    Not reported when. The peer's window is closed: then it is a probe of the window (`zero-window`).

    Source. RFC 9293 §3.8.4; RFC 1122 §4.2.3.6; Wireshark tcp.analysis.keep_alive.
    """
    at = e.shared(_keep_alives)
    if not len(at):
        return
    ends, first, count = np.unique(e.rows.end[at], return_index=True, return_counts=True)
    first = at[first]
    yield e.found(
        "{n:count keep-alive} of the {who:end}, the first after {idle:duration} without a segment of its own",
        ends >> 1,
        first,
        who=ends & 1,
        n=count,
        idle=e.between_ns(previous_of_end(e.rows, ~e.is_rst, ends, first), first),
    )


@rule("peer-silent", WARN, example="user-timeout.pcap", needs=ACK)
def peer_silent(e: Evidence) -> Iterator[FindingRows]:
    """An end repeated its data or keep-alives, and to the end of the capture nothing of them was acknowledged.

    What it means. Who is silent altogether is gone, or the path is cut. Who still sends, but acknowledges none of it,
    does not get it: one direction is cut, or these segments are filtered, or too large for the path (RFC 2923).

    Why it matters. The program waits. Linux repeats for about 15 minutes (tcp_retries2) before send() or recv() fails
    with ETIMEDOUT.

    Reported when. The lowest octets that were never acknowledged were sent three times or more, or two or more
    keep-alives came after the peer's last segment; and the peer was captured, so its acknowledgments would be.

    Not reported when. An RST followed (`gave-up` and its neighbours), the FIN alone is repeated (`fin-unacknowledged`),
    the server said nothing but its SYN-ACK (`opened-only-by-client`), the peer's window is closed (`zero-window`), or
    only what is large does not arrive (`mtu-black-hole`).

    Source. RFC 9293 §3.8.1, §3.8.3; RFC 6298 §5; RFC 2923.
    """
    unheeded = _unheeded(e)
    if unheeded is None:
        return
    ends, by_data, first = unheeded.end, unheeded.by_data, unheeded.first
    alike, speaks = _sent_alike(e)[ends], unheeded.heard > first
    repeated = "the {who:end} sent the same {n:octets} {times:d} times in {during:duration}: the {peer:end} "
    from_one = "the {who:end} sent the octet that the {peer:end} expects {times:d} times in {during:duration}: "
    asked = "{times:count keep-alive} of the {who:end} within {during:duration}: the {peer:end} is silent"
    yield from e.found_each(
        (
            (by_data & ~speaks & alike, repeated + "is silent"),
            (by_data & speaks & alike, repeated + "speaks, but never acknowledged them"),
            (by_data & ~speaks & ~alike, from_one + "the {peer:end} is silent"),
            (by_data & speaks & ~alike, from_one + "the {peer:end} speaks, but never acknowledged it"),
            (~by_data, asked),
        ),
        ends >> 1,
        first,
        unheeded.last,
        who=ends & 1,
        peer=e.peer_of(ends) & 1,
        n=e.rows.payload[first],
        times=unheeded.times,
        during=e.between_ns(first, unheeded.last),
    )


@mutable
class _Unheeded:
    """Ends that repeated data or keep-alives, of which nothing was acknowledged; an entry for each."""

    end: Rows
    #: Did it repeat data, or else keep-alives?
    by_data: Mask
    #: The row from which on it did, and its last one; of keep-alives from the last segment of its peer on.
    first: Rows
    last: Rows
    #: The row of its peer's last segment.
    heard: Rows
    times: Rows


def _unheeded(e: Evidence) -> _Unheeded | None:
    """Find them; None if nothing was repeated at all."""
    data, probes = e.shared(repeated_in_vain), e.shared(_keep_alives)
    if not len(data) and not len(probes):
        return None
    end_of = e.rows.end
    sent = np.bincount(end_of[data], minlength=2 * len(e))
    unanswered = probes[probes > e.last_word(e.rows.peer[probes])]
    asked = np.bincount(end_of[unanswered], minlength=2 * len(e))
    ends = np.flatnonzero(((sent > 2) | (asked > 1)) & ~e.shared(swallowed))
    if not len(ends):
        return None
    heard = e.last_word(e.peer_of(ends))
    expected = _is_expected_to_answer(e, ends, heard)
    ends, heard = ends[expected], heard[expected]
    by_data = sent[ends] > 2
    return _Unheeded(
        ends,
        by_data,
        np.where(by_data, e.first_of_end(data)[ends], heard),
        np.where(by_data, e.last_of_end(data)[ends], e.last_of_end(probes)[ends]),
        heard,
        np.where(by_data, sent[ends], asked[ends]),
    )


def _is_expected_to_answer(e: Evidence, ends: Rows, heard: Rows) -> Mask:
    """Is the peer of each of these ends captured, its window open, and no RST sent? `heard`: its last segments."""
    reset = np.zeros(len(e), np.bool_)
    reset[e.resets["connection"][e.resets["valid"] != 0]] = True
    expected: Mask = (heard >= 0) & (e.rows.window[heard] != 0) & ~reset[ends >> 1]
    # Of a server that said nothing but its SYN-ACK the findings about openings speak.
    expected &= (e.numbers.ack_row[e.peer_of(ends)] >= 0) | ~e.handshake("three-way")[ends >> 1]
    return expected


def _sent_alike(e: Evidence) -> Mask:
    """Did each end send the same octets each time, and was none of them acknowledged? Shape (2m,)."""
    rows, at = e.rows, e.shared(repeated_in_vain)
    longest, shortest = np.zeros(2 * len(e), np.int64), np.full(2 * len(e), 1 << 40)
    np.maximum.at(longest, rows.end[at], rows.seq_end[at])
    np.minimum.at(shortest, rows.end[at], rows.seq_end[at])
    alike: Mask = longest == shortest
    alike[rows.end[at[rows.seq[at] < e.finally_acknowledged[rows.peer[at]]]]] = False
    return alike


@rule("zero-window", NOTE, example="zero-window.pcap", needs=ACK)
def zero_window(e: Evidence) -> Iterator[FindingRows]:
    """An end closed its window for long: its program did not read.

    What it means. The receive buffer is full. The peer must wait, and probes now and then whether it has opened. A
    window that stays closed belongs to a program that hangs, or has forgotten the socket.

    Why it matters. The transfer stands still, and not for the network's sake: the receiving program is busy, blocked,
    or its buffer (SO_RCVBUF) is small. As long as probes are answered no timeout applies: attacks on servers use that.

    Reported when. An end said window 0, and opened it no sooner than after 200 ms, in which its peer has to probe; or
    the connection went on for 200 ms and it never opened it.

    Not reported when. One of the ends had closed by then.

    Source. RFC 9293 §3.8.6, §3.8.6.1; RFC 1122 §4.2.2.17; RFC 6429; Wireshark tcp.analysis.zero_window,
    zero_window_probe (there every segment of it).
    """
    zero = (e.rows.window == 0) & ((e.rows.flags & (SYN | RST | FIN | ACK)) == ACK)
    if not zero.any():
        return
    found = closed_windows(e, zero)
    at = np.flatnonzero(found.closed_ns >= RETRANSMISSION_NS)
    if not len(at):
        return
    times = np.bincount(found.end[at], minlength=2 * len(e))
    probes = np.bincount(found.end[at], found.probes[at], 2 * len(e)).astype(np.int64)
    at = at[np.lexsort((-found.closed_ns[at], found.opened[at] >= 0, found.end[at]))]
    at = at[np.unique(found.end[at], return_index=True)[1]]
    end, opened = found.end[at], found.opened[at] >= 0
    once = times[end] == 1
    for_once = "the {who:end} kept its window closed for {closed:duration}: its program did not read"
    again = (
        "the {who:end} kept its window closed {times:count time} for 200 ms or more, up to {closed:duration}: its "
        "program did not read"
    )
    never = (
        "the {who:end} never opened its window again, closed {closed:duration} before the last segment: it reads no "
        "more"
    )
    probed = "; {probes:count probe} of the {peer:end}"
    yield from e.found_each(
        ((opened & once, for_once + probed), (opened & ~once, again + probed), (~opened, never + probed)),
        end >> 1,
        found.first[at],
        found.opened[at],
        who=end & 1,
        peer=e.rows.peer[found.first[at]] & 1,
        times=times[end],
        probes=probes[end],
        closed=found.closed_ns[at],
    )


def below_many(e: Evidence) -> Rows:
    """Find data that begin below what their end had sent before, of the ends that sent data many times. Rows, rising.

    SYNs and probes are none.
    """
    rows, at = e.rows, e.data_rows
    end = rows.end.take(at)
    has_many = np.bincount(end, minlength=2 * len(e)) >= MANY
    if not has_many.any():
        return at[:0]
    at = at[has_many.take(end)]
    at = at[rows.seq.take(at) < e.sent_before(at)]
    below: Rows = at[((rows.flags[at] & SYN) == 0) & ~e.is_probe[at]]
    return below


@rule("many-retransmissions", NOTE)
def many_retransmissions(e: Evidence) -> Iterator[FindingRows]:
    """An end sent many segments again.

    What it means. Segments, or their acknowledgments, are lost on the way, or come so late that its timer runs out.

    Why it matters. Each loss halves the speed or more. Look at the path: a full queue, a bad link, a duplex mismatch.

    Reported when. Ten or more segments of an end bring only octets that were captured before.

    Not reported when. They fill gaps: then they were overtaken, or lost before the capture (`lost-before-capture`).
    Keep-alives and probes of a closed window do not count.

    Source. RFC 9293 §3.8.1; RFC 6298; Suricata "excessive retransmissions" (ten per flow, gaps included).
    """
    rows, again = e.rows, e.shared(below_many)
    often = np.flatnonzero(np.bincount(rows.end[again], minlength=2 * len(e)) >= MANY)
    if not len(often):
        return
    suspect = np.zeros(2 * len(e), np.bool_)
    suspect[often] = True
    # Of an acknowledgment, what was folded into it.
    octets = rows.payload + rows.folded_octets
    at = np.flatnonzero(suspect[rows.end] & (octets > 0) & ((rows.flags & (SYN | RST)) == 0))
    begin = rows.seq[at] - rows.folded_octets[at]
    repeated = at[repeats(rows.end[at], begin, begin + octets[at])]
    repeated = repeated[~e.is_probe[repeated]]
    count = np.bincount(rows.end[repeated], minlength=2 * len(e))[often]
    first = first_among(rows.end, repeated, 2 * len(e))[often]
    many = count >= MANY
    often = often[many]
    sent = np.where(often & 1, e.table["segments_r"][often >> 1], e.table["segments_o"][often >> 1])
    yield e.found(
        "{n:d} of the {sent:d} segments of the {who:end} bring nothing new: they were sent again",
        often >> 1,
        first[many],
        who=often & 1,
        n=count[many],
        sent=sent.astype(np.int64),
    )
