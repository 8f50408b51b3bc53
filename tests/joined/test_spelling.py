"""One ladder, one spelling: whichever of the two captures shows a segment, its numbers are told in the same terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect.connections.connection import end_names
from handshake_inspect.joined.join import Joined, join
from handshake_inspect.joined.model import JoinedSegment
from handshake_inspect.tcp.seqnum import spelled
from handshake_inspect.views.joined_account import account
from tests.joined.made_up import Seen, capture, recorded

PCAPS = Path(__file__).parents[2] / "pcaps"


def sides(name: str) -> tuple[list[Seen], list[Seen]]:
    client, server = ([Seen(at, frame) for at, frame in enumerate(recorded(one))] for one in (name, f"{name}.server"))
    return client, server


def segments(joined: Joined) -> list[JoinedSegment]:
    return list({id(one.segment): one.segment for one in joined.moments(0)}.values())


@pytest.mark.parametrize("name", ["simultaneous-open", "syn-answered-by-syn"])
def test_where_syns_crossed_each_end_keeps_its_letter(name: str) -> None:
    joined = join(PCAPS / f"{name}.pcap", PCAPS / f"{name}.server.pcap")
    (connection,) = joined
    initial = {
        "originator": ("x", connection.initial_seq.originator),
        "responder": ("y", connection.initial_seq.responder),
    }
    syns = [one for one in segments(joined) if "SYN" in one.step.flags.split(",")]
    assert {one.sender for one in syns} == {"originator", "responder"}
    for one in syns:
        assert (one.step.symbolic_seq, one.step.seq, one.step.relative_seq) == (*initial[one.sender], 0)


@pytest.mark.parametrize("name", ["lost-fin", "simultaneous-open", "simultaneous-close"])
@pytest.mark.parametrize("missing", [1, 2, 3])
@pytest.mark.parametrize("at_client", [True, False])
def test_a_capture_that_began_late_takes_the_numbers_of_the_other(name: str, missing: int, at_client: bool) -> None:
    client, server = sides(name)
    joined = join(*map(capture, (client[missing:], server) if at_client else (client, server[missing:])))
    (connection,) = joined
    letters = ("x", "y", "u", "v", "w")
    for one in segments(joined):
        own = connection.initial_seq[one.sender]
        other = connection.initial_seq["responder" if one.sender == "originator" else "originator"]
        step, side = one.step, "x" if one.sender == "originator" else "y"
        assert own is not None
        assert other is not None
        assert (step.seq - own) % (1 << 32) == step.relative_seq
        assert step.symbolic_seq.startswith(letters)
        if step.symbolic_seq.startswith(("x", "y")):
            assert step.symbolic_seq == spelled(side, step.relative_seq)
        if step.relative_ack is not None and step.ack is not None and step.symbolic_ack is not None:
            assert (step.ack - other) % (1 << 32) == step.relative_ack
            assert step.symbolic_ack.startswith(letters)
    fins = {one.sender: one.step.symbolic_seq for one in segments(joined) if "FIN" in one.step.flags.split(",")}
    assert sorted(fins.values()) == ["u", "w"]


def test_a_frame_is_named_by_what_it_says() -> None:
    """Frames of both captures have the same numbers: what died is told in the words of the capture near its sender."""
    client, server = sides("lost-fin")
    joined = join(*map(capture, (client, server[3:])))
    (connection,) = joined
    lines = account(connection, joined.moments(0), width=200, names=end_names("complete"))
    assert "Died on the way: frame 8 (FIN,ACK seq=u ack=v)" in "\n".join(line.plain for line in lines)


def test_what_says_the_same_is_named_together() -> None:
    joined = join(PCAPS / "fin-storm.pcap", PCAPS / "fin-storm.server.pcap")
    (connection,) = joined
    lines = account(connection, joined.moments(0), width=200, names=end_names("complete"))
    (line,) = [line.plain for line in lines if "Not sent by the client" in line.plain]
    assert "frames 10, 12, 14, 16, ..., 48 (FIN,ACK seq=u ack=v, 20 times)" in line
