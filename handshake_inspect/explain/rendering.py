"""A page as lines for a terminal.

In: a page and a width. Out: lines of `rich` text, complete without colour: the title, the blocks in their order with
their pictures drawn now, and at the end where to read on. No line is wider than the terminal but those that are
printed as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from rich.text import Text

from handshake_inspect.explain.drawing import diagram_lines
from handshake_inspect.explain.moves import state_lines
from handshake_inspect.explain.page import (
    Block,
    CaptureExcerpt,
    Heading,
    Item,
    Page,
    Paragraph,
    SessionExcerpt,
    StateMoves,
    Verbatim,
)
from handshake_inspect.views.ladder_layout import flow, wrap

#: Prose is read in lines of at most this many columns; ladders take what there is.
PROSE_MAX = 100
CODE_STYLE = "cyan"
_CODE = re.compile(r"`([^`]+)`")


def page_lines(page: Page, width: int) -> Iterator[Text]:
    """Yield the lines of a page."""
    prose = min(width, PROSE_MAX)
    yield from wrap(styled_prose(page.title, "bold").append(f" · {page.kind}", "dim"), prose)
    yield Text()
    for block, following in pairwise([*page.blocks, None]):
        assert block is not None
        yield from block_lines(block, width, prose)
        if not (isinstance(block, Item) and isinstance(following, Item)) and following is not None:
            yield Text()
    for heading, items in (("Source  ", page.sources), ("See also", page.see)):
        if items:
            yield Text()
            first, *more = flow([Text(item) for item in items], prose - 10, ", ")
            yield Text(heading, "bold").append("  ").append_text(first)
            yield from (Text(" " * 10).append_text(line) for line in more)


def block_lines(block: Block, width: int, prose: int) -> list[Text]:
    """Return the lines of one block. Raises PageError if what it draws is not there."""
    if isinstance(block, Heading):
        return wrap(styled_prose(block.text, "bold"), prose)
    if isinstance(block, Paragraph):
        return wrap(styled_prose(block.text), prose, indent=0)
    if isinstance(block, Item):
        hanging = len(block.mark) + 1
        return wrap(Text(f"{block.mark} ").append_text(styled_prose(block.text)), prose, indent=hanging)
    if isinstance(block, Verbatim):
        return [Text("    ").append(line, CODE_STYLE) for line in block.lines]
    return drawn(block, width)


def drawn(block: Block, width: int) -> list[Text]:
    """Return the picture that a directive asks for."""
    if isinstance(block, StateMoves):
        return state_lines(block.state, width)
    if isinstance(block, CaptureExcerpt | SessionExcerpt):
        # The engine is imported only for pages that draw: the others come at once.
        from handshake_inspect.explain.excerpts import capture_lines, session_lines

        return capture_lines(block, width) if isinstance(block, CaptureExcerpt) else session_lines(block, width)
    return diagram_lines(width)


def styled_prose(text: str, style: str = "") -> Text:
    """Return prose with its code in another colour, without the backquotes."""
    styled = Text(style=style)
    for place, part in enumerate(_CODE.split(text)):
        styled.append(part, CODE_STYLE if place % 2 else "")
    return styled
