"""Two clocks: how far they are apart, what drift looks like, and one clock that is said to be one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from handshake_inspect.joined.comparison import NotOneClockError
from handshake_inspect.joined.join import join
from tests.joined.made_up import Seen, Way, capture, recorded, sent_by_client, travelled

PCAPS = Path(__file__).parents[2] / "pcaps"
MS = 1_000_000
NAME = "close-in-flight"


def test_the_offset_lies_between_its_bounds_and_delays_are_as_sure_as_it() -> None:
    joined = join(*map(capture, travelled(NAME, Way(there_ns=3 * MS, back_ns=9 * MS, ahead_ns=-500 * MS))))
    (found,) = joined
    assert found.clock is not None
    assert (found.clock.offset_ns, found.clock.uncertainty_ns, found.clock.known_by) == (-503 * MS, 6 * MS, "all")
    for way, true_ns in ((found.ways.originator, 3 * MS), (found.ways.responder, 9 * MS)):
        assert way.delays is not None
        assert abs(way.delays.median_ns - true_ns) <= found.clock.uncertainty_ns
    assert found.round_trip_ns == 12 * MS


def test_one_clock_makes_delays_exact() -> None:
    captures = map(capture, travelled(NAME, Way(there_ns=3 * MS, back_ns=9 * MS)))
    (found,) = join(*captures, same_clock=True)
    assert found.clock is not None
    assert (found.clock.offset_ns, found.clock.uncertainty_ns, found.clock.known_by) == (0, 0, "same")
    delays = [found.ways[end].delays for end in ("originator", "responder")]
    assert [one and (one.least_ns, one.greatest_ns) for one in delays] == [(3 * MS, 3 * MS), (9 * MS, 9 * MS)]


@pytest.mark.parametrize(("ahead_ns", "said"), [(500 * MS, "ahead by 491.000 ms"), (-500 * MS, "behind by 497.000 ms")])
def test_one_clock_that_cannot_be(ahead_ns: int, said: str) -> None:
    captures = map(capture, travelled(NAME, Way(there_ns=3 * MS, back_ns=9 * MS, ahead_ns=ahead_ns)))
    with pytest.raises(NotOneClockError, match=said):
        join(*captures, same_clock=True)


def test_a_clock_that_drifts() -> None:
    """Ten seconds in a second, to be short: no offset fits, no delay is told, losses are named all the same."""
    client, server = travelled("lost-last-ack", Way(lost={4}))
    begin_ns = server[0].frame.time_ns

    def drifted(seen: Seen) -> Seen:
        time_ns = seen.frame.time_ns + (seen.frame.time_ns - begin_ns) * 10
        return replace(seen, frame=replace(seen.frame, time_ns=time_ns))

    joined = join(capture(client), capture([drifted(seen) for seen in server]))
    (found,) = joined
    assert (joined.offset, found.clock) == (None, None)
    assert found.ways.originator.delays is found.ways.responder.delays is None
    assert len(found.ways.originator.lost + found.ways.responder.lost) == 1
    assert joined.contradiction_ns > 0
    sent: set[int] = set()
    for moment in joined.moments(0):
        sent |= {id(moment.segment)} if moment.sent else set()
        assert id(moment.segment) in sent, "nothing arrives before it was sent, whatever the clocks show"


def test_a_clock_that_is_set_back() -> None:
    """By an hour in the middle of the session: what comes later has no delay, and is compared all the same."""
    client, server = travelled("zero-window", Way(lost={16}, ahead_ns=MS))
    middle = len(server) // 2
    set_back = [replace(one, frame=replace(one.frame, time_ns=one.frame.time_ns - 3_600_000 * MS)) for one in server]
    joined = join(capture(client), capture([*server[:middle], *set_back[middle:]]))
    (found,) = joined
    assert joined.offset is not None
    assert joined.offset.lower_ns <= MS <= joined.offset.upper_ns
    assert len(found.ways.originator.lost + found.ways.responder.lost) == 1
    arrived = [one.segment for one in joined.moments(0) if one.arrived]
    assert {one.delay_ns is None for one in arrived} == {True, False}
    assert all(one.delay_ns is None or one.delay_ns < 100 * MS for one in arrived)


def test_only_one_direction_tells_no_offset() -> None:
    (found,) = join(PCAPS / "reset-alone.pcap", PCAPS / "reset-alone.server.pcap")
    assert (found.clock, found.round_trip_ns, found.near_known_by) == (None, None, "order of the files")


def test_the_ttl_tells_where_times_do_not() -> None:
    """Only the client's segments were captured, three routers apart; the captures are named the other way round."""
    near, far = (
        [Seen(at, frame) for at, frame in enumerate(recorded(name)) if sent_by_client(name)[at]]
        for name in ("far-apart", "far-apart.server")
    )
    (found,) = join(capture(far), capture(near))
    assert (found.near_first, found.near_known_by, found.ways.originator.routers) == ("responder", "ttl", 3)


def test_other_hosts_behind_the_same_places_tell() -> None:
    """Of a SYN that dies nothing tells where it died, but that other connections went the same way."""
    client, server = travelled(NAME, Way())
    syn = Ether(client[0].frame.octets)
    syn[IP].src, syn[IP].dst = "203.0.113.1", "203.0.113.2"
    del syn[IP].chksum, syn[TCP].chksum
    other = replace(client[4], frame=replace(client[4].frame, octets=bytes(syn), original=len(bytes(syn))))
    _, alone = join(capture(server), capture([*client[:5], other, *client[5:]]))
    assert (alone.near_first, alone.near_known_by) == ("responder", "other connections")
    assert (alone.ways.originator.sent, alone.ways.originator.lost) == (1, (6,))
