"""How long segments seem to be under way, by two clocks that differ; and which of several equal ones is which by that.

In: matched segments. Out: `Times`. The time by the second clock minus the time by the first is the time under way plus
the difference of the clocks in one direction, and that difference minus the time under way in the other; for choosing
among equal segments it does not matter which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.joined.aligned import AlignedSegments

#: So many costs are weighed (1 to 4 s, and an octet each): of 16,000 segments 8,000, or all but 60 of a million.
MOST_WEIGHED = 1 << 26
#: Sums of costs stay below this.
MOST_NS = 1 << 62


@dataclass
class Times:
    """The usual time differences between the two places."""

    _left: AlignedSegments
    _right: AlignedSegments
    #: The middle one of what the segments of a direction lie apart, and whether there is any. Shape (directions,).
    _usual_ns: Rows
    _is_known: Mask
    #: That of all.
    _overall_ns: int | None

    @classmethod
    def of(cls, left: AlignedSegments, right: AlignedSegments, rows: Rows, others: Rows) -> Times:
        """Measure the matched rows of the left side and of the right."""
        directions = int(max(left.direction.max(initial=-1), right.direction.max(initial=-1))) + 1
        direction, apart = left.direction[rows], right.time_ns[others] - left.time_ns[rows]
        usual, known = np.zeros(directions, np.int64), np.zeros(directions, np.bool_)
        order = np.lexsort((apart, direction))
        found, begin, count = np.unique(direction[order], return_index=True, return_counts=True)
        usual[found], known[found] = apart[order][begin + count // 2], True
        return cls(left, right, usual, known, int(np.median(apart)) if len(apart) else None)

    def choose(self, rows: Rows, others: Rows) -> tuple[Rows, Rows]:
        """Match segments that are alike, in order. On the side where they are more some are left out.

        None is matched where there are too many to be weighed.
        """
        fewer, more = sorted((len(rows), len(others)))
        usual = self._usual(int(self._left.direction[rows[0]]))
        if usual is None:
            # What was repeated until it arrived: the last ones came through.
            return rows[-fewer:], others[-fewer:]
        if fewer * (more - fewer + 1) > MOST_WEIGHED:
            return rows[:0], others[:0]
        left_ns, right_ns = self._left.time_ns[rows] + usual, self._right.time_ns[others]
        if len(rows) > len(others):
            return rows[best_in_order(right_ns, left_ns)], others
        return rows, others[best_in_order(left_ns, right_ns)]

    def usual_ns(self, direction: Rows) -> Rows:
        """Return the usual difference in these directions; for one without matches, that of all together."""
        usual: Rows = np.where(self._is_known, self._usual_ns, self._overall_ns or 0)[direction]
        return usual

    def _usual(self, direction: int) -> int | None:
        return int(self._usual_ns[direction]) if self._is_known[direction] else self._overall_ns


def best_in_order(few_ns: Rows, many_ns: Rows) -> Rows:
    """Assign to each of a few times one of many, both rising, so that the sum of the distances is least.

    Returns which, shape (few,); of choices that are equally good the later ones. Where `left_out` are left out, the one
    for the i-th is among i ... i + left_out: `few * (left_out + 1)` steps.
    """
    few, left_out = len(few_ns), len(many_ns) - len(few_ns)
    best, is_best = np.zeros(left_out + 1, np.int64), np.zeros((few, left_out + 1), np.bool_)
    for row in range(few):
        # best[j]: the least sum for the rows so far, of which the last one has row + j at the most.
        cost = np.minimum(np.abs(many_ns[row : row + left_out + 1] - few_ns[row]), MOST_NS // few)
        best = best + cost
        least = np.minimum.accumulate(best)
        is_best[row] = best == least
        best = least
    chosen, shift = np.empty(few, np.int64), left_out
    for row in reversed(range(few)):
        shift = int(np.flatnonzero(is_best[row][: shift + 1])[-1])
        chosen[row] = row + shift
    return chosen
