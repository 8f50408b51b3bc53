"""Reads one ICMP error, octet by octet: the same as `headers.icmp` reads from many together.

In: a message. Out: values of `IcmpErrorTable`. Scapy would read the quote as a packet, by its lengths, which some
systems quote in their own byte order.
"""

from __future__ import annotations

import struct

from handshake_inspect.capture.headers.icmp import (
    AUTHENTICATION,
    FOLLOWED,
    FRAGMENT,
    HEADER_OCTETS,
    QUOTE_LENGTH,
    SMALLEST_QUOTE,
    TCP,
    UDP,
)
from handshake_inspect.tcp.icmp import ERRORS, FRAGMENTATION_NEEDED, TOO_BIG_6, UNREACHABLE

#: The columns from a message and its quote, in this order.
COLUMNS = (
    "icmp_type", "icmp_code", "mtu", "ip_version", "protocol", "quoted_ip_id",
    "src_hi", "src_lo", "dst_hi", "dst_lo", "src_port", "dst_port", "has_seq", "seq", "quoted_flags",
)  # fmt: skip


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
    """Return the MTU of the next hop; 0 if the message has none (RFC 1191 §4; RFC 4443 §3.2)."""
    if version == 6:
        return int(struct.unpack_from("!I", message, 4)[0]) if message[0] == TOO_BIG_6 else 0
    needed = message[0] == UNREACHABLE and message[1] == FRAGMENTATION_NEEDED
    return int(struct.unpack_from("!H", message, 6)[0]) if needed else 0


def read_quote(packet: bytes) -> tuple[int, ...] | None:
    """Return the values of COLUMNS from `ip_version` on; None if it is no TCP segment or UDP datagram.

    The lengths in the quoted headers are not used: some systems quote them in their own byte order.
    """
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        at = (packet[0] & 0xF) * 4
        # Only the first fragment has ports; later ones cannot be assigned to a connection.
        if at < 20 or struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
            return None
        protocol, at = _after_extensions(packet, packet[9], at, FOLLOWED[4])
        version, ip_id = 4, struct.unpack_from("!H", packet, 4)[0]
        addresses = (0, int.from_bytes(packet[12:16]), 0, int.from_bytes(packet[16:20]))
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        protocol, at = _after_extensions(packet, packet[6], 40, FOLLOWED[6])
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
    """Skip the headers in `followed`, the first of which begins at `at` and has the number `protocol`.

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
