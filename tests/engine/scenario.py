"""A tiny packetdrill: connections written as lines, beside them what must be said about them.

    # Comments are for people.
    let z = x+70_000
    0.250  A > SA   y (5)  ack x+1  win 512 mss 1460 wscale 7 sackok ts 7 3 tfo 0102030405060708  *3  | CLOSED!  -
    icmp   x                                         # an ICMP error quotes A's SYN with this number
    open                                             # short for the three segments of an ordinary handshake
    ---                                              # from here on it is another connection
    = handshake three-way                            # a verdict about the connection above

A segment line is: time in seconds (else 1 ms after the line before), sender, `>`, control bits by first letter (`-` for
none), number, octets in parentheses, then options in any order (of SACK each block as `x+1:x+5`, those of one option
joined by commas); `*N` sends it N times. Numbers are sums of letters and
integers modulo 2**32; x and y are the initial numbers of A and B, chosen by the test. Each segment
has an IP ID of its own; `id N` gives it this one: with the same one the network has doubled a segment. `ttl N` is 64
unless it is given.

Behind `|` stand the states of A and B after the segment: `-` nothing is proven, `.` not looked at, and how it is known:
`^` sent, `!` acknowledged, `?` assumed, `??` assumed and disproved later, nothing: not looked at. The word `ignored`
behind them: the receiver must ignore the segment, and the inspector says so (`ignored?`: not looked at). No other line
may be said to be ignored.

A verdict is a path into `Connection` and its value: `handshake` and `teardown` are their kinds, `closed_first` and
`reset_by` are the teardown's, `A` and `B` the lists of states; None is `-`, an empty tuple `()`, an end `A` or `B`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from handshake_inspect.capture.headers.options import layout, number_of
from handshake_inspect.connections.connection import Connection, StateAt
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.table import Block, IcmpErrorTable, SegmentTable

MODULUS = 1 << 32
BEGIN_NS = 1_732_143_600_000_000_000
MILLISECOND_NS = 1_000_000
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
BASIS = {"^": "sent", "!": "acknowledged", "?": "assumed", "??": "assumed"}

#: Initial numbers that every scenario must survive: no wrap, ISN 0, 2**32 - 1, around 2**31, some of no beauty.
ISN_PAIRS = {
    "plain": (1_000_000, 5_000_000),
    "zero": (0, 0),
    "last": (MODULUS - 1, MODULUS - 1),
    "half": ((1 << 31) - 1, (1 << 31) - 3),
    "random": (random.Random(9293).randrange(MODULUS), random.Random(793).randrange(MODULUS)),
}

OPEN = (
    "A > S  x                | SYN-SENT^     LISTEN?",
    "B > SA y    ack x+1     | SYN-SENT^     SYN-RECEIVED!",
    "A > A  x+1  ack y+1     | ESTABLISHED!  .",
)


@dataclass(frozen=True)
class Segment:
    """One segment with absolute numbers."""

    time_ns: int
    sender: str
    flags: int
    seq: int
    octets: int = 0
    ack: int = 0
    window: int = 65535
    options: bytes = b""
    timestamps: tuple[int, int] | None = None
    #: None: one of its own.
    ip_id: int | None = None
    ttl: int = 64


@dataclass(frozen=True)
class Ends:
    """The sockets of A and B: (IP version, address, port)."""

    a: tuple[int, int, int] = (4, 0x0A000001, 40000)
    b: tuple[int, int, int] = (4, 0x0A000002, 80)


SELF = Ends((4, 0x7F000001, 5555), (4, 0x7F000001, 5555))


@dataclass(frozen=True)
class Line:
    """One line of a scenario, numbers still in letters."""

    text: str
    segment: Segment
    seq: str
    ack: str | None
    states: tuple[str, str] = (".", ".")
    #: Must it be said to be ignored? None: not looked at.
    ignored: bool | None = False
    #: The edges of the blocks of its SACK option.
    sack: tuple[tuple[str, str], ...] = ()


@dataclass
class Section:
    """One connection of a scenario: its lines and the verdicts about it."""

    lines: list[Line] = field(default_factory=list)
    verdicts: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Scenario:
    """A parsed text."""

    sections: list[Section]
    definitions: list[tuple[str, str]]
    icmp: list[str]
    self_connect: bool = False

    def letters(self, isns: tuple[int, int]) -> dict[str, int]:
        letters = {"x": isns[0], "y": isns[1]}
        for name, expression in self.definitions:
            letters[name] = evaluate(expression, letters)
        return letters

    def segments(self, isns: tuple[int, int]) -> list[Segment]:
        letters = self.letters(isns)
        return [
            replace(
                line.segment,
                seq=evaluate(line.seq, letters),
                ack=evaluate(line.ack, letters) if line.ack is not None else 0,
                options=line.segment.options + _sack_option(line.sack, letters),
            )
            for section in self.sections
            for line in section.lines
        ]

    def ends(self) -> Ends:
        return SELF if self.self_connect else Ends()


def evaluate(expression: str, letters: dict[str, int]) -> int:
    """Sum up "x+1+4" modulo 2**32."""
    total = 0
    for sign, term in re.findall(r"([+-]?)(\w+)", expression):
        value = letters[term] if term in letters else int(term)
        total += -value if sign == "-" else value
    return total % MODULUS


def _sack_option(blocks: Sequence[tuple[str, str]], letters: dict[str, int]) -> bytes:
    """RFC 2018 §3."""
    edges = [evaluate(edge, letters).to_bytes(4, "big") for block in blocks for edge in block]
    return bytes([1, 1, 5, 2 + 4 * len(edges)]) + b"".join(edges) if edges else b""


def parse(text: str) -> Scenario:
    """Read a scenario."""
    scenario = Scenario([Section()], [], [])
    now = -MILLISECOND_NS
    for raw in text.strip().splitlines():
        line = raw.partition("#")[0].strip()
        section = scenario.sections[-1]
        if not line:
            continue
        if line == "self":
            scenario.self_connect = True
        elif line == "open":
            for one in OPEN:
                now, lines = _segment_lines(one, now)
                section.lines += lines
        elif set(line) == {"-"}:
            scenario.sections.append(Section())
        elif line.startswith("let "):
            name, _, expression = line[4:].partition("=")
            scenario.definitions.append((name.strip(), expression.strip()))
        elif line.startswith("icmp "):
            scenario.icmp.append(line[5:].strip())
        elif line.startswith("= "):
            path, _, value = line[2:].partition(" ")
            section.verdicts.append((path, value.strip()))
        else:
            now, lines = _segment_lines(line, now)
            section.lines += lines
    return scenario


def _segment_lines(text: str, now: int) -> tuple[int, list[Line]]:
    body, _, beside = text.partition("|")
    words = body.split()
    now += MILLISECOND_NS
    if re.fullmatch(r"[\d.]+", words[0]):
        now = int(Decimal(words.pop(0)) * 1_000_000_000)
    sender, arrow, bits, seq, *rest = words
    assert arrow == ">" and sender in "AB", text
    flags = sum(FLAGS[letter] for letter in bits.replace("-", ""))
    segment = Segment(0, sender, flags, 0)
    ack: str | None = None
    sack: tuple[tuple[str, str], ...] = ()
    times = 1
    while rest:
        word = rest.pop(0)
        if word.startswith("("):
            segment = replace(segment, octets=int(word.strip("()")))
        elif word == "ack":
            ack = rest.pop(0)
        elif word == "sack":
            sack = tuple((left, right) for left, right in (one.split(":") for one in rest.pop(0).split(",")))
        elif word == "win":
            segment = replace(segment, window=int(rest.pop(0)))
        elif word == "ttl":
            segment = replace(segment, ttl=int(rest.pop(0)))
        elif word == "id":
            segment = replace(segment, ip_id=int(rest.pop(0)))
        elif word.startswith("*"):
            times = int(word[1:])
        elif word == "ts":
            segment = replace(segment, timestamps=(int(rest.pop(0)), int(rest.pop(0))))
            segment = replace(segment, options=segment.options + b"\x08\x0a" + bytes(8))
        else:
            segment = replace(segment, options=segment.options + _option(word, rest))
    assert (ack is not None) == bool(flags & FLAGS["A"]), f"ack and the ACK bit go together: {text}"
    segment = replace(segment, options=segment.options + bytes(-len(segment.options) % 4))  # a whole list
    expected = beside.split()
    states = (expected[0], expected[1]) if expected else (".", ".")
    ignored = None if "ignored?" in expected[2:] else "ignored" in expected[2:]
    lines = []
    for k in range(times):
        at = now + k * MILLISECOND_NS
        lines.append(Line(text, replace(segment, time_ns=BEGIN_NS + at), seq, ack, states, ignored, sack))
    return now + (times - 1) * MILLISECOND_NS, lines


def _option(word: str, rest: list[str]) -> bytes:
    if word == "mss":
        return b"\x02\x04" + int(rest.pop(0)).to_bytes(2, "big")
    if word == "wscale":
        return b"\x03\x03" + bytes([int(rest.pop(0))])
    if word == "sackok":
        return b"\x04\x02"
    assert word == "tfo", word
    cookie = bytes.fromhex(rest.pop(0)) if rest and re.fullmatch(r"[0-9a-f]{8,32}", rest[0]) else b""
    return bytes([34, 2 + len(cookie)]) + cookie


# --- running ---------------------------------------------------------------------------------------------------------


def table_of(
    segments: Sequence[Segment], inspector: Inspector, ends: Ends | None = None, first_frame: int = 1
) -> SegmentTable:
    """Make the rows that decoding would have made of these segments."""
    ends = ends or Ends()
    table = SegmentTable.empty(len(segments))
    options = inspector.names.options
    for i, one in enumerate(segments):
        source, destination = (ends.a, ends.b) if one.sender == "A" else (ends.b, ends.a)
        row: dict[str, int] = {
            "time_ns": one.time_ns,
            "frame": first_frame + i,
            "ip_version": source[0],
            "src_hi": source[1] >> 64,
            "src_lo": source[1] & 0xFFFFFFFFFFFFFFFF,
            "dst_hi": destination[1] >> 64,
            "dst_lo": destination[1] & 0xFFFFFFFFFFFFFFFF,
            "src_port": source[2],
            "dst_port": destination[2],
            "seq": one.seq,
            "ack": one.ack,
            "flags": one.flags,
            "window": one.window,
            "payload_octets": one.octets,
            "ttl": one.ttl,
            "ip_id": (i + 1) & 0xFFFF if one.ip_id is None else one.ip_id,
            "packet_type": 255,
            "options": number_of(one.options, layout(one.options), options, is_syn=bool(one.flags & 2)),
            "has_timestamps": int(one.timestamps is not None),
        }
        if one.timestamps:
            row["timestamp_value"], row["timestamp_echo"] = one.timestamps
        for name, value in row.items():
            table.columns[name][i] = value
    return table


def inspect_segments(
    segments: Sequence[Segment],
    ends: Ends | None = None,
    *,
    quoted: Iterable[int] = (),
    icmp_code: int = 1,
    block_rows: int | None = None,
    profile: str = "linux",
) -> Inspection:
    """Feed segments to the engine. `quoted`: numbers of A's segments that an ICMP error with that code quotes."""
    ends = ends or Ends()
    inspector = Inspector(profile=profile)
    capture = inspector.begin_capture("scenario.pcap", "pcap")
    table = table_of(segments, inspector, ends)
    errors = _icmp_errors(list(quoted), icmp_code, ends, int(table["time_ns"].max(initial=0)))
    size = block_rows or max(len(table), 1)
    for a in range(0, len(table), size):
        part = table.take(slice(a, a + size))
        inspector.add_block(Block(part), capture, len(part), part["time_ns"])
    if len(errors):
        inspector.add_block(Block(SegmentTable.empty(), icmp_errors=errors), capture, 0, np.zeros(0, np.int64))
    return inspector.result()


def inspect_many(conversations: Sequence[tuple[Sequence[Segment], Ends]], *, profile: str = "linux") -> Inspection:
    """Feed many conversations, each between sockets of its own, one after the other."""
    inspector = Inspector(profile=profile)
    capture = inspector.begin_capture("scenario.pcap", "pcap")
    tables, frame = [], 1
    for segments, ends in conversations:
        tables.append(table_of(segments, inspector, ends, frame))
        frame += len(segments)
    table = SegmentTable.concatenate(tables)
    inspector.add_block(Block(table), capture, len(table), table["time_ns"])
    return inspector.result()


def _icmp_errors(quoted: list[int], code: int, ends: Ends, time_ns: int) -> IcmpErrorTable:
    errors = IcmpErrorTable.empty(len(quoted))
    for i, seq in enumerate(quoted):
        row = {
            "ip_version": ends.a[0],
            "src_lo": ends.a[1],
            "dst_lo": ends.b[1],
            "src_port": ends.a[2],
            "dst_port": ends.b[2],
            "protocol": 6,
            "seq": seq,
            "has_seq": 1,
            "quoted_flags": -1,
            "icmp_type": 3,
            "icmp_code": code,
            "time_ns": time_ns,
        }
        for name, value in row.items():
            errors.columns[name][i] = value
    return errors


def inspect_lines(text: str, isns: tuple[int, int] = ISN_PAIRS["plain"], *, profile: str = "linux") -> Inspection:
    """Inspect the segments of a scenario; its expectations are not looked at."""
    scenario = parse(text)
    letters = scenario.letters(isns)
    quoted = [evaluate(one, letters) for one in scenario.icmp]
    return inspect_segments(scenario.segments(isns), scenario.ends(), quoted=quoted, profile=profile)


# --- comparing -------------------------------------------------------------------------------------------------------


def check(text: str, isns: tuple[int, int] = ISN_PAIRS["plain"]) -> Inspection:
    """Inspect a scenario and compare everything that stands beside it."""
    scenario = parse(text)
    found = inspect_lines(text, isns)
    differences: list[str] = []
    if len(found.connections) != len(scenario.sections):
        raise AssertionError(
            f"{len(found.connections)} connections, not {len(scenario.sections)}; they begin at frames "
            f"{[one.first_frame for one in found.connections]}\n{text}"
        )
    frame = 0
    for stream, section in enumerate(scenario.sections):
        connection = found.with_steps(stream)
        names = _sides(connection, scenario)
        frames = [step.frame for step in connection.steps or ()]
        wanted = list(range(frame + 1, frame + 1 + len(section.lines)))
        frame += len(section.lines)
        if frames != wanted:
            differences.append(f"stream {stream} has frames {frames}, not {wanted}")
            continue
        differences += _compare_steps(connection, section, names)
        differences += _compare_verdicts(connection, section, names)
    if differences:
        shown = "\n".join(describe(found, stream) for stream in range(len(found.connections)))
        raise AssertionError("\n".join(["", *differences, shown]))
    return found


def _sides(connection: Connection, scenario: Scenario) -> dict[str, str]:
    """Which end of the connection A and B are."""
    if scenario.self_connect or connection.originator.port == scenario.ends().a[2]:
        return {"A": "originator", "B": "responder"}
    return {"A": "responder", "B": "originator"}


def _compare_steps(connection: Connection, section: Section, names: dict[str, str]) -> list[str]:
    differences = []
    for line, step in zip(section.lines, connection.steps or (), strict=True):
        for letter, expected in zip("AB", line.states, strict=True):
            actual = getattr(step.states, names[letter])
            if not _state_fits(expected, actual):
                differences.append(f"frame {step.frame}: {line.text.strip()}\n    {letter} is {spell(actual)}")
        if line.ignored not in (None, step.ignored is not None):
            differences.append(f"frame {step.frame}: {line.text.strip()}\n    ignored: {step.ignored}")
    return differences


def _state_fits(expected: str, actual: StateAt) -> bool:
    if expected == ".":
        return True
    match = re.fullmatch(r"([A-Z0-9-]+?)([\^!]|\?{1,2})?", expected)
    assert match, f"not a state: {expected}"
    name, basis = match.groups()
    if name == "-":
        return actual.state is None
    if name != actual.state:
        return False
    return basis is None or (BASIS[basis] == actual.basis and (basis == "??") == actual.disproved)


def spell(state: StateAt) -> str:
    """Write a state as a scenario does."""
    if state.state is None:
        return "-"
    mark = {"sent": "^", "acknowledged": "!", "assumed": "?", None: ""}[state.basis]
    return state.state + ("??" if state.disproved else mark)


_SHORT = {
    "handshake": "handshake.kind",
    "teardown": "teardown.kind",
    "closed_first": "teardown.closed_first",
    "reset_by": "teardown.reset_by",
    "A": "states.A",
    "B": "states.B",
}


def _compare_verdicts(connection: Connection, section: Section, names: dict[str, str]) -> list[str]:
    differences = []
    for path, expected in section.verdicts:
        value: Any = connection
        for part in _SHORT.get(path, path).split("."):
            value = value[int(part)] if part.isdigit() else getattr(value, names.get(part, part))
        actual = _plain(value, names)
        if actual != " ".join(expected.split()):
            differences.append(f"stream {connection.stream}: {path} is {actual}, not {expected}")
    return differences


def _plain(value: Any, names: dict[str, str]) -> str:
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return " ".join(_plain(one, names) for one in value) or "()"
    letters = {side: letter for letter, side in names.items()}
    return letters.get(str(value), str(value))


def describe(found: Inspection, stream: int) -> str:
    """Everything that was found of one connection, for the message of a failing test."""
    one = found.with_steps(stream)
    out = [
        f"stream {stream}: {one.originator} -> {one.responder}: {one.handshake.kind} {one.handshake.complete} "
        f"{one.handshake.missing} | {one.teardown.kind} {one.teardown.complete} {one.teardown.missing} "
        f"closed_first={one.teardown.closed_first} reset_by={one.teardown.reset_by}",
        f"  originator {one.states.originator}",
        f"  responder  {one.states.responder}",
    ]
    out += [
        f"  {step.frame!s:>3} {step.sender:10} {step.flags:12} seq {step.relative_seq} ({step.payload_octets}) ack "
        f"{step.relative_ack} | {spell(step.states.originator)} {spell(step.states.responder)}"
        f"{'  IGNORED ' + step.ignored if step.ignored else ''}"
        for step in one.steps or ()
    ]
    out += [f"  RST {one_reset}" for one_reset in one.resets]
    out += [f"  {wait}" for wait in one.time_wait]
    return "\n".join(out)
