"""One person in the chat: says lines, shows what the others say, and leaves with a word.

In: a `GuestPlan`, the `Lines` to say, the `Screen` for the calls, and who shows the talk. Out: nothing; LabError where
the name is refused or nobody answers. The socket is connected, so that ICMP port unreachable, UDP's only refusal,
reaches the program as ECONNREFUSED.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from handshake_inspect.lab.by_hand.chat import TEXT_OCTETS_MAX, Message, decode, why_no_name
from handshake_inspect.lab.by_hand.echo_plans import EchoAddress, Lines, Screen
from handshake_inspect.lab.by_hand.meanings import explained
from handshake_inspect.lab.calls import DATAGRAM_OCTETS_MAX, CallError, RecordedSocket
from handshake_inspect.lab.world import LabError

#: JOIN or its answer may be lost: it is sent so often, so far apart.
JOIN_ATTEMPTS = 4
JOIN_INTERVAL_S = 1.0

Show = Callable[[str], object]
NEWS = {"JOINED": "has joined", "LEFT": "has left", "VANISHED": "has vanished without a word"}


@dataclass(frozen=True)
class GuestPlan:
    """Who joins, where, and how long they listen after the last line of a pipe."""

    where: EchoAddress
    name: str
    stay_s: float = 0.0


def join_chat(plan: GuestPlan, lines: Lines, screen: Screen, show: Show) -> None:
    """Join, talk until `/quit`, the end of the lines or Ctrl-C, and leave."""
    if why_no_name(plan.name):
        raise LabError(f"{plan.name!r}: {why_no_name(plan.name)}")
    try:
        with plan.where.open("client", screen, None) as connection:
            connection.connect(plan.where.address)
            enter(connection, plan.name, show)
            is_over = False
            try:
                is_over = talk(connection, plan, lines, show)
            finally:
                if not is_over:
                    with contextlib.suppress(CallError):  # what went wrong before is on its way already
                        connection.send(Message("LEAVE").encode())
    except CallError as error:
        raise LabError(explained(error, "udp")) from error


def enter(connection: RecordedSocket, name: str, show: Show) -> None:
    """Ask to join, several times if necessary. Raises LabError if that is refused or not answered."""
    for _ in range(JOIN_ATTEMPTS):
        connection.send(Message("JOIN", name).encode())
        deadline_s = time.monotonic() + JOIN_INTERVAL_S
        while wait_for(connection, deadline_s):
            message = hear(connection)
            if message is None:
                continue
            if message.verb == "REFUSED":
                raise LabError(f"the server does not let {name} in: {message.text}")
            if message.verb == "WELCOME":
                show(
                    f"* welcome, {name}; here are: {message.text}"
                    if message.text
                    else f"* welcome, {name}; you are alone"
                )
                return
    waited_s = JOIN_ATTEMPTS * JOIN_INTERVAL_S
    raise LabError(
        f"nobody answered {JOIN_ATTEMPTS} JOINs in {waited_s:g} s: is it a chat server, and does it get them?"
    )


def talk(connection: RecordedSocket, plan: GuestPlan, lines: Lines, show: Show) -> bool:
    """Send lines and show messages until the lines end; True if the server has ended the chat."""
    leaves_s: float | None = None
    while True:
        what = lines.wait(connection) if leaves_s is None else wait_for(connection, leaves_s)
        if what == "socket":
            message = hear(connection)
            if message is not None and react(connection, message, show):
                return True
        elif what == "line":
            line = lines.take()
            if line == b"/quit":
                return False
            say(connection, line, show)
        elif leaves_s is None:
            leaves_s = time.monotonic() + plan.stay_s
        else:
            return False


def say(connection: RecordedSocket, line: bytes, show: Show) -> None:
    """Send one line, if it is one."""
    if len(line) > TEXT_OCTETS_MAX:
        show(f"* not sent: {len(line):,} octets are too long, {TEXT_OCTETS_MAX:,} go into a datagram of the chat")
    elif line.strip():
        connection.send(Message("SAY", line.decode("utf-8", "replace")).encode())


def react(connection: RecordedSocket, message: Message, show: Show) -> bool:
    """React to a message; True if it was the last."""
    if message.verb == "PING":
        connection.send(Message("PONG").encode())
    elif message.verb == "FROM":
        name, said = message.speaker
        show(f"{name}: {said}")
    elif message.verb in NEWS:
        show(f"* {message.text} {NEWS[message.verb]}")
    elif message.verb == "REFUSED":
        raise LabError(f"the server says: {message.text}")
    elif message.verb == "END":
        show("* the server has ended the chat")
    return message.verb == "END"


def hear(connection: RecordedSocket) -> Message | None:
    """Receive one datagram; None if it is not of the chat."""
    octets = connection.recv(DATAGRAM_OCTETS_MAX)
    with contextlib.suppress(ValueError):
        return decode(octets)
    return None


def wait_for(connection: RecordedSocket, deadline_s: float) -> Literal["socket", ""]:
    """Wait for a datagram until a moment on the clock of `time.monotonic`."""
    ready, _, _ = select.select([connection.real], [], [], max(deadline_s - time.monotonic(), 0))
    return "socket" if ready else ""
