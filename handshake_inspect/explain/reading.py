"""Reads the text of a page.

In: text, and the name of its topic. Out: a `Page`. Strict: text that would be printed differently from what its author
meant is an error that names the page and the line. A page is

    # Title
    kind: question
    also: other names, as people spell them
    rfc: RFC 9293 §3.5, RFC 9293 §3.4.1
    source: man 2 accept
    see: names, of, other-pages

    Paragraphs of prose with `code` in backquotes, to the next blank line. Then, in any order, `## Heading`, items of
    a list (`- one`, `1. one`, continued by two spaces or more), lines indented by four, which are printed as they
    stand, and directives, each alone on its line:

    {ladder FILE FRAMES [stream N]}    of a shipped capture; FRAMES is 3, 8-12 or all
    {session NAME FRAMES}              of a recorded session, with the socket calls
    {state NAME}                       the rows of the table of states
    {diagram}                          the whole diagram
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from handshake_inspect.explain.page import (
    KINDS,
    Block,
    CaptureExcerpt,
    Heading,
    Item,
    Page,
    PageError,
    Paragraph,
    SessionExcerpt,
    StateDiagram,
    StateMoves,
    Verbatim,
)

HEADER_KEYS = ("kind", "also", "rfc", "source", "see")
FRAMES = r"(?P<frames>all|\d+(?:-\d+)?)"
DIRECTIVES = (
    re.compile(rf"ladder (?P<capture>\S+\.pcap) {FRAMES}(?: stream (?P<stream>\d+))?"),
    re.compile(rf"session (?P<session>\S+) {FRAMES}"),
    re.compile(r"state (?P<state>[A-Z0-9-]+)"),
    re.compile(r"(?P<diagram>diagram)"),
)
VERBATIM = " " * 4
_ITEM = re.compile(r"(?P<mark>-|\d+\.) +(?P<text>.*)")


def read_page(name: str, text: str) -> Page:
    """Return the page of a topic. Raises PageError."""
    title, *lines = text.splitlines() or [""]
    if not title.startswith("# "):
        raise PageError(f"{name}, line 1: a page begins with '# ' and its title")
    end = lines.index("") if "" in lines else len(lines)
    head = _head(name, lines[:end])
    kind = head.get("kind", "")
    if kind not in KINDS:
        raise PageError(f"{name}: there is no kind {kind!r}; kinds are: {', '.join(KINDS)}")
    return Page(
        name=name,
        title=title.removeprefix("# ").strip(),
        kind=kind,
        blocks=tuple(read_blocks(name, lines[end:], first_line=end + 2)),
        also=_listed(head.get("also", "")),
        sources=_listed(head.get("rfc", "")) + _listed(head.get("source", "")),
        see=_listed(head.get("see", "")),
    )


def read_blocks(name: str, lines: list[str], first_line: int = 1) -> Iterator[Block]:
    """Yield the blocks of a page; `first_line` is the number of the first of `lines`. Raises PageError."""
    place = 0
    while place < len(lines):
        line, number = lines[place], first_line + place
        if not line.strip():
            place += 1
            continue
        rest = lines[place + 1 :]
        if line.startswith(VERBATIM):
            more = _count(rest, lambda one: one.startswith(VERBATIM))
            yield Verbatim(tuple(one.removeprefix(VERBATIM).rstrip() for one in lines[place : place + more + 1]))
        elif line.startswith("{"):
            more = 0
            yield read_directive(f"{name}, line {number}", line.rstrip())
        elif line.startswith("#"):
            more = 0
            yield Heading(_heading(f"{name}, line {number}", line))
        elif item := _ITEM.fullmatch(line):
            more = _count(rest, lambda one: one.startswith("  ") and not one.startswith(VERBATIM))
            yield Item(item["mark"], _prose(f"{name}, line {number}", [item["text"], *rest[:more]]))
        else:
            more = _count(rest, lambda one: bool(one.strip()) and not _begins_a_block(one))
            yield Paragraph(_prose(f"{name}, line {number}", [line, *rest[:more]]))
        place += more + 1


def read_directive(place: str, line: str) -> Block:
    """Parse a directive, a line in braces; `place` is its location for errors. Raises PageError."""
    found = next((match for one in DIRECTIVES if (match := one.fullmatch(line[1:-1]))), None)
    if found is None or not line.endswith("}"):
        raise PageError(f"{place}: there is no directive {line}")
    given = found.groupdict()
    if "capture" in given:
        return CaptureExcerpt(given["capture"], _frames(given["frames"]), int(given["stream"] or 0))
    if "session" in given:
        return SessionExcerpt(given["session"], _frames(given["frames"]))
    return StateMoves(given["state"]) if "state" in given else StateDiagram()


def _head(name: str, lines: list[str]) -> dict[str, str]:
    head: dict[str, str] = {}
    for number, line in enumerate(lines, start=2):
        key, colon, value = line.partition(":")
        if not colon or key not in HEADER_KEYS or key in head:
            raise PageError(f"{name}, line {number}: not a line of the head, or the second of its kind: {line}")
        head[key] = value.strip()
    return head


def _listed(value: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in value.split(",") if one.strip())


def _frames(text: str) -> tuple[int, int] | None:
    if text == "all":
        return None
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _heading(place: str, line: str) -> str:
    if not line.startswith("## "):
        raise PageError(f"{place}: a heading begins with '## ': {line}")
    return line.removeprefix("## ").strip()


def _prose(place: str, lines: list[str]) -> str:
    text = " ".join(" ".join(lines).split())
    if text.count("`") % 2:
        raise PageError(f"{place}: a backquote without its other one: {text}")
    return text


def _begins_a_block(line: str) -> bool:
    return line.startswith(("{", "#", VERBATIM)) or _ITEM.fullmatch(line) is not None


def _count(lines: list[str], belongs: Callable[[str], bool]) -> int:
    """Count the leading lines for which `belongs` is true."""
    return next((count for count, line in enumerate(lines) if not belongs(line)), len(lines))
