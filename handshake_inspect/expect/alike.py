"""Groups of connections that are equal in some columns, so that one check is enough for each group.

In: an inspection, streams, and columns: names of columns of the `VerdictTable`, "time_wait" (who owes it), "codes" (of
the findings), "retransmissions", "octets_by_segments". Out: the streams in groups. Of a million connections, few differ
in how they opened and closed; an object is made only for one connection of each group.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.ledger.at_once import number_groups
from handshake_inspect.inspection import Inspection


def alike(inspection: Inspection, streams: Rows, columns: Collection[str]) -> tuple[Rows, Rows]:
    """Group streams that are equal in these columns, in order of first appearance.

    Returns the group of each stream, and the first stream of each group.
    """
    if not len(streams):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = inspection.connections.rows_of(streams)
    values = [_column(inspection, name, rows) for name in sorted(columns)]
    group, first = number_groups([np.zeros(len(rows), np.int64), *values])
    return group, streams[first]


def _column(inspection: Inspection, name: str, rows: Rows) -> NDArray[np.integer]:
    """Return a number for each row; rows with equal values have equal numbers."""
    connections = inspection.connections
    if name == "retransmissions":
        return inspection.retransmissions[rows]
    if name == "time_wait":
        waits = connections.time_waits.table
        owners = np.zeros(len(connections), np.int64)
        np.bitwise_or.at(owners, waits["connection"], 1 << waits["side"].astype(np.int64))
        return owners[rows]
    if name == "octets_by_segments":  # neither numbers nor volumes tell how many there were: nobody is like another
        words, table = connections.verdicts.words, connections.verdicts.table
        sent_again = np.array(["t" in word.lower() for word in words], np.bool_)[table["history"][rows]]
        unknown = (table["sent_octets_o"][rows] == NONE) | (table["sent_octets_r"][rows] == NONE)
        return np.where(sent_again & unknown, rows, NONE)
    if name == "codes":
        return connections.findings.code_sets(rows)[1]
    return connections.verdicts.table[name][rows]
