"""Columns -> objects: makes a `Connection` from one row of `Verdicts`, on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import eq
from typing import overload

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.connection import (
    Connection,
    Endpoint,
    Finding,
    Frame,
    Handshake,
    IcmpError,
    Pair,
    Reset,
    Restart,
    Reuse,
    RunFinding,
    SynOptions,
    Teardown,
    TimeWait,
    end_names,
)
from handshake_inspect.connections.connection_columns import ConnectionColumns
from handshake_inspect.connections.deciding.answers import NONE, RESTARTING, reset_reason
from handshake_inspect.connections.deciding.found import Coded, Findings, Severity, Survey
from handshake_inspect.connections.deciding.time_waits import OUTCOMES, RULES
from handshake_inspect.connections.events.kinds import SIDES
from handshake_inspect.memory import give_back
from handshake_inspect.pairs import address
from handshake_inspect.processes import Workers
from handshake_inspect.quantities import counted
from handshake_inspect.tcp.options import is_cut, parse

#: Connections made from the columns at once.
BLOCK_CONNECTIONS = 4096


@dataclass(repr=False, eq=False)
class Connections(ConnectionColumns, Sequence[Connection]):
    """All connections of a run, in order of first segment. Each `Connection` is made on access."""

    #: Makes the survey that applies the rules to all of them.
    look_over: Callable[[Connections], Survey] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Connections | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'connection')}>"

    @overload
    def __getitem__(self, index: int) -> Connection: ...
    @overload
    def __getitem__(self, index: slice) -> list[Connection]: ...
    def __getitem__(self, index: int | slice) -> Connection | list[Connection]:
        if isinstance(index, slice):
            return list(self.of_streams(self.streams[index]))
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no connection {index}: {counted(len(self), 'connection')} in all")
        return next(self.of_streams(self.streams[[index]]))

    def __iter__(self) -> Iterator[Connection]:
        return self.of_streams(self.streams)

    def of_streams(self, streams: NDArray[np.int64]) -> Iterator[Connection]:
        """Make the connections of these streams, one after the other."""
        for cells in self.cells(streams):
            yield from (self._make(*one) for one in cells)

    def of_rows(self, rows: NDArray[np.int64]) -> Iterator[Connection]:
        """Make the connections of these rows of the verdicts, one after the other."""
        return self.of_streams(self.stream_of[rows])

    def cells(self, streams: NDArray[np.int64]) -> Iterator[Iterator[tuple[int, int, dict[str, int]]]]:
        """Yield, in blocks, the stream, the row and the columns of the `VerdictTable` for each of these streams."""
        columns = self.verdicts.table.columns
        for a in range(0, len(streams), BLOCK_CONNECTIONS):
            some = streams[a : a + BLOCK_CONNECTIONS]
            rows = self.rows_of(some)
            lists = [column[rows].tolist() for column in columns.values()]
            yield (
                (stream, row, dict(zip(columns, values, strict=True)))
                for stream, row, values in zip(some.tolist(), rows.tolist(), zip(*lists, strict=True), strict=True)
            )

    @property
    def _survey(self) -> Survey:
        """Make a new survey: it refers to these connections, and a stored one would make a reference cycle."""
        return Survey(lambda: self.verdicts.found, list) if self.look_over is None else self.look_over(self)

    @cached_property
    def coded(self) -> list[Coded]:
        """The findings of all rules about connections, in order."""
        found = self._survey.of_connections()
        give_back()  # the memory of what it examined
        return found

    @cached_property
    def findings(self) -> Findings:
        """The same findings, by connection."""
        return Findings(self.coded)

    @cached_property
    def run_findings(self) -> tuple[RunFinding, ...]:
        """Findings about the run as a whole, a listener, a host or a capture, the most severe first."""
        of_run = self._survey.of_run()
        give_back()
        return tuple(sorted(of_run, key=lambda one: (-Severity[one.severity.upper()], -one.connections)))

    @contextmanager
    def finding_of_run(self, workers: Workers) -> Iterator[None]:
        """Compute `run_findings` during the context, in a fork of this process where that is possible."""
        if "run_findings" in vars(self):
            yield
            return
        with workers.aside(lambda: self.run_findings) as found:
            yield
            self.run_findings = found()

    def make_findings(self) -> None:
        """Compute all findings now, in this thread, so that other threads only read them afterwards."""
        _ = self.findings, self.run_findings

    def _make(self, stream: int, row: int, cell: dict[str, int]) -> Connection:
        judgement = self.verdicts.judgements[cell["judgement"]]
        home = cell["first_capture"]
        originator, responder = self.endpoints(cell["conversation"], cell["originator_is_higher"])
        return Connection(
            stream=stream,
            capture=self.captures[home],
            ip_version=int(self.keys["ip_version"][cell["conversation"]]),
            encapsulation=tuple(self.names.encapsulation[cell["encapsulation"]].split()),
            originator=originator,
            responder=responder,
            first_frame=cell["first_frame"],
            last_frame=self._frame(home, cell["last_capture"], cell["last_frame"]),
            first_ns=cell["first_ns"],
            last_ns=cell["last_ns"],
            segments=Pair(cell["segments_o"], cell["segments_r"]),
            duplicates=cell["duplicates"],
            octets=Pair(cell["octets_o"], cell["octets_r"]),
            sent_octets=_pair(cell, "sent_octets"),
            missing_octets=_pair(cell, "missing_octets"),
            handshake=Handshake(
                kind=judgement.handshake_kind,
                complete=judgement.handshake_complete,
                missing=judgement.handshake_missing,
                syn_retransmissions=cell["syn_retransmissions"],
                syn_ack_retransmissions=cell["syn_ack_retransmissions"],
                syn_to_syn_ack_ns=_known(cell["syn_to_syn_ack_ns"]),
                syn_ack_to_ack_ns=_known(cell["syn_ack_to_ack_ns"]),
                initial_rtt_ns=_known(cell["initial_rtt_ns"]),
                rtt_ambiguous=bool(cell["syn_retransmissions"] or cell["syn_ack_retransmissions"]),
                fast_open=judgement.fast_open,
                options=Pair(self._options(cell["options_o"]), self._options(cell["options_r"])),
            ),
            teardown=Teardown(
                kind=judgement.teardown_kind,
                complete=judgement.teardown_complete,
                missing=judgement.teardown_missing,
                closed_first=judgement.closed_first,
                reset_by=judgement.reset_by,
                fin_retransmissions=cell["fin_retransmissions"],
                half_closed_ns=_known(cell["half_closed_ns"]),
            ),
            resets=self._resets(row) if self.has_resets[row] else (),
            icmp_errors=self._icmp_errors(row, cell) if self.has_icmp_errors[row] else (),
            states=Pair(*judgement.states),
            time_wait=self._time_wait(row) if judgement.time_wait else (),
            findings=self._findings(row, home, judgement.handshake_kind),
            conn_state=self.verdicts.words[cell["conn_state"]],
            history=self.verdicts.words[cell["history"]],
            completeness=cell["completeness"],
            initial_seq=_pair(cell, "iss"),
        )

    def endpoints(self, conversation: int, originator_is_higher: int) -> tuple[Endpoint, Endpoint]:
        """Return the sockets of a conversation: the originator's and the responder's."""
        lower, higher = self._socket(conversation, "lower"), self._socket(conversation, "higher")
        return (higher, lower) if originator_is_higher else (lower, higher)

    def _socket(self, conversation: int, which: str) -> Endpoint:
        columns = self.keys.columns
        upper, lower = int(columns[f"{which}_hi"][conversation]), int(columns[f"{which}_lo"][conversation])
        spelled = address(int(columns["ip_version"][conversation]), upper, lower)
        return Endpoint(spelled, int(columns[f"{which}_port"][conversation]))

    def _frame(self, home: int, capture: int, frame: int) -> Frame:
        return frame if capture == home else (self.captures[capture], frame)

    def _findings(self, row: int, home: int, handshake_kind: str) -> tuple[Finding, ...]:
        return self.findings.of(row, end_names(handshake_kind), lambda *frame: self._frame(home, *frame))

    def _options(self, number: int) -> SynOptions | None:
        return None if number == NONE else syn_options(self.names.options[number])

    def _resets(self, row: int) -> tuple[Reset, ...]:
        at = range(*np.searchsorted(self.verdicts.resets["connection"], [row, row + 1]))
        return tuple(self.reset(i) for i in at)

    def reset(self, i: int) -> Reset:
        """Make the RST in row `i` of the `ResetTable`."""
        table = self.verdicts.resets
        home = int(self.verdicts.table["first_capture"][table["connection"][i]])
        return Reset(
            frame=self._frame(home, int(table["capture"][i]), int(table["frame"][i])),
            by=SIDES[table["side"][i]],
            valid={1: True, 0: False, -1: None}[int(table["valid"][i])],
            reason=reset_reason(table, i),
        )

    def _icmp_errors(self, row: int, cell: dict[str, int]) -> tuple[IcmpError, ...]:
        table = self.verdicts.icmp_errors
        iss = (_known(cell["iss_o"]), _known(cell["iss_r"]))
        at = range(*np.searchsorted(table["connection"], [row, row + 1]))
        frames = ((int(table["capture"][i]), int(table["frame"][i])) for i in at)
        return tuple(
            table.error(i, self._frame(cell["first_capture"], *frame), iss) for i, frame in zip(at, frames, strict=True)
        )

    def _time_wait(self, row: int) -> tuple[TimeWait, ...]:
        at = range(*np.searchsorted(self.time_waits.table["connection"], [row, row + 1]))
        return tuple(self.time_wait(i) for i in at)

    def time_wait(self, i: int) -> TimeWait:
        """Make the TIME-WAIT in row `i` of `time_waits`."""
        row = int(self.time_waits.table["connection"][i])
        home = int(self.verdicts.table["first_capture"][row])
        waits = self.time_waits
        ended_ns = _known(int(waits.ended_ns[i]))
        ended = self._frame(home, int(waits.ended_capture[i]), int(waits.ended_frame[i]))
        return TimeWait(
            owner=SIDES[waits.table["side"][i]],
            entered_ns=int(waits.table["entered_ns"][i]),
            entered_frame=self._frame(home, int(waits.table["capture"][i]), int(waits.table["frame"][i])),
            restarts=self._restarts(row, int(waits.table["side"][i]), home),
            profile=self.profile.name,
            earliest_end_ns=int(waits.earliest_end_ns[i]),
            outcome=OUTCOMES[waits.outcome[i]],
            ended_ns=ended_ns,
            ended_frame=None if ended_ns is None else ended,
            reuse=self._reuse(i) if waits.is_reused[i] else None,
        )

    def _restarts(self, row: int, side: int, home: int) -> tuple[Restart, ...]:
        table = self.verdicts.restarts
        at = range(*np.searchsorted(table["connection"], [row, row + 1]))
        return tuple(
            Restart(
                frame=self._frame(home, int(table["capture"][i]), int(table["frame"][i])),
                time_ns=int(table["time_ns"][i]),
                segment=RESTARTING[table["segment"][i]],
            )
            for i in at
            if table["side"][i] == side and self.time_waits.restarts[i]
        )

    def _user(self, row: int) -> int:
        """Return the stream of a row of `Verdicts.users`, the next users of the same sockets."""
        if row < len(self) or self.numbers_next is None:
            return int(self.stream_of[row])
        return int(self.numbers_next[row - len(self)])

    def _reuse(self, i: int) -> Reuse:
        following = self.time_waits.next
        return Reuse(
            stream=self._user(int(following.row[i])),
            by=SIDES[following.by[i]],
            rules=tuple(name for name, bit in RULES.items() if following.rules[i] & bit),
            initial_seq=int(following.initial_seq[i]),
            last_seq=_known(int(following.last_seq[i])),
            timestamp=_known(int(following.timestamp[i])),
            last_timestamp=_known(int(following.last_timestamp[i])),
            answer_seq=_known(int(following.answer_seq[i])),
            last_answer_seq=_known(int(following.last_answer_seq[i])),
        )


@lru_cache(maxsize=4096)
def syn_options(octets: bytes) -> SynOptions:
    """Return what the option list of a SYN offers."""
    options, cut = parse(octets), is_cut(octets)
    absent = None if cut else False
    return SynOptions(
        mss=options.mss,
        window_scale=options.window_scale,
        sack_permitted=options.sack_permitted or absent,
        timestamps=options.timestamps or absent,
        fast_open=None if options.fast_open_cookie is None else "cookie" if options.fast_open_cookie else "request",
        signature=options.signature,
        is_cut=cut,
    )


def _known(value: int) -> int | None:
    return None if value == NONE else value


def _pair(cell: dict[str, int], name: str) -> Pair[int | None]:
    return Pair(_known(cell[f"{name}_o"]), _known(cell[f"{name}_r"]))
