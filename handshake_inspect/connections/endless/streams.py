"""Permanent numbers of the connections of a capture that does not end, in order of first segment.

In: the frames with which connections begin, and their conversations. Out: a number for each, never reused after a
release. It is the same as in the saved capture, unless later segments showed that one connection was two, or two were
one. The number of a connection that turned out to be none is remembered until part of its conversation is released.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.table import FRAME_BITS


class Streams:
    """The numbers of the connections held."""

    def __init__(self) -> None:
        #: First frames, sorted; and the number and the conversation of each.
        self._frames = np.zeros(0, np.int64)
        self._numbers = np.zeros(0, np.int64)
        self._conversations = np.zeros(0, np.int64)
        self._next = 0

    def __len__(self) -> int:
        """Count of numbers remembered."""
        return len(self._frames)

    def number(self, frames: Rows, time_ns: Rows, conversations: Rows) -> Rows:
        """Return the number of each connection; new ones get the next numbers, in order of first segment.

        Within one capture that is the order of frames, independent of its clock; over several it is the order of time.
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
        """Forget the numbers of these conversations, except of connections that begin with these frames."""
        stays = ~np.isin(self._conversations, conversations) | np.isin(self._frames, frames)
        self._frames, self._numbers = self._frames[stays], self._numbers[stays]
        self._conversations = self._conversations[stays]
