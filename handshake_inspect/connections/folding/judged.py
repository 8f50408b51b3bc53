"""Finds the conversations folded with a judgement of copies that all of their rows do not confirm.

In: all rows kept of some conversations, in order. Out: the conversations that must be read again. All others have the
answers of a run in which nothing was folded.

Whether a capture has a conversation twice depends on all of its packets (`copies`), but `compact` must decide it from
part of them: rows it removes as copies are gone, and rows it folds are no candidates any more. So rows store how often
each packet was there by that judgement (`shown_each`). It must be the same in all parts, and in the remaining rows; and
it must be certain for the whole:

- If each packet was there once, fewer than most can be copies: a copy has no new information, and rows without new
  information stay, or are counted (`echoes`).
- If each was there several times, most are, in a conversation with that many removed copies.

Whether several captures have the same stretch of a conversation (`elsewhere`) also depends on all of it. Here it is
certain if no remaining row may also be in another capture; and where copies were removed, if all the rest is of one
capture, so that no difference of clocks affected the order, the copies are more than files of a rotation may repeat,
and from the first of them to the last most packets have one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import NO_ROWS, Mask, Rows
from handshake_inspect.connections.copies.packets import (
    ELSEWHERE,
    MOSTLY_DOUBLED,
    ONE_BY_ONE,
    end_of,
    in_capture,
    scene_of,
    shown_in,
    some_follow,
)
from handshake_inspect.connections.copies.runs import CERTAIN_COPIES
from handshake_inspect.connections.folding.compact import may_copy_another_connection
from handshake_inspect.connections.folding.duplicates import CollapsedRows, collapse
from handshake_inspect.connections.folding.repeats import repeated
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN, own_before, running_maximum
from handshake_inspect.connections.splitting.split import COPY_COLUMNS, Split, StoredRows, split
from handshake_inspect.sets import begins_run, first_of_runs, set_of
from handshake_inspect.table import PACKET_TYPE_UNKNOWN

INSIDE, OTHERS = COPY_COLUMNS[:ELSEWHERE], COPY_COLUMNS[ELSEWHERE:]


def misjudged(
    stored: StoredRows,
    loopback: Mask,
    self_conversation: Mask,
    trusted: frozenset[int] = frozenset(),
    lanes: Rows | None = None,
) -> Rows:
    """Return the conversations that must be read again. The arguments are those of `collapse` and `split`."""
    partial = _is_partial(stored)
    if not partial.any():
        return NO_ROWS
    wrong = np.append(_few_of_others(stored, lanes), _scattered(stored, lanes))
    doubtful = set_of(np.concatenate([_maybe_doubled(stored), _shown_by_several(stored), wrong]))
    doubtful = doubtful[np.isin(doubtful, stored["conversation"][partial])]
    if not len(doubtful):
        return doubtful
    doubtful_rows = stored.take(np.isin(stored["conversation"], doubtful))
    collapsed = collapse(doubtful_rows, loopback, trusted, lanes=lanes)
    rows = collapsed.rows
    found = [_doubled_otherwise(collapsed, self_conversation), _shown_by_several(rows), _scattered(rows, lanes), wrong]
    return set_of(np.concatenate(found)).astype(np.int64)


def _is_partial(stored: StoredRows) -> Mask:
    """Mark the rows that were folded or collapsed when only part of their conversation was known."""
    partial: Mask = (stored["shown_each"] > 0) | (stored.copies(OTHERS) > 0)
    return partial


def _maybe_doubled(stored: StoredRows) -> Rows:
    """Return the candidates for a full check: conversations that by their counts may be mostly doubled.

    An ordinary row with payload continues its direction, and is no copy.
    """
    scenes, scene = np.unique(scene_of(stored.columns), return_inverse=True)
    maybe = 1.0 * ((stored["ordinary"] == 0) | (stored["payload_octets"] == 0)) + stored["echoes"]
    often = 2 * np.bincount(scene, maybe) >= MOSTLY_DOUBLED * np.bincount(scene, 1.0 + stored["folded_segments"])
    told = (stored["shown_each"] > 1) | (stored.copies() > 0) | (stored["packet_type"] != PACKET_TYPE_UNKNOWN)
    return set_of(np.append(shown_in(scenes[often]), stored["conversation"][told]))


def _doubled_otherwise(collapsed: CollapsedRows, self_conversation: Mask) -> Rows:
    """Return the conversations of which a capture may have another share twice than was judged."""
    rows, now = collapsed.rows, collapsed.shown_each
    said, conversation = rows["shown_each"], rows["conversation"]
    otherwise = (said > 0) & (said != now)
    scenes, scene = np.unique(scene_of(rows.columns), return_inverse=True)
    taken_out = rows.copies(INSIDE)
    shown = np.bincount(scene, 1 + rows["folded_segments"] + taken_out)
    each = np.where(now == ONE_BY_ONE, 1, now).astype(np.int64)
    # The packets whose copies were removed, given how often each is there.
    several = np.bincount(scene, np.where(each > 1, taken_out * (each / np.maximum(each - 1, 1)), 0))
    once = np.bincount(scene, now > 1) == 0
    maybe = 2 * np.bincount(scene, _maybe_copies(split(rows, self_conversation)) + rows["echoes"])
    unsure = np.where(once, maybe >= MOSTLY_DOUBLED * shown, several < MOSTLY_DOUBLED * shown)
    unsure &= np.bincount(scene, now == ONE_BY_ONE) == 0
    return np.append(conversation[otherwise | _both_ways(rows, now)], shown_in(scenes[unsure]))


def _maybe_copies(part: Split) -> Mask:
    """Mark the rows that may be copies: without new information, with control bits, or of another connection."""
    rows = part.rows
    named = (rows.flags & (RST | ACK)) == ACK
    acknowledged = [running_maximum(rows, rows.ack, named & (rows.side == side)) for side in (0, 1)]
    begin = rows.seq - rows.folded_octets
    maybe: Mask = repeated(rows) | ((rows.flags & (RST | SYN)) != 0)
    maybe |= (rows.payload == 0) & (rows.ack <= own_before(rows, acknowledged)) & (rows.folded_segments == 0)
    maybe |= (begin < 0) | (rows.ack < 0) | (begin > own_before(rows, rows.sent_by))
    return maybe | may_copy_another_connection(part)


def _both_ways(rows: StoredRows, now: NDArray[np.uint8]) -> Mask:
    """Mark segments of ends that go out and come in by the link layer, which may identify copies one by one."""
    end = end_of(rows.columns)
    known = np.flatnonzero((rows["packet_type"] != PACKET_TYPE_UNKNOWN) & (now == 1))
    ways = set_of(end[known] << 8 | rows["packet_type"][known])
    ends, count = np.unique(ways >> 8, return_counts=True)
    both: Mask = np.isin(end, ends[count > 1])
    return both


def _shown_by_several(rows: StoredRows) -> Rows:
    """Return the conversations of which several captures may have another common stretch than was judged."""
    conversation = rows["conversation"].astype(np.int64)
    elsewhere = set_of(conversation[rows.copies(OTHERS) > 0])
    several = conversation[1:][(conversation[1:] == conversation[:-1]) & (rows["capture"][1:] != rows["capture"][:-1])]
    doubled = conversation[rows.copies(INSIDE) > 0]
    some = rows.take(np.isin(conversation, several))
    some = some.take(_near_others(some))
    again = _shown_by_others(some)
    end = end_of(some.columns)
    ends, count = np.unique(np.repeat(end, again), return_counts=True)
    return np.concatenate(
        [elsewhere[np.isin(elsewhere, np.append(several, doubled))], ends[count >= CERTAIN_COPIES] >> 1]
    )


def _few_of_others(rows: StoredRows, lanes: Rows | None) -> Rows:
    """Return the conversations with so few removed copies that these were retransmissions if files follow each other.

    That is known when all captures are read (`elsewhere`), but not when a part is folded.
    """
    if not some_follow(lanes):
        return NO_ROWS
    conversation, copies = rows["conversation"].astype(np.int64), rows.copies(OTHERS)
    some = np.flatnonzero(copies)
    numbers, place = np.unique(conversation[some], return_inverse=True)
    few: Rows = numbers[np.bincount(place, copies[some], len(numbers)) < CERTAIN_COPIES * len(lanes)]
    return few


def _scattered(rows: StoredRows, lanes: Rows | None) -> Rows:
    """Return the conversations of which one capture may have few of the packets between the first copy and the last.

    It has most for certain if the copies are so many: of those of one packet each is of another lane.
    """
    conversation, copies = rows["conversation"].astype(np.int64), rows.copies(OTHERS)
    concerned = np.flatnonzero(np.isin(conversation, set_of(conversation[copies > 0])))
    end = end_of(rows.columns, concerned)
    order = np.argsort(end, kind="stable")
    at = concerned[order]
    begins = first_of_runs(end[order])
    if not len(begins):
        return NO_ROWS
    index, copied = np.arange(len(at)), copies[at] > 0
    until = np.cumsum(1 + rows["folded_segments"][at].astype(np.int64))
    first = np.minimum.reduceat(np.where(copied, index, len(at)), begins)
    last = np.maximum.reduceat(np.where(copied, index, -1), begins)
    total = np.add.reduceat(copies[at], begins)
    some = last >= 0
    first, last, total = first[some], last[some], total[some]
    between = until[last] - np.where(first > 0, until[first - 1], 0)
    lanes_beside = max(1, len(set_of(lanes)) - 1) if lanes is not None else 1
    least = -(-total // lanes_beside)
    shown = total + least
    scattered: Rows = conversation[at[last]][shown < MOSTLY_DOUBLED * (total + between)]
    return scattered


def _near_others(rows: StoredRows) -> Rows:
    """Return the rows of ends with numbers of one range in several captures: in a rotation hardly any."""
    if not len(rows):
        return NO_ROWS
    scene = in_capture(end_of(rows.columns), rows["capture"])
    order = np.argsort(scene, kind="stable")
    begins = first_of_runs(scene[order])
    scenes = scene[order[begins]]
    end, number = np.cumsum(begins_run(shown_in(scenes)), dtype=np.int64), np.arange(len(scenes))
    own = np.empty(len(rows), np.int64)
    own[order] = np.repeat(number, np.diff(begins, append=len(rows)))
    near = np.zeros(len(rows), np.bool_)
    seq, ack = rows["seq"].astype(np.int64), rows["ack"].astype(np.int64)
    has_data = rows["payload_octets"] > 0
    for asks, numbers, first, last in (
        (has_data, seq, seq - rows["folded_octets"], seq + rows["payload_octets"]),
        (~has_data, ack, ack, ack),
    ):
        low, high = np.minimum.reduceat(first[order], begins), np.maximum.reduceat(last[order], begins)
        near |= asks & _Cover(end, number, low, high + 1 - low).by_others(numbers, own)
    count = np.bincount(end[own], near)
    return np.flatnonzero(count[end[own]] >= CERTAIN_COPIES)


def _shown_by_others(rows: StoredRows) -> Rows:
    """Return how many segments of each row another capture may also have, by their numbers. Shape (n,).

    The first number of a row with payload, or SEG.ACK of a pure acknowledgment, is looked up in the numbers of rows of
    other captures.
    """
    payload, folded = rows["payload_octets"].astype(np.int64), rows["folded_octets"].astype(np.int64)
    seq, ack = rows["seq"].astype(np.int64), rows["ack"].astype(np.int64)
    scenes, scene = np.unique(in_capture(end_of(rows.columns), rows["capture"]), return_inverse=True)
    end = np.cumsum(begins_run(shown_in(scenes)), dtype=np.int64)[scene]
    before = _ack_before(scene, ack)
    sent = _Cover(end, scene, seq - folded, folded + payload)
    named = _Cover(end, scene, before + 1, ack - before)
    has_data = payload > 0
    own = np.where(has_data, sent.by_others(seq), named.by_others(ack))
    first = np.where(folded > 0, sent.by_others(seq - folded), named.by_others(before + 1))
    return own + np.where(own & first, rows["folded_segments"], 0)


def _ack_before(scene: Rows, ack: Rows) -> Rows:
    """Return SEG.ACK of each sender's row before, in the same capture; 1 less than its own where that is no less."""
    order = np.argsort(scene, kind="stable")
    before = ack - 1
    follows = np.flatnonzero(scene[order[1:]] == scene[order[:-1]]) + 1
    step = ack[order[follows]] - ack[order[follows - 1]]
    goes_on = (step > 0) & (step < 1 << 31)
    before[order[follows[goes_on]]] = ack[order[follows[goes_on] - 1]]
    return before


class _Cover:
    """The numbers in the rows of each end, by capture. `scene`: the part of an `end` in one capture, as a number."""

    def __init__(self, end: Rows, scene: Rows, begin: Rows, length: Rows) -> None:
        begin = begin & 0xFFFFFFFF
        stop = begin + length
        # A span over the last number is stored twice: from its begin, and from 0 on.
        over = np.flatnonzero(stop > 1 << 32)
        begin, stop = np.append(begin, np.zeros(len(over), np.int64)), np.append(stop, stop[over] - (1 << 32))
        #: Begins and stops of the spans, for all captures together and for each.
        self._edges = [
            (group << 34, *(np.sort(np.append(group, group[over]) << 34 | edge) for edge in (begin, stop)))
            for group in (end, scene)
        ]

    def by_others(self, number: Rows, which: Rows | slice = slice(None)) -> Mask:
        """Mark the numbers that another capture has, each of the end and capture of the row `which`."""
        by_all, by_own = (
            np.searchsorted(begin, group[which] | number & 0xFFFFFFFF, "right")
            - np.searchsorted(stop, group[which] | number & 0xFFFFFFFF, "right")
            for group, begin, stop in self._edges
        )
        others: Mask = by_all > by_own
        return others
