"""What every command has in common: help, start-up, errors in one line, exit codes, pipes."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from handshake_inspect.cli import COMMANDS, cli
from handshake_inspect.cli.options import SelectionOptions
from tests.cli.running import PCAPS, REPOSITORY, run, waiting_for_a_writer, waiting_for_more

ECHO = str(PCAPS / "four-way.pcap")
ECHO_6 = str(PCAPS / "ipv6.pcap")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_starts_with_a_verb_and_has_examples(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help is not None
    verb = command.help.split()[0]
    assert verb == COMMANDS[name].split()[0]
    assert re.fullmatch(r"[A-Z][a-z]+", verb)
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.output
    assert f"handshake-inspect {name}" in shown.output.split("Examples:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_its_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or isinstance(parameter.type, click.Choice), parameter.name


@pytest.mark.parametrize("name", ["read", "findings", "show", "browse", "report", "check", "diff", "demo"])
def test_what_an_option_takes_is_called_as_in_the_readme(name: str) -> None:
    """PORT, N: not INTEGER RANGE, which is a class of Click."""
    assert "INTEGER" not in CliRunner().invoke(cli, [name, "--help"]).output


def examples() -> list[tuple[str, list[str]]]:
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        lines = re.findall(r"^ *handshake-inspect (\w+)(.*)$", command.help or "", re.MULTILINE)
        found += [(verb, rest.split(">")[0] if ">" in rest and "'" not in rest else rest) for verb, rest in lines]
    import shlex

    return [(verb, shlex.split(rest)) for verb, rest in found]


@pytest.mark.parametrize(("name", "arguments"), examples())
def test_examples_of_the_help_are_understood(name: str, arguments: list[str]) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    context = command.make_context(name, list(arguments))
    asked = {one.name: context.params[one.name] for one in fields(SelectionOptions) if one.name in context.params}
    if len(asked) == len(fields(SelectionOptions)):
        from handshake_inspect.cli.choose import choice

        choice(SelectionOptions(**asked), context.params.get("sort"))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["report", "--help"], ["read", "--help"], ["show", "-h"], ["--version"]]
)
def test_help_needs_neither_numpy_nor_scapy_nor_rich(arguments: list[str]) -> None:
    code = (
        "import sys; sys.argv[0] = 'handshake-inspect'\n"
        "from handshake_inspect.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'numpy', 'scapy', 'rich', 'jinja2'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_numpy_starts_no_threads_for_matrices() -> None:
    code = (
        "import os, sys; sys.argv[0] = 'handshake-inspect'\n"
        "from handshake_inspect.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'numpy' in sys.modules\n"
        "assert len(os.listdir('/proc/self/task')) == 1\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    command = [sys.executable, "-c", code, "read", ECHO, "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ("raise MemoryError", ""),
        ("import numpy; numpy.empty(1 << 60, 'u1')", " (Unable to allocate 1.00 EiB for an array"),
        ('raise RuntimeError("can\'t start new thread")', ""),
        ("raise OSError(errno.ENOMEM, 'Cannot allocate memory')", ""),
        ("raise ImportError('libx.so: failed to map segment from shared object')", ""),
    ],
)
def test_that_memory_ran_out_is_one_line_behind_what_was_printed(failing: str, said: str) -> None:
    """A traceback of dozens of lines and exit code 1 it was, as for a bug of ours."""
    code = (
        "import errno, sys; sys.argv = ['handshake-inspect', 'read', 'x.pcap']\n"
        "from handshake_inspect import cli\n"
        "from handshake_inspect.cli import read\n"
        f"def fails(**options):\n    print('printed')\n    {failing}\n"
        "read.command.callback = fails\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "printed\n")
    assert done.stderr.startswith(f"Error: out of memory{said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a process ends by a signal elsewhere")
def test_ctrl_c_while_the_command_line_is_imported_gives_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    command = [sys.executable, "-m", "handshake_inspect", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_help_takes_less_than_150_ms() -> None:
    """Of processor time, which a busy machine does not lengthen as it does the time on the wall."""
    best = 1.0
    for _ in range(10):
        before = os.times()
        subprocess.run([sys.executable, "-m", "handshake_inspect", "--help"], capture_output=True, check=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, used)
        if best < 0.15:
            break
    assert best < 0.15


@pytest.mark.parametrize(
    ("group", "whole"),
    [
        ("lab", "Record scenarios as NAME.pcap each, with a page that says what each shows and what must be found"),
        ("echo", "Connect to an echo server and say the lines you type, or those of a pipe, or each --message."),
        ("echo chat", "Join a chat: say lines, and read what the others say; /quit or Ctrl-D leaves."),
    ],
)
def test_a_group_alone_shows_its_help_with_whole_sentences(group: str, whole: str) -> None:
    alone, asked = run(*group.split()), run(*group.split(), "--help")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == asked.stdout
    assert whole in " ".join(alone.stdout.split())


def test_without_a_command_the_help_is_shown() -> None:
    done = run()
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["raed", ECHO], "Did you mean read?"),
        (
            ["frobnicate"],
            "Commands are demo, read, findings, show, browse, report, sniff, echo, lab, timewait, explain, check, ",
        ),
        (["read", "--fromat", "csv", ECHO], "--format"),
        (["read"], "FILE..."),
        (["read", ECHO, "--format", "yaml"], "'yaml' is not one of"),
        (["read", ECHO, "--where", "teardown.knd == 1"], "Did you mean teardown.kind"),
        (["read", ECHO, "--sort", "octets.orignator"], "Did you mean octets.originator"),
        (["read", ECHO, "--host", "localhost"], "is no IP address"),
        (["read", ECHO, "--steps"], "--steps needs --format json or ndjson"),
        (["read", ECHO, "--udp", "--format", "csv"], "another format than csv"),
        (["read", "no-such-file.pcap"], "no-such-file.pcap"),
        (["show", "no-such-file.pcap"], "no-such-file.pcap"),
        (["show", str(REPOSITORY / "tests" / "cli")], "there is no capture in this directory"),
        (["show", ECHO, ECHO_6, "--dissect", "2"], "2 files have such a frame"),
        (["show", ECHO, "--stream", "7"], "there is no stream 7; the last one is 0"),
        (["show", ECHO, "--dissect", "99"], "there is no frame 99"),
        (["show", ECHO, "-w", "/no/such/folder/x.pcap"], "cannot be written"),
        (["show", ECHO, "-w", "-"], "-w - would mix frames with what is printed"),
        (["demo", "refused", "-w", "-"], "-w - would mix frames with what is printed"),
        (["lab", "run", "refused", "-w", "-"], "-w - would mix frames with what is printed"),
        (["show", str(PCAPS / "udp.pcap")], "no TCP connection"),
        (["check", "-"], "nothing is beside it that says what to expect; name a file with --expect"),
        (["check", "no-such-file.pcap"], "no-such-file.pcap: cannot be opened: No such file or directory"),
        (["check", ECHO, "--port", "80"], "selects for --handshake"),
        (["check", ECHO, "--teardown", "three-way"], "'three-way' is no kind. Did you mean four-way?"),
        (
            ["check", ECHO, "--select", "warn"],
            "there is no finding 'warn'. It is a severity, of --severity and of check",
        ),
        (["check", ECHO, "--select", "reset-linger", "--fail-on", "warn"], "no finding is left on which it could"),
        (
            ["check", ECHO, "--select", "reset-linger", "--ignore", "reset-*"],
            "no finding is left on which it could fail",
        ),
        (["check", ECHO, "--fail-on", "warn", "--ignore", "*"], "no finding is left on which it could"),
        (["sniff", "-i", "no-such-interface"], "no such interface"),
        (["sniff", "--port", "80", "--port", "443"], "--port counts once: for several ports: --filter 'tcp port 80 or"),
        (["sniff", "--filter", "tcp", "--filter", "udp"], "--filter counts once: for several filters"),
        (["read", ECHO, "--port", "80", "--port", "443"], "--where 'responder.port in [80, 443]'"),
        (["read", ECHO, "--host", "10.0.0.1", "--host", "10.0.0.2"], "for several addresses: --net IP"),
        (["findings", ECHO, "--where", "stream == 0", "--where", "stream == 1"], "--where counts once"),
        (["join", ECHO, "b.pcap", "--port", "80", "--port", "443"], "--port counts once: join once for each"),
        (["join", ECHO, "b.pcap", "--host", "::1", "--host", "::2"], "--host counts once: join once for each"),
        (["join", ECHO, "b.pcap", "-s", "1", "-s", "2"], "--stream counts once: join once for each"),
        (["join", ECHO, ""], "'SERVER': the name of a file is empty"),
        (["show", ECHO, "--strace", "a.log", "--strace", "b.log"], "--strace counts once: put the logs"),
        (["sniff", "--duration", "nan"], "'nan' is no number of seconds"),
        (["timewait", "watch", "--duration", "nan"], "'nan' is no number of seconds"),
        (["echo", "connect", "", "--message", "x"], "'': expected HOST:PORT with a port from 0 to 65535"),
        (["echo", "chat", "join", "--name", "A", "9", "--message", "x" * 1201], "1,201 octets are too long: 1,200 go"),
        (["echo", "connect", "9", "--timeout", "nan"], "'nan' is no number of seconds"),
        (["demo", "no-such-scenario"], "no-such-scenario"),
    ],
)
def test_wrong_use_gives_2_and_one_line(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert says in errors[0], errors[0]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--where", "teardown.knd == 1"),
        ("--sort", "octets"),
        ("--host", "localhost"),
        ("--since", "yesterday"),
        ("--until", "yesterday"),
        ("--port", "http"),
        ("--stream", "x"),
        ("--profile", "solaris"),
    ],
)
def test_a_wrong_value_is_told_with_the_option_in_quotes_whoever_found_it(option: str, value: str) -> None:
    done = CliRunner().invoke(cli, ["read", ECHO, option, value])
    assert re.match(rf"Error: Invalid value for (?:'-\w' / )?'{option}': ", done.output), done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "", "--teardown", "aborted"],
        ["check", ECHO, ""],
        ["check", ECHO, "--expect", ""],
        ["check", ECHO, "--golden", ""],
        ["check", ECHO, "--teardown", "four-way", "-o", ""],
        ["report", ECHO, "-o", ""],
        ["show", ECHO, "-w", ""],
        ["show", ECHO, "--strace", ""],
        ["diff", ECHO, ""],
        ["read", ""],
    ],
)
def test_an_empty_name_is_told_to_be_empty(arguments: list[str]) -> None:
    """As "$CAPTURE" is, where nobody has set it: `check` ended with a traceback, and the exit code of a failure."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert ": the name of a file is empty. See handshake-inspect" in done.stderr


def test_click_runner_sees_the_same_exit_codes() -> None:
    for arguments, code in ((["raed"], 2), (["--help"], 0), (["read", "no-such-file"], 2), (["read", ECHO], 0)):
        assert CliRunner().invoke(cli, arguments).exit_code == code, arguments


def test_bad_file_does_not_spoil_the_others(tmp_path: Path) -> None:
    bad = tmp_path / "notes.pcap"
    bad.write_text("this is no capture at all, but long enough to be one")
    done = run("read", str(bad), ECHO)
    assert done.returncode == 2
    assert "four-way" in done.stdout
    assert "notes.pcap" in done.stderr


def test_header_without_records_is_no_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(Path(ECHO).read_bytes()[:24])
    done = run("read", str(empty))
    assert done.returncode == 0
    assert "no TCP segment in 0 frames" in done.stderr


def test_damage_is_told_on_stderr_and_what_came_before_is_shown(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(ECHO).read_bytes()[:-10])
    done = run("read", str(cut))
    assert done.returncode == 0
    assert "three-way" in done.stdout
    assert "damaged at octet" in done.stderr


def test_closed_pipe_is_quiet() -> None:
    shell = f"{sys.executable} -m handshake_inspect show {ECHO} --format json | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {shell}"], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="closes it by a shell")
@pytest.mark.parametrize("arguments", ["read -", "echo connect 1", "demo refused --replay --quiz"])
def test_a_closed_standard_input_is_an_empty_one(arguments: str) -> None:
    shell = f"{sys.executable} -m handshake_inspect {arguments} <&-"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode == (0 if "quiz" in arguments else 2)
    assert "Traceback" not in done.stderr


def test_capture_is_read_from_standard_input() -> None:
    octets = Path(ECHO).read_bytes()
    assert "four-way" in run("read", "-", stdin=octets).stdout
    shown = run("show", "-", stdin=octets)
    assert "stream 0 of -" in shown.stdout
    assert '"bith"' in shown.stdout


def test_terminal_without_arrows_gets_ascii() -> None:
    done = run("show", ECHO, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "- SYN seq=x ---" in done.stdout


def test_terminal_without_boxes_gets_them_in_ascii() -> None:
    done = run("explain", "states", PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    assert "\\u" not in done.stdout
    assert "|    CLOSED    |" in done.stdout


def on_terminal(arguments: list[str], **environment: str) -> bytes:
    """Run a command on a real (pseudo) terminal and return what it wrote."""
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "handshake_inspect", *arguments],
        stdin=slave, stdout=slave, stderr=slave,
        env={**clean, "TERM": "xterm-256color", "COLUMNS": "80", **environment},
    )  # fmt: skip
    os.close(slave)
    octets = b""
    try:
        while chunk := os.read(master, 65536):
            octets += chunk
    except OSError:  # Linux: EIO when the other side is closed
        pass
    process.wait()
    os.close(master)
    return octets


def test_colour_and_width_follow_the_terminal() -> None:
    coloured = on_terminal(["show", ECHO])
    assert b"\x1b[" in coloured
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", coloured).decode()
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert b"\x1b[" not in on_terminal(["show", ECHO], NO_COLOR="1")
    assert b"\x1b[" not in run("show", ECHO).stdout.encode()


@pytest.mark.parametrize("group", [[], ["echo"], ["echo", "chat"], ["lab"], ["timewait"]])
def test_the_usage_of_all_groups_has_one_form(group: list[str]) -> None:
    usage = run(*group, "--help").stdout.splitlines()[0]
    assert usage == f"Usage: {' '.join(['handshake-inspect', *group])} [OPTIONS] COMMAND ..."


def test_only_a_terminal_is_told_what_it_is_too_narrow_for() -> None:
    arguments = ["read", ECHO, str(PCAPS / "udp.pcap"), "--udp"]
    said = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(arguments).decode())
    assert said.count("too narrow for: notes, octets ") == 1
    assert max(map(len, said.splitlines())) <= 80
    assert "too narrow" not in run(*arguments, COLUMNS="80").stderr
    assert b"too narrow" not in on_terminal(arguments, COLUMNS="300")


def test_interrupt_gives_130_with_the_result_so_far() -> None:
    process = waiting_for_more("read", "-", capture=Path(ECHO))
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    except ValueError:
        out, err = b"", b""
    assert process.returncode == 130, err
    assert b"four-way" in out
    assert b"Traceback" not in err


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("others", [[], [ECHO]], ids=["alone", "beside-another"])
def test_one_signal_ends_the_wait_for_whoever_writes_to_a_named_pipe(
    others: list[str], ended_by: signal.Signals, tmp_path: Path
) -> None:
    """open() begins again after a signal that is only noted: a job in CI hung until SIGKILL."""
    process = waiting_for_a_writer(tmp_path / "pipe", "read", *others, str(tmp_path / "pipe"))
    process.send_signal(ended_by)
    assert process.communicate(timeout=20) == ("", "interrupted: no frame had come yet\n")
    assert process.returncode == 130


def test_ctrl_c_with_nothing_to_show_says_so(tmp_path: Path) -> None:
    """Where a pipe is copied first, it was called a file that is not there."""
    process = waiting_for_a_writer(tmp_path / "pipe", "show", str(tmp_path / "pipe"))
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "interrupted\n")
    assert process.returncode == 130


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_copy_of_a_pipe_is_used_at_ctrl_c_and_left_by_no_signal(ended_by: signal.Signals, tmp_path: Path) -> None:
    process = waiting_for_more("show", "-", capture=Path(ECHO), TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()), "the pipe is copied here"
    process.send_signal(ended_by)
    process.wait(60)  # before its standard input ends
    out, err = process.communicate()
    assert list(tmp_path.iterdir()) == []
    if ended_by == signal.SIGINT:
        assert process.returncode == 0, err
        assert b"four-way" in out
    else:
        assert process.returncode == -ended_by, err


def test_a_pipe_for_whose_copy_there_is_no_room_is_named(tmp_path: Path) -> None:
    """Not »the output cannot be written«: it is the folder for temporary files that is full."""
    limited = f"ulimit -f 1; cat {PCAPS}/README.md | {sys.executable} -m handshake_inspect show -"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(["bash", "-c", limited], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"Error: -: cannot be copied to {tmp_path} (TMPDIR), to be read again: File too large\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["read"], ["read", "--index"], ["show"], ["show", "--index"], ["findings"], ["report", "-o", "page.html"],
        ["check"], ["check", "--record"], ["diff", ECHO], ["join", ECHO],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_even_be_looked_for_is_told_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    """A capture in a folder that only others may enter, and a name that no folder takes: both were tracebacks."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    capture = str(closed / "one.pcap")
    command = [sys.executable, "-m", "handshake_inspect", *arguments]
    if os.geteuid() == 0:  # whom no mode stops
        needless = "-dac_override,-dac_read_search"
        command = ["setpriv", "--bounding-set", needless, "--inh-caps", needless, *command]
    done = subprocess.run([*command, capture], capture_output=True, text=True, cwd=tmp_path, check=False)
    told = f"Error: {capture}: cannot be opened: Permission denied\n"
    assert (done.returncode, done.stdout, done.stderr[: len(told)]) == (2, "", told)
    long = "x" * 300
    done = run(*arguments, long)
    told = f"Error: {long}: cannot be opened: File name too long\n"
    assert (done.returncode, done.stdout, done.stderr[: len(told)]) == (2, "", told)


def test_of_what_an_interrupt_left_unread_nothing_is_said(tmp_path: Path) -> None:
    """It was said of each such file that it had »no TCP segment in 0 frames«."""
    later = tmp_path / "later.pcap"
    later.write_bytes((PCAPS / "time-wait-reused.pcap").read_bytes())  # it begins after the other
    process = waiting_for_more("read", "-", str(later), capture=Path(ECHO))
    process.send_signal(signal.SIGINT)
    process.wait(60)
    out, err = process.communicate()
    assert b"four-way" in out
    assert err == b"interrupted: this is what the first 11 frames show\n"
