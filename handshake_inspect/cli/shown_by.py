"""The command that shows captures again, or a connection of them: for the clipboard, for a page that is read elsewhere.

In: the names of the files, as they were given, and whose TIME-WAIT is assumed. Out: one line for a shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def shown_by(files: Sequence[str], profile: str, stream: int | None = None) -> str | None:
    """Return the command; None if nobody could read these again: a pipe, names that no line can have."""
    if "-" in files or not all(file.isprintable() for file in files):
        return None
    chosen = [] if stream is None else ["-s", str(stream)]
    assumed = [] if profile == "linux" else ["--profile", profile]
    # Options behind the files are read best; a file that looks like one needs them before it.
    if any(file.startswith("-") for file in files):
        return shlex.join(["handshake-inspect", "show", *chosen, *assumed, "--", *files])
    return shlex.join(["handshake-inspect", "show", *files, *chosen, *assumed])
