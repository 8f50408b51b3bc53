"""Reading works on Windows and macOS too: the commands run with what is missing there taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from handshake_inspect.cli import _unwritable
from tests.cli.elsewhere import MISSING_MODULES, modules_of_ours
from tests.cli.running import PCAPS, REPOSITORY, run, warm
from tests.cli.warm import Order

SYSTEMS = ("win32", "darwin")
ENCODINGS = ("cp1252", "cp437", "cp932", "cp1252:strict")
FOUR_WAY = str(PCAPS / "four-way.pcap")
COMMANDS = [
    ["read", "pcaps"],
    ["read", "pcaps/*.pcap", "--udp", "--format", "zeek"],
    ["read", "pcaps", "--format", "json", "--steps"],
    ["read", FOUR_WAY, "--format", "csv", "--net", "127.0.0.0/8", "--since", "+0s"],
    ["show", FOUR_WAY, "--time", "utc"],
    ["show", FOUR_WAY, "--format", "json"],
    ["check", "pcaps/four-way.pcap", "pcaps/ipv6.pcap", "--teardown", "four-way"],
    ["check", "pcaps/reset.pcap", "--teardown", "four-way"],
    ["check", "pcaps/reset.pcap", "--teardown", "four-way", "--format", "tap"],
    ["check", "pcaps/reset.pcap", "--teardown", "four-way", "--format", "github"],
    ["read", "missing.pcap"],
    ["--version"],
]
#: What prints signs beyond ASCII.
TEXTS = [
    ["read", "pcaps"],
    ["show", FOUR_WAY, "--time", "utc"],
    ["check", "pcaps/reset.pcap", "--teardown", "four-way"],
    ["read", FOUR_WAY, "--where", "teardown.knd"],
]


def run_as(
    system: str, *arguments: str, stdin: bytes = b"", is_cold: bool = False, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as if on `system`: with an interpreter of its own if it is cold, else forked."""
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    order = Order(arguments, {**clean, "PYTHONIOENCODING": "utf-8", **environment}, str(REPOSITORY))
    if not is_cold:
        return warm(order, stdin, "tests.cli.elsewhere", system)
    return subprocess.run(
        [sys.executable, "-m", "tests.cli.elsewhere", system, *arguments],
        input=stdin, capture_output=True, timeout=60, cwd=REPOSITORY, env=order.environment, check=False,
    )  # fmt: skip


@cache
def here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on this system, once for all that compare with it."""
    return run(*arguments)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_prints_the_same_everywhere(system: str, arguments: list[str]) -> None:
    there = run_as(system, *arguments)
    assert there.stderr.decode() == here(*arguments).stderr
    assert there.stdout.decode() == here(*arguments).stdout
    assert there.returncode == here(*arguments).returncode


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("command", ["read", "show", "check --teardown four-way"])
def test_standard_input_is_read_everywhere(system: str, command: str) -> None:
    octets = Path(FOUR_WAY).read_bytes()
    arguments = [*command.split(), "-"]
    there = run_as(system, *arguments, stdin=octets)
    assert there.stderr == b""
    assert there.stdout.decode() == run(*arguments, stdin=octets).stdout


@pytest.mark.parametrize("system", SYSTEMS)
def test_python_inspects_everywhere(system: str) -> None:
    program = (
        "from handshake_inspect import inspect\n"
        f"found = inspect({FOUR_WAY!r})\n"
        "print(found.connections[0].teardown.kind, len(found.steps(0)))\n"
        "assert inspect(open(found.captures[0].name, 'rb')).connections[0].history == 'ShADadFf'\n"
    )
    done = run_as(system, "-c", program)
    assert done.stderr == b""
    assert done.stdout == b"four-way 11\n"


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_of_ours_can_be_imported_everywhere(system: str) -> None:
    program = f"import importlib\nfor name in {modules_of_ours()}: importlib.import_module(name)"
    done = run_as(system, "-c", program, is_cold=True)
    assert done.stderr == b""


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_needs_linux_says_so_in_one_line(system: str) -> None:
    done = run_as(system, "sniff")
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"Error: ")
    assert b"Linux" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_is_taken_away_is_gone() -> None:
    """Else the tests above would prove nothing."""
    for name in sorted(MISSING_MODULES["win32"]):
        done = run_as("win32", "-c", f"import {name}")
        assert b"ModuleNotFoundError" in done.stderr, name
    program = "import os, select, signal, socket, sys\nprint(sys.platform)\n"
    gone = ("os.fork", "os.getuid", "select.poll", "signal.SIGKILL", "socket.AF_PACKET")
    program += "".join(f"assert not hasattr({name.partition('.')[0]}, {name.partition('.')[2]!r})\n" for name in gone)
    program += "try: select.select([0], [], [], 0)\nexcept OSError as error: print(error.errno)\n"
    assert run_as("win32", "-c", program).stdout == b"win32\n10038\n"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_process_that_was_forked_is_as_one_that_was_started(system: str) -> None:
    """Else the tests above would prove nothing."""
    program = (
        "import os, select, signal, socket, sys\n"
        "names = [sorted(vars(one)) for one in (os, select, signal, socket)]\n"
        "print(sys.platform, names, [(one.encoding, one.errors) for one in (sys.stdin, sys.stdout, sys.stderr)])\n"
    )
    for encoding in ("utf-8", *ENCODINGS):
        forked, started = (
            run_as(system, "-c", program, is_cold=is_cold, PYTHONIOENCODING=encoding) for is_cold in (False, True)
        )
        assert forked.stderr == b""
        assert forked.stdout == started.stdout


# --- consoles that lack the ladder's arrows --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("arguments", TEXTS, ids=" ".join)
def test_no_console_is_too_poor(encoding: str, arguments: list[str]) -> None:
    done = run_as("win32", *arguments, PYTHONIOENCODING=encoding)
    assert b"Traceback" not in done.stderr
    assert done.returncode == here(*arguments).returncode
    out = done.stdout.decode(encoding.partition(":")[0])
    assert "\\u" not in out, "every sign of a ladder or table has its spelling in ASCII"


def test_a_name_in_no_encoding_is_printed_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9\xff.pcap")
    Path(name).write_bytes(Path(FOUR_WAY).read_bytes())
    for encoding in ("utf-8", "cp1252", "ascii"):
        done = subprocess.run(
            [sys.executable, "-m", "handshake_inspect", "read", name],
            capture_output=True,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"four-way" in done.stdout


def test_a_closed_pipe_is_quiet_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handshake_inspect.cli.drop_output", lambda: None)
    closed = OSError(22, "Invalid argument")
    assert _unwritable(closed) == 2
    monkeypatch.setattr(sys, "platform", "win32")
    assert _unwritable(closed) == 0
    assert _unwritable(OSError(28, "No space left on device")) == 2
