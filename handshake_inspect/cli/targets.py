"""Files to be written: whether they can be, as far as that shows before the work that fills them.

In: names of options. Out: the same names. Nothing is opened: an older file stays as it is until there is something to
write.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def writable(target: str) -> str:
    """Return the name of a file that can be written, as far as can be seen. Raises CaptureError."""
    if number := _obstacle(target):
        from handshake_inspect.capture.records import CaptureError  # slow to import, and no help needs it

        raise CaptureError(f"{target}: cannot be written: {os.strerror(number)}")
    return target


def _obstacle(target: str) -> int:
    """Return the error (errno(3)) with which opening the file would fail; 0 if none is to be seen."""
    try:
        mode = Path(target).stat().st_mode
    except FileNotFoundError:
        return _obstacle_to_a_new_file(Path(os.path.realpath(target)).parent)  # where a link leads
    except OSError as error:
        return error.errno or errno.EIO
    if stat.S_ISDIR(mode):
        return errno.EISDIR
    return 0 if os.access(target, os.W_OK) else errno.EACCES


def _obstacle_to_a_new_file(folder: Path) -> int:
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        return error.errno or errno.EIO
    if not stat.S_ISDIR(mode):
        return errno.ENOTDIR
    return 0 if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES
