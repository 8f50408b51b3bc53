"""Transport headers in columns: TCP and UDP, and the quotes of ICMP errors.

In: `Packets` from `ip`. Out: `FoundRows` of a table; for UDP also the `Layer`s in tunnels. RFC 9293 §3.1, RFC 768;
option lists are read by `options`, quotes by `icmp`. Malformed and truncated headers are counted by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.headers import udp_tunnels
from handshake_inspect.capture.headers.icmp import carried, read_errors
from handshake_inspect.capture.headers.ip import Packets
from handshake_inspect.capture.headers.layers import Header, Layer, Matrix, Slice, field_of, of
from handshake_inspect.capture.headers.options import LONGEST_OCTETS, OptionColumns, read_options
from handshake_inspect.plain import plain
from handshake_inspect.table import PACKET_TYPE_UNKNOWN, DatagramTable, IcmpErrorTable, SegmentTable, Table

#: Octets of a TCP header that are needed: up to the window. Checksum and urgent pointer may be cut off.
NEEDED_OF_TCP = 16


@plain
class FoundRows:
    """Rows of one table that were read together, in the order of their frames."""

    table: type[Table]
    #: The index of each row's frame in the slice.
    rows: Rows
    #: By the table's names, one value for all rows or one per row; missing columns are 0.
    columns: dict[str, Any]
    #: Their packets, and the octets of each transport header; None for ICMP errors, whose quotes have no payload to
    #: show.
    packets: Packets | None = None
    header_octets: Rows | None = None

    def payloads(self) -> Iterator[tuple[int, int, int]]:
        """Yield for each row SEG.SEQ (0 for UDP), the offset of its payload in its frame, and its captured octets."""
        if self.packets is None or self.header_octets is None:
            return
        begin = np.add(self.packets.at, self.header_octets).tolist()
        captured = np.maximum(self.packets.captured - self.header_octets, 0).tolist()
        seq = self.columns["seq"].tolist() if "seq" in self.columns else [0] * len(begin)
        yield from zip(seq, begin, captured, strict=True)


def tcp(part: Slice, packets: Packets) -> Iterator[FoundRows]:
    """Read TCP headers (RFC 9293 §3.1)."""
    packets = _with_header(part, packets, 20, NEEDED_OF_TCP, "TCP")
    if not len(packets.rows):
        return
    header, at = packets.headers(part)
    # Data offset and control bits.
    words = field_of(header, ">u2", at + 12).astype(np.uint16)
    header_octets = (words >> 10 & 0x3C).astype(np.int64)
    good = part.expect((words >= 5 << 12) & (header_octets <= packets.payload), "malformed TCP header")
    if not good.all():
        packets, header_octets, words = packets.take(good), header_octets[good], words[good]
        if not len(packets.rows):
            return
        header, at = packets.headers(part)
    flags = words & np.uint16(0x0FFF)
    lists = _option_lists(part, packets, header_octets - 20, flags)
    columns = {
        **_common(part, packets),
        "src_port": field_of(header, ">u2", at),
        "dst_port": field_of(header, ">u2", at + 2),
        "seq": field_of(header, ">u4", at + 4),
        "ack": field_of(header, ">u4", at + 8),
        "flags": flags,
        "window": field_of(header, ">u2", at + 14),
        "payload_octets": packets.payload - header_octets,
        "options": lists.options,
        "timestamp_value": lists.timestamp_value,
        "timestamp_echo": lists.timestamp_echo,
        "has_timestamps": lists.has_timestamps,
    }
    yield FoundRows(SegmentTable, packets.rows, columns, packets, header_octets)


def _option_lists(part: Slice, packets: Packets, octets: Rows, flags: NDArray[np.uint16]) -> OptionColumns:
    """Read the option lists between TCP's header and its payload."""

    def lists(chosen: Rows) -> Matrix:
        return part.gather(packets.rows.take(chosen), of(packets.at, chosen) + 20, LONGEST_OCTETS)

    header, at = packets.headers(part)
    return read_options(
        header[:, at + 20 : at + 32], octets, packets.captured - 20, flags & 2 != 0, lists, part.names.options
    )


def udp(part: Slice, packets: Packets) -> Iterator[FoundRows | Layer]:
    """Read UDP headers (RFC 768); UDP's own length counts if it fits, as options may follow it (RFC 9868)."""
    packets = _with_header(part, packets, 8, 8, "UDP")
    if not len(packets.rows):
        return
    header, at = packets.headers(part)
    length = field_of(header, ">u2", at + 4).astype(np.int64)
    length = np.where((length >= 8) & (length <= packets.payload), length, packets.payload)
    payload = packets.next(Header.UDP, 8, end=packets.at + length)
    entered, inside = udp_tunnels.in_udp(part, payload, field_of(header, ">u2", at), field_of(header, ">u2", at + 2))
    yield from inside
    if entered.any():
        packets, length = packets.take(~entered), length[~entered]
        if not len(packets.rows):
            return
        header, at = packets.headers(part)
    columns = {
        **_common(part, packets),
        "src_port": field_of(header, ">u2", at),
        "dst_port": field_of(header, ">u2", at + 2),
        "payload_octets": length - 8,
    }
    yield FoundRows(DatagramTable, packets.rows, columns, packets, np.full(len(packets.rows), 8))


def icmp(part: Slice, packets: Packets) -> Iterator[FoundRows]:
    """Read the quotes of ICMP errors; all other ICMP messages are counted."""
    begin = part.offset[packets.rows] + packets.at
    version = cast(int, packets.version)
    rows, columns = read_errors(part.octets, begin, packets.captured, version)
    part.unread["ICMP" if version == 4 else "ICMPv6"] += len(packets.rows) - len(rows)
    if len(rows):
        for name, value in carried(_common(part, packets)).items():
            columns[name] = value if isinstance(value, int) else value[rows]
        yield FoundRows(IcmpErrorTable, packets.rows[rows], columns)


def _with_header(part: Slice, packets: Packets, octets: int, needed: int, name: str) -> Packets:
    """Keep the packets that are long enough for a header of `octets`, with `needed` octets of it captured."""
    kept = packets.take(part.expect(packets.payload >= octets, f"malformed {name} header"))
    return kept.take(part.expect(kept.captured >= needed, f"truncated {name} header"))


def _common(part: Slice, packets: Packets) -> dict[str, Any]:
    """Return the columns from the IP header and the encapsulation."""
    columns: dict[str, Any] = {
        "ip_version": packets.version,
        "packet_type": PACKET_TYPE_UNKNOWN if part.packet_type is None else part.packet_type[packets.rows],
        "encapsulation": packets.encapsulation,
        "tunnel": packets.tunnel,
    }
    return {**columns, **packets.fields}


READERS: dict[Header, Callable[[Slice, Packets], Iterator[FoundRows | Layer]]] = {
    Header.TCP: tcp, Header.UDP: udp, Header.ICMP: icmp,
}  # fmt: skip
