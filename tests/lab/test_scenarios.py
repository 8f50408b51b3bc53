"""Every scenario once, live: as it promises, and as the kernel says. Many run at once, as one test."""

from __future__ import annotations

from handshake_inspect.lab.kernel.differences import DIFFERENCES
from handshake_inspect.lab.record import ATTEMPTS
from handshake_inspect.lab.scenarios import SCENARIOS
from handshake_inspect.lab.trials import Trial, trials
from tests.lab.kernel.test_real_kernel import RUNS
from tests.lab.privileges import as_ordinary_user, needs_private_world, why_no_tracepoint

#: Scenarios that need lines of `differences` which no run of `test_real_kernel` does.
TRANSLATED = {
    "accept-queue-overflow-reset": "request-reset",
    "desynchronized": "repair",
    "fin-unacknowledged": "no-fin",
    "keep-alive-dead": "not-taken",
    "old-duplicate-syn-passive": "old-copy",
    "syn-cookie-vanished": "request-unseen",
    "time-wait-not-reused": "no-syn",
}

#: Of each chapter one or two, that take little time.
AS_ANYBODY = [
    "three-segment",
    "reset",
    "path-mtu",
    "simultaneous-open",
    "mptcp-declined",
    "mss-clamped",
    "lost-fin",
    "swapped-data",
    "simultaneous-close",
    "reset-half-closed",
    "half-open-data",
    "syn-cookie",
    "fast-open-accepted",
    "syn-without-mss",
    "syn-inside",
    "zero-window",
    "time-wait-killed",
    "large-transfer",
]


def tried_in_earnest(names: list[str]) -> dict[str, Trial]:
    """Try scenarios; again those of which a run said only that the machine was too busy, as `lab record` does."""
    found = {trial.name: trial for trial in trials(names)}
    for _ in range(ATTEMPTS - 1):
        again = [name for name, trial in found.items() if trial.is_void]
        found |= {trial.name: trial for trial in trials(again)}
    return found


def notes(trial: Trial) -> set[str | None]:
    return {row.note for one in trial.agreements.values() for end in one.ends for row in end.rows}


def unseen_in(tried: dict[str, Trial]) -> dict[str, str]:
    """Return the lines of TRANSLATED that no run needs: a busy machine's samples may miss what another run shows."""
    unseen = {name: code for name, code in TRANSLATED.items() if code not in notes(tried[name])}
    for _ in range(2):
        again = tried_in_earnest(list(unseen))
        assert {name: trial.wrong for name, trial in again.items() if trial.wrong} == {}
        unseen = {name: code for name, code in unseen.items() if code not in notes(again[name])}
    return unseen


def test_every_scenario_is_as_it_promises_and_the_kernel_agrees() -> None:
    needs_private_world()
    tried = tried_in_earnest(list(SCENARIOS))
    assert {name: trial.wrong for name, trial in tried.items() if trial.wrong} == {}
    for name, scenario in SCENARIOS.items():
        assert bool(tried[name].agreements) == bool(scenario.outcomes), name
    if not why_no_tracepoint():
        seen = [next(iter(one.agreements.values())) for one in tried.values() if one.agreements]
        assert all(one.count("agrees") or not one.changes for one in seen)
        assert unseen_in(tried) == {}


def test_every_difference_is_needed_by_a_scenario_or_a_run_of_the_tests() -> None:
    shown = {code for _, _, *ends in RUNS.values() for codes in ends for code in codes}
    assert shown | set(TRANSLATED.values()) == {one.code for one in DIFFERENCES}


def test_an_ordinary_user_sees_the_same_in_samples() -> None:
    needs_private_world()
    tried = as_ordinary_user(lambda: tried_in_earnest(AS_ANYBODY))
    assert {name: trial.wrong for name, trial in tried.items()} == dict.fromkeys(AS_ANYBODY, ())
    assert all(agreement.why_sampled for trial in tried.values() for agreement in trial.agreements.values())
