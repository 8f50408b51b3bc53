"""The ladder as HTML: what stands in it, and that nothing else ever does."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given

from handshake_inspect.connections.connection import ENDS
from handshake_inspect.inspector import inspect
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.pictures.html import fragment, page, style_sheet
from handshake_inspect.views.pictures.markup import CLASSES
from handshake_inspect.views.pictures.words import pattern_of, role_of
from handshake_inspect.views.rungs import Rung, Spelling, Standing
from handshake_inspect.views.segment_words import Numbers
from tests.views.pictures.hostile import TEXTS, WORST, hostile_ladder, ladders

PCAPS = Path(__file__).parents[3] / "pcaps"
#: Elements of a fragment, and their attributes.
ELEMENTS = {
    "article": {"class"}, "h2": set(), "ul": {"class"}, "li": set(), "var": set(), "table": {"class", "aria-label"},
    "thead": set(),
    "tr": {"class"}, "th": {"class", "scope"}, "tbody": set(), "td": {"class"}, "b": {"class"}, "small": set(),
    "span": {"class", "tabindex"}, "i": {"class"}, "p": {"class"}, "dl": {"class"}, "dt": set(), "dd": set(),
    "br": set(),
}  # fmt: skip


class Parsed(HTMLParser):
    """Markup as a browser takes it: its elements, and all of its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.others: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def classes(self, of: str) -> list[str]:
        return [attributes.get("class") or "" for tag, attributes in self.elements if tag == of]


def test_a_fragment_has_known_elements_and_closes_them() -> None:
    for ladder in ladders():
        parsed = Parsed(fragment(ladder, title="echo", facts=["11 segments"]))
        assert not parsed.open and not parsed.others
        for tag, attributes in parsed.elements:
            assert {*attributes} <= ELEMENTS[tag], tag


@given(said=TEXTS)
def test_no_text_of_a_capture_becomes_markup(said: str) -> None:
    ladder, words = hostile_ladder(said)
    parsed = Parsed(fragment(ladder, **words))  # type: ignore[arg-type]
    assert not parsed.open and not parsed.others
    assert all({*attributes} <= ELEMENTS[tag] for tag, attributes in parsed.elements)
    plain, words = hostile_ladder("word")
    ordinary = Parsed(fragment(plain, **words))  # type: ignore[arg-type]
    structure = ("td", "th", "li", "table", "h2", "dt")
    assert [one for one in parsed.elements if one[0] in structure] == [
        one for one in ordinary.elements if one[0] in structure
    ]


@pytest.mark.parametrize("said", WORST)
def test_what_a_capture_says_can_be_read(said: str) -> None:
    ladder, words = hostile_ladder(said)
    text = Parsed(fragment(ladder, **words)).text  # type: ignore[arg-type]
    assert text.count(printable(said)) >= 10
    assert all(char.isprintable() for char in text.replace("\n", ""))


@pytest.mark.parametrize("name", ["four-way", "simultaneous-close", "refused", "lost-third-ack", "half-close", "nat"])
def test_the_lanes_are_the_states_of_the_model(name: str) -> None:
    run = inspect(PCAPS / f"{name}.pcap")
    for connection in run.connections:
        steps = run.steps(connection.stream)
        ladder = ladder_of(connection, steps, spelling=Spelling(fold=False))
        rungs = [row for row in ladder.rows if isinstance(row, Rung)]
        assert [rung.step for rung in rungs] == [*steps]
        for rung in rungs:
            for end in ENDS:
                drawn, told = rung.states[end], rung.step.states[end]
                assert told.state is None or (drawn.state, drawn.disproved) == (told.state, told.disproved)
        markup = fragment(ladder, title="")
        parsed = Parsed(markup)
        for side, end in zip(("left", "right"), ENDS, strict=True):
            lanes = [one.split()[:3] for one in parsed.classes("td") if one.startswith(side)]
            states = [row.states[end] for row in [*ladder.rows, *ladder.deadlines]]
            assert lanes == [[side, f"now-{role_of(at)}", pattern_of(at)] for at in states]
        written = [row.written for row in ladder.rows if isinstance(row, Rung | Standing)]
        labels = Counter(at.state for pair in written for at in pair if at and at.state)
        labels += Counter("CLOSED" for _ in ladder.deadlines)
        assert Counter(re.findall(r'<b class="state-[a-z]+">([^<]+)</b>', markup)) == labels


def test_time_wait_is_drawn_to_its_deadline() -> None:
    ladder = ladders()[0]
    (deadline,) = ladder.deadlines
    assert deadline.wait is ladder.connection.time_wait[0]
    assert (deadline.states.originator.state, deadline.states.originator.basis) == ("CLOSED", "timer")
    text = Parsed(fragment(ladder, title="")).text
    assert f"client: TIME-WAIT until {deadline.until} at the earliestLinux: 60 s" in text


def test_a_time_wait_that_was_ended_is_drawn_until_then() -> None:
    run = inspect(PCAPS / "time-wait-reopened.pcap")
    connection, steps = run.described(0)
    (wait,) = connection.time_wait
    assert wait.ended_ns is not None and wait.ended_ns < wait.earliest_end_ns
    ladder = ladder_of(connection, steps)
    (deadline,) = ladder.deadlines
    assert deadline.until == ladder.since(wait.ended_ns)
    assert deadline.states[wait.owner].state is None
    text = Parsed(fragment(ladder, title="")).text
    assert "before its time, the client opened stream 1" in text and "at the earliest" not in text.split("Opening")[0]


def test_a_long_ladder_is_cut_and_says_so() -> None:
    ladder = ladders()[0]
    rows = len(ladder.rows) + len(ladder.deadlines)
    parsed = Parsed(fragment(ladder, title="", most_rows=4))
    assert len(parsed.classes("tr")) == 1 + 4
    assert f"{rows - 4} more rows" in parsed.text
    assert "more rows" not in Parsed(fragment(ladder, title="", most_rows=rows)).text


def test_the_numbers_of_a_segment_are_there_in_all_spellings() -> None:
    run = inspect(PCAPS / "four-way.pcap")
    connection, steps = run.described(0)
    for numbers in get_args(Numbers):
        ladder = ladder_of(connection, steps, spelling=Spelling(numbers=numbers))
        text = Parsed(fragment(ladder, title="")).text
        for step in steps:
            assert all(str(one) in text for one in (step.seq, step.symbolic_seq, step.relative_seq))


def test_every_style_of_the_account_has_a_class_and_every_class_a_rule() -> None:
    sheet = style_sheet()
    assert all(f".ladder .{name} " in sheet for name in set(CLASSES.values()))
    parsed = Parsed("".join(fragment(ladder, title="") for ladder in ladders()))
    used = {name for tag in ELEMENTS for names in parsed.classes(tag) for name in names.split()}
    assert {name for name in used if f".{name}" not in sheet} <= {"rung", "plain", "now-unknown", "by-left"}


def test_a_page_needs_nothing_else() -> None:
    parsed = Parsed(page(ladders()[0], title="<b>", facts=()))
    assert not parsed.open
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "link", "img", "iframe"}
    assert (
        "url(" not in page(ladders()[0], title="") and "http" not in page(ladders()[0], title="").split("http-equiv")[0]
    )
