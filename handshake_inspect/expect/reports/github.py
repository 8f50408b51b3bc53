"""For GitHub: annotations that stand in a pull request at the line of the expectation, and the summary of a job.

In: a `CheckedRun`. Out: workflow commands, Markdown. Read first: docs.github.com, "Workflow commands for
GitHub Actions".
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from handshake_inspect.expect.checked import CheckedCapture, CheckedRun
from handshake_inspect.expect.places import Place
from handshake_inspect.expect.reports.text import sum_line
from handshake_inspect.quantities import counted
from handshake_inspect.views.escape import printable

#: Annotations of one kind that GitHub shows of a step.
MOST_ANNOTATIONS = 10
#: Octets that the summary of a step may have; GitHub shows nothing of a longer one.
MOST_SUMMARY = 1 << 20


def annotate(run: CheckedRun, root: Path) -> Iterator[str]:
    """Yield the annotations of a run; those that GitHub would not show are counted in the last one.

    `root`: the folder of the repository, to which paths are relative.
    """
    every = [*_failures(run, root), *_unusable(run, root)]
    shown = every if len(every) <= MOST_ANNOTATIONS else every[: MOST_ANNOTATIONS - 1]
    yield from shown
    if len(shown) < len(every):
        left = counted(len(every) - len(shown), "more failure")
        yield _command({"title": "handshake-inspect"}, f"{left}: the log of this step names them all")


def _failures(run: CheckedRun, root: Path) -> Iterator[str]:
    for capture in run.captures:
        for _, failure, message in capture.messages():
            place = _place(failure.place, capture.files[0], root)
            yield _command({**place, "title": f"{capture.name}: {failure.unmet.key}"}, message)


def _unusable(run: CheckedRun, root: Path) -> Iterator[str]:
    for one in run.unusable:
        place = _place(one.place, one.name, root)
        yield _command({**place, "title": f"{one.name}: it cannot be used"}, one.message)


def _place(place: Place | None, capture: str, root: Path) -> dict[str, str]:
    """Return the properties for the place: that of the expectation, or the capture if that is in no file."""
    file = (place.file if place is not None else None) or capture
    if file == "-":
        return {}
    line = {} if place is None or place.line is None else {"line": str(place.line)}
    return {"file": _relative(file, root), **line}


def _relative(file: str, root: Path) -> str:
    """Return the path of a file in the repository; the path as given if it lies elsewhere."""
    path = Path(os.path.normpath(Path.cwd() / file))
    return (path.relative_to(root) if path.is_relative_to(root) else Path(file)).as_posix()


def _command(properties: dict[str, str], message: str) -> str:
    """Write an error as a workflow command."""
    said = ",".join(f"{name}={_property(printable(value))}" for name, value in properties.items())
    return f"::error {said}::{_data(printable(message))}\n"


def _data(text: str) -> str:
    """Escape a message for the runner."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape the value of a property: the runner splits properties at commas, and the message off at colons."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def guarded(text: str) -> str:
    """Return text for the log without anything that the runner would take for a command.

    The word that ends it is made from the text, so that the text cannot have it and every run prints the same.
    """
    word = hashlib.sha256(text.encode()).hexdigest()[:32]
    return f"::stop-commands::{word}\n{text}::{word}::\n"


def summary(run: CheckedRun, room: int = MOST_SUMMARY) -> str:
    """Return Markdown for the page of the job: failures and ladders, at most `room` octets."""
    pieces, left = [], room
    for piece in _summary(run):
        left -= len(piece.encode())
        if left < 0:
            break
        pieces.append(piece)
    return "".join(pieces)


def _summary(run: CheckedRun) -> Iterator[str]:
    result = sum_line(run).plain if run.captures else "nothing could be checked"
    yield f"### handshake-inspect: {result}\n\n"
    if run.unusable:
        yield _fenced("\n".join(printable(one.message) for one in run.unusable))
    for capture in run.captures:
        yield from _capture_summary(capture)
    remarks = [line for capture in run.captures for line in capture.remarks]
    if remarks:
        yield _fenced("\n".join(remarks))


def _capture_summary(capture: CheckedCapture) -> Iterator[str]:
    messages = [printable(message) for _, _, message in capture.messages()]
    if messages:
        yield _fenced("\n".join(messages))
    for ladder in capture.ladders.values():
        yield _fenced("\n".join(printable(line.plain) for line in ladder))


def _fenced(text: str) -> str:
    """Return text in a code block whose fence is longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}\n\n"
