"""`read --time-wait`, `--profile` and `--ports`, as a user gives them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect import inspect
from handshake_inspect.views.contract import connection_object
from handshake_inspect.views.ledger_export import CSV_COLUMNS
from handshake_inspect.views.ledger_summary import bar, summary_lines
from tests.cli.running import REPOSITORY, run
from tests.connections.test_ledger import CLOSED_BY_A, CLOSED_BY_B, SERVER, connection
from tests.engine.scenario import BEGIN_NS, inspect_many

NAMES = ["four-way", "refused", "simultaneous-close", "time-wait-killed", "time-wait-reopened", "time-wait-restarted"]
FILES = [f"pcaps/{name}.pcap" for name in NAMES]


def ledger(*options: str) -> str:
    done = run("read", *FILES, "--time-wait", *options, COLUMNS="160")
    assert done.returncode == 0, done.stderr
    return done.stdout


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_table_has_a_row_for_each_and_the_summary_below() -> None:
    rows, _, summary = ledger().partition("\n\n")
    lines = rows.splitlines()
    assert flat(lines[0]) == "stream capture owner peer entered by frame restarts until how it ended"
    assert len(lines) == 1 + 6
    assert sum("not-captured" in line for line in lines) == 4
    assert "7 connections left 6 TIME-WAITs (Linux: 60 s after the last ACK; RFC 9293: 240 s)." in flat(summary)
    assert "The end was captured of 2: 1 reused and 1 killed." in flat(summary)
    assert "socket connect() has all 28,232 of 32768-60999 (Linux: ip_local_port_range)." in flat(summary)
    assert "They run out at 467.8 connections per second, each held for 60.357 s on average." in flat(summary)


def rows_by_hand(profile: str) -> list[dict[str, Any]]:
    """Return the rows made of the connections' own objects."""
    rows = []
    for one in map(connection_object, inspect([REPOSITORY / name for name in FILES], profile=profile).connections):
        for wait in one["time_wait"]:
            peer = "responder" if wait["owner"] == "originator" else "originator"
            capture = one["capture"].removeprefix(f"{REPOSITORY}/")
            sockets = {"host": one[wait["owner"]], "peer": one[peer]}
            rows.append({"stream": one["stream"], "capture": capture, **sockets, **wait})
    return rows


def test_json_has_what_the_connections_say_and_the_summary() -> None:
    document = json.loads(ledger("--format", "json", "--profile", "macos", "--ports", "30000-50000"))
    assert list(document) == ["schema", "captures", "time_waits", "summary", "damage"]
    assert document["time_waits"] == rows_by_hand("macos")
    summary = document["summary"]
    assert summary["profile"] == {
        "name": "macos",
        "length_ns": 30_000_000_000,
        "assumption": "macOS: 30 s, twice its MSL of 15 s",
        "any_segment_restarts": False,
    }
    assert summary["ports"] == {"first": 30000, "last": 50000, "count": 20001, "source": "--ports"}
    assert (summary["connections"], summary["time_waits"]) == (7, 6)
    assert sum(summary["outcomes"].values()) == sum(host["time_waits"] for host in summary["hosts"]) == 6
    assert all(len(host["at_once"]) == 60 and max(host["at_once"]) == host["peak"] for host in summary["hosts"])
    for use in summary["port_use"]:
        assert use["runs_out_at_per_s"] == pytest.approx(20001e9 / use["mean_held_ns"])
        assert 30_000_000_000 < use["mean_held_ns"] < 31_000_000_000


def test_ndjson_and_csv_have_the_same_rows() -> None:
    lines = [json.loads(line) for line in ledger("--format", "ndjson").splitlines()]
    assert lines == rows_by_hand("linux")
    cells = list(csv.DictReader(io.StringIO(ledger("--format", "csv"))))
    assert list(cells[0]) == list(CSV_COLUMNS)
    for row, line in zip(cells, lines, strict=True):
        for name in ("stream", "capture", "owner", "entered_ns", "profile", "earliest_end_ns", "outcome"):
            assert row[name] == str(line[name])
        assert (row["owner_ip"], int(row["owner_port"])) == (line["host"]["ip"], line["host"]["port"])
        assert (row["peer_ip"], int(row["peer_port"])) == (line["peer"]["ip"], line["peer"]["port"])
        assert int(row["restarts"]) == len(line["restarts"])
        assert row["reuse_rules"] == " ".join((line["reuse"] or {"rules": []})["rules"])


def test_markdown_has_the_columns_of_the_table_and_no_summary() -> None:
    lines = ledger("--format", "markdown").splitlines()
    assert lines[0].startswith("| stream | capture | owner | peer | entered | by frame |")
    assert len(lines) == 2 + 6


def test_a_limit_is_one_of_rows_and_the_summary_is_of_all() -> None:
    done = run("read", *FILES, "--time-wait", "--limit", "2", "--format", "json")
    document = json.loads(done.stdout)
    assert (len(document["time_waits"]), document["summary"]["time_waits"]) == (2, 6)
    assert "--limit 2: 4 more not shown" in done.stderr


def test_connections_are_chosen_as_always() -> None:
    where = ["--where", '"killed" in time_wait.outcome or "FIN" in time_wait.restarts.segment']
    streams = [json.loads(line)["stream"] for line in ledger("--format", "ndjson", *where).splitlines()]
    found = inspect([REPOSITORY / name for name in FILES]).connections
    assert streams == [one.stream for one in found if one.time_wait and one.time_wait[0].restarts] and len(streams) == 2
    sorted_ = [json.loads(line)["stream"] for line in ledger("--format", "ndjson", "--sort", "-stream").splitlines()]
    assert sorted_ == sorted(sorted_, reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "zeek", "--time-wait"], "--time-wait and --format zeek do not go together"),
        (["--udp", "--time-wait"], "--time-wait and --udp do not go together"),
        (["--steps", "--format", "json", "--time-wait"], "--time-wait and --steps do not go together"),
        (["--ports", "1-2"], "--ports needs --time-wait"),
        (["--time-wait", "--ports", "60999-32768"], "'60999-32768' is no range of ports"),
        (["--time-wait", "--ports", "0-5"], "'0-5' is no range of ports"),
        (["--time-wait", "--ports", "1-65536"], "'1-65536' is no range of ports"),
        (["--time-wait", "--ports", "80"], "'80' is no range of ports"),
        (
            ["--profile", "solaris"],
            "'solaris' is none of linux, rfc, freebsd, macos, windows, and no number of seconds",
        ),
        (["--profile", "0"], "'0': TIME-WAIT lasts more than 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options: list[str], message: str) -> None:
    done = run("read", FILES[0], *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        ("linux", "until 60.357 s at the earliest (Linux: 60 s after the last ACK; RFC 9293: 240 s)"),
        ("rfc", "until 240.357 s at the earliest (RFC 9293: 2 MSL = 240 s after the last ACK; Linux: 60 s)"),
        ("freebsd", "until 60.357 s at the earliest (FreeBSD: 60 s, twice its MSL of 30 s; RFC 9293: 240 s)"),
        ("macos", "until 30.357 s at the earliest (macOS: 30 s, twice its MSL of 15 s; RFC 9293: 240 s)"),
        ("windows", "until 120.357 s at the earliest (Windows: 120 s, the default of TcpTimedWaitDelay since Server"),
        ("7.5", "until 7.857 s at the earliest (7.5 s, as asked for; RFC 9293: 240 s)"),
    ],
)
def test_the_ladder_says_whose_time_is_assumed(profile: str, line: str) -> None:
    done = run("show", FILES[0], "--profile", profile, COLUMNS="160")
    assert line in flat(done.stdout)


def test_check_chooses_by_the_end_that_the_profile_gives(tmp_path: Path) -> None:
    capture = str(shutil.copy(FILES[4], tmp_path))  # without the file beside it, which expects something of all
    # The next connection comes 9 ms after TIME-WAIT began.
    common = ["check", capture, "--where", '"expired" in time_wait.outcome', "--teardown", "four-way"]
    assert "connections with --where" in run(*common).stdout
    assert run(*common).returncode == 1
    assert run(*common, "--profile", "0.001").stdout == "ok: 1 connection\n"


# --- the summary ------------------------------------------------------------------------------------------------------


def test_a_bar_has_a_full_block_for_the_highest_and_a_space_for_none() -> None:
    assert bar([0, 1, 4, 8, 5]) == " ▁▄█▅"
    assert bar([0, 1, 1000]) == " ▁█"
    assert bar([0, 0]) == "  "
    assert bar([1]) == "█"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_the_summary_fits_its_width(width: int) -> None:
    found = inspect_many(
        [connection(CLOSED_BY_A, i / 2, 40000 + i, server=(SERVER + i % 12, 80)) for i in range(60)]
        + [connection(CLOSED_BY_B, i, 40000 + i, server=(SERVER + i, 443)) for i in range(3)]
    )
    lines = [line.plain for line in summary_lines(found.time_wait_ledger(), BEGIN_NS, width)]
    assert max(map(len, lines)) <= width
    text = flat(" ".join(lines))
    assert "63 TIME-WAITs" in text
    assert "and 8 remote sockets more, none with a higher peak" in text
    assert "these hosts owe it: 10.0.0.99 (1, at most 256 B), 10.0.0.100 (1, at most 256 B) and" in text
    assert "Over time: from 0.005 s to 89.505 s after the first frame; behind 29.505 s, where the capture ends" in text
    assert "█" in text


def at_columns(columns: int, *options: str) -> list[str]:
    files = ["pcaps/time-wait-reopened.pcap", "pcaps/time-wait-killed.pcap"]
    done = run("read", *files, "--time-wait", *options, COLUMNS=str(columns))
    return [line.rstrip() for line in done.stdout.partition("\n\n")[0].splitlines()[1:]]


def test_how_one_ended_is_read_whole_where_other_columns_must_go() -> None:
    """The rules of a reuse are the first to go; a time and a number are never cut in two."""
    ends = [re.search(r"\S+ at .*", line) for line in at_columns(200)]
    reused, killed = (end.group() for end in ends if end)
    assert re.fullmatch(r"reused at \d+\.\d{3} s, stream 1: TS, ISN", reused)
    assert re.fullmatch(r"killed at \d+\.\d{3} s, frame 14", killed)
    for columns in (60, 80, 100):
        first, second = at_columns(columns)
        assert first.endswith((reused, reused.replace("TS, ISN", "…")))
        assert second.endswith(killed)
        assert max(map(len, (first, second))) <= columns


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "28,232 of 32768-60999 (Linux: ip_local_port_range)."),
        (["--profile", "45"], "28,232 of 32768-60999 (Linux: ip_local_port_range)."),
        (["--profile", "freebsd"], "55,536 of 10000-65535 (FreeBSD: net.inet.ip.portrange)."),
        (["--profile", "macos"], "came from one of 49152-65535 (macOS: net.inet.ip.portrange); --ports takes another"),
        (["--profile", "macos", "--ports", "40000-49999"], "10,000 of 40000-49999 (--ports)."),
    ],
)
def test_the_ports_are_those_of_the_profile_unless_others_are_given(options: list[str], says: str) -> None:
    """The client of this capture has port 46594."""
    done = run("read", "pcaps/time-wait-killed.pcap", "--time-wait", *options)
    assert says in flat(done.stdout)


def said_of_ports(connections: int, ports: str, every_s: float) -> str:
    from handshake_inspect import PortRange

    first, last = map(int, ports.split("-"))
    found = inspect_many([connection(CLOSED_BY_A, i * every_s, 40000 + i) for i in range(connections)])
    ledger = found.time_wait_ledger(ports=PortRange(first, last))
    return flat(" ".join(line.plain for line in summary_lines(ledger, BEGIN_NS, 100)))


def test_the_summary_says_how_near_the_ports_were_to_running_out() -> None:
    gone = said_of_ports(3, "40000-40002", 1)
    assert "3 taken at once (100.0 %)" in gone
    assert "No port was left: connect() fails with EADDRNOTAVAIL." in gone
    soon = said_of_ports(3, "40000-40099", 0.1)
    assert (
        "They run out at 1.7 connections per second, each held for 60.005 s on average; "
        "at most 14.6 per second were seen, over 0.205 s. Had it gone on so, no port would have been left after 6.8 s"
        in soon
    )
    never = said_of_ports(3, "40000-40099", 30)
    assert "No port" not in never and "Had it gone on" not in never
    outside = said_of_ports(3, "40001-40099", 1)
    assert "1 connection came from a port outside this range; --ports takes another." in outside
