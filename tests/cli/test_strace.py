"""`show --strace`: what is drawn, what is said of a log beside the ladder, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import PCAPS, REPOSITORY, run

TRACED = REPOSITORY / "pcaps" / "traced"
ECHO, FORKING = TRACED / "echo-addresses.pcap", TRACED / "forking-addresses.pcap"
LOG = {path: str(path.with_suffix(".log")) for path in (ECHO, FORKING)}


def test_the_calls_of_both_programs_stand_in_the_lanes() -> None:
    done = run("show", str(ECHO), "--strace", LOG[ECHO])
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    told = [
        "listen(5) = 0", "connect(127.0.0.1:8000) ▸", "SYN seq=x", "ACK seq=x+1 ack=y+1", "send(b'BITH')", "PSH,ACK",
        "recv(1024) = b'BITH'", "close()", "FIN,ACK seq=u", "recv(1024) = b''", "FIN,ACK seq=w",
    ]  # fmt: skip
    places = [next(at for at, line in enumerate(lines) if text in line) for text in told]
    assert places == sorted(places)


def test_without_payload_octets_of_calls_are_counted() -> None:
    drawn = run("show", str(ECHO), "--strace", LOG[ECHO], "--payload", "0").stdout
    assert "BITH" not in drawn
    for said in ("send(4 octets) ▸", "send(4 octets) = 4", "recv(1024) = 4 octets", "recv(1024) = b''"):
        assert said in drawn


def test_without_payload_octets_of_calls_are_counted_in_the_json_too() -> None:
    done = run("show", str(ECHO), "--strace", LOG[ECHO], "--payload", "0", "--format", "json")
    assert "BITH" not in done.stdout
    said = [(call["text"], call["result"]) for call in json.loads(done.stdout)["calls"]]
    assert said.count(("send(4 octets)", "4")) == said.count(("recv(1024)", "4 octets")) == 2


def test_the_calls_stand_in_the_json() -> None:
    done = run("show", str(ECHO), "--strace", LOG[ECHO], "--format", "json")
    found = json.loads(done.stdout)
    calls = [call for call in found["calls"] if call["name"] in ("connect", "accept")]
    assert [(call["by"], call["text"]) for call in sorted(calls, key=lambda call: call["by"])] == [
        ("originator", "connect(127.0.0.1:8000)"),
        ("responder", "accept()"),
    ]
    assert all(call["entered_ns"] < call["returned_ns"] for call in calls)
    assert calls[-1]["result"] in ("0", f"127.0.0.1:{found['originator']['port']}")
    assert "calls" not in json.loads(run("show", str(ECHO), "--format", "json").stdout)


def test_calls_of_other_connections_are_not_mentioned() -> None:
    done = run("show", str(FORKING), "-s", "1", "--strace", LOG[FORKING])
    assert (done.returncode, done.stderr, done.stdout.count("accept() =")) == (0, "", 1)


def test_what_a_log_does_not_tell_is_said(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("b'BITH'\n" + (TRACED / "echo-plain.log").read_text() + "7 1795676722.013404 clo\n")
    done = run("show", str(TRACED / "echo-plain.pcap"), "--strace", str(log))
    assert done.returncode == 0
    assert f"{log}: 2 lines could not be read (the first: 1)\n" in done.stderr
    assert f"{log}: it does not tell how long calls took" in done.stderr


def test_a_log_of_another_time_belongs_to_nothing() -> None:
    done = run("show", str(PCAPS / "four-way.pcap"), "--strace", LOG[ECHO])
    assert done.returncode == 0
    assert "connect(" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{LOG[ECHO]}: it is of another time (2026-")
    assert line.endswith("none of its calls can belong to it")


def test_a_log_of_other_programs_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(Path(LOG[ECHO]).read_text().replace("8000", "8001"))
    done = run("show", str(ECHO), "--strace", str(log))
    assert done.stderr == f"{log}: 16 calls on 3 sockets belong to no connection of the capture\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "{log}: this log of strace is empty: record one with strace -f -ttt"),
        ("hello\n", "{log}:1: this line is not of a log of strace: record one with strace -f -ttt"),
        ("\n7 12:00:01.123456 close(3) = 0\n", "{log}:2: no time since 1970 stands on this line: record with strace"),
        (
            "close(3)                = 0\n",
            "{log}:1: no time since 1970 stands on this line: record with",
        ),
        (None, "{log}: cannot be opened: No such file or directory"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(text: str | None, said: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    if text is not None:
        log.write_text(text)
    done = run("show", str(ECHO), "--strace", str(log))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: {said.format(log=log)}")


def test_a_capture_is_no_log() -> None:
    done = run("show", str(ECHO), "--strace", str(ECHO))
    assert done.returncode == 2
    assert "1: this line is not of a log of strace" in done.stderr


def test_a_log_without_calls_on_tcp_sockets_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("7 1795676722.013404 close(3) = 0\n")
    done = run("show", str(ECHO), "--strace", str(log))
    assert done.returncode == 0
    assert "there is no call on a TCP socket in it" in done.stderr
