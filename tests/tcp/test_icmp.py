"""What ICMP errors mean to TCP: RFC 9293 §3.9.2.2, code by code."""

from __future__ import annotations

import pytest

from handshake_inspect.tcp.icmp import ERRORS, kind, says_undelivered, words

#: By IP version and type, the kind of each code that an RFC defines: (h)ard, (s)oft, (p)ath MTU, (a)dvice.
KINDS = {
    (4, 3): "sshhpshhhhhsshhh",
    (4, 4): "a",
    (4, 5): "aaaa",
    (4, 11): "ss",
    (4, 12): "sss",
    (6, 1): "shsshhhhh",
    (6, 2): "p",
    (6, 3): "ss",
    (6, 4): "sssssssssss",
}
CODES = [(*message, code, letter) for message, letters in KINDS.items() for code, letter in enumerate(letters)]


@pytest.mark.parametrize(("version", "icmp_type", "code", "letter"), CODES)
def test_each_code_has_words_and_a_kind(version: int, icmp_type: int, code: int, letter: str) -> None:
    assert kind(version, icmp_type, code)[0] == letter
    assert not words(version, icmp_type, code).startswith("type")
    assert says_undelivered(version, icmp_type, code) == (letter in "hs")


def test_the_table_has_every_error() -> None:
    assert set(KINDS) == {(version, one) for version in ERRORS for one in ERRORS[version]}


def test_a_code_that_no_rfc_defines_is_said_in_numbers() -> None:
    assert [words(version, icmp_type, len(codes)) for (version, icmp_type), codes in KINDS.items()] == [
        f"type {icmp_type} code {len(codes)}" for (_, icmp_type), codes in KINDS.items()
    ]


def test_no_two_codes_of_a_version_are_said_alike() -> None:
    for version in (4, 6):
        said = [words(version, icmp_type, code) for one, icmp_type, code, _ in CODES if one == version]
        assert len(said) == len(set(said))
