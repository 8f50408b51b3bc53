"""TIME-WAITs one by one and by host, and how close the ephemeral ports were to exhaustion.

In: `Connections`, and a selection of them. Out: `TimeWaitLedger`: one `Owed` per TIME-WAIT, one `HostOwes` per host,
one `PortUse` per host and remote socket. All counting is done on columns; objects are made on demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import Endpoint, TimeWait
from handshake_inspect.connections.deciding.time_waits import OUTCOMES
from handshake_inspect.connections.ledger.owing import HostOwes, HostTally
from handshake_inspect.connections.ledger.port_use import PortTally, PortUse
from handshake_inspect.connections.model import Connections
from handshake_inspect.plain import plain
from handshake_inspect.sets import consecutive
from handshake_inspect.tcp.time_wait import PortRange, Profile


@plain
class Owed:
    """One TIME-WAIT, and its two sockets."""

    stream: int
    capture: str
    #: The socket in TIME-WAIT, and its peer.
    owner: Endpoint
    peer: Endpoint
    wait: TimeWait


class TimeWaitLedger:
    """Every TIME-WAIT of some connections, by the profile of their inspection. Iterates over `Owed`."""

    def __init__(
        self,
        connections: Connections,
        streams: NDArray[np.int64] | None,
        ports: PortRange,
        captured_ns: tuple[int, int],
    ) -> None:
        self._connections = connections
        self.ports = ports
        #: Times of the first and the last frame: counts after the last one rest on the profile alone.
        self.captured_ns = captured_ns
        #: Rows of the `VerdictTable`.
        self._rows: Rows = connections.order if streams is None else connections.rows_of(streams)
        owner = connections.time_waits.table["connection"]
        first, last = np.searchsorted(owner, self._rows), np.searchsorted(owner, self._rows, "right")
        #: Indices into `Connections.time_waits`, in the order of the streams.
        self._at: Rows = consecutive(first, last - first)

    @property
    def profile(self) -> Profile:
        """The assumed profile of TIME-WAIT."""
        return self._connections.profile

    @property
    def connections(self) -> int:
        """Count of connections examined."""
        return len(self._rows)

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[Owed]:
        return self.owed()

    def owed(self, most: int | None = None) -> Iterator[Owed]:
        """Yield the TIME-WAITs one by one, at most `most`."""
        connections, table = self._connections, self._connections.time_waits.table
        for i in self._at[:most].tolist():
            row, side = int(table["connection"][i]), int(table["side"][i])
            verdict = connections.verdicts.table
            ends = connections.endpoints(int(verdict["conversation"][row]), int(verdict["originator_is_higher"][row]))
            yield Owed(
                stream=int(connections.stream_of[row]),
                capture=connections.captures[verdict["first_capture"][row]],
                owner=ends[side],
                peer=ends[1 - side],
                wait=connections.time_wait(i),
            )

    @property
    def outcomes(self) -> dict[str, int]:
        """Count of TIME-WAITs by outcome."""
        counts = np.bincount(self._connections.time_waits.outcome[self._at], minlength=len(OUTCOMES))
        return {name: int(count) for name, count in zip(OUTCOMES, counts, strict=True) if count}

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """When the first one was entered, and until when the last one lasts; None without any."""
        if not len(self):
            return None
        waits = self._connections.time_waits
        return int(waits.table["entered_ns"][self._at].min()), int(waits.until_ns[self._at].max())

    @cached_property
    def _hosts(self) -> HostTally:
        return HostTally(self._connections, self._at)

    def hosts(self, most: int | None = None) -> tuple[HostOwes, ...]:
        """Return the TIME-WAITs of each host, the highest peak first; at most `most` hosts."""
        return tuple(self._hosts.host(group) for group in self._hosts.by_peak[:most].tolist())

    @property
    def host_count(self) -> int:
        """Count of hosts with TIME-WAITs."""
        return len(self._hosts.by_peak)

    def over_time(self, place: int, bins: int, span_ns: tuple[int, int] | None = None) -> tuple[int, ...]:
        """Return the greatest count of the host at this index of `hosts()`, in equal parts of a span of time.

        `span_ns`: None is `self.span_ns`.
        """
        span_ns = span_ns or self.span_ns
        if span_ns is None:
            raise IndexError("nobody owes TIME-WAIT")
        group = int(self._hosts.by_peak[place])
        return tuple(self._hosts.at_once.over_time(group, *span_ns, bins).tolist())

    @cached_property
    def _ports(self) -> PortTally:
        return PortTally(self._connections, self._rows, self.ports, self.captured_ns)

    def port_use(self, most: int | None = None) -> tuple[PortUse, ...]:
        """Return the ports that each host took for each remote socket, the highest peak first; at most `most`.

        Only where a connecting end holds a TIME-WAIT: elsewhere a port is free as soon as a connection is closed.
        """
        return tuple(self._ports.use(group) for group in self._ports.by_peak[:most].tolist())

    @property
    def port_use_count(self) -> int:
        """Count of pairs of host and remote socket."""
        return len(self._ports.by_peak)
