"""SYNs and SYN-ACKs that were sent again: what that cost, and what the times say of the stack (RFC 6298)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.events.echoed_syns import FIRST, LATER, echoed_syns, without_data_answered
from handshake_inspect.connections.events.numbers import next_of_end
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER
from handshake_inspect.findings.evidence import RETRANSMISSION_NS, Evidence
from handshake_inspect.findings.rule import CHAT, NOTE, rule
from handshake_inspect.plain import mutable
from handshake_inspect.quantities import listed
from handshake_inspect.sets import set_of
from handshake_inspect.tcp.time_wait import SECOND_NS

#: First timeouts, which double: RFC 6298 §2.1, and RFC 1122 §4.2.3.1 before it.
FIRST_TIMEOUTS = {1: "1 s, doubling (RFC 6298)", 3: "a first timeout of 3 s, as before RFC 6298 (2011)"}
#: An interval is taken for one of a schedule within this part of it. Linux's timer wheel is up to an eighth late.
WITHIN = 0.15
#: How many times a message names; Linux makes no more SYN retries (`tcp_syn_retries` 6, and 4 linear ones).
NAMED = 10
#: Linux sends so many SYNs after equal times before it doubles them (`tcp_syn_linear_timeouts` 4, from 6.5 on).
LINEAR = 5


def syns_again(e: Evidence) -> Rows:
    """Return the rows of the SYNs, the first ones included, of originators that retransmitted theirs."""
    rows, at = e.rows, _sent_again(e, "syn_retransmissions", e.is_syn)
    own: Mask = (rows.side[at] == ORIGINATOR) & (rows.seq[at] == 0) & ~rows.ignored_syn[at]
    return at[own]


def syn_acks_again(e: Evidence) -> Rows:
    """Return the rows of the SYN-ACKs, the first ones included, of responders that retransmitted theirs."""
    rows, at = e.rows, _sent_again(e, "syn_ack_retransmissions", e.is_syn_ack)
    own: Mask = (rows.side[at] == RESPONDER) & (rows.seq[at] == 0)
    return at[own]


def _sent_again(e: Evidence, counted: str, mask: Mask) -> Rows:
    """Return the rows that `mask` marks in connections with some retransmission."""
    at = e.rows.rows_of(np.flatnonzero(e.table[counted] > 0))
    return at[mask.take(at)]


def _syn_acks(e: Evidence) -> Rows:
    """Return those of `syn_acks_again` that acknowledge a SYN."""
    at = e.shared(syn_acks_again)
    acknowledging: Mask = e.rows.ack[at] >= 1
    return at[acknowledging]


@mutable
class _Tries:
    """SYNs, or SYN-ACKs, that a timer sent again."""

    #: Rows of all, the first ones too.
    at: Rows
    #: The connections of which there are several, the first of each, and how many there are.
    connection: Rows
    first: Rows
    count: Rows


def _tries(e: Evidence, at: Rows) -> _Tries:
    at = _by_timer(e, at)
    connection, first, count = e.first_of_each(at)
    several = count > 1
    return _Tries(at, connection[several], first[several], count[several])


def _syn_tries(e: Evidence) -> _Tries:
    return _tries(e, e.shared(syns_again))


def _by_timer(e: Evidence, at: Rows) -> Rows:
    """Return the first of these rows of each end, and those that a timer sent."""
    if len(at) < 2:
        return at
    kept = np.ones(len(at), np.bool_)
    kept[1:] = (e.rows.end[at[1:]] != e.rows.end[at[:-1]]) | (e.between_ns(at[:-1], at[1:]) >= RETRANSMISSION_NS)
    return at[kept]


def _first_answer(e: Evidence, syn: Rows) -> Rows:
    """Return the first segment of the peer behind each of these SYNs of originators, -1 if there is none."""
    return next_of_end(e.rows, np.ones(len(e.rows), np.bool_), e.rows.peer[syn], syn)


@rule("syn-retransmitted", NOTE, example="lost-syn.pcap")
def syn_retransmitted(e: Evidence) -> Iterator[FindingRows]:
    """The SYN was sent again before it was answered, or although it was.

    What it means. The SYN or its answer was lost, or the listener dropped the SYN because its accept queue was full. If
    the answer was captured before the SYN came again, it was lost between here and the client, or came too late. Else
    timestamps tell more: a SYN-ACK that echoes the first SYN shows that this one had arrived; one that echoes a later
    SYN makes it likely that it had not, as Linux echoes what came first (but FreeBSD and SYN cookies what came last).
    A SYN with data that is only answered after it came again without may have met a middlebox that drops such SYNs.

    Why it matters. The connection opens a second late, or more. Lost SYNs of many connections point to the listener or
    to a filter rather than to the network.

    Reported when. The SYN was captured again at least 200 ms after the one before, and somebody answered.

    Not reported when. Nothing answers: `unanswered` counts the SYNs. A copy made on the way, or a SYN that comes again
    because a wrong SYN-ACK had been refused, comes sooner.

    Source. RFC 9293 §3.8.1, §3.8.3; RFC 6298 §2.1, §5; RFC 7323 §3.2; RFC 7413 §7.1. Wireshark
    tcp.analysis.retransmission.
    """
    tries = e.shared(_syn_tries)
    if not len(tries.connection):
        return
    last, answer = e.last_among(tries.at)[tries.connection], _first_answer(e, tries.first)
    connection, first, last, answer, count = (
        column[answer >= 0] for column in (tries.connection, tries.first, last, answer, tries.count)
    )
    late, echoed = answer > last, echoed_syns(e.rows)[answer]
    bare = without_data_answered(e.rows, e.numbers)[connection]
    text = "the SYN was sent {count:count time} and answered {after:duration} after the first: "
    lost = "lost, or dropped by the {peer:end}"
    yield from e.found_each(
        (
            (
                late & bare,
                "no answer to the SYN with {octets:octets} was captured; one without them was answered "
                "{after:duration} after it: the first was lost, or dropped for its data, or its answer was lost",
            ),
            (
                late & (echoed == FIRST),
                text
                + "that had arrived, for the SYN-ACK echoes its timestamp: an earlier answer was lost, or this one "
                "is slow",
            ),
            (
                late & ~bare & (echoed == LATER),
                text + f"most likely that was {lost}, for the SYN-ACK echoes a later one",
            ),
            (late & ~bare & (echoed == 0), text + f"that was {lost}, or its answer was lost or slow"),
            (
                ~late,
                "the SYN was sent {count:count time}, once more {since:duration} after the answer: that is late, "
                "or does not reach the {who:end}",
            ),
        ),
        connection,
        first,
        last,
        answer,
        count=count,
        octets=e.rows.payload[first],
        who=np.full(len(connection), ORIGINATOR),
        peer=np.full(len(connection), RESPONDER),
        after=np.maximum(e.between_ns(first, answer), 0),
        since=np.maximum(e.between_ns(answer, last), 0),
    )


@rule("syn-ack-retransmitted", NOTE, example="lost-syn-ack.server.pcap", needs=ACK)
def syn_ack_retransmitted(e: Evidence) -> Iterator[FindingRows]:
    """The server sent its SYN-ACK again before a third segment came.

    What it means. The SYN-ACK was lost, or the third segment before it was captured, or the client was slow.

    Why it matters. The connection opens a second late, or more; meanwhile it takes a place in the SYN queue.

    Reported when. The SYN-ACK was captured again at least 200 ms after the one before, then the third segment came.
    Those that answer a repeated SYN meanwhile are counted too.

    Not reported when. A third segment had been captured before (`third-ack-ignored`), none came at all (`half-open`),
    or the SYN-ACK answers a repeated SYN.

    Source. RFC 9293 §3.8.1; RFC 6298 §2.1, §5.
    """
    third, at = e.numbers.ack_row[ORIGINATOR::2], e.shared(_syn_acks)
    at = at[at < third[e.rows.conn[at]]]
    tries = _tries(e, at)
    connection, first = tries.connection, tries.first
    if not len(connection):
        return
    yield e.found(
        "the SYN-ACK was sent {count:count time} before the third segment came, {after:duration} after the first",
        connection,
        first,
        e.last_among(at)[connection],
        third[connection],
        count=e.counted(at)[connection],
        after=np.maximum(e.between_ns(first, third[connection]), 0),
    )


@rule("rtt-ambiguous", CHAT, by_times=True, example="lost-syn.pcap")
def rtt_ambiguous(e: Evidence) -> Iterator[FindingRows]:
    """The time from SYN to third segment is no round-trip time: a segment of the handshake was sent twice.

    What it means. Which SYN the SYN-ACK answers, or which SYN-ACK the third segment, cannot be told, so every time
    measured across it may be too long by a retransmission timeout, or too short (Karn's algorithm).

    Why it matters. Averages of handshake times are spoilt by such values: leave them out.

    Reported when. All three segments were captured, and the SYN was captured twice before the SYN-ACK, or the SYN-ACK
    twice before the third segment.

    Not reported when. The repetition came later, and the time is good. (With timestamps the client's own kernel can
    tell, RFC 7323 §4.)

    Source. RFC 6298 §3. `handshake.rtt_ambiguous` in the JSON of a connection; tcptrace leaves out such samples.
    """
    table = e.table
    doubtful = (table["syn_retransmissions"] > 0) | (table["syn_ack_retransmissions"] > 0)
    doubtful &= (table["initial_rtt_ns"] >= 0) & e.handshake("three-way", "fast-open", "partial")
    if not doubtful.any():
        return
    answer, third = e.numbers.syn_ack_row[e.responder], e.numbers.ack_row[ORIGINATOR::2]
    twice = []
    for at, before in ((e.shared(syns_again), answer), (e.shared(_syn_acks), third)):
        twice.append(e.counted(at[at < before[e.rows.conn[at]]]) > 1)
    at = np.flatnonzero(doubtful & (twice[0] | twice[1]) & (answer >= 0))
    is_syn, took = twice[0][at], "SYN to third segment took {took:duration}, and the "
    told = (
        (is_syn, took + "SYN was sent again: no round-trip time"),
        (~is_syn, took + "SYN-ACK was sent again: no round-trip time"),
    )
    yield from e.found_each(told, at, answer[at], third[at], took=table["initial_rtt_ns"][at])


@rule("retry-schedule", CHAT, by_times=True, example="unanswered.pcap")
def retry_schedule(e: Evidence) -> Iterator[FindingRows]:
    """The times at which a SYN or SYN-ACK was sent again follow a known rule.

    What it means. The first timeout is 1 s (RFC 6298) or 3 s (RFC 1122, stacks before about 2011 and Windows for some
    years longer), and doubles each time: 1, 3, 7, 15, 31, 63 s after the first. Linux from 6.5 on, macOS and iOS repeat
    a SYN every second at first: 1, 2, 3, 4, 5, 7, 11, 19, 35, 67 s.

    Why it matters. It tells real stacks from scanners and generators, and how long connect() goes on.

    Reported when. At least two retries follow one of the rules, each within 15 % of its interval (timers are late: the
    timer wheel of Linux by up to an eighth); or the one retry comes after 3 s.

    Not reported when. The times fit no rule: some of the segments were not captured, or answer others.

    Source. RFC 6298 §2.1, §5.5; RFC 1122 §4.2.3.1; Linux Documentation/networking/ip-sysctl.rst,
    tcp_syn_linear_timeouts.
    """
    for name, sender, tries in (
        ("SYN", "client", e.shared(_syn_tries)),
        ("SYN-ACK", "server", _tries(e, e.shared(_syn_acks))),
    ):
        named = np.minimum(tries.count, NAMED + 1)
        for many in set_of(named).tolist():
            same = named == many
            place = np.searchsorted(tries.at, tries.first[same])
            series = tries.at[place[:, None] + np.arange(many)]
            yield from _schedules(e, name, sender, tries.connection[same], series)


def _schedules(e: Evidence, name: str, sender: str, connection: Rows, series: Rows) -> Iterator[FindingRows]:
    """Recognise the schedules of segments that were sent equally often. `series`: their rows, shape (k, times)."""
    passed = np.stack([e.between_ns(series[:, 0], series[:, i]) for i in range(1, series.shape[1])], axis=1)
    times = listed([f"{{t{i}:duration}}" for i in range(passed.shape[1])])
    text = f"the {sender} repeats its {name} {times} after the first: "
    yield from e.found_each(
        ((which, text + known) for which, known in _recognised(passed, name == "SYN")),
        connection,
        series[:, 0],
        series[:, -1],
        **{f"t{i}": passed[:, i] for i in range(passed.shape[1])},
    )


def _recognised(passed: Rows, is_syn: bool) -> Iterator[tuple[Mask, str]]:
    """Yield which series of times (shape (k, retries)) follow each of the known rules, and what that rule is."""
    interval = np.diff(passed, axis=1, prepend=0)
    retry = np.arange(passed.shape[1])
    known = [(first_s * 2.0**retry, whose) for first_s, whose in FIRST_TIMEOUTS.items()]
    if is_syn:
        known.append(
            (2.0 ** np.maximum(retry - LINEAR + 1, 0), "every second at first, as Linux from 6.5 on, macOS and iOS")
        )
    for expected_s, rule_of_it in known:
        wanted = expected_s * SECOND_NS
        # One retry after a second, as all do today, tells nothing.
        if len(retry) > 1 or expected_s[0] > 1:
            follows: Mask = np.logical_and.reduce(np.abs(interval - wanted) <= WITHIN * wanted, axis=1)
            yield follows, rule_of_it
