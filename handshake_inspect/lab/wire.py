"""Two hosts and a wire between them that loses, holds, delays, doubles and reorders segments by rule.

In: nothing; this process is in a private network (`world`) and becomes the client's host. Out: a second host, and a
`Wire` to give rules to, as long as the context lasts:

    client (this process) client0 ─── wire0 relay wire1 ─── server0 server

No tc, nft or ip, no root outside of this network: the relay is a process of ours (`relay`). The offloads of both ends
are off, so that each frame is a segment of the wire with its real checksum.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handshake_inspect.lab.calls import End
from handshake_inspect.lab.hosts import end_hosts, inside, start_host
from handshake_inspect.lab.links import cannot_be_made, configure, join, send_as_on_the_wire
from handshake_inspect.lab.relay import OTHER, RELAYED, Relay
from handshake_inspect.lab.rules import parse_rule
from handshake_inspect.lab.segments import Segment
from handshake_inspect.lab.world import LabError, bring_up

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

CLIENT, SERVER = "198.18.0.1", "198.18.0.2"  # RFC 2544: 198.18.0.0/15 is for tests of devices
INTERFACES: dict[End, str] = {"client": "client0", "server": "server0"}


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


def address_behind_nat(client: str) -> str:
    """Return the address that a NAT on the wire gives the client: one that no end of any wire has."""
    return f"{client.rpartition('.')[0]}.254"


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

    def count(self) -> int:
        """Return how many segments the rule has taken so far."""
        taken: int = self._wire.ask("count", self.number)
        return taken

    def release(self) -> None:
        """Send what it holds, in the order of arrival, and end the rule."""
        self._wire.release(self)

    def lift(self) -> None:
        """End the rule; what it holds is lost."""
        self._wire.ask("lift", self.number)
