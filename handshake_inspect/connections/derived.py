"""Other tools' words for a connection: Zeek's `conn_state` and `history`, Wireshark's `tcp.completeness`.

In: `ConnectionRows`. Out: `Derived`. The rules are those tools' own, with their quirks: they are for cross-checking and
for filters that people bring along; our verdicts stand elsewhere. Rules followed: Zeek 7 (TCPSessionAdapter,
TCP_Endpoint, TCP_Reassembler, base/protocols/conn), Wireshark 4.0 (packet-tcp.c, as `tshark -2` prints it).

**Once per shape.** Zeek walks over every packet. Nearly all of them change nothing: not the state of an end, not the
history. So each row becomes a token, a small number that says all that Zeek's rules can ask of it; rows that cannot
matter are left out; equal token strings are walked once, in plain Python (`watch`), and the answer is broadcast.
A row matters if it is the first of its kind from its end, a SYN, FIN or RST with another number than the one before,
or the 1st, 10th, 100th ... zero window, repeated payload or gap of its end.

**Where we differ from Zeek, knowingly.** Checksums are not judged (no `c`), payload is not parsed (no `x`), and what
the snapshot length cut off is no gap: the header says it was there. Timers do not end a connection. Roles are ours, not
guessed from ports: `^` stands in front where the responder was captured first, and a SYN captured after its SYN-ACK
establishes both ends. A repeated SYN-ACK does not take the highest number back. Counting for the logarithmic letters
goes on while a state hides them. Of SYNs, FINs and RSTs with ever new numbers, `MOST_REPEATS` letters each are written.
An ignored SYN (a challenge ACK is all it gets) is left out; Zeek and Wireshark begin another connection with it.

**Folded rows.** Nothing depends on the rows that `compact` folds as long as each continues its direction exactly, is
not the first of its kind, has a window, is captured before it is acknowledged, and acknowledges neither what was not
captured nor, for the first time, a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.events import NEVER, RANGE, UNKNOWN, row_before, running_maximum
from handshake_inspect.connections.rows import ACK, FIN, ORIGINATOR, RESPONDER, RST, SYN, ConnectionRows
from handshake_inspect.connections.split import first_of

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Letters for SYNs (FINs, RSTs) with another number than the one before: Zeek writes all, also of a storm.
MOST_REPEATS = 100
#: Zeek does not believe the number of an RST that lies further from the highest one seen.
BELIEVED_JUMP_OCTETS = 1 << 20


@dataclass
class Derived:
    """The words of `m` connections."""

    #: Number of each connection's behaviour in Zeek's eyes. Shape (m,).
    shape: Rows
    #: Zeek's `conn_state` and `history` of each behaviour.
    state_of_shape: list[str]
    history_of_shape: list[str]
    #: Wireshark's `tcp.completeness`: SYN 1, SYN-ACK 2, ACK 4, data 8, FIN 16, RST 32. Shape (m,).
    completeness: NDArray[np.uint8]

    @property
    def conn_state(self) -> list[str]:
        """Zeek's `conn_state` of each connection: S0, SF, REJ, ..."""
        return [self.state_of_shape[number] for number in self.shape.tolist()]

    @property
    def history(self) -> list[str]:
        """Zeek's `history` of each connection: "ShADadFf" ..."""
        return [self.history_of_shape[number] for number in self.shape.tolist()]


def derive(rows: ConnectionRows) -> Derived:
    """Derive the words of all connections. Every connection has a row that is not an ignored SYN."""
    keys = _keys(rows)
    tokens, matters = _tokens(rows, keys, _reach(rows))
    at = np.flatnonzero(matters)
    shape, strings = _distinct_strings(tokens[at], rows.conn[at])
    answers = [watch(string) for string in strings]
    states, histories = [state for state, _ in answers], [history for _, history in answers]
    return Derived(shape, states, histories, _completeness(rows, keys))


# --- Wireshark -------------------------------------------------------------------------------------------------------

WS_SYN, WS_SYN_ACK, WS_ACK, WS_DATA, WS_FIN, WS_RST = (1 << bit for bit in range(6))


def _completeness_of(flags: int, has_payload: bool) -> int:
    """Bits that one row adds, wherever it stands. A bare SYN adds none: only the first row's counts."""
    bits = WS_RST if flags & RST else 0
    if flags & (SYN | ACK) == SYN | ACK:
        bits |= WS_SYN_ACK
    if flags & (SYN | ACK) == ACK:
        bits |= WS_DATA if has_payload else WS_ACK
    if flags & (FIN | ACK) == FIN | ACK:
        bits |= WS_FIN
    return bits


#: Control bits as in the header, the lower five of them; above them whether there is payload.
KEY_BITS, KEY_PAYLOAD = 0x1F, 1 << 5
COMPLETENESS = np.array(
    [_completeness_of(key & KEY_BITS, bool(key & KEY_PAYLOAD)) for key in range(2 * KEY_PAYLOAD)], np.uint8
)


def _keys(rows: ConnectionRows) -> Rows:
    """Control bits and presence of payload of each row, as an index into tables. Shape (n,)."""
    return ((rows.flags & np.uint16(KEY_BITS)) | (rows.payload > 0) * np.uint16(KEY_PAYLOAD)).astype(np.int64)


def _completeness(rows: ConnectionRows, keys: Rows) -> NDArray[np.uint8]:
    """What was seen of each connection. Shape (m,).

    Wireshark looks for the bare SYN in a conversation's first packet only. What else that packet is, it notices in its
    second pass, after it was printed: so a conversation of one packet has no bit but that of a bare SYN.
    """
    bits = COMPLETENESS.take(keys)
    bits[np.flatnonzero(rows.ignored_syn)] = 0
    begin = rows.start[:-1]
    seen: NDArray[np.uint8] = np.bitwise_or.reduceat(bits, begin) if len(begin) else np.zeros(0, np.uint8)
    seen[(np.diff(rows.start) == 1) & (rows.duplicates[begin] == 0)] = 0
    bare = (rows.flags[begin] & (SYN | ACK)) == SYN
    seen[bare] |= WS_SYN
    seen[bare & (rows.payload[begin] > 0)] |= WS_DATA
    return seen


# --- Zeek: rows -> tokens --------------------------------------------------------------------------------------------


class Token:
    """All that Zeek's rules can ask of a row. Bits of plain integers: those of an enum make the walk 4 times slower."""

    FIN = 1 << 0
    SYN = 1 << 1
    RST = 1 << 2
    ACK = 1 << 3  # where it matters: not with FIN or RST alone
    DATA = 1 << 4  # payload, without SYN, FIN and RST
    BY_RESPONDER = 1 << 5
    AGAIN = 1 << 6  # its end sent this control bit before, with another number
    ZERO_WINDOW = 1 << 7  # the 1st, 10th, 100th ... of its end, as the next two
    REPEATS = 1 << 8  # payload that ends at or below the highest number of its end
    EMPTY = 1 << 9  # on a connection's first row: both ends sent an RST, and neither an octet
    GAP = 1 << 10  # times 0 to 7: letters for gaps in what the peer sent, revealed by this row's ACK


CONTROL = Token.FIN | Token.SYN | Token.RST
GAP_SHIFT = 10

# Kinds of rows of which the first from each end matters. Odd ones are told apart by their whole token.
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
KIND = np.array([KIND_OF_TOKEN.get(int(token), ODD) for token in TOKEN], np.int64)


@dataclass
class Reach:
    """Highest numbers at each row. RSTs and ignored SYNs do not count. Shapes (n,); UNKNOWN where there is none."""

    #: Sent by its own end before this row (in what stayed: segments folded into this row come after it).
    before: Rows
    #: Sent by its peer so far.
    peer: Rows
    #: Rows that count.
    counts: Mask


def _reach(rows: ConnectionRows) -> Reach:
    counts = ~rows.ignored_syn & ((rows.flags & RST) == 0)
    by_originator = rows.side == ORIGINATOR
    # As `running_maximum`, with the numbers of each connection in a range of their own until the end.
    lift = rows.conn * RANGE
    ends, nothing = rows.seq_end + lift, lift + UNKNOWN
    sent = [np.maximum.accumulate(np.where(counts & mask, ends, nothing)) for mask in (by_originator, ~by_originator)]
    before = np.full(len(rows), UNKNOWN, np.int64)
    before[1:] = np.where(by_originator[1:], sent[ORIGINATOR][:-1], sent[RESPONDER][:-1])
    return Reach(
        before=np.maximum(before - lift, UNKNOWN),
        peer=np.where(by_originator, sent[RESPONDER], sent[ORIGINATOR]) - lift,
        counts=counts,
    )


def _tokens(rows: ConnectionRows, keys: Rows, reach: Reach) -> tuple[Rows, Mask]:
    """Return the token of each row, and which rows matter. Shapes (n,)."""
    end, kind = rows.end, KIND.take(keys)
    tokens = TOKEN.take(keys) | (rows.side << 5)
    taken = ~rows.ignored_syn
    group = end * KINDS + kind
    firsts = first_of(group, taken, 2 * rows.connections * KINDS)
    matters = firsts.take(group) == np.arange(len(rows))
    odd = np.flatnonzero(taken & (kind == ODD))
    matters[odd[np.unique(end[odd] << 5 | tokens[odd] & 31, return_index=True)[1]]] = True
    by_end = firsts.reshape(-1, 2, KINDS)

    _mark(tokens, matters, _with_other_number(rows, kind, taken, matters, by_end), Token.AGAIN)
    _mark(tokens, matters, _at_thresholds(end, _zero_windows(rows)), Token.ZERO_WINDOW)
    _mark(tokens, matters, _at_thresholds(end, _repeated_payload(rows, reach)), Token.REPEATS)
    acks, letters = _gap_letters(rows, reach)
    tokens[acks] |= np.minimum(letters, 7) << GAP_SHIFT
    matters[acks] = True
    matters[_hesitant_answers(rows, kind, matters, by_end)] = True
    empty = _without_octets(rows, reach)
    tokens[rows.start[empty]] |= Token.EMPTY
    return tokens, matters


def _mark(tokens: Rows, matters: Mask, at: Rows, what: int) -> None:
    tokens[at] |= what
    matters[at] = True


def _with_other_number(rows: ConnectionRows, kind: Rows, taken: Mask, first: Mask, by_end: Rows) -> Rows:
    """Return the SYNs, FINs and RSTs whose number differs from the one before of their end and control bit."""
    single = taken & (kind >= BARE_SYN) & (kind <= ONLY_RST)
    both_syns: Mask = (by_end[:, :, BARE_SYN] >= 0) & (by_end[:, :, SYN_ACK] >= 0)
    suspect = both_syns[:, ORIGINATOR] | both_syns[:, RESPONDER]
    suspect[rows.conn[single & ~first]] = True
    if not suspect.any():
        return np.zeros(0, np.int64)
    at = np.flatnonzero(single & suspect[rows.conn])
    # Zeek knows one last SYN per end, with ACK or without.
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


def _zero_windows(rows: ConnectionRows) -> Rows:
    """Count the zero windows of each row, second copies of the segment included. Shape (n,)."""
    zero = (rows.window == 0) & ((rows.flags & RST) == 0) & ~rows.ignored_syn
    return np.where(zero, 1 + rows.duplicates, 0)


def _repeated_payload(rows: ConnectionRows, reach: Reach) -> Rows:
    """Count the copies of each row's payload of which Zeek has seen the last octet, or a higher one, before.

    Payload on a first SYN counts as repeated, as Zeek takes the SYN's end for the highest number before it looks; that
    of an RST occupies no numbers. Shape (n,).
    """
    special = (rows.flags & (SYN | RST)) != 0
    maybe = (rows.payload > 0) & ((rows.seq_end <= reach.before) | special | (rows.duplicates > 0))
    count = np.zeros(len(rows), np.int64)
    at = np.flatnonzero(maybe & ~rows.ignored_syn)
    is_rst, is_syn = (rows.flags[at] & RST) != 0, (rows.flags[at] & SYN) != 0
    advance = rows.seq_end[at] - np.where(is_rst, rows.payload[at], 0) - reach.before[at]
    repeats = np.where(reach.before[at] == UNKNOWN, is_syn, advance <= 0)
    repeats &= ~(is_rst & (advance < -BELIEVED_JUMP_OCTETS))
    count[at] = repeats + np.where(is_rst, 0, rows.duplicates[at])
    return count


def _hesitant_answers(rows: ConnectionRows, kind: Rows, matters: Mask, by_end: Rows) -> Rows:
    """Return empty segments of responders whose first word to a SYN is such a segment.

    Zeek does not take that for an answer as long as the originator has sent nothing but its SYN: so the first one after
    each SYN, FIN or RST of the originator matters.
    """
    answer, opened = by_end[:, RESPONDER], by_end[:, ORIGINATOR, BARE_SYN] >= 0
    has_empty = (answer[:, PURE_ACK] >= 0) | (answer[:, NOTHING] >= 0)
    maybe = np.flatnonzero(opened & has_empty & ((answer[:, SYN_ACK] < 0) | (answer[:, SYN_ACK] > answer[:, PURE_ACK])))
    first = np.where(answer[maybe] < 0, NEVER, answer[maybe])
    hesitant = np.zeros(rows.connections, np.bool_)
    hesitant[maybe] = np.minimum(first[:, PURE_ACK], first[:, NOTHING]) == first.min(axis=1)
    if not hesitant.any():
        return np.zeros(0, np.int64)
    acts = np.cumsum(matters & (rows.side == ORIGINATOR) & ((rows.flags & (SYN | FIN | RST)) != 0))
    is_empty = ((kind == PURE_ACK) | (kind == NOTHING)) & (rows.side == RESPONDER) & ~rows.ignored_syn
    at = np.flatnonzero(is_empty & hesitant[rows.conn])
    fresh = np.ones(len(at), np.bool_)
    fresh[1:] = (acts[at][1:] != acts[at][:-1]) | (rows.conn[at][1:] != rows.conn[at][:-1])
    return at[fresh]


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


# --- Zeek: letters that are written at powers of ten -----------------------------------------------------------------

THRESHOLDS = 10 ** np.arange(16)


def _at_thresholds(end: Rows, count: Rows) -> Rows:
    """Return the rows that hold the 1st, 10th, 100th ... occurrence of their end. `count`: of each row, shape (n,)."""
    candidates = np.flatnonzero(count)
    at, letters = _letters(candidates, end[candidates], count[candidates])
    return at[letters > 0]


def _letters(at: Rows, end: Rows, count: Rows) -> tuple[Rows, Rows]:
    """Return rows with `count` occurrences each, sorted by `end`, and how many thresholds each row passes."""
    if not len(at):
        return at, count
    order = np.argsort(end, kind="stable")
    at, end, count = at[order], end[order], count[order]
    total = np.cumsum(count)
    before = total - count
    before_end = before[np.searchsorted(end, end)]
    passed = np.searchsorted(THRESHOLDS, [before - before_end, total - before_end], side="right")
    return at, passed[1] - passed[0]


# --- Zeek: gaps ------------------------------------------------------------------------------------------------------


def _gap_letters(rows: ConnectionRows, reach: Reach) -> tuple[Rows, Rows]:
    """Return rows whose ACK reveals gaps, and for how many a letter is written.

    A gap is a run of octets that was acknowledged before it was captured. Each acknowledgment that passes a part of one
    reveals one gap: a long gap is counted once for each ACK that was captured while it was passed.
    """
    begin = rows.seq - rows.folded_octets
    ahead = reach.counts & (begin > reach.before) & (reach.before > UNKNOWN) & ((rows.flags & SYN) == 0)
    acks = reach.counts & ((rows.flags & ACK) != 0) & (reach.peer > UNKNOWN)
    peer_reach = reach.peer
    beyond = acks & (rows.ack > peer_reach)
    if beyond.any() and rows.folded_octets.any():
        peer_reach = _with_folded(rows, peer_reach)
        beyond = acks & (rows.ack > peer_reach)
    if not (ahead.any() or beyond.any()):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    by_originator = rows.side == ORIGINATOR
    acked = [running_maximum(rows, rows.ack, acks & mask) for mask in (by_originator, ~by_originator)]
    before = [row_before(rows, one) for one in acked]
    acked_before = np.where(by_originator, before[ORIGINATOR], before[RESPONDER])
    acked_by_peer = np.where(by_originator, acked[RESPONDER], acked[ORIGINATOR])

    skipped = _Spans(rows.end, np.maximum(reach.before, acked_by_peer), begin).where(ahead)
    unseen = _Spans(rows.peer, np.maximum(peer_reach, acked_before), rows.ack).where(beyond)
    fills = _Spans(rows.end, begin, rows.seq_end).where(reach.counts & (begin < reach.before))
    steps = _Spans(rows.peer, acked_before, rows.ack).where(acks)
    revealed = _revealing_acks(skipped.and_also(unseen), fills, steps)
    at, count = np.unique(revealed, return_counts=True)
    return _letters(at, rows.peer[at], count)


def _with_folded(rows: ConnectionRows, peer_reach: Rows) -> Rows:
    """Add to what the peer had sent so far what is folded into its next row: that was captured before it was acked."""
    place, last = np.arange(len(rows)), len(rows) - 1
    next_peer = np.empty(len(rows), np.int64)
    for side in (ORIGINATOR, RESPONDER):
        following = np.minimum.accumulate(np.where(rows.side == side, place, last)[::-1])[::-1]
        next_peer[rows.side != side] = following[rows.side != side]
    folded = (rows.folded_octets[next_peer] > 0) & (rows.end[next_peer] == rows.peer)
    return np.maximum(peer_reach, np.where(folded, rows.seq[next_peer], UNKNOWN))


@dataclass
class _Spans:
    """Runs of numbers [begin, stop) of an end, and the row that each comes from."""

    end: Rows
    begin: Rows
    stop: Rows
    row: Rows = field(default_factory=lambda: np.zeros(0, np.int64))

    def where(self, mask: Mask) -> _Spans:
        """Choose the rows of `mask` whose span is not empty."""
        at = np.flatnonzero(mask & (self.stop > self.begin))
        return _Spans(self.end[at], self.begin[at], self.stop[at], at)

    def and_also(self, more: _Spans) -> _Spans:
        """Put the spans of `more` after these."""
        pairs = ((self.end, more.end), (self.begin, more.begin), (self.stop, more.stop), (self.row, more.row))
        return _Spans(*(np.concatenate(pair) for pair in pairs))

    def lifted(self, ends: Rows) -> _Spans:
        """Keep the spans of `ends` (sorted), on one axis: the numbers of each end in a range of their own."""
        place = np.minimum(np.searchsorted(ends, self.end), len(ends) - 1)
        here = np.flatnonzero(ends[place] == self.end)
        lift = place[here] * RANGE
        return _Spans(place[here], self.begin[here] + lift, self.stop[here] + lift, self.row[here])


def _revealing_acks(holes: _Spans, fills: _Spans, steps: _Spans) -> Rows:
    """Return the row of the ACK that reveals each gap; a row appears as often as it reveals one.

    A hole opened where a segment began, or an ACK lay, beyond the highest number; `fills` are all segments that may
    have filled a part of one; `steps` are the advances of the acknowledgments. All their edges cut the holes into
    pieces, each of which is filled and acknowledged as a whole. A piece not filled when it was acknowledged is a gap.
    """
    if not len(holes.row):
        return holes.row
    ends = np.unique(holes.end)
    holes, fills, steps = (spans.lifted(ends) for spans in (holes, fills, steps))
    if not len(steps.row):
        return steps.row
    by_number = np.argsort(holes.begin)
    hole_begin, hole_stop, hole_end = holes.begin[by_number], holes.stop[by_number], holes.end[by_number]
    by_number = np.argsort(steps.stop)
    ack_number, ack_row, ack_end = steps.stop[by_number], steps.row[by_number], steps.end[by_number]
    cuts = np.unique(np.concatenate([hole_begin, hole_stop, fills.begin, fills.stop, ack_number]))

    filled_by = _earliest_cover(np.searchsorted(cuts, fills.begin), np.searchsorted(cuts, fills.stop), fills.row, cuts)
    begin, stop = cuts[:-1], cuts[1:]
    hole = np.searchsorted(hole_begin, begin, side="right") - 1
    inside = (hole >= 0) & (begin < hole_stop[hole])
    reached = np.minimum(np.searchsorted(ack_number, stop), len(ack_number) - 1)
    acked = (ack_number[reached] >= stop) & (ack_end[reached] == hole_end[hole])
    gap = inside & acked & (ack_row[reached] < filled_by[:-1])
    # Neighbours that one ACK reveals are one gap.
    same = np.zeros(len(gap), np.bool_)
    same[1:] = gap[:-1] & (ack_row[reached[1:]] == ack_row[reached[:-1]])
    revealing: Rows = ack_row[reached[gap & ~same]]
    return revealing


def _earliest_cover(begin: Rows, stop: Rows, row: Rows, cuts: Rows) -> Rows:
    """Return for each piece between cuts the lowest `row` of the spans [begin, stop) over it; NEVER without.

    Each span is two overlapping blocks of 2**k pieces; blocks are handed down by halves, longest first: n log n steps
    however long the spans are.
    """
    lowest = np.full(len(cuts), NEVER, np.int64)
    if not len(row):
        return lowest
    level = np.frexp(stop - begin)[1] - 1
    for k in range(int(level.max()), -1, -1):
        here = level == k
        np.minimum.at(lowest, begin[here], row[here])
        np.minimum.at(lowest, stop[here] - (1 << k), row[here])
        if k:
            half = 1 << (k - 1)
            handed_down = lowest.copy()
            np.minimum(handed_down[half:], lowest[:-half], out=handed_down[half:])
            lowest = handed_down
    return lowest


# --- distinct strings ------------------------------------------------------------------------------------------------


def _distinct_strings(tokens: Rows, conn: Rows) -> tuple[Rows, list[tuple[int, ...]]]:
    """Number the token strings of all connections. Returns the number of each connection's string, and the strings.

    `tokens` are sorted by connection; every connection has one at least. Tokens in use are few, so a dozen of them fit
    into one word; longer strings are told apart word by word, over ever fewer connections.
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
        distinct, inverse = np.unique(words[here], return_inverse=True)
        if nth:
            pair = number[word_conn[here]] * len(distinct) + inverse
            distinct, inverse = np.unique(pair, return_inverse=True)
        number[word_conn[here]] = known + inverse
        known += len(distinct)
    _, example, shape = np.unique(number, return_index=True, return_inverse=True)
    strings = [tuple(tokens[begin[one] : begin[one] + length[one]].tolist()) for one in example]
    return shape.astype(np.int64), strings


# --- Zeek: what it sees of one connection ----------------------------------------------------------------------------


class Seen(IntEnum):
    """Zeek's states of one end."""

    INACTIVE = 0
    SYN_SENT = 1
    SYN_ACK_SENT = 2
    PARTIAL = 3
    ESTABLISHED = 4
    CLOSED = 5
    RESET = 6


@dataclass
class _End:
    state: Seen = Seen.INACTIVE
    before: Seen = Seen.INACTIVE

    def move(self, state: Seen) -> None:
        if state != self.state:
            self.before, self.state = self.state, state

    def is_clean(self) -> bool:
        """Is it established, or was it until its FIN? Gaps count between such ends only."""
        return Seen.ESTABLISHED in ((self.state, self.before) if self.state is Seen.CLOSED else (self.state,))


@lru_cache(maxsize=1 << 16)
def watch(tokens: Sequence[int]) -> tuple[str, str]:
    """Walk over a connection as Zeek does. Returns its `conn_state` and its `history`."""
    ends = (_End(), _End())
    history: list[str] = ["^"] if tokens[0] & Token.BY_RESPONDER else []
    written: set[str] = set()
    for token in tokens:
        side = RESPONDER if token & Token.BY_RESPONDER else ORIGINATOR
        sender, peer = ends[side], ends[1 - side]
        history.extend(_cased(_letter(token, side, sender, written), side))
        if token & Token.ZERO_WINDOW and peer.state != Seen.CLOSED and sender.state != Seen.RESET:
            history.append(_cased("W", side))
        if token & Token.REPEATS and sender.state != Seen.RESET:
            history.append(_cased("T", side))
        _advance(token, side, sender, peer)
        if sender.is_clean() and peer.is_clean():
            history.append(_cased("G", 1 - side) * (token >> GAP_SHIFT))
    text = "".join(history)
    return _conn_state(ends[ORIGINATOR], ends[RESPONDER], text, bool(tokens[0] & Token.EMPTY)), text


def _cased(letters: str, side: int) -> str:
    return letters.lower() if side == RESPONDER else letters


def _letter(token: int, side: int, sender: _End, written: set[str]) -> str:
    """Return the letter of a row's control bits, "" if it is not to be written (again)."""
    control = token & CONTROL
    if control & (control - 1):  # more than one bit
        letter = "I" if control & Token.FIN and control & Token.RST else "Q"
    elif control:
        letter = {Token.SYN: "H" if token & Token.ACK else "S", Token.FIN: "F", Token.RST: "R"}[control]
    else:
        letter = "D" if token & Token.DATA else "A" if token & Token.ACK else ""
    once = _cased("S" if letter == "H" else letter, side)  # a SYN-ACK after a SYN is another SYN
    if once not in written:
        written.add(once)
        return letter
    if not token & Token.AGAIN:
        return ""
    # An open end takes another SYN for the one that counts: its number is then 0, as before.
    closed = sender.state is Seen.CLOSED or (sender.state is Seen.RESET and sender.before is not Seen.INACTIVE)
    return letter if letter in "FR" or closed else ""


def _advance(token: int, side: int, sender: _End, peer: _End) -> None:
    """Move the ends' states over one row."""
    syn, fin, rst = token & Token.SYN, token & Token.FIN, token & Token.RST
    match sender.state:
        case Seen.INACTIVE:
            _first_word(token, side, sender, peer)
        case Seen.SYN_SENT | Seen.SYN_ACK_SENT:
            if fin:
                sender.move(Seen.CLOSED)
            if rst:
                sender.move(Seen.RESET)
        case Seen.ESTABLISHED | Seen.PARTIAL:
            if syn and not token & Token.ACK and (sender.state, peer.state) == (Seen.PARTIAL, Seen.INACTIVE):
                sender.move(Seen.SYN_SENT)
            if fin and not rst:
                sender.move(Seen.CLOSED)
                if (peer.state, peer.before) == (Seen.RESET, Seen.CLOSED):
                    peer.move(Seen.CLOSED)  # a FIN and then an RST, now answered: an ordinary close
            if rst:
                sender.move(Seen.RESET)
        case Seen.CLOSED:
            if rst and peer.state != Seen.CLOSED:
                sender.move(Seen.RESET)


def _first_word(token: int, side: int, sender: _End, peer: _End) -> None:
    """Move the state of an end that was silent so far, or that has only acknowledged a SYN."""
    if token & Token.SYN:
        if side == RESPONDER or (not token & Token.ACK and peer.state is Seen.ESTABLISHED):
            if peer.state is Seen.SYN_SENT or (peer.state is Seen.SYN_ACK_SENT and not token & Token.ACK):
                peer.move(Seen.ESTABLISHED)
            sender.move(Seen.ESTABLISHED)
        else:
            sender.move(Seen.SYN_ACK_SENT if token & Token.ACK else Seen.SYN_SENT)
    if token & Token.FIN:
        sender.move(Seen.CLOSED)
    if token & Token.RST:
        sender.move(Seen.RESET)
    if sender.state is not Seen.INACTIVE:
        return
    if side == RESPONDER and not token & Token.DATA and peer.state is Seen.SYN_SENT:
        return  # some acknowledge a SYN before they answer it
    if token & Token.ACK and peer.state is Seen.ESTABLISHED:
        sender.move(Seen.ESTABLISHED)
    else:
        sender.move(Seen.PARTIAL)


def _conn_state(originator: _End, responder: _End, history: str, is_empty: bool) -> str:
    """Return Zeek's verdict on the two final states. The order of the questions counts."""
    mine, theirs = originator.state, responder.state
    silent = (Seen.INACTIVE, Seen.PARTIAL)
    if theirs is Seen.RESET:
        if mine in (Seen.SYN_SENT, Seen.SYN_ACK_SENT) or (mine is Seen.RESET and is_empty):
            return "REJ"
        return "RSTRH" if mine in silent else "RSTR"
    if mine is Seen.RESET:
        if theirs not in silent:
            return "RSTO"
        return "RSTOS0" if _syn_then_rst(history) else "OTH"
    if mine is Seen.CLOSED:
        return "SF" if theirs is Seen.CLOSED else "SH" if theirs in silent else "S2"
    if theirs is Seen.CLOSED:
        return "SHR" if mine in silent else "S3"
    if (mine, theirs) == (Seen.SYN_SENT, Seen.INACTIVE):
        return "S0"
    return "S1" if (mine, theirs) == (Seen.ESTABLISHED, Seen.ESTABLISHED) else "OTH"


def _syn_then_rst(history: str) -> bool:
    """Did the originator send a SYN, then an RST, and nothing that another end would have answered between?"""
    after_syn = history.removeprefix("^")
    if not after_syn.startswith("S") or "R" not in after_syn:
        return False
    return not set("HAFGIQ") & set(after_syn[: after_syn.index("R")])
