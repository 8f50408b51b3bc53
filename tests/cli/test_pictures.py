"""`show --format svg|mermaid|html`: what text has, with the same options; and the pictures of the README."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from handshake_inspect.capture.frames import fetch
from tests.capture.builders import enhanced, interface, names, option, section
from tests.cli.running import PCAPS, REPOSITORY, run

#: Breaks out of attributes, elements, lines and directives, where it is let.
EVIL = '"></style><script>alert(1)</script>\n%%{init}%%\nend;\x1b[2J'

FORMATS = ["svg", "mermaid", "html"]
TRACED = REPOSITORY / "pcaps" / "traced" / "echo-addresses.pcap"
PICTURES = REPOSITORY / "pictures"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_has_the_states_of_the_json(format_: str) -> None:
    capture = str(PCAPS / "half-close.pcap")
    done = run("show", capture, "--format", format_)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(run("show", capture, "--format", "json").stdout)
    for states in told["states"].values():
        assert all(re.search(rf"(>|: ){state}<", done.stdout + "<") for state in states if state != "LISTEN")
    assert all(f"{step['flags']}" in done.stdout for step in told["steps"])


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_takes_the_options_of_the_ladder(format_: str) -> None:
    capture = str(PCAPS / "four-way.pcap")
    step = json.loads(run("show", capture, "--format", "json").stdout)["steps"][3]
    plain = run("show", capture, "--format", format_).stdout
    options = ["--numbers", "absolute", "--time", "utc", "--payload", "0"]
    changed = run("show", capture, "--format", format_, *options).stdout
    assert "bith" in plain and "bith" not in changed
    assert f"seq={step['seq']}" in changed and f"seq={step['seq']}" not in plain
    assert "begins 20" in changed and "begins 20" not in plain


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_has_the_socket_calls_of_a_log(format_: str) -> None:
    done = run("show", str(TRACED), "--strace", str(TRACED.with_suffix(".log")), "--format", format_)
    assert (done.returncode, done.stderr) == (0, "")
    assert "connect(127.0.0.1" in done.stdout and "accept()" in done.stdout


def test_a_picture_of_several_connections_wants_one_of_them() -> None:
    done = run("show", str(PCAPS / "time-wait-reused.pcap"), "--format", "svg")
    assert done.returncode == 2 and "choose one with --stream" in done.stderr
    assert run("show", str(PCAPS / "time-wait-reused.pcap"), "--format", "svg", "-s", "1").stdout.startswith("<svg")


def hostile_capture(folder: Path) -> Path:
    """Write a refused connection into a pcapng file whose name, comments and names of hosts are all markup."""
    frames = fetch(str(PCAPS / "refused.pcap"), [1, 2])
    data = section() + interface(frames[1].link_type, option(2, EVIL.encode()))
    data += names([(1, bytes([127, 0, 0, 1]) + EVIL.encode() + b"\0")])
    for frame in frames.values():
        comment = option(1, EVIL.encode())
        data += enhanced(frame.octets, len(frame.octets), frame.time_ns // 1000, 0, options=comment)
    path = folder / "<b>end;#.pcapng"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("format_", FORMATS)
def test_a_hostile_capture_does_no_harm(format_: str, tmp_path: Path) -> None:
    done = run("show", str(hostile_capture(tmp_path)), "--format", format_)
    assert done.returncode == 0
    assert done.stdout.count("alert(1)") == 3  # the name of the host, and a comment on each frame
    harm = r"\bend\b|%%|<script" if format_ == "mermaid" else r"<script|<b>end|<style>\s*<"
    assert not re.search(harm, done.stdout) and "\x1b" not in done.stdout


def test_the_pictures_of_the_readme_are_those_that_make_pictures_makes_now(tmp_path: Path) -> None:
    (named,) = re.findall(r"^PICTURES := (.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    of_screens = {"browse", "sniff"}  # tests/screen has these
    assert {*named.split()} == {path.stem for path in PICTURES.glob("*.svg")} - of_screens
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for name in named.split():
        done = run("show", f"pcaps/{name}.pcap", "-s", "0", "--format", "svg")
        assert done.stdout == (PICTURES / f"{name}.svg").read_text(encoding="utf-8"), f"{name}: make pictures"
        assert f"](pictures/{name}.svg)" in readme
