from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.world import (
    LabError,
    WorldError,
    enter_private_network,
    explain_failure,
    in_child,
    in_private_world,
)
from tests.lab.privileges import as_ordinary_user, children, forbid_namespaces, needs_private_world, needs_root


def namespace(kind: str) -> str:
    return str(Path("/proc/self/ns", kind).readlink())


def loopback_echo() -> tuple[bytes, list[str], int]:
    listener = socket.create_server(("127.0.0.1", 7))  # below 1024: only root of this network may
    with listener, socket.create_connection(listener.getsockname(), timeout=2) as client:
        served, _ = listener.accept()
        with served:
            client.sendall(b"bith")
            heard = served.recv(16)
    return heard, [name for _, name in socket.if_nameindex()], os.getuid()


def test_a_private_world_has_a_loopback_of_its_own_and_nothing_else() -> None:
    needs_private_world()
    assert in_private_world(loopback_echo) == (b"bith", ["lo"], 0)


def test_an_ordinary_user_can_have_one() -> None:
    needs_private_world()
    assert as_ordinary_user(lambda: in_private_world(loopback_echo)) == (b"bith", ["lo"], 0)


def test_this_process_stays_where_it_was() -> None:
    needs_private_world()
    before = (namespace("net"), namespace("user"), os.geteuid())
    inside = in_private_world(lambda: namespace("net"))
    assert (namespace("net"), namespace("user"), os.geteuid()) == before
    assert inside != before[0]


def raise_lab_error() -> None:
    raise LabError("one line")


def raise_capture_error() -> None:
    raise CaptureError("another line")


def divide_by_zero() -> None:
    _ = 1 / 0


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (raise_lab_error, LabError, "^one line$"),
        (raise_capture_error, CaptureError, "^another line$"),
        (divide_by_zero, RuntimeError, "ZeroDivisionError"),
        (lambda: os._exit(7), RuntimeError, "status 7"),
    ],
)
def test_errors_come_back(function: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        in_child(function)  # type: ignore[arg-type]


def test_no_child_is_left_behind() -> None:
    before = children()
    in_child(os.getpid)
    with pytest.raises(RuntimeError):
        in_child(divide_by_zero)
    assert children() == before


def test_the_child_ends_with_its_parent() -> None:
    program = (
        "import os, sys, time\n"
        "from handshake_inspect.lab.world import in_child\n"
        "def child():\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(30)\n"
        "in_child(child)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 3
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break
        time.sleep(0.01)
    else:
        assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize(("action", "said"), [("SIG_IGN", "goes on\n"), ("SIG_DFL", "")])
def test_ctrl_c_ends_the_child_unless_its_parent_ignores_it(action: str, said: str) -> None:
    """A shell has what runs in the background ignore it; then whoever waits for the child would wonder why it fell."""
    program = (
        "import os, signal\n"
        "from handshake_inspect.lab.world import in_child\n"
        f"signal.signal(signal.SIGINT, signal.{action})\n"
        "def child():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('goes on', flush=True)\n"
        "in_child(child)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout == said
    assert ("ChildDiedError" in done.stderr) == (not said)


def enter_twice_with_no_room() -> None:
    enter_private_network(with_user_namespace=True)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    enter_private_network(with_user_namespace=True)


def enter_with_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
    enter_private_network(with_user_namespace=True)


def enter_behind_seccomp() -> None:
    forbid_namespaces()
    enter_private_network(with_user_namespace=True)


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (enter_twice_with_no_room, r"user\.max_user_namespaces=0.*sysctl -w user\.max_user_namespaces="),
        (enter_with_a_thread, "this process has threads"),
        (enter_behind_seccomp, "seccomp.*--cap-add NET_RAW"),
    ],
)
def test_each_real_failure_is_named_with_its_remedy(attempt: object, said: str) -> None:
    needs_private_world()
    with pytest.raises(WorldError, match=said) as caught:
        in_child(attempt)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("step", "number", "settings", "said"),
    [
        ("lo", errno.EPERM, {"sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "AppArmor"),
        ("unshare", errno.EPERM, {"sys/kernel/unprivileged_userns_clone": "0"}, "userns_clone=1"),
        ("map", errno.EACCES, {}, "not dumpable"),
        ("unshare", errno.EPERM, {}, r"cannot be made here \(unshare: Operation not permitted\)"),
    ],
)
def test_failures_that_this_system_does_not_have(step: str, number: int, settings: dict[str, str], said: str) -> None:
    with pytest.raises(WorldError, match=said):
        raise WorldError(explain_failure(step, number, lambda path: settings.get(path, "")))  # type: ignore[arg-type]


def test_root_needs_no_user_namespace() -> None:
    needs_root("root's network namespace needs root")
    user = namespace("user")
    assert in_private_world(lambda: namespace("user")) == user


def test_root_without_the_capability_has_one_like_a_user() -> None:
    """As in many containers: uid 0, but not CAP_SYS_ADMIN."""
    needs_root("dropping a capability of root needs root")
    program = (
        "from handshake_inspect.lab.session import run_demo\n"
        "print(run_demo('three-segment').place, run_demo('four-way', rules=['drop first SYN from client']).place)"
    )
    command = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("private private\n", "")
