"""Writes a capture to one file, or to a series of files by size or by time, of which the last are kept.

In: a name, and when to begin a new file. Out: a `CaptureWriter`. Files of a rotation are named as dumpcap names them:
`NAME_00001_20261126071500.pcapng`, with their number and the local time at which they begin. Each is complete in
itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.records import CaptureError, RawFrame, Records, records_of
from handshake_inspect.capture.writing.output import SNAPLEN, CaptureWriter, FileWriter, Rows, Target, numbers_of
from handshake_inspect.capture.writing.pcap import PcapWriter, write_pcap
from handshake_inspect.capture.writing.pcapng import Interface, PcapngWriter

ETHERNET = 1
#: Frames of several interfaces may come out of order; if a time goes back by more than this, the clock was set.
SET_BACK_NS = 10 * 10**9


@dataclass(frozen=True)
class Rotation:
    """When a new file begins, and how many are kept. None: never for that reason; all."""

    #: Before a frame that would make the file larger than this.
    octets_max: int | None = None
    #: Before a frame this long after the first of the file, or one after the clock was set back: then its distance from
    #: the first is unknown.
    seconds: float | None = None
    #: If there are more files, the oldest is removed.
    files_max: int | None = None


def open_writer(
    target: Target,
    interfaces: Sequence[Interface],
    *,
    rotation: Rotation | None = None,
    dropped: Callable[[], int] = lambda: 0,
    snaplen: int = SNAPLEN,
) -> CaptureWriter:
    """Open a writer for frames of these interfaces: pcap if the name ends in .pcap, else pcapng.

    `interfaces` may grow (see `LiveCapture.interfaces`); `dropped` returns how many frames were lost so far; `snaplen`
    octets at most were captured of each frame. Raises CaptureError, one line.
    """
    if rotation is None:
        return file_writer(target, interfaces, dropped, snaplen)
    if not isinstance(target, str | os.PathLike):
        raise CaptureError("a rotation of files needs a name")
    return RotatingWriter(Path(target), interfaces, rotation, dropped, snaplen)


def file_writer(
    target: Target, interfaces: Sequence[Interface], dropped: Callable[[], int], snaplen: int
) -> FileWriter:
    """Open a writer of one file."""
    name = Path(target) if isinstance(target, str | os.PathLike) else None
    if name is None or name.suffix != ".pcap":
        return PcapngWriter(target, interfaces, dropped=dropped, snaplen=snaplen)
    link_types = dict.fromkeys(link_type for _, link_type in interfaces)
    if len(link_types) > 1:
        each = ", ".join(f"{interface} has {link_type}" for interface, link_type in interfaces)
        raise CaptureError(f"{name}: a pcap file has one link type, and {each}; call it {name.with_suffix('.pcapng')}")
    return PcapWriter(target, next(iter(link_types), ETHERNET), snaplen)


def write_frames(target: str, frames: Sequence[RawFrame], interface: Interface) -> int:
    """Write frames, and return how many: pcapng if the name ends in .pcapng, else pcap.

    They need not come from one capture: in pcapng there is an interface of that name for each link type.
    """
    if Path(target).suffix != ".pcapng":
        return write_pcap(target, frames, interface[1])
    name, first = interface
    number = {link_type: n for n, link_type in enumerate(dict.fromkeys([first, *(one.link_type for one in frames)]))}
    with PcapngWriter(target, [(name, link_type) for link_type in number]) as writer:
        writer.write(records_of(replace(one, interface=number[one.link_type]) for one in frames))
    return writer.count


class RotatingWriter(CaptureWriter):
    """Writes a series of files."""

    def __init__(
        self,
        target: Path,
        interfaces: Sequence[Interface],
        rotation: Rotation,
        dropped: Callable[[], int],
        snaplen: int,
    ) -> None:
        super().__init__()
        self._target = target
        self._interfaces = interfaces
        self._rotation = rotation
        self._dropped = dropped
        self._snaplen = snaplen
        #: Drops already written to earlier files.
        self._told = 0
        #: Number of files begun.
        self.begun = 0
        #: The first and the latest time in the last file.
        self._first_ns = self._latest_ns = 0
        #: The existing files, oldest first.
        self.paths: list[Path] = []
        #: Number of frames before each of them.
        self._before: list[int] = []
        self._file = self._begin(datetime.now())

    def write(self, records: Records, rows: Rows | None = None) -> None:
        """Add the frames of a block, or those in `rows`, to as many files as needed."""
        left, start = numbers_of(records, rows), 0
        while (fitting := self._fitting(records, left)) < len(left):
            until = int(left[fitting])
            self._file.write(part_of(records, slice(start, until)), left[:fitting] - start)
            self.count += fitting
            self._file.close()
            self._file = self._begin(datetime.fromtimestamp(int(records.time_ns[until]) / 1e9))
            self._remove_oldest()
            left, start = left[fitting:], until
        self._file.write(part_of(records, slice(start, None)), left - start)
        self.count += len(left)

    def close(self) -> None:
        """Close the last file."""
        self._file.close()

    @property
    def kept(self) -> int:
        """Number of frames in the existing files."""
        return self.count - self._before[0]

    def _fitting(self, records: Records, rows: NDArray[np.intp]) -> int:
        """Return how many of these frames still fit into the file: at least one, if it is empty."""
        if not len(rows):
            return 0
        times_ns, fitting, is_empty = records.time_ns[rows], len(rows), self._file.count == 0
        if is_empty:
            self._first_ns = self._latest_ns = int(times_ns[0])
        if self._rotation.octets_max is not None:
            size = np.cumsum(records.captured[rows] + self._file.OTHER_OCTETS)
            room = self._rotation.octets_max - self._file.octets - self._file.closing_octets
            fitting = int(np.searchsorted(size, room, "right"))
        if self._rotation.seconds is not None:
            latest_ns = np.maximum.accumulate(np.append(self._latest_ns, times_ns))
            is_late = times_ns >= self._first_ns + int(self._rotation.seconds * 1e9)
            is_late |= times_ns < latest_ns[:-1] - SET_BACK_NS
            fitting = min(fitting, int(np.argmax(is_late)) if is_late.any() else len(rows))
            self._latest_ns = int(latest_ns[fitting])
        return max(fitting, 1) if is_empty else fitting

    def _begin(self, begins: datetime) -> FileWriter:
        """Open the next file."""
        self.begun += 1
        name = f"{self._target.stem}_{self.begun:05d}_{begins:%Y%m%d%H%M%S}{self._target.suffix}"
        path = self._target.with_name(name)
        writer = file_writer(path, self._interfaces, self._dropped_since, self._snaplen)
        self.paths.append(path)
        self._before.append(self.count)
        return writer

    def _remove_oldest(self) -> None:
        """Remove the oldest files until only `files_max` remain."""
        while self._rotation.files_max is not None and len(self.paths) > self._rotation.files_max:
            oldest = self.paths.pop(0)
            del self._before[0]
            try:
                oldest.unlink(missing_ok=True)
            except OSError as error:
                raise CaptureError(f"{oldest}: cannot be removed: {error.strerror or error}") from None

    def _dropped_since(self) -> int:
        """Return the frames lost since the last call."""
        before, self._told = self._told, self._dropped()
        return self._told - before


def part_of(records: Records, part: slice) -> Records:
    """Return consecutive rows of a block."""
    columns = {
        each.name: column[part]
        for each in fields(records)
        if each.name != "buffer" and (column := getattr(records, each.name)) is not None
    }
    return replace(records, **columns)
