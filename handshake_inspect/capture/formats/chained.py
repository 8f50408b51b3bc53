"""Readers of formats that are one header and then records, each with its length: what `pcap` and `snoop` share.

In: a `Window` that stands behind the header of the file. Out: `Records`, block by block, and the place of damage.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.formats.walk import Chain, Offsets, walk
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.source import RecordReader, gathered


class ChainedReader(RecordReader):
    """The records of a file that is one chain of them."""

    #: How the records follow each other; set once the header of the file was read.
    chain: Chain

    @abstractmethod
    def _records(self, offsets: Offsets, first_frame: int) -> tuple[Records, str | None]:
        """Read the records at `offsets`. Returns those up to the first whose header cannot be, and what is wrong."""

    def _begins_anew(self) -> bool:
        """Read the header of another file of the format, if one begins at `window.start`; False if none does."""
        return False

    def _blocks(self) -> Iterator[Records]:
        window, chain = self._window, self.chain
        while True:
            offsets = walk(window.buffer, window.start, window.end, chain)
            if len(offsets):
                window.start = chain.record_end(window.buffer, int(offsets[-1])) or window.end
                records, wrong = self._records(offsets, self._frames + 1)
                self._frames += len(records)
                if len(records):
                    if self.tells_positions:
                        bounds = window.file_offset(0) + np.append(offsets, window.start)
                        records.begin, records.end = bounds[: len(records)], bounds[1 : len(records) + 1]
                    yield records
                if wrong is not None:
                    window.start = int(offsets[len(records)])
                    if self._begins_anew():
                        self.about.files += 1
                        chain = self.chain
                        continue
                    self._damaged(window.start, wrong)
                    return
            left = window.end - window.start
            if left >= chain.header_octets and chain.record_end(window.buffer, window.start) is None:
                self._damaged(window.start, chain.complaint(window.buffer, window.start))
                return
            if not window.fill():
                self._cut(window.start, "a record" if left >= chain.header_octets else "a record header")
                return

    def _headers(self, offsets: Offsets, words: int, byte_order: str) -> NDArray[np.uint32]:
        """Return the first `words` 32-bit words of the records at `offsets`, a row for each record."""
        return gathered(self._window.octets, offsets, 4 * words).view(f"{byte_order}u4")
