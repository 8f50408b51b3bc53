"""The section of RFC 9293 for each cell of the table of states, and its content in one sentence.

In: a state and an event of `states.TRANSITIONS`. Out: the `Rule`: every cell of that table has one, self-loops too. An
arriving segment is in §3.10.7 (with the number of the check), a call of the program in §3.10.1 to §3.10.5, a timer in
§3.10.8. For acts that captures show but the RFC does not provide for, the sentence says so.
"""

from __future__ import annotations

from typing import NamedTuple

from handshake_inspect.tcp.states import Event, State


class Rule(NamedTuple):
    """The source of one cell of the table."""

    #: "RFC 9293 §3.10.7.4, fifth".
    section: str
    #: One sentence, without its full stop, that is true for every end in that state.
    says: str


def _rule(place: str, says: str) -> Rule:
    return Rule(f"RFC 9293 §{place}", says)


_NO_CONNECTION = _rule("3.10.7.1", "there is no connection here, so whatever comes is answered with an RST")
_NO_ANSWER = _rule("3.10.7.1", "an RST is never answered: without a connection it is discarded")
_UNCHECKED_FIN = _rule("3.10.7.4, eighth", "nothing is known that its number could be checked against: it is dropped")
_SAME_SYN = _rule("3.10.7.4, first", "the same SYN again lies before the window: it is acknowledged and dropped")
_OPENED = _rule("3.10.7.4, fifth", "its own SYN is acknowledged, and it has the other's: the handshake is complete")
_OPEN_ALREADY = _rule("3.10.7.4, fifth", "its SYN had been acknowledged before: nothing is new")
_CHALLENGED = _rule("3.10.7.4, fourth", "a SYN inside a connection is answered with a challenge ACK (RFC 5961 §4)")
_CLOSES_FIRST = _rule("3.10.4", "its program closed: all data, then a FIN, which now waits for its acknowledgment")
_PEER_CLOSED = _rule("3.10.7.4, eighth", "the other end sends no more; this end may, until its program closes too")
_SENT_AGAIN = _rule("3.10.8", "what is not acknowledged in time is sent again; nothing has changed by that")
_ABORTED = _rule(
    "3.10.5", "it gives the connection up, or knows it no more (§3.5.2): an RST says so, and nothing is awaited"
)
_UNREAD = _rule("3.6.1", "nobody reads any more after CLOSE: an RST shows that data is lost (or it is ABORT, §3.10.5)")
_FORGOTTEN = _rule("3.5.2", "an RST from here shows that the connection is forgotten: ABORT sends none here")
_RESET = _rule("3.10.7.4, second", "an RST with the number that is expected next ends the connection at once")
_REFUSED = _rule("3.10.7.4, second", "after an active OPEN an RST means that the connection is refused")
_SAME_FIN = _rule("3.10.7.4, eighth", "the same FIN again changes nothing: it is acknowledged again")

#: state -> event -> source of the cell of `TRANSITIONS`.
RULES: dict[State, dict[Event, Rule]] = {
    State.CLOSED: {
        Event.PASSIVE_OPEN: _rule("3.10.1", "a passive OPEN waits for whoever may come"),
        Event.SEND_SYN: _rule("3.10.1", "an active OPEN sends a SYN, and waits for the answer"),
        Event.RECEIVE_SYN: _NO_CONNECTION,
        Event.RECEIVE_FIN: _NO_CONNECTION,
        Event.SEND_RST: _NO_CONNECTION,
        Event.RECEIVE_RST: _NO_ANSWER,
        Event.RECEIVE_RST_OF_SYN: _NO_ANSWER,
    },
    State.LISTEN: {
        Event.SEND_SYN: _rule("3.10.2", "a SEND on a listening socket makes the OPEN an active one"),
        Event.RECEIVE_SYN: _rule("3.10.7.2, third", "a SYN reached the listener, which answers with one of its own"),
        Event.RECEIVE_FIN: _UNCHECKED_FIN,
        Event.SEND_RST: _rule("3.10.7.2, second", "a listener has sent nothing that an ACK could be for: RST"),
        Event.RECEIVE_RST: _rule("3.10.7.2, first", "a listener has sent nothing that an RST could be for: ignored"),
        Event.RECEIVE_RST_OF_SYN: _rule("3.10.7.2, first", "a listener has sent no SYN that could be refused: ignored"),
    },
    State.SYN_SENT: {
        Event.SEND_SYN: _SENT_AGAIN,
        Event.RECEIVE_SYN: _rule("3.10.7.3, fourth", "a SYN that does not acknowledge its own: both opened at once"),
        Event.RECEIVE_ACK_OF_SYN: _rule("3.10.7.3, fifth", "an ACK without SYN opens nothing: it is dropped"),
        Event.RECEIVE_FIN: _UNCHECKED_FIN,
        Event.SEND_RST: _FORGOTTEN,
        Event.RECEIVE_RST: _rule("3.10.7.3, second", "an RST that does not acknowledge its SYN is dropped"),
        Event.RECEIVE_RST_OF_SYN: _rule("3.10.7.3, second", "an RST that acknowledges its SYN refuses the connection"),
    },
    State.SYN_RECEIVED_PASSIVE: {
        Event.RECEIVE_SYN: _SAME_SYN,
        Event.RECEIVE_ACK_OF_SYN: _OPENED,
        Event.SEND_FIN: _CLOSES_FIRST,
        Event.RECEIVE_FIN: _PEER_CLOSED,
        Event.SEND_RST: _ABORTED,
        Event.RECEIVE_RST: _rule("3.10.7.4, second", "after a passive OPEN an RST leads back to listening"),
    },
    State.SYN_RECEIVED_ACTIVE: {
        Event.RECEIVE_SYN: _SAME_SYN,
        Event.RECEIVE_ACK_OF_SYN: _OPENED,
        Event.SEND_FIN: _CLOSES_FIRST,
        Event.RECEIVE_FIN: _PEER_CLOSED,
        Event.SEND_RST: _ABORTED,
        Event.RECEIVE_RST: _REFUSED,
        Event.RECEIVE_RST_OF_SYN: _REFUSED,
    },
    State.ESTABLISHED: {
        Event.RECEIVE_SYN: _CHALLENGED,
        Event.RECEIVE_ACK_OF_SYN: _OPEN_ALREADY,
        Event.SEND_FIN: _CLOSES_FIRST,
        Event.RECEIVE_FIN: _PEER_CLOSED,
        Event.SEND_RST: _ABORTED,
        Event.RECEIVE_RST: _RESET,
    },
    State.FIN_WAIT_1: {
        Event.RECEIVE_SYN: _CHALLENGED,
        Event.RECEIVE_ACK_OF_SYN: _OPEN_ALREADY,
        Event.SEND_FIN: _SENT_AGAIN,
        Event.RECEIVE_ACK_OF_FIN: _rule("3.10.7.4, fifth", "its FIN is acknowledged; it waits for the other's FIN"),
        Event.RECEIVE_FIN: _rule("3.10.7.4, eighth", "a FIN that does not acknowledge its own: the two FINs crossed"),
        Event.SEND_RST: _UNREAD,
        Event.RECEIVE_RST: _RESET,
    },
    State.FIN_WAIT_2: {
        Event.RECEIVE_SYN: _CHALLENGED,
        Event.RECEIVE_ACK_OF_FIN: _rule("3.10.7.4, fifth", "its FIN had been acknowledged before: nothing is new"),
        Event.RECEIVE_FIN: _rule("3.10.7.4, eighth", "both have closed; its last ACK may be lost, so it waits 2 MSL"),
        Event.SEND_RST: _UNREAD,
        Event.RECEIVE_RST: _RESET,
    },
    State.CLOSE_WAIT: {
        Event.RECEIVE_SYN: _CHALLENGED,
        Event.RECEIVE_ACK_OF_SYN: _OPEN_ALREADY,
        Event.SEND_FIN: _rule("3.10.4", "its program closed too; only the acknowledgment of this FIN is to come"),
        Event.RECEIVE_FIN: _SAME_FIN,
        Event.SEND_RST: _ABORTED,
        Event.RECEIVE_RST: _RESET,
    },
    State.CLOSING: {
        Event.RECEIVE_SYN: _CHALLENGED,
        Event.SEND_FIN: _SENT_AGAIN,
        Event.RECEIVE_ACK_OF_FIN: _rule("3.10.7.4, fifth", "its FIN is acknowledged, and it has the other's: it waits"),
        Event.RECEIVE_FIN: _SAME_FIN,
        Event.SEND_RST: _FORGOTTEN,
        Event.RECEIVE_RST: _RESET,
    },
    State.LAST_ACK: {
        Event.RECEIVE_SYN: _CHALLENGED,
        Event.SEND_FIN: _SENT_AGAIN,
        Event.RECEIVE_ACK_OF_FIN: _rule(
            "3.10.7.4, fifth", "its FIN is acknowledged; it closed second, and need not wait"
        ),
        Event.RECEIVE_FIN: _SAME_FIN,
        Event.SEND_RST: _FORGOTTEN,
        Event.RECEIVE_RST: _RESET,
    },
    State.TIME_WAIT: {
        Event.RECEIVE_SYN: _rule("3.10.7.4, fourth", "a new connection may begin here, which is another incarnation"),
        Event.RECEIVE_ACK_OF_FIN: _rule("3.10.7.4, fifth", "its FIN had been acknowledged before: nothing is new"),
        Event.RECEIVE_FIN: _rule(
            "3.10.7.4, eighth", "the FIN again, as if its ACK was lost: that is sent again, 2 MSL begin anew"
        ),
        Event.SEND_RST: _FORGOTTEN,
        Event.RECEIVE_RST: _rule("3.10.7.4, second", "an RST ends the waiting too early: the hazard of RFC 1337"),
        Event.TIMEOUT_2MSL: _rule("3.10.8", "after 2 MSL no segment of this connection can be on the way any more"),
    },
}

#: A SYN-ACK is two events in the table, but one transition in the RFC: past SYN-RECEIVED, not through it.
SYN_ACK_IN_SYN_SENT = _rule("3.10.7.3, fourth", "the SYN acknowledges its own as well: the connection is open at once")
#: A retransmission of any segment.
REPEATED = _SENT_AGAIN

#: Kind of an ICMP error (`icmp.Kind`) -> required reaction of TCP. None changes a state by itself.
ICMP_RULES: dict[str, Rule] = {
    "hard": _rule("3.9.2.2", "a hard error: TCP should abort (SHLD-26), though many only do while they open"),
    "soft": _rule("3.9.2.2", "a soft error: TCP must not abort (MUST-56), though many do while they open"),
    # §3.9.2.2 lists code 4 of IPv4 as a hard error; but §3.7.2 asks for path MTU discovery, which depends on it.
    "path-mtu": _rule(
        "3.7.2", "the packet is too large for a link on the way: TCP sends less at once (RFC 1191, of IPv6 RFC 8201)"
    ),
    "advice": _rule("3.9.2.2", "it is discarded: TCP does nothing about it"),
}
#: An error that quotes a segment that was never sent.
ICMP_NEVER_SENT = Rule("RFC 5927 §4.1", "it quotes a number that was never sent: it is forged, or about something else")
