"""What is written where: nothing is destroyed, and what cannot be written is said in one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handshake_inspect.capture.frames import fetch
from handshake_inspect.capture.records import CaptureError, records_of
from handshake_inspect.capture.writing.pcap import PcapWriter
from handshake_inspect.inspector import inspect
from tests.cli.running import run

PCAPS = Path(__file__).parent.parent.parent / "pcaps"
COMMAND = [sys.executable, "-m", "handshake_inspect"]


def test_show_does_not_write_over_the_capture_it_reads(tmp_path: Path) -> None:
    capture = tmp_path / "echo.pcap"
    shutil.copy(PCAPS / "four-way.pcap", capture)
    (tmp_path / "other-name.pcap").hardlink_to(capture)
    before = capture.read_bytes()
    for target in (capture, tmp_path / "other-name.pcap"):
        ran = subprocess.run([*COMMAND, "show", capture, "-w", target], capture_output=True, text=True, check=False)
        assert ran.returncode == 2
        assert "choose another name" in ran.stderr
        assert capture.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*COMMAND, "read", PCAPS / "four-way.pcap"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == "Error: the output cannot be written: No space left on device"
    assert "Traceback" not in ran.stderr


def test_a_capture_is_whole_while_it_is_written(tmp_path: Path) -> None:
    frames = fetch(PCAPS / "four-way.pcap", range(1, 12))
    target = tmp_path / "growing.pcap"
    with PcapWriter(target, 1) as writer:
        for number in sorted(frames):
            writer.write(records_of([frames[number]]))
            assert inspect(target).captures[0].frames == number
    assert inspect(target).connections[0].teardown.kind == "four-way"


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be written: No such file or directory"):
        PcapWriter(tmp_path / "no-such-folder" / "x.pcap", 1)


def test_no_page_is_written_in_the_place_of_a_capture(tmp_path: Path) -> None:
    other, page = tmp_path / "other.pcap", tmp_path / "report.html"
    shutil.copy(PCAPS / "refused.pcap", other)
    before = other.read_bytes()
    ran = subprocess.run(
        [*COMMAND, "report", PCAPS / "four-way.pcap", "-o", other], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert f"{other} is a capture, no place for a page: choose another name" in ran.stderr
    assert other.read_bytes() == before
    for old in ("", "<!DOCTYPE html>"):  # what was there before is replaced
        page.write_text(old)
        subprocess.run([*COMMAND, "report", PCAPS / "refused.pcap", "-o", page], check=True, capture_output=True)
        assert page.stat().st_size > 10_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", str(PCAPS / "four-way.pcap"), "-w"],
        ["report", str(PCAPS / "four-way.pcap"), "-o"],
        ["check", str(PCAPS / "four-way.pcap"), "--teardown", "four-way", "-o"],
        ["demo", "unanswered", "-w"],
        ["lab", "run", "keep-alive-dead", "-w"],
        ["sniff", "-w"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(arguments: list[str], tmp_path: Path) -> None:
    """A session of 5 s was run, and a capture read, for one line."""
    (tmp_path / "file").touch()
    for name, why in (
        ("no-folder/x", "No such file or directory"),
        ("", "Is a directory"),
        ("file/x", "Not a directory"),
        ("x" * 300, "File name too long"),
    ):
        target = str(tmp_path / name)
        done = run(*arguments, target)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"Error: {target}: cannot be written: {why}\n"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_an_older_file_stays_until_there_is_something_to_write(tmp_path: Path) -> None:
    target = tmp_path / "older.pcap"
    target.write_bytes(b"older")
    assert run("show", "not-there.pcap", "-w", str(target)).returncode == 2
    assert target.read_bytes() == b"older"
    link = tmp_path / "link.pcap"
    link.symlink_to(tmp_path / "to-be-made.pcap")
    assert run("show", str(PCAPS / "four-way.pcap"), "-w", str(link)).returncode == 0
    assert (tmp_path / "to-be-made.pcap").exists()


def test_the_ladder_is_drawn_although_the_disk_is_full() -> None:
    capture = str(PCAPS / "four-way.pcap")
    for arguments in (["show", capture], ["demo", "four-way", "--replay"]):
        done, drawn = run(*arguments, "-w", "/dev/full"), run(*arguments)
        assert done.returncode == 2
        assert done.stdout == drawn.stdout != ""
        assert done.stderr.splitlines()[-1] == "Error: /dev/full: cannot be written: No space left on device"
