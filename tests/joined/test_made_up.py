"""Ways that were made up: what was done to the segments is found, exactly, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from handshake_inspect.connections.connection import End
from handshake_inspect.joined import model
from handshake_inspect.joined.join import Joined
from handshake_inspect.joined.join import join as join_captures
from handshake_inspect.joined.model import JoinedConnection
from tests.joined.made_up import Seen, Way, capture, recorded, sent_by_client, travelled

SECOND_NS = 1_000_000_000
#: Each is two captures inspected and joined: 60 ms.
FEW = 20
#: Two sessions in which nothing was lost on the way to where they were recorded, one with timestamps and one without.
NAMES = ("close-in-flight", "timestamps-declined", "window-scale-declined")
names = st.sampled_from(NAMES)
delays = st.integers(0, SECOND_NS // 2)
ahead = st.integers(-400 * SECOND_NS, 400 * SECOND_NS)


def join(client: list[Seen], server: list[Seen]) -> Joined:
    return join_captures(capture(client), capture(server))


def frames(seen: list[Seen], places: set[int], *, last: bool = False) -> tuple[int, ...]:
    """Return the numbers of the frames that show these places of the recording, or of the last of each."""
    found = {one.place: number for number, one in enumerate(seen, 1)} if last else {}
    for number, one in enumerate(seen, 1):
        found.setdefault(one.place, number)
    return tuple(sorted(found[place] for place in places))


def only(joined: Joined) -> JoinedConnection:
    (connection,) = joined
    return connection


@settings(max_examples=FEW)
@given(name=names, there=delays, back=delays, shift=ahead)
def test_a_path_that_does_nothing_is_smooth(name: str, there: int, back: int, shift: int) -> None:
    joined = join(*travelled(name, Way(there_ns=there, back_ns=back, ahead_ns=shift)))
    found = only(joined)
    assert found.ways.originator.is_smooth
    assert found.ways.responder.is_smooth
    assert found.changes == ()
    assert joined.offset is not None
    assert joined.offset.lower_ns <= shift <= joined.offset.upper_ns
    assert found.round_trip_ns == there + back


@settings(max_examples=FEW)
@given(st.data())
def test_what_is_lost_in_the_middle_is_named(data: st.DataObject) -> None:
    """The first and last frames are left alone: whether a capture ran then, others tell (test_edges)."""
    name = data.draw(names)
    inner = range(2, len(recorded(name)) - 2)
    lost = data.draw(st.sets(st.sampled_from(inner), max_size=len(inner) - 2))
    way = Way(there_ns=data.draw(delays), back_ns=data.draw(delays), ahead_ns=data.draw(ahead), lost=lost)
    client, server = travelled(name, way)
    found = only(join(client, server))
    by_client = sent_by_client(name)
    assert gone(found.ways.originator) == frames(client, {one for one in lost if by_client[one]})
    assert gone(found.ways.responder) == frames(server, {one for one in lost if not by_client[one]})
    assert not found.ways.originator.unseen + found.ways.responder.unseen


def gone(way: model.DirectionFate) -> tuple[int, ...]:
    """Return what the other place does not show: in the recording the receiver acknowledged some of it."""
    return tuple(sorted(way.lost + way.missed))


@settings(max_examples=FEW)
@given(st.data())
def test_what_is_copied_is_named(data: st.DataObject) -> None:
    name = data.draw(names)
    copied = data.draw(st.sets(st.sampled_from(range(len(recorded(name)))), max_size=4))
    client, server = travelled(name, Way(copied=copied, ahead_ns=data.draw(ahead)))
    found = only(join(client, server))
    by_client = sent_by_client(name)
    for far, way, of in ((server, found.ways.originator, True), (client, found.ways.responder, False)):
        assert len(way.copied) == sum(by_client[one] is of for one in copied)
        assert {far[frame - 1].place for frame in way.copied} == {one for one in copied if by_client[one] is of}
        assert not way.lost + way.unseen + way.made + way.unsent + way.late


@settings(max_examples=FEW)
@given(st.data())
def test_what_is_overtaken_is_named(data: st.DataObject) -> None:
    """One frame takes so long that later ones of the same end arrive before it."""
    name = data.draw(names)
    place = data.draw(st.sampled_from(range(1, len(recorded(name)))))
    client, server = travelled(name, Way(more_ns={place: data.draw(st.integers(1, SECOND_NS))}))
    found = only(join(client, server))
    by_client = sent_by_client(name)
    far = server if by_client[place] else client
    end: End = "originator" if by_client[place] else "responder"
    arrived = [one.place for one in far if by_client[one.place] == by_client[place]]
    is_late = any(one > place for one in arrived[: arrived.index(place)])
    assert found.ways[end].late == (frames(far, {place}) if is_late else ())


@settings(max_examples=10)
@given(name=names, shift=ahead)
def test_captures_named_the_other_way_round(name: str, shift: int) -> None:
    """Which file is the client's is found out by the times: losses stay with the end that sent."""
    lost = {3}
    client, server = travelled(name, Way(ahead_ns=shift, lost=lost))
    found = only(join(server, client))
    assert (found.near_first, found.near_known_by) == ("responder", "times")
    way = found.ways["originator" if sent_by_client(name)[3] else "responder"]
    assert gone(way) == frames(client if sent_by_client(name)[3] else server, lost)
