"""IP headers in columns: what each packet carries, and where that begins.

In: `Layer`s of IPv4 or IPv6 headers. Out: `Packets` of TCP, UDP and ICMP, whose headers stand at the same columns, and
`Layer`s of what carries packets further in; fragments are set aside, the rest is counted. RFC 791 §3.1, RFC 8200 §3-4,
RFC 4302 §2. Lengths are those of the IP header; what was captured only says which fields can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from handshake_inspect.capture.headers.layers import (
    HEAD_OCTETS,
    FragmentRows,
    Header,
    Layer,
    Mask,
    Matrix,
    PerRow,
    Rows,
    Slice,
    by_version,
    distinct,
    of,
)
from handshake_inspect.capture.headers.link import Reader

#: Headers of one IPv6 packet after the first; more are taken for damage.
MOST_EXTENSIONS = 32

IPIP, TCP, UDP, IPV6_IN_IP, IPCOMP = 4, 6, 17, 41, 108
#: Protocols that are read in columns, or carry packets further in.
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
#: Words for packets in packets, by the versions outside and inside.
NESTINGS = {(4, IPIP): "ipip", (6, IPIP): "4in6", (4, IPV6_IN_IP): "6in4", (6, IPV6_IN_IP): "6in6"}
#: Words for what has no header of its own that could say one: RFC 4023, RFC 8986 §4.9.
WORDS = {137: "mpls-in-ip", 143: "ethernet-in-ip"}
#: What is asked of the fragment field of IPv4: more fragments, or an offset. And of the fragment header of IPv6.
IPV4_FRAGMENT, IPV6_FRAGMENT = 0x3FFF, 0xFFF9


@dataclass
class Packets(Layer):
    """IP packets of a slice whose headers stand at the same columns of `ip` and `transport`; `at`: the transport's."""

    version: int = 4
    #: Protocol number of the transport.
    protocol: int = TCP
    #: Rows of octets, and the column where the IP header begins.
    ip: Matrix = None  # type: ignore[assignment]
    ip_at: int = 0
    #: The same for the transport header.
    transport: Matrix = None  # type: ignore[assignment]
    transport_column: int = 0
    #: Octets from there on: those that the IP length says, and those that were captured.
    payload: Rows = None  # type: ignore[assignment]
    captured: Rows = None  # type: ignore[assignment]

    def take(self, mask: Mask) -> Self:
        """Return the packets that `mask` chooses; themselves if it chooses all."""
        if mask.all():
            return self
        ip = self.ip[mask]
        return replace(
            super().take(mask),
            ip=ip,
            transport=ip if self.transport is self.ip else self.transport[mask],
            payload=self.payload[mask],
            captured=self.captured[mask],
        )


def ip(part: Slice, layer: Layer) -> Iterator[Layer]:
    """IP of either version."""
    yield from by_version(part, layer, "packet that is not IP")


def ipv4(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IPv4 headers (RFC 791 §3.1), those at one place together by their length."""
    layer = part.enough(layer, 20, "truncated IPv4 header")
    if not len(layer.rows):
        return
    first = part.octet(layer.rows, layer.at)
    header_octets = (first & 0xF) * 4
    good = part.expect((first >> 4 == 4) & (header_octets >= 20), "malformed IPv4 header")
    layer, header_octets = layer.take(good), header_octets[good]
    if not isinstance(layer.at, int):
        yield from _ipv4_of_length(part, layer, header_octets)
        return
    for octets in distinct(header_octets):
        yield from _ipv4_of_length(part, layer.take(header_octets == octets), octets)


def _ipv4_of_length(part: Slice, layer: Layer, header_octets: PerRow) -> Iterator[Layer]:
    enough = part.expect(part.there(layer) >= header_octets, "truncated IPv4 header")
    layer, header_octets = layer.take(enough), of(header_octets, enough)
    if not len(layer.rows):
        return
    total = part.word(layer.rows, layer.at + 2)
    # TCP segmentation offload leaves 0 where the length does not fit: then the frame says it.
    payload: Rows = np.subtract(np.where(total == 0, part.claimed(layer), total), header_octets)
    good = part.expect(payload >= 0, "malformed IPv4 header")
    fragment = good & (part.word(layer.rows, layer.at + 6) & IPV4_FRAGMENT != 0)
    if fragment.any():
        _set_aside_ipv4(part, layer.take(fragment), of(header_octets, fragment), payload[fragment])
    whole = good & ~fragment
    if not whole.all():
        layer, payload, header_octets = layer.take(whole), payload[whole], of(header_octets, whole)
        if not len(layer.rows):
            return
    protocol = part.octet(layer.rows, layer.at + 9)
    authenticated = protocol == AUTHENTICATION
    if authenticated.any():
        some, skip = layer.take(authenticated), np.broadcast_to(header_octets, protocol.shape)[authenticated]
        yield from _extended(part, some, 4, skip, AUTHENTICATION, payload[authenticated])
    yield from _by_protocol(part, layer, 4, protocol, payload, header_octets, (AUTHENTICATION,))


def ipv6(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IPv6 headers (RFC 8200 §3)."""
    layer = part.enough(layer, 40, "truncated IPv6 header")
    if not len(layer.rows):
        return
    good = part.expect(part.octet(layer.rows, layer.at) >> 4 == 6, "malformed IPv6 header")
    layer = layer.take(good)
    length = part.word(layer.rows, layer.at + 4)
    # A jumbogram (RFC 2675), or segmentation offload: then the frame says it.
    payload = np.where(length == 0, part.claimed(layer) - 40, length)
    protocol = part.octet(layer.rows, layer.at + 6)
    for extension in EXTENSIONS:
        chosen = protocol == extension
        if chosen.any():
            skip = np.full(int(chosen.sum()), 40)
            yield from _extended(part, layer.take(chosen), 6, skip, extension, payload[chosen])
    yield from _by_protocol(part, layer, 6, protocol, payload, 40, EXTENSIONS)


def _extended(part: Slice, layer: Layer, version: int, skip: Rows, extension: int, payload: Rows) -> Iterator[Layer]:
    """Follow extension headers (RFC 8200 §4; AH: RFC 4302 §2), of which the first stands `skip` octets further on."""
    followed = EXTENSIONS if version == 6 else (AUTHENTICATION,)
    protocol = np.full(len(skip), extension)
    for _ in range(MOST_EXTENSIONS):
        more = np.isin(protocol, followed)
        if not more.any():
            break
        good = part.expect(~more | (part.there(layer) >= skip + 8), "truncated extension header")
        layer, skip, payload, protocol, more = layer.take(good), skip[good], payload[good], protocol[good], more[good]
        at = layer.at + np.minimum(skip, part.there(layer))
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


def _noting_authentication(part: Slice, layer: Layer, is_ah: Mask) -> Layer:
    """Put the word for the authentication header around the packets that have one."""
    if not is_ah.any():
        return layer
    with_word = part.around(layer, lambda _: "ah").encapsulation
    return replace(layer, encapsulation=np.where(is_ah, with_word, layer.encapsulation))


def _by_protocol(
    part: Slice, layer: Layer, version: int, protocol: Rows, payload: Rows, skip: PerRow, followed: tuple[int, ...]
) -> Iterator[Layer]:
    """Yield packets by the protocol of what stands `skip` octets further on; `followed` were followed before."""
    for number in distinct(protocol):
        chosen = protocol == number
        header = PROTOCOLS.get(number)
        if header in TRANSPORTS:
            yield _gathered(part, layer, version, number, chosen, payload, skip)
        elif header is not None:
            some, octets = layer.take(chosen), of(skip, chosen)
            word = NESTINGS.get((version, number)) or WORDS.get(number)
            if word:
                some = part.around(some, lambda _, word=word: word, key=True)  # type: ignore[misc]
            yield some.next(header, octets, end=some.at + octets + payload[chosen])
        elif number == IPCOMP:  # Scapy's side decompresses it
            part.for_scapy.append(layer.rows[chosen])
        elif number not in followed:
            part.unread[PROTOCOL_NAMES.get(number, f"IP protocol {number}")] += int(np.count_nonzero(chosen))


def _gathered(
    part: Slice, layer: Layer, version: int, protocol: int, chosen: Mask, payload: Rows, skip: PerRow
) -> Packets:
    """Gather the octets of the chosen packets in rows, so that each field is a column."""
    layer, payload, skip = layer.take(chosen), payload[chosen], of(skip, chosen)
    there, rows = part.there(layer), layer.rows
    at = layer.at + skip
    if isinstance(at, int) and isinstance(layer.at, int) and at + 60 <= HEAD_OCTETS:
        ip_at, column = layer.at, at
        ip = transport = part.head if len(rows) == len(part.head) else part.head[rows]
    else:
        ip_at = column = 0
        ip, transport = part.gather(rows, layer.at), part.gather(rows, layer.at + np.minimum(skip, there))
    return Packets(
        PROTOCOLS[protocol], rows, at, layer.end, layer.encapsulation, layer.tunnel, 0,
        version, protocol, ip, ip_at, transport, column, payload, np.minimum(there - skip, payload),
    )  # fmt: skip


# --- fragments ----------------------------------------------------------------------------------------------------


def _set_aside_ipv4(part: Slice, layer: Layer, header_octets: PerRow, payload: Rows) -> None:
    """Keep what RFC 791 §3.2 needs to put fragments together."""
    rows, at = layer.rows, layer.at
    place = part.word(rows, at + 6)
    part.fragments.append(
        FragmentRows(
            layer, 4, np.broadcast_to(at + header_octets, rows.shape), payload, (place & 0x1FFF) * 8,
            place & 0x2000 != 0, part.octet(rows, at + 9), part.word(rows, at + 4),
        )
    )  # fmt: skip


def _set_aside_ipv6(part: Slice, layer: Layer, at: Rows, protocol: Rows, payload: Rows) -> None:
    """Keep what RFC 8200 §4.5 needs to put fragments together; `at`: where the fragment headers stand."""
    place = part.word(layer.rows, at + 2)
    part.fragments.append(
        FragmentRows(
            layer, 6, at + 8, payload - 8, place & 0xFFF8, place & 1 != 0, protocol, part.long(layer.rows, at + 4)
        )
    )


READERS: dict[Header, Reader] = {Header.IP: ip, Header.IPV4: ipv4, Header.IPV6: ipv6}
