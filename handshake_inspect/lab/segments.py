"""What the lab itself needs to know of a frame: whose it is, and which kind of segment.

In: an Ethernet frame of a session of ours. Out: its transport header, or a `Segment`. Enough for frames that our own
programs made a moment ago; `capture.decode` reads everything else.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from handshake_inspect.tcp.seqnum import MODULUS

ETHERNET_OCTETS = 14
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
#: Control bits of octet 13 of the TCP header, lowest first (RFC 9293 §3.1).
CONTROL_BITS = ("FIN", "SYN", "RST", "PSH", "ACK")
FIN, SYN, RST, PSH, ACK = (1 << number for number in range(5))

#: What a rule of the wire can be about: a segment is exactly one of these.
KINDS = ("SYN", "SYN-ACK", "ACK", "data", "FIN", "RST")


@dataclass(frozen=True)
class Segment:
    """A TCP segment, as far as rules and scripts look at it."""

    source: tuple[str, int]
    destination: tuple[str, int]
    seq: int
    ack: int
    flags: int
    payload: bytes
    #: The whole Ethernet frame.
    frame: bytes

    @property
    def end(self) -> int:
        """SEG.SEQ + SEG.LEN: the number behind it."""
        return (self.seq + len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)) % MODULUS

    @property
    def packet_octets(self) -> int:
        """Octets of the IP packet: what must not be more than the MTU of a link."""
        return len(self.frame) - ETHERNET_OCTETS

    @property
    def kind(self) -> str:
        """One of `KINDS`. A SYN or FIN with data is a SYN or FIN; "ACK" has neither data nor another control bit."""
        if self.flags & RST:
            return "RST"
        if self.flags & SYN:
            return "SYN-ACK" if self.flags & ACK else "SYN"
        if self.flags & FIN:
            return "FIN"
        return "data" if self.payload else "ACK"

    @property
    def flag_names(self) -> str:
        """The control bits, lowest first: "FIN,ACK"."""
        return ",".join(name for number, name in enumerate(CONTROL_BITS) if self.flags >> number & 1)


def segment_of(frame: bytes) -> Segment | None:
    """Return the TCP segment in an Ethernet frame; None if it carries something else."""
    found = transport_of(frame)
    if found is None or found[0] != TCP or len(found[1]) < 20:
        return None
    packet, header = frame[ETHERNET_OCTETS:], found[1]
    source_port, destination_port, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", header)
    if packet[0] >> 4 == 4:
        family, addresses, octets = socket.AF_INET, (packet[12:16], packet[16:20]), int.from_bytes(packet[2:4])
        size = octets - (packet[0] & 15) * 4
    else:
        family, addresses = socket.AF_INET6, (packet[8:24], packet[24:40])
        size = int.from_bytes(packet[4:6])
    source, destination = (socket.inet_ntop(family, address) for address in addresses)
    payload = header[(offset >> 4) * 4 : size or None]  # short frames are padded; 0 is a length that did not fit
    return Segment((source, source_port), (destination, destination_port), seq, ack, flags, payload, frame)


def ports_of(frame: bytes) -> tuple[int, ...]:
    """Return both ports of an Ethernet frame with TCP, UDP, or an ICMP error that quotes one; () of any other."""
    found = transport_of(frame)
    return struct.unpack_from("!HH", found[1]) if found and len(found[1]) >= 4 else ()


def transport_of(frame: bytes) -> tuple[int, bytes] | None:
    """Return the protocol, TCP or UDP, and its header with what follows; of an ICMP error, those that it quotes."""
    if len(frame) < ETHERNET_OCTETS:
        return None
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    return transport_in_packet(frame[ETHERNET_OCTETS:]) if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) else None


def transport_in_packet(packet: bytes, *, quoted: bool = False) -> tuple[int, bytes] | None:
    """The same for an IP packet without extension headers."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        protocol, rest = packet[9], packet[(packet[0] & 15) * 4 :]
    else:
        protocol, rest = packet[6], packet[40:]
    if protocol in (TCP, UDP):
        return protocol, rest
    if protocol in (ICMP, ICMPV6) and not quoted and len(rest) > 8:
        return transport_in_packet(rest[8:], quoted=True)
    return None
