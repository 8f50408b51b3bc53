"""`Handshakes`: the connections of a capture, for assertions in tests.

In: capture files. Out: connections, selected as on the command line, and assertions whose messages show the ladder. It
is a sequence of connections, so that `len`, indices and loops work; nothing is inspected before the first access.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from operator import eq
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.connection import Connection
from handshake_inspect.expect import written
from handshake_inspect.expect.beside import beside_all
from handshake_inspect.expect.checked import CheckedCapture
from handshake_inspect.expect.expectations import Expectations
from handshake_inspect.expect.matching import checks
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.expect.selecting import Selecting
from handshake_inspect.expect.understanding import SELECTOR_KEYS, expect
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.quantities import counted, listed
from handshake_inspect.tcp.time_wait import profile_of
from handshake_inspect.testing.drawing import from_here, ladder_text, list_text
from handshake_inspect.views.escape import printable

#: pytest shows the line of the test, and no lines of this module.
__tracebackhide__ = True

P = ParamSpec("P")
R = TypeVar("R")

#: Latest connections accessed, which a failure is probably about; and most ladders in a message.
MOST_LOOKED_AT = MOST_DRAWN = 3


def in_one_line(function: Callable[P, R]) -> Callable[P, R]:
    """Remove the traceback from errors whose message suffices: the frames of the engine do not help a test."""

    @wraps(function)
    def told(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return function(*arguments, **named)
        except (CaptureError, ExpectationError) as error:
            raise error.with_traceback(None) from None

    return told


def _profile_named(name: str | float) -> str:
    """Return the name of a profile that exists. Raises ValueError."""
    try:
        return profile_of(name).name
    except ValueError as error:
        raise ValueError(f"profile: {error}") from None


class Capture:
    """Captures that are inspected as one run, on first access."""

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        profile: str | float = "linux",
        live_number: str | None = None,
        find: Callable[[str], Path] = Path,
    ) -> None:
        #: Paths by the names used in messages.
        self.files = files
        self.name = listed([*files])
        self.profile = _profile_named(profile)
        #: Returns the path of a file that a test names.
        self.find = find
        #: Suffix of a capture recorded while a test runs: "" for the first, "~2", "~3" ... for others; None for a file.
        self.live_number = live_number
        #: Is it still being recorded?
        self.is_going_on = live_number is not None
        #: Streams of the connections accessed last, one by one.
        self.looked_at = deque[int](maxlen=MOST_LOOKED_AT)
        #: The failure whose message already contains ladders.
        self.drawn_in: AssertionError | None = None
        #: Made on first access.
        self._inspection: Inspection | None = None

    @property
    @in_one_line
    def inspection(self) -> Inspection:
        """The inspection of the captures. Raises CaptureError if one cannot be used."""
        if self.is_going_on:
            raise CaptureError(f"{self.name}: is still being captured; ask after the with block")
        if self._inspection is None:
            inspector = Inspector(profile=self.profile)
            inspector.read([Input(path, name=name) for name, path in self.files.items()])
            self._inspection = inspector.result()
        return self._inspection

    @property
    def has_begun(self) -> bool:
        """Are its files there? That of a recording is made as it begins."""
        return all(path.exists() for path in self.files.values())

    @property
    def paths(self) -> dict[str, str]:
        """The path of each file, by its name."""
        return {name: str(path) for name, path in self.files.items()}


class Handshakes(Sequence[Connection]):
    """The connections of a capture, or some of them, in order of stream."""

    def __init__(self, capture: Capture, chosen: NDArray[np.int64] | None = None, chosen_by: str = "") -> None:
        self.capture = capture
        self._chosen = chosen
        #: How they were selected: "port = 8000"; "" for all.
        self.chosen_by = chosen_by

    @property
    def inspection(self) -> Inspection:
        """The result of `inspect()`: findings, UDP exchanges, damage, TIME-WAIT."""
        return self.capture.inspection

    @property
    def streams(self) -> NDArray[np.int64]:
        """Numbers of the connections."""
        return self.inspection.connections.streams if self._chosen is None else self._chosen

    @property
    def connections(self) -> list[Connection]:
        """The connections."""
        return list(self._each())

    def __len__(self) -> int:
        return len(self.streams)

    @overload
    def __getitem__(self, index: int) -> Connection: ...
    @overload
    def __getitem__(self, index: slice) -> list[Connection]: ...
    def __getitem__(self, index: int | slice) -> Connection | list[Connection]:
        of_streams = self.inspection.connections.of_streams
        if isinstance(index, slice):
            return list(of_streams(self.streams[index]))
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name}: there is no connection {index}: it has {len(self):,}")
        return self._looked_at(next(of_streams(self.streams[[index]])))

    def __iter__(self) -> Iterator[Connection]:
        return map(self._looked_at, self._each())

    def _each(self) -> Iterator[Connection]:
        return self.inspection.connections.of_streams(self.streams)

    def _looked_at(self, connection: Connection) -> Connection:
        """Record the access to a connection."""
        self.capture.looked_at.append(connection.stream)
        return connection

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Handshakes | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        try:
            what = "being captured" if self.capture.is_going_on else counted(len(self), "connection")
        except CaptureError:
            what = "cannot be used"
        return f"<Handshakes of {self.name}: {what}>"

    @property
    def name(self) -> str:
        """Name in messages: "echo.pcap", "echo.pcap, port = 8000"."""
        return f"{self.capture.name}, {self.chosen_by}" if self.chosen_by else self.capture.name

    @property
    def one(self) -> Connection:
        """The only connection. Raises AssertionError, with a list, if there are more, or none."""
        if len(self) == 1:
            return self[0]
        seen = f"{self.name}: expected exactly one connection, seen {self._as_list()}"
        raise AssertionError(seen)

    @in_one_line
    def of(self, **selector: Any) -> Handshakes:
        """Return the connections that match all criteria: `port`, `host`, `stream`, `where`, as in a file for `check`.

        `port`: of either end. `host`: an address or a network ("10.0.0.0/8"). `stream`: a number, several, or ranges
        ("3,7-9"). `where`: a condition on the fields of the JSON ("handshake.kind == 'three-way'"). Raises ValueError.
        """
        unknown = {*selector} - {*SELECTOR_KEYS}
        if unknown:
            raise TypeError(f"of() knows {listed(SELECTOR_KEYS)}, not {listed(sorted(unknown))}")
        meant = ChosenConnections(self, expect(selector, "of()").selector)
        return Handshakes(self.capture, meant.streams(self.inspection), meant.said)

    @in_one_line
    def expect(self, **table: Any) -> None:
        """Fail unless each connection is as expected, with the ladders of the first ones that are not.

        The keys are those of an [[expect]] table in a file for `check`: `count`, `handshake`, `teardown`,
        `closed_first`, `states`, `time_wait`, `max_handshake_ms`, `max_retransmissions`, `findings`, `no_findings`,
        `octets`, and those of `of()`. Raises AssertionError; ValueError for an invalid key or value, or without any.
        """
        if not table:
            raise ExpectationError('expect(): it expects nothing: say what, as in expect(count=1, teardown="four-way")')
        read = expect(table, "expect()")
        self._hold_against(
            Expectations("expect()", expect=(replace(read, selector=ChosenConnections(self, read.selector)),))
        )

    @in_one_line
    def check(self, expected: str | os.PathLike[str] | None = None) -> None:
        """Fail unless the capture is as `expected`, a file; by default the one beside it (echo.pcap: echo.expect.toml).

        Raises AssertionError; ValueError if that file cannot be used, CaptureError if the capture cannot.
        """
        if self._chosen is not None:
            raise TypeError("check() is for all connections of a capture, not for some of them")
        if expected is None and self.capture.live_number is not None:
            raise ExpectationError(
                f"{self.name}: a live capture has no file beside it: use expect(), or name one: check('x.expect.toml')"
            )
        _ = self.inspection  # raises for an unusable capture before expectations are looked for
        path = self._path_beside() if expected is None else self.capture.find(os.fspath(expected))
        self._hold_against(written.read(from_here(path)))

    def _path_beside(self) -> Path:
        """Return the file of expectations beside the capture. Raises ExpectationError if there is none."""
        captures = list(self.capture.paths.values())
        path = beside_all(captures)
        if path is None:
            raise ExpectationError(
                f"{self.name}: nothing is beside several captures that says what to expect; "
                "name one: check('x.expect.toml')"
            )
        if not path.exists():
            hint = f"handshake-inspect check --record {from_here(Path(captures[0]))}"
            raise ExpectationError(
                f"{self.name}: there is no {from_here(path)} beside it that says what to expect; {hint}"
            )
        return path

    def _hold_against(self, expected: Expectations) -> None:
        """Raise AssertionError if the capture is not as expected, with the differences and their ladders."""
        checked = CheckedCapture(self.capture.name)
        for check in checks(expected, self.inspection):
            checked.add(check, keep_all=False)
        if not checked.failed:
            return
        message = [printable(text) for _, _, text in checked.messages()]
        for one in checked.failed:
            message += ["", *map(printable, one.difference)] if one.difference else []
        drawn = [*checked.failed_streams][:MOST_DRAWN]
        for stream in drawn:
            connection, marks = checked.failed_streams[stream], checked.marks_of(stream)
            message += ["", ladder_text(self.inspection, connection, self.capture.paths, marks)]
        error = AssertionError("\n".join(message))
        self.capture.drawn_in = error if drawn else None
        raise error

    def ladder(self, stream: int | None = None) -> str:
        """Return the ladder of the only connection, or of one by its stream number, as text of several lines."""
        connection = self.one if stream is None else self.of(stream=stream).one
        return ladder_text(self.inspection, connection, self.capture.paths)

    def _as_list(self) -> str:
        """Return a table of the connections as text."""
        return f"{len(self):,}:\n{list_text(self._each(), len(self), len(self.capture.files))}" if len(self) else "none"


class ChosenConnections:
    """A selection from connections that were selected before."""

    def __init__(self, chosen: Handshakes, selector: Selecting) -> None:
        self._chosen = chosen
        self._selector = selector

    @property
    def said(self) -> str:
        """How they were selected: "port = 8000, stream = 3"."""
        return ", ".join(filter(None, [self._chosen.chosen_by, self._selector.said]))

    def streams(self, inspection: Inspection) -> NDArray[np.int64]:
        """Return their numbers."""
        return np.intersect1d(self._chosen.streams, self._selector.streams(inspection))
