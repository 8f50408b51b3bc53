"""A file of expectations updated to what a capture shows now; comments and layout stay.

In: the text of the file, the expectations in it, an inspection. Out: the new text. Only what is not met is changed. If
several connections share a table, what holds for all of them is written. Left as they are: times, octets or a first FIN
that were not captured, states that differ or are not proven, findings that not all of them have, and findings of the
run. A table that selects no connection any more gets the count 0; one that names a stream that does not exist is
removed. Needs tomlkit, which keeps comments and layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

from handshake_inspect.connections.connection import ENDS, Connection
from handshake_inspect.expect.claims import ENDS as END_WORDS
from handshake_inspect.expect.claims import (
    NOT_KNOWN,
    HasFinding,
    HasNoFinding,
    closed_first,
    octets_sent,
    retransmissions,
    waits,
)
from handshake_inspect.expect.expectations import Expect, Expectations
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.expect.recording import ARROW, codes_found, facts, named, toml
from handshake_inspect.expect.subject import Subject
from handshake_inspect.inspection import Inspection

Table = MutableMapping[str, Any]
Subjects = Sequence[Subject]


def updated(text: str, expected: Expectations, inspection: Inspection) -> str:
    """Return the updated text of a file. Raises ExpectationError without tomlkit."""
    try:
        import tomlkit
    except ImportError:
        raise ExpectationError("--update needs tomlkit: pip install 'handshake-inspect[update]'") from None
    document: Any = tomlkit.parse(text.removeprefix("\ufeff"))
    for key, total in (
        ("connections", expected.connections),
        ("exchanges", expected.exchanges),
        ("damage", expected.damage),
    ):
        count = len(getattr(inspection, key))
        if total is not None and not total[1].holds(count):
            document[key] = count
    if "expect" in document:
        _update_tables(document, expected, inspection)
    return str(tomlkit.dumps(document))


def _update_tables(document: Any, expected: Expectations, inspection: Inspection) -> None:
    """Change what is not met in the tables."""
    tables = document["expect"]
    one_for_each = all("stream" in table for table in tables)  # then a new connection has one too
    gone, covered = [], set[int]()
    for number, (table, one) in enumerate(zip(tables, expected.expect, strict=True)):
        streams = one.selector.streams(inspection)
        subjects = [Subject(connection, inspection) for connection in inspection.connections.of_streams(streams)]
        covered |= {*streams.tolist()}
        if subjects or one.count.holds(0):
            _update(table, replace(one, clauses=(*one.clauses, *expected.no_findings)), subjects)
        elif "stream" in table:
            gone.append(number)
        elif "count" in table:
            table["count"] = 0  # without it, what the table should be about now somebody must say
    for number in reversed(gone):
        del tables[number]
    for connection in inspection.connections if one_for_each else ():
        if connection.stream not in covered:
            tables.append(_new_table(Subject(connection, inspection), tables))
    if not tables:
        del document["expect"]
        document.setdefault("connections", len(inspection.connections))  # a file must expect something


def _new_table(subject: Subject, others: Any) -> Any:
    """Return a new table as it is recorded; in one line, if the others are."""
    import tomlkit

    found = {"stream": subject.connection.stream, **facts(subject)}
    if isinstance(others, tomlkit.items.AoT):
        return tomlkit.parse("\n" * bool(others) + toml({"expect": [found]}, "").partition("\n")[2])["expect"][0]
    inline = tomlkit.inline_table()
    inline.update(found)
    return inline


def _update(table: Table, expect: Expect, subjects: Subjects) -> None:
    """Change what is not met in one table."""
    if "count" in table and not expect.count.holds(len(subjects)):
        table["count"] = len(subjects)
    unmet = {key for subject in subjects for key in _unmet_keys(expect, subject)}
    for key in sorted(unmet & {*_NOW}):
        value = _NOW[key](subjects)
        if value is not None:
            _put(table, key, value, subjects)
    if unmet & {"findings", "no_findings"}:  # what is named among the first may be in spite of the second
        _put(table, "findings", _common_findings(expect, subjects), subjects)


def _unmet_keys(expect: Expect, subject: Subject) -> Iterator[str]:
    """Yield the keys of a table that are not met by a connection."""
    return (one.key for one in expect.clauses if any(True for _ in one.claim.unmet(subject)))


def _put(table: Table, key: str, value: Any, subjects: Subjects) -> None:
    """Set a value; of a value for each end, only the ends that the table has."""
    if isinstance(value, Mapping):
        for name in [*table[key]]:
            written = END_WORDS[name] if any(one.lacks(name) for one in subjects) else name
            now = value.get(END_WORDS[name], table[key][name])
            if isinstance(table[key][name], str) and not isinstance(now, str):
                now = ARROW.join(now)
            if written != name:
                del table[key][name]
            if written != name or table[key][name] != now:
                table[key][written] = now
    elif value == []:
        table.pop(key, None)
    else:
        table[key] = value


# What holds of all connections of a table, as it is written; None: it cannot be written.


def _words(word_of: Callable[[Connection], str]) -> Callable[[Subjects], Any]:
    """Return a function that finds the words that several connections have."""

    def now(subjects: Subjects) -> Any:
        words = [*dict.fromkeys(named(word_of(one.connection), one.connection) for one in subjects)]
        return None if NOT_KNOWN in words else words[0] if len(words) == 1 else words

    return now


def _states_now(subjects: Subjects) -> Any:
    found = {end: {one.connection.states[end] for one in subjects} for end in ENDS}
    return {end: [*states] for end in ENDS for states in found[end] if len(found[end]) == 1 and states is not None}


def _slowest_ms(subjects: Subjects) -> Any:
    times = [one.connection.handshake.initial_rtt_ns for one in subjects]
    known = [time_ns for time_ns in times if time_ns is not None]
    return math.ceil(max(known) / 1_000_000) if known and len(known) == len(times) else None


def _common_findings(expect: Expect, subjects: Subjects) -> list[str]:
    claims = [one.claim for one in expect.clauses]
    asked = {one.code for one in claims if isinstance(one, HasFinding)}
    asked.update(code for one in claims if isinstance(one, HasNoFinding) for code in one.codes)
    found = [codes_found(one.connection, asked) for one in subjects]
    return [code for code in found[0] if all(code in codes for codes in found)]


def _octets_now(subjects: Subjects) -> Any:
    now = {}
    for end in ENDS:
        counts = [octets_sent(one, end) for one in subjects]
        known = [count for count in counts if count is not None]
        if known == counts:
            now[end] = min(known) if min(known) == max(known) else _between(known)
    return now


def _between(counts: Sequence[int]) -> Any:
    """Return bounds, in one line: a table of its own would take in the lines behind it."""
    import tomlkit

    bounds = tomlkit.inline_table()
    bounds.update({"min": min(counts), "max": max(counts)})
    return bounds


_NOW: Mapping[str, Callable[[Subjects], Any]] = {
    "handshake": _words(lambda one: one.handshake.kind),
    "teardown": _words(lambda one: one.teardown.kind),
    "closed_first": _words(closed_first),
    "time_wait": _words(waits),
    "states": _states_now,
    "max_handshake_ms": _slowest_ms,
    "max_retransmissions": lambda subjects: max(map(retransmissions, subjects)),
    "octets": _octets_now,
}
