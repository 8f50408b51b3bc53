"""Second copies of loopback captures are collapsed and counted; real repetitions are not."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.frames import fetch
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap

PCAPS = Path(__file__).parent.parent.parent / "pcaps"
ETHERNET, LINUX_SLL = 1, 113
OUTGOING, TO_US = 4, 0


def frames_of(name: str) -> list[RawFrame]:
    found = fetch(PCAPS / name, range(1, 100))
    return [found[number] for number in sorted(found)]


def later(frame: RawFrame, nanoseconds: int) -> RawFrame:
    return dataclasses.replace(frame, time_ns=frame.time_ns + nanoseconds)


def cooked(frame: RawFrame, packet_type: int) -> RawFrame:
    """The same packet as `tcpdump -i any` shows it (Linux cooked v1)."""
    header = struct.pack("!HHH8sH", packet_type, 772, 6, b"", int.from_bytes(frame.octets[12:14], "big"))
    octets = header + frame.octets[14:]
    return dataclasses.replace(frame, octets=octets, original=len(octets), link_type=LINUX_SLL)


@pytest.mark.parametrize("name", ["four-way.pcap", "ipv6.pcap", "refused.pcap", "half-close.pcap", "reset.pcap"])
def test_a_capture_that_shows_each_segment_twice_says_the_same(name: str, tmp_path: Path) -> None:
    (plain,) = inspect(PCAPS / name).connections
    doubled = [copy for frame in frames_of(name) for copy in (frame, later(frame, 2_000))]
    write_pcap(tmp_path / "lo.pcap", doubled, ETHERNET)
    (found,) = inspect(tmp_path / "lo.pcap").connections
    assert found.duplicates == len(doubled) // 2
    assert found.segments == plain.segments
    assert found.octets == plain.octets
    assert (found.states, found.teardown) == (plain.states, plain.teardown)
    # Zeek does not collapse: a copy of payload is a repetition in its history.
    assert found.history.replace("T", "").replace("t", "") == plain.history
    assert found.handshake == plain.handshake


def test_the_cooked_capture_of_any_tells_by_its_packet_types(tmp_path: Path) -> None:
    frames = frames_of("refused.pcap")
    doubled = [copy for one in frames for copy in (cooked(one, OUTGOING), later(cooked(one, TO_US), 5_000))]
    write_pcap(tmp_path / "any.pcap", doubled, LINUX_SLL)
    (found,) = inspect(tmp_path / "any.pcap").connections
    assert (found.duplicates, found.handshake.kind, found.completeness) == (2, "refused", 37)


def test_two_incoming_copies_are_two_segments(tmp_path: Path) -> None:
    frames = [cooked(one, TO_US) for one in frames_of("refused.pcap")]
    write_pcap(tmp_path / "any.pcap", [copy for one in frames for copy in (one, later(one, 5_000))], LINUX_SLL)
    (found,) = inspect(tmp_path / "any.pcap").connections
    assert (found.duplicates, found.handshake.syn_retransmissions) == (0, 1)


def test_a_real_retransmission_is_not_collapsed(tmp_path: Path) -> None:
    (found,) = inspect(PCAPS / "unanswered.pcap").connections
    assert (found.duplicates, found.handshake.syn_retransmissions) == (0, 3)
    frames = frames_of("four-way.pcap")
    again = dataclasses.replace(frames[3], octets=frames[3].octets[:18] + b"\xab\xcd" + frames[3].octets[20:])
    write_pcap(tmp_path / "again.pcap", [*frames[:4], later(again, 2_000), *frames[4:]], ETHERNET)
    (found,) = inspect(tmp_path / "again.pcap").connections
    assert found.duplicates == 0
    assert found.octets.originator == 8


def test_copies_are_found_across_blocks(tmp_path: Path) -> None:
    doubled = [copy for frame in frames_of("four-way.pcap") for copy in (frame, later(frame, 2_000))]
    write_pcap(tmp_path / "lo.pcap", doubled, ETHERNET)
    whole = list(inspect(tmp_path / "lo.pcap").connections)
    assert list(inspect(tmp_path / "lo.pcap", block_octets=100).connections) == whole


def test_a_large_frame_of_segmentation_offload_counts_in_full(tmp_path: Path) -> None:
    frames = frames_of("four-way.pcap")
    data = bytearray(frames[3].octets)
    octets = bytes(data[:66]) + b"x" * 65_000
    total = (len(octets) - 14).to_bytes(2, "big")
    for length in (total, b"\0\0"):  # Linux writes 0 where 16 bits do not hold it
        large = dataclasses.replace(frames[3], octets=octets[:16] + length + octets[18:], original=len(octets))
        write_pcap(tmp_path / "tso.pcap", [*frames[:3], large], ETHERNET)
        (found,) = inspect(tmp_path / "tso.pcap").connections
        assert found.octets.originator == 65_000


def test_a_datagram_seen_twice_is_one(tmp_path: Path) -> None:
    doubled = [copy for frame in frames_of("udp.pcap") for copy in (frame, later(frame, 2_000))]
    write_pcap(tmp_path / "udp.pcap", doubled, ETHERNET)
    (found,) = inspect(tmp_path / "udp.pcap").exchanges
    assert (found.datagrams.originator, found.datagrams.responder, found.duplicates) == (1, 1, 2)
