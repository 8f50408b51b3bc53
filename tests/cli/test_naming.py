"""Names, folders and patterns on the command line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from handshake_inspect.cli.naming import files_named, is_pattern
from tests.cli.running import PCAPS, run
from tests.lab.privileges import as_ordinary_user, needs_root

FOUR_WAY, RESET, REFUSED, IPV6 = (PCAPS / f"{name}.pcap" for name in ("four-way", "reset", "refused", "ipv6"))

GZ = "b/two.pcap.gz"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A folder of captures under misleading names, and of what is none."""
    day = tmp_path / "day"
    (day / "b" / ".hidden").mkdir(parents=True)
    (day / "a.d").mkdir()
    shutil.copy(FOUR_WAY, day / "z")
    shutil.copy(RESET, day / "b" / "one.txt")
    (day / "b" / "two.pcap.gz").write_bytes(gzip.compress(IPV6.read_bytes()))
    shutil.copy(REFUSED, day / "a.d" / "x[1].pcap")
    shutil.copy(RESET, day / ".secret.pcap")
    shutil.copy(RESET, day / "b" / ".hidden" / "four.pcap")
    (day / "notes.pcap").write_text("this is no capture at all")
    (day / "b" / "one.expect.toml").write_text("schema = 1")
    (day / "empty.pcap").touch()
    os.mkfifo(day / "pipe.pcap")
    (day / "loop").symlink_to(day)
    return day


def captures(*names: str | Path) -> list[str]:
    return captures_in(run("read", *map(str, names), "--format", "json").stdout)


def captures_in(document: str) -> list[str]:
    """Return the names of the captures that were read, in the order in which they were named."""
    return [one["name"] for one in json.loads(document)["captures"]]


@pytest.mark.parametrize("name", ["./-", ".", "*", "**"])
def test_a_file_may_have_the_name_of_standard_input(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(RESET, tmp_path / "-")
    monkeypatch.chdir(tmp_path)
    assert files_named([name]).files == ["./-"]
    assert files_named(["-"]).files == ["-"]


def test_a_folder_means_the_captures_in_it_and_below_sorted(day: Path) -> None:
    done = run("read", str(day), "--format", "json")
    assert done.returncode == 0
    found = captures_in(done.stdout)
    assert found == [str(day / name) for name in ("a.d/x[1].pcap", "b/one.txt", "b/two.pcap.gz", "z")]
    assert done.stderr == f"{day}: 2 of 6 files are no captures\n"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("b/*", ["b/one.txt", "b/two.pcap.gz"]),
        ("**/*.pcap*", ["a.d/x[1].pcap", "b/two.pcap.gz"]),
        ("**/*", ["a.d/x[1].pcap", "b/one.txt", "b/two.pcap.gz", "z"]),
        ("*/*.p?ap", ["a.d/x[1].pcap"]),
        ("[yz]", ["z"]),
        ("**", ["a.d/x[1].pcap", "b/one.txt", "b/two.pcap.gz", "z"]),
        ("**/b/**/*", ["b/one.txt", "b/two.pcap.gz"]),
        ("?.d/**/x*", ["a.d/x[1].pcap"]),
        ("a.d/x[1].pcap", ["a.d/x[1].pcap"]),  # a name that is there is no pattern
        (".sec*", [".secret.pcap"]),
    ],
)
def test_a_pattern_means_the_captures_that_it_matches(day: Path, pattern: str, found: list[str]) -> None:
    assert captures(day / pattern) == [str(day / name) for name in found]


def test_names_keep_their_order(day: Path) -> None:
    other = PCAPS / "half-close.pcap"
    assert captures(other, day / "z", day / "b") == [str(other), *(str(day / name) for name in ("z", "b/one.txt", GZ))]


def test_standard_input_stands_among_the_others(day: Path) -> None:
    done = run("read", str(day / "a.d"), "-", str(day / "z"), "--format", "json", stdin=RESET.read_bytes())
    found = captures_in(done.stdout)
    assert found == [str(day / "a.d" / "x[1].pcap"), "-", str(day / "z")]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no*", "there is no capture that this pattern matches (of 1 file)"),
        ("*.none", "there is no capture that this pattern matches"),
        ("nothing", "there is no capture in this directory"),
        ("missing.pcap", "cannot be opened: No such file or directory"),
        ("empty.pcap", "empty"),
        ("notes.pcap", "not a capture"),
    ],
)
@pytest.mark.parametrize("command", [["read"], ["check", "--teardown", "four-way"]])
def test_what_means_no_capture_gives_2_and_one_line(day: Path, command: list[str], name: str, says: str) -> None:
    (day / "nothing").mkdir()
    alone = run(*command, str(day / name))
    assert alone.returncode == 2
    assert alone.stderr.startswith(f"Error: {day / name}: {says}"), alone.stderr
    assert alone.stderr.count("\n") == 1
    among = run(*command, str(day / name), str(FOUR_WAY))
    assert among.returncode == 2
    assert among.stderr == alone.stderr


def test_what_was_found_is_shown_beside_the_error(day: Path) -> None:
    done = run("read", str(day / "*.none"), str(FOUR_WAY))
    assert done.returncode == 2
    assert "four-way" in done.stdout


def test_a_damaged_capture_in_a_folder_is_an_error_and_not_passed_over(day: Path) -> None:
    (day / "b" / "cut.pcap").write_bytes(FOUR_WAY.read_bytes()[:10])
    done = run("read", str(day / "b"))
    assert "cut.pcap" in done.stderr
    assert "no captures" not in done.stderr


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder that anybody may enter, with a folder in it that only root may."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "closed").mkdir(0o700)
        shutil.copy(RESET, folder / "closed" / "one.pcap")
        shutil.copy(RESET, folder / "open.pcap")
        files_named([])  # what it imports must be there before the rights are gone
        yield folder


@pytest.mark.parametrize("names", [["."], ["closed", "open.pcap"], ["closed/*", "open.pcap"], ["**/*"]])
def test_what_may_not_be_read_does_not_spoil_the_others(guarded: Path, names: list[str]) -> None:
    needs_root("only root can become somebody without rights")

    def found() -> tuple[list[str], int]:
        named = files_named([str(guarded / name) for name in names])
        return named.files, len(named.failed)

    files, failed = as_ordinary_user(found)
    assert files == [str(guarded / "open.pcap")]
    assert failed >= 1


def test_a_file_in_a_folder_that_may_not_be_entered_is_left_to_reading(guarded: Path) -> None:
    needs_root("only root can become somebody without rights")
    name = str(guarded / "closed" / "one.pcap")
    assert as_ordinary_user(lambda: files_named([name]).files) == [name]


def test_show_takes_patterns_and_folders(day: Path) -> None:
    assert "aborted" in run("show", str(day / "b" / "*.txt")).stdout
    assert "refused" in run("show", str(day / "a.d")).stdout
    several = run("show", str(day))
    assert several.returncode == 2
    assert "connections; choose one with --stream 0 to " in several.stderr
    assert "there is no capture that this pattern matches" in run("show", str(day / "*.none")).stderr


def test_of_many_captures_without_a_segment_the_first_are_named(tmp_path: Path) -> None:
    for number in range(25):
        shutil.copy(PCAPS / "udp.pcap", tmp_path / f"{number:02}.pcap")
    lines = [line for line in run("read", str(tmp_path)).stderr.splitlines() if "TCP segment" in line]
    assert lines == [
        *(f"{tmp_path}/{number:02}.pcap: no TCP segment in 2 frames" for number in range(10)),
        "15 more captures without a TCP segment",
    ]


def test_a_file_that_is_named_twice_is_read_once(day: Path) -> None:
    once = run("read", str(day), "--format", "csv")
    twice = run("read", str(day), str(day / "b" / "*.txt"), f"{day}/./a.d", "--format", "csv")
    assert twice.stdout == once.stdout
    assert "2 files named again: read once" in twice.stderr
    assert "named again" not in once.stderr


def test_a_name_that_holds_control_codes_is_printed_safely(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31mb"
    folder.mkdir()
    assert "\x1b" not in run("read", str(folder)).stderr


def test_only_marks_of_patterns_that_are_no_file_make_a_pattern(day: Path) -> None:
    assert is_pattern(str(day / "*"))
    assert not is_pattern(str(day / "a.d" / "x[1].pcap"))
    assert not is_pattern(str(day / "missing"))
