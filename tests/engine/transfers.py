"""Captures of long transfers by chance, seeded: what folds, what nearly folds, what mirrors and second captures add.

Out: the frames of one capture, or of several that show the same run, each a list in order of time.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.engine.fuzz import ACK, FIN, RST, SYN, conversation, lasting_conversation, other
from tests.engine.scenario import BEGIN_NS, MILLISECOND_NS, MODULUS, SELF, Ends, Segment

#: A segment, and the sockets of its ends.
Sent = tuple[Segment, Ends]
MICROSECOND_NS = 1000


class Transfer:
    """Two ends, one of which sends most: segments with times, windows and IP IDs as a stack gives them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.next = {end: rng.choice((0, 1000, MODULUS - 5000, rng.randrange(MODULUS))) for end in "AB"}
        self.heard = dict(self.next)
        self.now_ns = BEGIN_NS + rng.randrange(1000) * MILLISECOND_NS
        #: Some stacks count their packets, some do not number them at all.
        self.ip_id = {end: rng.choice((0, rng.randrange(1, 1 << 16))) for end in "AB"}
        self.pauses_ns = rng.choice(((10, 30), (50, 500), (1000, 20_000), (50, 500, 400_000)))
        self.stamped = rng.random() < 0.3
        self.said: list[Segment] = []

    def say(self, end: str, flags: int, octets: int = 0, *, seq: int | None = None, window: int = 65535) -> None:
        self.now_ns += self.rng.choice(self.pauses_ns) * MICROSECOND_NS
        if self.ip_id[end]:
            self.ip_id[end] = self.ip_id[end] % 65535 + 1
        stamps = (self.now_ns // MILLISECOND_NS % MODULUS, 7) if self.stamped else None
        number = self.next[end] if seq is None else seq
        ack = self.heard[other(end)] % MODULUS if flags & ACK else 0
        self.said.append(
            Segment(
                self.now_ns, end, flags, number % MODULUS, octets, ack, window, timestamps=stamps, ip_id=self.ip_id[end]
            )
        )
        if seq is None:
            self.next[end] += octets + bool(flags & SYN) + bool(flags & FIN)

    def hear(self, end: str) -> None:
        """Let the peer of an end have all that it sent."""
        self.heard[end] = self.next[end]


def transfer(rng: random.Random) -> list[Segment]:
    """Make one transfer, and perhaps others on the same sockets behind it."""
    one = Transfer(rng)
    for _ in range(rng.choice((1, 1, 1, 2))):
        if rng.random() < 0.85:
            one.say("A", SYN)
            one.hear("A")
            one.say("B", SYN | ACK)
            one.hear("B")
            one.say("A", ACK)
        sender = rng.choice("AB")
        trouble = rng.choice((0, 0, 0.02, 0.1))
        for _ in range(rng.choice((5, 20, 60, 150))):
            _burst(one, sender, trouble)
            if rng.random() < 0.02:
                sender = other(sender)
        _close(one)
        one.next = {end: one.next[end] + rng.choice((70_000, 1, 5)) for end in "AB"}
        one.heard = dict(one.next)
    return _swapped(rng, one.said)


def _burst(one: Transfer, sender: str, trouble: float) -> None:
    """Send some segments, and have them acknowledged; something may go wrong."""
    rng, peer = one.rng, other(sender)
    lengths = [rng.choice((1, 10, 1000, 1000)) for _ in range(rng.choice((1, 1, 2, 4)))]
    for octets in lengths:
        one.say(sender, ACK, octets)
    if rng.random() < trouble:
        what = rng.choice(("again", "same", "hole", "dup", "zero", "probe", "both", "odd", "pause"))
        if what == "again":  # a retransmission
            one.now_ns += rng.choice((1, 250)) * MILLISECOND_NS
            one.say(sender, ACK, lengths[-1], seq=one.next[sender] - lengths[-1])
        elif what == "same":  # a network that delivers twice
            last = one.said[-1]
            one.said += [replace(last, time_ns=last.time_ns + rng.choice((5, 300, 9000)) * MICROSECOND_NS)]
            one.now_ns = max(one.now_ns, one.said[-1].time_ns)
        elif what == "hole":
            one.next[sender] += 10
        elif what == "dup":
            for _ in range(rng.randrange(1, 5)):
                one.say(peer, ACK)
        elif what == "zero":
            one.say(peer, ACK, window=0)
            one.say(sender, ACK, 1)
            one.say(peer, ACK, window=0)
        elif what == "probe":
            one.say(sender, ACK, rng.choice((0, 1)), seq=one.next[sender] - 1)
        elif what == "both":
            one.say(peer, ACK, 100)
            one.hear(peer)
        elif what == "odd":
            one.say(rng.choice("AB"), rng.choice((SYN, RST, 0, SYN | ACK)), seq=one.next[sender] + rng.choice((0, 7)))
        else:
            one.now_ns += 70_000 * MILLISECOND_NS
    if rng.random() < 0.9:
        one.hear(sender)
        one.say(peer, ACK)


def _close(one: Transfer) -> None:
    how = one.rng.choice(("open", "four", "reset"))
    if how == "reset":
        one.say("A", RST | ACK)
    elif how == "four":
        for end in "AB":
            one.say(end, FIN | ACK)
            one.hear(end)
            one.say(other(end), ACK)


def _swapped(rng: random.Random, segments: list[Segment]) -> list[Segment]:
    """Let some segments overtake others."""
    level = rng.choice((0, 0, 0, 0.01))
    for i in range(len(segments) - 1):
        if rng.random() < level:
            one, two = segments[i : i + 2]
            segments[i : i + 2] = replace(two, time_ns=one.time_ns), replace(one, time_ns=two.time_ns)
    return segments


def traffic(rng: random.Random) -> list[Sent]:
    """Return some conversations at once, on sockets of their own, in order of time: long ones, and others."""
    found: list[Sent] = []
    for number in range(rng.randrange(1, 4)):
        kind = rng.random()
        if kind < 0.7:
            segments, ends = transfer(rng), Ends()
        else:
            segments, ends = lasting_conversation(rng) if kind < 0.85 else conversation(rng)
        if ends != SELF:
            loopback = rng.random() < 0.2
            client, server = (0x7F000001, 0x7F000001) if loopback else (0x0A000001, 0x0A000002)
            ends = Ends((4, client, 40000 + number), (4, server, 80))
        found += [(one, ends) for one in segments]
    found.sort(key=lambda one: one[0].time_ns)
    return [
        (replace(one, ip_id=number & 0xFFFF) if one.ip_id is None else one, ends)
        for number, (one, ends) in enumerate(found)
    ]


def over_minutes(rng: random.Random) -> list[Sent]:
    """Return conversations that begin within some minutes, each on sockets of its own; a mirror may show them twice."""
    found: list[Sent] = []
    for number in range(rng.randrange(3, 40)):
        start_ns = rng.randrange(900_000) * MILLISECOND_NS
        segments, _ = (transfer(rng), None) if rng.random() < 0.5 else conversation(rng)
        ends = Ends((4, 0x0A000001, 40000 + number), (4, 0x0A000002, 80))
        found += [(replace(one, time_ns=one.time_ns + start_ns), ends) for one in segments]
    found.sort(key=lambda one: one[0].time_ns)
    found = [
        (replace(one, ip_id=place & 0xFFFF) if one.ip_id is None else one, ends)
        for place, (one, ends) in enumerate(found)
    ]
    if rng.random() < 0.5:
        again = [(replace(one, time_ns=one.time_ns + 300 * MICROSECOND_NS), ends) for one, ends in found]
        found = sorted([*found, *again], key=lambda one: one[0].time_ns)
    return found


def shown_twice(rng: random.Random, sent: list[Sent]) -> list[Sent]:
    """Show everything twice, from the beginning to the end, as a port mirror does."""
    delay_ns = rng.choice((50, 300, 3000, 9000)) * MICROSECOND_NS
    again = [(replace(one, time_ns=one.time_ns + delay_ns), ends) for one, ends in sent]
    return sorted([*sent, *again], key=lambda one: one[0].time_ns)


def mirrored(rng: random.Random, sent: list[Sent]) -> list[Sent]:
    """Show everything twice, or more often, from one point in time to another, as a mirror or loopback does."""
    a, b = sorted(rng.choice((0, len(sent), rng.randrange(len(sent) + 1))) for _ in "ab")
    delay_ns = rng.choice((5, 50, 300, 3000, 9000)) * MICROSECOND_NS
    lost, times = rng.choice((0, 0, 0.05, 0.3)), rng.choice((1, 1, 1, 2))
    found = list(sent)
    for one, ends in sent[a:b]:
        found += [
            (replace(one, time_ns=one.time_ns + (n + 1) * delay_ns), ends) for n in range(times) if rng.random() >= lost
        ]
    found.sort(key=lambda one: one[0].time_ns)
    return found


def one_way(rng: random.Random, sent: list[Sent]) -> list[Sent]:
    """Leave out what one end of each pair of sockets sent, to the end or up to one point in time."""
    left_out = {ends: rng.choice("AB") for _, ends in sent}
    until = rng.choice((len(sent), rng.randrange(len(sent))))
    return [(one, ends) for i, (one, ends) in enumerate(sent) if i >= until or one.sender != left_out[ends]]


def split_up(rng: random.Random, sent: list[Sent]) -> list[list[Sent]]:
    """Return what two captures show: one after the other, overlapping, or side by side; their clocks may differ."""
    a, b = sorted(rng.choice((0, len(sent), rng.randrange(len(sent) + 1))) for _ in "ab")
    if rng.random() < 0.3:
        a = b
    lost = rng.choice((0, 0, 0.05))
    apart_ns = rng.choice(
        (0, 0, 200 * MICROSECOND_NS, 500 * MILLISECOND_NS, -5 * MILLISECOND_NS, 5000 * MILLISECOND_NS)
    )
    first = [one for one in sent[:b] if rng.random() >= lost]
    second = [(replace(one, time_ns=one.time_ns + apart_ns), ends) for one, ends in sent[a:] if rng.random() >= lost]
    return [first, second] if rng.random() < 0.7 else [second, first]
