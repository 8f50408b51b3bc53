"""Columns -> objects: makes a `Connection` of one row of `Verdicts`, when somebody asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from handshake_inspect.connections.deciding.answers import NONE, RESTARTING, Verdicts, reset_reason
from handshake_inspect.connections.deciding.found import Coded, Findings, Severity, Survey
from handshake_inspect.connections.deciding.time_waits import OUTCOMES, RULES, TimeWaits, find_time_waits
from handshake_inspect.connections.events.kinds import SIDES
from handshake_inspect.memory import give_back
from handshake_inspect.pairs import KeyTable, address
from handshake_inspect.processes import Workers
from handshake_inspect.quantities import counted
from handshake_inspect.table import Names, frame_numbers
from handshake_inspect.tcp.options import parse
from handshake_inspect.tcp.time_wait import PROFILES, Profile

#: How many connections are made of the columns at once.
BLOCK_CONNECTIONS = 4096


@dataclass(repr=False, eq=False)
class Connections(Sequence[Connection]):
    """All connections of a run, in order of first segment. A `Connection` is made when it is asked for."""

    verdicts: Verdicts
    keys: KeyTable
    names: Names
    #: Names of the captures, as the user gave them.
    captures: list[str]
    #: Whose rules of TIME-WAIT are assumed.
    profile: Profile = PROFILES["linux"]
    #: Stream of each row of the verdicts, where connections have left; None: they are numbered by first segment.
    numbers: NDArray[np.int64] | None = None
    #: And of each that is not told of, and uses the sockets of one of these next (`Verdicts.others_next`).
    numbers_next: NDArray[np.int64] | None = None
    #: Makes what looks over all of them.
    look_over: Callable[[Connections], Survey] | None = None

    def __post_init__(self) -> None:
        self._sockets = _Sockets(self.keys)
        self.names = replace(self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Connections | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'connection')}>"

    def __len__(self) -> int:
        return len(self.verdicts.table)

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

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The rows of the verdicts in order of stream."""
        if self.numbers is not None:
            return np.argsort(self.numbers)
        table = self.verdicts.table
        frames = frame_numbers(table["first_capture"], table["first_frame"])
        if len(self.captures) > 1:  # in whatever order they are named
            return np.lexsort((frames, table["first_ns"]))
        return np.argsort(frames, kind="stable")

    @cached_property
    def streams(self) -> NDArray[np.int64]:
        """The numbers of all streams, in order: from 0, without a gap unless connections have left."""
        return np.arange(len(self)) if self.numbers is None else self.numbers[self.order]

    def has(self, stream: int) -> bool:
        """Is there a connection of this number?"""
        if self.numbers is None:
            return 0 <= stream < len(self)
        place = int(np.searchsorted(self.streams, stream))
        return place < len(self) and int(self.streams[place]) == stream

    def rows_of(self, streams: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the verdicts that hold these streams."""
        rows: NDArray[np.int64] = self.order[
            streams if self.numbers is None else np.searchsorted(self.streams, streams)
        ]
        return rows

    def row_of(self, stream: int) -> int:
        """Return the row of the verdicts that holds this stream."""
        return int(self.rows_of(np.array([stream]))[0])

    def conversation_of(self, stream: int) -> tuple[int, int]:
        """Return the conversation of this stream, and which of its connections it is, counted from 0."""
        of_rows, row = self.verdicts.table["conversation"], self.row_of(stream)
        return int(of_rows[row]), row - int(np.searchsorted(of_rows, of_rows[row]))

    @cached_property
    def _has_resets(self) -> NDArray[np.bool_]:
        """Does the `ResetTable` have rows for a connection? Shape (m,)."""
        has = np.zeros(len(self), np.bool_)
        has[self.verdicts.resets["connection"]] = True
        return has

    @cached_property
    def has_icmp_errors(self) -> NDArray[np.bool_]:
        """Does an ICMP error belong to a connection? Shape (m,)."""
        has = np.zeros(len(self), np.bool_)
        has[self.verdicts.icmp_errors["connection"]] = True
        return has

    @cached_property
    def time_waits(self) -> TimeWaits:
        """Every TIME-WAIT, in columns."""
        return find_time_waits(self.verdicts, self.profile)

    @property
    def _survey(self) -> Survey:
        """A new one each time: it refers to these connections, and to hold it here would hold both for long."""
        return Survey(lambda: self.verdicts.found, list) if self.look_over is None else self.look_over(self)

    @cached_property
    def coded(self) -> list[Coded]:
        """What all rules found of connections, in order."""
        found = self._survey.of_connections()
        give_back()  # what it looked at
        return found

    @cached_property
    def findings(self) -> Findings:
        """The same, by connection."""
        return Findings(self.coded)

    @cached_property
    def run_findings(self) -> tuple[RunFinding, ...]:
        """What was found of the run as a whole, of a listener, a host, a capture: the worst first."""
        of_run = self._survey.of_run()
        give_back()
        return tuple(sorted(of_run, key=lambda one: (-Severity[one.severity.upper()], -one.connections)))

    @contextmanager
    def finding_of_run(self, workers: Workers) -> Iterator[None]:
        """Have what is to be told of the run found meanwhile, by a copy of this process where that is possible."""
        if "run_findings" in vars(self):
            yield
            return
        with workers.aside(lambda: self.run_findings) as found:
            yield
            self.run_findings = found()

    def make_findings(self) -> None:
        """Have it found now, what takes its time, and by this thread: others only read it afterwards."""
        _ = self.findings, self.run_findings

    def lasted_ns(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the time from the first to the last segment; NONE where the clock jumped back between."""
        table = self.verdicts.table
        lasted_ns = table["last_ns"][rows] - table["first_ns"][rows]
        return np.where(table["first_clock"][rows] == table["last_clock"][rows], lasted_ns, NONE)

    @cached_property
    def stream_of(self) -> NDArray[np.int64]:
        """Number of the connection in each row of the `VerdictTable`."""
        streams = np.empty(len(self), np.int64)
        streams[self.order] = self.streams
        return streams

    def kinds(self, streams: NDArray[np.int64] | None = None) -> Counter[tuple[str, str]]:
        """Count the connections, or only these, by `handshake.kind` and `teardown.kind`."""
        judgements = self.verdicts.judgements
        judgement = self.verdicts.table["judgement"]
        if streams is not None:
            judgement = judgement[self.rows_of(streams)]
        found: Counter[tuple[str, str]] = Counter()
        for number, count in enumerate(np.bincount(judgement, minlength=len(judgements))):
            found[judgements[number].handshake_kind, judgements[number].teardown_kind] += int(count)
        return +found

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
            resets=self._resets(row) if self._has_resets[row] else (),
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
        lower, higher = self._sockets[conversation]
        return (higher, lower) if originator_is_higher else (lower, higher)

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
        """Return the stream of a row of `Verdicts.users`."""
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


class _Sockets:
    """The two sockets of each conversation."""

    def __init__(self, keys: KeyTable) -> None:
        self._keys = keys

    def __getitem__(self, conversation: int) -> tuple[Endpoint, Endpoint]:
        columns = self._keys.columns
        version = int(columns["ip_version"][conversation])

        def socket(which: str) -> Endpoint:
            upper, lower = int(columns[f"{which}_hi"][conversation]), int(columns[f"{which}_lo"][conversation])
            return Endpoint(address(version, upper, lower), int(columns[f"{which}_port"][conversation]))

        return socket("lower"), socket("higher")


@lru_cache(maxsize=4096)
def syn_options(octets: bytes) -> SynOptions:
    """Return what the option list of a SYN offers."""
    options = parse(octets)
    fast_open = None if options.fast_open_cookie is None else "cookie" if options.fast_open_cookie else "request"
    return SynOptions(options.mss, options.window_scale, options.sack_permitted, options.timestamps, fast_open)


def _known(value: int) -> int | None:
    return None if value == NONE else value


def _pair(cell: dict[str, int], name: str) -> Pair[int | None]:
    return Pair(_known(cell[f"{name}_o"]), _known(cell[f"{name}_r"]))
