"""Collapses segments that a run of captures shows more than once, and counts them in the rows that stay.

In: `StoredRows` sorted by conversation and capture order. Out: the same without copies; `copies` says which rows are.
Of a segment that stands in several captures the row of the capture named first stays. What only another one has goes
where the difference of their clocks puts it, which the segments that both have tell.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from handshake_inspect.sets import set_of, without

#: What the copies of a segment have in common, the most telling first. Time to live and encapsulation differ on the
#: two sides of a router, and so may the options of a SYN, whose MSS some routers lower.
SAME_SEGMENT = (
    "seq", "ip_id", "ack", "payload_octets", "timestamp_value", "window", "flags", "from_higher", "conversation",
)  # fmt: skip


@dataclass
class CollapsedRows:
    """Rows without copies, and what this rests on."""

    rows: StoredRows
    evidence: CopyEvidence
    #: How often its capture shows each packet of its sender, as it seems: 1 if not judged. Shape (n,).
    shown_each: NDArray[np.uint8]
    #: May a row be shown another time by what comes? Shape (n,).
    open: NDArray[np.bool_]
    #: The scene (`packets.scene_of`) of each row that another capture's stands for now.
    elsewhere: NDArray[np.int64]
    #: Scenes that are too short to tell whether they show most twice.
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

    `loopback`: can a conversation only have been captured on loopback? `trusted`: captures that are known to show most
    segments more than once. `go_on`: more rows of these conversations may come. `lanes`: a number for each
    capture, equal for those that follow each other (`capture.merge.lanes_of`); None if that is not known yet.
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
    """Put together what is said of the same rows; 0 says nothing, and two that differ are `MIXED`."""
    joined = np.maximum(one, other)
    joined[(one > 0) & (other > 0) & (one != other)] = MIXED
    return joined


def _count(stored: StoredRows, copies: Copies, each: NDArray[np.uint8]) -> StoredRows:
    """Count each copy, and what had been counted in it, in the row that stays."""
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
    """Note of each SYN with what other options it was captured again, or had been before."""
    found = stored["options_elsewhere"].copy()
    own, copied = stored["options"][copies.original], stored["options"][copies.copy]
    again = np.where(own != copied, copied, stored["options_elsewhere"][copies.copy])
    noted = (again != 0) & (found[copies.original] == 0)
    found[copies.original[noted]] = again[noted]
    return found


def _in_order(stored: StoredRows, copies: Copies) -> NDArray[np.int64]:
    """Return the rows in order, those that only another capture has where the difference of the clocks puts them.

    That is the median of what the copies of a conversation and direction lie apart: a packet is put where the first
    capture would have seen it.
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
    for known in (source, source ^ 1):  # the other direction tells where this one has no copies
        at = np.minimum(np.searchsorted(sources, known), len(sources) - 1)
        put = others & (sources[at] == known)
        time_ns[put] -= apart[at[put]]
        others &= ~put
    # Where a clock jumped only the order of the file is left.
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
    """Return what collapsed rows show of their captures, when they are let go; of these scenes it is not known."""
    copies = stored.copies(COPY_COLUMNS[:ELSEWHERE])
    shown = 1 + stored["folded_segments"].astype(np.int64) + copies
    unknown = np.isin(scene_of(stored.columns), undecided)
    mostly = (copies > 0) & (stored["shown_each"] != ONE_BY_ONE)
    doubled = np.isin(stored["conversation"], stored["conversation"][mostly]) & ~unknown
    every = np.ones(len(stored), np.bool_)
    return CopyEvidence(*(by_capture(stored["capture"][mask], shown[mask]) for mask in (every, doubled, unknown)))
