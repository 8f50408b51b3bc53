"""Which connection is which, whatever the way did to sockets and numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from handshake_inspect.joined.join import Joined, join
from tests.joined.made_up import Seen, Way, capture, recorded, sent_by_client, travelled

PCAPS = Path(__file__).parents[2] / "pcaps"
OUTSIDE, OUTSIDE_PORT = "203.0.113.9", 61_001
SHIFTS = (123_456_789, 4_000_000_000)


def through(name: str, change: Callable[[Any, bool], None], way: Way | None = None) -> tuple[list[Seen], list[Seen]]:
    """Return both sides of a session whose packets somebody changes in front of the server; `change` knows the end."""
    client, server = travelled(name, way or Way())
    by_client = sent_by_client(name)

    def changed(seen: Seen) -> Seen:
        packet = Ether(seen.frame.octets)
        change(packet, by_client[seen.place])
        del packet[IP].chksum, packet[TCP].chksum
        return replace(seen, frame=replace(seen.frame, octets=bytes(packet)))

    return client, [changed(seen) for seen in server]


def translate(packet: Any, from_client: bool) -> None:
    """Give the client another address and port."""
    if from_client:
        packet[IP].src, packet[TCP].sport = OUTSIDE, OUTSIDE_PORT
    else:
        packet[IP].dst, packet[TCP].dport = OUTSIDE, OUTSIDE_PORT


def renumber(packet: Any, from_client: bool) -> None:
    """Give both ends other initial numbers."""
    own, peer = SHIFTS if from_client else SHIFTS[::-1]
    packet[TCP].seq = (packet[TCP].seq + own) % (1 << 32)
    if packet[TCP].flags & 0x10:
        packet[TCP].ack = (packet[TCP].ack + peer) % (1 << 32)


def both(packet: Any, from_client: bool) -> None:
    translate(packet, from_client)
    renumber(packet, from_client)


def joined(client: list[Seen], server: list[Seen]) -> Joined:
    return join(capture(client), capture(server))


@pytest.mark.parametrize("name", ["close-in-flight", "timestamps-declined"])
@pytest.mark.parametrize("change", [translate, renumber, both])
def test_a_session_is_found_again(name: str, change: Callable[[Any, bool], None]) -> None:
    """With timestamps by these; without, by the IP identification of the SYN."""
    (found,) = joined(*through(name, change, Way(lost={5}, ahead_ns=1_000_000_000)))
    assert found.at_both
    ways = found.ways
    gone = [*ways.originator.lost, *ways.originator.missed, *ways.responder.lost, *ways.responder.missed]
    assert len(gone) == 1
    assert ways.originator.made == ways.responder.made == ()
    expected = {"address", "port"} if change is translate else {"initial number"}
    assert {one.what for one in found.changes} == (expected if change is not both else {*expected, "address", "port"})


def test_the_second_of_two_is_not_taken_for_the_first() -> None:
    """All that the client sends of its first connection dies: the server sees the second one only."""
    client, server = travelled("time-wait-reused", Way())
    second = next(at for at, seen in enumerate(client) if at and Ether(seen.frame.octets)[TCP].flags == "S")
    places = {seen.place for seen in client[second:]}
    alone, met = joined(client, [seen for seen in server if seen.place in places])
    assert (alone.at_both, met.at_both) == (False, True)
    assert met.ways.originator.is_smooth
    assert met.ways.responder.is_smooth


def test_two_strangers_are_not_joined() -> None:
    found = join(PCAPS / "lost-syn.pcap", PCAPS / "nat.pcap")
    assert found.pairs == 0
    assert [one.at_both for one in found] == [False, False]
    assert [one.number for one in found] == [0, 1]


def test_both_ends_opened_it() -> None:
    """Who sent the first SYN differs by place: ends are the same by their sockets."""
    (found,) = join(PCAPS / "simultaneous-open.pcap", PCAPS / "simultaneous-open.server.pcap")
    assert found.is_flipped
    assert found.sockets.originator.first == found.sockets.originator.second
    assert found.ways.originator.is_smooth
    assert found.ways.responder.is_smooth


def test_a_syn_that_died_is_spelled_as_the_first_place_spells_it() -> None:
    """The originator's number is x at its own place; at the other one the responder's SYN came first."""
    client, server = ([Seen(at, frame) for at, frame in enumerate(recorded(name))]
                      for name in ("simultaneous-open", "simultaneous-open.server"))  # fmt: skip
    found = joined([seen for seen in client if seen.place != 1], server)
    assert found[0].is_flipped
    (died,) = [one.segment for one in found.moments(0) if one.segment.fate in ("lost", "unseen", "missed")]
    assert (died.sender, died.step.symbolic_seq) == ("responder", "y")


def test_an_end_with_two_initial_numbers() -> None:
    """The first SYN-ACK dies, and the next one has another number (SYN cookies do so): that is no rewriting."""
    client, server = travelled("timestamps-declined", Way(there_ns=1000, back_ns=1000))
    packet = Ether(server[1].frame.octets)
    packet[TCP].seq = (packet[TCP].seq - 1_000_000) % (1 << 32)
    del packet[TCP].chksum
    before = replace(server[1], frame=replace(server[1].frame, octets=bytes(packet)))
    (found,) = joined(client[:2], [server[0], before, server[1]])
    assert found.changes == ()
    assert (found.ways.responder.lost, found.ways.responder.arrived) == ((2,), 1)


def strangers(first_ns: int, network: int, many: int) -> list[Seen]:
    """Return what a busy server's handshakes with some clients look like, each with an identification of its own."""
    draw, found = Random(network), []
    for client in range(many):
        numbers = [draw.getrandbits(32), draw.getrandbits(32)]
        for place, by_client in enumerate(sent_by_client("timestamps-declined")[:3]):
            packet = Ether(recorded("timestamps-declined")[place].octets)
            ip, tcp = packet[IP], packet[TCP]
            address, port = f"10.{network}.0.{client + 1}", 20_000 + client
            ip.src, ip.dst = (address, ip.dst) if by_client else (ip.src, address)
            tcp.sport, tcp.dport = (port, tcp.dport) if by_client else (tcp.sport, port)
            tcp.seq, tcp.ack = numbers if by_client else numbers[::-1]
            ip.id = [client + 1, 0, draw.randrange(1, 65536)][place]
            del ip.chksum, tcp.chksum
            time_ns = first_ns + client * 1_000_000_000 + place * 1_000_000
            frame = replace(recorded("timestamps-declined")[place], octets=bytes(packet), time_ns=time_ns)
            found.append(Seen(place, frame))
    return found


def test_strangers_with_one_identification_are_not_joined_and_say_nothing_of_the_clocks() -> None:
    """Each place of a server with two has 40 clients of its own; a 16-bit number of the one and the other is equal."""
    client, server = through("timestamps-declined", translate, Way(ahead_ns=1_000_000_000))
    begin_ns = client[0].frame.time_ns
    found = joined(
        sorted([*client, *strangers(begin_ns, 1, 40)], key=lambda seen: seen.frame.time_ns),
        sorted([*server, *strangers(begin_ns + 5_000_000_000, 2, 40)], key=lambda seen: seen.frame.time_ns),
    )
    assert found.pairs == 1
    assert found.offset is not None
    assert found.offset.lower_ns <= 1_000_000_000 <= found.offset.upper_ns


def another_run(packet: Any, from_client: bool) -> None:
    renumber(packet, from_client)
    packet[IP].id = (packet[IP].id * 31 + 7) % 65536
    packet[TCP].options = [(kind, (7, 0) if kind == "Timestamp" else value) for kind, value in packet[TCP].options]


def test_another_run_from_the_same_port_is_not_joined() -> None:
    """Nothing is the same but the sockets: a client with a fixed port, an hour later."""
    assert joined(*through("timestamps-declined", another_run, Way(ahead_ns=3_600_000_000_000))).pairs == 0


def test_numbers_prove_what_was_captured_in_the_middle() -> None:
    """No place saw a SYN, and the identification is given anew: sockets and numbers are left."""

    def identify(packet: Any, _: bool) -> None:
        packet[IP].id = (packet[IP].id * 31 + 7) % 65536

    client, server = through("timestamps-declined", identify)
    assert joined(client[4:], server[3:]).pairs == 1


def test_who_opened_it_is_told_by_the_place_that_saw_it_opened() -> None:
    """The client's capture begins in the middle, with a segment of the server: that one is the originator there."""
    client, server = travelled("timestamps-declined", Way())
    by_client = sent_by_client("timestamps-declined")
    middle = next(at for at, seen in enumerate(client) if at > 2 and not by_client[seen.place])
    found = joined(client[middle:], server)
    (one,) = found
    assert one.seen.first is not None
    assert one.seen.first.originator == one.preferred.responder
    assert (one.exchanged.first, one.exchanged.second) == (True, False)
    assert one.sockets.originator.first == one.sockets.originator.second == one.preferred.originator
    assert (one.near_first, found.swapped) == ("originator", (0, 1))
    sent = {moment.segment.near.frame for moment in found.moments(0) if moment.segment.sender == "responder"
            and moment.segment.near is not None}  # fmt: skip
    assert sent == {frame for frame, seen in enumerate(server, 1) if not by_client[seen.place]}
    (other,) = joined(server, client[middle:])
    assert (other.exchanged.first, other.exchanged.second, other.near_first) == (False, True, "responder")
    assert [replace(way, delays=None) for way in (one.ways.originator, one.ways.responder)] == [
        replace(way, delays=None) for way in (other.ways.originator, other.ways.responder)
    ]
