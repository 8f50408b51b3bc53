"""A private world: a function run in a forked child that has a network of its own.

In: a function and its arguments. Out: what it returned, or its error. The child has a loopback interface that is up
and on which nobody else talks; the network ends with the child, TIME-WAIT and all. Root gets a network namespace; an
ordinary user a user namespace around it, in which the child is root over that network only. Takes about 10 ms.

Every way in which a system forbids this has its own sign (measured); `explain_failure` names the one that applies.
Linux only, and only when something is called: importing this module is safe anywhere.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, Literal, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

# <linux/sched.h>, <linux/sockios.h>, <linux/if.h>, <linux/prctl.h>
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
IFREQ = struct.Struct("16sH22x")
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4

#: What was tried when it failed.
Step = Literal["unshare", "map", "lo"]


class LabError(Exception):
    """The lab cannot do what was asked here. The message is one line: what is wrong and what to do."""


class WorldError(LabError):
    """A private network is not possible here."""


class KernelLacksError(LabError):
    """This kernel lacks what a scenario is about."""


class ChildDiedError(RuntimeError):
    """A child was killed, or left without its answer. `exit_code`: its own, or minus the signal that killed it."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the child of the lab ended with status {exit_code}")
        self.exit_code = exit_code


def in_private_world(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `function` in a forked child with a network of its own, and return what it returns.

    Its result must be picklable. A LabError or CaptureError of it is raised again here; any other exception becomes
    a RuntimeError with its traceback. If this process is interrupted or dies, the child ends too.
    """
    return in_child(inside_private_network(function, *args, **kwargs))


def in_private_world_to_its_end(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `function` likewise; at Ctrl-C it gets a KeyboardInterrupt, and may still return what it has so far.

    Raises KeyboardInterrupt if it does not, and at the second one.
    """
    child = Child(inside_private_network(function, *args, **kwargs))
    was_interrupted = False
    while True:
        try:
            if not child.listen(to_its_end=not was_interrupted):
                break
        except KeyboardInterrupt:
            if was_interrupted:
                raise
            was_interrupted = True
            child.send_signal(signal.SIGINT)
    try:
        return child.result()
    except ChildDiedError:
        if was_interrupted:
            raise KeyboardInterrupt from None
        raise


def inside_private_network(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
    """Return a function for a child, which calls another in a network of its own."""
    if not sys.platform.startswith("linux"):
        raise WorldError("the lab needs Linux: it makes a network namespace of its own")

    def inside() -> R:
        enter_private_network()
        return function(*args, **kwargs)

    return inside


def in_child(function: Callable[[], R]) -> R:
    """Call `function` in a forked child and return what it returns (see `in_private_world`)."""
    child = Child(function)
    while child.listen():
        pass
    return child.result()


def in_children(functions: Sequence[Callable[[], R]], jobs: int) -> Iterator[R]:
    """Call each function in a child of its own, at most `jobs` at once; yield what they return as they end."""
    waiting = list(reversed(functions))
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                while waiting and len(selector.get_map()) < jobs:
                    selector.register(Child(waiting.pop()), selectors.EVENT_READ)
                for key, _ in selector.select():
                    child = cast(Child[R], key.fileobj)
                    if not child.listen():
                        selector.unregister(child)
                        yield child.result()
        finally:
            for key in list(selector.get_map().values()):
                cast(Child[R], key.fileobj).end()


class Child(Generic[R]):
    """A forked process that calls a function and sends back what it returns, or its error."""

    def __init__(self, function: Callable[[], R]) -> None:
        self._reader, writer = os.pipe()
        self._answer = b""

        def answer_and_leave() -> None:
            os.close(self._reader)
            try:
                answer = pickle.dumps((True, function()))
            except Exception as error:
                answer = pickle.dumps((False, sendable(error)))
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(answer)

        self._pid = fork(answer_and_leave)
        os.close(writer)

    def fileno(self) -> int:
        """Return the descriptor to wait on, for use with `selectors`."""
        return self._reader

    def listen(self, *, to_its_end: bool = False) -> bool:
        """Take over a part of the answer; False when it is complete.

        If this is interrupted, the child is ended, unless it is to be heard `to_its_end`.
        """
        try:
            part = os.read(self._reader, 1 << 20)
        except BaseException:
            if not to_its_end:
                self.end()
            raise
        self._answer += part
        return bool(part)

    def result(self) -> R:
        """See the child off when its answer is complete; return the answer, or raise its error."""
        os.close(self._reader)
        _, status = os.waitpid(self._pid, 0)
        refuse_fallen(status)
        succeeded, value = pickle.loads(self._answer)  # written by our own child
        if not succeeded:
            raise value
        return cast(R, value)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the child a signal, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def end(self) -> None:
        """End the child before it has answered; it ends its own children."""
        os.close(self._reader)
        os.kill(self._pid, signal.SIGTERM)
        os.waitpid(self._pid, 0)


def fork(child: Callable[[], None]) -> int:
    """Fork, and return the child's process id. The child calls `child` and leaves without its parent's clean-up.

    Signals wait until both are where they belong: a Ctrl-C must not let the child walk off into its parent's code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        pid = os.fork()
        if pid == 0:
            exit_code = 1
            try:
                die_with_parent()
                for number in (signal.SIGINT, signal.SIGTERM):
                    if signal.getsignal(number) != signal.SIG_IGN:  # as a shell has it for what runs in the background
                        signal.signal(number, end_by_signal)
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
                child()
                exit_code = 0
            finally:
                os._exit(exit_code)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    return pid


def end_by_signal(_number: int, _frame: object) -> None:
    """Turn a signal into an exception, so that `finally` clauses end the programs that this child started.

    Once: Ctrl-C reaches child and parent alike, and the parent's own SIGTERM must not disturb the clearing up.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # not SIG_IGN: Python complains of a signal that is already on its way
    raise KeyboardInterrupt


def refuse_fallen(status: int) -> None:
    """Raise FallenError if a child of the lab was killed, or left without its answer, by its status of waitpid(2)."""
    exit_code = os.waitstatus_to_exitcode(status)
    if exit_code != 0:
        raise ChildDiedError(exit_code)


def sendable(error: Exception) -> Exception:
    """Return what to raise in the parent: errors with a message for people as they are, others with their trace.

    A closed pipe at standard output is the parent's as well.
    """
    from handshake_inspect.capture.records import CaptureError

    if isinstance(error, LabError | CaptureError):
        return type(error)(str(error))
    if isinstance(error, BrokenPipeError):
        return BrokenPipeError()
    return RuntimeError("in the child of the lab:\n" + "".join(traceback.format_exception(error)))


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enter_private_network(*, with_user_namespace: bool | None = None) -> None:
    """Move this process, which must be single-threaded, into a network namespace of its own, with `lo` up.

    With a user namespace around it unless root may do without (None), or as said. Raises WorldError.
    """
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/uid_map belongs to root
    needs_user = user != 0 if with_user_namespace is None else with_user_namespace
    if not needs_user and libc.unshare(CLONE_NEWNET) != 0:  # root without CAP_SYS_ADMIN, as in many containers
        needs_user = True
    if needs_user:
        if libc.unshare(CLONE_NEWNET | CLONE_NEWUSER) != 0:
            raise WorldError(explain_failure("unshare", ctypes.get_errno()))
        die_with_parent()  # new credentials clear it
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        except OSError as error:
            raise WorldError(explain_failure("map", error.errno or 0)) from error
    try:
        bring_up("lo")
    except OSError as error:
        raise WorldError(explain_failure("lo", error.errno or 0)) from error


def bring_up(interface: str) -> None:
    """Set the flag IFF_UP of `interface`."""
    _, flags = IFREQ.unpack(network_ioctl(SIOCGIFFLAGS, IFREQ.pack(interface.encode(), 0)))
    network_ioctl(SIOCSIFFLAGS, IFREQ.pack(interface.encode(), flags | IFF_UP))


def network_ioctl(request: int, argument: bytes) -> bytes:
    """Ask the kernel something about an interface or a route (netdevice(7)). Returns its answer. Raises OSError."""
    import fcntl  # not on Windows, where this module is imported all the same

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, request, argument)


def setting(path: str) -> str:
    """Return the value of a file below /proc, "" where the kernel has none."""
    try:
        return Path("/proc", path).read_text().strip()
    except OSError:
        return ""


def explain_failure(step: Step, number: int, read: Callable[[str], str] = setting) -> str:
    """Say why `step` failed with errno `number`, and what to do, in one line. `read` gives the kernel's settings."""
    as_root = "or run as root"
    if step == "unshare" and number == errno.ENOSPC:
        limit = read("sys/user/max_user_namespaces") or "?"
        return (
            f"no user namespaces are allowed here (user.max_user_namespaces={limit}, or the limit is reached): "
            f"sysctl -w user.max_user_namespaces=10000, {as_root}"
        )
    if step == "unshare" and number == errno.EINVAL:
        return f"this process has threads, or this kernel has no user namespaces (CONFIG_USER_NS): {as_root[3:]}"
    if read("sys/kernel/unprivileged_userns_clone") == "0":
        return (
            "ordinary users may not make user namespaces here (kernel.unprivileged_userns_clone=0): "
            f"sysctl -w kernel.unprivileged_userns_clone=1, {as_root}"
        )
    if step != "unshare" and read("sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor takes the rights out of user namespaces here "
            "(kernel.apparmor_restrict_unprivileged_userns=1): "
            f"sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, {as_root}"
        )
    if step == "map" and number == errno.EACCES:
        return f"this process may not write its own uid_map (it is not dumpable): run a plain python, {as_root}"
    if step == "unshare" and "Seccomp:\t2" in read("self/status"):
        return (
            "a seccomp filter forbids namespaces here (a container's default): run the container as root with "
            "--cap-add NET_RAW, or with --security-opt seccomp=unconfined"
        )
    return f"a private network cannot be made here ({step}: {os.strerror(number)}): {as_root[3:]} on the host"
