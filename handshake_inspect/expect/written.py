"""Expectations in a file of TOML.

In: the path of the file. Out: `Expectations`, each with the line in which it is written. Read first: toml.io, v1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from handshake_inspect.expect.expectations import Expectations
from handshake_inspect.expect.places import ExpectationError, Lines, Place
from handshake_inspect.expect.understanding import expectations

_NAME = r"""["']?(?P<{}>[\w-]+)["']?\s*"""
_TABLE = re.compile(rf"""\s*\[\[\s*{_NAME.format("name")}\]\]""")
_SUBTABLE = re.compile(r"""\s*\[\s*(?:["']?(?P<expect>expect)["']?\s*\.\s*)?""" + _NAME.format("key") + r"\]")
_KEY = re.compile(rf"\s*{_NAME.format('key')}(?:\.\s*{_NAME.format('end')})?[.=]")
#: Strings, of which some have several lines; and comments, in which quotation marks begin none.
_STRING = re.compile(r'''"""(?:[^\\]|\\.)*?"""|\'{3}.*?\'{3}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*''', re.DOTALL)
#: Where the parser says that it stopped.
_STOPPED = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


def read(path: Path) -> Expectations:
    """Read a file of expectations. Raises ExpectationError."""
    return understood(text_of(path), str(path))


def understood(text: str, source: str) -> Expectations:
    """Read the text of such a file; `source` names it in messages. Raises ExpectationError."""
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        found = _STOPPED.search(str(error))
        line = int(found["line"]) if found and found["line"] else text.rstrip().count("\n") + 1
        raise ExpectationError.at(Place(source, line), f"it is no TOML: {_STOPPED.sub('', str(error))}") from None
    except ValueError:  # the parser leaves this one to int()
        raise ExpectationError.at(Place(source), "it is no TOML: a number in it has thousands of digits") from None
    except RecursionError:
        raise ExpectationError.at(Place(source), "it is no TOML: it has hundreds of brackets in each other") from None
    return expectations(document, FileLines(source, text))


def text_of(path: Path) -> str:
    """Return the text of a file of expectations, with its line ends. Raises ExpectationError."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ExpectationError.at(Place(str(path)), f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ExpectationError.at(Place(str(path)), f"octet {error.start} is no UTF-8: it is no TOML file") from None


class FileLines(Lines):
    """Where keys are written in a TOML file, as far as its lines alone show."""

    def __init__(self, source: str, text: str) -> None:
        super().__init__(source)
        self._lines: dict[tuple[int | None, str | None, str | None], int] = {}
        table: int | None = None
        inside: str | None = None
        for number, line in enumerate(_STRING.sub(_without_lines, text.removeprefix("\ufeff")).split("\n"), 1):
            if (found := _TABLE.match(line)) and found["name"] == "expect":
                table, inside = 0 if table is None else table + 1, None
                self._lines[table, None, None] = number
            elif found:  # one that nobody knows
                inside = found["name"]
                self._lines.setdefault((None, inside, None), number)
            elif found := _SUBTABLE.match(line):
                inside = found["key"]
                self._lines.setdefault((table if found["expect"] else None, inside, None), number)
            elif found := _KEY.match(line):
                key, end = (found["key"], found["end"]) if inside is None else (inside, found["key"])
                self._lines.setdefault((table, key, None), number)
                self._lines.setdefault((table, key, end), number)

    def place(self, table: int | None = None, key: str | None = None, end: str | None = None) -> Place:
        """Return the place of a key, else that of its table, else that of the file."""
        looked_for = [(table, key, end), (table, key, None), (table, None, None)]
        if table is not None:
            looked_for.append((None, "expect", None))
        return Place(self.source, next((self._lines[one] for one in looked_for if one in self._lines), 1))


def _without_lines(string: re.Match[str]) -> str:
    """Return only the line ends of a multi-line string, whose text is no key; other strings as they are."""
    return "\n" * string[0].count("\n") or string[0]
