"""Is there something of this name? Asked where what cannot be looked at is not there.

`Path.exists()` and its like raise the error of a folder that may not be entered, or of a name that is too long. Whoever
then opens the file gets that error too, and is who says it.
"""

from __future__ import annotations

import os

Named = str | os.PathLike[str]


def is_there(path: Named) -> bool:
    """Is there anything of this name, as far as we may look?"""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Named) -> bool:
    """Is it a regular file, or a link to one, as far as we may look?"""
    return os.path.isfile(path)  # noqa: PTH113
