"""Golden ladders in a check: the same, different, unusable; on the command line and in the file beside a capture."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from handshake_inspect.cli import cli

PCAPS = Path(__file__).parents[2] / "pcaps"


def check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, arguments)])


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    path = tmp_path / "echo.golden"
    assert check(PCAPS / "four-way.pcap", "--record", "--golden", path).stdout == (
        f"{path}: 1 connection of {PCAPS / 'four-way.pcap'} recorded\n"
    )
    return path


def test_the_same_ladder_is_ok(golden: Path) -> None:
    done = check(PCAPS / "four-way.pcap", "--golden", golden)
    assert (done.exit_code, done.stdout) == (0, "ok: 1 connection\n")


def test_a_difference_is_told_shown_and_marked(golden: Path) -> None:
    done = check(PCAPS / "half-close.pcap", "--golden", golden)
    assert done.exit_code == 1
    first, *lines = done.stdout.splitlines()
    assert first.startswith(f"FAILED {PCAPS / 'half-close.pcap'} stream 0 (")
    assert f'line 23 of {golden}: expected "◀─ FIN,ACK seq=w ack=u+1 ─ LAST-ACK", seen "◀─ PSH,ACK seq=v' in first
    assert first.endswith("(frame 10, PSH,ACK of the server) [--golden]")
    assert "+                ◀────────────────── PSH,ACK seq=v ack=u+1 len=15 ─" in lines
    (marked,) = [line for line in lines if "»" in line]
    assert "PSH,ACK seq=v ack=u+1 len=15" in marked


def test_one_connection_too_many_or_too_few_is_a_difference(golden: Path) -> None:
    assert "seen nothing more" in check(PCAPS / "udp.pcap", "--golden", golden).stdout
    two = check(PCAPS / "four-way.pcap", PCAPS / "reset.pcap", "--together", "--golden", golden)
    assert "expected nothing more, seen an empty line" in two.stdout


def test_an_update_writes_it_anew_and_shows_the_difference(golden: Path) -> None:
    done = check(PCAPS / "half-close.pcap", "--golden", golden, "--update")
    assert done.exit_code == 0
    assert "+                ◀────────────────── PSH,ACK seq=v ack=u+1 len=15 ─" in done.stdout.splitlines()
    assert check(PCAPS / "half-close.pcap", "--golden", golden).exit_code == 0
    assert check(PCAPS / "half-close.pcap", "--golden", golden, "--update").stdout.endswith(" shows it\n")


def test_a_file_beside_the_capture_names_it_from_where_it_stands(golden: Path) -> None:
    capture = golden.with_name("echo.pcap")
    shutil.copy(PCAPS / "four-way.pcap", capture)
    capture.with_suffix(".expect.toml").write_text('schema = 1\ngolden = "echo.golden"\n')
    assert check(capture).stdout == "ok: 1 connection\n"
    golden.write_text(golden.read_text().replace("SYN seq=x", "SYN seq=0"))
    assert f"[{capture.with_suffix('.expect.toml')}:2]" in check(capture).stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be opened: No such file or directory"),
        ("a ladder", "no golden text"),
        ("handshake-inspect golden 0\n", "make it again with `show --format golden`"),
    ],
)
def test_what_is_no_golden_text_gives_2_and_one_line(text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.golden"
    if text is not None:
        path.write_text(text)
    done = check(PCAPS / "four-way.pcap", "--golden", path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: --golden: {path}: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
