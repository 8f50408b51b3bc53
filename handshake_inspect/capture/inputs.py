"""What can be inspected, and how each kind of input is opened: files, pipes, file objects, lists of Scapy packets.

In: an `Input`. Out: an `OpenCapture`, which yields its records from any reader. A run of several captures reads the
first time of each before it reads any: files are closed in between, inputs that can be read only once stay open.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from handshake_inspect.capture.about import About
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import BLOCK_OCTETS, open_capture
from handshake_inspect.capture.forked_reader import DecodingFork, ForkedReader, Reopen
from handshake_inspect.capture.merge import INSTANT_RECORDS
from handshake_inspect.capture.records import CaptureError, Damage, Frames, Records
from handshake_inspect.capture.remote import is_remote
from handshake_inspect.capture.source import Reader, RecordReader
from handshake_inspect.forks import ForkDied
from handshake_inspect.plain import plain
from handshake_inspect.processes import Workers
from handshake_inspect.table import Block, Names
from handshake_inspect.there import is_file

#: Captures from this size on are read and decoded in a forked process, where forks work: for 18 MB it saves no time.
APART_OCTETS = 32 << 20
#: What can be inspected: a path ("-" is standard input), a name with `://` that fsspec opens, an open binary file, a
#: Scapy PacketList, or several.
Source = str | os.PathLike[str] | BinaryIO | Any


def _raise(error: CaptureError) -> None:
    raise error


@plain
class Hooks:
    """Callbacks of a caller that follows or controls the reading."""

    #: Wraps the iteration of a reader, and may end it early.
    watch: Callable[[Reader[Any]], Iterable[Any]] = iter
    #: Called with the error of each capture that cannot be used; the others are still read, unless it raises.
    failed: Callable[[CaptureError], None] = _raise
    #: Returns True if no further capture is to be opened.
    stopped: Callable[[], bool] = lambda: False
    #: A context around each opening: a pipe may keep it waiting. If KeyboardInterrupt ends it, that input is left out,
    #: and so are those after it, as far as `stopped` says so.
    opens: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


@plain
class Input:
    """One capture to inspect."""

    source: Source
    #: "auto", or "scapy" to go through Scapy's readers and dissector from end to end.
    reader: str = "auto"
    #: Name in messages, if that is not the name by which it is opened.
    name: str | None = None
    block_octets: int = BLOCK_OCTETS

    @property
    def is_packets(self) -> bool:
        """Is it a list of packets?"""
        return not (isinstance(self.source, str | os.PathLike) or hasattr(self.source, "read"))

    @property
    def is_file(self) -> bool:
        """Is it a regular file given by name, which can be opened repeatedly? A named pipe cannot."""
        source = self.source
        return isinstance(source, str | os.PathLike) and source != "-" and is_file(source)

    @property
    def can_be_opened_again(self) -> bool:
        """Is it a file, local or remote?"""
        return self.is_file or is_remote(self.source)

    @property
    def octets(self) -> int:
        """Its size in octets, if it is a file; else 0."""
        return Path(self.path).stat().st_size if self.is_file else 0

    @property
    def path(self) -> str:
        """Its path, if it is a file."""
        return os.fspath(cast(str, self.source))

    @property
    def through_scapy(self) -> bool:
        """Are its frames dissected by Scapy?"""
        return self.reader == "scapy" or self.is_packets

    def is_read_apart(self, workers: Workers) -> bool:
        """Is it read in a forked process? Only large files are."""
        return self.octets >= APART_OCTETS and not self.through_scapy and workers.are_forks

    @property
    def can_be_read_again(self) -> bool:
        """Can all of it be read again?"""
        return self.can_be_opened_again or (self.is_packets and not isinstance(self.source, Iterator))

    def open(self, hooks: Hooks, *, ahead: bool, positions: bool) -> OpenCapture:
        """Open it. `ahead`: a thread may read ahead. `positions`: those of its records are needed.

        Raises CaptureError.
        """
        if self.through_scapy:
            return OpenCapture(ThroughScapy(self.source, self.name), hooks)
        return OpenCapture(self.reader_of_records(ahead=ahead and self.is_file, positions=positions), hooks)

    def reader_of_records(self, *, ahead: bool, positions: bool) -> RecordReader:
        """Open it likewise, if its frames are not dissected by Scapy."""
        reader = open_capture(self.source, name=self.name, block_octets=self.block_octets, ahead=ahead)
        reader.tells_positions = positions
        return reader

    def reopened(self, *, positions: bool) -> Reopen:
        """Return a function that opens it again, in another process."""
        return partial(self.reader_of_records, ahead=True, positions=positions)


@contextlib.contextmanager
def begun(inputs: Sequence[Input], names: Names, workers: Workers, *, positions: bool) -> Iterator[DecodingFork | None]:
    """Start the fork that reads the only capture and numbers `names`; None if it is not read in a fork.

    The fork lives as long as the context. In a run of several captures none is started early: each is opened in turn.
    `positions`: those of the records are needed.
    """
    with contextlib.ExitStack() as stack:
        copy = None
        if len(inputs) == 1 and inputs[0].is_read_apart(workers):
            with contextlib.suppress(ForkDied):
                copy = stack.enter_context(DecodingFork(inputs[0].reopened(positions=positions), Decoder(names), 0))
        yield copy


class OpenCapture:
    """The records of one capture, iterated once."""

    def __init__(self, reader: Reader[Records], hooks: Hooks) -> None:
        self.reader: Reader[Any] = reader
        self._hooks = hooks
        self._blocks: Iterator[Any] = iter(hooks.watch(reader))
        self._first: list[Records] = []

    def apart(
        self, again: Reopen, decoder: Decoder, capture: int, begun: DecodingFork | None
    ) -> tuple[ForkedReader, Iterator[tuple[Frames, Block]]]:
        """Have a forked process open it again, read and decode it: the fork `begun`, or else a new one."""
        self.reader = apart = ForkedReader(self.reader, again, decoder, capture, begun)
        self._blocks = iter(self._hooks.watch(apart))
        return apart, self._blocks

    def first_ns(self) -> int | None:
        """Wait for the first records, and return the time of the first; None if there are none."""
        self._first = [records for records in [next(self._blocks, None)] if records is not None]
        return int(self._first[0].time_ns[0]) if self._first else None

    def is_instant(self) -> bool:
        """After `first_ns`: are all records, at most INSTANT_RECORDS, of one time (`capture.merge.is_instant`)?"""
        while self._first:
            first_ns, latest = self._first[0].time_ns[0], self._first[-1]
            if (latest.time_ns != first_ns).any() or sum(map(len, self._first)) > INSTANT_RECORDS:
                return False
            following = next(self._blocks, None)
            if following is None:
                break
            self._first.append(following)
        return True

    def __iter__(self) -> Iterator[Records]:
        first, self._first = self._first, []
        yield from first
        yield from self._blocks

    def close(self) -> None:
        """Close the capture, if it was opened here."""
        if isinstance(self._blocks, Generator):
            self._blocks.close()
        self.reader.close()


class ThroughScapy:
    """The records of a capture as Scapy's readers yield them."""

    format = "scapy"

    def __init__(self, source: Source, name: str | None) -> None:
        # Slow to import, and reading files does not need it.
        from handshake_inspect.capture.scapy_side.reader import read_records

        is_path = isinstance(source, str | os.PathLike)
        self.name = name or (str(source) if is_path else str(getattr(source, "name", "(packets)")))
        self.damage: list[Damage] = []
        self.dropped: int | None = None
        self.about = About()
        self.headers: list[tuple[int, int]] = []
        self.octets_read = 0
        self._source = source if Input(source).can_be_opened_again else None
        self._blocks = read_records(source)
        self._first = next(self._blocks, None)  # raises if it cannot be opened

    def __iter__(self) -> Iterator[Records]:
        if self._first is not None:
            yield self._first
        yield from self._blocks
        self._look_for_damage()

    def _look_for_damage(self) -> None:
        """Walk a file's records again: Scapy's readers end silently where a file is truncated or damaged."""
        if self._source is None:
            return
        with contextlib.suppress(CaptureError), open_capture(self._source, name=self.name) as reader:
            for _ in reader:
                pass
            self.damage, self.dropped, self.about = reader.damage, reader.dropped, reader.about

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()


def sources(source: Source | Iterable[Source]) -> list[Source]:
    """Return the argument of `inspect()`, one source or several, as a list."""
    if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        return [source]
    _refuse_what_is_none(source)
    if _is_packet(source):
        return [[source]]
    first = list(islice(source, 1))  # an iterator yields it only once
    several = chain(first, source) if isinstance(source, Iterator) else source
    if not first or _is_packet(first[0]):
        return [several]
    found = list(several)
    for one in found:
        _refuse_what_is_none(one)
        if _is_packet(one):
            raise TypeError("inspect() takes packets in a list of their own, not among captures")
    return found


def _refuse_what_is_none(one: object) -> None:
    """Raise TypeError for an object that is no source."""
    is_one = isinstance(one, str | os.PathLike | Iterable) or hasattr(one, "read")
    if isinstance(one, bytes | bytearray | memoryview) or not is_one:
        kind = type(one).__name__
        raise TypeError(f"inspect() takes a path, a binary file, a list of packets or of these, no {kind}")


def _is_packet(one: object) -> bool:
    return hasattr(one, "haslayer")
