"""`demo --wait` and `timewait` as people use them: on a terminal, with Ctrl-C, and by programs."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from handshake_inspect.cli.timewait import address
from handshake_inspect.cli.timewait_watch import WatchPrinter, restricted_to
from handshake_inspect.cli.waiting import countdown_line
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.sock_diag import KernelSocket
from handshake_inspect.lab.time_wait.following import Following, KernelLook
from handshake_inspect.lab.time_wait.jiffies import placed_wheel
from handshake_inspect.lab.time_wait.observing import Change, EntryEnd, Filter
from handshake_inspect.lab.time_wait.wheel import Span, Wheel
from handshake_inspect.lab.world import in_private_world
from tests.cli.running import REPOSITORY, run
from tests.lab.privileges import needs_private_world
from tests.lab.time_wait.provoking import CLIENT, SERVER, close_in_turn, connect_again
from tests.lab.time_wait.test_observing import own_bench

LIMIT_S = 60


def on_a_terminal(*arguments: str, until: str, columns: int = 80) -> tuple[int, str]:
    """Run a command on a terminal of its own, and type Ctrl-C when it has printed what `until` matches.

    Returns its exit code, and what it printed.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        os.environ |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        os.environ.pop("COLUMNS", None)
        import fcntl
        import struct
        import termios

        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.execv(sys.executable, [sys.executable, "-m", "handshake_inspect", *arguments])
    printed, was_typed, deadline = b"", False, time.monotonic() + LIMIT_S
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    part = os.read(terminal, 1 << 16)
                except OSError:  # the other end is closed
                    break
                printed += part
            if not was_typed and re.search(until.encode(), printed):
                was_typed = True
                os.write(terminal, b"\x03")
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), printed.decode()


def test_ctrl_c_ends_the_wait_with_what_is_known_so_far() -> None:
    needs_private_world()
    code, printed = on_a_terminal("demo", "--wait", until=r"(?s)(s of TIME-WAIT left; Ctrl-C ends.*){4}")
    assert code == 0, printed
    countdown, _, report = printed.partition("the wait was interrupted")
    lines = [line.removesuffix("^C") for line in countdown.split("\r") if line.startswith("127.0.0.1:")]
    assert len(lines) > 2
    assert max(map(len, lines)) < 80 + len("\x1b[K")
    assert all("s of TIME-WAIT left; Ctrl-C ends" in line for line in lines)
    assert "TIME-WAIT against the kernel's own timer" in report
    assert "s were left when the wait ended" in " ".join(report.split())


@pytest.mark.parametrize("scenario", ["reset", "refused"])
def test_where_nobody_owes_it_there_is_nothing_to_wait_for(scenario: str) -> None:
    needs_private_world()
    done = run("demo", scenario, "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nNobody owes TIME-WAIT in this capture: there is nothing to wait for.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("demo", "udp", "--wait"), "udp: there is no TIME-WAIT to wait for: it has no TCP connection"),
        (("demo", "four-way", "--replay", "--wait"), "--wait asks the kernel, and this session was recorded"),
        (("timewait", "watch", "--host", "example"), "'example' is no IP address"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], says: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "spelled"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("2001:DB8::0:1", "2001:db8::1")],
)
def test_an_address_is_spelled_as_entries_are(text: str, spelled: str) -> None:
    assert address(text) == spelled


def test_a_scenario_of_the_lab_can_be_waited_for_too() -> None:
    needs_private_world()
    done = run("lab", "run", "time-wait-killed", "--wait")
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    assert "It was over before it could be followed: an RST ended it (RFC 1337), the server's RST in frame" in said


def watching(deed: Callable[[], object], *options: str) -> tuple[int, str, str]:
    """Do something in a private network while `timewait watch` runs there; end that by Ctrl-C unless it ends itself."""

    def inside() -> tuple[int, str, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "handshake_inspect", "timewait", "watch", *options],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("watching TIME-WAIT on this host")
        deed()
        if "--count" not in options:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
        return process.returncode, out, err

    needs_private_world()
    return in_private_world(inside)


def close_and_reuse() -> None:
    bench = own_bench()
    close_in_turn(bench)
    time.sleep(0.5)
    connect_again(bench)
    time.sleep(0.5)


def reuse_watched_in_time(*options: str) -> tuple[int, str, str]:
    """Watch a reuse; again where a busy machine let the watch look too late to tell whose it is, which it says."""
    for _ in range(10):
        code, out, err = watching(close_and_reuse, *options)
        gone = out[out.find("gone") :]  # of what began no owner is told in any case
        if "or the other end's SYN" not in " ".join(gone.split()) and '"by_owner": null' not in gone:
            break
    return code, out, err


@pytest.mark.usefixtures("loopback_alone")  # a burst would keep it from looking in time
def test_the_watch_ends_at_ctrl_c_with_a_summary() -> None:
    code, out, err = reuse_watched_in_time()
    assert (code, err) == (0, "")
    began, gone, *rest = [line for line in out.splitlines() if line.strip()]
    assert f"began      127.0.0.1:{CLIENT} → 127.0.0.1:{SERVER}" in began
    assert f"gone       127.0.0.1:{CLIENT} → 127.0.0.1:{SERVER}" in gone
    assert "reused by its owner's connect(); its two sockets are ESTABLISHED now" in " ".join(out.split())
    assert rest[-1].startswith("1 entry ended in ")
    assert rest[-1].endswith(" s (1 reused); 0 are there")


@pytest.mark.usefixtures("loopback_alone")  # a burst would keep it from looking in time
def test_the_watch_ends_after_so_many_ends_and_prints_objects_for_programs() -> None:
    code, out, err = reuse_watched_in_time("--count", "1", "--format", "ndjson")
    assert code == 0
    began, gone = map(json.loads, out.splitlines())
    assert (began["event"], began["cause"], began["local"]) == ("began", None, {"ip": "127.0.0.1", "port": CLIENT})
    assert (gone["event"], gone["cause"], gone["instead"]) == ("gone", "reused", "ESTABLISHED")
    assert gone["by_owner"] is True
    assert 0 < gone["lived_ns"] < 5_000_000_000
    assert gone["computed_end_ns"] - gone["time_ns"] > 55_000_000_000
    assert err.startswith("1 entry ended in ")


def test_the_watch_says_at_which_ports_and_addresses() -> None:
    assert restricted_to(Filter()) == ""
    assert restricted_to(Filter((80, 443), ("::1",))) == " at port 80 or 443 of ::1"


def test_on_a_terminal_the_watch_counts_down_in_place() -> None:
    """What is printed after that begins on an empty line."""

    def inside() -> tuple[int, str]:
        close_in_turn(own_bench())
        return on_a_terminal("timewait", "watch", until=r"ends in about 5[0-8] s")

    needs_private_world()
    code, printed = in_private_world(inside)
    assert code == 0
    watching, there, counted, summary, _ = printed.split("\r\n")
    assert re.fullmatch(rf" +\d\.\d{{3}}  there +127.0.0.1:{CLIENT} → 127.0.0.1:{SERVER}  5\d\.\d s left", there)
    assert watching == "watching TIME-WAIT on this host; Ctrl-C ends"
    assert re.fullmatch(r"(\r1 entry, ends in about [56]\d s\x1b\[K){2,}(\^C)?\r\x1b\[K", counted)
    assert re.fullmatch(r"0 entries ended in \d\.\d s; 1 is there", summary)


@pytest.mark.parametrize(
    ("ends", "columns"),
    [
        (("127.0.0.1:65535", "127.0.0.1:65535"), 80),
        (("198.18.0.1:65535", "198.18.0.2:65535"), 80),
        (("[::1]:65535", "[::1]:65535"), 80),
        (("127.0.0.1:65535", "127.0.0.1:65535"), 60),
    ],
)
@pytest.mark.parametrize("left_ms", [59_900, 0])
def test_the_countdown_says_how_to_end_it_in_the_room_there_is(
    ends: tuple[str, str], columns: int, left_ms: int
) -> None:
    local, remote = (Endpoint(ip.strip("[]"), int(port)) for ip, _, port in (end.rpartition(":") for end in ends))
    entry = KernelSocket(local, remote, "TIME-WAIT", "mini", "time-wait", left_ms, 0, 0, 0, 0, 7)
    there = [Following.begun(entry, 0, KernelLook(0, 1), Wheel(4_000_000, origin_ns=0, error_ns=0))]
    line = countdown_line(there, 0, columns - 1)
    assert len(line) < columns
    assert line.endswith("timer at 0, still there; Ctrl-C ends" if not left_ms else " s of TIME-WAIT left; Ctrl-C ends")
    assert line.startswith(f"{ends[0]} → {ends[1]}: ") == (columns == 80)


def test_many_that_change_alike_are_told_in_one_line() -> None:
    def many() -> None:
        with socket.create_server(("127.0.0.1", SERVER), backlog=100) as listener:
            for _ in range(300):
                client = socket.create_connection(listener.getsockname())
                server, _ = listener.accept()
                client.close()
                server.close()
            time.sleep(0.5)

    code, out, _ = watching(many)
    assert code == 0
    lines = [line for line in out.splitlines() if " began " in line]
    assert 1 <= len(lines) < 100
    assert any(f"127.0.0.1 → 127.0.0.1:{SERVER}  " in line and " entries, the last one: " in line for line in lines)
    assert out.splitlines()[-1].endswith("; 300 are there")


def test_the_census_is_a_document_for_programs() -> None:
    def inside() -> str:
        close_in_turn(own_bench(), closes_first="server")
        return run("timewait", "list", "--format", "json").stdout

    needs_private_world()
    document = json.loads(in_private_world(inside))
    assert document["entries"] == 1
    (one,) = document["holdings"]
    assert (one["role"], one["local"], one["remote"]) == (
        "server",
        {"ip": "127.0.0.1", "port": SERVER},
        {"ip": "127.0.0.1", "port": None},
    )
    assert 0 < one["first_end_ms"] <= one["last_end_ms"] <= 60_000
    assert document["max_entries"] == int(Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").read_text())


def listed_of_three_servers() -> subprocess.CompletedProcess[str]:
    """Leave TIME-WAIT towards three servers, most towards the second, and list the largest group."""
    for number, connections in enumerate((1, 3, 2), start=1):
        with socket.create_server((f"127.0.0.{number}", 8000)) as server:
            for _ in range(connections):
                with socket.create_connection(server.getsockname()) as client, server.accept()[0] as session:
                    client.shutdown(socket.SHUT_WR)
                    session.recv(1)
    return run("timewait", "list", "--limit", "1")


def test_the_list_shows_the_largest_groups_and_says_how_many_there_are_more() -> None:
    needs_private_world()
    done = in_private_world(listed_of_three_servers)
    assert done.returncode == 0
    assert "6 connections in TIME-WAIT" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "as client" in line and "127.0.0." in line]
    assert "127.0.0.2:8000" in line
    assert done.stderr == "--limit 1: 2 more not shown\n"


def test_an_end_at_which_the_watch_did_not_look_is_not_said_to_be_late() -> None:
    watching = WatchPrinter(placed_wheel(), Filter(), is_json=False)
    ends = Endpoint("127.0.0.1", 40_000), Endpoint("127.0.0.1", 8000)
    with closing(watching.observer):
        for asleep_ns, says in (
            (23_000_000_000, "was not asked for 23.000 s before"),
            (4_000_000, "0.500 s late, at a"),
        ):
            gone = EntryEnd("ran-out", 60_500_000_000 + asleep_ns - 4_000_000, asleep_ns, Span(0, 0))
            (line,) = watching.lines([Change("gone", 0, *ends, left_ns=0, gone=gone)])
            assert says in " ".join(line.split())


def test_what_changes_alike_between_many_hosts_is_one_line() -> None:
    changes = [
        Change("began", 0, Endpoint(f"127.1.0.{number}", 40_000 + port), Endpoint("127.0.0.1", 8000), left_ns=1)
        for number in range(50)
        for port in range(10)
    ]
    watching = WatchPrinter(placed_wheel(), Filter(), is_json=False)
    with closing(watching.observer):
        (line,) = watching.lines(changes)
    assert "50 pairs of hosts  500 entries, the last one: 0.0 s left" in " ".join(line.split("\n"))
