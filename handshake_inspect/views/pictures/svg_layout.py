"""Where things stand in a ladder as SVG: its columns, and the lanes of states down its sides.

In: how much room the arrows need; the states that begin, from top to bottom. Out: places, and the pieces of a lane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from handshake_inspect.connections.connection import StateAt
from handshake_inspect.views.pictures.words import pattern_of, role_of

MARGIN, BAR = 28, 10
#: Room for the longest state: "SYN-RECEIVED".
STATE_WIDTH, TIME_WIDTH, WHY_WIDTH = 118, 66, 236
#: Between the lanes, at least.
LANE_LEAST = 330


@dataclass(frozen=True)
class Columns:
    """The columns, from left to right: time, left state, left lane, arrows, right lane, right state, why."""

    #: Between the lanes.
    room: int

    @property
    def time(self) -> int:
        """Where the times end."""
        return MARGIN + TIME_WIDTH

    @property
    def left(self) -> int:
        """Where the arrows begin, behind the left lane."""
        return self.time + STATE_WIDTH + 24 + BAR

    @property
    def right(self) -> int:
        """Where they end."""
        return self.left + self.room

    @property
    def why(self) -> int:
        """Where the arithmetic begins."""
        return self.right + BAR + 14 + STATE_WIDTH + 8

    @property
    def width(self) -> int:
        """How wide the picture is."""
        return self.why + WHY_WIDTH + MARGIN


@dataclass
class Lane:
    """The pieces of one lane, from top to bottom."""

    x: int
    pieces: list[tuple[float, StateAt]] = field(default_factory=list)

    def becomes(self, y: float, at: StateAt) -> None:
        """Begin another piece if the state or its basis differs."""
        if not self.pieces or self.pieces[-1][1] != at:
            self.pieces.append((y, at))

    def drawn(self, bottom: float) -> Iterator[str]:
        """Yield the pieces, down to `bottom`."""
        ends = [y for y, _ in self.pieces[1:]] + [bottom]
        for (top, at), end in zip(self.pieces, ends, strict=True):
            role, pattern = role_of(at), pattern_of(at)
            yield piece(f'x="{self.x}" y="{top:g}" width="{BAR}" height="{end - top:g}"', role, pattern)


def piece(place: str, role: str, pattern: str) -> str:
    """Return a piece of a lane: a state by its role, and how it is known. Also a sample of one."""
    if pattern == "nothing":
        return f'<rect {place} class="line-only"/>'
    if pattern == "proven":
        return f'<rect {place} class="f-{role}"/>'
    return f'<rect {place} class="patterned" fill="url(#{pattern}-{role})"/>'
