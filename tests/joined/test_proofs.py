"""What a capture missed, and its receiver acknowledged, did not die on the way."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from handshake_inspect.joined.join import Joined, join
from handshake_inspect.views.joined_export import joined_object
from handshake_inspect.views.joined_ladder import joined_ladder
from handshake_inspect.views.ladder_cells import LadderOptions
from tests.joined.made_up import Seen, capture, recorded


def without(name: str, missed: Collection[int]) -> Joined:
    """Join what was recorded at both ends, but for these frames at the server, from 1."""
    client, server = ([Seen(at, frame) for at, frame in enumerate(recorded(one))] for one in (name, f"{name}.server"))
    return join(capture(client), capture([one for one in server if one.place + 1 not in missed]))


def test_an_acknowledgment_tells_what_the_capture_missed() -> None:
    joined = without("lost-fin", {4})
    way = joined[0].ways.originator
    assert (way.missed, way.lost, way.sent, way.arrived) == ((4,), (8,), 7, 5)
    found = joined_object(joined[0], joined.moments(0))
    (segment,) = [one for one in found["segments"] if one["fate"] == "missed"]
    assert (segment["near"]["frame"], segment["far"], segment["acknowledged_in_frame"]) == (4, None, 4)
    text = "\n".join(line.plain for line in joined_ladder(joined[0], joined.moments(0), LadderOptions(width=140)))
    assert "arrived: acknowledged in frame 4 there; that capture missed it" in text
    assert "7 segments sent, 6 arrived" in text
    assert text.count("✗") == 2, "the FIN, and the legend"


def test_of_two_sendings_the_second_was_acknowledged() -> None:
    """The first FIN died, and the capture missed the second one."""
    way = without("lost-fin", {8})[0].ways.originator
    assert (way.lost, way.missed) == ((8,), (9,))


def test_what_arrived_again_proves_nothing_of_the_first() -> None:
    """Here the wire has dropped it: the acknowledgment is of the second sending, which was seen to arrive."""
    for name in ("lost-syn", "lost-data", "lost-fin"):
        way = without(name, ())[0].ways.originator
        assert (len(way.lost), way.missed) == (1, ()), name


def test_a_syn_and_a_bare_acknowledgment_that_were_missed() -> None:
    """The SYN was answered; of the third segment nothing tells."""
    way = without("lost-fin", {1, 3})[0].ways.originator
    assert (way.missed, way.lost) == ((1,), (3, 8))


@pytest.mark.parametrize("name", ["ttl-changed", "nat", "isn-rewritten", "timestamps-dropped"])
def test_whatever_frame_was_missed_nothing_died_that_was_acknowledged(name: str) -> None:
    """Nothing died on these ways: only of a bare acknowledgment, which nobody acknowledges, it cannot be known."""
    for missed in range(1, len(recorded(f"{name}.server")) + 1):
        joined = without(name, {missed})
        segments = {id(one.segment): one.segment for one in joined.moments(0)}.values()
        for one in segments:
            has_length = one.step.payload_octets or not {"SYN", "FIN"}.isdisjoint(one.step.flags.split(","))
            assert not (one.fate == "lost" and has_length), (missed, one)
        assert sum(one.fate == "missed" for one in segments) <= 1
