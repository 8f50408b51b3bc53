"""The README tells the truth: its transcripts are executed and compared, its lists are complete.

Blocks of the README, by language and by the comment above them:

- `console`: executed in a folder that has `pcaps/`, at 100 columns without colour; it must print the same.
- `console` after `<!-- live -->`: executed with real sockets. Figures differ from run to run, and so does the order in
  which two programs are scheduled: compared are the segments in their order, and which words there are.
- `console` after `<!-- live, traced -->`: likewise, with the kernel's tracepoint, which is for root.
- `console` after `<!-- live, 60 s -->`: likewise, but it takes so long that it runs beside the tests (`sixty_seconds`).
- `python`, `pycon`: executed. `python` after `<!-- run by pytest -->`: a test file, for `test_pytest_plugin`.
- `json`, `mermaid` after `<!-- output of: COMMAND -->`: equal to what COMMAND prints.
- `sh`: shown; that every command in it is one that the command line takes is checked.
- `yaml`, `makefile` after `<!-- recipe: NAME -->`: executed by `tests/test_recipes.py`.

When an output has changed and is right, `python -m tests.test_readme` writes the transcripts anew: read the difference.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from handshake_inspect.cli import COMMANDS, cli
from handshake_inspect.expect.understanding import DOCUMENT_KEYS, EXPECT_KEYS
from handshake_inspect.lab.session import run_demo
from handshake_inspect.lab.world import in_private_world
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS
from tests.lab.privileges import needs_private_world, needs_tracepoint

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
#: Commands that need a terminal of their own.
WHOLE_TERMINAL = ("browse",)
#: The table of options, from heading to heading.
OPTIONS_HEADING, AFTER_OPTIONS = "## All options", "## Licence"
#: Stands between the outputs of two commands of one transcript.
SEPARATOR = "--- end of output ---"
#: Console scripts stand beside the Python that runs this.
SCRIPTS = Path(sys.executable).parent
TIMEOUT_S = 90
#: What runs beside the tests: `tests/lab/time_wait/sixty_seconds.py`.
LONG = "live, 60 s"

_BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]+) -->\n\n?)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block of the README."""

    language: str
    #: What the comment above it says; "" if there is none.
    mark: str
    #: Its first line, from 1.
    line: int
    text: str


@dataclass(frozen=True)
class Exchange:
    """One command of a transcript, as a shell takes it, and what stands below it."""

    prompt: str
    output: str

    @property
    def command(self) -> str:
        return "\n".join(line[2:] for line in self.prompt.splitlines())


def blocks(readme: str, language: str, mark: str = "") -> list[Block]:
    found = []
    for match in _BLOCK.finditer(readme):
        line = readme.count("\n", 0, match.start("text")) + 1
        block = Block(match["language"], match["mark"] or "", line, match["text"])
        if block.language == language and block.mark.startswith(mark) and bool(block.mark) == bool(mark):
            found.append(block)
    return found


def exchanges(transcript: str) -> list[Exchange]:
    """Take a transcript apart. `$ ` begins a command, `> ` continues one that ended in a backslash."""
    found: list[tuple[list[str], list[str]]] = []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            found.append(([line], []))
        elif line.startswith("> ") and not found[-1][1] and found[-1][0][-1].endswith("\\"):
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return [Exchange("\n".join(prompt), "\n".join(output)) for prompt, output in found]


def environment() -> dict[str, str]:
    """Return an environment in which `handshake-inspect` is the installed command, at 100 columns, without colour."""
    left_out = ("FORCE_COLOR", "PYTHONPATH", "LC_ALL", "LANG", "LANGUAGE")
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    path = f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        **inherited,
        "PATH": path,
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


def furnish(folder: Path) -> Path:
    """Put into an empty folder what the transcripts read; what they write stays there too."""
    (folder / "pcaps").symlink_to(REPOSITORY / "pcaps")
    return folder


def execute(commands: list[str], folder: Path) -> list[str]:
    """Run commands in one shell, so that `$?` is the code of the one before. Returns their outputs."""
    keep_code = f"code=$?; echo; echo '{SEPARATOR}'; (exit $code)"
    script = "exec 2>&1\n" + "".join(f"{command}\n{keep_code}\n" for command in commands)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc"],
        input=script,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    outputs = done.stdout.split(f"\n{SEPARATOR}\n")
    assert len(outputs) == len(commands) + 1, done.stdout
    return [output.removesuffix("\n") for output in outputs[:-1]]


def run_live(command: str, folder: Path) -> str:
    """Run one command that needs real sockets. Some get somebody to talk with, at port 8000 of a private network:

    `sniff` an echo session to look at, `echo serve` a client, `echo connect` a server, `echo chat` two people, and
    `timewait list` and `watch` what some connections have left.
    """
    if re.search(r" timewait (list|watch)", command):
        return in_private_world(run_after_connections, command, folder)
    for program, partners in PARTNERS.items():
        if f" {program} " in command:
            return in_private_world(run_with, command, partners, folder)
    if " sniff " not in command:
        return execute([command], folder)[0]

    def inside() -> str:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env=environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("listening"), first
        run_demo(port=8000, place="host")
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        return (first + process.stdout.read()).removesuffix("\n")

    return in_private_world(inside)


#: What is run by the other end of a transcript.
PARTNERS = {
    "echo serve": ["handshake-inspect echo connect 127.0.0.1:8000 --message bith"],
    "echo connect": ["handshake-inspect echo serve --port 8000 --clients 1"],
    "echo chat serve": [
        "handshake-inspect echo chat join 8000 --name ANNA --stay 9",
        "handshake-inspect echo chat join 8000 --name BEN --message 'good morning'",
    ],
}


def run_with(command: str, partners: list[str], folder: Path) -> str:
    """Run a command and its partners, the servers first; return what the command printed.

    ANNA stays until BEN has left, so the order is the same in every run.
    """
    running: list[subprocess.Popen[str]] = []

    def start(one: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                shlex.split(one),
                cwd=folder,
                env=environment() | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
            )
        )
        return running[-1]

    def until(process: subprocess.Popen[str], word: str) -> str:
        assert process.stdout is not None
        seen = ""
        while word not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
        return seen

    try:
        if " serve " not in command:
            until(start(partners[0]), "listening on")
            return execute([command], folder)[0]
        server = start(command)
        printed = until(server, "listening on")
        guests = []
        for partner in partners:
            guests.append(start(partner))
            if " --stay " in partner:
                until(guests[-1], "welcome")
        guests[-1].wait(TIMEOUT_S)
        if len(guests) > 1:
            until(guests[0], "has left")
            guests[0].send_signal(signal.SIGINT)
        assert server.stdout is not None
        return (printed + server.stdout.read()).removesuffix("\n")
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
            process.communicate()


def run_after_connections(command: str, folder: Path) -> str:
    """Run a command in a network that holds TIME-WAIT entries: of twelve clients, and of a server."""
    with socket.create_server(("127.0.0.1", 8000)) as one, socket.create_server(("127.0.0.1", 8001)) as other:
        for listener, client_first in [(one, True)] * 12 + [(other, False)] * 3:
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
            for end in (client, server) if client_first else (server, client):
                end.close()
                time.sleep(0.02)
        return execute([command], folder)[0]


def stable_part(live: str) -> tuple[list[str], set[str]]:
    """Return what must be the same in every run: the segments in their order, and which words there are."""
    masked = re.sub(r"\b(seq|ack|next|len|[uvwxy]) ?= ?(\S+)", r"\1=#", live)
    masked = re.sub(r"-?\d[\d.,]*", "#", masked)
    masked = re.sub(r"\(#(:#)?\)", "()", masked)  # a call that returns at once is one line, with its arguments
    segments = re.findall(r"([A-Z]+(?:,[A-Z]+)*) seq=#", masked)
    words = set(re.sub(r"[─▶◀▸]+", " ", masked).split())
    return segments, words - {"=", "·"}


README_TEXT = README.read_text(encoding="utf-8")


def by_line(block: Block) -> str:
    return f"line-{block.line}"


# --- what is executed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks(README_TEXT, "console"), ids=by_line)
def test_a_transcript_is_what_the_commands_print(block: Block, tmp_path: Path) -> None:
    shown = exchanges(block.text)
    printed = execute([exchange.command for exchange in shown], furnish(tmp_path))
    for exchange, output in zip(shown, printed, strict=True):
        assert output == exchange.output, f"{exchange.prompt}: see the top of this file for how to write it anew"


def live_blocks() -> list[Block]:
    """Return what is run here with real sockets."""
    return [block for block in blocks(README_TEXT, "console", "live") if block.mark != LONG]


@pytest.mark.parametrize("block", live_blocks(), ids=by_line)
def test_a_live_transcript_shows_what_happens(block: Block, tmp_path: Path) -> None:
    needs_private_world()
    if block.mark == "live, traced":
        needs_tracepoint()
    (shown,) = exchanges(block.text)
    assert stable_part(run_live(shown.command, furnish(tmp_path))) == stable_part(shown.output)


def test_python_blocks_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(furnish(tmp_path))
    names: dict[str, Any] = {}
    reports: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST)
    for block in blocks(README_TEXT, "pycon"):
        example = doctest.DocTestParser().get_doctest(block.text, names, README.name, README.name, block.line)
        runner.run(example, out=reports.append, clear_globs=False)
        names = example.globs
    assert runner.tries > 0
    assert not runner.failures, "".join(reports)


def test_the_test_in_the_readme_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(furnish(tmp_path))
    for block in blocks(README_TEXT, "python"):
        names: dict[str, Callable[[], None]] = {}
        exec(compile(block.text, README.name, "exec"), names)
        tests = [name for name in names if name.startswith("test_")]
        assert tests
        for name in tests:
            names[name]()


@pytest.mark.parametrize("block", blocks(README_TEXT, "json", "output of: "), ids=by_line)
def test_the_json_is_what_the_command_prints(block: Block, tmp_path: Path) -> None:
    (printed,) = execute([block.mark.removeprefix("output of: ")], furnish(tmp_path))
    assert json.loads(block.text) == json.loads(printed)


@pytest.mark.parametrize("block", blocks(README_TEXT, "mermaid", "output of: "), ids=by_line)
def test_the_diagram_is_what_the_command_prints(block: Block, tmp_path: Path) -> None:
    (printed,) = execute([block.mark.removeprefix("output of: ")], furnish(tmp_path))
    assert block.text == f"{printed}\n"


# --- what is complete ------------------------------------------------------------------------------------------------


def command_named(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def every_command() -> dict[str, click.Command]:
    """Return all commands by their names, those of groups by both: "echo serve"."""
    found: dict[str, click.Command] = {}
    waiting = [(name, command_named(name)) for name in COMMANDS]
    while waiting:
        name, command = waiting.pop(0)
        found[name] = command
        if isinstance(command, click.Group):
            waiting += [(f"{name} {inner}", one) for inner, one in command.commands.items()]
    return found


def options_of(command: click.Command) -> set[str]:
    """Return its options by their long names, short ones too."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {name for option in options for name in option.opts}


def examples_of(command: click.Command) -> list[str]:
    """Return the lines below "Examples:" in its help, or "Example:"."""
    _, *below = re.split("Examples?:", command.help or "", maxsplit=1)
    return [line.strip() for line in "".join(below).splitlines() if line.strip()]


def calls(shell: str) -> Iterator[list[str]]:
    """Yield the arguments of every call of `handshake-inspect` in a line of shell."""
    for part in shell.split("|"):
        lexer = shlex.shlex(part, posix=True, punctuation_chars=">")
        lexer.whitespace_split = True
        words = list(lexer)
        if words[:1] == ["handshake-inspect"]:
            yield words[1 : words.index(">")] if ">" in words else words[1:]


def parse(arguments: list[str]) -> None:
    """Let the command line parse these arguments, and call nothing. Raises click.UsageError."""
    command, rest = command_named(arguments[0]), arguments[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            raise click.UsageError(f"{arguments[0]} has no {rest[0]}")
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(arguments[0], rest)


def listed_options() -> Iterator[tuple[str, str]]:
    """Yield (command, option) for every option in the table of the README."""
    table = README_TEXT.partition(OPTIONS_HEADING)[2].partition(AFTER_OPTIONS)[0]
    for line in table.splitlines():
        if line.startswith("| `"):
            options, commands, _ = (cell.strip() for cell in line.strip("|").split(" | ", 2))
            for command in re.findall(r"`(\w[\w ]*)`", commands):
                for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", options):
                    yield command, option


@pytest.mark.parametrize("name", every_command())
def test_a_command_has_help_with_examples_that_work(name: str) -> None:
    command = every_command()[name]
    examples = examples_of(command)
    assert (command.help or "").splitlines()[0].endswith(".")
    assert examples
    for example in examples:
        called = list(calls(example))
        assert called, example
        for arguments in called:
            parse(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_readme_as_a_transcript(name: str) -> None:
    """What has the whole terminal prints nothing that could be compared: it is only called."""
    shown = [block.text for mark in ("", "live") for block in blocks(README_TEXT, "console", mark)]
    if name in WHOLE_TERMINAL:
        shown = [block.text for block in blocks(README_TEXT, "sh")]
    assert any(re.search(rf"\bhandshake-inspect {name} ", text) for text in shown)


def test_the_list_of_options_is_that_of_the_command_line() -> None:
    real = {(name, option) for name, command in every_command().items() for option in options_of(command)}
    listed = list(listed_options())
    assert set(listed) == real
    assert len(listed) == len(set(listed))
    for option in options_of(cli):
        assert f"`{option}`" in README_TEXT


def test_commands_that_are_only_shown_exist() -> None:
    for block in blocks(README_TEXT, "sh"):
        for line in block.text.splitlines():
            for arguments in calls(line.partition("  #")[0]):
                parse(arguments)


@pytest.mark.parametrize(("field", "kinds"), [("handshake.kind", HANDSHAKE_KINDS), ("teardown.kind", TEARDOWN_KINDS)])
def test_the_tables_of_kinds_are_complete(field: str, kinds: tuple[str, ...]) -> None:
    table = README_TEXT.partition(f"`{field}` is exactly one of these:\n\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.M) == list(kinds)


def test_the_table_of_keys_is_complete() -> None:
    table = README_TEXT.partition("| key | what is expected |\n|---|---|\n")[2].partition("\n\n")[0]
    keys = [key for line in table.splitlines() for key in re.findall(r"`\[*(\w+)\]*`", line.split(" | ")[0])]
    assert len(keys) == len({*keys}) + 1  # of the run, and of a connection
    assert {*keys} == {*DOCUMENT_KEYS, *EXPECT_KEYS}


def test_every_block_is_of_a_known_kind() -> None:
    known = {
        ("console", ""),
        ("console", "live"),
        ("console", "live, traced"),
        ("console", LONG),
        ("pycon", ""),
        ("python", ""),
        ("python", "run by pytest"),
        ("sh", ""),
        ("json", "output of"),
        ("mermaid", "output of"),
        ("yaml", "recipe"),
        ("makefile", "recipe"),
    }
    found = {(match["language"], (match["mark"] or "").partition(":")[0]) for match in _BLOCK.finditer(README_TEXT)}
    assert found <= known


def test_make_targets_that_are_named_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README_TEXT, re.M):
        assert re.search(rf"^{target}:.*## ", makefile, re.M)


# --- writing the transcripts anew ------------------------------------------------------------------------------------


def renew() -> None:
    """Execute all transcripts and put what they print into the README."""

    def written(match: re.Match[str]) -> str:
        mark, text = match["mark"] or "", match["text"]
        if match["language"] == "console":
            shown = exchanges(text)
            with tempfile.TemporaryDirectory() as name:
                folder = furnish(Path(name))
                commands = [exchange.command for exchange in shown]
                printed = [run_live(commands[0], folder)] if mark.startswith("live") else execute(commands, folder)
            pairs = zip(shown, printed, strict=True)
            text = "".join(f"{one.prompt}\n{output}\n" if output else f"{one.prompt}\n" for one, output in pairs)
        if match["language"] == "json":
            with tempfile.TemporaryDirectory() as name:
                (document,) = execute([mark.removeprefix("output of: ")], furnish(Path(name)))
            text = packed(json.loads(document), 118) + "\n"
        if match["language"] == "mermaid":
            with tempfile.TemporaryDirectory() as name:
                (diagram,) = execute([mark.removeprefix("output of: ")], furnish(Path(name)))
            text = f"{diagram}\n"
        begin, end = (place - match.start() for place in match.span("text"))
        return f"{match[0][:begin]}{text}{match[0][end:]}"

    README.write_text(_BLOCK.sub(written, README_TEXT), encoding="utf-8")


def packed(value: Any, width: int, indent: int = 0) -> str:
    """Return JSON in lines of at most `width`: as many fields on a line as fit, larger objects on their own."""
    whole = json.dumps(value, ensure_ascii=False)
    if len(whole) <= width - indent or not isinstance(value, dict):
        return whole
    lines = [""]
    for key, inner in value.items():
        field = f"{json.dumps(key)}: "
        field += packed(inner, width, indent + 1 + len(field))
        if lines[-1] and indent + len(lines[-1]) + len(field) + 3 <= width and "\n" not in field + lines[-1]:
            lines[-1] += f", {field}"
        else:
            lines.append(field)
    return "{" + f",\n{' ' * (indent + 1)}".join(lines[1:]) + "}"


if __name__ == "__main__":
    renew()
