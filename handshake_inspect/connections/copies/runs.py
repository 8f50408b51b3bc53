"""Runs of equal packets in one capture within a short time: which of them are copies.

In: `Packets`, and the `Places` that group equal ones. Out: the places that are copies, their kinds, and their *scenes*
(a scene is the part of one conversation in one capture). `copies` has the rules.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.copies.packets import (
    LOOPBACK,
    MIRROR,
    MOSTLY_DOUBLED,
    ROUTER,
    Packets,
    capture_of,
    scene_of,
    shown_in,
)
from handshake_inspect.plain import mutable
from handshake_inspect.table import PACKET_TYPE_UNKNOWN

#: Packets of a conversation that must certainly be there more than once, or one in each direction; on loopback one is
#: enough.
CERTAIN_COPIES = 3
#: More copies of one packet than this count as this many.
MOST_COPIES = 63


@mutable
class Places:
    """Rows of packets that equal others, grouped by equality. Arrays of shape (p,)."""

    row: Rows
    #: A number for each distinct packet.
    packet: Rows
    capture: NDArray[np.uint16]
    conversation: NDArray[np.int32]
    #: Is equality significant?
    certain: Mask
    #: Does the row represent only this packet?
    whole: Mask


class Runs:
    """Runs of places with one packet within a short time, and the resulting judgement of their conversations."""

    def __init__(self, packets: Packets, places: Places, follows: Mask, settled: Mask) -> None:
        """`follows`: places that repeat the packet of the place before. `settled`: places whose nature is known."""
        self._packets, self._places = packets, places
        follows = follows & ~settled
        #: First place of each run. Shape (r,), as all below.
        self.start = np.flatnonzero(~follows)
        self.run = np.cumsum(~follows) - 1
        #: Count of the packet in each run, copies removed before included.
        shown = 1 + packets.taken_out[places.row]
        if packets.folded_copies is not None:
            shown = np.maximum(shown - packets.folded_copies[places.row], 1)
        if packets.shown_before is not None:
            shown = shown + packets.shown_before[places.row]
        self.shown = np.add.reduceat(shown, self.start)
        before = np.cumsum(shown) - shown
        #: Count of the packet in its run before each place. Shape of the places.
        self.position = before - before[self.start][self.run]
        #: Number of such runs: 1, or as many as its row represents; 0 for unknown packets.
        whole = places.whole[self.start].astype(np.int64)
        self.count = whole if packets.shown_before is None else packets.stands_for[places.row[self.start]]
        self.count[settled[self.start]] = 0
        self._scene, scenes = self._scenes()
        direction = packets.columns["from_higher"][places.row[self.start]].astype(np.int64)
        self.end = 2 * self._scene + direction
        self.several = (self.shown > 1) & (self.count > 0)
        self.certain = self.several & places.certain[self.start]
        self.scenes = scenes
        #: Scenes with most of their packets more than once; and those that seem so, but are too short. Shape (s,).
        self.doubled, self.undecided = self._doubled(scenes, settled)
        each = self._each()[self.end][self.run]
        #: Is each place a copy? Shape of the places, as the next.
        self.is_copy = (
            follows
            & self.doubled[self._scene][self.run]
            & (self.position % each != 0)
            & places.whole
            & (packets.taken_out[places.row] == 0)
        )
        #: What kind of copy.
        self.kind = self._kinds()[self.run]

    def _scenes(self) -> tuple[Rows, Scenes]:
        """Return the scene of each run, as an index into all scenes, and the totals of these scenes."""
        packets = self._packets
        numbers, scene = np.unique(scene_of(packets.columns, self._places.row[self.start]), return_inverse=True)
        rows = np.flatnonzero(packets.has(shown_in(numbers))[packets.place])
        key = scene_of(packets.columns, rows)
        at = np.minimum(np.searchsorted(numbers, key), len(numbers) - 1)
        known_scene = numbers[at] == key
        rows, at = rows[known_scene], at[known_scene]
        taken_out, stands_for, shown = packets.taken_out[rows], packets.stands_for[rows], packets.shown[rows]
        alone = np.ones(len(packets), np.bool_)
        alone[self._places.row] = False
        again = np.where(alone[rows], taken_out + np.minimum(taken_out, stands_for), 0)
        shown, again, known = (
            np.bincount(at, each, len(numbers)).astype(np.int64) for each in (shown, again, taken_out)
        )
        return scene, Scenes(numbers, shown, again, known > 0, self._judged_before(numbers))

    def _judged_before(self, scenes: Rows) -> Rows:
        """Return how often each end's packets are there by the earlier judgement; 0 if no copies were removed."""
        before = np.zeros(2 * len(scenes), np.int64)
        if self._packets.shown_each is not None:
            rows = np.flatnonzero(self._packets.taken_out * (self._packets.shown_each > 1))
            scene = scene_of(self._packets.columns, rows)
            at = np.minimum(np.searchsorted(scenes, scene), len(scenes) - 1)
            rows, at = rows[scenes[at] == scene], at[scenes[at] == scene]
            end = 2 * at + self._packets.columns["from_higher"][rows]
            np.maximum.at(before, end, self._packets.shown_each[rows])
        return before

    def _doubled(self, scenes: Scenes, settled: Mask) -> tuple[Mask, Mask]:
        """Mark the scenes that have most of their packets more than once; and those that only their capture decides.

        Those that are `settled` are not judged.
        """
        count = len(scenes.shown)
        often = scenes.again + np.bincount(self._scene, np.where(self.several, self.count * self.shown, 0), count)
        certain = np.bincount(self.end[self.certain], self.count[self.certain], 2 * count).reshape(count, 2)
        one_is_enough, asked = np.zeros((2, count), np.bool_)
        asked[self._scene] = ~settled[self.start]
        row = self._places.row[self.start]
        undirected = self._packets.columns["packet_type"][row] == PACKET_TYPE_UNKNOWN
        one_is_enough[self._scene] = self._packets.loopback[self._places.conversation[self.start]] & undirected
        mostly = (often >= MOSTLY_DOUBLED * scenes.shown) & (certain.any(axis=1) | scenes.known) & asked
        enough = certain.sum(axis=1) >= np.where(one_is_enough, 1, CERTAIN_COPIES)
        enough |= certain.all(axis=1) | scenes.known
        trusted = np.isin(capture_of(scenes.number), list(self._packets.trusted))
        return mostly & (enough | trusted), mostly & ~enough

    def _each(self) -> Rows:
        """Return how often packets of each end of a scene are there, by copies removed before or the usual count."""
        most, before = self._most, self.scenes.each_before
        return np.where(before > 1, before, np.where(most == 0, 2, most))

    def judged(self) -> NDArray[np.uint8]:
        """Return how often each packet of each end is there, by these runs alone if they suffice. Shape (s, 2)."""
        most, before = self._most, self.scenes.each_before
        each = np.where(most > 0, most, np.where(before > 1, before, 2)).reshape(-1, 2)
        return np.where(self.doubled[:, None], each, 1).astype(np.uint8)

    @cached_property
    def _most(self) -> Rows:
        """Return the most frequent count of packets of each end of a scene; 0 without a certain one."""
        shown = np.minimum(self.shown, MOST_COPIES)[self.certain]
        numbers, place = np.unique(self.end[self.certain] * (MOST_COPIES + 1) + shown, return_inverse=True)
        count = np.bincount(place, self.count[self.certain], len(numbers))
        end, shown = numbers // (MOST_COPIES + 1), numbers % (MOST_COPIES + 1)
        order = np.lexsort((-shown, count, end))  # the last of each end is the most frequent one
        each = np.zeros(2 * len(self.scenes.shown), np.int64)
        each[end[order]] = shown[order]
        pair = each.reshape(-1, 2)
        found: Rows = np.where(pair == 0, pair[:, ::-1], pair).reshape(-1)
        return found

    def _kinds(self) -> NDArray[np.uint8]:
        """Return the kind of copies of each run."""
        routed = np.zeros(len(self.start), np.bool_)
        if "ttl" in self._packets.columns:
            ttl = self._packets.columns["ttl"][self._places.row]
            routed = np.minimum.reduceat(ttl, self.start) != np.maximum.reduceat(ttl, self.start)
        return kinds_of(self._packets.loopback[self._places.conversation[self.start]], routed)


def kinds_of(loopback: Mask, routed: Mask) -> NDArray[np.uint8]:
    """Return the kinds of copies. `routed`: with another time to live."""
    return np.where(routed, ROUTER, np.where(loopback, LOOPBACK, MIRROR)).astype(np.uint8)


@mutable
class Scenes:
    """Totals of the scenes. Arrays of shape (s,)."""

    #: Number as in `scene_of`.
    number: Rows
    #: Count of packets.
    shown: Rows
    #: Count of packets that are there more than once, by copies removed before.
    again: Rows
    #: Were copies removed before?
    known: Mask
    #: Earlier judgement of how often each packet is there, of the lower and the higher socket; else 0. Shape (2s,).
    each_before: Rows
