"""Reads octets ahead in a thread, so that a file is decompressed while it is decoded.

In: a `Source` that is whole: reading ahead on a live one would hold octets back. Out: a `Source` of the same octets
and the same errors, at the same offsets. zlib and similar libraries run without the lock of the interpreter.
"""

from __future__ import annotations

import queue
import threading

from handshake_inspect.capture.source import Source

#: Octets fetched at once, and the greatest number of such pieces that wait.
PIECE_OCTETS, MOST_PIECES = 1 << 20, 2
#: A source that ends before this needs no thread.
FEW_OCTETS = 1 << 20

#: Octets, with the count of octets read from the file so far; or the error that ended the reading.
Piece = tuple[memoryview, int] | BaseException


class AheadSource(Source):
    """Another source, read ahead."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.is_whole = source.is_whole
        self.octets_read = source.octets_read
        self._fetched_here = 0
        self._pieces: queue.Queue[Piece] = queue.Queue(MOST_PIECES)
        self._thread: threading.Thread | None = None
        self._is_closed = False
        #: Fetched octets not delivered yet, and the error to raise after them, if any.
        self._piece = memoryview(b"")
        self._over: BaseException | None = None
        self._has_ended = False

    def readinto(self, view: memoryview) -> int:
        """Fill `view` as far as octets are left; return how many. Raises OSError where they end with an error."""
        if self._thread is None and self._fetched_here < FEW_OCTETS:
            count = self._source.readinto(view)
            self._fetched_here += count
            self.octets_read = self._source.octets_read
            return count
        if self._thread is None:
            self._thread = threading.Thread(target=self._fetch, name="handshake-inspect ahead", daemon=True)
            self._thread.start()
        filled = 0
        while filled < len(view) and self._has_some():
            taken, self._piece = self._piece[: len(view) - filled], self._piece[len(view) - filled :]
            view[filled : filled + len(taken)] = taken
            filled += len(taken)
        if not filled and self._over is not None:
            raise self._over
        return filled

    def _has_some(self) -> bool:
        """Wait until octets are available; False at the end."""
        while not self._piece and not self._has_ended:
            fetched = self._pieces.get()
            if isinstance(fetched, BaseException):
                self._over, self._has_ended = fetched, True
            else:
                self._piece, self.octets_read = fetched
                self._has_ended = not self._piece
        return bool(self._piece)

    def _fetch(self) -> None:
        """Fetch piece after piece until an empty one, in the thread."""
        try:
            while not self._is_closed:
                piece = memoryview(bytearray(PIECE_OCTETS))
                count = self._source.readinto(piece)
                self._pieces.put((piece[:count], self._source.octets_read))
                if not count:
                    return
        except BaseException as error:  # any error is passed on to the reader
            self._pieces.put(error)

    def close(self) -> None:
        """End the thread, and close the source."""
        self._is_closed = True
        while self._thread is not None and self._thread.is_alive():
            try:  # the thread may wait for room in the queue
                self._pieces.get(timeout=0.01)
            except queue.Empty:
                continue
        self._source.close()
