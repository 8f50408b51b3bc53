"""`inspect()`: the only wiring of readers, decoder, engine and model."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from handshake_inspect.capture.about import About
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import BLOCK_OCTETS, open_capture
from handshake_inspect.capture.link_types import LINK_TYPE_NAMES
from handshake_inspect.capture.records import CaptureError, Damage, Records
from handshake_inspect.capture.source import RecordReader
from handshake_inspect.connections.analysis import Analysis, FoldedError
from handshake_inspect.connections.connection import Connection, Frame, Step
from handshake_inspect.connections.conversations import KeyTable, keys_of
from handshake_inspect.connections.model import Connections
from handshake_inspect.exchanges import Exchange, find_exchanges
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, Names, SegmentTable

#: What can be inspected: a path ("-" is standard input), an open binary file, a Scapy PacketList, or several.
Source = str | os.PathLike[str] | BinaryIO | Any


@dataclass
class CaptureSummary:
    """What one file, pipe or interface was."""

    #: As the user named it ("-" for standard input).
    name: str
    #: "pcap", "pcapng", "live" or "scapy".
    format: str
    #: Names of the link types seen: "Ethernet", "Linux cooked v1", ...
    link_types: tuple[str, ...] = ()
    #: Records read, and how many of them hold a TCP segment or a UDP datagram.
    frames: int = 0
    segments: int = 0
    datagrams: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    #: Frames that the capturing side says it lost; None if it does not say.
    dropped: int | None = None
    #: What the file says about itself: comments, names, interfaces.
    about: About = field(default_factory=About)


@dataclass
class Inspection:
    """What `inspect()` found."""

    captures: list[CaptureSummary]
    #: In order of first segment; made when asked for.
    connections: Connections
    #: UDP, in order of first datagram.
    exchanges: Sequence[Exchange]
    damage: list[Damage]
    #: Frames that hold neither a segment nor a datagram, counted by kind.
    unread: Counter[str] = field(default_factory=Counter)
    _inspector: Inspector | None = None

    def steps(self, stream: int) -> tuple[Step, ...]:
        """Return every segment of connection `stream`, with both states after it and the arithmetic."""
        if self._inspector is None or not 0 <= stream < len(self.connections):
            raise IndexError(f"there is no stream {stream}: the inspection has {len(self.connections)}")
        steps = self._inspector.steps(self.connections, stream)
        if not any(one.about.frame_comments for one in self.captures):
            return steps
        home = self.connections[stream].capture
        return tuple(replace(step, comments=self._comments(step.frame, home)) for step in steps)

    def _comments(self, frame: Frame, home: str) -> tuple[str, ...]:
        """Return the comments on a frame of the capture `home`, or of another one."""
        name, number = frame if isinstance(frame, tuple) else (home, frame)
        about = next(one.about for one in self.captures if one.name == name)
        return tuple(about.frame_comments.get(number, ()))

    def names_of(self, address: str) -> tuple[str, ...]:
        """Return the names that the captures know for an address, each once."""
        return tuple(dict.fromkeys(name for one in self.captures for name in one.about.names.get(address, ())))

    @property
    def duplicates(self) -> int:
        """Second copies of segments, as captures of loopback have them, that were collapsed."""
        return int(self.connections.verdicts.table["duplicates"].sum())

    @property
    def unmatched_icmp_errors(self) -> int:
        """ICMP errors that quote a TCP segment of no connection here."""
        return self.connections.verdicts.unmatched_errors

    @property
    def icmp_error_copies(self) -> int:
        """Second copies of ICMP errors about TCP, as captures of loopback have them, that were left out."""
        return self.connections.verdicts.error_copies

    def with_steps(self, stream: int) -> Connection:
        """Return connection `stream` with its `steps` filled in."""
        return replace(self.connections[stream], steps=self.steps(stream))


class Inspector:
    """Takes captures block by block, and says at any time what they show so far.

    `inspect()` feeds it files; a live capture feeds it small blocks and asks again for what has changed.
    """

    def __init__(
        self, *, profile: str = "linux", fold: bool = True, names: Names | None = None, only: KeyTable | None = None
    ) -> None:
        self.names = names or Names()
        self.captures: list[CaptureSummary] = []
        self.damage: list[Damage] = []
        self.unread: Counter[str] = Counter()
        self.analysis = Analysis(self.names, fold=fold, only=only)
        #: What each capture was read from, if it can be read again.
        self._sources: list[tuple[Source, str] | None] = []
        self._profile = profile
        self._decoder = Decoder(self.names)
        self._link_types: dict[int, set[int]] = {}
        self._datagrams: list[DatagramTable] = []
        self._icmp_errors: list[IcmpErrorTable] = []

    def begin_capture(self, name: str, format_: str, source: tuple[Source, str] | None = None) -> int:
        """Begin another file or interface. Returns its number.

        `source`: what it can be read from again, and through which reader.
        """
        self.captures.append(CaptureSummary(name, format_))
        self._sources.append(source)
        self._link_types[len(self.captures) - 1] = set()
        return len(self.captures) - 1

    def read(self, reader: RecordReader, source: Source | None = None) -> None:
        """Take a whole file or pipe. `source`: what it is read from, if that can be read again."""
        again = None if source is None or _is_stream(source) else (source, "auto")
        capture = self.begin_capture(reader.name, reader.format, again)
        self.captures[capture].about = reader.about
        for records in reader:
            self.add_records(records, capture)
        self.damage += reader.damage
        self.captures[capture].dropped = reader.dropped

    def read_through_scapy(self, source: Source) -> None:
        """Take a file, a pipe or a list of packets through Scapy's readers and dissector.

        Raises `CaptureError` if Scapy cannot open it.
        """
        from handshake_inspect.capture.scapy_reader import read

        blocks = read(source, self.names, len(self.captures), self._decoder.reassembler)
        first = next(blocks, None)  # before the capture is begun: it may not open
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "(packets)")
        capture = self.begin_capture(str(name), "scapy", None if _is_stream(source) else (source, "scapy"))
        for records, block in chain([first] if first else [], blocks):
            self.add_decoded(records, block, capture)
        if isinstance(source, str | os.PathLike) and source != "-":
            self._look_for_damage(source, capture)

    def _look_for_damage(self, source: str | os.PathLike[str], capture: int) -> None:
        """Walk a file's records once more: Scapy's readers end silently where a file is cut or damaged."""
        with contextlib.suppress(CaptureError), open_capture(source) as reader:
            for _ in reader:
                pass
            self.damage += reader.damage
            self.captures[capture].dropped = reader.dropped
            self.captures[capture].about = reader.about

    def add_records(self, records: Records, capture: int) -> SegmentTable:
        """Take a block of records. Returns the segments in it."""
        return self.add_decoded(records, self.decode(records, capture), capture)

    def decode(self, records: Records, capture: int) -> Block:
        """Decode a block of records, and take nothing yet."""
        return self._decoder.decode(records, capture)

    def add_decoded(self, records: Records, block: Block, capture: int) -> SegmentTable:
        """Take a block of records and what it was decoded to. Returns the segments."""
        types = self._link_types[capture]
        types.update(np.unique(records.link_type).tolist())
        names = {LINK_TYPE_NAMES.get(one, f"link type {one}") for one in types}
        self.captures[capture].link_types = tuple(sorted(names))
        return self.add_block(block, capture, len(records), records.time_ns)

    def add_block(self, block: Block, capture: int, frames: int, time_ns: Any) -> SegmentTable:
        """Take rows, however they were made: `frames` records, captured at `time_ns`. Returns the segments."""
        summary = self.captures[capture]
        summary.frames += frames
        summary.segments += len(block.segments)
        summary.datagrams += len(block.datagrams)
        if frames:
            first, last = int(np.min(time_ns)), int(np.max(time_ns))
            summary.first_ns = first if summary.first_ns is None else min(summary.first_ns, first)
            summary.last_ns = last if summary.last_ns is None else max(summary.last_ns, last)
        self.unread.update(block.unread)
        if len(block.datagrams):
            self._datagrams.append(block.datagrams)
        if len(block.icmp_errors):
            self._icmp_errors.append(block.icmp_errors)
        self.analysis.add(block.segments, block.icmp_errors)
        return block.segments

    def result(self) -> Inspection:
        """Say what was found so far."""
        captures = [summary.name for summary in self.captures]
        return Inspection(
            captures=self.captures,
            connections=Connections(self.analysis.verdicts(), self.analysis.keys, self.names, captures, self._profile),
            exchanges=_LazyExchanges(self._datagrams, self._icmp_errors, self.names, captures),
            damage=self.damage,
            unread=self.unread + self._decoder.reassembler.unread(),
            _inspector=self,
        )

    def steps(self, connections: Connections, stream: int) -> tuple[Step, ...]:
        """Describe every segment of one stream; its captures are read again if its segments were folded.

        Raises `CaptureError` if that is needed and not possible.
        """
        conversation, place = self.analysis.place(connections, stream)
        try:
            return self.analysis.steps(conversation, place, connections.captures)
        except FoldedError:
            return self._read_again(conversation).analysis.steps(0, place, connections.captures)

    def conversations_of(self, segments: SegmentTable | IcmpErrorTable) -> list[int]:
        """Return the numbers of the conversations that these segments belong to, or are quoted of."""
        numbers: list[int] = np.unique(self.analysis.gathering.conversations.number(keys_of(segments)[0])).tolist()
        return numbers

    def conversation(
        self, number: int, begin: Mapping[int, int] | None = None
    ) -> list[tuple[Connection, tuple[Step, ...]]]:
        """Return the connections of one conversation so far, with their steps; `begin` says how many are known."""
        return self.analysis.conversation(number, [summary.name for summary in self.captures], begin)

    def _read_again(self, conversation: int) -> Inspector:
        """Read the captures again, keeping every segment of one conversation."""
        key = self.analysis.keys.take(slice(conversation, conversation + 1))
        again = Inspector(fold=False, names=self.names, only=key)
        for summary, source in zip(self.captures, self._sources, strict=True):
            if source is None:
                raise CaptureError(
                    f"{summary.name}: this connection is too long to keep every segment in memory, and the capture "
                    "cannot be read again; save it to a file first"
                )
            add_source(again, source[0], reader=source[1])
        return again


class _LazyExchanges(Sequence[Exchange]):
    """The UDP exchanges, found when somebody looks: most users only count them."""

    def __init__(
        self, datagrams: list[DatagramTable], errors: list[IcmpErrorTable], names: Names, captures: list[str]
    ) -> None:
        self._input = (datagrams, errors, names, captures)

    @cached_property
    def _found(self) -> list[Exchange]:
        datagrams, errors, names, captures = self._input
        return find_exchanges(DatagramTable.concatenate(datagrams), IcmpErrorTable.concatenate(errors), names, captures)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, index: Any) -> Any:
        return self._found[index]


def inspect(
    source: Source | Iterable[Source],
    *,
    reader: str = "auto",
    profile: str = "linux",
    fold: bool = True,
    block_octets: int | None = None,
) -> Inspection:
    """Inspect one or several captures and return what every connection did.

    `source`: a path ("-" is standard input), an open binary file, a Scapy PacketList, or a list of these, which are
    read in the order given as one run. `reader`: "auto", or "scapy" to go through Scapy's readers and dissector from
    end to end. `profile`: whose TIME-WAIT is assumed ("linux" 60 s, "rfc" 240 s). `fold`: keep memory bounded by
    folding segments that cannot change an answer; False keeps all. `block_octets`: how much is read at once.

    Raises `CaptureError` if a source cannot be used at all; damage inside one is reported in `Inspection.damage`.
    """
    inspector = Inspector(profile=profile, fold=fold)
    for one in _sources(source):
        add_source(inspector, one, reader=reader, block_octets=block_octets)
    return inspector.result()


def add_source(inspector: Inspector, source: Source, *, reader: str = "auto", block_octets: int | None = None) -> None:
    """Feed one source to an inspector."""
    if reader not in ("auto", "scapy"):
        raise ValueError(f"reader is 'auto' or 'scapy', not {reader!r}")
    if reader == "scapy" or not (isinstance(source, str | os.PathLike) or hasattr(source, "read")):
        inspector.read_through_scapy(source)
        return
    with open_capture(source, block_octets=block_octets or BLOCK_OCTETS) as opened:
        inspector.read(opened, source)


def _sources(source: Source | Iterable[Source]) -> list[Source]:
    if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        return [source]
    if source is None or isinstance(source, int | float | bytes):
        raise TypeError(f"inspect() takes a path, a binary file, a list of packets or of these, not {source!r}")
    if isinstance(source, list | tuple) and source and not _is_packet(source[0]):
        return list(source)
    return [source]


def _is_stream(source: Source) -> bool:
    """Is it used up by being read once?"""
    return bool(source == "-") if isinstance(source, str) else hasattr(source, "read")


def _is_packet(one: object) -> bool:
    return hasattr(one, "haslayer")
