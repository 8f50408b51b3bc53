"""Prints the ladders of a live capture: one per connection, or one per kind if there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.text import Text

from handshake_inspect.capture.frames import payload
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.cli.output import write_lines
from handshake_inspect.connections.connection import Connection, Frame
from handshake_inspect.inspection import Inspection
from handshake_inspect.lab.calls import SocketCall
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views.ladder import LadderOptions, LadderParts, ladder_parts

#: More connections than these are drawn once for all that went alike.
LADDERS_MAX = 4


@dataclass(frozen=True)
class Scene:
    """A capture at one place, with the socket calls made meanwhile."""

    title: str
    #: "lo of a private network".
    where: str
    inspection: Inspection
    #: In the order of their numbers, from 1; of a very long capture the first ones.
    frames: Sequence[RawFrame]
    #: Frames that the kernel could not queue.
    dropped: int
    #: Gives the socket calls of a connection.
    calls_of: Callable[[Connection], Sequence[SocketCall]]


def print_ladders(scene: Scene, options: LadderOptions) -> None:
    """Print the ladder of each connection with its socket calls; of more than LADDERS_MAX, each kind of ladder once."""
    for number, alike in enumerate(alike_connections(scene.inspection.connections)):
        apart = [Text()] if number else []
        write_lines([*apart, *ladder_of(scene, alike[0], options).lines, *more_alike(alike)])


def more_alike(alike: Sequence[Connection]) -> list[Text]:
    """Return a line about the connections that are like the first one, if there are any."""
    if len(alike) == 1:
        return []
    more = counted(len(alike) - 1, "connection")
    return [Text(f"{more} more like it: stream {runs([one.stream for one in alike[1:]])}", "dim")]


def ladder_of(scene: Scene, connection: Connection, options: LadderOptions) -> LadderParts:
    """Return the ladder of one connection."""
    steps = scene.inspection.steps(connection.stream)
    octets: dict[tuple[Frame, int], bytes] = {
        (step.frame, step.seq): payload(scene.frames[step.frame - 1])
        for step in steps
        if step.payload_octets and isinstance(step.frame, int) and step.frame <= len(scene.frames)
    }
    number = [f"stream {connection.stream}"] if len(scene.inspection.connections) > 1 else []
    return ladder_parts(
        connection,
        steps,
        title=scene.title,
        facts=[*number, scene.where, counted(len(steps), "segment"), f"{scene.dropped} dropped"],
        calls=scene.calls_of(connection),
        payload=octets,
        options=options,
    )


def alike_connections(connections: Iterable[Connection], most: int = LADDERS_MAX) -> list[list[Connection]]:
    """Group connections, one ladder each: every one alone, or if there are more than `most`, the equal ones."""
    found = list(connections)
    if len(found) <= most:
        return [[one] for one in found]
    groups: dict[object, list[Connection]] = {}
    for one in found:
        groups.setdefault((one.handshake.kind, one.teardown.kind, one.states, one.segments), []).append(one)
    return list(groups.values())


def runs(numbers: Sequence[int]) -> str:
    """Return rising numbers as text, with ranges: "1-8 and 12"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return listed([str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found])
