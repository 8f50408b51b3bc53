"""Checks captures, each with what is expected of it: one that cannot be used does not spoil the others.

In: names of files, expectations of the command line, or files of them. Out: a `CheckedCapture` after the other, with
the ladders of the first connections that failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.cli.captures import INTERRUPTED, inspect_files
from handshake_inspect.cli.choose import Choice
from handshake_inspect.cli.drawing import Look, draw, names_of_ends
from handshake_inspect.cli.output import remark
from handshake_inspect.expect import written
from handshake_inspect.expect.checked import CheckedCapture
from handshake_inspect.expect.expectations import ExpectationError, Expectations
from handshake_inspect.expect.matching import checks
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.escape import printable
from handshake_inspect.views.remarks import remarks

#: Ladders drawn in all, so that many failures do not bury each other; the lines name them all.
MOST_LADDERS = 3


@dataclass
class Checker:
    """What all captures of one run of the command share."""

    #: Of the command line; None: nothing is asked there.
    asked: Expectations | None
    #: For which connections.
    chosen: Choice
    #: A file of expectations for every capture; None: that beside each.
    expect: str | None
    #: Codes of findings that may always be.
    ignored: frozenset[str]
    profile: str
    reader: str
    #: Are checks kept that are met?
    keep_all: bool
    ladders_left: int = MOST_LADDERS
    #: 0, 2 if something could not be used, 130 after Ctrl-C.
    exit_code: int = 0
    _refused: set[str] = field(default_factory=set)

    def check(self, name: str, files: Sequence[str]) -> CheckedCapture | None:
        """Check captures that are one run; None if they cannot be used, which has been said.

        Nor is one checked that Ctrl-C cut: what is not there yet would be called wrong.
        """
        begin = time.monotonic()
        try:
            expected = [one.ignoring(self.ignored) for one in self._expectations(files)]
            reading = inspect_files(files, self.reader, profile=self.profile)
            self.exit_code = max(self.exit_code, reading.exit_code)
            if reading.useless or reading.interrupted:
                return None
            capture = CheckedCapture(name, [one.source for one in expected])
            for one in expected:
                for check in checks(one, reading.inspection):
                    capture.add(check, keep_all=self.keep_all)
        except (ExpectationError, CaptureError) as error:
            self.refuse(str(error))
            return None
        self.exit_code = max(self.exit_code, self.chosen.absent_streams(reading.inspection))
        self._draw(capture, reading.inspection)
        capture.seconds = time.monotonic() - begin
        for line in remarks(reading.inspection, udp_listed=True, findings_listed=True, empty_listed=True):
            remark(line if line.startswith(f"{printable(name)}: ") else f"{printable(name)}: {line}")
        return capture

    @property
    def is_interrupted(self) -> bool:
        """Did Ctrl-C come?"""
        return self.exit_code == INTERRUPTED

    def refuse(self, message: str) -> None:
        """Say what cannot be used; of a file for all captures once."""
        if message not in self._refused:
            remark(f"Error: {message}")
        self._refused.add(message)
        self.exit_code = max(self.exit_code, 2)

    def _expectations(self, files: Sequence[str]) -> Iterator[Expectations]:
        """Yield what is expected: by the command line, by a file. Raises ExpectationError if by nobody."""
        first = files[0]
        path = Path(self.expect) if self.expect is not None else None if first == "-" else written.beside(first)
        if path is not None and (self.expect is not None or path.exists()):
            yield written.read(path)
        elif self.asked is None and path is None:
            raise ExpectationError(f"{first}: nothing is beside it that says what to expect; name a file with --expect")
        elif self.asked is None and Path(first).exists():  # else reading it says why not
            hint = f"handshake-inspect check --record {first}"
            raise ExpectationError(f"{first}: there is no {path} beside it that says what to expect; {hint}")
        if self.asked is not None:
            yield self.asked

    def _draw(self, capture: CheckedCapture, inspection: Inspection) -> None:
        """Draw the first connections that failed, with the rows marked that went another way."""
        paths = {one.name: one.name for one in inspection.captures if Input(one.name).is_file}
        for stream, connection in capture.failed_streams.items():
            if not self.ladders_left:
                return
            self.ladders_left -= 1
            names, marks = names_of_ends(inspection, connection), capture.marks_of(stream)
            try:
                steps = inspection.steps(stream)
            except CaptureError as error:  # it came through a pipe, and is long
                remark(f"{error}; no ladder of stream {stream}")
                continue
            capture.ladders[stream] = draw(connection, steps, Look(), paths=paths, names=names, marks=marks)
