"""Captures -> `Inspection`: the only place that connects readers, decoder, engine and model.

In: files, or blocks as they arrive. Out: an `Inspection` of what was read so far, at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.files import BLOCK_OCTETS
from handshake_inspect.capture.forked_reader import DecodingFork
from handshake_inspect.capture.inputs import Hooks, Input, Source, sources
from handshake_inspect.capture.merge import Merge, lanes_of
from handshake_inspect.capture.order import INTERFACES_NS
from handshake_inspect.capture.records import CaptureError, Damage, Records
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.capture_reading import CaptureReading
from handshake_inspect.connections.analysis import Analysis, Seen
from handshake_inspect.connections.connection import Step
from handshake_inspect.connections.decided_part import DecidedPart, FoldedError
from handshake_inspect.connections.deciding.answers import leaving
from handshake_inspect.connections.endless.endless_analysis import EndlessAnalysis
from handshake_inspect.connections.endless.retention import LetGo, Retention
from handshake_inspect.connections.endless.run_clock import RunClock
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.moments import EARLIEST_NS
from handshake_inspect.connections.prepared import PreparedConnections, RereadConnections
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.datagrams import Datagrams
from handshake_inspect.exchanges import LazyExchanges
from handshake_inspect.findings.catalogue import examiner, survey
from handshake_inspect.inspection import Inspection
from handshake_inspect.jobs import behind, cores
from handshake_inspect.pairs import KeyTable
from handshake_inspect.processes import Workers
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, Names, SegmentTable
from handshake_inspect.tcp.time_wait import profile_of

if TYPE_CHECKING:  # only an index needs zip files
    from handshake_inspect.places import Places


class Inspector:
    """Takes captures block by block, and returns at any time an `Inspection` of what was read so far.

    `inspect()` feeds it files. A live capture feeds it small blocks, gets the news of each (`update`), and releases
    connections that are over (`go_on`), by the rule `leaving`. How long they have been over is measured by the clock
    `steady_ns`, which nobody sets, or without it by the times of the frames. While files are read, connections may be
    released likewise: `told` is called with an `Inspection` of those released. `jobs` threads work on large captures
    (None: one for each core); with `processes` forked processes do, faster where no other thread runs in this one.
    """

    def __init__(
        self,
        *,
        profile: str | float = "linux",
        fold: bool = True,
        names: Names | None = None,
        only: KeyTable | None = None,
        leaving: Retention | None = None,
        steady_ns: Callable[[], int] | None = None,
        told: Callable[[Inspection], None] | None = None,
        jobs: int | None = None,
        processes: bool = False,
        places: Places | None = None,
    ) -> None:
        self.workers = Workers(jobs or cores(), processes)
        self.names = names or Names()
        # No forks if connections are released: the released names would differ from those of a fork.
        self.reading = CaptureReading(self.names, self.workers, forks=leaving is None, places=places)
        self._clock = clock = RunClock(steady_ns)
        self._endless = EndlessAnalysis(self.names, leaving, clock, self._tell if told else None) if leaving else None
        self.analysis: Analysis = self._endless or Analysis(self.names, fold=fold, only=only)
        self.datagrams = Datagrams(clock, fold=fold and leaving is None)
        self._told = told
        #: Offsets in files that can be read again, recorded if single connections will be needed later; else None.
        self._places = places
        #: The assumed rules of TIME-WAIT.
        self.profile = profile_of(profile)
        #: Were all captures read to their ends?
        self._is_read = False
        self._ahead = PreparedConnections(self.analysis)
        self._again = RereadConnections(self._read_for_steps)

    def begin_capture(self, name: str, format_: str, source: Input | None = None) -> int:
        """Begin another file or interface. Returns its number. `source`: the input from which it can be read again."""
        capture = self.reading.begin(name, format_, source)
        self._expect_copies()
        return capture

    def _expect_copies(self) -> None:
        """If there are several captures, look for copies across them."""
        if len(self.captures) > 1:
            self.analysis.gathering.copies_within_ns = INTERFACES_NS
            self.analysis.follow(None)
            self.datagrams.single_until_ns = EARLIEST_NS
            # Exchanges may turn out to be folded wrongly.
            self.datagrams.folds_at_once &= self._may_be_read_again

    @property
    def captures(self) -> list[CaptureSummary]:
        """The summary of each capture, by its number."""
        return self.reading.summaries

    def read(self, inputs: Sequence[Input], hooks: Hooks | None = None, begun: DecodingFork | None = None) -> None:
        """Read captures to their ends, in order of time over all of them; they are numbered in the order given.

        `begun`: the fork that already reads the only capture, if any; it numbers our `names`. Raises `CaptureError` if
        one cannot be used at all, unless `hooks` handle that.
        """
        hooks = hooks or Hooks()
        apart = any(map(self.reading.is_read_apart, inputs))
        merge = Merge(self.reading.feeds(inputs, hooks, begun))
        self._expect_copies()
        if self._endless is not None:
            self._endless.can_be_read_again = self._may_be_read_again
            self._endless.waiting = lambda: merge.waiting
            self._endless.lanes = self.reading.lanes

        def take_in_turn(given: tuple[Block, int]) -> None:
            block, single_until_ns = given
            self.analysis.gathering.single_until_ns = single_until_ns
            if self.datagrams.single_until_ns is not None:
                self.datagrams.single_until_ns = single_until_ns
            self._take_of_file(block)

        try:
            # A thread would prevent forks, which gain more; and releasing connections may renumber waiting blocks.
            jobs = 1 if apart or self._endless is not None else self.workers.jobs
            behind(take_in_turn, ((block, merge.single_until_ns) for block in merge), jobs)
            self._is_read = not hooks.stopped()
        finally:  # blocks that were read are inspected even after an error
            for block in merge.rest():
                self._take_of_file(block)
            self.analysis.follow(lanes_of(self.captures))

    def _take_of_file(self, block: Block) -> None:
        """Take rows of a file, whose own times serve as the clock."""
        for rows in (block.segments, block.datagrams):
            self._clock.advance(rows["time_ns"])
        self.take(block)
        self.go_on()

    def add_records(
        self, records: Records, capture: int, choose: Callable[[Block], Block] = lambda block: block
    ) -> Block:
        """Take a block of live records, reduced by `choose`. Returns the reduced block."""
        block = self.reading.decoded(records, capture, choose)
        self._clock.advance(records.time_ns)
        self.take(block)
        return block

    def add_block(self, block: Block, capture: int, frames: int, time_ns: NDArray[np.int64]) -> SegmentTable:
        """Take decoded rows of any origin: `frames` records, captured at `time_ns`. Returns the segments."""
        self.reading.count_rows(block, capture, frames, time_ns)
        self._clock.advance(time_ns)
        self.take(block)
        return block.segments

    def take(self, block: Block) -> None:
        """Take rows in order of time, from one capture or several."""
        self.datagrams.add(block.datagrams, block.icmp_errors)
        conversations, _ = self.analysis.add(block.segments, block.icmp_errors)
        if self._places is not None:
            self._places.add_rows(block.segments, conversations)

    @property
    def damage(self) -> list[Damage]:
        """Damage of all captures, in the order in which they were named."""
        return [place for _, places in sorted(self.reading.damage.items()) for place in places]

    def result(self, *, with_segments: bool = True) -> Inspection:
        """Return an inspection of what was read so far.

        `with_segments`: keep the segments for later `steps` or `rows`; else they are freed for good once decided.
        """
        self._read_misjudged_again()
        captures = self.reading.capture_names
        leaving = self._leaving_now()
        verdicts = self.analysis.verdicts(
            examiner(self.captures, self._lanes, leaving), self.workers, last=not with_segments
        )
        connections = self.analysis.connections(verdicts, captures, self.profile)
        connections.look_over = partial(survey, captures=self.captures, lanes=self._lanes, leaving=leaving)
        return Inspection(
            captures=self.captures,
            connections=connections,
            exchanges=LazyExchanges(
                list(self.datagrams.tables),
                list(self.datagrams.errors),
                self.names,
                captures,
                self.analysis.gathering.lanes,
                partial(read_datagrams, self._readable, self.names, self.workers) if self._can_read_again else None,
            ),
            damage=self.damage,
            unread=self.reading.unread,
            let_go=LetGo() if self._endless is None else replace(self._endless.let_go),
            workers=self.workers,
            _inspector=self if with_segments else None,
        )

    def steps(self, connections: Connections, stream: int, coming: Sequence[int] | None = None) -> tuple[Step, ...]:
        """Describe every segment of one stream; its captures are read again if its segments were folded.

        They are also read again, if possible, where SACK blocks were left out.
        Raises `CaptureError` if folded segments cannot be read again.
        """
        try:
            return self._ahead.steps(connections, stream, coming, with_blocks=self._may_be_read_again)
        except FoldedError:
            return self._again.steps(connections, stream, coming)

    def update(self, segments: SegmentTable, icmp_errors: IcmpErrorTable) -> list[Seen]:
        """Describe these segments and ICMP errors about TCP, from the last blocks, in order of time.

        Each comes with its connection as it is now. Segments released or folded since are left out.
        """
        return self.analysis.update(segments, icmp_errors, self.reading.capture_names, self.profile)

    def go_on(self) -> None:
        """Release connections that are over, by the rule `leaving`; call it after a block was described."""
        if self._endless is not None:
            self._endless.go_on()
            self.datagrams.go_on(self._endless.leaving, self._endless.let_go, self._endless.lanes)

    def _leaving_now(self) -> Retention | None:
        """Return the rule by which connections are released while files are read; None as long as all are kept."""
        if self._told is None or self._endless is None or not self._endless.has_more_than_kept:
            return None
        return self._endless.leaving

    @property
    def _lanes(self) -> NDArray[np.int64]:
        """The lane of each capture; as long as it is not known which follow each other, each has its own."""
        lanes = self.analysis.gathering.lanes
        return np.arange(len(self.captures)) if lanes is None else lanes

    def _tell(self, decided: DecidedPart, rows: NDArray[np.int64]) -> None:
        """Pass connections released while files are read to `told`, with the findings about these alone."""
        assert self._told is not None
        assert self._endless is not None
        decided.verdicts.found = examiner(self.captures, self._lanes, self._endless.leaving)(decided)
        verdicts = leaving(decided.verdicts, rows)
        captures = self.reading.capture_names
        own, others = (self._endless.numbers_of(table) for table in (verdicts.table, verdicts.others_next))
        connections = Connections(verdicts, decided.keys, self.names, captures, self.profile, own, others)
        connections.look_over = partial(
            survey, captures=self.captures, lanes=self._lanes, leaving=self._endless.leaving
        )
        self._told(Inspection(self.captures, connections, LazyExchanges([], [], self.names, captures), []))

    def _read_misjudged_again(self) -> None:
        """Read conversations again whose folding relied on assumptions that the whole run disproves, if possible."""
        if not self._can_read_again:
            return
        conversations = self.analysis.gathering.misjudged()
        if not len(conversations):
            return
        try:
            again = self._read_again(conversations, self.names).gathering
        except CaptureError:  # the file has disappeared meanwhile
            return
        numbers = again.conversations.number(self.analysis.keys.take(conversations))
        own = np.full(len(again.conversations), -1)
        own[numbers] = conversations
        rows = again.everything()
        rows = StoredRows(rows.columns | {"conversation": own[rows["conversation"]]})
        self.analysis.replace(conversations, rows.take(rows["conversation"] >= 0))

    @property
    def _may_be_read_again(self) -> bool:
        return None not in self.reading.sources

    @property
    def _can_read_again(self) -> bool:
        """Would reading the captures again give all that was read?"""
        return self._is_read and self._may_be_read_again

    @property
    def _readable(self) -> list[Input]:
        """The inputs of the captures that can be read again."""
        return [source for source in self.reading.sources if source is not None]

    def _read_for_steps(self, conversations: NDArray[np.int64]) -> Analysis:
        return self._read_again(conversations, self.names.for_steps())

    def _read_again(self, conversations: NDArray[np.int64], names: Names) -> Analysis:
        """Read the captures again and keep every segment of some conversations; read only their frames if possible."""
        keys = self.analysis.keys.take(conversations)
        again = Inspector(fold=False, names=names, only=keys, jobs=self.workers.jobs, processes=self.workers.may_fork)
        segments = None if self._places is None else self._places.read(conversations, keys, names)
        if segments is not None:
            again.analysis.gathering.copies_within_ns = self.analysis.gathering.copies_within_ns
            again.analysis.follow(self.analysis.gathering.lanes)
            errors = self.analysis.quotes.about(conversations, self.analysis.gathering.conversations)
            again.analysis.add(segments, errors)
            return again.analysis
        for summary, source in zip(self.captures, self.reading.sources, strict=True):
            if source is None:
                raise CaptureError(
                    f"{summary.name}: this connection is too long to keep every segment in memory, and the capture "
                    "cannot be read again; save it to a file first"
                )
        again.read(self._readable)
        return again.analysis


def read_datagrams(inputs: Sequence[Input], names: Names, workers: Workers) -> list[DatagramTable]:
    """Read all UDP datagrams of captures, and keep every one. Raises `CaptureError`."""
    again = Inspector(fold=False, names=names, only=KeyTable.empty(), jobs=workers.jobs, processes=workers.may_fork)
    again.read(inputs)
    return again.datagrams.tables


def inspect(
    source: Source | Iterable[Source],
    *,
    reader: str = "auto",
    profile: str | float = "linux",
    fold: bool = True,
    block_octets: int | None = None,
    jobs: int | None = None,
    processes: bool = False,
) -> Inspection:
    """Inspect one or several captures, and return what every connection did.

    `source`: a path ("-" is standard input), a name with `://` that fsspec opens, an open binary file, a Scapy
    PacketList, or a list of these, which are read as one run, in order of time. `reader`: "auto", or "scapy" to use
    only Scapy's readers and dissector. `profile`: the TIME-WAIT assumed: that of "linux" (60 s), "rfc" (240 s),
    "freebsd" (60 s), "macos" (30 s), "windows" (120 s), or a number of seconds (45). `fold`: bound memory by folding
    segments that cannot change an answer; False keeps all. `block_octets`: octets read at once. `jobs`: number of
    threads; None: one for each core that this process may use. `processes`: use forked processes instead (on Linux),
    which are faster, if no other thread runs. The answers are the same.

    Raises `CaptureError` if a source cannot be used at all; damage inside one is reported in `Inspection.damage`.
    """
    if reader not in ("auto", "scapy"):
        raise ValueError(f"reader is 'auto' or 'scapy', not {reader!r}")
    inspector = Inspector(profile=profile, fold=fold, jobs=jobs, processes=processes)
    inspector.read([Input(one, reader, block_octets=block_octets or BLOCK_OCTETS) for one in sources(source)])
    return inspector.result()
