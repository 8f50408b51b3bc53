"""Tunnels with a header kind of their own, in columns: those in IP, and TZSP as a link type.

In and out: `Layer`s. GRE, L2TP, EtherIP (RFC 3378).
"""

from __future__ import annotations

from collections.abc import Iterator

from handshake_inspect.capture.headers.gre import erspan, gre, wccp
from handshake_inspect.capture.headers.l2tp import l2tp_ip
from handshake_inspect.capture.headers.layers import Header, Layer, Reader, Slice
from handshake_inspect.capture.headers.udp_tunnels import tzsp


def etherip(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read EtherIP: version 3 in four bits, twelve bits reserved, then an Ethernet frame."""
    layer = part.enough(layer, 2, "truncated EtherIP header")
    layer = layer.take(part.expect(part.word(layer.rows, layer.at) == 0x3000, "EtherIP"))
    yield part.around(layer, lambda _: "etherip", key=True).next(Header.ETHERNET, 2)


def tzsp_frame(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read TZSP as a link type of its own."""
    entered, layers = tzsp(part, layer)
    part.expect(entered, "TZSP")
    yield from layers


READERS: dict[Header, Reader] = {
    Header.GRE: gre, Header.ERSPAN: erspan, Header.WCCP: wccp, Header.ETHERIP: etherip, Header.L2TP_IP: l2tp_ip,
    Header.TZSP: tzsp_frame,
}  # fmt: skip
