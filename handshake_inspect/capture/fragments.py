"""IP fragments put together again: RFC 791 §3.2, RFC 8200 §4.5, RFC 815.

In: `Fragment`s in order of capture. Out: the `WholePacket` when the last of its fragments has come. Off the fast
path: one fragment at a time. What is kept is bounded in packets, octets and time; fragments whose packet never becomes
whole are counted.

The octets that came first count where IPv4 fragments overlap; overlapping fragments of IPv6 make their packet invalid
(RFC 5722 §4). A fragment that was cut by the capture leaves a hole: the whole packet has its full length, and its
octets up to the hole.
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
#: Packets and octets that wait at the most; the oldest give way.
MOST_PACKETS, MOST_OCTETS = 1 << 14, 1 << 26
#: What a fragment costs besides its octets, which may be few or not captured at all (CPython: some 200 octets).
FRAGMENT_OCTETS = 256
#: What an IP packet can hold at the most; a fragment that goes beyond is malformed.
LONGEST_OCTETS = 65535
#: Packets in fragments inside of each other; more are taken for damage.
MOST_WHOLES = 8
NAMES = {4: "IPv4 fragment", 6: "IPv6 fragment"}


@plain
class Fragment:
    """One fragment of an IP packet."""

    version: int
    #: The IP header: of IPv4 with its options, of IPv6 without extension headers.
    header: bytes
    #: Protocol of what was cut into fragments.
    protocol: int
    identification: int
    #: `Names.tunnel` number of what stands around it: packets of different tunnels do not mix.
    tunnel: int
    #: Where its octets belong in the whole, in octets, and whether more follow.
    position: int
    more: bool
    #: Its octets as far as they were captured, and how many there are by the IP length.
    octets: bytes
    length: int
    #: Where and when it was captured.
    frame: int
    time_ns: int

    @property
    def key(self) -> tuple[object, ...]:
        """What all fragments of one packet have in common."""
        addresses = self.header[12:20] if self.version == 4 else self.header[8:40]
        return self.version, addresses, self.identification, self.protocol if self.version == 4 else None, self.tunnel


@plain
class WholePacket:
    """A packet that was put together: an IP header that says nothing of fragments, and what followed."""

    version: int
    #: As far as they were captured.
    octets: bytes
    #: All octets that it had.
    original: int
    #: The frames of its fragments, in order of capture.
    frames: tuple[int, ...]


@dataclass(slots=True)
class _Waiting:
    """Fragments of one packet."""

    first_ns: int
    header: bytes = b""
    protocol: int = 0
    #: Length of the whole, once its last fragment has come.
    total: int | None = None
    #: Pieces that do not overlap, by position: (position, length, octets).
    pieces: list[tuple[int, int, bytes]] = field(default_factory=list)
    covered: int = 0
    kept: int = 0
    frames: list[int] = field(default_factory=list)
    #: It can never become whole: overlaps of IPv6, octets behind the last fragment.
    spoiled: bool = False


class Reassembler:
    """The fragments of a run that wait for the rest of their packets."""

    def __init__(self) -> None:
        #: The oldest first.
        self._waiting: OrderedDict[tuple[object, ...], _Waiting] = OrderedDict()
        self._octets = 0
        self._given_up: Counter[str] = Counter()
        #: Frames of which somebody wants the packets that they complete, and those packets by their frame.
        self.wanted: Container[int] = ()
        self.completed: dict[int, WholePacket] = {}

    def unread(self) -> Counter[str]:
        """Count the fragments so far whose packets are not whole."""
        waiting = Counter[str]()
        for key, one in self._waiting.items():
            waiting[f"{NAMES[key[0]]} without the rest"] += len(one.frames)  # type: ignore[index]
        return self._given_up + waiting

    def add(self, fragment: Fragment) -> WholePacket | None:
        """Take a fragment; return its packet if that is whole now."""
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
        """Put a fragment to the others of its packet: those octets of it that are new."""
        one.frames.append(fragment.frame)
        begin, end, pieces = fragment.position, fragment.position + fragment.length, one.pieces
        if begin == 0 and not one.header:
            one.header, one.protocol = fragment.header, fragment.protocol
        if not fragment.more and one.total is None:
            one.total = end
        if not pieces or begin >= sum(pieces[-1][:2]):
            gaps = [(begin, end)]  # behind all others, as most that come
        elif pieces[place := max(bisect_left(pieces, (begin + 1,)) - 1, 0)][:2] == (begin, fragment.length):
            gaps = []  # a second copy
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
    """Put the pieces behind the header, which gets the length of the whole and says nothing of fragments."""
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
