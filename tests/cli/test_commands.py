"""What each command prints, on the recorded captures."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from handshake_inspect.capture.frames import fetch
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.lab.scenarios.echoes import CHAPTER
from tests.cli.running import PCAPS, run
from tests.lab.privileges import needs_private_world

ECHO, RESET = str(PCAPS / "four-way.pcap"), str(PCAPS / "reset.pcap")
#: Both programs of the echo in all their plans: each capture at one place only.
ALL = sorted(str(PCAPS / f"{scenario.name}.pcap") for scenario in CHAPTER.scenarios)


def test_read_prints_a_line_per_connection() -> None:
    done = run("read", *ALL)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["stream", "capture"]
    assert len(lines) == 11
    assert "UDP: 3 datagrams; --udp lists who asked and who answered" in done.stderr


def test_formats_agree() -> None:
    document = json.loads(run("read", *ALL, "--format", "json").stdout)
    lines = [json.loads(line) for line in run("read", *ALL, "--format", "ndjson").stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(run("read", *ALL, "--format", "csv").stdout)))
    assert document["connections"] == lines
    assert [row["teardown"] for row in rows] == [found["teardown"]["kind"] for found in lines]
    assert len(document["exchanges"]) == 2
    markdown = run("read", *ALL, "--format", "markdown").stdout.splitlines()
    assert len(markdown) == 2 + len(lines)


def streams(*options: str) -> list[int]:
    out = run("read", *ALL, "--format", "ndjson", *options).stdout
    return [json.loads(line)["stream"] for line in out.splitlines()]


def test_choosing_sorting_and_limiting() -> None:
    every = streams()
    assert streams("--where", 'handshake.kind == "refused"') == [4]
    assert streams("--where", "octets.responder > 4") == [3, 8]
    assert streams("--host", "::1") == [7]
    assert streams("--host", "127.0.0.0/8") == [stream for stream in every if stream not in (7, 8, 9)]
    assert len(streams("--port", "45243")) == 1
    assert streams("--sort", "-octets.responder", "--limit", "1") == [8]
    assert streams("--where", "icmp_errors") == [8, 9]
    assert streams("--where", '"soft" in icmp_errors.kind') == [9]
    assert streams("--sort", "stream") == every
    assert streams("--sort", "-stream") == every[::-1]
    assert streams("--sort", "handshake.initial_rtt_ns")[-3:] == [4, 6, 9], "null comes last"


def test_in_whatever_order_captures_are_named_the_run_is_one() -> None:
    assert run("read", *ALL[::-1], "--format", "csv").stdout == run("read", *ALL, "--format", "csv").stdout


def test_limit_says_what_it_left_out() -> None:
    done = run("read", *ALL, "--limit", "2")
    assert len(done.stdout.splitlines()) == 3
    assert "--limit 2: 8 more not shown" in done.stderr


def test_steps_are_those_of_show() -> None:
    found = json.loads(run("read", ECHO, "--format", "ndjson", "--steps").stdout)
    shown = json.loads(run("show", ECHO, "--format", "json").stdout)
    assert found == shown
    assert len(found["steps"]) == sum(found["segments"].values())
    assert found["steps"][0]["states"]["originator"]["state"] == "SYN-SENT"


def test_udp_is_listed_when_asked_for() -> None:
    done = run("read", str(PCAPS / "udp-unreachable.pcap"), "--udp")
    assert "port unreachable" in done.stdout
    assert "UDP:" not in done.stderr


def test_a_table_without_rows_has_no_heading() -> None:
    done = run("read", str(PCAPS / "udp.pcap"), str(PCAPS / "udp-unreachable.pcap"), "--udp", COLUMNS="100")
    assert done.stdout.startswith("udp ")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""
    both = run("read", *ALL, "--udp").stdout
    assert both.startswith("stream ")
    assert "\n\nudp " in both


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([ECHO, RESET, "--port", "1"], "none of 2 connections was chosen\n"),
        ([ECHO, str(PCAPS / "udp.pcap"), "--udp", "--port", "1"], "none of 1 connection and 1 exchange was chosen\n"),
        ([ECHO, "--limit", "0"], "--limit 0: 1 more not shown\n"),
        ([str(PCAPS / "udp-unreachable.pcap")], "UDP: 1 datagram; --udp lists who asked and who answered\n"),
    ],
)
def test_an_empty_result_says_why(arguments: list[str], says: str) -> None:
    done = run("read", *arguments)
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.endswith(says)


def test_show_draws_the_ladder_with_payload() -> None:
    done = run("show", ECHO)
    assert done.returncode == 0
    for word in ("SYN,ACK seq=y ack=x+1", "TIME-WAIT", '"bith"', '"BITH"', "u = x + 1 + 4 octets sent", "three-way"):
        assert word in done.stdout
    assert "bith" not in run("show", ECHO, "--payload", "0").stdout
    assert '"bi"…' in run("show", ECHO, "--payload", "2").stdout


def test_show_lists_several_connections_and_gives_2(tmp_path: Path) -> None:
    both = tmp_path / "both.pcap"
    both.write_bytes(Path(ECHO).read_bytes() + Path(RESET).read_bytes()[24:])
    done = run("show", str(both))
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 3
    assert "2 connections; choose one with --stream 0 to 1" in done.stderr
    one = run("show", str(both), "-s", "1")
    assert one.returncode == 0
    assert "aborted" in one.stdout


@pytest.mark.parametrize("several", [["-s", "0-1"], ["-s", "0,1"], ["-s", "0", "-s", "1"]])
def test_show_draws_one_and_says_what_lists_several(several: list[str]) -> None:
    done = run("show", RESET, *several)
    assert done.returncode == 2
    assert "show draws one, read --stream lists several" in done.stderr


def test_show_saves_just_this_connection(tmp_path: Path) -> None:
    both, one = tmp_path / "both.pcap", tmp_path / "one.pcap"
    both.write_bytes(Path(ECHO).read_bytes() + Path(RESET).read_bytes()[24:])
    assert run("show", str(both), "-s", "1", "-w", str(one)).returncode == 0
    assert one.read_bytes()[24:] == Path(RESET).read_bytes()[24:]


def half(path: Path, frames: Iterable[RawFrame]) -> str:
    write_pcap(path, frames, 1)
    return str(path)


@pytest.mark.parametrize(("name", "magic"), [("one.pcapng", "0a0d0d0a"), ("one.pcap", "4d3cb2a1")])
def test_one_connection_is_saved_in_the_format_that_its_name_says(name: str, magic: str, tmp_path: Path) -> None:
    """`show -w one.pcapng` wrote a pcap file of that name."""
    target = tmp_path / name
    assert run("show", ECHO, "-w", str(target)).returncode == 0
    assert target.read_bytes()[:4].hex() == magic
    assert run("show", str(target)).stdout.splitlines()[3:] == run("show", ECHO).stdout.splitlines()[3:]


def test_show_draws_a_connection_that_stands_in_two_captures(tmp_path: Path) -> None:
    """One file for each direction, named in the wrong order: payload and frames come from both."""
    found = fetch(ECHO, range(1, 100))
    frames = [found[number] for number in sorted(found)]
    client_port = frames[0].octets[34:36]
    files = [
        half(tmp_path / f"{name}.pcap", [one for one in frames if (one.octets[34:36] == client_port) == is_client])
        for name, is_client in (("server", False), ("client", True))
    ]
    both, plain = tmp_path / "both.pcap", tmp_path / "plain.pcap"
    done = run("show", *files, "-w", str(both))
    assert done.returncode == 0
    ladder = re.compile(r" +ms  client.*?TIME-WAIT  ", re.DOTALL)
    assert ladder.findall(done.stdout) == ladder.findall(run("show", ECHO, "-w", str(plain)).stdout) != []
    assert '"bith"' in done.stdout
    assert '"BITH"' in done.stdout
    assert both.read_bytes() == plain.read_bytes()
    connection = json.loads(run("show", *files, "--format", "json").stdout)
    assert [step["frame"] for step in connection["steps"][:3]] == [1, [files[0], 1], 2]
    assert run("show", *files, "-w", files[1]).returncode == 2
    assert Path(files[1]).read_bytes() != both.read_bytes()
    failed = run("check", *files, "--together", "--teardown", "aborted")
    assert '"BITH"' in failed.stdout


@pytest.mark.parametrize("format_", ["json", "golden"])
@pytest.mark.parametrize("option", [["--numbers", "absolute"], ["--time", "utc"]], ids=lambda option: option[0])
def test_show_refuses_options_of_the_ladder_where_there_is_none(format_: str, option: list[str]) -> None:
    done = run("show", ECHO, "--format", format_, *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {option[0]} does not go with --format {format_}: it ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("reader", ["auto", "scapy"])
@pytest.mark.parametrize("command", ["show", "read"])
def test_a_named_pipe_is_read_once(command: str, reader: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", RESET, pipe]) as writer:
        try:
            done = run(command, str(pipe), "--reader", reader)
        finally:
            writer.kill()
    assert done.returncode == 0
    assert "127.0.0.1:48172" in done.stdout


def test_show_dissects_one_frame() -> None:
    done = run("show", ECHO, "--dissect", "2")
    assert done.returncode == 0
    assert "###[ TCP ]###" in done.stdout
    assert "flags     = SA" in done.stdout


def test_show_says_how_many_frames_there_are() -> None:
    assert run("show", ECHO, "--dissect", "99").stderr == f"Error: {ECHO}: there is no frame 99: it has 11 frames\n"
    from_pipe = run("show", "-", "--dissect", "99", stdin=Path(ECHO).read_bytes())
    assert from_pipe.stderr == "Error: -: there is no frame 99: it has 11 frames\n"


def test_show_says_which_command_lists_udp() -> None:
    assert "UDP: 2 datagrams; read --udp lists who asked" in run("show", str(PCAPS / "udp.pcap")).stderr


def test_check_passes_and_fails() -> None:
    assert run("check", ECHO, "--handshake", "three-way", "--teardown", "four-way,three-segment").returncode == 0
    done = run("check", ECHO, RESET, "--teardown", "four-way")
    assert done.returncode == 1
    assert (
        f"FAILED {RESET} stream 0 (127.0.0.1:48172 → 127.0.0.1:47991): teardown: expected four-way, seen aborted"
        " (frame 8, RST,ACK of the client) [--teardown]\n"
    ) in done.stdout
    assert "1 of 2 connections failed in 2 captures" in done.stdout
    assert "stream 1 (" in run("check", ECHO, RESET, "--together", "--teardown", "four-way").stdout
    assert "1 of 1 connections failed" in run("check", RESET, "--teardown", "four-way").stdout


def test_check_of_nothing_fails() -> None:
    done = run("check", ECHO, "--teardown", "four-way", "--port", "1")
    assert done.returncode == 1
    assert done.stdout.startswith(f"FAILED {ECHO}: connections with --port 1: expected at least 1, seen 0 [--teardown]")


def test_check_does_not_miss_tcp_in_a_capture_of_udp() -> None:
    udp = str(PCAPS / "udp.pcap")
    assert run("check", ECHO, udp, "--together", "--teardown", "four-way").stderr == ""
    alone = run("check", udp, "--teardown", "four-way")
    assert alone.returncode == 1
    assert "connections: expected at least 1, seen 0" in alone.stdout


def test_check_of_an_unusable_file_gives_2() -> None:
    assert run("check", "no-such-file", ECHO, "--teardown", "four-way").returncode == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["connect(", " = b'BITH'", "0 dropped", "The client owes it"]),
        (["--close-first", "server"], ["The server owes it", "SO_REUSEADDR"]),
        (["--half-close", "--message", "hello"], ["shutdown(SHUT_WR)", '"HELLO"']),
        (["--ipv6"], ["[::1]:"]),
        (["refused"], [" = ECONNREFUSED", "refused (not complete)"]),
    ],
)
def test_demo_draws_a_real_session(options: list[str], words: list[str], tmp_path: Path) -> None:
    needs_private_world()
    kept = tmp_path / "kept.pcap"
    done = run("demo", *options, "-w", str(kept))
    assert done.returncode == 0, done.stderr
    for word in words:
        assert word in done.stdout, done.stdout
    assert run("show", str(kept)).returncode == 0
