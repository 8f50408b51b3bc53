"""Tunnels over UDP in columns.

In and out: `Layer`s. A tunnel is recognised by its port, Teredo also by its addresses; if the header is not valid, the
row stays a datagram. VXLAN (RFC 7348 §5), Geneve (RFC 8926 §3), GTP-U (3GPP TS 29.281 §5), Teredo (RFC 4380 §5.1),
L2TP, AYIYA (draft-massar-v6ops-ayiya), MPLS and GRE in UDP (RFC 7510, 8086), LISP (RFC 9300 §5), TZSP.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.headers.gre import ROUTING, VERSION, gre_octets
from handshake_inspect.capture.headers.l2tp import l2tp
from handshake_inspect.capture.headers.layers import Entered, Header, Layer, PerRow, Slice
from handshake_inspect.capture.headers.link import ETHERTYPES, NSH_PROTOCOLS, SMALLEST_ETHERTYPE, ethertype_name

#: VXLAN's generic protocol extension: the header by its next protocol field.
VXLAN_GPE_PROTOCOLS = NSH_PROTOCOLS
#: 2001:0::/32.
TEREDO_PREFIX = 0x20010000
#: GTP-U: the type of messages that carry a packet; more extension headers than this are treated as damage.
G_PDU, MOST_EXTENSIONS = 255, 16
#: The value used for LISP without an instance: real instances have 24 bits.
NO_INSTANCE = 1 << 24
#: TZSP: the header by its encapsulated-protocol field; more tagged fields than this are treated as damage.
TZSP_FRAMES = {
    1: Header.ETHERNET, 4: Header.PPP, 7: Header.IP, 18: Header.WLAN, 119: Header.PRISM, 127: Header.AVS,
}  # fmt: skip
MOST_TAGS = 64


def vxlan(part: Slice, layer: Layer) -> Entered:
    """Read VXLAN: flags, reserved, network identifier in 24 bits, reserved; the I flag must be set."""
    good = _has(part, layer, 8, lambda at: part.octet(layer.rows, at) & 0x08 != 0)
    inner = _with_network(part, layer.take(good), "vxlan")
    return good, [inner.next(Header.ETHERNET, 8)]


def vxlan_gpe(part: Slice, layer: Layer) -> Entered:
    """Read VXLAN-GPE: VXLAN with a P flag, which means that the fourth octet is the next protocol."""
    good = _has(part, layer, 8, lambda at: part.octet(layer.rows, at) & 0x08 != 0)
    place = np.where(good, layer.at, 0)
    flagged = part.octet(layer.rows, place) & 0x04 != 0
    protocol = np.where(flagged, part.octet(layer.rows, place + 3), 3)
    good &= np.isin(protocol, [*VXLAN_GPE_PROTOCOLS])
    inner = _with_network(part, layer.take(good), "vxlan-gpe")
    return good, list(part.following(inner, protocol[good], 8, VXLAN_GPE_PROTOCOLS, str))


def geneve(part: Slice, layer: Layer) -> Entered:
    """Read Geneve: version and option words, flags, ethertype, network identifier in 24 bits, reserved; options."""

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
    """Read GTP-U version 1: flags, type, length, tunnel endpoint; 4 more octets with any flag, extension headers."""
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
    """Read GTP version 0 (GSM 09.60 §6): 20 octets, with a flow label in place of version 1's tunnel endpoint."""
    good = _has(part, layer, 20, lambda at: part.word(layer.rows, at) & 0xF0FF == 0x1000 | G_PDU)
    good &= _begins_ip(part, layer, 20)
    inner = layer.take(good)
    label = part.word(inner.rows, inner.at + 6)
    return good, [part.around(inner, lambda each: f"gtp:{each}", label, key="gtp").next(Header.IP, 20)]


def teredo(part: Slice, layer: Layer) -> Entered:
    """Read Teredo: IPv6, optionally after an authentication header, an origin indication, or both in this order."""
    skip, there = np.zeros(len(layer.rows), np.int64), part.there(layer)

    def number(at: Rows, octets: int) -> Rows:
        """Return the number of `octets` octets at `at` of the layer; -1 if they were not captured."""
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
    """Read Teredo between two clients or to a relay, at any ports: IPv6 from or to a Teredo address (RFC 4380 §2.6).

    The packet must be exactly as long as the datagram: 16 bits of length and 32 of prefix do not match by chance.
    """
    good = _has(part, layer, 40, lambda at: part.octet(layer.rows, at) >> 4 == 6)
    if good.any():
        rows, at = layer.rows, np.where(good, layer.at, 0)
        good &= part.word(rows, at + 4) + 40 == part.claimed(layer)
        good &= (part.long(rows, at + 8) == TEREDO_PREFIX) | (part.long(rows, at + 24) == TEREDO_PREFIX)
    inner = part.around(layer.take(good), lambda _: "teredo", key=True)
    return good, [inner.next(Header.IPV6, 0)]


def ayiya(part: Slice, layer: Layer) -> Entered:
    """Read AYIYA: lengths of identity and signature, next header in the fourth octet, time; identity; signature."""
    there = part.there(layer)
    place = np.where(there >= 8, layer.at, 0)
    first, second = part.octet(layer.rows, place), part.octet(layer.rows, place + 1)
    skip = 8 + (1 << (first >> 4)) + (second >> 4) * 4
    good = (there >= 8) & (part.octet(layer.rows, place + 3) == 41) & (there >= skip + 40)
    good &= part.octet(layer.rows, layer.at + np.where(good, skip, 0)) >> 4 == 6
    inner = part.around(layer.take(good), lambda _: "ayiya", key=True)
    return good, [inner.next(Header.IPV6, skip[good])]


def mpls_in_udp(part: Slice, layer: Layer) -> Entered:
    """Read MPLS in UDP: labels without a header before them."""
    good = part.there(layer) >= 4
    return good, [part.around(layer.take(good), lambda _: "mpls-in-udp", key=True).next(Header.MPLS, 0)]


def gre_in_udp(part: Slice, layer: Layer) -> Entered:
    """Read GRE of version 0 in UDP, without a header before it."""
    good = _has(part, layer, 4, lambda at: part.word(layer.rows, at) & (ROUTING | VERSION) == 0)
    at = np.where(good, layer.at, 0)
    good &= part.word(layer.rows, at + 2) >= SMALLEST_ETHERTYPE
    good &= part.there(layer) >= gre_octets(part.word(layer.rows, at))
    return good, [layer.take(good).next(Header.GRE, 0)]


def lisp(part: Slice, layer: Layer) -> Entered:
    """Read LISP (RFC 9300 §5.3): flags, nonce; instance in 24 bits if the I flag is set, or locators; then IP."""
    good = _begins_ip(part, layer, 8)
    inner = layer.take(good)
    has_instance = part.octet(inner.rows, inner.at) & 0x08 != 0
    number = np.where(has_instance, part.long(inner.rows, inner.at + 4) >> 8, NO_INSTANCE)
    spell: Callable[[int], str] = lambda each: "lisp" if each == NO_INSTANCE else f"lisp:{each}"  # noqa: E731
    return good, [part.around(inner, spell, number, key=True).next(Header.IP, 8)]


def tzsp(part: Slice, layer: Layer) -> Entered:
    """Read the TaZmen Sniffer Protocol: version 1, type, payload's protocol; tagged fields up to tag 1; the frame."""
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
    """Mark the rows with this many octets captured for which `is_one`, called with the layer's offsets, is true."""
    enough = part.there(layer) >= octets
    good: Mask = enough & is_one(np.where(enough, layer.at, 0))
    return good


def _begins_ip(part: Slice, layer: Layer, skip: PerRow) -> Mask:
    """Mark the rows whose octet after the first `skip` begins IPv4 or IPv6."""
    enough = part.there(layer) > skip
    version = part.octet(layer.rows, layer.at + np.where(enough, skip, 0)) >> 4
    begins: Mask = enough & ((version == 4) | (version == 6))
    return begins


def _with_network(part: Slice, layer: Layer, word: str) -> Layer:
    """Add the word with the network identifier, octets 4 to 6 of the header, to the packets' encapsulation."""
    number = part.long(layer.rows, layer.at + 4) >> 8
    return part.around(layer, lambda each: f"{word}:{each}", number, key=True)


#: Readers by the destination port of a datagram, and by either port.
BY_DESTINATION = {
    4789: vxlan, 8472: vxlan, 4790: vxlan_gpe, 6081: geneve, 6635: mpls_in_udp, 4754: gre_in_udp, 4341: lisp,
    37008: tzsp,
}  # fmt: skip
BY_EITHER = {2152: gtp, 3386: gtp_0, 3544: teredo, 1701: l2tp, 5072: ayiya}
_IS_DESTINATION, _IS_EITHER = np.zeros(1 << 16, np.bool_), np.zeros(1 << 16, np.bool_)
_IS_DESTINATION[[*BY_DESTINATION, *BY_EITHER]] = True
_IS_EITHER[[*BY_EITHER]] = True


def in_udp(part: Slice, layer: Layer, source: Rows, destination: Rows) -> Entered:
    """Return which of these UDP payloads are tunnels, by ports (Teredo also by addresses), and the layers in them."""
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
