"""The pages that answer a learner's questions: found in the learner's words, with the numbers of the engine."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from handshake_inspect.explain.collected import written_pages
from handshake_inspect.explain.page import Item, Page, Paragraph, Verbatim
from handshake_inspect.explain.topics import Topics
from handshake_inspect.tcp.time_wait import LINUX_PORTS, PROFILES, SECOND_NS

PAGES = {page.name: page for page in written_pages()}
#: As the page of all times spells the names of PROFILES.
SPELLED = {"Linux": "linux", "FreeBSD": "freebsd", "macOS": "macos", "Windows": "windows", "RFC 9293": "rfc"}


def prose(page: Page) -> str:
    return " ".join(block.text for block in page.blocks if isinstance(block, Paragraph | Item))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("who waits", "who-waits"),
        ("Who waits in TIME-WAIT, how long, and why?", "who-waits"),
        ("why three", "why-three"),
        ("why four", "why-four"),
        ("when three", "why-four"),
        ("lost last ACK", "last-ack-lost"),
        ("what does a backlog bound", "backlog"),
        ("what does recv of zero octets mean", "zero-octets"),
        ("why does bind fail?", "why-bind-fails"),
        ("address already in use", "why-bind-fails"),
        ("3-way", "why-three"),
        ("three segments", "why-three"),
        ("4-way", "why-four"),
        ("why four segments", "why-four"),
        ("connection timed out", "lost-syn"),
        ("ephemeral port", "four-tuple"),
        ("why three segments", "why-three"),
        ("RTT", "timestamps"),
        ("NAT", "four-tuple"),
        ("RCV.NXT", "sequence-numbers"),
        ("severity", "findings"),
    ],
)
def test_a_question_is_found_in_the_words_of_a_learner(asked: str, answer: str) -> None:
    topics = Topics(replace(page, see=()) for page in PAGES.values())
    found = topics.find(asked)
    assert found is not None
    assert found.name == answer


def test_how_long_has_the_time_wait_of_every_profile() -> None:
    tables = [block.lines for block in PAGES["how-long"].blocks if isinstance(block, Verbatim)]
    rows = [re.match(r"(.*?) +(\d+) s ", line) for lines in tables for line in lines]
    told = {SPELLED[row[1]]: int(row[2]) * SECOND_NS for row in rows if row}
    assert told == {name: profile.length_ns for name, profile in PROFILES.items()}


@pytest.mark.parametrize("name", ["who-waits", "four-tuple", "myths"])
def test_a_page_counts_the_ephemeral_ports_as_the_census_does(name: str) -> None:
    assert f"{LINUX_PORTS.count:,}" in prose(PAGES[name])


def test_pages_name_the_range_of_ephemeral_ports_as_the_census_does() -> None:
    naming = [page for page in PAGES.values() if str(LINUX_PORTS.first) in prose(page)]
    assert {page.name for page in naming} >= {"who-waits", "four-tuple", "simultaneous-open"}
    for page in naming:
        assert f"{LINUX_PORTS.first} to {LINUX_PORTS.last}" in prose(page), page.name


def test_the_page_of_four_segments_knows_the_opening_that_takes_four() -> None:
    """RFC 9293 Figure 7: the SYNs cross, and so do the SYN-ACKs."""
    assert "Opening takes four, too, if both ends have sent a SYN before either has got one" in prose(PAGES["why-four"])
