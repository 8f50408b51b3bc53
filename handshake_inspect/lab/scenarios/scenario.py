"""What a scenario of the lab is: who performs it, where, and what an inspector must say of it.

The expected verdicts follow from what the programs do and from RFC 9293; they were not copied from this project's
engine, which is tested against them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.calls import End
from handshake_inspect.lab.echo import EchoPlan
from handshake_inspect.lab.programs import Client, Server

States = tuple[str, ...]
#: Where a scenario takes place: on loopback; on two hosts with a `wire`; on two hosts with a `router` between them.
Network = Literal["loopback", "wire", "router"]
Script = Callable[[Bench], None]

OPENED_ACTIVELY: States = ("CLOSED", "SYN-SENT", "ESTABLISHED")
OPENED_PASSIVELY: States = ("LISTEN", "SYN-RECEIVED", "ESTABLISHED")
CLOSED_FIRST: States = ("FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT")
CLOSED_SECOND: States = ("CLOSE-WAIT", "LAST-ACK", "CLOSED")


@dataclass(frozen=True)
class Verdict:
    """What must be found of one TCP connection, in the words of the JSON contract."""

    handshake: str
    teardown: str
    #: "originator", "responder", "both" or None.
    closed_first: str | None
    originator: States | None
    responder: States | None
    #: More of the JSON, by path: {"handshake.syn_retransmissions": 1}.
    also: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Programs:
    """Two programs as two processes, and their plan."""

    server: Server
    client: Client
    plan: EchoPlan = field(default_factory=EchoPlan)


@dataclass(frozen=True)
class Scenario:
    """One kind of connection, made by real sockets."""

    name: str
    #: One sentence: what happens, for the list and for the page of the captures.
    shows: str
    performance: Programs | Script
    #: What to look for in the ladder, one or two sentences.
    look_for: str = ""
    #: The legal outcomes, each with one verdict per TCP connection in order of `stream`. More than one where the kernel
    #: decides a race. None: not known of another plan than the scenario's own; (): no TCP.
    outcomes: tuple[tuple[Verdict, ...], ...] | None = ()
    #: The same at the server's end of a wire, where not every segment of the client's end was seen. None: no different.
    server_outcomes: tuple[tuple[Verdict, ...], ...] | None = None
    network: Network = "loopback"
    #: The end of the wire at which it shows best.
    seen_at: End = "client"
    #: Control bits of the segments from the first FIN or RST on, for scenarios of which the machine's load may change
    #: the shape; None: any.
    closing: tuple[str, ...] | None = None
    #: UDP: datagrams each way and the ICMP error that comes back.
    exchange: str | None = None
    #: Octets of each frame that a recording keeps; the rest is only counted.
    snap_octets: int = 65535
    #: Among the segments of an end are some that it never sent: what one direction alone shows may be a lie.
    has_forgeries: bool = False
    #: On loopback: captured as it leaves and as it arrives (`plain`), not once.
    is_seen_twice: bool = False

    @property
    def plan(self) -> EchoPlan:
        """The plan of its two programs; a script has none, and gives the default."""
        return self.performance.plan if isinstance(self.performance, Programs) else EchoPlan()

    @property
    def has_tcp(self) -> bool:
        """Does it make TCP connections? Only they have segments and states."""
        return self.outcomes != ()

    def outcomes_at(self, vantage: str) -> tuple[tuple[Verdict, ...], ...] | None:
        """Return the legal outcomes at a vantage point, by its name."""
        return self.outcomes if vantage != "server" or self.server_outcomes is None else self.server_outcomes


FOUR_WAY = Verdict(
    "three-way", "four-way", "originator", OPENED_ACTIVELY + CLOSED_FIRST, OPENED_PASSIVELY + CLOSED_SECOND
)


@dataclass
class Chapter:
    """Scenarios that belong together, in the order in which a learner would meet them."""

    title: str
    scenarios: list[Scenario] = field(default_factory=list)
    #: See `Scenario`.
    has_forgeries: bool = False

    def script(
        self,
        name: str,
        *outcomes: Verdict | tuple[Verdict, ...],
        look_for: str,
        server_outcomes: tuple[Verdict | tuple[Verdict, ...], ...] | None = None,
        network: Network = "wire",
        seen_at: End = "client",
        snap_octets: int = 65535,
        is_seen_twice: bool = False,
    ) -> Callable[[Script], Script]:
        """Make a scenario of a script, whose docstring is the sentence that says what it shows.

        Each of `outcomes` is a legal one: the verdict of the one connection, or of each in order of `stream`; so are
        `server_outcomes`, for the server's end of the wire, where they differ.
        """

        def add(script: Script) -> Script:
            self.scenarios.append(
                Scenario(
                    name=name,
                    shows=" ".join((script.__doc__ or "").split()),
                    performance=script,
                    look_for=look_for,
                    outcomes=as_outcomes(outcomes),
                    server_outcomes=None if server_outcomes is None else as_outcomes(server_outcomes),
                    network=network,
                    seen_at=seen_at,
                    snap_octets=snap_octets,
                    has_forgeries=self.has_forgeries,
                    is_seen_twice=is_seen_twice,
                )
            )
            return script

        return add


def as_outcomes(outcomes: tuple[Verdict | tuple[Verdict, ...], ...]) -> tuple[tuple[Verdict, ...], ...]:
    """Return outcomes each with its verdicts in order of `stream`; one verdict alone is that of the one connection."""
    return tuple(one if isinstance(one, tuple) else (one,) for one in outcomes)
