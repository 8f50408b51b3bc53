"""The answers as columns: one row per connection, one column per number of the JSON contract.

In: `Split` (rows and where they come from) and `Names`. Out: `Verdicts`. What equal shapes have in common stands once,
in `Verdicts.judgements`; `model` makes `Connection` objects of both when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from handshake_inspect.connections.derived import derive
from handshake_inspect.connections.events import Events, find_events
from handshake_inspect.connections.kinds import Judgement, judge
from handshake_inspect.connections.moments import NEVER, row_of
from handshake_inspect.connections.numbers import UNKNOWN
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.rows import ACK, FIN, ORIGINATOR, RST, SYN, ConnectionRows
from handshake_inspect.connections.shapes import find_shapes
from handshake_inspect.connections.split import Split, first_of, last_of
from handshake_inspect.connections.zeek_sizes import both_ended_ns, reach_octets
from handshake_inspect.table import Growing, Table

#: A number that is not known, in columns whose own values are never negative.
NONE = -1

Rows = NDArray[np.int64]


class VerdictTable(Table):
    """One row per connection, by conversation and in order of time.

    Columns that end in `_o` and `_r` are the originator's and the responder's.
    """

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "conversation": np.int32,
        "originator_is_higher": np.uint8,
        "judgement": np.int32,  # index of `Verdicts.judgements`
        "first_capture": np.uint16,
        "first_frame": np.uint32,
        "last_capture": np.uint16,
        "last_frame": np.uint32,
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
        "time_wait_ns_o": np.int64,  # entered; NONE if never
        "time_wait_ns_r": np.int64,
        "last_seq_o": np.int64,  # highest relative number sent, for the next user of the sockets
        "last_seq_r": np.int64,
        "last_timestamp_o": np.int64,  # last TSval, NONE without timestamps
        "last_timestamp_r": np.int64,
        "first_clock": np.uint16,  # how often the clock had jumped back before the first and the last row
        "last_clock": np.uint16,
        "one_sided": np.uint8,  # 1 if only one end was captured, and its numbers prove that the other one spoke
        "conn_state": np.int32,  # index of `Verdicts.words`, as the next
        "history": np.int32,
        "completeness": np.uint8,
        "reach_octets_o": np.int64,  # sent, as far as numbers show (Zeek's `orig_bytes`)
        "reach_octets_r": np.int64,
        "both_ended_ns": np.int64,  # when both ends had sent a FIN or an RST; NONE if that was not captured
    }


class ResetTable(Table):
    """One row per RST, ordered by connection and frame."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,  # row of the `VerdictTable`
        "capture": np.uint16,
        "frame": np.uint32,
        "side": np.uint8,
        "valid": np.int8,  # 1, 0, or -1: cannot be told
        "reason": np.uint8,  # `RESET_REASONS`
        "distance": np.int64,  # its number minus the expected one, where that matters
    }


class RestartTable(Table):
    """One row per repeated FIN that restarted a TIME-WAIT."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,
        "side": np.uint8,  # whose TIME-WAIT
        "time_ns": np.int64,
    }


class GapTable(Table):
    """One row per connection of which Zeek reports gaps, ordered by connection."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "connection": np.int64,
        "octets": np.int64,  # acknowledged before they were captured, if ever: Zeek's `missed_bytes`
    }


AT_NEXT, OF_SYN, NOT_OF_SYN, UNCHECKED, OLD, AHEAD, CAUGHT_UP, LAST_WORD, BELIED = range(9)

#: Reasons of `ResetTable.reason`; {n} is the distance in octets.
RESET_REASONS = {
    AT_NEXT: "its number is exactly the next one expected (RFC 9293 §3.10.7.4)",
    OF_SYN: "it acknowledges the SYN (RFC 9293 §3.10.7.3)",
    NOT_OF_SYN: "the receiver is in SYN-SENT and it does not acknowledge the SYN (RFC 9293 §3.10.7.3)",
    UNCHECKED: "nothing of its sender had been acknowledged: its number cannot be checked",
    OLD: "its number is {n} below the next one expected: outside the window (RFC 9293 §3.10.7.4)",
    AHEAD: "its number is {n} above the next one expected: at most a challenge ACK (RFC 5961 §3.2)",
    CAUGHT_UP: "its number was {n} ahead of what was acknowledged, and was reached later",
    BELIED: "its sender went on and was acknowledged: it never arrived, or was ignored (an injected one looks so)",
    LAST_WORD: "it follows its sender's last segment and the peer is silent from then on: taken to have worked",
}


def reset_reason(resets: ResetTable, row: int) -> str:
    """Say in words, with the number, why an RST counts or does not."""
    return RESET_REASONS[int(resets["reason"][row])].format(n=octets_in_words(int(resets["distance"][row])))


def octets_in_words(count: int) -> str:
    """Spell a number of octets: "1 octet", "1,448 octets"."""
    return f"{count:,} octet" if count == 1 else f"{count:,} octets"


@dataclass
class Verdicts:
    """The answers about all connections of a run."""

    table: VerdictTable = field(default_factory=VerdictTable.empty)
    judgements: list[Judgement] = field(default_factory=list)
    resets: ResetTable = field(default_factory=ResetTable.empty)
    restarts: RestartTable = field(default_factory=RestartTable.empty)
    gaps: GapTable = field(default_factory=GapTable.empty)
    #: Distinct values of `conn_state` and `history`.
    words: list[str] = field(default_factory=list)
    icmp_errors: QuoteTable = field(default_factory=QuoteTable.empty)
    #: ICMP errors that quote a segment of no connection, and second copies of errors, over the whole run.
    unmatched_errors: int = 0
    error_copies: int = 0
    #: Copies that were collapsed, by the names of their kinds (`copies.KINDS`).
    copies: Counter[str] = field(default_factory=Counter)


def together(parts: Iterable[Verdicts]) -> Verdicts:
    """Put the answers about partitions below each other. Takes one at a time, and uses it up."""
    table, total = Growing(VerdictTable), Verdicts()
    resets, restarts, gaps, icmp_errors = [total.resets], [total.restarts], [total.gaps], [total.icmp_errors]
    numbers: dict[Judgement, int] = {}
    words: dict[str, int] = {}
    for part in parts:
        columns = part.table.columns
        judged = np.array([numbers.setdefault(one, len(numbers)) for one in part.judgements], np.int32)
        spelled = np.array([words.setdefault(one, len(words)) for one in part.words], np.int32)
        columns["judgement"] = judged[columns["judgement"]]
        columns["conn_state"] = spelled[columns["conn_state"]]
        columns["history"] = spelled[columns["history"]]
        for of_some in (part.resets, part.restarts, part.gaps, part.icmp_errors):
            of_some.columns["connection"] += len(table)
        resets.append(part.resets)
        restarts.append(part.restarts)
        gaps.append(part.gaps)
        icmp_errors.append(part.icmp_errors)
        table.append(columns, len(part.table))
        total.copies.update(part.copies)
    total.table = VerdictTable(table.finish())
    total.judgements, total.words = list(numbers), list(words)
    total.resets, total.restarts = ResetTable.concatenate(resets), RestartTable.concatenate(restarts)
    total.gaps, total.icmp_errors = GapTable.concatenate(gaps), QuoteTable.concatenate(icmp_errors)
    return total


def decide(
    part: Split,
    encapsulation: NDArray[np.uint16],
    fast_open_option: NDArray[np.bool_],
    icmp_errors: QuoteTable,
) -> tuple[Verdicts, Events]:
    """Answer everything about the connections of one partition.

    `encapsulation` has one entry per row, `fast_open_option` one per option list; `icmp_errors` are those of
    these connections.
    """
    rows = part.rows
    events = find_events(rows)
    shape, shapes = find_shapes(rows, events, fast_open_option, icmp_errors.unreachable(rows.connections))
    judgements = [judge(one) for one in shapes]
    waits = _time_wait_rows(rows, events, shape, judgements)
    columns = {
        "conversation": part.conversation,
        "originator_is_higher": part.originator_is_higher,
        "judgement": shape,
        **_extent(rows),
        "encapsulation": encapsulation[rows.start[:-1]],
        "duplicates": np.bincount(rows.conn, rows.duplicates, rows.connections),
        **_volumes(rows),
        **_books(rows, events),
        **_retransmissions(rows, events),
        **_times(rows, events),
        **_options(rows, events),
        **_ends(np.where(waits >= 0, rows.time_ns[waits], NONE).reshape(-1), "time_wait_ns"),
        **_last_numbers(rows, events),
        "one_sided": _one_sided(rows, events),
        "both_ended_ns": both_ended_ns(rows, NONE),
    }
    words = derive(rows)
    names = {word: number for number, word in enumerate({*words.state_of_shape, *words.history_of_shape})}
    columns["conn_state"] = np.array([names[word] for word in words.state_of_shape], np.int32)[words.shape]
    columns["history"] = np.array([names[word] for word in words.history_of_shape], np.int32)[words.shape]
    columns["completeness"] = words.completeness
    table = VerdictTable(columns)
    gaps = GapTable({"connection": words.with_gaps, "octets": words.gap_octets})
    verdicts = Verdicts(
        table, judgements, _resets(rows, events), _restarts(rows, waits), gaps, list(names), icmp_errors
    )
    return verdicts, events


def _ends(values: Rows, name: str) -> dict[str, Rows]:
    """Spread a column of shape (2m,) over both ends."""
    return {f"{name}_o": values[0::2], f"{name}_r": values[1::2]}


def _extent(rows: ConnectionRows) -> dict[str, NDArray[np.generic]]:
    first, last = rows.start[:-1], rows.start[1:] - 1
    return {
        "first_capture": rows.capture[first],
        "first_frame": rows.frame[first],
        "last_capture": rows.capture[last],
        "last_frame": rows.frame[last],
        "first_ns": rows.time_ns[first],
        "last_ns": rows.time_ns[last],
        "first_clock": rows.clock[first],
        "last_clock": rows.clock[last],
    }


def _volumes(rows: ConnectionRows) -> dict[str, Rows]:
    ends = 2 * rows.connections
    segments = np.bincount(rows.end, 1 + rows.folded_segments, ends).astype(np.int64)
    octets = np.bincount(rows.end, rows.payload + rows.folded_octets, ends).astype(np.int64)
    return {**_ends(segments, "segments"), **_ends(octets, "octets")}


def _one_sided(rows: ConnectionRows, events: Events) -> NDArray[np.bool_]:
    """Say of each connection whether one end is silent whose words the other end acknowledges."""
    spoke = np.zeros((rows.connections, 2), np.bool_)
    spoke[rows.conn, rows.side] = True
    silent = ~spoke.all(axis=1) & ~rows.self_connect
    found = np.zeros(rows.connections, np.bool_)
    at = np.flatnonzero(silent[rows.conn] & events.numbers.ack_counts)
    if not len(at):
        return found
    conn, ack = rows.conn[at], rows.ack[at]
    lowest = np.full(rows.connections, NEVER, np.int64)
    highest = np.full(rows.connections, UNKNOWN, np.int64)
    np.minimum.at(lowest, conn, ack)
    np.maximum.at(highest, conn, ack)
    # A SYN was captured: any acknowledgment tells of the answer. Without one only a second, higher one does.
    opened = np.zeros(rows.connections, np.bool_)
    opened[rows.conn[(rows.flags & (SYN | RST)) == SYN]] = True
    found[conn] = (opened | (highest > lowest))[conn]
    return found


def _books(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    """Close the books of each direction: sent by sequence numbers, against captured."""
    numbers, ends = events.numbers, 2 * rows.connections
    known = rows.iss_known.reshape(-1)
    highest = np.full(ends, UNKNOWN, np.int64)
    speech = (rows.flags & RST) == 0
    np.maximum.at(highest, rows.end[speech], rows.seq_end[speech])
    fin_known = (numbers.fin_row >= 0) | (numbers.inferred_fin_row >= 0)
    # Its own RST shows how far a sender had come, if it took effect (RFC 9293 §3.5.2: SEQ = SND.NXT).
    resets = events.resets
    own = resets.row[resets.moment != NEVER]
    own = own[rows.seq[own] >= highest[rows.end[own]]]
    reset_at = np.full(ends, UNKNOWN, np.int64)
    np.maximum.at(reset_at, rows.end[own], rows.seq[own])
    sent = np.where(fin_known, numbers.fin_end - 2, np.where(reset_at > UNKNOWN, reset_at - 1, NONE))
    sent = np.where(known & (sent >= 0), sent, NONE)
    limit = np.where(sent >= 0, sent + 1, NEVER)
    covered = _covered(rows, limit)
    missing = np.where(sent >= 0, np.maximum(sent - covered, 0), NONE)
    return {
        **_ends(sent, "sent_octets"),
        **_ends(missing, "missing_octets"),
        **_ends(np.where(known, rows.iss.reshape(-1), NONE), "iss"),
    }


def _covered(rows: ConnectionRows, limit: Rows) -> Rows:
    """Count the octets of each end below `limit` that stand in at least one captured segment. Shape (2m,)."""
    ends = 2 * rows.connections
    octets = rows.payload + rows.folded_octets
    data = np.flatnonzero((octets > 0) & ((rows.flags & RST) == 0))
    end = rows.end[data]
    begin = rows.seq[data] + ((rows.flags[data] & SYN) != 0) - rows.folded_octets[data]
    begin, stop = np.maximum(begin, 1), np.minimum(begin + octets[data], limit[end])
    order = np.argsort(end, kind="stable")
    end, begin, stop = end[order], begin[order], stop[order]
    if _out_of_order(end, begin, stop):
        order = np.lexsort((begin, end))
        end, begin, stop = end[order], begin[order], stop[order]
    reached = _reached_before(end, stop)
    fresh = np.maximum(stop - np.maximum(begin, reached), 0)
    return np.bincount(end, fresh, ends).astype(np.int64)


def _reached_before(end: Rows, stop: Rows) -> Rows:
    """Highest `stop` of the rows of the same end before each row; rows are sorted by end."""
    lift = 1 << 44
    reached = np.maximum.accumulate(stop + end * lift)
    before = np.full(len(end), UNKNOWN, np.int64)
    same = end[1:] == end[:-1]
    before[1:][same] = (reached[:-1] - end[1:] * lift)[same]
    return before


def _out_of_order(end: Rows, begin: Rows, stop: Rows) -> bool:
    """Does any row leave a gap behind the rows before it? Then a later one may fill it."""
    before = _reached_before(end, stop)
    return bool((begin > np.maximum(before, 1)).any())


def _retransmissions(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    numbers, ends = events.numbers, 2 * rows.connections
    flags = rows.flags
    valid = ((flags & (SYN | RST)) == SYN) & ~rows.ignored_syn & (rows.seq == 0)
    answers = valid & ((flags & ACK) != 0) & (rows.ack >= 1) & (rows.ack <= numbers.syn_end[rows.peer])

    def repeats(mask: NDArray[np.bool_]) -> Rows:
        extra = np.maximum(np.bincount(rows.end[mask], minlength=ends) - 1, 0)
        total: Rows = extra[0::2] + extra[1::2]
        return total

    return {
        "syn_retransmissions": repeats(valid & ((flags & ACK) == 0)),
        "syn_ack_retransmissions": repeats(answers),
        "fin_retransmissions": repeats((flags & (FIN | RST)) == FIN),
    }


def _times(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    numbers = events.numbers
    originator = np.arange(rows.connections) * 2
    responder = np.where(rows.self_connect, originator, originator + 1)
    syn, answer = numbers.bare_syn_row[originator], numbers.syn_ack_row[responder]
    third_mask = ((rows.flags & (SYN | RST | ACK)) == ACK) & (rows.side == ORIGINATOR) & numbers.ack_counts
    third_mask &= (rows.ack >= 1) & (np.arange(len(rows)) > answer[rows.conn]) & (rows.seq >= 1)
    third = first_of(rows.conn, third_mask, rows.connections)

    def between(first: Rows, second: Rows) -> Rows:
        # A SYN that was captured after its answer measures nothing, nor does a clock that was set meanwhile.
        usable = (first >= 0) & (second > first) & (rows.clock[first] == rows.clock[second])
        usable &= rows.time_ns[second] >= rows.time_ns[first]
        return np.where(usable, rows.time_ns[second] - rows.time_ns[first], NONE)

    # Without a SYN-ACK the first segment that acknowledges one is the third.
    inferred = numbers.inferred_syn_ack_row
    exact = rows.seq[inferred] == numbers.syn_end[originator]
    third = np.where(answer >= 0, third, np.where(exact, inferred, NONE))
    fins = numbers.fin_row
    low, high = np.minimum(fins[0::2], fins[1::2]), np.maximum(fins[0::2], fins[1::2])
    return {
        "syn_to_syn_ack_ns": between(syn, answer),
        "syn_ack_to_ack_ns": np.where(answer >= 0, between(answer, third), NONE),
        "initial_rtt_ns": np.where((answer > syn) | (answer < 0), between(syn, third), NONE),
        "half_closed_ns": between(low, high),
    }


def _options(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    row = events.numbers.syn_row
    options = np.where(row >= 0, rows.options[row].astype(np.int64), NONE)
    options[1::2] = np.where(rows.self_connect, options[0::2], options[1::2])
    return _ends(options, "options")


def _time_wait_rows(rows: ConnectionRows, events: Events, shape: Rows, judgements: list[Judgement]) -> Rows:
    """Row at which each end entered TIME-WAIT, -1 if never: the shape says by which event. Shape (m, 2)."""
    ordinal = np.full((len(judgements), 2), NONE, np.int64)
    for number, judgement in enumerate(judgements):
        for end, which, _ in judgement.time_wait:
            ordinal[number, end] = which
    chosen = ordinal[shape]
    entered = np.full((rows.connections, 2), -1, np.int64)
    conn, side = np.nonzero(chosen >= 0)
    entered[conn, side] = events.row[events.start[conn] + chosen[conn, side]]
    return entered


def _last_numbers(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    ends = 2 * rows.connections
    highest = np.full(ends, UNKNOWN, np.int64)
    speech = (rows.flags & RST) == 0
    np.maximum.at(highest, rows.end[speech], rows.seq_end[speech])
    stamped = last_of(rows.end, rows.has_timestamps != 0, ends)
    stamp = np.where(stamped >= 0, rows.timestamp_value[stamped].astype(np.int64), NONE)
    return {
        **_ends(highest, "last_seq"),
        **_ends(stamp, "last_timestamp"),
        **_ends(reach_octets(rows, events.numbers, highest), "reach_octets"),
    }


def _resets(rows: ConnectionRows, events: Events) -> ResetTable:
    resets = events.resets
    at = resets.row
    receiver = rows.peer[at]
    expected, seq = resets.expected, rows.seq[at]
    # In SYN-SENT: it has sent a SYN and is not known to have received one.
    syn_sent = (events.numbers.bare_syn_row[receiver] >= 0) & (row_of(events.syn_received[receiver]) > at)
    reason = np.select(
        [
            resets.belied & (resets.of_syn | (expected == UNKNOWN) | (seq == expected)),
            syn_sent & resets.of_syn,
            syn_sent,
            expected == UNKNOWN,
            seq == expected,
            seq < expected,
            resets.assumed,
            resets.moment != NEVER,
        ],
        [BELIED, OF_SYN, NOT_OF_SYN, UNCHECKED, AT_NEXT, OLD, LAST_WORD, CAUGHT_UP],
        AHEAD,
    )
    valid = np.array([1, 1, 0, -1, 0, 0, 1, -1, -1])[reason]
    return ResetTable(
        {
            "connection": rows.conn[at],
            "capture": rows.capture[at],
            "frame": rows.frame[at],
            "side": rows.side[at],
            "valid": valid,
            "reason": reason,
            "distance": np.where(expected == UNKNOWN, 0, np.abs(seq - expected)),
        }
    )


def _restarts(rows: ConnectionRows, waits: Rows) -> RestartTable:
    """A FIN that is repeated to an end in TIME-WAIT starts its 2MSL again (RFC 9293 §3.10.7.4, eighth)."""
    at = np.flatnonzero((rows.flags & (FIN | RST)) == FIN)
    owner = rows.peer[at] & 1
    began = waits[rows.conn[at], owner]
    later = (rows.time_ns[at] > rows.time_ns[began]) | (rows.clock[at] != rows.clock[began])
    again = (began >= 0) & (at > began) & later
    at, owner = at[again], owner[again]
    return RestartTable({"connection": rows.conn[at], "side": owner, "time_ns": rows.time_ns[at]})
