"""What an open capture does not need is given up: as sudo's user, as root, as somebody without any right."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
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


def sniff_once(target: Path, *options: str, sudo: bool) -> tuple[int, str, int]:
    """Sniff for a moment as root; return the exit code, what was said, and whose the files are."""
    if sudo:
        os.environ |= {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    else:
        os.environ.pop("SUDO_UID", None)
    arguments = ["sniff", "--duration", "0.2", "-q", "-w", str(target), *options]
    done = subprocess.run([sys.executable, "-m", "handshake_inspect", *arguments], capture_output=True, text=True)
    (owner,) = {path.stat().st_uid for path in target.parent.iterdir()}
    return done.returncode, done.stderr, owner


def of_nobody(folder: Path) -> Path:
    """Give a folder to nobody, who may then enter it: the folders of pytest around it are their owner's alone."""
    around = [place for place in folder.parents if Path(tempfile.gettempdir()) in place.parents]
    for place in (folder, *around):
        place.chmod(0o755)
    os.chown(folder, NOBODY, NOBODY)
    return folder


def test_root_saves_in_somebody_elses_folder(tmp_path: Path) -> None:
    needs_root("rights over a folder of somebody else")
    target = of_nobody(tmp_path) / "kept.pcapng"
    code, said, owner = in_private_world(sniff_once, target, sudo=False)
    assert (code, owner) == (0, 0), said
    assert "goes on without the rights of root" in said
    code, said, _ = in_private_world(sniff_once, target, "--rotate", "1h", sudo=False)
    assert code == 0, said
    assert f"goes on with the rights of root, to write in {tmp_path}" in said


def test_under_sudo_files_are_the_users_where_that_can_be(tmp_path: Path) -> None:
    needs_root("becoming another user")
    target = of_nobody(tmp_path) / "kept.pcapng"
    code, said, owner = in_private_world(sniff_once, target, sudo=True)
    assert (code, owner) == (0, NOBODY), said
    os.chown(target, 0, 0)  # an older one is root's
    code, said, owner = in_private_world(sniff_once, target, sudo=True)
    assert (code, owner) == (0, 0), said
    assert "goes on as nobody" in said


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
