"""ICMP errors: the connection or datagram that they are about, from the packet that they quote.

In: where ICMP messages stand in a buffer. Out: columns of `IcmpErrorTable`. RFC 792 and RFC 4443 §2.4, §3: an error
quotes the IP header and at least the first 8 octets of what it carried: ports and, of TCP, the sequence number.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Destination unreachable, source quench, redirect, time exceeded, parameter problem.
ERRORS = (3, 4, 5, 11, 12)
#: Destination unreachable, packet too big, time exceeded, parameter problem.
ERRORS_V6 = (1, 2, 3, 4)
#: Octets of an ICMP error before the quote.
HEADER_OCTETS = 8
TCP, UDP, FRAGMENT = 6, 17, 44
#: IPv6 extension headers with a length in units of 8 octets: hop-by-hop, routing, destination options.
EXTENSIONS = (0, 43, 60)
COLUMNS = (
    "icmp_type", "icmp_code", "protocol", "ip_version",
    "src_hi", "src_lo", "dst_hi", "dst_lo", "src_port", "dst_port", "seq",
)  # fmt: skip


def read_errors(
    octets: NDArray[np.uint8], begin: NDArray[np.int64], captured: NDArray[np.int64], version: int
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Read the ICMP messages at `begin`, of which `captured` octets are there.

    Returns which of them are errors that quote TCP or UDP, and their columns. Errors are rare: one at a time.
    """
    rows: list[int] = []
    found: list[tuple[int, ...]] = []
    kinds = octets[np.where(captured >= HEADER_OCTETS + 24, begin, 0)]
    candidates = np.isin(kinds, ERRORS if version == 4 else ERRORS_V6) & (captured >= HEADER_OCTETS + 24)
    for row in np.flatnonzero(candidates).tolist():
        start = int(begin[row])
        message = octets[start : start + int(captured[row])].tobytes()
        quoted = read_quote(message[HEADER_OCTETS:])
        if quoted:
            rows.append(row)
            found.append((message[0], message[1], *quoted))
    columns = zip(*found, strict=True) if found else ((),) * len(COLUMNS)
    return np.array(rows, np.int64), dict(zip(COLUMNS, columns, strict=True))


def read_quote(packet: bytes) -> tuple[int, ...] | None:
    """Return protocol, IP version, addresses, ports and sequence number of a quoted packet; None if it has none."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        protocol, at = packet[9], (packet[0] & 0xF) * 4
        if at < 20 or struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
            return None
        addresses = (0, int.from_bytes(packet[12:16]), 0, int.from_bytes(packet[16:20]))
        version = 4
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        protocol, at = _after_extensions(packet)
        addresses = struct.unpack_from("!4Q", packet, 8)
        version = 6
    else:
        return None
    if protocol not in (TCP, UDP) or len(packet) < at + 4:
        return None
    ports = struct.unpack_from("!HH", packet, at)
    seq = int.from_bytes(packet[at + 4 : at + 8]) if protocol == TCP and len(packet) >= at + 8 else 0
    return (protocol, version, *addresses, *ports, seq)


def _after_extensions(packet: bytes) -> tuple[int, int]:
    """Return the protocol after the extension headers of an IPv6 packet, and where it begins."""
    protocol, at = packet[6], 40
    while at + 8 <= len(packet):
        if protocol in EXTENSIONS:
            protocol, at = packet[at], at + (packet[at + 1] + 1) * 8
        elif protocol == FRAGMENT and not struct.unpack_from("!H", packet, at + 2)[0] & 0xFFF8:
            protocol, at = packet[at], at + 8
        else:
            break
    return protocol, at
