"""What comes after the end, or into a connection that is closing with numbers that are not its own.

Read RFC 9293 §3.4, §3.6, §3.10.7.4 and RFC 5961 first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.events.numbers import previous_of_end
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN, UNKNOWN, of_side
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.fin_answers import FinAnswers
from handshake_inspect.findings.option_lists import is_cut, of_lists
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.sets import first_of_runs, set_of
from handshake_inspect.tcp.options import SHIFT_MAX

#: What such numbers come from, the likeliest first: behind the end, and before it.
OF_ANOTHER = ", when both FINs were acknowledged: of a later connection whose SYN was not captured, or forged"
FORGED = ": forged, or its sender is broken"


def _behind_own_fin(e: Evidence, at: Rows) -> Rows:
    """Return those of these rows that an end sent behind its FIN, without RSTs and SYNs."""
    fin = e.numbers.fin_row.take(e.rows.end.take(at))
    behind: Rows = at[(fin >= 0) & (fin < at) & ((e.rows.flags[at] & (RST | SYN)) == 0)]
    return behind


def _is_over(e: Evidence, at: Rows) -> Mask:
    """Had both FINs been acknowledged before each of these segments?"""
    conn, both = e.rows.conn[at], e.shared(FinAnswers).first.reshape(-1, 2)
    over: Mask = (both[conn] >= 0).all(axis=1) & (both[conn].max(axis=1) < at)
    return over


@rule("data-after-fin", WARN, example="data-after-fin.server.pcap", needs=FIN)
def data_after_fin(e: Evidence) -> Iterator[FindingRows]:
    """An end sent octets with numbers beyond its own FIN.

    What it means. A FIN says that nothing follows: no octet can have its number or a higher one. Either somebody forged
    these octets, or their sender is broken, or they belong to another connection of the same sockets, whose SYN was not
    captured: likely if both FINs had been acknowledged.

    Why it matters. The receiver drops them. An inspector that puts them into the stream sees what no program read.

    Reported when. Behind an end's first FIN a segment of it has octets beyond that FIN.

    Not reported when. Octets below the FIN come late, or again.

    Source. RFC 9293 §3.6, §3.10.7.4 (eighth). Suricata stream.fin1_ack_wrong_seq, fin2_ack_wrong_seq,
    closing_ack_wrong_seq, lastack_ack_wrong_seq, timewait_ack_wrong_seq, which also count octets that come late.
    """
    rows, numbers = e.rows, e.numbers
    at = _behind_own_fin(e, e.data_rows)
    # The number of its last octet, against that of the FIN.
    above = rows.seq_end[at] - ((rows.flags[at] & FIN) != 0) - numbers.fin_end[rows.end[at]]
    at, above = at[above >= 0], above[above >= 0]
    if not len(at):
        return
    end = rows.end[at]
    ends, place = np.unique(end, return_inverse=True)
    first = np.full(len(ends), len(rows))
    np.minimum.at(first, place, at)
    farthest = np.zeros(len(ends), np.int64)
    np.maximum.at(farthest, place, above)
    segments, over = np.bincount(place, minlength=len(ends)), _is_over(e, first)
    for some, why in ((over, OF_ANOTHER), (~over, FORGED)):
        yield e.found(
            "the {who:end} sent {segments:count segment} with data beyond its own FIN, up to {farthest} above its "
            f"number{why}",
            ends[some] >> 1,
            numbers.fin_row[ends[some]],
            first[some],
            who=ends[some] & 1,
            segments=segments[some],
            farthest=farthest[some],
        )


@rule("fin-other-number", WARN, example="fin-other-number.server.pcap", needs=FIN)
def fin_other_number(e: Evidence) -> Iterator[FindingRows]:
    """An end sent a second FIN with another number than its first one.

    What it means. A FIN that is repeated keeps its number: it is the last octet of its direction. One of the two is not
    from this connection: forged, or of another connection of the same sockets, or the first one was.

    Why it matters. Which of them the receiver believes depends on what it had received: an inspector that takes the
    wrong one cuts the stream at another place than the program.

    Reported when. Behind an end's first FIN comes one whose end lies elsewhere.

    Not reported when. The octets before the FIN are sent with it: the FIN itself has its old number then.

    Source. RFC 9293 §3.4, §3.6. Zeek FIN_advanced_last_seq; Suricata stream.fin1_fin_wrong_seq, fin2_fin_wrong_seq.
    """
    rows, numbers = e.rows, e.numbers
    at = _behind_own_fin(e, np.flatnonzero(numbers.claims_fin & ~numbers.is_fin))
    if not len(at):
        return
    at = at[np.unique(rows.end[at], return_index=True)[1]]
    moved, over = rows.seq_end[at] - numbers.fin_end[rows.end[at]], _is_over(e, at)
    told = (
        (which & way, f"a second FIN of the {{who:end}} has a number {{moved:octets}} {where} that of the first{why}")
        for way, where in ((moved > 0, "above"), (moved < 0, "below"))
        for which, why in ((over, OF_ANOTHER), (~over, FORGED))
    )
    first = numbers.fin_row[rows.end[at]]
    yield from e.found_each(told, rows.conn[at], first, at, who=rows.side[at], moved=np.abs(moved))


@rule("fin-out-of-window", WARN, example="fin-out-of-window.server.pcap", needs=FIN)
def fin_out_of_window(e: Evidence) -> Iterator[FindingRows]:
    """A FIN has a number that its receiver cannot take.

    What it means. It lies before its sender's SYN, or beyond the window that its receiver had offered: somebody forged
    it without knowing the numbers, or it is left from an older connection of the same sockets.

    Why it matters. The receiver acknowledges what it expects, and drops it: nothing is closed. An inspector that does
    not look at numbers takes the connection for closed.

    Reported when. A FIN lies below the initial number of its sender; or above the last acknowledgment of its receiver
    by more than the window, and is never acknowledged.

    Not reported when. The window scale is not known and a shift of 14 would do; it is acknowledged later: the capture
    has missed segments then.

    Source. RFC 9293 §3.10.7.4 (first). Suricata stream.fin_out_of_window, closewait_fin_out_of_window.
    """
    rows, numbers = e.rows, e.numbers
    is_fin = (rows.flags & (FIN | ACK | RST | SYN)) == FIN | ACK
    foreign = np.flatnonzero(is_fin & ~numbers.claims_fin)
    at = rows.rows_of(e.unacknowledged)
    at = at[is_fin[at]]
    at = at[e.finally_acknowledged[rows.peer[at]] < rows.seq_end[at]]
    expected = of_side(rows.peer_side[at], [by[at] for by in numbers.acknowledged_by])
    ahead = (expected > UNKNOWN) & (rows.seq[at] > expected)
    at, expected = at[ahead], expected[ahead]
    if len(at):
        beyond = rows.seq[at] - expected - _offered(e, at)
        at, beyond = at[beyond >= 0], beyond[beyond >= 0]
    else:
        beyond = at
    if not len(foreign) and not len(at):
        return
    for some, how in ((foreign, "below the first after its SYN"), (at, "beyond the window")):
        first = some[first_of_runs(rows.conn[some])]
        distance = 2 - rows.seq_end[first] if some is foreign else beyond[np.searchsorted(at, first)]
        yield e.found(
            f"the number of a FIN of the {{who:end}} lies {{distance:octets}} {how}: it closes nothing",
            rows.conn[first],
            first,
            who=rows.side[first],
            distance=distance,
        )


def _offered(e: Evidence, at: Rows) -> Rows:
    """Return the window that the receivers of these segments had offered last; the largest possible if never."""
    rows = e.rows
    offers = previous_of_end(rows, ~e.is_rst, rows.peer[at], at)
    lists = np.stack([e.table["options_o"], e.table["options_r"]], axis=1).astype(np.int64)[rows.conn[at]]
    known, which = (lists != NONE).all(axis=1), np.maximum(lists, 0)
    scale = of_lists(e, lambda options: NONE if options.window_scale is None else options.window_scale, which)
    scale = np.where((scale == NONE) & is_cut(e, which), SHIFT_MAX, scale)
    own = np.take_along_axis(scale, (rows.peer[at] & 1)[:, None], axis=1)[:, 0]
    shift = np.where(known, np.where((scale == NONE).any(axis=1), 0, np.minimum(own, SHIFT_MAX)), SHIFT_MAX)
    window = rows.window[np.maximum(offers, 0)].astype(np.int64) << shift
    return np.where(offers >= 0, window, NEVER >> 1)


@rule("ack-beyond-fin", WARN, example="ack-beyond-fin.server.pcap", needs=FIN)
def ack_beyond_fin(e: Evidence) -> Iterator[FindingRows]:
    """An end acknowledges numbers beyond its peer's FIN, which nobody sent.

    What it means. After a FIN there is nothing to acknowledge. The segment is forged, its sender is broken, or it
    belongs to another connection of the same sockets.

    Why it matters. The receiver answers with an ACK and drops it. Who believes it takes octets for delivered that never
    were.

    Reported when. The peer's FIN was captured, and an acknowledgment behind it lies above everything that the peer
    sent. Elsewhere such a number only says that the capture missed something; behind a FIN there is nothing to miss.

    Not reported when. In an RST: that is judged with the RSTs. Its sender's next segment takes it back
    (`ack-of-unsent`).

    Source. RFC 9293 §3.10.7.4 (fifth: SEG.ACK > SND.NXT). Suricata stream.fin_invalid_ack, fin1_invalid_ack,
    fin2_invalid_ack, closing_invalid_ack, closewait_invalid_ack, lastack_invalid_ack, timewait_invalid_ack.
    """
    rows, last = e.rows, np.stack([e.table["last_seq_o"], e.table["last_seq_r"]], axis=1).reshape(-1)
    ends = np.flatnonzero(e.finally_acknowledged > last.take(rows.other_end))
    if not len(ends):
        return
    at = rows.rows_of(set_of(ends >> 1))
    fin = e.numbers.fin_row[rows.peer[at]]
    at = at[(fin >= 0) & (fin < at) & ((rows.flags[at] & (ACK | RST | SYN)) == ACK) & e.numbers.ack_counts[at]]
    beyond = rows.ack[at] - last[rows.peer[at]]
    at, beyond = at[beyond > 0], beyond[beyond > 0]
    first = np.unique(rows.end[at], return_index=True)[1]
    at, beyond = at[first], beyond[first]
    yield e.found(
        "the {who:end} acknowledges {beyond:octets} beyond the FIN of the {peer:end}, which were never sent",
        rows.conn[at],
        e.numbers.fin_row[rows.peer[at]],
        at,
        who=rows.side[at],
        peer=rows.peer[at] & 1,
        beyond=beyond,
    )


@rule("fin-after-reset", NOTE, example="fin-after-reset.server.pcap", needs=FIN | RST)
def fin_after_reset(e: Evidence) -> Iterator[FindingRows]:
    """A FIN comes after an RST that had ended the connection.

    What it means. If the end that got the RST sends it, it was most often on its way when the RST came. If the end that
    sent the RST does, one of the two is not from it: an end that has sent an RST has no connection to close.

    Why it matters. Nobody waits for it: it is answered with an RST, or not at all. RSTs of a box between the ends look
    so.

    Reported when. Behind an RST that took effect comes a FIN.

    Not reported when. The RST was ignored.

    Source. RFC 9293 §3.5.3, §3.10.7.1. Zeek FIN_after_reset.
    """
    resets, rows = e.events.resets, e.rows
    reset = e.first_among(resets.row[resets.moment != NEVER])
    fins = rows.rows_of(np.flatnonzero(reset >= 0))
    fins = fins[e.numbers.claims_fin[fins]]
    fins = fins[fins > reset[rows.conn[fins]]]
    if not len(fins):
        return
    fins = fins[first_of_runs(rows.conn[fins])]
    reset = reset[rows.conn[fins]]
    after = e.between_ns(reset, fins)
    own = rows.end[fins] == rows.end[reset]
    text, known = "a FIN of the {who:end} comes {after:duration} after ", after >= 0
    yield from e.found_each(
        ((own & known, text + "its own RST"), (~own & known, text + "the RST of the {other:end}")),
        rows.conn[fins],
        reset,
        fins,
        who=rows.side[fins],
        other=rows.side[reset],
        after=after,
    )


@rule("fin-without-connection", CHAT, needs=FIN)
def fin_without_connection(e: Evidence) -> Iterator[FindingRows]:
    """The first segment captured between two sockets is a FIN.

    What it means. The capture began when the connection was nearly over; or there never was one: some scanners probe
    ports with a FIN.

    Why it matters. Who opened it, and what was sent, cannot be told.

    Reported when. A connection begins with a FIN, and neither a SYN nor a SYN-ACK of it was captured.

    Not reported when. Anything else of it came first.

    Source. RFC 9293 §3.10.7.1, §3.10.7.2. Zeek spontaneous_FIN, inappropriate_FIN; Suricata stream.fin_but_no_session.
    """
    first = e.rows.start[:-1]
    at = np.flatnonzero((e.rows.flags[first] & (FIN | RST)) == FIN)
    if not len(at):
        return
    at = at[e.handshake("not-captured")[at]]
    bare = (e.rows.flags[first[at]] & ACK) == 0
    for some, what in (
        (~bare, "the connection's beginning was not captured"),
        (bare, "without ACK, as a scan sends it"),
    ):
        yield e.found(
            f"it begins with a FIN: {what}",
            at[some],
            first[at[some]],
        )
