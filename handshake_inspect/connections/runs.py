"""Runs of equal packets that one capture shows within a short time: which of them are copies.

In: `Packets`, and the `Places` of equal ones side by side. Out: which places are copies, of what kind, and in which
*scenes*, which are what one capture shows of one conversation. `copies` has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.packets import (
    LOOPBACK,
    MIRROR,
    MOSTLY_DOUBLED,
    ROUTER,
    Mask,
    Packets,
    Rows,
)
from handshake_inspect.table import PACKET_TYPE_UNKNOWN

#: So many packets of a conversation must certainly stand there more than once, or one in each direction; of one of
#: loopback one is enough.
CERTAIN_COPIES = 3
#: More copies of one packet than this are counted like this many.
MOST_COPIES = 63


@dataclass
class Places:
    """Rows of packets that equal others, equal ones side by side. Arrays of shape (p,)."""

    row: Rows
    #: A number for each distinct packet.
    packet: Rows
    capture: NDArray[np.uint16]
    conversation: NDArray[np.int32]
    #: Does being equal mean something?
    certain: Mask
    #: Does the row stand for this packet alone?
    whole: Mask


def scene_of(packets: Packets, rows: Rows) -> Rows:
    """Number the scene of each of these rows: what one capture shows of one conversation."""
    number: Rows = packets.columns["conversation"][rows].astype(np.int64) << 16 | packets.columns["capture"][rows]
    return number


class Runs:
    """Runs of places that show one packet within a short time, and what they make of their conversation."""

    def __init__(self, packets: Packets, places: Places, follows: Mask) -> None:
        self._packets, self._places = packets, places
        #: First place of each run. Shape (r,), as all below.
        self.start = np.flatnonzero(~follows)
        self.run = np.cumsum(~follows) - 1
        #: How often a run shows its packet, what was taken out before included.
        shown = 1 + packets.taken_out[places.row]
        self.shown = np.add.reduceat(shown, self.start)
        before = np.cumsum(shown) - shown
        #: How often it was shown before each place of its run. Shape of the places.
        self.position = before - before[self.start][self.run]
        self._scene, scenes = self._scenes()
        direction = packets.columns["from_higher"][places.row[self.start]].astype(np.int64)
        self.end = 2 * self._scene + direction
        self.several = (self.shown > 1) & places.whole[self.start]
        self.certain = self.several & places.certain[self.start]
        self.scenes = scenes
        #: Does each scene show most of its packets more than once; or seem to, and is too short to tell? Shape (s,).
        self.doubled, self.undecided = self._doubled(scenes)
        each = self._copies_of_each(len(scenes.shown))[self.end][self.run]
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
        """Return the scene of each run, as an index into all, and what all rows of them show."""
        packets = self._packets
        numbers, scene = np.unique(scene_of(packets, self._places.row[self.start]), return_inverse=True)
        concerned = np.zeros(len(packets.loopback), np.bool_)
        concerned[numbers >> 16] = True
        rows = np.flatnonzero(concerned[packets.columns["conversation"]])
        key = scene_of(packets, rows)
        at = np.minimum(np.searchsorted(numbers, key), len(numbers) - 1)
        known_scene = numbers[at] == key
        rows, at = rows[known_scene], at[known_scene]
        taken_out, stands_for = packets.taken_out[rows], packets.stands_for[rows]
        alone = ~np.isin(rows, self._places.row)
        again = np.where(alone, taken_out + np.minimum(taken_out, stands_for), 0)
        shown, again, known = (
            np.bincount(at, each, len(numbers)).astype(np.int64) for each in (stands_for + taken_out, again, taken_out)
        )
        return scene, Scenes(numbers, shown, again, known > 0)

    def _doubled(self, scenes: Scenes) -> tuple[Mask, Mask]:
        """Say of each scene whether most of its packets stand there more than once; and if only its capture tells."""
        count = len(scenes.shown)
        often = scenes.again + np.bincount(self._scene, np.where(self.several, self.shown, 0), count)
        certain = np.bincount(self.end[self.certain], minlength=2 * count).reshape(count, 2)
        one_is_enough = np.zeros(count, np.bool_)
        row = self._places.row[self.start]
        undirected = self._packets.columns["packet_type"][row] == PACKET_TYPE_UNKNOWN
        one_is_enough[self._scene] = self._packets.loopback[self._places.conversation[self.start]] & undirected
        mostly = (often >= MOSTLY_DOUBLED * scenes.shown) & (certain.any(axis=1) | scenes.known)
        enough = certain.sum(axis=1) >= np.where(one_is_enough, 1, CERTAIN_COPIES)
        enough |= certain.all(axis=1) | scenes.known
        trusted = np.isin(scenes.number & 0xFFFF, list(self._packets.trusted))
        return mostly & (enough | trusted), mostly & ~enough

    def _copies_of_each(self, scenes: int) -> Rows:
        """Estimate how often each packet of each end of a scene is shown: as often as most of them are."""
        shown = np.minimum(self.shown, MOST_COPIES)[self.certain]
        numbers, count = np.unique(self.end[self.certain] * (MOST_COPIES + 1) + shown, return_counts=True)
        end, shown = numbers // (MOST_COPIES + 1), numbers % (MOST_COPIES + 1)
        order = np.lexsort((-shown, count, end))  # the last of each end is the most frequent one
        each = np.zeros(2 * scenes, np.int64)
        each[end[order]] = shown[order]
        pair = each.reshape(scenes, 2)
        pair = np.where(pair == 0, pair[:, ::-1], pair)
        found: Rows = np.where(pair == 0, 2, pair).reshape(-1)
        return found

    def _kinds(self) -> NDArray[np.uint8]:
        """Say of each run what shows its packet again."""
        loopback = self._packets.loopback[self._places.conversation[self.start]]
        kind = np.where(loopback, np.uint8(LOOPBACK), np.uint8(MIRROR))
        if "ttl" in self._packets.columns:
            ttl = self._packets.columns["ttl"][self._places.row]
            routed = np.minimum.reduceat(ttl, self.start) != np.maximum.reduceat(ttl, self.start)
            kind[routed] = ROUTER
        return kind


@dataclass
class Scenes:
    """What the scenes show in all. Arrays of shape (s,)."""

    #: As in `scene_of`.
    number: Rows
    #: How often they show a packet.
    shown: Rows
    #: How often they show one that they show more than once, by what was taken out before.
    again: Rows
    #: Copies were taken out before.
    known: Mask
