"""The result of `inspect()`: the verdicts of a run, and the source from which more is made on request.

In: verdicts, and the inspector that made them. Out: connections, exchanges, findings, ledgers and steps, each made when
it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.records import Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.analysis import ALONE, Analysis
from handshake_inspect.connections.connection import Connection, RunFinding, Step
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.endless.retention import LetGo
from handshake_inspect.connections.folding.repeats import repeated
from handshake_inspect.connections.ledger.ledger import TimeWaitLedger
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.over_time.phases import Phases, find_phases
from handshake_inspect.connections.splitting.rows import ConnectionRows
from handshake_inspect.exchanges import LazyExchanges
from handshake_inspect.findings.run import Run
from handshake_inspect.overview import Overview, names_in, with_comments
from handshake_inspect.processes import Workers
from handshake_inspect.quantities import counted, listed
from handshake_inspect.table import IcmpErrorTable
from handshake_inspect.tcp.time_wait import PortRange


class StepSource(Protocol):
    """What an inspection needs beside its verdicts: the segments of the run."""

    @property
    def analysis(self) -> Analysis:
        """The segments of the run."""

    def steps(self, connections: Connections, stream: int, coming: Sequence[int] | None = None) -> tuple[Step, ...]:
        """Describe every segment of one stream."""


@dataclass(repr=False)
class Inspection:
    """What `inspect()` found."""

    captures: list[CaptureSummary]
    #: In order of first segment; made when asked for.
    connections: Connections
    #: UDP, in order of first datagram; made when asked for.
    exchanges: LazyExchanges
    damage: list[Damage]
    #: Frames that hold neither a segment nor a datagram, counted by kind.
    unread: Counter[str] = field(default_factory=Counter)
    #: What is not listed any more, of a capture that did not end; nothing of a file.
    let_go: LetGo = field(default_factory=LetGo)
    #: Who may work on more of it.
    workers: Workers = field(default=ALONE, compare=False)
    _inspector: StepSource | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        names = listed([one.name for one in self.captures]) or "nothing"
        return f"<Inspection of {names}: {counted(len(self.connections), 'connection')}>"

    @cached_property
    def retransmissions(self) -> NDArray[np.int64]:
        """The number of segments that bring nothing new, for each row of `connections.verdicts`."""
        counts = (np.bincount(rows.conn, repeated(rows), rows.connections) for rows in self.rows())
        return np.concatenate([np.zeros(0, np.int64), *(count.astype(np.int64) for count in counts)])

    @cached_property
    def is_folded(self) -> NDArray[np.bool_]:
        """Marks the rows of `connections.verdicts` that were folded: `steps` reads their captures again."""
        folded = (np.bincount(rows.conn, rows.folded_segments, rows.connections) > 0 for rows in self.rows())
        return np.concatenate([np.zeros(0, np.bool_), *folded])

    @property
    def icmp_errors(self) -> IcmpErrorTable:
        """ICMP errors that quote TCP segments, without second copies."""
        if self._inspector is None:
            return IcmpErrorTable.empty()
        analysis = self._inspector.analysis
        conversations = analysis.gathering.conversations
        return analysis.quotes.about(np.arange(len(conversations)), conversations)

    @property
    def doubled_captures(self) -> frozenset[int]:
        """Captures that show most segments more than once, by their numbers."""
        return frozenset() if self._inspector is None else self._inspector.analysis.gathering.trusted

    @property
    def overview(self) -> Overview:
        """The run as a whole."""
        return Overview(
            captures=self.captures,
            damage=self.damage,
            unread=self.unread,
            let_go=self.let_go,
            connections=len(self.connections),
            one_sided=self.one_sided,
            copies=self.copies,
            unmatched_icmp_errors=self.unmatched_icmp_errors,
            icmp_error_copies=self.icmp_error_copies,
            findings=self.findings,
        )

    def described(self, stream: int) -> tuple[Connection, tuple[Step, ...]]:
        """Return a connection, and every segment of it."""
        return self._connection(stream), self.steps(stream)

    def steps(self, stream: int, coming: Sequence[int] | None = None) -> tuple[Step, ...]:
        """Return every segment of connection `stream`, with both states after it and the arithmetic.

        Whoever does not ask for one stream after the other says which ones are `coming`, this one first.
        """
        if self._inspector is None or not self.connections.has(stream):
            raise self._has_no(stream)
        steps = self._inspector.steps(self.connections, stream, coming)
        if not any(one.about.frame_comments for one in self.captures):
            return steps
        return with_comments(steps, self._connection(stream).capture, self.captures)

    def rows(self) -> Iterator[ConnectionRows]:
        """Yield the segments of all connections in columns, some whole conversations at a time.

        Their connections, one behind the other, are the rows of `connections.verdicts`. Of a long transfer there is
        what was not folded: everything with `fold=False`.
        """
        if self._inspector is not None:
            yield from self._inspector.analysis.rows()

    def names_of(self, address: str) -> tuple[str, ...]:
        """Return the names that the captures know for an address, each once."""
        return names_in(self.captures, address)

    @property
    def findings(self) -> tuple[RunFinding, ...]:
        """Findings about the run as a whole; each connection has its own."""
        return self.connections.run_findings

    @property
    def duplicates(self) -> int:
        """Copies of segments that were collapsed."""
        return self.copies.total()

    @property
    def copies(self) -> Counter[str]:
        """The same by their cause: "loopback", "mirror", "router", "elsewhere" (another capture)."""
        return self.connections.verdicts.copies + self.let_go.copies

    @property
    def captured_ns(self) -> tuple[int, int]:
        """Times of the first and the last frame of all captures; both 0 if there is none."""
        times = [time for one in self.captures for time in (one.first_ns, one.last_ns) if time is not None]
        return min(times, default=0), max(times, default=0)

    @cached_property
    def phases(self) -> Phases:
        """In which phase each connection was, from when to when, by the rows of `connections.verdicts`."""
        until_ns = Run(self.connections, self.captures).until_ns
        return find_phases(self.decided(), self.connections, until_ns, self.captured_ns)

    @property
    def one_sided(self) -> int:
        """Connections with an end that was not captured, though the other end's numbers prove that it sent segments."""
        return int(np.count_nonzero(self.connections.verdicts.table["one_sided"])) + self.let_go.one_sided

    @property
    def unmatched_icmp_errors(self) -> int:
        """ICMP errors that quote a TCP segment of no connection here."""
        return self.connections.verdicts.unmatched_errors + self.let_go.unmatched_errors

    @property
    def icmp_error_copies(self) -> int:
        """The number of second copies of ICMP errors about TCP that were left out, as on loopback."""
        return self.connections.verdicts.error_copies

    def time_wait_ledger(
        self, streams: Sequence[int] | NDArray[np.int64] | None = None, *, ports: PortRange | None = None
    ) -> TimeWaitLedger:
        """Return the ledger of TIME-WAIT, of all connections or only of these streams.

        `ports`: those from which the connecting ends took theirs; None: those of the profile.
        """
        chosen = None if streams is None else np.asarray(streams, np.int64)
        if chosen is not None and len(absent := chosen[~np.isin(chosen, self.connections.streams)]):
            raise self._has_no(int(absent[0]))
        ports = ports or self.connections.profile.ports
        return TimeWaitLedger(self.connections, chosen, ports, self.captured_ns)

    def with_steps(self, stream: int) -> Connection:
        """Return connection `stream` with its `steps` filled in."""
        return replace(self._connection(stream), steps=self.steps(stream))

    def decided(self) -> Iterator[DecidedPart]:
        """Decide everything again, some whole conversations at a time: rows and events, as columns.

        Their connections are those of the verdicts, in the same order.
        """
        return iter(()) if self._inspector is None else self._inspector.analysis.decided()

    def _has_no(self, stream: int) -> IndexError:
        return IndexError(f"there is no stream {stream}: {counted(len(self.connections), 'connection')} in all")

    def _connection(self, stream: int) -> Connection:
        if not self.connections.has(stream):
            raise self._has_no(stream)
        return next(self.connections.of_streams(np.array([stream])))
