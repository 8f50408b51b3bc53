"""`sniff` and `browse` on a real terminal (pty): when they have the whole of it, how they leave it, and when not."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from textual import constants, events
from textual._xterm_parser import XTermParser

from handshake_inspect.inspector import inspect
from handshake_inspect.lab.world import in_private_world
from handshake_inspect.screen.terminal import LateAnswer, colours_of_terminal, said_light
from handshake_inspect.views import palette
from tests.cli.running import PCAPS, REPOSITORY
from tests.cli.test_sniff import TALK, talk
from tests.lab.privileges import needs_private_world

SNIFF = ("-m", "handshake_inspect", "sniff")
BROWSE = ("-m", "handshake_inspect", "browse")
#: As it is called where Textual is not installed.
WITHOUT_TEXTUAL = (
    "-c",
    "import sys, importlib.util as u; found = u.find_spec\n"
    "u.find_spec = lambda name, *more: None if name == 'textual' else found(name, *more)\n"
    "import handshake_inspect.cli as cli; cli.main()",
)
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
LIMIT_S = 30.0


def on_terminal(
    arguments: Sequence[str],
    keys: Sequence[tuple[bytes, bytes | Callable[[], object] | None]] = (),
    *,
    answers: bool = True,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, bytes]:
    """Run Python on a terminal of 100 columns and 30 lines. Returns the exit status, and all that was written there.

    `keys`: what is typed, or done, when something has been written since the last keys; None: the terminal goes.
    `answers`: it says at once what it is, when it is asked.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "COLORFGBG")}
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        os.chdir(REPOSITORY)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup(1) it would be ignored here too
        os.execve(sys.executable, [sys.executable, *arguments], {**clean, "TERM": "xterm-256color", **environment})
    written, since, waiting, is_answered = b"", 0, list(keys), not answers
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.05)[0]:
            continue
        try:
            octets = os.read(terminal, 1 << 16)
        except OSError:  # Linux: EIO when the other side is closed
            break
        written += octets
        if not is_answered and b"\x1b[c" in written:  # as all terminals do
            is_answered = True
            os.write(terminal, b"\x1b[?62;22c")
        if waiting and re.search(waiting[0][0], written[since:]):
            since = len(written)
            typed = waiting.pop(0)[1]
            if typed is None:
                break
            if isinstance(typed, bytes):
                os.write(terminal, typed)
            else:
                typed()
    os.close(terminal)
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(ended[1]), written


def last_words(written: bytes) -> str:
    """Return what was written when the whole terminal had been left."""
    return re.sub(r"\x1b\[[\d;?]*\w", "", written.rpartition(LEFT)[2].decode()).replace("\r", "")


def sniff_while_two_talk(arguments: Sequence[str]) -> tuple[int, bytes]:
    """Sniff the private network that this process is in, where a session is held when the screen is there."""
    return on_terminal([*SNIFF, *arguments], [(re.escape(ENTERED), talk), (b"TIME-WAIT", b"\x03")])


def test_sniff_has_the_whole_terminal_and_gives_its_account_behind_it(tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    code, written = in_private_world(sniff_while_two_talk, ["--port", "8123", "-w", str(kept)])
    assert code == 0, written
    assert ENTERED in written
    assert "four-way" in last_words(written)
    assert "lo: 9 segments seen, 0 frames dropped" in last_words(written)
    assert [one.teardown.kind for one in inspect(kept).connections] == ["four-way"]


def sniff_until_the_terminal_goes(arguments: Sequence[str]) -> tuple[int, bytes]:
    return on_terminal([*SNIFF, *arguments], [(re.escape(ENTERED), talk), (b"TIME-WAIT", None)])


def test_sniff_ends_well_when_its_terminal_goes(tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcapng"
    code, written = in_private_world(sniff_until_the_terminal_goes, ["-w", str(kept)])
    assert code == 2, written  # what was found could not be printed
    assert [one.teardown.kind for one in inspect(kept).connections] == ["four-way"]


def test_a_command_is_watched_and_what_it_prints_comes_afterwards() -> None:
    needs_private_world()
    printing = f"print('said by the command'); {TALK}raise SystemExit(7)"
    arguments = [*SNIFF, "--", sys.executable, "-c", printing]
    code, written = on_terminal(arguments, [(b"ended with exit status 7", b"q")])
    assert code == 7, written
    assert last_words(written).startswith("said by the command\n")
    assert "python" in last_words(written).splitlines()[-1]


def test_the_screen_does_not_outlast_its_terminal_when_the_command_has_ended() -> None:
    needs_private_world()
    arguments = [*SNIFF, "--", "sh", "-c", "exit 3"]
    began_s = time.monotonic()
    code, written = on_terminal(arguments, [(b"ended with exit status 3", None)])
    assert time.monotonic() - began_s < LIMIT_S, written
    assert code != -signal.SIGKILL


@pytest.mark.parametrize(
    ("program", "arguments", "environment"),
    [
        (SNIFF, ["--plain"], {}),
        (SNIFF, ["-q"], {}),
        (SNIFF, [], {"TERM": "dumb"}),
        ((*WITHOUT_TEXTUAL, "sniff"), [], {}),
    ],
)
def test_lines_where_the_screen_is_not_wanted_or_cannot_be(
    program: Sequence[str], arguments: Sequence[str], environment: dict[str, str]
) -> None:
    needs_private_world()
    code, written = on_terminal([*program, *arguments, "--", sys.executable, "-c", TALK], environment=environment)
    assert code == 0, written
    assert ENTERED not in written
    assert b"9 segments seen" in written
    assert (b"pip install 'handshake-inspect[screen]'" in written) == (program[0] == "-c")
    assert (b"seq=x" in written) == ("-q" not in arguments)


def test_browse_shows_a_capture_and_its_ladder() -> None:
    capture = str(PCAPS / "four-way.pcap")
    code, written = on_terminal([*BROWSE, capture], [(b"SYN-RECEIVED", b"/refused\r"), (b"0 of 1", b"q")])
    assert code == 0, written
    assert ENTERED in written
    assert last_words(written).strip() == ""


def test_browse_takes_a_capture_from_a_pipe_and_keys_from_the_terminal() -> None:
    capture = PCAPS / "four-way.pcap"
    piped = f"import subprocess, sys; f = open({str(capture)!r}, 'rb'); " + (
        f"sys.exit(subprocess.call([sys.executable, *{BROWSE!r}, '-'], stdin=f))"
    )
    code, written = on_terminal(["-c", piped], [(b"SYN-RECEIVED", b"q")])
    assert code == 0, written


@pytest.mark.parametrize(
    ("program", "environment", "said"),
    [
        (BROWSE, {"TERM": "dumb"}, b"browse needs a terminal"),
        ((*WITHOUT_TEXTUAL, "browse"), {}, b"browse needs textual: pip install 'handshake-inspect[screen]'"),
    ],
)
def test_browse_says_what_it_needs(program: Sequence[str], environment: dict[str, str], said: bytes) -> None:
    code, written = on_terminal([*program, str(PCAPS / "four-way.pcap")], environment=environment)
    assert code == 2
    assert said in written
    assert ENTERED not in written


LIGHT = b"\x1b]11;rgb:ffff/ffff/dddd\x1b\\\x1b[?62;22c"


def test_the_answer_of_a_terminal_far_away_is_no_key() -> None:
    """It comes when the screen is there: its `r`, `/` and `c` would sort, filter and copy."""
    keys: list[tuple[bytes, bytes]] = [(b"SYN-RECEIVED", LIGHT + b"/refused\r"), (b"0 of 1", b"q")]
    code, written = on_terminal([*BROWSE, str(PCAPS / "four-way.pcap")], keys, answers=False)
    assert code == 0, written
    assert b"copied" not in written


@pytest.mark.parametrize("end", ["\x1b\\", "\a"])
@pytest.mark.parametrize("cut", [2, 9, 24, 25, 28])
def test_an_answer_in_two_parts_is_no_key_either(monkeypatch: pytest.MonkeyPatch, end: str, cut: int) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.005)
    answer = f"\x1b]11;rgb:1e1e/ffff/2e2e{end}\x1b[?62;22c"
    parser, late = XTermParser(), LateAnswer(is_owed=True)
    keys = []
    for part in (answer[:cut], answer[cut:], "/[2001"):
        keys += [one for one in parser.feed(part) if isinstance(one, events.Key)]
        time.sleep(2 * constants.ESCAPE_DELAY)  # then the parser knows that no more of a sequence comes
        keys += [one for one in parser.tick() if isinstance(one, events.Key)]
    assert "".join(one.character or "" for one in keys if not late.has(one.character)) == "/[2001"


def test_a_terminal_that_says_nothing_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a second, before anything stood there."""
    here, there = pty.openpty()
    with os.fdopen(there, "r+b", buffering=0) as terminal, os.fdopen(os.dup(there), "w") as output:
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stdout", output)
        begin_s = time.monotonic()
        suited = colours_of_terminal()
        assert time.monotonic() - begin_s < 0.5
        assert suited.owes_answer
    os.close(here)


def test_the_screen_takes_its_colours_from_a_late_answer() -> None:
    light_ground = b";".join(b"%d" % part for part in bytes.fromhex(palette.LIGHT["bg"].removeprefix("#")))
    keys: list[tuple[bytes, bytes]] = [(b"SYN-RECEIVED", LIGHT), (light_ground, b"q")]
    code, written = on_terminal(
        [*BROWSE, str(PCAPS / "four-way.pcap")], keys, answers=False, environment={"COLORTERM": "truecolor"}
    )
    assert code == 0, written


@pytest.mark.parametrize(
    ("answer", "light"),
    [
        (b"\x1b]11;rgb:ffff/ffff/dddd\x1b\\\x1b[?62c", True),
        (b"\x1b]11;rgb:1e/1e/2e\x07\x1b[?1;2c", False),
        (b"\x1b[?62;4c", None),
        (b"", None),
    ],
)
def test_the_ground_of_the_terminal(answer: bytes, light: bool | None) -> None:
    assert said_light(answer) is light
