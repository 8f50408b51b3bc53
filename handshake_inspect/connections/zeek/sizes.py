"""What Zeek counts of a connection: octets by sequence numbers, and the time after which nothing counts any more.

In: `ConnectionRows` and `Numbers`. Out: columns of the `VerdictTable`. Rules followed: Zeek 7, TCP_Endpoint::Size and
TCPSessionAdapter (`did_close`). Octets that gaps left out count, repeats do not.

**Where we differ from Zeek, knowingly.** What the peer acknowledges counts also for an end of which nothing was
captured; Zeek has 0 for it. The number of an RST counts only where `books` knows by it how much was sent. A FIN or RST
above a hole ends the connection at once; Zeek waits for the hole to be filled.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.events.numbers import Numbers
from handshake_inspect.connections.splitting.rows import FIN, RST, ConnectionRows
from handshake_inspect.connections.splitting.split import first_of


def reach_octets(rows: ConnectionRows, numbers: Numbers) -> Rows:
    """Return how many octets each end sent, as far as numbers show: its own, and the acknowledgments. Shape (2m,)."""
    acknowledged_by_peer = numbers.finally_acknowledged.reshape(-1, 2)[:, ::-1].reshape(-1)
    reached = np.maximum(rows.highest, acknowledged_by_peer)
    octets: Rows = np.maximum(reached - 1 - (numbers.fin_row >= 0), 0)
    return octets


def both_ended_ns(rows: ConnectionRows, none: int) -> Rows:
    """Return when both ends had sent a FIN or an RST; `none` where that was not captured. Shape (m,)."""
    ended = first_of(rows.end, (rows.flags & (FIN | RST)) != 0, 2 * rows.connections)
    both = (ended[0::2] >= 0) & (ended[1::2] >= 0)
    return np.where(both, rows.time_ns[np.maximum(ended[0::2], ended[1::2])], none)
