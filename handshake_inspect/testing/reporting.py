"""Additions to the report of a failure: the ladders of the captures that the test used, and the file of a live one.

In: the captures of a test's `Handshakes`. Out: sections of its report. A capture recorded while the test ran is copied
to a folder before it is removed, under a name made from that of the test.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.quantities import counted
from handshake_inspect.testing.drawing import from_here, ladder_text
from handshake_inspect.testing.handshakes import Capture
from handshake_inspect.views.escape import printable
from handshake_inspect.views.remarks import remarks

Section = tuple[str, str]

#: Most captures in a report, ladders of one capture, and lines of each.
MOST_CAPTURES, MOST_LADDERS, MOST_LINES = 3, 3, 150
#: Most characters of a file name, before a number and its ending: file systems allow 255 octets.
NAME_CHARACTERS = 150


class UsedCaptures:
    """The captures that a test uses."""

    def __init__(self, find: Callable[[str], Path]) -> None:
        #: Returns the path of a file that the test names.
        self.find = find
        self.captures: list[Capture] = []
        #: False once a phase of the test failed or was skipped.
        self.has_passed = True
        self._recorded = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_told = False

    def of_files(self, names: Sequence[str | os.PathLike[str]], profile: str | float) -> Capture:
        """Add existing capture files."""
        __tracebackhide__ = True
        files = {}
        for name in names:  # a comprehension would add a frame to the traceback
            if not isinstance(name, str | os.PathLike):
                kind = type(name).__name__
                raise TypeError(f'a capture is named by text or a path, no {kind}: handshakes("a.pcap", "b.pcap")')
            files[os.fspath(name)] = self.find(os.fspath(name))
        return self._added(Capture(files, profile=profile, find=self.find))

    def to_be_recorded(self, name: str, profile: str | float) -> Capture:
        """Add a capture about to be recorded, into a file that is removed with the test."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="handshake-inspect-")
        self._recorded += 1
        number = live_number(self._recorded)
        name = name if self._recorded == 1 else f"{name}, capture {self._recorded}"
        files = {name: Path(self._folder.name, f"capture{number}.pcapng")}
        return self._added(Capture(files, profile=profile, live_number=number, find=self.find))

    def _added(self, capture: Capture) -> Capture:
        self.captures.append(capture)
        return capture

    def sections(self, error: BaseException | None, node_id: str, folder: Path) -> Iterator[Section]:
        """Yield the sections for the report of a failure, once; live captures are kept in `folder`.

        All recorded captures are kept; the ladders are those of the captures recorded or read last.
        """
        if self._is_told or not self.captures:
            return
        self._is_told = True
        finished = [one for one in self.captures if not one.is_going_on]
        # A ladder does not explain an invalid expectation.
        is_drawn = isinstance(error, ExpectationError) or any(error is one.drawn_in for one in finished if error)
        for capture in self.captures:
            target = folder / kept_name(node_id, capture.live_number or "")
            try:
                if capture.is_going_on and not capture.has_begun:
                    continue
                if capture.is_going_on:
                    yield f"capture {printable(capture.name)}", f"it goes on; it will be {from_here(target)}"
                elif capture in finished[-MOST_CAPTURES:]:
                    files = [*capture.files.values()] if capture.live_number is None else [kept(capture, target)]
                    yield from sections_of(capture, files, is_drawn=is_drawn)
                elif capture.live_number is not None:
                    command = f"handshake-inspect show {shlex.quote(str(from_here(kept(capture, target))))}"
                    yield f"capture {printable(capture.name)}", command
            except Exception as problem:  # an error in a capture must not hide the failure of the test
                yield f"capture {printable(capture.name)}", one_line(problem)

    def keep_what_went_on(self, node_id: str, folder: Path) -> None:
        """Keep captures that were still being recorded when the test failed: their fixtures have ended now."""
        for capture in self.captures:
            target = folder / kept_name(node_id, capture.live_number or "")
            if capture.live_number is not None and not target.exists():
                with contextlib.suppress(OSError):
                    kept(capture, target)

    def remove_kept(self, node_id: str, folder: Path) -> None:
        """Remove captures kept of an earlier failure of this test."""
        for number in range(1, self._recorded + 1):
            (folder / kept_name(node_id, live_number(number))).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the recorded captures."""
        if self._folder is not None:
            self._folder.cleanup()


def sections_of(capture: Capture, files: list[Path], *, is_drawn: bool) -> Iterator[Section]:
    """Yield the ladders of some connections, and how to see all. `is_drawn`: the message of the failure has ladders.

    A failure is most likely about the connections accessed last; if none was accessed, the first ones are drawn.
    """
    inspection, name = capture.inspection, printable(capture.name)
    count = len(inspection.connections)
    streams = [*dict.fromkeys(reversed(capture.looked_at))] or inspection.connections.streams[:MOST_LADDERS].tolist()
    for connection in () if is_drawn else inspection.connections.of_streams(np.array(streams, np.int64)):
        lines = ladder_text(inspection, connection, capture.paths).splitlines()
        more = [f"… {counted(len(lines) - MOST_LINES, 'more line')}"] if len(lines) > MOST_LINES else []
        title = f"ladder of stream {connection.stream} of {printable(connection.capture)}"
        yield title, "\n".join([*lines[:MOST_LINES], *more])
    said = [*remarks(inspection.overview)]
    if not count:
        said.append("no TCP connection was captured")
    elif count > len(streams) and not is_drawn:
        said.append(f"{counted(count - len(streams), 'more connection')}")
    said.append(
        f"handshake-inspect {'show' if count == 1 else 'read'} {shlex.join(str(from_here(one)) for one in files)}"
    )
    yield f"capture {name}", "\n".join(said)


def kept(capture: Capture, target: Path) -> Path:
    """Copy a recorded capture to where it is kept, and return that path. Raises OSError."""
    (source,) = capture.files.values()
    folder = target.parent
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / ".gitignore").write_text("# made by handshake-inspect for captures of tests that failed\n*\n")
    shutil.copyfile(source, target)
    return target


def live_number(count: int) -> str:
    """Return the suffix of the name of a capture that a test records: "" for the first, then "~2" ...

    `file_name` never produces this sign, so names do not collide: `test_it[a-2]` and `test_it[a]` are different tests.
    """
    return "" if count == 1 else f"~{count}"


def kept_name(node_id: str, number: str) -> str:
    """Return the name of the file that keeps a capture of a test."""
    return f"{file_name(node_id)}{number}.pcapng"


def file_name(node_id: str) -> str:
    """Make a file name from the name of a test: `tests-test_echo.py-test_it-closed`. It is unique to the test.

    Where characters are lost that might distinguish tests, part of a hash is added.
    """
    name = re.sub(r"::|[^\w.=+,@]", "-", node_id.removesuffix("]"), flags=re.ASCII)
    if re.fullmatch(r"[\w./:]+(\[[\w.=+,@]*\])?", node_id, re.ASCII) and len(name) <= NAME_CHARACTERS:
        return name
    return f"{name[:NAME_CHARACTERS]}-{hashlib.sha256(node_id.encode()).hexdigest()[:8]}"


def one_line(error: Exception) -> str:
    """Return the message of an error, safe to print, in one line."""
    return printable(" ".join(str(error).split()) or type(error).__name__)
