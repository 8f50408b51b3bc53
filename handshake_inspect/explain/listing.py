"""The list of all topics, by kind.

In: topics and a width. Out: lines of `rich` text: each name with the title of its page, wrapped where it is too
long.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from handshake_inspect.explain.page import KINDS, Page, Paragraph
from handshake_inspect.explain.rendering import styled_prose
from handshake_inspect.explain.topics import Topics, normalised
from handshake_inspect.views.ladder_layout import hanging

GAP = 2


def topic_lines(topics: Topics, width: int) -> Iterator[Text]:
    """Yield the lines of the list."""
    column = max((len(name) for name in topics.pages), default=0)
    for number, (kind, pages) in enumerate(topics.by_kind().items()):
        if number:
            yield Text()
        yield Text(KINDS[kind], "bold")
        for page in pages:
            severity = page.severity.ljust(5 + GAP) if kind == "finding" else ""
            begin = Text.assemble(" " * GAP, (page.name.ljust(column), "cyan"), " " * GAP, severity)
            yield from hanging(begin, styled_prose(summary(page)), width)


def summary(page: Page) -> str:
    """Return the title of a page, or its first sentence where the title only repeats the name."""
    if normalised(page.title) not in map(normalised, (page.name, *page.also)):
        return page.title.removeprefix(f"{page.name}: ")
    first = next((block.text for block in page.blocks if isinstance(block, Paragraph)), page.title)
    return first.partition(". ")[0].rstrip(".") + "."
