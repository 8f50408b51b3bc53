"""The line that says how far it is: what it says at every width, and where it is not."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from handshake_inspect.cli.progress import Sample, decided, described
from tests.capture.builders import pcap
from tests.capture.headers import IPV4, ethernet, ipv4, tcp

BEFORE = Sample(100.0, 0, 0, 0)
NOW = Sample(104.0, 4_000_000, 600_000_000, 212_000)
TOTAL = 1_500_000_000
FULL = (
    "━━━━━━━━──────────── 40 % · 4,000,000 packets · 212,000 connections · 600 of 1,500 MB · 1,000,000 packets/s ·"
    " 150 MB/s · 6 s left"
)


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (200, FULL),
        (len(FULL), FULL),
        (len(FULL) - 1, FULL.replace(" · 150 MB/s", "")),
        (79, "━━━━━━━━──────────── 40 % · 4,000,000 packets · 212,000 connections · 6 s left"),
        (59, "40 % · 4,000,000 packets · 212,000 connections · 6 s left"),
        (40, "40 % · 4,000,000 packets · 6 s left"),
        (6, "40 %"),
    ],
)
def test_a_narrow_terminal_is_told_what_matters_most(room: int, said: str) -> None:
    assert described(NOW, BEFORE, TOTAL, room) == said


def test_of_a_pipe_nobody_knows_how_much_is_left() -> None:
    assert described(NOW, BEFORE, None, 200) == (
        "4,000,000 packets · 212,000 connections · 600 MB · 1,000,000 packets/s · 150 MB/s"
    )


def test_a_file_that_grew_is_read_at_most_whole() -> None:
    assert described(NOW, BEFORE, NOW.octets - 1, 79).startswith("━━━━━━━━━━━━━━━━━━━━ 100 % · ")


@pytest.mark.parametrize(
    ("total", "left"),
    [(NOW.octets, "0 s"), (10**10, "1 min 03 s"), (10**12, "1 h 51 min")],
)
def test_the_time_left_is_that_of_what_is_left_at_the_rate_of_now(total: int, left: str) -> None:
    assert described(NOW, BEFORE, total, 200).endswith(f" · {left} left")


def test_before_anything_is_known_nothing_is_promised() -> None:
    assert described(BEFORE, BEFORE, TOTAL, 200) == "0 packets · 0 connections · 0 MB"


def test_deciding_says_how_many_and_how_long() -> None:
    assert decided(NOW, 0.4, 80) == "deciding 212,000 connections"
    assert decided(NOW, 3.2, 80) == "deciding 212,000 connections · 3 s"
    assert decided(NOW, 3.2, 30) == "deciding 212,000 connections"


#: The command, with a line from the beginning on, and so slow that there is one.
IMPATIENT = """
import sys, time
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.cli import main, progress
progress.AFTER_S = progress.EVERY_S = 0.01
quick = Decoder.decode
Decoder.decode = lambda *given: time.sleep(0.1) or quick(*given)
main()
"""


def on_terminal(*arguments: str, stdin: int = subprocess.DEVNULL, **environment: str) -> str:
    """Run it with standard error on a real (pseudo) terminal, and return what was written there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *arguments], stdin=stdin, stdout=subprocess.DEVNULL, stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment},
    )  # fmt: skip
    os.close(slave)
    octets = b""
    try:
        while chunk := os.read(master, 65536):
            octets += chunk
    except OSError:  # Linux: EIO when the other side is closed
        pass
    assert process.wait() in (0, 2)
    os.close(master)
    return octets.decode()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path, frame = tmp_path / "many.pcap", ethernet(IPV4, ipv4(6, tcp()))
    path.write_bytes(pcap([(frame, len(frame), 10**18)] * 3000))
    return path


def test_the_line_is_rewritten_in_place_and_taken_away(capture: Path) -> None:
    written = on_terminal("read", str(capture), "--format", "csv", COLUMNS="120")
    lines = written.removesuffix("\r\x1b[K").split("\r")
    assert lines[0] == ""
    assert all(line.endswith("\x1b[K") and len(line) < 120 + 3 for line in lines[1:])
    assert re.search(r" 31 % · [\d,]+ packets · \d connections? · ", written)
    assert "deciding 1 connection" in written
    assert written.endswith("\r\x1b[K")


def test_compressed_it_is_the_place_in_the_file_that_counts(capture: Path) -> None:
    subprocess.run(["gzip", str(capture)], check=True)
    shares = re.findall(r" (\d+) % ", on_terminal("read", f"{capture}.gz", "--format", "csv", COLUMNS="120"))
    assert shares
    assert max(map(int, shares)) == 100


def test_an_error_stands_on_a_line_of_its_own(capture: Path) -> None:
    written = on_terminal("read", str(capture), "absent.pcap", "--format", "csv", COLUMNS="120")
    before, _, after = written.partition("Error: absent.pcap: ")
    assert before in ("", "\r\x1b[K") or before.endswith("\r\x1b[K")
    assert "\r\n" in after


def test_a_terminal_without_these_characters_gets_others(capture: Path) -> None:
    written = on_terminal("read", str(capture), "--format", "csv", COLUMNS="120", PYTHONIOENCODING="ascii")
    assert "===" in written
    assert "\\u" not in written


def test_a_terminal_that_rewrites_nothing_has_no_line(capture: Path) -> None:
    """TERM=dumb, as in a shell of Emacs: the sequences that clear the line would stand there as text."""
    assert on_terminal("read", str(capture), "--format", "csv", TERM="dumb") == ""
