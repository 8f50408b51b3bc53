"""Sendings of one segment told apart: by what little the packets say, and by time where they say nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.joined.join import Joined, join
from handshake_inspect.joined.matching import _Matched
from handshake_inspect.joined.times import best_in_order
from tests.joined.made_up import Seen, Way, capture, sent_by_client, travelled

PCAPS = Path(__file__).parents[2] / "pcaps"
#: Each loses a segment that its sender sends again.
LOSSES = ("lost-syn", "lost-syn-ack", "lost-data", "lost-fin", "lost-last-ack")


def over_ipv6(packet: Any) -> Any:
    """Carry the same segment over IPv6, which has no identification."""
    ip = packet[IP]
    addresses = {"src": f"2001:db8::{ip.src.rpartition('.')[2]}", "dst": f"2001:db8::{ip.dst.rpartition('.')[2]}"}
    return Ether(src=packet.src, dst=packet.dst) / IPv6(**addresses, hlim=ip.ttl) / ip.payload


def without_timestamps(packet: Any) -> Any:
    packet[TCP].options = [one for one in packet[TCP].options if one[0] not in ("Timestamp", "NOP", "SAck")]
    return packet


def with_identification_0(packet: Any) -> Any:
    packet[IP].id = 0
    return packet


def with_other_identification(packet: Any) -> Any:
    """As a router that gives each packet one of its own (RFC 6864 §5.3 forbids it)."""
    packet[IP].id = (packet[IP].id * 31 + 7) % 65536
    return packet


def changed(path: Path, *changes: Callable[[Any], Any]) -> io.BytesIO:
    def made(frame: RawFrame) -> RawFrame:
        packet = Ether(frame.octets)
        for change in changes:
            packet = change(packet)
        del packet[TCP].chksum, packet[TCP].dataofs
        if IP in packet:
            del packet[IP].chksum, packet[IP].len
        octets = bytes(packet)
        return replace(frame, octets=octets, original=len(octets))

    with open_capture(path) as opened:
        frames = [made(records.raw(row)) for records in opened for row in range(len(records))]
    file = io.BytesIO()
    write_pcap(file, frames, frames[0].link_type)
    file.seek(0)
    return file


def fared(joined: Joined) -> list[tuple[tuple[int, ...], ...]]:
    return [(way.lost, way.copied, way.made) for one in joined for way in (one.ways.originator, one.ways.responder)]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "changes",
    [
        (over_ipv6,),
        (over_ipv6, without_timestamps),
        (with_identification_0,),
        (with_identification_0, without_timestamps),
    ],
)
def test_the_lost_sending_is_named_without_identification(name: str, changes: tuple[Callable[[Any], Any], ...]) -> None:
    captures = [PCAPS / f"{name}.pcap", PCAPS / f"{name}.server.pcap"]
    assert fared(join(*(changed(one, *changes) for one in captures))) == fared(join(*captures))


@pytest.mark.parametrize("name", [*LOSSES, "duplicate-data", "far-apart"])
def test_the_identification_is_given_anew_on_the_way(name: str) -> None:
    client, server = PCAPS / f"{name}.pcap", PCAPS / f"{name}.server.pcap"
    joined = join(client, changed(server, with_other_identification))
    assert fared(joined) == fared(join(client, server))
    assert {change.what for change in joined[0].changes} == {"IP identification"}


def test_of_several_syns_the_last_one_arrived_if_nothing_tells() -> None:
    client, server = (changed(PCAPS / f"lost-syn{end}.pcap", over_ipv6, without_timestamps) for end in ("", ".server"))
    syns = [[frame for records in open_capture(one) for frame in map(records.raw, range(count))]
            for one, count in ((client, 2), (server, 1))]  # fmt: skip
    files = [io.BytesIO(), io.BytesIO()]
    for file, frames in zip(files, syns, strict=True):
        write_pcap(file, frames, frames[0].link_type)
        file.seek(0)
    (found,) = join(*files)
    assert (found.ways.originator.lost, found.ways.originator.arrived) == ((1,), 1)


times = st.integers(0, 20)


@given(st.lists(times, min_size=1, max_size=4), st.lists(times, max_size=3))
def test_the_best_choice_is_the_best_of_all(few: list[int], more: list[int]) -> None:
    few_ns, many_ns = np.array(few), np.sort(np.array([*few, *more]))
    chosen = best_in_order(few_ns, many_ns)
    assert (np.diff(chosen) > 0).all()
    assert np.abs(many_ns[chosen] - few_ns).sum() == min(
        sum(abs(int(many_ns[column]) - few[row]) for row, column in enumerate(columns))
        for columns in _rising(len(few), len(many_ns))
    )


@pytest.mark.parametrize("lost", [0, 1, 150, 298])
def test_of_hundreds_of_keep_alives_the_lost_one_is_named(lost: int) -> None:
    """One a second, of one number (RFC 9293 §3.8.4), without identification: only the time tells which is missing."""
    client, server = travelled("timestamps-declined", Way())
    by_client = sent_by_client("timestamps-declined")
    third = next(seen for seen in client[1:] if by_client[seen.place])
    probe = with_identification_0(Ether(third.frame.octets))
    probe[TCP].seq -= 1
    del probe[IP].chksum, probe[TCP].chksum
    begin_ns = max(client[-1].frame.time_ns, server[-1].frame.time_ns)
    frame = replace(third.frame, octets=bytes(probe), original=len(bytes(probe)))
    for second in range(300):
        sent_ns = begin_ns + (second + 1) * 1_000_000_000
        client.append(Seen(len(client), replace(frame, time_ns=sent_ns)))
        if second != lost:
            server.append(Seen(len(client), replace(frame, time_ns=sent_ns + Way().there_ns)))
    (found,) = join(capture(client), capture(server))
    assert found.ways.originator.lost == (len(client) - 300 + lost + 1,)
    assert found.clock is not None


def _rising(few: int, many: int, begin: int = 0) -> list[list[int]]:
    if not few:
        return [[]]
    return [[first, *rest] for first in range(begin, many) for rest in _rising(few - 1, many, first + 1)]


@pytest.mark.parametrize("name", [*LOSSES, "duplicate-data", "swapped-data", "nat", "four-way"])
def test_what_is_matched_in_step_is_what_the_rules_match(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules for every segment are the plain version of `add_in_step`."""
    places = [str(PCAPS / f"{name}.pcap"), str(PCAPS / (f"{name}.server.pcap" if name != "four-way" else "nat.pcap"))]
    for first, second in (places, places[::-1], [places[0]] * 2):
        quick = join(first, second).comparison.matching
        with monkeypatch.context() as patched:
            patched.setattr(_Matched, "add_in_step", lambda _: None)
            plain = join(first, second).comparison.matching
        assert quick.first.tolist() == plain.first.tolist()
        assert quick.second.tolist() == plain.second.tolist()
