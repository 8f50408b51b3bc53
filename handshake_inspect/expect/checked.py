"""What became of the checks of one capture, and of all captures: what every report is made of.

In: the checks, as they come. Out: those that failed, in sentences that make sense alone, and how many there were; what
could not be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.text import Text

from handshake_inspect.connections.connection import Connection, Frame
from handshake_inspect.expect.matching import AllMet, Check, Failure
from handshake_inspect.expect.places import Place


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check. It keeps the connection of a check that failed only: there may be a million."""

    title: str
    place: Place
    #: The connection that was looked at; None: all of them were counted.
    stream: int | None
    #: How long it took.
    seconds: float
    #: The check if it is not met.
    failed: Check | None


@dataclass
class CheckedCapture:
    """One capture, or several that are one run, held against what is expected of it."""

    #: As the user named it.
    name: str
    #: Where the expectations stand: a file, or "the command line".
    sources: list[str] = field(default_factory=list)
    #: The checks that are not met.
    failed: list[Check] = field(default_factory=list)
    #: What became of each check, if that is kept: most reports are about those that are met too.
    outcomes: list[Outcome] = field(default_factory=list)
    #: How many were met.
    met: int = 0
    #: Streams that were looked at.
    looked_at: set[int] = field(default_factory=set)
    #: Lines of the ladder, with the rows marked that went another way, of some streams that failed.
    ladders: dict[int, list[Text]] = field(default_factory=dict)
    #: How long it took, with the reading.
    seconds: float = 0.0
    #: What was read.
    files: list[str] = field(default_factory=list)
    #: What the captures do not say of themselves: damage, frames that were dropped or not read.
    remarks: list[str] = field(default_factory=list)

    def add_met(self, found: AllMet) -> None:
        """Take connections of which all is as expected."""
        self.looked_at.update(found.streams.tolist())
        self.met += len(found.streams)

    def add(self, check: Check, *, keep_all: bool, seconds: float = 0.0) -> None:
        """Take a check, and how long it took; what became of it is kept if all are."""
        stream = None if check.connection is None else check.connection.stream
        if stream is not None:
            self.looked_at.add(stream)
        if check.failures:
            self.failed.append(check)
        else:
            self.met += 1
        if keep_all:
            failed = check if check.failures else None
            self.outcomes.append(Outcome(check.title, check.place, stream, seconds, failed))

    @property
    def failed_streams(self) -> dict[int, Connection]:
        """The connections that are not as expected."""
        return {one.connection.stream: one.connection for one in self.failed if one.connection is not None}

    def messages(self) -> Iterator[tuple[Check, Failure, str]]:
        """Yield a sentence for each expectation that is not met."""
        for check in self.failed:
            for failure in check.failures:
                yield check, failure, self.message(check, failure)

    def message(self, check: Check, failure: Failure) -> str:
        """Say what is not met, of what: "echo.pcap stream 0 (...): teardown: expected four-way, seen aborted"."""
        subject = self.name if check.connection is None else f"{self.name} {check.title}"
        return f"{subject}: {failure}"

    def ladder_of(self, check: Check) -> str | None:
        """Return the ladder that shows a check; None if it was not drawn, as many are not, or if none shows it."""
        lines = None if check.connection is None else self.ladders.get(check.connection.stream)
        return None if lines is None else "\n".join(line.plain for line in lines)

    def marks_of(self, stream: int) -> dict[Frame, list[str]]:
        """Return what is to be said at the rows of a ladder, by their frames."""
        marks: dict[Frame, list[str]] = {}
        for check in self.failed:
            for failure in check.failures if check.connection and check.connection.stream == stream else ():
                if failure.unmet.at is not None:
                    marks.setdefault(failure.unmet.at.frame, []).append(f"✗ {failure.unmet.short}")
        return marks


@dataclass(frozen=True)
class Unusable:
    """Something that could not be used: a capture, expectations, a name on the command line."""

    #: The capture, or what else the user named.
    name: str
    #: One line that makes sense alone.
    message: str
    #: Where expectations are wrong; None: something else is.
    place: Place | None = None


@dataclass
class CheckedRun:
    """All captures of one run of the command, and what could not be used."""

    captures: list[CheckedCapture] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    #: Ctrl-C came before the end.
    interrupted: bool = False

    @property
    def looked_at(self) -> int:
        """How many connections were looked at."""
        return sum(len(one.looked_at) for one in self.captures)

    @property
    def met(self) -> int:
        """How many checks are met."""
        return sum(one.met for one in self.captures)

    @property
    def failed_connections(self) -> int:
        """How many of these are not as expected."""
        return sum(len(one.failed_streams) for one in self.captures)

    @property
    def failed_captures(self) -> int:
        """In how many captures something is not as expected: of a connection, or how many there are."""
        return sum(bool(one.failed) for one in self.captures)
