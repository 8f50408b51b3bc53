"""Finds the rows that are copies of a packet: one that its sender sent once, but captures recorded more than once.

In: rows of packets, sorted by conversation and then by time. Out: `Copies`, the rows that are copies, their originals
and kinds. Nothing is removed here.

Copies are equal in all fields that a sender would change, IP identification included. That alone proves nothing: a
network may deliver a packet twice, and removing equal packets would lose that. The number of them decides. A port
mirror that sees a packet come in and go out, a router captured on both sides, or Linux' `any` with a bridge record
(nearly) *every* segment of a conversation more than once; a network hardly ever does. A conversation too short to
decide is judged by its capture: if that has most packets of the others more than once, so it is here. `rotation` and
`elsewhere` have the rules for copies in other captures.

With an identification of 0 and without timestamps even a likely copy is doubtful (Linux sends such SYN-ACKs and RSTs),
and is accepted only in a conversation that also has certain copies. A retransmission has a new identification (RFC
6864 §4.1 allows otherwise only without fragmentation; Linux then sends 0) and comes after 200 ms at the earliest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import NO_ROWS, Mask, Rows
from handshake_inspect.connections.copies.elsewhere import with_other_captures
from handshake_inspect.connections.copies.packets import (
    COPY_WITHIN_NS,
    LOOPBACK,
    LOOPBACK_WITHIN_NS,
    MOSTLY_DOUBLED,
    ONE_BY_ONE,
    Copies,
    CopyEvidence,
    Packets,
    capture_of,
    scene_of,
    shown_in,
)
from handshake_inspect.connections.copies.rotation import with_next_file
from handshake_inspect.connections.copies.runs import Places, Runs
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.pairs import GOLDEN
from handshake_inspect.sets import begins_run, without
from handshake_inspect.table import PACKET_OUTGOING, PACKET_TYPE_UNKNOWN

#: The next rows of its conversation among which a packet's copy is looked for first.
NEAR_ROWS = 4
#: Columns compared at once, mixed into one of 32 bits; and the factor of the mix, 2**32 divided by the golden ratio.
COLUMNS_AT_ONCE, GOLDEN_32 = 4, 0x9E3779B9


def find_copies(packets: Packets) -> Copies:
    """Find the rows that are copies of a packet."""
    rows = _candidates(packets)
    if not len(rows):
        none = np.zeros((0, 2), np.uint8)
        evidence = _evidence(packets, None, _known_one_by_one(packets))
        return Copies(rows, rows, rows.astype(np.uint8), evidence, rows, none, rows, rows)
    places = _places(packets, rows)
    within_ns = np.where(packets.loopback[places.conversation], LOOPBACK_WITHIN_NS, COPY_WITHIN_NS)
    directed = _directed(packets, places)
    one_by_one: Rows = np.concatenate([_known_one_by_one(packets), places.conversation[directed]])
    settled = np.isin(places.conversation, one_by_one)
    follows = _follows(packets, places, within_ns)
    runs = Runs(packets, places, follows, settled)
    is_copy = directed | runs.is_copy
    still_open = _may_go_on(packets, places, follows, within_ns)
    is_copy &= ~still_open
    original = np.maximum.accumulate(np.where(is_copy, 0, np.arange(len(is_copy))))
    kind = np.where(directed, np.uint8(LOOPBACK), runs.kind)
    each = runs.judged()
    each[np.isin(shown_in(runs.scenes.number), places.conversation[settled])] = ONE_BY_ONE
    inside = Copies(
        original=places.row[original[is_copy]],
        copy=places.row[is_copy],
        kind=kind[is_copy],
        evidence=_evidence(packets, runs, one_by_one),
        scenes=runs.scenes.number,
        each=each,
        open=places.row[still_open],
        undecided=runs.scenes.number[runs.undecided],
    )
    if not _several(packets.columns["capture"]):
        return inside
    return with_other_captures(packets, places, with_next_file(packets, places, inside))


def find_all_copies(packets: Packets) -> Copies:
    """Find them likewise among all packets of a run: conversations too short to decide are judged by their capture."""
    found = find_copies(packets)
    trusted = found.evidence.trusted()
    return find_copies(replace(packets, trusted=trusted)) if trusted else found


def shown_again(
    columns: Mapping[str, NDArray[Any]],
    same: Sequence[str],
    identified: Mask,
    loopback: Mask,
    lanes: Rows | None = None,
    recurs: Mask | None = None,
) -> Rows:
    """Return the rows, in any order, that are copies of a packet.

    The arguments are those of `Packets`, which must have all packets of the run.
    """
    order = np.argsort(columns["conversation"], kind="stable")
    nothing = np.zeros(len(order), np.int64)
    packets = Packets(
        columns={name: column[order] for name, column in columns.items()},
        same=same,
        identified=identified[order],
        weighty=np.zeros(len(order), np.bool_),
        loopback=loopback,
        stands_for=nothing + 1,
        taken_out=nothing,
        elsewhere=nothing,
        lanes=lanes,
        recurs=None if recurs is None else recurs[order],
    )
    again: Rows = order[find_all_copies(packets).copy]
    return again


def shown_each(packets: Packets, copies: Copies) -> NDArray[np.uint8]:
    """Return for each row how often its capture has packets of its sender, by these rows or an earlier judgement."""
    each = np.ones(len(packets), np.uint8)
    before = packets.shown_each
    known = np.flatnonzero(before > 1) if before is not None else NO_ROWS
    if not len(copies.scenes) and not len(known):
        return each

    def end_in_scene(rows: Rows) -> Rows:
        end: Rows = scene_of(packets.columns, rows) << 1 | packets.columns["from_higher"][rows]
        return end

    told_before = each[:0] if before is None else before[known]
    looked_at = np.repeat(copies.scenes << 1, 2) + np.tile([0, 1], len(copies.scenes))
    # The last value for an end counts: that of these rows, else its own earlier one, else that of its peer.
    ends = np.concatenate([end_in_scene(known) ^ 1, end_in_scene(known), looked_at])
    said = np.concatenate([told_before, told_before, copies.each.reshape(-1)])
    ends, last = np.unique(ends[::-1], return_index=True)
    said = said[::-1][last]
    rows = np.flatnonzero(packets.has(shown_in(ends >> 1))[packets.place])
    end = end_in_scene(rows)
    at = np.minimum(np.searchsorted(ends, end), len(ends) - 1)
    each[rows] = np.where(ends[at] == end, said[at], 1)
    return each


def _evidence(packets: Packets, runs: Runs | None, one_by_one: Rows) -> CopyEvidence:
    """Count the packets of each capture in conversations that are doubled, and in those that may be.

    Conversations whose copies the link layer identifies `one_by_one` are no evidence for others.
    """
    shown = packets.shown
    evidence = CopyEvidence(shown=by_capture(packets.columns["capture"], shown))
    doubled = NO_ROWS
    if runs is not None:
        scenes, capture = runs.scenes, capture_of(runs.scenes.number)
        doubled = scenes.number[runs.doubled]
        evidence.doubled = by_capture(capture[runs.doubled], scenes.shown[runs.doubled])
        evidence.undecided = by_capture(capture[runs.undecided], scenes.shown[runs.undecided])
    known = packets.taken_out > 0
    if known.any():  # and the scenes that `compact` judged before
        known &= ~np.isin(packets.columns["conversation"], one_by_one)
        scene = scene_of(packets.columns)
        rows = np.isin(scene, without(scene[known], doubled))
        evidence.doubled += by_capture(packets.columns["capture"][rows], shown[rows])
    return evidence


def by_capture(capture: NDArray[np.integer[Any]], shown: Rows) -> Counter[int]:
    """Add up `shown` by capture."""
    if _several(capture):
        return +Counter(dict(enumerate(np.bincount(capture, shown).astype(np.int64).tolist())))
    return Counter({int(capture[0]): int(shown.sum())} if len(capture) else {})


# --- where to look ---------------------------------------------------------------------------------------------------


def _candidates(packets: Packets) -> Rows:
    """Return, sorted, the rows that equal another one, in the conversations that may have copies."""
    columns, several = packets.columns, _in_several_captures(packets)
    loopback = packets.loopback[packets.base : packets.base + packets.places]
    # Where rows represent runs of packets, the nearest copies may be inside these.
    looks = several | loopback | (_has_near_copies(packets) if packets.shown_before is None else True)
    rows = np.flatnonzero(looks[packets.place] | (columns["packet_type"] != PACKET_TYPE_UNKNOWN))
    hashes = np.zeros(len(rows), np.uint64)
    for name in packets.same:
        hashes ^= columns[name][rows].astype(np.uint64)
        hashes *= GOLDEN
        hashes ^= hashes >> np.uint64(29)
    order = np.argsort(hashes)
    equal = hashes[order[1:]] == hashes[order[:-1]]
    alike = np.zeros(len(rows), np.bool_)
    alike[1:] |= equal
    alike[:-1] |= equal
    if packets.shown_before is not None:
        alike |= packets.shown_before[rows[order]] > 0
    found: Rows = np.sort(rows[order[alike]])
    may_be: Mask = several[packets.place[found]] | _may_be_most(packets, found)
    return found[may_be]


def _in_several_captures(packets: Packets) -> Mask:
    """Mark the places of conversations that several captures have; the rows are sorted by conversation."""
    conversation, capture = packets.columns["conversation"], packets.columns["capture"]
    return packets.has(conversation[1:][(capture[1:] != capture[:-1]) & (conversation[1:] == conversation[:-1])])


def _may_be_most(packets: Packets, alike: Rows) -> Mask:
    """Mark the rows in whose conversation equal rows are as many as copies must be."""
    if (packets.shown > 1).any():
        return np.ones(len(alike), np.bool_)
    rows, place = np.bincount(packets.place), packets.place[alike]
    most = np.bincount(place, minlength=len(rows)) >= MOSTLY_DOUBLED * rows
    may_be: Mask = most[place] | (packets.columns["packet_type"][alike] != PACKET_TYPE_UNKNOWN)
    return may_be


def _several(capture: NDArray[np.integer[Any]]) -> bool:
    return bool(len(capture)) and bool((capture != capture[0]).any())


def _has_near_copies(packets: Packets) -> Mask:
    """Mark the places of conversations in which a packet equals one of its next few rows, or did so before.

    In a doubled conversation some packet does: an end that waits for an answer sends nothing between a packet and its
    copy. This takes a few comparisons for each row, where finding all copies would take a sort.
    """
    found = packets.has(packets.columns["conversation"][packets.taken_out > 0])
    # Nearly all rows that differ in one of the first columns differ in this mix.
    mixed = np.zeros(len(packets), np.uint32)
    for name in packets.same[:COLUMNS_AT_ONCE]:
        mixed *= np.uint32(GOLDEN_32)
        mixed ^= packets.columns[name].astype(np.uint32, copy=False)
    for near in range(1, min(NEAR_ROWS + 1, len(packets))):
        at = np.flatnonzero(mixed[:-near] == mixed[near:])
        for name in packets.same:
            column = packets.columns[name]
            at = at[column[at] == column[at + near]]
        found[packets.place[at]] = True
    return found


# --- which are copies ------------------------------------------------------------------------------------------------


def _places(packets: Packets, rows: Rows) -> Places:
    """Group equal packets, ordered by capture and time."""
    columns = {name: packets.columns[name][rows] for name in packets.same}
    capture = packets.columns["capture"][rows]
    order = np.lexsort([rows, capture, *columns.values()])
    rows = rows[order]
    new = begins_run(*(column[order] for column in columns.values()))
    conversation = packets.columns["conversation"][rows]
    return Places(
        row=rows,
        packet=np.cumsum(new) - 1,
        capture=capture[order],
        conversation=conversation,
        certain=packets.identified[rows] | (packets.weighty[rows] & ~packets.loopback[conversation]),
        # A row into which `compact` folded other packets is old, and its copies were found before.
        whole=packets.stands_for[rows] == 1,
    )


def _directed(packets: Packets, places: Places) -> Mask:
    """Mark packets that came in right after they went out, by the link layer: at most one copy of each."""
    packet_type = packets.columns["packet_type"][places.row]
    went_out = (packet_type == PACKET_OUTGOING) & (packets.taken_out[places.row] == 0)
    came_in = (packet_type != PACKET_OUTGOING) & (packet_type != PACKET_TYPE_UNKNOWN)
    found = _follows(packets, places, np.full(len(places.row), LOOPBACK_WITHIN_NS)) & places.whole
    found[1:] &= went_out[:-1] & came_in[1:]
    return found


def _known_one_by_one(packets: Packets) -> Rows:
    """Return the conversations whose copies removed before were identified by the link layer."""
    if packets.shown_each is None:
        return NO_ROWS
    conversations: Rows = packets.columns["conversation"][packets.shown_each == ONE_BY_ONE].astype(np.int64)
    return conversations


def _may_go_on(packets: Packets, places: Places, follows: Mask, within_ns: Rows) -> Mask:
    """Mark the runs of equal packets that further rows may continue."""
    if not packets.go_on:
        return np.zeros(len(follows), np.bool_)
    run = np.cumsum(~follows) - 1
    time_ns = packets.columns["time_ns"]
    last_ns = np.maximum.reduceat(time_ns[places.row], np.flatnonzero(~follows))
    latest_ns = np.full(packets.places, EARLIEST_NS)
    np.maximum.at(latest_ns, packets.place, time_ns)
    may: Mask = last_ns[run] + within_ns >= latest_ns[places.conversation - packets.base]
    return may


def _follows(packets: Packets, places: Places, within_ns: Rows) -> Mask:
    """Mark the places whose packet equals that of the place before, in the same capture and shortly earlier."""
    time_ns = packets.columns["time_ns"][places.row]
    found = np.zeros(len(time_ns), np.bool_)
    found[1:] = (places.packet[1:] == places.packet[:-1]) & (places.capture[1:] == places.capture[:-1])
    found[1:] &= (time_ns[1:] >= time_ns[:-1]) & (time_ns[1:] - time_ns[:-1] <= within_ns[1:])
    if packets.shown_before is not None:
        goes_on = packets.stands_for[places.row] == 1
        found[1:] &= goes_on[1:] & goes_on[:-1] & (packets.shown_before[places.row[1:]] == 0)
    return found
