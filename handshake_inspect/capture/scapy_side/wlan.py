"""802.11 data frames and the headers that monitors put before them, through Scapy.

In: a place of radiotap, Prism, AVS or 802.11. Out: places of LLC, one for each MSDU of a frame. IEEE 802.11-2020 §9.2
and §9.3.2 (headers), §9.3.2.2 (A-MSDU); the radiotap project's fields TSFT and flags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from handshake_inspect.capture.scapy_side import layers as layers
from handshake_inspect.capture.scapy_side.places import Place, Step, Unread, header_at

DATA, FROM_DS = 2, 2
#: Bits of the subtype of data frames: without data; QoS control follows the addresses.
NULL, QOS = 4, 8
#: AVS begins with this number, whatever the link type is.
AVS_MAGIC = bytes.fromhex("80211001")
PRISM_CODES = (0x44, 0x44000000, 0x41, 0x41000000)


def radiotap(place: Place) -> Iterator[Place]:
    """Read radiotap: its flags include padding of the header to 4 octets, passed on as the place's number."""
    header, _ = header_at(place, layers.RadioTapStart, 8, "radiotap header")
    if not 8 <= header.len <= len(place.octets):
        raise Unread("truncated radiotap header")
    padded = bool(header.Flags and header.Flags.pad)
    yield place.after(header.len, "802.11", int(padded))


def prism(place: Place) -> Iterator[Place]:
    """Read Prism: a message with its own length, in host byte order; AVS may be there instead."""
    if place.octets[:4] == AVS_MAGIC:
        yield place.after(0, "avs")
        return
    header, _ = header_at(place, layers.PrismStart, 8, "Prism header")
    octets = header.msglen if header.msglen < 1 << 16 else int.from_bytes(header.msglen.to_bytes(4, "little"))
    if not 8 <= octets <= len(place.octets):
        raise Unread("truncated Prism header")
    yield place.after(octets, "802.11")


def avs(place: Place) -> Iterator[Place]:
    """Read AVS: version and length in network order."""
    header, _ = header_at(place, layers.AVSWLANHeader, 64, "AVS header")
    if not 8 <= header.len <= len(place.octets):
        raise Unread("truncated AVS header")
    yield place.after(header.len, "802.11")


def wlan(place: Place) -> Iterator[Place]:
    """Read an 802.11 frame; only unprotected, unfragmented data is read."""
    if len(place.octets) < 2:
        raise Unread("truncated 802.11 header")
    kind, subtype = place.octets[0] >> 2 & 3, place.octets[0] >> 4
    if kind != DATA:
        raise Unread("802.11 " + ("management", "control", "", "extension")[kind] + " frame")
    if subtype & NULL:
        raise Unread("802.11 frame without data")
    header, octets = header_at(place, layers.Dot11, 24, "802.11 header")
    if header.FCfield.protected:
        raise Unread("802.11 protected frame")
    if header.FCfield.MF or header.SC & 0xF:
        raise Unread("802.11 fragment")
    aggregate, mesh = False, False
    if subtype & QOS:
        control, more = header_at(place.after(octets, "qos"), layers.Dot11QoS, 2, "802.11 header")
        mesh = bool(place.octets[octets + 1] & 1 and place.octets[1] & FROM_DS)
        # Order in a QoS frame: HT control, 4 octets.
        octets, aggregate = octets + more + 4 * header.FCfield.order, bool(control.A_MSDU_Present)
    if place.number:  # radiotap: padded
        octets = octets + 3 & ~3
    if len(place.octets) < octets:
        raise Unread("truncated 802.11 header")
    # IEEE 802.11 §9.2.4.8.3: flags with the number of addresses after the other five octets; otherwise LLC begins.
    if mesh and not aggregate and place.octets[octets : octets + 1] in (b"\x00", b"\x01", b"\x02"):
        octets += 6 + 6 * place.octets[octets]
    yield from subframes(place.after(octets, "llc")) if aggregate else (place.after(octets, "llc"),)


def subframes(place: Place) -> Iterator[Place]:
    """Read the MSDUs of an A-MSDU; each subframe but the last is padded to 4 octets."""
    if place.aggregate:
        raise Unread("A-MSDU in A-MSDU")
    place, at = replace(place, aggregate=True), 0
    while at == 0 or at + 14 <= len(place.octets):
        header, octets = header_at(place.after(at, "subframe"), layers.Subframe, 14, "A-MSDU")
        yield place.after(at + octets, "llc").sized(header.len)
        at += octets + header.len + 3 & ~3


STEPS: dict[str, Step] = {"radiotap": radiotap, "prism": prism, "avs": avs, "802.11": wlan}
