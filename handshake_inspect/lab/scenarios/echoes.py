"""The two programs of the echo in all their plans: ordinary sessions, and what keeps them from being ordinary."""

from __future__ import annotations

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
from handshake_inspect.lab.router import NOWHERE, SERVER
from handshake_inspect.lab.scenarios.scenario import (
    CLOSED_FIRST,
    CLOSED_SECOND,
    FOUR_WAY,
    OPENED_ACTIVELY,
    OPENED_PASSIVELY,
    Chapter,
    Programs,
    Scenario,
    Verdict,
)

FOUR_SEGMENTS = ("FIN,ACK", "ACK", "FIN,ACK", "ACK")
THREE_SEGMENTS = Verdict(
    "three-way",
    "three-segment",
    "originator",
    (*OPENED_ACTIVELY, "FIN-WAIT-1", "TIME-WAIT"),
    OPENED_PASSIVELY + CLOSED_SECOND,
)
SERVER_FIRST = Verdict(
    "three-way", "four-way", "responder", OPENED_ACTIVELY + CLOSED_SECOND, OPENED_PASSIVELY + CLOSED_FIRST
)
REFUSED = Verdict("refused", "none", None, ("CLOSED", "SYN-SENT", "CLOSED"), ("CLOSED",))
ABORTED = Verdict("three-way", "aborted", None, (*OPENED_ACTIVELY, "CLOSED"), (*OPENED_PASSIVELY, "CLOSED"))
UNANSWERED = Verdict("unanswered", "none", None, ("CLOSED", "SYN-SENT"), None)
UNREACHABLE = Verdict("unreachable", "none", None, ("CLOSED", "SYN-SENT"), None)

CHAPTER = Chapter(
    "Two echo programs",
    [
        Scenario(
            "four-way",
            "An ordinary echo session; the client closes, the server follows after a pause: FIN, ACK, FIN, ACK.",
            Programs(serve_tcp, ask_tcp),
            look_for=(
                "Four segments close it, two for each direction. The end that closes first goes through FIN-WAIT-1 "
                "and FIN-WAIT-2 and owes TIME-WAIT; the other waits in CLOSE-WAIT until its program calls close()."
            ),
            outcomes=((FOUR_WAY,),),
            closing=FOUR_SEGMENTS,
        ),
        Scenario(
            "three-segment",
            "The server closes at once when it reads b'': its FIN carries the ACK of the client's.",
            Programs(serve_tcp, ask_tcp, EchoPlan(pause_s=0)),
            look_for=(
                "The client's state goes from FIN-WAIT-1 to TIME-WAIT in one step: one segment is both the ACK "
                "of its FIN and the FIN of the server (RFC 9293 Figure 5, note 2)."
            ),
            outcomes=((THREE_SEGMENTS,),),
            closing=("FIN,ACK", "FIN,ACK", "ACK"),
        ),
        Scenario(
            "server-first",
            "The server closes first, so TIME-WAIT is the server's.",
            Programs(serve_tcp, ask_tcp, EchoPlan(close_first="server")),
            look_for=(
                "The same four segments with the roles changed: now the server owes TIME-WAIT, and a restart on "
                "the same port would meet it."
            ),
            outcomes=((SERVER_FIRST,),),
            closing=FOUR_SEGMENTS,
        ),
        Scenario(
            "half-close",
            "The client shuts down its sending direction; the server still sends, and closes later.",
            Programs(serve_tcp, ask_tcp, EchoPlan(half_close=True)),
            look_for=(
                "After the client's FIN data still flow to the client, and are acknowledged: w = v + the octets "
                "sent while half-closed."
            ),
            outcomes=((FOUR_WAY,),),
            closing=("FIN,ACK", "ACK", "PSH,ACK", "ACK", "FIN,ACK", "ACK"),
        ),
        Scenario(
            "refused",
            "Nobody listens at the port: an RST answers the SYN.",
            Programs(bind_without_listen, ask_tcp),
            look_for=(
                "The RST carries ack = x + 1: only so does SYN-SENT believe it (RFC 9293 §3.10.7.3). connect() "
                "fails with ECONNREFUSED at once."
            ),
            outcomes=((REFUSED,),),
            closing=("RST,ACK",),
        ),
        Scenario(
            "reset",
            "After an echo the client closes with SO_LINGER 0: an RST, and no FIN.",
            Programs(serve_tcp, ask_and_reset),
            look_for=(
                "The RST needs no answer and leaves no TIME-WAIT; both ends are CLOSED at once, and the server's "
                "recv() fails with ECONNRESET."
            ),
            outcomes=((ABORTED,),),
            closing=("RST,ACK",),
        ),
        Scenario(
            "unanswered",
            "A filter drops every SYN at the server; the client tries again after 1, 2 and 3 s, then gives up.",
            Programs(listen_deaf, ask_tcp, EchoPlan(timeout_s=3.4)),
            look_for=(
                "The same SYN with the same number again and again, at 1, 2, 3 s (Linux since 6.5): silence is a "
                "filter, a closed port would answer."
            ),
            outcomes=((UNANSWERED,),),
            closing=(),
        ),
        Scenario(
            "unreachable",
            "The router has no route to the server's address: an ICMP error that quotes the SYN comes back.",
            Programs(serve_nowhere, ask_tcp, EchoPlan(address=NOWHERE, port=80)),
            look_for=(
                "The ICMP error quotes the SYN. It is a soft error (RFC 1122): the connection is not gone by it, "
                "but connect() gives up."
            ),
            outcomes=((UNREACHABLE,),),
            closing=(),
            network="router",
        ),
        Scenario(
            "path-mtu",
            "A segment is too big for a link behind the router: ICMP tells the MTU, and it is sent again in two.",
            Programs(serve_tcp, ask_tcp, EchoPlan(address=SERVER, message=b"bith" * 325)),
            look_for=(
                "The ICMP error tells the MTU of the link behind the router; the octets that it refused come "
                "again in smaller segments."
            ),
            outcomes=((FOUR_WAY,),),
            closing=FOUR_SEGMENTS,
            network="router",
        ),
        Scenario(
            "ipv6",
            "An ordinary echo session over IPv6.",
            Programs(serve_tcp, ask_tcp, EchoPlan(ipv6=True)),
            look_for="The same segments, states and numbers as over IPv4: TCP does not care.",
            outcomes=((FOUR_WAY,),),
            closing=FOUR_SEGMENTS,
        ),
        Scenario(
            "udp",
            "A UDP echo: one datagram each way, no handshake.",
            Programs(serve_udp, ask_udp),
            look_for="No SYN, no ACK, no states: the first datagram already carries the question.",
            outcomes=(),
            exchange="1 datagram, 1 answer",
        ),
        Scenario(
            "udp-unreachable",
            "A datagram to a UDP port at which nobody is: an ICMP error comes back.",
            Programs(serve_nothing_udp, ask_connected_udp),
            look_for=(
                "UDP has no RST: the refusal is an ICMP error that quotes the datagram, and only a connected "
                "socket is told of it."
            ),
            outcomes=(),
            exchange="1 datagram, 0 answers, port unreachable",
        ),
    ],
)
