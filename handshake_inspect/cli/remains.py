"""Files and folders that must not outlive the command, however it ends.

In: their paths, as they are made. They are removed at the end of the context; also if SIGTERM or SIGHUP ends the
process meanwhile, of which Python itself tells nobody.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

#: Signals that end a process at once unless it has them handled.
SIGNALS = (signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))


@contextmanager
def no_remains() -> Iterator[list[Path]]:
    """Yield a list to which paths are added: what they name is removed at the end, and before a signal ends us."""
    paths: list[Path] = []
    us = os.getpid()
    before: dict[int, Any] = {}

    def end(number: int, _frame: FrameType | None) -> None:
        if os.getpid() == us:  # else a copy of us was told to end
            _remove(paths)
        signal.signal(number, before[number])
        os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        before = {
            int(number): at for number in SIGNALS if (at := signal.getsignal(number)) not in (signal.SIG_IGN, None)
        }
    try:
        for number in before:
            signal.signal(number, end)
        yield paths
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _remove(paths)


def _remove(paths: list[Path]) -> None:
    """Remove files, and folders with all that is in them; those that are gone already are no error."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
