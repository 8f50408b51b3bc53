"""What becomes of output whose reader has gone: nobody wants it any more, and that is no error.

Needs nothing else: the command line imports it at once.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


def drop_output(stream: TextIO | None = None) -> None:
    """Send standard output, or another stream, nowhere from now on.

    Python would complain of the closed pipe when it flushes at exit.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, (stream or sys.stdout).fileno())
    os.close(nowhere)


def drop_what_is_left() -> None:
    """Let what a stream does not take any more go: Python would exit with 120, whatever the exit code is."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the terminal has gone, or a disk is full
            with suppress(OSError):
                drop_output(stream)


def nobody_reads() -> bool:
    """Has the reader of standard output left? Of a pipe that is known before anything more is written."""
    try:
        number = sys.stdout.fileno()
    except OSError:  # it is no file
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(event & select.POLLERR and not event & select.POLLHUP for _, event in poll.poll(0))


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """Write, and go on if nobody reads it any more: the work has a result beside its output, its exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
