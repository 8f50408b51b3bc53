"""The recorded captures that come with the package.

In: the name of a capture. Out: its path. In an installed package they are inside it (`setup.py` copies them); in a
checkout, and in an editable install, they are in the folder `pcaps/` beside it.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from handshake_inspect.explain.page import PageError

FOLDER = "pcaps"


def shipped_capture(name: str) -> Path:
    """Return the path of a shipped capture. Raises PageError if there is none of this name."""
    package = Path(str(resources.files("handshake_inspect")))
    for folder in (package / FOLDER, package.parent / FOLDER):
        if (folder / name).is_file():
            return folder / name
    raise PageError(f"{name}: no capture of this name comes with handshake-inspect")
