"""How close the ephemeral ports of a host were to exhaustion.

In: `Connections`, and a selection of them. Out: `PortTally`, which makes a `PortUse` for each host and remote socket.

A TIME-WAIT keeps a pair of sockets from being used, not a port (RFC 9293 §3.6.1): the ports that connect() may choose
from run out for one remote socket at a time, and only where the connecting end closed first. Each connection takes one
of them from its SYN until its TIME-WAIT is over. So `n` ports are enough for `n` connections in the time for which one
is held on average.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.ledger.at_once import at_once, number_groups
from handshake_inspect.connections.ledger.owing import opening_ends
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.connections.splitting.rows import ORIGINATOR, RESPONDER
from handshake_inspect.plain import plain
from handshake_inspect.tcp.states import State
from handshake_inspect.tcp.time_wait import SECOND_NS, PortRange

#: States in which an end keeps its port until something else is captured. How long an unanswered SYN is retransmitted
#: is unknown: it counts until its last transmission.
OPEN = {
    State.SYN_RECEIVED_ACTIVE, State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSE_WAIT, State.CLOSING,
    State.LAST_ACK,
}  # fmt: skip


@plain
class PortUse:
    """The ephemeral ports that one host took for connections to one remote socket."""

    ip: str
    #: As in `HostOwes`.
    tunnel: str
    remote: Endpoint
    ports: PortRange
    #: Count of connections that it opened from these ports, and of those that left it a TIME-WAIT.
    connections: int
    time_waits: int
    #: Count of connections that it opened from other ports: bound explicitly, or the range differs.
    outside: int
    #: Most ports taken at once, when that was first reached, and by what.
    peak: int
    peak_ns: int
    peak_time_waits: int
    #: Most connections opened in any span of `window_ns` that left a TIME-WAIT. The span is as long as TIME-WAIT, or as
    #: the capture if that is shorter.
    opened_in_window: int
    window_ns: int
    #: Mean time for which a connection that left a TIME-WAIT holds its port: from its SYN until the timer ends. Earlier
    #: ends by an RST or a reuse are exceptions, and not considered.
    mean_held_ns: int

    @property
    def runs_out_at_per_s(self) -> float:
        """The steady rate of such connections, per second, at which no port is left."""
        return self.ports.count * SECOND_NS / self.mean_held_ns

    @property
    def peak_open(self) -> int:
        """Count of the ports taken at the peak by open connections."""
        return self.peak - self.peak_time_waits

    @property
    def share(self) -> float:
        """Share of the range taken at the peak, 0 to 1; more than 1 means that the range differs."""
        return self.peak / self.ports.count

    @property
    def seen_per_s(self) -> float:
        """The highest rate of connections, per second, over the span."""
        return self.opened_in_window * SECOND_NS / self.window_ns


class PortTally:
    """Ports that connecting ends took, by host and remote socket."""

    def __init__(self, connections: Connections, rows: Rows, ports: PortRange, captured_ns: tuple[int, int]) -> None:
        self._ports, self._names = ports, connections.names
        length_ns = connections.profile.length_ns
        begin, end = captured_ns
        self._window_ns = min(length_ns, end - begin) or length_ns
        rows, side = np.tile(rows, 2), np.repeat([ORIGINATOR, RESPONDER], len(rows))
        connects, _ = opening_ends(connections, rows, side)
        rows, side = rows[connects], side[connects]
        entered, until, over = _waited(connections, rows, side)
        local = Sockets.of(connections, rows, side)
        self._local, self._remote = local, Sockets.of(connections, rows, 1 - side)
        group, self._example = number_groups([*local.host, *self._remote.host[:2], self._remote.port])
        count = len(self._example)
        ours = (local.port >= ports.first) & (local.port <= ports.last)
        waits = ours & (until != NONE)
        opened = connections.verdicts.table["first_ns"][rows]
        free = np.where(waits, until, _freed(connections, rows, side, end))
        self._taken = at_once(group[ours], opened[ours], free[ours], count)
        window = at_once(group[waits], opened[waits], opened[waits] + self._window_ns, count)
        self._opened_in_window = window.peak
        peak_ns = self._taken.peak_ns[group]
        at_peak = waits & (entered <= peak_ns) & (peak_ns < until)
        self._total, self._time_waits, self._outside, self._peak_time_waits = (
            np.bincount(group[mask], minlength=count) for mask in (ours, waits, ~ours, at_peak)
        )
        held_ns = np.maximum(over - opened, 0)[waits]  # 0: the clock was set back
        held_ns = np.bincount(group[waits], held_ns, count)  # float64: the sum may be beyond 64 bits
        self._mean_held_ns = held_ns / np.maximum(self._time_waits, 1)
        order = np.lexsort((self._taken.peak_ns, -self._time_waits, -self._taken.peak))
        #: Groups with TIME-WAITs, the highest peak first.
        self.by_peak = order[self._time_waits[order] > 0]

    def use(self, group: int) -> PortUse:
        """Return the object of one host and remote socket."""
        example = int(self._example[group])
        return PortUse(
            ip=self._local.ip(example),
            tunnel=self._names.tunnel[int(self._local.tunnel[example])],
            remote=self._remote.endpoint(example),
            ports=self._ports,
            connections=int(self._total[group]),
            time_waits=int(self._time_waits[group]),
            outside=int(self._outside[group]),
            peak=int(self._taken.peak[group]),
            peak_ns=int(self._taken.peak_ns[group]),
            peak_time_waits=int(self._peak_time_waits[group]),
            opened_in_window=int(self._opened_in_window[group]),
            window_ns=self._window_ns,
            mean_held_ns=max(round(float(self._mean_held_ns[group])), 1),
        )


def _waited(connections: Connections, rows: Rows, side: Rows) -> tuple[Rows, Rows, Rows]:
    """Return the begin and end of the TIME-WAIT of each end, and when its timer ends; NONE without one."""
    waits = connections.time_waits
    key = 2 * waits.table["connection"] + waits.table["side"]
    wanted = 2 * rows + side
    place = np.searchsorted(key, wanted)
    has = np.isin(wanted, key)
    entered, until, over = np.full((3, len(rows)), NONE, np.int64)
    place = place[has]
    entered[has], until[has] = waits.table["entered_ns"][place], waits.until_ns[place]
    over[has] = waits.earliest_end_ns[place]
    return entered, until, over


def _freed(connections: Connections, rows: Rows, side: Rows, captured_until_ns: int) -> Rows:
    """Return when the port of an end without TIME-WAIT was free again: at the last segment, if it was closed."""
    table = connections.verdicts.table
    is_open = np.array(
        [[one.walk.final[end] in OPEN for end in (ORIGINATOR, RESPONDER)] for one in connections.verdicts.judgements],
        np.bool_,
    ).reshape(-1, 2)[table["judgement"][rows], side]
    following = connections.time_waits.next_users[rows]
    open_until = np.where(following == NONE, captured_until_ns, connections.time_waits.users["first_ns"][following])
    freed: Rows = np.where(is_open, np.maximum(open_until, table["last_ns"][rows]), table["last_ns"][rows])
    return freed
