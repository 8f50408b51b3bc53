"""The command line that shows captures again, or one connection: for the clipboard, and for the report page.

In: the names of the files as given, and the assumed TIME-WAIT profile. Out: one line for a shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def shown_by(files: Sequence[str], profile: str, stream: int | None = None) -> str | None:
    """Return the command line; None if the inputs cannot be read again (a pipe), or a name does not fit in a line."""
    if "-" in files or not all(file.isprintable() for file in files):
        return None
    chosen = [] if stream is None else ["-s", str(stream)]
    assumed = [] if profile == "linux" else ["--profile", profile]
    # Options behind the files are read best; a file that looks like one needs them before it.
    if any(file.startswith("-") for file in files):
        return shlex.join(["handshake-inspect", "show", *chosen, *assumed, "--", *files])
    return shlex.join(["handshake-inspect", "show", *files, *chosen, *assumed])
