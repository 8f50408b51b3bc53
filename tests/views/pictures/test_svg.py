"""The ladder as SVG: well-formed, safe, complete; and what a browser makes of it and of the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from playwright.sync_api import sync_playwright
from rich.cells import cell_len

from handshake_inspect.inspector import inspect
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.pictures.html import page
from handshake_inspect.views.pictures.measured import flowed, wrapped
from handshake_inspect.views.pictures.svg import picture
from handshake_inspect.views.rungs import Rung, Spelling, Standing
from tests.views.pictures.hostile import TEXTS, WORST, hostile_ladder, ladders

PCAPS = Path(__file__).parents[3] / "pcaps"
SVG = "{http://www.w3.org/2000/svg}"
#: Elements of a picture, and their attributes.
ELEMENTS = {
    "svg": {"width", "height", "viewBox", "role", "aria-labelledby"},
    "title": {"id"}, "desc": {"id"}, "style": set(), "defs": set(), "g": {"class"},
    "pattern": {"id", "width", "height", "patternUnits"},
    "rect": {"x", "y", "width", "height", "rx", "class", "fill", "transform"},
    "path": {"d", "class", "stroke-dasharray"},
    "text": {"x", "y", "class"}, "tspan": {"class"},
}  # fmt: skip


def parsed(markup: str) -> ElementTree.Element:
    """Parse a picture; every element and attribute in it must be one that we write."""
    root = ElementTree.fromstring(markup)
    for element in root.iter():
        assert {*element.attrib} <= ELEMENTS[element.tag.removeprefix(SVG)], element
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def test_a_picture_is_well_formed_and_needs_nothing_else() -> None:
    for ladder in ladders():
        markup = picture(ladder, title="echo", facts=["11 segments"])
        root = parsed(markup)
        assert "http" not in markup.replace("http://www.w3.org/2000/svg", "") and "@import" not in markup
        patterns = {f"#{one.attrib['id']}" for one in root.iter(f"{SVG}pattern")}
        assert {*re.findall(r"url\(([^)]*)\)", markup)} <= patterns


@given(said=TEXTS)
def test_no_text_of_a_capture_becomes_markup(said: str) -> None:
    ladder, words = hostile_ladder(said)
    markup = picture(ladder, **words)  # type: ignore[arg-type]
    assert all(char.isprintable() for char in markup.replace("\n", ""))
    plain, ordinary = hostile_ladder("word")
    shapes = [[one for one in parsed(svg).iter() if one.tag in (f"{SVG}path", f"{SVG}rect", f"{SVG}style")]
              for svg in (markup, picture(plain, **ordinary))]  # type: ignore[arg-type]  # fmt: skip
    assert [one.tag for one in shapes[0]] == [one.tag for one in shapes[1]]


@pytest.mark.parametrize("said", WORST)
def test_what_a_capture_says_can_be_read(said: str) -> None:
    ladder, words = hostile_ladder(said)
    shown = "".join(texts(parsed(picture(ladder, **words))))  # type: ignore[arg-type]
    wanted = printable(said).replace(" ", "")
    assert shown.replace(" ", "").count(wanted) >= 4


@pytest.mark.parametrize("name", ["four-way", "simultaneous-close", "refused", "lost-third-ack", "half-close"])
def test_the_words_are_those_of_the_ladder(name: str) -> None:
    run = inspect(PCAPS / f"{name}.pcap")
    connection, steps = run.described(0)
    ladder = ladder_of(connection, steps)
    root = parsed(picture(ladder, title=name))
    said = texts(root)
    written = [at.state for row in ladder.rows if isinstance(row, Rung | Standing) for at in row.written if at]
    states = [one.text for one in root.iter(f"{SVG}text") if (one.get("class") or "").startswith("state")]
    assert states == [state for state in written if state] + ["CLOSED"] * len(ladder.deadlines)
    for step in steps:
        assert any(one.startswith(f"{step.flags} seq={step.symbolic_seq}") for one in said)
    for line in (line for step in steps for line in step.arithmetic):
        assert any(one.startswith(f"{line.name}={line.symbolic} ✓") for one in said)


def test_nothing_is_drawn_beyond_the_edges() -> None:
    for ladder in ladders():
        root = parsed(picture(ladder, title="echo " * 60, facts=["fact " * 40]))
        width, height = (float(root.attrib[name]) for name in ("width", "height"))
        for one in root.iter(f"{SVG}text"):
            assert 0 < float(one.attrib["x"]) < width and 0 < float(one.attrib["y"]) < height


def test_the_legend_shows_what_the_lanes_show() -> None:
    """Each sample is filled as a piece of a lane is, with its pattern from its own corner on."""
    root = parsed(picture(ladders()[0], title="echo"))
    pieces = [one for one in root.iter(f"{SVG}rect") if "line-only" not in one.attrib["class"]]
    samples = [one for one in pieces if "transform" in one.attrib]
    lanes = {(one.attrib["class"], one.get("fill")) for one in pieces if one not in samples}
    assert len(samples) == 3
    assert {(one.attrib["class"], one.get("fill")) for one in samples} <= lanes | {("patterned", "url(#assumed-open)")}
    assert not any("y" in one.attrib for one in samples)


@given(said=TEXTS)
def test_wrapped_text_has_room_and_loses_nothing(said: str) -> None:
    lines = wrapped(said, 160, 10)
    spaceless = "".join(printable(said).split())
    assert "".join("".join(lines).split()) == spaceless
    assert all(cell_len(line) <= 16 for line in lines)
    assert "".join("".join(flowed(["a", said], 10_000, 10)).split()) == (f"a·{spaceless}" if spaceless else "a")


#: Times that run into the word of a state beside them.
COVERED = """[...document.querySelectorAll("tbody tr")].filter(row => {
  const around = document.createRange();
  around.selectNodeContents(row.querySelector(".when"));
  const time = around.getBoundingClientRect();
  return [...row.querySelectorAll(".left b, .right b")].some(state => {
    around.selectNodeContents(state);
    const word = around.getBoundingClientRect();
    return word.left < time.right && time.left < word.right && word.top < time.bottom && time.top < word.bottom;
  });
}).map(row => row.innerText)"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no Chromium here")
    return found


def test_a_browser_draws_both_without_a_complaint(chromium: str, tmp_path: Path) -> None:
    ladder = ladders()[0]
    drawn = picture(ladder, title="a" * 200, facts=[f"{'a' * 300}:80", "11 segments"])
    (tmp_path / "ladder.svg").write_text(drawn, encoding="utf-8")
    (tmp_path / "ladder.html").write_text(page(ladder, title="echo"), encoding="utf-8")
    by_the_clock = ladder_of(ladder.connection, ladder.steps, spelling=Spelling(clock="utc"))
    (tmp_path / "clock.html").write_text(page(by_the_clock, title="echo"), encoding="utf-8")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        tab.on("console", lambda said: complaints.append(said.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto((tmp_path / "ladder.svg").as_uri())
        ground = tab.evaluate("getComputedStyle(document.querySelector('.ground')).fill")
        ends = "[...document.querySelectorAll('text')].map(one => one.getBBox().x + one.getBBox().width)"
        right = tab.evaluate(f"Math.max(...{ends})")
        room = tab.evaluate("document.documentElement.viewBox.baseVal.width")
        tab.goto((tmp_path / "ladder.html").as_uri())
        assert tab.locator(".more:visible").count() == 0
        tab.locator(".what").nth(2).focus()
        more = tab.locator(".more:visible").inner_text()
        for width in (1280, 420):
            tab.set_viewport_size({"width": width, "height": 900})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.set_viewport_size({"width": 390, "height": 900})
        tab.goto((tmp_path / "clock.html").as_uri())
        covered = tab.evaluate(COVERED)
        browser.close()
    assert complaints == []
    assert ground == "rgb(24, 31, 40)"  # of a dark page
    assert right < room
    assert covered == []
    assert str(ladder.steps[2].seq) in more
