"""ICMP errors -> the connections whose segments they quote.

In: errors with their conversations, and the connections of a partition (`Split`). Out: `QuoteTable`, one
row per error that belongs to one of them. RFC 9293 §3.9.2.2 (MUST-54): an error goes to the connection that caused it,
found by the quoted sockets. Where several connections used these one after the other, the quoted sequence number
decides: it is that of a SYN, or lies within what that end had sent. RFC 5927 §4.1 makes the same comparison to detect
forged errors: an error with a number that was never sent is assigned to the latest connection, and marked so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.quotes import CANNOT_TELL, NEVER_SENT, SENT, QuoteTable, QuotingTable
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, UNKNOWN
from handshake_inspect.connections.splitting.split import Split, first_among
from handshake_inspect.connections.splitting.unwrapping import SAFE_SPAN

#: An error about data is compared with this many connections of the same sockets, from the latest back.
STEPS_BACK = 8


def join(errors: QuotingTable, part: Split) -> QuoteTable:
    """Find the connection of each error, and the segment it quotes. Errors about other sockets are left out."""
    if not len(errors):
        return QuoteTable.empty()
    ends = _Ends(part)
    connection = _connections(errors, part, ends)
    errors, connection = errors.take(connection >= 0), connection[connection >= 0]
    end = ends.quoted(errors, connection)
    relative = ends.relative(errors, end)
    flags = errors["quoted_flags"]
    # A quote that ends before the sequence number is of a SYN if that end sent nothing else.
    is_syn = np.where(errors["has_seq"] != 0, ends.iss_known[end] & (relative == 0), ends.only_syn[end])
    is_syn &= (end & 1 == ORIGINATOR) & ((flags < 0) | ((flags & (SYN | ACK | RST)) == SYN))
    columns = {
        **errors.columns,
        "connection": connection,
        "side": end & 1,
        "relative_seq": relative,
        "was_sent": ends.was_sent(errors, end),
        "answers_syn": is_syn,
    }
    return QuoteTable(columns).take(np.argsort(connection, kind="stable"))


def _connections(errors: QuotingTable, part: Split, ends: _Ends) -> Rows:
    """Return the connection of each error, -1 if there is none. Costs one sort, however many share their sockets."""
    begun = part.rows.time_ns[part.rows.start[:-1]]
    by_time = np.lexsort([begun, part.conversation])
    conversation, begun = part.conversation[by_time], begun[by_time]
    latest = _latest(conversation, begun, errors["conversation"], errors["time_ns"])
    found = np.where(latest >= 0, by_time[latest], -1)
    by_syn = ends.of_syn(errors, part)
    found[by_syn >= 0] = by_syn[by_syn >= 0]
    # Errors about data: the latest connection in which the number was sent.
    open_question = np.flatnonzero((by_syn < 0) & (latest >= 0))
    place = latest[open_question]
    for _ in range(STEPS_BACK):
        fits = ends.was_sent_in(errors.take(open_question), by_time[place]) != NEVER_SENT
        found[open_question[fits]] = by_time[place[fits]]
        more = ~fits & (place > 0) & (conversation[place - 1] == conversation[place])
        open_question, place = open_question[more], place[more] - 1
    # Errors captured, or dated, before the first segment: only a number that was sent proves a connection.
    early = np.flatnonzero(found < 0)
    first = np.minimum(np.searchsorted(conversation, errors["conversation"][early]), len(by_time) - 1)
    known = conversation[first] == errors["conversation"][early]
    early, first = early[known], by_time[first[known]]
    proven = ends.was_sent_in(errors.take(early), first) == SENT
    found[early[proven]] = first[proven]
    return found


def _latest(keys: Rows, times: Rows, wanted: Rows, at: Rows) -> Rows:
    """Return for each wanted key the index of the last equal one of `keys` that is not later than `at`; -1 if none."""
    count = len(keys)
    is_question = np.repeat([False, True], [count, len(wanted)])
    order = np.lexsort([is_question, np.concatenate([times, at]), np.concatenate([keys, wanted])])
    asked = is_question[order]
    last = np.maximum.accumulate(np.where(asked, -1, np.arange(len(order))))[asked]
    candidate, question = order[last], order[asked] - count
    right = last >= 0
    right[right] = keys[candidate[right]] == wanted[question[right]]
    found = np.full(len(wanted), -1, np.int64)
    found[question[right]] = candidate[right]
    return found


class _Ends:
    """What each end of the connections of a partition sent, as far as captured. Columns have shape (2m,)."""

    def __init__(self, part: Split) -> None:
        self._rows = rows = part.rows
        self._originator_is_higher = part.originator_is_higher
        count = 2 * rows.connections
        self._iss = rows.iss.reshape(-1)
        self.iss_known = rows.iss_known.reshape(-1)
        spoke, acks = (rows.flags & RST) == 0, (rows.flags & (RST | ACK)) == ACK
        #: The number after the highest that an end sent, or that its peer acknowledged.
        self._highest = np.full(count, UNKNOWN, np.int64)
        np.maximum.at(self._highest, rows.end[spoke], rows.seq_end[spoke])
        np.maximum.at(self._highest, rows.peer[acks], rows.ack[acks])
        is_syn = ((rows.flags & (SYN | ACK | RST)) == SYN) & (rows.seq == 0) & (rows.folded_segments == 0)
        sent = np.bincount(rows.end, minlength=count)
        #: Ends that sent only their SYN, once or several times.
        self.only_syn = (sent > 0) & (np.bincount(rows.end[is_syn], minlength=count) == sent)

    def quoted(self, errors: QuotingTable, connection: Rows) -> Rows:
        """Return the end of `connection` that sent the segment quoted by each error."""
        own = errors["from_higher"] == self._originator_is_higher[connection]
        return 2 * connection + np.where(own, ORIGINATOR, RESPONDER)

    def of_syn(self, errors: QuotingTable, part: Split) -> Rows:
        """Return the latest connection with a SYN of the sequence number that each error quotes, -1 if none."""
        end = np.flatnonzero(self.iss_known)
        connection = end >> 1
        higher = (end & 1) ^ part.originator_is_higher[connection]
        identity = _identity(part.conversation[connection], higher, self._iss[end])
        wanted = _identity(errors["conversation"], errors["from_higher"], errors["seq"])
        begun = self._rows.time_ns[self._rows.start[connection]]
        found = _latest(identity, begun, wanted, errors["time_ns"])
        return np.where((found >= 0) & (errors["has_seq"] != 0), connection[found] if len(end) else -1, -1)

    def relative(self, errors: QuotingTable, end: Rows) -> Rows:
        """Return the quoted numbers relative to the ISS of these ends, UNKNOWN where number or ISS is unknown."""
        reference = np.zeros(len(end), np.int64)
        # Beyond 2**30 octets: choose the value nearest to what that end had sent by then.
        at = np.flatnonzero(self._highest[end] >= SAFE_SPAN)
        if len(at):
            reference[at] = self._sent_by(end[at], errors["time_ns"][at])
        step = errors["seq"].astype(np.int64) - self._iss[end] - reference
        nearest = reference + ((step + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        return np.where((errors["has_seq"] != 0) & (self._iss[end] >= 0), nearest, UNKNOWN)

    def _sent_by(self, end: Rows, time_ns: Rows) -> Rows:
        """Return the number after the last segment each end sent by a time, else after its first; 0 without any."""
        rows, asked = self._rows, np.zeros(len(self._highest), np.bool_)
        asked[end] = True
        own = np.flatnonzero(asked[rows.end])
        if not len(own):
            return np.zeros(len(end), np.int64)
        latest = _latest(rows.end[own], rows.time_ns[own], end, time_ns)
        row = np.where(latest >= 0, own[latest], first_among(rows.end, own, len(asked))[end])
        return np.where(row >= 0, rows.seq_end[row], 0)

    def was_sent_in(self, errors: QuotingTable, connection: Rows) -> Rows:
        """Return for each quoted number whether its sender sent it in this connection."""
        return self.was_sent(errors, self.quoted(errors, connection))

    def was_sent(self, errors: QuotingTable, end: Rows) -> Rows:
        """Return for each quoted number whether this end sent it.

        A bare ACK has the number after the highest sent one. Numbers below the first captured one of an end are
        undecided if its SYN was not captured.
        """
        relative, highest = self.relative(errors, end), self._highest[end]
        cannot_tell = (relative == UNKNOWN) | (highest == UNKNOWN) | (~self.iss_known[end] & (relative < 1))
        return np.where(cannot_tell, CANNOT_TELL, np.where((relative >= 0) & (relative <= highest), SENT, NEVER_SENT))


def _identity(conversation: NDArray[Any], higher: NDArray[Any], seq: NDArray[Any]) -> Rows:
    """Combine a conversation, its direction and a sequence number into one number."""
    identity: Rows = (conversation.astype(np.int64) << 1 | higher) << 32 | (seq.astype(np.int64) & 0xFFFFFFFF)
    return identity
