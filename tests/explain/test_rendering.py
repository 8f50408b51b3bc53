"""A page as a reader sees it."""

from __future__ import annotations

from handshake_inspect.explain.page import Heading, Item, Page, Paragraph, Verbatim
from handshake_inspect.explain.rendering import cited, page_lines

PAGE = Page(
    "recv",
    "recv(): read",
    "socket call",
    (
        Paragraph("It returns `b''` when the other end has closed, and what came before otherwise, in their order."),
        Heading("How"),
        Item("-", "an item that is so long that it goes on in another line of the terminal, below its first word"),
        Item("2.", "a short one"),
        Verbatim(("data = s.recv(1024)", "", "    deeper")),
    ),
    sources=("RFC 9293 §3.9.1.3", "RFC 9293 §3.10.3", "man 2 recv"),
    see=("send", "zero-octets"),
)


def test_blocks_stand_apart_and_items_together() -> None:
    assert (
        "\n".join(line.plain for line in page_lines(PAGE, 60))
        == """\
recv(): read · socket call

It returns b'' when the other end has closed, and what came
before otherwise, in their order.

How

- an item that is so long that it goes on in another line of
  the terminal, below its first word
2. a short one

    data = s.recv(1024)

        deeper

Source    RFC 9293 §3.9.1.3, §3.10.3, man 2 recv
See also  send, zero-octets"""
    )


def test_code_is_told_from_prose_by_its_colour() -> None:
    line = next(line for line in page_lines(PAGE, 60) if "b''" in line.plain)
    assert [line.plain[span.start : span.end] for span in line.spans if span.style == "cyan"] == ["b''"]


def test_prose_is_not_set_in_lines_that_nobody_can_read() -> None:
    assert max(line.cell_len for line in page_lines(PAGE, 250)) <= 100


def test_a_document_is_named_once_for_neighbouring_sections() -> None:
    assert cited(["RFC 9293 §3.5", "RFC 9293 §3.6", "RFC 1337", "RFC 9293 §3.7", "man 2 recv"]) == [
        "RFC 9293 §3.5", "§3.6", "RFC 1337", "RFC 9293 §3.7", "man 2 recv"
    ]  # fmt: skip
    assert cited(["RFC 929 §1", "RFC 9293 §3.5"]) == ["RFC 929 §1", "RFC 9293 §3.5"]
