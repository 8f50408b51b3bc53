"""Checks captures, each against its expectations; one that cannot be used is reported and left out.

In: names of files, expectations of the command line, or files of them. Out: a `CheckedCapture` after the other, with
the ladders of the first connections that failed; a `CheckedRun` of them all, and of what could not be used.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.cli.captures import FilesRead, inspect_files
from handshake_inspect.cli.choose import Choice
from handshake_inspect.cli.drawing import LadderSettings, draw
from handshake_inspect.cli.naming import NamedFiles, is_capture, refuse_overwriting
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.expect import written
from handshake_inspect.expect.beside import beside, beside_all
from handshake_inspect.expect.checked import CheckedCapture, CheckedRun, Unusable
from handshake_inspect.expect.expectations import Expectations
from handshake_inspect.expect.matching import AllMet, outcomes
from handshake_inspect.expect.places import ExpectationError, Place
from handshake_inspect.inspection import Inspection
from handshake_inspect.there import is_there
from handshake_inspect.views.address_names import names_of_ends
from handshake_inspect.views.escape import printable
from handshake_inspect.views.remarks import remarks

T = TypeVar("T")


@dataclass
class Checker:
    """Checks the captures of one run of the command."""

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
    jobs: int | None
    #: Keep the results of checks that are met, too.
    keep_all: bool
    #: Ladders that may still be drawn.
    ladders_left: int
    run: CheckedRun = field(default_factory=CheckedRun)

    @property
    def exit_code(self) -> int:
        """0, 1 if something is not as expected, 2 if something could not be used, 130 after Ctrl-C."""
        run = self.run
        return 130 if run.interrupted else 2 if run.unusable else int(run.failed_captures > 0)

    def each(self, groups: Iterable[Sequence[str]]) -> Iterator[CheckedCapture]:
        """Check runs of captures, one after the other, up to Ctrl-C; yield those that could be used."""
        for files in groups:
            capture = self.check(files)
            if capture is not None:
                self.run.captures.append(capture)
                yield capture
            if self.run.interrupted:
                return

    def check(self, files: Sequence[str]) -> CheckedCapture | None:
        """Check captures that are one run; None if they cannot be used, after this was reported.

        Nor is one checked that Ctrl-C cut: what is not there yet would be called wrong.
        """
        begin, name = time.monotonic(), " + ".join(files)
        try:
            expected = [one.ignoring(self.ignored) for one in self._expectations(files)]
        except ExpectationError as error:
            self._refuse(files[0], error)
            return None
        reading = inspect_files(files, self.reader, profile=self.profile, jobs=self.jobs)
        self._note(files, reading)
        if reading.useless or reading.interrupted:
            return None
        capture = CheckedCapture(name, [one.source for one in expected], files=[*files])
        try:
            for one in expected:
                for check, seconds in _timed(outcomes(one, reading.inspection, each=self.keep_all)):
                    if isinstance(check, AllMet):
                        capture.add_met(check)
                    else:
                        capture.add(check, keep_all=self.keep_all, seconds=seconds)
        except (ExpectationError, CaptureError) as error:  # what was checked before is told
            self._refuse(files[0], error)
        self._draw(capture, reading.inspection)
        capture.seconds = time.monotonic() - begin
        said = remarks(reading.inspection.overview, udp_listed=True, findings_listed=True, empty_listed=True)
        own = f"{printable(name)}: "
        capture.remarks = [line if line.startswith(own) else f"{own}{line}" for line in said]
        for line in capture.remarks:
            remark(line)
        return capture

    def refuse_overwriting(self, files: Sequence[str], target: str | None) -> None:
        """Raise click.BadParameter if the report would take the place of what is read."""
        refuse_overwriting(files, target, "--output")
        expectations = (beside(file) for file in files if file != "-")
        read = [self.expect] if self.expect is not None else map(str, expectations)
        refuse_overwriting(read, target, "--output", "the file of expectations")

    def refused(self, named: NamedFiles) -> None:
        """Note names that could not be used, and files of expectations whose capture does not exist."""
        self.run.unusable += [Unusable(name, f"{name}: {why}") for name, why in named.failed]
        for path in sorted({*map(Path, named.expectations)} - {beside(file) for file in named.files}):
            self._refuse(str(path), ExpectationError.at(Place(str(path)), "there is no capture beside it to check"))

    def _refuse(self, name: str, error: Exception) -> None:
        """Report what cannot be used; a file for all captures only once."""
        place = error.place if isinstance(error, ExpectationError) else None
        if str(error) not in {one.message for one in self.run.unusable}:
            remark(f"Error: {error}")
        self.run.unusable.append(Unusable(name, str(error), place))

    def _note(self, files: Sequence[str], reading: FilesRead) -> None:
        """Note the captures of a run that could not be used; they have been reported."""
        for error in reading.failed:
            name = next((file for file in files if str(error).startswith(f"{file}:")), files[0])
            self.run.unusable.append(Unusable(name, str(error)))
        absence = None if reading.useless else self.chosen.absence(reading.inspection)
        if absence is not None:
            remark(f"Error: {absence}")
            self.run.unusable.append(Unusable(files[0], absence))
        if reading.interrupted:
            self.run.interrupted = True
            self.run.unusable.append(Unusable(files[0], f"{files[0]}: interrupted: what comes behind was not read"))

    def _expectations(self, files: Sequence[str]) -> Iterator[Expectations]:
        """Yield the expectations of the command line and of a file. Raises ExpectationError if there are none."""
        first = files[0]
        path = Path(self.expect) if self.expect is not None else beside_all(files)
        if path is not None and (self.expect is not None or is_there(path)):
            yield written.read(path)
            if self.asked is not None:
                yield self.asked.beside_others()
        elif self.asked is not None:
            yield self.asked
        elif path is None:
            what = "-: nothing is beside it" if len(files) == 1 else "--together: nothing is beside several captures"
            raise ExpectationError(f"{what} that says what to expect; name a file with --expect")
        elif is_capture(first) and is_there(first):  # else reading it says why it cannot be used
            hint = f"handshake-inspect check --record {first}"
            raise ExpectationError(f"{first}: there is no {path} beside it that says what to expect; {hint}")

    def _draw(self, capture: CheckedCapture, inspection: Inspection) -> None:
        """Draw the first connections that failed, with remarks at the rows that differ."""
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
            capture.ladders[stream] = draw(
                connection, steps, LadderSettings(), paths=paths, names=names, marks=marks
            ).lines


def _timed(found: Iterator[T]) -> Iterator[tuple[T, float]]:
    """Yield each check with the seconds that it took: checks are made one by one, as the iterator advances."""
    begin = time.monotonic()
    for check in found:
        yield check, time.monotonic() - begin
        begin = time.monotonic()
