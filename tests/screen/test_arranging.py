"""Filters and orders on columns, against the plain words of each connection."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from handshake_inspect.conditions.parser import WhereError
from handshake_inspect.connections.connection import Connection, Endpoint
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.connections.model import BLOCK_CONNECTIONS
from handshake_inspect.connections.steps.present import present
from handshake_inspect.inspector import inspect
from handshake_inspect.screen.arranging import ORDERS, Order, OutdatedError, Query, arranged, understood
from handshake_inspect.screen.columns import columns_for
from handshake_inspect.screen.sight import ListSnapshot
from tests.cli.running import PCAPS

NAMES = (
    "four-way", "refused", "half-close", "close-wait-held", "blind-reset", "simultaneous-open", "unanswered",
    "accept-queue-overflow", "ipv6", "half-open-silent",
)  # fmt: skip


@cache
def sight() -> ListSnapshot:
    found = inspect([PCAPS / f"{name}.pcap" for name in NAMES])
    return ListSnapshot(found.connections, found.connections.streams, 0)


def socket_key(end: Endpoint) -> tuple[int, int, int]:
    address = ipaddress.ip_address(end.ip)
    return address.version, int(address), end.port


KEYS: dict[str, Callable[[Connection], Any]] = {
    "originator": lambda c: socket_key(c.originator),
    "responder": lambda c: socket_key(c.responder),
    "states": lambda c: str([states[-1] if states else "" for states in (c.states.originator, c.states.responder)]),
    "now": lambda c: -c.last_ns,
    "opened": lambda c: c.handshake.kind,
    "closed": lambda c: c.teardown.kind,
    "octets": lambda c: c.octets.originator + c.octets.responder,
    "lasted": lambda c: c.last_ns - c.first_ns,
    "findings": lambda c: -max((Severity[one.severity.upper()] + 1 for one in c.findings), default=0),
}


def test_every_order_has_its_key_here() -> None:
    assert {*KEYS, "RTT"} == {*ORDERS}


@pytest.mark.parametrize("column", KEYS)
def test_the_order_of_a_column(column: str) -> None:
    connections = list(sight().connections)
    expected = [one.stream for one in sorted(connections, key=KEYS[column])]
    assert arranged(sight(), Query(), Order(column)).tolist() == expected
    backwards = [one.stream for one in sorted(connections, key=KEYS[column], reverse=True)]
    assert arranged(sight(), Query(), Order(column, descending=True)).tolist() == backwards


def test_a_time_across_a_repeated_syn_is_shown_as_a_bound() -> None:
    column = next(one for one in columns_for(is_live=False, captures=1) if one.title == "RTT")
    some = {one.handshake.rtt_ambiguous: one for one in sight().connections if one.handshake.complete}
    known, bound = (
        "".join(text for text, _ in column.cell(one, present(one, one.last_ns, None)))
        for one in (some[False], some[True])
    )
    assert not known.startswith("≤")
    assert bound.startswith("≤")
    assert len(bound) <= column.narrow


@pytest.mark.parametrize("descending", [False, True])
def test_what_is_not_known_comes_last_either_way(descending: bool) -> None:
    times = [one.handshake.initial_rtt_ns for one in sight().connections]
    sorted_times = [times[stream] for stream in arranged(sight(), Query(), Order("RTT", descending)).tolist()]
    known = [one for one in times if one is not None]
    assert sorted_times == sorted(known, reverse=descending) + [None] * (len(times) - len(known))
    assert None in times


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", lambda c: True),
        ("refused", lambda c: c.handshake.kind == "refused"),
        ("FIN-WAIT-2", lambda c: "FIN-WAIT-2" in str(c.states)),
        ("198.18.0.2:4", lambda c: "198.18.0.2:4" in f"{c.originator} {c.responder}"),
        ("close-wait-held.pcap", lambda c: c.capture.endswith("/close-wait-held.pcap")),
        ("three-way 198.18", lambda c: c.handshake.kind == "three-way" and c.originator.ip.startswith("198.18")),
        ("octets.originator > 5", lambda c: c.octets.originator > 5),
        ("resets", lambda c: bool(c.resets)),
    ],
)
def test_a_filter_lists_the_connections_that_match(text: str, holds: Callable[[Connection], bool]) -> None:
    expected = [one.stream for one in sight().connections if holds(one)]
    assert arranged(sight(), understood(text), Order()).tolist() == expected
    assert expected


def test_a_condition_that_nobody_wants_any_more_is_not_answered_to_the_end() -> None:
    wanted = iter((True, False))
    many = replace(sight(), streams=np.resize(sight().streams, 3 * BLOCK_CONNECTIONS))
    with pytest.raises(OutdatedError):
        arranged(many, understood("octets.originator > 5"), Order(), lambda: next(wanted))


def test_digits_alone_are_a_port_or_a_stream() -> None:
    first = sight().connections[0]
    assert arranged(sight(), understood(str(first.responder.port)), Order()).tolist() == [0]
    assert 3 in arranged(sight(), understood("3"), Order()).tolist()
    assert not len(arranged(sight(), understood(str(first.responder.port)[:-1]), Order()))


def test_what_can_only_be_a_condition_is_refused_if_it_is_none() -> None:
    with pytest.raises(WhereError):
        understood("octets.originatr > 5")
    assert understood("octets.originatr").words == ("octets.originatr",)
