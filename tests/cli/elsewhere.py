"""Runs a program as if on another system: what is missing there is taken away, then the command line is called.

    python -m tests.cli.elsewhere win32 read capture.pcap

Libraries that look at `sys.platform` themselves (click, numpy, rich) are imported before, as they are here.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import select
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Sequence
from types import ModuleType
from typing import Any

#: Modules that a system lacks (library reference: "Availability").
MISSING_MODULES = {
    "win32": {
        "crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline", "resource", "spwd",
        "syslog", "termios", "tty",
    },
    "darwin": {"ossaudiodev", "spwd"},
}  # fmt: skip
#: Names that are in the modules here and not there.
MISSING_NAMES: dict[str, dict[ModuleType, tuple[str, ...]]] = {
    "win32": {
        os: (
            "chown", "confstr", "ctermid", "fchmod", "fork", "forkpty", "geteuid", "getegid", "getgid", "getgroups",
            "getpgid", "getuid", "initgroups", "killpg", "mkfifo", "mknod", "nice", "openpty", "posix_fadvise",
            "posix_spawn", "pread", "preadv", "pwrite", "sched_getaffinity", "sendfile", "set_blocking", "setgroups",
            "setresuid", "setsid", "setuid", "splice", "statvfs", "sync", "sysconf", "uname", "wait", "wait3", "wait4",
            "O_NONBLOCK", "O_CLOEXEC", "WNOHANG", "EX_OK",
        ),
        signal: (
            "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1",
            "SIGUSR2", "SIGWINCH", "alarm", "pthread_kill", "pthread_sigmask", "set_wakeup_fd", "setitimer", "sigwait",
        ),
        select: ("poll", "epoll", "EPOLLIN", "POLLIN", "POLLHUP"),
        socket: (
            "AF_PACKET", "AF_UNIX", "CMSG_SPACE", "MSG_ERRQUEUE", "PF_PACKET", "SCM_RIGHTS", "SO_REUSEPORT",
            "socketpair",
        ),
        # A file that is open cannot be opened again there by its name.
        tempfile: ("NamedTemporaryFile",),
    },
    "darwin": {
        os: ("memfd_create", "posix_fadvise", "sched_getaffinity", "setresuid", "splice"),
        select: ("epoll", "EPOLLIN"),
        socket: ("AF_PACKET", "PF_PACKET", "MSG_ERRQUEUE"),
    },
}  # fmt: skip


class Absent(importlib.abc.MetaPathFinder):
    """Finds nothing where another system has nothing."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Refuse the modules that are missing."""
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {name!r} (as on this system)", name=name)
        return None


def sockets_only(*lists: Any, here: Any = select.select) -> Any:
    """What select.select does on Windows, also with a descriptor of a file or pipe."""
    if not all(is_socket(one) for some in lists[:3] for one in some):
        raise OSError(10038, "An operation was attempted on something that is not a socket")
    return here(*lists)


def is_socket(one: Any) -> bool:
    """Is this a socket, or the descriptor of one?"""
    return isinstance(one, socket.socket) or (isinstance(one, int) and stat.S_ISSOCK(os.fstat(one).st_mode))


def be(system: str) -> None:
    """Take away what `system` does not have."""
    import asyncio  # noqa: F401 - it looks at the system when imported, as the next do
    import subprocess  # noqa: F401 - it looks at what there is when imported

    import click  # noqa: F401 - likewise
    import numpy  # noqa: F401 - likewise
    import rich.console
    import rich.text  # noqa: F401 - likewise

    for name in MISSING_MODULES[system]:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Absent(MISSING_MODULES[system]))
    for module, names in MISSING_NAMES[system].items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    if system == "win32":
        select.select = sockets_only
    sys.platform = system


if __name__ == "__main__":
    be(sys.argv[1])
    if sys.argv[2] == "-c":
        exec(sys.argv[3])
    else:
        from handshake_inspect.cli import main

        sys.argv[:] = ["handshake-inspect", *sys.argv[2:]]
        main()
