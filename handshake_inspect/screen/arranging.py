"""Filter, search and sort connections, on columns.

In: a `ListSnapshot`, a filter as it was typed, and an order. Out: stream numbers. A filter that names a field is a
condition, as `read --where` takes it. Otherwise each of its words must occur: digits alone are a port or a stream; any
other word is looked for in addresses, kinds of openings and closings, states, codes of findings and names of captures.
Of a million connections that takes some tenths of a second; a condition on a field that differs in each of them takes
some seconds, and is given up when the user asks for something else meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.cells import addresses, lines, numbers
from handshake_inspect.conditions.condition import Condition, fields_of
from handshake_inspect.conditions.parser import WhereError, parse
from handshake_inspect.conditions.parts import streams_where
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.flat import sockets
from handshake_inspect.connections.model import Connections
from handshake_inspect.screen.sight import ListSnapshot, Streams

#: Addresses that are spelled at once.
BLOCK_ROWS = 1 << 16
#: In a column to sort by: not known.
UNKNOWN = np.iinfo(np.int64).max
#: Signs that only a condition has: with one of them a mistake is told, not searched for.
SIGNS = ("==", "!=", "<", ">", '"', "(")


@dataclass(frozen=True)
class Query:
    """A filter as it was typed, and what it means."""

    text: str = ""
    condition: Condition | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """The column to sort by, and the direction. Without a column: the order of the source."""

    column: str = ""
    descending: bool = False


def understood(text: str) -> Query:
    """Parse a filter. Raises WhereError, one line, if it can only be a condition and is not a valid one."""
    text = text.strip()
    try:
        condition = parse(text) if text else None
    except WhereError:
        if any(sign in text for sign in SIGNS):
            raise
        condition = None
    if condition is not None and any(True for _ in fields_of(condition.node)):
        return Query(text, condition)
    return Query(text, None, tuple(text.lower().split()))


class OutdatedError(Exception):
    """The user has asked for something else meanwhile."""


def arranged(sight: ListSnapshot, query: Query, order: Order, is_wanted: Callable[[], bool] = lambda: True) -> Streams:
    """Return the streams that match the query, in this order.

    Raises OutdatedError when that is not wanted any more.
    """
    streams = sight.streams
    if query.condition is not None:
        parts = [np.zeros(0, np.int64)]
        for part in streams_where(query.condition, sight.connections, streams):
            if not is_wanted():
                raise OutdatedError
            parts.append(part)
        streams = np.concatenate(parts)
    if query.words:
        streams = streams[having(query.words, sight.connections, streams)]
    return in_order(order, sight.connections, streams)


def places(query: Query, sight: ListSnapshot, streams: Streams) -> Streams:
    """Return the places of the matching ones in these streams, rising."""
    chosen = arranged(replace(sight, streams=streams), query, Order())
    return np.flatnonzero(np.isin(streams, chosen))


def in_order(order: Order, connections: Connections, streams: Streams) -> Streams:
    """Return the streams sorted, stably; unknown values come last."""
    if order.column not in ORDERS:
        return streams[::-1] if order.descending else streams
    keys = ORDERS[order.column](connections, connections.rows_of(streams))
    is_known = keys[0] != UNKNOWN
    if order.descending:  # of integers of any kind the complement has the contrary order, and equal ones keep theirs
        keys = [~key for key in keys]
    place = np.lexsort(keys[::-1])
    ordered: Streams = streams[np.concatenate([place[is_known[place]], place[~is_known[place]]])]
    return ordered


def having(words: Sequence[str], connections: Connections, streams: Streams) -> Mask:
    """Mark the streams in which all of these words, in lower case, occur."""
    rows = connections.rows_of(streams)
    found = np.ones(len(streams), np.bool_)
    for word in words:
        found &= _has(word, connections, streams, rows)
    return found


def _has(word: str, connections: Connections, streams: Streams, rows: Rows) -> Mask:
    if word.isdecimal() and len(word) < 19:
        ports = [port for _, port in sockets(connections, rows)]
        has: Mask = (streams == int(word)) | np.logical_or.reduce([port == int(word) for port in ports])
        return has
    table = connections.verdicts.table
    judged = np.array([word in _said(one) for one in connections.verdicts.judgements], np.bool_)
    named = np.array([word in name.lower() for name in connections.captures], np.bool_)
    sets, number = connections.findings.code_sets(rows)
    coded = np.array([any(word in code for code in one) for one in sets], np.bool_)
    has = judged[table["judgement"][rows]] | named[table["first_capture"][rows]] | coded[number]
    if set(word) <= set("0123456789abcdef.:[]"):
        has |= _in_sockets(word.encode(), connections, rows)
    return has


def _said(judgement: Judgement) -> str:
    """Return the words that all connections of one shape share."""
    states = [state for end in judgement.states for state in end or ()]
    return " ".join([judgement.handshake_kind, judgement.teardown_kind, *states]).lower()


def _in_sockets(word: bytes, connections: Connections, rows: Rows) -> Mask:
    """Mark the rows of which an address with its port contains this text."""
    found = []
    for a in range(0, len(rows), BLOCK_ROWS):
        (left, left_port), (right, right_port) = sockets(connections, rows[a : a + BLOCK_ROWS])
        text = lines([addresses(*left), b":", numbers(left_port), b" ", addresses(*right), b":", numbers(right_port)])
        found.append(np.fromiter((word in line for line in text.splitlines()), np.bool_))
    return np.concatenate([np.zeros(0, np.bool_), *found])


Keys = list[NDArray[Any]]


def _of_socket(which: int) -> Callable[[Connections, Rows], Keys]:
    def keys(connections: Connections, rows: Rows) -> Keys:
        address, port = sockets(connections, rows)[which]
        return [address.ip_version, address.upper, address.lower, port]

    return keys


def _of_judgement(word: Callable[[Judgement], object]) -> Callable[[Connections, Rows], Keys]:
    """Return the keys to sort by a text of the judgement, alphabetically."""

    def keys(connections: Connections, rows: Rows) -> Keys:
        said = [str(word(one)) for one in connections.verdicts.judgements]
        rank = np.unique(np.array(said, np.str_), return_inverse=True)[1] if said else np.zeros(0, np.int64)
        return [rank[connections.verdicts.table["judgement"][rows]]]

    return keys


def _states(connections: Connections, rows: Rows) -> Keys:
    def last(one: Judgement) -> list[str]:
        return [states[-1] if states else "" for states in one.states]

    return _of_judgement(last)(connections, rows)


def _octets(connections: Connections, rows: Rows) -> Keys:
    table = connections.verdicts.table
    return [table["octets_o"][rows].astype(np.int64) + table["octets_r"][rows]]


def _known(column: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(column == NONE, UNKNOWN, column)


def _rtt(connections: Connections, rows: Rows) -> Keys:
    return [_known(connections.verdicts.table["initial_rtt_ns"][rows].astype(np.int64))]


def _lasting(connections: Connections, rows: Rows) -> Keys:
    return [_known(connections.lasted_ns(rows))]


def _quiet(connections: Connections, rows: Rows) -> Keys:
    return [-connections.verdicts.table["last_ns"][rows]]


def _findings(connections: Connections, rows: Rows) -> Keys:
    """Sort by the worst finding, the worst first."""
    worst = np.zeros(len(connections), np.int64)
    for code, found in connections.findings.batches:
        np.maximum.at(worst, found.connection, int(code.severity) + 1)
    return [-worst[rows]]


#: By the names of columns: keys of rows of the verdicts, the first one decides.
ORDERS: dict[str, Callable[[Connections, Rows], Keys]] = {
    "originator": _of_socket(0),
    "responder": _of_socket(1),
    "states": _states,
    "now": _quiet,
    "opened": _of_judgement(lambda one: one.handshake_kind),
    "closed": _of_judgement(lambda one: one.teardown_kind),
    "octets": _octets,
    "RTT": _rtt,
    "lasted": _lasting,
    "findings": _findings,
}
