"""IP headers in columns: the protocol that each packet carries, and where its payload begins.

In: `Layer`s of IPv4 or IPv6 headers. Out: `Packets` of TCP, UDP and ICMP, with headers aligned in columns, and `Layer`s
of protocols that carry further packets; fragments are set aside, all others are counted. RFC 791 §3.1, RFC 8200 §3-4,
RFC 4302 §2. Lengths are those of the IP header; the captured length only limits which fields can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.headers.layers import (
    TRANSPORT_OCTETS,
    CompressedRows,
    FragmentRows,
    Header,
    Layer,
    Matrix,
    PerRow,
    Reader,
    Slice,
    by_version,
    distinct,
    field_of,
    of,
    rows_of,
)
from handshake_inspect.plain import mutable

#: Extension headers of one IPv6 packet; more are treated as damage.
MOST_EXTENSIONS = 32

IPIP, TCP, UDP, IPV6_IN_IP, IPCOMP = 4, 6, 17, 41, 108
#: Protocols that are read in columns, or that carry further packets.
PROTOCOLS = {
    TCP: Header.TCP, UDP: Header.UDP, 1: Header.ICMP, 58: Header.ICMP, IPIP: Header.IPV4, IPV6_IN_IP: Header.IPV6,
    47: Header.GRE, 97: Header.ETHERIP, 115: Header.L2TP_IP, 137: Header.MPLS, 143: Header.ETHERNET, 145: Header.NSH,
}  # fmt: skip
TRANSPORTS = (Header.TCP, Header.UDP, Header.ICMP)
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6 = 0, 43, 44, 51, 60, 135, 139, 140
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6)
PROTOCOL_NAMES = {
    2: "IGMP", 8: "EGP", 9: "IGP", 33: "DCCP", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH",
    59: "IPv6 without payload", 88: "EIGRP", 89: "OSPF", 97: "EtherIP", 103: "PIM", 108: "IPComp", 112: "VRRP",
    115: "L2TP", 132: "SCTP", 136: "UDP-Lite", 137: "MPLS in IP",
}  # fmt: skip
#: Words for packets in packets, by the outer version and the inner protocol.
NESTINGS = {(4, IPIP): "ipip", (6, IPIP): "4in6", (4, IPV6_IN_IP): "6in4", (6, IPV6_IN_IP): "6in6"}
#: Words for protocols without a header of their own that names them: RFC 4023, RFC 8986 §4.9.
WORDS = {137: "mpls-in-ip", 143: "ethernet-in-ip"}
#: Octets of the fixed header of every packet.
IPV4_OCTETS, IPV6_OCTETS = 20, 40
#: Type and offset of the header fields that become columns, by the table's names.
FIELDS: dict[int, dict[str, tuple[str, int]]] = {
    4: {"src_lo": (">u4", 12), "dst_lo": (">u4", 16), "ip_id": (">u2", 4), "ttl": ("u1", 8)},
    6: {
        "src_hi": (">u8", 8), "src_lo": (">u8", 16), "dst_hi": (">u8", 24), "dst_lo": (">u8", 32), "ttl": ("u1", 7),
    },
}  # fmt: skip
#: Octets of an IP header without options, and the extension headers that are followed, by version.
FIXED_OCTETS = {4: IPV4_OCTETS, 6: IPV6_OCTETS}
FOLLOWED: dict[int, tuple[int, ...]] = {4: (AUTHENTICATION,), 6: EXTENSIONS}
#: Mask of the fragment field of IPv4 (more fragments, or an offset), and of that in the fragment header of IPv6.
IPV4_FRAGMENT, IPV6_FRAGMENT = 0x3FFF, 0xFFF9


@mutable
class Headers(Layer):
    """IP headers of a slice; a row of `octets` has each header without options, and the TRANSPORT_OCTETS after it."""

    octets: Matrix = None  # type: ignore[assignment]
    #: Octets of each packet that were captured.
    there: Rows = None  # type: ignore[assignment]

    @staticmethod
    def gathered(part: Slice, layer: Layer, octets: int) -> Headers:
        """Return a layer together with its octets."""
        around = (layer.end, layer.encapsulation, layer.tunnel, layer.note)
        rows = part.gather(layer.rows, layer.at, octets + TRANSPORT_OCTETS)
        return Headers(layer.header, layer.rows, layer.at, *around, rows, part.there(layer))

    def only(self, chosen: Rows) -> Self:
        """Return some of the headers, by index."""
        return replace(super().only(chosen), octets=rows_of(self.octets, chosen), there=self.there.take(chosen))


@mutable
class Packets(Layer):
    """IP packets of a slice with transport headers at one column of `transport`; `at`: their offset in the frame."""

    version: PerRow = 4
    #: Columns taken from the IP header, by the table's names; missing ones are 0.
    fields: Mapping[str, NDArray[Any]] = None  # type: ignore[assignment]
    #: Rows of octets, and the column at which the transport header begins; None: not copied yet.
    transport: Matrix | None = None
    column: int = 0
    #: Octets from there on: by the IP length, and captured.
    payload: Rows = None  # type: ignore[assignment]
    captured: Rows = None  # type: ignore[assignment]

    def only(self, chosen: Rows) -> Self:
        """Return some of the packets, by index."""
        return replace(
            super().only(chosen),
            version=of(self.version, chosen),
            fields={name: values[chosen] for name, values in self.fields.items()},
            transport=None if self.transport is None else rows_of(self.transport, chosen),
            payload=self.payload.take(chosen),
            captured=self.captured.take(chosen),
        )

    def headers(self, part: Slice) -> tuple[Matrix, int]:
        """Return rows of octets with the transport headers, which must have been captured, and their column."""
        if self.transport is None:
            self.transport, self.column = part.gather(self.rows, self.at, TRANSPORT_OCTETS), 0
        return self.transport, self.column


def ip(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IP of either version."""
    yield from by_version(part, layer, "packet that is not IP")


def ipv4(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IPv4 headers (RFC 791 §3.1), those of one length together."""
    layer = part.enough(layer, 20, "truncated IPv4 header")
    if not len(layer.rows):
        return
    headers = Headers.gathered(part, layer, IPV4_OCTETS)
    first = headers.octets[:, 0].copy()
    good = part.expect((first >= 0x45) & (first <= 0x4F), "malformed IPv4 header")
    headers, header_octets = headers.take(good), _header_octets(first[good])
    good = part.expect(headers.there >= header_octets, "truncated IPv4 header")
    headers, header_octets = headers.take(good), of(header_octets, good)
    if not len(headers.rows):
        return
    total = field_of(headers.octets, ">u2", 2).astype(np.int64)
    if not total.all():  # TCP segmentation offload leaves 0 if the length does not fit: then the frame's length counts
        total = np.where(total == 0, part.claimed(headers), total)
    payload: Rows = total - header_octets
    good = part.expect(payload >= 0, "malformed IPv4 header")
    fragment = good & (field_of(headers.octets, ">u2", 6).astype(np.uint16) & IPV4_FRAGMENT != 0)
    if fragment.any():
        _set_aside_ipv4(part, headers.take(fragment), of(header_octets, fragment), payload[fragment])
    whole = good & ~fragment
    if not whole.all():
        headers, payload, header_octets = headers.take(whole), payload[whole], of(header_octets, whole)
        if not len(headers.rows):
            return
    protocol = headers.octets[:, 9].copy()
    authenticated = protocol == AUTHENTICATION
    if authenticated.any():
        some = headers.take(authenticated)
        skip = np.broadcast_to(np.asarray(of(header_octets, authenticated)), some.rows.shape)
        yield from _extended(part, some, 4, skip, AUTHENTICATION, payload[authenticated])
    yield from _by_protocol(part, headers, 4, protocol, payload, header_octets, (AUTHENTICATION,))


def _header_octets(first: NDArray[np.uint8]) -> PerRow:
    """Return the lengths of headers with these first octets: one number if all are equal."""
    if len(first) and (first == first[0]).all():
        return 4 * int(first[0] & 0xF)
    return (first & 0xF).astype(np.int64) * 4


def ipv6(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IPv6 headers (RFC 8200 §3)."""
    layer = part.enough(layer, 40, "truncated IPv6 header")
    if not len(layer.rows):
        return
    headers = Headers.gathered(part, layer, IPV6_OCTETS)
    headers = headers.take(part.expect(headers.octets[:, 0] >> 4 == 6, "malformed IPv6 header"))
    payload = field_of(headers.octets, ">u2", 4).astype(np.int64)
    if not payload.all():  # a jumbogram (RFC 2675), or segmentation offload: then the frame's length counts
        payload = np.where(payload == 0, part.claimed(headers) - 40, payload)
    protocol = headers.octets[:, 6].copy()
    for extension in EXTENSIONS:
        chosen = protocol == extension
        if chosen.any():
            skip = np.full(np.count_nonzero(chosen), 40)
            yield from _extended(part, headers.take(chosen), 6, skip, extension, payload[chosen])
    yield from _by_protocol(part, headers, 6, protocol, payload, 40, EXTENSIONS)


def _extended(part: Slice, layer: Headers, version: int, skip: Rows, extension: int, payload: Rows) -> Iterator[Layer]:
    """Follow extension headers (RFC 8200 §4; AH: RFC 4302 §2), of which the first is `skip` octets further on."""
    followed = EXTENSIONS if version == 6 else (AUTHENTICATION,)
    protocol = np.full(len(skip), extension)
    for _ in range(MOST_EXTENSIONS):
        more = np.isin(protocol, followed)
        if not more.any():
            break
        good = part.expect(~more | (layer.there >= skip + 8), "truncated extension header")
        layer, skip, payload, protocol, more = layer.take(good), skip[good], payload[good], protocol[good], more[good]
        at = layer.at + np.minimum(skip, layer.there)
        is_ah, is_fragment = protocol == AUTHENTICATION, protocol == FRAGMENT
        octets = (part.octet(layer.rows, at + 1) + np.where(is_ah, 2, 1)) * np.where(is_ah, 4, 8)
        octets = np.where(is_fragment, 8, octets) * more
        following = np.where(more, part.octet(layer.rows, at), protocol)
        fits = octets <= payload
        in_pieces = is_fragment & fits & (part.word(layer.rows, at + 2) & IPV6_FRAGMENT != 0)
        if in_pieces.any():
            _set_aside_ipv6(part, layer.take(in_pieces), at[in_pieces], following[in_pieces], payload[in_pieces])
        whole = part.expect(fits, "malformed extension header") & ~in_pieces
        layer = _noting_authentication(part, layer.take(whole), is_ah[whole])
        skip, payload, protocol = (skip + octets)[whole], (payload - octets)[whole], following[whole]
    part.expect(~np.isin(protocol, followed), "endless extension headers")
    yield from _by_protocol(part, layer, version, protocol, payload, skip, followed)


def _noting_authentication(part: Slice, layer: Headers, is_ah: Mask) -> Headers:
    """Add the word for the authentication header to the packets that have one."""
    if not is_ah.any():
        return layer
    with_word = part.around(layer, lambda _: "ah").encapsulation
    return replace(layer, encapsulation=np.where(is_ah, with_word, layer.encapsulation))


def _by_protocol(
    part: Slice,
    headers: Headers,
    version: int,
    protocol: NDArray[Any],
    payload: Rows,
    skip: PerRow,
    followed: tuple[int, ...],
) -> Iterator[Layer]:
    """Yield packets by the protocol of the header `skip` octets further on; those in `followed` were handled before."""
    for number in distinct(protocol):
        chosen = protocol == number
        header = PROTOCOLS.get(number)
        if header is not None:
            some, octets, length = headers.take(chosen), of(skip, chosen), payload[chosen]
            if header in TRANSPORTS:
                yield _packets(some, version, header, length, octets)
                continue
            word = NESTINGS.get((version, number)) or WORDS.get(number)
            if word:
                some = part.around(some, lambda _, word=word: word, key=True)  # type: ignore[misc]
            yield some.next(header, octets, end=some.at + octets + length)
        elif number == IPCOMP:
            some = part.around(headers.take(chosen), lambda _: "ipcomp")
            at: Rows = np.add(some.at, np.broadcast_to(np.asarray(of(skip, chosen)), some.rows.shape))
            end = np.minimum(at + payload[chosen], some.at + some.there)
            part.compressed.append(CompressedRows(some, version, at, end))
        elif number not in followed:
            part.unread[PROTOCOL_NAMES.get(number, f"IP protocol {number}")] += int(np.count_nonzero(chosen))


def _packets(ip: Headers, version: int, header: Header, payload: Rows, skip: PerRow) -> Packets:
    """Return packets with their transport headers at one column; without a copy if the rows of octets contain them."""
    fields = {name: field_of(ip.octets, dtype, place) for name, (dtype, place) in FIELDS[version].items()}
    is_there = isinstance(skip, int) and skip + TRANSPORT_OCTETS <= ip.octets.shape[1]
    transport, column = (ip.octets, cast(int, skip)) if is_there else (None, 0)
    return Packets(
        header, ip.rows, ip.at + skip, ip.end, ip.encapsulation, ip.tunnel, 0,
        version, fields, transport, column, payload, np.minimum(ip.there - skip, payload),
    )  # fmt: skip


def around_payload(header: bytes, protocol: int) -> bytes:
    """Return an IP header without options for another payload; its length field is 0: the enclosing length counts."""
    if len(header) == IPV6_OCTETS:
        return header[:4] + bytes([0, 0, protocol]) + header[7:]
    return bytes([0x45, header[1], 0, 0]) + header[4:6] + bytes([0, 0, header[8], protocol]) + header[10:]


# --- fragments ----------------------------------------------------------------------------------------------------


def _set_aside_ipv4(part: Slice, layer: Layer, header_octets: PerRow, payload: Rows) -> None:
    """Store the fields with which RFC 791 §3.2 reassembles fragments."""
    rows, at = layer.rows, layer.at
    place = part.word(rows, at + 6)
    part.fragments.append(
        FragmentRows(
            layer, 4, np.broadcast_to(at + header_octets, rows.shape), payload, (place & 0x1FFF) * 8,
            place & 0x2000 != 0, part.octet(rows, at + 9), part.word(rows, at + 4),
        )
    )  # fmt: skip


def _set_aside_ipv6(part: Slice, layer: Layer, at: Rows, protocol: Rows, payload: Rows) -> None:
    """Store the fields with which RFC 8200 §4.5 reassembles fragments; `at`: offsets of the fragment headers."""
    place = part.word(layer.rows, at + 2)
    part.fragments.append(
        FragmentRows(
            layer, 6, at + 8, payload - 8, place & 0xFFF8, place & 1 != 0, protocol, part.long(layer.rows, at + 4)
        )
    )


READERS: dict[Header, Reader] = {Header.IP: ip, Header.IPV4: ipv4, Header.IPV6: ipv6}
