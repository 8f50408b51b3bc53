"""Link headers in columns: where the IP packet of each frame begins, and what stands around it.

In: one slice of records of one link type. Out: groups of frames whose IP header stands at the same place, and the
kinds of the frames that hold none. Ethernet with VLAN tags (IEEE 802.1Q), Linux cooked v1 and v2, BSD NULL and LOOP,
raw IP; the layouts are those of the tcpdump project's list of link-layer header types.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.table import PACKET_TYPE_UNKNOWN, Names

Rows = NDArray[np.int64]

NULL, ETHERNET, LOOP, LINUX_SLL, LINUX_SLL2, RAW_IPV4, RAW_IPV6 = 0, 1, 108, 113, 276, 228, 229
RAW_IP = (12, 14, 101)
#: Link types that `decode` reads itself.
DECODED = frozenset((NULL, ETHERNET, LOOP, LINUX_SLL, LINUX_SLL2, RAW_IPV4, RAW_IPV6, *RAW_IP))
LINK_TYPE_NAMES = {
    NULL: "BSD loopback (NULL)", ETHERNET: "Ethernet", 9: "PPP", 12: "raw IP", 14: "raw IP", 50: "PPP in HDLC framing",
    51: "PPPoE", 101: "raw IP", 104: "Cisco HDLC", 105: "IEEE 802.11", LOOP: "BSD loopback (LOOP)",
    LINUX_SLL: "Linux cooked v1", 127: "IEEE 802.11 with radiotap", 192: "PPI", RAW_IPV4: "raw IPv4",
    RAW_IPV6: "raw IPv6", 239: "NFLOG", 242: "IP over Infiniband", LINUX_SLL2: "Linux cooked v2",
}  # fmt: skip

IPV4, IPV6 = 0x0800, 0x86DD
VLAN_TYPES = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
#: Protocols that can carry an IP packet further in, which Scapy finds.
CARRIERS = {
    0x8847: "MPLS", 0x8848: "MPLS", 0x8864: "PPPoE", 0x88E7: "802.1ah", 0x6558: "transparent Ethernet bridging",
    0x880B: "PPP",
}  # fmt: skip
ETHERTYPE_NAMES = {
    **CARRIERS, 0x0806: "ARP", 0x8035: "RARP", 0x8863: "PPPoE discovery", 0x88CC: "LLDP", 0x888E: "EAPOL",
    0x88E5: "MACsec", 0x88F7: "PTP", 0x9000: "Ethernet loopback test", 0x8809: "slow protocol", 0x8903: "FabricPath",
}  # fmt: skip
#: Ethernet: smaller values of the type field are the length of an IEEE 802.3 frame.
SMALLEST_ETHERTYPE = 0x600
#: Address families of BSD NULL and LOOP headers; AF_INET6 differs by system.
AF_INET, AF_INET6 = 2, (10, 24, 28, 30)
#: Octets of each frame that are copied to be read in columns: enough for Ethernet, two tags, IPv6 and TCP options.
HEAD_OCTETS = 128
#: More tags than this are taken for damage.
MOST_TAGS = 64


@dataclass
class Frames:
    """One slice of a block of records."""

    #: The block's buffer, with slack behind the last frame.
    octets: NDArray[np.uint8]
    offset: Rows
    captured: NDArray[np.int64]
    original: NDArray[np.int64]
    #: The first HEAD_OCTETS of every frame, one row each; octets behind a short frame are those of its neighbours.
    head: NDArray[np.uint8]

    def octet(self, rows: Rows, at: int | Rows) -> NDArray[np.int64]:
        """Return the octet at `at` of each frame; whether it was captured is for the caller to know."""
        if isinstance(at, int) and at < HEAD_OCTETS:
            column = self.head[:, at]
            return (column if len(rows) == len(column) else column[rows]).astype(np.int64)
        octet: NDArray[np.int64] = self.octets[self.offset[rows] + at].astype(np.int64)
        return octet

    def word(self, rows: Rows, at: int | Rows) -> NDArray[np.int64]:
        """Return the two octets at `at` of each frame, in network order."""
        if isinstance(at, int) and at + 1 < HEAD_OCTETS:
            column = np.ndarray((len(self.head),), ">u2", self.head, at, (HEAD_OCTETS,))
            return (column if len(rows) == len(column) else column[rows]).astype(np.int64)
        return self.octet(rows, at) << 8 | self.octet(rows, at + 1)

    def gather(self, rows: Rows, at: int | Rows) -> NDArray[np.uint8]:
        """Return HEAD_OCTETS octets from `at` of each frame."""
        return gather(self.octets, self.offset[rows] + at)


def gather(octets: NDArray[np.uint8], begin: Rows) -> NDArray[np.uint8]:
    """Return rows of HEAD_OCTETS octets that begin at `begin` (one copy of 128 octets costs some 25 ns)."""
    every = np.ndarray((len(octets) - HEAD_OCTETS + 1, HEAD_OCTETS), np.uint8, octets, 0, (1, 1))
    return every[begin]


@dataclass
class Network:
    """Frames of a slice whose IP header stands at the same place."""

    rows: Rows
    #: Octets of the frame before the IP header.
    at: int
    #: 4 or 6: what the link header says.
    version: int
    #: `Names.encapsulation` number: one for all, or one per row.
    encapsulation: int | NDArray[np.uint16] = 0

    def take(self, mask: NDArray[np.bool_]) -> Network:
        """Return the frames that `mask` chooses; the same object if it chooses all."""
        if mask.all():
            return self
        names = self.encapsulation
        return replace(self, rows=self.rows[mask], encapsulation=names if isinstance(names, int) else names[mask])


@dataclass
class Links:
    """What the link headers of a slice say."""

    networks: list[Network] = field(default_factory=list)
    #: Rows that another dissector should look into.
    carriers: list[Rows] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    #: Linux packet type of every frame of the slice; None: no frame has one.
    packet_type: NDArray[np.uint8] | None = None

    def expect(self, good: NDArray[np.bool_], otherwise: str) -> NDArray[np.bool_]:
        """Count the frames that are not good as `otherwise`, and return `good`."""
        if not good.all():
            self.unread[otherwise] += len(good) - int(np.count_nonzero(good))
        return good


class LinkDecoder:
    """Reads link headers; remembers the names of VLANs."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._single_tags = np.zeros(4096, np.int64)

    def decode(self, frames: Frames, rows: Rows, link_type: int, links: Links) -> None:
        """Read the link headers of `rows`, all of `link_type` (one of DECODED), into `links`."""
        if link_type == ETHERNET:
            self._typed(frames, rows, 12, 14, "truncated Ethernet header", links)
        elif link_type in (LINUX_SLL, LINUX_SLL2):
            self._cooked(frames, rows, link_type, links)
        elif link_type in (NULL, LOOP):
            self._family(frames, rows, links)
        elif link_type == RAW_IPV4:
            links.networks.append(Network(rows, 0, 4))
        elif link_type == RAW_IPV6:
            links.networks.append(Network(rows, 0, 6))
        else:
            self._raw(frames, rows, links)

    def _typed(self, frames: Frames, rows: Rows, type_at: int, at: int, truncated: str, links: Links) -> None:
        """Read the protocol number at `type_at`, then VLAN tags; the IP packet begins at `at` or after the tags."""
        tags: NDArray[np.int64] | None = None
        for depth in range(MOST_TAGS):
            enough = frames.captured[rows] >= at
            if not enough.all():
                links.unread[truncated if depth == 0 else "truncated VLAN tag"] += int((~enough).sum())
                rows, tags = rows[enough], None if tags is None else tags[enough]
            protocol = frames.word(rows, type_at)
            for version, number in ((4, IPV4), (6, IPV6)):
                chosen = protocol == number
                if chosen.any():
                    names = 0 if tags is None else self._tag_names(tags[chosen])
                    links.networks.append(Network(rows[chosen], at, version, names))
            rest = (protocol != IPV4) & (protocol != IPV6)
            if not rest.any():
                return
            tagged = rest & np.isin(protocol, VLAN_TYPES)
            other = rest & ~tagged
            if other.any():
                self._other(frames, rows[other], protocol[other], at, links)
            rows = rows[tagged]
            if not len(rows):
                return
            tag = frames.word(rows, type_at + 2)[:, None] & 0xFFF
            # A tag that was cut off holds octets of the next frame here; the next turn drops these rows.
            tags = tag if tags is None else np.hstack([tags[tagged], tag])
            type_at, at = type_at + 4, at + 4
        links.unread["endless VLAN tags"] += len(rows)

    def _tag_names(self, tags: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Return the encapsulation numbers of rows of VLAN ids, outermost first."""
        if tags.shape[1] > 1:
            different, which = np.unique(tags, axis=0, return_inverse=True)
            numbers = [self._number(one) for one in different.tolist()]
            return np.array(numbers, np.uint16)[which.reshape(-1)]
        single = tags[:, 0]
        for vlan in np.flatnonzero(np.bincount(single, minlength=4096)).tolist():
            if not self._single_tags[vlan]:
                self._single_tags[vlan] = self._number([vlan])
        return self._single_tags[single].astype(np.uint16)

    def _number(self, vlans: list[int]) -> int:
        return encapsulation_number(self._names, [f"vlan:{vlan}" for vlan in vlans])

    def _cooked(self, frames: Frames, rows: Rows, link_type: int, links: Links) -> None:
        header_octets, type_at = (16, 14) if link_type == LINUX_SLL else (20, 0)
        enough = frames.captured[rows] >= header_octets
        links.unread["truncated Linux cooked header"] += int((~enough).sum())
        rows = rows[enough]
        kind = frames.word(rows, 0) if link_type == LINUX_SLL else frames.octet(rows, 10)
        if links.packet_type is None:
            links.packet_type = np.full(len(frames.offset), PACKET_TYPE_UNKNOWN, np.uint8)
        links.packet_type[rows] = np.minimum(kind, PACKET_TYPE_UNKNOWN)
        if link_type == LINUX_SLL:
            self._typed(frames, rows, type_at, header_octets, "", links)
        else:
            self._cooked_2(frames, rows, links)

    def _cooked_2(self, frames: Frames, rows: Rows, links: Links) -> None:
        """Linux cooked v2 has its protocol first; VLAN tags, if any, still follow the header of 20 octets."""
        protocol = frames.word(rows, 0)
        for version, number in ((4, IPV4), (6, IPV6)):
            chosen = protocol == number
            if chosen.any():
                links.networks.append(Network(rows[chosen], 20, version))
        tagged = np.isin(protocol, VLAN_TYPES)
        other = ~tagged & (protocol != IPV4) & (protocol != IPV6)
        if other.any():
            self._other(frames, rows[other], protocol[other], 20, links)
        if tagged.any():
            self._tagged_after(frames, rows[tagged], 20, links)

    def _tagged_after(self, frames: Frames, rows: Rows, at: int, links: Links) -> None:
        """Read VLAN tags of which the first one's type was already read: its control octets stand at `at`."""
        enough = frames.captured[rows] >= at + 4
        links.unread["truncated VLAN tag"] += int((~enough).sum())
        rows = rows[enough]
        tag = frames.word(rows, at)[:, None] & 0xFFF
        before = len(links.networks)
        self._typed(frames, rows, at + 2, at + 4, "truncated VLAN tag", links)
        outer = dict(zip(rows.tolist(), tag[:, 0].tolist(), strict=True))
        for network in links.networks[before:]:
            inner = np.broadcast_to(np.asarray(network.encapsulation, np.int64), network.rows.shape).tolist()
            names = [
                [f"vlan:{outer[row]}", *self._names.encapsulation[number].split()]
                for row, number in zip(network.rows.tolist(), inner, strict=True)
            ]
            network.encapsulation = np.array([encapsulation_number(self._names, name) for name in names], np.uint16)

    def _family(self, frames: Frames, rows: Rows, links: Links) -> None:
        """BSD: an address family of four octets, in the byte order of the capturing host or of the network."""
        enough = frames.captured[rows] >= 4
        links.unread["truncated BSD loopback header"] += int((~enough).sum())
        rows = rows[enough]
        upper, lower = frames.word(rows, 0), frames.word(rows, 2)
        little = (upper >> 8) | (upper & 0xFF) << 8
        family = np.where(upper == 0, lower, np.where(lower == 0, little, 0))
        v4, v6 = family == AF_INET, np.isin(family, AF_INET6)
        if v4.any():
            links.networks.append(Network(rows[v4], 4, 4))
        if v6.any():
            links.networks.append(Network(rows[v6], 4, 6))
        for number, count in Counter(family[~v4 & ~v6].tolist()).items():
            links.unread[f"address family {number}"] += count

    def _raw(self, frames: Frames, rows: Rows, links: Links) -> None:
        enough = frames.captured[rows] >= 1
        links.unread["empty frame"] += int((~enough).sum())
        rows = rows[enough]
        version = frames.octet(rows, 0) >> 4
        for each in (4, 6):
            if (version == each).any():
                links.networks.append(Network(rows[version == each], 0, each))
        links.unread["raw frame that is not IP"] += int(((version != 4) & (version != 6)).sum())

    def _other(self, frames: Frames, rows: Rows, protocol: NDArray[np.int64], at: int, links: Links) -> None:
        """Sort frames that hold no IP packet directly: some go to Scapy, the rest is counted by kind."""
        carrier = np.isin(protocol, tuple(CARRIERS))
        short = protocol < SMALLEST_ETHERTYPE
        snap = short & (frames.captured[rows] >= at + 8)
        snap &= (frames.word(rows, at) == 0xAAAA) & (frames.octet(rows, at + 2) == 3)
        if (carrier | snap).any():
            links.carriers.append(rows[carrier | snap])
        links.unread["LLC"] += int((short & ~snap).sum())
        for number, count in Counter(protocol[~carrier & ~short].tolist()).items():
            links.unread[ETHERTYPE_NAMES.get(number, f"ethertype 0x{number:04x}")] += count


def encapsulation_number(names: Names, parts: list[str]) -> int:
    """Return the number of an encapsulation; all beyond the 16 bits of the column share the last one."""
    return min(names.encapsulation.number(" ".join(parts)), 0xFFFF)
