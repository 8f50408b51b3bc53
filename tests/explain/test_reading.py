"""The format of a page file: what it may hold, and what is refused."""

from __future__ import annotations

import pytest

from handshake_inspect.explain.page import (
    CaptureExcerpt,
    Heading,
    Item,
    PageError,
    Paragraph,
    SessionExcerpt,
    StateDiagram,
    StateMoves,
    Verbatim,
)
from handshake_inspect.explain.reading import read_page

HEAD = "# Why three?\nkind: question\n"


def test_a_page_with_everything() -> None:
    page = read_page(
        "why-three",
        """# Why three segments?
kind: question
also: three-way, three way handshake
rfc: RFC 9293 §3.5, RFC 9293 §3.4.1
source: man 2 connect
see: why-four, syn

Prose with `code`
in two lines.
- an item
  that goes on
1. another

## A heading

    $ verbatim  `as it stands

{ladder lost-last-ack.pcap 8-12}
{ladder time-wait-reused.pcap 3 stream 1}
{session four-way all}
{state TIME-WAIT}
{diagram}
""",
    )
    assert (page.name, page.title) == ("why-three", "Why three segments?")
    assert page.also == ("three-way", "three way handshake")
    assert page.sources == ("RFC 9293 §3.5", "RFC 9293 §3.4.1", "man 2 connect")
    assert page.see == ("why-four", "syn")
    assert page.blocks == (
        Paragraph("Prose with `code` in two lines."),
        Item("-", "an item that goes on"),
        Item("1.", "another"),
        Heading("A heading"),
        Verbatim(("$ verbatim  `as it stands",)),
        CaptureExcerpt("lost-last-ack.pcap", (8, 12), 0),
        CaptureExcerpt("time-wait-reused.pcap", (3, 3), 1),
        SessionExcerpt("four-way", None),
        StateMoves("TIME-WAIT"),
        StateDiagram(),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Why three?\nkind: question\n", "line 1: a page begins with"),
        ("", "line 1: a page begins with"),
        ("# Why?\nkind: riddle\n", "there is no kind 'riddle'"),
        ("# Why?\n\nText.\n", "there is no kind ''"),
        ("# Why?\nkind: question\nkind: state\n", "line 3: not a line of the head"),
        ("# Why?\nkind: question\ncolour: red\n", "line 3: not a line of the head"),
        (f"{HEAD}\n{{ladders a.pcap 1}}\n", "line 4: there is no directive {ladders a.pcap 1}"),
        (f"{HEAD}\n{{ladder a.pcap}}\n", "there is no directive"),
        (f"{HEAD}\n{{ladder a.pcap 1-}}\n", "there is no directive"),
        (f"{HEAD}\n{{diagram}} of states\n", "there is no directive"),
        (f"{HEAD}\nText with `code.\n", "line 4: a backquote without its other one"),
        (f"{HEAD}\nText.\n\n### Deep\n", "line 6: a heading begins with"),
    ],
)
def test_what_is_no_page_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(PageError, match="why-three") as raised:
        read_page("why-three", text)
    assert complaint in str(raised.value)
