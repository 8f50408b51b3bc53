"""What a middlebox changed, by the rules of its scenario."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP

from handshake_inspect.joined.join import join
from handshake_inspect.joined.model import Change, JoinedConnection
from handshake_inspect.lab.scenarios.middlebox import CLAMPED_MSS, FAR_TTL, NEXT_TTL, PROXY_TTL, SHIFT
from handshake_inspect.lab.wire import address_behind_nat
from handshake_inspect.views.joined_ladder import joined_ladder
from handshake_inspect.views.ladder_cells import LadderOptions
from tests.joined.made_up import Seen, Way, capture, travelled
from tests.joined.test_pairing import through

PCAPS = Path(__file__).parents[2] / "pcaps"
LINUX_TTL = 64


def only(name: str) -> JoinedConnection:
    (found,) = join(PCAPS / f"{name}.pcap", PCAPS / f"{name}.server.pcap")
    return found


def said(name: str) -> set[tuple[str, str, str, str, int]]:
    return {(one.sender, one.what, one.before, one.after, one.segments) for one in only(name).changes}


def test_a_clamped_mss_is_a_change() -> None:
    assert said("mss-clamped") == {
        ("originator", "MSS", "1460", str(CLAMPED_MSS), 1),
        ("responder", "MSS", "1460", str(CLAMPED_MSS), 1),
    }


def test_timestamps_stripped_from_the_syn() -> None:
    (sender, what, _, after, segments) = next(one for one in said("timestamps-stripped") if one[2] == "offered")
    assert (sender, what, after, segments) == ("originator", "timestamps", "none", 1)


def test_timestamps_dropped_from_all_but_the_syn() -> None:
    (change,) = only("timestamps-dropped").changes
    assert (change.what, change.sender, change.after) == ("timestamps", "originator", "none")
    assert change.segments == change.arrived - 1


def test_a_rewritten_initial_number_is_a_change() -> None:
    (change,) = only("isn-rewritten").changes
    assert (change.sender, change.what) == ("originator", "initial number")
    assert (int(change.after) - int(change.before)) % (1 << 32) == SHIFT


def test_a_translated_address_is_a_change() -> None:
    found = only("nat")
    (change,) = found.changes
    outside = address_behind_nat(change.before)
    assert change == Change("address", "originator", change.before, outside, 6, 6)
    assert found.sockets.originator.second is not None
    assert found.sockets.originator.second.ip == outside
    assert found.ways.originator.routers == found.ways.responder.routers == LINUX_TTL - NEXT_TTL


def test_routers_are_no_change() -> None:
    found = only("far-apart")
    assert found.changes == ()
    assert found.ways.originator.routers == found.ways.responder.routers == LINUX_TTL - FAR_TTL


@pytest.mark.parametrize(
    ("name", "sender", "after", "segments", "routers"),
    [
        ("syn-ack-other-ttl", "responder", PROXY_TTL, 1, 0),
        ("ttl-changed", "originator", PROXY_TTL, 2, 0),
        ("path-changed", "responder", NEXT_TTL, 1, LINUX_TTL - FAR_TTL),
    ],
)
def test_a_ttl_that_differs_in_some_segments_is_a_change(
    name: str, sender: str, after: int, segments: int, routers: int
) -> None:
    found = only(name)
    (change,) = found.changes
    assert (change.what, change.sender, change.before) == ("TTL", sender, str(LINUX_TTL))
    assert (change.after, change.segments) == (str(after), segments)
    assert found.ways[change.sender].routers == routers


def test_one_connection_of_two_has_its_numbers_shifted() -> None:
    first, second = join(PCAPS / "time-wait-reused-early.pcap", PCAPS / "time-wait-reused-early.server.pcap")
    assert first.changes == ()
    (change,) = second.changes
    assert (change.what, change.sender) == ("initial number", "originator")


def test_a_segment_that_was_changed_is_not_lost() -> None:
    found = only("third-segment-wrong-seq")
    (change,) = [one for one in found.changes if one.what == "seq"]
    assert (change.segments, found.ways.originator.lost, found.ways.originator.made) == (1, (), ())


def test_timestamps_taken_out_of_one_segment() -> None:
    def strip_one(packet: Any, from_client: bool) -> None:
        if from_client and packet[TCP].flags == "PA":
            packet[TCP].options = []
            del packet[TCP].dataofs, packet[IP].len

    (found,) = join(*map(capture, through("close-in-flight", strip_one)))
    assert {(one.what, one.sender, one.after) for one in found.changes} == {("timestamps", "originator", "none")}
    assert found.ways.originator.is_smooth


def test_a_window_that_was_lowered_where_nothing_else_tells() -> None:
    """The identification is gone too: numbers, length and control bits are enough."""

    def lower(packet: Any, from_client: bool) -> None:
        packet[IP].id = 0
        packet[TCP].window //= 2

    (found,) = join(*map(capture, through("timestamps-declined", lower)))
    assert {one.what for one in found.changes} == {"window", "IP identification"}
    assert found.ways.originator.is_smooth
    assert found.ways.responder.is_smooth


@pytest.mark.parametrize("octets", [54, 58, 64, 66, 70, 74])
@pytest.mark.parametrize("at_client", [True, False])
def test_a_snap_length_is_no_middlebox(octets: int, at_client: bool) -> None:
    """54: no option is left; 66: timestamps are, but not all that a SYN offers; 74: everything is."""

    def cut(seen: list[Seen]) -> list[Seen]:
        return [replace(one, frame=replace(one.frame, octets=one.frame.octets[:octets])) for one in seen]

    client, server = travelled("close-in-flight", Way())
    joined = join(capture(cut(client)), capture(server)) if at_client else join(capture(client), capture(cut(server)))
    (found,) = joined
    assert found.changes == ()
    assert found.ways.originator.is_smooth
    assert found.ways.responder.is_smooth
    assert found.cuts_options.at(second=not at_client) == (octets < 74)
    text = "\n".join(line.plain for line in joined_ladder(found, joined.moments(0), LadderOptions(width=140)))
    assert ("Options not captured: cut off" in text) == (octets < 74)
    assert ("options of the SYNs" in text) == (octets == 74)
