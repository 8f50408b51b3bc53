"""A page of explanation: what its head says, and the blocks that it is made of. Plain data.

In: nothing; whoever has something to explain makes these (`written`, `rules`). Out: what `topics` finds and
`rendering` prints.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What a page can be about, in the order in which topics are listed -> the heading of that list.
KINDS = {
    "question": "Questions",
    "state": "States of an end",
    "control bit": "Control bits",
    "segment": "Segments",
    "socket call": "Socket calls",
    "socket option": "Socket options",
    "socket family": "Socket families",
    "socket type": "Socket types",
    "term": "Terms",
    "myths": "What tutorials get wrong",
    "finding": "Findings",
    "tool": "Other tools",
}


class PageError(ValueError):
    """A page that cannot be used: which, and why."""


@dataclass(frozen=True)
class Heading:
    """Stands above what follows."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Prose; `code` in backquotes."""

    text: str


@dataclass(frozen=True)
class Item:
    """One item of a list."""

    #: "-", or a number: "1.".
    mark: str
    text: str


@dataclass(frozen=True)
class Verbatim:
    """Lines that are printed as they stand."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class CaptureExcerpt:
    """Some frames of a connection of a shipped capture, drawn as a ladder."""

    #: Name of the file: "lost-syn.pcap".
    capture: str
    #: First and last; None: all.
    frames: tuple[int, int] | None
    stream: int = 0


@dataclass(frozen=True)
class FindingExcerpt:
    """The segments of a shipped capture that show a finding, drawn as a ladder."""

    #: Name of the file, "lost-syn.pcap"; of several joined by a plus sign where only together they show it.
    capture: str
    #: Code of the finding.
    code: str

    @property
    def captures(self) -> list[str]:
        """The names of the files."""
        return self.capture.split("+")


@dataclass(frozen=True)
class SessionExcerpt:
    """Some frames of a recorded session, drawn as a ladder with the socket calls beside the segments."""

    #: Of the scenario: "four-way".
    session: str
    #: First and last; None: all.
    frames: tuple[int, int] | None


@dataclass(frozen=True)
class StateMoves:
    """The rows of the table of states that lead into and out of one state."""

    #: As RFC 9293 spells it.
    state: str


@dataclass(frozen=True)
class StateDiagram:
    """The whole state diagram."""


Excerpt = CaptureExcerpt | FindingExcerpt | SessionExcerpt
Block = Heading | Paragraph | Item | Verbatim | Excerpt | StateMoves | StateDiagram


@dataclass(frozen=True)
class Page:
    """One topic, explained."""

    #: The topic: "time-wait".
    name: str
    title: str
    #: Of KINDS.
    kind: str
    blocks: tuple[Block, ...]
    #: Other names of the topic, as people spell them: "TIME_WAIT", "2MSL".
    also: tuple[str, ...] = ()
    #: Where to read on: "RFC 9293 §3.6.1", "man 2 accept".
    sources: tuple[str, ...] = ()
    #: Names of pages that belong together with this one.
    see: tuple[str, ...] = ()
    #: Other kinds under which it is listed.
    other_kinds: tuple[str, ...] = ()
    #: Of a finding: chat, note, warn or error.
    severity: str = ""
