"""The verdicts at a glance: how connections opened and closed, and what was found, counted.

In: an inspection and the connections chosen of it. Out: counts, the largest first, and findings, the worst first; each
with the words that filter the table of the page by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.connection import RunFinding
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.palette import CLOSING_ROLES, OPENING_ROLES
from handshake_inspect.views.table import SERIOUS
from handshake_inspect.views.words import HANDSHAKE_SENTENCES, TEARDOWN_SENTENCES

#: What is called so on the page: the contract's words for an end that is not known.
ENDS = {"o": "client", "r": "server"}
#: Findings about the run that are named for each code.
RUN_FINDINGS_NAMED = 5


#: Codes that are seen at once, beside those that are serious.
FINDINGS_AT_ONCE = 9


@dataclass(frozen=True)
class Count:
    """How many connections are of one kind."""

    word: str
    connections: int
    #: Of the most frequent one, in percent: how long its bar is.
    share: float
    role: str
    sentence: str
    #: What filters the table by it: "opening:refused".
    query: str


@dataclass(frozen=True)
class FindingCount:
    """All findings of one code."""

    code: str
    severity: str
    #: What the code means.
    sentence: str
    connections: int
    #: What was found of listeners, hosts and captures, the first of it.
    run: tuple[RunFinding, ...]
    #: More of those.
    more: int
    query: str


@dataclass(frozen=True)
class FindingCounts:
    """All findings, the worst first."""

    first: list[FindingCount]
    #: Those that need not be seen at once.
    others: list[FindingCount]


@dataclass(frozen=True)
class Glance:
    """Everything at a glance."""

    openings: list[Count]
    closings: list[Count]
    findings: FindingCounts


def glance(inspection: Inspection, streams: NDArray[np.int64], *, whole: bool) -> Glance:
    """Count kinds and findings of these connections. `whole`: they are all; else nothing is said of the run."""
    openings: Counter[str] = Counter()
    closings: Counter[str] = Counter()
    for (opening, closing), connections in inspection.connections.kinds(streams).items():
        openings[opening] += connections
        closings[closing] += connections
    return Glance(
        openings=list(_counts(openings, "opening", OPENING_ROLES, HANDSHAKE_SENTENCES)),
        closings=list(_counts(closings, "closing", CLOSING_ROLES, TEARDOWN_SENTENCES)),
        findings=_findings(inspection, streams, inspection.findings if whole else ()),
    )


def _counts(found: Counter[str], key: str, roles: Mapping[str, str], sentences: Mapping[str, str]) -> Iterable[Count]:
    most = max(found.values(), default=1)
    for word, connections in sorted(found.items(), key=lambda one: (-one[1], one[0])):
        said = sentences[word].format(o=f"the {ENDS['o']}", r=f"the {ENDS['r']}")
        share = 100 * connections / most
        yield Count(word, connections, share, roles.get(word, "unknown"), said, f"{key}:{word}")


def _findings(inspection: Inspection, streams: NDArray[np.int64], of_run: Iterable[RunFinding]) -> FindingCounts:
    rows = inspection.connections.rows_of(streams)
    counted = {
        code.word: int(np.count_nonzero(np.isin(rows, some)))
        for code, some in inspection.connections.findings.rows_by_code().items()
    }
    counted = {word: count for word, count in counted.items() if count}
    run: dict[str, list[RunFinding]] = {}
    for one in of_run:
        run.setdefault(one.code, []).append(one)
    found = []
    for code in dict.fromkeys([*counted, *run]):
        rule, about, connections = BY_CODE[code], run.get(code, []), counted.get(code, 0)
        found.append(
            FindingCount(
                code=code,
                severity=rule.code.severity.word,
                sentence=rule.sentence,
                connections=connections,
                run=tuple(about[:RUN_FINDINGS_NAMED]),
                more=max(0, len(about) - RUN_FINDINGS_NAMED),
                query=f"finding:{code}",
            )
        )
    found.sort(key=lambda one: (-Severity[one.severity.upper()], not one.run, -one.connections, one.code))
    serious = sum(one.severity in SERIOUS for one in found)
    first = max(serious, FINDINGS_AT_ONCE)
    return FindingCounts(found[:first], found[first:])
