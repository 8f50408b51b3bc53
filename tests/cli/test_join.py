"""`join`: exit codes, formats, and what is said besides."""

from __future__ import annotations

import json

import pytest

from handshake_inspect.views.joined_account import clocks_apart
from tests.cli.running import PCAPS, run

PAIR = (str(PCAPS / "lost-data.pcap"), str(PCAPS / "lost-data.server.pcap"))
MANY = (str(PCAPS / "port-scan.pcap"), str(PCAPS / "port-scan.server.pcap"))


def test_a_single_connection_is_drawn() -> None:
    done = run("join", *PAIR)
    assert done.returncode == 0
    assert "Died on the way: frame 4 (PSH,ACK seq=x+1 ack=y+1 len=4) near the client." in done.stdout
    assert done.stderr == ""


def test_several_are_listed_and_one_of_them_drawn() -> None:
    listed = run("join", *MANY)
    lines = listed.stdout.splitlines()
    assert lines[0].split()[:2] == ["stream", "originator"]
    assert len(lines[: lines.index("")]) == 31
    assert f"Places     A is {MANY[0]}, B is {MANY[1]}." in " ".join(listed.stdout.replace(" " * 11, "").split("\n"))
    assert any(line.startswith("Clocks     They cannot be told apart, and may be one ") for line in lines)
    assert lines[-1] == "Changed    Nothing, the TTL left out of account: every router lowers it."
    drawn = run("join", *MANY, "-s", "2")
    assert drawn.stdout.startswith(f"stream 2 of {MANY[0]}")
    assert f"stream 2 of {MANY[1]}" in drawn.stdout


def test_options_choose_connections_of_both_captures() -> None:
    assert "198.18.0.2:22 " in run("join", *MANY, "--port", "22").stdout.replace("\n", " ")
    for given, named in (
        (["--host", "203.0.113.1"], "--host"),
        (["--port", "9"], "--port"),
        (["--host", "198.18.0.1", "--port", "9"], "--host and --port"),
    ):
        done = run("join", *MANY, *given)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"Error: none of 30 connections in the two captures is of that {named}\n"


def test_of_one_connection_it_is_not_said_that_they_are_several() -> None:
    pair = [str(PCAPS / f"lost-fin{end}.pcap") for end in ("", ".server")]
    done = run("join", *pair, "--port", "9")
    assert done.stderr == "Error: none of 1 connection in the two captures is of that --port\n"


def test_the_two_captures_have_names_of_one_letter_and_what_was_sent_stays_on_a_narrow_terminal() -> None:
    pair = [str(PCAPS / f"address-sweep{end}.pcap") for end in ("", ".server")]
    lines = run("join", *pair, COLUMNS="80").stdout.splitlines()
    assert "sent → / ←" in lines[0]
    assert sum(line.endswith("  only at A") for line in lines) == 10
    pair = [str(PCAPS / f"time-wait-reused-early{end}.pcap") for end in ("", ".server")]
    assert "Changed    Initial number of 1 connection." in run("join", *pair).stdout.splitlines()


def test_unrelated_captures_are_one_line_and_no_picture() -> None:
    for format_ in ("text", "json"):
        for other, why in (
            ("udp", f"there is no TCP connection in {PCAPS / 'udp.pcap'}"),
            ("nat", "of different traffic"),
        ):
            done = run("join", str(PCAPS / "four-way.pcap"), str(PCAPS / f"{other}.pcap"), "--format", format_)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
            assert why in done.stderr


def test_named_the_other_way_round() -> None:
    done = run("join", *PAIR[::-1])
    assert f"{PAIR[1]} was captured near the server, {PAIR[0]} near the client: by the times or the TTL" in done.stderr
    assert "Died on the way: frame 4 (PSH,ACK seq=x+1 ack=y+1 len=4) near the client." in done.stdout


def test_the_json_names_the_lost_segment() -> None:
    document = json.loads(run("join", *PAIR, "--format", "json").stdout)
    assert (document["schema"], [one["name"] for one in document["captures"]]) == (1, [*PAIR])
    (connection,) = document["connections"]
    assert connection["ways"]["originator"]["lost"] == [4]
    assert [one["near"]["frame"] for one in connection["segments"] if one["fate"] == "lost"] == [4]
    assert connection["clock"]["known_by"] == "all"
    assert abs(document["clocks"]["offset_ns"]) <= document["clocks"]["uncertainty_ns"]


def test_ndjson_has_segments_only_of_one() -> None:
    lines = [json.loads(line) for line in run("join", *MANY, "--format", "ndjson").stdout.splitlines()]
    assert [line["number"] for line in lines] == [*range(30)]
    assert not any("segments" in line for line in lines)
    (line,) = run("join", *MANY, "--format", "ndjson", "-s", "3").stdout.splitlines()
    assert len(json.loads(line)["segments"]) == 2


def test_clocks_are_ahead_or_behind_where_that_cannot_be_nothing() -> None:
    assert clocks_apart(-5_000, 2_000, "B", "A") == "B is 0.005 ms behind A, ± 0.002 ms"
    assert clocks_apart(5_000, 2_000, "B", "A") == "B is 0.005 ms ahead of A, ± 0.002 ms"
    for offset_ns in (-2_000, 0, 2_000):
        said = clocks_apart(offset_ns, 2_000, "B", "A")
        assert said.startswith("They cannot be told apart, and may be one (--same-clock): 0.00")


def test_same_clock_is_said_below() -> None:
    assert "One clock stamped both captures, as you say." in run("join", *PAIR, "--same-clock").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((PAIR[0], "absent.pcap"), "Error: absent.pcap: cannot be opened: No such file or directory"),
        ((PAIR[0], PAIR[0]), "is named twice: give the capture of each end"),
        ((*PAIR, "-s", "1"), "Error: there is no connection 1; the last one is 0"),
        ((PAIR[0], str(PCAPS / "nat.pcap")), f"Error: no connection of {PAIR[0]} was found in {PCAPS / 'nat.pcap'}"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = run("join", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
