"""Frames of every layer that can stand around TCP, and what a decoder has to find in them.

Data for any decoder; the expectations come from the specifications named in `headers`. `ALL` are all of them,
`WHOLE` those that hold a segment.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.capture.headers import (
    ARP,
    BRIDGED,
    CHECKSUM,
    CLIENT,
    CLIENT6,
    CLIENT_PORT,
    FAR,
    FROM_DS,
    IPV4,
    IPV6,
    KEY,
    MAC,
    MORE_FRAGMENTS,
    NEAR,
    ORDER,
    PROTECTED,
    ROUTING,
    SEQ,
    SEQUENCE,
    SERVER,
    SERVER6,
    SERVER_PORT,
    SYN4,
    SYN6,
    TEREDO_ORIGIN,
    TO_DS,
    around,
    around6,
    authentication,
    ayiya,
    cisco_hdlc,
    cooked,
    cooked_2,
    eoip,
    erspan,
    erspan_3,
    ethernet,
    geneve,
    gre,
    gtp,
    gtp_0,
    in_udp,
    ipcomp,
    ipv4,
    ipv6,
    juniper,
    l2tp,
    l2tp_3,
    labels,
    lisp,
    llc_frame,
    llc_snap,
    macsec,
    mesh_control,
    nsh,
    number,
    pktap,
    ppi,
    ppp,
    pppoe,
    pptp,
    radiotap,
    service_instance,
    subframes,
    tag,
    tcp,
    teredo_authentication,
    tzsp,
    udp,
    vxlan,
    wlan,
)


class Found(NamedTuple):
    """One row: a TCP segment, or a UDP datagram (of which `seq` is 0)."""

    #: Words of `Names.encapsulation` and of `Names.tunnel`, joined by spaces.
    encapsulation: str
    tunnel: str
    src: str
    sport: int
    dst: str
    dport: int
    seq: int


class Case(NamedTuple):
    """One frame, captured in full."""

    name: str
    #: LINKTYPE_ value.
    link_type: int
    octets: bytes
    segments: tuple[Found, ...] = ()
    datagrams: tuple[Found, ...] = ()
    #: The kind of a frame without rows, as `Block.unread` counts it; None: counted, whatever the words.
    unread: tuple[str, ...] | None = ()


def segment(encapsulation: str = "", tunnel: str = "", version: int = 4) -> Found:
    """Return the row of the SYN that stands innermost."""
    ends = (CLIENT, SERVER) if version == 4 else (CLIENT6, SERVER6)
    return Found(encapsulation, tunnel, ends[0], CLIENT_PORT, ends[1], SERVER_PORT, SEQ)


def good(name: str, link_type: int, octets: bytes, encapsulation: str = "", tunnel: str = "", version: int = 4) -> Case:
    """Return the case of a frame with the SYN in it."""
    return Case(name, link_type, octets, (segment(encapsulation, tunnel, version),))


def tunnelled(name: str, below: bytes, encapsulation: str, tunnel: str | None = None, version: int = 4) -> Case:
    """Return the case of an IP packet in Ethernet; all words are key words unless `tunnel` says which."""
    tunnel = encapsulation if tunnel is None else tunnel
    return good(name, 1, ethernet(IPV4, below), encapsulation, tunnel, version)


def plain(name: str, source: int, destination: int, payload: bytes) -> Case:
    """Return the case of a UDP datagram that is no tunnel, although its port is one's."""
    row = Found("", "", NEAR, source, FAR, destination, 0)
    return Case(name, 1, ethernet(IPV4, in_udp(destination, payload, source)), datagrams=(row,))


def counted(name: str, link_type: int, octets: bytes, kind: str | None = None) -> Case:
    """Return the case of a frame that has no row and is counted."""
    return Case(name, link_type, octets, unread=None if kind is None else (kind,))


TEREDO_CLIENT = "2001:0:4137:9e50:8000:f12a:b9c8:2815"
TEREDO_SYN = ipv6(6, tcp(), (TEREDO_CLIENT, SERVER6))
INNER4, INNER6 = ethernet(IPV4, SYN4), ethernet(IPV6, SYN6)
SNAP4, SNAP6 = llc_snap(IPV4, SYN4), llc_snap(IPV6, SYN6)
#: A MAC address that begins with neither 4 nor 6 nor 0: no IP packet, no control word.
OTHER_MAC = b"\x12" + INNER4[1:]

LINKS = [
    good("Ethernet", 1, ethernet(IPV4, SYN4)),
    good("Ethernet, IPv6", 1, ethernet(IPV6, SYN6), version=6),
    good("Ethernet, LLC and SNAP", 1, llc_frame(SNAP4)),
    good("Ethernet, LLC and SNAP, IPv6", 1, llc_frame(SNAP6), version=6),
    good("Ethernet, SNAP with the bridge-tunnel OUI", 1, llc_frame(llc_snap(IPV4, SYN4, 0xF8))),
    good("Ethernet, LLC with IP's own SAP", 1, llc_frame(b"\x06\x06\x03" + SYN4)),
    good("PPP", 9, ppp(0x21, SYN4)),
    good("PPP, IPv6", 9, ppp(0x57, SYN6), version=6),
    good("PPP with address and control", 9, ppp(0x21, SYN4, framed=True)),
    good("PPP, compressed protocol", 9, ppp(0x21, SYN4, short=True)),
    good("PPP with address and control, compressed protocol", 9, ppp(0x57, SYN6, framed=True, short=True), version=6),
    good("PPP, MPLS unicast", 9, ppp(0x281, labels(16, below=SYN4)), "mpls:16"),
    good("PPP, MPLS multicast", 9, ppp(0x283, labels(17, below=SYN6)), "mpls:17", version=6),
    good("PPP in HDLC framing", 50, ppp(0x21, SYN4, framed=True)),
    good("Cisco HDLC in PPP's link type, unicast", 50, cisco_hdlc(IPV4, SYN4)),
    good("Cisco HDLC in PPP's link type, multicast", 50, cisco_hdlc(IPV6, SYN6, 0x8F), version=6),
    good("PPPoE as link type", 51, pppoe(7, ppp(0x21, SYN4)), "pppoe:7"),
    good("PPP of pppd, direction for the address", 166, b"\x00\x03" + ppp(0x21, SYN4)),
    good("PPP of pppd, sent", 166, b"\x01\x03" + ppp(0x57, SYN6), version=6),
    good("PPP with direction", 204, b"\x00" + ppp(0x21, SYN4, framed=True)),
    good("PPP with direction, without address and control", 204, b"\x01" + ppp(0x21, SYN4)),
    good("Cisco HDLC", 104, cisco_hdlc(IPV4, SYN4)),
    good("Cisco HDLC, IPv6 multicast", 104, cisco_hdlc(IPV6, SYN6, 0x8F), version=6),
    good("Cisco HDLC, MPLS", 104, cisco_hdlc(0x8847, labels(99, below=SYN4)), "mpls:99"),
    good("Cisco HDLC with direction", 205, b"\x01" + cisco_hdlc(IPV4, SYN4)),
    good("frame relay, NLPID of IPv4", 107, bytes.fromhex("184103cc") + SYN4),
    good("frame relay, NLPID of IPv6", 107, bytes.fromhex("1841038e") + SYN6, version=6),
    good("frame relay, SNAP after a pad", 107, bytes.fromhex("1841030080000000") + number(IPV4, 2) + SYN4),
    good("frame relay, Cisco", 107, bytes.fromhex("1841") + number(IPV4, 2) + SYN4),
    good("IP over Infiniband", 242, bytes(40) + number(IPV4, 2) + bytes(2) + SYN4),
    good("IP over Infiniband, IPv6", 242, bytes(40) + number(IPV6, 2) + bytes(2) + SYN6, version=6),
    good("OpenBSD enc, little-endian", 109, bytes.fromhex("02000000 00001234 00000000") + SYN4),
    good("OpenBSD enc, big-endian, IPv6", 109, bytes.fromhex("00000018 00001234 00000000") + SYN6, version=6),
    good("OpenBSD pflog", 117, bytes([61, 2]) + bytes(62) + SYN4),
    good("OpenBSD pflog, IPv6, a longer header", 117, bytes([69, 24]) + bytes(70) + SYN6, version=6),
    good("FDDI", 10, b"\x50" + MAC + SNAP4),
    good("token ring", 6, b"\x10\x40" + MAC + SNAP4),
    good("token ring, source routed", 6,
         b"\x10\x40" + MAC[:6] + b"\x82" + MAC[7:] + bytes.fromhex("06b0 0011 0020") + SNAP6, version=6),
    good("ATM, RFC 1483", 100, SNAP4),
    good("SunATM, LLC", 123, bytes.fromhex("02000064") + SNAP4),
    good("frame relay, PPP", 107, bytes.fromhex("184103cf") + ppp(0x21, SYN4)),
    good("frame relay, bridged Ethernet", 107, bytes.fromhex("18410300 80 0080c2 0007") + INNER4),
    good("frame relay with direction", 206, bytes.fromhex("01 184103cc") + SYN4),
    good("ATM, routed", 100, bytes.fromhex("fefe03cc") + SYN4),
    good("ATM, PPP", 100, bytes.fromhex("fefe03cf") + ppp(0x57, SYN6), version=6),
    good("ATM, bridged Ethernet", 100, bytes.fromhex("aaaa03 0080c2 0007 0000") + INNER4),
    good("ATM, bridged Ethernet with its check sequence", 100,
         bytes.fromhex("aaaa03 0080c2 0001 0000") + INNER6 + bytes(4), version=6),
    counted("ATM, bridged token ring", 100, bytes.fromhex("aaaa03 0080c2 0009 0000") + INNER4, "LLC"),
    good("IP over Fibre Channel", 122, bytes(16) + SNAP4),
    good("IP over IEEE 1394", 138, bytes(16) + number(IPV6, 2) + SYN6, version=6),
    good("Juniper Ethernet", 178, juniper(INNER4)),
    good("Juniper Ethernet with an extension", 178, juniper(INNER6, extension=bytes.fromhex("020100 040100")),
         version=6),
    good("Juniper Ethernet without a link header", 178, juniper(SYN4, bare=True)),
    good("Juniper, an extension and no link header", 178, juniper(SYN4, bare=True, extension=bytes(3))),
    good("Juniper PPP", 179, juniper(ppp(0x21, SYN4, framed=True))),
    good("Juniper frame relay", 180, juniper(bytes.fromhex("184103cc") + SYN4)),
    good("Juniper Cisco HDLC", 181, juniper(cisco_hdlc(IPV4, SYN4))),
    counted("Juniper without its magic", 178, b"MGD" + juniper(INNER4)[3:], "Juniper header"),
    good("PKTAP, Ethernet", 258, pktap(1, INNER4)),
    good("PKTAP, raw IP", 258, pktap(12, SYN6), version=6),
    good("PKTAP, BSD loopback", 258, pktap(0, bytes.fromhex("02000000") + SYN4)),
    counted("PKTAP, an unknown link type", 258, pktap(147, INNER4), "PKTAP with link type 147"),
    counted("PKTAP, a link type of more than 16 bits", 258, pktap(1 << 16, INNER4),
            "PKTAP with a link type that cannot be"),
    counted("PKTAP in PKTAP, over and over", 258, b"".join(pktap(258, b"") for _ in range(400)), None),
    good("TZSP as link type", 128, tzsp(1, INNER4), "tzsp", "tzsp"),
    counted("TZSP of version 2", 128, b"\x02" + tzsp(1, INNER4)[1:], "TZSP"),
    good("Linux cooked, radiotap", 113, cooked(803, 0, radiotap(wlan(SNAP4)))),
    good("Linux cooked v2, radiotap", 276, cooked_2(803, 0, radiotap(wlan(SNAP6))), version=6),
    good("Linux cooked, frame relay", 113, cooked(770, 0, bytes.fromhex("184103cc") + SYN4)),
    good("Linux cooked, GRE device", 113, cooked(778, IPV4, SYN4)),
    good("Linux cooked v2, GRE device, Ethernet", 276, cooked_2(778, BRIDGED, INNER4)),
    good("Linux cooked, LLC", 113, cooked(1, 4, SNAP4)),
    counted("Linux cooked, netlink", 113, cooked(824, 0, bytes.fromhex("34000000") + bytes(48)), "netlink message"),
    good("NetAnalyzer", 240, bytes.fromhex("00043a00") + INNER4 + bytes(4)),
]  # fmt: skip


def nflog(family: int, payload: bytes, order: str = "little", before: int = 10) -> bytes:
    """Linux NFLOG: family, version, resource; attributes in the byte order of the host, each padded to 4 octets."""

    def attribute(kind: int, value: bytes) -> bytes:
        length, type_ = ((4 + len(value)).to_bytes(2, "little"), kind.to_bytes(2, "little"))
        if order == "big":
            length, type_ = length[::-1], type_[::-1]
        return length + type_ + value + bytes(-len(value) % 4)

    attributes = attribute(1, bytes.fromhex("08000300")) + attribute(before, b"in:\x00\x00") + attribute(9, payload)
    return bytes([family, 0, 0, 5]) + attributes


NFLOG = [
    good("NFLOG", 239, nflog(2, SYN4)),
    good("NFLOG, IPv6", 239, nflog(10, SYN6), version=6),
    good("NFLOG of a big-endian host", 239, nflog(2, SYN4, "big")),
    good("NFLOG, a nested attribute before the packet", 239, nflog(2, SYN4, before=0x8012)),
    good("NFLOG of a big-endian host, a nested attribute before the packet", 239, nflog(2, SYN4, "big", before=0x8012)),
    good("NFLOG, IPv4 of length 0, padding behind it", 239, nflog(2, ipv4(6, tcp(0x10, b"abc"), total=0))),
    counted("NFLOG of another family", 239, nflog(7, SYN4)),
    counted("NFLOG without payload", 239, nflog(2, b"")[:-4]),
]

#: Prism's 144 octets: message code and length in the byte order of the host, then names and values.
PRISM = bytes.fromhex("44000000 90000000") + bytes(136)
AVS = bytes.fromhex("80211001 00000040") + bytes(56)

WLAN = [
    good("802.11 to the DS", 105, wlan(SNAP4)),
    good("802.11 from the DS", 105, wlan(SNAP6, flags=FROM_DS), version=6),
    good("802.11 without DS", 105, wlan(SNAP4, flags=0)),
    good("802.11, four addresses", 105, wlan(SNAP4, flags=TO_DS | FROM_DS)),
    good("802.11, QoS", 105, wlan(SNAP4, subtype=8)),
    good("802.11, QoS and HT control", 105, wlan(SNAP4, subtype=8, flags=TO_DS | ORDER)),
    good("802.11, order bit without QoS", 105, wlan(SNAP4, flags=TO_DS | ORDER)),
    good("802.11, QoS, four addresses, HT control", 105, wlan(SNAP6, subtype=8, flags=TO_DS | FROM_DS | ORDER),
         version=6),
    good("802.11, data with acknowledgment and poll", 105, wlan(SNAP4, subtype=3)),
    good("802.11 with frame check sequence", 105, wlan(SNAP4) + bytes(4)),
    Case("802.11, A-MSDU", 105, wlan(subframes(SNAP4, SNAP6), subtype=8, qos=0x80),
         (segment(), segment(version=6))),
    Case("802.11, A-MSDU with four addresses and padding", 105,
         wlan(subframes(llc_snap(IPV4, ipv4(6, tcp(2, b"x"))), SNAP4, SNAP4), subtype=8, qos=0x80,
              flags=TO_DS | FROM_DS),
         (segment(), segment(), segment())),
    Case("802.11, A-MSDU of which one subframe is ARP", 105,
         wlan(subframes(llc_snap(ARP, bytes(28)), SNAP4), subtype=8, qos=0x80), (segment(),)),
    good("802.11, mesh", 105, wlan(mesh_control() + SNAP4, subtype=8, flags=TO_DS | FROM_DS, qos=0x100)),
    good("802.11, mesh, two more addresses", 105,
         wlan(mesh_control(MAC[:6], MAC[6:]) + SNAP6, subtype=8, flags=TO_DS | FROM_DS, qos=0x100), version=6),
    good("802.11, mesh, to a group, one more address", 105,
         wlan(mesh_control(MAC[:6]) + SNAP4, subtype=8, flags=FROM_DS, qos=0x100)),
    good("802.11, mesh, HT control", 105,
         wlan(mesh_control() + SNAP4, subtype=8, flags=TO_DS | FROM_DS | ORDER, qos=0x100)),
    good("802.11, mesh, radiotap's data pad", 127,
         radiotap(wlan(bytes(2) + mesh_control() + SNAP4, subtype=8, flags=FROM_DS, qos=0x100), flags=0x20)),
    good("802.11, the bit of mesh control outside of a mesh", 105, wlan(SNAP4, subtype=8, flags=TO_DS, qos=0x100)),
    good("802.11, four addresses, the bit of mesh control outside of a mesh", 105,
         wlan(SNAP4, subtype=8, flags=TO_DS | FROM_DS, qos=0x100)),
    good("radiotap", 127, radiotap(wlan(SNAP4))),
    good("radiotap, flags", 127, radiotap(wlan(SNAP4) + bytes(4), flags=0x10)),
    good("radiotap, time and flags", 127, radiotap(wlan(SNAP6), flags=0, timestamp=True), version=6),
    good("radiotap, data pad after QoS", 127, radiotap(wlan(bytes(2) + SNAP4, subtype=8), flags=0x20)),
    good("radiotap, data pad where none is needed", 127, radiotap(wlan(SNAP4), flags=0x20)),
    good("radiotap, data pad, two more present words, time", 127,
         radiotap(wlan(bytes(2) + SNAP4, subtype=8), flags=0x20, timestamp=True, more=2)),
    good("radiotap, data pad, four addresses", 127,
         radiotap(wlan(bytes(2) + SNAP4, flags=TO_DS | FROM_DS), flags=0x20)),
    good("PPI", 192, ppi(105, wlan(SNAP4))),
    good("PPI with a field", 192, ppi(105, wlan(SNAP6), bytes.fromhex("0200 1400") + bytes(20)), version=6),
    good("Prism", 119, PRISM + wlan(SNAP4)),
    good("AVS", 163, AVS + wlan(SNAP4)),
    good("AVS in the link type of Prism", 119, AVS + wlan(SNAP4)),
    good("802.11, a tag behind SNAP", 105, wlan(llc_snap(0x8100, tag(5, IPV4, SYN4))), "vlan:5"),
    counted("802.11, protected", 105, wlan(SNAP4, flags=TO_DS | PROTECTED)),
    counted("802.11, null data", 105, wlan(b"", subtype=4)),
    counted("802.11, QoS null", 105, wlan(b"", subtype=12)),
    counted("802.11, management", 105, wlan(bytes(40), kind=0, subtype=8)),
    counted("802.11, control", 105, bytes.fromhex("d4000000") + MAC[:6]),
    counted("802.11, first fragment of a frame", 105, wlan(SNAP4, flags=TO_DS | MORE_FRAGMENTS)),
    counted("802.11, later fragment of a frame", 105, wlan(SNAP4, fragment=1)),
    counted("802.11, cut in its header", 105, wlan(SNAP4)[:20]),
    counted("radiotap longer than the frame", 127, bytes.fromhex("0000ff0000000000") + wlan(SNAP4)),
    counted("radiotap shorter than itself", 127, bytes.fromhex("0000040000000000") + wlan(SNAP4)),
    counted("PPI longer than the frame", 192, bytes.fromhex("0000ff0069000000") + wlan(SNAP4)),
]  # fmt: skip

#: Linux cooked v1 before its protocol, v2 behind it.
COOKED = bytes.fromhex("0000 0001 0006 020000000001 0000")
COOKED_2 = bytes.fromhex("0000 00000001 0001 00 06 0200000000010000")

TAGS = [
    *(
        good(f"tag of type 0x{kind:04X}", 1, ethernet(kind, tag(42, IPV4, SYN4)), "vlan:42")
        for kind in (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
    ),
    good("tag 0 with priority", 1, ethernet(0x8100, tag(0, IPV6, SYN6, 7)), "vlan:0", version=6),
    good("tag 4095", 1, ethernet(0x8100, tag(4095, IPV4, SYN4)), "vlan:4095"),
    good("two tags", 1, ethernet(0x88A8, tag(100, 0x8100, tag(200, IPV4, SYN4))), "vlan:100 vlan:200"),
    good("a tag, then LLC and SNAP", 1, ethernet(0x8100, tag(3, len(SNAP4), SNAP4)), "vlan:3"),
    good("NSH, IPv4", 1, ethernet(0x894F, nsh(1, SYN4)), "nsh"),
    good("NSH, Ethernet", 1, ethernet(0x894F, nsh(3, INNER6)), "nsh", version=6),
    good("NSH in NSH with metadata, MPLS", 1,
         ethernet(0x894F, nsh(4, nsh(5, labels(9, below=SYN4), bytes(8)))), "nsh nsh mpls:9"),
    good("802.1ah", 1, ethernet(0x88E7, service_instance(0x123456, INNER4)), "pbb:1193046"),
    good("802.1ah, its flags are no part of the I-SID", 1,
         ethernet(0x88E7, service_instance(0xE8000005, INNER6)), "pbb:5", version=6),
    good("802.1ah with a backbone tag outside and a tag inside", 1,
         ethernet(0x88A8, tag(10, 0x88E7, service_instance(9, ethernet(0x8100, tag(20, IPV4, SYN4))))),
         "vlan:10 pbb:9 vlan:20"),
    good("MPLS", 1, ethernet(0x8847, labels(1000, below=SYN4)), "mpls:1000"),
    good("MPLS multicast", 1, ethernet(0x8848, labels(1001, below=SYN6)), "mpls:1001", version=6),
    good("MPLS, three labels", 1, ethernet(0x8847, labels(0xFFFFF, 2, 3, below=SYN6)), "mpls:1048575 mpls:2 mpls:3",
         version=6),
    good("MPLS pseudowire with control word", 1, ethernet(0x8847, labels(16, below=bytes(4) + INNER4)), "mpls:16"),
    good("MPLS pseudowire with control word and sequence", 1,
         ethernet(0x8847, labels(16, 17, below=bytes.fromhex("00000007") + INNER6)), "mpls:16 mpls:17", version=6),
    good("MPLS pseudowire without control word, MAC begins with 0", 1,
         ethernet(0x8847, labels(18, below=INNER4)), "mpls:18"),
    good("MPLS pseudowire without control word, padded: the IP length is no length of LLC", 1,
         ethernet(0x8847, labels(18, below=INNER4 + bytes(6))), "mpls:18"),
    good("MPLS pseudowire without control word, MAC begins with 1", 1,
         ethernet(0x8847, labels(18, below=OTHER_MAC)), "mpls:18"),
    good("MPLS pseudowire with control word and tag", 1,
         ethernet(0x8847, labels(19, below=bytes(4) + ethernet(0x8100, tag(8, IPV4, SYN4)))), "mpls:19 vlan:8"),
    good("MPLS, 58 labels", 1, ethernet(0x8847, labels(*range(100, 158), below=SYN4)),
         " ".join(f"mpls:{label}" for label in range(100, 158))),
    good("MPLS behind a tag", 1, ethernet(0x8100, tag(4, 0x8847, labels(5, below=SYN4))), "vlan:4 mpls:5"),
    good("PPPoE", 1, ethernet(0x8864, pppoe(0x1234, ppp(0x21, SYN4))), "pppoe:4660"),
    good("PPPoE, IPv6", 1, ethernet(0x8864, pppoe(1, ppp(0x57, SYN6))), "pppoe:1", version=6),
    good("PPPoE, compressed protocol", 1, ethernet(0x8864, pppoe(1, ppp(0x21, SYN4, short=True))), "pppoe:1"),
    good("PPPoE with padding behind", 1, ethernet(0x8864, pppoe(1, ppp(0x21, SYN4)) + bytes(6)), "pppoe:1"),
    good("PPPoE behind two tags", 1,
         ethernet(0x88A8, tag(1, 0x8100, tag(2, 0x8864, pppoe(3, ppp(0x21, SYN4))))), "vlan:1 vlan:2 pppoe:3"),
    good("FabricPath", 1, ethernet(0x8903, bytes.fromhex("0040") + INNER4), "fabricpath"),
    good("FabricPath, a tag inside", 1, ethernet(0x8903, bytes.fromhex("0040") + ethernet(0x8100, tag(7, IPV4, SYN4))),
         "fabricpath vlan:7"),
    good("VN-Tag", 1, ethernet(0x8926, bytes.fromhex("80010002") + number(IPV4, 2) + SYN4), "vntag"),
    good("VN-Tag, then a tag", 1, ethernet(0x8926, bytes(4) + number(0x8100, 2) + tag(9, IPV6, SYN6)), "vntag vlan:9",
         version=6),
    good("Cisco MetaData", 1, ethernet(0x8909, bytes.fromhex("010100010064") + number(IPV4, 2) + SYN4), "cmd"),
    good("TRILL", 1, ethernet(0x22F3, bytes.fromhex("003f 0001 0002") + INNER4), "trill"),
    good("TRILL with two words of options", 1, ethernet(0x22F3, bytes.fromhex("00bf 0001 0002") + bytes(8) + INNER6),
         "trill", version=6),
    good("TRILL with the longest options", 1, ethernet(0x22F3, bytes.fromhex("07ff 0001 0002") + bytes(124) + INNER4),
         "trill"),
    good("HSR", 1, ethernet(0x892F, bytes.fromhex("0034 0001") + number(IPV4, 2) + SYN4), "hsr"),
    good("E-TAG", 1, ethernet(0x893F, bytes(6) + number(IPV4, 2) + SYN4), "etag"),
    good("R-TAG behind a tag", 1, ethernet(0x8100, tag(7, 0xF1C1, bytes(4) + number(IPV6, 2) + SYN6)), "vlan:7 rtag",
         version=6),
    good("MACsec, integrity only", 1, ethernet(0x88E5, macsec(IPV4, SYN4)), "macsec"),
    good("MACsec, integrity only, with a channel, a tag inside", 1,
         ethernet(0x88E5, macsec(0x8100, tag(5, IPV6, SYN6), 0x01, MAC[:6] + b"\0\1")), "macsec vlan:5", version=6),
    counted("MACsec, encrypted", 1, ethernet(0x88E5, macsec(IPV4, SYN4, 0x0C)), "MACsec"),
    counted("MACsec cut", 1, ethernet(0x88E5, macsec(IPV4, b"", 0, bytes(8))[:12]), "truncated MACsec tag"),
    good("Linux cooked, a tag", 113, COOKED + number(0x8100, 2) + tag(6, IPV4, SYN4), "vlan:6"),
    good("Linux cooked, MPLS", 113, COOKED + number(0x8847, 2) + labels(6, below=SYN4), "mpls:6"),
    good("Linux cooked v2, PPPoE", 276, number(0x8864, 2) + COOKED_2 + pppoe(6, ppp(0x21, SYN4)), "pppoe:6"),
    good("BSD loopback, IP in IP", 0, bytes.fromhex("02000000") + around(4, SYN4), "ipip", "ipip"),
]  # fmt: skip

COOKIE = bytes.fromhex("a1a2a3a4a5a6a7a8")
#: L2TPv3: a HELLO (RFC 3931 §6.5); the default sublayer with its S bit, sequence 1; and the first four octets over UDP.
CONTROL_3 = bytes.fromhex("c8030014 00000001 00000000 8008000000000006")
SUBLAYER, OVER_UDP = bytes.fromhex("40000001"), bytes.fromhex("00030000")

IP_TUNNELS = [
    tunnelled("IP in IP", around(4, SYN4), "ipip"),
    tunnelled("IPv6 in IPv4", around(41, SYN6), "6in4", version=6),
    good("IPv4 in IPv6", 1, ethernet(IPV6, around6(4, SYN4)), "4in6", "4in6"),
    good("IPv6 in IPv6", 1, ethernet(IPV6, around6(41, SYN6)), "6in6", "6in6", 6),
    good("IPv4 in IPv6 behind destination options", 1,
         ethernet(IPV6, around6(60, bytes.fromhex("0400 0401 0104 0100") + SYN4)), "4in6", "4in6"),
    tunnelled("IP in IP behind options", ipv4(4, SYN4, (NEAR, FAR), options=b"\x94\x04\x00\x00"), "ipip"),
    counted("IP in IP that is longer than what it is in", 1,
            ethernet(IPV4, ipv4(4, SYN4, (NEAR, FAR), total=20 + 30)), "truncated TCP header"),
    counted("PPPoE of another version", 1, ethernet(0x8864, b"\x21" + pppoe(7, ppp(0x21, SYN4))[1:]),
            "PPPoE discovery"),
    tunnelled("IP in IP twice", around(4, around(4, SYN4)), "ipip ipip"),
    good("IP in IP, a tag outside", 1, ethernet(0x8100, tag(2, IPV4, around(4, SYN4))), "vlan:2 ipip", "ipip"),
    good("raw IP, IP in IP", 101, around(4, SYN4), "ipip", "ipip"),
    tunnelled("AH", ipv4(51, authentication(6, tcp())), "ah", ""),
    good("AH in IPv6", 1, ethernet(IPV6, ipv6(51, authentication(6, tcp()))), "ah", "", 6),
    good("AH in IPv6 behind hop-by-hop options", 1,
         ethernet(IPV6, ipv6(0, bytes.fromhex("3300 0104 00000000") + authentication(6, tcp()))), "ah", "", 6),
    tunnelled("AH with a longer check", ipv4(51, authentication(6, tcp(), bytes(32))), "ah", ""),
    tunnelled("AH around IP in IP", around(51, authentication(4, SYN4)), "ah ipip", "ipip"),
    tunnelled("IPComp", ipv4(108, ipcomp(6, tcp())), "ipcomp", ""),
    good("IPComp with negotiated parameters in AH, around IPv6", 1,
         ethernet(IPV6, around6(51, authentication(108, ipcomp(41, SYN6, 0xE3DE)))), "ah ipcomp 6in6", "6in6", 6),
    tunnelled("EtherIP", around(97, b"\x30\x00" + INNER4), "etherip"),
    tunnelled("EtherIP, a tag inside", around(97, b"\x30\x00" + ethernet(0x8100, tag(5, IPV6, SYN6))), "etherip vlan:5",
              "etherip", 6),
    tunnelled("MPLS in IP", around(137, labels(30, below=SYN4)), "mpls-in-ip mpls:30", "mpls-in-ip"),
    good("MPLS in IPv6", 1, ethernet(IPV6, around6(137, labels(30, 31, below=SYN6))), "mpls-in-ip mpls:30 mpls:31",
         "mpls-in-ip", 6),
    good("Ethernet in IPv6", 1, ethernet(IPV6, around6(143, INNER4)), "ethernet-in-ip", "ethernet-in-ip"),
    tunnelled("NSH in IP", around(145, nsh(3, INNER4)), "nsh", ""),
    tunnelled("L2TPv3, Ethernet", around(115, l2tp_3(77, INNER4)), "l2tp:77", "l2tp"),
    tunnelled("L2TPv3, cookie of 4", around(115, l2tp_3(77, INNER6, COOKIE[:4])), "l2tp:77", "l2tp", 6),
    tunnelled("L2TPv3, cookie of 8", around(115, l2tp_3(77, INNER4, COOKIE)), "l2tp:77",
              "l2tp"),
    tunnelled("L2TPv3, sublayer", around(115, l2tp_3(77, INNER4, b"", SUBLAYER)), "l2tp:77", "l2tp"),
    tunnelled("L2TPv3, cookie of 8 and sublayer", around(115, l2tp_3(
        0xFFFFFFFF, INNER4, COOKIE, SUBLAYER)), "l2tp:4294967295", "l2tp"),
    tunnelled("L2TPv3, IPv4", around(115, l2tp_3(5, SYN4)), "l2tp:5", "l2tp"),
    tunnelled("L2TPv3, cookie of 4, IPv6", around(115, l2tp_3(5, SYN6, COOKIE[:4])), "l2tp:5", "l2tp", 6),
    tunnelled("L2TPv3, PPP", around(115, l2tp_3(5, ppp(0x21, SYN4, framed=True))), "l2tp:5", "l2tp"),
    tunnelled("L2TPv3, tagged Ethernet", around(115, l2tp_3(5, ethernet(0x8100, tag(1, IPV4, SYN4)))), "l2tp:5 vlan:1",
              "l2tp"),
]  # fmt: skip

GRE = [
    tunnelled("GRE", around(47, gre(IPV4, SYN4)), "gre"),
    tunnelled("GRE, IPv6", around(47, gre(IPV6, SYN6)), "gre", version=6),
    tunnelled("GRE with a key", around(47, gre(IPV4, SYN4, KEY, 0xFEDCBA98)), "gre:4275878552", "gre"),
    tunnelled("GRE with checksum", around(47, gre(IPV4, SYN4, CHECKSUM)), "gre"),
    tunnelled("GRE with sequence", around(47, gre(IPV4, SYN4, SEQUENCE)), "gre"),
    tunnelled("GRE with checksum, key and sequence", around(47, gre(IPV6, SYN6, CHECKSUM | KEY | SEQUENCE, 1)), "gre:1",
              "gre", 6),
    tunnelled("GRE with key 0", around(47, gre(IPV4, SYN4, KEY, 0)), "gre:0", "gre"),
    good("GRE in IPv6", 1, ethernet(IPV6, around6(47, gre(IPV4, SYN4))), "gre", "gre"),
    tunnelled("GRE, MPLS", around(47, gre(0x8847, labels(16, below=SYN4))), "gre mpls:16", "gre"),
    tunnelled("GRE, PPP", around(47, gre(0x880B, ppp(0x21, SYN4, framed=True))), "gre"),
    tunnelled("GRE, Ethernet", around(47, gre(BRIDGED, INNER4)), "gre"),
    tunnelled("GRE, Ethernet, with sequence", around(47, gre(BRIDGED, INNER4, KEY | SEQUENCE, 9)), "gre:9", "gre"),
    tunnelled("GRE, a tag", around(47, gre(0x8100, tag(4, IPV4, SYN4))), "gre vlan:4", "gre"),
    tunnelled("NVGRE", around(47, gre(BRIDGED, INNER4, KEY, 0xABCDEF01)), "nvgre:11259375"),
    tunnelled("NVGRE, a tag inside", around(47, gre(BRIDGED, ethernet(0x8100, tag(4, IPV4, SYN4)), KEY, 0x00000100)),
              "nvgre:1 vlan:4", "nvgre:1"),
    tunnelled("PPTP", around(47, pptp(0x4001, ppp(0x21, SYN4))), "pptp:16385", "pptp"),
    tunnelled("PPTP with address and control", around(47, pptp(1, ppp(0x21, SYN4, framed=True))), "pptp:1", "pptp"),
    tunnelled("PPTP with acknowledgment", around(47, pptp(2, ppp(0x57, SYN6, short=True), acknowledgment=True)),
              "pptp:2", "pptp", 6),
    tunnelled("PPTP without sequence", around(47, pptp(3, ppp(0x21, SYN4), sequence=False)), "pptp:3", "pptp"),
    tunnelled("ERSPAN type I", around(47, gre(0x88BE, INNER4)), "gre erspan"),
    tunnelled("ERSPAN type II", around(47, gre(0x88BE, erspan(513, INNER4), SEQUENCE)), "gre erspan:513", "gre erspan"),
    tunnelled("ERSPAN type II, session 1023, truncated bit and class", around(47, gre(
        0x88BE, bytes.fromhex("1064 e7ff 00000001") + INNER6, SEQUENCE)), "gre erspan:1023", "gre erspan", 6),
    tunnelled("ERSPAN type III under the number of type II", around(47, gre(0x88BE, erspan_3(2, INNER4), SEQUENCE)),
              "gre erspan:2", "gre erspan"),
    tunnelled("EoIP", around(47, eoip(0x0102, INNER4)), "eoip:258"),
    tunnelled("EoIP, a tag inside", around(47, eoip(1, ethernet(0x8100, tag(4, IPV6, SYN6)))), "eoip:1 vlan:4",
              "eoip:1", 6),
    counted("EoIP, keep-alive", 1, ethernet(IPV4, around(47, eoip(1, b""))), "truncated Ethernet header"),
    counted("PPTP without a key", 1, ethernet(IPV4, around(47, bytes.fromhex("0001880b") + ppp(0x21, SYN4))), "GRE"),
    tunnelled("ERSPAN type III", around(47, gre(0x22EB, erspan_3(2, INNER4), SEQUENCE)), "gre erspan:2", "gre erspan"),
    tunnelled("ERSPAN type III with subheader", around(47, gre(0x22EB, erspan_3(2, INNER6, subheader=True), SEQUENCE)),
              "gre erspan:2", "gre erspan", 6),
    tunnelled("WCCP", around(47, gre(0x883E, SYN4)), "gre wccp", "gre"),
    tunnelled("WCCP with redirect header", around(47, gre(0x883E, bytes.fromhex("80000102") + SYN4)), "gre wccp",
              "gre"),
    tunnelled("Aruba", around(47, gre(0x8200, wlan(SNAP4))), "gre"),
    tunnelled("Aruba, last type", around(47, gre(0x8370, wlan(SNAP6, subtype=8))), "gre", version=6),
    tunnelled("GRE in UDP", in_udp(4754, gre(IPV4, SYN4)), "gre"),
    tunnelled("GRE in UDP, key", in_udp(4754, gre(IPV6, SYN6, KEY, 5)), "gre:5", "gre", 6),
    counted("GRE with routing", 1, ethernet(IPV4, around(47, gre(IPV4, SYN4, ROUTING))), "GRE"),
    counted("GRE of version 2", 1, ethernet(IPV4, around(47, gre(IPV4, SYN4, 2)))),
    counted("GRE that says ARP", 1, ethernet(IPV4, around(47, gre(ARP, bytes(28)))), "ARP"),
    counted("GRE keep-alive", 1, ethernet(IPV4, around(47, gre(0, b"")))),
    counted("PPTP acknowledgment without payload", 1,
            ethernet(IPV4, around(47, pptp(5, b"", sequence=False, acknowledgment=True)))),
    counted("GRE cut in its key", 1, ethernet(IPV4, around(47, gre(IPV4, b"", KEY)[:6]))),
    counted("ERSPAN cut in its header", 1, ethernet(IPV4, around(47, gre(0x88BE, b"\x10\x64", SEQUENCE)))),
    plain("GRE in UDP with routing", 50000, 4754, gre(IPV4, SYN4, ROUTING)),
    plain("GRE in UDP, version 1", 50000, 4754, pptp(1, ppp(0x21, SYN4))),
    plain("UDP from GRE's port", 4754, 50000, gre(IPV4, SYN4)),
]  # fmt: skip

UDP_TUNNELS = [
    tunnelled("LISP", in_udp(4341, lisp(SYN4)), "lisp"),
    tunnelled("LISP with an instance", in_udp(4341, lisp(SYN6, 77)), "lisp:77", version=6),
    tunnelled("LISP, instance 0", in_udp(4341, lisp(SYN4, 0)), "lisp:0"),
    plain("GTP-U around no IP", 50000, 2152, gtp(1, b"\x12" + bytes(30))),
    plain("GTP-U around nothing", 50000, 2152, gtp(1, b"")),
    plain("L2TP around nothing", 50000, 1701, l2tp(1, 2, b"")),
    plain("Geneve with a type that is none", 50000, 6081, geneve(1, 0x200, INNER4)),
    tunnelled("Teredo between clients, options of UDP behind it (RFC 9868)", around(17, udp(
        40001, 40002, TEREDO_SYN, 8 + len(TEREDO_SYN)) + bytes(4)), "teredo", version=6)._replace(
            segments=(segment("teredo", "teredo", 6)._replace(src=TEREDO_CLIENT, dst=SERVER6),)),
    plain("LISP around no IP", 50000, 4341, lisp(b"\x12" + bytes(30))),
    plain("LISP that ends behind its header", 50000, 4341, lisp(b"")),
    tunnelled("TZSP", in_udp(37008, tzsp(1, INNER4)), "tzsp"),
    tunnelled("TZSP, 802.11 behind tagged fields", in_udp(37008, tzsp(
        18, wlan(SNAP4), bytes.fromhex("0a01c8 00 2904 00000640"), 1)), "tzsp"),
    plain("TZSP, another type", 50000, 37008, tzsp(1, INNER4, kind=3)),
    plain("TZSP, something else inside", 50000, 37008, tzsp(9, INNER4)),
    plain("TZSP without an end", 50000, 37008, tzsp(1, b"", bytes(30))[:-1]),
    plain("TZSP, a field longer than the datagram", 50000, 37008, tzsp(1, b"", bytes.fromhex("0aff0000"))),
    plain("TZSP, too many fields", 50000, 37008, tzsp(1, INNER4, bytes(70))),
    tunnelled("VXLAN", in_udp(4789, vxlan(7, INNER4)), "vxlan:7"),
    tunnelled("VXLAN on Linux's first port", in_udp(8472, vxlan(0xFFFFFF, INNER6)), "vxlan:16777215", version=6),
    tunnelled("VXLAN, reserved bits set", in_udp(4789, bytes.fromhex("ffffffff 000007ff") + INNER4), "vxlan:7"),
    tunnelled("VXLAN, a tag inside", in_udp(4789, vxlan(0, ethernet(0x8100, tag(3, IPV4, SYN4)))), "vxlan:0 vlan:3",
              "vxlan:0"),
    good("VXLAN in IPv6", 1, ethernet(IPV6, around6(17, udp(50000, 4789, vxlan(9, INNER4)))), "vxlan:9", "vxlan:9"),
    good("VXLAN, a tag outside", 1, ethernet(0x8100, tag(11, IPV4, in_udp(4789, vxlan(7, INNER4)))), "vlan:11 vxlan:7",
         "vxlan:7"),
    plain("VXLAN without I flag", 50000, 4789, vxlan(7, INNER4, flags=0)),
    plain("VXLAN of 7 octets", 50000, 4789, vxlan(7, b"")[:7]),
    plain("UDP from VXLAN's port", 4789, 50000, vxlan(7, INNER4)),
    Case("VXLAN around ARP", 1, ethernet(IPV4, in_udp(4789, vxlan(7, ethernet(ARP, bytes(28))))), unread=("ARP",)),
    Case("VXLAN around UDP", 1, ethernet(IPV4, in_udp(4789, vxlan(7, ethernet(IPV4, ipv4(17, udp(53, 5353, b"x")))))),
         datagrams=(Found("vxlan:7", "vxlan:7", CLIENT, 53, SERVER, 5353, 0),)),
    tunnelled("VXLAN-GPE, no next protocol", in_udp(4790, vxlan(7, INNER4)), "vxlan-gpe:7"),
    tunnelled("VXLAN-GPE, IPv4", in_udp(4790, vxlan(7, SYN4, 0x0C, 1)), "vxlan-gpe:7"),
    tunnelled("VXLAN-GPE, IPv6", in_udp(4790, vxlan(7, SYN6, 0x0C, 2)), "vxlan-gpe:7", version=6),
    tunnelled("VXLAN-GPE, Ethernet", in_udp(4790, vxlan(7, INNER4, 0x0C, 3)), "vxlan-gpe:7"),
    tunnelled("VXLAN-GPE, MPLS", in_udp(4790, vxlan(7, labels(20, below=SYN4), 0x0C, 5)), "vxlan-gpe:7 mpls:20",
              "vxlan-gpe:7"),
    plain("VXLAN-GPE without I flag", 50000, 4790, vxlan(7, SYN4, 0x04, 1)),
    tunnelled("VXLAN-GPE, NSH, IPv4", in_udp(4790, vxlan(7, nsh(1, SYN4, bytes(16)), 0x0C, 4)), "vxlan-gpe:7 nsh",
              "vxlan-gpe:7"),
    plain("VXLAN-GPE, unknown next protocol", 50000, 4790, vxlan(7, SYN4, 0x0C, 99)),
    tunnelled("Geneve", in_udp(6081, geneve(10, BRIDGED, INNER4)), "geneve:10"),
    tunnelled("Geneve, options", in_udp(6081, geneve(10, BRIDGED, INNER6, bytes(12))), "geneve:10", version=6),
    tunnelled("Geneve, the longest options", in_udp(6081, geneve(10, BRIDGED, INNER4, bytes(252))), "geneve:10"),
    tunnelled("Geneve, IPv4", in_udp(6081, geneve(0xFFFFFF, IPV4, SYN4)), "geneve:16777215"),
    tunnelled("Geneve, IPv6", in_udp(6081, geneve(1, IPV6, SYN6)), "geneve:1", version=6),
    plain("Geneve of version 1", 50000, 6081, geneve(10, BRIDGED, INNER4, version=1)),
    plain("Geneve of 4 octets", 50000, 6081, geneve(10, BRIDGED, b"")[:4]),
    plain("Geneve whose options are longer than it", 50000, 6081, geneve(10, BRIDGED, b"", bytes(32))[:20]),
    tunnelled("GTP-U", in_udp(2152, gtp(0xDEADBEEF, SYN4)), "gtp:3735928559", "gtp"),
    tunnelled("GTP-U, IPv6", in_udp(2152, gtp(1, SYN6)), "gtp:1", "gtp", 6),
    tunnelled("GTP-U from its port", in_udp(50000, gtp(1, SYN4), 2152), "gtp:1", "gtp"),
    tunnelled("GTP-U, sequence", in_udp(2152, gtp(1, SYN4, flags=0x32, rest=bytes.fromhex("00010000"))), "gtp:1",
              "gtp"),
    tunnelled("GTP-U, N-PDU number", in_udp(2152, gtp(1, SYN4, flags=0x31, rest=bytes(4))), "gtp:1", "gtp"),
    tunnelled("GTP-U, sequence without E flag: the next type does not count",
              in_udp(2152, gtp(1, SYN4, flags=0x32, rest=bytes.fromhex("00010085"))), "gtp:1", "gtp"),
    tunnelled("GTP-U, E flag and no extension", in_udp(2152, gtp(1, SYN4, flags=0x34, rest=bytes(4))), "gtp:1", "gtp"),
    tunnelled("GTP-U, PDU session container", in_udp(2152, gtp(
        1, SYN4, flags=0x34, rest=bytes.fromhex("00000085 01100900"))), "gtp:1", "gtp"),
    tunnelled("GTP-U, two extensions", in_udp(2152, gtp(
        1, SYN6, flags=0x36, rest=bytes.fromhex("00010085 02100900000000c0 01000100"))), "gtp:1", "gtp", 6),
    plain("GTP-U echo request", 50000, 2152, gtp(0, b"", kind=1, flags=0x32, rest=bytes(4))),
    plain("GTP-U end marker", 2152, 2152, gtp(1, b"", kind=254)),
    plain("GTP prime", 50000, 2152, gtp(1, SYN4, flags=0x20)),
    plain("GTP of version 2 on GTP-U's port", 50000, 2152, gtp(1, SYN4, flags=0x50)),
    plain("GTP-U of 7 octets", 50000, 2152, gtp(1, b"")[:7]),
    plain("GTP-U, extension of length 0", 50000, 2152,
          gtp(1, SYN4, flags=0x34, rest=bytes.fromhex("00000085 00100900"))),
    plain("GTP-U, extension beyond the end", 50000, 2152,
          gtp(1, b"", flags=0x34, rest=bytes.fromhex("00000085 09100900"))),
    tunnelled("GTP version 0", in_udp(3386, gtp_0(0x0102, SYN4)), "gtp:258", "gtp"),
    tunnelled("GTP version 0 from its port", in_udp(50000, gtp_0(3, SYN6), 3386), "gtp:3", "gtp", 6),
    plain("GTP version 0, create context", 50000, 3386, gtp_0(1, bytes(20), kind=16)),
    tunnelled("Teredo", in_udp(3544, SYN6), "teredo", version=6),
    tunnelled("Teredo from its port", in_udp(50000, SYN6, 3544), "teredo", version=6),
    tunnelled("Teredo, origin", in_udp(3544, TEREDO_ORIGIN + SYN6), "teredo", version=6),
    tunnelled("Teredo, authentication", in_udp(3544, teredo_authentication() + SYN6), "teredo", version=6),
    tunnelled("Teredo, authentication with values, origin",
              in_udp(3544, teredo_authentication(b"name", b"value") + TEREDO_ORIGIN + SYN6), "teredo", version=6),
    counted("Teredo bubble", 1, ethernet(IPV4, in_udp(3544, ipv6(59, b""))), "IPv6 without payload"),
    plain("Teredo's port, IPv4", 50000, 3544, SYN4),
    plain("Teredo's port, something else", 50000, 3544, b"\x00\x02hello"),
    Case("Teredo between clients, by its addresses", 1, ethernet(IPV4, in_udp(40000, TEREDO_SYN, 50001)),
         (Found("teredo", "teredo", TEREDO_CLIENT, CLIENT_PORT, SERVER6, SERVER_PORT, SEQ),)),
    plain("Teredo addresses, but another length", 50001, 40000, TEREDO_SYN + b"x"),
    plain("IPv6 in UDP without a Teredo address", 50001, 40000, SYN6),
    plain("Teredo, authentication cut", 50000, 3544, teredo_authentication(b"name", b"value")[:12]),
    tunnelled("L2TP", in_udp(1701, l2tp(3, 4, ppp(0x21, SYN4, framed=True)), 1701), "l2tp:3.4", "l2tp"),
    tunnelled("L2TP from its port", in_udp(50000, l2tp(3, 4, ppp(0x21, SYN4)), 1701), "l2tp:3.4", "l2tp"),
    tunnelled("L2TP with length", in_udp(1701, l2tp(3, 4, ppp(0x57, SYN6), flags=0x4000)), "l2tp:3.4", "l2tp", 6),
    tunnelled("L2TP with length and sequence", in_udp(1701, l2tp(3, 4, ppp(0x21, SYN4), flags=0x4800)), "l2tp:3.4",
              "l2tp"),
    tunnelled("L2TP with offset 0", in_udp(1701, l2tp(3, 4, ppp(0x21, SYN4), flags=0x0200)), "l2tp:3.4", "l2tp"),
    tunnelled("L2TP with offset 6, length, sequence, priority",
              in_udp(1701, l2tp(65535, 4, ppp(0x21, SYN4), flags=0x4B00, offset=6)), "l2tp:65535.4", "l2tp"),
    plain("L2TP control message", 1701, 1701, l2tp(3, 0, bytes.fromhex("8008000000000006"), flags=0xC800)),
    plain("L2TP of 5 octets", 50000, 1701, l2tp(3, 4, b"")[:5]),
    plain("L2TP whose offset is beyond the end", 50000, 1701, l2tp(3, 4, b"", flags=0x0200, offset=99)[:20]),
    Case("L2TP, LCP", 1, ethernet(IPV4, in_udp(1701, l2tp(3, 4, ppp(0xC021, bytes(10), framed=True)))), unread=None),
    tunnelled("L2TPv3 over UDP", in_udp(1701, OVER_UDP + l2tp_3(8, INNER4)), "l2tp:8", "l2tp"),
    tunnelled("L2TPv3 over UDP, cookie and sublayer",
              in_udp(1701, OVER_UDP + l2tp_3(8, INNER6, COOKIE[:4], SUBLAYER)),
              "l2tp:8", "l2tp", 6),
    plain("L2TPv3 over UDP, control", 50000, 1701, CONTROL_3),
    plain("L2TPv3 over UDP, unknown payload", 50000, 1701, OVER_UDP + l2tp_3(8, b"\xee" * 40)),
    tunnelled("AYIYA", in_udp(5072, ayiya(SYN6)), "ayiya", version=6),
    tunnelled("AYIYA from its port", in_udp(50000, ayiya(SYN6), 5072), "ayiya", version=6),
    tunnelled("AYIYA without signature, other identity", in_udp(5072, ayiya(SYN6, identity=2, signature=0)), "ayiya",
              version=6),
    plain("AYIYA heartbeat", 50000, 5072, ayiya(b"", following=59)),
    plain("AYIYA whose identity is beyond the end", 50000, 5072, ayiya(b"", identity=15, signature=0)[:60]),
    tunnelled("MPLS in UDP", in_udp(6635, labels(40, below=SYN4)), "mpls-in-udp mpls:40", "mpls-in-udp"),
    tunnelled("MPLS in UDP, pseudowire", in_udp(6635, labels(40, 41, below=bytes(4) + INNER6)),
              "mpls-in-udp mpls:40 mpls:41", "mpls-in-udp", 6),
    plain("UDP from the port of MPLS", 6635, 50000, labels(40, below=SYN4)),
]  # fmt: skip

NESTED = [
    tunnelled("IP in IP in VXLAN in GRE",
              around(47, gre(IPV4, in_udp(4789, vxlan(7, ethernet(IPV4, around(4, SYN4)))))), "gre vxlan:7 ipip"),
    tunnelled("two VXLANs", in_udp(4789, vxlan(1, ethernet(IPV4, in_udp(4789, vxlan(2, INNER4))))), "vxlan:1 vxlan:2"),
    good("a tag, PPPoE, GTP-U", 1,
         ethernet(0x8100, tag(9, 0x8864, pppoe(5, ppp(0x21, in_udp(2152, gtp(6, SYN4)))))), "vlan:9 pppoe:5 gtp:6",
         "gtp"),
    good("MPLS, pseudowire, tag, 6in4, AH", 1,
         ethernet(0x8847, labels(1, below=bytes(4) + ethernet(0x8100, tag(2, IPV4, around(41, ipv6(
             51, authentication(6, tcp()))))))), "mpls:1 vlan:2 6in4 ah", "6in4", 6),
    good("802.11 around 6in4", 127, radiotap(wlan(llc_snap(IPV4, around(41, SYN6)), subtype=8)), "6in4", "6in4", 6),
    tunnelled("PPTP in 802.1ah in NVGRE", around(47, gre(BRIDGED, ethernet(0x88E7, service_instance(5, ethernet(
        IPV4, around(47, pptp(6, ppp(0x21, SYN4)))))), KEY, 0x700)), "nvgre:7 pbb:5 pptp:6", "nvgre:7 pptp"),
    good("60 tags", 1, ethernet(0x8100, b"".join(tag(n, 0x8100, b"") for n in range(59)) + tag(59, IPV4, SYN4)),
         " ".join(f"vlan:{n}" for n in range(60))),
    counted("200 tags", 1, ethernet(0x8100, b"".join(tag(n, 0x8100, b"") for n in range(199)) + tag(1, IPV4, SYN4))),
    counted("200 labels", 1, ethernet(0x8847, labels(*range(200), below=SYN4))),
    counted("70 times IP in IP", 1, ethernet(IPV4, b"".join(
        ipv4(4, bytes(20 * n + len(SYN4)))[:20] for n in range(69, -1, -1)) + SYN4)),
]  # fmt: skip


def vxlan_around(below: bytes) -> bytes:
    """Put what is malformed into a tunnel."""
    return ethernet(IPV4, in_udp(4789, vxlan(7, below)))


MALFORMED = [
    counted("inner Ethernet cut", 1, vxlan_around(INNER4[:13]), "truncated Ethernet header"),
    counted("inner IPv4 cut", 1, vxlan_around(INNER4[:30]), "truncated IPv4 header"),
    counted("inner IPv6 cut", 1, vxlan_around(INNER6[:50]), "truncated IPv6 header"),
    counted("inner TCP cut before its window", 1, vxlan_around(INNER4[:49]), "truncated TCP header"),
    Case("inner TCP cut behind its window", 1, vxlan_around(INNER4[:50]), (segment("vxlan:7", "vxlan:7"),)),
    counted("inner TCP of which the IP length leaves 12 octets", 1,
            vxlan_around(ethernet(IPV4, ipv4(6, tcp(), total=32))), "malformed TCP header"),
    counted("inner IPv4 with a header of 16 octets", 1, vxlan_around(ethernet(IPV4, b"\x44" + SYN4[1:])),
            "malformed IPv4 header"),
    counted("inner IPv4 of version 5", 1, vxlan_around(ethernet(IPV4, b"\x55" + SYN4[1:])), "malformed IPv4 header"),
    counted("inner IPv6 of version 5", 1, vxlan_around(ethernet(IPV6, b"\x50" + SYN6[1:])), "malformed IPv6 header"),
    counted("inner IPv4 shorter than its header", 1, vxlan_around(ethernet(IPV4, ipv4(6, tcp(), total=10))),
            "malformed IPv4 header"),
    counted("inner tag cut", 1, vxlan_around(ethernet(0x8100, tag(1, IPV4, b"")[:3])), "truncated VLAN tag"),
    counted("inner ESP", 1, vxlan_around(ethernet(IPV4, ipv4(50, bytes(40)))), "ESP"),
    counted("AH cut", 1, ethernet(IPV4, ipv4(51, authentication(6, tcp())[:6])), None),
    good("inner IPv4 with length 0, as segmentation offload leaves it", 1,
         vxlan_around(ethernet(IPV4, ipv4(6, tcp(), total=0))), "vxlan:7", "vxlan:7"),
    good("inner IPv6 with length 0", 1, vxlan_around(ethernet(IPV6, ipv6(6, tcp(), length=0))), "vxlan:7", "vxlan:7",
         6),
    counted("MPLS that ends before the bottom", 1, ethernet(0x8847, labels(1, 2, below=b"")[:4])),
    counted("MPLS, bottom, nothing below", 1, ethernet(0x8847, labels(1, below=b""))),
    counted("MPLS, neither IP nor Ethernet below", 1, ethernet(0x8847, labels(1, below=b"\x12" + b"\xee" * 40)),
            "MPLS"),
    counted("NSH of a length that cannot be", 1, ethernet(0x894F, b"\x0f\xc1\x02\x01" + bytes(4) + SYN4), "NSH"),
    counted("NSH, unknown next protocol", 1, ethernet(0x894F, nsh(77, SYN4)), "NSH"),
    counted("802.1ah cut", 1, ethernet(0x88E7, bytes(3))),
    counted("PPPoE cut", 1, ethernet(0x8864, bytes.fromhex("1100 0001"))),
    counted("PPPoE, LCP", 1, ethernet(0x8864, pppoe(1, ppp(0xC021, bytes(10))))),
    counted("PPPoE discovery", 1, ethernet(0x8863, pppoe(0, bytes(8), code=9)), "PPPoE discovery"),
    counted("PPPoE, nothing below", 1, ethernet(0x8864, pppoe(1, b""))),
    counted("EtherIP of version 2", 1, ethernet(IPV4, around(97, b"\x20\x00" + INNER4)), "EtherIP"),
    counted("IPComp of another algorithm", 1,
            ethernet(IPV4, ipv4(108, bytes.fromhex("06000003") + b"\xff" * 30)), "IPComp"),
    counted("IPComp in IPComp", 1, ethernet(IPV4, ipv4(108, ipcomp(108, ipcomp(6, tcp())))), "IPComp"),
    counted("L2TPv3, control", 1, ethernet(IPV4, around(115, l2tp_3(0, CONTROL_3))), "L2TP"),
    counted("L2TPv3, unknown payload", 1, ethernet(IPV4, around(115, l2tp_3(9, b"\xee" * 40))), "L2TP"),
    counted("LLC that is not SNAP", 1, llc_frame(bytes.fromhex("424203") + bytes(35)), "LLC"),
    counted("SNAP of another organisation", 1, llc_frame(llc_snap(0x010B, bytes(30), 0x00000C)), None),
    counted("SNAP, ARP", 1, llc_frame(llc_snap(ARP, bytes(28))), "ARP"),
    counted("IP over Infiniband cut", 242, bytes(42)),
    counted("FDDI, station management", 10, b"\x41" + MAC + SNAP4),
    counted("token ring, MAC frame", 6, b"\x10\x00" + MAC + SNAP4),
    counted("pflog cut", 117, bytes([61, 2]) + bytes(20)),
    counted("enc of another family", 109, bytes.fromhex("07000000") + bytes(8) + SYN4),
]  # fmt: skip

GROUPS = {
    "links": LINKS, "nflog": NFLOG, "wlan": WLAN, "tags": TAGS, "ip tunnels": IP_TUNNELS, "gre": GRE,
    "udp tunnels": UDP_TUNNELS, "nested": NESTED, "malformed": MALFORMED,
}  # fmt: skip
ALL = [case for group in GROUPS.values() for case in group]
#: Frames in which every segment is found; they may be cut anywhere, to see that nothing false is found.
WHOLE = [case for case in ALL if case.segments]
