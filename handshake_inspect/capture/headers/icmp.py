"""ICMP errors: the connection or datagram that they are about, from the packet that they quote.

In: where ICMP messages stand in a buffer. Out: columns of `IcmpErrorTable`. RFC 792, RFC 1812 §4.3.2.3 and RFC 4443
§2.4: an error quotes the IP header and at least the first 8 octets of what it carried: ports and, of TCP, the
sequence number. Routers of today quote more, and so the control bits too. RFC 4884: where the quote ends, if something
follows it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.tcp.icmp import (
    ERRORS,
    FRAGMENTATION_NEEDED,
    PARAMETER_PROBLEM,
    TIME_EXCEEDED,
    TIME_EXCEEDED_6,
    TOO_BIG_6,
    UNREACHABLE,
    UNREACHABLE_6,
)

#: Octets of an ICMP error before the quote, and the smallest quote: an IPv4 header and two ports.
HEADER_OCTETS, SMALLEST_QUOTE = 8, 24
TCP, UDP, AUTHENTICATION, FRAGMENT = 6, 17, 51, 44
#: IPv6 extension headers with a length in units of 8 octets: hop-by-hop, routing, destination options, mobility, HIP,
#: shim6.
EXTENSIONS = (0, 43, 60, 135, 139, 140)
#: Where RFC 4884 §4 puts the length of the quote, and its unit in octets; 0 there: it runs to the end.
QUOTE_LENGTH = {
    **{(4, each): (5, 4) for each in (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM)},
    **{(6, each): (4, 8) for each in (UNREACHABLE_6, TIME_EXCEEDED_6)},
}
#: What a message and its quote give, in this order.
COLUMNS = (
    "icmp_type", "icmp_code", "mtu", "ip_version", "protocol", "quoted_ip_id",
    "src_hi", "src_lo", "dst_hi", "dst_lo", "src_port", "dst_port", "has_seq", "seq", "quoted_flags",
)  # fmt: skip
#: What the packet that holds the message gives: the column, and its name in the other tables.
CARRIED = {
    "from_hi": "src_hi", "from_lo": "src_lo", "ip_id": "ip_id", "packet_type": "packet_type",
    "encapsulation": "encapsulation", "tunnel": "tunnel",
}  # fmt: skip


def read_errors(
    octets: NDArray[np.uint8], begin: NDArray[np.int64], captured: NDArray[np.int64], version: int
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Read the ICMP messages at `begin`, of which `captured` octets are there, in packets of IP `version`.

    Returns which of them are errors that quote TCP or UDP, and their columns. Errors are rare: one at a time.
    """
    rows: list[int] = []
    found: list[tuple[int, ...]] = []
    enough = captured >= HEADER_OCTETS + SMALLEST_QUOTE
    candidates = np.isin(octets[np.where(enough, begin, 0)], ERRORS[version]) & enough
    for row in np.flatnonzero(candidates).tolist():
        start = int(begin[row])
        read = read_message(octets[start : start + int(captured[row])].tobytes(), version)
        if read:
            rows.append(row)
            found.append(read)
    columns = zip(*found, strict=True) if found else ((),) * len(COLUMNS)
    return np.array(rows, np.int64), dict(zip(COLUMNS, columns, strict=True))


def carried(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an error takes over from the packet that holds it: who sent it, and what is around it."""
    return {name: columns[given] for name, given in CARRIED.items() if given in columns}


def read_message(message: bytes, version: int) -> tuple[int, ...] | None:
    """Return the values of COLUMNS of one ICMP message; None if it is no error, or quotes neither TCP nor UDP."""
    if len(message) < HEADER_OCTETS + SMALLEST_QUOTE or message[0] not in ERRORS[version]:
        return None
    end = len(message)
    if (version, message[0]) in QUOTE_LENGTH:
        at, unit = QUOTE_LENGTH[version, message[0]]
        end = HEADER_OCTETS + message[at] * unit if message[at] else end
    quoted = read_quote(message[HEADER_OCTETS:end])
    # An error about IPv4 is an ICMP message, one about IPv6 an ICMPv6 message.
    if quoted is None or quoted[0] != version:
        return None
    return (message[0], message[1], _mtu(message, version), *quoted)


def _mtu(message: bytes, version: int) -> int:
    """Return the MTU of the next hop; 0 where the message has none (RFC 1191 §4; RFC 4443 §3.2)."""
    if version == 6:
        return int(struct.unpack_from("!I", message, 4)[0]) if message[0] == TOO_BIG_6 else 0
    needed = message[0] == UNREACHABLE and message[1] == FRAGMENTATION_NEEDED
    return int(struct.unpack_from("!H", message, 6)[0]) if needed else 0


def read_quote(packet: bytes) -> tuple[int, ...] | None:
    """Return the values of COLUMNS from `ip_version` on; None for what is no TCP segment or UDP datagram.

    The lengths in the quoted headers are not looked at: some systems quote them in their own byte order.
    """
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        at = (packet[0] & 0xF) * 4
        # Only the first fragment has ports; later ones cannot be told apart.
        if at < 20 or struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
            return None
        protocol, at = _after_extensions(packet, packet[9], at, (AUTHENTICATION,))
        version, ip_id = 4, struct.unpack_from("!H", packet, 4)[0]
        addresses = (0, int.from_bytes(packet[12:16]), 0, int.from_bytes(packet[16:20]))
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        protocol, at = _after_extensions(packet, packet[6], 40, (*EXTENSIONS, AUTHENTICATION, FRAGMENT))
        version, ip_id = 6, 0
        addresses = struct.unpack_from("!4Q", packet, 8)
    else:
        return None
    if protocol not in (TCP, UDP) or len(packet) < at + 4:
        return None
    ports = struct.unpack_from("!HH", packet, at)
    has_seq = protocol == TCP and len(packet) >= at + 8
    seq = struct.unpack_from("!I", packet, at + 4)[0] if has_seq else 0
    has_flags = protocol == TCP and len(packet) >= at + 14
    flags = struct.unpack_from("!H", packet, at + 12)[0] & 0x0FFF if has_flags else -1
    return (version, protocol, ip_id, *addresses, *ports, int(has_seq), seq, flags)


def _after_extensions(packet: bytes, protocol: int, at: int, followed: tuple[int, ...]) -> tuple[int, int]:
    """Follow the headers in `followed`, the first of which stands at `at` and is `protocol`.

    Returns the protocol after them, and where it begins (RFC 8200 §4; AH: RFC 4302 §2).
    """
    while protocol in followed and at + 8 <= len(packet):
        if protocol == FRAGMENT:
            if struct.unpack_from("!H", packet, at + 2)[0] & 0xFFF8:
                break
            octets = 8
        else:
            octets = (packet[at + 1] + 2) * 4 if protocol == AUTHENTICATION else (packet[at + 1] + 1) * 8
        protocol, at = packet[at], at + octets
    return protocol, at
