"""Recorded sessions: what is shipped is what real sockets did, and `demo --replay` shows it on any system."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from handshake_inspect.cli import cli
from handshake_inspect.lab import replay as module
from handshake_inspect.lab.record import closing_of, what_is_wrong
from handshake_inspect.lab.replay import replay, replay_names
from handshake_inspect.lab.scenarios import SCENARIOS
from handshake_inspect.lab.segments import ports_of
from handshake_inspect.lab.world import LabError, WorldError
from tests.cli.running import run
from tests.cli.test_elsewhere import run_as
from tests.lab.privileges import needs_private_world

FOLDER = Path(module.__file__).parent / "recorded"
#: Scenarios that must be there; others may be.
PROMISED = {"four-way", "three-segment", "server-first", "half-close", "refused", "reset"}
#: The call of the client that makes the first frame, where it is not connect().
FIRST_CALL = {"udp": "sendto", "udp-unreachable": "send"}


def test_what_is_promised_is_recorded_in_two_files_each() -> None:
    assert set(replay_names()) >= PROMISED
    assert {path.name for path in FOLDER.iterdir()} == {
        f"{name}.{kind}" for name in replay_names() for kind in ("pcap", "json")
    }


@pytest.mark.parametrize("name", replay_names())
def test_a_recording_is_what_its_scenario_says(name: str) -> None:
    found = replay(name)
    assert SCENARIOS[name].outcomes or SCENARIOS[name].exchange
    assert what_is_wrong(found.session) == []


@pytest.mark.parametrize("name", replay_names())
def test_a_recording_says_where_it_comes_from(name: str) -> None:
    found = replay(name)
    assert found.recorded_by == f"handshake-inspect lab record --calls {name} -o handshake_inspect/lab/recorded"
    assert re.fullmatch(r"Linux \d+\.\d+\.\d+", found.kernel)
    assert json.loads((FOLDER / f"{name}.json").read_text())["shows"] == SCENARIOS[name].shows


@pytest.mark.parametrize("name", replay_names())
def test_calls_and_frames_are_on_one_clock(name: str) -> None:
    session = replay(name).session
    assert all(session.server[1] in ports_of(frame.octets) for frame in session.frames)
    times = [frame.time_ns for frame in session.frames]
    assert times == sorted(times)
    assert [call.entered_ns for call in session.calls] == sorted(call.entered_ns for call in session.calls)
    assert all(call.entered_ns <= call.returned_ns for call in session.calls)
    (first,) = [call for call in session.calls if (call.end, call.name) == ("client", FIRST_CALL.get(name, "connect"))]
    assert first.entered_ns < times[0] < first.returned_ns
    assert {call.end for call in session.calls} == {"client", "server"}


@pytest.mark.parametrize("name", ["four-way", "udp"])
def test_demo_shows_no_octets_if_none_are_wanted(name: str) -> None:
    drawn = run("demo", name, "--replay", "--payload", "0").stdout
    assert "4 octets" in drawn
    assert "bith" not in drawn.lower()


@pytest.mark.parametrize("name", replay_names())
def test_demo_shows_a_recording_with_its_calls(name: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcap"
    done = run("demo", name, "--replay", "-w", str(kept))
    assert done.returncode == 0
    assert re.search(r"^(echo on \S+|\S+ seen at the client's end) · client ", done.stdout)
    assert re.search(r"(^|· )(lo|client\d) of a private network, recorded · ", done.stdout, re.MULTILINE)
    assert f"{FIRST_CALL.get(name, 'connect')}(" in done.stdout
    first, second = done.stderr.splitlines()
    assert re.fullmatch(r"this session was recorded with Linux \S+ at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", first)
    assert second == f"{kept}: {len(replay(name).session.frames)} frames saved"
    assert kept.read_bytes() == (FOLDER / f"{name}.pcap").read_bytes()


@pytest.mark.parametrize("system", ["win32", "darwin"])
@pytest.mark.parametrize("arguments", [[], ["half-close", "--numbers", "absolute"]])
def test_demo_replays_where_nothing_can_be_captured(system: str, arguments: list[str]) -> None:
    there, here = run_as(system, "demo", *arguments), run("demo", *arguments, "--replay")
    assert there.returncode == 0
    assert there.stdout.decode() == here.stdout
    assert there.stderr.decode() == f"a real session needs Linux, and this is {system}: {here.stderr}"
    assert run_as(system, "demo", *arguments, "--replay").stderr.decode() == here.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["path-mtu"], "path-mtu: there is no recorded session of it; recorded are: four-way, three-segment, "),
        (["path-mtu", "--step"], "/pcaps/path-mtu.pcap"),  # of which `show --step` makes the lesson
        (["nonsense"], "nonsense: no such scenario; `lab list` shows them."),
        (
            ["--message", "x"],
            "--message cannot change a session that was recorded; choose a SCENARIO instead: four-way, ",
        ),
        (["--ipv6", "--close-first", "server"], "--ipv6 and --close-first cannot change"),
    ],
)
def test_what_is_not_recorded_is_one_line(arguments: list[str], says: str) -> None:
    done = run("demo", "--replay", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert run_as("darwin", "demo", *arguments).returncode == 2


def test_where_linux_forbids_a_session_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise WorldError("no user namespaces are allowed here")

    monkeypatch.setattr("handshake_inspect.cli.performing.run_demo", forbidden)
    done = CliRunner().invoke(cli, ["demo"])
    assert done.exit_code == 2
    assert done.stderr == "Error: no user namespaces are allowed here; or see a recorded session: demo --replay\n"


def test_recording_writes_what_replay_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_private_world()
    done = CliRunner().invoke(cli, ["lab", "record", "--calls", "refused", "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"refused.pcap", "refused.json"}
    monkeypatch.setattr(module, "RECORDED", tmp_path)
    assert replay_names() == ["refused"]
    found = replay("refused").session
    assert closing_of(found) == ("RST,ACK",)
    assert [call.name for call in found.calls if call.end == "client"] == ["connect", "close"]
    with pytest.raises(LabError, match="recorded are: refused"):
        replay("four-way")
