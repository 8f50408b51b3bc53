"""A connection that was captured at two places, as plain data without arrays.

In: nothing; `join` fills these. `None` means that the captures cannot tell. The two captures are the first and the
second, as they were named; which end each is near is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

from handshake_inspect.connections.connection import (
    Connection,
    End,
    Endpoint,
    Frame,
    IcmpError,
    Pair,
    Step,
)
from handshake_inspect.plain import plain

T = TypeVar("T")


@plain
class PlacePair(Generic[T]):
    """One value for each place."""

    first: T
    second: T

    def at(self, *, second: bool) -> T:
        """Return the value for the second place, or for the first."""
        return self.second if second else self.first


@plain
class Delays:
    """How long the segments of one end were under way, by the best guess of the clock difference."""

    least_ns: int
    median_ns: int
    greatest_ns: int


@plain
class DirectionFate:
    """The fate of the segments of one end. Those that did not simply arrive are named by their frames."""

    #: Seen at the place near their sender; and of these, at the other place too.
    sent: int
    arrived: int
    #: Died on the way: frames near the sender.
    lost: tuple[int, ...]
    #: Not seen at the other place: lost, or its capture did not run. Frames near the sender.
    unseen: tuple[int, ...]
    #: Second copies of what arrived: frames near the receiver, as all below.
    copied: tuple[int, ...]
    #: Arrived after something that was sent later (RFC 4737 §4).
    late: tuple[int, ...]
    #: Seen only where they arrive: made on the way, or missed by the capture near their sender.
    made: tuple[int, ...]
    #: The same, when the capture near their sender did not run.
    unsent: tuple[int, ...]
    #: Arrived in other pieces: what is cut by a network card, or put together. Frames near the sender.
    recut: tuple[int, ...]
    #: Likewise, but some octets died. Frames near the sender.
    partly: tuple[int, ...]
    #: Arrived, as the receiver acknowledged it; the other capture does not show it. Frames near the sender.
    missed: tuple[int, ...]
    #: By how much the TTL falls on the way, as most segments have it; None if none arrived.
    routers: int | None
    #: None if nothing is known of the clocks, or none arrived.
    delays: Delays | None

    @property
    def is_smooth(self) -> bool:
        """Did everything arrive once and in order, and nothing else? Other segment sizes do not matter."""
        rough = (self.lost, self.unseen, self.copied, self.late, self.made, self.unsent, self.partly, self.missed)
        return not any(rough)


@dataclass(frozen=True, slots=True)
class Change:
    """A change between sending and arrival."""

    #: What: one of `changes.WHATS`, or the name of an option.
    what: str
    #: Whose segments.
    sender: End
    #: At the place near the sender, and at the other one; of the first segment where they vary.
    before: str
    after: str
    #: Of how many of the segments that arrived.
    segments: int
    arrived: int


@dataclass(frozen=True, slots=True)
class JoinedError:
    """One ICMP error that quotes a segment of the connection."""

    #: As the first place has it, else as the second.
    error: IcmpError
    #: Whose segment it quotes, as the preferred place has the ends.
    quotes: End
    #: Its frame at each place; None: not seen there.
    frames: PlacePair[Frame | None]


@plain
class Clock:
    """How far the second clock is ahead of the first. Nanoseconds."""

    offset_ns: int
    #: It may be off by this much, either way; 0 if both captures were stamped by one clock, as the user said.
    uncertainty_ns: int
    #: "all" connections tell so, "connection": this one alone, "same": the user said that there is one clock.
    known_by: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A segment as one place saw it."""

    frame: int
    time_ns: int
    #: The same by the clock of the first place, as well as that is known.
    common_ns: int
    #: None if that place took it for a segment of another connection.
    step: Step | None


@dataclass(frozen=True, slots=True)
class JoinedSegment:
    """One segment, from where it was sent to where it arrived."""

    #: As an end of the connection at the place that `JoinedConnection.seen` prefers.
    sender: End
    #: arrived, recut, partly, missed, lost, unseen, copied, made or unsent: see `fates`.
    fate: str
    #: What it says, as the first place has it if that saw it, or the one that saw more of the SYNs; numbers are spelled
    #: alike for both. Whether it was sent again is told near its sender.
    step: Step
    #: Near its sender, and near its receiver.
    near: Sighting | None
    far: Sighting | None
    #: What of it died, as if that had been a segment of its own; only of one that arrived partly.
    died: tuple[Step, ...]
    #: The frame at the other place that acknowledges it, if it was missed there.
    proof: int | None
    #: It arrived after something that was sent later.
    late: bool
    #: How long it was under way, by the best guess; None if that is not known.
    delay_ns: int | None
    #: What changed between sending and arrival: what, before, after.
    changes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that one place saw, or both with nothing in between."""

    segment: JoinedSegment
    #: It was seen where it was sent, and where it arrived.
    sent: bool
    arrived: bool


@dataclass(frozen=True)
class JoinedConnection:
    """One connection, seen at two places, or at one of them only."""

    #: The stream of the first capture; what only the second has is numbered on from there.
    number: int
    #: The names of the two captures.
    captures: PlacePair[str]
    #: Its stream in each of them; None: not seen there.
    streams: PlacePair[int | None]
    #: Makes it as each place tells it.
    look: Callable[[], PlacePair[Connection | None]] = field(repr=False, compare=False)
    #: Originator and responder of each place; the ends stand as the preferred place has them.
    sockets: Pair[PlacePair[Endpoint | None]]
    #: Originator and responder are exchanged at this place: both ends sent a SYN, or it saw none.
    exchanged: PlacePair[bool]
    #: The second place saw more of the SYNs: it tells which end is which.
    second_tells: bool
    #: The initial numbers of both ends, as the first place has them, or would have them; None if neither saw them.
    initial_seq: Pair[int | None]
    #: The end that the first place is near.
    near_first: End
    #: "times", "ttl", "other connections" or "order of the files".
    near_known_by: str
    #: By sender.
    ways: Pair[DirectionFate]
    changes: tuple[Change, ...]
    #: ICMP errors that quote its segments, wherever they were seen.
    icmp_errors: tuple[JoinedError, ...]
    #: Did a snap length cut option lists of this capture? Then what it lacks is no change.
    cuts_options: PlacePair[bool]
    #: None: nothing is known.
    clock: Clock | None
    #: Least time there and back, without the time between the places and the ends; exact, whatever the clocks.
    round_trip_ns: int | None

    @cached_property
    def seen(self) -> PlacePair[Connection | None]:
        """The connection as each place saw it, made when it is asked for; None: not seen there."""
        return self.look()

    @property
    def preferred(self) -> Connection:
        """The connection as seen at the place that saw more of the SYNs; the first, if both saw as many."""
        found = (self.seen.second if self.second_tells else None) or self.seen.first or self.seen.second
        assert found is not None
        return found

    @property
    def is_flipped(self) -> bool:
        """Do the places differ in which end is the originator?"""
        return self.exchanged.first or self.exchanged.second

    @property
    def at_both(self) -> bool:
        """Was it seen at both places?"""
        return self.streams.first is not None and self.streams.second is not None
