"""What the charts of recorded captures show."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from handshake_inspect import PortRange, inspect
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.page.charts.over_time import PARTS, Limit, Panel, panel
from handshake_inspect.views.page.charts.sections import ChartSection, sections
from tests.connections.test_ledger import CLOSED_BY_A, SERVER, connection
from tests.engine.scenario import inspect_many, inspect_segments

PCAPS = Path(__file__).parents[3] / "pcaps"
CHARTS = Path(__file__).parents[3] / "handshake_inspect" / "views" / "page" / "charts"


def drawn(found: Inspection, **known: object) -> dict[str, ChartSection]:
    return {one.id: one for one in sections(found, found.connections.streams, **known)}  # type: ignore[arg-type]


def words(markup: str) -> str:
    """Return what an element says, in one line; it must be well-formed."""
    return " ".join(" ".join(ElementTree.fromstring(f"<div>{markup}</div>").itertext()).split())


@pytest.mark.parametrize("name", ["four-way", "syn-flood", "refused", "reset-alone", "time-wait-reused", "ipv6", "nat"])
def test_figures_are_well_formed_and_obey_the_pages_policy(name: str) -> None:
    for one in drawn(inspect(PCAPS / f"{name}.pcap"), backlog=8).values():
        for markup in (one.figure, one.alternative):
            for element in ElementTree.fromstring(f"<div>{markup}</div>").iter():
                assert element.tag not in ("style", "script")
                assert not [name for name in element.attrib if name == "style" or name.startswith("on")]


def test_every_class_of_colour_is_in_the_style_sheet() -> None:
    css = (CHARTS / "charts.css").read_text()
    figures = "".join(one.figure for one in drawn(inspect(PCAPS / "four-way.pcap")).values())
    used = set(re.findall(r"\b(?:draw|bar)-[a-z-]+", figures))
    assert {"draw-open", "draw-time-wait", "bar-open"} <= used
    assert all(f".{one} " in css for one in used)


def test_an_ordinary_connection_waits_a_minute_after_the_capture() -> None:
    found = drawn(inspect(PCAPS / "four-way.pcap"))
    assert list(found) == ["timeline", "time-wait", "openings"]
    assert "opening 1 1 0.000 ms" in words(found["timeline"].alternative)
    assert "127.0.0.1 1 356.604 ms 1 1 0" in words(found["time-wait"].alternative)
    assert "28,232 ephemeral ports for each remote socket ↑" in words(found["time-wait"].figure)
    assert "capture ends" in words(found["time-wait"].figure)
    assert "60 s" in words(found["time-wait"].figure)
    assert "SYN to SYN-ACK 1 0 66.9 µs" in words(found["openings"].alternative)


def test_a_flood_reaches_its_backlog() -> None:
    found = inspect(PCAPS / "syn-flood.pcap")
    assert "198.18.0.2:43231 at most 9 at once, at 2.335 ms; 9 of 9 got no further, 16 more unanswered" in words(
        drawn(found)["half-open"].figure
    )
    assert "limit" not in drawn(found)["half-open"].figure
    assert 'class="limit"' in drawn(found, backlog=10)["half-open"].figure
    assert 'class="limit reached"' in drawn(found, backlog=9)["half-open"].figure
    assert "backlog 1,000 ↑" in words(drawn(found, backlog=1000)["half-open"].figure)


def test_servers_beyond_those_that_are_listed_are_counted() -> None:
    many = [connection("open", i, 40000 + i, server=(SERVER, 1000 + i % 100)) for i in range(130)]
    section = drawn(inspect_many(many))["openings"]
    assert "92 more servers were measured less often" in words(section.figure)
    assert "Handshakes by server: 100 servers, the first 30" in words(section.alternative)
    assert words(section.alternative).count("10.0.0.99:") == 2 * 30


def test_whoever_ends_a_half_open_connection_by_an_rst_is_told_apart() -> None:
    kinds = ("A > R x+1", "B > R y+1", "B > SA y ack x+1")
    many = [connection(f"A > S x\n B > SA y ack x+1\n 9 {kinds[i]}", i, 40000 + i) for i in range(3)]
    section = drawn(inspect_many(many))["half-open"]
    assert "at most 3 at once, at 2.001 s; 1 of 3 got no further, 2 ended with an RST" in words(section.figure)
    assert "10.0.0.99:80 3 2.001 s 3 1 2 0" in words(section.alternative)


def test_few_connections_have_a_lane_each_for_paper() -> None:
    figure = drawn(inspect(PCAPS / "syn-flood.pcap"))["timeline"].figure
    assert "198.18.0.1:33971 → :43231" in words(figure)
    assert "opening for 0.148 ms, half-open for 70.913 ms" in words(figure)
    assert figure.count("lane-bar") == 34
    assert "lane-bar" not in drawn(inspect(PCAPS / "four-way.pcap"))["timeline"].figure, "the rows of phases show it"


def test_what_goes_on_is_drawn_to_the_end_of_the_axis_if_no_other_capture_follows() -> None:
    both = inspect([PCAPS / "syn-flood.pcap", PCAPS / "cut-in-mid-session.pcap"])
    earlier_ns = min(one.last_ns or 0 for one in both.captures)
    end = both.captured_ns[1] + 1000
    until = both.phases.until_ns(np.arange(len(both.phases.table)), end)
    assert {int(one) for one in until[both.phases.table["goes_on"] == 1]} == {earlier_ns, end}


def test_each_panel_has_the_curve_of_its_own_listener() -> None:
    """One that finished both its handshakes is not drawn, though it comes before the one that did not."""
    finished = [connection("open", at_s, 40000 + at_s, server=(SERVER, 80)) for at_s in (0, 8)]
    left = connection("A > S x\n B > SA y ack x+1", 4, 40001, server=(SERVER, 443))
    figure = drawn(inspect_many([*finished, left]))["half-open"].figure
    assert re.findall(r'data-narrow="(.*?)"', figure) == ["host:10.0.0.99 port:443"]
    assert f"M0 104V104H{PARTS // 2}V0H{PARTS}" in figure


def test_the_range_of_ports_is_the_one_that_is_asked_for() -> None:
    figure = drawn(inspect(PCAPS / "four-way.pcap"), ports=PortRange(40000, 40003))["time-wait"].figure
    assert "4 ephemeral ports for each remote socket" in words(figure)
    assert 'class="limit"' in figure


def test_ports_run_out_for_one_remote_socket_at_a_time() -> None:
    """Two TIME-WAITs with two ports: for one server that is all, for two it is not."""
    for servers, is_reached in ((80, 443), False), ((80, 80), True):
        two = [connection(CLOSED_BY_A, 0.1 * i, 40000 + i, server=(SERVER, servers[i])) for i in range(2)]
        figure = drawn(inspect_many(two), ports=PortRange(40000, 40001))["time-wait"].figure
        assert ('class="limit reached"' in figure) == is_reached


def test_only_the_streams_of_the_page_are_drawn() -> None:
    found = inspect(PCAPS / "syn-flood.pcap")
    (timeline, *_) = sections(found, np.array([3], np.int64))
    assert "1 connection by phase" in words(timeline.alternative)
    few = sections(found, found.connections.streams, listed=np.array([3], np.int64))
    assert "25 connections by phase" in words(few[0].alternative)
    assert timeline.data and few[0].data and few[0].data["packed"] == timeline.data["packed"]
    assert sections(found, np.zeros(0, np.int64)) == []


def test_nothing_captured_draws_nothing() -> None:
    found = inspect_segments([])
    assert sections(found, found.connections.streams) == []


def test_an_rst_alone_has_a_timeline_without_phases() -> None:
    found = drawn(inspect(PCAPS / "reset-alone.pcap"))
    assert list(found) == ["timeline"]


def test_the_highest_count_is_drawn_to_the_top() -> None:
    counts = [0] * PARTS
    counts[7] = 1_000_000
    one = Panel("a", "q", "b", "c", "open", counts, 10, 10, 1_000_000, 3, Limit(10, "ten"))
    assert 'd="M0 104V104H7V0H8V104H300"' in panel(one)
