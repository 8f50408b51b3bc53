"""`demo --verify`: every TCP scenario agrees with the kernel, and a contradiction is exit code 1."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

# An ordinary user may not be able to read root's Python: what commands import late is here.
import handshake_inspect.cli.captures
import handshake_inspect.cli.demo
import handshake_inspect.cli.drawing
import handshake_inspect.cli.performing
import handshake_inspect.cli.verifying
import handshake_inspect.lab.world  # noqa: F401
from handshake_inspect.cli import cli, performing
from handshake_inspect.lab.kernel.agreement import compare
from handshake_inspect.lab.kernel.differences import DIFFERENCES
from handshake_inspect.lab.session import Session, run_demo
from tests.cli.running import run
from tests.lab.privileges import as_ordinary_user, needs_root, needs_tracepoint


@pytest.fixture(autouse=True)
def world(private_world: None) -> None:
    """All of these need a private network."""


def below_the_ladder(output: str) -> str:
    return output[output.index("The kernel's own account") :]


def test_on_the_loopback_of_the_host() -> None:
    needs_root("capturing on the host's loopback is for root")
    session = run_demo("four-way", place="host", verify=True)
    assert session.server[0].startswith("127.") and session.server[0] != "127.0.0.1"
    assert session.kernel
    assert compare(session.vantages[0].inspected(), session.kernel).complete


def test_without_verify_nobody_watches() -> None:
    session = run_demo("reset")
    assert session.kernel is None
    assert session.server[0] == "127.0.0.1"


def test_both_columns_and_the_verdict() -> None:
    needs_tracepoint()
    done = run("demo", "three-segment", "--verify")
    said = below_the_ladder(done.stdout)
    assert done.returncode == 0
    assert said.splitlines()[-1] == "kernel and capture agree: 9 of 9 changes"
    states = re.findall(r"^[ \d.-]{12}([A-Z\d-]*) +([✓·]) ([A-Z\d-]+)", said, re.M)
    assert states == [
        *((state, "✓", state) for state in ("CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1")),
        ("", "·", "FIN-WAIT-2"),
        ("TIME-WAIT", "✓", "TIME-WAIT"),
        *((state, "✓", state) for state in ("LISTEN", "SYN-RECEIVED", "ESTABLISHED")),
        *((state, "✓", state) for state in ("CLOSE-WAIT", "LAST-ACK", "CLOSED")),
    ]
    assert max(map(len, said.splitlines())) <= 100


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["demo", *arguments])


def test_an_ordinary_user_is_told_that_it_is_sampled_and_why() -> None:
    def verified() -> tuple[int, str]:
        done = invoked("--verify")
        return done.exit_code, done.output

    code, output = as_ordinary_user(verified)
    said = below_the_ladder(output).splitlines()
    assert code == 0
    assert re.fullmatch(
        r"The kernel's own account · \d+ samples, up to [\d.]+ ms apart: "
        r"tracing is for root of the host",
        " ".join(said[:2]).strip(),
    )
    assert re.fullmatch(r"sampled: \d+ of 10 changes seen, none contradicts", said[-1])


def falsified(session: Session) -> Session:
    """The kernel never was in LAST-ACK, it says."""
    kernel = session.kernel
    assert kernel
    changes = tuple(one for one in kernel.changes if one.new != "LAST-ACK")
    return replace(session, kernel=replace(kernel, changes=changes, why_sampled=None))


def test_a_contradiction_is_exit_code_1_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_tracepoint()
    real = run_demo
    monkeypatch.setattr(performing, "run_demo", lambda *given, **more: falsified(real(*given, **more)))
    done = invoked("three-segment", "--verify")
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == (
        "kernel and capture contradict each other: server: only the capture says LAST-ACK"
    )
    assert re.search(r"LAST-ACK +✗ +one of the two is wrong$", done.output, re.M)


def test_an_account_with_holes_is_exit_code_2_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = run_demo

    def lossy(*given: object, **more: object) -> Session:
        session = real(*given, **more)  # type: ignore[arg-type]
        assert session.kernel
        return replace(session, kernel=replace(session.kernel, lost=7))

    monkeypatch.setattr(performing, "run_demo", lossy)
    done = invoked("reset", "--verify")
    assert done.exit_code == 2
    said = "Error: the kernel's account has holes: 7 changes came faster than they were noted; run it again"
    assert said in done.output.splitlines()


def test_over_ipv6_but_not_over_udp() -> None:
    assert invoked("--ipv6", "--verify").exit_code == 0
    done = invoked("udp", "--verify")
    assert done.exit_code == 2
    assert done.output == "Error: udp: there is no state to verify: it has no TCP connection\n"


def test_a_recorded_session_has_no_kernel_to_ask() -> None:
    done = run("demo", "--replay", "--verify")
    assert done.returncode == 2
    assert "--verify asks the kernel, and this session was recorded" in done.stderr


def test_the_table_of_differences_is_printed_whole() -> None:
    done = run("demo", "--differences")
    assert done.returncode == 0
    for one in DIFFERENCES:
        assert f"  {one.kernel} = {one.means}\n      {one.reason}\n" in done.stdout
