"""Long transfers in few lines: runs of segments that arrive as they were sent become one `FoldedFlights`.

In: `Moment`s. Out: the same, with the middle of every long quiet run replaced. A moment is quiet if its segment has
only ACK and PSH, arrived once, in order and unchanged, and moves no state at either place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handshake_inspect.connections.connection import End, Pair, StateAt
from handshake_inspect.joined.model import Moment, Sighting
from handshake_inspect.views.folding import KEPT_AT_ENDS, SHOWN_IN_FULL


@dataclass(frozen=True)
class FoldedFlights:
    """Moments that are not shown one by one."""

    moments: Sequence[Moment]

    @property
    def segments(self) -> int:
        """The number of segments that arrived meanwhile."""
        return sum(moment.arrived for moment in self.moments)

    def octets(self, sender: End) -> int:
        """Return the payload octets of `sender` that arrived meanwhile."""
        arrived = (moment.segment for moment in self.moments if moment.arrived)
        return sum(one.step.payload_octets for one in arrived if one.sender == sender)


def fold_flights(moments: Sequence[Moment]) -> list[Moment | FoldedFlights]:
    """Return the moments with long quiet runs folded."""
    found: list[Moment | FoldedFlights] = []
    run: list[Moment] = []
    for moment, is_quiet in zip(moments, _quiet(moments), strict=True):
        if not is_quiet:
            found += _folded(run)
            run = []
            found.append(moment)
        else:
            run.append(moment)
    return found + _folded(run)


def _folded(run: list[Moment]) -> list[Moment | FoldedFlights]:
    if len(run) <= SHOWN_IN_FULL:
        return [*run]
    inner = FoldedFlights(run[KEPT_AT_ENDS:-KEPT_AT_ENDS])
    return [*run[:KEPT_AT_ENDS], inner, *run[-KEPT_AT_ENDS:]]


def _quiet(moments: Sequence[Moment]) -> Iterator[bool]:
    """Mark the moments that are quiet."""
    #: What each place last told of the states, by whether the end near it is the sender.
    last: dict[bool, Pair[StateAt]] = {}
    for moment in moments:
        segment = moment.segment
        is_quiet = segment.fate in ("arrived", "recut") and not segment.late and not segment.changes
        is_quiet &= {*segment.step.flags.split(",")} <= {"ACK", "PSH"} and not segment.step.retransmission
        for seen, sight, is_near in ((moment.sent, segment.near, True), (moment.arrived, segment.far, False)):
            if seen and sight is not None and sight.step is not None:
                at_originator = (segment.sender == "originator") == is_near
                is_quiet &= _is_same(last.get(at_originator), sight)
                last[at_originator] = sight.step.states
        yield is_quiet


def _is_same(states: Pair[StateAt] | None, sight: Sighting) -> bool:
    step = sight.step
    return step is not None and step.states == states and step.ignored is None and not step.at_closed_window
