"""The docstring of a rule is its page."""

from __future__ import annotations

import pytest

from handshake_inspect.explain.page import CaptureExcerpt, Heading, PageError, Paragraph
from handshake_inspect.explain.rendering import page_lines
from handshake_inspect.explain.rules import finding_page

DOCSTRING = """The server owes TIME-WAIT.

    What it means. It closed first, so `TIME-WAIT` is
    its own.

    Why it matters. A busy server keeps many.

    A second paragraph.

    Reported when. The responder sent the first FIN.

    - an item

    Not reported when. An RST ended it.

    Source. RFC 9293 §3.6.1; RFC 1337.
    """


def test_a_docstring_becomes_a_page_with_a_heading_for_each_part() -> None:
    page = finding_page("server-waits", "note", DOCSTRING, "server-first.pcap")
    assert (page.name, page.kind) == ("server-waits", "finding")
    assert page.sources == ("RFC 9293 §3.6.1", "RFC 1337")
    assert page.blocks[:3] == (
        Paragraph("The server owes TIME-WAIT."),
        Heading("What it means"),
        Paragraph("It closed first, so `TIME-WAIT` is its own."),
    )
    assert [block.text for block in page.blocks if isinstance(block, Heading)] == [
        "What it means", "Why it matters", "Reported when", "Not reported when", "Example"
    ]  # fmt: skip
    assert page.blocks[-1] == CaptureExcerpt("server-first.pcap", None)
    text = "\n".join(line.plain for line in page_lines(page, 100))
    assert text.startswith("server-waits: a finding, note")
    assert "TIME-WAIT" in text.partition("Example")[2]
    assert text.endswith("Source    RFC 9293 §3.6.1, RFC 1337")


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
