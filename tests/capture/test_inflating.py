"""Compressed packets: many at once, and what holds far more than it takes."""

from __future__ import annotations

import sys
from types import FrameType

import numpy as np
import pytest

from handshake_inspect.capture import decode
from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.inflating import LONGEST_PAYLOAD_OCTETS, CompressedError, inflated
from handshake_inspect.capture.records import RawFrame, Records, records_of
from handshake_inspect.capture.scapy_side.reader import decode_records
from handshake_inspect.table import Names
from tests.capture.headers import IPV4, IPV6, ethernet, ipcomp, ipv4, ipv6, tcp
from tests.capture.strategies import assert_equal


def records(*frames: bytes) -> Records:
    return records_of([RawFrame(octets, len(octets), 10**18 + number, 1) for number, octets in enumerate(frames)])


def frames() -> list[bytes]:
    """Return frames of both versions, whole ones and cut ones, whose payloads go on and on."""
    good = [ethernet(IPV4, ipv4(108, ipcomp(6, tcp() + bytes(each * 1000)))) for each in range(60)]
    good += [ethernet(IPV6, ipv6(108, ipcomp(6, tcp() + bytes(each)))) for each in range(20)]
    bad = [one[:cut] for one in good[:3] for cut in (34, 36, 38, 42)]
    others = [ethernet(IPV4, ipv4(108, ipcomp(following, tcp()))) for following in (17, 1, 50, 51, 108, 200)]
    return [*good, *bad, *others, ethernet(IPV4, ipv4(6, tcp()))]


@pytest.mark.parametrize("most_octets", [1, 100_000, decode.MOST_INFLATED_OCTETS])
def test_many_compressed_packets_are_read_as_scapy_reads_each(
    most_octets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MOST_INFLATED_OCTETS", most_octets)
    names, some = Names(), records(*frames())
    ours = Decoder(names).decode(some, 0)
    assert_equal(ours, decode_records(some, range(len(some)), names, 0))
    assert len(ours.segments) == 81


def test_payload_is_inflated_up_to_the_longest_packet() -> None:
    assert inflated(ipcomp(6, bytes(10**6))) == (6, bytes(LONGEST_PAYLOAD_OCTETS))
    with pytest.raises(CompressedError, match="truncated IPComp header"):
        inflated(b"\6\0\0")


def test_a_compressed_packet_takes_few_calls() -> None:
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    some = records(*frames()[:1] * 3000)
    sys.setprofile(count)
    try:
        found = Decoder(Names()).decode(some, 0)
    finally:
        sys.setprofile(None)
    assert np.array_equal(found.segments["frame"], np.arange(3000) + 1)
    assert calls / 3000 < 40
