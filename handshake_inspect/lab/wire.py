"""Two hosts and a wire between them that loses, holds, delays, doubles and reorders segments by rule.

In: nothing; this process is in a private network (`world`) and becomes the client's host. Out: a second host, and a
`Wire` to give rules to, as long as the context lasts:

    client (this process) client0 ─── wire0 relay wire1 ─── server0 server

The relay is a process that copies frames between two packet sockets (packet(7)): no tc, nft or ip, no root outside of
this network, about 15 µs more per segment. It sees whole frames with real checksums: the offloads of both ends are off.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import secrets
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handshake_inspect.lab.calls import End
from handshake_inspect.lab.hosts import end_hosts, inside, start_host
from handshake_inspect.lab.links import cannot_be_made, configure, join, send_as_on_the_wire
from handshake_inspect.lab.rules import Rule, parse_rule
from handshake_inspect.lab.segments import Segment, segment_of
from handshake_inspect.lab.world import LabError, bring_up

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

CLIENT, SERVER = "198.18.0.1", "198.18.0.2"  # RFC 2544: 198.18.0.0/15 is for tests of devices
INTERFACES: dict[End, str] = {"client": "client0", "server": "server0"}
RELAYED: dict[str, End] = {"wire0": "client", "wire1": "server"}
OTHER: dict[End, End] = {"client": "server", "server": "client"}

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
FRAME_OCTETS_MAX = 1 << 17
#: How long a script waits for segments that a rule is to catch.
CATCH_LIMIT_S = 10.0


@contextmanager
def two_hosts(client: str = CLIENT, server: str = SERVER) -> Iterator[tuple[int, Wire]]:
    """Set both hosts and the wire up; give the process id of the server's host, and the wire. Raises LabError."""
    from multiprocessing import Pipe  # few who import this module make a wire

    ours, theirs = Pipe()
    hosts: list[int] = []
    with ours, theirs:
        try:
            try:
                hosts.append(start_host())
                hosts.append(start_host(lambda: Relay(theirs).run()))
                server_host, relay = hosts
                join(INTERFACES["client"], "wire0", relay)
                with inside(relay):
                    join("wire1", INTERFACES["server"], server_host)
                    for interface in RELAYED:
                        keep_quiet(interface)
                        bring_up(interface)
                with inside(server_host):
                    be_an_end(INTERFACES["server"], server)
                be_an_end(INTERFACES["client"], client)
            except OSError as error:
                raise cannot_be_made("a wire between two hosts", error) from error
            wire = Wire(ours)
            wire.start()
            yield server_host, wire
        finally:
            end_hosts(hosts)


def addresses(*, of_its_own: bool) -> tuple[str, str]:
    """Return the addresses of client and server; a pair that no other wire has, if that is wanted."""
    if not of_its_own:
        return CLIENT, SERVER
    network = f"198.{18 + secrets.randbelow(2)}.{1 + secrets.randbelow(254)}"
    host = 1 + secrets.randbelow(126)
    return f"{network}.{2 * host - 1}", f"{network}.{2 * host}"


def be_an_end(interface: str, address: str) -> None:
    """Make an interface the end of the wire: addressed, up, and with nothing left to a card that is none."""
    keep_quiet(interface)
    configure(interface, address)
    send_as_on_the_wire(interface)


def keep_quiet(interface: str) -> None:
    """Keep IPv6 from announcing itself on a link that has only IPv4."""
    with contextlib.suppress(FileNotFoundError):  # no IPv6 in this kernel
        Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").write_text("1")


class Wire:
    """The handle of a script to its wire."""

    def __init__(self, control: Connection) -> None:
        self._control = control

    def start(self) -> None:
        """Let the relay begin: both ends of the wire are there."""
        self.ask("start")

    def rule(self, text: str) -> InEffect:
        """Put a rule in force (see `rules`); the first one that takes a segment and does not let it pass decides."""
        return InEffect(self, self.ask("rule", parse_rule(text)), text)

    def send(self, frame: bytes, to: End) -> None:
        """Put a frame on the wire that no host sent."""
        self.ask("send", frame, to)

    def release(self, *rules: InEffect) -> None:
        """Send what several rules hold, at one moment: before anybody can have answered. It ends them."""
        self.ask("release", *(rule.number for rule in rules))

    def cut(self) -> tuple[InEffect, ...]:
        """Lose every segment from now on, in both directions."""
        return tuple(self.rule(f"drop every segment from {end}") for end in OTHER)

    def ask(self, what: str, *details: object) -> Any:
        """Ask the relay for something and wait for its answer."""
        try:
            self._control.send((what, details))
            return self._control.recv()
        except (EOFError, OSError) as error:
            raise LabError("the wire has gone: its relay ended") from error


class InEffect:
    """A rule that is in force on a wire."""

    def __init__(self, wire: Wire, number: int, text: str) -> None:
        self._wire, self.number, self.text = wire, number, text

    def wait(self, count: int = 1) -> list[Segment]:
        """Wait until the rule has taken `count` segments, and return them. LabError if they do not come."""
        taken: list[Segment] = self._wire.ask("wait", self.number, count)
        if len(taken) < count:
            raise LabError(f"the wire waited in vain for what its rule is about: {self.text}")
        return taken

    def release(self) -> None:
        """Send what it holds, in the order of arrival, and end the rule."""
        self._wire.release(self)

    def lift(self) -> None:
        """End the rule; what it holds is lost."""
        self._wire.ask("lift", self.number)


@dataclass
class InForce:
    """A rule of a running relay, what it has counted, and what it has taken."""

    rule: Rule
    counted: int = 0
    taken: list[Segment] = field(default_factory=list)
    held: list[tuple[bytes, End]] = field(default_factory=list)


@dataclass
class Waiting:
    """A script that waits for a rule to take segments."""

    rule: InForce
    count: int
    until_s: float


class Relay:
    """The process in the middle: frames in at one end, out at the other, and rules between."""

    def __init__(self, control: Connection) -> None:
        self._control = control
        self._ends: dict[End, socket.socket] = {}
        self._rules: dict[int, InForce] = {}
        self._numbers = itertools.count()
        #: Frames to be sent later: (when, order, octets, receiver).
        self._later: list[tuple[float, int, bytes, End]] = []
        self._waiting: Waiting | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Relay, and do what the script asks, until it has gone."""
        self._selector.register(self._control, selectors.EVENT_READ, None)
        while True:
            for key, _ in self._selector.select(self._patience_s()):
                if key.data is not None:
                    self._pass_on(key.fileobj, key.data)
                elif not self._obey():
                    return
            self._send_what_is_due()
            self._answer_who_waits()

    def _patience_s(self) -> float | None:
        moments = [self._later[0][0]] if self._later else []
        moments += [self._waiting.until_s] if self._waiting else []
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _pass_on(self, source: Any, sender: End) -> None:
        while True:
            try:
                frame = source.recv(FRAME_OCTETS_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            segment = segment_of(frame)
            entry = None if segment is None else self._rule_for(segment, sender)
            if entry is None:
                self._send(frame, OTHER[sender])
                if segment is not None:
                    self._let_overtaken_go(sender)
            else:
                self._apply(entry, frame, sender)

    def _rule_for(self, segment: Segment, sender: End) -> InForce | None:
        """Count a segment in every rule that is about it; return the first that takes it and does not let it pass."""
        taker = None
        for entry in self._rules.values():
            if entry.rule.is_about(segment, sender):
                entry.counted += 1
                takes = entry.rule.takes(entry.counted)
                if takes and entry.rule.action == "pass":
                    entry.taken.append(segment)
                elif takes and taker is None:
                    taker = entry
        if taker is not None:
            taker.taken.append(segment)
        return taker

    def _apply(self, entry: InForce, frame: bytes, sender: End) -> None:
        rule, receiver = entry.rule, OTHER[sender]
        if rule.action in ("duplicate", "keep"):
            self._send(frame, receiver)
        if rule.action in ("delay", "duplicate"):
            heapq.heappush(self._later, (time.monotonic() + rule.delay_s, next(self._numbers), frame, receiver))
        elif rule.action in ("hold", "swap", "keep"):
            entry.held.append((frame, receiver))

    def _let_overtaken_go(self, sender: End) -> None:
        for entry in self._rules.values():
            if entry.rule.action == "swap" and entry.rule.sender == sender:
                self._let_go(entry)

    def _let_go(self, entry: InForce) -> None:
        for frame, receiver in entry.held:
            self._send(frame, receiver)
        entry.held.clear()

    def _send_what_is_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, frame, receiver = heapq.heappop(self._later)
            self._send(frame, receiver)

    def _send(self, frame: bytes, receiver: End) -> None:
        with contextlib.suppress(OSError):  # an end that is down or full loses the frame, as a wire does
            self._ends[receiver].send(frame)

    def _obey(self) -> bool:
        """Do what the script asks; False when it has gone."""
        try:
            what, details = self._control.recv()
        except EOFError:
            return False
        if what == "wait":  # answered later
            number, count = details
            self._waiting = Waiting(self._rules[number], count, time.monotonic() + CATCH_LIMIT_S)
            return True
        ways: dict[str, Callable[..., object]] = {
            "start": self._open_both_ends,
            "rule": self._add,
            "send": self._send,
            "release": self._release,
            "lift": self._lift,
        }
        answer = ways[what](*details)
        self._control.send(answer)
        return True

    def _add(self, rule: Rule) -> int:
        number = next(self._numbers)
        self._rules[number] = InForce(rule)
        return number

    def _release(self, *numbers: int) -> None:
        for number in numbers:
            self._let_go(self._rules.pop(number))

    def _lift(self, number: int) -> None:
        del self._rules[number]

    def _open_both_ends(self) -> None:
        for interface, end in RELAYED.items():
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            opened.bind((interface, 0))
            self._ends[end] = opened
            self._selector.register(opened, selectors.EVENT_READ, end)

    def _answer_who_waits(self) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        if len(waiting.rule.taken) >= waiting.count or time.monotonic() >= waiting.until_s:
            self._waiting = None
            self._control.send(waiting.rule.taken)
