"""A segment that its sender never sent: with the addresses of a real one, and checksums that its receiver believes."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from handshake_inspect.lab.altering import altered, forged
from handshake_inspect.lab.segments import RST, segment_of

ADDRESSED = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="198.18.0.1", dst="198.18.0.2")


def test_a_segment_ends_behind_its_octets_and_its_fin() -> None:
    real = segment_of(bytes(ADDRESSED / TCP(sport=40000, dport=80, flags="FPA", seq=2**32 - 3) / Raw(b"bith")))
    assert real is not None
    assert real.end == 2


def test_a_forged_segment_has_the_addresses_of_its_model_and_numbers_of_its_own() -> None:
    model = segment_of(bytes(ADDRESSED / TCP(sport=40000, dport=80, flags="PA", seq=7, ack=9) / Raw(b"bith")))
    assert model is not None
    frame = forged(model, "R", seq=2**32 + 5)
    segment = segment_of(frame)
    assert segment is not None
    assert (segment.source, segment.destination) == (model.source, model.destination)
    assert (segment.flags, segment.seq, segment.payload) == (RST, 5, b"")
    assert frame[:14] == model.frame[:14]
    packet = Ether(frame)
    sums = packet[IP].chksum, packet[TCP].chksum
    del packet[IP].chksum, packet[TCP].chksum
    again = Ether(bytes(packet))
    assert (again[IP].chksum, again[TCP].chksum) == sums


def test_an_altered_segment_is_the_same_but_for_what_was_said_and_its_checksums_are_right() -> None:
    options = [("MSS", 1460), ("NOP", None), ("WScale", 7)]
    frame = bytes(ADDRESSED / TCP(sport=40000, dport=80, flags="S", seq=7, window=512, options=options))
    found = Ether(altered(frame, seq=-1, ttl=3, ip_id=9, flags="SA", ack=2**32 + 4, payload=b"early"))
    tcp = found[TCP]
    assert (tcp.seq, tcp.ack, str(tcp.flags), bytes(tcp.payload)) == (2**32 - 1, 4, "SA", b"early")
    assert (found[IP].ttl, found[IP].id, found[IP].len) == (3, 9, 20 + 28 + 5)
    assert (tcp.sport, tcp.dport, tcp.window, tcp.options) == (40000, 80, 512, options)
    sums = found[IP].chksum, tcp.chksum
    del found[IP].chksum, tcp.chksum
    again = Ether(bytes(found))
    assert (again[IP].chksum, again[TCP].chksum) == sums


def test_nothing_altered_is_the_same_frame() -> None:
    options = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]
    frame = bytes(ADDRESSED / TCP(sport=40000, dport=80, flags="PA", seq=7, ack=9, options=options) / Raw(b"bith"))
    assert altered(frame) == frame


def test_options_may_be_octets_that_no_list_of_options_makes() -> None:
    frame = bytes(ADDRESSED / TCP(sport=40000, dport=80, flags="S"))
    broken = bytes([3, 1, 10, 0])
    found = altered(frame, options=[], payload=broken, dataofs=6)
    assert found[14 + 20 + 12] >> 4 == 6
    assert found[14 + 20 + 20 :] == broken
