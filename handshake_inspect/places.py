"""The places of all conversations of a run: their frames, and the positions of these in the files.

In: records and rows, as they are read. Out: the segments of some conversations, read again from their own frames alone.
So a connection whose segments were folded is described without reading its whole capture again.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.archive import Archive
from handshake_inspect.arrays import Rows
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.positions import LocatedCapture, Positions
from handshake_inspect.capture.records import Frames
from handshake_inspect.connections.folding.whereabouts import Whereabouts
from handshake_inspect.pairs import KeyTable, has_key
from handshake_inspect.sets import set_of
from handshake_inspect.table import FRAME_BITS, Names, SegmentTable, frame_numbers


class Places:
    """The places of the conversations of a run."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._segments = Whereabouts(self.archive, "segments")
        #: By the number of the capture; without those whose records have no known places.
        self.captures: dict[int, LocatedCapture] = {}

    @classmethod
    def kept(cls, archive: Archive, paths: list[tuple[str, str]]) -> Places:
        """Load the places that `keep` saved, of captures by path and name. Raises ArchiveError."""
        kept = cls(archive)
        kept._segments = Whereabouts.kept(archive, "segments")
        kept.captures = {
            number: LocatedCapture(path, name, Positions.kept(archive, f"records/{number}"))
            for number, (path, name) in enumerate(paths)
        }
        return kept

    def keep(self) -> None:
        """Save what is still in memory, at the end of the run."""
        self._segments.keep()
        for one in self.captures.values():
            one.positions.keep()

    def begin_capture(self, number: int, path: str, name: str) -> None:
        """Begin another capture, of that path."""
        self.captures[number] = LocatedCapture(path, name, Positions(self.archive, f"records/{number}"))

    def add_records(self, number: int, records: Frames) -> None:
        """Note the positions of the records of a block."""
        if number in self.captures:
            self.captures[number].positions.add(records)

    def end_capture(self, number: int, headers: list[tuple[int, int]]) -> None:
        """Note what is known of a capture when all of it was read."""
        if number in self.captures:
            self.captures[number].positions.headers = headers

    def add_rows(self, segments: SegmentTable, conversations: Rows) -> None:
        """Note the segments of a block, and the conversation of each."""
        self._segments.add(conversations, frame_numbers(segments["capture"], segments["frame"]), segments["clock"])

    def read(self, conversations: Rows, keys: KeyTable, names: Names) -> SegmentTable | None:
        """Read the segments of these conversations, which have these keys, in the order of the run.

        None where their own frames do not tell: they came in fragments of IP, or nobody knows where they stand. Raises
        CaptureError if a capture cannot be used any more.
        """
        frames, clock = self._segments.of(conversations)
        parts, captures = [], frames >> FRAME_BITS
        for number in set_of(captures).tolist():
            if number not in self.captures:
                return None
            decoder, mine = Decoder(names), frames[captures == number] & (1 << FRAME_BITS) - 1
            parts += [decoder.decode(records, number).segments for records in self.captures[number].open(mine)]
        found = _in_order(SegmentTable.concatenate(parts), frames, keys)
        if found is not None:
            found.columns["clock"] = clock
        return found


def _in_order(table: SegmentTable, frames: Rows, keys: KeyTable) -> SegmentTable | None:
    """Return the rows with these keys in the order of their `frames`; None if they are not those of these frames."""
    table = table.take(has_key(table, keys))
    own = frame_numbers(table["capture"], table["frame"])
    distinct, place = np.unique(frames, return_index=True)
    if len(own) != len(frames) or not np.isin(own, distinct).all():
        return None
    order = np.argsort(place[np.searchsorted(distinct, own)], kind="stable")
    return table.take(order) if (own[order] == frames).all() else None
