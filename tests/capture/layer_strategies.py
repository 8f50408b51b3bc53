"""Frames for hypothesis: a SYN under up to four tunnels or tags and any link type, built by Scapy, with its row.

The row is known while the frame is built: each layer adds its word. Where Scapy has no class for a header, that of
`headers` is taken. Values, options and nesting are drawn; what no specification allows is not built here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from handshake_inspect.capture.records import RawFrame
from tests.capture import headers
from tests.capture.layer_cases import Found

CLIENT, SERVER = headers.CLIENT, headers.SERVER
NEAR, FAR, NEAR6, FAR6 = headers.NEAR, headers.FAR, headers.NEAR6, headers.FAR6
ETHERTYPES = {"ipv4": 0x0800, "ipv6": 0x86DD, "ethernet": 0x6558}
IP_IN_IP = {"44": "ipip", "46": "6in4", "64": "4in6", "66": "6in6"}
PPP_PROTOCOLS = {"ipv4": 0x0021, "ipv6": 0x0057}
numbers_12, numbers_16 = st.integers(0, 0xFFF), st.integers(0, 0xFFFF)
numbers_20, numbers_24, numbers_32 = st.integers(0, 0xFFFFF), st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFFFFFF)
#: Ports that belong to no tunnel.
ephemeral = st.integers(49152, 0xFFFF)


@dataclass(frozen=True)
class Built:
    """What was built so far, from inside to outside."""

    #: "ipv4", "ipv6" or "ethernet".
    kind: str
    octets: bytes
    words: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def under(self, kind: str, octets: bytes, word: str = "", key: str = "") -> Built:
        """Return the same under one more header, whose word stands before the others."""
        words = (word, *self.words) if word else self.words
        return Built(kind, octets, words, (key, *self.keys) if key else self.keys)


Wrapper = Callable[[st.DrawFn, Built], Built]


def raw(octets: bytes) -> Any:
    from scapy.packet import Raw

    return Raw(octets)


# --- one layer more ---------------------------------------------------------------------------------------------------


def outer(draw: st.DrawFn, inside: Built, protocol: int, octets: bytes, word: str, key: str) -> Built:
    """Put IPv4 or IPv6 around, as drawn, perhaps with options or with a destination option header."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, PadN

    if draw(st.booleans()):
        options = [b"\x94\x04\x00\x00"] * draw(st.integers(0, 2))
        ip = IP(src=NEAR, dst=FAR, proto=protocol, ttl=draw(st.integers(1, 255)), options=options)
        return inside.under("ipv4", bytes(ip / raw(octets)), word, key)
    if draw(st.integers(0, 3)) == 0:
        ip = IPv6(src=NEAR6, dst=FAR6) / IPv6ExtHdrDestOpt(nh=protocol, options=[PadN(optdata=bytes(4))])
    else:
        ip = IPv6(src=NEAR6, dst=FAR6, nh=protocol)
    return inside.under("ipv6", bytes(ip / raw(octets)), word, key)


def over_udp(draw: st.DrawFn, inside: Built, port: int, octets: bytes, word: str, key: str, *, either: bool) -> Built:
    """Put UDP and IP around; `either`: the port may be that of the source."""
    from scapy.layers.inet import UDP

    ports = (draw(ephemeral), port)
    if either and draw(st.booleans()):
        ports = ports[::-1]
    datagram = bytes(UDP(sport=ports[0], dport=ports[1], chksum=draw(numbers_16)) / raw(octets))
    return outer(draw, inside, 17, datagram, word, key)


def ip_in_ip(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 2003, RFC 4213, RFC 2473."""
    version = inside.kind[-1]
    around = outer(draw, inside, 4 if version == "4" else 41, inside.octets, "", "")
    word = IP_IN_IP[around.kind[-1] + version]
    return replace(around, words=(word, *around.words), keys=(word, *around.keys))


def authenticated(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 4302 in tunnel mode: its word, then that of IP in IP."""
    protocol = 4 if inside.kind == "ipv4" else 41
    octets = headers.authentication(protocol, inside.octets, bytes(4 * draw(st.integers(0, 8))))
    around = outer(draw, inside, 51, octets, "", "")
    word = IP_IN_IP[around.kind[-1] + inside.kind[-1]]
    return replace(around, words=("ah", word, *inside.words), keys=(word, *inside.keys))


def gre(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 2784, RFC 2890, RFC 7637."""
    from scapy.layers.l2 import GRE

    key = draw(st.none() | numbers_32)
    checksum, sequence = draw(st.booleans()), draw(st.booleans())
    header = GRE(
        proto=ETHERTYPES[inside.kind], chksum_present=checksum, seqnum_present=sequence, key_present=key is not None,
        key=key, sequence_number=draw(numbers_32) if sequence else None,
    )  # fmt: skip
    word, name = ("gre", "gre") if key is None else (f"gre:{key}", "gre")
    if inside.kind == "ethernet" and key is not None and not checksum and not sequence:
        word = name = f"nvgre:{key >> 8}"
    octets = bytes(header / raw(inside.octets))
    if draw(st.integers(0, 3)) == 0:
        return over_udp(draw, inside, 4754, octets, word, name, either=False)
    return outer(draw, inside, 47, octets, word, name)


def pptp(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 2637 §4.1."""
    from scapy.layers.l2 import GRE_PPTP

    call = draw(numbers_16)
    sequence, acknowledged = draw(st.booleans()), draw(st.booleans())
    header = GRE_PPTP(
        call_id=call, seqnum_present=sequence, acknum_present=acknowledged, sequence_number=1 if sequence else None,
        ack_number=1 if acknowledged else None,
    )  # fmt: skip
    return outer(draw, inside, 47, bytes(header / raw(point_to_point(draw, inside))), f"pptp:{call}", "pptp")


def erspan(draw: st.DrawFn, inside: Built) -> Built:
    """ERSPAN in GRE with a sequence number: type II or III."""
    from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
    from scapy.layers.l2 import GRE

    session, third = draw(st.integers(0, 1023)), draw(st.booleans())
    if third:
        more = draw(st.booleans())
        header = ERSPAN_III(session_id=session, vlan=draw(numbers_12), o=more)
        header = header / ERSPAN_PlatformSpecific() if more else header
    else:
        header = ERSPAN_II(session_id=session, vlan=draw(numbers_12), index=draw(numbers_20))
    gre_header = GRE(proto=0x22EB if third else 0x88BE, seqnum_present=1, sequence_number=draw(numbers_32))
    mirrored = inside.under("ethernet", inside.octets, f"erspan:{session}", "erspan")
    return outer(draw, mirrored, 47, bytes(gre_header / header / raw(inside.octets)), "gre", "gre")


def vxlan(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 7348, on both ports."""
    from scapy.layers.vxlan import VXLAN

    vni, port = draw(numbers_24), draw(st.sampled_from([4789, 8472]))
    octets = bytes(VXLAN(vni=vni, reserved1=draw(numbers_24)) / raw(inside.octets))
    return over_udp(draw, inside, port, octets, f"vxlan:{vni}", f"vxlan:{vni}", either=False)


def vxlan_gpe(draw: st.DrawFn, inside: Built) -> Built:
    """VXLAN-GPE with a next protocol."""
    from scapy.layers.vxlan import VXLAN

    vni, protocol = draw(numbers_24), {"ipv4": 1, "ipv6": 2, "ethernet": 3}[inside.kind]
    octets = bytes(VXLAN(flags=0x0C, NextProtocol=protocol, vni=vni) / raw(inside.octets))
    return over_udp(draw, inside, 4790, octets, f"vxlan-gpe:{vni}", f"vxlan-gpe:{vni}", either=False)


def geneve(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 8926."""
    vni, options = draw(numbers_24), bytes(4 * draw(st.integers(0, 63)))
    octets = headers.geneve(vni, ETHERTYPES[inside.kind], inside.octets, options)
    return over_udp(draw, inside, 6081, octets, f"geneve:{vni}", f"geneve:{vni}", either=False)


def gtp(draw: st.DrawFn, inside: Built) -> Built:
    """TS 29.281, with what may follow the first 8 octets."""
    from scapy.contrib.gtp import GTPHeader

    endpoint = draw(numbers_32)
    header = GTPHeader(teid=endpoint, gtp_type=255, S=draw(st.booleans()), PN=draw(st.booleans()))
    extensions = draw(st.lists(st.sampled_from([0x85, 0xC0, 0x20]), max_size=3))
    parts = b""
    if extensions:
        header.E, header.next_ex = 1, extensions[0]
        for following in [*extensions[1:], 0]:
            words = draw(st.integers(1, 3))
            parts += bytes([words]) + bytes(4 * words - 2) + bytes([following])
    octets = bytes(header / raw(parts + inside.octets))
    return over_udp(draw, inside, 2152, octets, f"gtp:{endpoint}", "gtp", either=True)


def l2tp(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 2661 §3.1."""
    flags, offset = draw(st.sampled_from([0, 0x4000, 0x0800, 0x0200, 0x4B00])), draw(st.integers(0, 20))
    tunnel, session = draw(numbers_16), draw(numbers_16)
    octets = headers.l2tp(tunnel, session, point_to_point(draw, inside), flags=flags, offset=offset)
    return over_udp(draw, inside, 1701, octets, f"l2tp:{tunnel}.{session}", "l2tp", either=True)


def l2tp_3(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 3931 around Ethernet. The cookie is no Ethernet header by accident: all its octets are 0xE7."""
    session, cookie = draw(st.integers(1, 0xFFFFFFFF)), b"\xe7" * draw(st.sampled_from([0, 4, 8]))
    sublayer = draw(st.sampled_from([b"", bytes.fromhex("40e7e7e7")]))
    octets = headers.l2tp_3(session, inside.octets, cookie, sublayer)
    if draw(st.booleans()):
        return outer(draw, inside, 115, octets, f"l2tp:{session}", "l2tp")
    return over_udp(draw, inside, 1701, b"\x00\x03\x00\x00" + octets, f"l2tp:{session}", "l2tp", either=True)


def teredo(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 4380 §5.1."""
    before = headers.teredo_authentication(draw(st.binary(max_size=9)), draw(st.binary(max_size=9)))
    octets = (before if draw(st.booleans()) else b"") + (headers.TEREDO_ORIGIN if draw(st.booleans()) else b"")
    return over_udp(draw, inside, 3544, octets + inside.octets, "teredo", "teredo", either=True)


def ayiya(draw: st.DrawFn, inside: Built) -> Built:
    """The AYIYA draft."""
    octets = headers.ayiya(inside.octets, identity=draw(st.integers(0, 5)), signature=draw(st.integers(0, 15)))
    return over_udp(draw, inside, 5072, octets, "ayiya", "ayiya", either=True)


def etherip(draw: st.DrawFn, inside: Built) -> Built:
    """RFC 3378."""
    return outer(draw, inside, 97, b"\x30\x00" + inside.octets, "etherip", "etherip")


def point_to_point(draw: st.DrawFn, inside: Built) -> bytes:
    """PPP with or without address and control, its protocol in one octet or two."""
    framed, short = draw(st.booleans()), draw(st.booleans())
    return headers.ppp(PPP_PROTOCOLS[inside.kind], inside.octets, framed=framed, short=short)


def labelled(draw: st.DrawFn, inside: Built) -> Built:
    """MPLS over UDP or IP; Ethernet inside gets a control word."""
    values = draw(st.lists(numbers_20, min_size=1, max_size=3))
    control = b"\x00\x00\x00\x01" if inside.kind == "ethernet" else b""
    octets = headers.labels(*values, below=control + inside.octets)
    for value in reversed(values):
        inside = inside.under(inside.kind, inside.octets, f"mpls:{value}")
    if draw(st.booleans()):
        return outer(draw, inside, 137, octets, "mpls-in-ip", "mpls-in-ip")
    return over_udp(draw, inside, 6635, octets, "mpls-in-udp", "mpls-in-udp", either=False)


#: What each tunnel may carry.
TUNNELS: dict[str, list[Wrapper]] = {
    "ipv4": [ip_in_ip, authenticated, gre, pptp, vxlan_gpe, geneve, gtp, l2tp, labelled],
    "ipv6": [ip_in_ip, authenticated, gre, pptp, vxlan_gpe, geneve, gtp, l2tp, labelled, teredo, ayiya],
    "ethernet": [gre, erspan, vxlan, vxlan_gpe, geneve, l2tp_3, etherip, labelled],
}
#: Tunnels that do not say what they carry, and Ethertypes by which a frame in them is not recognised.
GUESSED = (l2tp_3, labelled)
UNRECOGNISED = (headers.number(0x88E7, 2), headers.number(0x8903, 2))


# --- Ethernet and link types ------------------------------------------------------------------------------------------


def in_ethernet(draw: st.DrawFn, inside: Built) -> Built:
    """Ethernet around an IP packet, with up to two of the headers that may stand between them."""
    from scapy.layers.l2 import Dot1AH, Dot1Q, Ether

    ethertype, octets = ETHERTYPES[inside.kind], inside.octets
    for kind in draw(st.lists(st.sampled_from(["vlan", "mpls", "pppoe", "pbb", "fabricpath"]), max_size=2)):
        if kind == "mpls" and ethertype in (0x0800, 0x86DD):
            label = draw(numbers_20)
            octets, ethertype, word = headers.labels(label, below=octets), 0x8847, f"mpls:{label}"
        elif kind == "pppoe" and ethertype in (0x0800, 0x86DD):
            session = draw(numbers_16)
            below = headers.ppp(0x21 if ethertype == 0x0800 else 0x57, octets)
            octets, ethertype, word = headers.pppoe(session, below), 0x8864, f"pppoe:{session}"
        elif kind in ("pbb", "fabricpath"):
            frame = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=ethertype) / raw(octets))
            service = draw(numbers_24)
            octets = bytes(Dot1AH(isid=service) / raw(frame)) if kind == "pbb" else b"\x12\x34" + frame
            ethertype, word = (0x88E7, f"pbb:{service}") if kind == "pbb" else (0x8903, "fabricpath")
        else:
            vlan = draw(numbers_12)
            octets, word = bytes(Dot1Q(vlan=vlan, prio=draw(st.integers(0, 7)), type=ethertype) / raw(octets)), ""
            ethertype, word = draw(st.sampled_from([0x8100, 0x88A8, 0x9100, 0x9200, 0x9300])), f"vlan:{vlan}"
        inside = inside.under(inside.kind, octets, word)
    frame = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=ethertype) / raw(octets))
    return inside.under("ethernet", frame)


def link(draw: st.DrawFn, inside: Built) -> tuple[int, Built]:
    """Return a link type, and the frame."""
    if inside.kind == "ethernet":
        return 1, inside
    ethertype = ETHERTYPES[inside.kind]
    snap = headers.llc_snap(ethertype, inside.octets, draw(st.sampled_from([0, 0xF8])))
    subtype, ds = draw(st.sampled_from([0, 1, 8, 9])), draw(st.integers(0, 3))
    wlan = headers.wlan(snap, subtype=subtype, flags=ds | (0x80 if subtype & 8 and draw(st.booleans()) else 0))
    framings: dict[int, Callable[[], bytes]] = {
        9: lambda: point_to_point(draw, inside),
        50: lambda: headers.ppp(PPP_PROTOCOLS[inside.kind], inside.octets, framed=True),
        101: lambda: inside.octets,
        104: lambda: headers.cisco_hdlc(ethertype, inside.octets, draw(st.sampled_from([0x0F, 0x8F]))),
        105: lambda: wlan,
        127: lambda: headers.radiotap(wlan, flags=0, timestamp=draw(st.booleans()), more=draw(st.integers(0, 2))),
        192: lambda: headers.ppi(105, wlan),
        204: lambda: bytes([draw(st.integers(0, 1))]) + point_to_point(draw, inside),
        242: lambda: bytes(40) + headers.number(ethertype, 2) + bytes(2) + inside.octets,
        100: lambda: snap,
        10: lambda: b"\x50" + headers.MAC + snap,
    }
    chosen = draw(st.sampled_from(sorted(framings)))
    return chosen, inside.under("frame", framings[chosen]())


@st.composite
def layered(draw: st.DrawFn) -> tuple[RawFrame, Found]:
    """Return a frame with up to four tunnels, perhaps padded, and the row of the SYN in it."""
    version = draw(st.sampled_from([4, 6]))
    inside = Built(f"ipv{version}", headers.SYN4 if version == 4 else headers.SYN6)
    for _ in range(draw(st.integers(0, 4))):
        if inside.kind != "ethernet" and draw(st.booleans()):
            inside = in_ethernet(draw, inside)
        hidden = inside.kind == "ethernet" and inside.octets[12:14] in UNRECOGNISED
        wrappers = [one for one in TUNNELS[inside.kind] if not (hidden and one in GUESSED)]
        inside = draw(st.sampled_from(wrappers))(draw, inside)
    if draw(st.booleans()):
        inside = in_ethernet(draw, inside)
    link_type, built = link(draw, inside)
    octets = built.octets + bytes(draw(st.sampled_from([0, 0, 4, 18])))
    ends = (CLIENT, SERVER) if version == 4 else (headers.CLIENT6, headers.SERVER6)
    row = Found(
        " ".join(built.words), " ".join(built.keys), ends[0], headers.CLIENT_PORT, ends[1], headers.SERVER_PORT,
        headers.SEQ,
    )  # fmt: skip
    return RawFrame(octets, len(octets), draw(st.integers(0, 2**62)), link_type), row
