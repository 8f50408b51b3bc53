"""Rows -> tokens: small numbers with everything about a row that Zeek's rules use; and strings of them.

In: `ConnectionRows`, their `Reach` and `Gaps`. Out: the distinct token strings, and the number of each connection's, so
that `rules` processes each string once. Rules followed: Zeek 7 (TCPSessionAdapter, TCP_Endpoint).

**Once per string.** Zeek processes every packet. Nearly all of them change neither the state of an end nor the history.
Rows that cannot matter are left out. A row matters if it is the first of its kind from its end, a SYN, FIN or RST with
another number than the one before, the 1st, 10th, 100th ... zero window, repeated payload or gap of its end, or an
answer that Zeek does not accept at once.

**Intended differences from Zeek.** Checksums are not checked (no `c`), payload is not parsed (no `x`). For SYNs, FINs
and RSTs whose numbers keep changing, `MOST_REPEATS` letters each are written. An ignored SYN (answered only by a
challenge ACK) is left out; Zeek and Wireshark begin another connection with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    KEY_BITS,
    KEY_PAYLOAD,
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
)
from handshake_inspect.connections.splitting.split import first_of
from handshake_inspect.connections.zeek.gaps import Gaps, gap_letters
from handshake_inspect.connections.zeek.reach import BELIEVED_JUMP_OCTETS, Reach, at_thresholds, repeated_payload
from handshake_inspect.sets import begins_run, first_of_equal, numbered

#: For each row one of `PURE_ACK` ... `ODD`.
Kinds = NDArray[np.uint8]

#: Most letters for SYNs (FINs, RSTs) with another number than the one before: Zeek writes all, even of a storm.
MOST_REPEATS = 100


class Token:
    """Everything that Zeek's rules use of a row. Bits of plain integers: an enum's make the walk 4 times slower."""

    FIN = 1 << 0
    SYN = 1 << 1
    RST = 1 << 2
    ACK = 1 << 3  # only where it matters: not with FIN or RST alone
    DATA = 1 << 4  # payload, without SYN, FIN and RST
    BY_RESPONDER = 1 << 5
    AGAIN = 1 << 6  # its end sent this control bit before, with another number
    ZERO_WINDOW = 1 << 7  # the 1st, 10th, 100th ... of its end; likewise GAP and REPEATS
    EMPTY = 1 << 9  # on a connection's first row: both ends sent an RST, and neither an octet
    GAP = 1 << 10  # times 0 to 7: letters for gaps in what the peer sent, revealed by this row's ACK
    REPEATS = 1 << 13  # times 0 to 7: letters for payload that ends at or below the highest number of its end


CONTROL = Token.FIN | Token.SYN | Token.RST
#: The most letters that a token can count, and the bits at which the counts begin.
MOST_LETTERS, GAP_SHIFT, REPEATS_SHIFT = 7, 10, 13

# Kinds of rows of which the first from each end matters. Odd ones are distinguished by their whole token.
PURE_ACK, DATA, BARE_SYN, SYN_ACK, ONLY_FIN, ONLY_RST, NOTHING, ODD = range(8)
KINDS = 8


def _token_of(flags: int, has_payload: bool) -> int:
    token = flags & CONTROL
    if token & Token.SYN or not token:
        token |= Token.ACK if flags & ACK else 0
    if not flags & CONTROL and has_payload:
        token |= Token.DATA
    return token


TOKEN = np.array([_token_of(key & KEY_BITS, bool(key & KEY_PAYLOAD)) for key in range(2 * KEY_PAYLOAD)], np.int64)
KIND_OF_TOKEN = {
    Token.ACK: PURE_ACK,
    Token.DATA | Token.ACK: DATA,
    Token.SYN: BARE_SYN,
    Token.SYN | Token.ACK: SYN_ACK,
    Token.FIN: ONLY_FIN,
    Token.RST: ONLY_RST,
    0: NOTHING,
}
KIND = np.array([KIND_OF_TOKEN.get(int(token), ODD) for token in TOKEN], np.uint8)


def token_strings(rows: ConnectionRows, keys: Rows, reach: Reach, gaps: Gaps) -> tuple[Rows, list[bytes]]:
    """Return the number of each connection's token string, shape (m,), and the strings. `keys`: `control_keys`."""
    tokens, matters = _tokens(rows, keys, reach, gaps)
    at = np.flatnonzero(matters)
    return _distinct_strings(tokens[at], rows.conn[at])


def _tokens(rows: ConnectionRows, keys: Rows, reach: Reach, gaps: Gaps) -> tuple[Rows, Mask]:
    """Return the token of each row, and which rows matter. Shapes (n,)."""
    end, kind = rows.end, KIND.take(keys)
    tokens = TOKEN.take(keys) | (rows.side << 5)
    taken = ~rows.ignored_syn
    matters = np.zeros(len(rows), np.bool_)
    firsts = _first_of_kinds(rows, kind, taken)
    for first in firsts.values():
        matters[first[np.flatnonzero(first >= 0)]] = True
    odd = np.flatnonzero(taken & (kind == ODD))
    matters[odd[first_of_equal(end[odd] << 5 | tokens[odd] & 31)]] = True

    _mark(tokens, matters, _with_other_number(rows, kind, taken, matters, firsts), Token.AGAIN)
    _mark(tokens, matters, at_thresholds(end, *_zero_windows(rows))[0], Token.ZERO_WINDOW)
    # One row of a long transfer may count the copies of many segments.
    for (at, letters), shift in (
        (at_thresholds(end, *repeated_payload(rows, reach)), REPEATS_SHIFT),
        (gap_letters(rows, gaps), GAP_SHIFT),
    ):
        _mark(tokens, matters, at[letters > 0], np.minimum(letters, MOST_LETTERS)[letters > 0] << shift)
    matters[_hesitant_answers(rows, kind, matters, firsts)] = True
    empty = _without_octets(rows, reach)
    tokens[rows.start[empty]] |= Token.EMPTY
    return tokens, matters


def _first_of_kinds(rows: ConnectionRows, kind: Kinds, taken: Mask) -> dict[int, Rows]:
    """Return the first row of each end for each kind of row that occurs; -1 if it has none. Shapes (2m,)."""
    kinds = np.flatnonzero(np.bincount(kind, minlength=KINDS)).tolist()
    return {one: first_of(rows.end, taken & (kind == one), 2 * rows.connections) for one in kinds}


def _mark(tokens: Rows, matters: Mask, at: Rows, what: int | Rows) -> None:
    tokens[at] |= what
    matters[at] = True


def _with_other_number(rows: ConnectionRows, kind: Kinds, taken: Mask, first: Mask, firsts: dict[int, Rows]) -> Rows:
    """Return the SYNs, FINs and RSTs whose number differs from the previous one of the same end and control bit."""
    single = taken & (kind >= BARE_SYN) & (kind <= ONLY_RST)
    suspect = np.zeros(rows.connections, np.bool_)
    suspect[rows.conn.take(np.flatnonzero(single & ~first))] = True
    if BARE_SYN in firsts and SYN_ACK in firsts:
        suspect[np.flatnonzero((firsts[BARE_SYN] >= 0) & (firsts[SYN_ACK] >= 0)) >> 1] = True
    if not suspect.any():
        return np.zeros(0, np.int64)
    at = np.flatnonzero(single & suspect[rows.conn])
    # Zeek stores one last SYN per end, with ACK or without.
    group = rows.end[at] << 3 | np.where(kind[at] == SYN_ACK, BARE_SYN, kind[at])
    order = np.argsort(group, kind="stable")
    at, group = at[order], group[order]
    number = rows.seq[at] + np.where(kind[at] == ONLY_FIN, rows.payload[at], 0)
    other = np.flatnonzero((group[1:] == group[:-1]) & (number[1:] != number[:-1])) + 1
    return at[other[_rank(group[other]) < MOST_REPEATS]]


def _rank(group: Rows) -> Rows:
    """Count the equal values before each value of a sorted array."""
    place = np.arange(len(group))
    return place - np.searchsorted(group, group)


def _zero_windows(rows: ConnectionRows) -> tuple[Rows, Rows]:
    """Return the rows with a zero window, and how many each counts, second copies of the segment included."""
    at = np.flatnonzero((rows.window == 0) & ((rows.flags & RST) == 0) & ~rows.ignored_syn)
    return at, 1 + rows.duplicates[at] - rows.folded_copies[at]


def _hesitant_answers(rows: ConnectionRows, kind: Kinds, matters: Mask, firsts: dict[int, Rows]) -> Rows:
    """Return empty segments of responders whose first segment after a SYN is empty.

    Zeek does not take it as an answer while the originator has sent nothing but its SYN: so the first empty segment
    after each SYN, FIN or RST of the originator matters.
    """
    if BARE_SYN not in firsts or (PURE_ACK not in firsts and NOTHING not in firsts):
        return np.zeros(0, np.int64)
    opened = firsts[BARE_SYN][ORIGINATOR::2] >= 0
    answers = {one: np.where(first[1::2] < 0, NEVER, first[1::2]) for one, first in firsts.items()}
    never = np.full(rows.connections, NEVER)
    empty = np.minimum(answers.get(PURE_ACK, never), answers.get(NOTHING, never))
    hesitant = opened & (empty != NEVER) & (empty == np.minimum.reduce([*answers.values()]))
    if not hesitant.any():
        return np.zeros(0, np.int64)
    acts = np.cumsum(matters & (rows.side == ORIGINATOR) & ((rows.flags & (SYN | FIN | RST)) != 0))
    is_empty = ((kind == PURE_ACK) | (kind == NOTHING)) & (rows.side == RESPONDER) & ~rows.ignored_syn
    at = np.flatnonzero(is_empty & hesitant[rows.conn])
    return at[begins_run(acts[at], rows.conn[at])]


def _without_octets(rows: ConnectionRows, reach: Reach) -> Rows:
    """Return the connections that both ends reset and in which neither has sent an octet, by Zeek's arithmetic."""
    resets = np.bincount(rows.end[(rows.flags & RST) != 0], minlength=2 * rows.connections)
    reset: Mask = (resets[0::2] > 0) & (resets[1::2] > 0)
    if not reset.any():
        return np.zeros(0, np.int64)
    at = np.flatnonzero(reset[rows.conn] & ~rows.ignored_syn)
    end, peer, flags = rows.end[at], rows.peer[at], rows.flags[at]
    ordinary = (flags & RST) == 0
    highest = np.full(2 * rows.connections, 1, np.int64)
    np.maximum.at(highest, end, reach.before[at])
    np.maximum.at(highest, end[ordinary], rows.seq_end[at][ordinary])
    acknowledges = ordinary & ((flags & ACK) != 0) & (reach.peer[at] > UNKNOWN)
    np.maximum.at(highest, peer[acknowledges], rows.ack[at][acknowledges])
    believed = ~ordinary & (np.abs(rows.seq[at] - highest[end]) <= BELIEVED_JUMP_OCTETS)
    np.maximum.at(highest, end[believed], rows.seq[at][believed])
    closed = np.bincount(end[(flags & FIN) != 0], minlength=2 * rows.connections) > 0
    octets = (highest - 1 - closed).reshape(-1, 2).max(axis=1)
    return np.flatnonzero(reset & (octets <= 0))


def _distinct_strings(tokens: Rows, conn: Rows) -> tuple[Rows, list[bytes]]:
    """Number the token strings of all connections. Returns the number of each connection's string, and the strings.

    `tokens` are sorted by connection; every connection has at least one. Few different tokens occur, so a dozen of them
    fit into one word; longer strings are distinguished word by word, over ever fewer connections.
    """
    if not len(tokens):
        return np.zeros(0, np.int64), []
    codes = np.cumsum(np.bincount(tokens) > 0)  # from 1: 0 pads
    bits = int(codes[-1]).bit_length()
    per_word = 63 // bits
    length = np.bincount(conn)
    begin = np.cumsum(length) - length
    place = np.arange(len(conn)) - begin.take(conn)
    shift = (np.arange(int(length.max())) % per_word * bits).take(place)
    starts = np.flatnonzero(shift == 0)
    words = np.add.reduceat(codes.take(tokens) << shift, starts)
    word_place, word_conn = place[starts] // per_word, conn[starts]

    number = np.zeros(len(begin), np.int64)
    known = 0
    for nth in range(int(word_place.max()) + 1):
        here = word_place == nth
        distinct, which = numbered(words[here])
        if nth:
            distinct, which = numbered(number[word_conn[here]] * len(distinct) + which)
        number[word_conn[here]] = known + which
        known += len(distinct)
    shape = (np.cumsum(np.bincount(number) > 0) - 1).take(number)
    example = np.zeros(int(shape.max()) + 1, np.int64)
    example[shape[::-1]] = np.arange(len(shape))[::-1]
    octets = tokens.astype(np.uint16).tobytes()
    first, behind = begin[example], begin[example] + length[example]
    strings = [octets[2 * a : 2 * b] for a, b in zip(first.tolist(), behind.tolist(), strict=True)]
    return shape, strings
