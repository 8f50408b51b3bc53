"""A process that has imported what commands import, and forks one that runs a command: 0.2 s of a start are saved.

`python -m tests.cli.warm DESCRIPTOR`: the descriptor is a Unix socket, on which an `Order` comes with the standard
streams of the command. Back go the number of its process and, when it has ended, its exit code. What it runs is
`python -m handshake_inspect` to the letter: a process of its own, that begins with `__main__` and ends as any does.
What must hold of a start itself (what it imports, how long it takes, how it takes its encoding) is tested with
interpreters of their own, and so is every command by transcripts of the README or on a terminal of its own.
"""

from __future__ import annotations

import atexit
import gc
import os
import pickle
import runpy
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

#: One order is one message.
MESSAGE_OCTETS = 200_000
PID, CODE = struct.Struct("i"), struct.Struct("i")


@dataclass(frozen=True)
class Order:
    """A command to run."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: str


def serve(orders: socket.socket, program: Callable[[], object]) -> None:
    """Take orders until nobody can give one any more: each is the program, run in a fork of this process."""
    gc.freeze()
    while True:
        message, streams, _, _ = socket.recv_fds(orders, MESSAGE_OCTETS, 3)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            orders.close()
            become(pickle.loads(message), streams)
            run_to_its_end(program)
        for descriptor in streams:
            os.close(descriptor)
        orders.sendall(PID.pack(pid))
        orders.sendall(CODE.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def run_to_its_end(program: Callable[[], object]) -> NoReturn:
    """Run it, and end as an interpreter does, but leave its memory to the kernel: to free it, all would be copied."""
    code: object = 0
    try:
        program()
    except SystemExit as end:
        code = end.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 1)


def command() -> None:
    """Be `python -m handshake_inspect`."""
    runpy.run_module("handshake_inspect", run_name="__main__", alter_sys=True)


def become(order: Order, streams: list[int]) -> None:
    """Take the standard streams, the arguments, the environment and the folder of a command."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.argv[1:] = order.arguments


if __name__ == "__main__":
    from tests.preloaded import import_all

    import_all()
    serve(socket.socket(fileno=int(sys.argv[1])), command)
