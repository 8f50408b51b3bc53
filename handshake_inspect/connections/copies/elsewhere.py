"""Finds packets that several captures of a run have: two points of capture, or one file named twice.

In: `Packets`, the `Places` that group equal ones, and the copies found inside each capture. Out: the same with copies
in other captures added.

Equal rows of two captures are one packet if both captures have the same stretch of its conversation; clocks are not
compared. They have the same stretch if, in at least one direction, they share most packets between their first and
their last common packet, and before and after these only one of them has many more. Otherwise a retransmission in the
next file of a rotating capture would be taken for a copy and lost.

Such a segment may be the first one of its file and repeat the last one of the file before. So captures that follow each
other in time are taken for files of one rotation: equal packets in both were retransmitted. But if they share more of a
conversation than is retransmitted at once, or all of it, then one clock is wrong, and the packets are the same. This
cannot distinguish a lone SYN at the end of one file from the same SYN, with the same identification, in the next.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.copies.packets import (
    CAPTURE_BITS,
    ELSEWHERE,
    MOSTLY_DOUBLED,
    Copies,
    Packets,
    end_of,
    in_capture,
    shown_in,
    some_follow,
)
from handshake_inspect.connections.copies.runs import CERTAIN_COPIES, Places
from handshake_inspect.sets import begins_run, consecutive, first_of_runs, set_of


def with_other_captures(packets: Packets, places: Places, inside: Copies) -> Copies:
    """Add the copies in other captures to those `inside` one capture."""
    at = np.flatnonzero(places.whole & ~np.isin(places.row, inside.copy))
    source = _sources(packets, places, at)
    order = np.lexsort((places.row[at], source, places.packet[at]))
    at, source = at[order], source[order]
    packet, capture = places.packet[at], places.capture[at]
    rank = _rank(packet * (int(source.max(initial=0)) + 1) + source)
    rank += _told_before(packets, places, at, source)
    order = np.lexsort((capture, rank, packet))
    at, packet, rank = at[order], packet[order], rank[order]
    again = np.zeros(len(at), np.bool_)
    again[1:] = (packet[1:] == packet[:-1]) & (rank[1:] == rank[:-1])
    again &= np.isin(places.conversation[at], _of_the_same_stretch(packets, places, inside, at, again, rank))
    original = places.row[at[np.maximum.accumulate(np.where(again, 0, np.arange(len(at))))[again]]]
    copy = places.row[at[again]]
    # The original of a copy inside one capture may itself be a copy of another capture's packet.
    final = np.arange(len(packets))
    final[copy] = original
    return replace(
        inside,
        original=np.append(final[inside.original], original),
        copy=np.append(inside.copy, copy),
        kind=np.append(inside.kind, np.full(len(copy), ELSEWHERE, np.uint8)),
    )


def _sources(packets: Packets, places: Places, at: Rows) -> Rows:
    """Return the source of each of these places: a capture, or a lane of captures that follow each other."""
    capture, packet, conversation = places.capture[at].astype(np.int64), places.packet[at], places.conversation[at]
    if not some_follow(packets.lanes):
        return capture
    lane = packets.lanes[capture]
    order = np.lexsort((places.row[at], lane, packet))
    before, behind = order[:-1], order[1:]
    again = (packet[before] == packet[behind]) & (lane[before] == lane[behind]) & (capture[before] != capture[behind])
    before, behind = before[again], behind[again]
    if not len(behind):
        return lane
    place, telling = conversation - packets.base, np.ones(len(behind), np.bool_)
    if packets.recurs is not None:
        telling = ~packets.recurs[places.row[at[behind]]]
    pair = in_capture(in_capture(conversation[behind].astype(np.int64), capture[before]), capture[behind])
    pairs, times = np.unique(pair[telling], return_counts=True)
    common = np.bincount(place[set_of(np.append(before[telling], behind[telling]))], minlength=packets.places)
    same_stretch = np.bincount(packets.place) == common
    same_stretch |= packets.has(shown_in(shown_in(pairs[times >= CERTAIN_COPIES])))
    sources: Rows = np.where(same_stretch[place], capture, lane)
    return sources


def _told_before(packets: Packets, places: Places, at: Rows, source: Rows) -> Rows:
    """Count, for each of these places, the rows of other sources for which copies in its own were removed before.

    The remaining rows of its source are the packets after those. With several other sources it is unknown whose copies
    a row counts, unless it counts one of each.
    """
    if not packets.elsewhere[places.row[at]].any():
        return np.zeros(len(at), np.int64)
    has_all = packets.elsewhere[places.row[at]] >= len(set_of(source)) - 1
    scene = places.packet[at] * (int(source.max()) + 1) + source
    in_all, in_own = (
        np.bincount(number, has_all)[number].astype(np.int64)
        for number in (places.packet[at], np.unique(scene, return_inverse=True)[1])
    )
    return in_all - in_own


def _of_the_same_stretch(
    packets: Packets, places: Places, inside: Copies, at: Rows, again: Mask, rank: Rows
) -> NDArray[np.int32]:
    """Return the conversations of which several captures have the same stretch.

    `at`: the places to examine, equal ones grouped; `again` marks those that equal the place before in another capture;
    `rank`: the count of equal ones before each in its own capture.
    """
    if not again.any():
        return np.zeros(0, np.int32)
    common = again.copy()
    common[:-1] |= again[1:]
    row = places.row[at]
    told = packets.elsewhere > 0  # copies in another capture found before also count
    before = np.flatnonzero(told)
    told[row[common]] = True
    concerned = packets.has(places.conversation[at[again]])
    alone = packets.stands_for == 1
    alone[inside.copy] = False
    rows = np.flatnonzero((alone | told) & concerned[packets.place])
    scene = in_capture(end_of(packets.columns, rows), packets.columns["capture"][rows])
    behind, capture = np.flatnonzero(again), places.capture[at]
    linked = np.concatenate([row[behind], row[behind - 1], before[concerned[packets.place[before]]]])
    others = np.concatenate([capture[behind - 1], capture[behind]])
    mostly = _mostly_common(scene, told[rows], np.searchsorted(rows, linked), others)
    # Payload that one capture has twice is no evidence: keep-alive probes are all equal.
    once = again & (rank == 0)
    once[:-1] &= (rank[1:] == 0) | (places.packet[at[1:]] != places.packet[at[:-1]])
    # A file named twice has equal times too; a retransmission never has.
    same_time = again.copy()
    same_time[1:] &= packets.columns["time_ns"][row[1:]] == packets.columns["time_ns"][row[:-1]]
    sure, probable = again & (packets.identified[row] | same_time), once & places.certain[at]
    ends, count = np.unique(end_of(packets.columns, row[probable]), return_counts=True)
    proven = set_of(end_of(packets.columns, row[sure]), ends[count >= CERTAIN_COPIES])
    found: NDArray[np.int32] = (proven[np.isin(proven, mostly)] >> 1).astype(np.int32)
    return found


def _mostly_common(scene: Rows, common: Mask, linked: Rows, others: Rows) -> Rows:
    """Return the ends with mostly common packets. `scene`: each row's end `in_capture`; rows are in order of time.

    `linked`: rows that another capture also has, which is in `others`; that of the last rows is not known any more. A
    capture missed what lies between two packets that it shares with *one* other: the middle file of three that overlap
    at their ends shares its beginning with one, and its end with the other.
    """
    order = np.argsort(scene, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    scene, common = scene[order], common[order]
    begin = first_of_runs(scene)
    size = np.diff(np.append(begin, len(scene)))
    index = consecutive(0, size)
    first = np.minimum.reduceat(np.where(common, index, len(scene)), begin)
    last = np.maximum.reduceat(np.where(common, index, -1), begin)
    shared = np.add.reduceat(common.astype(np.int64), begin)
    between = np.add.reduceat(_between(scene, place[linked], others) & ~common, begin, dtype=np.int64)
    has = shared > 0
    ends, number = np.unique(shown_in(scene[begin[has]]), return_inverse=True)
    missed = np.bincount(number, between[has], len(ends))
    for outside in (first[has], (size - 1 - last)[has]):  # for all captures but the one with most packets there
        most = np.zeros(len(ends), np.int64)
        np.maximum.at(most, number, outside)
        missed += np.bincount(number, outside, len(ends)) - most
    shown = np.bincount(number, shared[has], len(ends))
    mostly: Rows = ends[shown >= MOSTLY_DOUBLED * (shown + missed)]
    return mostly


def _between(scene: Rows, linked: Rows, others: Rows) -> Mask:
    """Mark the rows from the first to the last of a scene that one and the same other capture also has."""
    unknown = np.full(len(linked) - len(others), 1 << CAPTURE_BITS)
    pairs = np.append(others.astype(np.int64), unknown)
    pairs += np.cumsum(begins_run(scene))[linked] << (CAPTURE_BITS + 1)
    order = np.lexsort((linked, pairs))
    pairs, linked = pairs[order], linked[order]
    begins = first_of_runs(pairs)
    edges = np.zeros(len(scene) + 1, np.int64)
    np.add.at(edges, linked[begins], 1)
    np.add.at(edges, linked[np.append(begins[1:], len(linked)) - 1] + 1, -1)
    inside: Mask = np.cumsum(edges[:-1]) > 0
    return inside


def _rank(group: Rows) -> Rows:
    """Number the places within each group, from 0; groups are contiguous."""
    index = np.arange(len(group))
    rank: Rows = index - np.maximum.accumulate(np.where(begins_run(group), index, 0))
    return rank
