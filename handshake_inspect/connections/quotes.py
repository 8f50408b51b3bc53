"""Collects ICMP errors that quote segments; and the table of those that belong to connections.

In: `IcmpErrorTable` blocks as they are decoded. Out: `QuotingTable`, the errors about some conversations, without
duplicate captures. `quoted` finds the connection of each: `QuoteTable`.
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
from handshake_inspect.connections.splitting.rows import RESPONDER, UNKNOWN, flag_names
from handshake_inspect.connections.splitting.split import any_among
from handshake_inspect.pairs import address, keys_of
from handshake_inspect.sets import numbered
from handshake_inspect.table import IcmpErrorTable, Table, frame_numbers
from handshake_inspect.tcp.icmp import kind, says_undelivered, words
from handshake_inspect.tcp.seqnum import spelled

TCP = 6
#: Columns in which a copy of an error equals the original.
SAME_ERROR = (
    "ip_id", "quoted_ip_id", "seq", "icmp_type", "icmp_code", "from_lo", "from_hi", "from_higher", "conversation",
)  # fmt: skip
#: Values of `QuoteTable.was_sent`.
CANNOT_TELL, NEVER_SENT, SENT = -1, 0, 1


class QuotingTable(Table):
    """ICMP errors that quote TCP, with the conversation of the quoted segment and its sender."""

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
        "side": np.uint8,  # the end whose segment it quotes
        "relative_seq": np.int64,  # quoted sequence number minus the ISS of that end; UNKNOWN if one of them is
        "was_sent": np.int8,  # SENT, NEVER_SENT or CANNOT_TELL
        "answers_syn": np.uint8,  # 1: it quotes the originator's SYN
    }  # fmt: skip

    def of(self, connection: int) -> QuoteTable:
        """Return the errors of one connection, renumbered to 0."""
        return self.only(connection, connection + 1)

    def only(self, first: int, stop: int) -> QuoteTable:
        """Return the errors of the connections in [first, stop), renumbered from 0."""
        some = self.take(slice(*np.searchsorted(self["connection"], [first, stop])))
        some.columns["connection"] = some["connection"] - first
        return some

    def error(self, row: int, frame: Frame, iss: tuple[int | None, int | None]) -> IcmpError:
        """Make an object of one row; `iss`: the initial sequence numbers of both ends, None where unknown."""
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
        """Mark the connections with an error that says that the SYN was not delivered. Shape (m,)."""
        at = np.flatnonzero(self["answers_syn"])
        messages, which = self.messages(at)
        undelivered = np.array([says_undelivered(*message) for message in messages], np.bool_).take(which)
        return any_among(self["connection"], at[undelivered], connections)

    def messages(self, at: Rows) -> tuple[list[tuple[int, int, int]], Rows]:
        """Return the distinct messages (IP version, type, code) of the errors `at`, and the index of each one's.

        Messages are sorted. A scan has one error for each SYN, but only a message or two.
        """
        version, icmp_type, code = (
            self[name][at].astype(np.int64) for name in ("ip_version", "icmp_type", "icmp_code")
        )
        distinct, which = numbered(version << 16 | icmp_type << 8 | code)
        return [(one >> 16, one >> 8 & 0xFF, one & 0xFF) for one in distinct.tolist()], which


class Quotes:
    """The ICMP errors of a run that quote TCP."""

    def __init__(self) -> None:
        self._blocks: list[QuotingTable] = []
        self._sorted: QuotingTable | None = None
        #: Duplicate captures (as on loopback) that were left out, those of released errors included.
        self.copies = 0
        self._copies_before = 0
        self._lanes: Rows | None = None

    def follow(self, lanes: Rows | None) -> None:
        """Set the lane of each capture: captures that follow each other share one; None if that is not known yet."""
        self._lanes, self._sorted = lanes, None

    def add(self, errors: IcmpErrorTable, conversations: Conversations) -> Rows:
        """Add the errors of a block. Returns the conversation of each that is about TCP."""
        errors = about_tcp(errors)
        if not len(errors):
            return np.zeros(0, np.int64)
        keys, from_higher = keys_of(errors)
        numbers = conversations.number(keys)
        self._blocks.append(QuotingTable({**errors.columns, "conversation": numbers, "from_higher": from_higher}))
        self._sorted = None
        return numbers

    def adopt(self, errors: IcmpErrorTable, conversations: Conversations) -> None:
        """Add the first errors, of some conversations, from which all copies in the run are already removed."""
        self.add(errors, conversations)
        self._sorted = _in_order(QuotingTable.concatenate(self._blocks))

    def everything(self) -> IcmpErrorTable:
        """Return all errors in order of arrival, copies included."""
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
        """Return all errors, by conversation and time, without copies."""
        if self._sorted is None:
            table = QuotingTable.concatenate(self._blocks)
            second = copies_of(table.columns, conversations.loopback, self._lanes)
            self.copies = self._copies_before + len(second)
            self._sorted = _in_order(table.take(np.delete(np.arange(len(table)), second)))
        return self._sorted

    def let_go(self, gone: Mask, about: QuoteTable, conversations: Conversations) -> int:
        """Release the errors of conversations that are gone, and those `about` connections released before others.

        `gone` has one entry for each conversation. Returns the number of errors released.
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
    """Return the rows of errors that are copies of an earlier one; `loopback` and `lanes` are as for `Packets`."""
    numbered = (columns["ip_id"] != 0) | (columns["quoted_ip_id"] != 0)
    # No segment is sent twice within the time span of copies; a datagram may be.
    identified = numbered | (columns["has_seq"] != 0)
    return shown_again(columns, SAME_ERROR, identified, loopback, lanes=lanes, recurs=~numbered)
