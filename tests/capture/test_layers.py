"""Every layer that can stand around TCP, through each decoder: octets by hand against rows by hand."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handshake_inspect.capture.decode import Decoder, SliceDecoder
from handshake_inspect.capture.fragments import Reassembler
from handshake_inspect.capture.records import RawFrame, Records, records_of
from handshake_inspect.capture.scapy_side import reader as scapy_reader
from handshake_inspect.table import Block, Names, Table
from tests.capture.headers import ARP, IPV4, around, gre, llc_snap, subframes, wlan
from tests.capture.layer_cases import ALL, SNAP4, WHOLE, Case, Found
from tests.capture.layer_strategies import layered

Decode = Callable[[Records, Names], Block]


def through_scapy(records: Records, names: Names) -> Block:
    fragments = Reassembler()
    block = scapy_reader.decode_records(records, range(len(records)), names, 0, fragments)
    return replace(block, unread=block.unread + fragments.unread())


def in_columns(records: Records, names: Names) -> Block:
    """Decode; fragments that wait for the rest are counted as what is not read."""
    decoder = Decoder(names)
    block = decoder.decode(records, 0)
    return replace(block, unread=block.unread + decoder.reassembler.unread())


#: Decoders that are held against the cases.
DECODERS: dict[str, Decode] = {"columns": in_columns, "scapy": through_scapy}
EVERY_DECODER = pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS.keys())


def records(case: Case, captured: int | None = None) -> Records:
    """Return the frame of a case, of which `captured` octets are there."""
    return records_of([RawFrame(case.octets[:captured], len(case.octets), 0, case.link_type)])


def address(version: int, high: int, low: int) -> str:
    if version == 4:
        return socket.inet_ntop(socket.AF_INET, low.to_bytes(4))
    return socket.inet_ntop(socket.AF_INET6, (high << 64 | low).to_bytes(16))


def found(table: Table, names: Names) -> list[Found]:
    """Return the rows of a table as the cases spell them."""
    rows = [{name: int(column[row]) for name, column in table.columns.items()} for row in range(len(table))]
    return [
        Found(
            names.encapsulation[row["encapsulation"]], names.tunnel[row["tunnel"]],
            address(row["ip_version"], row["src_hi"], row["src_lo"]), row["src_port"],
            address(row["ip_version"], row["dst_hi"], row["dst_lo"]), row["dst_port"], row.get("seq", 0),
        )
        for row in rows
    ]  # fmt: skip


@EVERY_DECODER
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_every_layer_is_read_as_its_specification_says(case: Case, decode: Decode) -> None:
    names = Names()
    block = decode(records(case), names)
    assert found(block.segments, names) == list(case.segments)
    assert found(block.datagrams, names) == list(case.datagrams)
    assert not len(block.icmp_errors)
    unread = Counter({kind: count for kind, count in block.unread.items() if count})
    if case.unread is None:
        assert unread.total() == 1
    else:
        assert unread == Counter(case.unread)


@EVERY_DECODER
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_a_frame_cut_anywhere_gives_no_other_rows_and_is_never_lost(case: Case, decode: Decode) -> None:
    """As a snaplen cuts it. A tunnel whose header was cut is the datagram that it is in, or is counted."""
    lengths = range(len(case.octets)) if len(case.octets) < 200 else range(0, len(case.octets), 7)
    cut = [RawFrame(case.octets[:captured], len(case.octets), 0, case.link_type) for captured in lengths]
    names = Names()
    block = decode(records_of(cut), names)
    assert not set(found(block.segments, names)) - set(case.segments)
    segments, datagrams = (Counter(table["frame"].tolist()) for table in (block.segments, block.datagrams))
    assert max(segments.values(), default=0) <= len(case.segments)
    assert sum(block.unread.values()) == len(cut) - len(segments.keys() | datagrams.keys())


@EVERY_DECODER
@given(layered())
def test_layers_in_any_order_give_the_row_inside_them(decode: Decode, built: tuple[RawFrame, Found]) -> None:
    frame, row = built
    names = Names()
    block = decode(records_of([frame]), names)
    assert found(block.segments, names) == [row]
    assert not len(block.datagrams)
    assert not +block.unread
    assert block.segments["payload_octets"].tolist() == [0]
    assert block.segments["time_ns"].tolist() == [frame.time_ns]


@EVERY_DECODER
@given(layered(), st.data())
def test_layers_cut_anywhere_or_damaged_in_one_octet_never_lose_a_frame(
    decode: Decode, built: tuple[RawFrame, Found], data: st.DataObject
) -> None:
    frame, _ = built
    octets = bytearray(frame.octets)
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = replace(frame, octets=bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    block = decode(records_of([cut]), Names())
    rows = len(block.segments) + len(block.datagrams) + len(block.icmp_errors)
    assert sum(block.unread.values()) == (rows == 0)
    assert not [kind for kind in block.unread if "Scapy fails" in kind]


@EVERY_DECODER
def test_aggregates_inside_of_each_other_are_counted_and_end(decode: Decode) -> None:
    """802.11 in GRE in an A-MSDU, 400 times: read one inside the other, they would need a stack of that height."""
    frame = wlan(subframes(SNAP4), subtype=8, qos=0x80)
    for _ in range(400):
        frame = wlan(subframes(llc_snap(IPV4, around(47, gre(0x8200, frame)))), subtype=8, qos=0x80)
    block = decode(records_of([RawFrame(frame, len(frame), 0, 105)]), Names())
    assert not len(block.segments)
    assert +block.unread == {"A-MSDU in A-MSDU": 1}


def test_aggregates_without_rows_are_counted_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looked into alone, with its slice around it, would cost the square of their number."""
    made: list[None] = []
    start = SliceDecoder.__init__
    monkeypatch.setattr(
        SliceDecoder, "__init__", lambda self, *given, **named: made.append(start(self, *given, **named))
    )
    frame = wlan(subframes(llc_snap(ARP, bytes(28)), llc_snap(0x88CC, bytes(28))), subtype=8, qos=0x80)
    block = Decoder(Names()).decode(records_of([RawFrame(frame, len(frame), 0, 105)] * 500), 0)
    assert +block.unread == {"ARP": 500}
    assert len(made) == 3


@EVERY_DECODER
def test_padding_behind_the_packet_of_nflog_is_no_payload(decode: Decode) -> None:
    (case,) = (case for case in ALL if case.name == "NFLOG, IPv4 of length 0, padding behind it")
    assert decode(records(case), Names()).segments["payload_octets"].tolist() == [3]


#: Not where one octet says which of two framings it is: the decoders take different ones for damage.
TOLD_OTHERWISE = ("NFLOG", "HDLC")


@settings(max_examples=300)
@given(
    st.sampled_from([case for case in ALL if not any(word in case.name for word in TOLD_OTHERWISE)]),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=2),
    st.integers(0, 1 << 16),
)
def test_both_decoders_find_the_same_rows_in_a_damaged_frame(
    case: Case, damage: list[tuple[int, int]], cut: int
) -> None:
    octets = bytearray(case.octets)
    for place, octet in damage:
        octets[place % len(octets)] = octet
    frame = RawFrame(bytes(octets[: cut % (4 * len(octets))]), len(octets), 0, case.link_type)
    first, second = Names(), Names()
    columns, scapy = in_columns(records_of([frame]), first), through_scapy(records_of([frame]), second)
    assert found(columns.segments, first) == found(scapy.segments, second)
    assert found(columns.datagrams, first) == found(scapy.datagrams, second)


#: Cases in which some header says where the packet ends; in the others, the length of the frame does.
ENDED = [case for case in WHOLE if not ("L2TPv3" in case.name or "A-MSDU" in case.name or "length 0" in case.name)]


@EVERY_DECODER
@pytest.mark.parametrize("case", ENDED, ids=lambda case: case.name)
def test_octets_behind_the_frame_change_nothing(case: Case, decode: Decode) -> None:
    """Ethernet pads short frames, and some cards leave the frame check sequence."""
    names = Names()
    block = decode(records(case._replace(octets=case.octets + b"\xa5\x5a\xa5\x5a")), names)
    assert found(block.segments, names) == list(case.segments)
    assert not block.segments["payload_octets"].any()


@EVERY_DECODER
def test_all_frames_together_hold_what_each_holds_alone(decode: Decode) -> None:
    """In one slice, where equal headers at different places are read together, and three times over."""
    names = Names()
    frames = [RawFrame(case.octets, len(case.octets), 0, case.link_type) for case in ALL * 3]
    block = decode(records_of(frames), names)
    assert found(block.segments, names) == [row for case in ALL for row in case.segments] * 3
    assert found(block.datagrams, names) == [row for case in ALL for row in case.datagrams] * 3
