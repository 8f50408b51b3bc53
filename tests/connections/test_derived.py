"""Zeek's and Wireshark's words: against a plain walk over every segment, and against those tools' own answers."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handshake_inspect import inspect
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.derived import DerivedWords, derive
from handshake_inspect.connections.splitting.rows import ACK, FIN, PSH, RST, SYN, ConnectionRows
from handshake_inspect.connections.zeek.tokens import MOST_REPEATS
from tests.oracles.comparison import Answer, Comparison, compare_with_tshark, compare_with_zeek, sorted_ends

LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK}


@dataclass(frozen=True)
class Segment:
    side: int
    flags: int
    seq: int
    ack: int = 0
    payload: int = 0
    window: int = 1000
    ignored: bool = False
    duplicates: int = 0
    folded_segments: int = 0
    folded_octets: int = 0

    @property
    def end(self) -> int:
        return self.seq + self.payload + bool(self.flags & SYN) + bool(self.flags & FIN)


def segment(text: str) -> Segment:
    """Read one line of a scenario: `> A 1(100) 1` is 100 octets from the originator, seq 1, ack 1; `w0`, `ignored`."""
    match = re.fullmatch(r"([<>]) (\w+|-) (-?\d+)(?:\((\d+)\))?(?: (-?\d+))?( w0)?( ignored)?", text)
    assert match, text
    side, letters, seq, payload, ack, zero_window, ignored = match.groups()
    flags = sum(LETTERS[letter] for letter in letters if letter != "-")
    window = 0 if zero_window else 1000
    return Segment("><".index(side), flags, int(seq), int(ack or 0), int(payload or 0), window, bool(ignored))


def rows_of(connections: Sequence[Sequence[Segment]]) -> ConnectionRows:
    """Write connections as columns."""
    flat = [one for segments in connections for one in segments]
    length = [len(segments) for segments in connections]
    n, m = len(flat), len(connections)

    def column(name: str, dtype: type[np.generic]) -> NDArray[np.generic]:
        return np.array([getattr(one, name) for one in flat], dtype)

    return ConnectionRows(
        start=np.append(0, np.cumsum(length)).astype(np.int64),
        conn=np.repeat(np.arange(m), length),
        side=column("side", np.int64).astype(np.int64),
        flags=column("flags", np.uint16).astype(np.uint16),
        seq=column("seq", np.int64).astype(np.int64),
        ack=column("ack", np.int64).astype(np.int64),
        payload=column("payload", np.int64).astype(np.int64),
        window=column("window", np.uint16).astype(np.uint16),
        time_ns=np.arange(n),
        frame=np.arange(1, n + 1).astype(np.int64),
        capture=np.zeros(n, np.uint16),
        options=np.zeros(n, np.uint32),
        timestamp_value=np.zeros(n, np.uint32),
        timestamp_echo=np.zeros(n, np.uint32),
        has_timestamps=np.zeros(n, np.uint8),
        ip_id=np.zeros(n, np.uint16),
        ttl=np.full(n, 64, np.uint8),
        clock=np.zeros(n, np.uint16),
        folded_segments=column("folded_segments", np.int64).astype(np.int64),
        folded_octets=column("folded_octets", np.int64).astype(np.int64),
        duplicates=column("duplicates", np.int64).astype(np.int64),
        folded_copies=np.zeros(n, np.int64),
        folded_repeats=np.zeros(n, np.int64),
        ignored_syn=column("ignored", np.bool_).astype(np.bool_),
        iss=np.zeros((m, 2), np.int64),
        iss_known=np.ones((m, 2), np.bool_),
        self_connect=np.zeros(m, np.bool_),
    )


def words(derived: DerivedWords) -> list[tuple[str, str, int]]:
    return list(zip(derived.conn_state, derived.history, derived.completeness.tolist(), strict=True))


# --- scenarios -------------------------------------------------------------------------------------------------------

OPENING = ("> S 0", "< SA 0 1", "> A 1 1")

SCENARIOS = [
    ("a SYN without answer", ("> S 0", "> S 0"), ("S0", "S", 1)),
    ("a SYN refused", ("> S 0", "< RA 0 1"), ("REJ", "Sr", 37)),
    ("a SYN taken back", ("> S 0", "> R 1"), ("RSTOS0", "SR", 33)),
    ("an ordinary echo",
     (*OPENING, "> PA 1(4) 1", "< A 1 5", "< PA 1(4) 5", "> A 5 5", "> FA 5 5", "< FA 5 6", "> A 6 6"),
     ("SF", "ShADadFf", 31)),
    ("the originator closes, the responder does not", (*OPENING, "> FA 1 1", "< A 1 2"), ("S2", "ShAFa", 23)),
    ("the responder closes, the originator does not", (*OPENING, "< FA 1 1", "> A 1 2"), ("S3", "ShAf", 23)),
    ("opened and left", OPENING, ("S1", "ShA", 7)),
    ("half-open: the SYN-ACK is never acknowledged", ("> S 0", "< SA 0 1"), ("S1", "Sh", 3)),
    ("the originator aborts", (*OPENING, "> RA 1 1"), ("RSTO", "ShAR", 39)),
    ("the responder aborts", (*OPENING, "< RA 1 1"), ("RSTR", "ShAr", 39)),
    ("both abort, neither has sent an octet", (*OPENING, "> RA 1 1", "< R 1"), ("REJ", "ShARr", 39)),
    ("both abort after data", (*OPENING, "> A 1(4) 1", "> RA 5 1", "< R 1"), ("RSTR", "ShADRr", 47)),
    ("a SYN and a FIN, nothing from the other end", ("> S 0", "> FA 1 1"), ("SH", "SF", 21)),
    ("SYN-ACK first: the roles are turned round", ("< SA 0 1", "> A 1 1"), ("S1", "^hA", 6)),
    ("SYN captured after its SYN-ACK", ("< SA 0 1", "> S 0", "> A 1 1"), ("S1", "^hSA", 6)),
    ("a SYN-ACK, then a FIN, nothing from the originator", ("< SA 0 1", "< FA 1 1"), ("SHR", "^hf", 22)),
    ("a SYN-ACK, then an RST", ("< SA 0 1", "< R 1"), ("RSTRH", "^hr", 34)),
    ("capture starts later", ("> A 1(9) 1", "< A 1 10"), ("OTH", "Da", 12)),
    ("one segment of a conversation", ("> A 1(9) 1",), ("OTH", "D", 0)),
    ("simultaneous open", ("> S 0", "< S 0", "> SA 0 1", "< SA 0 1"), ("S1", "Ss", 3)),
    ("closed, then reset", (*OPENING, "> FA 1 1", "> R 2", "< FA 1 2"), ("SF", "ShAFRf", 55)),
    ("the other end has not closed: the RST counts", (*OPENING, "> FA 1 1", "> R 2"), ("RSTO", "ShAFR", 55)),
    ("both have closed: a late RST does not", (*OPENING, "> FA 1 1", "< FA 1 2", "> R 2"), ("SF", "ShAFfR", 55)),
    ("a FIN repeated with the same number", (*OPENING, "> FA 1 1", "> FA 1 1"), ("S2", "ShAF", 23)),
    ("a FIN with another number", (*OPENING, "> FA 1 1", "> FA 9 1"), ("S2", "ShAFF", 23)),
    ("a FIN without ACK is none for Wireshark", (*OPENING, "> F 1"), ("S2", "ShAF", 7)),
    ("a responder acknowledges the SYN before it answers",
     ("> S 0", "< A 0 1", "< SA 0 1", "> A 1 1"), ("S1", "SahA", 7)),
    ("all control bits", ("> S 0", "> FSRPA 0 1"), ("OTH", "SI", 51)),
    ("SYN and FIN", ("> SF 0", "> A 1 1"), ("SH", "QA", 5)),
    ("Fast Open: payload on the SYN counts as repeated",
     ("> S 0(5)", "< SA 0 6", "> A 6 1"), ("S1", "SThA", 15)),
    ("zero window", (*OPENING, "< A 1 1 w0", "< A 1 1 w0"), ("S1", "ShAaw", 7)),
    ("zero window after the peer's FIN is no news", (*OPENING, "> FA 1 1", "< A 1 2 w0"), ("S2", "ShAFa", 23)),
    ("retransmission", (*OPENING, "> A 1(4) 1", "> A 1(4) 1"), ("S1", "ShADT", 15)),
    ("keep-alive with an octet", (*OPENING, "> A 1(4) 1", "> A 4(1) 1"), ("S1", "ShADT", 15)),
    ("data filled in before it was acknowledged",
     (*OPENING, "> A 5(4) 1", "> A 1(4) 1", "< A 1 9"), ("S1", "ShADTa", 15)),
    ("data acknowledged, never captured", (*OPENING, "< A 1 50"), ("S1", "ShAaG", 7)),
    ("a hole is acknowledged", (*OPENING, "> A 5(4) 1", "< A 1 9"), ("S1", "ShADaG", 15)),
    ("captured after its acknowledgment", (*OPENING, "< A 1 5", "> A 1(4) 1"), ("S1", "ShAaGD", 15)),
    ("an ignored SYN", (*OPENING, "> S 777 ignored", "< A 1 1"), ("S1", "ShAa", 7)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [scenario[1:] for scenario in SCENARIOS], ids=[s[0] for s in SCENARIOS])
def test_a_scenario_has_the_words_of_zeek_and_wireshark(text: tuple[str, ...], expected: tuple[str, str, int]) -> None:
    segments = [segment(line) for line in text]
    assert words(derive(rows_of([segments]))) == [expected]
    assert plain(segments) == expected


def test_letters_are_written_at_powers_of_ten() -> None:
    opening = [segment(line) for line in OPENING]
    data = [segment("> A 1(10) 1")] * 101
    assert derive(rows_of([opening + data])).history == ["ShADTTT"]


def test_second_copies_of_a_segment_count() -> None:
    segments = [*(segment(line) for line in OPENING), replace(segment("> A 1(10) 1"), duplicates=9)]
    assert words(derive(rows_of([segments]))) == [("S1", "ShADT", 15)]
    assert words(derive(rows_of([[replace(segment("> A 1(10) 1"), duplicates=1)]]))) == [("OTH", "DT", 8)]


def test_a_storm_of_resets_is_bounded() -> None:
    opening = [segment(line) for line in OPENING]
    storm = [Segment(0, RST, number) for number in range(2, 3000)]
    [history] = derive(rows_of([opening + storm])).history
    assert history == "ShA" + "R" * (1 + MOST_REPEATS)


def test_no_connections_have_no_words() -> None:
    assert words(derive(rows_of([]))) == []


def test_every_connection_of_many_gets_its_own_words() -> None:
    many = [[segment(line) for line in scenario[1]] for scenario in SCENARIOS] * 7
    assert words(derive(rows_of(many))) == [scenario[2] for scenario in SCENARIOS] * 7


# --- a plain walk over every segment ---------------------------------------------------------------------------------


@dataclass
class PlainEnd:
    """One end in Zeek's eyes, per segment."""

    state: str = "inactive"
    before: str = "inactive"
    #: Highest number sent, RSTs not counted; the first number is where its reassembly starts.
    highest: int | None = None
    first: int = 0
    #: Highest number acknowledged by the peer, since this end has spoken.
    acked: int | None = None
    captured: set[int] = field(default_factory=set)
    #: Last number and count of other numbers, by control bit.
    last: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    octets: int = 0

    def move(self, state: str) -> None:
        if state != self.state:
            self.before, self.state = self.state, state

    @property
    def clean(self) -> bool:
        return self.state == "established" or (self.state, self.before) == ("closed", "established")

    def count(self, what: str, times: int = 1) -> int:
        """Count occurrences; returns how many powers of ten that passes."""
        before = self.counts.get(what, 0)
        self.counts[what] = before + times
        return sum(before < 10**k <= before + times for k in range(8))


def plain(segments: Sequence[Segment]) -> tuple[str, str, int]:
    """Walk over every segment, in plain Python and with sets of octets."""
    ends, history, written = (PlainEnd(), PlainEnd()), "", set[str]()
    taken = [one for one in segments if not one.ignored]
    if taken[0].side:
        history = "^"
    for one in taken:
        me, peer = ends[one.side], ends[1 - one.side]
        history += "".join(plain_letters(one, me, peer, written))
    empty = all(plain_octets(taken, side) <= 0 for side in (0, 1))
    return plain_state(ends[0].state, ends[1].state, history, empty), history, plain_completeness(taken, len(segments))


def plain_letters(one: Segment, me: PlainEnd, peer: PlainEnd, written: set[str]) -> list[str]:
    def cased(letter: str, side: int) -> str:
        return letter.lower() if side else letter

    letters = [cased(letter, one.side) for letter in plain_control(one, me, written)]
    if one.window == 0 and not one.flags & RST:
        letters += [cased("W", one.side)] * (me.count("W") * (peer.state != "closed" and me.state != "reset"))
    if plain_repeats(one, me):
        letters += [cased("T", one.side)] * (me.count("T") * (me.state != "reset"))
    plain_advance(one, me, peer)
    gaps = peer.count("G", plain_gaps(one, peer))
    if me.clean and peer.clean:
        letters += [cased("G", 1 - one.side)] * gaps
    if not one.flags & RST:
        if me.highest is None:
            me.first = one.end if one.flags & SYN or one.payload or one.flags & FIN else one.seq
        if one.flags & SYN and me.highest is not None:
            me.captured.update(range(me.highest, one.seq))  # another initial number: nothing was lost
        me.highest = one.end if me.highest is None else max(me.highest, one.end)
        me.captured.update(range(one.seq, one.end))
    return letters


def plain_control(one: Segment, me: PlainEnd, written: set[str]) -> str:
    syn, fin, rst = bool(one.flags & SYN), bool(one.flags & FIN), bool(one.flags & RST)
    number = one.seq + (one.payload if fin else 0)
    match (syn, fin, rst):
        case (True, False, False):
            letter = "H" if one.flags & ACK else "S"
        case (False, True, False):
            letter = "F"
        case (False, False, True):
            letter = "R"
        case (False, False, False):
            letter = "D" if one.payload else "A" if one.flags & ACK else ""
        case _:
            letter = "I" if fin and rst else "Q"
    kind = "S" if letter == "H" else letter
    repeated, key = False, f"{kind}{one.side}"
    if kind and kind in "SFR":
        last = me.last.get(kind)
        me.last[kind] = number
        if last is not None and last != number:
            me.others[kind] = me.others.get(kind, 0) + 1
            open_end = me.state not in ("closed", "reset") or (me.state, me.before) == ("reset", "inactive")
            repeated = me.others[kind] <= MOST_REPEATS and not (kind == "S" and open_end)
    first = key not in written
    written.add(key)
    return letter if first or repeated else ""


def plain_repeats(one: Segment, me: PlainEnd) -> bool:
    if not one.payload:
        return False
    if me.highest is None:
        return bool(one.flags & SYN)
    end = one.end - (one.payload if one.flags & RST else 0)
    return end <= me.highest and not (one.flags & RST and me.highest - end > 1 << 20)


def plain_gaps(one: Segment, peer: PlainEnd) -> int:
    """Count the runs of octets that this ACK passes and that were not captured."""
    if one.flags & RST or not one.flags & ACK or peer.highest is None:
        return 0
    begin = peer.first if peer.acked is None else max(peer.acked, peer.first)
    missing = [number not in peer.captured for number in range(begin, one.ack)]
    peer.acked = one.ack if peer.acked is None else max(peer.acked, one.ack)
    return sum(now and not before for before, now in zip([False, *missing], missing, strict=False))


def plain_advance(one: Segment, me: PlainEnd, peer: PlainEnd) -> None:
    syn, fin, rst, ack = one.flags & SYN, one.flags & FIN, one.flags & RST, one.flags & ACK
    if me.state == "inactive":
        if syn and one.side == 0:
            reversed_order = not ack and peer.state == "established"
            me.move("established" if reversed_order else "syn-ack sent" if ack else "syn sent")
        elif syn:
            if peer.state == "syn sent" or (peer.state == "syn-ack sent" and not ack):
                peer.move("established")
            me.move("established")
        if fin:
            me.move("closed")
        if rst:
            me.move("reset")
        if me.state == "inactive":
            payload = one.payload and not one.flags & (SYN | FIN | RST)
            if not (one.side == 1 and not payload and peer.state == "syn sent"):
                me.move("established" if ack and peer.state == "established" else "partial")
    elif me.state in ("syn sent", "syn-ack sent"):
        if fin:
            me.move("closed")
        if rst:
            me.move("reset")
    elif me.state in ("established", "partial"):
        if syn and not ack and me.state == "partial" and peer.state == "inactive":
            me.move("syn sent")
        if fin and not rst:
            me.move("closed")
            if (peer.state, peer.before) == ("reset", "closed"):
                peer.move("closed")
        if rst:
            me.move("reset")
    elif me.state == "closed" and rst and peer.state != "closed":
        me.move("reset")


def plain_octets(segments: Sequence[Segment], side: int) -> int:
    own = [one for one in segments if one.side == side]
    highest = max([1, *(one.end for one in own if not one.flags & RST)])
    spoke = False
    for one in segments:
        spoke |= one.side == side and not one.flags & RST
        if one.side != side and one.flags & (ACK | RST) == ACK and spoke:
            highest = max(highest, one.ack)
    resets = [one.seq for one in own if one.flags & RST and abs(one.seq - highest) <= 1 << 20]
    return max([highest, *resets]) - 1 - any(one.flags & FIN for one in own)


def plain_state(mine: str, theirs: str, history: str, empty: bool) -> str:
    silent = ("inactive", "partial")
    if theirs == "reset":
        if mine in ("syn sent", "syn-ack sent") or (mine == "reset" and empty):
            return "REJ"
        return "RSTRH" if mine in silent else "RSTR"
    if mine == "reset":
        if theirs in silent:
            return "RSTOS0" if re.fullmatch(r"\^?S[^HAFGIQ]*R.*", history) else "OTH"
        return "RSTO"
    if mine == theirs == "closed":
        return "SF"
    if mine == "closed":
        return "SH" if theirs in silent else "S2"
    if theirs == "closed":
        return "SHR" if mine in silent else "S3"
    if (mine, theirs) == ("syn sent", "inactive"):
        return "S0"
    return "S1" if mine == theirs == "established" else "OTH"


def plain_completeness(taken: Sequence[Segment], rows: int) -> int:
    seen = 0
    for one in taken if rows > 1 else ():
        seen |= 2 if one.flags & (SYN | ACK) == SYN | ACK else 0
        if one.flags & (SYN | ACK) == ACK:
            seen |= 8 if one.payload else 4
        seen |= 16 if one.flags & (FIN | ACK) == FIN | ACK else 0
        seen |= 32 if one.flags & RST else 0
    if taken[0].flags & (SYN | ACK) == SYN:
        seen |= 1 | (8 if taken[0].payload else 0)
    return seen


def noise(chance: random.Random) -> list[Segment]:
    """Segments without rhyme or reason, on few numbers so that they meet."""
    flags = [
        ACK,
        ACK,
        ACK,
        PSH | ACK,
        SYN,
        SYN | ACK,
        FIN | ACK,
        FIN,
        RST,
        RST | ACK,
        0,
        SYN | FIN,
        FIN | RST,
        SYN | RST,
    ]
    return [
        Segment(
            side=chance.randrange(2),
            flags=chance.choice(flags),
            seq=chance.randrange(20),
            ack=chance.randrange(20),
            payload=chance.choice([0, 0, 1, 3, 7]),
            window=chance.choice([0, 500, 500]),
            ignored=place > 0 and chance.random() < 0.02,
        )
        for place in range(chance.randrange(1, 16))
    ]


def session(chance: random.Random, loss: float = 0.15, length: int = 40) -> list[Segment]:
    """A conversation that makes sense, and a capture that misses, repeats and swaps some of it."""
    sent, segments = [1, 1], [Segment(0, SYN, 0), Segment(1, SYN | ACK, 0, 1), Segment(0, ACK, 1, 1)]
    for _ in range(chance.randrange(length)):
        side = chance.randrange(2)
        payload = chance.choice([0, 0, 5, 10])
        segments.append(Segment(side, ACK, sent[side], sent[1 - side], payload, chance.choice([0, 9, 9, 9])))
        sent[side] += payload
    for side in (0, 1):
        if chance.random() < 0.7:
            segments.append(Segment(side, FIN | ACK, sent[side], sent[1 - side]))
            sent[side] += 1
            segments.append(Segment(1 - side, ACK, sent[1 - side], sent[side]))
    if chance.random() < 0.3:
        segments.append(Segment(chance.randrange(2), RST | ACK, sent[0], sent[1]))
    kept = [one for one in segments for _ in range(chance.random() >= loss) for _ in range(1 + (chance.random() < 0.1))]
    for _ in range(chance.randrange(4)):
        if len(kept) > 1:
            at = chance.randrange(len(kept) - 1)
            kept[at], kept[at + 1] = kept[at + 1], kept[at]
    return kept or segments[:1]


@pytest.mark.parametrize("kind", [noise, session])
@pytest.mark.parametrize("seed", range(5))
def test_columns_say_what_a_plain_walk_says(kind: type, seed: int) -> None:
    chance = random.Random(seed)
    connections = [kind(chance) for _ in range(800)]
    for segments, mine in zip(connections, words(derive(rows_of(connections))), strict=True):
        assert mine == plain(segments), segments


# --- folding ---------------------------------------------------------------------------------------------------------


def fold(segments: Sequence[Segment]) -> list[Segment]:
    """Fold as `compact` does: in-order rows that change nothing, except the last ones between two that stay."""
    may_go = foldable(segments)
    section, sections = 0, list[int]()
    for goes in may_go:
        section += not goes
        sections.append(section)
    for section in set(sections):
        here = [at for at in range(len(segments)) if sections[at] == section and may_go[at]]
        last = {segments[at].side: at for at in here}
        for at in last.values():
            may_go[at] = False
        if len(last) == 2:
            earlier = min(last.values())
            before = [at for at in here if at < earlier and segments[at].side != segments[earlier].side]
            for at in before[-1:]:
                may_go[at] = False
    kept, counted = list[Segment](), [(0, 0), (0, 0)]
    for one, goes in zip(segments, may_go, strict=True):
        rows, octets = counted[one.side]
        if goes:
            counted[one.side] = (rows + 1, octets + one.payload)
        else:
            kept.append(replace(one, folded_segments=rows, folded_octets=octets))
            counted[one.side] = (0, 0)
    return kept


def foldable(segments: Sequence[Segment]) -> list[bool]:
    """Mark the rows that continue their direction exactly and acknowledge what was captured, once all is open."""
    highest, acked, skipped_to, result = [-1, -1], [-1, -1], [-1, -1], list[bool]()
    seen, quiet = set[tuple[int, bool]](), [False, False]
    for one in segments:
        me, peer = one.side, 1 - one.side
        kind = (me, bool(one.payload))
        ordinary = (
            one.flags & (SYN | FIN | RST | ACK) == ACK
            and one.window > 0
            and one.seq == highest[me]
            and acked[peer] <= one.ack <= highest[peer]
            # Captured after its acknowledgment: a gap when it was acknowledged.
            and acked[me] <= one.seq
            # An acknowledgment that passes a hole reveals a gap.
            and acked[peer] >= skipped_to[peer]
            and kind in seen
        )
        result.append(ordinary and quiet[me])
        quiet[me] = ordinary
        if one.flags & (SYN | FIN | RST) == 0:
            seen.add(kind)
        if not one.flags & RST:
            if 0 <= highest[me] < one.seq:
                skipped_to[me] = one.seq
            highest[me] = max(highest[me], one.end)
            if one.flags & ACK:
                acked[peer] = max(acked[peer], one.ack)
    return result


@pytest.mark.parametrize("seed", range(5))
def test_folded_rows_change_nothing(seed: int) -> None:
    chance = random.Random(seed)
    connections = [session(chance, loss=0.05, length=100) for _ in range(400)]
    folded = [fold(segments) for segments in connections]
    assert sum(map(len, folded)) < 0.9 * sum(map(len, connections))
    whole = words(derive(rows_of(connections)))
    for segments, rest, mine in zip(connections, words(derive(rows_of(folded))), whole, strict=True):
        assert rest == mine, segments


# --- what the tools themselves say -----------------------------------------------------------------------------------

FTP_DATA = "Wireshark's FTP dissector had announced the connection, so that its SYN did not begin the conversation"
Expected = dict[tuple[str, tuple[int, ...], str], str]
EXPECTED_WITH_TSHARK: Expected = {
    ("zeek__ftp_ipv4.pcap", (1,), "completeness"): FTP_DATA,
    ("zeek__ftp_ipv4.pcap", (2,), "completeness"): FTP_DATA,
    ("suricata-verify__output-eve-ftp-data.pcap", (62,), "completeness"): FTP_DATA,
    ("suricata-verify__output-eve-ftp-data.pcap", (71,), "completeness"): FTP_DATA,
}
EXPECTED_WITH_ZEEK: Expected = {
    ("zeek__ftp_fake-long-commands.pcap", (0,), "history"): "x: Zeek's FTP analyzer met its own limit; we parse none",
    ("zeek__tcp_retransmit-fast009.pcap", (0,), "history"): "payload cut off by the snapshot length is a gap to Zeek",
    ("zeek__tunnels_gtp_gtp2_different_udp_port.pcap", (0,), "history"): (
        "X: Zeek stopped looking into the connection before it ended; we look into none"
    ),
    ("zeek__wikipedia.pcap", (9,), "history"): "Zeek ran without the port list by which it turns roles round",
}


@pytest.fixture(scope="module")
def answers(captures_dir: Path) -> list[Answer]:
    found = []
    for path in sorted(captures_dir.glob("*__*")):
        try:
            connections = inspect(path).connections
        except CaptureError:
            continue  # another format
        for one in connections:
            ends = sorted_ends((one.originator.ip, one.originator.port), (one.responder.ip, one.responder.port))
            segments = one.segments.originator + one.segments.responder
            words_of_one = (one.conn_state, one.history, one.completeness)
            found.append(Answer(path.name, ends, one.stream, one.first_ns, segments, *words_of_one))
    return found


def assert_agreement(comparison: Comparison, expected: Expected) -> None:
    unexplained = [one for one in comparison.differences if (one.file, one.streams, one.name) not in expected]
    assert not unexplained
    assert {(one.file, one.streams, one.name) for one in comparison.differences} == set(expected)


def test_completeness_is_what_tshark_prints(captures_dir: Path, answers: list[Answer]) -> None:
    comparison = compare_with_tshark(captures_dir, answers)
    assert_agreement(comparison, EXPECTED_WITH_TSHARK)
    assert comparison.compared["completeness"] == 360
    assert comparison.equal["completeness"] >= 0.98 * comparison.compared["completeness"]


def test_conn_state_and_history_are_what_zeek_logs(captures_dir: Path, answers: list[Answer]) -> None:
    comparison = compare_with_zeek(captures_dir, answers)
    assert_agreement(comparison, EXPECTED_WITH_ZEEK)
    assert comparison.compared["conn_state"] >= 93
    assert comparison.equal["conn_state"] == comparison.compared["conn_state"]
