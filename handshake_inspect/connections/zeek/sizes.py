"""The amounts that Zeek counts for a connection: octets by sequence numbers, and the time after which nothing counts.

In: `ConnectionRows` and `Numbers`. Out: columns of the `VerdictTable`. Rules followed: Zeek 7, TCP_Endpoint::Size and
TCPSessionAdapter (`did_close`). Octets in gaps count, repeated ones do not.

**Intended differences from Zeek.** The peer's acknowledgments count also for an end of which nothing was captured; Zeek
has 0 for it. The number of an RST counts only where `books` uses it to determine how much was sent. A FIN or RST above
a hole ends the connection at once; Zeek waits until the hole is filled.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.events.numbers import Numbers
from handshake_inspect.connections.splitting.rows import FIN, RST, ConnectionRows
from handshake_inspect.connections.splitting.split import first_of


def reach_octets(rows: ConnectionRows, numbers: Numbers) -> Rows:
    """Return how many octets each end sent, by its own numbers and the peer's acknowledgments. Shape (2m,)."""
    acknowledged_by_peer = numbers.finally_acknowledged.reshape(-1, 2)[:, ::-1].reshape(-1)
    reached = np.maximum(rows.highest, acknowledged_by_peer)
    octets: Rows = np.maximum(reached - 1 - (numbers.fin_row >= 0), 0)
    return octets


def both_ended_ns(rows: ConnectionRows, none: int) -> Rows:
    """Return when both ends had sent a FIN or an RST; `none` if that was not captured. Shape (m,)."""
    ended = first_of(rows.end, (rows.flags & (FIN | RST)) != 0, 2 * rows.connections)
    both = (ended[0::2] >= 0) & (ended[1::2] >= 0)
    return np.where(both, rows.time_ns[np.maximum(ended[0::2], ended[1::2])], none)
