"""A document as TOML parses it, from a file (`written`) or a call -> expectations.

In: a document, or one table of it. Out: `Expectations`, `Expect`. An unknown key is an error that names the nearest
one, because a misspelt key would expect nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from handshake_inspect.conditions.parser import WhereError, parse
from handshake_inspect.conditions.selection import Selection, SelectionError, network, stream_ranges
from handshake_inspect.expect.amounts import ANY, AT_LEAST_ONE, Amount, amount, is_count
from handshake_inspect.expect.claims import Claim, HasFinding, HasNoFinding, Octets, States
from handshake_inspect.expect.expectations import Clause, Expect, Expectations
from handshake_inspect.expect.keys import CLAIMS, OfEndError
from handshake_inspect.expect.places import ExpectationError, Lines, Place
from handshake_inspect.expect.selecting import Selector
from handshake_inspect.findings.catalogue import ABOUT_RUN
from handshake_inspect.quantities import listed
from handshake_inspect.views.words import nearest

SCHEMA = 1
SELECTOR_KEYS = ("port", "host", "stream", "where")
EXPECT_KEYS = (*SELECTOR_KEYS, "count", *CLAIMS)
DOCUMENT_KEYS = ("schema", "connections", "exchanges", "damage", "no_findings", "golden", "expect")
#: Where a key stands that is none of a table, or only of a table. In TOML all that comes behind [[expect]] is in it.
ELSEWHERE = {
    **dict.fromkeys(EXPECT_KEYS, "stands in an [[expect]] table"),
    **dict.fromkeys(DOCUMENT_KEYS, "is of the capture as a whole, and stands above the first [[expect]]"),
    "connections": "counts all of the capture, and stands above the first [[expect]]; those of a table are its `count`",
}


def expectations(document: Mapping[str, Any], lines: Lines) -> Expectations:
    """Read a document. Raises ExpectationError."""
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
    return Expectations(
        lines.source,
        reading.total(document, "connections"),
        reading.total(document, "exchanges"),
        reading.total(document, "damage"),
        tuple(reading.none_of(document)),
        reading.golden(document),
        tuple(reading.expect(table, number) for number, table in enumerate(tables)),
    )


def expect(table: Mapping[str, Any], source: str) -> Expect:
    """Read one table that comes from no file. Raises ExpectationError."""
    return _Reading(Lines(source)).expect(table, 0)


class _Reading:
    """Reads a document key by key; its errors say where."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def fail(self, message: str, table: int | None = None, key: str | None = None, end: str | None = None) -> NoReturn:
        """Raise ExpectationError with the place."""
        raise ExpectationError.at(self.lines.place(table, key, end), message)

    def refuse_unknown(self, found: Mapping[str, Any], known: Sequence[str], table: int | None = None) -> None:
        """Raise ExpectationError for an unknown key."""
        for key in found:
            if key in ELSEWHERE and key not in known:
                self.fail(f"there is no key {key!r} here: it {ELSEWHERE[key]}", table, key)
            if key not in known:
                hint = nearest(key, [*known]) or f" Keys are {listed([*known])}."
                self.fail(f"there is no key {key!r}.{hint}", table, key)

    def total(self, document: Mapping[str, Any], key: str) -> tuple[Place, Amount] | None:
        """Read how many connections, exchanges or damages are expected in all."""
        if key not in document:
            return None
        try:
            found = amount(document[key])
        except ValueError as error:
            self.fail(f"{key}: {error}", None, key)
        if found == ANY:
            self.fail(f"{key}: there are always {found}: this expects nothing; say how many, or `max`", None, key)
        return self.lines.place(None, key), found

    def none_of(self, document: Mapping[str, Any]) -> Iterator[Clause[HasNoFinding]]:
        """Read the findings that are forbidden for the run and for every connection."""
        key = "no_findings"
        for claim in self.understood(key, document[key], None) if key in document else ():
            assert isinstance(claim, HasNoFinding)
            yield Clause(key, self.lines.place(None, key), claim)

    def golden(self, document: Mapping[str, Any]) -> tuple[Place, str] | None:
        """Read the path of the golden text, relative to the file of expectations."""
        if "golden" not in document:
            return None
        if not isinstance(document["golden"], str) or not document["golden"]:
            self.fail('golden: expected is the name of a file: "echo.golden"', key="golden")
        return self.lines.place(None, "golden"), str(Path(self.lines.source).parent / document["golden"])

    def expect(self, table: Mapping[str, Any], number: int) -> Expect:
        """Read one [[expect]]."""
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
        for one in clauses:
            self.refuse_of_run(one, number)
        selector = self.selector(table, number)
        if "count" not in table and {*table} & {*SELECTOR_KEYS} == {"stream"}:  # each that is named must be there
            count = Amount(len({*selector.selection.streams}), None)
        if count == ANY and not clauses:
            self.fail(f"count: there are always {count}: this expects nothing; say more, or how many", number, "count")
        return Expect(self.lines.place(number), selector, count, tuple(self.with_named(clauses, number)))

    def refuse_of_run(self, clause: Clause[Claim], number: int) -> None:
        """Raise ExpectationError if a claim about connections names a code that only runs have."""
        claim = clause.claim
        codes = (
            {claim.code} if isinstance(claim, HasFinding) else claim.codes if isinstance(claim, HasNoFinding) else set()
        )
        if codes and codes <= ABOUT_RUN:
            where = "in a file `no_findings` above the tables is about it, in a test found.inspection.findings"
            message = f"{listed(sorted(codes))}: found of the run as a whole, never of a connection; {where}"
            self.fail(f"{clause.key}: {message}", number, clause.key)

    def with_named(self, clauses: Sequence[Clause[Claim]], number: int) -> Iterator[Clause[Claim]]:
        """Allow what `findings` names beside `no_findings = "*"`: these, and no others."""
        named = frozenset(one.claim.code for one in clauses if isinstance(one.claim, HasFinding))
        for one in clauses:
            if isinstance(one.claim, HasNoFinding) and one.claim.codes <= named:
                self.fail(
                    f"no_findings: {listed(sorted(one.claim.codes))} must be found, says `findings`", number, one.key
                )
            yield one.allowing(named)

    def understood(self, key: str, value: Any, number: int | None) -> list[Claim]:
        """Read the value of a key."""
        try:
            return [*CLAIMS[key](value)]
        except OfEndError as error:
            self.fail(f"{key}.{error.end}: {error}", number, key, error.end)
        except ValueError as error:
            self.fail(f"{key}: {error}", number, key)

    def selector(self, table: Mapping[str, Any], number: int) -> Selector:
        """Read the keys of a table that select connections."""
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


def port_number(value: Any) -> int:
    """Read a port. Raises ValueError."""
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
    "port": port_number,
    "host": lambda value: network(_text(value)),
    "stream": _streams,
    "where": lambda value: parse(_text(value)),
}


def _spelled(value: Any) -> str:
    """Return a value of a selector as TOML writes it."""
    if not isinstance(value, str):
        return str(value)
    return f"'{value}'" if '"' in value else f'"{value}"'
