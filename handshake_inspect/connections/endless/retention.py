"""Who may leave a capture that does not end: connections that are over, once their sockets have been quiet for long.

In: the answers about the conversations that are worth a look. Out: how many of the connections of each leave, from its
first one on, and what is counted of them. RFC 9293 §3.6.1 (TIME-WAIT), §3.8.1 (retransmission); RFC 5382 REQ-5.

**When.** A connection that ended (closed on both sides, reset, refused, unreachable) stays for its TIME-WAIT after its
last segment: within it, a late segment still finds it. One that was never answered stays until its sender has given up:
Linux waits 64 s after the last SYN (31 s, 63 s, 127 s; since 6.5 35 s, 67 s, 131 s) and 32 s after the last SYN-ACK. A
FIN that nobody acknowledges, and what comes from one end only and proves no other, stay for twice the longest wait
between two retransmissions (TCP_RTO_MAX, 120 s). An open connection stays as long as a NAT must keep it: 2 hours and 4
minutes without a segment (RFC 5382 REQ-5).

**Which.** Nobody leaves while no more than `keep` connections are held; then those leave first that have been quiet
for longest. Where `most` is set and more are held nobody stays by right: a table that is full drops what has been quiet
for longest, as that of a NAT does, whatever may still come of it. Of sockets that were used several times, the first
connections may leave before the last: they are over, and what comes belongs to the last one. They do only where
`split` cuts the rest as it would have cut the whole, and where the next one shows what became of a TIME-WAIT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.copies.packets import KINDS
from handshake_inspect.connections.deciding.answers import NONE, Verdicts
from handshake_inspect.connections.deciding.time_waits import NOT_TAKEN, find_next_users
from handshake_inspect.connections.endless.run_clock import RunClock
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN
from handshake_inspect.connections.splitting.split import Split, StoredRows, first_of, last_of
from handshake_inspect.plain import plain
from handshake_inspect.sets import consecutive, first_of_runs, without
from handshake_inspect.table import Table, grown
from handshake_inspect.tcp.time_wait import SECOND_NS

UNANSWERED_NS = 64 * SECOND_NS
STUCK_NS = 240 * SECOND_NS
OPEN_NS = (2 * 60 + 4) * 60 * SECOND_NS
FOR_EVER_NS = 1 << 62
#: Between what leaves and the last of what stays of its sockets, so that all copies of the former are there: whether a
#: mirror shows most twice cannot be told while those of the latest segments are still to come.
SETTLED_NS = SECOND_NS

#: Sockets are looked at before they are quiet if they have brought so many rows more than there were at the last look.
GROWN_ROWS = 32
#: Of sockets with more rows the first connections leave wherever one begins: forged segments could hold them for ever.
MOST_ROWS = 1 << 16


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


class Attendance:
    """When each conversation was heard last, and when it is worth a look. One entry for each number."""

    def __init__(self, clock: RunClock) -> None:
        self._clock = clock
        #: Connections held, as far as is known.
        self.held = 0
        self._heard_ns = np.zeros(0, np.int64)
        #: Not to be looked at before, if nothing new comes.
        self._look_ns = np.zeros(0, np.int64)
        #: Rows since the last look, and at the last look.
        self._fresh = np.zeros(0, np.int64)
        self._known = np.zeros(0, np.int64)
        #: Connections, as far as is known; 0 of a number that is free.
        self._connections = np.zeros(0, np.int64)

    @property
    def now_ns(self) -> int:
        """Time of the run."""
        return self._clock.now_ns

    def hear(self, numbers: Rows, rows: Rows) -> None:
        """Note that these conversations, each named once, brought so many rows."""
        if not len(numbers):
            return
        count = int(numbers.max()) + 1
        if count > len(self._heard_ns):
            self._heard_ns, self._look_ns = grown(self._heard_ns, count), grown(self._look_ns, count)
            self._fresh, self._known = grown(self._fresh, count), grown(self._known, count)
            self._connections = grown(self._connections, count)
        new = numbers[self._connections[numbers] == 0]
        self._connections[new] = 1
        self.held += len(new)
        self._heard_ns[numbers] = self.now_ns
        self._look_ns[numbers] = 0
        self._fresh[numbers] += rows

    def due(self, quiet_ns: int | None, most: int, rows: int) -> tuple[Rows, bool]:
        """Return the conversations that are worth a look: the quietest, `most` of them, and those that grew much.

        None: however long they have been quiet. They have about so many rows. Says also whether others are left for
        another time.
        """
        there = self._connections > 0
        looked_for = there
        if quiet_ns is not None:
            looked_for = there & (self.now_ns - self._heard_ns >= quiet_ns) & (self._look_ns <= self.now_ns)
        quiet = np.flatnonzero(looked_for)
        if len(quiet) > most:
            quiet = quiet[np.argpartition(self._heard_ns[quiet], max(most, 1) - 1)[: max(most, 0)]]
        grew = np.flatnonzero(there & (self._fresh > self._known + GROWN_ROWS))
        due = np.concatenate([quiet, without(grew, quiet)])
        first = np.searchsorted(np.cumsum(self._known[due] + self._fresh[due]), rows) + 1
        return np.sort(due[:first]), bool(first < len(due))

    def heard(self, looks: LookTable) -> Rows:
        """Return when the conversation of each connection was heard last. Shape (m,)."""
        return self._heard_ns[looks["conversation"]]

    def looked(self, looks: LookTable) -> None:
        """Note what a look found: no need for another before the last connection of each has been quiet for so long."""
        numbers, first, connections = np.unique(looks["conversation"], return_index=True, return_counts=True)
        if not len(numbers):
            return
        self.held += int((connections - self._connections[numbers]).sum())
        self._connections[numbers] = connections
        self._fresh[numbers] = 0
        self._known[numbers] = np.add.reduceat(looks["rows"], first)
        self._look_ns[numbers] = self._heard_ns[numbers] + looks["quiet_ns"][first + connections - 1]

    def left(self, looks: LookTable) -> None:
        """Note that these connections left."""
        self.held -= len(looks)
        np.subtract.at(self._connections, looks["conversation"], 1)
        np.subtract.at(self._known, looks["conversation"], looks["rows"])

    def forget(self, numbers: Rows) -> None:
        """Let whole conversations go; those of which only ICMP errors are known counted as one connection."""
        self.held -= int(self._connections[numbers].sum())
        for column in (self._connections, self._fresh, self._known):
            column[numbers] = 0


class LookTable(Table):
    """Connections that were looked at, by conversation and in order of time, whole conversations."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "conversation": np.int64,
        "last_ns": np.int64,
        "rows": np.int64,
        "quiet_ns": np.int64,  # must have been quiet for
        "is_cut": np.uint8,  # 1: what came before it may leave by itself
    }

    def hold(self, conversations: Rows) -> None:
        """Let nobody of these conversations leave, however long they are quiet."""
        held = np.isin(self["conversation"], conversations)
        self.columns["quiet_ns"] = np.where(held, FOR_EVER_NS, self["quiet_ns"])
        self.columns["is_cut"] = self["is_cut"] & ~held


def looks_of(verdicts: Verdicts, part: Split, stored: StoredRows, leaving: Retention) -> LookTable:
    """Say of each connection of a partition what decides whether it leaves."""
    table = verdicts.table
    return LookTable(
        {
            "conversation": table["conversation"],
            "last_ns": table["last_ns"],
            "rows": np.diff(part.rows.start),
            "quiet_ns": leaving.quiet_of(verdicts),
            "is_cut": _cuts(part, stored, _are_taken(verdicts)),
        }
    )


def _are_taken(verdicts: Verdicts) -> Mask:
    """Say of each connection whether it is known by it how the TIME-WAIT ended, if there is one before it. Shape (m,).

    That is not known before somebody answers: who refuses has forgotten the TIME-WAIT.
    """
    waited = np.zeros(len(verdicts.table) + 1, np.bool_)
    waited[verdicts.waits["connection"] + 1] = True
    return ~waited[:-1] | verdicts.judged(lambda one: one.handshake_kind not in NOT_TAKEN)


def _cuts(part: Split, stored: StoredRows, are_taken: Mask) -> Mask:
    """Say of each connection whether `split` cuts it and those after it without those before as with them. Shape (m,).

    What `boundaries` asks of rows before the SYN at which it began: whether the other side had sent a SYN; what either
    side acknowledged last; whether it was captured at all.
    """
    conversation, flags, higher = stored["conversation"], stored["flags"], stored["from_higher"]
    start = part.rows.start[:-1]
    group = np.cumsum(np.append(False, conversation[1:] != conversation[:-1]))
    count = int(group[-1]) + 1 if len(group) else 0
    rows = np.bincount(group, minlength=count)
    own, end = group[start], np.cumsum(rows)[group[start]]
    bare = (flags & (SYN | ACK | RST)) == SYN
    acks = (flags & (ACK | RST)) == ACK
    next_bare = _following(bare, start + 1)
    cuts = bare[start] & ~part.rows.self_connect & are_taken
    for side in (0, 1):
        of_side = higher == side
        first, last = (of(group, of_side, count)[own] for of in (first_of, last_of))
        cuts &= (first < 0) | (first >= start) | (last >= start)
        first = first_of(group, of_side & acks, count)[own]
        acknowledges = _following(of_side & acks, start)
        cuts &= (first < 0) | (first >= start) | ((acknowledges < end) & (acknowledges < next_bare))
        first = first_of(group, of_side & bare, count)[own]
        cuts &= (higher[start] == side) | (first < 0) | (first >= start)
    cuts |= rows[own] > MOST_ROWS
    cuts[1:] &= own[1:] == own[:-1]
    cuts[:1] = False
    found: Mask = cuts
    return found


def _following(mask: Mask, at: Rows) -> Rows:
    """Return the first row from each of `at` on for which `mask` holds; one behind all if there is none."""
    rows = np.append(np.flatnonzero(mask), len(mask))
    return rows[np.searchsorted(rows, np.minimum(at, len(mask)))]


def who_leaves(looks: LookTable, heard_ns: Rows, now_ns: int, most: int) -> Mask:
    """Choose the connections that leave: the quietest, `most` of them or a few more. Shape (m,).

    `heard_ns`: when the conversation of each was heard last. Of a conversation the first ones leave, as many as may.
    """
    count = len(looks)
    if not count or most <= 0:
        return np.zeros(count, np.bool_)
    conversation, last_ns = looks["conversation"], looks["last_ns"]
    begin = first_of_runs(conversation)
    size = np.diff(np.append(begin, count))
    place = consecutive(0, size)
    over = now_ns - heard_ns >= looks["quiet_ns"]
    all_over = over[begin + size - 1]
    last_cut = np.maximum.reduceat(np.where(looks["is_cut"], place, 0), begin)
    # The clock may have been set back between.
    settled = np.abs(np.repeat(last_ns[begin + size - 1], size) - last_ns) >= SETTLED_NS
    may = np.repeat(all_over, size) | ((place < np.repeat(last_cut, size)) & settled)
    if int(may.sum()) > most:
        may &= last_ns <= np.partition(last_ns[may], most - 1)[most - 1]
    # The first one that stays holds those behind it.
    stays = np.minimum.reduceat(np.where(may, count, place), begin)
    whole = all_over & (stays == count)
    stays = np.repeat(np.minimum(stays, size), size)
    cut = np.maximum.reduceat(np.where((looks["is_cut"] != 0) & (place <= stays), place, 0), begin)
    leaves: Mask = place < np.repeat(np.where(whole, size, cut), size)
    return leaves


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
