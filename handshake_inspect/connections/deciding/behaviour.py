"""Results from the numbers of connections alone, computed once for those that are twins.

In: `ConnectionRows`. Out: `Behaviour`: events, shapes, books, other tools' terms. `verdict` adds the individual values
of each connection: times, frames, options and addresses. Everything here is a function of the columns that `twins`
compares.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import GapTable
from handshake_inspect.connections.deciding.books import Columns, close_books
from handshake_inspect.connections.deciding.twins import Representatives, Twins, find_twins, moved_moments
from handshake_inspect.connections.derived import derive
from handshake_inspect.connections.events.events import Events, find_events
from handshake_inspect.connections.events.kinds import Judgement, judge
from handshake_inspect.connections.events.numbers import Numbers
from handshake_inspect.connections.events.resets import Resets
from handshake_inspect.connections.events.shapes import find_shapes
from handshake_inspect.connections.splitting.rows import ConnectionRows
from handshake_inspect.plain import mutable

#: Most octets of representatives to remember: larger sets do not recur in the next partition, and would take memory.
SAME_OCTETS = 1 << 16


@mutable
class Behaviour:
    """Results from the numbers of `m` connections: events, shapes, books, other tools' terms."""

    events: Events
    #: The shape of each connection, and the judgement of each shape. Shape (m,).
    shape: Rows
    judgements: list[Judgement]
    #: Columns of the `VerdictTable`.
    columns: Columns
    #: Distinct values of `conn_state` and `history`.
    words: list[str]
    gaps: GapTable


def find_behaviour(rows: ConnectionRows, fast_open_option: NDArray[np.bool_], unreachable: Mask) -> Behaviour:
    """Compute the behaviour of connections.

    `fast_open_option`: mask of the `Names.options` numbers with the Fast Open option; `unreachable`: mask of the
    connections with an ICMP error that says that the SYN was not delivered.
    """
    twins = find_twins(rows, unreachable, fast_open_option)
    if twins is None:
        return _found(rows, fast_open_option, unreachable)
    found_of = _found_of_same if len(twins.few.content) <= SAME_OCTETS else _found_of
    return _laid_out(found_of(twins.few), twins)


def _found_of(few: Representatives) -> Behaviour:
    return _found(few.rows, few.fast_open_option, few.marks)


#: The same, cached for the few sets of representatives that recur in partition after partition.
_found_of_same = lru_cache(maxsize=4)(_found_of)


def _found(rows: ConnectionRows, fast_open_option: NDArray[np.bool_], unreachable: Mask) -> Behaviour:
    events = find_events(rows)
    shape, shapes = find_shapes(rows, events, fast_open_option, unreachable)
    words = derive(rows)
    names = {word: number for number, word in enumerate({*words.state_of_shape, *words.history_of_shape})}
    columns = {
        "judgement": shape,
        **close_books(rows, events),
        "conn_state": np.array([names[word] for word in words.state_of_shape], np.int32)[words.shape],
        "history": np.array([names[word] for word in words.history_of_shape], np.int32)[words.shape],
        "completeness": words.completeness,
    }
    gaps = GapTable({"connection": words.with_gaps, "octets": words.gap_octets})
    return Behaviour(events, shape, [judge(one) for one in shapes], columns, list(names), gaps)


# --- results of representatives, spread over their twins --------------------------------------------------------------


def _laid_out(found: Behaviour, twins: Twins) -> Behaviour:
    gap = np.full(twins.few.rows.connections, -1, np.int64)
    gap[found.gaps["connection"]] = np.arange(len(found.gaps))
    which = twins.connections(gap)
    with_gaps = np.flatnonzero(which >= 0)
    return Behaviour(
        events=cast(Events, _LaidOutEvents(found.events, twins)),
        shape=twins.connections(found.shape),
        judgements=found.judgements,
        columns={name: twins.connections(column) for name, column in found.columns.items()},
        words=found.words,
        gaps=GapTable({"connection": with_gaps, "octets": found.gaps["octets"][which[with_gaps]]}),
    )


class _LaidOutEvents:
    """`Events` whose columns are spread on first access: most are never accessed."""

    def __init__(self, found: Events, twins: Twins) -> None:
        self._found, self._twins = found, twins
        self.start, self._item, self._shift = twins.parts(found.start)
        self.numbers = cast(Numbers, _LaidOutNumbers(found.numbers, twins))

    @cached_property
    def code(self) -> NDArray[np.uint8]:
        return self._found.code.take(self._item)

    @cached_property
    def row(self) -> Rows:
        return self._found.row.take(self._item) + self._shift

    @cached_property
    def source(self) -> Rows:
        return self._found.source.take(self._item) + self._shift

    @cached_property
    def resets(self) -> Resets:
        return _resets(self._found.resets, self._twins)

    @cached_property
    def disproved(self) -> Rows:
        return _facts(self._found.disproved, self._twins, rows=2)

    @cached_property
    def confirmed(self) -> Rows:
        return _facts(self._found.confirmed, self._twins, rows=1)

    @cached_property
    def syn_received(self) -> Rows:
        return self._twins.row_of_ends(self._found.syn_received)


class _LaidOutNumbers:
    """`Numbers` likewise."""

    def __init__(self, found: Numbers, twins: Twins) -> None:
        self._found, self._twins = found, twins

    def __getattr__(self, name: str) -> Any:
        if name not in _WAYS:
            raise AttributeError(name)
        column = _WAYS[name](self._twins, getattr(self._found, name))
        setattr(self, name, column)
        return column


#: How each column of `Numbers` is spread.
_WAYS: dict[str, Callable[[Twins, Any], Any]] = {
    "acknowledged_by": lambda twins, by_side: [twins.segments(one) for one in by_side],
    **dict.fromkeys(("ack_counts", "is_syn", "is_fin", "claims_fin"), Twins.segments),
    **dict.fromkeys(("finally_acknowledged", "syn_end", "fin_end", "unplaced_fin", "crossing_syn"), Twins.ends),
    **dict.fromkeys(("fin_row", "inferred_fin_row", "syn_row", "bare_syn_row", "syn_ack_row"), Twins.row_of_ends),
    **dict.fromkeys(("wrong_syn_ack_row", "ack_row", "late_fin_row"), Twins.row_of_ends),
    **dict.fromkeys(("inferred_syn_ack_row", "inferred_ack_row"), Twins.row_of_connections),
    **dict.fromkeys(("of_fins", "third_rows"), lambda twins, rows: twins.among(rows)[0]),
}


def _facts(found: Rows, twins: Twins, rows: int) -> Rows:
    """Spread facts (`rows` rows, an end, an `Event`), which are in no particular order."""
    if not len(found):
        return found
    found = found[np.argsort(found[:, rows], kind="stable")]
    start = np.searchsorted(found[:, rows] >> 1, np.arange(twins.few.rows.connections + 1))
    _, item, shift = twins.parts(start)
    facts = found[item]
    facts[:, :rows] += shift[:, None]
    facts[:, rows] += 2 * (twins.rows.conn[facts[:, 0]] - (facts[:, rows] >> 1))
    return facts


def _resets(found: Resets, twins: Twins) -> Resets:
    row, which = twins.among(found.row)
    return Resets(
        row=row,
        moment=moved_moments(found.moment[which], row - found.row[which]),
        expected=found.expected[which],
        of_syn=found.of_syn[which],
        assumed=found.assumed[which],
        belied=found.belied[which],
        elsewhere=found.elsewhere[which],
        of_another=found.of_another[which],
        ends_sender=found.ends_sender[which],
    )
