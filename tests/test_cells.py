"""Columns of text, against Python's own spelling of the same values."""

from __future__ import annotations

import ipaddress
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.cells import (
    Cells,
    addresses,
    beside,
    distinct,
    lines,
    numbers,
    placed,
    repeated,
    seconds,
    where,
    words,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
#: Words of an address, with many groups of zeros.
GROUPS = st.lists(st.one_of(st.just(0), st.integers(0, 0xFFFF)), min_size=8, max_size=8)


def texts(cells: Cells) -> list[str]:
    return lines([cells]).decode().splitlines()


@given(st.lists(st.one_of(INT64, st.integers(-10_001, 10_001)), min_size=1))
def test_numbers_are_spelled_as_python_does(values: list[int]) -> None:
    assert texts(numbers(np.array(values, np.int64))) == [str(value) for value in values]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_large_numbers_without_a_sign_too(values: list[int]) -> None:
    assert texts(numbers(np.array(values, np.uint64))) == [str(value) for value in values]


@given(st.integers(0, 2**63), st.lists(st.integers(0, 10**12), min_size=1), st.integers(0, 12))
def test_numbers_that_lie_close_together_too(least: int, above: list[int], digits: int) -> None:
    values = [least + one % 10**digits for one in above]
    assert texts(numbers(np.array(values, np.uint64))) == [str(value) for value in values]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_the_borders_of_every_type_and_of_every_power_of_ten(dtype: type[np.integer]) -> None:
    most = int(np.iinfo(dtype).max)
    values = [value for place in range(20) for value in (10**place - 1, 10**place) if value <= most]
    for some in ([*values, most], *([value] for value in values)):  # alone: their column is as wide as they are
        assert texts(numbers(np.array(some, dtype))) == [str(value) for value in some]


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1))
def test_times_keep_their_microseconds(values: list[int]) -> None:
    cells = texts(seconds(np.array(values)))
    assert [Decimal(cell).scaleb(6) for cell in cells] == values
    assert all(cell.partition(".")[2].isdecimal() and len(cell.partition(".")[2]) == 6 for cell in cells)


@given(st.lists(st.one_of(st.integers(0, 2**32 - 1), GROUPS), min_size=1))
def test_addresses_are_spelled_as_ipaddress_does(values: list[int | list[int]]) -> None:
    hosts = [
        ipaddress.IPv4Address(value)
        if isinstance(value, int)
        else ipaddress.IPv6Address(int.from_bytes(b"".join(group.to_bytes(2) for group in value)))
        for value in values
    ]
    words_of = [divmod(int(host), 1 << 64) for host in hosts]
    upper, lower = np.array(words_of, np.uint64).T
    assert texts(addresses(np.array([host.version for host in hosts]), upper, lower)) == [str(host) for host in hosts]


@pytest.mark.parametrize("text", ["::", "::1", "1::", "::ffff:192.0.2.1", "1:0:0:2::", "0:1:0:1:0:1:0:1", "fe80::1"])
def test_addresses_with_zeros(text: str) -> None:
    upper, lower = np.array([divmod(int(ipaddress.IPv6Address(text)), 1 << 64)], np.uint64).T
    assert texts(addresses(np.array([6]), upper, lower)) == [str(ipaddress.IPv6Address(text))]


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_distinct_numbers_and_their_places(values: list[int]) -> None:
    occurring, place = distinct(np.array(values))
    assert occurring.tolist() == sorted({*values})
    assert occurring[place].tolist() == values


def test_words_are_spelled_once_and_only_if_they_occur() -> None:
    spelled: list[str] = []

    def spell(word: str) -> str:
        spelled.append(word)
        return f"<{word}>"

    cells = words(["no", "é", "ab", "never"], np.array([2, 1, 2, 2]), spell)
    assert texts(cells) == ["<ab>", "<é>", "<ab>", "<ab>"]
    assert spelled == ["é", "ab"]
    assert cells.octets.dtype.itemsize == 4


def test_lines_stand_side_by_side() -> None:
    left, right = numbers(np.array([1, 20000])), words(["", "x"], np.array([0, 1]))
    assert lines([left, b"/", right]) == b"1/\n20000/x\n"
    assert lines([left, right], b",") == b"1,\n20000,x\n"
    assert texts(beside([left, right])) == ["1", "20000x"]
    assert texts(where(np.array([True, False]), left, b"unset")) == ["1", "unset"]
    assert lines([numbers(np.zeros(0, np.int64))]) == b""


@given(st.lists(st.tuples(*[st.text("aé0", max_size=9)] * 3), min_size=1), st.sampled_from([b"", b",", b"; "]))
def test_lines_hold_nothing_but_the_text_of_their_cells(rows: list[tuple[str, ...]], separator: bytes) -> None:
    columns = [words(column, np.arange(len(rows))) for column in zip(*rows, strict=True)]
    expected = "".join(f"{separator.decode().join(row)}\n" for row in rows)
    assert lines(columns, separator).decode() == expected
    assert lines([beside([columns[0], separator, columns[1]]), columns[2]], separator).decode() == expected


@given(st.lists(st.tuples(st.text("ab", max_size=20), st.text("cd", max_size=20)), min_size=1), st.integers(0, 25))
def test_what_stands_behind_a_line_is_overwritten_by_the_next(rows: list[tuple[str, str]], first: int) -> None:
    """However far it reaches: into the first cells of the next line, or beyond."""
    columns = [words(column, np.arange(len(rows))) for column in zip(*rows, strict=True)]
    head = "x" * first
    assert lines([head.encode(), *columns]).decode() == "".join(f"{head}{''.join(row)}\n" for row in rows)


def test_some_cells_in_their_places() -> None:
    some = words(["a", "bcd", "ef"], np.array([1, 0, 2])).take(np.array([True, False, True]))
    assert texts(placed(some, np.array([3, 1]), 4)) == ["", "ef", "", "bcd"]
    assert texts(repeated(b"[]", 2)) == ["[]", "[]"]
