"""Prints the results of checks: as text while they are made, and as a report for machines at the end.

In: a `CheckedCapture` after the other, a `CheckedRun` at the end. Out: text on standard output, or a report there; with
a file for the report both. A report is whole or not at all, and always in UTF-8.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.writing.output import Output
from handshake_inspect.cli.closed_pipe import readers_may_leave
from handshake_inspect.cli.output import write_lines
from handshake_inspect.expect.checked import CheckedCapture, CheckedRun
from handshake_inspect.expect.reports import as_json, github, junit, tap, text

#: Ladders in the text, so that many failures do not bury each other; the lines name them all.
MOST_LADDERS = 3
#: Ladders in a report, where each stands beside its failure.
MOST_LADDERS_REPORTED = 100


@dataclass
class Reporting:
    """The output of one run of the command."""

    format_: str
    #: Where the report goes; None: to standard output.
    output: str | None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _ladders_left: int = MOST_LADDERS

    @property
    def is_text_only(self) -> bool:
        """Is text the only output?"""
        return self.format_ == "text"

    @property
    def ladders(self) -> int:
        """The most ladders that have to be drawn."""
        return MOST_LADDERS if self.is_text_only else MOST_LADDERS_REPORTED

    @property
    def _text_is_told(self) -> bool:
        """Is text printed to standard output while checks are made?"""
        return self.is_text_only or self.output is not None

    def tell(self, capture: CheckedCapture) -> None:
        """Print the failures of one capture."""
        if self._text_is_told:
            with readers_may_leave():
                write_lines(text.capture_lines(capture, self._ladders_left))
            self._ladders_left = max(0, self._ladders_left - len(capture.ladders))

    def end(self, run: CheckedRun) -> None:
        """Print the summary, and write the report. Raises CaptureError."""
        if self._text_is_told and run.captures:
            with readers_may_leave():
                write_lines([text.sum_line(run)])
        if self.output is not None:
            _save(self.output, "".join(self._report(run)))
        elif not self.is_text_only:
            with readers_may_leave():
                sys.stdout.flush()
                sys.stdout.buffer.write("".join(self._report(run)).encode())
        if self.format_ == "github":
            _add_to_summary(run)

    def _report(self, run: CheckedRun) -> Iterator[str]:
        if self.format_ == "json":
            return as_json.document(run)
        if self.format_ == "junit":
            return junit.document(run, self.began, platform.node())
        if self.format_ == "tap":
            return tap.document(run)
        if self.format_ == "github":
            return self._annotated(run)
        return _plain(run)

    def _annotated(self, run: CheckedRun) -> Iterator[str]:
        """Yield annotations; where they are in the log of a job, behind the text, which somebody may read there."""
        if self.output is None:
            yield github.guarded("".join(_plain(run)))
        yield from github.annotate(run, Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()))


def _plain(run: CheckedRun) -> Iterator[str]:
    return (line.plain + "\n" for line in text.lines(run, MOST_LADDERS))


def _save(path: str, report: str) -> None:
    """Write a report in one piece. Raises CaptureError."""
    output = Output(path)
    output.put(report.encode())
    output.close()


def _add_to_summary(run: CheckedRun) -> None:
    """Add a summary to the page of the CI job, if there is one, as far as it has room. Raises CaptureError."""
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    if not named:
        return
    path = Path(named)
    try:
        room = github.MOST_SUMMARY - (path.stat().st_size if path.exists() else 0)
        with path.open("ab") as opened:
            opened.write(github.summary(run, room).encode())
    except OSError as error:
        raise CaptureError(f"GITHUB_STEP_SUMMARY: {named}: cannot be written: {error.strerror or error}") from None
