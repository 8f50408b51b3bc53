"""The fates of the segments of each direction, counted, and their delays.

In: `Matching`, `Clocks` and `Fates`. Out: `DirectionFates`, in columns: one row per direction, of which a connection
has two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.joined.clocks import Clocks, is_near_first
from handshake_inspect.joined.fates import ARRIVED, RECUT, Fates
from handshake_inspect.joined.matching import Matching
from handshake_inspect.joined.vantage import Vantage


@dataclass
class DirectionFates:
    """Arrays of shape (c, 2): connection, and the end that sent; if nothing else is said."""

    sent: Rows
    arrived: Rows
    #: Did something else become of a segment, or did it arrive late?
    is_rough: Mask
    #: Are the delays of it known?
    has_delays: Mask
    least_ns: Rows
    median_ns: Rows
    greatest_ns: Rows
    #: How long each matched segment was under way, by the best guess, and whether that is known. Shape (k,).
    delay_ns: Rows
    has_delay: Mask


def find_ways(first: Vantage, second: Vantage, matching: Matching, clocks: Clocks, fates: Fates) -> DirectionFates:
    """Count the fates of the segments of each direction."""
    directions = 2 * len(clocks.near_first)
    sent, arrived, rough = (np.zeros(directions, np.int64) for _ in range(3))
    for is_first, aligned, fate, late in (
        (True, matching.left, fates.first, fates.late_first),
        (False, matching.right, fates.second, fates.late_second),
    ):
        near = is_near_first(clocks, aligned.direction) == is_first
        sent += np.bincount(aligned.direction[near], minlength=directions)
        came = (fate == ARRIVED) | (fate == RECUT)
        arrived += np.bincount(aligned.direction[near & came], minlength=directions)
        rough += np.bincount(aligned.direction[(fate != ARRIVED) | late], minlength=directions)
    delay_ns, has_delay = _each_delay(first, second, matching, clocks)
    return DirectionFates(
        sent=sent.reshape(-1, 2),
        arrived=arrived.reshape(-1, 2),
        is_rough=rough.reshape(-1, 2) > 0,
        **_delays(matching, delay_ns, has_delay, directions),
        delay_ns=delay_ns,
        has_delay=has_delay,
    )


def _each_delay(first: Vantage, second: Vantage, matching: Matching, clocks: Clocks) -> tuple[Rows, Mask]:
    apart = second.seen["time_ns"][matching.second] - first.seen["time_ns"][matching.first]
    direction = matching.left.direction[matching.first]
    delay = apart - clocks.ahead_ns(direction >> 1, first.seen["time_ns"][matching.first])
    same_clock = (first.seen["clock"][matching.first] == 0) & (second.seen["clock"][matching.second] == 0)
    known = clocks.is_known[direction >> 1] & same_clock
    return np.where(is_near_first(clocks, direction), delay, -delay), known


def _delays(matching: Matching, delay_ns: Rows, known: Mask, directions: int) -> dict[str, NDArray[Any]]:
    """Return the least, the middle and the greatest delay of each direction."""
    direction, delay = matching.left.direction[matching.first][known], delay_ns[known]
    order = np.lexsort((delay, direction))
    found, begin, count = np.unique(direction[order], return_index=True, return_counts=True)
    columns = {name: np.zeros(directions, np.int64) for name in ("least_ns", "median_ns", "greatest_ns")}
    for name, at in (("least_ns", begin), ("median_ns", begin + count // 2), ("greatest_ns", begin + count - 1)):
        columns[name][found] = delay[order][at]
    has = np.zeros(directions, np.bool_)
    has[found] = True
    found_for_all = {"has_delays": has, **columns}
    return {name: one.reshape(-1, 2) for name, one in found_for_all.items()}
