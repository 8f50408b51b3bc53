"""Layer Two Tunneling Protocol in columns: version 2 (RFC 2661 §3) and 3 (RFC 3931 §4.1), over UDP and over IP.

In and out: `Layer`s.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.headers.layers import Entered, Header, Layer, Slice
from handshake_inspect.capture.headers.link import looks_like_ethernet, looks_like_ip


def l2tp_ip(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read L2TPv3 over IP: a session identifier; 0 is control."""
    layer = part.enough(layer, 4, "truncated L2TP header")
    session = part.long(layer.rows, layer.at)
    entered, layers = _session(part, layer, session, 4, session != 0)
    part.expect(entered, "L2TP")
    yield from layers


def l2tp(part: Slice, layer: Layer) -> Entered:
    """Read L2TP. Version 2: flags, length if any, tunnel, session; 3: flags, reserved, session. T is control."""
    there = part.there(layer)
    flags = part.word(layer.rows, np.where(there >= 6, layer.at, 0))
    data = flags & 0x8000 == 0
    v2, v3 = data & (flags & 0xF == 2) & (there >= 6), data & (flags & 0xF == 3) & (there >= 8)
    session = part.long(layer.rows, np.where(v3, layer.at + 4, 0))
    entered, layers = _session(part, layer, session, 8, v3 & (session != 0))
    good, more = _version_2(part, layer, flags, v2)
    return entered | good, [*layers, *more]


def _version_2(part: Slice, layer: Layer, flags: Rows, chosen: Mask) -> Entered:
    """Read RFC 2661 §3.1: length, tunnel, session, sequence numbers and offset; only the identifiers are mandatory."""
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


def _session(part: Slice, layer: Layer, session: Rows, skip: int, chosen: Mask) -> Entered:
    """Find the payload after a cookie and a sublayer, whose sizes only the two ends know: the first that fits.

    RFC 3931 §4.1: the cookie has 0, 4 or 8 octets, the sublayer 0 or 4.
    """
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
