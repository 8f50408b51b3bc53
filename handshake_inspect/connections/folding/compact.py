"""Folds segments that cannot change an answer, so that a long transfer takes no more memory than a short one.

In: all rows so far of some conversations. Out: fewer rows that give the same answers. Rows of the ordinary middle of a
transfer are folded: segments in order, acknowledged, and with no information but more octets. Each is counted into
the next row of its sender that stays.

Why it is exact. Answers depend on few properties of rows: the first rows of an end, control bits, the running maxima
of SEG.SEQ and SEG.ACK, acknowledgments of a SYN or FIN, and everything unusual. A row is *ordinary* if it continues its
direction exactly (SEG.SEQ is the next number), acknowledges no less than before and nothing that was not captured, and
is not the first of its kind. Only ordinary rows whose octets the peer has already acknowledged are folded: they
acknowledge only data, and once they have arrived, the time of that is irrelevant. All other rows stay, and are
*barriers*: between two barriers the last row of each end also stays (and the peer's last row before it), so at every
row that stays, now and later, both maxima are unchanged.

Where only one direction is captured nothing proves that anything arrived. There a row is folded once `UNDER_WAY` more
have come: should its peer be captured after all, it acknowledges that row with its first segment.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.copies.packets import COPY_WITHIN_NS, MIXED
from handshake_inspect.connections.events.events import find_events
from handshake_inspect.connections.events.numbers import Numbers, next_of_end
from handshake_inspect.connections.folding.duplicates import CollapsedRows, joined_each
from handshake_inspect.connections.moments import EARLIEST_NS, NEVER
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    of_side,
    own_before,
    running_maximum,
)
from handshake_inspect.connections.splitting.split import COPY_COLUMNS, Split, StoredRows, first_of, split
from handshake_inspect.connections.zeek.reach import at_thresholds, find_reach, repeated_payload
from handshake_inspect.plain import mutable
from handshake_inspect.sets import begins_run, first_of_runs
from handshake_inspect.tcp.states import Event

#: One row stays for every 2**STEP_BITS numbers of a direction, so that unwrapping modulo 2**32 stays certain.
STEP_BITS = 29
#: Of an end whose peer was not captured, so many of the latest segments may still be under way.
UNDER_WAY = 1 << 10
#: Folding is tried if at least one of this many rows continues the numbers of its end.
LEAST_GOING_ON = 16


@mutable
class Progress:
    """The progress of each side at each row, this row included. Two arrays each, of shape (n,)."""

    #: The number after the last one sent, and the last number sent after a hole.
    sent: list[Rows]
    skipped_to: list[Rows]
    #: The highest SEG.ACK of all segments, and of those that are counted.
    acknowledged: list[Rows]
    counted: list[Rows]


@mutable
class FoldedRows:
    """Rows of some conversations, before and after folding."""

    #: All rows, and their connections.
    stored: StoredRows
    part: Split
    progress: Progress
    #: Segments of the middle of a transfer: by control bits alone, and by all that is known. Shape (n,).
    plain: Mask
    ordinary: Mask
    #: Rows of conversations that captures have several times.
    doubled: Mask
    #: The rows that stay.
    rows: StoredRows


def compact(
    collapsed: CollapsedRows, self_conversation: Mask, *, copies_within_ns: int = 0, single_until_ns: int = EARLIEST_NS
) -> FoldedRows:
    """Fold all rows that can be folded. Rows are sorted by conversation and capture order, and so is the result.

    Rows not older than `copies_within_ns` stay, as copies of them may still come, unless they are from
    `single_until_ns` or before. Conversations in which hardly a row continues its end stay unchanged, after the others.
    """
    may_fold = _may_fold(collapsed.rows)
    if not may_fold.all():
        rest = collapsed.rows.take(~may_fold)
        some = _only(collapsed, may_fold)
        compacted = compact(some, self_conversation, copies_within_ns=copies_within_ns, single_until_ns=single_until_ns)
        return replace(compacted, rows=StoredRows.concatenate([compacted.rows, rest]))
    stored = collapsed.rows
    part = split(stored, self_conversation)
    rows = part.rows
    events = find_events(rows)
    one_way = _is_one_way(part)
    settled = settled_from(rows, events.start, events.code, events.row, one_way)
    progress = _progress(rows, events.numbers)
    plain = is_plain(rows.flags) & (rows.window != 0)
    # Rows found ordinary before stay so: the rows that proved it may have been folded.
    ordinary = _ordinary(rows, events.numbers, progress, plain, settled, one_way) | (stored["ordinary"] != 0)
    ordinary &= ~_steps_over(rows.end, rows.seq) & ~_steps_over(rows.end, rows.ack)
    lone = _lone(collapsed, copies_within_ns, single_until_ns) & ~may_copy_another_connection(part)
    lone &= ~(_last_of_capture(rows) | _may_be_copied_in_the_next_file(stored, rows))
    arrived = _acknowledged(rows, events.numbers) | _is_old(rows, one_way)
    stays = ~_foldable(rows, events.numbers, ordinary & arrived, lone & ~_tells_of_copies(rows))
    echoes = _echoes(rows, progress)
    # A row is counted in the next row of its end that stays.
    columns = dict(stored.columns) | {"ordinary": ordinary}
    for name, amount in (
        ("folded_segments", rows.folded_segments + 1),
        ("folded_octets", rows.folded_octets + rows.payload),
        ("echoes", stored["echoes"].astype(np.int64) + echoes),
        ("folded_copies", rows.duplicates),
        ("folded_repeats", rows.folded_repeats + np.where(rows.payload > 0, rows.duplicates - rows.folded_copies, 0)),
        *((name, stored[name].astype(np.int64)) for name in COPY_COLUMNS if stored[name].any()),
    ):
        columns[name] = stored[name] + folded_into(rows.side, stays, amount)
    into = columns["folded_segments"] > stored["folded_segments"]
    columns["echoes"] += into & echoes
    said, now = stored["shown_each"], collapsed.shown_each
    otherwise = folded_into(rows.side, stays, ((said > 0) & (said != now)).astype(np.int64)) > 0
    columns["shown_each"] = joined_each(said, np.where(into, np.where(otherwise, MIXED, now), np.uint8(0)))
    doubled = (collapsed.shown_each > 1) | (rows.duplicates > 0)
    return FoldedRows(stored, part, progress, plain, ordinary, doubled, StoredRows(columns).take(stays))


def _may_fold(stored: StoredRows) -> Mask:
    """Mark the rows of conversations with some share of candidates: plain rows that continue their end.

    A million segments with arbitrary control bits and numbers may be a single conversation, or ten; the search for
    ordinary rows in these took a quarter of all time.
    """
    conversation, seq = stored["conversation"], stored["seq"]
    order = np.argsort(conversation.astype(np.int64) << 1 | stored["from_higher"], kind="stable")
    before, behind = order[:-1], order[1:]
    goes_on = conversation[before] == conversation[behind]
    goes_on &= seq[before] + stored["payload_octets"][before] == seq[behind] - stored["folded_octets"][behind]
    goes_on &= is_plain(stored["flags"][behind])
    begins = first_of_runs(conversation)
    number = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(stored)))
    going_on = np.bincount(number[behind[goes_on]], minlength=len(begins))
    may: Mask = (LEAST_GOING_ON * going_on >= np.bincount(number))[number]
    return may


def _only(collapsed: CollapsedRows, which: Mask) -> CollapsedRows:
    """Return some of the rows."""
    return replace(
        collapsed,
        rows=collapsed.rows.take(which),
        shown_each=collapsed.shown_each[which],
        open=collapsed.open[which],
    )


def is_plain(flags: NDArray[np.uint16]) -> Mask:
    """Mark the segments with the ACK bit and without bits that open or close a connection."""
    plain: Mask = (flags & (SYN | FIN | RST | ACK)) == ACK
    return plain


def folded_into(side: NDArray[np.integer[Any]], stays: Mask, amount: NDArray[np.integer[Any]]) -> Rows:
    """Add up, for each row that stays, the amounts of the folded rows of its side right before it.

    Rows are sorted by connection; every folded row is followed by one of its end that stays. Shape (n,).
    """
    total = np.zeros(len(stays), np.int64)
    for one in (0, 1):
        own = side == one
        kept = np.flatnonzero(stays & own)
        until = np.cumsum(amount * own, dtype=np.int64).take(kept)
        total[kept] = np.diff(until, prepend=0) - amount[kept]
    return total


def _is_one_way(part: Split) -> Mask:
    """Mark the connections of which one end is not captured, if their sockets have no other. Shape (m,).

    Of several a segment of that end could still decide where one ends and the next begins.
    """
    begins = begins_run(part.conversation)
    only = begins & np.append(begins[1:], True)
    one_way: Mask = only & ~part.rows.has_spoken.reshape(-1, 2).all(axis=1) & ~part.rows.self_connect
    return one_way


def settled_from(
    rows: ConnectionRows, start: Rows, code: NDArray[np.uint8], row: Rows, one_way: Mask | bool = False
) -> Rows:
    """Return the row from which on the opening of each connection is final; NEVER if it may change. Shape (m,).

    `one_way`: connections of which only one end is captured. That of the other would change nothing before it.
    """
    event = code & 0xF
    conn = np.repeat(np.arange(rows.connections), np.diff(start))
    opening = (event == Event.RECEIVE_SYN) | (event == Event.RECEIVE_ACK_OF_SYN)
    acknowledged = np.bincount(conn[event == Event.RECEIVE_ACK_OF_SYN], minlength=rows.connections)
    last = np.full(rows.connections, -1, np.int64)
    np.maximum.at(last, conn[opening], row[opening])
    known = rows.iss_known.all(axis=1)
    midstream = ~rows.iss_known.any(axis=1)
    return np.where((known & (acknowledged == 2)) | midstream | one_way, last, NEVER)


def _progress(rows: ConnectionRows, numbers: Numbers) -> Progress:
    named = (rows.flags & (RST | ACK)) == ACK
    own_sent = own_before(rows, rows.sent_by)
    skips = (rows.seq - rows.folded_octets > own_sent) & (own_sent > UNKNOWN) & ((rows.flags & RST) == 0)
    skips &= ~rows.ignored_syn
    return Progress(
        sent=rows.sent_by,
        skipped_to=[running_maximum(rows, rows.seq, skips & (rows.side == s)) for s in (0, 1)],
        acknowledged=[running_maximum(rows, rows.ack, named & (rows.side == s)) for s in (0, 1)],
        counted=numbers.acknowledged_by,
    )


def _ordinary(
    rows: ConnectionRows, numbers: Numbers, progress: Progress, plain: Mask, settled: Rows, one_way: Mask
) -> Mask:
    index, end, peer = np.arange(len(rows)), rows.end, rows.peer
    begin = rows.seq - rows.folded_octets
    own_ack = own_before(rows, progress.counted)
    ordinary = (
        plain
        & (begin == own_before(rows, progress.sent))
        & (rows.ack >= own_ack)
        & ((rows.ack <= of_side(peer & 1, progress.sent)) | one_way[rows.conn])
        & (own_ack > UNKNOWN)
    )
    ordinary &= ~rows.self_connect[rows.conn]
    # An acknowledgment beyond a hole, and data captured after its acknowledgment, show losses of the capture.
    ordinary &= own_ack >= of_side(peer & 1, progress.skipped_to)
    ordinary &= begin >= of_side(rows.side, progress.acknowledged[::-1])
    # The first data, the first that are new, and the first pure acknowledgment: of a connection, and after each RST and
    # each SYN that was not taken, for they show what came of it.
    trouble = ((rows.flags & RST) != 0) | rows.ignored_syn
    stretch = 2 * (rows.conn + np.cumsum(trouble)) + rows.side
    has_data = rows.payload > 0
    count = int(stretch.max(initial=-1)) + 1
    first = [first_of(stretch, mask, count) for mask in (has_data, has_data & ordinary, ~has_data & plain)]
    telling = np.concatenate([some[some >= 0] for some in first])
    ordinary[telling] = False
    # All rows before the end of the opening.
    behind = index > settled[rows.conn]
    ordinary &= behind
    # The peer's answer to each of these, and to a late SYN (RFC 9293 §3.10.7.4, fourth).
    asks = behind & ((rows.flags & SYN) != 0) | trouble
    asks[telling] = True
    at = np.flatnonzero(asks)
    answer = next_of_end(rows, np.ones(len(rows), np.bool_), peer[at], at)
    ordinary[answer[answer >= 0]] = False
    # No octets lie beyond a FIN (RFC 9293 §3.6): those that do are a finding.
    ordinary &= rows.seq_end <= numbers.fin_end[end]
    # The row after one that is not ordinary, of the same end, confirms or revokes it.
    ordinary &= _follows_ordinary(end, ordinary)
    found: Mask = ordinary
    return found


def _lone(collapsed: CollapsedRows, copies_within_ns: int, single_until_ns: int) -> Mask:
    """Mark the rows of which no copy can come any more."""
    stored = collapsed.rows
    conversation, time_ns = stored["conversation"], stored["time_ns"]
    begin = first_of_runs(conversation)
    number = np.repeat(np.arange(len(begin)), np.diff(begin, append=len(stored)))
    latest_ns = np.maximum.reduceat(time_ns, begin)
    doubled = np.maximum.reduceat(collapsed.shown_each, begin) > 1
    until_ns = np.maximum(latest_ns - copies_within_ns, single_until_ns)
    until_ns[doubled] = np.minimum(until_ns, latest_ns - COPY_WITHIN_NS - 1)[doubled]
    lone: Mask = (until_ns[number] >= time_ns) & ~(collapsed.open & doubled[number])
    return lone


def may_copy_another_connection(part: Split) -> Mask:
    """Mark the rows so early in a connection that they may be copies of rows of the connection before it."""
    rows = part.rows
    again = np.append(False, part.conversation[1:] == part.conversation[:-1])[: rows.connections]
    since_ns = rows.time_ns - rows.time_ns[rows.start[:-1]][rows.conn]
    early: Mask = again[rows.conn] & (since_ns <= COPY_WITHIN_NS)
    return early


def _last_of_capture(rows: ConnectionRows) -> Mask:
    """Mark the rows after which the end continues in another capture: each capture's last row is needed."""
    last = np.zeros(len(rows), np.bool_)
    if len(rows) and (rows.capture != rows.capture[0]).any():
        order = np.argsort(rows.end, kind="stable")
        end, capture = rows.end[order], rows.capture[order]
        last[order[:-1]] = (end[1:] == end[:-1]) & (capture[1:] != capture[:-1])
    return last


def _may_be_copied_in_the_next_file(stored: StoredRows, rows: ConnectionRows) -> Mask:
    """Mark the rows without a copy in doubled conversations, shortly before one file ends and another begins."""
    conversation, capture, time_ns = stored["conversation"], stored["capture"], stored["time_ns"]
    begins = np.flatnonzero((capture[1:] != capture[:-1]) & (conversation[1:] == conversation[:-1])) + 1
    may = np.zeros(len(rows), np.bool_)
    copied = rows.duplicates > 0
    if not len(begins) or not copied.any():
        return may
    number = np.searchsorted(begins, np.arange(len(rows)), side="right")
    for other in (begins[np.maximum(number - 1, 0)] - 1, begins[np.minimum(number, len(begins) - 1)]):
        may |= (conversation[other] == conversation) & (np.abs(time_ns[other] - time_ns) <= COPY_WITHIN_NS)
    return may & ~copied & np.isin(conversation, conversation[copied])


def _echoes(rows: ConnectionRows, progress: Progress) -> Mask:
    """Mark the segments without new information, as copies are. Rows with others folded in were judged before."""
    echoes: Mask = (rows.payload == 0) & (rows.ack <= own_before(rows, progress.acknowledged))
    echoes &= rows.folded_segments == 0
    return echoes


def _tells_of_copies(rows: ConnectionRows) -> Mask:
    """Mark the rows with a copy that is the 1st, 10th, 100th ... repeated payload of its end: a letter of history."""
    tells = np.zeros(len(rows), np.bool_)
    if rows.duplicates.any():
        tells[at_thresholds(rows.end, *repeated_payload(rows, find_reach(rows)))[0]] = True
    return tells


def _acknowledged(rows: ConnectionRows, numbers: Numbers) -> Mask:
    """Mark the rows whose end the peer has acknowledged."""
    acknowledged: Mask = rows.seq_end <= numbers.finally_acknowledged[rows.peer]
    return acknowledged


def _is_old(rows: ConnectionRows, one_way: Mask) -> Mask:
    """Mark the rows of one direction of which `UNDER_WAY` later ones are known."""
    old: Mask = one_way[rows.conn] & (rows.start[rows.conn + 1] - np.arange(len(rows)) > UNDER_WAY)
    return old


def _foldable(rows: ConnectionRows, numbers: Numbers, ordinary: Mask, lone: Mask) -> Mask:
    """Mark the rows that need not stay. `ordinary`: those that have arrived."""
    candidates = lone & ordinary & (rows.ack < numbers.fin_end[rows.peer])
    foldable: Mask = candidates & ~witnesses(latest_of_each_side(rows.side)[0], candidates)
    return foldable


def witnesses(other: Rows, foldable: Mask) -> Mask:
    """Choose the rows that stay between two barriers: the last of each end, and the other end's last before it.

    `other`: the latest row of the other end before each row. A row that has not arrived is also a barrier: it may
    acknowledge octets that would be counted after it.
    """
    stay = np.zeros(len(foldable), np.bool_)
    barriers = np.flatnonzero(~foldable)
    barrier, row = np.append(-1, barriers), np.append(barriers, len(foldable)) - 1
    for _ in range(3):
        between = row > barrier
        barrier, row = barrier[between], row[between]
        stay[row] = True
        row = other[row]
    return stay


def latest_of_each_side(side: NDArray[np.integer[Any]]) -> tuple[Rows, Rows]:
    """Return the latest row of the other side, and of the same, before each row; arbitrary where there is none.

    Computed from runs of rows of one side: a running maximum takes three times as long.
    """
    begins = first_of_runs(side)
    other = np.repeat(begins - 1, np.diff(begins, append=len(side)))
    same = np.arange(-1, len(side) - 1)
    same[begins[1:]] = begins[:-1] - 1
    return other, same


def _follows_ordinary(end: Rows, ordinary: Mask) -> Mask:
    """Mark the rows whose previous row of the same end is ordinary."""
    order = np.argsort(end, kind="stable")
    follows = np.zeros(len(end), np.bool_)
    follows[order[1:]] = ordinary[order[:-1]] & (end[order[1:]] == end[order[:-1]])
    return follows


def _steps_over(end: Rows, numbers: Rows) -> Mask:
    """Mark the numbers that are the first of an end in their range of 2**STEP_BITS."""
    order = np.argsort(end, kind="stable")
    step = numbers[order] >> STEP_BITS
    over = np.zeros(len(end), np.bool_)
    over[order[1:]] = step[1:] != step[:-1]
    return over
