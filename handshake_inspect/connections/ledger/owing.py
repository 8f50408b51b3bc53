"""TIME-WAITs counted by host.

In: `Connections`, and a selection of its TIME-WAITs. Out: `HostTally`, which makes a `HostOwes` for each host.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.connections.ledger.at_once import at_once, number_groups
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.connections.splitting.rows import ORIGINATOR, RESPONDER
from handshake_inspect.plain import plain


@plain
class HostOwes:
    """The TIME-WAITs of one host."""

    ip: str
    #: Tunnel that distinguishes it from another host with the same address ("vxlan:7"); "" for none.
    tunnel: str
    time_waits: int
    #: TIME-WAITs of connections that it opened, and of those that it accepted, which take none of its ports. Neither is
    #: known where the opening was not captured.
    connecting: int
    accepting: int
    #: Greatest count at once, and when it was first reached.
    peak: int
    peak_ns: int
    #: The accepting socket of most of them (its own, if it accepted them), and their count.
    most_at: Endpoint
    most_at_count: int


class HostTally:
    """TIME-WAITs by host."""

    def __init__(self, connections: Connections, at: Rows) -> None:
        waits = connections.time_waits
        rows, side = waits.table["connection"][at], waits.table["side"][at].astype(np.int64)
        self._names = connections.names
        self._owner = Sockets.of(connections, rows, side)
        self._acceptor = Sockets.of(connections, rows, np.full(len(at), RESPONDER))
        group, self._example = number_groups(self._owner.host)
        count = len(self._example)
        self.at_once = at_once(group, waits.table["entered_ns"][at], waits.until_ns[at], count)
        self._total = np.bincount(group, minlength=count)
        connects, accepts = opening_ends(connections, rows, side)
        self._connecting, self._accepting = (np.bincount(group[one], minlength=count) for one in (connects, accepts))
        self._most_at, self._most_at_count = _most(group, [*self._acceptor.host, self._acceptor.port], count)
        #: Groups, the highest peak first; of equal ones those with more TIME-WAITs, then those that began sooner.
        self.by_peak = np.lexsort((self.at_once.peak_ns, -self._total, -self.at_once.peak))

    def host(self, group: int) -> HostOwes:
        """Return the object of one host."""
        example, most_at = int(self._example[group]), int(self._most_at[group])
        return HostOwes(
            ip=self._owner.ip(example),
            tunnel=self._names.tunnel[int(self._owner.tunnel[example])],
            time_waits=int(self._total[group]),
            connecting=int(self._connecting[group]),
            accepting=int(self._accepting[group]),
            peak=int(self.at_once.peak[group]),
            peak_ns=int(self.at_once.peak_ns[group]),
            most_at=self._acceptor.endpoint(most_at),
            most_at_count=int(self._most_at_count[group]),
        )


def _most(group: Rows, columns: list[NDArray[np.generic]], groups: int) -> tuple[Rows, Rows]:
    """Find the most frequent row of `columns` in each group. Returns an example of it, and its count."""
    number, example = number_groups([group, *columns])
    times = np.bincount(number, minlength=len(example))
    order = np.lexsort((example, -times, group[example]))
    first = order[np.searchsorted(group[example][order], np.arange(groups))]
    return example[first], times[first]


def opening_ends(connections: Connections, rows: Rows, side: Rows) -> tuple[Mask, Mask]:
    """Mark the ends that called connect(), and those that accepted; neither if unknown."""
    kinds = np.array([one.handshake_kind for one in connections.verdicts.judgements], np.str_)
    kind = kinds[connections.verdicts.table["judgement"][rows]]
    connects = (kind != "not-captured") & ((side == ORIGINATOR) | (kind == "simultaneous-open"))
    return connects, (kind != "not-captured") & ~connects
