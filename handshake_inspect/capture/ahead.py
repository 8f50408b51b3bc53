"""Octets fetched by a thread before they are asked for, so that a file is decompressed while it is decoded.

In: a `Source` that is whole: who reads ahead of a live one would hold octets back. Out: a `Source` of the same octets
and the same errors, in the same places. zlib and its like work without the lock of the interpreter.
"""

from __future__ import annotations

import queue
import threading

from handshake_inspect.capture.source import Source

#: Octets that are fetched at once, and pieces of them that wait, at most.
PIECE_OCTETS, MOST_PIECES = 1 << 20, 2
#: What ends sooner needs no thread.
FEW_OCTETS = 1 << 20

#: Octets, and how many were read of the file with them; or what broke.
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
        #: What was fetched and not asked for yet, and what comes then, if nothing else does.
        self._piece = memoryview(b"")
        self._over: BaseException | None = None
        self._has_ended = False

    def readinto(self, view: memoryview) -> int:
        """Put as many octets into `view` as it holds, or as there are. Raises OSError where they end with an error."""
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
        """Wait for octets, if none are there; False where they end."""
        while not self._piece and not self._has_ended:
            fetched = self._pieces.get()
            if isinstance(fetched, BaseException):
                self._over, self._has_ended = fetched, True
            else:
                self._piece, self.octets_read = fetched
                self._has_ended = not self._piece
        return bool(self._piece)

    def _fetch(self) -> None:
        """Fetch piece after piece up to an empty one, in the thread."""
        try:
            while not self._is_closed:
                piece = memoryview(bytearray(PIECE_OCTETS))
                count = self._source.readinto(piece)
                self._pieces.put((piece[:count], self._source.octets_read))
                if not count:
                    return
        except BaseException as error:  # whatever it is, whoever asks for octets is told
            self._pieces.put(error)

    def close(self) -> None:
        """End the thread, and close what is read."""
        self._is_closed = True
        while self._thread is not None and self._thread.is_alive():
            try:  # it may wait for room
                self._pieces.get(timeout=0.01)
            except queue.Empty:
                continue
        self._source.close()
