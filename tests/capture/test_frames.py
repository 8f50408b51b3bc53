"""Single frames: fetched by number, cut down to their payload, written again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.frames import fetch, payload
from handshake_inspect.capture.records import CaptureError, RawFrame, records_of
from handshake_inspect.capture.writing.pcap import write_pcap
from tests.capture import strategies as build
from tests.capture.builders import pcap, rows


def test_fetch_returns_just_the_frames_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(bytes([n]), n + 60, n * 10**9) for n in range(100)], link_type=101))
    assert fetch(path, [3, 100, 7, 3, 101, 0]) == {
        n: RawFrame(bytes([n - 1]), n + 59, (n - 1) * 10**9, 101) for n in (3, 7, 100)
    }
    assert fetch(path, []) == {}


@given(build.frames())
def test_the_payload_is_what_scapy_says_it_is(frame: RawFrame) -> None:
    from scapy.layers.inet import TCP, UDP

    from handshake_inspect.capture.scapy_side import layers as layers

    packet = layers.conf.l2types.num2layer[frame.link_type](frame.octets)
    for layer in (TCP, UDP):
        if layer in packet and not (layer is TCP and "dataofs" in packet[TCP].fields and packet[TCP].dataofs < 5):
            below = packet[layer].payload
            expected = below.original if below.name != "Padding" else b""
            if layer is TCP and packet[TCP].dataofs * 4 > len(packet[TCP].original):
                expected = b""
            if _is_fragment(packet):
                expected = b""
            assert payload(frame) == expected


def _is_fragment(packet: object) -> bool:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6ExtHdrFragment

    layers = {type(layer): layer for layer in packet.iterpayloads()}  # type: ignore[attr-defined]
    ip, extension = layers.get(IP), layers.get(IPv6ExtHdrFragment)
    return bool((ip and (ip.frag or ip.flags.MF)) or (extension and (extension.offset or extension.m)))


def test_what_holds_no_payload_gives_none() -> None:
    assert payload(RawFrame(bytes(60), 60, 0, 1)) == b""
    assert payload(RawFrame(b"", 60, 0, 1)) == b""
    assert payload(RawFrame(b"abc", 3, 0, 60000)) == b""


def test_written_files_are_read_back_exactly(tmp_path: Path) -> None:
    frames = [RawFrame(bytes(n), n + 5, 1_700_000_000_123_456_789 + n, 276) for n in (0, 60, 65549)]
    path = tmp_path / "x.pcap"
    assert write_pcap(path, frames, 276) == 3
    assert rows(open_capture(path)) == rows([records_of(frames)])
    memory = io.BytesIO()
    write_pcap(memory, frames, 276)
    assert memory.getvalue() == path.read_bytes()


@pytest.mark.parametrize(
    ("frame", "says"),
    [(RawFrame(b"", 0, 0, 1), "one link type, 276"), (RawFrame(b"", 0, -1, 276), "outside 1970 to 2106"),
     (RawFrame(b"", 0, 2**32 * 10**9, 276), "outside 1970 to 2106")],
)  # fmt: skip
def test_frames_that_a_pcap_file_cannot_hold_are_refused(frame: RawFrame, says: str) -> None:
    with pytest.raises(CaptureError, match=says):
        write_pcap(io.BytesIO(), [frame], 276)


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be written"):
        write_pcap(tmp_path / "none" / "x.pcap", [], 1)
