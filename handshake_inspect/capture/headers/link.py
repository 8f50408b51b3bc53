"""Ethernet and the tags around IP in columns: ethertypes, and the labels and shims before IP.

In: the `Layer`s of a slice. Out: the layers that follow them; frames without an IP packet are counted by kind. IEEE
802.3, 802.1Q, 802.1ah, 802.2; RFC 3032 (MPLS). Read `ethernet`, `by_ethertype` and `vlan` first: they handle most
traffic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.capture.headers.layers import Header, Layer, PerRow, Reader, Slice, distinct, of
from handshake_inspect.capture.headers.ordinary import ordinary_tcp

Ethertypes = NDArray[np.uint16]

#: The header that follows each ethertype.
IPV4, IPV6 = 0x0800, 0x86DD
ETHERTYPES = {
    IPV4: Header.IPV4, IPV6: Header.IPV6, 0x6558: Header.ETHERNET, 0x880B: Header.PPP,
    0x8847: Header.MPLS, 0x8848: Header.MPLS, 0x8864: Header.PPPOE, 0x88E7: Header.PBB,
    0x88E5: Header.MACSEC, 0x8903: Header.FABRICPATH, 0x22F3: Header.TRILL, 0x894F: Header.NSH,
    **dict.fromkeys((0x8100, 0x88A8, 0x9100, 0x9200, 0x9300), Header.VLAN),
    **dict.fromkeys((0x8926, 0x8909, 0x892F, 0x893F, 0xF1C1), Header.SHIM),
}  # fmt: skip
#: The bits of a VLAN tag's first two octets that are its number.
VLAN_BITS = 0xFFF
#: Tags without information about connections (of Cisco, HSR, IEEE 802.1BR, IEEE 802.1CB): word, octets before the next
#: ethertype.
SHIMS = {0x8926: ("vntag", 4), 0x8909: ("cmd", 6), 0x892F: ("hsr", 4), 0x893F: ("etag", 6), 0xF1C1: ("rtag", 4)}
#: The header that follows NSH, by its next protocol.
NSH_PROTOCOLS = {1: Header.IPV4, 2: Header.IPV6, 3: Header.ETHERNET, 4: Header.NSH, 5: Header.MPLS}
ETHERTYPE_NAMES = {
    0x0806: "ARP", 0x8035: "RARP", 0x8863: "PPPoE discovery", 0x88CC: "LLDP", 0x888E: "EAPOL",
    0x88F7: "PTP", 0x9000: "Ethernet loopback test", 0x8809: "slow protocol",
}  # fmt: skip
#: Smaller values of the type field are the length of an IEEE 802.3 frame.
SMALLEST_ETHERTYPE = 0x600
#: Pairs of IEEE 802.2 access points: SNAP, spanning tree, OSI, IP, NetWare, NetBIOS, and NetWare without any.
ACCESS_POINTS = (0xAAAA, 0x4242, 0xFEFE, 0x0606, 0xE0E0, 0xF0F0, 0xFFFF)
#: RFC 2427 §4, RFC 2364 §4 and RFC 1973 §3 (PPP): network layer protocol identifiers.
NLPIDS = {0xCC: Header.IPV4, 0x8E: Header.IPV6, 0xCF: Header.PPP}
#: RFC 2684 §5.2, RFC 2427 §4.2: the organisation and the types, with and without a check sequence, of bridged Ethernet.
BRIDGING, BRIDGED_ETHERNET = 0x0080C2, (1, 7)


def ethernet(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read Ethernet: two addresses, then an ethertype or the length of an 802.3 frame.

    A VLAN tag is read in the same step, so that tagged and untagged frames are read together from there on.
    """
    layer = part.enough(layer, 14, "truncated Ethernet header")
    if len(layer.rows):
        yield from _following(part, *_without_tag(part, layer, part.ethertype(layer.rows, layer.at + 12), 14))


def _without_tag(part: Slice, layer: Layer, protocol: Ethertypes, skip: int) -> tuple[Layer, Ethertypes, PerRow]:
    """Remove the VLAN tag at `skip` of the frames whose ethertype announces one, and add it to their encapsulation.

    Returns the frames, the ethertype of the payload of each, and where that payload begins.
    """
    tags = [each for each in distinct(protocol) if ETHERTYPES.get(each) is Header.VLAN]
    if not tags:
        return layer, protocol, skip
    tagged = np.logical_or.reduce([protocol == each for each in tags])
    good = part.expect(~tagged | (part.there(layer) >= skip + 4), "truncated VLAN tag")
    if not good.all():
        layer, protocol, tagged = layer.take(good), protocol[good], tagged[good]
    some = layer.take(tagged)
    some = part.around(some, _vlan, part.word(some.rows, some.at + skip) & VLAN_BITS)
    inner = part.ethertype(some.rows, some.at + skip + 2)
    if len(some.rows) == len(layer.rows):
        return some, inner, skip + 4
    at = np.flatnonzero(tagged)
    protocol[at] = inner
    begin, encapsulation = (np.broadcast_to(one, tagged.shape).copy() for one in (skip, layer.encapsulation))
    begin[at], encapsulation[at] = skip + 4, some.encapsulation
    return replace(layer, encapsulation=encapsulation), protocol, begin


def by_ethertype(part: Slice, layer: Layer, type_at: PerRow, skip: PerRow | None = None) -> Iterator[Layer]:
    """Yield the layers by the ethertype at `type_at` of the layer; they begin at `skip`, or right after that."""
    if len(layer.rows):
        protocol = part.ethertype(layer.rows, layer.at + type_at)
        yield from _following(part, layer, protocol, type_at + 2 if skip is None else skip)


def _following(part: Slice, layer: Layer, protocol: Ethertypes, skip: PerRow) -> Iterator[Layer]:
    """Yield the layers by these ethertypes, `skip` octets further on; ordinary TCP is read in the same step."""
    short = protocol < SMALLEST_ETHERTYPE
    if short.any():
        yield layer.take(short).next(Header.LLC, of(skip, short))
        layer, protocol, skip = layer.take(~short), protocol[~short], of(skip, ~short)
    is_ipv6 = protocol == IPV6
    is_ip = is_ipv6 | (protocol == IPV4)
    if is_ip.any():
        some = layer.take(is_ip)
        found = ordinary_tcp(part, some.next(Header.IP, of(skip, is_ip)), is_ipv6[is_ip])
        if found is not None:
            packets, is_ip[is_ip] = found
            yield packets
            if is_ip.all():
                return
            layer, protocol, skip = layer.take(~is_ip), protocol[~is_ip], of(skip, ~is_ip)
    yield from part.following(layer, protocol, skip, ETHERTYPES, ethertype_name)


def ethertype_name(number: int) -> str:
    """Return the name of an ethertype."""
    return ETHERTYPE_NAMES.get(number, f"ethertype 0x{number:04x}")


def vlan(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read a VLAN tag (IEEE 802.1Q §9.6): 2 octets of control information, 12 bits of it the VLAN; ethertype."""
    layer = part.enough(layer, 4, "truncated VLAN tag")
    if len(layer.rows):
        tag = part.word(layer.rows, layer.at) & VLAN_BITS
        yield from by_ethertype(part, part.around(layer, _vlan, tag), 2)


def _vlan(number: int) -> str:
    return f"vlan:{number}"


def shim(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read a tag of fixed length, then an ethertype."""
    word, octets = SHIMS[layer.note]
    layer = part.enough(layer, octets + 2, f"truncated {word} tag")
    yield from by_ethertype(part, part.around(layer, lambda _: word), octets)


def macsec(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read MACsec (IEEE 802.1AE §9): control, short length, packet number, optional channel; readable if E = C = 0."""
    layer = part.enough(layer, 8, "truncated MACsec tag")
    control = part.octet(layer.rows, layer.at)
    layer = layer.take(good := part.expect(control & 0x8C == 0, "MACsec"))
    skip = np.where(control[good] & 0x20 != 0, 14, 6)
    good = part.expect(part.there(layer) >= skip + 2, "truncated MACsec tag")
    yield from by_ethertype(part, part.around(layer.take(good), lambda _: "macsec"), skip[good])


def pbb(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IEEE 802.1ah: a service tag with an identifier of 24 bits, then the customer's Ethernet frame."""
    layer = part.enough(layer, 4, "truncated 802.1ah tag")
    service = part.long(layer.rows, layer.at) & 0xFFFFFF
    yield part.around(layer, lambda each: f"pbb:{each}", service).next(Header.ETHERNET, 4)


def fabricpath(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read Cisco FabricPath: forwarding tag and time to live in two octets, then the inner Ethernet frame."""
    layer = part.enough(layer, 2, "truncated FabricPath tag")
    yield part.around(layer, lambda _: "fabricpath").next(Header.ETHERNET, 2)


def trill(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read TRILL (RFC 6325 §3.2): six octets and options of four octets each, then the inner Ethernet frame."""
    layer = part.enough(layer, 6, "truncated TRILL header")
    option_octets = (part.word(layer.rows, layer.at) >> 6 & 0x1F) * 4
    yield part.around(layer, lambda _: "trill").next(Header.ETHERNET, 6 + option_octets)


def nsh(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read NSH (RFC 8300 §2.2): version, flags, length in words of 4 octets, metadata type, next protocol; metadata."""
    layer = part.enough(layer, 4, "truncated NSH header")
    octets = (part.word(layer.rows, layer.at) & 0x3F) * 4
    layer = layer.take(good := part.expect((octets >= 8) & (octets <= part.there(layer)), "NSH"))
    protocol = part.octet(layer.rows, layer.at + 3)
    yield from part.following(
        part.around(layer, lambda _: "nsh"), protocol, octets[good], NSH_PROTOCOLS, lambda _: "NSH"
    )


def llc(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IEEE 802.2: SNAP with ethertype (RFC 1042; 00-00-F8: 802.1H), IP's access point; RFC 2684's two kinds."""
    layer = part.enough(layer, 4, "LLC")
    if not len(layer.rows):
        return
    points, control = part.word(layer.rows, layer.at), part.octet(layer.rows, layer.at + 2)
    unnumbered = control == 3
    snap = unnumbered & (points == 0xAAAA) & (part.there(layer) >= 8)
    ip = unnumbered & (points == 0x0606)
    routed = unnumbered & (points == 0xFEFE)
    part.unread["LLC"] += int(np.count_nonzero(~(snap | ip | routed)))
    if snap.any():
        with_type = layer.take(snap)
        organisation = part.long(with_type.rows, with_type.at + 2) & 0xFFFFFF
        bridged = (organisation == BRIDGING) & np.isin(part.word(with_type.rows, with_type.at + 6), BRIDGED_ETHERNET)
        if bridged.any():  # two octets of padding align it
            yield with_type.take(bridged).next(Header.ETHERNET, 10)
        known = (organisation == 0) | (organisation == 0xF8)
        part.expect(known | bridged, "LLC")
        yield from by_ethertype(part, with_type.take(known), 6)
    if ip.any():
        yield layer.take(ip).next(Header.IPV4, 3)
    if routed.any():
        some = layer.take(routed)
        yield from part.following(some, part.octet(some.rows, some.at + 3), 4, NLPIDS, lambda _: "LLC")


def mpls(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read MPLS (RFC 3032 §2.1): a label stack entry; more follow until one has the S bit."""
    layer = part.enough(layer, 4, "truncated MPLS label")
    if len(layer.rows):
        entry = part.long(layer.rows, layer.at)
        layer = part.around(layer, lambda each: f"mpls:{each}", entry >> 12)
        bottom = (entry & 0x100) != 0
        for mask, header in ((~bottom, Header.MPLS), (bottom, Header.BELOW_MPLS)):
            if mask.any():
                yield layer.take(mask).next(header, 4)


def below_mpls(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read what MPLS carries, which no field names: IP, or Ethernet with or without a control word (RFC 4385 §3)."""
    layer = part.enough(layer, 1, "MPLS without payload")
    if not len(layer.rows):
        return
    version = part.octet(layer.rows, layer.at) >> 4
    is_ip = (version == 4) | (version == 6)
    bare = looks_like_ethernet(part, layer)
    controlled = (version == 0) & looks_like_ethernet(part, layer.next(Header.ETHERNET, 4))
    is_ip &= looks_like_ip(part, layer) | ~bare
    bare &= ~is_ip & ~controlled
    part.expect(is_ip | bare | controlled, "MPLS")
    for mask, header, skip in ((is_ip, Header.IP, 0), (controlled, Header.ETHERNET, 4), (bare, Header.ETHERNET, 0)):
        if mask.any():
            yield layer.take(mask).next(header, skip)


def looks_like_ethernet(part: Slice, layer: Layer) -> Mask:
    """Mark the layers that may be Ethernet frames: with a known type field, and for IP the matching version."""
    there = part.there(layer)
    long_enough = there >= 14
    # Octets that were not captured are read from the frame's beginning: their value does not matter.
    at = np.where(long_enough, layer.at, 0)
    protocol = part.word(layer.rows, np.where(long_enough, at + 12, 0))
    version = part.octet(layer.rows, np.where(there >= 15, at + 14, 0)) >> 4
    known = np.isin(protocol, (0x0806, *(number for number in ETHERTYPES if number not in (0x0800, 0x86DD))))
    known |= ((protocol == 0x0800) & (version == 4)) | ((protocol == 0x86DD) & (version == 6))
    points = part.word(layer.rows, np.where(there >= 16, at + 14, 0))
    known |= (protocol >= 3) & (protocol <= part.claimed(layer) - 14) & np.isin(points, ACCESS_POINTS) & (there >= 16)
    return known & long_enough


def looks_like_ip(part: Slice, layer: Layer) -> Mask:
    """Mark the layers that may be IP packets: their lengths fit into the frame."""
    there = part.there(layer)
    long_enough = there >= 20
    at = np.where(long_enough, layer.at, 0)
    first, claimed = part.octet(layer.rows, at), part.claimed(layer)
    total, length = part.word(layer.rows, at + 2), part.word(layer.rows, at + 4)
    v4 = (first >> 4 == 4) & ((first & 0xF) >= 5) & (total <= claimed)
    v6 = (first >> 4 == 6) & (length <= claimed - 40)
    fits: Mask = (v4 | v6) & long_enough
    return fits


READERS: dict[Header, Reader] = {
    Header.ETHERNET: ethernet, Header.LLC: llc, Header.VLAN: vlan, Header.SHIM: shim, Header.PBB: pbb,
    Header.MACSEC: macsec,
    Header.FABRICPATH: fabricpath, Header.TRILL: trill, Header.NSH: nsh, Header.MPLS: mpls,
    Header.BELOW_MPLS: below_mpls,
}  # fmt: skip
