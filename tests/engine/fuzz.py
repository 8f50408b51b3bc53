"""Conversations by chance, seeded: what TCP says, and then what networks, attackers and captures make of it."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.engine.scenario import BEGIN_NS, MILLISECOND_NS, MODULUS, SELF, Ends, Segment

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
EDGES = (0, 1, MODULUS - 1, MODULUS - 2, MODULUS - 10, 1 << 31, (1 << 31) - 1, (1 << 31) + 1)


class Talk:
    """Two ends that speak in turn; an end hears its peer now or later, so that segments cross."""

    def __init__(self, rng: random.Random, isn: dict[str, int]) -> None:
        self.rng = rng
        self.isn = isn
        self.next = dict(isn)
        self.heard: dict[str, int | None] = {"A": None, "B": None}
        self.said: list[Segment] = []

    def hear(self, end: str) -> None:
        self.heard[end] = self.next[other(end)]

    def say(self, end: str, flags: int, octets: int = 0, hear: bool = True) -> None:
        if hear and self.next[other(end)] != self.isn[other(end)]:
            self.hear(end)
        ack = self.heard[end]
        flags = flags | ACK if ack is not None and flags != RST else flags & ~ACK
        self.said.append(Segment(0, end, flags, self.next[end] % MODULUS, octets, (ack or 0) % MODULUS))
        if not flags & RST:
            self.next[end] += octets + bool(flags & SYN) + bool(flags & FIN)

    def again(self, end: str, flags: int) -> None:
        """Repeat the last segment of an end with these control bits."""
        for one in reversed(self.said):
            if one.sender == end and one.flags & flags == flags:
                self.said.append(one)
                return


def other(end: str) -> str:
    return "B" if end == "A" else "A"


def conversation(rng: random.Random) -> tuple[list[Segment], Ends]:
    """Make one conversation: one connection or several on the same sockets, whole or damaged."""
    if rng.random() < 0.02:
        return _timed(_damaged(rng, _self_connect(rng))), SELF
    segments: list[Segment] = []
    while not segments:
        segments = _incarnations(rng)
    segments = _damaged(rng, segments)
    if rng.random() < 0.06:  # a capture of one direction only
        sender = rng.choice([one.sender for one in segments])
        segments = [one for one in segments if one.sender == sender]
    return _timed(segments), Ends()


def lasting_conversation(rng: random.Random) -> tuple[list[Segment], Ends]:
    """Make one long conversation with holes, repeats, odd SYNs, FINs and RSTs, and acknowledgments that are lies.

    Its times, windows and IP IDs vary, so that what is said of pauses, windows and ways is said.
    """
    isn = {"A": rng.choice((100, MODULUS - 3, 1 << 31)), "B": rng.choice((500, MODULUS - 2))}
    talk = Talk(rng, isn)
    talk.next = {end: isn[end] + 1 for end in "AB"}
    talk.heard = {"A": talk.next["B"], "B": talk.next["A"]}
    opening = (
        ("A", SYN, isn["A"], 0),
        ("B", SYN | ACK, isn["B"], isn["A"] + 1),
        ("A", ACK, isn["A"] + 1, isn["B"] + 1),
    )
    for sender, flags, seq, ack in opening:
        if rng.random() < 0.9:
            talk.said.append(Segment(0, sender, flags, seq % MODULUS, 0, ack % MODULUS))
    senders = rng.choice(("AB", "A", "B", "AB"))
    closed: set[str] = set()
    for _ in range(rng.randrange(3, 60)):
        _say_something(talk, rng.choice(senders), closed)
    if rng.random() < 0.3:
        for _ in range(4):
            i = rng.randrange(max(len(talk.said) - 1, 1))
            talk.said[i : i + 2] = reversed(talk.said[i : i + 2])
    return _at_odd_times(rng, talk.said), Ends()


def _say_something(talk: Talk, end: str, closed: set[str]) -> None:
    rng, peer = talk.rng, other(end)

    def odd(flags: int, way: int = 0, octets: int = 0, ack: int = 0) -> None:
        seq = (talk.next[end] + way) % MODULUS
        talk.said.append(Segment(0, end, flags, seq, octets, ((talk.heard[end] or 0) + ack) % MODULUS))

    what = rng.choices(
        ("octets", "acknowledgment", "again", "heard", "probe", "FIN", "RST", "anything", "lie", "lost"),
        (55, 20, 5, 3, 2, 1.2, 0.6, 2, 2, 2),
    )[0]
    if what == "octets":
        octets = rng.choice((1, 10, 100)) if end not in closed else rng.choice((0,) * 9 + (10,))
        odd(ACK, octets=octets)
        talk.next[end] += octets if end not in closed else 0
    elif what == "acknowledgment":
        talk.hear(peer)
        talk.said.append(Segment(0, peer, ACK, talk.next[peer] % MODULUS, 0, talk.next[end] % MODULUS))
    elif what == "again":
        talk.again(end, 0)
    elif what == "heard":
        talk.hear(peer)
    elif what == "probe":
        odd(ACK, -1, rng.choice((0, 1)))
    elif what == "FIN":
        closed.add(end)
        talk.say(end, FIN, hear=False)
    elif what == "RST":
        odd(rng.choice((RST, RST | ACK)), rng.choice((0, 0, 0, 5, -10, 100_000)))
    elif what == "anything":
        odd(
            rng.choice((0, FIN, FIN | PSH | 32, SYN | FIN, RST | SYN, SYN, SYN | ACK)),
            rng.choice((0, 7, -50)),
            rng.choice((0, 3)),
        )
    elif what == "lie":
        odd(ACK, ack=rng.choice((100, -3, 1 << 30)))
    else:
        talk.next[end] += 10


def _at_odd_times(rng: random.Random, segments: list[Segment]) -> list[Segment]:
    """Let the time pass now fast and now slowly, or be set back; let windows close, and IP IDs leap."""
    pauses_ms = rng.choice(
        ((1,), (1, 10, 250, 1000, 3000, 12_000), (1, 100, 200, 400, 40_000, 70_000), (1, 1, 1, -2000, 500))
    )
    now_ns, ip_id, out = BEGIN_NS, {"A": rng.randrange(1 << 16), "B": 0}, []
    for one in segments:
        now_ns += rng.choice(pauses_ms) * MILLISECOND_NS
        ip_id[one.sender] = (ip_id[one.sender] + rng.choice((1, 1, 1, 1, 3000))) % (1 << 16)
        window = rng.choice((65535,) * 8 + (1000, 0))
        out.append(replace(one, time_ns=now_ns, window=window, ip_id=ip_id[one.sender]))
    return out


def honest_conversation(rng: random.Random) -> tuple[list[Segment], Ends]:
    """Make one conversation from which a capture lost and repeated segments; nothing forged, nothing reordered."""
    segments: list[Segment] = []
    while not segments:
        segments = _incarnations(rng)
    level = rng.choice((0.0, 0.0, 0.1))
    kept = [one for one in segments for _ in range(rng.choices((1, 0, 2), (1 - level, level / 2, level / 2))[0])]
    return _timed(kept or segments), Ends()


def _incarnations(rng: random.Random) -> list[Segment]:
    segments: list[Segment] = []
    isn = {end: rng.choice(EDGES) if rng.random() < 0.3 else rng.randrange(MODULUS) for end in "AB"}
    for _ in range(rng.choices((1, 2, 3), (80, 15, 5))[0]):
        talk = Talk(rng, isn)
        first = "A" if rng.random() < 0.9 else "B"
        if _open(talk, first):
            _data(talk, rng.randrange(5))
            _close(talk)
        segments += talk.said
        isn = {end: _next_isn(rng, talk.next[end]) for end in "AB"}
    return segments


def _next_isn(rng: random.Random, last: int) -> int:
    return rng.choice((last + 65537, last + 1, last - 5, last - 100_000, rng.randrange(MODULUS))) % MODULUS


def _open(talk: Talk, a: str) -> bool:
    """Open by one of the ways; False if nothing can follow."""
    b = other(a)
    way = talk.rng.choices(
        (
            "three-way",
            "simultaneous",
            "refused",
            "unanswered",
            "half-open",
            "abandoned",
            "fast-open",
            "mid-stream",
            "old-duplicate",
        ),
        (60, 8, 4, 3, 4, 4, 5, 12, 4),
    )[0]
    if way == "mid-stream":
        talk.next = {end: talk.isn[end] + talk.rng.randrange(1, 1000) for end in "AB"}
        talk.heard = {"A": talk.next["B"], "B": talk.next["A"]}
        return True
    data_on_syn = talk.rng.randrange(1, 50) if way == "fast-open" else 0
    talk.say(a, SYN, data_on_syn)
    for _ in range(talk.rng.choices((0, 1, 2), (85, 10, 5))[0]):
        talk.again(a, SYN)
    if way == "unanswered":
        return False
    if way == "refused":
        ack = talk.next[a] % MODULUS
        talk.said.append(Segment(0, b, RST | ACK, 0, 0, ack))
        return False
    if way == "simultaneous":
        talk.say(b, SYN, hear=False)
        for end in talk.rng.choice(((a, b), (b, a))):
            talk.next[end] -= 1
            talk.hear(end)
            talk.say(end, SYN)
        return True
    if way == "old-duplicate":  # Figure 8: its SYN-ACK is refused, and the SYN goes again, or has been under way
        old = (talk.isn[a] - talk.rng.choice((9, 1000, 1 << 31))) % MODULUS
        talk.said.append(Segment(0, b, SYN | ACK, talk.rng.randrange(MODULUS), 0, old))
        talk.said.append(Segment(0, a, RST, old, 0, 0))
        if talk.rng.random() < 0.7:
            talk.again(a, SYN)
    if data_on_syn and talk.rng.random() < 0.4:
        talk.next[a] -= data_on_syn  # declined
    talk.say(b, SYN)
    if talk.rng.random() < 0.1:
        talk.again(b, SYN)
    if way == "half-open":
        return False
    if way == "abandoned":
        end = talk.rng.choice("AB")
        talk.say(end, RST, hear=False)
        return False
    if talk.rng.random() < 0.85:
        talk.say(a, ACK)
        if talk.rng.random() < 0.08:
            talk.again(b, SYN)
            talk.say(a, ACK)
    else:
        talk.say(a, PSH, talk.rng.randrange(1, 100))
    return True


def _data(talk: Talk, times: int) -> None:
    for _ in range(times):
        end = talk.rng.choice("AB")
        talk.say(end, PSH, talk.rng.choice((0, 1, 2, 10, 1460)), hear=talk.rng.random() < 0.8)
        if talk.rng.random() < 0.6:
            talk.say(other(end), ACK)
        if talk.rng.random() < 0.1:
            talk.again(end, PSH)


def _close(talk: Talk) -> None:
    rng = talk.rng
    a = rng.choice("AB")
    b = other(a)
    way = rng.choices(
        ("open", "four", "three", "simultaneous", "half", "reset", "reset after FIN", "stuck"),
        (10, 30, 20, 12, 10, 8, 8, 6),
    )[0]
    if way == "open":
        return
    if way == "reset":
        _reset(talk, a)
        return
    talk.say(a, FIN, rng.choice((0, 0, 5)))
    if way == "stuck":
        talk.again(a, FIN)
        return
    if way == "simultaneous":
        talk.say(b, FIN, hear=False)
        for end in rng.choice(((a, b), (b, a))):
            talk.say(end, ACK)
    else:
        if way != "three":
            talk.say(b, ACK)
        if way == "half":
            for _ in range(rng.randrange(1, 4)):
                talk.say(b, PSH, rng.randrange(1, 50))
                talk.say(a, ACK)
            if rng.random() < 0.3:
                return
        if way == "reset after FIN":
            _reset(talk, rng.choice("AB"))
            return
        talk.say(b, FIN)
        if rng.random() < 0.9:
            talk.say(a, ACK)
        if rng.random() < 0.1:
            talk.again(b, FIN)
            talk.say(a, ACK)
    if rng.random() < 0.05:
        _reset(talk, rng.choice("AB"))


def _reset(talk: Talk, end: str) -> None:
    talk.say(end, RST if talk.rng.random() < 0.5 else RST | ACK, hear=talk.rng.random() < 0.7)
    for _ in range(talk.rng.choices((0, 1, 3), (80, 15, 5))[0]):
        talk.again(end, RST)


def _self_connect(rng: random.Random) -> list[Segment]:
    talk = Talk(rng, {"A": rng.choice(EDGES), "B": 0})
    x = talk.isn["A"]

    def say(flags: int, seq: int, ack: int) -> None:
        talk.said.append(Segment(0, "A", flags, (x + seq) % MODULUS, 0, (x + ack) % MODULUS if flags & ACK else 0))

    say(SYN, 0, 0)
    say(SYN | ACK, 0, 1)
    if rng.random() < 0.7:
        say(ACK, 1, 1)
    if rng.random() < 0.8:
        say(FIN | ACK, 1, 1)
        if rng.random() < 0.8:
            say(ACK, 2, 2)
    return talk.said


def _damaged(rng: random.Random, segments: list[Segment]) -> list[Segment]:
    """Lose, repeat, reorder and forge."""
    level = rng.choices((0.0, 0.05, 0.25), (35, 40, 25))[0]
    out: list[Segment] = []
    for one in segments:
        dice = rng.random()
        if dice < level / 2:
            continue
        out.append(one)
        if dice < level * 0.75:
            out.append(one)
        elif dice < level:
            out.append(_forged(rng, one, out))
    for i in range(len(out) - 1):
        if rng.random() < level / 3:
            k = min(i + rng.randrange(1, 4), len(out) - 1)
            out[i], out[k] = out[k], out[i]
    return out or segments[:1]


def _forged(rng: random.Random, near: Segment, so_far: list[Segment]) -> Segment:
    """An RST, SYN or ACK that fits badly, or by chance well, behind the segments so far."""
    kind = rng.choice((RST, RST | ACK, SYN, ACK, FIN | ACK, SYN | ACK, 0))
    like = rng.choice(so_far)
    way = rng.choice((0, 0, 1, -1, 5, -5, 1000, -1000, 1 << 20, 1 << 29, -(1 << 29)))
    return replace(
        like if rng.random() < 0.5 else near,
        flags=kind,
        octets=0,
        seq=(like.seq + rng.choice((0, way, like.octets))) % MODULUS,
        ack=(like.ack + rng.choice((0, 0, way))) % MODULUS if kind & ACK else 0,
    )


def _timed(segments: list[Segment]) -> list[Segment]:
    return [replace(one, time_ns=BEGIN_NS + i * MILLISECOND_NS) for i, one in enumerate(segments)]


def spell(segments: list[Segment]) -> str:
    """Write segments as a scenario that `scenario.parse` reads, for a report (x and y are the first numbers seen)."""
    base: dict[str, int] = {}
    lines = []
    for one in segments:
        base.setdefault(one.sender, one.seq)
        if one.flags & ACK:
            base.setdefault(other(one.sender), (one.ack - 1) % MODULUS)
    letters = {"A": "x", "B": "y"}

    def number(end: str, value: int) -> str:
        way = (value - base.get(end, 0) + (1 << 31)) % MODULUS - (1 << 31)
        return f"{letters[end]}{way:+d}" if way else letters[end]

    for one in segments:
        bits = "".join(name for name, bit in zip("FSRPA", (1, 2, 4, 8, 16), strict=True) if one.flags & bit) or "-"
        octets = f" ({one.octets})" if one.octets else ""
        ack = f" ack {number(other(one.sender), one.ack)}" if one.flags & ACK else ""
        lines.append(f"{one.sender} > {bits:3} {number(one.sender, one.seq)}{octets}{ack}")
    return "\n".join(lines)
