"""Help, and the explanations of findings, as text.

In: the findings of a connection, or nothing. Out: styled lines for `reading`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from rich.text import Text

from handshake_inspect.connections.connection import Connection
from handshake_inspect.explain.collected import all_topics
from handshake_inspect.explain.rendering import page_lines
from handshake_inspect.explain.topics import Topics
from handshake_inspect.screen.columns import sign
from handshake_inspect.views.escape import printable
from handshake_inspect.views.finding_lines import STYLES
from handshake_inspect.views.ladder_layout import wrap

#: Keys and what they do, in groups.
KEYS = (
    ("Move", (
        ("↑ ↓  PgUp PgDn  Home End", "in the list, or in the text"),
        ("Tab", "from the list to the text, and back"),
        ("Enter", "the text alone; Esc: both again"),
    )),
    ("Choose", (
        ("/", "filter, as it is typed: words (half-open 443), or a condition of read --where"),
        ("Esc", "no filter any more"),
        ("f   n   N", "find some words; the next, the one before"),
        ("s   S   r", "sort by the next column, by the one before; the other way round (or click a heading)"),
    )),
    ("Read", (
        ("l", "the ladder"),
        ("e", "what was found, and what it means"),
        ("i", "what is to be said of the captures: damage, what was not read, what was lost (browse)"),
        ("o", "what the command printed (sniff -- COMMAND)"),
    )),
    ("Do", (
        ("p", "pause: the screen stands still, the capture goes on"),
        ("w", "write the frames of this connection to a file"),
        ("W", "write all frames that are kept (sniff)"),
        ("c", "copy the command that shows this connection"),
        ("t", "dark or light"),
        ("q  Ctrl-C", "end"),
    )),
)  # fmt: skip
FILTERS = (
    "half-open 10.0.0.7",
    "443 aborted",
    'teardown.kind == "aborted" and octets.originator > 0',
    "handshake.initial_rtt_ns > 10ms and not resets",
)


def help_lines(width: int) -> Iterator[Text]:
    """Yield the lines of the help: keys, and examples of filters."""
    widest = max(len(key) for _, group in KEYS for key, _ in group)
    for title, group in KEYS:
        yield Text(title, "bold")
        for key, what in group:
            first, *more = wrap(Text(what), max(width - widest - 4, 16), indent=0)
            yield Text.assemble("  ", (f"{key:<{widest}}", "cyan"), "  ", first)
            yield from (Text(" " * (widest + 4)).append_text(line) for line in more)
        yield Text()
    yield Text("Filters", "bold")
    yield from (Text.assemble("  ", (one, "cyan")) for one in FILTERS)


def finding_lines(connection: Connection, width: int) -> list[Text]:
    """Return the findings of a connection, each with its explanation."""
    if not connection.findings:
        return [Text("Nothing was found that an expert would notice.", "dim")]
    lines: list[Text] = []
    for code in dict.fromkeys(one.code for one in connection.findings):
        for one in connection.findings:
            if one.code == code:
                head = Text.assemble((f"{sign(one.severity)} {one.code}", STYLES[one.severity]), "  ")
                lines += wrap(head.append(printable(one.message)), width, indent=2)
        lines += [Text(), *(Text("  ").append_text(line) for line in _explained(code, width - 2)), Text()]
    return lines


def text_lines(text: str, width: int) -> list[Text]:
    """Return what a program printed, as lines without control characters."""
    return [
        line
        for part in text.expandtabs().splitlines()
        for line in wrap(Text(printable(part)), width, indent=0) or [Text()]
    ]


def _explained(code: str, width: int) -> Sequence[Text]:
    page = _topics().find(code)
    return list(page_lines(page, width)) if page is not None else []


@cache
def _topics() -> Topics:
    return all_topics()
