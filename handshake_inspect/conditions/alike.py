"""Connections that are alike in what somebody asks: asked once for each kind of them, however many there are.

In: an inspection, streams, and what is asked: names of columns of the `VerdictTable`, "time_wait" (who owes it),
"codes" (what was found), "retransmissions", "octets_by_segments". Out: the streams in groups. Of a million connections
few differ in how they opened and closed; what is true of one is so of all that are alike, and no object is made of
those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.conditions.condition import Both, Compare, Condition, Either, Field, Listing, Node, Not
from handshake_inspect.connections.answers import NONE
from handshake_inspect.connections.at_once import number_groups
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.contract import connection_object

Rows = NDArray[np.int64]

_SAME_SHAPE = ("judgement",)
_OF_BOTH = ("octets", "sent_octets", "missing_octets", "segments")
#: The columns on which a field of the contract depends, and nothing else; of other fields every connection is asked.
COLUMNS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("protocol",): (),
    ("first_ns",): ("first_ns",),
    ("last_ns",): ("last_ns",),
    ("duplicates",): ("duplicates",),
    ("conn_state",): ("conn_state",),
    ("history",): ("history",),
    ("completeness",): ("completeness",),
    **{("handshake", name): _SAME_SHAPE for name in ("kind", "complete", "missing", "fast_open")},
    **{
        ("handshake", name): (name,)
        for name in (
            "syn_retransmissions", "syn_ack_retransmissions", "syn_to_syn_ack_ns", "syn_ack_to_ack_ns",
            "initial_rtt_ns",
        )
    },
    ("handshake", "rtt_ambiguous"): ("syn_retransmissions", "syn_ack_retransmissions"),
    **{("teardown", name): _SAME_SHAPE for name in ("kind", "complete", "missing", "closed_first", "reset_by")},
    **{("teardown", name): (name,) for name in ("fin_retransmissions", "half_closed_ns")},
    **{("states", end): _SAME_SHAPE for end in ("originator", "responder")},
    **{(name, end): (f"{name}_{end[0]}",) for name in _OF_BOTH for end in ("originator", "responder")},
    **{
        (end, name): ("conversation", "originator_is_higher")
        for end in ("originator", "responder")
        for name in ("ip", "port")
    },
}  # fmt: skip


def alike(inspection: Inspection, streams: Rows, asked: Collection[str]) -> tuple[Rows, Rows]:
    """Put streams into groups that are alike in what is asked, by first appearance.

    Returns the group of each stream, and the first stream of each group.
    """
    if not len(streams):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = inspection.connections.rows_of(streams)
    columns = [_column(inspection, name, rows) for name in sorted(asked)]
    group, first = number_groups([np.zeros(len(rows), np.int64), *columns])
    return group, streams[first]


def _column(inspection: Inspection, name: str, rows: Rows) -> NDArray[np.integer]:
    """Return a number for each row that is the same where the answer is."""
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


def holding(conditions: Sequence[Condition], streams: Rows, inspection: Inspection) -> list[Rows]:
    """Return of which streams each condition holds; of those that they cannot tell apart one is asked."""
    columns = _columns_of(conditions)
    group, asked = (np.arange(len(streams)), streams) if columns is None else alike(inspection, streams, columns)
    holds = np.zeros((len(conditions), len(asked)), np.bool_)
    for place, connection in enumerate(inspection.connections.of_streams(asked)):
        found = connection_object(connection)
        holds[:, place] = [one.holds(found) for one in conditions]
    return [streams[each[group]] for each in holds]


def _columns_of(conditions: Sequence[Condition]) -> set[str] | None:
    """Return the columns on which conditions depend; None if they ask for more than columns tell."""
    paths = {path for one in conditions for path in _paths(one.node)}
    return None if paths - COLUMNS.keys() else {name for path in paths for name in COLUMNS[path]}


def _paths(node: Node) -> set[tuple[str, ...]]:
    match node:
        case Field(path):
            return {path}
        case Listing(items):
            return set().union(*map(_paths, items))
        case Compare(_, left, right) | Both(left, right) | Either(left, right):
            return _paths(left) | _paths(right)
        case Not(inner):
            return _paths(inner)
        case _:
            return set()
