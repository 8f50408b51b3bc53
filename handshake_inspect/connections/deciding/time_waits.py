"""How every TIME-WAIT of a run ended, and until when it lasted, in columns: by the rules of one profile.

In: `Verdicts`. Out: `TimeWaits`, from which `model` makes objects and `ledger` counts. A TIME-WAIT ends by timer, by
an RST (RFC 1337), or because the next connection between the two sockets takes them. That is legal if the time is over
(RFC 9293 §3.6.1), or if the SYN cannot be mistaken for an old segment: its timestamp is newer than the last one, or its
number is above the last one. RFC 6191 §2 combines the two: where both connections have timestamps, an older one is
never accepted, and an equal one only with a higher number; where the old connection had none and the new one has, the
SYN is accepted. The accepting end must itself begin above all numbers that it used before (RFC 9293 §3.6.1, MAY-2).
"""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.connection import Outcome
from handshake_inspect.connections.deciding.answers import CUTS, NONE, RESTARTING, Verdicts, VerdictTable, WaitTable
from handshake_inspect.plain import mutable
from handshake_inspect.tcp.seqnum import MODULUS
from handshake_inspect.tcp.time_wait import Profile

OUTCOMES: tuple[Outcome, ...] = ("not-captured", "expired", "reused", "reused-early", "killed", "forgotten")
NOT_CAPTURED, EXPIRED, REUSED, REUSED_EARLY, KILLED, FORGOTTEN = range(len(OUTCOMES))
#: Rules that make a reuse legal -> bit in `NextConnections.rules`.
RULES = {"expired": 1, "timestamps": 2, "initial-number": 4}
#: Openings in which the receiver of the SYN did not take part.
NOT_TAKEN = ("refused", "unreachable", "unanswered")


@mutable
class NextConnections:
    """The next connection between the sockets of each TIME-WAIT. Shape (n,) each, NONE where unknown."""

    #: Row of `Verdicts.users`.
    row: Rows
    #: End of the old connection that opened it: 0 the originator, 1 the responder.
    by: Rows
    #: Bits of `RULES` that hold.
    rules: Rows
    initial_seq: Rows
    #: The last number that the same end used before.
    last_seq: Rows
    timestamp: Rows
    last_timestamp: Rows
    #: Initial sequence number of the other end, and the last one that it used before.
    answer_seq: Rows
    last_answer_seq: Rows

    def in_rows(self, rows: Rows, count: int) -> NextConnections:
        """Return the same for `count` TIME-WAITs, with values in `rows` and NONE in all others."""
        columns = {one.name: _in_rows(rows, count, getattr(self, one.name)) for one in fields(self)}
        return NextConnections(**columns | {"rules": _in_rows(rows, count, self.rules, 0)})


@mutable
class TimeWaits:
    """`n` TIME-WAITs. Shape (n,) each."""

    table: WaitTable
    profile: Profile
    #: Mask of the rows of the `RestartTable` that restart the time by the profile.
    restarts: Mask
    #: Earliest possible end.
    earliest_end_ns: Rows
    #: Index of `OUTCOMES`.
    outcome: Rows
    #: The segment that ended it, or shows that it was over; NONE if there is none.
    ended_ns: Rows
    ended_capture: Rows
    ended_frame: Rows
    next: NextConnections
    #: Row of `users` of the connection that used the same sockets next, NONE if there is none. Shape (m,).
    next_users: Rows
    #: `Verdicts.users`.
    users: VerdictTable

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def is_reused(self) -> Mask:
        """Mark those whose sockets are known to be taken by the next connection."""
        reused: Mask = np.isin(self.outcome, [EXPIRED, REUSED, REUSED_EARLY]) & (self.next.initial_seq != NONE)
        return reused

    @property
    def until_ns(self) -> Rows:
        """Until when each lasted: its end if one was captured, else the earliest possible one."""
        return np.where(self.ended_ns == NONE, self.earliest_end_ns, np.minimum(self.ended_ns, self.earliest_end_ns))


def find_time_waits(verdicts: Verdicts, profile: Profile) -> TimeWaits:
    """Return for every TIME-WAIT until when it lasted and how it ended."""
    waits, users = verdicts.waits, verdicts.users
    conn = waits["connection"]
    counts = _counting(verdicts, profile)
    end_ns = _last_started(verdicts, counts) + profile.length_ns
    next_users = find_next_users(verdicts)
    # For the others, usually nearly all, the capture shows no end.
    at = np.flatnonzero((next_users[conn] != NONE) | (waits["cut_short"] != CUTS.index(None)))
    outcome, shown, found = _ended(verdicts, users, waits.take(at), next_users[conn[at]], end_ns[at])
    outcome = _in_rows(at, len(conn), outcome, NOT_CAPTURED)
    ended_ns, ended_capture, ended_frame = (_in_rows(at, len(conn), column) for column in shown)
    following = found.in_rows(at, len(conn))
    return TimeWaits(
        waits, profile, counts, end_ns, outcome, ended_ns, ended_capture, ended_frame, following, next_users, users
    )


def _in_rows(rows: Rows, count: int, values: Rows, others: int = NONE) -> Rows:
    """Return a column of `count` rows, with `values` in `rows`, and `others` in all other rows."""
    column = np.full(count, others, np.int64)
    column[rows] = values
    return column


def _ended(
    verdicts: Verdicts, table: VerdictTable, waits: WaitTable, following: Rows, end_ns: Rows
) -> tuple[Rows, tuple[Rows, Rows, Rows], NextConnections]:
    """Say of TIME-WAITs how they ended; time, capture and frame of what shows it; and who used the sockets next.

    `table` are the users of these sockets, `following` rows of it.
    """
    conn = waits["connection"]
    known = (following != NONE) & (table["first_clock"][following] == table["last_clock"][conn])
    following = np.where(known, following, NONE)  # if the clock was set, the time in between is unknown
    after = known & (table["first_ns"][following] >= end_ns)
    found = _next(table, conn, following, after)
    opened, refused = _opening(verdicts, table["judgement"][following])
    by_owner = (found.by == waits["side"]) & (found.by != NONE)
    cut = waits["cut_short"] != CUTS.index(None)
    cut_in_time = cut & (waits["cut_ns"] < end_ns)
    how_cut = np.where(waits["cut_short"] == CUTS.index("killed"), KILLED, FORGOTTEN)
    free = ~cut & known & (found.initial_seq != NONE)
    outcome = np.select(
        [cut_in_time, cut | after, free & (by_owner | opened) & (found.rules != 0), free & (by_owner | opened),
         free & refused],
        [how_cut, EXPIRED, REUSED, REUSED_EARLY, FORGOTTEN],
        NOT_CAPTURED,
    )  # fmt: skip
    return outcome, _shown(table, waits, following, cut, outcome), found


def _shown(table: VerdictTable, waits: WaitTable, following: Rows, cut: Mask, outcome: Rows) -> tuple[Rows, Rows, Rows]:
    """Return time, capture and frame of the segment that ended each TIME-WAIT, or shows that it was over.

    TIME-WAIT answers no SYN with an RST (§3.10.7.1): that RST, the last segment, shows that it was forgotten.
    """

    def of(name: str) -> Rows:
        return np.select(
            [cut, outcome == NOT_CAPTURED, outcome == FORGOTTEN],
            [waits[f"cut_{name}"].astype(np.int64), NONE, table[f"last_{name}"][following].astype(np.int64)],
            table[f"first_{name}"][following].astype(np.int64),
        )

    return of("ns"), of("capture"), of("frame")


def _counting(verdicts: Verdicts, profile: Profile) -> Mask:
    """Which segments restart a TIME-WAIT? A repeated FIN does by RFC 9293 §3.10.7.4 (eighth); others by the profile."""
    counts: Mask = verdicts.restarts["segment"] == RESTARTING.index("FIN")
    return counts | profile.any_segment_restarts


def _last_started(verdicts: Verdicts, counts: Mask) -> Rows:
    """Return when each TIME-WAIT began, or was restarted for the last time."""
    waits, restarts = verdicts.waits, verdicts.restarts.take(counts)
    started: Rows = waits["entered_ns"].copy()
    key = 2 * waits["connection"] + waits["side"]
    # The last one in the order of the capture: if the clock was set back, the highest time would be wrong.
    started[np.searchsorted(key, 2 * restarts["connection"] + restarts["side"])] = restarts["time_ns"]
    return started


def find_next_users(verdicts: Verdicts) -> Rows:
    """Return the row of the connection that used the same sockets next, NONE without one. Shape (m,)."""
    conversation, others = verdicts.table["conversation"], verdicts.others_next["conversation"]
    following = np.full(len(conversation), NONE, np.int64)
    same = conversation[1:] == conversation[:-1]
    following[:-1][same] = np.flatnonzero(same) + 1
    last = np.flatnonzero(np.append(~same, True)[: len(conversation)] & np.isin(conversation, others))
    following[last] = len(conversation) + np.searchsorted(others, conversation[last])
    return following


def _opening(verdicts: Verdicts, judgement: Rows) -> tuple[Mask, Mask]:
    """Mark the next connections whose SYN its receiver accepted; and those whose SYN it refused."""
    kinds = [one.handshake_kind for one in verdicts.judgements]
    taken = np.array([kind not in NOT_TAKEN for kind in kinds], np.bool_)
    refused = np.array([kind == "refused" for kind in kinds], np.bool_)
    return taken[judgement], refused[judgement]


def _next(table: VerdictTable, conn: Rows, following: Rows, after: Mask) -> NextConnections:
    """Compare the SYN of each next connection with the last numbers of its sender (RFC 6191 §2)."""
    by_originator = table["originator_is_higher"][following] == table["originator_is_higher"][conn]

    def old(name: str, *, opener: bool = True) -> Rows:
        value: Rows = np.where(by_originator == opener, table[f"{name}_o"][conn], table[f"{name}_r"][conn])
        return value.astype(np.int64)

    def new(name: str) -> Rows:
        value: Rows = table[name][following]
        return value.astype(np.int64)

    def last_used(*, opener: bool) -> Rows:
        iss = old("iss", opener=opener)
        return np.where(known & (iss != NONE), (iss + old("last_seq", opener=opener) - 1) % MODULUS, NONE)

    known = (following != NONE) & (new("iss_o") != NONE)
    seq = np.where(known, new("iss_o"), NONE)
    last = last_used(opener=True)
    stamp = np.where(known, new("syn_timestamp_o"), NONE)
    # Timestamps are in use if the SYN-ACK has one too; if it was not captured, the SYN's counts.
    answered = new("options_r") != NONE
    stamp = np.where(answered & (new("syn_timestamp_r") == NONE), NONE, stamp)
    last_stamp = np.where(known, old("last_timestamp"), NONE)
    both = (stamp != NONE) & (last_stamp != NONE)
    newer, older = both & _is_above(stamp, last_stamp), both & _is_above(last_stamp, stamp)
    fresh = (stamp != NONE) & (last_stamp == NONE)
    higher = (last != NONE) & _is_above(seq, last) & ~older
    rules = after * RULES["expired"] | (newer | fresh) * RULES["timestamps"] | higher * RULES["initial-number"]
    by = np.where(following == NONE, NONE, np.where(by_originator, 0, 1))
    answer = np.where(known, new("iss_r"), NONE)
    return NextConnections(following, by, rules, seq, last, stamp, last_stamp, answer, last_used(opener=False))


def _is_above(number: Rows, other: Rows) -> Mask:
    """Mark where `number` > `other` modulo 2**32 (RFC 9293 §3.4)."""
    ahead: Mask = (number - other - 1) % MODULUS < MODULUS // 2 - 1
    return ahead
