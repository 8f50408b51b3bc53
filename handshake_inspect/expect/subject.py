"""One connection that claims are compared with, with its segments if a claim needs them.

In: an inspection and a connection. Out: `Subject`, and the row of its ladder that decided something: the RST that
aborted it, the first FIN, the segment with which an end entered a state. Read first: RFC 9293 §3.5, §3.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.connection import Connection, End, Frame, IcmpError, Step, end_names
from handshake_inspect.inspection import Inspection

Row = Step | IcmpError
#: States of an end that has not opened yet.
BEFORE_OPEN = ("CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED")


@dataclass(frozen=True)
class RowName:
    """A row of a ladder, named for readers who do not see it."""

    frame: Frame
    #: "frame 8, RST,ACK of the client".
    said: str


class Naming:
    """How many rows may still be named: of a hundred thousand failures, only the first ones get their rows."""

    def __init__(self, rows: int) -> None:
        self.rows_left = rows


class Subject:
    """A connection, and the inspection that has its segments."""

    def __init__(self, connection: Connection, inspection: Inspection, naming: Naming | None = None) -> None:
        self.connection = connection
        self._inspection = inspection
        self._naming = naming or Naming(1 << 30)
        self.names = end_names(connection.handshake.kind)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Its segments; the captures are read again if they were folded."""
        return self._inspection.steps(self.connection.stream)

    @property
    def retransmissions(self) -> int:
        """The number of its segments that bring nothing new."""
        row = self._inspection.connections.row_of(self.connection.stream)
        return int(self._inspection.retransmissions[row])

    def row_of(self, frame: Frame | None) -> Row | None:
        """Return the segment or ICMP error of a frame."""
        rows: list[Row] = [*self.steps, *self.connection.icmp_errors]
        return next((row for row in rows if row.frame == frame), None)

    def first(self, holds: Callable[[Step], bool]) -> Step | None:
        """Return the first segment that meets a condition."""
        return next(filter(holds, self.steps), None)

    def last(self, holds: Callable[[Step], bool] = lambda step: True) -> Step | None:
        """Return the last segment that meets a condition."""
        return next(filter(holds, reversed(self.steps)), None)

    def named(self, word: str) -> str:
        """Return the ladder's word for an end: client for originator, if the ladder has a client."""
        return {"originator": self.names.originator, "responder": self.names.responder}.get(word, word)

    def lacks(self, word: str) -> bool:
        """Is the word client or server, though the capture does not show which end that is?"""
        return word in ("client", "server") and word not in (self.names.originator, self.names.responder)

    def at(self, row_of: Callable[[Subject], Row | None]) -> RowName | None:
        """Return the name of the row that `row_of` finds.

        None also where the segments were folded and cannot be read again, or enough rows were named.
        """
        if not self._naming.rows_left:
            return None
        self._naming.rows_left -= 1
        try:
            row = row_of(self)
        except CaptureError:
            return None
        return None if row is None else self._named(row)

    def at_frames(self, frames: Sequence[Frame]) -> RowName | None:
        """Return the name of the first row with one of these frames."""
        return self.at(lambda one: next((row for row in map(one.row_of, frames) if row is not None), None))

    def _named(self, row: Row) -> RowName:
        place = f"frame {row.frame}" if isinstance(row.frame, int) else f"frame {row.frame[1]} of {row.frame[0]}"
        if isinstance(row, IcmpError):
            return RowName(row.frame, f"{place}, ICMP {row.message} from {row.source}")
        return RowName(row.frame, f"{place}, {row.flags or 'no control bits'} of the {self.names[row.sender]}")

    # Where things were decided.

    def opening(self) -> Row | None:
        """Return what decided the opening: the third segment, the RST, the ICMP error, or the last try."""
        connection = self.connection
        kind = connection.handshake.kind
        if kind == "unreachable":
            return next((error for error in connection.icmp_errors if error.answers_syn), None)
        if kind in ("refused", "abandoned"):
            return self.reset()
        if connection.handshake.complete:
            return self.first(_opens) or self.last(is_syn)
        return self.first(lambda step: any(line.holds is False for line in step.arithmetic)) or self.last(is_syn)

    def closing(self) -> Row | None:
        """Return what decided the closing: the RST that took effect, the other end's FIN, the only FIN."""
        teardown = self.connection.teardown
        if teardown.reset_by is not None:
            return self.reset()
        first = self.first_fin()
        if first is None:
            return self.last()
        return self.first(lambda step: has(step, "FIN") and step.sender != first.sender) or first

    def first_fin(self) -> Step | None:
        """Return the first FIN that was sent."""
        return self.first(lambda step: has(step, "FIN"))

    def reset(self) -> Row | None:
        """Return the RST that took effect; the first one, if none is known to have."""
        resets = [one for one in self.connection.resets if one.valid] or [*self.connection.resets]
        return self.row_of(resets[0].frame) if resets else None

    def departs(self, end: End, expected: Iterable[str]) -> Step | None:
        """Return the segment with which an end enters a state that is not the expected one; the last if none does."""
        seen, wanted = self.connection.states[end] or (), [*expected]
        pairs = enumerate(zip(seen, wanted, strict=False))
        same = next((place for place, (a, b) in pairs if a != b), min(len(seen), len(wanted)))
        if same == len(seen):
            return self.last()
        reached, place = 0, -1
        for step in self.steps:
            state = step.states[end]
            if state.state is not None and not state.disproved and state.state in seen[reached:]:
                place = reached = reached + seen[reached:].index(state.state)
            if place >= same:
                return step
        return self.last()

    def repeat_beyond(self, most: int) -> Step | None:
        """Return the first retransmission after so many."""
        repeats = [step for step in self.steps if step.retransmission]
        return repeats[most] if most < len(repeats) else None


def has(step: Step, bit: str) -> bool:
    """Has the segment this control bit?"""
    return bit in step.flags.split(",")


def is_syn(step: Step) -> bool:
    """Is the segment a SYN or a SYN-ACK?"""
    return has(step, "SYN")


def _opens(step: Step) -> bool:
    """Did the originator send this segment, and is its opening over after it?"""
    return step.sender == "originator" and step.states.originator.state not in (None, *BEFORE_OPEN)
