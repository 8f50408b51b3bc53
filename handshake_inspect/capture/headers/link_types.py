"""Link types: how frames of each begin, by the number that a capture gives for its interface.

In: the frames of a slice that have one link type. Out: the `Layer`s that follow the link header. The layouts are those
of the tcpdump project's list of link-layer header types, whose pages name the standards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.headers.layers import Header, Layer, Reader, Slice, by_version, distinct
from handshake_inspect.capture.headers.link import by_ethertype, ethernet, llc
from handshake_inspect.capture.headers.serial import frame_relay, having, hdlc, pppd
from handshake_inspect.table import PACKET_TYPE_UNKNOWN

NULL, ETHERNET, LOOP, LINUX_SLL, LINUX_SLL2, RAW_IPV4, RAW_IPV6 = 0, 1, 108, 113, 276, 228, 229
RAW_IP = (12, 14, 101)
#: Names of link types.
LINK_TYPE_NAMES = {
    NULL: "BSD loopback (NULL)", ETHERNET: "Ethernet", 6: "token ring", 9: "PPP", 10: "FDDI", 12: "raw IP",
    14: "raw IP", 50: "PPP in HDLC framing", 51: "PPPoE", 100: "ATM (RFC 1483)", 101: "raw IP", 104: "Cisco HDLC",
    105: "IEEE 802.11", 107: "frame relay", LOOP: "BSD loopback (LOOP)", 109: "OpenBSD enc",
    LINUX_SLL: "Linux cooked v1", 117: "OpenBSD pflog", 119: "IEEE 802.11 with Prism header",
    122: "IP over Fibre Channel", 123: "SunATM", 127: "IEEE 802.11 with radiotap", 128: "TZSP",
    138: "IP over IEEE 1394", 163: "IEEE 802.11 with AVS header", 166: "PPP of pppd", 178: "Juniper Ethernet",
    179: "Juniper PPP", 180: "Juniper frame relay", 181: "Juniper Cisco HDLC", 192: "PPI", 204: "PPP with direction",
    205: "Cisco HDLC with direction", 206: "frame relay with direction", 226: "Solaris IPNET",
    RAW_IPV4: "raw IPv4", RAW_IPV6: "raw IPv6", 258: "Apple PKTAP", 239: "NFLOG",
    240: "netANALYZER", 242: "IP over Infiniband", LINUX_SLL2: "Linux cooked v2", 281: "Ethernet with Broadcom tag",
    282: "Ethernet after Broadcom tag", 284: "Ethernet with DSA tag", 285: "Ethernet with EtherType DSA tag",
}  # fmt: skip
#: Address families of BSD headers; AF_INET6 differs by system.
FAMILIES = {2: Header.IPV4, **dict.fromkeys((10, 24, 26, 28, 30), Header.IPV6)}
#: Kinds of Linux devices (<linux/if_arp.h>) for which the cooked header's ethertype does not name the next header.
FRAME_RELAY_DEVICE, RADIOTAP_DEVICE, NETLINK_DEVICE = 770, 803, 824
DEVICES = {FRAME_RELAY_DEVICE: Header.FRAME_RELAY, RADIOTAP_DEVICE: Header.RADIOTAP}
#: NFULA_PAYLOAD of <linux/netfilter/nfnetlink_log.h>; more attributes than this are treated as damage.
NFLOG_PAYLOAD, MOST_ATTRIBUTES = 9, 64
#: Bits of an attribute's type that are flags (<linux/netlink.h>), in its first octet in network order.
ATTRIBUTE_FLAGS = 0xC000
#: Juniper: the first octets of its headers; flags: an extension follows; there is no link header.
JUNIPER_MAGIC, EXTENSION, NO_LINK = 0x4D4743, 0x80, 0x02


def link(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read a frame's first header, by its link type."""
    yield from LINK_TYPES[layer.note](part, layer)


def cooked(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read Linux cooked v1: packet type, device type, address, and an ethertype last."""
    layer = part.enough(layer, 16, "truncated Linux cooked header")
    if len(layer.rows):
        _note_packet_type(part, layer, part.word(layer.rows, layer.at))
        yield from _by_device(part, layer, part.word(layer.rows, layer.at + 2), 14, 16)


def cooked_2(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read Linux cooked v2: an ethertype first, in a header of 20 octets."""
    layer = part.enough(layer, 20, "truncated Linux cooked header")
    if len(layer.rows):
        _note_packet_type(part, layer, part.octet(layer.rows, layer.at + 10))
        yield from _by_device(part, layer, part.word(layer.rows, layer.at + 8), 0, 20)


def _by_device(part: Slice, layer: Layer, device: Rows, type_at: int, skip: int) -> Iterator[Layer]:
    """Yield the layers by ethertype, except for devices that have another header there."""
    special = (device == RADIOTAP_DEVICE) | (device == FRAME_RELAY_DEVICE) | (device == NETLINK_DEVICE)
    if special.any():
        yield from part.following(layer.take(special), device[special], skip, DEVICES, lambda _: "netlink message")
        layer = layer.take(~special)
    yield from by_ethertype(part, layer, type_at, skip)


def _note_packet_type(part: Slice, layer: Layer, kind: Rows) -> None:
    if part.packet_type is None:
        part.packet_type = np.full(len(part.offset), PACKET_TYPE_UNKNOWN, np.uint8)
    part.packet_type[layer.rows] = np.minimum(kind, PACKET_TYPE_UNKNOWN)


def family(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read BSD loopback: an address family of four octets, in the byte order of the host or of the network."""
    yield from _by_family(part, layer, "truncated BSD loopback header", 4)


def encapsulated(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read OpenBSD's enc(4): address family, security parameter index, flags, four octets each."""
    yield from _by_family(part, layer, "truncated enc header", 12)


def _by_family(part: Slice, layer: Layer, truncated: str, skip: int) -> Iterator[Layer]:
    layer = part.enough(layer, skip, truncated)
    if len(layer.rows):
        upper, lower = part.word(layer.rows, layer.at), part.word(layer.rows, layer.at + 2)
        little = (upper >> 8) | (upper & 0xFF) << 8
        number = np.where(upper == 0, lower, np.where(lower == 0, little, 0))
        yield from part.following(layer, number, skip, FAMILIES, lambda each: f"address family {each}")


def firewall_log(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read OpenBSD's pflog: its length, padded to four, and the address family."""
    layer = part.enough(layer, 2, "truncated pflog header")
    length = part.octet(layer.rows, layer.at) + 3 & ~3
    layer, length = having(part, layer, length, "truncated pflog header")
    if len(layer.rows):
        number = part.octet(layer.rows, layer.at + 1)
        yield from part.following(layer, number, length, FAMILIES, lambda each: f"address family {each}")


def netfilter_log(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read NFLOG: address family, version, resource; then attributes: length, type (in host byte order), value."""
    layer = part.enough(layer, 8, "truncated NFLOG header")
    rows = layer.rows
    place, there = np.full(len(rows), 4), part.there(layer)  # relative to the layer's beginning
    end = place.copy()
    found = np.zeros(len(rows), np.bool_)
    for _ in range(MOST_ATTRIBUTES):
        going = np.flatnonzero(~found & (place >= 0))
        if not len(going):
            break
        at = place[going]
        where = np.broadcast_to(layer.at, rows.shape)[going] + at
        fields = np.stack([part.word(rows[going], where), part.word(rows[going], where + 2)], axis=1)
        swapped = (fields & 0xFF) << 8 | fields >> 8
        little = fields[:, 1] & ~ATTRIBUTE_FLAGS > 0xFF  # types are small numbers
        length, kind = np.where(little[:, None], swapped, fields).T
        kind = kind & ~ATTRIBUTE_FLAGS
        found[going], end[going] = kind == NFLOG_PAYLOAD, where + np.maximum(length, 4)
        after = at + (length + 3 & ~3)
        more = (length >= 4) & (after + 4 <= there[going])
        place[going] = np.where(kind == NFLOG_PAYLOAD, at, np.where(more, after, -1))
    found = part.expect(found, "NFLOG without a packet")
    layer, place = replace(layer.take(found), end=end[found]), place[found]
    number = part.octet(layer.rows, layer.at)
    yield from part.following(layer, number, place + 4, FAMILIES, lambda each: f"address family {each}")


def telling(name: str, length: tuple[int, int], type_at: int, least: int) -> Reader:
    """Make the reader of headers with their own length and the link type of the payload, little-endian.

    `length`: offset and size in octets of the length field; `least`: octets that every header has.
    """

    def read(part: Slice, layer: Layer) -> Iterator[Layer]:
        layer = part.enough(layer, least, f"truncated {name} header")
        octets = part.little(layer.rows, layer.at + length[0], length[1])
        layer = layer.take(good := part.expect(octets >= least, f"truncated {name} header"))
        layer, octets = having(part, layer, octets[good], f"truncated {name} header")
        link_type = part.little(layer.rows, layer.at + type_at, 4)
        layer = layer.take(good := part.expect(link_type < 1 << 16, f"{name} with a link type that cannot be"))
        link_type, octets = link_type[good], octets[good]
        for each in distinct(link_type):
            mask = link_type == each
            if each in LINK_TYPES:
                yield layer.take(mask).next(Header.LINK, octets[mask], note=each)
            else:
                part.unread[f"{name} with link type {each}"] += int(np.count_nonzero(mask))

    return read


def juniper(header: Header) -> Reader:
    """Make the reader of captures by Juniper's routers: magic, flags, and an optional extension with its length.

    Then `header`; or, if a flag says that there is no link header, a number of four octets and IP.
    """

    def read(part: Slice, layer: Layer) -> Iterator[Layer]:
        layer = part.enough(layer, 4, "truncated Juniper header")
        start = part.long(layer.rows, layer.at)
        layer = layer.take(good := part.expect(start >> 8 == JUNIPER_MAGIC, "Juniper header"))
        flags = start[good]
        extension = np.where(flags & EXTENSION != 0, 2 + part.word(layer.rows, layer.at + 4), 0)
        bare = flags & NO_LINK != 0
        good = part.expect(part.there(layer) >= 4 + extension + 4 * bare, "truncated Juniper header")
        layer, bare, skip = layer.take(good), bare[good], 4 + extension[good]
        yield layer.take(bare).next(Header.IP, skip[bare] + 4)
        yield layer.take(~bare).next(header, skip[~bare])

    return read


def token_ring(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IEEE 802.5: access and frame control, addresses; a source route if the source's first bit is 1; then LLC."""
    layer = part.enough(layer, 16, "truncated token ring header")
    layer = layer.take(part.expect(part.octet(layer.rows, layer.at + 1) >> 6 == 1, "token ring control"))
    routed = part.octet(layer.rows, layer.at + 8) & 0x80 != 0
    yield layer.next(Header.LLC, 14 + np.where(routed, part.octet(layer.rows, layer.at + 14) & 0x1F, 0))


def fddi(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read FDDI (ISO 9314-2): frame control, of which four bits announce LLC, and two addresses."""
    layer = part.enough(layer, 13, "truncated FDDI header")
    layer = layer.take(part.expect(part.octet(layer.rows, layer.at) & 0x70 == 0x50, "FDDI control"))
    yield layer.next(Header.LLC, 13)


def sunatm(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read SunATM: kind of traffic in four bits, virtual path, virtual channel; kind 2 is LLC, 1 is LAN emulation."""
    layer = part.enough(layer, 4, "truncated SunATM header")
    layer = layer.take(part.expect(part.octet(layer.rows, layer.at) & 0xF == 2, "ATM traffic that is not LLC"))
    yield layer.next(Header.LLC, 4)


def start(header: Header, skip: int = 0) -> Reader:
    """Make the reader of a link type whose frames begin with `skip` octets that are ignored, then with `header`."""

    def read(_: Slice, layer: Layer) -> Iterator[Layer]:
        yield layer.next(header, skip)

    return read


def typed(type_at: int, skip: int) -> Reader:
    """Make the reader of a link type whose frames have an ethertype at a fixed offset."""

    def read(part: Slice, layer: Layer) -> Iterator[Layer]:
        yield from by_ethertype(part, part.enough(layer, skip, "truncated link header"), type_at, skip)

    return read


def raw(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read IP without a link header."""
    yield from by_version(part, layer, "raw frame that is not IP")


#: The reader of each link type.
LINK_TYPES: dict[int, Reader] = {
    NULL: family, LOOP: family, ETHERNET: ethernet, 6: token_ring, 9: start(Header.PPP), 10: fddi,
    50: hdlc, 51: start(Header.PPPOE), 100: llc, 104: hdlc, 105: start(Header.WLAN), 107: frame_relay,
    109: encapsulated, LINUX_SLL: cooked, 117: firewall_log, 119: start(Header.PRISM), 123: sunatm,
    122: start(Header.LLC, 16), 127: start(Header.RADIOTAP), 128: start(Header.TZSP), 138: typed(16, 18),
    163: start(Header.AVS), 166: pppd, 178: juniper(Header.ETHERNET), 179: juniper(Header.PPP),
    180: juniper(Header.FRAME_RELAY), 181: juniper(Header.HDLC), 192: telling("PPI", (2, 2), 4, 8),
    204: start(Header.PPP, 1), 205: start(Header.HDLC, 1), 206: start(Header.FRAME_RELAY, 1),
    258: telling("PKTAP", (0, 4), 8, 12),
    226: start(Header.IP, 24), RAW_IPV4: start(Header.IPV4), RAW_IPV6: start(Header.IPV6), 239: netfilter_log,
    240: start(Header.ETHERNET, 4), 242: typed(40, 44), LINUX_SLL2: cooked_2, 281: typed(16, 18),
    282: start(Header.ETHERNET, 4), 284: typed(16, 18), 285: typed(20, 22),
    **dict.fromkeys(RAW_IP, raw),
}  # fmt: skip
READERS: dict[Header, Reader] = {Header.LINK: link}
