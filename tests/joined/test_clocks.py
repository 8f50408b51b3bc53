"""Two clocks: how far they are apart, what drift looks like, and one clock that is said to be one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from random import Random

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from handshake_inspect.capture.records import RawFrame
from handshake_inspect.joined.comparison import NotOneClockError
from handshake_inspect.joined.drift import DRIFT_PPM
from handshake_inspect.joined.join import join
from tests.joined.made_up import Seen, Way, capture, recorded, sent_by_client, travelled

PCAPS = Path(__file__).parents[2] / "pcaps"
MS = 1_000_000
NAME = "close-in-flight"


def test_the_offset_lies_between_its_bounds_and_delays_are_as_sure_as_it() -> None:
    joined = join(*map(capture, travelled(NAME, Way(there_ns=3 * MS, back_ns=9 * MS, ahead_ns=-500 * MS))))
    (found,) = joined
    assert found.clock is not None
    assert found.clock.known_by == "all"
    assert found.clock.offset_ns == pytest.approx(-503 * MS, abs=MS / 10)
    assert 6 * MS <= found.clock.uncertainty_ns < 6.1 * MS
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


@dataclass(frozen=True)
class Travelled:
    """A frame that both places see, in which session, and when by true time, which the first clock shows."""

    session: int
    by_client: bool
    frame: RawFrame
    at_client_ns: int
    at_server_ns: int


def sessions(begins_ns: Sequence[int], slower: int, delay_ns: Callable[[], int]) -> list[Travelled]:
    """Return sessions that begin at these times, each from a port of its own; `delay_ns` draws each journey."""
    frames, by_client = recorded(NAME), sent_by_client(NAME)
    found = []
    for session, begin_ns in enumerate(begins_ns):
        for frame, is_clients in zip(frames, by_client, strict=True):
            time_ns = frames[0].time_ns + begin_ns + (frame.time_ns - frames[0].time_ns) * slower
            octets = bytearray(frame.octets)
            at = slice(34, 36) if is_clients else slice(36, 38)  # the client's port, behind Ethernet and IPv4
            octets[at] = (40_000 + session).to_bytes(2)
            there_ns = time_ns + delay_ns() if is_clients else time_ns - delay_ns()
            found.append(Travelled(session, is_clients, replace(frame, octets=bytes(octets)), time_ns, there_ns))
    return found


@pytest.mark.parametrize("slower", [1, 100_000])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_claimed_holds_for_any_drift_of_quartz(seed: int, slower: int) -> None:
    """Drift below the round trip contradicts nothing, and would narrow the bounds around a wrong value."""
    draw = Random(seed)
    begins_ns = [0, *accumulate(draw.randint(1, 2000) * 1000 * MS for _ in range(4))]
    rates = [draw.choice([-DRIFT_PPM, DRIFT_PPM, draw.randint(-DRIFT_PPM, DRIFT_PPM)]) for _ in begins_ns]
    least_ns, ahead_ns = draw.randint(MS, 20 * MS), draw.randint(-1000 * MS, 1000 * MS)
    begin_ns = recorded(NAME)[0].time_ns

    def ahead(time_ns: int) -> int:
        """How far the second clock is ahead: its rate changes whenever a session begins."""
        found = ahead_ns
        for begin, end, rate in zip(begins_ns, [*begins_ns[1:], time_ns + 1], rates, strict=True):
            found += rate * (min(max(time_ns - begin_ns, begin), end) - begin) // 1_000_000
        return found

    frames = sessions(begins_ns, slower, lambda: draw.randint(least_ns, least_ns + MS))
    client = sorted(frames, key=lambda one: one.at_client_ns)
    server = sorted(frames, key=lambda one: one.at_server_ns + ahead(one.at_server_ns))
    joined = join(
        capture([Seen(0, replace(one.frame, time_ns=one.at_client_ns)) for one in client]),
        capture([Seen(0, replace(one.frame, time_ns=one.at_server_ns + ahead(one.at_server_ns))) for one in server]),
    )
    assert joined.contradiction_ns == 0
    for connection in joined:
        assert connection.clock is not None
        sure_ns = connection.clock.uncertainty_ns + 2  # what was rounded
        assert slower > 1 or sure_ns <= least_ns + 3 * MS, "the sessions themselves tell that much"
        mine = [one for one in frames if one.session == connection.number]
        assert all(abs(connection.clock.offset_ns - ahead(one.at_server_ns)) <= sure_ns for one in mine)
        for moment in joined.moments(connection.number):
            segment = moment.segment
            assert segment.near is not None
            assert segment.delay_ns is not None
            one = (client if segment.sender == "originator" else server)[segment.near.frame - 1]
            assert abs(segment.delay_ns - abs(one.at_server_ns - one.at_client_ns)) <= sure_ns


def test_with_a_clock_that_drifts_too_much_no_delay_is_told() -> None:
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
