"""Text from anywhere, made safe to stand in HTML and SVG. The only place where that is done.

In: text of unknown origin, `rich` sentences. Out: markup that holds no element but those that are written here. What a
terminal would obey is escaped as for terminals (`views.escape`), because XML does not allow control characters either.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape
from itertools import pairwise

from rich.text import Span, Text

from handshake_inspect.views.escape import printable

#: Style of a terminal -> class of the same meaning in a style sheet.
CLASSES = {
    "bold": "strong",
    "bold green": "good",
    "green": "good",
    "bold red": "bad",
    "red": "bad",
    "bold yellow": "odd",
    "yellow": "odd",
    "cyan": "note",
    "dim": "aside",
}


@lru_cache(maxsize=1 << 14)
def text(said: str) -> str:
    """Return text as markup, also for attributes in double quotes."""
    return escape(printable(said))


def sentence(said: Text) -> str:
    """Return a styled sentence as markup: its styled parts in spans."""
    return _sentence(said.plain, tuple(said.spans))


@lru_cache(maxsize=1 << 12)
def _sentence(plain: str, spans: tuple[Span, ...]) -> str:
    cuts = sorted({0, len(plain), *(at for span in spans for at in (span.start, span.end))})
    parts = []
    for begin, end in pairwise(cuts):
        styles = [str(span.style) for span in spans if span.start <= begin and end <= span.end]
        style = next((CLASSES[one] for one in reversed(styles) if one in CLASSES), "")
        part = text(plain[begin:end])
        parts.append(f'<span class="{style}">{part}</span>' if style else part)
    return "".join(parts)
