"""`inspect()`: the only wiring of readers, decoder, engine and model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import BLOCK_OCTETS, RecordReader, open_capture
from handshake_inspect.capture.records import Damage, Records
from handshake_inspect.connections.analysis import Analysis
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.connections.model import Connections
from handshake_inspect.exchanges import Exchange, find_exchanges
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, Names, SegmentTable

#: What can be inspected: a path ("-" is standard input), an open binary file, a Scapy PacketList, or several.
Source = str | os.PathLike[str] | BinaryIO | Any

LINK_TYPE_NAMES = {
    0: "BSD loopback (NULL)",
    1: "Ethernet",
    12: "raw IP",
    14: "raw IP",
    101: "raw IP",
    108: "BSD loopback (LOOP)",
    113: "Linux cooked v1",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked v2",
}


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
        return self._inspector.steps(self.connections, stream)

    @property
    def duplicates(self) -> int:
        """Second copies of segments, as captures of loopback have them, that were collapsed."""
        return int(self.connections.verdicts.table["duplicates"].sum())

    def with_steps(self, stream: int) -> Connection:
        """Return connection `stream` with its `steps` filled in."""
        return replace(self.connections[stream], steps=self.steps(stream))


class Inspector:
    """Takes captures block by block, and says at any time what they show so far.

    `inspect()` feeds it files; a live capture feeds it small blocks and asks again for what has changed.
    """

    def __init__(self, *, profile: str = "linux", fold: bool = True) -> None:
        self.names = Names()
        self.captures: list[CaptureSummary] = []
        self.damage: list[Damage] = []
        self.unread: Counter[str] = Counter()
        self.analysis = Analysis(self.names, fold=fold)
        self._profile = profile
        self._decoder = Decoder(self.names)
        self._link_types: dict[int, set[int]] = {}
        self._datagrams: list[DatagramTable] = []
        self._icmp_errors: list[IcmpErrorTable] = []

    def begin_capture(self, name: str, format_: str) -> int:
        """Begin another file or interface. Returns its number."""
        self.captures.append(CaptureSummary(name, format_))
        self._link_types[len(self.captures) - 1] = set()
        return len(self.captures) - 1

    def read(self, reader: RecordReader) -> None:
        """Take a whole file or pipe."""
        capture = self.begin_capture(reader.name, reader.format)
        for records in reader:
            self.add_records(records, capture)
        self.damage += reader.damage
        self.captures[capture].dropped = reader.dropped

    def add_records(self, records: Records, capture: int) -> SegmentTable:
        """Take a block of records. Returns the segments in it."""
        types = self._link_types[capture]
        types.update(np.unique(records.link_type).tolist())
        names = sorted({LINK_TYPE_NAMES.get(one, f"link type {one}") for one in types})
        self.captures[capture].link_types = tuple(names)
        return self.add_block(self._decoder.decode(records, capture), capture, len(records), records.time_ns)

    def add_block(self, block: Block, capture: int, frames: int, time_ns: Any) -> SegmentTable:
        """Take a decoded block. Returns its segments."""
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
            unread=self.unread,
            _inspector=self,
        )

    def steps(self, connections: Connections, stream: int) -> tuple[Step, ...]:
        """Describe every segment of one stream."""
        return self.analysis.steps(connections, stream)


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
        from handshake_inspect.capture import scapy_reader

        scapy_reader.feed(inspector, source)
        return
    with open_capture(source, block_octets=block_octets or BLOCK_OCTETS) as opened:
        inspector.read(opened)


def _sources(source: Source | Iterable[Source]) -> list[Source]:
    if isinstance(source, str | Path) or hasattr(source, "read"):
        return [source]
    if isinstance(source, list | tuple) and source and not _is_packet(source[0]):
        return list(source)
    return [source]


def _is_packet(one: object) -> bool:
    return hasattr(one, "haslayer")
