"""Golden ladders: the text of ladders kept in a repository, compared with what a capture shows now.

In: the lines of a capture's golden text, as `views.golden` writes them, and the text of a file. Out: the first line
that differs, with the segment that it is about, and a unified diff for a pull request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import zip_longest
from pathlib import Path

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.connection import Frame

#: First line of a golden text. The number changes when the same capture gives another text.
FORMAT = "handshake-inspect golden 1"
#: Texts with more lines than these are compared near the first that differs: so many lines, and some before it.
LINES_COMPARED, LINES_NEAR, CONTEXT = 5000, 400, 5
#: The same of every format.
ANY_FORMAT = "handshake-inspect golden "


@dataclass(frozen=True)
class GoldenLine:
    """One line of a golden text."""

    text: str
    #: The connection that it is about; None: it is about all of them.
    stream: int | None = None
    #: The segment or the ICMP error that it is about; None: none alone.
    frame: Frame | None = None


@dataclass(frozen=True)
class GoldenDifference:
    """Where a capture first differs from a golden text."""

    #: Counted from 1, in the golden text.
    line: int
    #: What stands there; None: the golden text ends before it.
    expected: str | None
    #: What the capture shows in its place; None: it shows nothing more.
    seen: str | None
    #: The connection of the capture that it is about: of what was seen, else of what comes before it.
    stream: int | None
    #: The segment of it; None: the difference is about none alone.
    frame: Frame | None


def read_golden(path: str) -> str:
    """Return the golden text of a file. Raises `CaptureError` if it holds none, or one of another format."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        advice = "; `show --format golden` makes one" if isinstance(error, FileNotFoundError) else ""
        raise CaptureError(f"{path}: cannot be opened: {error.strerror or error}{advice}") from None
    except UnicodeDecodeError:
        text = ""
    first = text.partition("\n")[0].strip()
    if not first.startswith(ANY_FORMAT):
        raise CaptureError(
            f"{path}: no golden text: it does not begin with {FORMAT!r}; `show --format golden` makes one"
        )
    if first != FORMAT:
        raise CaptureError(f"{path}: {first!r} is not {FORMAT!r}: make it again with `show --format golden`")
    return text


def first_difference(golden: str, seen: Sequence[GoldenLine]) -> GoldenDifference | None:
    """Return the first difference of a capture from a golden text; None if there is none."""
    at = _LinesAbout()
    for number, (expected, line) in enumerate(zip_longest(golden.splitlines(), seen), start=1):
        at.pass_over(line)
        text = None if line is None else line.text
        if expected != text:
            return GoldenDifference(number, expected, text, at.stream, at.frame)
    return None


class _LinesAbout:
    """The connection and the segment of each line; a line about none belongs to those of the line before."""

    def __init__(self) -> None:
        self.stream: int | None = None
        self.frame: Frame | None = None

    def pass_over(self, line: GoldenLine | None) -> None:
        if line is None:
            return
        if line.stream is not None:
            self.stream = line.stream
        self.frame = line.frame


def unified(golden: str, seen: Sequence[GoldenLine], golden_name: str, capture_name: str) -> Iterator[str]:
    """Yield the lines of a unified diff, from the golden text to what the capture shows.

    Of long texts only what is near the first line that differs: the time that difflib takes grows with the square.
    """
    expected, now = golden.splitlines(), [line.text for line in seen]
    if max(len(expected), len(now)) > LINES_COMPARED:
        pairs = enumerate(zip_longest(expected, now))
        begin = max(0, next(place for place, (one, other) in pairs if one != other) - CONTEXT)
        yield f"from line {begin + 1:,} on, {LINES_NEAR:,} lines:"
        expected, now = expected[begin : begin + LINES_NEAR], now[begin : begin + LINES_NEAR]
    yield from unified_diff(expected, now, golden_name, capture_name, lineterm="")
