"""The input and the results of a search for copies.

In and out: `Packets`, rows of segments or datagrams; `Copies` and `CopyEvidence`. `copies` has the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.plain import mutable
from handshake_inspect.sets import set_of

#: Causes of copies: a capture of loopback, where a packet leaves and arrives; a port mirror, where it enters and leaves
#: the switch, or a bridge; a router, on its other side, as the time to live shows; another capture.
LOOPBACK, MIRROR, ROUTER, ELSEWHERE = range(4)
KINDS = ("loopback", "mirror", "router", "elsewhere")

#: Values of `Packets.shown_each` besides counts: copies are identified one by one; rows with different values joined.
ONE_BY_ONE, MIXED = 254, 255

#: Latest time of a copy after its packet: on loopback, and through a switch or a router under load.
LOOPBACK_WITHIN_NS, COPY_WITHIN_NS = 100_000, 10_000_000
#: Share of the packets of a conversation, or of a capture, that must be there more than once.
MOSTLY_DOUBLED = 0.7

#: Bits of the capture number in the results of `in_capture`.
CAPTURE_BITS = 16


def in_capture(what: Rows, capture: Column) -> Rows:
    """Combine a conversation, or an end of one, and a capture into one number."""
    return what << CAPTURE_BITS | capture


def capture_of(numbers: Rows) -> Rows:
    """Return the capture in each number of `in_capture`."""
    return numbers & ((1 << CAPTURE_BITS) - 1)


def shown_in(numbers: Rows) -> Rows:
    """Return the conversation, or the end, in each number of `in_capture`."""
    return numbers >> CAPTURE_BITS


def scene_of(columns: Mapping[str, Column], rows: Rows | slice = slice(None)) -> Rows:
    """Return the *scene* of each of these rows: the part of one conversation in one capture, as a number."""
    return in_capture(columns["conversation"][rows].astype(np.int64), columns["capture"][rows])


def end_of(columns: Mapping[str, Column], rows: Rows | slice = slice(None)) -> Rows:
    """Return the number of the end that sent each of these rows."""
    end: Rows = columns["conversation"][rows].astype(np.int64) << 1 | columns["from_higher"][rows]
    return end


def some_follow(lanes: Rows | None) -> TypeGuard[Rows]:
    """Return whether captures follow each other in time, as files of a rotation: then they share a lane."""
    return lanes is not None and len(set_of(lanes)) < len(lanes)


@mutable
class Packets:
    """Rows of packets, some of which may be copies. Arrays have shape (n,) unless noted."""

    #: `conversation`, `from_higher`, `capture`, `time_ns`, `packet_type`, `ttl` if present, and the columns of `same`.
    columns: Mapping[str, NDArray[Any]]
    #: Names of the columns in which copies are equal.
    same: Sequence[str]
    #: Is equality significant, because of an identification or a timestamp?
    identified: Mask
    #: Does it have payload, which is normally sent once?
    weighty: Mask
    #: Can each conversation only have been captured on loopback? One entry for every conversation of the run.
    loopback: Mask
    #: Count of packets that each row represents, and of copies within its capture removed before.
    stands_for: Rows
    taken_out: Rows
    #: Count of copies in other captures removed before.
    elsewhere: Rows
    #: Captures known to have most packets more than once.
    trusted: frozenset[int] = frozenset()
    #: Count of the removed copies that are not of the row itself, but of other packets that it represents.
    folded_copies: Rows | None = None
    #: How often its capture has each packet of its sender, as judged before from a part of them; 0: not judged.
    shown_each: NDArray[np.uint8] | None = None
    #: More packets may come: runs that may still get copies are left unchanged.
    go_on: bool = False
    #: Lane of each capture: captures that follow each other in time share one; None if that is not known yet.
    lanes: Rows | None = None
    #: May each packet equal distant ones that are not copies of it? None: none may.
    recurs: Mask | None = None
    #: For rows that represent runs of equal packets: how often each of these, `stands_for` in all, had its packet
    #: before this row. Such runs are complete; a single one may also continue after its row. None: no row represents
    #: runs.
    shown_before: Rows | None = None

    def __len__(self) -> int:
        return len(self.identified)

    @cached_property
    def shown(self) -> Rows:
        """Count of packets in each row, copies removed before included."""
        shown = self.stands_for + self.taken_out
        return shown if self.shown_before is None else shown + self.stands_for * self.shown_before

    # Arrays by conversation span only the lowest to the highest number here: a run has millions of conversations, a
    # partition a few thousand consecutive ones.

    @cached_property
    def base(self) -> int:
        """The lowest conversation number."""
        return int(self.columns["conversation"].min()) if len(self) else 0

    @cached_property
    def place(self) -> NDArray[np.int32]:
        """The place of each row's conversation: its number minus `base`."""
        place: NDArray[np.int32] = self.columns["conversation"] - np.int32(self.base)
        return place

    @cached_property
    def places(self) -> int:
        """Count of places."""
        return int(self.place.max(initial=-1)) + 1

    def has(self, conversations: NDArray[Any]) -> Mask:
        """Mark the places of these conversations. Shape (places,)."""
        marked = np.zeros(self.places, np.bool_)
        marked[conversations - self.base] = True
        return marked


@mutable
class CopyEvidence:
    """Counts of packets by capture number; those of a whole run are the sum over its parts."""

    shown: Counter[int] = field(default_factory=Counter)
    #: Packets in conversations that certainly have most of theirs more than once.
    doubled: Counter[int] = field(default_factory=Counter)
    #: Packets in conversations that seem to, but are too short to decide.
    undecided: Counter[int] = field(default_factory=Counter)

    def __add__(self, other: CopyEvidence) -> CopyEvidence:
        """Return the sum of the evidence of two parts of a run."""
        return CopyEvidence(self.shown + other.shown, self.doubled + other.doubled, self.undecided + other.undecided)

    def trusted(self) -> frozenset[int]:
        """Return the captures with mostly doubled packets, for which undecided conversations count as doubled."""
        return frozenset(
            capture
            for capture, count in self.doubled.items()
            if count >= MOSTLY_DOUBLED * (self.shown[capture] - self.undecided[capture])
        )

    def rules_out(self, given: Counter[int]) -> bool:
        """Can no capture become `trusted`, whatever its other packets are? `given`: the total count of each."""
        return all(
            self.doubled[capture] + (1 - MOSTLY_DOUBLED) * (count - self.shown[capture])
            < MOSTLY_DOUBLED * (self.shown[capture] - self.undecided[capture])
            for capture, count in given.items()
        )


@mutable
class Copies:
    """The rows that are copies of a packet."""

    #: The row that stays, and the row that is its copy. Shape (k,).
    original: Rows
    copy: Rows
    #: LOOPBACK ... ELSEWHERE. Shape (k,).
    kind: NDArray[np.uint8]
    evidence: CopyEvidence
    #: The scenes examined (`scene_of`), and how often each has the packets of the lower and of the higher socket: 1, or
    #: the most frequent count of those that are there several times. Shapes (s,), (s, 2).
    scenes: Rows
    each: NDArray[np.uint8]
    #: Rows of which further packets may be copies, if more come.
    open: Rows
    #: Examined scenes too short to decide, so that their captures decide. Shape (u,).
    undecided: Rows
