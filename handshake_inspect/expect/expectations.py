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
from handshake_inspect.expect.amounts import ANY, AT_LEAST_ONE, Amount, amount, is_count
from handshake_inspect.expect.claims import CLAIMS, Claim, Found, NotFound, Octets, OfEndError, States
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import listed
from handshake_inspect.views.contract import connection_object
from handshake_inspect.views.words import nearest

SCHEMA = 1
SELECTOR_KEYS = ("port", "host", "stream", "where")
EXPECT_KEYS = (*SELECTOR_KEYS, "count", *CLAIMS)
DOCUMENT_KEYS = ("schema", "connections", "exchanges", "no_findings", "golden", "expect")


C = TypeVar("C", bound=Claim, covariant=True)


@dataclass(frozen=True)
class Place:
    """Where an expectation is written."""

    #: A file, or "--handshake".
    source: str
    #: Line in the file, from 1; None: it is no file.
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file; None: it is an option of the command line."""
        return None if self.source.startswith("--") else self.source


class ExpectationError(ValueError):
    """Expectations that cannot be used. One line: where, what, and what to write instead."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        #: Where they are wrong; None: there are none, or it is not that which is wrong.
        self.place = place

    @classmethod
    def at(cls, place: Place, message: str) -> ExpectationError:
        """Return an error that begins with its place."""
        return cls(f"{place}: {message}", place)


class Lines:
    """Knows in which line a key stands; of what is no file it knows the name only."""

    def __init__(self, source: str) -> None:
        self.source = source

    def place(self, table: int | None = None, key: str | None = None, end: str | None = None) -> Place:
        """Return where a key stands, of the document or of its [[expect]] table number `table`, from 0.

        `end`: where it says something of that end.
        """
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
    #: What may not be found of the run as a whole: of its listeners, hosts and captures. Nor may it be of any
    #: connection, which is one more `Expect` here.
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
    if not is_count(document.get("schema")) or document["schema"] != SCHEMA:
        said = "this is another schema" if "schema" in document else "it has no schema"
        reading.fail(f"{said}: this version understands `schema = {SCHEMA}`, in the first line", key="schema")
    reading.refuse_unknown(document, DOCUMENT_KEYS)
    tables = document.get("expect", [])
    if not isinstance(tables, list) or not all(isinstance(one, Mapping) for one in tables):
        reading.fail("expect is no list of tables: write [[expect]]", key="expect")
    if not tables and {*document} <= {"schema", "expect"}:
        reading.fail("it expects nothing: write `connections = N` or an [[expect]] table")
    totals = reading.total(document, "connections"), reading.total(document, "exchanges")
    nowhere = [*reading.none_of(document)]
    expect = [reading.expect(table, number) for number, table in enumerate(tables)]
    if nowhere:
        expect.append(_of_no_connection(nowhere, expect))
    return Expectations(lines.source, *totals, tuple(nowhere), reading.golden(document), tuple(expect))


def _of_no_connection(nowhere: Sequence[Clause[NotFound]], expect: Sequence[Expect]) -> Expect:
    """Expect of all connections that this is not found of them, but for what a table names in its `findings`."""
    named = frozenset(one.claim.code for table in expect for one in table.clauses if isinstance(one.claim, Found))
    return Expect(nowhere[0].place, Selector(), ANY, tuple(one.allowing(named) for one in nowhere))


def expect(table: Mapping[str, Any], source: str) -> Expect:
    """Understand one table, of no file. Raises ExpectationError."""
    return _Reading(Lines(source)).expect(table, 0)


class _Reading:
    """Understands a document key by key, and says where it cannot."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def fail(self, message: str, table: int | None = None, key: str | None = None, end: str | None = None) -> NoReturn:
        """Raise ExpectationError with the place."""
        raise ExpectationError.at(self.lines.place(table, key, end), message)

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
            self.fail(f"{key}: {error}", None, key)

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
            Clause(key, self.lines.place(number, key, _end_of(claim)), claim)
            for key in CLAIMS
            if key in table
            for claim in self.understood(key, table[key], number)
        ]
        selector = self.selector(table, number)
        if "count" not in table and {*table} & {*SELECTOR_KEYS} == {"stream"}:  # each that is named must be there
            count = Amount(len({*selector.selection.streams}), None)
        return Expect(self.lines.place(number), selector, count, tuple(self.with_named(clauses, number)))

    def with_named(self, clauses: Sequence[Clause[Claim]], number: int) -> Iterator[Clause[Claim]]:
        """Allow what `findings` names beside `no_findings = "*"`: these, and no others."""
        named = frozenset(one.claim.code for one in clauses if isinstance(one.claim, Found))
        for one in clauses:
            if isinstance(one.claim, NotFound) and one.claim.codes <= named:
                self.fail(
                    f"no_findings: {listed(sorted(one.claim.codes))} must be found, says `findings`", number, one.key
                )
            yield one.allowing(named)

    def understood(self, key: str, value: Any, number: int | None) -> list[Claim]:
        """Understand the value of a key."""
        try:
            return [*CLAIMS[key](value)]
        except OfEndError as error:
            self.fail(f"{key}.{error.end}: {error}", number, key, error.end)
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


def _end_of(claim: Claim) -> str | None:
    return claim.end if isinstance(claim, States | Octets) else None


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
