"""The order of what a ladder shows: segments, folds, ICMP errors, socket calls; and where findings stand.

In: a connection, its steps and the socket calls of both programs. Out: what each row is made of (`ladder_rows`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import inf

from handshake_inspect.connections.connection import Connection, Finding, Frame, IcmpError, Step
from handshake_inspect.views.folding import Fold, fold
from handshake_inspect.views.icmp_lines import with_errors
from handshake_inspect.views.ladder_calls import CallMark, SocketCall, call_marks, fold_calls

#: What a row is made of.
Shown = Step | Fold | CallMark | IcmpError


def shown_rows(
    connection: Connection,
    steps: Sequence[Step],
    calls: Sequence[SocketCall],
    part: Sequence[Step],
    *,
    folds: bool,
    payload: bool = True,
    unfolded: Collection[Frame] = (),
) -> Sequence[Shown]:
    """Return what is shown of `part`, a run of the steps, in order: segments, folds, ICMP errors, calls.

    What lies in the frames `unfolded` is not folded. Without `payload` no call shows any.
    """
    segments: Iterable[Step | Fold] = fold(part, unfolded=unfolded) if folds else part
    errors = connection.icmp_errors
    rows: Iterable[Step | Fold | IcmpError] = with_errors(segments, errors) if errors else segments
    shown = beside(merge(rows, call_marks(calls, steps, payload=payload)) if calls else list(rows), steps, part)
    return fold_calls(shown) if folds and calls else shown


def merge(rows: Iterable[Step | Fold | IcmpError], marks: Sequence[CallMark]) -> list[Shown]:
    """Put socket calls between the segments by time; segments keep the order in which they were captured."""
    merged: list[Shown] = []
    waiting = list(marks)
    for row in rows:
        while waiting and waiting[0].time_ns <= row_time(row):
            merged.append(waiting.pop(0))
        merged.append(row)
    return merged + waiting


def beside(rows: list[Shown], steps: Sequence[Step], part: Sequence[Step]) -> list[Shown]:
    """Leave out the calls and errors that are not next to a segment of `part`, because other `steps` lie between."""
    if len(part) in (0, len(steps)):
        return rows
    first, after = steps.index(part[0]), steps.index(part[-1]) + 1
    begin_ns = steps[first - 1].time_ns if first else -inf
    end_ns = steps[after].time_ns if after < len(steps) else inf
    return [row for row in rows if isinstance(row, Step | Fold) or begin_ns < row_time(row) <= end_ns]


def row_time(row: Shown) -> int:
    """Return when a row happened; for folded segments, when they began."""
    return row.steps[0].time_ns if isinstance(row, Fold) else row.time_ns


def start_ns(calls: Sequence[SocketCall], steps: Sequence[Step]) -> int:
    """Return the time that is 0.000: the client's connect(), else the first segment."""
    connects = [call.entered_ns for call in calls if call.end == "client" and call.name == "connect"]
    return min([*connects, *(step.time_ns for step in steps[:1])], default=0)


def findings_by_frame(connection: Connection, shown: Iterable[Frame]) -> dict[Frame, list[Finding]]:
    """Place each finding at the last of its frames that is shown."""
    if not connection.findings:
        return {}
    order = {frame: place for place, frame in enumerate(shown)}
    placed: dict[Frame, list[Finding]] = {}
    for finding in connection.findings:
        last = max((frame for frame in finding.frames if frame in order), key=order.__getitem__, default=None)
        if last is not None:
            placed.setdefault(last, []).append(finding)
    return placed
