"""An index -> a connection with its segments, and the overview of its run.

In: an index that `making` made of a capture, and the capture. Out: one of its connections, as in an inspection of the
capture. Any error in an index raises `UselessIndex`; then the capture is read instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect import __version__
from handshake_inspect.archive import MOST_NUMBERS, Archive, ArchiveError
from handshake_inspect.arrays import Rows
from handshake_inspect.capture.compressed import MAGIC_OCTETS, compression_of
from handshake_inspect.capture.merge import lanes_of
from handshake_inspect.capture.positions import LocatedCapture
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.analysis import Analysis
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.deciding.found import Coded, FindingRows, Survey
from handshake_inspect.connections.model import Connections
from handshake_inspect.findings.catalogue import BY_CODE, examiner, in_order
from handshake_inspect.indexed.identity import Identity, identity_of
from handshake_inspect.indexed.making import CHUNK_KEYS
from handshake_inspect.indexed.typed import from_json
from handshake_inspect.overview import Overview, with_comments
from handshake_inspect.pairs import KEY, KeyTable
from handshake_inspect.places import Places
from handshake_inspect.table import IcmpErrorTable, Names
from handshake_inspect.tcp.time_wait import profile_of

#: Allowed formats of numbers (`found.say`): an arbitrary format could produce a text of any length.
SAID = re.compile(r"|,|d|duration|octets|end|count [A-Za-z -]{1,40}")

#: Allowance of numbers in an index, independent of the size of its capture.
FEW = 1 << 10


class UselessIndex(Exception):  # noqa: N818 - nothing went wrong: the capture is read instead
    """An index cannot be used. The message says why, as the rest of a line that begins with its name."""


@dataclass(frozen=True)
class _About:
    """The JSON part of an index."""

    version: str
    profile: str
    identity: Identity
    overview: Overview
    doubled_captures: list[int]
    found: list[_FoundAbout]


@dataclass(frozen=True)
class _FoundAbout:
    """The parts of a finding over the run that are not columns of numbers."""

    code: str
    text: str
    #: Count of columns of frames, and the names of the columns of values.
    frames: int
    values: list[str]


class Index:
    """The index of one capture."""

    def __init__(self, archive: Archive, path: str, name: str, profile: str) -> None:
        """Open it for the capture at `path`, called `name` in messages. Raises UselessIndex, and OSError."""
        self._archive = archive
        identity = identity_of(path)
        with _damage_named():
            text = archive.read_text()
            if text.get("version") != __version__:
                raise UselessIndex("another version of this program made it")
            self._about = about = from_json(_About, text)
            if about.identity != identity:
                raise UselessIndex("the capture has changed since")
            if about.profile != profile:
                raise UselessIndex(f"it was made with --profile {about.profile}")
            archive.most_numbers = _most_numbers(path, about.identity.octets)
            self._conversations = np.cumsum(archive.read("conversations"), dtype=np.int64)
            self._places = Places.kept(archive, [(path, name)])
            if len(about.overview.captures) != 1 or about.overview.connections != len(self._conversations):
                raise ValueError("it does not count what it has")
        self._profile = profile_of(profile)
        self.overview = _renamed(about.overview, name)

    @property
    def name(self) -> str:
        """Name of the index file."""
        return self._archive.name

    def close(self) -> None:
        """Close its file."""
        self._archive.close()

    @property
    def located(self) -> dict[str, LocatedCapture]:
        """The capture by its name, with the offsets of its records."""
        return {one.name: one for one in self._places.captures.values()}

    def described(self, stream: int) -> tuple[Connection, tuple[Step, ...]]:
        """Return a connection and all of its segments. Raises UselessIndex."""
        with _damage_named():
            conversation = self._conversations[[stream]]
            streams = np.flatnonzero(self._conversations == conversation)
            decided = self._decided(conversation)
            connections = self._connections(decided, streams)
            row = connections.row_of(stream)
            steps = decided.steps(row, connections.captures)
            connection = next(connections.of_rows(np.array([row])))
            if any(one.about.frame_comments for one in self.overview.captures):
                steps = with_comments(steps, connection.capture, self.overview.captures)
            return connection, steps

    def _decided(self, conversation: Rows) -> DecidedPart:
        """Decide everything about one conversation, with the same result as among all of them."""
        keys, names = self._keys(int(conversation[0])), Names().for_steps()
        try:
            segments = self._places.read(conversation, keys, names)
        except CaptureError:  # if the capture itself cannot be read, reading it instead will report that
            raise UselessIndex("where it has this connection nothing can be read") from None
        if segments is None:
            raise UselessIndex("the frames of this connection alone do not tell all of it")
        analysis = Analysis(names, fold=False, only=keys)
        analysis.gathering.trusted = frozenset(self._about.doubled_captures)
        analysis.add(segments, self._errors())
        decided = analysis.described(analysis.gathering.conversations.number(keys))
        decided.verdicts.found = examiner(self.overview.captures, lanes_of(self.overview.captures))(decided)
        return decided

    def _connections(self, decided: DecidedPart, streams: Rows) -> Connections:
        """Make connections from the verdicts; `streams` are their numbers."""
        captures = [one.name for one in self.overview.captures]
        connections = Connections(decided.verdicts, decided.keys, decided.names, captures, self._profile)
        if len(connections) != len(streams):
            raise ValueError("these are other connections")
        numbers = np.empty(len(streams), np.int64)
        numbers[connections.order] = streams
        found = in_order([*decided.verdicts.found, *self._found_over_run(numbers)])
        return replace(
            connections, numbers=numbers, look_over=lambda _: Survey(lambda: found, lambda: [*self.overview.findings])
        )

    def _keys(self, conversation: int) -> KeyTable:
        chunk, row = divmod(conversation, CHUNK_KEYS)
        columns = {name: np.cumsum(self._archive.read(f"keys/{chunk}/{name}"), dtype=np.int64) for name in KEY}
        return KeyTable({name: column[[row]].view(np.uint64) for name, column in columns.items()})

    def _errors(self) -> IcmpErrorTable:
        columns = {name: self._archive.read(f"errors/{name}").astype(np.int64) for name in IcmpErrorTable.DTYPES}
        return IcmpErrorTable({name: _as(column, IcmpErrorTable.DTYPES[name]) for name, column in columns.items()})

    def _found_over_run(self, numbers: Rows) -> Iterator[Coded]:
        """Yield the findings over the run about the connections with these numbers, by their rows."""
        for place, one in enumerate(self._about.found):
            if any(not SAID.fullmatch(said or "") or name not in (None, *one.values) for name, said in _said(one.text)):
                raise ValueError("a text that says what no rule says")
            stem = f"found/{place}"
            stream = self._archive.read(f"{stem}/stream").astype(np.int64)
            at = np.flatnonzero(np.isin(stream, numbers))
            by_number = np.argsort(numbers)
            rows = by_number[np.searchsorted(numbers[by_number], stream[at])]
            at, rows = at[np.argsort(rows, kind="stable")], np.sort(rows)
            frames = (self._archive.read(f"{stem}/frames/{n}").astype(np.int64)[at] for n in range(one.frames))
            values = {
                name: self._archive.read(f"{stem}/values/{n}").astype(np.int64)[at] for n, name in enumerate(one.values)
            }
            yield BY_CODE[one.code].code, FindingRows(one.text, rows, tuple(frames), values)


def _most_numbers(path: str, octets: int) -> int:
    """Return the greatest count of records in a capture of this size, which bounds every column of an index.

    A record has a header of 16 octets, and compression seldom exceeds a factor of a thousand.
    """
    with Path(path).open("rb") as file:
        compressed = compression_of(file.read(MAGIC_OCTETS)) is not None
    return min(octets * (1000 if compressed else 1) // 16 + FEW, MOST_NUMBERS)


def _as(column: Rows, dtype: DTypeLike) -> NDArray[Any]:
    return column.view(np.uint64) if dtype is np.uint64 else column.astype(dtype)


def _said(text: str) -> Iterator[tuple[str | None, str | None]]:
    """Return the names in a text, each with its format."""
    return ((name, said) for _, name, said, _ in Formatter().parse(text))


def _renamed(overview: Overview, name: str) -> Overview:
    """Rename the capture to the name that the user gave now."""
    (capture,) = overview.captures
    findings = tuple(replace(one, about=name) if one.about == capture.name else one for one in overview.findings)
    damage = [replace(one, capture=name) for one in overview.damage]
    return replace(overview, captures=[replace(capture, name=name)], findings=findings, damage=damage)


@contextmanager
def _damage_named() -> Iterator[None]:
    """Turn any error caused by a damaged index into UselessIndex."""
    try:
        yield
    except (ArchiveError, ArithmeticError, LookupError, MemoryError, OSError, TypeError, ValueError):
        raise UselessIndex("it is damaged") from None
