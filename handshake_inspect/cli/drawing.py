"""Draws the ladder of a connection from files: reads the payload that it shows, and fits it to the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from handshake_inspect.capture.frames import CaptureFile, fetch_parts, payload
from handshake_inspect.cli.output import text_width
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.quantities import counted
from handshake_inspect.views.folding import Fold, fold
from handshake_inspect.views.ladder import LadderOptions, LadderParts, Marks, Numbers, Payload, SocketCall, ladder_parts
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.words import Clock


@dataclass(frozen=True)
class LadderSettings:
    """The options of the command line about the ladder."""

    numbers: Numbers = "symbolic"
    clock: Clock = "relative"
    payload_octets: int = 16
    show_all: bool = False

    def options(self) -> LadderOptions:
        """Return the options of the view, for this terminal."""
        return LadderOptions(
            width=text_width(),
            numbers=self.numbers,
            clock=self.clock,
            payload_octets=self.payload_octets,
            fold=not self.show_all,
        )


def draw(
    connection: Connection,
    steps: Sequence[Step],
    look: LadderSettings,
    *,
    paths: Mapping[str, CaptureFile],
    names: Sequence[str] = (),
    calls: Sequence[SocketCall] = (),
    marks: Marks | None = None,
) -> LadderParts:
    """Return the ladder of a connection; its payload is read again from the captures.

    `names`: what is known of its addresses, a line each. `calls`: those of its two sockets. `marks`: what is to be said
    of some of its rows.
    """
    return ladder_parts(
        connection,
        steps,
        title=title_of(connection),
        facts=facts_of(connection, steps, names),
        calls=calls,
        payload=payload_shown(steps, look, paths, connection.capture),
        marks=marks,
        options=look.options(),
    )


def picture(
    connection: Connection,
    steps: Sequence[Step],
    look: LadderSettings,
    format_: str,
    *,
    paths: Mapping[str, CaptureFile],
    names: Sequence[str] = (),
    calls: Sequence[SocketCall] = (),
) -> Iterator[str]:
    """Yield the same ladder as a picture: "svg", "mermaid" or "html"."""
    payload = payload_shown(steps, look, paths, connection.capture)
    drawn = ladder_of(connection, steps, calls=calls, payload=payload, spelling=look.options())
    title, facts = title_of(connection), facts_of(connection, steps, names)
    if format_ == "mermaid":
        from handshake_inspect.views.pictures.mermaid import diagram

        yield from (f"{line}\n" for line in diagram(drawn, title=title, facts=facts))
    elif format_ == "svg":
        from handshake_inspect.views.pictures import svg

        yield svg.picture(drawn, title=title, facts=facts)
    else:
        from handshake_inspect.views.pictures import html

        yield html.page(drawn, title=title, facts=facts)


def title_of(connection: Connection) -> str:
    """Return the title of a ladder."""
    return f"stream {connection.stream} of {connection.capture}"


def facts_of(connection: Connection, steps: Sequence[Step], names: Sequence[str]) -> list[str]:
    """Return the facts about a connection that stand behind the title."""
    return [counted(len(steps), "segment"), *connection.encapsulation, *names]


def payload_shown(steps: Sequence[Step], look: LadderSettings, paths: Mapping[str, CaptureFile], home: str) -> Payload:
    """Return the payload of the segments that are not folded, by frame; empty if none is shown."""
    if not look.payload_octets:
        return {}
    rows = list(steps) if look.show_all else [row for row in fold(steps) if not isinstance(row, Fold)]
    wanted = [(step.frame, step.seq) for step in rows if step.payload_octets]
    frames, packets = fetch_parts(paths, home, {frame for frame, _ in wanted})
    return {(frame, seq): payload(packets.get(frame, frames[frame]), seq) for frame, seq in wanted if frame in frames}
