"""What the kernel counts about TIME-WAIT in a network namespace, and its settings there.

In: the network that this process is in. Out: `Counters`. Anybody may read them. Which of them move was measured (Linux
6.18), one connection each on loopback:

| what happens                                     | moves               |
|--------------------------------------------------|---------------------|
| a connection enters TIME-WAIT                    | TW                  |
| its timer fires, at the end                      | nothing             |
| the owner connects again from the same port      | TWRecycled          |
| the other end does (a SYN into TIME-WAIT)        | nothing             |
| a valid RST ends it                              | nothing             |
| an RST is ignored (tcp_rfc1337, or out of window)| nothing             |
| SOCK_DESTROY ends it (`ss -K`)                   | nothing             |
| there is no room (tcp_max_tw_buckets)            | TCPTimeWaitOverflow |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: The file below /proc/PID with counters of TCP by name.
NETSTAT = "net/netstat"


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of one moment."""

    #: Connections that entered TIME-WAIT.
    entered: int
    #: Entries that their owner's new connection replaced.
    recycled: int
    #: Connections for which there was no room.
    overflowed: int


def read_counters(process: int | None = None) -> Counters:
    """Read the counters of the network of a process (None: of this one)."""
    lines = Path("/proc", str(process or "self"), NETSTAT).read_text().splitlines()
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        found |= dict(zip(names.split()[1:], map(int, values.split()[1:]), strict=True))
    return Counters(found["TW"], found["TWRecycled"], found["TCPTimeWaitOverflow"])


def ignores_resets() -> bool:
    """Does TIME-WAIT ignore an RST here (tcp_rfc1337; RFC 1337 §3, fix F1)?"""
    return Path("/proc/sys/net/ipv4/tcp_rfc1337").read_text().strip() != "0"
