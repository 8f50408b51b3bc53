"""Interfaces: those that a capture names, and the kernel's information about each.

In: names, or "any". Out: an `Interface` each, which exists, is up and has frames that are read; else a CaptureError of
one line. The types are the ARPHRD_ numbers of <linux/if_arp.h>.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from handshake_inspect.capture.records import CaptureError

#: All interfaces, including future ones.
ANY = "any"

ARPHRD_LOOPBACK = 772
LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
#: Interface type -> LINKTYPE_ of the frames from its packet socket.
LINK_TYPES = {
    1: LINKTYPE_ETHERNET,
    ARPHRD_LOOPBACK: LINKTYPE_ETHERNET,
    519: LINKTYPE_RAW,  # ARPHRD_RAWIP: mobile broadband
    768: LINKTYPE_RAW,  # ARPHRD_TUNNEL: IPIP
    769: LINKTYPE_RAW,  # ARPHRD_TUNNEL6
    776: LINKTYPE_RAW,  # ARPHRD_SIT
    65534: LINKTYPE_RAW,  # ARPHRD_NONE: tun, WireGuard
}

# <linux/sockios.h>, <linux/if.h>
SIOCGIFNAME = 0x8910
SIOCGIFFLAGS = 0x8913
SIOCGIFHWADDR = 0x8927
IFF_UP = 0x1
#: struct ifreq with a short in it (flags, the family of a hardware address), with an int (a number).
IFREQ_SHORT = struct.Struct("16sH22x")
IFREQ_INT = struct.Struct("16si20x")


@dataclass(frozen=True)
class Interface:
    """A network interface as it is now."""

    name: str
    index: int
    #: ARPHRD_ number.
    type: int
    is_up: bool

    @property
    def link_type(self) -> int:
        """LINKTYPE_ value of its frames. Raises CaptureError if they are not read."""
        return link_type_of(self.name, self.type)


def interfaces_named(names: Sequence[str]) -> list[Interface]:
    """Return the interfaces with these names; for "any" all that are up and can be read.

    Raises CaptureError unless this is Linux and they can be captured on.
    """
    if not sys.platform.startswith("linux"):
        raise CaptureError("live capture needs Linux; elsewhere: tcpdump -i lo0 -w - | handshake-inspect read -")
    there = {name: index for index, name in socket.if_nameindex()}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if ANY in names:
            found = [interface_of(probe, name, index) for name, index in there.items()]
            found = [one for one in found if one.is_up and one.type in LINK_TYPES]
            if not found:
                raise CaptureError("any: no interface is up; ip link set lo up")
            return found
        for name in names:
            if name not in there:
                raise CaptureError(f"{name}: no such interface; there are: {', '.join(there) or 'none'}")
        found = [interface_of(probe, name, there[name]) for name in dict.fromkeys(names)]
    for one in found:
        link_type_of(one.name, one.type)
        if not one.is_up:
            raise CaptureError(interface_failure(OSError(errno.ENETDOWN, ""), one.name))
    return found


def interface_of(probe: socket.socket, name: str, index: int) -> Interface:
    """Query the kernel about an interface (netdevice(7)). Raises CaptureError if it has just gone."""
    import fcntl  # not on Windows, where this module is also imported

    request = IFREQ_SHORT.pack(name.encode(), 0)
    try:
        _, flags = IFREQ_SHORT.unpack(fcntl.ioctl(probe, SIOCGIFFLAGS, request))
        _, kind = IFREQ_SHORT.unpack(fcntl.ioctl(probe, SIOCGIFHWADDR, request))
    except OSError as error:
        raise CaptureError(interface_failure(error, name)) from error
    return Interface(name, index, kind, bool(flags & IFF_UP))


def name_of(probe: socket.socket, index: int) -> str:
    """Return the name of an interface in the network of a socket, "#7" if it has gone."""
    import fcntl

    try:
        name, _ = IFREQ_INT.unpack(fcntl.ioctl(probe, SIOCGIFNAME, IFREQ_INT.pack(b"", index)))
    except OSError:
        return f"#{index}"
    return bytes(name).rstrip(b"\0").decode(errors="replace")


def link_type_of(interface: str, interface_type: int) -> int:
    """Return the link type of a packet socket's frames for this ARPHRD_ type. Raises CaptureError if not read."""
    if interface_type not in LINK_TYPES:
        raise CaptureError(
            f"{interface}: frames of interface type {interface_type} are not read live; "
            f"use: tcpdump -i {interface} -w - | handshake-inspect read -"
        )
    return LINK_TYPES[interface_type]


def interface_failure(error: OSError, interface: str) -> str:
    """Return what went wrong with the packet socket, and what to do, in one line."""
    if isinstance(error, PermissionError):
        return (
            f"capturing on {interface} needs CAP_NET_RAW: run as root (sudo), "
            f"or where tcpdump may: tcpdump -i {interface} -w - | handshake-inspect read -"
        )
    if error.errno == errno.ENETDOWN:
        return f"{interface}: the interface is down; ip link set {interface} up"
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"{interface}: the interface has gone"
    return f"{interface}: cannot be captured: {one_line(error)}"


def one_line(error: BaseException | bytes) -> str:
    """Return the message of an error, from Python or from a C library, without line breaks."""
    message = error.decode(errors="replace") if isinstance(error, bytes) else str(error)
    return " ".join(message.split()) or type(error).__name__
