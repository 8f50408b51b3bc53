"""The timeline in a real Chromium: what it shows, what it tells the page, and that no text becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect import inspect
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import DAY_NS, HOUR_NS, YEAR_NS
from handshake_inspect.tcp.time_wait import SECOND_NS
from handshake_inspect.views import palette
from handshake_inspect.views.page.charts.scales import time_ticks
from handshake_inspect.views.page.charts.sections import SCRIPTS, STYLES, sections
from tests.connections.test_ledger import connection
from tests.engine.scenario import inspect_many

PCAPS = Path(__file__).parents[3] / "pcaps"
CHARTS = Path(__file__).parents[3] / "handshake_inspect" / "views" / "page" / "charts"
HOSTILE = "<img src=x onerror='document.title=1'>"
#: What the rest of the page would do: knows names, and hears what it is told.
HEARS = f"""
window.report = {{ nameOf: (stream) => {json.dumps(HOSTILE)} + stream }};
window.heard = [];
for (const name of ["choose", "narrow"]) document.addEventListener(name, (event) => heard.push([name, event.detail]));
"""


#: The colour of the timeline at a share of its width, and at so many px.
PIXEL = """([share, y]) => {
  const canvas = document.querySelector('#timeline-explorer canvas');
  const pen = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  return [...pen.getImageData(Math.round(canvas.width * share), y, 1, 1).data];
}"""


#: The colour that an element draws with.
COLOUR = """(selector) => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  pen.fillStyle = getComputedStyle(document.querySelector(selector)).color;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
}"""


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def text_of(names: tuple[str, ...]) -> str:
    return "\n".join((CHARTS / name).read_text() for name in names)


def page_of(found: Inspection) -> str:
    """Return the charts as a page with the policy of the report."""
    style = palette.css() + text_of(STYLES)
    script = f'(() => {{"use strict";{HEARS}{text_of(SCRIPTS)}}})();'
    policy = f"default-src 'none'; style-src {hashed(style)}; script-src {hashed(script)}"
    body = "".join(
        f"<section id={one.id}>{one.figure}</section>"
        + (f'<script type="application/json" id="{one.id}-data">{json.dumps(one.data)}</script>' if one.data else "")
        for one in sections(found, found.connections.streams, backlog=8)
    )
    return (
        f'<!doctype html><html lang="en" class="live"><meta charset="utf-8"><title>0</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<style>{style}</style>{body}<script>{script}</script></html>"
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A flood of SYNs, 25 connections, in a window of ordinary size."""
    file = tmp_path_factory.mktemp("page") / "flood.html"
    file.write_text(page_of(inspect(PCAPS / "syn-flood.pcap")))
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.locator(".timeline-said:not(:empty)").wait_for()  # the policy lets no function be waited for
    yield page
    assert complaints == []


@pytest.fixture
def page(opened: Any) -> Any:
    """The same page for all, as it is when it is opened."""
    opened.set_viewport_size({"width": 1100, "height": 900})
    opened.click("[data-do='all']")
    opened.evaluate("document.dispatchEvent(new CustomEvent('filter', { detail: { streams: null } }))")
    said(opened)
    heard(opened)
    return opened


def said(page: Any) -> str:
    """Return what the timeline says of its window, after the next frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    words: str = page.inner_text(".timeline-said")
    return words


def heard(page: Any) -> list[Any]:
    """Return what the page was told since it was asked last."""
    events: list[Any] = page.evaluate("heard.splice(0)")
    return events


def box_of(page: Any) -> dict[str, float]:
    box: dict[str, float] = page.locator("#timeline-explorer canvas").bounding_box()
    return box


def test_keys_zoom_pan_and_show_all_again(page: Any) -> None:
    page.focus("#timeline-explorer canvas")
    assert said(page) == "25 connections"
    for _ in range(4):
        page.keyboard.press("+")
    page.keyboard.press("Home")
    assert said(page) == "24 of 25 connections between 0 and 4.708 ms"
    page.keyboard.press("End")
    assert said(page) == "25 connections between 70.617 ms and 75.325 ms"
    page.keyboard.press("0")
    assert said(page) == "25 connections"


def test_a_wheel_zooms_where_the_pointer_is_if_the_timeline_has_the_focus(page: Any) -> None:
    page.evaluate("document.activeElement.blur()")
    box = box_of(page)
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 100)
    page.mouse.wheel(0, -640)
    assert said(page) == "25 connections"
    page.focus("#timeline-explorer canvas")
    page.mouse.wheel(0, -640)
    assert said(page).startswith("25 connections between 64.")


#: What an axis of time says: from, to, and how many ticks at the most.
AXIS = f"""([from, to, most]) => {{
  {(CHARTS / "timeline-words.js").read_text()}
  const {{ base, ticks, words }} = timelineWords.axisOf(from, to, most);
  return [base, ticks.map((one) => one.words), words(from), words(to)];
}}"""


def test_both_axes_have_the_same_ticks_from_nanoseconds_to_decades(page: Any) -> None:
    ends = [factor * 10**power for power in range(19) for factor in (1, 3, 7)]
    drawn = page.evaluate(f"ends => {{ const one = {AXIS}; return ends.map((end) => one([0, end, 9])[1]); }}", ends)
    assert drawn == [[tick.words for tick in time_ticks(end)] for end in ends]


@pytest.mark.parametrize(
    ("begin", "end", "base", "ticks", "window"),
    [
        (70_617_000, 75_325_000, "", "72 ms,74 ms", "70.617 ms,75.325 ms"),
        (
            5 * DAY_NS + 17_520 * SECOND_NS,
            5 * DAY_NS + 17_700 * SECOND_NS,
            "5 d 4 h 52 min",
            "+0,+1 min,+2 min,+3 min",
            "+0,+3 min",
        ),
        (3 * DAY_NS, 3 * DAY_NS + 20 * HOUR_NS, "3 d", "+0,+6 h,+12 h,+18 h", "+0,+20 h"),
        (
            945_005_918_337_007_400,
            945_005_918_337_009_000,
            "29 y 345 d 12 h 51 min 50.337007 s",
            "+0.5 µs,+1 µs,+1.5 µs,+2 µs",
            "+0.384 µs,+2.048 µs",  # numbers of a script have no room for single ns so far away
        ),
        (30 * YEAR_NS, 31 * YEAR_NS, "30 y", "+0,+100 days,+200 days,+300 days", "+0,+365.243 days"),
    ],
)
def test_far_from_the_beginning_ticks_count_from_a_round_moment(
    page: Any, begin: int, end: int, base: str, ticks: str, window: str
) -> None:
    said_base, said_ticks, *said_window = page.evaluate(AXIS, [begin, end, 4])
    assert (said_base, ",".join(said_ticks), ",".join(said_window)) == (base, ticks, window)


def test_a_zoom_keeps_in_sight_what_there_is(chromium: Any, tmp_path: Path) -> None:
    """Two connections, a week apart: between them is nothing to look at."""
    many = [connection("A > S x\n B > RA 0 ack x+1", at_s, 1024 + at_s % 7) for at_s in (0, 1, 7 * 86_400)]
    (tmp_path / "week.html").write_text(page_of(inspect_many(many)))
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    page.goto((tmp_path / "week.html").as_uri())
    page.locator(".timeline-said:not(:empty)").wait_for()
    assert "1 day 2 days 3 days 4 days" in " ".join(page.locator(".phase-axis text").all_text_contents())
    for _ in range(20):
        page.click("[data-do='in']")
    assert said(page).startswith("1 of 3 connections between ")
    page.evaluate("document.dispatchEvent(new CustomEvent('choose', { detail: { stream: 2 } }))")
    assert said(page).startswith("1 of 3 connections between 6 d 23 h 59 min 59 s +")
    page.click("[data-do='in']")
    assert said(page).startswith("1 of 3 connections between ")
    page.close()


def test_a_click_chooses_the_connection_under_the_pointer(page: Any) -> None:
    box = box_of(page)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 24 + 8)
    assert heard(page) == [["choose", {"stream": 0, "from": "timeline"}]]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert [detail["stream"] for _, detail in heard(page)] == [1, 2, 1]


def test_a_drag_moves_the_window_and_chooses_nothing(page: Any) -> None:
    page.focus("#timeline-explorer canvas")
    for key in ("+", "+", "Home"):
        page.keyboard.press(key)
    assert said(page).endswith("between 0 and 18.831 ms")
    box = box_of(page)
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100, steps=4)
    page.mouse.up()
    left, right = re.findall(r"[\d.]+ ms", said(page))
    assert float(left[:-3]) > 5
    assert float(right[:-3]) - float(left[:-3]) == pytest.approx(18.831, abs=0.01)
    assert heard(page) == []


def test_two_fingers_pinch(page: Any) -> None:
    box = box_of(page)
    middle, y = box["x"] + box["width"] * 0.7, box["y"] + 60
    fingers = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 40), ("touchMove", 80), ("touchMove", 160), ("touchEnd", 0)):
        points = [{"x": middle - apart, "y": y, "id": 0}, {"x": middle + apart, "y": y, "id": 1}] if apart else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    fingers.detach()
    left, right = re.findall(r"[\d.]+ ms", said(page))
    assert float(right[:-3]) - float(left[:-3]) == pytest.approx(75.325 / 4, rel=0.1)
    assert heard(page) == []


def test_the_tip_says_which_it_is_and_how_long_each_phase_lasted(page: Any) -> None:
    box = box_of(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 24 + 8)
    said(page)
    tip = page.locator(".timeline-tip")
    assert tip.locator("b").inner_text() == f"#0 {HOSTILE}0"
    assert [one.split("\n") for one in tip.locator("> span").all_inner_texts()] == [
        ["opening", "148.061 µs"],
        ["half-open", "70.913 ms, until the capture ends"],
    ]
    assert page.title() == "0"
    page.mouse.move(5, 5)
    assert not tip.is_visible()


def test_it_follows_the_filter_of_the_table(page: Any) -> None:
    tell = "streams => document.dispatchEvent(new CustomEvent('filter', { detail: { streams } }))"
    page.evaluate(tell, [3, 4])
    assert said(page) == "2 connections"
    page.evaluate(tell, None)
    assert said(page) == "25 connections"


def test_a_phase_that_is_switched_off_holds_no_lane(page: Any) -> None:
    page.click("[data-phase='1']")
    page.focus("#timeline-explorer canvas")
    page.keyboard.press("+")
    page.keyboard.press("End")
    assert said(page).startswith("16 of 25 connections")
    page.click("[data-phase='1']")
    assert said(page).startswith("25 connections")


def test_a_window_is_drawn_over_the_phases_and_filters_the_table(page: Any) -> None:
    assert page.is_disabled("[data-do='narrow']")
    box = page.locator(".timeline-brush").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, y)
    page.mouse.up()
    assert said(page).startswith("24 of 25 connections between 37.")
    page.click("[data-do='narrow']")
    ((name, detail),) = heard(page)
    assert name == "narrow"
    seconds = [float(word.partition(":")[2].rstrip("s")) for word in detail["query"].split(" ")]
    assert seconds == pytest.approx([0.03766, 0.05649], rel=0.02)


def test_the_name_of_a_listener_filters_the_table(page: Any) -> None:
    page.click("#half-open .narrowing")
    assert heard(page) == [["narrow", {"query": "host:198.18.0.2 port:43231"}]]


def test_paper_shows_the_phases_alone(page: Any) -> None:
    page.emulate_media(media="print")
    page.evaluate("document.dispatchEvent(new CustomEvent('filter', { detail: { streams: null } }))")
    said(page)
    assert page.is_visible(".phase-row") and not page.is_visible("#timeline-explorer")
    page.emulate_media(media="screen")
    page.focus("#timeline-explorer canvas")
    page.keyboard.press("+")
    assert "between" in said(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_have_the_colours_of_the_palette(page: Any, theme: str) -> None:
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    said(page)
    colour = (palette.LIGHT if theme == "light" else palette.DARK)["opening"].lstrip("#")
    drawn = [int(colour[i : i + 2], 16) for i in (0, 2, 4)]
    assert page.evaluate(PIXEL, [0.5, 24 + 8]) == pytest.approx([*drawn, 255], abs=3)


def test_where_many_share_a_line_it_has_the_mixture_of_their_colours(chromium: Any, tmp_path: Path) -> None:
    """Half of 900 connections are half-open, the others are open: so is the colour, halfway between the two."""
    kinds = ("A > S x\n B > SA y ack x+1", "open")
    many = [connection(kinds[i % 2], i / 1000, 1024 + i) for i in range(900)]
    (tmp_path / "many.html").write_text(page_of(inspect_many(many)))
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    page.goto((tmp_path / "many.html").as_uri())
    page.locator(".timeline-said:not(:empty)").wait_for()
    assert said(page) == "900 connections"
    colours = [page.evaluate(COLOUR, f".draw-{phase}") for phase in ("half-open", "open")]
    halfway = [(one + other) / 2 for one, other in zip(*colours, strict=True)]
    assert page.evaluate(PIXEL, [0.95, 24 + 40]) == pytest.approx(halfway, abs=4)
    page.close()


@pytest.mark.parametrize("width", [390, 900, 1600])
def test_nothing_is_wider_than_the_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    said(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('#timeline-explorer canvas').width") <= width
