"""Tunnels over IP and UDP, through Scapy.

In: a place that is the payload of an IP packet or of a UDP datagram. Out: the place inside, with its words. A header
over IP that is not read raises `Unread`; a datagram without a valid tunnel header is no tunnel: `inside_udp` returns
None. RFC 2784, 2890, 2637, 7637 (GRE), 7348 (VXLAN), 8926 (Geneve), 4380 (Teredo), 2661 and 3931 (L2TP), 3378
(EtherIP), 4023 and 7510 (MPLS), 8086 (GRE in UDP); 3GPP TS 29.281 and GSM 09.60 (GTP); the drafts of ERSPAN, WCCP,
VXLAN-GPE and AYIYA.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

from handshake_inspect.capture.scapy_side import layers as layers
from handshake_inspect.capture.scapy_side.ethertypes import SMALLEST_ETHERTYPE, looks_like_ethernet, looks_like_ip
from handshake_inspect.capture.scapy_side.links import PPP_PROTOCOLS
from handshake_inspect.capture.scapy_side.places import Place, Step, Unread, header_at

#: IP protocol -> kind of the place after the IP header.
IP_PROTOCOLS = {47: "gre", 97: "etherip", 115: "l2tp over ip", 137: "mpls in ip", 143: "ethernet in ip", 145: "nsh"}
#: Protocol types of GRE that are no Ethertypes.
ERSPAN, ERSPAN_3, WCCP, PPP, BRIDGED, ARUBA = 0x88BE, 0x22EB, 0x883E, 0x880B, 0x6558, range(0x8200, 0x8371, 16)
EOIP = b"\x64\x00"
#: Possible offsets of L2TPv3's payload after the session: cookies of 0, 4 and 8 octets, a sublayer of 0 or 4.
L2TP_OFFSETS = tuple(cookie + sublayer for cookie in (0, 4, 8) for sublayer in (0, 4))
#: Message type of GTP that carries a packet.
T_PDU = 255
TEREDO_PREFIX = bytes.fromhex("20010000")
#: TZSP's encapsulated protocol -> kind of the place; more tagged fields are treated as damage.
TZSP_FRAMES = {1: "ethernet", 4: "ppp", 7: "raw", 18: "802.11", 119: "prism", 127: "avs"}
MOST_TAGS = 64
#: Next protocol of VXLAN-GPE -> kind of the place after it.
GPE_PROTOCOLS = {1: "ipv4", 2: "ipv6", 3: "ethernet", 4: "nsh", 5: "mpls"}


# --- over IP ----------------------------------------------------------------------------------------------------------


def gre(place: Place) -> Iterator[Place]:
    """Read GRE of version 0, or of version 1 as in PPTP."""
    if len(place.octets) >= 4 and (place.octets[0] & 0x40 or place.octets[1] & 7 > 1):
        raise Unread("GRE")
    if len(place.octets) >= 4 and place.octets[1] & 7 == 1:
        if place.octets[0] & 0xA0 != 0x20:  # a key and no checksum
            raise Unread("GRE")
        yield eoip(place) if place.octets[2:4] == EOIP else pptp(place)
        return
    header, octets = header_at(place, layers.GRE, 4, "GRE header")
    plain = not header.chksum_present and not header.seqnum_present
    if header.key_present and plain and header.proto == BRIDGED:  # RFC 7637 §3.2: VSID, then 8 bits of FlowID
        word = f"nvgre:{header.key >> 8}"
        yield place.after(octets, "ethernet").named(word, word)
        return
    if header.proto < SMALLEST_ETHERTYPE:
        raise Unread("GRE")
    kind = {ERSPAN: "erspan" if header.seqnum_present else "erspan 1", ERSPAN_3: "erspan", WCCP: "wccp"}.get(
        header.proto, "802.11" if header.proto in ARUBA else "ethertype"
    )
    word = f"gre:{header.key}" if header.key_present else "gre"
    yield place.after(octets, kind, header.proto if kind == "ethertype" else 0).named(word, "gre")


def pptp(place: Place) -> Place:
    """Read PPTP's GRE (RFC 2637 §4.1): the call, then PPP; an acknowledgment alone has no payload."""
    header, octets = header_at(place, layers.GRE_PPTP, 8, "GRE header")
    if header.proto != PPP or not header.key_present or octets >= place.original:
        raise Unread("GRE")
    return place.after(octets, "ppp").named(f"pptp:{header.call_id}", "pptp")


def eoip(place: Place) -> Place:
    """Read MikroTik's EoIP: a key, half of which is the tunnel, as in PPTP; then Ethernet."""
    header, octets = header_at(place, layers.EoIp, 8, "GRE header")
    octets += 4 * bool(header.flags & 0x1000) + 4 * bool(header.flags & 0x80)
    word = f"eoip:{header.tunnel}"
    return place.after(octets, "ethernet").named(word, word)


def erspan_1(place: Place) -> Iterator[Place]:
    """Read ERSPAN type I, which has no header: GRE then has no sequence number."""
    yield place.after(0, "ethernet").named("erspan", "erspan")


def erspan(place: Place) -> Iterator[Place]:
    """Read ERSPAN type II or III, by its version; in III the last bit announces 8 more octets before the frame."""
    if place.octets[:1] and place.octets[0] >> 4 == 2:
        header, octets = header_at(place, layers.ERSPAN_III, 12, "ERSPAN header")
        octets += 8 * header.o
    else:
        header, octets = header_at(place, layers.ERSPAN_II, 8, "ERSPAN header")
    yield place.after(octets, "ethernet").named(f"erspan:{header.session_id}", "erspan")


def wccp(place: Place) -> Iterator[Place]:
    """Read WCCP: version 2 puts 4 octets before the IPv4 header."""
    redirect = 0 if place.octets[:1] and place.octets[0] >> 4 == 4 else 4
    yield place.after(redirect, "ipv4").named("wccp")


def etherip(place: Place) -> Iterator[Place]:
    """Read EtherIP (RFC 3378): version 3, the rest zero."""
    header, octets = header_at(place, layers.EtherIP, 2, "EtherIP header")
    if header.version != 3 or header.reserved:
        raise Unread("EtherIP")
    yield place.after(octets, "ethernet").named("etherip", "etherip")


def mpls_in_ip(place: Place) -> Iterator[Place]:
    """Read MPLS in IP (RFC 4023): labels."""
    yield place.after(0, "mpls").named("mpls-in-ip", "mpls-in-ip")


def ethernet_in_ip(place: Place) -> Iterator[Place]:
    """Read Ethernet in IP (RFC 8986 §4.9): a frame, without a header before it."""
    yield place.after(0, "ethernet").named("ethernet-in-ip", "ethernet-in-ip")


def l2tp_over_ip(place: Place) -> Iterator[Place]:
    """Read L2TPv3 over IP (RFC 3931 §4.1.1): session 0 is control."""
    session = int.from_bytes(place.octets[:4])
    found = l2tp_payload(place.after(4, "l2tp"), session) if session and len(place.octets) >= 4 else None
    if found is None:
        raise Unread("L2TP")
    yield found


def l2tp_payload(place: Place, session: int) -> Place | None:
    """Find the payload after a session of L2TPv3: the sizes of cookie and sublayer are known only to its ends."""
    for offset in L2TP_OFFSETS:
        below = place.after(offset, "ethernet").named(f"l2tp:{session}", "l2tp")
        if looks_like_ethernet(below):
            return below
        if kind := looks_like_ip(below):
            return below.after(0, kind)
        if below.octets[:2] == b"\xff\x03" and (
            int.from_bytes(below.octets[2:4]) in PPP_PROTOCOLS or (below.octets[2:3] or b"\0")[0] in PPP_PROTOCOLS
        ):
            return below.after(0, "ppp")
    return None


# --- over UDP ---------------------------------------------------------------------------------------------------------


def gre_in_udp(place: Place) -> Place | None:
    """Read GRE in UDP (RFC 8086): GRE of version 0 as over IP."""
    if len(place.octets) >= 4 and place.octets[1] & 7:
        return None
    try:
        return next(gre(place))
    except Unread:
        return None


def vxlan(place: Place) -> Place | None:
    """Read VXLAN (RFC 7348 §5): the VNI is valid if the I flag is set; all other flags are ignored."""
    if len(place.octets) < 8 or not place.octets[0] & 8:
        return None
    header = layers.VXLAN()
    header.do_dissect(b"\x08" + place.octets[1:8])
    word = f"vxlan:{header.vni}"
    return place.after(8, "ethernet").named(word, word)


def vxlan_gpe(place: Place) -> Place | None:
    """Read VXLAN-GPE: the next protocol is valid if the P flag is set."""
    found = layers.read_header(layers.VxlanGpe, place.octets, 8)
    if found is None or not found[0].instance:
        return None
    header, octets = found
    kind = GPE_PROTOCOLS.get(header.protocol) if header.next_protocol else "ethernet"
    word = f"vxlan-gpe:{header.vni}"
    return place.after(octets, kind).named(word, word) if kind else None


def geneve(place: Place) -> Place | None:
    """Read Geneve (RFC 8926 §3.4): options are counted in words of 4 octets."""
    found = layers.read_header(layers.GENEVE, place.octets[:8], 8)
    if found is None or found[0].version or found[0].proto < SMALLEST_ETHERTYPE:
        return None
    octets, word = 8 + 4 * found[0].optionlen, f"geneve:{found[0].vni}"
    if octets > len(place.octets):
        return None
    return place.after(octets, "ethertype", found[0].proto).named(word, word)


def gtp(place: Place) -> Place | None:
    """Read GTP-U (TS 29.281 §5): a T-PDU, after extension headers with the type of the next one in their last octet."""
    found = layers.read_header(layers.GTPHeader, place.octets, 8)
    if found is None:
        return None
    header, at = found
    if (header.version, header.PT, header.gtp_type) != (1, 1, T_PDU):
        return None
    following = header.next_ex if header.E else 0
    while following:
        octets = 4 * place.octets[at] if at < len(place.octets) else 0
        if not octets or at + octets > len(place.octets):
            return None
        following, at = place.octets[at + octets - 1], at + octets
    return ip_by_version(place, at, f"gtp:{header.teid}", "gtp")


def gtp_0(place: Place) -> Place | None:
    """Read GTP version 0 (GSM 09.60 §6)."""
    found = layers.read_header(layers.GtpVersion0, place.octets, 20)
    if found is None or (found[0].version, found[0].PT, found[0].gtp_type) != (0, 1, T_PDU):
        return None
    return ip_by_version(place, found[1], f"gtp:{found[0].flow}", "gtp")


def ip_by_version(place: Place, at: int, word: str, key: str, versions: tuple[int, ...] = (4, 6)) -> Place | None:
    """Return the IP packet after `at` octets; None if its version is not among `versions`."""
    version = place.octets[at] >> 4 if at < len(place.octets) else 0
    return place.after(at, f"ipv{version}").named(word, key) if version in versions else None


def teredo(place: Place) -> Place | None:
    """Read Teredo (RFC 4380 §5.1): authentication and origin may come before the IPv6 packet."""
    at = 0
    if place.octets[:2] == b"\x00\x01":
        found = layers.read_header(layers.TeredoAuthentication, place.octets, 4)
        at = 4 + found[0].id_len + found[0].value_len + 9 if found else 0
    if place.octets[at : at + 2] == b"\x00\x00":
        at += 8
    return ip_by_version(place, at, "teredo", "teredo", (6,)) if len(place.octets) >= at + 40 else None


def is_between_teredo_clients(place: Place) -> bool:
    """Return whether this is IPv6 from or to 2001:0::/32 (RFC 4380 §2.6), as long as the datagram, at any ports."""
    if len(place.octets) < 40 or place.octets[0] >> 4 != 6:
        return False
    ip = layers.IPv6(place.octets[:40])
    addresses = (socket.inet_pton(socket.AF_INET6, end) for end in (ip.src, ip.dst))
    return ip.plen + 40 == place.original and any(one.startswith(TEREDO_PREFIX) for one in addresses)


def l2tp(place: Place) -> Place | None:
    """Read L2TP data of version 2 (RFC 2661 §3.1) and 3 (RFC 3931 §4.1.2.1). Control messages are datagrams."""
    if len(place.octets) < 6 or place.octets[0] & 0x80:
        return None
    if place.octets[1] & 0xF == 3:
        found = layers.read_header(layers.L2tpVersion3, place.octets, 8)
        session = found[0].session if found else 0  # 0 is control
        return l2tp_payload(place.after(8, "l2tp"), session) if session else None
    found = layers.read_header(layers.L2TP, place.octets, 6)
    if found is None or found[0].version != 2 or len(found[0].pad or b"") < (found[0].offset or 0):
        return None
    header, octets = found
    if octets >= len(place.octets):
        return None
    return place.after(octets, "ppp").named(f"l2tp:{header.tunnel_id}.{header.session_id}", "l2tp")


def ayiya(place: Place) -> Place | None:
    """Read AYIYA: identity and signature, then IPv6, the only next header that is read."""
    found = layers.read_header(layers.Ayiya, place.octets, 8)
    if found is None or found[0].nh != 41:
        return None
    octets = found[1] + 2 ** found[0].id_len + 4 * found[0].sig_len
    return ip_by_version(place, octets, "ayiya", "ayiya", (6,)) if len(place.octets) >= octets + 40 else None


def lisp(place: Place) -> Place | None:
    """Read LISP (RFC 9300 §5.3): nonce, instance or locators, then IP."""
    found = layers.read_header(layers.Lisp, place.octets, 8)
    if found is None:
        return None
    word = f"lisp:{found[0].instance}" if found[0].has_instance else "lisp"
    return ip_by_version(place, found[1], word, word)


def tzsp(place: Place) -> Place | None:
    """Read the TaZmen Sniffer Protocol: tagged fields (0 pads, 1 ends them), then the frame."""
    found = layers.read_header(layers.TzspStart, place.octets, 4)
    if found is None or found[0].version != 1 or found[0].kind > 1 or found[0].inside not in TZSP_FRAMES:
        return None
    at = found[1]
    for _ in range(MOST_TAGS):
        if at >= len(place.octets):
            return None
        tag = place.octets[at]
        if tag > 1 and at + 1 >= len(place.octets):
            return None
        at += 1 if tag <= 1 else 2 + place.octets[at + 1]
        if tag == 1:
            return place.after(at, TZSP_FRAMES[found[0].inside]).named("tzsp", "tzsp")
    return None


def tzsp_frame(place: Place) -> Iterator[Place]:
    """Read TZSP as a link type."""
    found = tzsp(place)
    if found is None:
        raise Unread("TZSP")
    yield found


def mpls_in_udp(place: Place) -> Place | None:
    """Read MPLS in UDP (RFC 7510): labels."""
    return place.after(0, "mpls").named("mpls-in-udp", "mpls-in-udp") if len(place.octets) >= 4 else None


Reader = Callable[[Place], Place | None]
#: Destination port -> tunnel; port of either end -> tunnel.
TO_PORT: dict[int, Reader] = {
    4754: gre_in_udp, 4789: vxlan, 8472: vxlan, 4790: vxlan_gpe, 6081: geneve, 6635: mpls_in_udp,
    4341: lisp, 37008: tzsp,
}  # fmt: skip
AT_PORT: dict[int, Reader] = {2152: gtp, 3386: gtp_0, 3544: teredo, 1701: l2tp, 5072: ayiya}


def inside_udp(place: Place, ports: tuple[int, int]) -> Place | None:
    """Return the place inside a datagram from and to `ports`; None if it is no tunnel."""
    if is_between_teredo_clients(place):
        return place.after(0, "ipv6").named("teredo", "teredo")
    source, destination = ports
    candidates = (TO_PORT.get(destination), AT_PORT.get(destination), AT_PORT.get(source))
    for read in candidates:
        found = read(place) if read else None
        if found is not None:
            return found
    return None


STEPS: dict[str, Step] = {
    "gre": gre, "erspan 1": erspan_1, "erspan": erspan, "wccp": wccp, "etherip": etherip,
    "mpls in ip": mpls_in_ip, "ethernet in ip": ethernet_in_ip, "l2tp over ip": l2tp_over_ip, "tzsp": tzsp_frame,
}  # fmt: skip
