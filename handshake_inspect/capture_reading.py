"""The captures of a run, as they are read: each is opened when its time comes, decoded, and counted.

In: `Input`s, or blocks of records of an interface. Out: blocks of rows, and what is known of each capture.
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
    """Reads and decodes the captures of a run, and knows of each what is to be told of it.

    `forks`: copies of this process may read and decode large ones. `places`: where to note where everything stands.
    """

    def __init__(self, names: Names, workers: Workers, *, forks: bool = True, places: Places | None = None) -> None:
        self.names = names
        self.summaries: list[CaptureSummary] = []
        #: What each capture was read from, if it can be read again.
        self.sources: list[Input | None] = []
        #: Where each capture could not be read, by its number.
        self.damage: dict[int, list[Damage]] = {}
        self._workers, self._forks, self._places = workers, forks, places
        #: Of each capture that is being read: fragments of several are not mixed.
        self._decoders: dict[int, Decoder | ForkedReader] = {}
        self._link_types: list[set[int]] = []
        #: Frames that hold no row, but for those that wait in decoders for the rest of their packet.
        self._unread: Counter[str] = Counter()

    def begin(self, name: str, format_: str, source: Input | None = None) -> int:
        """Begin another file or interface. Returns its number. `source`: what it can be read from again."""
        self.summaries.append(CaptureSummary(name, format_))
        self.sources.append(source)
        self._link_types.append(set())
        return len(self.summaries) - 1

    @property
    def capture_names(self) -> list[str]:
        """What each capture is called."""
        return [summary.name for summary in self.summaries]

    @property
    def unread(self) -> Counter[str]:
        """Frames that hold no row, those among them that wait for the rest of their packet."""
        return sum((one.unread() for one in self._decoders.values()), self._unread)

    def lanes(self) -> NDArray[np.int64]:
        """Return a number for each capture, equal for those that follow each other in time."""
        return lanes_of(self.summaries, self._decoders)

    def feeds(self, inputs: Sequence[Input], hooks: Hooks, begun: DecodingFork | None) -> list[Feed]:
        """Begin captures, in the order given; those that cannot be used are left out. `begun` already reads the one."""
        feeds = [self._feed(one, len(inputs) > 1, hooks, begun) for one in inputs]
        return [feed for feed in feeds if feed is not None]

    def is_read_apart(self, one: Input) -> bool:
        """Is a capture read by a copy of this process?"""
        return self._forks and one.is_read_apart(self._workers)

    def _feed(self, one: Input, is_one_of_several: bool, hooks: Hooks, begun: DecodingFork | None) -> Feed | None:
        """Begin a capture, and see when it begins if there are others; None if it cannot be used."""
        if hooks.stopped():
            return None
        opened_later = is_one_of_several and one.can_be_opened_again
        try:
            opened = one.open(hooks, ahead=self._workers.jobs > 1)
            first_ns = opened.first_ns() if is_one_of_several else None
        except CaptureError as error:
            hooks.failed(error)
            return None
        capture = self.begin(opened.reader.name, opened.reader.format, one if one.can_be_read_again else None)
        if self._places is not None and one.is_file and not one.through_scapy:
            self._places.begin_capture(capture, one.path, opened.reader.name)
        if opened_later:
            opened.close()
        kept = None if opened_later else opened
        disorder = self.summaries[capture].disorder
        return Feed(capture, lambda: self._blocks(one, kept, capture, hooks, begun), disorder, first_ns)

    def _blocks(
        self, one: Input, opened: OpenCapture | None, capture: int, hooks: Hooks, begun: DecodingFork | None
    ) -> Iterator[tuple[Frames, Block]]:
        """Read a capture from its beginning to its end."""
        try:
            opened = opened or one.open(hooks, ahead=self._workers.jobs > 1)
        except CaptureError as error:  # it was there a moment ago
            hooks.failed(error)
            return
        decoded = self._decoded(one, opened, capture, begun)
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
        self._unread += self._decoders.pop(capture, Decoder(self.names)).unread()
        self.damage[capture] = opened.reader.damage
        self.summaries[capture].dropped = opened.reader.dropped
        self.summaries[capture].about = opened.reader.about

    def _decoded(
        self, one: Input, opened: OpenCapture, capture: int, begun: DecodingFork | None
    ) -> Iterator[tuple[Frames, Block]]:
        """Decode a capture, a large one apart: as long as there are more jobs than captures that are read so."""
        jobs_left = self._workers.jobs - 1 - sum(isinstance(each, ForkedReader) for each in self._decoders.values())
        if jobs_left > 0 and self.is_read_apart(one):
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

    def decoded(self, records: Records, capture: int, choose: Callable[[Block], Block]) -> Block:
        """Decode a block of records as they come; what `choose` leaves of it is counted, and returned."""
        block = choose(self._decode(records, capture))
        self._count(records, block, capture)
        return block

    def _count(self, records: Frames, block: Block, capture: int) -> None:
        """Count a block of records, and what it was decoded to."""
        types = self._link_types[capture]
        types.update(distinct(records.link_type))
        names = {LINK_TYPE_NAMES.get(one, f"link type {one}") for one in types}
        self.summaries[capture].link_types = tuple(sorted(names))
        self.count_rows(block, capture, len(records), records.time_ns)

    def count_rows(self, block: Block, capture: int, frames: int, time_ns: NDArray[np.int64]) -> None:
        """Count rows, however they were made: of `frames` records, captured at `time_ns`."""
        summary = self.summaries[capture]
        summary.frames += frames
        summary.segments += len(block.segments)
        summary.datagrams += len(block.datagrams)
        if frames:
            first, last = int(np.min(time_ns)), int(np.max(time_ns))
            summary.first_ns = first if summary.first_ns is None else min(summary.first_ns, first)
            summary.last_ns = last if summary.last_ns is None else max(summary.last_ns, last)
        self._unread.update(block.unread)
