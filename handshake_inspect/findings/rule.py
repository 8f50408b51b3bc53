"""What a rule is: one function, with a code, a severity, and its page of documentation as its docstring.

A rule over connections gets the `Evidence` of one partition, and yields `FindingRows`, whose columns hold one entry
for each thing found: it looks at columns, never at one connection after the other. A rule over the run gets the `Run`,
and yields `FindingRows` too: findings about connections that depend on other connections. A rule about the run yields
`About`s: of a listener, a host, a capture. `explain CODE` prints the docstring:

    The first line says it in one sentence.

    What it means. ...

    Why it matters. ...

    Reported when. ...

    Not reported when. ...

    Source. RFC 9293 §3.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import getdoc
from typing import Any

from handshake_inspect.connections.deciding.found import Code, FindingRows, Severity
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.run import About, Run
from handshake_inspect.plain import plain

CHAT, NOTE, WARN, ERROR = Severity

#: With what a paragraph of a rule's page begins, in this order, after its first sentence.
PARTS = ("What it means.", "Why it matters.", "Reported when.", "Not reported when.", "Source.")


@plain
class Rule:
    """One rule."""

    code: Code
    #: What finds it; its docstring is the page.
    function: Callable[[Any], Iterator[Any]]
    #: A capture of pcaps/ that shows it, or several joined by a plus sign that show it in one run; None if only public
    #: captures do.
    example: str | None

    @property
    def page(self) -> str:
        """The documentation: the docstring of its function."""
        return getdoc(self.function) or ""

    @property
    def sentence(self) -> str:
        """The first sentence of the documentation."""
        return " ".join(self.page.partition("\n\n")[0].split())


@plain
class ConnectionRule(Rule):
    """A rule over connections."""

    function: Callable[[Evidence], Iterator[FindingRows]]
    #: Control bits without which it finds nothing.
    needs: int = 0

    def concerns(self, evidence: Evidence) -> bool:
        """Can the rule find anything: does each of the control bits that it needs occur in some segment?"""
        return self.needs & ~evidence.control_bits == 0


@plain
class RunRule(Rule):
    """A rule over the whole run, which finds something about connections."""

    function: Callable[[Run], Iterator[FindingRows]]


@plain
class AboutRule(Rule):
    """A rule over the whole run, which finds something about listeners, hosts or captures."""

    function: Callable[[Run], Iterator[About]]


def rule(
    code: str,
    severity: Severity,
    *,
    example: str | None = None,
    explains: tuple[str, ...] = (),
    by_times: bool = False,
    needs: int = 0,
) -> Callable[[Callable[[Evidence], Iterator[FindingRows]]], ConnectionRule]:
    """Make a function a rule over connections; findings that it `explains` are left out beside it.

    `by_times`: it is chat that another run of the same programs may not show. `needs`: it is asked only where these
    control bits occur, each in some segment; without them it would find nothing.
    """
    return lambda function: ConnectionRule(Code(code, severity, explains, by_times), function, example, needs)


def run_rule(
    code: str,
    severity: Severity,
    *,
    example: str | None = None,
    explains: tuple[str, ...] = (),
    by_times: bool = False,
) -> Callable[[Callable[[Run], Iterator[FindingRows]]], RunRule]:
    """Make a function a rule over the whole run; the others likewise."""
    return lambda function: RunRule(Code(code, severity, explains, by_times), function, example)


def about_rule(
    code: str, severity: Severity, *, example: str | None = None
) -> Callable[[Callable[[Run], Iterator[About]]], AboutRule]:
    """Make a function a rule about the run."""
    return lambda function: AboutRule(Code(code, severity), function, example)
