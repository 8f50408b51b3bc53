"""Prints a session of the lab: the ladder of each of its connections, with the socket calls of both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handshake_inspect.capture.frames import payload
from handshake_inspect.cli.captures import report
from handshake_inspect.cli.output import remark, write_lines
from handshake_inspect.connections.connection import Endpoint, Frame
from handshake_inspect.lab.whose import calls_of
from handshake_inspect.views.ladder import LadderOptions, ladder
from handshake_inspect.views.words import counted

if TYPE_CHECKING:
    from rich.text import Text

    from handshake_inspect.inspection import Inspection
    from handshake_inspect.lab.session import Session, Vantage

#: What stands behind the interface's name, by `Session.place`.
PLACES = {"private": " of a private network", "host": "", "recorded": " of a private network, recorded"}


def print_session(session: Session, vantage: Vantage, options: LadderOptions, *, title: str) -> Inspection:
    """Print the ladders of a session as it was seen at one vantage point; return the inspection."""
    inspection = vantage.inspected()
    for connection in inspection.connections:
        write_lines(session_lines(session, vantage, inspection, connection.stream, options, title))
    report(inspection, udp_listed=True)
    return inspection


def session_lines(
    session: Session, vantage: Vantage, inspection: Inspection, stream: int, options: LadderOptions, title: str
) -> list[Text]:
    """Return the ladder of one connection of a session, with its socket calls."""
    steps = inspection.steps(stream)
    octets: dict[tuple[Frame, int], bytes] = {
        (step.frame, step.seq): payload(vantage.frames[step.frame - 1])
        for step in steps
        if step.payload_octets and isinstance(step.frame, int)
    }
    where = f"{vantage.interface}{PLACES[session.place]}"
    return ladder(
        inspection.connections[stream],
        steps,
        title=title,
        facts=[where, counted(len(steps), "segment"), f"{vantage.dropped} dropped"],
        calls=calls_of(inspection.connections[stream], session.calls, inspection.connections),
        payload=octets,
        options=options,
    )


def echo_title(session: Session) -> str:
    """Return the title of the ladders of an echo."""
    return f"echo on {Endpoint(*session.server)}"


def warn_without_tcp(inspection: Inspection) -> None:
    """Say that a session of UDP has no ladder, and where to find it."""
    if not len(inspection.connections):
        remark("this scenario has no TCP connection: keep it with -w, and list it with read --udp")
