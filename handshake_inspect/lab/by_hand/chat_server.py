"""The server of the chat: one UDP socket; what one person says is sent to all others.

In: where to listen, how patient to be, the `Screen`. Out: how many came and how much was said. UDP has no connection
whose end would be told, so there are three ways to learn that somebody left: a LEAVE; an ICMP port unreachable, which
Linux reports on an unconnected socket only if IP_RECVERR asks for it, with the address it is about (ip(7)); and silence
after three questions.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass
from typing import Any

from handshake_inspect.lab.by_hand.chat import Message, decode, why_no_name
from handshake_inspect.lab.by_hand.echo_plans import EchoAddress, Screen
from handshake_inspect.lab.by_hand.echo_server import open_server
from handshake_inspect.lab.by_hand.meanings import meaning
from handshake_inspect.lab.calls import DATAGRAM_OCTETS_MAX, Address, CallError, RecordedSocket, spell_address
from handshake_inspect.lab.world import LabError

#: <linux/in.h>, <linux/in6.h>: report ICMP errors on this socket.
IP_RECVERR, IPV6_RECVERR = 11, 25
#: After so many intervals of silence a member counts as gone.
SILENT_INTERVALS = 3
#: The room is full.
PEOPLE_MAX = 100


@dataclass(frozen=True)
class RoomPlan:
    """How the server behaves."""

    where: EchoAddress
    #: After so much silence somebody is asked whether they are there.
    keep_alive_s: float = 10.0
    #: End when so many have come and all have left again; None: never.
    people: int | None = None


@dataclass
class Member:
    """A person who has joined."""

    name: str
    address: Address
    heard_s: float
    #: When they were asked last whether they are there.
    asked_s: float = 0.0


class Room:
    """The members by address; acts on each datagram that comes."""

    def __init__(self, server: RecordedSocket, plan: RoomPlan, screen: Screen) -> None:
        self.server, self.plan, self.screen = server, plan, screen
        self.people: dict[Address, Member] = {}
        self.came = 0
        self.said = 0

    def run(self) -> None:
        """Serve until the planned number of people has come and gone, for ever without."""
        self.server.wait_at_most(None)
        ask_for_icmp_errors(self.server)
        while self.plan.people is None or self.came < self.plan.people or self.people:
            ready, _, _ = select.select([self.server.real], [], [], self.patience_s())
            if ready:
                self.receive()
            self.ask_the_silent()

    def end(self) -> None:
        """Tell all members that the chat is over."""
        for person in list(self.people.values()):
            self.send(person.address, Message("END"))

    def receive(self) -> None:
        """Receive one datagram and do what it says."""
        try:
            octets, address = self.server.recvfrom()
        except CallError as error:
            self.screen.say(meaning(error, "udp"))
            self.lose_the_unreachable()
            return
        person = self.people.get(address)
        if person is not None:
            person.heard_s = time.monotonic()
        try:
            message = decode(octets)
        except ValueError as error:
            self.screen.say(f"ignored, it is not of the chat: {error}")
            return
        if message.verb == "JOIN":
            self.join(message.text, address)
        elif message.verb not in ("SAY", "LEAVE", "PONG"):
            self.screen.say(f"ignored: only the server says {message.verb}")
        elif person is None:
            self.send(address, Message("REFUSED", "you have not joined, or were taken for gone: join again"))
        elif message.verb == "SAY":
            self.said += 1
            self.tell_others(person, Message("FROM", f"{person.name} {message.text}"))
        elif message.verb == "LEAVE":
            self.remove(person, "LEFT")

    def join(self, name: str, address: Address) -> None:
        """Add a member; asking twice is no error, because the answer may have been lost."""
        here = self.people.get(address)
        if here is None or here.name != name:
            refusal = self.why_not(name, address)
            if refusal:
                self.screen.say(f"refused: {refusal}")
                self.send(address, Message("REFUSED", refusal))
                return
            here = self.people[address] = Member(name, address, time.monotonic())
            self.came += 1
            self.screen.say(f"{name} is {spell_address(address)}")
            self.tell_others(here, Message("JOINED", name))
        others = [person.name for person in self.people.values() if person is not here]
        self.send(address, Message("WELCOME", ", ".join(others)))

    def why_not(self, name: str, address: Address) -> str:
        """Return why a person cannot join; "" if they can."""
        if address in self.people:
            return f"you are {self.people[address].name} already"
        if any(person.name.casefold() == name.casefold() for person in self.people.values()):
            return f"the name {name} is taken"
        return why_no_name(name) or ("the room is full" if len(self.people) >= PEOPLE_MAX else "")

    def tell_others(self, person: Member, message: Message) -> None:
        """Send to all members but one; members that turn out to be gone are removed."""
        for other in list(self.people.values()):
            if other is not person and other.address in self.people:
                self.send(other.address, message)

    def send(self, address: Address, message: Message) -> None:
        """Send one datagram; again after an error that is an older one about another member."""
        for _ in range(2):
            try:
                self.server.sendto(message.encode(), address)
            except CallError:
                self.lose_the_unreachable()
            else:
                self.lose_the_unreachable()
                return

    def remove(self, person: Member, how: str) -> None:
        """Remove a member, and tell the others how they left."""
        del self.people[person.address]
        self.tell_others(person, Message("LEFT" if how == "LEFT" else "VANISHED", person.name))

    def lose_the_unreachable(self) -> None:
        """Remove the members whose port an ICMP error reports as unreachable."""
        while (address := next_unreachable(self.server)) is not None:
            person = self.people.get(address)
            if person is not None:
                self.screen.say(f"{person.name} has vanished: {spell_address(address)} is unreachable, says ICMP")
                self.remove(person, "VANISHED")

    def ask_the_silent(self) -> None:
        """Ask the members that were silent for a while; remove those that have not answered."""
        now_s = time.monotonic()
        for person in list(self.people.values()):
            silent_s = now_s - person.heard_s
            if person.address not in self.people:
                continue  # found to be gone meanwhile
            if silent_s >= SILENT_INTERVALS * self.plan.keep_alive_s:
                self.screen.say(f"{person.name} has vanished: nothing heard for {silent_s:.1f} s")
                self.remove(person, "VANISHED")
            elif now_s >= self.next_question_s(person):
                person.asked_s = now_s
                self.send(person.address, Message("PING"))

    def next_question_s(self, person: Member) -> float:
        """Return when the next member must be asked, on the clock of `time.monotonic`."""
        return max(person.heard_s, person.asked_s) + self.plan.keep_alive_s

    def patience_s(self) -> float | None:
        """Return how long to wait for a datagram before there is something else to do."""
        due = [self.next_question_s(person) for person in self.people.values()]
        return max(min(due) - time.monotonic(), 0) if due else None


def serve_chat(plan: RoomPlan, screen: Screen) -> tuple[int, int]:
    """Serve until the plan or Ctrl-C ends it. Returns how many came, and how many things were said."""
    with open_server(plan.where, screen) as server:
        room = Room(server, plan, screen)
        try:
            room.run()
        except KeyboardInterrupt:
            room.end()
        except CallError as error:
            raise LabError(f"{error}: {meaning(error, 'udp')}") from error
        return room.came, room.said


def ask_for_icmp_errors(server: RecordedSocket) -> None:
    """Have ICMP errors reported, where the system can say whom they are about."""
    if hasattr(socket, "MSG_ERRQUEUE"):
        if server.real.family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR, 1")
        else:
            server.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR, 1")


def next_unreachable(server: RecordedSocket) -> Address | None:
    """Return the address that the next ICMP error of the socket's queue is about; None if there is none."""
    if not hasattr(socket, "MSG_ERRQUEUE"):
        return None
    poll = select.poll()
    poll.register(server.real, 0)
    if not poll.poll(0):
        return None

    def receive_error() -> Any:
        return server.real.recvmsg(DATAGRAM_OCTETS_MAX, 512, socket.MSG_ERRQUEUE)

    try:
        error = server.call("recvmsg", "MSG_ERRQUEUE", receive_error, lambda it: f"about {spell_address(it[3])}")
    except CallError:  # EAGAIN: it was no ICMP error
        return None
    host, port, *_ = error[3]
    return host, port
