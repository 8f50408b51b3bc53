"""`compare()`: two captures, connection by connection.

In: two inspections. Out: a `Comparison`. Steps are made only for connections whose digests differ, and only once for
all pairs with the same two digests: a million connections that changed in the same way cost hardly more than one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.compared.difference import ComparedConnection, Difference, Level, difference, that_counts
from handshake_inspect.compared.digests import Numbering, digests_of
from handshake_inspect.compared.normal import normal_rows, verdict
from handshake_inspect.compared.pairing import Candidate, pair
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.connections.ledger.at_once import number_groups
from handshake_inspect.connections.model import Connections
from handshake_inspect.connections.prepared import AHEAD
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.connections.splitting.rows import RESPONDER
from handshake_inspect.inspection import Inspection

#: How many kinds of differences, the first ones, keep all their rows to be drawn.
DRAWN = 3
#: Two connections that belong together.
_Pair = tuple[Candidate, Candidate]


@dataclass
class AlikePairs:
    """Pairs of connections that differ in the same way."""

    #: How the first of them differ.
    first: Difference
    #: The streams of each pair, in the order of the first capture.
    streams: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Comparison:
    """The pairs of two captures, by how they differ, and the connections without a partner."""

    level: Level
    #: Pairs that are the same.
    same: int = 0
    #: Those of them whose servers have not the same address and port.
    same_elsewhere: int = 0
    #: Those of them that are long: in the middle of a transfer only the number of segments and octets was compared.
    same_by_sums: int = 0
    #: Pairs that are not the same, those that differ in the same way together.
    different: list[AlikePairs] = field(default_factory=list)
    #: Streams without a partner in the other capture.
    only_a: list[int] = field(default_factory=list)
    only_b: list[int] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Are there connections, and are all of them the same?"""
        return self.same > 0 and not (self.different or self.only_a or self.only_b)


def compare(
    a: Inspection,
    b: Inspection,
    level: Level = "segments",
    streams: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Comparison:
    """Compare two captures; `streams`: only these of both."""
    numbering = Numbering()
    of_a, of_b = streams or (a.connections.streams, b.connections.streams)
    found = pair(list(_candidates(a, of_a, numbering)), list(_candidates(b, of_b, numbering)))
    known = _look(a, b, level, found.pairs)
    result = Comparison(level, only_a=[one.stream for one in found.only_a], only_b=[one.stream for one in found.only_b])
    for one, other in found.pairs:
        alike = known.get(_key(one, other))
        if alike is not None:
            alike.streams.append((one.stream, other.stream))
            continue
        result.same += 1
        result.same_elsewhere += one.server != other.server
        result.same_by_sums += one.folded_segments > 0 and _is_equal(one, other)
    alike_ones = {id(one): one for one in known.values() if one is not None}.values()
    result.different = sorted(alike_ones, key=lambda alike: alike.streams[0])
    return result


def _look(a: Inspection, b: Inspection, level: Level, pairs: list[_Pair]) -> dict[Hashable, AlikePairs | None]:
    """Look closely at what has not the same digest, at the same two digests once; tell how they differ, if they do."""
    closely: dict[Hashable, _Pair] = {}
    for one, other in pairs:
        if not _is_equal(one, other):
            closely.setdefault(_key(one, other), (one, other))
    # For long ones captures are read again, once for as many as follow each other.
    ordered = sorted(closely.items(), key=lambda item: _is_long(*item[1]))
    coming_a, coming_b = [one.stream for _, (one, _) in ordered], [other.stream for _, (_, other) in ordered]
    ways: dict[bool, dict[Hashable, AlikePairs]] = {False: {}, True: {}}  # of long ones apart
    known: dict[Hashable, AlikePairs | None] = {}
    for place, (key, both) in enumerate(ordered):
        coming = slice(place, place + AHEAD)
        found = _difference(a, b, level, coming_a[coming], coming_b[coming])
        if found is None:
            known[key] = None
            continue
        of_these = ways[_is_long(*both)]
        if found.way not in of_these:
            of_these[found.way] = AlikePairs(found if len(of_these) < DRAWN else found.without_rows())
        known[key] = of_these[found.way]
    return known


def _is_equal(one: Candidate, other: Candidate) -> bool:
    return one.digest is not None and one.digest == other.digest


def _is_long(one: Candidate, other: Candidate) -> bool:
    """Does a connection have segments that the digests do not hold one by one?"""
    return one.folded_segments + other.folded_segments > 0


def _key(one: Candidate, other: Candidate) -> Hashable:
    """Return what determines how two connections differ: their digests if these hold all of both, else the streams."""
    if one.digest is None or other.digest is None or _is_long(one, other):
        return one.stream, other.stream
    return one.digest, other.digest


def _difference(a: Inspection, b: Inspection, level: Level, of_a: list[int], of_b: list[int]) -> Difference | None:
    """Look closely at the first of these streams of both captures; the others are coming."""
    one, other = a.connections[of_a[0]], b.connections[of_b[0]]
    if level == "verdict" and that_counts(verdict(one), level) == that_counts(verdict(other), level):
        return None
    ours = ComparedConnection(one, normal_rows(one, a.steps(one.stream, of_a)))
    theirs = ComparedConnection(other, normal_rows(other, b.steps(other.stream, of_b)))
    return difference(ours, theirs, level)


def _candidates(inspection: Inspection, streams: NDArray[np.int64], numbering: Numbering) -> Iterator[Candidate]:
    connections, digests = inspection.connections, digests_of(inspection, numbering)
    rows = connections.rows_of(streams)
    octets = zip(*(connections.verdicts.table[name][rows].tolist() for name in ("octets_o", "octets_r")), strict=True)
    return map(
        Candidate,
        streams.tolist(),
        _servers(connections, rows),
        [digests.digest[row] for row in rows.tolist()],
        digests.judgement[rows].tolist(),
        octets,
        digests.folded_segments[rows].tolist(),
    )


def _servers(connections: Connections, rows: NDArray[np.int64]) -> list[Endpoint]:
    """Return the responder of each connection, one object for equal ones."""
    if not len(rows):
        return []
    sockets = Sockets.of(connections, rows, np.full(len(rows), RESPONDER))
    number, example = number_groups([*sockets.host, sockets.port])
    distinct = [sockets.endpoint(one) for one in example.tolist()]
    return [distinct[one] for one in number.tolist()]
