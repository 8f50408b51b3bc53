"""A run that was cut at any places gives what the whole gives, though its parts were folded without each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, cast

import pytest

from handshake_inspect.capture.inputs import Input
from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.pairs import KeyTable
from handshake_inspect.spread import part
from handshake_inspect.spread.part import Part, part_from
from handshake_inspect.spread.run import inspect_spread
from handshake_inspect.table import Block, Names
from tests.engine.fuzz import ACK, FIN, PSH, RST, SYN, Talk, conversation, lasting_conversation, spell
from tests.engine.scenario import BEGIN_NS, MILLISECOND_NS, MODULUS, Ends, Segment, table_of
from tests.spread.engines import Here, refuse

Some = tuple[Sequence[Segment], Ends]


def read(inputs: Sequence[Input], names: Names | None, only: KeyTable | None, *, rows: int = 0) -> Inspector:
    """Read captures that are lists of segments with their sockets; with `rows` fold after each so many."""
    inspector = Inspector(names=names, only=only, fold=rows > 0)
    if rows:
        inspector.analysis.gathering = GatheredRows(fold_rows=1, long_rows=1)
    for one in inputs:
        number = inspector.begin_capture(str(one.name), "pcap", one)
        segments, ends = cast(Some, one.source)
        table = table_of(segments, inspector, ends)
        table.columns["capture"][:] = number
        step = rows or max(len(table), 1)
        for a in range(0, len(table), step):
            some = table.take(slice(a, a + step))
            inspector.add_block(Block(some), number, len(some), some["time_ns"])
    return inspector


def part_of_segments(
    inputs: Sequence[Input],
    names: Names | None = None,
    only: KeyTable | None = None,
    of_several: bool = False,
    *,
    rows: int,
) -> Part:
    """Do what `part_of` does."""
    return part_from(read(inputs, names, only, rows=0 if only else rows), inputs, [])


class Lists(Here):
    """Runs each function at once, on captures that are lists; counts what was read again."""

    def __init__(self, rows: int) -> None:
        self.rows, self.again = rows, 0

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run it."""
        if function is part.part_of:
            self.again += arguments[1] is not None
            function = partial(part_of_segments, rows=self.rows)
        return super().submit(function, *arguments)


def later(segments: Sequence[Segment]) -> list[Segment]:
    """Let time never step back: captures of which it does are read together, if they overlap."""
    now_ns, out = BEGIN_NS, []
    before = segments[0].time_ns
    for one in segments:
        now_ns += max(one.time_ns - before, MILLISECOND_NS)
        before = one.time_ns
        out.append(replace(one, time_ns=now_ns))
    return out


TROUBLES = (
    "again", "hole", "filled hole", "hole acknowledged", "reset", "SYN", "late SYN", "FIN", "lie", "old acknowledgment",
    "probe", "new connection", "late",
)  # fmt: skip


def troubled(rng: random.Random) -> tuple[list[Segment], list[int]]:
    """Make a transfer with trouble now and then, and say where: what is ordinary there rests on what was before."""
    talk = Talk(rng, {"A": rng.choice((100, MODULUS - 40, 1 << 31)), "B": rng.choice((500, MODULUS - 2))})
    places = []
    if rng.random() < 0.8:
        _open(talk)
    else:
        talk.next = {end: talk.isn[end] + 1 for end in "AB"}
        talk.heard = {"A": talk.next["B"], "B": talk.next["A"]}
    for _ in range(rng.randrange(1, 4)):
        _transfer(talk, rng.randrange(2, 14))
        places.append(len(talk.said))
        _trouble(talk, rng.choice(TROUBLES))
        places.append(len(talk.said))
        _transfer(talk, rng.randrange(2, 14))
    return talk.said, places


def _open(talk: Talk) -> None:
    talk.say("A", SYN)
    talk.say("B", SYN)
    talk.say("A", ACK)


def _transfer(talk: Talk, lines: int) -> None:
    for _ in range(lines):
        talk.say("A", PSH, 10)
        talk.say("B", ACK)


def _trouble(talk: Talk, kind: str) -> None:
    rng = talk.rng
    back = 10 * rng.randrange(1, 10)
    if kind == "again":  # everything once more, from some place on
        talk.next["A"] -= back
    elif kind == "hole":
        talk.next["A"] += 10
    elif kind in ("filled hole", "hole acknowledged"):
        talk.next["A"] += 10
        talk.say("A", PSH, 10)
        if kind == "filled hole":
            talk.next["A"] -= 20
            talk.say("A", PSH, 10)
            talk.next["A"] += 10
        talk.say("B", ACK)
    elif kind == "reset":
        end = rng.choice("AB")
        talk.said.append(Segment(0, end, RST, (talk.next[end] + rng.choice((0, 5, -50, 1 << 20))) % MODULUS))
    elif kind in ("SYN", "late SYN"):
        number = talk.isn["A"] + (rng.choice((7777, -5)) if kind == "SYN" else 0)
        talk.said.append(Segment(0, "A", SYN, number % MODULUS))
        talk.say("B", ACK)
    elif kind == "FIN":
        talk.say(rng.choice("AB"), FIN)
    elif kind in ("lie", "old acknowledgment"):
        end = rng.choice("AB")
        way = 1000 if kind == "lie" else -back
        number = (talk.next["B" if end == "A" else "A"] + way) % MODULUS
        talk.said.append(Segment(0, end, ACK, talk.next[end] % MODULUS, 0, number))
    elif kind == "probe":
        talk.said.append(Segment(0, "A", ACK, (talk.next["A"] - 1) % MODULUS, 0, (talk.heard["A"] or 0) % MODULUS))
    elif kind == "late" and len(talk.said) > 2:
        talk.said[-2:] = reversed(talk.said[-2:])
    elif kind == "new connection":
        if rng.random() < 0.5:
            talk.say("A", FIN)
            talk.say("B", FIN)
            talk.say("A", ACK)
        talk.isn = {end: talk.next[end] + rng.choice((70_000, -70_000)) for end in "AB"}
        talk.next, talk.heard = dict(talk.isn), {"A": None, "B": None}
        _open(talk)


def cut(segments: Sequence[Segment], ends: Ends, cuts: Sequence[int]) -> list[Input]:
    """Cut segments into captures."""
    places = zip([0, *cuts], [*cuts, len(segments)], strict=True)
    # What is a tuple is no list of packets; each segment keeps the IP ID that it has in the whole.
    return [Input((segments[a:b], ends), name=f"{n}.pcap") for n, (a, b) in enumerate(places)]


def everything(found: Inspection) -> list[dict[str, Any]]:
    """All fields of all connections, but their steps; and what was found of the run."""
    names = [field.name for field in fields(Connection) if field.name != "steps"]
    return [{name: getattr(one, name) for name in names} for one in found.connections] + [{"run": found.findings}]


def anywhere(rng: random.Random, segments: Sequence[Segment]) -> list[int]:
    """Choose places to cut at."""
    return sorted(rng.randrange(len(segments) + 1) for _ in range(rng.randrange(1, 5)))


def check(rng: random.Random, segments: Sequence[Segment], ends: Ends, cuts: Sequence[int]) -> int:
    """Compare the whole with what its parts give. Returns how many parts were read again."""
    segments = [replace(one, ip_id=n + 1 if one.ip_id is None else one.ip_id) for n, one in enumerate(later(segments))]
    inputs = cut(segments, ends, cuts)
    engine = Lists(rng.choice((1, 2, 5)))
    spread = inspect_spread(inputs, engine, failed=refuse, pieces=rng.choice((1, 3)))
    whole = read(inputs, None, None).result()
    assert everything(spread) == everything(whole), (
        f"{[len(cast(Some, one.source)[0]) for one in inputs]}\n{spell(segments)}"
    )
    assert spread.captures == whole.captures
    return engine.again


@pytest.mark.parametrize("seed", range(25))
def test_conversations_may_be_cut_anywhere(seed: int) -> None:
    rng = random.Random(f"cuts {seed}")
    segments, ends = conversation(rng)
    check(rng, segments, ends, anywhere(rng, segments))


@pytest.mark.parametrize("seed", range(25))
def test_long_conversations_may_be_cut_anywhere(seed: int) -> None:
    rng = random.Random(f"long cuts {seed}")
    segments, ends = lasting_conversation(rng)
    check(rng, segments, ends, anywhere(rng, segments))


@pytest.mark.parametrize("seed", range(80))
def test_transfers_may_be_cut_where_there_is_trouble(seed: int) -> None:
    rng = random.Random(f"troubled {seed}")
    segments, places = troubled(rng)
    near = {min(max(place + rng.randrange(-2, 3), 0), len(segments)) for place in places}
    check(rng, segments, Ends(), sorted(near))


def test_an_ordinary_transfer_is_not_read_again() -> None:
    """Only what a part could not know is a reason to read anything another time."""
    said = [("A", SYN, 99, 0, 0), ("B", SYN | ACK, 499, 0, 100), ("A", ACK, 100, 0, 500)]
    for line in range(200):
        said += [("A", PSH | ACK, 100 + 10 * line, 10, 500), ("B", ACK, 500, 0, 110 + 10 * line)]
    segments = [
        Segment(BEGIN_NS + n * MILLISECOND_NS, sender, flags, seq, octets, ack, ip_id=n + 1)
        for n, (sender, flags, seq, octets, ack) in enumerate(said)
    ]
    inputs = [Input((segments[a : a + 50], Ends()), name=f"{a}.pcap") for a in range(0, len(segments), 50)]
    engine = Lists(50)
    spread = inspect_spread(inputs, engine, failed=refuse, pieces=2)
    assert everything(spread) == everything(read(inputs, None, None).result())
    assert engine.again == 0
    folded = part_of_segments(inputs[3:4], rows=50)
    assert folded.beside.rows < 20  # of 50
