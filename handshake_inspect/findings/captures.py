"""What a capture is worth: where it was taken, what it shows twice, what it lacks, what its clock is worth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.conversations import is_loopback
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK, RST, row_before, running_maximum
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, about_rule, rule
from handshake_inspect.findings.run import About, Run
from handshake_inspect.quantities import counted, duration, listed
from handshake_inspect.sets import set_of

#: Shorter handshakes say nothing of where they were captured: the hosts themselves take as long to answer.
SHORTEST_NS = 1_000_000
#: Share of the handshake that is spent on the near side, at most; how many handshakes are needed, and must agree. One
#: alone may have met a host that was busy.
NEAR, HANDSHAKES, MOST = 0.1, 3, 0.8
#: Fewer frames may have one time by chance.
FEW_FRAMES = 3
#: Captures that are named together.
NAMED = 3
#: How copies come about, by their kind.
COPIES = {
    "loopback": "captured twice within 0.1 ms, where they leave and where they arrive on loopback",
    "mirror": "captured again within 10 ms, as a port mirror or a bridge shows them",
    "router": "captured again on the other side of a router",
    "elsewhere": "in more than one of the captures",
}


@about_rule("vantage-point", CHAT)
def vantage_point(run: Run) -> Iterator[About]:
    """Where a capture was taken: near the client, near the server, or between.

    What it means. From SYN to SYN-ACK is the way to the server and back, from SYN-ACK to the third segment that to the
    client and back: both are answered by the kernels, at once. Where one of them is short, that end is near.

    Why it matters. Near an end the capture shows what that end sends as it sends it. What is lost on the way to it is
    not seen arriving: a segment that is there did not necessarily reach the other end.

    Reported when. A capture has three handshakes of 1 ms or more, and four of five agree: near is where a tenth of the
    time or less is spent.

    Not reported when. It is a capture of loopback, the handshakes do not agree (a router with clients on both sides),
    or they are so short that the hosts themselves take as long.

    Source. RFC 9293 §3.5 (Figure 6); RFC 6298 §3 (Karn: no handshake with a repetition is measured).
    """
    table, keys = run.table, run.connections.keys
    usable = (table["syn_to_syn_ack_ns"] != NONE) & (table["syn_ack_to_ack_ns"] != NONE)
    usable &= (table["syn_retransmissions"] == 0) & (table["syn_ack_retransmissions"] == 0)
    at = np.flatnonzero(usable)
    if not len(at):
        return
    at = at[~is_loopback(keys)[table["conversation"][at]]]
    there, back = (table[name][at].astype(np.int64) for name in ("syn_to_syn_ack_ns", "syn_ack_to_ack_ns"))
    took = there + back >= SHORTEST_NS
    there, back, captures = there[took], back[took], table["first_capture"][at[took]]
    for number in set_of(captures).tolist():
        rows = np.flatnonzero(captures == number)
        share = back[rows] / (there[rows] + back[rows])
        for place, so in (
            ("near the client", share <= NEAR),
            ("near the server", share >= 1 - NEAR),
            ("between client and server", (share > NEAR) & (share < 1 - NEAR)),
        ):
            if len(rows) >= HANDSHAKES and so.mean() >= MOST:
                yield About(
                    run.captures[number].name,
                    f"{place}: from here the server answers in {duration(int(np.median(there[rows])))}, the client in"
                    f" {duration(int(np.median(back[rows])))} (median of {counted(len(rows), 'handshake')})",
                    len(rows),
                )


@about_rule("copies", CHAT, example="loopback-twice.pcap")
def copies(run: Run) -> Iterator[About]:
    """Segments were captured more than once; each is counted once.

    What it means. A capture of loopback shows each segment leaving and arriving, a port mirror entering and leaving the
    switch, a capture of all interfaces of a router on both sides of it. Two captures of one run show what passed both.

    Why it matters. Taken for what was sent, every one of them would be a retransmission. Sizes, counts and times are
    those of the first copy.

    Reported when. Segments are equal in all that their sender would change, and so many that they can only be copies.

    Not reported when. Only some segments of a conversation stand there twice: the network may have doubled them.

    Source. RFC 6864 §4.1 (IP identification). tcptrace "hardware duplicates".
    """
    names = [one.name for one in run.captures]
    about = listed(names) if len(names) <= NAMED else counted(len(names), "capture")
    concerned = int(np.count_nonzero(run.table["duplicates"]))
    for kind, count in run.connections.verdicts.copies.items():
        if count:
            yield About(about, f"{counted(count, 'segment')} {COPIES[kind]}: counted once", concerned)


@about_rule("clock-set-back", WARN)
def clock_set_back(run: Run) -> Iterator[About]:
    """The clock of a capture steps back.

    What it means. It was set while the capture ran, several captures were put behind each other in one file, or its
    interfaces have different clocks.

    Why it matters. Intervals across a step are not known: round trips, silence, how long TIME-WAIT lasted. Frames stay
    in the order of the file, the only one there is.

    Reported when. A frame is more than 0.1 s earlier than one before it (2 s if the capture has several interfaces).

    Not reported when. Frames lie less behind, as queues of a network card bring it about (`frames-out-of-order`).

    Source. ntp.conf(5), `tinker step`: steps of 128 ms and more are set, not slewed. reordercap(1) sorts by time.
    """
    for one in run.captures:
        found = one.disorder
        if found.jumps and found.first_jump_frame is not None:
            steps = f"{counted(found.jumps, 'time')}, by up to {duration(found.largest_jump_ns)}"
            yield About(
                one.name,
                f"the clock steps back {steps}, first at frame {found.first_jump_frame:,}: intervals across a step are"
                " not known",
                frames=(found.first_jump_frame,),
            )


@about_rule("frames-out-of-order", NOTE)
def frames_out_of_order(run: Run) -> Iterator[About]:
    """Frames stand in the file behind later ones.

    What it means. Several queues of a network card, or several interfaces, hand their frames over in turns.

    Why it matters. By the order of the file an answer may come before its question. Here frames are put in order of
    time; other tools may take the order of the file, and see segments overtake each other that never did.

    Reported when. A frame is up to 0.1 s earlier than one before it (2 s if the capture has several interfaces).

    Not reported when. It is earlier by more: that is a clock which was set (`clock-set-back`).

    Source. reordercap(1).
    """
    for one in run.captures:
        found = one.disorder
        if found.frames:
            frames = counted(found.frames, "frame")
            yield About(one.name, f"{frames} out of order by up to {duration(found.largest_ns)}: put in order of time")


@about_rule("times-equal", NOTE)
def times_equal(run: Run) -> Iterator[About]:
    """All frames of a capture have the same time.

    What it means. The capture was made by a program, or rewritten by one that did not keep the times.

    Why it matters. Nothing is known of intervals: no round trip, no retry schedule, no TIME-WAIT that ran out.

    Reported when. A capture has three frames or more, and the first and the last have the same time.

    Not reported when. It has one or two frames.

    Source. The times of the records themselves.
    """
    for one in run.captures:
        if one.frames >= FEW_FRAMES and one.first_ns == one.last_ns:
            yield About(one.name, f"all {one.frames:,} frames have the same time: nothing is known of intervals")


@rule("one-direction", NOTE)
def one_direction(e: Evidence) -> Iterator[FindingRows]:
    """Only one end of the connection was captured.

    What it means. The two directions take different ways, and the capture sees one of them, or its filter does.

    Why it matters. What the other end sent is known by acknowledgments alone: no data of it, no options, and of an RST
    or a retry nothing at all.

    Reported when. One end is silent in the capture, and the other end acknowledges what it said.

    Not reported when. The other end may really have been silent (`unanswered`).

    Source. RFC 9293 §3.4. Zeek possible_split_routing.
    """
    at = np.flatnonzero(e.table["one_sided"])
    if not len(at):
        return
    captured = (e.table["segments_o"][at] == 0).astype(np.int64)
    yield e.found(
        "only the {who:end} was captured: what the {other:end} sent is known by acknowledgments alone",
        at,
        e.rows.start[at],
        who=captured,
        other=1 - captured,
    )


@rule("octets-not-captured", NOTE, needs=ACK)
def octets_not_captured(e: Evidence) -> Iterator[FindingRows]:
    """Data were acknowledged that stand in no captured segment: the capture lost them.

    What it means. The capturing program was too slow, its buffer too small, fragments are missing, or some segments
    took another way. They did arrive: the other end acknowledges them.

    Why it matters. Here the capture is incomplete, not the connection. What else is missing from it, nothing tells.

    Reported when. Start and end of a direction are known, fewer octets than lie between them were captured, and all of
    them were acknowledged.

    Not reported when. The other end was captured alone (`one-direction`), or did not acknowledge them: then the network
    lost them.

    Source. RFC 9293 §3.4. Wireshark tcp.analysis.ack_lost_segment, Zeek `missed_bytes`.
    """
    table = e.table
    for side, name in enumerate(("o", "r")):
        at = np.flatnonzero((table[f"missing_octets_{name}"] > 0) & (table["one_sided"] == 0))
        at = at[e.finally_acknowledged[2 * at + 1 - side] > table[f"sent_octets_{name}"][at]]
        if not len(at):
            continue
        yield e.found(
            "{octets:octets} of the {who:end} were acknowledged, and stand in no captured segment",
            at,
            _behind_gap(e, side)[at],
            who=np.full_like(at, side),
            octets=table[f"missing_octets_{name}"][at],
        )


def _behind_gap(e: Evidence, side: int) -> Rows:
    """Return the first row of this side behind a gap in its numbers, -1 if there is none. Shape (m,)."""
    rows = e.rows
    own = (rows.side == side) & ((rows.flags & RST) == 0)
    reached = row_before(rows, running_maximum(rows, rows.seq_end, own))
    return e.first_among(np.flatnonzero(own & (rows.seq - rows.folded_octets > np.maximum(reached, 1))))
