"""`read --keep`: what is over is written before the end, and is what it would have been at the end."""

from __future__ import annotations

import csv
import io
import json
import re
from functools import partial
from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.endless.retention import Retention
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from tests.bench import soak
from tests.bench.endless import HEADER, as_pcap
from tests.bench.soak import blocks
from tests.cli.running import PCAPS, run


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save four minutes of echo sessions, 20 a second, which take the same ports again and again."""
    path = tmp_path_factory.mktemp("keep") / "minutes.pcap"
    path.write_bytes(HEADER + b"".join(map(as_pcap, blocks(240, 20, "loopback"))))
    return path


def test_what_is_written_early_is_what_is_written_at_the_end(minutes: Path) -> None:
    whole = run("read", str(minutes), "--format", "csv")
    parts = run("read", str(minutes), "--format", "csv", "--keep", "50")
    head, *lines = parts.stdout.splitlines()
    assert [head, *sorted(lines, key=lambda line: int(line.split(",")[0]))] == whole.stdout.splitlines()
    assert "(--keep)" not in whole.stderr
    written = re.search(
        r"over before the end, written first and let go \(--keep\): ([0-9,]+) connections", parts.stderr
    )
    assert written is not None
    assert len(lines) // 4 < int(written[1].replace(",", "")) < len(lines) - 50


@pytest.mark.parametrize("format_", ["ndjson", "csv"])
def test_a_pipe_that_is_not_long_says_what_the_file_says(format_: str, minutes: Path) -> None:
    piped = run("read", "-", "--format", format_, stdin=minutes.read_bytes())
    assert piped.stdout == run("read", str(minutes), "--format", format_).stdout.replace(str(minutes), "-")
    assert "--keep" not in piped.stderr


def test_a_selection_holds_for_what_leaves_too(minutes: Path) -> None:
    asked = ("--where", "originator.port < 33000", "--format")
    whole = [json.loads(line) for line in run("read", str(minutes), *asked, "ndjson").stdout.splitlines()]
    parts = [
        json.loads(line) for line in run("read", str(minutes), *asked, "ndjson", "--keep", "0").stdout.splitlines()
    ]
    assert sorted(parts, key=lambda one: one["stream"]) == whole != []
    assert run("read", str(minutes), *asked, "zeek", "--keep", "0").stdout.count("#close") == 1


def test_what_is_found_of_a_connection_does_not_depend_on_when_it_was_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-open ones: that they were so for longer than they are waited for is known, whenever somebody looked."""
    monkeypatch.setattr(soak, "ECHO", soak.ECHO[:2])
    records = list(blocks(100, 20, "wide"))
    runs = []
    for at_once in (1, 7, len(records)):
        found: dict[int, list[str]] = {}
        inspector = Inspector(leaving=Retention(keep=0, round_rows=1), told=partial(note, found))
        capture = inspector.begin_capture("simulated", "live")
        for number, block in enumerate(records, 1):
            inspector.add_records(block, capture)
            if number % at_once == 0:
                inspector.go_on()
        note(found, inspector.result())
        runs.append(found)
    assert runs[0] == runs[1] == runs[2]
    assert runs[0][0][0] == "half-open for 64.000 s: 1 SYN-ACK, none acknowledged"
    assert len(runs[0]) > 1900


def note(found: dict[int, list[str]], inspection: Inspection) -> None:
    """Note what was found of each connection: now, as the command line writes it."""
    found |= {one.stream: [finding.message for finding in one.findings] for one in inspection.connections}


def test_it_is_said_that_floods_were_looked_for_in_the_rest_alone(minutes: Path) -> None:
    said = run("read", str(minutes), "--format", "csv", "--keep", "50").stderr
    assert "a scan or a flood, which only the whole run shows, was looked for in the other connections alone\n" in said


def test_no_more_is_held_than_a_multiple_of_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SYNs come so fast that none has been quiet for long enough: those that have been for longest leave."""
    from handshake_inspect.cli import outflow
    from handshake_inspect.cli.captures import inspect_files
    from handshake_inspect.cli.choose import Choice

    monkeypatch.setattr(outflow, "KEPT", 1)
    path = tmp_path / "flood.pcap"
    path.write_bytes(HEADER + b"".join(map(as_pcap, blocks(8, 10_000, "flood"))))
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    flow = outflow.outflow(1000, [str(path)], Choice(), "csv", "linux")
    assert flow is not None
    held = inspect_files([str(path)], outflow=flow).inspection
    rows = list(csv.DictReader(io.StringIO(written.getvalue())))
    assert held.let_go.connections == len(rows)
    assert len(rows) + len(held.connections) == len(inspect(path).connections)
    assert {row["handshake"] for row in rows} == {"unanswered"}
    assert len(held.connections) <= 4000 + 65_536


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--keep", "5"], "--keep needs --format csv, ndjson or zeek"),
        (["--keep", "5", "--format", "csv", "--sort", "stream"], "--keep and --sort do not go together"),
        (["--keep", "5", "--format", "ndjson", "--steps"], "--keep and --steps do not go together"),
        (["--keep", "-1", "--format", "csv"], "--keep"),
    ],
)
def test_what_needs_all_connections_is_refused(options: list[str], said: str) -> None:
    done = run("read", str(PCAPS / "four-way.pcap"), *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
