"""Groups connections into shapes: the same facts and the same event string give the same verdict.

In: `ConnectionRows` and their `Events`. Out: the number of each connection's shape, and the `Shape`s themselves, a few
dozen for a million ordinary connections.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.events.echoed_syns import without_data_answered
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.events.machine import AS_CLOSED, AS_ESTABLISHED, AS_LISTEN, NOTHING, UNHEARD
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, UNKNOWN, ConnectionRows
from handshake_inspect.connections.splitting.split import any_among, any_of
from handshake_inspect.sets import consecutive, numbered

#: Octets of an event string per word.
WORD_OCTETS = 8


class Fact:
    """The input of a verdict beside the event string. Plain integers: a test of an enum's bit takes 0.5 us."""

    SYN_CAPTURED = 1 << 0
    SYN_ACK_CAPTURED = 1 << 1  # with the right number
    ACK_CAPTURED = 1 << 2  # a third segment with the right numbers
    WRONG_SYN_ACK = 1 << 3
    WRONG_ACK = 1 << 4  # segments with ACK from the originator, but no third one with exactly the right numbers
    OPENING_KNOWN = 1 << 5  # a SYN or SYN-ACK was captured: the capture does not begin later
    BOTH_SYN = 1 << 6  # both ends sent a SYN without ACK
    SELF_CONNECT = 1 << 7
    FAST_OPEN_REQUESTED = 1 << 8  # RFC 7413: the option on a SYN
    FAST_OPEN_DATA = 1 << 9  # octets on the SYN that the SYN-ACK answers
    FAST_OPEN_ACCEPTED = 1 << 10  # the SYN-ACK acknowledges octets on the SYN
    UNREACHABLE = 1 << 11  # an ICMP error quotes the SYN and reports that it was not delivered
    ORIGINATOR_SILENT = 1 << 12  # none of its segments was captured
    RESPONDER_SILENT = 1 << 13
    ORIGINATOR_FIN_INFERRED = 1 << 14
    RESPONDER_FIN_INFERRED = 1 << 15
    SYN_ACK_INFERRED = 1 << 16
    ACK_INFERRED = 1 << 17
    CROSSING_SYN = 1 << 18  # the responder's SYN without ACK was not captured, but answered


class Shape(NamedTuple):
    """The input of one verdict: connections of one shape behave equally."""

    #: Bits of `Fact`.
    facts: int
    #: How each end starts (`machine.AS_CLOSED` ...).
    start: tuple[int, int]
    #: Event codes (`events`).
    codes: bytes


def find_shapes(
    rows: ConnectionRows, events: Events, fast_open_option: NDArray[np.bool_], unreachable: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], list[Shape]]:
    """Number the shapes of all connections. Returns the shape of each connection and the shapes.

    `fast_open_option` marks the `Names.options` numbers with the Fast Open option, `unreachable` the connections for
    which an ICMP error reports that the SYN was not delivered.
    """
    starts = _starts(rows, events)
    facts = _facts(rows, events, fast_open_option) | np.where(unreachable, Fact.UNREACHABLE, 0)
    head = facts << 8 | starts[:, ORIGINATOR] << 4 | starts[:, RESPONDER]
    number = _numbered([head, *_words(events, rows.connections)])
    first = np.zeros(int(number.max(initial=-1)) + 1, np.int64)
    first[number[::-1]] = np.arange(rows.connections)[::-1]
    octets = events.code.tobytes()
    begins, ends = (events.start[place].tolist() for place in (first, first + 1))
    codes = (octets[a:b] for a, b in zip(begins, ends, strict=True))
    how = map(tuple, starts[first].tolist())
    return number, [*map(Shape, facts[first].tolist(), how, codes)]


def _numbered(columns: list[NDArray[Any]]) -> NDArray[np.int64]:
    """Number the distinct rows of some columns from 0. Returns the number of each row."""
    number = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        distinct, which = numbered(column)
        if len(distinct) > 1:  # a constant column distinguishes nothing, as with a million unanswered SYNs
            number = numbered(number * len(distinct) + which)[1]
    return number


def _words(events: Events, connections: int) -> list[NDArray[np.uint64]]:
    """Pack the event strings into columns of words, zero-padded: as many columns as the longest string needs."""
    length = np.diff(events.start)
    longest = int(length.max(initial=0))
    words = np.zeros((connections, -(-longest // WORD_OCTETS)), np.uint64)
    at = consecutive(0, length)
    conn = np.repeat(np.arange(connections), length)
    octets = words.view(np.uint8).reshape(-1)
    octets[conn * (words.shape[1] * WORD_OCTETS) + at] = events.code
    return list(words.T)


def _starts(rows: ConnectionRows, events: Events) -> NDArray[np.int64]:
    """Return how each end starts. Shape (m, 2)."""
    numbers, count = events.numbers, rows.connections
    known = rows.iss_known[:, ORIGINATOR]
    reset = any_of(rows.end, (rows.flags & RST) != 0, 2 * count)
    starts = np.full((count, 2), NOTHING, np.int64)
    midstream = np.flatnonzero(~known)
    at = rows.rows_of(midstream)
    acked = any_among(rows.peer, at[(rows.flags[at] & (RST | ACK)) == ACK], 2 * count)
    # For an end that only sent RSTs an acknowledgment proves nothing: it may never have had a connection.
    synchronized = (rows.highest > UNKNOWN) | (acked & ~reset)
    starts[midstream] = np.where(synchronized.reshape(-1, 2)[midstream], AS_ESTABLISHED, UNHEARD)
    starts[np.flatnonzero(known), ORIGINATOR] = AS_CLOSED
    responder = slice(RESPONDER, None, 2)
    passive = known & (numbers.bare_syn_row[responder] < 0) & ~numbers.crossing_syn[responder]
    answered = (numbers.syn_ack_row[responder] >= 0) | (numbers.wrong_syn_ack_row[responder] >= 0)
    answered |= events.syn_received[responder] != NEVER
    starts[np.flatnonzero(passive & answered), RESPONDER] = AS_LISTEN
    starts[np.flatnonzero(passive & ~answered & reset[responder]), RESPONDER] = AS_CLOSED
    starts[np.flatnonzero(known & ~passive), RESPONDER] = AS_CLOSED
    return starts


def _facts(rows: ConnectionRows, events: Events, fast_open_option: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Collect the facts of each connection. Shape (m,)."""
    numbers, count = events.numbers, rows.connections
    bare, answer = numbers.bare_syn_row[ORIGINATOR::2], rows.of_responders(numbers.syn_ack_row)
    asks, answers = bare >= 0, answer >= 0
    third = np.flatnonzero(((rows.flags & (SYN | RST | ACK)) == ACK) & (rows.side == ORIGINATOR))
    right = numbers.third_rows
    exact = right[rows.seq.take(right) <= numbers.syn_end.take(rows.end.take(right))]
    has_third, has_right, has_exact = (any_among(rows.conn, some, count) for some in (third, right, exact))
    syn_data = asks & (numbers.syn_end[ORIGINATOR::2] > 1)
    with_option, of_data = np.zeros((2, count), np.bool_)
    at = np.flatnonzero(asks)
    with_option[at] = fast_open_option[rows.options[bare[at]]]
    at = np.flatnonzero(syn_data & answers)
    of_data[at] = rows.ack[answer[at]] > 1

    claims = {
        Fact.SYN_CAPTURED: asks,
        Fact.SYN_ACK_CAPTURED: answers,
        Fact.ACK_CAPTURED: has_right,
        Fact.WRONG_SYN_ACK: rows.of_responders(numbers.wrong_syn_ack_row) >= 0,
        Fact.WRONG_ACK: has_third & ~has_exact,
        Fact.OPENING_KNOWN: rows.iss_known[:, ORIGINATOR],
        Fact.BOTH_SYN: asks & (numbers.bare_syn_row[RESPONDER::2] >= 0),
        Fact.SELF_CONNECT: rows.self_connect,
        Fact.FAST_OPEN_REQUESTED: with_option,
        Fact.FAST_OPEN_DATA: syn_data & ~(with_option & without_data_answered(rows, numbers)),
        Fact.FAST_OPEN_ACCEPTED: of_data,
        Fact.ORIGINATOR_SILENT: ~rows.has_spoken[ORIGINATOR::2],
        Fact.RESPONDER_SILENT: ~rows.of_responders(rows.has_spoken),
        Fact.ORIGINATOR_FIN_INFERRED: numbers.inferred_fin_row[ORIGINATOR::2] >= 0,
        Fact.RESPONDER_FIN_INFERRED: numbers.inferred_fin_row[RESPONDER::2] >= 0,
        Fact.SYN_ACK_INFERRED: numbers.inferred_syn_ack_row >= 0,
        Fact.ACK_INFERRED: numbers.inferred_ack_row >= 0,
        Fact.CROSSING_SYN: numbers.crossing_syn[RESPONDER::2],
    }
    facts = np.zeros(count, np.int64)
    for fact, claim in claims.items():
        if claim.any():
            facts |= claim * np.int64(fact)
    return facts
