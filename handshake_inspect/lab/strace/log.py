"""A log of strace(1) -> the TCP sockets that it tells of.

In: a file that `strace -f -ttt -e trace=network,close` wrote (better with -T, durations, and -yy, addresses). Out: a
`SocketLog`. A line that cannot be understood is left out and counted; what is no such log at all, or tells no time
since 1970, is refused in one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.strace.lines import Lines, read_lines
from handshake_inspect.lab.strace.sockets import TracedSocket, sockets_of

RECORD = "strace -f -ttt -T -yy -e trace=network,close,read,write -o FILE COMMAND"


@dataclass(frozen=True)
class SocketLog:
    """The TCP sockets of a log, and what could not be read."""

    name: str
    sockets: Sequence[TracedSocket]
    #: Lines that were left out.
    unread: Sequence[int]
    #: First and last moment in it; 0 if it has none.
    first_ns: int
    last_ns: int
    #: Does it tell how long calls took? Else a call that waits is shown as returned when the next line begins.
    has_durations: bool


def read_log(path: str, *, name: str | None = None) -> SocketLog:
    """Read a log, which messages call `name`. Raises CaptureError."""
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape") as opened:
            lines = read_lines(opened)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be opened: {error.strerror or error}") from None
    refuse_other_texts(path, lines)
    name = name or path
    has_durations = not any(call.is_untimed for call in lines.calls)
    return SocketLog(name, sockets_of(lines), lines.unread, lines.first_ns, lines.last_ns, has_durations)


def refuse_other_texts(path: str, lines: Lines) -> None:
    """Raise CaptureError if most lines are not of a log, or tell no time that could be compared with a capture's."""
    good = len(lines.calls) + len(lines.exits)
    if good > len(lines.unread):
        return
    if not good and not lines.unread:
        raise CaptureError(f"{path}: this log of strace is empty: record one with {RECORD}")
    if lines.untimed:
        raise CaptureError(f"{path}:{lines.untimed}: no time since 1970 stands on this line: record with {RECORD}")
    raise CaptureError(f"{path}:{lines.unread[0]}: this line is not of a log of strace: record one with {RECORD}")
