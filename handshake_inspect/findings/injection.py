"""RSTs that do not come from whom they pretend to come from, or ask for what no sender can ask (RFC 5961 §3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import (
    AHEAD,
    AT_NEXT,
    BELIED,
    BEYOND,
    CAUGHT_UP,
    LAST_WORD,
    OF_SYN,
    OLD,
    RESET_REASONS,
    UNCHECKED,
)
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.events.numbers import next_of_end, previous_of_end
from handshake_inspect.connections.splitting.rows import ACK, FIN, ORIGINATOR, RESPONDER, RST, SYN, of_side
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.reset_causes import ResetCauses
from handshake_inspect.findings.reset_marks import has_other_hops, with_marks
from handshake_inspect.findings.rule import WARN, rule

#: Of the reasons why an RST counts or does not: with which it can work.
CAN_WORK = np.isin(np.arange(len(RESET_REASONS)), (AT_NEXT, OF_SYN, UNCHECKED, CAUGHT_UP, LAST_WORD, BELIED))
#: From so many RSTs of one end on it is a storm.
STORM = 10
#: From so many segments with an old acknowledgment on it is no accident.
FALLEN_BACK = 3


@rule("suspected-injection", WARN, example="forged-reset.server.pcap", needs=RST)
def suspected_injection(e: Evidence) -> Iterator[FindingRows]:
    """After an RST its sender went on with new octets, as if it had sent none.

    What it means. Somebody else sent the RST in its name: an attacker on the path, a filter that cuts connections
    (firewalls, parental controls, the filters of some states do it to both ends), or a second program behind the same
    address (a raw-socket program beside its kernel, two hosts with one address). The evidence besides: the RST has
    another TTL than its pretended sender, an IP ID out of its sequence, or a window where none belongs.

    Why it matters. If the receiver believed it, the connection is cut at one end and half-open at the other. Only
    numbers that nobody can guess, or encryption below TCP (IPsec, TCP-AO), help.

    Reported when. The sender of an RST that has the right number, or whose number cannot be checked, sends a number
    after it that lies beyond the RST and all that it had sent before.

    Not reported when. It only refuses a wrong SYN-ACK (RFC 9293 §3.5, Figure 8), the RST is outside the window
    (`reset-outside-window`), or what follows had been sent before: an old copy.

    Source. RFC 5961 §3; RFC 4953 §2; Suricata stream.suspected_rst_inject (there: any segment after an RST);
    Zeek data_after_reset.
    """
    causes = e.shared(ResetCauses)
    which = _first_of_each_end(causes, np.flatnonzero(_belied(e)))
    after = causes.goes_on[which]
    text = "an RST in the name of the {who:end}, which knew nothing of it and went on {after:duration} later"
    shown = (causes.at[which], after)
    yield from with_marks(e, text, which, shown, after=e.between_ns(causes.at[which], after))


@rule("reset-from-elsewhere", WARN, example="injected-reset.server.pcap", needs=RST)
def reset_from_elsewhere(e: Evidence) -> Iterator[FindingRows]:
    """An RST came another way than all else of its sender: its TTL differs.

    What it means. Another machine sent it in the name of this end: a firewall, NAT or load balancer whose timer ran
    out or whose rule fits, a filter, or an attacker. Some stacks and some load balancers (TTL 255) send their RSTs
    with another first TTL than their segments: then the difference is no sign of a stranger.

    Why it matters. The program at this end is not to blame, and may not even know. Ask who stands that many hops away.

    Reported when. The TTL (hop limit) of an RST differs by 3 or more from those of its sender's last segment before it
    and of its SYN, first ACK, first data and FIN, all captured at one place.

    Not reported when. It has the right number and its sender goes on (`suspected-injection` names the TTL then), its
    sender had shown that TTL before (`ttl-changed`), or nothing else of it was captured.

    Source. RFC 5961 §3; RFC 3360; N. Weaver, R. Sommer, V. Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009.
    """
    causes = e.shared(ResetCauses)
    which = np.flatnonzero(~_belied(e) & (causes.said >= 0))
    which = _first_of_each_end(causes, which[has_other_hops(e, which)])
    text = "the RST of the {who:end} came from elsewhere, a middlebox or a forger"
    yield from with_marks(e, text, which, (causes.said[which], causes.at[which]))


@rule("reset-outside-window", WARN, example="blind-reset.server.pcap", needs=RST)
def reset_outside_window(e: Evidence) -> Iterator[FindingRows]:
    """An RST has a number that its receiver cannot expect: it is dropped.

    What it means. Somebody who does not know the numbers guesses (a blind attack sends many), a middlebox speaks with
    numbers that it has forgotten, or the RST is an old duplicate.

    Why it matters. The receiver ignores it. Older stacks took every RST within 64 KiB or more of the next number.

    Reported when. The number of an RST is beyond any window that the receiver can have offered, or below the next
    number that it expects.

    Not reported when. It is below, has no ACK bit, and its sender had closed: it answers a segment that was on its way.

    Source. RFC 9293 §3.10.7.4; RFC 5961 §3.2; tcptrace "out-of-window RST".
    """
    causes, reason = e.shared(ResetCauses), e.resets["reason"]
    if not ((reason == BEYOND) | (reason == OLD)).any():
        return
    late_answer = causes.is_bare & (causes.closed | _reset_before(causes))
    for kind, claim in ((BEYOND, "above"), (OLD, "below")):
        which = np.flatnonzero((reason == kind) & ~(late_answer & (kind == OLD)))
        count = np.bincount(causes.sender[which], minlength=2 * len(e))
        first = _first_of_each_end(causes, which)
        yield e.found(
            "{n:count RST} in the name of the {who:end} outside the window: {distance:octets} "
            + claim
            + " the next number expected, so guessed or old, and dropped",
            causes.connection[first],
            causes.at[first],
            n=count[causes.sender[first]],
            who=causes.sender[first] & 1,
            distance=e.resets["distance"][first],
        )


@rule("reset-challenged", WARN, example="blind-reset.server.pcap", needs=RST)
def reset_challenged(e: Evidence) -> Iterator[FindingRows]:
    """An RST lies in the window, but not at the next number expected: it must be asked back, not obeyed.

    What it means. A blind attacker aims into the window; or what came before the RST was lost, and it is honest. So
    the receiver sends a challenge ACK: an honest sender answers with an RST of the right number.

    Why it matters. A stack that does not ask but obeys can be reset by guessing some ten thousand numbers.

    Reported when. An RST is above the next number expected, by less than the widest window that can have been offered,
    and its sender or its receiver speaks on.

    Not reported when. It is its sender's last word, and the receiver is silent too or acknowledges up to it; it is
    the next number of its sender, whose data before it were not acknowledged yet; or its receiver had asked for it.

    Source. RFC 5961 §3.2; RFC 9293 §3.10.7.4 (second).
    """
    causes, rows = e.shared(ResetCauses), e.rows
    ahead = (
        (e.resets["reason"] == AHEAD)
        & ~rows.self_connect[causes.connection]
        & (rows.seq[causes.at] != causes.sent)
        & ~causes.answers
    )
    which = _first_of_each_end(causes, np.flatnonzero(ahead))
    if not len(which):
        return
    at = causes.at[which]
    answer = next_of_end(rows, np.ones(len(rows), np.bool_), causes.receiver[which], at)
    is_ack = (answer >= 0) & ((rows.flags[answer] & (SYN | FIN | RST | ACK)) == ACK) & (rows.payload[answer] == 0)
    asked = is_ack & (rows.ack[answer] == causes.acknowledged_by_receiver[which])
    for claim, some, shown in (
        ("met by a challenge ACK after {after:duration}", asked, answer),
        ("no challenge ACK: ignored, or segments are missing", ~asked, np.full_like(answer, -1)),
    ):
        yield e.found(
            "an RST in the name of the {who:end} is {distance:octets} above the next number expected: " + claim,
            causes.connection[which[some]],
            at[some],
            shown[some],
            who=causes.sender[which[some]] & 1,
            distance=e.resets["distance"][which[some]],
            after=e.between_ns(at[some], answer[some]),
        )


@rule("reset-storm", WARN, example="reset-storm.server.pcap", needs=RST)
def reset_storm(e: Evidence) -> Iterator[FindingRows]:
    """Many RSTs came from one end of one connection.

    What it means. With many numbers: somebody who does not know the right one combs the window. With numbers that the
    peer asked for: the peer goes on sending to an end that has no connection, and each segment is answered.

    Why it matters. A combed window is an attack; it succeeds against stacks that do not ask back (RFC 5961). Of
    answers, the sender does not listen, or a filter keeps the RSTs from it.

    Reported when. One end sent ten RSTs or more in one connection.

    Not reported when. There are fewer: a window full of segments in flight is answered by one RST each.

    Source. RFC 5961 §3; RFC 4953 §2.1; Zeek RST_storm (there: more than 1,000, a second apart at most).
    """
    if len(e.resets) < STORM:
        return
    causes = e.shared(ResetCauses)
    count = np.bincount(causes.sender, minlength=2 * len(e))
    first = _first_of_each_end(causes, np.flatnonzero(count[causes.sender] >= STORM))
    if not len(first):
        return
    end = causes.sender[first]
    guessed = np.isin(e.resets["reason"], (AHEAD, BEYOND, OLD)) & ~causes.answers
    guesses = np.bincount(causes.sender[guessed], minlength=2 * len(e))[end]
    last = e.last_of_end(causes.at)[end]
    combed = 2 * guesses > count[end]
    storm = "{n:d} RSTs in the name of the {who:end} within {time:duration}, "
    yield from e.found_each(
        (
            (combed, storm + "{guesses:d} with a number that nobody asked for: the window is combed"),
            (
                ~combed,
                storm + "most with the number asked for: each answers a segment of the {peer:end}, which goes on",
            ),
        ),
        causes.connection[first],
        causes.at[first],
        last,
        n=count[end],
        who=end & 1,
        peer=causes.receiver[first] & 1,
        guesses=guesses,
        time=e.between_ns(causes.at[first], last),
    )


@rule("desynchronized", WARN, example="desynchronized.pcap", needs=ACK)
def desynchronized(e: Evidence) -> Iterator[FindingRows]:
    """An end fell back behind its own numbers, and the two no longer understand each other.

    What it means. Its host was set back to a snapshot or a failover lost the latest state; or somebody has spoken in
    its name, so that its peer is further than it knows. Each segment is then outside the other's window, and each is
    answered with an ACK that is so too: an ACK storm, until one is lost.

    Why it matters. Nothing is delivered any more, and no timeout applies as long as both answer. Only an abort ends it.

    Reported when. The last segment of an end and two more of it acknowledge less than it had acknowledged before, and
    have numbers below those that it had sent, and its peer still expects the number after these.

    Not reported when. It comes back to the higher numbers: then old segments were late.

    Source. RFC 9293 §3.10.7.4 (first); L. Joncheray, "A Simple Active Attack Against TCP", USENIX Security 1995.
    Suricata stream.est_packet_out_of_window, stream.pkt_invalid_ack.
    """
    rows, numbers = e.rows, e.numbers
    is_back = [(rows.ack < own) & (rows.side == side) for side, own in enumerate(numbers.acknowledged_by)]
    back = np.flatnonzero((is_back[ORIGINATOR] | is_back[RESPONDER]) & numbers.ack_counts)
    back = back[(rows.flags[back] & (SYN | RST | ACK)) == ACK]
    before = e.sent_before(back)
    back = back[(rows.seq[back] < before) & (rows.seq_end[back] <= before)]
    if len(back) < FALLEN_BACK:
        return
    often = np.bincount(rows.end[back], minlength=2 * len(e))
    if often.max(initial=0) < FALLEN_BACK:
        return
    last, first = e.last_of_end(np.flatnonzero(~e.is_rst)), e.first_of_end(back)
    ends = np.flatnonzero((often >= FALLEN_BACK) & (last >= 0))
    ends = ends[np.isin(last[ends], back)]
    answer = last[np.where(rows.self_connect[ends >> 1], ends, ends ^ 1)]
    # Who has opened another connection, whose SYN was not captured, has a peer that has too.
    insists = (answer > first[ends]) & (rows.ack[answer] >= e.sent_before(first[ends]))
    # On the other side of a box that shifts the numbers they are others.
    before = previous_of_end(rows, ~e.is_rst, ends, first[ends])
    ends = ends[insists & e.at_one_place(before, first[ends])]
    begin = first[ends]
    own = of_side(rows.side[begin], [acknowledged[begin] for acknowledged in numbers.acknowledged_by])
    yield e.found(
        "the {who:end} fell back: {n:count segment} acknowledge {octets:octets} less than it had before, and the first "
        "begins {seq:octets} below what it had sent",
        ends >> 1,
        begin,
        last[ends],
        who=ends & 1,
        n=often[ends],
        octets=own - rows.ack[begin],
        seq=e.sent_before(begin) - rows.seq[begin],
    )


def _belied(e: Evidence) -> Mask:
    """Mark the RSTs with a number that can take effect whose sender goes on."""
    belied: Mask = (e.shared(ResetCauses).goes_on >= 0) & CAN_WORK[e.resets["reason"]]
    return belied


def _first_of_each_end(causes: ResetCauses, which: Rows) -> Rows:
    return which[np.unique(causes.sender[which], return_index=True)[1]] if len(which) else which


def _reset_before(causes: ResetCauses) -> Mask:
    """Mark the RSTs whose end had sent an RST that counts before."""
    first = np.full(2 * len(causes.evidence), len(causes.evidence.rows), np.int64)
    first[causes.sender[causes.counts]] = causes.at[causes.counts]
    return first[causes.sender] < causes.at
