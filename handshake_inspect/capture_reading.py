"""Reads the captures of a run: each is opened when the run reaches its first time, decoded, and counted.

In: `Input`s, or blocks of records of an interface. Out: blocks of rows, and a summary of each capture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.forked_reader import DecodingFork, ForkedReader
from handshake_inspect.capture.headers.layers import distinct
from handshake_inspect.capture.headers.link_types import LINK_TYPE_NAMES
from handshake_inspect.capture.inputs import Hooks, Input, OpenCapture
from handshake_inspect.capture.merge import Feed, lanes_of
from handshake_inspect.capture.records import CaptureError, Damage, Frames, Records
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.processes import Workers
from handshake_inspect.table import Block, Names

if TYPE_CHECKING:  # only an index needs zip files
    from handshake_inspect.places import Places


class CaptureReading:
    """Reads and decodes the captures of a run, and holds the summary of each.

    `forks`: forked processes may read and decode large ones. `places`: stores the offsets of records, for an index.
    """

    def __init__(self, names: Names, workers: Workers, *, forks: bool = True, places: Places | None = None) -> None:
        self.names = names
        self.summaries: list[CaptureSummary] = []
        #: Time of the first record of each capture; None without records.
        self.begins_ns: list[int | None] = []
        #: Input of each capture; None if it cannot be read again.
        self.sources: list[Input | None] = []
        #: Damage of each capture, by its number.
        self.damage: dict[int, list[Damage]] = {}
        self._workers, self._forks, self._places = workers, forks, places
        #: Decoder of each capture being read: fragments of different captures are not combined.
        self._decoders: dict[int, Decoder | ForkedReader] = {}
        self._link_types: list[set[int]] = []
        #: Counts of frames without a row, except fragments that wait in decoders for the rest of their packet.
        self._unread: Counter[str] = Counter()

    def begin(self, name: str, format_: str, source: Input | None = None) -> int:
        """Begin another file or interface. Returns its number. `source`: the input from which it can be read again."""
        self.summaries.append(CaptureSummary(name, format_))
        self.begins_ns.append(None)
        self.sources.append(source)
        self._link_types.append(set())
        return len(self.summaries) - 1

    @property
    def capture_names(self) -> list[str]:
        """The name of each capture."""
        return [summary.name for summary in self.summaries]

    @property
    def unread(self) -> Counter[str]:
        """Counts of frames without a row, including fragments that wait for the rest of their packet."""
        return sum((one.unread() for one in self._decoders.values()), self._unread)

    def lanes(self) -> NDArray[np.int64]:
        """Return the lane of each capture: captures that follow each other in time share one."""
        return lanes_of(self.summaries, self._decoders)

    def feeds(self, inputs: Sequence[Input], hooks: Hooks, begun: DecodingFork | None) -> list[Feed]:
        """Begin captures, in the order given; unusable ones are left out. `begun`: the fork that reads the only one."""
        feeds = [self._feed(one, len(inputs) > 1, hooks, begun) for one in inputs]
        return [feed for feed in feeds if feed is not None]

    def is_read_apart(self, one: Input) -> bool:
        """Is a capture read in a forked process?"""
        return self._forks and one.is_read_apart(self._workers)

    def _feed(self, one: Input, is_one_of_several: bool, hooks: Hooks, begun: DecodingFork | None) -> Feed | None:
        """Begin a capture, and read its first time if there are others; None if it cannot be used."""
        if hooks.stopped():
            return None
        opened_later = is_one_of_several and one.can_be_opened_again
        try:
            opened = self._opened(one, hooks)
            first_ns = opened.first_ns() if is_one_of_several else None
            is_instant = opened_later and opened.is_instant()
        except CaptureError as error:
            hooks.failed(error)
            return None
        except KeyboardInterrupt:
            if not hooks.stopped():
                raise
            return None
        capture = self.begin(opened.reader.name, opened.reader.format, one if one.can_be_read_again else None)
        if self._places is not None and one.is_file and not one.through_scapy:
            self._places.begin_capture(capture, one.path, opened.reader.name)
        if opened_later:
            opened.close()
        kept = None if opened_later else opened
        disorder = self.summaries[capture].disorder
        return Feed(capture, lambda: self._blocks(one, kept, capture, hooks, begun), disorder, first_ns, is_instant)

    def _opened(self, one: Input, hooks: Hooks) -> OpenCapture:
        """Open a capture. Raises CaptureError."""
        with hooks.opens():
            return one.open(hooks, ahead=self._workers.jobs > 1, positions=self._places is not None)

    def _blocks(
        self, one: Input, opened: OpenCapture | None, capture: int, hooks: Hooks, begun: DecodingFork | None
    ) -> Iterator[tuple[Frames, Block]]:
        """Read a capture from its beginning to its end."""
        try:
            opened = opened or self._opened(one, hooks)
        except CaptureError as error:  # the file has disappeared meanwhile
            hooks.failed(error)
            return
        decoded = self._decoded(one, opened, capture, begun)
        try:
            first = next(decoded, None)
        except CaptureError as error:  # a fork opens it again
            hooks.failed(error)
            return
        for records, block in chain([] if first is None else [first], decoded):
            self._count(records, block, capture)
            if self._places is not None:
                self._places.add_records(capture, records)
            yield records, block
        if self._places is not None:
            self._places.end_capture(capture, opened.reader.headers)
        self._unread += self._decoders.pop(capture, Decoder(self.names)).unread()
        self.damage[capture] = opened.reader.damage
        self.summaries[capture].dropped = opened.reader.dropped
        self.summaries[capture].about = opened.reader.about

    def _decoded(
        self, one: Input, opened: OpenCapture, capture: int, begun: DecodingFork | None
    ) -> Iterator[tuple[Frames, Block]]:
        """Decode a capture, a large one in a fork if there are more jobs than captures read in forks."""
        jobs_left = self._workers.jobs - 1 - sum(isinstance(each, ForkedReader) for each in self._decoders.values())
        if jobs_left > 0 and self.is_read_apart(one):
            again = one.reopened(positions=self._places is not None)
            self._decoders[capture], blocks = opened.apart(again, Decoder(self.names), capture, begun)
            return blocks
        return ((records, self._decode(records, capture, through_scapy=one.through_scapy)) for records in opened)

    def _decode(self, records: Records, capture: int, *, through_scapy: bool = False) -> Block:
        decoder = self._decoders.setdefault(capture, Decoder(self.names))
        assert isinstance(decoder, Decoder)
        if not through_scapy:
            return decoder.decode(records, capture)
        # Slow to import, and reading files does not need it.
        from handshake_inspect.capture.scapy_side.reader import decode_block

        return decode_block(records, self.names, capture, decoder.reassembler)

    def decoded(self, records: Records, capture: int, choose: Callable[[Block], Block]) -> Block:
        """Decode a block of live records; count and return the block that `choose` makes of it."""
        block = choose(self._decode(records, capture))
        self._count(records, block, capture)
        return block

    def _count(self, records: Frames, block: Block, capture: int) -> None:
        """Count a block of records and its decoded rows."""
        types = self._link_types[capture]
        types.update(distinct(records.link_type))
        names = {LINK_TYPE_NAMES.get(one, f"link type {one}") for one in types}
        self.summaries[capture].link_types = tuple(sorted(names))
        self.count_rows(block, capture, len(records), records.time_ns)

    def count_rows(self, block: Block, capture: int, frames: int, time_ns: NDArray[np.int64]) -> None:
        """Count rows of any origin: of `frames` records, captured at `time_ns`."""
        summary = self.summaries[capture]
        summary.frames += frames
        summary.segments += len(block.segments)
        summary.datagrams += len(block.datagrams)
        if frames:
            if self.begins_ns[capture] is None:
                self.begins_ns[capture] = int(time_ns[0])
            first, last = int(np.min(time_ns)), int(np.max(time_ns))
            summary.first_ns = first if summary.first_ns is None else min(summary.first_ns, first)
            summary.last_ns = last if summary.last_ns is None else max(summary.last_ns, last)
        self._unread.update(block.unread)
