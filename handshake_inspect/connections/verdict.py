"""Rows and events of connections -> the answers: sizes, times, books, retransmissions, TIME-WAIT, resets.

In: `Split` (rows and where they come from) and the ICMP errors that quote them. Out: `Verdicts`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.answers import (
    AHEAD,
    AT_NEXT,
    BELIED,
    BEYOND,
    CAUGHT_UP,
    ELSEWHERE,
    LAST_WORD,
    NONE,
    NOT_OF_SYN,
    OF_ANOTHER,
    OF_SYN,
    OLD,
    UNCHECKED,
    GapTable,
    ResetTable,
    Verdicts,
    VerdictTable,
)
from handshake_inspect.connections.derived import derive
from handshake_inspect.connections.events import Events, find_events
from handshake_inspect.connections.kinds import judge
from handshake_inspect.connections.moments import NEVER, row_of
from handshake_inspect.connections.numbers import RANGE, UNKNOWN, running_maximum
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows
from handshake_inspect.connections.shapes import find_shapes
from handshake_inspect.connections.split import Split, first_of, last_of
from handshake_inspect.connections.waiting import find_waits
from handshake_inspect.connections.zeek_sizes import both_ended_ns, reach_octets
from handshake_inspect.tcp.options import SHIFT_MAX

Rows = NDArray[np.int64]


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
        **_last_numbers(rows, events),
        "one_sided": _one_sided(rows, events),
        "served_ns": _served(rows),
        "both_ended_ns": both_ended_ns(rows, NONE),
    }
    words = derive(rows)
    names = {word: number for number, word in enumerate({*words.state_of_shape, *words.history_of_shape})}
    columns["conn_state"] = np.array([names[word] for word in words.state_of_shape], np.int32)[words.shape]
    columns["history"] = np.array([names[word] for word in words.history_of_shape], np.int32)[words.shape]
    columns["completeness"] = words.completeness
    table = VerdictTable(columns)
    gaps = GapTable({"connection": words.with_gaps, "octets": words.gap_octets})
    waits, restarts = find_waits(rows, events, shape, judgements)
    verdicts = Verdicts(table, judgements, _resets(rows, events), waits, restarts, gaps, list(names), icmp_errors)
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


def _served(rows: ConnectionRows) -> Rows:
    """Return the time of the responder's first octets, NONE if it sent none."""
    octets = (rows.payload > 0) & (rows.side == RESPONDER) & ((rows.flags & RST) == 0)
    first = first_of(rows.conn, octets, rows.connections)
    return np.where(first >= 0, rows.time_ns[first], NONE)


def _books(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    """Close the books of each direction: sent by sequence numbers, against captured."""
    numbers, ends = events.numbers, 2 * rows.connections
    known = rows.iss_known.reshape(-1)
    highest = np.full(ends, UNKNOWN, np.int64)
    speech = (rows.flags & RST) == 0
    np.maximum.at(highest, rows.end[speech], rows.seq_end[speech])
    fin_known = (numbers.fin_row >= 0) | (numbers.inferred_fin_row >= 0)
    # Its own RST shows how far a sender had come, if it took effect and refused no segment (RFC 9293 §3.5.2: SEQ =
    # SND.NXT; of a refusal it is SEG.ACK).
    resets = events.resets
    own = resets.row[(resets.moment != NEVER) & resets.ends_sender]
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
    with_ack = (rows.flags & ACK) != 0

    def repeats(mask: NDArray[np.bool_]) -> Rows:
        extra = np.maximum(np.bincount(rows.end[mask], minlength=ends) - 1, 0)
        total: Rows = extra[0::2] + extra[1::2]
        return total

    return {
        "syn_retransmissions": repeats(numbers.is_syn & ~with_ack),
        "syn_ack_retransmissions": repeats(numbers.is_syn & with_ack),
        "fin_retransmissions": repeats(numbers.is_fin),
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


def _last_numbers(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    ends = 2 * rows.connections
    highest = np.full(ends, UNKNOWN, np.int64)
    speech = (rows.flags & RST) == 0
    np.maximum.at(highest, rows.end[speech], rows.seq_end[speech])
    stamped = last_of(rows.end, rows.has_timestamps != 0, ends)
    syn = events.numbers.syn_row
    syn_stamped = (syn >= 0) & (rows.has_timestamps[syn] != 0)
    stamp = np.where(stamped >= 0, rows.timestamp_value[stamped].astype(np.int64), NONE)
    # A FIN that was not captured has a number all the same, if it was acknowledged.
    inferred = events.numbers.inferred_fin_row >= 0
    last = np.where(inferred, np.maximum(highest, events.numbers.fin_end), highest)
    return {
        **_ends(last, "last_seq"),
        **_ends(stamp, "last_timestamp"),
        **_ends(np.where(syn_stamped, rows.timestamp_value[syn].astype(np.int64), NONE), "syn_timestamp"),
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
            resets.elsewhere,
            expected == UNKNOWN,
            seq == expected,
            (seq < expected) & resets.of_another,
            seq < expected,
            resets.assumed,
            resets.moment != NEVER,
            seq - expected >= _widest_window(rows, at),
        ],
        [BELIED, OF_SYN, NOT_OF_SYN, ELSEWHERE, UNCHECKED, AT_NEXT, OF_ANOTHER, OLD, LAST_WORD, CAUGHT_UP, BEYOND],
        AHEAD,
    )
    valid = np.array([1, 1, 0, -1, 0, 0, 1, -1, -1, 0, 0, -1])[reason]
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


def _widest_window(rows: ConnectionRows, at: Rows) -> Rows:
    """Return how many octets the receiver of each row `at` can have offered when it spoke last; all if it never did.

    What its SYN said of the scale may not be captured, so the largest is taken (RFC 7323 §2.3).
    """
    offers = (rows.flags & RST) == 0
    last = [
        running_maximum(rows, np.arange(len(rows)), offers & (rows.side == side))[at]
        for side in (ORIGINATOR, RESPONDER)
    ]
    spoke = np.where(rows.peer[at] & 1, last[RESPONDER], last[ORIGINATOR])
    return np.where(spoke >= 0, rows.window[np.maximum(spoke, 0)].astype(np.int64) << SHIFT_MAX, RANGE)
