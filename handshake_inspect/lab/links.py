"""Links between network namespaces: made, named, given addresses, brought up, without ip(8), ethtool(8) or tc(8).

In: names of interfaces, addresses, process ids of hosts. Out: pairs of virtual Ethernet interfaces (veth(4)), through
rtnetlink(7); addresses, routes and offloads as in netdevice(7). Every function raises OSError.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from handshake_inspect.lab.world import WorldError, bring_up, network_ioctl

# <linux/sockios.h>, <linux/route.h>
SIOCADDRT, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU, SIOCETHTOOL = 0x890B, 0x8916, 0x891C, 0x8922, 0x8946
# <linux/ethtool.h>: checksums left to the card, segmentation left to TCP's offload, and to any
ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO = 0x17, 0x1F, 0x24
RTF_UP, RTF_GATEWAY = 1, 2
# <linux/rtnetlink.h>, <linux/if_link.h>, <linux/veth.h>
RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 16, 1, 4, 0x200, 0x400
IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_PID = 3, 18, 19
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
NO_INTERFACE = struct.pack("=BxHiII", 0, 0, 0, 0, 0)


def join(interface: str, peer: str, host: int) -> None:
    """Make a pair of virtual interfaces: one here, its peer in the network namespace of `host`."""
    there = NO_INTERFACE + attribute(IFLA_IFNAME, peer.encode()) + attribute(IFLA_NET_NS_PID, struct.pack("=I", host))
    link = attribute(IFLA_INFO_KIND, b"veth") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, there))
    body = NO_INTERFACE + attribute(IFLA_IFNAME, interface.encode()) + attribute(IFLA_LINKINFO, link)
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, flags, 1, 0) + body)
        (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)  # struct nlmsgerr
    if error:
        raise OSError(-error, f"veth: {os.strerror(-error)}")


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute of rtnetlink: its length, kind and value, padded to four octets."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def configure(interface: str, address: str, *, mtu: int = 1500) -> None:
    """Give an interface an address of a /24 network and an MTU, and bring it up."""
    name = interface.encode()
    for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.0")):
        network_ioctl(request, struct.pack("16s16s8x", name, socket_address(value)))
    network_ioctl(SIOCSIFMTU, struct.pack("16si20x", name, mtu))
    bring_up(interface)


def add_address(label: str, address: str) -> None:
    """Give an interface one more address, under a label: "lo:1"."""
    network_ioctl(SIOCSIFADDR, struct.pack("16s16s8x", label.encode(), socket_address(address)))


def send_as_on_the_wire(interface: str) -> None:
    """Switch offloads off: each frame that is captured is a segment of the wire, with its real checksum."""
    for command in (ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO):
        off = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
        network_ioctl(SIOCETHTOOL, struct.pack("@16sP16x", interface.encode(), ctypes.addressof(off)))


def route_everything(gateway: str) -> None:
    """Send everything that is not for a neighbour to `gateway`."""
    anywhere = socket_address("0.0.0.0")
    addresses = (anywhere, socket_address(gateway), anywhere)
    entry = struct.pack("@L16s16s16sHhLPhPLLH", 0, *addresses, RTF_UP | RTF_GATEWAY, 0, 0, 0, 0, 0, 0, 0, 0)
    network_ioctl(SIOCADDRT, entry)


def socket_address(address: str) -> bytes:
    """Return a `struct sockaddr_in` without a port."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def cannot_be_made(what: str, error: OSError) -> WorldError:
    """Say in one line that a network is not possible here, and where it would be."""
    return WorldError(
        f"{what} cannot be made here ({error}): it needs veth interfaces and a writable /proc/sys; "
        "run on the host, or in a container with --privileged"
    )
