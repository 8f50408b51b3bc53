"""`--index`: the second answer is that of the first, whatever has become of the capture or the index meanwhile."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from handshake_inspect.cli import cli, indexing
from tests.cli.running import PCAPS
from tests.engine.long import write_long
from tests.findings.captures import path_of


def run(*arguments: str, stdin: bytes = b"") -> Result:
    """Run a command."""
    done = CliRunner().invoke(cli, arguments, input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Give a capture of some connections that nobody else looks at."""
    path = tmp_path / "some.pcap"
    shutil.copy(PCAPS / "time-wait-reused.pcap", path)
    return path


def index_of(capture: Path) -> Path:
    """Return where the index of a capture stands."""
    return capture.with_name(f"{capture.name}.hsi")


def shown(capture: Path, *options: str) -> tuple[int, str, str]:
    """Show a connection; the exit code, and both outputs."""
    done = run("show", str(capture), *options)
    return done.exit_code, done.stdout, done.stderr


def test_is_made_by_read_and_used_by_show(capture: Path) -> None:
    plain = run("read", str(capture), "--format", "ndjson")
    made = run("read", str(capture), "--format", "ndjson", "--index")
    assert (made.stdout, made.stderr) == (plain.stdout, plain.stderr)
    made_ns = index_of(capture).stat().st_mtime_ns
    assert shown(capture, "-s", "1", "--index") == shown(capture, "-s", "1")
    assert index_of(capture).stat().st_mtime_ns == made_ns


PUBLIC_CASES = [
    "libpcap__http_PPI.pcap",
    "pcapplusplus__solaris.snoop",
    "zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap",
    "zeek__wikipedia.pcap",
]


@pytest.mark.parametrize("options", [(), ("--format", "json"), ("--all", "--payload", "200", "--numbers", "absolute")])
@pytest.mark.parametrize("name", ["four-way.pcap", "unreachable.pcap", *PUBLIC_CASES])
def test_the_answer_is_the_same(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    capture = tmp_path / name
    shutil.copy(path_of(name), capture)
    expected = shown(capture, "-s", "0", *options)
    for _ in range(2):
        code, out, err = shown(capture, "-s", "0", "--index", *options)
        told = [line for line in err.splitlines() if "made anew" not in line]  # of fragments an index does not tell
        assert (code, out, told) == (expected[0], expected[1], expected[2].splitlines())


def test_of_a_long_and_compressed_capture(tmp_path: Path) -> None:
    path = tmp_path / "long.pcap.gz"
    write_long(path)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert shown(path, "-s", "2", "--index") == shown(path, "-s", "2", "--index") == shown(path, "-s", "2")


def test_saves_the_frames_of_a_connection(capture: Path, tmp_path: Path) -> None:
    run("read", str(capture), "--index")
    shown(capture, "-s", "1", "-w", str(tmp_path / "read.pcap"))
    shown(capture, "-s", "1", "-w", str(tmp_path / "index.pcap"), "--index")
    assert (tmp_path / "index.pcap").read_bytes() == (tmp_path / "read.pcap").read_bytes()


def replaced(path: Path) -> None:
    octets, about = path.read_bytes(), path.stat()
    path.unlink()
    (path.parent / "takes-the-inode").write_bytes(b"")
    path.write_bytes(octets)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def touched(path: Path) -> None:
    os.utime(path, ns=(0, 10**18))


def grown(path: Path) -> None:
    octets, about = path.read_bytes(), path.stat()
    path.write_bytes(octets + octets[24:])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize("change", [replaced, touched, grown, cut])
def test_another_file_is_noticed(change: Callable[[Path], None], capture: Path) -> None:
    run("read", str(capture), "--index")
    change(capture)
    code, out, err = shown(capture, "-s", "0", "--index")
    plain = shown(capture, "-s", "0")
    assert (code, out) == plain[:2]
    assert err == f"{index_of(capture)}: the capture has changed since: made anew\n{plain[2]}"
    assert shown(capture, "-s", "0", "--index") == plain


def test_another_profile_and_another_version_are_noticed(capture: Path) -> None:
    run("read", str(capture), "--index", "--profile", "rfc")
    assert "it was made with --profile rfc: made anew" in shown(capture, "-s", "0", "--index")[2]
    altered(index_of(capture), lambda about: about | {"version": "0.0"})
    assert "another version of this program made it: made anew" in shown(capture, "-s", "0", "--index")[2]


def altered(path: Path, change: Callable[[dict[str, Any]], Any], **members: bytes) -> None:
    """Write an index anew, with another text and other members."""
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    kept["about.json"] = json.dumps(change(json.loads(kept["about.json"]))).encode()
    kept |= {name.replace("__", "/") + ".npy": octets for name, octets in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, octets in kept.items():
            archive.writestr(name, octets)


def with_text(path: Path, text: str) -> None:
    """Write an index anew in which rules over the run say something else."""

    def change(about: dict[str, Any]) -> dict[str, Any]:
        assert about["found"]
        return about | {"found": [one | {"text": text} for one in about["found"]]}

    altered(path, change)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """Return the octets of an array as numpy keeps them."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


class Harmful:
    """Leaves a trace if it is ever unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("unpickled",)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "a capture": lambda path: path.write_bytes((PCAPS / "four-way.pcap").read_bytes()),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Harmful())),
    "a pickled array": lambda path: altered(path, dict, conversations=npy(np.array([Harmful()], object))),
    "no object": lambda path: altered(path, lambda about: [about]),
    "nothing in it": lambda path: altered(path, lambda about: {"version": about["version"]}),
    "other types": lambda path: altered(path, lambda about: about | {"order": 7}),
    "more connections": lambda path: altered(path, dict, conversations=npy(np.zeros(70, np.int64))),
    "a conversation that is not there": lambda path: altered(path, dict, conversations=npy(np.array([1 << 40, 0]))),
    "an array as long as it likes": lambda path: altered(
        path, dict, conversations=npy(np.zeros(2, np.int64)).replace(b"(2,)", b"(2000000000000,)")[:128] + bytes(16)
    ),
    "records that overlap": lambda path: altered(path, dict, records__0__0__between=npy(np.full(23, -40))),
    "endless records": lambda path: altered(path, dict, records__0__0__octets=npy(np.full(24, 1 << 40))),
    "a header elsewhere": lambda path: altered(path, dict, records__0__headers=npy(np.array([40, 64]))),
    "a header before the file": lambda path: altered(path, dict, records__0__headers=npy(np.array([-9, 15]))),
    "other frames": lambda path: altered(path, dict, segments__0__first=npy(np.array([3, 9]))),
    "no frames": lambda path: altered(path, dict, segments__chunks=npy(np.array([0]))),
    "many chunks": lambda path: altered(path, dict, segments__chunks=npy(np.array([1 << 60]))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_index_does_no_harm(name: str, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(capture.parent)
    plain = shown(capture, "-s", "0")
    run("read", str(capture), "--index")
    HOSTILE[name](index_of(capture))
    code, out, err = shown(capture, "-s", "0", "--index")
    assert (code, out) == plain[:2]
    first, *others = err.splitlines()
    assert first.startswith(str(capture))
    assert first.endswith(": made anew")
    assert others == plain[2].splitlines()
    assert not Path("unpickled").exists()
    assert shown(capture, "-s", "0", "--index") == plain


def test_what_rules_say_cannot_be_any_text(tmp_path: Path) -> None:
    path = tmp_path / "scan.pcap"
    shutil.copy(PCAPS / "accept-queue-stays-full.pcap", path)
    run("read", str(path), "--index")
    for text in ("{n:>9999999999}", "{n.__class__}", "{0!r}", "{missing}"):
        with_text(index_of(path), text)
        assert "it is damaged: made anew" in shown(path, "-s", "0", "--index")[2]


def test_octets_changed_anywhere(capture: Path) -> None:
    from handshake_inspect.archive import Archive, ArchiveError
    from handshake_inspect.indexed.index import Index, UselessIndex

    run("read", str(capture), "--index")
    good, chance = index_of(capture).read_bytes(), random.Random(5)
    with Archive.open(index_of(capture)) as archive:
        expected = Index(archive, str(capture), str(capture), "linux").described(0)
    answers = 0
    for _ in range(100):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        index_of(capture).write_bytes(bad)
        try:
            with Archive.open(index_of(capture)) as archive:
                answer = Index(archive, str(capture), str(capture), "linux").described(0)
        except (ArchiveError, UselessIndex):
            continue
        answers += 1
        assert answer == expected  # checksums see the rest
    assert answers < 100


@pytest.mark.parametrize("command", [("read",), ("show", "-s", "0")])
def test_of_a_name_that_others_open_no_index_is_kept(capture: Path, command: tuple[str, ...]) -> None:
    name = f"file://{capture}"
    done = run(command[0], name, *command[1:], "--index")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: --index keeps an index beside a file; {name} is none" in done.stderr


def test_where_nobody_may_write_it_stands_in_the_cache(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tempfile.NamedTemporaryFile

    def refused(*args: Any, **options: Any) -> Any:
        if options["dir"] == capture.parent:
            raise PermissionError(13, "Permission denied")
        return made(*args, **options)

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refused)
    with indexing.index_made(str(capture)) as making:
        from handshake_inspect.cli.captures import inspect_files

        making.reading = inspect_files([str(capture)], places=making.places)
    assert not index_of(capture).exists()
    assert [path.suffix for path in (tmp_path / "cache" / "handshake-inspect").iterdir()] == [".hsi"]
    found = indexing.open_index(str(capture), "linux")
    assert found is not None
    assert found.described(0)[0].stream == 0
    found.close()


def test_where_its_name_would_be_too_long_it_stands_in_the_cache(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    long = capture.rename(capture.with_name("x" * 248 + ".pcap"))
    made = run("read", str(long), "--index")
    assert (made.exit_code, made.stderr) == (0, "")
    (kept,) = (tmp_path / "cache" / "handshake-inspect").iterdir()
    made_ns = kept.stat().st_mtime_ns
    assert shown(long, "-s", "0", "--index") == shown(long, "-s", "0")
    assert kept.stat().st_mtime_ns == made_ns


def test_there_is_something_of_which_no_index_is_kept(capture: Path, tmp_path: Path) -> None:
    twice = [str(capture), str(PCAPS / "four-way.pcap")]
    assert "--index keeps an index of one file; 2 are named" in run("read", *twice, "--index").stderr
    assert "--index keeps an index beside a file" in run("show", "-", "--index", stdin=capture.read_bytes()).stderr
    scapy = run("show", str(capture), "-s", "0", "--index", "--reader", "scapy")
    assert scapy.exit_code == 2
    assert "--index and --reader scapy do not go together" in scapy.stderr
    assert run("show", str(tmp_path / "none.pcap"), "--index").exit_code == 2
    assert not [*tmp_path.glob("*.hsi")]


def test_an_index_is_no_capture_of_its_folder(capture: Path) -> None:
    plain = run("read", str(capture.parent), "--format", "csv")
    run("read", str(capture), "--index")
    again = run("read", str(capture.parent), "--format", "csv")
    assert (again.stdout, again.stderr) == (plain.stdout, plain.stderr)


def test_without_a_stream_the_connections_are_listed(capture: Path) -> None:
    run("read", str(capture), "--index")
    assert shown(capture, "--index") == shown(capture)
    assert shown(capture, "--index", "-s", "99") == shown(capture, "-s", "99")


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_part_of_an_index(ended_by: signal.Signals, capture: Path) -> None:
    """Once all is read, signals end the process as they end others; the index is only then written."""
    ends_as_it_is_written = (
        "import os; from handshake_inspect.cli import cli, indexing;"
        f"indexing.make_index = lambda *_: os.kill(os.getpid(), {ended_by:d});"
        f"cli.main(['read', {str(capture)!r}, '--index'])"
    )
    done = subprocess.run([sys.executable, "-c", ends_as_it_is_written], capture_output=True, check=False)
    assert done.returncode == -ended_by, done.stderr
    assert list(capture.parent.iterdir()) == [capture]
