"""A network of three hosts, so that real ICMP errors cross a wire: the client's, a router, and the server's.

In: nothing; this process is in a private network (`world`). Out: two more network namespaces, joined to it by pairs of
virtual Ethernet interfaces, as long as the context lasts:

    client 192.0.2.2 ─── 192.0.2.1 router 198.51.100.1 ─── 198.51.100.2 server
                                     (MTU 1200)

The router forwards (RFC 1812), has no route to anywhere else, and takes packets of at most 1200 octets to the server:
neither end knows of that MTU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handshake_inspect.lab.hosts import end_hosts, inside, start_host
from handshake_inspect.lab.links import cannot_be_made, configure, join, route_everything, send_as_on_the_wire

CLIENT, SERVER = "192.0.2.2", "198.51.100.2"
ROUTER_TO_CLIENT, ROUTER_TO_SERVER = "192.0.2.1", "198.51.100.1"
#: An address to which the router has no route (RFC 5737).
NOWHERE = "203.0.113.7"
#: The client's interface, where the capture is made.
INTERFACE = "client0"
#: Octets of a packet that the link to the server takes, in the eyes of the router.
SMALL_MTU = 1200


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
            raise cannot_be_made("a network with a router", error) from error
        yield server
    finally:
        end_hosts(hosts)
