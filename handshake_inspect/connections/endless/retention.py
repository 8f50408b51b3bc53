"""Who may leave a capture that does not end: connections that are over, once their sockets have been quiet for long.

In: the answers about connections. Out: until when each is held, and what is counted of those that leave; `looks` says
which ones do. RFC 9293 §3.6.1 (TIME-WAIT), §3.8.1 (retransmission); RFC 5382 REQ-5.

A connection that ended (closed on both sides, reset, refused, unreachable) stays for its TIME-WAIT after its
last segment: within it, a late segment still finds it. One that was never answered stays until its sender has given up:
Linux waits 64 s after the last SYN (31 s, 63 s, 127 s; since 6.5 35 s, 67 s, 131 s) and 32 s after the last SYN-ACK. A
FIN that nobody acknowledges, and what comes from one end only and proves no other, stay for twice the longest wait
between two retransmissions (TCP_RTO_MAX, 120 s). An open connection stays as long as a NAT must keep it: 2 hours and 4
minutes without a segment (RFC 5382 REQ-5).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.copies.packets import KINDS
from handshake_inspect.connections.deciding.answers import NONE, Verdicts
from handshake_inspect.connections.deciding.time_waits import find_next_users
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.plain import plain
from handshake_inspect.tcp.time_wait import SECOND_NS

UNANSWERED_NS = 64 * SECOND_NS
STUCK_NS = 240 * SECOND_NS
OPEN_NS = (2 * 60 + 4) * 60 * SECOND_NS
FOR_EVER_NS = 1 << 62


@plain
class Retention:
    """When connections leave."""

    #: TIME-WAIT, and the time for which what ended otherwise stays.
    time_wait_ns: int = 60 * SECOND_NS
    #: How many of the latest connections stay, and how many of the latest UDP exchanges.
    keep: int = 10_000
    #: How many connections are held at all; None: as many as have not been quiet for long enough.
    most: int | None = None
    #: Rows that must have come since the last round, at the least; and those kept, divided by this.
    round_rows: int = 20_000
    round_share: int = 8
    #: Rows that a round looks at, so that the capture need not wait long; and those kept, divided by twice that share.
    look_rows: int = 1 << 17

    @property
    def least_quiet_ns(self) -> int:
        """For how long sockets must be quiet, whatever became of their last connection."""
        return min(self.time_wait_ns, UNANSWERED_NS)

    def quiet_ns(self, judgement: Judgement) -> int:
        """Say for how long the sockets of a connection must be quiet before it leaves."""
        if judgement.teardown_complete or judgement.handshake_kind in ("refused", "unreachable", "abandoned"):
            return self.time_wait_ns
        if judgement.handshake_kind in ("unanswered", "half-open"):
            return UNANSWERED_NS
        if judgement.teardown_kind == "incomplete":
            return STUCK_NS
        return OPEN_NS

    def until_ns(self, verdicts: Verdicts) -> Rows:
        """Say until when each is waited for: until it leaves if nothing more comes, or the next uses its sockets. (m,).

        That it may leave somewhat later changes nothing of what is told of it.
        """
        until: Rows = verdicts.table["last_ns"] + self.quiet_of(verdicts)
        following = find_next_users(verdicts)
        again = following != NONE
        until[again] = np.minimum(until[again], verdicts.users["first_ns"][following[again]])
        return until

    def quiet_of(self, verdicts: Verdicts) -> Rows:
        """Say for how long the sockets of each connection must be quiet. Shape (m,)."""
        table = verdicts.table
        quiet_ns = np.array([self.quiet_ns(one) for one in verdicts.judgements], np.int64)[table["judgement"]]
        alone = ((table["segments_o"] == 0) | (table["segments_r"] == 0)) & (table["one_sided"] == 0)
        return np.where(alone, np.minimum(quiet_ns, STUCK_NS), quiet_ns)


@dataclass
class LetGo:
    """What was let go, counted."""

    #: Was somebody told of each connection when it left?
    told: bool = False

    connections: int = 0
    #: By `handshake.kind` and `teardown.kind`.
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    segments: int = 0
    octets: int = 0
    #: Connections of which only one end was captured.
    one_sided: int = 0
    #: Copies that were collapsed, by kind.
    copies: Counter[str] = field(default_factory=Counter)
    #: ICMP errors about them; and those that quote a segment of no connection.
    icmp_errors: int = 0
    unmatched_errors: int = 0
    #: UDP.
    exchanges: int = 0
    datagrams: int = 0


def count_leaving(let_go: LetGo, verdicts: Verdicts, stored: StoredRows, leaves: Mask) -> None:
    """Count the connections of a partition that leave; `stored` are their rows."""
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
