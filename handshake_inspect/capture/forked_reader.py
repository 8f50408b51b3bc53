"""Reads and decodes a capture in a forked process, while this process works on its contents.

In: a function that opens it, and a decoder. Out: its decoded blocks, each with its `Frames`. The octets stay in the
fork; of the names that the fork numbers, only new ones are sent, and numbered again here.
"""

from __future__ import annotations

import contextlib
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import field, fields
from itertools import islice
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Column
from handshake_inspect.capture.about import About
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.records import Damage, Frames, Records
from handshake_inspect.capture.source import Reader
from handshake_inspect.forks import ForkAhead, ForkDied
from handshake_inspect.plain import mutable
from handshake_inspect.renumbering import Renumbering, numbered
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, Names, SegmentTable, Table

T = TypeVar("T", bound=Table)

#: Opens a capture. A process and its fork cannot read the same open file: they would share one file position.
Reopen = Callable[[], Reader[Records]]

#: Most blocks that the fork is ahead: what it decodes in half the time in which the engine is imported here; each takes
#: 1.5 MB of the memory of the run.
BLOCKS_AHEAD = 8

KINDS = [one.name for one in fields(Names)]


@mutable
class _CaptureFacts:
    """What a reader and its decoder know so far about the capture as a whole."""

    damage: list[Damage] = field(default_factory=list)
    dropped: int | None = None
    about: About = field(default_factory=About)
    headers: list[tuple[int, int]] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, reader: Reader[Records], decoder: Decoder) -> Self:
        """Collect these facts."""
        return cls(reader.damage, reader.dropped, reader.about, reader.headers, decoder.unread())


@mutable
class _SentFrames:
    """Frames as the fork sends them: what numbers say about all of them is not sent for each."""

    rows: int
    time_ns: Column
    first_frame: int
    link_type: Column | int
    interface: Column | None
    #: Begin and end of each record; if each ends where the next one begins, only the end of the last.
    begin: Column | None
    end: Column | None
    last_end: int | None

    @classmethod
    def of(cls, frames: Frames) -> Self:
        """Drop what can be computed: frames are numbered without gaps."""
        begin, end = frames.begin, frames.end
        last_end: int | None = None
        if begin is not None and end is not None and np.array_equal(begin[1:], end[:-1]):
            last_end = int(end[-1])
            end = None
        return cls(
            rows=len(frames),
            time_ns=frames.time_ns,
            first_frame=int(frames.frame[0]),
            link_type=_only_value(frames.link_type),
            interface=frames.interface,
            begin=begin,
            end=end,
            last_end=last_end,
        )

    def frames(self) -> Frames:
        """Return them."""
        end = self.end
        if self.begin is not None and self.last_end is not None:
            end = np.append(self.begin[1:], self.last_end)
        return Frames(
            time_ns=self.time_ns,
            frame=np.arange(self.first_frame, self.first_frame + self.rows),
            link_type=_column(self.link_type, self.rows, np.uint16),
            interface=self.interface,
            begin=self.begin,
            end=end,
        )


@mutable
class _SentColumns(Generic[T]):
    """A table as the fork sends it: of columns with equal values, that value."""

    kind: type[T]
    rows: int
    columns: dict[str, Column | int]

    @classmethod
    def of(cls, table: T, frames: Frames) -> Self:
        """Drop also what is in the frames, if each has one row, in their order."""
        if not len(table):
            return cls(type(table), 0, {})
        columns = dict(table.columns)
        if len(table) == len(frames) and np.array_equal(table["frame"], frames.frame):
            del columns["frame"], columns["time_ns"]
        return cls(type(table), len(table), {name: _only_value(one) for name, one in columns.items()})

    def table(self, frames: Frames, of_run: Renumbering | None) -> T:
        """Return the table, with name numbers of the run."""
        if not self.rows:
            return self.kind.empty()
        columns = {"frame": frames.frame, "time_ns": frames.time_ns} | self.columns
        table = self.kind.holding(
            {name: _column(columns[name], self.rows, dtype) for name, dtype in self.kind.DTYPES.items()}
        )
        return table if of_run is None else of_run.of(table)


def _only_value(column: Column) -> Column | int:
    """Return the value of a column whose values are equal, else the column."""
    first = column[0]
    return int(first) if column[-1] == first and (column == first).all() else column


def _column(sent: Column | int, rows: int, dtype: DTypeLike) -> Column:
    """Return the column that `_only_value` was given."""
    return np.full(rows, sent, dtype) if isinstance(sent, int) else sent


@mutable
class _SentBlock:
    """A block as the fork sends it."""

    frames: _SentFrames
    segments: _SentColumns[SegmentTable]
    datagrams: _SentColumns[DatagramTable]
    icmp_errors: _SentColumns[IcmpErrorTable]
    unread: Counter[str]
    octets_read: int
    #: New names of each kind that it uses.
    names: dict[str, list[Any]]

    @classmethod
    def of(cls, records: Records, block: Block, octets_read: int, names: dict[str, list[Any]]) -> Self:
        """Make it of a decoded block, without the octets."""
        return cls(
            _SentFrames.of(records),
            _SentColumns.of(block.segments, records),
            _SentColumns.of(block.datagrams, records),
            _SentColumns.of(block.icmp_errors, records),
            block.unread,
            octets_read,
            names,
        )

    def block(self, of_run: Renumbering | None) -> tuple[Frames, Block]:
        """Return its frames and the block, with name numbers of the run."""
        frames = self.frames.frames()
        segments, datagrams = self.segments.table(frames, of_run), self.datagrams.table(frames, of_run)
        return frames, Block(segments, datagrams, self.icmp_errors.table(frames, of_run), self.unread)


class DecodingFork:
    """A forked process that reads and decodes a capture; it starts at once and ends with the context.

    Iterated once, it yields what the fork sends. Raises ForkDied if the system refuses the fork.
    """

    def __init__(self, again: Reopen, decoder: Decoder, capture: int) -> None:
        #: Count of names of each kind that it inherits from this process, with the same numbers.
        self.known = {kind: len(getattr(decoder.names, kind)) for kind in KINDS}
        self._again, self._decoder, self._capture = again, decoder, capture
        self._copy: ForkAhead[_SentBlock | _CaptureFacts] = ForkAhead(self._send, BLOCKS_AHEAD)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._copy.__exit__(*raised)

    def end(self) -> None:
        """End the fork without waiting."""
        self._copy.end()

    def __iter__(self) -> Iterator[_SentBlock | _CaptureFacts]:
        return iter(self._copy)

    # --- in the fork ----------------------------------------------------------------------------------------------

    def _send(self) -> Iterator[_SentBlock | _CaptureFacts]:
        """Read and decode the capture. Changed facts about it are sent before the block that changed them."""
        known = dict(self.known)
        told = b""
        reader = self._again()
        for records in reader:
            block = self._decoder.decode(records, self._capture)
            now = _CaptureFacts.of(reader, self._decoder)
            if (pickled := pickle.dumps(now)) != told:
                told = pickled
                yield now
            if len(records):
                yield _SentBlock.of(records, block, reader.octets_read, self._new(known))
        yield _CaptureFacts.of(reader, self._decoder)

    def _new(self, known: dict[str, int]) -> dict[str, list[Any]]:
        """Return the names numbered since `known` was updated, and update it."""
        new = {}
        for kind in KINDS:
            values = getattr(self._decoder.names, kind).values
            if len(values) > known[kind]:
                new[kind], known[kind] = values[known[kind] :], len(values)
        return new


class ForkedReader:
    """A `Reader` of decoded blocks; iterated once. Ending the iteration ends the fork.

    `begun`: the fork to use, if it was started before.
    """

    def __init__(
        self, reader: Reader[Records], again: Reopen, decoder: Decoder, capture: int, begun: DecodingFork | None = None
    ) -> None:
        self.name, self.format = reader.name, reader.format
        self.octets_read = 0
        self._reader, self._again, self._decoder, self._capture = reader, again, decoder, capture
        self._begun = begun
        self._take(_CaptureFacts())
        #: Number in the run of each number of the fork; and whether any of them differ.
        self._numbers: dict[str, Column] = {}
        self._are_others = False

    def unread(self) -> Counter[str]:
        """Count the fragments so far whose packets are incomplete."""
        return self._unread

    def __iter__(self) -> Iterator[tuple[Frames, Block]]:
        self._reader.close()
        received = 0
        try:
            with contextlib.ExitStack() as stack:
                copy = self._begun or stack.enter_context(DecodingFork(self._again, self._decoder, self._capture))
                stack.callback(copy.end)  # whoever began it waits for it
                self._numbers = {kind: np.arange(count, dtype=np.uint32) for kind, count in copy.known.items()}
                for sent in copy:
                    if isinstance(sent, _CaptureFacts):
                        self._take(sent)
                        continue
                    self.octets_read = sent.octets_read
                    yield sent.block(self._renumbering(sent.names))
                    received += 1
        except ForkDied:
            yield from islice(self._decoded_here(), received, None)

    def _take(self, told: _CaptureFacts) -> None:
        self.damage, self.dropped, self.about, self.headers = told.damage, told.dropped, told.about, told.headers
        self._unread = told.unread

    def _decoded_here(self) -> Iterator[tuple[Records, Block]]:
        """Read and decode the whole capture in this process, into the same blocks."""
        reader = self._again()
        for records in reader:
            block = self._decoder.decode(records, self._capture)
            self.octets_read = reader.octets_read
            if len(records):
                yield records, block
        self._take(_CaptureFacts.of(reader, self._decoder))

    def close(self) -> None:
        """Close the reader of this process; a fork closes its own."""
        self._reader.close()

    def _renumbering(self, names: dict[str, list[Any]]) -> Renumbering | None:
        """Number the new names; return None as long as all numbers of the fork are equal here."""
        for kind, values in names.items():
            own = len(self._numbers[kind]) + np.arange(len(values))
            numbers = numbered(values, self._decoder.names, kind)
            self._are_others |= not np.array_equal(own, numbers)
            self._numbers[kind] = np.append(self._numbers[kind], numbers)
        return Renumbering(**self._numbers) if self._are_others else None
