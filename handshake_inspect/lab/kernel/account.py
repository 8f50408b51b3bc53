"""What the kernel told of one run: every change of state of the sockets that concern it, in order of time.

In: nothing; `watch` fills these. Out: plain data for `translation`, which reads it in the words of RFC 9293, and for
readers who want to see what the kernel reported before anything was translated.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.sock_diag import Kind

Source = Literal["tracepoint", "sampled"]


@dataclass(frozen=True, slots=True)
class SocketFilter:
    """The sockets that an account is about: those with an end at one of these addresses and ports; empty: any."""

    addresses: Set[str] = frozenset()
    ports: Set[int] = frozenset()

    def includes(self, *ends: Endpoint) -> bool:
        """Is one of these ends among them?"""
        return any(
            (not self.addresses or end.ip in self.addresses) and (not self.ports or end.port in self.ports)
            for end in ends
        )


def address_of_its_own() -> str:
    """Draw a loopback address for the server of one run: the tracepoint tells of all runs on the machine at once.

    127.64.0.0 to 127.191.255.255 without those whose last octet is 0 or 255.
    """
    octets = 64 + secrets.randbelow(128), secrets.randbelow(256), 1 + secrets.randbelow(254)
    return ".".join(map(str, (127, *octets)))


@dataclass(frozen=True, slots=True)
class KernelChange:
    """One change of state of one socket, as the kernel reported it."""

    #: Nanoseconds since the Unix epoch. Sampled: when the look began that found it; the change itself is older, by at
    #: most the time since the look before.
    time_ns: int
    #: Port 0 in the tracepoint's first change of an active OPEN.
    local: Endpoint
    remote: Endpoint
    #: Which socket: "skaddr ffff8881..." (tracepoint) or "cookie 0/7" (sampled, with the number of the namespace).
    socket: str
    #: Sampled only: a whole socket, a request socket or a mini socket (`sock_diag`).
    kind: Kind
    #: As RFC 9293 spells them, not yet translated. None: the socket was not there (sampled only).
    old: str | None
    new: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class KernelAccount:
    """All that the kernel reported during a watch."""

    #: By `time_ns`.
    changes: tuple[KernelChange, ...]
    #: Why there is no tracepoint, only samples; None: there is.
    why_sampled: str | None
    #: Changes that the kernel could not keep for us, and that we did not keep: the account has holes if not 0.
    lost: int
    #: How often sock_diag was asked.
    samples: int
    #: Longest time between two looks.
    longest_gap_ns: int
    #: The times of the tracepoint are at most so far from the clock of the capture.
    clock_error_ns: int
    #: Addresses that a NAT puts in the place of others: which of them is whose.
    translated: Mapping[str, str] = field(default_factory=dict)

    def owner(self, end: Endpoint) -> Endpoint:
        """Return an end by the address that its own host knows, whatever a NAT has made of it."""
        return replace(end, ip=self.translated.get(end.ip, end.ip))

    @property
    def traced(self) -> bool:
        """Did the tracepoint report every change?"""
        return self.why_sampled is None

    def about(self, concern: SocketFilter) -> KernelAccount:
        """Return the same account of fewer sockets."""
        kept = tuple(change for change in self.changes if concern.includes(change.local, change.remote))
        return replace(self, changes=kept)
