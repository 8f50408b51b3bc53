from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.tcp.seqnum import MODULUS, add, before, distance

numbers = st.integers(0, MODULUS - 1)
# Half of the circle is the window within which "before" means anything (RFC 9293 §3.4).
near = st.integers(-(1 << 31) + 1, (1 << 31) - 1)


@pytest.mark.parametrize(
    ("a", "b", "way"),
    [
        (0, 0, 0),
        (0, 1, 1),
        (1, 0, -1),
        (MODULUS - 1, 0, 1),
        (0, MODULUS - 1, -1),
        (0, (1 << 31) - 1, (1 << 31) - 1),
        (0, 1 << 31, -(1 << 31)),
        ((1 << 31) + 5, 4, (1 << 31) - 1),
    ],
)
def test_distance_is_signed_modulo_2_to_the_32(a: int, b: int, way: int) -> None:
    assert distance(a, b) == way


@given(numbers, near, numbers)
def test_order_survives_adding_a_constant(a: int, way: int, constant: int) -> None:
    b = add(a, way)
    assert before(a, b) == before(add(a, constant), add(b, constant)) == (way > 0)
    assert distance(add(a, constant), add(b, constant)) == way


@given(numbers, near)
def test_add_and_distance_undo_each_other(a: int, way: int) -> None:
    assert 0 <= add(a, way) < MODULUS
    assert distance(a, add(a, way)) == way
    assert add(add(a, way), -way) == a


@given(numbers, numbers)
def test_of_two_numbers_at_most_one_is_before_the_other(a: int, b: int) -> None:
    assert not (before(a, b) and before(b, a))
    if (b - a) % MODULUS != 1 << 31:
        assert (a == b) or before(a, b) or before(b, a)
