"""`lab run` and `lab soak`, with real sockets; `lab list` and `lab record` are in tests/lab/test_record.py."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from click.testing import CliRunner

from handshake_inspect import inspect
from handshake_inspect.cli import cli, performing
from handshake_inspect.lab.record import ATTEMPTS
from handshake_inspect.lab.scenarios import SCENARIOS
from handshake_inspect.lab.trials import Trial
from tests.cli.running import REPOSITORY, run
from tests.lab.privileges import needs_private_world, needs_root


@pytest.fixture
def private_world() -> None:
    needs_private_world()


def test_the_help_says_how_a_rule_chooses_large_packets() -> None:
    shown = CliRunner().invoke(cli, ["lab", "run", "--help"]).output
    assert "\n            'over N octets' may stand behind it: only those whose IP packet is larger.\n" in shown


@pytest.mark.usefixtures("private_world")
def test_run_says_what_to_look_for_and_draws_the_ladder(tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcap"
    done = run("lab", "run", "refused", "-w", str(kept))
    assert done.returncode == 0
    assert done.stdout.startswith("refused: Nobody listens at the port: an RST answers the SYN.\nLook for: The RST ")
    assert "refused on loopback · client 127.0.0.1:" in done.stdout
    assert "connect(127.0.0.1:" in done.stdout
    assert done.stderr == f"{kept}: 2 frames saved\n"
    assert [one.handshake.kind for one in inspect(kept).connections] == ["refused"]


@pytest.mark.usefixtures("private_world")
@pytest.mark.parametrize(("at", "syns"), [("client", 2), ("server", 1)])
def test_a_rule_puts_two_programs_on_a_wire(at: str, syns: int) -> None:
    done = run("lab", "run", "three-segment", "--rule", "drop first SYN from client", "--at", at)
    assert done.returncode == 0
    assert f"three-segment seen at the {at}'s end" in done.stdout
    assert done.stdout.count("─ SYN seq=x") == syns
    assert "\nRule: drop first SYN from client\n\n" in done.stdout
    assert done.stderr == ""


@pytest.mark.usefixtures("private_world")
def test_a_rule_that_took_nothing_is_named() -> None:
    done = run(
        "lab",
        "run",
        "three-segment",
        "--rule",
        "drop first  RST from client",
        "--rule",
        "duplicate first SYN from client",
    )
    assert done.returncode == 0
    assert done.stderr == "drop first RST from client: this rule took no segment\n"


@pytest.mark.usefixtures("private_world")
def test_connections_that_went_alike_are_drawn_once() -> None:
    done = run("lab", "run", "syn-flood")
    assert done.returncode == 0
    assert done.stdout.count("syn-flood seen at the client's end") == 2
    assert "8 connections more like it: stream 1-8\n\nsyn-flood seen at the client's end" in done.stdout
    assert " · stream 0 · client0 of a private network" in " ".join(done.stdout.split("\n"))
    assert "sock_diag: SYN-RECEIVED = 9" in done.stdout


TOO_BUSY = re.compile(r"the kernel's account has holes|frames? (was|were) dropped|the machine is busy")


def soaked() -> CompletedProcess[str]:
    return run("lab", "soak", "refused", "reset", "--times", "3", "-j", "4")


@pytest.mark.usefixtures("private_world")
def test_soak_says_of_each_run_whether_it_was_as_promised() -> None:
    done = soaked()
    for _ in range(ATTEMPTS - 1):
        if TOO_BUSY.search(done.stdout):  # says more of the machine than of a scenario (`Trial.is_void`)
            done = soaked()
    assert done.returncode == 0, done.stdout
    assert sorted(line.split("  ")[0] for line in done.stdout.splitlines()) == ["refused"] * 3 + ["reset"] * 3
    assert all(
        re.search(r" s  as promised; (kernel and capture agree|sampled): \d", line) for line in done.stdout.splitlines()
    )
    assert done.stderr == "6 runs, none not as promised\n"


@pytest.mark.usefixtures("private_world")
def test_soak_finds_what_is_not_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = SCENARIOS["refused"]
    assert scenario.outcomes
    lying = replace(scenario, outcomes=((replace(scenario.outcomes[0][0], handshake="three-way"),),), closing=("FIN",))
    monkeypatch.setitem(SCENARIOS, "refused", lying)
    done = CliRunner().invoke(cli, ["lab", "soak", "refused"])
    assert done.exit_code == 1
    assert "it closed by RST,ACK" in done.stdout
    assert "loopback: stream 0: handshake.kind is refused, three-way expected" in done.stdout
    assert "agree" not in done.stdout
    assert done.stderr == "1 run, 1 not as promised\n"


def test_soak_tells_no_more_than_a_few_things_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tuple(f"client: stream {number}, originator: only the kernel says CLOSED" for number in range(40))
    trial = Trial("refused", wrong, {}, 0.5)
    monkeypatch.setattr(performing, "trials", lambda names, jobs: [trial for _ in names])
    done = CliRunner().invoke(cli, ["lab", "soak", "refused"])
    assert done.exit_code == 1
    assert done.stdout == f"refused    0.5 s  {'; '.join(wrong[:3])}; and 37 more\n"


@pytest.mark.parametrize(("wrong", "exit_code", "count"), [((), 2, "none"), (("it closed by FIN",), 1, "1")])
def test_soak_counts_apart_what_the_system_does_not_allow(
    monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, ...], exit_code: int, count: str
) -> None:
    hindered = Trial("reset", (), {}, 0.1, hindrance="no user namespaces are allowed here")
    monkeypatch.setattr(performing, "trials", lambda names, jobs: [Trial("refused", wrong, {}, 0.5), hindered])
    done = CliRunner().invoke(cli, ["lab", "soak", "refused", "reset"])
    assert done.exit_code == exit_code
    assert done.stdout.splitlines()[1] == "reset      0.1 s  not tried: no user namespaces are allowed here"
    assert done.stderr == f"2 runs, {count} not as promised, 1 could not be tried\n"


def test_soak_without_any_right_says_what_is_missing() -> None:
    """Also where a scenario captures with a plain packet socket."""
    needs_root("dropping the rights of root needs root")
    command = [sys.executable, "-m", "handshake_inspect", "lab", "soak", "four-way", "loopback-twice"]
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", *command], capture_output=True, text=True, timeout=60, cwd=REPOSITORY
    )
    assert done.stdout.count("on this host's own loopback: capturing on lo needs CAP_NET_RAW") == 2
    assert (done.returncode, done.stderr) == (2, "2 runs, none not as promised, 2 could not be tried\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "simultaneous-clos"], "simultaneous-clos: no such scenario; `lab list` shows them. Did you mean "),
        (["run", "FOUR_WAY"], "FOUR_WAY: no such scenario; `lab list` shows them. Did you mean four-way?"),
        (["run", "unx"], "unx: no such scenario; `lab list` shows them. Did you mean unix?"),
        (["frob"], "there is no command 'frob'. Commands are list, record, run, soak. See handshake-inspect lab"),
        (["soak", "refused", "no-such"], "no-such: no such scenario; `lab list` shows them."),
        (["run", "four-way", "--rule", "lose a SYN"], "'lose a SYN' is no rule of a wire, such as 'drop first"),
        (
            ["run", "four-way", "--rule", ""],
            "'' is no rule of a wire, such as 'drop first SYN from client': drop, delay, duplicate, swap, set, clamp, "
            "strip or shift is missing",
        ),
        (["run", "four-way", "--rule", "hold first FIN from client"], "'hold first FIN from client' is for a script"),
        (["run", "ipv6", "--rule", "drop first SYN from client"], "ipv6: the wire between two hosts has IPv4 only"),
        (["run", "unreachable", "--host"], "unreachable: the network with a router must be a private one"),
        (["run", "udp", "--rule", "drop first SYN from client"], "udp: rules are about TCP segments, and it has none"),
        (["run", "unix", "--verify"], "unix: there is no state to verify: it has no TCP connection"),
        (["run", "four-way", "--at", "client"], "four-way is on loopback, which is one place: leave out --at, or"),
        (["run", "unreachable", "--at", "server"], "unreachable is captured at the client's end of the router only"),
        (["run"], "Missing argument 'NAME'"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], says: str) -> None:
    done = run("lab", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {says}")
    assert done.stderr.count("\n") == 1
