"""Compares our words and counts for each connection with tshark's and Zeek's, line by line.

In: `Answer`s, ours. Out: a `Comparison`: how many lines agree, which do not, and which were left out, by reason. The
oracle files lie in the folder of public captures, with the README that names their quirks.

A line is left out only where the other tool did not look at what we look at:

- *checksums*: Zeek validated checksums and tshark finds bad ones in that stream: Zeek ignored those segments;
- *timers*: Zeek wrote more lines for a pair of sockets than we have connections, and between two of them lies a
  silence of more than the 5 s after which it forgets an unanswered SYN, a closed or a reset connection.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from handshake_inspect import inspect
from handshake_inspect.connections.connection import Connection, Step

Socket = tuple[str, int]
Ends = tuple[Socket, Socket]
#: Name -> (ours, theirs).
Fields = Mapping[str, tuple[object, object]]

#: Seconds after which Zeek forgets what seems to be over.
ZEEK_LINGER_S = 5.0


@dataclass
class Sent:
    """What one socket sent in one connection."""

    packets: int = 0
    #: Payload, repeats included.
    octets: int = 0
    #: Segments with these control bits.
    syn: int = 0
    syn_ack: int = 0
    fin: int = 0
    rst: int = 0


@dataclass(frozen=True)
class Answer:
    """What we say of one connection of one capture."""

    file: str
    #: Both sockets, sorted.
    ends: Ends
    #: Order among the connections of its capture.
    stream: int
    first_ns: int
    #: As often as they were captured: copies too.
    segments: int
    conn_state: str
    history: str
    completeness: int
    last_ns: int = 0
    #: Those of `segments` that we take for copies; tshark counts them.
    duplicates: int = 0
    #: First SYN to third segment.
    initial_rtt_ns: int | None = None
    #: What each socket sent; both ends of a connection to itself are one socket.
    sent: Mapping[Socket, Sent] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """A line on which we do not agree."""

    file: str
    #: tshark's stream numbers of the line.
    streams: tuple[int, ...]
    #: The field; "connection" if we have none, or not as many, for the line.
    name: str
    ours: object
    theirs: object


@dataclass
class Comparison:
    """How far two opinions agree."""

    compared: Counter[str] = field(default_factory=Counter)
    equal: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def compare(self, file: str, streams: Iterable[int], fields: Mapping[str, tuple[object, object]]) -> None:
        """Compare the fields of one line: name -> (ours, theirs)."""
        for name, (ours, theirs) in fields.items():
            self.compared[name] += 1
            self.equal[name] += ours == theirs
            if ours != theirs:
                self.differences.append(Difference(file, tuple(streams), name, ours, theirs))


def sorted_ends(one: Socket, other: Socket) -> Ends:
    """Name a pair of sockets, whoever spoke first."""
    return (one, other) if one <= other else (other, one)


def answers_of(path: Path) -> list[Answer]:
    """Inspect a capture and return our answer for each of its connections."""
    inspection = inspect(path)
    return [_answer(path.name, one, inspection.steps(one.stream)) for one in inspection.connections]


def _answer(file: str, one: Connection, steps: Iterable[Step]) -> Answer:
    sockets = {
        "originator": (one.originator.ip, one.originator.port),
        "responder": (one.responder.ip, one.responder.port),
    }
    sent: dict[Socket, Sent] = defaultdict(Sent)
    for end, segments, octets in (
        ("originator", one.segments.originator, one.octets.originator),
        ("responder", one.segments.responder, one.octets.responder),
    ):
        sent[sockets[end]].packets += segments
        sent[sockets[end]].octets += octets
    for step in steps:
        bits, counts = set(step.flags.split(",")), sent[sockets[step.sender]]
        counts.syn += "SYN" in bits and "ACK" not in bits
        counts.syn_ack += {"SYN", "ACK"} <= bits
        counts.fin += "FIN" in bits
        counts.rst += "RST" in bits
    return Answer(
        file=file,
        ends=sorted_ends(sockets["originator"], sockets["responder"]),
        stream=one.stream,
        first_ns=one.first_ns,
        segments=one.segments.originator + one.segments.responder + one.duplicates,
        duplicates=one.duplicates,
        conn_state=one.conn_state,
        history=one.history,
        completeness=one.completeness,
        last_ns=one.last_ns,
        initial_rtt_ns=one.handshake.initial_rtt_ns,
        sent=sent,
    )


def compare_with_tshark(captures: Path, answers: Iterable[Answer]) -> Comparison:
    """Compare `completeness` with every line of oracle_tshark.jsonl."""
    comparison = Comparison()
    for line, answer in _lines_of_tshark(captures, answers, comparison):
        fields = {"completeness": (answer.completeness, line["completeness"])}
        comparison.compare(line["file"], (line["stream"],), fields)
    return comparison


def compare_traffic_with_tshark(captures: Path, answers: Iterable[Answer]) -> Comparison:
    """Compare times, control bits, packets, octets and initial round-trip time with every line likewise.

    All but the times are pairs: of the socket that sent the first packet, of the other.
    """
    comparison = Comparison()
    for line, answer in _lines_of_tshark(captures, answers, comparison):
        first, other = (line["src"], int(line["sport"])), (line["dst"], int(line["dport"]))
        one, two = (answer.sent.get(socket, Sent()) for socket in (first, other))
        two = Sent() if other == first else two
        fields: dict[str, tuple[object, object]] = {
            "first time": (answer.first_ns, _signed_ns(line["first_ts"])),
            "last time": (answer.last_ns, _signed_ns(line["last_ts"])),
            "packets": ((one.packets, two.packets), (line["pkts_a"], line["pkts_b"])),
            "octets": ((one.octets, two.octets), (line["bytes_a"], line["bytes_b"])),
            "SYN": ((one.syn, two.syn), (line["syn_a"], line["syn_b"])),
            "SYN-ACK": ((one.syn_ack, two.syn_ack), (line["synack_a"], line["synack_b"])),
            "FIN": ((one.fin, two.fin), (line["fin_a"], line["fin_b"])),
            "RST": ((one.rst, two.rst), (line["rst_a"], line["rst_b"])),
        }
        if answer.duplicates:  # nothing says whose they are
            fields = {"packets": (answer.segments, line["packets"])}
        rtt_ns = None if line["initial_rtt"] is None else _signed_ns(line["initial_rtt"])
        if rtt_ns is not None or answer.initial_rtt_ns is not None:
            fields["initial RTT"] = (answer.initial_rtt_ns, rtt_ns)
        comparison.compare(line["file"], (line["stream"],), fields)
    return comparison


def compare_connections_with_tshark(captures: Path, answers: Iterable[Answer]) -> Comparison:
    """Compare how many connections each pair of sockets has; the streams named are all of that pair."""
    comparison, ours = Comparison(), _by_ends(answers)
    theirs = _tshark_by_ends(captures)
    for file, ends in sorted(set(ours) | set(theirs)):
        mine, lines = ours.get((file, ends), []), theirs.get((file, ends), [])
        streams = [line["stream"] for line in lines]
        comparison.compare(file, streams, {"connections": (len(mine), len(lines))})
    return comparison


def _signed_ns(seconds: str) -> int:
    """Read a time. One that 64 bits of ns cannot hold is negative for us: see `pcapng.Interface.time_ns`."""
    found = int(Decimal(seconds) * 1_000_000_000)
    return found - (1_000 << 64) if found >> 63 > 0 else found


def _tshark_by_ends(captures: Path) -> dict[tuple[str, Ends], list[dict[str, Any]]]:
    found: dict[tuple[str, Ends], list[dict[str, Any]]] = defaultdict(list)
    for line in _lines(captures / "oracle_tshark.jsonl"):
        ends = sorted_ends((line["src"], int(line["sport"])), (line["dst"], int(line["dport"])))
        found[line["file"], ends].append(line)
    return found


def _lines_of_tshark(
    captures: Path, answers: Iterable[Answer], comparison: Comparison
) -> Iterator[tuple[dict[str, Any], Answer]]:
    """Yield each line with our answer; note in `comparison` those that have none."""
    ours = _by_ends(answers)
    for (file, ends), lines in _tshark_by_ends(captures).items():
        mine = ours.get((file, ends), [])
        for line, answer in zip(lines, _counterparts(lines, mine), strict=True):
            if answer is None:
                comparison.compare(file, (line["stream"],), {"connection": (len(mine), len(lines))})
            else:
                yield line, answer


def compare_with_zeek(captures: Path, answers: Iterable[Answer]) -> Comparison:
    """Compare `conn_state` and `history` with every line of oracle_zeek.jsonl."""

    def words(answer: Answer, line: Mapping[str, Any]) -> Fields:
        return {name: (getattr(answer, name), line[name]) for name in ("conn_state", "history")}

    return compare_fields_with_zeek(captures, answers, words)


def compare_fields_with_zeek(
    captures: Path, answers: Iterable[Answer], fields: Callable[[Answer, Mapping[str, Any]], Fields]
) -> Comparison:
    """Compare some fields with every line of oracle_zeek.jsonl: `fields` names them for one of our answers."""
    comparison, ours = Comparison(), _by_ends(answers)
    tshark = {(line["file"], line["stream"]): line for line in _lines(captures / "oracle_tshark.jsonl")}
    theirs: dict[tuple[str, str, str, Ends], list[dict[str, Any]]] = defaultdict(list)
    for line in _lines(captures / "oracle_zeek.jsonl"):
        ends = sorted_ends((line["orig_h"], line["orig_p"]), (line["resp_h"], line["resp_p"]))
        theirs[line["file"], line["test"], line["baseline"], ends].append(line)
    for (file, _, _, ends), lines in theirs.items():
        if all(line["ts"] for line in lines):
            lines.sort(key=lambda line: float(line["ts"]))  # they are written as connections end
        mine = ours.get((file, ends), [])
        for line, answer in zip(lines, _counterparts(lines, mine), strict=True):
            streams = tuple(line["tshark_streams"])
            bad = sum(tshark[file, stream]["bad_tcp_checksum"] for stream in streams)
            if line["checksums"] == "validated" and bad:
                comparison.left_out["checksums"] += 1
            elif answer is None and len(lines) > len(mine) and _has_long_silence(lines):
                comparison.left_out["timers"] += 1
            elif answer is None:
                comparison.compare(file, streams, {"connection": (len(mine), len(lines))})
            else:
                comparison.compare(file, streams, fields(answer, line))
    return comparison


def _by_ends(answers: Iterable[Answer]) -> dict[tuple[str, Ends], list[Answer]]:
    found: dict[tuple[str, Ends], list[Answer]] = defaultdict(list)
    for answer in sorted(answers, key=lambda one: one.stream):
        found[answer.file, answer.ends].append(answer)
    return found


def _counterparts(lines: list[dict[str, Any]], mine: list[Answer]) -> list[Answer | None]:
    """Find our connection for each line of a pair of sockets: by order if there are as many, else by time."""
    if len(lines) == len(mine):
        return list(mine)
    found: list[Answer | None] = []
    for line in lines:
        first_s = line.get("first_ts") or line.get("ts")
        near = [one for one in mine if first_s is not None and abs(one.first_ns / 1e9 - float(first_s)) < 1e-3]
        found.append(near[0] if len(near) == 1 else None)
    return found


def _has_long_silence(lines: list[dict[str, Any]]) -> bool:
    times = [(line["ts"], line["ts"] + (line["duration"] or 0)) for line in lines if line["ts"] is not None]
    times.sort()
    return any(later[0] - earlier[1] > ZEEK_LINGER_S for earlier, later in pairwise(times))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)
