"""Segments that a network card cuts, or puts together: the octets arrived, whatever the frames were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from handshake_inspect.joined.join import join
from handshake_inspect.joined.model import JoinedConnection
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


def test_a_piece_that_died_is_missed() -> None:
    """The frame that the client's place shows did not arrive whole; the pieces that did are not taken for forged."""
    client, server = travelled(NAME, Way(lost={PIECES[1]}))
    way = only(together(client), server).ways.originator
    assert (way.lost, way.made, way.unsent) == ((4,), (), ())


def test_another_sending_of_the_same_octets_is_no_piece() -> None:
    """What is cut alike and has another identification: the one was lost, the other was forged."""
    client, server = travelled(NAME, Way())
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
