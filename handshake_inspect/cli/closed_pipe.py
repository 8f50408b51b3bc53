"""Output whose reader has closed the pipe: it is dropped, and that is no error.

Imports nothing of the project, because the command line imports this first.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


def drop_output(stream: TextIO | None = None) -> None:
    """Redirect standard output, or another stream, to /dev/null from now on.

    Python would complain of the closed pipe when it flushes at exit.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, (stream or sys.stdout).fileno())
    os.close(nowhere)


def drop_what_is_left() -> None:
    """Drop what a stream cannot write any more: Python would exit with 120 because of it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the terminal has gone, or a disk is full
            with suppress(OSError):
                drop_output(stream)


def nobody_reads() -> bool:
    """Has the reader of standard output closed it? For a pipe that can be found out without writing."""
    try:
        number = sys.stdout.fileno()
    except OSError:  # it is no file
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(event & select.POLLERR and not event & select.POLLHUP for _, event in poll.poll(0))


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """Run the block, and drop its output if the reader leaves: the exit code is still needed."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
