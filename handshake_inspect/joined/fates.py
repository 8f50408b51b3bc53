"""What became of each segment on the way.

In: a `Matching` and `Clocks`. Out: `Fates`, one for every segment of both places. The place near its sender saw it when
it was sent, the other when it had arrived. So what only the first of these saw died on the way, and what only the other
saw was made there: unless the other capture did not run then, or missed it. Where that cannot be told no loss is
claimed. RFC 4737 §4 says what is reordered: what arrives after something that was sent later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handshake_inspect.connections.rows import ACK, FIN, RST, SYN
from handshake_inspect.joined.aligned import Aligned
from handshake_inspect.joined.clocks import Clocks, is_near_first
from handshake_inspect.joined.matching import Likeness, Matching
from handshake_inspect.joined.vantage import Mask, Rows, Vantage, numbered

#: Seen at both places; sent, and dead on the way; sent, and whether it died or the other capture did not run cannot be
#: told; a second copy of what arrived; made on the way (or missed by the capture near its sender); seen only where it
#: arrives, when the capture near its sender did not run.
ARRIVED, LOST, UNSEEN, COPIED, MADE, UNSENT = range(6)
FATES = ("arrived", "lost", "unseen", "copied", "made", "unsent")
#: Distance between the numbers of neighbouring connections in one array.
RANGE = 1 << 44
#: Nothing was acknowledged: below every number.
NOTHING = -(1 << 40)


@dataclass
class Fates:
    """One number for each row of the `SeenTable` of each place."""

    #: ARRIVED ... UNSENT. Shape (n,), as all.
    first: Rows
    second: Rows
    #: It was overtaken on the way; said where it arrives.
    late_first: Mask
    late_second: Mask


@dataclass
class _Place:
    """One of the two places, and the other."""

    vantage: Vantage
    other: Vantage
    aligned: Aligned
    #: What a segment and a copy of it have in common: as it belongs to its connection, and as it stands in the capture.
    likeness: Likeness
    likeness_there: Likeness
    #: Which of its rows were matched, and the sender of which is near.
    is_matched: Mask
    is_near: Mask
    #: Added to a time of this place it gives that of the other, by the sender's connection. Shape (c,).
    offset_ns: Rows
    #: When both captures certainly ran, by the clock of this place: from the first segment that both saw to the last.
    both_ran_ns: tuple[int, int]


def find_fates(first: Vantage, second: Vantage, matching: Matching, clocks: Clocks) -> Fates:
    """Say what became of each segment."""
    offset_ns = clocks.middle_ns()
    fates = []
    for place in (
        _place(first, second, matching, clocks, offset_ns, is_first=True),
        _place(second, first, matching, clocks, -offset_ns, is_first=False),
    ):
        fate = np.full(len(place.is_matched), ARRIVED)
        _leave(place, fate)
        _arrive(place, fate)
        fates.append(fate)
    late_first, late_second = _late(matching, clocks, len(first.seen), len(second.seen))
    return Fates(fates[0], fates[1], late_first, late_second)


def _place(
    vantage: Vantage, other: Vantage, matching: Matching, clocks: Clocks, offset_ns: Rows, *, is_first: bool
) -> _Place:
    aligned, rows = (matching.left, matching.first) if is_first else (matching.right, matching.second)
    likeness = (matching.left_likeness, matching.right_likeness)
    is_matched = np.zeros(len(vantage.seen), np.bool_)
    is_matched[rows] = True
    times = vantage.seen["time_ns"][rows]
    ran = (int(times.min()), int(times.max())) if len(rows) else (0, -1)
    near = is_near_first(clocks, aligned.direction) == is_first
    return _Place(
        vantage, other, aligned, *(likeness if is_first else likeness[::-1]), is_matched, near, offset_ns, ran
    )


def _covered(place: _Place, rows: Rows) -> Mask:
    """Say of rows of this place whether the other capture ran at their time: it has frames from before and after."""
    time_ns = place.aligned.time_ns[rows]
    covered = (time_ns >= place.both_ran_ns[0]) & (time_ns <= place.both_ran_ns[1])
    there = place.other.inspection.captures[0]
    begin, end = there.first_ns, there.last_ns
    if begin is not None and end is not None and place.both_ran_ns[1] >= 0:
        there_ns = time_ns + place.offset_ns[place.aligned.direction[rows] >> 1]
        covered |= (there_ns >= begin) & (there_ns <= end)
    return covered


def _leave(place: _Place, fate: Rows) -> None:
    """Decide about what was sent near this place and not seen at the other."""
    rows = np.flatnonzero(place.is_near & ~place.is_matched)
    covered = _covered(place, rows)
    fate[rows] = np.where(covered, LOST, UNSEEN)
    rows = rows[~covered]
    if len(rows):
        fate[rows[_repeated_in_vain(place, rows)]] = LOST


def _repeated_in_vain(place: _Place, rows: Rows) -> Mask:
    """Say of segments whether their sender had no answer to them and sent them again, or again already.

    Then TCP itself took them for lost (RFC 9293 §3.8.1). But if the other end spoke meanwhile, and the other capture
    shows nothing of that, it did not run.
    """
    aligned, connection = place.aligned, place.vantage.seen["connection"]
    flags, side = aligned.flags, aligned.direction & 1
    end = aligned.seq + aligned.payload + ((flags & SYN) != 0) + ((flags & FIN) != 0)
    counts = ((flags & RST) == 0) & (end > aligned.seq)
    one_of_its_kind = np.where(counts, -1, np.arange(len(flags)))
    alike = numbered([aligned.direction, aligned.seq, one_of_its_kind])
    again = np.bincount(alike)[alike] > 1
    following = _next_of_group(alike)
    until = np.where(following >= 0, following, place.vantage.start[connection + 1]) - 1
    acknowledged = np.stack([_acknowledged(aligned, connection, one) for one in (0, 1)])
    in_vain = acknowledged[side, until] < end
    spoke = np.flatnonzero(~place.is_near & ~place.is_matched)
    spoke = spoke[~_covered(place, spoke)]
    unheard = ~np.isin(connection, connection[spoke])
    found: Mask = (counts & again & in_vain & unheard)[rows]
    return found


def _next_of_group(group: Rows) -> Rows:
    """Return the next row of the same group for each row, -1 if there is none."""
    order = np.argsort(group, kind="stable")
    following = np.full(len(group), -1)
    same = group[order[1:]] == group[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    return following


def _acknowledged(aligned: Aligned, connection: Rows, side: int) -> Rows:
    """Return how far the segments of a side were acknowledged at each row, this row included."""
    acknowledges = ((aligned.direction & 1) != side) & ((aligned.flags & (ACK | RST)) == ACK)
    base = connection * RANGE
    reached: Rows = np.maximum.accumulate(np.where(acknowledges, aligned.ack, NOTHING) + base) - base
    return reached


def _arrive(place: _Place, fate: Rows) -> None:
    """Decide about what was seen at this place, where it arrives, and not at the one near its sender."""
    rows = np.flatnonzero(~place.is_near & ~place.is_matched)
    fate[rows] = np.where(_covered(place, rows), MADE, UNSENT)
    for here, there in zip(place.likeness, place.likeness_there, strict=True):
        group = numbered([np.concatenate([a[rows], b]) for a, b in zip(here, there, strict=True)])
        fate[rows[np.isin(group[: len(rows)], group[len(rows) :])]] = COPIED


def _late(matching: Matching, clocks: Clocks, first_rows: int, second_rows: int) -> tuple[Mask, Mask]:
    """Mark what arrived after something that the same end had sent later, at the place where it arrived."""
    late_first, late_second = np.zeros(first_rows, np.bool_), np.zeros(second_rows, np.bool_)
    direction = matching.left.direction[matching.first]
    to_second = is_near_first(clocks, direction)
    for towards, sent, arrived, late in (
        (to_second, matching.first, matching.second, late_second),
        (~to_second, matching.second, matching.first, late_first),
    ):
        rows = np.flatnonzero(towards & ~matching.is_astray)
        rows = rows[np.lexsort((arrived[rows], direction[rows]))]
        base = direction[rows] * RANGE
        furthest = np.maximum.accumulate(sent[rows] + base) - base
        late[arrived[rows[sent[rows] < furthest]]] = True
    return late_first, late_second
