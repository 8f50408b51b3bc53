"""A command in a private world: what it says there is captured, how it ended is told, and nothing of it stays."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from handshake_inspect.inspector import Inspector
from handshake_inspect.lab.command.refusals import CommandError, CommandNotFoundError
from handshake_inspect.lab.command.run import run_command
from handshake_inspect.lab.command.running import Running
from handshake_inspect.lab.processes import descendants, name_of, state_of
from handshake_inspect.lab.world import LabError
from tests.lab.privileges import NOBODY, as_ordinary_user, children, needs_private_world, needs_root, needs_strace

ECHO = """
import os, socket
listener = socket.create_server(("127.0.0.1", {port}))
if os.fork() == 0:
    client = socket.create_connection(listener.getsockname())
    client.sendall(b"BITH")
    assert client.recv(9) == b"BITH"
    client.close()
    os._exit(0)
server, _ = listener.accept()
server.sendall(server.recv(9))
assert server.recv(9) == b""
server.close()
os.wait()
"""
#: An interpreter that everybody may run, also where that of the tests is root's own.
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
LIMIT_S = 60
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


@dataclass(frozen=True)
class Told:
    """What is known when a command has ended, in a form that goes through a pipe."""

    kinds: list[tuple[str, str]]
    frames: int
    dropped: int
    exit_status: int
    killed_by: str
    left: tuple[str, ...]


def watch(running: Running) -> Told:
    inspector = Inspector()
    number = inspector.begin_capture("lo", "live")
    for block in running.blocks():
        inspector.add_records(block, number)
    ended = running.ended
    assert ended is not None
    kinds: list[tuple[str, str]] = [(one.handshake.kind, one.teardown.kind) for one in inspector.result().connections]
    frames, dropped = running.capture.packets, running.capture.dropped
    return Told(kinds, frames, dropped, ended.exit_status, ended.killed_by, ended.left)


def lives(pid: int) -> bool:
    return state_of(pid) not in ("Z", "X", "")


def shell(script: str) -> Told:
    return run_command(["sh", "-c", script], watch)


def test_a_session_is_captured_from_the_first_syn_to_the_last_ack() -> None:
    told = run_command([PYTHON, "-c", ECHO.format(port=0)], watch)
    assert told == Told([("three-way", "three-segment")], 10, 0, 0, "", ())


def test_an_ordinary_user_is_that_user_in_it_and_may_bind_every_port(capfd: pytest.CaptureFixture[str]) -> None:
    script = f"import os; print(os.getuid(), os.geteuid(), os.getgid(), flush=True)\n{ECHO.format(port=7)}"
    told = as_ordinary_user(lambda: run_command([PYTHON, "-c", script], watch))
    assert (told.kinds, told.exit_status) == ([("three-way", "three-segment")], 0)
    user, group = (NOBODY, NOBODY) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    assert capfd.readouterr().out.split() == [str(user), str(user), str(group)]


def test_root_stays_root(capfd: pytest.CaptureFixture[str]) -> None:
    needs_root("only root can stay root")
    assert shell("id -u").exit_status == 0
    assert capfd.readouterr().out == "0\n"


@pytest.mark.parametrize(
    ("script", "exit_status", "killed_by"), [("exit 7", 7, ""), ("kill -9 $$", 137, "SIGKILL"), ("true", 0, "")]
)
def test_the_exit_status_is_told_as_shells_tell_it(script: str, exit_status: int, killed_by: str) -> None:
    told = shell(script)
    assert (told.exit_status, told.killed_by, told.frames) == (exit_status, killed_by, 0)


def test_its_input_is_the_terminals_or_what_is_piped() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.watching", "cat"], input=b"piped\n", capture_output=True, check=True
    )
    assert b"piped\n" in done.stdout


def test_an_interactive_shell_has_the_terminal_to_itself() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "tests.lab.watching", "sh", "-i"])
    read_until(terminal, b"watching")
    os.write(terminal, b"sleep 600\n")
    time.sleep(0.2)
    os.write(terminal, b"\x03")
    os.write(terminal, b"exit 4\n")
    assert b"status 4, killed by nobody" in read_until(terminal, b"nobody")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    os.close(terminal)


def test_what_a_command_leaves_behind_is_named_and_ended() -> None:
    before = children()
    told = shell("sleep 600 & (trap '' TERM; sleep 601; true) & exit 3")
    assert told.exit_status == 3
    assert sorted(name.split()[0] for name in told.left) == ["sh", "sleep", "sleep"]
    assert not any(lives(int(name.rpartition(" ")[2].rstrip(")"))) for name in told.left)
    assert children() == before


def test_what_ends_shortly_after_the_command_is_waited_for() -> None:
    assert shell("(sleep 0.1) & exit 0").left == ()


@pytest.mark.parametrize(
    ("name", "said", "status"),
    [
        ("no-such-command", "no-such-command: there is no such command in the folders of PATH", 127),
        ("/no/such/command", "/no/such/command: there is no such command", 127),
        ("{folder}/text", "{folder}/text: not executable: chmod +x, or name its interpreter first", 126),
        ("{folder}", "{folder}: a folder", 126),
        ("{folder}/bare", "{folder}/bare: cannot be run: Exec format error", 126),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(name: str, said: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("echo")
    (tmp_path / "bare").write_text("echo")
    (tmp_path / "bare").chmod(0o755)
    with pytest.raises(CommandError) as raised:
        run_command([name.format(folder=tmp_path)], watch)
    assert str(raised.value) == said.format(folder=tmp_path)
    assert raised.value.exit_status == status
    assert isinstance(raised.value, CommandNotFoundError) == (status == 127)


def test_a_folder_of_path_that_may_not_be_searched_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir(0o000)
    monkeypatch.setenv("PATH", f"{tmp_path / 'locked'}:{os.environ['PATH']}")

    def said() -> str:
        with pytest.raises(CommandNotFoundError) as raised:
            run_command(["no-such-command"], watch)
        return str(raised.value)

    assert as_ordinary_user(said) == "no-such-command: there is no such command in the folders of PATH"


def watch_until_stopped(running: Running) -> str:
    running.stop()
    return watch(running).killed_by


def test_whoever_has_seen_enough_stops_the_command() -> None:
    assert run_command(["sleep", "600"], watch_until_stopped) == "SIGTERM"


def stumble(running: Running) -> None:
    next(running.blocks())
    raise LabError("stumbled")


def test_the_command_ends_when_the_watching_does(tmp_path: Path) -> None:
    before = children()
    script = f"echo $$ > {tmp_path}/pid; {PYTHON} -c '{ECHO.format(port=0)}'; sleep 600"
    with pytest.raises(LabError, match=r"^stumbled$"):
        run_command(["sh", "-c", script], stumble)
    assert not lives(int((tmp_path / "pid").read_text()))
    assert children() == before


#: Counts the SIGINTs that it gets, and ends with their number.
COUNTING = "n=0; trap 'n=$((n+1))' INT; echo ready; while [ $n = 0 ]; do sleep 0.05; done; sleep 0.3; exit $n"


def read_until(stream: int, wanted: bytes) -> bytes:
    """Return what was read up to there; what an end of the program left unsaid fails the test that looks for it."""
    found, deadline = b"", time.monotonic() + LIMIT_S
    while wanted not in found and time.monotonic() < deadline:
        try:
            part = os.read(stream, 1000)
        except OSError:  # a terminal whose other end was closed
            break
        if not part:
            break
        found += part
    return found


def test_ctrl_c_at_a_terminal_is_the_commands_and_the_capture_ends_with_it() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "tests.lab.watching", "sh", "-c", COUNTING])
    read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    assert b"0 frames, status 1, killed by nobody" in read_until(terminal, b"nobody")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(terminal)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the program that watches, in a process group of its own; it ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(*command: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-m", "tests.lab.watching", *command]
        running.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True))
        return running[-1]

    yield begin
    for one in running:
        if one.stdout is not None:
            one.stdout.close()
        one.kill()
        one.wait()


@pytest.mark.parametrize("whole_group", [False, True])
def test_an_interruption_reaches_the_command_once(
    whole_group: bool, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    watching = start("sh", "-c", COUNTING)
    assert watching.stdout is not None
    read_until(watching.stdout.fileno(), b"ready")
    if whole_group:
        os.killpg(watching.pid, signal.SIGINT)
    else:
        watching.send_signal(signal.SIGINT)
    assert b"status 1, killed by nobody" in read_until(watching.stdout.fileno(), b"nobody")
    assert watching.wait(LIMIT_S) == 1


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_an_interruption_while_the_world_is_made_is_not_lost(
    whole_group: bool, traced: bool, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """The command does not exist yet: it gets it when it begins."""
    if traced:
        needs_strace()
    watching = start(*(["--strace"] if traced else []), "sleep", "600")
    assert watching.stdout is not None
    deadline = time.monotonic() + LIMIT_S
    while not children_of(watching.pid) and time.monotonic() < deadline:
        pass
    (os.killpg if whole_group else os.kill)(watching.pid, signal.SIGINT)
    assert b"status 130, killed by SIGINT" in read_until(watching.stdout.fileno(), b"SIGINT")
    assert watching.wait(LIMIT_S) == 130


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def watch_and_interrupt(running: Running) -> Told:
    """Press Ctrl-C on the screen, which is another thread, as soon as the command sleeps."""

    def press() -> None:
        while not any(name_of(pid).startswith("sleep") for pid in descendants()):
            time.sleep(0.01)
        running.interrupt()

    threading.Thread(target=press, daemon=True).start()
    return watch(running)


def test_ctrl_c_on_the_screen_ends_what_a_shell_runs_as_one_on_a_terminal_does() -> None:
    told = run_command(["sh", "-c", "sleep 600; echo never"], watch_and_interrupt)
    assert (told.killed_by, told.left) == ("SIGINT", ())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("script", "status"), [("echo ready; exec sleep 600", b"SIGTERM"), (STUBBORN, b"SIGKILL")])
def test_a_request_to_end_is_handed_on(
    script: str, status: bytes, number: signal.Signals, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    watching = start("sh", "-c", script)
    assert watching.stdout is not None
    read_until(watching.stdout.fileno(), b"ready")
    watching.send_signal(number)
    assert b"killed by " + status in read_until(watching.stdout.fileno(), status)
    watching.wait(LIMIT_S)


def test_the_end_of_the_terminal_leaves_no_log_of_strace(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_strace()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    watching = start("--strace", "sh", "-c", "echo ready; exec sleep 600")
    assert watching.stdout is not None
    read_until(watching.stdout.fileno(), b"ready")
    assert list(tmp_path.iterdir())
    watching.send_signal(signal.SIGHUP)
    assert b"killed by SIGTERM" in read_until(watching.stdout.fileno(), b"SIGTERM")
    watching.wait(LIMIT_S)
    assert not list(tmp_path.iterdir())


def test_nothing_lives_on_when_nobody_reads_any_more(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    watching = start("sh", "-c", f"echo $$ > {tmp_path}/pid; echo ready; exec >/dev/null; sleep 0.3")
    assert watching.stdout is not None
    read_until(watching.stdout.fileno(), b"ready")
    watching.stdout.close()
    assert watching.wait(LIMIT_S) != 0
    assert not lives(int((tmp_path / "pid").read_text()))


def test_the_command_dies_with_whoever_watches(tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]) -> None:
    watching = start("sh", "-c", f"echo $$ > {tmp_path}/pid; echo ready; exec sleep 600")
    assert watching.stdout is not None
    read_until(watching.stdout.fileno(), b"ready")
    watching.kill()
    pid, deadline = int((tmp_path / "pid").read_text()), time.monotonic() + LIMIT_S
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lives(pid)
