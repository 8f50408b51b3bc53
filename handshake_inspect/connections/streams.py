"""The numbers of the connections of a capture that does not end: each gets one for good, in order of first segment.

In: the frames with which connections begin. Out: a number for each, which is never another one's, whoever leaves. It is
the number that the saved capture gives, unless what came later showed that one connection was two, or two were one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class Streams:
    """The numbers given so far."""

    def __init__(self) -> None:
        self._frames = np.zeros(0, np.int64)
        self._numbers = np.zeros(0, np.int64)
        self._next = 0

    def number(self, frames: Rows, time_ns: Rows) -> Rows:
        """Return the number of each connection; those that have none get the next ones, in order of time."""
        at = np.searchsorted(self._frames, frames)
        known = np.append(self._frames, -1)[at] == frames
        new = np.flatnonzero(~known)
        if len(new):
            new = new[np.lexsort((frames[new], time_ns[new]))]
            self._add(frames[new], self._next + np.arange(len(new)))
            self._next += len(new)
            at = np.searchsorted(self._frames, frames)
        return self._numbers[at]

    def _add(self, frames: Rows, numbers: Rows) -> None:
        order = np.argsort(frames)
        at = np.searchsorted(self._frames, frames[order])
        self._frames = np.insert(self._frames, at, frames[order])
        self._numbers = np.insert(self._numbers, at, numbers[order])

    def forget(self, frames: Rows) -> None:
        """Let connections go; their numbers stay theirs."""
        at = np.searchsorted(self._frames, frames)
        stays = np.ones(len(self._frames), np.bool_)
        stays[at[np.append(self._frames, -1)[at] == frames]] = False
        self._frames, self._numbers = self._frames[stays], self._numbers[stays]
