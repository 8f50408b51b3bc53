"""Finds gaps as Zeek counts them: octets that were acknowledged before they were captured.

In: `ConnectionRows` and their `Reach`. Out: the rows whose ACK reveals a gap, and its octets; among these the rows for
which a `g` or `G` is written, and how many. Rules followed: Zeek 7, TCP_Reassembler, which looks for holes whenever the
acknowledgment advances. Here the holes, the segments that fill them and the advances are spans of numbers, for all ends
at once.

**Intended difference from Zeek.** Octets cut off by the snapshot length are no gap: the header shows that they existed.
"""

from __future__ import annotations

from dataclasses import field

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.covers import earliest_cover
from handshake_inspect.connections.splitting.rows import (
    ACK,
    ORIGINATOR,
    RESPONDER,
    SYN,
    UNKNOWN,
    ConnectionRows,
    lifted,
    of_side,
    row_before,
    running_maximum,
)
from handshake_inspect.connections.zeek.reach import Reach, count_letters
from handshake_inspect.plain import mutable
from handshake_inspect.sets import places_in, set_of


@mutable
class Gaps:
    """Every gap of some connections. Shapes (k,), in no particular order."""

    #: The row whose ACK reveals the gap: a row occurs as often as it reveals one.
    row: Rows
    #: Its length.
    octets: Rows


def gap_letters(rows: ConnectionRows, gaps: Gaps) -> tuple[Rows, Rows]:
    """Return rows whose ACK reveals gaps, and the number of letters written for each."""
    at, count = np.unique(gaps.row, return_counts=True)
    return count_letters(at, rows.peer[at], count)


def find_gaps(rows: ConnectionRows, reach: Reach) -> Gaps:
    """Find all gaps.

    A gap is a run of octets that was acknowledged before it was captured. Each acknowledgment that passes a part of one
    reveals one gap: a long gap is counted once for each ACK that was captured while it was passed.
    """
    begin = rows.seq - rows.folded_octets
    ahead = reach.counts & (begin > reach.before) & (reach.before > UNKNOWN) & ((rows.flags & SYN) == 0)
    acks = reach.counts & ((rows.flags & ACK) != 0) & (reach.peer > UNKNOWN)
    peer_reach = reach.peer
    beyond = acks & (rows.ack > peer_reach)
    if beyond.any() and rows.folded_octets.any():
        peer_reach = _with_folded(rows, peer_reach)
        beyond = acks & (rows.ack > peer_reach)
    if not (ahead.any() or beyond.any()):
        return _NO_GAPS
    by_originator = rows.side == ORIGINATOR
    acked = [running_maximum(rows, rows.ack, acks & mask) for mask in (by_originator, ~by_originator)]
    before = [row_before(rows, one) for one in acked]
    acked_before, acked_by_peer = of_side(rows.side, before), of_side(rows.side, acked[::-1])

    skipped = _Spans(rows.end, np.maximum(reach.before, acked_by_peer), begin).where(ahead)
    unseen = _Spans(rows.peer, np.maximum(peer_reach, acked_before), rows.ack).where(beyond)
    fills = _Spans(rows.end, begin, rows.seq_end).where(reach.counts & (begin < reach.before))
    steps = _Spans(rows.peer, acked_before, rows.ack).where(acks)
    return _revealed(skipped.and_also(unseen), fills, steps)


def _with_folded(rows: ConnectionRows, peer_reach: Rows) -> Rows:
    """Add the octets folded into the peer's next row to what it had sent: they were captured before they were acked."""
    place, last = np.arange(len(rows)), len(rows) - 1
    next_peer = np.empty(len(rows), np.int64)
    for side in (ORIGINATOR, RESPONDER):
        following = np.minimum.accumulate(np.where(rows.side == side, place, last)[::-1])[::-1]
        next_peer[rows.side != side] = following[rows.side != side]
    folded = (rows.folded_octets[next_peer] > 0) & (rows.end[next_peer] == rows.peer)
    return np.maximum(peer_reach, np.where(folded, rows.seq[next_peer], UNKNOWN))


_NO_GAPS = Gaps(np.zeros(0, np.int64), np.zeros(0, np.int64))


@mutable
class _Spans:
    """Runs of numbers [begin, stop) of an end, each with the row that it comes from."""

    end: Rows
    begin: Rows
    stop: Rows
    row: Rows = field(default_factory=lambda: np.zeros(0, np.int64))

    def where(self, mask: Mask) -> _Spans:
        """Choose the rows of `mask` whose span is not empty."""
        at = np.flatnonzero(mask & (self.stop > self.begin))
        return _Spans(self.end[at], self.begin[at], self.stop[at], at)

    def and_also(self, more: _Spans) -> _Spans:
        """Put the spans of `more` after these."""
        pairs = ((self.end, more.end), (self.begin, more.begin), (self.stop, more.stop), (self.row, more.row))
        return _Spans(*(np.concatenate(pair) for pair in pairs))

    def lifted(self, ends: Rows) -> _Spans:
        """Keep the spans of `ends` (sorted), on one axis with a separate range for the numbers of each end."""
        place = np.minimum(np.searchsorted(ends, self.end), len(ends) - 1)
        here = np.flatnonzero(ends[place] == self.end)
        begin, stop = (lifted(edge[here], place[here], len(ends)) for edge in (self.begin, self.stop))
        return _Spans(place[here], begin, stop, self.row[here])


def _revealed(holes: _Spans, fills: _Spans, steps: _Spans) -> Gaps:
    """Return the gaps that the acknowledgments reveal.

    A hole opens if a segment begins, or an ACK lies, beyond the highest number; `fills` are all segments that may have
    filled a part of one; `steps` are the advances of the acknowledgments. All their edges cut the holes into pieces,
    each of which is filled and acknowledged as a whole. A piece that was not filled when it was acknowledged is a gap.
    """
    if not len(holes.row):
        return _NO_GAPS
    ends = set_of(holes.end)
    holes, fills, steps = (spans.lifted(ends) for spans in (holes, fills, steps))
    if not len(steps.row):
        return _NO_GAPS
    by_number = np.argsort(holes.begin)
    hole_begin, hole_stop, hole_end = holes.begin[by_number], holes.stop[by_number], holes.end[by_number]
    by_number = np.argsort(steps.stop)
    ack_number, ack_row, ack_end = steps.stop[by_number], steps.row[by_number], steps.end[by_number]
    cuts = set_of(hole_begin, hole_stop, fills.begin, fills.stop, ack_number)

    filled_by = earliest_cover(places_in(cuts, fills.begin), places_in(cuts, fills.stop), fills.row, len(cuts))
    begin, stop = cuts[:-1], cuts[1:]
    hole = np.searchsorted(hole_begin, begin, side="right") - 1
    inside = (hole >= 0) & (begin < hole_stop[hole])
    reached = np.minimum(np.searchsorted(ack_number, stop), len(ack_number) - 1)
    acked = (ack_number[reached] >= stop) & (ack_end[reached] == hole_end[hole])
    gap = inside & acked & (ack_row[reached] < filled_by[:-1])
    # Adjacent pieces that one ACK reveals are one gap.
    same = np.zeros(len(gap), np.bool_)
    same[1:] = gap[:-1] & (ack_row[reached[1:]] == ack_row[reached[:-1]])
    first = np.flatnonzero(gap & ~same)
    if not len(first):
        return _NO_GAPS
    return Gaps(ack_row[reached[first]], np.add.reduceat(np.where(gap, stop - begin, 0), first))
