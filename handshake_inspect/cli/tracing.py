"""Socket calls from a log of strace for the ladders: the connection of each, and remarks about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from handshake_inspect.capture.records import CaptureError, RawFrame
from handshake_inspect.cli.ladders import Scene, print_ladders
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.connections.connection import Connection, Step
from handshake_inspect.inspection import Inspection
from handshake_inspect.lab.calls import SocketCall
from handshake_inspect.lab.strace.beside import Attribution, attribute
from handshake_inspect.lab.strace.log import SocketLog
from handshake_inspect.lab.strace.spelling import spelled
from handshake_inspect.quantities import counted, listed
from handshake_inspect.views.ladder import LadderOptions
from handshake_inspect.views.words import moment


def print_traced(
    inspection: Inspection,
    frames: Sequence[RawFrame],
    log: SocketLog,
    options: LadderOptions,
    *,
    title: str,
    dropped: int,
) -> None:
    """Print the ladders of a command that was watched in a private network, with its socket calls in both lanes."""

    def steps_of(connection: Connection) -> Sequence[Step]:
        with suppress(CaptureError):  # of so long a connection that its segments were folded
            return inspection.steps(connection.stream)
        return ()

    def calls_of(connection: Connection) -> Sequence[SocketCall]:
        return found.calls_of(connection, steps_of(connection))

    found = attribute(log.sockets, inspection.connections, steps_of)
    print_ladders(Scene(title, "lo of a private network", inspection, frames, dropped, calls_of), options)
    if not log.sockets:
        remark(f"{title} made no call on a TCP socket")
        return
    for line in [*unreachable(found), *remarks_on(log, found, inspection.connections, is_ours=True)]:
        remark(line)


def unreachable(found: Attribution) -> Iterator[str]:
    """Yield a line if a command tried to connect to an address outside its private network."""
    openers = [socket.opener for socket in found.strangers]
    outside = {spelled(call).text for call in openers if call is not None and call.error == "ENETUNREACH"}
    if outside:
        yield f"{listed(sorted(outside))}: ENETUNREACH: nobody is in this private network but its own loopback"


def beside(log: SocketLog, connections: Sequence[Connection]) -> tuple[Attribution, list[str]]:
    """Find the connections of a log's sockets; return also the remarks, one line each."""
    found = attribute(log.sockets, connections)
    return found, list(remarks_on(log, found, connections))


def remarks_on(
    log: SocketLog, found: Attribution, connections: Sequence[Connection], *, is_ours: bool = False
) -> Iterator[str]:
    """Yield remarks: what was not read, which calls belong to no connection, what was guessed.

    `is_ours`: nobody is asked to record a log otherwise that we recorded.
    """
    if log.unread:
        yield f"{log.name}: {counted(len(log.unread), 'line')} could not be read (the first: {log.unread[0]})"
    if not log.sockets:
        yield f"{log.name}: there is no call on a TCP socket in it: was it recorded with -e trace=network,close?"
        return
    first_ns = min((one.first_ns for one in connections), default=0)
    last_ns = max((one.last_ns for one in connections), default=0)
    if connections and (log.last_ns < first_ns or log.first_ns > last_ns):
        yield (
            f"{log.name}: it is of another time ({moment(log.first_ns, 'utc')}) than the capture "
            f"({moment(first_ns, 'utc')}): none of its calls can belong to it"
        )
        return
    calls = sum(len(socket.calls) for socket in found.strangers)
    if calls:
        sockets = counted(len(found.strangers), "socket")
        yield f"{log.name}: {counted(calls, 'call')} on {sockets} belong to no connection of the capture"
    if found.guesses:
        yield (
            f"{log.name}: {counted(found.guesses, 'client')} may have been another connection's: several connected "
            f"at once, and the log does not tell their ports{'' if is_ours else '; record with strace -yy'}"
        )
    if not log.has_durations and not is_ours:
        yield (
            f"{log.name}: it does not tell how long calls took: one that waits is shown as returned when the next line "
            "begins; record with strace -T"
        )
