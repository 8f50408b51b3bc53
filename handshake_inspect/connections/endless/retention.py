"""Which connections of an endless capture may be released: those that are over, after a long quiet time.

In: the answers about connections. Out: until when each is held, and the counts of those released; `looks` chooses
these. RFC 9293 §3.6.1 (TIME-WAIT), §3.8.1 (retransmission); RFC 5382 REQ-5.

A connection that ended (closed on both sides, reset, refused, unreachable) stays for its TIME-WAIT after its
last segment: until then, a late segment still finds it. One that was never answered stays until its sender has given
up: Linux waits 64 s after the last SYN (31 s, 63 s, 127 s; since 6.5 35 s, 67 s, 131 s) and 32 s after the last
SYN-ACK. Connections with an unacknowledged FIN, and those from one end only without proof of another, stay for twice
the longest wait between two retransmissions (TCP_RTO_MAX, 120 s). An open connection stays as long as a NAT must keep
it: 2 hours and 4 minutes without a segment (RFC 5382 REQ-5).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.copies.packets import KINDS
from handshake_inspect.connections.deciding.answers import NONE, Verdicts
from handshake_inspect.connections.deciding.time_waits import find_next_users
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.plain import mutable, plain
from handshake_inspect.tcp.time_wait import SECOND_NS

UNANSWERED_NS = 64 * SECOND_NS
STUCK_NS = 240 * SECOND_NS
OPEN_NS = (2 * 60 + 4) * 60 * SECOND_NS
FOR_EVER_NS = 1 << 62


@plain
class Retention:
    """The rule by which connections are released."""

    #: Length of TIME-WAIT, and of the time for which connections that ended otherwise stay.
    time_wait_ns: int = 60 * SECOND_NS
    #: Count of the latest connections that stay, and of the latest UDP exchanges.
    keep: int = 10_000
    #: Most connections held; None: all that have not been quiet for long enough.
    most: int | None = None
    #: Least new rows between rounds; and the divisor of the rows kept, which may ask for more.
    round_rows: int = 20_000
    round_share: int = 8
    #: Rows that a round looks at, so that the capture need not wait long; and those kept, divided by twice that share.
    look_rows: int = 1 << 17

    @property
    def least_quiet_ns(self) -> int:
        """The shortest quiet time required of sockets, for any end of their last connection."""
        return min(self.time_wait_ns, UNANSWERED_NS)

    def quiet_ns(self, judgement: Judgement) -> int:
        """Return how long the sockets of a connection must be quiet before it is released."""
        if judgement.teardown_complete or judgement.handshake_kind in ("refused", "unreachable", "abandoned"):
            return self.time_wait_ns
        if judgement.handshake_kind in ("unanswered", "half-open"):
            return UNANSWERED_NS
        if judgement.teardown_kind == "incomplete":
            return STUCK_NS
        return OPEN_NS

    def until_ns(self, verdicts: Verdicts) -> Rows:
        """Return when holding each ends: at release if no segment follows, or the next use of its sockets. Shape (m,).

        A somewhat later release does not change its answers.
        """
        until: Rows = verdicts.table["last_ns"] + self.quiet_of(verdicts)
        following = find_next_users(verdicts)
        again = following != NONE
        until[again] = np.minimum(until[again], verdicts.users["first_ns"][following[again]])
        return until

    def quiet_of(self, verdicts: Verdicts) -> Rows:
        """Return how long the sockets of each connection must be quiet. Shape (m,)."""
        table = verdicts.table
        quiet_ns = np.array([self.quiet_ns(one) for one in verdicts.judgements], np.int64)[table["judgement"]]
        alone = ((table["segments_o"] == 0) | (table["segments_r"] == 0)) & (table["one_sided"] == 0)
        return np.where(alone, np.minimum(quiet_ns, STUCK_NS), quiet_ns)


@mutable
class LetGo:
    """Counts of what was released."""

    #: Was each connection passed to a callback on release?
    told: bool = False

    connections: int = 0
    #: Connections by `handshake.kind` and `teardown.kind`.
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    segments: int = 0
    octets: int = 0
    #: Connections of which only one end was captured.
    one_sided: int = 0
    #: Collapsed copies, by kind.
    copies: Counter[str] = field(default_factory=Counter)
    #: ICMP errors about them; and those that quote a segment of no connection.
    icmp_errors: int = 0
    unmatched_errors: int = 0
    #: UDP exchanges.
    exchanges: int = 0
    datagrams: int = 0


def count_leaving(let_go: LetGo, verdicts: Verdicts, stored: StoredRows, leaves: Mask) -> None:
    """Count the released connections of a partition; `stored` are its rows."""
    table = verdicts.table
    shapes = np.bincount(table["judgement"][leaves], minlength=len(verdicts.judgements))
    for number in np.flatnonzero(shapes).tolist():
        judgement, many = verdicts.judgements[number], int(shapes[number])
        let_go.kinds[judgement.handshake_kind, judgement.teardown_kind] += many
    let_go.connections += int(leaves.sum())
    for end in "or":
        let_go.segments += int(table[f"segments_{end}"][leaves].sum())
        let_go.octets += int(table[f"octets_{end}"][leaves].sum())
    let_go.one_sided += int(table["one_sided"][leaves].sum())
    let_go.copies.update({kind: int(stored[f"copies_{kind}"].sum()) for kind in KINDS})
