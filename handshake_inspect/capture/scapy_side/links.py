"""From a link type to an Ethertype, PPP, LLC or IP, through Scapy.

In: a place of a link type. Out: the place further in. The layouts are those of the tcpdump project's list of link-layer
header types; RFC 1661 and 1662 (PPP), RFC 2516 (PPPoE), IEEE 802.2 and RFC 1042 (LLC, SNAP), RFC 2427 (frame relay).
802.11 is read in `wlan`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.capture.headers.link_types import LINK_TYPE_NAMES
from handshake_inspect.capture.scapy_side import layers as layers
from handshake_inspect.capture.scapy_side.ethertypes import IP_LLC, SNAP_LLC
from handshake_inspect.capture.scapy_side.places import Place, Step, Unread, fixed_header_at, header_at

#: Link type -> octets to skip, and the kind of the place after them.
LINK_TYPES = {
    0: (0, "loopback"), 1: (0, "ethernet"), 6: (0, "token ring"), 9: (0, "ppp"), 10: (0, "fddi"), 12: (0, "raw"),
    14: (0, "raw"), 50: (0, "ppp"), 51: (0, "pppoe"), 100: (0, "llc"), 101: (0, "raw"), 104: (0, "hdlc"),
    105: (0, "802.11"), 107: (0, "frame relay"), 108: (0, "loopback"), 109: (0, "enc"), 113: (0, "cooked"),
    117: (0, "pflog"), 119: (0, "prism"), 122: (16, "llc"), 123: (0, "sunatm"), 127: (0, "radiotap"), 128: (0, "tzsp"),
    138: (16, "1394"), 163: (0, "avs"), 166: (1, "ppp"), 178: (0, "juniper"), 179: (0, "juniper"), 180: (0, "juniper"),
    181: (0, "juniper"), 192: (0, "ppi"), 204: (1, "ppp"), 205: (1, "hdlc"), 206: (1, "frame relay"), 258: (0, "pktap"),
    228: (0, "ipv4"), 229: (0, "ipv6"), 239: (0, "nflog"),
    240: (4, "ethernet"), 242: (0, "infiniband"), 276: (0, "cooked"),
}  # fmt: skip
LINUX_SLL2, PPP_PPPD = 276, 166
#: Devices of Linux whose cooked frames have no Ethertype; link type of Juniper -> kind of the place after its header.
DEVICES = {770: "frame relay", 803: "radiotap"}
NETLINK = 824
JUNIPER = {178: "ethernet", 179: "ppp", 180: "frame relay", 181: "hdlc"}
#: Address families of BSD; that of IPv6 differs by system, and NFLOG has Linux's.
AF_INET, AF_INET6 = 2, (10, 24, 28, 30)
#: PPP protocol -> kind of the place after it.
PPP_PROTOCOLS = {0x0021: "ipv4", 0x0057: "ipv6", 0x0281: "mpls", 0x0283: "mpls"}
#: Addresses of Cisco's HDLC: unicast and multicast; PPP's is 0xFF.
CISCO_ADDRESSES = (0x0F, 0x8F)
#: Network layer protocol identifiers (RFC 2427 §3) -> kind of the place after them.
NLPIDS = {0xCC: "ipv4", 0x8E: "ipv6", 0xCF: "ppp", 0x80: "snap"}
ROUTED_NLPIDS, OSI_LLC = (0xCC, 0x8E, 0xCF), b"\xfe\xfe\x03"
#: Organisation and types of bridged Ethernet (RFC 2427 §4.2, RFC 2684 §5.2).
BRIDGING_OUI, BRIDGED_ETHERNET = 0x0080C2, (1, 7)
#: Organisations whose SNAP types are Ethertypes: RFC 1042's, and the bridge tunnel of IEEE 802.1H.
ETHERTYPE_OUIS = (0x000000, 0x0000F8)
#: Linux NFLOG: the type of the attribute with the packet; mask of the type without flags.
NFULA_PAYLOAD, NLA_TYPE_MASK = 9, 0x3FFF


def link(place: Place) -> Iterator[Place]:
    """Read a frame of a link type; for types not in LINK_TYPES, Scapy's own classes search for an IP packet."""
    if place.number not in LINK_TYPES:
        yield from whatever_scapy_finds(place)
        return
    octets, kind = LINK_TYPES[place.number]
    number = place.number if kind in ("ppp", "cooked", "juniper") else 0
    if len(place.octets) < octets:
        raise Unread(f"truncated {LINK_TYPE_NAMES.get(place.number, f'link type {place.number}')} header")
    yield place.after(octets, kind, number)


def is_known(link_type: int) -> bool:
    """Tell whether frames of a link type are read at all, here or by Scapy's own classes."""
    return link_type in LINK_TYPES or link_type in layers.conf.l2types.num2layer


def whatever_scapy_finds(place: Place) -> Iterator[Place]:
    """Dissect a frame by Scapy's classes, and continue with the first IP packet in it."""
    name = f"{LINK_TYPE_NAMES.get(place.number, f'link type {place.number}')} frame"
    if place.number not in layers.conf.l2types.num2layer:
        raise Unread(name)
    layer, last = layers.conf.l2types.num2layer[place.number](place.octets), ""
    while not isinstance(layer, layers.NoPayload):
        if type(layer) in (layers.IP, layers.IPv6):
            kind = "ipv4" if type(layer) is layers.IP else "ipv6"
            yield place.after(len(place.octets) - len(layer.original), kind)
            return
        last = last if layer.name in ("Raw", "Padding") else layer.name
        layer = layer.payload
    raise Unread(last or name)


def by_family(place: Place, family: int) -> Iterator[Place]:
    """Continue by an address family: AF_INET6 differs by system."""
    if family != AF_INET and family not in AF_INET6:
        raise Unread(f"address family {family}")
    yield place.after(0, "ipv4" if family == AF_INET else "ipv6")


def host_order(octets: bytes) -> int:
    """Return a small number in the byte order in which it is smaller."""
    return min(int.from_bytes(octets, "big"), int.from_bytes(octets, "little"))


def raw(place: Place) -> Iterator[Place]:
    """Read a frame without link header, by the version of IP."""
    if not place.octets:
        raise Unread("empty frame")
    version = place.octets[0] >> 4
    if version not in (4, 6):
        raise Unread("raw frame that is not IP")
    yield place.after(0, f"ipv{version}")


def loopback(place: Place) -> Iterator[Place]:
    """Read BSD NULL and LOOP: a family, in the byte order of the host or of the network."""
    header, octets = header_at(place, layers.LoopbackOpenBSD, 4, "BSD loopback header")
    family = host_order(header.type.to_bytes(4, "big"))
    yield from by_family(place.after(octets, "ip"), family if family <= 0xFFFF else 0)


def cooked(place: Place) -> Iterator[Place]:
    """Read Linux cooked, v1 and v2: the protocol is an Ethertype."""
    kind, octets = (layers.CookedLinuxV2, 20) if place.number == LINUX_SLL2 else (layers.CookedLinux, 16)
    header, _ = header_at(place, kind, octets, "Linux cooked header")
    if header.lladdrtype in DEVICES:
        yield place.after(octets, DEVICES[header.lladdrtype])
        return
    if header.lladdrtype == NETLINK:
        raise Unread("netlink message")
    yield place.after(octets, "ethertype", header.proto)


def ppi(place: Place) -> Iterator[Place]:
    """Read Per-Packet Information: its length, and the link type of the payload."""
    header = fixed_header_at(place, layers.PPI, 8, "PPI header")
    yield from told(place, header.len, 8, header.dlt, "PPI")


def pktap(place: Place) -> Iterator[Place]:
    """Read Apple's PKTAP: its length, and the link type of the payload."""
    header, _ = header_at(place, layers.PktapStart, 12, "PKTAP header")
    yield from told(place, header.length, 12, header.dlt, "PKTAP")


def told(place: Place, octets: int, least: int, link_type: int, name: str) -> Iterator[Place]:
    """Continue after a header with its own length and the link type of the payload."""
    if not least <= octets <= len(place.octets):
        raise Unread(f"truncated {name} header")
    if link_type >= 1 << 16:
        raise Unread(f"{name} with a link type that cannot be")
    if link_type not in LINK_TYPES:
        raise Unread(f"{name} with link type {link_type}")
    yield place.after(octets, "link", link_type)


def juniper(place: Place) -> Iterator[Place]:
    """Read Juniper: magic, flags, an optional extension; then the link header, or four octets and IP."""
    header, octets = header_at(place, layers.JuniperStart, 4, "Juniper header")
    if header.magic != b"MGC":
        raise Unread("Juniper header")
    if header.extended:
        octets += 2 + int.from_bytes(place.octets[4:6])
    octets += 4 * header.bare
    if len(place.octets) < octets:
        raise Unread("truncated Juniper header")
    yield place.after(octets, "raw" if header.bare else JUNIPER[place.number])


def ip_over_1394(place: Place) -> Iterator[Place]:
    """Read Apple's IP over IEEE 1394: an Ethertype, after the addresses."""
    if len(place.octets) < 2:
        raise Unread("truncated IP over IEEE 1394 header")
    yield place.after(2, "ethertype", int.from_bytes(place.octets[:2]))


# --- PPP and its relatives --------------------------------------------------------------------------------------------


def ppp(place: Place) -> Iterator[Place]:
    """Read PPP: address and control are optional (RFC 1662 §3.1), the protocol may have one octet (RFC 1661 §6.5).

    Link type 50 may have Cisco's HDLC instead; pppd replaces the address by a direction.
    """
    if place.number == 50 and place.octets[:1] and place.octets[0] in CISCO_ADDRESSES:
        yield place.after(0, "hdlc")
        return
    framing = 2 if place.octets[:2] == b"\xff\x03" else 0
    if place.number == PPP_PPPD and place.octets[:1] == b"\x03":
        framing = 1
    place = place.after(framing, "ppp")
    header, octets = header_at(place, layers.PPP, 1, "PPP header")
    if header.proto not in PPP_PROTOCOLS:
        raise Unread(f"PPP protocol 0x{header.proto:04x}")
    yield place.after(octets, PPP_PROTOCOLS[header.proto])


def pppoe(place: Place) -> Iterator[Place]:
    """Read PPP over Ethernet (RFC 2516 §4): version and type are 1; code 0 is a session."""
    header, octets = header_at(place, layers.PPPoE, 6, "PPPoE header")
    if (header.version, header.type, header.code) != (1, 1, 0):
        raise Unread("PPPoE discovery")
    yield place.after(octets, "ppp").named(f"pppoe:{header.sessionid}")


def hdlc(place: Place) -> Iterator[Place]:
    """Read Cisco HDLC: address, control, Ethertype."""
    header, octets = header_at(place, layers.CHDLC, 4, "Cisco HDLC header")
    yield place.after(octets, "ethertype", header.proto)


def frame_relay(place: Place) -> Iterator[Place]:
    """Read frame relay: an address of two octets, then RFC 2427's control and NLPID, or Cisco's Ethertype."""
    header, octets = header_at(place, layers.FrameRelay, 2, "frame relay header")
    below = place.after(octets, "ethertype")
    if header.more or not header.end or len(below.octets) < 4:
        raise Unread("frame relay")
    if below.octets[0] != 3:
        yield below.after(2, "ethertype", int.from_bytes(below.octets[:2]))
        return
    # RFC 2427 §3: there may be a pad between control and NLPID.
    at = 2 if below.octets[1] == 0 else 1
    if below.octets[at] not in NLPIDS:
        raise Unread("frame relay")
    yield below.after(at + 1, NLPIDS[below.octets[at]])


# --- LLC and those that carry it --------------------------------------------------------------------------------------


def llc(place: Place) -> Iterator[Place]:
    """Read IEEE 802.2: SNAP, or IP's own SAP; RFC 2684 §5.1 and RFC 2364 §4: an NLPID after that of OSI."""
    if place.octets[:3] == IP_LLC:
        yield place.after(3, "ipv4")
    elif place.octets[:3] == OSI_LLC and int.from_bytes(place.octets[3:4]) in ROUTED_NLPIDS:
        yield place.after(4, NLPIDS[place.octets[3]])
    elif place.octets[:3] == SNAP_LLC and len(place.octets) >= 8:
        yield place.after(3, "snap", 2)
    else:
        raise Unread("LLC")


def snap(place: Place) -> Iterator[Place]:
    """Read SNAP (RFC 1042): an organisation and a type.

    The place's number is how many octets of padding come before bridged Ethernet.
    """
    header, octets = header_at(place, layers.SNAP, 5, "SNAP header")
    if header.OUI == BRIDGING_OUI and header.code in BRIDGED_ETHERNET:
        yield place.after(octets + place.number, "ethernet")
        return
    if header.OUI not in ETHERTYPE_OUIS:
        raise Unread("LLC")
    yield place.after(octets, "ethertype", header.code)


def fddi(place: Place) -> Iterator[Place]:
    """Read FDDI: frames of class LLC, asynchronous or synchronous."""
    header, octets = header_at(place, layers.Fddi, 13, "FDDI header")
    if header.fc & 0x70 != 0x50:
        raise Unread("FDDI frame without LLC")
    yield place.after(octets, "llc")


def token_ring(place: Place) -> Iterator[Place]:
    """Read IEEE 802.5: frames of type LLC; a route may follow the addresses, with its length in the first octet."""
    header, octets = header_at(place, layers.TokenRing, 14, "token ring header")
    if header.type != 1:
        raise Unread("token ring frame without LLC")
    route = place.octets[octets : octets + 1] if header.routed else b""
    yield place.after(octets + (route[0] & 0x1F if route else 0), "llc")


def sunatm(place: Place) -> Iterator[Place]:
    """Read SunATM: traffic of type LLC."""
    header, octets = header_at(place, layers.SunAtm, 4, "SunATM header")
    if header.type != 2:
        raise Unread("SunATM frame without LLC")
    yield place.after(octets, "llc")


# --- headers with an address family or an Ethertype -------------------------------------------------------------------


def infiniband(place: Place) -> Iterator[Place]:
    """Read IP over Infiniband."""
    header, octets = header_at(place, layers.Infiniband, 44, "IP over Infiniband header")
    yield place.after(octets, "ethertype", header.type)


def enc(place: Place) -> Iterator[Place]:
    """Read OpenBSD's enc: a family in host byte order."""
    header, octets = header_at(place, layers.Enc, 12, "OpenBSD enc header")
    yield from by_family(place.after(octets, "ip"), host_order(header.family))


def pflog(place: Place) -> Iterator[Place]:
    """Read OpenBSD's packet filter log: its length does not include the padding to 4 octets."""
    header, _ = header_at(place, layers.PfLogStart, 2, "pflog header")
    octets = header.hdrlen + 3 & ~3
    if octets < 4 or len(place.octets) < octets:
        raise Unread("truncated pflog header")
    yield from by_family(place.after(octets, "ip"), header.addrfamily)


def nflog(place: Place) -> Iterator[Place]:
    """Read Linux NFLOG: family, version, resource; attributes in host byte order, each padded to 4 octets."""
    family = place.octets[0] if len(place.octets) >= 4 else 0
    for swapped in (False, True):
        at = 4
        while at + 4 <= len(place.octets):
            octets, kind = nflog_attribute(place.octets[at : at + 4], swapped)
            if kind == NFULA_PAYLOAD and octets >= 4:
                yield from by_family(place.after(at + 4, "ip").sized(octets - 4), family)
                return
            if octets < 4:
                break
            at += octets + 3 & ~3
    raise Unread("NFLOG without payload")


def nflog_attribute(octets: bytes, swapped: bool) -> tuple[int, int]:
    """Return length and type of an attribute."""
    header = layers.NflogAttribute()
    header.do_dissect(octets[1::-1] + octets[:1:-1] if swapped else octets)
    return header.len, header.type & NLA_TYPE_MASK


STEPS: dict[str, Step] = {
    "link": link, "raw": raw, "loopback": loopback, "cooked": cooked, "ppp": ppp, "pppoe": pppoe, "hdlc": hdlc,
    "frame relay": frame_relay, "llc": llc, "snap": snap, "fddi": fddi, "token ring": token_ring, "sunatm": sunatm,
    "infiniband": infiniband, "enc": enc, "pflog": pflog, "nflog": nflog, "ppi": ppi, "pktap": pktap,
    "juniper": juniper, "1394": ip_over_1394,
}  # fmt: skip
