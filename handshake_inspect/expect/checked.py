"""What became of the checks of one capture: what every report is made of.

In: the checks, as they come. Out: those that failed, in sentences that make sense alone, and how many there were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.text import Text

from handshake_inspect.connections.connection import Connection, Frame
from handshake_inspect.expect.matching import Check, Failure


@dataclass
class CheckedCapture:
    """One capture, or several that are one run, held against what is expected of it."""

    #: As the user named it.
    name: str
    #: Where the expectations stand: a file, or "the command line".
    sources: list[str] = field(default_factory=list)
    #: All checks if they are kept, else those that failed.
    checks: list[Check] = field(default_factory=list)
    #: How many were met.
    met: int = 0
    #: Streams that were looked at.
    looked_at: set[int] = field(default_factory=set)
    #: Lines of the ladder, with the rows marked that went another way, of some streams that failed.
    ladders: dict[int, list[Text]] = field(default_factory=dict)
    #: How long it took.
    seconds: float = 0.0

    def add(self, check: Check, *, keep_all: bool) -> None:
        """Take a check; one that is met is kept if all are."""
        if check.connection is not None:
            self.looked_at.add(check.connection.stream)
        if not check.failures:
            self.met += 1
        if check.failures or keep_all:
            self.checks.append(check)

    @property
    def failed(self) -> list[Check]:
        """The checks that are not met."""
        return [check for check in self.checks if check.failures]

    @property
    def failed_streams(self) -> dict[int, Connection]:
        """The connections that are not as expected."""
        return {one.connection.stream: one.connection for one in self.failed if one.connection is not None}

    def messages(self) -> Iterator[tuple[Check, Failure, str]]:
        """Yield a sentence for each expectation that is not met."""
        for check in self.failed:
            for failure in check.failures:
                yield check, failure, f"{self.subject_of(check)}: {failure}"

    def subject_of(self, check: Check) -> str:
        """Say what was checked: "echo.pcap stream 0 (127.0.0.1:54668 → 127.0.0.1:8000)"."""
        one = check.connection
        return self.name if one is None else f"{self.name} stream {one.stream} ({one.originator} → {one.responder})"

    def marks_of(self, stream: int) -> dict[Frame, list[str]]:
        """Return what is to be said at the rows of a ladder, by their frames."""
        marks: dict[Frame, list[str]] = {}
        for check in self.failed:
            for failure in check.failures if check.connection and check.connection.stream == stream else ():
                if failure.unmet.at is not None:
                    marks.setdefault(failure.unmet.at.frame, []).append(f"✗ {failure.unmet.short}")
        return marks
