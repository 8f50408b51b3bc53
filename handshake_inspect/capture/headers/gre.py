"""Generic Routing Encapsulation in columns, and the headers that only GRE carries: ERSPAN and WCCP.

In and out: `Layer`s. GRE (RFC 2784, 2890; PPTP's: RFC 2637 §4.1; NVGRE: RFC 7637 §3.2; MikroTik's EoIP), ERSPAN
(draft-foschiano-erspan-03).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.headers.layers import Header, Layer, Slice
from handshake_inspect.capture.headers.link import ETHERTYPES, ethertype_name
from handshake_inspect.sets import set_of

#: Bits of GRE's first two octets, and the mask of the version.
CHECKSUM, ROUTING, KEY, SEQUENCE, ACKNOWLEDGMENT, VERSION = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080, 7
#: Headers that may follow GRE, beside those that may follow Ethernet. Aruba's access points send 802.11 under a number
#: per queue.
GRE_PROTOCOLS = {
    **ETHERTYPES, 0x88BE: Header.ERSPAN, 0x22EB: Header.ERSPAN, 0x883E: Header.WCCP, 0x6400: Header.ETHERNET,
    0x6559: Header.FRAME_RELAY,
    **dict.fromkeys(range(0x8200, 0x8380, 0x10), Header.WLAN),
}  # fmt: skip
BRIDGED, ERSPAN, PPP, EOIP = 0x6558, 0x88BE, 0x880B, 0x6400
#: Kinds of GRE headers, each with its own word in the encapsulation.
PLAIN_GRE, KEYED_GRE, NVGRE, PPTP, MIKROTIK = range(5)


def gre(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read GRE: flags and version, protocol; then checksum, key, sequence number, 4 octets each if its flag is set."""
    layer = part.enough(layer, 4, "truncated GRE header")
    if not len(layer.rows):
        return
    flags = part.word(layer.rows, layer.at)
    protocol, enhanced = part.word(layer.rows, layer.at + 2), flags & VERSION == 1
    known = np.where(enhanced, np.isin(protocol, (PPP, EOIP)) & (flags & (CHECKSUM | KEY) == KEY), flags & VERSION == 0)
    good = part.expect(known & (flags & ROUTING == 0), "GRE")
    layer, flags, protocol, enhanced = layer.take(good), flags[good], protocol[good], enhanced[good]
    octets = gre_octets(flags)
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


def gre_octets(flags: Rows) -> Rows:
    """Return the length in octets of GRE headers of version 0 with these flags."""
    octets = np.full(len(flags), 4)
    for bit in (CHECKSUM, KEY, SEQUENCE):
        octets += 4 * (flags & bit != 0)
    return octets


def _named_gre(part: Slice, layer: Layer, kind: int, flags: Rows) -> Layer:
    """Add the word for its kind of GRE to each packet. A key may differ by direction, a virtual subnet does not."""
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
    """Read ERSPAN: version and VLAN, session in 10 bits; 8 octets. Version 2: 12, and 8 more if the last bit is set."""
    layer = part.enough(layer, 8, "truncated ERSPAN header")
    third = part.octet(layer.rows, layer.at) >> 4 == 2
    good = part.expect(~third | (part.there(layer) >= 12), "truncated ERSPAN header")
    layer, third = layer.take(good), third[good]
    more = part.octet(layer.rows, layer.at + np.where(third, 11, 0)) & 1
    session = part.word(layer.rows, layer.at + 2) & 0x3FF
    layer = part.around(layer, lambda each: f"erspan:{each}", session, key="erspan")
    yield layer.next(Header.ETHERNET, np.where(third, 12 + 8 * more, 8))


def wccp(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read WCCP's redirect header, which precedes the packet from version 2 on."""
    layer = part.enough(layer, 5, "truncated WCCP header")
    if len(layer.rows):
        bare = part.octet(layer.rows, layer.at) >> 4 == 4
        yield part.around(layer, lambda _: "wccp").next(Header.IPV4, np.where(bare, 0, 4))
