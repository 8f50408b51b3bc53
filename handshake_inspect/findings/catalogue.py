"""All rules, in the order of a connection's life, and what applies them.

In: partitions as they are decided, then the run. Out: findings, with the code of their rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType

from handshake_inspect.arrays import Rows
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.connection import RunFinding
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.deciding.found import Coded, Survey
from handshake_inspect.connections.endless.retention import Retention
from handshake_inspect.connections.model import Connections
from handshake_inspect.findings import (
    black_holes,
    closing,
    control_bits,
    extensions,
    fast_open,
    gone_ends,
    half_closed,
    injection,
    late,
    listeners,
    numbers,
    offers,
    opening,
    options,
    paths,
    ports,
    reset_causes,
    reset_marks,
    resets,
    retries,
    scans,
    segment_sizes,
    silence,
    sockets,
    stalls,
    syns,
    third_segment,
    time_wait,
    unanswered,
)
from handshake_inspect.findings import captures as of_captures
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import AboutRule, ConnectionRule, Rule, RunRule
from handshake_inspect.findings.run import Run, covered_until_ns

MODULES: tuple[ModuleType, ...] = (
    unanswered, opening, third_segment, fast_open, retries, syns, numbers, control_bits,
    offers, options, segment_sizes, extensions,
    paths,
    reset_causes, resets, gone_ends, reset_marks, injection,
    black_holes, silence, stalls,
    closing, half_closed, late,
    listeners, scans, time_wait, sockets, ports,
    of_captures,
)  # fmt: skip

RULES: tuple[Rule, ...] = tuple(one for module in MODULES for one in vars(module).values() if isinstance(one, Rule))
#: By the word of its code.
BY_CODE = {one.code.word: one for one in RULES}

_OVER_CONNECTIONS = [one for one in RULES if isinstance(one, ConnectionRule)]
_OVER_RUN = [one for one in RULES if isinstance(one, RunRule)]
_ABOUT_RUN = [one for one in RULES if isinstance(one, AboutRule)]
#: What only a look over the whole run finds of connections.
OVER_RUN = frozenset(one.code for one in _OVER_RUN)
#: Words of the codes that are found of the run as a whole, never of a connection.
ABOUT_RUN = frozenset(one.code.word for one in _ABOUT_RUN)
#: In which order it is told what was found of a connection, where it matters as much.
_PLACE = {one.code: place for place, one in enumerate([*_OVER_CONNECTIONS, *_OVER_RUN])}


def examiner(
    captures: Sequence[CaptureSummary], lanes: Rows, leaving: Retention | None = None
) -> Callable[[DecidedPart], list[Coded]]:
    """Return a function that applies the rules over connections to some conversations.

    `lanes`: the lane of each capture (`Evidence`). `leaving`: by what rule connections of this run leave. Of each is
    then told what is known when it may, so that it does not matter when somebody looked.
    """
    ends_ns = covered_until_ns(captures)

    def examine(decided: DecidedPart) -> list[Coded]:
        evidence = Evidence(decided, ends_ns, lanes, None if leaving is None else leaving.until_ns(decided.verdicts))
        rules = [one for one in _OVER_CONNECTIONS if one.concerns(evidence)]
        examined = [(one.code, found) for one in rules for found in one.function(evidence) if len(found.connection)]
        evidence.forget()
        return examined

    return examine


def survey(
    connections: Connections, captures: Sequence[CaptureSummary], lanes: Rows, leaving: Retention | None = None
) -> Survey:
    """Return a function that applies the rules over the run, and those about it; `lanes`, `leaving` as `examiner`."""
    run = Run(connections, captures, lanes, leaving)

    def of_connections() -> list[Coded]:
        found = [(one.code, found) for one in _OVER_RUN for found in one.function(run)]
        return in_order([*connections.verdicts.found, *found])

    def of_run() -> list[RunFinding]:
        return [
            RunFinding(one.code.word, one.code.severity.word, told.about, told.connections, told.frames, told.message)
            for one in _ABOUT_RUN
            for told in one.function(run)
        ]

    return Survey(of_connections, of_run)


def in_order(found: Iterable[Coded]) -> list[Coded]:
    """Sort findings in the order of output, independent of how the run was cut into partitions."""
    return sorted(found, key=lambda one: (_PLACE[one[0]], one[1].text))
