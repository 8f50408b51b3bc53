"""Writes what is expected of captures beside them, and brings it up to what they show now.

In: names of captures. Out: files of expectations; on standard output what was written, or how a file was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from handshake_inspect.cli.captures import inspect_files, report
from handshake_inspect.cli.output import remark, write
from handshake_inspect.expect import written
from handshake_inspect.expect.expectations import ExpectationError
from handshake_inspect.expect.ladders import golden_text
from handshake_inspect.expect.recording import document, toml
from handshake_inspect.expect.updating import updated
from handshake_inspect.inspection import Inspection
from handshake_inspect.quantities import counted
from handshake_inspect.views.escape import printable
from handshake_inspect.views.golden import golden


@dataclass
class Recorder:
    """What all captures of one run of the command share."""

    #: A file of expectations for the captures; None: that beside each.
    expect: str | None
    #: A file of golden text: that is written then, and no expectations.
    golden: str | None
    profile: str
    reader: str
    #: 0, 2 if something could not be used or written, 130 after Ctrl-C.
    exit_code: int = 0

    def record(self, groups: Sequence[Sequence[str]]) -> int:
        """Write a file of expectations for each of these runs, which has none yet. Returns the exit code."""
        return self._each(groups, self._record)

    def update(self, groups: Sequence[Sequence[str]]) -> int:
        """Change the files of expectations of these runs. Returns the exit code."""
        return self._each(groups, self._update)

    def _each(self, groups: Sequence[Sequence[str]], do: Callable[[str, Path, Inspection], Iterator[str]]) -> int:
        for files in groups:
            path = self._path(files[0])
            try:
                reading = inspect_files(files, self.reader, profile=self.profile)
                self.exit_code = max(self.exit_code, reading.exit_code)
                if not reading.useless:
                    write(do(" + ".join(files), path, reading.inspection))
                    report(reading.inspection, udp_listed=True)
            except ExpectationError as error:
                remark(f"Error: {error}")
                self.exit_code = max(self.exit_code, 2)
        return self.exit_code

    def _path(self, first: str) -> Path:
        if self.golden is not None:
            return Path(self.golden)
        if self.expect is None and first == "-":
            raise ExpectationError("-: nothing can be beside standard input; name a file with --expect")
        return written.beside(first) if self.expect is None else Path(self.expect)

    def _record(self, name: str, path: Path, inspection: Inspection) -> Iterator[str]:
        if path.exists():
            raise ExpectationError(f"{path}: it is there; --update brings it up to what the capture shows")
        _write(path, self._text(name, inspection))
        yield printable(f"{path}: {counted(len(inspection.connections), 'connection')} of {name} recorded") + "\n"

    def _update(self, name: str, path: Path, inspection: Inspection) -> Iterator[str]:
        if self.golden is None:
            expected = written.read(path)
            before = path.read_text(encoding="utf-8")
            after = updated(before, expected, inspection)
        else:
            before, after = golden_text(self.golden), self._text(name, inspection)
        if after == before:
            yield printable(f"{path}: as {name} shows it") + "\n"
            return
        _write(path, after)
        for line in unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""):
            yield printable(line) + "\n"

    def _text(self, name: str, inspection: Inspection) -> str:
        """Return what is expected from now on."""
        if self.golden is not None:
            return "".join(f"{line.text}\n" for line in golden(inspection))
        return toml(document(inspection), Path(name).name)


def _write(path: Path, text: str) -> None:
    """Write a file whole. Raises ExpectationError."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ExpectationError(f"{path}: cannot be written: {error.strerror or error}") from None
