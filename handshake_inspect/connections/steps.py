"""One connection, segment by segment: both states after each, how they are known, and the arithmetic that proves it.

In: the `ConnectionRows` of exactly one connection, of which none from those asked for on is folded, and its `Events`.
Out: `Step`s. The states come from `machine`, which also made the verdicts; what is added here is words and sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.answers import BELIED, ResetTable, reset_reason
from handshake_inspect.connections.connection import Arithmetic, End, Frame, Pair, StateAt, Step, SynOptions
from handshake_inspect.connections.events import RESPONDER_BIT, Events
from handshake_inspect.connections.kinds import SIDES, Judgement
from handshake_inspect.connections.machine import Walk
from handshake_inspect.connections.moments import NEVER
from handshake_inspect.connections.numbers import Numbers
from handshake_inspect.connections.repeats import repeated
from handshake_inspect.connections.rows import (
    ACK,
    FIN,
    ORIGINATOR,
    RESPONDER,
    RST,
    SYN,
    UNKNOWN,
    ConnectionRows,
    flag_names,
    running_maximum,
)
from handshake_inspect.quantities import octets_in_words
from handshake_inspect.tcp.options import SHIFT_MAX
from handshake_inspect.tcp.seqnum import add, spelled
from handshake_inspect.tcp.states import Event, State


def steps_of(
    rows: ConnectionRows,
    events: Events,
    judgement: Judgement,
    resets: ResetTable,
    offered: Callable[[int], SynOptions],
    frame_name: Callable[[int], Frame],
    chosen: Sequence[int] | None = None,
) -> tuple[Step, ...]:
    """Describe every segment, or those in the `chosen` rows, which are in order.

    `offered` says what an option list offers, by its number; `frame_name` turns a row into its frame number (and
    file, if it is another one).
    """
    chosen = range(len(rows)) if chosen is None else chosen
    states = _states_after(rows, events, judgement.walk, chosen)
    happened = _events_at(events)
    sums = _Sums(rows, events)
    refusals = _Refusals(rows, events, judgement.walk, resets)
    windows = _Windows(rows, offered)
    steps = []
    for i, states_after in zip(chosen, states, strict=True):
        sender = int(rows.side[i])
        flags = int(rows.flags[i])
        receiver = _peer(rows, sender)
        with_ack = bool(flags & ACK)
        steps.append(
            Step(
                frame=frame_name(i),
                time_ns=int(rows.time_ns[i]),
                sender=cast(End, SIDES[sender]),
                flags=flag_names(flags),
                seq=sums.absolute(sender, int(rows.seq[i])),
                ack=sums.absolute(receiver, int(rows.ack[i])) if with_ack else None,
                relative_seq=int(rows.seq[i]),
                relative_ack=int(rows.ack[i]) if with_ack else None,
                symbolic_seq=sums.symbol(sender, int(rows.seq[i]), i),
                symbolic_ack=sums.symbol(receiver, int(rows.ack[i]), i) if with_ack else None,
                window=int(rows.window[i]),
                payload_octets=int(rows.payload[i]),
                states=states_after,
                events=tuple(happened.get(i, ())),
                arithmetic=tuple(sums.of_row(i)),
                ignored=refusals.of_row(i),
                retransmission=sums.is_repeat(i),
                options=offered(int(rows.options[i])) if flags & SYN else None,
                window_octets=windows.octets(i),
                at_closed_window=bool(windows.closed[i]),
            )
        )
    return tuple(steps)


def _peer(rows: ConnectionRows, side: int) -> int:
    return side if bool(rows.self_connect[0]) else 1 - side


def _has_closed(rows: ConnectionRows, numbers: Numbers, i: int) -> bool:
    """Has the FIN of the sender of row `i` been acknowledged, be it later?"""
    side = int(rows.side[i])
    return int(numbers.acknowledged_by[_peer(rows, side)][-1]) >= int(numbers.fin_end[side])


def _states_after(rows: ConnectionRows, events: Events, walked: Walk, chosen: Sequence[int]) -> list[Pair[StateAt]]:
    """Both states after each chosen row, with their basis."""
    current = [_start(walked.start[ORIGINATOR]), _start(walked.start[RESPONDER])]
    moves = sorted(walked.moves, key=lambda m: (int(events.row[m.ordinal]), m.ordinal))
    disproved = {(int(a), int(b), int(end) & 1, Event(int(event))) for a, b, end, event in events.disproved}
    confirmed = {(int(end) & 1, Event(int(event))): int(row) for row, end, event in events.confirmed}
    last: list[Event | None] = [None, None]
    out, at = [], 0
    for i in chosen:
        while at < len(moves) and int(events.row[moves[at].ordinal]) <= i:
            move = moves[at]
            told = StateAt(move.after.label, move.basis) if move.after else StateAt(None, None)
            current[move.end], last[move.end] = told, move.event
            at += 1
        for end, event in enumerate(last):
            proof = confirmed.get((0 if bool(rows.self_connect[0]) else end, event)) if event is not None else None
            if proof is not None and proof <= i and current[end].basis == "assumed":
                current[end] = replace(current[end], basis="acknowledged")
        shown = list(current)
        for begin, until, end, event in disproved:
            if begin <= i < until:
                for one in (ORIGINATOR, RESPONDER) if bool(rows.self_connect[0]) else (end,):
                    after = _AFTER_ACK[event].get(current[one].state or "")
                    shown[one] = StateAt(after, "assumed", disproved=True) if after else shown[one]
        out.append(Pair(shown[ORIGINATOR], shown[RESPONDER]))
    return out


def _start(state: State | None) -> StateAt:
    return StateAt(state.label if state else None, "assumed" if state else None)


#: What an end would be in, had the ACK arrived that was later disproved.
_AFTER_ACK = {
    Event.RECEIVE_ACK_OF_SYN: {"SYN-RECEIVED": "ESTABLISHED"},
    Event.RECEIVE_ACK_OF_FIN: {"FIN-WAIT-1": "FIN-WAIT-2", "CLOSING": "TIME-WAIT", "LAST-ACK": "CLOSED"},
}


def _events_at(events: Events) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for row, code in zip(events.row.tolist(), events.code.tolist(), strict=True):
        end = SIDES[RESPONDER if code & RESPONDER_BIT else ORIGINATOR]
        found.setdefault(row, []).append(f"{end}: {Event(code & 0xF).words}")
    return found


# --- why a segment is ignored ----------------------------------------------------------------------------------------


class _Refusals:
    """Segments that their receiver must ignore, and why."""

    def __init__(self, rows: ConnectionRows, events: Events, walked: Walk, resets: ResetTable) -> None:
        self._rows, self._events = rows, events
        effective = {int(events.source[ordinal]) for ordinal in walked.effective_resets}
        self._resets = {
            int(row): reset_reason(resets, k)
            for k, row in enumerate(events.resets.row.tolist())
            if row not in effective and (resets["valid"][k] == 0 or resets["reason"][k] == BELIED)
        }

    def of_row(self, i: int) -> str | None:
        """Return why the segment in row `i` is ignored; None if it is not."""
        rows = self._rows
        flags = int(rows.flags[i])
        if flags & RST:
            return self._resets.get(i)
        if flags & FIN and int(rows.seq_end[i]) < 2 and bool(rows.iss_known[0, rows.side[i]]):
            return "FIN before its sender's SYN: outside the window, dropped (RFC 9293 §3.10.7.4)"
        if flags & FIN and not flags & (ACK | SYN):
            return "FIN without ACK: dropped (RFC 9293 §3.10.7.4, fifth)"
        if rows.ignored_syn[i]:
            return "SYN inside a connection: answered with a challenge ACK, nothing changes (RFC 5961 §4)"
        if flags & FIN and not self._events.numbers.is_fin[i] and _has_closed(rows, self._events.numbers, i):
            return "FIN with another number than the one that was acknowledged: it closes nothing (RFC 9293 §3.10.7.4)"
        if flags & (SYN | ACK) == SYN | ACK and self._is_stray_answer(i):
            return "SYN,ACK of the end that had asked, and was answered: before the window (RFC 9293 §3.10.7.4, first)"
        if flags & (SYN | ACK) == SYN | ACK and rows.seq[i] and rows.ack[i] == 1:
            return "SYN,ACK with another initial number than the one that was acknowledged"
        if flags & (SYN | ACK) == SYN | ACK and not self._events.numbers.ack_counts[i]:
            return "SYN,ACK that does not acknowledge the SYN: answered with RST (RFC 9293 §3.10.7.3)"
        if flags & ACK and not self._events.numbers.ack_counts[i]:
            opening = _value_before(self._events.numbers.acknowledged_by[int(rows.side[i])], i) < 1
            answer = "RST" if opening and bool(rows.iss_known[0, _peer(rows, int(rows.side[i]))]) else "ACK"
            return f"acknowledges what was never sent: dropped, answered with an {answer} (RFC 9293 §3.10.7.4, fifth)"
        return None

    def _is_stray_answer(self, i: int) -> bool:
        """Is all right with a SYN-ACK, but that its sender had nothing to answer?"""
        rows = self._rows
        right = rows.seq[i] == 0 and rows.ack[i] == 1 and rows.side[i] == ORIGINATOR
        return bool(right and not self._events.numbers.is_syn[i])


# --- windows -------------------------------------------------------------------------------------------------------


class _Windows:
    """What each segment says its sender will take (RFC 9293 §3.8.6, RFC 7323 §2)."""

    def __init__(self, rows: ConnectionRows, offered: Callable[[int], SynOptions]) -> None:
        self._rows = rows
        first = [np.flatnonzero(((rows.flags & SYN) != 0) & (rows.side == side)) for side in (ORIGINATOR, RESPONDER)]
        if bool(rows.self_connect[0]):
            first[RESPONDER] = first[ORIGINATOR]
        #: Of each side; None unless both SYNs were captured. The scale is used only if both offered one.
        self._shifts: list[int] | None = None
        if all(map(len, first)):
            shifts = [offered(int(rows.options[at[0]])).window_scale for at in first]
            self._shifts = [0 if None in shifts else min(shift or 0, SHIFT_MAX) for shift in shifts]
        #: Rows whose window is 0, or was 0 in the segment of the same sender before. An RST offers none.
        self.closed = np.zeros(len(rows), np.bool_)
        for side in (ORIGINATOR, RESPONDER):
            at = np.flatnonzero((rows.side == side) & ((rows.flags & RST) == 0))
            zero = rows.window[at] == 0
            self.closed[at] = zero
            self.closed[at[1:]] |= zero[:-1]

    def octets(self, i: int) -> int | None:
        """Return the window of row `i` in octets; None if the scale is not known."""
        rows = self._rows
        window = int(rows.window[i])
        if window == 0 or int(rows.flags[i]) & SYN:
            return window  # of a SYN it is never scaled
        return None if self._shifts is None else window << self._shifts[int(rows.side[i])]


# --- sums ------------------------------------------------------------------------------------------------------------


@dataclass
class _Letters:
    """The tutorials' letters for one end's numbers: its ISS, its FIN."""

    initial: str
    fin: str


class _Sums:
    """The arithmetic of each segment (RFC 9293 §3.4), in numbers and in letters.

    x and y are the initial numbers. u is the FIN of the end that closes first, w that of the other, v the number that
    the other end had reached when it acknowledged u.
    """

    def __init__(self, rows: ConnectionRows, events: Events) -> None:
        self._rows, self._numbers, self._events = rows, events.numbers, events
        self._fin: list[int] = events.numbers.fin_row.tolist()
        self._fin_end: list[int] = events.numbers.fin_end.tolist()
        self._iss: list[int] = rows.iss[0].tolist()
        self._iss_known: list[bool] = rows.iss_known[0].tolist()
        first, second = ("u", "w") if self._closes_first() == ORIGINATOR else ("w", "u")
        self._letters = [_Letters("x", first), _Letters("y", second)]
        if bool(rows.self_connect[0]):
            self._letters[RESPONDER] = self._letters[ORIGINATOR]
        # An end of which only RSTs were captured has no numbers to count from: 0 is what stands in the header.
        speech = (rows.flags & RST) == 0
        named = speech & ((rows.flags & ACK) != 0)
        self._heard = [bool((speech & (rows.side == s)).any() or (named & (rows.side != s)).any()) for s in (0, 1)]
        self._second = 1 - self._closes_first()
        self._v = self._find_v()
        # What is ignored tells nothing of what its sender has sent.
        captured = ((rows.flags & RST) == 0) & ~rows.ignored_syn
        captured &= ((rows.flags & SYN) == 0) | (rows.seq == 0)
        captured &= ((rows.flags & FIN) == 0) | events.numbers.is_fin
        self._sent = [
            running_maximum(rows, rows.seq_end, captured & (rows.side == side)) for side in (ORIGINATOR, RESPONDER)
        ]
        self._repeated = repeated(rows)
        self._resets_of_another = set(events.resets.row[events.resets.of_another].tolist())

    def _closes_first(self) -> int:
        a, b = self._fin[ORIGINATOR], self._fin[RESPONDER]
        return RESPONDER if b >= 0 and (a < 0 or b < a) else ORIGINATOR

    def _find_v(self) -> int | None:
        """Find v: the number that the second end had reached when it acknowledged the FIN of the first."""
        first = 1 - self._second
        if self._fin[first] < 0 or bool(self._rows.self_connect[0]) or not bool(self._rows.iss_known[0, self._second]):
            return None
        acks = self._numbers.ack_counts & (self._rows.side == self._second)
        acks &= self._rows.ack >= self._numbers.fin_end[first]
        rows = np.flatnonzero(acks)
        return int(self._rows.seq[rows[0]] + self._rows.payload[rows[0]]) if len(rows) else None

    def absolute(self, side: int, relative: int) -> int:
        """Turn a relative number of one end into the absolute one."""
        return add(self._iss[side], relative)

    def _fin_number(self, side: int) -> int | None:
        return self._fin_end[side] - 1 if self._fin[side] >= 0 else None

    def symbol(self, side: int, relative: int, row: int) -> str:
        """Spell a number in letters; from the FIN on in terms of its letter."""
        letters = self._letters[side]
        fin = self._fin_number(side)
        if fin is not None and relative in (fin, fin + 1) and row >= self._fin[side]:
            return letters.fin if relative == fin else f"{letters.fin}+1"
        if side == self._second and self._v is not None and relative >= self._v and row >= self._fin[1 - side]:
            return "v" if relative == self._v else f"v+{relative - self._v}"
        if not self._iss_known[side]:
            return str(relative) if self._heard[side] else str(self.absolute(side, relative))
        return spelled(letters.initial, relative)

    def is_repeat(self, i: int) -> bool:
        """Was all of the segment captured before? False for segments without length."""
        return bool(self._repeated[i])

    def of_row(self, i: int) -> list[Arithmetic]:
        """Return the sums that the numbers of row `i` must satisfy."""
        flags = int(self._rows.flags[i])
        sums = []
        if flags & FIN and not flags & RST and not self._rows.ignored_syn[i]:
            sums += self._fin_sums(i)
        if flags & RST:
            return sums + self._reset_sums(i)
        if not flags & SYN and not any(one.holds is False for one in sums):
            sums += self._sequence_sum(i)
        if flags & ACK:
            sums += self._acknowledgment_sums(i)
        return sums

    def _sequence_sum(self, i: int) -> list[Arithmetic]:
        """SEG.SEQ against the end of what its sender was captured to have sent before, and the number after it."""
        rows, side = self._rows, int(self._rows.side[i])
        before = int(self._sent[side][i - 1]) if i else UNKNOWN
        seq = int(rows.seq[i])
        if before == UNKNOWN or seq == before:
            sums = []
            if before == 1 and bool(rows.iss_known[0, side]) and self._is_first_after_syn(i, side):
                sums.append(self._sum("seq", side, 1, seq, True, "after the SYN", i))
            octets = int(rows.payload[i])
            if octets and not int(rows.flags[i]) & FIN:
                sums.append(self._sum("next", side, seq + octets, seq + octets, True, f"seq + {octets}", i))
            return sums
        if seq < 1 and bool(rows.iss_known[0, side]) and (seq < 0 or self._is_first_after_syn(i, side)):
            return [self._sum("seq", side, before, seq, False, f"{octets_in_words(before - seq)} too low", i)]
        if seq > before:
            gap = seq - before
            return [
                self._sum("seq", side, before, seq, None, f"{octets_in_words(gap)} before it not captured (yet)", i)
            ]
        if int(rows.seq_end[i]) <= before and int(rows.seq_end[i]) > seq:
            why = "sent before: a retransmission" if self._repeated[i] else "fills a gap: overtaken, or sent again"
            if self._is_copy(i):
                why = "the same IP packet again: a copy"
            return [self._sum("seq", side, seq, seq, True, why, i)]
        if seq == before - 1 and int(rows.payload[i]) <= 1:
            closed = self._finds_window_closed(i)
            what = "a probe of the closed window (RFC 9293 §3.8.6.1)" if closed else "a keep-alive (RFC 9293 §3.8.4)"
            return [self._sum("seq", side, seq, seq, True, f"one below the next: {what}", i)]
        return []

    def _is_copy(self, i: int) -> bool:
        """Was the same IP packet captured before? Then the network doubled it; an IP ID of 0 tells nothing."""
        rows = self._rows
        same = (rows.ip_id[:i] == rows.ip_id[i]) & (rows.side[:i] == rows.side[i]) & (rows.seq[:i] == rows.seq[i])
        return bool(rows.ip_id[i] != 0 and same.any())

    def _finds_window_closed(self, i: int) -> bool:
        """Did the peer last say that it takes nothing?"""
        rows = self._rows
        said = np.flatnonzero((rows.side[:i] != rows.side[i]) & ((rows.flags[:i] & (RST | ACK)) == ACK))
        return bool(len(said)) and int(rows.window[said[-1]]) == 0

    def _is_first_after_syn(self, i: int, side: int) -> bool:
        earlier = (self._rows.side[:i] == side) & ((self._rows.flags[:i] & (SYN | RST)) == 0)
        return not bool(earlier.any())

    def _fin_sums(self, i: int) -> list[Arithmetic]:
        """u = x + 1 + octets sent: the books of one direction."""
        rows, side = self._rows, int(self._rows.side[i])
        number = int(rows.seq_end[i]) - 1
        if number < 1 and bool(rows.iss_known[0, side]):
            return [self._sum("seq", side, 1, int(rows.seq[i]), False, f"{octets_in_words(1 - number)} too low", i)]
        if not bool(rows.iss_known[0, side]):
            return []  # nothing to count from
        if not self._numbers.is_fin[i]:
            expected = int(self._numbers.fin_end[side]) - 1
            if number == expected or not _has_closed(rows, self._numbers, i):
                return []
            by = f"{octets_in_words(abs(number - expected))} too {'high' if number > expected else 'low'}"
            return [self._sum("seq", side, expected, number, False, by, i)]
        octets, since = number - 1, number - self._v if self._v is not None and side == self._second else 0
        return [
            Arithmetic(
                name=self._letters[side].fin,
                symbolic=spelled(self._letters[side].initial, number),
                expected=self.absolute(side, number),
                relative=number,
                actual=self.absolute(side, number),
                holds=True,
                reason=f"{octets_in_words(octets)} sent",
            ),
            *([self._half_closed_sum(side, number, since)] if since > 0 else []),
        ]

    def _half_closed_sum(self, side: int, number: int, since: int) -> Arithmetic:
        """w = v + octets sent while half-closed."""
        at = self.absolute(side, number)
        return Arithmetic(
            name=self._letters[side].fin,
            symbolic=f"v+{since}",
            expected=at,
            relative=number,
            actual=at,
            holds=True,
            reason="while half-closed",
        )

    def _acknowledgment_sums(self, i: int) -> list[Arithmetic]:
        rows, numbers = self._rows, self._numbers
        side = int(rows.side[i])
        peer = _peer(rows, side)
        ack = int(rows.ack[i])
        before = _value_before(numbers.acknowledged_by[side], i)
        if not numbers.ack_counts[i]:
            return [self._wrong_acknowledgment(i, peer, ack)]
        if ack == before and not int(rows.flags[i]) & SYN:
            return []
        if ack < before:
            return [
                self._sum(
                    "ack", peer, before, ack, None, f"{octets_in_words(before - ack)} behind: sent or seen late", i
                )
            ]
        fin = self._fin_number(peer)
        if fin is not None and ack == fin + 1 and self._fin[peer] <= i:
            return [self._sum("ack", peer, fin + 1, ack, True, "FIN counts one", i)]
        opens = before < 1 or int(rows.flags[i]) & SYN
        if ack >= 1 and opens and bool(rows.iss_known[0, peer]):
            if ack == 1:
                return [self._sum("ack", peer, 1, ack, True, "SYN counts one", i)]
            return [self._sum("ack", peer, ack, ack, True, f"SYN and {octets_in_words(ack - 1)}", i)]
        sent = _value_before(self._sent[peer], i)
        if sent != UNKNOWN and ack > sent:
            return [self._sum("ack", peer, sent, ack, None, f"{octets_in_words(ack - sent)} of it not captured", i)]
        if before == UNKNOWN:
            return []
        return [self._sum("ack", peer, ack, ack, True, octets_in_words(ack - before), i)]

    def _wrong_acknowledgment(self, i: int, peer: int, ack: int) -> Arithmetic:
        expected = int(self._numbers.syn_end[peer]) if int(self._rows.flags[i]) & SYN else int(self._sent[peer][i])
        expected = max(expected, 1)
        by = ack - expected
        if not by:  # it is the segment's own number that is wrong
            seq, side = int(self._rows.seq[i]), int(self._rows.side[i])
            if not seq:
                return self._sum("seq", side, 1, seq, False, "before the window", i)
            return self._sum("seq", side, 0, seq, False, "another initial number", i)
        return self._sum(
            "ack", peer, expected, ack, False, f"{octets_in_words(abs(by))} too {'high' if by > 0 else 'low'}", i
        )

    def _reset_sums(self, i: int) -> list[Arithmetic]:
        rows, numbers = self._rows, self._numbers
        side = int(rows.side[i])
        peer = _peer(rows, side)
        sums = []
        expected = _value_before(numbers.acknowledged_by[peer], i)
        seq = int(rows.seq[i])
        if expected != UNKNOWN and seq < expected and i in self._resets_of_another:
            sums.append(self._sum("seq", side, seq, seq, True, "what that SYN,ACK acknowledged", i))
        elif expected != UNKNOWN and seq > expected and seq == _value_before(self._sent[side], i):
            behind = octets_in_words(seq - expected)
            sums.append(self._sum("seq", side, seq, seq, True, f"its sender's next; {behind} not acknowledged yet", i))
        elif expected != UNKNOWN:
            reason = "RCV.NXT of the peer" if seq == expected else f"{octets_in_words(abs(seq - expected))} off RCV.NXT"
            sums.append(self._sum("seq", side, expected, seq, seq == expected, reason, i))
        if int(rows.flags[i]) & ACK and bool(rows.iss_known[0, peer]):
            ack = int(rows.ack[i])
            highest = _value_before(self._sent[peer], i)
            if highest != UNKNOWN and self._events.syn_received[peer] == NEVER:
                reason = "acknowledges the SYN" if ack == highest else "does not acknowledge the SYN"
                sums.append(self._sum("ack", peer, highest, ack, ack == highest, reason, i))
        return sums

    def _sum(
        self, name: str, side: int, expected: int, actual: int, holds: bool | None, reason: str, row: int
    ) -> Arithmetic:
        return Arithmetic(
            name=name,
            symbolic=self.symbol(side, expected, row),
            expected=self.absolute(side, expected),
            relative=expected,
            actual=self.absolute(side, actual),
            holds=holds,
            reason=reason,
        )


def _value_before(running: NDArray[np.int64], i: int) -> int:
    return int(running[i - 1]) if i else UNKNOWN
