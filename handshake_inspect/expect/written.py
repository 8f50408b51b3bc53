"""Expectations in a file: TOML beside a capture.

In: the name of a capture (`beside`), or of a file of expectations. Out: `Expectations`, which know in which line each
of them is written. Read first: toml.io, v1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from handshake_inspect.expect.expectations import ExpectationError, Expectations, Lines, Place, expectations

#: What is left out of a capture's name: "echo.pcap.gz" has "echo.expect.toml" beside it.
CAPTURE_ENDINGS = (".gz", ".zst", ".xz", ".bz2", ".lzma", ".pcapng", ".pcap", ".cap", ".snoop", ".dmp")
ENDING = ".expect.toml"

_TABLE = re.compile(r"\s*\[\[\s*expect\s*\]\]")
_SUBTABLE = re.compile(r"\s*\[\s*expect\s*\.\s*(?P<key>\w+)\s*\]")
_KEY = re.compile(r"""\s*["']?(?P<key>[\w-]+)["']?\s*[.=]""")


def beside(capture: str) -> Path:
    """Return the path of the expectations of a capture: `echo.pcap` has `echo.expect.toml`."""
    path = Path(capture)
    name = path.name
    for ending in CAPTURE_ENDINGS:
        name = name.removesuffix(ending)
    return path.with_name((name or path.name) + ENDING)


def read(path: Path) -> Expectations:
    """Read a file of expectations. Raises ExpectationError."""
    try:
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise ExpectationError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ExpectationError(f"{path}: octet {error.start} is no UTF-8: it is no TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise ExpectationError(f"{path}: it is no TOML: {error}") from None
    return expectations(document, FileLines(str(path), text))


class FileLines(Lines):
    """Knows in which line of a TOML file a key stands, as far as its lines alone tell."""

    def __init__(self, source: str, text: str) -> None:
        super().__init__(source)
        self._lines: dict[tuple[int | None, str | None], int] = {}
        table: int | None = None
        for number, line in enumerate(text.splitlines(), 1):
            if _TABLE.match(line):
                table = 0 if table is None else table + 1
                self._lines[table, None] = number
            elif found := _SUBTABLE.match(line) or _KEY.match(line):
                self._lines.setdefault((table, found["key"]), number)

    def place(self, table: int | None = None, key: str | None = None) -> Place:
        """Return where a key stands, or the table that should have it."""
        return Place(self.source, self._lines.get((table, key)) or self._lines.get((table, None)))
