"""What becomes of output whose reader has gone: nobody wants it any more, and that is no error.

Needs nothing else: the command line imports it at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def drop_output() -> None:
    """Send standard output nowhere from now on. Python would complain of the closed pipe when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """Write, and go on if nobody reads it any more: the work has a result beside its output, its exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
