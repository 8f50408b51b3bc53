from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.tcp.options import Options, gist, parse, walk

LINUX_SYN = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307")

option = st.one_of(
    st.just((1, b"")),
    st.tuples(st.integers(2, 255), st.binary(max_size=12)),
)


def spell(options: list[tuple[int, bytes]]) -> bytes:
    return b"".join(b"\x01" if kind == 1 else bytes([kind, 2 + len(value)]) + value for kind, value in options)


@given(st.binary(max_size=60))
def test_no_octets_raise(octets: bytes) -> None:
    parse(octets)
    assert sum(2 + len(value) for _, value in walk(octets)) <= len(octets)


asked = st.tuples(st.sampled_from((2, 3, 4, 5, 8, 19, 29, 30, 34, 254)), st.binary(max_size=12))
experiment = st.tuples(st.just(254), st.binary(max_size=8).map(lambda cookie: b"\xf9\x89" + cookie))


@given(st.one_of(st.binary(max_size=40), st.lists(option | asked | experiment, max_size=5).map(spell)))
def test_the_gist_of_a_list_reads_like_the_list_but_for_cookies_and_keys(octets: bytes) -> None:
    whole, told = parse(octets), parse(gist(octets))
    for name in (
        "mss",
        "window_scale",
        "sack_permitted",
        "timestamps",
        "mptcp_subtype",
        "mptcp_version",
        "signature",
        "malformed",
    ):
        assert getattr(told, name) == getattr(whole, name)
    cookies = [one.fast_open_cookie and len(one.fast_open_cookie) for one in (whole, told)]
    assert cookies[0] == cookies[1]
    assert gist(gist(octets)) == gist(octets)


@given(st.lists(option, max_size=8))
def test_what_is_written_is_read(options: list[tuple[int, bytes]]) -> None:
    assert list(walk(spell(options))) == [one for one in options if one[0] != 1]


@given(st.lists(option, max_size=8), st.data())
def test_a_list_that_breaks_off_gives_what_came_before(options: list[tuple[int, bytes]], data: st.DataObject) -> None:
    octets = spell(options)
    cut = data.draw(st.integers(0, len(octets)))
    whole, found = list(walk(octets)), list(walk(octets[:cut]))
    assert found == whole[: len(found)]
    assert len(found) >= sum(
        1 for k in range(len(options)) if options[k][0] != 1 and len(spell(options[: k + 1])) <= cut
    )


@given(st.integers(0, 65535), st.integers(0, 255), st.booleans(), st.booleans(), st.sampled_from([None, 0, 4, 8, 16]))
def test_a_syn_round_trip(mss: int, shift: int, sack: bool, timestamps: bool, cookie_octets: int | None) -> None:
    options = [(2, mss.to_bytes(2, "big")), (3, bytes([shift]))]
    options += [(4, b"")] if sack else []
    options += [(8, bytes(8))] if timestamps else []
    cookie = None if cookie_octets is None else b"\x5a" * cookie_octets
    options += [] if cookie is None else [(34, cookie)]
    assert parse(spell(options)) == Options(mss, shift, sack, timestamps, cookie)


def test_a_syn_of_linux() -> None:
    assert parse(LINUX_SYN) == Options(mss=1460, window_scale=7, sack_permitted=True, timestamps=True)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("", Options()),
        ("00 020405b4", Options()),  # the list ends at kind 0
        ("0204", Options()),  # breaks off
        ("0200", Options(malformed=(2, 0))),  # a length below 2 would never end
        ("0203 05", Options(malformed=(2, 3))),  # MSS of one octet
        ("0402 020405b4", Options(mss=1460, sack_permitted=True)),
        ("020405b4 02040218", Options(mss=1460)),  # the first counts
        ("0304 0707", Options(malformed=(3, 4))),
        ("0403 00", Options(malformed=(4, 3))),
        ("2202", Options(fast_open_cookie=b"")),
        ("2206 01020304", Options(fast_open_cookie=b"\x01\x02\x03\x04")),
        ("2203 01", Options(malformed=(34, 3))),  # RFC 7413 §4.1.1: 4 to 16 octets, an even number
        ("2205 010203", Options(malformed=(34, 5))),
        ("2214 000102030405060708090a0b0c0d0e0f1011", Options(malformed=(34, 20))),
        ("fe04 f989", Options(fast_open_cookie=b"")),  # before it had a kind of its own
        ("fe04 1234", Options()),
        ("1e04 0081", Options(mptcp=b"\x00\x81")),
        ("1d03 61 0204", Options(malformed=(29, 3))),  # RFC 5925 §2.2: at least 4 octets
        ("1312" + "5a" * 16, Options(signature="md5")),
        ("1303 61", Options(malformed=(19, 3))),  # RFC 2385 §3.0: 18 octets
        ("1d10 3d54" + "5a" * 12, Options(signature="tcp-ao")),
        ("fd08 0102", Options()),  # of an unknown kind, and longer than the list: the capture may have cut it
        ("0206 05b4", Options(malformed=(2, 6))),
    ],
)
def test_an_option_list_is_parsed(octets: str, expected: Options) -> None:
    assert parse(bytes.fromhex(octets)) == expected
