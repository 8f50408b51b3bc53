"""Every page: it can be read, found, drawn, and ends with a source; nothing in it leads nowhere."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from handshake_inspect.explain.collected import written_pages
from handshake_inspect.explain.page import (
    CaptureExcerpt,
    Item,
    Page,
    Paragraph,
    SessionExcerpt,
    StateDiagram,
    StateMoves,
    Verbatim,
)
from handshake_inspect.explain.rendering import block_lines, page_lines
from handshake_inspect.explain.topics import Topics, normalised
from handshake_inspect.tcp.states import State

PAGES = sorted(written_pages(), key=lambda page: page.name)
TOPICS = Topics(PAGES)
WIDTHS = (60, 100)
#: A ladder, the state diagram and commands to be copied need so many columns, however narrow the terminal.
PICTURE_MIN = 80


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_found_by_all_its_names(page: Page) -> None:
    assert page.name == normalised(page.name)
    assert TOPICS.find(page.name) is page
    for spelling in page.also:
        assert TOPICS.find(spelling) is page, spelling


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_drawn_and_fits_the_terminal_and_ends_with_its_sources(page: Page) -> None:
    drawn = CaptureExcerpt | SessionExcerpt | StateDiagram
    prose = replace(page, blocks=tuple(one for one in page.blocks if not isinstance(one, Verbatim | drawn)))
    for width in WIDTHS:
        lines = [line.plain for line in page_lines(prose, width)]
        assert not [line for line in lines if cell_len(line) > width]
    for picture in (block for block in page.blocks if isinstance(block, Verbatim | drawn)):
        assert max(line.cell_len for line in block_lines(picture, WIDTHS[0], WIDTHS[0])) <= PICTURE_MIN
    end = lines[len(lines) - lines[::-1].index("") :]
    assert page.sources
    assert end[0].startswith("Source  ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_markup_that_would_be_printed(page: Page) -> None:
    for block in page.blocks:
        if isinstance(block, Paragraph | Item):
            assert not re.search(r"\*\*(?!32)|\]\(|(?<!\w)_\w", re.sub("`[^`]*`", "", block.text))


def test_all_states_are_explained_with_their_rows_and_a_real_ladder() -> None:
    for label in {state.label for state in State}:
        page = TOPICS.find(label)
        assert page is not None
        assert page.kind == "state"
        assert StateMoves(label) in page.blocks
        assert any(isinstance(block, CaptureExcerpt | SessionExcerpt) for block in page.blocks)
