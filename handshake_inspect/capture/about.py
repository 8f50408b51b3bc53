"""What a capture file says about itself: who captured it, where, what people wrote into it, which names it knows.

In: what a reader finds (only `pcapng` finds any). Out: `About`, filled while the file is read. All of it is text of
others: whoever prints it must make it printable. It is kept up to a bound, and what is left out is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
#: Characters of one text, and of all together.
MOST_CHARACTERS, MOST_IN_ALL = 4096, 8 << 20
#: Comments on the whole, interfaces, addresses with names, frames with comments; names and comments of each.
MOST_COMMENTS, MOST_INTERFACES, MOST_NAMED, MOST_FRAMES, MOST_OF_ONE = 100, 1000, 10_000, 10_000, 20


@dataclass
class InterfaceAbout:
    """What is said of one interface. None: nothing."""

    #: LINKTYPE_ value.
    link_type: int
    #: Longest frame that was captured; None: no limit.
    snaplen: int | None = None
    #: "eth0", "Ethernet 2", "tcp port 80" ...
    name: str | None = None
    description: str | None = None
    filter: str | None = None
    hardware: str | None = None
    os: str | None = None
    #: Frames that it lost.
    dropped: int | None = None
    comments: list[str] = field(default_factory=list)


@dataclass
class About:
    """What a file says about itself."""

    #: Files that stand in it one behind the other.
    files: int = 1
    #: On the file as a whole (its sections and its lists of names), in order.
    comments: list[str] = field(default_factory=list)
    #: The machine, its operating system and the program that captured; of the first section that says so.
    hardware: str | None = None
    os: str | None = None
    application: str | None = None
    #: In order; those of a later section follow.
    interfaces: list[InterfaceAbout] = field(default_factory=list)
    #: By address, as connections spell it.
    names: dict[str, list[str]] = field(default_factory=dict)
    #: By number of frame.
    frame_comments: dict[int, list[str]] = field(default_factory=dict)
    #: What was not kept because there is too much of it, by kind: "comments", "interfaces", "names".
    left_out: Counter[str] = field(default_factory=Counter)
    #: Characters kept so far.
    _kept: int = field(default=0, repr=False, compare=False)

    def add_comment(self, comment: str) -> None:
        """Keep a comment on the whole."""
        self._add(self.comments, comment, MOST_COMMENTS, "comments")

    def add_interface(self, interface: InterfaceAbout) -> None:
        """Keep an interface, and as many of its comments as of one frame."""
        comments, interface.comments = interface.comments, []
        for comment in comments:
            self.add_interface_comment(interface, comment)
        texts = (interface.name, interface.description, interface.filter, interface.hardware, interface.os)
        self._add(self.interfaces, interface, MOST_INTERFACES, "interfaces", sum(len(text or "") for text in texts))

    def add_interface_comment(self, interface: InterfaceAbout, comment: str) -> None:
        """Keep a comment on an interface."""
        self._add(interface.comments, comment, MOST_OF_ONE, "comments")

    def add_name(self, address: str, name: str) -> None:
        """Keep a name of an address, once."""
        if not name or name in self.names.get(address, ()):
            return
        if address in self.names or len(self.names) < MOST_NAMED:
            self._add(self.names.setdefault(address, []), name, MOST_OF_ONE, "names", len(name) + len(address))
        else:
            self.left_out["names"] += 1

    def add_frame_comment(self, frame: int, comment: str) -> None:
        """Keep a comment on a frame."""
        if not comment:
            return
        if frame in self.frame_comments or len(self.frame_comments) < MOST_FRAMES:
            self._add(self.frame_comments.setdefault(frame, []), comment, MOST_OF_ONE, "comments")
        else:
            self.left_out["comments"] += 1

    def _add(self, kept: list[T], one: T, most: int, kind: str, characters: int = 0) -> None:
        """Keep a text, or something of so many characters, unless there is too much already."""
        if not one:
            return
        characters = characters or (len(one) if isinstance(one, str) else 0)
        if len(kept) < most and self._kept + characters <= MOST_IN_ALL:
            kept.append(one)
            self._kept += characters
        else:
            self.left_out[kind] += 1


def text_of(octets: bytes) -> str:
    """Return a text of a file: UTF-8 without the zero that some writers put behind it, at most MOST_CHARACTERS."""
    text = octets[: 4 * MOST_CHARACTERS + 4].split(b"\0", 1)[0].decode("utf-8", "replace")
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"
