"""IP headers in columns: what each packet carries, and where that begins.

In: `Layer`s of IPv4 or IPv6 headers. Out: `Packets` of TCP, UDP and ICMP, whose headers stand at the same columns, and
`Layer`s of what carries packets further in; fragments are set aside, the rest is counted. RFC 791 §3.1, RFC 8200 §3-4,
RFC 4302 §2. Lengths are those of the IP header; what was captured only says which fields can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

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
    field_of,
    of,
    rows_of,
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
class Headers(Layer):
    """IP headers of a slice: `octets` has the first HEAD_OCTETS of each packet in a row."""

    octets: Matrix = None  # type: ignore[assignment]
    #: Octets of each packet that were captured.
    there: Rows = None  # type: ignore[assignment]

    @staticmethod
    def gathered(part: Slice, layer: Layer) -> Headers:
        """Return a layer with its octets."""
        around = (layer.end, layer.encapsulation, layer.tunnel, layer.note)
        return Headers(
            layer.header, layer.rows, layer.at, *around, part.gather(layer.rows, layer.at), part.there(layer)
        )

    def take(self, mask: Mask) -> Self:
        """Return the headers that `mask` chooses; themselves if it chooses all."""
        if mask.all():
            return self
        return replace(super().take(mask), octets=rows_of(self.octets, mask), there=self.there[mask])


@dataclass
class Packets(Layer):
    """IP packets of a slice whose transport headers stand in one column of `transport`; `at`: where in the frame."""

    version: int = 4
    #: Rows of octets from the IP header on.
    ip: Matrix = None  # type: ignore[assignment]
    #: Rows of octets, and the column where the transport header begins.
    transport: Matrix = None  # type: ignore[assignment]
    column: int = 0
    #: Octets from there on: those that the IP length says, and those that were captured.
    payload: Rows = None  # type: ignore[assignment]
    captured: Rows = None  # type: ignore[assignment]

    def take(self, mask: Mask) -> Self:
        """Return the packets that `mask` chooses; themselves if it chooses all."""
        if mask.all():
            return self
        ip = rows_of(self.ip, mask)
        return replace(
            super().take(mask),
            ip=ip,
            transport=ip if self.transport is self.ip else rows_of(self.transport, mask),
            payload=self.payload[mask],
            captured=self.captured[mask],
        )


def ip(part: Slice, layer: Layer) -> Iterator[Layer]:
    """IP of either version."""
    yield from by_version(part, layer, "packet that is not IP")


def ipv4(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IPv4 headers (RFC 791 §3.1), those of one length together."""
    layer = part.enough(layer, 20, "truncated IPv4 header")
    if not len(layer.rows):
        return
    headers = Headers.gathered(part, layer)
    first = headers.octets[:, 0].copy()
    headers = headers.take(good := part.expect((first >= 0x45) & (first <= 0x4F), "malformed IPv4 header"))
    words = first[good] & 0xF
    for each in distinct(words):
        yield from _ipv4_of_length(part, headers.take(words == each), 4 * each)


def _ipv4_of_length(part: Slice, headers: Headers, header_octets: int) -> Iterator[Layer]:
    headers = headers.take(part.expect(headers.there >= header_octets, "truncated IPv4 header"))
    if not len(headers.rows):
        return
    total = field_of(headers.octets, ">u2", 2).astype(np.int64)
    if not total.all():  # TCP segmentation offload leaves 0 where the length does not fit: then the frame says it
        total = np.where(total == 0, part.claimed(headers), total)
    payload: Rows = total - header_octets
    good = part.expect(payload >= 0, "malformed IPv4 header")
    fragment = good & (field_of(headers.octets, ">u2", 6) & IPV4_FRAGMENT != 0)
    if fragment.any():
        _set_aside_ipv4(part, headers.take(fragment), header_octets, payload[fragment])
    whole = good & ~fragment
    if not whole.all():
        headers, payload = headers.take(whole), payload[whole]
        if not len(headers.rows):
            return
    protocol = headers.octets[:, 9].copy()
    authenticated = protocol == AUTHENTICATION
    if authenticated.any():
        some, skip = headers.take(authenticated), np.full(np.count_nonzero(authenticated), header_octets)
        yield from _extended(part, some, 4, skip, AUTHENTICATION, payload[authenticated])
    yield from _by_protocol(part, headers, 4, protocol, payload, header_octets, (AUTHENTICATION,))


def ipv6(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IPv6 headers (RFC 8200 §3)."""
    layer = part.enough(layer, 40, "truncated IPv6 header")
    if not len(layer.rows):
        return
    headers = Headers.gathered(part, layer)
    headers = headers.take(part.expect(headers.octets[:, 0] >> 4 == 6, "malformed IPv6 header"))
    payload = field_of(headers.octets, ">u2", 4).astype(np.int64)
    if not payload.all():  # a jumbogram (RFC 2675), or segmentation offload: then the frame says it
        payload = np.where(payload == 0, part.claimed(headers) - 40, payload)
    protocol = headers.octets[:, 6].copy()
    for extension in EXTENSIONS:
        chosen = protocol == extension
        if chosen.any():
            skip = np.full(np.count_nonzero(chosen), 40)
            yield from _extended(part, headers.take(chosen), 6, skip, extension, payload[chosen])
    yield from _by_protocol(part, headers, 6, protocol, payload, 40, EXTENSIONS)


def _extended(part: Slice, layer: Headers, version: int, skip: Rows, extension: int, payload: Rows) -> Iterator[Layer]:
    """Follow extension headers (RFC 8200 §4; AH: RFC 4302 §2), of which the first stands `skip` octets further on."""
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
    """Put the word for the authentication header around the packets that have one."""
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
    """Yield packets by the protocol of what stands `skip` octets further on; `followed` were followed before."""
    for number in distinct(protocol):
        chosen = protocol == number
        header = PROTOCOLS.get(number)
        if header is not None:
            some, octets, length = headers.take(chosen), of(skip, chosen), payload[chosen]
            if header in TRANSPORTS:
                yield _packets(part, some, version, header, length, octets)
                continue
            word = NESTINGS.get((version, number)) or WORDS.get(number)
            if word:
                some = part.around(some, lambda _, word=word: word, key=True)  # type: ignore[misc]
            yield some.next(header, octets, end=some.at + octets + length)
        elif number == IPCOMP:  # Scapy's side decompresses it
            part.for_scapy.append(headers.rows[chosen])
        elif number not in followed:
            part.unread[PROTOCOL_NAMES.get(number, f"IP protocol {number}")] += int(np.count_nonzero(chosen))


def _packets(part: Slice, ip: Headers, version: int, header: Header, payload: Rows, skip: PerRow) -> Packets:
    """Return packets with their transport headers in one column: in the rows of octets, if they stand there."""
    if isinstance(skip, int) and skip + 60 <= HEAD_OCTETS:
        column, transport = skip, ip.octets
    else:
        column, transport = 0, part.gather(ip.rows, ip.at + np.minimum(skip, ip.there))
    return Packets(
        header, ip.rows, ip.at + skip, ip.end, ip.encapsulation, ip.tunnel, 0,
        version, ip.octets, transport, column, payload, np.minimum(ip.there - skip, payload),
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
