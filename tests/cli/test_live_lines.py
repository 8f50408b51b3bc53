"""What `sniff` prints: a line per segment, and one when a TIME-WAIT is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handshake_inspect.cli import live_lines
from handshake_inspect.cli.live_lines import LiveLines
from handshake_inspect.connections.connection import Connection
from handshake_inspect.inspector import inspect
from tests.cli.running import PCAPS
from tests.views.sessions import four_way


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def show(lines: LiveLines, connection: Connection, *, upto: int | None = None) -> None:
    lines.show((connection, step) for step in (connection.steps or ())[:upto])


def test_the_end_of_time_wait_is_printed_once_and_not_before(capsys: pytest.CaptureFixture[str]) -> None:
    lines, connection = LiveLines(), four_way()
    (wait,) = connection.time_wait
    show(lines, connection)
    capsys.readouterr()
    lines.pass_time(wait.earliest_end_ns - 1)
    assert capsys.readouterr().out == ""
    lines.pass_time(wait.earliest_end_ns)
    lines.pass_time(wait.earliest_end_ns + 1)
    (line,) = capsys.readouterr().out.splitlines()
    assert "CLOSED~" in line
    assert "2MSL over" in line


def test_a_restart_puts_the_end_off_and_an_early_end_takes_it_away(capsys: pytest.CaptureFixture[str]) -> None:
    lines, connection = LiveLines(), four_way()
    (wait,) = connection.time_wait
    later = replace(wait, earliest_end_ns=wait.earliest_end_ns + 5)
    show(lines, connection)
    show(lines, replace(connection, time_wait=(later,)), upto=1)
    capsys.readouterr()
    lines.pass_time(wait.earliest_end_ns)
    assert capsys.readouterr().out == ""
    show(lines, replace(connection, time_wait=(replace(later, outcome="killed"),)), upto=1)
    capsys.readouterr()
    lines.pass_time(later.earliest_end_ns)
    assert capsys.readouterr().out == ""


def test_another_connection_between_the_sockets_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    """As the engine tells it: the second connection, and nothing more of the first."""
    first = inspect(PCAPS / "time-wait-reused.pcap")
    lines, connections = LiveLines(), [first.with_steps(stream) for stream in range(2)]
    (wait,) = connections[0].time_wait
    show(lines, replace(connections[0], time_wait=(replace(wait, outcome="not-captured"),)))
    show(lines, connections[1])
    capsys.readouterr()
    lines.pass_time(wait.earliest_end_ns)
    assert capsys.readouterr().out == ""


def test_only_so_many_streams_are_remembered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_lines, "STREAMS_KEPT", 3)
    lines, connection = LiveLines(), four_way()
    for stream in range(10):
        client = replace(connection.originator, port=40_000 + stream)
        show(lines, replace(connection, stream=stream, originator=client))
    capsys.readouterr()
    lines.pass_time(connection.time_wait[0].earliest_end_ns)
    streams = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert streams == ["7", "8", "9"]
