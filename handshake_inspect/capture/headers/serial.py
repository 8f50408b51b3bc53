"""Serial lines in columns: PPP and its carriers, Cisco HDLC, frame relay.

In and out: `Layer`s. RFC 1661 and 1662 (PPP), RFC 2516 (PPPoE), RFC 2427 (frame relay).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.headers.layers import Header, Layer, Reader, Slice
from handshake_inspect.capture.headers.link import BRIDGED_ETHERNET, BRIDGING, NLPIDS, by_ethertype

#: RFC 1661, RFC 3032 §4.3 (MPLS).
PPP_PROTOCOLS = {0x0021: Header.IPV4, 0x0057: Header.IPV6, 0x0281: Header.MPLS, 0x0283: Header.MPLS}


def pppoe(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read PPPoE (RFC 2516 §4): version and type, code, session, length; then PPP. A code other than 0 is discovery."""
    layer = part.enough(layer, 6, "truncated PPPoE header")
    if len(layer.rows):
        session = part.word(layer.rows, layer.at) == 0x1100
        layer = layer.take(part.expect(session, "PPPoE discovery"))
        number = part.word(layer.rows, layer.at + 2)
        yield part.around(layer, lambda each: f"pppoe:{each}", number).next(Header.PPP, 6)


def ppp(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read PPP (RFC 1661 §2, RFC 1662 §3.1). Address and control are optional, and a first protocol octet of 0 too."""
    layer = part.enough(layer, 2, "truncated PPP header")
    if not len(layer.rows):
        return
    framed = part.word(layer.rows, layer.at) == 0xFF03
    at = layer.at + np.where(framed, 2, 0)
    first = part.octet(layer.rows, at)
    skip = np.where(framed, 2, 0) + np.where(first & 1, 1, 2)
    layer, skip = having(part, layer, skip, "truncated PPP header")
    if len(layer.rows):
        last = part.octet(layer.rows, layer.at + skip - 1)
        before = part.octet(layer.rows, layer.at + np.maximum(skip - 2, 0))
        short = np.isin(skip, (1, 3))
        protocol = np.where(short, last, before << 8 | last)
        yield from part.following(layer, protocol, skip, PPP_PROTOCOLS, _ppp_name)


def having(part: Slice, layer: Layer, skip: Rows, otherwise: str) -> tuple[Layer, Rows]:
    """Keep the frames with at least `skip` octets captured. Returns them, and their values of `skip`."""
    good = part.expect(part.there(layer) >= skip, otherwise)
    return layer.take(good), skip[good]


def _ppp_name(protocol: int) -> str:
    return f"PPP protocol 0x{protocol:04x}"


def hdlc(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read Cisco HDLC: address 0F or 8F, control 0, ethertype. Another address: PPP in HDLC framing (RFC 1662)."""
    layer = part.enough(layer, 4, "truncated HDLC header")
    if len(layer.rows):
        cisco = np.isin(part.octet(layer.rows, layer.at), (0x0F, 0x8F))
        yield from by_ethertype(part, layer.take(cisco), 2)
        if not cisco.all():
            yield layer.take(~cisco).next(Header.PPP, 0)


def frame_relay(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read frame relay (RFC 2427 §3): address of two to four octets, the last one odd; control 3; protocol identifier.

    Cisco's own framing has an ethertype after the address.
    """
    layer = part.enough(layer, 5, "truncated frame relay header")
    if not len(layer.rows):
        return
    ends = np.stack([part.octet(layer.rows, layer.at + octet) & 1 for octet in range(4)], axis=1) != 0
    address_octets = np.argmax(ends, axis=1) + 1
    other = "frame relay frame of another protocol"
    good = part.expect((address_octets >= 2) & (part.there(layer) >= address_octets + 3), other)
    layer, skip = layer.take(good), address_octets[good]
    standard = part.octet(layer.rows, layer.at + skip) == 3
    yield from by_ethertype(part, layer.take(~standard), skip[~standard])
    layer, skip = layer.take(standard), skip[standard] + 1
    padded = part.octet(layer.rows, layer.at + skip) == 0
    skip = skip + padded
    identifier = part.octet(layer.rows, layer.at + skip)
    snap = identifier == 0x80
    if snap.any():  # SNAP: organisation and ethertype
        typed, after = having(part, layer.take(snap), skip[snap] + 6, "truncated frame relay header")
        organisation = part.long(typed.rows, typed.at + after - 6) & 0xFFFFFF
        bridged = (organisation == BRIDGING) & np.isin(part.word(typed.rows, typed.at + after - 2), BRIDGED_ETHERNET)
        yield typed.take(bridged).next(Header.ETHERNET, after[bridged])
        known = (organisation == 0) | (organisation == 0xF8)
        part.expect(known | bridged, other)
        yield from by_ethertype(part, typed.take(known), after[known] - 2, after[known])
    rest = layer.take(~snap)
    yield from part.following(rest, identifier[~snap], skip[~snap] + 1, NLPIDS, lambda _: other)


def pppd(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read PPP of pppd: the direction is before the frame, or replaces PPP's address."""
    layer = part.enough(layer, 4, "truncated PPP header")
    framed = part.octet(layer.rows, layer.at + 1) == 3
    yield layer.next(Header.PPP, np.where(framed, 2, 1))


READERS: dict[Header, Reader] = {
    Header.PPPOE: pppoe, Header.PPP: ppp, Header.HDLC: hdlc, Header.FRAME_RELAY: frame_relay,
}  # fmt: skip
