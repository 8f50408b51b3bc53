"""The last frames of a live capture that fit into a limit of memory, for saving and for the payload in ladders.

In: blocks of records, whose buffers are used again by the ring. Out: copies of frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import numpy as np

from handshake_inspect.capture.records import RawFrame, Records
from handshake_inspect.capture.writing.output import CaptureWriter, Rows, numbers_of
from handshake_inspect.sets import consecutive

#: Octets of frames that are kept, with what is noted of each.
KEPT_OCTETS = 64 << 20
NOTED_OCTETS = 64


class Recent:
    """Frames by number; the oldest are dropped when there is no more room."""

    def __init__(self, kept_octets: int = KEPT_OCTETS) -> None:
        self._kept_octets = kept_octets
        self._blocks: deque[Records] = deque()
        self._octets = 0
        #: Frames that were taken, and those that went.
        self.taken = self.gone = 0

    def add(self, block: Records, rows: Rows | None = None) -> None:
        """Take the frames of a block, or those in `rows`."""
        chosen = numbers_of(block, rows)
        if not len(chosen):
            return
        copy = copied(block, chosen)
        self._blocks.append(copy)
        self._octets += _size(copy)
        self.taken += len(copy)
        while self._octets > self._kept_octets and len(self._blocks) > 1:
            oldest = self._blocks.popleft()
            self._octets -= _size(oldest)
            self.gone += len(oldest)

    def write(self, writer: CaptureWriter, numbers: Collection[int] | None = None) -> int:
        """Write all kept frames, or those with these numbers. Raises CaptureError.

        Returns of how many not all was captured.
        """
        wanted = None if numbers is None else np.fromiter(numbers, np.int64, len(numbers))
        cut = 0
        for block in self._blocks:
            chosen = None if wanted is None else np.isin(block.frame, wanted)
            writer.write(block, chosen)
            cut += cut_frames(block, chosen)
        return cut

    def frames(self, numbers: Collection[int]) -> dict[int, RawFrame]:
        """Return the frames with these numbers, as far as they are kept."""
        wanted = np.fromiter(numbers, np.int64, len(numbers))
        return {
            int(block.frame[row]): block.raw(row)
            for block in self._blocks
            for row in np.flatnonzero(np.isin(block.frame, wanted)).tolist()
        }


def copied(block: Records, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Records:
    """Return a copy of some frames of a block."""
    captured = block.captured[rows]
    offset = np.cumsum(captured) - captured
    return Records(
        buffer=block.buffer[consecutive(block.offset[rows], captured)],
        offset=offset,
        captured=captured,
        original=block.original[rows],
        time_ns=block.time_ns[rows],
        frame=block.frame[rows],
        link_type=block.link_type[rows],
        packet_type=None if block.packet_type is None else block.packet_type[rows],
        interface=None if block.interface is None else block.interface[rows],
    )


def cut_frames(block: Records, rows: Rows | None = None) -> int:
    """Count the frames of a block, or of these `rows`, that were not captured whole."""
    is_cut = block.captured < block.original
    return int(np.count_nonzero(is_cut if rows is None else is_cut[rows]))


def _size(block: Records) -> int:
    return len(block.buffer) + NOTED_OCTETS * len(block)
