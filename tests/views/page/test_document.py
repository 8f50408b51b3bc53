"""The page as text: what it counts is what the inspection has, and nothing of a capture is markup in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from handshake_inspect import inspect
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.page.columns import listed_streams, table_data
from handshake_inspect.views.page.embedded import source_hash
from handshake_inspect.views.page.glance import FindingCount, Glance, glance
from handshake_inspect.views.palette import CLOSING_ROLES, OPENING_ROLES, STATES
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS
from tests.views.page.making import PCAPS, damaged, hostile_capture, page_of


@pytest.fixture(scope="module")
def recorded() -> Inspection:
    return inspect(sorted(PCAPS.glob("*.pcap")))


class Elements(HTMLParser):
    """Lists the elements of a page with their attributes, and the text of some."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"style": [], "script": [], "title": []}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside].append(data)
            self._inside = ""


def test_the_columns_are_those_of_the_connections(recorded: Inspection) -> None:
    streams = recorded.connections.streams
    begin_ns = min(one.first_ns for one in recorded.connections)
    data = table_data(recorded, streams, begin_ns)
    columns = data["columns"]
    assert columns["stream"] == streams.tolist()
    for row, one in enumerate(recorded.connections):
        for end, endpoint, last in (
            ("originator", one.originator, one.states.originator), ("responder", one.responder, one.states.responder),
        ):  # fmt: skip
            assert data["addresses"][columns[end][row]] == endpoint.ip
            assert columns[f"{end}_port"][row] == endpoint.port
            place = ("originator", "responder").index(end)
            behaviour = data["behaviours"][columns["behaviour"][row]]
            assert behaviour["states"][place] == (last[-1] if last else None)
        assert (behaviour["opening"], behaviour["closing"]) == (one.handshake.kind, one.teardown.kind)
        codes = [data["codes"][code][0] for code in data["sets"][columns["found"][row]]]
        assert codes == list(dict.fromkeys(finding.code for finding in one.findings))
        assert columns["start_ns"][row] == one.first_ns - begin_ns
        assert columns["lasted_ns"][row] in (one.last_ns - one.first_ns, None)
        assert columns["rtt_ns"][row] == one.handshake.initial_rtt_ns
        assert columns["rtt_ambiguous"][row] == one.handshake.rtt_ambiguous
        assert data["captures"][columns["capture"][row]] == one.capture
        assert columns["segments"][row] == one.segments.originator + one.segments.responder
        assert (columns["octets_originator"][row], columns["octets_responder"][row]) == (
            one.octets.originator,
            one.octets.responder,
        )


def test_addresses_are_in_order_of_their_numbers(recorded: Inspection) -> None:
    addresses = table_data(recorded, recorded.connections.streams, 0)["addresses"]
    four = [tuple(map(int, one.split("."))) for one in addresses if ":" not in one]
    assert four == sorted(four)
    assert len(addresses) == len(set(addresses))


def all_of(found: Glance) -> list[FindingCount]:
    return [*found.findings.first, *found.findings.others]


def test_what_is_counted_at_a_glance_is_what_there_is(recorded: Inspection) -> None:
    some = recorded.connections.streams[::2]
    found = glance(recorded, some, whole=False)
    connections = list(recorded.connections.of_streams(some))
    openings: list[str] = [one.handshake.kind for one in connections]
    closings: list[str] = [one.teardown.kind for one in connections]
    for counts, kinds in ((found.openings, openings), (found.closings, closings)):
        assert {one.word: one.connections for one in counts} == {kind: kinds.count(kind) for kind in set(kinds)}
    codes = [code for one in connections for code in {finding.code for finding in one.findings}]
    assert {one.code: one.connections for one in all_of(found)} == {code: codes.count(code) for code in set(codes)}
    order = ["error", "warn", "note", "chat"]
    severities = [order.index(one.severity) for one in all_of(found)]
    assert severities == sorted(severities)


def test_what_is_found_of_the_run_is_told_of_the_whole_run_alone(recorded: Inspection) -> None:
    streams = recorded.connections.streams
    assert recorded.findings
    told = {about for one in all_of(glance(recorded, streams, whole=True)) for about in one.run}
    assert told <= set(recorded.findings)
    assert {one.code for one in told} == {one.code for one in recorded.findings}
    assert not any(one.run for one in all_of(glance(recorded, streams, whole=False)))


def test_every_kind_has_a_colour() -> None:
    assert {*OPENING_ROLES, "partial", "not-captured"} == set(HANDSHAKE_KINDS)
    assert {*CLOSING_ROLES, "partial"} == set(TEARDOWN_KINDS)
    assert {*OPENING_ROLES.values(), *CLOSING_ROLES.values()} <= set(STATES)


def test_a_page_that_cannot_list_all_lists_the_worst(recorded: Inspection) -> None:
    streams = recorded.connections.streams
    listed = listed_streams(recorded.connections, streams, 20)
    assert len(listed) == 20
    assert (np.diff(listed) > 0).all()
    rank = {"error": 3, "warn": 2, "note": 1}
    worst = {
        one.stream: max((rank.get(finding.severity, 0) for finding in one.findings), default=0)
        for one in recorded.connections
    }
    left_out = set(streams.tolist()) - set(listed.tolist())
    assert min(worst[one] for one in listed.tolist()) >= max(worst[one] for one in left_out)
    page = page_of(recorded, limit=20)
    assert f"{len(streams) - 20:,} connections are counted above and not listed" in page


def test_only_our_own_style_and_scripts_are_admitted(recorded: Inspection) -> None:
    elements = Elements(page_of(recorded))
    (policy,) = (attributes["content"] for _, attributes in elements.found if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    scripts = [attributes for tag, attributes in elements.found if tag == "script"]
    runnable = [text for text, attributes in zip(elements.texts["script"], scripts, strict=True) if not attributes]
    assert len(runnable) == 2
    for text in [*runnable, *elements.texts["style"]]:
        assert source_hash(text) in policy
    for tag, attributes in elements.found:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "src" not in attributes, tag


def test_nothing_of_a_hostile_capture_is_markup(tmp_path: Path) -> None:
    capture = hostile_capture(tmp_path)
    damaged(capture)
    hostile = Elements(page_of(inspect(capture), said="<b class=injected>", command="x '<b class=injected>'"))
    ordinary = Elements(page_of(inspect(PCAPS / "four-way.pcap")))
    assert not [tag for tag, attributes in hostile.found if attributes.get("class") == "injected" or tag == "img"]
    assert {tag for tag, _ in hostile.found} - {tag for tag, _ in ordinary.found} <= {"ul", "li", "code"}
    page = page_of(inspect(capture))
    assert "\u202e" not in page
    assert "{{ 7 * 7 }}" in page
    assert json.loads(re.findall(r'id="table-data">(.*?)</script>', page)[0])["columns"]["stream"] == [0]


def test_a_run_without_connections_has_a_page(tmp_path: Path) -> None:
    from tests.capture.builders import pcap

    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    page = page_of(inspect(path))
    assert "no frames" in page
    assert "No TCP connection was captured" in page
