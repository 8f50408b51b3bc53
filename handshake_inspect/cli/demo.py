"""`handshake-inspect demo`: a real echo session, captured live and drawn; or one that was recorded."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from handshake_inspect.cli.bounds import PORT
from handshake_inspect.cli.options import ladder_options, lesson_options, write_option

if TYPE_CHECKING:
    from handshake_inspect.lab.session import Session
    from handshake_inspect.lab.time_wait.staying import Told


@click.command("demo")
@click.argument("scenario", required=False, default="four-way")
@click.option("--close-first", type=click.Choice(["client", "server"]), help="Which end closes first.")
@click.option("--half-close", is_flag=True, default=None, help="The first end closes its sending direction only.")
@click.option("--ipv6", is_flag=True, default=None, help="Over ::1 instead of 127.0.0.1.")
@click.option("--message", metavar="TEXT", help="What the client sends.  [default: bith]")
@click.option("--port", metavar="PORT", type=PORT, help="Port of the server; the kernel chooses one.")
@click.option("--replay", is_flag=True, help="Show a session that was recorded; this works on any system.")
@click.option("--verify", is_flag=True, help="Lay the kernel's own account beside it; exit 1 if they contradict.")
@click.option("--wait", is_flag=True, help="Then follow the kernel's TIME-WAIT to its end, 60 s, with a countdown.")
@lesson_options
@click.option("--differences", is_flag=True, help="List how Linux's account differs from RFC 9293, and nothing else.")
@write_option("Keep the capture: pcap, or pcapng where FILE ends in .pcapng.")
@ladder_options
@click.pass_context
def command(
    context: click.Context,
    /,
    scenario: str,
    replay: bool,
    verify: bool,
    wait: bool,
    step: bool,
    quiz: bool,
    differences: bool,
    target: str | None,
    numbers: str,
    clock: str,
    payload_octets: int,
    show_all: bool,
    **plan: Any,
) -> int:
    """Run an echo server and a client over real sockets, capture them live, and draw the ladder.

    Runs in a private network, so it needs no privilege on most systems and disturbs nobody. SCENARIO is four-way
    unless given: three-segment, server-first, half-close, refused, unanswered, reset ... Where the system is not
    Linux, a recorded session is shown.

    With --verify the kernel tells its own states: as root of the machine every change (a tracepoint), else sampled.
    With --wait the end of TIME-WAIT is predicted from the capture and timed against the kernel's own timer.
    With --step or --quiz it is a lesson, which asks for the states and explains them.

    \b
    Examples:
      handshake-inspect demo
      handshake-inspect demo --close-first server --message 'hello, world'
      handshake-inspect demo --half-close --ipv6 -w half-close.pcap
      handshake-inspect demo --verify three-segment
      handshake-inspect demo --wait
      handshake-inspect demo --step
      handshake-inspect demo simultaneous-close --quiz
      handshake-inspect demo refused --replay
    """
    from handshake_inspect.cli.drawing import LadderSettings
    from handshake_inspect.cli.performing import (
        keep,
        print_differences,
        print_session,
        refuse_in_vain,
        say_broken_off,
        session_of,
        teach,
        title_of,
        verified,
        waited,
    )
    from handshake_inspect.cli.standard_error import remark
    from handshake_inspect.lab.session import SessionInterrupted
    from handshake_inspect.lab.time_wait.staying import told_of

    if differences:
        refuse_company(context)
        print_differences()
        return 0
    is_lesson = step or quiz
    refuse_in_vain(scenario, verify=verify, wait=wait, lesson=is_lesson)
    try:
        if replay or not is_linux():
            told = told_of(recorded_session(scenario, replay, plan | {"verify": verify or None, "wait": wait or None}))
        else:
            told = real_session(scenario, plan, verify=verify, wait=wait)
        session = session_of(told)
    except SessionInterrupted as ended:
        session = ended.session
    except KeyboardInterrupt:
        remark("interrupted before the session had ended")
        return 0
    not_kept = keep(session, session.vantages[0], target)
    if session.is_broken_off:
        say_broken_off(session)
        is_lesson = wait = False
    look = LadderSettings(numbers, clock, payload_octets, show_all)  # type: ignore[arg-type]
    if is_lesson:
        teach(session, session.vantages[0], look.options(), title=title_of(session), quiz=quiz)
        return not_kept
    inspection = print_session(session, session.vantages[0], look.options(), title=title_of(session))
    code = verified(session, inspection)
    if wait:
        waited(session, told, inspection)
    return code or not_kept


def refuse_company(context: click.Context) -> None:
    """Refuse options beside --differences, which runs nothing."""
    typed = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    given = [one for one in context.command.params if context.get_parameter_source(one.name or "") in typed]
    if len(given) > 1:
        raise click.UsageError("--differences goes alone: it runs no scenario")


def is_linux() -> bool:
    """Can sessions be captured on this system?"""
    return sys.platform.startswith("linux")


def real_session(scenario: str, plan: dict[str, Any], *, verify: bool = False, wait: bool = False) -> Told:
    """Run a scenario; yield its session, and the glances at its TIME-WAIT if it is to `wait`.

    Raises LabError, which names the way out where the system forbids it.
    """
    from handshake_inspect.cli.performing import performed
    from handshake_inspect.lab.ground import RunOptions
    from handshake_inspect.lab.world import WorldError

    message = plan["message"]
    octets = None if message is None else message.encode("utf-8", "surrogateescape")
    try:
        return performed(scenario, {**plan, "message": octets}, RunOptions(verify=verify), wait=wait)
    except WorldError as error:
        raise WorldError(f"{error}; or see a recorded session: demo --replay") from error


def recorded_session(scenario: str, asked: bool, plan: dict[str, Any]) -> Session:
    """Return the recorded session of a scenario, and print that it is a recorded one. Raises LabError."""
    from handshake_inspect.cli.standard_error import remark
    from handshake_inspect.lab.replay import replay, replay_names
    from handshake_inspect.lab.world import LabError
    from handshake_inspect.quantities import listed
    from handshake_inspect.views.words import moment

    given = [f"--{name.replace('_', '-')}" for name, value in plan.items() if value is not None]
    why = "" if asked else f"a real session needs Linux, and this is {sys.platform}: "
    asks = [one for one in given if one in ("--verify", "--wait")]
    if asks:
        raise click.UsageError(
            f"{why}{listed(asks)} {'asks' if len(asks) == 1 else 'ask'} the kernel, and this session was recorded"
        )
    if given:
        choices = f"choose a SCENARIO instead: {', '.join(replay_names())}"
        raise click.UsageError(f"{why}{listed(given)} cannot change a session that was recorded; {choices}")
    try:
        found = replay(scenario)
    except LabError as error:
        raise LabError(f"{error}{way_to_capture(scenario)}") from error
    when = moment(found.session.frames[0].time_ns, "utc").partition(".")[0]
    remark(f"{why}this session was recorded with {found.kernel} at {when} UTC")
    return found.session


def way_to_capture(scenario: str) -> str:
    """Return a sentence with the command that shows a shipped capture of the scenario; "" if there is none."""
    from handshake_inspect.explain.page import PageError
    from handshake_inspect.explain.shipped import shipped_capture

    try:
        path = shipped_capture(f"{scenario}.pcap")
    except PageError:
        return ""
    return f"; its capture is here: handshake-inspect show {shlex.quote(str(path))}"
