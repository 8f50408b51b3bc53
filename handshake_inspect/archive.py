"""Named arrays of numbers, and one text, in a zip file: on disk for another run, or in memory for this one.

Numbers are kept in as few octets as they need and compressed lightly, so what hardly changes from one to the next takes
hardly any room. Each array is a member in NumPy's own format, so `numpy.load` reads the file too. Nothing in it is ever
executed: an archive that others made can be wrong, and then reading raises `ArchiveError`, but does no harm.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

#: Octets that are kept in memory; what is more goes to a temporary file.
MOST_IN_MEMORY = 1 << 26
#: Octets of the text, decompressed, at most.
LONGEST_TEXT_OCTETS = 1 << 26
#: Numbers of one array, at most, unless who reads knows better how many there can be.
MOST_NUMBERS = 1 << 26
#: Types of numbers, the shortest first.
FITTING = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.uint64)
#: The member that holds the text.
TEXT = "about.json"
#: The quickest, and nearly as small as the best for what stands here.
LEVEL = 1


class ArchiveError(Exception):
    """A file is no such archive, or is damaged; or there is no room to write."""


class Archive:
    """An archive that is written, and can be read at any time; or, opened by its path, read only.

    Several threads may use it.
    """

    def __init__(self, file: IO[bytes] | None = None, *, written: bool = True) -> None:
        """Begin an archive in `file`; without one in memory, and beyond MOST_IN_MEMORY in a temporary file."""
        #: Numbers of one array, at most: more are damage.
        self.most_numbers = MOST_NUMBERS
        self._lock = threading.Lock()  # a zip file has one place to write at
        self._file = file or tempfile.SpooledTemporaryFile(MOST_IN_MEMORY)  # noqa: SIM115 - closed with the archive
        with _damage_named():
            self._zip = zipfile.ZipFile(
                self._file, "w" if written else "r", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=LEVEL
            )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Archive:
        """Open an archive for reading. Raises ArchiveError, and OSError as `open` does."""
        file = open(path, "rb")  # noqa: PTH123, SIM115 - closed with the archive
        try:
            return cls(file, written=False)
        except BaseException:
            file.close()
            raise

    @property
    def name(self) -> str:
        """The path of its file; "" of one that has none."""
        return str(getattr(self._file, "name", None) or "")

    def write(self, name: str, values: NDArray[np.integer[Any]]) -> None:
        """Put numbers away, in as few octets each as they all fit in; what is read has another type then.

        Raises ArchiveError where there is no room.
        """
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        fitting = next(kind for kind in FITTING if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
        try:
            with self._lock, self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values.astype(fitting), allow_pickle=False)
        except OSError as error:
            raise ArchiveError(error.strerror or str(error)) from None

    def read(self, name: str) -> NDArray[np.integer[Any]]:
        """Return numbers that were written. Raises ArchiveError."""
        with _damage_named(), self._lock, self._zip.open(f"{name}.npy") as member:
            octets = self._zip.getinfo(f"{name}.npy").file_size
            version = np.lib.format.read_magic(member)
            if version != (1, 0):
                raise ValueError("another version")
            shape, _, kind = np.lib.format.read_array_header_1_0(member)
            if kind.kind not in "iu" or len(shape) != 1 or not 0 <= shape[0] * kind.itemsize <= octets:
                raise ValueError("no numbers")
            if shape[0] > self.most_numbers:
                raise ValueError("too many")
            found = np.frombuffer(member.read(shape[0] * kind.itemsize), kind)
            if member.read(1):  # to its end: only there its checksum is compared
                raise ValueError("more than it says")
            return found

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self._zip.NameToInfo

    def write_text(self, text: dict[str, Any]) -> None:
        """Write a JSON object."""
        self._zip.writestr(TEXT, json.dumps(text))

    def read_text(self) -> dict[str, Any]:
        """Return the JSON object. Raises ArchiveError."""
        with _damage_named():
            if self._zip.getinfo(TEXT).file_size > LONGEST_TEXT_OCTETS:
                raise ValueError("too long")
            found = json.loads(self._zip.read(TEXT))
            if not isinstance(found, dict):
                raise TypeError("no object")
            return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the archive, and close its file."""
        self._zip.close()
        self._file.close()


@contextmanager
def _damage_named() -> Iterator[None]:
    """Turn the errors of zipfile, zlib, json and numpy about damage into ArchiveError."""
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, struct.error, KeyError, ValueError, TypeError, EOFError, OverflowError,
        NotImplementedError, RuntimeError, RecursionError, MemoryError, SyntaxError, IndexError,
    ) as error:  # fmt: skip
        raise ArchiveError(str(error) or type(error).__name__) from None
