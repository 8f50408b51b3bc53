"""Draws part of a recorded capture or session as a ladder, computed by the engine on demand.

In: a directive of a page. Out: lines of `rich` text: the name of the capture, the command that makes a similar one
with real sockets, and the ladder's rows of the frames, with the states before them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from handshake_inspect.capture.frames import fetch, fetch_parts, payload
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.connections.connection import Connection, Frame, Step
from handshake_inspect.exchanges import Datagram
from handshake_inspect.explain.page import CaptureExcerpt, Excerpt, FindingExcerpt, PageError, SessionExcerpt
from handshake_inspect.explain.shipped import shipped_capture
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.lab.calls import SocketCall
from handshake_inspect.lab.replay import replay
from handshake_inspect.lab.world import LabError
from handshake_inspect.views.exchange_lines import exchange_lines
from handshake_inspect.views.ladder import LadderOptions, excerpt
from handshake_inspect.views.ladder_layout import wrap
from handshake_inspect.views.rungs import Payload

#: Most segments drawn to show a finding.
SEGMENTS_SHOWN = 14


def excerpt_lines(wanted: Excerpt, width: int) -> list[Text]:
    """Return the ladder that a page asks for. Raises PageError if it cannot be drawn."""
    if isinstance(wanted, SessionExcerpt):
        return session_lines(wanted, width)
    return finding_lines(wanted, width) if isinstance(wanted, FindingExcerpt) else capture_lines(wanted, width)


def capture_lines(wanted: CaptureExcerpt, width: int) -> list[Text]:
    """Return the ladder of some frames of a shipped capture. Raises PageError if it lacks them."""
    path = shipped_capture(wanted.capture)
    inspection = inspect(path)
    again = command_for([wanted.capture])
    if not len(inspection.connections):
        refuse_part(wanted.capture, inspection, wanted.stream, wanted.frames)
        events = inspection.exchanges.events(wanted.stream)
        frames = fetch(path, [event.frame for event in events if isinstance(event.frame, int)])
        return exchange_picture(inspection, wanted.stream, wanted.capture, again, frames, width)
    part = part_of(inspection, wanted.stream, wanted.frames, wanted.capture)
    return connection_picture(inspection, wanted.stream, part, [wanted.capture], wanted.frames, width)


def finding_lines(wanted: FindingExcerpt, width: int) -> list[Text]:
    """Return the ladder of the segments that show a finding. Raises PageError if the captures do not show it."""
    names = wanted.captures
    inspection = inspect([shipped_capture(name) for name in names])
    of_run = [one for one in inspection.findings if one.code == wanted.code][:1]
    for connection in inspection.connections:
        own = [one for one in connection.findings if one.code == wanted.code]
        shown = [frame for one in (of_run or own) for frame in one.frames]
        steps = inspection.steps(connection.stream)
        if own or (of_run and (not shown or any(step.frame in shown for step in steps))):
            part = _around(connection, steps, shown)
            frames = None if len(part) == len(steps) else (part[0].frame, part[-1].frame)
            lines = connection_picture(inspection, connection.stream, part, names, frames, width)
            said = [line for one in of_run for line in wrap(Text(f"{one.about}: {one.message}"), width)]
            return [*lines, Text(), *said] if said else lines
    raise PageError(f"{' and '.join(names)}: it does not show {wanted.code}")


def _around(connection: Connection, steps: Sequence[Step], shown: Sequence[Frame]) -> Sequence[Step]:
    """Return the segments from the one before those `shown` to the one after; all segments where they are few."""
    if len(steps) <= SEGMENTS_SHOWN:
        return steps
    times = [step.time_ns for step in steps]
    places = {error.frame: bisect_left(times, error.time_ns) for error in connection.icmp_errors}
    places |= {step.frame: number for number, step in enumerate(steps)}
    at = [places[frame] for frame in shown if frame in places] or [len(steps) - 1]
    last = min(max(at) + 1, len(steps) - 1)
    first = max(min(at) - 1, last - SEGMENTS_SHOWN + 1, 0)
    return steps[first : last + 1]


def connection_picture(
    inspection: Inspection,
    stream: int,
    part: Sequence[Step],
    names: Sequence[str],
    frames: tuple[Frame, Frame] | None,
    width: int,
) -> list[Text]:
    """Return the ladder of part of a connection in shipped captures, from the first to the last of these frames."""
    connection = inspection.connections[stream]
    paths = {str(path): str(path) for path in map(shipped_capture, names)}
    octets, packets = fetch_parts(paths, connection.capture, {step.frame for step in part})
    return excerpt(
        connection,
        inspection.steps(stream),
        part,
        title=title(" and ".join(names) + stream_text(inspection, stream), frames, command_for(names)),
        payload=payload_of(part, octets | packets),
        options=LadderOptions(width=width),
    )


def command_for(names: Sequence[str]) -> str:
    """Return the command that makes a capture like a shipped one, or like those of both ends of a link."""
    scenario, vantage, *_ = names[0].split(".")  # NAME.pcap, NAME.server.pcap
    if len(names) > 1:
        return f"handshake-inspect lab record {scenario} -o ."
    return f"handshake-inspect lab run {scenario}{' --at server' if vantage == 'server' else ''}"


def session_lines(wanted: SessionExcerpt, width: int) -> list[Text]:
    """Return the ladder of some frames of a recorded session, with socket calls. Raises PageError if it lacks them."""
    try:
        session = replay(wanted.session).session
    except LabError as error:
        raise PageError(str(error)) from error
    inspection = session.vantages[0].inspected()
    again = f"handshake-inspect demo {wanted.session} --replay"
    if not len(inspection.connections):
        refuse_part(wanted.session, inspection, 0, wanted.frames)
        numbered = dict(enumerate(session.frames, start=1))
        return exchange_picture(inspection, 0, wanted.session, again, numbered, width, session.calls)
    part = part_of(inspection, 0, wanted.frames, wanted.session)
    return excerpt(
        inspection.connections[0],
        inspection.steps(0),
        part,
        title=title(wanted.session, wanted.frames, again),
        calls=session.calls,
        payload=payload_of(part, dict(enumerate(session.frames, start=1))),
        options=LadderOptions(width=width),
    )


def refuse_part(name: str, inspection: Inspection, stream: int, frames: tuple[int, int] | None) -> None:
    """Raise PageError for part of a UDP exchange: it has no states with which a part could begin."""
    if frames is not None or stream >= len(inspection.exchanges):
        raise PageError(f"{name}: it has UDP, of which all is shown: no frames, and no stream that it lacks")


def exchange_picture(
    inspection: Inspection,
    stream: int,
    name: str,
    again: str,
    frames: Mapping[int, RawFrame],
    width: int,
    calls: Sequence[SocketCall] = (),
) -> list[Text]:
    """Return the picture of a whole UDP exchange."""
    events = inspection.exchanges.events(stream)
    return exchange_lines(
        inspection.exchanges[stream],
        events,
        title=name,
        facts=[f"from real sockets: {again}"],
        calls=calls,
        payload={
            event.frame: payload(frames[event.frame])
            for event in events
            if isinstance(event, Datagram) and isinstance(event.frame, int)
        },
        options=LadderOptions(width=width),
    )


def stream_text(inspection: Inspection, stream: int) -> str:
    """Return words that name the connection, where there are several."""
    return f", stream {stream}" if len(inspection.connections) > 1 else ""


def title(name: str, frames: tuple[Frame, Frame] | None, again: str) -> list[Text]:
    """Return the title of an excerpt: its source, and the command that makes the whole."""
    first, last = (
        frame if isinstance(frame, int) else f"{frame[1]} of {Path(frame[0]).name}" for frame in frames or (0, 0)
    )
    which = "" if frames is None else f", frame {first}" if first == last else f", frames {first} to {last}"
    whole = Text.assemble(("the whole, from real sockets: ", "dim"), (again, "cyan"))
    return [Text(f"{name}{which}", "bold"), whole]


def part_of(inspection: Inspection, stream: int, frames: tuple[int, int] | None, name: str) -> Sequence[Step]:
    """Return the steps of these frames, the first and the last included. Raises PageError if one is missing."""
    if stream >= len(inspection.connections):
        raise PageError(f"{name}: there is no stream {stream} in it")
    steps = inspection.steps(stream)
    if frames is None:
        return steps
    errors = inspection.connections[stream].icmp_errors
    if missing := {*frames} - {step.frame for step in steps} - {error.frame for error in errors}:
        raise PageError(f"{name}: stream {stream} has no frame {min(missing)}")
    first, last = frames
    part = [step for step in steps if isinstance(step.frame, int) and first <= step.frame <= last]
    if not part:
        raise PageError(f"{name}: no segment of stream {stream} stands in frames {first} to {last}")
    return part


def payload_of(part: Sequence[Step], frames: Mapping[Frame, RawFrame]) -> Payload:
    """Return the payload of segments, taken from their frames."""
    return {(step.frame, step.seq): payload(frames[step.frame]) for step in part}
