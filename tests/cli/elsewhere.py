"""Runs a program as if on another system: what is missing there is taken away, then the command line is called.

    python -m tests.cli.elsewhere win32 read capture.pcap
    python -m tests.cli.elsewhere win32 DESCRIPTOR

The second takes orders as `tests.cli.warm` does: it has imported all of ours while what is missing was taken away, and
each process that it forks is without it from its first line to its last.

Libraries that look at `sys.platform` themselves (click, numpy, rich) are imported before, as they are here.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import io
import os
import re
import select
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.cli.warm import serve

PACKAGE = Path(__file__).parents[2] / "handshake_inspect"

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
        shutil: (),
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
    import_what_looks()
    for name in MISSING_MODULES[system]:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Absent(MISSING_MODULES[system]))
    for module, names in MISSING_NAMES[system].items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    if system == "win32":
        select.select = sockets_only
        shutil._use_fd_functions = False  # type: ignore[attr-defined]  # folders have no descriptors there
    sys.platform = system


def import_what_looks() -> None:
    """Import what looks at the system, or at what there is, when it is imported."""
    import asyncio  # noqa: F401
    import subprocess  # noqa: F401

    import click  # noqa: F401
    import numpy  # noqa: F401
    import rich.console
    import rich.text  # noqa: F401


@contextmanager
def being(system: str) -> Iterator[None]:
    """Take away what `system` does not have, and give it back in the end."""
    import_what_looks()
    modules = {name: sys.modules[name] for name in MISSING_MODULES[system] if name in sys.modules}
    names = [(module, vars(module).copy()) for module in MISSING_NAMES[system]]
    found_by, platform = sys.meta_path[:], sys.platform
    be(system)
    try:
        yield
    finally:
        sys.modules.update(modules)
        for module, before in names:
            vars(module).update(before)
        sys.meta_path[:], sys.platform = found_by, platform


def modules_of_ours() -> list[str]:
    """Name every module that can be imported anywhere."""
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))]
    # Scapy itself looks at the system when it is imported, and ours is made up; only `scapy_side.reader` imports those.
    through_scapy = re.compile(r"\.capture\.scapy_side\.(?!reader$)")
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    return [name for name in names if not through_scapy.search(name)]


def take_orders(system: str, orders: int) -> None:
    """Fork a process for each order, which is then as if on `system`."""
    sent = socket.socket(fileno=orders)
    with being(system):
        for name in modules_of_ours():
            import_module(name)
    serve(sent, partial(run, system))


def run(system: str) -> None:
    """Be the command line as if on `system`, or the program behind `-c`, with the streams that are asked for."""
    encoding, _, errors = os.environ["PYTHONIOENCODING"].partition(":")
    for stream, handler in ((sys.stdin, errors), (sys.stdout, errors), (sys.stderr, "backslashreplace")):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding=encoding, errors=handler or "strict")
    be(system)
    first, *rest = sys.argv[1:]
    if first == "-c":
        exec(rest[0], {"__name__": "__main__"})
    else:
        from handshake_inspect.cli import main

        sys.argv[0] = "handshake-inspect"
        main()


if __name__ == "__main__":
    _, its_system, *its_arguments = sys.argv
    if its_arguments[0].isdecimal():
        take_orders(its_system, int(its_arguments[0]))
    else:
        del sys.argv[1]
        run(its_system)
