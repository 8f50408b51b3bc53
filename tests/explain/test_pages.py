"""Every page: it can be read, found, drawn, and ends with a source; nothing in it leads nowhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.explain.page import (
    CaptureExcerpt,
    Item,
    Page,
    Paragraph,
    SessionExcerpt,
    StateDiagram,
    Verbatim,
)
from handshake_inspect.explain.rendering import page_lines
from handshake_inspect.explain.topics import Topics, normalised
from handshake_inspect.explain.written import written_pages

PAGES = sorted(written_pages(), key=lambda page: page.name)
TOPICS = Topics(PAGES)
WIDTHS = (60, 80, 100, 140)
#: A ladder and the state diagram need so many columns, however narrow the terminal.
PICTURE_MIN = 80


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_found_by_all_its_names(page: Page) -> None:
    assert page.name == normalised(page.name)
    assert TOPICS.find(page.name) is page
    for spelling in page.also:
        assert TOPICS.find(spelling) is page, spelling


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_drawn_at_every_width_and_ends_with_its_sources(page: Page) -> None:
    drawn = CaptureExcerpt | SessionExcerpt | StateDiagram
    prose = replace(page, blocks=tuple(one for one in page.blocks if not isinstance(one, Verbatim | drawn)))
    pictures = replace(page, blocks=tuple(one for one in page.blocks if isinstance(one, drawn)))
    for width in WIDTHS:
        assert not [line.plain for line in page_lines(prose, width) if line.cell_len > width]
        assert not [line.plain for line in page_lines(pictures, width) if line.cell_len > max(width, PICTURE_MIN)]
    lines = [line.plain for line in page_lines(page, WIDTHS[0])]
    end = lines[len(lines) - lines[::-1].index("") :]
    assert page.sources
    assert end[0].startswith("See also" if page.see else "Source")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_markup_that_would_be_printed(page: Page) -> None:
    for block in page.blocks:
        if isinstance(block, Paragraph | Item):
            assert "**" not in block.text
            assert "](" not in block.text
