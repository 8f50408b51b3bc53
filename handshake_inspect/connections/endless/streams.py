"""The numbers of the connections of a capture that does not end: each gets one for good, in order of first segment.

In: the frames with which connections begin, and their conversations. Out: a number for each, which is never another
one's, whoever leaves. It is the number that the saved capture gives, unless what came later showed that one connection
was two, or two were one. The number of what is no connection any more is remembered until something of its conversation
leaves.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.table import FRAME_BITS


class Streams:
    """The numbers given so far to what is held."""

    def __init__(self) -> None:
        #: Sorted; and of each the number and the conversation.
        self._frames = np.zeros(0, np.int64)
        self._numbers = np.zeros(0, np.int64)
        self._conversations = np.zeros(0, np.int64)
        self._next = 0

    def __len__(self) -> int:
        """How many numbers are remembered."""
        return len(self._frames)

    def number(self, frames: Rows, time_ns: Rows, conversations: Rows) -> Rows:
        """Return the number of each connection; those that have none get the next ones, in order of first segment.

        In one capture that is the order of frames, whatever its clock does; over several it is that of time.
        """
        at = np.searchsorted(self._frames, frames)
        known = np.append(self._frames, -1)[at] == frames
        new = np.flatnonzero(~known)
        if len(new):
            several = bool((frames >> FRAME_BITS).any())
            new = new[np.lexsort((frames[new], time_ns[new])) if several else np.argsort(frames[new])]
            self._add(frames[new], self._next + np.arange(len(new)), conversations[new])
            self._next += len(new)
            at = np.searchsorted(self._frames, frames)
        return self._numbers[at]

    def _add(self, frames: Rows, numbers: Rows, conversations: Rows) -> None:
        order = np.argsort(frames)
        at = np.searchsorted(self._frames, frames[order])
        self._frames = np.insert(self._frames, at, frames[order])
        self._numbers = np.insert(self._numbers, at, numbers[order])
        self._conversations = np.insert(self._conversations, at, conversations[order])

    def keep(self, conversations: Rows, frames: Rows) -> None:
        """Forget all of these conversations but what begins with these frames; their numbers stay theirs."""
        stays = ~np.isin(self._conversations, conversations) | np.isin(self._frames, frames)
        self._frames, self._numbers = self._frames[stays], self._numbers[stays]
        self._conversations = self._conversations[stays]
