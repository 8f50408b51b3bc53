"""Every scenario that was recorded at both ends of a wire: what its rules did to the segments is what is found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from handshake_inspect.connections.connection import ENDS
from handshake_inspect.joined.join import Joined, join
from handshake_inspect.joined.model import JoinedConnection, JoinedSegment
from handshake_inspect.lab.scenarios import SCENARIOS
from tests.joined.rules_of import Kind, Orders, orders_of

#: What is joined once is looked at by several tests.
pytestmark = pytest.mark.xdist_group("joined")

PCAPS = Path(__file__).parents[2] / "pcaps"
NAMES = sorted(path.name.removesuffix(".server.pcap") for path in PCAPS.glob("*.server.pcap"))

#: Some of what the client sent was not seen at the server, and whether it died cannot be told: there is nothing at the
#: server after it, and neither a repetition nor an answer tells.
CANNOT_BE_TOLD = {"address-sweep", "keep-alive-dead", "time-wait-protected"}
#: A segment is held for good and another sent in its place that differs only in numbers or length: that is a change.
CHANGED_INSTEAD = {"third-segment-wrong-seq", "syn-with-data", "ack-field-without-ack", "syn-without-mss",
                   "window-scale-15", "malformed-option", "accurate-ecn-offered"}  # fmt: skip

FORGED_ICMP = {"forged-icmp-error"}


@cache
def joined(name: str) -> Joined:
    return join(PCAPS / f"{name}.pcap", PCAPS / f"{name}.server.pcap")


@cache
def segments(name: str) -> list[JoinedSegment]:
    found = joined(name)
    numbers = range(len(found))
    return list({id(one.segment): one.segment for number in numbers for one in found.moments(number)}.values())


def kind_of(segment: JoinedSegment) -> Kind:
    """Return who sent it, and the kind by which rules call it. Every connection of these captures is the client's."""
    flags = set(segment.step.flags.split(","))
    if "RST" in flags:
        kind = "RST"
    elif "SYN" in flags:
        kind = "SYN-ACK" if "ACK" in flags else "SYN"
    elif "FIN" in flags:
        kind = "FIN"
    else:
        kind = "data" if segment.step.payload_octets else "ACK"
    return {"originator": "client", "responder": "server"}[segment.sender], kind


def fared(name: str, fate: str) -> Counter[Kind]:
    """Count the segments of which this became."""
    return Counter(kind_of(one) for one in segments(name) if one.fate == fate)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_rules_do_is_found_and_nothing_else(name: str) -> None:
    orders = orders_of(SCENARIOS[name])
    what_is_dropped_is_lost(name, orders)
    assert fared(name, "copied") == orders.count("duplicate", "keep")
    assert Counter(kind_of(one) for one in segments(name) if one.late) == orders.count("swap")
    made = fared(name, "made") + fared(name, "unsent")
    assert bool(made) == (orders.forges and name not in CHANGED_INSTEAD | FORGED_ICMP)


def what_is_dropped_is_lost(name: str, orders: Orders) -> None:
    lost, unseen = fared(name, "lost"), fared(name, "unseen")
    for kind in lost:
        assert orders.cuts or orders.may(kind, "drop", "hold"), kind
    for kind, count in orders.count("drop").items():
        if orders.is_exact(kind):
            assert lost[kind] + unseen[kind] == count, kind
        else:
            assert sum(many for one, many in (lost + unseen).items() if kind in (one, (one[0], "segment"))), kind
    assert bool(unseen) == (name in CANNOT_BE_TOLD)
    assert bool(lost) == bool(orders.cuts or orders.of("drop")) or name in CANNOT_BE_TOLD | CHANGED_INSTEAD


#: Nothing of both ends was seen at both places: the order of the names is believed.
BY_NAME = {"reset-alone", "syn-answered-by-syn", "third-segment-wrong-ack", "unanswered-exponential"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BY_NAME])
def test_the_order_of_the_names_changes_nothing(name: str) -> None:
    swapped = join(PCAPS / f"{name}.server.pcap", PCAPS / f"{name}.pcap")
    assert ways(swapped) == ways(joined(name))
    assert joined(name).swapped[0] == 0
    if not joined(name)[0].is_flipped:  # else both ends are the originator, each at its own place
        assert swapped.swapped[0] == swapped.swapped[1] > 0


def ways(found: Joined) -> list[str]:
    """Return what became of the segments of each host, without the delays, which differ by a rounding."""
    return sorted(
        f"{one.preferred.originator.ip if end == 'originator' else one.preferred.responder.ip}"
        f" {replace(one.ways[end], delays=None)}"
        for one in found
        for end in ENDS
        if name_stays(one)
    )


def name_stays(connection: JoinedConnection) -> bool:
    """Is the address the same at both places?"""
    return not any(change.what == "address" for change in connection.changes)


def test_a_segment_of_another_connection_is_no_change() -> None:
    """At one place an old SYN opens a connection, at the other its answer belongs to the next one."""
    for one in joined("old-duplicate-syn"):
        assert one.changes == ()
    assert [one.ways.responder.arrived for one in joined("old-duplicate-syn")] == [1, 3]
