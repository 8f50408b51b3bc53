"""The kernel's TCP sockets at this moment: every one of a network namespace, also those that no program holds.

In: a network namespace, by a netlink socket that was opened in it. Out: a `KernelSocket` for each TCP socket, read with
NETLINK_SOCK_DIAG (sock_diag(7)). No privilege is needed. To ask for all takes 0.7 µs a socket, for all in one state as
much for each of those; to ask for one by its two ends 5 µs, however many there are. Three kinds of socket come out of
it (measured on Linux 6.18):

- *socket*: a whole one. A listener's queues are its accept queue, and the backlog that limits it.
- *request*: a half-open connection at a listener (SYN-RECEIVED). It becomes a socket with the third segment.
- *mini*: what is left of a socket in TIME-WAIT, or in FIN-WAIT-2 when its program has closed it.

The cookie is one and the same from request to socket to mini socket, if the kernel was asked about the earlier ones.
RFC 9293 §3.3.2 names the states.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.world import LabError

Kind = Literal["socket", "request", "mini"]
IpVersion = Literal[4, 6]
IP_VERSIONS: tuple[IpVersion, ...] = (4, 6)

#: <net/tcp_states.h>, in the words of RFC 9293.
STATES = {
    1: "ESTABLISHED",
    2: "SYN-SENT",
    3: "SYN-RECEIVED",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    7: "CLOSED",
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN-RECEIVED",  # TCP_NEW_SYN_RECV: what a request socket calls itself
}
#: `idiag_timer` of <linux/inet_diag.h>.
TIMERS = {0: "off", 1: "retransmit", 2: "keep-alive", 3: "time-wait", 4: "window-probe"}

# <linux/netlink.h>, <linux/sock_diag.h>, <linux/inet_diag.h>
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
EVERY_STATE = 0xFFFFFFFF
#: A cookie that fits any socket (INET_DIAG_NOCOOKIE).
ANY_COOKIE = 0xFFFFFFFFFFFFFFFF
#: An attribute that only whole sockets have.
INET_DIAG_SHUTDOWN = 8
#: struct nlmsghdr, struct nlattr
HEADER, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
#: struct inet_diag_req_v2: family, protocol, extensions, states; then struct inet_diag_sockid: ports, addresses,
#: interface, cookie. A dump leaves the second empty.
REQUEST = struct.Struct("=BBBxI2s2s16s16sIQ")
#: struct inet_diag_msg: family, state, timer, retrans; ports, addresses, interface, cookie; expires, rqueue, wqueue,
#: uid, inode
MESSAGE = struct.Struct("=BBBB2s2s16s16sIQIIIII")
ANSWER_OCTETS = 1 << 18
#: A message NLMSG_DONE.
DONE_OCTETS = HEADER.size + 4


@dataclass(frozen=True, slots=True)
class KernelSocket:
    """One TCP socket as the kernel had it."""

    local: Endpoint
    remote: Endpoint
    #: As RFC 9293 spells it.
    state: str
    kind: Kind
    #: Which timer runs: "off", "retransmit", "keep-alive", "time-wait" or "window-probe".
    timer: str
    #: Until that timer fires; 0 also while a late one is still to be served.
    expires_ms: int
    #: How often the segment that is not acknowledged was sent again; of a request: its SYN-ACK.
    retransmissions: int
    #: Octets that the program has not read; of a listener: connections that it has not accepted.
    receive_queue: int
    #: Octets that the peer has not acknowledged; of a listener: its backlog.
    send_queue: int
    #: 0 for a socket that no program holds.
    inode: int
    #: The kernel's name for it, the same all its life.
    cookie: int

    @property
    def accept_queue(self) -> int | None:
        """Connections of a listener that wait for accept(); None of any other socket."""
        return self.receive_queue if self.state == "LISTEN" else None

    @property
    def backlog(self) -> int | None:
        """What a listener's accept queue may hold; None of any other socket."""
        return self.send_queue if self.state == "LISTEN" else None


def tcp_sockets(*, ip_versions: Iterable[IpVersion] = IP_VERSIONS) -> list[KernelSocket]:
    """Return every TCP socket of this process's network namespace. Raises LabError."""
    with open_diagnosis() as netlink:
        return [one for version in ip_versions for one in dump(netlink, version)]


def open_diagnosis() -> socket.socket:
    """Open a netlink socket that asks about the network namespace in which it was opened. Raises LabError."""
    try:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
    except OSError as error:
        raise LabError(f"the kernel's sockets cannot be read here (sock_diag: {error.strerror})") from error


def dump(netlink: socket.socket, version: IpVersion, states: int = EVERY_STATE) -> list[KernelSocket]:
    """Ask for every TCP socket of one IP version in one of `states` (see `bit_of`). Raises LabError."""
    return [parse_socket(content) for answer in answers(netlink, version, states) for _, content in messages(answer)]


def answers(netlink: socket.socket, version: IpVersion, states: int = EVERY_STATE) -> Iterator[bytes]:
    """Ask as `dump` does, and yield the kernel's answers, unparsed, several messages at a time. Raises LabError."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    ask(netlink, REQUEST.pack(family, socket.IPPROTO_TCP, 0, states, b"", b"", b"", b"", 0, 0), NLM_F_DUMP)
    is_last = False
    while not is_last:
        answer = netlink.recv(ANSWER_OCTETS)
        refuse_error(*next(messages(answer)))
        ending = len(answer) - DONE_OCTETS
        is_last = HEADER.unpack_from(answer, ending)[:2] == (DONE_OCTETS, NLMSG_DONE)
        yield answer[:ending] if is_last else answer


def socket_between(netlink: socket.socket, local: Endpoint, remote: Endpoint) -> KernelSocket | None:
    """Ask for the one socket that has these two ends; None if there is none. Raises LabError.

    The kernel answers with a listener of the local port where there is nothing else: that is none.
    """
    family = socket.AF_INET6 if ":" in local.ip else socket.AF_INET
    ports = (end.port.to_bytes(2, "big") for end in (local, remote))
    addresses = (socket.inet_pton(family, end.ip) for end in (local, remote))
    body = REQUEST.pack(family, socket.IPPROTO_TCP, 0, EVERY_STATE, *ports, *addresses, 0, ANY_COOKIE)
    ask(netlink, body)
    kind, content = next(messages(netlink.recv(ANSWER_OCTETS)))
    if kind == NLMSG_ERROR and error_number(content) == errno.ENOENT:
        return None
    refuse_error(kind, content)
    found = parse_socket(content)
    return found if found.remote == remote else None


def ask(netlink: socket.socket, body: bytes, flags: int = 0) -> None:
    """Send one struct inet_diag_req_v2."""
    netlink.send(HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | flags, 0, 0) + body)


def bit_of(state: str) -> int:
    """Return the bit that asks for a state, as RFC 9293 spells it."""
    return sum(1 << number for number, name in STATES.items() if name == state)


def refuse_error(kind: int, content: bytes) -> None:
    """Raise LabError if a message is an error of the kernel's."""
    if kind == NLMSG_ERROR:
        raise LabError(f"the kernel does not tell its sockets (sock_diag: {os.strerror(error_number(content))})")


def error_number(content: bytes) -> int:
    """Return the errno of a struct nlmsgerr."""
    (number,) = struct.unpack_from("=i", content)
    return -int(number)


def messages(answer: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of each netlink message."""
    at = 0
    while at + HEADER.size <= len(answer):
        length, kind, *_ = HEADER.unpack_from(answer, at)
        if length < HEADER.size:
            return
        yield kind, answer[at + HEADER.size : at + length]
        at += length + 3 & ~3


def parse_socket(content: bytes) -> KernelSocket:
    """Read one struct inet_diag_msg with its attributes."""
    (family, state, timer, retransmissions, sport, dport, source, destination, _, cookie, expires_ms, *rest) = (
        MESSAGE.unpack_from(content)
    )
    receive_queue, send_queue, _, inode = rest
    whole = INET_DIAG_SHUTDOWN in attributes(content[MESSAGE.size :])
    return KernelSocket(
        local=endpoint(family, source, sport),
        remote=endpoint(family, destination, dport),
        state=STATES[state],
        kind="socket" if whole else "mini" if TIMERS.get(timer) == "time-wait" else "request",
        timer=TIMERS.get(timer, str(timer)),
        expires_ms=expires_ms,
        retransmissions=retransmissions,
        receive_queue=receive_queue,
        send_queue=send_queue,
        inode=inode,
        cookie=cookie,
    )


def attributes(octets: bytes) -> set[int]:
    """Return the types of the attributes that follow a message."""
    found, at = set(), 0
    while at + ATTRIBUTE.size <= len(octets):
        length, kind = ATTRIBUTE.unpack_from(octets, at)
        if length < ATTRIBUTE.size:
            break
        found.add(kind)
        at += length + 3 & ~3
    return found


def endpoint(family: int, address: bytes, port: bytes) -> Endpoint:
    """Return a socket address; an IPv4 one that an IPv6 socket holds is spelled as IPv4."""
    if family == socket.AF_INET:
        ip = socket.inet_ntop(socket.AF_INET, address[:4])
    elif address.startswith(bytes(10) + b"\xff\xff"):
        ip = socket.inet_ntop(socket.AF_INET, address[12:16])
    else:
        ip = socket.inet_ntop(socket.AF_INET6, address)
    return Endpoint(ip, int.from_bytes(port))
