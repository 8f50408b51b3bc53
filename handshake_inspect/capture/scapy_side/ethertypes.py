"""From an Ethertype to IP, through Scapy: tags, labels and frames within frames.

In: a place that is an Ethernet frame, or that an Ethertype identifies. Out: the place further in. IEEE 802.1Q and
802.1ah, RFC 3032 (MPLS), RFC 4385 and 4448 (pseudowires), RFC 6325 (TRILL), RFC 8300 (NSH).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handshake_inspect.capture.headers.link import ETHERTYPE_NAMES
from handshake_inspect.capture.scapy_side import layers as layers
from handshake_inspect.capture.scapy_side.places import Place, Step, Unread, header_at

IPV4, IPV6, ARP, PPPOE, PPPOE_DISCOVERY = 0x0800, 0x86DD, 0x0806, 0x8864, 0x8863
MPLS, VLAN_TYPES = (0x8847, 0x8848), (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
#: Smaller values of the type field are the length of LLC.
SMALLEST_ETHERTYPE = 0x600
#: Ethertype -> kind of the place after it.
ETHERTYPES = {
    IPV4: "ipv4", IPV6: "ipv6", PPPOE: "pppoe", 0x6558: "ethernet", 0x880B: "ppp", 0x894F: "nsh", 0x88E7: "802.1ah",
    0x8903: "fabricpath", 0x8926: "vntag", 0x8909: "cmd", 0x22F3: "trill", 0x892F: "hsr",
    0x893F: "etag", 0xF1C1: "rtag", 0x88E5: "macsec",
    **dict.fromkeys(MPLS, "mpls"), **dict.fromkeys(VLAN_TYPES, "vlan"),
}  # fmt: skip
#: Ethertypes beside IP's by which the Ethernet frame of a pseudowire is recognised.
KNOWN_ETHERTYPES = frozenset((ARP, PPPOE, PPPOE_DISCOVERY, *MPLS, *VLAN_TYPES))
#: First octets of LLC before SNAP, and before IP.
SNAP_LLC, IP_LLC = b"\xaa\xaa\x03", b"\x06\x06\x03"


def ethernet(place: Place) -> Iterator[Place]:
    """Read Ethernet: addresses, then an Ethertype or the length of LLC."""
    header, octets = header_at(place, layers.Ether, 14, "Ethernet header")
    yield place.after(octets, "ethertype", header.type)


def ethertype(place: Place) -> Iterator[Place]:
    """Continue by the Ethertype; smaller numbers are the length of LLC."""
    if place.number in ETHERTYPES:
        yield place.after(0, ETHERTYPES[place.number])
    elif place.number < SMALLEST_ETHERTYPE:
        yield place.after(0, "llc")
    else:
        raise Unread(ETHERTYPE_NAMES.get(place.number, f"ethertype 0x{place.number:04x}"))


@dataclass(frozen=True)
class Tag:
    """A header of fixed length that ends with an Ethertype, or comes before a whole Ethernet frame."""

    header: Any
    octets: int
    #: Its name in the message about a truncated one.
    name: str
    #: Its word in the encapsulation, formatted with the fields of the header.
    word: str
    #: Kind of the place after it; "ethertype": by the header's `type`.
    below: str = "ethertype"


TAGS = {
    "vlan": Tag(layers.Dot1Q, 4, "VLAN tag", "vlan:{0.vlan}"),
    "802.1ah": Tag(layers.Dot1AH, 4, "802.1ah header", "pbb:{0.isid}", "ethernet"),
    "fabricpath": Tag(layers.FabricPath, 2, "FabricPath header", "fabricpath", "ethernet"),
    "vntag": Tag(layers.VnTag, 6, "VN-Tag", "vntag"),
    "cmd": Tag(layers.CiscoMetaData, 8, "Cisco MetaData header", "cmd"),
    "trill": Tag(layers.TrillHeader, 6, "TRILL header", "trill", "ethernet"),
    "hsr": Tag(layers.HsrTag, 6, "HSR tag", "hsr"),
    "etag": Tag(layers.ETag, 8, "E-TAG", "etag"),
    "rtag": Tag(layers.RTag, 6, "R-TAG", "rtag"),
}


def tag(place: Place) -> Iterator[Place]:
    """Read one of TAGS; the options of TRILL are counted in words of 4 octets."""
    kind = TAGS[place.kind]
    header, octets = header_at(place, kind.header, kind.octets, kind.name)
    options = 4 * header.words if place.kind == "trill" else 0
    number = header.type if kind.below == "ethertype" else 0
    yield place.after(octets + options, kind.below, number).named(kind.word.format(header))


def macsec(place: Place) -> Iterator[Place]:
    """Read MACsec (IEEE 802.1AE §9) without encryption; the channel may follow the tag, then an Ethertype."""
    header, octets = header_at(place, layers.MacSec, 6, "MACsec tag")
    if header.version or header.encrypted or header.changed:
        raise Unread("MACsec")
    octets += 8 * header.channel
    if len(place.octets) < octets + 2:
        raise Unread("truncated MACsec tag")
    number = int.from_bytes(place.octets[octets : octets + 2])
    yield place.after(octets + 2, "ethertype", number).named("macsec")


def nsh(place: Place) -> Iterator[Place]:
    """Read a network service header (RFC 8300 §2.2): its length in words of 4 octets, and the next protocol."""
    kinds = {1: "ipv4", 2: "ipv6", 3: "ethernet", 4: "nsh", 5: "mpls"}
    header, _ = header_at(place, layers.NshStart, 4, "NSH header")
    if header.nextproto not in kinds or header.length < 2:
        raise Unread("NSH")
    yield place.after(4 * header.length, kinds[header.nextproto]).named("nsh")


def mpls(place: Place) -> Iterator[Place]:
    """Read one label (RFC 3032 §2.1); after the last, IP or a pseudowire with or without control word (RFC 4448 §4)."""
    header, octets = header_at(place, layers.MPLS, 4, "MPLS label")
    below = place.after(octets, "mpls").named(f"mpls:{header.label}")
    if not header.s:
        yield below
        return
    first = below.octets[0] >> 4 if below.octets else None
    pseudowire = below.after(0, "ethernet")
    if first in (4, 6):
        yield below.after(0, f"ipv{first}")
    elif first == 0 and looks_like_ethernet(below.after(4, "ethernet")):
        yield below.after(4, "ethernet")
    elif looks_like_ethernet(pseudowire):
        yield pseudowire
    else:
        raise Unread("MPLS")


def looks_like_ethernet(place: Place) -> bool:
    """Return whether octets of unknown kind begin with an Ethernet header, by its type and the octets after it.

    A length counts only before LLC with SNAP or with IP's own SAP: nearly any two octets could be one.
    """
    number, below = int.from_bytes(place.octets[12:14]), place.octets[14:]
    if len(place.octets) < 14:
        return False
    if number in (IPV4, IPV6):
        return bool(below) and below[0] >> 4 == (4 if number == IPV4 else 6)
    if number < SMALLEST_ETHERTYPE:
        return number <= place.original - 14 and below[:3] in (SNAP_LLC, IP_LLC)
    return number in KNOWN_ETHERTYPES


def looks_like_ip(place: Place) -> str | None:
    """Return the kind of place if octets of unknown kind begin with an IP header whose length fits; else None."""
    octets = place.octets
    if len(octets) >= 20 and octets[0] >> 4 == 4 and octets[0] & 0xF >= 5:
        return "ipv4" if int.from_bytes(octets[2:4]) <= place.original else None
    if len(octets) >= 40 and octets[0] >> 4 == 6:
        return "ipv6" if int.from_bytes(octets[4:6]) <= place.original - 40 else None
    return None


STEPS: dict[str, Step] = {
    "ethernet": ethernet, "ethertype": ethertype, "macsec": macsec, "nsh": nsh, "mpls": mpls,
    **dict.fromkeys(TAGS, tag),
}  # fmt: skip
