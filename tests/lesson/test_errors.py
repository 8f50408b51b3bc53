"""ICMP errors of recorded captures in a lesson."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect import inspect
from handshake_inspect.lesson.errors import error_stops
from handshake_inspect.tcp.sections import ICMP_RULES
from tests.cli.running import PCAPS


@pytest.mark.parametrize(
    ("name", "right", "topic", "section"),
    [
        ("unreachable", "keep trying", "unreachable", "RFC 9293 §3.9.2.2"),
        ("path-mtu", "send smaller segments", "path-mtu", "RFC 9293 §3.7.2"),
        ("forged-icmp-error.server", "nothing", "icmp-never-sent", "RFC 5927 §4.1"),
    ],
)
def test_what_is_to_be_done(name: str, right: str, topic: str, section: str) -> None:
    (stop,) = error_stops(inspect(PCAPS / f"{name}.pcap").connections[0].icmp_errors)
    assert stop.question is not None
    assert (stop.question.right, stop.question.topic, stop.rule.section) == (right, topic, section)
    assert stop.question.choices.count(right) == 1


@pytest.mark.parametrize("kind", ICMP_RULES)
def test_each_kind_is_asked_about_once(kind: str) -> None:
    (error,) = inspect(PCAPS / "unreachable.pcap").connections[0].icmp_errors
    stops = error_stops([replace(error, kind=kind)] * 3)
    assert [stop.question is not None for stop in stops] == [True, False, False]
    assert {stop.rule for stop in stops} == {ICMP_RULES[kind]}
