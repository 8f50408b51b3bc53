"""Headers as Scapy's classes: its own, and small ones for headers that it lacks.

In: octets that begin with a header. Out: the header's fields, read by Scapy's `fields_desc`, and nothing further in:
`links`, `tunnels` and `packets` choose the next header, by the rules of the specifications and not by Scapy's guesses.
Only code that uses Scapy imports this module, as its import loads Scapy.
"""

# mypy: allow-subclassing-any
# Scapy's classes have no types in mypy's strict mode.

from __future__ import annotations

from typing import Any

from scapy.config import conf
from scapy.contrib.avs import AVSWLANHeader
from scapy.contrib.chdlc import CHDLC
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.etherip import EtherIP
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTPHeader
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.fields import (
    BitField,
    ByteField,
    IntField,
    LEIntField,
    LEShortField,
    LongField,
    ShortField,
    StrFixedLenField,
    ThreeBytesField,
)
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import (
    GRE,
    GRE_PPTP,
    LLC,
    SNAP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AH,
    Dot1Q,
    Ether,
    LoopbackOpenBSD,
)
from scapy.layers.l2tp import L2TP
from scapy.layers.pflog import PFLog
from scapy.layers.ppi import PPI
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import NoPayload, Packet

# fmt: off
__all__ = [  # noqa: RUF022 (by name)
    "AVSWLANHeader", "Ayiya", "CHDLC", "CiscoMetaData", "conf", "CookedLinux", "CookedLinuxV2", "Dot11", "Dot11QoS",
    "Dot1AH", "Dot1Q", "Enc", "EoIp", "ERSPAN_II", "ERSPAN_III", "ETag", "Ether", "EtherIP", "Extension",
    "FabricPath", "Fddi", "FrameRelay", "GENEVE", "GRE", "GRE_PPTP", "GTPHeader", "GtpVersion0", "HsrTag", "ICMP",
    "Infiniband", "IP", "IPv6", "IPv6ExtHdrFragment", "JuniperStart", "L2TP", "L2tpVersion3", "Lisp",
    "LLC", "LoopbackOpenBSD", "MacSec", "MPLS", "NflogAttribute", "NoPayload", "NshStart", "PfLogStart",
    "PktapStart", "PPI", "PPP", "PPPoE", "PrismStart", "RadioTapStart", "read_header", "RTag", "SNAP", "Subframe",
    "SunAtm", "TCP", "TeredoAuthentication", "TokenRing", "TrillHeader", "TzspStart", "UDP", "VnTag", "VXLAN",
    "VxlanGpe",
]
# fmt: on


def read_header(kind: Any, octets: bytes, at_least: int) -> tuple[Any, int] | None:
    """Return the header of class `kind` at the beginning of `octets`, and its length; None if it is truncated.

    `at_least`: octets that every header of this class has (Scapy takes missing bits for zeros).
    """
    if len(octets) < at_least:
        return None
    header = kind()
    header.original = octets  # some fields are aligned relative to it
    try:
        rest = header.do_dissect(octets)
    except Exception:  # Scapy's fields raise any exception if octets are missing
        return None
    return header, len(octets) - len(rest)


# --- link types -------------------------------------------------------------------------------------------------------


class RadioTapStart(Packet):
    """Radiotap up to its flags, which include whether the 802.11 header is followed by a pad."""

    fields_desc = RadioTap.fields_desc[: [field.name for field in RadioTap.fields_desc].index("Flags") + 1]


class PrismStart(Packet):
    """Prism's code and length, in the byte order of a little-endian host."""

    fields_desc = (LEIntField("msgcode", 0x44), LEIntField("msglen", 144))


class PfLogStart(Packet):
    """OpenBSD's packet filter log: its length without padding, and the address family."""

    fields_desc = PFLog.fields_desc[:2]


class PktapStart(Packet):
    """Apple's PKTAP: length, kind of record, link type of the payload; further fields are not needed."""

    fields_desc = (LEIntField("length", 108), LEIntField("next", 1), LEIntField("dlt", 1))


class JuniperStart(Packet):
    """Juniper: magic, and the flags for an extension and for a missing link header."""

    fields_desc = (
        StrFixedLenField("magic", b"MGC", 3), BitField("extended", 0, 1), BitField("reserved", 0, 5),
        BitField("bare", 0, 1), BitField("direction", 0, 1),
    )  # fmt: skip


class Subframe(Packet):
    """IEEE 802.11 §9.3.2.2.2: one MSDU of an aggregate."""

    fields_desc = (StrFixedLenField("da", b"", 6), StrFixedLenField("sa", b"", 6), ShortField("len", 0))


class NflogAttribute(Packet):
    """Linux NFLOG: length and type of an attribute, in the byte order of a little-endian host."""

    fields_desc = (LEShortField("len", 4), LEShortField("type", 0))


class Infiniband(Packet):
    """RFC 4391 §6 after 40 octets of addresses."""

    fields_desc = (StrFixedLenField("route", b"", 40), ShortField("type", 0x0800), ShortField("reserved", 0))


class Enc(Packet):
    """OpenBSD's enc: family in host byte order, SPI, flags."""

    fields_desc = (StrFixedLenField("family", b"", 4), IntField("spi", 0), IntField("flags", 0))


class Fddi(Packet):
    """FDDI: frame control, then addresses."""

    fields_desc = (ByteField("fc", 0x50), StrFixedLenField("dst", b"", 6), StrFixedLenField("src", b"", 6))


class TokenRing(Packet):
    """IEEE 802.5: access and frame control; the first bit of the source is set if a route follows."""

    fields_desc = (
        ByteField("ac", 0x10), BitField("type", 1, 2), BitField("control", 0, 6), StrFixedLenField("dst", b"", 6),
        BitField("routed", 0, 1), BitField("src", 0, 47),
    )  # fmt: skip


class SunAtm(Packet):
    """SunATM: direction and traffic type (2: LLC), VPI, VCI."""

    fields_desc = (BitField("direction", 0, 4), BitField("type", 2, 4), ByteField("vpi", 0), ShortField("vci", 0))


class FrameRelay(Packet):
    """Q.922's address of two octets; the last bit of each is set in the last one."""

    fields_desc = (
        BitField("upper", 0, 6), BitField("cr", 0, 1), BitField("more", 0, 1), BitField("lower", 0, 4),
        BitField("congestion", 0, 3), BitField("end", 1, 1),
    )  # fmt: skip


# --- after an Ethertype -----------------------------------------------------------------------------------------------


class FabricPath(Packet):
    """Cisco FabricPath after its outer Ethernet header."""

    fields_desc = (BitField("ftag", 0, 10), BitField("ttl", 0, 6))


class VnTag(Packet):
    """Cisco VN-Tag (IEEE 802.1BR draft)."""

    fields_desc = (ShortField("destination", 0), ShortField("source", 0), ShortField("type", 0))


class CiscoMetaData(Packet):
    """Cisco MetaData: a security group tag."""

    fields_desc = (
        ByteField("version", 1), ByteField("length", 1), ShortField("option", 1), ShortField("sgt", 0),
        ShortField("type", 0),
    )  # fmt: skip


class ETag(Packet):
    """IEEE 802.1BR §7: an E-TAG."""

    fields_desc = (StrFixedLenField("control", b"", 6), ShortField("type", 0))


class RTag(Packet):
    """IEEE 802.1CB §7.8: an R-TAG."""

    fields_desc = (ShortField("reserved", 0), ShortField("sequence", 0), ShortField("type", 0))


class MacSec(Packet):
    """IEEE 802.1AE §9: the tag without the channel that may follow it."""

    fields_desc = (
        BitField("version", 0, 1), BitField("end_station", 0, 1), BitField("channel", 0, 1), BitField("copy", 0, 1),
        BitField("encrypted", 0, 1), BitField("changed", 0, 1), BitField("association", 0, 2),
        ByteField("short_length", 0), IntField("number", 0),
    )  # fmt: skip


class TrillHeader(Packet):
    """RFC 6325 §3; `words`: length of the options."""

    fields_desc = (
        BitField("version", 0, 2), BitField("reserved", 0, 2), BitField("multi", 0, 1), BitField("words", 0, 5),
        BitField("hops", 0, 6), ShortField("egress", 0), ShortField("ingress", 0),
    )  # fmt: skip


class NshStart(Packet):
    """RFC 8300 §2.2: the base header, without path and context."""

    fields_desc = NSH.fields_desc[:8]


class HsrTag(Packet):
    """IEC 62439-3 §5.7: HSR tag."""

    fields_desc = (BitField("path", 0, 4), BitField("size", 0, 12), ShortField("sequence", 0), ShortField("type", 0))


# --- after IP and UDP -------------------------------------------------------------------------------------------------


class Extension(Packet):
    """RFC 8200 §4: the first fields of all extension headers."""

    fields_desc = (ByteField("nh", 59), ByteField("len", 0))


class EoIp(Packet):
    """MikroTik's Ethernet over IP: GRE of version 1, whose key is a length and the tunnel."""

    fields_desc = (ShortField("flags", 0x2001), ShortField("type", 0x6400), ShortField("length", 0),
                   LEShortField("tunnel", 0))  # fmt: skip


class Lisp(Packet):
    """RFC 9300 §5.3; the instance is valid if its flag is set."""

    fields_desc = (
        BitField("flags", 0, 4), BitField("has_instance", 0, 1), BitField("more_flags", 0, 3),
        ThreeBytesField("nonce", 0), ThreeBytesField("instance", 0), ByteField("locators", 0),
    )  # fmt: skip


class TzspStart(Packet):
    """TaZmen Sniffer Protocol: tagged fields follow."""

    fields_desc = (ByteField("version", 1), ByteField("kind", 0), ShortField("inside", 1))


class VxlanGpe(Packet):
    """draft-ietf-nvo3-vxlan-gpe §3.2."""

    fields_desc = (
        BitField("reserved", 0, 4), BitField("instance", 1, 1), BitField("next_protocol", 0, 1),
        BitField("bum_oam", 0, 2), ShortField("reserved0", 0), ByteField("protocol", 0), ThreeBytesField("vni", 0),
        ByteField("reserved1", 0),
    )  # fmt: skip


class GtpVersion0(Packet):
    """GSM 09.60 §6."""

    fields_desc = (
        BitField("version", 0, 3), BitField("PT", 1, 1), BitField("spare", 7, 3), BitField("SNN", 0, 1),
        ByteField("gtp_type", 255), ShortField("length", 0), ShortField("sequence", 0), ShortField("flow", 0),
        ByteField("llc", 255), ThreeBytesField("spares", 0xFFFFFF), LongField("tid", 0),
    )  # fmt: skip


class TeredoAuthentication(Packet):
    """RFC 4380 §5.1.1, before the identifier, the value, a nonce of 8 octets and a confirmation of 1."""

    fields_desc = (ShortField("type", 1), ByteField("id_len", 0), ByteField("value_len", 0))


class L2tpVersion3(Packet):
    """RFC 3931 §4.1.2.1: over UDP."""

    fields_desc = (
        BitField("control", 0, 1), BitField("flags", 0, 11), BitField("version", 3, 4), ShortField("reserved", 0),
        IntField("session", 0),
    )  # fmt: skip


class Ayiya(Packet):
    """draft-massar-v6ops-ayiya §3."""

    fields_desc = (
        BitField("id_len", 4, 4), BitField("id_type", 1, 4), BitField("sig_len", 5, 4), BitField("hash", 2, 4),
        BitField("auth", 1, 4), BitField("op", 1, 4), ByteField("nh", 41), IntField("epoch", 0),
    )  # fmt: skip
