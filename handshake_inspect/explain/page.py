"""A page of explanation: its head, and the blocks of its text. Plain data.

In: nothing; the sources of pages make these (`reading`, `rules`, `counterparts`). Out: what `topics` finds and
`rendering` prints.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Kind of topic, in the order of the list of topics -> its heading there.
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
    """A page cannot be used. The message says which, and why."""


@dataclass(frozen=True)
class Heading:
    """A heading of the blocks after it."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Prose, with `code` in backquotes."""

    text: str


@dataclass(frozen=True)
class Item:
    """One item of a list."""

    #: "-", or a number: "1.".
    mark: str
    text: str


@dataclass(frozen=True)
class Verbatim:
    """Lines that are printed unchanged."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class CaptureExcerpt:
    """Some frames of a connection of a shipped capture, drawn as a ladder."""

    #: Name of the file: "lost-syn.pcap".
    capture: str
    #: First and last frame number; None: all.
    frames: tuple[int, int] | None
    stream: int = 0


@dataclass(frozen=True)
class FindingExcerpt:
    """The segments of a shipped capture that show a finding, drawn as a ladder."""

    #: Name of the file, "lost-syn.pcap"; several are joined by a plus sign where only together they show it.
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

    #: Name of the scenario: "four-way".
    session: str
    #: First and last frame number; None: all.
    frames: tuple[int, int] | None


@dataclass(frozen=True)
class StateMoves:
    """The rows of the table of states that lead into and out of one state."""

    #: Name in RFC 9293.
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
    #: A key of KINDS.
    kind: str
    blocks: tuple[Block, ...]
    #: Other names of the topic, as people spell them: "TIME_WAIT", "2MSL".
    also: tuple[str, ...] = ()
    #: Further reading: "RFC 9293 §3.6.1", "man 2 accept".
    sources: tuple[str, ...] = ()
    #: Names of related pages.
    see: tuple[str, ...] = ()
    #: Other kinds under which it is listed.
    other_kinds: tuple[str, ...] = ()
    #: Severity of a finding: chat, note, warn or error; else "".
    severity: str = ""
