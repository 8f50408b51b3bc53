"""Runs the command line as a user does: as a process of its own."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from handshake_inspect.lab.processes import state_of
from tests.cli.warm import CODE, PID, Order

REPOSITORY = Path(__file__).parents[2]
PCAPS = REPOSITORY / "pcaps"
TIMEOUT_S = 60
COMMAND = [sys.executable, "-m", "handshake_inspect"]
#: The process of the tests. A child of it is somewhere else, in a network of its own perhaps, and what forks is not.
HOME = os.getpid()
#: What an interpreter looks at when it starts.
OF_A_START = ("PYTHON", "LC_", "LANG")


def run(*arguments: str, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `handshake-inspect` with these arguments, away from the terminal of the test run."""
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    order = Order(arguments, {**clean, "PYTHONIOENCODING": "utf-8", **environment}, str(REPOSITORY))
    of_a_start = any(name.startswith(OF_A_START) for name in environment)
    done = (cold if of_a_start or os.getpid() != HOME else warm)(order, stdin or b"")
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def waiting_for_more(
    *arguments: str, capture: Path, cwd: Path = REPOSITORY, **environment: str
) -> subprocess.Popen[bytes]:
    """Return a command that has taken a capture from the pipe at its standard input, and sleeps."""
    import fcntl
    import termios

    process = subprocess.Popen(
        [*COMMAND, *arguments], env=os.environ | environment, cwd=cwd,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(capture.read_bytes())
    process.stdin.flush()
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        has_all = fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)) == bytes(4)
        if has_all and state_of(process.pid) == "S":
            return process
        time.sleep(0.01)
    raise TimeoutError("it does not read its standard input to the end")


def waiting_for_a_writer(pipe: Path, *arguments: str) -> subprocess.Popen[str]:
    """Return a command that opens a new named pipe, to which nobody writes, and sleeps."""
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    deadline, asleep = time.monotonic() + TIMEOUT_S, 0
    while asleep < 30 and time.monotonic() < deadline:  # while it starts it may sleep for a moment
        asleep = asleep + 1 if state_of(process.pid) == "S" else 0
        time.sleep(0.01)
    return process


def cold(order: Order, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run a command with an interpreter of its own."""
    return subprocess.run(
        [*COMMAND, *order.arguments], input=stdin, capture_output=True, timeout=TIMEOUT_S, env=order.environment,
        cwd=order.folder, check=False,
    )  # fmt: skip


def warm(order: Order, stdin: bytes, *module: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process that has imported what it needs: `tests.cli.warm`, or another module that serves."""
    orders = _forking(*module or ("tests.cli.warm",))
    (takes, gives), (out, writes_out), (err, writes_err) = os.pipe(), os.pipe(), os.pipe()
    theirs = [takes, writes_out, writes_err]
    socket.send_fds(orders, [pickle.dumps(order)], theirs)
    for descriptor in theirs:
        os.close(descriptor)
    (pid,) = PID.unpack(orders.recv(PID.size))
    with ThreadPoolExecutor(3) as threads:
        threads.submit(_give, gives, stdin)
        said = [threads.submit(_take, one) for one in (out, err)]
        try:
            (code,) = CODE.unpack(orders.recv(CODE.size))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            orders.recv(CODE.size)
            raise subprocess.TimeoutExpired([*COMMAND, *order.arguments], TIMEOUT_S) from None
    return subprocess.CompletedProcess([*COMMAND, *order.arguments], code, *(one.result() for one in said))


def _give(descriptor: int, octets: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
        pipe.write(octets)


def _take(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


@cache
def _forking(*module: str) -> socket.socket:
    """Start the process that forks, once for all tests of a worker. Its streams are pipes, as a command's are."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.settimeout(TIMEOUT_S)
    process = subprocess.Popen(
        [sys.executable, "-m", *module, str(theirs.fileno())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[theirs.fileno()],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}, cwd=REPOSITORY,
    )  # fmt: skip
    theirs.close()

    def end() -> None:
        ours.close()
        process.communicate(timeout=TIMEOUT_S)

    atexit.register(end)
    return ours
