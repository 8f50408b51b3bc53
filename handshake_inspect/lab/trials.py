"""Scenarios tried, many at once: is each as it promises, and does the kernel agree?

In: names of scenarios. Out: a `Trial` of each, in the order in which they end. Each runs in a child of its own, which
makes its own private network: they do not see each other. Scenarios mostly wait, so more of them than there are
cores may run at once.

The kernel is asked too: does its account of the states agree with what each vantage point shows, and does what one of
them shows of one direction alone claim no state in which the kernel never was? (Not of forged segments: they lie.)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.connection import ENDS, End
from handshake_inspect.lab.kernel.account import KernelAccount
from handshake_inspect.lab.kernel.agreement import Agreement, compare
from handshake_inspect.lab.record import JOBS, what_is_wrong
from handshake_inspect.lab.segments import segment_of
from handshake_inspect.lab.session import run_demo
from handshake_inspect.lab.vantage import Vantage
from handshake_inspect.lab.world import KernelLacksError, LabError, WorldError, in_children
from handshake_inspect.quantities import duration

#: If the watcher, which looks every 10 ms, did not run for so long, the programs may not have either: the kernel
#: waits 40 ms for a program that is to answer, then it acknowledges by itself (TCP_DELACK_MIN).
STALL_NS = 25_000_000


@dataclass(frozen=True)
class Trial:
    """One run of a scenario, held against what it promises and what the kernel says."""

    name: str
    #: What is not as promised, and what the kernel contradicts, one line each.
    wrong: tuple[str, ...]
    #: What the kernel says of the capture at each vantage point; none without TCP, or if it could not run.
    agreements: dict[str, Agreement]
    seconds: float
    #: It says more of the machine than of the scenario: frames were dropped, the kernel's account has holes, or it is
    #: wrong and the watcher did not run for long.
    is_void: bool = False
    #: What kept it from being tried at all: what is missing here, such as a privilege.
    hindrance: str | None = None


def try_scenario(name: str) -> Trial:
    """Run a scenario and hold it against what it promises; what it could not do is wrong too.

    It is not tried where no private network is possible and none can be done without, where nothing can be captured, or
    the kernel lacks what it is about.
    """
    began = time.monotonic()
    agreements: dict[str, Agreement] = {}
    is_void = False
    try:
        session = run_demo(name, verify=True)
        assert session.kernel is not None, "the kernel was not asked"
        is_void = bool(session.dropped or session.kernel.lost)
        wrong = what_is_wrong(session)
        if session.scenario.outcomes:
            agreements = {vantage.name: compare(vantage.inspected(), session.kernel) for vantage in session.vantages}
            honest = not session.scenario.has_forgeries
            parts = one_direction_each(session.vantages, session.kernel) if honest else {}
            wrong += [line for where, one in (agreements | parts).items() for line in denied(one, where)]
        if wrong and session.kernel.longest_gap_ns > STALL_NS:
            is_void = True
            wrong.append(
                f"the machine is busy: who looks every 10 ms could not for {duration(session.kernel.longest_gap_ns)}"
            )
    except (WorldError, KernelLacksError, CaptureError) as error:
        return Trial(name, (), {}, time.monotonic() - began, hindrance=str(error))
    except LabError as error:
        wrong = [str(error)]
    return Trial(name, tuple(wrong), agreements, time.monotonic() - began, is_void)


def one_direction_each(vantages: Sequence[Vantage], kernel: KernelAccount) -> dict[str, Agreement]:
    """Compare what each vantage point would have shown of what one end sent, as far as that can tell."""
    return {
        f"{vantage.name}, only what the {end} sent": compare(sent_by(end, vantage).inspected(), kernel, partial=True)
        for vantage in vantages
        for end in ENDS
    }


def sent_by(end: End, vantage: Vantage) -> Vantage:
    """Return what a vantage point would have shown of one direction alone."""
    senders = {(one.ip, one.port) for one in (getattr(each, end) for each in vantage.inspected().connections)}
    return replace(vantage, frames=[frame for frame in vantage.frames if sender_of(frame.octets) in senders])


def sender_of(frame: bytes) -> tuple[str, int] | None:
    """Return who sent a segment; None of another frame."""
    segment = segment_of(frame)
    return segment.source if segment is not None else None


def denied(agreement: Agreement, where: str) -> list[str]:
    """Return the states that only one of the two accounts has, one line each."""
    return [
        f"{where}: stream {one.stream}, {end}: {row}"
        for one in agreement.connections
        for end in ENDS
        for row in one.ends[end].contradictions
    ]


def trials(names: Sequence[str], jobs: int = JOBS) -> Iterator[Trial]:
    """Try scenarios, at most `jobs` at once."""
    return in_children([partial(try_scenario, name) for name in names], jobs)
