"""The answers about connections as columns: one row per connection, one column per number of the JSON contract.

The common part of equal shapes is stored once, in `Verdicts.judgements`. `verdict` fills these tables; `model`, `flat`
and `conn_log` read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.connections.deciding.found import Coded
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.memory import give_back
from handshake_inspect.plain import mutable
from handshake_inspect.quantities import octets_in_words
from handshake_inspect.table import Growing, Table

T = TypeVar("T", bound=Table)

#: An unknown number, in columns whose values are never negative.
NONE = -1


class VerdictTable(Table):
    """One row per connection, by conversation and in order of time.

    Columns that end in `_o` and `_r` are the originator's and the responder's.
    """

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "conversation": np.int32,
        "originator_is_higher": np.uint8,
        "judgement": np.int32,  # index of `Verdicts.judgements`
        "first_capture": np.uint16,
        "first_frame": np.int64,
        "last_capture": np.uint16,
        "last_frame": np.int64,
        "first_ns": np.int64,
        "last_ns": np.int64,
        "encapsulation": np.uint32,
        "segments_o": np.uint32,
        "segments_r": np.uint32,
        "duplicates": np.uint32,
        "octets_o": np.int64,
        "octets_r": np.int64,
        "sent_octets_o": np.int64,  # NONE if start or end is not known
        "sent_octets_r": np.int64,
        "missing_octets_o": np.int64,
        "missing_octets_r": np.int64,
        "iss_o": np.int64,  # NONE if not known
        "iss_r": np.int64,
        "syn_retransmissions": np.int32,
        "syn_ack_retransmissions": np.int32,
        "fin_retransmissions": np.int32,
        "syn_to_syn_ack_ns": np.int64,  # NONE if not known, as the next three
        "syn_ack_to_ack_ns": np.int64,
        "initial_rtt_ns": np.int64,
        "half_closed_ns": np.int64,
        "options_o": np.int32,  # `Names.options` number of the SYN's options, NONE without a SYN
        "options_r": np.int32,
        "last_seq_o": np.int64,  # highest relative number sent, for the next user of the sockets
        "last_seq_r": np.int64,
        "last_timestamp_o": np.int64,  # last TSval, NONE without timestamps
        "last_timestamp_r": np.int64,
        "syn_timestamp_o": np.int64,  # TSval of the first SYN, NONE without one
        "syn_timestamp_r": np.int64,
        "first_clock": np.uint16,  # how often the clock had jumped back before the first and the last row
        "last_clock": np.uint16,
        "one_sided": np.uint8,  # 1 if only one end was captured, and its numbers prove that the other one sent segments
        "conn_state": np.int32,  # index of `Verdicts.words`, as the next
        "history": np.int32,
        "completeness": np.uint8,
        "reach_octets_o": np.int64,  # sent, as far as numbers show (Zeek's `orig_bytes`)
        "reach_octets_r": np.int64,
        "served_ns": np.int64,  # first octets of the responder; NONE if it sent none
        "both_ended_ns": np.int64,  # when both ends had sent a FIN or an RST; NONE if that was not captured
    }

    #: Most values are small or unknown: ordinary connections take 182 octets instead of 257.
    NARROW: ClassVar[Mapping[str, DTypeLike]] = {
        "first_frame": np.uint32,
        "last_frame": np.uint32,
        **dict.fromkeys(("judgement", "conn_state", "history", "options_o", "options_r"), np.int16),
        **dict.fromkeys(("syn_retransmissions", "syn_ack_retransmissions", "fin_retransmissions"), np.int8),
        **dict.fromkeys(("syn_to_syn_ack_ns", "syn_ack_to_ack_ns", "initial_rtt_ns", "half_closed_ns"), np.int32),
        **dict.fromkeys(("served_ns", "both_ended_ns"), np.int32),  # of unanswered attempts
        **{
            f"{name}_{end}": np.int32
            for name in ("octets", "sent_octets", "missing_octets", "reach_octets", "last_timestamp", "syn_timestamp")
            for end in "or"
        },
    }


class ResetTable(Table):
    """One row per RST, ordered by connection and frame."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,  # row of the `VerdictTable`
        "capture": np.uint16,
        "frame": np.int64,
        "side": np.uint8,
        "valid": np.int8,  # 1, 0, or -1: unknown
        "reason": np.uint8,  # one of `RESET_REASONS`
        "distance": np.int64,  # its sequence number minus the expected one, where that matters
    }


class WaitTable(Table):
    """One row per TIME-WAIT, ordered by connection; of two, the originator's first."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,  # row of the `VerdictTable`
        "side": np.uint8,  # the end that holds it
        "entered_ns": np.int64,
        "capture": np.uint16,
        "frame": np.int64,
        "cut_short": np.uint8,  # index of `CUTS`: how an RST ended it
        "cut_ns": np.int64,  # time of that RST; NONE without one
        "cut_capture": np.uint16,
        "cut_frame": np.int64,
    }


#: How an RST ends TIME-WAIT: not at all; one was received (RFC 1337); its owner sent one, so it was forgotten.
CUTS = (None, "killed", "forgotten")


class RestartTable(Table):
    """One row per segment that may have restarted a TIME-WAIT, ordered by connection and time."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,
        "side": np.uint8,  # the end that holds the TIME-WAIT
        "time_ns": np.int64,
        "capture": np.uint16,
        "frame": np.int64,
        "segment": np.uint8,  # index of `RESTARTING`
    }


#: Segments that can restart a TIME-WAIT; by RFC 9293 only the first does.
RESTARTING = ("FIN", "data", "ACK")


class GapTable(Table):
    """One row per connection for which Zeek reports gaps, ordered by connection."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,
        "octets": np.int64,  # acknowledged before they were captured, if ever: Zeek's `missed_bytes`
    }


#: Tables of `Verdicts` about some connections, with a column for the connection of each row.
ABOUT_SOME: Mapping[str, type[Table]] = {
    "resets": ResetTable,
    "waits": WaitTable,
    "restarts": RestartTable,
    "gaps": GapTable,
    "icmp_errors": QuoteTable,
}


class ResetReason(NamedTuple):
    """Why an RST is valid, or not."""

    #: As in `ResetTable.valid`.
    valid: int
    #: {n}: `ResetTable.distance`, in octets.
    words: str


#: Values of `ResetTable.reason`.
AT_NEXT, OF_SYN, NOT_OF_SYN, UNCHECKED, OLD, AHEAD, BEYOND, CAUGHT_UP, LAST_WORD, BELIED, ELSEWHERE, OF_ANOTHER = range(
    12
)
RESET_REASONS = {
    AT_NEXT: ResetReason(1, "its number is exactly the next one expected (RFC 9293 §3.10.7.4)"),
    OF_SYN: ResetReason(1, "it acknowledges the SYN (RFC 9293 §3.10.7.3)"),
    NOT_OF_SYN: ResetReason(0, "the receiver is in SYN-SENT and it does not acknowledge the SYN (RFC 9293 §3.10.7.3)"),
    UNCHECKED: ResetReason(-1, "nothing of its sender had been acknowledged: its number cannot be checked"),
    OLD: ResetReason(0, "its number is {n} below the next one expected: outside the window (RFC 9293 §3.10.7.4)"),
    AHEAD: ResetReason(0, "its number is {n} above the next one expected: at most a challenge ACK (RFC 5961 §3.2)"),
    BEYOND: ResetReason(
        0, "its number is {n} above the next one expected: outside any window, dropped (RFC 9293 §3.10.7.4)"
    ),
    CAUGHT_UP: ResetReason(1, "its number was {n} ahead of what was acknowledged, and was reached later"),
    LAST_WORD: ResetReason(
        -1, "it follows its sender's last segment and the peer is silent from then on: taken to have worked"
    ),
    BELIED: ResetReason(
        -1, "its sender went on and was acknowledged: it never arrived, or was ignored (an injected one looks so)"
    ),
    ELSEWHERE: ResetReason(
        0, "its sender went on from another number: it was not at the next one expected (RFC 9293 §3.10.7.4)"
    ),
    OF_ANOTHER: ResetReason(
        -1, "it answers a SYN-ACK of another initial number: whose connection that was, no segment here shows"
    ),
}


def reset_reason(resets: ResetTable, row: int) -> str:
    """Return in words, with the distance, why an RST is valid or not."""
    return RESET_REASONS[int(resets["reason"][row])].words.format(n=octets_in_words(int(resets["distance"][row])))


@mutable
class Verdicts:
    """The answers about all connections of a run."""

    table: VerdictTable = field(default_factory=VerdictTable.empty)
    judgements: list[Judgement] = field(default_factory=list)
    resets: ResetTable = field(default_factory=ResetTable.empty)
    waits: WaitTable = field(default_factory=WaitTable.empty)
    restarts: RestartTable = field(default_factory=RestartTable.empty)
    gaps: GapTable = field(default_factory=GapTable.empty)
    #: Distinct values of `conn_state` and `history`.
    words: list[str] = field(default_factory=list)
    icmp_errors: QuoteTable = field(default_factory=QuoteTable.empty)
    #: Counts of ICMP errors that quote a segment of no connection, and of copies of errors, over the whole run.
    unmatched_errors: int = 0
    error_copies: int = 0
    #: Counts of collapsed copies, by the names of their kinds (`packets.KINDS`).
    copies: Counter[str] = field(default_factory=Counter)
    #: The findings of rules, each with its code.
    found: list[Coded] = field(default_factory=list)
    #: Connections not among these that use the sockets of one of them next, by conversation.
    others_next: VerdictTable = field(default_factory=VerdictTable.empty)

    @property
    def users(self) -> VerdictTable:
        """All connections, followed by the others that use their sockets next."""
        return VerdictTable.concatenate([self.table, self.others_next]) if len(self.others_next) else self.table

    def judged(self, claim: Callable[[Judgement], bool]) -> NDArray[np.bool_]:
        """Mark the connections for which `claim` holds, evaluated once for each distinct judgement. Shape (m,)."""
        claims = [claim(one) for one in self.judgements]
        if all(claims) or not any(claims):  # the claims of most rules hold nowhere
            return np.full(len(self.table), any(claims))
        found: NDArray[np.bool_] = np.array(claims, np.bool_).take(self.table["judgement"])
        return found


def taken(total: Verdicts, rows: NDArray[np.int64]) -> Verdicts:
    """Return the answers about the connections in these rows, in this order."""
    place = np.full(len(total.table), NONE, np.int64)
    place[rows] = np.arange(len(rows))

    def moved(table: T) -> T:
        connection = place[table["connection"]]
        there = np.flatnonzero(connection != NONE)
        order = there[np.argsort(connection[there], kind="stable")]
        return type(table)(table.columns | {"connection": connection}).take(order)

    return replace(
        total,
        table=total.table.take(rows),
        found=[(code, one.only(place[one.connection] != NONE).placed(place)) for code, one in total.found],
        **{name: moved(getattr(total, name)) for name in ABOUT_SOME},
    )


def leaving(total: Verdicts, rows: NDArray[np.int64]) -> Verdicts:
    """Return the answers about released connections, in these rows, and those that stay and use their sockets next."""
    conversation, leaves = total.table["conversation"], np.zeros(len(total.table), np.bool_)
    leaves[rows] = True
    stays_next = np.flatnonzero(leaves[:-1] & ~leaves[1:] & (conversation[1:] == conversation[:-1])) + 1
    return replace(taken(total, rows), others_next=total.table.take(stays_next))


def together(parts: Iterable[Verdicts], expected: int = 0) -> Verdicts:
    """Concatenate the answers about partitions. Takes one at a time, and frees it.

    `expected`: the approximate number of connections.
    """
    table, total = Growing(VerdictTable, expected), Verdicts()
    about_some: dict[str, list[Table]] = {name: [] for name in ABOUT_SOME}
    numbers: dict[Judgement, int] = {}
    words: dict[str, int] = {}
    give_back()  # the memory that reading needed
    for part in parts:
        columns = part.table.columns
        judged = np.array([numbers.setdefault(one, len(numbers)) for one in part.judgements], np.int32)
        spelled = np.array([words.setdefault(one, len(words)) for one in part.words], np.int32)
        columns["judgement"] = judged[columns["judgement"]]
        columns["conn_state"] = spelled[columns["conn_state"]]
        columns["history"] = spelled[columns["history"]]
        for name, tables in about_some.items():
            of_part: Table = getattr(part, name)
            of_part.columns["connection"] = of_part["connection"] + len(table)
            tables.append(of_part)
        total.found += [(code, one.shifted(len(table))) for code, one in part.found]
        table.append(columns, len(part.table))
        total.copies.update(part.copies)
    give_back()
    total.table = VerdictTable.holding(table.finish())
    total.judgements, total.words = list(numbers), list(words)
    for name, tables in about_some.items():
        setattr(total, name, ABOUT_SOME[name].concatenate(tables))
    return total
