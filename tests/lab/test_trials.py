"""A trial says what is wrong with a scenario, and whether it was the machine that was."""

from __future__ import annotations

from dataclasses import replace

import pytest

import handshake_inspect.lab.trials as trials_module
from handshake_inspect.lab.session import Session, run_demo
from handshake_inspect.lab.trials import Trial, try_scenario
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
    trial = tried(replace(session, vantages=busy), monkeypatch)
    assert (trial.wrong, trial.is_void) == (("3 frames were dropped",), True)


def test_a_kernel_that_says_otherwise_is_heard(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = session.kernel
    assert kernel
    changes = tuple(replace(one, new="ESTABLISHED") if one.old == "SYN-SENT" else one for one in kernel.changes)
    trial = tried(replace(session, kernel=replace(kernel, changes=changes)), monkeypatch)
    assert not trial.is_void
    assert bool(trial.wrong) or not kernel.traced
