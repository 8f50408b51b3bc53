"""What ICMP errors quote, through both readers: every length of quote, extension headers, fragments, VLAN tags."""

from __future__ import annotations

import struct
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.headers.icmp import FOLLOWED, read_errors
from handshake_inspect.capture.records import SLACK_OCTETS, RawFrame, records_of
from handshake_inspect.capture.scapy_side.quotes import COLUMNS, read_message
from handshake_inspect.capture.scapy_side.reader import decode_records
from handshake_inspect.table import Block, Names
from handshake_inspect.tcp.icmp import ERRORS
from tests.capture.icmp_builders import (
    ACK,
    AH,
    CLIENT,
    CLIENT_6,
    ICMP,
    ICMPV6,
    ROUTER,
    ROUTER_6,
    SERVER,
    SERVER_6,
    SYN,
    TCP,
    UDP,
    error,
    ethernet,
    ip,
    tcp,
)
from tests.capture.strategies import assert_equal

SEGMENT = tcp(40000, 80, SYN, 0xFFFFFFF0)
QUOTE, QUOTE_6 = ip(CLIENT, SERVER, SEGMENT, ip_id=77), ip(CLIENT_6, SERVER_6, SEGMENT)


def both(*frames: bytes) -> Block:
    """Decode frames ourselves and through Scapy, which must agree."""
    names, records = Names(), records_of([RawFrame(octets, len(octets), 10**18, 1) for octets in frames])
    ours = Decoder(names).decode(records, 0)
    assert_equal(ours, decode_records(records, range(len(frames)), names, 0))
    return ours


def only_error(packet: bytes, *vlans: int) -> dict[str, Any]:
    """Return the row of the only error in a frame."""
    errors = both(ethernet(packet, *vlans)).icmp_errors
    assert len(errors) == 1
    return {name: column[0].item() for name, column in errors.columns.items()}


def test_every_field_of_an_error_is_read() -> None:
    row = only_error(error(ROUTER, QUOTE, 3, 1, ip_id=9), 42)
    assert row == {
        "time_ns": 10**18, "frame": 1, "capture": 0, "ip_version": 4,
        "src_hi": 0, "src_lo": 0xC0000201, "dst_hi": 0, "dst_lo": 0xC6336402, "src_port": 40000, "dst_port": 80,
        "tunnel": 0, "encapsulation": 1, "ip_id": 9, "packet_type": 255, "from_hi": 0, "from_lo": 0xCB007109,
        "icmp_type": 3, "icmp_code": 1, "mtu": 0, "protocol": 6, "quoted_ip_id": 77, "has_seq": 1,
        "seq": 0xFFFFFFF0, "quoted_flags": 2,
    }  # fmt: skip


def test_an_error_of_icmpv6_names_its_sender_in_two_words() -> None:
    row = only_error(error(ROUTER_6, QUOTE_6, 1, 4))
    assert (row["from_hi"], row["from_lo"]) == (0x20010DB8FFFF0000, 9)
    assert (row["src_hi"], row["src_lo"], row["dst_lo"]) == (0x20010DB800000000, 1, 2)
    assert (row["ip_version"], row["seq"], row["quoted_flags"], row["ip_id"]) == (6, 0xFFFFFFF0, 2, 0)


@pytest.mark.parametrize(
    ("octets", "has_seq", "flags"),
    [(24, 0, -1), (27, 0, -1), (28, 1, -1), (33, 1, -1), (34, 1, 2), (40, 1, 2)],
)
def test_a_quote_gives_what_it_reaches(octets: int, has_seq: int, flags: int) -> None:
    """RFC 792 asks for 8 octets behind the IP header: the sequence number is the last of them."""
    row = only_error(error(ROUTER, QUOTE, 3, 3, octets=octets))
    assert (row["src_port"], row["has_seq"], row["quoted_flags"]) == (40000, has_seq, flags)
    assert row["seq"] == (0xFFFFFFF0 if has_seq else 0)


def test_a_quote_without_both_ports_says_of_nobody() -> None:
    block = both(ethernet(error(ROUTER, QUOTE, 3, 3, octets=23)))
    assert (len(block.icmp_errors), dict(block.unread)) == (0, {"ICMP": 1})


@pytest.mark.parametrize(
    ("quote", "kind", "code", "mtu", "expected"),
    [
        (QUOTE, 3, 4, 1400, 1400),  # RFC 1191 §4
        (QUOTE, 3, 4, 0, 0),  # a router that does not know RFC 1191
        (QUOTE, 3, 1, 1400, 0),  # other codes have no MTU, whatever stands there
        (QUOTE, 11, 0, 1400, 0),
        (QUOTE_6, 2, 0, 1280, 1280),  # RFC 4443 §3.2
        (QUOTE_6, 2, 0, 0x10000, 0x10000),  # in ICMPv6 it has 32 bits
    ],
)
def test_the_mtu_of_the_next_hop(quote: bytes, kind: int, code: int, mtu: int, expected: int) -> None:
    router = ROUTER if quote is QUOTE else ROUTER_6
    assert only_error(error(router, quote, kind, code, mtu=mtu))["mtu"] == expected


@pytest.mark.parametrize("kind", range(256))
def test_only_errors_quote(kind: int) -> None:
    """RFC 792: 3, 4, 5, 11, 12. RFC 4443 §3: 1 to 4; those from 5 to 127 are not assigned."""
    found = both(ethernet(error(ROUTER, QUOTE, kind, 0)), ethernet(error(ROUTER_6, QUOTE_6, kind, 0))).icmp_errors
    assert found["ip_version"].tolist() == [4] * (kind in (3, 4, 5, 11, 12)) + [6] * (1 <= kind <= 4)


def test_extension_headers_in_the_quote_are_followed() -> None:
    options = struct.pack("!BB", 60, 1) + bytes(14)  # hop-by-hop, 16 octets
    destination = struct.pack("!BB", 44, 0) + bytes(6)
    first_fragment = struct.pack("!BBHI", AH, 0, 1, 7)  # offset 0, more fragments follow
    authentication = struct.pack("!BBHII", TCP, 2, 0, 1, 1) + bytes(4)  # (2 + 2) * 4 octets
    quote = ip(CLIENT_6, SERVER_6, options + destination + first_fragment + authentication + SEGMENT, 0)
    row = only_error(error(ROUTER_6, quote, 3, 0))
    assert (row["protocol"], row["src_port"], row["seq"], row["quoted_flags"]) == (6, 40000, 0xFFFFFFF0, 2)


def test_an_authentication_header_in_a_quote_of_ipv4_is_followed() -> None:
    quote = ip(CLIENT, SERVER, struct.pack("!BBHII", TCP, 1, 0, 1, 1) + SEGMENT, AH)
    assert only_error(error(ROUTER, quote, 3, 1))["src_port"] == 40000


def test_options_in_the_quoted_header_are_passed_over() -> None:
    quote = bytes([0x47]) + QUOTE[1:20] + bytes([1] * 8) + SEGMENT
    assert only_error(error(ROUTER, quote, 3, 1))["seq"] == 0xFFFFFFF0


def test_of_quoted_fragments_only_the_first_has_ports() -> None:
    first = QUOTE[:6] + struct.pack("!H", 0x2000) + QUOTE[8:]
    later = QUOTE[:6] + struct.pack("!H", 0x0010) + QUOTE[8:]
    later_6 = ip(CLIENT_6, SERVER_6, struct.pack("!BBHI", TCP, 0, 8, 7) + SEGMENT, 44)
    block = both(
        ethernet(error(ROUTER, first, 11, 1)), ethernet(error(ROUTER, later, 11, 1)),
        ethernet(error(ROUTER_6, later_6, 3, 1)),
    )  # fmt: skip
    assert block.icmp_errors["frame"].tolist() == [1]
    assert dict(block.unread) == {"ICMP": 1, "ICMPv6": 1}


@pytest.mark.parametrize(("quoted", "flags"), [(9, 2), (8, -1)])
def test_what_follows_the_quote_is_no_part_of_it(quoted: int, flags: int) -> None:
    """RFC 4884 §4: the length of the quote, in words of 4 octets; extension objects follow it."""
    message = struct.pack("!BBHBBH", 11, 0, 0, 0, quoted, 0) + QUOTE[: 4 * quoted] + b"\x20\0\0\0" + bytes(36)
    assert only_error(ip(ROUTER, CLIENT, message, ICMP))["quoted_flags"] == flags


def test_the_length_of_a_quote_of_icmpv6_counts_eight_octets() -> None:
    message = struct.pack("!BBHBBH", 3, 0, 0, 6, 0, 0) + QUOTE_6[:48] + b"\x20\0\0\0" + b"\xff" * 36
    row = only_error(ip(ROUTER_6, CLIENT_6, message, ICMPV6))
    assert (row["has_seq"], row["seq"], row["quoted_flags"]) == (1, 0xFFFFFFF0, -1)


def test_an_error_about_the_other_version_of_ip_is_none() -> None:
    message = bytes([3, 1]) + bytes(6)
    block = both(
        ethernet(ip(ROUTER, CLIENT, message + QUOTE_6, ICMP)),
        ethernet(ip(ROUTER_6, CLIENT_6, bytes([1]) + message[1:] + QUOTE, ICMPV6)),
    )
    assert (len(block.icmp_errors), dict(block.unread)) == (0, {"ICMP": 1, "ICMPv6": 1})


def test_a_quoted_datagram_has_neither_number_nor_control_bits() -> None:
    row = only_error(error(ROUTER, ip(CLIENT, SERVER, struct.pack("!HHHH", 53, 54, 20, 0) + bytes(12), UDP), 3, 3))
    assert (row["protocol"], row["src_port"], row["has_seq"], row["seq"], row["quoted_flags"]) == (17, 53, 0, 0, -1)


def test_a_quote_of_something_else_is_counted() -> None:
    block = both(ethernet(error(ROUTER, ip(CLIENT, SERVER, bytes(20), 132), 3, 2)))
    assert (len(block.icmp_errors), dict(block.unread)) == (0, {"ICMP": 1})


@given(
    st.booleans(), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=8), st.binary(max_size=60),
    st.integers(0, 120), st.integers(0, 0x1FF),
)  # fmt: skip
def test_both_readers_agree_on_any_message(
    v6: bool, kind: int, code: int, rest: bytes, behind: bytes, octets: int, flags: int
) -> None:
    quote = ip(CLIENT_6, SERVER_6, tcp(1, 2, flags, 3, ACK)) if v6 else ip(CLIENT, SERVER, tcp(1, 2, flags, 3, ACK))
    message = bytes([kind % 14, code % 20, 0, 0]) + rest[:4].ljust(4, b"\0") + (quote + behind)[:octets]
    both(ethernet(ip(*((ROUTER_6, CLIENT_6) if v6 else (ROUTER, CLIENT)), message, ICMPV6 if v6 else ICMP)))


def messages(version: int) -> st.SearchStrategy[bytes]:
    """Errors whose quotes have headers behind each other, of any lengths, and are cut anywhere."""
    followed = st.tuples(st.sampled_from((*FOLLOWED[version], TCP, UDP)), st.integers(0, 3), st.binary(max_size=6))
    headers = st.lists(followed, max_size=4).map(lambda each: b"".join(bytes(one[:2]) + one[2] for one in each))
    kinds = st.sampled_from((*ERRORS[version], 0))
    before = bytes([version << 4 | 5]) + bytes(5 if version == 4 else 3)
    quote = st.builds(
        lambda fragment, protocol, rest, behind: (
            before + fragment + bytes([64, protocol]) + rest + behind
            if version == 4
            else before + bytes(2) + bytes([protocol, 64]) + rest + rest + behind
        ),
        st.sampled_from((b"\0\0", b"\x20\0", b"\0\1")),
        st.sampled_from((*FOLLOWED[version], TCP, UDP, 1)),
        st.binary(min_size=10 if version == 4 else 16, max_size=16),
        headers,
    )
    fields = st.tuples(
        st.integers(0, 5), st.just(0), st.just(0), st.integers(0, 9), st.integers(0, 9), *[st.just(5)] * 2
    )
    return st.builds(
        lambda kind, rest, quote, end, cut: (bytes([kind, *rest]) + quote + end)[: 120 - cut],
        kinds, fields, quote, st.binary(max_size=60), st.integers(0, 90),
    )  # fmt: skip


@given(st.sampled_from((4, 6)).flatmap(lambda version: st.tuples(st.just(version), st.lists(messages(version)))))
def test_errors_read_together_are_what_each_one_is(given: tuple[int, list[bytes]]) -> None:
    version, some = given
    captured = np.array([*map(len, some)], np.int64)
    octets = np.frombuffer(b"".join(some) + bytes(SLACK_OCTETS), np.uint8)
    rows, columns = read_errors(octets, np.cumsum(captured) - captured, captured, version)
    expected = {row: read for row, one in enumerate(some) if (read := read_message(one, version)) is not None}
    assert rows.tolist() == [*expected]
    for place, name in enumerate(COLUMNS if expected else ()):
        assert np.broadcast_to(columns[name], len(rows)).tolist() == [read[place] for read in expected.values()], name


def test_a_flood_of_errors_is_read_in_few_calls() -> None:
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    records = records_of([RawFrame(ethernet(error(ROUTER, QUOTE, 3, 1)), 70, 10**18, 1)] * 5000)
    decoder = Decoder(Names())
    sys.setprofile(count)
    try:
        found = decoder.decode(records, 0)
    finally:
        sys.setprofile(None)
    assert len(found.icmp_errors) == 5000
    assert calls < 1000
