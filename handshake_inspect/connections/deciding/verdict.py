"""Rows of connections and their behaviour -> the answers, with the times, options, TIME-WAIT and resets of each.

In: `Split` (rows and their origin) and the ICMP errors that quote them. Out: `Verdicts`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.answers import (
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
    RESET_REASONS,
    UNCHECKED,
    ResetTable,
    Verdicts,
    VerdictTable,
)
from handshake_inspect.connections.deciding.behaviour import find_behaviour
from handshake_inspect.connections.deciding.books import Columns, of_ends
from handshake_inspect.connections.deciding.waiting import find_waits
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.events.numbers import previous_of_end
from handshake_inspect.connections.moments import NEVER, row_of
from handshake_inspect.connections.quotes import QuoteTable
from handshake_inspect.connections.splitting.rows import (
    ORIGINATOR,
    RANGE,
    RESPONDER,
    RST,
    UNKNOWN,
    ConnectionRows,
)
from handshake_inspect.connections.splitting.split import Split, first_among, first_of, last_of
from handshake_inspect.connections.zeek.sizes import both_ended_ns
from handshake_inspect.tcp.options import SHIFT_MAX

#: Columns of times between two segments of a connection.
TIMES = ("syn_to_syn_ack_ns", "syn_ack_to_ack_ns", "initial_rtt_ns", "half_closed_ns")


def decide(
    part: Split,
    encapsulation: NDArray[np.uint16],
    fast_open_option: NDArray[np.bool_],
    icmp_errors: QuoteTable,
) -> tuple[Verdicts, Events]:
    """Decide everything about the connections of one partition.

    `encapsulation` has one entry per row, `fast_open_option` one per option list; `icmp_errors` are those of
    these connections.
    """
    rows = part.rows
    behaviour = find_behaviour(rows, fast_open_option, icmp_errors.unreachable(rows.connections))
    events = behaviour.events
    table = VerdictTable(
        {
            **behaviour.columns,
            "conversation": part.conversation,
            "originator_is_higher": part.originator_is_higher,
            **_extent(rows),
            "encapsulation": encapsulation[rows.start[:-1]],
            **of_ends(np.where(rows.iss_known, rows.iss, NONE).reshape(-1), "iss"),
            **_times(rows, events),
            **_options(rows, events),
            **_timestamps(rows, events),
            "served_ns": _served(rows),
            "both_ended_ns": both_ended_ns(rows, NONE),
        }
    )
    waits, restarts = find_waits(rows, events, behaviour.shape, behaviour.judgements)
    verdicts = Verdicts(
        table=table,
        judgements=behaviour.judgements,
        resets=_resets(rows, events),
        waits=waits,
        restarts=restarts,
        gaps=behaviour.gaps,
        words=behaviour.words,
        icmp_errors=icmp_errors,
    )
    return verdicts, events


def _extent(rows: ConnectionRows) -> Columns:
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


def _served(rows: ConnectionRows) -> Rows:
    """Return the time of the responder's first octets, NONE if it sent none."""
    octets = (rows.payload > 0) & (rows.side == RESPONDER) & ((rows.flags & RST) == 0)
    first = first_of(rows.conn, octets, rows.connections)
    return np.where(first >= 0, rows.time_ns[first], NONE)


def _times(rows: ConnectionRows, events: Events) -> Columns:
    if len(rows) == rows.connections:  # there are no times between segments: each connection has one
        return {name: np.full(rows.connections, NONE) for name in TIMES}
    numbers = events.numbers
    syn, answer = numbers.bare_syn_row[ORIGINATOR::2], rows.of_responders(numbers.syn_ack_row)
    third = numbers.third_rows
    third = first_among(rows.conn, third[third > answer.take(rows.conn.take(third))], rows.connections)

    def between(first: Rows, second: Rows) -> Rows:
        # No time is measured if a SYN was captured after its answer, or if the clock was set in between.
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
    rtt = np.where((answer > syn) | (answer < 0), between(syn, third), NONE)
    opening = np.stack([between(syn, answer), between(answer, third), rtt])
    opening[:, rtt == 0] = NONE  # all three at one time: the clock is too coarse
    return dict(zip(TIMES, (*opening, between(low, high)), strict=True))


def _options(rows: ConnectionRows, events: Events) -> Columns:
    row = events.numbers.syn_row
    options, at = np.full(len(row), NONE, np.int64), np.flatnonzero(row >= 0)
    options[at] = rows.options[row[at]]
    options[1::2] = rows.of_responders(options)
    return of_ends(options, "options")


def _timestamps(rows: ConnectionRows, events: Events) -> Columns:
    last = last_of(rows.end, rows.has_timestamps != 0, 2 * rows.connections)
    return {
        **of_ends(_timestamps_of(rows, last), "last_timestamp"),
        **of_ends(_timestamps_of(rows, events.numbers.syn_row), "syn_timestamp"),
    }


def _timestamps_of(rows: ConnectionRows, row: Rows) -> Rows:
    """Return the timestamp value of each of these rows, NONE without one and for row -1."""
    found, at = np.full(len(row), NONE, np.int64), np.flatnonzero(row >= 0)
    at = at[np.flatnonzero(rows.has_timestamps.take(row.take(at)))]
    found[at] = rows.timestamp_value.take(row.take(at))
    return found


def _resets(rows: ConnectionRows, events: Events) -> ResetTable:
    resets = events.resets
    at, reason = resets.row, _reset_reasons(rows, events)
    return ResetTable(
        {
            "connection": rows.conn[at],
            "capture": rows.capture[at],
            "frame": rows.frame[at],
            "side": rows.side[at],
            "valid": np.array([RESET_REASONS[one].valid for one in range(len(RESET_REASONS))])[reason],
            "reason": reason,
            "distance": np.where(resets.expected == UNKNOWN, 0, np.abs(rows.seq[at] - resets.expected)),
        }
    )


def _reset_reasons(rows: ConnectionRows, events: Events) -> Rows:
    """Return why each RST is valid or not: the first reason that holds, else AHEAD, or BEYOND any window."""
    resets = events.resets
    at, expected = resets.row, resets.expected
    receiver, seq = rows.peer[at], rows.seq[at]
    # In SYN-SENT: it has sent a SYN and is not known to have received one.
    syn_sent = (events.numbers.bare_syn_row[receiver] >= 0) & (events.syn_received[receiver] > at)
    # After a SYN-ACK an RST waits until that is proven to have arrived.
    syn_sent &= (resets.moment == NEVER) | (row_of(resets.moment) <= at)
    reasons = {
        BELIED: resets.belied & (resets.of_syn | (expected == UNKNOWN) | (seq == expected)),
        OF_SYN: syn_sent & resets.of_syn,
        NOT_OF_SYN: syn_sent,
        ELSEWHERE: resets.elsewhere,
        UNCHECKED: expected == UNKNOWN,
        AT_NEXT: seq == expected,
        OF_ANOTHER: (seq < expected) & resets.of_another,
        OLD: seq < expected,
        LAST_WORD: resets.assumed,
        CAUGHT_UP: resets.moment != NEVER,
    }
    reason = np.select([*reasons.values()], [*reasons], AHEAD)
    ahead = np.flatnonzero(reason == AHEAD)
    reason[ahead[(seq - expected)[ahead] >= _widest_window(rows, at[ahead])]] = BEYOND
    return reason


def _widest_window(rows: ConnectionRows, at: Rows) -> Rows:
    """Return the largest window that the receiver of each row `at` may have offered last; all if it sent nothing.

    The scale on its SYN may not be captured, so the largest is assumed (RFC 7323 §2.3).
    """
    spoke = previous_of_end(rows, (rows.flags & RST) == 0, rows.peer[at], at)
    return np.where(spoke >= 0, rows.window[np.maximum(spoke, 0)].astype(np.int64) << SHIFT_MAX, RANGE)
