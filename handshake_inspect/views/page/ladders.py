"""A ladder for each connection of the page, as markup.

In: an inspection and the streams of the table, in order of its rows. Out: their ladders in the same order, packed a
hundred at a time: the page's script unpacks those that it needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views.page.packing import Packed, packed_parts, parted
from handshake_inspect.views.pictures.html import fragment
from handshake_inspect.views.rungs import Spelling, ladder_of
from handshake_inspect.views.words import moment

#: Ladders that are packed together: as many as are described faster together than alone.
CHUNK = 100
#: A ladder that is longer, though its transfers are folded, is cut.
MOST_ROWS = 400
#: Names of one address that the header of a ladder has room for.
NAMES_SHOWN = 3
#: Payload stays in the capture: a page is sent on.
SPELLING = Spelling(payload_octets=0)


def packed_ladders(inspection: Inspection, streams: Sequence[int]) -> Iterator[Packed]:
    """Yield the ladders of these streams, packed."""
    some = [streams[a : a + CHUNK] for a in range(0, len(streams), CHUNK)]
    return packed_parts(parted(ladders(inspection, one)) for one in some)


def ladders(inspection: Inspection, streams: Sequence[int]) -> Iterator[str]:
    """Draw the ladders of these streams."""
    return (ladder_markup(inspection, stream, streams[at:]) for at, stream in enumerate(streams))


def ladder_markup(inspection: Inspection, stream: int, coming: Sequence[int] | None = None) -> str:
    """Draw the ladder of a stream. `coming`: those that are drawn next, this one first."""
    connection = next(inspection.connections.of_streams(np.array([stream])))
    steps = inspection.steps(stream, coming or [stream])
    ladder = ladder_of(connection, steps, spelling=SPELLING)
    title = f"{connection.handshake.kind}, {connection.teardown.kind}"
    return fragment(ladder, title=title, facts=_facts(inspection, connection, steps), level=4, most_rows=MOST_ROWS)


def _facts(inspection: Inspection, connection: Connection, steps: Sequence[Step]) -> list[str]:
    """Return what stands above the ladder."""
    several = [connection.capture] if len(inspection.captures) > 1 else []
    addresses = dict.fromkeys([connection.originator.ip, connection.responder.ip])
    known = {address: inspection.names_of(address)[:NAMES_SHOWN] for address in addresses}
    names = [f"{address} is {listed(names, 'or')}" for address, names in known.items() if names]
    return [
        *several,
        moment(connection.first_ns, "utc"),
        counted(len(steps), "segment"),
        *connection.encapsulation,
        *names,
    ]
