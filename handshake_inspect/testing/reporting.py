"""What a report of a failure gets: the ladders of the captures that the test used, and where a live one is kept.

In: a test's `Handshakes`, as they were made. Out: sections of its report. A capture that was recorded while the test
ran is copied to a folder before it goes, under a name that comes from the test's.
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

#: Captures that a report shows, ladders of one capture, and lines of each.
MOST_CAPTURES, MOST_LADDERS, MOST_LINES = 3, 3, 150
#: A file name has 255 octets at most on every file system; a number and its ending come behind.
NAME_CHARACTERS = 150


class UsedCaptures:
    """The captures that a test uses."""

    def __init__(self, find: Callable[[str], Path]) -> None:
        #: Knows where a file is that the test names.
        self.find = find
        self.captures: list[Capture] = []
        #: So far nothing of the test failed, nor was it skipped.
        self.has_passed = True
        self._recorded = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_told = False

    def of_files(self, names: Sequence[str | os.PathLike[str]], profile: str | float) -> Capture:
        """Add captures that exist."""
        __tracebackhide__ = True
        files = {}
        for name in names:  # no comprehension, which is a frame of the traceback
            if not isinstance(name, str | os.PathLike):
                kind = type(name).__name__
                raise TypeError(f'a capture is named by text or a path, no {kind}: handshakes("a.pcap", "b.pcap")')
            files[os.fspath(name)] = self.find(os.fspath(name))
        return self._added(Capture(files, profile=profile, find=self.find))

    def to_be_recorded(self, name: str, profile: str | float) -> Capture:
        """Add a capture that is about to be recorded, into a file that goes with the test."""
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
        """Yield what a report of a failure gets, once; `folder` is where live captures are kept.

        All that was recorded is kept; the ladders are those of the captures that were made or read last.
        """
        if self._is_told or not self.captures:
            return
        self._is_told = True
        finished = [one for one in self.captures if not one.is_going_on]
        # Of an expectation that is none, a ladder tells nothing.
        is_drawn = isinstance(error, ExpectationError) or any(error is one.drawn_in for one in finished if error)
        for capture in self.captures:
            target = folder / kept_name(node_id, capture.live_number or "")
            try:
                if capture.is_going_on:
                    yield f"capture {printable(capture.name)}", f"it goes on; it will be {from_here(target)}"
                elif capture in finished[-MOST_CAPTURES:]:
                    files = [*capture.files.values()] if capture.live_number is None else [kept(capture, target)]
                    yield from sections_of(capture, files, is_drawn=is_drawn)
                elif capture.live_number is not None:
                    command = f"handshake-inspect show {shlex.quote(str(from_here(kept(capture, target))))}"
                    yield f"capture {printable(capture.name)}", command
            except Exception as problem:  # whatever is wrong with a capture, the failure of the test is reported
                yield f"capture {printable(capture.name)}", one_line(problem)

    def keep_what_went_on(self, node_id: str, folder: Path) -> None:
        """Keep what was still being recorded when the test failed: its fixtures have ended now."""
        for capture in self.captures:
            target = folder / kept_name(node_id, capture.live_number or "")
            if capture.live_number is not None and not target.exists():
                with contextlib.suppress(OSError):
                    kept(capture, target)

    def remove_kept(self, node_id: str, folder: Path) -> None:
        """Remove what was kept of this test when it failed at another time."""
        for number in range(1, self._recorded + 1):
            (folder / kept_name(node_id, live_number(number))).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of what was recorded."""
        if self._folder is not None:
            self._folder.cleanup()


def sections_of(capture: Capture, files: list[Path], *, is_drawn: bool) -> Iterator[Section]:
    """Yield the ladders of some connections, and how to see all. `is_drawn`: the message of the failure has ladders.

    The test fails of those that it looked at last, most likely; if it looked at none, the first ones are drawn.
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
    """Copy a capture that was recorded to where it stays; return that. Raises OSError."""
    (source,) = capture.files.values()
    folder = target.parent
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / ".gitignore").write_text("# made by handshake-inspect for captures of tests that failed\n*\n")
    shutil.copyfile(source, target)
    return target


def live_number(count: int) -> str:
    """Return how the names of the captures that a test records tell them apart: the first has "", others "~2" ...

    No name that `file_name` makes has this sign: `test_it[a-2]` is another test than `test_it[a]`.
    """
    return "" if count == 1 else f"~{count}"


def kept_name(node_id: str, number: str) -> str:
    """Return the name of the file that keeps a capture of a test."""
    return f"{file_name(node_id)}{number}.pcapng"


def file_name(node_id: str) -> str:
    """Make a file's name of a test's: `tests-test_echo.py-test_it-closed`. No two tests have the same.

    Where characters are lost that may tell tests apart, a part of a hash does.
    """
    name = re.sub(r"::|[^\w.=+,@]", "-", node_id.removesuffix("]"), flags=re.ASCII)
    if re.fullmatch(r"[\w./:]+(\[[\w.=+,@]*\])?", node_id, re.ASCII) and len(name) <= NAME_CHARACTERS:
        return name
    return f"{name[:NAME_CHARACTERS]}-{hashlib.sha256(node_id.encode()).hexdigest()[:8]}"


def one_line(error: Exception) -> str:
    """Return what an error says, safe to print."""
    return printable(" ".join(str(error).split()) or type(error).__name__)
