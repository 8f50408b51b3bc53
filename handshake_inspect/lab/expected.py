"""What a scenario promises, held against what an inspection of its capture found.

In: the legal outcomes of a scenario and the connections that were found. Out: the outcome that it is, or one line per
difference from the nearest. Only what the capture shows is compared; whether it is true is the kernel's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handshake_inspect.connections.connection import Connection
from handshake_inspect.lab.scenarios.scenario import Verdict
from handshake_inspect.views.contract import connection_object

Outcome = tuple[Verdict, ...]


def outcome_of(outcomes: Sequence[Outcome], connections: Sequence[Connection]) -> Outcome | None:
    """Return the first outcome that the connections are; None if they are none of them."""
    return next((one for one in outcomes if not differences(one, connections)), None)


def nearest_differences(outcomes: Sequence[Outcome], connections: Sequence[Connection]) -> list[str]:
    """Return the differences from the most similar outcome; [] if the connections are one of the outcomes."""
    return min((differences(one, connections) for one in outcomes), key=len, default=[])


def differences(outcome: Outcome, connections: Sequence[Connection]) -> list[str]:
    """Return one line for each difference from an outcome."""
    if len(outcome) != len(connections):
        return [f"{len(connections)} connections, {len(outcome)} expected"]
    found = []
    for verdict, connection in zip(outcome, connections, strict=True):
        seen = connection_object(connection)
        for path, wanted in promises(verdict).items():
            value = at_path(seen, path)
            if value != wanted:
                found.append(f"stream {connection.stream}: {path} is {spelled(value)}, {spelled(wanted)} expected")
    return found


def promises(verdict: Verdict) -> dict[str, Any]:
    """Return the values that a verdict promises, by their path in the JSON of a connection."""
    return {
        "handshake.kind": verdict.handshake,
        "teardown.kind": verdict.teardown,
        "teardown.closed_first": verdict.closed_first,
        "states.originator": listed(verdict.originator),
        "states.responder": listed(verdict.responder),
        **verdict.also,
    }


def listed(states: tuple[str, ...] | None) -> list[str] | None:
    """Return states as JSON has them."""
    return None if states is None else list(states)


def at_path(seen: Any, path: str) -> Any:
    """Return the value at a path: "handshake.kind", "time_wait.0.outcome"; None where there is no such place."""
    for part in path.split("."):
        if isinstance(seen, list):
            seen = seen[int(part)] if int(part) < len(seen) else None
        else:
            seen = seen.get(part) if isinstance(seen, dict) else None
    return seen


def spelled(value: Any) -> str:
    """Spell a value as the page of captures does."""
    if value is None:
        return "-"
    return " > ".join(value) if isinstance(value, list) else str(value)
