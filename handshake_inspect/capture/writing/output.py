"""What the writers of all formats have in common: a file that always ends with a whole piece, and frames laid out.

In: octets that belong together. Out: a file of which everything that was put is there, without any buffer of ours in
between: whoever reads it at any moment, or after this process was killed, finds whole pieces.
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
#: Octets of a frame that a file says it has at most, unless frames were cut to fewer. tcpdump's largest.
SNAPLEN = 262144
#: Rows of `Records`: a mask, or their numbers.
Rows = NDArray[np.bool_] | NDArray[np.intp]


class Output:
    """A file, opened anew by its path, or an open file object, which stays open."""

    def __init__(self, target: Target) -> None:
        self._owned = isinstance(target, str | os.PathLike)
        self.name = os.fspath(cast(str, target)) if self._owned else str(getattr(target, "name", "(file object)"))
        #: How much was put.
        self.octets = 0
        #: It is closed, or could not be written once: nothing more will be.
        self.is_over = False
        try:
            self._file = Path(cast(str, target)).open("wb", buffering=0) if self._owned else cast(Any, target)  # noqa: SIM115
        except OSError as error:
            raise self._refusal(error) from None

    def put(self, piece: bytes | NDArray[np.uint8]) -> None:
        """Write a piece whole. CaptureError where that cannot be: then it is not in the file at all."""
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
                with contextlib.suppress(OSError):  # a pipe or a device cannot be cut
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
    """Write a text file whole, in UTF-8. Raises CaptureError where that cannot be."""
    with contextlib.closing(Output(target)) as output:
        output.put(text.encode())


class CaptureWriter(ABC):
    """Writes frames of blocks of records; what is written is a whole capture at any time.

    Every method raises CaptureError, one line, where the file cannot be written. Use it as a context manager, or call
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
        """Write what belongs at the end, and close the file if it was opened here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileWriter(CaptureWriter):
    """Writes one file of some format."""

    #: Octets that every frame costs beside its own, at most.
    OTHER_OCTETS: int

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._output = Output(target)

    @property
    def octets(self) -> int:
        """How large the file is."""
        return self._output.octets

    @property
    def closing_octets(self) -> int:
        """What it gets beside frames before it is closed, at most."""
        return 0


def numbers_of(records: Records, rows: Rows | None) -> NDArray[np.intp]:
    """Return the numbers of the chosen rows."""
    if rows is None:
        return np.arange(len(records))
    return np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.intp)


def laid_out(
    records: Records, rows: NDArray[np.intp], before: NDArray[np.uint32], behind: NDArray[np.uint32], *, padding: int
) -> NDArray[np.uint8]:
    """Return frames, one at least, each between its words `before` and `behind` (one row per frame).

    `padding`: 3 pads frames to multiples of four octets, 0 does not. Costs 0.3 µs a frame.
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
