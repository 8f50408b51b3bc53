"""How connections closed: FINs that came again or were never answered, and ends that stay open for long.

Read RFC 9293 §3.6 (Figures 12 and 13), §3.8.1 (retransmission) and §3.10.7.4 (eighth: check the FIN bit).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.connections.found import Found
from handshake_inspect.connections.moments import Mask, Rows
from handshake_inspect.connections.numbers import next_of_end, previous_of_end
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.tcp.time_wait import SECOND_NS

#: An acknowledgment that takes longer is lost: RFC 6298 §2.4 lets nobody send again sooner.
UNANSWERED_NS = SECOND_NS
#: Nobody sends a FIN again sooner: TCP_RTO_MIN of Linux.
COPY_NS = SECOND_NS // 5
#: No system repeats a FIN so often: Linux sends at most 16 (tcp_retries2 = 15).
STORM_FINS = 17
#: A program that reads the end of the stream closes at once, or sends what it still has.
HELD_NS = 10 * SECOND_NS
#: The shortest time after which a system gives up FIN-WAIT-2 by default: Linux, tcp_fin_timeout.
FIN_WAIT_2_NS = 60 * SECOND_NS


@rule("fin-unacknowledged", WARN)
def fin_unacknowledged(e: Evidence) -> Iterator[Found]:
    """A FIN was sent, and until the capture ends nothing acknowledges it.

    What it means. The other end is gone, or what it sends is lost: its sender stays in FIN-WAIT-1, CLOSING or LAST-ACK
    and repeats the FIN. Octets that the FIN follows may be missing there as well.

    Why it matters. The sender does not know whether its last octets arrived. Linux repeats the FIN of a closed socket
    about 8 times (tcp_orphan_retries), then it drops the connection without a word.

    Reported when. The other end was captured, its acknowledgments stay below the FIN, and the capture went on for at
    least 1 s after the FIN (RFC 6298 §2.4), or the FIN was repeated.

    Not reported when. An RST ended the connection; only one end was captured; copies that the network made (the same
    IP ID) are no repetition.

    Source. RFC 9293 §3.6, §3.8.1; RFC 6298 §2.
    """
    stuck = e.teardown("incomplete")
    if not stuck.any():
        return
    numbers, rows = e.numbers, e.rows
    ends = np.flatnonzero(np.repeat(stuck, 2) & (numbers.fin_row >= 0))
    ends = ends[e.finally_acknowledged[e.peer_of(ends)] < numbers.fin_end[ends]]
    first = numbers.fin_row[ends]
    tries = np.bincount(rows.end[_sent_fins(e, stuck)], minlength=2 * len(e))[ends]
    last = e.last_of_end(numbers.is_fin)[ends]
    waited = e.until_end_ns(first)
    behind = np.maximum(numbers.fin_end[ends] - 1 - np.maximum(e.finally_acknowledged[e.peer_of(ends)], 1), 0)
    text = "{tries:count FIN} of the {who:end} in {waited:duration}, until the capture ends: none is acknowledged"
    for some, words in ((behind == 0, text), (behind > 0, f"{text}, nor are {{behind:octets}} sent before it")):
        at = np.flatnonzero(some & ((waited >= UNANSWERED_NS) | (tries > 1)))
        yield e.found(
            words,
            ends[at] >> 1,
            first[at],
            last[at],
            who=ends[at] & 1,
            tries=tries[at],
            waited=waited[at],
            behind=behind[at],
        )


def _sent_fins(e: Evidence, concerned: Mask) -> Rows:
    """Return the FINs that the ends of these connections sent, without copies that the network made.

    A copy has the number and the IP ID of another one shortly before; an IP ID of 0 tells nothing (RFC 6864 §4.1).
    """
    rows, numbers = e.rows, e.numbers
    at = np.flatnonzero(numbers.is_fin & concerned[rows.conn])
    columns = (rows.seq_end[at], rows.flags[at].astype(np.int64), rows.ip_id[at].astype(np.int64), rows.end[at])
    order = np.lexsort((at, *columns))
    earlier, later = at[order[:-1]], at[order[1:]]
    passed = e.between_ns(earlier, later)
    same = np.logical_and.reduce([column[order[1:]] == column[order[:-1]] for column in columns])
    same &= (rows.ip_id[later] != 0) & (passed >= 0) & (passed < COPY_NS)
    sent: Rows = np.setdiff1d(at, later[same])
    return sent


def _again(e: Evidence) -> Rows:
    """Return the FINs that an end sent again: the number of its first one, later, and no copy.

    In CLOSING some systems set FIN in the segment that first acknowledges the peer's FIN: that repeats nothing.
    """
    if not e.table["fin_retransmissions"].any():
        return np.zeros(0, np.int64)
    at, numbers = _sent_fins(e, e.table["fin_retransmissions"] > 0), e.numbers
    end = e.rows.end[at]
    again: Rows = at[
        (at > numbers.fin_row[end]) & (e.rows.seq_end[at] == numbers.fin_end[end]) & (at != e.fin_ack_row[end])
    ]
    return again


def _was_acknowledged(e: Evidence, again: Rows) -> Mask:
    """Had the peer acknowledged each of these FINs before it came again?"""
    acknowledged = e.fin_ack_row[e.rows.peer[again]]
    found: Mask = (acknowledged >= 0) & (acknowledged < again)
    return found


def _is_last(e: Evidence, again: Rows) -> Mask:
    """Was the acknowledgment of each of these FINs the last one: had both FINs been acknowledged before it came again?

    Then only TIME-WAIT can answer it.
    """
    own = e.fin_ack_row[e.rows.end[again]]
    found: Mask = _was_acknowledged(e, again) & (own >= 0) & (own < again) & ~e.rows.self_connect[e.rows.conn[again]]
    return found


@rule("fin-retransmitted", NOTE, example="lost-fin.pcap")
def fin_retransmitted(e: Evidence) -> Iterator[Found]:
    """A FIN was sent again before it was acknowledged, or although it had been.

    What it means. Where no acknowledgment was captured before the FIN came again, the FIN was lost behind the capture,
    or its acknowledgment before it, or the other end was slow. Where one was captured, it was lost on its further way,
    or had not arrived yet.

    Why it matters. Closing takes a retransmission timeout longer: at least 200 ms on Linux, doubled each time.

    Reported when. An end sends a FIN with the number of its first one again, and is acknowledged at last.

    Not reported when. It is a copy that the network made (the same IP ID); it was never acknowledged
    (`fin-unacknowledged`); it is the acknowledgment of the last FIN that was lost (`lost-last-ack`); it
    came too often (`fin-storm`); it is the segment that first acknowledges the peer's FIN, which crossed it.

    Source. RFC 9293 §3.8.1; RFC 6298 §2, §5. tcptrace counts FINs per side, copies of the network included.
    """
    again = _again(e)
    again = again[~_is_last(e, again)]
    if not len(again):
        return
    rows, numbers = e.rows, e.numbers
    ends, times = np.unique(rows.end[again], return_counts=True)
    some = (e.fin_ack_row[e.peer_of(ends)] >= 0) & (times < STORM_FINS)
    ends, times = ends[some], times[some]
    chosen = np.zeros(len(rows), np.bool_)
    chosen[again] = True
    first, last = e.first_of_end(chosen)[ends], e.last_of_end(chosen)[ends]
    answer = e.fin_ack_row[e.peer_of(ends)]
    had_one = answer < first
    after = e.between_ns(numbers.fin_row[ends], first)
    for some, why in (
        (had_one, "though it had been acknowledged: that acknowledgment was lost, or was on its way"),
        (~had_one, "before an acknowledgment came: the FIN was lost, or its acknowledgment, or that was slow"),
    ):
        at = np.flatnonzero(some & (after >= 0))
        yield e.found(
            "the {who:end} sent its FIN again after {after:duration} ({times:count time} in all), " + why,
            ends[at] >> 1,
            numbers.fin_row[ends[at]],
            first[at],
            last[at],
            who=ends[at] & 1,
            after=after[at],
            times=times[at],
        )


@rule("lost-last-ack", NOTE, example="lost-last-ack.pcap")
def lost_last_ack(e: Evidence) -> Iterator[Found]:
    """The acknowledgment of the last FIN did not arrive in time: the FIN came again, into TIME-WAIT.

    What it means. Both FINs had been acknowledged, and the second one came again. Its sender is still in LAST-ACK, so
    the last ACK was lost behind the capture or came too late. The end in TIME-WAIT is there for that: it acknowledges
    the FIN once more, and its 2 MSL begin anew.

    Why it matters. It is what TIME-WAIT is for. Had its owner forgotten the connection, it would answer with an RST,
    and the other end's close would end in an error.

    Reported when. A FIN comes again after both FINs were acknowledged.

    Not reported when. It is a copy that the network made (the same IP ID).

    Source. RFC 9293 §3.6.1, §3.10.7.4 (eighth, TIME-WAIT).
    """
    again = _again(e)
    again = again[_is_last(e, again)]
    if not len(again):
        return
    rows = e.rows
    ends, place = np.unique(rows.end[again], return_inverse=True)
    times = np.bincount(place)
    first, last = np.full(len(ends), len(rows)), np.zeros(len(ends), np.int64)
    np.minimum.at(first, place, again)
    np.maximum.at(last, place, again)
    owner = e.peer_of(ends)
    answers = np.flatnonzero(e.acknowledges_fin & np.isin(rows.end, owner))
    late = np.zeros(2 * len(e), np.int64)
    late[owner] = first
    answered = np.bincount(rows.end[answers[answers > late[rows.end[answers]]]], minlength=2 * len(e))[owner]
    yield e.found(
        "the {who:end}'s FIN came again {since:duration} after it was acknowledged ({times:count time} in all): the "
        "last ACK was lost, or late. TIME-WAIT of the {owner:end} acknowledged it again: {answered:count time}",
        ends >> 1,
        e.fin_ack_row[owner],
        first,
        last,
        who=ends & 1,
        owner=owner & 1,
        since=np.maximum(e.between_ns(e.fin_ack_row[owner], first), 0),
        times=times,
        answered=answered,
    )


@rule("half-close", CHAT, example="half-close.pcap")
def half_close(e: Evidence) -> Iterator[Found]:
    """One end closed its direction, and the other one still sent octets, which were taken.

    What it means. The first end called shutdown(SHUT_WR): it had nothing more to send, and went on reading. Its FIN
    closes one direction only.

    Why it matters. It is legal, and old: the way to say "that was my whole request". A close() looks the same on the
    wire until the other end sends: its octets would then be answered by an RST.

    Reported when. After an end has acknowledged its peer's FIN it sends octets, and the peer acknowledges them.

    Not reported when. Nobody acknowledges them, or an RST does.

    Source. RFC 9293 §3.6, §3.9.1.4.
    """
    answer, numbers, rows = e.fin_ack_row, e.numbers, e.rows
    last = e.last_of_end(e.is_data)
    ends = np.flatnonzero((answer >= 0) & (last > answer) & ~np.repeat(rows.self_connect, 2))
    ends = ends[e.finally_acknowledged[e.peer_of(ends)] > rows.seq_end[answer[ends]]]
    if not len(ends):
        return
    before = np.flatnonzero(np.isin(rows.end, ends) & ~e.is_rst)
    before = before[before <= answer[rows.end[before]]]
    sent = np.zeros(2 * len(e), np.int64)
    np.maximum.at(sent, rows.end[before], (rows.seq_end - e.is_fin)[before])
    closer = e.peer_of(ends)
    limit = np.where(numbers.fin_row[ends] >= 0, numbers.fin_end[ends] - 1, e.finally_acknowledged[closer])
    taken = np.minimum(e.finally_acknowledged[closer], limit) - sent[ends]
    ends, closer, taken = ends[taken > 0], closer[taken > 0], taken[taken > 0]
    yield e.found(
        "the {who:end} closed its direction, and took {taken:octets} that the {other:end} sent in the {after:duration} "
        "after it had acknowledged that",
        ends >> 1,
        numbers.fin_row[closer],
        last[ends],
        who=closer & 1,
        other=ends & 1,
        taken=taken,
        after=np.maximum(e.between_ns(answer[ends], last[ends]), 0),
    )


@rule("half-closed-at-end", CHAT, example="half-closed.pcap")
def half_closed_at_end(e: Evidence) -> Iterator[Found]:
    """One direction is closed and acknowledged, the other one is open when the capture ends.

    What it means. The end that closed is in FIN-WAIT-2, the other one in CLOSE-WAIT: it may still send, and has not
    called close().

    Why it matters. It is legal for as long as the other end has something to send. Where the first end called close(),
    and not shutdown(), its kernel waits in FIN-WAIT-2 for a while only (Linux: 60 s, tcp_fin_timeout) and then forgets
    the connection.

    Reported when. Of both ends captured one sent a FIN that is acknowledged, and the other one none.

    Not reported when. An RST ended the connection; the other end has held CLOSE-WAIT for long (`close-wait-held`).

    Source. RFC 9293 §3.6, §3.6.1. Zeek: conn_state S2 or S3.
    """
    half = e.teardown("half-closed")
    if not half.any():
        return
    ends = np.flatnonzero(np.repeat(half, 2) & (e.fin_ack_row >= 0))
    ends = np.setdiff1d(ends, _held(e)[0])
    closer = e.peer_of(ends)
    fin = e.numbers.fin_row[closer]
    yield e.found(
        "the {who:end} closed {since:duration} before the capture ends; the {other:end} has acknowledged that, and "
        "not closed",
        ends >> 1,
        fin,
        e.fin_ack_row[ends],
        who=closer & 1,
        other=ends & 1,
        since=e.until_end_ns(np.where(fin >= 0, fin, e.fin_ack_row[ends])),
    )


def _held(e: Evidence) -> tuple[Rows, Rows, Rows, Rows]:
    """Find who held CLOSE-WAIT for long. Returns ends, their last segment of note, what ended it, and for how long.

    What ended it is -1 where nothing did before the capture ended.
    """
    rows, answer, fin = e.rows, e.fin_ack_row, e.numbers.fin_row
    ends = np.flatnonzero((answer >= 0) & ((fin < 0) | (fin > answer)) & ~np.repeat(rows.self_connect, 2))
    ends = ends[e.numbers.inferred_fin_row[ends] < 0]
    # First, what costs nothing: is there time enough?
    table = e.table
    extent = np.maximum(e.until_end_ns(answer[ends]), table["last_ns"][ends >> 1] - rows.time_ns[answer[ends]])
    ends = ends[(extent >= HELD_NS) & ((fin[ends] < 0) | (_passed(e, answer[ends], fin[ends]) >= HELD_NS))]
    if not len(ends):
        return ends, ends, ends, ends
    never = len(rows)
    over = np.full(len(ends), never)
    for found in (fin[ends], *(next_of_end(rows, e.is_rst, end, answer[ends]) for end in (ends, e.peer_of(ends)))):
        over = np.minimum(over, np.where(found >= 0, found, never))
    data = np.flatnonzero(e.is_data & np.isin(rows.end, ends))
    until = np.zeros(2 * len(e), np.int64)
    until[ends] = over
    spoke = answer.copy()
    data = data[data < until[rows.end[data]]]
    np.maximum.at(spoke, rows.end[data], data)
    spoke, over = spoke[ends], np.where(over == never, -1, over)
    held = np.where(over >= 0, _passed(e, spoke, over), e.until_end_ns(spoke))
    # Whose peer has closed its window may want to send and not be able to.
    peer_last = e.last_of_end(~e.is_rst)[e.peer_of(ends)]
    some = (held >= HELD_NS) & (rows.window[peer_last] != 0)
    return ends[some], spoke[some], over[some], held[some]


def _passed(e: Evidence, earlier: Rows, later: Rows) -> Rows:
    """Return the time between two segments, -1 where the later one is none, or the clock was set."""
    return np.where(later >= 0, e.between_ns(earlier, np.maximum(later, 0)), -1)


@rule("close-wait-held", WARN, example="close-wait-held.pcap")
def close_wait_held(e: Evidence) -> Iterator[Found]:
    """An end has received the FIN of its peer, and for 10 s or more it neither sends nor closes.

    What it means. The kernel has acknowledged the FIN, and the program has been told: recv() returns no octets. A
    program closes then, or sends what it still has. This one does neither: most often it forgot close(), or it waits
    for something else before it reads. A long computation before the answer looks the same.

    Why it matters. CLOSE-WAIT has no timer: the socket stays until the program closes it or ends. A server that forgets
    close() runs out of file descriptors. The peer's FIN-WAIT-2 runs out long before (Linux: 60 s).

    Reported when. For 10 s after it acknowledged the FIN, or after the last octets it sent behind that, an end sends
    nothing and closes not: until it closed at last, an RST came, or the capture ended.

    Not reported when. The peer's last window is 0, so that it could not send.

    Source. RFC 9293 §3.6, §3.10.4 (CLOSE call).
    """
    ends, spoke, over, held = _held(e)
    if not len(ends):
        return
    is_rst = (over >= 0) & e.is_rst[np.maximum(over, 0)]
    for some, how in (
        (over < 0, "and the capture ends"),
        ((over >= 0) & ~is_rst, "and closed only then"),
        (is_rst, "until an RST ended the connection"),
    ):
        at = np.flatnonzero(some)
        yield e.found(
            "the {who:end} got the FIN of the {peer:end} and held CLOSE-WAIT: it neither sent nor closed for "
            "{held:duration}, " + how,
            ends[at] >> 1,
            e.numbers.fin_row[e.peer_of(ends[at])],
            spoke[at],
            over[at],
            who=ends[at] & 1,
            peer=e.peer_of(ends[at]) & 1,
            held=held[at],
        )


@rule("fin-wait-2-ended", NOTE)
def fin_wait_2_ended(e: Evidence) -> Iterator[Found]:
    """The end that closed first had left FIN-WAIT-2 before the other end closed: an RST answers what comes.

    What it means. Its FIN was acknowledged, and it waited for the other one in FIN-WAIT-2. After close() no program is
    left to read: the kernel waits for a limited time (Linux: 60 s, or less if tcp_fin_timeout or TCP_LINGER2 says so).
    Then it has no connection any more, and answers what comes with an RST.

    Why it matters. The other end was too slow: what it sent is lost, and its send() or recv() fails. Look there for
    `close-wait-held`.

    Reported when. The end whose FIN was acknowledged answers the other end's first FIN with an RST; or octets, after
    60 s or more.

    Not reported when. Octets come sooner: after close() they are answered by an RST in FIN-WAIT-2 as well.

    Source. RFC 9293 §3.5.2, §3.6.1, §3.10.7.1; RFC 1122 §4.2.2.13.
    """
    resets, rows, answer = e.events.resets, e.rows, e.fin_ack_row
    if not len(resets.row) or not e.teardown("reset-after-fin").any():
        return
    at = resets.row[answer[rows.peer[resets.row]] >= 0]
    at = at[answer[rows.peer[at]] < at]
    if not len(at):
        return
    came = previous_of_end(rows, (rows.seq_end > rows.seq) & ~e.is_rst, rows.peer[at], at)
    at, came = at[came >= 0], came[came >= 0]
    since = e.between_ns(answer[rows.peer[at]], came)
    own = answer[rows.end[at]]
    # §3.5.2: the RST has the number that the segment acknowledged.
    answers = (rows.seq[at] == rows.ack[came]) & (came > answer[rows.peer[at]]) & ((own < 0) | (own > at))
    # Data that came before the FIN had the same answer.
    data = previous_of_end(rows, e.is_data, rows.peer[at], at)
    fin = (e.numbers.fin_row[rows.end[came]] == came) & (data < answer[rows.peer[at]]) & (rows.payload[came] == 0)
    at, came, since, fin = (column[answers & (fin | (since >= FIN_WAIT_2_NS))] for column in (at, came, since, fin))
    at, came, since, fin = (column[_first_each(rows.conn[at])] for column in (at, came, since, fin))
    for some, what in ((fin, "FIN"), (~fin, "data")):
        one = np.flatnonzero(some & (since >= 0))
        yield e.found(
            f"the {{who:end}} answers the {{other:end}}'s {what} with an RST, {{since:duration}} after its own FIN was "
            "acknowledged: its FIN-WAIT-2 is over",
            rows.conn[at[one]],
            e.numbers.fin_row[rows.end[at[one]]],
            came[one],
            at[one],
            who=rows.side[at[one]],
            other=rows.side[came[one]],
            since=since[one],
        )


def _first_each(connection: Rows) -> Rows:
    """Return the first place of each of these rising numbers."""
    return np.unique(connection, return_index=True)[1]


@rule("simultaneous-close", CHAT, example="simultaneous-close.pcap")
def simultaneous_close(e: Evidence) -> Iterator[Found]:
    """Both ends closed before either had received the FIN of the other: the FINs crossed.

    What it means. Both went from FIN-WAIT-1 through CLOSING, and both end in TIME-WAIT.

    Why it matters. It is legal, and rare. Neither port is free at once: each end owes 2 MSL.

    Reported when. Both FINs were sent before the other one had arrived, and both were acknowledged.

    Not reported when. A socket is connected to itself: its FIN meets itself.

    Source. RFC 9293 §3.6 (Figure 13).
    """
    at = np.flatnonzero(e.teardown("simultaneous-close") & ~e.rows.self_connect)
    fins = e.numbers.fin_row
    first, second = (order(fins[2 * at], fins[2 * at + 1]) for order in (np.minimum, np.maximum))
    some = (first >= 0) & (e.between_ns(first, second) >= 0)
    at, first, second = at[some], first[some], second[some]
    yield e.found(
        "the FINs crossed, {apart:duration} apart: both ends owe TIME-WAIT",
        at,
        first,
        second,
        apart=e.between_ns(first, second),
    )


@rule("closed-with-gaps", NOTE)
def closed_with_gaps(e: Evidence) -> Iterator[Found]:
    """The connection closed in order, but octets that were sent are in no captured segment.

    What it means. Both FINs were acknowledged, so everything before them arrived. What is missing was missed by the
    capture: it dropped frames, or they took another way.

    Why it matters. The stream cannot be put together from this capture, and other segments may be missing too.

    Reported when. Both ends were captured from the SYN on, both FINs are acknowledged, and by the numbers between SYN
    and FIN more octets were sent than captured.

    Not reported when. Nothing of that direction was captured.

    Source. RFC 9293 §3.4, §3.8. Zeek pending_data_when_closed, and its missed_bytes.
    """
    missing = np.stack([e.table[f"missing_octets_{side}"] for side in "or"], axis=1).reshape(-1)
    if not (missing > 0).any():
        return
    spoke = np.bincount(e.rows.end, minlength=2 * len(e)) > 0
    closed = e.teardown("four-way", "three-segment", "simultaneous-close", "partial")
    whole = (spoke[0::2] & spoke[1::2]) | e.rows.self_connect
    ends = np.flatnonzero((missing > 0) & np.repeat(closed & whole, 2))
    ends = ends[(e.fin_ack_row[e.peer_of(ends)] >= 0) & (e.numbers.fin_row[ends] >= 0)]
    sent = np.stack([e.table[f"sent_octets_{side}"] for side in "or"], axis=1).reshape(-1)[ends]
    yield e.found(
        "closed in order, but {missing:octets} of the {sent:octets} that the {who:end} sent are in no captured segment",
        ends >> 1,
        e.numbers.fin_row[ends],
        who=ends & 1,
        missing=missing[ends],
        sent=sent,
    )
