"""Fragments of IP packets -> whole packets.

In: fragments in the order of capture, from either decoder. Out: the whole packet, once its last missing part has come.
RFC 791 §3.2, RFC 8200 §4.5; what overlaps is taken from the fragment that came first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Packets that may be incomplete at one time; the oldest is given up.
MOST_PACKETS = 1024


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of an IP packet, and what tells it from parts of other packets."""

    #: IP version, addresses, protocol, identification, and what stood around (RFC 791 §3.2, RFC 8200 §4.5).
    key: tuple[object, ...]
    #: Header of the whole packet: IPv4 without its length and fragment fields, IPv6 without its fragment header.
    header: bytes
    #: Where the part belongs, in octets, and whether others follow it.
    offset: int
    more: bool
    octets: bytes


@dataclass(frozen=True, slots=True)
class Whole:
    """An IP packet put together."""

    octets: bytes


@dataclass
class _Parts:
    header: bytes | None = None
    parts: dict[int, bytes] = field(default_factory=dict)
    total: int | None = None


class Reassembler:
    """Keeps parts until their packet is whole."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], _Parts] = {}

    def add(self, packet: Fragment) -> Whole | None:
        """Return the packet that `packet` completes, or None."""
        waiting = self._waiting.setdefault(packet.key, _Parts())
        waiting.parts.setdefault(packet.offset, packet.octets)
        if packet.offset == 0 and waiting.header is None:
            waiting.header = packet.header
        if not packet.more:
            waiting.total = packet.offset + len(packet.octets)
        payload = _joined(waiting)
        if payload is None or waiting.header is None:
            if len(self._waiting) > MOST_PACKETS:
                del self._waiting[next(iter(self._waiting))]
            return None
        del self._waiting[packet.key]
        return Whole(_with_length(waiting.header, payload))


def _joined(waiting: _Parts) -> bytes | None:
    """Return the payload, if every octet of it is there."""
    if waiting.total is None:
        return None
    payload = b""
    for offset in sorted(waiting.parts):
        if offset > len(payload):
            return None
        payload += waiting.parts[offset][len(payload) - offset :]
    return payload[: waiting.total] if len(payload) >= waiting.total else None


def _with_length(header: bytes, payload: bytes) -> bytes:
    """Put header and payload together, with the length of the whole."""
    at, length = (2, len(header) + len(payload)) if header[0] >> 4 == 4 else (4, len(header) + len(payload) - 40)
    return header[:at] + min(length, 0xFFFF).to_bytes(2) + header[at + 2 :] + payload
