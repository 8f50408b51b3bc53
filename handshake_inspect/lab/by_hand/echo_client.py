"""The echo client by hand: it says lines, typed or given, hears their echo, and closes as it was told.

In: a `ClientPlan`, the `Lines` to say, the `Screen` that is told of every call, and who takes the echo. Out: nothing;
LabError where the server refuses, resets or is silent. How it closes is in `closing`. While nobody types, the socket is
watched: a server that closes is noticed at once.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from handshake_inspect.lab.by_hand.closing import close
from handshake_inspect.lab.by_hand.echo_plans import ClientPlan, Lines, Screen
from handshake_inspect.lab.by_hand.meanings import NO_SOCKET, STILL_OPEN, end_of_stream, explained, has_timed_out
from handshake_inspect.lab.calls import DATAGRAM_OCTETS_MAX, CallError, RecordedSocket
from handshake_inspect.lab.echo import MESSAGE_OCTETS_MAX
from handshake_inspect.lab.world import LabError

Hear = Callable[[bytes], object]


def ask(plan: ClientPlan, lines: Lines, screen: Screen, hear: Hear) -> None:
    """Connect, send every line and receive its echo, then close."""
    transport = plan.where.transport
    try:
        with plan.where.open("client", screen, plan.timeout_s) as connection:
            take_source_port(connection, plan)
            connection.connect(plan.where.address)
            if transport == "udp":
                screen.say("UDP: connect() has sent nothing; it only says where send() goes and who may answer")
                ask_datagrams(connection, plan, lines, hear)
            else:
                ask_stream(connection, plan, lines, screen, hear)
    except CallError as error:
        if error.result == "ECONNREFUSED" and transport == "unix" and not Path(str(plan.where.address)).is_socket():
            raise LabError(f"{error}: {NO_SOCKET}") from error
        raise LabError(explained(error, transport)) from error


def take_source_port(connection: RecordedSocket, plan: ClientPlan) -> None:
    """Bind the client's own port if one is asked for; SO_REUSEADDR, as it may be in TIME-WAIT."""
    if plan.source_port:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1, "SO_REUSEADDR, 1")
        connection.bind(("::" if plan.where.family == socket.AF_INET6 else "0.0.0.0", plan.source_port))


def ask_stream(connection: RecordedSocket, plan: ClientPlan, lines: Lines, screen: Screen, hear: Hear) -> None:
    """Send lines over a connection until they end, or until the server closes."""
    said = 0
    is_closed = False
    while not is_closed and (what := lines.wait(connection)) != "end":
        if what == "socket":
            is_closed = not hear_more(connection, hear)
            continue
        line = lines.take()
        if not line:
            screen.say("an empty line is no octet: a stream has nothing to send for it")
            continue
        time.sleep(plan.delay_s)
        connection.send(checked(line))
        said += len(line)
        is_closed = not hear_all(connection, len(line), hear)
    if plan.close_second and not is_closed:
        hear_until_closed(connection, hear)
        is_closed = True
    if is_closed:
        screen.say(f"the server has closed: {end_of_stream(plan.where.transport)}")
    elif plan.half_close and not plan.reset:
        listen_on(connection, plan, screen, hear)
        return
    close(connection, plan, said, is_first=not is_closed)


def hear_more(connection: RecordedSocket, hear: Hear) -> bool:
    """Receive once and pass it on; False if the other end has closed."""
    received = connection.recv()
    if received:
        hear(received)
    return bool(received)


def hear_until_closed(connection: RecordedSocket, hear: Hear) -> None:
    """Receive until the server closes first. LabError with the option for that if it does not."""
    try:
        while hear_more(connection, hear):
            pass
    except CallError as error:
        if has_timed_out(error):
            raise LabError(f"{error}: {STILL_OPEN}") from error
        raise


def hear_all(connection: RecordedSocket, octets: int, hear: Hear) -> bool:
    """Receive the echo of so many octets, in as many parts as it comes in; False if the other end closed before."""
    heard = b""
    while len(heard) < octets:
        received = connection.recv()
        if not received:
            break
        heard += received
    if heard:
        hear(heard)
    return len(heard) >= octets


def listen_on(connection: RecordedSocket, plan: ClientPlan, screen: Screen, hear: Hear) -> None:
    """Close the sending direction only, and receive what the server still sends."""
    time.sleep(plan.delay_s)
    connection.shutdown()
    screen.say("our sending direction is closed: we say no more, and still listen")
    while hear_more(connection, hear):
        pass
    screen.say(f"the server has closed too: {end_of_stream(plan.where.transport)}")
    connection.close()


def ask_datagrams(connection: RecordedSocket, plan: ClientPlan, lines: Lines, hear: Hear) -> None:
    """Send each line as a datagram of its own, and wait for one back. There is nothing to close but the socket."""
    while (what := lines.wait(connection)) != "end":
        if what == "line":
            time.sleep(plan.delay_s)
            connection.send_datagram(checked(lines.take()))
        hear(connection.recv(DATAGRAM_OCTETS_MAX))


def checked(line: bytes) -> bytes:
    """Return the line if both ends can hold it without waiting for each other."""
    if len(line) > MESSAGE_OCTETS_MAX:
        raise LabError(f"a line of {len(line):,} octets: a message may have {MESSAGE_OCTETS_MAX:,} at most")
    return line
