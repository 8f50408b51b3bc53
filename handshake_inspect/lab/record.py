"""Scenarios recorded into a folder of captures, with the page that says what each shows and what must be found in it.

In: names of scenarios. Out: `NAME.pcap` (nanoseconds, Ethernet frames, each segment once), from a wire also
`NAME.server.pcap`, beside each what `check` is to expect of it, and their lines in `README.md` (`page`). A run in which
the kernel did not behave as the scenario says (a very busy machine delays its programs) or in which frames were dropped
is made again.
"""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.output import write_text
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.expect.beside import beside
from handshake_inspect.expect.recording import document, toml
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.expected import nearest_differences, outcome_of
from handshake_inspect.lab.page import Page, is_ours
from handshake_inspect.lab.replay import write_replay
from handshake_inspect.lab.scenarios import SCENARIOS, scenario_named
from handshake_inspect.lab.segments import segment_of
from handshake_inspect.lab.session import Session, run_demo
from handshake_inspect.lab.vantage import Vantage
from handshake_inspect.lab.world import LabError, in_children

#: How often a scenario is tried before the machine is called too busy.
ATTEMPTS = 4
#: How many run at once unless said: they wait more than they work.
JOBS = 4 * (os.cpu_count() or 1)


def record(names: Sequence[str], folder: Path, jobs: int = JOBS) -> Iterator[Path]:
    """Record scenarios into `folder`, with their lines on the page there; yield the captures as they are written.

    Raises LabError if a scenario cannot be recorded, CaptureError if a file cannot be written; the captures before are
    kept.
    """
    make_folder(folder)
    page = Page.read(folder)
    try:
        for session in in_children([partial(recorded, name) for name in names], jobs):
            yield from write_captures(session, folder, page)
    finally:
        page.write(folder, list(SCENARIOS))


def write_captures(session: Session, folder: Path, page: Page) -> Iterator[Path]:
    """Write the capture of each vantage point of a session, and put its lines on the page; yield the paths."""
    scenario = scenario_named(session.scenario.name)
    target = "pcaps" if is_ours(folder) else shlex.quote(str(folder)).replace("|", "\\|")  # in a cell of a table
    for vantage, path in zip(session.vantages, files_of(session, folder), strict=True):
        write_pcap(path, list(cut(vantage.frames, scenario.snap_octets)), vantage.link_type)
        capture = {
            "file": path.name,
            "recorded by": f"`handshake-inspect lab record {scenario.name} -o {target}`",
            "kernel": kernel_name(),
            "captured at": vantage.name,
            "shows": scenario.shows,
        }
        outcome = outcome_of(scenario.outcomes_at(vantage.name) or (), vantage.inspected().connections)
        page.put(capture, outcome or (), scenario.exchange)
        write_text(beside(str(path)), toml(document(inspect(path)), path.name))
        yield path


def record_replay(name: str, folder: Path) -> Path:
    """Record one scenario with its socket calls, as `demo --replay` reads them (`replay`); return the capture."""
    make_folder(folder)
    command = f"handshake-inspect lab record --calls {name} -o handshake_inspect/lab/recorded"
    return write_replay(recorded(name), folder, kernel=kernel_name(), recorded_by=command)


def make_folder(folder: Path) -> None:
    """Make the folder of the captures, unless it is there. Raises LabError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{folder}: the folder cannot be made: {error.strerror or error}") from None


def files_of(session: Session, folder: Path) -> Iterator[Path]:
    """Yield the path of the capture of each vantage point."""
    for number, vantage in enumerate(session.vantages):
        yield folder / f"{session.scenario.name}{f'.{vantage.name}' if number else ''}.pcap"


def cut(frames: list[RawFrame], octets: int) -> Iterator[RawFrame]:
    """Yield the frames with so many octets at most, as a capture with a snapshot length has them."""
    for frame in frames:
        yield replace(frame, octets=frame.octets[:octets])


def kernel_name() -> str:
    """Name this kernel: "Linux 6.18.44"."""
    return f"{platform.system()} {platform.release().split('-')[0]}"


def recorded(name: str) -> Session:
    """Run a scenario until it is as it promises. LabError if the machine is too busy."""
    scenario = scenario_named(name)
    for _ in range(ATTEMPTS):
        session = run_demo(scenario)
        wrong = what_is_wrong(session)
        if not wrong:
            return session
    raise LabError(f"{name}: not as planned in {ATTEMPTS} attempts ({wrong[0]}): is the machine busy?")


def what_is_wrong(session: Session) -> list[str]:
    """Return the differences from what a scenario promises, one line each; [] if there are none."""
    scenario = session.scenario
    wrong = [f"{session.dropped} frames were dropped"] if session.dropped else []
    if scenario.closing is not None and closing_of(session) != scenario.closing:
        wrong.append(f"it closed by {' · '.join(closing_of(session)) or 'nothing'}")
    for vantage in session.vantages:
        wrong += [f"{vantage.name}: {line}" for line in unlike_promise(session, vantage)]
    return wrong


def unlike_promise(session: Session, vantage: Vantage) -> list[str]:
    """Return the differences of an inspection at one vantage point from what is promised."""
    outcomes = session.scenario.outcomes_at(vantage.name)
    return nearest_differences(outcomes, vantage.inspected().connections) if outcomes else []


def closing_of(session: Session) -> tuple[str, ...]:
    """Return the control bits of the segments of a TCP session, from the first FIN or RST on."""
    flags: list[str] = []
    for frame in session.frames:
        segment = segment_of(frame.octets)
        if segment is not None and (flags or segment.kind in ("FIN", "RST")):
            flags.append(segment.flag_names)
    return tuple(flags)
