"""Draws the ladder of a connection that stands in a file: fetches the octets that it shows, fits it to the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handshake_inspect.capture.frames import CaptureFile, fetch_parts, payload
from handshake_inspect.cli.output import DEFAULT_WIDTH, terminal_width
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views.folding import Fold, fold
from handshake_inspect.views.ladder import LadderOptions, LadderParts, Marks, Numbers, Payload, SocketCall, ladder_parts
from handshake_inspect.views.words import Clock

if TYPE_CHECKING:
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.overview import Overview


#: Names of one address that the header of a ladder has room for.
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Look:
    """What the options of the command line say about the ladder."""

    numbers: Numbers = "symbolic"
    clock: Clock = "relative"
    payload_octets: int = 16
    show_all: bool = False

    def options(self) -> LadderOptions:
        """Return the options of the view, for this terminal."""
        return LadderOptions(
            width=max(60, terminal_width() or DEFAULT_WIDTH),
            numbers=self.numbers,
            clock=self.clock,
            payload_octets=self.payload_octets,
            fold=not self.show_all,
        )


def draw(
    connection: Connection,
    steps: Sequence[Step],
    look: Look,
    *,
    paths: Mapping[str, CaptureFile],
    names: Sequence[str] = (),
    calls: Sequence[SocketCall] = (),
    marks: Marks | None = None,
) -> LadderParts:
    """Return the ladder of a connection; payload is read from its captures, of those that have a path by their names.

    `names`: what is known of its addresses, a line each. `calls`: those of its two sockets. `marks`: what is to be said
    of some of its rows.
    """
    octets = payload_shown(steps, look, paths, connection.capture) if look.payload_octets else {}
    return ladder_parts(
        connection,
        steps,
        title=f"stream {connection.stream} of {connection.capture}",
        facts=[counted(len(steps), "segment"), *connection.encapsulation, *names],
        calls=calls,
        payload=octets,
        marks=marks,
        options=look.options(),
    )


def names_of_ends(run: Inspection | Overview, connection: Connection) -> list[str]:
    """Return what the capture says the two addresses are called, if anything."""
    addresses = dict.fromkeys([connection.originator.ip, connection.responder.ip])
    known = {address: run.names_of(address)[:NAMES_SHOWN] for address in addresses}
    return [f"{address} is {listed(names, 'or')}" for address, names in known.items() if names]


def payload_shown(steps: Sequence[Step], look: Look, paths: Mapping[str, CaptureFile], home: str) -> Payload:
    """Return the payload of the segments that are not folded, by frame."""
    rows = list(steps) if look.show_all else [row for row in fold(steps) if not isinstance(row, Fold)]
    wanted = [(step.frame, step.seq) for step in rows if step.payload_octets]
    frames, packets = fetch_parts(paths, home, {frame for frame, _ in wanted})
    return {(frame, seq): payload(packets.get(frame, frames[frame]), seq) for frame, seq in wanted if frame in frames}
