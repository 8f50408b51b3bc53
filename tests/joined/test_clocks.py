"""Two clocks: how far they are apart, what drift looks like, and one clock that is said to be one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect.joined.comparison import NotOneClockError
from handshake_inspect.joined.join import join
from tests.joined.made_up import Seen, Way, capture, travelled

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


def test_only_one_direction_tells_no_offset() -> None:
    (found,) = join(PCAPS / "reset-alone.pcap", PCAPS / "reset-alone.server.pcap")
    assert (found.clock, found.round_trip_ns, found.near_known_by) == (None, None, "order of the files")
