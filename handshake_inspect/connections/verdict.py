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
from handshake_inspect.connections.numbers import previous_of_end
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.rows import (
    ACK,
    ORIGINATOR,
    RANGE,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    running_maximum_of,
)
from handshake_inspect.connections.shapes import find_shapes
from handshake_inspect.connections.split import Split, any_of, first_among, first_of, last_of
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
        "duplicates": _added_up(rows.conn, rows.duplicates, rows.connections),
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
    segments = np.bincount(rows.end, minlength=ends) + _added_up(rows.end, rows.folded_segments, ends)
    octets = _added_up(rows.end, rows.payload + rows.folded_octets, ends)
    return {**_ends(segments, "segments"), **_ends(octets, "octets")}


def _added_up(group: Rows, amount: Rows, groups: int) -> Rows:
    """Add up an amount over each group; most rows have none. Shape (groups,)."""
    at = np.flatnonzero(amount)
    if not len(at):
        return np.zeros(groups, np.int64)
    return np.bincount(group.take(at), amount.take(at), groups).astype(np.int64)


def _one_sided(rows: ConnectionRows, events: Events) -> NDArray[np.bool_]:
    """Say of each connection whether one end is silent whose words the other end acknowledges."""
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
    # A SYN was captured: any acknowledgment tells of the answer. Without one only a second, higher one does.
    opened = any_of(rows.conn, (rows.flags & (SYN | RST)) == SYN, rows.connections)
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
    fin_known = (numbers.fin_row >= 0) | (numbers.inferred_fin_row >= 0)
    # Its own RST shows how far a sender had come, if it took effect and refused no segment (RFC 9293 §3.5.2: SEQ =
    # SND.NXT; of a refusal it is SEG.ACK).
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
    if not len(data):
        return np.zeros(ends, np.int64)
    end = rows.end[data]
    begin = rows.seq[data] + ((rows.flags[data] & SYN) != 0) - rows.folded_octets[data]
    begin, stop = np.maximum(begin, 1), np.minimum(begin + octets[data], limit[end])
    order = np.argsort(end, kind="stable")
    end, begin, stop = end[order], begin[order], stop[order]
    reached = _reached_before(end, stop)
    if (begin > np.maximum(reached, 1)).any():  # behind a gap, which a later one may fill
        order = np.lexsort((begin, end))
        end, begin, stop = end[order], begin[order], stop[order]
        reached = _reached_before(end, stop)
    fresh = np.maximum(stop - np.maximum(begin, reached), 0)
    return np.bincount(end, fresh, ends).astype(np.int64)


def _reached_before(end: Rows, stop: Rows) -> Rows:
    """Highest `stop` of the rows of the same end before each row; rows are sorted by end."""
    reached = running_maximum_of(end, stop, np.ones(len(end), np.bool_))
    before = np.full(len(end), UNKNOWN, np.int64)
    same = end[1:] == end[:-1]
    before[1:][same] = reached[:-1][same]
    return before


def _retransmissions(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
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


def _times(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    numbers = events.numbers
    syn, answer = numbers.bare_syn_row[ORIGINATOR::2], rows.of_responders(numbers.syn_ack_row)
    third = numbers.third_rows
    third = first_among(rows.conn, third[third > answer.take(rows.conn.take(third))], rows.connections)

    def between(first: Rows, second: Rows) -> Rows:
        # A SYN that was captured after its answer measures nothing, nor does a clock that was set meanwhile.
        passed, at = np.full(len(first), NONE, np.int64), np.flatnonzero((first >= 0) & (second > first))
        first, second = first.take(at), second.take(at)
        between_ns = rows.time_ns.take(second) - rows.time_ns.take(first)
        usable = (rows.clock.take(first) == rows.clock.take(second)) & (between_ns >= 0)
        passed[at] = np.where(usable, between_ns, NONE)
        return passed

    # Without a SYN-ACK the first segment that acknowledges one is the third.
    inferred = numbers.inferred_syn_ack_row
    third[np.flatnonzero(answer < 0)] = NONE
    at = np.flatnonzero((answer < 0) & (inferred >= 0))
    at = at[rows.seq[inferred[at]] == numbers.syn_end[ORIGINATOR::2][at]]
    third[at] = inferred[at]
    fins = numbers.fin_row
    low, high = np.minimum(fins[0::2], fins[1::2]), np.maximum(fins[0::2], fins[1::2])
    return {
        "syn_to_syn_ack_ns": between(syn, answer),
        "syn_ack_to_ack_ns": between(answer, third),
        "initial_rtt_ns": np.where((answer > syn) | (answer < 0), between(syn, third), NONE),
        "half_closed_ns": between(low, high),
    }


def _options(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    row = events.numbers.syn_row
    options, at = np.full(len(row), NONE, np.int64), np.flatnonzero(row >= 0)
    options[at] = rows.options[row[at]]
    options[1::2] = rows.of_responders(options)
    return _ends(options, "options")


def _last_numbers(rows: ConnectionRows, events: Events) -> dict[str, Rows]:
    highest = rows.highest
    stamped, syn = last_of(rows.end, rows.has_timestamps != 0, len(highest)), events.numbers.syn_row
    # A FIN that was not captured has a number all the same, if it was acknowledged.
    inferred, last = np.flatnonzero(events.numbers.inferred_fin_row >= 0), highest.copy()
    last[inferred] = np.maximum(highest[inferred], events.numbers.fin_end[inferred])
    return {
        **_ends(last, "last_seq"),
        **_ends(_timestamps(rows, stamped), "last_timestamp"),
        **_ends(_timestamps(rows, syn), "syn_timestamp"),
        **_ends(reach_octets(rows, events.numbers, highest), "reach_octets"),
    }


def _timestamps(rows: ConnectionRows, row: Rows) -> Rows:
    """Return the timestamp value of each of these rows, NONE without one and of row -1."""
    found, at = np.full(len(row), NONE, np.int64), np.flatnonzero(row >= 0)
    at = at[np.flatnonzero(rows.has_timestamps.take(row.take(at)))]
    found[at] = rows.timestamp_value.take(row.take(at))
    return found


def _resets(rows: ConnectionRows, events: Events) -> ResetTable:
    resets = events.resets
    at = resets.row
    receiver = rows.peer[at]
    expected, seq = resets.expected, rows.seq[at]
    # In SYN-SENT: it has sent a SYN and is not known to have received one.
    syn_sent = (events.numbers.bare_syn_row[receiver] >= 0) & (row_of(events.syn_received[receiver]) > at)
    # Behind a SYN-ACK an RST waits until that is proven to have come.
    syn_sent &= (resets.moment == NEVER) | (row_of(resets.moment) <= at)
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
    spoke = previous_of_end(rows, (rows.flags & RST) == 0, rows.peer[at], at)
    return np.where(spoke >= 0, rows.window[np.maximum(spoke, 0)].astype(np.int64) << SHIFT_MAX, RANGE)
