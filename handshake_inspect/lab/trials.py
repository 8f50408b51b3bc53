"""Scenarios tried, many at once: is each as it promises, and does the kernel agree?

In: names of scenarios. Out: a `Trial` of each, in the order in which they end. Each runs in a child of its own, which
makes its own private network: they do not see each other. Scenarios mostly wait, so more of them than there are
cores may run at once.

The kernel is asked too: does its account of the states agree with what each vantage point shows?
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.kernel.account import KernelAccount
from handshake_inspect.lab.kernel.agreement import ENDS, Agreement, compare
from handshake_inspect.lab.record import JOBS, what_is_wrong
from handshake_inspect.lab.session import Session, run_demo
from handshake_inspect.lab.vantage import Vantage
from handshake_inspect.lab.world import LabError, in_children


@dataclass(frozen=True)
class Trial:
    """One run of a scenario, held against what it promises and what the kernel says."""

    name: str
    #: What is not as promised, and what the kernel contradicts, one line each.
    wrong: tuple[str, ...]
    #: What the kernel says of the capture at the first vantage point; None without TCP, or if it could not run.
    agreement: Agreement | None
    seconds: float


def try_scenario(name: str) -> Trial:
    """Run a scenario and hold it against what it promises; what keeps it from running is wrong too."""
    began = time.monotonic()
    agreement = None
    try:
        session = run_demo(name, verify=True)
        wrong = what_is_wrong(session) + what_kernel_denies(session)
        if session.kernel is not None and session.scenario.outcomes:
            agreement = compare(session.vantages[0].inspected(), session.kernel)
    except (LabError, CaptureError) as error:
        wrong = [str(error)]
    return Trial(name, tuple(wrong), agreement, time.monotonic() - began)


def what_kernel_denies(session: Session) -> list[str]:
    """Return what the kernel contradicts of what a vantage point shows, one line each."""
    kernel = session.kernel
    assert kernel is not None, "the kernel was not asked"
    return [line for vantage in session.vantages for line in denied(vantage, kernel, vantage.name)]


def denied(vantage: Vantage, kernel: KernelAccount, where: str) -> list[str]:
    """Return the states that only one of the two accounts has, one line each."""
    agreement = compare(vantage.inspected(), kernel)
    found = []
    for one in agreement.connections:
        for end in ENDS:
            for row in one.ends[end].contradictions:
                side, state = ("capture", row.own) if row.own else ("kernel", row.kernel)
                assert state is not None
                found.append(f"{where}: stream {one.stream}, {end}: only the {side} says {state.state}")
    return found


def trials(names: Sequence[str], jobs: int = JOBS) -> Iterator[Trial]:
    """Try scenarios, at most `jobs` at once."""
    return in_children([partial(try_scenario, name) for name in names], jobs)
