"""Where a capture begins late or ends early, nothing is claimed to be lost that only was not captured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from handshake_inspect.joined.join import join
from handshake_inspect.joined.model import JoinedConnection
from tests.joined.made_up import Seen, Way, capture, recorded, travelled

NAME = "zero-window"
MIDDLE = len(recorded(NAME)) // 2


def only(client: list[Seen], server: list[Seen]) -> JoinedConnection:
    (found,) = join(capture(client), capture(server))
    return found


@pytest.mark.parametrize("kept", [slice(None, MIDDLE), slice(MIDDLE, None), slice(5, -5)])
@pytest.mark.parametrize("at_client", [True, False])
def test_nothing_is_lost_where_the_other_capture_did_not_run(kept: slice, at_client: bool) -> None:
    client, server = travelled(NAME, Way(ahead_ns=77_000_000_000))
    found = only(client[kept], server) if at_client else only(client, server[kept])
    ways = (found.ways.originator, found.ways.responder)
    assert not any(way.lost or way.made or way.copied or way.late for way in ways)
    assert any(way.unseen for way in ways)
    assert any(way.unsent for way in ways)
    assert sum(way.arrived for way in ways) == len((client if at_client else server)[kept])


def test_what_is_lost_before_the_end_is_still_named() -> None:
    client, server = travelled(NAME, Way(lost={6}))
    found = only(client, server[:MIDDLE])
    assert len(found.ways.originator.lost + found.ways.responder.lost) == 1


def test_the_last_segment_dies_and_nothing_tells() -> None:
    """A bare ACK is not repeated: whether it died, or the other capture had ended, cannot be told."""
    last = len(recorded("close-in-flight")) - 1
    client, server = travelled("close-in-flight", Way(lost={last}))
    found = only(client, server)
    ways = (found.ways.originator, found.ways.responder)
    assert [(way.lost, len(way.unseen)) for way in ways if way.unseen] == [((), 1)]


def test_the_other_end_spoke_and_the_other_capture_had_ended() -> None:
    """The FIN died and was sent again; but the server's place shows nothing of what the server said to it."""
    client, server = sides("lost-fin")
    found = only(client, server[:7])
    assert (found.ways.originator.lost, found.ways.originator.unseen) == ((), (8, 9, 12))


def test_a_repetition_of_what_was_acknowledged() -> None:
    """Sent again though it was not lost, behind the end of the other capture: nothing says that it died."""
    client, server = travelled("close-in-flight", Way())
    data = next(at for at, one in enumerate(client) if Ether(one.frame.octets)[IP].len > 52 and at > 2)
    answer = max(at for at, one in enumerate(client[:6]))
    packet = Ether(client[data].frame.octets)
    packet[IP].id += 1000
    del packet[IP].chksum
    again = replace(client[answer].frame, octets=bytes(packet), time_ns=client[answer].frame.time_ns + 1_000_000_000)
    places = {one.place for one in client[: answer + 1]}
    found = only([*client[: answer + 1], Seen(99, again)], [one for one in server if one.place in places])
    assert (found.ways.originator.lost, found.ways.originator.unseen) == ((), (answer + 2,))


def sides(name: str) -> tuple[list[Seen], list[Seen]]:
    """Return what was recorded at both ends."""
    client, server = ([Seen(at, frame) for at, frame in enumerate(recorded(one))] for one in (name, f"{name}.server"))
    return client, server
