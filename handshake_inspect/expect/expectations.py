"""What is expected of a capture: how many connections, and what of which.

In: a document as TOML has it, from a file (`written`), a keyword call or the command line. Out: `Expectations`. A key
that is not known is an error that names the nearest: a misspelt one would expect nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from handshake_inspect.conditions.condition import Condition
from handshake_inspect.conditions.parser import WhereError, parse
from handshake_inspect.conditions.selection import Selection, SelectionError, network, stream_ranges
from handshake_inspect.connections.connection import Connection
from handshake_inspect.expect.amounts import AT_LEAST_ONE, Amount, amount, is_count
from handshake_inspect.expect.claims import CLAIMS, Claim, Found, NotFound
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import listed
from handshake_inspect.views.contract import connection_object
from handshake_inspect.views.words import nearest

SCHEMA = 1
SELECTOR_KEYS = ("port", "host", "stream", "where")
EXPECT_KEYS = (*SELECTOR_KEYS, "count", *CLAIMS)
DOCUMENT_KEYS = ("schema", "connections", "exchanges", "no_findings", "golden", "expect")


C = TypeVar("C", bound=Claim)


class ExpectationError(ValueError):
    """Expectations that cannot be used. One line: where, what, and what to write instead."""


@dataclass(frozen=True)
class Place:
    """Where an expectation is written."""

    #: A file, or "--handshake".
    source: str
    #: Line in the file, from 1; None: it is no file.
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


class Lines:
    """Knows in which line a key stands; of what is no file it knows the name only."""

    def __init__(self, source: str) -> None:
        self.source = source

    def place(self, table: int | None = None, key: str | None = None) -> Place:
        """Return where a key stands, of the document or of its [[expect]] table number `table`, from 0."""
        return Place(self.source)


class Selecting(Protocol):
    """Says which connections are meant."""

    @property
    def said(self) -> str:
        """As it is written: "port = 8000"; "" for all."""
        ...

    def of(self, inspection: Inspection) -> Iterator[Connection]:
        """Yield them."""
        ...


@dataclass(frozen=True)
class Selector:
    """Which connections; all of them, unless it says more."""

    selection: Selection = field(default_factory=Selection)
    where: Condition | None = None
    #: As it is written: "port = 8000"; "" for all.
    said: str = ""

    def of(self, inspection: Inspection) -> Iterator[Connection]:
        """Yield the connections that it means."""
        chosen = inspection.connections.of_streams(self.selection.of(inspection))
        if self.where is None:
            yield from chosen
        else:
            yield from (one for one in chosen if self.where.holds(connection_object(one)))


@dataclass(frozen=True)
class Clause(Generic[C]):
    """A claim as it is written."""

    #: "teardown"; one key may write several claims.
    key: str
    place: Place
    claim: C

    def allowing(self, codes: frozenset[str]) -> Clause[C]:
        """Return the same, but for findings of these codes, which may be."""
        if not isinstance(self.claim, NotFound):
            return self
        return replace(self, claim=replace(self.claim, codes=self.claim.codes - codes))


@dataclass(frozen=True)
class Expect:
    """One `[[expect]]`: which connections, how many, and what holds of each."""

    place: Place
    selector: Selecting
    count: Amount = AT_LEAST_ONE
    clauses: tuple[Clause[Claim], ...] = ()


@dataclass(frozen=True)
class Expectations:
    """All that is expected of one capture, or of several that are one run."""

    #: Where they are written: "echo.expect.toml".
    source: str
    #: How many TCP connections there are in all, and UDP exchanges; None: any number.
    connections: tuple[Place, Amount] | None = None
    exchanges: tuple[Place, Amount] | None = None
    #: What may not be found of the run as a whole: of its listeners, hosts and captures.
    no_findings: tuple[Clause[NotFound], ...] = ()
    #: A file with the golden text of the ladders (`compared.golden`), by its path from where we are.
    golden: tuple[Place, str] | None = None
    expect: tuple[Expect, ...] = ()

    def ignoring(self, codes: frozenset[str]) -> Expectations:
        """Return the same, but for findings of these codes, which may always be."""

        return replace(
            self,
            no_findings=tuple(one.allowing(codes) for one in self.no_findings),
            expect=tuple(
                replace(table, clauses=tuple(one.allowing(codes) for one in table.clauses)) for table in self.expect
            ),
        )


def expectations(document: Mapping[str, Any], lines: Lines) -> Expectations:
    """Understand a document. Raises ExpectationError."""
    reading = _Reading(lines)
    if document.get("schema") != SCHEMA or document["schema"] is True:
        said = f"schema is {document['schema']!r}" if "schema" in document else "it has no schema"
        reading.fail(f"{said}: this version understands `schema = {SCHEMA}`, in the first line", key="schema")
    reading.refuse_unknown(document, DOCUMENT_KEYS)
    tables = document.get("expect", [])
    if not isinstance(tables, list) or not all(isinstance(one, Mapping) for one in tables):
        reading.fail("expect is no list of tables: write [[expect]]", key="expect")
    if set(document) <= {"schema"}:
        reading.fail("it expects nothing: write `connections = N` or an [[expect]] table")
    return Expectations(
        lines.source,
        reading.total(document, "connections"),
        reading.total(document, "exchanges"),
        tuple(reading.none_of(document)),
        reading.golden(document),
        tuple(reading.expect(table, number) for number, table in enumerate(tables)),
    )


def expect(table: Mapping[str, Any], source: str) -> Expect:
    """Understand one table, of no file. Raises ExpectationError."""
    return _Reading(Lines(source)).expect(table, 0)


class _Reading:
    """Understands a document key by key, and says where it cannot."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def fail(self, message: str, table: int | None = None, key: str | None = None) -> NoReturn:
        """Raise ExpectationError with the place."""
        raise ExpectationError(f"{self.lines.place(table, key)}: {message}")

    def refuse_unknown(self, found: Mapping[str, Any], known: Sequence[str], table: int | None = None) -> None:
        """Raise ExpectationError for a key that nobody knows."""
        for key in found:
            if key not in known:
                hint = nearest(key, [*known]) or f" Keys are {listed([*known])}."
                self.fail(f"there is no key {key!r}{' here' if key in EXPECT_KEYS else ''}.{hint}", table, key)

    def total(self, document: Mapping[str, Any], key: str) -> tuple[Place, Amount] | None:
        """Understand how many there are in all."""
        if key not in document:
            return None
        try:
            return self.lines.place(None, key), amount(document[key])
        except ValueError as error:
            raise ExpectationError(f"{self.lines.place(None, key)}: {key}: {error}") from None

    def none_of(self, document: Mapping[str, Any]) -> Iterator[Clause[NotFound]]:
        """Understand what may not be found of the run."""
        key = "no_findings"
        for claim in self.understood(key, document[key], None) if key in document else ():
            assert isinstance(claim, NotFound)
            yield Clause(key, self.lines.place(None, key), claim)

    def golden(self, document: Mapping[str, Any]) -> tuple[Place, str] | None:
        """Understand which file has the golden text: its path is relative to the file in which it stands."""
        if "golden" not in document:
            return None
        if not isinstance(document["golden"], str):
            self.fail('golden: expected is the name of a file: "echo.golden"', key="golden")
        return self.lines.place(None, "golden"), str(Path(self.lines.source).parent / document["golden"])

    def expect(self, table: Mapping[str, Any], number: int) -> Expect:
        """Understand one [[expect]]."""
        self.refuse_unknown(table, EXPECT_KEYS, number)
        try:
            count = amount(table["count"]) if "count" in table else AT_LEAST_ONE
        except ValueError as error:
            self.fail(f"count: {error}", number, "count")
        clauses = [
            Clause(key, self.lines.place(number, key), claim)
            for key in CLAIMS
            if key in table
            for claim in self.understood(key, table[key], number)
        ]
        # `no_findings = "*"` beside `findings`: these, and no others.
        named = frozenset(one.claim.code for one in clauses if isinstance(one.claim, Found))
        selector, clauses = self.selector(table, number), [one.allowing(named) for one in clauses]
        return Expect(self.lines.place(number), selector, count, tuple(clauses))

    def understood(self, key: str, value: Any, number: int | None) -> list[Claim]:
        """Understand the value of a key."""
        try:
            return [*CLAIMS[key](value)]
        except ValueError as error:
            self.fail(f"{key}: {error}", number, key)

    def selector(self, table: Mapping[str, Any], number: int) -> Selector:
        """Understand which connections a table means."""
        keys = [key for key in SELECTOR_KEYS if key in table]
        read: dict[str, Any] = {}
        for key in keys:
            try:
                read[key] = _SELECTORS[key](table[key])
            except (ValueError, WhereError, SelectionError) as error:
                self.fail(f"{key}: {error}", number, key)
        selection = Selection(host=read.get("host"), port=read.get("port"), streams=read.get("stream", ()))
        return Selector(selection, read.get("where"), ", ".join(f"{key} = {_spelled(table[key])}" for key in keys))


def _port(value: Any) -> int:
    if not is_count(value) or value > 65535:
        raise ValueError("expected is a number from 0 to 65535")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('expected is text: "..."')
    return value


def _streams(value: Any) -> Any:
    numbers = value if isinstance(value, list) else [value]
    return stream_ranges(",".join(str(one) for one in numbers))


_SELECTORS: Mapping[str, Callable[[Any], Any]] = {
    "port": _port,
    "host": lambda value: network(_text(value)),
    "stream": _streams,
    "where": lambda value: parse(_text(value)),
}


def _spelled(value: Any) -> str:
    """Spell a value of a selector as TOML has it."""
    return f'"{value}"' if isinstance(value, str) else str(value)
