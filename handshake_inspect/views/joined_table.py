"""One line per joined connection, for people.

In: `JoinedConnection`s. Out: the columns of a `views.table`. Arrows: → from the originator, ← from the responder. The
captures are A and B, as `joined_summary` says below the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from handshake_inspect.joined.model import DirectionFate, JoinedConnection
from handshake_inspect.quantities import counted, duration
from handshake_inspect.views.joined_summary import FIRST, SECOND
from handshake_inspect.views.table import Column, cut_end, narrow_notes, sockets_column


def joined_columns() -> list[Column]:
    """Return the columns of a table of joined connections."""
    return [
        Column("stream", lambda c: str(c.number), right=True),
        sockets_column(_sockets),
        Column("sent → / ←", _of_ways(lambda way: way.sent), right=True),
        Column("died → / ←", _of_ways(lambda way: len(way.lost)), right=True, style=_if_any(lambda way: way.lost)),
        Column("delay → / ←", _delays, right=True, rank=4),
        Column("there and back", _there_and_back, right=True, rank=5),
        Column("notes", lambda c: ", ".join(joined_notes(c)), rank=1, narrow=narrow_notes, cut=cut_end),
    ]


def _sockets(connection: JoinedConnection) -> str:
    originator, responder = connection.sockets.originator, connection.sockets.responder
    return f"{originator.first or originator.second} → {responder.first or responder.second}"


def joined_notes(connection: JoinedConnection) -> list[str]:
    """Return in few words what was changed on the path, and what is not known."""
    if not connection.at_both:
        return [f"only at {SECOND if connection.streams.first is None else FIRST}"]
    said = [*dict.fromkeys(change.what for change in connection.changes)]
    for arrow, way in (("→", connection.ways.originator), ("←", connection.ways.responder)):
        for frames, what in (
            (way.partly, "died in part"),
            (way.missed, "not captured there"),
            (way.copied, "copied"),
            (way.late, "overtaken"),
            (way.made, "not sent"),
            (way.unseen, "seen at one place only"),
            (way.unsent, "seen at one place only"),
        ):
            if frames:
                said.append(f"{counted(len(frames), 'segment')} {arrow} {what}")
    return said


def _of_ways(count: Callable[[DirectionFate], int]) -> Callable[[JoinedConnection], str]:
    def cell(connection: JoinedConnection) -> str:
        ways = connection.ways
        numbers = count(ways.originator), count(ways.responder)
        return f"{numbers[0]:,} / {numbers[1]:,}" if any(numbers) else "-"

    return cell


def _if_any(frames: Callable[[DirectionFate], Sequence[int]]) -> Callable[[JoinedConnection], str]:
    return lambda c: "red" if frames(c.ways.originator) or frames(c.ways.responder) else ""


def _delays(connection: JoinedConnection) -> str:
    middles = [None if way.delays is None else way.delays.median_ns
               for way in (connection.ways.originator, connection.ways.responder)]  # fmt: skip
    return " / ".join("-" if one is None else duration(one) for one in middles) if any(middles) else "-"


def _there_and_back(connection: JoinedConnection) -> str:
    return "-" if connection.round_trip_ns is None else duration(connection.round_trip_ns)
