"""The relay in the middle of a wire: frames in at one end, out at the other, and rules between.

In: a `Connection` over which a script gives its orders (`wire`), and two interfaces, one at each end. Out: the frames,
as the rules in force have them. It is a process that copies between two packet sockets (packet(7)), about 15 µs more
per segment, and sees whole frames with real checksums. Each change of a segment takes about 1 ms more (Scapy).
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handshake_inspect.lab.altering import changed, load
from handshake_inspect.lab.calls import End
from handshake_inspect.lab.rules import Rule
from handshake_inspect.lab.segments import Segment, segment_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: The relay's interfaces, and which end of the wire each leads to.
RELAYED: dict[str, End] = {"wire0": "client", "wire1": "server"}
OTHER: dict[End, End] = {"client": "server", "server": "client"}

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
FRAME_OCTETS_MAX = 1 << 17
#: How long a script waits for segments that a rule is to catch.
CATCH_LIMIT_S = 10.0


@dataclass
class InForce:
    """A rule of a running relay, with its count and the segments that it has taken."""

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
        """Relay frames and obey the script until it ends."""
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
            if segment is not None:
                frame = self._changed(segment, sender)
            entry = None if segment is None else self._rule_for(segment, sender)
            if entry is None:
                self._send(frame, OTHER[sender])
                if segment is not None:
                    self._let_overtaken_go(sender)
            else:
                self._apply(entry, frame, sender)

    def _changed(self, segment: Segment, sender: End) -> bytes:
        """Return the frame of a segment as the rules that change it pass it on, one after another."""
        frame = segment.frame
        for entry in self._rules.values():
            change = entry.rule.change
            if change is not None and self._counts(entry, segment, sender):
                entry.taken.append(segment)
                frame = changed(frame, change)
        return frame

    def _counts(self, entry: InForce, segment: Segment, sender: End) -> bool:
        """Count a segment in a rule that is about it; return whether the rule takes it."""
        if not entry.rule.is_about(segment, sender):
            return False
        entry.counted += 1
        return entry.rule.takes(entry.counted)

    def _rule_for(self, segment: Segment, sender: End) -> InForce | None:
        """Count a segment in every rule that is about it; return the first that takes it and does not let it pass."""
        taker = None
        for entry in self._rules.values():
            if entry.rule.change is None and self._counts(entry, segment, sender):
                if entry.rule.action == "pass":
                    entry.taken.append(segment)
                elif taker is None:
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
        """Obey the script; False when it has ended."""
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
            "count": self._count,
        }
        answer = ways[what](*details)
        self._control.send(answer)
        return True

    def _add(self, rule: Rule) -> int:
        if rule.change is not None:
            load()
        number = next(self._numbers)
        self._rules[number] = InForce(rule)
        return number

    def _release(self, *numbers: int) -> None:
        for number in numbers:
            self._let_go(self._rules.pop(number))

    def _lift(self, number: int) -> None:
        del self._rules[number]

    def _count(self, number: int) -> int:
        return len(self._rules[number].taken)

    def _open_both_ends(self) -> None:
        for interface, end in RELAYED.items():
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # hears nothing before it is bound
            opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            opened.bind((interface, ETH_P_ALL))
            self._ends[end] = opened
            self._selector.register(opened, selectors.EVENT_READ, end)

    def _answer_who_waits(self) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        if len(waiting.rule.taken) >= waiting.count or time.monotonic() >= waiting.until_s:
            self._waiting = None
            self._control.send(waiting.rule.taken)
