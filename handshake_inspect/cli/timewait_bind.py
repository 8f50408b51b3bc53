"""Prints who may bind and connect beside TIME-WAIT: what was tried, the call and its result, and the rule.

In: the results of `binding`. Out: for each three columns, and the reason below them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from handshake_inspect.cli.output import text_width, write_lines
from handshake_inspect.lab.time_wait.binding import Result, chapters

INDENT, MARKS = 4, {True: ("✓", "green"), False: ("✗", "red")}


def print_attempts(results: Sequence[Result]) -> None:
    """Print them all, chapter by chapter."""
    write_lines(attempt_lines(results))


def attempt_lines(results: Sequence[Result]) -> Iterator[Text]:
    """Return all lines."""
    for number, (title, some) in enumerate(chapters(results)):
        if number:
            yield Text("")
        yield from wrapped(title, 0, "bold")
        for one in some:
            yield from result_lines(one)


def result_lines(one: Result) -> Iterator[Text]:
    """Return the lines of one attempt: did it succeed, what was tried, the call with its result; then why."""
    if one.impossible:
        yield from marked("-", "yellow", one.attempt.tried)
        yield from wrapped(f"Not possible here: {one.impossible}", INDENT, "yellow")
        return
    mark, style = MARKS[one.result == "0"]
    yield from marked(mark, style, one.attempt.tried)
    yield Text.assemble(" " * INDENT, f"{one.call} = ", (one.result, style))
    why = one.attempt.why
    if not one.is_as_expected:
        why = f"This kernel does otherwise than Linux 6.18, where it is {one.attempt.expected}: {why}"
    yield from wrapped(why, INDENT, "dim" if one.is_as_expected else "yellow")


def marked(mark: str, style: str, tried: str) -> Iterator[Text]:
    """Return an attempt with its mark in front."""
    first, *others = wrapped(tried, INDENT)
    yield Text.assemble((f"  {mark} ", style), first.plain.lstrip())
    yield from others


def wrapped(text: str, indent: int, style: str = "") -> Iterator[Text]:
    """Return the lines of a text, wrapped to the terminal."""
    width = text_width() - indent
    return (Text(" " * indent + line, style) for line in textwrap.wrap(text, width, break_on_hyphens=False))
