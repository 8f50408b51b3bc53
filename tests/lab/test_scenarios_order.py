"""What the recorded copies, reorderings, Fast Opens and large frames show beyond their promises."""

from __future__ import annotations

import struct
from pathlib import Path

from handshake_inspect import Step, inspect
from handshake_inspect.lab.scenarios.loopback import ETHERNET_MSS_OCTETS, OCTETS, SNAP_OCTETS
from tests.lab.test_record import frames, transports

PCAPS = Path(__file__).parents[2] / "pcaps"
SACK, FAST_OPEN = 5, 34


def steps(name: str) -> list[Step]:
    return list(inspect(PCAPS / name).steps(0))


def options_of(header: bytes) -> dict[int, bytes]:
    """Return the options of a TCP header by their kind (RFC 9293 §3.2)."""
    rest, found = header[20 : (header[12] >> 4) * 4], {}
    while rest and rest[0] != 0:
        length = 1 if rest[0] == 1 else rest[1]
        found[rest[0]] = rest[2:length]
        rest = rest[length:]
    return found


def test_a_segment_that_fills_a_gap_is_none_that_comes_again() -> None:
    for name in ("swapped-data.server.pcap", "fin-before-data.server.pcap"):
        ahead, _, filling = steps(name)[3:6]
        assert ahead.relative_seq > filling.relative_seq == 1
        assert not filling.retransmission
        assert [line.holds for line in filling.arithmetic] == [True]


def test_a_copy_is_one_that_comes_again() -> None:
    repeated = [step for step in steps("duplicate-data.server.pcap") if step.retransmission]
    assert [(step.relative_seq, step.payload_octets) for step in repeated] == [(1, 4)]


def test_what_came_before_its_turn_is_named_in_a_sack_option_at_both_ends() -> None:
    for name in ("swapped-data.pcap", "swapped-data.server.pcap"):
        headers = [header for _, header in transports(PCAPS / name)]
        (blocks,) = [options[SACK] for options in map(options_of, headers) if SACK in options]
        first, second = [header for header in headers if header[32:] in (b"bi", b"th")]
        later = max((first, second), key=lambda header: struct.unpack_from("!I", header, 4))
        left, right = struct.unpack("!II", blocks)
        assert (left, right) == (struct.unpack_from("!I", later, 4)[0], left + 2)


def test_the_cookie_of_fast_open_is_asked_for_given_and_used() -> None:
    syns = [header for _, header in transports(PCAPS / "fast-open-accepted.pcap") if header[13] & 2]
    asked, given, used, answered = [options_of(header).get(FAST_OPEN) for header in syns]
    assert (asked, len(given or b"")) == (b"", 8)
    assert (used, answered) == (given, None)
    syns = [header for _, header in transports(PCAPS / "fast-open-declined.pcap") if header[13] & 2]
    _, given, used, other = [options_of(header).get(FAST_OPEN) for header in syns]
    assert used == given != other
    assert len(other or b"") == 8
    syns = [header for _, header in transports(PCAPS / "fast-open-unknown.pcap") if header[13] & 2]
    assert [options_of(header).get(FAST_OPEN) for header in syns] == [b"", None]


def test_the_large_frames_are_cut_and_their_octets_counted() -> None:
    path = PCAPS / "large-transfer.pcap"
    assert max(map(len, frames(path))) == SNAP_OCTETS
    payloads = [step.payload_octets for step in steps(path.name) if not step.retransmission]
    assert sum(payloads) == OCTETS
    assert max(payloads) > 20 * ETHERNET_MSS_OCTETS
