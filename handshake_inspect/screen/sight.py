"""What the screen shows at one moment (`ListSnapshot`), and where more comes from (`Source`).

A `ListSnapshot` is made by the thread that owns the inspector and changed by nobody afterwards. A `Source` is a live
capture or some files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from handshake_inspect.archive import ArchiveError
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.model import Connections
from handshake_inspect.screen.desk import QuestionQueue
from handshake_inspect.views.ladder import LadderParts

Streams = NDArray[np.int64]


@dataclass(frozen=True)
class Traffic:
    """What a live capture has seen so far."""

    frames: int
    segments: int
    #: Frames that the kernel could not queue.
    dropped: int
    #: Connections that were let go.
    let_go: int
    #: Datagrams of UDP, which make no connection.
    datagrams: int = 0


@dataclass(frozen=True)
class ListSnapshot:
    """Connections at one moment."""

    connections: Connections
    #: Those that may be shown, in the order in which they are if no other is asked for.
    streams: Streams
    #: The moment, in nanoseconds since the Unix epoch: the end of the capture; None: it is going on.
    at_ns: int | None
    #: Of a live capture.
    traffic: Traffic | None = None


@dataclass(frozen=True)
class ConnectionPage:
    """A connection with its ladder."""

    connection: Connection
    parts: LadderParts

    @property
    def ladder(self) -> Sequence[Text]:
        """All lines."""
        return self.parts.lines

    @property
    def rows_end(self) -> int:
        """The number of lines above legend and account; a growing ladder grows there."""
        return len(self.parts.lines) - len(self.parts.foot)


class GoneError(Exception):
    """The connection, or its frames, are not kept any more."""


#: What a source may raise where a file has changed or vanished, or no room is left. It is told; the screen goes on.
FAILURES = (GoneError, CaptureError, ArchiveError, OSError)


def in_one_line(failure: Exception) -> str:
    """Return an error as one line; for a system error the reason and the file."""
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror + (f": {failure.filename}" if failure.filename else "")
    return str(failure)


class Source(Protocol):
    """Where the connections of the screen come from."""

    @property
    def title(self) -> str:
        """Its name, for the first line of the screen."""

    @property
    def desk(self) -> QuestionQueue:
        """The queue by which `told` and `save` must be called."""

    @property
    def remarks(self) -> Sequence[str]:
        """Remarks on the captures: damage, what was not read, what was lost."""

    @property
    def is_damaged(self) -> bool:
        """Could a part of it not be read?"""

    @property
    def is_live(self) -> bool:
        """Is it a live capture?"""

    @property
    def sight(self) -> ListSnapshot:
        """The latest snapshot; a new object whenever something has changed."""

    @property
    def is_over(self) -> bool:
        """Has the live capture ended, so that the screen must end too?"""

    @property
    def ended(self) -> str:
        """How the watched command ended, if the screen goes on after it; "" until then."""

    def told(self, stream: int, width: int) -> ConnectionPage:
        """Return a connection with its ladder, drawn in so many columns. Raises `FAILURES`."""

    def save(self, stream: int | None, target: str) -> str:
        """Save the frames of a connection, or all; return a sentence about it. Raises `FAILURES`."""

    def command(self, stream: int) -> str | None:
        """Return the command line that shows a connection; None if there is none."""

    def printed(self) -> str | None:
        """Return what the watched command has printed so far; None if no command is watched."""

    def interrupt(self) -> bool:
        """Hand Ctrl-C on to the command that is watched; False if there is none."""
