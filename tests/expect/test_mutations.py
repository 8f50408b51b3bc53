"""For each kind of expectation: a capture altered so that it must fail, fails, and says why; nothing else fails.

What a recorded capture shows is written down, all of it is met, and the capture is altered on the level of packets.
`besides` are keys of which the alteration must change the truth too: they are not in the file. Brought up to date, the
file is met, and nothing but the key has changed in it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from handshake_inspect import Inspection
from handshake_inspect.expect.checked import CheckedCapture
from handshake_inspect.expect.expectations import Expectations
from handshake_inspect.expect.matching import checks
from handshake_inspect.expect.recording import document, toml
from handshake_inspect.expect.understanding import DOCUMENT_KEYS, EXPECT_KEYS, SELECTOR_KEYS, expectations
from handshake_inspect.expect.updating import updated
from handshake_inspect.expect.written import FileLines
from tests.expect.altered import (
    Alteration,
    Frames,
    again,
    another_port,
    beside,
    every,
    frames_of,
    inspected,
    late,
    longer,
    lost,
    recorded,
    rewritten,
    segment,
    then,
    udp_beside,
    with_fields,
)


@dataclass(frozen=True)
class Mutation:
    """One alteration, and what must be said of it."""

    key: str
    #: A capture of pcaps/.
    base: str
    alter: Alteration
    #: What the message must say: expected and seen.
    says: str
    #: The row of the ladder that shows it: "frame 11, FIN,ACK of the client"; "": none does.
    row: str = ""
    #: Keys that must change too, and are not in the file.
    besides: tuple[str, ...] = ()
    #: Keys that are in the file beside what was recorded, of the document or of its first table.
    document: Mapping[str, Any] = field(default_factory=dict)
    table: Mapping[str, Any] = field(default_factory=dict)
    #: What --update writes in place of the key; None: the key is gone.
    now: Any = None


def closed_by_the_server(frames: Frames) -> Frames:
    """four-way, but the server's FIN is the first: frames 8 and 9 are its close, 10 and 11 the client's."""
    client, answer, server, last = frames[7:]
    change = [
        (server, {"ack": segment(client).seq}),
        (last, {"seq": segment(client).seq}),
        (client, {"ack": segment(last).ack}),
        (answer, {"seq": segment(last).ack}),
    ]
    moved = [
        replace(with_fields(one, **fields), time_ns=at.time_ns)
        for (one, fields), at in zip(change, frames[7:], strict=True)
    ]
    return [*frames[:7], *moved]


def without_control_bits(frames: Frames) -> Frames:
    """Let frame 7 come once more without any control bit."""
    return then(again(7, 1), rewritten(8, flags=0))(frames)


def swapped(frames: Frames) -> Frames:
    """Let two frames stand in the other order in the file; their times are right."""
    return [*frames[:9], frames[10], frames[9]]


CLIENT, SERVER = 47304, 45243  # of four-way
ELSEWHERE = {CLIENT: "198.18.0.1", SERVER: "198.18.0.2"}

MUTATIONS = [
    Mutation(
        "connections", "four-way.pcap", beside(another_port(CLIENT, 47305)),
        "connections: expected 1, seen 2", now=2,
    ),
    Mutation("exchanges", "udp.pcap", udp_beside(4000), "exchanges: expected 1, seen 2", now=2),
    Mutation(
        "no_findings", "four-way.pcap", swapped,
        "findings of the run: expected none of severity note or above, seen note frames-out-of-order of (file object): "
        "1 frame out of order by up to 0.013 ms",
        document={"no_findings": "note"}, now="note",
    ),
    Mutation(
        "port", "four-way.pcap", every(another_port(SERVER, 8001)),
        "connections with port = 45243: expected at least 1, seen 0",
        table={"port": SERVER}, now=None,
    ),
    Mutation(
        "host", "four-way.pcap",
        every(lambda one: {"source": ELSEWHERE[one.source[1]], "destination": ELSEWHERE[one.destination[1]]}),
        'connections with host = "127.0.0.0/8": expected at least 1, seen 0',
        table={"host": "127.0.0.0/8"}, now=None,
    ),
    Mutation(
        "stream", "time-wait-reopened.pcap", lambda frames: frames[:11],
        "connections with stream = 1: expected at least 1, seen 0",
        besides=("connections",), now={},
    ),
    Mutation(
        "where", "four-way.pcap", longer(4, b"!"),
        'connections with where = "octets.originator == 4": expected at least 1, seen 0',
        besides=("octets",), table={"where": "octets.originator == 4"}, now=None,
    ),
    Mutation(
        "count", "four-way.pcap", beside(another_port(CLIENT, 47305)),
        "connections with port = 45243: expected 1, seen 2",
        besides=("connections",), table={"port": SERVER, "count": 1}, now={"count": 2},
    ),
    Mutation(
        "handshake", "four-way.pcap", lost(1),
        "handshake: expected three-way, seen partial", "frame 2, ACK of the client", now="partial",
    ),
    Mutation(
        "handshake", "four-way.pcap", lost(2),
        "handshake: expected three-way, seen partial", "frame 2, ACK of the client", now="partial",
    ),
    Mutation(
        "teardown", "four-way.pcap", lost(9),
        "teardown: expected four-way, seen three-segment", "frame 9, FIN,ACK of the server",
        besides=("states",), now="three-segment",
    ),
    Mutation(
        "teardown", "reset.pcap", lost(8),
        "teardown: expected aborted, seen open", "frame 7, ACK of the client",
        besides=("states", "findings"), now="open",
    ),
    Mutation(
        "closed_first", "four-way.pcap", closed_by_the_server,
        "closed_first: expected client, seen server", "frame 8, FIN,ACK of the server",
        besides=("states", "time_wait"), now="server",
    ),
    Mutation(
        "states", "four-way.pcap", lost(9),
        "states of the client: expected CLOSED > SYN-SENT > ESTABLISHED > FIN-WAIT-1 > FIN-WAIT-2 > TIME-WAIT, "
        "seen CLOSED > SYN-SENT > ESTABLISHED > FIN-WAIT-1 > TIME-WAIT", "frame 10, ACK of the client",
        besides=("teardown",), now={"client": "CLOSED > SYN-SENT > ESTABLISHED > FIN-WAIT-1 > TIME-WAIT"},
    ),
    Mutation(
        "time_wait", "four-way.pcap", lost(11),
        "time_wait: expected client, seen none", "frame 10, FIN,ACK of the server",
        besides=("states", "teardown"), now="none",
    ),
    Mutation(
        "max_handshake_ms", "four-way.pcap", late(2, 10),
        "max_handshake_ms: expected at most 1 ms, seen 10.087 ms", "frame 3, ACK of the client",
        table={"max_handshake_ms": 1}, now=11,
    ),
    Mutation(
        "max_handshake_ms", "four-way.pcap", lost(1),
        "max_handshake_ms: expected at most 1 ms, seen no time: partial handshake", "frame 2, ACK of the client",
        besides=("handshake",), table={"max_handshake_ms": 1}, now=1,
    ),
    Mutation(
        "max_retransmissions", "four-way.pcap", again(4, 1),
        "max_retransmissions: expected at most 0, seen 1", "frame 6, PSH,ACK of the client", now=1,
    ),
    Mutation(
        "max_retransmissions", "four-way.pcap", again(8, 1),
        "max_retransmissions: expected at most 0, seen 1", "frame 9, FIN,ACK of the client", now=1,
    ),
    Mutation(
        "findings", "syn-without-mss.server.pcap", rewritten(1, options=[("MSS", 1460)]),
        "findings: expected mss-missing, seen none", now=None,
    ),
    Mutation(
        "no_findings", "four-way.pcap", without_control_bits,
        "no_findings: expected none of severity warn or above, seen warn ack-bit-missing: the client sends 1 segment "
        "without ACK", "frame 8, no control bits of the client",
        now={"findings": ["ack-bit-missing", "ack-field-without-ack"]},
    ),
    Mutation(
        "octets", "four-way.pcap", longer(4, b"!"),
        "octets of the client: expected 4, seen 5", "frame 4, PSH,ACK of the client", now={"client": 5},
    ),
]  # fmt: skip
#: Selecting and counting; their failure is that of the [[expect]] that has them.
OF_TABLES = (*SELECTOR_KEYS, "count")
#: What no number, word or list says: these stay as they are when the file is brought up to date.
NOT_WRITTEN = [
    case
    for case in MUTATIONS
    if case.document
    or (case.key == "max_handshake_ms" and "handshake" in case.besides)
    or case.key in ("port", "host", "where")  # what the table should be about now somebody must say
]


def test_every_key_has_a_mutation() -> None:
    elsewhere = {"golden", "damage"}  # tests/expect/test_ladders.py, test_matching.py: no frame shows it
    assert {case.key for case in MUTATIONS} == {*DOCUMENT_KEYS, *EXPECT_KEYS} - {"schema", "expect"} - elsewhere


@pytest.mark.parametrize("case", MUTATIONS, ids=lambda case: f"{case.key}-{case.base}")
def test_an_altered_capture_fails_for_this_and_nothing_else(case: Mutation) -> None:
    text = written(case)
    assert failed(text, recorded(case.base)) == []
    messages = failed(text, inspected(case.alter(frames_of(case.base))))
    assert [key for key, _ in messages] == ["[[expect]]" if case.key in OF_TABLES else case.key]
    message = messages[0][1]
    place = f"{'(' + case.row + ') ' if case.row else ''}[x.expect.toml:"
    assert f": {case.says}" in message
    assert place in message
    assert bool(case.row) == ("(frame" in message)
    assert "\n" not in message


@pytest.mark.parametrize("case", MUTATIONS, ids=lambda case: f"{case.key}-{case.base}")
def test_brought_up_to_date_it_is_met_and_nothing_else_has_changed(case: Mutation) -> None:
    text, altered = written(case), inspected(case.alter(frames_of(case.base)))
    after = updated(text, understood(text), altered)
    if case in NOT_WRITTEN:
        assert after == text
        return
    assert failed(after, altered) == []
    assert tomllib.loads(after) == expected_after(tomllib.loads(text), case)


def expected_after(before: dict[str, Any], case: Mutation) -> dict[str, Any]:
    """Put what holds now in the place of the key."""
    if case.key in before and case.key != "no_findings":
        return {**before, case.key: case.now}
    first, *others = before["expect"]
    if case.key in (*OF_TABLES, "no_findings"):
        return {**before, "expect": [{**first, **case.now}] if case.now else [first]}
    now = {**first[case.key], **case.now} if isinstance(case.now, dict) else case.now
    changed = {key: now if key == case.key else value for key, value in first.items()}
    return {**before, "expect": [{k: v for k, v in changed.items() if v is not None}, *others]}


def written(case: Mutation) -> str:
    """Write what the base shows, but for keys that the alteration must change too."""
    found = document(recorded(case.base))
    tables = [{**case.table, **table} for table in found.get("expect", ())]
    for key in case.besides:
        found.pop(key, None)
        tables = [{k: v for k, v in table.items() if k != key} for table in tables]
    found = {k: v for k, v in found.items() if k != "expect"} | dict(case.document)
    return toml({**found, **({"expect": tables} if tables else {})}, case.base)


def understood(text: str) -> Expectations:
    return expectations(tomllib.loads(text), FileLines("x.expect.toml", text))


def failed(text: str, inspection: Inspection) -> list[tuple[str, str]]:
    """Return what is not met: the key that is written in that line of the file, and the message."""
    capture = CheckedCapture("x.pcap")
    for check in checks(understood(text), inspection):
        capture.add(check, keep_all=False)
    lines = text.splitlines()
    return [(key_in(lines[(failure.place.line or 0) - 1]), message) for _, failure, message in capture.messages()]


def key_in(line: str) -> str:
    return line.replace(".", " ").split()[0]
