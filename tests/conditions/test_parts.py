"""What is taken from columns is what the whole object says, and a condition holds of the same connections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handshake_inspect.conditions import parts
from handshake_inspect.conditions.known import RANGES
from handshake_inspect.conditions.parser import parse
from handshake_inspect.conditions.parts import parts_of, streams_where
from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.model import Connections
from handshake_inspect.inspector import inspect
from handshake_inspect.views.contract import Json, connection_object
from handshake_inspect.views.fields import CHOICES, value_at

PCAPS = Path(__file__).parents[2] / "pcaps"

CONDITIONS = [
    'teardown.kind == "aborted"',
    "handshake.initial_rtt_ns > 1ms",
    "handshake.initial_rtt_ns == null or not handshake.complete",
    "handshake.options.originator.mss == 1460 and handshake.options.responder.mss != null",
    'teardown.closed_first == "responder" and octets.responder >= octets.originator',
    '"TIME-WAIT" in states.originator',
    'originator.ip == "127.0.0.1" and responder.port > 40000 and ip_version == 4',
    'history == "Sr" or "vlan:42" in encapsulation',
    'handshake.rtt_ambiguous and capture != "x"',
    "last_frame > 20",
    "resets and stream > 5",
    '"half-open" in findings.code or completeness == 31',
    '"RST" in resets.reason or icmp_errors or time_wait.outcome == ["reused"]',
    "time_wait and not findings",
    "true",
    "duration > 300ms and duration <= 2s",
    "duration == null or last_frame > 2",
]


@pytest.fixture(scope="module")
def connections() -> Connections:
    captures = sorted(PCAPS.glob("*.pcap"))[::3]
    return inspect([*captures, captures[0]]).connections


@pytest.mark.parametrize("text", CONDITIONS)
@pytest.mark.parametrize("block", [3, 4096])
def test_it_holds_of_the_same_connections(
    connections: Connections, text: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BLOCK_CONNECTIONS", block)
    condition = parse(text)
    found = np.concatenate([*streams_where(condition, connections, connections.streams)]).tolist()
    assert found == [one.stream for one in connections if condition.holds(with_duration(connections, one))]
    assert len(found) > 0


def with_duration(connections: Connections, one: Connection) -> Json:
    (lasted_ns,) = connections.lasted_ns(connections.rows_of(np.array([one.stream]))).tolist()
    return connection_object(one) | {"duration": None if lasted_ns == NONE else lasted_ns}


def test_a_duration_is_from_the_first_segment_to_the_last(connections: Connections) -> None:
    for streams, found in parts_of([("duration",)], connections, connections.streams):
        for stream, part in zip(streams.tolist(), found, strict=True):
            one = connections[stream]
            assert part["duration"] in (one.last_ns - one.first_ns, None)
    chosen = np.concatenate([*streams_where(parse("duration >= 0"), connections, connections.streams)])
    assert len(chosen) > len(connections) // 2


@pytest.mark.parametrize("path", CHOICES)
def test_a_field_of_few_words_has_no_other_word(connections: Connections, path: str) -> None:
    for _, found in parts_of([tuple(path.split("."))], connections, connections.streams):
        for part in found:
            value = value_at(part, path.split("."))
            words = value if isinstance(value, list) else [value]
            assert {*words} - {None} <= {*CHOICES[path]}


def test_numbers_are_in_their_range(connections: Connections) -> None:
    for path in RANGES:
        least, greatest = RANGES[path]
        for _, found in parts_of([tuple(path.split("."))], connections, connections.streams):
            numbers = {value_at(part, path.split(".")) for part in found} - {None}
            frames = {one for one in numbers if not isinstance(one, list)}
            assert all(one >= least and (greatest is None or one <= greatest) for one in frames)


def test_no_object_is_made_of_a_connection_whose_fields_stand_in_columns(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_capture = connections.streams[[not isinstance(one.last_frame, tuple) for one in connections]]
    monkeypatch.delattr(parts, "connection_object")
    condition = parse('octets.originator > 0 and originator.ip == "127.0.0.1"')
    assert [*streams_where(condition, connections, one_capture)]


@pytest.mark.parametrize(
    "path",
    [
        "octets.responder",
        "last_frame",
        "states.originator",
        "findings.message",
        "icmp_errors.type",
        "time_wait.entered_frame",
        "resets.frame",
        "teardown.kind",
    ],
)
def test_what_stands_at_a_path_is_that_of_the_whole_object(connections: Connections, path: str) -> None:
    names = tuple(path.split("."))
    found = [value_at(part, names) for _, some in parts_of([names], connections, connections.streams) for part in some]
    assert found == [value_at(connection_object(one), names) for one in connections]
