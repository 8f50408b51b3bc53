"""Connections of one shape behave equally: the same facts and the same event string give the same verdict.

In: `ConnectionRows` and their `Events`. Out: the number of each connection's shape, and the `Shape`s themselves, of
which a million ordinary connections have some dozens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.events import Events
from handshake_inspect.connections.machine import AS_CLOSED, AS_ESTABLISHED, AS_LISTEN, NOTHING, UNHEARD
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.rows import ACK, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows

#: Octets of an event string that fit into one word.
WORD_OCTETS = 8


class Fact(IntFlag):
    """What a verdict needs to know beside the event string."""

    SYN_CAPTURED = 1 << 0
    SYN_ACK_CAPTURED = 1 << 1  # with the right number
    ACK_CAPTURED = 1 << 2  # a third segment with the right numbers
    WRONG_SYN_ACK = 1 << 3
    WRONG_ACK = 1 << 4  # segments with ACK from the originator, but no third one with exactly the right numbers
    OPENING_KNOWN = 1 << 5  # a SYN or SYN-ACK was captured: the capture does not begin later
    BOTH_SYN = 1 << 6  # both ends sent a SYN without ACK
    SELF_CONNECT = 1 << 7
    FAST_OPEN_REQUESTED = 1 << 8  # RFC 7413: the option on a SYN
    FAST_OPEN_DATA = 1 << 9  # octets on the SYN
    FAST_OPEN_ACCEPTED = 1 << 10  # the SYN-ACK acknowledges octets on the SYN
    UNREACHABLE = 1 << 11  # an ICMP error quotes the SYN, and says that it was not delivered
    ORIGINATOR_SILENT = 1 << 12  # none of its segments was captured
    RESPONDER_SILENT = 1 << 13
    ORIGINATOR_FIN_INFERRED = 1 << 14
    RESPONDER_FIN_INFERRED = 1 << 15
    SYN_ACK_INFERRED = 1 << 16
    ACK_INFERRED = 1 << 17
    CROSSING_SYN = 1 << 18  # the responder's SYN without ACK was not captured, but answered


@dataclass(frozen=True)
class Shape:
    """One behaviour."""

    facts: Fact
    #: How each end starts (`machine.AS_CLOSED` ...).
    start: tuple[int, int]
    #: Event codes (`events`).
    codes: bytes


def find_shapes(
    rows: ConnectionRows, events: Events, fast_open_option: NDArray[np.bool_], unreachable: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], list[Shape]]:
    """Number the shapes of all connections. Returns the shape of each connection and the shapes.

    `fast_open_option` says of each `Names.options` number whether it has the Fast Open option, `unreachable` of each
    connection whether an ICMP error says that its SYN was not delivered.
    """
    starts = _starts(rows, events)
    facts = _facts(rows, events, fast_open_option) | np.where(unreachable, int(Fact.UNREACHABLE), 0)
    head = facts << 8 | starts[:, ORIGINATOR] << 4 | starts[:, RESPONDER]
    words = _words(events, rows.connections)
    number = np.unique(head, return_inverse=True)[1]
    for column in range(words.shape[1]):
        distinct, inverse = np.unique(words[:, column], return_inverse=True)
        number = np.unique(number * len(distinct) + inverse, return_inverse=True)[1]
    _, first = np.unique(number, return_index=True)
    shapes = []
    for conn in map(int, first):
        codes = events.code[events.start[conn] : events.start[conn + 1]].tobytes()
        start = (int(starts[conn, ORIGINATOR]), int(starts[conn, RESPONDER]))
        shapes.append(Shape(Fact(int(facts[conn])), start, codes))
    return number, shapes


def _words(events: Events, connections: int) -> NDArray[np.uint64]:
    """Pack the event strings into words, zero-padded. Shape (m, words of the longest string)."""
    length = np.diff(events.start)
    longest = int(length.max(initial=0))
    words = np.zeros((connections, -(-longest // WORD_OCTETS)), np.uint64)
    at = np.arange(len(events.code)) - np.repeat(events.start[:-1], length)
    conn = np.repeat(np.arange(connections), length)
    octets = words.view(np.uint8).reshape(connections, -1)
    octets[conn, at] = events.code
    return words


def _starts(rows: ConnectionRows, events: Events) -> NDArray[np.int64]:
    """How each end starts. Shape (m, 2)."""
    numbers, count = events.numbers, rows.connections
    originator, responder = np.arange(count) * 2, np.arange(count) * 2 + 1
    known = rows.iss_known[:, ORIGINATOR]
    spoke = np.bincount(rows.end[(rows.flags & RST) == 0], minlength=2 * count) > 0
    acked = np.bincount(rows.peer[(rows.flags & (RST | ACK)) == ACK], minlength=2 * count) > 0
    reset = np.bincount(rows.end[(rows.flags & RST) != 0], minlength=2 * count) > 0
    # Of an end that only sent RSTs an acknowledgment proves nothing: it may never have had a connection.
    synchronized = spoke | (acked & ~reset)

    starts = np.full((count, 2), NOTHING, np.int64)
    for side, end in ((ORIGINATOR, originator), (RESPONDER, responder)):
        starts[:, side] = np.where(~known, np.where(synchronized[end], AS_ESTABLISHED, UNHEARD), NOTHING)
    starts[known, ORIGINATOR] = AS_CLOSED
    passive = known & (numbers.bare_syn_row[responder] < 0) & ~numbers.crossing_syn[responder]
    answered = (numbers.syn_ack_row[responder] >= 0) | (numbers.wrong_syn_ack_row[responder] >= 0)
    answered |= events.syn_received[responder] != NEVER
    starts[passive & answered, RESPONDER] = AS_LISTEN
    starts[passive & ~answered & reset[responder], RESPONDER] = AS_CLOSED
    starts[known & ~passive, RESPONDER] = AS_CLOSED
    return starts


def _facts(rows: ConnectionRows, events: Events, fast_open_option: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Collect the facts of each connection. Shape (m,)."""
    numbers, count = events.numbers, rows.connections
    originator = np.arange(count) * 2
    responder = np.where(rows.self_connect, originator, originator + 1)
    bare = numbers.bare_syn_row[originator]
    answer = numbers.syn_ack_row[responder]
    flags, side = rows.flags, rows.side
    third = ((flags & (SYN | RST | ACK)) == ACK) & ((side == ORIGINATOR) | rows.self_connect[rows.conn])
    right = third & numbers.ack_counts & (rows.ack >= 1) & (rows.seq >= 1)
    exact = right & (rows.seq <= numbers.syn_end[rows.end])
    has_third = np.bincount(rows.conn[third], minlength=count) > 0
    has_right = np.bincount(rows.conn[right], minlength=count) > 0
    has_exact = np.bincount(rows.conn[exact], minlength=count) > 0
    has_row = np.bincount(rows.end, minlength=2 * count) > 0
    octets_on_syn = np.where(bare >= 0, numbers.syn_end[originator] - 1, 0)
    option = np.where(bare >= 0, fast_open_option[rows.options[np.maximum(bare, 0)]], False)

    claims = {
        Fact.SYN_CAPTURED: bare >= 0,
        Fact.SYN_ACK_CAPTURED: answer >= 0,
        Fact.ACK_CAPTURED: has_right,
        Fact.WRONG_SYN_ACK: numbers.wrong_syn_ack_row[responder] >= 0,
        Fact.WRONG_ACK: has_third & ~has_exact,
        Fact.OPENING_KNOWN: rows.iss_known[:, ORIGINATOR],
        Fact.BOTH_SYN: (numbers.bare_syn_row[originator + 1] >= 0) & (bare >= 0),
        Fact.SELF_CONNECT: rows.self_connect,
        Fact.FAST_OPEN_REQUESTED: option,
        Fact.FAST_OPEN_DATA: octets_on_syn > 0,
        Fact.FAST_OPEN_ACCEPTED: (octets_on_syn > 0) & (answer >= 0) & (rows.ack[np.maximum(answer, 0)] > 1),
        Fact.ORIGINATOR_SILENT: ~has_row[originator],
        Fact.RESPONDER_SILENT: ~has_row[responder],
        Fact.ORIGINATOR_FIN_INFERRED: numbers.inferred_fin_row[originator] >= 0,
        Fact.RESPONDER_FIN_INFERRED: numbers.inferred_fin_row[originator + 1] >= 0,
        Fact.SYN_ACK_INFERRED: numbers.inferred_syn_ack_row >= 0,
        Fact.ACK_INFERRED: numbers.inferred_ack_row >= 0,
        Fact.CROSSING_SYN: numbers.crossing_syn[originator + 1],
    }
    facts = np.zeros(count, np.int64)
    for fact, claim in claims.items():
        facts |= np.where(claim, int(fact), 0)
    return facts
