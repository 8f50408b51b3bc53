"""A page as lines for a terminal.

In: a page and a width. Out: lines of `rich` text, complete without colour: the title, the blocks in order with their
pictures drawn on demand, and the further reading. Only verbatim lines may be wider than the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.text import Text

from handshake_inspect.explain.drawing import diagram_lines
from handshake_inspect.explain.moves import state_lines
from handshake_inspect.explain.page import (
    Block,
    Excerpt,
    Heading,
    Item,
    Page,
    Paragraph,
    StateMoves,
    Verbatim,
)
from handshake_inspect.views.ladder_layout import flow, wrap

#: Greatest width of prose in columns; ladders use the whole width.
PROSE_MAX = 100
CODE_STYLE = "cyan"
_CODE = re.compile(r"`([^`]+)`")


def page_lines(page: Page, width: int) -> Iterator[Text]:
    """Yield the lines of a page."""
    prose = min(width, PROSE_MAX)
    kinds = ", ".join(filter(None, [page.kind, *page.other_kinds, page.severity]))
    yield from wrap(styled_prose(page.title, "bold").append(f" · {kinds}", "dim"), prose)
    yield Text()
    for block, following in pairwise([*page.blocks, None]):
        assert block is not None
        yield from block_lines(block, width, prose)
        if not (isinstance(block, Item) and isinstance(following, Item)) and following is not None:
            yield Text()
    yield Text()
    for heading, items in (("Source  ", cited(page.sources)), ("See also", page.see)):
        if items:
            comma = ";" if any("," in item for item in items) else ","
            listed = [Text(f"{item}{comma}") for item in items[:-1]] + [Text(items[-1])]
            first, *more = flow(listed, prose - 10, " ")
            yield Text.assemble((heading, "bold"), "  ", first)
            yield from (Text(" " * 10).append_text(line) for line in more)


def block_lines(block: Block, width: int, prose: int) -> list[Text]:
    """Return the lines of one block. Raises PageError if it cannot be drawn."""
    if isinstance(block, Heading):
        return wrap(styled_prose(block.text, "bold"), prose)
    if isinstance(block, Paragraph):
        return wrap(styled_prose(block.text), prose, indent=0)
    if isinstance(block, Item):
        hanging = len(block.mark) + 1
        return wrap(Text(f"{block.mark} ").append_text(styled_prose(block.text)), prose, indent=hanging)
    if isinstance(block, Verbatim):
        return [Text(f"    {line}" if line else "", CODE_STYLE) for line in block.lines]
    return drawn(block, width)


def drawn(block: Block, width: int) -> list[Text]:
    """Return the picture of a directive."""
    if isinstance(block, StateMoves):
        return state_lines(block.state, width)
    if isinstance(block, Excerpt):
        # The engine is imported only for pages with pictures: the others are shown at once.
        from handshake_inspect.explain.excerpts import excerpt_lines

        return excerpt_lines(block, width)
    return diagram_lines(width)


def cited(sources: Sequence[str]) -> list[str]:
    """Return sources, with a document named once for consecutive sections: "RFC 9293 §3.5", "§3.6"."""
    found: list[str] = []
    for before, source in pairwise(["", *sources]):
        document, mark, section = source.partition(" §")
        found.append(f"§{section}" if mark and before.startswith(f"{document} §") else source)
    return found


def styled_prose(text: str, style: str = "") -> Text:
    """Return prose with its code in another colour, without the backquotes."""
    styled = Text()
    for place, part in enumerate(_CODE.split(text)):
        styled.append(part, CODE_STYLE if place % 2 else style)
    return styled
