"""The docstring of a rule is its page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.explain.excerpts import excerpt_lines
from handshake_inspect.explain.listing import summary
from handshake_inspect.explain.page import CaptureExcerpt, FindingExcerpt, Heading, Page, PageError, Paragraph
from handshake_inspect.explain.rendering import page_lines
from handshake_inspect.explain.rules import LEFT_OUT, finding_page, with_findings
from handshake_inspect.explain.shipped import shipped_capture
from handshake_inspect.explain.topics import Topics
from handshake_inspect.findings.catalogue import RULES
from handshake_inspect.findings.rule import Rule
from handshake_inspect.inspector import inspect

DOCSTRING = """The server owes TIME-WAIT.

    What it means. It closed first, so `TIME-WAIT` is
    its own.

    Why it matters. A busy server keeps many.

    A second paragraph.

    Reported when. The responder sent the first FIN.

    - an item

    Not reported when. An RST ended it.

    Source. RFC 9293 §3.6.1, §3.6; RFC 1337; Zeek counts S1, S2.
    """


def test_a_docstring_becomes_a_page_with_a_heading_for_each_part() -> None:
    page = finding_page("server-waits", "note", DOCSTRING, "server-first.pcap")
    assert (page.name, page.kind) == ("server-waits", "finding")
    assert page.sources == ("RFC 9293 §3.6.1", "RFC 9293 §3.6", "RFC 1337", "Zeek counts S1, S2")
    assert summary(page) == "The server owes TIME-WAIT"
    assert page.title == "server-waits: The server owes TIME-WAIT"
    assert page.blocks[:2] == (
        Heading("What it means"),
        Paragraph("It closed first, so `TIME-WAIT` is its own."),
    )
    assert [block.text for block in page.blocks if isinstance(block, Heading)] == [
        "What it means", "Why it matters", "Reported when", "Not reported when", "Example"
    ]  # fmt: skip
    assert page.blocks[-1] == FindingExcerpt("server-first.pcap", "server-waits")
    text = "\n".join(line.plain for line in page_lines(replace(page, blocks=page.blocks[:-1]), 100))
    assert text.startswith("server-waits: The server owes TIME-WAIT · finding, note")
    assert text.endswith("Source    RFC 9293 §3.6.1; §3.6; RFC 1337; Zeek counts S1, S2")


def test_without_an_example_nothing_is_drawn() -> None:
    assert finding_page("server-waits", "note", DOCSTRING).blocks[-1] == Paragraph("An RST ended it.")


@pytest.mark.parametrize(
    "changed",
    [
        DOCSTRING.replace("Why it matters. ", ""),
        DOCSTRING.replace("Source. ", "Sources. "),
        DOCSTRING.replace("What it means", "Why it matters"),
        DOCSTRING.partition("Source")[0],
    ],
)
def test_a_docstring_that_lacks_a_part_is_refused(changed: str) -> None:
    with pytest.raises(PageError, match="server-waits: the parts of a rule's docstring are What it means"):
        finding_page("server-waits", "note", changed)


def test_without_docstrings_a_page_says_why_there_is_none() -> None:
    """As with `python -OO`."""
    page = finding_page("fin-lost", "warn", "")
    assert page.name == "fin-lost"
    assert [block.text for block in page.blocks if isinstance(block, Paragraph)] == [LEFT_OUT]


def test_a_finding_of_the_same_name_stands_at_the_end_of_a_page() -> None:
    finding = finding_page("half-open", "warn", DOCSTRING)
    page = Page(
        "half-open", "What is half-open?", "question", (Paragraph("It is."),), also=("x",), sources=("RFC 1337",)
    )
    (both,) = with_findings([page], [finding])
    assert both.blocks == (
        Paragraph("It is."),
        Heading("As a finding (warn), half-open: The server owes TIME-WAIT"),
        *finding.blocks,
    )
    assert both.sources == ("RFC 1337", "RFC 9293 §3.6.1", "RFC 9293 §3.6", "Zeek counts S1, S2")
    assert Topics([both]).by_kind() == {"question": [both], "finding": [both]}
    assert (both.name, both.also) == ("half-open", ("x",))


def test_a_finding_takes_a_name_that_another_page_is_called_too_and_leads_there() -> None:
    page = Page("why", "Why?", "question", (Paragraph("So."),), also=("REFUSED", "no"))
    other, finding = with_findings([page], [finding_page("refused", "note", DOCSTRING)])
    assert other.also == ("no",)
    assert (finding.name, finding.see) == ("refused", ("why",))
    assert Topics([other, finding]).find("refused") is finding


@pytest.mark.parametrize("rule", [one for one in RULES if one.example], ids=lambda rule: rule.code.word)
def test_the_example_of_a_rule_is_drawn_with_the_finding_in_it(rule: Rule) -> None:
    assert rule.example is not None
    wanted = FindingExcerpt(rule.example, rule.code.word)
    lines = excerpt_lines(wanted, 100)
    drawn = " ".join(" ".join(line.plain for line in lines).split())
    inspection = inspect([shipped_capture(name) for name in wanted.captures])
    said = [one.message for one in inspection.findings if one.code == rule.code.word]
    said += [one.message for each in inspection.connections for one in each.findings if one.code == rule.code.word]
    assert any(message[:40] in drawn for message in said)


def test_a_finding_that_the_capture_does_not_show_is_refused() -> None:
    with pytest.raises(PageError, match=r"four-way\.pcap: it does not show half-open"):
        excerpt_lines(FindingExcerpt("four-way.pcap", "half-open"), 100)


def test_of_several_connections_it_is_said_which_one_is_drawn() -> None:
    lines = excerpt_lines(FindingExcerpt("accept-queue-full.pcap", "syn-retransmitted"), 100)
    assert lines[0].plain.startswith("accept-queue-full.pcap, stream 1")
    assert excerpt_lines(CaptureExcerpt("refused.pcap", (1, 1)), 100)[0].plain.startswith("refused.pcap, frame 1 · ")


def test_what_only_both_ends_of_a_wire_show_is_drawn_of_both_captures() -> None:
    wanted = FindingExcerpt("timestamps-stripped.pcap+timestamps-stripped.server.pcap", "options-stripped")
    lines = [line.plain for line in excerpt_lines(wanted, 120)]
    assert lines[:2] == [
        "timestamps-stripped.pcap and timestamps-stripped.server.pcap",
        "the whole, from real sockets: handshake-inspect lab record timestamps-stripped -o .",
    ]
    assert sum("SYN seq=x" in line for line in lines) == 2


def test_frames_without_a_segment_are_refused() -> None:
    with pytest.raises(PageError, match=r"unreachable\.pcap: no segment of stream 0 stands in frames 2 to 2"):
        excerpt_lines(CaptureExcerpt("unreachable.pcap", (2, 2)), 100)
