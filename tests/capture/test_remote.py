"""Captures by names with `://`: what fsspec opens is read as files are, as it comes."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.remote import is_remote, is_remote_pattern
from handshake_inspect.cli.naming import files_named
from tests.cli.running import run
from tests.expect.altered import PCAPS

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture
def store() -> Iterator[Any]:
    """Return a store in memory, with captures."""
    memory = fsspec.filesystem("memory")
    for name in ("four-way", "nat", "nat.server"):
        memory.pipe_file(f"/day/{name}.pcap", (PCAPS / f"{name}.pcap").read_bytes())
    memory.pipe_file("/day/four-way.pcap.gz", gzip.compress((PCAPS / "four-way.pcap").read_bytes()))
    memory.pipe_file("/day/README.md", b"# no capture\n")
    yield memory
    memory.rm("/", recursive=True)


@pytest.mark.parametrize("name", ["s3://a/b.pcap", "memory://x", "simplecache::s3://a/b", "http://h/x.pcap?a=[1]"])
def test_names_with_a_protocol_are_remote(name: str) -> None:
    assert is_remote(name)
    assert not is_remote_pattern(name)
    assert is_remote_pattern(f"{name}*")


@pytest.mark.parametrize("name", ["a.pcap", "-", "/a:b/c", "C:/x.pcap", "day/*.pcap", "://", Path("s3:/a")])
def test_other_names_are_not(name: str | Path) -> None:
    assert not is_remote(name)


@pytest.mark.parametrize("reader", ["auto", "scapy"])
@pytest.mark.parametrize("ending", ["pcap", "pcap.gz"])
def test_a_capture_in_a_store_is_read_as_a_file(store: Any, ending: str, reader: str) -> None:
    found = inspect(f"memory://day/four-way.{ending}", reader=reader)
    here = inspect(PCAPS / "four-way.pcap", reader=reader)
    assert found.with_steps(0).steps == here.with_steps(0).steps
    assert found.captures[0].name == f"memory://day/four-way.{ending}"


def test_several_of_a_store_are_one_run(store: Any) -> None:
    names = ["nat.pcap", "nat.server.pcap"]
    there, here = inspect([f"memory://day/{name}" for name in names]), inspect([PCAPS / name for name in names])
    assert [one.first_ns for one in there.connections] == [one.first_ns for one in here.connections]
    assert there.with_steps(1).steps == here.with_steps(1).steps


def test_a_pattern_means_the_captures_that_it_matches(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    named = files_named(["memory://day/*", "memory://day/nat.pcap"])
    names = ["four-way.pcap", "four-way.pcap.gz", "nat.pcap", "nat.server.pcap"]
    assert named.files == [f"memory:///day/{name}" for name in names] + ["memory://day/nat.pcap"]
    assert "1 of 5 files is no capture" in capsys.readouterr().err


def test_only_what_is_read_is_fetched(monkeypatch: pytest.MonkeyPatch, store: Any) -> None:
    """A capture is never fetched whole before it is read: it may be larger than memory and disk."""
    fetched: list[int] = []
    kind = type(store.open("/day/four-way.pcap", "rb"))
    read = kind.read

    def noted(self: Any, count: int = -1) -> bytes:
        fetched.append(count)
        return bytes(read(self, count))

    monkeypatch.setattr(kind, "read", noted)
    with open_capture("memory://day/four-way.pcap", block_octets=256) as reader:
        blocks = iter(reader)
        next(blocks)
        before = sum(fetched)
        assert before <= 512
        assert sum(len(one) for one in blocks) > 0
    assert max(fetched) <= 512
    assert min(fetched) > 0


def test_what_is_not_there_is_said_in_one_line(store: Any) -> None:
    with pytest.raises(CaptureError, match=r"^memory://day/gone\.pcap: cannot be opened: No such file or directory$"):
        open_capture("memory://day/gone.pcap")


def test_an_unknown_protocol_is_said_in_one_line() -> None:
    done = run("read", "nosuch://a/b.pcap", "pcaps/nat.pcap", "--format", "csv")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("Error: nosuch://a/b.pcap: cannot be opened: Protocol not known")
    assert len(done.stdout.splitlines()) == 2


def test_without_fsspec_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(CaptureError, match=r"is not installed; pip install 'handshake-inspect\[fsspec\]'$"):
        inspect("memory://day/four-way.pcap")


@pytest.mark.parametrize("command", [("read", "--format", "json"), ("show", "--format", "json", "-s", "0")])
def test_commands_take_such_names(command: tuple[str, ...]) -> None:
    name, *options = command
    here, there = (run(name, file, *options) for file in (str(PCAPS / "nat.pcap"), f"file://{PCAPS}/nat.pcap"))
    assert there.returncode == here.returncode == 0
    assert json.loads(there.stdout.replace("file://", "")) == json.loads(here.stdout)


def test_what_breaks_on_the_way_is_damage(monkeypatch: pytest.MonkeyPatch, store: Any) -> None:
    kind = type(store.open("/day/four-way.pcap", "rb"))
    read = kind.read

    def broken(self: Any, count: int = -1) -> bytes:
        if self.tell() >= 512:
            raise RuntimeError("the connection\nwas lost")
        return bytes(read(self, count))

    monkeypatch.setattr(kind, "read", broken)
    found = inspect("memory://day/four-way.pcap", block_octets=256)
    assert 0 < found.captures[0].frames < 11
    assert found.damage[0].message == "cannot be read further: the connection was lost"


def test_captures_in_an_archive_are_read_by_name_and_by_pattern(tmp_path: Path) -> None:
    """fsspec closes an archive that nobody holds, and the captures in it with it."""
    day = tmp_path / "day"
    day.mkdir()
    for name in ("four-way", "nat"):
        shutil.copy(PCAPS / f"{name}.pcap", day)
    path = shutil.make_archive(str(tmp_path / "day"), "zip", day)
    found = inspect(f"zip://four-way.pcap::{path}")
    assert found.with_steps(0).steps == inspect(PCAPS / "four-way.pcap").with_steps(0).steps
    names = [f"zip://{name}.pcap::{path}" for name in ("four-way", "nat")]
    assert files_named([f"zip://*.pcap::{path}"]).files == names
    assert [one.name for one in inspect(names).captures] == names


def test_a_pattern_of_a_protocol_that_reads_another_means_both(store: Any, tmp_path: Path) -> None:
    shutil.copy(PCAPS / "nat.pcap", tmp_path)
    assert files_named([f"simplecache::file://{tmp_path}/*.pcap"]).files == [f"simplecache::file://{tmp_path}/nat.pcap"]
