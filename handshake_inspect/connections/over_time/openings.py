"""How long the handshakes of each server took, as a distribution.

In: `Connections`, and a selection of them. Out: `HandshakeTimes`, which makes a `ServerTimes` for each server. Times
depend on the point of capture: near the client SYN to SYN-ACK is the whole round trip, near the server hardly any of
it. If a SYN or SYN-ACK was retransmitted, it is unknown which one was answered (Karn): such times are only counted.
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
#: The quantiles in `ServerTimes.quantiles_ns`, in percent.
QUANTILES = (0, 10, 25, 50, 75, 90, 99, 100)
#: Parts of a histogram for each factor of ten.
PER_DECADE = 10


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """The handshakes of one server."""

    server: Endpoint
    #: Tunnel that distinguishes it from another host with the same address ("vxlan:7"); "" for none.
    tunnel: str
    #: Count of handshakes measured.
    measured: int
    #: Count of handshakes left out because a SYN or SYN-ACK was retransmitted.
    ambiguous: int
    #: For each of `QUANTILES` the smallest time that this share of those measured does not exceed (nearest rank).
    quantiles_ns: tuple[int, ...]
    #: Counts of handshakes by time, in the parts between `HandshakeTimes.edges_ns`.
    histogram: tuple[int, ...]

    @property
    def median_ns(self) -> int:
        """The median time."""
        return self.quantiles_ns[QUANTILES.index(50)]


class HandshakeTimes:
    """Handshakes by server, for servers with at least one measured handshake.

    Servers are numbered by first appearance in `rows`, so both measures of the same rows give them the same numbers.
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
        #: Times by server, the shortest first.
        self._taken_ns = taken_ns[order]
        self._start = np.searchsorted(group[order], np.arange(count + 1))
        measured = np.diff(self._start)
        #: Groups, those with most measured handshakes first; of equal ones those that appear sooner.
        by_count = np.lexsort((self._example, -measured))
        self._by_count = by_count[: np.count_nonzero(measured)]
        #: Edges of the parts of all histograms, in ns: the first part has the shortest time, the last the longest.
        self.edges_ns = _edges(taken_ns)
        #: Count of handshakes measured, and of those left out, over all servers.
        self.measured, self.ambiguous = len(taken_ns), int(np.count_nonzero(repeated))

    def __len__(self) -> int:
        return len(self._by_count)

    def servers(self, most: int | None = None) -> tuple[ServerTimes, ...]:
        """Return the times of each server, those with most measured handshakes first; at most `most`."""
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
    """Return the edges of parts that are equal on a logarithmic scale and cover all these times.

    Times below a nanosecond, where the clock did not move, count as one.
    """
    if not len(taken_ns):
        return ()
    shortest, longest = max(int(taken_ns.min()), 1), max(int(taken_ns.max()), 1)
    steps = range((len(str(shortest)) - 1) * PER_DECADE, len(str(longest)) * PER_DECADE + 1)
    # Below 10 ns some edges would be equal, as times are whole nanoseconds.
    return tuple(sorted({round(10 ** (step / PER_DECADE)) for step in steps}))
