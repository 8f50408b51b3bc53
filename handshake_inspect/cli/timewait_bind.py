"""Prints who may bind and connect beside TIME-WAIT: what was tried, the call and its result, and the rule.

In: the results of `binding`. Out: for each three columns, and the reason below them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from handshake_inspect.cli.output import DEFAULT_WIDTH, terminal_width, write_lines
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
        yield Text(title, "bold")
        for one in some:
            yield from result_lines(one)


def result_lines(one: Result) -> Iterator[Text]:
    """Return the lines of one attempt: did it succeed, what was tried, the call with its result; then why."""
    if one.impossible:
        yield Text.assemble(("  - ", "yellow"), one.attempt.tried)
        yield from below(f"Not possible here: {one.impossible}", "yellow")
        return
    mark, style = MARKS[one.result == "0"]
    yield Text.assemble((f"  {mark} ", style), one.attempt.tried)
    yield Text.assemble(" " * INDENT, f"{one.call} = ", (one.result, style))
    why = one.attempt.why
    if not one.is_as_expected:
        why = f"This kernel does otherwise than Linux 6.18, where it is {one.attempt.expected}: {why}"
    yield from below(why, "dim" if one.is_as_expected else "yellow")


def below(text: str, style: str) -> Iterator[Text]:
    """Return a text below a row, wrapped to the terminal."""
    width = max(60, terminal_width() or DEFAULT_WIDTH) - INDENT
    return (Text(" " * INDENT + line, style) for line in textwrap.wrap(text, width, break_on_hyphens=False))
