"""`report`: where the page goes, and what is refused."""

from __future__ import annotations

import base64
import re
import sys
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from handshake_inspect.cli import cli
from handshake_inspect.cli.report import FILES_IN_COMMAND, _command
from tests.cli.running import PCAPS, run

FOUR_WAY = str(PCAPS / "four-way.pcap")


def test_the_page_is_written(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    done = run("report", FOUR_WAY, "-o", str(target))
    assert (done.returncode, done.stdout) == (0, "")
    page = target.read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>")
    assert "<h1>four-way.pcap</h1>" in page
    assert f"handshake-inspect show {FOUR_WAY}" in page


@pytest.mark.parametrize(
    ("files", "profile", "said"),
    [
        (["a b.pcap", "c.pcap"], "45s", "handshake-inspect show 'a b.pcap' c.pcap --profile 45s"),
        (["-rv9.pcap"], "linux", "handshake-inspect show ./-rv9.pcap"),
        (["-"], "linux", ""),
        (["a\x1b.pcap"], "linux", ""),
        ([str(number) for number in range(FILES_IN_COMMAND + 1)], "linux", ""),
    ],
)
def test_the_command_shows_the_same_captures(files: list[str], profile: str, said: str) -> None:
    """The page puts the number of a connection behind it: `-s 12`."""
    assert _command(files, profile) == said


def test_a_page_without_connections_is_told(tmp_path: Path) -> None:
    done = run("report", FOUR_WAY, "-o", str(tmp_path / "report.html"), "--port", "1")
    assert (done.returncode, done.stderr) == (0, "none of 1 connection was chosen: the page lists none\n")


def test_standard_input_and_standard_output_can_be_used() -> None:
    done = run("report", "-", "-o", "-", stdin=Path(FOUR_WAY).read_bytes())
    assert done.returncode == 0
    assert "<h1>standard input</h1>" in done.stdout
    assert "handshake-inspect show" not in done.stdout


def test_a_selection_is_what_the_page_is_about(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    assert run("report", str(PCAPS), "-o", str(target), "--where", "handshake.kind == 'refused'").returncode == 0
    page = target.read_text("utf-8")
    assert "<code>--where handshake.kind == &#39;refused&#39;</code>" in page
    assert 'data-query="opening:refused"' in page
    assert 'data-query="opening:three-way"' not in page
    assert run("report", str(PCAPS), "-o", str(target), "--host", "127.0.0.1").returncode == 0
    assert 'id="udp"' in target.read_text("utf-8")
    assert run("report", str(PCAPS), "-o", str(target), "--host", "198.18.0.1").returncode == 0
    assert 'id="udp"' not in target.read_text("utf-8")


def test_socket_calls_stand_in_the_ladders(tmp_path: Path) -> None:
    target, traced = tmp_path / "report.html", PCAPS / "traced" / "echo-addresses.pcap"
    done = run("report", str(traced), "-o", str(target), "--strace", str(traced.with_suffix(".log")), "--backlog", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "connect(127.0.0.1:8000)" in target.read_text("utf-8")
    of_another_time = run("report", FOUR_WAY, "-o", str(target), "--strace", str(traced.with_suffix(".log")))
    assert "it is of another time" in of_another_time.stderr
    assert "connect(" not in target.read_text("utf-8")


def test_payload_is_nowhere_on_the_page(tmp_path: Path) -> None:
    """Neither in plain sight nor in what the page's script unpacks: a log holds what programs sent and received."""
    target, traced = tmp_path / "report.html", PCAPS / "traced" / "echo-addresses.pcap"
    assert run("report", str(traced), "-o", str(target), "--strace", str(traced.with_suffix(".log"))).returncode == 0
    page = target.read_text("utf-8")
    packed = re.findall(r'type="application/octet-stream" id="[^"]*">([^<]*)<', page)
    unpacked = "".join(zlib.decompress(base64.b64decode(one), -15).decode() for one in packed)
    assert "BITH" in traced.with_suffix(".log").read_text("utf-8")
    assert "BITH" not in page
    assert "BITH" not in unpacked
    assert "send(4 octets) = 4" in page
    assert r"send(\u0000 octets) = \u0000" in unpacked  # numbers are packed apart


def test_without_a_place_for_the_page_nothing_is_read() -> None:
    done = run("report", "no-such-file.pcap")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: report writes a page: say where to with -o report.html.")


def test_a_capture_is_not_overwritten(tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(Path(FOUR_WAY).read_bytes())
    done = run("report", str(capture), "-o", str(capture))
    assert done.returncode == 2
    assert "choose another name" in done.stderr
    assert capture.read_bytes() == Path(FOUR_WAY).read_bytes()


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    done = run("report", FOUR_WAY, "-o", str(tmp_path / "no" / "report.html"))
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_file_that_could_not_be_read_stands_on_the_page(tmp_path: Path) -> None:
    """Who keeps the page of a CI run sees no standard error."""
    target, none, empty = tmp_path / "report.html", tmp_path / "none<b>.pcap", tmp_path / "empty"
    empty.mkdir()
    none.write_text("this is no capture")
    done = run("report", FOUR_WAY, str(none), str(empty), "-o", str(target))
    assert done.returncode == 2
    page = target.read_text("utf-8")
    assert '<div class="bad"><dt>files not read</dt><dd>2</dd></div>' in page
    assert re.search(r"<li>not read: [^<]*none&lt;b&gt;\.pcap: [^<]+</li>", page)
    assert re.search(r"<li>not read: [^<]*empty: there is no capture in this directory</li>", page)
    assert run("report", FOUR_WAY, "-o", str(target)).returncode == 0
    assert "not read" not in target.read_text("utf-8")


def test_a_page_of_nothing_is_not_written(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("before")
    assert run("report", str(tmp_path / "no.pcap"), "-o", str(target)).returncode == 2
    assert target.read_text() == "before"


def test_without_jinja2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "handshake_inspect.views.page.document", raising=False)
    done = CliRunner().invoke(cli, ["report", FOUR_WAY, "-o", "report.html"])
    assert done.exit_code == 2
    assert "report needs jinja2: pip install 'handshake-inspect[report]'" in done.output
