"""Collapses segments that captures of a run have more than once, and counts them in the rows that stay.

In: `StoredRows` sorted by conversation and capture order. Out: the same without copies, which `copies` finds. Of a
segment in several captures the row of the capture named first stays. A segment that only another capture has is placed
by the difference of their clocks, which is measured from the segments that both have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import NO_ROWS
from handshake_inspect.connections.copies.copies import by_capture, find_copies, shown_each
from handshake_inspect.connections.copies.packets import (
    ELSEWHERE,
    MIXED,
    ONE_BY_ONE,
    Copies,
    CopyEvidence,
    Packets,
    scene_of,
)
from handshake_inspect.connections.splitting.split import COPY_COLUMNS, StoredRows
from handshake_inspect.plain import mutable
from handshake_inspect.sets import set_of, without

#: Columns in which copies of a segment are equal, the most selective first. Time to live and encapsulation differ on
#: the two sides of a router, and so may the options of a SYN, whose MSS some routers lower.
SAME_SEGMENT = (
    "seq", "ip_id", "ack", "payload_octets", "timestamp_value", "window", "flags", "from_higher", "conversation",
)  # fmt: skip


@mutable
class CollapsedRows:
    """Rows without copies, and the judgement by which these were removed."""

    rows: StoredRows
    evidence: CopyEvidence
    #: How often its capture has each packet of its sender, by judgement: 1 if not judged. Shape (n,).
    shown_each: NDArray[np.uint8]
    #: Rows of which copies may still come. Shape (n,).
    open: NDArray[np.bool_]
    #: The scene (`packets.scene_of`) of each row that was collapsed into a row of another capture.
    elsewhere: NDArray[np.int64]
    #: Scenes too short to decide whether they have most packets twice.
    undecided: NDArray[np.int64]


def collapse(
    stored: StoredRows,
    loopback: NDArray[np.bool_],
    trusted: frozenset[int] = frozenset(),
    *,
    go_on: bool = False,
    lanes: NDArray[np.int64] | None = None,
) -> CollapsedRows:
    """Collapse copies.

    `loopback`: mask of conversations only captured on loopback. `trusted`: captures known to have most segments more
    than once. `go_on`: more rows of these conversations may come. `lanes`: a number for each capture, equal for
    captures that follow each other (`capture.merge.lanes_of`); None if that is not known yet.
    """
    packets = Packets(
        columns=stored.columns,
        same=SAME_SEGMENT,
        identified=(stored["ip_id"] != 0) | (stored["has_timestamps"] != 0),
        weighty=stored["payload_octets"] > 0,
        loopback=loopback,
        stands_for=1 + stored["folded_segments"].astype(np.int64),
        taken_out=stored.copies(COPY_COLUMNS[:ELSEWHERE]),
        elsewhere=stored.copies(COPY_COLUMNS[ELSEWHERE:]),
        trusted=trusted,
        folded_copies=stored["folded_copies"].astype(np.int64),
        shown_each=stored["shown_each"],
        go_on=go_on,
        lanes=lanes,
    )
    copies = find_copies(packets)
    each, may_go_on = shown_each(packets, copies), np.zeros(len(stored), np.bool_)
    may_go_on[copies.open] = True
    if not len(copies.copy):
        return CollapsedRows(stored, copies.evidence, each, may_go_on, NO_ROWS, copies.undecided)
    counted = _count(stored, copies, each)
    order = _in_order(stored, copies)
    stays = np.ones(len(stored), np.bool_)
    stays[copies.copy] = False
    stay = order[stays[order]]
    elsewhere = scene_of(packets.columns, copies.copy[copies.kind == ELSEWHERE])
    return CollapsedRows(counted.take(stay), copies.evidence, each[stay], may_go_on[stay], elsewhere, copies.undecided)


def joined_each(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Combine two judgements of the same rows; 0 means none, and two that differ become `MIXED`."""
    joined = np.maximum(one, other)
    joined[(one > 0) & (other > 0) & (one != other)] = MIXED
    return joined


def _count(stored: StoredRows, copies: Copies, each: NDArray[np.uint8]) -> StoredRows:
    """Count each copy, and the segments counted in it before, in the row that stays."""
    columns = dict(stored.columns)
    for kind, name in enumerate(COPY_COLUMNS):
        total = stored[name].astype(np.int64)
        np.add.at(total, copies.original, total[copies.copy] + (copies.kind == kind))
        columns[name] = total
    inside = copies.original[copies.kind != ELSEWHERE]
    said = np.zeros(len(stored), np.uint8)
    said[inside] = each[inside]
    columns["shown_each"] = joined_each(stored["shown_each"], said)
    columns["options_elsewhere"] = _options_elsewhere(stored, copies)
    return StoredRows(columns)


def _options_elsewhere(stored: StoredRows, copies: Copies) -> NDArray[np.uint32]:
    """Return for each SYN the different options of a copy of it, found now or before."""
    found = stored["options_elsewhere"].copy()
    own, copied = stored["options"][copies.original], stored["options"][copies.copy]
    again = np.where(own != copied, copied, stored["options_elsewhere"][copies.copy])
    noted = (again != 0) & (found[copies.original] == 0)
    found[copies.original[noted]] = again[noted]
    return found


def _in_order(stored: StoredRows, copies: Copies) -> NDArray[np.int64]:
    """Return the rows in order, with those that only another capture has shifted by the difference of the clocks.

    That is the median distance of copies in a conversation and direction: a packet is placed where the first capture
    would have recorded it.
    """
    order = np.arange(len(stored))
    elsewhere = copies.kind == ELSEWHERE
    if not elsewhere.any():
        return order
    original, copy = copies.original[elsewhere], copies.copy[elsewhere]
    conversation, time_ns = stored["conversation"].astype(np.int64), stored["time_ns"].copy()
    source = scene_of(stored.columns) << 1 | stored["from_higher"]
    sources, apart = _medians(source[copy], time_ns[copy] - time_ns[original])
    others = np.ones(len(stored), np.bool_)
    others[copies.copy] = False
    for known in (source, source ^ 1):  # the other direction serves where this one has no copies
        at = np.minimum(np.searchsorted(sources, known), len(sources) - 1)
        put = others & (sources[at] == known)
        time_ns[put] -= apart[at[put]]
        others &= ~put
    # Where a clock jumped, only the order of the file is known.
    moved = set_of(conversation[time_ns != stored["time_ns"]])
    moved = without(moved, conversation[stored["clock"] != 0])
    rows = np.flatnonzero(np.isin(conversation, moved))
    order[rows] = rows[np.lexsort((time_ns[rows], conversation[rows]))]
    return order


def _medians(group: NDArray[np.int64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the groups, and the median of the values of each."""
    order = np.lexsort((values, group))
    groups, begin, count = np.unique(group[order], return_index=True, return_counts=True)
    return groups, values[order][begin + count // 2]


def shown_by(stored: StoredRows, undecided: NDArray[np.int64]) -> CopyEvidence:
    """Return the evidence of copies in collapsed rows that are released; it is undecided for the scenes given."""
    copies = stored.copies(COPY_COLUMNS[:ELSEWHERE])
    shown = 1 + stored["folded_segments"].astype(np.int64) + copies
    unknown = np.isin(scene_of(stored.columns), undecided)
    mostly = (copies > 0) & (stored["shown_each"] != ONE_BY_ONE)
    doubled = np.isin(stored["conversation"], stored["conversation"][mostly]) & ~unknown
    every = np.ones(len(stored), np.bool_)
    return CopyEvidence(*(by_capture(stored["capture"][mask], shown[mask]) for mask in (every, doubled, unknown)))
