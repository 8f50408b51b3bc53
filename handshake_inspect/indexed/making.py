"""An inspection -> an index: facts about conversations that their own frames do not show.

In: an inspection of one capture, and the `Places` recorded while it was read. Out: the archive of these, with all
further data that `index` needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect import __version__
from handshake_inspect.archive import Archive
from handshake_inspect.connections.deciding.found import Coded
from handshake_inspect.connections.model import Connections
from handshake_inspect.findings.catalogue import OVER_RUN
from handshake_inspect.indexed.identity import Identity
from handshake_inspect.indexed.typed import as_json
from handshake_inspect.inspection import Inspection
from handshake_inspect.pairs import KEY
from handshake_inspect.places import Places

#: Conversations whose keys are stored together.
CHUNK_KEYS = 1 << 16


def make_index(inspection: Inspection, places: Places, identity: Identity) -> None:
    """Add to the archive of `places` the other data of an index."""
    connections, archive = inspection.connections, places.archive
    places.keep()
    conversation = connections.verdicts.table["conversation"][connections.order]
    archive.write("conversations", steps(conversation))
    for a in range(0, len(connections.keys), CHUNK_KEYS):
        for name in KEY:
            column = connections.keys[name][a : a + CHUNK_KEYS]
            archive.write(f"keys/{a // CHUNK_KEYS}/{name}", steps(column))
    for name, column in inspection.icmp_errors.columns.items():
        archive.write(f"errors/{name}", signed(column))
    of_connections = [one for one in connections.coded if one[0] in OVER_RUN]
    found = [_put_away(archive, f"found/{place}", connections, one) for place, one in enumerate(of_connections)]
    archive.write_text(
        {
            "version": __version__,
            "profile": connections.profile.name,
            "identity": as_json(identity),
            "overview": as_json(inspection.overview),
            "doubled_captures": sorted(inspection.doubled_captures),
            "found": found,
        }
    )


def signed(column: NDArray[Any]) -> NDArray[np.int64]:
    """Return the numbers as signed 64 bits: halves of addresses that are close stay close."""
    return column.view(np.int64).copy() if column.dtype == np.uint64 else column.astype(np.int64)


def steps(column: NDArray[Any]) -> NDArray[np.int64]:
    """Return the difference of each number from the one before, from 0 on; their running sums are the numbers."""
    numbers = signed(column)
    numbers[1:] -= numbers[:-1].copy()
    return numbers


def _put_away(archive: Archive, stem: str, connections: Connections, coded: Coded) -> dict[str, Any]:
    """Store the columns of a finding, with connections as stream numbers. Returns its other parts."""
    code, found = coded
    archive.write(f"{stem}/stream", connections.stream_of[found.connection])
    for place, frames in enumerate(found.frames):
        archive.write(f"{stem}/frames/{place}", frames)
    for place, values in enumerate(found.values.values()):
        archive.write(f"{stem}/values/{place}", signed(values))
    return {"code": code.word, "text": found.text, "frames": len(found.frames), "values": [*found.values]}
