"""Prints sessions of the lab: one session with its ladders and socket calls, or a line for each of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from handshake_inspect.capture.frames import payload
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.capture.writing.rotation import write_frames
from handshake_inspect.cli.captures import report
from handshake_inspect.cli.drawing import LadderSettings
from handshake_inspect.cli.groups import INTERRUPTED
from handshake_inspect.cli.ladders import Scene, print_ladders
from handshake_inspect.cli.output import hanging, write_lines
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.exchanges import Datagram, Exchange
from handshake_inspect.lab.ground import RunOptions
from handshake_inspect.lab.record import JOBS
from handshake_inspect.lab.rules import parse_rule
from handshake_inspect.lab.scenarios import scenario_named
from handshake_inspect.lab.scenarios.scenario import Programs, Scenario
from handshake_inspect.lab.scenarios.unix import UNIX
from handshake_inspect.lab.session import Place, Session, SessionInterrupted, planned, run_demo
from handshake_inspect.lab.trials import trials
from handshake_inspect.lab.whose import calls_of
from handshake_inspect.lab.world import LabError
from handshake_inspect.quantities import counted
from handshake_inspect.views.exchange_lines import exchange_lines
from handshake_inspect.views.ladder import LadderOptions
from handshake_inspect.views.unix_lines import unix_lines

if TYPE_CHECKING:
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.lab.time_wait.staying import Told
    from handshake_inspect.lab.vantage import Vantage

#: What stands behind the interface's name, by `Session.place`.
PLACES = {"private": " of a private network", "host": "", "recorded": " of a private network, recorded"}

#: Actions of rules that mean nothing without a script.
FOR_SCRIPTS = ("hold", "keep", "pass")
#: What stands behind a scenario's name, by `Vantage.name`.
SEEN = {"loopback": "on loopback", "client": "seen at the client's end", "server": "seen at the server's end"}

#: How many of the errors of one run are printed.
WRONG_SHOWN = 3


@dataclass(frozen=True)
class RunRequest:
    """How one scenario is to be run, and where it is to be seen."""

    rules: tuple[str, ...] = ()
    place: Place = "auto"
    #: Which end of a wire; None: the client's, or where it can be seen.
    at: str | None = None
    #: File for the capture.
    target: str | None = None
    #: Lay the kernel's own account beside it.
    verify: bool = False
    #: Follow its TIME-WAIT to the end.
    wait: bool = False
    #: As a lesson; with a score.
    step: bool = False
    quiz: bool = False


def perform(name: str, wish: RunRequest, look: Mapping[str, Any]) -> int:
    """Run a scenario and print it: what it shows, what to look for, its ladders. Returns the exit code."""
    is_lesson = wish.step or wish.quiz
    refuse_in_vain(name, verify=wish.verify, wait=wish.wait, lesson=is_lesson, at=wish.at, rules=wish.rules)
    try:
        told = performed(name, {}, RunOptions(wish.rules, wish.verify), wait=wish.wait, place=wish.place)
        session = session_of(told)
    except SessionInterrupted as ended:
        session = ended.session
        say_broken_off(session)
    scenario, at = session.scenario, wish.at or session.scenario.seen_at
    vantage = next((one for one in session.vantages if one.name == at), session.vantages[0])
    options, title = LadderSettings(**look).options(), f"{name} {SEEN[vantage.name]}"
    if is_lesson and not session.is_broken_off:  # which what is to be seen would give away
        teach(session, vantage, options, title=title, quiz=wish.quiz)
        print()
        introduce(scenario, wish.rules)
        return keep(session, vantage, wish.target)
    introduce(scenario, wish.rules)
    print()
    inspection = print_session(session, vantage, options, title=title)
    not_kept = keep(session, vantage, wish.target)
    if session.is_broken_off:
        return INTERRUPTED
    code = verified(session, inspection)
    if wish.wait:
        waited(session, told, inspection)
    return code or not_kept


def say_broken_off(session: Session) -> None:
    """Say that a session was interrupted, and how much of it was captured."""
    count = counted(len(session.frames), "frame")
    remark(f"interrupted before the session had ended: this is what the first {count} show")


def introduce(scenario: Scenario, rules: Sequence[str]) -> None:
    """Print what a scenario shows, what to look for, and the rules of its wire."""
    print(hanging(f"{scenario.name}: ", scenario.shows))
    print(hanging("Look for: ", scenario.look_for))
    for rule in rules:
        print(hanging("Rule: ", " ".join(rule.split())))


def keep(session: Session, vantage: Vantage, target: str | None) -> int:
    """Report the rules that took no segment, and save the capture if asked for. Returns the exit code: 2 if it failed.

    What comes after it is still shown: a session costs seconds, and never comes again.
    """
    for rule in session.idle_rules:
        remark(f"{' '.join(rule.split())}: this rule took no segment")
    if target is None:
        return 0
    try:
        count = write_frames(target, vantage.frames, (vantage.interface, vantage.link_type))
    except CaptureError as error:
        remark(f"Error: {error}")
        return 2
    remark(f"{target}: {counted(count, 'frame')} saved")
    return 0


def performed(name: str, plan: dict[str, Any], how: RunOptions, *, wait: bool, place: Place = "auto") -> Told:
    """Run a scenario; yield its session, and the glances at its TIME-WAIT if it is to `wait` (`staying`)."""
    from handshake_inspect.lab.time_wait.jiffies import placed_wheel
    from handshake_inspect.lab.time_wait.staying import run_and_stay, told_of

    if not wait:
        return told_of(run_demo(name, rules=how.rules, verify=how.verify, place=place, **plan))
    return run_and_stay(planned(name, plan, how.rules), placed_wheel(), how, place)


def session_of(told: Told) -> Session:
    """Return the session, which comes first."""
    session = next(told)
    assert isinstance(session, Session)
    return session


def refuse_in_vain(
    name: str,
    *,
    verify: bool,
    wait: bool = False,
    lesson: bool = False,
    at: str | None = None,
    rules: Sequence[str] = (),
) -> None:
    """Raise LabError for options that would have no effect on a scenario."""
    scenario = scenario_named(name)
    if verify and not scenario.has_tcp:
        raise LabError(f"{name}: there is no state to verify: it has no TCP connection")
    if wait and not scenario.has_tcp:
        raise LabError(f"{name}: there is no TIME-WAIT to wait for: it has no TCP connection")
    if lesson and not scenario.has_tcp:
        raise LabError(
            f"{name}: there is no state to ask for: it has no TCP connection; run it without --step and --quiz"
        )
    if lesson and (verify or wait):
        raise LabError("a lesson (--step, --quiz) does not go with --verify or --wait: see them without it")
    if at is not None and scenario.network == "loopback" and not rules:
        raise LabError(f"{name} is on loopback, which is one place: leave out --at, or put a wire there by --rule")
    if at == "server" and scenario.network == "router":
        raise LabError(f"{name} is captured at the client's end of the router only: leave out --at")
    for rule in rules:
        if parse_rule(rule, FOR_SCRIPTS).action in FOR_SCRIPTS:
            raise LabError(f"{rule!r} is for a script, which lets the segment go: take drop, delay, duplicate or swap")


def try_many(names: Sequence[str], jobs: int | None) -> int:
    """Run scenarios, and print for each whether its outcome was as promised.

    Returns the exit code: 1 if one was not, else 2 if one could not be tried.
    """
    from handshake_inspect.cli.verifying import how_far

    width, wrong, untried = max(map(len, names)), 0, 0
    for trial in trials(names, jobs or JOBS):
        said = "as promised"
        if trial.hindrance is not None:
            said = f"not tried: {trial.hindrance}"
        elif trial.wrong:
            rest = len(trial.wrong) - WRONG_SHOWN
            said = "; ".join([*trial.wrong[:WRONG_SHOWN], *([f"and {rest} more"] if rest > 0 else [])])
        elif trial.agreements:
            said += f"; {how_far(next(iter(trial.agreements.values())))}"
        print(f"{trial.name:{width}}  {trial.seconds:5.1f} s  {said}", flush=True)
        wrong += bool(trial.wrong)
        untried += trial.hindrance is not None
    in_vain = f", {untried} could not be tried" if untried else ""
    remark(f"{counted(len(names), 'run')}, {wrong or 'none'} not as promised{in_vain}")
    return 1 if wrong else 2 if untried else 0


def print_session(session: Session, vantage: Vantage, options: LadderOptions, *, title: str) -> Inspection:
    """Print a session as seen at one vantage point: the ladder of each connection, the datagrams of UDP.

    Returns the inspection.
    """
    inspection = vantage.inspected()
    if session.is_broken_off and not vantage.frames:
        return inspection
    if session.scenario.name == UNIX.name:
        where = f"{vantage.interface}{PLACES[session.place]}"
        write_lines(unix_lines(session.calls, len(vantage.frames), title=title, where=where, options=options))
        return inspection
    for exchange in inspection.exchanges:
        write_lines(exchange_picture(session, vantage, inspection, exchange, options, title))
    print_ladders(scene_of(session, vantage, inspection, title), options)
    report(inspection, udp_listed=True)
    return inspection


def teach(session: Session, vantage: Vantage, options: LadderOptions, *, title: str, quiz: bool) -> None:
    """Walk through a session, as seen at one vantage point, as a lesson."""
    from handshake_inspect.cli.lesson import lesson_for

    inspection = vantage.inspected()
    lesson = lesson_for(options, quiz=quiz)
    with lesson.held():
        lesson.walk_scene(scene_of(session, vantage, inspection, title))


def scene_of(session: Session, vantage: Vantage, inspection: Inspection, title: str) -> Scene:
    """Return the capture of one vantage point, with the socket calls made meanwhile."""
    return Scene(
        title=title,
        where=f"{vantage.interface}{PLACES[session.place]}",
        inspection=inspection,
        frames=vantage.frames,
        dropped=vantage.dropped,
        calls_of=lambda connection: calls_of(connection, session.calls, inspection.connections),
    )


def exchange_picture(
    session: Session, vantage: Vantage, inspection: Inspection, exchange: Exchange, options: LadderOptions, title: str
) -> list[Text]:
    """Return the picture of one UDP exchange of a session, with its socket calls."""
    events = inspection.exchanges.events(exchange.number)
    datagrams = [event for event in events if isinstance(event, Datagram)]
    where = f"{vantage.interface}{PLACES[session.place]}"
    return exchange_lines(
        exchange,
        events,
        title=title,
        facts=[where, counted(len(datagrams), "datagram"), f"{vantage.dropped} dropped"],
        calls=session.calls if len(inspection.exchanges) == 1 else (),
        payload={one.frame: payload(vantage.frames[one.frame - 1]) for one in datagrams if isinstance(one.frame, int)},
        options=options,
    )


def title_of(session: Session) -> str:
    """Return the title of the ladders of a demo: two echo programs, or the name of a script."""
    if isinstance(session.scenario.performance, Programs) and not session.is_broken_off:
        return f"echo on {Endpoint(*session.server)}"
    return f"{session.scenario.name} {SEEN[session.vantages[0].name]}"


def verified(session: Session, inspection: Inspection) -> int:
    """Print the kernel's own account beside ours, if there is one; return the exit code: 1 if they contradict."""
    if session.kernel is None or not len(inspection.connections):
        return 0
    from handshake_inspect.cli.verifying import verify

    return verify(inspection, session.kernel, session.calls)


def waited(session: Session, told: Told, shown: Inspection) -> None:
    """Follow the TIME-WAIT of a session to its end, and print a report below the ladders of `shown`."""
    from handshake_inspect.cli.wait_report import report_wait
    from handshake_inspect.cli.waiting import wait_out
    from handshake_inspect.lab.time_wait.reckoning import Waiting

    waiting = Waiting(session)
    wait_out(waiting, told)
    report_wait(waiting, shown)


def print_differences() -> None:
    """Print how the kernel's account is translated."""
    from handshake_inspect.cli.verifying import translation_lines

    write_lines(translation_lines())
