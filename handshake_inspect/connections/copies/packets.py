"""What a search for copies looks at, and what it finds.

In and out: `Packets`, rows of segments or datagrams; `Copies` and `CopyEvidence`. `copies` has the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Column, Mask, Rows

#: What shows a packet again: a capture of loopback, where it leaves and arrives; a port mirror, where it enters and
#: leaves the switch, or a bridge; a router, on its other side, which its time to live tells; another capture.
LOOPBACK, MIRROR, ROUTER, ELSEWHERE = range(4)
KINDS = ("loopback", "mirror", "router", "elsewhere")

#: Values of `Packets.shown_each` besides how often: copies are told one by one; and several values in one row.
ONE_BY_ONE, MIXED = 254, 255

#: How long after a packet its copy comes: on loopback, and by way of a switch or a router under load.
LOOPBACK_WITHIN_NS, COPY_WITHIN_NS = 100_000, 10_000_000
#: Share of a conversation's packets, or of a capture's, that must stand there more than once.
MOSTLY_DOUBLED = 0.7

#: Bits of a capture's number in what `in_capture` makes.
CAPTURE_BITS = 16


def in_capture(what: Rows, capture: Column) -> Rows:
    """Number what a capture shows of a conversation, or of an end of one."""
    return what << CAPTURE_BITS | capture


def capture_of(numbers: Rows) -> Rows:
    """Return the capture of each of such numbers."""
    return numbers & ((1 << CAPTURE_BITS) - 1)


def shown_in(numbers: Rows) -> Rows:
    """Return the conversation, or the end, of each of such numbers."""
    return numbers >> CAPTURE_BITS


def scene_of(columns: Mapping[str, Column], rows: Rows | slice = slice(None)) -> Rows:
    """Number the *scene* of each of these rows: what one capture shows of one conversation."""
    return in_capture(columns["conversation"][rows].astype(np.int64), columns["capture"][rows])


def end_of(columns: Mapping[str, Column], rows: Rows | slice = slice(None)) -> Rows:
    """Number the end of its conversation that sent each of these rows."""
    end: Rows = columns["conversation"][rows].astype(np.int64) << 1 | columns["from_higher"][rows]
    return end


@dataclass
class Packets:
    """Rows of packets that may show some of them again. Arrays of shape (n,) if nothing else is said."""

    #: `conversation`, `from_higher`, `capture`, `time_ns`, `packet_type`, `ttl` if there is one, and those of `same`.
    columns: Mapping[str, NDArray[Any]]
    #: Names of the columns in which copies are equal.
    same: Sequence[str]
    #: Does being equal mean something, by an identification or a timestamp?
    identified: Mask
    #: Does it say something that is said once: payload?
    weighty: Mask
    #: Can each conversation only have been captured on loopback? One entry for every conversation of the run.
    loopback: Mask
    #: How many packets each row stands for, and how many copies within its capture were taken out before.
    stands_for: Rows
    taken_out: Rows
    #: How many copies in other captures were taken out before.
    elsewhere: Rows
    #: Captures that are known to show most packets more than once.
    trusted: frozenset[int] = frozenset()
    #: How many of the copies that were taken out are not the row's own, but of packets that it stands for besides.
    folded_copies: Rows | None = None
    #: How often its capture shows each packet of its sender, by what was made of a part of them before; 0: of nothing.
    shown_each: NDArray[np.uint8] | None = None
    #: More packets may come: what may still be shown another time is left as it is.
    go_on: bool = False
    #: A number for each capture, equal for those that follow each other in time; None if that is not known yet.
    lanes: Rows | None = None
    #: May each packet equal others far from it that are no copies of it? None: none may.
    recurs: Mask | None = None
    #: Of rows that stand for runs of equal packets: how often each of these, `stands_for` in all, had shown its packet
    #: before this row. Such runs are over; a single one may also go on behind its row. None: no row stands for runs.
    shown_before: Rows | None = None

    def __len__(self) -> int:
        return len(self.identified)

    @cached_property
    def shown(self) -> Rows:
        """How often each row shows a packet, copies that were taken out before included."""
        shown = self.stands_for + self.taken_out
        return shown if self.shown_before is None else shown + self.stands_for * self.shown_before

    # What is asked of each conversation of these packets is kept from the lowest number to the highest: a run has
    # millions, and a partition a few thousand that follow each other.

    @cached_property
    def base(self) -> int:
        """The lowest number of a conversation."""
        return int(self.columns["conversation"].min()) if len(self) else 0

    @cached_property
    def place(self) -> NDArray[np.int32]:
        """The place of each row's conversation: its number, counted from the lowest."""
        place: NDArray[np.int32] = self.columns["conversation"] - np.int32(self.base)
        return place

    @cached_property
    def places(self) -> int:
        """How many places there are."""
        return int(self.place.max(initial=-1)) + 1

    def has(self, conversations: NDArray[Any]) -> Mask:
        """Mark the places of these conversations. Shape (places,)."""
        marked = np.zeros(self.places, np.bool_)
        marked[conversations - self.base] = True
        return marked


@dataclass
class CopyEvidence:
    """How many packets each capture shows, by its number; of a whole run when that of its parts is added up."""

    shown: Counter[int] = field(default_factory=Counter)
    #: Those in conversations that certainly show most of theirs more than once.
    doubled: Counter[int] = field(default_factory=Counter)
    #: Those in conversations that seem to, but are too short to tell.
    undecided: Counter[int] = field(default_factory=Counter)

    def __add__(self, other: CopyEvidence) -> CopyEvidence:
        """Return what two parts of a run show together."""
        return CopyEvidence(self.shown + other.shown, self.doubled + other.doubled, self.undecided + other.undecided)

    def trusted(self) -> frozenset[int]:
        """Return the captures of which most is doubled, so that the undecided is believed."""
        return frozenset(
            capture
            for capture, count in self.doubled.items()
            if count >= MOSTLY_DOUBLED * (self.shown[capture] - self.undecided[capture])
        )

    def rules_out(self, given: Counter[int]) -> bool:
        """Will no capture be `trusted`, whatever its other packets show? `given`: how many each has in all."""
        return all(
            self.doubled[capture] + (1 - MOSTLY_DOUBLED) * (count - self.shown[capture])
            < MOSTLY_DOUBLED * (self.shown[capture] - self.undecided[capture])
            for capture, count in given.items()
        )


@dataclass
class Copies:
    """Which rows show a packet again."""

    #: The row that stays, and the row that shows the same packet. Shape (k,).
    original: Rows
    copy: Rows
    #: LOOPBACK ... ELSEWHERE. Shape (k,).
    kind: NDArray[np.uint8]
    evidence: CopyEvidence
    #: Numbers of the scenes that were looked at (`scene_of`), and how often each shows the packets of the lower
    #: and of the higher socket: 1, or as often as most of those that stand there several times. Shapes (s,), (s, 2).
    scenes: Rows
    each: NDArray[np.uint8]
    #: Rows that may be shown another time by what comes, if the packets go on.
    open: Rows
    #: Scenes among those looked at that are too short to tell, so that their captures do. Shape (u,).
    undecided: Rows
