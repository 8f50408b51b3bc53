"""Expectations compared with what an inspection found.

In: `Expectations` and an `Inspection`. Out: one `Check` after the other, met or not, in the order in which they are
written. An `[[expect]]` that selects no connection is not met, because otherwise it would pass whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.connection import Connection
from handshake_inspect.expect.alike import alike
from handshake_inspect.expect.amounts import ANY, AT_LEAST_ONE, Amount
from handshake_inspect.expect.claims import HasNoFinding, Unmet
from handshake_inspect.expect.expectations import Clause, Expect, Expectations
from handshake_inspect.expect.ladders import golden_difference
from handshake_inspect.expect.places import ExpectationError, Place
from handshake_inspect.expect.subject import Naming, Subject
from handshake_inspect.inspection import Inspection

Streams = NDArray[np.int64]
#: Rows that are named of one capture: of more failures than these it is said what was seen, and not where.
MOST_ROWS_NAMED = 1000


@dataclass(frozen=True)
class Failure:
    """One expectation that is not met."""

    #: Where it is written.
    place: Place
    unmet: Unmet

    def __str__(self) -> str:
        return f"{self.unmet} [{self.place}]"


@dataclass(frozen=True)
class Check:
    """Something that was checked."""

    #: In words: "stream 0 (127.0.0.1:54668 → 127.0.0.1:8000)", "connections".
    title: str
    #: Where it is written: the place of the [[expect]] table, of the key.
    place: Place
    #: The connection that was looked at; None: all of them were counted.
    connection: Connection | None
    #: What is not as expected; empty: all is.
    failures: tuple[Failure, ...] = ()
    #: The same as a difference of texts, where that is what was compared.
    difference: tuple[str, ...] = ()


@dataclass(frozen=True)
class AllMet:
    """Connections that meet all expectations, reported together: there may be a million."""

    place: Place
    streams: Streams


def checks(expected: Expectations, inspection: Inspection) -> Iterator[Check]:
    """Yield a check for each expectation and connection.

    Raises ExpectationError if a file of ladders cannot be used.
    """
    return (one for one in outcomes(expected, inspection, each=True) if isinstance(one, Check))


def outcomes(expected: Expectations, inspection: Inspection, *, each: bool) -> Iterator[Check | AllMet]:
    """Yield the same; unless `each`, connections that meet all expectations are reported together."""
    if expected.connections is not None:
        yield _counted("connections", *expected.connections, len(inspection.connections))
    if expected.exchanges is not None:
        yield _counted("exchanges", *expected.exchanges, len(inspection.exchanges))
    if expected.damage is not None:
        said = inspection.damage[0].message if inspection.damage else ""
        yield _counted("damage", *expected.damage, len(inspection.damage), said)
    yield from _of_run(expected, inspection)
    naming = Naming(MOST_ROWS_NAMED)
    chosen = [one.selector.streams(inspection) for one in expected.expect]
    yield from _of_no_connection(expected, chosen, inspection, naming)
    for one, streams in zip(expected.expect, chosen, strict=True):
        yield from _of_connections(one, streams, inspection, naming, each=each)
    if expected.golden is not None:
        yield from _of_ladders(*expected.golden, inspection)


def _of_run(expected: Expectations, inspection: Inspection) -> Iterator[Check]:
    for clause in (*expected.no_findings, *expected.no_findings_of_run):
        claim, place = clause.claim, clause.place
        what = "findings of the run"
        found = [one for one in inspection.findings if one.code in claim.codes]
        unmet = (
            Unmet(what, claim.said, f"{one.severity} {one.code} of {one.about}", detail=one.message) for one in found
        )
        yield Check(f"{what}: {claim.said}", place, None, tuple(Failure(place, one) for one in unmet))


def _of_ladders(place: Place, path: str, inspection: Inspection) -> Iterator[Check]:
    """Yield a check for each connection, all met, or one for the first that differs."""
    try:
        found = golden_difference(path, inspection)
    except ExpectationError as error:
        raise ExpectationError.at(place, str(error)) from None
    if found is None:
        yield from (Check(_title(connection), place, connection) for connection in inspection.connections)
    else:
        title = "ladders" if found.connection is None else _title(found.connection)
        yield Check(title, place, found.connection, (Failure(place, found.unmet),), found.lines)


def _of_no_connection(
    expected: Expectations, chosen: Sequence[Streams], inspection: Inspection, naming: Naming
) -> Iterator[Check]:
    """Yield a check for each connection with a finding that is forbidden for all; one check if there is none."""
    for clause in expected.no_findings:
        is_met = True
        for connection, claim in _suspects(clause, expected, chosen, inspection):
            unmet = tuple(Failure(clause.place, one) for one in claim.unmet(Subject(connection, inspection, naming)))
            if unmet:
                is_met = False
                yield Check(_title(connection), clause.place, connection, unmet)
        if is_met:
            yield Check(f"findings of connections: {clause.claim.said}", clause.place, None)


def _suspects(
    clause: Clause[HasNoFinding], expected: Expectations, chosen: Sequence[Streams], inspection: Inspection
) -> Iterator[tuple[Connection, HasNoFinding]]:
    """Yield the connections with forbidden findings that no table about them allows, and the claim for each."""
    connections = inspection.connections
    suspect = np.zeros(len(connections), np.bool_)
    naming = [
        (one.named, np.isin(connections.streams, streams)) for one, streams in zip(expected.expect, chosen, strict=True)
    ]
    for code, rows in connections.findings.rows_by_code().items():
        if code.word in clause.claim.codes:
            found = np.isin(connections.streams, connections.stream_of[rows])
            for named, mask in naming:
                found &= ~mask | (code.word not in named)
            suspect |= found
    for place, connection in zip(
        np.flatnonzero(suspect), connections.of_streams(connections.streams[suspect]), strict=True
    ):
        named = frozenset().union(*(codes for codes, mask in naming if mask[place]))
        yield connection, clause.allowing(named).claim


def _of_connections(
    expect: Expect, streams: Streams, inspection: Inspection, naming: Naming, *, each: bool
) -> Iterator[Check | AllMet]:
    """Yield a check for each selected connection, and one for their number if that is expected or not met."""
    met = np.zeros(len(streams), np.bool_) if each else _met(expect, streams, inspection)
    if met.any():
        yield AllMet(expect.place, streams[met])
    for connection in inspection.connections.of_streams(streams[~met]):
        subject = Subject(connection, inspection, naming)
        failures = (Failure(one.place, unmet) for one in expect.clauses for unmet in one.claim.unmet(subject))
        yield Check(_title(connection), expect.place, connection, tuple(failures))
    if expect.count not in (ANY, AT_LEAST_ONE) or not expect.count.holds(len(streams)):
        which = f" with {expect.selector.said}" if expect.selector.said else ""
        yield _counted(f"connections{which}", expect.place, expect.count, len(streams))


def _met(expect: Expect, streams: Streams, inspection: Inspection) -> NDArray[np.bool_]:
    """Mark the streams that meet all claims; one connection is checked for each group of equal ones."""
    columns = frozenset[str]().union(*(one.claim.depends_on for one in expect.clauses))
    group, asked = alike(inspection, streams, columns)
    nobody_named = Naming(0)
    subjects = (Subject(one, inspection, nobody_named) for one in inspection.connections.of_streams(asked))
    met = [not any(True for one in expect.clauses for _ in one.claim.unmet(subject)) for subject in subjects]
    return np.array(met, np.bool_)[group]


def _title(connection: Connection) -> str:
    return f"stream {connection.stream} ({connection.originator} → {connection.responder})"


def _counted(what: str, place: Place, wanted: Amount, count: int, detail: str = "") -> Check:
    met = wanted.holds(count)
    failures = () if met else (Failure(place, Unmet(what, str(wanted), f"{count:,}", detail=detail)),)
    return Check(what, place, None, failures)
