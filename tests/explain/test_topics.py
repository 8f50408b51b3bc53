"""Topics are found however they are spelled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.explain.collected import all_topics
from handshake_inspect.explain.listing import summary, topic_lines
from handshake_inspect.explain.page import Page, PageError, Paragraph
from handshake_inspect.explain.topics import Topics

STATE = Page("listen-state", "LISTEN", "state", (Paragraph("It waits. For a SYN."),), also=("LISTEN",))
CALL = Page("listen", "listen(): take connections", "socket call", (), see=("listen-state",))
WAITING = Page("time-wait", "TIME-WAIT", "state", (), also=("TIME_WAIT", "TIMEWAIT"))
WHY = Page("why-three", "Why three segments?", "question", (), also=("three-way handshake",))
TOPICS = Topics([STATE, CALL, WAITING, WHY])


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("time-wait", WAITING),
        ("TIME_WAIT", WAITING),
        ("Time Wait", WAITING),
        ("TIME-WAIT?", WAITING),  # as a ladder marks an assumed state
        ("timewait", WAITING),
        ("why three", WHY),
        ("Why three segments?", WHY),
        ("three way handshake", WHY),
        ("listen", CALL),
        ("listen()", CALL),
        ("Listen", CALL),
        ("LISTEN", STATE),
        ("listen state", STATE),
        ("TCP_TIME_WAIT", WAITING),  # of the kernel
        ("socket.listen", CALL),
        ("", None),
        ("tcp-", None),
        ("?", None),
        ("waiting", None),
    ],
)
def test_a_topic_is_found_as_people_spell_it(typed: str, page: Page | None) -> None:
    assert TOPICS.find(typed) is page


def test_the_nearest_topics_are_told() -> None:
    assert TOPICS.nearest("tme-wait")[0] == "time-wait"
    assert TOPICS.nearest("three")[0] == "why-three"  # a whole word of it
    topics = all_topics()
    assert topics.nearest("handshak")[0] == "handshake"  # as it would be typed, though the page is why-three
    assert topics.nearest("TIME-WIAT")[0] == "time-wait"
    assert not {"refused-or-filtered", "half-open"} & {*topics.nearest("TIME-WIAT"), *topics.nearest("estabilshed")}
    assert topics.nearest("xyzzy") == topics.nearest("nosuch") == []
    assert not [name for name in topics.nearest("S") if "-s-" in name]  # the s of "Nagle's algorithm" is no word
    assert topics.nearest("nagle algorithm")[0] == "Nagle's algorithm"  # as it is written
    assert topics.nearest("weirds")[0] == "zeek"  # not its title
    for name in topics.nearest("recieve"):
        assert topics.find(name) is not None


def test_two_pages_cannot_have_one_name() -> None:
    with pytest.raises(PageError, match="two pages"):
        Topics([WHY, WHY])
    with pytest.raises(PageError, match="is called TIME_WAIT too"):
        Topics([WAITING, replace(WHY, also=("TIME_WAIT",))])
    with pytest.raises(PageError, match="is called time-wait-state too"):
        Topics([replace(WAITING, also=("TIME-WAIT state",)), replace(WHY, also=("TIME_WAIT_STATE",))])


def test_a_page_to_see_must_be_there() -> None:
    with pytest.raises(PageError, match="why-three: there is no page why-five to see"):
        Topics([replace(WHY, see=("why-five",))])


def test_the_list_has_every_topic_once_on_a_line_that_fits() -> None:
    lines = [line.plain for line in topic_lines(TOPICS, 60)]
    assert [line.split()[0] for line in lines if line.startswith("  ")] == ["why-three", "listen-state", "time-wait",
                                                                             "listen"]  # fmt: skip
    assert max(map(len, lines)) <= 60
    assert "Questions" in lines
    assert "Socket types" not in lines


def test_a_title_that_has_no_room_goes_on_below() -> None:
    title = "Why does it take three segments to open, and not two, or four?"
    begin, below = [line.plain for line in topic_lines(Topics([replace(WHY, title=title)]), 50)][1:]
    assert begin == "  why-three  Why does it take three segments to"
    assert below == "             open, and not two, or four?"


def test_a_title_that_repeats_the_name_gives_way_to_the_first_sentence() -> None:
    assert summary(WHY) == "Why three segments?"
    assert summary(STATE) == "It waits."
