"""The fate of each segment on the path.

In: a `Matching` and `Clocks`. Out: `Fates`, one for every segment of both places. The place near its sender saw a
segment when it was sent, the other place when it arrived. So a segment that only the first one saw was lost on the
path, and one that only the other saw was made there: unless the other capture did not run then, or missed it. If that
cannot be told, no loss is claimed. Reordered (RFC 4737 §4) is what arrives after something that was sent later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.joined.aligned import AlignedSegments
from handshake_inspect.joined.clocks import EVER, NEVER, Clocks, is_near_first
from handshake_inspect.joined.matching import Likeness, Matching
from handshake_inspect.joined.pieces import RANGE, cut_otherwise
from handshake_inspect.joined.proofs import NONE, acknowledgments
from handshake_inspect.joined.times import Times
from handshake_inspect.joined.vantage import Vantage, numbered

#: Seen at both places; sent, and dead on the way; sent, and whether it died or the other capture did not run cannot be
#: told; a second copy of what arrived; made on the way (or missed by the capture near its sender); seen only where it
#: arrives, when the capture near its sender did not run; all of its octets seen at both places, in other pieces; some
#: of them so, and the others dead; arrived, as its receiver acknowledged it, and the capture there does not show it.
ARRIVED, LOST, UNSEEN, COPIED, MADE, UNSENT, RECUT, PARTLY, MISSED = range(9)
FATES = ("arrived", "lost", "unseen", "copied", "made", "unsent", "recut", "partly", "missed")
#: Nothing was acknowledged: below every number.
NOTHING = -(1 << 38)


@dataclass
class Gaps:
    """Octets of segments: the row of each, where they begin and how many they are. In order. Shape (g,)."""

    row: Rows
    seq: Rows
    octets: Rows


@dataclass
class Fates:
    """One number for each row of the `SeenTable` of each place."""

    #: ARRIVED ... MISSED. Shape (n,), as all.
    first: Rows
    second: Rows
    #: It was overtaken on the way; said where it arrives.
    late_first: Mask
    late_second: Mask
    #: The row of the other place that acknowledges what was missed there, `NONE` for all else.
    proof_first: Rows
    proof_second: Rows
    #: What of PARTLY died.
    died_first: Gaps
    died_second: Gaps


@dataclass
class _Place:
    """One of the two places, and the other."""

    vantage: Vantage
    other: Vantage
    aligned: AlignedSegments
    likeness: Likeness
    likeness_there: Likeness
    #: Which of its rows were matched, and the sender of which is near.
    is_matched: Mask
    is_near: Mask
    #: The rows that were matched with one of the same connection, and how much later the other place saw each row, by
    #: its own clock; 0 for others. Shapes (k,) and (n,).
    matched: Rows
    apart_ns: Rows


def find_fates(first: Vantage, second: Vantage, matching: Matching, clocks: Clocks) -> Fates:
    """Find the fate of each segment."""
    places = (
        _place(first, second, matching, clocks, is_first=True),
        _place(second, first, matching, clocks, is_first=False),
    )
    fates = []
    for place in places:
        fate = np.full(len(place.is_matched), ARRIVED)
        _leave(place, fate)
        _arrive(place, fate)
        fates.append(fate)
    usable = ~matching.is_astray
    times = Times.of(matching.left, matching.right, matching.first[usable], matching.second[usable])
    died = _recut(matching, places, fates, times)
    proofs = _missed(matching, clocks, places, fates, times)
    late_first, late_second = _late(matching, clocks, len(first.seen), len(second.seen))
    return Fates(fates[0], fates[1], late_first, late_second, proofs[0], proofs[1], died[0], died[1])


def _place(vantage: Vantage, other: Vantage, matching: Matching, clocks: Clocks, *, is_first: bool) -> _Place:
    aligned, rows = (matching.left, matching.first) if is_first else (matching.right, matching.second)
    likeness = (matching.left_likeness, matching.right_likeness)
    is_matched = np.zeros(len(vantage.seen), np.bool_)
    is_matched[rows] = True
    apart_ns = np.zeros(len(vantage.seen), np.int64)
    apart = matching.right.time_ns[matching.second] - matching.left.time_ns[matching.first]
    apart_ns[rows] = apart if is_first else -apart
    return _Place(
        vantage,
        other,
        aligned,
        *(likeness if is_first else likeness[::-1]),
        is_matched,
        is_near_first(clocks, aligned.direction) == is_first,
        rows[~matching.is_astray],
        apart_ns,
    )


def _covered(place: _Place, rows: Rows) -> Mask:
    """Mark the rows of this place, all sent near it or all far from it, at whose time the other capture ran.

    It did if it has some that were sent before and after; or frames from before such a segment can have been there,
    and from after.
    """
    if not len(rows):
        return np.zeros(0, np.bool_)
    time_ns = place.aligned.time_ns[rows]
    alike = place.matched[place.is_near[place.matched] == place.is_near[rows[0]]]
    times = place.aligned.time_ns[alike]
    begun, goes_on = time_ns >= times.min(initial=EVER), time_ns <= times.max(initial=NEVER)
    there = place.other.inspection.captures[0]
    # Where nothing went this way, what went the other way tells, but for twice the journey.
    apart = place.apart_ns[alike] if len(alike) else place.apart_ns[place.matched]
    if len(apart) and there.first_ns is not None and there.last_ns is not None:
        begun |= time_ns + int(apart.min()) >= there.first_ns
        goes_on |= time_ns + int(apart.max()) <= there.last_ns
    covered: Mask = begun & goes_on
    return covered


def _leave(place: _Place, fate: Rows) -> None:
    """Decide about the segments that were sent near this place and not seen at the other."""
    rows = np.flatnonzero(place.is_near & ~place.is_matched)
    covered = _covered(place, rows)
    fate[rows] = np.where(covered, LOST, UNSEEN)
    rows = rows[~covered]
    if len(rows):
        fate[rows[_repeated_in_vain(place, rows)]] = LOST


def _repeated_in_vain(place: _Place, rows: Rows) -> Mask:
    """Mark the segments that their sender repeated without an answer, and such repeats.

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


def _acknowledged(aligned: AlignedSegments, connection: Rows, side: int) -> Rows:
    """Return how far the segments of a side were acknowledged at each row, this row included."""
    acknowledges = ((aligned.direction & 1) != side) & ((aligned.flags & (ACK | RST)) == ACK)
    base = connection * RANGE
    reached: Rows = np.maximum.accumulate(np.where(acknowledges, aligned.ack, NOTHING) + base) - base
    return reached


def _arrive(place: _Place, fate: Rows) -> None:
    """Decide about the segments that arrived at this place and were not seen at the one near their sender."""
    rows = np.flatnonzero(~place.is_near & ~place.is_matched)
    fate[rows] = np.where(_covered(place, rows), MADE, UNSENT)
    if not len(rows):
        return
    here, there = place.likeness, place.likeness_there
    for one, other, common in (
        (here.in_connection, there.in_connection, ("direction",)),
        (here.as_captured, there.as_captured, ("payload", "window", "ip_id", "timestamp")),
    ):
        # Few arrive so, and of the other place only those count that have this in common with one of them.
        columns = [(getattr(there.aligned, name), getattr(here.aligned, name)[rows]) for name in common]
        some = np.flatnonzero(np.logical_and.reduce([np.isin(*pair) for pair in columns]))
        group = numbered(np.concatenate(pair) for pair in zip(one(rows), other(some), strict=True))
        fate[rows[np.isin(group[: len(rows)], group[len(rows) :])]] = COPIED


def _recut(matching: Matching, places: Sequence[_Place], fates: Sequence[Rows], times: Times) -> list[Gaps]:
    """Correct the fates of segments that the other place has in other sizes; return their lost octets."""
    rows = [np.flatnonzero((fate != ARRIVED) & (fate != COPIED)) for fate in fates]
    died = []
    found = cut_otherwise(matching.left, matching.right, rows[0], rows[1], times)
    for place, fate, some, pieces in zip(places, fates, rows, found, strict=True):
        near = place.is_near[some]
        # Of one that was put together on the way, the capture near its sender may have missed a piece.
        fate[some[pieces.whole | (pieces.some & ~near)]] = RECUT
        partly = pieces.some & ~pieces.whole & (fate[some] == LOST)
        fate[some[partly]] = PARTLY
        use = partly[pieces.gap_row]
        died.append(Gaps(some[pieces.gap_row[use]], pieces.gap_seq[use], pieces.gap_octets[use]))
        _copied_pieces(place.aligned, fate, some[~near & ~pieces.some])
    return died


def _copied_pieces(aligned: AlignedSegments, fate: Rows, rows: Rows) -> None:
    """Mark second copies of pieces: the same packet by its IP identification (RFC 6864 §4)."""
    pieces = np.flatnonzero(fate == RECUT)
    columns = [aligned.direction, aligned.seq, aligned.payload, aligned.ip_id]
    group = numbered([np.concatenate([column[rows], column[pieces]]) for column in columns])
    again = np.isin(group[: len(rows)], group[len(rows) :]) & (aligned.payload[rows] > 0) & (aligned.ip_id[rows] > 0)
    fate[rows[again]] = COPIED


def _missed(
    matching: Matching, clocks: Clocks, places: Sequence[_Place], fates: Sequence[Rows], times: Times
) -> list[Rows]:
    """Find what was acknowledged but not captured at the other place; return the acknowledging rows, by place."""
    proofs = []
    for number, (place, fate) in enumerate(zip(places, fates, strict=True)):
        near, there = place.aligned, places[1 - number]
        rows = np.flatnonzero((fate == LOST) | (fate == UNSEEN) | (fate == PARTLY))
        least_ns = _least_ahead_ns(clocks, near.direction[rows], times, is_first=number == 0)
        found = acknowledgments(near, there.aligned, matching.origins, rows, there.is_near, least_ns)
        proof = np.full(len(fate), NONE)
        proof[rows] = found
        fate[rows[found != NONE]] = MISSED
        proofs.append(proof)
    return proofs


def _least_ahead_ns(clocks: Clocks, direction: Rows, times: Times, *, is_first: bool) -> Rows:
    """Return by how much the other place's clock is ahead at least, in these directions; what is usual if unknown."""
    lower, upper, usual = clocks.lower_ns[direction >> 1], clocks.upper_ns[direction >> 1], times.usual_ns(direction)
    if is_first:
        return np.where(lower > NEVER, lower, usual)
    return -np.where(upper < EVER, upper, usual)


def _late(matching: Matching, clocks: Clocks, first_rows: int, second_rows: int) -> tuple[Mask, Mask]:
    """Mark the segments that arrived after one that the same end had sent later."""
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
