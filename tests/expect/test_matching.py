"""What passes though it should not: nobody answers, what is not known, one end alone; and which row is named."""

from __future__ import annotations

import io
from typing import Any

import pytest

from handshake_inspect import inspect
from handshake_inspect.expect.checked import CheckedCapture
from handshake_inspect.expect.claims import retransmissions
from handshake_inspect.expect.matching import Check, checks
from handshake_inspect.expect.places import Lines
from handshake_inspect.expect.recording import document
from handshake_inspect.expect.subject import Subject
from handshake_inspect.expect.understanding import expectations
from tests.expect.altered import NAMES, PCAPS, frames_of, inspected, recorded, segment


def asked(name: str, *tables: dict[str, Any], **document: Any) -> list[Check]:
    return [*checks(expectations({"schema": 1, "expect": [*tables], **document}, Lines("x")), recorded(name))]


def failures(found: list[Check]) -> list[str]:
    return [str(one) for check in found for one in check.failures]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"port": 1}, "connections with port = 1: expected at least 1, seen 0 [x]"),
        ({"stream": [0, 2]}, "connections with stream = [0, 2]: expected at least 2, seen 1 [x]"),
        ({"stream": "1-"}, None),
        ({"stream": "2-"}, 'connections with stream = "2-": expected at least 1, seen 0 [x]'),
        ({"stream": [0, 2], "count": 1}, None),
        ({"stream": [0, 2], "where": "stream == 0"}, None),
        ({"count": 0}, "connections: expected 0, seen 2 [x]"),
        ({"port": 1, "count": 0}, None),
        ({"count": {"max": 1}}, "connections: expected at most 1, seen 2 [x]"),
        ({"count": {"min": 2, "max": 2}}, None),
    ],
)
def test_a_table_that_too_few_or_too_many_answer_is_not_met(table: dict[str, Any], says: str | None) -> None:
    assert failures(asked("time-wait-reopened.pcap", table)) == ([] if says is None else [says])


def test_one_end_alone_proves_no_more_of_the_other_than_its_numbers_do() -> None:
    """Of four-way only what the client sent: the server sent something too, which is not nothing."""
    frames = [one for one in frames_of("four-way.pcap") if segment(one).source[1] == 47304]
    of_both = {"octets": {"client": 4, "server": 0}, "handshake": "three-way"}
    inspection = inspected(frames)
    expected = expectations({"schema": 1, "expect": [of_both]}, Lines("x"))
    seen = {one.unmet.key: one.unmet.seen for check in checks(expected, inspection) for one in check.failures}
    assert seen == {"octets of the server": "not captured", "handshake": "partial"}
    found = document(inspection)
    assert found["expect"][0]["octets"] == {"client": 4}
    assert failures([*checks(expectations(found, Lines("x")), inspection)]) == []


@pytest.mark.parametrize("name", NAMES)
def test_retransmissions_are_those_of_the_ladder(name: str) -> None:
    """Where the counts of a connection prove that there are none, no segment is looked at."""
    inspection = recorded(name)
    for one in inspection.connections:
        shown = sum(step.retransmission for step in inspection.steps(one.stream))
        assert retransmissions(Subject(one, inspection)) == shown


def test_who_closed_first_is_not_nobody_where_the_first_fin_was_not_captured() -> None:
    inspection = inspected(frames_of("four-way.pcap")[8:])
    expected = expectations({"schema": 1, "expect": [{"closed_first": "none"}]}, Lines("x"))
    assert failures([*checks(expected, inspection)]) == [
        "closed_first: expected none, seen not known (frame 2, FIN,ACK of the originator) [x]"
    ]
    found = document(inspection)
    assert "closed_first" not in found["expect"][0]
    assert failures([*checks(expectations(found, Lines("x")), inspection)]) == []


@pytest.mark.parametrize(
    ("name", "table", "row"),
    [
        ("refused.pcap", {"handshake": "three-way"}, "frame 2, RST,ACK of the server"),
        ("unreachable.pcap", {"handshake": "three-way"}, "frame 2, ICMP network unreachable from 192.0.2.1"),
        ("unanswered.pcap", {"handshake": "three-way"}, "frame 4, SYN of the client"),
        ("third-segment-wrong-ack.server.pcap", {"handshake": "three-way"}, "frame 3, ACK of the client"),
        ("reset-unread.pcap", {"teardown": "four-way"}, "RST,ACK of the server"),
        ("half-closed.pcap", {"teardown": "four-way"}, "FIN,ACK of the client"),
        ("reset.pcap", {"closed_first": "client"}, "RST,ACK of the client"),
        ("simultaneous-close.pcap", {"closed_first": "client"}, "frame 9, FIN,ACK of the server"),
        ("half-open-syn.server.pcap", {"stream": 0, "teardown": "open"}, "RST of the client"),
        ("lost-fin.pcap", {"max_retransmissions": 0}, "FIN,ACK of the client"),
        ("zero-window.pcap", {"no_findings": "zero-window"}, "of the server"),
        ("reset.pcap", {"octets": {"client": 5}}, "PSH,ACK of the client"),
        ("refused.pcap", {"states": {"server": "LISTEN > SYN-RECEIVED"}}, "frame 1, SYN of the client"),
        ("server-first.pcap", {"time_wait": "client"}, "frame 11, ACK of the server"),
    ],
)
def test_the_row_is_that_at_which_it_went_another_way(name: str, table: dict[str, Any], row: str) -> None:
    (check,) = asked(name, table)
    (failure,) = check.failures
    assert failure.unmet.at is not None
    assert row in failure.unmet.at.said
    capture = CheckedCapture("x.pcap")
    capture.add(check, keep_all=False)
    assert capture.marks_of(0) == {failure.unmet.at.frame: [f"✗ {failure.unmet.short}"]}


def test_a_capture_that_is_cut_short_is_as_expected_unless_it_may_not_be() -> None:
    whole = (PCAPS / "four-way.pcap").read_bytes()
    cut = inspect(io.BytesIO(whole[:-10]))

    def unmet(**document: Any) -> list[str]:
        expected = expectations({"schema": 1, "connections": 1} | document, Lines("x.expect.toml"))
        return [str(failure.unmet) for check in checks(expected, cut) for failure in check.failures]

    assert unmet() == []
    assert unmet(damage=0) == [
        "damage: expected 0, seen 1: the capture ends inside a record (72 octets of it are there)"
    ]
    assert unmet(damage=1) == []
