"""The segments of one connection from sending to arrival, in order.

In: a `Comparison` and the number of a connection. Out: `Moment`s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from handshake_inspect.arrays import Mask
from handshake_inspect.connections.connection import Step
from handshake_inspect.connections.events.kinds import SIDES
from handshake_inspect.joined.comparison import Comparison
from handshake_inspect.joined.differences import differences
from handshake_inspect.joined.fates import FATES
from handshake_inspect.joined.model import JoinedSegment, Moment, Sighting
from handshake_inspect.joined.order import moments
from handshake_inspect.joined.proofs import NONE
from handshake_inspect.joined.spelling import Spelling


def cross(comparison: Comparison, number: int) -> Sequence[Moment]:
    """Return what both places saw of a connection, in one order."""
    return moments(*_Crossing(comparison, number).seen())


class _Crossing:
    """Makes the segments of one connection."""

    def __init__(self, comparison: Comparison, number: int) -> None:
        self._comparison, self._number = comparison, number
        self._of_row = (comparison.matching.of_first, comparison.matching.of_second)
        self._rows = [comparison.rows(place, number) for place in (0, 1)]
        told = [self._steps_at(place) for place in (0, 1)]
        steps_of, is_exchanged = [tuple(steps.values()) for steps in told], comparison.exchanged(number)
        self._spelling = Spelling.of(comparison.matching.origins, number, steps_of, is_exchanged)
        self._steps = self._spelled(told)
        self._second_tells = bool(comparison.pairing.second_tells[number])
        self._ahead_ns = self._second_clock_ahead_ns()
        #: By the matched segment, or by place and row.
        self._made: dict[int | tuple[int, int], JoinedSegment] = {}

    def _steps_at(self, place: int) -> dict[int, Step]:
        """Return the step of each row of this connection at one of the places."""
        rows, inspection = self._rows[place], self._comparison.places[place].inspection
        if not len(rows):
            return {}
        connection = self._comparison.places[place].seen["connection"][rows[0]]
        steps = inspection.steps(int(inspection.connections.stream_of[connection]))
        return dict(zip(rows.tolist(), steps, strict=True))

    def _spelled(self, told: list[dict[int, Step]]) -> list[dict[int, Step]]:
        """Return the steps of both places, with the same letters and numbers."""
        matching = self._comparison.matching
        return [
            {
                row: self._spelling.spell(step, int(aligned.seq[row]), int(aligned.ack[row]), is_second=is_second)
                for row, step in steps.items()
            }
            for is_second, aligned, steps in zip((False, True), (matching.left, matching.right), told, strict=True)
        ]

    def _second_clock_ahead_ns(self) -> int:
        """Return how far the second clock is ahead: the best guess; else as the middle segment has it."""
        comparison = self._comparison
        offset = comparison.clocks.offset(self._number)
        if offset is not None:
            return offset.middle_ns
        matched = comparison.matching.of_first[self._rows[0]]
        matched = matched[matched >= 0]
        first, second = comparison.matching.first[matched], comparison.matching.second[matched]
        apart = comparison.second.seen["time_ns"][second] - comparison.first.seen["time_ns"][first]
        return int(np.median(apart)) if len(apart) else 0

    def seen(self) -> list[list[tuple[JoinedSegment, Sighting, bool]]]:
        """Return what each place saw, in the order of its capture, and whether it saw it arrive."""
        found = []
        for place in (0, 1):
            segments = [(self._segment(place, row), row) for row in self._rows[place].tolist()]
            found.append([(one, self._sight(place, row), not self._is_near(place, row)) for one, row in segments])
        return found

    def _segment(self, place: int, row: int) -> JoinedSegment:
        matched = int(self._of_row[place][row])
        key = (place, row) if matched < 0 else matched
        if key not in self._made:
            self._made[key] = self._make(place, row, matched)
        return self._made[key]

    def _make(self, place: int, row: int, matched: int) -> JoinedSegment:
        comparison, matching = self._comparison, self._comparison.matching
        here, is_near = self._sight(place, row), self._is_near(place, row)
        there = None
        late = bool(self._late(place)[row])
        if matched >= 0:
            other = int((matching.second, matching.first)[place][matched])
            there = self._sight(1 - place, other)
            late |= bool(self._late(1 - place)[other])
        fates = (comparison.fates.first, comparison.fates.second)[place]
        proof = int((comparison.fates.proof_first, comparison.fates.proof_second)[place][row])
        to_second = is_near == (place == 0)
        has_delay = matched >= 0 and bool(comparison.ways.has_delay[matched])
        near, far = (here, there) if is_near else (there, here)
        fate = FATES[int(fates[row])]
        step = _said([near, far] if to_second != self._second_tells else [far, near], near, fate)
        return JoinedSegment(
            sender=SIDES[self._side(place, row)],
            fate=fate,
            step=step,
            near=near,
            far=far,
            died=tuple(self._died(place, row, step)),
            proof=None if proof == NONE else int(comparison.places[1 - place].seen["frame"][proof]),
            late=late,
            delay_ns=int(comparison.ways.delay_ns[matched]) if has_delay else None,
            changes=() if matched < 0 else tuple(differences(comparison, matched, to_second=to_second)),
        )

    def _died(self, place: int, row: int, step: Step) -> Iterator[Step]:
        """Yield the lost parts of a segment, as segments."""
        gaps = (self._comparison.fates.died_first, self._comparison.fates.died_second)[place]
        for at in np.flatnonzero(gaps.row == row).tolist():
            seq = int(gaps.seq[at])
            octets = min(int(gaps.octets[at]), step.relative_seq + step.payload_octets - seq)  # a FIN is none
            part = replace(step, payload_octets=octets, symbolic_seq=str(seq))
            yield self._spelling.spell(part, seq, step.relative_ack or 0, is_second=bool(place))

    def _late(self, place: int) -> Mask:
        return (self._comparison.fates.late_first, self._comparison.fates.late_second)[place]

    def _side(self, place: int, row: int) -> int:
        """Return the side that sent it, 0 or 1, as the first place has the ends."""
        matching = self._comparison.matching
        return int((matching.left, matching.right)[place].direction[row]) & 1

    def _is_near(self, place: int, row: int) -> bool:
        """Is this place the one near the sender?"""
        return (self._side(place, row) == int(self._comparison.clocks.near_first[self._number])) == (place == 0)

    def _sight(self, place: int, row: int) -> Sighting:
        seen = self._comparison.places[place].seen
        time_ns = int(seen["time_ns"][row])
        common_ns = time_ns - self._ahead_ns if place else time_ns
        return Sighting(int(seen["frame"][row]), time_ns, common_ns, self._steps[place].get(row))


def _said(by_place: list[Sighting | None], near: Sighting | None, fate: str) -> Step:
    """Return what a segment says, as the first of these has it that saw it; a copy is none that was sent again."""
    (step, *_) = [sight.step for sight in by_place if sight is not None and sight.step is not None]
    sent = step if near is None or near.step is None else near.step
    return replace(step, retransmission=sent.retransmission and fate != "copied")
