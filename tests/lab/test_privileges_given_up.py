"""What an open capture does not need is given up: as sudo's user, as root, as somebody without any right."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.live.privileges import give_up_privileges
from handshake_inspect.lab.world import in_child, in_private_world
from tests.lab.privileges import NOBODY, as_ordinary_user, needs_private_world, needs_root

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
Status = dict[str, str]


def status_of(path: str = "/proc/thread-self/status") -> Status:
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}


def as_sudo(folder: Path | None = None) -> tuple[str | None, Status, list[int], bool]:
    os.environ |= {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "SUDO_USER": "nobody"}
    with LiveCapture("lo"):
        done = give_up_privileges([] if folder is None else [folder])
    try:
        os.setuid(0)
        came_back = True
    except PermissionError:
        came_back = False
    return done, status_of(), os.getgroups(), came_back


def test_under_sudo_it_becomes_the_user_for_good() -> None:
    needs_root("becoming another user")
    done, status, groups, came_back = in_child(as_sudo)
    assert done == "goes on as nobody, without the rights of root"
    assert status["Uid"].split() == status["Gid"].split() == [str(NOBODY)] * 4
    assert groups == os.getgrouplist("nobody", NOBODY)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert not came_back


def test_a_user_who_may_not_write_the_files_to_come_is_not_become(tmp_path: Path) -> None:
    needs_root("becoming another user")
    tmp_path.chmod(0o755)
    done, status, _, _ = in_child(lambda: as_sudo(tmp_path))
    assert done == "goes on without the rights of root"
    assert status["Uid"].split() == ["0"] * 4
    assert int(status["CapEff"], 16) == 0


def as_root(folder: Path) -> tuple[str | None, Status, str]:
    os.environ.pop("SUDO_UID", None)
    with LiveCapture("lo") as capture:
        done = give_up_privileges([folder])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            one.sendto(b"still there", one.getsockname())
            assert sum(len(block) for block in capture.drain())
    (folder / "later.pcapng").write_bytes(b"root's own")
    with pytest.raises(PermissionError):
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    program = "print(*(line for line in open('/proc/self/status') if line.startswith('Cap')), sep='', end='')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done, status_of(), ran.stdout


def test_root_keeps_its_files_and_no_capability_nor_do_programs_it_runs(tmp_path: Path) -> None:
    needs_root("capabilities to give up")
    done, status, of_a_program = in_child(lambda: as_root(tmp_path))
    assert done == "goes on without the rights of root"
    assert {int(status[name], 16) for name in SETS} == {0}
    assert status["NoNewPrivs"] == "1"
    assert {line.split()[1] for line in of_a_program.splitlines()} == {"0" * 16}
    assert (tmp_path / "later.pcapng").exists()


def test_in_a_private_world_its_rights_over_it_are_given_up() -> None:
    needs_private_world()

    def inside() -> tuple[str | None, Status]:
        os.environ |= {"SUDO_UID": "1", "SUDO_GID": "1"}  # nobody there to become
        with LiveCapture("lo"):
            return give_up_privileges(), status_of()

    def as_user_of_a_world() -> tuple[str | None, Status]:
        return in_private_world(inside)

    done, status = as_ordinary_user(as_user_of_a_world)
    assert done == "goes on without the rights of root"
    assert int(status["CapEff"], 16) == 0


def test_without_privilege_there_is_nothing_to_give_up() -> None:
    assert as_ordinary_user(give_up_privileges) is None


def test_what_the_system_forbids_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_root("capabilities to keep")

    class Stubborn:
        def __getattr__(self, name: str) -> Callable[..., int]:
            return lambda *_: -1

    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setattr("handshake_inspect.capture.live.privileges.libc", Stubborn)
    assert give_up_privileges() == "goes on with its rights, which this system does not let it give up"
