"""Tunnels in columns: what IP and UDP carry that carries packets itself.

In and out: `Layer`s. GRE (RFC 2784, 2890; PPTP's: RFC 2637 §4.1; NVGRE: RFC 7637 §3.2) with ERSPAN (draft-foschiano-
erspan-03), VXLAN (RFC 7348 §5), Geneve (RFC 8926 §3), GTP-U (3GPP TS 29.281 §5), Teredo (RFC 4380 §5.1), L2TP (RFC
2661 §3, RFC 3931 §4.1), EtherIP (RFC 3378), AYIYA (draft-massar-v6ops-ayiya), MPLS and GRE in UDP (RFC 7510, 8086),
LISP (RFC 9300 §5), MikroTik's EoIP, TZSP. A UDP datagram is known by its port; where its header is not what it should
be, it stays a datagram.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.headers.layers import Header, Layer, PerRow, Reader, Slice
from handshake_inspect.capture.headers.link import (
    ETHERTYPES,
    NSH_PROTOCOLS,
    SMALLEST_ETHERTYPE,
    ethertype_name,
    looks_like_ethernet,
    looks_like_ip,
)
from handshake_inspect.sets import set_of

#: Bits of GRE's first two octets, and of the version in them.
CHECKSUM, ROUTING, KEY, SEQUENCE, ACKNOWLEDGMENT, VERSION = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080, 7
#: What may follow GRE besides what may follow Ethernet. Aruba's access points send 802.11 under a number per queue.
GRE_PROTOCOLS = {
    **ETHERTYPES, 0x88BE: Header.ERSPAN, 0x22EB: Header.ERSPAN, 0x883E: Header.WCCP, 0x6400: Header.ETHERNET,
    0x6559: Header.FRAME_RELAY,
    **dict.fromkeys(range(0x8200, 0x8380, 0x10), Header.WLAN),
}  # fmt: skip
BRIDGED, ERSPAN, PPP, EOIP = 0x6558, 0x88BE, 0x880B, 0x6400
#: VXLAN's generic protocol extension: what its next protocol field says.
VXLAN_GPE_PROTOCOLS = NSH_PROTOCOLS
#: 2001:0::/32.
TEREDO_PREFIX = 0x20010000
#: GTP-U: the message that carries a packet; more extension headers are taken for damage.
G_PDU, MOST_EXTENSIONS = 255, 16
#: Stands for the instance of LISP where there is none: real ones have 24 bits.
NO_INSTANCE = 1 << 24
#: TZSP: what its field of two octets says is inside; more tagged fields are taken for damage.
TZSP_FRAMES = {
    1: Header.ETHERNET, 4: Header.PPP, 7: Header.IP, 18: Header.WLAN, 119: Header.PRISM, 127: Header.AVS,
}  # fmt: skip
MOST_TAGS = 64


# --- carried by IP --------------------------------------------------------------------------------------------------


def gre(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Flags and version, protocol; then checksum, key and sequence number, of four octets each if its flag is set."""
    layer = part.enough(layer, 4, "truncated GRE header")
    if not len(layer.rows):
        return
    flags = part.word(layer.rows, layer.at)
    protocol, enhanced = part.word(layer.rows, layer.at + 2), flags & VERSION == 1
    known = np.where(enhanced, np.isin(protocol, (PPP, EOIP)) & (flags & (CHECKSUM | KEY) == KEY), flags & VERSION == 0)
    good = part.expect(known & (flags & ROUTING == 0), "GRE")
    layer, flags, protocol, enhanced = layer.take(good), flags[good], protocol[good], enhanced[good]
    octets = _gre_octets(flags)
    octets += 4 * (enhanced & (flags & ACKNOWLEDGMENT != 0))
    good = part.expect(part.there(layer) >= octets, "truncated GRE header")
    layer, flags, octets, protocol, enhanced = (
        layer.take(good), flags[good], octets[good], protocol[good], enhanced[good],
    )  # fmt: skip
    bridge = (protocol == BRIDGED) & (flags & (CHECKSUM | KEY | SEQUENCE) == KEY) & ~enhanced
    mikrotik = enhanced & (protocol == EOIP)
    conditions = [mikrotik, enhanced, bridge, flags & KEY != 0]
    kinds = np.select(conditions, [MIKROTIK, PPTP, NVGRE, KEYED_GRE], PLAIN_GRE)
    for kind in set_of(kinds).tolist():
        mask = kinds == kind
        some, numbers, skip = _named_gre(part, layer.take(mask), kind, flags[mask]), protocol[mask], octets[mask]
        bare_mirror = (numbers == ERSPAN) & (flags[mask] & SEQUENCE == 0)  # type I has no header of its own
        if bare_mirror.any():
            yield part.around(some.take(bare_mirror), lambda _: "erspan", key=True).next(
                Header.ETHERNET, skip[bare_mirror]
            )
        some, numbers, skip = some.take(~bare_mirror), numbers[~bare_mirror], skip[~bare_mirror]
        yield from part.following(some, numbers, skip, GRE_PROTOCOLS, ethertype_name)


def _gre_octets(flags: Rows) -> Rows:
    """Return the octets of GRE headers of version 0 with these flags."""
    octets = np.full(len(flags), 4)
    for bit in (CHECKSUM, KEY, SEQUENCE):
        octets += 4 * (flags & bit != 0)
    return octets


PLAIN_GRE, KEYED_GRE, NVGRE, PPTP, MIKROTIK = range(5)


def _named_gre(part: Slice, layer: Layer, kind: int, flags: Rows) -> Layer:
    """Put the word for its kind of GRE around the packets. A key may differ by direction, a virtual subnet does not."""
    if kind == PLAIN_GRE:
        return part.around(layer, lambda _: "gre", key=True)
    number = part.long(layer.rows, layer.at + 4 + np.where(flags & CHECKSUM != 0, 4, 0))
    if kind == NVGRE:
        return part.around(layer, lambda each: f"nvgre:{each}", number >> 8, key=True)
    if kind == MIKROTIK:  # the payload's length, and the tunnel in little-endian order
        number = part.little(layer.rows, layer.at + 6, 2)
        return part.around(layer, lambda each: f"eoip:{each}", number, key=True)
    if kind == PPTP:
        return part.around(layer, lambda each: f"pptp:{each}", number & 0xFFFF, key="pptp")
    return part.around(layer, lambda each: f"gre:{each}", number, key="gre")


def erspan(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Version and VLAN, session in 10 bits; 8 octets in all. Of version 2 12, and 8 more if the last bit says so."""
    layer = part.enough(layer, 8, "truncated ERSPAN header")
    third = part.octet(layer.rows, layer.at) >> 4 == 2
    good = part.expect(~third | (part.there(layer) >= 12), "truncated ERSPAN header")
    layer, third = layer.take(good), third[good]
    more = part.octet(layer.rows, layer.at + np.where(third, 11, 0)) & 1
    session = part.word(layer.rows, layer.at + 2) & 0x3FF
    layer = part.around(layer, lambda each: f"erspan:{each}", session, key="erspan")
    yield layer.next(Header.ETHERNET, np.where(third, 12 + 8 * more, 8))


def wccp(part: Slice, layer: Layer) -> Iterator[Layer]:
    """The Web Cache Communication Protocol puts a redirect header before the packet, from its second version on."""
    layer = part.enough(layer, 5, "truncated WCCP header")
    if len(layer.rows):
        bare = part.octet(layer.rows, layer.at) >> 4 == 4
        yield part.around(layer, lambda _: "wccp").next(Header.IPV4, np.where(bare, 0, 4))


def etherip(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Version 3 in four bits, twelve bits reserved, then an Ethernet frame."""
    layer = part.enough(layer, 2, "truncated EtherIP header")
    layer = layer.take(part.expect(part.word(layer.rows, layer.at) == 0x3000, "EtherIP"))
    yield part.around(layer, lambda _: "etherip", key=True).next(Header.ETHERNET, 2)


def l2tp_ip(part: Slice, layer: Layer) -> Iterator[Layer]:
    """L2TPv3 over IP: a session identifier; 0 is control."""
    layer = part.enough(layer, 4, "truncated L2TP header")
    session = part.long(layer.rows, layer.at)
    entered, layers = _l2tp_session(part, layer, session, 4, session != 0)
    part.expect(entered, "L2TP")
    yield from layers


def tzsp_frame(part: Slice, layer: Layer) -> Iterator[Layer]:
    """TZSP as a link type of its own."""
    entered, layers = tzsp(part, layer)
    part.expect(entered, "TZSP")
    yield from layers


READERS: dict[Header, Reader] = {
    Header.GRE: gre, Header.ERSPAN: erspan, Header.WCCP: wccp, Header.ETHERIP: etherip, Header.L2TP_IP: l2tp_ip,
    Header.TZSP: tzsp_frame,
}  # fmt: skip


# --- carried by UDP -------------------------------------------------------------------------------------------------

#: Which rows of a layer of UDP payloads are tunnels, and what follows in those.
Entered = tuple[Mask, list[Layer]]


def vxlan(part: Slice, layer: Layer) -> Entered:
    """Flags, reserved, network identifier in 24 bits, reserved; the I flag must be set."""
    good = _has(part, layer, 8, lambda at: part.octet(layer.rows, at) & 0x08 != 0)
    inner = _with_network(part, layer.take(good), "vxlan")
    return good, [inner.next(Header.ETHERNET, 8)]


def vxlan_gpe(part: Slice, layer: Layer) -> Entered:
    """The same with a P flag that says there is a next protocol in the fourth octet."""
    good = _has(part, layer, 8, lambda at: part.octet(layer.rows, at) & 0x08 != 0)
    place = np.where(good, layer.at, 0)
    flagged = part.octet(layer.rows, place) & 0x04 != 0
    protocol = np.where(flagged, part.octet(layer.rows, place + 3), 3)
    good &= np.isin(protocol, [*VXLAN_GPE_PROTOCOLS])
    inner = _with_network(part, layer.take(good), "vxlan-gpe")
    return good, list(part.following(inner, protocol[good], 8, VXLAN_GPE_PROTOCOLS, str))


def geneve(part: Slice, layer: Layer) -> Entered:
    """Version and option words, flags, ethertype, network identifier in 24 bits, reserved; options."""

    def is_geneve(at: Rows) -> Mask:
        first = part.octet(layer.rows, at)
        is_good: Mask = (first >> 6 == 0) & (part.there(layer) >= 8 + (first & 0x3F) * 4)
        return is_good

    good = _has(part, layer, 8, is_geneve)
    good &= part.word(layer.rows, np.where(good, layer.at + 2, 0)) >= SMALLEST_ETHERTYPE
    inner = _with_network(part, layer.take(good), "geneve")
    skip = 8 + (part.octet(inner.rows, inner.at) & 0x3F) * 4
    protocol = part.word(inner.rows, inner.at + 2)
    return good, list(part.following(inner, protocol, skip, ETHERTYPES, ethertype_name))


def gtp(part: Slice, layer: Layer) -> Entered:
    """Version 1: flags, type, length, tunnel endpoint; four more octets if any flag is set, extension headers."""
    good = _has(part, layer, 8, lambda at: part.word(layer.rows, at) & 0xF0FF == 0x3000 | G_PDU)
    skip = np.full(len(layer.rows), 8)
    there = part.there(layer)
    flags = part.octet(layer.rows, layer.at) & 7
    skip += np.where(flags != 0, 4, 0)
    good &= there >= skip
    place = layer.at + np.where(good, skip, 1)
    following = np.where(good & (flags & 4 != 0), part.octet(layer.rows, place - 1), 0)
    for _ in range(MOST_EXTENSIONS):
        more = good & (following != 0)
        if not more.any():
            break
        place = layer.at + np.where(more & (there > skip), skip, 1)
        octets = part.octet(layer.rows, place) * 4
        good &= ~more | ((octets > 0) & (there >= skip + octets))
        skip += np.where(more & good, octets, 0)
        following = np.where(more & good, part.octet(layer.rows, layer.at + np.where(more & good, skip, 1) - 1), 0)
    good &= (following == 0) & _begins_ip(part, layer, skip)
    inner = layer.take(good)
    endpoint = part.long(inner.rows, inner.at + 4)
    inner = part.around(inner, lambda each: f"gtp:{each}", endpoint, key="gtp")
    return good, [inner.next(Header.IP, skip[good])]


def gtp_0(part: Slice, layer: Layer) -> Entered:
    """GTP version 0 (GSM 09.60 §6): 20 octets, with a flow label where version 1 has its tunnel endpoint."""
    good = _has(part, layer, 20, lambda at: part.word(layer.rows, at) & 0xF0FF == 0x1000 | G_PDU)
    good &= _begins_ip(part, layer, 20)
    inner = layer.take(good)
    label = part.word(inner.rows, inner.at + 6)
    return good, [part.around(inner, lambda each: f"gtp:{each}", label, key="gtp").next(Header.IP, 20)]


def teredo(part: Slice, layer: Layer) -> Entered:
    """IPv6, perhaps behind an authentication header, an origin indication, or both in this order."""
    skip, there = np.zeros(len(layer.rows), np.int64), part.there(layer)

    def number(at: Rows, octets: int) -> Rows:
        """The `octets` octets at `at` of the layer; -1 where they are not there."""
        known = there >= at + octets
        place = layer.at + np.where(known, at, 0)
        read = part.word if octets == 2 else part.octet
        return np.where(known, read(layer.rows, place), -1)

    authenticated = number(skip, 2) == 1
    lengths = np.maximum(number(skip + 2, 1), 0) + np.maximum(number(skip + 3, 1), 0)
    skip = skip + np.where(authenticated, 13 + lengths, 0)
    skip = skip + np.where(number(skip, 2) == 0, 8, 0)
    good = (number(skip, 1) >> 4 == 6) & (there >= skip + 40)
    inner = part.around(layer.take(good), lambda _: "teredo", key=True)
    return good, [inner.next(Header.IPV6, skip[good])]


def teredo_by_address(part: Slice, layer: Layer) -> Entered:
    """Teredo between two clients or to a relay, whose ports are any: IPv6 from or to a Teredo address (RFC 4380 §2.6).

    The packet must be just as long as the datagram: 16 bits of length and 32 of prefix do not fit by chance.
    """
    good = _has(part, layer, 40, lambda at: part.octet(layer.rows, at) >> 4 == 6)
    if good.any():
        rows, at = layer.rows, np.where(good, layer.at, 0)
        good &= part.word(rows, at + 4) + 40 == part.claimed(layer)
        good &= (part.long(rows, at + 8) == TEREDO_PREFIX) | (part.long(rows, at + 24) == TEREDO_PREFIX)
    inner = part.around(layer.take(good), lambda _: "teredo", key=True)
    return good, [inner.next(Header.IPV6, 0)]


def l2tp(part: Slice, layer: Layer) -> Entered:
    """Version 2: flags, perhaps a length, tunnel and session; version 3: flags, reserved, session. T says control."""
    there = part.there(layer)
    flags = part.word(layer.rows, np.where(there >= 6, layer.at, 0))
    data = flags & 0x8000 == 0
    v2, v3 = data & (flags & 0xF == 2) & (there >= 6), data & (flags & 0xF == 3) & (there >= 8)
    session = part.long(layer.rows, np.where(v3, layer.at + 4, 0))
    entered, layers = _l2tp_session(part, layer, session, 8, v3 & (session != 0))
    good, more = _l2tp_2(part, layer, flags, v2)
    return entered | good, [*layers, *more]


def _l2tp_2(part: Slice, layer: Layer, flags: Rows, chosen: Mask) -> Entered:
    """RFC 2661 §3.1: length, tunnel, session, sequence numbers and offset, of which only the identifiers must be."""
    place = 2 + np.where(flags & 0x4000 != 0, 2, 0)
    octets = place + 4 + np.where(flags & 0x0800 != 0, 4, 0)
    there = part.there(layer)
    has_offset = flags & 0x0200 != 0
    good = chosen & (there >= octets + np.where(has_offset, 2, 0))
    pad = part.word(layer.rows, layer.at + np.where(good & has_offset, octets, 0))
    octets = octets + np.where(has_offset, 2 + pad, 0)
    good &= there > octets
    inner = layer.take(good)
    identifiers = part.long(inner.rows, inner.at + place[good])
    inner = part.around(inner, lambda each: f"l2tp:{each >> 16}.{each & 0xFFFF}", identifiers, key="l2tp")
    return good, [inner.next(Header.PPP, octets[good])]


def _l2tp_session(part: Slice, layer: Layer, session: Rows, skip: int, chosen: Mask) -> Entered:
    """RFC 3931 §4.1: a cookie of 0, 4 or 8 octets and a sublayer of 0 or 4, as agreed on before: what fits is taken."""
    open_rows, layers = chosen.copy(), []
    for more in (0, 4, 8, 12):
        inner = layer.next(Header.ETHERNET, skip + more)
        for fits, header in ((looks_like_ethernet, Header.ETHERNET), (looks_like_ip, Header.IP), (_is_ppp, Header.PPP)):
            mask = open_rows & fits(part, inner)
            if mask.any():
                some = part.around(inner.take(mask), lambda each: f"l2tp:{each}", session[mask], key="l2tp")
                layers.append(some.next(header, 0))
                open_rows &= ~mask
    return chosen & ~open_rows, layers


def _is_ppp(part: Slice, layer: Layer) -> Mask:
    enough = part.there(layer) >= 4
    at = np.where(enough, layer.at, 0)
    protocol = part.word(layer.rows, at + 2)
    is_ppp: Mask = enough & (part.word(layer.rows, at) == 0xFF03) & ((protocol == 0x0021) | (protocol == 0x0057))
    return is_ppp


def ayiya(part: Slice, layer: Layer) -> Entered:
    """Lengths of identity and signature in the first octets, next header in the fourth, time; identity; signature."""
    there = part.there(layer)
    place = np.where(there >= 8, layer.at, 0)
    first, second = part.octet(layer.rows, place), part.octet(layer.rows, place + 1)
    skip = 8 + (1 << (first >> 4)) + (second >> 4) * 4
    good = (there >= 8) & (part.octet(layer.rows, place + 3) == 41) & (there >= skip + 40)
    good &= part.octet(layer.rows, layer.at + np.where(good, skip, 0)) >> 4 == 6
    inner = part.around(layer.take(good), lambda _: "ayiya", key=True)
    return good, [inner.next(Header.IPV6, skip[good])]


def mpls_in_udp(part: Slice, layer: Layer) -> Entered:
    """Labels, and nothing before them."""
    good = part.there(layer) >= 4
    return good, [part.around(layer.take(good), lambda _: "mpls-in-udp", key=True).next(Header.MPLS, 0)]


def gre_in_udp(part: Slice, layer: Layer) -> Entered:
    """GRE of version 0, and nothing before it."""
    good = _has(part, layer, 4, lambda at: part.word(layer.rows, at) & (ROUTING | VERSION) == 0)
    at = np.where(good, layer.at, 0)
    good &= part.word(layer.rows, at + 2) >= SMALLEST_ETHERTYPE
    good &= part.there(layer) >= _gre_octets(part.word(layer.rows, at))
    return good, [layer.take(good).next(Header.GRE, 0)]


def lisp(part: Slice, layer: Layer) -> Entered:
    """RFC 9300 §5.3: flags, nonce; instance in 24 bits if the I flag is set, or locators; then IP."""
    good = _begins_ip(part, layer, 8)
    inner = layer.take(good)
    has_instance = part.octet(inner.rows, inner.at) & 0x08 != 0
    number = np.where(has_instance, part.long(inner.rows, inner.at + 4) >> 8, NO_INSTANCE)
    spell: Callable[[int], str] = lambda each: "lisp" if each == NO_INSTANCE else f"lisp:{each}"  # noqa: E731
    return good, [part.around(inner, spell, number, key=True).next(Header.IP, 8)]


def tzsp(part: Slice, layer: Layer) -> Entered:
    """TaZmen Sniffer Protocol: version 1, type, what is inside; tagged fields up to tag 1; the frame."""
    there = part.there(layer)
    good = _has(part, layer, 5, lambda at: part.word(layer.rows, at) <= 0x0101)
    good &= part.octet(layer.rows, np.where(good, layer.at, 0)) == 1
    skip, going = np.full(len(layer.rows), 4), good.copy()
    for _ in range(MOST_TAGS):
        place = layer.at + np.where(going & (there > skip), skip, 0)
        kind, length = part.octet(layer.rows, place), part.octet(layer.rows, place + 1)
        skip += going * np.where(kind <= 1, 1, 2 + length)
        good &= there >= skip
        going &= good & (kind != 1)
        if not going.any():
            break
    good &= ~going
    inside = part.word(layer.rows, np.where(good, layer.at + 2, 0))
    good &= np.isin(inside, [*TZSP_FRAMES])
    inner = part.around(layer.take(good), lambda _: "tzsp", key=True)
    return good, list(part.following(inner, inside[good], skip[good], TZSP_FRAMES, str))


def _has(part: Slice, layer: Layer, octets: int, is_one: Callable[[Rows], Mask]) -> Mask:
    """Which rows have so many octets, and are what `is_one` says, which is told where the layer begins?"""
    enough = part.there(layer) >= octets
    good: Mask = enough & is_one(np.where(enough, layer.at, 0))
    return good


def _begins_ip(part: Slice, layer: Layer, skip: PerRow) -> Mask:
    """Which rows have an octet behind the first `skip` that says IPv4 or IPv6?"""
    enough = part.there(layer) > skip
    version = part.octet(layer.rows, layer.at + np.where(enough, skip, 0)) >> 4
    begins: Mask = enough & ((version == 4) | (version == 6))
    return begins


def _with_network(part: Slice, layer: Layer, word: str) -> Layer:
    """Put the word with the network identifier around the packets, which stands in octets 4 to 6 of the header."""
    number = part.long(layer.rows, layer.at + 4) >> 8
    return part.around(layer, lambda each: f"{word}:{each}", number, key=True)


#: Readers by the port that a datagram goes to, and by the port of either end.
BY_DESTINATION = {
    4789: vxlan, 8472: vxlan, 4790: vxlan_gpe, 6081: geneve, 6635: mpls_in_udp, 4754: gre_in_udp, 4341: lisp,
    37008: tzsp,
}  # fmt: skip
BY_EITHER = {2152: gtp, 3386: gtp_0, 3544: teredo, 1701: l2tp, 5072: ayiya}
_IS_DESTINATION, _IS_EITHER = np.zeros(1 << 16, np.bool_), np.zeros(1 << 16, np.bool_)
_IS_DESTINATION[[*BY_DESTINATION, *BY_EITHER]] = True
_IS_EITHER[[*BY_EITHER]] = True


def in_udp(part: Slice, layer: Layer, source: Rows, destination: Rows) -> Entered:
    """Say which of these UDP payloads are tunnels, and what follows: by their ports, Teredo by its addresses."""
    candidate = _IS_DESTINATION[destination] | _IS_EITHER[source]
    entered, layers = teredo_by_address(part, layer)
    if not candidate.any():
        return entered, layers
    for port, reader in (*BY_DESTINATION.items(), *BY_EITHER.items()):
        mask = candidate & ~entered & ((destination == port) | ((source == port) & (port in BY_EITHER)))
        if mask.any():
            good, found = reader(part, layer.take(mask))
            entered[np.flatnonzero(mask)[good]] = True
            layers += found
    return entered, layers
