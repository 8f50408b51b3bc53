"""One connection segment by segment: both states after each, their basis, and the arithmetic that proves them.

In: the `StepColumns` of some connections, of which no wanted row is folded, and the judgement of one of them. Out: its
`Step`s. The states come from `machine`, which also made the verdicts; this module adds words and sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from handshake_inspect.connections.connection import (
    ENDS,
    NONE_PASSED,
    Basis,
    Frame,
    Happened,
    Pair,
    StateAt,
    Step,
    SynOptions,
)
from handshake_inspect.connections.deciding.answers import BELIED, ResetTable, reset_reason
from handshake_inspect.connections.events.events import RESPONDER_BIT
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.events.machine import Walk
from handshake_inspect.connections.splitting.rows import ACK, FIN, ORIGINATOR, RESPONDER, RST, SYN, flag_names
from handshake_inspect.connections.steps.step_rows import StepColumns, StepRows, before
from handshake_inspect.connections.steps.sums import Sums, has_closed
from handshake_inspect.tcp.options import SHIFT_MAX
from handshake_inspect.tcp.states import EVENTS, Event, State


def steps_of(
    columns: StepColumns,
    connection: int,
    judgement: Judgement,
    resets: ResetTable,
    offered: Callable[[int], SynOptions],
    frames: Sequence[Frame],
    chosen: Sequence[int] | None = None,
) -> tuple[Step, ...]:
    """Describe every segment of a connection, or those in the `chosen` rows, which are in order.

    `resets`: those of this connection. `offered` returns what an option list offers, by its number. `frames`: of each
    row.
    """
    rows = columns.of(connection)
    chosen = range(len(rows)) if chosen is None else chosen
    states = _States(columns, connection, judgement.walk)
    happened = _events_at(columns, connection)
    sums = Sums(columns, connection, rows)
    refusals = _Refusals(columns, connection, rows, judgement.walk, resets)
    shifts = _shifts(rows, offered)
    steps = []
    for i in chosen:
        states_after, passed = states.after(i)
        sender, flags, seq, window = rows.side[i], rows.flags[i], rows.seq[i], rows.window[i]
        receiver, ack = rows.peer(sender), rows.ack[i] if flags & ACK else None
        steps.append(
            Step(
                frame=frames[i],
                time_ns=rows.time_ns[i],
                sender=ENDS[sender],
                flags=flag_names(flags),
                seq=sums.absolute(sender, seq),
                ack=None if ack is None else sums.absolute(receiver, ack),
                relative_seq=seq,
                relative_ack=ack,
                symbolic_seq=sums.symbol(sender, seq, i),
                symbolic_ack=None if ack is None else sums.symbol(receiver, ack, i),
                window=window,
                payload_octets=rows.payload[i],
                states=states_after,
                events=happened.get(i, ()),
                arithmetic=tuple(sums.of_row(i)),
                ignored=refusals.of_row(i),
                retransmission=rows.is_repeat[i],
                options=offered(rows.options[i]) if flags & SYN else None,
                window_octets=_window_octets(window, flags, None if shifts is None else shifts[sender]),
                at_closed_window=rows.at_closed_window[i],
                passed=passed,
                sack=rows.sack.get(i, ()),
            )
        )
    return tuple(steps)


def _window_octets(window: int, flags: int, shift: int | None) -> int | None:
    """Return a window in octets; None if its scale is unknown. That of a SYN is never scaled (RFC 7323 §2.2)."""
    if not window or flags & SYN:
        return window
    return None if shift is None else window << shift


def _shifts(rows: StepRows, offered: Callable[[int], SynOptions]) -> list[int] | None:
    """Return the shift count of the window of each end (RFC 7323 §2); None unless both were captured.

    The scale is used only if both ends offered one: a whole list without one tells that there is none.
    """
    first = [rows.first_syn[ORIGINATOR], rows.first_syn[ORIGINATOR if rows.self_connect else RESPONDER]]
    if min(first) < 0:
        return None
    offers = [offered(rows.options[at]) for at in first]
    if any(one.window_scale is None and not one.is_cut for one in offers):
        return [0, 0]
    shifts = [min(one.window_scale, SHIFT_MAX) for one in offers if one.window_scale is not None]
    return shifts if len(shifts) == len(offers) else None


# --- states and events -----------------------------------------------------------------------------------------------


class _States:
    """Both states of one connection, row by row, by the moves of its walk."""

    def __init__(self, columns: StepColumns, connection: int, walked: Walk) -> None:
        begin = int(columns.rows.start[connection])
        of_events = slice(*columns.events.start[connection : connection + 2].tolist())
        row_of = (columns.events.row[of_events] - begin).tolist()
        #: Each move with the row at which it becomes known, the next one last.
        self._moves = [(row_of[move.ordinal], move) for move in walked.moves]
        self._moves.sort(key=lambda one: (one[0], one[1].ordinal), reverse=True)
        self._confirmed = columns.confirmed.get(connection, {})
        self._disproved = columns.disproved.get(connection, ())
        self._self_connect = bool(columns.rows.self_connect[connection])
        self._current = [_start(walked.start[ORIGINATOR]), _start(walked.start[RESPONDER])]
        self._now = Pair(*self._current)
        self._last: list[Event | None] = [None, None]

    def after(self, row: int) -> tuple[Pair[StateAt], Pair[tuple[StateAt, ...]]]:
        """Return both states after a row, with their basis, and the states passed within it. Rows must come in order.

        Rows that change nothing share the same objects.
        """
        passed, changed = self._moved_until(row)
        for end, event in enumerate(self._last):
            if event is not None and self._current[end].basis == "assumed" and self._is_confirmed(end, event, row):
                self._current[end], changed = replace(self._current[end], basis="acknowledged"), True
        if changed:
            self._now = Pair(*self._current)
        now = _had_it_arrived(self._now, row, self._disproved, self._self_connect) if self._disproved else self._now
        return now, passed

    def _moved_until(self, row: int) -> tuple[Pair[tuple[StateAt, ...]], bool]:
        """Make the moves up to a row. Returns the states left again within it, and whether there was any move."""
        moves, current = self._moves, self._current
        if not moves or moves[-1][0] > row:
            return NONE_PASSED, False
        left: tuple[list[StateAt], list[StateAt]] = ([], [])
        entered = [-1, -1]
        while moves and moves[-1][0] <= row:
            at, move = moves.pop()
            if entered[move.end] == row and current[move.end].state is not None:
                left[move.end].append(current[move.end])
            current[move.end] = _state_at(move.after.label, move.basis) if move.after else _state_at(None, None)
            self._last[move.end], entered[move.end] = move.event, at
        return Pair(tuple(left[ORIGINATOR]), tuple(left[RESPONDER])) if any(left) else NONE_PASSED, True

    def _is_confirmed(self, end: int, event: Event, row: int) -> bool:
        """Return whether a proven segment has brought the same news by this row."""
        proof = self._confirmed.get((ORIGINATOR if self._self_connect else end, event))
        return proof is not None and proof <= row


def _had_it_arrived(
    now: Pair[StateAt], row: int, disproved: Sequence[tuple[int, int, int, Event]], self_connect: bool
) -> Pair[StateAt]:
    """Return the states at a row with those that were assumed there and disproved later."""
    shown = [now.originator, now.responder]
    for begin, until, end, event in disproved:
        if begin <= row < until:
            for one in (ORIGINATOR, RESPONDER) if self_connect else (end,):
                after = _AFTER_ACK[event].get(shown[one].state or "")
                shown[one] = StateAt(after, "assumed", disproved=True) if after else shown[one]
    return now if shown == [now.originator, now.responder] else Pair(shown[ORIGINATOR], shown[RESPONDER])


@lru_cache(maxsize=1 << 8)
def _state_at(label: str | None, basis: Basis | None) -> StateAt:
    return StateAt(label, basis)


def _start(state: State | None) -> StateAt:
    return _state_at(state.label if state else None, "assumed" if state else None)


#: The state of an end if the ACK that was later disproved had arrived.
_AFTER_ACK = {
    Event.RECEIVE_ACK_OF_SYN: {"SYN-RECEIVED": "ESTABLISHED"},
    Event.RECEIVE_ACK_OF_FIN: {"FIN-WAIT-1": "FIN-WAIT-2", "CLOSING": "TIME-WAIT", "LAST-ACK": "CLOSED"},
}


def _events_at(columns: StepColumns, connection: int) -> dict[int, tuple[Happened, ...]]:
    """Return the events at both ends at each row of a connection."""
    begin = int(columns.rows.start[connection])
    which = slice(*columns.events.start[connection : connection + 2].tolist())
    found: dict[int, tuple[Happened, ...]] = {}
    for row, code in zip(columns.events.row[which].tolist(), columns.events.code[which].tolist(), strict=True):
        found[row - begin] = (*found.get(row - begin, ()), _happened(code & (0xF | RESPONDER_BIT)))
    return found


@lru_cache(maxsize=1 << 5)
def _happened(code: int) -> Happened:
    return Happened(ENDS[RESPONDER if code & RESPONDER_BIT else ORIGINATOR], EVENTS[code & 0xF])


# --- why a segment is ignored ----------------------------------------------------------------------------------------


class _Refusals:
    """Segments that their receiver must ignore, with the reasons."""

    def __init__(self, columns: StepColumns, connection: int, rows: StepRows, walked: Walk, resets: ResetTable) -> None:
        self._rows = rows
        self._resets = _ignored_resets(columns, connection, walked, resets) if len(resets) else {}

    def of_row(self, i: int) -> str | None:
        """Return why the segment in row `i` is ignored; None if it is not."""
        rows = self._rows
        flags = rows.flags[i]
        if flags & RST:
            return self._resets.get(i)
        if flags & FIN and rows.seq_end[i] < 2 and rows.iss_known[rows.side[i]]:
            return "FIN before its sender's SYN: outside the window, dropped (RFC 9293 §3.10.7.4)"
        if flags & FIN and not flags & (ACK | SYN):
            return "FIN without ACK: dropped (RFC 9293 §3.10.7.4, fifth)"
        if rows.ignored_syn[i]:
            return "SYN inside a connection: answered with a challenge ACK, nothing changes (RFC 5961 §4)"
        if flags & FIN and not rows.is_fin[i] and has_closed(rows, i):
            return "FIN with another number than the one that was acknowledged: it closes nothing (RFC 9293 §3.10.7.4)"
        if flags & (SYN | ACK) == SYN | ACK and self._is_stray_answer(i):
            return "SYN,ACK of the end that had asked, and was answered: before the window (RFC 9293 §3.10.7.4, first)"
        if flags & (SYN | ACK) == SYN | ACK and rows.seq[i] and rows.ack[i] == 1:
            return "SYN,ACK with another initial number than the one that was acknowledged"
        if flags & (SYN | ACK) == SYN | ACK and not rows.ack_counts[i]:
            return "SYN,ACK that does not acknowledge the SYN: answered with RST (RFC 9293 §3.10.7.3)"
        if flags & ACK and not rows.ack_counts[i]:
            opening = before(rows.acknowledged_by[rows.side[i]], i) < 1
            answer = "RST" if opening and rows.iss_known[rows.peer(rows.side[i])] else "ACK"
            return f"acknowledges what was never sent: dropped, answered with an {answer} (RFC 9293 §3.10.7.4, fifth)"
        return None

    def _is_stray_answer(self, i: int) -> bool:
        """Return whether a SYN-ACK has the right numbers, but its sender had no SYN to answer."""
        rows = self._rows
        right = rows.seq[i] == 0 and rows.ack[i] == 1 and rows.side[i] == ORIGINATOR
        return right and not rows.is_syn[i]


def _ignored_resets(columns: StepColumns, connection: int, walked: Walk, resets: ResetTable) -> dict[int, str]:
    """Return the rows of RSTs that have no effect, each with the reason."""
    begin, end = columns.rows.start[connection : connection + 2].tolist()
    first_event = int(columns.events.start[connection])
    effective = {int(columns.events.source[first_event + ordinal]) for ordinal in walked.effective_resets}
    rows = [row for row in columns.events.resets.row.tolist() if begin <= row < end]
    return {
        row - begin: reset_reason(resets, k)
        for k, row in enumerate(rows)
        if row not in effective and (resets["valid"][k] == 0 or resets["reason"][k] == BELIED)
    }
