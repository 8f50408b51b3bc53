"""Sentences in which some words have a style: what stands below a ladder, a finding in one line.

In: parts, plain or with a style. Out: `rich` text. `Text.assemble` makes the same of them in three times as long, and a
page of ten thousand ladders has a hundred thousand sentences.
"""

from __future__ import annotations

from rich.text import Span, Text


def styled(*parts: str | tuple[str, str]) -> Text:
    """Put printable parts one behind the other; of a pair the second is the style of the first."""
    said, spans = "", []
    for part in parts:
        if isinstance(part, str):
            said += part
        elif part[0]:
            begin, said = len(said), said + part[0]
            spans.append(Span(begin, len(said), part[1]))
    return Text(said, spans=spans)
