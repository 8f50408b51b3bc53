"""A real scheduler and two workers, of which one is killed on the way: nothing is lost, nothing is doubled."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.inputs import Input
from handshake_inspect.spread import cluster as of_dask
from handshake_inspect.spread.cluster import ClusterError, cluster
from handshake_inspect.spread.run import inspect_spread
from tests.cli.running import run
from tests.expect.altered import PCAPS
from tests.spread.engines import refuse
from tests.spread.test_files import documents

if TYPE_CHECKING:
    from distributed import LocalCluster

distributed = pytest.importorskip("distributed", reason="Dask is not installed")

FILES = sorted(PCAPS.glob("*.pcap"))[::4]


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalCluster]:
    """Start a scheduler and two workers, each a process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as started:
        yield started


class Murder:
    """Kills a worker at some stages of the work, in the middle of each."""

    def __init__(self, address: str, *stages: str) -> None:
        self._address, self._stages = address, list(stages)
        self.killed: list[int] = []

    def watch(self, doing: str, done: int, of: int) -> None:
        """Kill one where the work is half done."""
        if doing in self._stages and 2 * done >= of:
            self._stages.remove(doing)
            with distributed.Client(self._address, set_as_default=False) as client:
                pid = min(pid for pid in client.run(os.getpid).values() if pid not in self.killed)
            os.kill(pid, signal.SIGKILL)
            self.killed.append(pid)


def test_killed_workers_change_nothing(workers: LocalCluster) -> None:
    murder = Murder(workers.scheduler_address, "read", "decided")
    with cluster(workers.scheduler_address, murder.watch) as engine:
        inputs = [Input(str(file)) for file in FILES]
        found = inspect_spread(inputs, engine, failed=refuse, pieces=6)
    assert len(murder.killed) == 2
    assert documents(found) == documents(inspect(FILES))


@pytest.mark.parametrize("arguments", [("--format", "csv"), ("--format", "json", "--steps")])
def test_read_says_the_same_on_a_cluster(workers: LocalCluster, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Also of files that cannot be used; the others are told."""
    (tmp_path / "empty.pcap").touch()
    files = [
        str(PCAPS / "nat.pcap"),
        str(tmp_path / "gone.pcap"),
        "pcaps/nat.server.pcap",
        str(tmp_path / "empty.pcap"),
    ]
    here = run("read", *files, *arguments)
    there = run("read", *files, *arguments, "--dask", workers.scheduler_address)
    assert here.stderr.count("Error: ") == 2
    assert (there.stdout, there.stderr, there.returncode) == (here.stdout, here.stderr, 2)


def test_when_the_scheduler_dies_one_line_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    """And nothing else is printed, whatever Dask would log."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        about = Path(folder, "scheduler.json")
        files = ["--no-dashboard", "--scheduler-file", str(about)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        scheduler = stack.enter_context(subprocess.Popen([*command, *files], **quiet))  # type: ignore[call-overload]
        stack.callback(scheduler.kill)
        address = announced(about)
        serve = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"]
        worker = stack.enter_context(subprocess.Popen([*serve, "--nthreads", "1"], **quiet))  # type: ignore[call-overload]
        stack.callback(worker.kill)

        def kill(doing: str, done: int, of: int) -> None:
            scheduler.kill()

        with (
            pytest.raises(ClusterError, match=r"^tcp://127\.0\.0\.1:\d+: the connection to the scheduler was lost"),
            cluster(address, kill) as engine,
        ):
            inspect_spread([Input(str(file)) for file in FILES], engine, failed=refuse, pieces=6)
    assert capfd.readouterr() == ("", "")


def test_when_all_workers_are_gone_one_line_says_so_and_one_that_comes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_dask, "WORKER_WITHIN_S", 1)
    told: list[str] = []
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None, silence_logs=50) as started:

        def come(line: str) -> None:
            told.append(line)
            started.scale(1)

        started.scale(1)
        with cluster(started.scheduler_address, tell=come) as engine:
            started.scale(0)
            while engine._client.nthreads():
                time.sleep(0.02)
            results = engine.results([engine.submit(abs, -number) for number in range(3)], "read")
    assert results == [0, 1, 2]
    (line,) = told
    assert line.endswith("none has come for 1 s; the work goes on when one does, Ctrl-C ends it")


def announced(about: Path) -> str:
    """Wait until a scheduler has written its address into a file."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(about.read_text())["address"])
        time.sleep(0.05)
    raise TimeoutError("the scheduler does not begin")


def test_what_comes_through_a_pipe_is_not_sent_to_others(workers: LocalCluster) -> None:
    done = run("read", "-", "--dask", workers.scheduler_address)
    assert done.returncode == 2
    assert done.stderr == "Error: -: --dask reads files, which each worker opens itself; save it to a file first\n"


def test_jobs_are_how_many_workers_start_here() -> None:
    with cluster(of_dask.LOCAL, workers=1) as engine:
        assert engine.workers == 1
    done = run("read", str(PCAPS / "nat.pcap"), "--dask", "tcp://scheduler:8786", "--jobs", "1")
    said = "--jobs goes with --dask local: how many workers tcp://scheduler:8786 has is its own affair"
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_file_is_no_address() -> None:
    done = run("read", "--dask", "pcaps/nat.pcap")
    assert done.returncode == 2
    said = "is no address of a scheduler (tcp://HOST:8786, or local); where none is named, --dask stands last. See"
    assert f"'pcaps/nat.pcap' {said}" in done.stderr


def test_without_a_scheduler_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_dask, "CONNECT_WITHIN_S", 0.2)
    with pytest.raises(ClusterError, match=r"^127\.0\.0\.1:1: no cluster of Dask there that has a worker: .*$"):
        connect("127.0.0.1:1")


def test_without_dask_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"^needs Dask, which is not installed; pip install '.*\[dask\]'$"):
        connect("local")


def test_workers_of_another_version_are_refused(workers: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_dask, "__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r": workers have handshake-inspect [\d.]+\S*, not 0\.0\.1$"):
        connect(workers.scheduler_address)


def connect(address: str) -> None:
    """Connect to a cluster, and leave it."""
    with cluster(address):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are listed as Linux does")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.3, 2.5], ids=["while-workers-start", "later"])
def test_a_signal_ends_local_workers_in_order_at_any_time(
    ended_by: signal.Signals, after_s: float, tmp_path: Path
) -> None:
    """While they started Ctrl-C was lost; later nothing was said; SIGTERM left semaphores, of which Python warned."""
    octets, large = (PCAPS / "four-way.pcap").read_bytes(), tmp_path / "large.pcap"
    large.write_bytes(octets[:24] + octets[24:] * 40_000)
    command = [sys.executable, "-m", "handshake_inspect", "read", "-j", "2", str(large), "--dask", "local"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 60
        while not children.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(after_s)
        if ended_by == signal.SIGINT:
            os.killpg(process.pid, ended_by)  # as a terminal does
        else:
            process.send_signal(ended_by)
        out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 130)
    assert err.splitlines()[-1:] == ["interrupted: the workers had not ended, so there is nothing to show"]
    assert "Traceback" not in err
    assert "leaked" not in err
