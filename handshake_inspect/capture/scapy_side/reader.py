"""The same as `decode`, through Scapy's dissectors: for headers that we do not read, and to check those that we do.

In: some records of a block (`decode_records`), or a whole file or list of packets (`read`). Out: `Block`s with the same
columns. `packets` dissects each frame. Scapy is imported inside the functions, so that reading ordinary captures does
not load it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.files import open_decompressed
from handshake_inspect.capture.formats.pcapng.interfaces import nanoseconds
from handshake_inspect.capture.fragments import Reassembler
from handshake_inspect.capture.records import CaptureError, RawFrame, Records, records_of
from handshake_inspect.table import Block, Names

#: Frames in one block of `read`.
BLOCK_FRAMES = 4096
#: Times of packets made by hand or by broken clocks are limited to 64 bits.
LATEST_NS = (1 << 63) - 1
#: Longest frame requested from Scapy's readers; their own limit of 65535 truncates frames of loopback.
LONGEST_FRAME_OCTETS = 1 << 24
#: A path, "-", a binary file object, or a list of Scapy's packets.
Source = str | os.PathLike[str] | BinaryIO | Iterable[Any]


def decode_records(
    records: Records,
    rows: Iterable[int] | NDArray[np.int64],
    names: Names,
    capture: int,
    fragments: Reassembler | None = None,
) -> Block:
    """Return the rows that Scapy finds in these rows of a block of records.

    `fragments` reassembles packets over the blocks of a capture, and counts those that stay incomplete.
    """
    with _quiet():
        from handshake_inspect.capture.scapy_side.links import is_known
        from handshake_inspect.capture.scapy_side.packets import Collector

        collected = Collector(names, capture, fragments or Reassembler())
        for row, alike in _to_dissect(np.asarray(rows, np.int64), records.link_type, is_known):
            collected.add(records.raw(row), int(records.frame[row]), alike)
    return collected.block()


def _to_dissect(
    rows: NDArray[np.int64], link_types: NDArray[np.uint16], is_known: Callable[[int], bool]
) -> Iterator[tuple[int, int]]:
    """Yield the rows to dissect, in order, and how many frames each stands for.

    Nothing is found in frames of unknown link types, so the first of each stands for all: 5 us a frame are saved.
    """
    link_type = link_types[rows]
    each, first, count = np.unique(link_type, return_index=True, return_counts=True)
    known = np.array([is_known(one) for one in each.tolist()], np.bool_)
    alike = np.isin(link_type, each[known]).astype(np.int64)
    alike[first[~known]] = count[~known]
    chosen = np.flatnonzero(alike)
    yield from zip(rows[chosen].tolist(), alike[chosen].tolist(), strict=True)


def decode_block(records: Records, names: Names, capture: int, fragments: Reassembler | None = None) -> Block:
    """Return the rows that Scapy finds in a whole block of records; `fragments` is as for `decode_records`."""
    return decode_records(records, range(len(records)), names, capture, fragments)


def read(
    source: Source, names: Names, capture: int = 0, fragments: Reassembler | None = None
) -> Iterator[tuple[Records, Block]]:
    """Read a file with Scapy's own reader, or a list of packets, completely through Scapy.

    Yields blocks, each with its records. `fragments` is as for `decode_records`. Raises CaptureError if Scapy cannot
    open the file.
    """
    fragments = fragments or Reassembler()
    for records in read_records(source):
        yield records, decode_block(records, names, capture, fragments)


def read_records(source: Source) -> Generator[Records]:
    """Yield the frames of a file, read by Scapy's own reader, or of a list of packets, in blocks of records.

    Raises CaptureError if Scapy cannot open the file.
    """
    is_file = isinstance(source, str | os.PathLike) or hasattr(source, "read")
    frames = _raw_frames(source) if is_file else frames_of_packets(cast(Iterable[Any], source))
    first = 1
    while chosen := list(islice(frames, BLOCK_FRAMES)):
        yield records_of(chosen, first_frame=first)
        first += len(chosen)


def frames_of_packets(packets: Iterable[Any]) -> Iterator[RawFrame]:
    """Yield the octets, time and link type of each of Scapy's packets."""
    from handshake_inspect.capture.scapy_side import layers as layers

    interfaces = _names_of_interfaces(packets)
    for packet in packets:
        if not hasattr(packet, "haslayer"):
            raise TypeError(f"inspect() takes a list of packets, and in this one is a {type(packet).__name__}")
        octets = bytes(packet)
        # A Decimal if Scapy read it from a file, or a float with its limited precision.
        time_ns = round(Decimal(packet.time) * 1_000_000_000)
        time_ns = max(-LATEST_NS, min(time_ns, LATEST_NS))
        try:
            link_type = layers.conf.l2types.layer2num[type(packet)]
        except KeyError:
            link_type = 0xFFFF
        wire_octets = int(getattr(packet, "wirelen", None) or len(octets))
        interface = interfaces.get(getattr(packet, "sniffed_on", None), -1)
        yield RawFrame(octets, wire_octets, time_ns, int(link_type), interface=interface)


def _names_of_interfaces(packets: Iterable[Any]) -> dict[Any, int]:
    """Number the interfaces named by the packets of a list, if there are several."""
    if isinstance(packets, Iterator):  # can be iterated only once
        return {}
    names = dict.fromkeys(getattr(packet, "sniffed_on", None) for packet in packets)
    return {name: number for number, name in enumerate(names)} if len(names) > 1 else {}


def _raw_frames(source: Any) -> Iterator[RawFrame]:
    """Yield the frames of a file, read by Scapy's readers, with exact times (a packet's `time` may be a float)."""
    from scapy.utils import RawPcapNgReader

    with contextlib.ExitStack() as stack:
        reader = _scapy_reader(source, stack)
        interfaces = _Interfaces(reader)
        while True:
            try:
                with _quiet():
                    octets, about = reader._read_packet(size=LONGEST_FRAME_OCTETS)
            except (EOFError, OSError):  # the file ends, or its compressed stream is damaged
                return
            if isinstance(reader, RawPcapNgReader):
                units = ((about.tshigh or 0) << 32) | (about.tslow or 0)
                time_ns = nanoseconds(units, about.tsresol or 1_000_000)
                link_type = about.linktype
            else:
                time_ns = about.sec * 1_000_000_000 + about.usec * (1 if reader.nano else 1000)
                link_type = reader.linktype
            yield RawFrame(octets, about.wirelen, time_ns, link_type & 0xFFFF, interface=interfaces.last)


class _Interfaces:
    """Tracks the interface of the last packet of a pcapng file over all sections, which its reader does not report."""

    def __init__(self, reader: Any) -> None:
        #: As in `RawFrame.interface`.
        self.last = -1
        self._before = 0
        self._reader = reader
        if hasattr(reader, "_check_interface_id"):
            self._check, reader._check_interface_id = reader._check_interface_id, self._note
            self._begin, reader._read_block_shb = reader._read_block_shb, self._note_section

    def _note(self, number: int) -> bool:
        self.last = self._before + number if len(self._reader.interfaces) > 1 else -1
        return bool(self._check(number))

    def _note_section(self) -> None:
        self._before = len(self._reader.interfaces)
        self._begin()


def _name(source: Any) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else str(getattr(source, "name", "(file object)"))


def _scapy_reader(source: Any, stack: contextlib.ExitStack) -> Any:
    """Open Scapy's reader of a capture; `stack` closes what was opened here."""
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    import handshake_inspect.capture.scapy_side.layers  # noqa: F401 (names the link types)

    name = _name(source)
    file = stack.enter_context(open_decompressed(source, name=name))
    try:
        with _quiet():
            return RawPcapReader(file)
    except (Scapy_Exception, OSError, EOFError) as error:
        raise CaptureError(f"{name}: Scapy cannot open it: {error}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Scapy from logging problems with a frame: they are counted."""
    logger = logging.getLogger("scapy.runtime")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
