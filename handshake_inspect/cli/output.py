"""Printing: results on standard output, progress on standard error; colour and width follow the terminal."""

from __future__ import annotations

import codecs
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, TextIO

from handshake_inspect.cli.standard_error import remark
from handshake_inspect.views.table import GAP, Cell, Table, cut_end

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from handshake_inspect.cells import Utf8

#: Width of a ladder that does not go to a terminal, and the least width of text on one.
DEFAULT_WIDTH, NARROWEST = 100, 60
#: Characters that are written at once.
BATCH = 1 << 16


class StatusLine:
    """One line on standard error that is rewritten in place; it shows nothing without a terminal that can do that."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        #: What stands there.
        self._text = ""

    @property
    def room(self) -> int:
        """The columns that it may take; the last one stays free, so that no terminal wraps."""
        if "COLUMNS" in os.environ:
            return shutil.get_terminal_size().columns - 1
        try:  # of standard error: results may go to a file
            return os.get_terminal_size(sys.stderr.fileno()).columns - 1
        except (OSError, ValueError):
            return shutil.get_terminal_size().columns - 1

    @property
    def stands(self) -> bool:
        """Is anything shown?"""
        return bool(self._text)

    def show(self, text: str) -> None:
        """Replace the line by this text."""
        text = cut_end(text, self.room)
        if self.is_shown and text != self._text:
            self._write(text)

    def clear(self) -> None:
        """Clear the line."""
        if self._text:
            self._write("")

    def _write(self, text: str) -> None:
        sys.stdout.flush()
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()
        self._text = text


def terminal_width() -> int | None:
    """Return the width to fit to: COLUMNS, else that of the terminal; None if there is no terminal."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def text_width() -> int:
    """Return the width of lines of text: that of the terminal, at least NARROWEST; DEFAULT_WIDTH elsewhere."""
    return max(NARROWEST, terminal_width() or DEFAULT_WIDTH)


def write(pieces: Iterable[str]) -> None:
    """Write pieces of text as they come, several at a time, because a system call for each is slow."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size > BATCH:
            sys.stdout.write("".join(waiting))
            waiting, size = [], 0
    sys.stdout.write("".join(waiting))


def write_blocks(blocks: Iterable[Utf8]) -> None:
    """Write blocks of UTF-8 text as they come; decoded only if standard output has another encoding."""
    is_utf_8 = hasattr(sys.stdout, "buffer") and codecs.lookup(sys.stdout.encoding).name == "utf-8"
    sys.stdout.flush()
    for block in blocks:
        if is_utf_8 and os.linesep == "\n":
            write_octets(block)
        else:
            sys.stdout.write(bytes(block).decode())


def write_octets(octets: Utf8) -> None:
    """Write octets as they are."""
    left = memoryview(octets)
    while left:  # unbuffered (PYTHONUNBUFFERED), standard output need not take all at once
        left = left[sys.stdout.buffer.write(left) :]


def write_lines(lines: Iterable[Text]) -> None:
    """Write styled lines, in colour if standard output shows any."""
    console = _console(sys.stdout)
    if console is None:
        write(line.plain + "\n" for line in lines)
        return
    for line in lines:
        console.print(line, soft_wrap=True)


def write_line(line: Text, stream: TextIO) -> None:
    """Write one styled line at once, in colour if that stream shows any."""
    console = _console(stream)
    if console is None:
        stream.write(line.plain + "\n")
    else:
        console.print(line, soft_wrap=True)
    stream.flush()


def write_table(lines: Iterator[list[Cell]]) -> None:
    """Write the lines of a table."""
    if _console(sys.stdout) is None:
        write(GAP.join(cell.text for cell in cells).rstrip() + "\n" for cells in lines)
        return
    write_lines(_styled(cells) for cells in lines)


def write_fitted(tables: list[Table]) -> bool:
    """Write the tables that have rows, and report the columns for which the terminal is too narrow.

    Returns whether there was one.
    """
    filled = [one for one in tables if not one.empty]
    for number, one in enumerate(filled):
        if number:
            write(["\n"])
        write_table(one.lines)
    dropped = dict.fromkeys(title for one in filled for title in one.dropped)
    if dropped and sys.stdout.isatty():
        remark(f"too narrow for: {', '.join(dropped)}")
    return bool(filled)


def _styled(cells: list[Cell]) -> Text:
    from rich.text import Text

    line = Text(GAP).join(Text(cell.text, cell.style) for cell in cells)
    line.rstrip()
    return line


@cache
def _console_for(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False, width=1 << 16)


def _console(stream: TextIO) -> Console | None:
    """Return the console for coloured output; None for plain text."""
    forced = os.environ.get("FORCE_COLOR", "") not in ("", "0")
    if os.environ.get("NO_COLOR") or not (forced or stream.isatty()) or os.environ.get("TERM") == "dumb":
        return None
    return _console_for(stream)


def hanging(label: str, text: str) -> str:
    """Return a text behind a label, wrapped to the terminal, with later lines under the first word of the text."""
    width = text_width()
    return textwrap.fill(text, width, initial_indent=label, subsequent_indent=" " * len(label), break_on_hyphens=False)
