"""How long the handshakes of each server took, as a distribution.

In: `Connections`, and which of them. Out: `HandshakeTimes`, which makes a `ServerTimes` of each server. Times are as
the capture saw them: near the client SYN to SYN-ACK is the whole round trip, near the server hardly any of it. Where a
SYN or a SYN-ACK was repeated, which one was answered cannot be told (Karn): those times are left out, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.ledger.at_once import number_groups
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.connections.splitting.rows import RESPONDER

#: First SYN to first SYN-ACK, and first SYN to third segment: columns of the `VerdictTable`.
Measure = Literal["syn_to_syn_ack_ns", "initial_rtt_ns"]
#: Shares, in percent, of which `ServerTimes.quantiles_ns` are the times.
QUANTILES = (0, 10, 25, 50, 75, 90, 99, 100)
#: Parts of a histogram for each factor of ten.
PER_DECADE = 10


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """The handshakes of one server."""

    server: Endpoint
    #: What tells it from a host of the same address elsewhere: a tunnel ("vxlan:7"); "" for none.
    tunnel: str
    #: How many were measured.
    measured: int
    #: How many are left out, because a SYN or a SYN-ACK was repeated.
    ambiguous: int
    #: Of each of `QUANTILES` the smallest time that so much of those measured do not exceed (nearest rank).
    quantiles_ns: tuple[int, ...]
    #: How many took as long, in the parts between `HandshakeTimes.edges_ns`.
    histogram: tuple[int, ...]

    @property
    def median_ns(self) -> int:
        """Half of them took no longer."""
        return self.quantiles_ns[QUANTILES.index(50)]


class HandshakeTimes:
    """Handshakes by server; only of those of which one could be measured.

    Servers are numbered by first appearance in `rows`: those of both measures of the same rows have the same numbers.
    """

    def __init__(self, connections: Connections, rows: Rows, measure: Measure) -> None:
        table = connections.verdicts.table
        servers = Sockets.of(connections, rows, np.full(len(rows), RESPONDER))
        self._names, self._servers = connections.names, servers
        number, self._example = number_groups([*servers.host, servers.port])
        count = len(self._example)
        is_known = table[measure][rows] != NONE
        known, group = rows[is_known], number[is_known]
        repeated = (table["syn_retransmissions"][known] > 0) | (table["syn_ack_retransmissions"][known] > 0)
        self._ambiguous = np.bincount(group[repeated], minlength=count)
        group, taken_ns = group[~repeated], table[measure][known[~repeated]].astype(np.int64)
        order = np.lexsort((taken_ns, group))
        #: By server, and the shortest first.
        self._taken_ns = taken_ns[order]
        self._start = np.searchsorted(group[order], np.arange(count + 1))
        measured = np.diff(self._start)
        #: Groups, those that were measured most often first; of equal ones those that appear sooner.
        by_count = np.lexsort((self._example, -measured))
        self._by_count = by_count[: np.count_nonzero(measured)]
        #: Where the parts of all histograms begin and end, in ns: the first holds the shortest, the last the longest.
        self.edges_ns = _edges(taken_ns)
        #: Handshakes that were measured, and those left out, of all servers together.
        self.measured, self.ambiguous = len(taken_ns), int(np.count_nonzero(repeated))

    def __len__(self) -> int:
        return len(self._by_count)

    def servers(self, most: int | None = None) -> tuple[ServerTimes, ...]:
        """Return the times of each server, those measured most often first; at most so many."""
        return tuple(found for number in self.numbers(most).tolist() if (found := self.server(number)))

    def numbers(self, most: int | None = None) -> Rows:
        """Return the numbers of the same servers."""
        return self._by_count[:most]

    def server(self, number: int) -> ServerTimes | None:
        """Return the times of one server; None if none of its handshakes was measured."""
        taken_ns = self._taken_ns[self._start[number] : self._start[number + 1]]
        if not len(taken_ns):
            return None
        ranks = [max(-(-len(taken_ns) * share // 100), 1) - 1 for share in QUANTILES]
        part = np.searchsorted(self.edges_ns, np.maximum(taken_ns, 1), "right") - 1
        example = int(self._example[number])
        return ServerTimes(
            server=self._servers.endpoint(example),
            tunnel=self._names.tunnel[int(self._servers.tunnel[example])],
            measured=len(taken_ns),
            ambiguous=int(self._ambiguous[number]),
            quantiles_ns=tuple(taken_ns[ranks].tolist()),
            histogram=tuple(np.bincount(part, minlength=len(self.edges_ns) - 1).tolist()),
        )


def _edges(taken_ns: Rows) -> tuple[int, ...]:
    """Return the edges of parts that are equal on a logarithmic scale and hold all these times.

    Times below a nanosecond, where the clock did not move, count as one.
    """
    if not len(taken_ns):
        return ()
    shortest, longest = max(int(taken_ns.min()), 1), max(int(taken_ns.max()), 1)
    steps = range((len(str(shortest)) - 1) * PER_DECADE, len(str(longest)) * PER_DECADE + 1)
    # Below 10 ns some edges would be equal: whole nanoseconds are all there are.
    return tuple(sorted({round(10 ** (step / PER_DECADE)) for step in steps}))
