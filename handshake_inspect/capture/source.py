"""Octets as they arrive, and the window of them that is in memory; the base class of readers of capture files.

In: an open file or pipe. Out: a `Window` on its octets, and `RecordReader`, the base of the readers of all formats. A
source returns what one read returns, so a live pipe causes no delay, and never needs to seek.
"""

from __future__ import annotations

import io
import os
import select
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.about import About
from handshake_inspect.capture.records import SLACK_OCTETS, Damage, Records

T_co = TypeVar("T_co", covariant=True)

#: Most octets of the first block: enough for the first time of a capture, and a small capture needs no large buffer.
FIRST_OCTETS = 1 << 16
#: Greatest length of a record in any format; a longer one is damage (USB and D-Bus captures may reach it).
LONGEST_RECORD_OCTETS = 1 << 27


class Source(ABC):
    """A stream of octets."""

    #: Is all of it available, so that reading ahead causes no delay?
    is_whole: bool = False
    #: Count of octets read from the file or pipe itself, compressed or not.
    octets_read: int = 0

    @abstractmethod
    def readinto(self, view: memoryview) -> int:
        """Wait for some octets and store them in `view`, which is not empty; return how many, 0 at the end.

        Raises OSError where they cannot be read further.
        """

    def pass_over(self, octets: int) -> bool:
        """Skip so many octets, if that is possible without reading them; else return False."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Close the file, if it was opened here."""


class FileSource(Source):
    """A file, a pipe or a file object."""

    def __init__(self, file: BinaryIO, *, owned: bool) -> None:
        self._file = cast(Any, file)
        self._owned = owned
        self._descriptor = _descriptor(file)
        self._raw = isinstance(file, io.RawIOBase)
        self.is_whole = isinstance(file, io.BytesIO) or _is_regular(self._descriptor)

    def readinto(self, view: memoryview) -> int:
        """Wait for some octets, then add those that are ready, at most as many as `view` holds."""
        filled = self._read_once(view)
        while 0 < filled < len(view) and self._is_ready():
            more = self._read_once(view[filled:])
            if not more:
                break
            filled += more
        self.octets_read += filled
        return filled

    def _read_once(self, view: memoryview) -> int:
        if self._raw:
            return int(self._file.readinto(view) or 0)
        if hasattr(self._file, "readinto1"):
            return int(self._file.readinto1(view) or 0)
        octets = self._file.read(len(view))
        view[: len(octets)] = octets
        return len(octets)

    def pass_over(self, octets: int) -> bool:
        """Seek in a file that was opened here; beyond its end reads return nothing."""
        if not (self.is_whole and self._raw):
            return False
        self._file.seek(octets, os.SEEK_CUR)
        self.octets_read += octets
        return True

    def _is_ready(self) -> bool:
        """Would a read return at once? False where the system cannot tell."""
        if self._descriptor is None:
            return False
        try:
            return bool(select.select([self._descriptor], [], [], 0)[0])
        except (OSError, ValueError):  # Windows selects sockets only; elsewhere a descriptor above FD_SETSIZE
            self._descriptor = None
            return False

    def close(self) -> None:
        """Close the file if it was opened here."""
        if self._owned:
            self._file.close()


def _is_regular(descriptor: int | None) -> bool:
    return descriptor is not None and stat.S_ISREG(os.fstat(descriptor).st_mode)


def _descriptor(file: BinaryIO) -> int | None:
    """Return the descriptor for select(2); None if there is none."""
    try:
        return file.fileno()
    except (OSError, AttributeError, io.UnsupportedOperation):
        return None


class Window:
    """The part of a source that is in memory: one buffer, reused for every block.

    It grows up to `block_octets` while blocks fill it, and beyond that only for a longer record.
    """

    def __init__(self, source: Source, block_octets: int) -> None:
        self.source = source
        #: The source has no more octets.
        self.ended = False
        #: The error that ended the source; None without one.
        self.error: str | None = None
        #: Begin and end in `buffer` of the octets not consumed yet.
        self.start = self.end = 0
        #: The buffer, and the same as an array; replaced when it must grow.
        self.buffer = bytearray()
        self.octets = np.frombuffer(self.buffer, np.uint8)
        self._skipped = 0
        self._block_octets = max(block_octets, 64)
        self._allocate(min(self._block_octets, FIRST_OCTETS))

    def _allocate(self, size: int) -> None:
        kept = memoryview(self.buffer)[self.start : self.end]
        buffer = bytearray(size + SLACK_OCTETS)
        memoryview(buffer)[: len(kept)] = kept  # assigning to the bytearray itself would make another copy
        self.buffer, self.octets, self.size = buffer, np.frombuffer(buffer, np.uint8), size

    def fill(self) -> bool:
        """Move the octets not consumed to the front and read more after them; False if no more came."""
        carried = self.end - self.start
        if carried == self.size and not self.ended:
            self._allocate(2 * self.size)
        elif self.end == self.size < self._block_octets and not self.ended:
            self._allocate(min(4 * self.size, self._block_octets))
        elif self.start:
            view = memoryview(self.buffer)
            view[:carried] = view[self.start : self.end]
        self._skipped += self.start
        self.start, self.end = 0, carried
        if not self.ended:
            try:
                came = self.source.readinto(memoryview(self.buffer)[carried : self.size])
            except OSError as error:
                self.error = error.strerror or str(error)
                came = 0
            self.end += came
            self.ended = came == 0
        return not self.ended

    def need(self, count: int) -> bool:
        """Read until `count` octets are in memory; False if the source ends before."""
        while self.end - self.start < count:
            if not self.fill():
                return False
        return True

    def skip(self, count: int) -> None:
        """Skip the next octets; those not in memory are read only if the source cannot skip them."""
        while count > 0:
            here = min(count, self.end - self.start)
            self.start += here
            count -= here
            if count and not self.ended and self.source.pass_over(count):
                self._skipped += count
                return
            if count and not self.fill():
                return

    def peek(self, count: int) -> bytes:
        """Return the next octets in memory, at most `count`."""
        return bytes(self.buffer[self.start : min(self.start + count, self.end)])

    def file_offset(self, index: int) -> int:
        """Return the offset in the (uncompressed) source of the octet at `index` of the buffer."""
        return self._skipped + index


def gathered(octets: NDArray[np.uint8], begin: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """Return `width` octets from each offset, one row each, as a new array.

    One item of `width` octets takes 3-4 ns to copy, a row of octets twice as much.
    """
    every: NDArray[np.void] = np.ndarray((len(octets) - width + 1,), f"V{width}", octets, 0, (1,))
    return every[begin].view(np.uint8).reshape(-1, width)


class Reader(Protocol[T_co]):
    """An open capture: `RecordReader`, its counterpart through Scapy, or `ForkedReader`, whose blocks are decoded."""

    #: Name in messages, and format.
    name: str
    format: str
    #: Final when iteration has ended.
    damage: list[Damage]
    dropped: int | None
    #: Its metadata.
    about: About
    #: Begin and end of the headers that are needed to read its records.
    headers: list[tuple[int, int]]

    @property
    def octets_read(self) -> int:
        """Count of octets read from the file or pipe, compressed or not; 0 if unknown."""

    def __iter__(self) -> Iterator[T_co]: ...

    def close(self) -> None:
        """Close the capture."""


class RecordReader(ABC):
    """The records of one capture, iterated once. Damage ends the iteration without an exception."""

    #: "pcap", "pcapng" or "snoop".
    format: str = ""

    def __init__(self, name: str, window: Window) -> None:
        self.name = name
        self.damage: list[Damage] = []
        #: Count of frames lost, as the capturing side reports it; None if it does not. Final when iteration has ended.
        self.dropped: int | None = None
        #: Metadata of the file; filled while it is read.
        self.about = About()
        #: Begin and end in the (uncompressed) file of the headers that are needed to read its records. Final when
        #: iteration has ended.
        self.headers: list[tuple[int, int]] = []
        #: Are the positions of the records in the file needed?
        self.tells_positions = True
        self._window = window
        self._frames = 0

    def __iter__(self) -> Iterator[Records]:
        try:
            yield from self._blocks()
        finally:
            self.close()

    @abstractmethod
    def _blocks(self) -> Iterator[Records]:
        """Yield the records of each block that arrives."""

    def _note_header(self, index: int, octets: int) -> None:
        """Record a header at `index` of the buffer."""
        begin = self._window.file_offset(index)
        self.headers.append((begin, begin + octets))

    @property
    def octets_read(self) -> int:
        """Count of octets read from the file or pipe, compressed or not."""
        return self._window.source.octets_read

    def _damaged(self, index: int, message: str) -> None:
        """Report that the record at `index` of the buffer is broken."""
        offset = self._window.file_offset(index)
        self.damage.append(Damage(self.name, offset, self._frames, message))

    def _cut(self, index: int, what: str) -> None:
        """Report that the capture ends inside the record at `index`, or could not be read further."""
        window = self._window
        if window.error:
            self._damaged(index, f"cannot be read further: {window.error}")
        elif window.end > index:
            self._damaged(index, f"the capture ends inside {what} ({window.end - index} octets of it are there)")

    def close(self) -> None:
        """Close the file, if `open_capture` opened it."""
        self._window.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
