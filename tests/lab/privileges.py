"""What this run of the tests may do. Under CI as root nothing is skipped: there, a missing right is a failure."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from handshake_inspect.lab.command.refusals import refuse_untraceable
from handshake_inspect.lab.kernel.tracepoint import TraceError, mount_privately
from handshake_inspect.lab.world import LabError, WorldError, in_child, in_private_world

R = TypeVar("R")
NOBODY = 65534


def require(possible: bool, reason: str) -> None:
    if possible:
        return
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def why_no_private_world() -> str:
    try:
        in_private_world(os.getpid)
    except WorldError as error:
        return str(error)
    return ""


def needs_private_world() -> None:
    require(not why_no_private_world(), why_no_private_world())


def needs_root(reason: str) -> None:
    require(os.geteuid() == 0, reason)


@cache
def why_no_tracepoint() -> str:
    try:
        in_child(mount_privately)
    except TraceError as error:
        return str(error)
    return ""


def needs_tracepoint() -> None:
    require(not why_no_tracepoint(), why_no_tracepoint())


@cache
def why_no_strace() -> str:
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        in_private_world(refuse_untraceable)
    except LabError as error:
        return str(error)
    return ""


def needs_strace() -> None:
    require(not why_no_strace(), why_no_strace())


def children() -> list[str]:
    """The children of this process that have not been waited for."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def as_ordinary_user(function: Callable[[], R]) -> R:
    """Call `function` in a child that has no privilege at all: as `nobody` if this is root, else as it is."""

    def inside() -> R:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return function()

    # The python of root may not be readable for others: what is imported late must be there before.
    import encodings.idna  # noqa: F401
    import multiprocessing.connection  # noqa: F401

    import scapy.arch.linux  # noqa: F401

    return in_child(inside)


def forbid_namespaces() -> None:
    """Make unshare() fail with EPERM from now on in this process, by seccomp, as container runtimes do."""
    number = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
    load_number = struct.pack("=HBBI", 0x20, 0, 0, 0)
    skip_unless_unshare = struct.pack("=HBBI", 0x15, 0, 1, number)
    return_eperm = struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | errno.EPERM)
    allow = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
    rules = ctypes.create_string_buffer(load_number + skip_unless_unshare + return_eperm + allow)
    program = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(rules)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
