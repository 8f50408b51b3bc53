"""Which segment a system call waited for, and which one it sent: what binds its moments to a capture of the same time.

In: the segments of one connection, and the calls of a socket in order. Out: for each call the moment before which it
cannot have returned, and the one before which it was entered; and whether a socket fits a connection at all.

A log tells late when a call begins: strace notes the time, looks at the arguments, and lets it begin then. The capture
knows better (RFC 9293 §3.9.1, what each call waits for):

- connect() returns after the SYN-ACK, or after the RST that refuses it; one that does not wait, after its own SYN;
- accept() returns after the third segment, of Fast Open (RFC 7413) after the SYN;
- a call that receives returns after the segment with its last octet; with none, after the FIN; with ECONNRESET, after
  the RST.

What a call sends leaves after it was entered, but may leave long after it has returned: of its return that says
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from handshake_inspect.connections.connection import Connection, End, Step
from handshake_inspect.lab.strace.lines import SystemCall
from handshake_inspect.lab.strace.sockets import TracedSocket, connects
from handshake_inspect.lab.strace.spelling import ACCEPTING, RECEIVING, SENDING

#: strace cuts its moments to microseconds.
CUT_NS = 999
#: Errors of a connect() that goes on, and so has sent its SYN.
BEGUN = ("EINPROGRESS", "EALREADY")
REFUSED = ("ECONNREFUSED", "ECONNRESET")


class Placed(NamedTuple):
    """A call of a socket, and how many octets the socket had sent before it and has received with it."""

    call: SystemCall
    sent: int
    received: int


def along(socket: TracedSocket) -> Iterator[Placed]:
    """Yield the calls of a socket, each with its place in both streams of octets."""
    sent = received = 0
    for call in socket.calls:
        octets = max(call.number or 0, 0)
        received += octets if call.name in RECEIVING and "MSG_PEEK" not in call.arguments else 0
        yield Placed(call, sent, received)
        sent += octets if call.name in SENDING else 0


class Segments:
    """The segments of a connection, as the calls of one end see them."""

    def __init__(self, connection: Connection, steps: Sequence[Step], end: End) -> None:
        other: End = "responder" if end == "originator" else "originator"
        self._connection, self._end, self._other = connection, end, other
        self._sent = [step for step in steps if step.sender == end]
        self._came = [step for step in steps if step.sender == other]

    def cause_ns(self, placed: Placed) -> int | None:
        """Return when the segment was captured that the call must have waited for; None if there is none."""
        call = placed.call
        if call.name == "connect" and call.error in BEGUN:
            return first_with("SYN", self._sent)
        if call.error in REFUSED:
            return first_with("RST", self._came)
        if call.error or call.number is None:
            return None
        if call.name == "connect":
            return first_with("SYN", self._came)
        if call.name in ACCEPTING:
            return first_with("SYN" if self._connection.handshake.fast_open == "accepted" else "ACK", self._came)
        if call.name in RECEIVING and call.number > 0:
            return first_up_to(placed.received, self._came) if self._counts(self._other) else None
        if call.name in RECEIVING:
            return first_with("FIN", self._came)
        return None

    def effect_ns(self, placed: Placed) -> int | None:
        """Return when the first segment left that the call certainly sent; None if that is not known."""
        call = placed.call
        if connects(call):
            return first_with("SYN", self._sent)
        if call.name in SENDING and (call.number or 0) > 0 and self._counts(self._end):
            return first_up_to(placed.sent + 1, self._sent)
        return None

    def _counts(self, end: End) -> bool:
        """Are the octets of an end numbered from its SYN?"""
        return self._connection.initial_seq[end] is not None

    def fit(self, socket: TracedSocket) -> bool:
        """May the socket be this end: did no call return before its cause, or begin after its effect?"""
        sent = 0
        for placed in along(socket):
            cause_ns, effect_ns = self.cause_ns(placed), self.effect_ns(placed)
            if cause_ns is not None and cause_ns > placed.call.latest_ns + CUT_NS:
                return False
            if effect_ns is not None and effect_ns < placed.call.entered_ns:
                return False
            sent = placed.sent + (max(placed.call.number or 0, 0) if placed.call.name in SENDING else 0)
        closing = [call.entered_ns for call in socket.calls if call.name in ("close", "shutdown")]
        fin_ns = first_with("FIN", self._sent)
        begun_late = bool(closing) and fin_ns is not None and fin_ns < closing[0]
        return not begun_late and self._connection.sent_octets[self._end] in (None, sent)


def first_with(flag: str, steps: Sequence[Step]) -> int | None:
    """Return when the first segment with a control bit was captured; with "ACK": that is no SYN."""
    for step in steps:
        flags = step.flags.split(",")
        if flag in flags and (flag != "ACK" or "SYN" not in flags):
            return step.time_ns
    return None


def first_up_to(octets: int, steps: Sequence[Step]) -> int | None:
    """Return when the first segment was captured that reaches so far into the octets of its sender."""
    # The SYN has number 0, the first octet 1; those on a SYN (RFC 7413) too.
    return next((step.time_ns for step in steps if reach(step) >= octets), None)


def reach(step: Step) -> int:
    """Return how many octets its sender has sent with this segment."""
    number = step.relative_seq + 1 if "SYN" in step.flags else step.relative_seq
    return number - 1 + step.payload_octets if step.payload_octets else 0
