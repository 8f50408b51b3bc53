"""Which findings: what `--select`, `--ignore` and `--severity` leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

SEVERITIES = ("chat", "note", "warn", "error")


@dataclass(frozen=True)
class WantedCodes:
    """The codes that are wanted."""

    codes: frozenset[str]
    #: Was nothing left out?
    is_all: bool

    def takes(self, code: str) -> bool:
        """Is this finding wanted?"""
        return code in self.codes


def wanted_options(function: F) -> F:
    """--select, --ignore, --severity. The function takes them by these names; `wanted` parses them."""
    for option in (
        click.option(
            "--severity",
            type=click.Choice(SEVERITIES),
            default="chat",
            show_default=True,
            help="Only findings that matter at least so much.",
        ),
        click.option("--ignore", multiple=True, metavar="CODE[,CODE...]", help="No findings of these codes."),
        click.option(
            "--select",
            multiple=True,
            metavar="CODE[,CODE...]",
            help="Only findings of these codes, or patterns (reset-*).",
        ),
    ):
        function = option(function)
    return function


def wanted(select: Sequence[str], ignore: Sequence[str], severity: str) -> WantedCodes:
    """Parse the options. Raises click.BadParameter."""
    from handshake_inspect.connections.deciding.found import Severity
    from handshake_inspect.findings.catalogue import BY_CODE

    least = Severity[severity.upper()]
    codes = {word for word, rule in BY_CODE.items() if rule.code.severity >= least}
    if select:
        codes &= codes_named(select, "--select")
    codes -= codes_named(ignore, "--ignore")
    return WantedCodes(frozenset(codes), len(codes) == len(BY_CODE))


def codes_named(given: Sequence[str], option: str) -> set[str]:
    """Return the codes that are named, or match a pattern. Raises click.BadParameter."""
    from handshake_inspect.findings.catalogue import BY_CODE
    from handshake_inspect.views.words import nearest

    known = list(BY_CODE)
    found: set[str] = set()
    for text in ",".join(given).split(",") if given else ():
        named = {code for code in known if fnmatchcase(code, text.strip().lower())}
        if not named:
            hint = nearest(text.strip(), known) or " handshake-inspect explain lists them all"
            if text.strip() in SEVERITIES:
                hint = " It is a severity, of --severity and of check --fail-on"
            raise click.BadParameter(f"there is no finding {text.strip()!r}.{hint}", param_hint=f"'{option}'")
        found |= named
    return found
