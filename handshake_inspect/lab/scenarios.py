"""The scenarios of the lab: which two programs make which kind of connection, and what an inspector must say of it.

In: nothing. Out: `SCENARIOS`, by name. The expected verdicts follow from what the programs do and from RFC 9293; they
were not copied from this project's engine, which is tested against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from handshake_inspect.lab.echo import (
    EchoPlan,
    ask_and_reset,
    ask_connected_udp,
    ask_tcp,
    ask_udp,
    bind_without_listen,
    listen_deaf,
    serve_nothing_udp,
    serve_nowhere,
    serve_tcp,
    serve_udp,
)
from handshake_inspect.lab.programs import Client, Server
from handshake_inspect.lab.router import NOWHERE, SERVER
from handshake_inspect.lab.world import LabError

States = tuple[str, ...]

OPENED_ACTIVELY: States = ("CLOSED", "SYN-SENT", "ESTABLISHED")
OPENED_PASSIVELY: States = ("LISTEN", "SYN-RECEIVED", "ESTABLISHED")
CLOSED_FIRST: States = ("FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT")
CLOSED_SECOND: States = ("CLOSE-WAIT", "LAST-ACK", "CLOSED")


@dataclass(frozen=True)
class Verdict:
    """What must be found in a capture of a TCP scenario, in the words of the JSON contract."""

    handshake: str
    teardown: str
    #: "originator", "responder" or None.
    closed_first: str | None
    originator: States | None
    responder: States | None


@dataclass(frozen=True)
class Scenario:
    """One kind of connection, made by two programs."""

    name: str
    #: One sentence: what happens, for the list and for the page of the captures.
    shows: str
    server: Server
    client: Client
    plan: EchoPlan
    #: None for UDP, which has no states.
    verdict: Verdict | None
    #: Control bits of the segments from the first FIN or RST on; () if there is none. None: not TCP.
    closing: tuple[str, ...] | None
    #: UDP: datagrams each way and the ICMP error that comes back.
    exchange: str | None = None
    #: Client and server are hosts with a router between them (`router`); else both are on loopback.
    routed: bool = False


FOUR_WAY = Verdict(
    "three-way", "four-way", "originator", OPENED_ACTIVELY + CLOSED_FIRST, OPENED_PASSIVELY + CLOSED_SECOND
)
FOUR_SEGMENTS = ("FIN,ACK", "ACK", "FIN,ACK", "ACK")

ALL = (
    Scenario(
        "four-way",
        "An ordinary echo session; the client closes, the server follows after a pause: FIN, ACK, FIN, ACK.",
        serve_tcp,
        ask_tcp,
        EchoPlan(),
        FOUR_WAY,
        FOUR_SEGMENTS,
    ),
    Scenario(
        "three-segment",
        "The server closes at once when it reads b'': its FIN carries the ACK of the client's.",
        serve_tcp,
        ask_tcp,
        EchoPlan(pause_s=0),
        Verdict(
            "three-way",
            "three-segment",
            "originator",
            (*OPENED_ACTIVELY, "FIN-WAIT-1", "TIME-WAIT"),
            OPENED_PASSIVELY + CLOSED_SECOND,
        ),
        ("FIN,ACK", "FIN,ACK", "ACK"),
    ),
    Scenario(
        "server-first",
        "The server closes first, so TIME-WAIT is the server's.",
        serve_tcp,
        ask_tcp,
        EchoPlan(close_first="server"),
        Verdict(
            "three-way",
            "four-way",
            "responder",
            OPENED_ACTIVELY + CLOSED_SECOND,
            OPENED_PASSIVELY + CLOSED_FIRST,
        ),
        FOUR_SEGMENTS,
    ),
    Scenario(
        "half-close",
        "The client shuts down its sending direction; the server still sends, and closes later.",
        serve_tcp,
        ask_tcp,
        EchoPlan(half_close=True),
        FOUR_WAY,
        ("FIN,ACK", "ACK", "PSH,ACK", "ACK", "FIN,ACK", "ACK"),
    ),
    Scenario(
        "refused",
        "Nobody listens at the port: an RST answers the SYN.",
        bind_without_listen,
        ask_tcp,
        EchoPlan(),
        Verdict("refused", "none", None, ("CLOSED", "SYN-SENT", "CLOSED"), ("CLOSED",)),
        ("RST,ACK",),
    ),
    Scenario(
        "reset",
        "After an echo the client closes with SO_LINGER 0: an RST, and no FIN.",
        serve_tcp,
        ask_and_reset,
        EchoPlan(),
        Verdict("three-way", "aborted", None, (*OPENED_ACTIVELY, "CLOSED"), (*OPENED_PASSIVELY, "CLOSED")),
        ("RST,ACK",),
    ),
    Scenario(
        "unanswered",
        "A filter drops every SYN at the server; the client tries again after 1, 2 and 3 s, then gives up.",
        listen_deaf,
        ask_tcp,
        EchoPlan(timeout_s=3.4),
        Verdict("unanswered", "none", None, ("CLOSED", "SYN-SENT"), None),
        (),
    ),
    Scenario(
        "unreachable",
        "The router has no route to the server's address: an ICMP error that quotes the SYN comes back.",
        serve_nowhere,
        ask_tcp,
        EchoPlan(address=NOWHERE, port=80),
        Verdict("unreachable", "none", None, ("CLOSED", "SYN-SENT"), None),
        (),
        routed=True,
    ),
    Scenario(
        "path-mtu",
        "A segment is too big for a link behind the router: ICMP tells the MTU, and it is sent again in two.",
        serve_tcp,
        ask_tcp,
        EchoPlan(address=SERVER, message=b"bith" * 325),
        FOUR_WAY,
        FOUR_SEGMENTS,
        routed=True,
    ),
    Scenario(
        "ipv6",
        "An ordinary echo session over IPv6.",
        serve_tcp,
        ask_tcp,
        EchoPlan(ipv6=True),
        FOUR_WAY,
        FOUR_SEGMENTS,
    ),
    Scenario(
        "udp",
        "A UDP echo: one datagram each way, no handshake.",
        serve_udp,
        ask_udp,
        EchoPlan(),
        None,
        None,
        "1 datagram, 1 answer",
    ),
    Scenario(
        "udp-unreachable",
        "A datagram to a UDP port at which nobody is: an ICMP error comes back.",
        serve_nothing_udp,
        ask_connected_udp,
        EchoPlan(),
        None,
        None,
        "1 datagram, 0 answers, port unreachable",
    ),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in ALL}


def scenario_named(name: str) -> Scenario:
    """Return the scenario of that name; LabError with the list of names if there is none."""
    if name not in SCENARIOS:
        raise LabError(f"{name}: no such scenario; there are: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
