"""ICMP errors -> the connections whose segments they quote.

In: `IcmpErrorTable` blocks as they are decoded, and the connections of a partition (`Split`). Out: `QuoteTable`, one
row per error that belongs to one of them. RFC 9293 §3.9.2.2 (MUST-54): an error goes to the connection that caused it,
found by the quoted sockets. Where these were used by several connections one after the other, the quoted sequence
number tells which: it is a SYN's, or lies in what that end had sent. RFC 5927 §4.1 makes the same comparison to tell
errors from forged ones: an error with a number that was never sent stays with the latest connection, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.connection import Frame, IcmpError
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.copies.copies import shown_again
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, UNKNOWN, flag_names
from handshake_inspect.connections.splitting.split import Split, first_among
from handshake_inspect.connections.splitting.unwrapping import SAFE_SPAN
from handshake_inspect.pairs import address, keys_of
from handshake_inspect.table import IcmpErrorTable, Table, frame_numbers
from handshake_inspect.tcp.icmp import kind, says_undelivered, words
from handshake_inspect.tcp.seqnum import spelled

TCP = 6
#: How many connections of the same sockets, from the latest back, an error about data is compared with.
STEPS_BACK = 8
#: What the copy of an error has in common with it.
SAME_ERROR = (
    "ip_id", "quoted_ip_id", "seq", "icmp_type", "icmp_code", "from_lo", "from_hi", "from_higher", "conversation",
)  # fmt: skip
#: Values of `QuoteTable.was_sent`.
CANNOT_TELL, NEVER_SENT, SENT = -1, 0, 1


class QuotingTable(Table):
    """ICMP errors that quote TCP, with the conversation of the quoted segment and who sent it."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        **IcmpErrorTable.DTYPES,
        "conversation": np.int64,
        "from_higher": np.uint8,
    }


class QuoteTable(Table):
    """ICMP errors that belong to a connection, ordered by connection and time."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        **{
            name: IcmpErrorTable.DTYPES[name]
            for name in (
                "time_ns", "frame", "capture", "ip_version", "from_hi", "from_lo", "icmp_type", "icmp_code", "mtu",
                "has_seq", "seq", "quoted_flags",
            )
        },
        "connection": np.int64,
        "side": np.uint8,  # whose segment it quotes
        "relative_seq": np.int64,  # the quoted number minus the ISS of that end; UNKNOWN if one of them is
        "was_sent": np.int8,  # SENT, NEVER_SENT or CANNOT_TELL
        "answers_syn": np.uint8,  # 1: it quotes the originator's SYN
    }  # fmt: skip

    def of(self, connection: int) -> QuoteTable:
        """Return the errors of one connection, as connection 0."""
        return self.only(connection, connection + 1)

    def only(self, first: int, stop: int) -> QuoteTable:
        """Return the errors of the connections from `first`, as connection 0, to before `stop`."""
        some = self.take(slice(*np.searchsorted(self["connection"], [first, stop])))
        some.columns["connection"] = some["connection"] - first
        return some

    def error(self, row: int, frame: Frame, iss: tuple[int | None, int | None]) -> IcmpError:
        """Make an object of one row; `iss` are the initial sequence numbers of both ends as far as they are known."""
        cell = {name: int(column[row]) for name, column in self.columns.items()}
        version, icmp_type, code, side = (cell[name] for name in ("ip_version", "icmp_type", "icmp_code", "side"))
        relative = None if cell["relative_seq"] == UNKNOWN else cell["relative_seq"]
        return IcmpError(
            frame=frame,
            time_ns=cell["time_ns"],
            source=address(version, cell["from_hi"], cell["from_lo"]),
            type=icmp_type,
            code=code,
            message=words(version, icmp_type, code),
            kind=kind(version, icmp_type, code),
            quotes="responder" if side == RESPONDER else "originator",
            seq=cell["seq"] if cell["has_seq"] else None,
            relative_seq=relative,
            symbolic_seq=None if relative is None or iss[side] is None else spelled("xy"[side], relative),
            flags=None if cell["quoted_flags"] < 0 else flag_names(cell["quoted_flags"]),
            mtu=cell["mtu"] or None,
            answers_syn=bool(cell["answers_syn"]),
            was_sent=None if cell["was_sent"] == CANNOT_TELL else cell["was_sent"] == SENT,
        )

    def unreachable(self, connections: int) -> Mask:
        """Say of each connection whether an error tells that its SYN was not delivered. Shape (m,)."""
        found = np.zeros(connections, np.bool_)
        for row in np.flatnonzero(self["answers_syn"]).tolist():
            message = (int(self[name][row]) for name in ("ip_version", "icmp_type", "icmp_code"))
            found[self["connection"][row]] |= says_undelivered(*message)
        return found


class Quotes:
    """The ICMP errors of a run that quote TCP."""

    def __init__(self) -> None:
        self._blocks: list[QuotingTable] = []
        self._sorted: QuotingTable | None = None
        #: Second copies, as captures of loopback have them, that were left out; and those among them for good.
        self.copies = 0
        self._copies_before = 0
        self._lanes: Rows | None = None

    def follow(self, lanes: Rows | None) -> None:
        """Take a number for each capture, equal for those that follow each other; None if that is not known yet."""
        self._lanes, self._sorted = lanes, None

    def add(self, errors: IcmpErrorTable, conversations: Conversations) -> Rows:
        """Take the errors of a block. Returns the conversation of each that is about TCP."""
        errors = about_tcp(errors)
        if not len(errors):
            return np.zeros(0, np.int64)
        keys, from_higher = keys_of(errors)
        numbers = conversations.number(keys)
        self._blocks.append(QuotingTable({**errors.columns, "conversation": numbers, "from_higher": from_higher}))
        self._sorted = None
        return numbers

    def adopt(self, errors: IcmpErrorTable, conversations: Conversations) -> None:
        """Take errors of some conversations, of which all copies in the run are left out; here are none yet."""
        self.add(errors, conversations)
        self._sorted = _in_order(QuotingTable.concatenate(self._blocks))

    def everything(self) -> IcmpErrorTable:
        """Return all errors as they came, copies among them."""
        return IcmpErrorTable(QuotingTable.concatenate(self._blocks).columns)

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def of(self, first: int, last: int, conversations: Conversations) -> QuotingTable:
        """Return the errors of the conversations from `first` to `last`, by conversation and time."""
        table = self.all(conversations)
        a, b = np.searchsorted(table["conversation"], [first, last + 1])
        return table.take(slice(a, b))

    def about(self, chosen: Rows, conversations: Conversations) -> IcmpErrorTable:
        """Return the errors that quote segments of these conversations, by conversation and time."""
        table = self.all(conversations) if self else QuotingTable.empty()
        return IcmpErrorTable(table.take(np.isin(table["conversation"], chosen)).columns)

    def all(self, conversations: Conversations) -> QuotingTable:
        """Return all errors, by conversation and time, without second copies."""
        if self._sorted is None:
            table = QuotingTable.concatenate(self._blocks)
            second = copies_of(table.columns, conversations.loopback, self._lanes)
            self.copies = self._copies_before + len(second)
            self._sorted = _in_order(table.take(np.delete(np.arange(len(table)), second)))
        return self._sorted

    def let_go(self, gone: Mask, about: QuoteTable, conversations: Conversations) -> int:
        """Let errors go: those of conversations that are gone, and those `about` connections that leave before others.

        `gone` has one entry for each conversation. Returns how many there were.
        """
        table = self.all(conversations)
        of_these = frame_numbers(about["capture"], about["frame"])
        stays = ~gone[table["conversation"]] & ~np.isin(frame_numbers(table["capture"], table["frame"]), of_these)
        self._blocks, self._sorted, self._copies_before = [table.take(stays)], None, self.copies
        return int(np.count_nonzero(~stays))


def about_tcp(errors: IcmpErrorTable) -> IcmpErrorTable:
    """Return the errors that quote TCP."""
    return errors.take(errors["protocol"] == TCP)


def _in_order(table: QuotingTable) -> QuotingTable:
    return table.take(np.lexsort([table[name] for name in ("frame", "capture", "time_ns", "conversation")]))


def copies_of(columns: Mapping[str, NDArray[Any]], loopback: Mask, lanes: Rows | None = None) -> Rows:
    """Return the rows of errors that show an error again; `loopback` and `lanes` are as for `Packets`."""
    numbered = (columns["ip_id"] != 0) | (columns["quoted_ip_id"] != 0)
    # A segment is not sent twice within the time in which copies lie; a datagram may be.
    identified = numbered | (columns["has_seq"] != 0)
    return shown_again(columns, SAME_ERROR, identified, loopback, lanes=lanes, recurs=~numbered)


def join(errors: QuotingTable, part: Split) -> QuoteTable:
    """Find the connection of each error, and what it quotes of it. Errors about other sockets are left out."""
    if not len(errors):
        return QuoteTable.empty()
    ends = _Ends(part)
    connection = _connections(errors, part, ends)
    errors, connection = errors.take(connection >= 0), connection[connection >= 0]
    end = ends.quoted(errors, connection)
    relative = ends.relative(errors, end)
    flags = errors["quoted_flags"]
    # A quote that ends before the number is of a SYN where that end sent nothing else.
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
    """Return the connection of each error, -1 if there is none. Costs a sort, however many share their sockets."""
    begun = part.rows.time_ns[part.rows.start[:-1]]
    by_time = np.lexsort([begun, part.conversation])
    conversation, begun = part.conversation[by_time], begun[by_time]
    latest = _latest(conversation, begun, errors["conversation"], errors["time_ns"])
    found = np.where(latest >= 0, by_time[latest], -1)
    by_syn = ends.of_syn(errors, part)
    found[by_syn >= 0] = by_syn[by_syn >= 0]
    # Of data: the latest connection in which the number was sent.
    open_question = np.flatnonzero((by_syn < 0) & (latest >= 0))
    place = latest[open_question]
    for _ in range(STEPS_BACK):
        fits = ends.was_sent_in(errors.take(open_question), by_time[place]) != NEVER_SENT
        found[open_question[fits]] = by_time[place[fits]]
        more = ~fits & (place > 0) & (conversation[place - 1] == conversation[place])
        open_question, place = open_question[more], place[more] - 1
    # Captured, or by its clock, ahead of the first segment: there only a number that was sent proves anything.
    early = np.flatnonzero(found < 0)
    first = np.minimum(np.searchsorted(conversation, errors["conversation"][early]), len(by_time) - 1)
    known = conversation[first] == errors["conversation"][early]
    early, first = early[known], by_time[first[known]]
    proven = ends.was_sent_in(errors.take(early), first) == SENT
    found[early[proven]] = first[proven]
    return found


def _latest(keys: Rows, times: Rows, wanted: Rows, at: Rows) -> Rows:
    """Return for each wanted key the place of the last of `keys` that equals it and is not later; -1 if none does."""
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
    """What each end of the connections of a partition sent, as far as it was captured. Columns have shape (2m,)."""

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
        #: An end sent its SYN, perhaps several times, and nothing else.
        self.only_syn = (sent > 0) & (np.bincount(rows.end[is_syn], minlength=count) == sent)

    def quoted(self, errors: QuotingTable, connection: Rows) -> Rows:
        """Return which end of `connection` sent the segment that each error quotes."""
        own = errors["from_higher"] == self._originator_is_higher[connection]
        return 2 * connection + np.where(own, ORIGINATOR, RESPONDER)

    def of_syn(self, errors: QuotingTable, part: Split) -> Rows:
        """Return the latest connection with a SYN of the number that each error quotes, -1 if there is none."""
        end = np.flatnonzero(self.iss_known)
        connection = end >> 1
        higher = (end & 1) ^ part.originator_is_higher[connection]
        identity = _identity(part.conversation[connection], higher, self._iss[end])
        wanted = _identity(errors["conversation"], errors["from_higher"], errors["seq"])
        begun = self._rows.time_ns[self._rows.start[connection]]
        found = _latest(identity, begun, wanted, errors["time_ns"])
        return np.where((found >= 0) & (errors["has_seq"] != 0), connection[found] if len(end) else -1, -1)

    def relative(self, errors: QuotingTable, end: Rows) -> Rows:
        """Return the quoted numbers relative to the ISS of these ends, UNKNOWN where one of them is not known."""
        reference = np.zeros(len(end), np.int64)
        # Beyond 2**30 octets: nearest to what that end had sent by then.
        at = np.flatnonzero(self._highest[end] >= SAFE_SPAN)
        if len(at):
            reference[at] = self._sent_by(end[at], errors["time_ns"][at])
        step = errors["seq"].astype(np.int64) - self._iss[end] - reference
        nearest = reference + ((step + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        return np.where((errors["has_seq"] != 0) & (self._iss[end] >= 0), nearest, UNKNOWN)

    def _sent_by(self, end: Rows, time_ns: Rows) -> Rows:
        """Return the number after the segment that each end had sent last by a time, or else first; 0 without any."""
        rows, asked = self._rows, np.zeros(len(self._highest), np.bool_)
        asked[end] = True
        own = np.flatnonzero(asked[rows.end])
        if not len(own):
            return np.zeros(len(end), np.int64)
        latest = _latest(rows.end[own], rows.time_ns[own], end, time_ns)
        row = np.where(latest >= 0, own[latest], first_among(rows.end, own, len(asked))[end])
        return np.where(row >= 0, rows.seq_end[row], 0)

    def was_sent_in(self, errors: QuotingTable, connection: Rows) -> Rows:
        """Say of each quoted number whether its sender sent it in this connection."""
        return self.was_sent(errors, self.quoted(errors, connection))

    def was_sent(self, errors: QuotingTable, end: Rows) -> Rows:
        """Say of each quoted number whether this end sent it.

        A bare ACK has the number after the highest that was sent. What lies below the first number that was seen of an
        end cannot be told if its SYN was not captured.
        """
        relative, highest = self.relative(errors, end), self._highest[end]
        cannot_tell = (relative == UNKNOWN) | (highest == UNKNOWN) | (~self.iss_known[end] & (relative < 1))
        return np.where(cannot_tell, CANNOT_TELL, np.where((relative >= 0) & (relative <= highest), SENT, NEVER_SENT))


def _identity(conversation: NDArray[Any], higher: NDArray[Any], seq: NDArray[Any]) -> Rows:
    """Put a conversation, a direction of it and a number into one number."""
    identity: Rows = (conversation.astype(np.int64) << 1 | higher) << 32 | (seq.astype(np.int64) & 0xFFFFFFFF)
    return identity
