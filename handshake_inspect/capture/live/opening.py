"""Opens a capture: Scapy's packet socket, a ring on it, and the filter for the frames that enter it.

In: interfaces that exist and are up. Out: a socket and its `Ring`, which receives frames from now on, so the first SYN
of a program started afterwards cannot be lost. Until ring and filter are in place, a filter refuses everything: no
unwanted frame is seen or counted.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handshake_inspect.capture.live.filtering import REFUSE, attach, program_for
from handshake_inspect.capture.live.interfaces import ANY, ARPHRD_LOOPBACK, Interface, interface_failure
from handshake_inspect.capture.live.ring import SOL_PACKET, Ring, statistics
from handshake_inspect.capture.live.timestamps import timestamps_switched_on
from handshake_inspect.capture.records import CaptureError

# <linux/if_packet.h>, <linux/if_ether.h>
PACKET_ADD_MEMBERSHIP = 1
PACKET_IGNORE_OUTGOING = 23
PACKET_MR_PROMISC = 1
ETH_P_ALL = 3


@dataclass(frozen=True)
class CaptureRequest:
    """The settings of a capture."""

    interfaces: Sequence[Interface]
    #: All interfaces, including future ones; `interfaces` are the present ones.
    is_any: bool
    #: A filter in tcpdump's language.
    bpf: str | None
    #: Also frames for other hosts; for "any" on the present interfaces.
    promiscuous: bool
    ring_octets: int
    #: How many octets of each frame are kept.
    frame_octets: int

    @property
    def name(self) -> str:
        """Its name in messages: "lo", "lo,eth0", "any"."""
        return ANY if self.is_any else ",".join(one.name for one in self.interfaces)

    @property
    def is_one(self) -> bool:
        """Whether there is one interface, and can be no other."""
        return not self.is_any and len(self.interfaces) == 1


def open_ring(wanted: CaptureRequest) -> tuple[Any, Ring]:
    """Return Scapy's socket and the ring on it. Raises CaptureError."""
    with timestamps_switched_on():
        scapy_socket = open_scapy_socket(wanted)
    try:
        ring = set_up(scapy_socket.ins, wanted)
        attach(scapy_socket.ins, program_for(wanted.interfaces, wanted.bpf, wanted.frame_octets, is_any=wanted.is_any))
    except BaseException as error:
        scapy_socket.close()
        if isinstance(error, OSError):
            raise CaptureError(why_not(error, wanted)) from error
        raise
    return scapy_socket, ring


def open_scapy_socket(wanted: CaptureRequest) -> Any:
    """Open Scapy's listening packet socket on the first interface. Raises CaptureError."""
    try:
        from scapy.arch.linux import L2ListenSocket
        from scapy.config import conf
    except PermissionError as error:  # Scapy's cache, in a ~/.cache made when it ran as root
        raise CaptureError(
            f"Scapy may not read {error.filename}: give it back to its owner (chown), or set XDG_CACHE_HOME to "
            "a folder of yours"
        ) from error

    first = wanted.interfaces[0]
    known = conf.ifaces.data.get(first.name)
    if known is None or known.index != first.index:
        conf.ifaces.reload()  # Scapy's list was made in another network namespace, or before the interface
    scapy_log = logging.getLogger("scapy.runtime")
    level = scapy_log.level
    scapy_log.setLevel(logging.ERROR)  # it warns that no layer is loaded to dissect with: none is needed
    try:
        return L2ListenSocket(iface=first.name, promisc=False)
    except OSError as error:
        raise CaptureError(interface_failure(error, wanted.name)) from error
    finally:
        scapy_log.setLevel(level)


def set_up(ours: socket.socket, wanted: CaptureRequest) -> Ring:
    """Make a ring that receives nothing yet, and set the interfaces on which the socket listens. Raises OSError."""
    attach(ours, REFUSE)
    ring = Ring(ours, wanted.ring_octets)
    if not wanted.is_one:
        bind_to_all(ours)
    for one in wanted.interfaces if wanted.promiscuous else ():
        request = struct.pack("@iHH8s", one.index, PACKET_MR_PROMISC, 0, b"")
        ours.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
    if not wanted.is_any and all(one.type == ARPHRD_LOOPBACK for one in wanted.interfaces):
        ignore_outgoing(ours)
    statistics(ours)  # resets the counts of frames that arrived before the filter
    return ring


def bind_to_all(ours: socket.socket) -> None:
    """Bind a packet socket to all interfaces (interface 0); Python's bind() takes names only."""
    address = struct.pack("@HHiHBB8s", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(ours.fileno(), address, len(address)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def ignore_outgoing(ours: socket.socket) -> None:
    """Spare the kernel the outgoing copy of each frame, which the filter refuses anyway; needs Linux 4.20."""
    try:
        ours.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise


def why_not(error: OSError, wanted: CaptureRequest) -> str:
    """Return why there is no ring, and what to do, in one line."""
    if error.errno == errno.ENOMEM:
        return f"{wanted.name}: the kernel has no memory even for the smallest ring; end other captures first"
    return interface_failure(error, wanted.name)
