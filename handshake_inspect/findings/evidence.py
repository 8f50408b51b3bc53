"""What the rules over connections look at: the columns of one partition, and shorthands for what many of them ask.

In: `DecidedPart`, some whole conversations with their rows, events and verdicts. A rule names connections by their rows
in the `VerdictTable` of the partition; `segments` says how it names ends and segments.

**What may be looked at.** Of a long transfer `connections.folding` keeps only what is out of the ordinary: SYNs, FINs,
RSTs, the first segments of each end, the row before and after each of these, retransmissions, what leaves a gap,
windows of 0, acknowledgments of what was not sent, keep-alives. An answer must not depend on an ordinary data segment
in the middle of a transfer, else it would depend on the size of the blocks in which the capture was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import ResetTable, Verdicts, VerdictTable
from handshake_inspect.connections.deciding.found import NO_FRAME, FindingRows
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.findings.segments import PartSegments
from handshake_inspect.plain import mutable
from handshake_inspect.table import frame_numbers

#: Sooner than this no timer sends anything again (Linux: 200 ms with a measured round trip; RFC 6298 §2.1: 1 s).
RETRANSMISSION_NS = 200_000_000

T = TypeVar("T")


@mutable
class Evidence(PartSegments):
    """Some whole conversations, what was decided about them, and what rules share."""

    #: The time until which each capture of the run shows what happens (`run.covered_until_ns`).
    ends_ns: Sequence[int]
    #: The lane of each capture: captures that follow each other in time share one, as files of one rotation, taken at
    #: one place (`capture.merge.lanes_of`).
    lanes: Rows
    #: The time until which each connection was followed, if the run lets connections go; None: until the capture ends.
    #: Shape (m,).
    until_ns: Rows | None = None
    _shared: dict[Any, Any] = field(default_factory=dict)

    def shared(self, worked_out: Callable[[Evidence], T]) -> T:
        """Return the result of a function that several rules need; it is called once."""
        if worked_out not in self._shared:
            self._shared[worked_out] = worked_out(self)
        found: T = self._shared[worked_out]
        return found

    def forget(self) -> None:
        """Drop the shared results: they refer back to this object, and reference cycles are freed late."""
        self._shared.clear()

    # What was decided.

    @property
    def verdicts(self) -> Verdicts:
        """The verdicts so far."""
        return self.decided.verdicts

    @property
    def table(self) -> VerdictTable:
        """The same, one row per connection."""
        return self.decided.verdicts.table

    @property
    def resets(self) -> ResetTable:
        """One row per RST; row `i` is segment `events.resets.row[i]`."""
        return self.decided.verdicts.resets

    # Which connections.

    def judged(self, claim: Callable[[Judgement], bool]) -> Mask:
        """Mark the connections whose judgement meets the claim, called once per distinct judgement. Shape (m,)."""
        return self.verdicts.judged(claim)

    def handshake(self, *kinds: str) -> Mask:
        """Mark the connections with these kinds of handshake. Shape (m,)."""
        return self._of_kinds(self._handshakes, kinds)

    def teardown(self, *kinds: str) -> Mask:
        """Mark the connections with these kinds of teardown. Shape (m,)."""
        return self._of_kinds(self._teardowns, kinds)

    @cached_property
    def _handshakes(self) -> dict[str, list[int]]:
        """The numbers of the judgements of each kind; kept, because many rules ask and there may be thousands."""
        return _places(one.handshake_kind for one in self.verdicts.judgements)

    @cached_property
    def _teardowns(self) -> dict[str, list[int]]:
        return _places(one.teardown_kind for one in self.verdicts.judgements)

    def _of_kinds(self, places: dict[str, list[int]], kinds: Sequence[str]) -> Mask:
        found = [places[kind] for kind in kinds if kind in places]
        if len(found) in (0, len(places)):  # most rules ask for what is not there
            return np.full(len(self), len(found) > 0)
        claims = np.zeros(len(self.verdicts.judgements), np.bool_)
        for numbers in found:
            claims[numbers] = True
        return claims.take(self.table["judgement"])

    @cached_property
    def ip_version(self) -> Rows:
        """4 or 6. Shape (m,)."""
        return self.decided.keys["ip_version"][self.table["conversation"]].astype(np.int64)

    def responder_port(self, connections: Rows) -> Rows:
        """Return the port of the responder of each of these connections."""
        return self.of_responder("port", connections).astype(np.int64)

    def of_responder(self, part: str, connections: Rows) -> NDArray[Any]:
        """Return "port", "hi" or "lo" of the responder's socket in the key of each of these connections."""
        keys, conversation = self.decided.keys, self.table["conversation"][connections]
        higher_asks = self.table["originator_is_higher"][connections] != 0
        return np.where(higher_asks, keys[f"lower_{part}"][conversation], keys[f"higher_{part}"][conversation])

    # Times.

    def until_end_ns(self, rows: Rows) -> Rows:
        """Return how long the capture, or the following of the connection, went on after each of these segments."""
        ends = np.array(self.ends_ns or [0], np.int64)[self.rows.capture[rows]]
        if self.until_ns is not None:
            ends = np.minimum(ends, self.until_ns[self.rows.conn[rows]])
        after: Rows = np.maximum(ends - self.rows.time_ns[rows], 0)
        return after

    def between_ns(self, earlier: Rows, later: Rows) -> Rows:
        """Return the time from one segment to another, -1 if the clock was set in between."""
        rows = self.rows
        passed = rows.time_ns[later] - rows.time_ns[earlier]
        return np.where((rows.clock[earlier] == rows.clock[later]) & (passed >= 0), passed, -1)

    # Places.

    def at_one_place(self, one: Rows, other: Rows) -> Mask:
        """Mark the pairs of segments captured at one place: in one capture, or in files that follow each other."""
        capture = self.rows.capture
        same: Mask = self.lanes[capture[one]] == self.lanes[capture[other]]
        return same

    # Findings.

    def found(self, text: str, connection: Rows, *rows: Rows, **values: NDArray[Any]) -> FindingRows:
        """Make a finding of each of these connections; `rows` are the segments that show it, -1 for none."""
        if not len(connection):
            return FindingRows(text, connection)
        return FindingRows(text, connection, tuple(self.frames(one) for one in rows), values)

    def found_each(
        self, told: Iterable[tuple[Mask, str]], connection: Rows, *rows: Rows, **values: NDArray[Any]
    ) -> Iterator[FindingRows]:
        """Make findings of those of these connections that a mask marks, with the text beside the mask."""
        for which, text in told:
            at = np.flatnonzero(which)
            if len(at):
                some = {name: value[at] for name, value in values.items()}
                yield self.found(text, connection[at], *(one[at] for one in rows), **some)

    def frames(self, rows: Rows) -> Rows:
        """Return the frame numbers of segments, NO_FRAME for row -1."""
        at = np.maximum(rows, 0)
        return np.where(rows >= 0, frame_numbers(self.rows.capture[at], self.rows.frame[at]), NO_FRAME)


def _places(values: Iterable[str]) -> dict[str, list[int]]:
    """Return the places of each value."""
    places: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    return places
