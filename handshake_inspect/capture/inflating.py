"""Compressed payload of IP packets: IPComp (RFC 3173) with DEFLATE (RFC 2394).

In: an IPComp header and the octets after it. Out: the protocol of the payload, and its octets.
"""

from __future__ import annotations

import zlib

IPCOMP, HEADER_OCTETS = 108, 4
#: A payload is inflated up to this length, as no IP packet is longer.
LONGEST_PAYLOAD_OCTETS = 0xFFFF


class CompressedError(Exception):
    """A payload that cannot be inflated. The message says why."""


def inflated(packet: bytes) -> tuple[int, bytes]:
    """Return protocol and octets of the payload after an IPComp header. Tries DEFLATE: only the ends know it."""
    if len(packet) < HEADER_OCTETS:
        raise CompressedError("truncated IPComp header")
    try:
        octets = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packet[HEADER_OCTETS:], LONGEST_PAYLOAD_OCTETS)
    except zlib.error:
        octets = b""
    if not octets or packet[0] == IPCOMP:
        raise CompressedError("IPComp")
    return packet[0], octets
