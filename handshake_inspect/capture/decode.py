"""A block of records -> tables of TCP segments, UDP datagrams and ICMP errors; other frames are counted by kind.

In: `Records`. Out: `Block`. The headers are read in `headers`, which cites their specifications. Frames are read in
slices that stay in the cache. Headers are read in rounds, outermost first, each kind for all frames that have it
next. From its IP header on, a packet is copied into a row of octets, so that each field is one strided copy at any
offset of the header; `block_builder` writes it to its final row. Fragments are reassembled, compressed packets
inflated, and both decoded again; frames that may hold a packet but are not read here go to `scapy_side`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.block_builder import BlockBuilder
from handshake_inspect.capture.fragments import MOST_WHOLES, Fragment, Reassembler
from handshake_inspect.capture.headers import ip, ip_tunnels, link, link_types, serial, transports, wlan
from handshake_inspect.capture.headers.ip import Packets
from handshake_inspect.capture.headers.layers import (
    CompressedRows,
    FragmentRows,
    Header,
    Layer,
    PerRow,
    Slice,
    together,
)
from handshake_inspect.capture.headers.link_types import LINK_TYPES, RAW_IPV4, RAW_IPV6
from handshake_inspect.capture.headers.transports import FoundRows
from handshake_inspect.capture.inflating import CompressedError, inflated
from handshake_inspect.capture.records import SLACK_OCTETS, RawFrame, Records, records_of
from handshake_inspect.table import (
    PACKET_TYPE_UNKNOWN,
    Block,
    Names,
    SegmentTable,
    Table,
)

#: Rows of a slice. Half as many would fit the second-level cache, but the extra numpy calls cost more than that gains.
SLICE_ROWS = 1 << 15
#: Most headers around a transport; more are taken for damage. Each takes a round, as do link type and transport.
MOST_HEADERS = 64
MOST_ROUNDS = MOST_HEADERS + 2
#: The reader of each header.
READERS = {**link.READERS, **serial.READERS, **link_types.READERS, **wlan.READERS, **ip.READERS, **ip_tunnels.READERS}

#: Inflated packets are decoded together up to this many octets.
MOST_INFLATED_OCTETS = 1 << 23

T = TypeVar("T", bound=Table)
#: A reassembled or inflated packet, its frame, and the numbers of its encapsulation and its tunnel.
Packet = tuple[RawFrame, int, int, int]


class Decoder:
    """Decodes the records of one capture and holds its incomplete fragments; `names` are shared by a run."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.reassembler = Reassembler()

    def unread(self) -> Counter[str]:
        """Count the fragments so far whose packets are incomplete."""
        return self.reassembler.unread()

    def decode(self, records: Records, capture: int) -> Block:
        """Return the rows of a block of records of the file with number `capture`."""
        records, filling = with_slack(records), BlockBuilder(len(records))
        for first in range(0, len(records), SLICE_ROWS):
            SliceDecoder(self, records, slice(first, first + SLICE_ROWS), capture).decode_into(filling)
        return filling.block()

    def payload_place(self, records: Records, seq: int | None = None) -> tuple[int, int]:
        """Return the offset of the TCP or UDP payload in the only frame of `records`, and its count of captured octets.

        `seq`: SEG.SEQ of the segment meant, where the frame may hold several. (0, 0) if it holds none.
        """
        one = SliceDecoder(self, with_slack(records), slice(0, 1), 0)
        one.decode_into(BlockBuilder(1))
        places = (place for found in one.found for place in found.payloads())
        return next((place for number, *place in places if seq in (None, number)), (0, 0))  # type: ignore[return-value]


def with_slack(records: Records) -> Records:
    """Return records whose buffer has slack, so that headers can be read at any offset in a frame."""
    if not len(records):
        return records
    needed = int((records.offset + records.captured).max()) + SLACK_OCTETS
    if needed <= len(records.buffer):
        return records
    return replace(records, buffer=np.pad(records.buffer, (0, needed - len(records.buffer))))


class SliceDecoder:
    """Decodes one slice: follows headers from frame to transport, and collects their fields in columns."""

    def __init__(
        self, decoder: Decoder, records: Records, part: slice, capture: int, *, wholes: int = 0, aggregate: bool = False
    ) -> None:
        self.decoder = decoder
        self.names = decoder.names
        self.records = records
        self.part = part
        self.capture = capture
        #: How many fragmented packets these packets were nested in, and whether they are part of an aggregate.
        self.wholes = wholes
        self.aggregate = aggregate
        given = records.packet_type
        self.slice = Slice(
            records.buffer, records.offset[part], records.captured[part], records.original[part], self.names,
            packet_type=None if given is None else given[part].copy(),
        )  # fmt: skip
        self.unread = self.slice.unread
        self.found: list[FoundRows] = []

    def decode_into(self, filling: BlockBuilder) -> None:
        """Add the rows of the slice to those of its block."""
        self.follow(self._frames())
        if not (self.slice.for_scapy or self.slice.fragments or self.slice.compressed):
            self._put_into(filling)
            return
        block = self.block()
        if self.slice.for_scapy:
            block = _merged(block, self._through_scapy())
        filling.append(self._with_packets_inside(block))

    def block(self) -> Block:
        """Return the rows found so far."""
        alone = BlockBuilder(len(self.slice.offset))
        self._put_into(alone)
        return alone.block()

    def _put_into(self, filling: BlockBuilder) -> None:
        filling.put(self.found, self.records, self.part, self.capture, self.unread)

    def _frames(self) -> Iterator[Layer]:
        """Yield the first header of each frame, by its link type."""
        link_type = self.records.link_type[self.part]
        everything = self.slice.everything
        same = bool((link_type == link_type[0]).all())
        for each in [int(link_type[0])] if same else np.flatnonzero(np.bincount(link_type)).tolist():
            rows = everything if same else everything[link_type == each]
            if each in LINK_TYPES:
                yield Layer(Header.LINK, rows, 0, note=each)
            else:
                self.slice.for_scapy.append(rows)

    def follow(self, layers: Iterator[Layer]) -> None:
        """Read header after header, all of one kind together, up to the transports."""
        rounds = 0
        pending = list(together(layers))
        while pending and rounds < MOST_ROUNDS:
            following: list[Layer] = []
            for layer in pending:
                following += self._read(layer)
            pending, rounds = list(together(following)), rounds + 1
        for layer in pending:
            self.unread[f"more than {MOST_HEADERS} headers"] += len(layer.rows)

    def _read(self, layer: Layer) -> Iterator[Layer]:
        if layer.header is Header.AMSDU:
            self._aggregates(layer)
        elif isinstance(layer, Packets):
            for each in transports.READERS[layer.header](self.slice, layer):
                if isinstance(each, FoundRows):
                    self.found.append(each)
                else:
                    yield each
        else:
            yield from READERS[layer.header](self.slice, layer)

    def _aggregates(self, layer: Layer) -> None:
        """Read aggregates of frames (IEEE 802.11 A-MSDU). One without any row is counted by its first part."""
        if self.aggregate:
            self.unread["A-MSDU in A-MSDU"] += len(layer.rows)
            return
        inside = self._inside(layer, wlan.MOST_SUBFRAMES)
        known = [found.rows for found in inside.found]
        known += [some.layer.rows for some in inside.slice.fragments]
        known += [some.layer.rows for some in inside.slice.compressed] + inside.slice.for_scapy
        holds_some = np.isin(layer.rows, np.concatenate(known)) if known else np.zeros(len(layer.rows), np.bool_)
        if not holds_some.all():
            self.unread.update(self._inside(layer.take(~holds_some), 1).unread)
        self.found += inside.found
        self.slice.fragments += inside.slice.fragments
        self.slice.compressed += inside.slice.compressed
        self.slice.for_scapy += inside.slice.for_scapy

    def _inside(self, layer: Layer, most: int) -> SliceDecoder:
        """Decode the frames inside aggregates, at most `most` of each, separately from the rest of the slice."""
        inside = SliceDecoder(self.decoder, self.records, self.part, self.capture, wholes=self.wholes, aggregate=True)
        inside.slice.packet_type = self.slice.packet_type
        inside.follow(wlan.aggregate(inside.slice, layer, most))
        return inside

    # --- read by other means ----------------------------------------------------------------------------------

    def _through_scapy(self) -> Block:
        """Return the rows that Scapy finds in the frames not read here."""
        from handshake_inspect.capture.scapy_side import reader  # slow to import, and ordinary captures do not need it

        rows = np.sort(np.concatenate(self.slice.for_scapy)) + (self.part.start or 0)
        fragments = self.decoder.reassembler
        return reader.decode_records(self.records, rows, self.names, self.capture, fragments)

    def _with_packets_inside(self, block: Block) -> Block:
        """Add to the rows of a slice those of its reassembled and inflated packets."""
        if self.slice.fragments:
            block = _merged(block, self._put_together())
        for some in self.slice.compressed:
            block = _merged(block, self._decompressed(some))
        return block

    def _decompressed(self, some: CompressedRows) -> Block:
        """Return the rows of compressed packets; a few octets may inflate to many, so not all are held at once."""
        unread = Counter[str]()
        block, packets, held = Block(SegmentTable.empty()), list[Packet](), 0
        for packet in self._inflated(some, unread):
            packets.append(packet)
            held += packet[0].original
            if held >= MOST_INFLATED_OCTETS:
                block = _merged(block, self._whole_packets(some.version, packets))
                packets, held = [], 0
        if packets:
            block = _merged(block, self._whole_packets(some.version, packets))
        return replace(block, unread=block.unread + unread)

    def _inflated(self, some: CompressedRows, unread: Counter[str]) -> Iterator[Packet]:
        """Yield compressed packets with their payload inflated; count those that cannot be read."""
        slice_, layer = self.slice, some.layer
        frame, time_ns = self.records.frame[self.part], self.records.time_ns[self.part]
        columns = (layer.rows, layer.at, some.at, some.end, layer.encapsulation, layer.tunnel)
        for row, at, begin, end, encapsulation, tunnel in zip(
            *(np.broadcast_to(np.asarray(each), layer.rows.shape).tolist() for each in columns), strict=True
        ):
            start = int(slice_.offset[row])
            header = slice_.octets[start + at : start + at + ip.FIXED_OCTETS[some.version]].tobytes()
            try:
                following, octets = inflated(slice_.octets[start + begin : start + end].tobytes())
            except CompressedError as error:
                unread[str(error)] += 1
                continue
            if following in ip.FOLLOWED[some.version]:
                unread[ip.PROTOCOL_NAMES.get(following, f"IP protocol {following}")] += 1
                continue
            packet = ip.around_payload(header, following) + octets
            link_type = RAW_IPV4 if some.version == 4 else RAW_IPV6
            raw = RawFrame(packet, len(packet), int(time_ns[row]), link_type, self._packet_type(row))
            yield raw, int(frame[row]), encapsulation, tunnel

    def _packet_type(self, row: int) -> int:
        return PACKET_TYPE_UNKNOWN if self.slice.packet_type is None else int(self.slice.packet_type[row])

    def _put_together(self) -> Block:
        """Return the rows of the packets whose last fragment is in this slice."""
        found = [(row, fragment, layer) for some in self.slice.fragments for row, fragment, layer in self._each(some)]
        found.sort(key=itemgetter(0))
        whole: dict[int, list[Packet]] = {}
        for row, fragment, (encapsulation, tunnel) in found:
            packet = self.decoder.reassembler.add(fragment)
            if packet is not None:
                link_type = RAW_IPV4 if fragment.version == 4 else RAW_IPV6
                raw = RawFrame(packet.octets, packet.original, fragment.time_ns, link_type, self._packet_type(row))
                whole.setdefault(fragment.version, []).append((raw, fragment.frame, encapsulation, tunnel))
        blocks = [self._whole_packets(version, packets) for version, packets in whole.items()]
        return blocks[0] if len(blocks) == 1 else _merged(*blocks) if blocks else Block(SegmentTable.empty())

    def _each(self, some: FragmentRows) -> Iterator[tuple[int, Fragment, tuple[int, int]]]:
        """Yield fragments one by one, each with its row and the numbers of its encapsulation and its tunnel."""
        layer, rows = some.layer, some.layer.rows
        start, held = self.slice.offset[rows], self.slice.octets.data

        def octets(begin: PerRow, end: PerRow) -> Iterator[bytes]:
            ranges = zip((start + begin).tolist(), (start + end).tolist(), strict=True)
            return (held[first:stop].tobytes() for first, stop in ranges)

        def each(column: PerRow | Mask) -> list[Any]:
            of_rows: list[Any] = np.broadcast_to(np.asarray(column), rows.shape).tolist()
            return of_rows

        header_end = some.data_at if some.version == 4 else layer.at + ip.FIXED_OCTETS[6]
        captured_end = np.minimum(layer.at + np.maximum(self.slice.there(layer), 0), some.data_at + some.length)
        tunnel = each(layer.tunnel)
        fragments = map(
            partial(Fragment, some.version),
            octets(layer.at, header_end),
            each(some.protocol),
            each(some.identification),
            tunnel,
            each(some.position),
            each(some.more),
            octets(some.data_at, np.maximum(some.data_at, captured_end)),
            each(some.length),
            self.records.frame[self.part][rows].tolist(),
            self.records.time_ns[self.part][rows].tolist(),
        )
        yield from zip(rows.tolist(), fragments, zip(each(layer.encapsulation), tunnel, strict=True), strict=True)

    def _whole_packets(self, version: int, packets: list[Packet]) -> Block:
        """Decode reassembled or inflated packets; the frame that completed a packet counts as its frame."""
        if self.wholes == MOST_WHOLES:
            return Block(SegmentTable.empty(), unread=Counter({"endless fragments": len(packets)}))
        raw, frame, encapsulation, tunnel = (list(column) for column in zip(*packets, strict=True))
        records = replace(records_of(raw), frame=np.array(frame, np.int64))
        again = SliceDecoder(
            self.decoder, with_slack(records), slice(0, len(raw)), self.capture, wholes=self.wholes + 1
        )
        header = Header.IPV4 if version == 4 else Header.IPV6
        around = (np.array(encapsulation, np.int64), np.array(tunnel, np.int64))
        again.follow(iter([Layer(header, np.arange(len(raw)), 0, None, *around)]))
        return again._with_packets_inside(again.block())


def _merged(first: Block, second: Block) -> Block:
    """Merge two blocks in the order of their frames."""
    return Block(
        _in_order(first.segments, second.segments),
        _in_order(first.datagrams, second.datagrams),
        _in_order(first.icmp_errors, second.icmp_errors),
        first.unread + second.unread,
    )


def _in_order(first: T, second: T) -> T:
    if not len(second):
        return first
    both = type(first).concatenate([first, second])
    return both.take(np.argsort(both["frame"], kind="stable"))
