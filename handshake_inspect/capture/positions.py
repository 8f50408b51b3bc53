"""The offset of each record in its file, stored while it is read, so that some can be read again without the rest.

In: the blocks of records of one capture, as a reader yields them. Out: `LocatedCapture`, the capture by its path, which
can be opened for chosen frames only. The length of each record is stored in an `Archive`: most captures have few
distinct lengths, so this takes a fraction of an octet for each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.archive import Archive, ArchiveError
from handshake_inspect.capture.files import open_excerpt
from handshake_inspect.capture.records import CaptureError, Frames, Records
from handshake_inspect.capture.source import LONGEST_RECORD_OCTETS, RecordReader
from handshake_inspect.plain import plain
from handshake_inspect.sets import set_of

Offsets = NDArray[np.int64]

#: Records whose offsets are stored together.
CHUNK_RECORDS = 1 << 18
#: The first records of a file, from which a reader may infer properties of all (`pcap`, `snoop`).
FIRST_FRAMES = 3


class Positions:
    """The offsets of the records of one capture."""

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive, self._name = archive, name
        self._fresh: list[Offsets] = []
        self._count = 0
        #: First frame of each chunk, and its offset.
        self._chunks: list[tuple[int, int]] = []
        #: Begin and end of the headers that are needed to read any record. Set at the end.
        self.headers: list[tuple[int, int]] = []

    @classmethod
    def kept(cls, archive: Archive, name: str) -> Positions:
        """Load what `keep` stored."""
        kept = cls(archive, name)
        kept._chunks = [(int(a), int(b)) for a, b in archive.read(f"{name}/chunks").reshape(-1, 2)]
        kept.headers = [(int(a), int(b)) for a, b in archive.read(f"{name}/headers").reshape(-1, 2)]
        return kept

    def keep(self) -> None:
        """Store what is still in memory, at the end of the capture."""
        self._put_away()
        self._archive.write(f"{self._name}/chunks", np.array(self._chunks, np.int64).reshape(-1))
        self._archive.write(f"{self._name}/headers", np.array(self.headers, np.int64).reshape(-1))

    def add(self, records: Frames) -> None:
        """Add the offsets of a block of records."""
        assert records.begin is not None and records.end is not None
        self._fresh.append(np.stack([records.begin, records.end]))
        self._count += len(records)
        if sum(part.shape[1] for part in self._fresh) >= CHUNK_RECORDS:
            self._put_away()

    def _put_away(self) -> None:
        if not self._fresh:
            return
        begin, end = np.concatenate(self._fresh, axis=1)
        self._fresh = []
        number = len(self._chunks)
        self._chunks.append((self._count - len(begin) + 1, int(begin[0])))
        self._archive.write(f"{self._name}/{number}/octets", end - begin)
        self._archive.write(f"{self._name}/{number}/between", begin[1:] - end[:-1])

    def spans(self, frames: Offsets) -> tuple[Offsets, Offsets]:
        """Return begin and end of the records of these frames, which rise; frames that do not exist are left out."""
        self._put_away()
        found = []
        first = np.array([frame for frame, _ in self._chunks], np.int64)
        at = np.searchsorted(first, frames, "right") - 1
        for number in set_of(at[at >= 0]).tolist():
            octets = self._archive.read(f"{self._name}/{number}/octets").astype(np.int64)
            between = self._archive.read(f"{self._name}/{number}/between").astype(np.int64)
            if octets.min(initial=0) < 0 or octets.max(initial=0) > LONGEST_RECORD_OCTETS or between.min(initial=0) < 0:
                raise ArchiveError("no record is as long as it says")
            begin = self._chunks[number][1] + np.append(0, np.cumsum(octets[:-1] + between))
            rows = frames[at == number] - first[number]
            rows = rows[rows < len(begin)]
            found.append(np.stack([begin[rows], begin[rows] + octets[rows]]))
        begin, end = np.concatenate(found, axis=1) if found else np.zeros((2, 0), np.int64)
        return begin, end


@plain
class LocatedCapture:
    """A capture by its path, with the offsets of its records."""

    path: str
    name: str
    positions: Positions

    def open(self, numbers: Collection[int] | Offsets) -> ExcerptReader:
        """Open it to read only the frames with these numbers. Raises CaptureError."""
        wanted = set_of(np.fromiter(numbers, np.int64, len(numbers)))
        frames = set_of(wanted, np.arange(1, FIRST_FRAMES + 1))
        begin, end = self.positions.spans(frames)
        headers = np.array(self.positions.headers, np.int64).reshape(-1, 2)
        begin, end = np.append(begin, headers[:, 0]), np.append(end, headers[:, 1])
        order = np.argsort(begin, kind="stable")
        if (begin[order][1:] < end[order][:-1]).any() or (end - begin > LONGEST_RECORD_OCTETS).any():
            raise ArchiveError("its records overlap")
        reader = open_excerpt(self.path, begin[order], end[order], name=self.name)
        return ExcerptReader(reader, frames[: len(begin) - len(headers)])


class ExcerptReader:
    """The records of some frames of a capture, iterated once, with their frame numbers in the capture."""

    def __init__(self, reader: RecordReader, frames: Offsets) -> None:
        self._reader, self._frames = reader, frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[Records]:
        for records in self._reader:
            if records.frame[-1] > len(self._frames):
                raise CaptureError(f"{self._reader.name}: it has changed since it was read; read it again")
            records.frame = self._frames[records.frame - 1]
            yield records
