"""IP headers in columns: what each packet carries, and where that begins.

In: frames of a slice whose IP header stands at the same place (`link.Network`). Out: `Packets` of one protocol each,
whose headers stand at the same columns; what holds none is counted. RFC 791 §3.1, RFC 8200 §3-4, RFC 4302 §2. Lengths
are those of the IP header; what was captured only says which fields can be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.link import HEAD_OCTETS, Frames, Links, Network, Rows

#: Headers of one IPv6 packet after the first; more are taken for damage.
MOST_EXTENSIONS = 32

ICMP, IPIP, TCP, UDP, IPV6_IN_IP, GRE, ICMPV6 = 1, 4, 6, 17, 41, 47, 58
#: Protocols that `decode` reads, in this order.
TRANSPORTS = (TCP, UDP, ICMP, ICMPV6)
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6 = 0, 43, 44, 51, 60, 135, 139, 140
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6)
#: Protocols that can carry another IP packet, which Scapy finds.
CARRIERS = {IPIP: "IP in IP", IPV6_IN_IP: "IPv6 in IP", GRE: "GRE", 97: "EtherIP", 137: "MPLS in IP"}
PROTOCOL_NAMES = {
    **CARRIERS, 2: "IGMP", 8: "EGP", 9: "IGP", 33: "DCCP", 46: "RSVP", 50: "ESP", 51: "AH", 59: "IPv6 without payload",
    88: "EIGRP", 89: "OSPF", 103: "PIM", 108: "IPComp", 112: "VRRP", 115: "L2TP", 132: "SCTP", 136: "UDP-Lite",
}  # fmt: skip
#: What is asked of the fragment field of IPv4: more fragments, or an offset. And of the fragment header of IPv6.
IPV4_FRAGMENT, IPV6_FRAGMENT = 0x3FFF, 0xFFF9

Matrix = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass
class Packets:
    """IP packets of a slice whose headers stand at the same columns of `ip` and `transport`."""

    #: One of TRANSPORTS.
    protocol: int
    rows: Rows
    version: int
    encapsulation: int | NDArray[np.uint16]
    #: Rows of octets, and the column where the IP header begins.
    ip: Matrix
    ip_at: int
    #: Where the next header begins in the frame; and the same as rows of octets and a column.
    transport_at: int | Rows
    transport: Matrix
    transport_column: int
    #: Octets from there on: those that the IP length says, and those that were captured.
    payload: Numbers
    captured: Numbers

    def take(self, mask: NDArray[np.bool_]) -> Packets:
        """Return the packets that `mask` chooses; themselves if it chooses all."""
        if mask.all():
            return self
        per_row = isinstance(self.encapsulation, np.ndarray)
        ip = self.ip[mask]
        return replace(
            self,
            rows=self.rows[mask],
            encapsulation=self.encapsulation[mask] if per_row else self.encapsulation,  # type: ignore[index]
            ip=ip,
            transport_at=self.transport_at if isinstance(self.transport_at, int) else self.transport_at[mask],
            transport=ip if self.transport is self.ip else self.transport[mask],
            payload=self.payload[mask],
            captured=self.captured[mask],
        )


class IpDecoder:
    """Reads the IP headers of one slice. What it cannot read goes to `links`: Scapy's rows, and counts."""

    def __init__(self, frames: Frames, links: Links) -> None:
        self.frames = frames
        self.links = links

    def packets(self, network: Network) -> Iterator[Packets]:
        """Yield the TCP, UDP and ICMP packets of a group of frames."""
        yield from self._ipv4(network) if network.version == 4 else self._ipv6(network)

    def _ipv4(self, network: Network) -> Iterator[Packets]:
        """Read IPv4 headers (RFC 791 §3.1) and group them by their length."""
        rows, at = network.rows, network.at
        rows, network = self._enough(network, 20, "truncated IPv4 header")
        if not len(rows):
            return
        first = self.frames.octet(rows, at)
        header_octets = (first & 0xF) * 4
        good = self.links.expect((first >> 4 == 4) & (header_octets >= 20), "malformed IPv4 header")
        for octets in np.flatnonzero(np.bincount(header_octets[good], minlength=1)).tolist():
            chosen = good & (header_octets == octets)
            yield from self._ipv4_of_length(network.take(chosen), octets)

    def _ipv4_of_length(self, network: Network, header_octets: int) -> Iterator[Packets]:
        rows, network = self._enough(network, header_octets, "truncated IPv4 header")
        if not len(rows):
            return
        at, frames = network.at, self.frames
        total = frames.word(rows, at + 2)
        # TCP segmentation offload leaves 0 where the length does not fit: then the frame says it.
        payload = np.where(total == 0, frames.original[rows] - at, total) - header_octets
        good = self.links.expect(payload >= 0, "malformed IPv4 header")
        whole = self.links.expect((frames.word(rows, at + 6) & IPV4_FRAGMENT)[good] == 0, "IPv4 fragment")
        if not (good.all() and whole.all()):
            good[good] = whole
            network, payload = network.take(good), payload[good]
            rows = network.rows
        protocol = frames.octet(rows, at + 9)
        authenticated = protocol == AUTHENTICATION
        if authenticated.any():
            start = np.full(int(authenticated.sum()), at + header_octets)
            yield from self._extended(network.take(authenticated), start, AUTHENTICATION, payload[authenticated])
        yield from self._by_protocol(network, protocol, payload, at + header_octets, (AUTHENTICATION,))

    def _ipv6(self, network: Network) -> Iterator[Packets]:
        """Read IPv6 headers (RFC 8200 §3)."""
        rows, network = self._enough(network, 40, "truncated IPv6 header")
        if not len(rows):
            return
        good = self.links.expect(self.frames.octet(rows, network.at) >> 4 == 6, "malformed IPv6 header")
        network, at = network.take(good), network.at
        rows = network.rows
        length = self.frames.word(rows, at + 4)
        # A jumbogram (RFC 2675), or segmentation offload: then the frame says it.
        payload = np.where(length == 0, self.frames.original[rows] - at - 40, length)
        protocol = self.frames.octet(rows, at + 6)
        for extension in EXTENSIONS:
            chosen = protocol == extension
            if chosen.any():
                start = np.full(int(chosen.sum()), at + 40)
                yield from self._extended(network.take(chosen), start, extension, payload[chosen])
        yield from self._by_protocol(network, protocol, payload, at + 40, EXTENSIONS)

    def _enough(self, network: Network, octets: int, kind: str) -> tuple[Rows, Network]:
        """Keep the frames of which `octets` after the link header were captured."""
        enough = self.links.expect(self.frames.captured[network.rows] >= network.at + octets, kind)
        chosen = network.take(enough)
        return chosen.rows, chosen

    def _extended(self, network: Network, start: Rows, extension: int, payload: Numbers) -> Iterator[Packets]:
        """Follow extension headers (RFC 8200 §4; AH: RFC 4302 §2), of which the first stands at `start`."""
        frames, at = self.frames, start
        protocol = np.full(len(at), extension)
        for _ in range(MOST_EXTENSIONS):
            more = np.isin(protocol, EXTENSIONS)
            if not more.any():
                break
            good = self.links.expect(~more | (frames.captured[network.rows] >= at + 8), "truncated extension header")
            network, at, payload, protocol, more = (
                network.take(good), at[good], payload[good], protocol[good], more[good],
            )  # fmt: skip
            rows = network.rows
            here = np.minimum(at, frames.captured[rows])
            is_fragment = (protocol == FRAGMENT) & (frames.word(rows, here + 2) & IPV6_FRAGMENT != 0)
            unit, plus = np.where(protocol == AUTHENTICATION, 4, 8), np.where(protocol == AUTHENTICATION, 2, 1)
            octets = np.where(protocol == FRAGMENT, 8, (frames.octet(rows, here + 1) + plus) * unit)
            octets[~more] = 0
            whole = self.links.expect(~(more & is_fragment), "IPv6 fragment")
            fits = self.links.expect((octets <= payload)[whole], "malformed extension header")
            whole[whole] = fits
            following = np.where(more, frames.octet(rows, here), protocol)
            network, at, payload, protocol = (
                network.take(whole), (at + octets)[whole], (payload - octets)[whole], following[whole],
            )  # fmt: skip
        endless = np.isin(protocol, EXTENSIONS)
        self.links.expect(~endless, "endless extension headers")
        yield from self._by_protocol(network, protocol, payload, at, EXTENSIONS)

    def _by_protocol(
        self, network: Network, protocol: Numbers, payload: Numbers, at: int | Rows, followed: tuple[int, ...]
    ) -> Iterator[Packets]:
        """Yield packets by the protocol of what stands at `at`; headers in `followed` were followed before."""
        known = 0
        for number in TRANSPORTS:
            chosen = protocol == number
            known += int(np.count_nonzero(chosen))
            if chosen.any():
                yield self._gathered(number, network, chosen, payload, at)
        if known == len(protocol):
            return
        others = ~np.isin(protocol, (*TRANSPORTS, *followed))
        if others.any():
            for number, count in Counter(protocol[others].tolist()).items():
                if number in CARRIERS:
                    self.links.carriers.append(network.rows[protocol == number])
                else:
                    self.links.unread[PROTOCOL_NAMES.get(number, f"IP protocol {number}")] += count

    def _gathered(
        self, protocol: int, network: Network, chosen: NDArray[np.bool_], payload: Numbers, at: int | Rows
    ) -> Packets:
        """Gather the octets of the chosen packets in rows, so that each field is a column."""
        network, payload = network.take(chosen), payload[chosen]
        rows, frames = network.rows, self.frames
        start = at if isinstance(at, int) else at[chosen]
        ip_at, column = network.at, at
        if not isinstance(column, int) or column + 60 > HEAD_OCTETS:
            ip, ip_at = frames.gather(rows, network.at), 0
            transport, column = frames.gather(rows, np.minimum(start, frames.captured[rows])), 0
        else:
            ip = transport = frames.head if len(rows) == len(frames.head) else frames.head[rows]
        captured = np.minimum(frames.captured[rows] - start, payload)
        return Packets(
            protocol, rows, network.version, network.encapsulation,
            ip, ip_at, start, transport, column, payload, captured,
        )  # fmt: skip
