"""A trial says what is wrong with a scenario, and whether it was the machine that was."""

from __future__ import annotations

from dataclasses import replace

import pytest

import handshake_inspect.lab.trials as trials_module
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.session import Session, run_demo
from handshake_inspect.lab.trials import Trial, try_scenario
from handshake_inspect.lab.world import KernelLacksError, LabError, WorldError
from tests.lab.privileges import needs_private_world


@pytest.fixture(scope="module")
def session() -> Session:
    needs_private_world()
    return run_demo("refused", verify=True)


def tried(session: Session, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setattr(trials_module, "run_demo", lambda name, verify: session)
    return try_scenario("refused")


def test_a_run_as_promised(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = tried(session, monkeypatch)
    assert (trial.wrong, trial.is_void) == ((), False)
    assert list(trial.agreements) == ["loopback"]


def test_an_account_with_holes_says_nothing_of_the_scenario(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    assert session.kernel
    trial = tried(replace(session, kernel=replace(session.kernel, lost=2)), monkeypatch)
    assert trial.is_void
    assert "the kernel's account has holes: 2 changes" in trial.wrong[0]


def test_nor_do_dropped_frames(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = tuple(replace(vantage, dropped=3) for vantage in session.vantages)
    assert session.kernel
    trial = tried(replace(session, vantages=busy, kernel=replace(session.kernel, longest_gap_ns=0)), monkeypatch)
    assert (trial.wrong, trial.is_void) == (("3 frames were dropped",), True)


def test_nor_does_what_a_busy_machine_kept_waiting(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    assert session.kernel
    late = replace(session, kernel=replace(session.kernel, longest_gap_ns=63_000_000))
    trial = tried(late, monkeypatch)
    assert (trial.wrong, trial.is_void) == ((), False), "it is as promised all the same"
    monkeypatch.setattr(trials_module, "what_is_wrong", lambda _: ["it closed by FIN"])
    trial = tried(late, monkeypatch)
    assert trial.wrong == (
        "it closed by FIN", "the machine is busy: who looks every 10 ms could not for 63.000 ms"
    )  # fmt: skip
    assert trial.is_void
    trial = tried(replace(session, kernel=replace(session.kernel, longest_gap_ns=12_000_000)), monkeypatch)
    assert (trial.wrong, trial.is_void) == (("it closed by FIN",), False)


def test_a_kernel_that_says_otherwise_is_heard(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = session.kernel
    assert kernel
    changes = tuple(replace(one, new="ESTABLISHED") if one.old == "SYN-SENT" else one for one in kernel.changes)
    trial = tried(replace(session, kernel=replace(kernel, changes=changes, longest_gap_ns=0)), monkeypatch)
    assert not trial.is_void
    assert bool(trial.wrong) or not kernel.traced


@pytest.mark.parametrize(
    "missing",
    [
        WorldError("no user namespaces are allowed here"),
        KernelLacksError("this kernel has no Multipath TCP"),
        CaptureError("capturing on lo needs CAP_NET_RAW"),
    ],
)
def test_what_the_system_does_not_allow_is_not_wrong(missing: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(name: str, verify: bool) -> Session:
        raise missing

    monkeypatch.setattr(trials_module, "run_demo", forbidden)
    trial = try_scenario("refused")
    assert (trial.wrong, trial.hindrance) == ((), str(missing))


def test_what_a_scenario_could_not_do_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(name: str, verify: bool) -> Session:
        raise LabError("the script waited in vain until the queue is full")

    monkeypatch.setattr(trials_module, "run_demo", failing)
    trial = try_scenario("refused")
    assert (trial.wrong, trial.hindrance) == (("the script waited in vain until the queue is full",), None)
