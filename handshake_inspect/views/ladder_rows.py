"""A connection with its steps, socket calls and payload -> its `Ladder`, row by row.

The rows are made in the order in which they are shown (`ladder_order`), each with the states of both ends after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handshake_inspect.connections.connection import ENDS, Connection, IcmpError, Pair, StateAt, Step, end_names
from handshake_inspect.quantities import counted
from handshake_inspect.views.folding import Fold
from handshake_inspect.views.icmp_lines import spelling_of
from handshake_inspect.views.ladder_calls import CallMark, SocketCall
from handshake_inspect.views.ladder_order import Shown, findings_by_frame, row_time, shown_rows, start_ns
from handshake_inspect.views.ladder_states import StateWalk
from handshake_inspect.views.rungs import (
    LONG_NS,
    UNKNOWN,
    CallRung,
    ErrorRung,
    FoldRung,
    Ladder,
    Marks,
    Payload,
    Row,
    Rung,
    Spelling,
    Standing,
)
from handshake_inspect.views.segment_words import payload_words
from handshake_inspect.views.words import octets


def ladder_of(
    connection: Connection,
    steps: Sequence[Step],
    *,
    calls: Sequence[SocketCall] = (),
    payload: Payload | None = None,
    marks: Marks | None = None,
    spelling: Spelling | None = None,
    part: Sequence[Step] | None = None,
) -> Ladder:
    """Return the ladder of `connection`, or of `part`, a run of its `steps`.

    `marks`: remarks on some rows, which are then not folded.
    """
    spelling = spelling or Spelling()
    part_shown = steps if part is None else part
    has_payload = spelling.payload_octets > 0
    shown = shown_rows(
        connection, steps, calls, part_shown, folds=spelling.fold, payload=has_payload, unfolded=marks or ()
    )
    last: list[Step | IcmpError] = [*steps[-1:], *connection.icmp_errors[-1:]]
    zero_ns = start_ns(calls, steps)
    found = Ladder(
        connection,
        steps,
        spelling,
        end_names(connection.handshake.kind),
        zero_ns,
        in_seconds=max([one.time_ns for one in last], default=0) - zero_ns >= LONG_NS,
        spellings=spelling_of(steps) if connection.icmp_errors else {},
    )
    earlier = steps[: steps.index(part[0])] if part else ()
    found.rows = list(_Rows(found, payload or {}, marks or {}, shown, earlier))
    return found


class _Rows:
    """The rows of one ladder; while they are made, the states of both ends."""

    def __init__(
        self, ladder: Ladder, payload: Payload, marks: Marks, shown: Sequence[Shown], earlier: Sequence[Step]
    ) -> None:
        self._ladder, self._payload, self._marks, self._shown, self._earlier = ladder, payload, marks, shown, earlier
        self._walk = StateWalk(ladder.connection)
        self._states: Pair[StateAt] = Pair(UNKNOWN, UNKNOWN)
        frames = [row.frame for row in shown if isinstance(row, Step | IcmpError)]
        #: By the frame below which they are shown.
        self._findings = findings_by_frame(ladder.connection, frames)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; the states before the first segment come before it."""
        opened = False
        for row in self._shown:
            if not opened and row_time(row) >= self._ladder.zero_ns:
                opened = True
                yield from self._before()
            if isinstance(row, Step):
                yield from self._segment(row)
            elif isinstance(row, CallMark):
                yield CallRung(row, self._ladder.time(row.time_ns), self._states)
            elif isinstance(row, Fold):
                time = self._ladder.time(row.steps[0].time_ns)
                yield FoldRung(row, time, self._states, _fold_text(row, self._ladder.names))
            else:
                yield self._error(row)

    def _before(self) -> Iterator[Standing]:
        before = self._walk.before_first()
        if self._earlier:
            before = self._walk.past(self._earlier)
        if before is not None:
            self._states = before
            yield Standing("", before, Pair(before.originator, before.responder))

    def _segment(self, step: Step) -> Iterator[Standing | Rung]:
        time = self._ladder.time(step.time_ns)
        passed, written = self._walk.after(step)
        for left, right in passed:
            now = Pair(left or self._states.originator, right or self._states.responder)
            yield Standing(time, now, Pair(left, right))
        if written.originator is not None or written.responder is not None:
            left, right = written.originator, written.responder
            self._states = Pair(left or self._states.originator, right or self._states.responder)
        data = self._payload.get((step.frame, step.seq)) if self._payload else None
        payload = payload_words(data, self._ladder.spelling.payload_octets, step.payload_octets) if data else ""
        marks, findings = self._marks.get(step.frame), self._findings.get(step.frame, ())
        yield Rung(step, time, self._states, written, payload, marks, findings)

    def _error(self, error: IcmpError) -> ErrorRung:
        one = self._ladder.connection
        sender = one.originator if error.quotes == "responder" else one.responder
        marks, findings = self._marks.get(error.frame), self._findings.get(error.frame, ())
        time = self._ladder.time(error.time_ns)
        return ErrorRung(error, time, self._states, marks, findings, from_end=error.source == sender.ip)


def _fold_text(folded: Fold, names: Pair[str]) -> str:
    """Return the line that stands for folded segments."""
    sizes = [f"{octets(folded.octets(end))} from the {names[end]}" for end in ENDS if folded.octets(end)]
    bare = len(folded.steps) - folded.data_segments
    said = [
        *([counted(folded.data_segments, "data segment")] if folded.data_segments else []),
        *sizes,
        *({True: ["all acknowledged"], False: ["not all acknowledged"], None: []}[folded.acknowledged]),
        *([counted(bare, "bare ACK")] if bare else []),
    ]
    return ", ".join(said)
