"""How connections closed: FINs that came again, crossed, or were never answered.

Read RFC 9293 §3.6 (Figures 12 and 13), §3.8.1 (retransmission) and §3.10.7.4 (eighth: check the FIN bit).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import FIN
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.fin_answers import FinAnswers
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.tcp.time_wait import SECOND_NS

#: An acknowledgment that takes longer is lost: RFC 6298 §2.4 lets nobody send again sooner.
UNANSWERED_NS = SECOND_NS
#: Nobody sends a FIN again sooner: TCP_RTO_MIN of Linux.
COPY_NS = SECOND_NS // 5
#: No system repeats a FIN so often: Linux sends at most 16 (tcp_retries2 = 15).
STORM_FINS = 17


@rule("fin-unacknowledged", WARN, example="fin-unacknowledged.pcap", needs=FIN)
def fin_unacknowledged(e: Evidence) -> Iterator[FindingRows]:
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
    ends = e.ends_of(np.flatnonzero(stuck))
    ends = ends[numbers.fin_row[ends] >= 0]
    ends = ends[e.finally_acknowledged[e.peer_of(ends)] < numbers.fin_end[ends]]
    first = numbers.fin_row[ends]
    tries = np.bincount(rows.end[_sent_fins(e, stuck)], minlength=2 * len(e))[ends]
    last = e.last_of_end(np.flatnonzero(numbers.is_fin))[ends]
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
    at = rows.rows_of(np.flatnonzero(concerned))
    at = at[numbers.is_fin[at]]
    columns = (rows.seq_end[at], rows.flags[at].astype(np.int64), rows.ip_id[at].astype(np.int64), rows.end[at])
    order = np.lexsort((at, *columns))
    earlier, later = at[order[:-1]], at[order[1:]]
    passed = e.between_ns(earlier, later)
    same = np.logical_and.reduce([column[order[1:]] == column[order[:-1]] for column in columns])
    same &= (rows.ip_id[later] != 0) & (passed >= 0) & (passed < COPY_NS)
    sent: Rows = at[~e.marked(later[same])[at]]
    return sent


def _again(e: Evidence) -> Rows:
    """Return the FINs that an end sent again: the number of its first one, later, and no copy.

    In CLOSING some systems set FIN in the segment that first acknowledges the peer's FIN: that repeats nothing.
    """
    if not e.table["fin_retransmissions"].any():
        return np.zeros(0, np.int64)
    at, numbers = _sent_fins(e, e.table["fin_retransmissions"] > 0), e.numbers
    end, answer = e.rows.end[at], e.shared(FinAnswers).first
    again: Rows = at[(at > numbers.fin_row[end]) & (e.rows.seq_end[at] == numbers.fin_end[end]) & (at != answer[end])]
    return again


def _was_acknowledged(e: Evidence, again: Rows) -> Mask:
    """Had the peer acknowledged each of these FINs before it came again?"""
    acknowledged = e.shared(FinAnswers).first[e.rows.peer[again]]
    found: Mask = (acknowledged >= 0) & (acknowledged < again)
    return found


def _is_last(e: Evidence, again: Rows) -> Mask:
    """Was the acknowledgment of each of these FINs the last one: had both FINs been acknowledged before it came again?

    Then only TIME-WAIT can answer it.
    """
    own = e.shared(FinAnswers).first[e.rows.end[again]]
    found: Mask = _was_acknowledged(e, again) & (own >= 0) & (own < again) & ~e.rows.self_connect[e.rows.conn[again]]
    return found


@rule("fin-retransmitted", NOTE, example="lost-fin.pcap", needs=FIN)
def fin_retransmitted(e: Evidence) -> Iterator[FindingRows]:
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
    again = e.shared(_again)
    again = again[~_is_last(e, again)]
    if not len(again):
        return
    rows, numbers = e.rows, e.numbers
    ends, times = np.unique(rows.end[again], return_counts=True)
    some = (e.shared(FinAnswers).first[e.peer_of(ends)] >= 0) & (times < STORM_FINS)
    ends, times = ends[some], times[some]
    first, last = e.first_of_end(again)[ends], e.last_of_end(again)[ends]
    answer = e.shared(FinAnswers).first[e.peer_of(ends)]
    had_one = answer < first
    after = e.between_ns(numbers.fin_row[ends], first)
    once, often = "after {after:duration}", "{times:count time}, first after {after:duration}"
    acknowledged = "though it had been acknowledged: that acknowledgment was lost, or was on its way"
    not_yet = "before an acknowledgment came: the FIN was lost, or its acknowledgment, or that was slow"
    for some, when, why in (
        (had_one & (times == 1), once, acknowledged),
        (had_one & (times > 1), often, acknowledged),
        (~had_one & (times == 1), once, not_yet),
        (~had_one & (times > 1), often, not_yet),
    ):
        at = np.flatnonzero(some & (after >= 0))
        yield e.found(
            f"the {{who:end}} sent its FIN again {when}, {why}",
            ends[at] >> 1,
            numbers.fin_row[ends[at]],
            first[at],
            last[at],
            who=ends[at] & 1,
            after=after[at],
            times=times[at],
        )


@rule("lost-last-ack", NOTE, example="lost-last-ack.pcap", needs=FIN)
def lost_last_ack(e: Evidence) -> Iterator[FindingRows]:
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
    again = e.shared(_again)
    again = again[_is_last(e, again)]
    if not len(again):
        return
    rows = e.rows
    ends, place = np.unique(rows.end[again], return_inverse=True)
    times = np.bincount(place)
    first, last = np.full(len(ends), len(rows)), np.zeros(len(ends), np.int64)
    np.minimum.at(first, place, again)
    np.maximum.at(last, place, again)
    owner, acknowledging = e.peer_of(ends), e.shared(FinAnswers)
    answers = acknowledging.rows[np.isin(rows.end[acknowledging.rows], owner)]
    late = np.zeros(2 * len(e), np.int64)
    late[owner] = first
    answered = np.bincount(rows.end[answers[answers > late[rows.end[answers]]]], minlength=2 * len(e))[owner]
    came = "the {who:end}'s FIN came again "
    since, after = "{since:duration} after it was acknowledged", "{times:count time}, first "
    late_ack = (
        ": the last ACK was lost, or late. TIME-WAIT of the {owner:end} acknowledged it again {answered:count time}"
    )
    yield from e.found_each(
        ((times == 1, came + since + late_ack), (times > 1, came + after + since + late_ack)),
        ends >> 1,
        acknowledging.first[owner],
        first,
        last,
        who=ends & 1,
        owner=owner & 1,
        since=np.maximum(e.between_ns(acknowledging.first[owner], first), 0),
        times=times,
        answered=answered,
    )


@rule("fin-storm", WARN, example="fin-storm.server.pcap", needs=FIN)
def fin_storm(e: Evidence) -> Iterator[FindingRows]:
    """An end sent its FIN more often than any system does.

    What it means. A FIN is repeated with growing pauses and given up: Linux sends it 16 times at most
    (tcp_retries2 = 15), which takes a quarter of an hour. More of them, or faster, come from a forger, from a loop in
    the network, or from a broken stack.

    Why it matters. Each is answered with an acknowledgment: it costs both ends and the path.

    Reported when. One end sent 17 or more segments with FIN in one connection.

    Not reported when. They are copies that the capture made.

    Source. RFC 9293 §3.8.1; RFC 1122 §4.2.3.5. Zeek FIN_storm, from 1,000 on.
    """
    some = e.table["fin_retransmissions"] >= STORM_FINS - 1
    if not some.any():
        return
    rows, fins = e.rows, np.flatnonzero(e.numbers.is_fin)
    count = np.bincount(rows.end[fins], minlength=2 * len(e))
    ends = np.flatnonzero(count >= STORM_FINS)
    first, last = e.first_of_end(fins)[ends], e.last_of_end(fins)[ends]
    yield e.found(
        "{fins:count FIN} of the {who:end} within {within:duration}",
        ends >> 1,
        first,
        last,
        who=ends & 1,
        fins=count[ends],
        within=np.maximum(e.between_ns(first, last), 0),
    )


@rule("simultaneous-close", CHAT, example="simultaneous-close.pcap", needs=FIN)
def simultaneous_close(e: Evidence) -> Iterator[FindingRows]:
    """Both ends closed before either had received the FIN of the other: the FINs crossed.

    What it means. Both went from FIN-WAIT-1 through CLOSING, and both end in TIME-WAIT.

    Why it matters. It is legal, and rare. Neither port is free at once: each end owes 2 MSL.

    Reported when. Both FINs were sent before the other one had arrived, and both were acknowledged.

    Not reported when. A socket is connected to itself: its FIN meets itself.

    Source. RFC 9293 §3.6 (Figure 13).
    """
    at = np.flatnonzero(e.teardown("simultaneous-close") & ~e.rows.self_connect)
    if not len(at):
        return
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
