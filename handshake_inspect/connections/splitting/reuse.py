"""Sockets reused in the ordinary way: where their connections begin, decided in columns.

In: the columns of rows sorted by conversation and capture order. Out: the rows that begin a connection, and the
conversations decided here. `boundaries` has the rules, one SYN after the other; here are the conditions under which its
result is always the same: one side opens, from the first row on; a SYN that does not repeat the one before it has
another number, and the next segment of the other side is no bare ACK; each SYN-ACK answers the SYN before it.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Column, Mask, Rows
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN
from handshake_inspect.sets import begins_run, without
from handshake_inspect.table import Table
from handshake_inspect.tcp.seqnum import MODULUS


def ordinary_reuse(stored: Table, undecided: Column) -> tuple[Rows, Column]:
    """Decide the ordinary ones of the `undecided` conversations. Returns the rows that begin connections, and these."""
    flags = stored["flags"]
    row = np.flatnonzero((flags & (SYN | RST)) == SYN)
    row = row[np.isin(stored["conversation"][row], undecided)]
    conversation, side, seq = stored["conversation"][row], stored["from_higher"][row], stored["seq"][row]
    answers = (flags[row] & ACK) != 0
    first = begins_run(conversation)
    # The last SYN without ACK before each; meaningless for the first one of a conversation.
    index = np.arange(len(row))
    before = np.append(0, np.maximum.accumulate(np.where(answers, 0, index))[:-1])[: len(row)]
    opens_first = first & ~answers & (np.searchsorted(stored["conversation"], conversation) == row)
    ordinary = np.where(first, opens_first, True)
    opener = side[np.maximum.accumulate(np.where(first, index, 0))]
    to_before = ((stored["ack"][row].astype(np.int64) - 1) % MODULUS == seq[before]) & ~first
    ordinary &= np.where(answers, (side != opener) & to_before, side == opener)
    closing = np.cumsum((flags & (FIN | RST)) != 0)[row]
    repeats = (seq == seq[before]) & (closing == closing[before])
    begins = ~answers & ~first & ~repeats
    ordinary &= ~begins | ((seq != seq[before]) & ~_followed_by_ack(stored, row, side))
    decided = without(conversation, conversation[~ordinary])
    return row[begins & np.isin(conversation, decided)], decided


def _followed_by_ack(stored: Table, row: Rows, side: Column) -> Mask:
    """Mark the rows after which the next segment of the other side is an ACK without SYN or RST."""
    found = np.zeros(len(row), np.bool_)
    for other in (0, 1):
        rows = np.flatnonzero(stored["from_higher"] == other)
        mine = side != other
        place = np.searchsorted(rows, row[mine])
        following = np.append(rows, 0)[place]
        inside = (place < len(rows)) & (stored["conversation"][following] == stored["conversation"][row[mine]])
        found[mine] = inside & ((stored["flags"][following] & (SYN | RST | ACK)) == ACK)
    return found
