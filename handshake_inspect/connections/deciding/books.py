"""The books of connections: results from the numbers of each end that need no time and no address.

In: `ConnectionRows` and their `Events`. Out: columns of the `VerdictTable`: volumes, octets sent and missing,
retransmissions, the last numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN, UNKNOWN, ConnectionRows, running_maximum_of
from handshake_inspect.connections.splitting.split import any_of
from handshake_inspect.connections.zeek.sizes import reach_octets

Columns = dict[str, NDArray[np.generic]]


def close_books(rows: ConnectionRows, events: Events) -> Columns:
    """Return the columns of all connections."""
    return {
        **_volumes(rows),
        "duplicates": _added_up(rows.conn, rows.duplicates, rows.connections),
        **_sent(rows, events),
        **_retransmissions(rows, events),
        **_last_numbers(rows, events),
        "one_sided": _one_sided(rows, events),
    }


def of_ends(values: NDArray[np.generic], name: str) -> Columns:
    """Spread a column of shape (2m,) over both ends."""
    return {f"{name}_o": values[0::2], f"{name}_r": values[1::2]}


def _volumes(rows: ConnectionRows) -> Columns:
    ends = 2 * rows.connections
    segments = np.bincount(rows.end, minlength=ends) + _added_up(rows.end, rows.folded_segments, ends)
    octets = _added_up(rows.end, rows.payload + rows.folded_octets, ends)
    return {**of_ends(segments, "segments"), **of_ends(octets, "octets")}


def _added_up(group: Rows, amount: Rows, groups: int) -> Rows:
    """Add up an amount over each group; most rows have none. Shape (groups,)."""
    at = np.flatnonzero(amount)
    if not len(at):
        return np.zeros(groups, np.int64)
    return np.bincount(group.take(at), amount.take(at), groups).astype(np.int64)


def _one_sided(rows: ConnectionRows, events: Events) -> NDArray[np.bool_]:
    """Mark the connections with an end that was not captured, but whose octets the other end acknowledges."""
    silent = ~(rows.has_spoken[0::2] & rows.has_spoken[1::2]) & ~rows.self_connect
    found = np.zeros(rows.connections, np.bool_)
    at = np.flatnonzero(silent.take(rows.conn) & events.numbers.ack_counts)
    if not len(at):
        return found
    conn, ack = rows.conn[at], rows.ack[at]
    lowest = np.full(rows.connections, NEVER, np.int64)
    highest = np.full(rows.connections, UNKNOWN, np.int64)
    np.minimum.at(lowest, conn, ack)
    np.maximum.at(highest, conn, ack)
    # If a SYN was captured, any acknowledgment proves an answer. Without one only a second, higher one does.
    opened = any_of(rows.conn, (rows.flags & (SYN | RST)) == SYN, rows.connections)
    found[conn] = (opened | (highest > lowest))[conn]
    return found


def _sent(rows: ConnectionRows, events: Events) -> Columns:
    """Count the octets that each direction sent by its sequence numbers, and those captured of them."""
    numbers, ends = events.numbers, 2 * rows.connections
    known = rows.iss_known.reshape(-1)
    fin_known = (numbers.fin_row >= 0) | (numbers.inferred_fin_row >= 0)
    # A sender's own RST shows its SND.NXT, if it took effect and did not refuse a segment (RFC 9293 §3.5.2: SEQ =
    # SND.NXT; for a refusal it is SEG.ACK).
    resets = events.resets
    own = resets.row[(resets.moment != NEVER) & resets.ends_sender]
    own = own[rows.seq[own] >= rows.highest[rows.end[own]]]
    sent, limit, missing = (np.full(ends, nothing, np.int64) for nothing in (NONE, NEVER, NONE))
    np.maximum.at(sent, rows.end[own], rows.seq[own] - 1)
    closed = np.flatnonzero(fin_known)
    sent[closed] = numbers.fin_end[closed] - 2
    sent[np.flatnonzero(~known | (sent < 0))] = NONE
    at = np.flatnonzero(sent >= 0)
    limit[at] = sent[at] + 1
    missing[at] = np.maximum(sent[at] - _covered(rows, limit)[at], 0)
    return {**of_ends(sent, "sent_octets"), **of_ends(missing, "missing_octets")}


def _covered(rows: ConnectionRows, limit: Rows) -> Rows:
    """Count the octets of each end below `limit` in at least one captured segment. Shape (2m,)."""
    ends = 2 * rows.connections
    octets = rows.payload + rows.folded_octets
    data = np.flatnonzero((octets > 0) & ((rows.flags & RST) == 0))
    if not len(data):
        return np.zeros(ends, np.int64)
    end = rows.end[data]
    begin = rows.seq[data] + ((rows.flags[data] & SYN) != 0) - rows.folded_octets[data]
    begin, stop = np.maximum(begin, 1), np.minimum(begin + octets[data], limit[end])
    order = np.argsort(end, kind="stable")
    end, begin, stop = end[order], begin[order], stop[order]
    reached = _reached_before(end, stop)
    if (begin > np.maximum(reached, 1)).any():  # after a gap, which a later segment may fill
        order = np.lexsort((begin, end))
        end, begin, stop = end[order], begin[order], stop[order]
        reached = _reached_before(end, stop)
    fresh = np.maximum(stop - np.maximum(begin, reached), 0)
    return np.bincount(end, fresh, ends).astype(np.int64)


def _reached_before(end: Rows, stop: Rows) -> Rows:
    """Return the highest `stop` of the rows of the same end before each row; rows are sorted by end."""
    reached = running_maximum_of(end, stop, np.ones(len(end), np.bool_))
    before = np.full(len(end), UNKNOWN, np.int64)
    same = end[1:] == end[:-1]
    before[1:][same] = reached[:-1][same]
    return before


def _retransmissions(rows: ConnectionRows, events: Events) -> Columns:
    numbers, with_ack = events.numbers, (rows.flags & ACK) != 0

    def repeats(mask: NDArray[np.bool_], first: Rows) -> Rows:
        at = np.flatnonzero(mask)
        again = at[at != first.take(rows.end.take(at))]
        return np.bincount(rows.conn.take(again), minlength=rows.connections)

    return {
        "syn_retransmissions": repeats(numbers.is_syn & ~with_ack, numbers.bare_syn_row),
        "syn_ack_retransmissions": repeats(numbers.is_syn & with_ack, numbers.syn_ack_row),
        "fin_retransmissions": repeats(numbers.is_fin, numbers.fin_row),
    }


def _last_numbers(rows: ConnectionRows, events: Events) -> Columns:
    # A FIN that was not captured also has a number, if it was acknowledged.
    inferred, last = np.flatnonzero(events.numbers.inferred_fin_row >= 0), rows.highest.copy()
    last[inferred] = np.maximum(last[inferred], events.numbers.fin_end[inferred])
    return {**of_ends(last, "last_seq"), **of_ends(reach_octets(rows, events.numbers), "reach_octets")}
