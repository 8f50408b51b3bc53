"""Shared by the writers of all formats: a file that always ends with a whole piece, and the layout of frames.

In: octets that belong together. Out: a file with everything that was put, without any buffer of ours in between: a
reader finds whole pieces at any moment, even after this process was killed.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.records import CaptureError, Records

Target = str | os.PathLike[str] | BinaryIO
#: Snapshot length written to files, unless frames were cut to fewer octets. tcpdump's largest.
SNAPLEN = 262144
#: Rows of `Records`: a mask, or their indices.
Rows = NDArray[np.bool_] | NDArray[np.intp]


class Output:
    """A file, created by its path, or an open file object, which stays open."""

    def __init__(self, target: Target) -> None:
        self._owned = isinstance(target, str | os.PathLike)
        self.name = os.fspath(cast(str, target)) if self._owned else str(getattr(target, "name", "(file object)"))
        #: Octets written so far.
        self.octets = 0
        #: Whether it is closed, or a write failed: nothing more is written then.
        self.is_over = False
        try:
            self._file = Path(cast(str, target)).open("wb", buffering=0) if self._owned else cast(Any, target)  # noqa: SIM115
        except OSError as error:
            raise self._refusal(error) from None

    def put(self, piece: bytes | NDArray[np.uint8]) -> None:
        """Write a whole piece. Raises CaptureError if that fails: then nothing of it is in the file."""
        view = memoryview(piece).cast("B")  # type: ignore[arg-type]
        try:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:]) or 0
            if not self._owned:
                self._file.flush()
        except OSError as error:
            self.is_over = True
            if self._owned:
                with contextlib.suppress(OSError):  # a pipe or a device cannot be truncated
                    self._file.truncate(self.octets)
                if not self.octets:
                    self._file.close()
            raise self._refusal(error) from None
        self.octets += len(view)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        self.is_over = True
        if self._owned:
            try:
                self._file.close()
            except OSError as error:
                raise self._refusal(error) from None

    def _refusal(self, error: OSError) -> CaptureError:
        kept = "; what was saved before can be read" if self.octets else ""
        return CaptureError(f"{self.name}: cannot be written: {error.strerror or error}{kept}")


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write a text file as a whole, in UTF-8. Raises CaptureError if that fails."""
    with contextlib.closing(Output(target)) as output:
        output.put(text.encode())


class CaptureWriter(ABC):
    """Writes frames of blocks of records; the file is a complete capture at any time.

    Every method raises CaptureError, of one line, if the file cannot be written. Use it as a context manager, or call
    `close()`.
    """

    def __init__(self) -> None:
        #: Frames written so far.
        self.count = 0

    @abstractmethod
    def write(self, records: Records, rows: Rows | None = None) -> None:
        """Add the frames of a block, or those in `rows`."""

    @abstractmethod
    def close(self) -> None:
        """Write the end of the file, and close it if it was opened here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileWriter(CaptureWriter):
    """Writes one file of some format."""

    #: Most octets that a frame takes in the file beside its own.
    OTHER_OCTETS: int

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._output = Output(target)

    @property
    def octets(self) -> int:
        """Size of the file."""
        return self._output.octets

    @property
    def closing_octets(self) -> int:
        """Most octets, other than frames, that are written before it is closed."""
        return 0


def numbers_of(records: Records, rows: Rows | None) -> NDArray[np.intp]:
    """Return the indices of the chosen rows."""
    if rows is None:
        return np.arange(len(records))
    return np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.intp)


def laid_out(
    records: Records, rows: NDArray[np.intp], before: NDArray[np.uint32], behind: NDArray[np.uint32], *, padding: int
) -> NDArray[np.uint8]:
    """Return frames, at least one, each between its words `before` and `behind` (one row per frame).

    `padding`: 3 pads frames to multiples of four octets, 0 does not. Takes 0.3 µs per frame.
    """
    captured = records.captured[rows]
    head, tail = (words.astype("<u4").view(np.uint8).reshape(len(rows), -1) for words in (before, behind))
    size = head.shape[1] + (captured + padding & ~padding) + tail.shape[1]
    end = np.cumsum(size)
    out = np.zeros(int(end[-1]), np.uint8)
    begin = end - size
    out[begin[:, None] + np.arange(head.shape[1])] = head
    out[(end - tail.shape[1])[:, None] + np.arange(tail.shape[1])] = tail
    into, octets = memoryview(out), memoryview(records.buffer)  # type: ignore[arg-type]
    places = zip((begin + head.shape[1]).tolist(), records.offset[rows].tolist(), captured.tolist(), strict=True)
    for place, offset, length in places:
        into[place : place + length] = octets[offset : offset + length]
    return out
