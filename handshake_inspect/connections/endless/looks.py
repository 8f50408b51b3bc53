"""Which of the checked connections are released: those quiet for longest, in a conversation from the first one on.

In: the answers about the conversations due for a check. Out: a mask of the connections to release.

None is released while no more than `keep` connections are held; then those quiet for longest go first. Where `most` is
set and more are held, no connection is protected: a full table drops those quiet for longest, like that of a NAT,
whatever may still follow. Of sockets used several times, the first connections may be released before the last: they
are over, and new segments belong to the last one. This is done only where `split` divides the rest as it would divide
the whole, and where the next connection shows how a TIME-WAIT ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import Verdicts
from handshake_inspect.connections.deciding.time_waits import NOT_TAKEN
from handshake_inspect.connections.endless.retention import FOR_EVER_NS, Retention
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN
from handshake_inspect.connections.splitting.split import Split, StoredRows, first_of, last_of
from handshake_inspect.sets import consecutive, first_of_runs
from handshake_inspect.table import Table
from handshake_inspect.tcp.time_wait import SECOND_NS

#: Least time between released segments and the last one held of the same sockets, so that all copies of the former have
#: arrived: a mirror is recognised only when the copies of the latest segments are there.
SETTLED_NS = SECOND_NS
#: With more rows, first connections are released at any boundary: forged segments could hold them for ever.
MOST_ROWS = 1 << 16


class LookTable(Table):
    """Checked connections of whole conversations, by conversation and in order of time."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "conversation": np.int64,
        "last_ns": np.int64,
        "rows": np.int64,
        "quiet_ns": np.int64,  # quiet time required before it is released
        "is_cut": np.uint8,  # 1: the connections before it may be released separately
    }

    def hold(self, conversations: Rows) -> None:
        """Exclude these conversations from release, however long they are quiet."""
        held = np.isin(self["conversation"], conversations)
        self.columns["quiet_ns"] = np.where(held, FOR_EVER_NS, self["quiet_ns"])
        self.columns["is_cut"] = self["is_cut"] & ~held


def looks_of(verdicts: Verdicts, part: Split, stored: StoredRows, leaving: Retention) -> LookTable:
    """Return for each connection of a partition the values that decide whether it is released."""
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
    """Mark the connections that show how a TIME-WAIT before them ended. Shape (m,).

    That is unknown until the SYN is answered: an end that refuses it has forgotten the TIME-WAIT.
    """
    waited = np.zeros(len(verdicts.table) + 1, np.bool_)
    waited[verdicts.waits["connection"] + 1] = True
    return ~waited[:-1] | verdicts.judged(lambda one: one.handshake_kind not in NOT_TAKEN)


def _cuts(part: Split, stored: StoredRows, are_taken: Mask) -> Mask:
    """Mark the connections from which on `split` gives the same result without the connections before. Shape (m,).

    `boundaries` depends on rows before the SYN at which a connection begins: whether the other side had sent a SYN;
    what either side acknowledged last; whether it was captured at all.
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
    """Return the first row from each of `at` on for which `mask` holds; the row count if there is none."""
    rows = np.append(np.flatnonzero(mask), len(mask))
    return rows[np.searchsorted(rows, np.minimum(at, len(mask)))]


def who_leaves(looks: LookTable, heard_ns: Rows, now_ns: int, most: int) -> Mask:
    """Mark the connections to release: the quietest, `most` of them or a few more. Shape (m,).

    `heard_ns`: when the conversation of each last had a segment. In a conversation the first ones are released.
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
    # The clock may have been set back in between.
    settled = np.abs(np.repeat(last_ns[begin + size - 1], size) - last_ns) >= SETTLED_NS
    may = np.repeat(all_over, size) | ((place < np.repeat(last_cut, size)) & settled)
    if int(may.sum()) > most:
        may &= last_ns <= np.partition(last_ns[may], most - 1)[most - 1]
    # The first connection that stays also keeps those after it.
    stays = np.minimum.reduceat(np.where(may, count, place), begin)
    whole = all_over & (stays == count)
    stays = np.repeat(np.minimum(stays, size), size)
    cut = np.maximum.reduceat(np.where((looks["is_cut"] != 0) & (place <= stays), place, 0), begin)
    leaves: Mask = place < np.repeat(np.where(whole, size, cut), size)
    return leaves
