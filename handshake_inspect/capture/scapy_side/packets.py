"""Frames -> rows of segments, datagrams and ICMP errors, through Scapy.

In: single frames. Out: the rows of a `Block`. Each place in a frame is read by the step of its kind, from outside to
inside; this module has the steps of IP and of the protocols that become rows. RFC 791, RFC 8200, RFC 4302, RFC 9293
§3.1, RFC 768. Lengths are those of the IP header, as in `decode`; frames without a row are counted by kind.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from handshake_inspect.capture.fragments import MOST_WHOLES, Fragment, Reassembler
from handshake_inspect.capture.headers.icmp import carried
from handshake_inspect.capture.headers.ip import PROTOCOL_NAMES
from handshake_inspect.capture.headers.options import CUT, WORD_OCTETS, layout, number_of
from handshake_inspect.capture.inflating import CompressedError, inflated
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.scapy_side import ethertypes as scapy_ethertypes
from handshake_inspect.capture.scapy_side import layers as layers
from handshake_inspect.capture.scapy_side import links as scapy_links
from handshake_inspect.capture.scapy_side import tunnels as scapy_tunnels
from handshake_inspect.capture.scapy_side import wlan as scapy_wlan
from handshake_inspect.capture.scapy_side.places import MOST_HEADERS, Place, Step, Unread, fixed_header_at
from handshake_inspect.capture.scapy_side.quotes import COLUMNS, read_message
from handshake_inspect.table import (
    PACKET_TYPE_UNKNOWN,
    Block,
    DatagramTable,
    IcmpErrorTable,
    Names,
    SegmentTable,
    Table,
    bounded_number,
)

ICMP, IPV4_IN, TCP, UDP, IPV6_IN, FRAGMENT, AH, ICMPV6, IPCOMP = 1, 4, 6, 17, 41, 44, 51, 58, 108
#: Headers between IPv6 and its payload (RFC 8200 §4): hop-by-hop, routing, fragment, AH, destination, mobility, HIP,
#: shim6. In IPv4, only AH begins such a chain.
EXTENSIONS = (0, 43, FRAGMENT, AH, 60, 135, 139, 140)
MOST_EXTENSIONS = 32
#: Words for IP in IP, by the outer and inner version.
IP_IN_IP = {(4, 4): "ipip", (4, 6): "6in4", (6, 4): "4in6", (6, 6): "6in6"}
SYN = 2
#: Octets of a TCP header up to the window, the last field that is read.
NEEDED_OF_TCP = 16
LINUX_SLL, LINUX_SLL2 = 113, 276
Row = dict[str, int]
T = TypeVar("T", bound=Table)


class Collector:
    """Dissects frames one by one and stores their rows."""

    def __init__(self, names: Names, capture: int, fragments: Reassembler) -> None:
        self.names = names
        self.capture = capture
        self.fragments = fragments
        self.rows: dict[type[Table], list[Row]] = {SegmentTable: [], DatagramTable: [], IcmpErrorTable: []}
        self.unread: Counter[str] = Counter()
        #: Columns that all rows of the frame share.
        self._frame: Row = {}
        self._steps: dict[str, Step] = {
            **scapy_links.STEPS, **scapy_ethertypes.STEPS, **scapy_wlan.STEPS, **scapy_tunnels.STEPS,
            "ipv4": self._ipv4, "ipv6": self._ipv6,
        }  # fmt: skip

    def block(self) -> Block:
        """Return the rows so far."""
        segments, datagrams = self._table(SegmentTable), self._table(DatagramTable)
        return Block(segments, datagrams, self._table(IcmpErrorTable), self.unread)

    def add(self, raw: RawFrame, number: int, alike: int = 1) -> None:
        """Dissect one frame and store its rows; one without rows is counted once, by the first kind that was met.

        `alike`: how many frames it stands for, if it has no rows.
        """
        self._frame = {
            "time_ns": raw.time_ns, "frame": number, "capture": self.capture, "packet_type": _packet_type(raw),
        }  # fmt: skip
        todo = [Place("link", raw.octets, raw.original, raw.link_type)]
        before, met = sum(map(len, self.rows.values())), list[str]()
        while todo:
            place = todo.pop()
            further: list[Place] = []
            try:
                if place.depth > MOST_HEADERS:
                    raise Unread("endless headers")
                further.extend(self._steps[place.kind](place))
            except Unread as unread:
                met.append(str(unread))
            except Exception as error:  # Scapy's dissectors raise any exception on unexpected octets
                met.append(f"frame that Scapy fails on ({type(error).__name__})")
            todo += reversed(further)
        if sum(map(len, self.rows.values())) == before:
            self.unread.update(dict.fromkeys(met[:1], alike))

    # --- IP -----------------------------------------------------------------------------------------------------------

    def _ipv4(self, place: Place) -> Iterator[Place]:
        """Read RFC 791 §3.1. Segmentation offload leaves a total length of 0: then the length of the place counts."""
        ip = fixed_header_at(place, layers.IP, 20, "IPv4 header")
        octets = ip.ihl * 4
        if ip.version != 4 or octets < 20:
            raise Unread("malformed IPv4 header")
        if len(place.octets) < octets:
            raise Unread("truncated IPv4 header")
        payload = (ip.len or place.original) - octets
        if payload < 0:
            raise Unread("malformed IPv4 header")
        below = place.after(octets, "", ip.proto).sized(payload)
        if ip.frag or ip.flags.MF:
            yield from self._whole(place, below, place.octets[:octets], ip.id, ip.frag * 8, bool(ip.flags.MF))
            return
        yield from self._chain(place, below, {"ip_version": 4, **_ends(ip), "ip_id": ip.id, "ttl": ip.ttl})

    def _ipv6(self, place: Place) -> Iterator[Place]:
        """Read RFC 8200 §3. A jumbogram has a length of 0 (RFC 2675): then the length of the place counts."""
        ip = fixed_header_at(place, layers.IPv6, 40, "IPv6 header")
        if ip.version != 6:
            raise Unread("malformed IPv6 header")
        below = place.after(40, "", ip.nh).sized(ip.plen or max(place.original - 40, 0))
        yield from self._chain(place, below, {"ip_version": 6, **_ends(ip), "ttl": ip.hlim})

    def _chain(self, ip: Place, place: Place, row: Row) -> Iterator[Place]:
        """Follow the extension headers of the packet at `ip` (RFC 8200 §4), including AH, which adds a word."""
        chain = (AH,) if ip.kind == "ipv4" else EXTENSIONS
        for _ in range(MOST_EXTENSIONS):
            if place.number not in chain:
                yield from self._payload(place, row)
                return
            kind = place.number
            if len(place.octets) < 8:
                raise Unread("truncated extension header" if place.original >= 8 else "malformed extension header")
            header = fixed_header_at(place, layers.Extension, 2, "extension header")
            part = fixed_header_at(place, layers.IPv6ExtHdrFragment, 8, "extension header")
            if kind == FRAGMENT and (part.offset or part.m):
                around, below = replace(ip, words=place.words), place.after(8, "", part.nh)
                yield from self._whole(around, below, ip.octets[:40], part.id, part.offset * 8, bool(part.m))
                return
            octets = {AH: (header.len + 2) * 4, FRAGMENT: 8}.get(kind, (header.len + 1) * 8)
            if octets > place.original:
                raise Unread("malformed extension header")
            place = place.after(octets, "", header.nh)
            place = place.named("ah") if kind == AH else place
        raise Unread("endless extension headers")

    def _whole(
        self, ip: Place, below: Place, header: bytes, identification: int, position: int, more: bool
    ) -> Iterator[Place]:
        """Add a fragment to the reassembler; yield the packet that it completes, as if it were in this frame."""
        fragment = Fragment(
            ip.octets[0] >> 4, header, below.number, identification,
            bounded_number(self.names.tunnel, " ".join(ip.keys)), position, more, below.octets, below.original,
            self._frame["frame"], self._frame["time_ns"],
        )  # fmt: skip
        whole = self.fragments.add(fragment)
        if whole is None:
            return
        if ip.wholes == MOST_WHOLES:
            raise Unread("endless fragments")
        yield replace(
            ip, octets=whole.octets, original=whole.original, depth=0, wholes=ip.wholes + 1, aggregate=False
        )  # fmt: skip

    def _payload(self, place: Place, row: Row) -> Iterator[Place]:
        """Continue by the protocol of an IP packet: store a row, or yield a place further in."""
        version = row["ip_version"]
        if place.number in (IPV4_IN, IPV6_IN):
            word = IP_IN_IP[version, 4 if place.number == IPV4_IN else 6]
            yield place.after(0, "ipv4" if place.number == IPV4_IN else "ipv6").named(word, word)
        elif place.number == IPCOMP:
            yield from self._payload(decompressed(place), row)
        elif place.number in scapy_tunnels.IP_PROTOCOLS:
            yield place.after(0, scapy_tunnels.IP_PROTOCOLS[place.number])
        elif place.number == UDP:
            yield from self._udp(place, row)
        elif place.number == TCP:
            self._tcp(place, row)
        elif place.number in (ICMP, ICMPV6):
            self._icmp(place, row)
        else:
            raise Unread(PROTOCOL_NAMES.get(place.number, f"IP protocol {place.number}"))

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _tcp(self, place: Place, row: Row) -> None:
        """Read RFC 9293 §3.1, without options: Scapy fails on a header if it cannot dissect one of its options."""
        _expect(place, 20, "TCP", needed=NEEDED_OF_TCP)
        octets = place.octets.ljust(20, b"\0")  # the last fields, which may be cut off, are not read
        without_options = octets[:12] + bytes([0x50 | octets[12] & 0xF]) + octets[13:20]
        tcp = fixed_header_at(replace(place, octets=without_options), layers.TCP, 20, "TCP header")
        header = (octets[12] >> 4) * 4
        if not 20 <= header <= place.original:
            raise Unread("malformed TCP header")
        flags = int(tcp.flags) | tcp.reserved << 9
        self._keep(SegmentTable, place, {
            **row, **self._options(octets[20:header], header - 20, flags), "src_port": tcp.sport, "dst_port": tcp.dport,
            "seq": tcp.seq, "ack": tcp.ack, "flags": flags, "window": tcp.window,
            "payload_octets": place.original - header,
        })  # fmt: skip

    def _options(self, options: bytes, whole: int, flags: int) -> Row:
        """Return the columns from an option list; timestamps have their own columns, and are set to zero in the list.

        `whole`: length of the list in octets, captured or not.
        """
        row: Row = {}
        if len(options) < whole and len(options) % WORD_OCTETS == 0:
            options += bytes([CUT])
        found = layout(options)
        if found.timestamps is not None:
            values = options[found.timestamps + 2 : found.timestamps + 10]
            row = {"timestamp_value": int.from_bytes(values[:4]), "timestamp_echo": int.from_bytes(values[4:])}
            row["has_timestamps"] = 1
        return {**row, "options": number_of(options, found, self.names.options, is_syn=bool(flags & SYN))}

    def _udp(self, place: Place, row: Row) -> Iterator[Place]:
        """Read RFC 768: a tunnel, or a row. UDP's length counts if it fits, as options may follow it (RFC 9868)."""
        _expect(place, 8, "UDP", needed=8)
        udp = fixed_header_at(place, layers.UDP, 8, "UDP header")
        length = udp.len if 8 <= udp.len <= place.original else place.original
        inside = scapy_tunnels.inside_udp(place.after(8, "").sized(length - 8), (udp.sport, udp.dport))
        if inside is not None:
            yield inside
            return
        columns = {"src_port": udp.sport, "dst_port": udp.dport, "payload_octets": length - 8}
        self._keep(DatagramTable, place, {**row, **columns})

    def _icmp(self, place: Place, row: Row) -> None:
        """Read RFC 792, RFC 4443: errors that quote TCP or UDP."""
        message = read_message(place.octets, row["ip_version"])
        if message is None:
            raise Unread("ICMP" if row["ip_version"] == 4 else "ICMPv6")
        self._keep(IcmpErrorTable, place, {**carried(row), **dict(zip(COLUMNS, message, strict=True))})

    def _keep(self, table: type[Table], place: Place, row: Row) -> None:
        """Store a row, with its encapsulation."""
        words, keys = " ".join(place.words), " ".join(place.keys)
        self.rows[table].append({
            **self._frame, **row, "encapsulation": bounded_number(self.names.encapsulation, words),
            "tunnel": bounded_number(self.names.tunnel, keys),
        })  # fmt: skip

    def _table(self, kind: type[T]) -> T:
        rows = self.rows[kind]
        return kind({name: np.array([row.get(name, 0) for row in rows], dtype) for name, dtype in kind.DTYPES.items()})


def decompressed(place: Place) -> Place:
    """Return the payload of an IPComp header."""
    try:
        following, octets = inflated(place.octets)
    except CompressedError as error:
        raise Unread(str(error)) from error
    return replace(place.after(4, "", following).named("ipcomp"), octets=octets, original=len(octets))


def _expect(place: Place, octets: int, name: str, *, needed: int) -> None:
    """Raise Unread unless a transport header can have its `octets`, with `needed` octets of it captured."""
    if place.original < octets:
        raise Unread(f"malformed {name} header")
    if len(place.octets) < needed:
        raise Unread(f"truncated {name} header")


def _packet_type(raw: RawFrame) -> int:
    """Return the Linux packet type: that of the cooked header, else that of the source."""
    kind = {LINUX_SLL: layers.CookedLinux, LINUX_SLL2: layers.CookedLinuxV2}.get(raw.link_type)
    found = kind and layers.read_header(kind, raw.octets, 16 if raw.link_type == LINUX_SLL else 20)
    return min(found[0].pkttype, PACKET_TYPE_UNKNOWN) if found else raw.packet_type


def _ends(ip: Any) -> Row:
    """Return the columns of the addresses of an IP header."""
    row: Row = {}
    for name, address in (("src", ip.src), ("dst", ip.dst)):
        value = int.from_bytes(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address))
        row |= {f"{name}_hi": value >> 64, f"{name}_lo": value & (1 << 64) - 1}
    return row
