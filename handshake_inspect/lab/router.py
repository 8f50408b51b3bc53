"""A network of three hosts, so that real ICMP errors cross a wire: the client's, a router, and the server's.

In: nothing; this process is in a private network (`world`). Out: two more network namespaces, joined to it by pairs of
virtual Ethernet interfaces (veth(4)), as long as the context lasts:

    client 192.0.2.2 ─── 192.0.2.1 router 198.51.100.1 ─── 198.51.100.2 server
                                     (MTU 1200)

The router forwards (RFC 1812), has no route to anywhere else, and takes packets of at most 1200 octets to the server:
neither end knows of that MTU. Links are made through rtnetlink(7), addresses and routes as in netdevice(7).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handshake_inspect.lab.world import CLONE_NEWNET, LabError, bring_up, fork, network_ioctl

CLIENT, SERVER = "192.0.2.2", "198.51.100.2"
ROUTER_TO_CLIENT, ROUTER_TO_SERVER = "192.0.2.1", "198.51.100.1"
#: An address to which the router has no route (RFC 5737).
NOWHERE = "203.0.113.7"
#: The client's interface, where the capture is made.
INTERFACE = "client0"
#: Octets of a packet that the link to the server takes, in the eyes of the router.
SMALL_MTU = 1200

# <linux/sockios.h>, <linux/route.h>
SIOCADDRT, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU, SIOCETHTOOL = 0x890B, 0x8916, 0x891C, 0x8922, 0x8946
# <linux/ethtool.h>: segmentation by TCP's offload, and by any
ETHTOOL_STSO, ETHTOOL_SGSO = 0x1F, 0x24
RTF_UP, RTF_GATEWAY = 1, 2
# <linux/rtnetlink.h>, <linux/if_link.h>, <linux/veth.h>
RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 16, 1, 4, 0x200, 0x400
IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_PID = 3, 18, 19
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
NO_INTERFACE = struct.pack("=BxHiII", 0, 0, 0, 0, 0)


@contextmanager
def three_hosts() -> Iterator[int]:
    """Set the network up, and give the process id whose network namespace is the server's. Raises LabError."""
    hosts: list[int] = []
    try:
        try:
            hosts += [start_host(), start_host()]
            router, server = hosts
            join(INTERFACE, "router0", router)
            with inside(router):
                join("router1", "server0", server)
                configure("router0", ROUTER_TO_CLIENT)
                configure("router1", ROUTER_TO_SERVER, mtu=SMALL_MTU)
                Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            with inside(server):
                configure("server0", SERVER)
                route_everything(ROUTER_TO_SERVER)
            configure(INTERFACE, CLIENT)
            send_as_on_the_wire(INTERFACE)
            route_everything(ROUTER_TO_CLIENT)
        except OSError as error:
            raise LabError(
                f"a network with a router cannot be made here ({error}): it needs veth interfaces and a writable "
                "/proc/sys; run on the host, or in a container with --privileged"
            ) from error
        yield server
    finally:
        for host in hosts:
            os.kill(host, signal.SIGKILL)
            os.waitpid(host, 0)


def start_host() -> int:
    """Fork a process that does nothing in a network namespace of its own; return its id."""
    reader, writer = os.pipe()

    def be_a_host() -> None:
        enter(None)
        bring_up("lo")
        os.write(writer, b"1")
        signal.pause()

    host = fork(be_a_host)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        if not pipe.read(1):
            os.waitpid(host, 0)
            raise OSError("no network namespace")
    return host


@contextmanager
def inside(host: int) -> Iterator[None]:
    """Be in the network namespace of `host` for a while."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        enter(host)
        yield
    finally:
        set_namespace(own)
        os.close(own)


def enter(host: int | None) -> None:
    """Move this single-threaded process into the network namespace of `host`, or a new one."""
    if host is None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        return
    descriptor = os.open(f"/proc/{host}/ns/net", os.O_RDONLY)
    set_namespace(descriptor)
    os.close(descriptor)


def set_namespace(descriptor: int) -> None:
    """Call setns(2) (`os.setns` came with Python 3.12)."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


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


def send_as_on_the_wire(interface: str) -> None:
    """Switch segmentation offload off: each frame that is captured is a segment of the wire."""
    for command in (ETHTOOL_STSO, ETHTOOL_SGSO):
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
