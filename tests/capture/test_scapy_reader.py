"""Scapy from end to end: the same tables as our own reader and decoder, on every public capture."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.fragments import Reassembler
from handshake_inspect.capture.records import CaptureError, RawFrame, records_of
from handshake_inspect.capture.scapy_side import reader as scapy_reader
from handshake_inspect.table import Block, DatagramTable, IcmpErrorTable, Names, SegmentTable
from tests.capture.builders import pcap
from tests.capture.headers import IPV4, IPV6, SEQ, ethernet, in_udp, ipv4, ipv6, number, tcp, vxlan
from tests.capture.strategies import differences

#: Captures that Scapy does not open: an over-long option in the section header.
SCAPY_REFUSES = {"libpcap__shb-option-too-long.pcapng"}
#: Captures in which Scapy's side enters tunnels and puts fragments together, which `decode` does not do yet: each of
#: Frames without rows that Scapy names by an outer or inner layer of theirs.
NAMED_DIFFERENTLY = {"IPComp", "AH", "LLC", "Spanning Tree Protocol"}


def together(blocks: list[Block]) -> Block:
    return Block(
        SegmentTable.concatenate([block.segments for block in blocks]),
        DatagramTable.concatenate([block.datagrams for block in blocks]),
        IcmpErrorTable.concatenate([block.icmp_errors for block in blocks]),
        sum((block.unread for block in blocks), Counter()),
    )


def test_both_readers_agree_on_every_public_capture(captures_dir: Path) -> None:
    compared, rows = 0, 0
    for path in sorted(captures_dir.glob("*.pcap*")):
        names = Names()
        decoder = Decoder(names)
        ours = together([decoder.decode(records, 0) for records in open_capture(path)])
        try:
            theirs = together([block for _, block in scapy_reader.read(path, names)])
        except CaptureError:
            assert path.name in SCAPY_REFUSES
            continue
        assert not differences(ours, theirs), path.name
        different = (ours.unread - theirs.unread) + (theirs.unread - ours.unread)
        assert set(different) <= NAMED_DIFFERENTLY, path.name
        assert sum(ours.unread.values()) == sum(theirs.unread.values()), path.name
        compared, rows = compared + 1, rows + len(ours.segments)
    assert compared > 70
    assert rows > 3900


@pytest.mark.parametrize(
    ("name", "segments"),
    [("arkime__pppoe.pcap", 10), ("zeek__pbb.pcap", 8), ("zeek__mixed-vlan-mpls.pcap", 47),
     ("zeek__tunnels_gre-sample.pcap", 22), ("suricata-verify__hdlc-http_1tx.pcap", 17),
     ("libpcap__http_PPI.pcap", 1), ("zeek__pppoe-over-qinq.pcap", 86)],
)  # fmt: skip
def test_what_we_do_not_decode_is_found_by_scapy(captures_dir: Path, name: str, segments: int) -> None:
    """The numbers are tshark's."""
    ours = together([Decoder(Names()).decode(records, 0) for records in open_capture(captures_dir / name)])
    assert len(ours.segments) == segments
    assert ours.segments["frame"].tolist() == sorted(ours.segments["frame"].tolist())


def test_lists_of_packets_keep_their_times_and_link_types() -> None:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.utils import PcapReader

    packets = [
        Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="S"),
        IP(src="10.0.0.2", dst="10.0.0.1") / TCP(),
    ]
    frames = [(bytes(packet), 60, 1_700_000_000_123_456_789 + n) for n, packet in enumerate(packets)]
    (read,) = list(PcapReader(io.BytesIO(pcap(frames[:1]))))
    packets[1].time = 1_700_000_000.5
    records = records_of(scapy_reader.frames_of_packets([read, packets[1]]))
    assert records.time_ns.tolist() == [1_700_000_000_123_456_789, 1_700_000_000_500_000_000]
    ours, theirs = (
        Decoder(Names()).decode(records, 0),
        together([block for _, block in scapy_reader.read([read, packets[1]], Names())]),
    )
    assert differences(ours, theirs) == []
    assert ours.segments["src_lo"].tolist() == [0x0A000001, 0x0A000002]


def test_a_file_that_scapy_cannot_open_is_one_clear_error() -> None:
    with pytest.raises(CaptureError, match="Scapy cannot open it"):
        list(scapy_reader.read(io.BytesIO(b"nothing at all"), Names()))


def test_a_link_type_that_nobody_knows_is_counted() -> None:
    block = Decoder(Names()).decode(records_of([RawFrame(b"abc", 3, 0, 60000)]), 0)
    assert block.unread == {"link type 60000 frame": 1}


def test_of_link_types_that_nobody_knows_all_frames_are_counted_in_the_order_in_which_they_came() -> None:
    link_types = (60_001, 1, 60_000, 60_001, 12, 60_000, 60_001)
    records = records_of(RawFrame(ethernet(IPV4, ipv4(6, tcp())), 54, 0, link_type) for link_type in link_types)
    block = scapy_reader.decode_block(records, Names(), 0)
    unread = {"link type 60001 frame": 3, "link type 60000 frame": 2, "raw frame that is not IP": 1}
    assert list(block.unread.items()) == list(unread.items())
    assert block.segments["frame"].tolist() == [2]


def test_reading_an_ordinary_capture_does_not_import_scapy(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(bytes(60), 60, 0)]))
    program = (
        "import sys\n"
        "from handshake_inspect.capture.files import open_capture\n"
        "from handshake_inspect.capture.decode import Decoder\n"
        "from handshake_inspect.table import Names\n"
        "for records in open_capture(sys.argv[1]): Decoder(Names()).decode(records, 0)\n"
        "assert not any(name.split('.')[0] == 'scapy' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)


def fragments(version: int) -> list[bytes]:
    """Return the SYN with 20 octets of payload in three fragments, the last one first."""
    whole = tcp(2, b"x" * 20)
    parts = [(start, whole[start : start + 16], start + 16 < len(whole)) for start in range(0, len(whole), 16)]
    if version == 4:
        packets = [ipv4(6, part, fragment=start // 8 | more << 13) for start, part, more in parts]
    else:
        packets = [ipv6(44, bytes([6, 0]) + number(start | more, 2) + bytes(4) + part) for start, part, more in parts]
    return packets[::-1]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("in_tunnel", [False, True])
def test_fragments_become_the_segment_that_they_are_parts_of(version: int, in_tunnel: bool) -> None:
    """RFC 791 §3.2, RFC 8200 §4.5: in the frame that completes the packet, under what stands around it."""
    frames = [ethernet(IPV4 if version == 4 else IPV6, packet) for packet in fragments(version)]
    if in_tunnel:
        frames = [ethernet(IPV4, in_udp(4789, vxlan(7, frame))) for frame in frames]
    records = records_of([RawFrame(frame, len(frame), n, 1) for n, frame in enumerate(frames)])
    names, parts = Names(), Reassembler()
    blocks = [scapy_reader.decode_records(records, [row], names, 0, parts) for row in range(3)]
    block = together(blocks)
    assert block.segments["frame"].tolist() == [3]
    assert block.segments["time_ns"].tolist() == [2]
    assert block.segments["payload_octets"].tolist() == [20]
    assert block.segments["seq"].tolist() == [SEQ]
    assert names.tunnel[int(block.segments["tunnel"][0])] == ("vxlan:7" if in_tunnel else "")
    assert not block.unread
    assert not parts.unread()


def test_fragments_of_different_packets_are_not_mixed() -> None:
    """The identification, the addresses and the tunnel tell them apart."""
    first, last = fragments(4)[2], fragments(4)[0]
    frames = [ethernet(IPV4, in_udp(4789, vxlan(vni, ethernet(IPV4, one)))) for vni, one in ((7, first), (8, last))]
    records = records_of([RawFrame(frame, len(frame), 0, 1) for frame in frames])
    parts = Reassembler()
    assert not scapy_reader.decode_records(records, range(2), Names(), 0, parts).unread
    assert parts.unread() == {"IPv4 fragment without the rest": 2}
