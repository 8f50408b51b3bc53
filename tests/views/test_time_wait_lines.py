"""What the ladder says of TIME-WAIT: read aloud, every sentence names its assumption and its numbers."""

from __future__ import annotations

import pytest

from handshake_inspect import Pair
from handshake_inspect.views.time_wait_lines import time_wait
from tests.connections.test_time_waits import BEGIN_NS, CLOSED, closed_with
from tests.engine.scenario import inspect_lines

PLAIN, STAMPED = closed_with(False), closed_with(True)
OPENED = "At 5.000 s, 56.020 s before its time, the {} opened stream 1 between the same sockets, "
CLIENT_MAY, CLIENT_MAY_NOT = (
    OPENED.format("client") + say for say in ("as the rules allow: ", "which no rule allows: ")
)
SERVER_MAY = (
    OPENED.format("server")
    + "as the rules allow: its initial number 5000700 is above the last one 5000001 (RFC 6191). "
)
FREE = "The server's port 80 is free at once."
FIN_AGAIN = CLOSED + "3 B > FA y+1 ack x+2 id 7\n A > A x+2 ack y+2"
#: Lines, with x = 1,000,000 and y = 5,000,000, and what is said behind the assumption.
SAID = [
    (CLOSED, FREE),
    (FIN_AGAIN, f"A repeated FIN restarted it, at 3.000 s. {FREE}"),
    (
        FIN_AGAIN + "\n 4 B > PA y-9 (5) ack x+2\n 5 B > PA y-9 (5) ack x+2 id 8",
        "A repeated FIN and 2 late data segments restarted it (by RFC 9293 only a FIN does), last at 5.000 s. " + FREE,
    ),
    (CLOSED + "3 B > R y+2", "An RST killed it at 3.000 s, 58.000 s before its time (RFC 1337)."),
    (
        CLOSED + "3 B > FA y+1 ack x+2 id 7\n 3.5 A > R x+2",
        "But it had forgotten the connection by then: it sent an RST itself, at 3.500 s.",
    ),
    (CLOSED + "70 B > R y+2", "It ran out: what comes at 70.000 s finds it over."),
    (
        PLAIN + "5 A > S x+700",
        CLIENT_MAY + "its initial number 1000700 is above the last one 1000001 (RFC 6191).",
    ),
    (PLAIN + "5 A > S x-700", CLIENT_MAY_NOT + "its initial number 999300 is not above the last one 1000001."),
    (
        STAMPED + "5 A > S x-700 ts 2011 0",
        CLIENT_MAY + "its timestamp 2011 is newer than the last one 2010 (RFC 6191).",
    ),
    (STAMPED + "5 A > S x+700 ts 2009 0", CLIENT_MAY_NOT + "its timestamp 2009 is older than the last one 2010."),
    (
        PLAIN + "5 A > S x-700 ts 9 0",
        CLIENT_MAY + "it has timestamps, and the old connection had none (RFC 6191).",
    ),
    (PLAIN + "61.5 A > S x-700", "It ran out; at 61.500 s the client opened stream 1 between the same sockets."),
    (
        PLAIN + "5 B > S y+700\n A > SA x+2 ack y+701",
        SERVER_MAY
        + "The client begins with 1000002, above its own last one 1000001, as RFC 9293 asks for (§3.6.1, MAY-2).",
    ),
    (
        PLAIN + "5 B > S y+700\n A > SA x ack y+701",
        SERVER_MAY + "The client begins with 1000000, not above its own last one 1000001, "
        "which is not what RFC 9293 asks for (§3.6.1, MAY-2).",
    ),
]


def said_of(lines: str) -> str:
    found = inspect_lines(lines)
    sentences = time_wait(
        found.connections[0],
        found.steps(0),
        Pair("client", "server"),
        lambda time_ns: f"{(time_ns - BEGIN_NS) / 1e9:.3f} s",
        lambda step: f"in frame {step.frame}",
    )
    return " ".join(line.plain for line in sentences)


@pytest.mark.parametrize(("lines", "said"), SAID)
def test_the_sentence_says_until_when_and_how_it_ended(lines: str, said: str) -> None:
    text = said_of(lines)
    begin, assumed, rest = text.partition(" at the earliest (Linux: 60 s after the last ACK; RFC 9293: 240 s). ")
    assert assumed
    assert begin.startswith("The client owes it from its ACK in frame ")
    assert rest == said


def test_a_server_that_owes_it_cannot_bind_unless_both_listeners_allow_it() -> None:
    """As `timewait bind` finds: SO_REUSEADDR of one of the two is not enough."""
    text = said_of("open\n B > FA y+1 ack x+1\n A > FA x+1 ack y+2\n B > A y+2 ack x+2")
    assert text.startswith("The server owes it")
    assert text.endswith(
        "the server cannot bind port 80 again, unless the old listener and the new one both set SO_REUSEADDR."
    )
