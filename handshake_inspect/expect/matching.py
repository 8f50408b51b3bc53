"""Expectations against what an inspection found.

In: `Expectations` and an `Inspection`. Out: one `Check` after the other, met or not, in the order in which they are
written. An `[[expect]]` that no connection answers is not met: it would pass whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.connection import Connection
from handshake_inspect.expect.amounts import ANY, AT_LEAST_ONE, Amount
from handshake_inspect.expect.claims import Unmet
from handshake_inspect.expect.expectations import Expect, Expectations
from handshake_inspect.expect.ladders import golden_difference
from handshake_inspect.expect.places import ExpectationError, Place
from handshake_inspect.expect.selecting import streams_of
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
    #: What was asked: the place of the [[expect]] table, of the key.
    place: Place
    #: The connection that was looked at; None: all of them were counted.
    connection: Connection | None
    #: What is not as expected; empty: all is.
    failures: tuple[Failure, ...] = ()
    #: The same as a difference of texts, where that is what was compared.
    difference: tuple[str, ...] = ()


def checks(expected: Expectations, inspection: Inspection) -> Iterator[Check]:
    """Yield each thing that is expected, with what is not so.

    Raises ExpectationError if a file of ladders cannot be used.
    """
    if expected.connections is not None:
        yield _counted("connections", *expected.connections, len(inspection.connections))
    if expected.exchanges is not None:
        yield _counted("exchanges", *expected.exchanges, len(inspection.exchanges))
    yield from _of_run(expected, inspection)
    naming = Naming(MOST_ROWS_NAMED)
    chosen = streams_of([one.selector for one in expected.expect], inspection)
    yield from _of_no_connection(expected, chosen, inspection, naming)
    for one, streams in zip(expected.expect, chosen, strict=True):
        yield from _of_connections(one, streams, inspection, naming)
    if expected.golden is not None:
        yield from _of_ladders(*expected.golden, inspection)


def _of_run(expected: Expectations, inspection: Inspection) -> Iterator[Check]:
    for clause in expected.no_findings:
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
    """Yield a check for each connection of which something is found that may be of none; one, if all are met."""
    for clause in expected.no_findings:
        rows = [
            rows
            for code, rows in inspection.connections.findings.rows_by_code().items()
            if code.word in clause.claim.codes
        ]
        suspects = np.unique(inspection.connections.stream_of[np.concatenate(rows)]) if rows else np.zeros(0, np.int64)
        is_met = True
        for connection in inspection.connections.of_streams(suspects):
            tables = zip(expected.expect, chosen, strict=True)
            named = [one.named for one, streams in tables if one.named and connection.stream in streams]
            claim = clause.allowing(frozenset().union(*named)).claim
            unmet = tuple(Failure(clause.place, one) for one in claim.unmet(Subject(connection, inspection, naming)))
            if unmet:
                is_met = False
                yield Check(_title(connection), clause.place, connection, unmet)
        if is_met:
            yield Check(f"findings of connections: {clause.claim.said}", clause.place, None)


def _of_connections(expect: Expect, streams: Streams, inspection: Inspection, naming: Naming) -> Iterator[Check]:
    """Yield a check for each connection that is meant, and one for their number if that was asked for."""
    for connection in inspection.connections.of_streams(streams):
        subject = Subject(connection, inspection, naming)
        failures = (Failure(one.place, unmet) for one in expect.clauses for unmet in one.claim.unmet(subject))
        yield Check(_title(connection), expect.place, connection, tuple(failures))
    if expect.count not in (ANY, AT_LEAST_ONE) or not expect.count.holds(len(streams)):
        which = f" with {expect.selector.said}" if expect.selector.said else ""
        yield _counted(f"connections{which}", expect.place, expect.count, len(streams))


def _title(connection: Connection) -> str:
    return f"stream {connection.stream} ({connection.originator} → {connection.responder})"


def _counted(what: str, place: Place, wanted: Amount, count: int) -> Check:
    met = wanted.holds(count)
    failures = () if met else (Failure(place, Unmet(what, str(wanted), f"{count:,}")),)
    return Check(what, place, None, failures)
