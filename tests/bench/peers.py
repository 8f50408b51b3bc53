"""Who is timed: our own command, what a user would pick instead, and by how much we mean to be ahead; and on what.

In: nothing. Out: `OURS`, `PEERS`, `HOSTILE` and limits. `{file}` in a command stands for the capture.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

#: One connection a line, with findings: what the peers are compared with.
OURS = [sys.executable, "-m", "handshake_inspect", "read", "{file}", "--format", "csv"]


@dataclass(frozen=True)
class Peer:
    """Another program that reads captures."""

    command: list[str]
    #: As the table names it.
    label: str
    #: Least ratio of its time to ours, by workload.
    at_least: dict[str, float] = field(default_factory=dict)
    #: Or largest ratio of our time to its.
    at_most: dict[str, float] = field(default_factory=dict)


PEERS = {
    "tshark-fields": Peer(
        [
            "tshark", "-r", "{file}", "-Y", "tcp.flags.syn==1 or tcp.flags.fin==1 or tcp.flags.reset==1",
            "-T", "fields", "-e", "tcp.stream", "-e", "tcp.completeness", "-e", "frame.time_epoch", "-e", "tcp.flags",
            "-e", "tcp.seq", "-e", "tcp.ack",
        ],
        "`tshark -Y … -T fields`",
        at_least={"bulk": 45, "short": 25, "flood": 17},
    ),
    "tshark-conv": Peer(
        ["tshark", "-r", "{file}", "-q", "-z", "conv,tcp"],
        "`tshark -q -z conv,tcp`",
        at_least={"bulk": 15, "short": 7, "flood": 7},
    ),
    "tcptrace": Peer(
        ["tcptrace", "-n", "{file}"], "`tcptrace -n`", at_least={"bulk": 1.3, "short": 2, "flood": 10}
    ),
    "capinfos": Peer(["capinfos", "{file}"], "`capinfos`, which counts"),
    "tcpdump": Peer(
        ["tcpdump", "-r", "{file}", "-w", "/dev/null"],
        "`tcpdump -w /dev/null`, which copies",
        at_most={"bulk": 3.5, "short": 8, "flood": 13},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class MemoryLimit:
    """How much memory we mean to take at most."""

    constant_octets: int
    per_connection_octets: int

    def octets(self, connections: int) -> int:
        """Return it for a capture of so many connections."""
        return self.constant_octets + self.per_connection_octets * connections


MEMORY = MemoryLimit(constant_octets=100_000_000, per_connection_octets=600)
#: With losses: each segment that was lost or overtaken stays, with those that tell of it.
MEMORY_WITH_LOSSES = MemoryLimit(constant_octets=200_000_000, per_connection_octets=600)
#: Ten times the packets take at most so many times the time.
GROWTH_AT_MOST = 10.5
#: One packet of a capture made to be slow takes at most so many times the processor time of one of `short`.
HOSTILE_AT_MOST = 3
#: Captures made to be slow (`hostile`), in words.
HOSTILE = {
    "syns": "SYNs of one pair of sockets, each with another initial sequence number",
    "rsts": "one connection: RSTs of both ends",
    "fins": "one connection: FINs of both ends, each with another number",
    "shuffled": "one connection: a transfer whose segments come in no order at all",
    "overlapping": "one connection: a transfer whose segments begin anywhere, each octet sent ten times",
    "behaviours": "connections of eight segments that go on anyhow after the opening, so that no two are alike",
    "collisions": "SYNs between IPv6 addresses chosen to have one hash",
    "captures-in-captures": "a transfer of a capture file: in each record stands another, which could be the next one",
    "empty-records": "records of length 0",
}
HOSTILE_PACKETS = 1_000_000
