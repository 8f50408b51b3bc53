"""Packets with ICMP errors in them, octet by octet from RFC 791, RFC 792, RFC 4443, RFC 8200 and RFC 9293."""

from __future__ import annotations

import ipaddress
import struct

from tests.capture.builders import Frame, pcap

TCP, UDP, ICMP, ICMPV6, AH = 6, 17, 1, 58, 51
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

#: Of the connections that the tests talk about, and of a router between them.
CLIENT, SERVER, ROUTER = "192.0.2.1", "198.51.100.2", "203.0.113.9"
CLIENT_6, SERVER_6, ROUTER_6 = "2001:db8::1", "2001:db8:1::2", "2001:db8:ffff::9"
ASKING, SERVING = 40000, 80


def ip(source: str, destination: str, payload: bytes, protocol: int = TCP, *, ip_id: int = 0) -> bytes:
    """Return an IP packet of the version of its addresses."""
    ends = [ipaddress.ip_address(one).packed for one in (source, destination)]
    if len(ends[0]) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + b"".join(ends) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id, 0x4000, 64, protocol, 0)
    return head + b"".join(ends) + payload


def tcp(source_port: int, destination_port: int, flags: int, seq: int, ack: int = 0, payload: bytes = b"") -> bytes:
    """Return a TCP segment without options."""
    ports = struct.pack("!HH", source_port, destination_port)
    return ports + struct.pack("!IIHHHH", seq, ack, 5 << 12 | flags, 4096, 0, 0) + payload


def error(
    source: str, quoted: bytes, icmp_type: int, code: int, *, mtu: int = 0, octets: int | None = None, ip_id: int = 0
) -> bytes:
    """Return the packet in which `source` tells the sender of the packet `quoted` about it.

    `octets`: how much it quotes; all of it by default. `mtu`: RFC 1191 §4, or RFC 4443 §3.2.
    """
    version = quoted[0] >> 4
    to = quoted[12:16] if version == 4 else quoted[8:24]
    rest = struct.pack("!HH", 0, mtu) if version == 4 else struct.pack("!I", mtu)
    message = struct.pack("!BBH", icmp_type, code, 0) + rest + quoted[:octets]
    return ip(source, str(ipaddress.ip_address(to)), message, ICMP if version == 4 else ICMPV6, ip_id=ip_id)


def ethernet(packet: bytes, *vlans: int) -> bytes:
    """Return an Ethernet frame, with VLAN tags if any are given."""
    tags = b"".join(struct.pack("!HH", 0x8100, vlan) for vlan in vlans)
    return bytes(12) + tags + struct.pack("!H", 0x0800 if packet[0] >> 4 == 4 else 0x86DD) + packet


def capture(*packets: tuple[float, bytes] | bytes, start_ns: int = 10**18) -> bytes:
    """Return a pcap file of IP packets over Ethernet, a millisecond apart or (milliseconds, packet)."""
    frames: list[Frame] = []
    for number, one in enumerate(packets):
        at_ms, packet = one if isinstance(one, tuple) else (float(number), one)
        octets = ethernet(packet)
        frames.append((octets, len(octets), start_ns + round(at_ms * 1_000_000)))
    return pcap(frames)


class Conversation:
    """Segments between a client and a server, and errors about them, with numbers counted from x and y."""

    def __init__(self, x: int = 1000, y: int = 5000, *, v6: bool = False, port: int = ASKING) -> None:
        self.x, self.y, self.port = x, y, port
        self.client, self.server, self.router = (
            (CLIENT_6, SERVER_6, ROUTER_6) if v6 else (CLIENT, SERVER, ROUTER)
        )  # fmt: skip

    def sent(self, flags: int, seq: int = 0, ack: int = 0, payload: bytes = b"") -> bytes:
        """Return a segment of the client, numbers relative to x and y."""
        segment = tcp(self.port, SERVING, flags, _of(self.x, seq), _of(self.y, ack) if flags & ACK else 0, payload)
        return ip(self.client, self.server, segment)

    def answered(self, flags: int, seq: int = 0, ack: int = 0, payload: bytes = b"") -> bytes:
        """Return a segment of the server."""
        segment = tcp(SERVING, self.port, flags, _of(self.y, seq), _of(self.x, ack) if flags & ACK else 0, payload)
        return ip(self.server, self.client, segment)

    def handshake(self) -> list[bytes]:
        """Return SYN, SYN-ACK and ACK."""
        return [self.sent(SYN), self.answered(SYN | ACK, 0, 1), self.sent(ACK, 1, 1)]


def _of(initial: int, relative: int) -> int:
    return (initial + relative) & 0xFFFFFFFF
