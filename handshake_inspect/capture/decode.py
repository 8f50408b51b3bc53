"""A block of records -> tables of TCP segments, UDP datagrams and ICMP errors; what holds none is counted by kind.

In: `Records`. Out: `Block`. RFC 9293 §3.1, RFC 768; link headers are in `link`, IP headers in `ip`, option lists in
`options`, quotes of ICMP in `icmp`. Frames are read in slices that fit the cache: one copy of the first 128 octets of
each, then one strided copy per header field for all frames whose headers stand at the same places. What may hold a
packet that is not read here goes to `scapy_reader`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.icmp import read_errors
from handshake_inspect.capture.ip import TCP, UDP, IpDecoder, Matrix, Numbers, Packets
from handshake_inspect.capture.link import DECODED, Frames, LinkDecoder, Links, Rows, gather
from handshake_inspect.capture.options import read_options
from handshake_inspect.capture.records import Records
from handshake_inspect.capture.source import SLACK_OCTETS
from handshake_inspect.table import (
    PACKET_TYPE_UNKNOWN,
    Block,
    DatagramTable,
    IcmpErrorTable,
    Names,
    SegmentTable,
    Table,
)

#: Rows of a slice: with 128 octets each they fit the second-level cache.
SLICE_ROWS = 1 << 14

T = TypeVar("T", bound=Table)


def field(header: Matrix, dtype: str, at: int) -> NDArray[Any]:
    """Return the header field at column `at` of each row, without a copy."""
    return np.ndarray((len(header),), dtype, header, at, (header.strides[0],))


class Decoder:
    """Decodes the records of a run; numbers of names are shared through `names`."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._links = LinkDecoder(names)

    def decode(self, records: Records, capture: int) -> Block:
        """Return the rows of a block of records of the file with number `capture`."""
        blocks = list(self.slices(records, capture))
        if len(blocks) == 1:
            return blocks[0]
        return Block(
            SegmentTable.concatenate([block.segments for block in blocks]),
            DatagramTable.concatenate([block.datagrams for block in blocks]),
            IcmpErrorTable.concatenate([block.icmp_errors for block in blocks]),
            sum((block.unread for block in blocks), Counter()),
        )

    def payload_place(self, records: Records) -> tuple[int, int]:
        """Return where the TCP or UDP payload of the only frame in `records` begins in it, and its captured octets.

        (0, 0) if it holds neither.
        """
        one = SliceDecoder(self.names, self._links, with_slack(records), slice(0, 1), 0)
        one.decode()
        return one.payload_place

    def slices(self, records: Records, capture: int) -> Iterator[Block]:
        """Yield the same in slices of at most SLICE_ROWS records, to go on with while they are in the cache."""
        records = with_slack(records)
        for first in range(0, len(records), SLICE_ROWS):
            yield SliceDecoder(self.names, self._links, records, slice(first, first + SLICE_ROWS), capture).decode()


def with_slack(records: Records) -> Records:
    """Return records in whose buffer HEAD_OCTETS can be read from any place in a frame."""
    if not len(records):
        return records
    needed = int((records.offset + records.captured).max()) + SLACK_OCTETS
    if needed <= len(records.buffer):
        return records
    return replace(records, buffer=np.pad(records.buffer, (0, needed - len(records.buffer))))


class SliceDecoder:
    """Decodes one slice. Each step finds the frames with one layout and hands them on to the next."""

    def __init__(self, names: Names, links: LinkDecoder, records: Records, part: slice, capture: int) -> None:
        self.names = names
        self.link_decoder = links
        self.records = records
        self.part = part
        self.capture = capture
        offset = records.offset[part]
        head = gather(records.buffer, offset)
        self.frames = Frames(records.buffer, offset, records.captured[part], records.original[part], head)
        self.links = Links()
        self.unread = self.links.unread
        #: Of the last packet read: where its payload begins in its frame, and how much of it was captured.
        self.payload_place = (0, 0)
        self.found: dict[type[Table], list[tuple[Rows, dict[str, Any]]]] = {}

    def decode(self) -> Block:
        """Return the rows of the slice."""
        self._read_links()
        ip = IpDecoder(self.frames, self.links)
        for network in self.links.networks:
            for packets in ip.packets(network):
                if packets.protocol == TCP:
                    self._tcp(packets)
                elif packets.protocol == UDP:
                    self._udp(packets)
                else:
                    self._icmp(packets)
        block = Block(self._table(SegmentTable), self._table(DatagramTable), self._table(IcmpErrorTable), +self.unread)
        return self._with_scapy(block)

    def _read_links(self) -> None:
        if self.records.packet_type is not None:
            self.links.packet_type = self.records.packet_type[self.part].copy()
        link_type = self.records.link_type[self.part]
        everything = np.arange(len(link_type))
        same = bool((link_type == link_type[0]).all())
        for each in [int(link_type[0])] if same else np.flatnonzero(np.bincount(link_type)).tolist():
            rows = everything if same else everything[link_type == each]
            if each in DECODED:
                self.link_decoder.decode(self.frames, rows, each, self.links)
            else:
                self.links.carriers.append(rows)

    # --- what IP carries --------------------------------------------------------------------------------------

    def _tcp(self, packets: Packets) -> None:
        """Read TCP headers (RFC 9293 §3.1)."""
        packets = self._header_is_there(packets, 20, "TCP")
        if not len(packets.rows):
            return
        header_octets = (field(packets.transport, "u1", packets.transport_column + 12) >> 4).astype(np.int64) * 4
        good = (header_octets >= 20) & (header_octets <= packets.payload)
        if not self.links.expect(good, "malformed TCP header").all():
            packets, header_octets = packets.take(good), header_octets[good]
            if not len(packets.rows):
                return
        tcp, at = packets.transport, packets.transport_column
        self._note_payload(packets, header_octets)
        flags = field(tcp, ">u2", at + 12) & np.uint16(0x0FFF)
        lists = read_options(
            tcp, at, np.minimum(packets.captured, header_octets) - 20, flags & 2 != 0, self.names.options
        )
        columns = {
            **self._common(packets),
            "src_port": field(tcp, ">u2", at),
            "dst_port": field(tcp, ">u2", at + 2),
            "seq": field(tcp, ">u4", at + 4),
            "ack": field(tcp, ">u4", at + 8),
            "flags": flags,
            "window": field(tcp, ">u2", at + 14),
            "payload_octets": packets.payload - header_octets,
            "ip_id": field(packets.ip, ">u2", packets.ip_at + 4) if packets.version == 4 else 0,
            "ttl": field(packets.ip, "u1", packets.ip_at + (8 if packets.version == 4 else 7)),
            "packet_type": self._packet_type(packets),
            "options": lists.options,
            "timestamp_value": lists.timestamp_value,
            "timestamp_echo": lists.timestamp_echo,
            "has_timestamps": lists.has_timestamps,
        }
        self.found.setdefault(SegmentTable, []).append((packets.rows, columns))

    def _udp(self, packets: Packets) -> None:
        """Read UDP headers (RFC 768); its own length counts where it fits, as options may follow (RFC 9868)."""
        packets = self._header_is_there(packets, 8, "UDP")
        if not len(packets.rows):
            return
        udp, at = packets.transport, packets.transport_column
        length = field(udp, ">u2", at + 4).astype(np.int64)
        self._note_payload(packets, np.full(1, 8))
        columns = {
            **self._common(packets),
            "src_port": field(udp, ">u2", at),
            "dst_port": field(udp, ">u2", at + 2),
            "payload_octets": np.where((length >= 8) & (length <= packets.payload), length, packets.payload) - 8,
            "ip_id": field(packets.ip, ">u2", packets.ip_at + 4) if packets.version == 4 else 0,
            "packet_type": self._packet_type(packets),
        }
        self.found.setdefault(DatagramTable, []).append((packets.rows, columns))

    def _note_payload(self, packets: Packets, header_octets: Numbers) -> None:
        start = packets.transport_at if isinstance(packets.transport_at, int) else int(packets.transport_at[-1])
        octets = int(header_octets[-1])
        self.payload_place = (start + octets, max(int(packets.captured[-1]) - octets, 0))

    def _icmp(self, packets: Packets) -> None:
        """Read what ICMP errors quote; everything else in ICMP is counted."""
        start = packets.transport_at
        begin = self.frames.offset[packets.rows] + start
        rows, columns = read_errors(self.frames.octets, begin, packets.captured, packets.version)
        self.unread["ICMP" if packets.version == 4 else "ICMPv6"] += len(packets.rows) - len(rows)
        if len(rows):
            encapsulation = packets.encapsulation
            columns["encapsulation"] = encapsulation if isinstance(encapsulation, int) else encapsulation[rows]
            self.found.setdefault(IcmpErrorTable, []).append((packets.rows[rows], columns))

    def _header_is_there(self, packets: Packets, octets: int, name: str) -> Packets:
        """Keep the packets whose transport header is as long as it must be, and was captured."""
        kept = packets.take(self.links.expect(packets.payload >= octets, f"malformed {name} header"))
        return kept.take(self.links.expect(kept.captured >= octets, f"truncated {name} header"))

    def _common(self, packets: Packets) -> dict[str, Any]:
        """Return the columns that the IP header gives."""
        ip, at = packets.ip, packets.ip_at
        if packets.version == 4:
            addresses = {
                "src_hi": 0, "src_lo": field(ip, ">u4", at + 12), "dst_hi": 0, "dst_lo": field(ip, ">u4", at + 16),
            }  # fmt: skip
        else:
            addresses = {
                name: field(ip, ">u8", at + place)
                for name, place in (("src_hi", 8), ("src_lo", 16), ("dst_hi", 24), ("dst_lo", 32))
            }
        return {**addresses, "ip_version": packets.version, "encapsulation": packets.encapsulation}

    def _packet_type(self, packets: Packets) -> Any:
        given = self.links.packet_type
        return PACKET_TYPE_UNKNOWN if given is None else given[packets.rows]

    # --- rows -> table ----------------------------------------------------------------------------------------

    def _table(self, kind: type[T]) -> T:
        """Put the columns that were found into one table, in the order of capture."""
        found = self.found.get(kind, [])
        if not found:
            return kind.empty()
        ends = np.cumsum([len(rows) for rows, _ in found]).tolist()
        parts = [(slice(end - len(rows), end), given) for end, (rows, given) in zip(ends, found, strict=True)]
        count, in_order = ends[-1], len(found) == 1
        rows = found[0][0] if in_order else np.concatenate([each for each, _ in found])
        if not in_order:  # fill each column part by part, then take it in the order of capture: quicker than to scatter
            place = np.full(len(self.frames.offset), -1)
            place[rows] = np.arange(count)
            order = place[place >= 0]
            rows = rows[order]
        columns: dict[str, Any] = {}
        for name, dtype in kind.DTYPES.items():
            if name in ("time_ns", "frame"):
                column = getattr(self.records, name)[self.part]
                columns[name] = column if count == len(column) else column[rows]
                continue
            if name == "capture":
                columns[name] = np.full(count, self.capture, dtype)
                continue
            columns[name] = column = np.empty(count, dtype)
            for part, given in parts:
                column[part] = given.get(name, 0)
            values = [given.get(name, 0) for _, given in parts]
            same = all(isinstance(value, int) and value == values[0] for value in values)
            if not in_order and not same:
                columns[name] = column[order]
        return kind(columns)

    def _with_scapy(self, block: Block) -> Block:
        """Add what Scapy finds in the frames that are not read here."""
        if not self.links.carriers:
            return block
        from handshake_inspect.capture import scapy_reader  # ordinary captures do not pay for its import

        rows = np.sort(np.concatenate(self.links.carriers)) + (self.part.start or 0)
        other = scapy_reader.decode_records(self.records, rows, self.names, self.capture)
        return Block(
            _merge(block.segments, other.segments),
            _merge(block.datagrams, other.datagrams),
            _merge(block.icmp_errors, other.icmp_errors),
            block.unread + other.unread,
        )


def _merge(first: T, second: T) -> T:
    """Put two tables together in the order of their frames."""
    if not len(second):
        return first
    both = type(first).concatenate([first, second])
    return both.take(np.argsort(both["frame"], kind="stable"))
