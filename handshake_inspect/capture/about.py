"""The metadata of a capture file: where and by which program it was captured, its comments, the names it resolves.

In: what a reader finds (only pcapng has any). Out: `About`, filled while the file is read. All of it is untrusted
text, to be made printable before it is printed. It is kept up to a bound, and what is left out is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import field
from ipaddress import ip_address
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.plain import mutable

T = TypeVar("T")
#: Limits on the characters of one text, and of all texts together.
MOST_CHARACTERS, MOST_IN_ALL = 4096, 8 << 20
#: Limits on comments on the file, interfaces, addresses with names, frames with comments; and on names and comments
#: of each.
MOST_COMMENTS, MOST_INTERFACES, MOST_NAMED, MOST_FRAMES, MOST_OF_ONE = 100, 1000, 10_000, 10_000, 20


@mutable
class InterfaceAbout:
    """What the file says about one interface. None: nothing."""

    #: LINKTYPE_ value.
    link_type: int
    #: Octets captured of a frame at most; None: no limit.
    snaplen: int | None = None
    #: "eth0", "Ethernet 2", "tcp port 80" ...
    name: str | None = None
    description: str | None = None
    filter: str | None = None
    hardware: str | None = None
    os: str | None = None
    #: Count of frames that it lost.
    dropped: int | None = None
    comments: list[str] = field(default_factory=list)


@mutable
class About:
    """What a file says about itself."""

    #: Count of capture files concatenated in it.
    files: int = 1
    #: Comments on the file as a whole (its sections and its lists of names), in order.
    comments: list[str] = field(default_factory=list)
    #: The machine, its operating system and the program that captured; of the first section that says so.
    hardware: str | None = None
    os: str | None = None
    application: str | None = None
    #: Interfaces in order, those of later sections last.
    interfaces: list[InterfaceAbout] = field(default_factory=list)
    #: Names by address, which is spelled as in connections.
    names: dict[str, list[str]] = field(default_factory=dict)
    #: Comments by frame number.
    frame_comments: dict[int, list[str]] = field(default_factory=dict)
    #: Counts of what exceeded the limits, by kind: "comments", "interfaces", "names".
    left_out: Counter[str] = field(default_factory=Counter)
    #: Characters kept so far.
    _kept: int = field(default=0, repr=False, compare=False)
    #: Addresses that have names, from octets to their spelling.
    _spelled: dict[bytes, str] = field(default_factory=dict, repr=False, compare=False)

    def add_comment(self, comment: bytes) -> None:
        """Keep a comment on the file."""
        self._add_comment(self.comments, comment, MOST_COMMENTS)

    def add_interface(self, interface: InterfaceAbout, comments: Iterable[bytes]) -> None:
        """Keep an interface, and as many comments on it as on one frame."""
        for comment in comments:
            self.add_interface_comment(interface, comment)
        texts = (interface.name, interface.description, interface.filter, interface.hardware, interface.os)
        self._add(self.interfaces, interface, MOST_INTERFACES, "interfaces", sum(len(text or "") for text in texts))

    def add_interface_comment(self, interface: InterfaceAbout | None, comment: bytes) -> None:
        """Keep a comment on an interface; None: on one that was left out."""
        kept, most = ([], 0) if interface is None else (interface.comments, MOST_OF_ONE)
        self._add_comment(kept, comment, most)

    def add_names(self, address: bytes, names: Iterable[bytes]) -> None:
        """Keep names of an address, each once."""
        for name in filter(None, names):
            spelled = self._spelled.get(address)
            if spelled is None:
                if len(self.names) >= MOST_NAMED:
                    self.leave_out("names", 1)
                    continue
                spelled = self._spelled[address] = str(ip_address(address))
            kept, text = self.names.setdefault(spelled, []), text_of(name)
            if text not in kept:
                self._add(kept, text, MOST_OF_ONE, "names", len(text) + len(spelled))

    def add_frame_comments(self, frames: NDArray[np.int64], comment: Callable[[int], bytes]) -> None:
        """Keep comments on frames that had none, ordered by frame; `comment` returns the i-th of them."""
        if len(self.frame_comments) >= MOST_FRAMES:
            self.leave_out("comments", len(frames))
            return
        is_first = np.append(True, frames[1:] != frames[:-1])
        number, first = np.cumsum(is_first) - 1, np.flatnonzero(is_first)
        place = np.arange(len(frames)) - first[number]
        wanted = np.flatnonzero((number < MOST_FRAMES - len(self.frame_comments)) & (place < MOST_OF_ONE))
        for row in wanted.tolist():
            kept = self.frame_comments.setdefault(int(frames[row]), [])
            self._add_comment(kept, comment(row), MOST_OF_ONE)
        self.leave_out("comments", len(frames) - len(wanted))

    def leave_out(self, kind: str, count: int) -> None:
        """Count what exceeds the limits."""
        if count:
            self.left_out[kind] += count

    def _add_comment(self, kept: list[str], octets: bytes, most: int) -> None:
        """Keep a comment, unless a limit is reached."""
        if octets[:1] in (b"", b"\0"):
            return
        if len(kept) < most:
            text = text_of(octets)
            self._add(kept, text, most, "comments", len(text))
        else:
            self.leave_out("comments", 1)

    def _add(self, kept: list[T], one: T, most: int, kind: str, characters: int) -> None:
        """Keep an item of so many characters, unless a limit is reached."""
        if len(kept) < most and self._kept + characters <= MOST_IN_ALL:
            kept.append(one)
            self._kept += characters
        else:
            self.leave_out(kind, 1)


def text_of(octets: bytes) -> str:
    """Decode a text of a file: UTF-8 without the trailing zero of some writers, at most MOST_CHARACTERS."""
    text = octets[: 4 * MOST_CHARACTERS + 4].split(b"\0", 1)[0].decode("utf-8", "replace")
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"
