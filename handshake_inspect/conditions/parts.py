"""The parts of connections that a condition or an order uses, and the connections for which a condition holds.

In: paths of the contract or of derived fields, `Connections`. Out: contract objects that have the values at these
paths, perhaps without others. Values from columns are written as in the JSON; connections with equal values share one
object. For values too rare to have columns (see `json_lines`) the whole object is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cells import Cells, distinct, lines
from handshake_inspect.conditions.condition import Condition, fields_of
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.model import BLOCK_CONNECTIONS, Connections
from handshake_inspect.views.contract import Json, connection_object
from handshake_inspect.views.fields import value_at
from handshake_inspect.views.json_lines import OF_JUDGEMENT, numbers_or_null, with_lists
from handshake_inspect.views.json_lists import LISTS, ListCells

Streams = NDArray[np.int64]
Path = tuple[str, ...]


def streams_where(condition: Condition, connections: Connections, streams: Streams) -> Iterator[Streams]:
    """Yield the streams for which the condition holds, some at a time."""
    paths = [*fields_of(condition.node)]
    for some, parts in parts_of(paths, connections, streams):
        answers = {number: condition.holds(part) for number, part in {id(part): part for part in parts}.items()}
        yield some[np.fromiter((answers[id(part)] for part in parts), np.bool_, len(parts))]


def parts_of(paths: Iterable[Path], connections: Connections, streams: Streams) -> Iterator[tuple[Streams, list[Json]]]:
    """Yield these streams, some at a time, with an object for each that has the values at these paths."""
    wanted = [*paths]
    lists = [kind(connections) for kind in LISTS if any(path[0] == kind.path for path in wanted)]
    for a in range(0, len(streams), BLOCK_CONNECTIONS):
        some = streams[a : a + BLOCK_CONNECTIONS]
        yield some, _parts(wanted, lists, connections, some)


def _parts(paths: Sequence[Path], lists: Sequence[ListCells], connections: Connections, streams: Streams) -> list[Json]:
    cells, apart = with_lists(connections, streams, lists)
    lasted_ns = connections.lasted_ns(connections.rows_of(streams))
    cells["duration"] = numbers_or_null(lasted_ns)
    spelled = [*{_spelled_part(path, cells) for path in paths}]
    texts = [_texts(path, cells, connections, streams) for path in spelled]
    made: dict[tuple[str, ...], Json] = {}
    rows: Iterable[tuple[str, ...]] = zip(*texts, strict=True) if texts else [()] * len(streams)
    # For some streams the cells do not hold all values.
    durations = (None if one == NONE else one for one in lasted_ns[apart].tolist())
    objects = (connection_object(one) for one in connections.of_streams(streams[apart]))
    whole = (found | {"duration": lasted} for found, lasted in zip(objects, durations, strict=True))
    return [
        next(whole) if is_apart else made.get(values) or made.setdefault(values, _part(spelled, values))
        for values, is_apart in zip(rows, apart.tolist(), strict=True)
    ]


def _spelled_part(path: Path, cells: dict[str, Cells]) -> str:
    """Return the prefix of a path for which there is a column."""
    parts = (".".join(path[: end + 1]) for end in range(len(path)))
    return next(part for part in parts if part in cells or part in OF_JUDGEMENT)


def _texts(path: str, cells: dict[str, Cells], connections: Connections, streams: Streams) -> list[str]:
    """Return the JSON text at a path for each stream."""
    if path in cells:
        return lines([cells[path]]).decode().split("\n")[:-1]
    judgement = connections.verdicts.table["judgement"][connections.rows_of(streams)]
    occurring, place = distinct(judgement)
    example = np.empty(len(occurring), np.int64)
    example[place] = streams
    texts = [json.dumps(value_at(connection_object(one), path.split("."))) for one in connections.of_streams(example)]
    return [texts[one] for one in place.tolist()]


def _part(paths: Sequence[str], texts: Sequence[str]) -> Json:
    """Make a partial contract object that has these paths."""
    found: Json = {}
    for path, text in zip(paths, texts, strict=True):
        *above, name = path.split(".")
        inner = found
        for one in above:
            inner = inner.setdefault(one, {})
        inner[name] = json.loads(text)
    return found
