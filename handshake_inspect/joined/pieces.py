"""Octets that both places saw in segments of different sizes, because hosts leave segmentation to network cards.

In: segments of both places that were not matched. Out: `Pieces`. A capture near the sender shows 64 kB in one frame
before the card cuts it (segmentation offload); one near the receiver may show several segments put together again.
Octets may have been sent twice, in segments of different sizes: an octet that arrived belongs to the sending whose IP
identification is near (a card counts the pieces on from that of the frame), and whose time under way is usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import FIN, RST, SYN
from handshake_inspect.joined.aligned import AlignedSegments
from handshake_inspect.joined.times import Times
from handshake_inspect.sets import consecutive, set_of

#: Distance between the numbers of neighbouring directions or connections on one line: more than any sends.
RANGE = 1 << 40
#: A card is handed at most so many segments at once: 64 kB of 536 octets, rounded up.
MOST_PIECES = 128


@dataclass
class Pieces:
    """For some rows of one place, in their order: which of their octets the other place has in other sizes."""

    whole: Mask
    some: Mask
    #: What the other place does not have of rows of which it has some: the row, where it begins, and how much it is.
    gap_row: Rows
    gap_seq: Rows
    gap_octets: Rows


@dataclass
class Spans:
    """Where segments begin and end, all directions on one axis; a SYN and a FIN count one (RFC 9293 §3.4)."""

    begin: Rows
    end: Rows

    @classmethod
    def of(cls, aligned: AlignedSegments, rows: Rows) -> Spans:
        """Return those of these segments."""
        begin, flags = aligned.direction[rows] * RANGE + aligned.seq[rows], aligned.flags[rows]
        return cls(begin, begin + aligned.payload[rows] + ((flags & SYN) != 0) + ((flags & FIN) != 0))

    def some(self, rows: Rows) -> Spans:
        """Return those of these rows."""
        return Spans(self.begin[rows], self.end[rows])


def cut_otherwise(
    left: AlignedSegments, right: AlignedSegments, rows: Rows, others: Rows, times: Times
) -> tuple[Pieces, Pieces]:
    """For these rows of both places, find the octets that the other place has in other sizes."""
    mine, theirs = np.flatnonzero(_has_octets(left, rows)), np.flatnonzero(_has_octets(right, others))
    spans = Spans.of(left, rows[mine]), Spans.of(right, others[theirs])
    cuts = set_of(np.concatenate([part for one in spans for part in (one.begin, one.end)]))
    cells = _Cells.of(spans[0], cuts), _Cells.of(spans[1], cuts)
    a, b = _same(cells[0].cell, cells[1].cell)
    one, other = cells[0].span[a], cells[1].span[b]
    # What is cut alike and was not matched is another sending, or forged.
    cut_alike = (spans[0].begin[one] == spans[1].begin[other]) & (spans[0].end[one] == spans[1].end[other])
    a, b = a[~cut_alike], b[~cut_alike]
    one, other = rows[mine][cells[0].span[a]], others[theirs][cells[1].span[b]]
    apart_ns = right.time_ns[other] - left.time_ns[one]
    unusual_ns = np.abs(apart_ns - times.usual_ns(left.direction[one]))
    numbers_apart = (right.ip_id[other].astype(np.int64) - left.ip_id[one] + (1 << 15)) % (1 << 16) - (1 << 15)
    order = np.lexsort((unusual_ns, np.abs(numbers_apart) >= MOST_PIECES))
    for taken in (b, a):
        order = order[np.sort(np.unique(taken[order], return_index=True)[1])]
    return (
        _found(len(rows), mine, spans[0], cells[0], cuts, a[order]),
        _found(len(others), theirs, spans[1], cells[1], cuts, b[order]),
    )


def _has_octets(aligned: AlignedSegments, rows: Rows) -> Mask:
    has: Mask = (aligned.payload[rows] > 0) & ((aligned.flags[rows] & (SYN | RST)) == 0)
    return has


@dataclass
class _Cells:
    """Spans cut at every beginning and end of any span: the number of each cell, and the span it belongs to."""

    cell: Rows
    span: Rows

    @classmethod
    def of(cls, spans: Spans, cuts: Rows) -> _Cells:
        first, last = np.searchsorted(cuts, spans.begin), np.searchsorted(cuts, spans.end)
        return cls(*_counted(first, last))


def _counted(first: Rows, last: Rows) -> tuple[Rows, Rows]:
    """Return the numbers from each `first` to before its `last`, and the place in `first` that each belongs to."""
    count = last - first
    return consecutive(first, count), np.repeat(np.arange(len(first)), count)


def _same(one: Rows, other: Rows) -> tuple[Rows, Rows]:
    """Return all pairs of places in both arrays that hold the same number."""
    order = np.argsort(other, kind="stable")
    first, last = (np.searchsorted(other[order], one, side) for side in ("left", "right"))
    place, of = _counted(first, last)
    return of, order[place]


def _found(count: int, places: Rows, spans: Spans, cells: _Cells, cuts: Rows, came: Rows) -> Pieces:
    """Return the result for `count` rows, of which those in `places` have spans, and the cells `came` arrived."""
    has = np.zeros(len(cells.cell), np.bool_)
    has[came] = True
    many, cells_of = (np.bincount(cells.span[some], minlength=len(spans.begin)) for some in (has, slice(None)))
    whole, some = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    whole[places], some[places] = many == cells_of, many > 0
    gaps = np.flatnonzero(~has & some[places][cells.span])
    begin, end = cuts[cells.cell[gaps]], cuts[cells.cell[gaps] + 1]
    new = np.ones(len(gaps), np.bool_)
    new[1:] = (cells.span[gaps[1:]] != cells.span[gaps[:-1]]) | (begin[1:] != end[:-1])
    starts = np.flatnonzero(new)
    last = np.append(starts[1:], len(gaps))[: len(starts)] - 1
    seq = (begin[starts] + RANGE // 2) % RANGE - RANGE // 2
    return Pieces(whole, some, places[cells.span[gaps[starts]]], seq, end[last] - begin[starts])


def covered_before(spans: Spans, until: Rows, by: Spans, at: Rows) -> Mask:
    """Mark the spans that are covered by those spans of `by` that stand (`at`) before `until`."""
    order = np.argsort(by.begin, kind="stable")
    longest = int((by.end - by.begin).max(initial=0))
    first = np.searchsorted(by.begin[order], spans.begin - longest)
    last = np.searchsorted(by.begin[order], spans.end)
    place, of = _counted(first, last)
    other = order[place]
    use = (at[other] < until[of]) & (by.end[other] > spans.begin[of])
    of, other = of[use], other[use]
    # Each span on a line of its own: the others stand by where they begin, so a gap is one behind all before it.
    begin = np.maximum(by.begin[other], spans.begin[of]) - spans.begin[of] + of * RANGE
    end = np.minimum(by.end[other], spans.end[of]) - spans.begin[of] + of * RANGE
    reached = np.maximum.accumulate(end)
    is_first = np.ones(len(of), np.bool_)
    is_first[1:] = of[1:] != of[:-1]
    joins = np.ones(len(of), np.bool_)
    joins[1:] = begin[1:] <= reached[:-1]
    joins[is_first] = begin[is_first] == of[is_first] * RANGE
    covered = np.zeros(len(spans.begin), np.bool_)
    furthest = np.zeros(len(spans.begin), np.int64)
    np.maximum.at(furthest, of, end - of * RANGE)
    covered[of] = True
    covered[of[~joins]] = False
    covered &= furthest >= spans.end - spans.begin
    return covered
