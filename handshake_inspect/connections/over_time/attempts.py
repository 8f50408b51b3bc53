"""How long an unfinished attempt to connect counts: the only definition, for phases and findings.

In: `Connections`, and the time since which each attempt has waited for the other end. Out: until when they count.

No capture shows when an end gives up: the end of retransmissions is no segment. The listener of Linux keeps a half-open
connection for 63 s. A client in SYN-SENT waits longer before each retransmitted SYN (RFC 6298 §5.5), at most 64 s on
Linux: if nothing follows its last SYN for as long as the listener would keep it, it has given up, or never existed.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.model import Connections
from handshake_inspect.tcp.time_wait import SECOND_NS

#: How long Linux keeps a half-open connection: five SYN-ACKs after the first, at 1, 3, 7, 15 and 31 s, and 32 s more.
HELD_NS = 63 * SECOND_NS


def held_until_ns(connections: Connections, rows: Rows | slice, since_ns: Rows) -> Rows:
    """Return until when these attempts count, at most until the next connection of the same sockets.

    `since_ns`: time of the listener's first SYN-ACK; for an unanswered SYN time of its last transmission.
    """
    table, users = connections.verdicts.table, connections.time_waits.users
    until: Rows = since_ns + HELD_NS
    following = connections.time_waits.next_users[rows]
    again = np.flatnonzero(following != NONE)
    until[again] = np.minimum(until[again], users["first_ns"][following[again]])
    for seen_ns in (table["first_ns"], table["last_ns"]):  # a clock may have been set back
        np.maximum(until, seen_ns[rows], out=until)
    return until
