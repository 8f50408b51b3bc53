"""The segments of one place -> those of the other, for connections that both saw.

In: two `Vantage`s and their `Pairing`. Out: `Matching`: rows of one `SeenTable` beside rows of the other.

Segments are matched by their numbers, counted from the initial ones, their length and their control bits. That does not
tell retransmissions from the original; these differ in the IP identification (RFC 6864 §4: only a copy made on the path
has the same) and in the timestamp, if the path does not change these, which is found out for each direction first. What
is still equal is matched in order of time: nothing arrives before it was sent, and of several sendings the one is
chosen whose time under way is nearest to the usual one.

If both places saw the same segments of an end in the same order, as for most ends, they are matched in that order: the
rules lead to the same result, and take ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import ACK, SYN
from handshake_inspect.joined.aligned import CORE, AlignedSegments, Origins, align
from handshake_inspect.joined.pairing import Pairing
from handshake_inspect.joined.times import Times
from handshake_inspect.joined.vantage import Vantage, numbered

#: What makes segments alike, column by column, of some rows.
Columns = Callable[[Rows], Iterable[Rows]]


@dataclass
class Likeness:
    """The columns in which a segment and a copy of it are equal."""

    place: Vantage
    aligned: AlignedSegments
    #: What tells one sending of a segment from another.
    marks: list[Rows]

    def in_connection(self, rows: Rows) -> Iterator[Rows]:
        """Return the columns as they are counted in the connection."""
        aligned = self.aligned
        return (column[rows] for column in (*aligned.base(), *self.marks, aligned.window, aligned.flags))

    def as_captured(self, rows: Rows) -> list[Rows]:
        """Return the columns as captured, independent of the connection."""
        place, aligned = self.place, self.aligned
        connection, side = place.seen["connection"][rows], place.seen["side"][rows]
        ends = [np.where(side == 0, *(place.sockets[f"{end}_{part}"][connection] for end in order)).astype(np.int64)
                for order in ("or", "ro") for part in ("hi", "lo", "port")]  # fmt: skip
        flags = aligned.flags[rows]
        seq = (place.seen["seq"][rows] + place.iss[connection, side]) % (1 << 32)
        ack = np.where(flags & ACK, (place.seen["ack"][rows] + place.iss[connection, 1 - side]) % (1 << 32), 0)
        others = (aligned.payload, aligned.window, aligned.ip_id, aligned.timestamp)
        return [*ends, seq, ack, flags, *(column[rows] for column in others)]


@dataclass
class Matching:
    """Segments that both places saw."""

    #: Rows of the first place's `SeenTable` and of the second's, beside each other. Shape (k,).
    first: Rows
    second: Rows
    #: They belong to different connections: a segment that is late opens another one at one place only. Shape (k,).
    is_astray: Mask
    #: From where the numbers of both places count.
    origins: Origins
    #: Place in these arrays of each row of the two, -1 if only one place saw it.
    of_first: Rows
    of_second: Rows
    #: The segments of both places.
    left: AlignedSegments
    right: AlignedSegments
    left_likeness: Likeness
    right_likeness: Likeness


def match(first: Vantage, second: Vantage, pairing: Pairing) -> Matching:
    """Find the segments that both places saw."""
    left, right, origins = align(first, second, pairing)
    directions = 2 * len(pairing)
    matched = _Matched(left, right)
    matched.add_in_step()
    ip_id_is_kept, timestamp_is_kept = _are_kept(left, right, matched.unmatched(), directions)

    def sending(side: AlignedSegments) -> list[Rows]:
        """The columns that tell one sending of a segment from another."""
        ip_id = np.where(ip_id_is_kept[side.direction], side.ip_id, 0)
        return [ip_id, np.where(timestamp_is_kept[side.direction], side.timestamp, -1)]

    mine, theirs = sending(left), sending(right)
    likeness = Likeness(first, left, mine), Likeness(second, right, theirs)
    matched.add(likeness[0].in_connection, likeness[1].in_connection)
    matched.add(_of([*left.base(), *mine]), _of([*right.base(), *theirs]))
    # Timestamps that were taken out of some segments only, on the way or by a snap length.
    for has, has_not in ((left.timestamp >= 0, right.timestamp < 0), (left.timestamp < 0, right.timestamp >= 0)):
        keys = [*left.base(), mine[0], _unless(has, 1)], [*right.base(), theirs[0], _unless(has_not, -1)]
        matched.add(*map(_of, keys))
    # Numbers or a length that were changed: the same packet, by the identification that its sender gave it.
    known, known_there = _unless(mine[0] != 0, 1), _unless(theirs[0] != 0, -1)
    for names in (("direction", "seq", "payload"), ("direction", "payload")):
        one, other = ([*(getattr(side, name) for name in names), side.flags & CORE] for side in (left, right))
        matched.add(_of([*one, *mine, known]), _of([*other, *theirs, known_there]))
    syn, syn_there = _unless((left.flags & SYN) != 0, 1), _unless((right.flags & SYN) != 0, -1)
    matched.add(_of([*_numbers(left), *mine, known, syn]), _of([*_numbers(right), *theirs, known_there, syn_there]))
    matched.add(likeness[0].as_captured, likeness[1].as_captured)
    a, b = matched.rows()
    of_first, of_second = (np.full(len(one.direction), -1, np.int64) for one in (left, right))
    of_first[a] = of_second[b] = np.arange(len(a))
    is_astray = left.direction[a] // 2 != right.direction[b] // 2
    return Matching(a, b, is_astray, origins, of_first, of_second, left, right, *likeness)


def _of(columns: Sequence[Rows]) -> Columns:
    return lambda rows: (column[rows] for column in columns)


def _numbers(aligned: AlignedSegments) -> list[Rows]:
    return [aligned.direction, aligned.seq, aligned.flags & CORE]


def _unless(condition: Mask, own: int) -> Rows:
    """Return 0 where the condition holds, else a number that no other segment has, so that it is not matched."""
    return np.where(condition, 0, (1 + np.arange(len(condition))) * own)


def _are_kept(
    left: AlignedSegments, right: AlignedSegments, rows: tuple[Rows, Rows], directions: int
) -> tuple[Mask, Mask]:
    """For each direction: do IP identification and timestamp arrive unchanged? Shape (directions,).

    Of these rows segments that are alike but for the mark tell, where there is one at each place; and the marks.
    """
    mine, theirs = rows
    direction = left.direction[mine]
    base, base_there = _groups(_of(left.base())(mine), _of(right.base())(theirs), len(mine))
    one, other = _pairs(base, base_there)

    def is_kept(a: Rows, b: Rows, nothing: int) -> Mask:
        marked = (a[one] != nothing) | (b[other] != nothing)
        changed = one[marked & (a[one] != b[other])]
        with_mark, _ = _pairs(*_groups([base, a], [base_there, b], len(a)))
        kept = with_mark[a[with_mark] != nothing]
        count = [np.bincount(direction[some], minlength=directions) for some in (kept, changed)]
        found: Mask = count[0] > count[1]
        return found

    return (
        is_kept(left.ip_id[mine], right.ip_id[theirs], 0),
        is_kept(left.timestamp[mine], right.timestamp[theirs], -1),
    )


def _groups(left: Iterable[Rows], right: Iterable[Rows], count: int) -> tuple[Rows, Rows]:
    """Number the distinct keys of both places; the first `count` are those of the left."""
    group = numbered(np.concatenate(pair) for pair in zip(left, right, strict=True))
    return group[:count], group[count:]


def _pairs(left: Rows, right: Rows) -> tuple[Rows, Rows]:
    """Return the rows of both places whose group occurs once at each."""
    groups = int(max(left.max(initial=-1), right.max(initial=-1))) + 1
    once = (np.bincount(left, minlength=groups) == 1) & (np.bincount(right, minlength=groups) == 1)
    where = np.full(groups, -1, np.int64)
    where[right] = np.arange(len(right))
    rows = np.flatnonzero(once[left])
    return rows, where[left[rows]]


class _Matched:
    """The rows of the left side that were matched so far, and those of the right."""

    def __init__(self, left: AlignedSegments, right: AlignedSegments) -> None:
        self._left, self._right = left, right
        #: Row of the right side for each of the left, -1 for none; and which of the right are taken.
        self._of = np.full(len(left.direction), -1, np.int64)
        self._taken = np.zeros(len(right.direction), np.bool_)

    def add_in_step(self) -> None:
        """Match the segments of each direction in which both places saw the same ones in the same order."""
        mine, theirs = self._left.direction, self._right.direction
        directions = int(max(mine.max(initial=-1), theirs.max(initial=-1))) + 1
        count, count_there = (np.bincount(one, minlength=directions) for one in (mine, theirs))
        in_step = count == count_there
        rows, others = np.flatnonzero(in_step[mine]), np.flatnonzero(in_step[theirs])
        rows = rows[np.argsort(mine[rows], kind="stable")]
        others = others[np.argsort(theirs[others], kind="stable")]
        for column, there in zip(self._left.told(), self._right.told(), strict=True):
            in_step[mine[rows[column[rows] != there[others]]]] = False
        same = in_step[mine[rows]]
        self._take(rows[same], others[same])

    def unmatched(self) -> tuple[Rows, Rows]:
        """Return the rows of both sides that were not matched so far."""
        return np.flatnonzero(self._of < 0), np.flatnonzero(~self._taken)

    def add(self, left: Columns, right: Columns) -> None:
        """Match the remaining rows with equal keys: those that occur once at each place, then the rest by time."""
        rows, others = self.unmatched()
        if not len(rows) or not len(others):
            return
        a, b = _groups(left(rows), right(others), len(rows))
        one, other = _pairs(a, b)
        self._take(rows[one], others[other])
        self._by_time(a, b, rows, others)

    def _take(self, rows: Rows, others: Rows) -> None:
        self._of[rows] = others
        self._taken[others] = True

    def rows(self) -> tuple[Rows, Rows]:
        """Return the matched rows of both sides."""
        left = np.flatnonzero(self._of >= 0)
        return left, self._of[left]

    def _by_time(self, a: Rows, b: Rows, rows: Rows, others: Rows) -> None:
        """Match rows with several equal ones: in order if both places have equally many, else by their times."""
        groups = int(max(a.max(initial=-1), b.max(initial=-1))) + 1
        count, count_there = np.bincount(a, minlength=groups), np.bincount(b, minlength=groups)
        several = (count > 0) & (count_there > 0) & (count + count_there > 2)
        left, right = np.argsort(a, kind="stable"), np.argsort(b, kind="stable")
        equal = several & (count == count_there)
        self._take(rows[left[equal[a[left]]]], others[right[equal[b[right]]]])
        unequal = np.flatnonzero(several & ~equal)
        if not len(unequal):
            return
        times = Times.of(self._left, self._right, *self.rows())
        begin, begin_there = np.searchsorted(a[left], unequal), np.searchsorted(b[right], unequal)
        for group, at, there in zip(unequal.tolist(), begin.tolist(), begin_there.tolist(), strict=True):
            mine = rows[left[at : at + int(count[group])]]
            theirs = others[right[there : there + int(count_there[group])]]
            self._take(*times.choose(mine, theirs))
