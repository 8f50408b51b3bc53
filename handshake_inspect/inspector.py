"""Captures -> `Inspection`: the only wiring of readers, decoder, engine and model.

In: files, or blocks as they come. Out: what they show, at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import BLOCK_OCTETS
from handshake_inspect.capture.forked_reader import DecodingFork, ForkedReader
from handshake_inspect.capture.headers.layers import distinct
from handshake_inspect.capture.headers.link_types import LINK_TYPE_NAMES
from handshake_inspect.capture.inputs import Hooks, Input, OpenCapture, Source, sources
from handshake_inspect.capture.merge import Feed, Merge, lanes_of
from handshake_inspect.capture.order import INTERFACES_NS
from handshake_inspect.capture.records import CaptureError, Damage, Frames, Records
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.analysis import Analysis, Seen
from handshake_inspect.connections.connection import Step
from handshake_inspect.connections.decided_part import DecidedPart, FoldedError
from handshake_inspect.connections.deciding.answers import leaving
from handshake_inspect.connections.endless.endless_analysis import EndlessAnalysis
from handshake_inspect.connections.endless.retention import LetGo, Retention
from handshake_inspect.connections.endless.run_clock import RunClock
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.prepared import PreparedConnections, RereadConnections
from handshake_inspect.connections.splitting.split import StoredRows
from handshake_inspect.datagrams import Datagrams
from handshake_inspect.exchanges import LazyExchanges
from handshake_inspect.findings.catalogue import examiner, survey
from handshake_inspect.inspection import Inspection
from handshake_inspect.jobs import behind, cores
from handshake_inspect.pairs import KeyTable
from handshake_inspect.processes import Workers
from handshake_inspect.table import Block, IcmpErrorTable, Names, SegmentTable
from handshake_inspect.tcp.time_wait import profile_of

if TYPE_CHECKING:  # only an index needs zip files
    from handshake_inspect.places import Places


class Inspector:
    """Takes captures block by block, and says at any time what they show so far.

    `inspect()` feeds it files. A live capture feeds it small blocks, asks what is new with each (`update`), and lets go
    what is over (`go_on`), as `leaving` says. How long it has been over `steady_ns` tells, a clock that nobody sets; or
    the times of the frames. Captures that are read may be let go likewise: `told` is given an `Inspection` of the
    connections that leave. `jobs` threads work on captures of some size, with `processes` copies of this process, which
    are faster: where nothing else goes on in it. If nothing is said of `jobs`, all cores work.
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
        self.captures: list[CaptureSummary] = []
        self.unread: Counter[str] = Counter()
        self._clock = clock = RunClock(steady_ns)
        self.analysis: Analysis = (
            EndlessAnalysis(self.names, leaving, clock, self._tell if told else None)
            if leaving
            else Analysis(self.names, fold=fold, only=only)
        )
        self._told = told
        #: What each capture was read from, if it can be read again.
        self.sources: list[Input | None] = []
        #: Where everything stands in files that can be read again, if somebody will ask for single connections.
        self._places = places
        #: Where each capture could not be read.
        self.damage_of: dict[int, list[Damage]] = {}
        #: Whose rules of TIME-WAIT are assumed.
        self.profile = profile_of(profile)
        #: Of each capture that is being read: fragments of several are not mixed.
        self._decoders: dict[int, Decoder | ForkedReader] = {}
        self._link_types: dict[int, set[int]] = {}
        self.datagrams = Datagrams(clock, fold=fold and leaving is None)
        #: Was everything read of these, to their ends?
        self._is_read = False
        #: What reads the only one of them already.
        self._begun: DecodingFork | None = None
        self._ahead = PreparedConnections(self.analysis)
        self._again = RereadConnections(self._read_again)

    def begin_capture(self, name: str, format_: str, source: Input | None = None) -> int:
        """Begin another file or interface. Returns its number. `source`: what it can be read from again."""
        self.captures.append(CaptureSummary(name, format_))
        self.sources.append(source)
        self._link_types[len(self.captures) - 1] = set()
        if len(self.captures) > 1:
            self.analysis.gathering.copies_within_ns = INTERFACES_NS
            self.analysis.follow(None)
            self.datagrams.folds_at_once = False
        return len(self.captures) - 1

    def read(self, inputs: Sequence[Input], hooks: Hooks | None = None, begun: DecodingFork | None = None) -> None:
        """Take captures whole, in order of time over all of them; they are numbered in the order given.

        `begun`: what reads the only one already, if something does; it numbers our `names`. Raises `CaptureError` if
        one cannot be used at all, unless `hooks` say what becomes of it.
        """
        hooks = hooks or Hooks()
        self._begun = begun
        apart = any(map(self._is_read_apart, inputs))
        feeds = [self._feed(one, len(inputs) > 1, hooks) for one in inputs]
        merge = Merge(feed for feed in feeds if feed is not None)
        if isinstance(self.analysis, EndlessAnalysis):
            self.analysis.can_be_read_again = None not in self.sources
            self.analysis.waiting = lambda: merge.waiting
            self.analysis.lanes = lambda: lanes_of(self.captures, self._decoders)

        def take_in_turn(given: tuple[Block, int]) -> None:
            block, self.analysis.gathering.single_until_ns = given
            self._take_of_file(block)

        try:
            # A thread would be in the way of copies, which do more; and what goes may renumber what waits.
            jobs = 1 if apart or isinstance(self.analysis, EndlessAnalysis) else self.workers.jobs
            behind(take_in_turn, ((block, merge.single_until_ns) for block in merge), jobs)
            self._is_read = not hooks.stopped()
        finally:  # what was read is inspected, whatever came between
            for block in merge.rest():
                self._take_of_file(block)
            self.analysis.follow(lanes_of(self.captures))

    def _is_read_apart(self, one: Input) -> bool:
        """Is a capture read by a copy of this process? Names of what goes are not those of a copy."""
        return not isinstance(self.analysis, EndlessAnalysis) and one.is_read_apart(self.workers)

    def _take_of_file(self, block: Block) -> None:
        """Take rows of captures, whose own times are the clock."""
        for rows in (block.segments, block.datagrams):
            self._clock.advance(rows["time_ns"])
        self.take(block)
        self.go_on()

    def _feed(self, one: Input, is_one_of_several: bool, hooks: Hooks) -> Feed | None:
        """Begin a capture, and see when it begins if there are others; None if it cannot be used."""
        if hooks.stopped():
            return None
        opened_later = is_one_of_several and one.can_be_opened_again
        try:
            opened = one.open(hooks, ahead=self.workers.jobs > 1)
            first_ns = opened.first_ns() if is_one_of_several else None
        except CaptureError as error:
            hooks.failed(error)
            return None
        capture = self.begin_capture(opened.reader.name, opened.reader.format, one if one.can_be_read_again else None)
        if self._places is not None and one.is_file and not one.through_scapy:
            self._places.begin_capture(capture, one.path, opened.reader.name)
        if opened_later:
            opened.close()
        disorder = self.captures[capture].disorder
        kept = None if opened_later else opened
        return Feed(capture, lambda: self._blocks(one, kept, capture, hooks), disorder, first_ns)

    def _blocks(
        self, one: Input, opened: OpenCapture | None, capture: int, hooks: Hooks
    ) -> Iterator[tuple[Frames, Block]]:
        """Read a capture from its beginning to its end."""
        try:
            opened = opened or one.open(hooks, ahead=self.workers.jobs > 1)
        except CaptureError as error:  # it was there a moment ago
            hooks.failed(error)
            return
        decoded = self._decoded(one, opened, capture)
        try:
            first = next(decoded, None)
        except CaptureError as error:  # a copy of this process opens it once more
            hooks.failed(error)
            return
        for records, block in chain([] if first is None else [first], decoded):
            self._count(records, block, capture)
            if self._places is not None:
                self._places.add_records(capture, records)
            yield records, block
        if self._places is not None:
            self._places.end_capture(capture, opened.reader.headers)
        self.unread += self._decoders.pop(capture, Decoder(self.names)).unread()
        self.damage_of[capture] = opened.reader.damage
        self.captures[capture].dropped = opened.reader.dropped
        self.captures[capture].about = opened.reader.about

    def _decoded(self, one: Input, opened: OpenCapture, capture: int) -> Iterator[tuple[Frames, Block]]:
        """Decode a capture, a large one apart: as long as there are more jobs than captures that are read so."""
        jobs_left = self.workers.jobs - 1 - sum(isinstance(each, ForkedReader) for each in self._decoders.values())
        if jobs_left > 0 and self._is_read_apart(one):
            begun, self._begun = self._begun, None
            self._decoders[capture], blocks = opened.apart(one, Decoder(self.names), capture, begun)
            return blocks
        return ((records, self._decode(records, capture, through_scapy=one.through_scapy)) for records in opened)

    def _decode(self, records: Records, capture: int, *, through_scapy: bool = False) -> Block:
        decoder = self._decoders.setdefault(capture, Decoder(self.names))
        assert isinstance(decoder, Decoder)
        if not through_scapy:
            return decoder.decode(records, capture)
        # Reading files does not pay for its import.
        from handshake_inspect.capture.scapy_side.reader import decode_block

        return decode_block(records, self.names, capture, decoder.reassembler)

    def add_records(
        self, records: Records, capture: int, choose: Callable[[Block], Block] = lambda block: block
    ) -> Block:
        """Take what `choose` leaves of a block of records as they come. Returns what that is."""
        block = choose(self._decode(records, capture))
        self._count(records, block, capture)
        self._clock.advance(records.time_ns)
        self.take(block)
        return block

    def add_block(self, block: Block, capture: int, frames: int, time_ns: NDArray[np.int64]) -> SegmentTable:
        """Take rows, however they were made: `frames` records, captured at `time_ns`. Returns the segments."""
        self._count_rows(block, capture, frames, time_ns)
        self._clock.advance(time_ns)
        self.take(block)
        return block.segments

    def _count(self, records: Frames, block: Block, capture: int) -> None:
        """Count a block of records, and what it was decoded to."""
        types = self._link_types[capture]
        types.update(distinct(records.link_type))
        names = {LINK_TYPE_NAMES.get(one, f"link type {one}") for one in types}
        self.captures[capture].link_types = tuple(sorted(names))
        self._count_rows(block, capture, len(records), records.time_ns)

    def _count_rows(self, block: Block, capture: int, frames: int, time_ns: NDArray[np.int64]) -> None:
        summary = self.captures[capture]
        summary.frames += frames
        summary.segments += len(block.segments)
        summary.datagrams += len(block.datagrams)
        if frames:
            first, last = int(np.min(time_ns)), int(np.max(time_ns))
            summary.first_ns = first if summary.first_ns is None else min(summary.first_ns, first)
            summary.last_ns = last if summary.last_ns is None else max(summary.last_ns, last)
        self.unread.update(block.unread)

    def take(self, block: Block) -> None:
        """Take rows in order of time, of one capture or of several."""
        self.datagrams.add(block.datagrams, block.icmp_errors)
        conversations, _ = self.analysis.add(block.segments, block.icmp_errors)
        if self._places is not None:
            self._places.add_rows(block.segments, conversations)

    @property
    def damage(self) -> list[Damage]:
        """Where captures could not be read, in the order in which they were named."""
        return [place for _, places in sorted(self.damage_of.items()) for place in places]

    @property
    def all_unread(self) -> Counter[str]:
        """Frames that hold no row, those among them that wait for the rest of their packet."""
        return sum((one.unread() for one in self._decoders.values()), self.unread)

    def result(self, *, with_segments: bool = True) -> Inspection:
        """Say what was found so far.

        `with_segments`: keep them, for whoever asks for `steps` or `rows`; else they go as they are decided, for good.
        """
        self._read_misjudged_again()
        captures = [summary.name for summary in self.captures]
        leaving = self._leaving_now()
        verdicts = self.analysis.verdicts(examiner(self.captures, leaving), self.workers, last=not with_segments)
        connections = self.analysis.connections(verdicts, captures, self.profile)
        connections.look_over = partial(survey, captures=self.captures, leaving=leaving)
        return Inspection(
            captures=self.captures,
            connections=connections,
            exchanges=LazyExchanges(
                list(self.datagrams.tables),
                list(self.datagrams.errors),
                self.names,
                captures,
                self.analysis.gathering.lanes,
            ),
            damage=self.damage,
            unread=self.all_unread,
            let_go=replace(self.analysis.let_go) if isinstance(self.analysis, EndlessAnalysis) else LetGo(),
            workers=self.workers,
            _inspector=self if with_segments else None,
        )

    def steps(self, connections: Connections, stream: int, coming: Sequence[int] | None = None) -> tuple[Step, ...]:
        """Describe every segment of one stream; its captures are read again if its segments were folded.

        Raises `CaptureError` if that is needed and not possible.
        """
        try:
            return self._ahead.steps(connections, stream, coming)
        except FoldedError:
            return self._again.steps(connections, stream, coming)

    def update(self, segments: SegmentTable, icmp_errors: IcmpErrorTable) -> list[Seen]:
        """Describe these segments and ICMP errors about TCP, which the last blocks brought, in order of time.

        Each comes with its connection as it is now. Of segments that were let go or folded since nothing is said.
        """
        return self.analysis.update(segments, icmp_errors, [summary.name for summary in self.captures], self.profile)

    def go_on(self) -> None:
        """Let go what is over, where `leaving` says so; call it when a block was described."""
        if isinstance(self.analysis, EndlessAnalysis):
            self.analysis.go_on()
            self.datagrams.go_on(self.analysis.leaving, self.analysis.let_go, self.analysis.lanes)

    def _leaving_now(self) -> Retention | None:
        """Return by what rule connections leave a run that is read; None as long as all of them are kept."""
        going = self.analysis if self._told is not None and isinstance(self.analysis, EndlessAnalysis) else None
        return going.leaving if going is not None and going.has_more_than_kept else None

    def _tell(self, decided: DecidedPart, rows: NDArray[np.int64]) -> None:
        """Tell of connections that leave a run that is read, and say what was found of them alone."""
        assert self._told is not None
        assert isinstance(self.analysis, EndlessAnalysis)
        decided.verdicts.found = examiner(self.captures, self.analysis.leaving)(decided)
        verdicts = leaving(decided.verdicts, rows)
        captures = [summary.name for summary in self.captures]
        own, others = (self.analysis.numbers_of(table) for table in (verdicts.table, verdicts.others_next))
        connections = Connections(verdicts, decided.keys, self.names, captures, self.profile, own, others)
        connections.look_over = partial(survey, captures=self.captures, leaving=self.analysis.leaving)
        self._told(Inspection(self.captures, connections, LazyExchanges([], [], self.names, captures), []))

    def _read_misjudged_again(self) -> None:
        """Read those conversations again that were folded by what the whole of them does not confirm, if it can be."""
        if not self._is_read or None in self.sources:
            return
        conversations = self.analysis.gathering.misjudged()
        if not len(conversations):
            return
        try:
            again = self._read_again(conversations).gathering
        except CaptureError:  # it was there a moment ago
            return
        numbers = again.conversations.number(self.analysis.keys.take(conversations))
        own = np.full(len(again.conversations), -1)
        own[numbers] = conversations
        rows = again.everything()
        rows = StoredRows(rows.columns | {"conversation": own[rows["conversation"]]})
        self.analysis.replace(conversations, rows.take(rows["conversation"] >= 0))

    def _read_again(self, conversations: NDArray[np.int64]) -> Analysis:
        """Read the captures again, keeping every segment of some conversations; their own frames alone if it can be."""
        keys = self.analysis.keys.take(conversations)
        again = Inspector(
            fold=False, names=self.names, only=keys, jobs=self.workers.jobs, processes=self.workers.may_fork
        )
        segments = None if self._places is None else self._places.read(conversations, keys, self.names)
        if segments is not None:
            again.analysis.gathering.copies_within_ns = self.analysis.gathering.copies_within_ns
            again.analysis.follow(self.analysis.gathering.lanes)
            errors = self.analysis.quotes.about(conversations, self.analysis.gathering.conversations)
            again.analysis.add(segments, errors)
            return again.analysis
        for summary, source in zip(self.captures, self.sources, strict=True):
            if source is None:
                raise CaptureError(
                    f"{summary.name}: this connection is too long to keep every segment in memory, and the capture "
                    "cannot be read again; save it to a file first"
                )
        again.read([source for source in self.sources if source is not None])
        return again.analysis


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
    """Inspect one or several captures and return what every connection did.

    `source`: a path ("-" is standard input), a name with `://` that fsspec opens, an open binary file, a Scapy
    PacketList, or a list of these, which are read as one run, in order of time. `reader`: "auto", or "scapy" to go
    through Scapy's readers and dissector from end to end. `profile`: whose TIME-WAIT is assumed: "linux" (60 s), "rfc"
    (240 s), "freebsd" (60 s), "macos" (30 s), "windows" (120 s), or a number of seconds (45). `fold`: keep memory
    bounded by folding segments that cannot change an answer; False keeps all. `block_octets`: how much is read at once.
    `jobs`: how many threads work; None: one for each core that this process may use. `processes`: let copies of this
    process work instead (on Linux), which is faster, where no other thread runs. The answers are the same.

    Raises `CaptureError` if a source cannot be used at all; damage inside one is reported in `Inspection.damage`.
    """
    if reader not in ("auto", "scapy"):
        raise ValueError(f"reader is 'auto' or 'scapy', not {reader!r}")
    inspector = Inspector(profile=profile, fold=fold, jobs=jobs, processes=processes)
    inspector.read([Input(one, reader, block_octets=block_octets or BLOCK_OCTETS) for one in sources(source)])
    return inspector.result()
