"""Expectations against what an inspection found.

In: `Expectations` and an `Inspection`. Out: one `Check` after the other, met or not, in the order in which they are
written. An `[[expect]]` that no connection answers is not met: it would pass whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handshake_inspect.connections.connection import Connection
from handshake_inspect.expect.amounts import ANY, AT_LEAST_ONE, Amount
from handshake_inspect.expect.claims import Unmet
from handshake_inspect.expect.expectations import Expect, Expectations, Place
from handshake_inspect.expect.ladders import golden_difference
from handshake_inspect.expect.subject import Subject
from handshake_inspect.inspection import Inspection


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
    for one in expected.expect:
        yield from _of_connections(one, inspection)
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
    found = golden_difference(path, inspection)
    if found is None:
        yield from (Check(_title(connection), place, connection) for connection in inspection.connections)
    else:
        title = "ladders" if found.connection is None else _title(found.connection)
        yield Check(title, place, found.connection, (Failure(place, found.unmet),), found.lines)


def _of_connections(expect: Expect, inspection: Inspection) -> Iterator[Check]:
    """Yield a check for each connection that is meant, and one for their number if that was asked for."""
    count = 0
    for connection in expect.selector.of(inspection):
        count += 1
        subject = Subject(connection, inspection)
        failures = (Failure(one.place, unmet) for one in expect.clauses for unmet in one.claim.unmet(subject))
        yield Check(_title(connection), expect.place, connection, tuple(failures))
    if expect.count not in (ANY, AT_LEAST_ONE) or not expect.count.holds(count):
        which = f" with {expect.selector.said}" if expect.selector.said else ""
        yield _counted(f"connections{which}", expect.place, expect.count, count)


def _title(connection: Connection) -> str:
    return f"stream {connection.stream} ({connection.originator} → {connection.responder})"


def _counted(what: str, place: Place, wanted: Amount, count: int) -> Check:
    met = wanted.holds(count)
    failures = () if met else (Failure(place, Unmet(what, str(wanted), f"{count:,}")),)
    return Check(what, place, None, failures)
