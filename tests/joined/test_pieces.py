"""Segments that a network card cuts, or puts together: the octets arrived, whatever the frames were."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from handshake_inspect.joined.join import join
from handshake_inspect.joined.model import JoinedConnection
from handshake_inspect.tcp.seqnum import spelled
from handshake_inspect.views.joined_ladder import joined_ladder
from handshake_inspect.views.ladder_cells import LadderOptions
from tests.joined.made_up import Seen, Way, capture, travelled

#: A session in which the client sends 200 octets in three segments, one right behind the other: places 3, 4 and 5.
NAME, PIECES = "small-mss", (3, 4, 5)


def together(seen: list[Seen]) -> list[Seen]:
    """Show the three as one frame, with the identification of the first, as offloading does."""
    packets = [Ether(one.frame.octets) for one in seen if one.place in PIECES]
    assert [len(one[Raw]) for one in packets] == [76, 76, 48]
    whole = packets[0].copy()
    whole[TCP].remove_payload()
    whole = whole / Raw(b"".join(bytes(one[Raw]) for one in packets))
    whole[TCP].flags = packets[-1][TCP].flags
    del whole[IP].len, whole[IP].chksum, whole[TCP].chksum
    octets = bytes(whole)

    def shown(one: Seen) -> Seen:
        frame = replace(one.frame, octets=octets, original=len(octets))
        return replace(one, frame=frame) if one.place == PIECES[0] else one

    return [shown(one) for one in seen if one.place not in PIECES[1:]]


def only(client: list[Seen], server: list[Seen]) -> JoinedConnection:
    (found,) = join(capture(client), capture(server))
    return found


@pytest.mark.parametrize("at_client", [True, False])
def test_what_is_cut_otherwise_is_not_lost(at_client: bool) -> None:
    client, server = travelled(NAME, Way())
    found = only(together(client), server) if at_client else only(client, together(server))
    way = found.ways.originator
    assert way.is_smooth
    assert found.ways.responder.is_smooth
    assert found.changes == ()
    assert way.recut == ((4,) if at_client else (4, 5, 6))
    assert way.sent == way.arrived


def test_a_piece_that_the_other_capture_missed_did_not_die() -> None:
    """The server acknowledges all octets, and nothing is sent again."""
    client, server = travelled(NAME, Way(there_ns=1000, back_ns=1000, lost={PIECES[1]}))
    way = only(together(client), server).ways.originator
    assert (way.missed, way.partly, way.lost, way.made, way.unsent) == ((4,), (), (), (), ())


def again(seen: Seen, *, after_ns: int, number: int) -> Seen:
    """Return another sending of a segment."""
    packet = Ether(seen.frame.octets)
    packet[IP].id += number
    del packet[IP].chksum
    return replace(seen, frame=replace(seen.frame, octets=bytes(packet), time_ns=seen.frame.time_ns + after_ns))


@pytest.mark.parametrize("dead", PIECES)
def test_a_piece_that_died_is_named_by_its_octets(dead: int) -> None:
    """It is sent again alone, and arrives before the server acknowledges it."""
    client, server = travelled(NAME, Way(there_ns=1000, back_ns=1000))
    sent = again(next(one for one in client if one.place == dead), after_ns=20_000, number=1000)
    arrived = replace(sent, frame=replace(sent.frame, time_ns=sent.frame.time_ns + 1000))
    client, server = (
        in_order([*together(client), sent]),
        in_order([one for one in server if one.place != dead] + [arrived]),
    )
    joined = join(capture(client), capture(server))
    way = joined[0].ways.originator
    assert (way.partly, way.lost, way.missed, way.made, way.unsent) == ((4,), (), (), (), ())
    (segment,) = {id(one.segment): one.segment for one in joined.moments(0) if one.segment.fate == "partly"}.values()
    begin, octets = {3: (1, 76), 4: (77, 76), 5: (153, 48)}[dead]
    assert [(one.relative_seq, one.payload_octets, one.symbolic_seq) for one in segment.died] == [
        (begin, octets, spelled("x", begin))
    ]
    text = "\n".join(line.plain for line in joined_ladder(joined[0], joined.moments(0), LadderOptions(width=120)))
    assert f"{octets} of its 200 octets died: from seq={spelled('x', begin)} on" in text
    assert text.count("by a network card (offload)") == 1


def in_order(seen: list[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda one: one.frame.time_ns)


@pytest.mark.parametrize("at_client", [True, False])
def test_of_two_sendings_the_one_that_died_is_told_by_its_time(at_client: bool) -> None:
    """All three pieces died, and all three were sent again: at one place as one frame, both times."""
    client, server = travelled(NAME, Way(there_ns=1000, back_ns=1000))
    repeated = [again(one, after_ns=40_000, number=50) for one in client if one.place in PIECES]
    arrived = [replace(one, frame=replace(one.frame, time_ns=one.frame.time_ns + 1000)) for one in repeated]
    others = [one for one in server if one.place not in PIECES]
    if at_client:
        client, server = [*together(client), *together(repeated)], [*others, *arrived]
    else:
        client, server = [*client, *repeated], [*others, *together(arrived)]
    way = only(in_order(client), in_order(server)).ways.originator
    died, came = ((4,), (5,)) if at_client else ((4, 5, 6), (7, 8, 9))
    assert (way.lost, way.recut, way.made, way.unsent) == (died, came, (), ())


def test_a_piece_that_was_copied_on_the_way() -> None:
    client, server = travelled(NAME, Way(copied={PIECES[1]}))
    way = only(together(client), server).ways.originator
    assert (way.recut, len(way.copied), way.made, way.lost) == ((4,), 1, (), ())


@settings(max_examples=25)
@given(st.lists(st.integers(1, 199), max_size=6), st.lists(st.integers(1, 199), max_size=6))
def test_however_it_is_cut_all_octets_arrive(here: list[int], there: list[int]) -> None:
    client, server = travelled(NAME, Way(there_ns=1000, back_ns=1000))
    on_the_wire = sorted({0, *here, *there})
    found = only(cut(together(client), here, on_the_wire), cut(together(server), there, on_the_wire))
    way = found.ways.originator
    assert way.is_smooth
    assert found.changes == ()
    assert way.sent == way.arrived


def cut(seen: list[Seen], at: list[int], on_the_wire: list[int]) -> list[Seen]:
    """Cut the 200 octets at these places: a frame has the identification of its first segment on the wire."""
    found = []
    for one in seen:
        if one.place != PIECES[0]:
            found.append(one)
            continue
        whole, edges = Ether(one.frame.octets), [0, *sorted(set(at)), 200]
        for number, (begin, end) in enumerate(pairwise(edges)):
            piece = whole.copy()
            piece[TCP].remove_payload()
            piece[TCP].seq, piece[IP].id = (whole[TCP].seq + begin) % (1 << 32), whole[IP].id + on_the_wire.index(begin)
            piece[TCP].flags = whole[TCP].flags if end == 200 else "A"
            del piece[IP].len, piece[IP].chksum, piece[TCP].chksum
            octets = bytes(piece / Raw(bytes(whole[Raw])[begin:end]))
            frame = replace(one.frame, octets=octets, original=len(octets), time_ns=one.frame.time_ns + number)
            found.append(replace(one, frame=frame))
    return found


def test_another_sending_of_the_same_octets_is_no_piece() -> None:
    """What is cut alike and has another identification: the one was lost, the other was forged."""
    client, server = travelled(NAME, Way(there_ns=1000, back_ns=1000))
    place = PIECES[1]
    packet = Ether(next(one for one in server if one.place == place).frame.octets)
    packet[IP].id = 54321
    del packet[IP].chksum
    server = [
        replace(one, frame=replace(one.frame, octets=bytes(packet))) if one.place == place else one for one in server
    ]
    way = only(client, server).ways.originator
    assert (way.lost, way.made, way.recut) == (
        (5,),
        (next(at for at, one in enumerate(server, 1) if one.place == place),),
        (),
    )
