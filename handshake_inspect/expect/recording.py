"""Expectations recorded from a capture whose behaviour is right.

In: an inspection. Out: a document (`document`) as `understanding` reads it, and the same as TOML (`toml`). A few
connections get a table each, with all that can be expected; of many, equal ones share a table, with their count.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from typing import Any

from handshake_inspect.connections.connection import ENDS, Connection, end_names
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.expect.alike import alike
from handshake_inspect.expect.claims import (
    NOT_KNOWN,
    OCTETS_COLUMNS,
    RETRANSMISSIONS_COLUMNS,
    closed_first,
    octets_sent,
    retransmissions,
    waits,
)
from handshake_inspect.expect.subject import Subject
from handshake_inspect.expect.understanding import SCHEMA
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.escape import printable

#: More connections than these are written by kind.
TABLES_MAX = 20
#: Findings that matter so much are written.
WRITTEN_FROM = Severity.NOTE
#: No other ones may matter so much. Notes may: a later version may have more of them.
NONE_FROM = Severity.WARN
#: What `facts` look at (`expect.alike`).
FACTS_COLUMNS = RETRANSMISSIONS_COLUMNS | OCTETS_COLUMNS | {"time_wait"}
#: Between the states of an end.
ARROW = " > "


def document(inspection: Inspection) -> dict[str, Any]:
    """Return a document that expects everything as it is."""
    connections = inspection.connections
    found: dict[str, Any] = {"schema": SCHEMA, "connections": len(connections)}
    if len(inspection.exchanges):
        found["exchanges"] = len(inspection.exchanges)
    if len(connections) > TABLES_MAX:
        tables = [*_by_kind(inspection)]
    else:
        tables = [
            {**({"stream": one.stream} if len(connections) > 1 else {}), **facts(Subject(one, inspection))}
            for one in connections
        ]
    return {**found, "expect": tables} if tables else found


def facts(subject: Subject) -> dict[str, Any]:
    """Return the keys that describe this connection, except durations."""
    one, names = subject.connection, subject.names
    first, waiting = closed_first(one), waits(one)
    return {
        "handshake": one.handshake.kind,
        "teardown": one.teardown.kind,
        **({"closed_first": named(first, one)} if first != NOT_KNOWN else {}),
        **({"time_wait": named(waiting, one)} if waiting != NOT_KNOWN else {}),
        "max_retransmissions": retransmissions(subject),
        **_findings(one),
        "octets": {names[end]: count for end in ENDS if (count := octets_sent(subject, end)) is not None},
        **_states(one),
    }


def named(word: str, connection: Connection) -> str:
    """Return the word for an end that the ladder uses."""
    names = end_names(connection.handshake.kind)
    return {"originator": names.originator, "responder": names.responder}.get(word, word)


def _states(connection: Connection) -> dict[str, Any]:
    names = end_names(connection.handshake.kind)
    known = ((names[end], connection.states[end]) for end in ENDS)
    states = {name: ARROW.join(states) for name, states in known if states is not None}
    return {"states": states} if states else {}


def _findings(connection: Connection) -> dict[str, Any]:
    codes = codes_found(connection)
    return {**({"findings": codes} if codes else {}), "no_findings": [NONE_FROM.word]}


def codes_found(connection: Connection, asked: Container[str] = ()) -> list[str]:
    """Return the codes to write for a connection, including those `asked` for, each once, the worst first."""
    worth = (
        one.code for one in connection.findings if one.code in asked or Severity[one.severity.upper()] >= WRITTEN_FROM
    )
    return [*dict.fromkeys(worth)]


def _by_kind(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield a table for each pair of kinds, the most common first, with what holds for all its connections.

    Of connections with the same facts one is looked at: what they have in common with another once, they have for good.
    """
    tables: dict[tuple[str, str], dict[str, Any]] = {}
    connections = inspection.connections
    for one in connections.of_streams(alike(inspection, connections.streams, FACTS_COLUMNS)[1]):
        kinds = (one.handshake.kind, one.teardown.kind)
        found = facts(Subject(one, inspection))
        tables[kinds] = in_common(tables[kinds], found) if kinds in tables else found
    for (handshake, teardown), count in sorted(connections.kinds().items(), key=lambda one: (-one[1], one[0])):
        where = f'handshake.kind == "{handshake}" and teardown.kind == "{teardown}"'
        table = tables[handshake, teardown]
        kept = {key: value for key, value in table.items() if key not in ("handshake", "teardown")}
        yield {"where": where, "count": count, **kept}


def in_common(some: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts that hold for earlier connections and for one more: bounds, or one of several words."""
    both = {key: (some[key], more[key]) for key in some if key in more}
    of_some = {*some.get("findings", ())} ^ {*more.get("findings", ())}
    if any(BY_CODE[code].code.severity >= NONE_FROM for code in of_some):  # of which `findings` cannot name any
        both.pop("no_findings", None)
    return {key: value for key, pair in both.items() if (value := _shared(key, *pair)) not in ([], {}, None)}


def _shared(key: str, some: Any, more: Any) -> Any:
    if some == more:
        return some
    if key == "max_retransmissions":
        return max(some, more)
    if key == "findings":
        return [code for code in some if code in more]
    if key == "octets":
        return {name: _bounds(some[name], more[name]) for name in some if name in more}
    if key == "states":
        return {name: states for name, states in some.items() if more.get(name) == states}
    words = [some] if isinstance(some, str) else some  # closed_first, time_wait
    return [*dict.fromkeys([*words, more])]


def _bounds(some: Any, more: int) -> dict[str, int]:
    low, high = (some["min"], some["max"]) if isinstance(some, Mapping) else (some, some)
    return {"min": min(low, more), "max": max(high, more)}


def toml(found: Mapping[str, Any], capture: str) -> str:
    """Return a document as TOML; its first line names the `capture`."""
    lines = [f"# What is expected of {printable(capture)}.", *_pairs({k: v for k, v in found.items() if k != "expect"})]
    for table in found.get("expect", ()):
        lines += ["", "[[expect]]", *_pairs(table)]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each key, and one for each end of a key that has both."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from (f"{key}.{name} = {_value(one)}" for name, one in value.items())
        else:
            yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    """Return text, a whole number, an array or bounds as TOML."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_value(one)}' for key, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str) and '"' in value:
        return f"'{value}'"  # a condition: it has no apostrophe, which is what a literal string may not have
    return json.dumps(value)  # a basic string of TOML has the escapes of JSON (toml.io v1.0.0, "String")
