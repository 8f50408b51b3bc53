"""The state diagram of RFC 9293 (§3.3.2, Figure 5) as one table: how an end of a connection moves.

Theory of operation. An *end* is one socket's side of one connection. It changes state when it acts itself
(`SEND_...`) or when a segment of its peer arrives (`RECEIVE_...`). Sequence arithmetic elsewhere decides which events
a captured segment causes, and when it arrived (`connections.events`); this table alone defines what an event does. A
segment with several events is processed in the order of §3.10.7.4: RST, SYN, ACK, FIN. So a FIN,ACK needs no row of
its own: FIN-WAIT-1 goes to FIN-WAIT-2 by its ACK and on to TIME-WAIT by its FIN, in one step.

One state of the RFC has two different continuations, so it has two rows here: SYN-RECEIVED after a passive OPEN
returns to LISTEN on a reset, after an active OPEN (simultaneous open) it goes to CLOSED (§3.10.7.4, second).

Every cell is written out, self-loops included. An absent cell is an event that cannot happen to an end in that
state; if a capture seems to show it (a damaged, forged or incomplete one), the state does not change.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Literal, cast

#: The states as RFC 9293 spells them.
StateName = Literal[
    "CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",
    "LAST-ACK", "TIME-WAIT",
]  # fmt: skip


class State(Enum):
    """States of one end, in the order in which a connection usually meets them."""

    CLOSED = "CLOSED"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED_PASSIVE = "SYN-RECEIVED (passive)"
    SYN_RECEIVED_ACTIVE = "SYN-RECEIVED (active)"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"

    def __init__(self, name: str) -> None:
        #: The name as RFC 9293 spells it.
        self.label = cast(StateName, name.partition(" ")[0])

    #: Each state is a single object. The hash of `Enum` takes 0.2 us in Python, several times for each behaviour.
    __hash__ = object.__hash__


class Event(IntEnum):
    """What can happen to an end. The numbers are codes in event strings (4 bits)."""

    PASSIVE_OPEN = 0  # its program calls listen()
    SEND_SYN = 1  # active OPEN: connect()
    RECEIVE_SYN = 2
    RECEIVE_ACK_OF_SYN = 3
    SEND_FIN = 4  # CLOSE: close() or shutdown()
    RECEIVE_ACK_OF_FIN = 5
    RECEIVE_FIN = 6
    SEND_RST = 7  # ABORT, or the answer to a segment without a connection
    RECEIVE_RST = 8  # at RCV.NXT (§3.10.7.4, first: check sequence number; RFC 5961 §3)
    RECEIVE_RST_OF_SYN = 9  # it acknowledges our SYN (§3.10.7.3, second)
    TIMEOUT_2MSL = 10  # no segment shows it

    @property
    def words(self) -> str:
        """The event in words: "receive ACK of SYN"."""
        return _WORDS[self]


#: Events by code: a call of `Event` takes 10 times as long.
EVENTS = tuple(Event)

_WORDS = {
    Event.PASSIVE_OPEN: "passive OPEN",
    Event.SEND_SYN: "send SYN",
    Event.RECEIVE_SYN: "receive SYN",
    Event.RECEIVE_ACK_OF_SYN: "receive ACK of SYN",
    Event.SEND_FIN: "send FIN",
    Event.RECEIVE_ACK_OF_FIN: "receive ACK of FIN",
    Event.RECEIVE_FIN: "receive FIN",
    Event.SEND_RST: "send RST",
    Event.RECEIVE_RST: "receive RST",
    Event.RECEIVE_RST_OF_SYN: "receive RST that acknowledges the SYN",
    Event.TIMEOUT_2MSL: "2MSL passed",
}

S, E = State, Event

#: state -> event -> next state. The only definition of the transitions of TCP.
TRANSITIONS: dict[State, dict[Event, State]] = {
    S.CLOSED: {
        E.PASSIVE_OPEN: S.LISTEN,
        E.SEND_SYN: S.SYN_SENT,
        E.RECEIVE_SYN: S.CLOSED,  # §3.10.7.1: answered with RST
        E.RECEIVE_FIN: S.CLOSED,  # likewise
        E.SEND_RST: S.CLOSED,  # that answer
        E.RECEIVE_RST: S.CLOSED,  # §3.10.7.1: discarded
        E.RECEIVE_RST_OF_SYN: S.CLOSED,
    },
    S.LISTEN: {
        E.SEND_SYN: S.SYN_SENT,  # §3.10.2: SEND on a listening socket makes it active
        E.RECEIVE_SYN: S.SYN_RECEIVED_PASSIVE,  # §3.10.7.2, third
        E.RECEIVE_FIN: S.LISTEN,  # §3.10.7.4, eighth: its number cannot be validated, dropped
        E.SEND_RST: S.LISTEN,  # §3.10.7.2, second: an ACK is answered with RST
        E.RECEIVE_RST: S.LISTEN,  # §3.10.7.2, first: ignored
        E.RECEIVE_RST_OF_SYN: S.LISTEN,
    },
    S.SYN_SENT: {
        E.SEND_SYN: S.SYN_SENT,  # retransmission
        E.RECEIVE_SYN: S.SYN_RECEIVED_ACTIVE,  # §3.10.7.3, fourth: simultaneous open, unless the same segment acks
        E.RECEIVE_ACK_OF_SYN: S.SYN_SENT,  # §3.10.7.3, fifth: without SYN or RST it is dropped
        E.RECEIVE_FIN: S.SYN_SENT,  # §3.10.7.4, eighth: dropped likewise
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.SYN_SENT,  # §3.10.7.3, second: without an ACK of our SYN it is dropped
        E.RECEIVE_RST_OF_SYN: S.CLOSED,  # connection refused
    },
    S.SYN_RECEIVED_PASSIVE: {
        E.RECEIVE_SYN: S.SYN_RECEIVED_PASSIVE,  # retransmission
        E.RECEIVE_ACK_OF_SYN: S.ESTABLISHED,  # §3.10.7.4, fifth
        E.SEND_FIN: S.FIN_WAIT_1,  # §3.10.4
        E.RECEIVE_FIN: S.CLOSE_WAIT,  # §3.10.7.4, eighth
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.LISTEN,  # §3.10.7.4, second
    },
    S.SYN_RECEIVED_ACTIVE: {
        E.RECEIVE_SYN: S.SYN_RECEIVED_ACTIVE,
        E.RECEIVE_ACK_OF_SYN: S.ESTABLISHED,
        E.SEND_FIN: S.FIN_WAIT_1,
        E.RECEIVE_FIN: S.CLOSE_WAIT,
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,  # §3.10.7.4, second: after an active OPEN the connection was refused
        E.RECEIVE_RST_OF_SYN: S.CLOSED,
    },
    S.ESTABLISHED: {
        E.RECEIVE_SYN: S.ESTABLISHED,  # RFC 5961 §4: challenge ACK
        E.RECEIVE_ACK_OF_SYN: S.ESTABLISHED,
        E.SEND_FIN: S.FIN_WAIT_1,
        E.RECEIVE_FIN: S.CLOSE_WAIT,
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,
    },
    S.FIN_WAIT_1: {
        E.RECEIVE_SYN: S.FIN_WAIT_1,
        E.RECEIVE_ACK_OF_SYN: S.FIN_WAIT_1,
        E.SEND_FIN: S.FIN_WAIT_1,  # retransmission
        E.RECEIVE_ACK_OF_FIN: S.FIN_WAIT_2,
        E.RECEIVE_FIN: S.CLOSING,  # it did not acknowledge ours: the FINs crossed (§3.6, Figure 13)
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,
    },
    S.FIN_WAIT_2: {
        E.RECEIVE_SYN: S.FIN_WAIT_2,
        E.RECEIVE_ACK_OF_FIN: S.FIN_WAIT_2,
        E.RECEIVE_FIN: S.TIME_WAIT,
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,
    },
    S.CLOSE_WAIT: {
        E.RECEIVE_SYN: S.CLOSE_WAIT,
        E.RECEIVE_ACK_OF_SYN: S.CLOSE_WAIT,
        E.SEND_FIN: S.LAST_ACK,
        E.RECEIVE_FIN: S.CLOSE_WAIT,  # retransmission
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,
    },
    S.CLOSING: {
        E.RECEIVE_SYN: S.CLOSING,
        E.SEND_FIN: S.CLOSING,
        E.RECEIVE_ACK_OF_FIN: S.TIME_WAIT,
        E.RECEIVE_FIN: S.CLOSING,
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,
    },
    S.LAST_ACK: {
        E.RECEIVE_SYN: S.LAST_ACK,
        E.SEND_FIN: S.LAST_ACK,
        E.RECEIVE_ACK_OF_FIN: S.CLOSED,  # no TIME-WAIT: it closed second
        E.RECEIVE_FIN: S.LAST_ACK,
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,
    },
    S.TIME_WAIT: {
        E.RECEIVE_SYN: S.TIME_WAIT,  # §3.6.1: a new connection may begin, which is another incarnation
        E.RECEIVE_ACK_OF_FIN: S.TIME_WAIT,
        E.RECEIVE_FIN: S.TIME_WAIT,  # §3.10.7.4, eighth: acknowledged again, 2MSL starts again
        E.SEND_RST: S.CLOSED,
        E.RECEIVE_RST: S.CLOSED,  # §3.10.7.4, second; the hazard of RFC 1337
        E.TIMEOUT_2MSL: S.CLOSED,
    },
}


def step(state: State, event: Event) -> State:
    """Return the state after `event`; the same state if the event cannot happen there."""
    return TRANSITIONS[state].get(event, state)
