"""`handshake-inspect demo`: a real echo session, captured live and drawn; or one that was recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from handshake_inspect.cli.options import ladder_options

if TYPE_CHECKING:
    from rich.text import Text

    from handshake_inspect.exchanges import Exchange
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.lab.session import DemoSession
    from handshake_inspect.views.ladder import LadderOptions

#: What stands behind the interface's name, by `DemoSession.place`.
PLACES = {"private": " of a private network", "host": "", "recorded": " of a private network, recorded"}


@click.command("demo")
@click.argument("scenario", required=False, default="four-way")
@click.option("--close-first", type=click.Choice(["client", "server"]), help="Which end closes first.")
@click.option("--half-close", is_flag=True, default=None, help="The first end closes its sending direction only.")
@click.option("--ipv6", is_flag=True, default=None, help="Over ::1 instead of 127.0.0.1.")
@click.option("--message", metavar="TEXT", help="What the client sends.  [default: bith]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the server; the kernel chooses one.")
@click.option("--replay", is_flag=True, help="Show a session that was recorded; this works on any system.")
@click.option("-w", "--write", "target", metavar="FILE", help="Keep the capture as a pcap file.")
@ladder_options
def command(
    scenario: str,
    replay: bool,
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

    \b
    Examples:
      handshake-inspect demo
      handshake-inspect demo --close-first server --message 'hello, world'
      handshake-inspect demo --half-close --ipv6 -w half-close.pcap
      handshake-inspect demo refused --replay
    """
    from handshake_inspect.capture.frames import write_pcap
    from handshake_inspect.cli.drawing import Look
    from handshake_inspect.cli.output import remark
    from handshake_inspect.views.words import counted

    try:
        session = recorded_session(scenario, replay, plan) if replay or not is_linux() else real_session(scenario, plan)
    except KeyboardInterrupt:
        remark("interrupted before the session had ended")
        return 0
    if target is not None:
        count = write_pcap(target, session.frames, session.link_type)
        remark(f"{target}: {counted(count, 'frame')} saved")
    look = Look(numbers, clock, payload_octets, show_all)  # type: ignore[arg-type]
    return print_session(session, look.options())


def is_linux() -> bool:
    """Can sessions be captured on this system?"""
    return sys.platform.startswith("linux")


def real_session(scenario: str, plan: dict[str, Any]) -> DemoSession:
    """Run a scenario as planned. Raises LabError, which names the way out where the system forbids it."""
    from handshake_inspect.lab.session import run_demo
    from handshake_inspect.lab.world import WorldError

    message = plan["message"]
    octets = None if message is None else message.encode("utf-8", "surrogateescape")
    try:
        return run_demo(scenario, **{**plan, "message": octets})
    except WorldError as error:
        raise WorldError(f"{error}; or see a recorded session: demo --replay") from error


def recorded_session(scenario: str, asked: bool, plan: dict[str, Any]) -> DemoSession:
    """Return the recorded session of a scenario, and say in one line that it is one. Raises LabError."""
    from handshake_inspect.cli.output import remark
    from handshake_inspect.lab.replay import replay, replay_names
    from handshake_inspect.views.words import listed, moment

    given = [f"--{name.replace('_', '-')}" for name, value in plan.items() if value is not None]
    why = "" if asked else f"a real session needs Linux, and this is {sys.platform}: "
    if given:
        choices = f"choose a SCENARIO instead: {', '.join(replay_names())}"
        raise click.UsageError(f"{why}{listed(given)} cannot change a session that was recorded; {choices}")
    found = replay(scenario)
    when = moment(found.session.frames[0].time_ns, "utc").partition(".")[0]
    remark(f"{why}this session was recorded with {found.kernel} at {when} UTC")
    return found.session


def print_session(session: DemoSession, options: LadderOptions) -> int:
    """Inspect what was captured and print its picture: a ladder, or the datagrams of UDP."""
    from handshake_inspect.cli.captures import report
    from handshake_inspect.cli.output import write_lines

    inspection = inspect_session(session)
    for exchange in inspection.exchanges:
        write_lines(exchange_picture(session, inspection, exchange, options))
    for connection in inspection.connections:
        write_lines(session_lines(session, inspection, connection.stream, options))
    report(inspection, udp_listed=True)
    return 0


def inspect_session(session: DemoSession) -> Inspection:
    """Inspect the frames of a session."""
    from handshake_inspect.capture.records import records_of
    from handshake_inspect.inspection import Inspector

    inspector = Inspector()
    capture = inspector.begin_capture(session.interface, "live")
    inspector.add_records(records_of(session.frames), capture)
    inspector.captures[capture].dropped = session.dropped
    return inspector.result()


def session_lines(session: DemoSession, inspection: Inspection, stream: int, options: LadderOptions) -> list[Text]:
    """Return the ladder of one connection of a session, with its socket calls."""
    from handshake_inspect.capture.frames import payload
    from handshake_inspect.connections.connection import Endpoint, Frame
    from handshake_inspect.views.ladder import ladder
    from handshake_inspect.views.words import counted

    steps = inspection.steps(stream)
    octets: dict[tuple[Frame, int], bytes] = {
        (step.frame, step.seq): payload(session.frames[step.frame - 1])
        for step in steps
        if step.payload_octets and isinstance(step.frame, int)
    }
    where = f"{session.interface}{PLACES[session.place]}"
    return ladder(
        inspection.connections[stream],
        steps,
        title=f"echo on {Endpoint(*session.server)}",
        facts=[where, counted(len(steps), "segment"), f"{session.dropped} dropped"],
        calls=session.calls,
        payload=octets,
        options=options,
    )


def exchange_picture(
    session: DemoSession, inspection: Inspection, exchange: Exchange, options: LadderOptions
) -> list[Text]:
    """Return the picture of a UDP exchange of a session, with its socket calls."""
    from handshake_inspect.capture.frames import payload
    from handshake_inspect.exchanges import Datagram
    from handshake_inspect.views.exchange_lines import exchange_lines
    from handshake_inspect.views.words import counted

    events = inspection.exchanges.events(exchange.number)
    datagrams = [event for event in events if isinstance(event, Datagram)]
    return exchange_lines(
        exchange,
        events,
        title=f"echo over UDP on {exchange.responder}",
        facts=[
            f"{session.interface}{PLACES[session.place]}",
            counted(len(datagrams), "datagram"),
            f"{session.dropped} dropped",
        ],
        calls=session.calls,
        payload={one.frame: payload(session.frames[one.frame - 1]) for one in datagrams if isinstance(one.frame, int)},
        options=options,
    )
