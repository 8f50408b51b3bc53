"""The programs on the pages run as they stand, each by itself, and print what the comments beside their print() say."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import time
from collections.abc import Iterator
from itertools import groupby

import click
import pytest

from handshake_inspect.cli import cli
from handshake_inspect.explain.collected import written_pages
from handshake_inspect.explain.page import Page, Verbatim

#: A block that begins so is a whole program of Python.
PROGRAM = "import "
#: A block that begins so is for a shell.
COMMAND = "handshake-inspect "
#: Beside the indent, a terminal of 80 columns has room for so many; lines of a program are not wrapped.
COLUMNS_MAX = 76
#: What all programs together may take: they are for reading, and none waits long.
ALL_OF_THEM_S = 3.0


def blocks(page: Page) -> Iterator[str]:
    """Yield the blocks of a page that are printed as they stand; an empty line inside one does not end it."""
    for is_verbatim, found in groupby(page.blocks, key=lambda block: isinstance(block, Verbatim)):
        if is_verbatim:
            yield "\n\n".join("\n".join(block.lines) for block in found if isinstance(block, Verbatim))


def programs() -> list[tuple[Page, str]]:
    """Return every program that this host can run (IPv6 may be switched off), with the page that it is on."""
    pages = sorted(written_pages(), key=lambda page: page.name)
    return [
        (page, block)
        for page in pages
        for block in blocks(page)
        if block.startswith(PROGRAM) and (socket.has_dualstack_ipv6() or "AF_INET6" not in block)
    ]


def promised(program: str) -> list[str]:
    """Return the lines that a program says it prints: `print(...)  # this`."""
    return re.findall(r"^ *print\(.*\)  # (.+)$", program, re.MULTILINE)


def run(page: Page, program: str) -> list[str]:
    """Run a program in a namespace of its own, then close its sockets; return what it printed."""
    names: dict[str, object] = {}
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(program, f"{page.name}.md", "exec"), names)
    finally:
        for one in names.values():
            if isinstance(one, socket.socket):
                one.close()
    return printed.getvalue().splitlines()


@pytest.mark.parametrize(("page", "program"), [pytest.param(*one, id=one[0].name) for one in programs()])
def test_a_program_prints_what_it_says(page: Page, program: str) -> None:
    assert len(promised(program)) == program.count("print(")
    assert run(page, program) == promised(program)


def test_programs_are_short_narrow_and_together_quick() -> None:
    began_s = time.monotonic()
    for page, program in programs():
        lines = program.splitlines()
        assert len(lines) <= 14, page.name
        assert max(map(len, lines)) <= COLUMNS_MAX, page.name
        run(page, program)
    assert time.monotonic() - began_s < ALL_OF_THEM_S


def test_on_pages_about_sockets_nothing_is_neither_a_program_nor_a_command() -> None:
    known, seen = cli.list_commands(click.Context(cli)), 0
    for page in written_pages():
        for block in blocks(page) if page.kind.startswith("socket ") else ():
            if not block.startswith(PROGRAM):
                for line in block.splitlines():
                    assert line.startswith(COMMAND), (page.name, line)
                    assert line.split()[1] in known, (page.name, line)
                    seen += 1
    assert seen
