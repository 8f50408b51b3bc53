"""Hosts: processes that keep a network namespace of their own, and mostly do nothing else.

In: nothing; this process is in a private network (`world`). Out: process ids, by which a namespace is entered for a
while. A socket stays in the namespace in which it was made, so one process can hold the sockets of several hosts.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from handshake_inspect.lab.world import CLONE_NEWNET, bring_up, fork


def start_host(live: Callable[[], object] = signal.pause) -> int:
    """Fork a process into a network namespace of its own, in which it calls `live` (nothing, unless given).

    Returns its id when it is there. Raises OSError.
    """
    reader, writer = os.pipe()

    def be_a_host() -> None:
        enter(None)
        bring_up("lo")
        os.write(writer, b"1")
        live()

    host = fork(be_a_host)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        if not pipe.read(1):
            os.waitpid(host, 0)
            raise OSError("no network namespace")
    return host


@contextmanager
def inside(host: int) -> Iterator[None]:
    """Be in the network namespace of `host` for a while."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        enter(host)
        yield
    finally:
        set_namespace(own)
        os.close(own)


def enter(host: int | None) -> None:
    """Move this single-threaded process into the network namespace of `host`, or a new one."""
    if host is None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        return
    descriptor = os.open(f"/proc/{host}/ns/net", os.O_RDONLY)
    set_namespace(descriptor)
    os.close(descriptor)


def set_namespace(descriptor: int) -> None:
    """Call setns(2) (`os.setns` came with Python 3.12)."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def end_hosts(hosts: list[int]) -> None:
    """End the processes, and with them their namespaces, sockets, links and all."""
    for host in hosts:
        os.kill(host, signal.SIGKILL)
        os.waitpid(host, 0)
