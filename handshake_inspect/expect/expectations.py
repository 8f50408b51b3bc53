"""All expectations of a capture: how many connections, and what holds for which of them.

In: claims, and where each is written. Out: `Expectations`, which `matching` compares with an inspection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from handshake_inspect.expect.amounts import ANY, AT_LEAST_ONE, Amount
from handshake_inspect.expect.claims import Claim, HasFinding, HasNoFinding
from handshake_inspect.expect.places import Place
from handshake_inspect.expect.selecting import Selecting

C = TypeVar("C", bound=Claim, covariant=True)


@dataclass(frozen=True)
class Clause(Generic[C]):
    """A claim, and where it is written."""

    #: "teardown"; one key may write several claims.
    key: str
    place: Place
    claim: C

    def allowing(self, codes: frozenset[str]) -> Clause[C]:
        """Return the same, with findings of these codes allowed."""
        if not isinstance(self.claim, HasNoFinding):
            return self
        return replace(self, claim=replace(self.claim, codes=self.claim.codes - codes))


@dataclass(frozen=True)
class Expect:
    """One `[[expect]]`: which connections, how many, and what holds of each."""

    place: Place
    selector: Selecting
    count: Amount = AT_LEAST_ONE
    clauses: tuple[Clause[Claim], ...] = ()

    @property
    def named(self) -> frozenset[str]:
        """The codes that must be found of its connections."""
        return frozenset(one.claim.code for one in self.clauses if isinstance(one.claim, HasFinding))

    def of_any_number(self) -> Expect:
        """Return the same for any number of connections, if it only forbids findings."""
        says_no_more = all(isinstance(one.claim, HasNoFinding) for one in self.clauses)
        return replace(self, count=ANY) if says_no_more and self.count == AT_LEAST_ONE else self


@dataclass(frozen=True)
class Expectations:
    """All that is expected of one capture, or of several that are one run."""

    #: Where they are written: "echo.expect.toml".
    source: str
    #: How many TCP connections there are in all, and UDP exchanges; None: any number.
    connections: tuple[Place, Amount] | None = None
    exchanges: tuple[Place, Amount] | None = None
    #: At how many places the captures are damaged or cut short; None: what can be read is judged.
    damage: tuple[Place, Amount] | None = None
    #: What may not be found: of the run as a whole, its listeners, hosts and captures; nor of a connection, but for
    #: what a table about it names (`HasFinding`).
    no_findings: tuple[Clause[HasNoFinding], ...] = ()
    #: A file with the golden text of the ladders (`compared.golden`), by its path from where we are.
    golden: tuple[Place, str] | None = None
    expect: tuple[Expect, ...] = ()
    #: What may not be found of the run as a whole, where a table says it of the connections.
    no_findings_of_run: tuple[Clause[HasNoFinding], ...] = ()

    def beside_others(self) -> Expectations:
        """Return the same where others say how many connections there are: nothing found of none is as expected."""
        return replace(self, expect=tuple(one.of_any_number() for one in self.expect))

    def ignoring(self, codes: frozenset[str]) -> Expectations:
        """Return the same, with findings of these codes always allowed."""
        return replace(
            self,
            no_findings=tuple(one.allowing(codes) for one in self.no_findings),
            no_findings_of_run=tuple(one.allowing(codes) for one in self.no_findings_of_run),
            expect=tuple(
                replace(table, clauses=tuple(one.allowing(codes) for one in table.clauses)) for table in self.expect
            ),
        )
