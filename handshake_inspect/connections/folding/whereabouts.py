"""The frames of each conversation, stored while a run is read, so that one conversation can be read again alone.

In: the conversation and the frame of each row, block by block in the order of the run. Out: the frames of a
conversation in that order. They are stored in an `Archive`, some 100,000 rows at a time: by conversation, as distances
from frame to frame. That takes about one octet a row, where no more than some dozen conversations are interleaved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.archive import Archive
from handshake_inspect.arrays import Rows
from handshake_inspect.connections.conversations import conversation_order
from handshake_inspect.sets import first_of_runs

#: Rows stored together.
CHUNK_ROWS = 1 << 18


class Whereabouts:
    """The frames of conversations, with their captures in one number (`table.frame_numbers`), and the clock's jumps."""

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive, self._name = archive, name
        self._fresh: list[tuple[Rows, Rows, Rows]] = []
        self._waiting = self._chunks = 0

    @classmethod
    def kept(cls, archive: Archive, name: str) -> Whereabouts:
        """Load what `keep` stored."""
        kept = cls(archive, name)
        kept._chunks = int(archive.read(f"{name}/chunks")[0])
        return kept

    def keep(self) -> None:
        """Store what is still in memory, at the end of the run."""
        self._put_away()
        self._archive.write(f"{self._name}/chunks", np.array([self._chunks]))

    def add(self, conversation: Rows, frame: Rows, clock: NDArray[np.uint16]) -> None:
        """Add the rows of a block."""
        self._fresh.append((conversation, frame, clock.astype(np.int64)))
        self._waiting += len(conversation)
        if self._waiting >= CHUNK_ROWS:
            self._put_away()

    def _put_away(self) -> None:
        if not self._waiting:
            return
        conversation, frame, clock = (np.concatenate(parts) for parts in zip(*self._fresh, strict=True))
        self._fresh, self._waiting = [], 0
        order = conversation_order(conversation)
        conversation, frame, clock = conversation[order], frame[order], clock[order]
        begins = first_of_runs(conversation)
        steps = np.diff(frame, prepend=0)
        steps[begins] = 0
        for name, column in (
            ("conversations", np.diff(conversation[begins], prepend=0)),
            ("rows", np.diff(begins, append=len(order))),
            ("first", np.diff(frame[begins], prepend=0)),
            ("steps", steps),
            ("clock", clock if clock.any() else clock[:0]),
        ):
            self._archive.write(f"{self._name}/{self._chunks}/{name}", column)
        self._chunks += 1

    def of(self, conversations: Rows) -> tuple[Rows, NDArray[np.uint16]]:
        """Return the frames of some conversations in the order of the run, and how often the clock had jumped."""
        self._put_away()
        frames, clocks = [np.zeros(0, np.int64)], [np.zeros(0, np.uint16)]
        for chunk in range(self._chunks):
            held = np.cumsum(self._read(chunk, "conversations"))
            groups = np.flatnonzero(np.isin(held, conversations))
            if not len(groups):
                continue
            stop = np.cumsum(self._read(chunk, "rows"))
            first, steps = np.cumsum(self._read(chunk, "first")), self._read(chunk, "steps")
            clock = self._read(chunk, "clock").astype(np.uint16)
            for group in groups.tolist():
                at = slice(int(stop[group - 1]) if group else 0, int(stop[group]))
                frames.append(first[group] + np.cumsum(steps[at]))
                clocks.append(clock[at] if len(clock) else np.zeros(len(frames[-1]), np.uint16))
        return np.concatenate(frames), np.concatenate(clocks)

    def _read(self, chunk: int, name: str) -> Rows:
        return self._archive.read(f"{self._name}/{chunk}/{name}").astype(np.int64)
