"""What is asked once for connections that are alike is what each of them answers."""

from __future__ import annotations

import random
from dataclasses import fields

import numpy as np
import pytest

from handshake_inspect import Inspection
from handshake_inspect.connections.folding.repeats import repeated
from handshake_inspect.connections.splitting.rows import ConnectionRows
from handshake_inspect.expect.alike import alike
from handshake_inspect.expect.claims import closed_first, octets_sent, retransmissions, waits
from handshake_inspect.expect.matching import AllMet, Check, checks, outcomes
from handshake_inspect.expect.recording import FACTS_COLUMNS, facts, toml
from handshake_inspect.expect.subject import Subject
from handshake_inspect.expect.written import understood
from tests.findings.captures import inspected

#: With many connections, or odd ones.
CAPTURES = [
    "port-scan.pcap",
    "time-wait-reused.pcap",
    "zeek__wikipedia.pcap",
    "bro-simple-scan__445_scan.pcap",
    "suricata-verify__output-eve-ftp-data.pcap",
    "libpcap__http_PPI.pcap",
    "arkime__mysql-deny.pcap",
]


@pytest.fixture(params=CAPTURES)
def inspection(request: pytest.FixtureRequest) -> Inspection:
    """Give a capture, inspected."""
    return inspected(request.param)


def test_facts_are_those_of_all_that_are_alike(inspection: Inspection) -> None:
    connections = inspection.connections
    group, asked = alike(inspection, connections.streams, FACTS_COLUMNS)
    of_group = [facts(Subject(connections[int(stream)], inspection)) for stream in asked]
    for connection, number in zip(connections, group.tolist(), strict=True):
        assert facts(Subject(connection, inspection)) == of_group[number]


def test_segments_sent_again_are_those_of_the_ladder(inspection: Inspection) -> None:
    again = [sum(step.retransmission for step in inspection.steps(one.stream)) for one in inspection.connections]
    rows = inspection.connections.rows_of(inspection.connections.streams)
    assert inspection.retransmissions[rows].tolist() == again
    for part in inspection.rows():
        for one in range(part.connections):
            at = slice(*part.start[one : one + 2].tolist())
            assert repeated(only(part, one)).tolist() == repeated(part)[at].tolist()


def only(part: ConnectionRows, connection: int) -> ConnectionRows:
    """Return the rows of one connection, as connection 0."""
    rows = slice(*part.start[connection : connection + 2].tolist())
    one = slice(connection, connection + 1)
    per_connection = {name: getattr(part, name)[one] for name in ("iss", "iss_known", "self_connect")}
    columns = {field.name: getattr(part, field.name)[rows] for field in fields(part)}
    alone = {"start": np.array([0, rows.stop - rows.start]), "conn": np.zeros(rows.stop - rows.start, np.int64)}
    return ConnectionRows(**columns | per_connection | alone)


def as_written(inspection: Inspection) -> str:
    """Write expectations of which a part is not met, and with every key."""
    chance = random.Random(3)
    tables = []
    for one in list(inspection.connections)[:6]:
        subject, other = Subject(one, inspection), chance.choice(inspection.connections)
        known = {end: octets_sent(subject, end) for end in ("originator", "responder")}
        tables.append(
            {
                "where": f'handshake.kind == "{other.handshake.kind}"',
                "teardown": one.teardown.kind,
                "max_retransmissions": retransmissions(subject),
                "max_handshake_ms": 1,
                "octets": {end: {"min": 0, "max": count} for end, count in known.items() if count is not None},
                "states": {end: " > ".join(seen) for end in known if (seen := one.states[end])},  # type: ignore[index]
                "findings": [one.findings[0].code] if one.findings else ["refused"],
                "no_findings": ["warn"],
                **({"closed_first": first} if (first := closed_first(one)) != "not known" else {}),
                **({"time_wait": owner} if (owner := waits(one)) != "not known" else {}),
            }
        )
    return toml(
        {"schema": 1, "connections": len(inspection.connections), "no_findings": ["note"], "expect": tables}, "it"
    )


def test_checks_told_together_are_those_told_one_by_one(inspection: Inspection) -> None:
    expected = understood(as_written(inspection), "it")
    each, together = [*checks(expected, inspection)], [*outcomes(expected, inspection, each=False)]
    failed = [one for one in each if one.failures]
    assert failed
    assert [one for one in together if isinstance(one, Check) and one.failures] == failed
    met = [(one.place, one.connection.stream) for one in each if one.connection and not one.failures]
    told = [(one.place, stream) for one in together if isinstance(one, AllMet) for stream in one.streams.tolist()]
    assert sorted(told, key=str) == sorted(met, key=str)
    assert all(isinstance(one.streams, np.ndarray) for one in together if isinstance(one, AllMet))
