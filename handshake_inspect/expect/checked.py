"""The results of all checks, which every report is made from.

In: checks, one after the other. Out: those that failed, in sentences that make sense alone; how many there were; the
files that could not be used.
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
    """The result of one check. Only failed checks keep their connection: there may be a million."""

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
    """One capture, or several that are one run, with the results of its checks."""

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
    #: The inspection of what was read.
    files: list[str] = field(default_factory=list)
    #: What the captures do not say of themselves: damage, frames that were dropped or not read.
    remarks: list[str] = field(default_factory=list)

    def add_met(self, found: AllMet) -> None:
        """Count connections that meet all expectations."""
        self.looked_at.update(found.streams.tolist())
        self.met += len(found.streams)

    def add(self, check: Check, *, keep_all: bool, seconds: float = 0.0) -> None:
        """Add a check, and how long it took; the result of one that is met is kept only if all are kept."""
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
        """Return a failure as a sentence: "echo.pcap stream 0 (...): teardown: expected four-way, seen aborted"."""
        subject = self.name if check.connection is None else f"{self.name} {check.title}"
        return f"{subject}: {failure}"

    def ladder_of(self, check: Check) -> str | None:
        """Return the ladder that shows a failure; None if none was drawn, as only some are."""
        lines = None if check.connection is None else self.ladders.get(check.connection.stream)
        return None if lines is None else "\n".join(line.plain for line in lines)

    def marks_of(self, stream: int) -> dict[Frame, list[str]]:
        """Return the remarks for the rows of a ladder, by frame."""
        marks: dict[Frame, list[str]] = {}
        for check in self.failed:
            for failure in check.failures if check.connection and check.connection.stream == stream else ():
                if failure.unmet.at is not None:
                    marks.setdefault(failure.unmet.at.frame, []).append(f"✗ {failure.unmet.short}")
        return marks


@dataclass(frozen=True)
class Unusable:
    """A capture, a file of expectations, or a name on the command line that could not be used."""

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
        """The number of connections that were checked."""
        return sum(len(one.looked_at) for one in self.captures)

    @property
    def met(self) -> int:
        """The number of checks that are met."""
        return sum(one.met for one in self.captures)

    @property
    def failed_connections(self) -> int:
        """The number of connections that are not as expected."""
        return sum(len(one.failed_streams) for one in self.captures)

    @property
    def failed_captures(self) -> int:
        """The number of captures with a check that is not met."""
        return sum(bool(one.failed) for one in self.captures)
