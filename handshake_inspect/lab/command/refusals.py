"""What cannot be run, and what strace cannot trace, found out before anything starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from handshake_inspect.lab.world import LabError


class CommandError(LabError):
    """The command cannot be run. `exit_status` is what a shell gives then."""

    exit_status: ClassVar[int] = 126


class CommandNotFoundError(CommandError):
    """There is no such command."""

    exit_status: ClassVar[int] = 127


def refuse_unknown(name: str) -> None:
    """Raise CommandError unless there is such a command, as execvp(3) looks for it."""
    if shutil.which(name) is not None:
        return
    places = [Path(name)] if os.sep in name else [Path(place, name) for place in os.get_exec_path()]
    # Path.exists() raises an error in a folder that may not be searched.
    for found in (place for place in places if os.access(place, os.F_OK)):
        what = "a folder" if found.is_dir() else "not executable: chmod +x, or name its interpreter first"
        raise CommandError(f"{name}: {what}")
    raise CommandNotFoundError(f"{name}: there is no such command{'' if os.sep in name else ' in the folders of PATH'}")


def refuse_untraceable() -> None:
    """Raise LabError if strace cannot trace here: many containers forbid ptrace(2)."""
    tried = subprocess.run(
        ["strace", "-o", os.devnull, "-e", "trace=none", "true"], capture_output=True, text=True, check=False,
        start_new_session=True,  # Ctrl-C is not for it
    )  # fmt: skip
    if tried.returncode != 0:
        said = tried.stderr.strip().splitlines()[-1:] or [f"it ended with status {tried.returncode}"]
        raise LabError(
            f"strace cannot trace here ({said[0]}): in a container add --cap-add SYS_PTRACE, or leave out --strace"
        )
