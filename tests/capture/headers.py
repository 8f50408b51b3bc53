"""Headers built octet by octet from their specifications, for frames whose layers the tests choose.

Nothing here comes from the code under test or from a dissector. Each function returns its header with `below` behind
it. Innermost stands one SYN over IPv4 or IPv6 with fixed ends, so that whatever is around it, the row is known.
"""

from __future__ import annotations

import socket
import struct
import zlib

CLIENT, SERVER = "10.1.0.1", "10.1.0.2"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"
#: The ends of outer headers.
NEAR, FAR = "192.0.2.1", "192.0.2.2"
NEAR6, FAR6 = "2001:db8:ffff::1", "2001:db8:ffff::2"
CLIENT_PORT, SERVER_PORT, SEQ = 40000, 80, 0x01020304
IPV4, IPV6, ARP, BRIDGED = 0x0800, 0x86DD, 0x0806, 0x6558
MAC = bytes.fromhex("020000000002 020000000001")


def number(value: int, octets: int) -> bytes:
    """Return a number in network order."""
    return value.to_bytes(octets, "big")


# --- the packet inside ------------------------------------------------------------------------------------------------


def tcp(flags: int = 2, payload: bytes = b"") -> bytes:
    """RFC 9293 §3.1: a segment of the fixed connection."""
    return struct.pack("!HHIIHHHH", CLIENT_PORT, SERVER_PORT, SEQ, 0, 5 << 12 | flags, 8192, 0, 0) + payload


def udp(source: int, destination: int, below: bytes, length: int | None = None) -> bytes:
    """RFC 768; the checksum 0 says that there is none."""
    return struct.pack("!HHHH", source, destination, 8 + len(below) if length is None else length, 0) + below


def ipv4(
    protocol: int, below: bytes, ends: tuple[str, str] = (CLIENT, SERVER), *, total: int | None = None,
    fragment: int = 0, options: bytes = b"",
) -> bytes:  # fmt: skip
    """RFC 791 §3.1. `fragment` is the 16-bit word of flags and offset."""
    octets = 20 + len(options)
    total = octets + len(below) if total is None else total
    words = [0x4000 | octets // 4 << 8, total, 1, fragment, 64 << 8 | protocol, 0]
    header = struct.pack("!6H", *words) + socket.inet_aton(ends[0]) + socket.inet_aton(ends[1]) + options
    count = sum(struct.unpack(f"!{octets // 2}H", header))
    while count >> 16:
        count = (count & 0xFFFF) + (count >> 16)
    return header[:10] + number(count ^ 0xFFFF, 2) + header[12:] + below


def ipv6(
    following: int, below: bytes, ends: tuple[str, str] = (CLIENT6, SERVER6), *, length: int | None = None
) -> bytes:
    """RFC 8200 §3."""
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in ends)
    return struct.pack("!IHBB", 6 << 28, len(below) if length is None else length, following, 64) + addresses + below


SYN4 = ipv4(6, tcp())
SYN6 = ipv6(6, tcp())


def around(protocol: int, below: bytes) -> bytes:
    """Put an outer IPv4 header around."""
    return ipv4(protocol, below, (NEAR, FAR))


def around6(protocol: int, below: bytes) -> bytes:
    """Put an outer IPv6 header around."""
    return ipv6(protocol, below, (NEAR6, FAR6))


def in_udp(destination: int, below: bytes, source: int = 50000) -> bytes:
    """Put UDP and an outer IPv4 header around."""
    return around(17, udp(source, destination, below))


# --- Ethernet and what stands between it and IP -----------------------------------------------------------------------


def ethernet(ethertype: int, below: bytes) -> bytes:
    """IEEE 802.3 with an Ethertype."""
    return MAC + number(ethertype, 2) + below


def tag(identifier: int, ethertype: int, below: bytes, priority: int = 0) -> bytes:
    """IEEE 802.1Q: what follows the Ethertype of a tag."""
    return number(priority << 13 | identifier, 2) + number(ethertype, 2) + below


def service_instance(identifier: int, below: bytes) -> bytes:
    """IEEE 802.1ah I-TAG: what follows Ethertype 0x88E7; then an Ethernet frame."""
    return number(identifier, 4) + below


def labels(*values: int, below: bytes) -> bytes:
    """RFC 3032 §2.1: a stack of labels; the last has the S bit."""
    entries = [value << 12 | (place == len(values) - 1) << 8 | 64 for place, value in enumerate(values)]
    return b"".join(number(entry, 4) for entry in entries) + below


def llc_snap(ethertype: int, below: bytes, oui: int = 0) -> bytes:
    """IEEE 802.2 with a SNAP header (RFC 1042)."""
    return bytes.fromhex("aaaa03") + number(oui, 3) + number(ethertype, 2) + below


def llc_frame(below: bytes) -> bytes:
    """IEEE 802.3 with a length."""
    return MAC + number(len(below), 2) + below


def pppoe(session: int, below: bytes, code: int = 0) -> bytes:
    """RFC 2516 §4."""
    return struct.pack("!BBHH", 0x11, code, session, len(below)) + below


def ppp(protocol: int, below: bytes, *, framed: bool = False, short: bool = False) -> bytes:
    """RFC 1661 §2; `framed`: RFC 1662 §3.1 address and control; `short`: RFC 1661 §6.5 protocol field of one octet."""
    return (b"\xff\x03" if framed else b"") + number(protocol, 1 if short else 2) + below


def cisco_hdlc(ethertype: int, below: bytes, address: int = 0x0F) -> bytes:
    """Cisco's HDLC: address (unicast 0x0F, multicast 0x8F), control, Ethertype."""
    return bytes([address, 0]) + number(ethertype, 2) + below


def macsec(ethertype: int, below: bytes, control: int = 0, channel: bytes = b"") -> bytes:
    """IEEE 802.1AE §9: what follows Ethertype 0x88E5; the integrity check of 16 octets last."""
    control |= 0x20 if channel else 0
    return bytes([control, 0]) + number(1, 4) + channel + number(ethertype, 2) + below + bytes(16)


def cooked(device: int, protocol: int, below: bytes) -> bytes:
    """Linux cooked v1: packet type, kind of device, length of address, address, protocol."""
    return struct.pack("!HHH8sH", 0, device, 6, MAC[:6], protocol) + below


def cooked_2(device: int, protocol: int, below: bytes) -> bytes:
    """Linux cooked v2: protocol, reserved, interface, kind of device, packet type, length of address, address."""
    return struct.pack("!HHIHBB8s", protocol, 0, 1, device, 0, 6, MAC[:6]) + below


def juniper(below: bytes, *, bare: bool = False, extension: bytes | None = None) -> bytes:
    """Juniper: magic, flags, extension with its length; instead of a link header, a family in little-endian order."""
    flags = 0x02 * bare | 0x80 * (extension is not None)
    start = b"MGC" + bytes([flags]) + (b"" if extension is None else number(len(extension), 2) + extension)
    return start + (b"\2\0\0\0" if bare else b"") + below


def pktap(link_type: int, below: bytes) -> bytes:
    """Apple PKTAP: length, kind of record, link type, all little-endian; the interface's name, process and more."""
    return struct.pack("<III24s", 108, 1, link_type, b"en0") + bytes(72) + below


# --- IEEE 802.11 ------------------------------------------------------------------------------------------------------

TO_DS, FROM_DS, MORE_FRAGMENTS, PROTECTED, ORDER = 1, 2, 4, 0x40, 0x80


def wlan(
    below: bytes, *, subtype: int = 0, flags: int = TO_DS, qos: int = 0, fragment: int = 0, kind: int = 2
) -> bytes:
    """IEEE 802.11 §9.2, §9.3.2: a frame; 30 octets with both DS bits, QoS control in subtypes 8-15, HT control."""
    header = bytes([subtype << 4 | kind << 2, flags, 0, 0]) + MAC + bytes.fromhex("020000000003")
    header += fragment.to_bytes(2, "little")
    if flags & TO_DS and flags & FROM_DS:
        header += bytes.fromhex("020000000004")
    if subtype & 8:
        header += qos.to_bytes(2, "little")
        if flags & ORDER:
            header += bytes(4)
    return header + below


def mesh_control(*addresses: bytes) -> bytes:
    """IEEE 802.11 §9.2.4.8.3: flags, time to live, sequence number, addresses."""
    return bytes([len(addresses), 31]) + number(1, 4) + b"".join(addresses)


def subframes(*payloads: bytes) -> bytes:
    """IEEE 802.11 §9.3.2.2.2: an A-MSDU; each subframe but the last is padded to four octets."""
    parts = b""
    for payload in payloads:
        parts += bytes(-len(parts) % 4) + MAC + number(len(payload), 2) + payload
    return parts


def radiotap(below: bytes, *, flags: int | None = None, timestamp: bool = False, more: int = 0) -> bytes:
    """Radiotap: version, length, present words (`more` of them follow the first), then TSFT and flags."""
    present = timestamp | (flags is not None) << 1
    words = [present | (more > 0) << 31] + [(place < more - 1) << 31 for place in range(more)]
    fields = b"".join(word.to_bytes(4, "little") for word in words)
    if timestamp:
        fields += bytes(-(4 + len(fields)) % 8) + bytes(8)
    if flags is not None:
        fields += bytes([flags])
    return struct.pack("<BBH", 0, 0, 4 + len(fields)) + fields + below


def ppi(link_type: int, below: bytes, fields: bytes = b"") -> bytes:
    """Per-Packet Information header."""
    return struct.pack("<BBHI", 0, 0, 8 + len(fields), link_type) + fields + below


# --- tunnels ----------------------------------------------------------------------------------------------------------

CHECKSUM, ROUTING, KEY, SEQUENCE = 0x8000, 0x4000, 0x2000, 0x1000


def gre(protocol: int, below: bytes, flags: int = 0, key: int = 0) -> bytes:
    """RFC 2784 §2, RFC 2890 §2."""
    header = number(flags, 2) + number(protocol, 2)
    header += bytes(4) if flags & CHECKSUM else b""
    header += number(key, 4) if flags & KEY else b""
    return header + (bytes(4) if flags & SEQUENCE else b"") + below


def pptp(call: int, below: bytes, *, sequence: bool = True, acknowledgment: bool = False) -> bytes:
    """RFC 2637 §4.1: GRE version 1; the key is the length of the payload and the call."""
    header = struct.pack(
        "!HHHH", KEY | 1 | sequence << 12 | acknowledgment << 7, 0x880B, len(below), call
    )  # fmt: skip
    return header + bytes(4 * sequence) + bytes(4 * acknowledgment) + below


def eoip(tunnel: int, below: bytes) -> bytes:
    """MikroTik's Ethernet over IP: GRE of version 1 with the length of the payload, the tunnel in little-endian."""
    return struct.pack("!HHH", KEY | 1, 0x6400, len(below)) + tunnel.to_bytes(2, "little") + below


def erspan(session: int, below: bytes, version: int = 1) -> bytes:
    """ERSPAN type II: version, VLAN; class, T bit, session; index."""
    return struct.pack("!HHI", version << 12 | 100, session, 7) + below


def erspan_3(session: int, below: bytes, *, subheader: bool = False) -> bytes:
    """ERSPAN type III: as II, then timestamp, SGT, and flags of which the last bit says that 8 octets follow."""
    return struct.pack("!HHIHH", 2 << 12 | 100, session, 99, 0, int(subheader)) + bytes(8 * subheader) + below


def vxlan(identifier: int, below: bytes, flags: int = 8, following: int = 0) -> bytes:
    """RFC 7348 §5; `following`: the next protocol of VXLAN-GPE."""
    return struct.pack("!BHBI", flags, 0, following, identifier << 8) + below


def nsh(following: int, below: bytes, metadata: bytes = b"") -> bytes:
    """RFC 8300 §2.2: version and flags, length in words, kind 2 of metadata, next protocol; path; metadata."""
    words = 2 + len(metadata) // 4
    return struct.pack("!HBBI", 0x0FC0 | words, 2, following, 0x000001FF) + metadata + below


def geneve(identifier: int, protocol: int, below: bytes, options: bytes = b"", version: int = 0) -> bytes:
    """RFC 8926 §3.4."""
    return struct.pack("!BBHI", version << 6 | len(options) // 4, 0, protocol, identifier << 8) + options + below


def gtp(endpoint: int, below: bytes, *, flags: int = 0x30, kind: int = 255, rest: bytes = b"") -> bytes:
    """3GPP TS 29.281 §5.1; `rest`: sequence number, N-PDU, extension headers."""
    return struct.pack("!BBHI", flags, kind, len(rest + below), endpoint) + rest + below


def gtp_0(flow: int, below: bytes, kind: int = 255) -> bytes:
    """GSM 09.60 §6: 20 octets of header: flow label, N-PDU number, three spare octets, TID."""
    return struct.pack("!BBHHHB3sQ", 0x1E, kind, len(below), 1, flow, 255, b"\xff" * 3, 0x1234) + below


def l2tp(tunnel: int, session: int, below: bytes, *, flags: int = 0, offset: int = 0) -> bytes:
    """RFC 2661 §3.1: L bit 0x4000, S bit 0x0800, O bit 0x0200, T bit 0x8000."""
    ids = struct.pack("!HH", tunnel, session)
    ids += bytes(4) if flags & 0x0800 else b""
    ids += number(offset, 2) + bytes(offset) if flags & 0x0200 else b""
    length = number(4 + len(ids) + len(below), 2) if flags & 0x4000 else b""
    return number(flags | 2, 2) + length + ids + below


def l2tp_3(session: int, below: bytes, cookie: bytes = b"", sublayer: bytes = b"") -> bytes:
    """RFC 3931 §4.1.1: session, cookie, sublayer: over IP."""
    return number(session, 4) + cookie + sublayer + below


def lisp(below: bytes, instance: int | None = None) -> bytes:
    """RFC 9300 §5.3: with a nonce; or with an instance, of which the flag is 0x08."""
    flags, last = (0xC0, 0x00000001) if instance is None else (0x88, instance << 8)
    return number(flags, 1) + b"\x12\x34\x56" + number(last, 4) + below


def tzsp(inside: int, below: bytes, tags: bytes = b"", kind: int = 0) -> bytes:
    """TaZmen Sniffer Protocol: version, type, what is inside; tagged fields; the end tag."""
    return bytes([1, kind]) + number(inside, 2) + tags + b"\x01" + below


def teredo_authentication(identifier: bytes = b"", value: bytes = b"") -> bytes:
    """RFC 4380 §5.1.1."""
    return bytes([0, 1, len(identifier), len(value)]) + identifier + value + bytes(9)


TEREDO_ORIGIN = bytes.fromhex("0000 1234 f5fefefe")


def authentication(following: int, below: bytes, check: bytes = bytes(12)) -> bytes:
    """RFC 4302 §2."""
    return struct.pack("!BBHII", following, 1 + len(check) // 4, 0, 0x100, 1) + check + below


def ipcomp(following: int, below: bytes, parameters: int = 2) -> bytes:
    """RFC 3173 §3.1 with RFC 2394's algorithm: raw DEFLATE; parameters above 255 are negotiated."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return struct.pack("!BBH", following, 0, parameters) + deflate.compress(below) + deflate.flush()


def ayiya(below: bytes, following: int = 41, identity: int = 4, signature: int = 5) -> bytes:
    """AYIYA draft §3: lengths of identity (a power of 2) and of signature (in words)."""
    header = bytes([identity << 4 | 1, signature << 4 | 2, 0x10 | 1, following]) + bytes(4)
    return header + bytes(2**identity + 4 * signature) + below
