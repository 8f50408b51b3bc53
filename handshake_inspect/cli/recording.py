"""Records the expectations of captures in files beside them, and updates these files.

In: names of captures. Out: files of expectations; on standard output what was written, or how a file was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import click

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.cli.captures import inspect_files, report
from handshake_inspect.cli.output import write
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.expect import written
from handshake_inspect.expect.beside import beside_all
from handshake_inspect.expect.claims import Unmet
from handshake_inspect.expect.ladders import golden_text
from handshake_inspect.expect.matching import checks
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.expect.recording import document, toml
from handshake_inspect.expect.updating import updated
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted
from handshake_inspect.there import is_there
from handshake_inspect.views.escape import printable
from handshake_inspect.views.golden import golden


@dataclass
class Recorder:
    """Records and updates the expectations of the captures of one run of the command."""

    #: A file of expectations for the captures; None: that beside each.
    expect: str | None
    #: A file of golden text: that is written then, and no expectations.
    golden: str | None
    profile: str
    reader: str
    jobs: int | None
    #: 0, 2 if something could not be used or written, 130 after Ctrl-C.
    exit_code: int = 0

    def record(self, groups: Sequence[Sequence[str]]) -> int:
        """Write a file of expectations for each of these runs, which has none yet. Returns the exit code."""
        return self._each(groups, self._record)

    def update(self, groups: Sequence[Sequence[str]]) -> int:
        """Change the files of expectations of these runs. Returns the exit code."""
        return self._each(groups, self._update)

    def _each(
        self, groups: Sequence[Sequence[str]], do: Callable[[Sequence[str], Path, Inspection], Iterator[str]]
    ) -> int:
        for option, file in (("--expect", self.expect), ("--golden", self.golden)):
            if file is not None and len(groups) > 1:
                raise click.UsageError(f"{option} {file} is one file, and here are {len(groups)} captures")
        for files in groups:
            try:
                path = self._path(files)
                reading = inspect_files(files, self.reader, profile=self.profile, jobs=self.jobs)
                self.exit_code = max(self.exit_code, reading.exit_code)
                if reading.interrupted:  # half a capture is nothing to go by
                    break
                if not reading.useless:
                    write(do(files, path, reading.inspection))
                    report(reading.inspection, udp_listed=True)
            except (ExpectationError, CaptureError) as error:
                remark(f"Error: {error}")
                self.exit_code = max(self.exit_code, 2)
        return self.exit_code

    def _path(self, files: Sequence[str]) -> Path:
        if self.golden is not None:
            return Path(self.golden)
        path = beside_all(files) if self.expect is None else Path(self.expect)
        if path is None:
            what = "standard input" if len(files) == 1 else "several captures together"
            raise ExpectationError(f"nothing can be beside {what}: name a file with --expect")
        return path

    def _record(self, files: Sequence[str], path: Path, inspection: Inspection) -> Iterator[str]:
        if is_there(path):
            raise ExpectationError(f"{path}: it is there; --update brings it up to what the capture shows")
        _write(path, self._text(files, inspection))
        recorded = f"{counted(len(inspection.connections), 'connection')} of {' + '.join(files)} recorded"
        yield printable(f"{path}: {recorded}") + "\n"

    def _update(self, files: Sequence[str], path: Path, inspection: Inspection) -> Iterator[str]:
        unmet: dict[str, Unmet] = {}
        if self.golden is None:
            if not is_there(path):
                raise ExpectationError(f"{path}: there is none to bring up to date; --record writes it")
            expected, before = written.read(path), written.text_of(path)
            after = updated(before, expected, inspection)
            left = written.understood(after, str(path))
            unmet = {str(one.place): one.unmet for check in checks(left, inspection) for one in check.failures}
        else:
            before, after = golden_text(self.golden), self._text(files, inspection)
        if after != before:
            _write(path, after)
            for line in unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""):
                yield printable(line) + "\n"
        if unmet:
            self.exit_code = max(self.exit_code, 1)
        elif after == before:
            yield printable(f"{path}: as {' + '.join(files)} shows it") + "\n"
        for place, one in unmet.items():
            yield printable(f"{place}: {one.short}: change this by hand") + "\n"

    def _text(self, files: Sequence[str], inspection: Inspection) -> str:
        """Return the new text of the file."""
        if self.golden is not None:
            return "".join(f"{line.text}\n" for line in golden(inspection))
        return toml(document(inspection), " + ".join(Path(file).name for file in files))


def _write(path: Path, text: str) -> None:
    """Write a file whole. Raises ExpectationError."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ExpectationError(f"{path}: cannot be written: {error.strerror or error}") from None
