"""Where a capture begins late or ends early, nothing is claimed to be lost that only was not captured."""

from __future__ import annotations

import pytest

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
def test_half_a_capture(kept: slice, at_client: bool) -> None:
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
