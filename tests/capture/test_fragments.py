"""IP fragments: RFC 791 §3.2, RFC 8200 §4.5, RFC 5722, against packets that Scapy cut into pieces."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handshake_inspect import inspect
from handshake_inspect.capture import decode, fragments
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.fragments import Fragment, Reassembler, WholePacket
from handshake_inspect.capture.frames import fetch_whole, payload
from handshake_inspect.capture.records import RawFrame, records_of
from handshake_inspect.table import Block, Names
from tests.capture.builders import pcap
from tests.capture.headers import SEQ, SYN4, ethernet, gtp, in_udp, ipv4
from tests.capture.test_layers import EVERY_DECODER, Decode, found

#: Columns that a segment has from its frame, not from its headers.
OF_THE_FRAME = {"time_ns", "frame"}
IPV4_HEADER = bytes.fromhex("45000000 00070000 40060000 0a000001 0a000002")
IPV6_HEADER = bytes.fromhex("60000000 00002c40") + bytes(15) + b"\1" + bytes(15) + b"\2"


def decoded(frames: list[bytes], decoder: Decoder, link_type: int = 101) -> Block:
    raw = [RawFrame(octets, len(octets), 1000 * number, link_type) for number, octets in enumerate(frames)]
    return decoder.decode(records_of(raw), 0)


def header_columns(block: Block) -> dict[str, Any]:
    return {name: column.tolist() for name, column in block.segments.columns.items() if name not in OF_THE_FRAME}


def packet_of(version: int, octets: bytes) -> Any:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment

    tcp = TCP(sport=1, dport=2, seq=3, flags="S", options=[("MSS", 1460)]) / octets
    if version == 4:
        return IP(src="10.0.0.1", dst="10.0.0.2", id=77, options=[b"\x94\x04\x00\x00"]) / tcp
    return IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=77) / tcp


def pieces_of(version: int, packet: Any, octets: int) -> list[bytes]:
    """Cut a packet with Scapy into pieces of at least 8 octets of what IP carries."""
    from scapy.layers.inet import fragment
    from scapy.layers.inet6 import fragment6

    pieces = fragment(packet, fragsize=octets) if version == 4 else fragment6(packet, 48 + octets)
    return [bytes(piece) for piece in pieces]


@pytest.mark.parametrize("version", [4, 6])
@given(data=st.data())
def test_pieces_in_any_order_are_the_packet(version: int, data: st.DataObject) -> None:
    packet = packet_of(version, data.draw(st.binary(max_size=200)))
    pieces = pieces_of(version, packet, 8 * data.draw(st.integers(1 if version == 4 else 4, 12)))
    order = data.draw(st.permutations(pieces))
    most = 2 if len(pieces) > 1 else 1  # a packet in one piece, twice, is two packets
    repeated = [piece for piece in order for _ in range(data.draw(st.integers(1, most)))]
    names = Names()
    decoder = Decoder(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "SLICE_ROWS", data.draw(st.integers(1, 5)))
        block = decoded(repeated, decoder)
    assert header_columns(block) == header_columns(decoded([bytes(packet)], Decoder(names)))
    last = max(repeated.index(piece) for piece in pieces)
    assert block.segments["frame"].tolist() == [last + 1]
    assert not block.unread


def test_pieces_in_several_blocks_are_the_packet_of_the_last_ones_frame() -> None:
    pieces = pieces_of(4, packet_of(4, bytes(40)), 16)
    decoder = Decoder(Names())
    blocks = [decoder.decode(records_of([RawFrame(piece, len(piece), n, 101)], first_frame=n), 0)
              for n, piece in enumerate(pieces, 10)]  # fmt: skip
    assert [len(block.segments) for block in blocks] == [0] * (len(pieces) - 1) + [1]
    assert blocks[-1].segments["frame"].tolist() == [9 + len(pieces)]
    assert not decoder.reassembler.unread()


def test_pieces_without_the_rest_are_counted_while_they_wait_and_when_they_are_given_up() -> None:
    decoder = Decoder(Names())
    pieces = pieces_of(4, packet_of(4, bytes(40)), 16)
    decoded(pieces[:-1], decoder)
    assert decoder.reassembler.unread() == {"IPv4 fragment without the rest": len(pieces) - 1}
    late = RawFrame(pieces[-1], len(pieces[-1]), fragments.WAIT_NS + 1, 101)
    assert not len(decoder.decode(records_of([late]), 0).segments)
    assert decoder.reassembler.unread() == {"IPv4 fragment without the rest": len(pieces)}


def test_pieces_of_two_packets_do_not_mix() -> None:
    """By addresses, protocol, identification, and by the tunnel they come through."""
    from scapy.layers.inet import IP
    from scapy.layers.l2 import GRE

    one = pieces_of(4, packet_of(4, bytes(40)), 16)
    decoder = Decoder(Names())
    assert not len(decoded([one[0], *(bytes(IP() / GRE(proto=0x800) / piece) for piece in one[1:])], decoder).segments)
    assert decoder.reassembler.unread().total() == len(one)


def test_a_piece_that_the_capture_cut_leaves_a_hole_and_the_length_stays() -> None:
    pieces = pieces_of(4, packet_of(4, bytes(range(100))), 32)
    raw = [RawFrame(piece[:50] if number == 1 else piece, len(piece), 0, 101) for number, piece in enumerate(pieces)]
    segments = Decoder(Names()).decode(records_of(raw), 0).segments
    assert segments["payload_octets"].tolist() == [100]


def make(position: int, octets: bytes, *, more: bool = True, version: int = 4, **changes: Any) -> Fragment:
    header = IPV4_HEADER if version == 4 else IPV6_HEADER
    given: dict[str, Any] = {
        "frame": 1,
        "time_ns": 0,
        "length": len(octets),
        "tunnel": 0,
        "identification": 7,
    } | changes
    return Fragment(version, header, 6, position=position, more=more, octets=octets, **given)


def test_where_ipv4_fragments_overlap_the_octets_that_came_first_count() -> None:
    reassembler = Reassembler()
    for fragment in (make(16, b"b" * 16), make(0, b"a" * 24)):
        assert reassembler.add(fragment) is None
    whole = reassembler.add(make(24, b"c" * 20, more=False))
    assert whole is not None
    assert whole.octets[20:] == b"a" * 16 + b"b" * 16 + b"c" * 12
    assert whole.frames == (1, 1, 1)


def test_overlapping_fragments_of_ipv6_make_their_packet_invalid() -> None:
    """RFC 5722 §4; an exact copy is none (RFC 8200 §4.5)."""
    reassembler = Reassembler()
    for fragment in (make(0, bytes(24), version=6), make(0, bytes(24), version=6)):
        assert reassembler.add(fragment) is None
    assert reassembler.add(make(24, bytes(8), version=6, more=False)) is not None
    for fragment in (make(0, bytes(24), version=6), make(16, bytes(16), version=6)):
        assert reassembler.add(fragment) is None
    assert reassembler.add(make(32, bytes(8), version=6, more=False)) is None
    assert reassembler.unread() == {"IPv6 fragment without the rest": 3}


@pytest.mark.parametrize("fragment", [
    make(65528, bytes(16), more=False), make(0, b"", more=True), make(8, bytes(9), more=True),
])  # fmt: skip
def test_a_fragment_that_cannot_be_is_counted(fragment: Fragment) -> None:
    reassembler = Reassembler()
    assert reassembler.add(fragment) is None
    assert reassembler.unread() == {"malformed IPv4 fragment": 1}


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MOST_PACKETS", 10)
    reassembler = Reassembler()
    for number in range(50):
        reassembler.add(make(0, bytes(8), identification=number))
    assert len(reassembler._waiting) == 10
    monkeypatch.setattr(fragments, "MOST_OCTETS", 1000)
    for number in range(50):
        reassembler.add(make(0, bytes(400), identification=100 + number))
    assert reassembler._octets <= 1000
    assert reassembler.unread() == {"IPv4 fragment without the rest": 100}


@pytest.mark.parametrize("places", [[0] * 1000, range(1000)], ids=["copies", "cut before their octets"])
def test_fragments_that_bring_no_octets_are_bounded_too(places: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MOST_OCTETS", 100 * fragments.FRAGMENT_OCTETS)
    reassembler = Reassembler()
    for place in places:
        reassembler.add(make(8 * place, b"", length=8))
        assert sum(len(one.frames) for one in reassembler._waiting.values()) <= 100
    assert reassembler.unread() == {"IPv4 fragment without the rest": 1000}


@EVERY_DECODER
@pytest.mark.parametrize("levels", [fragments.MOST_WHOLES, fragments.MOST_WHOLES + 1, 60])
def test_packets_in_fragments_inside_of_each_other_end_somewhere(decode: Decode, levels: int) -> None:
    """Each completes the next one; every level adds 28 octets, so that 64 KiB could hold two thousand."""
    frames, packet = [], SYN4
    for level in range(levels):
        first, last = (
            ipv4(4 if level else 6, packet[20:][part], fragment=word)
            for part, word in ((slice(0, 8), 0x2000), (slice(8, None), 1))
        )
        depth = levels - 1 - level
        for _ in range(depth):
            first = ipv4(4, first)
        frames.append(RawFrame(first, len(first), 0, 101))
        packet = ipv4(4, last)
    last = packet[20:]
    names = Names()
    block = decode(records_of([*frames, RawFrame(last, len(last), 0, 101)]), names)
    read = levels <= fragments.MOST_WHOLES
    assert [one.seq for one in found(block.segments, names)] == [SEQ] * read
    assert block.unread["endless fragments"] == (not read)


@example([(3, 6, True), (6, 6, True), (3, 6, False)])  # a second copy says that the first was the last one
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.booleans()), max_size=30))
def test_any_fragments_give_a_packet_without_holes_or_none(given_: list[tuple[int, int, bool]]) -> None:
    reassembler, wholes = Reassembler(), list[WholePacket]()
    for position, units, more in given_:
        whole = reassembler.add(make(8 * position, bytes([position + 1]) * 8 * units, more=more))
        wholes += [whole] if whole else []
    for whole in wholes:
        assert len(whole.octets) == whole.original
    assert reassembler.unread().total() + sum(len(whole.frames) for whole in wholes) == len(given_)
    waiting = reassembler._waiting.values()
    kept = sum(len(octets) for one in waiting for *_, octets in one.pieces)
    assert kept + fragments.FRAGMENT_OCTETS * sum(len(one.frames) for one in waiting) == reassembler._octets


def test_a_datagram_of_many_small_pieces_costs_no_more_than_its_octets() -> None:
    places = list(range(8000))
    random.Random(1).shuffle(places)
    reassembler = Reassembler()
    found = [reassembler.add(make(8 * place, bytes(8), more=place < 7999)) for place in places]
    assert sum(whole is not None for whole in found) == 1


def test_a_tunnel_in_pieces_is_entered_and_pieces_in_a_tunnel_are_put_together() -> None:
    from scapy.layers.inet import IP

    inner = bytes(packet_of(4, bytes(100)))
    around = in_udp(2152, gtp(9, inner))
    outer = [bytes(piece) for piece in pieces_of(4, IP(around), 48)]
    inside = [in_udp(2152, gtp(9, piece)) for piece in pieces_of(4, packet_of(4, bytes(100)), 48)]
    names = Names()
    whole = header_columns(decoded([around], Decoder(names)))
    assert whole["payload_octets"] == [100]
    for frames in (outer, inside):
        assert len(frames) > 2
        assert header_columns(decoded(frames, Decoder(names))) == whole


def test_show_finds_the_payload_and_all_frames_of_a_packet_in_pieces(tmp_path: Path) -> None:
    text = bytes(range(65, 65 + 60))
    pieces = [ethernet(0x0800, piece) for piece in pieces_of(4, packet_of(4, text), 32)]
    frames = [ethernet(0x0800, SYN4), pieces[0], ethernet(0x0800, SYN4), *pieces[1:]]
    path = tmp_path / "pieces.pcap"
    path.write_bytes(pcap([(octets, len(octets), number) for number, octets in enumerate(frames)]))
    segments = [one for one in inspect(path).connections if one.octets.originator == len(text)]
    (last,) = {one.last_frame for one in segments}
    assert last == len(frames)
    fetched, packets = fetch_whole(path, [last])
    assert sorted(fetched) == [2, *range(4, len(frames) + 1)]
    assert payload(packets[last]) == text
    assert all(one < other for one, other in pairwise(fetched[number].time_ns for number in sorted(fetched)))


def test_public_captures_with_fragments_hold_what_tshark_finds(captures_dir: Path) -> None:
    """One SYN in pieces of 8 octets; a request in three; GTP tunnels whose outer packets are in pieces."""
    expected = {
        "suricata-verify__frag-ip-tcp-syn.pcap": (1, 0), "zeek__fragmented-4.pcap": (3, 0),
        "zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap": (68, 4),
        "zeek__tunnels_gtp_gtp2_different_udp_port.pcap": (78, 0),
    }  # fmt: skip
    for name, (segments, incomplete) in expected.items():
        inspection = inspect(captures_dir / name)
        assert inspection.captures[0].segments == segments, name
        assert inspection.unread["IPv4 fragment without the rest"] == incomplete, name
