"""Reassembly of IP fragments: RFC 791 §3.2, RFC 8200 §4.5, RFC 815.

In: `Fragment`s in order of capture. Out: the `WholePacket`, once its last missing fragment has arrived. Off the fast
path: one fragment at a time. Waiting fragments are bounded in packets, octets and time; fragments whose packet is
never completed are counted.

Where IPv4 fragments overlap, the octets that arrived first count; overlapping fragments of IPv6 make their packet
invalid (RFC 5722 §4). A fragment that the capture truncated leaves a hole: the whole packet then has its full length,
but only its octets up to the hole.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Container
from dataclasses import dataclass, field

from handshake_inspect.plain import plain

#: RFC 8200 §4.5: fragments wait 60 s for the rest.
WAIT_NS = 60_000_000_000
#: Limits on waiting packets and octets; the oldest packets are dropped first.
MOST_PACKETS, MOST_OCTETS = 1 << 14, 1 << 26
#: Memory of a fragment besides its octets, which may be few or not captured at all (CPython: some 200 octets).
FRAGMENT_OCTETS = 256
#: Greatest length of an IP packet; a fragment that ends beyond it is malformed.
LONGEST_OCTETS = 65535
#: Most fragmented packets nested in each other; more are taken for damage.
MOST_WHOLES = 8
NAMES = {4: "IPv4 fragment", 6: "IPv6 fragment"}


@plain
class Fragment:
    """One fragment of an IP packet."""

    version: int
    #: The IP header: of IPv4 with its options, of IPv6 without extension headers.
    header: bytes
    #: Protocol of the fragmented payload.
    protocol: int
    identification: int
    #: `Names.tunnel` number: fragments of different tunnels are not combined.
    tunnel: int
    #: Offset of its octets in the whole payload, in octets; and whether more fragments follow.
    position: int
    more: bool
    #: Its captured octets, and its length by the IP header.
    octets: bytes
    length: int
    #: Number and time of its frame.
    frame: int
    time_ns: int

    @property
    def key(self) -> tuple[object, ...]:
        """The values that all fragments of one packet share."""
        addresses = self.header[12:20] if self.version == 4 else self.header[8:40]
        return self.version, addresses, self.identification, self.protocol if self.version == 4 else None, self.tunnel


@plain
class WholePacket:
    """A reassembled packet: an IP header without fragmentation, and the payload."""

    version: int
    #: The captured octets up to the first hole.
    octets: bytes
    #: Its full length in octets.
    original: int
    #: The frames of its fragments, in order of capture.
    frames: tuple[int, ...]


@dataclass(slots=True)
class _Waiting:
    """The fragments of one incomplete packet."""

    first_ns: int
    header: bytes = b""
    protocol: int = 0
    #: Length of the whole payload; None until the last fragment arrives.
    total: int | None = None
    #: Pieces without overlap, by position: (position, length, octets).
    pieces: list[tuple[int, int, bytes]] = field(default_factory=list)
    covered: int = 0
    kept: int = 0
    frames: list[int] = field(default_factory=list)
    #: It can never be completed: IPv6 fragments overlap, or octets lie beyond the last fragment.
    spoiled: bool = False


class Reassembler:
    """Holds the fragments of a run that wait for the rest of their packets."""

    def __init__(self) -> None:
        #: The oldest first.
        self._waiting: OrderedDict[tuple[object, ...], _Waiting] = OrderedDict()
        self._octets = 0
        self._given_up: Counter[str] = Counter()
        #: Frames whose completed packets are to be kept, and those packets by frame.
        self.wanted: Container[int] = ()
        self.completed: dict[int, WholePacket] = {}

    def unread(self) -> Counter[str]:
        """Count the fragments so far whose packets are incomplete."""
        waiting = Counter[str]()
        for key, one in self._waiting.items():
            waiting[f"{NAMES[key[0]]} without the rest"] += len(one.frames)  # type: ignore[index]
        return self._given_up + waiting

    def add(self, fragment: Fragment) -> WholePacket | None:
        """Add a fragment; return its packet if that is complete now, else None."""
        end = fragment.position + fragment.length
        if end > LONGEST_OCTETS or fragment.length <= 0 or (fragment.more and fragment.length % 8):
            self._given_up[f"malformed {NAMES[fragment.version]}"] += 1
            return None
        key = fragment.key
        one = self._waiting.get(key)
        if one is not None and fragment.time_ns - one.first_ns > WAIT_NS:
            self._give_up(key)
            one = None
        if one is None:
            one = self._waiting[key] = _Waiting(fragment.time_ns)
        self._keep(one, fragment)
        if one.total is not None and one.covered == one.total and not one.spoiled:
            self._forget(key)
            whole = _whole(one, fragment.version)
            if fragment.frame in self.wanted:
                self.completed[fragment.frame] = whole
            return whole
        while len(self._waiting) > MOST_PACKETS or self._octets > MOST_OCTETS:
            self._give_up(next(iter(self._waiting)))
        return None

    def _keep(self, one: _Waiting, fragment: Fragment) -> None:
        """Add the new octets of a fragment to its packet."""
        one.frames.append(fragment.frame)
        begin, end, pieces = fragment.position, fragment.position + fragment.length, one.pieces
        if begin == 0 and not one.header:
            one.header, one.protocol = fragment.header, fragment.protocol
        if not fragment.more and one.total is None:
            one.total = end
        if not pieces or begin >= sum(pieces[-1][:2]):
            gaps = [(begin, end)]  # after all others, the usual case
        elif pieces[place := max(bisect_left(pieces, (begin + 1,)) - 1, 0)][:2] == (begin, fragment.length):
            gaps = []  # a duplicate
        else:
            gaps = _gaps(pieces, place, begin, end)
            one.spoiled |= fragment.version == 6 and gaps != [(begin, end)]
        kept = FRAGMENT_OCTETS
        for start, stop in gaps:
            octets = fragment.octets[start - begin : stop - begin]
            insort(pieces, (start, stop - start, octets))
            one.covered += stop - start
            kept += len(octets)
        one.kept += kept
        self._octets += kept
        one.spoiled |= one.total is not None and sum(pieces[-1][:2]) > one.total

    def _forget(self, key: tuple[object, ...]) -> None:
        self._octets -= self._waiting.pop(key).kept

    def _give_up(self, key: tuple[object, ...]) -> None:
        self._given_up[f"{NAMES[key[0]]} without the rest"] += len(self._waiting[key].frames)  # type: ignore[index]
        self._forget(key)


def _gaps(pieces: list[tuple[int, int, bytes]], place: int, begin: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of [begin, end) that no piece covers; no piece before `place` reaches it."""
    gaps = []
    for at, length, _ in pieces[place:]:
        if at >= end:
            break
        if at > begin:
            gaps.append((begin, at))
        begin = max(begin, at + length)
    if begin < end:
        gaps.append((begin, end))
    return gaps


def _whole(one: _Waiting, version: int) -> WholePacket:
    """Join the header and the pieces; set the length of the whole in the header and clear its fragment fields."""
    held, total = [], one.covered
    for _, length, octets in one.pieces:
        held.append(octets)
        if len(octets) < length:
            break  # a hole
    header = bytearray(one.header)
    if version == 4:
        struct.pack_into("!H", header, 2, min(len(header) + total, LONGEST_OCTETS))
        struct.pack_into("!H", header, 6, 0)
    else:
        struct.pack_into("!H", header, 4, total)
        header[6] = one.protocol
    return WholePacket(version, b"".join([header, *held]), len(header) + total, tuple(one.frames))
