"""Parts of a capture file, read as if they were the whole file: the octets between them are skipped.

In: a `Window` on a file, and the offsets of the parts. Out: a `Source` of these octets, which the readers of all
formats accept as a file. From an uncompressed file only the parts are read, and gaps so small that one long read costs
less than two; a compressed one is decompressed up to the last wanted octet.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.source import Source, Window

Offsets = NDArray[np.int64]

#: Octets read at once: a seek costs as much as reading some 10,000 octets, and a connection's records may be dense or
#: sparse.
EXCERPT_BLOCK_OCTETS = 1 << 17


class Excerpt(Source):
    """The octets in the spans [begin, end) of a window; spans rise and do not overlap. Offsets are in the file."""

    is_whole = True

    def __init__(self, window: Window, begin: Offsets, end: Offsets) -> None:
        self._window = window
        self._pieces = self._joined(begin, end)
        self._piece = memoryview(b"")

    def readinto(self, view: memoryview) -> int:
        """Fill `view` with the next octets; return how many, 0 at the end."""
        filled = 0
        while filled < len(view):
            if not len(self._piece):
                self._piece = memoryview(next(self._pieces, b""))
                if not len(self._piece):
                    break
            count = min(len(view) - filled, len(self._piece))
            view[filled : filled + count], self._piece = self._piece[:count], self._piece[count:]
            filled += count
        return filled

    def _joined(self, begin: Offsets, end: Offsets) -> Iterator[bytes]:
        """Yield the octets of the spans, those in memory at the same time together; stops where the file ends early."""
        window, done = self._window, 0
        while done < len(begin):
            window.skip(int(begin[done]) - window.file_offset(window.start))
            if not window.need(int(end[done] - begin[done])):
                if window.error:
                    raise OSError(window.error)
                return
            first = window.file_offset(0)
            there = int(np.searchsorted(end, first + window.end, "right"))
            spans = zip((begin[done:there] - first).tolist(), (end[done:there] - first).tolist(), strict=True)
            octets = memoryview(window.buffer)
            yield b"".join([octets[a:b] for a, b in spans])
            window.start = int(end[there - 1]) - first
            done = there

    def close(self) -> None:
        """Close the file."""
        self._window.source.close()
