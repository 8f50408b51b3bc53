"""The same as `decode`, through Scapy's dissector: for what we do not read ourselves, and as the oracle of what we do.

In: some records of a block (`decode_records`), or a whole file or list of packets (`read`). Out: `Block`s with the
same columns. Scapy cuts a frame into layers; this module takes the first TCP, UDP or ICMP layer from outside and
judges it by the rules of `decode`: lengths are those of the IP header, fragments and broken headers are counted.
Scapy is imported inside the functions, so that reading ordinary captures does not pay for it.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.icmp import COLUMNS, ERRORS, ERRORS_V6, HEADER_OCTETS, read_quote
from handshake_inspect.capture.ip import CARRIERS, PROTOCOL_NAMES
from handshake_inspect.capture.link import (
    AF_INET6,
    ETHERTYPE_NAMES,
    LINK_TYPE_NAMES,
    LINUX_SLL,
    LINUX_SLL2,
    encapsulation_number,
)  # fmt: skip
from handshake_inspect.capture.options import layout
from handshake_inspect.capture.pcapng import nanoseconds
from handshake_inspect.capture.records import CaptureError, RawFrame, Records, records_of
from handshake_inspect.table import (
    PACKET_TYPE_UNKNOWN,
    Block,
    DatagramTable,
    IcmpErrorTable,
    Names,
    SegmentTable,
    Table,
)

#: Frames in one block of `read`.
BLOCK_FRAMES = 4096
#: Times of packets made by hand or by broken clocks are cut to what 64 bits hold.
LATEST_NS = (1 << 63) - 1
#: Longest frame asked of Scapy's readers; their own limit of 65535 cuts frames of loopback.
LONGEST_FRAME_OCTETS = 1 << 24
#: A path, "-", a binary file object, or a list of Scapy's packets.
Source = str | os.PathLike[str] | BinaryIO | Iterable[Any]
SYN = 2
TCP = 6
Row = dict[str, int]
T = TypeVar("T", bound=Table)


@cache
def scapy_layers() -> SimpleNamespace:
    """Import the layers of Scapy that can stand around TCP. Their import binds them to each other."""
    import scapy.contrib.chdlc
    import scapy.contrib.etherip
    import scapy.contrib.mpls
    import scapy.layers.dot11
    import scapy.layers.ipsec
    import scapy.layers.ppi
    import scapy.layers.ppp  # noqa: F401
    from scapy.config import conf
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
    from scapy.layers.l2 import Dot1Q
    from scapy.packet import NoPayload, Raw

    return SimpleNamespace(
        conf=conf, ICMP=ICMP, IP=IP, TCP=TCP, UDP=UDP, IPv6=IPv6, IPv6ExtHdrFragment=IPv6ExtHdrFragment,
        Dot1Q=Dot1Q, NoPayload=NoPayload, Raw=Raw,
    )  # fmt: skip


def decode_records(records: Records, rows: Iterable[int] | NDArray[np.int64], names: Names, capture: int) -> Block:
    """Return what Scapy finds in these rows of a block of records."""
    collected = Collector(names, capture)
    with _quiet():
        for row in np.asarray(rows).tolist():
            collected.add(records.raw(row), int(records.frame[row]))
    return collected.block()


def decode_block(records: Records, names: Names, capture: int) -> Block:
    """Return what Scapy finds in a whole block of records."""
    return decode_records(records, range(len(records)), names, capture)


def read(source: Source, names: Names, capture: int = 0) -> Iterator[Block]:
    """Read a file with Scapy's own reader, or a list of packets, from end to end through Scapy.

    Raises CaptureError if Scapy cannot open the file.
    """
    for _, block in read_with_records(source, names, capture):
        yield block


def read_with_records(source: Source, names: Names, capture: int = 0) -> Iterator[tuple[Records, Block]]:
    """Yield the same blocks, each with the records that it was made of."""
    for records in read_records(source):
        yield records, decode_block(records, names, capture)


def read_records(source: Source) -> Generator[Records]:
    """Yield the frames of a file as Scapy's own reader cuts it, or of a list of packets, in blocks of records.

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
    layers = scapy_layers()
    interfaces = _names_of_interfaces(packets)
    for packet in packets:
        octets = bytes(packet)
        # A Decimal as Scapy reads it from files, or a float with no more than it can hold.
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
    """Number the interfaces that the packets of a list name, if there are several."""
    if isinstance(packets, Iterator):  # can be iterated only once
        return {}
    names = dict.fromkeys(getattr(packet, "sniffed_on", None) for packet in packets)
    return {name: number for number, name in enumerate(names)} if len(names) > 1 else {}


def _raw_frames(source: Any) -> Iterator[RawFrame]:
    """Yield the frames of a file as Scapy's readers cut it, with exact times (a packet's `time` may be a float)."""
    from scapy.utils import RawPcapNgReader

    with contextlib.ExitStack() as stack:
        reader = _scapy_reader(source, stack)
        interfaces = _Interfaces(reader)
        while True:
            try:
                with _quiet():
                    octets, about = reader._read_packet(size=LONGEST_FRAME_OCTETS)
            except EOFError:
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
    """Which interface the last packet of a pcapng file came from, over all sections: its reader does not tell."""

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

    scapy_layers()
    name = _name(source)
    file = sys.stdin.buffer if source == "-" else source
    try:
        if isinstance(file, str | os.PathLike):
            file = stack.enter_context(Path(file).open("rb"))  # noqa: SIM115 (closed by the stack)
            if file.peek(2)[:2] == b"\x1f\x8b":
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
        with _quiet():
            return RawPcapReader(file)
    except (Scapy_Exception, OSError, EOFError) as error:
        raise CaptureError(f"{name}: Scapy cannot open it: {error}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Scapy from logging what it dislikes in a frame: we count it."""
    logger = logging.getLogger("scapy.runtime")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


class Collector:
    """Dissects frames one by one and keeps their rows."""

    def __init__(self, names: Names, capture: int) -> None:
        self.names = names
        self.capture = capture
        self.layers = scapy_layers()
        self.segments: list[Row] = []
        self.datagrams: list[Row] = []
        self.icmp_errors: list[Row] = []
        self.unread: Counter[str] = Counter()

    def block(self) -> Block:
        """Return the rows so far."""
        return Block(
            _table(SegmentTable, self.segments),
            _table(DatagramTable, self.datagrams),
            _table(IcmpErrorTable, self.icmp_errors),
            self.unread,
        )

    def add(self, raw: RawFrame, number: int) -> None:
        """Dissect one frame, and keep its row or count it."""
        try:
            dissector = self.layers.conf.l2types.num2layer[raw.link_type]
        except KeyError:
            self.unread[f"{LINK_TYPE_NAMES.get(raw.link_type, f'link type {raw.link_type}')} frame"] += 1
            return
        common = {"time_ns": raw.time_ns, "frame": number, "capture": self.capture, "packet_type": raw.packet_type}
        try:
            packet = dissector(raw.octets)
            kind = self._add_packet(packet, raw, common)
        except Exception as error:  # Scapy's dissectors raise anything on octets they did not expect
            kind = f"frame that Scapy fails on ({type(error).__name__})"
        if kind:
            self.unread[kind] += 1

    def _add_packet(self, packet: Any, raw: RawFrame, common: Row) -> str | None:
        """Walk the layers from outside to the first transport. Return the kind of a frame that has no row."""
        layers = self.layers
        if raw.link_type in (LINUX_SLL, LINUX_SLL2) and hasattr(packet, "pkttype"):
            common["packet_type"] = min(packet.pkttype, PACKET_TYPE_UNKNOWN)
        vlans: list[str] = []
        ip, layer, kind = None, packet, ""
        while not isinstance(layer, layers.NoPayload):
            which = type(layer)
            if isinstance(layer, layers.Dot1Q):
                vlans.append(f"vlan:{layer.vlan}")
            elif which in (layers.IP, layers.IPv6):
                ip = layer
                if which is layers.IP and (layer.frag or layer.flags.MF):
                    return "IPv4 fragment"
            elif which is layers.IPv6ExtHdrFragment and (layer.offset or layer.m):
                return "IPv6 fragment"
            elif ip is not None and (
                which in (layers.TCP, layers.UDP, layers.ICMP) or which.__name__.startswith("ICMPv6")
            ):
                common["encapsulation"] = encapsulation_number(self.names, vlans)
                return self._add_transport(ip, layer, raw, common)
            elif layer.name not in ("Raw", "Padding"):
                kind = layer.name
            layer = self._below(layer)
        return _kind(ip, layers, packet, kind, raw)

    def _below(self, layer: Any) -> Any:
        """Return the payload; also where Scapy does not know what it is, and we do: IPv6 after a BSD loopback
        header with the number of another system, and TCP with options that it cannot cut.
        """
        below = layer.payload
        is_ipv6 = layer.name.startswith("Loopback") and getattr(layer, "type", None) in AF_INET6
        if type(below) is not self.layers.Raw:
            return below
        if is_ipv6:
            return self.layers.IPv6(below.original)
        octets = below.original
        if getattr(layer, "proto", getattr(layer, "nh", None)) == TCP and len(octets) >= 20:
            # Scapy gives up on the whole header for an option that it cannot cut (here: AO of 1 octet).
            tcp = self.layers.TCP(octets[:12] + bytes([0x50 | octets[12] & 0xF]) + octets[13:20])
            tcp.original, tcp.dataofs = octets, octets[12] >> 4
            return tcp
        return below

    def _add_transport(self, ip: Any, transport: Any, raw: RawFrame, common: Row) -> str | None:
        layers, octets = self.layers, transport.original
        header = ip.ihl * 4 if type(ip) is layers.IP else 40
        before = header + len(ip.payload.original) - len(octets)
        total = ip.len if type(ip) is layers.IP else ip.plen and ip.plen + 40
        payload = (total or raw.original - (len(raw.octets) - len(ip.original))) - before
        row = {**common, **_addresses(ip, layers)}
        if type(transport) is layers.TCP:
            return self._add_segment(transport, payload, row)
        if type(transport) is layers.UDP:
            return self._add_datagram(transport, payload, row)
        quoted = None
        if octets[0] in (ERRORS if type(ip) is layers.IP else ERRORS_V6) and len(octets) >= HEADER_OCTETS + 24:
            quoted = read_quote(octets[HEADER_OCTETS:])
        if quoted is None:
            return "ICMP" if type(ip) is layers.IP else "ICMPv6"
        self.icmp_errors.append({**row, **dict(zip(COLUMNS, (octets[0], octets[1], *quoted), strict=True))})
        return None

    def _add_segment(self, tcp: Any, payload: int, row: Row) -> str | None:
        header = tcp.dataofs * 4
        if payload < 20 or header < 20 or header > payload:
            return "malformed TCP header"
        flags = int(tcp.flags) | tcp.reserved << 9
        options = tcp.original[20:header]
        timestamps, _ = layout(options)
        if timestamps is not None:
            values = options[timestamps + 2 : timestamps + 10]
            options = options[: timestamps + 2] + bytes(8) + options[timestamps + 10 :]
            row.update(
                timestamp_value=int.from_bytes(values[:4]), timestamp_echo=int.from_bytes(values[4:]), has_timestamps=1
            )
        row.update(
            src_port=tcp.sport, dst_port=tcp.dport, seq=tcp.seq, ack=tcp.ack, flags=flags, window=tcp.window,
            payload_octets=payload - header, options=self.names.options.number(options) if flags & SYN else 0,
        )  # fmt: skip
        self.segments.append(row)
        return None

    def _add_datagram(self, udp: Any, payload: int, row: Row) -> str | None:
        if payload < 8:
            return "malformed UDP header"
        octets = udp.len if 8 <= udp.len <= payload else payload
        row.update(src_port=udp.sport, dst_port=udp.dport, payload_octets=octets - 8)
        self.datagrams.append(row)
        return None


def _table(kind: type[T], rows: list[Row]) -> T:
    return kind({name: np.array([row.get(name, 0) for row in rows], dtype) for name, dtype in kind.DTYPES.items()})


def _addresses(ip: Any, layers: SimpleNamespace) -> Row:
    """Return the columns that an IP layer gives."""
    import socket

    if type(ip) is layers.IP:
        source, destination = (int.from_bytes(socket.inet_aton(address)) for address in (ip.src, ip.dst))
        return {"ip_version": 4, "src_lo": source, "dst_lo": destination, "ip_id": ip.id, "ttl": ip.ttl}
    source, destination = (int.from_bytes(socket.inet_pton(socket.AF_INET6, address)) for address in (ip.src, ip.dst))
    low = (1 << 64) - 1
    return {
        "ip_version": 6, "src_hi": source >> 64, "src_lo": source & low,
        "dst_hi": destination >> 64, "dst_lo": destination & low, "ttl": ip.hlim,
    }  # fmt: skip


def _kind(ip: Any, layers: SimpleNamespace, packet: Any, last: str, raw: RawFrame) -> str:
    """Name a frame in which no transport was found, by the innermost layer that Scapy knows."""
    if ip is not None:
        protocol = ip.proto if type(ip) is layers.IP else ip.nh
        if protocol in (6, 17):
            return f"truncated {'TCP' if protocol == 6 else 'UDP'} header"
        if protocol not in CARRIERS:
            return PROTOCOL_NAMES.get(protocol, f"IP protocol {protocol}")
        return CARRIERS[protocol]
    ethertype = getattr(packet, "type", None)
    if raw.link_type == 1 and isinstance(ethertype, int):
        return ETHERTYPE_NAMES.get(ethertype, f"ethertype 0x{ethertype:04x}")
    return last or f"{LINK_TYPE_NAMES.get(raw.link_type, f'link type {raw.link_type}')} frame"
