"""The page in a real Chromium: it shows what the inspection says, obeys mouse, keys and addresses, and runs nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspection import Inspection
from tests.views.page.making import HOSTILE, PCAPS, hostile_capture, page_of

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium in PATH")

SIZES = {"phone": (390, 844), "laptop": (1280, 800), "wide": (1920, 1080)}
#: A run with every kind of opening and closing that is recorded, and more rows than fit on a screen.
PATTERNS = (
    "a*.pcap",
    "f*.pcap",
    "half*.pcap",
    "refused*.pcap",
    "self*.pcap",
    "simul*.pcap",
    "three*.pcap",
    "syn*.pcap",
)


class Visitor:
    """Opens pages, and notes what goes wrong on them."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.wrong: list[str] = []

    def open(
        self,
        path: Path,
        address: str = "",
        *,
        size: str = "laptop",
        colours: str = "light",
        script: bool = True,
        before: str = "",
    ) -> Any:
        """Open a page, and return it. `before`: a script that runs before its own."""
        width, height = SIZES[size]
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=colours, java_script_enabled=script
        )
        self._contexts.append(context)
        page = context.new_page()
        if before:
            page.add_init_script(before)
        page.on("console", lambda one: self.wrong.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", self._note_dialog)
        page.on("request", lambda request: self._note_request(request.url))
        page.goto(f"file://{path}{address}")
        if script:
            page.wait_for_selector("#ladder > *, .explorer[hidden]", state="attached")
        return page

    def _note_dialog(self, dialog: Any) -> None:
        self.wrong.append(dialog.message)
        dialog.dismiss()

    def _note_request(self, url: str) -> None:
        if not url.startswith(("file:", "blob:")) or url.count("file:") > 1:
            self.wrong.append(url)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visitor(browser: Any) -> Iterator[Visitor]:
    visiting = Visitor(browser)
    yield visiting
    visiting.close()
    assert visiting.wrong == []


@pytest.fixture(scope="module")
def run() -> Inspection:
    return inspect(sorted({path for pattern in PATTERNS for path in PCAPS.glob(pattern)}))


@pytest.fixture(scope="module")
def report(run: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page_of(run, command="handshake-inspect show a.pcap"), encoding="utf-8")
    return path


def rows(page: Any) -> list[list[str]]:
    """Return the cells of the rows that are elements."""
    found: list[list[str]] = page.eval_on_selector_all(
        "#rows tr:not(.spacer)",
        "lines => lines.map(line => [...line.cells].map(cell => cell.textContent.trim().replace(/\\s+/g, ' ')))",
    )
    return found


def drawn(page: Any) -> None:
    """Wait until what was asked for is on the screen, and the table has come to rest."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function(
        "() => { const now = document.getElementById('scroll').scrollTop + document.getElementById('rows').innerText;"
        " const rests = window.lastSeen === now; window.lastSeen = now; return rests }",
        polling=100,
    )


def scrolled_rows(page: Any) -> list[list[str]]:
    """Scroll through the table, and return the cells of every row that was seen."""
    found: dict[str, list[str]] = {}
    at_end = False
    while not at_end:
        found |= {row[0]: row for row in rows(page)}
        at_end = page.evaluate(
            "(() => { const s = document.getElementById('scroll'); s.scrollTop += s.clientHeight;"
            " return s.scrollTop + s.clientHeight >= s.scrollHeight - 1 })()"
        )
        drawn(page)
    return list((found | {row[0]: row for row in rows(page)}).values())


def all_rows(page: Any) -> list[list[str]]:
    """Make room for all rows, and return their cells."""
    page.evaluate("Object.assign(document.getElementById('scroll').style, {maxHeight: 'none', height: '9000px'})")
    drawn(page)
    return rows(page)


def said(page: Any) -> str:
    text: str = page.text_content("#shown")
    return text


def chosen_is(page: Any, stream: int) -> None:
    """Wait until the ladder of a connection is shown."""
    sync_api.expect(page.locator("#chosen-heading")).to_have_text(f"Connection {stream:,}")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_opens_without_an_error_at_every_size(
    visitor: Visitor, report: Path, run: Inspection, size: str, colours: str
) -> None:
    page = visitor.open(report, "#s=3", size=size, colours=colours)
    chosen_is(page, 3)
    assert said(page) == f"{len(run.connections):,} connections"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    ground = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert (max(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) < 60) == (colours == "dark")


def lane(page: Any, side: str) -> list[str]:
    """Return the states that stand at one lane of the ladder, without repeats and without what a timer will do."""
    words: list[str] = page.eval_on_selector_all(
        f"#ladder tr:not(.deadline) td.{side} b[class^=state-]", "found => found.map(one => one.textContent)"
    )
    return [word for at, word in enumerate(words) if at == 0 or words[at - 1] != word]


def last_states(connection: Connection) -> list[str]:
    return [states[-1] for states in (connection.states.originator, connection.states.responder) if states]


def test_ladders_have_the_states_of_the_json(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    kinds: dict[tuple[str, str], Connection] = {}
    for one in run.connections:
        disproved = any(
            at.disproved for step in run.steps(one.stream) for at in (step.states.originator, step.states.responder)
        )
        if one.states.originator and one.states.responder and not disproved:
            kinds.setdefault((one.handshake.kind, one.teardown.kind), one)
    assert len(kinds) >= 10
    for one in kinds.values():
        page.evaluate(f"location.hash = 's={one.stream}'")
        sync_api.expect(page.locator("#chosen-heading")).to_have_text(f"Connection {one.stream}")
        sync_api.expect(page.locator("#ladder .facts")).to_contain_text(str(one.originator))
        assert lane(page, "left") == list(one.states.originator or ()), one
        assert lane(page, "right") == list(one.states.responder or ()), one


def test_rows_say_the_same_with_and_without_scripts(visitor: Visitor, report: Path) -> None:
    with_scripts = scrolled_rows(visitor.open(report))
    without = rows(visitor.open(report, script=False))
    assert len(with_scripts) > 30
    assert with_scripts[: len(without)] == without


SORTED: list[tuple[str, Callable[[Connection], Any], bool]] = [
    ("Opening", lambda one: one.handshake.kind, False),
    ("RTT", lambda one: one.handshake.initial_rtt_ns, True),
    ("Segments", lambda one: one.segments.originator + one.segments.responder, True),
]


CUT = """cells => cells.filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth)
    .map(one => one.textContent)"""


@pytest.mark.parametrize("width", [390, 1280, 1500, 1920])
def test_columns_fit_and_no_unit_is_cut(visitor: Visitor, report: Path, width: int) -> None:
    page = visitor.open(report)
    page.set_viewport_size({"width": width, "height": 900})
    drawn(page)
    measures = ", ".join(f"#rows .col-{key}" for key in ("rtt", "lasted", "segments", "octets", "start"))
    assert page.eval_on_selector_all(f"{measures}, .connections th button", CUT) == []
    if width > 700:
        assert page.evaluate("(one => one.scrollWidth <= one.clientWidth)(document.getElementById('scroll'))")
        assert page.locator("#rows .col-found").first.is_visible()


def test_a_verdict_has_one_colour(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report, size="wide")
    colour = "one => getComputedStyle(one).color"
    for query in ("closing:four-way", "closing:aborted", "opening:half-open"):
        key, _, word = query.partition(":")
        page.fill("#query", query)
        page.press("#query", "Enter")
        sync_api.expect(page.locator("#ladder h4")).to_contain_text(f"{key}: {word}")
        counted = page.locator(f"[data-query='{query}'] .word").evaluate(colour)
        assert page.locator(f"#rows .col-{key} span").first.evaluate(colour) == counted
        assert page.locator(f"#ladder .account span:text-is('{word}')").evaluate(colour) == counted, query


def test_headings_sort(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    page.set_viewport_size({"width": 1590, "height": 900})  # all of these columns have room
    for title, key, largest_first in SORTED:
        keys = {one.stream: key(one) for one in run.connections}
        known = [one for one in keys.values() if one is not None]
        for reverse in (largest_first, not largest_first):
            page.click(f"th button:text-is('{title}')")
            heading = page.locator(f"th:has(button:text-is('{title}'))")
            assert heading.get_attribute("aria-sort") == ("descending" if reverse else "ascending")
            shown = [int(row[0]) for row in all_rows(page)]
            assert sorted(shown) == list(keys)
            ordered = sorted(known, reverse=reverse) + [None] * (len(keys) - len(known))  # unknown ones stand last
            assert [keys[stream] for stream in shown] == ordered


def test_what_is_counted_filters_the_table(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    refused = [str(one.stream) for one in run.connections if one.handshake.kind == "refused"]
    button = page.locator("[data-query='opening:refused']")
    button.click()
    assert page.input_value("#query") == "opening:refused"
    assert button.get_attribute("aria-pressed") == "true"
    assert [row[0] for row in all_rows(page)] == refused
    assert said(page) == f"{len(refused)} of {len(run.connections)} connections"
    button.click()
    assert page.input_value("#query") == ""
    assert said(page) == f"{len(run.connections)} connections"


def test_words_filter_the_table(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    connections = list(run.connections)
    port = connections[5].originator.port
    socket = str(connections[2].originator)
    expected: dict[str, Callable[[Connection], bool]] = {
        f"port:{port}": lambda one: port in (one.originator.port, one.responder.port),
        "closing:four-way -finding:half-open": lambda one: one.teardown.kind == "four-way",
        "state:time-wait": lambda one: "TIME-WAIT" in last_states(one),
        "rtt:>10ms": lambda one: (one.handshake.initial_rtt_ns or 0) > 10_000_000,
        "s:3-7 segments:>2": lambda one: 3 <= one.stream <= 7 and one.segments.originator + one.segments.responder > 2,
        socket: lambda one: socket in f"{one.originator} {one.responder}",
        "#12": lambda one: one.stream == 12,
        "stream:>=9 -s:20-": lambda one: 9 <= one.stream < 20,
        "closed:four-way -opened:half-open": lambda one: one.teardown.kind == "four-way",
        "port:>50000": lambda one: max(one.originator.port, one.responder.port) > 50_000,
        "rtt:1ms-60ms": lambda one: 1_000_000 <= (one.handshake.initial_rtt_ns or 0) <= 60_000_000,
        "127.0.0.0/8": lambda one: one.originator.ip.startswith("127.") or one.responder.ip.startswith("127."),
        "host:198.18.0.0/31": lambda one: {one.originator.ip, one.responder.ip} & {"198.18.0.0", "198.18.0.1"} != set(),
        "-::/0": lambda one: ":" not in one.originator.ip,
    }  # fmt: skip
    for query, holds in expected.items():
        page.fill("#query", query)
        assert [row[0] for row in all_rows(page)] == [str(one.stream) for one in connections if holds(one)], query
    for query in ("rtt:>soon", "foo:bar", "host:10.0.0.0/40", "port:", "rtt:1parsec-2s"):
        page.fill("#query", query)
        assert f"not understood: {query}" in said(page)


def test_an_address_opens_what_it_says_and_the_back_button_goes_back(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report, "#s=2&q=opening%3Athree-way&sort=-rtt")
    assert page.text_content("#chosen-heading") == "Connection 2"
    assert page.input_value("#query") == "opening:three-way"
    assert page.locator("th[aria-sort=descending]").text_content() == "RTT"
    drawn(page)  # it has scrolled there
    other = int(page.locator("#rows tr[data-row]").nth(1).locator("td").first.text_content())
    page.click(f"#row-{other}")  # it may have to be scrolled to, after which another row is the second one
    assert other != 2
    chosen_is(page, other)
    assert f"s={other}&" in page.evaluate("location.hash")
    page.go_back()
    chosen_is(page, 2)
    assert page.input_value("#query") == "opening:three-way"
    page.go_forward()
    chosen_is(page, other)


#: What draws the table again with other rows, while the fifth stays where it is.
REDRAWS = {
    "scrolled": "document.getElementById('scroll').scrollTop = 4",
    "made higher": "document.getElementById('scroll').style.height = '360px'",
    "filtered": "document.dispatchEvent(new CustomEvent('narrow', {detail: {query: 's:0-9'}}))",
}


@pytest.mark.parametrize("redraw", REDRAWS.values(), ids=REDRAWS)
def test_a_row_that_is_pressed_while_the_table_is_drawn_is_clicked(visitor: Visitor, report: Path, redraw: str) -> None:
    page = visitor.open(report)
    page.evaluate("document.getElementById('scroll').style.height = '300px'")
    drawn(page)
    before = rows(page)
    page.hover("#row-4 a")
    page.mouse.down()
    page.evaluate(redraw)
    drawn(page)
    assert rows(page) != before
    assert page.evaluate("document.activeElement.closest('tr')?.id") == "row-4", "its link has lost the focus"
    page.mouse.up()
    chosen_is(page, 4)


def test_rows_that_stay_are_marked_anew(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    page.evaluate("[...document.getElementById('rows').children].forEach(line => line.wasThere = true)")
    acts: list[tuple[Callable[[], Any], list[int]]] = [
        (lambda: page.fill("#query", "s:3-9"), list(range(3, 10))),
        (lambda: page.fill("#query", "-s:4"), [one.stream for one in run.connections if one.stream != 4]),
        (lambda: page.click("#row-6"), [one.stream for one in run.connections if one.stream != 4]),
        (lambda: page.fill("#query", "s:2-8"), list(range(2, 9))),
        (lambda: page.click("th button:text-is('#')"), list(range(8, 1, -1))),
    ]
    for act, shown in acts:
        act()
        drawn(page)
        lines = page.eval_on_selector_all(
            "#rows tr:not(.spacer)",
            "lines => lines.map(one => [one.id, Number(one.ariaRowIndex), one.classList.contains('odd')])",
        )
        expected = [[f"row-{stream}", place + 2, place % 2 == 1] for place, stream in enumerate(shown)]
        assert lines == expected[: len(lines)]
        assert page.get_attribute("#rows tr >> nth=0", "class") == "spacer"
        assert page.get_attribute("#rows tr >> nth=-1", "class") == "spacer"
        height = page.evaluate("document.getElementById('rows').offsetHeight")
        assert height == pytest.approx(30 * len(shown), abs=1)
    assert page.eval_on_selector_all("#rows [aria-selected=true]", "lines => lines.map(one => one.id)") == ["row-6"]
    assert page.get_attribute("#table", "aria-activedescendant") == "row-6"
    assert page.evaluate("[2, 3, 5, 6, 7, 8].every(stream => document.getElementById(`row-${stream}`).wasThere)")


def test_the_back_button_undoes_each_act_from_the_first_one_on(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report)
    narrowing = "document.dispatchEvent(new CustomEvent('narrow', {detail: {query: 'until:2s'}}))"
    acts: list[tuple[Callable[[], Any], str, str]] = [
        (lambda: page.click("[data-query='opening:refused']"), "opening:refused", "a verdict"),
        (lambda: page.click("#clear"), "", "clear"),
        (lambda: page.click("#next"), "", "the next one"),
        (lambda: [page.focus("#table"), *(page.keyboard.press("ArrowDown") for _ in range(3))], "", "keys held down"),
        (lambda: page.evaluate(narrowing), "until:2s", "the window of the timeline"),
        (lambda: page.fill("#query", "s:3"), "s:3", "typing"),
    ]
    entries = page.evaluate("history.length")
    seen = [("", 0)]
    for number, (act, query, name) in enumerate(acts, 1):
        act()
        page.wait_for_timeout(250)  # addresses are noted when keys rest
        assert page.evaluate("history.length") == entries + number, name
        active = page.evaluate("Number(new URLSearchParams(location.hash.slice(1)).get('s'))")
        seen.append((query, active))
    for query, stream in seen[-2::-1]:
        page.go_back()
        assert page.input_value("#query") == query
        chosen_is(page, stream)


def test_a_link_leads_to_its_connection(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report, "#s=12")
    chosen_is(page, 12)
    assert page.evaluate("document.activeElement.id") == "chosen"
    sync_api.expect(page.locator("#chosen-heading")).to_be_in_viewport()
    page.evaluate("scrollTo(0, 0); location.hash = 's=7'")
    chosen_is(page, 7)
    sync_api.expect(page.locator("#chosen-heading")).to_be_in_viewport()
    for stream in (4, 30):  # a ladder that stands in the page, a row of the table
        page = visitor.open(report, f"#s={stream}", script=False)
        sync_api.expect(page.locator(f"[id='s={stream}']")).to_be_in_viewport()
        assert page.evaluate("document.activeElement.id") == f"s={stream}"


def test_a_link_scrolls_the_table_to_its_connection(visitor: Visitor, report: Path, run: Inspection) -> None:
    last = len(run.connections) - 1
    page = visitor.open(report, f"#s={last}&q=s%3A{last}")
    page.evaluate(f"location.hash = 's={last}'")  # one row before, all of them now
    sync_api.expect(page.locator("#shown")).to_have_text(f"{len(run.connections)} connections")
    drawn(page)
    ends = page.evaluate(
        f"['row-{last}', 'scroll'].map(id => document.getElementById(id)?.getBoundingClientRect().bottom)"
    )
    assert ends[0] == pytest.approx(ends[1], abs=2)


def test_no_hit_says_so_and_so_does_the_ladder_that_is_not_listed(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report, "#s=5")
    aside = page.locator("#aside")
    assert not aside.is_visible()
    page.fill("#query", "port:443 nowhere")
    assert "No connection here fits" in page.text_content("#no-rows")
    assert "nowhere" in page.text_content("#no-rows")
    assert aside.is_visible()
    assert page.is_disabled("#previous")
    assert page.is_disabled("#next")
    page.click("#no-rows button")
    assert page.input_value("#query") == ""
    assert not page.locator("#no-rows").is_visible()
    assert not aside.is_visible()
    page.evaluate("location.hash = 'q=nowhere'")
    sync_api.expect(page.locator("#chosen-heading")).to_have_text("No connection is chosen")
    assert page.locator("#ladder .ladder").count() == 0
    assert page.is_disabled("#copy")


def test_arrow_buttons_know_where_the_connection_stands(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report, "#s=5&q=s%3A5")
    assert page.is_disabled("#previous")
    assert page.is_disabled("#next")
    page.fill("#query", "")
    assert page.is_enabled("#previous")
    assert page.is_enabled("#next")
    page.evaluate(f"location.hash = 's={len(run.connections) - 1}'")
    chosen_is(page, len(run.connections) - 1)
    assert page.is_disabled("#next")
    page.click("th button:text-is('#')")
    assert page.is_disabled("#previous")
    assert page.is_enabled("#next")


def test_keys_lead_from_the_filter_into_the_table(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report)
    for key in ("Enter", "ArrowDown", "Escape"):
        page.fill("#query", "s:7-9")
        page.press("#query", key)
        assert page.evaluate("document.activeElement.id") == "table", key
        assert page.input_value("#query") == "s:7-9", key
        chosen_is(page, 7)
    page.fill("#query", "nowhere")
    page.press("#query", "Enter")
    assert page.evaluate("document.activeElement.id") == "query"


@pytest.mark.parametrize("is_old", [True, False], ids=["an old browser", "a page cut in transfer"])
def test_what_cannot_be_unpacked_is_said_and_the_first_ladders_are_kept(
    visitor: Visitor, report: Path, tmp_path: Path, is_old: bool
) -> None:
    cut = tmp_path / "cut.html"
    whole = report.read_text(encoding="utf-8")
    cut.write_text(whole[: whole.index('id="ladders-0"') + 2000], encoding="utf-8")
    if is_old:
        page = visitor.open(report, "#s=2", before="delete window.DecompressionStream")
    else:
        page = visitor.open(cut, "#s=2")
    chosen_is(page, 2)
    assert page.locator("#ladder .ladder").count() == 1
    page.evaluate("location.hash = 's=30'")
    chosen_is(page, 30)
    assert page.locator("#ladder .ladder").count() == 0
    assert "cannot be shown" in page.text_content("#ladder")
    assert "handshake-inspect show a.pcap -s 30" in page.text_content("#ladder")
    # What charts do without it is their matter.
    visitor.wrong = [one for one in visitor.wrong if "DecompressionStream" not in one]


def test_charts_and_table_choose_and_narrow_together(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    page.evaluate("document.dispatchEvent(new CustomEvent('choose', {detail: {stream: 5, from: 'timeline'}}))")
    chosen_is(page, 5)
    page.evaluate("document.dispatchEvent(new CustomEvent('narrow', {detail: {query: 'until:0s'}}))")
    first_ns = min(one.first_ns for one in run.connections)
    at_once = [str(one.stream) for one in run.connections if one.first_ns == first_ns]
    assert [row[0] for row in all_rows(page)] == at_once
    page.evaluate("window.told = []; addEventListener('choose', event => told.push(event.detail), true)")
    page.evaluate("document.addEventListener('filter', event => told.push([...event.detail.streams]))")
    page.fill("#query", "s:3-4")
    page.locator("#rows tr[data-row]").last.click()
    assert page.evaluate("told") == [[3, 4], {"stream": 4, "from": "table"}]


def test_a_run_of_udp_alone_has_a_page(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "udp.html"
    path.write_text(page_of(inspect(PCAPS / "udp.pcap")), encoding="utf-8")
    page = visitor.open(path)
    assert not page.locator("#table").is_visible()
    assert page.locator("#udp tbody tr").count() == 1
    assert page.locator("button:visible").count() == 1, "all but the switch of colours would do nothing"
    assert "remark on" not in page.text_content("main")
    assert page.locator(".skip").count() == 0


def test_the_command_of_a_connection_is_copied(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report, "#s=3")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#copy")
    sync_api.expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "handshake-inspect show a.pcap -s 3"


def test_an_address_of_nothing_says_so(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report, "#s=99999&sort=constructor")
    assert "there is no connection 99999 on this page" in said(page)


def test_keys_go_through_the_table(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.focus("#table")
    for key, stream in (
        ("ArrowDown", 1),
        ("ArrowDown", 2),
        ("ArrowUp", 1),
        ("End", len(run.connections) - 1),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        active = page.get_attribute("#table", "aria-activedescendant")
        assert active == f"row-{stream}"
        assert page.get_attribute(f"#{active}", "aria-selected") == "true"
        chosen_is(page, stream)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "chosen"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "table"


def test_a_screen_reader_is_told_what_is_what(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report)
    assert page.get_attribute("#table", "role") == "grid"
    assert page.get_attribute("#table", "aria-rowcount") == str(len(run.connections) + 1)
    tree = page.accessibility.snapshot() if hasattr(page, "accessibility") else None
    if tree is not None:
        names = [node.get("name", "") for node in tree["children"]]
        assert "Filter" in names
    unnamed = page.eval_on_selector_all(
        "button, input, a, [role=region]",
        "found => found.filter(one => !(one.textContent.trim() || one.ariaLabel || one.labels?.length"
        " || one.getAttribute('aria-labelledby'))).map(one => one.outerHTML)",
    )
    assert unnamed == []
    levels = page.eval_on_selector_all("h1, h2, h3, h4, h5", "found => found.map(one => Number(one.tagName[1]))")
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels)), levels


def test_without_scripts_the_table_and_the_first_ladders_stand(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report, script=False)
    assert len(rows(page)) == min(200, len(run.connections))
    assert page.locator("#first .ladder").count() == 10
    assert page.locator("#first .ladder").first.is_visible()
    assert not page.locator("#query").is_visible()
    page.click("#rows a:text-is('4')")
    assert page.evaluate("location.hash") == "#s=4"
    box = page.locator("[id='s=4']").bounding_box()
    assert 0 <= box["y"] < SIZES["laptop"][1]


def test_it_is_printed_whole_and_without_controls(visitor: Visitor, report: Path, run: Inspection) -> None:
    page = visitor.open(report, "#s=2")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(rows(page)) == len(run.connections)
    assert not page.locator("#filter").is_visible()
    assert page.locator("#ladder .ladder").is_visible()
    assert page.evaluate("getComputedStyle(document.body.parentElement).colorScheme") == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    drawn(page)
    assert len(rows(page)) < len(run.connections)


def test_paper_is_not_wasted(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "one.html"
    path.write_text(page_of(inspect(PCAPS / "four-way.pcap")), encoding="utf-8")
    page = visitor.open(path)
    pages = len(re.findall(rb"/Type /Page\b(?!s)", page.pdf(prefer_css_page_size=True)))
    assert pages <= 4, "one connection took five pages"
    page.emulate_media(media="print")
    broken = "one => [getComputedStyle(one).breakAfter, getComputedStyle(one).breakBefore]"
    assert page.locator("#connections-heading").evaluate(broken)[0] == "avoid"
    assert page.locator("#chosen").evaluate(broken)[1] == "auto"
    assert page.locator("#ladder .legend").evaluate(broken)[1] == "avoid"


def test_the_colours_can_be_chosen(visitor: Visitor, report: Path) -> None:
    page = visitor.open(report, colours="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) == light
    page.click("#theme")
    assert page.evaluate(ground) != light
    for _ in range(5):  # where the machine is busy, Chromium may load the page before it has stored the choice
        page.reload()
        if chosen := page.evaluate("document.documentElement.dataset.theme"):
            break
    assert chosen == "dark"


@pytest.mark.parametrize("script", [True, False], ids=["scripts", "no scripts"])
def test_nothing_of_a_hostile_capture_runs(visitor: Visitor, tmp_path: Path, script: bool) -> None:
    capture = hostile_capture(tmp_path)
    report = tmp_path / "report.html"
    report.write_text(page_of(inspect(capture), said=HOSTILE, command="show '</script>'"), encoding="utf-8")
    page = visitor.open(report, script=script)
    page.wait_for_timeout(100)
    assert page.locator(".injected, img, iframe").count() == 0
    ladder = "#ladder" if script else "#first"
    assert "<script>alert(1)</script>" in page.text_content(ladder)
    assert "<script>alert(1)</script>" in page.text_content("#captures")
    assert "\u202e" not in page.content()
    if script:
        page.fill("#query", "host:x <script> \" ' __proto__ s:1- -")
        page.evaluate("location.hash = 's=0&q=%3Cimg src=x onerror=alert(3)%3E&sort=__proto__'")
        page.wait_for_timeout(100)
        assert page.locator(".injected, img").count() == 0
