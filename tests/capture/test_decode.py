"""The decoder: any link layer, any header, any truncation, against Scapy and against what the tests built."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handshake_inspect.capture import decode
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.headers import link
from handshake_inspect.capture.headers.link_types import LINK_TYPES
from handshake_inspect.capture.headers.options import layout, read_options
from handshake_inspect.capture.records import RawFrame, records_of
from handshake_inspect.capture.scapy_side import reader as scapy_reader
from handshake_inspect.table import Block, Names, OptionLists
from handshake_inspect.tcp.options import is_cut
from tests.capture import strategies as build

LINKS = sorted(LINK_TYPES)
WIRELESS = (105, 119, 127, 163, 192)


def decoded(*frames: bytes, link: int = 1, original: int | None = None) -> tuple[Block, Names]:
    """Decode frames that were captured whole (or had `original` octets on the wire)."""
    decoder = Decoder(Names())
    raw = [RawFrame(octets, original or len(octets), 10**18 + n, link) for n, octets in enumerate(frames)]
    return decoder.decode(records_of(raw), 3), decoder.names


def accounted(frames: list[RawFrame]) -> int:
    """Decode frames and return how many of them became rows, parts of rows, or counts."""
    decoder = Decoder(Names())
    decoder.reassembler.wanted, completed = range(1, len(frames) + 1), decoder.reassembler.completed
    block = decoder.decode(records_of(frames), 0)
    rows = len(block.segments) + len(block.datagrams) + len(block.icmp_errors)
    pieces = sum(len(whole.frames) - 1 for whole in completed.values())
    return rows + pieces + block.unread.total() + decoder.reassembler.unread().total()


def ethernet(payload: bytes, kind: int = 0x0800) -> bytes:
    return bytes(12) + struct.pack("!H", kind) + payload


def ipv4(
    payload: bytes, protocol: int = 6, *, total: int | None = None, fragment: int = 0, options: bytes = b""
) -> bytes:
    length = 20 + len(options) + len(payload) if total is None else total
    first = 0x40 | 5 + len(options) // 4
    return (
        struct.pack("!BBHHHBBHII", first, 0, length, 7, fragment, 60, protocol, 0, 0x0A000001, 0x0A000002)
        + options
        + payload
    )


def ipv6(payload: bytes, following: int = 6, length: int | None = None) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload) if length is None else length, following, 61)
    return head + bytes(range(32)) + payload


def tcp(payload: bytes = b"", *, flags: int = 16, options: bytes = b"", offset: int | None = None) -> bytes:
    words = 5 + len(options) // 4 if offset is None else offset
    return (
        struct.pack("!HHIIHHHH", 1000, 2000, 0xFFFFFFFF, 0x80000000, words << 12 | flags, 512, 0, 0) + options + payload
    )


def test_every_field_of_a_segment_is_read() -> None:
    syn_options = b"\2\4\5\xb4\4\2\x08\x0a\x01\x02\x03\x04\x05\x06\x07\x08\1\3\3\7"
    block, names = decoded(ethernet(ipv4(tcp(b"hello", flags=0x1C2, options=syn_options))))
    row = {name: int(column[0]) for name, column in block.segments.columns.items()}
    assert row == {
        "time_ns": 10**18, "frame": 1, "capture": 3, "ip_version": 4, "src_hi": 0, "src_lo": 0x0A000001,
        "dst_hi": 0, "dst_lo": 0x0A000002, "src_port": 1000, "dst_port": 2000, "tunnel": 0, "encapsulation": 0,
        "seq": 0xFFFFFFFF,
        "ack": 0x80000000, "flags": 0x1C2, "window": 512, "payload_octets": 5, "ip_id": 7, "ttl": 60,
        "packet_type": 255, "options": 1, "timestamp_value": 0x01020304,
        "timestamp_echo": 0x05060708, "has_timestamps": 1, "clock": 0,
    }  # fmt: skip
    assert names.options[1] == b"\2\4\5\xb4\4\2\x08\x0a" + bytes(8) + b"\1\3\3\7"


def test_ethernet_padding_and_missing_octets_do_not_change_the_payload() -> None:
    padded = ethernet(ipv4(tcp())) + bytes(6)
    cut = ethernet(ipv4(tcp(), total=1500))
    block, _ = decoded(padded, cut)
    assert block.segments["payload_octets"].tolist() == [0, 1460]


def test_segmentation_offload_leaves_the_length_to_the_frame() -> None:
    """A total length of 0 stands for one that does not fit its 16 bits."""
    block, _ = decoded(ethernet(ipv4(tcp(bytes(10)), total=0)), original=70014)
    assert block.segments["payload_octets"].tolist() == [70014 - 14 - 40]
    block, _ = decoded(ethernet(ipv6(tcp(bytes(10)), length=0), 0x86DD), original=70014)
    assert block.segments["payload_octets"].tolist() == [70014 - 14 - 60]


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 20, 40, 60])
def test_any_number_of_vlan_tags_is_stepped_over_and_named(depth: int) -> None:
    kinds = [(0x8100, 0x88A8, 0x9100)[n % 3] for n in range(depth)] + [0x0800]
    tags = b"".join(struct.pack("!HH", 0xE000 | n + 1, kinds[n + 1]) for n in range(depth))
    block, names = decoded(ethernet(tags + ipv4(tcp(b"x")), kinds[0]), ethernet(ipv4(tcp())))
    assert block.segments["payload_octets"].tolist() == [1, 0]
    first, second = block.segments["encapsulation"].tolist()
    assert names.encapsulation[first] == " ".join(f"vlan:{n + 1}" for n in range(depth))
    assert second == 0


def test_endless_headers_end() -> None:
    block, _ = decoded(ethernet(struct.pack("!HH", 1, 0x8100) * 500, 0x8100))
    assert block.unread == {"more than 64 headers": 1}


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (ethernet(bytes(28), 0x0806), "ARP"),
        (ethernet(bytes(28), 0x1234), "ethertype 0x1234"),
        (bytes(13), "truncated Ethernet header"),
        (ethernet(b"\0\5\x08", 0x8100), "truncated VLAN tag"),
        (ethernet(b"\x45" + bytes(18)), "truncated IPv4 header"),
        (ethernet(b"\x65" + bytes(40)), "malformed IPv4 header"),
        (ethernet(b"\x44" + bytes(40)), "malformed IPv4 header"),
        (ethernet(ipv4(tcp(), total=19)), "malformed IPv4 header"),
        (ethernet(ipv4(tcp()[:15], total=40)), "truncated TCP header"),
        (ethernet(ipv4(tcp()[:19])), "malformed TCP header"),
        (ethernet(ipv4(tcp(offset=4))), "malformed TCP header"),
        (ethernet(ipv4(tcp(offset=6))), "malformed TCP header"),
        (ethernet(ipv4(bytes(7), 17)), "malformed UDP header"),
        (ethernet(ipv4(bytes(7), 17, total=60)), "truncated UDP header"),
        (ethernet(ipv4(b"\x08" + bytes(40), 1)), "ICMP"),
        (ethernet(ipv4(bytes(40), 132)), "SCTP"),
        (ethernet(ipv4(bytes(40), 44)), "IP protocol 44"),
        (ethernet(ipv6(bytes(39))[:39], 0x86DD), "truncated IPv6 header"),
        (ethernet(ipv6(b"\6\0\0", 60, 100), 0x86DD), "truncated extension header"),
        (ethernet(ipv6(b"\6\x09" + bytes(6), 60), 0x86DD), "malformed extension header"),
        (ethernet(ipv6(b"\x3c\0" * 800, 60), 0x86DD), "endless extension headers"),
        (ethernet(ipv6(b"\x80" + bytes(40), 58), 0x86DD), "ICMPv6"),
    ],
)  # fmt: skip
def test_what_holds_no_row_is_counted_by_kind(packet: bytes, kind: str) -> None:
    block, _ = decoded(packet)
    assert (len(block.segments), len(block.datagrams), len(block.icmp_errors)) == (0, 0, 0)
    assert block.unread == {kind: 1}


def test_extension_headers_and_options_are_stepped_over() -> None:
    hop, route, atomic = b"\x2b\0" + bytes(6), b"\x3c\1" + bytes(14), b"\6\0\0\0abcd"
    chain = ipv6(hop + route + b"\x2c\0" + bytes(6) + atomic + tcp(b"abc"), 0)
    authenticated = ipv4(b"\6\4" + bytes(22) + tcp(b"abcd"), 51)
    with_options = ipv4(tcp(b"abcde"), options=b"\x94\4\0\0" * 10)
    block, _ = decoded(ethernet(chain, 0x86DD), ethernet(authenticated), ethernet(with_options))
    assert block.segments["payload_octets"].tolist() == [3, 4, 5]
    assert block.segments["frame"].tolist() == [1, 2, 3]
    assert block.segments["src_hi"].tolist() == [0x0001020304050607, 0, 0]
    assert set(block.segments["src_port"].tolist()) == {1000}


@pytest.mark.parametrize(
    ("link", "head", "packet_type"),
    [
        (113, struct.pack("!HHH8sH", 4, 1, 6, b"", 0x0800), 4),
        (276, struct.pack("!HHIHBB8s", 0x0800, 0, 2, 1, 4, 6, b""), 4),
        (276, struct.pack("!HHIHBB8s", 0x8100, 0, 2, 1, 0, 6, b"") + b"\0\x2a\x08\0", 0),
        (113, struct.pack("!HHH8sH", 0, 1, 6, b"", 0x8100) + b"\0\x2a\x08\0", 0),
        (0, struct.pack("<I", 2), 255),
        (0, struct.pack(">I", 2), 255),
        (108, struct.pack(">I", 2), 255),
        (12, b"", 255), (14, b"", 255), (101, b"", 255), (228, b"", 255),
    ],
)  # fmt: skip
def test_link_headers_other_than_ethernet(link: int, head: bytes, packet_type: int) -> None:
    block, names = decoded(head + ipv4(tcp(b"x")), link=link)
    assert block.segments["payload_octets"].tolist() == [1]
    assert block.segments["packet_type"].tolist() == [packet_type]
    assert names.encapsulation[int(block.segments["encapsulation"][0])] == ("vlan:42" if b"\0\x2a" in head else "")


@pytest.mark.parametrize("family", [10, 24, 28, 30])
def test_bsd_systems_number_ipv6_differently(family: int) -> None:
    block, _ = decoded(struct.pack("<I", family) + ipv6(tcp()), struct.pack(">I", family) + ipv6(tcp()), link=0)
    assert block.segments["ip_version"].tolist() == [6, 6]


def test_icmp_errors_give_the_key_of_what_they_quote() -> None:
    quote = b"\3\1" + bytes(6) + ipv4(tcp())[:28]
    quote6 = b"\1\4" + bytes(6) + ipv6(b"\x11\0" + bytes(6) + struct.pack("!HHHH", 53, 54, 8, 0), 0)
    block, _ = decoded(ethernet(ipv4(quote, 1)), ethernet(ipv6(quote6, 58), 0x86DD))
    errors = block.icmp_errors
    columns = ("protocol", "src_port", "dst_port", "seq", "icmp_code")
    assert [(int(errors[name][0]), int(errors[name][1])) for name in columns] == [
        (6, 17), (1000, 53), (2000, 54), (0xFFFFFFFF, 0), (1, 4)
    ]  # fmt: skip
    assert (int(errors["src_lo"][0]), int(errors["src_hi"][1])) == (0x0A000001, 0x0001020304050607)
    assert not block.unread


def test_udp_length_counts_where_it_fits() -> None:
    head = struct.pack("!HHHH", 1, 2, 10, 0)
    longer = struct.pack("!HHHH", 1, 2, 999, 0)
    block, _ = decoded(ethernet(ipv4(head + b"12" + b"options", 17)), ethernet(ipv4(longer + b"123", 17)))
    assert block.datagrams["payload_octets"].tolist() == [2, 3]


def test_the_packet_type_of_a_live_socket_is_kept() -> None:
    raw = [RawFrame(ethernet(ipv4(tcp())), 54, 0, 1, kind) for kind in (4, 0)]
    assert Decoder(Names()).decode(records_of(raw), 0).segments["packet_type"].tolist() == [4, 0]


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), min_size=1, max_size=60))
@example([(bytes([5, 0]), False)])
@example([(bytes([1, 1, 5, 2]), False), (bytes([5, 2, 1, 1, 1, 1, 1, 1]), False)])
def test_option_lists_in_columns_are_those_of_the_plain_walk(lists: list[tuple[bytes, bool]]) -> None:
    """RFC 9293 §3.1: kinds 0 and 1 are single octets, all others have a length."""
    header = np.zeros((len(lists), 60), np.uint8)
    for row, (octets, _) in enumerate(lists):
        header[row, 20 : 20 + len(octets)] = list(octets)
    numbers = OptionLists()
    lengths = np.array([len(octets) for octets, _ in lists])
    is_syn = np.array([syn for _, syn in lists])
    found = read_options(header[:, 20:32], lengths, lengths, is_syn, lambda rows: header[rows][:, 20:].copy(), numbers)
    for row, (octets, syn) in enumerate(lists):
        at, blocks = layout(octets).timestamps, layout(octets).blocks
        value = (0, 0, 0) if at is None else (1, *struct.unpack_from("!II", octets, at + 2))
        got = (found.has_timestamps[row], found.timestamp_value[row], found.timestamp_echo[row])
        assert tuple(map(int, got)) == value
        zeroed = octets if at is None else octets[: at + 2] + bytes(8) + octets[at + 10 :]
        assert numbers[int(found.options[row])] == (zeroed if syn or blocks is not None else b"")


def test_an_option_list_that_the_capture_cut_does_not_look_like_a_whole_one() -> None:
    """RFC 9293 §3.1: a list is whole words; what is left of one that was cut is not, in every reader."""
    options = bytes.fromhex("020405b4 0402 080a 00000000 00000000 01 030307")
    frame = ethernet(ipv4(tcp(flags=2, options=options)))
    frames = [RawFrame(frame[: len(frame) - cut], len(frame), 0, 1) for cut in range(len(options) + 1)]
    names = Names()
    numbers = Decoder(names).decode(records_of(frames), 0).segments["options"].tolist()
    lists = [names.options[number] for number in numbers]
    assert lists[0] == options
    assert [is_cut(one) for one in lists] == [False] + [True] * len(options)
    assert all(octets[: len(options) - cut] == options[: len(options) - cut] for cut, octets in enumerate(lists))
    again = scapy_reader.decode_records(records_of(frames), range(len(frames)), names, 0).segments["options"].tolist()
    assert again == numbers


@settings(max_examples=300)
@given(st.lists(build.frames(), min_size=1, max_size=12), st.sampled_from([1, 3, decode.SLICE_ROWS]))
def test_generated_frames_are_read_as_scapy_reads_them(frames: list[RawFrame], slice_rows: int) -> None:
    names, records = Names(), records_of(frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "SLICE_ROWS", slice_rows)
        ours = Decoder(names).decode(records, 1)
    theirs = scapy_reader.decode_records(records, range(len(frames)), names, 1)
    build.assert_equal(ours, theirs)


#: Nothing, timestamps as most segments have them, what a SYN has, and octets that are no list.
OPTION_LISTS = [
    b"", b"\1\1\x08\x0a" + bytes(range(8)), b"\2\4\5\xb4\4\2\x08\x0a" + bytes(8) + b"\1\3\3\7", bytes(range(250, 254)),
]  # fmt: skip


def ordinary_frames() -> st.SearchStrategy[bytes]:
    """TCP in IP of either version, perhaps in a VLAN, often cut, and often with one octet changed."""

    @st.composite
    def one(draw: st.DrawFn) -> bytes:
        segment = tcp(
            draw(st.binary(max_size=20)), flags=draw(st.integers(0, 511)), options=draw(st.sampled_from(OPTION_LISTS))
        )
        kind, packet = draw(st.sampled_from([(0x0800, ipv4(segment)), (0x86DD, ipv6(segment))]))
        tag = struct.pack("!HH", 0x8100, draw(st.integers(0, 3))) if draw(st.booleans()) else b""
        frame = bytearray(bytes(12) + tag + struct.pack("!H", kind) + packet)
        if draw(st.booleans()):
            frame[draw(st.integers(12, len(frame) - 1))] = draw(st.integers(0, 255))
        return bytes(frame[: draw(st.one_of(st.none(), st.integers(0, len(frame))))])

    return one()


@given(st.lists(ordinary_frames(), min_size=1, max_size=40), st.integers(0, 2000))
def test_what_is_read_of_both_versions_at_once_is_what_is_read_of_each(frames: list[bytes], more: int) -> None:
    raw = [RawFrame(octets, len(octets) + more, n, 1) for n, octets in enumerate(frames)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "ordinary_tcp", lambda *_: None)
        names_apart, names = Names(), Names()
        apart = Decoder(names_apart).decode(records_of(raw), 0)
    together = Decoder(names).decode(records_of(raw), 0)
    lists, lists_apart = (
        [known.options[number] for number in block.segments["options"].tolist()]
        for known, block in ((names, together), (names_apart, apart))
    )
    assert lists == lists_apart
    together.segments.columns["options"] = apart.segments["options"]  # the same lists, perhaps in another order
    build.assert_equal(together, apart)
    assert names.encapsulation.values == names_apart.encapsulation.values


@given(st.lists(st.binary(max_size=200), max_size=30), st.sampled_from([*LINKS, 60000]))
def test_no_octets_raise(frames: list[bytes], link: int) -> None:
    found = accounted([RawFrame(octets, len(octets), 0, link) for octets in frames])
    # A frame of IEEE 802.11 may hold several (A-MSDU).
    assert found >= len(frames) if link in WIRELESS else found == len(frames)


@given(build.frames(), st.data())
def test_one_changed_octet_or_a_cut_never_raises(frame: RawFrame, data: st.DataObject) -> None:
    octets = bytearray(frame.octets)
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    assert accounted([RawFrame(cut, frame.original, 0, frame.link_type)]) == 1


def test_a_frame_is_read_alike_however_it_is_cut_as_long_as_its_headers_are_there() -> None:
    whole = ethernet(ipv4(tcp(bytes(100), options=b"\1\1\x08\x0a" + bytes(8))))
    frames = [RawFrame(whole[:length], len(whole), 0, 1) for length in range(len(whole) + 1)]
    block = Decoder(Names()).decode(records_of(frames), 0)
    assert block.unread == {
        "truncated Ethernet header": 14, "truncated IPv4 header": 20, "truncated TCP header": 16,
    }  # fmt: skip
    assert set(block.segments["payload_octets"].tolist()) == {100}
    assert block.segments["has_timestamps"].tolist() == [0] * 16 + [1] * 101


def test_every_truncation_of_every_public_capture_frame_is_counted_once(captures_dir: Path) -> None:
    """Frames of each capture, cut at every octet of their first 140: no exception, no frame lost or doubled."""
    for path in sorted(captures_dir.glob("*.pcap*")):
        reader = open_capture(path)
        taken = []
        for records in reader:
            for row in range(0, len(records), max(len(records) // 4, 1)):
                link = int(records.link_type[row])
                if link in LINK_TYPES:
                    octets = records.octets(row)
                    taken += [RawFrame(octets[:n], len(octets), 0, link) for n in range(0, min(len(octets), 140), 3)]
        found = accounted(taken)
        # A frame of IEEE 802.11 may hold several (A-MSDU): here it is one in GRE, of two.
        assert found >= len(taken) if "amsdu" in path.name else found == len(taken), path.name
