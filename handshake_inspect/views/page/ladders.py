"""A ladder for each connection of the page, as markup.

In: an inspection and the streams of the table, in order of its rows. Out: their ladders in the same order, packed a
hundred at a time: the page's script unpacks those that it needs. To draw is Python's work, so processes share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.jobs import cores
from handshake_inspect.processes import in_processes
from handshake_inspect.quantities import counted
from handshake_inspect.views.address_names import names_of_ends
from handshake_inspect.views.ladder_calls import SocketCall
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.page.packing import Packed, Parted, merged, packed_parts, parted
from handshake_inspect.views.pictures.html import fragment
from handshake_inspect.views.pictures.markup import text
from handshake_inspect.views.rungs import Spelling
from handshake_inspect.views.words import moment

#: Ladders that are packed together: as many as are described faster together than alone.
CHUNK = 100
#: A ladder that is longer, though its transfers are folded, is cut.
MOST_ROWS = 400
#: Segments of all ladders together: the longest connections beyond it have none. A hundred thousand take 2 s.
DRAWN_SEGMENTS = 300_000
#: Payload stays in the capture: a page is sent on.
SPELLING = Spelling(payload_octets=0)

CallsOf = Callable[[Connection, Sequence[Step]], Sequence[SocketCall]]


class Ladders:
    """The ladders of a page. `calls_of`: returns the socket calls of a connection from its steps, if any are known."""

    def __init__(self, inspection: Inspection, streams: NDArray[np.int64], calls_of: CallsOf | None = None) -> None:
        self._inspection = inspection
        self._streams = streams
        self._calls_of = calls_of
        self._has_names = any(one.about.names for one in inspection.captures)
        self._too_long = set(_too_long(inspection, streams).tolist())

    def packed(self, jobs: int | None = None) -> Iterator[Packed]:
        """Yield all of them, packed, in order of the streams; `jobs` processes draw them, None: one for each core."""
        is_folded = self._inspection.is_folded[self._inspection.connections.rows_of(self._streams)]
        pieces = [slice(a, a + CHUNK) for a in range(0, len(self._streams), CHUNK)]
        made = in_processes(self._parted, [self._streams[at][~is_folded[at]] for at in pieces], jobs or cores())
        return packed_parts(
            # Folded ones are read again, from files that copies of this process have open too: they are drawn here.
            merged([light, self._parted(self._streams[at][is_folded[at]])], is_folded[at].tolist())
            if is_folded[at].any()
            else light
            for at, light in zip(pieces, made, strict=True)
        )

    def _parted(self, streams: NDArray[np.int64]) -> Parted:
        return parted(self.of(streams))

    def of(self, streams: NDArray[np.int64]) -> Iterator[str]:
        """Draw the ladders of these streams."""
        coming = [stream for stream in streams.tolist() if stream not in self._too_long]
        for one in self._inspection.connections.of_streams(streams):
            if one.stream in self._too_long:
                yield _instead("all together would be too long for a page.", one)
                continue
            try:
                steps = self._inspection.steps(one.stream, coming)
            except CaptureError as error:
                yield _instead(f"its segments could not be read again ({error}).", one)
            else:
                yield self._drawn(one, steps)
            del coming[:1]

    def _drawn(self, connection: Connection, steps: Sequence[Step]) -> str:
        calls = self._calls_of(connection, steps) if self._calls_of else ()
        ladder = ladder_of(connection, steps, calls=calls, spelling=SPELLING)
        facts = self._facts(connection, len(steps))
        return fragment(ladder, title=_title(connection), facts=facts, level=4, most_rows=MOST_ROWS)

    def _facts(self, connection: Connection, segments: int) -> list[str]:
        """Return the facts above the ladder."""
        several = [connection.capture] if len(self._inspection.captures) > 1 else []
        said = [moment(connection.first_ns, "utc"), counted(segments, "segment"), *connection.encapsulation]
        return [*several, *said, *(names_of_ends(self._inspection, connection) if self._has_names else ())]


def _too_long(inspection: Inspection, streams: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the streams that are not drawn, so that those that are have no more segments than DRAWN_SEGMENTS."""
    table = inspection.connections.verdicts.table
    rows = inspection.connections.rows_of(streams)
    segments = table["segments_o"][rows].astype(np.int64) + table["segments_r"][rows]
    order = np.argsort(segments, kind="stable")
    return streams[order[np.cumsum(segments[order]) > DRAWN_SEGMENTS]]


def _instead(why: str, connection: Connection) -> str:
    """Return the text in place of a ladder that is not drawn."""
    segments = counted(connection.segments.originator + connection.segments.responder, "segment")
    command = f"<code>handshake-inspect show … -s {connection.stream}</code>"
    said = f"Its ladder, of {segments}, is not drawn here: {text(why)} {command} draws it."
    return f'<article class="ladder"><h4>{_title(connection)}</h4><p>{said}</p></article>'


def _title(connection: Connection) -> str:
    return f"opening: {connection.handshake.kind}, closing: {connection.teardown.kind}"
