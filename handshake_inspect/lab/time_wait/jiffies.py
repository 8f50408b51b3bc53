"""Where the grid of the timer wheel lies: jiffies, which the kernel tells nobody but root, found out as anybody.

In: nothing. Out: the `Wheel` of this machine with its origin. Linux notes for every address of an interface when it was
made, in hundredths of a second of jiffies (`ifa_cacheinfo.cstamp`, rtnetlink(7)). So a child makes a network of its own
and some addresses in it, each between two looks at CLOCK_MONOTONIC, and asks for them: jiffies is known to some
milliseconds. Jiffies itself follows CLOCK_MONOTONIC, tick by tick, with what was lost at the start of the machine
between them (62 ticks here).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence

from handshake_inspect.lab.kernel.sock_diag import HEADER, messages
from handshake_inspect.lab.links import add_address
from handshake_inspect.lab.time_wait.wheel import Span, Wheel, this_wheel
from handshake_inspect.lab.world import WorldError, in_private_world

# <linux/rtnetlink.h>, <linux/netlink.h>, <linux/if_addr.h>
RTM_GETADDR, RTM_NEWADDR, NLM_F_REQUEST, NLM_F_DUMP, NLMSG_DONE = 22, 20, 1, 0x300, 3
IFA_LOCAL, IFA_CACHEINFO = 2, 6
#: struct ifaddrmsg, struct rtattr, and of struct ifa_cacheinfo: both lifetimes, and when it was made.
IFADDRMSG, RTATTR, CACHEINFO = struct.Struct("=BBBBI"), struct.Struct("=HH"), struct.Struct("=III")
#: include/linux/jiffies.h: INITIAL_JIFFIES is so many seconds before 2**32.
BEFORE_START_S = 300
#: How many addresses are made, and the pause before each: together they see every phase of hundredths and ticks.
ADDRESSES, PAUSE_S = 12, 0.0023


def placed_wheel() -> Wheel:
    """Return the wheel of this machine with its grid; without if no private network is allowed. Takes 40 ms."""
    wheel = this_wheel()
    try:
        start = in_private_world(start_of_jiffies, wheel.tick_ns)
    except WorldError:
        return wheel
    since_zero_ns = (2**32 - BEFORE_START_S * wheel.hz) * wheel.tick_ns
    return wheel.placed_by(Span(start.earliest_ns - since_zero_ns, start.latest_ns - since_zero_ns))


def start_of_jiffies(tick_ns: int) -> Span:
    """Return between which moments of CLOCK_MONOTONIC jiffies had its first value, in a private network."""
    moments_ns: dict[str, tuple[int, int]] = {}
    for number in range(1, ADDRESSES + 1):
        time.sleep(PAUSE_S)
        address, before_ns = f"127.0.1.{number}", time.monotonic_ns()
        add_address(f"lo:{number}", address)
        moments_ns[address] = before_ns, time.monotonic_ns()
    made = [(*moments_ns[address], hundredths) for address, hundredths in stamps() if address in moments_ns]
    return narrowed([start_by(tick_ns, *one) for one in made])


def start_by(tick_ns: int, before_ns: int, after_ns: int, hundredths: int) -> Span:
    """Return the same from one address, which was made between two moments."""
    hz = round(1e9 / tick_ns)
    first, beyond = (-(-stamp * hz // 100) for stamp in (hundredths, hundredths + 1))  # first <= jiffies < beyond
    return Span(before_ns - beyond * tick_ns, after_ns - first * tick_ns)


def narrowed(spans: Sequence[Span]) -> Span:
    """Return the intersection of several spans.

    A processor that is held up counts jiffies late, and then all of a span is late. So the first of the latest times
    always holds, and an earliest time that is after it does not.
    """
    latest_ns = min(span.latest_ns for span in spans)
    return Span(max(span.earliest_ns for span in spans if span.earliest_ns <= latest_ns), latest_ns)


def stamps() -> Iterator[tuple[str, int]]:
    """Yield each IPv4 address of this network, and when it was made, in hundredths of a second of jiffies."""
    body = IFADDRMSG.pack(socket.AF_INET, 0, 0, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(HEADER.pack(HEADER.size + len(body), RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + body)
        while True:
            for kind, content in messages(netlink.recv(1 << 16)):
                if kind == NLMSG_DONE:
                    return
                if kind == RTM_NEWADDR:
                    found = dict(attributes(content[IFADDRMSG.size :]))
                    if IFA_LOCAL in found and IFA_CACHEINFO in found:
                        yield socket.inet_ntoa(found[IFA_LOCAL]), CACHEINFO.unpack_from(found[IFA_CACHEINFO])[2]


def attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes of a message of rtnetlink."""
    at = 0
    while at + RTATTR.size <= len(octets):
        length, kind = RTATTR.unpack_from(octets, at)
        if length < RTATTR.size:
            return
        yield kind, octets[at + RTATTR.size : at + length]
        at += length + 3 & ~3
