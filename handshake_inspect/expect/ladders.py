"""Ladders kept in a repository, compared with those that a capture shows now.

In: a file with golden text (`compared.golden`) and an inspection. Out: None, or the first line that differs, with the
row of the ladder that it is about, and the whole diff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.compared.golden import first_difference, read_golden, unified
from handshake_inspect.connections.connection import Connection, Frame
from handshake_inspect.expect.claims import Unmet
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.expect.subject import RowName, Subject
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.golden import golden


@dataclass(frozen=True)
class LadderDifference:
    """How the ladders of a capture differ from the golden text."""

    unmet: Unmet
    #: The connection that differs first; None: the capture has none there.
    connection: Connection | None
    #: The whole, as a unified difference.
    lines: tuple[str, ...]


def golden_difference(path: str, inspection: Inspection) -> LadderDifference | None:
    """Return how the ladders differ from a golden text; None if they do not. Raises ExpectationError."""
    text = golden_text(path)
    seen = [*golden(inspection)]
    found = first_difference(text, seen)
    if found is None:
        return None
    connection = None if found.stream is None else inspection.connections[found.stream]
    expected, now = (_quoted(line) for line in (found.expected, found.seen))
    unmet = Unmet(f"line {found.line} of {path}", expected, now, _at(found.frame, connection, inspection))
    return LadderDifference(unmet, connection, tuple(unified(text, seen, path, "the capture")))


def golden_text(path: str) -> str:
    """Read a golden text. Raises ExpectationError."""
    try:
        return read_golden(path)
    except CaptureError as error:
        raise ExpectationError(str(error)) from None


def _at(frame: Frame | None, connection: Connection | None, inspection: Inspection) -> RowName | None:
    if connection is None or frame is None:
        return None
    return Subject(connection, inspection).at_frames([frame])


def _quoted(line: str | None) -> str:
    """Return a line with a short arrow, for readers who do not see the ladder."""
    if line is None:
        return "nothing more"
    words = re.sub("─+", "─", " ".join(line.split()))
    return f'"{words}"' if words else "an empty line"
