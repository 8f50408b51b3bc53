"""Every scenario that was recorded at both ends of a wire: what its rules did to the segments is what is found."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from handshake_inspect.joined.join import Joined, join
from handshake_inspect.joined.model import JoinedSegment
from handshake_inspect.lab.scenarios import SCENARIOS
from tests.joined.rules_of import Kind, orders_of

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
def test_what_the_rules_drop_is_lost_and_nothing_else(name: str) -> None:
    orders = orders_of(SCENARIOS[name])
    lost = fared(name, "lost")
    unseen = fared(name, "unseen")
    for kind in lost:
        assert orders.cuts or orders.may(kind, "drop", "hold"), kind
    for kind, count in orders.count("drop").items():
        if orders.is_exact(kind):
            assert lost[kind] + unseen[kind] == count, kind
        else:
            assert sum(many for one, many in (lost + unseen).items() if kind in (one, (one[0], "segment"))), kind
    assert bool(unseen) == (name in CANNOT_BE_TOLD)
    assert bool(lost) == bool(orders.cuts or orders.of("drop")) or name in CANNOT_BE_TOLD | CHANGED_INSTEAD


@pytest.mark.parametrize("name", NAMES)
def test_what_the_rules_double_is_copied_and_nothing_else(name: str) -> None:
    orders = orders_of(SCENARIOS[name])
    copied = fared(name, "copied")
    assert copied == orders.count("duplicate", "keep")


@pytest.mark.parametrize("name", NAMES)
def test_what_the_rules_swap_is_overtaken_and_nothing_else(name: str) -> None:
    orders = orders_of(SCENARIOS[name])
    late = Counter(kind_of(one) for one in segments(name) if one.late)
    assert late == orders.count("swap")


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_forged_was_not_sent(name: str) -> None:
    orders = orders_of(SCENARIOS[name])
    made = fared(name, "made") + fared(name, "unsent")
    assert bool(made) == (orders.forges and name not in CHANGED_INSTEAD | FORGED_ICMP)
