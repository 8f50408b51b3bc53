"""A segment that its sender never sent: with the addresses of a real one, and checksums that its receiver believes."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from handshake_inspect.lab.altering import forged
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
